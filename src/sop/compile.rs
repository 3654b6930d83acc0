//! From files to a proved [`RuleBook`]: every value is resolved, every expression typed, every table proved.
//!
//! All findings are collected, so that an editor sees them at once; a pack with any finding is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_saphyr::Spanned;

use super::compile_words::{Words, check_calendar, check_taxonomy};
use super::diag::{Finding, PackErrors, SourceFile, Span};
use super::duration::parse_duration;
use super::raw::{Bilingual, Calendar, Effective, RawPack, RawSop, Taxonomy};
use super::rulebook::{PackHead, RuleBook, Sop, SopId};
use super::shape;

/// Collects findings about one file.
pub(super) struct Sink<'a> {
    pub(super) file: Arc<SourceFile>,
    pub(super) findings: &'a mut Vec<Finding>,
}

impl Sink<'_> {
    pub(super) fn add(&mut self, code: &'static str, span: Span, zh: String, en: String) {
        self.findings.push(Finding {
            code,
            file: self.file.clone(),
            span,
            message: Bilingual { zh, en },
            witness: None,
        });
    }

    pub(super) fn at<T>(&mut self, code: &'static str, value: &Spanned<T>, zh: String, en: String) {
        self.add(code, Span::from(&value.referenced), zh, en);
    }

    /// Reports about a key, found before its value.
    pub(super) fn key<T>(&mut self, code: &'static str, key: &str, value: &Spanned<T>, zh: String, en: String) {
        let span = self.key_span(key, value);
        self.add(code, span, zh, en);
    }

    /// Where the key of a value stands.
    pub(super) fn key_span<T>(&self, key: &str, value: &Spanned<T>) -> Span {
        let span = Span::from(&value.referenced);
        let before = self.file.text.get(..span.start).unwrap_or_default();
        before.rfind(key).map_or(span, |start| Span { start, len: key.len() })
    }

    pub(super) fn witness(&mut self, code: &'static str, span: Span, message: Bilingual, witness: Bilingual) {
        self.findings.push(Finding { code, file: self.file.clone(), span, message, witness: Some(witness) });
    }

    /// Reads when something is in force, or reports that it ends before it begins.
    pub(super) fn effective(&mut self, code: &'static str, raw: &Spanned<Effective>) -> Option<Effective> {
        if raw.value.to.is_some_and(|to| to < raw.value.from) {
            self.at(code, raw, "失效日早于生效日".into(), "it ends before it begins".into());
            return None;
        }
        Some(raw.value.clone())
    }

    /// Reads a duration, or reports it.
    pub(super) fn duration(&mut self, text: &Spanned<String>) -> Option<i64> {
        match parse_duration(&text.value) {
            Ok(seconds) => Some(seconds),
            Err(error) => {
                self.at("duration.syntax", text, error.zh, error.en);
                None
            }
        }
    }
}

/// Compiles the files of one pack. Their order does not matter.
pub fn compile(files: &[SourceFile]) -> Result<RuleBook, PackErrors> {
    let mut findings = Vec::new();
    let mut files: Vec<Arc<SourceFile>> = files.iter().cloned().map(Arc::new).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));

    let head = special::<RawPack>(&files, "pack.yaml", &mut findings)
        .and_then(|(f, raw)| compile_head(f, &raw, &mut findings));
    let taxonomy = special::<Taxonomy>(&files, "taxonomy.yaml", &mut findings);
    let calendar = special::<Calendar>(&files, "calendar.yaml", &mut findings);
    if let Some((file, taxonomy)) = &taxonomy {
        check_taxonomy(file, taxonomy, &mut findings);
    }
    if let Some((file, calendar)) = &calendar {
        check_calendar(file, calendar, &mut findings);
    }
    let (Some(head), Some((_, taxonomy)), Some((_, calendar))) = (head, taxonomy, calendar) else {
        return Err(PackErrors(findings));
    };

    let words = Words::new(&taxonomy);
    let mut sops: Vec<(Sop, Arc<SourceFile>, Span)> = Vec::new();
    for file in files.iter().filter(|f| !matches!(f.name.as_str(), "pack.yaml" | "taxonomy.yaml" | "calendar.yaml")) {
        let Some(raw) = parse::<RawSop>(file, &mut findings) else { continue };
        let span = Span::from(&raw.id.referenced);
        let mut sink = Sink { file: file.clone(), findings: &mut findings };
        if let Some(sop) = super::compile_sop::compile_sop(raw, &words, &mut sink) {
            sops.push((sop, file.clone(), span));
        }
    }
    cross_checks(&sops, &mut findings);
    if !findings.is_empty() {
        return Err(PackErrors(findings));
    }
    let sops = sops.into_iter().map(|(sop, ..)| sop).collect();
    RuleBook::seal(head, taxonomy, calendar, sops).map_err(|error| {
        let file = files
            .first()
            .cloned()
            .unwrap_or_else(|| Arc::new(SourceFile { name: "pack.yaml".into(), text: String::new() }));
        Sink { file, findings: &mut findings }.add(
            "pack.canonical",
            Span::default(),
            error.to_string(),
            error.to_string(),
        );
        PackErrors(findings)
    })
}

