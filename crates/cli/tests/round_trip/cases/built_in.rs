//! The types of `pg_catalog`.

use super::Case;
use crate::round_trip::generate as g;

/// Those that no SQL can make a value of from text: what holds them is the catalogue's own.
///
/// A column of such a type travels, and a load refuses its values in the server's words.
pub(crate) fn unreadable() -> &'static [&'static str] {
    &[
        "gtsvector",
        "pg_brin_bloom_summary",
        "pg_brin_minmax_multi_summary",
        "pg_dependencies",
        "pg_mcv_list",
        "pg_ndistinct",
        "pg_node_tree",
    ]
}

pub(crate) fn built_in() -> Vec<Case> {
    [
        numbers(),
        texts(),
        times(),
        documents(),
        networks_and_bits(),
        geometry(),
        system(),
        ranges(),
    ]
    .concat()
}

fn numbers() -> Vec<Case> {
    let numeric_edges = ["0", "-0.00", "0.000", "NaN", "1.500", "-1", "99999.99"];
    vec![
        Case::native("boolean", &["t", "f"], g::boolean),
        Case::native("smallint", &["-32768", "32767", "0", "-1"], g::int2),
        Case::native("integer", &["-2147483648", "2147483647", "0", "-1"], g::int4),
        Case::native(
            "bigint",
            &["-9223372036854775808", "9223372036854775807", "0", "-1"],
            g::int8,
        ),
        Case::native("oid", &["0", "4294967295", "2147483648"], g::oid),
        Case::native(
            "real",
            &[
                "NaN",
                "Infinity",
                "-Infinity",
                "-0",
                "0",
                "1e-45",
                "-1.1754942e-38",
                "3.4028235e38",
                "0.1",
                "16777217",
            ],
            g::float4,
        ),
        Case::native(
            "double precision",
            &[
                "NaN",
                "Infinity",
                "-Infinity",
                "-0",
                "0",
                "5e-324",
                "-2.225073858507201e-308",
                "1.7976931348623157e308",
                "0.1",
                "0.30000000000000004",
                "9007199254740993",
            ],
            g::float8,
        ),
        Case::text(
            "numeric",
            &[
                &numeric_edges[..],
                &[
                    "Infinity",
                    "-Infinity",
                    "1e131071",
                    "1e-16383",
                    "-1.00e-100",
                    "12345678901234567890123456789012345678901",
                ],
            ]
            .concat(),
            g::numeric,
        ),
        Case::native("numeric(1,0)", &["9", "-9", "0"], |random| {
            g::one_of(random, &["1", "-5", "0"])
        }),
        Case::native(
            "numeric(15,2)",
            &["9999999999999.99", "-9999999999999.99", "0.01", "-0.00"],
            g::numeric_15_2,
        ),
        Case::native("numeric(9,9)", &["0.999999999", "-0.000000001"], g::numeric_9_9),
        Case::native(
            "numeric(18,4)",
            &["99999999999999.9999", "-99999999999999.9999", "0.0001"],
            g::numeric_15_2,
        ),
        Case::native(
            "numeric(38,0)",
            &[
                "99999999999999999999999999999999999999",
                "-99999999999999999999999999999999999999",
                "1e37",
            ],
            g::numeric_38_0,
        ),
        Case::native(
            "numeric(38,10)",
            &[
                "9999999999999999999999999999.9999999999",
                "-0.0000000001",
                "10000",
                "1e27",
            ],
            g::numeric_38_10,
        ),
        Case::native(
            "numeric(38,38)",
            &[
                "0.99999999999999999999999999999999999999",
                "-0.00000000000000000000000000000000000001",
            ],
            g::numeric_38_38,
        ),
        Case::text(
            "numeric(39,0)",
            &["999999999999999999999999999999999999999", "NaN"],
            g::numeric_38_0,
        ),
        Case::text(
            "numeric(76,38)",
            &["NaN", "-0.00000000000000000000000000000000000001"],
            g::numeric_76_38,
        ),
        Case::text(
            "numeric(1000,500)",
            &["NaN", "1e499", "1e-500", "-0"],
            g::numeric_1000_500,
        ),
        Case::text("numeric(5,-2)", &["NaN", "9999900", "-100", "0"], g::thousands),
        Case::text("numeric(3,5)", &["NaN", "0.00999", "-0.00001", "0"], g::thousandths),
        Case::native(
            "money",
            &["-92233720368547758.08", "92233720368547758.07", "0", "-0.01"],
            g::money,
        ),
    ]
}

