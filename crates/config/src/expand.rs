//! `${VAR}` and `${VAR:-default}` in the config's strings.

/// Fills in the environment's variables; `$$` is a dollar sign.
///
/// Values are filled in after the YAML is parsed, so a password may hold any character.
pub fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = after.find('}').ok_or("`${` is not closed by `}`")?;
            let (name, default) = match after[..end].split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (&after[..end], None),
            };
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("`${{{name}}}` is not the name of a variable"));
            }
            // As in a shell, `:-` also stands in for an empty value.
            let value = variable(name).filter(|value| default.is_none() || !value.is_empty());
            match value.or_else(|| default.map(Into::into)) {
                Some(value) => out.push_str(&value),
                None => {
                    return Err(format!(
                        "the variable {name} is not set: set it, put it into .env, or write `${{{name}:-default}}`"
                    ));
                }
            }
            rest = &after[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_variables() {
        let variable = |name: &str| match name {
            "USER" => Some("ann".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let expand = |text| expand(text, variable);
        assert_eq!(expand("pg://${USER}:x@h").unwrap(), "pg://ann:x@h");
        assert_eq!(expand("${NONE:-a:-b}").unwrap(), "a:-b");
        assert_eq!(expand("${EMPTY:-x}|${EMPTY}").unwrap(), "x|");
        assert_eq!(expand("5$ or $${USER} $").unwrap(), "5$ or ${USER} $");
        assert!(expand("${NONE}").unwrap_err().contains("NONE"));
        assert!(expand("${USER").is_err());
        assert!(expand("${US ER}").is_err());
    }
}
