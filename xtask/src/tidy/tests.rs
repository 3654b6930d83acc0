//! Each rule is shown a small tree that breaks it, and one that does not: a check that cannot fail checks nothing.

use super::tree::{NEEDED, TrackedFile};
use super::{Finding, check};

fn file(path: &str, text: &str) -> TrackedFile {
    TrackedFile { path: path.to_owned(), size: text.len() as u64, text: Some(text.to_owned()) }
}

/// The findings of these files in an otherwise complete repository, as `path:line rule`.
fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let mut tree: Vec<TrackedFile> = NEEDED.iter().map(|page| file(page, "text")).collect();
    tree.extend(files.iter().map(|(path, text)| file(path, text)));
    check(&tree).iter().map(short).collect()
}

fn short(finding: &Finding) -> String {
    format!("{}:{} {}", finding.path, finding.line, finding.rule)
}

/// The findings of one product file; it gets the opening that every file needs, so that `code` starts on line 2.
fn product(path: &str, code: &str) -> Vec<String> {
    findings(&[(path, &format!("//! A module.\n{code}"))])
}

#[test]
fn a_complete_repository_has_no_finding() {
    assert!(findings(&[]).is_empty());
    assert!(product("src/case/money.rs", "use crate::lang::Lang;\n").is_empty());
}

#[test]
fn nodes_are_pure() {
    for code in [
        "use std::fs;",
        "use std::{collections::BTreeMap, fs::read};",
        "fn f() { std::fs::read(\"x\"); }",
        "use tokio::task;",
        "fn f() { let t = std::time::Instant::now(); }",
        "static CACHE: std::sync::OnceLock<u8> = std::sync::OnceLock::new();",
        "use std::sync::Mutex;",
        "static mut SEEN: u8 = 0;",
    ] {
        let found = product("src/nodes/label.rs", code);
        assert_eq!(found.first().map(String::as_str), Some("src/nodes/label.rs:2 pure-nodes"), "{code}");
        assert!(product("src/cli/show.rs", code).is_empty(), "{code}");
    }
    assert_eq!(
        product("src/nodes/label.rs", "fn f() { let now = chrono::Utc::now(); }"),
        ["src/nodes/label.rs:2 clock-is-input", "src/nodes/label.rs:2 pure-nodes"]
    );
}

#[test]
fn words_in_comments_strings_and_tests_are_no_findings() {
    let code = "\
        // std::fs is not for nodes, nor is Mutex.\n\
        /* sqlx /* nested */ ort */\n\
        const TEXT: &str = \"std::fs and \\\" Mutex\";\n\
        const RAW: &str = r#\"tokio \" sqlx\"#;\n\
        const QUOTE: char = '\"';\n\
        fn life<'a>(x: &'a str) -> &'a str { x }\n\
        #[cfg(test)]\n\
        #[allow(clippy::unwrap_used)]\n\
        mod tests {\n\
            use std::fs;\n\
        }\n";
    assert!(product("src/nodes/label.rs", code).is_empty());
}

#[test]
fn code_after_a_test_module_is_checked() {
    let code = "#[cfg(test)]\nmod tests {\n  fn f() { if x { y } }\n}\nuse std::fs;\n";
    assert_eq!(product("src/nodes/label.rs", code), ["src/nodes/label.rs:6 pure-nodes"]);
}

#[test]
fn a_file_declared_for_tests_is_a_test_file() {
    let tests = ("src/nodes/label/tests.rs", "use std::fs;\n");
    let declared = ("src/nodes/label.rs", "//! A module.\n#[cfg(test)]\nmod tests;\n");
    assert!(findings(&[tests, declared]).is_empty());
    let public = ("src/nodes/label.rs", "//! A module.\nmod tests;\n");
    assert_eq!(
        findings(&[tests, public]),
        ["src/nodes/label/tests.rs:1 module-opening", "src/nodes/label/tests.rs:1 pure-nodes"]
    );
}

#[test]
fn only_store_contains_sql() {
    let queries = [
        "use sqlx::PgPool;",
        "fn f() { sqlx::query!(\"x\"); }",
        "const Q: &str = \"SELECT id FROM decision\";",
        "const Q: &str = \"insert into decision values (1)\";",
        "const Q: &str = \"UPDATE decision SET id = 1\";",
    ];
    for code in queries {
        assert_eq!(product("src/cli/db.rs", code), ["src/cli/db.rs:2 sql-in-store"], "{code}");
        assert!(product("src/store/decision.rs", code).is_empty(), "{code}");
    }
    assert!(product("src/cli/db.rs", "const T: &str = \"select a ticket\";").is_empty());
}

#[test]
fn only_judge_knows_the_runtime() {
    let code = "use ort::session::Session;";
    assert_eq!(product("src/pipeline.rs", code), ["src/pipeline.rs:2 ort-in-judge"]);
    assert!(product("src/judge/session.rs", code).is_empty());
    assert!(product("src/pipeline.rs", "fn sort() { v.sort(); }").is_empty());
}

#[test]
fn money_is_no_float() {
    let code = "fn f(x: f64) -> u8 { 0 }";
    assert_eq!(product("src/case/money.rs", code), ["src/case/money.rs:2 integer-money"]);
    assert_eq!(product("src/sop/eval.rs", "use std::f64;"), ["src/sop/eval.rs:2 integer-money"]);
    assert!(product("src/judge/answer.rs", code).is_empty());
    assert_eq!(product("src/case/reader.rs", "fn f() { v.as_f64() }"), ["src/case/reader.rs:2 integer-money"]);
    assert!(product("src/decision/explain.rs", "fn f() { p.as_f64() }").is_empty());
    assert!(product("src/sop/retrieve.rs", "type Score = f32; // float: a retrieval score, not money").is_empty());
    assert_eq!(
        product("src/sop/retrieve.rs", "type Score = f32; // float: "),
        ["src/sop/retrieve.rs:2 integer-money"],
        "a marker without a reason lifts nothing"
    );
    assert!(product("src/case/money.rs", "fn f() { let f64x = 0; }").is_empty());
}

