//! Columns that come, go and change their type between days, from the source to the target.

use crate::workshop::{Database, Workshop};

const CONFIG: &str = r#"
lake: ./lake
output: ./output
schema_change: evolve
sources:
  shop: {type: postgres, url: "${SOURCE_URL}"}
target: {type: postgres, url: "${TARGET_URL}"}
"#;

const DAYS: [&str; 3] = ["2026-01-01", "2026-01-02", "2026-01-03"];

/// What the source does between the days.
const CHANGES: [&str; 3] = [
    r#"create table "Order Items" (id int primary key, amount int, gone text, price numeric(6, 2));
       create table same (id int primary key, note text); insert into same values (1, 'same');
       insert into "Order Items" values (1, 2147483647, 'first', 1.50), (2, null, null, null)"#,
    r#"alter table "Order Items" alter amount type bigint, drop column gone, add column fresh date;
       insert into "Order Items" values (3, 9223372036854775807, 9999.99, '2026-01-02')"#,
    r#"alter table "Order Items" alter amount type text, alter price type numeric(12, 4);
       insert into "Order Items" values (4, 'many', 12345678.1234, null)"#,
];

const ALL_DAYS: &str = r#"select extract_date as day, id, amount, gone, price, fresh from "Order Items" order by 1, 2"#;

/// Each day as it was: a narrower type's values are the same in a wider one.
const ALL_ROWS: &str = "\
day,id,amount,gone,price,fresh
2026-01-01,1,2147483647,first,1.5000,
2026-01-01,2,,,,
2026-01-02,1,2147483647,,1.5000,
2026-01-02,2,,,,
2026-01-02,3,9223372036854775807,,9999.9900,2026-01-02
2026-01-03,1,2147483647,,1.5000,
2026-01-03,2,,,,
2026-01-03,3,9223372036854775807,,9999.9900,2026-01-02
2026-01-03,4,many,,12345678.1234,
";

fn day_alone(day: &str) -> String {
    let rows = ALL_ROWS
        .lines()
        .filter_map(|line| line.strip_prefix(day)?.strip_prefix(','));
    rows.map(|row| row.to_owned() + "\n").collect()
}

/// The rows of the target's table as [`day_alone`] writes them, whatever columns it has by now.
fn in_target(target: &Database) -> String {
    let row = |name: &str| format!("coalesce(to_jsonb(t) ->> '{name}', '')");
    // The source's own digits: 1.50 and 1.5000 are one value.
    let price = "coalesce(((to_jsonb(t) ->> 'price')::numeric(16, 4))::text, '')";
    target.query(&format!(
        "select concat_ws(',', id, {}, {}, {price}, {}) from \"Order Items\" t order by id",
        row("amount"),
        row("gone"),
        row("fresh")
    )) + "\n"
}

#[test]
fn days_evolve_from_the_source_to_the_target() {
    let workshop = Workshop::with(CONFIG, "");
    let mut told = Vec::new();
    for (day, change) in DAYS.into_iter().zip(CHANGES) {
        workshop.source.execute(change);
        told.push(workshop.lake(&format!("extract --date {day}")).done().stderr);
    }
    // Once for each change, with what becomes of it.
    let expected: [&[&str]; 3] = [
        &[],
        &[
            r#"warning: shop of 2026-01-02, table "Order Items", column amount: long now, integer on 2026-01-01: it is long from now on, and those days are written anew with it"#,
            r#"warning: shop of 2026-01-02, table "Order Items", column gone: not there now, string on 2026-01-01: it is NULL from now on"#,
            r#"warning: shop of 2026-01-02, table "Order Items", column fresh: date now, not there on 2026-01-01: it is NULL on those days"#,
        ],
        &[
            r#"warning: shop of 2026-01-03, table "Order Items", column amount: string now, long on 2 days from 2026-01-01 to 2026-01-02: it is string from now on, and those days are written anew with it"#,
            r#"warning: shop of 2026-01-03, table "Order Items", column price: decimal(12,4) now, decimal(6,2) on 2 days from 2026-01-01 to 2026-01-02: it is decimal(12,4) from now on, and those days are written anew with it"#,
        ],
    ];
    for (told, expected) in told.iter().zip(expected) {
        let warnings: Vec<&str> = told.lines().filter(|line| line.starts_with("warning")).collect();
        assert_eq!(warnings, expected, "{told}");
    }

    assert_eq!(workshop.sql("", ALL_DAYS), ALL_ROWS);
    let typed = "select extract_date as day, sum(cast(amount as bigint)) as total from \"Order Items\"
        where amount <> 'many' group by 1 order by 1";
    assert!(workshop.sql("", typed).contains("2026-01-01,2147483647\n"));

    // The target takes the days in any order, into tables made by any of them.
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        workshop
            .target
            .execute("drop schema public cascade; create schema public");
        for day in order.map(|place| DAYS[place]) {
            workshop.lake(&format!("load --date {day} -q")).done();
            assert_eq!(in_target(&workshop.target), day_alone(day), "{day} of {order:?}");
            workshop.lake(&format!("verify --date {day} -q")).done();
        }
    }

    // Extracted again, an earlier day has the types that the table has by now.
    let told = workshop.lake(&format!("extract --date {}", DAYS[1])).done();
    assert!(!told.stderr.contains("written anew"), "{told}");
    workshop.lake(&format!("load --date {}", DAYS[1])).done();
    assert_eq!(in_target(&workshop.target), day_alone(DAYS[2]));
}

#[test]
fn a_frozen_lake_refuses_what_changed() {
    let workshop = Workshop::with(&CONFIG.replace("evolve", "freeze"), CHANGES[0]);
    workshop.lake(&format!("run --date {}", DAYS[0])).done();
    let (files, rows) = (workshop.lake_files(), workshop.sql("", "select * from \"Order Items\""));
    workshop.source.execute(CHANGES[1]);
    let message = workshop.lake(&format!("extract --date {}", DAYS[1])).failed(1);
    for part in [
        "extract of shop for 2026-01-02",
        "`schema_change: freeze`",
        r#"table "Order Items", column amount: long now, integer on 2026-01-01"#,
        r#"table "Order Items", column gone: not there now, string on 2026-01-01"#,
        r#"table "Order Items", column fresh: date now, not there on 2026-01-01"#,
        "`schema_change: evolve`",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert_eq!(workshop.lake_files(), files);
    assert_eq!(workshop.sql("", "select * from \"Order Items\""), rows);
    // A table that did not change goes through.
    workshop
        .lake(&format!("extract --date {} --table same", DAYS[1]))
        .done();

    // The target's columns are frozen too.
    workshop.edit("freeze", "evolve");
    workshop.lake(&format!("extract --date {}", DAYS[1])).done();
    workshop.edit("evolve", "freeze");
    let message = workshop.lake(&format!("load --date {}", DAYS[1])).failed(1);
    for part in [
        r#"public."Order Items":"#,
        "amount: wanted bigint, has integer",
        "fresh: wanted date, is not there",
        "alter table \"public\".\"Order Items\" alter column \"amount\" type bigint",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert_eq!(in_target(&workshop.target), day_alone(DAYS[0]));
    let mending = message
        .lines()
        .filter(|line| line.trim_start().starts_with("alter table"));
    workshop.target.execute(&mending.collect::<String>());
    workshop.lake(&format!("load --date {}", DAYS[1])).done();
    workshop.lake(&format!("verify --date {}", DAYS[1])).done();
}
