//! Words for what a decision holds as ids, in both languages. Names of a pack's own terms come from the pack.

use crate::lang::Lang;

/// A text in both languages.
pub(super) type Both = (&'static str, &'static str);

pub(super) fn pick(both: Both, lang: Lang) -> &'static str {
    lang.pick(both.0, both.1)
}

/// A fact of a decision table.
pub(super) fn fact(name: &str) -> Both {
    match name {
        "elapsed" => ("自时效起算至首次反映", "time from the clock's start to the first report"),
        "ship_promise" => ("承诺发货时长", "promised time to ship"),
        "buyer" => ("买家举证", "the buyer's proof"),
        "seller" => ("商家举证", "the seller's proof"),
        "severity_ratio" => ("受损比例", "share of the goods affected"),
        "missing_count" => ("缺少件数", "units missing"),
        "receipt_amount" => ("票据金额", "amount of the receipts"),
        "price_diff" => ("差价", "price difference"),
        "quantity" => ("购买件数", "units bought"),
        _ => ("", ""),
    }
}

/// A value of a decision table's cell, where it is a word.
pub(super) fn cell(text: &str, lang: Lang) -> String {
    let word = |word: &str| match word {
        "sufficient" => pick(("充分", "sufficient"), lang).to_owned(),
        "insufficient" => pick(("不充分", "insufficient"), lang).to_owned(),
        "none" => pick(("未举证", "none"), lang).to_owned(),
        "true" => pick(("有", "yes"), lang).to_owned(),
        "false" => pick(("无", "no"), lang).to_owned(),
        other => other.to_owned(),
    };
    text.split(" | ").map(word).collect::<Vec<_>>().join(pick((" 或 ", " or "), lang))
}

pub(super) fn party(id: &str) -> Both {
    match id {
        "buyer" => ("买家", "buyer"),
        "seller" => ("商家", "seller"),
        _ => ("-", "-"),
    }
}

pub(super) fn freight(id: &str) -> Both {
    match id {
        "seller" => ("商家", "the seller"),
        "buyer" => ("买家", "the buyer"),
        _ => ("不涉及", "none arises"),
    }
}

/// What a person may ask for: 个人信息保护法 第二十四条.
pub(super) const RIGHTS: [Both; 3] = [
    (
        "本决定由自动化决策系统作出或拟定。依据《中华人民共和国个人信息保护法》第二十四条，通过自动化决策方式作出对个人权益有重大影响的决定的，您有权要求予以说明，并有权拒绝仅通过自动化决策的方式作出决定。本文即为该项说明。",
        "This decision was made or drafted by an automated system. Under Article 24 of the Personal Information Protection Law of the People's Republic of China, a person on whose rights a decision made by automated means has a significant effect may demand an explanation and may refuse a decision made by automated means alone. This document is that explanation.",
    ),
    (
        "您可以要求由人工重新审理：向平台提出申诉，写明下列决定编号、您不同意的认定和理由，并可补充证据。",
        "You may demand that a person look at the case again: appeal to the platform with the id of the decision below, say which finding you contest and why, and add evidence if you have it.",
    ),
    (
        "本决定不影响您依法向消费者组织或行政机关投诉、申请仲裁或者提起诉讼的权利。",
        "This decision does not affect your right to complain to a consumer organisation or an authority, to go to arbitration or to sue.",
    ),
];
