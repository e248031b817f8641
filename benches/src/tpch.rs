//! TPC-H's lineitem and orders in a Postgres database.

use std::fmt::{Display, Write as _};
use std::pin::pin;

use anyhow::Context as _;
use bytes::Bytes;
use futures::SinkExt as _;
use lake_postgres::tokio_postgres::{self, Client, NoTls};
use tpchgen::csv::{LineItemCsv, OrderCsv};
use tpchgen::generators::{LineItemGenerator, OrderGenerator};

/// A message of COPY holds about this many bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// As TPC-H has them, but for the primary keys: what is compared is the copying of rows.
pub const LINEITEM: &str = "create table lineitem (
    l_orderkey bigint not null, l_partkey integer not null, l_suppkey integer not null, l_linenumber integer not null,
    l_quantity numeric(15,2) not null, l_extendedprice numeric(15,2) not null, l_discount numeric(15,2) not null,
    l_tax numeric(15,2) not null, l_returnflag char(1) not null, l_linestatus char(1) not null,
    l_shipdate date not null, l_commitdate date not null, l_receiptdate date not null,
    l_shipinstruct char(25) not null, l_shipmode char(10) not null, l_comment varchar(44) not null)";
const ORDERS: &str = "create table orders (
    o_orderkey bigint not null, o_custkey integer not null, o_orderstatus char(1) not null,
    o_totalprice numeric(15,2) not null, o_orderdate date not null, o_orderpriority char(15) not null,
    o_clerk char(15) not null, o_shippriority integer not null, o_comment varchar(79) not null)";

/// Make TPC-H's lineitem and orders in a database.
///
/// `peers` runs this as a process of its own: the generator holds 300 MB of text, and Linux counts
/// the peak memory of a process into that of the children that it starts.
#[derive(clap::Args)]
pub struct Args {
    /// The database.
    #[arg(long)]
    url: String,
    /// TPC-H's scale factor.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&args.url, NoTls).await?;
        tokio::spawn(connection);
        let lineitem = LineItemGenerator::new(args.scale, 1, 1);
        fill(&client, "lineitem", LINEITEM, lineitem.iter().map(LineItemCsv::new)).await?;
        let orders = OrderGenerator::new(args.scale, 1, 1);
        fill(&client, "orders", ORDERS, orders.iter().map(OrderCsv::new)).await
    })
}

/// One transaction, so that the rows come frozen: whoever reads them first has nothing to set right.
async fn fill(
    client: &Client,
    name: &str,
    create: &str,
    rows: impl Iterator<Item = impl Display>,
) -> anyhow::Result<()> {
    let action = || format!("cannot fill {name}");
    client
        .batch_execute(&format!("begin; {create}"))
        .await
        .with_context(action)?;
    let copy = format!("copy {name} from stdin (format csv, freeze)");
    let mut sink = pin!(client.copy_in(&copy).await.with_context(action)?);
    let mut chunk = String::with_capacity(CHUNK_BYTES + 1024);
    for row in rows {
        writeln!(chunk, "{row}")?;
        if chunk.len() >= CHUNK_BYTES {
            sink.send(Bytes::copy_from_slice(chunk.as_bytes()))
                .await
                .with_context(action)?;
            chunk.clear();
        }
    }
    sink.send(Bytes::from(chunk)).await.with_context(action)?;
    sink.finish().await.with_context(action)?;
    client.batch_execute("commit").await.with_context(action)
}
