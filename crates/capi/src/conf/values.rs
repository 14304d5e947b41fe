//! The values of one configuration object by name: what was set, what `rd_kafka_new` adjusted, and the table's defaults below.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};

use super::ConfRes;
use super::table::{Kind, Names, Property, Scope, find, find_exact, unsupported_feature};

/// Why a value was refused: the code and librdkafka's text.
pub(crate) type Refusal = (ConfRes, String);

/// What a property holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `None` where it was set to nothing: the default holds, and it counts as set.
    Text(Option<String>),
    Int(i32),
    Float(f64),
    /// The address stands in the callbacks.
    Pointer,
}

/// The values of one scope.
#[derive(Clone, Debug)]
pub(super) struct Values {
    scope: Scope,
    set: BTreeMap<&'static str, Value>,
    adjusted: BTreeMap<&'static str, Value>,
}

fn refuse<T>(text: String) -> Result<T, Refusal> {
    Err((ConfRes::INVALID, text))
}

impl Values {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, set: BTreeMap::new(), adjusted: BTreeMap::new() }
    }

    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    /// Sets a property from text; `None` is nothing, which C programs also write as "".
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Refusal> {
        let Some(property) = find(self.scope, name) else {
            return Err((ConfRes::UNKNOWN, format!("No such configuration property: \"{name}\"")));
        };
        let parsed = match property.kind {
            Kind::Flags { default, names } => return self.set_flags(property, default, names, value),
            _ => parse(property, value)?,
        };
        if let Some(parsed) = parsed {
            self.put(property, parsed);
        }
        Ok(())
    }

    /// Flags are added to those that are set, one after the other; those before a wrong one stay.
    fn set_flags(
        &mut self,
        property: &'static Property,
        default: i32,
        names: Names,
        value: Option<&str>,
    ) -> Result<(), Refusal> {
        let name = property.name;
        let Some(value) = value else {
            return refuse(format!("Configuration property \"{name}\" cannot be set to empty value"));
        };
        for flag in value.split(',') {
            let flag = flag.trim_ascii_start();
            let (flag, adds) = match (flag.strip_prefix('+'), flag.strip_prefix('-')) {
                (Some(flag), _) => (flag, true),
                (None, Some(flag)) => (flag, false),
                (None, None) => (flag, true),
            };
            if flag.is_empty() {
                continue;
            }
            let Some((bits, canonical)) = names.iter().find(|known| known.1.eq_ignore_ascii_case(flag)) else {
                return refuse(format!("Invalid value \"{flag}\" for configuration property \"{name}\""));
            };
            if let Some(why) = unsupported_feature(canonical).filter(|_| name == "builtin.features") {
                return refuse(format!("Unsupported value \"{flag}\" for configuration property \"{name}\": {why}"));
            }
            let held = match self.current(name) {
                Some(Value::Int(held)) => *held,
                _ => default,
            };
            self.put(property, Value::Int(if adds { held | bits } else { held & !bits }));
        }
        Ok(())
    }

    pub(super) fn put(&mut self, property: &'static Property, value: Value) {
        self.adjusted.remove(property.name);
        self.set.insert(property.name, value);
    }

    /// Marks a property that is a pointer as set.
    pub(super) fn put_pointer(&mut self, name: &str) {
        if let Some(property) = find_exact(self.scope, name) {
            self.put(property, Value::Pointer);
        }
    }

    /// Changes a value without it counting as set.
    pub(super) fn adjust_int(&mut self, name: &str, value: i32) {
        self.adjust(name, Value::Int(value));
    }

    /// Changes a value without it counting as set.
    pub(super) fn adjust(&mut self, name: &str, value: Value) {
        if let Some(property) = find(self.scope, name) {
            self.adjusted.insert(property.name, value);
        }
    }

    /// What was set or adjusted, by the property's own name.
    pub(super) fn current(&self, name: &str) -> Option<&Value> {
        self.adjusted.get(name).or_else(|| self.set.get(name))
    }

    /// Whether the program has set the property, by this name or another.
    pub(super) fn is_set(&self, name: &str) -> bool {
        find(self.scope, name).is_some_and(|property| self.set.contains_key(property.name))
    }

    /// Whether anything is set.
    pub(super) fn is_any_set(&self) -> bool {
        !self.set.is_empty()
    }

    /// What was set, to be copied into another object.
    pub(super) fn set_value(&self, name: &str) -> Option<&Value> {
        self.set.get(name).map(|set| self.adjusted.get(name).unwrap_or(set))
    }

    /// A text, or the name of a choice; `None` where it is neither or there is none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let property = find(self.scope, name)?;
        match (property.kind, self.current(property.name)) {
            (Kind::Text { .. } | Kind::Patterns, Some(Value::Text(Some(text)))) => Some(text),
            (Kind::Text { default, .. }, _) => default,
            (Kind::Choice { default, names }, held) => {
                let value = match held {
                    Some(Value::Int(value)) => *value,
                    _ => default,
                };
                names.iter().find(|known| known.0 == value).map(|known| known.1)
            }
            _ => None,
        }
    }

    /// A number, a choice's or flags' number, or 0 and 1 for no and yes; 0 for what is none of these.
    pub(super) fn int(&self, name: &str) -> i32 {
        let Some(property) = find(self.scope, name) else { return 0 };
        if let Some(Value::Int(held)) = self.current(property.name) {
            return *held;
        }
        match property.kind {
            Kind::Int { default, .. } | Kind::Choice { default, .. } | Kind::Flags { default, .. } => default,
            Kind::Bool { default } => default.into(),
            _ => 0,
        }
    }

    /// A number that may have a fraction.
    pub(super) fn float(&self, name: &str) -> f64 {
        let Some(property) = find(self.scope, name) else { return 0.0 };
        match (self.current(property.name), property.kind) {
            (Some(Value::Float(held)), _) => *held,
            (_, Kind::Float { default, .. }) => default,
            _ => self.int(name).into(),
        }
    }

    /// The value as it is shown; `None` where there is none, and for pointers, which this does not know.
    pub(super) fn shown(&self, property: &Property) -> Option<String> {
        match property.kind {
            Kind::Text { .. } | Kind::Patterns | Kind::Choice { .. } => self.text(property.name).map(str::to_owned),
            Kind::Int { .. } => Some(self.int(property.name).to_string()),
            Kind::Float { .. } => Some(general(self.float(property.name))),
            Kind::Bool { .. } => Some(if self.int(property.name) == 0 { "false" } else { "true" }.to_owned()),
            Kind::Flags { names, .. } => {
                let held = self.int(property.name);
                let supported = |name: &str| property.name != "builtin.features" || unsupported_feature(name).is_none();
                let shown = names.iter().filter(|(bits, name)| held & bits == *bits && supported(name));
                Some(shown.map(|known| known.1).collect::<Vec<_>>().join(","))
            }
            Kind::Pointer | Kind::Internal | Kind::Alias(_) | Kind::Invalid(_) => None,
        }
    }
}

