//! One-dimensional arrays as PostgreSQL writes them: `{1,NULL,"a b"}`.

/// Appends an element's text, quoted where PostgreSQL's array input needs it (documentation, 8.15.6).
pub(super) fn push_element(text: &[u8], out: &mut Vec<u8>) {
    let special =
        |byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || byte.is_ascii_whitespace() || *byte == 0x0b;
    if !text.is_empty() && !text.eq_ignore_ascii_case(b"null") && !text.iter().any(special) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_would_be_read_as_something_else() {
        let cases = [
            ("a", "a"),
            ("", r#""""#),
            ("NULL", r#""NULL""#),
            ("a b", r#""a b""#),
            (r#"say "a\b""#, r#""say \"a\\b\"""#),
            ("{}", r#""{}""#),
        ];
        for (text, expected) in cases {
            let mut out = Vec::new();
            push_element(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
