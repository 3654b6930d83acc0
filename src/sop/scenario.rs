//! Scenario tests kept beside the rules: facts in, expected remedy out.

use super::compile::Sink;
use super::compile_words::Words;
use super::evaluate::Ruling;
use super::facts::{Fact, Facts, Sufficiency, Type, format_value};
use super::raw::{Cell, RawExpect, RawSop};
use super::rulebook::{Clock, Sop};

/// A compiled scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// What it is about.
    pub name: String,
    facts: Facts,
    expect: RawExpect,
}

/// A scenario that did not come out as its author expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioFailure {
    /// The scenario.
    pub name: String,
    /// Each difference: field, expected, found.
    pub differences: Vec<(String, String, String)>,
}

pub(super) fn compile_scenarios(raw: &RawSop, clock: Clock, words: &Words, sink: &mut Sink<'_>) -> Vec<Scenario> {
    let mut out = Vec::new();
    for test in &raw.tests {
        let mut facts = Facts::new();
        facts.set_services([]);
        for (name, cell) in &test.given {
            if let Err((zh, en)) = given(&mut facts, name, &cell.value, clock, words) {
                if known(name) {
                    sink.at("test.given", cell, zh, en);
                } else {
                    sink.key("test.given", name, cell, zh, en);
                }
            }
        }
        if facts.get(&Fact::GoodsTotal).is_none()
            && let (Some(total), Some(freight)) = (facts.get(&Fact::Total), facts.get(&Fact::Freight))
        {
            facts.set(Fact::GoodsTotal, total - freight);
        }
        out.push(Scenario { name: test.name.value.clone(), facts, expect: test.expect.clone() });
    }
    out
}

fn known(name: &str) -> bool {
    matches!(name, "services" | "timeliness") || name.parse::<Fact>().is_ok()
}

type Message = (String, String);

fn given(facts: &mut Facts, name: &str, cell: &Cell, clock: Clock, words: &Words) -> Result<(), Message> {
    if name == "services" {
        let Cell::List(list) = cell else {
            return Err(("services 应为列表".into(), "services is a list".into()));
        };
        if let Some(id) = list.iter().find(|id| !words.services.contains(*id)) {
            return Err((format!("没有名为 `{id}` 的服务"), format!("there is no service `{id}`")));
        }
        facts.set_services(list.iter().cloned());
        return Ok(());
    }
    if name == "timeliness" {
        let elapsed = match cell {
            Cell::Text(t) if t == "in_time" => clock.within,
            Cell::Text(t) if t == "expired" => clock.within.saturating_add(1),
            _ => {
                return Err((
                    "timeliness 的取值是 in_time 或 expired".into(),
                    "timeliness is in_time or expired".into(),
                ));
            }
        };
        facts.set(Fact::Elapsed, elapsed);
        return Ok(());
    }
    let fact: Fact =
        name.parse().map_err(|()| (format!("没有名为 `{name}` 的事实"), format!("there is no fact `{name}`")))?;
    let value = match (fact.ty(), cell) {
        (Type::Int, Cell::Int(n)) => Some(*n),
        (Type::Duration, Cell::Text(t)) => super::duration::parse_duration(t).ok(),
        (Type::Money, Cell::Text(t)) => parse_scaled(t, 2),
        (Type::Ratio, Cell::Text(t)) => parse_scaled(t, 6),
        (Type::Sufficiency, Cell::Text(t)) => t.parse::<Sufficiency>().ok().map(Sufficiency::index),
        _ => None,
    };
    let value = value.ok_or_else(|| {
        let (zh, en) = match fact.ty() {
            Type::Money => (
                "应写加引号的元，至多两位小数，如 \"12.34\"",
                "write yuan in quotes, with at most two decimals, such as \"12.34\"",
            ),
            Type::Ratio => ("应写加引号的小数，如 \"0.35\"", "write a decimal in quotes such as \"0.35\""),
            Type::Duration => ("应写时长，如 48h", "write a duration such as 48h"),
            Type::Int => ("应写整数，不加引号", "write a whole number, without quotes"),
            Type::Bool => ("请用 services 列出订单的服务", "list the order's services under `services`"),
            _ => (
                "可取 sufficient、insufficient、none、not_required",
                "it is one of sufficient, insufficient, none, not_required",
            ),
        };
        (format!("`{name}` 的值不合适：{zh}"), format!("this value of `{name}` does not fit: {en}"))
    })?;
    facts.set(fact, value);
    Ok(())
}

/// Reads a decimal such as `12.5` exactly, with at most `digits` decimals, as an integer of that scale.
pub fn parse_scaled(text: &str, digits: usize) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || part.len() > digits || !(whole.bytes().chain(part.bytes())).all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

impl Sop {
    /// Runs every scenario test; returns those that fail.
    pub fn run_scenarios(&self, tiers: &[i64]) -> Vec<ScenarioFailure> {
        self.tests.iter().filter_map(|t| self.run_scenario(t, tiers)).collect()
    }

    fn run_scenario(&self, test: &Scenario, tiers: &[i64]) -> Option<ScenarioFailure> {
        let mut differences = Vec::new();
        let mut compare = |field: &str, want: Option<String>, got: String| {
            if let Some(want) = want
                && want != got
            {
                differences.push((field.to_owned(), want, got));
            }
        };
        let want = &test.expect;
        match self.rule(&test.facts, tiers) {
            Ruling::Decided(got) => {
                compare("remedy", Some(want.remedy.clone()), got.kind);
                compare("refund", want.refund.clone(), format_value(Type::Money, got.refund));
                compare("compensation", want.compensation.clone(), format_value(Type::Money, got.compensation));
                compare("freight_by", want.freight_by.clone(), got.freight_by.as_str().to_owned());
                compare("return_goods", want.return_goods.map(|b| b.to_string()), got.return_goods.to_string());
                compare("row", want.row.map(|r| r.to_string()), (got.row + 1).to_string());
            }
            Ruling::Undetermined { missing, .. } => {
                let missing = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                compare("remedy", Some(want.remedy.clone()), format!("undetermined ({missing})"));
            }
            Ruling::Overflow { .. } => compare("remedy", Some(want.remedy.clone()), "overflow".to_owned()),
        }
        (!differences.is_empty()).then(|| ScenarioFailure { name: test.name.clone(), differences })
    }
}
