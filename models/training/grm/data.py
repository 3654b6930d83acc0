"""The second pass's data: right and wrong decisions as it reads them (PRA), each with its verdict and a reflection written
from the gold. Asks the program for the decisions; splits by case. `python3 models/training/grm/data.py` writes
out/grm/decisions.ndjson."""
import argparse
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from augment import some
from crossval import in_part, reward_split
from reflect import faults, holding, reflect

ROOT = HERE.parents[2]
DATA = HERE.parent / "data"
SETS = ("public", "authored")
# How many seeds a falsehood is drawn with.
SEEDS = {kind: range(1, 1 + seeds) for kind, seeds in {"noise": 2, "sop": 3, "report": 3, "evidence": 5, "measure": 2, "clock": 1,
                                                       "burden": 1, "row": 2, "amount": 2}.items()}
# Judges that learned from one case in so many, and from which: they decide the others, and err in earnest and in numbers.
PARTS = tuple((n, rest) for n, of_it in ((2, 1), (4, 3), (8, 4), (16, 3)) for rest in range(of_it))
# Of what is drawn about 40% is wrong.
WRONG_SHARE = 0.40
# Shares of the wrong ones. The pipeline's own errors are few, and known by heart if shown often.
WRONG = {"real": 0.03, "weak": 0.20, "noise": 0.06, "sop": 0.12, "report": 0.08, "evidence": 0.16, "measure": 0.05, "clock": 0.09,
         "burden": 0.08, "row": 0.09, "amount": 0.04}
# Shares of the right ones: falsehoods of every kind that change nothing are among them, so that none gives itself away.
RIGHT = {"real": 0.25, "weak": 0.30, "noise": 0.08, "sop": 0.05, "report": 0.09, "evidence": 0.10, "measure": 0.03, "clock": 0.03,
         "burden": 0.03, "row": 0.02, "amount": 0.02}
# Facts are hidden in a share of the decisions, so that the question stays hard.
HIDDEN = 0.25


def ask_program(out, fold_models, program):
    """Writes one file of decisions a set, kind and seed or part; files that are there are kept."""
    def decide(path, tickets, gold, *options):
        if not path.exists():
            command = [*program, "pra", tickets, "--gold", gold, *options]
            path.write_bytes(subprocess.run(list(map(str, command)), cwd=ROOT, check=True, capture_output=True).stdout)

    out.mkdir(parents=True, exist_ok=True)
    runs = []
    for origin in SETS:
        files = [DATA / origin / name for name in ("tickets.jsonl", "gold.jsonl")]
        runs.append((out / f"{origin}.real.1.ndjson", *files, "--fold-models", fold_models))
        for kind, seeds in SEEDS.items():
            runs += [(out / f"{origin}.{kind}.{seed}.ndjson", *files, "--fold-models", fold_models, "--disturb", kind, "--seed", seed)
                     for seed in seeds]
        for part in PARTS:
            models, name = weak_models(out.parent, part, program), "{}-{}".format(*part)
            others = [some(file, models / f"{origin}.{file.name}", lambda case: not in_part(case, part)) for file in files]
            runs.append((out / f"{origin}.weak.{name}.ndjson", *others, "--models", models))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda run: decide(*run), runs))


