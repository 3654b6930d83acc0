"""The teacher: what is wrong with a decision, by the gold, and a reflection on it in named thinking operators. Wording
varies, so that a reader learns the operators and not one sentence."""

VERDICT = {"in_time": "在期内", "expired": "已逾期", "unknown": "无法认定"}
PROOF = {"sufficient": "充分", "insufficient": "不充分", "none": "未举证", "not_required": "无需举证"}
MEASURE = {"severity_ratio": "受损比例", "missing_count": "缺少件数", "receipt_amount": "票据金额", "price_diff": "差价"}
OPERATORS = ("[规划]", "[提取]", "[比较]", "[假设]", "[反思]", "[总结]")
FINAL, END = "[终]", "[完]"
RIGHT, WRONG = "[对]", "[错]"


def faults(row):
    """What differs from the gold, in the order of the nodes: names, and for items their id."""
    found, gold = row["found"], row["gold"]
    out = []
    if found["sop"] != gold["sop"]:
        out.append("sop")
    if found["timeliness"] != gold["timeliness"]:
        out.append("clock")
    elif found["first_report"] != gold["first_report"]["index"]:
        out.append("report")
    for item, (_, valid, _) in found["items"].items():
        want = gold["evidence"]["items"].get(item)
        if want and want["valid"] != valid:
            out.append(f"item {item}")
    out += [party for party in ("buyer", "seller") if found[party] != gold["evidence"][party]]
    for name, value in found["measures"].items():
        want = gold["quantities"].get(name)
        if want is not None and in_table_units(name, want) != value:
            out.append(f"measure {name}")
    kind, refund, compensation = found["remedy"]
    want = gold["remedy"]
    if kind != want["kind"]:
        out.append("remedy")
    elif any(abs(float(a) - float(b)) > 0.011 for a, b in ((refund, want["refund"]), (compensation, want["compensation"]))):
        out.append("amount")
    return out


def holding(row, pra):
    """Which lines of R and A hold: pairs of a line's number in the text and a truth, for lines the gold speaks of. The row
    and the amounts hold where they follow from the lines before, be those true or not."""
    wrong = set(faults(row)) | ({row["kind"]} & {"row", "amount"} if not row["right"] else set())
    measures = {name: f"measure {key}" for key, name in MEASURE.items()}

    def fault_of(line):
        mark, _, rest = line.partition("]")
        if mark == "[规则":
            return {"sop"}
        if mark == "[时效":
            return {"clock", "report"}
        if mark == "[证据":
            item = rest.split(" ")[0]
            return {f"item {item}"} if item in row["gold"]["evidence"]["items"] else None
        if mark == "[举证":
            return {"buyer" if rest.startswith("买家") else "seller"}
        if mark == "[度量":
            return next(({fault} for name, fault in measures.items() if rest.startswith(name)), None)
        if mark == "[决策":
            return {"row"}
        if mark == "[A" and row["kind"] != "row":
            return {"amount"} if row["kind"] == "amount" else set()
        return None

    told = [(i, fault_of(line)) for i, line in enumerate(pra.split("\n"))]
    return [(i, not faults & wrong) for i, faults in told if faults is not None]


def in_table_units(name, value):
    if name == "severity_ratio":
        return round(float(value) * 1_000_000)
    return int(value) if name == "missing_count" else round(float(value) * 100)


def reflect(row, rng, hidden, gone=()):
    """R' and A'': operators, then the final verdict. The first verdict A' is not part of it. Nothing is claimed of the items
    of evidence that are gone."""
    found, gold, wrong = row["found"], row["gold"], faults(row)
    say = lambda *ways: rng.choice(ways)
    text = "[规划]" + say("依次核规则、时效、举证、金额。", "先核规则与时效，再核举证与结果。", "逐节点复核，再看结果。")
    told = (f"时效{VERDICT[found['timeliness']]}", f"买家{PROOF[found['buyer']]}", f"商家{PROOF[found['seller']]}")
    text += "[提取]" + say("；", "，").join(told) + "。"
    if not row["right"]:
        seen = [fault for fault in wrong if fault.removeprefix("item ") not in gone]
        text += "[比较]" + (compare(seen, found, gold, say) if seen or not wrong else say("有一项认定有误。", "某项材料认定不当。"))
    else:
        text += "[比较]" + say("各节点与案情相符。", "规则、时效、举证均对得上。", "未见不符。")
    if hidden or row["outcome"] == "review":
        text += "[假设]" + say("若存疑事实相反，结果会变。", "存疑之处若另作认定，结果不同。")
    text += "[反思]" + (say("该处足以改变结果。", "此误影响结果。") if not row["right"] else say("余下疑点不改变结果。", "结果站得住。"))
    text += "[总结]" + (say("结果有误。", "不应如此处理。") if not row["right"] else say("结果正确。", "处理得当。"))
    return text + FINAL + (RIGHT if row["right"] else WRONG) + END


def compare(wrong, found, gold, say):
    """Names the first fault, the root of the others."""
    first = wrong[0] if wrong else "remedy"
    if first == "sop":
        return say("适用规则不对。", "争议识别有误，规则不合。")
    if first in ("clock", "report"):
        return say("首报或期限认定有误", "时效算错") + f"，应为{VERDICT[gold['timeliness']]}。"
    if first.startswith("item"):
        item = first.split()[1]
        want = gold["evidence"]["items"][item]
        return f"{item}" + say("认定有误，应为", "应认定为") + ("有效。" if want["valid"] else "无效。")
    if first in ("buyer", "seller"):
        return ("买家" if first == "buyer" else "商家") + f"举证应为{PROOF[gold['evidence'][first]]}。"
    if first.startswith("measure"):
        return MEASURE[first.split()[1]] + say("读错。", "取值有误。")
    return say("金额算错。", "数额与规则不符。") if first == "amount" else say("所依行与事实不符。", "漏看例外，适用行不对。")
