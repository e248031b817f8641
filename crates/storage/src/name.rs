//! Names of sources and tables as folder names.

use std::fmt::Write as _;

use crate::{Error, Result};

pub(crate) const SEGMENT_BYTES_MAX: usize = 255;

/// The character before two hexadecimal digits. Not the usual `%`: Delta readers take a table's
/// folder as a URL, and several of them decode it once too often, so that `%4f` is looked for as `O`.
const ESCAPE: u8 = b'@';

/// Writes a name as one folder name: `a-z`, `0-9`, `_`, `-` and inner dots stay, every other byte
/// becomes `@xx`, so that `Orders` is `@4frders`.
///
/// Capitals are encoded because two names that differ only in case would meet on a case-insensitive
/// disk; a leading dot or underscore because readers skip such folders and the lake keeps its own
/// there; the first letter of `con`, `nul.x` and the like because Windows takes them for devices.
/// [`decode_segment`] is the inverse.
///
/// # Errors
/// [`Error::NameTooLong`] if the result exceeds the 255 bytes that file systems allow.
pub fn encode_segment(name: &str) -> Result<String> {
    let mut out = String::with_capacity(name.len());
    let last = name.len().saturating_sub(1);
    let is_device = is_device(name);
    for (i, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' if i > 0 || !is_device => out.push(byte as char),
            b'0'..=b'9' | b'-' => out.push(byte as char),
            b'_' if i > 0 => out.push('_'),
            // A trailing dot is dropped by some file systems.
            b'.' if i > 0 && i < last => out.push('.'),
            _ => {
                let _ = write!(out, "{}{byte:02x}", ESCAPE as char); // writing to a String can't fail
            }
        }
    }
    if out.len() > SEGMENT_BYTES_MAX || out.is_empty() {
        return Err(Error::NameTooLong { name: name.into() });
    }
    Ok(out)
}

/// Whether Windows takes the name for a device's, see "Naming Files, Paths, and Namespaces" of its
/// documentation. In capitals it is encoded in any case.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_port = port.is_some_and(|number| matches!(number.as_bytes(), [b'0'..=b'9']));
    is_port || matches!(stem, "con" | "prn" | "aux" | "nul")
}

/// Reads a folder name back as the name it stands for; `None` if [`encode_segment`] didn't make it.
pub fn decode_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == ESCAPE {
            let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode_segment(&name).ok()? == segment).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_never_meet() {
        let names = [
            "orders",
            "Orders",
            "ORDERS",
            "order details",
            "..",
            ".",
            "_runs",
            "a/b",
            "a%2fb",
            "a.b",
            "é",
            "e\u{301}",
            "tab\t",
            "-",
            "naïve",
            "x.",
            "a\\b",
            "con",
        ];
        let encoded: Vec<String> = names.iter().map(|n| encode_segment(n).unwrap()).collect();
        for (name, segment) in names.iter().zip(&encoded) {
            assert_eq!(decode_segment(segment).as_deref(), Some(*name));
            assert!(
                !segment.contains(['/', '\\']) && !segment.starts_with(['.', '_']),
                "{segment}"
            );
            assert_eq!(segment, &segment.to_lowercase());
        }
        let distinct: std::collections::BTreeSet<_> = encoded.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn refuses_what_no_folder_can_bear() {
        assert!(encode_segment(&"é".repeat(64)).is_err());
        assert!(encode_segment("").is_err());
        assert_eq!(encode_segment("con").unwrap(), "@63on");
        assert_eq!(encode_segment("lpt1.x").unwrap(), "@6cpt1.x");
        assert_eq!(encode_segment("console").unwrap(), "console");
        assert_eq!(decode_segment("con"), None);
        assert_eq!(decode_segment("@4F"), None); // capitals in the hex digits: not ours
    }
}
