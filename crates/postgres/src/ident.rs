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

/// Reads a name as SQL writes it: parts between dots, each plain or in double quotes.
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
    let Some(mut rest) = text.strip_prefix('"') else {
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
    let mut name = String::new();
    loop {
        let (inside, after) = rest.split_once('"').ok_or("a quote is not closed")?;
        name.push_str(inside);
        rest = after;
        // Doubled, it stands for itself.
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None if name.is_empty() => return Err("a name is empty"),
            None => {
                let part = NamePart {
                    text: name,
                    quoted: true,
                };
                return Ok((part, rest));
            }
        }
    }
}
