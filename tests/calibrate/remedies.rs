//! Whatever the models say and whatever is certified: the gate and the second pass decide who decides, never what.

use std::sync::LazyLock;

use praetor::decision::{Audit, Certified, Decision, Gate, NodeRecord, Outcome, Score, Second, Strata, Verification};
use praetor::judge::{Answer, JudgeError, Probability, Question, Task};
use praetor::nodes::Finding;
use praetor::pipeline::{Ask, Decided, Pipeline};

use crate::pipeline::second_pass::{Whim, pass};
use crate::pipeline::undetermined::{NOISE, Noise, Noisy, spoil};
use crate::pipeline::{BOOK, PUBLIC, pipeline, thresholds};

const CASES: usize = 10_000;

fn p(millionths: u32) -> Probability {
    Probability::from_millionths(millionths).unwrap()
}

fn certified(score: Score, grants: u32, rejects: Option<u32>, asks: Option<u32>) -> Gate {
    let thresholds = [("grants", Some(grants)), ("rejects", rejects), ("asks", asks)];
    Gate::Certified(Box::new(Certified {
        certificate: b"{}".to_vec(),
        score,
        strata: Strata::Direction,
        thresholds: thresholds.into_iter().map(|(name, t)| (name.to_owned(), t.map(p))).collect(),
        second: match score {
            Score::FirstToken => [("rejects".to_owned(), Second { below: p(500_000), least: p(500_000) })].into(),
            Score::Confidence => [].into(),
        },
        audit: Audit { rate: p(300_000), key: [1; 32] },
    }))
}

/// Noise for the pipeline's own questions, and a reward model that says anything of what came of it.
struct Read(Noisy, Whim);

impl Ask for Read {
    fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>, JudgeError> {
        let one = |question: &Question| {
            let asked = std::slice::from_ref(question);
            match question.task {
                Task::Verify | Task::Reflect => self.1.ask(asked),
                _ => self.0.ask(asked),
            }
        };
        Ok(questions.iter().map(one).collect::<Result<Vec<_>, _>>()?.concat())
    }
}

/// Without a gate, and with gates that let everything, something and nothing pass; two of them by the reward model's word,
/// the first of which has no reward model.
static PIPELINES: LazyLock<(Pipeline, Vec<Pipeline>)> = LazyLock::new(|| {
    let open = || pipeline(Box::new(Noisy), thresholds(p(300_000)));
    let gates = vec![
        certified(Score::Confidence, 0, Some(0), Some(0)),
        certified(Score::Confidence, 500_000, Some(800_000), None),
        certified(Score::FirstToken, 500_000, Some(500_000), Some(500_000)),
        Gate::Shut,
    ];
    let mut gated: Vec<Pipeline> = gates.into_iter().map(|gate| open().gated(gate)).collect();
    let by_first_token = certified(Score::FirstToken, 500_000, Some(500_000), Some(500_000));
    let read = pipeline(Box::new(Read(Noisy, Whim(7))), thresholds(p(300_000)));
    gated.push(read.verified_by(Some(pass())).unwrap().gated(by_first_token));
    (open(), gated)
});

/// What a gate may change, taken out.
fn bare(decision: &Decision) -> Decision {
    let mut d = decision.clone();
    (d.id, d.outcome, d.audit, d.reasons) = (String::new(), Outcome::Review, false, Vec::new());
    (d.pins.certificate, d.pins.second_pass) = (String::new(), None);
    // What the reward model said stands in the decision and in its trace.
    (d.verification, d.trace_sha256) = (Verification::default(), String::new());
    let lines = |lines: &mut Vec<String>, marks: [&str; 2]| lines.retain(|l| marks.iter().all(|m| !l.starts_with(m)));
    lines(&mut d.explanation.zh, ["需人工复核", "随机抽查"]);
    lines(&mut d.explanation.en, ["For a person", "Drawn for the audit"]);
    d
}

/// Of each gate how many cases met it, how many became automatic, how many were drawn for the audit.
type Outcomes = [[usize; 3]; 5];