/// What `value` is for this property; `Ok(None)` where it changes nothing.
fn parse(property: &Property, value: Option<&str>) -> Result<Option<Value>, Refusal> {
    let name = property.name;
    if let Some(why) = property.unsupported {
        return refuse(format!("Configuration property \"{name}\" not supported in this build: {why}"));
    }
    let value = match (property.kind, value) {
        (Kind::Bool { .. }, None) => {
            return refuse(format!("Bool configuration property \"{name}\" cannot be set to empty value"));
        }
        (Kind::Int { .. }, None) => {
            return refuse(format!("Integer configuration property \"{name}\" cannot be set to empty value"));
        }
        (Kind::Float { .. }, None) => {
            return refuse(format!("Float configuration property \"{name}\" cannot be set to empty value"));
        }
        (Kind::Choice { .. }, None) => {
            return refuse(format!("Configuration property \"{name}\" cannot be set to empty value"));
        }
        (_, value) => value,
    };
    let given = value.unwrap_or_default();
    match property.kind {
        Kind::Text { check, trimmed, .. } => {
            let value = if trimmed { value.map(|value| value.trim_start_matches(is_blank)) } else { value };
            match value {
                Some(value) if !check.passes(value) => wrong(name, Some(value)),
                None if check != super::table::Check::Nothing => wrong(name, None),
                value => Ok(Some(Value::Text(value.map(str::to_owned)))),
            }
        }
        Kind::Patterns => {
            if let Some(value) = value {
                super::patterns::check(value).map_err(|text| (ConfRes::INVALID, text))?;
            }
            Ok(Some(Value::Text(value.map(str::to_owned))))
        }
        Kind::Bool { .. } => {
            if ["true", "t", "1"].iter().any(|yes| yes.eq_ignore_ascii_case(given)) {
                Ok(Some(Value::Int(1)))
            } else if ["false", "f", "0"].iter().any(|no| no.eq_ignore_ascii_case(given)) {
                Ok(Some(Value::Int(0)))
            } else {
                refuse(format!("Expected bool value for \"{name}\": true or false"))
            }
        }
        Kind::Int { low, high, names, .. } => {
            let by_name = || names.iter().find(|known| known.1.eq_ignore_ascii_case(given)).map(|known| known.0);
            let Some(number) = integer(given).or_else(by_name) else {
                return refuse(format!("Invalid value for configuration property \"{name}\""));
            };
            if number < low || number > high {
                return refuse(format!(
                    "Configuration property \"{name}\" value {number} is outside allowed range {low}..{high}\n"
                ));
            }
            Ok(Some(Value::Int(number)))
        }
        Kind::Float { low, high, .. } => {
            let Some(number) = fraction(given).filter(|number| !number.is_nan()) else {
                return refuse(format!("Invalid value for configuration property \"{name}\""));
            };
            if number < low || number > high {
                return refuse(format!(
                    "Configuration property \"{name}\" value {} is outside allowed range {}..{}\n",
                    general(number),
                    general(low),
                    general(high)
                ));
            }
            Ok(Some(Value::Float(number)))
        }
        Kind::Choice { names, .. } => {
            let given = given.trim_start_matches(is_blank);
            if given.is_empty() {
                return Ok(None);
            }
            match names.iter().find(|known| known.1.eq_ignore_ascii_case(given)) {
                Some(known) => Ok(Some(Value::Int(known.0))),
                None => refuse(format!("Invalid value \"{given}\" for configuration property \"{name}\"")),
            }
        }
        Kind::Pointer => refuse(format!("Property \"{name}\" must be set through dedicated .._set_..() function")),
        Kind::Internal => refuse(format!("Internal property \"{name}\" not settable")),
        Kind::Invalid(hint) => refuse(hint.to_owned()),
        // Flags and aliases never come here.
        Kind::Flags { .. } | Kind::Alias(_) => Ok(None),
    }
}

