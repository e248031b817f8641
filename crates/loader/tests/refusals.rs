//! What the target refuses is told with what mends it, and that does.

use crate::fixture::{Column, Fixture, chain, monday, table, tuesday};

/// What is in backquotes in a message, the last of it.
fn mend(message: &str) -> String {
    message
        .rsplit('`')
        .nth(1)
        .unwrap_or_else(|| panic!("{message}"))
        .to_owned()
}

/// Loads a day that is refused, does what the message says, and loads it again.
async fn mended(fixture: &Fixture, says: &str) {
    let error = chain(&fixture.load(tuesday()).await.unwrap_err());
    assert!(error.contains(says), "{says} in {error}");
    assert_eq!(fixture.leftovers().await, "");
    fixture.execute(&mend(&error)).await;
    fixture.load(tuesday()).await.unwrap();
}

#[tokio::test]
async fn all_that_keeps_a_column_from_a_wider_type_is_told_at_once() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table t (c int, \"D\" int, g int generated always as (c + 1) stored); \
             create view seen as select c from t; create view seen_again as select count(*) from seen; create materialized view kept as select \"D\" from t; \
             create table log (c int); create rule noted as on insert to log do also select c from t; \
             create policy few on t using (c > 0); \
             create function f() returns trigger language plpgsql as 'begin return new; end'; \
             create trigger changed before update of \"D\" on t for each row execute function f(); \
             create function total() returns bigint begin atomic select sum(c) from t; end; \
             create publication few for table t where (c > 0); \
             create table whole (id int, was t); create view rows as select t from t; \
             create index on t (c); alter table t add check (c > 0); create statistics s on c, \"D\" from t",
        )
        .await;
    let wide = table("t", [Column::bigint("c", [1 << 40]), Column::bigint("D", [1 << 40])]);
    fixture.publish(monday(), [wide]).await;
    let error = fixture.load(monday()).await.unwrap_err().to_string();
    let told: Vec<&str> = error.lines().skip(1).map(str::trim).collect();
    assert_eq!(
        told,
        [
            "public.t, column c (to bigint): drop view public.seen_again",
            "public.t, column \"D\" (to bigint), column c (to bigint): alter table public.whole drop column was",
            "public.t, column \"D\" (to bigint): drop materialized view public.kept",
            "public.t, column \"D\" (to bigint): drop trigger changed on public.t",
            "public.t, column \"D\" (to bigint), column c (to bigint): drop view public.rows",
            "public.t, column c (to bigint): alter publication few drop table public.t",
            "public.t, column c (to bigint): alter table public.t drop column g",
            "public.t, column c (to bigint): drop function public.total()",
            "public.t, column c (to bigint): drop policy few on public.t",
            "public.t, column c (to bigint): drop rule noted on public.log",
            "public.t, column c (to bigint): drop view public.seen",
        ]
    );
    let mends: Vec<&str> = told.iter().map(|line| line.split_once("): ").unwrap().1).collect();
    fixture.execute(&mends.join("; ")).await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(fixture.query("select c from t").await, (1_i64 << 40).to_string());
}

#[tokio::test]
async fn what_no_statement_does_away_with_is_told_too() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table parts (id int, part int) partition by list (part); \
             create table parts_1 partition of parts default; \
             create view of_part as select id from parts_1; \
             create table parent (id int); create table child () inherits (parent)",
        )
        .await;
    let wide = |name: &str, columns: &[&str]| table(name, columns.iter().map(|name| Column::bigint(name, [1])));
    fixture
        .publish(monday(), [wide("parts", &["id", "part"]), wide("child", &["id"])])
        .await;
    let error = fixture.load(monday()).await.unwrap_err().to_string();
    for part in [
        "public.parts, column id (to bigint): drop view public.of_part",
        "public.parts, column part (to bigint): it is part of the key of the partitions of public.parts",
        "public.child, column id (to bigint): it is inherited: change its type in public.parent",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[tokio::test]
async fn constraints_of_the_targets_own_are_told_with_what_drops_them() {
    for (made, says) in [
        ("add constraint \"Small\" check (n < 5)", "drop constraint \"Small\"`"),
        ("alter n set not null", "alter column n drop not null`"),
        (
            "add constraint apart exclude using gist (box(point(n, n), point(n, n)) with &&)",
            "drop constraint apart`",
        ),
        (
            "alter n type even",
            "alter domain public.even drop constraint even_check`",
        ),
        ("alter n type must", "alter domain public.must drop not null`"),
        (
            "alter n type lesser",
            "alter domain public.lesser drop constraint lesser_check`",
        ),
    ] {
        let fixture = Fixture::new().await;
        fixture
            .execute(&format!(
                "create domain even as int check (value % 2 = 0); create domain must as int not null; \
                 create domain lesser as int check (value < 5); create table t (n int); alter table t {made}"
            ))
            .await;
        let rows = arrow::array::Int32Array::from(vec![Some(7), None, Some(7)]);
        let column = Column::new("n", rows);
        let column = match made.strip_prefix("alter n type ") {
            Some(domain) => column.of(&format!("public.{domain}")).below("integer"),
            None => column.of("integer"),
        };
        fixture.publish(tuesday(), [table("t", [column])]).await;
        mended(&fixture, says).await;
    }
    let fixture = Fixture::new().await;
    fixture
        .execute("create table t (n int); create unique index \"One\" on t (n)")
        .await;
    fixture
        .publish(tuesday(), [table("t", [Column::int("n", [7, 7])])])
        .await;
    let error = chain(&fixture.load(tuesday()).await.unwrap_err());
    assert!(
        error.contains("the unique index \"One\" of public.t is the target's own"),
        "{error}"
    );
}

#[tokio::test]
async fn a_row_without_a_partition_is_told_with_the_statement_that_makes_one() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "create table parts (id int, part int) partition by list (part); \
             create table \"Second\" partition of parts for values in (2) partition by list (id); \
             create table parts_1 partition of parts for values in (1)",
        )
        .await;
    let rows = |part| [table("parts", [Column::int("id", [5]), Column::int("part", [part])])];
    fixture.publish(monday(), rows(1)).await;
    fixture.publish(tuesday(), rows(7)).await;
    fixture.load(monday()).await.unwrap();
    mended(&fixture, "(part) = (7)").await;
    fixture.publish(tuesday(), rows(2)).await;
    mended(
        &fixture,
        "`create table public.\"Second_default\" partition of public.\"Second\" default`",
    )
    .await;
    assert_eq!(
        fixture.query("select tableoid::regclass from parts").await,
        "\"Second_default\""
    );
}

