-- A query for `lake query` that lists the filters which do not find the rows that the server finds, in
-- tables of postgres_types.sql: decimals of 38 digits, dates before our era, columns with NaN.
select 'select filter from (' || string_agg(format(
    'select ''%1$s %2$s %3$s'' as filter, %5$s as wanted, count(*) as found from pg.%1$I where v %2$s %4$s',
    name, operator, id, literal, wanted), E'\nunion all ' order by name, id, operator) || ') as f where found <> wanted'
from (
    select 'decimals_38', a.id, format('cast(''%s'' as decimal(38, 10))', a.v), count(*) filter (where b.v = a.v), count(*) filter (where b.v <= a.v),
        count(*) filter (where b.v >= a.v) from decimals_38 a, decimals_38 b where a.v is not null group by a.id
    union all
    select 'decimals_38_0', a.id, format('cast(''%s'' as decimal(38, 0))', a.v), count(*) filter (where b.v = a.v), count(*) filter (where b.v <= a.v),
        count(*) filter (where b.v >= a.v) from decimals_38_0 a, decimals_38_0 b where a.v is not null group by a.id
    union all
    select 'decimals_38_38', a.id, format('cast(''%s'' as decimal(38, 38))', a.v), count(*) filter (where b.v = a.v), count(*) filter (where b.v <= a.v),
        count(*) filter (where b.v >= a.v) from decimals_38_38 a, decimals_38_38 b where a.v is not null group by a.id
    union all
    select 'dates', a.id, format('arrow_cast(arrow_cast(%s, ''Int32''), ''Date32'')', a.v_text), count(*) filter (where b.v = a.v), count(*) filter (where b.v <= a.v),
        count(*) filter (where b.v >= a.v) from dates a, dates b where a.v is not null group by a.id
    union all
    select 'timestamps', a.id, format('arrow_cast(arrow_cast(%s, ''Int64''), ''Timestamp(Microsecond, None)'')', a.v_text), count(*) filter (where b.v = a.v), count(*) filter (where b.v <= a.v),
        count(*) filter (where b.v >= a.v) from timestamps a, timestamps b where a.v is not null group by a.id
    union all
    select 'doubles', a.id, format('cast(''%s'' as double)', a.v), count(*) filter (where b.v = a.v), count(*) filter (where b.v <= a.v),
        count(*) filter (where b.v >= a.v) from doubles a, doubles b where a.v is not null group by a.id
    union all
    select 'reals', a.id, format('cast(''%s'' as real)', a.v), count(*) filter (where b.v = a.v), count(*) filter (where b.v <= a.v),
        count(*) filter (where b.v >= a.v) from reals a, reals b where a.v is not null group by a.id
) as t(name, id, literal, eq, le, ge),
lateral (values ('=', eq), ('<=', le), ('>=', ge)) as o(operator, wanted);
