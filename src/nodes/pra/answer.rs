//! A: the remedy proposed.

use super::super::{Findings, NodeError, NodeId};
use super::reasoning::fact_name;
use super::{Part, Worth, data, span};
use crate::sop::facts::{Fact, Facts};
use crate::sop::{FreightBy, RuleBook};

/// Amounts that a remedy may be equal to, in the order in which they are thought of.
const KNOWN: [Fact; 6] =
    [Fact::Total, Fact::GoodsTotal, Fact::ReceiptAmount, Fact::PriceDiff, Fact::Deposit, Fact::Freight];

/// The line of A.
pub(super) fn part(findings: &Findings, found: &Facts, book: &RuleBook) -> Result<Part, NodeError> {
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
        beside(proposal.refund_fen, found),
        proposal.compensation,
        beside(proposal.compensation_fen, found),
        if proposal.return_goods { "是" } else { "否" },
        span(proposal.within_seconds),
    );
    Ok(Part::new(Worth::Kept, text))
}

/// What an amount is equal to, or its share of what the goods cost: `（实付）`, `（货款的30.0%）`.
fn beside(fen: i64, found: &Facts) -> String {
    if fen == 0 {
        return String::new();
    }
    if let Some(fact) = KNOWN.iter().find(|fact| found.get(fact) == Some(fen)) {
        return format!("（{}）", fact_name(&fact.to_string()));
    }
    let units = found.get(&Fact::UnitPrice).zip(found.get(&Fact::MissingCount));
    if units.is_some_and(|(price, count)| price.checked_mul(count) == Some(fen)) {
        return "（单价乘缺少件数）".to_owned();
    }
    let goods = found.get(&Fact::GoodsTotal).filter(|goods| *goods > 0);
    goods.map_or_else(String::new, |goods| {
        let thousandths = (i128::from(fen) * 1_000 + i128::from(goods) / 2) / i128::from(goods);
        format!("（货款的{}.{}%）", thousandths / 10, thousandths % 10)
    })
}
