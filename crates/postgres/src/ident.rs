//! Names and strings as SQL writes them.

/// Writes an identifier in double quotes.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Writes `schema.name`, both quoted.
pub fn quote_qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(name))
}

/// Writes a string literal; right under `standard_conforming_strings`, which our sessions set.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A part of a name as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePart {
    /// The part; in lower case unless it was quoted, as SQL has it.
    pub text: String,
    /// Whether it stood in double quotes.
    pub quoted: bool,
}

/// Reads a name as SQL writes it: parts between dots, each plain, in double quotes or `U&"…"` with
/// escapes such as `\000A`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_name(text: &str) -> Result<Vec<NamePart>, &'static str> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = parse_part(rest)?;
        parts.push(part);
        rest = match after.strip_prefix('.') {
            Some(after) => after,
            None if after.is_empty() => return Ok(parts),
            None => return Err("after a quoted name comes a dot or nothing"),
        };
    }
}

fn parse_part(text: &str) -> Result<(NamePart, &str), &'static str> {
    let (rest, has_escapes) = if let Some(rest) = text.strip_prefix('"') {
        (rest, false)
    } else if let Some(rest) = text.strip_prefix("U&\"").or_else(|| text.strip_prefix("u&\"")) {
        (rest, true)
    } else {
        let (name, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
        let part = NamePart {
            text: name.trim().to_lowercase(),
            quoted: false,
        };
        return match part.text.is_empty() {
            true => Err("a name is empty"),
            false => Ok((part, rest)),
        };
    };
    let (mut name, rest) = parse_quoted(rest)?;
    if has_escapes {
        name = unescape(&name)?;
    }
    match name.is_empty() {
        true => Err("a name is empty"),
        false => Ok((
            NamePart {
                text: name,
                quoted: true,
            },
            rest,
        )),
    }
}

/// Reads up to the closing quote; doubled, it stands for itself.
fn parse_quoted(mut rest: &str) -> Result<(String, &str), &'static str> {
    let mut name = String::new();
    loop {
        let (inside, after) = rest.split_once('"').ok_or("a quote is not closed")?;
        name.push_str(inside);
        match after.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Ok((name, after)),
        }
    }
}

/// `\XXXX`, `\+XXXXXX` and a doubled backslash, see "Identifiers and Key Words" of PostgreSQL.
fn unescape(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "after a backslash in U&\"…\" come four hexadecimal digits, + and six, or another backslash";
    let mut name = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        name.push_str(before);
        if let Some(after) = after.strip_prefix('\\') {
            name.push('\\');
            rest = after;
            continue;
        }
        let (after, digits) = match after.strip_prefix('+') {
            Some(after) => (after, 6),
            None => (after, 4),
        };
        let hex = after.get(..digits).ok_or(WRONG)?;
        let code = u32::from_str_radix(hex, 16).map_err(|_| WRONG)?;
        name.push(char::from_u32(code).ok_or(WRONG)?);
        rest = &after[digits..];
    }
    name.push_str(rest);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sql_reads_them() {
        let read = |text: &str| -> Vec<String> {
            let parts = parse_name(text).unwrap().into_iter();
            parts.map(|part| part.text).collect()
        };
        assert_eq!(read("Sales.Orders"), ["sales", "orders"]);
        assert_eq!(read(r#""a.b"."sa""y""#), ["a.b", "sa\"y"]);
        assert_eq!(read(r#"U&"two\000Alines\\\+01F600"."u&x""#), ["two\nlines\\😀", "u&x"]);
        assert_eq!(read("u&x"), ["u&x"]);
        for bad in [
            r#"U&"\00""#,
            r#"U&"\d800""#,
            r#"U&"\zzzz""#,
            r#"U&"""#,
            r#"U&"a"#,
            r#"U&"\é000""#,
        ] {
            assert!(parse_name(bad).is_err(), "{bad}");
        }
    }
}
