//! `sasl.jaas.config`, in which Java's clients and brokers keep users and options: `Module required name="value" …;`.

/// The options of a login module's line, in their order; `None` where it is not one. Values may be quoted with `"` or `'`, and escaped by `\`.
///
/// ```
/// use felice_protocol::sasl::jaas_options;
/// let line = r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p\"q";"#;
/// let options = jaas_options(line).unwrap();
/// assert_eq!(options, [("username".to_owned(), "u".to_owned()), ("password".to_owned(), "p\"q".to_owned())]);
/// ```
pub fn jaas_options(line: &str) -> Option<Vec<(String, String)>> {
    let mut words = line.trim().splitn(3, char::is_whitespace);
    let (_module, flag) = (words.next()?, words.next()?);
    let control = flag.trim_end_matches(';');
    if !["required", "requisite", "sufficient", "optional"].iter().any(|known| control.eq_ignore_ascii_case(known)) {
        return None;
    }
    let mut rest = words.next().unwrap_or_default().trim_start();
    let mut options = Vec::new();
    while !rest.is_empty() && !rest.starts_with(';') {
        let (name, value) = rest.split_once('=')?;
        let (value, behind) = value_of(value.trim_start())?;
        options.push((name.trim().to_owned(), value));
        rest = behind.trim_start();
    }
    Some(options)
}

/// The value at the front, and what is behind it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    if quote != '"' && quote != '\'' {
        let end = text.find(|c: char| c.is_whitespace() || c == ';').unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    }
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    loop {
        match chars.next()? {
            (_, '\\') => value.push(chars.next()?.1),
            (at, c) if c == quote => return Some((value, &text[at + c.len_utf8()..])),
            (_, c) => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_in_order_and_nonsense_gives_none() {
        let options = jaas_options("M required a=1 user_b='x y' ;").unwrap();
        assert_eq!(options, [("a".to_owned(), "1".to_owned()), ("user_b".to_owned(), "x y".to_owned())]);
        assert_eq!(jaas_options("M required;").unwrap(), []);
        for wrong in ["", "M", "M a=1;", "M required a;", "M required a=\"x;", "M required a=\"x\\"] {
            assert_eq!(jaas_options(wrong), None, "{wrong}");
        }
    }
}
