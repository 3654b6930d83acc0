"""Figures of every arm on decisions it has not learned from, beside the pipeline's own confidence. The pipeline's own
decisions, those of weaker judges and falsified ones are told apart: the first are what counts, the others err in numbers."""
import json
import math
import random

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from losses import LONGEST, first_probabilities
from model import MASKED, pad, restored

PRECISION = 0.90


@torch.no_grad()
def decode(model, ids, prompts, firsts, longest=LONGEST):
    """Greedy R' after the given first tokens, all prompts together. Gives A'' (the probability of right where the final
    mark comes, else None) and the tokens decoded, by prompt."""
    x = pad(prompts)
    rows, old = x.shape
    length = torch.tensor([len(p) for p in prompts])
    _, past = model.read(x)
    real = torch.arange(old)[None, :] < length[:, None]
    token, second, tokens = torch.tensor(firsts), [None] * rows, [longest] * rows
    for step in range(longest):
        real = torch.cat([real, torch.ones(rows, 1, dtype=torch.bool)], dim=1)
        mask = torch.where(real, 0.0, MASKED)[:, None, None, :]
        hidden, fresh = model.hidden(token[:, None], (length + step)[:, None], mask, past)
        past = torch.cat([past, fresh], dim=3)
        logits = model.logits(hidden[:, 0])
        chance = logits[:, [ids.wrong, ids.right]].softmax(-1)[:, 1]
        for i in range(rows):
            if second[i] is None and token[i] == ids.final:
                second[i], tokens[i] = float(chance[i]), step + 1
        if all(s is not None for s in second):
            break
        token = logits.argmax(-1)
    return second, tokens


def auroc(scores, right):
    return float(roc_auc_score(right, scores)) if 0 < sum(right) < len(right) else None


def recall_at(scores, right, precision=PRECISION):
    """The share of right decisions above the lowest threshold at which so many of what is above it are right."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    hit = np.asarray(right, bool)[order]
    kept = np.arange(1, len(hit) + 1)
    edge = np.append(np.diff(np.asarray(scores)[order]) != 0, True)
    good = edge & (np.cumsum(hit) / kept >= precision)
    return float(np.cumsum(hit)[good].max() / hit.sum()) if good.any() else 0.0


def calibration_error(scores, right, bins=10):
    scores, right = np.asarray(scores), np.asarray(right, float)
    place = np.minimum((scores * bins).astype(int), bins - 1)
    parts = [(place == b) for b in range(bins)]
    return float(sum(abs(scores[p].mean() - right[p].mean()) * p.mean() for p in parts if p.any()))


def logit(p):
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def fit_calibration(scores, right):
    """Slope and bias that turn log odds into those of real decisions, which are right far more often than the drawn ones.
    The slope is never negative, so that the order stays."""
    if len(set(right)) < 2:
        return 1.0, 0.0
    fit = LogisticRegression(C=10.0).fit(np.array([[logit(s)] for s in scores]), right)
    return max(float(fit.coef_[0, 0]), 0.05), float(fit.intercept_[0])


def calibrated(scores, fitted):
    return [1 / (1 + math.exp(-(fitted[0] * logit(s) + fitted[1]))) for s in scores]


def figures(scores, right):
    return {"auroc": auroc(scores, right), "recall_at_p90": recall_at(scores, right), "ece": calibration_error(scores, right)}


def threshold_at(scores, right, precision=PRECISION):
    """The lowest score from which on so many are right; above one where there is none."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    sorted_scores, hit = np.asarray(scores)[order], np.asarray(right, bool)[order]
    edge = np.append(np.diff(sorted_scores) != 0, True)
    good = edge & (np.cumsum(hit) / np.arange(1, len(hit) + 1) >= precision)
    return float(sorted_scores[good].min()) if good.any() else 2.0


def by_kind(scores, rows):
    """AUROC against the right decisions of all kinds, for each way to be wrong."""
    sound = [s for s, r in zip(scores, rows) if r["right"]]
    wrong = {}
    for score, row in zip(scores, rows):
        if not row["right"]:
            wrong.setdefault(row["kind"], []).append(score)
    return {kind: [len(own), auroc(sound + own, [1] * len(sound) + [0] * len(own))] for kind, own in sorted(wrong.items())}


