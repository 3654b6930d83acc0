//! The same p-values and the same thresholds as the MAPIE package's risk control, on seeded data that
//! `tests/fixtures/calibrate/make_mapie.py` wrote.

use praetor::calibrate::{Level, Scored, p_value, test};
use praetor::judge::Probability;
use serde::Deserialize;

use crate::pipeline::repo;

#[derive(Deserialize)]
struct Fixture {
    mapie: String,
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    alpha: f64,
    delta: f64,
    scores: Vec<u32>,
    right: Vec<u8>,
    grid: Vec<u32>,
    p_values: Vec<f64>,
    valid: Vec<u32>,
}

#[test]
fn thresholds_and_p_values_are_those_of_mapie() {
    let text = std::fs::read_to_string(repo("tests/fixtures/calibrate/mapie.json")).unwrap();
    let fixture: Fixture = serde_json::from_str(&text).unwrap();
    assert_eq!((fixture.mapie.as_str(), fixture.sets.len()), ("1.6.0", 40));
    let p = |millionths: &u32| Probability::from_millionths(*millionths).unwrap();
    let (mut passed, mut compared, mut rounded, mut stricter) = (0, 0, 0, 0);
    for (at, set) in fixture.sets.iter().enumerate() {
        let level = Level { alpha: set.alpha, delta: set.delta };
        let scored: Vec<Scored> =
            set.scores.iter().zip(&set.right).map(|(s, r)| Scored { score: p(s), right: *r == 1 }).collect();
        let grid: Vec<Probability> = set.grid.iter().map(p).collect();
        // Each threshold by itself first.
        let mut exact = true;
        for (threshold, theirs) in grid.iter().zip(&set.p_values) {
            let ours = test(&[*threshold], &scored, level).steps[0];
            compared += 1;
            if (ours.p - theirs).abs() <= 1e-9 {
                continue;
            }
            // MAPIE rounds n times the error rate up, which floating point now and then takes for one error more.
            (rounded, exact) = (rounded + 1, false);
            let one_more = p_value(ours.wrong + 1, ours.kept, set.alpha);
            assert!(*theirs > ours.p && *theirs <= one_more + 1e-9, "set {at}: {ours:?} {theirs}");
        }
        let tested = test(&grid, &scored, level);
        let (ours, theirs) = (tested.threshold, set.valid.last().map(p));
        if exact {
            assert_eq!(ours, theirs, "set {at}");
            assert_eq!(tested.steps.iter().filter(|s| s.p <= level.delta).count(), set.valid.len(), "set {at}");
        } else if ours != theirs {
            // One error more makes it stop earlier, never later.
            stricter += 1;
            assert!(
                ours.is_some_and(|ours| theirs.is_none_or(|theirs| theirs > ours)),
                "set {at}: {ours:?} {theirs:?}"
            );
        }
        passed += usize::from(tested.threshold.is_some());
    }
    assert!((10..=36).contains(&passed), "{passed} of 40 sets have a threshold: too one-sided a comparison");
    assert!(compared >= 600 && rounded * 2 < compared, "{rounded} of {compared} p-values are rounded up");
    assert!(stricter <= 4, "{stricter} thresholds of 40 are others by rounding");
}
