//! Who calls. A key (`Authorization: Bearer prk_…`) belongs to one tenant and one role; a handler states as a type whom it
//! serves, and `routes` takes no handler that does not. Secrets are compared in constant time against their SHA-256 and
//! are never logged.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use chrono::Utc;
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use super::state::AppState;
use crate::record::{Actor, access};
use crate::store::{NewRecord, TenantId};

/// What a key may do. The names are those of `praetor key create --role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A customer-service backend: hands tickets in and reads decisions.
    Caller,
    /// Runs backlogs.
    Operator,
    /// Decides what the service leaves to people.
    Reviewer,
    /// Reads and proves everything, changes nothing.
    Auditor,
    /// Writes the rules.
    Editor,
    /// Manages keys.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 6] = [Role::Caller, Role::Operator, Role::Reviewer, Role::Auditor, Role::Editor, Role::Admin];

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Operator => "operator",
            Self::Reviewer => "reviewer",
            Self::Auditor => "auditor",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|r| r.as_str()).collect();
            format!("`{text}` is no role; the roles are {}", all.join(", "))
        })
    }
}

/// Whom a route serves.
pub(super) trait Policy: 'static {
    /// The roles.
    const ROLES: &'static [Role];
}

/// Declares policies: a name and its roles.
macro_rules! policies {
    ($($(#[$doc:meta])* $name:ident = [$($role:ident),+];)+) => {
        $($(#[$doc])* #[derive(Debug)] pub(super) struct $name;
        impl Policy for $name { const ROLES: &'static [Role] = &[$(Role::$role),+]; })+
    };
}

policies! {
    /// Hands in a ticket.
    Adjudicate = [Caller, Operator];
    /// Reads decisions and their explanations.
    ReadDecisions = [Caller, Operator, Reviewer, Auditor, Admin];
    /// Reads what led to a decision.
    ReadTraces = [Operator, Reviewer, Auditor];
    /// Hands in backlogs and cancels them.
    RunBatches = [Operator];
    /// Reads how far backlogs are, and what came of them.
    ReadBatches = [Operator, Auditor];
    /// Reads proofs.
    ReadProofs = [Caller, Operator, Auditor];
    /// Takes records out, with the personal data in them.
    ExportRecords = [Auditor];
    /// Asks whether a decision holds.
    ReplayDecisions = [Operator, Auditor];
    /// Reads what lets decisions be automatic.
    ReadCertificates = [Operator, Reviewer, Auditor, Editor, Admin];
    /// Judges what waits for people.
    Review = [Reviewer];
    /// Reads the review queue.
    ReadReviews = [Operator, Reviewer, Auditor];
    /// Reads what reviews add up to.
    ReadReviewFigures = [Operator, Reviewer, Auditor, Editor, Admin];
    /// Appeals against decisions.
    Appeal = [Caller, Operator];
    /// Manages keys.
    ManageKeys = [Admin];
    /// Adds and lists tenants; of the tenant `default` alone, which the handlers see to.
    ManageTenants = [Admin];
    /// Looks at rules that are not in force yet.
    CheckRules = [Editor, Admin];
    /// Writes drafts.
    DraftRules = [Editor];
    /// Moves drafts on, and back.
    PublishRules = [Editor, Admin];
    /// Reads what was published and by whom.
    ReadPublications = [Operator, Auditor, Editor, Admin];
    /// Manages webhooks.
    ManageWebhooks = [Admin];
    /// Reads the rules in force.
    ReadRules = [Caller, Operator, Reviewer, Auditor, Editor, Admin];
}

/// The caller of a request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The key's public part; of a person with a token, `jwt:` and a hash.
    pub key_id: String,
    /// Whose data it sees.
    pub tenant: TenantId,
    /// What it may do.
    pub role: Role,
}

impl Caller {
    /// The caller as records name it.
    pub(super) fn actor(&self) -> Actor<'_> {
        Actor::Key { id: &self.key_id, role: self.role.as_str() }
    }

    /// The record that this caller did something privileged: what changes it is given to appends it in its transaction.
    pub(super) fn did(&self, action: &str, details: Value) -> NewRecord {
        access(self.actor(), action, details)
    }
}

/// Proof that the caller satisfies a policy.
#[derive(Debug)]
pub(super) struct Guarded<P: Policy> {
    /// Who calls.
    pub caller: Caller,
    policy: PhantomData<P>,
}

impl<P: Policy> FromRequest for Guarded<P> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let state = request.app_data::<web::Data<AppState>>().ok_or(ApiError::Internal)?;
            let caller = authenticate(state, &request).await?;
            state.limits.check(&caller)?;
            if !P::ROLES.contains(&caller.role) {
                return Err(ApiError::Forbidden);
            }
            tracing::Span::current().record("tenant", caller.tenant.as_str()).record("key_id", caller.key_id.as_str());
            Ok(Self { caller, policy: PhantomData })
        })
    }
}

