//! A field's Rust type and its default.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::super::schema::{Field, Type};
use super::Scope;

pub(super) fn rust_type(scope: &Scope<'_>, field: &Field) -> String {
    let inner = base_type(scope, &field.ty);
    if field.nullable.is_empty() { inner } else { format!("Option<{inner}>") }
}

pub(super) fn base_type(scope: &Scope<'_>, ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::Int(name) => (*name).into(),
        Type::ErrorCode => "ErrorCode".into(),
        Type::Float64 => "f64".into(),
        Type::Uuid => "Uuid".into(),
        Type::String => "ByteStr".into(),
        Type::Bytes => "Bytes".into(),
        Type::Struct(name) => format!("{}{name}", scope.prefix),
        Type::Array(element) => format!("Vec<{}>", base_type(scope, element)),
    }
}

/// The schema's default as an integer.
pub(super) fn number(field: &Field) -> Result<i64> {
    let parse = |text: &str| -> Result<i64> {
        Ok(match text.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16)?,
            None => text.parse()?,
        })
    };
    match &field.default {
        None => Ok(0),
        Some(Value::Number(n)) => n.as_i64().context("an integer"),
        Some(Value::String(text)) if text.is_empty() => Ok(0),
        Some(Value::String(text)) => parse(text),
        Some(other) => bail!("default {other} of {}", field.name),
    }
}

pub(super) fn is_true(field: &Field) -> bool {
    matches!(&field.default, Some(Value::Bool(true))) || field.default.as_ref().and_then(Value::as_str) == Some("true")
}

/// Only the string says so: Kafka's generator takes JSON's own null for "no default given", which is the empty value.
pub(super) fn defaults_to_null(field: &Field) -> bool {
    field.default.as_ref().and_then(Value::as_str) == Some("null")
}

pub(super) fn is_rust_default(field: &Field) -> bool {
    if !field.nullable.is_empty() {
        return defaults_to_null(field);
    }
    match field.ty {
        Type::Bool => !is_true(field),
        Type::Int(_) | Type::ErrorCode => number(field).is_ok_and(|n| n == 0),
        Type::String => field.default.as_ref().and_then(Value::as_str).unwrap_or_default().is_empty(),
        Type::Float64 | Type::Uuid | Type::Bytes | Type::Struct(_) | Type::Array(_) => true,
    }
}

pub(super) fn default_value(field: &Field) -> Result<String> {
    if defaults_to_null(field) {
        return Ok("None".into());
    }
    let plain = match &field.ty {
        Type::Bool => is_true(field).to_string(),
        Type::Int(name) => literal(name, number(field)?),
        Type::ErrorCode => format!("ErrorCode({})", number(field)?),
        Type::String => match field.default.as_ref().and_then(Value::as_str).unwrap_or_default() {
            "" => "ByteStr::default()".into(),
            text => format!("ByteStr::from_static({text:?})"),
        },
        Type::Array(_) => "Vec::new()".into(),
        Type::Bytes => "Bytes::new()".into(),
        Type::Uuid => "Uuid::ZERO".into(),
        Type::Float64 => "0.0".into(),
        Type::Struct(_) => "Default::default()".into(),
    };
    Ok(if field.nullable.is_empty() { plain } else { format!("Some({plain})") })
}

pub(super) fn literal(ty: &str, n: i64) -> String {
    match (ty, n) {
        ("i64", i64::MAX) => "i64::MAX".into(),
        ("i32", n) if n == i64::from(i32::MAX) => "i32::MAX".into(),
        ("i32", n) if n == i64::from(i32::MIN) => "i32::MIN".into(),
        _ => n.to_string(),
    }
}
