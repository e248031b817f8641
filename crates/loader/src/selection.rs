//! Which tables of the lake's day are meant, and whether they are there.

use std::collections::{BTreeMap, BTreeSet};

use lake_postgres::{NamePart, parse_name, quote_qualified};
use lake_storage::{Lake, Manifest, MissingStep, RESULTS, ReadGuard, Relation, RunId, SqlName, TableEntry};

use crate::origin::SourceSchemas;
use crate::{Error, LoadRequest, Result};

const NEAREST_MAX: usize = 3;

/// The tables that a request means, with the runs of the manifests that they were found in.
#[derive(Debug)]
pub(crate) struct Selection {
    /// By source, in the order of their creation there.
    pub(crate) tables: Vec<SelectedTable>,
    pub(crate) inputs: BTreeMap<String, RunId>,
    /// Of all the sources' tables of the day, also of those that are not meant.
    pub(crate) schemas: SourceSchemas,
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
        name_in_lake(&self.source, &self.name)
    }
}

/// As `lake query` takes it.
fn name_in_lake(source: &str, name: &str) -> String {
    format!("{}.{}", SqlName(source), SqlName(name))
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
        let guards = read.map(|source| lake.read_guard(source)).collect::<Result<_, _>>()?;
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
        let queries = request.queries.iter().map(|query| Candidate::of_result(query));
        let of_sources = manifests.iter().flat_map(|(source, manifest)| {
            let tables = manifest.tables.iter();
            tables.map(|(name, entry)| Candidate {
                source,
                name,
                relation: entry.relation.as_ref(),
            })
        });
        let candidates: Vec<Candidate<'_>> = queries.chain(of_sources).collect();

        let mut chosen: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        for wanted in &request.tables {
            match find(&candidates, wanted)? {
                Some(found) => {
                    chosen.insert((found.source, found.name));
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
            schemas: SourceSchemas::new(),
            guards: Vec::new(),
        }
    }

    fn add(&mut self, manifest: &Manifest, is_wanted: impl Fn(&String) -> bool) {
        let relations = manifest.tables.values().filter_map(|entry| entry.relation.as_ref());
        let schemas = self.schemas.entry(manifest.source.clone()).or_default();
        schemas.extend(relations.map(|relation| relation.schema.clone()));
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

/// A table or result that a name may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate<'a> {
    source: &'a str,
    name: &'a str,
    /// What it is in its database.
    relation: Option<&'a Relation>,
}

impl<'a> Candidate<'a> {
    fn of_result(query: &'a str) -> Self {
        Self {
            source: RESULTS,
            name: query,
            relation: None,
        }
    }

    fn in_lake(&self) -> String {
        name_in_lake(self.source, self.name)
    }

    /// Whether its database calls it so.
    fn is_in_database(&self, parts: &[NamePart]) -> bool {
        let Some(relation) = self.relation else { return false };
        match parts {
            [table] => relation.schema == "public" && relation.name == table.text,
            [schema, table] => relation.schema == schema.text && relation.name == table.text,
            _ => false,
        }
    }

    /// Whether `lake query` calls it so.
    fn is_in_lake(&self, parts: &[NamePart]) -> bool {
        match parts {
            [table] => self.name == table.text,
            [source, table] => self.source == source.text && self.name == table.text,
            _ => false,
        }
    }

    /// Whether these are its very characters in the lake.
    fn is_literally(&self, wanted: &str) -> bool {
        let of_source = wanted.strip_prefix(self.source).and_then(|rest| rest.strip_prefix('.'));
        self.name == wanted || of_source == Some(self.name)
    }
}

/// What a name stands for. With quotes it is SQL's: of the database, or else of the lake. Without, it
/// may be either, and is refused where that makes a difference.
fn find<'a, 'b>(candidates: &'b [Candidate<'a>], wanted: &str) -> Result<Option<&'b Candidate<'a>>> {
    let parts = parse_name(wanted).unwrap_or_default();
    let found = |is_meant: &dyn Fn(&Candidate<'a>) -> bool| -> Vec<&'b Candidate<'a>> {
        candidates.iter().filter(|candidate| is_meant(candidate)).collect()
    };
    let found = if parts.iter().any(|part| part.quoted) {
        let readings: [&dyn Fn(&Candidate<'a>) -> bool; 3] = [
            &|candidate| candidate.is_in_database(&parts),
            &|candidate| candidate.is_in_lake(&parts),
            &|candidate| candidate.is_literally(wanted),
        ];
        let mut found = readings.into_iter().map(found);
        found.find(|found| !found.is_empty()).unwrap_or_default()
    } else {
        found(&|candidate| candidate.is_in_database(&parts) || candidate.is_literally(wanted))
    };
    match found[..] {
        [] => Ok(None),
        [found] => Ok(Some(found)),
        _ => Err(Error::Ambiguous {
            wanted: wanted.into(),
            candidates: unambiguous(&found),
        }),
    }
}

/// Names that tell these apart: quoted, the databases' own, where no two of them are the same.
fn unambiguous(found: &[&Candidate<'_>]) -> Vec<String> {
    let relations: BTreeSet<String> = found
        .iter()
        .filter_map(|candidate| candidate.relation)
        .map(|relation| quote_qualified(&relation.schema, &relation.name))
        .collect();
    if relations.len() == found.len() {
        relations.into_iter().collect()
    } else {
        found.iter().map(|candidate| candidate.in_lake()).collect()
    }
}

fn nearest(candidates: &[Candidate<'_>], wanted: &str) -> String {
    let folded = wanted.to_lowercase();
    let mut scored: Vec<(usize, String)> = candidates
        .iter()
        .map(|candidate| {
            let in_lake = candidate.in_lake();
            let in_database = candidate.relation.map(ToString::to_string);
            let names = [candidate.name, &in_lake].into_iter().chain(in_database.as_deref());
            let distance = names
                .map(|name| strsim::levenshtein(&folded, &name.to_lowercase()))
                .min();
            (distance.unwrap_or_default(), in_lake)
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

    fn candidates<'a>(relations: &'a [Relation], named: &[(&'a str, &'a str)]) -> Vec<Candidate<'a>> {
        let of_files = named.iter().map(|(source, name)| Candidate {
            source,
            name,
            relation: None,
        });
        let of_database = relations.iter().map(|relation| Candidate {
            source: "shop",
            name: &relation.name,
            relation: Some(relation),
        });
        of_files.chain(of_database).collect()
    }

    fn relation(schema: &str, name: &str) -> Relation {
        Relation {
            schema: schema.into(),
            name: name.into(),
            oid: 0,
        }
    }

    #[test]
    fn a_name_is_found_where_it_is_the_only_one() {
        let candidates = candidates(
            &[],
            &[
                ("csv", "order_details"),
                ("postgres", "orders"),
                ("shop", "orders"),
                ("postgres", "customers"),
            ],
        );
        let find = |wanted| find(&candidates, wanted).map(|found| found.map(Candidate::in_lake));
        assert_eq!(find("customers").unwrap().as_deref(), Some("postgres.customers"));
        assert_eq!(find("shop.orders").unwrap().as_deref(), Some("shop.orders"));
        assert_eq!(find("order").unwrap(), None);
        let error = find("orders").unwrap_err().to_string();
        assert!(error.contains("postgres.orders or shop.orders"), "{error}");
        assert_eq!(nearest(&candidates, "custmers"), "; did you mean postgres.customers?");
        assert_eq!(nearest(&candidates, "invoices"), "");
    }

    #[test]
    fn quotes_say_which_of_two_names_is_meant() {
        let relations = [
            relation("public", "orders"),
            relation("public", "Orders"),
            relation("public", "\"orders\""),
            relation("public", "sales.orders"),
            relation("sales", "orders 2"),
        ];
        let candidates = candidates(&relations, &[("files", "a b")]);
        let find = |wanted| find(&candidates, wanted).map(|found| found.map(|c| (c.relation, c.name)));
        for (wanted, place) in [
            ("orders", 0),
            ("\"orders\"", 0),
            ("\"Orders\"", 1),
            ("public.\"\"\"orders\"\"\"", 2),
            ("\"sales.orders\"", 3),
            ("sales.orders", 3),
            ("Sales.\"orders 2\"", 4),
            ("shop.\"orders 2\"", 4),
        ] {
            assert_eq!(find(wanted).unwrap().unwrap().0, Some(&relations[place]), "{wanted}");
        }
        assert_eq!(find("files.\"a b\"").unwrap().unwrap().1, "a b");
        let error = find("Orders").unwrap_err().to_string();
        assert!(error.contains(r#""public"."Orders" or "public"."orders""#), "{error}");
    }
}
