"""Trains the models: `python3 models/training/train.py`. Reads the questions that the program exported, cross-validates,
fits on all cases but the held-out ones, writes ONNX files, tokenizer and manifest into models/, and checks them."""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import augment
import calibration
import contrasts
import crossval
import export
import features
import report
import verify
import words
from tasks import GOODS, SCENES, TASKS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DATA = HERE / "data"
# What a question counts in the fit, by where its case comes from; variants (see augment.py) end with `~`.
WORTH = {"public": 1.0, "authored": 1.0, "contrasts": 0.3, "words": 0.3, "public~": 0.03, "authored~": 0.03}
# Which variants which model may learn from. The shipped models do without (see MODEL_CARD.md).
VARIANTS = {"supports": ("waybill",)}
CHOSEN_ON = "out-of-fold answers on {cases:,} public and authored cases, five folds: of what each keeps, 99.3% is right"
# What the policy node asks about: SOPs of at least this prior, so many of them at most, chosen by prior and words.
MIN_PRIOR, ASKED, WORDS_WEIGHT = 1e-4, 10, 0.5
# A smoke run learns from one case in eight.
SMOKE = (8, 0)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--questions", type=Path, help="folder of exported questions, a folder a set (default: ask the program)")
    args.add_argument("--sets", nargs="+", default=["public", "authored"], help="sets of cases under data/ to learn from")
    args.add_argument("--out", type=Path, default=HERE / "out", help="out-of-fold answers and fold models")
    args.add_argument("--models", type=Path, default=HERE.parent, help="where the shipped files go")
    args.add_argument("--variants", action="store_true", help="learn from variants of cases too (see augment.py)")
    args.add_argument("--part", type=int, nargs=2, metavar=("N", "R"), help="learn from the cases whose number leaves R when divided by N")
    args.add_argument("--smoke", action="store_true", help="a small run into a temporary folder, to see that all of it works")
    args = args.parse_args()
    if not args.smoke:
        return run(args)
    args.part = args.part or SMOKE
    with tempfile.TemporaryDirectory() as folder:
        args.out, args.models = Path(folder) / "out", Path(folder) / "models"
        run(args)
        print("smoke run: the exported models answer bit for bit as fitted")


