//! `"char"`'s one byte and its text.
//!
//! The text is what `charout` of PostgreSQL 16 prints (`src/backend/utils/adt/char.c`): nothing for
//! the byte 0, the character of an ASCII byte, and a backslash with three octal digits for a byte
//! above. Older servers print such a byte as it is, which is text in no encoding of several bytes,
//! and read the first byte of whatever they are given: so the byte travels in binary form.

/// The text of a byte.
pub(crate) fn decode(byte: u8) -> String {
    match byte {
        0 => String::new(),
        1..=0x7f => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

/// The byte of a text; `None` if it is no byte's.
pub(crate) fn encode(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [] => Some(0),
        [byte] => Some(*byte),
        [b'\\', octal @ ..] if octal.len() == 3 && octal.iter().all(|digit| matches!(digit, b'0'..=b'7')) => {
            u8::from_str_radix(&text[1..], 8).ok().filter(|byte| *byte > 0x7f)
        }
        _ => None,
    }
}

/// The SQL that gives a column's text, whatever the server prints.
pub(crate) fn expression(column: &str) -> String {
    let byte = format!("(256 + {column}::pg_catalog.int4)");
    format!(
        "case when {column}::pg_catalog.int4 < 0 \
         then pg_catalog.concat(E'\\\\', {byte} / 64, {byte} / 8 % 8, {byte} % 8) \
         else pg_catalog.textin(pg_catalog.charout({column})) end"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_and_nothing_else_is_one() {
        for byte in 0..=u8::MAX {
            assert_eq!(encode(&decode(byte)), Some(byte), "{byte}");
        }
        assert_eq!((decode(0xe9).as_str(), decode(b'\\').as_str()), ("\\351", "\\"));
        for text in ["ab", "é", "\\101", "\\400", "\\38a", "\\+77", "\\3510"] {
            assert_eq!(encode(text), None, "{text}");
        }
    }
}
