//! Every message, every version, against bytes that Apache Kafka's own classes wrote (`cargo xtask oracle` records them): what Kafka wrote
//! is read whole, and written back as the same bytes. Cut short, it is an error and never a panic.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use felice_protocol::messages::all::ALL;
use felice_protocol::messages::{ApiKey, entry::MessageEntry};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/messages")
}

struct Case {
    version: i16,
    name: String,
    bytes: Bytes,
}

fn cases(message: &str) -> Vec<Case> {
    let path = testdata().join(format!("{message}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(case).collect()
}

fn case(line: &str) -> Case {
    let mut words = line.split(' ');
    let mut word = || words.next().expect("version, case and bytes");
    Case { version: word().parse().unwrap(), name: word().to_owned(), bytes: unhex(word()) }
}

fn unhex(hex: &str) -> Bytes {
    if hex == "-" {
        return Bytes::new();
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn recode(entry: &MessageEntry, version: i16, bytes: &Bytes) -> Result<Vec<u8>, String> {
    (entry.recode)(bytes.clone(), version)
        .map(|frame| frame.chunks.iter().flat_map(|chunk| chunk.iter().copied()).collect())
        .map_err(|error| format!("{error:?}"))
}

#[test]
fn every_message_of_apache_kafka_comes_back_as_the_same_bytes() {
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in ALL {
        for case in cases(entry.name) {
            count += 1;
            let result = recode(entry, case.version, &case.bytes);
            if result.as_deref() != Ok(&case.bytes[..]) {
                failures.push(format!(
                    "{} v{} {}\n  Kafka {:02x?}\n  ours  {:02x?}",
                    entry.name,
                    case.version,
                    case.name,
                    &case.bytes[..],
                    result
                ));
            }
        }
    }
    assert!(count > 3000, "only {count} cases");
    let shown = failures.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {count} cases differ, the first:\n{shown}", failures.len());
}

#[test]
fn every_version_has_golden_bytes_and_every_file_a_message() {
    let mut files: BTreeSet<String> = fs::read_dir(testdata())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".txt").map(str::to_owned))
        .collect();
    assert!(files.remove("headers"));
    for entry in ALL {
        assert!(files.remove(entry.name), "{}: no golden bytes, or twice in the table", entry.name);
        let versions: BTreeSet<i16> = cases(entry.name).iter().map(|case| case.version).collect();
        let expected: BTreeSet<i16> = (entry.min_version..=entry.max_version).collect();
        assert_eq!(versions, expected, "versions of {}", entry.name);
    }
    assert!(files.is_empty(), "Kafka has these, the table has not: {files:?}");
}

#[test]
fn a_message_cut_short_is_an_error_and_never_a_panic() {
    for entry in ALL {
        let mut seen = BTreeMap::new();
        for case in cases(entry.name) {
            // Long cases repeat themselves: at most 64 cuts each, the early ones all.
            let step = (case.bytes.len() / 48).max(1);
            for end in (0..case.bytes.len().min(16)).chain((16..case.bytes.len()).step_by(step)) {
                let prefix = case.bytes.slice(..end);
                // Where every field behind the cut may be absent (none in flexible versions), a prefix is a message of its own.
                if let Ok(again) = recode(entry, case.version, &prefix) {
                    seen.insert((case.version, case.name.clone(), end), again == prefix[..]);
                }
            }
        }
        assert!(seen.values().all(|same| *same), "{}: a prefix was read as something else: {seen:?}", entry.name);
    }
}

#[test]
fn a_byte_changed_is_never_a_panic_and_what_can_be_read_can_be_written() {
    for entry in ALL {
        for case in cases(entry.name) {
            let step = (case.bytes.len() / 24).max(1);
            for at in (0..case.bytes.len()).step_by(step) {
                for value in [0x00, 0x7f, 0x80, 0xff] {
                    let mut bytes = case.bytes.to_vec();
                    bytes[at] = value;
                    // An alien byte may well be another spelling of a value, so the bytes may differ; what was written then stands.
                    if let Ok(once) = recode(entry, case.version, &Bytes::from(bytes)) {
                        let again = recode(entry, case.version, &Bytes::from(once.clone()));
                        assert_eq!(
                            again,
                            Ok(once),
                            "{} v{} {} byte {at} = {value:#x}",
                            entry.name,
                            case.version,
                            case.name
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn header_versions_are_those_of_apache_kafka() {
    let text = fs::read_to_string(testdata().join("headers.txt")).unwrap();
    let mut ranges: BTreeMap<i16, (i16, i16)> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [key, name, version, request, response] = words[..] else { panic!("{line}") };
        let (key, version) = (key.parse::<i16>().unwrap(), version.parse::<i16>().unwrap());
        let api = ApiKey(key);
        assert_eq!(api.name(), Some(name));
        assert_eq!(api.request_header_version(version), request.parse::<i16>().unwrap(), "request header, {line}");
        assert_eq!(api.response_header_version(version), response.parse::<i16>().unwrap(), "response header, {line}");
        assert_eq!(api.is_flexible(version), request == "2", "{line}");
        let range = ranges.entry(key).or_insert((version, version));
        range.1 = range.1.max(version);
    }
    for (key, range) in ranges {
        assert_eq!(ApiKey(key).valid_versions(), Some(range), "API key {key}");
    }
}
