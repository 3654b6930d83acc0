"""Makes variants of cases: `augment.py TICKETS GOLD --out DIR [--copies N] [--kinds …]`. Seeded; the same input gives the same files.

A variant keeps its case's gold, but for what a change alters by design: evidence swapped in from a case about something
else is `unrelated`, evidence whose waybill is another's or that is another order's is `wrong_order`, an amount edited
everywhere is another quantity with another remedy. What follows from an item, a party's verdict and the remedy, is not worked
out anew: variants are for questions, not for whole decisions. Questions are rendered from the variants by the program,
as from any case. A variant's id is its case's with `~` and a number, so it stays in its case's fold and is held out with it.
"""
import argparse
import copy
import hashlib
import json
import random
import re
from pathlib import Path

SEED = 20260101
WAYBILL = re.compile(r"[A-Z]{2}\d{12}")
LOOKALIKES = {"日": "曰", "己": "已", "未": "末", "0": "O", "1": "l", "侧": "则", "单": "単", "视": "祝", "间": "问", "货": "贷"}
FULL_WIDTH = {ord(c): ord(c) + 0xFEE0 for c in "0123456789"}


def turns(ticket, gold, rng, others):
    """Drops messages after the first report, or before it where they are the seller's."""
    first = gold["first_report"]["index"]
    if gold["settles"] or not ticket["dialogue"]:
        return False
    kept, moved = [], first
    for i, message in enumerate(ticket["dialogue"]):
        may_go = i != first and (first is None or i > first or message["from"] == "seller")
        if may_go and rng.random() < .3:
            moved = moved - 1 if first is not None and i < first else moved
        else:
            kept.append(message)
    ticket["dialogue"], gold["first_report"]["index"] = kept, moved
    return True


def swap(ticket, gold, rng, others):
    """Puts an item of a case about something else in the place of an unrelated or of a valid one: it is unrelated then."""
    other, other_gold = rng.choice(others)
    # Within its fold, and held-out cases among themselves: else answers would not be out of fold.
    if kin(other["ticket_id"]) != kin(ticket["ticket_id"]):
        return swap(ticket, gold, rng, others)
    if other_gold["scene"] == gold["scene"] or not other["evidence"] or not ticket["evidence"]:
        return False
    item, new = rng.choice(ticket["evidence"]), rng.choice(other["evidence"])
    item["content"] = new["content"]
    gold["evidence"]["items"][item["evidence_id"]] = {"requirement": None, "valid": False, "defect": "unrelated"}
    return True


def waybill(ticket, gold, rng, others):
    """Shows another waybill in an item that is valid and shows its own: an item of another order."""
    own = {ticket["order"].get("waybill"), ticket.get("return", {}).get("waybill")} - {None}
    fitting = [e for e in ticket["evidence"] if gold["evidence"]["items"][e["evidence_id"]]["valid"]
               and set(WAYBILL.findall(e["content"])) & own]
    if not fitting:
        return False
    item = rng.choice(fitting)
    item["content"] = WAYBILL.sub(lambda m: m[0][:2] + "".join(rng.choice("0123456789") for _ in range(12)), item["content"])
    wanted = gold["evidence"]["items"][item["evidence_id"]]
    wanted["valid"], wanted["defect"] = False, "wrong_order"
    return True


def foreign(ticket, gold, rng, others):
    """Puts what met the same requirement in another case, with that order's waybill, in the place of a valid item."""
    items = gold["evidence"]["items"]
    valid = [e for e in ticket["evidence"] if items[e["evidence_id"]]["valid"]]
    if not valid:
        return False
    item = rng.choice(valid)
    wanted = items[item["evidence_id"]]
    fitting = [e for other, other_gold in others if other_gold["sop"] == gold["sop"] and other["ticket_id"] != ticket["ticket_id"]
               and kin(other["ticket_id"]) == kin(ticket["ticket_id"]) for e in other["evidence"]
               if e["kind"] == item["kind"] and other_gold["evidence"]["items"][e["evidence_id"]]["requirement"] == wanted["requirement"]
               and other_gold["evidence"]["items"][e["evidence_id"]]["valid"] and WAYBILL.search(e["content"])]
    if not fitting:
        return False
    item["content"] = rng.choice(fitting)["content"]
    wanted["valid"], wanted["defect"] = False, "wrong_order"
    return True


def amounts(ticket, gold, rng, others):
    """Another amount on the receipts or between the prices, the same everywhere; the remedy follows where it pays it."""
    for kind in ("receipt_amount", "price_diff"):
        old = gold["quantities"].get(kind)
        if old is None:
            continue
        written = re.compile(rf"(?<![0-9.]){re.escape(f'{float(old):.2f}')}(?![0-9])")
        new = f"{float(old) * rng.uniform(0.9, 1.1):.2f}"
        if not any(written.search(holder[key]) for holder, key in texts(ticket)):
            return False
        for holder, key in texts(ticket):
            holder[key] = written.sub(new, holder[key])
        for paid in ("refund", "compensation"):
            if gold["remedy"][paid] == old:
                gold["remedy"][paid] = new
        gold["quantities"][kind] = new
        return True
    return False


