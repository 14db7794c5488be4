//! A module imports only what stands left of it (see `src/lib.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

use std::fs;
use std::path::{Path, PathBuf};

/// From left to right; modules in one row do not know each other.
const ORDER: [&[&str]; 16] = [
    &["error"],
    &["plan"],
    &["text"],
    &["job"],
    &["image"],
    &["regions"],
    &["preprocess"],
    &["model"],
    &["explain"],
    &["post"],
    &["evaluate"],
    &["render"],
    &["export"],
    &["synth"],
    &["train"],
    &["session"],
];
/// They sit on top.
const TOP: [&str; 2] = ["ui", "cli"];

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Names after `crate::` in a file, braces included.
fn imports(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in text.split("crate::").skip(1) {
        let end = part
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(part.len());
        if end > 0 {
            names.push(part[..end].to_owned());
        } else if let Some(list) = part.strip_prefix('{') {
            let list = &list[..list.find("};").unwrap_or(0)];
            let mut depth = 0;
            let mut name = String::new();
            for c in list.chars().chain([',']) {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        let first = name.split("::").next().unwrap_or("").trim().to_owned();
                        names.push(first);
                        name.clear();
                        continue;
                    }
                    _ => {}
                }
                name.push(c);
            }
        }
    }
    names.retain(|n| !n.is_empty());
    names
}

#[test]
fn modules_import_only_what_stands_left_of_them() {
    let src = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let rank = |module: &str| {
        ORDER
            .iter()
            .position(|row| row.contains(&module))
            .or_else(|| TOP.contains(&module).then_some(ORDER.len()))
    };
    let mut sources = Vec::new();
    files(&src, &mut sources);
    let mut seen = 0;
    let mut wrong = Vec::new();
    for path in sources {
        let relative = path.strip_prefix(&src).unwrap();
        let module = relative
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        if module == "main" || module == "lib" {
            continue;
        }
        let Some(own) = rank(&module) else {
            panic!(
                "module '{module}' has no place in the order; give it one here and in src/lib.rs"
            );
        };
        for name in imports(&fs::read_to_string(&path).unwrap()) {
            // Items that `lib.rs` lifts to the front, and macros' own `$crate`.
            if name == "Error" || name == "Result" {
                continue;
            }
            // The one fault that names a tensor library's error is made from `error.rs`.
            if module == "error" && name == "text" {
                continue;
            }
            seen += 1;
            let Some(other) = rank(&name) else {
                wrong.push(format!(
                    "{}: crate::{name} is no module",
                    relative.display()
                ));
                continue;
            };
            let allowed = other < own || name == module || (module == "cli" && name == "ui");
            if !allowed {
                wrong.push(format!("{} imports crate::{name}", relative.display()));
            }
        }
    }
    assert!(
        seen > 100,
        "only {seen} imports found: the search is broken"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
