//! What the server's catalogue says of relations' columns and of their types.

use std::collections::BTreeMap;

use crate::{Connection, Error, PgType, Result, TypeCatalog, TypeKind, quote_qualified};

/// A column of a relation, as `pg_attribute` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogColumn {
    /// Its name.
    pub name: String,
    /// Its type's OID.
    pub type_oid: u32,
    /// Its type modifier, -1 for none.
    pub type_modifier: i32,
    /// Its type as `format_type` prints it; types outside `pg_catalog` are qualified, as our
    /// transactions have an empty search path.
    pub type_name: String,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// Whether it has a default of any kind (a value, an identity, a generation expression).
    pub has_default: bool,
    /// Whether it is `GENERATED ALWAYS AS (…) STORED`.
    pub generated: bool,
    /// Whether it is an identity column.
    pub identity: bool,
    /// Its place in the primary key, from 1.
    pub primary_key: Option<i32>,
}

/// The columns of relations by the relations' OIDs, each in the order of `attnum`.
///
/// # Errors
/// [`Error::Query`] with the server's answer.
pub async fn columns(connection: &Connection, relations: &[u32]) -> Result<BTreeMap<u32, Vec<CatalogColumn>>> {
    let rows = connection
        .query(
            "select a.attrelid, a.attname::text, a.atttypid, a.atttypmod,
                    pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef or a.attidentity <> '',
                    a.attgenerated <> '', a.attidentity <> '',
                    pg_catalog.array_position(k.conkey, a.attnum)
             from pg_catalog.pg_attribute a
             left join pg_catalog.pg_constraint k on k.conrelid = a.attrelid and k.contype = 'p'
             where a.attrelid = any($1) and a.attnum > 0 and not a.attisdropped
             order by a.attrelid, a.attnum",
            &[&relations],
        )
        .await
        .map_err(Error::query("read the columns from the catalogue"))?;
    let mut columns: BTreeMap<u32, Vec<CatalogColumn>> = BTreeMap::new();
    for row in &rows {
        columns.entry(row.get(0)).or_default().push(CatalogColumn {
            name: row.get(1),
            type_oid: row.get(2),
            type_modifier: row.get(3),
            type_name: row.get(4),
            not_null: row.get(5),
            has_default: row.get(6),
            generated: row.get(7),
            identity: row.get(8),
            primary_key: row.get(9),
        });
    }
    Ok(columns)
}

impl TypeCatalog {
    /// The types that the relations' columns use, those below domains and arrays included.
    ///
    /// A true array is what `array_out` prints: `int2vector`, and whatever type somebody made with
    /// elements of its own, has another form.
    ///
    /// # Errors
    /// [`Error::Query`] with the server's answer.
    pub async fn of_relations(connection: &Connection, relations: &[u32]) -> Result<Self> {
        let rows = connection
            .query(
                "with recursive used(oid) as (
                     select atttypid from pg_catalog.pg_attribute
                     where attrelid = any($1) and attnum > 0 and not attisdropped
                   union
                     select below.oid
                     from used
                     join pg_catalog.pg_type t on t.oid = used.oid
                     cross join lateral (values (t.typbasetype), (case when t.typlen = -1 then t.typelem else 0 end)) below(oid)
                     where below.oid <> 0)
                 select t.oid, t.typtype = 'd', t.typtype = 'e', t.typbasetype, t.typtypmod,
                        case when t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc and t.typtype = 'b'
                             then t.typelem else 0 end,
                        pn.nspname::text, p.proname::text,
                        (select pg_catalog.format('%I.%I', n.nspname, c.typname)
                         from pg_catalog.pg_type c join pg_catalog.pg_namespace n on n.oid = c.typnamespace
                         where c.oid = case when printed.typtype = 'p' then t.oid else printed.oid end),
                        case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) end
                 from used
                 join pg_catalog.pg_type t on t.oid = used.oid
                 join pg_catalog.pg_proc p on p.oid = t.typoutput
                 join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
                 join pg_catalog.pg_type printed on printed.oid = p.proargtypes[0]",
                &[&relations],
            )
            .await
            .map_err(Error::query("read the types from the catalogue"))?;
        Ok(rows
            .iter()
            .map(|row| PgType {
                oid: row.get(0),
                printed_as: row.get(8),
                below: row.get(9),
                kind: match (row.get(1), row.get(2), row.get(5)) {
                    (true, _, _) => TypeKind::Domain {
                        base: row.get(3),
                        modifier: row.get(4),
                    },
                    (_, true, _) => TypeKind::Enum,
                    (_, _, 0) => TypeKind::Other,
                    (_, _, element) => TypeKind::Array { element },
                },
                output: quote_qualified(row.get(6), row.get(7)),
            })
            .collect())
    }
}
