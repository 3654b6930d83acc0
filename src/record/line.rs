//! A record as a line of a bundle, for whoever verifies it elsewhere. Reads no store and hides nothing: what is erased,
//! missing or damaged is said to be so.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::case::Fen;
use crate::ledger::{Content, RecordLine};
use crate::store::{DecisionColumns, LeafContent, LeafRecord};

/// A leaf of the store as a line of a bundle.
pub fn line(leaf: LeafRecord) -> RecordLine {
    let content = match leaf.content {
        LeafContent::Kept(kept) => {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
            let parts = kept.parts.into_iter().map(|(name, bytes)| Some((name.to_owned(), text(bytes)?)));
            match (parts.collect::<Option<_>>(), kept.case.map(text)) {
                (Some(parts), case @ (None | Some(Some(_)))) => Content::Kept {
                    salt: kept.salt.to_vec(),
                    parts,
                    columns: kept.columns.map(|columns| pointers(&leaf.id, columns)).unwrap_or_default(),
                    case: case.flatten(),
                },
                _ => Content::Damaged,
            }
        }
        LeafContent::Erased(erased) => Content::Erased { by: erased.by },
        LeafContent::Expired => Content::Expired,
        LeafContent::Missing => Content::Missing,
        LeafContent::Damaged => Content::Damaged,
    };
    RecordLine {
        leaf: leaf.index,
        commitment: leaf.commitment,
        tenant: leaf.tenant,
        kind: leaf.kind,
        id: leaf.id,
        recorded_at: leaf.recorded_at,
        content,
    }
}

/// Where in a decision's body each column stands, and what must stand there.
fn pointers(id: &str, columns: DecisionColumns) -> BTreeMap<String, Value> {
    let money = |fen: Option<i64>| fen.and_then(Fen::new).map(|fen| fen.to_string());
    [
        ("/id", json!(id)),
        ("/ticket_id", json!(columns.ticket_id)),
        ("/case_hash", json!(hex::encode(columns.case_hash))),
        ("/outcome", json!(columns.outcome)),
        ("/sop/id", json!(columns.sop_id)),
        ("/sop/version", json!(columns.sop_version)),
        ("/remedy/kind", json!(columns.remedy_kind)),
        ("/remedy/refund", json!(money(columns.refund_fen))),
        ("/remedy/compensation", json!(money(columns.compensation_fen))),
    ]
    .into_iter()
    .map(|(pointer, value)| (pointer.to_owned(), value))
    .collect()
}
