//! Types whose values travel as text come back as the server's input functions make them.

use arrow::array::{ArrayRef, BinaryArray, Decimal128Array, Int64Array, ListBuilder, StringArray, StringBuilder};

use crate::fixture::{Column, Fixture, monday, table};

/// A type and how the server prints values of it.
const CARRIED: &[(&str, [Option<&str>; 2])] = &[
    ("jsonb", [Some(r#"{"a": [1, null, "é"], "b": 1.10}"#), None]),
    ("uuid", [Some("00000000-0000-4000-8000-00000000000a"), None]),
    (
        "interval",
        [Some("1 year 2 mons -3 days +04:05:06.789"), Some("00:00:00")],
    ),
    ("interval day to second(3)", [Some("3 days 04:05:06.789"), None]),
    ("time without time zone", [Some("24:00:00"), Some("23:59:59.999999")]),
    ("time(3) with time zone", [Some("01:02:03.123+05:30"), None]),
    (
        "numeric",
        [Some("1.0000000000000000000000000000000000000000000100"), Some("NaN")],
    ),
    (
        "numeric(50,10)",
        [Some("1234567890123456789012345678901234567890.0123456789"), None],
    ),
    ("numeric(3,-2)", [Some("12300"), Some("0")]),
    ("public.mood", [Some("so, so"), Some("it's \"fine\"")]),
    ("public.mood[]", [Some("{\"so, so\",NULL}"), Some("{}")]),
    ("inet", [Some("10.0.0.1"), Some("::ffff:1.2.3.4/120")]),
    ("cidr", [Some("10.0.0.0/8"), None]),
    ("macaddr", [Some("08:00:2b:01:02:03"), None]),
    ("int4range", [Some("[1,10)"), Some("empty")]),
    ("tstzrange", [Some("[\"2021-01-01 00:00:00+00\",)"), None]),
    ("integer[]", [Some("{{1,2},{3,NULL}}"), Some("[0:1]={5,6}")]),
    (
        "timestamp without time zone",
        [Some("infinity"), Some("0044-03-15 12:00:00 BC")],
    ),
    ("date", [Some("-infinity"), Some("5874897-12-31")]),
    ("bit(4)", [Some("1010"), None]),
    ("bit varying(8)", [Some("101"), Some("")]),
    ("xml", [Some("<a>&lt; é</a>"), Some("text")]),
    ("\"char\"", [Some("x"), Some("")]),
    ("\"char\"[]", [Some("{x,\",\"}"), None]),
    ("regclass", [Some("pg_class"), Some("4000000000")]),
    ("pg_lsn", [Some("16/B374D848"), None]),
    ("tsvector", [Some("'a':1A 'fat':2B,4"), None]),
    ("point", [Some("(0.1,-1e+300)"), None]),
    ("public.address", [Some("(\"Main St, 1\",,\"a\"\"b\")"), Some("(,,)")]),
    ("public.document", [Some("{\"a\": 1}"), None]),
    ("public.letter", [Some("b"), None]),
    ("public.relation", [Some("4000000001"), Some("-")]),
    ("public.two_letters", [Some("ab"), None]),
    ("public.shout", [Some("Loud"), Some("-1")]),
];

const TYPES: &str = "\
    create type mood as enum ('so, so', 'it''s \"fine\"'); \
    create type address as (street character varying(20), zip integer, note text); \
    create domain document as jsonb check (value ? 'a'); \
    create domain letter as \"char\" check (value <> 'a'); \
    create domain relation as regclass; \
    create domain two_letters as character(5); \
    create type shout; \
    create function shout_in(cstring, oid, integer) returns shout language internal immutable strict as 'varcharin'; \
    create function shout_out(shout) returns cstring language internal immutable strict as 'varcharout'; \
    create type shout (input = shout_in, output = shout_out, like = text); \
    create function shout(text) returns shout language sql as $$select public.shout_in('cast!', 0, -1)$$; \
    create cast (text as shout) with function shout(text)";

#[tokio::test]
async fn every_type_comes_back_exactly() {
    let fixture = Fixture::new().await;
    fixture.execute(TYPES).await;
    let mut columns = Vec::new();
    let mut definitions = Vec::new();
    let mut literals = [Vec::new(), Vec::new()];
    for (i, (type_name, values)) in CARRIED.iter().enumerate() {
        let name = format!("c{i}");
        columns.push(Column::new(&name, StringArray::from(values.to_vec())).of(type_name));
        definitions.push(format!("{name} {type_name}"));
        for (row, value) in literals.iter_mut().zip(values) {
            row.push(value.map_or("null".into(), lake_postgres::quote_literal));
        }
    }
    fixture.publish(monday(), [table("carried", columns)]).await;
    fixture.load(monday()).await.unwrap();

    // A literal goes through the type's input function.
    fixture
        .execute(&format!(
            "set search_path = ''; create table public.expected ({}); \
             insert into public.expected values ({}), ({})",
            definitions.join(", "),
            literals[0].join(", "),
            literals[1].join(", ")
        ))
        .await;
    for (i, (type_name, _)) in CARRIED.iter().enumerate() {
        // As a row, since a cast to text is another thing for some types.
        let of = |name| format!("select row(c{i}) from public.{name}");
        assert_eq!(
            fixture.query(&of("carried")).await,
            fixture.query(&of("expected")).await,
            "{type_name}"
        );
        let stored = format!(
            "select format_type(atttypid, atttypmod) from pg_catalog.pg_attribute \
                              where attrelid = 'public.carried'::regclass and attname = 'c{i}'"
        );
        assert_eq!(fixture.query(&stored).await, *type_name);
    }
    let report = lake_loader::verify(&fixture.lake, &fixture.target, &fixture.request(monday()))
        .await
        .unwrap();
    assert_eq!(report.tables[0].mismatch, None);
}

#[tokio::test]
async fn types_of_their_own_binary_form_come_back_exactly() {
    let fixture = Fixture::new().await;
    fixture
        .execute("create domain cents as numeric(10,2); create domain code as character varying(3)")
        .await;
    let decimal =
        |values: Vec<Option<i128>>, p, s| Decimal128Array::from(values).with_precision_and_scale(p, s).unwrap();
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("a"), None, Some("")]);
    tags.append_value::<[Option<&str>; 0], _>([]);
    let tags: ArrayRef = std::sync::Arc::new(tags.finish());
    let columns = [
        Column::new("oid", Int64Array::from(vec![4_294_967_295, 0])).of("oid"),
        Column::new("money", decimal(vec![Some(-123), Some(i64::MAX.into())], 19, 2)).of("money"),
        Column::new("numeric", decimal(vec![Some(1500), None], 10, 2)).of("numeric"),
        Column::new("cents", decimal(vec![Some(-1), Some(0)], 10, 2)).of("public.cents"),
        Column::text("code", ["é", ""]).of("public.code"),
        Column::text("name", ["pg_class", "x"]).of("name"),
        Column::text("json", ["{\"a\" :1}", "[]"]).of("json"),
        Column::text("padded", ["a  ", "   "]).of("character(3)"),
        Column::new("tags", tags).of("text[]"),
        Column::new("bytes", BinaryArray::from_vec(vec![b"\0\xff", b""])).of("bytea"),
        Column::new("none", StringArray::from(vec![None::<&str>, None])).of("character varying"),
    ];
    fixture.publish(monday(), [table("native", columns)]).await;
    fixture.load(monday()).await.unwrap();
    assert_eq!(
        fixture.query("select row(n.*) from native n").await,
        "(4294967295,-$1.23,15.00,-0.01,é,pg_class,\"{\"\"a\"\" :1}\",\"a  \",\"{a,NULL,\"\"\"\"}\",\"\\\\x00ff\",)\n\
         (0,\"$92,233,720,368,547,758.07\",,0.00,\"\",x,[],\"   \",{},\"\\\\x\",)"
    );
    let report = lake_loader::verify(&fixture.lake, &fixture.target, &fixture.request(monday()))
        .await
        .unwrap();
    assert_eq!(report.tables[0].mismatch, None);
}
