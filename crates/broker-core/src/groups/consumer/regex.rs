//! Subscriptions by regular expression: compiled in RE2's syntax, in time linear to the name, matched against whole names.
//!
//! Kafka uses RE2/J; the crate `regex` is of the same family. [`translated`] takes care of where they read a pattern differently.

use std::collections::BTreeSet;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Now;

use super::change::Change;
use super::config::ConsumerGroupConfig;
use super::{ConsumerGroup, GroupError, Records};
use crate::groups::topics_view::TopicsView;

/// The largest program that a pattern may become: a pattern comes from outside.
const MAX_PROGRAM_BYTES: usize = 1 << 20;
/// Memory for matching; beyond it matching gets slower, not wrong.
const MAX_CACHE_BYTES: usize = 1 << 20;

/// What a regular expression stood for when it was last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedRegex {
    pub(crate) topics: BTreeSet<ByteStr>,
    /// Of the metadata, in Kafka; nothing here depends on it.
    pub(crate) version: i64,
    /// Wall milliseconds.
    pub(crate) timestamp: i64,
}

/// A pattern, ready to match whole names.
///
/// # Errors
/// INVALID_REGULAR_EXPRESSION, with the place.
pub(super) fn compile(pattern: &str) -> Result<::regex::Regex, GroupError> {
    let refuse = |reason: &str| {
        GroupError::new(
            ErrorCode::INVALID_REGULAR_EXPRESSION,
            format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}."),
        )
    };
    let translated = translated(pattern).ok_or_else(|| refuse("invalid nested repetition operator"))?;
    // Alone first, so that what is wrong is told about the user's own pattern, and a stray parenthesis cannot close the group below.
    let check = |text: &str| {
        ::regex::RegexBuilder::new(text).size_limit(MAX_PROGRAM_BYTES).dfa_size_limit(MAX_CACHE_BYTES).build()
    };
    check(&translated).and_then(|_| check(&format!(r"\A(?:{translated})\z"))).map_err(|error| {
        let reason = error.to_string();
        refuse(reason.lines().last().unwrap_or_default().trim_start_matches("error: "))
    })
}

/// The pattern as the crate `regex` has to be given it: `\Q…\E` quotes; within `[…]` a bracket and doubled operators are themselves; a brace
/// that repeats nothing is a brace. `None` where a repetition is repeated, which RE2 refuses.
fn translated(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    // What stood before: nothing that repeats, a repetition, a lazy one.
    let mut repeats = 0;
    while let Some(next) = rest.chars().next() {
        let after = rest.get(next.len_utf8()..).unwrap_or_default();
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let (text, behind) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            out.push_str(&::regex::escape(text));
            rest = behind;
            repeats = 0;
            continue;
        }
        rest = after;
        let counted = if in_class { None } else { counted_repetition(after).filter(|_| next == '{') };
        if !in_class && (matches!(next, '*' | '+' | '?') || counted.is_some()) {
            repeats = match (repeats, next) {
                (0, _) => 1,
                (1, '?') => 2,
                _ => return None,
            };
            out.push(next);
            out.push_str(counted.unwrap_or_default());
            rest = after.get(counted.map_or(0, str::len)..).unwrap_or_default();
            continue;
        }
        repeats = 0;
        match next {
            '\\' => {
                let escaped = after.chars().next();
                out.push(next);
                out.extend(escaped);
                rest = after.get(escaped.map_or(0, char::len_utf8)..).unwrap_or_default();
            }
            '{' | '}' if !in_class => {
                out.push('\\');
                out.push(next);
            }
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                // `]` directly behind the opening is a member of the class.
                for first in ["^", "]"] {
                    if let Some(behind) = rest.strip_prefix(first) {
                        out.push_str(if first == "]" { r"\]" } else { "^" });
                        rest = behind;
                    }
                }
            }
            '[' if let Some(end) = after.strip_prefix(':').and_then(|name| name.find(":]")) => {
                let name = after.get(..end + 3).unwrap_or_default();
                out.push('[');
                out.push_str(name);
                rest = after.get(name.len()..).unwrap_or_default();
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(next);
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            _ => out.push(next),
        }
    }
    Some(out)
}

