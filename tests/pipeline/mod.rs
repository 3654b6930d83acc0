//! The pipeline over the public benchmark: exact given the gold, the same bytes however it is asked, and never sure of
//! what it does not know.

mod adversarial;
mod determinism;
mod endpoint;
mod given_gold;
mod nodes;
mod pra;
mod retrieval;
pub(crate) mod second_pass;
pub(crate) mod undetermined;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use praetor::case::Case;
use praetor::decision::Gate;
use praetor::eval::{Gold, read_gold};
use praetor::judge::{Answer, Device, Distribution, Pins, Probability, Thresholds};
use praetor::nodes::{Node, NodeId, waves};
use praetor::pipeline::{Ask, Pipeline};
use praetor::sop::{Index, RuleBook, Term};

pub(crate) static BOOK: LazyLock<RuleBook> = LazyLock::new(|| praetor::sop::load(&repo("sop_rules/demo")).unwrap());
static INDEX: LazyLock<Index> = LazyLock::new(|| Index::build(&BOOK).unwrap());
/// Every public ticket with its gold.
pub(crate) static PUBLIC: LazyLock<Vec<(Case, Gold)>> = LazyLock::new(|| {
    let read = |name: &str| fs::read_to_string(repo("models/training/data/public").join(name)).unwrap();
    let (tickets, gold) = (read("tickets.jsonl"), read_gold(&read("gold.jsonl")).unwrap());
    let cases = tickets.lines().map(|line| Case::parse(line.as_bytes()).unwrap());
    let pairs: Vec<_> = cases.zip(gold).collect();
    assert_eq!(pairs.len(), 1_320);
    assert!(pairs.iter().all(|(case, gold)| case.ticket_id.as_str() == gold.ticket_id));
    pairs
});

pub(crate) fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn node(id: NodeId) -> Box<dyn Node> {
    waves().into_iter().flatten().find(|node| node.id() == id).unwrap()
}

pub(crate) fn thresholds(p: Probability) -> Thresholds {
    Thresholds { scene: p, goods_type: p, first_report: p, evidence: p, measure: p, chosen_on: None }
}

/// A pipeline whose answers come from elsewhere; what is certain is automatic.
pub(crate) fn pipeline(ask: Box<dyn Ask>, thresholds: Thresholds) -> Pipeline {
    let pins = Pins {
        manifest: "none".into(),
        models: Default::default(),
        tokenizer: "none".into(),
        runtime: "none".into(),
        device: Device::Cpu,
    };
    Pipeline::with(BOOK.clone(), ask, &pins, thresholds).unwrap().gated(Gate::Open)
}

/// All the probability on one label.
fn certain(labels: &[&str], best: &str) -> Distribution {
    assert!(labels.contains(&best), "{best}");
    let p = labels.iter().map(|l| if *l == best { Probability::ONE } else { Probability::ZERO }).collect();
    Distribution { labels: labels.iter().map(|l| (*l).to_owned()).collect::<Arc<[String]>>(), p }
}

fn answer<const N: usize>(heads: [(&str, Distribution); N]) -> Answer {
    Answer { heads: heads.into_iter().map(|(head, d)| (head.to_owned(), d)).collect(), said: None }
}

fn yes(holds: bool) -> Distribution {
    certain(&["no", "yes"], if holds { "yes" } else { "no" })
}

fn ids(terms: &[Term]) -> Vec<&str> {
    terms.iter().map(|term| term.id.as_str()).collect()
}

const VERDICTS: [&str; 7] = ["valid", "unclear", "unrelated", "wrong_order", "incomplete", "offsite", "forged"];
