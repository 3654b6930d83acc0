//! What the analysis says of 3,000 random tables is what zen does with them, point by point.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use fastrand::Rng;
use praetor::sop::duration::IntervalSet;
use praetor::sop::table::{Analysis, Column, Table};
use zen_oracle::{Hits, Kind, Zen};

const TABLES: usize = 3_000;
const SEED: u64 = 0x5EED_7AB1;
/// As many gaps as the analysis lists at most; with fewer, the list is complete.
const GAP_LIMIT: usize = 8;
const DAY: i64 = 86_400;

#[derive(Debug, Default)]
struct Counts {
    tables: usize,
    sound: usize,
    gaps: usize,
    overlaps: usize,
    unreachable: usize,
    points: usize,
    boxes: usize,
}

fn column(rng: &mut Rng, n: usize) -> (Column, Kind) {
    let (domain, kind) = match rng.u8(0..5) {
        0 => (IntervalSet::range(0, rng.i64(1..6)), Kind::Text),
        1 => (IntervalSet::range(0, 1), Kind::Bool),
        2 => (IntervalSet::range(0, i64::MAX), Kind::Number),
        3 => (IntervalSet::range(-5, rng.i64(0..40)), Kind::Number),
        _ => (IntervalSet::all(), Kind::Number),
    };
    (Column { name: format!("c{n}"), domain }, kind)
}

/// A value near where cells begin and end, so that ranges touch, overlap and miss each other by one.
fn value(rng: &mut Rng, domain: &IntervalSet) -> i64 {
    let &(lo, hi) = domain.ranges().first().unwrap();
    if hi.saturating_sub(lo) < 100 {
        return rng.i64(lo..=hi);
    }
    let v = if rng.bool() { rng.i64(0..12) * DAY + rng.i64(-1..=1) } else { rng.i64(-20..20) };
    v.clamp(lo, hi)
}

fn cell(rng: &mut Rng, domain: &IntervalSet) -> IntervalSet {
    if rng.u8(0..4) == 0 {
        return domain.clone();
    }
    let &(lo, hi) = domain.ranges().first().unwrap();
    let ranges: Vec<(i64, i64)> = (0..rng.usize(1..3))
        .map(|_| {
            let (a, b) = (value(rng, domain), value(rng, domain));
            match rng.u8(0..4) {
                0 => (lo, a),
                1 => (a, hi),
                2 => (a, a),
                _ => (a.min(b), a.max(b)),
            }
        })
        .collect();
    IntervalSet::from_ranges(ranges)
}

/// Rows drawn without plan: mostly gaps and overlaps.
fn scattered(rng: &mut Rng, columns: &[Column]) -> Vec<Vec<IntervalSet>> {
    (0..rng.usize(1..13)).map(|_| columns.iter().map(|c| cell(rng, &c.domain)).collect()).collect()
}

/// Rows got by cutting the whole space again and again: a sound table.
fn partition(rng: &mut Rng, columns: &[Column]) -> Vec<Vec<IntervalSet>> {
    let mut rows: Vec<Vec<IntervalSet>> = vec![columns.iter().map(|c| c.domain.clone()).collect()];
    for _ in 0..rng.usize(1..12) {
        let (row, at) = (rng.usize(0..rows.len()), rng.usize(0..columns.len()));
        let one = cell(rng, &columns[at].domain).intersect(&rows[row][at]);
        let rest = without(&rows[row][at], &one);
        if !one.is_empty() && !rest.is_empty() {
            let mut other = rows[row].clone();
            other[at] = rest;
            rows[row][at] = one;
            rows.push(other);
        }
    }
    rng.shuffle(&mut rows);
    rows
}

fn without(set: &IntervalSet, taken: &IntervalSet) -> IntervalSet {
    let mut rest = set.clone();
    for &(lo, hi) in taken.ranges() {
        let below = if lo == i64::MIN { IntervalSet::empty() } else { IntervalSet::range(i64::MIN, lo - 1) };
        let above = if hi == i64::MAX { IntervalSet::empty() } else { IntervalSet::range(hi + 1, i64::MAX) };
        rest = rest.intersect(&below.union(&above));
    }
    rest
}

