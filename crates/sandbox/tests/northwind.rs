//! The sample in real servers.

use std::io::Write;
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures::{SinkExt, pin_mut};
use lake_sandbox::{EmbeddedPostgres, Northwind, PostgresServer};
use tokio_postgres::Client;

use crate::client::{connect, rows};

const PRIMARY_KEYS: [&str; 13] = [
    "categories: PRIMARY KEY (category_id)",
    "customer_customer_demo: PRIMARY KEY (customer_id, customer_type_id)",
    "customer_demographics: PRIMARY KEY (customer_type_id)",
    "customers: PRIMARY KEY (customer_id)",
    "employee_territories: PRIMARY KEY (employee_id, territory_id)",
    "employees: PRIMARY KEY (employee_id)",
    "orders: PRIMARY KEY (order_id)",
    "products: PRIMARY KEY (product_id)",
    "region: PRIMARY KEY (region_id)",
    "shippers: PRIMARY KEY (shipper_id)",
    "suppliers: PRIMARY KEY (supplier_id)",
    "territories: PRIMARY KEY (territory_id)",
    "us_states: PRIMARY KEY (state_id)",
];

fn sql(northwind: &Northwind) -> String {
    let mut out = Vec::new();
    northwind.write_sql(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

async fn assert_tables(client: &Client, northwind: &Northwind) {
    let primary_keys = "select conrelid::regclass || ': ' || pg_get_constraintdef(oid) \
                        from pg_constraint where contype = 'p' \
                        and connamespace = 'public'::regnamespace order by 1";
    assert_eq!(rows(client, primary_keys).await, PRIMARY_KEYS);
    let foreign_keys = "select count(*) from pg_constraint where contype = 'f'";
    assert_eq!(rows(client, foreign_keys).await, ["11"]);
    for (table, count) in northwind.row_counts() {
        if table != "order_details" {
            let counted = rows(client, &format!("select count(*) from {table}")).await;
            assert_eq!(counted, [count.to_string()], "{table}");
        }
    }
}

/// `order_details` from the CSV, with its keys.
async fn load_order_details(client: &Client, northwind: &Northwind) {
    let ddl = "create table order_details (order_id int references orders, \
               product_id int references products, unit_price real, quantity smallint, \
               discount real, primary key (order_id, product_id))";
    rows(client, ddl).await;
    let mut csv = Vec::new();
    northwind.write_order_details_csv(&mut csv).unwrap();
    let copy = "copy order_details from stdin (format csv, header)";
    let sink = client.copy_in(copy).await.unwrap();
    pin_mut!(sink);
    sink.send(Bytes::from(csv)).await.unwrap();
    let counts = northwind.row_counts();
    let (_, count) = counts.iter().find(|(table, _)| *table == "order_details").unwrap();
    assert_eq!(sink.finish().await.unwrap(), *count);
}

#[tokio::test]
async fn the_script_loads_and_reruns() {
    let server = PostgresServer::shared().unwrap();
    let (client, _connection) = connect(&server.fresh_database().await.unwrap()).await.unwrap();
    let northwind = Northwind::default();
    for _ in 0..2 {
        client.batch_execute(&sql(&northwind)).await.unwrap();
        assert_tables(&client, &northwind).await;
    }
}

#[tokio::test]
async fn the_embedded_server_takes_it_too() {
    let server = EmbeddedPostgres::start().await.unwrap();
    let northwind = Northwind::default();
    server.execute(&sql(&northwind)).await.unwrap();
    let (client, _connection) = connect(&server.url()).await.unwrap();
    assert_tables(&client, &northwind).await;
    load_order_details(&client, &northwind).await;
}

#[tokio::test]
async fn psql_takes_it_too() {
    let server = PostgresServer::shared().unwrap();
    let url = server.fresh_database().await.unwrap();
    let mut psql = Command::new(server.program("psql"))
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Large enough for integer keys.
    let northwind = Northwind::new(30, 42).unwrap();
    let script = sql(&northwind);
    psql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = psql.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");

    let (client, _connection) = connect(&url).await.unwrap();
    assert_tables(&client, &northwind).await;
    load_order_details(&client, &northwind).await;
    let types = "select format_type(atttypid, atttypmod) from pg_attribute \
                 where attrelid = 'orders'::regclass and attname in ('order_id', 'employee_id') \
                 order by attname";
    assert_eq!(rows(&client, types).await, ["smallint", "integer"]);
}

#[tokio::test]
async fn the_values_are_consistent_and_awkward_where_they_should_be() {
    let server = PostgresServer::shared().unwrap();
    let (client, _connection) = connect(&server.fresh_database().await.unwrap()).await.unwrap();
    for scale in [1, 5] {
        let northwind = Northwind::new(scale, 42).unwrap();
        client
            .batch_execute("drop table if exists order_details")
            .await
            .unwrap();
        client.batch_execute(&sql(&northwind)).await.unwrap();
        load_order_details(&client, &northwind).await;

        // No row breaks these.
        for rule in [
            "select * from orders where shipped_date <= order_date or required_date <= order_date",
            "select * from orders where shipped_date > '1998-05-06' or order_date < '1996-07-04'",
            "select * from orders join customers using (customer_id) \
             where ship_name <> company_name or ship_city <> city",
            "select * from order_details d join products p using (product_id) \
             where d.unit_price > p.unit_price or d.unit_price < 0.7 * p.unit_price",
            "select order_id from orders left join order_details using (order_id) \
             where product_id is null",
            "select * from employees where birth_date > hire_date - interval '18 years'",
            "select employee_id from employees left join employee_territories \
             using (employee_id) where territory_id is null",
        ] {
            assert_eq!(rows(&client, rule).await, [""; 0], "{rule}");
        }

        // Some rows are like these.
        for oddity in [
            "from orders where shipped_date is null",
            "from orders where ship_region is null",
            "from orders where ship_region is not null",
            "from customers where fax is null",
            "from customers left join orders using (customer_id) where order_id is null",
            "from suppliers where homepage is null",
            "from suppliers where homepage is not null",
            "from customers where company_name like '%,%'",
            "from customers where company_name like '%''%'",
            "from customers where company_name like '%\"%'",
            "from customers where octet_length(city) > char_length(city)",
            "from employees where notes like E'%\\n%'",
            "from employees where length(photo) > 50",
            "from employees where photo = ''",
            "from categories where length(picture) > 50",
            "from categories where picture = ''",
            "from products where discontinued = 1",
            "from order_details where discount > 0",
        ] {
            let counted = rows(&client, &format!("select count(*) > 0 {oddity}")).await;
            assert_eq!(counted, ["t"], "{oddity}");
        }
        let heads = rows(&client, "select count(*) from employees where reports_to is null").await;
        assert_eq!(heads, ["1"]);
    }
}
