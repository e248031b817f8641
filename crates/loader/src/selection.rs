//! Which tables of the lake's day are meant, and whether they are there.

use std::collections::{BTreeMap, BTreeSet};

use lake_postgres::{parse_name, quote_qualified};
use lake_storage::{Lake, Manifest, MissingStep, RESULTS, ReadGuard, RunId, TableEntry};

use crate::{Error, LoadRequest, Result};

const NEAREST_MAX: usize = 3;

/// The tables that a request means, with the runs of the manifests that they were found in.
#[derive(Debug)]
pub(crate) struct Selection {
    /// By source, in the order of their creation there.
    pub(crate) tables: Vec<SelectedTable>,
    pub(crate) inputs: BTreeMap<String, RunId>,
    /// Keep the tables' files while the selection lives.
    pub(crate) guards: Vec<ReadGuard>,
}

/// A table of the lake's day.
#[derive(Clone, Debug)]
pub(crate) struct SelectedTable {
    pub(crate) source: String,
    pub(crate) name: String,
    pub(crate) entry: TableEntry,
}

impl SelectedTable {
    /// The table as messages call it.
    pub(crate) fn label(&self) -> String {
        format!("{}.{}", self.source, self.name)
    }
}

impl Selection {
    /// Reads the manifests that the request needs.
    ///
    /// # Errors
    /// `lake_storage::Error::Prerequisite` with every step that is missing; [`Error::NoMatch`] and
    /// [`Error::Ambiguous`] for names of tables.
    pub(crate) fn read(lake: &Lake, request: &LoadRequest) -> Result<Self> {
        // Before any manifest is read.
        let read = request.sources.iter().map(String::as_str).chain([RESULTS]);
        let guards = read.map(|source| lake.read_guard(source)).collect();
        let selection = Self::of_manifests(lake, request)?;
        Ok(Self { guards, ..selection })
    }

    fn of_manifests(lake: &Lake, request: &LoadRequest) -> Result<Self> {
        if request.tables.is_empty() {
            let sources = lake.require_sources(&request.sources, request.date);
            let (sources, results) = both(sources, results(lake, request, &request.queries))?;
            let mut selection = Self::empty();
            for manifest in &sources {
                selection.add(manifest, |_| true);
            }
            if let Some(manifest) = results {
                selection.add(&manifest, |name| request.queries.contains(name));
            }
            Ok(selection.sorted())
        } else {
            Self::named(lake, request)
        }
    }

    /// Only the tables that the request names; each has to be there, its source's other tables not.
    fn named(lake: &Lake, request: &LoadRequest) -> Result<Self> {
        let mut manifests = BTreeMap::new();
        let mut incomplete = Vec::new();
        for source in &request.sources {
            let manifest = lake.manifest_or_partial(source, request.date)?;
            if manifest.as_ref().is_none_or(|manifest| !manifest.complete) {
                incomplete.push(source);
            }
            if let Some(manifest) = manifest {
                manifests.insert(source.as_str(), manifest);
            }
        }
        // A table may be named as its database names it.
        let relations: BTreeMap<String, Vec<(&str, &str)>> = by_relation(&manifests);
        let mut candidates: Vec<(&str, &str)> = request.queries.iter().map(|query| (RESULTS, query.as_str())).collect();
        for (source, manifest) in &manifests {
            candidates.extend(manifest.tables.keys().map(|name| (*source, name.as_str())));
        }

        let mut chosen: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        for wanted in &request.tables {
            let of_database = relation_name(wanted).and_then(|name| relations.get(&name));
            match find(&candidates, of_database.map_or(&[], Vec::as_slice), wanted)? {
                Some(found) => {
                    chosen.insert(found);
                }
                None => {
                    // A source that isn't whole may have it yet.
                    let of_source =
                        |source: &str| wanted.strip_prefix(source).is_some_and(|rest| rest.starts_with('.'));
                    let named: Vec<_> = incomplete.iter().filter(|source| of_source(source)).collect();
                    let possible = if named.is_empty() {
                        incomplete.iter().collect()
                    } else {
                        named
                    };
                    if possible.is_empty() || request.sources.iter().any(|s| of_source(s) && !incomplete.contains(&s)) {
                        return Err(Error::NoMatch {
                            wanted: wanted.clone(),
                            nearest: nearest(&candidates, wanted),
                        });
                    }
                    missing.extend(possible.into_iter().map(|source| source.as_str()));
                }
            }
        }

        let queries: Vec<String> = of_results(&chosen).map(|(_, name)| (*name).to_owned()).collect();
        let missing = missing
            .into_iter()
            .map(|source| MissingStep {
                step: "extract",
                name: source.into(),
                date: request.date,
                older_than: None,
            })
            .collect();
        let ((), results) = both(prerequisite(missing), results(lake, request, &queries))?;
        let mut selection = Self::empty();
        for manifest in manifests.values().chain(&results) {
            selection.add(manifest, |name| {
                chosen.contains(&(manifest.source.as_str(), name.as_str()))
            });
        }
        Ok(selection.sorted())
    }

    fn empty() -> Self {
        Self {
            tables: Vec::new(),
            inputs: BTreeMap::new(),
            guards: Vec::new(),
        }
    }

    fn add(&mut self, manifest: &Manifest, is_wanted: impl Fn(&String) -> bool) {
        let mut tables = manifest.tables.iter().filter(|(name, _)| is_wanted(name)).peekable();
        if tables.peek().is_some() {
            self.inputs.insert(manifest.source.clone(), manifest.run.clone());
        }
        self.tables.extend(tables.map(|(name, entry)| SelectedTable {
            source: manifest.source.clone(),
            name: name.clone(),
            entry: entry.clone(),
        }));
    }