fn texts() -> Vec<Case> {
    let edges = [
        "",
        " ",
        "NULL",
        "null",
        "\\N",
        "\\",
        "\"",
        "'",
        "''",
        "{a,b}",
        "{",
        "a,b",
        "(a)",
        "\t\r\n",
        "é𝄞",
        "\u{feff}",
        "\u{feff}x",
        "\u{1}\u{7f}\u{80}",
        "e\u{301}",
        "\u{10ffff}",
        "-- x",
        "=1+1",
    ]
    .map(|text| format!("={}", lake_postgres::quote_literal(text)));
    let mut edges: Vec<&str> = edges.iter().map(String::as_str).collect();
    let short = ["", " ", "  a", "é 𝄞", "\u{feff}", "\\", "\"", "',", "{}"];
    let text_case = |name, edges: &[&str], generate| Case::native(name, edges, generate);
    let name = text_case("name", &edges, g::short_text);
    let bytes: Vec<String> = (-128..128).map(|byte| format!("=({byte})::int::\"char\"")).collect();
    let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
    edges.push("=repeat('é\\\"', 350000)");
    vec![
        text_case("text", &edges, g::text),
        text_case("character varying", &edges, g::text),
        text_case("character varying(5)", &short, g::short_text),
        text_case("bpchar", &edges, g::text),
        text_case("character(5)", &short, g::short_text),
        text_case("character(1)", &["", " ", "é"], |random| {
            g::one_of(random, &["a", "\"", "𝄞"])
        }),
        name,
        Case::native("\"char\"", &bytes, g::byte),
        Case::native(
            "bytea",
            &["", "\\x00", "\\xff00", "=decode(repeat('00ff', 300000), 'hex')"],
            g::bytea,
        ),
        Case::native(
            "json",
            &[
                "{\"a\": 1,  \"a\": 1e400}",
                "\"\\ud834\"",
                "\"\\u0000\"",
                "  null ",
                "[1.10,\n-0.0]",
                "{}",
                "\"\u{feff}\"",
                "123456789012345678901234567890.10",
            ],
            g::json,
        ),
        Case::text("refcursor", &edges, g::text),
    ]
}

