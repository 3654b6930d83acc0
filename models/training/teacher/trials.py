"""What each choice buys: teachers and students made in other ways, each trained without one fold and judged on that fold and
on the held-out cases, beside the teacher and the student of the main run."""
import json
import time

import numpy as np
import torch

import answers
import data
import distil
import finetune
import loop
import model
import report
from crossval import FOLDS, softmax
from tasks import TEXT_TASKS as TASKS

FOLD = FOLDS - 1
# What differs from the main run. A student's trial is made at several precisions where `bits` says so.
TEACHERS = {
    "teacher-public": {"origins": ["public"]},
    "teacher-6-layers": {"layers": 6},
    "teacher-3-layers": {"layers": 3},
}
STUDENTS = {
    "student": {"bits": [32, 8, 4]},
    "student-small": {"size": {"width": 96, "blocks": 3, "attending": 1, "heads": 2}},
    "student-large": {"size": {"width": 384, "blocks": 6, "attending": 3, "heads": 6}},
    "student-labels-alone": {"soft": 0.0, "unlabelled": False},
    "student-no-variants": {"unlabelled": False},
    "student-unread": {"reader": False},
}


def teacher(work, name, state, rows, settings, size):
    """A teacher of the first layers, or of some of the cases."""
    trial = dict(TEACHERS[name])
    layers = trial.pop("layers", None)
    config = model.Config(vocab=len(state["embed.weight"]), **(size | ({"layers": layers} if layers else {})))
    encoder = model.Gemma(config)
    kept = encoder.state_dict().keys()
    encoder.load_state_dict({k: v for k, v in state.items() if k in kept})
    made, _ = finetune.finetune(encoder.to(loop.device()), rows, FOLD, work / f"{name}.part", **(settings | trial))
    answers.save(finetune.answer(made, rows, FOLD), work / f"{name}.npz")


def student(work, folder, name, lessons, settings, size):
    """One task's student of a trial, at each of its precisions."""
    trial = dict(STUDENTS[name])
    bits, size = trial.pop("bits", [8]), trial.pop("size", size)
    path = distil.reader_of(work, size) if trial.pop("reader", True) else None
    begun = time.time()
    made, _ = distil.train(lessons, FOLD, folder / f"{name}-{lessons.task.name}", size, path, **(settings | trial))
    for n in bits:
        rounded = name if n == 8 else f"{name}-{n}-bits"
        answers.save(distil.answer(distil.rounded(made, n), lessons, lessons.asked(FOLD)), folder / f"{rounded}.{lessons.task.name}.npz")
    weights = sum(p.numel() for p in made.parameters())
    print(f"{name} {lessons.task.name}: {weights:,} weights, {time.time() - begun:.0f} s", flush=True)


def figures(files, questions):
    """Of the fold's public and authored cases and of the held-out ones, by what these files answer."""
    found = {}
    loaded = [np.load(f) for f in files]
    for part, belongs in (("public", lambda q: q["origin"] == "public"),
                          ("authored", lambda q: q["origin"] == "authored" and not q["held_out"]),
                          ("held_out", lambda q: q["origin"] == "authored" and q["held_out"])):
        rows, p = {}, {}
        for task in TASKS:
            asked, answering = questions[task.name], data.answering(questions[task.name])
            at = [i for i, q in enumerate(asked) if FOLD in answering[i] and belongs(q)]
            rows[task.name], p[task.name] = [asked[i] for i in at], {}
            for head in task.heads:
                name = finetune.key(task, head)
                file = next(f for f in loaded if f"{name}:at" in f.files)
                place = {i: n for n, i in enumerate(file[f"{name}:at"])}
                p[task.name][head.name] = softmax(file[f"{name}:logits"][[place[i] for i in at]].astype(float))
        if min(map(len, rows.values())) < answers.FEWEST:
            continue
        made, _ = report.summarise(rows, p)
        found[part] = {"cases": len(rows["classify"]), "labels": made["label_both"]["accuracy"],
                       "first_report": made["first_report"]["accuracy"], "items": made["asked_item_valid"]["accuracy"],
                       "measures": report.share([r for m in made["measures"].values() for r in [m["accuracy"]] * m["cases"]]),
                       "settles_auc": made["settles"]["auc"]}
    return found


def write(work, questions):
    """Figures of all trials that are done, and of the main run's fold, as WORK/trials/report.json."""
    folder, made = work / "trials", {}
    groups = {"teacher-main": [work / f"fold{FOLD}.npz"],
              "student-main": [work / "students" / f"{task.name}-{FOLD}.npz" for task in TASKS]}
    for name in TEACHERS:
        groups[name] = [folder / f"{name}.npz"]
    for name in sorted({f.name.split(".")[0] for f in folder.glob("student*.*.npz")}):
        groups[name] = [folder / f"{name}.{task.name}.npz" for task in TASKS]
    for name, files in groups.items():
        if all(f.exists() for f in files):
            made[name] = figures(files, questions)
    (folder / "report.json").write_text(json.dumps(made, indent=1) + "\n")
    for name, of in made.items():
        print(name, json.dumps(of), flush=True)
    return made
