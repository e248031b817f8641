//! TPC-H's queries over its data, at a hundredth of its smallest scale.

use std::fmt::Display;

use tpchgen::csv::{CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

use super::Twins;

const SCALE: f64 = 0.01;

const TABLES: &str = "
    create table region (r_regionkey integer, r_name char(25), r_comment varchar(152));
    create table nation (n_nationkey integer, n_name char(25), n_regionkey integer, n_comment varchar(152));
    create table part (p_partkey integer, p_name varchar(55), p_mfgr char(25), p_brand char(10), p_type varchar(25),
        p_size integer, p_container char(10), p_retailprice numeric(15,2), p_comment varchar(23));
    create table supplier (s_suppkey integer, s_name char(25), s_address varchar(40), s_nationkey integer,
        s_phone char(15), s_acctbal numeric(15,2), s_comment varchar(101));
    create table partsupp (ps_partkey integer, ps_suppkey integer, ps_availqty integer, ps_supplycost numeric(15,2),
        ps_comment varchar(199));
    create table customer (c_custkey integer, c_name varchar(25), c_address varchar(40), c_nationkey integer,
        c_phone char(15), c_acctbal numeric(15,2), c_mktsegment char(10), c_comment varchar(117));
    create table orders (o_orderkey bigint primary key, o_custkey integer, o_orderstatus char(1),
        o_totalprice numeric(15,2), o_orderdate date, o_orderpriority char(15), o_clerk char(15),
        o_shippriority integer, o_comment varchar(79));
    create table lineitem (l_orderkey bigint, l_partkey integer, l_suppkey integer, l_linenumber integer,
        l_quantity numeric(15,2), l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2),
        l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date,
        l_shipinstruct char(25), l_shipmode char(10), l_comment varchar(44));
    create index on lineitem (l_partkey, l_suppkey);
    create index on lineitem (l_orderkey);
    create index on partsupp (ps_partkey);";

#[tokio::test(flavor = "multi_thread")]
async fn the_queries_of_tpch_agree() {
    let twins = Twins::begin().await;
    twins.client.batch_execute(TABLES).await.unwrap();
    let tables = [
        (
            "region",
            rows(RegionGenerator::new(SCALE, 1, 1).iter().map(RegionCsv::new)),
        ),
        (
            "nation",
            rows(NationGenerator::new(SCALE, 1, 1).iter().map(NationCsv::new)),
        ),
        ("part", rows(PartGenerator::new(SCALE, 1, 1).iter().map(PartCsv::new))),
        (
            "supplier",
            rows(SupplierGenerator::new(SCALE, 1, 1).iter().map(SupplierCsv::new)),
        ),
        (
            "partsupp",
            rows(PartSuppGenerator::new(SCALE, 1, 1).iter().map(PartSuppCsv::new)),
        ),
        (
            "customer",
            rows(CustomerGenerator::new(SCALE, 1, 1).iter().map(CustomerCsv::new)),
        ),
        (
            "orders",
            rows(OrderGenerator::new(SCALE, 1, 1).iter().map(OrderCsv::new)),
        ),
        (
            "lineitem",
            rows(LineItemGenerator::new(SCALE, 1, 1).iter().map(LineItemCsv::new)),
        ),
    ];
    for (table, rows) in tables {
        twins.copy_in(table, rows).await;
    }
    twins.client.batch_execute("analyze").await.unwrap();
    twins.extract().await;
    let statements: Vec<&str> = include_str!("tpch.sql").split("\n----\n").collect();
    assert_eq!(statements.len(), 22);
    twins.agree(&statements).await;
}

fn rows(rows: impl Iterator<Item = impl Display>) -> String {
    rows.map(|row| format!("{row}\n")).collect()
}
