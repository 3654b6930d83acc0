//! Every broken pack of `tests/fixtures/packs` gets the report of its snapshot, and every code has such a pack.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use praetor::lang::Lang;
use praetor::sop::{self, PackErrors, SourceFile};

use super::{pack, repo};

const FOLDER: &str = "tests/fixtures/packs";

/// Codes that no pack can show: sealing fails only if the canonical writer does, which writes to memory.
const WITHOUT_FIXTURE: [&str; 1] = ["pack.canonical"];

fn folders() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(repo(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name != "base")
        .collect();
    names.sort();
    names
}

/// The base pack with the folder's files laid over it.
fn overlaid(folder: &str) -> Vec<SourceFile> {
    let mut files = pack(&format!("{FOLDER}/base"));
    for entry in fs::read_dir(repo(FOLDER).join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        files.retain(|f| f.name != name.trim_end_matches(".absent"));
        if !name.ends_with(".absent") {
            files.push(SourceFile { name, text: fs::read_to_string(entry.path()).unwrap() });
        }
    }
    files
}

fn report(errors: &PackErrors) -> String {
    let mut out = String::new();
    for finding in &errors.0 {
        writeln!(out, "{finding}").unwrap();
    }
    for lang in Lang::ALL {
        write!(out, "\n--- {}\n\n{}", lang.as_str(), errors.render(lang, false)).unwrap();
    }
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_base_pack_is_valid_and_its_scenarios_pass() {
    let book = sop::compile(&pack(&format!("{FOLDER}/base"))).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(book.sops.len(), 2);
    for sop in &book.sops {
        assert_eq!(sop.run_scenarios(&book.head.tiers), Vec::new(), "{}", sop.id);
    }
}

#[test]
fn each_broken_pack_gets_its_report() {
    let names = folders();
    assert!(names.len() >= 30, "{} broken packs", names.len());
    for name in names {
        let errors = sop::compile(&overlaid(&name)).expect_err(&name);
        let code = name.as_str();
        assert!(
            code == "several" || errors.0.iter().any(|f| code == f.code || code.starts_with(&format!("{}.", f.code))),
            "{name} shows another finding: {errors}"
        );
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, report(&errors));
        });
    }
}

#[test]
fn a_report_points_into_its_file() {
    for name in folders() {
        for finding in sop::compile(&overlaid(&name)).expect_err(&name).0 {
            let text = &finding.file.text;
            let end = finding.span.start + finding.span.len;
            assert!(text.get(finding.span.start..end).is_some(), "{name}: {finding}");
            let start: String = finding.message.zh.chars().take(6).collect();
            assert!(finding.render(Lang::Zh, true).contains(&start), "{name}: {finding}");
        }
    }
}

/// String literals such as `"table.gap"` in the compiler's sources.
fn codes_of_the_sources() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(repo("src/sop")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let product = text.split("#[cfg(test)]").next().unwrap();
        for (at, _) in product.match_indices('"') {
            let rest = &product[at + 1..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_' && c != '.').unwrap_or(0);
            let literal = &rest[..end];
            let is_code =
                matches!(literal.split('.').collect::<Vec<_>>().as_slice(), [a, b] if !a.is_empty() && !b.is_empty());
            if is_code && rest[end..].starts_with('"') && !literal.ends_with(".yaml") {
                codes.insert(literal.to_owned());
            }
        }
    }
    codes
}

#[test]
fn every_code_has_a_broken_pack() {
    let mut seen: BTreeSet<String> = WITHOUT_FIXTURE.map(str::to_owned).into();
    for name in folders() {
        seen.extend(sop::compile(&overlaid(&name)).expect_err(&name).0.iter().map(|f| f.code.to_owned()));
    }
    assert_eq!(seen, codes_of_the_sources());
}
