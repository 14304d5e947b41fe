//! The bodies of `encode`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use super::super::schema::{Field, Struct, Type, Versions};
use super::decode::is_tagged;
use super::types::{default_value, defaults_to_null, is_rust_default, is_true, literal, number};
use super::versions::{condition, flexible, negated, places};
use super::{Scope, has_tags, ident, live};

pub(super) fn encode_body(out: &mut String, scope: &Scope<'_>, of: &Struct) -> Result<()> {
    let live = live(scope, of);
    for field in &of.fields {
        let (plain, tagged) = places(scope, of, field)?;
        let write = if plain.is_empty() { String::new() } else { write(scope, field, plain) };
        let present = live.intersect(field.versions);
        let mut refuse = String::new();
        if !field.ignorable && condition(present, live).is_some() && !present.is_empty() {
            refuse = format!(
                "if {} {{ return Err(EncodeError::FieldNotInVersion {{ field: {:?}, version }}); }}",
                is_set(field)?,
                field.name
            );
        }
        match (condition(plain, live), plain.is_empty()) {
            (None, _) => writeln!(out, "{write}")?,
            (Some(when), false) if tagged.is_empty() && !refuse.is_empty() => {
                writeln!(out, "if {when} {{ {write} }} else {refuse}")?;
            }
            (Some(when), false) => writeln!(out, "if {when} {{ {write} }}")?,
            (Some(_), true) => match condition(tagged, live) {
                Some(when) if !refuse.is_empty() => {
                    writeln!(out, "if {} && {}", negated(&when), &refuse["if ".len()..])?
                }
                _ => {}
            },
        }
    }
    if has_tags(scope, of) {
        encode_tags(out, scope, of)?;
    }
    out.push_str("Ok(())\n");
    Ok(())
}

fn encode_tags(out: &mut String, scope: &Scope<'_>, of: &Struct) -> Result<()> {
    let live = live(scope, of);
    let mut tagged_fields = Vec::new();
    for field in &of.fields {
        let (_, tagged) = places(scope, of, field)?;
        if !tagged.is_empty() {
            tagged_fields.push((field.tag.context("a tagged field has a tag")?, field, tagged));
        }
    }
    tagged_fields.sort_by_key(|(tag, ..)| *tag);
    let mut body = String::new();
    let mut writes = String::new();
    if !tagged_fields.is_empty() {
        body.push_str("let mut known = 0;\n");
    }
    for (tag, field, tagged) in tagged_fields {
        let guard = condition(tagged, scope.message.flexible.intersect(live));
        let set = is_set(field)?;
        let when = guard.map_or_else(|| set.clone(), |guard| format!("{guard} && {set}"));
        writeln!(body, "if {when} {{ known += 1; }}")?;
        writeln!(writes, "if {when} {{ e.tagged_field({tag}, |e| {{ {} Ok(()) }})?; }}", write(scope, field, tagged))?;
    }
    let known = if writes.is_empty() { "0" } else { "known" };
    writeln!(body, "e.tag_count({known} + self.unknown_tagged_fields.len())?;\n{writes}")?;
    writeln!(body, "e.raw_tagged_fields(&self.unknown_tagged_fields)?;")?;
    let body = body.replace("tag_count(0 + ", "tag_count(");
    match condition(scope.message.flexible, live) {
        None => out.push_str(&body),
        Some(when) => writeln!(out, "if {when} {{ {body} }}")?,
    }
    Ok(())
}

