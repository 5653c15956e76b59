//! Who may use whom, and where the service's numbers are written.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each folder (or file) of `src/`, and the other ones it may use. `*` is everything. Nobody uses `call`, `web`, `jobs`, `server`,
/// `cli` and `phone` but those with a `*`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("audio", &[]),
    ("sdp", &["audio", "rtp"]),
    ("rtp", &[]),
    ("stun", &[]),
    ("dtls", &["rtp"]),
    ("sip", &["stun"]),
    ("ivr", &["domain"]),
    ("voice", &["domain", "audio", "ivr"]),
    ("manual", &["domain", "ivr"]),
    ("store", &["domain", "audio"]),
    ("media", &["rtp", "audio", "stun", "dtls"]),
    ("call", &["domain", "sip", "sdp", "rtp", "audio", "media", "ivr", "voice", "store", "lines"]),
    ("lines", &["domain", "sip", "store"]),
    ("delivery", &["domain", "audio", "store", "sip"]),
    ("jobs", &["domain", "store", "delivery"]),
    ("phone", &["sip", "sdp", "rtp", "audio", "media"]),
    ("config", &["domain", "audio", "sip", "sdp", "delivery", "store"]),
    ("server", &["*"]),
    ("cli", &["*"]),
];

#[test]
fn folders_use_only_what_the_table_allows() {
    let mut violations = Vec::new();
    for file in sources() {
        let allowed = allowed(&file.module);
        for used in paths_from_the_root(&file.code) {
            let is_module = MAY_USE.iter().any(|(module, _)| *module == used);
            if is_module && used != file.module && !allowed.contains(&used.as_str()) && allowed != ["*"] {
                violations.push(format!("{} uses {used}", file.path.display()));
            }
        }
    }

    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn every_folder_is_in_the_table() {
    let known: BTreeSet<String> = MAY_USE.iter().map(|(module, _)| (*module).to_owned()).collect();
    let mut there: BTreeSet<String> = sources().into_iter().map(|file| file.module).collect();
    // The two that only name the others.
    assert!(there.remove("main") && there.remove("lib"));

    assert_eq!(there, known);
}

/// Nobody but `domain/rules.rs` writes a life, a limit or a capacity, or compares with one that is written there.
///
/// The check knows the usual ways to write them. Where SIP, RTP and audio count other things, a 300 may be a status, so only those
/// folders are searched in which it would be the service's.
#[test]
fn the_services_numbers_are_written_in_the_rules_only() {
    const FOLDERS: [&str; 9] = ["domain", "ivr", "store", "call", "delivery", "jobs", "phone", "server", "cli"];
    const NUMBERS: [&str; 22] = [
        "from_secs(300)",
        "from_mins(5)",
        "300_000",
        "u32 = 300",
        "< 300",
        ">= 300",
        "> 299",
        "<= 299",
        "== 300",
        ">= 270",
        "< 270",
        "30 * 24",
        "24 * 30",
        "3 * 24",
        "24 * 3",
        "5 * 24",
        "24 * 5",
        "from_days",
        "2_592_000",
        "259_200",
        "432_000",
        "86_400",
    ];
    let mut violations = Vec::new();
    for file in sources() {
        let is_test = file.path.iter().any(|part| part == "tests" || part == "tests.rs");
        if !FOLDERS.contains(&file.module.as_str()) || is_test || file.path.ends_with("domain/rules.rs") {
            continue;
        }
        let code = without_tests(&file.code);
        for number in NUMBERS.into_iter().filter(|number| contains_word(code, number)) {
            violations.push(format!("{}: {number}", file.path.display()));
        }
        for operator in ["< ", "> ", "<= ", ">= ", "== ", "!= "] {
            for (at, _) in code.match_indices(operator) {
                let right = code[at + operator.len()..].trim_start_matches("crate::domain::");
                let name = right.strip_prefix("rules::").map(first_word).unwrap_or_default();
                if name.starts_with(|c: char| c.is_ascii_uppercase()) && file.module != "domain" {
                    violations.push(format!("{}: a comparison with rules::{name}", file.path.display()));
                }
            }
        }
    }

    assert!(violations.is_empty(), "ask a function of domain/rules.rs instead: {violations:#?}");
}

#[test]
fn the_check_sees_paths_in_every_form() {
    let code = code_of(
        r##"
        use crate::{
            domain::{id, rules::{self, Fullness}},
            store,
        };
        // crate::commented
        /* crate::outer /* crate::nested */ crate::still */
        fn f<'a>(x: &'a str) { let c = '"'; let s = "crate::text \" crate::more"; let r = r#"crate::raw " "#; crate::jobs::run(x) }
        mod tests { use super::super::media::Engine; }
        "##,
    );

    assert_eq!(paths_from_the_root(&code), ["domain", "store", "jobs", "media"]);
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests { 300 }"), "a\n");
    assert!(contains_word("held >= 300 {", "300"));
    assert!(!contains_word("1300 + 300_0 + x300", "300"));
}

struct Source {
    path: PathBuf,
    /// The folder below `src/`, or the file there.
    module: String,
    /// Without comments and texts.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).expect("it was found there");
                let module =
                    inside.iter().next().expect("a file has a name").to_string_lossy().trim_end_matches(".rs").to_owned();
                let code = code_of(&fs::read_to_string(&path).expect("a source file is text"));
                found.push(Source { path, module, code });
            }
        }
    }
    assert!(found.len() > 50, "only {} source files were found", found.len());
    found
}

fn allowed(module: &str) -> &'static [&'static str] {
    MAY_USE.iter().find(|(name, _)| *name == module).map_or(&["*"], |(_, allowed)| allowed)
}

/// The first name of every path that starts at the root: `crate::x`, each `x` of `crate::{…}`, and `super::super::x`, by which a
/// folder could look out of itself. Names that are no folder are for the caller to drop.
fn paths_from_the_root(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = code[at + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(names_of_group(group)),
            None => found.push(first_word(rest)),
        }
    }
    for (at, _) in code.match_indices("super::super::") {
        found.push(first_word(code[at..].trim_start_matches("super::")));
    }
    found
}

/// The names right inside the braces that have just been opened.
fn names_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut expected) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            c if expected && depth == 0 && !c.is_whitespace() => {
                names.push(first_word(&group[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
        .collect::<String>()
        .split("::")
        .next()
        .unwrap_or("")
        .to_owned()
}

fn contains_word(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(|c| is_part(c) && c != '.')
    })
}

/// What comes before the tests, which may write whatever number they like.
fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]").map_or(code, |at| &code[..at])
}

/// The source without its comments and the insides of its texts.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if c == '"' {
            quoted(rest)
        } else if let Some(length) = raw_text(rest).filter(|_| !code.ends_with(|c: char| c.is_alphanumeric() || c == '_')) {
            length
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\") {
            rest[3..].find('\'').map_or(rest.len(), |end| end + 4)
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw text that starts here, if one does: `r"…"`, `r#"…"#`, `br"…"`.
fn raw_text(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    let inside = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - inside.len();
    Some(inside.find(&end).map_or(text.len(), |at| start + at + end.len()))
}
