//! What goes into the store and what comes out: plain strings and bytes. Meaning is the callers' business.

use chrono::{DateTime, Utc};

use super::error::StoreError;

/// A SHA-256.
pub type Hash = [u8; 32];

/// What is sealed in a record: its text, or what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The bytes.
    Kept(Vec<u8>),
    /// The key was destroyed. The record's leaf and its proofs stand.
    Erased(Erased),
}

/// An erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The record of kind `erasure` that says why.
    pub by: String,
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
}

impl Body {
    /// The bytes; an error if they were erased.
    pub fn kept(&self) -> Result<&[u8], StoreError> {
        match self {
            Self::Kept(bytes) => Ok(bytes),
            Self::Erased(erased) => Err(StoreError::Erased { by: erased.by.clone(), at: erased.at }),
        }
    }
}

/// A record to append that is no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Its id, unique among its kind.
    pub id: String,
    /// Whose personal data is in it; None for nobody's.
    pub subject: Option<String>,
    /// Its canonical bytes.
    pub body: Vec<u8>,
}

/// A record that is no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its id, unique among its kind.
    pub id: String,
    /// Position in the order of records.
    pub seq: i64,
    /// Its canonical bytes.
    pub body: Body,
    /// When it was recorded, by the database's clock.
    pub created_at: DateTime<Utc>,
}

/// A decision to record, with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDecision {
    /// Content-addressed id, `dec_…`.
    pub id: String,
    /// Whose personal data it holds; not empty.
    pub subject: String,
    /// The ticket decided upon.
    pub ticket_id: String,
    /// Hash of the case file.
    pub case_hash: Hash,
    /// The case file, canonical JSON.
    pub case: Vec<u8>,
    /// `auto`, `review` or `rejected_input`.
    pub outcome: String,
    /// The governing SOP; set together with its version.
    pub sop_id: Option<String>,
    /// The SOP's version, from 1.
    pub sop_version: Option<i32>,
    /// The remedy's id.
    pub remedy_kind: Option<String>,
    /// Refund in fen.
    pub refund_fen: Option<i64>,
    /// Compensation in fen.
    pub compensation_fen: Option<i64>,
    /// The whole decision, canonical JSON.
    pub body: Vec<u8>,
    /// What led to it, canonical JSON.
    pub trace: Vec<u8>,
    /// What a person is to do about it.
    pub task: Option<NewTask>,
}

/// A task of the review queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its id, unique.
    pub id: String,
    /// `review`, `audit` or `appeal`.
    pub kind: &'static str,
    /// The scene decided for.
    pub scene: String,
    /// From 0, which comes first, to 100.
    pub priority: i16,
    /// What the proposal costs in fen.
    pub amount_fen: i64,
    /// Seconds until it is due.
    pub due_in: i64,
}

/// How many records were new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Written now.
    pub inserted: u64,
    /// Recorded before, with the same content.
    pub already: u64,
}

/// A recorded decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDecision {
    /// Content-addressed id, `dec_…`.
    pub id: String,
    /// Position in the order of records.
    pub seq: i64,
    /// The ticket decided upon.
    pub ticket_id: String,
    /// Hash of the case file.
    pub case_hash: Hash,
    /// `auto`, `review` or `rejected_input`.
    pub outcome: String,
    /// The governing SOP.
    pub sop_id: Option<String>,
    /// The SOP's version.
    pub sop_version: Option<i32>,
    /// The remedy's id.
    pub remedy_kind: Option<String>,
    /// Refund in fen.
    pub refund_fen: Option<i64>,
    /// Compensation in fen.
    pub compensation_fen: Option<i64>,
    /// The whole decision, canonical JSON.
    pub body: Body,
    /// When it was recorded, by the database's clock.
    pub created_at: DateTime<Utc>,
}

/// An input that is no case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRejection {
    /// File name, or `-`.
    pub source: String,
    /// Line in it, from 1.
    pub line: i64,
    /// What is wrong, as a JSON text.
    pub errors: String,
    /// Whose personal data it holds, if that can be told; else it is a subject of its own, `input:` and its SHA-256.
    pub subject: Option<String>,
    /// The input's bytes.
    pub input: Vec<u8>,
}

/// A quarantined input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRejection {
    /// Position in the order of recording.
    pub id: i64,
    /// File name, or `-`.
    pub source: String,
    /// Line in it, from 1.
    pub line: i64,
    /// What is wrong, as a JSON text.
    pub errors: Body,
    /// The input's bytes.
    pub input: Body,
    /// When it was recorded, by the database's clock.
    pub created_at: DateTime<Utc>,
}

/// One migration and whether it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// Row counts of a tenant's tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rows {
    /// Decisions.
    pub decisions: i64,
    /// Traces.
    pub traces: i64,
    /// Case files.
    pub cases: i64,
    /// Artifacts that decisions pin, of all tenants.
    pub artifacts: i64,
    /// Quarantined inputs.
    pub rejections: i64,
    /// Records of other kinds.
    pub records: i64,
    /// Leaves of the ledger, pending ones included.
    pub leaves: i64,
}

/// The state of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The server's version, e.g. `16.14`.
    pub server_version: String,
    /// The address, without password.
    pub url: String,
    /// The private server's folder, if it is one.
    pub cluster: Option<std::path::PathBuf>,
    /// All migrations this program knows, in order.
    pub migrations: Vec<MigrationStatus>,
}

impl Status {
    /// True if the database has every migration.
    pub fn is_current(&self) -> bool {
        self.migrations.iter().all(|migration| migration.applied)
    }
}
