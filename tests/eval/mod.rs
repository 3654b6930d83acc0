//! The figures are those of the benchmark's own scorer.

use std::fs;
use std::path::Path;
use std::process::Command;

use praetor::eval::{Figures, Gold, Report, majority, read_gold, score};
use praetor::lang::Lang;
use serde_json::{Value, json};

use crate::pipeline::{PUBLIC, repo};

fn gold() -> Vec<Gold> {
    PUBLIC.iter().map(|(_, gold)| gold.clone()).collect()
}

/// Decisions with every kind of mistake: each field is right, wrong, null or missing by the ticket's place.
fn mixed() -> Vec<Value> {
    let pick = |n: usize, right: Value| match n % 5 {
        0..=2 => right,
        3 => Value::Null,
        _ => json!("other"),
    };
    let mut out = Vec::new();
    for (n, (_, g)) in PUBLIC.iter().enumerate().filter(|(n, _)| n % 17 != 3) {
        let items: Vec<Value> = g.evidence.items.iter().enumerate().filter(|(i, _)| (n + i) % 7 != 6).map(|(i, (id, item))| {
            json!({ "evidence_id": id, "valid": if (n + i) % 4 == 0 { !item.valid } else { item.valid } })
        }).collect();
        let fen = |yuan: &str, by: i64| {
            let fen: i64 = yuan.replace('.', "").parse().unwrap();
            let fen = fen + by;
            format!("{}.{:02}", fen / 100, fen % 100)
        };
        let refund: Value = match n % 6 {
            0 => fen(&g.remedy.refund, 1).into(),
            1 => fen(&g.remedy.refund, 2).into(),
            2 => g.remedy.refund.parse::<f64>().unwrap().into(),
            _ => g.remedy.refund.clone().into(),
        };
        let mut decision = json!({
            "ticket_id": g.ticket_id,
            "outcome": (["auto", "review", "auto", "rejected_input"][n % 4]),
            "labels": { "scene": { "id": pick(n, g.scene.clone().into()), "score": 0.5 }, "goods_type": { "id": pick(n / 2, g.goods_type.clone().into()) } },
            "sop": { "id": pick(n / 3, g.sop.clone().into()) },
            "timeliness": { "verdict": pick(n / 4, g.timeliness.clone().into()), "first_report": { "at": pick(n / 5, g.first_report.at.clone().into()) } },
            "evidence": { "buyer": { "verdict": pick(n / 6, g.evidence.buyer.clone().into()) }, "seller": { "verdict": pick(n / 7, g.evidence.seller.clone().into()) }, "items": items },
            "remedy": { "kind": if n % 9 == 0 { "reject_claim".into() } else { pick(n / 8, g.remedy.kind.clone().into()) }, "refund": refund,
                "compensation": g.remedy.compensation, "freight_by": pick(n / 11, g.remedy.freight_by.clone().into()), "return_goods": if n % 13 == 0 { Value::Null } else { g.remedy.return_goods.into() } },
            "settlement": { "probability": if n % 19 == 0 { Value::Null } else { json!(((n * 37) % 100) as f64 / 100.0) } },
            "verification": { "first_token": ((n * 53) % 97) as f64 / 97.0, "second": if n % 2 == 0 { json!(((n * 31) % 89) as f64 / 89.0) } else { Value::Null } },
        });
        // A part that is missing or null altogether.
        let parts = ["labels", "sop", "timeliness", "evidence", "settlement", "verification"];
        let part = parts[n % parts.len()];
        match n % 23 {
            0 => decision[part] = Value::Null,
            1 => drop(decision.as_object_mut().unwrap().remove(part)),
            _ => {}
        }
        if n % 29 == 0 {
            // The second of two decisions on a ticket does not count, nor does one on a ticket without gold.
            out.push(decision.clone());
            decision["sop"]["id"] = "second".into();
            out.push(json!({ "ticket_id": "AB1", "outcome": "auto" }));
        }
        out.push(decision);
    }
    out
}

/// What the scorer of the dataset prints, by name; numbers as they are written.
fn scorer(decisions: &[Value]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    let lines: String = decisions.iter().map(|d| format!("{d}\n")).collect();
    fs::write(&path, lines).unwrap();
    let data = repo("models/training/data");
    let out = Command::new("python3")
        .arg(data.join("score.py"))
        .args([&path, &data.join("public/gold.jsonl")])
        .output()
        .expect("python3 is needed to compare with the dataset's scorer");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let figure = |line: &str| {
        let (name, value) = line.trim().trim_end_matches(',').split_once(": ")?;
        Some((name.trim_matches('"').to_owned(), value.to_owned()))
    };
    String::from_utf8(out.stdout).unwrap().lines().filter_map(figure).collect()
}

