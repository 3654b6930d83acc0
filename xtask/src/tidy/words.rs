//! Rules about what a part of the sources may name: effects, SQL, the model runtime, floats, the clock, stubs.

use super::Finding;
use super::paths::{NamedPath, named};
use super::source::Source;

/// Paths that may not be named in some folders.
struct Ban {
    rule: &'static str,
    /// Path prefixes where it holds.
    within: &'static [&'static str],
    /// Path prefixes where it does not.
    except: &'static [&'static str],
    words: &'static [&'static str],
    /// Does it hold in test code too?
    in_tests: bool,
    /// A comment of that form on the line lifts it; what follows is the reason.
    marker: Option<&'static str>,
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        rule: "pure-nodes",
        within: &["src/nodes/"],
        except: &[],
        words: &[
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "std::io",
            "std::thread",
            "tokio",
            "sqlx",
            "ort",
            "SystemTime",
            "Instant",
            "Utc::now",
            "Local::now",
            "Mutex",
            "RwLock",
            "OnceLock",
            "OnceCell",
            "RefCell",
            "thread_local!",
            "tracing",
        ],
        in_tests: false,
        marker: None,
        why: "nodes do no I/O, read no clock and hold no state",
    },
    Ban {
        rule: "sql-in-store",
        within: &["src/"],
        except: &["src/store/", "src/store.rs"],
        words: &["sqlx"],
        in_tests: true,
        marker: None,
        why: "only store contains SQL",
    },
    Ban {
        rule: "ort-in-judge",
        within: &["src/"],
        except: &["src/judge/", "src/judge.rs"],
        words: &["ort"],
        in_tests: true,
        marker: None,
        why: "only judge knows the model runtime",
    },
    Ban {
        rule: "integer-money",
        within: &["src/case/", "src/sop/", "src/decision/", "src/case.rs", "src/sop.rs", "src/decision.rs"],
        except: &[],
        words: &["f32", "f64"],
        in_tests: false,
        marker: Some("// float: "),
        why: "money is integer fen, never a float",
    },
    // Further right `as_f64` reads a probability; here it could only read an amount.
    Ban {
        rule: "integer-money",
        within: &["src/case/", "src/sop/", "src/case.rs", "src/sop.rs"],
        except: &[],
        words: &["as_f64", "from_f64"],
        in_tests: false,
        marker: Some("// float: "),
        why: "money is integer fen, never a float",
    },
    Ban {
        rule: "clock-is-input",
        within: &["src/"],
        except: &["src/api/", "src/cli/", "src/store/"],
        words: &["Utc::now", "Local::now", "SystemTime::now"],
        in_tests: false,
        marker: None,
        why: "the clock is an input, read at the edge only",
    },
    Ban {
        rule: "no-stub",
        within: &["src/", "tests/", "benches/", "xtask/"],
        except: &[],
        words: &["todo!", "unimplemented!"],
        in_tests: true,
        marker: None,
        why: "what is committed is finished",
    },
];

/// Pieces of code that are no paths: rule, where, text, why.
const PIECES: &[(&str, &str, &str, &str)] = &[
    ("pure-nodes", "src/nodes/", "static mut ", "nodes do no I/O, read no clock and hold no state"),
    ("no-stub", "", "#[ignore", "a test runs or does not exist"),
];

/// Beginnings of SQL statements, in upper case.
const STATEMENTS: &[&str] =
    &["INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE ", "DROP TABLE ", "CREATE INDEX ", "TRUNCATE "];

/// All rules of this file.
pub(crate) fn check(source: &Source, findings: &mut Vec<Finding>) {
    let paths = named(source);
    for ban in BANS.iter().filter(|ban| applies(ban, &source.path)) {
        bans(ban, source, &paths, findings);
    }
    for (rule, within, text, why) in PIECES {
        if source.path.starts_with(within) {
            for (at, _) in source.code.match_indices(text) {
                let message = format!("`{}`: {why}", text.trim_end());
                findings.push(Finding::new(&source.path, source.line_at(at), rule, message));
            }
        }
    }
    statements(source, findings);
    opening(source, findings);
}

fn applies(ban: &Ban, path: &str) -> bool {
    ban.within.iter().any(|prefix| path.starts_with(prefix)) && !ban.except.iter().any(|p| path.starts_with(p))
}

fn bans(ban: &Ban, source: &Source, paths: &[NamedPath], findings: &mut Vec<Finding>) {
    for path in paths {
        let Some(word) = ban.words.iter().find(|word| path.has(word)) else {
            continue;
        };
        if !ban.in_tests && source.is_test(path.line) {
            continue;
        }
        let reason = |marker: &str| {
            let raw = source.lines.get(path.line - 1).map_or("", |line| line.raw.as_str());
            raw.split_once(marker).is_some_and(|(_, reason)| !reason.trim().is_empty())
        };
        if ban.marker.is_some_and(reason) {
            continue;
        }
        let message = format!("`{}` (names `{word}`): {}", path.text(), ban.why);
        findings.push(Finding::new(&source.path, path.line, ban.rule, message));
    }
}

/// SQL in string literals of the product outside store.
fn statements(source: &Source, findings: &mut Vec<Finding>) {
    if !source.path.starts_with("src/") || source.path.starts_with("src/store") {
        return;
    }
    for (index, line) in source.lines.iter().enumerate() {
        let text = line.strings.trim_start().to_uppercase();
        let selects = text.starts_with("SELECT ") && text.contains(" FROM ");
        let updates = text.starts_with("UPDATE ") && text.contains(" SET ");
        if selects || updates || STATEMENTS.iter().any(|start| text.starts_with(start)) {
            let message = "a string that reads as SQL: only store contains SQL";
            findings.push(Finding::new(&source.path, index + 1, "sql-in-store", message));
        }
    }
}

/// A file of the product opens by saying what it is for and what it never does.
fn opening(source: &Source, findings: &mut Vec<Finding>) {
    let product = source.path.starts_with("src/") || source.path.starts_with("xtask/src/");
    let first = source.lines.first();
    let test_file = first.is_some_and(|line| line.test);
    if product && !test_file && !first.is_some_and(|line| line.raw.starts_with("//!")) {
        let message = "opens without `//!`: say what the module is for and what it never does";
        findings.push(Finding::new(&source.path, 1, "module-opening", message));
    }
}