/// A sound table with one mistake of the kind people make.
fn spoiled(rng: &mut Rng, columns: &[Column]) -> Vec<Vec<IntervalSet>> {
    let mut rows = partition(rng, columns);
    let (row, at) = (rng.usize(0..rows.len()), rng.usize(0..columns.len()));
    match rng.u8(0..4) {
        0 if rows.len() > 1 => drop(rows.remove(row)),
        1 => rows.push(rows[row].clone()),
        2 => rows[row][at] = columns[at].domain.clone(),
        _ => rows[row][at] = cell(rng, &columns[at].domain),
    }
    rows
}

fn table(rng: &mut Rng) -> (Table, Vec<Kind>) {
    let (columns, kinds): (Vec<Column>, Vec<Kind>) = (0..rng.usize(1..5)).map(|n| column(rng, n)).unzip();
    let rows = match rng.u8(0..3) {
        0 => scattered(rng, &columns),
        1 => partition(rng, &columns),
        _ => spoiled(rng, &columns),
    };
    (Table { columns, rows }, kinds)
}

/// The ends of a set, and what lies next to them, inside the domain.
fn edges(set: &IntervalSet, domain: &IntervalSet) -> Vec<i64> {
    let ends = set.ranges().iter().flat_map(|&(lo, hi)| [lo, hi]);
    ends.flat_map(|v| [v.saturating_sub(1), v, v.saturating_add(1)]).filter(|v| domain.contains(*v)).collect()
}

/// Corners of rows and witnesses, their neighbours, and points drawn at random.
fn points(rng: &mut Rng, table: &Table, analysis: &Analysis) -> Vec<Vec<i64>> {
    let domains: Vec<&IntervalSet> = table.columns.iter().map(|c| &c.domain).collect();
    let witnesses = analysis.gaps.iter().chain(analysis.overlaps.iter().map(|o| &o.2));
    let boxes: Vec<&Vec<IntervalSet>> = table.rows.iter().chain(witnesses).collect();
    let mut out = Vec::new();
    for _ in 0..24 {
        let near = rng.choice(&boxes).unwrap();
        let point = near.iter().zip(&domains).map(|(set, domain)| {
            let edges = edges(set, domain);
            match rng.choice(&edges) {
                Some(v) if rng.u8(0..4) > 0 => *v,
                _ => value(rng, domain),
            }
        });
        out.push(point.collect());
    }
    out
}

fn corner(witness: &[IntervalSet]) -> Vec<i64> {
    witness.iter().map(|s| s.first().unwrap()).collect()
}

fn far_corner(witness: &[IntervalSet]) -> Vec<i64> {
    witness.iter().map(|s| s.ranges().last().unwrap().1).collect()
}

fn holds(witness: &[IntervalSet], point: &[i64]) -> bool {
    witness.iter().zip(point).all(|(s, v)| s.contains(*v))
}