/// A condition: the field is not at its default.
fn is_set(field: &Field) -> Result<String> {
    let name = ident(field);
    if !field.nullable.is_empty() {
        if defaults_to_null(field) {
            return Ok(format!("self.{name}.is_some()"));
        }
        return Ok(match field.ty {
            Type::String | Type::Bytes | Type::Array(_) => {
                format!("self.{name}.as_ref().is_none_or(|v| !v.is_empty())")
            }
            _ => format!("self.{name} != {}", default_value(field)?),
        });
    }
    Ok(match &field.ty {
        Type::Bool if is_true(field) => format!("!self.{name}"),
        Type::Bool => format!("self.{name}"),
        Type::Int(ty) => format!("self.{name} != {}", literal(ty, number(field)?)),
        Type::ErrorCode => format!("self.{name} != ErrorCode({})", number(field)?),
        Type::Float64 => format!("self.{name} != 0.0"),
        Type::Uuid => format!("!self.{name}.is_zero()"),
        Type::String | Type::Bytes | Type::Array(_) if is_rust_default(field) => format!("!self.{name}.is_empty()"),
        _ => format!("self.{name} != {}", default_value(field)?),
    })
}

/// Statements that write a field where it is present.
fn write(scope: &Scope<'_>, field: &Field, present: Versions) -> String {
    let name = ident(field);
    let flexible = flexible(scope, field);
    if field.nullable.is_empty() {
        return write_plain(scope, &field.ty, &flexible, &format!("self.{name}"), false);
    }
    let nullable = match &field.ty {
        Type::String => format!("e.nullable_string({flexible}, self.{name}.as_deref())?;"),
        Type::Bytes => format!("e.nullable_bytes({flexible}, self.{name}.as_ref())?;"),
        Type::Array(element) => {
            format!(
                "e.nullable_array({flexible}, self.{name}.as_deref(), {})?;",
                write_element(scope, element, &flexible)
            )
        }
        Type::Struct(_) if is_tagged(field, present) => format!(
            "match &self.{name} {{ None => e.unsigned_varint(0), Some(v) => {{ e.unsigned_varint(1); v.encode(e, version)?; }} }}"
        ),
        Type::Struct(_) => {
            format!("match &self.{name} {{ None => e.i8(-1), Some(v) => {{ e.i8(1); v.encode(e, version)?; }} }}")
        }
        other => format!("if let Some(v) = self.{name} {{ {} }}", write_plain(scope, other, &flexible, "v", false)),
    };
    match condition(field.nullable, present) {
        None => nullable,
        Some(when) => {
            let plain = write_plain(scope, &field.ty, &flexible, "v", true);
            format!(
                "if {when} {{ {nullable} }} else {{ let v = self.{name}.as_ref().ok_or(EncodeError::NullNotInVersion {{ field: {:?}, version }})?; {plain} }}",
                field.name
            )
        }
    }
}

fn write_plain(scope: &Scope<'_>, ty: &Type, flexible: &str, value: &str, by_reference: bool) -> String {
    let (borrowed, copied) =
        if by_reference { (value.to_owned(), format!("*{value}")) } else { (format!("&{value}"), value.to_owned()) };
    match ty {
        Type::Bool => format!("e.bool({copied});"),
        Type::Int(name) => format!("e.{name}({copied});"),
        Type::ErrorCode => format!("e.i16({value}.0);"),
        Type::Float64 => format!("e.f64({copied});"),
        Type::Uuid => format!("e.uuid({copied});"),
        Type::String => format!("e.string({flexible}, {borrowed})?;"),
        Type::Bytes => format!("e.bytes({flexible}, {borrowed})?;"),
        Type::Struct(_) => format!("{value}.encode(e, version)?;"),
        Type::Array(element) => {
            format!("e.array({flexible}, {borrowed}, {})?;", write_element(scope, element, flexible))
        }
    }
}

fn write_element(scope: &Scope<'_>, element: &Type, flexible: &str) -> String {
    match element {
        Type::Struct(_) => "|e, v| v.encode(e, version)".into(),
        Type::String | Type::Bytes => {
            format!("|e, v| {}", write_plain(scope, element, flexible, "v", true).trim_end_matches("?;"))
        }
        _ => format!("|e, v| {{ {} Ok(()) }}", write_plain(scope, element, flexible, "v", true)),
    }
}
