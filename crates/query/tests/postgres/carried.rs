//! Types that the lake carries as text.

use super::Twins;

const TABLES: &str = "
    create type mood as enum ('sad', 'ok', 'happy');
    create table t (id int, n numeric, m mood, i inet, v interval, u uuid, c time);
    insert into t values
        (1, 99, 'happy', '10.0.0.9', '1 month', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '12:00'),
        (2, 100.50, 'sad', '10.0.0.10', '30 days', '00000000-0000-0000-0000-000000000001', '9:30'),
        (3, 1000, 'ok', '9.0.0.1', '29 days', NULL, '12:00:00.5'), (4, -0.001, NULL, NULL, NULL, NULL, NULL),
        (5, 99.0, 'ok', '9.0.0.1', '1 day', '00000000-0000-0000-0000-000000000001', '12:00')";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_carried_as_text_is_not_taken_for_text() {
    let twins = Twins::of(TABLES).await;
    let statements = [
        "select * from t where id < 5 order by id",
        "select max(n), min(n) from t",
        "select id from t where n > 99.5",
        "select id from t where n = 99",
        "select id from t where n in (99, 1000)",
        "select id from t where n between 99 and 101",
        "select id from t order by n, id",
        "select id, n from t where id in (2, 3) order by n desc",
        "select count(distinct n) from t",
        "select count(*) from t group by n",
        "select a.id, b.id from t a join t b on a.n = b.n where a.id < b.id",
        "select id from t where n is null or m is null",
        "select id from t where m = 'ok'",
        "select m, count(*) from t group by m",
        "select id from t where i = '9.0.0.1'",
        "select min(u::text), max(c) from t",
        "select id from t order by c, id",
        "select id from t where u > '00000000-0000-0000-0000-000000000001'",
        "select id from t where u = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        "select id from t where u in ('{a0eebc999c0b4ef8bb6d6bb9bd380a11}')",
        "select id from t where c = '12:00'",
        "select id from t where c >= '12:00:00.50' or c between '09:30' and '10:00'",
        "select id from t where i = '10.0.0.9/32'",
        "select id, row_number() over (order by n, id), max(n) over (order by id) from t order by id",
        "select id, count(*) over (partition by n) from t order by id",
        "select string_agg(id::text, ',' order by n, id) from t",
        "select greatest(n, 100) from t",
        "select id, n::text || 'x', concat(n, m) from t order by id",
        "select id from t order by m::text, id",
    ];
    twins.agree(&statements).await;

    for statement in [
        "select id from t order by m",
        "select max(m) from t",
        "select id from t where m > 'ok'",
        "select id from t order by i",
        "select id from t where v = interval '30 days'",
        "select v from t group by v",
        "select distinct id from t where v in ('1 month')",
        "select max(v) from t",
        "select rank() over (order by m) from t",
        "select string_agg(id::text, ',' order by m) from t",
    ] {
        twins.server(statement).await.unwrap();
        let refused = twins.lake(statement).await.unwrap_err();
        assert!(refused.contains("::text"), "{statement}: {refused}");
    }
}
