//! The program itself: without a certificate that fits nothing is automatic, and it says so; with one it is what it was
//! certified for.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::pipeline::repo;

fn praetor(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_praetor"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PRAETOR_") && name != "PRAETOR_ORT_LIB") {
        command.env_remove(name);
    }
    command.current_dir(repo("")).env("PRAETOR_DATA_DIR", folder.join("data")).args(["--lang", "en"]).args(args);
    command.output().unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn outcomes(text: &str) -> Vec<(String, Vec<String>)> {
    let decision = |line: &str| {
        let d: Value = serde_json::from_str(line).unwrap();
        let codes = d["reasons"].as_array().into_iter().flatten().map(|r| r["code"].as_str().unwrap().to_owned());
        (d["outcome"].as_str().unwrap().to_owned(), codes.collect())
    };
    text.lines().map(decision).collect()
}

#[test]
fn nothing_is_automatic_without_a_certificate_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.json");
    let missing = missing.to_str().unwrap();
    let decide = ["adjudicate", "examples/tickets.jsonl", "--dry-run", "--format", "json"];

    let (with, quiet) = said(&praetor(folder.path(), &decide));
    assert!(outcomes(&with).iter().filter(|(outcome, _)| outcome == "auto").count() >= 5, "{quiet}");
    assert!(!quiet.contains("certificate"), "{quiet}");

    let (without, note) = said(&praetor(folder.path(), &[&["--certificate", missing][..], &decide].concat()));
    assert_eq!(note.matches("nothing is decided automatically").count(), 1, "{note}");
    let reviewed = outcomes(&without);
    assert_eq!(reviewed.iter().filter(|(outcome, _)| outcome == "review").count(), 15);
    assert!(reviewed.iter().all(|(o, codes)| o == "rejected_input" || codes.iter().any(|c| c == "no_certificate")));

    let (doctor, _) = said(&praetor(folder.path(), &["--certificate", missing, "doctor"]));
    assert!(doctor.contains("warn  certificate: nothing is automatic"), "{doctor}");
    let check = praetor(folder.path(), &["--certificate", missing, "calibrate", "check"]);
    assert_eq!(check.status.code(), Some(1));

    let decisions = folder.path().join("decisions.jsonl");
    std::fs::write(&decisions, &without).unwrap();
    let page = folder.path().join("page.html");
    let (decisions, page_name) = (decisions.to_str().unwrap(), page.to_str().unwrap());
    let report = ["calibrate", "report", "--decisions", decisions, "--out", page_name];
    let alarm = praetor(folder.path(), &[&["--certificate", missing][..], &report].concat());
    assert_eq!(alarm.status.code(), Some(4), "{:?}", said(&alarm));
    assert!(said(&alarm).1.contains("alarm certificate"));
    assert!(std::fs::read_to_string(page).unwrap().contains("</html>"));
}

#[test]
fn a_certificate_of_ones_own_holds_where_its_key_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (mine, trusted, key) = (path("mine.json"), path("trusted.pem"), path("key.pem"));
    let decided = praetor(folder.path(), &["adjudicate", "examples/tickets.jsonl", "--dry-run", "--format", "json"]);
    std::fs::write(path("decisions.jsonl"), said(&decided).0).unwrap();
    let own = ["--certificate", &mine, "--trusted-keys", &trusted];
    let decisions = path("decisions.jsonl");
    let fit = ["calibrate", "examples/gold.jsonl", "--decisions", &decisions, "--key", &key, "--trust"];
    let made = praetor(folder.path(), &[&own[..], &fit].concat());
    assert!(made.status.success(), "{:?}", said(&made));
    let checked = praetor(folder.path(), &[&own[..], &["calibrate", "check"]].concat());
    assert!(checked.status.success(), "{:?}", said(&checked));
    // A dozen cases prove nothing, so it lets nothing be automatic.
    let decide = ["adjudicate", "examples/tickets.jsonl", "--dry-run", "--format", "json"];
    let (decisions, _) = said(&praetor(folder.path(), &[&own[..], &decide].concat()));
    assert!(outcomes(&decisions).iter().all(|(outcome, _)| outcome != "auto"));
    assert!(decisions.contains("not_certified") && !decisions.contains("no_certificate"));
    // The shipped keys do not know the key.
    let stranger = praetor(folder.path(), &["--certificate", &mine, "calibrate", "check"]);
    assert!(stranger.status.code() == Some(1) && said(&stranger).1.contains("not among the trusted keys"));
}

