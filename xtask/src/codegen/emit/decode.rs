//! The bodies of `decode`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use super::super::schema::{Field, Struct, Type, Versions};
use super::types::default_value;
use super::versions::{condition, flexible, places};
use super::{Scope, has_tags, ident, live};

pub(super) fn decode_body(out: &mut String, scope: &Scope<'_>, of: &Struct) -> Result<()> {
    let live = live(scope, of);
    let tags = has_tags(scope, of);
    for field in &of.fields {
        let (plain, tagged) = places(scope, of, field)?;
        let name = local(field);
        let mutable = if tagged.is_empty() { "" } else { "mut " };
        let default = default_value(field)?;
        if plain.is_empty() {
            writeln!(out, "let {mutable}{name} = {default};")?;
            continue;
        }
        let read = format!("{}.map_err(|e| e.in_field({:?}))?", read(scope, field, plain), field.name);
        match condition(plain, live) {
            None => writeln!(out, "let {mutable}{name} = {read};")?,
            Some(when) => writeln!(out, "let {mutable}{name} = if {when} {{ {read} }} else {{ {default} }};")?,
        }
    }
    if tags {
        decode_tags(out, scope, of)?;
    }
    let mut names: Vec<_> = of.fields.iter().map(|f| initializer(&ident(f), &local(f))).collect();
    if tags {
        names.push("unknown_tagged_fields".into());
    }
    writeln!(out, "Ok(Self {{ {} }})", names.join(", "))?;
    Ok(())
}

/// A field's variable while its struct is read: one called `version` must not hide the version that is read.
fn local(field: &Field) -> String {
    let name = ident(field);
    if name == "version" { "its_version".into() } else { name }
}

fn initializer(name: &str, local: &str) -> String {
    if name == local { name.to_owned() } else { format!("{name}: {local}") }
}

fn decode_tags(out: &mut String, scope: &Scope<'_>, of: &Struct) -> Result<()> {
    let mut arms = String::new();
    for field in &of.fields {
        let (_, tagged) = places(scope, of, field)?;
        if tagged.is_empty() {
            continue;
        }
        let guard = condition(tagged, scope.message.flexible.intersect(live(scope, of)))
            .map_or(String::new(), |when| format!(" if {when}"));
        writeln!(
            arms,
            "{}{guard} => {{ {} = {}.map_err(|e| e.in_field({:?}))?; Ok(true) }}",
            field.tag.context("a tagged field has a tag")?,
            local(field),
            read(scope, field, tagged),
            field.name
        )?;
    }
    let read = if arms.is_empty() {
        "d.tagged_fields(|_, _| Ok(false))?".to_owned()
    } else {
        format!("d.tagged_fields(|tag, d| match tag {{\n{arms}_ => Ok(false),\n}})?")
    };
    match condition(scope.message.flexible, live(scope, of)) {
        None => writeln!(out, "let unknown_tagged_fields = {read};")?,
        Some(when) => writeln!(out, "let unknown_tagged_fields = if {when} {{ {read} }} else {{ Vec::new() }};")?,
    }
    Ok(())
}

/// An expression that reads a field where it is present.
fn read(scope: &Scope<'_>, field: &Field, present: Versions) -> String {
    let flexible = flexible(scope, field);
    if field.nullable.is_empty() {
        return read_plain(scope, &field.ty, &flexible);
    }
    let nullable = match &field.ty {
        Type::String => format!("d.nullable_string({flexible})"),
        Type::Bytes => format!("d.nullable_bytes({flexible})"),
        Type::Array(element) => {
            format!("d.nullable_array({flexible}, {})", read_element(scope, element, &flexible))
        }
        // In its place a byte below zero stands for null, among the tagged fields a zero.
        Type::Struct(name) if is_tagged(field, present) => format!(
            "match d.unsigned_varint() {{ Ok(0) => Ok(None), Ok(_) => {}{name}::decode(d, version).map(Some), Err(e) => Err(e) }}",
            scope.prefix
        ),
        Type::Struct(name) => format!("d.nullable_struct(|d| {}{name}::decode(d, version))", scope.prefix),
        _ => format!("{}.map(Some)", read_plain(scope, &field.ty, &flexible)),
    };
    match condition(field.nullable, present) {
        None => nullable,
        Some(when) => {
            let plain = read_plain(scope, &field.ty, &flexible);
            format!("if {when} {{ {nullable} }} else {{ {plain}.map(Some) }}")
        }
    }
}

pub(super) fn is_tagged(field: &Field, present: Versions) -> bool {
    !present.is_empty() && field.tagged.contains(present)
}

fn read_plain(scope: &Scope<'_>, ty: &Type, flexible: &str) -> String {
    match ty {
        Type::Bool => "d.bool()".into(),
        Type::Int(name) => format!("d.{name}()"),
        Type::ErrorCode => "d.i16().map(ErrorCode)".into(),
        Type::Float64 => "d.f64()".into(),
        Type::Uuid => "d.uuid()".into(),
        Type::String => format!("d.string({flexible})"),
        Type::Bytes => format!("d.bytes({flexible})"),
        Type::Struct(name) => format!("{}{name}::decode(d, version)", scope.prefix),
        Type::Array(element) => format!("d.vec({flexible}, {})", read_element(scope, element, flexible)),
    }
}

fn read_element(scope: &Scope<'_>, element: &Type, flexible: &str) -> String {
    match element {
        Type::Int(name) => format!("Decoder::{name}"),
        Type::Uuid => "Decoder::uuid".into(),
        _ => format!("|d| {}", read_plain(scope, element, flexible)),
    }
}
