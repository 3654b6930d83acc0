//! Money: integer fen, read from decimal strings, never a float.
//! It knows how to be added and compared; percentages and rounding belong to the rules that ask for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Rule;

/// An amount of money in fen (1/100 yuan). Never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fen(i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Fen = Fen(0);
    /// The largest amount that can be read from a text: 9,999,999,999.99. Sums and products may go past it.
    pub const MAX_READ: Fen = Fen(999_999_999_999);

    /// An amount of so many fen; `None` when negative.
    pub const fn new(fen: i64) -> Option<Fen> {
        if fen < 0 { None } else { Some(Fen(fen)) }
    }

    /// Reads a plain decimal number of yuan with at most two decimals, such as `12.34`, `12.3` or `12`.
    ///
    /// # Errors
    /// [`Rule::MoneyFormat`], [`Rule::MoneyNegative`], [`Rule::MoneyDecimals`] or [`Rule::MoneyRange`].
    pub fn from_decimal_str(text: &str) -> Result<Fen, Rule> {
        let (negative, number) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (yuan, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(yuan) || !digits(decimals) {
            return Err(Rule::MoneyFormat);
        }
        if negative {
            return Err(Rule::MoneyNegative);
        }
        if decimals.len() > 2 {
            return Err(Rule::MoneyDecimals);
        }
        let yuan: i64 = yuan.parse().map_err(|_| Rule::MoneyRange)?;
        let fen: i64 = format!("{decimals:0<2}").parse().map_err(|_| Rule::MoneyFormat)?;
        yuan.checked_mul(100)
            .and_then(|y| y.checked_add(fen))
            .map(Fen)
            .filter(|amount| *amount <= Fen::MAX_READ)
            .ok_or(Rule::MoneyRange)
    }

    /// The amount in fen.
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// The sum; `None` when it does not fit.
    pub const fn checked_add(self, other: Fen) -> Option<Fen> {
        match self.0.checked_add(other.0) {
            Some(fen) => Some(Fen(fen)),
            None => None,
        }
    }

    /// The difference; `None` when it would be negative.
    pub const fn checked_sub(self, other: Fen) -> Option<Fen> {
        Fen::new(self.0.saturating_sub(other.0))
    }

    /// So many times the amount; `None` when it does not fit.
    pub const fn checked_mul(self, times: u32) -> Option<Fen> {
        match self.0.checked_mul(times as i64) {
            Some(fen) => Some(Fen(fen)),
            None => None,
        }
    }

    /// The difference, or nothing when the other amount is larger.
    pub const fn saturating_sub(self, other: Fen) -> Fen {
        match self.checked_sub(other) {
            Some(fen) => fen,
            None => Fen::ZERO,
        }
    }
}

impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

impl FromStr for Fen {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Self, Rule> {
        Fen::from_decimal_str(text)
    }
}

impl TryFrom<String> for Fen {
    type Error = Rule;

    fn try_from(text: String) -> Result<Self, Rule> {
        text.parse()
    }
}

impl From<Fen> for String {
    fn from(amount: Fen) -> String {
        amount.to_string()
    }
}

/// A currency by its ISO 4217 code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Renminbi, the currency that the rules' amounts are written in.
    pub const CNY: Currency = Currency(*b"CNY");

    /// The three letters.
    pub fn as_str(&self) -> &str {
        // The bytes are capital letters by construction, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Self, Rule> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Currency(code)),
            _ => Err(Rule::CurrencyFormat),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = Rule;

    fn try_from(text: String) -> Result<Self, Rule> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_decimals_are_read() {
        for (text, fen) in [("0", 0), ("0.00", 0), ("12", 1200), ("12.3", 1230), ("12.34", 1234), ("007.05", 705)] {
            assert_eq!(Fen::from_decimal_str(text), Ok(Fen(fen)), "{text}");
        }
        assert_eq!(Fen::from_decimal_str("9999999999.99"), Ok(Fen::MAX_READ));
    }

    #[test]
    fn everything_else_breaks_a_rule() {
        for text in [
            "", " ", ".", "1.", ".5", "+1", "1e3", "1,000.00", " 1", "1 ", "１２", "¥12", "12元", "0x1", "NaN", "-",
            "--1",
        ] {
            assert_eq!(Fen::from_decimal_str(text), Err(Rule::MoneyFormat), "{text:?}");
        }
        for text in ["-1", "-0.00", "-12.345"] {
            assert_eq!(Fen::from_decimal_str(text), Err(Rule::MoneyNegative), "{text:?}");
        }
        for text in ["1.000", "0.001", "12.3400"] {
            assert_eq!(Fen::from_decimal_str(text), Err(Rule::MoneyDecimals), "{text:?}");
        }
        for text in ["10000000000.00", "99999999999999999999999999"] {
            assert_eq!(Fen::from_decimal_str(text), Err(Rule::MoneyRange), "{text:?}");
        }
    }

    #[test]
    fn arithmetic_is_checked() {
        let (one, two) = (Fen(1), Fen(2));
        assert_eq!(one.checked_sub(two), None);
        assert_eq!(one.saturating_sub(two), Fen::ZERO);
        assert_eq!(Fen(i64::MAX).checked_add(one), None);
        assert_eq!(Fen(i64::MAX).checked_mul(2), None);
        assert_eq!(two.checked_mul(3), Some(Fen(6)));
        assert_eq!(Fen::new(-1), None);
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("CNY".parse(), Ok(Currency::CNY));
        for text in ["", "cny", "CN", "CNYY", "C1Y", "元", "人民币"] {
            assert_eq!(text.parse::<Currency>(), Err(Rule::CurrencyFormat), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_survives_its_text(fen in 0..=Fen::MAX_READ.as_i64()) {
            prop_assert_eq!(Fen(fen).to_string().parse(), Ok(Fen(fen)));
        }

        #[test]
        fn no_text_panics(text in ".{0,30}") {
            let _ = Fen::from_decimal_str(&text);
        }
    }
}
