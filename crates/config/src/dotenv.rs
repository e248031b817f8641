//! `.env`: variables for this process, read as docker compose reads them, and never cut without a word.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::file::ConfigError;
use crate::secrets;

/// A file of variables that is in force.
#[derive(Debug)]
pub struct Dotenv {
    path: PathBuf,
    has_password: bool,
}

impl Dotenv {
    /// Puts a file's variables into the environment, where they are not set already; `None` if there is
    /// no such file. To be called before there are threads.
    ///
    /// # Errors
    /// [`ConfigError`] with the line, and without any value.
    pub fn load(path: &Path) -> Result<Option<Self>, ConfigError> {
        let error = |line: Option<u64>, message: String| ConfigError {
            path: path.into(),
            place: line.map(|line| (line, 1)),
            message,
        };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(error(None, format!("cannot read it: {cause}"))),
        };
        let text = String::from_utf8(bytes).map_err(|_| error(None, "it is not in UTF-8".into()))?;
        let variables = parse(&text, |name| std::env::var(name).ok()).map_err(|(line, m)| error(Some(line), m))?;
        let mut canonical = String::new();
        for (name, value) in &variables {
            canonical += &format!("{name}=\"{}\"\n", escaped(value));
        }
        // Setting variables is not safe among threads, which this crate vouches for.
        dotenvy::from_read(canonical.as_bytes()).map_err(|_| error(None, "its variables can't be set".into()))?;
        Ok(Some(Self {
            path: path.into(),
            has_password: variables.iter().any(|(name, value)| is_password(name, value)),
        }))
    }

    /// Warns if others can read a file with a password.
    pub fn warn_if_readable(&self) {
        if self.has_password {
            secrets::warn_if_readable(&self.path);
        }
    }
}

fn is_password(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let named = ["PASSWORD", "SECRET"].iter().any(|word| name.ends_with(word));
    (named && !value.is_empty()) || lake_postgres::has_password(value)
}

/// A value within double quotes, as dotenvy reads it.
fn escaped(value: &str) -> String {
    let escape = |c| match c {
        '\\' | '"' | '$' => format!("\\{c}"),
        '\n' => "\\n".into(),
        c => c.to_string(),
    };
    value.chars().map(escape).collect()
}

/// The file's variables in its order; an error has its line.
fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>, (u64, String)> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found: Vec<(String, String)> = Vec::new();
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count() as u64;
        let error = |message: String| (line, message);
        if rest.is_empty() {
            return Ok(found);
        }
        let (this, after) = rest.split_once('\n').unwrap_or((rest, ""));
        if this.starts_with('#') {
            rest = after;
            continue;
        }
        let (name, _) = this
            .split_once('=')
            .ok_or_else(|| error("this line is not `NAME=value`; a value of several lines is in quotes".into()))?;
        let value = rest[name.len() + 1..].trim_start_matches([' ', '\t']);
        let blank_before = value.len() < rest.len() - name.len() - 1;
        let name = name.trim_end();
        let name = name.strip_prefix("export ").map_or(name, str::trim_start);
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !name.starts_with(is_first) || !name.chars().all(|c| is_first(c) || c.is_ascii_digit() || c == '.') {
            return Err(error(
                "what is before the `=` of this line is no name of a variable".into(),
            ));
        }
        let look_up = |wanted: &str| {
            let earlier = || {
                found
                    .iter()
                    .find(|(name, _)| name == wanted)
                    .map(|(_, value)| value.clone())
            };
            variable(wanted).or_else(earlier)
        };
        let read = match value.chars().next() {
            Some('\'') => single_quoted(value),
            Some('"') => double_quoted(value, look_up),
            _ => plain(value, blank_before, look_up),
        };
        let (value, after) = read.map_err(|message| error(format!("the value of {name} {message}")))?;
        if value.contains('\0') {
            return Err(error(format!("the value of {name} has a NUL")));
        }
        if let Some(first) = lines.insert(name.into(), line) {
            return Err(error(format!("{name} is on line {first} already")));
        }
        found.push((name.into(), value));
        rest = after;
    }
}

/// Every character as it is, to the next quote.
fn single_quoted(text: &str) -> Result<(String, &str), String> {
    let (value, rest) = text[1..].split_once('\'').ok_or("has no closing quote")?;
    Ok((value.into(), rest_of_line(rest)?))
}

/// Escapes and variables, to the next quote that is not escaped.
fn double_quoted(text: &str, look_up: impl Fn(&str) -> Option<String>) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut rest = &text[1..];
    loop {
        let mut characters = rest.chars();
        let character = characters.next().ok_or("has no closing quote")?;
        let after = characters.as_str();
        match character {
            '"' => return Ok((value, rest_of_line(after)?)),
            '\\' => {
                value.push(match characters.next() {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(c @ ('\\' | '"' | '$' | '\'')) => c,
                    _ => {
                        return Err(
                            "has a backslash before another character than \\ \" ' $ n r t: single quotes \
                                    keep it as it is"
                                .into(),
                        );
                    }
                });
                rest = characters.as_str();
            }
            '$' => rest = substitute(after, &look_up, &mut value)?,
            c => {
                value.push(c);
                rest = after;
            }
        }
    }
}

