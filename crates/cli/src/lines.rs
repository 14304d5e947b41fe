//! Lines of a file or of standard input, read by a thread of their own so that a slow pipe holds up nothing else.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::Path;

use tokio::sync::mpsc;

use crate::failure::{Exit, Failure, local_io};

/// What may be in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The longest line, in bytes.
    pub(crate) limit: usize,
    /// Whether a line may be other than UTF-8.
    pub(crate) binary: bool,
}

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Blocks of lines, or why there are no more.
pub(crate) type Lines = mpsc::Receiver<Result<Vec<Line>, Failure>>;

/// Opens a file, or standard input, and begins to read.
pub(crate) fn read(path: Option<&Path>, rules: Rules) -> Result<Lines, Failure> {
    let (name, source): (String, Box<dyn Read + Send>) = match path {
        None => ("standard input".to_owned(), Box::new(stdin())),
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|e| local_io(format!("cannot open {name}"), &e))?;
            if file.metadata().is_ok_and(|m| m.is_dir()) {
                return Err(Failure::new(Exit::SomeFailed, "io", format!("{name} is a directory")).fix("give a file"));
            }
            (name, Box::new(file))
        }
    };
    let (blocks, lines) = mpsc::channel(4);
    let reading = move || {
        let mut reader = BufReader::with_capacity(256 * 1024, source);
        let mut number = 0;
        loop {
            let block = block(&mut reader, &name, rules, &mut number);
            let last = !matches!(&block, Ok(lines) if !lines.is_empty());
            // Nobody listens any more where the command has ended.
            if (matches!(&block, Ok(lines) if lines.is_empty())) || blocks.blocking_send(block).is_err() || last {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("felice-lines".into())
        .spawn(reading)
        .map_err(|e| local_io("cannot start a thread", &e))?;
    Ok(lines)
}

/// The lines that can be had without waiting for more, at least one; none at the end.
fn block(reader: &mut BufReader<impl Read>, name: &str, rules: Rules, number: &mut u64) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    loop {
        let mut bytes = Vec::new();
        let most = rules.limit as u64 + 2;
        let read = reader.by_ref().take(most).read_until(b'\n', &mut bytes);
        let read = read.map_err(|e| local_io(format!("cannot read {name}"), &e))?;
        if read == 0 {
            return Ok(lines);
        }
        *number += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.len() > rules.limit {
            return Err(too_long(name, *number, rules.limit));
        }
        if !rules.binary
            && let Err(error) = std::str::from_utf8(&bytes)
        {
            return Err(not_utf8(name, *number, error.valid_up_to()));
        }
        lines.push(Line { number: *number, bytes });
        if !reader.buffer().contains(&b'\n') {
            return Ok(lines);
        }
    }
}

fn too_long(name: &str, number: u64, limit: usize) -> Failure {
    Failure::new(Exit::SomeFailed, "line-too-long", format!("line {number} of {name} is longer than a record may be"))
        .evidence(format!("more than {limit} bytes, which max.request.size allows"))
        .fix("-X max.request.size=BYTES, and max.message.bytes at the topic; or split the line")
}

fn not_utf8(name: &str, number: u64, at: usize) -> Failure {
    Failure::new(Exit::SomeFailed, "not-utf8", format!("line {number} of {name} is not UTF-8"))
        .evidence(format!("byte {} of the line", at + 1))
        .fix("--binary sends lines as they are")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], rules: Rules) -> Result<Vec<Line>, Failure> {
        let mut reader = BufReader::with_capacity(8, text);
        let (mut lines, mut number) = (Vec::new(), 0);
        loop {
            let more = block(&mut reader, "test", rules, &mut number)?;
            if more.is_empty() {
                return Ok(lines);
            }
            lines.extend(more);
        }
    }

    const RULES: Rules = Rules { limit: 10, binary: false };

    #[test]
    fn the_last_line_needs_no_end() {
        let lines = all(b"a\n\nlonger one\nz", RULES).unwrap();
        let texts: Vec<_> = lines.iter().map(|l| String::from_utf8(l.bytes.clone()).unwrap()).collect();
        assert_eq!(texts, ["a", "", "longer one", "z"]);
        assert_eq!(lines[3].number, 4);
    }

    #[test]
    fn a_line_above_the_limit_is_refused_before_it_is_read_whole() {
        let failure = all(b"ok\n0123456789x\n", RULES).unwrap_err();
        assert_eq!((failure.id, failure.what.contains("line 2")), ("line-too-long", true));
    }

    #[test]
    fn bytes_that_are_not_utf8_need_a_word() {
        assert_eq!(all(b"ok\n\xff\n", RULES).unwrap_err().id, "not-utf8");
        assert!(all(b"ok\n\xff\n", Rules { binary: true, ..RULES }).is_ok());
    }
}
