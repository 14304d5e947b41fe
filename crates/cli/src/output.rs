//! Standard output: tables on a terminal, one JSON object a line in a pipe.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use crate::args::Format;
use crate::failure::{Failure, local_io};

/// Whether a person reads standard output.
pub(crate) fn on_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Writes a line to standard output.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}").map_err(|e| local_io("cannot write to standard output", &e))
}

/// A list: one object an item, all with the same names in the same order.
pub(crate) struct List {
    /// The columns, by their names in JSON; the first names the item.
    pub(crate) columns: &'static [Column],
    pub(crate) rows: Vec<Vec<Value>>,
}

/// A column of a list.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// Its head in a table; `None` leaves it out there.
    pub(crate) head: Option<&'static str>,
}

/// A column that tables show.
pub(crate) const fn column(name: &'static str, head: &'static str) -> Column {
    Column { name, head: Some(head) }
}

/// A column for machines alone.
pub(crate) const fn hidden(name: &'static str) -> Column {
    Column { name, head: None }
}

impl List {
    pub(crate) fn show(&self, format: Option<Format>) -> Result<(), Failure> {
        match format.unwrap_or(if on_terminal() { Format::Table } else { Format::Json }) {
            Format::Table => self.table(),
            Format::Json => self.rows.iter().try_for_each(|row| line(&self.object(row).to_string())),
            Format::Tsv => self.rows.iter().try_for_each(|row| {
                line(&row.iter().map(|v| plain(v).replace(['\t', '\n'], " ")).collect::<Vec<_>>().join("\t"))
            }),
            Format::Name => self.rows.iter().try_for_each(|row| line(&row.first().map(plain).unwrap_or_default())),
        }
    }

    fn object(&self, row: &[Value]) -> Value {
        Value::Object(self.columns.iter().zip(row).map(|(c, v)| (c.name.to_owned(), v.clone())).collect())
    }

    fn table(&self) -> Result<(), Failure> {
        let shown: Vec<(usize, &str)> =
            self.columns.iter().enumerate().filter_map(|(i, c)| c.head.map(|head| (i, head))).collect();
        let cells: Vec<Vec<(String, bool)>> =
            self.rows.iter().map(|row| shown.iter().map(|(i, _)| cell(row.get(*i))).collect()).collect();
        let widths: Vec<usize> = shown
            .iter()
            .enumerate()
            .map(|(at, (_, head))| {
                cells.iter().filter_map(|row| row.get(at)).map(|(t, _)| width(t)).chain([head.len()]).max().unwrap_or(0)
            })
            .collect();
        let numeric: Vec<bool> =
            (0..shown.len()).map(|at| cells.iter().all(|row| row.get(at).is_some_and(|(_, n)| *n))).collect();
        let bold = anstyle::Style::new().bold();
        let heads: Vec<String> = shown.iter().map(|(_, head)| (*head).to_owned()).collect();
        line(&format!("{bold}{}{bold:#}", aligned(&heads, &widths, &numeric)))?;
        for row in &cells {
            let texts: Vec<String> = row.iter().map(|(t, _)| t.clone()).collect();
            line(&aligned(&texts, &widths, &numeric))?;
        }
        Ok(())
    }
}

fn aligned(texts: &[String], widths: &[usize], numeric: &[bool]) -> String {
    let mut out = String::new();
    for ((text, want), right) in texts.iter().zip(widths).zip(numeric) {
        let pad = " ".repeat(want.saturating_sub(width(text)));
        if !out.is_empty() {
            out.push_str("  ");
        }
        if *right {
            out += &pad;
        }
        out += text;
        if !right {
            out += &pad;
        }
    }
    out.trim_end().to_owned()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn cell(value: Option<&Value>) -> (String, bool) {
    match value {
        None | Some(Value::Null) => ("-".to_owned(), false),
        Some(Value::Number(n)) => (n.as_i64().map_or_else(|| n.to_string(), thousands), true),
        Some(other) => (plain(other), false),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// `1234567` becomes `1,234,567`.
pub(crate) fn thousands(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if n < 0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(-1_000), "-1,000");
        assert_eq!(thousands(999), "999");
    }

    #[test]
    fn numbers_stand_right_and_words_left() {
        let row = ["a".to_owned(), "7".to_owned()];
        assert_eq!(aligned(&row, &[3, 4], &[false, true]), "a       7");
    }
}
