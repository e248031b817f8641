//! Types that users make: enums, composites, domains, ranges, base types, and names that mislead.

use super::Case;
use crate::round_trip::generate as g;

/// Made in the source, and in a target that is to have them.
pub(crate) const USER_TYPES: &str = r#"
create schema "Odd, ""Schema""";
create schema shadow;
create type public.mood as enum ('sad', 'so, so', 'it''s "fine"', '', ' ', 'é 𝄞', 'NULL', '\', '{}', '(');
create type "Odd, ""Schema""".mood as enum ('other', 'so, so');
create type "Odd, ""Schema"""."Ty.pe" as ("Field, 1" int, " " text);
create type shadow."numeric" as enum ('1.50', 'NaN');
create type shadow.text as enum ('a', 'b');
create type shadow.int4 as (a text, b text);
create type shadow.date as range (subtype = text);
create domain shadow."timestamp" as varchar(10);
create type public.address as (street varchar(20), gone int, zip integer, tags text[], moved date);
alter type public.address drop attribute gone;
create type public.person as (name text, home public.address, moods public.mood[], born "char", at timestamptz);
create type public.float_range as range (subtype = float8);
create type public.mood_range as range (subtype = public.mood);
create domain public.positive as numeric(6,2) check (value > 0);
create domain public.rate as public.positive;
create domain public.ints as int[];
create domain public.moods as public.mood[];
create domain public.home as public.address;
create domain public.letter as "char";
create domain public.span as int4range;
create domain public.padded as char(5);
create domain public.bits as bit(4);
create domain public.near as interval day to second(0);
create type public.shout;
create function public.shout_in(cstring, oid, integer) returns shout language internal immutable strict as 'varcharin';
create function public.shout_out(shout) returns cstring language internal immutable strict as 'varcharout';
create type public.shout (input = shout_in, output = shout_out, like = pg_catalog.text);
create function public.shout(text) returns shout language sql as $$select public.shout_in('cast!', 0, -1)$$;
create cast (text as public.shout) with function public.shout(text);
"#;

/// Tables that no single value makes.
pub(crate) const USER_TABLES: &str = r#"
create table public.rows_of_ints (id int primary key, v public.ints, a public.ints[]);
insert into public.rows_of_ints values
    (1, '{1,NULL,3}', array['{1}', '{}']::public.ints[]), (2, '{}', '{}'), (3, null, null);
create table public."Generated" (id int primary key generated always as identity, net numeric(12,2) not null,
    gross numeric(14,4) generated always as (net * 1.19) stored, "line-1" text default 'x');
insert into public."Generated" (net) values (1), (2.50), (99999999.99);
create table "Odd, ""Schema"""."Tab le" ("Größe""cm" public.mood, "select" "Odd, ""Schema"""."Ty.pe", "a.b" shadow."numeric"[]);
insert into "Odd, ""Schema"""."Tab le" values
    ('it''s "fine"', '(1,"a ""b""")', '{1.50,NaN}'), (null, null, null), (null, '(,)', '{}'), ('', '(,"")', '{NULL}');
create table public.parted (id int, v public.mood, primary key (id)) partition by range (id);
create table public.parted_1 partition of public.parted for values from (0) to (10);
create table public.parted_2 partition of public.parted default;
insert into public.parted select g, 'sad' from generate_series(0, 20) g;
create table public.parent (id int primary key, v date);
create table public.child (extra text) inherits (public.parent);
insert into public.parent values (1, '2026-01-31');
insert into public.child values (2, '0044-03-15 BC', 'x');
create table public.row_type (id int primary key, v public.parent, a public.parent[]);
insert into public.row_type values (1, '(1,2026-01-31)', array[row(2, null), null]::public.parent[]);
create table public.no_rows (id int primary key, v public.mood, t timestamptz[]);
"#;

pub(crate) fn user_types() -> Vec<Case> {
    let mood: fn(&mut rand::rngs::StdRng) -> String = |random| {
        g::one_of(
            random,
            &[
                "sad",
                "so, so",
                "it's \"fine\"",
                "",
                " ",
                "é 𝄞",
                "NULL",
                "\\",
                "{}",
                "(",
            ],
        )
    };
    let address: fn(&mut rand::rngs::StdRng) -> String = |random| {
        format!(
            "=row({}::varchar(20), {}, array[{}, null], date '2026-01-31')",
            super::expression(&g::short_text(random), "text"),
            g::int4(random),
            super::expression(&g::text(random), "text"),
        )
    };
    vec![
        Case::text("mood", &["sad", "so, so", "it's \"fine\"", "", "NULL", "\\"], mood),
        Case::text("\"Odd, \"\"Schema\"\"\".mood", &["other", "so, so"], |random| {
            g::one_of(random, &["other", "so, so"])
        }),
        Case::text(
            "\"Odd, \"\"Schema\"\"\".\"Ty.pe\"",
            &["(,)", "(1,\"\")", "(-5,\"a,\"\"\\\\b\"\"\")"],
            |random| {
                format!(
                    "=row({}, {})",
                    g::int4(random),
                    super::expression(&g::text(random), "text")
                )
            },
        ),
        Case::text("shadow.\"numeric\"", &["1.50", "NaN"], |random| {
            g::one_of(random, &["1.50", "NaN"])
        }),
        Case::text("shadow.text", &["a"], |random| g::one_of(random, &["a", "b"])),
        Case::text("shadow.int4", &["(,)", "(\"\",\" \")"], |random| {
            format!("=row({}, null)", super::expression(&g::text(random), "text"))
        }),
        Case::text("shadow.date", &["empty", "[a,\"b,\"\"\"]", "(,)"], |_| {
            "[\"\",\\\\)".into()
        }),
        Case::native("shadow.\"timestamp\"", &["", " a "], g::short_text),
        Case::text(
            "address",
            &[
                "(,,,)",
                "(\"Main St, 1\",5,\"{a,NULL,\"\"b c\"\"}\",)",
                "(\"\",,{},infinity)",
            ],
            address,
        ),
        Case::text(
            "person",
            &[
                "(,,,,)",
                "(\"a \"\"b\"\"\",\"(\"\"Main St, 1\"\",,\"\"{\"\"\"\"x,y\"\"\"\"}\"\",)\",\"{\"\"so, so\"\",NULL}\",x,\"2026-01-31 12:00:00+05:30\")",
            ],
            |random| {
                let text = super::expression(&g::text(random), "text");
                format!(
                    "=row({text}, row({text}::varchar(20), 1, array[{text}], null), '{{sad}}', 'a', {})",
                    super::expression(&g::timestamptz(random), "timestamptz")
                )
            },
        ),
        Case::text("float_range", &["empty", "[-0,NaN]", "(5e-324,Infinity)"], |random| {
            format!(
                "=public.float_range({}, null)",
                super::expression(&g::float8(random), "float8")
            )
        }),
        Case::text(
            "float_multirange",
            &["{}", "{[0.1,0.2],[0.30000000000000004,1)}"],
            |_| "{(,-0)}".into(),
        ),
        Case::text("mood_range", &["empty", "[sad,\"so, so\"]"], |_| "[sad,)".into()),
        Case::native("positive", &["0.01", "9999.99"], |random| {
            g::one_of(random, &["1.50", "3"])
        }),
        Case::native("rate", &["0.01", "9999.99"], |random| g::one_of(random, &["1.50", "3"])),
        Case::text("home", &["(,,,)"], address),
        Case::native("letter", &["", "\"", "=(-1)::int::\"char\""], g::byte),
        Case::text("span", &["empty", "[1,2)"], g::int4range),
        Case::native("padded", &["", " a"], g::short_text),
        Case::text("bits", &["0000"], |random| g::one_of(random, &["1010", "0001"])),
        Case::text("near", &["-1 days +00:00:01"], |random| {
            g::one_of(random, &["1 day", "25:00:00"])
        }),
        Case::text("shout", &["Loud", "-1", ""], g::text),
    ]
}
