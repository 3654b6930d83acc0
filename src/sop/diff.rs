//! What differs between two rule books, SOP by SOP. Says nothing of cases.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::region::{Region, regions};
use super::rulebook::{RuleBook, Sop, SopId};

/// An SOP's version that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SopChange {
    /// Which SOP.
    pub id: SopId,
    /// Which version.
    pub version: u32,
    /// How.
    pub change: Changed,
    /// Where its table orders something else than before; for a new version, than the version before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
}

/// How it differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// Only in the new book.
    Added,
    /// Only in the old one.
    Removed,
    /// In both: the parts that differ, as a pack names them; of the table, its rows from 1.
    Parts(Vec<String>),
}

/// Every difference, by id and version.
pub fn diff(old: &RuleBook, new: &RuleBook) -> Vec<SopChange> {
    let canonical = |book: &RuleBook| -> BTreeMap<(SopId, u32), Value> {
        book.sops.iter().map(|s| ((s.id.clone(), s.version), s.canonical())).collect()
    };
    let (before, after) = (canonical(old), canonical(new));
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let change = |key: &&(SopId, u32)| match (before.get(*key), after.get(*key)) {
        (None, _) => Some(Changed::Added),
        (_, None) => Some(Changed::Removed),
        (Some(a), Some(b)) => Some(Changed::Parts(parts(a, b))).filter(|_| a != b),
    };
    keys.iter()
        .filter_map(|key| {
            let change = change(key)?;
            let (id, version) = (key.0.clone(), key.1);
            let now = new.sops.iter().find(|s| s.id == id && s.version == version);
            let was = old.sops.iter().rfind(|s| s.id == id && s.version <= version);
            let regions = was.zip(now).map(|(was, now): (&Sop, &Sop)| regions(was, now)).unwrap_or_default();
            Some(SopChange { id, version, change, regions })
        })
        .collect()
}

fn parts(old: &Value, new: &Value) -> Vec<String> {
    let Some(map) = old.as_object() else { return Vec::new() };
    let mut out = Vec::new();
    for (name, a) in map.iter().filter(|(name, a)| new.get(name.as_str()) != Some(a)) {
        match (name.as_str(), a.as_array(), new.get(name).and_then(Value::as_array)) {
            ("decide", Some(a), Some(b)) => {
                let rows = (0..a.len().max(b.len())).filter(|&i| a.get(i) != b.get(i));
                out.extend(rows.map(|i| format!("decide row {}", i + 1)));
            }
            _ => out.push(name.clone()),
        }
    }
    out
}
