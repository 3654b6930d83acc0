//! A case file changed by hand or cut to what was known at a time. Works on the ticket's JSON, so that what comes out
//! goes through the same border as every ticket. Nothing changed here is ever recorded.

use std::str::FromStr;

use serde_json::Value;

use crate::case::{Case, CaseErrors, Timestamp};

/// `$.order.total=12.00`: a value to put into the case file.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseEdit {
    path: Vec<Step>,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A text is no edit of a case file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no change of a case file; write PATH=VALUE, such as $.order.total=12.00 or $.dialogue[2].text=…")]
pub struct UnknownCaseEdit(String);

impl FromStr for CaseEdit {
    type Err = UnknownCaseEdit;

    fn from_str(text: &str) -> Result<Self, UnknownCaseEdit> {
        let unknown = || UnknownCaseEdit(text.to_owned());
        let (path, value) = text.split_once('=').ok_or_else(unknown)?;
        let mut rest = path.trim().strip_prefix('$').ok_or_else(unknown)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                steps.push(Step::Key(after[..end].to_owned()));
                rest = &after[end..];
            } else {
                let (index, after) = rest.strip_prefix('[').and_then(|r| r.split_once(']')).ok_or_else(unknown)?;
                steps.push(Step::Index(index.parse().map_err(|_| unknown())?));
                rest = after;
            }
        }
        if steps.is_empty() || steps.contains(&Step::Key(String::new())) {
            return Err(unknown());
        }
        // Money, ids and times are texts in a ticket: only what cannot be one is read as JSON.
        let value = match serde_json::from_str(value) {
            Ok(Value::Number(_)) if !is_count(&steps) => Value::from(value),
            Ok(read) => read,
            Err(_) => Value::from(value),
        };
        Ok(Self { path: steps, value })
    }
}

/// The one number of a ticket.
fn is_count(steps: &[Step]) -> bool {
    matches!(steps.last(), Some(Step::Key(key)) if key == "quantity")
}

impl CaseEdit {
    /// Puts the value in its place; a field that is not there is made, an item that is not there is an error.
    fn apply(&self, case: &mut Value) -> bool {
        let mut place = case;
        for step in &self.path {
            if let (Step::Key(_), Value::Null) = (step, &*place) {
                *place = Value::Object(serde_json::Map::new());
            }
            let next = match step {
                Step::Key(key) => place.as_object_mut().map(|map| map.entry(key.as_str()).or_insert(Value::Null)),
                Step::Index(i) => place.get_mut(*i),
            };
            let Some(next) = next else { return false };
            place = next;
        }
        *place = self.value.clone();
        true
    }
}

/// A case cannot be changed as asked.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The path leads nowhere in this case.
    #[error("the case has no place `{0}`")]
    NoPlace(String),
    /// What came out is no ticket any more.
    #[error("the changed case is refused: {0}")]
    Refused(#[from] CaseErrors),
    /// The bytes are no JSON.
    #[error("the case is no JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The case with these changes.
pub(super) fn edited(case: &[u8], edits: &[CaseEdit]) -> Result<Case, EditError> {
    if edits.is_empty() {
        return Ok(Case::parse(case)?);
    }
    let mut value: Value = serde_json::from_slice(case)?;
    for edit in edits {
        if !edit.apply(&mut value) {
            return Err(EditError::NoPlace(format!("{:?}", edit.path)));
        }
    }
    Ok(Case::parse(&serde_json::to_vec(&value)?)?)
}

/// How much of a case file was there at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Known {
    /// Whether the claim had been filed.
    pub claim: bool,
    /// Whether the platform had stepped in.
    pub opened: bool,
    /// Messages, of all.
    pub messages: [usize; 2],
    /// Items of evidence, of all.
    pub evidence: [usize; 2],
    /// Events of the carrier, of all.
    pub logistics: [usize; 2],
}

/// The case file as it was at a time: what came later is left out. The case is `None` before there was a claim.
pub(super) fn known_at(case: &Case, at: Timestamp) -> Result<(Option<Case>, Known), EditError> {
    let mut value: Value = serde_json::from_slice(case.canonical())?;
    let mut keep = |list: &str, time: &str| {
        let Some(items) = value.get_mut(list).and_then(Value::as_array_mut) else { return [0, 0] };
        let all = items.len();
        items.retain(|item| item.get(time).and_then(time_of).is_none_or(|then| then <= at));
        [items.len(), all]
    };
    let known = Known {
        claim: case.claim.filed_at <= at,
        opened: case.opened_at <= at,
        messages: keep("dialogue", "at"),
        evidence: keep("evidence", "submitted_at"),
        logistics: keep("logistics", "at"),
    };
    for (part, time) in [("order", "shipped_at"), ("order", "signed_at"), ("return", "signed_at")] {
        if let Some(field) = value.get_mut(part).and_then(|part| part.get_mut(time))
            && time_of(field).is_some_and(|then| then > at)
        {
            *field = Value::Null;
        }
    }
    let case = match known.claim {
        true => Some(Case::parse(&serde_json::to_vec(&value)?)?),
        false => None,
    };
    Ok((case, known))
}

fn time_of(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_go_to_their_place() {
        let mut case = json!({ "order": { "total": "1.00", "items": [{ "quantity": 1 }] } });
        for (edit, place, value) in [
            ("$.order.total=12.50", "/order/total", json!("12.50")),
            ("$.order.items[0].quantity=3", "/order/items/0/quantity", json!(3)),
            ("$.order.services=[\"x\"]", "/order/services", json!(["x"])),
            ("$.order.signed_at=null", "/order/signed_at", Value::Null),
            ("$.claim.statement=a=b", "/claim/statement", json!("a=b")),
        ] {
            assert!(edit.parse::<CaseEdit>().unwrap().apply(&mut case), "{edit}");
            assert_eq!(case.pointer(place), Some(&value), "{edit}");
        }
        assert!(!"$.order.items[7].quantity=3".parse::<CaseEdit>().unwrap().apply(&mut case));
        for bad in ["order.total=1", "$=1", "$.order", "$..x=1", "$.a[x]=1"] {
            assert!(bad.parse::<CaseEdit>().is_err(), "{bad}");
        }
    }
}
