//! How well SOPs are found: by words alone, and by the policy node when it is told a wrong scene. The figures are floors,
//! somewhat below what was measured when the search was last tuned:
//!
//! | terms of the search, title / clauses / requirements | words: in the first 1 | 3 | 5 | wrong scene: in the first 3 | 5 |
//! |---|---|---|---|---|---|
//! | words by jieba, 2 / 1 / 1 | .610 | .832 | .888 | .809 | .896 |
//! | and the pack's own words in its dictionary | .596 | .814 | .881 | .792 | .885 |
//! | and the phrases of its requirements | .581 | .806 | .870 | .788 | .876 |
//! | jieba without guessing at unknown words, 2 / 1 / 1 | .670 | .854 | .910 | .839 | .918 |
//! | the same, 1 / 1 / 1 | .702 | .871 | .917 | .860 | .924 |
//! | the same with the pack's own words, 1 / 2 / 1 | .682 | .856 | .905 | .839 | .907 |
//! | pairs of characters and longer words, 1.5 / 2 / 1 | .728 | .892 | .933 | .880 | .945 |
//! | the same with the pack's own words | .721 | .888 | .936 | .878 | .945 |
//! | pairs of characters, 1 / 1 / 1 | .723 | .892 | .935 | .881 | .943 |
//! | **pairs of characters, 1.5 / 2 / 1** | .743 | .894 | .936 | .884 | .947 |
//! | the same, at most 128 of a query | .739 | .883 | .928 | .874 | .931 |

use praetor::judge::{Judge, JudgeConfig, Probability, probe};
use praetor::nodes::{Finding, Findings, LabelFinding, NodeId, Rules, policy_query};

use super::{BOOK, INDEX, PUBLIC, node, repo};

/// In how many of the cases the right SOP was among the first 1, 3 and 5.
#[derive(Debug, Default)]
struct Recall([usize; 3]);

impl Recall {
    fn add(&mut self, place: Option<usize>) {
        for (found, first) in self.0.iter_mut().zip([1, 3, 5]) {
            *found += usize::from(place.is_some_and(|place| place < first));
        }
    }

    fn assert_at_least(&self, floors: [f64; 3]) {
        let of = PUBLIC.len() as f64;
        let rates = self.0.map(|found| found as f64 / of);
        assert!(rates.iter().zip(floors).all(|(rate, floor)| *rate >= floor), "{rates:.4?} is under {floors:?}");
    }
}

#[test]
fn words_alone_find_the_sop() {
    let mut recall = Recall::default();
    for (case, gold) in PUBLIC.iter() {
        let hits = INDEX.search(&policy_query(case), 5).unwrap();
        recall.add(hits.iter().position(|hit| BOOK.sops[hit.sop].id.0 == gold.sop));
    }
    recall.assert_at_least([0.73, 0.88, 0.92]);
}

/// The label finding with 0.9 on the likeliest scene that is not the right one, and the rest spread over all scenes.
fn misled(mut label: LabelFinding, right: &str) -> LabelFinding {
    let wrong = label.scenes.iter().filter(|l| l.id != right).max_by_key(|l| l.score).unwrap().id.clone();
    let rest = Probability::from_fraction(0.1 / (label.scenes.len() - 1) as f64).unwrap();
    for scene in &mut label.scenes {
        scene.score = if scene.id == wrong { Probability::from_fraction(0.9).unwrap() } else { rest };
    }
    label
}

#[test]
fn a_wrong_scene_leaves_the_sop_among_the_candidates() {
    if let Some(problem) = probe(&JudgeConfig::default()).problem {
        panic!("{problem}\nrun `cargo xtask test`, which fetches the library");
    }
    let judge = Judge::open(&repo("models"), &JudgeConfig::default()).unwrap();
    let rules = Rules { book: &BOOK, index: &INDEX, thresholds: &judge.manifest().thresholds };
    let (label, policy, none) = (node(NodeId::Label), node(NodeId::Policy), Findings::default());
    let mut recall = Recall::default();
    for (case, gold) in PUBLIC.iter() {
        let answers = judge.answer(&label.needs(case, &none, rules).unwrap()).unwrap();
        let Finding::Label(found) = label.judge(case, &none, &answers, rules).unwrap() else { panic!() };
        let findings = Findings { label: Some(misled(found, &gold.scene)), ..Findings::default() };
        let answers = judge.answer(&policy.needs(case, &findings, rules).unwrap()).unwrap();
        let Finding::Policy(found) = policy.judge(case, &findings, &answers, rules).unwrap() else { panic!() };
        recall.add(found.candidates.iter().position(|candidate| candidate.id == gold.sop));
    }
    // It is never the first: the labels weigh more than the words.
    recall.assert_at_least([0.0, 0.85, 0.91]);
}
