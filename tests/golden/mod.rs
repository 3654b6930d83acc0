//! Decisions made long ago, kept as they were: their bytes must verify in every later version, and their remedies must
//! still follow from the facts recorded with them.
//!
//! A folder is one set: the rule book and manifest its decisions pin, and a line each with the bytes of decision, trace and
//! case, packed with zstd. Sets are never changed. When the engine's number is raised, a new one is added:
//! `PRAETOR_GOLDEN=write cargo test --test main golden`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use praetor::case::Case;
use praetor::decision::Gate;
use praetor::explain::{Proof, Recorded, explain, html, pdf, text};
use praetor::judge::{Judge, JudgeConfig, Manifest, Pins};
use praetor::lang::Lang;
use praetor::nodes::{case_facts, money};
use praetor::pipeline::{Decided, Pipeline};
use praetor::replay::{Record, RecordedAnswers, verify};
use praetor::sop::facts::{Fact, Sufficiency};
use praetor::sop::{Measure, RuleBook, Ruling, decode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::pipeline::{BOOK, PUBLIC, repo};

/// A line of a set: the bytes of each part, as text.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    case: String,
    decision: String,
    trace: String,
}

/// One set.
struct Set {
    folder: PathBuf,
    book: RuleBook,
    manifest: String,
    records: Vec<Record>,
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sets() -> Vec<Set> {
    let folders = fs::read_dir(repo("tests/golden")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.join("manifest.toml").is_file()).collect();
    folders.sort();
    folders.into_iter().map(set).collect()
}

fn set(folder: PathBuf) -> Set {
    let unpacked = |name: &str| zstd::stream::decode_all(read(&folder.join(name)).as_slice()).unwrap();
    let record = |line: &str| {
        let kept: Kept = serde_json::from_str(line).unwrap();
        let [decision, trace, case] = [kept.decision, kept.trace, kept.case].map(|text| Some(text.into_bytes()));
        Record { id: kept.id, ticket_id: String::new(), decision, trace, case }
    };
    Set {
        book: decode(&unpacked("rulebook.json.zst")).unwrap(),
        manifest: String::from_utf8(read(&folder.join("manifest.toml"))).unwrap(),
        records: String::from_utf8(unpacked("records.ndjson.zst")).unwrap().lines().map(record).collect(),
        folder,
    }
}

/// The present engine.
fn engine() -> String {
    praetor::decision::ENGINE.to_owned()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn every_record_is_whole_and_pins_what_is_kept_beside_it() {
    let sets = sets();
    assert!(!sets.is_empty());
    for Set { folder, book, manifest, records } in sets {
        assert!(records.len() >= 12, "{}", folder.display());
        let mut sops = BTreeSet::new();
        for record in &records {
            assert_eq!(verify(record), Vec::<String>::new(), "{}", record.id);
            let decision = json(record.decision.as_ref().unwrap());
            assert_eq!(text_at(&decision, "/pins/rulebook"), book.hash().to_string());
            assert_eq!(text_at(&decision, "/pins/manifest"), hex::encode(Sha256::digest(&manifest)));
            sops.insert(text_at(&decision, "/sop/id").to_owned());
        }
        assert!(sops.len() >= 10, "{sops:?}");
    }
}

/// Whatever models find today: the remedy of then follows from the findings of then.
#[test]
fn the_remedies_still_follow_from_the_recorded_facts() {
    for Set { book, records, .. } in sets() {
        for record in &records {
            let (d, case) =
                (json(record.decision.as_ref().unwrap()), Case::parse(record.case.as_ref().unwrap()).unwrap());
            let version = d.pointer("/sop/version").and_then(Value::as_u64).unwrap();
            let sop = book.sops.iter().find(|s| s.id.0 == text_at(&d, "/sop/id") && u64::from(s.version) == version);
            let mut facts = case_facts(&case);
            facts.set_opt(Fact::Elapsed, d.pointer("/timeliness/elapsed_seconds").and_then(Value::as_i64));
            for (fact, pointer) in
                [(Fact::Buyer, "/evidence/buyer/verdict"), (Fact::Seller, "/evidence/seller/verdict")]
            {
                let verdict: Sufficiency = text_at(&d, pointer).parse().unwrap();
                if verdict != Sufficiency::NotRequired {
                    facts.set(fact, verdict.index());
                }
            }
            for measured in d["measures"].as_array().unwrap() {
                let measure = Measure::ALL.iter().find(|m| m.0 == measured["id"]).unwrap().2;
                facts.set_opt(measure.fact(), measured["value"].as_i64());
            }
            match sop.unwrap().rule(&facts, &book.head.tiers) {
                Ruling::Decided(remedy) => {
                    assert_eq!(remedy.kind, text_at(&d, "/remedy/kind"), "{}", record.id);
                    assert_eq!(Some(remedy.row as u64 + 1), d.pointer("/remedy/row").and_then(Value::as_u64));
                    assert_eq!(money(remedy.refund), text_at(&d, "/remedy/refund"));
                    assert_eq!(money(remedy.compensation), text_at(&d, "/remedy/compensation"));
                }
                other => assert_eq!(d.pointer("/remedy/row"), Some(&Value::Null), "{}: {other:?}", record.id),
            }
        }
    }
}

/// Under the engine that made them, the recorded answers give the recorded bytes again, without any model.
#[test]
fn the_engine_that_made_them_makes_them_again() {
    let mut made = 0;
    for Set { book, manifest, records, .. } in sets() {
        for record in &records {
            let decision = json(record.decision.as_ref().unwrap());
            if text_at(&decision, "/pins/engine") != engine() {
                continue;
            }
            let pins: Pins = serde_json::from_value(decision["pins"].clone()).unwrap();
            let manifest = Manifest::parse(&manifest).unwrap();
            let answers = RecordedAnswers::new(manifest.clone(), None);
            answers.take([record.trace.as_deref().unwrap()]).unwrap();
            let pipeline =
                Pipeline::with(book.clone(), Box::new(Arc::new(answers)), &pins, manifest.thresholds.clone());
            let pipeline = pipeline.unwrap().gated(Gate::Open);
            let case = Case::parse(record.case.as_ref().unwrap()).unwrap();
            let as_of = text_at(&decision, "/decided_as_of").parse().unwrap();
            let decided = pipeline.decide(&[case], Some(as_of)).unwrap().remove(0);
            assert_eq!(json(&decided.decision.canonical().unwrap()), decision, "{}", record.id);
            assert_eq!(Some(decided.decision.canonical().unwrap()), record.decision, "{}", record.id);
            assert_eq!(&decided.trace.canonical().unwrap(), record.trace.as_ref().unwrap(), "{}", record.id);
            made += 1;
        }
    }
    assert!(made >= 12, "there is no set of the present engine; add one");
}

#[test]
fn a_changed_byte_is_found() {
    let set = sets().remove(0);
    let whole = &set.records[0];
    let flip = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let decision = whole.decision.as_ref().unwrap();
    for at in (0..decision.len()).step_by(97) {
        let record = Record { decision: Some(flip(decision, at)), ..whole.clone() };
        assert!(!verify(&record).is_empty(), "the decision's byte {at}");
    }
    let (trace, case) = (whole.trace.as_ref().unwrap(), whole.case.as_ref().unwrap());
    for at in (0..trace.len().min(case.len())).step_by(97) {
        assert!(!verify(&Record { trace: Some(flip(trace, at)), ..whole.clone() }).is_empty(), "the trace's byte {at}");
        assert!(!verify(&Record { case: Some(flip(case, at)), ..whole.clone() }).is_empty(), "the case's byte {at}");
    }
}

#[test]
fn old_decisions_can_be_explained() {
    for Set { book, records, .. } in sets() {
        for record in &records {
            let decision = json(record.decision.as_ref().unwrap());
            for lang in [Lang::Zh, Lang::En] {
                let recorded = Recorded { decision: &decision, book: Some(&book), recorded_at: None, proof: None };
                let document = explain(recorded, lang);
                let ids: Vec<&str> = document.sections.iter().map(|s| s.id).collect();
                for id in ["outcome", "findings", "clauses", "evidence", "row", "rights", "proof", "pins"] {
                    assert!(ids.contains(&id), "{}: {ids:?}", record.id);
                }
                for form in [text(&document), html(&document)] {
                    assert!(form.contains(&record.id) && form.contains("24") && !form.contains("evidence_kinds"));
                }
                assert!(pdf(&document).starts_with(b"%PDF-1.7"));
            }
        }
    }
}

/// What the people concerned read, word for word.
#[test]
fn an_explanation_reads_like_this() {
    let set = sets().remove(0);
    let record = &set.records[0];
    let decision = json(record.decision.as_ref().unwrap());
    let recorded = Recorded {
        decision: &decision,
        book: Some(&set.book),
        recorded_at: Some("2026-11-26T09:36:00Z"),
        proof: Some(&Proof { log: "praetor".into(), leaf_index: 7, tree_size: 15, root: "ab".repeat(32) }),
    };
    insta::assert_snapshot!("explanation_zh", text(&explain(recorded, Lang::Zh)));
    insta::assert_snapshot!("explanation_en_html", html(&explain(recorded, Lang::En)));
}

/// Adds a set of the present engine, when asked to.
#[test]
fn a_new_set_is_written_when_asked_for() {
    if std::env::var_os("PRAETOR_GOLDEN").is_none_or(|value| value != "write") {
        return;
    }
    let judge = Judge::open(&repo("models"), &JudgeConfig::default()).unwrap();
    let pipeline = Pipeline::new(BOOK.clone(), judge).unwrap().gated(Gate::Open);
    let cases: Vec<Case> = PUBLIC.iter().map(|(case, _)| case.clone()).collect();
    let kind =
        |d: &Decided| (d.decision.outcome.as_str(), d.decision.remedy.proposal.kind.clone(), d.decision.measures.len());
    let (mut kinds, mut sops, mut chosen) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (case, decided) in cases.iter().zip(pipeline.decide(&cases, None).unwrap()) {
        let Some(sop) = decided.decision.sop.id.clone() else { continue };
        if chosen.len() < 12 && !sops.contains(&sop) && kinds.insert(kind(&decided)) {
            sops.insert(sop);
            chosen.push((case, decided));
        }
    }
    let engine = engine();
    let number = engine.rsplit('/').next().unwrap();
    let folder = repo("tests/golden").join(format!("engine-{number}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(repo("models/manifest.toml"), folder.join("manifest.toml")).unwrap();
    let packed = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), zstd::bulk::compress(bytes, 19).unwrap()).unwrap();
    };
    packed("rulebook.json.zst", BOOK.canonical());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let line = |(case, decided): &(&Case, Decided)| {
        let kept = Kept {
            id: decided.decision.id.clone(),
            case: text(case.canonical()),
            decision: text(&decided.decision.canonical().unwrap()),
            trace: text(&decided.trace.canonical().unwrap()),
        };
        serde_json::to_string(&kept).unwrap() + "\n"
    };
    packed("records.ndjson.zst", chosen.iter().map(line).collect::<String>().as_bytes());
}
