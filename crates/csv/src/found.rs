//! What was found out about a file by looking at it, to be told: a guess that nobody sees can't be put right.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// How a file is read where no setting says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// What stands between two fields; none if it is set, or if there is one column.
    pub delimiter: Option<char>,
    /// That the first line holds names; none if it is set whether it does.
    pub header: Option<bool>,
    /// How the file is packed, if it is.
    pub compression: Option<&'static str>,
    /// How its bytes spell characters; none if that is set.
    pub encoding: Option<&'static str>,
    /// Names of the header with the ones that they have in the lake by rule, since Delta can't hold them.
    pub renamed: BTreeMap<String, String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(delimiter) = self.delimiter {
            parts.push(format!("delimiter {delimiter:?}"));
        }
        if self.header.is_some() {
            parts.push("names in its first line".to_owned());
        }
        parts.extend(self.compression.map(str::to_owned));
        parts.extend(self.encoding.map(str::to_owned));
        let renamed = self.renamed.iter();
        parts.extend(renamed.map(|(name, new_name)| format!("column {name:?} called {new_name}")));
        f.write_str(&parts.join(", "))
    }
}
