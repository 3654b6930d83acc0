"""The second pass's data: right and wrong decisions as it reads them (PRA), each with its verdict and a reflection written
from the gold. Asks the program for the decisions; splits by case. `python3 models/training/grm/data.py` writes
out/grm/decisions.ndjson, and to out/grm/unseen the cases that certify what comes of it."""
import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from crossval import fold_of, held_out
from reflect import faults, holding, reflect

ROOT = HERE.parents[2]
DATA = HERE.parent / "data"
SETS = ("public", "authored")
# Nothing learns from these cases: the last fold and whatever is held out are measured on, the fold before chooses.
TEST_FOLD, DEV_FOLD = 4, 3
# How often a decision is drawn, by how it came about. Of what is drawn about 40% is wrong.
SEEDS = {kind: range(1, 1 + seeds) for kind, seeds in {"noise": 12, "sop": 4, "report": 3, "evidence": 8, "measure": 2, "clock": 3,
                                                       "burden": 1, "row": 4, "amount": 4}.items()}
WRONG_SHARE = 0.40
# Shares of the wrong ones. The pipeline's own errors are few, and known by heart if shown often.
WRONG = {"real": 0.06, "noise": 0.38, "sop": 0.14, "report": 0.06, "evidence": 0.18, "measure": 0.04, "clock": 0.04,
         "burden": 0.04, "row": 0.03, "amount": 0.03}
RIGHT = {"real": 0.50, "noise": 0.30, "evidence": 0.08, "report": 0.08, "sop": 0.04}
# Facts are hidden in a share of the decisions, so that the question stays hard.
HIDDEN = 0.25


def split_of(ticket, origin):
    if held_out(ticket, origin) or fold_of(ticket) == TEST_FOLD:
        return "test"
    return "dev" if fold_of(ticket) == DEV_FOLD else "train"


def ask_program(out, fold_models, program):
    """Writes one file of decisions a set, kind and seed; files that are there are kept."""
    out.mkdir(parents=True, exist_ok=True)
    for origin in SETS:
        files = [DATA / origin / "tickets.jsonl", "--gold", DATA / origin / "gold.jsonl", "--fold-models", fold_models]
        runs = [("real", 1)] + [(kind, seed) for kind, seeds in SEEDS.items() for seed in seeds]
        for kind, seed in runs:
            path = out / f"{origin}.{kind}.{seed}.ndjson"
            if path.exists():
                continue
            disturb = [] if kind == "real" else ["--disturb", kind, "--seed", seed]
            lines = subprocess.run([*program, "pra", *map(str, files + disturb)], cwd=ROOT, check=True, capture_output=True).stdout
            path.write_bytes(lines)


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


def unseen(out):
    """The cases that no reward model learns from, as tickets and gold: what certifies it."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("tickets.jsonl", "gold.jsonl"):
        with open(out / name, "w", encoding="utf-8") as file:
            for origin in SETS:
                lines = open(DATA / origin / name, encoding="utf-8")
                file.writelines(line for line in lines if split_of(json.loads(line)["ticket_id"], origin) != "train")


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
            row |= {"origin": origin, "kind": kind, "split": split_of(row["ticket_id"], origin), "gold": gold[row["ticket_id"]]}
            yield row


def hide(pra, rng):
    """Leaves lines of P out: what a reader is not told it must not claim to know."""
    lines = pra.split("\n")
    end = lines.index("[R]")
    may = [i for i in range(2, end) if lines[i].startswith(("[诉求]", "[买家]", "[商家]", "[材料]", "[物流]"))]
    gone = set(rng.sample(may, max(1, len(may) // 2))) if may else set()
    return "\n".join(line for i, line in enumerate(lines) if i not in gone)


def example(row, rng, hidden):
    pra = hide(row["pra"], rng) if hidden else row["pra"]
    return {"ticket_id": row["ticket_id"], "origin": row["origin"], "kind": row["kind"], "split": row["split"], "hidden": hidden,
            "pra": pra, "right": row["right"], "confidence": row["confidence"], "outcome": row["outcome"],
            "faults": faults(row), "lines": holding(row, pra), "reflection": reflect(row, rng, hidden)}


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
    unseen(args.out / "unseen")
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
