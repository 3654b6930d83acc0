"""Trains the models: `python3 models/training/train.py`. Reads the questions that the program exported, cross-validates,
fits on all cases, writes ONNX files, tokenizer and manifest into models/, and checks them."""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import crossval
import export
import features
import report
import verify
from tasks import TASKS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CHOSEN_ON = "out-of-fold answers on the 1,320 public cases, five folds: of what each keeps, 99% is right"


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--questions", type=Path, help="folder of exported questions (default: ask the program)")
    args.add_argument("--out", type=Path, default=HERE / "out", help="out-of-fold answers and fold models")
    args.add_argument("--models", type=Path, default=HERE.parent, help="where the shipped files go")
    args = args.parse_args()
    start = time.time()
    questions = args.questions or ask_program(args.out / "questions")
    data = {task.name: read(questions / f"{task.name}.ndjson") for task in TASKS}
    markers = [m for task in TASKS for m in task.segments]
    tokenizer = features.build_tokenizer([q["text"] for rows in data.values() for q in rows], markers)
    folders = [args.models] + [args.out / f"fold{k}" for k in range(crossval.FOLDS)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        features.save_tokenizer(tokenizer, folder / "tokenizer.json")
    answers = {}
    for task in TASKS:
        answers[task.name] = train(task, tokenizer, data[task.name], folders, args.out)
        print(f"{task.name}: {time.time() - start:.0f} s", flush=True)
    figures, thresholds = report.summarise(data, answers)
    for folder in folders:
        export.write_manifest(folder, TASKS, thresholds, CHOSEN_ON)
    (args.out / "report.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(json.dumps({k: v for k, v in figures.items() if k != "errors"}, ensure_ascii=False, indent=1))
    print(f"done in {time.time() - start:.0f} s")


def ask_program(folder):
    """Lets the program render the questions."""
    public = HERE / "data" / "public"
    subprocess.run(["cargo", "run", "--quiet", "--", "questions", str(public / "tickets.jsonl"), str(public / "gold.jsonl"),
                    "--out", str(folder)], cwd=ROOT, check=True)
    return folder


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def train(task, tokenizer, questions, folders, out):
    """Cross-validates and fits one task, writes all its files; gives the out-of-fold probabilities by head."""
    encoded = features.encode(tokenizer, [q["text"] for q in questions], task.max_tokens)
    segments = features.Segments(task, tokenizer)
    rows = segments.split(encoded)
    labels = {head.name: [q[head.name] for q in questions] for head in task.heads}
    tickets = [q["ticket_id"] for q in questions]
    teaches = np.array([q.get("teaches", True) for q in questions])
    models, probabilities, factors = crossval.cross_validate(task, segments, rows, labels, tickets, teaches)
    final = crossval.Model(task, segments).fit(rows, labels, np.flatnonzero(teaches))
    final.temperature = factors
    sample = np.random.default_rng(crossval.SEED).choice(len(questions), size=min(64, len(questions)), replace=False)
    for model, folder in zip([final, *models], folders):
        path = folder / f"{task.name}.onnx"
        export.save(export.onnx_model(model, tokenizer), path)
        at = sample if model is final else sample[:8]
        verify.check(path.read_bytes(), [encoded[i] for i in at], export.logits(model, rows, at))
    report.write_answers(out / f"oof_{task.name}.ndjson", task, questions, probabilities)
    return probabilities


if __name__ == "__main__":
    main()