fn check(rng: &mut Rng, counts: &mut Counts) -> Result<(), String> {
    let (table, kinds) = table(rng);
    let analysis = table.analyse();
    let first = Zen::new(&table, &kinds, Hits::First).map_err(|e| e.to_string())?;
    let collect = Zen::new(&table, &kinds, Hits::Collect).map_err(|e| e.to_string())?;
    let fail = |what: &str, point: &[i64]| Err(format!("{what} at {point:?}\n{table:#?}\n{analysis:#?}"));
    counts.tables += 1;
    counts.sound += usize::from(analysis.is_sound());
    counts.gaps += analysis.gaps.len();
    counts.overlaps += analysis.overlaps.len();
    counts.unreachable += analysis.unreachable.len();

    for gap in &analysis.gaps {
        for point in [corner(gap), far_corner(gap)] {
            if !collect.rows(&point)?.is_empty() || !first.rows(&point)?.is_empty() {
                return fail("zen has a row in a gap", &point);
            }
        }
    }
    for (a, b, shared) in &analysis.overlaps {
        for point in [corner(shared), far_corner(shared)] {
            let hit = collect.rows(&point)?;
            if !hit.contains(a) || !hit.contains(b) {
                return fail(&format!("rows {a} and {b} should overlap, zen hits {hit:?}"), &point);
            }
        }
    }
    for point in points(rng, &table, &analysis) {
        counts.points += 1;
        let sets: Vec<IntervalSet> = point.iter().map(|v| IntervalSet::point(*v)).collect();
        let ours = table.possible_rows(&sets);
        let zens = collect.rows(&point)?;
        if ours != zens {
            return fail(&format!("our rows {ours:?}, zen's {zens:?}"), &point);
        }
        if first.rows(&point)? != ours.iter().copied().take(1).collect::<Vec<_>>() {
            return fail("the first row differs", &point);
        }
        if analysis.is_sound() && zens.len() != 1 {
            return fail("a sound table hits other than one row", &point);
        }
        let in_gap = analysis.gaps.iter().any(|g| holds(g, &point));
        if analysis.gaps.len() < GAP_LIMIT && in_gap != zens.is_empty() {
            return fail("a gap is not listed, or wrongly", &point);
        }
        for (n, a) in zens.iter().enumerate() {
            for b in &zens[n + 1..] {
                if !analysis.overlaps.iter().any(|o| (o.0, o.1) == (*a, *b) && holds(&o.2, &point)) {
                    return fail(&format!("the overlap of {a} and {b} is not listed"), &point);
                }
            }
        }
        if zens.first().is_some_and(|r| analysis.unreachable.contains(r)) {
            return fail("a dead row is hit first", &point);
        }
    }
    for row in (0..table.rows.len()).filter(|r| !analysis.unreachable.contains(r)) {
        if table.rows[row].iter().zip(&table.columns).any(|(cell, c)| !cell.meets(&c.domain)) {
            return fail("an empty row is not listed as dead", &[]);
        }
    }
    undetermined(rng, &table, &collect, counts)
}

/// With facts that are only narrowed, the possible rows are those zen hits somewhere in the box.
fn undetermined(rng: &mut Rng, table: &Table, collect: &Zen, counts: &mut Counts) -> Result<(), String> {
    let known: Vec<IntervalSet> = table.columns.iter().map(|c| cell(rng, &c.domain)).collect();
    if known.iter().any(IntervalSet::is_empty) {
        return Ok(());
    }
    counts.boxes += 1;
    let possible = table.possible_rows(&known);
    for (n, row) in table.rows.iter().enumerate() {
        let shared: Vec<IntervalSet> = row.iter().zip(&known).map(|(a, b)| a.intersect(b)).collect();
        let meets = shared.iter().all(|s| !s.is_empty());
        if meets != possible.contains(&n) || meets && !collect.rows(&corner(&shared))?.contains(&n) {
            return Err(format!("row {n} with {known:?}: possible rows {possible:?}\n{table:#?}"));
        }
    }
    Ok(())
}

#[test]
fn the_analysis_agrees_with_zen() {
    let mut counts = Counts::default();
    let start = Instant::now();
    for n in 0..TABLES {
        let mut rng = Rng::with_seed(SEED + n as u64);
        check(&mut rng, &mut counts).unwrap_or_else(|e| panic!("table {n}: {e}"));
    }
    report(&counts, start);
    assert!(
        counts.sound > 900 && counts.gaps > 1_500 && counts.overlaps > 5_000 && counts.unreachable > 1_000,
        "{counts:?}"
    );
}

#[allow(clippy::print_stdout)]
fn report(counts: &Counts, start: Instant) {
    println!("{counts:?} in {:.1} s", start.elapsed().as_secs_f64());
}
