"""Figures of the out-of-fold answers, the thresholds that follow from them, and the answers as a file for replay."""
import hashlib
import json
import math
from collections import Counter, defaultdict

import numpy as np

from crossval import threshold as lowest
from tasks import GOODS, SCENES, VERDICTS

TIERS = (1_000, 3_000, 5_000, 7_000, 10_000)


def write_answers(path, task, questions, probabilities, every=False):
    """One line a question: the hash of its text, and each head's probabilities in millionths in the order of its labels. Of
    questions about cases only, or of every one."""
    with open(path, "w", encoding="utf-8") as out:
        for i, question in enumerate(questions):
            if not every and not is_case(question):
                continue
            heads = {h.name: [int(p * 1e6 + .5) for p in probabilities[h.name][i]] for h in task.heads}
            line = {"ticket_id": question["ticket_id"], "text_sha256": hashlib.sha256(question["text"].encode()).hexdigest(),
                    "heads": heads}
            out.write(json.dumps(line, separators=(",", ":")) + "\n")


def is_judged(question):
    """Whether a question's answer counts in temperatures and thresholds: real cases that are not held out."""
    return is_case(question) and not question["held_out"]


def is_case(question):
    return question["origin"] in ("public", "authored")


def by_origin(data, answers):
    """Figures of the public cases, of the authored ones and of both; thresholds, and how many cases they rest on."""
    figures = {}
    for part, belongs in (("public", lambda q: q["origin"] == "public"),
                          ("authored", lambda q: q["origin"] == "authored" and not q["held_out"]), ("both", is_judged)):
        rows, p = {}, {}
        for task, questions in data.items():
            at = [i for i, q in enumerate(questions) if belongs(q)]
            rows[task] = [questions[i] for i in at]
            # In millionths, as the program has them.
            p[task] = {head: np.floor(found[at] * 1e6 + .5) / 1e6 for head, found in answers[task].items()}
        if rows["classify"]:
            figures[part], thresholds = summarise(rows, p)
    return figures, thresholds, len(rows["classify"])


def summarise(data, answers):
    figures, thresholds = {"errors": {}}, {}
    classify(data["classify"], answers["classify"], figures, thresholds)
    if "relevant" in data:
        policy(data["relevant"], answers["relevant"], data["classify"], answers["classify"], figures, thresholds)
    else:
        # Of models that only read texts: the scene as they have it, without the rules' say.
        p = answers["classify"]["scene"]
        keep("scene", p.max(axis=1), [SCENES[b] == q["scene"] for b, q in zip(p.argmax(axis=1), data["classify"])], figures, thresholds)
    first_report(data["first_report"], answers["first_report"], figures, thresholds)
    evidence(data["supports"], answers["supports"], figures, thresholds)
    measures(data["measure"], answers["measure"], figures, thresholds)
    return figures, thresholds


def keep(name, confidence, right, figures, thresholds):
    """Chooses a threshold and says how much it keeps and how often that is right."""
    confidence, right = np.asarray(confidence), np.asarray(right)
    thresholds[name] = math.floor(lowest(confidence, right) * 1e6) / 1e6
    kept = confidence >= thresholds[name]
    figures.setdefault("kept", {})[name] = {"threshold": thresholds[name], "share": share(kept), "right": share(right[kept])}


def majority(values):
    return max(Counter(values).values()) / len(values)


def share(right):
    return round(float(np.mean(right)), 4)


def classify(rows, p, figures, thresholds):
    right = {}
    for name, labels in (("scene", SCENES), ("goods_type", GOODS)):
        best = p[name].argmax(axis=1)
        right[name] = np.array([labels[b] == q[name] for b, q in zip(best, rows)])
        if name == "goods_type":
            keep(name, p[name].max(axis=1), right[name], figures, thresholds)
        figures[name] = {"accuracy": share(right[name]), "majority": round(majority([q[name] for q in rows]), 4)}
        figures["errors"][name] = Counter(f"{q[name]} read as {labels[b]}" for b, q in zip(best, rows) if labels[b] != q[name]).most_common(12)
    figures["label_both"] = {"accuracy": share(right["scene"] & right["goods_type"]),
                             "majority": round(majority([(q["scene"], q["goods_type"]) for q in rows]), 4)}
    said = np.array([q["settles"] == "yes" for q in rows])
    score = p["settles"][:, 1]
    figures["settles"] = {"accuracy": share((score > .5) == said), "auc": round(auc(score, said), 4), "majority": share(~said)}


def policy(rows, p, cases, labels, figures, thresholds):
    """The governing SOP: prior times odds among a case's candidates; and the labels under it."""
    fit = np.clip(p["governs"][:, 1], 5e-7, 1 - 5e-7)
    weight = np.array([q["prior"] for q in rows]) * fit / (1 - fit)
    by_case = defaultdict(list)
    for i, q in enumerate(rows):
        by_case[q["ticket_id"]].append(i)
    right, confidence, both = [], [], []
    for q, goods in zip(cases, labels["goods_type"]):
        at = by_case[q["ticket_id"]]
        best = max(at, key=lambda i: weight[i])
        kinds = [GOODS.index(kind) for kind in rows[best]["goods"]]
        right.append(rows[best]["governs"] == "yes")
        confidence.append(weight[best] / weight[at].sum())
        both.append((rows[best]["scene"], GOODS[max(kinds, key=lambda kind: goods[kind])]) == (q["scene"], q["goods_type"]))
    keep("scene", confidence, right, figures, thresholds)
    figures["sop"] = {"accuracy": share(right)}
    figures["label_both_under_sop"] = {"accuracy": share(both)}


