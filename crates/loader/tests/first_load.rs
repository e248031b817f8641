//! What a load makes where nothing is yet, and again where something is.

use arrow::array::{Date32Array, Decimal128Array, Float64Array, Int8Array, StringArray, TimestampMicrosecondArray};
use lake_loader::{LoadRequest, SchemaRule};
use lake_storage::{Coverage, RESULTS};

use crate::fixture::{Column, Fixture, monday, table, tuesday};

const SHAPE: &str = "\
    select format('%s.%s %s%s', attrelid::regclass, attname, format_type(atttypid, atttypmod), \
        case when attnotnull then ' not null' else '' end) \
    from pg_attribute where attnum > 0 and attrelid in (select oid from pg_class where relkind = 'r' \
        and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema') and relname <> '_lake_loads') \
    order by attrelid::regclass::text, attnum";

#[tokio::test]
async fn tables_are_created_as_their_source_has_them() {
    let fixture = Fixture::new().await;
    let price = Decimal128Array::from(vec![Some(1050), None])
        .with_precision_and_scale(15, 2)
        .unwrap();
    let details = table(
        "order details",
        [
            Column::int("order_id", [1, 1]).key(2),
            Column::new("line", arrow::array::Int16Array::from(vec![1, 2]))
                .of("smallint")
                .key(1),
            Column::new("price", price).of("numeric(15,2)"),
            Column::text("Code", ["AB   ", "CD   "]).of("character(5)").not_null(),
            Column::text("note", ["x", "y"]).of("character varying(40)"),
        ],
    );
    let none: [&str; 0] = [];
    let empty = table("empty", [Column::text("a", none)]);
    fixture.publish(monday(), [details, empty]).await;

    let report = fixture.load(monday()).await.unwrap();

    assert_eq!(
        fixture.query(SHAPE).await,
        "\"order details\".order_id integer not null\n\
         \"order details\".line smallint not null\n\
         \"order details\".price numeric(15,2)\n\
         \"order details\".Code character(5) not null\n\
         \"order details\".note character varying(40)\n\
         empty.a text"
    );
    let key = "select pg_get_constraintdef(oid) from pg_constraint where conname = 'order details_pkey'";
    assert_eq!(fixture.query(key).await, "PRIMARY KEY (line, order_id)");
    let rows = "select t::text from \"order details\" t order by line";
    assert_eq!(fixture.query(rows).await, "(1,1,10.50,\"AB   \",x)\n(1,2,,\"CD   \",y)");
    assert_eq!((report.tables.len(), report.rows), (2, 2));
    assert!(report.tables.iter().all(|table| table.created));
    assert_eq!(report.tables[1].target, "public.\"order details\"");
    assert_eq!(report.inputs.keys().collect::<Vec<_>>(), ["shop"]);
    assert_eq!(fixture.leftovers().await, "");
}

#[tokio::test]
async fn a_later_day_replaces_the_rows_and_is_noted() {
    let fixture = Fixture::new().await;
    fixture
        .publish(monday(), [table("orders", [Column::int("id", 1..=3).key(1)])])
        .await;
    fixture
        .publish(tuesday(), [table("orders", [Column::int("id", 2..=5).key(1)])])
        .await;
    fixture.load(monday()).await.unwrap();
    let report = fixture.load(tuesday()).await.unwrap();
    assert!(!report.tables[0].created);
    assert_eq!(fixture.query("select id from orders order by 1").await, "2\n3\n4\n5");
    let noted = "select concat_ws(' ', table_name, source, day, rows, run) from _lake_loads";
    assert_eq!(
        fixture.query(noted).await,
        format!("orders shop 2021-01-05 4 {}", report.run)
    );
    // Again, and back: the same result.
    fixture.load(tuesday()).await.unwrap();
    fixture.load(monday()).await.unwrap();
    assert_eq!(fixture.query("select id from orders order by 1").await, "1\n2\n3");
    assert_eq!(fixture.query("select day from _lake_loads").await, "2021-01-04");
}

#[tokio::test]
async fn files_and_results_get_the_types_of_arrow() {
    let fixture = Fixture::new().await;
    let file = table(
        "readings",
        [
            Column::new("at", TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC")),
            Column::new("local", TimestampMicrosecondArray::from(vec![86_400_000_000])),
            Column::new("day", Date32Array::from(vec![Some(-1)])),
            Column::new("value", Float64Array::from(vec![0.1])),
            Column::new("small", Int8Array::from(vec![-3])),
        ],
    );
    fixture.publish(monday(), [file]).await;
    // A query's columns may carry what its inputs had: not null and a key that no longer hold.
    let sums = table(
        "sums",
        [
            Column::new("id", arrow::array::Int64Array::from(vec![Some(1), Some(1), None]))
                .of("integer")
                .key(1),
            Column::new("name", StringArray::from(vec!["a", "b", "c"])).of("character(1)"),
        ],
    );
    fixture.publish_to(RESULTS, monday(), [sums], Coverage::Whole).await;
    let mut request = fixture.request(monday());
    request.queries = vec!["sums".into()];
    let report = lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {})
        .await
        .unwrap();
    assert_eq!(
        fixture.query(SHAPE).await,
        "readings.at timestamp with time zone\nreadings.local timestamp without time zone\nreadings.day date\n\
         readings.value double precision\nreadings.small smallint\nsums.id bigint\nsums.name text"
    );
    let row = "select concat_ws(' ', extract(epoch from at), local, day, value, small) from readings";
    assert_eq!(
        fixture.query(row).await,
        "0.000001 1970-01-02 00:00:00 1969-12-31 0.1 -3"
    );
    assert_eq!(report.inputs.keys().collect::<Vec<_>>(), ["results", "shop"]);
}