def speakers(ticket, gold, rng, others):
    """One message after the first report stands under the other party's name."""
    first = gold["first_report"]["index"]
    later = ticket["dialogue"][first + 1:] if first is not None else []
    if not later or gold["settles"]:
        return False
    message = rng.choice(later)
    message["from"] = "seller" if message["from"] == "buyer" else "buyer"
    return True


def ocr(ticket, gold, rng, others):
    """Misread and lost characters in contents, as of a poor scan; waybills stay, for a number decides."""
    def noisy(text):
        spared = {i for m in WAYBILL.finditer(text) for i in range(*m.span())}
        out = []
        for i, c in enumerate(text):
            if i in spared or rng.random() > .03:
                out.append(c)
            elif c in LOOKALIKES:
                out.append(LOOKALIKES[c])
            elif not c.isdigit() and rng.random() < .5:
                out.append(c + " ")
            elif c.isdigit():
                out.append(c)
        return "".join(out)
    for item in ticket["evidence"]:
        item["content"] = noisy(item["content"])
    return bool(ticket["evidence"])


def speech(ticket, gold, rng, others):
    """What speech to text and haste do to a party's words: no punctuation, fillers, doubled characters."""
    fillers = ("那个", "就是", "嗯", "然后", "啊")

    def spoken(text):
        text = re.sub(r"[，。！？；、]", lambda m: rng.choice(("", " ", rng.choice(fillers))), text)
        return "".join(c + c if rng.random() < .01 and not c.isdigit() else c for c in text) or text
    ticket["claim"]["statement"] = spoken(ticket["claim"]["statement"])
    for message in ticket["dialogue"]:
        if message["from"] == "buyer":
            message["text"] = spoken(message["text"]) or message["text"]
    return True


def width(ticket, gold, rng, others):
    """Full-width digits and zero-width characters, which mean nothing."""
    def disguised(text):
        return "".join(c.translate(FULL_WIDTH) + ("\u200b" if rng.random() < .05 else "") for c in text)
    for holder, key in texts(ticket):
        holder[key] = disguised(holder[key])
    return True


def texts(ticket):
    """Where a ticket holds words: the statement, the messages, the contents of evidence."""
    return [(ticket["claim"], "statement")] + [(m, "text") for m in ticket["dialogue"]] + [(e, "content") for e in ticket["evidence"]]


def kin(ticket_id):
    """The fold and whether it is held out, as in crossval.py."""
    digest = hashlib.sha256(ticket_id.encode()).hexdigest()
    return int(digest[:8], 16) % 5, ticket_id.startswith("PA") and int(digest[8:16], 16) % 10 == 0


KINDS = {f.__name__: f for f in (turns, swap, waybill, foreign, amounts, speakers, ocr, speech, width)}


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("tickets", type=Path)
    args.add_argument("gold", type=Path)
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--copies", type=int, default=1)
    args.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    args = args.parse_args()
    made, cases = write(args.tickets, args.gold, args.out, args.copies, args.kinds)
    print(f"{made} variants of {cases} cases")


def rows(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def some(path, to, chosen):
    """Copies the lines of the cases whose ids are chosen; gives where to."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    to.write_text("".join(line for line in lines if chosen(json.loads(line)["ticket_id"])), "utf-8")
    return to


def with_gold(tickets_path, gold_path):
    """Every ticket with its gold."""
    gold = {g["ticket_id"]: g for g in rows(gold_path)}
    return [(t, gold[t["ticket_id"]]) for t in rows(tickets_path)]


def write(tickets_path, gold_path, out, copies, kinds):
    """Writes the variants of all cases, each with up to two kinds of changes; gives how many there are, of how many cases."""
    cases = with_gold(tickets_path, gold_path)
    out.mkdir(parents=True, exist_ok=True)
    made = 0
    with (open(out / "tickets.jsonl", "w", encoding="utf-8") as tickets, open(out / "gold.jsonl", "w", encoding="utf-8") as golds):
        for ticket, known in cases:
            for n in range(1, copies + 1):
                rng = random.Random(f"{SEED}/{ticket['ticket_id']}/{n}")
                ticket_, known_ = copy.deepcopy(ticket), copy.deepcopy(known)
                chosen = rng.sample(kinds, k=min(2, len(kinds)))
                if any([KINDS[kind](ticket_, known_, rng, cases) for kind in chosen]):
                    ticket_["ticket_id"] = known_["ticket_id"] = f"{ticket['ticket_id']}~{n}"
                    tickets.write(json.dumps(ticket_, ensure_ascii=False) + "\n")
                    golds.write(json.dumps(known_, ensure_ascii=False) + "\n")
                    made += 1
    return made, len(cases)


if __name__ == "__main__":
    main()