#[test]
fn no_gate_changes_a_remedy() {
    let halves = std::thread::scope(|scope| {
        let threads = [0, 1].map(|half| scope.spawn(move || meet_gates((half..CASES).step_by(2))));
        threads.map(|thread| thread.join().unwrap())
    });
    let outcomes: Outcomes = std::array::from_fn(|at| std::array::from_fn(|n| halves[0][at][n] + halves[1][at][n]));
    let [everything, something, unscored, shut, read] = outcomes;
    assert!(everything[1] > 100 && something[1] > 20 && something[1] * 2 < everything[1], "{outcomes:?}");
    assert!(everything[2] * 5 > everything[1] && everything[2] < everything[1], "{outcomes:?}");
    // Of what is certain about half is waved through by a reward model that says anything, and none of it is another remedy.
    assert!(read[0] == CASES && read[1] > 100 && read[1] < everything[1] * 4, "{outcomes:?}");
    // Without a reward model there is no first token, and without a certificate nothing.
    assert_eq!((unscored[1], shut[1]), (0, 0), "{outcomes:?}");
}

fn meet_gates(cases: impl Iterator<Item = usize>) -> Outcomes {
    let (open, gated) = &*PIPELINES;
    let mut outcomes = Outcomes::default();
    for n in cases {
        let (case, gold) = &PUBLIC[n % PUBLIC.len()];
        let case = spoil(case, (n / PUBLIC.len() * 37) as u8, n % 12);
        let noise = Noise {
            seed: n as u64,
            floor: [0, 300_000, 600_000, 990_000][n % 4],
            scene: gold.scene.clone(),
            goods: gold.goods_type.clone(),
        };
        NOISE.with_borrow_mut(|current| *current = noise);
        let decide = |pipeline: &Pipeline| pipeline.decide(std::slice::from_ref(&case), None).unwrap().remove(0);
        let without = decide(open).decision;
        // One gate a case in turn, and the one with the reward model each time.
        for at in [gated.len() - 1, n / 4 % (gated.len() - 1)] {
            let with = decide(&gated[at]).decision;
            assert_eq!(with.remedy, without.remedy, "{}", case.ticket_id);
            assert_eq!(bare(&with), bare(&without), "{}", case.ticket_id);
            // It only ever takes away: nothing becomes automatic that was not certain.
            assert!(with.outcome == Outcome::Review || without.outcome == Outcome::Auto, "{}", case.ticket_id);
            assert!(with.outcome == Outcome::Auto || !with.reasons.is_empty(), "{}", case.ticket_id);
            assert_eq!(
                (with.certain, with.outcome == Outcome::Auto),
                (without.outcome == Outcome::Auto, with.reasons.is_empty())
            );
            let count = &mut outcomes[at];
            count[0] += 1;
            count[1] += usize::from(with.outcome == Outcome::Auto);
            count[2] += usize::from(with.audit);
        }
    }
    outcomes
}

/// A decision is of the scene that it is decided as: where a case fits the rule of another scene better than the likeliest
/// label, its certificate is that scene's.
#[test]
fn the_stratum_is_of_the_scene_that_is_decided() {
    let group = |place: usize| if place.is_multiple_of(2) { "certified" } else { "not" }.to_owned();
    let groups = BOOK.taxonomy.scenes.iter().enumerate().map(|(place, scene)| (scene.id.clone(), group(place)));
    let strata = Strata::Scenes(groups.collect());
    let gate = Gate::Certified(Box::new(Certified {
        certificate: b"{}".to_vec(),
        score: Score::Confidence,
        strata: strata.clone(),
        thresholds: [("certified".to_owned(), Some(p(0))), ("not".to_owned(), None)].into(),
        second: [].into(),
        audit: Audit { rate: p(0), key: [1; 32] },
    }));
    let gated = pipeline(Box::new(Noisy), thresholds(p(0))).gated(gate);
    let read = |decided: &Decided| match decided.trace.nodes.first() {
        Some(NodeRecord { finding: Finding::Label(label), .. }) => label.scene.id.clone(),
        other => panic!("the first node is {other:?}"),
    };
    let (mut opened, mut closed) = (0, 0);
    for (n, (case, gold)) in PUBLIC.iter().enumerate() {
        let (scene, goods) = (gold.scene.clone(), gold.goods_type.clone());
        NOISE.with_borrow_mut(|current| *current = Noise { seed: n as u64, floor: 0, scene, goods });
        let decided = gated.decide(std::slice::from_ref(case), None).unwrap().remove(0);
        let decision = &decided.decision;
        let stratum = strata.of(&decision.remedy.proposal.kind, &decision.labels.scene.id);
        let certified = stratum == "certified";
        assert_eq!(decision.outcome == Outcome::Auto, decision.certain && certified, "{}", case.ticket_id);
        if decision.certain && strata.of("", &read(&decided)) != stratum {
            *(if certified { &mut opened } else { &mut closed }) += 1;
        }
    }
    assert!(opened > 10 && closed > 10, "{opened} {closed}");
}
