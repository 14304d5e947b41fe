//! The table of librdkafka's properties: names, ranges, defaults and marks, in the order in which they are dumped.
//!
//! A property of the same name may stand in both scopes (`compression.codec`): [`find`] asks for the scope too.

mod client;
mod general;

pub(crate) use general::DEBUG_CONTEXTS;
mod security;
mod topic;

/// Where a property belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `rd_kafka_conf_t`.
    Global,
    /// `rd_kafka_topic_conf_t`.
    Topic,
}

/// Who reads a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Any,
    Producer,
    Consumer,
}

/// What a text must be besides text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Nothing,
    BrokerVersion,
    Partitioner,
    SingleWord,
}

impl Check {
    /// Whether `value` passes.
    pub(crate) fn passes(self, value: &str) -> bool {
        match self {
            Self::Nothing => true,
            // A version that is not known is taken for a new one.
            Self::BrokerVersion => !value.starts_with("0.7.") && !value.starts_with("0.6."),
            Self::Partitioner => matches!(
                value,
                "random" | "consistent" | "consistent_random" | "murmur2" | "murmur2_random" | "fnv1a" | "fnv1a_random"
            ),
            Self::SingleWord => !value.contains([',', ' ']),
        }
    }
}

/// Numbers and their names.
pub(crate) type Names = &'static [(i32, &'static str)];

/// Type, range and default.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text {
        default: Option<&'static str>,
        check: Check,
        trimmed: bool,
    },
    Int {
        low: i32,
        high: i32,
        default: i32,
        names: Names,
    },
    Float {
        low: f64,
        high: f64,
        default: f64,
    },
    Bool {
        default: bool,
    },
    /// One of the names.
    Choice {
        default: i32,
        names: Names,
    },
    /// Any of the names, each a bit or more.
    Flags {
        default: i32,
        names: Names,
    },
    /// Regular expressions with commas between.
    Patterns,
    /// Set by a function of its own.
    Pointer,
    /// Set by a function of its own, and never shown.
    Internal,
    /// Another name for a property of the same scope.
    Alias(&'static str),
    /// A name of the Java client's that is refused with this hint.
    Invalid(&'static str),
}

/// How much a property matters, for `rd_kafka_conf_properties_show`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Importance {
    Low,
    Medium,
    High,
}

/// One property.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    pub(crate) importance: Importance,
    pub(crate) hidden: bool,
    pub(crate) deprecated: bool,
    pub(crate) experimental: bool,
    /// Never shown in logs.
    pub(crate) sensitive: bool,
    /// Why it cannot be set here.
    pub(crate) unsupported: Option<&'static str>,
}

const fn property(name: &'static str, kind: Kind) -> Property {
    Property {
        name,
        kind,
        role: Role::Any,
        importance: Importance::Low,
        hidden: false,
        deprecated: false,
        experimental: false,
        sensitive: false,
        unsupported: None,
    }
}

const fn text(name: &'static str) -> Property {
    property(name, Kind::Text { default: None, check: Check::Nothing, trimmed: true })
}

const fn int(name: &'static str, low: i32, high: i32, default: i32) -> Property {
    property(name, Kind::Int { low, high, default, names: &[] })
}

const fn float(name: &'static str, low: f64, high: f64, default: f64) -> Property {
    property(name, Kind::Float { low, high, default })
}

const fn yes_no(name: &'static str, default: bool) -> Property {
    property(name, Kind::Bool { default })
}

const fn choice(name: &'static str, default: i32, names: Names) -> Property {
    property(name, Kind::Choice { default, names })
}

const fn flags(name: &'static str, default: i32, names: Names) -> Property {
    property(name, Kind::Flags { default, names })
}

const fn patterns(name: &'static str) -> Property {
    property(name, Kind::Patterns)
}

const fn pointer(name: &'static str) -> Property {
    property(name, Kind::Pointer)
}

const fn internal(name: &'static str) -> Property {
    property(name, Kind::Internal)
}

const fn alias(name: &'static str, of: &'static str) -> Property {
    property(name, Kind::Alias(of))
}

const fn invalid(name: &'static str, hint: &'static str) -> Property {
    property(name, Kind::Invalid(hint))
}

impl Property {
    const fn or(mut self, value: &'static str) -> Self {
        if let Kind::Text { default, .. } = &mut self.kind {
            *default = Some(value);
        }
        self
    }

    const fn checked(mut self, by: Check) -> Self {
        if let Kind::Text { check, .. } = &mut self.kind {
            *check = by;
        }
        self
    }

    /// Blanks in front of the value belong to it.
    const fn untrimmed(mut self) -> Self {
        if let Kind::Text { trimmed, .. } = &mut self.kind {
            *trimmed = false;
        }
        self
    }

    const fn named(mut self, by: Names) -> Self {
        if let Kind::Int { names, .. } = &mut self.kind {
            *names = by;
        }
        self
    }

    const fn producer(mut self) -> Self {
        self.role = Role::Producer;
        self
    }

    const fn consumer(mut self) -> Self {
        self.role = Role::Consumer;
        self
    }

    const fn high(mut self) -> Self {
        self.importance = Importance::High;
        self
    }

    const fn medium(mut self) -> Self {
        self.importance = Importance::Medium;
        self
    }

    const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    const fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }

    const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    const fn unsupported(mut self, why: &'static str) -> Self {
        self.unsupported = Some(why);
        self
    }
}

/// The properties of a scope, in order.
pub(crate) fn properties(scope: Scope) -> impl Iterator<Item = &'static Property> {
    let tables: &[&'static [Property]] = match scope {
        Scope::Global => &[general::PROPERTIES, security::PROPERTIES, client::PROPERTIES],
        Scope::Topic => &[topic::PROPERTIES],
    };
    tables.iter().flat_map(|table| table.iter())
}

/// The property of exactly this name, alias or not.
pub(crate) fn find_exact(scope: Scope, name: &str) -> Option<&'static Property> {
    properties(scope).find(|property| property.name == name)
}

/// The property of this name or alias.
pub(crate) fn find(scope: Scope, name: &str) -> Option<&'static Property> {
    let property = find_exact(scope, name)?;
    match property.kind {
        Kind::Alias(of) => find_exact(scope, of),
        _ => Some(property),
    }
}

pub(crate) use general::unsupported_feature;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_leads_to_a_property_and_every_default_is_in_range() {
        for scope in [Scope::Global, Scope::Topic] {
            for property in properties(scope) {
                match property.kind {
                    Kind::Alias(of) => assert!(!matches!(find_exact(scope, of).unwrap().kind, Kind::Alias(_)), "{of}"),
                    Kind::Int { low, high, default, .. } => {
                        assert!((low..=high).contains(&default), "{}", property.name)
                    }
                    Kind::Float { low, high, default } => assert!((low..=high).contains(&default), "{}", property.name),
                    Kind::Text { default: Some(default), check, .. } => assert!(check.passes(default)),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn broker_versions_that_are_too_old_are_refused() {
        assert!(Check::BrokerVersion.passes("0.10.2.1"));
        assert!(!Check::BrokerVersion.passes("0.7.2"));
    }
}
