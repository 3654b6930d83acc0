//! What can go wrong with a request, and how it is told: RFC 9457 problem documents with a stable code, in the language
//! the client asks for. Texts of lower layers go to the log, never into a response.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Value, json};

use crate::case::CaseErrors;
use crate::lang::Lang;
use crate::store::StoreError;

/// A request that is answered by a problem document.
#[derive(Debug)]
pub enum ApiError {
    /// No key, or none that is known, valid and in time.
    Unauthenticated,
    /// The key's role may not do this.
    Forbidden,
    /// No such record, or one of another tenant.
    NotFound,
    /// The record was erased: its personal data is gone, its proofs stand.
    Erased,
    /// The path exists for other methods.
    MethodNotAllowed {
        /// These, as in the Allow header.
        allow: &'static str,
    },
    /// A query parameter, header or path segment that breaks a rule.
    Parameter {
        /// Its name.
        name: &'static str,
        /// What was given, shortened.
        value: String,
        /// What is expected, Chinese and English.
        rule: (String, String),
    },
    /// The body is no JSON of the expected form; the text says where.
    Body(String),
    /// The body is longer than allowed, after decompression.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    TooSlow,
    /// The upload has more lines than allowed.
    TooManyLines {
        /// The limit.
        limit: u64,
    },
    /// The body is of a type that is not read here.
    MediaType,
    /// The ticket is no case file.
    Ticket(CaseErrors),
    /// The pack is refused.
    Pack(Vec<Fault>),
    /// Whoever made a draft wants to bring it into force.
    SameMaker,
    /// The idempotency key came before with another body.
    IdempotencyConflict,
    /// What the request wants to change has changed, or is held by another.
    Conflict {
        /// Why, Chinese and English.
        why: (String, String),
    },
    /// Too many requests of this key or tenant.
    RateLimited {
        /// Seconds until the next is accepted.
        retry_after: u64,
    },
    /// There is no room, or it would take too long.
    Overloaded {
        /// Seconds until it is worth trying again.
        retry_after: u64,
    },
    /// The deadline passed before there was an answer.
    DeadlineExceeded,
    /// The database does not answer.
    DatabaseUnavailable,
    /// The reward model's server does not answer.
    RewardModelUnavailable,
    /// The service is about to end.
    ShuttingDown,
    /// A defect of this program.
    Internal,
}

/// A place in a pack that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// File, line and column, or the SOP.
    pub place: String,
    /// A stable code.
    pub code: &'static str,
    /// What is wrong, Chinese and English.
    pub message: (String, String),
}

/// The longest echo of a value in an error, in characters.
const SHOWN: usize = 60;

/// Faults of a pack that a refusal lists; a check lists more.
const LISTED: usize = 20;

/// Shortens a value for an error message.
pub(super) fn shown(value: &str) -> String {
    let mut out: String = value.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if value.chars().count() > SHOWN {
        out.push('…');
    }
    out
}

impl ApiError {
    /// A parameter that breaks a rule.
    pub fn parameter(name: &'static str, value: &str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self::Parameter { name, value: shown(value), rule: (zh.into(), en.into()) }
    }

    /// What the request wants to change is not as it would have to be.
    pub fn conflict(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self::Conflict { why: (zh.into(), en.into()) }
    }