/// Variables, to the end of the line or a comment after a blank; a quote within is a quote.
fn plain(text: &str, blank_before: bool, look_up: impl Fn(&str) -> Option<String>) -> Result<(String, &str), String> {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let comment = [" #", "\t#"].iter().filter_map(|comment| line.find(comment)).min();
    let comment = if blank_before && line.starts_with('#') {
        Some(0)
    } else {
        comment
    };
    let mut rest = line[..comment.unwrap_or(line.len())].trim_end();
    let mut value = String::new();
    while let Some(at) = rest.find('$') {
        let before = &rest[..at];
        match before.strip_suffix('\\') {
            Some(before) => {
                value.push_str(before);
                value.push('$');
                rest = &rest[at + 1..];
            }
            None => {
                value.push_str(before);
                rest = substitute(&rest[at + 1..], &look_up, &mut value)?;
            }
        }
    }
    value.push_str(rest);
    Ok((value, after))
}

/// What a `$` stands for, and what comes after that.
fn substitute<'a>(
    rest: &'a str,
    look_up: &impl Fn(&str) -> Option<String>,
    value: &mut String,
) -> Result<&'a str, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let literal = "single quotes around the value keep every character as it is, and `\\$` is a dollar sign";
    let (name, default, after) = match rest.strip_prefix('{') {
        Some(inner) => {
            let (inside, after) = inner
                .split_once('}')
                .ok_or(format!("has a `${{` without its `}}`: {literal}"))?;
            match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default), after),
                None => (inside, None, after),
            }
        }
        None if rest.starts_with('$') => return Err(format!("has `$$`, which is read in several ways: {literal}")),
        None if rest.starts_with(|c: char| is_name(c) && !c.is_ascii_digit()) => {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            (&rest[..end], None, &rest[end..])
        }
        None => {
            value.push('$');
            return Ok(rest);
        }
    };
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(format!("has a `${{…}}` that is no variable's name: {literal}"));
    }
    // As in a shell, `:-` also stands in for an empty value.
    let found = look_up(name).filter(|found| default.is_none() || !found.is_empty());
    let found = found.or_else(|| default.map(Into::into));
    value.push_str(&found.ok_or(format!(
        "has a `$` before the name of a variable that is not set: {literal}"
    ))?);
    Ok(after)
}

/// After a closing quote there is nothing but a comment.
fn rest_of_line(rest: &str) -> Result<&str, String> {
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    let line = line.trim();
    match line.is_empty() || line.starts_with('#') {
        true => Ok(after),
        false => Err("goes on after its closing quote; in double quotes, `\\\"` is a quote".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Result<String, (u64, String)> {
        let variable = |name: &str| match name {
            "SET" => Some("set".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let text = format!("# a comment\n\nEARLIER=e\n  export  V = {line}\nLATER='l'");
        parse(&text, variable).map(|found| {
            assert_eq!(found.len(), 3, "{line}");
            found[1].1.clone()
        })
    }

    #[test]
    fn values_are_read_as_docker_compose_reads_them() {
        for (line, wanted) in [
            ("plain text # a comment", "plain text"),
            ("a#b", "a#b"),
            ("# a comment", ""),
            ("", ""),
            (r"pa\ss'wo\$rd", r"pa\ss'wo$rd"),
            ("$SET/${SET}x/${NONE:-d}/${EMPTY:-f}/$EARLIER", "set/setx/d/f/e"),
            ("5$ and $1", "5$ and $1"),
            (r#"'$SET "\n" #'"#, r#"$SET "\n" #"#),
            ("'two\nlines' # a comment", "two\nlines"),
            (
                r#""$SET \$SET \"q\" \\ \n|# no comment""#,
                "set $SET \"q\" \\ \n|# no comment",
            ),
            (
                "postgres://u:p@h/d?sslmode=require\r",
                "postgres://u:p@h/d?sslmode=require",
            ),
        ] {
            assert_eq!(value(line).as_deref(), Ok(wanted), "{line}");
        }
        assert_eq!(parse("A=#x", |_| None), Ok(vec![("A".into(), "#x".into())]));
    }

    #[test]
    fn what_would_be_cut_is_an_error_without_the_value() {
        for line in [
            "postgres://u:s3cret$x@h/d",
            "\"s3cret$x\"",
            "s3cret$$",
            "s3cret${",
            "${s3cret!}",
            "'s3cret",
            "\"s3cret\\q\"",
            "'a's3cret",
            "s3cret\ns3cret",
            "x\nW s3cret=x",
            "x\nV=s3cret",
        ] {
            let (number, message) = value(line).expect_err(line);
            assert!((4..=5).contains(&number), "{line}: {number}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn what_is_set_is_what_is_read() {
        let value = "\\ \" $HOME ' # \t\r`é\n;|&";
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(&path, format!("LAKE_TEST_DOTENV=\"{}\"\n", escaped(value))).expect("a file");
        assert!(Dotenv::load(&path).expect("variables").is_some());
        assert_eq!(std::env::var("LAKE_TEST_DOTENV").as_deref(), Ok(value));
        assert!(Dotenv::load(&folder.path().join("none")).expect("nothing").is_none());
    }
}