def run(args):
    start = time.time()
    sets = [s for s in args.sets if (DATA / s / "tickets.jsonl").exists()]
    questions = args.questions or ask_program(args.out / "questions", sets, args.variants, args.part)
    data = {task.name: read(questions, sets, task.name) for task in TASKS}
    for task in set(VARIANTS) & set(data):
        data[task] += read(questions, [f"{s}~" for s in sets if args.variants], task)
    data["classify"] += words.questions(DATA / "goods_words.txt", TASKS[0])
    data["supports"] += contrasts.questions(contrasts.ITEMS, questions / contrasts.NAME)
    markers = [m for task in TASKS for m in task.segments]
    # Most SOPs are no candidates: what they would be asked with adds facts, but no characters.
    read_whole = [q["text"] for name, rows in data.items() if name != "relevant" for q in rows]
    tokenizer = features.build_tokenizer(read_whole + [q["text"].partition("[BUYERMET]")[0] for q in data["relevant"]], markers)
    # Nothing of the shipped models is touched before all of the new ones are there.
    made = args.out / "models"
    folders = [made] + [args.out / f"fold{k}" for k in range(crossval.FOLDS)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        features.save_tokenizer(tokenizer, folder / "tokenizer.json")
    answers, factors = {}, {}
    for task in TASKS:
        if task.name == "relevant":
            data["relevant"] = candidates(data["relevant"], data["classify"], answers["classify"])
        answers[task.name], factors[task.name] = train(task, tokenizer, data[task.name], folders, args.out)
        print(f"{task.name}: {time.time() - start:.0f} s", flush=True)
    figures, thresholds, cases = report.by_origin(data, answers)
    figures["calibration"] = calibration.summarise(data, answers, factors, TASKS)
    calibration.draw(figures["calibration"], made / "reliability.svg")
    for folder in folders:
        export.write_manifest(folder, TASKS, thresholds, CHOSEN_ON.format(cases=cases))
    (args.out / "report.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", "utf-8")
    write_cases(args.out / "heldout", sets, crossval.held_out)
    for split in ("dev", "test"):
        write_cases(args.out / split, sets, lambda case, origin: crossval.reward_split(case, origin) == split)
    # The reward model is trained apart, for all these folders; what decides with it must have it.
    for folder in folders:
        export.copy_verifier(args.models, folder)
    export.ship(made, args.models)
    if not args.smoke:
        brief = {part: {k: v for k, v in of.items() if k != "errors"} for part, of in figures.items()}
        print(json.dumps(brief, ensure_ascii=False, indent=1))
    print(f"done in {time.time() - start:.0f} s")


def ask_program(folder, sets, variants, part):
    """Lets the program render the questions of every set, or of a part of its cases, and of its variants if wanted."""
    def ask(files, out):
        program = [os.environ["PRAETOR"]] if "PRAETOR" in os.environ else ["cargo", "run", "--quiet", "--"]
        subprocess.run([*program, "questions", *map(str, files), "--out", str(out)], cwd=ROOT, check=True)
    for name in sets:
        files = [DATA / name / file for file in ("tickets.jsonl", "gold.jsonl")]
        if part:
            (folder / name).mkdir(parents=True, exist_ok=True)
            files = [augment.some(file, folder / name / file.name, lambda case: crossval.in_part(case, part)) for file in files]
        ask(files, folder / name)
        if variants:
            changed = folder / f"{name}~"
            augment.write(*files, changed, copies=1, kinds=sorted({kind for kinds in VARIANTS.values() for kind in kinds}))
            ask([changed / "tickets.jsonl", changed / "gold.jsonl"], changed)
    beside = folder / contrasts.NAME
    contrasts.write(contrasts.ITEMS, folder if part else DATA, sets, beside)
    ask([beside / "tickets.jsonl", beside / "gold.jsonl"], beside)
    return folder


def read(folder, sets, task):
    """The questions of all sets, each with its origin and whether it is held out."""
    found = []
    for name in sets:
        with open(folder / name / f"{task}.ndjson", encoding="utf-8") as lines:
            for line in lines:
                question = json.loads(line)
                found.append(question | {"origin": name, "held_out": crossval.held_out(question["ticket_id"], name.rstrip("~"))})
    return found


def candidates(rows, cases, answers):
    """The SOPs that the policy node would ask about, each with the prior that the labels give it out of fold."""
    labels = {q["ticket_id"]: (scene, goods) for q, scene, goods in zip(cases, answers["scene"], answers["goods_type"])}
    rank = lambda q: -q["prior"] * np.exp(WORDS_WEIGHT * q["words"] / 100)
    by_case = {}
    for q in rows:
        scene, goods = labels[q["ticket_id"]]
        prior = scene[SCENES.index(q["scene"])] * goods[[GOODS.index(kind) for kind in q["goods"]]].sum()
        if prior >= MIN_PRIOR:
            by_case.setdefault(q["ticket_id"], []).append(q | {"prior": float(prior)})
    return [q for found in by_case.values() for q in sorted(found, key=rank)[:ASKED]]


def write_cases(folder, sets, chosen):
    """The chosen cases of all sets as files of their own, for `praetor eval` and the like."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("tickets.jsonl", "gold.jsonl"):
        with open(folder / file, "w", encoding="utf-8") as out:
            for name in sets:
                for line in open(DATA / name / file, encoding="utf-8"):
                    if chosen(json.loads(line)["ticket_id"], name):
                        out.write(line)


def train(task, tokenizer, questions, folders, out):
    """Cross-validates and fits one task, writes all its files; gives the out-of-fold probabilities and the
    temperatures by head. A run that was broken off goes on after the last task that was done, if nothing has changed."""
    done = out / f"{task.name}.npz"
    digest = hashlib.sha256(json.dumps(questions, sort_keys=True).encode() + tokenizer.to_str().encode())
    for path in sorted(HERE.glob("*.py")):
        digest.update(path.read_bytes())
    digest = digest.hexdigest()
    if done.exists() and all((folder / f"{task.name}.onnx").exists() for folder in folders):
        kept = np.load(done)
        if str(kept["digest"]) == digest:
            print(f"{task.name}: done before")
            return ({head.name: kept[head.name] for head in task.heads},
                    {head.name: float(kept[f"factor {head.name}"]) for head in task.heads})
    done.unlink(missing_ok=True)
    encoded = features.encode(tokenizer, [q["text"] for q in questions], task.max_tokens)
    segments = features.Segments(task, tokenizer)
    rows = segments.split(encoded)
    labels = {head.name: [q.get(head.name) for q in questions] for head in task.heads}
    tickets = [q["ticket_id"] for q in questions]
    teaches = np.array([q.get("teaches", True) and not q["held_out"] for q in questions])
    worth = np.array([WORTH[q["origin"]] for q in questions])
    judged = np.flatnonzero([report.is_judged(q) for q in questions])
    prior = np.array([q["prior"] for q in questions]) if "prior" in questions[0] else None
    final, models, probabilities, factors = crossval.cross_validate(task, segments, rows, labels, tickets, teaches, worth,
                                                                    judged, prior)
    sample = np.random.default_rng(crossval.SEED).choice(len(questions), size=min(64, len(questions)), replace=False)
    for model, folder in zip([final, *models], folders):
        path = folder / f"{task.name}.onnx"
        export.save(export.onnx_model(model, tokenizer), path)
        at = sample if model is final else sample[:8]
        verify.check(path.read_bytes(), [encoded[i] for i in at], export.logits(model, rows, at))
    report.write_answers(out / f"oof_{task.name}.ndjson", task, questions, probabilities)
    np.savez(done, digest=digest, **probabilities, **{f"factor {name}": factor for name, factor in factors.items()})
    return probabilities, factors


if __name__ == "__main__":
    main()
