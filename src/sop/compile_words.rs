//! The words and days a pack rests on: the taxonomy's ids, each once, and holidays that end after they begin.
//!
//! The public types carry no places; where a finding needs one, the file is read again for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::compile::Sink;
use super::diag::{Finding, SourceFile};
use super::raw::{Bilingual, Calendar, Taxonomy, Term};

/// Every id of the taxonomy, by kind.
pub(super) struct Words {
    pub(super) scenes: BTreeSet<String>,
    pub(super) goods: BTreeSet<String>,
    pub(super) remedies: BTreeSet<String>,
    pub(super) evidence_kinds: BTreeSet<String>,
    pub(super) services: BTreeSet<String>,
}

impl Words {
    pub(super) fn new(t: &Taxonomy) -> Self {
        let ids = |terms: &[Term]| terms.iter().map(|t| t.id.clone()).collect();
        Self {
            scenes: ids(&t.scenes),
            goods: ids(&t.goods),
            remedies: ids(&t.remedies),
            evidence_kinds: ids(&t.evidence_kinds),
            services: ids(&t.services),
        }
    }
}

#[derive(Deserialize)]
struct PlacedTerm {
    id: Spanned<String>,
}

#[derive(Deserialize)]
struct PlacedCalendar {
    years: Vec<PlacedYear>,
}

#[derive(Deserialize)]
struct PlacedYear {
    holidays: Vec<PlacedHoliday>,
}

#[derive(Deserialize)]
struct PlacedHoliday {
    name: Bilingual,
    from: NaiveDate,
    to: Spanned<NaiveDate>,
}

pub(super) fn check_taxonomy(file: &Arc<SourceFile>, t: &Taxonomy, findings: &mut Vec<Finding>) {
    let repeats = |terms: &Vec<Term>| {
        let mut seen = BTreeSet::new();
        terms.iter().any(|term| !seen.insert(&term.id))
    };
    if ![&t.scenes, &t.goods, &t.remedies, &t.evidence_kinds, &t.defects, &t.services].into_iter().any(repeats) {
        return;
    }
    let placed = serde_saphyr::from_str::<BTreeMap<String, Vec<PlacedTerm>>>(&file.text).unwrap_or_default();
    for (list, terms) in placed {
        let mut seen = BTreeSet::new();
        for term in &terms {
            if !seen.insert(&term.id.value) {
                let id = &term.id.value;
                Sink { file: file.clone(), findings: &mut *findings }.at(
                    "taxonomy.duplicate",
                    &term.id,
                    format!("`{id}` 在 {list} 中重复"),
                    format!("`{id}` is listed twice in {list}"),
                );
            }
        }
    }
}

pub(super) fn check_calendar(file: &Arc<SourceFile>, calendar: &Calendar, findings: &mut Vec<Finding>) {
    if calendar.years.iter().flat_map(|y| &y.holidays).all(|h| h.from <= h.to) {
        return;
    }
    let Ok(placed) = serde_saphyr::from_str::<PlacedCalendar>(&file.text) else { return };
    for holiday in placed.years.iter().flat_map(|y| &y.holidays).filter(|h| h.from > h.to.value) {
        Sink { file: file.clone(), findings: &mut *findings }.at(
            "calendar.order",
            &holiday.to,
            format!("假日“{}”的结束早于开始", holiday.name.zh),
            format!("the holiday `{}` ends before it begins", holiday.name.en),
        );
    }
}
