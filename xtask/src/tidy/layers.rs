//! One direction: each module of the product imports only what stands to its left. The table below is the only
//! place where that order is written down; a module that is not in it is refused until somebody places it.

use super::Finding;
use super::paths::{NamedPath, named};
use super::source::Source;

/// Module, and the modules of the crate that it may name. From left to right.
const LAYERS: &[(&str, &[&str])] = &[
    ("lang", &[]),
    ("telemetry", &[]),
    ("case", &["lang"]),
    ("sop", &["lang", "case"]),
    ("judge", &["lang"]),
    ("nodes", &["lang", "case", "sop", "judge"]),
    ("decision", &["lang", "case", "sop", "judge", "nodes"]),
    ("pipeline", &["lang", "case", "sop", "judge", "nodes", "decision"]),
    ("ledger", &["lang"]),
    ("audit", &["lang", "ledger"]),
    ("witness", &["lang", "ledger"]),
    ("store", &["lang", "case", "decision", "ledger"]),
    ("record", &["lang", "case", "decision", "pipeline", "ledger", "store"]),
    // Joins what each module to its left wants configured.
    ("config", &["lang", "telemetry", "case", "sop", "judge", "pipeline", "witness", "store"]),
    ("eval", &["lang", "case", "sop", "judge", "decision", "pipeline"]),
    ("calibrate", &["lang", "judge", "decision", "eval"]),
    ("review", &["lang", "config", "case", "decision", "store", "record", "calibrate"]),
    ("replay", &["lang", "config", "case", "sop", "judge", "decision", "pipeline", "ledger", "store", "calibrate"]),
    ("explain", &["lang", "sop", "judge"]),
    ("live", &["lang", "case", "sop", "decision", "pipeline", "store", "replay"]),
    ("batch", EDGE),
    ("api", EDGE),
    ("console", &["lang", "config", "api"]),
    ("cli", CLI),
];

/// What the service and the batch may name: the pipeline and the store, and what opens them, but no node. The service stands
/// to the right of the batch.
const EDGE: &[&str] = &[
    "lang",
    "telemetry",
    "config",
    "case",
    "sop",
    "judge",
    "decision",
    "pipeline",
    "ledger",
    "witness",
    "store",
    "record",
    "review",
    "calibrate",
    "replay",
    "explain",
    "live",
    "batch",
];

/// The command line starts everything else.
const CLI: &[&str] = &[
    "lang",
    "telemetry",
    "config",
    "case",
    "sop",
    "judge",
    "decision",
    "pipeline",
    "ledger",
    "audit",
    "witness",
    "store",
    "record",
    "review",
    "eval",
    "calibrate",
    "replay",
    "explain",
    "live",
    "batch",
    "api",
    "console",
];

/// Files that may name one module more, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("src/cli/questions.rs", "nodes", "models are trained on the very texts that the nodes ask"),
    ("src/cli/pra.rs", "nodes", "the second pass is trained on the very texts that it reads"),
    ("src/cli/disturb.rs", "nodes", "the second pass learns from findings that are falsified on purpose"),
];

/// Checks every `crate::`, `praetor::` and `super::` path outside tests.
pub(crate) fn check(source: &Source, findings: &mut Vec<Finding>) {
    let Some(here) = module_path(&source.path) else {
        return;
    };
    let Some(module) = here.first() else { return };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| name == module) else {
        let message = format!("module `{module}` has no place yet: add it to LAYERS in xtask/src/tidy/layers.rs");
        findings.push(Finding::new(&source.path, 1, "one-direction", message));
        return;
    };
    for path in named(source) {
        if source.is_test(path.line) {
            continue;
        }
        let Some(target) = target(&path, &here) else {
            continue;
        };
        let known = LAYERS.iter().any(|(name, _)| *name == target);
        let excepted = EXCEPTIONS.iter().any(|(file, module, _)| *file == source.path && *module == target);
        if known && target != *module && !excepted && !allowed.contains(&target.as_str()) {
            let message = format!("`{}`: {module} may not import {target}", path.text());
            findings.push(Finding::new(&source.path, path.line, "one-direction", message));
        }
    }
}

/// `src/sop/check/gaps.rs` -> sop, check, gaps. None for the crate's roots and for what is not the product.
fn module_path(path: &str) -> Option<Vec<String>> {
    let inner = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    if matches!(inner, "lib" | "main") || inner.starts_with("bin/") {
        return None;
    }
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    Some(inner.split('/').map(str::to_owned).collect())
}

/// The top module that a path leads to, if it leads to one of this crate.
fn target(path: &NamedPath, here: &[String]) -> Option<String> {
    match path.parts.first()?.as_str() {
        "crate" | "praetor" => path.parts.get(1).cloned(),
        "super" => {
            let ups = path.parts.iter().take_while(|part| *part == "super").count();
            (ups == here.len()).then(|| path.parts.get(ups).cloned()).flatten()
        }
        _ => None,
    }
}
