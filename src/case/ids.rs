//! The ids of a case: short, not blank, without control characters, each kind a type of its own.
//! They are compared as they are; no check digit or carrier prefix is looked at.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use validator::{ValidateLength, ValidateNonControlCharacter};

use super::{MAX_ID_CHARS, Rule};

/// What every id and open-set name keeps to: trimmed, 1 to [`MAX_ID_CHARS`] characters, none of them a control character.
pub(super) fn name(text: &str) -> Result<String, Rule> {
    let text = text.trim();
    let actual = text.length().unwrap_or_default();
    if actual == 0 {
        Err(Rule::Empty)
    } else if actual > MAX_ID_CHARS as u64 {
        Err(Rule::TooLong { limit: MAX_ID_CHARS, actual })
    } else if !text.validate_non_control_character() {
        Err(Rule::ControlCharacter)
    } else {
        Ok(text.to_owned())
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $id:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $id(String);

        impl $id {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $id {
            type Err = Rule;

            fn from_str(text: &str) -> Result<Self, Rule> {
                name(text).map($id)
            }
        }

        impl TryFrom<String> for $id {
            type Error = Rule;

            fn try_from(text: String) -> Result<Self, Rule> {
                text.parse()
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> String {
                id.0
            }
        }

        impl AsRef<str> for $id {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id! {
    /// The platform's id of a dispute.
    TicketId
}
id! {
    /// The platform's id of an order.
    OrderId
}
id! {
    /// The id of one item of evidence, unique in its case.
    EvidenceId
}
id! {
    /// A carrier's number of a parcel.
    Waybill
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_trimmed() {
        assert_eq!(" AB70000\t".parse::<TicketId>().map(String::from), Ok("AB70000".to_owned()));
        assert_eq!("一二三".parse::<OrderId>().map(String::from), Ok("一二三".to_owned()));
    }

    #[test]
    fn ids_have_limits() {
        let id = |text: &str| text.parse::<TicketId>().map(String::from);
        assert_eq!(id(""), Err(Rule::Empty));
        assert_eq!(id(" \u{3000}\n"), Err(Rule::Empty));
        assert_eq!(id("A\u{0}B"), Err(Rule::ControlCharacter));
        assert!(id(&"单".repeat(MAX_ID_CHARS)).is_ok());
        assert_eq!(id(&"单".repeat(MAX_ID_CHARS + 1)), Err(Rule::TooLong { limit: MAX_ID_CHARS, actual: 65 }));
    }
}
