//! Decisions as people read them on a terminal. Works on a decision's JSON, so that a recorded decision of an older
//! version reads like a new one.

use std::fmt::Write;

use serde_json::Value;

use crate::case::CaseErrors;
use crate::lang::Lang;

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("-")
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A decision, a line a finding.
pub(super) fn decision(d: &Value, lang: Lang) -> String {
    let mut out = String::new();
    let outcome = match (text(d, "/outcome"), lang) {
        ("auto", Lang::Zh) => "自动处理",
        ("auto", Lang::En) => "automatic",
        (_, Lang::Zh) => "待人工复核",
        (_, Lang::En) => "for review",
    };
    let _ = writeln!(out, "━━ {} · {} · {}", text(d, "/ticket_id"), outcome, text(d, "/id"));
    for line in list(d, &format!("/explanation/{}", lang.as_str())) {
        let _ = writeln!(out, "   {}", line.as_str().unwrap_or("-"));
    }
    let flips = list(d, "/flips");
    if !flips.is_empty() {
        let _ = writeln!(out, "   {}", lang.pick("什么会改变结果：", "What would have changed it:"));
    }
    for flip in flips {
        let _ = writeln!(out, "     · {}", text(flip, &format!("/{}", lang.as_str())));
    }
    if let Some(hint) = d.pointer(&format!("/legal_hint/{}", lang.as_str())).and_then(Value::as_str) {
        let note = lang.pick("法律提示（不由平台裁处）", "Point of law, not ordered by the platform");
        let _ = writeln!(out, "   {note}: {hint}");
    }
    out
}

/// A refused input, a line an error.
pub(super) fn refusal(source: &str, line: u64, errors: &CaseErrors, lang: Lang) -> String {
    let mut out = String::new();
    let ticket = errors.ticket_id().map_or("-", |t| t.as_str());
    let _ = writeln!(out, "━━ {ticket} · {} · {source}:{line}", lang.pick("拒收", "refused"));
    for error in errors.iter() {
        let _ = writeln!(out, "   {}", error.message(lang));
    }
    out
}