#[test]
fn what_cannot_be_calibrated_on_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (decisions, twice, right, groups) = (path("d.jsonl"), path("twice.jsonl"), path("right.jsonl"), path("g.toml"));
    let decided = praetor(folder.path(), &["adjudicate", "examples/tickets.jsonl", "--dry-run", "--format", "json"]);
    let (decided, _) = said(&decided);
    let first = decided.lines().next().unwrap();
    let ticket = serde_json::from_str::<Value>(first).unwrap()["ticket_id"].as_str().unwrap().to_owned();
    std::fs::write(&decisions, &decided).unwrap();
    std::fs::write(&twice, format!("{decided}{first}\n")).unwrap();
    std::fs::write(&right, format!("{{\"ticket_id\":\"{ticket}\",\"right\":true}}\n")).unwrap();
    let key = path("key.pem");
    let refused = |args: &[&str]| {
        let made = praetor(
            folder.path(),
            &[&["--certificate", &path("no.json"), "calibrate"], args, &["--key", &key]].concat(),
        );
        assert!(!made.status.success() && !folder.path().join("no.json").exists(), "{args:?}");
        said(&made).1
    };
    let gold = "examples/gold.jsonl";
    let line = decided.lines().count() + 1;
    let error = refused(&[gold, "--decisions", &twice]);
    assert!(error.contains(&format!("twice.jsonl line {line}: ticket \"{ticket}\" has been given before")), "{error}");
    let error = refused(&["examples/tickets.jsonl", gold, "examples/tickets.jsonl", gold]);
    assert!(error.contains("has been given before"), "{error}");
    let error = refused(&["examples/tickets.jsonl", &right]);
    assert!(error.contains("1 labels say whether a proposal was `right`"), "{error}");
    let error = refused(&[gold, "--decisions", &decisions, "--score", "first-token"]);
    assert!(error.contains("no labelled decision has the score first_token"), "{error}");
    let error = refused(&[gold, "--decisions", &decisions, "--fold-models", "x"]);
    assert!(error.contains("cannot be used with"), "{error}");
    for (toml, line) in [
        (
            "shipping = [\"late_shipement\"]",
            "the group shipping has the scene late_shipement, which the rules do not know",
        ),
        ("shipping = []", "the group shipping has no scene"),
        ("a = [\"invoice\"]\nb = [\"invoice\"]", "the scene invoice is in a and in b"),
    ] {
        std::fs::write(&groups, toml).unwrap();
        let error = refused(&[gold, "--decisions", &decisions, "--scene-groups", &groups]);
        assert!(error.contains("g.toml") && error.contains(line), "{error}");
    }
    // A review speaks of its decision alone, and what is made is told to be out of use while nobody trusts its key.
    let fit = ["calibrate", &right, "--decisions", &decisions, "--key", &key];
    let made = praetor(folder.path(), &[&["--certificate", &path("mine.json")][..], &fit].concat());
    assert!(made.status.success(), "{:?}", said(&made));
    let note = said(&made).1;
    assert!(
        note.contains("the new certificate is not in use") && note.contains("not among the trusted keys"),
        "{note}"
    );
    std::fs::write(&right, format!("{{\"ticket_id\":\"{ticket}\",\"right\":true,\"decision_id\":\"dec_0\"}}\n"))
        .unwrap();
    let error = refused(&[&right, "--decisions", &decisions]);
    assert!(error.contains("no decision has a label"), "{error}");
}

