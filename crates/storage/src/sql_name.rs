//! Names as messages write them: as SQL does, quoted where they have to be.
//!
//! What a message calls a table can be pasted into SQL, into `--table` and, as [`yaml`] writes it,
//! into the config. Characters that would move a terminal's cursor, end the line or turn the
//! direction of writing are escaped, by which SQL's `U&"…"` and YAML's `"…"` know them.

use std::fmt::{self, Write as _};

/// Whether a terminal would obey a character instead of showing it.
pub fn is_control(c: char) -> bool {
    // Marks, embeddings, overrides and isolates of direction; the separators of lines and paragraphs.
    const TURNING: [std::ops::RangeInclusive<char>; 3] = [
        '\u{200e}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2066}'..='\u{2069}',
    ];
    c.is_control() || TURNING.iter().any(|range| range.contains(&c))
}

/// A name, shown as SQL writes it: `orders`, `"Order Details"`, `U&"two\000Alines"`.
#[derive(Clone, Copy, Debug)]
pub struct SqlName<'a>(pub &'a str);

impl fmt::Display for SqlName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name) = self;
        if is_plain(name) {
            return f.write_str(name);
        }
        let has_control = name.contains(is_control);
        f.write_str(if has_control { "U&\"" } else { "\"" })?;
        for c in name.chars() {
            match c {
                '"' => f.write_str("\"\"")?,
                '\\' if has_control => f.write_str("\\\\")?,
                c if is_control(c) => write!(f, "\\{:04X}", c as u32)?, // all of them are below U+FFFF
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

fn is_plain(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$';
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && name.chars().all(is_word)
}

/// Text as a YAML key or value: plain where nothing could take it for something else.
pub fn yaml(text: &str) -> String {
    /// What YAML reads as other things than text.
    const WORDS: &[&str] = &["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_dotted = |part: &str| is_plain(part) && !part.contains('$');
    if text.split('.').all(is_dotted) && !WORDS.contains(&text) {
        return text.to_owned();
    }
    if !text.contains(is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_control(c) => {
                let _ = write!(out, "\\u{:04x}", c as u32); // writing to a String can't fail
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_have_to_be() {
        for (name, shown) in [
            ("orders_2", "orders_2"),
            ("Orders", r#""Orders""#),
            ("2nd", r#""2nd""#),
            ("", r#""""#),
            ("sa\"y", r#""sa""y""#),
            ("back\\slash é", r#""back\slash é""#),
            ("two\nlines\\", r#"U&"two\000Alines\\""#),
            ("\u{1b}[31m\u{202e}", r#"U&"\001B[31m\202E""#),
        ] {
            assert_eq!(SqlName(name).to_string(), shown);
        }
    }

    #[test]
    fn yaml_reads_its_text_back() {
        for (text, shown) in [
            ("public.orders", "public.orders"),
            ("null", "'null'"),
            ("1", "'1'"),
            ("a: b #c", "'a: b #c'"),
            (r#""it's""#, r#"'"it''s"'"#),
            ("a\n\"b\"\\\u{7f}", r#""a\n\"b\"\\\u007f""#),
        ] {
            assert_eq!(yaml(text), shown);
        }
    }
}