def fast_and_slow(chosen_on, measured):
    """Each a (first, second, tokens, right) by columns. Thresholds are chosen on the one, figures are of the other: A' above
    its threshold ends it, otherwise R' is written and A'' must reach its own."""
    first, second, _, right = chosen_on
    fast = threshold_at(first, right)
    below = [i for i, s in enumerate(first) if s < fast]
    slow = threshold_at([second[i] for i in below], [right[i] for i in below]) if below else 2.0
    first, second, tokens, right = measured
    quick = [s >= fast for s in first]
    passed = [q or s >= slow for q, s in zip(quick, second)]
    kept = [r for p, r in zip(passed, right) if p]
    return {"thresholds": [fast, slow], "ended_by_first": float(np.mean(quick)), "passed": float(np.mean(passed)),
            "precision": float(np.mean(kept)) if kept else None,
            "tokens": float(np.mean([0 if q else t for q, t in zip(quick, tokens)])), "tokens_always": float(np.mean(tokens))}


def first_of(model, ids, rows, size=16):
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["pra_ids"]))
    found = [0.0] * len(rows)
    for start in range(0, len(order), size):
        part = order[start:start + size]
        for i, p in zip(part, first_probabilities(model, ids, [rows[i]["pra_ids"] for i in part])):
            found[i] = p
    return found


def second_of(model, ids, rows, firsts, size=16):
    second, tokens = [], []
    for start in range(0, len(rows), size):
        part = rows[start:start + size]
        first = [ids.verdict(p >= 0.5) for p in firsts[start:start + size]]
        s, t = decode(model, ids, [r["pra_ids"] for r in part], first)
        second += s
        tokens += t
    return second, tokens


def group_of(row):
    return row["kind"] if row["kind"] in ("real", "weak") else "corrupted"


def measure(model, data, limit=None, corrupted=None):
    """All figures of one model. `limit` is the most decisions of a kind whose reflection is decoded."""
    model.eval()
    ids, out, thought = data.ids, {}, {}
    dev, test = data.rows["dev"], data.rows["test"]
    groups = {f"{split}{name}": [r for r in rows if group_of(r) == name]
              for split, rows in (("dev_", dev), ("", test)) for name in ("real", "weak", "corrupted")}
    for name in ("dev_weak", "weak", "dev_corrupted", "corrupted"):
        groups[name] = random.Random(7).sample(groups[name], min(corrupted or len(groups[name]), len(groups[name])))
    fitted = None
    for name, rows in groups.items():
        if not rows:
            continue
        right = [r["right"] for r in rows]
        firsts = first_of(model, ids, rows)
        # The first group, real decisions of the split that chooses, calibrates the others.
        fitted = fitted or fit_calibration(firsts, right)
        report = {"decisions": len(rows), "wrong": right.count(False), "confidence": figures([r["confidence"] for r in rows], right),
                  "first": figures(calibrated(firsts, fitted), right)}
        if name not in ("dev_real", "dev_weak"):
            some = sorted(random.Random(7).sample(range(len(rows)), min(limit or len(rows), len(rows))))
            seconds, tokens = second_of(model, ids, [rows[i] for i in some], [firsts[i] for i in some])
            well = sum(s is not None for s in seconds)
            filled = [firsts[i] if s is None else s for i, s in zip(some, seconds)]
            own = [right[i] for i in some]
            accuracy = lambda scores: sum((s >= 0.5) == r for s, r in zip(scores, own)) / len(own)
            report["second"] = figures(calibrated(filled, fitted), own) | {"decoded": len(some), "well_formed": well / len(some)}
            report["first_of_decoded"] = figures(calibrated([firsts[i] for i in some], fitted), own)
            report["accuracy"] = {"first": accuracy([firsts[i] for i in some]), "second": accuracy(filled)}
            report["prompt_tokens"] = float(np.mean([len(r["pra_ids"]) for r in rows]))
            report["reflection_tokens"] = float(np.mean(tokens))
            report["first_by_kind"] = by_kind(firsts, rows)
            thought[name] = [firsts[i] for i in some], filled, tokens, own
        out[name] = report
    out["calibration"] = dict(zip(("slope", "bias"), fitted or (1.0, 0.0)))
    if {"dev_corrupted", "corrupted"} <= thought.keys():
        out["fast_and_slow"] = fast_and_slow(thought["dev_corrupted"], thought["corrupted"])
    return out


def write(out, data, args):
    """Figures of every arm that has been trained, as report.json and as lines."""
    written = out / "report.json"
    found = json.loads(written.read_text("utf-8")) if written.exists() else {}
    for path in sorted(out.glob("*.pt")):
        model, state = restored(path)
        if found.get(path.stem, {}).get("steps") == state["steps"]:
            continue
        found[path.stem] = {"steps": state["steps"], "seen": state["seen"], "seconds": state["seconds"]} | measure(model, data, args.decode, args.corrupted)
        for group in ("real", "weak", "corrupted", "fast_and_slow"):
            print(path.stem, group, json.dumps(found[path.stem].get(group)), flush=True)
        written.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
