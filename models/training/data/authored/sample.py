#!/usr/bin/env python3
"""Draws the facts of fictional disputes: what happened, when, who can prove what, and the gold that follows.

    sample.py --seed 1 --count 100 --first 1 --out sheets/a.jsonl
    sample.py --seed 2 --count 100 --first 101 --only promise_breach.general custom_goods.custom=3 --out sheets/b.jsonl

Each SOP of the pack is drawn equally often; with --only, each SOP named, in proportion to its weight (1 unless given).
With --due most buyers ask for what the SOP grants at the time of their report (repair where the time for a refund is
past), as they do in the public set; without it, over half ask for what it grants first.

A sheet holds the structured half of a ticket, the gold findings, and a brief for the author: which message plays
which part, what each item of evidence must show, whose voice it is. Texts are then written by hand to fit the brief
and joined to the sheet by assemble.py. The rules are those of ../README.md; ids, clocks, requirements and amounts
come from the rule pack. Same seed, same sheets.
"""
import argparse
import datetime as dt
import json
import pathlib
import random

import yaml

PACK = pathlib.Path(__file__).resolve().parents[4] / "sop_rules" / "demo"
ZONE = dt.timezone(dt.timedelta(hours=8))
HOUR = dt.timedelta(hours=1)
HEADS = {"pack.yaml", "taxonomy.yaml", "calendar.yaml"}
UNSHIPPED = {"late_shipment", "out_of_stock", "presale_deposit", "virtual_digital", "price_error_cancel"}
UNSIGNED = {"fake_shipment", "logistics_stalled"}
# Scenes in which goods that are never shipped can be in dispute, besides those of UNSHIPPED.
WITHOUT_PARCEL = {"invoice", "promise_breach", "price_protection", "price_fraud_promo", "false_advertising", "service_install"}
NEVER_SHIPPED = {"virtual_voucher", "service"}
RETURNED = {"return_condition", "return_swap_missing", "return_timeout", "refund_delay"}
DEFECTS = ["unclear", "wrong_order", "incomplete", "offsite", "late", "forged"]
CARRIERS = ["SF", "JD", "ZT", "YT", "YD", "JT"]
PRICES = {"phone": (900, 6000), "digital_3c": (60, 5000), "major_appliance": (900, 7000), "furniture": (200, 5000),
          "jewelry": (150, 6000), "watch": (150, 5000), "ebike": (1500, 5000), "secondhand": (150, 5000),
          "home_material": (80, 3000), "service": (100, 3000), "pet_live": (30, 2500), "auto_parts": (40, 1800)}
VOICES = ["东北话，急躁", "四川话，爱打比方", "河南话，朴实", "粤语味普通话", "上海腔，精明", "老年人，絮叨，常打错字", "中学生，网络用语多",
          "年轻妈妈，客气但坚持", "条分缕析，列一二三", "法务腔，引用条款", "惜字如金，短句", "情绪激动，感叹号多", "爱用表情符号", "反讽",
          "生意人，讲成本", "小镇青年，口语", "文艺，爱铺陈", "工程师，讲数据", "焦虑，反复追问", "替父母投诉的子女", "普通，平铺直叙", "语音转文字，断句乱"]
SELLERS = ["亲亲体，客套", "强硬推责给快递", "机器人自动回复为主", "爽快但拖延", "专业术语多", "冷淡，短句", "热情道歉，给小红包", "规则腔", "老板本人，直来直去"]
REMEDY_WORDS = ["return_refund", "refund_only", "compensate", "exchange", "partial_refund", "repair", "resend"]


def load_pack():
    sops = [yaml.safe_load(p.read_text(encoding="utf-8")) for p in sorted(PACK.glob("*.yaml")) if p.name not in HEADS]
    taxonomy = yaml.safe_load((PACK / "taxonomy.yaml").read_text(encoding="utf-8"))
    return sops, taxonomy


def hours(text):
    assert text.endswith("h"), text
    return int(text[:-1])


def cents(amount):
    return f"{amount // 100}.{amount % 100:02d}"