    /// The stable code: what clients branch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Erased => "erased",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::Parameter { .. } => "invalid_parameter",
            Self::Body(_) => "invalid_body",
            Self::TooLarge { .. } | Self::TooManyLines { .. } => "body_too_large",
            Self::TooSlow => "body_too_slow",
            Self::MediaType => "unsupported_media_type",
            Self::Ticket(_) => "invalid_ticket",
            Self::Pack(_) => "invalid_pack",
            Self::SameMaker => "same_maker",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::Conflict { .. } => "conflict",
            Self::RateLimited { .. } => "rate_limited",
            Self::Overloaded { .. } => "overloaded",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::DatabaseUnavailable => "database_unavailable",
            Self::RewardModelUnavailable => "reward_model_unavailable",
            Self::ShuttingDown => "shutting_down",
            Self::Internal => "internal",
        }
    }

    fn title(&self, lang: Lang) -> String {
        let (zh, en) = match self {
            Self::Unauthenticated => ("缺少有效的 API 密钥", "A valid API key is required"),
            Self::Forbidden => ("该密钥的角色无权执行此操作", "The key's role may not do this"),
            Self::NotFound => ("没有这样的记录", "There is no such record"),
            Self::Erased => ("该记录的个人信息已删除", "The record's personal data was erased"),
            Self::MethodNotAllowed { .. } => ("该路径不支持此方法", "The path does not allow this method"),
            Self::Parameter { .. } => ("参数不符合要求", "A parameter breaks a rule"),
            Self::Body(_) => ("请求体不是所要求的 JSON", "The body is not the JSON expected here"),
            Self::TooLarge { .. } | Self::TooManyLines { .. } => ("请求体过大", "The body is too large"),
            Self::TooSlow => ("请求体发送过慢", "The body did not arrive in time"),
            Self::MediaType => ("不支持该内容类型", "The body's media type is not supported"),
            Self::Ticket(_) => ("工单不符合格式", "The ticket is not a valid case file"),
            Self::Pack(_) => ("规则包不予采用", "The rule pack is refused"),
            Self::SameMaker => ("起草者不能自行批准", "Whoever made a draft may not approve it"),
            Self::IdempotencyConflict => {
                ("该幂等键已用于另一请求体", "The idempotency key was used before with another body")
            }
            Self::Conflict { .. } => ("与当前状态冲突", "The request conflicts with the present state"),
            Self::RateLimited { .. } => ("请求过于频繁", "Too many requests"),
            Self::Overloaded { .. } => ("服务繁忙，请稍后重试", "The service is at capacity; try again later"),
            Self::DeadlineExceeded => ("未能在时限内完成", "The deadline passed before the answer"),
            Self::DatabaseUnavailable => ("数据库暂不可用", "The database is unavailable at present"),
            Self::RewardModelUnavailable => {
                ("复核模型的服务器暂不可用", "The reward model's server is unavailable at present")
            }
            Self::ShuttingDown => ("服务正在停止", "The service is shutting down"),
            Self::Internal => ("服务内部错误", "An internal error"),
        };
        lang.pick(zh, en).to_owned()
    }

    fn detail(&self, lang: Lang) -> Option<String> {
        match self {
            Self::Parameter { name, value, rule } => {
                let (colon, got) = lang.pick(("：", "；收到 "), (": ", "; got "));
                Some(format!("{name}{colon}{}{got}{value:?}", lang.pick(&rule.0, &rule.1)))
            }
            Self::Body(place) => Some(place.clone()),
            Self::TooLarge { limit } => Some(match lang {
                Lang::Zh => format!("上限为 {limit} 字节（解压后）"),
                Lang::En => format!("the limit is {limit} bytes after decompression"),
            }),
            Self::TooManyLines { limit } => Some(match lang {
                Lang::Zh => format!("上限为 {limit} 行"),
                Lang::En => format!("the limit is {limit} lines"),
            }),
            Self::Conflict { why } => Some(lang.pick(&why.0, &why.1).clone()),
            _ => None,
        }
    }

    fn errors(&self, lang: Lang) -> Option<Value> {
        match self {
            Self::Ticket(errors) => {
                let each = |e: &crate::case::CaseError| json!({ "path": e.path, "value": e.value, "rule": e.rule.code(), "message": e.message(lang) });
                Some(errors.iter().map(each).collect())
            }
            Self::Pack(faults) => {
                let each = |f: &Fault| {
                    let message = lang.pick(&f.message.0, &f.message.1);
                    json!({ "path": f.place, "value": "", "rule": f.code, "message": message })
                };
                Some(faults.iter().take(LISTED).map(each).collect())
            }
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after } | Self::Overloaded { retry_after } => Some(*retry_after),
            Self::DatabaseUnavailable | Self::ShuttingDown | Self::DeadlineExceeded => Some(1),
            Self::RewardModelUnavailable => Some(30),
            _ => None,
        }
    }

    /// The problem document.
    pub fn problem(&self, lang: Lang, request_id: &str) -> Value {
        let mut problem = json!({
            "type": format!("urn:praetor:problem:{}", self.code()),
            "code": self.code(),
            "status": self.status_code().as_u16(),
            "title": self.title(lang),
            "request_id": request_id,
        });
        if let Some(detail) = self.detail(lang) {
            problem["detail"] = Value::String(detail);
        }
        if let Some(errors) = self.errors(lang) {
            problem["errors"] = errors;
        }
        problem
    }

    /// The whole response.
    pub fn respond(&self, lang: Lang, request_id: &str) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Self::MethodNotAllowed { allow } = self {
            response.insert_header((header::ALLOW, *allow));
        }
        if matches!(self, Self::Unauthenticated) {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if matches!(self, Self::TooSlow) {
            response.force_close();
        }
        response
            .insert_header((header::CONTENT_LANGUAGE, lang.as_str()))
            .content_type("application/problem+json")
            .body(self.problem(lang, request_id).to_string())
    }
}

/// Notes what a lower layer said, for which a client gets no more than that it is a defect.
pub(super) fn internal<E: fmt::Display>(what: &'static str) -> impl Fn(E) -> ApiError {
    move |error| {
        tracing::error!(%error, "{what}");
        ApiError::Internal
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::SameMaker => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Erased => StatusCode::GONE,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Parameter { .. } | Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } | Self::TooManyLines { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Ticket(_) | Self::Pack(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::IdempotencyConflict | Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded { .. }
            | Self::DeadlineExceeded
            | Self::DatabaseUnavailable
            | Self::RewardModelUnavailable
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is sent when nothing renders the error in the client's language: see `middleware::problems`.
    fn error_response(&self) -> HttpResponse {
        self.respond(Lang::default(), "")
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Erased { .. }) {
            return Self::Erased;
        }
        match error.is_unavailable() {
            true => {
                tracing::warn!(error = %error, "the database does not answer");
                Self::DatabaseUnavailable
            }
            false => {
                tracing::error!(error = %error, "the store failed");
                Self::Internal
            }
        }
    }
}
