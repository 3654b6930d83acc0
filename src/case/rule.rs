//! The rules a ticket can break: one stable code each, and what to tell the person who sent it.
//! A rule does not know where it was broken; that is the error's part.

use crate::lang::Lang;

use super::{Fen, MAX_QUANTITY};

/// What a ticket did wrong. Codes are stable; texts are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.text(Lang::En))]
pub enum Rule {
    /// The ticket has more bytes than the limit.
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// A byte that UTF-8 does not have here.
    NotUtf8 {
        /// Bytes before it.
        offset: usize,
    },
    /// The text ends before its JSON value does.
    JsonTruncated,
    /// The text is not JSON.
    JsonSyntax {
        /// Line, from 1.
        line: usize,
        /// Character of the line, from 1.
        column: usize,
    },
    /// Lists and objects nest deeper than the limit.
    JsonDepth {
        /// Levels allowed.
        limit: usize,
    },
    /// An object names a key twice; the second is the error.
    DuplicateKey,
    /// A required field is absent or null.
    Missing,
    /// A value of another type.
    WrongType {
        /// What belongs there.
        expected: Expected,
    },
    /// A blank id or name, or an empty list that must not be.
    Empty,
    /// An id or name with a control character, or a text with NUL.
    ControlCharacter,
    /// A text with more characters than the limit.
    TooLong {
        /// Characters allowed.
        limit: usize,
        /// Characters found.
        actual: u64,
    },
    /// A list with more entries than the limit.
    TooMany {
        /// Entries allowed.
        limit: usize,
        /// Entries found.
        actual: usize,
    },
    /// Not a plain decimal number.
    MoneyFormat,
    /// An amount below zero.
    MoneyNegative,
    /// An amount with fractions of a fen.
    MoneyDecimals,
    /// An amount above [`Fen::MAX_READ`].
    MoneyRange,
    /// The freight is more than the total that includes it.
    FreightAboveTotal,
    /// Not a currency code.
    CurrencyFormat,
    /// A currency that the rules have no amounts in.
    CurrencyUnsupported,
    /// Not a time in RFC 3339.
    TimeFormat,
    /// A time without its UTC offset.
    TimeOffsetMissing,
    /// A time outside the years 2000 to 2099.
    TimeRange,
    /// A quantity below 1 or above [`MAX_QUANTITY`].
    QuantityRange,
    /// Neither `buyer` nor `seller`.
    UnknownParty,
    /// The id of an earlier item of evidence.
    DuplicateEvidenceId {
        /// Index of that item.
        first: usize,
    },
}

/// What type a field asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expected {
    /// A JSON object.
    Object,
    /// A JSON array.
    List,
    /// A JSON string.
    Text,
    /// A whole JSON number.
    Integer,
    /// A string holding a decimal number.
    Money,
    /// A string holding a time.
    Time,
}

impl Expected {
    fn text(self, lang: Lang) -> &'static str {
        match self {
            Expected::Object => lang.pick("对象", "an object"),
            Expected::List => lang.pick("数组", "a list"),
            Expected::Text => lang.pick("字符串", "a string"),
            Expected::Integer => lang.pick("整数", "a whole number"),
            Expected::Money => lang.pick("金额字符串，例如 \"12.34\"", "an amount as a string, such as \"12.34\""),
            Expected::Time => lang.pick(
                "时间字符串，例如 \"2026-03-14T10:18:52+08:00\"",
                "a time as a string, such as \"2026-03-14T10:18:52+08:00\"",
            ),
        }
    }
}

