//! Rules on their way into force: kept as drafts, tried in shadow, approved by another than their maker, and rolled back.
//! What is in force says the store; `live` follows it.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::auth::{Caller, DraftRules, Guarded, PublishRules, ReadPublications};
use super::super::error::{ApiError, internal, shown};
use super::super::state::AppState;
use super::body::json;
use super::packs::{Files, clean, pack_name};
use super::page::{Page, PageQuery};
use crate::record::canonical;
use crate::replay::keep_book;
use crate::store::{Hash, NewPublication, NewRecord, PublicationRow, Step, StepRow, Stepped};

/// The longest note, in characters.
const LONGEST_NOTE: usize = 500;

/// A pack to draft.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftBody {
    /// The text of each file by its name, as in the pack's folder.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    files: Files,
    /// Why, for whoever is to approve it; nobody's personal data.
    #[schema(max_length = 500, pattern = r"^[^\x00]*$")]
    note: Option<String>,
}

/// A publication.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Publication {
    /// Its id.
    #[schema(pattern = "^pub_[0-9a-f]{32}$")]
    id: String,
    /// `draft`, `shadow`, `live` or `retired`.
    #[schema(pattern = "^(draft|shadow|live|retired)$")]
    status: String,
    /// Pack and version.
    pack: String,
    /// Hash of the compiled rules, as decisions pin it.
    rulebook: String,
    /// What its maker says of it.
    note: Option<String>,
    /// The key that made it.
    maker: String,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl From<PublicationRow> for Publication {
    fn from(row: PublicationRow) -> Self {
        Self {
            id: row.id,
            status: row.status,
            pack: row.pack,
            rulebook: hex::encode(row.rulebook),
            note: row.note,
            maker: row.maker,
            created_at: row.created_at,
        }
    }
}

/// A publication with the steps it took.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PublicationSteps {
    #[serde(flatten)]
    publication: Publication,
    /// The steps after the draft, in their order.
    steps: Vec<StepTaken>,
}

/// A step.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct StepTaken {
    /// `shadow`, `live`, or `rollback` when a later one was taken back.
    step: String,
    /// The key that took it.
    actor: String,
    /// When.
    at: DateTime<Utc>,
}

impl From<StepRow> for StepTaken {
    fn from(row: StepRow) -> Self {
        Self { step: row.step, actor: row.actor, at: row.created_at }
    }
}

/// Draft a pack
///
/// The pack is checked, compiled and kept; nothing is decided by it yet. With any finding it is refused.
#[utoipa::path(
    post, path = "/v1/sops/publications", tag = "sops", operation_id = "createPublication",
    request_body(content = DraftBody),
    responses(
        (
            status = 201, description = "Kept as a draft", body = Publication,
            links(
                ("getPublication" = (operation_id = "getPublication", parameters(("id" = "$response.body#/id")))),
                ("shadowPublication" = (operation_id = "shadowPublication", parameters(("id" = "$response.body#/id")))),
                ("getShadow" = (operation_id = "getShadow", parameters(("id" = "$response.body#/id")))),
                ("approvePublication" = (operation_id = "approvePublication", parameters(("id" = "$response.body#/id")))),
            ),
        ),
        (status = 422, description = "The pack has findings: `invalid_pack`", content_type = "application/problem+json", body = super::super::openapi::Problem),
    ),
)]
pub(super) async fn create(
    guard: Guarded<DraftRules>,
    state: web::Data<AppState>,
    body: web::Bytes,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let draft: DraftBody = json(&request, &body)?;
    if let Some(note) = draft.note.as_ref().filter(|note| note.chars().count() > LONGEST_NOTE || note.contains('\0')) {
        let (zh, en) = ("至多 500 个字符，不含 U+0000", "has at most 500 characters and no U+0000");
        return Err(ApiError::parameter("note", &shown(note), zh, en));
    }
    let book = state.heavy(move || clean(&draft.files.0)).await??;
    // What cannot be decided by must not wait for its approval to say so.
    state.live.under(book.clone()).await.map_err(internal("a checked pack makes no pipeline"))?;
    keep_book(&state.store, &book).await.map_err(internal("a rule book cannot be kept"))?;
    let new = NewPublication {
        id: format!("pub_{:032x}", rand::random::<u128>()),
        rulebook: book.hash().0,
        pack: pack_name(&book),
        note: draft.note,
        maker: guard.caller.key_id.clone(),
    };
    let said = json!({ "pack": new.pack, "note": new.note });
    let record = record(&guard.caller, "draft", new.id.clone(), Some(&new.id), &new.rulebook, said);
    let records = state.store.tenant(&guard.caller.tenant);
    records.put_publication(&new, &record).await?;
    let (kept, _) = records.publication(&new.id).await?.ok_or(ApiError::Internal)?;
    let location = format!("/v1/sops/publications/{}", new.id);
    Ok(HttpResponse::Created().insert_header(("location", location)).json(Publication::from(kept)))
}