fn times() -> Vec<Case> {
    vec![
        Case::native(
            "date",
            &[
                "4714-11-24 BC",
                "5874897-12-31",
                "0001-12-31 BC",
                "0001-01-01",
                "1969-12-31",
                "1970-01-01",
                "1999-12-31",
                "9999-12-31",
                "10000-01-01",
                "262143-01-01",
                "1582-10-10",
            ],
            g::date,
        ),
        Case::native(
            "timestamp without time zone",
            &[
                "4714-11-24 00:00:00 BC",
                "294246-12-31 23:59:59.999999",
                "0001-12-31 23:59:59.999999 BC",
                "1969-12-31 23:59:59.999999",
                "1970-01-01",
                "262143-01-01",
                "2000-01-01 00:00:00.000001",
            ],
            g::timestamp,
        ),
        Case::native(
            "timestamp(0) without time zone",
            &["2026-01-31 23:59:59", "0044-03-15 12:00:00 BC"],
            g::timestamp,
        ),
        Case::native(
            "timestamp(3) without time zone",
            &["2026-01-31 23:59:59.123"],
            g::timestamp,
        ),
        Case::native(
            "timestamp with time zone",
            &[
                "4714-11-24 00:00:00+00 BC",
                "294246-12-31 23:59:59.999999+00",
                "0001-12-31 23:59:59.999999+00 BC",
                "1969-12-31 23:59:59.999999+00",
                "2026-03-29 02:30:00+01",
                "1883-11-18 12:00:00-05",
            ],
            g::timestamptz,
        ),
        Case::native(
            "timestamp(3) with time zone",
            &["2026-01-31 23:59:59.123+14"],
            g::timestamptz,
        ),
        Case::text(
            "time without time zone",
            &["00:00:00", "24:00:00", "23:59:59.999999", "23:59:60"],
            g::time,
        ),
        Case::text("time(3) without time zone", &["24:00:00", "12:34:56.789"], g::time),
        Case::text(
            "time with time zone",
            &[
                "24:00:00+15:59:59",
                "00:00:00-15:59:59",
                "12:00:00+05:30",
                "23:59:59.999999+00",
            ],
            g::timetz,
        ),
        Case::text("time(0) with time zone", &["24:00:00-03:30"], g::timetz),
        Case::text(
            "interval",
            &[
                "0",
                "1 year 2 mons -3 days +04:05:06.789",
                "-1 mons +2 days -00:00:00.000001",
                "-178956970 years -8 mons",
                "178956970 years 7 mons 2147483647 days 2562047788:00:54.775807",
                "-2147483648 days",
                "-2562047788:00:54.775807",
                "-1 days +23:59:59",
                "60 days",
                "25:00:00",
            ],
            g::interval,
        ),
        Case::text("interval year to month", &["-1 years -2 mons"], g::interval),
        Case::text("interval day", &["-1 days"], g::interval),
        Case::text("interval hour to minute", &["-1:30", "100 hours"], g::interval),
        Case::text("interval minute to second", &["-00:01:30.5"], g::interval),
        Case::text("interval(2)", &["1.25 seconds"], g::interval),
        Case::text("interval day to second(3)", &["3 days 04:05:06.789"], g::interval),
    ]
}

fn documents() -> Vec<Case> {
    vec![
        Case::text(
            "uuid",
            &[
                "00000000-0000-0000-0000-000000000000",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ],
            g::uuid,
        ),
        Case::text(
            "jsonb",
            &[
                "{\"b\": 1, \"a\": 1.10, \"a\": 2}",
                "1e400",
                "\"\\ud834\\udd1e\"",
                "null",
                "[]",
                "{}",
                "\"\"",
                "-0.0",
                "{\"\": [\"\\\"\\\\\"]}",
            ],
            g::json,
        ),
        Case::text(
            "jsonpath",
            &[
                "$",
                "strict $",
                "$.a[*] ? (@ > 1 && @.b like_regex \"\\\\d\" flag \"i\")",
                "(1).a",
                "-(+$.a)",
                "$.\"\\u0001\"",
                "($.a + 1) * -2 % 3",
                "$var.size()",
            ],
            g::jsonpath,
        ),
        Case::text(
            "xml",
            &[
                "<a/>",
                "text",
                "",
                "<?xml version=\"1.0\" encoding=\"latin1\" standalone=\"yes\"?><a>é</a>",
                "<!DOCTYPE a><a/>",
                "<a>&#13;\n</a><b/>",
                "  <a/>  ",
            ],
            g::xml,
        ),
        Case::text(
            "tsvector",
            &["", "'a':1A 'fat':2B,4 'cat':3C", "'it''s' '\\\\' 'a b':16383", "''''"],
            g::tsvector,
        ),
        Case::text(
            "tsquery",
            &[
                "",
                "a",
                "'it''s':*AB & !(b <2> c) | 'a b'",
                "!!a",
                "a <-> (b <-> c)",
                "(a <-> b) <-> c",
                "!(a & b) <3> c",
            ],
            g::tsquery,
        ),
    ]
}

