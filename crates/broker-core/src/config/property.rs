//! One property: its type, default and range, and how a value is checked against them.

/// The type of a property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl Kind {
    /// The number that DescribeConfigs gives the type.
    pub(crate) fn wire(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Option<&'static str>,
    /// As Kafka prints it: `[1,...]`, `[0,...,1]`, `[a, b, c]`, or empty.
    range: &'static str,
}

pub(super) const fn property(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    range: &'static str,
) -> Property {
    Property { name, kind, default, range }
}

impl Property {
    /// Checks a value's type and range; the error says what would be right.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("invalid value {value:?} for {}: {what}", self.name));
        match self.kind {
            Kind::Boolean if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") => {
                wrong("expected true or false")
            }
            Kind::Int => self.check_number(value, f64::from(i32::MIN), f64::from(i32::MAX), "a 32-bit integer"),
            Kind::Short => self.check_number(value, f64::from(i16::MIN), f64::from(i16::MAX), "a 16-bit integer"),
            Kind::Long => self.check_number(value, f64::MIN, f64::MAX, "a 64-bit integer"),
            Kind::Double => match value.trim().parse::<f64>() {
                Ok(number) if self.bounds().is_none_or(|(low, high)| number >= low && number <= high) => Ok(()),
                _ => wrong(&format!("expected a number in {}", self.range)),
            },
            Kind::String | Kind::List => match self.choices() {
                Some(choices) => {
                    let mut parts: Vec<&str> = vec![value];
                    if self.kind == Kind::List {
                        parts = value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
                    }
                    if parts.iter().all(|part| choices.contains(part)) {
                        Ok(())
                    } else {
                        wrong(&format!("expected {}", choices.join(", ")))
                    }
                }
                None => Ok(()),
            },
            Kind::Boolean | Kind::Class | Kind::Password => Ok(()),
        }
    }

    fn check_number(&self, value: &str, low: f64, high: f64, what: &str) -> Result<(), String> {
        let Ok(number) = value.trim().parse::<i64>() else {
            return Err(format!("invalid value {value:?} for {}: expected {what}", self.name));
        };
        // Bounds in the table are far from where f64 loses integers, or are the type's own.
        #[expect(clippy::cast_precision_loss, reason = "only compared with bounds that f64 holds exactly")]
        let number = number as f64;
        let (range_low, range_high) = self.bounds().unwrap_or((low, high));
        let unset = self.range.ends_with("or -1") && number == -1.0;
        if unset || (number >= low.max(range_low) && number <= high.min(range_high)) {
            Ok(())
        } else {
            Err(format!(
                "invalid value {value:?} for {}: expected {what}{}",
                self.name,
                if self.range.is_empty() { String::new() } else { format!(" in {}", self.range) }
            ))
        }
    }

    /// `[low,...,high]` or `[low,...]`.
    fn bounds(&self) -> Option<(f64, f64)> {
        let inner = self.range.strip_prefix('[')?.split(']').next()?;
        let (low, rest) = inner.split_once(",...")?;
        let low = low.parse().ok()?;
        Some((low, rest.strip_prefix(',').and_then(|high| high.parse().ok()).unwrap_or(f64::MAX)))
    }

    /// `[a, b, c]`: the only values.
    fn choices(&self) -> Option<Vec<&'static str>> {
        let inner = self.range.strip_prefix('[')?.strip_suffix(']')?;
        if inner.contains("...") || inner.contains("[") {
            return None;
        }
        Some(inner.split(", ").collect())
    }
}
