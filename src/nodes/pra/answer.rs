//! A: the remedy proposed.

use super::super::remedy::facts;
use super::super::{Findings, NodeError, NodeId};
use super::{Part, Worth, data, span};
use crate::case::Case;
use crate::sop::facts::{Fact, Facts};
use crate::sop::{FreightBy, RuleBook};

/// Amounts that a remedy may be equal to, in the order in which they are thought of.
const KNOWN: [(Fact, &str); 6] = [
    (Fact::Total, "实付"),
    (Fact::GoodsTotal, "货款"),
    (Fact::ReceiptAmount, "票据金额"),
    (Fact::PriceDiff, "差价"),
    (Fact::Deposit, "定金"),
    (Fact::Freight, "运费"),
];

/// The line of A.
pub(super) fn part(case: &Case, findings: &Findings, book: &RuleBook) -> Result<Part, NodeError> {
    let known = facts(case, findings, false)?;
    let proposal = &Findings::required(&findings.remedy, NodeId::Remedy)?.proposal;
    let freight = match proposal.freight_by {
        FreightBy::Seller => "商家",
        FreightBy::Buyer => "买家",
        FreightBy::None => "无",
    };
    let text = format!(
        "[A]{}；退款{}{}；赔付{}{}；运费{freight}；退货{}；限{}",
        data(&book.term(&proposal.kind).zh, 24),
        proposal.refund,
        beside(proposal.refund_fen, &known),
        proposal.compensation,
        beside(proposal.compensation_fen, &known),
        if proposal.return_goods { "是" } else { "否" },
        span(proposal.within_seconds),
    );
    Ok(Part::new(Worth::Kept, text))
}

/// What an amount is equal to, or its share of what the goods cost: `（实付）`, `（货款的30.0%）`.
fn beside(fen: i64, known: &Facts) -> String {
    if fen == 0 {
        return String::new();
    }
    if let Some((_, name)) = KNOWN.iter().find(|(fact, _)| known.get(fact) == Some(fen)) {
        return format!("（{name}）");
    }
    let units = known.get(&Fact::UnitPrice).zip(known.get(&Fact::MissingCount));
    if units.is_some_and(|(price, count)| price.checked_mul(count) == Some(fen)) {
        return "（单价乘缺少件数）".to_owned();
    }
    let goods = known.get(&Fact::GoodsTotal).filter(|goods| *goods > 0);
    goods.map_or_else(String::new, |goods| {
        let thousandths = (i128::from(fen) * 1_000 + i128::from(goods) / 2) / i128::from(goods);
        format!("（货款的{}.{}%）", thousandths / 10, thousandths % 10)
    })
}
