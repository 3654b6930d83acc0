//! Bundles: a true one holds; each way of tampering with one is found and named, with its place.

use std::fs;
use std::process::Command;

use praetor::audit::Bundle;
use praetor::ledger::{Content, Finding, Hash, KeyPurpose, Kind, Report, SigningKey, TileRef};

use super::log::{Log, decision, line, time};

/// Code and English place of each finding.
fn found(report: &Report) -> Vec<(&'static str, String)> {
    assert_eq!(report.ok, report.findings.is_empty());
    report.findings.iter().map(|told| (told.finding.code(), told.en.place.clone())).collect()
}

fn edit(log: &mut Log, leaf: usize, from: &str, to: &str) {
    let Content::Kept { parts, .. } = &mut log.records[leaf].content else { panic!("no content") };
    let body = parts.get_mut("body").unwrap();
    assert!(body.contains(from));
    *body = body.replace(from, to);
}

#[test]
fn a_true_bundle_holds() {
    for size in [0, 1, 255, 256, 700] {
        let report = Log::of(size).verify();
        assert!(report.ok, "{}", report.render(praetor::lang::Lang::En));
        assert_eq!(report.size, size);
        assert_eq!(report.leaves.get("decision").copied().unwrap_or(0), size);
        assert_eq!(report.witnessed, Some(size));
        assert!(report.pinned);
    }
}

#[test]
fn an_edited_payload_is_found_at_its_leaf() {
    let mut log = Log::of(300);
    edit(&mut log, 17, "\"n\":17", "\"n\":99");
    assert_eq!(found(&log.verify()), [("payload-edited", "leaf 17, decision dec_00000017 of default".into())]);
    // With the commitment made to fit, the leaf is another.
    let mut log = Log::of(300);
    edit(&mut log, 17, "\"n\":17", "\"n\":99");
    log.records[17].commitment = super::log::commitment(&log.records[17]);
    let report = log.verify();
    assert_eq!(found(&report)[0], ("root-differs", "leaves 0 to 99".into()));
    assert_eq!(found(&report)[1], ("leaves-changed", "leaf 17".into()));
    assert_eq!(report.findings.len(), 2);
}

#[test]
fn an_edited_trace_time_column_or_case_is_found() {
    let mut log = Log::of(3);
    for leaf in 0..3 {
        let Content::Kept { parts, columns, case, .. } = &mut log.records[leaf].content else { panic!() };
        match leaf {
            0 => _ = parts.insert("trace".into(), "[1]".into()),
            1 => _ = columns.insert("/id".into(), "dec_x".into()),
            _ => *case = Some("{}".into()),
        }
    }
    let codes = log.verify().codes();
    assert_eq!(codes, ["payload-edited", "column-edited", "case-edited"]);
    let mut log = Log::of(3);
    log.records[1].recorded_at = time(2);
    assert_eq!(log.verify().codes(), ["payload-edited"]);
}

#[test]
fn a_deleted_row_is_found() {
    let mut log = Log::of(300);
    log.records[40].content = Content::Missing;
    assert_eq!(found(&log.verify()), [("record-missing", "leaf 40, decision dec_00000040 of default".into())]);
    // Record and leaf: the tile still knows the leaf's hash, so nothing else is wrong.
    let mut log = Log::of(300);
    log.records.remove(40);
    assert_eq!(found(&log.verify()), [("leaf-missing", "leaf 40".into())]);
}

#[test]
fn swapped_rows_are_found() {
    let mut log = Log::of(300);
    log.records.swap(10, 270);
    log.records[10].leaf = Some(10);
    log.records[270].leaf = Some(270);
    let report = log.verify();
    assert!(found(&report).contains(&("leaves-swapped", "leaves 10 and 270".into())), "{:?}", found(&report));
}

#[test]
fn a_truncated_tail_is_found() {
    let mut log = Log::of(300);
    log.records.truncate(250);
    let report = log.verify();
    assert!(found(&report).contains(&("tail-truncated", "leaves 250 to 299".into())), "{:?}", found(&report));
    // With the checkpoints cut off too, only the witness knows.
    let whole = Log::of(300);
    let mut log = Log::new();
    log.keys = whole.keys.clone();
    log.witness = whole.witness.clone();
    (0..200).for_each(|n| log.append(decision(n)));
    log.checkpoint();
    assert!(log.verify().ok);
    let seen = whole.checkpoints.last().unwrap().clone();
    let report = log.verify_against(vec![log.log_key(), log.witness.public().clone()], vec![seen]);
    assert_eq!(found(&report), [("behind-witness", "leaves 200 to 299".into())]);
}

#[test]
fn a_backdated_insert_is_found() {
    let mut log = Log::of(20);
    let mut late = decision(1000);
    late.recorded_at = time(-86_400);
    late.commitment = super::log::commitment(&late);
    log.append(late.clone());
    log.checkpoint();
    assert_eq!(found(&log.verify()), [("backdated", "leaf 20, decision dec_00001000 of default".into())]);
    // Without a leaf.
    let mut log = Log::of(20);
    late.commitment = None;
    log.records.push(late);
    assert_eq!(found(&log.verify()), [("record-unlogged", "decision dec_00001000 of default".into())]);
}

#[test]
fn rewritten_and_missing_tiles_are_found() {
    let mut log = Log::of(600);
    let first = TileRef { level: 0, index: 1, width: 256 };
    log.tiles.get_mut(&first).unwrap()[3] = Hash::of(b"other");
    assert_eq!(found(&log.verify()), [("tile-rewritten", "tile/0/001".into())]);
    log.tiles.remove(&first);
    assert_eq!(found(&log.verify()), [("tile-missing", "tile/0/001".into())]);
}

