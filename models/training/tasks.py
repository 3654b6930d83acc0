"""What each model reads and answers: its segments in the order of the rendered text, its heads and what weighs in them.

The texts are rendered by the program (src/nodes/text), never here. Every text opens with [FACTS] and holds each of its
task's segments exactly once, in this order.
"""
from dataclasses import dataclass, field

YES_NO = ("no", "yes")


@dataclass(frozen=True)
class Head:
    """One output: its labels, the segments it reads with their weights, the strength of the fit, and whether trees follow."""
    name: str
    labels: tuple
    weights: dict
    c: float = 1.0
    trees: bool = False


@dataclass(frozen=True)
class Task:
    """One model: its segments, the longest n-grams of each segment it uses, its heads."""
    name: str
    segments: tuple
    heads: tuple
    grams: dict = field(default_factory=dict)
    max_tokens: int = 4608

    def longest(self, segment):
        return 1 if segment == "[FACTS]" else self.grams.get(segment, 2)

    def used(self):
        return [s for s in self.segments if any(s in head.weights for head in self.heads)]


SCENES = (
    "late_shipment", "out_of_stock", "fake_shipment", "logistics_stalled", "signed_not_received", "intercept_or_refusal",
    "transit_damage", "missing_items", "wrong_item", "desc_mismatch", "size_color_deviation", "quality_visible",
    "quality_functional", "personal_injury_allergy", "fresh_spoiled", "short_weight_spec", "live_animal_plant_death",
    "food_safety", "food_label_date", "counterfeit", "used_as_new", "prohibited_unqualified", "false_advertising",
    "seven_day_no_reason", "return_condition", "return_swap_missing", "return_timeout", "refund_delay",
    "exchange_repair_warranty", "custom_goods", "freight_dispute", "price_protection", "price_error_cancel",
    "price_fraud_promo", "gift_bundle", "presale_deposit", "virtual_digital", "service_install", "promise_breach",
    "invoice",
)
GOODS = (
    "apparel", "footwear", "bags", "jewelry", "watch", "beauty", "phone", "digital_3c", "small_appliance",
    "major_appliance", "furniture", "home_daily", "home_material", "food_packaged", "fresh_produce",
    "seafood_meat_frozen", "health_medicine", "maternal_baby", "toys_blindbox", "books_media", "sports_outdoor",
    "auto_parts", "ebike", "pet_live", "flowers_plants", "intimate_adult", "secondhand", "custom_made",
    "virtual_voucher", "service",
)
VERDICTS = ("valid", "unclear", "unrelated", "wrong_order", "incomplete", "offsite", "forged")

CLASSIFY = Task(
    name="classify",
    segments=("[FACTS]", "[TITLE]", "[LATETITLE]", "[SPEC]", "[SHOP]", "[REASON]", "[CLAIM]", "[BUYERLAST]", "[SELLERLAST]",
              "[BUYER]", "[SELLER]", "[EVIDENCE]"),
    heads=(
        Head("scene", SCENES, {"[FACTS]": 1, "[TITLE]": .5, "[LATETITLE]": 1, "[REASON]": .4, "[CLAIM]": 2,
                               "[BUYER]": 1, "[SELLER]": .7, "[EVIDENCE]": 1.5}, c=3.0),
        Head("goods_type", GOODS, {"[FACTS]": .5, "[TITLE]": 2, "[SPEC]": .6, "[SHOP]": 1, "[CLAIM]": .7, "[BUYER]": .5,
                                   "[EVIDENCE]": .5}),
        Head("settles", YES_NO, {"[FACTS]": .5, "[CLAIM]": .5, "[BUYERLAST]": 1, "[SELLERLAST]": 1}),
    ),
    grams={"[TITLE]": 3, "[LATETITLE]": 3, "[SHOP]": 3},
)
RELEVANT = Task(
    name="relevant",
    segments=("[FACTS]", "[BUYERMET]", "[BUYERUNMET]", "[SELLERMET]", "[SELLERUNMET]"),
    heads=(Head("governs", YES_NO, {"[FACTS]": 1, "[BUYERMET]": .25, "[BUYERUNMET]": .25, "[SELLERMET]": .25,
                                    "[SELLERUNMET]": .25}),),
    max_tokens=1024,
)
FIRST_REPORT = Task(
    name="first_report",
    segments=("[FACTS]", "[MESSAGE]", "[PREVIOUS]"),
    heads=(Head("states_problem", YES_NO, {"[FACTS]": 2, "[MESSAGE]": 2, "[PREVIOUS]": .5}),),
    max_tokens=1280,
)
SUPPORTS = Task(
    name="supports",
    segments=("[FACTS]", "[REQUIREMENT]", "[SHARED]", "[RIVAL]", "[LACKS]", "[ASKPARCEL]", "[ASKFAULT]", "[ASKOTHER]",
              "[CONTENT]", "[TITLE]"),
    heads=(Head("verdict", VERDICTS, {"[FACTS]": 1.2, "[REQUIREMENT]": .3, "[SHARED]": .5, "[RIVAL]": .5, "[LACKS]": .7,
                                      "[ASKPARCEL]": 1, "[ASKFAULT]": 1, "[ASKOTHER]": 1, "[CONTENT]": 1}, c=3.0, trees=True),),
    max_tokens=3328,
)
AROUND = tuple(f"[{group}{side}]" for group in ("", "COUNT", "PART", "REST")
               for side in ("LEFT", "BEFORE", "BETWEEN", "AFTER", "RIGHT"))
MEASURE = Task(
    name="measure",
    segments=("[FACTS]", "[NUMBER]", "[SECOND]", *AROUND),
    heads=(Head("is_value", YES_NO, {"[FACTS]": 2, "[NUMBER]": .5, "[SECOND]": .5, **dict.fromkeys(AROUND, 1)}),),
    max_tokens=512,
)
TASKS = (CLASSIFY, RELEVANT, FIRST_REPORT, SUPPORTS, MEASURE)
# What a reader of texts can learn: all but `relevant`, which weighs facts.
TEXT_TASKS = tuple(task for task in TASKS if task is not RELEVANT)
