//! `char(n)` and `bpchar`.

use super::Twins;

const TABLES: &str = "
    create domain code as char(3);
    create table t (id int, c char(5), d char(3), v varchar(9), b bpchar, k code, a char(3)[]);
    insert into t values
        (1, 'ab', 'ab', 'ab', 'ab ', 'x', '{a,bb,NULL}'), (2, 'a', 'b', 'a ', 'ab', 'x', '{}'),
        (3, '', '', '', ' ', '', NULL), (4, NULL, NULL, NULL, NULL, NULL, '{\"a  \"}'),
        (5, 'äb', 'ä', 'äb', 'äb  ', 'ä', '{ä}'), (6, ' a', 'a', ' a', ' a ', 'a', '{\" a\"}'),
        (7, 'abcde', 'abc', 'abcde', 'abcde', 'abc', '{abc}')";

#[tokio::test(flavor = "multi_thread")]
async fn blanks_are_seen_where_postgres_sees_them() {
    let twins = Twins::of(TABLES).await;
    let statements = [
        "select * from t order by id",
        "select id from t where c = 'ab'",
        "select id from t where c = 'ab   '",
        "select id from t where 'ab ' = c",
        "select id from t where c <> 'ab'",
        "select id from t where c in ('ab', 'a  ')",
        "select id from t where c not in ('ab', 'a  ')",
        "select id from t where c between 'a' and 'ab '",
        "select id from t where c > 'a '",
        "select id from t where c = d",
        "select id from t where c = v",
        "select id from t where c = b",
        "select id from t where b = v",
        "select id from t where b = 'ab'",
        "select id from t where b = 'ab  '",
        "select id from t where b in ('ab ')",
        "select id from t where k = 'x'",
        "select id from t where c is distinct from 'ab '",
        "select id from t where c like 'ab'",
        "select id from t where c like 'ab   '",
        "select id from t where c like '%b  %'",
        "select id from t where c not like 'a%b'",
        "select id from t where c ilike 'AB%'",
        "select id from t where b like 'ab'",
        "select id from t where c ~ 'b$'",
        "select id from t where c !~ 'b +$'",
        "select id, length(c), length(b), octet_length(c), octet_length(b), char_length(c) from t order by id",
        "select id, c || '|', b || '|', c || d || '|' from t order by id",
        "select id, concat(c, '|', d, '|', b), concat_ws('-', c, d) from t order by id",
        "select id, upper(c) || '|', replace(c, ' ', '_'), c::text || '|' as x, c::varchar || '|' as y from t order by id",
        "select id, coalesce(v, 'x') from t where upper(c) like '%B' order by id",
        "select c, d from t where id < 3 order by c, d",
        "select c as renamed from (select c from t where id = 1) as s",
        "select x.c, y.c from t x join t y on x.c = y.d order by x.id",
        "select x.id, y.id from t x join t y on x.b = y.c order by x.id, y.id",
        "select c, count(*) from t group by c order by c nulls last",
        "select count(distinct c), count(distinct b) from t",
        "select count(*) from t group by b",
        "select id from t order by b nulls first, id",
        "select id from t where exists (select 1 from t u where u.d = t.c) order by id",
        "select id from t where c in (select d from t)",
        "select id from t where b in (select v from t)",
        "select case when c = 'ab' then 'yes' else 'no' end from t order by id",
        "select c is null, c = '' from t order by id",
        "with w as (select c from t) select * from w where c = 'ab'",
        "select c from t where id = 1 union all select c from t where id = 2 order by 1",
    ];
    twins.agree(&statements).await;
}