fn parse<T: DeserializeOwned>(file: &Arc<SourceFile>, findings: &mut Vec<Finding>) -> Option<T> {
    match serde_saphyr::from_str::<T>(&file.text) {
        Ok(value) => Some(value),
        Err(error) => {
            let span = shape::place(&error, &file.text);
            let at = file.text.get(span.start..span.start + span.len).unwrap_or_default();
            let message = shape::message(&error, at);
            Sink { file: file.clone(), findings }.add("yaml.shape", span, message.zh, message.en);
            None
        }
    }
}

fn special<T: DeserializeOwned>(
    files: &[Arc<SourceFile>],
    name: &str,
    findings: &mut Vec<Finding>,
) -> Option<(Arc<SourceFile>, T)> {
    let Some(file) = files.iter().find(|f| f.name == name) else {
        let file = Arc::new(SourceFile { name: name.to_owned(), text: String::new() });
        Sink { file, findings }.add(
            "pack.file_missing",
            Span::default(),
            format!("规则包缺少 {name}"),
            format!("the pack has no {name}"),
        );
        return None;
    };
    parse(file, findings).map(|value| (file.clone(), value))
}

fn compile_head(file: Arc<SourceFile>, raw: &RawPack, findings: &mut Vec<Finding>) -> Option<PackHead> {
    let mut sink = Sink { file, findings };
    let buyer = sink.duration(&raw.evidence_period.buyer);
    let seller = sink.duration(&raw.evidence_period.seller);
    let zone = raw.time_zone.value.parse::<chrono_tz::Tz>();
    if zone.is_err() {
        let name = &raw.time_zone.value;
        sink.at(
            "pack.time_zone",
            &raw.time_zone,
            format!("没有名为 `{name}` 的时区"),
            format!("there is no time zone `{name}`"),
        );
    }
    let code = &raw.currency.value;
    let currency_ok = code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
    if !currency_ok {
        sink.at(
            "pack.currency",
            &raw.currency,
            format!("`{code}` 不是三位大写货币代码"),
            format!("`{code}` is not a three-letter currency code"),
        );
    }
    let tiers = &raw.tiers.value;
    let tiers_ok = tiers.windows(2).all(|w| w[0] < w[1]) && tiers.last() == Some(&100) && tiers.iter().all(|t| *t > 0);
    if !tiers_ok {
        sink.at(
            "pack.tiers",
            &raw.tiers,
            "档位须为递增的正百分数，且最后一档为 100".into(),
            "tiers must be ascending positive percentages, the last one 100".into(),
        );
    }
    let effective = sink.effective("pack.effective", &raw.effective);
    if !currency_ok || !tiers_ok {
        return None;
    }
    Some(PackHead {
        id: raw.pack.value.clone(),
        version: raw.version,
        title: raw.title.clone(),
        currency: code.clone(),
        time_zone: zone.ok()?,
        buyer_evidence: buyer?,
        seller_evidence: seller?,
        tiers: tiers.clone(),
        effective: effective?,
    })
}

/// What can only be seen across SOPs: the same version twice, and two SOPs that claim the same dispute.
fn cross_checks(sops: &[(Sop, Arc<SourceFile>, Span)], findings: &mut Vec<Finding>) {
    let mut versions: BTreeMap<(&SopId, u32), &str> = BTreeMap::new();
    for (sop, file, span) in sops {
        if let Some(first) = versions.insert((&sop.id, sop.version), &file.name) {
            Sink { file: file.clone(), findings: &mut *findings }.add(
                "sop.version",
                *span,
                format!("{first} 也是 `{}` 的第 {} 版", sop.id, sop.version),
                format!("{first} is version {} of `{}` too", sop.version, sop.id),
            );
        }
    }
    let mut by_scene: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, (sop, ..)) in sops.iter().enumerate() {
        by_scene.entry(&sop.scene).or_default().push(i);
    }
    for group in by_scene.values() {
        for (n, &a) in group.iter().enumerate() {
            for &b in &group[n + 1..] {
                let ((x, first, _), (y, file, span)) = (&sops[a], &sops[b]);
                let from = x.effective.from.max(y.effective.from);
                let ends = [x.effective.to, y.effective.to].into_iter().flatten().min();
                let shared = x.goods.iter().find(|g| y.goods.contains(g));
                let (Some(goods), true) = (shared, ends.is_none_or(|to| from <= to)) else { continue };
                let mut sink = Sink { file: file.clone(), findings: &mut *findings };
                sink.witness(
                    "pack.overlap",
                    *span,
                    Bilingual {
                        zh: format!("与 {} 的 `{}` 适用范围重叠", first.name, x.id),
                        en: format!("it applies to the same disputes as `{}` of {}", x.id, first.name),
                    },
                    Bilingual {
                        zh: format!("场景 {}，商品类型 {goods}，{from} 开启的争议", x.scene),
                        en: format!("scene {}, goods {goods}, a dispute opened on {from}", x.scene),
                    },
                );
            }
        }
    }
}
