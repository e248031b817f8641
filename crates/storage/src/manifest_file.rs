//! Reading a manifest: only one that is whole, and that belongs where it is, is believed.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde::Deserialize;

use crate::manifest::FORMAT;
use crate::schema::EXTRACT_DATE;
use crate::sealed::{self, Seal};
use crate::{Error, Lake, Manifest, MissingStep, Result, RunDate, SqlName, TableEntry, disk};

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestFault {
    /// A later version's.
    #[error(
        "{} wrote it in format {format}, and this version of lake reads up to {FORMAT}: use that version, or a later one",
        version.as_deref().map_or_else(|| "a later version of lake".to_owned(), |version| format!("lake {version}"))
    )]
    Format {
        /// Its format.
        format: u32,
        /// The version of lake that wrote it.
        version: Option<String>,
    },
    /// It is no JSON, or not such as is written.
    #[error("it is damaged ({reason})")]
    Unreadable {
        /// The parser's words.
        reason: String,
    },
    /// Its content is not what was written.
    #[error("it is damaged, or was changed by hand: its hash is not that of its content")]
    Hash,
    /// Another source's or day's, or one that is not what its name says.
    #[error("it is that of {found}: a copy in the wrong place")]
    Place {
        /// Whose it is.
        found: String,
    },
    /// A file elsewhere.
    #[error(
        "table {}: it names the file {file:?}, which is not in the folder of the table's day",
        SqlName(table)
    )]
    File {
        /// The table.
        table: String,
        /// The path that it has for the file.
        file: String,
    },
    /// Counts that contradict each other.
    #[error("table {}: its rows or bytes are not the sum of those of its files", SqlName(table))]
    Counts {
        /// The table.
        table: String,
    },
}

#[derive(Deserialize)]
struct Head {
    format: u32,
    version: Option<String>,
}

impl Lake {
    /// Reads a source's complete manifest of a day, or the one of the tables that were extracted singly; with no other
    /// tables than `only`.
    pub(crate) fn read_manifest(
        &self,
        source: &str,
        date: RunDate,
        complete: bool,
        only: Option<&BTreeSet<String>>,
    ) -> Result<Option<Manifest>> {
        let path = self.manifest_path(source, date, complete)?;
        let Some(content) = disk::read_if_exists(&path)? else {
            return Ok(None);
        };
        let manifest = parse(&content, only).and_then(|manifest| {
            check_place(&manifest, source, date, complete)?;
            Ok(manifest)
        });
        manifest.map(Some).map_err(|fault| Error::Manifest {
            path,
            mend: MissingStep::mend(source, None, date),
            fault,
        })
    }
}

fn parse(content: &[u8], only: Option<&BTreeSet<String>>) -> Result<Manifest, ManifestFault> {
    let seal = sealed::seal(content);
    if seal == Seal::Broken {
        return Err(ManifestFault::Hash);
    }
    let manifest = match only {
        Some(only) => Manifest::with_tables(content, only),
        None => serde_json::from_slice(content),
    };
    match (manifest, serde_json::from_slice::<Head>(content)) {
        (Ok(manifest), _) if (1..=FORMAT).contains(&manifest.format) => match (seal, manifest.format) {
            (Seal::None, 2..) => Err(ManifestFault::Hash),
            _ => Ok(manifest),
        },
        (_, Ok(Head { format, version })) if format > FORMAT => Err(ManifestFault::Format { format, version }),
        (Ok(manifest), _) => Err(ManifestFault::Unreadable {
            reason: format!("there is no format {}", manifest.format),
        }),
        (Err(error), _) => Err(ManifestFault::Unreadable {
            reason: error.to_string(),
        }),
    }
}

fn check_place(manifest: &Manifest, source: &str, date: RunDate, complete: bool) -> Result<(), ManifestFault> {
    if manifest.source != source || manifest.date != date {
        return Err(ManifestFault::Place {
            found: format!("{} of {}", manifest.source, manifest.date),
        });
    }
    if manifest.complete != complete {
        let whole = if manifest.complete {
            "the whole day"
        } else {
            "single tables"
        };
        return Err(ManifestFault::Place { found: whole.into() });
    }
    let partition = format!("{EXTRACT_DATE}={date}");
    for (table, entry) in &manifest.tables {
        check_entry(table, entry, &partition)?;
    }
    Ok(())
}

fn check_entry(table: &str, entry: &TableEntry, partition: &str) -> Result<(), ManifestFault> {
    if let Some(file) = entry.files.iter().find(|file| !is_in(&file.path, partition)) {
        return Err(ManifestFault::File {
            table: table.into(),
            file: file.path.clone(),
        });
    }
    let sum = |count: fn(&crate::DataFile) -> u64| entry.files.iter().map(count).try_fold(0_u64, u64::checked_add);
    if sum(|file| file.rows) != Some(entry.rows) || sum(|file| file.bytes) != Some(entry.bytes) {
        return Err(ManifestFault::Counts { table: table.into() });
    }
    Ok(())
}

/// Whether a relative path is that of a file in `folder`, by its letters alone.
fn is_in(path: &str, folder: &str) -> bool {
    let mut components = Path::new(path).components();
    components.next() == Some(Component::Normal(folder.as_ref()))
        && components.as_path().file_name().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)))
        && !path.contains('\0')
}
