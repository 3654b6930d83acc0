//! A certificate opens the gate for exactly what it was made for, and for nobody who changed it.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use praetor::calibrate::{
    AuditPlan, Certificate, CertificateError, Figures, Labels, Origin, Request, Sample, Signed, binds, fit, html,
    write_trusted,
};
use praetor::decision::{Gate, Pins, Score, Strata};
use praetor::judge::{Device, Judge, JudgeConfig, Manifest, Probability, SecondPass, SecondPassMode, Task, Thresholds};
use praetor::lang::Lang;
use praetor::pipeline::Pipeline;
use serde_json::{Value, json};

use crate::pipeline::second_pass::pass;
use crate::pipeline::{BOOK, repo};

fn p(millionths: u32) -> Probability {
    Probability::from_millionths(millionths).unwrap()
}

fn pins() -> Pins {
    let hash = |n: u8| hex::encode([n; 32]);
    Pins {
        engine: "praetor test".into(),
        pack: "demo@1".into(),
        rulebook: hash(1),
        calendar: hash(2),
        index: hash(3),
        manifest: hash(7),
        models: Task::ALL.into_iter().map(|task| (task, hash(4))).collect(),
        tokenizer: hash(5),
        thresholds: hash(6),
        certificate: "none".into(),
        runtime: "1.31.1".into(),
        device: Device::Cpu,
        second_pass: None,
    }
}

/// Decisions with scores from 0.5 to 1, wrong below 0.6, on claims that are granted and rejected in turn.
fn decisions(n: u32) -> Vec<Value> {
    let one = |i: u32| {
        json!({
            "ticket_id": format!("T{i}"), "outcome": "auto", "certain": true, "audit": i.is_multiple_of(10),
            "confidence": p(500_000 + i * (500_000 / n)),
            "labels": { "scene": { "id": if i.is_multiple_of(3) { "invoice" } else { "wrong_item" } } },
            "remedy": { "kind": if i.is_multiple_of(2) { "refund_only" } else { "reject_claim" } },
            "pins": pins(), "verification": { "first_token": null },
        })
    };
    (0..n).map(one).collect()
}

fn labels(n: u32) -> Labels {
    let mut labels = Labels::default();
    let line = |i: u32| format!("{{\"ticket_id\":\"T{i}\",\"right\":{}}}\n", i >= n / 5);
    labels.read(&(0..n).map(line).collect::<String>()).unwrap();
    labels
}

fn samples(n: u32) -> Vec<Sample> {
    decisions(n).iter().map(|d| Sample::read(d, Score::Confidence, &labels(n)).unwrap()).collect()
}

fn request(strata: Strata) -> Request {
    Request {
        issued: "2026-01-02T03:04:05Z".into(),
        score: Score::Confidence,
        alpha: p(100_000),
        delta: p(50_000),
        strata,
        audit: AuditPlan { rate: p(20_000), key: hex::encode([9; 32]) },
    }
}

