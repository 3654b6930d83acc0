//! A: the remedy proposed.

use super::super::{Findings, NodeError, NodeId};
use super::{Part, Worth, data, span};
use crate::sop::{FreightBy, RuleBook};

/// The line of A.
pub(super) fn part(findings: &Findings, book: &RuleBook) -> Result<Part, NodeError> {
    let proposal = &Findings::required(&findings.remedy, NodeId::Remedy)?.proposal;
    let freight = match proposal.freight_by {
        FreightBy::Seller => "商家",
        FreightBy::Buyer => "买家",
        FreightBy::None => "无",
    };
    let text = format!(
        "[A]{}；退款{}；赔付{}；运费{freight}；退货{}；限{}",
        data(&book.term(&proposal.kind).zh, 24),
        proposal.refund,
        proposal.compensation,
        if proposal.return_goods { "是" } else { "否" },
        span(proposal.within_seconds),
    );
    Ok(Part::new(Worth::Kept, text))
}
