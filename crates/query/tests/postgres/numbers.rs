//! Integers and numerics.

use super::Twins;

const TABLES: &str = "
    create table t (id int, s smallint, i int, l bigint, n numeric(12,2), m numeric(10,4), w numeric(38,10), f float8);
    insert into t values
        (1, 1, 7, 9223372036854775807, 1.50, 0.3333, 1.5, 0.1),
        (2, -3, 2147483647, 1, -1.50, 2.0000, -12345678901234567890.1234567891, 2.5),
        (3, 32767, -2147483648, 5000000000, 0.00, 0.0001, 0.0000000001, -2.5),
        (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (5, 12, 100, 33, 9999999999.99, 999999.9999, 99999999.9999999999, 1e10)";

#[tokio::test(flavor = "multi_thread")]
async fn numbers_agree() {
    let twins = Twins::of(TABLES).await;
    let statements = [
        "select 0.1 + 0.2 = 0.3, 0.1 + 0.2",
        "select 1.0 / 3, 10000000 / 3.0, 1 / 3.0, 2 / 3, -7 / 2, -7 % 2, 7.5 % 2",
        "select 1 / 30000000000.0, 123456789012.5 / 7, 0.0 / 3, -1.0 / 3, -2.0 / 3, 1.00 / 1.0",
        "select 99999.0 / 9999, 9999.0 / 99999, 10000.0 / 9999, 100000000 / 0.0001",
        "select id, n / 3, 3 / m, n / m, m / 7.0, n / id, 1 / m from t where id <> 3 order by id",
        "select id, n * 1.19, n + m, n - i, n * m, -n, n + 1, l * 0.5 from t order by id",
        "select id, w * 2, w + n, w - 1 from t order by id",
        "select id, s + s, s * 2, i - 1, i % 10, l / 7, s - l, -s from t where id <> 3 order by id",
        "select sum(s), sum(i), sum(l), sum(n), sum(m), sum(w), sum(n * m) from t",
        "select avg(s), avg(i), avg(l), avg(n), avg(m), avg(n * m), avg(id) from t",
        "select avg(distinct n), avg(n) filter (where id < 3), sum(n) filter (where id < 3), count(*) from t",
        "select s % 2, avg(n), sum(n), avg(n) * 2 from t group by s % 2 order by 1",
        "select id, avg(n) over (order by id), sum(l) over (order by id), avg(i) over (partition by id % 2 order by id) from t order by id",
        "select avg(n) from t where false",
        "select id from t where n > (select avg(n) from t) order by id",
        "select id % 2 as k, avg(n) as a from t group by 1 having avg(n) > 0 order by a desc",
        "select x.k, round(avg(x.v), 6) from (select id % 2 as k, avg(m) as v from t group by id) as x group by x.k order by x.k",
        "select 3.7::int, 3.5::int, -2.5::int, 2.4::bigint, 2.5::smallint, n::int from t where id < 4 order by id",
        "select sum(id + s - 1), sum(id - s + 1), sum(id * 2 + s), sum(id + 2 * s) from t",
        "select sum((id + 2) * s) from t",
        "select id + s - l, id - s + l, id * s / 3 % 5 + 1 - 2 from t where id in (1, 2) order by id",
        "select sum(case when id > 2 then 1 else 0 end) from t",
        "select sum(l) / count(l), sum(n) / sum(m) from t",
        "select id from t where n = 1.5 or l = 33 or m < 0.001 order by id",
        "select min(n), max(l), min(w) from t",
        "select f * 2, f + 1, f / 4 from t where id < 4 order by id",
        "select coalesce(n, 0), nullif(n, 0), greatest(n, m), abs(n) from t order by id",
        "select id, row_number() over (order by id) / 2, rank() over (order by id) + 1, ntile(2) over (order by id) * 3 from t order by id",
        "select count(*) / 2, count(*) * 1.5, length('abc') / 2, 7 / count(*) from t",
        "select extract(year from date '2026-03-31') / 4, extract(month from date '2026-03-31') + 1",
        "select y / 4 from (select extract(year from date '2026-03-31') as y) as x",
        "select x.a + 1, x.b / 2 from (values (1, 3.0), (2, 4.5)) as x (a, b) order by 1",
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 5) select i, i / 2 from n order by i",
        "select f > 0.1, f = 0.1, f between 0.1 and 2.5, f in (0.1, 2.5), f < n, coalesce(f, 0.5) from t order by id",
        "select f * n, f + 0.1, f / 0.3, case when id = 1 then f else 0.7 end, greatest(f, n) from t where id < 4 order by id",
        "select id from t where f = n or f > 1.5 order by id",
        "select f from t where id = 1 union all select n from t where id = 1 order by 1",
        "select round(n, 1), round(m, 2), ceil(m), floor(n) from t where id < 4 order by id",
    ];
    twins.agree(&statements).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_place_in_its_type_is_an_error() {
    let twins = Twins::of(TABLES).await;
    for (statement, message) in [
        ("select i + 1 from t", "integer out of range"),
        ("select s + s from t", "smallint out of range"),
        ("select l * 2 from t", "bigint out of range"),
        ("select -i from t", "integer out of range"),
        ("select id / (id - 1) from t", "division by zero"),
        ("select n / (n - n) from t", "division by zero"),
        ("select avg(n) / 0 from t", "division by zero"),
        ("select 40000.0::smallint", ""),
    ] {
        let server = twins.server(statement).await.unwrap_err();
        let lake = twins.lake(statement).await.unwrap_err();
        assert!(lake.contains(message), "{statement}: {lake}; the server: {server}");
    }
}