fn networks_and_bits() -> Vec<Case> {
    vec![
        Case::text(
            "inet",
            &[
                "0.0.0.0/0",
                "10.0.0.1",
                "10.0.0.1/8",
                "::",
                "::/0",
                "::ffff:1.2.3.4",
                "::ffff:1.2.3.4/120",
                "255.255.255.255/31",
            ],
            g::inet,
        ),
        Case::text(
            "cidr",
            &[
                "0.0.0.0/0",
                "10.0.0.0/8",
                "::/0",
                "10.0.0.1/32",
                "2001:db8::/32",
                "::1/128",
            ],
            g::cidr,
        ),
        Case::text("macaddr", &["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"], g::macaddr),
        Case::text(
            "macaddr8",
            &["00:00:00:00:00:00:00:00", "08:00:2b:01:02:03"],
            g::macaddr8,
        ),
        Case::text("bit(1)", &["0", "1"], g::bit1),
        Case::text("bit(9)", &["000000000", "100000001"], g::bit9),
        Case::text("\"bit\"", &["", "101"], g::varbit),
        Case::text("bit varying", &["", "0", "=repeat('10', 5000)::varbit"], g::varbit),
        Case::text("bit varying(5)", &["", "00000", "1"], g::varbit5),
    ]
}

fn geometry() -> Vec<Case> {
    vec![
        Case::text(
            "point",
            &["(0.1,-1e+300)", "(NaN,Infinity)", "(-0,5e-324)", "(-Infinity,1)"],
            g::point,
        ),
        Case::text("line", &["{1,-1,0}", "{0,1,NaN}", "{-0,1,-0}"], g::line),
        Case::text("lseg", &["[(0,0),(-0,1e300)]", "[(NaN,1),(Infinity,2)]"], g::two_points),
        Case::text(
            "box",
            &["(1,1),(0,0)", "(NaN,1),(2,-0)", "(Infinity,1),(0,-Infinity)"],
            g::two_points,
        ),
        Case::text("path", &["[(0,0)]", "((0,0))", "[(NaN,-0),(1,5e-324)]"], g::path),
        Case::text("polygon", &["((0,0))", "((NaN,1),(Infinity,-0))"], g::polygon),
        Case::text(
            "circle",
            &["<(0,0),0>", "<(-0,1e-300),Infinity>", "<(NaN,1),NaN>"],
            g::circle,
        ),
    ]
}

