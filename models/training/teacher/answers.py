"""Puts the folds' answers together: soft labels as files, and the figures that report.py makes of any answers."""
import hashlib
import json

import numpy as np

import data
import finetune
import report
from crossval import FOLDS, softmax, temperature
from tasks import TEXT_TASKS as TASKS

# Fewer held-out questions of a task make no figure.
FEWEST = 20


def save(found, path):
    """The answers of one fold's teacher."""
    flat = {}
    for name, (places, logits) in found.items():
        flat[f"{name}:at"], flat[f"{name}:logits"] = places, logits.astype(np.float32)
    half = path.with_suffix(".half.npz")
    np.savez_compressed(half, **flat)
    half.replace(path)


def gather(paths, questions):
    """Mean logits of every question over the folds that may answer it: by task and head, [questions, labels]."""
    files = [np.load(p) for p in paths]
    made = {}
    for task in TASKS:
        made[task.name] = {}
        for head in task.heads:
            name, n = finetune.key(task, head), len(questions[task.name])
            total, count = np.zeros((n, len(head.labels))), np.zeros(n)
            for file in files:
                if f"{name}:at" in file.files:
                    np.add.at(total, file[f"{name}:at"], file[f"{name}:logits"])
                    np.add.at(count, file[f"{name}:at"], 1)
            if (count == 0).any():
                raise SystemExit(f"{name}: {int((count == 0).sum())} questions that no fold answered")
            made[task.name][head.name] = total / count[:, None]
    return made


def calibrate(logits, questions, folds=range(FOLDS)):
    """Probabilities under one temperature a head, chosen on the questions of these folds that are judged; and the temperatures."""
    probabilities, factors = {}, {}
    for task in TASKS:
        rows, asked = questions[task.name], data.answering(questions[task.name])
        probabilities[task.name], factors[task.name] = {}, {}
        for head in task.heads:
            z = logits[task.name][head.name]
            at = [i for i, q in enumerate(rows) if report.is_judged(q) and asked[i][0] in folds and q.get(head.name) is not None]
            factor = temperature(z[at], np.array([head.labels.index(rows[i][head.name]) for i in at])) if at else 1.0
            factors[task.name][head.name] = factor
            probabilities[task.name][head.name] = softmax(z * factor)
    return probabilities, factors


def write(probabilities, questions, folder):
    """oof_<task>.ndjson for each task, as cross-validation of the shipped models writes them, and report.json; gives the
    thresholds and on how many cases they rest."""
    write_labels(probabilities, questions, folder)
    figures, thresholds, cases = report.by_origin(questions, probabilities)
    unseen = held_out(questions, probabilities)
    if unseen:
        figures["held_out"] = unseen
    (folder / "report.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return figures, thresholds, cases


def write_labels(probabilities, questions, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        report.write_answers(folder / f"oof_{task.name}.ndjson", task, questions[task.name], probabilities[task.name], every=True)


def held_out(questions, probabilities):
    """Figures of the cases that nothing learned from, by the mean of the folds; none where there are too few."""
    rows, p = {}, {}
    for task, asked in questions.items():
        at = [i for i, q in enumerate(asked) if q["origin"] in data.LABELLED and q["held_out"]]
        rows[task] = [asked[i] for i in at]
        p[task] = {head: found[at] for head, found in probabilities[task].items()}
    return report.summarise(rows, p)[0] if min(map(len, rows.values())) >= FEWEST else None


def read(folder, questions, tasks=TASKS):
    """Soft labels by task and head, in the questions' order; refuses files of other questions."""
    made = {}
    for task in tasks:
        lines = [json.loads(line) for line in (folder / f"oof_{task.name}.ndjson").read_text("utf-8").splitlines()]
        mine = [hashlib.sha256(q["text"].encode()).hexdigest() for q in questions[task.name]]
        if mine != [line["text_sha256"] for line in lines]:
            raise SystemExit(f"{task.name}: the soft labels are of other questions")
        made[task.name] = {h.name: np.array([line["heads"][h.name] for line in lines]) / 1e6 for h in task.heads}
    return made
