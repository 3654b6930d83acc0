#!/usr/bin/env python3
"""Joins drawn sheets with the texts written for them, checks every case, and writes tickets and gold.

    assemble.py [--partial] --sheets SHEETS.jsonl ... --texts TEXTS.jsonl ... --tickets OUT --gold OUT
    assemble.py --check        the cases of this folder as they are

Texts come one case a line: {ticket_id, title, spec, seller, reason, statement, messages: [...], evidence: [...]}, in
the order of the sheet's messages and items. A case that fails a check is named with the rule it breaks, and nothing
is written. --partial accepts sheets without texts.
"""
import argparse
import collections
import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
WAYBILL = re.compile(r"(?<![A-Z0-9])(?:SF|JD|ZT|YT|YD|JT)\d{12}(?!\d)")
SHINGLE = 24
LIMITS = {"title": (6, 60), "spec": (1, 40), "seller": (2, 30), "reason": (2, 40), "statement": (12, 400)}


def read(paths):
    for path in paths:
        for n, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                try:
                    yield f"{path}:{n}", json.loads(line)
                except ValueError as error:
                    sys.exit(f"{path}:{n}: {error}")


def shingles(text):
    text = re.sub(r"\s+", "", text)
    return {text[i:i + SHINGLE] for i in range(len(text) - SHINGLE + 1)}


def texts_of(ticket):
    yield ticket["claim"]["statement"]
    yield from (m["text"] for m in ticket["dialogue"])
    yield from (e["content"] for e in ticket["evidence"])


def numbers(text):
    """Every plain number in a text, as hundredths."""
    return {round(float(n.replace(",", "")) * 100) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}


def join(sheet, text):
    """The ticket of a sheet and its texts."""
    order = {k: v for k, v in sheet["order"].items() if k not in ("quantity", "unit_price")}
    order["items"] = [{"title": text["title"], "spec": text["spec"], "quantity": sheet["order"]["quantity"], "unit_price": sheet["order"]["unit_price"]}]
    order["seller"] = {"name": text["seller"]}
    ticket = {"ticket_id": sheet["ticket_id"], "opened_at": sheet["opened_at"], "order": order}
    if "return" in sheet:
        ticket["return"] = sheet["return"]
    ticket["claim"] = {"filed_at": sheet["claim"]["filed_at"], "kind": sheet["claim"]["kind"], "reason": text["reason"], "statement": text["statement"]}
    ticket["dialogue"] = [{"at": m["at"], "from": m["from"], "text": t} for m, t in zip(sheet["dialogue"], text["messages"])]
    ticket["evidence"] = [{k: e[k] for k in ("evidence_id", "party", "kind", "submitted_at")} | {"content": t} for e, t in zip(sheet["evidence"], text["evidence"])]
    ticket["logistics"] = sheet["logistics"]
    return ticket


def faults(sheet, text):
    """What a script can see of a text that does not fit its sheet."""
    for field, (low, high) in LIMITS.items():
        value = text.get(field)
        if not isinstance(value, str) or not low <= len(value) <= high:
            yield f"{field} must be a text of {low} to {high} characters"
    for field, slots, high in (("messages", sheet["dialogue"], 160), ("evidence", sheet["evidence"], 400)):
        value = text.get(field)
        if not isinstance(value, list) or len(value) != len(slots):
            yield f"{field} must hold {len(slots)} texts"
        elif not all(isinstance(t, str) and 1 <= len(t) <= high for t in value):
            yield f"{field} must hold texts of 1 to {high} characters"
    extra = set(text) - set(LIMITS) - {"ticket_id", "messages", "evidence"}
    if extra:
        yield f"unknown fields {sorted(extra)}"


def content_faults(ticket, gold, needs_waybill):
    own = {ticket["order"].get("waybill"), ticket.get("return", {}).get("waybill")} - {None}
    for item in ticket["evidence"]:
        want = gold["evidence"]["items"][item["evidence_id"]]
        shown = set(WAYBILL.findall(item["content"]))
        name = item["evidence_id"]
        if len(item["content"]) < 20:
            yield f"{name}: content under 20 characters"
        if want["defect"] in (None, "late") and shown - own:
            yield f"{name}: a valid item shows the waybill of another order"
        if want["defect"] == "wrong_order" and shown & own:
            yield f"{name}: an item of another order shows this order's waybill"
        if want["defect"] in (None, "late") and want["requirement"] in needs_waybill and own and not shown & own:
            yield f"{name}: {want['requirement']} asks for the waybill; the item does not show it"
        if re.search(r"伪造|系P图|造假|迟交|逾期提交", item["content"]):
            yield f"{name}: draws the conclusion instead of describing what is seen"
    everything = "\n".join(texts_of(ticket))
    found = numbers(everything)
    for kind in ("receipt_amount", "price_diff"):
        if kind in gold["quantities"]:
            amount = round(float(gold["quantities"][kind]) * 100)
            sums = amount in found or any(amount - n in found for n in found) or any(amount + n in found for n in found)
            if not sums:
                yield f"{kind} {gold['quantities'][kind]} can be read nowhere"
    if re.search(r"[\u200b-\u200f\ufeff]|\t", everything):
        yield "invisible characters"


