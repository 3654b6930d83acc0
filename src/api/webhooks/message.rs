//! What a receiver is told: which event, when, and the ids it needs to read more with a key of its own.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::error::ApiError;
use crate::store::{BatchEnd, LedgerEvent, RecordKind, TenantStore};

/// Something that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(in super::super) enum Event {
    /// A decision is recorded and has its place in the ledger.
    #[serde(rename = "decision.recorded")]
    DecisionRecorded,
    /// A person has decided about a decision.
    #[serde(rename = "review.resolved")]
    ReviewResolved,
    /// Somebody appeals against a decision.
    #[serde(rename = "appeal.opened")]
    AppealOpened,
    /// A batch has ended, in whatever way.
    #[serde(rename = "batch.finished")]
    BatchFinished,
}

impl Event {
    /// Every event.
    pub(in super::super) const ALL: [Event; 4] =
        [Self::DecisionRecorded, Self::ReviewResolved, Self::AppealOpened, Self::BatchFinished];

    /// The name.
    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            Self::DecisionRecorded => "decision.recorded",
            Self::ReviewResolved => "review.resolved",
            Self::AppealOpened => "appeal.opened",
            Self::BatchFinished => "batch.finished",
        }
    }

    /// The kind of record in the ledger, for what has a leaf.
    pub(super) fn kind(self) -> Option<RecordKind> {
        match self {
            Self::DecisionRecorded => Some(RecordKind::Decision),
            Self::ReviewResolved => Some(RecordKind::Review),
            Self::AppealOpened => Some(RecordKind::Appeal),
            Self::BatchFinished => None,
        }
    }
}

impl FromStr for Event {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|event| event.as_str() == text).ok_or(())
    }
}

/// A message, the same for every attempt to deliver it.
#[derive(Debug, Clone)]
pub(in super::super) struct Message {
    /// Its id.
    pub id: String,
    /// `ledger`, `batch` or `test`.
    pub stream: &'static str,
    /// Where in that stream.
    pub position: i64,
    /// The event's name.
    pub event: &'static str,
    /// The record it is about.
    pub record_id: String,
    /// The JSON text.
    pub body: String,
}

impl Message {
    /// A message that tells of nothing, to see whether the receiver takes it.
    pub(in super::super) fn test(webhook: &str) -> Self {
        let id = format!("msg_{:032x}", rand::random::<u128>());
        let body = body("webhook.test", Utc::now(), &json!({ "webhook_id": webhook }));
        Self { id, stream: "test", position: 0, event: "webhook.test", record_id: webhook.to_owned(), body }
    }

    /// The message of something that has its place in the ledger; None for what nobody is told of.
    pub(super) async fn of(
        records: &TenantStore,
        webhook: &str,
        found: &LedgerEvent,
    ) -> Result<Option<Self>, ApiError> {
        let of_kind = |event: &Event| event.kind().is_some_and(|kind| kind.as_str() == found.kind);
        let Some(event) = Event::ALL.into_iter().find(of_kind) else { return Ok(None) };
        let mut data = Map::new();
        let mut tell = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                data.insert(name.to_owned(), value.into());
            }
        };
        match event {
            Event::DecisionRecorded => {
                tell("decision_id", Some(&found.record_id));
                tell("ticket_id", found.ticket_id.as_deref());
                tell("outcome", found.outcome.as_deref());
            }
            _ => {
                let id = if event == Event::AppealOpened { "appeal_id" } else { "review_id" };
                tell(id, Some(&found.record_id));
                let kind = event.kind().unwrap_or(RecordKind::Review);
                let record = records.get_record(kind, &found.record_id).await?;
                // Of what was erased since only the id is left to tell.
                let kept: Option<Value> = record.and_then(|r| serde_json::from_slice(r.body.kept().ok()?).ok());
                if kept.as_ref().is_some_and(|body| body["final"] == false) {
                    // Another reviewer has still to be heard.
                    return Ok(None);
                }
                tell("decision_id", kept.as_ref().and_then(|body| body["decision_id"].as_str()));
            }
        }
        data.insert("leaf_index".to_owned(), found.position.into());
        Ok(Some(Self {
            id: id(webhook, "ledger", found.position),
            stream: "ledger",
            position: found.position,
            event: event.as_str(),
            record_id: found.record_id.clone(),
            body: body(event.as_str(), found.recorded_at, &Value::Object(data)),
        }))
    }

    /// The message of a batch that has ended.
    pub(super) fn of_batch(webhook: &str, end: &BatchEnd) -> Self {
        let event = Event::BatchFinished.as_str();
        Self {
            id: id(webhook, "batch", end.cursor.seq),
            stream: "batch",
            position: end.cursor.seq,
            event,
            record_id: end.batch.clone(),
            body: body(event, end.at, &json!({ "batch_id": end.batch, "state": end.state })),
        }
    }
}

fn id(webhook: &str, stream: &str, position: i64) -> String {
    let mut hash = Sha256::digest(format!("{webhook}/{stream}/{position}")).to_vec();
    hash.truncate(16);
    format!("msg_{}", hex::encode(hash))
}

fn body(event: &str, at: DateTime<Utc>, data: &Value) -> String {
    json!({ "type": event, "timestamp": at.to_rfc3339_opts(SecondsFormat::Micros, true), "data": data }).to_string()
}
