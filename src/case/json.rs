//! From bytes to a JSON value, more strictly than JSON itself: keys are unique and nesting is bounded.
//! It knows nothing of tickets; where the text breaks it says how far down the document it had read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::error::{CaseError, CaseErrors, shorten, shorten_text};
use super::path::{Path, Step};
use super::{MAX_BYTES, MAX_DEPTH, MAX_ERRORS, Rule};

/// How much of a broken text is shown before the place where it breaks, in characters.
const EXCERPT_BEFORE: usize = 12;
/// And after it.
const EXCERPT_AFTER: usize = 12;

/// Reads one JSON value. A byte-order mark before it is skipped.
pub(super) fn read(bytes: &[u8]) -> Result<Value, CaseErrors> {
    if bytes.len() > MAX_BYTES {
        return Err(CaseErrors::one(too_large()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let value = format!("0x{}", hex::encode(&bytes[offset..bytes.len().min(offset + 1)]));
        CaseErrors::one(CaseError { path: "$".to_owned(), value, rule: Rule::NotUtf8 { offset } })
    })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);

    let mut state = State::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Seed(&mut state).deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(value) => CaseErrors::of(state.errors).map_or(Ok(value), Err),
        Err(error) => {
            let last = state.too_deep.unwrap_or_else(|| syntax_error(state.path.to_string(), text, &error));
            Err(CaseErrors::ending_in(state.errors, last))
        }
    }
}

/// The error of a ticket over [`MAX_BYTES`].
pub(super) fn too_large() -> CaseError {
    CaseError { path: "$".to_owned(), value: String::new(), rule: Rule::TooLarge { limit: MAX_BYTES } }
}

fn syntax_error(path: String, text: &str, error: &serde_json::Error) -> CaseError {
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    // The library counts bytes and stops after the one it did not like.
    let before = line.floor_char_boundary(error.column().saturating_sub(1).min(line.len()));
    let (head, tail) = line.split_at(before);
    let skipped = head.chars().count().saturating_sub(EXCERPT_BEFORE);
    let excerpt: String = head.chars().skip(skipped).chain(tail.chars().take(EXCERPT_AFTER)).collect();
    let rule = if error.is_eof() {
        Rule::JsonTruncated
    } else {
        Rule::JsonSyntax { line: error.line(), column: head.chars().count() + 1 }
    };
    CaseError { path, value: shorten_text(excerpt.trim()), rule }
}

/// What is known while reading. After a failure `path` still points at the value where it happened.
#[derive(Default)]
struct State {
    path: Path<'static>,
    errors: Vec<CaseError>,
    too_deep: Option<CaseError>,
}

impl State {
    fn add(&mut self, error: CaseError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }
}

/// Builds the value and checks it on the way.
struct Seed<'a>(&'a mut State);

impl Seed<'_> {
    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.0.path.depth() < MAX_DEPTH {
            return Ok(());
        }
        let path = self.0.path.to_string();
        self.0.too_deep = Some(CaseError { path, value: String::new(), rule: Rule::JsonDepth { limit: MAX_DEPTH } });
        Err(E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(
        self,
        value: f64, // float: a number of JSON, never money
    ) -> Result<Value, E> {
        let number = Number::from_f64(value); // float: a number of JSON, never money
        number.map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut values = Vec::new();
        self.0.path.push(Step::Index(0), 0);
        while let Some(value) = list.next_element_seed(Seed(self.0))? {
            values.push(value);
            self.0.path.pop();
            self.0.path.push(Step::Index(values.len()), 0);
        }
        self.0.path.pop();
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut fields = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            self.0.path.push(Step::Key(Cow::Owned(key)), 0);
            let value = object.next_value_seed(Seed(self.0))?;
            let Some(Step::Key(key)) = self.0.path.pop() else {
                continue;
            };
            match fields.entry(key) {
                Entry::Vacant(free) => {
                    free.insert(value);
                }
                Entry::Occupied(taken) => {
                    self.0.path.push(Step::Key(Cow::Owned(taken.key().clone())), 0);
                    let path = self.0.path.to_string();
                    self.0.path.pop();
                    self.0.add(CaseError { path, value: shorten(&value), rule: Rule::DuplicateKey });
                }
            }
        }
        Ok(Value::Object(fields))
    }
}
