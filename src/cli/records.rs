//! Recorded decisions as commands pick them: by id or ticket, all, or those that match a filter; a page at a time.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::lang::Lang;
use crate::replay::Record;
use crate::store::{StoredDecision, TenantStore};

/// `outcome=review`, `sop.id=invoice.general`, `pins.rulebook=…`: a field of the decision and its value; `since` and
/// `until` are times of recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    Since(DateTime<Utc>),
    Until(DateTime<Utc>),
    Field(String, String),
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) =
            text.split_once('=').ok_or("write KEY=VALUE, such as outcome=review or sop.id=invoice.general")?;
        let time = || DateTime::parse_from_rfc3339(value).map(|at| at.to_utc()).map_err(|e| format!("{key}: {e}"));
        Ok(match key {
            "since" => Self::Since(time()?),
            "until" => Self::Until(time()?),
            "" => return Err("the key is empty".to_owned()),
            key => Self::Field(format!("/{}", key.replace('.', "/")), value.to_owned()),
        })
    }
}

impl Filter {
    pub(super) fn holds(&self, stored: &StoredDecision, decision: &Value) -> bool {
        match self {
            Self::Since(at) => stored.created_at >= *at,
            Self::Until(at) => stored.created_at <= *at,
            Self::Field(pointer, want) => match decision.pointer(pointer) {
                Some(Value::String(text)) => text == want,
                Some(value) => serde_json::from_str::<Value>(want).is_ok_and(|want| want == *value),
                None => want.is_empty(),
            },
        }
    }
}

/// What a command is about.
#[derive(Debug, Clone)]
pub(super) enum Picked {
    /// These decisions, or all of these tickets.
    Ids(Vec<String>),
    /// Every one that matches all filters.
    Every(Vec<Filter>),
}

/// The decision with this id, or all of a ticket, newest first.
pub(super) async fn find(store: &TenantStore, id: &str) -> anyhow::Result<Vec<StoredDecision>> {
    if id.starts_with("dec_")
        && let Some(found) = store.decision(id).await?
    {
        return Ok(vec![found]);
    }
    Ok(store.by_ticket(id).await?)
}

/// That there is none.
pub(super) fn none(id: &str, lang: Lang) -> String {
    lang.pick(format!("没有 `{id}` 的决定"), format!("there is no decision of `{id}`"))
}

/// Pages of records, in the order of recording or as asked for.
pub(super) struct Pages<'a> {
    store: &'a TenantStore,
    picked: Picked,
    size: usize,
    lang: Lang,
    after: i64,
}

impl<'a> Pages<'a> {
    pub(super) fn new(store: &'a TenantStore, picked: Picked, size: u16, lang: Lang) -> Self {
        Self { store, picked, size: usize::from(size), lang, after: 0 }
    }

    /// The next page, which a filter may leave empty; `None` at the end.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Vec<Record>>> {
        let found = match &mut self.picked {
            Picked::Ids(ids) => {
                if ids.is_empty() {
                    return Ok(None);
                }
                let id = ids.remove(0);
                let found = find(self.store, &id).await?;
                anyhow::ensure!(!found.is_empty(), "{}", none(&id, self.lang));
                found
            }
            Picked::Every(filters) => {
                let page = self.store.list_decisions(self.after, i64::try_from(self.size)?).await?;
                let Some(last) = page.last() else { return Ok(None) };
                self.after = last.seq;
                let holds = |stored: &StoredDecision| {
                    let decision = stored.body.kept().ok().and_then(|body| serde_json::from_slice(body).ok());
                    filters.iter().all(|filter| filter.holds(stored, &decision.clone().unwrap_or_default()))
                };
                page.into_iter().filter(holds).collect()
            }
        };
        let mut records = Vec::with_capacity(found.len());
        for stored in found {
            records.push(Record::read(self.store, stored).await?);
        }
        Ok(Some(records))
    }
}
