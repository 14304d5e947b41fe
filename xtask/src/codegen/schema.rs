//! Kafka's message schemas, as they lie in its jars: JSON with `//` comments.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The jars that hold schemas.
const JARS: [&str; 7] = [
    "kafka-clients",
    "kafka-group-coordinator",
    "kafka-transaction-coordinator",
    "kafka-share-coordinator",
    "kafka-metadata",
    "kafka-storage",
    "kafka-raft",
];

/// A closed range of versions; empty where `min > max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Versions {
    const NONE: Self = Self { min: 0, max: -1 };

    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text == "none" {
            return Ok(Self::NONE);
        }
        if let Some(min) = text.strip_suffix('+') {
            return Ok(Self { min: min.parse()?, max: i16::MAX });
        }
        match text.split_once('-') {
            Some((min, max)) => Ok(Self { min: min.parse()?, max: max.parse()? }),
            None => Ok(Self { min: text.parse()?, max: text.parse()? }),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.min > self.max
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        other.is_empty() || (self.min <= other.min && other.max <= self.max)
    }

    pub(crate) fn intersect(self, other: Self) -> Self {
        Self { min: self.min.max(other.min), max: self.max.min(other.max) }
    }

    /// As a schema writes it.
    pub(crate) fn text(self) -> String {
        match self {
            _ if self.is_empty() => "none".into(),
            Self { min, max } if min == max => min.to_string(),
            Self { min, max: i16::MAX } => format!("{min}+"),
            Self { min, max } => format!("{min}-{max}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    /// Headers, records and values that go into records: they have no response.
    Data,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    /// Rust's name of the integer type.
    Int(&'static str),
    ErrorCode,
    Float64,
    Uuid,
    String,
    Bytes,
    Struct(String),
    Array(Box<Type>),
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) type_text: String,
    pub(crate) ty: Type,
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) tagged: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) ignorable: bool,
    pub(crate) default: Option<Value>,
    /// A field may refuse its message's compact form.
    pub(crate) never_flexible: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) versions: Versions,
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) api_key: Option<i16>,
    pub(crate) valid: Versions,
    pub(crate) flexible: Versions,
    pub(crate) latest_unstable: bool,
    /// The message itself.
    pub(crate) root: Struct,
    /// Its nested structs, in the order of the schema.
    pub(crate) nested: Vec<Struct>,
}

/// Every message of Kafka's jars that has a valid version, by name.
pub(crate) fn load(libs: &Path) -> Result<BTreeMap<String, Message>> {
    let mut messages = BTreeMap::new();
    for jar in JARS {
        let path = libs.join(format!("{jar}-4.3.1.jar"));
        let file = std::fs::File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut archive = zip::ZipArchive::new(file)?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            let name = entry.name().to_owned();
            if !name.ends_with(".json") {
                continue;
            }
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            let json: Value = serde_json::from_str(&without_comments(&text)).with_context(|| name.clone())?;
            let message = message(&json).with_context(|| name.clone())?;
            if message.valid.is_empty() {
                continue;
            }
            if messages.insert(message.name.clone(), message).is_some() {
                bail!("two schemas have the name of {name}");
            }
        }
    }
    Ok(messages)
}

/// Drops `//` comments; no string of a schema that is used holds two slashes outside its `about`.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut quoted = false;
        let mut previous = ' ';
        let end = line.char_indices().find_map(|(at, c)| {
            if c == '"' && previous != '\\' {
                quoted = !quoted;
            }
            let comment = !quoted && c == '/' && previous == '/';
            previous = c;
            comment.then(|| at - 1)
        });
        out.push_str(&line[..end.unwrap_or(line.len())]);
        out.push('\n');
    }
    out
}

fn text<'a>(json: &'a Value, key: &str) -> Result<&'a str> {
    json[key].as_str().with_context(|| format!("no {key}"))
}

fn versions(json: &Value, key: &str) -> Result<Versions> {
    json[key].as_str().map_or(Ok(Versions::NONE), Versions::parse)
}

fn message(json: &Value) -> Result<Message> {
    let valid = Versions::parse(text(json, "validVersions")?)?;
    let kind = match text(json, "type")? {
        "request" => Kind::Request,
        "response" => Kind::Response,
        _ => Kind::Data,
    };
    let mut nested = Vec::new();
    for common in json["commonStructs"].as_array().into_iter().flatten() {
        nest(common, text(common, "name")?, &mut nested)?;
    }
    let fields = fields(json, &mut nested)?;
    let name = text(json, "name")?.to_owned();
    Ok(Message {
        kind,
        api_key: json["apiKey"].as_i64().map(i16::try_from).transpose()?,
        valid,
        flexible: versions(json, "flexibleVersions")?,
        latest_unstable: json["latestVersionUnstable"].as_bool().unwrap_or(false),
        root: Struct { name: name.clone(), versions: valid, fields },
        nested,
        name,
    })
}

fn nest(json: &Value, name: &str, nested: &mut Vec<Struct>) -> Result<()> {
    let at = nested.len();
    let fields = fields(json, nested)?;
    nested.insert(at, Struct { name: name.to_owned(), versions: versions(json, "versions")?, fields });
    Ok(())
}

fn fields(json: &Value, nested: &mut Vec<Struct>) -> Result<Vec<Field>> {
    let field = |f| field(f, nested).with_context(|| format!("field {}", f["name"]));
    json["fields"].as_array().into_iter().flatten().map(field).collect()
}

fn field(json: &Value, nested: &mut Vec<Struct>) -> Result<Field> {
    let name = text(json, "name")?.to_owned();
    let type_text = text(json, "type")?.to_owned();
    let ty = match type_text.as_str() {
        "int16" if name.ends_with("ErrorCode") => Type::ErrorCode,
        other => parse_type(other),
    };
    if json["fields"].is_array() {
        nest(json, type_text.trim_start_matches("[]"), nested)?;
    }
    Ok(Field {
        name,
        type_text,
        ty,
        versions: match json.get("versions") {
            Some(_) => versions(json, "versions")?,
            // One tagged field of 4.3.1 leaves it out: it is there where it is tagged.
            None => versions(json, "taggedVersions")?,
        },
        nullable: versions(json, "nullableVersions")?,
        tagged: versions(json, "taggedVersions")?,
        tag: json["tag"].as_u64().map(u32::try_from).transpose()?,
        ignorable: json["ignorable"].as_bool().unwrap_or(false),
        default: json.get("default").cloned(),
        never_flexible: json["flexibleVersions"].as_str() == Some("none"),
    })
}

fn parse_type(text: &str) -> Type {
    match text {
        "bool" => Type::Bool,
        "int8" => Type::Int("i8"),
        "int16" => Type::Int("i16"),
        "uint16" => Type::Int("u16"),
        "int32" => Type::Int("i32"),
        "uint32" => Type::Int("u32"),
        "int64" => Type::Int("i64"),
        "float64" => Type::Float64,
        "uuid" => Type::Uuid,
        "string" => Type::String,
        "bytes" | "records" => Type::Bytes,
        other => match other.strip_prefix("[]") {
            Some(element) => Type::Array(Box::new(parse_type(element))),
            None => Type::Struct(other.to_owned()),
        },
    }
}
