//! Values that travelled as text become their type again, by the type's own input function.
//!
//! `column::type` is an I/O conversion through that function for most types. But where `pg_cast` has
//! a cast from text of its own, the server uses it: `text` to `regclass` knows names and no numbers,
//! PostGIS's `text` to `geometry` knows one notation of several. Such types are made by calling the
//! input function, as COPY in text form does.

use std::collections::HashMap;

use lake_postgres::{Connection, quote_qualified};

use crate::Result;

/// For the types at hand that have a cast from text: the type below all domains, its input function,
/// the function's arguments and the type that they ask for (`getTypeIOParam` in the server).
///
/// Functions of polymorphic result (arrays, ranges, enums, records) can't be called, and their types
/// have no cast from text unless somebody makes one.
const INPUT_FUNCTIONS: &str = "\
    with recursive below(oid, base) as ( \
        select o, o from unnest($1::oid[]) o \
        union all \
        select b.oid, t.typbasetype from below b join pg_type t on t.oid = b.base where t.typtype = 'd' \
    ) \
    select b.oid, n.nspname::text, p.proname::text, p.pronargs::int, \
        case when t.typelem <> 0 then t.typelem else t.oid end \
    from below b \
    join pg_type t on t.oid = b.base and t.typtype <> 'd' \
    join pg_cast c on c.casttarget = t.oid and c.castsource = 'pg_catalog.text'::regtype and c.castmethod <> 'i' \
    join pg_proc p on p.oid = t.typinput and p.prorettype = t.oid \
    join pg_namespace n on n.oid = p.pronamespace";

/// How to make types from text.
#[derive(Debug, Default)]
pub(crate) struct TextCasts {
    /// What to put around the column, by type.
    calls: HashMap<u32, (String, String)>,
}

impl TextCasts {
    /// Reads what the types with these OIDs need.
    pub(crate) async fn load(connection: &Connection, types: &[u32]) -> Result<Self> {
        let rows = connection
            .query(INPUT_FUNCTIONS, &[&types])
            .await
            .map_err(lake_postgres::Error::query(
                "read the input functions of the columns' types",
            ))?;
        let calls = rows
            .iter()
            .map(|row| {
                let open = format!("{}(pg_catalog.textout(", quote_qualified(row.get(1), row.get(2)));
                let element: u32 = row.get(4);
                // The modifier is applied by the cast that follows.
                let close = match row.get::<_, i32>(3) {
                    1 => "))".to_owned(),
                    2 => format!("), {element})"),
                    _ => format!("), {element}, -1)"),
                };
                (row.get(0), (open, close))
            })
            .collect();
        Ok(Self { calls })
    }

    /// The expression that makes a text column a value of a type.
    pub(crate) fn expression(&self, column: &str, type_oid: u32, type_name: &str) -> String {
        match self.calls.get(&type_oid) {
            Some((open, close)) => format!("{open}{column}{close}::{type_name}"),
            None => format!("{column}::{type_name}"),
        }
    }
}
