//! What keeps a column of the target from getting another type: it is looked for before any row is copied, and told
//! all at once.

use std::fmt;

use lake_postgres::{Connection, Error as PgError};
use lake_storage::SqlName;

use crate::existing::Existing;
use crate::{Error, Result, TableDifference, TargetTable};

/// Views of views come first, as they have to go first. The server rebuilds indexes, constraints and statistics of a column by itself, and refuses for what is here.
const FIND: &str = "\
    with recursive part as ( \
        select w.place, w.name, p.oid from unnest($1::int[], $2::oid[], $3::text[]) as w(place, oid, name) \
        cross join lateral (select w.oid union select relid::oid from pg_partition_tree(w.oid)) p(oid)), \
    used as ( \
        select p.place, p.name, d.classid, d.objid from part p \
        join pg_attribute a on a.attrelid = p.oid and a.attname = p.name \
        join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = p.oid and d.refobjsubid = a.attnum), \
    composite as ( \
        select p.place, p.name, v.oid, v.relkind, u.attname from part p join pg_class c on c.oid = p.oid \
        join pg_type y on y.oid = c.reltype \
        join pg_attribute u on u.atttypid in (y.oid, y.typarray) and not u.attisdropped \
        join pg_class v on v.oid = u.attrelid), \
    views(place, name, oid, relkind, depth) as ( \
        select place, name, c.oid, c.relkind, 0 from used \
        join pg_rewrite r on classid = 'pg_rewrite'::regclass and r.oid = objid join pg_class c on c.oid = r.ev_class \
        where c.relkind in ('v', 'm') \
        union \
        select place, name, oid, relkind, 0 from composite where relkind in ('v', 'm') \
        union \
        select v.place, v.name, c.oid, c.relkind, v.depth + 1 from views v \
        join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = v.oid and d.classid = 'pg_rewrite'::regclass \
        join pg_rewrite r on r.oid = d.objid join pg_class c on c.oid = r.ev_class \
        where c.oid <> v.oid and c.relkind in ('v', 'm')) \
    select place, name, mend from ( \
    select place, name, format('drop %s %s', case relkind when 'm' then 'materialized view' else 'view' end, oid::regclass) as mend, \
        depth from views \
    union \
    select place, name, format('drop rule %I on %s', r.rulename, c.oid::regclass), 0 \
    from used join pg_rewrite r on classid = 'pg_rewrite'::regclass and r.oid = objid \
    join pg_class c on c.oid = r.ev_class where c.relkind not in ('v', 'm') \
    union \
    select place, name, format('drop policy %I on %s', y.polname, y.polrelid::regclass), 0 \
    from used join pg_policy y on classid = 'pg_policy'::regclass and y.oid = objid \
    union \
    select place, name, format('drop trigger %I on %s', g.tgname, g.tgrelid::regclass), 0 \
    from used join pg_trigger g on classid = 'pg_trigger'::regclass and g.oid = objid where not g.tgisinternal \
        and g.tgparentid = 0 \
    union \
    select place, name, format('alter publication %I drop table %s', b.pubname, l.prrelid::regclass), 0 \
    from used join pg_publication_rel l on classid = 'pg_publication_rel'::regclass and l.oid = objid \
    join pg_publication b on b.oid = l.prpubid \
    union \
    select place, name, format('alter table %s drop column %I', g.attrelid::regclass, g.attname), 0 \
    from used join pg_attrdef f on classid = 'pg_attrdef'::regclass and f.oid = objid \
    join pg_attribute g on g.attrelid = f.adrelid and g.attnum = f.adnum where g.attgenerated <> '' and g.attname <> name \
        and g.attinhcount = 0 \
    union \
    select place, name, format('drop %s %s', case f.prokind when 'p' then 'procedure' else 'function' end, f.oid::regprocedure), 0 \
    from used join pg_proc f on classid = 'pg_proc'::regclass and f.oid = objid \
    union \
    select place, name, format('alter table %s drop column %I', oid::regclass, attname), 0 from composite \
    where relkind in ('r', 'p', 'f') \
    union \
    select place, name, format('drop type %s', oid::regclass), 0 from composite where relkind = 'c' \
    union \
    select place, name, format('it is part of the key of the partitions of %s, which can''t change: drop the table, and the \
load creates one without partitions', y.partrelid::regclass), 0 \
    from part p join pg_attribute a on a.attrelid = p.oid and a.attname = p.name \
    join pg_partitioned_table y on y.partrelid = p.oid where a.attnum = any (y.partattrs::int2[]) \
    union \
    select place, name, format('it is inherited: change its type in %s', \
        (select string_agg(i.inhparent::regclass::text, ', ') from pg_inherits i where i.inhrelid = w.oid)), 0 \
    from unnest($1::int[], $2::oid[], $3::text[]) as w(place, oid, name) \
    join pg_attribute a on a.attrelid = w.oid and a.attname = w.name where a.attinhcount > 0 \
    ) found order by depth desc, 1, 2, 3";

/// Something that uses columns whose types have to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// The table.
    pub target: TargetTable,
    /// The columns, with the types that they have to get.
    pub columns: Vec<(String, String)>,
    /// The statement that does away with it, or why none does.
    pub mend: String,
}

impl fmt::Display for InTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.target)?;
        for (column, wanted) in &self.columns {
            write!(f, ", column {} (to {wanted})", SqlName(column))?;
        }
        write!(f, ": {}", self.mend)
    }
}

/// Refuses changes of types that the server would.
///
/// # Errors
/// [`Error::InTheWay`] with all that uses the columns.
pub(crate) async fn refuse(
    connection: &Connection,
    existing: &[Option<Existing>],
    differences: &[TableDifference],
) -> Result<()> {
    let (mut places, mut oids, mut names, mut types) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, (table, existing)) in differences.iter().zip(existing).enumerate() {
        let Some(existing) = existing else { continue };
        for column in &table.columns {
            if let (Some(wanted), Some(_)) = (&column.wanted, &column.has) {
                places.push(place as i32);
                oids.push(existing.oid);
                names.push(column.name.as_str());
                types.push(wanted);
            }
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    let rows = connection.query(FIND, &[&places, &oids, &names]).await;
    let rows = rows.map_err(PgError::query("look for what uses the target's columns"))?;
    let mut found: Vec<InTheWay> = Vec::new();
    for row in &rows {
        let (place, name, mend): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
        let mut wanted = places.iter().zip(&names).zip(&types);
        let Some((_, wanted)) = wanted.find(|((p, n), _)| **p == place && **n == name) else {
            continue;
        };
        let (target, column) = (&differences[place as usize].target, (name, (*wanted).clone()));
        match found
            .iter_mut()
            .find(|known| known.target == *target && known.mend == mend)
        {
            Some(known) => known.columns.push(column),
            None => found.push(InTheWay {
                target: target.clone(),
                columns: vec![column],
                mend,
            }),
        }
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(Error::InTheWay { found }),
    }
}
