"""How well evidence is judged by requirements that training never saw: `unseen.py` (after `train.py`, on its questions).

Eight SOPs are chosen by the hash of their names. No question about any of their requirements is trained on; the figures
are of exactly those questions. The model is not kept.
"""
import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

import contrasts
import crossval
import features
import report
import train
from tasks import SUPPORTS, VERDICTS

SOPS = 8


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--questions", type=Path, default=train.HERE / "out" / "questions")
    args = args.parse_args()
    sets = ("public", "authored")
    rows = train.read(args.questions, sets, "supports") + contrasts.questions(contrasts.ITEMS, args.questions / contrasts.NAME)
    gold = [json.loads(line) for s in sets for line in open(train.DATA / s / "gold.jsonl", encoding="utf-8")]
    sop_of = {g["ticket_id"]: g["sop"] for g in gold}
    sop = lambda q: sop_of[crossval.case_of(q["ticket_id"])]
    asking = sorted({sop(q) for q in rows}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    away = set(asking[:SOPS])
    hidden = {q["requirement"] for q in rows if sop(q) in away}
    tokenizer = features.build_tokenizer([q["text"] for q in rows], SUPPORTS.segments)
    segments = features.Segments(SUPPORTS, tokenizer)
    split = segments.split(features.encode(tokenizer, [q["text"] for q in rows], SUPPORTS.max_tokens))
    unseen = np.array([q["requirement"] in hidden for q in rows])
    worth = np.array([train.WORTH[q["origin"]] for q in rows])
    held = np.array([q["held_out"] for q in rows])
    case = np.array([report.is_case(q) for q in rows])
    model, *_ = crossval.cross_validate(SUPPORTS, segments, split, {"verdict": [q["verdict"] for q in rows]},
                                        [q["ticket_id"] for q in rows], ~unseen & ~held, worth, np.flatnonzero(~unseen & ~held & case))
    test = np.flatnonzero(unseen & case)
    best = model.scores(split, test)["verdict"].argmax(axis=1)
    right = np.array([VERDICTS[b] == rows[i]["verdict"] for b, i in zip(best, test)])
    items = {}
    for b, i in zip(best, test):
        seen = items.setdefault((rows[i]["ticket_id"], rows[i]["evidence_id"]), [False, False])
        seen[0] |= b == 0
        seen[1] |= rows[i]["verdict"] == "valid"
    print(json.dumps({"sops": sorted(away), "requirements": len(hidden), "questions": len(test), "verdict": round(float(right.mean()), 4),
                      "items": len(items), "item_valid": round(float(np.mean([a == b for a, b in items.values()])), 4),
                      "majority": round(float(np.mean([rows[i]["verdict"] == "valid" for i in test])), 4)}, indent=1))


if __name__ == "__main__":
    main()
