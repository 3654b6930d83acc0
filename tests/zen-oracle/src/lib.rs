//! The zen rules engine as an oracle for the product's decision tables: an independent implementation that only
//! evaluates, which what our analysis proves can be held against. A crate of its own, because zen brings a script
//! engine and an HTTP client that the product must not build; it never leaves the tests.

use praetor::sop::duration::IntervalSet;
use praetor::sop::facts::{Fact, Sufficiency, Type};
use praetor::sop::table::Table;
use serde_json::{Map, Value, json};
use zen_engine::model::GraphContent;
use zen_engine::{Decision, EvaluationOptions, Variable};

/// How a column's integers are written for zen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As numbers: counts, seconds.
    Number,
    /// As texts, one a value.
    Text,
    /// As false and true.
    Bool,
}

impl Kind {
    /// The kind that suits a fact.
    pub fn of(fact: &Fact) -> Self {
        match fact.ty() {
            Type::Sufficiency => Self::Text,
            Type::Bool => Self::Bool,
            _ => Self::Number,
        }
    }

    fn value(self, v: i64) -> Value {
        match self {
            Self::Number => v.into(),
            Self::Text => text(v).into(),
            Self::Bool => (v != 0).into(),
        }
    }

    /// A cell in zen's language; empty for any value of the domain.
    fn cell(self, set: &IntervalSet, domain: &IntervalSet) -> String {
        if domain.within(set) {
            return String::new();
        }
        let one = |&(lo, hi): &(i64, i64)| match self {
            Self::Number => match (lo, hi) {
                (i64::MIN, hi) => format!("<= {hi}"),
                (lo, i64::MAX) => format!(">= {lo}"),
                (lo, hi) if lo == hi => lo.to_string(),
                (lo, hi) => format!("[{lo}..{hi}]"),
            },
            Self::Text => (lo..=hi).map(|v| format!("'{}'", text(v))).collect::<Vec<_>>().join(", "),
            Self::Bool => (lo..=hi).map(|v| (v != 0).to_string()).collect::<Vec<_>>().join(", "),
        };
        set.ranges().iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

fn text(v: i64) -> String {
    let known = Sufficiency::ALL.into_iter().find(|s| s.index() == v);
    known.map_or_else(|| format!("value_{v}"), |s| s.as_str().to_owned())
}

/// Zen's hit policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hits {
    /// The first row that matches.
    First,
    /// Every row that matches.
    Collect,
}

/// A table as zen's JSON decision model. A cell no value fits cannot be said in zen, so such a row is left out;
/// each row's output is its number.
pub fn model(table: &Table, kinds: &[Kind], hits: Hits) -> Value {
    let inputs: Vec<Value> = table
        .columns
        .iter()
        .enumerate()
        .map(|(i, c)| json!({ "id": format!("i{i}"), "name": c.name, "field": format!("c{i}") }))
        .collect();
    let rules: Vec<Value> = table
        .rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.iter().zip(&table.columns).all(|(cell, c)| cell.meets(&c.domain)))
        .map(|(n, row)| {
            let mut rule = Map::new();
            rule.insert("_id".to_owned(), format!("r{n}").into());
            rule.insert("o".to_owned(), n.to_string().into());
            for (i, cell) in row.iter().enumerate() {
                let column = &table.columns[i];
                rule.insert(format!("i{i}"), kinds[i].cell(&cell.intersect(&column.domain), &column.domain).into());
            }
            Value::Object(rule)
        })
        .collect();
    let policy = match hits {
        Hits::First => "first",
        Hits::Collect => "collect",
    };
    json!({
        "nodes": [
            { "id": "in", "name": "in", "type": "inputNode", "content": {} },
            { "id": "table", "name": "table", "type": "decisionTableNode", "content": {
                "hitPolicy": policy, "inputs": inputs, "rules": rules,
                "outputs": [{ "id": "o", "name": "row", "field": "row" }],
            } },
            { "id": "out", "name": "out", "type": "outputNode", "content": {} },
        ],
        "edges": [
            { "id": "e1", "sourceId": "in", "targetId": "table" },
            { "id": "e2", "sourceId": "table", "targetId": "out" },
        ],
    })
}

/// A table compiled by zen.
pub struct Zen {
    decision: Decision,
    kinds: Vec<Kind>,
}

impl Zen {
    /// Compiles the table.
    pub fn new(table: &Table, kinds: &[Kind], hits: Hits) -> Result<Self, serde_json::Error> {
        let content: GraphContent = serde_json::from_value(model(table, kinds, hits))?;
        let mut decision = Decision::from(content);
        decision.compile();
        Ok(Self { decision, kinds: kinds.to_vec() })
    }

    /// A point as zen's input.
    pub fn input(&self, point: &[i64]) -> Variable {
        let fields = point.iter().zip(&self.kinds).enumerate().map(|(i, (v, k))| (format!("c{i}"), k.value(*v)));
        Value::Object(fields.collect()).into()
    }

    /// What zen answers.
    pub fn evaluate(&self, input: Variable, trace: bool) -> Result<Value, String> {
        let options = EvaluationOptions { trace, ..EvaluationOptions::default() };
        let answer = futures_executor::block_on(self.decision.evaluate_with_opts(input, options));
        answer.map(|a| a.result.to_value()).map_err(|e| format!("{e:?}"))
    }

    /// The rows zen hits at a point, in its order.
    pub fn rows(&self, point: &[i64]) -> Result<Vec<usize>, String> {
        let answer = self.evaluate(self.input(point), false)?;
        let hits = match &answer {
            Value::Array(hits) => hits.as_slice(),
            one => std::slice::from_ref(one),
        };
        Ok(hits.iter().filter_map(|h| h.get("row")?.as_u64()).filter_map(|r| usize::try_from(r).ok()).collect())
    }
}