    /// By source, and as the source's tables were created, so that they are created in that order.
    fn sorted(mut self) -> Self {
        let place = |table: &SelectedTable| table.entry.relation.as_ref().map_or(0, |relation| relation.oid);
        self.tables
            .sort_by(|a, b| (&a.source, place(a), &a.name).cmp(&(&b.source, place(b), &b.name)));
        self
    }
}

fn results(lake: &Lake, request: &LoadRequest, queries: &[String]) -> lake_storage::Result<Option<Manifest>> {
    if queries.is_empty() {
        return Ok(None);
    }
    lake.require_results(queries, request.date).map(Some)
}

fn prerequisite(missing: Vec<MissingStep>) -> lake_storage::Result<()> {
    if missing.is_empty() {
        Ok(())
    } else {
        Err(lake_storage::Error::Prerequisite { missing })
    }
}

/// Both, or one error with the missing steps of both.
fn both<A, B>(a: lake_storage::Result<A>, b: lake_storage::Result<B>) -> lake_storage::Result<(A, B)> {
    use lake_storage::Error::Prerequisite;
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(Prerequisite { mut missing }), Err(Prerequisite { missing: more })) => {
            missing.extend(more);
            Err(Prerequisite { missing })
        }
        // What is broken comes before what is missing.
        (Err(error), Ok(_)) | (Ok(_), Err(error)) | (Err(Prerequisite { .. }), Err(error)) | (Err(error), Err(_)) => {
            Err(error)
        }
    }
}

fn of_results<'a>(chosen: &'a BTreeSet<(&str, &str)>) -> impl Iterator<Item = &'a (&'a str, &'a str)> {
    chosen.iter().filter(|(source, _)| *source == RESULTS)
}

/// The tables by the names that they have in their databases, quoted.
fn by_relation<'a>(manifests: &'a BTreeMap<&'a str, Manifest>) -> BTreeMap<String, Vec<(&'a str, &'a str)>> {
    let mut relations: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
    for (source, manifest) in manifests {
        for (name, entry) in &manifest.tables {
            if let Some(relation) = &entry.relation {
                let quoted = quote_qualified(&relation.schema, &relation.name);
                relations.entry(quoted).or_default().push((source, name));
            }
        }
    }
    relations
}

/// A name as SQL writes it, quoted throughout.
fn relation_name(wanted: &str) -> Option<String> {
    match &parse_name(wanted).ok()?[..] {
        [table] => Some(quote_qualified("public", &table.text)),
        [schema, table] => Some(quote_qualified(&schema.text, &table.text)),
        _ => None,
    }
}

/// By source and name, by the lake's name, and then by the name in the database.
fn find<'a>(
    candidates: &[(&'a str, &'a str)],
    of_database: &[(&'a str, &'a str)],
    wanted: &str,
) -> Result<Option<(&'a str, &'a str)>> {
    let qualified = candidates
        .iter()
        .find(|(source, name)| format!("{source}.{name}") == wanted);
    if let Some(found) = qualified {
        return Ok(Some(*found));
    }
    let plain: Vec<_> = candidates.iter().filter(|(_, name)| *name == wanted).collect();
    let plain = match plain.is_empty() {
        true => of_database.iter().collect(),
        false => plain,
    };
    match plain[..] {
        [] => Ok(None),
        [found] => Ok(Some(*found)),
        _ => Err(Error::Ambiguous {
            wanted: wanted.into(),
            candidates: plain.iter().map(|(source, name)| format!("{source}.{name}")).collect(),
        }),
    }
}

fn nearest(candidates: &[(&str, &str)], wanted: &str) -> String {
    let folded = wanted.to_lowercase();
    let mut scored: Vec<(usize, String)> = candidates
        .iter()
        .map(|(source, name)| {
            let qualified = format!("{source}.{name}");
            let plain = strsim::levenshtein(&folded, &name.to_lowercase());
            (
                plain.min(strsim::levenshtein(&folded, &qualified.to_lowercase())),
                qualified,
            )
        })
        .filter(|(distance, _)| *distance <= 1 + folded.len() / 3)
        .collect();
    scored.sort();
    let names: Vec<String> = scored.into_iter().take(NEAREST_MAX).map(|(_, name)| name).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", names.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANDIDATES: &[(&str, &str)] = &[
        ("csv", "order_details"),
        ("postgres", "orders"),
        ("shop", "orders"),
        ("postgres", "customers"),
    ];

    #[test]
    fn a_name_is_found_where_it_is_the_only_one() {
        assert_eq!(
            find(CANDIDATES, &[], "customers").unwrap(),
            Some(("postgres", "customers"))
        );
        assert_eq!(find(CANDIDATES, &[], "shop.orders").unwrap(), Some(("shop", "orders")));
        assert_eq!(find(CANDIDATES, &[], "order").unwrap(), None);
        let error = find(CANDIDATES, &[], "orders").unwrap_err().to_string();
        assert!(error.contains("postgres.orders or shop.orders"), "{error}");
    }

    #[test]
    fn a_wrong_name_meets_the_nearest() {
        assert_eq!(nearest(CANDIDATES, "custmers"), "; did you mean postgres.customers?");
        assert_eq!(nearest(CANDIDATES, "invoices"), "");
    }
}