fn wrong<T>(name: &str, value: Option<&str>) -> Result<T, Refusal> {
    refuse(format!("Invalid value for configuration property \"{name}\": {}", value.unwrap_or("(null)")))
}

/// What C's `isspace` takes for a blank.
fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// The number that C's `strtol` reads at the beginning, cut to an int as C does; `None` where there is none.
fn integer(text: &str) -> Option<i32> {
    let text = CString::new(text).ok()?;
    let mut end: *mut c_char = std::ptr::null_mut();
    // SAFETY: the text ends in a NUL byte; `end` is written with a pointer into it.
    let number = unsafe { libc::strtol(text.as_ptr(), &raw mut end, 0) };
    // C's conversion: the lower 32 bits.
    let low = i32::from_ne_bytes((number as u32).to_ne_bytes());
    (end.cast_const() != text.as_ptr()).then_some(low)
}

/// The number that C's `strtod` reads at the beginning; `None` where there is none.
fn fraction(text: &str) -> Option<f64> {
    let text = CString::new(text).ok()?;
    let mut end: *mut c_char = std::ptr::null_mut();
    // SAFETY: the text ends in a NUL byte; `end` is written with a pointer into it.
    let number = unsafe { libc::strtod(text.as_ptr(), &raw mut end) };
    (end.cast_const() != text.as_ptr()).then_some(number)
}

/// A number as C's `%g` writes it.
fn general(number: f64) -> String {
    let mut text = [0; 64];
    // SAFETY: the buffer's size is given, and the format asks for one double.
    unsafe { libc::snprintf(text.as_mut_ptr().cast(), text.len(), c"%g".as_ptr(), number) };
    CStr::from_bytes_until_nul(&text).ok().and_then(|text| text.to_str().ok()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, value: Option<&str>) -> String {
        Values::new(Scope::Global).set(name, value).unwrap_err().1
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let mut values = Values::new(Scope::Global);
        for (given, kept) in [("0x10", 16), (" 20", 20), ("077", 63), ("12abc", 12), ("4294967306", 10)] {
            values.set("message.copy.max.bytes", Some(given)).unwrap();
            assert_eq!(values.int("message.copy.max.bytes"), kept, "{given}");
        }
        assert_eq!(
            refused("batch.size", Some("0")),
            "Configuration property \"batch.size\" value 0 is outside allowed range 1..2147483647\n"
        );
        assert_eq!(refused("batch.size", Some("x")), "Invalid value for configuration property \"batch.size\"");
        assert_eq!(
            refused("linger.ms", Some("900001")),
            "Configuration property \"queue.buffering.max.ms\" value 900001 is outside allowed range 0..900000\n"
        );
    }

    #[test]
    fn flags_add_up_and_a_wrong_one_ends_it() {
        let mut values = Values::new(Scope::Global);
        values.set("debug", Some("broker,+topic,,msg")).unwrap();
        values.set("debug", Some("-topic")).unwrap();
        assert!(values.set("debug", Some("cgrp,nothing,fetch")).is_err());
        assert_eq!(values.shown(find(Scope::Global, "debug").unwrap()).unwrap(), "broker,msg,cgrp");
    }

    #[test]
    fn nothing_unsets_a_text_and_is_refused_elsewhere() {
        let mut values = Values::new(Scope::Global);
        values.set("client.id", Some("  me ")).unwrap();
        assert_eq!(values.text("client.id"), Some("me "));
        values.set("client.id", None).unwrap();
        assert_eq!(values.text("client.id"), Some("rdkafka"));
        assert!(values.is_set("client.id"));
        assert!(refused("log.queue", None).contains("cannot be set to empty value"));
    }

    #[test]
    fn an_adjusted_value_holds_and_does_not_count_as_set() {
        let mut values = Values::new(Scope::Global);
        values.adjust_int("max.in.flight", 5);
        assert_eq!(values.int("max.in.flight.requests.per.connection"), 5);
        assert!(!values.is_set("max.in.flight"));
    }
}