fn system() -> Vec<Case> {
    vec![
        Case::text(
            "regclass",
            &[
                "-",
                "pg_catalog.pg_class",
                "pg_catalog.pg_class_oid_index",
                "information_schema.tables",
                "4294967295",
            ],
            |random| g::one_of(random, &["pg_catalog.pg_type", "pg_catalog.pg_proc", "0", "4000000000"]),
        ),
        Case::text("regproc", &["-", "pg_catalog.textin", "4294967295"], |random| {
            g::one_of(random, &["array_in", "pg_catalog.now"])
        }),
        Case::text(
            "regprocedure",
            &["-", "pg_catalog.abs(integer)", "4294967295"],
            |random| {
                g::one_of(
                    random,
                    &["abs(double precision)", "substring(bit,integer,integer)", "now()"],
                )
            },
        ),
        Case::text("regoper", &["0", "pg_catalog.||/", "4294967295"], |random| {
            g::one_of(random, &["|/", "pg_catalog.||/"])
        }),
        Case::text(
            "regoperator",
            &["0", "pg_catalog.+(integer,integer)", "-(NONE,bigint)", "4294967295"],
            |random| g::one_of(random, &["<(text,text)", "@>(anyarray,anyarray)"]),
        ),
        Case::text(
            "regtype",
            &[
                "-",
                "timestamp(3) with time zone",
                "\"char\"",
                "integer[]",
                "information_schema.yes_or_no",
                "4294967295",
            ],
            |random| {
                g::one_of(
                    random,
                    &[
                        "character varying",
                        "bit varying",
                        "double precision",
                        "\"any\"",
                        "pg_class",
                    ],
                )
            },
        ),
        Case::text("regconfig", &["-", "english", "4294967295"], |random| {
            g::one_of(random, &["simple", "german"])
        }),
        Case::text("regdictionary", &["-", "english_stem", "4294967295"], |random| {
            g::one_of(random, &["simple", "german_stem"])
        }),
        Case::text("regnamespace", &["-", "pg_catalog", "4294967295"], |random| {
            g::one_of(random, &["public", "information_schema"])
        }),
        Case::text("regrole", &["-", "postgres", "4294967295"], |random| {
            g::one_of(random, &["pg_monitor", "postgres"])
        }),
        Case::text("regcollation", &["-", "\"C\"", "4294967295"], |random| {
            g::one_of(random, &["\"default\"", "\"POSIX\""])
        }),
        Case::text("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"], g::pg_lsn),
        Case::text("xid", &["0", "4294967295", "3"], g::oid),
        Case::text("xid8", &["0", "18446744073709551615"], g::xid8),
        Case::text("cid", &["0", "4294967295"], g::oid),
        Case::text("tid", &["(0,0)", "(4294967295,65535)"], g::tid),
        Case::text("txid_snapshot", &["1:1:", "10:20:10,14,15"], g::snapshot),
        Case::text("pg_snapshot", &["1:1:", "10:20:10,14,15"], g::snapshot),
        Case::text("int2vector", &["", "1", "-32768 32767 0"], g::int2vector),
        Case::text("oidvector", &["", "0", "4294967295 1"], g::oidvector),
        Case::text(
            "aclitem",
            &["='=r/postgres'", "postgres=arwdDxt/postgres", "pg_monitor=r*w/postgres"],
            |random| g::one_of(random, &["postgres=U*/postgres", "='=X/pg_monitor'"]),
        ),
    ]
}

fn ranges() -> Vec<Case> {
    vec![
        Case::text(
            "int4range",
            &["empty", "(,)", "[1,1]", "[-2147483648,2147483647)", "(,5)"],
            g::int4range,
        ),
        Case::text(
            "int8range",
            &["empty", "(,)", "[9223372036854775806,9223372036854775807)"],
            g::int8range,
        ),
        Case::text(
            "numrange",
            &["empty", "[1.50,NaN]", "(-Infinity,Infinity)", "(,1.0]"],
            g::numrange,
        ),
        Case::text(
            "daterange",
            &[
                "empty",
                "[-infinity,infinity]",
                "(,2026-01-31)",
                "[4714-11-24 BC,5874897-12-31)",
            ],
            g::daterange,
        ),
        Case::text(
            "tsrange",
            &[
                "empty",
                "[-infinity,infinity]",
                "[\"2021-01-01 00:00:00.000001\",)",
                "[294276-01-01,)",
            ],
            g::tsrange,
        ),
        Case::text(
            "tstzrange",
            &["empty", "[-infinity,infinity)", "[\"2021-01-01 00:00:00+05:30\",)"],
            g::tstzrange,
        ),
        Case::text("int4multirange", &["{}", "{[1,2),[5,9)}", "{(,)}"], g::int4multirange),
        Case::text("int8multirange", &["{}", "{[1,2),[5,9)}"], g::int8multirange),
        Case::text("nummultirange", &["{}", "{[1.50,NaN]}"], g::nummultirange),
        Case::text("datemultirange", &["{}", "{[-infinity,infinity]}"], g::datemultirange),
        Case::text("tsmultirange", &["{}", "{[-infinity,infinity]}"], g::tsmultirange),
        Case::text(
            "tstzmultirange",
            &["{}", "{[\"2021-01-01 00:00:00+05:30\",)}"],
            g::tstzmultirange,
        ),
    ]
}
