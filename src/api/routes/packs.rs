//! Packs that are looked at before they are published: what is wrong with one, and what it would change. Nothing here keeps
//! anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use actix_web::{HttpRequest, web};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::super::auth::{CheckRules, Guarded};
use super::super::error::{ApiError, Fault, internal, shown};
use super::super::middleware::lang_of;
use super::super::state::AppState;
use super::body::json;
use crate::lang::Lang;
use crate::replay::{Packs, Record, Transitions};
use crate::sop::{Changed, PackErrors, Region, RuleBook, SopChange, SourceFile, compile, diff};
use crate::store::{DecisionFilter, StoreError, TenantStore};

/// The longest body with a pack, in bytes after decompression.
pub(super) const MAX_PACK: usize = 8 << 20;

/// Files of a pack at most.
pub(in super::super) const MAX_FILES: usize = 512;

/// The longest name of a file, in bytes.
const LONGEST_FILE: usize = 100;

/// A pack's files, each once.
#[derive(Debug)]
pub(super) struct Files(pub(super) Vec<SourceFile>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Files;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of file names and texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Files, A::Error> {
                let (mut files, mut names) = (Vec::new(), BTreeSet::new());
                while let Some((name, text)) = map.next_entry::<String, String>()? {
                    if files.len() == MAX_FILES {
                        return Err(A::Error::custom(format_args!("a pack has at most {MAX_FILES} files")));
                    }
                    if !is_name(&name) {
                        let name = shown(&name);
                        return Err(A::Error::custom(format_args!(
                            "`{name}` is no file of a pack: letters, digits, `_`, `-`, `.` and `@`, ending in .yaml, at most {LONGEST_FILE}"
                        )));
                    }
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format_args!("the file `{name}` is there twice")));
                    }
                    files.push(SourceFile { name, text });
                }
                Ok(Files(files))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// True for a name that a file of a pack may have.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.@".contains(&b);
    name.len() <= LONGEST_FILE && name.bytes().all(plain) && name.strip_suffix(".yaml").is_some_and(|n| !n.is_empty())
}

/// A pack.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PackBody {
    /// The text of each file by its name, as in the pack's folder.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    files: Files,
}

/// What a check found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Checked {
    /// Whether the pack may be published: no finding at all.
    clean: bool,
    /// Pack and version, if it compiles.
    pack: Option<String>,
    /// Hash of the compiled rules, if it compiles.
    rulebook: Option<String>,
    /// SOPs of the compiled rules.
    sops: usize,
    /// Rows of their decision tables.
    rows: usize,
    /// Scenarios that were run.
    scenarios: usize,
    /// What is wrong, at most 500.
    findings: Vec<Found>,
}

/// Findings that a check lists.
const LISTED: usize = 500;

/// One thing that is wrong with a pack.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Found {
    /// A stable code, such as `table.gap`.
    code: &'static str,
    /// The file; null for a scenario, which has its SOP.
    file: Option<String>,
    /// The line, from 1.
    line: Option<usize>,
    /// The column in characters, from 1.
    column: Option<usize>,
    /// The SOP of a scenario that comes out otherwise than its author expects.
    sop: Option<String>,
    /// What is wrong, after `Accept-Language`.
    message: String,
    /// A case that shows it.
    witness: Option<String>,
}

/// A scenario that comes out otherwise than its author expects.
struct Failed {
    sop: String,
    name: String,
    differences: String,
}

/// A pack that compiles, or what is wrong with it; scenarios that fail are wrong too.
fn prove(files: &[SourceFile]) -> Result<(RuleBook, Vec<Failed>), PackErrors> {
    let book = compile(files)?;
    let mut failed = Vec::new();
    for sop in &book.sops {
        for failure in sop.run_scenarios(&book.head.tiers) {
            let differences = failure.differences.iter().map(|(field, want, got)| format!("{field}: {want} / {got}"));
            let differences = differences.collect::<Vec<_>>().join("; ");
            failed.push(Failed { sop: sop.id.0.clone(), name: failure.name, differences });
        }
    }
    Ok((book, failed))
}

/// The code of a scenario that fails.
const SCENARIO: &str = "scenario.failed";

