//! Searching a rule book of 10,000 synthetic clauses with the words of the public cases.
//!
//! The clauses are put together, always the same way, of the demo pack's own phrases, so that their words are as common
//! as in real rules. Before criterion's figures stand the median and the 99th percentile over all cases.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use praetor::case::Case;
use praetor::nodes::policy_query;
use praetor::sop::{self, Index, RuleBook, SourceFile};

const CLAUSES: usize = 10_000;
const CLAUSES_OF_AN_SOP: usize = 6;
/// What the policy node asks for.
const K: usize = 20;

fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A fixed sequence of numbers below a bound (a 64-bit linear congruential generator).
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Sentences of a few phrases each.
struct Phrases<'a> {
    phrases: Vec<&'a str>,
    sequence: Sequence,
}

impl Phrases<'_> {
    fn sentence(&mut self, count: usize) -> String {
        let mut sentence = String::new();
        for _ in 0..count {
            sentence.push_str(self.phrases[self.sequence.below(self.phrases.len())]);
            sentence.push('，');
        }
        sentence
    }
}

/// The demo pack's taxonomy with as many scenes as SOPs are needed.
fn taxonomy(demo: &str, sops: usize, phrases: &mut Phrases<'_>) -> String {
    let rest = &demo[demo.find("\ngoods:").unwrap()..];
    let mut scenes = String::from("scenes:\n");
    for i in 0..sops {
        writeln!(scenes, "  - {{ id: s{i}, zh: \"{}\", en: Scene {i} }}", phrases.sentence(1)).unwrap();
    }
    scenes + rest
}

fn sop_file(i: usize, phrases: &mut Phrases<'_>) -> SourceFile {
    let mut text = format!(
        "id: s{i}.general\nversion: 1\neffective: {{ from: 2026-01-01 }}\n\
         title: {{ zh: \"{}\", en: Rule {i} }}\napplies: {{ scene: s{i}, goods: [\"*\"] }}\n\
         sources:\n  - {{ id: L, ref: 示例 }}\nclauses:\n",
        phrases.sentence(1)
    );
    for c in 1..=CLAUSES_OF_AN_SOP {
        let zh = phrases.sentence(5);
        writeln!(text, "  - {{ id: c{c}, zh: \"{zh}\", en: Clause {c}, sources: [L] }}").unwrap();
    }
    write!(
        text,
        "clock: {{ from: signed_at, within: 48h, stop: first_report }}\nproof:\n  order: buyer_first\n  buyer:\n\
         \x20   - {{ id: r.a, zh: \"{}\", en: Proof, accepts: [product_photo] }}\n\
         \x20   - {{ id: r.b, zh: \"{}\", en: Proof, accepts: [unboxing_video] }}\n\
         decide:\n  - {{ when: {{ timeliness: expired }}, then: reject_claim, cite: [c1] }}\n\
         \x20 - {{ when: {{ timeliness: in_time }}, then: request_evidence, cite: [c2] }}\n",
        phrases.sentence(2),
        phrases.sentence(2)
    )
    .unwrap();
    SourceFile { name: format!("s{i}.general.yaml"), text }
}

/// A pack of as many clauses, compiled like any other.
fn book(demo: &RuleBook) -> RuleBook {
    let clauses = demo.sops.iter().flat_map(|sop| &sop.clauses).map(|clause| clause.text.zh.as_str());
    let parts = clauses.flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    let mut phrases =
        Phrases { phrases: parts.filter(|part| part.chars().count() > 3).collect(), sequence: Sequence(1) };
    let sops = CLAUSES.div_ceil(CLAUSES_OF_AN_SOP);
    let read = |name: &str| fs::read_to_string(repo("sop_rules/demo").join(name)).unwrap();
    let file = |name: &str, text: String| SourceFile { name: name.to_owned(), text };
    let mut files = vec![
        file("pack.yaml", read("pack.yaml")),
        file("calendar.yaml", read("calendar.yaml")),
        file("taxonomy.yaml", taxonomy(&read("taxonomy.yaml"), sops, &mut phrases)),
    ];
    files.extend((0..sops).map(|i| sop_file(i, &mut phrases)));
    sop::compile(&files).unwrap_or_else(|e| panic!("{e}"))
}

fn queries() -> Vec<String> {
    let tickets = fs::read_to_string(repo("models/training/data/public/tickets.jsonl")).unwrap();
    tickets.lines().map(|line| policy_query(&Case::parse(line.as_bytes()).unwrap())).collect()
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn search(c: &mut Criterion) {
    let demo = sop::load(&repo("sop_rules/demo")).unwrap();
    let book = book(&demo);
    let clauses: usize = book.sops.iter().map(|sop| sop.clauses.len()).sum();
    let queries = queries();
    for (name, book) in [("demo pack", &demo), ("10,000 clauses", &book)] {
        let started = Instant::now();
        let index = Index::build(book).unwrap();
        println!("{name}: {} SOPs indexed in {:?}", book.sops.len(), started.elapsed());
        let mut times = Vec::new();
        // The first round only warms up.
        for round in 0..4 {
            for query in &queries {
                let started = Instant::now();
                black_box(index.search(black_box(query), K).unwrap());
                if round > 0 {
                    times.push(started.elapsed());
                }
            }
        }
        times.sort_unstable();
        println!(
            "{name}: {} searches: p50 {:?}, p99 {:?}, longest {:?}",
            times.len(),
            percentile(&times, 50),
            percentile(&times, 99),
            percentile(&times, 100)
        );
        let mut next = queries.iter().cycle();
        c.bench_function(&format!("retrieval/{name}"), |b| {
            b.iter(|| index.search(black_box(next.next().unwrap()), K).unwrap());
        });
    }
    println!("{clauses} clauses, {} cases", queries.len());
}

criterion_group!(benches, search);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}
