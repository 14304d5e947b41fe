//! Our `rdkafka.h` and `rdkafka_mock.h` against upstream's: every prototype, every number, every size and offset, and upstream's programs compiled with ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::{Suite, step};
use crate::process;

const WITHIN: Duration = Duration::from_secs(120);

/// The folder of our headers.
pub fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../capi/include/librdkafka")
}

/// The prototypes of a folder's headers, each as the compiler writes it down, without parameter names.
///
/// # Errors
/// When they do not compile. Only GCC writes prototypes down.
pub fn prototypes(include: &Path) -> anyhow::Result<BTreeSet<String>> {
    let dir = tempfile::tempdir()?;
    let (source, list) = (dir.path().join("all.c"), dir.path().join("list"));
    fs::write(&source, "#include \"rdkafka.h\"\n#include \"rdkafka_mock.h\"\n")?;
    let mut compile = Command::new("gcc");
    compile.arg("-I").arg(include).arg("-aux-info").arg(&list).arg("-c").arg(&source).args(["-o", "/dev/null"]);
    step(&mut compile, WITHIN)?;
    let text = fs::read_to_string(&list)?;
    let lines = text.lines().filter(|line| line.contains("rd_kafka"));
    // Each begins with a comment that says where it stands.
    Ok(lines.filter_map(|line| line.split_once("*/ ")).map(|(_, prototype)| prototype.to_owned()).collect())
}

/// The value of every enumerator and number, the size of every struct, and offset and size of each of its fields, with the names taken from the
/// header in `names` and the values from the one in `include`.
///
/// # Errors
/// When the program that prints them does not compile: a name is missing.
pub fn numbers(names: &Path, include: &Path) -> anyhow::Result<String> {
    let header = without_comments(&fs::read_to_string(names.join("rdkafka.h"))?);
    let dir = tempfile::tempdir()?;
    let (source, program) = (dir.path().join("numbers.c"), dir.path().join("numbers"));
    let mut text = "#include <stddef.h>\n#include \"rdkafka.h\"\nint main(void) {\n".to_owned();
    for name in numbers_of(&header) {
        text += &format!("printf(\"{name} %lld\\n\", (long long)({name}));\n");
    }
    for (name, fields) in structs_of(&header) {
        text += &format!("printf(\"{name} %zu\\n\", sizeof(struct {name}));\n");
        for field in fields {
            text += &format!(
                "printf(\"{name}.{field} %zu %zu\\n\", offsetof(struct {name}, {field}), sizeof(((struct {name} *)0)->{field}));\n"
            );
        }
    }
    text += "puts(RD_KAFKA_DEBUG_CONTEXTS);\nreturn 0;\n}\n";
    fs::write(&source, text)?;
    let mut compile = Command::new("cc");
    compile.arg("-w").arg("-I").arg(include).arg(&source).arg("-o").arg(&program);
    step(&mut compile, WITHIN)?;
    Ok(process::run(&mut Command::new(program), "", WITHIN)?.stdout)
}

fn without_comments(text: &str) -> String {
    let mut pieces = text.split("/*");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        kept.push_str(piece.split_once("*/").map_or("", |(_, rest)| rest));
    }
    kept
}

/// Enumerators and macros without arguments, but for those that are no numbers or may differ.
fn numbers_of(header: &str) -> BTreeSet<String> {
    let words = header.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("RD_KAFKA_") && !word.starts_with("RD_KAFKA_V_"));
    names
        .filter(|name| !["RD_KAFKA_VERSION", "RD_KAFKA_DEBUG_CONTEXTS", "RD_KAFKA_OFFSET_TAIL"].contains(name))
        .map(str::to_owned)
        .collect()
}

/// Structs with a body, and the names of their fields.
fn structs_of(header: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for piece in header.split("struct rd_kafka_").skip(1) {
        let Some((name, rest)) = piece.split_once(" {") else { continue };
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let (mut depth, mut fields, mut declaration) = (1, Vec::new(), String::new());
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ';' if depth == 1 => {
                    let last = declaration.split('[').next().unwrap_or_default();
                    let field = last.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).find(|w| !w.is_empty());
                    fields.extend(field.map(str::to_owned));
                    declaration.clear();
                }
                _ if depth == 1 => declaration.push(c),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        found.push((format!("rd_kafka_{name}"), fields));
    }
    found
}

/// Compiles upstream's C++ layer and its tests' C sources with our headers in the place of upstream's; how many there were.
///
/// # Errors
/// The first that does not compile.
pub fn compile_upstream(suite: &Suite) -> anyhow::Result<usize> {
    let copy = tempfile::tempdir()?;
    // The sources name the header by its place, so ours has to be there.
    let mut duplicate = Command::new("cp");
    duplicate
        .arg("-r")
        .arg(suite.root().join("src"))
        .arg(suite.root().join("src-cpp"))
        .arg(suite.root().join("config.h"));
    step(duplicate.arg(copy.path()), WITHIN)?;
    let tests = copy.path().join("tests");
    fs::create_dir(&tests)?;
    for header in ["rdkafka.h", "rdkafka_mock.h"] {
        fs::copy(ours().join(header), copy.path().join("src").join(header)).context("our header")?;
    }
    let mut sources = Vec::new();
    for folder in [suite.root().join("src-cpp"), suite.tests()] {
        for file in fs::read_dir(folder)? {
            let file = file?.path();
            let ending = file.extension().unwrap_or_default();
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let cpp = file.parent().is_some_and(|parent| parent.ends_with("src-cpp"));
            let here = if cpp { copy.path().join("src-cpp") } else { tests.clone() };
            if !cpp && (ending == "c" || ending == "cpp" || ending == "h") {
                fs::copy(&file, here.join(&name))?;
            }
            // The tests in C++ need what the layer needs; one of the layer's files stands for them.
            if (ending == "c" && name.starts_with(['0', '8'])) || (cpp && ending == "cpp") {
                sources.push(here.join(name));
            }
        }
    }
    let mut compiled = 0;
    for source in &sources {
        let mut compile = Command::new(if source.extension().is_some_and(|e| e == "c") { "cc" } else { "c++" });
        compile.args(["-w", "-fsyntax-only"]).arg("-I").arg(copy.path().join("src")).arg(source);
        step(&mut compile, WITHIN)?;
        compiled += 1;
    }
    ensure!(compiled > 100, "only {compiled} sources");
    Ok(compiled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_and_numbers_are_found() {
        let header = "#define RD_KAFKA_X 1 /* RD_KAFKA_NOT */\ntypedef struct rd_kafka_a_s {\n int a;\n union { int x; } u;\n char _pad[64];\n} t;\n\
                      struct rd_kafka_b { void *p; };";
        let header = without_comments(header);
        assert_eq!(numbers_of(&header).into_iter().collect::<Vec<_>>(), ["RD_KAFKA_X"]);
        let structs = structs_of(&header);
        assert_eq!(structs.len(), 2);
        assert_eq!(structs[0], ("rd_kafka_a_s".to_owned(), vec!["a".to_owned(), "u".to_owned(), "_pad".to_owned()]));
    }
}