async fn authenticate(state: &AppState, request: &HttpRequest) -> Result<Caller, ApiError> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = header.and_then(|h| {
        let (scheme, token) = h.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    if let Some((issuer, token)) = state.issuer.as_ref().zip(token.filter(|token| !token.starts_with(PREFIX))) {
        return issuer.caller(&state.store, token).await;
    }
    let (key_id, secret) = token.and_then(parts).ok_or(ApiError::Unauthenticated)?;
    let key = state.store.api_key(key_id).await?.ok_or(ApiError::Unauthenticated)?;
    let same = bool::from(Sha256::digest(secret.as_bytes()).as_slice().ct_eq(&key.secret_sha256));
    let in_time = key.expires_at.is_none_or(|at| at > Utc::now());
    if !same || !in_time || key.revoked {
        return Err(ApiError::Unauthenticated);
    }
    let role = key.role.parse().map_err(|_| ApiError::Internal)?;
    state.note_use(key_id).await;
    Ok(Caller { key_id: key_id.to_owned(), tenant: key.tenant, role })
}

/// How a key begins, and no token of an issuer does.
const PREFIX: &str = "prk_";

/// Length of a key's public part.
const ID_LENGTH: usize = 12;

/// Random bytes of a secret: 256 bits, so a plain hash of it cannot be searched.
const SECRET_BYTES: usize = 32;

/// The public part and the secret of `prk_<id>_<secret>`.
fn parts(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let hexadecimal = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (id.len() == ID_LENGTH && secret.len() == 2 * SECRET_BYTES && hexadecimal(id) && hexadecimal(secret))
        .then_some((id, secret))
}

/// A key as it is made: the secret is seen here and never again.
#[derive(Debug)]
pub struct FreshKey {
    /// The public part.
    pub id: String,
    /// What the client sends.
    pub token: SecretString,
    /// What is stored.
    pub secret_sha256: [u8; 32],
}

impl FreshKey {
    /// A new random key, from the operating system's generator.
    pub fn generate() -> Result<Self, ApiError> {
        let mut id = [0u8; ID_LENGTH / 2];
        let mut secret = [0u8; SECRET_BYTES];
        SysRng.try_fill_bytes(&mut id).and_then(|()| SysRng.try_fill_bytes(&mut secret)).map_err(|error| {
            tracing::error!(%error, "no random bytes");
            ApiError::Internal
        })?;
        let (id, secret) = (hex::encode(id), SecretString::from(hex::encode(secret)));
        let secret_sha256 = Sha256::digest(secret.expose_secret().as_bytes()).into();
        let token = SecretString::from(format!("prk_{id}_{}", secret.expose_secret()));
        Ok(Self { id, token, secret_sha256 })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_is_read_back_by_its_parts() {
        let key = FreshKey::generate().unwrap();
        let (id, secret) = parts(key.token.expose_secret()).unwrap();
        assert_eq!(id, key.id);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(secret.as_bytes())), key.secret_sha256);
        assert!(!format!("{key:?}").contains(secret));
    }

    #[test]
    fn what_is_no_key_is_refused_before_the_database_is_asked() {
        let good = format!("prk_{}_{}", "a".repeat(12), "0".repeat(64));
        assert!(parts(&good).is_some());
        for bad in ["", "prk_", "prk__", &good[4..], &good[..good.len() - 1], &good.to_uppercase(), &format!("{good}0")]
        {
            assert!(parts(bad).is_none(), "{bad}");
        }
    }
}