#[tokio::test]
async fn labels_that_an_enum_lacks_are_added_at_its_end() {
    let fixture = Fixture::new().await;
    let role = format!("{}_loader", fixture.database);
    fixture
        .execute(&format!(
            "create schema \"Types\"; create type \"Types\".\"Mood\" as enum ('sad', 'ok'); \
             create domain felt as \"Types\".\"Mood\"; create domain all_felt as \"Types\".\"Mood\"[]; \
             create table t (one \"Types\".\"Mood\", many \"Types\".\"Mood\"[], felt felt, all_felt all_felt); \
             create role {role} login; grant usage on schema \"Types\" to {role}; grant usage, create on schema public to {role}; \
             grant all on t to {role}"
        ))
        .await;
    let text = |name: &str, value: &str, type_name: &str| Column::text(name, [value]).of(type_name);
    let columns = [
        text("one", "it's \"so\"", "\"Types\".\"Mood\""),
        text("many", "{ok,\"a,b\",NULL}", "\"Types\".\"Mood\"[]"),
        text("felt", "new", "public.felt").below("\"Types\".\"Mood\""),
        text("all_felt", "{newer,sad}", "public.all_felt").below("\"Types\".\"Mood\"[]"),
    ];
    fixture.publish(tuesday(), [table("t", columns)]).await;
    let mut as_role = fixture.target.clone();
    as_role.url = as_role.url.replacen("postgres@", &format!("{role}@"), 1);
    let refused = lake_loader::load(&fixture.lake, &as_role, &fixture.request(tuesday()), |_| {}).await;
    let error = refused.unwrap_err().to_string();
    for part in [
        "the role does not own the type \"Types\".\"Mood\"",
        "alter type \"Types\".\"Mood\" add value if not exists 'it''s \"so\"';",
        "alter type \"Types\".\"Mood\" add value if not exists 'newer';",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    for jobs in [1, 2] {
        let mut request = fixture.request(tuesday());
        request.jobs = jobs;
        lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {})
            .await
            .unwrap();
    }
    assert_eq!(
        fixture.query("select enum_range(null::\"Types\".\"Mood\")").await,
        "{sad,ok,\"a,b\",\"it's \\\"so\\\"\",new,newer}"
    );
    assert_eq!(
        fixture.query("select t from t").await,
        r#"("it's ""so""","{ok,""a,b"",NULL}",new,"{newer,sad}")"#
    );
}

#[tokio::test]
async fn foreign_keys_are_told_by_which_of_their_tables_are_loaded() {
    let fixture = Fixture::new().await;
    let shop = |customers: [i32; 2], of: [i32; 2]| {
        [
            table("customers", [Column::int("id", customers)]),
            table("orders", [Column::int("id", [1, 2]), Column::int("customer", of)]),
        ]
    };
    fixture
        .execute(
            "create table regions (id int primary key); insert into regions values (1); \
             create table customers (id int primary key); create table orders (id int primary key, customer int); \
             create table visits (id int primary key, customer int)",
        )
        .await;
    fixture.publish(monday(), shop([1, 2], [1, 2])).await;
    fixture.load(monday()).await.unwrap();

    // To a table that is not loaded, and lacks the row.
    fixture
        .execute("alter table orders add constraint area foreign key (customer) references regions not valid")
        .await;
    fixture.publish(tuesday(), shop([1, 3], [1, 3])).await;
    mended(
        &fixture,
        "the table that area of public.orders refers to is not loaded and does not have that row",
    )
    .await;

    // Both are loaded, and the day does not agree with itself; told as well where it is deferred.
    for deferrable in ["", " deferrable initially deferred"] {
        fixture.publish(tuesday(), shop([1, 3], [1, 3])).await;
        fixture.load(tuesday()).await.unwrap();
        let add = "alter table orders add constraint buyer foreign key (customer) references customers";
        fixture.execute(&format!("{add}{deferrable}")).await;
        fixture.publish(tuesday(), shop([1, 3], [1, 4])).await;
        mended(&fixture, "both tables are loaded, and the day itself has no such row").await;
    }

    // From a table that is not loaded; one that restricts can be made one that waits.
    fixture.publish(tuesday(), shop([1, 3], [1, 3])).await;
    fixture
        .execute(
            "insert into visits values (1, 1); delete from orders; \
             alter table visits add constraint seen foreign key (customer) references customers on update cascade on delete restrict",
        )
        .await;
    mended(
        &fixture,
        "add constraint seen FOREIGN KEY (customer) REFERENCES public.customers(id) ON UPDATE CASCADE`",
    )
    .await;
    fixture.publish(tuesday(), shop([2, 3], [2, 3])).await;
    mended(
        &fixture,
        "public.visits is not loaded, and its rows refer to one that the day does not have",
    )
    .await;
}