/// The record of a step, for the ledger.
fn record(
    caller: &Caller,
    step: &str,
    id: String,
    publication: Option<&str>,
    rulebook: &Hash,
    details: Value,
) -> NewRecord {
    let body = canonical(&json!({
        "format": "praetor.publication/1", "id": id, "step": step, "publication": publication,
        "rulebook": hex::encode(rulebook), "details": details, "actor": caller.actor().to_json(),
    }));
    NewRecord { id, subject: None, body }
}

/// Writes the record of a step that is being taken.
fn of_step<'a>(caller: &'a Caller, name: &'a str) -> impl Fn(&Step) -> NewRecord + 'a {
    move |step| {
        let id = format!("step_{:032x}", rand::random::<u128>());
        let before = json!({ "before": hex::encode(step.before) });
        record(caller, name, id, step.publication.as_deref(), &step.rulebook, before)
    }
}

/// List publications, newest first
#[utoipa::path(
    get, path = "/v1/sops/publications", tag = "sops", operation_id = "listPublications",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 200, 50 by default", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[0-7][0-9a-f]{15}$"),
    ),
    responses((status = 200, description = "A page", body = Page<Publication>)),
)]
pub(super) async fn list(
    guard: Guarded<ReadPublications>,
    state: web::Data<AppState>,
    query: web::Query<PageQuery>,
) -> Result<web::Json<Page<Publication>>, ApiError> {
    let (limit, before) = query.bounds()?;
    let rows = state.store.tenant(&guard.caller.tenant).publications(before, limit + 1).await?;
    Ok(web::Json(Page::of(rows, limit, |row| row.seq).map(Publication::from)))
}

/// Read a publication
#[utoipa::path(
    get, path = "/v1/sops/publications/{id}", tag = "sops", operation_id = "getPublication",
    params(("id" = String, Path, description = "The publication's id", pattern = "^pub_[0-9a-f]{32}$")),
    responses((status = 200, description = "The publication and its steps", body = PublicationSteps)),
)]
pub(super) async fn show(
    guard: Guarded<ReadPublications>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<PublicationSteps>, ApiError> {
    found(&state, &guard.caller, &id).await.map(web::Json)
}

async fn found(state: &AppState, caller: &Caller, id: &str) -> Result<PublicationSteps, ApiError> {
    let (row, steps) = state.store.tenant(&caller.tenant).publication(id).await?.ok_or(ApiError::NotFound)?;
    Ok(PublicationSteps { publication: row.into(), steps: steps.into_iter().map(StepTaken::from).collect() })
}

/// Try a draft in shadow
///
/// New decisions are made under the draft as well, beside what is in force, and compared. One draft of a tenant is in
/// shadow at a time: another one goes back to being a draft.
#[utoipa::path(
    post, path = "/v1/sops/publications/{id}/shadow", tag = "sops", operation_id = "shadowPublication",
    params(("id" = String, Path, description = "The publication's id", pattern = "^pub_[0-9a-f]{32}$")),
    responses((status = 200, description = "In shadow", body = PublicationSteps)),
)]
pub(super) async fn shadow(
    guard: Guarded<PublishRules>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<PublicationSteps>, ApiError> {
    let (caller, base) = (&guard.caller, state.live.base());
    let records = state.store.tenant(&caller.tenant);
    let stepped = records.to_shadow(&id, &caller.key_id, base, of_step(caller, "shadow")).await?;
    taken(&state, stepped).await?;
    found(&state, caller, &id).await.map(web::Json)
}

/// Bring a publication into force
///
/// Only what is in shadow, and only with another key than the one that drafted it. From then on new decisions of the tenant
/// are made by it, in every process within a second; what is under way ends under the rules it began with.
#[utoipa::path(
    post, path = "/v1/sops/publications/{id}/approve", tag = "sops", operation_id = "approvePublication",
    params(("id" = String, Path, description = "The publication's id", pattern = "^pub_[0-9a-f]{32}$")),
    responses((status = 200, description = "In force", body = PublicationSteps)),
)]
pub(super) async fn approve(
    guard: Guarded<PublishRules>,
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<web::Json<PublicationSteps>, ApiError> {
    let (caller, base) = (&guard.caller, state.live.base());
    let records = state.store.tenant(&caller.tenant);
    // The book that a tenant leaves must be there to come back to.
    if let Some(pipeline) = state.live.of(&caller.tenant) {
        keep_book(&state.store, pipeline.book()).await.map_err(internal("a rule book cannot be kept"))?;
    }
    let stepped = records.to_live(&id, &caller.key_id, base, of_step(caller, "live")).await?;
    taken(&state, stepped).await?;
    found(&state, caller, &id).await.map(web::Json)
}

/// What is in force after a rollback.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct RolledBack {
    /// The publication in force again; null for the rules that the tenant began with.
    publication: Option<String>,
    /// Hash of the rules in force again.
    rulebook: String,
    /// Hash of the rules that were in force.
    before: String,
}

