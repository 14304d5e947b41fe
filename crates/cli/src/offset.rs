//! Where `consume -o` starts and `group seek --to` goes: `start`, `end`, an offset, `-N` or `end-N`, `@TIME`.

use felice::Seek;
use jiff::{Timestamp, Zoned, civil, tz::TimeZone};

use crate::failure::Failure;

/// A place in every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "`start` is what a user types")]
pub(crate) enum Start {
    Start,
    End,
    Offset(i64),
    /// So many records before the end of each partition.
    BeforeEnd(i64),
    /// The first record of this time or later, in milliseconds since 1970.
    Time(i64),
}

impl From<Start> for Seek {
    fn from(start: Start) -> Self {
        match start {
            Start::Start => Self::Start,
            Start::End => Self::End,
            Start::Offset(offset) => Self::Offset(offset),
            Start::BeforeEnd(n) => Self::BeforeEnd(n),
            Start::Time(millis) => Self::Time(millis),
        }
    }
}

impl Start {
    pub(crate) fn parse(text: &str, now: &Zoned) -> Result<Self, Failure> {
        let number = |digits: &str| digits.parse::<i64>().ok().filter(|n| *n >= 0);
        let parsed = match text {
            "start" | "beginning" | "earliest" | "s" => Some(Self::Start),
            "end" | "latest" | "e" => Some(Self::End),
            _ => match (text.strip_prefix("end-").or_else(|| text.strip_prefix('-')), text.strip_prefix('@')) {
                (Some(digits), _) => number(digits).map(Self::BeforeEnd),
                (_, Some(time)) => parse_time(time, now).map(Self::Time),
                _ => number(text).map(Self::Offset),
            },
        };
        parsed.ok_or_else(|| {
            let failure = Failure::usage(format!("'{text}' is not a place to start from")).fix(
                "-o start, end, an OFFSET, -N or end-N (the last N), or @TIME (2026-11-21, RFC 3339, unix time, @-1h)",
            );
            if matches!(text, "json" | "table" | "tsv") {
                failure.evidence("-o is the offset; the output's format is -f")
            } else {
                failure
            }
        })
    }
}

/// `2026-11-21`, RFC 3339, unix seconds or milliseconds, `-1h30m`, `today`, `now`.
fn parse_time(text: &str, now: &Zoned) -> Option<i64> {
    if let Ok(n) = text.parse::<i64>()
        && n >= 0
    {
        // Below this, milliseconds would be before April 1970 and seconds are before 5138.
        return Some(if n < 100_000_000_000 { n.checked_mul(1000)? } else { n });
    }
    if let Some(ago) = text.strip_prefix('-') {
        let span: jiff::Span = ago.parse().ok()?;
        return Some(now.checked_sub(span).ok()?.timestamp().as_millisecond());
    }
    match text {
        "now" => return Some(now.timestamp().as_millisecond()),
        "today" => return Some(now.start_of_day().ok()?.timestamp().as_millisecond()),
        _ => {}
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    let local = |at: civil::DateTime| at.to_zoned(now.time_zone().clone()).ok().map(|z| z.timestamp().as_millisecond());
    local(text.parse::<civil::DateTime>().ok()?)
}

/// The clock, in the local time zone.
pub(crate) fn now() -> Zoned {
    Timestamp::now().to_zoned(TimeZone::system())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Start, Failure> {
        let now: Zoned = "2026-11-21T12:00:00+00:00[UTC]".parse().unwrap();
        Start::parse(text, &now)
    }

    #[test]
    fn every_form_is_understood() {
        assert_eq!(parse("start").unwrap(), Start::Start);
        assert_eq!(parse("end").unwrap(), Start::End);
        assert_eq!(parse("42").unwrap(), Start::Offset(42));
        assert_eq!(parse("-5").unwrap(), Start::BeforeEnd(5));
        assert_eq!(parse("end-5").unwrap(), Start::BeforeEnd(5));
        assert_eq!(parse("@1700000000").unwrap(), Start::Time(1_700_000_000_000));
        assert_eq!(parse("@1700000000123").unwrap(), Start::Time(1_700_000_000_123));
        assert_eq!(parse("@-1h").unwrap(), Start::Time(1_795_258_800_000));
        assert_eq!(parse("@2026-11-21").unwrap(), Start::Time(1_795_219_200_000));
        assert_eq!(parse("@2026-11-21T00:00:00Z").unwrap(), Start::Time(1_795_219_200_000));
        assert_eq!(parse("@today").unwrap(), Start::Time(1_795_219_200_000));
    }

    #[test]
    fn a_format_given_as_an_offset_gets_the_correction() {
        let failure = parse("json").unwrap_err();
        assert!(failure.evidence.iter().any(|e| e.contains("-f")), "{failure:?}");
        assert!(parse("--5").is_err());
        assert!(parse("@yesterday-ish").is_err());
    }
}