/// What a failed scenario says, Chinese and English.
fn scenario(Failed { name, differences, .. }: &Failed) -> (String, String) {
    (
        format!("情景“{name}”不符（字段：期望 / 得到）：{differences}"),
        format!("the scenario “{name}” comes out otherwise (field: expected / found): {differences}"),
    )
}

/// A pack that may be published, or the refusal.
pub(super) fn clean(files: &[SourceFile]) -> Result<RuleBook, ApiError> {
    let faults: Vec<Fault> = match prove(files) {
        Ok((book, failed)) if failed.is_empty() => return Ok(book),
        Ok((_, failed)) => failed
            .into_iter()
            .map(|failed| Fault { message: scenario(&failed), place: failed.sop, code: SCENARIO })
            .collect(),
        Err(errors) => {
            let each = errors.0.into_iter().map(|finding| {
                let (line, column) = finding.line_column();
                let place = format!("{}:{line}:{column}", finding.file.name);
                Fault { place, code: finding.code, message: (finding.message.zh, finding.message.en) }
            });
            each.collect()
        }
    };
    Err(ApiError::Pack(faults))
}

impl Checked {
    fn of(files: &[SourceFile], lang: Lang) -> Self {
        match prove(files) {
            Ok((book, failed)) => {
                let finding = |failed: Failed| {
                    let (zh, en) = scenario(&failed);
                    Found { sop: Some(failed.sop), ..Found::said(SCENARIO, lang.pick(zh, en)) }
                };
                Self {
                    clean: failed.is_empty(),
                    pack: Some(pack_name(&book)),
                    rulebook: Some(book.hash().to_string()),
                    sops: book.sops.len(),
                    rows: book.sops.iter().map(|sop| sop.rows.len()).sum(),
                    scenarios: book.sops.iter().map(|sop| sop.tests.len()).sum(),
                    findings: failed.into_iter().take(LISTED).map(finding).collect(),
                }
            }
            Err(errors) => {
                let finding = |f: crate::sop::Finding| {
                    let (line, column) = f.line_column();
                    Found {
                        file: Some(f.file.name.clone()),
                        line: Some(line),
                        column: Some(column),
                        witness: f.witness.map(|w| lang.pick(w.zh, w.en)),
                        ..Found::said(f.code, lang.pick(f.message.zh, f.message.en))
                    }
                };
                let findings = errors.0.into_iter().take(LISTED).map(finding).collect();
                Self { clean: false, pack: None, rulebook: None, sops: 0, rows: 0, scenarios: 0, findings }
            }
        }
    }
}

impl Found {
    fn said(code: &'static str, message: String) -> Self {
        Self { code, file: None, line: None, column: None, sop: None, message, witness: None }
    }
}

/// Pack and version.
pub(super) fn pack_name(book: &RuleBook) -> String {
    format!("{}@{}", book.head.id, book.head.version)
}

/// Check a pack
///
/// Proves the pack as it would be before publication: gaps, overlaps, unreachable rows, broken references, types, scenarios.
/// Nothing is kept.
#[utoipa::path(
    post, path = "/v1/sops/check", tag = "sops", operation_id = "checkPack",
    params(("Accept-Language" = Option<String>, Header, description = "`zh` (default) or `en`")),
    request_body(content = PackBody),
    responses((status = 200, description = "What was found; a pack that is refused is an answer, not an error", body = Checked)),
)]
pub(super) async fn check(
    _guard: Guarded<CheckRules>,
    state: web::Data<AppState>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<web::Json<Checked>, ApiError> {
    let pack: PackBody = json(&request, &body)?;
    let lang = lang_of(&request);
    Ok(web::Json(state.heavy(move || Checked::of(&pack.files.0, lang)).await?))
}

/// A pack to compare.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffBody {
    /// The text of each file by its name, as in the pack's folder.
    #[schema(value_type = BTreeMap<String, String>)]
    files: Files,
    /// How many of the tenant's latest decisions are made again under both; none by default.
    #[schema(minimum = 0, maximum = 50)]
    cases: Option<u16>,
}

/// Latest decisions that a comparison makes again at most.
const MOST_CASES: u16 = 50;

