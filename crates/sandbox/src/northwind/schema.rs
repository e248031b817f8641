//! Northwind's tables and keys in SQL.

use std::io::{self, Write};

use super::{EMPLOYEES, Northwind, ORDER_ID_FIRST, ORDERS, PRODUCTS, SUPPLIERS};

/// A table comes before those that it refers to.
const DROP_ORDER: [&str; 13] = [
    "customer_customer_demo",
    "customer_demographics",
    "employee_territories",
    "orders",
    "customers",
    "products",
    "shippers",
    "suppliers",
    "territories",
    "us_states",
    "categories",
    "region",
    "employees",
];

pub(super) fn write_head(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    write!(
        out,
        "-- Sample data with the tables of the Northwind database; every value is made up.\n\
         -- Scale {}, seed {}.\n\n\
         begin;\n\
         set local client_encoding = 'UTF8';\n\
         set local standard_conforming_strings = on;\n\
         set local client_min_messages = warning;\n\n",
        northwind.scale, northwind.seed
    )?;
    for table in DROP_ORDER {
        writeln!(out, "drop table if exists {table};")?;
    }
    out.write_all(b"\n")
}

/// The type of the ids up to `last`.
fn key(last: u64) -> &'static str {
    if i16::try_from(last).is_ok() {
        "smallint"
    } else {
        "integer"
    }
}

pub(super) fn write_tables(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    let order_id = key(ORDER_ID_FIRST + ORDERS * northwind.scale - 1);
    let product_id = key(PRODUCTS * northwind.scale);
    let supplier_id = key(SUPPLIERS * northwind.scale);
    let employee_id = key(EMPLOYEES * northwind.scale);
    write!(
        out,
        "\
create table categories (
    category_id smallint not null,
    category_name character varying(15) not null,
    description text,
    picture bytea
);

create table customer_customer_demo (
    customer_id bpchar not null,
    customer_type_id bpchar not null
);

create table customer_demographics (
    customer_type_id bpchar not null,
    customer_desc text
);

create table customers (
    customer_id bpchar not null,
    company_name character varying(40) not null,
    contact_name character varying(30),
    contact_title character varying(30),
    address character varying(60),
    city character varying(15),
    region character varying(15),
    postal_code character varying(10),
    country character varying(15),
    phone character varying(24),
    fax character varying(24)
);

create table employees (
    employee_id {employee_id} not null,
    last_name character varying(20) not null,
    first_name character varying(10) not null,
    title character varying(30),
    title_of_courtesy character varying(25),
    birth_date date,
    hire_date date,
    address character varying(60),
    city character varying(15),
    region character varying(15),
    postal_code character varying(10),
    country character varying(15),
    home_phone character varying(24),
    extension character varying(4),
    photo bytea,
    notes text,
    reports_to {employee_id},
    photo_path character varying(255)
);

create table employee_territories (
    employee_id {employee_id} not null,
    territory_id character varying(20) not null
);

create table orders (
    order_id {order_id} not null,
    customer_id bpchar,
    employee_id {employee_id},
    order_date date,
    required_date date,
    shipped_date date,
    ship_via smallint,
    freight real,
    ship_name character varying(40),
    ship_address character varying(60),
    ship_city character varying(15),
    ship_region character varying(15),
    ship_postal_code character varying(10),
    ship_country character varying(15)
);

create table products (
    product_id {product_id} not null,
    product_name character varying(40) not null,
    supplier_id {supplier_id},
    category_id smallint,
    quantity_per_unit character varying(20),
    unit_price real,
    units_in_stock smallint,
    units_on_order smallint,
    reorder_level smallint,
    discontinued integer not null
);

create table region (
    region_id smallint not null,
    region_description bpchar not null
);

create table shippers (
    shipper_id smallint not null,
    company_name character varying(40) not null,
    phone character varying(24)
);

create table suppliers (
    supplier_id {supplier_id} not null,
    company_name character varying(40) not null,
    contact_name character varying(30),
    contact_title character varying(30),
    address character varying(60),
    city character varying(15),
    region character varying(15),
    postal_code character varying(10),
    country character varying(15),
    phone character varying(24),
    fax character varying(24),
    homepage text
);

create table territories (
    territory_id character varying(20) not null,
    territory_description bpchar not null,
    region_id smallint not null
);

create table us_states (
    state_id smallint not null,
    state_name character varying(100),
    state_abbr character varying(2),
    state_region character varying(50)
);

"
    )
}

/// Constraint, table and columns.
const PRIMARY_KEYS: [(&str, &str, &str); 13] = [
    ("pk_categories", "categories", "category_id"),
    (
        "pk_customer_customer_demo",
        "customer_customer_demo",
        "customer_id, customer_type_id",
    ),
    ("pk_customer_demographics", "customer_demographics", "customer_type_id"),
    ("pk_customers", "customers", "customer_id"),
    ("pk_employees", "employees", "employee_id"),
    (
        "pk_employee_territories",
        "employee_territories",
        "employee_id, territory_id",
    ),
    ("pk_orders", "orders", "order_id"),
    ("pk_products", "products", "product_id"),
    ("pk_region", "region", "region_id"),
    ("pk_shippers", "shippers", "shipper_id"),
    ("pk_suppliers", "suppliers", "supplier_id"),
    ("pk_territories", "territories", "territory_id"),
    ("pk_usstates", "us_states", "state_id"),
];

/// Table, column and the table whose primary key it refers to.
const FOREIGN_KEYS: [(&str, &str, &str); 11] = [
    ("orders", "customer_id", "customers"),
    ("orders", "employee_id", "employees"),
    ("orders", "ship_via", "shippers"),
    ("products", "category_id", "categories"),
    ("products", "supplier_id", "suppliers"),
    ("territories", "region_id", "region"),
    ("employee_territories", "territory_id", "territories"),
    ("employee_territories", "employee_id", "employees"),
    ("customer_customer_demo", "customer_type_id", "customer_demographics"),
    ("customer_customer_demo", "customer_id", "customers"),
    ("employees", "reports_to", "employees"),
];

pub(super) fn write_constraints(out: &mut impl Write) -> io::Result<()> {
    for (name, table, columns) in PRIMARY_KEYS {
        writeln!(
            out,
            "alter table only {table} add constraint {name} primary key ({columns});"
        )?;
    }
    for (table, column, target) in FOREIGN_KEYS {
        writeln!(
            out,
            "alter table only {table} add constraint fk_{table}_{target} \
             foreign key ({column}) references {target};"
        )?;
    }
    Ok(())
}

pub(super) fn write_end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"\ncommit;\n")
}
