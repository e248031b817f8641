//! SQL that is deeper than any stack.

use crate::workshop::{DAY, Workshop};

#[test]
fn sql_of_any_depth_ends_no_process() {
    let workshop = Workshop::new();
    workshop.lake(&format!("extract --date {DAY}")).done();
    let deep = |n: usize| {
        [
            format!("select 1{}", " + 1".repeat(n)),
            format!("select id from items where id > 0{}", " and id <> -1".repeat(n)),
            format!("select {}1{}", "(".repeat(n), ")".repeat(n)),
            format!(
                "select {}0{}",
                "case when true then 1 else ".repeat(n),
                " end".repeat(n)
            ),
            format!("select 1{}", " union select 1".repeat(n)),
            format!("select * from {}items{}", "(select * from ".repeat(n), ")".repeat(n)),
            format!("select {}1{}", "abs(".repeat(n), ")".repeat(n)),
            format!("select 1 as n where {}true", "not ".repeat(n)),
            format!("select count(*) from items a{}", ", items b".repeat(n)),
        ]
    };
    // At the end of the bound, and far beyond.
    for sql in [
        format!(
            "select 2 * count(*) as n from items where id > 0{}",
            " and id <> -1".repeat(450)
        ),
        format!("select 200{} as n", " + 1 - 1".repeat(450)),
        format!("select 200 as n{}", " union select 200".repeat(450)),
    ] {
        workshop.write("report.sql", &sql);
        let outcome = workshop.lake(&format!("query --date {DAY} --file report.sql --format csv"));
        assert_eq!(outcome.stdout, "n\n200\n", "{}", outcome.stderr);
    }
    for sql in deep(100_000) {
        workshop.write("report.sql", &sql);
        for line in ["query --file report.sql", "transform"] {
            let message = workshop.lake(&format!("{line} --date {DAY}")).failed(1);
            assert!(message.contains("the SQL is too deep"), "{message:.300}");
        }
    }
    let joins = format!(
        "select count(*) from items a0{}",
        (1..150)
            .map(|n| format!(" join items a{n} on a{n}.id = a0.id"))
            .collect::<String>()
    );
    let list = format!(
        "select count(*) as n from items where id in (-1{})",
        (0..100_000).map(|n| format!(", {n}")).collect::<String>()
    );
    for (sql, wanted) in [(joins, "count(*)\n100\n"), (list, "n\n100\n")] {
        workshop.write("report.sql", &sql);
        let outcome = workshop.lake(&format!("query --date {DAY} --file report.sql --format csv"));
        assert_eq!(outcome.stdout, wanted, "{}", outcome.stderr);
    }
}