fn certificate() -> Certificate {
    fit(&samples(900), request(Strata::Direction), binds(&pins()).unwrap(), Origin::default())
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

#[test]
fn a_fit_finds_where_the_errors_begin() {
    let found = certificate();
    assert_eq!(found.certified.keys().collect::<Vec<_>>(), ["asks", "grants", "rejects"]);
    assert_eq!((found.certified["asks"].threshold, found.certified["asks"].cases), (None, 0));
    for name in ["grants", "rejects"] {
        let stratum = &found.certified[name];
        let threshold = stratum.threshold.unwrap();
        // Without errors down to 0.6; an error rate of 10% would be at 0.556.
        assert!((p(550_000)..p(620_000)).contains(&threshold), "{name}: {threshold}");
        assert!((stratum.delta - 0.05 / 3.0).abs() < 1e-12);
    }
    assert!(found.basis.tuning + found.basis.calibration == 900 && found.basis.tuning.abs_diff(300) < 60);

    let groups: BTreeMap<String, String> = [("invoice".to_owned(), "papers".to_owned())].into();
    let found = fit(&samples(900), request(Strata::Scenes(groups)), binds(&pins()).unwrap(), Origin::default());
    assert_eq!(found.certified.keys().collect::<Vec<_>>(), ["other", "papers"]);
    assert!(found.certified.values().all(|s| s.threshold.is_some()));
}

/// Of the fifth with the lowest first verdicts every other remedy is wrong, and the second verdict knows which.
fn reflected(n: u32) -> Vec<Sample> {
    let one = |(i, mut decision): (u32, Value)| {
        let wrong = i < n / 5 && (i / 2).is_multiple_of(2);
        decision["verification"] =
            json!({ "first_token": decision["confidence"], "second": if wrong { 0.2 } else { 0.95 } });
        let mut sample = Sample::read(&decision, Score::FirstToken, &Labels::default()).unwrap();
        sample.right = Some(!wrong);
        sample
    };
    (0..n).zip(decisions(n)).map(one).collect()
}

#[test]
fn the_second_verdict_is_certified_apart() {
    let by_first = || Request { score: Score::FirstToken, ..request(Strata::Direction) };
    let mut samples = reflected(6_000);
    let found = fit(&samples, by_first(), binds(&pins()).unwrap(), Origin::default());
    for name in ["grants", "rejects"] {
        let stratum = &found.certified[name];
        let second = stratum.second.as_ref().unwrap();
        assert!((stratum.delta - 0.8 * 0.05 / 3.0).abs() < 1e-12 && (second.delta - 0.2 * 0.05 / 3.0).abs() < 1e-12);
        assert!(second.below <= stratum.threshold.unwrap() && second.certain > 100, "{stratum:?}");
        assert_eq!((second.threshold, second.steps[0].wrong), (Some(p(950_000)), 0));
    }
    assert_eq!(found.certified["asks"].second, None);
    let signed = Signed::parse(&found.sign(&key(1)).unwrap(), &[key(1).verifying_key()]).unwrap();
    assert_eq!(signed.body, found);
    let Gate::Certified(gate) = signed.gate(&pins(), false).unwrap() else { panic!("no gate") };
    assert_eq!(gate.second.keys().collect::<Vec<_>>(), ["grants", "rejects"]);
    assert_eq!(gate.second["grants"].least, p(950_000));
    let page = html(&Figures::of(&samples, Some(&signed.body), None), Some(&signed), Lang::En);
    assert!(page.contains("grants the claim: second verdict"));

    // One that was not reflected on, and nothing can be said of those that were.
    let lowest = samples.iter().position(|s| s.remedy == "refund_only").unwrap();
    samples[lowest].second = None;
    let found = fit(&samples, by_first(), binds(&pins()).unwrap(), Origin::default());
    assert_eq!(found.certified["grants"].second, None);
    assert!(found.certified["rejects"].second.is_some() && found.certified["grants"].threshold.is_some());
    // Without any second verdict the first has all of delta.
    samples.iter_mut().for_each(|s| s.second = None);
    let found = fit(&samples, by_first(), binds(&pins()).unwrap(), Origin::default());
    assert!(found.certified.values().all(|s| s.second.is_none() && (s.delta - 0.05 / 3.0).abs() < 1e-12));
}

#[test]
fn it_opens_the_gate_for_what_it_binds_and_nothing_else() {
    let text = certificate().sign(&key(1)).unwrap();
    let signed = Signed::parse(&text, &[key(2).verifying_key(), key(1).verifying_key()]).unwrap();
    let Gate::Certified(certified) = signed.gate(&pins(), false).unwrap() else { panic!("no gate") };
    assert_eq!(certified.hash(), signed.hash());
    assert!(certified.thresholds["grants"].is_some() && certified.thresholds["asks"].is_none());

    let differs = |change: &dyn Fn(&mut Pins), folds: bool| {
        let mut other = pins();
        change(&mut other);
        match signed.gate(&other, folds) {
            Err(CertificateError::Mismatch(differs)) => differs.into_iter().map(|d| d.name).collect::<Vec<_>>(),
            Ok(_) => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    };
    let x = || "x".to_owned();
    assert_eq!(differs(&|p| p.engine = x(), false), ["engine"]);
    assert_eq!(differs(&|p| p.rulebook = x(), false), ["rulebook"]);
    assert_eq!(differs(&|p| p.index = x(), false), ["index"]);
    assert_eq!(differs(&|p| p.tokenizer = x(), true), ["tokenizer"]);
    assert_eq!(differs(&|p| p.thresholds = x(), true), ["thresholds"]);
    let models = |p: &mut Pins| (p.manifest, _) = (x(), p.models.insert(Task::Supports, x()));
    assert_eq!(differs(&models, false), ["manifest", "models"]);
    // The message says what is bound and what runs.
    let rules = Pins { rulebook: x(), ..pins() };
    let wanted = format!("it is for other rulebook (bound {:.12}, running x)", pins().rulebook);
    assert_eq!(signed.gate(&rules, false).unwrap_err().to_string(), wanted);
    // Fold models are other models on purpose.
    assert!(differs(&models, true).is_empty());
    // Where it runs does not matter, nor does the pin of the certificate itself.
    let machine = |p: &mut Pins| (p.runtime, p.device, p.certificate) = (x(), Device::Cuda, x());
    assert!(differs(&machine, false).is_empty());
}

#[test]
fn it_binds_the_reward_model_and_how_it_is_asked() {
    let read = Pins { second_pass: Some(pass()), ..pins() };
    let found = fit(&samples(900), request(Strata::Direction), binds(&read).unwrap(), Origin::default());
    let signed = Signed::parse(&found.sign(&key(1)).unwrap(), &[key(1).verifying_key()]).unwrap();
    assert!(signed.gate(&read, true).is_ok());
    let others = [
        None,
        Some(SecondPass { model: "another".to_owned(), ..pass() }),
        Some(SecondPass { format: "pra/0".to_owned(), ..pass() }),
        Some(SecondPass { characters: 900, ..pass() }),
        Some(SecondPass { reflect_below: None, ..pass() }),
    ];
    for second_pass in others {
        let error = signed.gate(&Pins { second_pass: second_pass.clone(), ..pins() }, false).unwrap_err();
        assert!(
            matches!(&error, CertificateError::Mismatch(differs) if differs.iter().map(|d| d.name.as_str()).eq(["second_pass"])),
            "{second_pass:?}: {error}"
        );
    }
}

#[test]
fn it_falls_with_any_change_and_with_a_stranger() {
    let text = certificate().sign(&key(1)).unwrap();
    let trusted = [key(1).verifying_key()];
    let hash = Signed::parse(&text, &trusted).unwrap().hash();
    // Layout is not signed, content is.
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(Signed::parse(&value.to_string(), &trusted).unwrap().hash(), hash);
    let with = |pointer: &str, new: Value| {
        let mut changed = value.clone();
        *changed.pointer_mut(pointer).unwrap() = new;
        Signed::parse(&changed.to_string(), &trusted).unwrap_err()
    };
    for (pointer, new) in [
        ("/certificate/alpha", json!(0.2)),
        ("/certificate/certified/grants/threshold", json!(0.1)),
        ("/certificate/certified/asks/threshold", json!(0)),
        ("/certificate/binds/rulebook", json!("x")),
        ("/certificate/audit/rate", json!(0)),
        ("/signature", json!("00".repeat(64))),
        ("/signature", json!("xyz")),
    ] {
        assert!(matches!(with(pointer, new), CertificateError::Signature), "{pointer}");
    }
    assert!(matches!(
        with("/key", json!(hex::encode(key(2).verifying_key().to_bytes()))),
        CertificateError::Stranger(_)
    ));
    assert!(matches!(Signed::parse(&text, &[]).unwrap_err(), CertificateError::Stranger(_)));
    assert!(matches!(Signed::parse("{}", &trusted).unwrap_err(), CertificateError::Form(_)));
    let folder = tempfile::tempdir().unwrap();
    let (path, keys) = (folder.path().join("c.json"), folder.path().join("keys.pem"));
    assert!(matches!(Signed::open(&path, &keys).unwrap_err(), CertificateError::Read { .. }));
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(Signed::open(&path, &keys).unwrap_err(), CertificateError::Keys(_)));
    write_trusted(&keys, &key(1).verifying_key()).unwrap();
    assert_eq!(Signed::open(&path, &keys).unwrap().hash(), hash);
}

#[test]
fn the_report_draws_what_is_and_alarms_when_it_should() {
    let signed = Signed::parse(&certificate().sign(&key(1)).unwrap(), &[key(1).verifying_key()]).unwrap();
    let quiet = Figures::of(&samples(900), Some(&signed.body), None);
    // A fifth of the audited decisions is wrong, and a tenth was allowed; the scores are those of the calibration.
    let codes = |f: &Figures| f.alarms.iter().map(|a| a.code).collect::<Vec<_>>();
    assert_eq!(codes(&quiet), ["precision"]);
    assert_eq!((quiet.audited.drawn, quiet.audited.right), (90, 72));
    let (low, high) = quiet.audited.interval().unwrap();
    assert!(low < 0.8 && high > 0.8 && high < 0.9, "{low} {high}");
    let found = |name: &str| {
        let group = quiet.drift.iter().find(|d| d.group == name).unwrap();
        let labelled = group.reliability.unwrap();
        (labelled.cases, labelled.right, group.auto, group.auto_right)
    };
    // Every third claim is about an invoice, and the first fifth is wrong.
    assert_eq!(found("all"), (900, 720, 900, (720, 900)));
    assert_eq!(found("invoice"), (300, 240, 300, (240, 300)));
    assert_eq!(quiet.drift.iter().filter(|d| d.group == pins().rulebook).count(), 1);

    let mut shifted = samples(900);
    for sample in &mut shifted {
        sample.score = sample.score.map(|s| p(s.millionths() / 2 + 300_000));
        sample.right = None;
    }
    let figures = Figures::of(&shifted, Some(&signed.body), Some("it is for other models"));
    let codes = codes(&figures);
    assert_eq!(codes[0], "certificate");
    assert!(codes[1..].iter().all(|code| *code == "drift") && codes.len() == 5, "{codes:?}");

    for lang in [Lang::Zh, Lang::En] {
        let page = html(&figures, Some(&signed), lang);
        assert!(page.contains("<svg") && page.contains(&signed.hash()) && page.contains("wrong_item"));
        for outside in ["http://", "https://", "<script", "url(", "NaN", "inf"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
    let hostile = Figures::of(&[], None, Some("<b>&\""));
    assert!(!html(&hostile, None, Lang::En).contains("<b>"));
}

/// The certificate in the tree is for the models, the rules and the program in the tree.
#[test]
fn the_shipped_certificate_fits_the_shipped_models() {
    for (name, second_pass) in [("first-pass", SecondPassMode::Off), ("second-pass", SecondPassMode::On)] {
        let file = repo(&format!("models/certificates/{name}.json"));
        let signed = Signed::open(&file, &repo("models/trusted_keys.pem")).unwrap();
        let judge = Judge::open(&repo("models"), &JudgeConfig { second_pass, ..JudgeConfig::default() }).unwrap();
        let pipeline = Pipeline::new(BOOK.clone(), judge).unwrap();
        let gate = signed.gate(pipeline.pins(), false);
        assert!(gate.is_ok(), "{name}: {}: run `cargo xtask certify`", gate.unwrap_err());
        let body = &signed.body;
        assert_eq!((body.alpha, body.delta, body.basis.folds.len()), (p(100_000), p(50_000), 5));
        assert!(body.certified.values().all(|s| s.threshold.is_some()), "{:?}", body.certified);
    }
    // No key that could sign lies about in the tree.
    let files = ["models", "models/certificates", "models/grm"].map(|folder| std::fs::read_dir(repo(folder)).unwrap());
    let mut contents = files.into_iter().flatten().map(|e| std::fs::read(e.unwrap().path()).unwrap_or_default());
    assert!(contents.all(|bytes| !bytes.windows(11).any(|w| w == b"PRIVATE KEY")));
}

#[test]
fn fold_models_of_another_training_are_told_apart() {
    let shipped = Manifest::read(&repo("models")).unwrap();
    let mut fold = shipped.clone();
    fold.models[0].sha256 = "ab".repeat(32);
    assert!(praetor::calibrate::same_training(&shipped, &fold));
    let other = Thresholds { scene: p(1), ..shipped.thresholds.clone() };
    assert!(!praetor::calibrate::same_training(&shipped, &Manifest { thresholds: other, ..fold.clone() }));
    let mut reader = shipped.verifier.clone();
    reader.as_mut().unwrap().bias_thousandths += 1;
    assert!(!praetor::calibrate::same_training(&shipped, &Manifest { verifier: reader, ..fold.clone() }));
    fold.tokenizer.sha256 = "cd".repeat(32);
    assert!(!praetor::calibrate::same_training(&shipped, &fold));
}