def weak_models(out, part, program):
    """Judges that learned from a part of the cases, trained if they are not there."""
    folder = out / "weak" / "{}-{}".format(*part)
    if not (folder / "manifest.toml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, HERE.parent / "train.py", "--part", *part, "--out", folder / "out", "--models", folder]
        subprocess.run(list(map(str, command)), env=os.environ | ({"PRAETOR": program[0]} if len(program) == 1 else {}), check=True,
                       stdout=subprocess.DEVNULL)
    return folder


def few(path, program):
    """A handful of decisions from the examples, by the shipped models, for a smoke run: a third of the cases a split."""
    files = [ROOT / "examples" / name for name in ("tickets.jsonl", "gold.jsonl")]
    gold = {row["ticket_id"]: row for row in map(json.loads, open(files[1], encoding="utf-8"))}
    with open(path.with_suffix(".tickets"), "w", encoding="utf-8") as tickets:
        # What is refused on purpose is no decision.
        tickets.writelines(line for line in open(files[0], encoding="utf-8") if json.loads(line).get("ticket_id") in gold)
    rng, rows = random.Random(7), []
    for kind in ("real", *SEEDS):
        disturb = [] if kind == "real" else ["--disturb", kind]
        command = [*program, "pra", path.with_suffix(".tickets"), "--gold", files[1], *disturb]
        lines = subprocess.run(list(map(str, command)), cwd=ROOT, check=True, capture_output=True, text=True).stdout
        rows += [json.loads(line) | {"kind": kind} for line in lines.splitlines()]
    splits = {ticket: ("train", "train", "dev", "test")[i % 4] for i, ticket in enumerate(sorted(gold))}
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            row |= {"origin": "examples", "split": splits[row["ticket_id"]], "gold": gold[row["ticket_id"]]}
            file.write(json.dumps(example(row, rng, False), ensure_ascii=False) + "\n")


def read(out):
    """Every decision, with its set, its split and its gold."""
    gold = {}
    for origin in SETS:
        for line in open(DATA / origin / "gold.jsonl", encoding="utf-8"):
            row = json.loads(line)
            gold[row["ticket_id"]] = row
    for path in sorted(out.glob("*.*.*.ndjson")):
        origin, kind, _, _ = path.name.split(".")
        for line in open(path, encoding="utf-8"):
            row = json.loads(line)
            row |= {"origin": origin, "kind": kind, "split": reward_split(row["ticket_id"], origin), "gold": gold[row["ticket_id"]]}
            yield row


def hide(pra, rng):
    """Leaves lines of P out, and tells which items of evidence went: what a reader is not told it must not claim to know."""
    lines = pra.split("\n")
    end = lines.index("[R]")
    may = [i for i in range(2, end) if lines[i].startswith(("[诉求]", "[买家]", "[商家]", "[材料]", "[物流]"))]
    gone = set(rng.sample(may, max(1, len(may) // 2))) if may else set()
    items = {lines[i].removeprefix("[材料]").split(" ")[0] for i in gone if lines[i].startswith("[材料]")}
    return "\n".join(line for i, line in enumerate(lines) if i not in gone), items


# A day as messages, words and labels write it: 05-12 08:30, 5月12日, 2025-05-12.
DAY = re.compile(r"(?<![0-9])(?:(20[0-9]{2})([-年]))?([01]?[0-9])([-月])([0-3]?[0-9])(?= [0-9]{2}:|[日号]|(?<=20[0-9]{2}-[0-9]{2}-[0-9]{2}))")
LONG_NUMBER = re.compile(r"[0-9]{6,}")
def veil(pra, rng):
    """Other days and other long numbers, the same ones for the same everywhere: what holds between them stays, but the case
    is not known by them."""
    shift, digits = timedelta(rng.randrange(-150, 150)), dict(zip("0123456789", rng.sample("0123456789", 10)))

    def moved(match):
        try:
            day = date(int(match[1] or 2025), int(match[3]), int(match[5])) + shift
        except ValueError:
            return match[0]
        written = lambda number, as_in: f"{number:02}" if len(as_in) == 2 else str(number)
        head = f"{day.year}{match[2]}" if match[1] else ""
        return head + written(day.month, match[3]) + match[4] + written(day.day, match[5])

    pra = DAY.sub(moved, pra)
    return LONG_NUMBER.sub(lambda match: "".join(digits[c] for c in match[0]), pra)


def example(row, rng, hidden):
    pra, gone = hide(row["pra"], rng) if hidden else (row["pra"], set())
    if row["split"] == "train":
        pra = veil(pra, rng)
    return {"ticket_id": row["ticket_id"], "origin": row["origin"], "kind": row["kind"], "split": row["split"], "hidden": hidden,
            "pra": pra, "right": row["right"], "confidence": row["confidence"], "outcome": row["outcome"],
            "faults": faults(row), "lines": holding(row, pra), "reflection": reflect(row, rng, hidden, gone)}


def draw(rows, size, rng):
    """So many training examples in the shares above; small groups are drawn from again and again."""
    pools = {}
    for row in rows:
        pools.setdefault((row["kind"], row["right"]), []).append(row)
    drawn = []
    for right, shares in ((False, WRONG), (True, RIGHT)):
        part = size * (1 - WRONG_SHARE if right else WRONG_SHARE)
        for kind, share in shares.items():
            pool = pools.get((kind, right), [])
            want = round(part * share)
            for start in range(0, want if pool else 0, len(pool) or 1):
                drawn += rng.sample(pool, min(len(pool), want - start))
    rng.shuffle(drawn)
    return [example(row, rng, rng.random() < HIDDEN) for row in drawn]


def build(out, size, seed=7):
    """Training examples, and all decisions of the other splits: the real ones as they are, corrupted ones apart."""
    rng = random.Random(seed)
    rows = list(read(out))
    train = draw([r for r in rows if r["split"] == "train"], size, rng)
    rest = [r for r in rows if r["split"] != "train" and (r["kind"] == "real" or rng.random() < 0.12)]
    return train + [example(row, rng, False) for row in rest]


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--out", type=Path, default=HERE.parent / "out" / "grm")
    args.add_argument("--fold-models", type=Path, default=HERE.parent / "out")
    args.add_argument("--size", type=int, default=90_000, help="training examples to draw")
    args.add_argument("--program", nargs="+", default=["cargo", "run", "--quiet", "--"])
    args = args.parse_args()
    ask_program(args.out / "pra", args.fold_models.resolve(), args.program)
    rows = build(args.out / "pra", args.size)
    with open(args.out / "decisions.ndjson", "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    for split in ("train", "dev", "test"):
        own = [r for r in rows if r["split"] == split]
        kinds = Counter((r["kind"], r["right"]) for r in own)
        print(split, len(own), f"{sum(not r['right'] for r in own) / len(own):.3f} wrong",
              {k: (kinds[k, True], kinds[k, False]) for k in dict.fromkeys(k for k, _ in kinds)})


if __name__ == "__main__":
    main()