def asking_for_waybills():
    """The requirements that the parcel's label has to be seen for."""
    found = set()
    for path in (ROOT / "sop_rules" / "demo").glob("*.yaml"):
        proof = yaml.safe_load(path.read_text(encoding="utf-8")).get("proof") or {}
        found |= {r["id"] for p in ("buyer", "seller") for r in proof.get(p) or [] if "面单" in r["zh"] and "签收" not in r["zh"]}
    return found


def copied(tickets):
    """Runs of characters that stand in the public set, or in more than three of the cases."""
    public, seen = set(), collections.defaultdict(set)
    for _, ticket in read([ROOT / "models/training/data/public/tickets.jsonl"]):
        for text in texts_of(ticket):
            public |= shingles(text)
    for ticket in tickets:
        for text in texts_of(ticket):
            own = shingles(text)
            if own & public:
                yield f"{ticket['ticket_id']}: copies the public set: {min(own & public)}"
            for s in own:
                seen[s].add(ticket["ticket_id"])
    for s, ids in seen.items():
        if len(ids) > 3:
            yield f"the same {SHINGLE} characters in {len(ids)} cases ({', '.join(sorted(ids)[:4])}): {s}"


def end(bad, cases):
    if bad:
        print("\n".join(bad[:200]))
        sys.exit(f"{len(bad)} faults in {cases} cases")


def check():
    """The checks of content, and that each ticket has its gold, on what is in the tree."""
    here = pathlib.Path(__file__).parent
    golds = {gold["ticket_id"]: gold for _, gold in read([here / "gold.jsonl"])}
    tickets, needs_waybill = [ticket for _, ticket in read([here / "tickets.jsonl"])], asking_for_waybills()
    bad = [f"{ticket['ticket_id']} has no gold" for ticket in tickets if ticket["ticket_id"] not in golds]
    bad += [f"{name} is gold without a ticket" for name in golds.keys() - {ticket["ticket_id"] for ticket in tickets}]
    end(bad, len(tickets))
    bad = [f"{t['ticket_id']}: {fault}" for t in tickets for fault in content_faults(t, golds[t["ticket_id"]], needs_waybill)]
    end(bad + list(copied(tickets)), len(tickets))
    print(f"{len(tickets)} cases pass")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--check", action="store_true")
    args.add_argument("--partial", action="store_true")
    args.add_argument("--sheets", nargs="+", default=[])
    args.add_argument("--texts", nargs="+", default=[])
    args.add_argument("--tickets", type=pathlib.Path)
    args.add_argument("--gold", type=pathlib.Path)
    parser, args = args, args.parse_args()
    if args.check:
        return check()
    if not (args.sheets and args.texts):
        parser.error("--sheets and --texts are required, or --check")
    sheets, needs_waybill = {s["ticket_id"]: s for _, s in read(args.sheets)}, asking_for_waybills()
    bad, tickets, golds = [], [], []
    for where, text in read(args.texts):
        sheet = sheets.pop(text.get("ticket_id"), None)
        if sheet is None:
            bad.append(f"{where}: no sheet, or a second text, for {text.get('ticket_id')}")
            continue
        shape = list(faults(sheet, text))
        bad += [f"{where}: {text['ticket_id']}: {f}" for f in shape]
        if shape:
            continue
        ticket = join(sheet, text)
        bad += [f"{where}: {text['ticket_id']}: {f}" for f in content_faults(ticket, sheet["gold"], needs_waybill)]
        tickets.append(ticket)
        golds.append(sheet["gold"])
    bad += copied(tickets)
    if sheets and not args.partial:
        bad.append(f"{len(sheets)} sheets without texts, from {min(sheets)}")
    end(bad, len(tickets))
    for path, rows in ((args.tickets, tickets), (args.gold, golds)):
        if path:
            path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    print(f"{len(tickets)} cases pass; {len(sheets)} sheets without texts")


if __name__ == "__main__":
    main()