#[test]
fn of_a_folder_the_certificate_that_fits_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = folder.path().join("certificates");
    std::fs::create_dir(&certificates).unwrap();
    let named = certificates.to_str().unwrap();
    let check = || praetor(folder.path(), &["--certificate", named, "calibrate", "check"]);
    let none = check();
    assert!(none.status.code() == Some(1) && said(&none).1.contains(named), "{:?}", said(&none));
    // One that is none, one that is changed, one that fits; and what is no certificate by its name.
    let shipped = std::fs::read_to_string(repo("models/certificates/first-pass.json")).unwrap();
    std::fs::write(certificates.join("1.json"), "{}").unwrap();
    let changed = shipped.replacen("\"alpha\": 0.1,", "\"alpha\": 0.2,", 1);
    assert_ne!(changed, shipped);
    std::fs::write(certificates.join("2.json"), changed).unwrap();
    std::fs::write(certificates.join("readme.txt"), "no certificate").unwrap();
    assert_eq!(check().status.code(), Some(1));
    std::fs::write(certificates.join("3.json"), &shipped).unwrap();
    let (said_of_it, wrong) = said(&check());
    assert!(said_of_it.contains("2026-"), "{said_of_it} {wrong}");
    let decide = ["adjudicate", "examples/tickets.jsonl", "--dry-run", "--format", "json"];
    let (decided, quiet) = said(&praetor(folder.path(), &[&["--certificate", named][..], &decide].concat()));
    assert!(outcomes(&decided).iter().filter(|(outcome, _)| outcome == "auto").count() >= 5, "{quiet}");
    // What is made goes beside them, under the rule book's name.
    let (key, keys) = (folder.path().join("key.pem"), folder.path().join("trusted.pem"));
    let decisions = folder.path().join("decisions.jsonl");
    std::fs::write(&decisions, decided).unwrap();
    let [key, keys, decisions] = [&key, &keys, &decisions].map(|path| path.to_str().unwrap());
    let own = ["--certificate", named, "--trusted-keys", keys];
    let fit = ["calibrate", "examples/gold.jsonl", "--decisions", decisions, "--key", key, "--trust"];
    let made = praetor(folder.path(), &[&own[..], &fit].concat());
    assert!(made.status.success(), "{:?}", said(&made));
    assert_eq!(std::fs::read_dir(&certificates).unwrap().count(), 5);
}

/// The first so many lines of a file of authored cases, as a file of their own.
fn some_authored(folder: &Path, file: &str, lines: usize) -> String {
    let text = std::fs::read_to_string(repo("models/training/data/authored").join(file)).unwrap();
    let path = folder.join(file);
    std::fs::write(&path, text.split_inclusive('\n').take(lines).collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_the_reward_model_makes_of_decisions_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let tickets = some_authored(folder.path(), "tickets.jsonl", 16);
    let gold = some_authored(folder.path(), "gold.jsonl", 16);
    let pra = ["pra", tickets.as_str(), "--gold", gold.as_str()];
    let falsify = ["--disturb", "sop", "--disturb", "row"];
    let (lines, wrong) = said(&praetor(folder.path(), &[&pra[..], &falsify].concat()));
    // Each case once in each way; the figures have the even ones in the first, the others in the second.
    let decisions: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(decisions.len(), 32, "{wrong}");
    let place = |d: &Value| decisions.iter().position(|other| other["ticket_id"] == d["ticket_id"]).unwrap();
    let picked = |d: &&Value| (d["disturbed"] == "sop") == place(d).is_multiple_of(2);
    let falsified: Vec<&Value> = decisions.iter().filter(picked).collect();
    let count = falsified.iter().filter(|d| d["right"] == false).count();
    assert!(falsified.len() == 16 && count > 4, "{count} wrong");

    let (figures, wrong) = said(&praetor(folder.path(), &[&pra[..], &falsify, &["--figures"]].concat()));
    let of = |name: &str| -> Vec<String> {
        let line = figures.lines().find(|line| line.trim_start().starts_with(name));
        line.unwrap_or_else(|| panic!("no {name}: {figures} {wrong}")).split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(of("own")[1..3], ["16", "0"], "{figures}");
    assert_eq!(of("falsified")[1..3], ["16".to_owned(), count.to_string()], "{figures}");
    let share = |text: &str| text.parse::<f64>().is_ok_and(|x| (0.0..=1.0).contains(&x));
    assert!(of("falsified")[3..].iter().all(|figure| share(figure)), "{figures}");
    assert!(figures.contains("ms for A'") && figures.contains("ms for R' and A''"), "{figures}");
    // It reads what it was made for, and says so where there is none.
    let none = praetor(folder.path(), &[&["--models", "tests/fixtures/judge/good"][..], &pra, &["--figures"]].concat());
    assert!(!none.status.success() && said(&none).1.contains("verifier"), "{:?}", said(&none));
}
