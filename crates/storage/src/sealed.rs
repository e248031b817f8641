//! JSON that ends with a hash of all that is before it: a changed digit in it may make sense, and must not be believed.

use serde::Serialize;

use crate::hash::Hash;

/// Around the hash, as the last member of the object.
const BEFORE: &[u8] = b",\n  \"hash\": \"";
const AFTER: &[u8] = b"\"\n}";

/// What is found at the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// The hash is that of the content.
    Whole,
    /// It is not.
    Broken,
    /// There is no hash.
    None,
}

/// Writes an object with its hash.
pub(crate) fn to_vec(object: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(object)?;
    json.truncate(json.len() - "\n}".len());
    let hash = Hash::of(&json).to_string();
    json.extend_from_slice(BEFORE);
    json.extend_from_slice(hash.as_bytes());
    json.extend_from_slice(AFTER);
    Ok(json)
}

/// Compares a file's content with its hash.
pub(crate) fn seal(content: &[u8]) -> Seal {
    let Some((content, hash)) = split(content) else {
        return Seal::None;
    };
    match hash == Hash::of(content) {
        true => Seal::Whole,
        false => Seal::Broken,
    }
}

fn split(content: &[u8]) -> Option<(&[u8], Hash)> {
    let content = content.strip_suffix(AFTER)?;
    let quote = content.iter().rposition(|byte| *byte == b'"')?;
    let (content, hash) = content.split_at(quote + 1);
    Some((
        content.strip_suffix(BEFORE)?,
        std::str::from_utf8(hash).ok()?.parse().ok()?,
    ))
}
