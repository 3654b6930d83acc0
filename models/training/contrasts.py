"""Items written to contrast with an item of a case: the same requirement and the same order, once with every element, once
with one missing, once of another order (`data/contrasts`). The judge of evidence learns from them; nothing else does.

An item stands in a copy of its case whose id is the case's with `~c` and a number, so it stays in its case's fold.
"""
import copy
import json
from pathlib import Path

import crossval
from augment import rows, with_gold

NAME = "contrasts"
ITEMS = Path(__file__).resolve().parent / "data" / NAME / "items.jsonl"
VERDICTS = ("valid", "incomplete", "wrong_order")


def write(items, data, sets, out):
    """Writes tickets and gold of all contrasts into the folder `out`."""
    cases = {}
    for origin in sets:
        found = with_gold(data / origin / "tickets.jsonl", data / origin / "gold.jsonl")
        cases |= {ticket["ticket_id"]: (origin, ticket, gold) for ticket, gold in found}
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "tickets.jsonl", "w", encoding="utf-8") as tickets, open(out / "gold.jsonl", "w", encoding="utf-8") as golds:
        for n, item in enumerate(rows(items), 1):
            if item["ticket_id"] not in cases:
                continue
            origin, ticket, gold = copy.deepcopy(cases[item["ticket_id"]])
            assert not crossval.held_out(ticket["ticket_id"], origin), f"{items}: line {n}: {ticket['ticket_id']} is held out"
            assert item["verdict"] in VERDICTS, f"{items}: line {n}: verdict {item['verdict']}, one of {VERDICTS} is needed"
            given = next(e for e in ticket["evidence"] if e["evidence_id"] == item["evidence_id"])
            given["content"] = item["content"]
            valid = item["verdict"] == "valid"
            gold["evidence"]["items"][item["evidence_id"]] = {"requirement": item["requirement"], "valid": valid,
                                                              "defect": None if valid else item["verdict"]}
            ticket["ticket_id"] = gold["ticket_id"] = f"{item['ticket_id']}~c{n}"
            tickets.write(json.dumps(ticket, ensure_ascii=False) + "\n")
            golds.write(json.dumps(gold, ensure_ascii=False) + "\n")


def questions(items, exported):
    """Of the questions about those copies the ones about the items, as the other questions of `supports`. A fact that no
    other question has says that they are contrasts: most lack something, and without it valid items would be thought to."""
    about = {f"{item['ticket_id']}~c{n}": item["evidence_id"] for n, item in enumerate(rows(items), 1)}
    marked = lambda q: q["text"].replace("[FACTS]", f"[FACTS][F:{NAME}]", 1)
    return [q | {"text": marked(q), "origin": NAME, "held_out": False} for q in rows(exported / "supports.ndjson")
            if q["evidence_id"] == about[q["ticket_id"]]]
