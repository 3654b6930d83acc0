//! Walks a JSON value by field names and keeps count of where it is, so that each error names its place.
//! A read function returns `None` when it has reported an error; the walk goes on to find the others.

use std::borrow::Cow;
use std::str::FromStr;

use serde_json::{Map, Value};
use validator::{ValidateLength, ValidateRange};

use super::error::{CaseError, CaseErrors, Collector};
use super::path::{Path, Step};
use super::{Expected, Fen, MAX_QUANTITY, MAX_TEXT_CHARS, Rule, Timestamp, ids};

/// The walk's state: the place and the errors so far.
#[derive(Default)]
pub(super) struct Reader<'v> {
    path: Path<'v>,
    errors: Collector,
}

/// An object whose fields are being read.
pub(super) struct Object<'r, 'v> {
    reader: &'r mut Reader<'v>,
    fields: &'v Map<String, Value>,
}

impl<'v> Reader<'v> {
    /// Reports what is wrong with the value at this place.
    pub(super) fn refuse<T>(&mut self, value: &Value, rule: Rule) -> Option<T> {
        self.errors.add(&self.path, Some(value), rule);
        None
    }

    /// What was read, or everything that was wrong with it.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, CaseErrors> {
        match (read, CaseErrors::of(self.errors.into_errors())) {
            (Some(read), None) => Ok(read),
            (_, Some(errors)) => Err(errors),
            // A read function that returns nothing has reported why, so this does not happen.
            (None, None) => Err(CaseErrors::one(CaseError {
                path: "$".to_owned(),
                value: String::new(),
                rule: Rule::WrongType { expected: Expected::Object },
            })),
        }
    }

    /// The fields of an object.
    pub(super) fn object(&mut self, value: &'v Value) -> Option<Object<'_, 'v>> {
        match value {
            Value::Object(fields) => Some(Object { reader: self, fields }),
            _ => self.refuse(value, Rule::WrongType { expected: Expected::Object }),
        }
    }

    /// The entries of a list. A list over its limit gets that one error and is not looked into.
    pub(super) fn list<T>(
        &mut self,
        value: &'v Value,
        limit: Option<usize>,
        mut read: impl FnMut(&mut Self, &'v Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::Array(values) = value else {
            return self.refuse(value, Rule::WrongType { expected: Expected::List });
        };
        let actual = values.len();
        if let Some(limit) = limit.filter(|limit| actual > *limit) {
            return self.refuse(value, Rule::TooMany { limit, actual });
        }
        let mut entries = Vec::with_capacity(actual);
        for (index, value) in values.iter().enumerate() {
            self.path.push(Step::Index(index), index);
            entries.extend(read(self, value));
            self.path.pop();
        }
        (entries.len() == actual).then_some(entries)
    }

    /// A free text, possibly empty.
    pub(super) fn text(&mut self, value: &'v Value) -> Option<String> {
        let text = self.str(value, Expected::Text)?;
        // A text of so many bytes cannot have more characters, which saves counting those of most texts.
        let actual = if text.len() > MAX_TEXT_CHARS { text.length().unwrap_or_default() } else { 0 };
        if actual > MAX_TEXT_CHARS as u64 {
            return self.refuse(value, Rule::TooLong { limit: MAX_TEXT_CHARS, actual });
        }
        if text.contains('\0') {
            return self.refuse(value, Rule::ControlCharacter);
        }
        Some(text.to_owned())
    }

    /// A name out of an open set, such as a kind or a service.
    pub(super) fn name(&mut self, value: &'v Value) -> Option<String> {
        let text = self.str(value, Expected::Text)?;
        ids::name(text).map_or_else(|rule| self.refuse(value, rule), Some)
    }

    /// A type that is written as a string.
    pub(super) fn parsed<T: FromStr<Err = Rule>>(&mut self, value: &'v Value) -> Option<T> {
        self.parse(value, Expected::Text)
    }

    /// An amount.
    pub(super) fn money(&mut self, value: &'v Value) -> Option<Fen> {
        self.parse(value, Expected::Money)
    }

    /// A point in time.
    pub(super) fn time(&mut self, value: &'v Value) -> Option<Timestamp> {
        self.parse(value, Expected::Time)
    }

    /// How many. JSON has one kind of number, so `2.0` is as good as `2`.
    pub(super) fn quantity(&mut self, value: &'v Value) -> Option<u32> {
        let number = value.as_f64(); // float: a count as JSON writes it
        let Some(number) = number.filter(|n| n.fract() == 0.0) else {
            return self.refuse(value, Rule::WrongType { expected: Expected::Integer });
        };
        let highest = f64::from(MAX_QUANTITY); // float: a count as JSON writes it
        if !number.validate_range(Some(1.0), Some(highest), None, None) {
            return self.refuse(value, Rule::QuantityRange);
        }
        Some(number as u32)
    }

    fn parse<T: FromStr<Err = Rule>>(&mut self, value: &'v Value, expected: Expected) -> Option<T> {
        let text = self.str(value, expected)?;
        text.parse().map_or_else(|rule| self.refuse(value, rule), Some)
    }

    fn str(&mut self, value: &'v Value, expected: Expected) -> Option<&'v str> {
        match value {
            Value::String(text) => Some(text),
            _ => self.refuse(value, Rule::WrongType { expected }),
        }
    }
}

impl<'v> Object<'_, 'v> {
    /// A field that must be there and not null.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'v>, &'v Value) -> Option<T>,
    ) -> Option<T> {
        self.at(name, |reader, value| match value {
            None | Some(Value::Null) => {
                reader.errors.add(&reader.path, value, Rule::Missing);
                None
            }
            Some(value) => read(reader, value),
        })
    }

    /// A field that may be absent or null: `Some(None)`.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'v>, &'v Value) -> Option<T>,
    ) -> Option<Option<T>> {
        self.at(name, |reader, value| match value {
            None | Some(Value::Null) => Some(None),
            Some(value) => read(reader, value).map(Some),
        })
    }

    /// Reports a field that was read but does not go with another one.
    pub(super) fn refuse(&mut self, name: &'static str, rule: Rule) {
        self.at(name, |reader, value| reader.errors.add(&reader.path, value, rule));
    }

    fn at<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Reader<'v>, Option<&'v Value>) -> T) -> T {
        let found = self.fields.iter().enumerate().find(|(_, (key, _))| *key == name);
        let position = found.map_or(usize::MAX, |(position, _)| position);
        self.reader.path.push(Step::Key(Cow::Borrowed(name)), position);
        let read = read(self.reader, found.map(|(_, (_, value))| value));
        self.reader.path.pop();
        read
    }
}