fn assert_same_figures(decisions: &[Value]) {
    let figures = Figures::of(&score(decisions, &gold())).scorer();
    let figures = figures.as_object().unwrap();
    let theirs = scorer(decisions);
    assert!(theirs.len() == 20, "{theirs:?}");
    assert_eq!(figures.keys().collect::<Vec<_>>(), theirs.iter().map(|(name, _)| name).collect::<Vec<_>>());
    for (name, wanted) in &theirs {
        match wanted.parse::<f64>() {
            // To the last bit.
            Ok(wanted) => assert_eq!(figures[name].as_f64(), Some(wanted), "{name}"),
            Err(_) => assert!(wanted == "null" && figures[name].is_null(), "{name}: {wanted} {}", figures[name]),
        }
    }
}

#[test]
fn every_figure_is_the_scorers() {
    assert_same_figures(&mixed());
}

#[test]
fn every_figure_of_the_baseline_is_the_scorers() {
    let cases: Vec<_> = PUBLIC.iter().map(|(case, _)| case.clone()).collect();
    let baseline = majority(&cases, &gold());
    assert_same_figures(&baseline);
    let figures = Figures::of(&score(&baseline, &gold()));
    // 554 of 1,320 claims are rejected, 1,091 reports came in time.
    assert_eq!((figures.nodes[9].right, figures.nodes[5].right), (554, 1_091));
}

#[test]
fn scenes_add_up_and_undecided_cases_are_wrong() {
    let decisions = mixed();
    let marks = score(&decisions, &gold());
    let report = Report::new(&marks, &marks, true);
    assert_eq!(report.scenes.len(), 40);
    assert_eq!(report.scenes.values().map(|f| f.cases).sum::<usize>(), 1_320);
    for node in 0..10 {
        let sum: usize = report.scenes.values().map(|f| f.nodes[node].right).sum();
        assert_eq!(sum, report.figures.nodes[node].right);
    }
    assert!(report.figures.decided < 1_320);
    assert_eq!(Figures::of(&score(&[], &gold())).nodes[0].right, 0);

    let json = report.json(true);
    assert_eq!(json["by_scene"].as_object().unwrap().len(), 40);
    assert_eq!(json["figures"]["sop"]["of"], 1_320);
    assert_eq!(json["scorer"]["cases"], 1_320);
    let mut text = Vec::new();
    report.write_text(true, Lang::En, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for part in
        ["remedy_exact", "auto_precision", "a2_recall_at_p90", "fresh_spoiled", "by models that have not seen it"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_quantity_is_right_within_two_percent() {
    let gold: Vec<_> = gold().into_iter().filter(|g| g.quantities.severity_ratio.is_some()).collect();
    assert_eq!(gold.len(), 135);
    let rate = |off: f64, id: &str| {
        let decision = |g: &praetor::eval::Gold| {
            let value = (g.quantities.severity_ratio.unwrap() * 1e6 * (1.0 + off)).round();
            json!({ "ticket_id": g.ticket_id, "measures": [{ "id": id, "value": value }] })
        };
        Figures::of(&score(&gold.iter().map(decision).collect::<Vec<_>>(), &gold)).measures
    };
    for (off, id, right) in [
        (0.0, "severity_ratio", 135),
        (0.019, "severity_ratio", 135),
        (-0.019, "severity_ratio", 135),
        (0.021, "severity_ratio", 0),
        (0.0, "missing_count", 0),
    ] {
        let found = rate(off, id);
        assert_eq!((found.right, found.of), (right, 135), "{off} {id}");
    }
    assert_eq!(Figures::of(&score(&[], &gold)).measures.right, 0);
}

#[test]
fn gold_that_is_wrong_says_where() {
    let line = fs::read_to_string(repo("models/training/data/public/gold.jsonl")).unwrap();
    let line = line.lines().next().unwrap();
    for (text, error) in [
        (String::new(), "the gold file is empty".to_owned()),
        (format!("{line}\n\n{line}\n"), "gold line 3: ticket AB70000 has been given before".to_owned()),
        (format!("{line}\n{{}}"), "gold line 2: missing field `ticket_id` at line 1 column 2".to_owned()),
    ] {
        assert_eq!(read_gold(&text).unwrap_err().to_string(), error);
    }
    assert!(Path::new(&repo("models/training/data/score.py")).exists());
}
