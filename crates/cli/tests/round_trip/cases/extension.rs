//! The types of the contrib extensions, where the server has them.

use super::Case;
use crate::round_trip::generate as g;

/// Extensions and their types, made in the schema `ext`.
pub(crate) fn extensions() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        (
            "citext",
            vec![Case::text("ext.citext", &["", "Abc", "é\"\\", "{a}"], g::short_text)],
        ),
        (
            "hstore",
            vec![Case::text(
                "ext.hstore",
                &[
                    "",
                    "a=>1, b=>NULL",
                    "\"a b\"=>\"\\\"\\\\\", \"\"=>\"\"",
                    "\"NULL\"=>\"NULL\"",
                ],
                |random| {
                    let key = g::one_of(random, &["k", "a b", "=>", "é", "'"]);
                    let value = g::one_of(random, &["\"\"", "NULL", "\"null\"", "\"a=>b, c\"", "\"𝄞\""]);
                    format!("\"{key}\"=>{value}, \"{}\"=>{value}", g::hex(random, 3))
                },
            )],
        ),
        (
            "ltree",
            vec![
                Case::text("ext.ltree", &["", "a", "Top.Child_1.x"], |random| {
                    format!("{}.{}", g::hex(random, 2), g::hex(random, 3))
                }),
                Case::text("ext.lquery", &["*", "a.*{2,}.!b|c", "a*@%.*{,3}"], |random| {
                    format!("*.{}@*", g::hex(random, 2))
                }),
                Case::text("ext.ltxtquery", &["a & b", "!(a | b*@) & c%"], |random| {
                    format!("{} | !x", g::hex(random, 2))
                }),
            ],
        ),
        (
            "cube",
            vec![Case::text(
                "ext.cube",
                &["(0)", "(1,2),(3,4)", "()", "(NaN,-0)", "(1e-300),(Infinity)"],
                |random| format!("({}, {})", g::float8(random), g::float8(random)),
            )],
        ),
        (
            "earthdistance",
            vec![Case::text("ext.earth", &["(6378168,0,0)"], |_| "(0,-6378168,0)".into())],
        ),
        (
            "seg",
            vec![Case::text(
                "ext.seg",
                &[
                    "1",
                    "1.00",
                    "~6.50",
                    "<1 .. >2",
                    "5(+-)0.3",
                    "1 ..",
                    ".. -0.5",
                    "1.5 .. 2.50",
                ],
                |random| g::one_of(random, &["0.10 .. 0.2", "-1e-7", "100", "1e10 .. ~2e20", "> 3.0"]),
            )],
        ),
        (
            "isn",
            ["ean13", "isbn13", "ismn13", "issn13", "isbn", "ismn", "issn", "upc"]
                .into_iter()
                .map(isn)
                .collect(),
        ),
        ("lo", vec![Case::native("ext.lo", &["0", "4294967295"], g::oid)]),
        (
            "intarray",
            vec![Case::text("ext.query_int", &["1", "1&(2|!3)", "!-5"], |random| {
                format!("{}|!{}", g::int2(random), g::int2(random))
            })],
        ),
    ]
}

fn isn(name: &'static str) -> Case {
    let (type_name, value): (&str, &[&str]) = match name {
        "ean13" => ("ext.ean13", &["978-0-11-000533-1", "0220356483481", "9780110005330!"]),
        "isbn13" => ("ext.isbn13", &["978-0-393-04002-9"]),
        "ismn13" => ("ext.ismn13", &["979-0-060-11561-5"]),
        "issn13" => ("ext.issn13", &["977-1436-452-00-8"]),
        "isbn" => ("ext.isbn", &["0-393-04002-X", "978-0-393-04002-9"]),
        "ismn" => ("ext.ismn", &["M-060-11561-5"]),
        "issn" => ("ext.issn", &["1436-4522"]),
        _ => ("ext.upc", &["220356483481"]),
    };
    Case {
        edges: value.iter().map(ToString::to_string).collect(),
        // The first edge again: their check digits make values of their own hard to come by.
        ..Case::text(
            type_name,
            &[],
            match name {
                "ean13" => |_| "978-0-11-000533-1".into(),
                "isbn13" => |_| "978-0-393-04002-9".into(),
                "ismn13" => |_| "979-0-060-11561-5".into(),
                "issn13" => |_| "977-1436-452-00-8".into(),
                "isbn" => |_| "0-393-04002-X".into(),
                "ismn" => |_| "M-060-11561-5".into(),
                "issn" => |_| "1436-4522".into(),
                _ => |_| "220356483481".into(),
            },
        )
    }
}
