//! One traced SOP decision, models excluded, beside zen on the same tables: every row of the demo pack, hit once.
//!
//! Ours is what the remedy node does with known facts: the row, its exact amounts, and for each fact the nearest
//! value that would order something else. Zen answers with the row alone, without and with its own trace.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group};
use praetor::sop::facts::{Fact, Facts};
use praetor::sop::{self, RuleBook, Ruling, Sop};
use zen_engine::Variable;
use zen_oracle::{Hits, Kind, Zen};

/// A case that hits one row, as we and as zen take it.
struct Hit<'a> {
    sop: &'a Sop,
    facts: Facts,
    zen: &'a Zen,
    input: Variable,
}

/// The value of a cell nearest to zero: a plausible case rather than the end of time.
fn likely(sop: &Sop, row: usize, column: usize) -> i64 {
    let ranges = sop.table.rows[row][column].ranges();
    ranges.iter().map(|&(lo, hi)| 0.clamp(lo, hi)).min_by_key(|v| v.abs()).unwrap()
}

fn facts(sop: &Sop, point: &[i64]) -> Facts {
    let mut facts = Facts::new();
    for (fact, value) in [
        (Fact::Elapsed, 20 * 3600),
        (Fact::ShipPromise, 48 * 3600),
        (Fact::Total, 12_990),
        (Fact::Freight, 990),
        (Fact::GoodsTotal, 12_000),
        (Fact::UnitPrice, 6_000),
        (Fact::Deposit, 2_000),
        (Fact::Quantity, 2),
        (Fact::SeverityRatio, 350_000),
        (Fact::MissingCount, 1),
        (Fact::ReceiptAmount, 4_550),
        (Fact::PriceDiff, 1_500),
    ] {
        facts.set(fact, value);
    }
    let mut services = Vec::new();
    for (fact, value) in sop.columns.iter().zip(point) {
        match fact {
            Fact::Service(id) if *value != 0 => services.push(id.clone()),
            Fact::Service(_) => {}
            fact => drop(facts.set(fact.clone(), *value)),
        }
    }
    facts.set_services(services);
    facts
}

fn tables(book: &RuleBook) -> Vec<Zen> {
    let kinds = |sop: &Sop| sop.columns.iter().map(Kind::of).collect::<Vec<_>>();
    book.sops.iter().map(|sop| Zen::new(&sop.table, &kinds(sop), Hits::First).unwrap()).collect()
}

fn hits<'a>(book: &'a RuleBook, zen: &'a [Zen]) -> Vec<Hit<'a>> {
    let mut out = Vec::new();
    for (sop, zen) in book.sops.iter().zip(zen) {
        for row in 0..sop.rows.len() {
            let point: Vec<i64> = (0..sop.columns.len()).map(|c| likely(sop, row, c)).collect();
            let hit = Hit { sop, facts: facts(sop, &point), zen, input: zen.input(&point) };
            // Both must hit this row, or the two would not be timed on the same work.
            assert_eq!(zen.rows(&point).unwrap(), [row], "{}", sop.id);
            assert!(matches!(ours(&hit, &book.head.tiers).0, Ruling::Decided(r) if r.row == row), "{}", sop.id);
            out.push(hit);
        }
    }
    out
}

fn ours(hit: &Hit<'_>, tiers: &[i64]) -> (Ruling, Vec<sop::Flip>) {
    let ruling = hit.sop.rule(&hit.facts, tiers);
    let flips = match &ruling {
        Ruling::Decided(remedy) => hit.sop.flips(&hit.facts, remedy.row),
        _ => Vec::new(),
    };
    (ruling, flips)
}

fn pack() -> RuleBook {
    sop::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sop_rules/demo")).unwrap_or_else(|e| panic!("{e}"))
}

fn decisions(c: &mut Criterion) {
    let book = pack();
    let zen = tables(&book);
    let hits = hits(&book, &zen);
    let tiers = &book.head.tiers;
    let mut group = c.benchmark_group("every row of the demo pack");
    group.throughput(Throughput::Elements(hits.len() as u64));
    group.bench_function("praetor: row, amounts, flips", |b| {
        b.iter(|| hits.iter().for_each(|h| drop(black_box(ours(black_box(h), tiers)))));
    });
    for (name, trace) in [("zen: row", false), ("zen: row, trace", true)] {
        group.bench_function(name, |b| {
            b.iter(|| hits.iter().for_each(|h| drop(black_box(h.zen.evaluate(h.input.clone(), trace)))));
        });
    }
    group.finish();
}

/// Microseconds a decision: the fastest of 15 passes over all cases, all three measured in turn.
fn ratio() {
    let book = pack();
    let zen = tables(&book);
    let hits = hits(&book, &zen);
    let time = |run: &dyn Fn(&Hit<'_>)| {
        let start = Instant::now();
        (0..20).for_each(|_| hits.iter().for_each(run));
        start.elapsed().as_secs_f64() * 1e6 / (20 * hits.len()) as f64
    };
    let mut best = [f64::MAX; 3];
    for _ in 0..15 {
        let runs = [
            time(&|h| drop(black_box(ours(black_box(h), &book.head.tiers)))),
            time(&|h| drop(black_box(h.zen.evaluate(h.input.clone(), false)))),
            time(&|h| drop(black_box(h.zen.evaluate(h.input.clone(), true)))),
        ];
        best = std::array::from_fn(|i| best[i].min(runs[i]));
    }
    let [ours, plain, traced] = best;
    println!("{} rows of {} tables, microseconds a decision:", hits.len(), zen.len());
    println!("  praetor, row with amounts and flips  {ours:8.2}");
    println!("  zen, row                             {plain:8.2}  {:6.1} times ours", plain / ours);
    println!("  zen, row with its trace              {traced:8.2}  {:6.1} times ours", traced / ours);
}

criterion_group!(benches, decisions);

fn main() {
    benches();
    ratio();
    Criterion::default().configure_from_args().final_summary();
}