#[test]
fn the_clock_is_read_at_the_edge() {
    for code in
        ["fn f() { Utc::now(); }", "fn f() { std::time::SystemTime::now(); }", "fn f() { chrono::Local::now() }"]
    {
        assert_eq!(product("src/decision/build.rs", code), ["src/decision/build.rs:2 clock-is-input"], "{code}");
        assert!(product("src/cli/adjudicate.rs", code).is_empty());
        assert!(product("src/store/decision.rs", code).is_empty());
    }
}

#[test]
fn imports_go_one_way() {
    let wrong = [
        ("src/case/parse.rs", "use crate::sop::Pack;"),
        ("src/case/parse.rs", "use crate::{lang::Lang, store::Store};"),
        ("src/sop/eval.rs", "fn f() { crate::nodes::label::run(); }"),
        ("src/sop/check/gaps.rs", "use super::super::super::judge::Judge;"),
        ("src/sop.rs", "use super::pipeline;"),
        ("src/api/routes.rs", "use crate::nodes::Finding;"),
        ("src/store/mod.rs", "use crate::cli::Args;"),
        ("src/nodes/label.rs", "pub use crate::pipeline::{\n    Wave,\n};"),
    ];
    for (path, code) in wrong {
        let found = product(path, code);
        assert_eq!(found.len(), 1, "{path}: {code}: {found:?}");
        assert!(found[0].ends_with(" one-direction"), "{found:?}");
    }
    let right = [
        ("src/nodes/label.rs", "use crate::{case::Case, judge::Answer, nodes::Finding};"),
        ("src/sop/check/gaps.rs", "use super::super::Pack;\nuse super::Table;"),
        ("src/cli/adjudicate.rs", "use praetor::pipeline::Pipeline;"),
        ("src/main.rs", "use praetor::cli;"),
        ("src/cli/questions.rs", "use crate::nodes::text;"),
        ("src/case/parse.rs", "#[cfg(test)]\nmod tests {\n    use crate::sop::Pack;\n}"),
    ];
    for (path, code) in right {
        assert_eq!(product(path, code), Vec::<String>::new(), "{path}: {code}");
    }
}

#[test]
fn a_module_without_a_place_is_refused() {
    assert_eq!(product("src/misc.rs", "fn f() {}"), ["src/misc.rs:1 one-direction"]);
}

#[test]
fn files_stay_short_and_say_what_they_are_for() {
    let long = format!("//! A module.\n{}", "// line\n".repeat(500));
    assert_eq!(findings(&[("src/case/parse.rs", &long)]), ["src/case/parse.rs:501 file-length"]);
    assert_eq!(findings(&[("xtask/src/x.rs", "fn f() {}\n")]), ["xtask/src/x.rs:1 module-opening"]);
    assert!(findings(&[("tests/main.rs", "mod adjudicate;\n")]).is_empty());
}

#[test]
fn nothing_is_left_unfinished() {
    let found = findings(&[(
        "tests/cli.rs",
        "#[ignore]\nfn f() { todo!() }\n#[ignore = \"slow\"]\nfn g() { unimplemented!(\"x\") }\n",
    )]);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.iter().all(|line| line.ends_with(" no-stub")));
    assert!(findings(&[("tests/cli.rs", "fn todo() -> bool { todo() != false }\n")]).is_empty());
}

#[test]
fn paths_of_one_machine_are_found() {
    let home = format!("/{}/somebody/x", "home");
    assert_eq!(findings(&[("docs/a.md", &format!("see\n`{home}`\n"))]), ["docs/a.md:2 home-path"]);
    assert!(findings(&[("docs/a.md", &format!("https://example.com{home} $ROOT{home}"))]).is_empty());
}

#[test]
fn every_migration_has_a_way_back() {
    let up = ("migrations/1_start.up.sql", "a");
    let down = ("migrations/1_start.down.sql", "b");
    assert!(findings(&[up, down]).is_empty());
    assert_eq!(findings(&[up]), ["migrations/1_start.up.sql:0 migration-down"]);
    assert_eq!(findings(&[down]), ["migrations/1_start.down.sql:0 migration-down"]);
    assert_eq!(findings(&[("migrations/2_more.sql", "a")]), ["migrations/2_more.sql:0 migration-down"]);
    let empty = ("migrations/1_start.down.sql", " \n");
    assert_eq!(findings(&[up, empty]), ["migrations/1_start.down.sql:0 migration-down"]);
}

#[test]
fn sizes_are_bounded() {
    let sized = |path: &str, mib: u64| TrackedFile { path: path.to_owned(), size: mib << 20, text: None };
    let pages = || NEEDED.iter().map(|page| file(page, "text"));
    let one: Vec<TrackedFile> = pages().chain([sized("models/a.onnx", 17)]).collect();
    assert_eq!(check(&one).iter().map(short).collect::<Vec<_>>(), ["models/a.onnx:0 file-size"]);
    let many: Vec<TrackedFile> = pages().chain((0..4).map(|n| sized(&format!("models/{n}.onnx"), 13))).collect();
    assert_eq!(check(&many).iter().map(short).collect::<Vec<_>>(), [".:0 tree-size"]);
}

#[test]
fn needed_pages_are_missed() {
    assert!(check(&[]).iter().any(|finding| short(finding) == "ARCHITECTURE.md:0 needed-page"));
}
