//! The figures for people and for programs: each beside its 95% interval and the majority baseline.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::figures::Figures;
use super::score::Marks;
use super::stats::Rate;
use crate::lang::Lang;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Over all cases.
    pub figures: Figures,
    /// The same for the majority baseline.
    pub baseline: Figures,
    /// By the gold's scene.
    pub scenes: BTreeMap<String, Figures>,
    /// Whether each case was decided by models that have not seen it.
    pub cross_validated: bool,
}

/// The figures shown for each scene: heading and name.
const BY_SCENE: [(&str, &str); 7] = [
    ("labels", "label_both"),
    ("sop", "sop"),
    ("in time", "timeliness"),
    ("items", "evidence_item"),
    ("remedy", "remedy_exact"),
    ("auto", "auto_share"),
    ("precision", "auto_precision"),
];

impl Report {
    /// Sums up marked decisions and the marked baseline.
    pub fn new(marks: &[Marks], baseline: &[Marks], cross_validated: bool) -> Report {
        let mut scenes: BTreeMap<String, Vec<&Marks>> = BTreeMap::new();
        for mark in marks {
            scenes.entry(mark.scene_id.clone()).or_default().push(mark);
        }
        Report {
            figures: Figures::of(marks),
            baseline: Figures::of(baseline),
            scenes: scenes.into_iter().map(|(scene, marks)| (scene, Figures::of(marks))).collect(),
            cross_validated,
        }
    }

    /// One JSON object. `scorer` holds exactly what the benchmark's scorer prints.
    pub fn json(&self, by_scene: bool) -> Value {
        let mut out = json!({
            "cases": self.figures.cases,
            "decided": self.figures.decided,
            "cross_validated": self.cross_validated,
            "figures": figures(&self.figures),
            "majority": figures(&self.baseline),
            "scorer": self.figures.scorer(),
        });
        if by_scene {
            let scenes: Map<String, Value> =
                self.scenes.iter().map(|(scene, found)| (scene.clone(), figures(found))).collect();
            out["by_scene"] = Value::Object(scenes);
        }
        out
    }

    /// A table for people.
    pub fn write_text(&self, by_scene: bool, lang: Lang, out: &mut impl Write) -> io::Result<()> {
        let (decided, cases) = (self.figures.decided, self.figures.cases);
        let models = match self.cross_validated {
            true => lang.pick("每案由未见过该案的模型裁决", "each by models that have not seen it"),
            false => lang.pick("随附模型，可能见过这些案件", "by the shipped models, which may have seen them"),
        };
        match lang {
            Lang::Zh => writeln!(out, "共 {cases} 案，已裁决 {decided} 案；{models}")?,
            Lang::En => writeln!(out, "{decided} of {cases} cases decided, {models}")?,
        }
        writeln!(out, "{:<18}{:>7}  {:<16}{:>9}  {:>11}", "figure", "value", "95% interval", "majority", "right/of")?;
        for ((name, rate), (_, baseline)) in self.figures.rates().into_iter().zip(self.baseline.rates()) {
            let interval = rate.wilson().map_or("–".to_owned(), |(low, high)| format!("{low:.4}–{high:.4}"));
            let counts = format!("{}/{}", rate.right, rate.of);
            let (value, baseline) = (shown(rate.share()), shown(baseline.share()));
            writeln!(out, "{name:<18}{value:>7}  {interval:<16}{baseline:>9}  {counts:>11}")?;
        }
        for ((name, value), (_, baseline)) in self.figures.others().into_iter().zip(self.baseline.others()) {
            writeln!(out, "{name:<18}{:>7}  {:<16}{:>9}", shown(value), "–", shown(baseline))?;
        }
        if by_scene {
            self.write_scenes(out)?;
        }
        Ok(())
    }

    fn write_scenes(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "\n{:<26}{:>6}", "scene", "cases")?;
        for (heading, _) in BY_SCENE {
            write!(out, "{heading:>18}")?;
        }
        writeln!(out)?;
        for (scene, found) in &self.scenes {
            write!(out, "{scene:<26}{:>6}", found.cases)?;
            let rates: BTreeMap<&str, Rate> = found.rates().into_iter().collect();
            for (_, name) in BY_SCENE {
                write!(out, "{:>18}", rates.get(name).map_or("–".to_owned(), |rate| with_interval(*rate)))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.4}"))
}

/// A share and its 95% interval, as in `.975 (.871–.996)`.
fn with_interval(rate: Rate) -> String {
    let short = |value: f64| match format!("{value:.3}").strip_prefix('0') {
        Some(digits) => digits.to_owned(),
        None => format!("{value:.2}"),
    };
    match (rate.share(), rate.wilson()) {
        (Some(share), Some((low, high))) => format!("{} ({}–{})", short(share), short(low), short(high)),
        _ => "–".to_owned(),
    }
}

fn figures(figures: &Figures) -> Value {
    let rate = |rate: Rate| {
        let (low, high) = rate.wilson().unzip();
        json!({ "value": rate.share(), "low": low, "high": high, "right": rate.right, "of": rate.of })
    };
    let rates = figures.rates().into_iter().map(|(name, r)| (name.to_owned(), rate(r)));
    let others = figures.others().into_iter().map(|(name, value)| (name.to_owned(), json!({ "value": value })));
    Value::Object(rates.chain(others).collect())
}