/// Take the last publication back
///
/// What was in force before it is in force again. One key is enough: those rules were approved once.
#[utoipa::path(
    post, path = "/v1/sops/rollback", tag = "sops", operation_id = "rollBack",
    responses((status = 200, description = "What is in force again", body = RolledBack)),
)]
pub(super) async fn rollback(
    guard: Guarded<PublishRules>,
    state: web::Data<AppState>,
) -> Result<web::Json<RolledBack>, ApiError> {
    let caller = &guard.caller;
    let records = state.store.tenant(&caller.tenant);
    let step = taken(&state, records.roll_back(&caller.key_id, of_step(caller, "rollback")).await?).await?;
    Ok(web::Json(RolledBack {
        publication: step.publication,
        rulebook: hex::encode(step.rulebook),
        before: hex::encode(step.before),
    }))
}

/// The step, after this process has followed it; or why it was not taken.
async fn taken(state: &AppState, stepped: Stepped) -> Result<Step, ApiError> {
    let step = match stepped {
        Stepped::Taken(step) => step,
        Stepped::Unknown => return Err(ApiError::NotFound),
        Stepped::SameMaker => return Err(ApiError::SameMaker),
        Stepped::Not(status) => {
            let (zh, en) = (format!("该发布的状态是 {status}"), format!("the publication's status is {status}"));
            return Err(ApiError::conflict(zh, en));
        }
        Stepped::Nothing => {
            return Err(ApiError::conflict("没有可以退回的规则", "there are no rules to go back to"));
        }
    };
    if let Err(error) = state.live.refresh().await {
        tracing::warn!(%error, "a step is taken and will be followed later");
    }
    Ok(step)
}

/// What a draft in shadow would have made of new decisions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ShadowReport {
    /// Cases decided under both.
    cases: i64,
    /// Those with another remedy or sum.
    remedies_differ: i64,
    /// Those that would go to a person and did not, or the other way round, certificates aside.
    outcomes_differ: i64,
    /// Cases that came out differently, newest first.
    differences: Page<ShadowDifference>,
}

/// A case that came out differently.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ShadowDifference {
    #[serde(skip)]
    seq: i64,
    /// The decision in force.
    decision_id: String,
    /// Outcome, remedy, SOP, row and sum in fen: in force, and under the draft.
    change: Value,
}

/// See what a draft in shadow changes
#[utoipa::path(
    get, path = "/v1/sops/publications/{id}/shadow", tag = "sops", operation_id = "getShadow",
    params(
        ("id" = String, Path, description = "The publication's id", pattern = "^pub_[0-9a-f]{32}$"),
        ("limit" = Option<u16>, Query, description = "Differences listed: 1 to 200, 50 by default", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[0-7][0-9a-f]{15}$"),
    ),
    responses((status = 200, description = "Sums, and the cases that differ", body = ShadowReport)),
)]
pub(super) async fn report(
    guard: Guarded<ReadPublications>,
    state: web::Data<AppState>,
    id: web::Path<String>,
    query: web::Query<PageQuery>,
) -> Result<web::Json<ShadowReport>, ApiError> {
    let (limit, before) = query.bounds()?;
    let records = state.store.tenant(&guard.caller.tenant);
    if records.publication(&id).await?.is_none() {
        return Err(ApiError::NotFound);
    }
    let sums = records.shadow_sums(&id).await?;
    let mut differences = Vec::new();
    for row in records.shadow_differences(&id, before, limit + 1).await? {
        let change = serde_json::from_str(&row.change).map_err(internal("a comparison cannot be read"))?;
        differences.push(ShadowDifference { seq: row.seq, decision_id: row.decision_id, change });
    }
    Ok(web::Json(ShadowReport {
        cases: sums.cases,
        remedies_differ: sums.remedies,
        outcomes_differ: sums.outcomes,
        differences: Page::of(differences, limit, |row| row.seq),
    }))
}
