//! The languages people are answered in: Chinese and English.
//! It picks between two texts that the caller holds; it never translates and holds no texts itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language of messages and explanations. Chinese is the default: the platform's users read it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// Chinese, simplified.
    #[default]
    Zh,
    /// English.
    En,
}

/// A language tag that is neither Chinese nor English.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown language {0:?}: use zh or en")]
pub struct UnknownLang(String);

impl Lang {
    /// Every language, in the order in which bilingual output lists them.
    pub const ALL: [Lang; 2] = [Lang::Zh, Lang::En];

    /// The tag used in flags, files and JSON: `zh` or `en`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Lang::Zh => "zh",
            Lang::En => "en",
        }
    }

    /// The one of two texts that is in this language.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Lang::Zh => zh,
            Lang::En => en,
        }
    }

    /// The language of the environment: the first of LC_ALL, LC_MESSAGES and LANG that is set, as everywhere; a locale
    /// of neither language is the default.
    pub fn of_environment() -> Lang {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(std::env::var_os)
            .find(|v| !v.is_empty())
            .and_then(|v| v.to_string_lossy().parse().ok())
            .unwrap_or_default()
    }

    /// The language an `Accept-Language` header prefers (RFC 9110, 12.5.4); the default when it names neither.
    ///
    /// Among equal weights the first one listed wins; a weight that cannot be read counts as 1.
    pub fn from_accept_language(header: &str) -> Lang {
        let mut best: Option<(f32, Lang)> = None;
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(lang) = parts.next().and_then(|tag| tag.parse::<Lang>().ok()) else {
                continue;
            };
            let weight = parts
                .find_map(|p| p.strip_prefix("q="))
                .and_then(|q| q.parse::<f32>().ok())
                .filter(|q| (0.0..=1.0).contains(q))
                .unwrap_or(1.0);
            if weight > 0.0 && best.is_none_or(|(w, _)| weight > w) {
                best = Some((weight, lang));
            }
        }
        best.map_or_else(Lang::default, |(_, lang)| lang)
    }
}

impl FromStr for Lang {
    type Err = UnknownLang;

    /// Reads a tag by its primary subtag, so `zh-CN`, `zh_CN.UTF-8` and `ZH` are all Chinese.
    fn from_str(tag: &str) -> Result<Self, UnknownLang> {
        let primary = tag.split(['-', '_', '.']).next().unwrap_or_default();
        Lang::ALL
            .into_iter()
            .find(|lang| primary.eq_ignore_ascii_case(lang.as_str()))
            .ok_or_else(|| UnknownLang(tag.to_owned()))
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_by_their_primary_subtag() {
        for (tag, lang) in [("zh", Lang::Zh), ("zh-CN", Lang::Zh), ("zh_CN.UTF-8", Lang::Zh), ("EN-us", Lang::En)] {
            assert_eq!(tag.parse::<Lang>().unwrap(), lang, "{tag}");
        }
        for tag in ["", "fr", "english", "-zh"] {
            assert!(tag.parse::<Lang>().is_err(), "{tag}");
        }
    }

    #[test]
    fn the_heaviest_known_language_of_a_header_wins() {
        for (header, lang) in [
            ("en", Lang::En),
            ("en-GB,en;q=0.9,zh;q=0.8", Lang::En),
            ("en;q=0.3, zh-CN;q=0.9", Lang::Zh),
            ("fr-FR, de;q=0.9, en;q=0.1", Lang::En),
            ("zh;q=0, en;q=0.1", Lang::En),
            ("fr, *", Lang::Zh),
            ("", Lang::Zh),
        ] {
            assert_eq!(Lang::from_accept_language(header), lang, "{header}");
        }
    }
}
