//! Statements of every day, over a small shop.

use super::Twins;

const TABLES: &str = "
    create table customers (id int primary key, name text, country char(2), since date, vip boolean);
    create table orders (id bigint primary key, customer int, placed timestamp, paid timestamptz, amount numeric(12,2),
        discount float8, note varchar(40));
    insert into customers select i, 'name ' || i, (array['de','fr','it',null])[1 + i % 4], date '2020-01-01' + i * 17,
        i % 3 = 0 from generate_series(1, 40) i;
    insert into orders select i, 1 + i % 45, timestamp '2026-01-01' + i * interval '7 hours 13 minutes',
        timestamptz '2026-01-01 00:00:00+00' + i * interval '9 hours', (i * 37 % 1000) / 4.0,
        case when i % 5 = 0 then null else i / 7.0 end, case when i % 7 = 0 then null else 'note ' || i % 9 end
        from generate_series(1, 200) i";

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_every_day_agree() {
    let twins = Twins::of(TABLES).await;
    let statements = [
        "select count(*), count(note), count(distinct customer) from orders",
        "select country, count(*), sum(amount), round(avg(amount), 2), min(amount), max(amount) from customers c join orders o on o.customer = c.id group by country order by country nulls last",
        "select c.name, coalesce(sum(o.amount), 0) as total from customers c left join orders o on o.customer = c.id group by c.name order by total desc, c.name",
        "select date_trunc('month', placed) as month, sum(amount) from orders group by 1 order by 1",
        "select extract(month from placed) as m, count(*) from orders group by m order by m",
        "select id, amount, rank() over (order by amount desc, id) from orders where id < 20 order by id",
        "select customer, id, sum(amount) over (partition by customer order by id) as running from orders where customer < 4 order by customer, id",
        "select id, lag(amount) over (order by id), lead(amount, 2, 0) over (order by id) from orders where id < 9 order by id",
        "select id, amount - avg(amount) over () as diff from orders where id < 9 order by id",
        "select id, ntile(4) over (order by id), dense_rank() over (order by customer) from orders where id < 9 order by id",
        "select case when amount > 200 then 'high' when amount > 100 then 'mid' else 'low' end as band, count(*) from orders group by 1 order by 1",
        "select sum(amount) filter (where amount > 100), count(*) filter (where note is null) from orders",
        "select name, upper(name), length(name), substring(name from 1 for 4), replace(name, 'name', 'n'), left(name, 2), right(name, 2) from customers where id < 4 order by id",
        "select id, note || '-' || id, lpad(id::text, 5, '0') from orders where id < 4 order by id",
        "select string_agg(name, ', ' order by id) from customers where id < 5",
        "select distinct country from customers order by country nulls last",
        "select distinct on (customer) customer, id, amount from orders order by customer, amount desc, id",
        "select * from (select customer, amount, row_number() over (partition by customer order by amount desc, id) as n from orders) x where n = 1 order by customer",
        "select id from orders where placed between timestamp '2026-01-05' and timestamp '2026-01-07' order by id",
        "select id from orders where placed::date = date '2026-01-05' order by id",
        "select id from customers where since > date '2020-06-01' and vip order by id",
        "select vip, not vip, vip and true, vip or false from customers where id < 4 order by id",
        "select id from orders where note in ('note 1', 'note 2') and customer not in (2, 3) order by id",
        "select id from orders where note like 'note %' and note not like '%3' order by id limit 10 offset 5",
        "select c.id from customers c where exists (select 1 from orders o where o.customer = c.id and o.amount > 200) order by c.id",
        "select id from customers where id not in (select customer from orders) order by id",
        "select customer from orders where amount > 200 intersect select id from customers where vip order by 1",
        "select id from customers except select customer from orders order by 1",
        "select id from customers where id < 3 union select customer from orders where customer < 5 order by 1",
        "with big as (select * from orders where amount > 150) select customer, count(*) from big group by customer having count(*) > 1 order by customer",
        "select amount * 1.19 as gross, round(amount * 1.19, 2) from orders where id < 9 order by id",
        "select sum(amount * (1 - coalesce(discount, 0)))::numeric(20,4) from orders where id = 5",
        "select amount::int as i, amount::text as t, amount::float8 as f, id::text || 'x' from orders where id < 6 order by id",
        "select greatest(amount, 100), least(amount, 100), nullif(amount, 9.25), abs(-amount) from orders where id < 6 order by id",
        "select ceil(amount), floor(amount), round(amount), trunc(amount), power(2, 10), sqrt(16) from orders where id < 6 order by id",
        "select count(*) from orders o join customers c on c.id = o.customer and c.country = 'de'",
        "select country, sum(case when vip then 1 else 0 end) as vips, count(*) - sum(case when vip then 1 else 0 end) as others from customers group by country order by country nulls first",
        "select 100.0 * count(*) filter (where note is null) / count(*) from orders",
        "select count(*) * 100 / (select count(*) from orders) from orders where amount > 100",
        "select customer, amount, round(100 * amount / sum(amount) over (partition by customer), 2) as share from orders where customer < 4 order by customer, id",
        "select since - date '2020-01-01' from customers where id < 6 order by id",
        "select max(since) - min(since) from customers",
        "select grouping(country), country, count(*) from customers group by rollup (country) order by 1, 2 nulls first",
        "select country, vip, count(*) from customers group by cube (country, vip) order by 1 nulls first, 2 nulls first, 3",
        "select avg(amount), country from orders o join customers c on c.id = o.customer group by grouping sets ((country), ()) order by 2 nulls first, 1",
        "select o.id, c.name from orders o join customers c on c.id = o.customer where c.country = 'fr' and o.amount between 10 and 20.5 order by o.id",
        "values (1, 'a'), (2, 'b')",
        "select x.id, (select count(*) from orders o where o.customer = x.id) from customers x where x.id < 5 order by x.id",
        "select x.id, (select sum(amount) / 3 from orders o where o.customer = x.id) from customers x where x.id < 5 order by x.id",
        "select median from (select round(avg(amount), 1) as median from orders) m",
        "select stddev(discount) > 0, corr(discount, id) > 0 from orders",
        "select count(*) from orders where discount > 3.5 and discount <= 20",
        "select -amount, +amount, amount % 7 from orders where id < 6 order by id",
        "select sum(id), avg(id), sum(customer), avg(customer) from orders",
        "select current_date > since from customers where id = 1",
        "select concat(name, ' ', country, '!') from customers where id < 6 order by id",
        "select trim(both 'x' from 'xxaxx'), ltrim('  a'), btrim('  a '), initcap('ab cd'), reverse('abc'), repeat('ab', 2), split_part('a,b,c', ',', 2), strpos('abc', 'c'), position('b' in 'abc')",
    ];
    twins.agree(&statements).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_mean_something_else_is_refused() {
    let twins = Twins::of(TABLES).await;
    for (statement, message) in [
        ("select to_char(placed, 'YYYY-MM-DD') from orders", "strftime"),
        ("select to_date('31.01.2026', 'DD.MM.YYYY')", "strftime"),
        (
            "select placed - timestamp '2026-01-01' > interval '1 day' from orders",
            "compare timestamps",
        ),
    ] {
        twins.server(statement).await.unwrap();
        let refused = twins.lake(statement).await.unwrap_err();
        assert!(refused.contains(message), "{statement}: {refused}");
    }
}