impl Rule {
    /// The rule's stable name in snake case.
    pub const fn code(self) -> &'static str {
        match self {
            Rule::TooLarge { .. } => "too_large",
            Rule::NotUtf8 { .. } => "not_utf8",
            Rule::JsonTruncated => "json_truncated",
            Rule::JsonSyntax { .. } => "json_syntax",
            Rule::JsonDepth { .. } => "json_depth",
            Rule::DuplicateKey => "duplicate_key",
            Rule::Missing => "missing",
            Rule::WrongType { .. } => "wrong_type",
            Rule::Empty => "empty",
            Rule::ControlCharacter => "control_character",
            Rule::TooLong { .. } => "too_long",
            Rule::TooMany { .. } => "too_many",
            Rule::MoneyFormat => "money_format",
            Rule::MoneyNegative => "money_negative",
            Rule::MoneyDecimals => "money_decimals",
            Rule::MoneyRange => "money_range",
            Rule::FreightAboveTotal => "freight_above_total",
            Rule::CurrencyFormat => "currency_format",
            Rule::CurrencyUnsupported => "currency_unsupported",
            Rule::TimeFormat => "time_format",
            Rule::TimeOffsetMissing => "time_offset_missing",
            Rule::TimeRange => "time_range",
            Rule::QuantityRange => "quantity_range",
            Rule::UnknownParty => "unknown_party",
            Rule::DuplicateEvidenceId { .. } => "duplicate_evidence_id",
        }
    }

    /// The rule as a sentence without its full stop.
    pub fn text(self, lang: Lang) -> String {
        match lang {
            Lang::Zh => self.zh(),
            Lang::En => self.en(),
        }
    }

    fn zh(self) -> String {
        match self {
            Rule::TooLarge { limit } => format!("工单不得超过 {limit} 字节"),
            Rule::NotUtf8 { offset } => format!("必须是 UTF-8 文本，第 {} 个字节无效", offset + 1),
            Rule::JsonTruncated => "JSON 不完整，文本提前结束".to_owned(),
            Rule::JsonSyntax { line, column } => {
                format!("不是有效的 JSON，第 {line} 行第 {column} 个字符处出错")
            }
            Rule::JsonDepth { limit } => format!("嵌套不得超过 {limit} 层"),
            Rule::DuplicateKey => "同一对象中的键不得重复".to_owned(),
            Rule::Missing => "缺少必填字段".to_owned(),
            Rule::WrongType { expected } => format!("类型不符，应为{}", expected.text(Lang::Zh)),
            Rule::Empty => "不得为空".to_owned(),
            Rule::ControlCharacter => "不得含有控制字符".to_owned(),
            Rule::TooLong { limit, actual } => format!("不得超过 {limit} 个字符，实际 {actual} 个"),
            Rule::TooMany { limit, actual } => format!("不得超过 {limit} 项，实际 {actual} 项"),
            Rule::MoneyFormat => "金额应为十进制数，例如 12.34".to_owned(),
            Rule::MoneyNegative => "金额不得为负".to_owned(),
            Rule::MoneyDecimals => "金额最多两位小数".to_owned(),
            Rule::MoneyRange => format!("金额不得超过 {}", Fen::MAX_READ),
            Rule::FreightAboveTotal => "运费不得高于实付总额（总额已含运费）".to_owned(),
            Rule::CurrencyFormat => "币种应为三位大写字母代码，例如 CNY".to_owned(),
            Rule::CurrencyUnsupported => "暂不支持该币种，仅支持 CNY".to_owned(),
            Rule::TimeFormat => "时间应为 RFC 3339 格式，例如 2026-03-14T10:18:52+08:00".to_owned(),
            Rule::TimeOffsetMissing => "时间缺少 UTC 偏移量，例如 +08:00".to_owned(),
            Rule::TimeRange => "时间应在 2000 年至 2099 年之间".to_owned(),
            Rule::QuantityRange => format!("数量应在 1 至 {MAX_QUANTITY} 之间"),
            Rule::UnknownParty => "当事方只能是 buyer 或 seller".to_owned(),
            Rule::DuplicateEvidenceId { first } => {
                format!("证据编号重复，与 $.evidence[{first}] 相同")
            }
        }
    }

    fn en(self) -> String {
        match self {
            Rule::TooLarge { limit } => format!("a ticket has at most {limit} bytes"),
            Rule::NotUtf8 { offset } => {
                format!("the text must be UTF-8; byte {} is not", offset + 1)
            }
            Rule::JsonTruncated => "the JSON ends too early".to_owned(),
            Rule::JsonSyntax { line, column } => {
                format!("not JSON at line {line}, character {column}")
            }
            Rule::JsonDepth { limit } => format!("values nest at most {limit} levels deep"),
            Rule::DuplicateKey => "an object must not name a key twice".to_owned(),
            Rule::Missing => "a required field is missing".to_owned(),
            Rule::WrongType { expected } => {
                format!("the type is wrong: this must be {}", expected.text(Lang::En))
            }
            Rule::Empty => "this must not be empty".to_owned(),
            Rule::ControlCharacter => "control characters are not allowed here".to_owned(),
            Rule::TooLong { limit, actual } => {
                format!("at most {limit} characters are allowed, not {actual}")
            }
            Rule::TooMany { limit, actual } => {
                format!("at most {limit} entries are allowed, not {actual}")
            }
            Rule::MoneyFormat => "an amount is a plain decimal number, such as 12.34".to_owned(),
            Rule::MoneyNegative => "an amount must not be negative".to_owned(),
            Rule::MoneyDecimals => "an amount has at most two decimals".to_owned(),
            Rule::MoneyRange => format!("an amount is at most {}", Fen::MAX_READ),
            Rule::FreightAboveTotal => "the freight must not be above the total, which includes it".to_owned(),
            Rule::CurrencyFormat => "a currency is a code of three capital letters, such as CNY".to_owned(),
            Rule::CurrencyUnsupported => "this currency is not supported; only CNY is".to_owned(),
            Rule::TimeFormat => "a time is written as in RFC 3339, such as 2026-03-14T10:18:52+08:00".to_owned(),
            Rule::TimeOffsetMissing => "the time lacks its UTC offset, such as +08:00".to_owned(),
            Rule::TimeRange => "a time lies in the years 2000 to 2099".to_owned(),
            Rule::QuantityRange => format!("a quantity is 1 to {MAX_QUANTITY}"),
            Rule::UnknownParty => "a party is buyer or seller".to_owned(),
            Rule::DuplicateEvidenceId { first } => {
                format!("this evidence id is already that of $.evidence[{first}]")
            }
        }
    }
}