#[tokio::test]
async fn schemas_are_the_sources_own_where_the_rule_says_so() {
    let mut fixture = Fixture::new().await;
    fixture.target.schema = "{schema}".parse().unwrap();
    let tables = [
        table("sales__orders", [Column::int("id", [1])]).called("sales", "orders"),
        table("orders", [Column::int("id", [2])]).called("public", "orders"),
        table("Odd__t", [Column::int("id", [3])]).called("Odd \"schema", "t"),
    ];
    fixture.publish(monday(), tables).await;
    fixture
        .publish_to(
            "csv",
            monday(),
            [table("prices", [Column::int("id", [4]).bare()])],
            Coverage::Whole,
        )
        .await;
    let mut request = fixture.request(monday());
    request.sources.push("csv".into());
    lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {})
        .await
        .unwrap();
    lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {})
        .await
        .unwrap();
    let ids = "select id from sales.orders union all select id from public.orders \
               union all select id from \"Odd \"\"schema\".t union all select id from public.prices";
    assert_eq!(fixture.query(ids).await, "1\n2\n3\n4");
    assert_eq!(
        fixture.query("select table_name from sales._lake_loads").await,
        "orders"
    );
    assert_eq!(fixture.leftovers().await, "");
}

#[tokio::test]
async fn a_fixed_schema_takes_all_tables_under_their_names_in_the_lake() {
    let mut fixture = Fixture::new().await;
    fixture.target.schema = SchemaRule::Fixed("Analytics".into());
    let orders = table("sales__orders", [Column::int("id", [1])]).called("sales", "orders");
    fixture.publish(monday(), [orders]).await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(fixture.query("select id from \"Analytics\".sales__orders").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_is_filled_on_several_connections_and_renamed() {
    let mut fixture = Fixture::new().await;
    fixture.target.schema = "{schema}".parse().unwrap();
    let rows = 60_000;
    let columns = [
        Column::int("id", 0..rows).key(1),
        Column::text("note", (0..rows).map(|_| "x")).not_null(),
    ];
    let large = table("large", columns).called("Odd \"Schema\"", "Large.Table");
    let carried = [Column::text("id", (0..rows).map(|_| "00:00:01")).of("interval")];
    let carried = table("carried", carried).called("Odd \"Schema\"", "carried");
    fixture.publish(monday(), [large, carried]).await;
    let request = LoadRequest {
        jobs: 3,
        ..fixture.request(monday())
    };
    let report = lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {})
        .await
        .unwrap();
    assert_eq!(report.connections, 2, "as many as files");
    let stored = "select concat_ws(' ', relname, relpersistence, coalesce(reloptions::text, '-')) from pg_class \
                  where relnamespace = '\"Odd \"\"Schema\"\"\"'::regnamespace order by oid";
    assert_eq!(
        fixture
            .query(stored)
            .await
            .lines()
            .filter(|line| !line.contains('_'))
            .collect::<Vec<_>>(),
        ["Large.Table p -", "carried p -"]
    );
    let columns = "select attname || ' ' || attnotnull from pg_attribute \
                   where attrelid = '\"Odd \"\"Schema\"\"\".\"Large.Table\"'::regclass and attnum > 0";
    assert_eq!(fixture.query(columns).await, "id true\nnote true");
    let keys = "select conname from pg_constraint where contype = 'p' \
                and conrelid = '\"Odd \"\"Schema\"\"\".\"Large.Table\"'::regclass";
    assert_eq!(fixture.query(keys).await, "Large.Table_pkey");
    assert_eq!(fixture.leftovers().await, "");
    let report = lake_loader::verify(&fixture.lake, &fixture.target, &request)
        .await
        .unwrap();
    assert!(report.tables.iter().all(|table| table.mismatch.is_none()));
    // And again, now that the tables are there.
    lake_loader::load(&fixture.lake, &fixture.target, &request, |_| {})
        .await
        .unwrap();
    assert_eq!(
        fixture
            .query("select count(*) from \"Odd \"\"Schema\"\"\".\"Large.Table\"")
            .await,
        "60000"
    );
}