class Case:
    """One dispute being drawn."""

    def __init__(self, rng, sop, taxonomy, number):
        self.rng, self.sop = rng, sop
        self.scene = sop["applies"]["scene"]
        kinds = [g["id"] for g in taxonomy["goods"]]
        goods = sop["applies"]["goods"]
        barred = set(sop["applies"].get("goods_not", []))
        if self.scene not in UNSHIPPED | WITHOUT_PARCEL:
            barred |= NEVER_SHIPPED
        self.goods = rng.choice([g for g in kinds if g not in barred] if goods == ["*"] else goods)
        self.kinds = [k["id"] for k in taxonomy["evidence_kinds"]]
        self.id = f"PA{number:05d}"
        self.within = hours(sop["clock"]["within"]) * HOUR
        self.quantities, self.hints = {}, []

    def stamp(self, low, high):
        """A random span between two numbers of hours."""
        return dt.timedelta(seconds=int(self.rng.uniform(low, high) * 3600))

    def money(self):
        rng = self.rng
        low, high = PRICES.get(self.goods, (15, 700))
        unit = round(low * (high / low) ** rng.random() * 100)
        unit = rng.choice([unit, unit // 100 * 100, unit // 10 * 10])
        quantity = rng.choices([1, 2, 3, 4, 6], [64, 17, 15, 2, 2])[0]
        if self.scene == "missing_items":
            quantity = rng.choice([2, 3, 4, 6])
        freight = rng.choices([0, 600, 800, 1000, 1200], [42, 13, 14, 16, 15])[0]
        self.unit, self.quantity, self.freight = unit, quantity, freight
        self.goods_total = unit * quantity
        self.total = self.goods_total + freight
        self.deposit = max(100, self.total // rng.choice([5, 8, 10]) // 100 * 100) if self.scene == "presale_deposit" else None
        self.services = [s for s, p in (("seven_day_return", .4), ("freight_insurance", .3)) if rng.random() < p]
        if self.scene == "counterfeit" and rng.random() < .35 or rng.random() < .004:
            self.services.append("fake_pay_three")

    def timeline(self):
        rng, clock = self.rng, self.sop["clock"]["from"]
        self.opened = dt.datetime(2026, 1, 6, tzinfo=ZONE) + dt.timedelta(seconds=rng.randrange(320 * 86400))
        self.expired = rng.random() < .17
        window = self.within / HOUR
        if self.expired:
            elapsed = self.within + self.stamp(.02, min(max(window * .6, 12), 900))
        else:
            elapsed = self.stamp(.3, window * rng.choice([.15, .4, .8, .99]))
        # Lay the events out from an anchor at zero, then slide them so that the platform steps in when it should.
        ship_promise = rng.choice([24, 48, 72, 120, 360])
        shipped = self.stamp(3, min(ship_promise, 52))
        signed = shipped + self.stamp(20, 120)
        returned = signed + self.stamp(96, 260)
        paid = dt.timedelta(0)
        anchor = {"paid_at": paid, "promised_ship_at": ship_promise * HOUR, "signed_at": signed, "return_signed_at": returned,
                  "signed_next_day": signed}[clock]
        has_signed = self.scene not in UNSHIPPED | UNSIGNED
        if clock == "paid_at" and has_signed and not self.expired and elapsed < signed:
            elapsed = min(signed + self.stamp(1, 30), self.within - HOUR / 2)
        report = anchor + elapsed
        from_claim = rng.random() < .2
        filed = report if from_claim else report + self.stamp(.8, 70)
        opened = filed + self.stamp(24, 96)
        base = self.opened - opened
        at = lambda span: (base + span).replace(microsecond=0)
        self.paid, self.ship_by = at(paid), at(ship_promise * HOUR)
        self.shipped = at(shipped) if self.scene not in UNSHIPPED else None
        self.signed = at(signed) if has_signed else None
        self.back = at(returned) if self.scene in RETURNED else None
        if clock == "signed_next_day":
            midnight = (self.signed + dt.timedelta(days=1)).replace(hour=0, minute=0, second=0)
            shift = midnight - self.signed
            report, filed, opened = report + shift, filed + shift, opened + shift
            self.opened += shift
        self.report, self.filed, self.from_claim = at(report), at(filed), from_claim
        self.opened = at(opened)
        number = lambda: rng.choice(CARRIERS) + "".join(rng.choice("0123456789") for _ in range(12))
        self.waybill = number() if self.shipped else None
        self.back_waybill = number() if self.back else None
        self.other_waybill = number()

    def measures(self):
        rng = self.rng
        for measure in self.sop.get("measures", []):
            kind = measure["id"]
            if kind == "severity_ratio":
                base = rng.choice([10, 12, 15, 20, 24, 25, 30, 36, 40, 48, 50, 60])
                part = max(1, min(base, round(base * rng.choice([.06, .1, .15, .22, .3, .36, .45, .55, .65, .75, .9, 1]))))
                if self.scene == "short_weight_spec":
                    short = rng.choice([8, 12, 15, 18, 22, 28, 30, 35, 42, 48, 55, 65, 75])
                    nominal = rng.choice([4, 5, 6, 8, 10, 12])
                    self.quantities[kind] = short / 100
                    self.hints.append(f"短缺比例 {short}%：标称共 {nominal} 斤，实到 {nominal * (100 - short) / 100:g} 斤（可换用 kg、g、两表达；写清归零后净重）")
                else:
                    self.quantities[kind] = round(part / base, 4)
                    self.hints.append(f"受损比例：共 {base} 个（枚/袋/只等，依商品），坏 {part} 个；说法自选（几个、几成、一半、百分比、全坏）")
            elif kind == "missing_count":
                missing = rng.randint(1, self.quantity - 1)
                self.quantities[kind] = missing
                self.hints.append(f"买 {self.quantity} 件，少 {missing} 件（可只写收到几件）")
            elif kind == "receipt_amount":
                amount = rng.choice([rng.randint(900, 9000), rng.randint(9000, 90000), rng.randint(10, 300) * 100])
                self.quantities[kind] = cents(amount)
                self.hints.append(f"票据金额 {cents(amount)} 元（可拆成两三张票据，合计须等于此数，并写出合计或能看出合计）")
            elif kind == "price_diff":
                amount = max(100, round(self.total * rng.uniform(.04, .35)))
                self.quantities[kind] = cents(amount)
                self.hints.append(f"差价/应返金额 {cents(amount)} 元（价格前后之差须等于此数）")

    def proof(self):
        """Draws each party's evidence, and what it amounts to."""
        self.items, self.verdicts = [], {}
        for party in ("buyer", "seller"):
            asked = self.sop["proof"].get(party) or []
            state = self.rng.choices(["sufficient", "insufficient", "none"], [62, 24, 14] if party == "buyer" else [27, 29, 44])[0]
            mine = []
            if asked and state != "none":
                failing = {self.rng.randrange(len(asked))} if state == "insufficient" else set()
                for i, requirement in enumerate(asked):
                    if i in failing and len(asked) > 1 and self.rng.random() < .35:
                        continue
                    mine.append(self.item(party, requirement, self.rng.choice(DEFECTS) if i in failing else None))
                    if i not in failing and self.rng.random() < .06:
                        mine.append(self.item(party, requirement, self.rng.choice(DEFECTS)))
                if state == "insufficient" and not mine:
                    mine.append(self.item(party, asked[0], self.rng.choice(DEFECTS)))
            if self.rng.random() < (.3 if party == "buyer" else .2):
                mine.append(self.unrelated(party, asked))
            self.rng.shuffle(mine)
            letter = party[0].upper()
            for n, item in enumerate(mine, 1):
                item["evidence_id"] = f"{letter}{n}"
            met = {i["requirement"] for i in mine if i["valid"]}
            if not asked:
                self.verdicts[party] = "not_required"
            elif all(r["id"] in met for r in asked):
                self.verdicts[party] = "sufficient"
            else:
                self.verdicts[party] = "insufficient" if any(i["requirement"] for i in mine) else "none"
            self.items += mine

    def submitted(self, party, late):
        limit = (72 if party == "buyer" else 48) * HOUR
        if late:
            return self.opened + limit + self.stamp(.5, 50)
        earliest = max(self.report, self.opened - 80 * HOUR) + HOUR / 4
        return earliest + (self.opened + limit - earliest) * self.rng.uniform(.02, .98)

    def item(self, party, requirement, defect):
        brief = {
            None: "有效：要求的每个要素都要在内容里看得到，属于本订单，平台内可核",
            "unclear": "无效（模糊）：种类对、像是想证明，但暗、糊、抖、反光，关键处看不清",
            "wrong_order": f"无效（别的订单）：清楚完整，但面单/商品/日期属于别的订单，例如运单号 {self.other_waybill} 或另一款商品",
            "incomplete": "无效（缺要素）：清楚、属本单，但缺了要求中的一个要素（不拍面单、缺归零、缺盖章、缺签名、剪辑断开等）",
            "offsite": "无效（站外）：微信/短信/站外图片等，平台无法核验来源",
            "late": "内容写成有效（迟交由时间体现，不要在内容里提迟交）",
            "forged": "无效（有篡改痕迹）：客观描述字体不一、底色色块、时间前后矛盾、像素边缘等，不要下结论说伪造",
        }[defect]
        at = self.submitted(party, defect == "late").replace(microsecond=0)
        return {"party": party, "kind": self.rng.choice(requirement["accepts"]), "submitted_at": at.isoformat(),
                "requirement": requirement["id"], "valid": defect is None, "defect": defect,
                "brief": f"要求“{requirement['zh']}”。{brief}"}

    def unrelated(self, party, asked):
        accepted = {k for r in asked for k in r["accepts"]}
        pool = sorted(accepted) if accepted and self.rng.random() < .33 else self.kinds
        at = self.submitted(party, False).replace(microsecond=0)
        return {"party": party, "kind": self.rng.choice(pool), "submitted_at": at.isoformat(), "requirement": None, "valid": False,
                "defect": "unrelated", "brief": "与争议无关：别的商品的页面、风景、货架、客套聊天、旅行订单等，不针对任何举证要求"}

    def dialogue(self):
        """Lays out the messages: who speaks when, and which part the message plays."""
        rng, out = self.rng, []
        say = lambda at, who, part: out.append({"at": at.replace(microsecond=0).isoformat(), "from": who, "part": part})
        answer = lambda at: at + dt.timedelta(minutes=rng.uniform(2, 40))
        for _ in range(rng.choices([0, 1, 2], [40, 45, 15])[0]):
            at = self.paid - self.stamp(.2, 26)
            say(at, "buyer", "售前询问（尺寸、快递、赠品、还价等，不涉争议）")
            say(answer(at), "seller", "回答售前询问")
        quiet_until = (self.signed or self.report) if not self.from_claim else min(self.signed or self.filed, self.filed)
        if rng.random() < .4 and quiet_until - self.paid > 8 * HOUR and self.scene not in UNSHIPPED | UNSIGNED:
            at = self.paid + (quiet_until - self.paid) * rng.uniform(.05, .8)
            say(at, "buyer", "催发货/问物流/改地址（尚无争议，不得提到问题）")
            say(answer(at), "seller", "答复")
        if self.signed and self.signed < self.report and rng.random() < .35:
            say(self.signed + HOUR / 3, "seller", "系统/机器人：已签收，求好评之类")
        start = self.signed or self.paid
        if rng.random() < .12 and self.report - start > 6 * HOUR:
            at = start + (self.report - start) * rng.uniform(.2, .8)
            say(at, "buyer", "干扰：问别的订单、问用法、要发票抬头写法等无关事（不是首次反映）")
            say(answer(at), "seller", "答复无关事")
        if not self.from_claim:
            say(self.report, "buyer", "★首次反映：第一次说出本争议的问题")
            at, rounds = self.report, rng.choices([0, 1, 2, 3], [12, 35, 35, 18])[0]
            left = self.filed - self.report
            for n in range(rounds):
                at = self.report + left * ((n + rng.uniform(.2, .5)) / (rounds + 1))
                say(at, "seller", "回应（推诿/安抚/给小补偿/机器人）")
                say(at + left * (rng.uniform(.1, .4) / (rounds + 1)), "buyer", "追问或施压（可夹带次要抱怨）")
            self.settles = rounds > 0 and rng.random() < .45
            if self.settles:
                say(self.filed - left * .04, "seller", "◆给出具体方案（金额或换补退），足以成交")
                say(self.filed - left * .01, "buyer", "◆接受方案，只问细节（何时到账、地址等）")
            elif rounds:
                say(self.filed - left * .02, rng.choice(["seller", "buyer"]), "谈崩：让平台来判")
        else:
            self.settles = False
        out.sort(key=lambda m: m["at"])
        self.messages = out
        first = [i for i, m in enumerate(out) if m["part"].startswith("★")]
        self.first_report = ({"source": "dialogue", "index": first[0], "at": out[first[0]]["at"]} if first
                             else {"source": "claim", "index": None, "at": self.filed.isoformat()})

    def remedy(self):
        """Reads the remedy off the pack's decision table."""
        facts = {"timeliness": "expired" if self.expired else "in_time", **self.verdicts}
        elapsed = dt.datetime.fromisoformat(self.first_report["at"]) - self.anchor()
        for row in self.sop["decide"]:
            if all(self.holds(facts, elapsed, name, cell) for name, cell in row["when"].items()):
                then = row["then"] if isinstance(row["then"], dict) else {"remedy": row["then"]}
                refund, compensation = (self.amount(then.get(k)) for k in ("refund", "compensation"))
                return {"kind": then["remedy"], "refund": cents(refund), "compensation": cents(compensation),
                        "freight_by": then.get("freight_by", "none"), "return_goods": then.get("return_goods", False)}
        raise AssertionError(f"no row of {self.sop['id']} holds for {facts}")

    def anchor(self):
        if self.sop["clock"]["from"] == "signed_next_day":
            return (self.signed + dt.timedelta(days=1)).replace(hour=0, minute=0, second=0)
        return {"paid_at": self.paid, "promised_ship_at": self.ship_by, "signed_at": self.signed,
                "return_signed_at": self.back}[self.sop["clock"]["from"]]

    @staticmethod
    def holds(facts, elapsed, name, cell):
        if name == "elapsed":
            op, limit = cell.split()
            return elapsed <= hours(limit) * HOUR if op == "<=" else elapsed > hours(limit) * HOUR
        return facts[name] in (cell if isinstance(cell, list) else [cell])

    def amount(self, text):
        """The pack's amount expressions, as Python over the same names."""
        if not text:
            return 0
        if "?" in text:
            cond, rest = text.split("?", 1)
            yes, no = rest.rsplit(":", 1)
            return self.amount(yes if self.value(cond) else no)
        return self.value(text)

    def value(self, text):
        percent = lambda money, n: (money * n + 50) // 100
        tier = lambda money, ratio: percent(money, next(t for t in (10, 30, 50, 70, 100) if t / 100 >= ratio - 1e-9))
        fen = lambda t: round(float(t) * 100)
        names = {
            "percent": percent, "tier": tier, "clamp": lambda x, lo, hi: min(max(x, lo), hi), "yuan": lambda n: n * 100,
            "fen": int, "max": max, "min": min, "duration": lambda t: hours(t) * HOUR, "service": lambda s: s in self.services,
            "total": self.total, "freight": self.freight, "goods_total": self.goods_total, "unit_price": self.unit,
            "deposit": self.deposit, "quantity": self.quantity, "ship_promise": self.ship_by - self.paid,
            "severity_ratio": self.quantities.get("severity_ratio"), "missing_count": self.quantities.get("missing_count"),
            "receipt_amount": fen(self.quantities.get("receipt_amount", 0)), "price_diff": fen(self.quantities.get("price_diff", 0)),
        }
        return eval(text.strip(), {"__builtins__": {}}, names)  # the pack's own expressions, not input

    def logistics(self):
        rng, out = self.rng, []
        add = lambda at, status, detail: out.append({"at": at.replace(microsecond=0).isoformat(), "status": status, "detail": detail})
        if self.scene == "fake_shipment":
            add(self.shipped, "下单", "商家已上传运单号，等待揽收")
            return out
        if not self.shipped:
            return out
        add(self.shipped, "揽收", "快递员已揽收")
        end = self.signed or self.shipped + self.stamp(40, 60)
        add(self.shipped + (end - self.shipped) * rng.uniform(.1, .3), "运输", "离开发件地分拨中心")
        add(self.shipped + (end - self.shipped) * rng.uniform(.4, .7), "运输", "到达目的地分拨中心")
        if self.signed:
            add(self.shipped + (end - self.shipped) * rng.uniform(.75, .95), "派送", "派送中")
            add(self.signed, "签收", rng.choice(["已签收，签收人：前台", "已签收，签收人：家门口", "已投递至驿站，取件后视为签收", "已签收", "已签收，签收人：本人"]))
        return out

    def usual(self, due):
        """The remedy most buyers ask for: the first the SOP grants, or the first it still grants when they report."""
        rows = [r for r in self.sop["decide"] if isinstance(r["then"], dict)]
        if due:
            elapsed = dt.datetime.fromisoformat(self.first_report["at"]) - self.anchor()
            rows = [r for r in rows if self.holds({}, elapsed, "elapsed", r["when"].get("elapsed", "> 0h"))] or rows
        return rows[0]["then"]["remedy"] if rows else "refund_only"

    def draw(self, due=False):
        for step in (self.money, self.timeline, self.measures, self.proof, self.dialogue):
            step()
        iso = lambda t: t.isoformat()
        order = {"order_id": "26" + "".join(self.rng.choice("0123456789") for _ in range(14)), "paid_at": iso(self.paid), "ship_by": iso(self.ship_by)}
        if self.shipped:
            order["shipped_at"] = iso(self.shipped)
        if self.signed:
            order["signed_at"] = iso(self.signed)
        if self.waybill:
            order["waybill"] = self.waybill
        order |= {"total": cents(self.total), "freight": cents(self.freight)}
        if self.deposit:
            order["deposit"] = cents(self.deposit)
        order |= {"currency": "CNY", "services": self.services, "quantity": self.quantity, "unit_price": cents(self.unit)}
        usual = self.usual(due)
        gold = {"ticket_id": self.id, "scene": self.scene, "goods_type": self.goods, "sop": self.sop["id"], "first_report": self.first_report,
                "timeliness": "expired" if self.expired else "in_time",
                "evidence": {**self.verdicts, "items": {i["evidence_id"]: {k: i[k] for k in ("requirement", "valid", "defect")} for i in self.items}},
                "quantities": self.quantities, "remedy": self.remedy(), "settles": self.settles}
        brief = {"sop": self.sop["title"]["zh"], "voice": self.rng.choice(VOICES), "seller_voice": self.rng.choice(SELLERS), "hints": self.hints,
                 "reason": self.rng.choices(["准确", "含糊", "选错了原因（与真实争议不符）"], [50, 30, 20])[0],
                 "side_complaint": self.rng.random() < .3, "typos": self.rng.random() < .25,
                 "statement_length": self.rng.choice(["40字内", "约100字", "约150字", "约150字", "约200字"])}
        sheet = {"ticket_id": self.id, "opened_at": iso(self.opened), "order": order}
        if self.back:
            sheet["return"] = {"waybill": self.back_waybill, "signed_at": iso(self.back)}
            if self.scene == "return_timeout" and self.rng.random() < .4:
                del sheet["return"]["signed_at"]
        sheet |= {"claim": {"filed_at": iso(self.filed), "kind": usual if self.rng.random() < (.8 if due else .55) else self.rng.choice(REMEDY_WORDS)},
                  "dialogue": self.messages, "evidence": [{k: i[k] for k in ("evidence_id", "party", "kind", "submitted_at", "brief")} for i in self.items],
                  "logistics": self.logistics(), "brief": brief, "gold": gold}
        return sheet


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--seed", type=int, required=True)
    args.add_argument("--count", type=int, required=True)
    args.add_argument("--first", type=int, default=1, help="number of the first ticket")
    args.add_argument("--only", nargs="+", metavar="SOP[=WEIGHT]", help="draw these SOPs alone, in proportion to their whole weights")
    args.add_argument("--due", action="store_true", help="most buyers ask for the remedy due at the time of their report")
    args.add_argument("--out", type=pathlib.Path, required=True)
    args = args.parse_args()
    sops, taxonomy = load_pack()
    if args.only:
        known, chosen = {s["id"]: s for s in sops}, []
        for name, _, weight in (word.partition("=") for word in args.only):
            chosen.append([known[name]] * int(weight or 1))
        # Taken in turns, so that a count that is no multiple of the weights is still spread evenly.
        sops = [turn[n] for n in range(max(map(len, chosen))) for turn in chosen if n < len(turn)]
    rng = random.Random(args.seed)
    order = [sops[i % len(sops)] for i in range(args.count)]
    rng.shuffle(order)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", encoding="utf-8") as out:
        for n, sop in enumerate(order):
            sheet = Case(random.Random(f"{args.seed}/{n}"), sop, taxonomy, args.first + n).draw(args.due)
            out.write(json.dumps(sheet, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
