//! Recorded decisions, asked whether they hold: `praetor replay` for one decision, over the models that run here.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::{HttpRequest, web};
use serde::Deserialize;
use serde_json::Value;

use super::super::auth::{Guarded, ReplayDecisions};
use super::super::error::{ApiError, internal};
use super::super::state::AppState;
use super::body::json;
use crate::judge::Probability;
use crate::pipeline::PipelineError;
use crate::replay::{CaseEdit, Changes, Level, Prover, Record, ReplayError, Replayed, Rerun, kept_book};
use crate::sop::RuleBook;
use crate::store::TenantId;

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReplayLevel {
    /// The record is whole and proven included.
    R0,
    /// Deciding again with what was pinned gives the same bytes.
    R1,
    /// Where it does not: the node, the cause and the distance.
    R2,
    /// What other rules, thresholds or facts would have given.
    R3,
}

/// Edits of one kind at most.
const MOST_EDITS: usize = 20;

/// The longest edit, in characters.
const LONGEST_EDIT: usize = 500;

/// What to replay.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayRequest {
    /// How much is asked; `r1` by default, with changes `r3`.
    level: Option<ReplayLevel>,
    /// Other rules: `live` for those in force now, or the id of a publication. For `r2` and `r3`.
    #[schema(pattern = "^(live|pub_[0-9a-f]{32})$")]
    rules: Option<String>,
    /// Other thresholds of certainty, by name: scene, goods_type, first_report, evidence, measure. For `r3`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, f64>)]
    thresholds: BTreeMap<String, Probability>,
    /// Other facts, such as `timeliness=expired`. For `r3`.
    #[serde(default)]
    #[schema(max_items = 20)]
    set: Vec<String>,
    /// Another case file, such as `$.order.total=12.00`. For `r3`.
    #[serde(default)]
    #[schema(max_items = 20)]
    set_case: Vec<String>,
}

impl ReplayRequest {
    /// The level asked for, or the least that the changes need.
    fn level(&self) -> Result<Level, ApiError> {
        let facts = !self.thresholds.is_empty() || !self.set.is_empty() || !self.set_case.is_empty();
        let other = self.rules.is_some();
        let level = self.level.unwrap_or(if facts || other { ReplayLevel::R3 } else { ReplayLevel::R1 });
        let wrong =
            |zh: &str, en: &str| Err(ApiError::parameter("level", &format!("{level:?}").to_lowercase(), zh, en));
        match level {
            ReplayLevel::R0 | ReplayLevel::R1 if facts || other => {
                wrong("r0 与 r1 只用原先固定的内容", "r0 and r1 take nothing but what is pinned")
            }
            ReplayLevel::R2 if facts => wrong("r2 只接受 rules", "r2 takes rules and nothing else"),
            ReplayLevel::R3 if !facts && !other => wrong(
                "r3 需要改动：rules、thresholds、set 或 set_case",
                "r3 needs something else: rules, thresholds, set or set_case",
            ),
            ReplayLevel::R0 => Ok(Level::R0),
            ReplayLevel::R1 => Ok(Level::R1),
            ReplayLevel::R2 => Ok(Level::R2),
            ReplayLevel::R3 => Ok(Level::R3),
        }
    }
}

/// Reads edits of one kind.
fn edits<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &'static str,
    texts: &[String],
) -> Result<Vec<T>, ApiError> {
    if texts.len() > MOST_EDITS || texts.iter().any(|text| text.chars().count() > LONGEST_EDIT) {
        let (zh, en) = ("至多 20 条，每条至多 500 个字符", "has at most 20 edits of at most 500 characters");
        return Err(ApiError::parameter(name, "", zh, en));
    }
    let read =
        |text: &String| text.parse().map_err(|e: T::Err| ApiError::parameter(name, text, e.to_string(), e.to_string()));
    texts.iter().map(read).collect()
}

/// Replay a decision
///
/// Records nothing. A decision of other models than those that run here is `unavailable`: `praetor replay` lays its models out.
#[utoipa::path(
    post, path = "/v1/decisions/{id}/replay", tag = "decisions", operation_id = "replayDecision",
    params(("id" = String, Path, description = "The decision's id", pattern = "^dec_[0-9a-f]{32}$")),
    request_body(content = ReplayRequest),
    responses((status = 200, description = "Whether it holds: `agrees`, `status` (whole, identical, same_findings, diverged, damaged, unavailable), `problems`, and where it parts", content_type = "application/json", body = serde_json::Value)),
)]
pub(super) async fn replay(
    guard: Guarded<ReplayDecisions>,
    state: web::Data<AppState>,
    id: web::Path<String>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<web::Json<Value>, ApiError> {
    let wanted: ReplayRequest = json(&request, &body)?;
    let level = wanted.level()?;
    let tenant = guard.caller.tenant.clone();
    let changes = Changes {
        thresholds: wanted.thresholds.clone().into_iter().collect(),
        facts: edits("set", &wanted.set)?,
        case: edits::<CaseEdit>("set_case", &wanted.set_case)?,
        book: match &wanted.rules {
            Some(rules) => Some(Arc::new(book(&state, &tenant, rules).await?)),
            None => None,
        },
        ..Changes::default()
    };
    let records = state.store.tenant(&tenant);
    let stored = records.decision(&id).await?.ok_or(ApiError::NotFound)?;
    let record = Record::read(&records, stored).await?;
    let (running, store) = (state.pipeline(&tenant)?, Arc::clone(&state.store));
    let runtime = tokio::runtime::Handle::current();
    let edited = !wanted.set.is_empty();
    let work = move || {
        let mut rerun = Rerun::over(&store, running, level, changes);
        if level == Level::R0 {
            rerun = rerun.proving(Prover::new(store.tenant(&tenant), store.log(), store.log_keys()?));
        }
        runtime.block_on(rerun.batch(std::slice::from_ref(&record)))
    };
    let replayed: Replayed = match state.heavy(work).await? {
        Ok(mut replayed) => replayed.pop().ok_or(ApiError::Internal)?,
        Err(ReplayError::Store(error)) => return Err(error.into()),
        Err(error @ ReplayError::NoThreshold(_)) => {
            return Err(ApiError::parameter("thresholds", "", "没有这样的阈值", error.to_string()));
        }
        Err(ReplayError::Pipeline(error @ PipelineError::Node { .. })) if edited => {
            return Err(ApiError::parameter("set", "", "这些事实无法代入", error.to_string()));
        }
        Err(error) => return Err(internal("a replay failed")(error)),
    };
    serde_json::to_value(&replayed).map(web::Json).map_err(internal("a replay has no JSON form"))
}

/// The rules that are named.
async fn book(state: &AppState, tenant: &TenantId, name: &str) -> Result<RuleBook, ApiError> {
    if name == "live" {
        return Ok(state.pipeline(tenant)?.book().clone());
    }
    let plain = name.strip_prefix("pub_").is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    if !plain {
        return Err(ApiError::parameter("rules", name, "应为 live 或发布的编号", "is live or the id of a publication"));
    }
    let (publication, _) = state.store.tenant(tenant).publication(name).await?.ok_or(ApiError::NotFound)?;
    let kept = kept_book(&state.store, &hex::encode(publication.rulebook)).await;
    kept.map_err(internal("the rules of a publication cannot be read"))
}