/// What follows a `{` up to its `}`, where that is a number, or one or two with a comma.
fn counted_repetition(after: &str) -> Option<&str> {
    let (inside, _) = after.split_once('}')?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let counts = !least.is_empty() && is_number(least) && is_number(most);
    counts.then(|| after.get(..=inside.len())).flatten()
}

impl ConsumerGroup {
    /// Sees to it that every regular expression of the members is resolved against the topics of now; whether what it stands for has
    /// changed.
    ///
    /// Kafka does this in the background and at most every ten seconds. Here it takes a moment, and a topic counts from the first heartbeat
    /// after its creation on.
    pub(super) fn resolve_regexes(
        &mut self,
        now: Now,
        view: TopicsView<'_>,
        config: &ConsumerGroupConfig,
        records: &mut Records,
    ) -> bool {
        let too_old = now.wall_millis.saturating_sub(config.regex_refresh_interval_ms);
        let due: Vec<ByteStr> = self
            .regex_counts
            .keys()
            .filter(|regex| {
                self.regexes_outdated || self.regexes.get(*regex).is_none_or(|resolved| resolved.timestamp < too_old)
            })
            .cloned()
            .collect();
        self.regexes_outdated = false;
        let mut changed = false;
        for pattern in due {
            // Checked when the member brought it; one from another coordinator that cannot be read here stands for nothing.
            let topics: BTreeSet<ByteStr> = match compile(&pattern) {
                Ok(regex) => view.names().filter(|name| regex.is_match(name)).cloned().collect(),
                Err(_) => BTreeSet::new(),
            };
            let old = self.regexes.get(&pattern);
            let same = old.is_some_and(|old| old.topics == topics);
            if same && old.is_none_or(|old| old.timestamp >= too_old) {
                continue;
            }
            changed |= !same;
            let resolved = ResolvedRegex { topics, version: 0, timestamp: now.wall_millis };
            records.make(self, Change::Regex(pattern, Some(resolved)));
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        compile(pattern).unwrap().is_match(name)
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        assert!(matches("foo.*", "foobar"));
        assert!(!matches("foo", "foobar"));
        assert!(!matches("oo", "foo"));
        assert!(matches("foo|bar", "bar"));
        assert!(!matches("foo|bar", "foob"));
        assert!(!matches("", "foo"));
    }

    #[test]
    fn the_syntax_is_that_of_re2() {
        assert!(matches(r"\Qa.b\E-\d+", "a.b-12"));
        assert!(!matches(r"\Qa.b\E-\d+", "axb-12"));
        assert!(matches(r"[[:alpha:]]+", "abc"));
        assert!(matches(r"[a[]+", "a[a"));
        assert!(matches(r"[]a]+", "a]"));
        assert!(matches(r"[a&&b]+", "a&b"));
        assert!(matches(r"a{", "a{"));
        assert!(matches(r"[*+]+?", "*+"));
        assert!(matches(r"a{1,2}?b{2}c{2,}", "aabbccc"));
        assert!(matches(r"(?i)FOO-[0-9]{2}", "foo-12"));
        assert!(matches(r"\x61\pL", "ab"));
    }

    #[test]
    fn what_cannot_be_read_or_is_too_large_is_refused() {
        for pattern in ["(", ")", "a)(b", "[a", r"(?=x)", r"\1x", "*a", "(((((a{1,500}){1,500}){1,500}))"] {
            let error = compile(pattern).unwrap_err();
            assert_eq!(error.code, ErrorCode::INVALID_REGULAR_EXPRESSION, "{pattern}");
            assert!(error.message.contains(pattern), "{}", error.message);
        }
    }
}