/// What a pack would change of the rules in force.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Differences {
    /// Hash of the rules in force.
    old: String,
    /// Hash of the compiled pack.
    new: String,
    /// Every SOP's version that differs.
    sops: Vec<SopDiffers>,
    /// Sums over the latest decisions, if any were asked for: outcomes and remedies before and after.
    transitions: Option<Value>,
    /// Those of them that come out otherwise: outcome, remedy, SOP, row and sum in fen, before and after, and where they part.
    cases: Vec<Value>,
}

/// An SOP's version that differs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SopDiffers {
    /// Which SOP.
    id: String,
    /// Which version.
    version: u32,
    /// `added`, `removed` or `changed`.
    change: &'static str,
    /// For `changed`: the parts that differ, as a pack names them; of the table, its rows from 1.
    parts: Vec<String>,
    /// Where its table orders something else than before, at most 100; for a new version, than the version before it.
    regions: Vec<RegionDiffers>,
}

/// A region of facts for which the table has another row.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct RegionDiffers {
    /// The facts that bound it, as a pack writes them; a fact that is not named may have any value.
    when: BTreeMap<String, String>,
    /// The rows, from 1: before and after.
    rows: [usize; 2],
    /// The remedies: before and after.
    remedies: [String; 2],
}

impl From<SopChange> for SopDiffers {
    fn from(of: SopChange) -> Self {
        let (change, parts) = match of.change {
            Changed::Added => ("added", Vec::new()),
            Changed::Removed => ("removed", Vec::new()),
            Changed::Parts(parts) => ("changed", parts),
        };
        let region = |r: Region| RegionDiffers { when: r.when, rows: r.rows, remedies: r.remedies };
        let regions = of.regions.into_iter().map(region).collect();
        Self { id: of.id.0, version: of.version, change, parts, regions }
    }
}

/// Compare a pack with the rules in force
///
/// What it changes by itself, and what of the tenant's latest decisions it would have made otherwise. Both sides are decided
/// without certificates: what is certain counts as automatic. Nothing is kept.
#[utoipa::path(
    post, path = "/v1/sops/diff", tag = "sops", operation_id = "diffPack",
    request_body(content = DiffBody),
    responses(
        (status = 200, description = "What differs", body = Differences),
        (status = 422, description = "The pack has findings: `invalid_pack`", content_type = "application/problem+json", body = super::super::openapi::Problem),
    ),
)]
pub(super) async fn differences(
    guard: Guarded<CheckRules>,
    state: web::Data<AppState>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<web::Json<Differences>, ApiError> {
    let wanted: DiffBody = json(&request, &body)?;
    let cases = wanted.cases.unwrap_or(0);
    if cases > MOST_CASES {
        let (zh, en) = (format!("至多 {MOST_CASES}"), format!("is at most {MOST_CASES}"));
        return Err(ApiError::parameter("cases", &cases.to_string(), zh, en));
    }
    let tenant = &guard.caller.tenant;
    let live = state.pipeline(tenant)?;
    let records = latest(&state.store.tenant(tenant), cases).await?;
    let compared = state.heavy(move || {
        let new = clean(&wanted.files.0)?;
        let changes = diff(live.book(), &new);
        let (old_hash, new_hash) = (live.book().hash().to_string(), new.hash().to_string());
        let (mut transitions, mut changed) = (None, Vec::new());
        if cases > 0 {
            let failed = internal("a comparison failed");
            let pipeline = |book: RuleBook| live.under(book).map_err(internal("rules make no pipeline"));
            let packs = Packs::between(pipeline(live.book().clone())?, pipeline(new)?);
            let mut sums = Transitions::default();
            for one in packs.records(&records).map_err(failed)? {
                sums.add(&one.change, one.divergence.as_ref());
                if one.change.matters() {
                    changed.push(json!(one));
                }
            }
            transitions = Some(json!(sums));
        }
        let sops = changes.into_iter().map(SopDiffers::from).collect();
        Ok::<_, ApiError>(Differences { old: old_hash, new: new_hash, sops, transitions, cases: changed })
    });
    Ok(web::Json(compared.await??))
}

/// The latest decisions with their cases.
async fn latest(records: &TenantStore, count: u16) -> Result<Vec<Record>, StoreError> {
    let mut out = Vec::with_capacity(usize::from(count));
    for row in records.decisions(&DecisionFilter::default(), count).await? {
        if let Some(stored) = records.decision(&row.id).await? {
            out.push(Record::read(records, stored).await?);
        }
    }
    Ok(out)
}