def auc(score, yes):
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    values = score[order]
    bounds = np.flatnonzero(np.diff(values, prepend=-1, append=2))
    for a, b in zip(bounds[:-1], bounds[1:]):
        ranks[order[a:b]] = (a + b + 1) / 2
    n = yes.sum()
    return float((ranks[yes].sum() - n * (n + 1) / 2) / (n * (len(yes) - n)))


def first_report(rows, p, figures, thresholds):
    """The chance that message i is the first report is its own chance times that of none before; the rest is the claim's."""
    yes = p["states_problem"][:, 1]
    said = np.array([q["states_problem"] == "yes" for q in rows])
    figures["states_problem"] = {"accuracy": share((yes > .5) == said), "majority": share(~said)}
    by_case = defaultdict(list)
    for i, q in enumerate(rows):
        by_case[q["ticket_id"]].append(i)
    right, confidence, gold = [], [], []
    for at in by_case.values():
        rest, chances = 1.0, []
        for i in at:
            chances.append(rest * yes[i])
            rest *= 1 - yes[i]
        # The questions end with the first report, where there is one; what is left counts as wrong then.
        chances.append(rest)
        best = int(np.argmax(chances))
        want = len(at) - 1 if said[at[-1]] else len(at)
        gold.append(want if want < len(at) else -1)
        right.append(best == want)
        confidence.append(chances[best])
    keep("first_report", confidence, right, figures, thresholds)
    figures["first_report"] = {"accuracy": share(right), "majority": round(majority(gold), 4),
                               "cases_with_buyer_messages": len(right)}


def evidence(rows, p, figures, thresholds):
    """Questions are pairs of item and requirement; an item is valid when it is for one of them."""
    best = p["verdict"].argmax(axis=1)
    right = np.array([VERDICTS[b] == q["verdict"] for b, q in zip(best, rows)])
    # The node asks whether an item meets the requirement, fails it or is beside it; why it fails decides nothing.
    three = np.stack([p["verdict"][:, 0], p["verdict"][:, 2], np.delete(p["verdict"], (0, 2), axis=1).sum(axis=1)], axis=1)
    want = np.array([{"valid": 0, "unrelated": 1}.get(q["verdict"], 2) for q in rows])
    keep("evidence", three.max(axis=1), three.argmax(axis=1) == want, figures, thresholds)
    figures["meets_fails_beside"] = {"accuracy": share(three.argmax(axis=1) == want)}
    kinds = Counter(q["verdict"] for q in rows)
    figures["verdict"] = {"accuracy": share(right), "majority": round(kinds.most_common(1)[0][1] / len(rows), 4)}
    figures["verdict_by_defect"] = {}
    for kind in VERDICTS:
        want, said = np.array([q["verdict"] == kind for q in rows]), best == VERDICTS.index(kind)
        figures["verdict_by_defect"][kind] = {"n": int(want.sum()), "recall": share(said[want]),
                                              "precision": share(want[said]) if said.any() else None}
    items = defaultdict(list)
    for i, q in enumerate(rows):
        items[q["ticket_id"], q["evidence_id"]].append(i)
    valid = [any(best[i] == 0 for i in at) == any(rows[i]["verdict"] == "valid" for i in at) for at in items.values()]
    figures["asked_item_valid"] = {"accuracy": share(valid), "items": len(items)}
    figures["errors"]["verdict"] = Counter(f"{q['verdict']} read as {VERDICTS[b]}" for b, q in zip(best, rows) if VERDICTS[b] != q["verdict"]).most_common(12)


def measures(rows, p, figures, thresholds):
    """A case's candidates speak for their values together; a ratio is right when it falls in the right tier."""
    yes = np.clip(p["is_value"][:, 1], 0, 1 - 1e-6)
    said = np.array([q["is_value"] == "yes" for q in rows])
    figures["is_value"] = {"accuracy": share((yes > .5) == said), "majority": share(~said)}
    groups = defaultdict(list)
    for i, q in enumerate(rows):
        groups[q["measure"], q["ticket_id"]].append(i)
    right, everything, confidence, wrong = defaultdict(list), [], [], []
    for (measure, ticket), at in groups.items():
        best, sure = together([(value(rows[i]["value"]), yes[i]) for i in at])
        want = value(rows[at[0]]["wanted"])
        right[measure].append(best == want)
        everything.append(best == want)
        confidence.append(sure)
        if best != want:
            wrong.append(f"{ticket} {measure}: {best[1]} for {rows[at[0]]['wanted']}")
    keep("measure", confidence, everything, figures, thresholds)
    figures["measures"] = {m: {"accuracy": share(oks), "cases": len(oks), "majority": round(majority(
        [str(value(rows[at[0]]["wanted"])) for (kind, _), at in groups.items() if kind == m]), 4)}
        for m, oks in sorted(right.items())}
    figures["errors"]["measure"] = wrong


def together(candidates):
    """The value its candidates speak for most, and its chance: candidates of one value are independent witnesses, at most
    one value is right. With q the chance that none of a value's witnesses is right, its odds are 1/q - 1."""
    none = {}
    for key, chance in candidates:
        none[key] = none.get(key, 1.0) * (1 - chance)
    odds = {key: 1 / max(q, 1e-12) - 1 for key, q in none.items()}
    best = max(odds, key=lambda key: odds[key])
    return best, odds[best] / (1 + sum(odds.values()))


def value(written):
    """What counts of a value: an amount or a count itself, of a ratio its tier."""
    (kind, number), = written.items()
    return (kind, next(t for t in TIERS if number <= t)) if kind == "ratio" else (kind, number)