#[test]
fn a_rebuilt_log_is_found_by_what_the_witness_saw() {
    let mut log = Log::of(300);
    let seen = log.checkpoints[1].clone();
    edit(&mut log, 17, "\"n\":17", "\"n\":99");
    log.rebuild();
    let (key, witness) = (log.log_key(), log.witness.public().clone());
    // The key was stolen, so the log alone is sound.
    assert!(log.verify_against(vec![key.clone()], vec![]).ok);
    assert_eq!(log.verify().codes(), ["not-witnessed"]);
    let report = log.verify_against(vec![key, witness], vec![seen]);
    assert!(found(&report).contains(&("witness-conflict", "the checkpoint of 200 leaves".into())));
}

#[test]
fn forged_signatures_and_foreign_keys_are_found() {
    let mut log = Log::of(300);
    let thief = SigningKey::generate(super::log::ORIGIN, KeyPurpose::Log).unwrap();
    log.checkpoints[1] = log.checkpoints[1].unproven().sign([&thief]).unwrap();
    assert_eq!(found(&log.verify()), [("checkpoint-unsigned", "the checkpoint of 200 leaves".into())]);
    let log = Log::of(300);
    let report = log.verify_against(vec![thief.public().clone()], vec![]);
    assert_eq!(report.codes(), ["key-unknown"]);
    let mut log = Log::of(300);
    let again = log.checkpoints[0].clone();
    log.checkpoints.insert(2, again);
    assert_eq!(log.verify().codes(), ["checkpoints-unordered"]);
}

#[test]
fn keys_rotate_and_the_old_one_signs_no_more() {
    let mut log = Log::of(100);
    log.rotate();
    log.append(decision(200));
    log.checkpoint();
    let report = log.verify();
    assert!(report.ok, "{:?}", found(&report));
    assert_eq!(report.keys.len(), 2);
    let newest = log.keys[1].public().clone();
    assert!(log.verify_against(vec![newest], vec![]).ok);
    // Whoever stole the old key signs in vain.
    log.append(decision(201));
    let old = log.signed(&[&log.keys[0]]);
    log.checkpoints.push(old);
    assert_eq!(log.verify().codes(), ["checkpoint-unsigned"]);
}

#[test]
fn erased_content_leaves_the_proof_and_needs_a_reason() {
    let mut log = Log::of(10);
    log.records[3].content = Content::Erased { by: "era_1".into() };
    assert_eq!(found(&log.verify()), [("erasure-unproven", "leaf 3, decision dec_00000003 of default".into())]);
    log.append(line(Kind::Erasure, "era_1", 10, "{}".into()));
    log.checkpoint();
    let report = log.verify();
    assert!(report.ok && report.erased == 1);
    log.records[4].content = Content::Expired;
    assert_eq!(log.verify().codes(), ["expiry-unproven"]);
}

#[test]
fn a_doubled_leaf_and_an_unsigned_tail_are_found() {
    let mut log = Log::of(10);
    log.append(decision(4));
    let report = log.verify();
    assert_eq!(
        found(&report),
        [("tail-unsigned", "leaves 10 to 10".into()), ("leaf-doubled", "leaves 4 and 10".into())]
    );
}

#[test]
fn pending_records_are_no_finding() {
    let mut log = Log::of(10);
    log.records.push(decision(10));
    let report = log.verify();
    assert!(report.ok && report.pending == 1);
}

#[test]
fn a_damaged_bundle_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("bundle");
    Log::of(300).write(&dir);
    let records = fs::read_to_string(dir.join("records.ndjson")).unwrap();
    let cut = records.lines().take(299).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(dir.join("records.ndjson"), cut.replacen("{\"leaf\":5,", "{\"leaf\":,", 1)).unwrap();
    let report = Bundle::open(&dir).unwrap().verify(vec![], vec![]).unwrap();
    let places: Vec<String> = report
        .findings
        .iter()
        .filter(|told| matches!(told.finding, Finding::Unreadable { .. }))
        .map(|told| told.en.place.clone())
        .collect();
    assert_eq!(places, ["records.ndjson:6", "records.ndjson:300"]);
    fs::remove_file(dir.join("manifest.json")).unwrap();
    assert!(Bundle::open(&dir).is_err());
}

#[test]
fn the_auditors_program_says_what_holds_and_what_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::of(120);
    log.write(&folder.path().join("good"));
    edit(&mut log, 17, "\"n\":17", "\"n\":99");
    log.write(&folder.path().join("bad"));
    let run = |bundle: &str, args: &[&str]| {
        let key = log.log_key().to_string();
        Command::new(env!("CARGO_BIN_EXE_praetor-audit"))
            .args(["verify", "--key", &key, "--offline"])
            .arg(folder.path().join(bundle))
            .args(args)
            .output()
            .unwrap()
    };
    let good = run("good", &["--lang", "en"]);
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));
    assert!(String::from_utf8_lossy(&good.stdout).ends_with("everything holds\n"));
    let bad = run("bad", &["--lang", "zh"]);
    assert_eq!(bad.status.code(), Some(1));
    let said = String::from_utf8(bad.stdout).unwrap();
    assert!(
        said.contains("✗ [payload-edited] 第 17 片叶，default 的 decision dec_00000017：内容不是当初记录的内容"),
        "{said}"
    );
    let json = run("bad", &["--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["findings"][0]["code"], "payload-edited");
    assert_eq!(report["findings"][0]["leaf"], 17);
    assert_eq!(run("nowhere", &[]).status.code(), Some(1));
}
