//! Values of every type from a seed, in the form in which each type's input function reads them; after
//! `=` an SQL expression.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngCore as _};

/// Days from 2000-01-01 to the first and the last that a timestamp in the lake can have.
const FIRST_DAY: i32 = -2_451_507;
const LAST_DAY: i32 = 106_741_034;
const DAY_MICROS: i64 = 86_400_000_000;

/// One of some words.
pub(crate) fn one_of(random: &mut StdRng, words: &[&str]) -> String {
    (*words.choose(random).unwrap()).to_owned()
}

pub(crate) fn boolean(random: &mut StdRng) -> String {
    random.random::<bool>().to_string()
}

pub(crate) fn int2(random: &mut StdRng) -> String {
    random.random::<i16>().to_string()
}

pub(crate) fn int4(random: &mut StdRng) -> String {
    random.random::<i32>().to_string()
}

pub(crate) fn int8(random: &mut StdRng) -> String {
    (random.random::<i64>() >> random.random_range(0..63)).to_string()
}

pub(crate) fn oid(random: &mut StdRng) -> String {
    random.random::<u32>().to_string()
}

pub(crate) fn xid8(random: &mut StdRng) -> String {
    random.random::<u64>().to_string()
}

/// Any bits but a NaN's payload, which the server's input function does not read.
pub(crate) fn float4(random: &mut StdRng) -> String {
    let value = f32::from_bits(random.next_u32());
    if value.is_finite() {
        format!("{value:e}")
    } else {
        "NaN".into()
    }
}

/// See [`float4`].
pub(crate) fn float8(random: &mut StdRng) -> String {
    let value = f64::from_bits(random.next_u64());
    if value.is_finite() {
        format!("{value:e}")
    } else {
        "NaN".into()
    }
}

/// A double that geometric functions can square.
fn coordinate(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => random.random_range(-5..5).to_string(),
        1 => format!("{:e}", random.random::<f64>() * 1e-200),
        2 => format!("{:e}", random.random::<f64>() * -1e100),
        _ => format!("{:e}", random.random::<f64>()),
    }
}

/// Digits before and after the point, trailing zeros among them.
fn decimal(random: &mut StdRng, before: usize, after: usize) -> String {
    let digits = |random: &mut StdRng, count: usize| -> String {
        (0..count)
            .map(|_| char::from(random.random_range(b'0'..=b'9')))
            .collect()
    };
    let sign = one_of(random, &["", "-"]);
    let before = random.random_range(0..=before);
    let after = random.random_range(0..=after);
    let whole = digits(random, before);
    let fraction = digits(random, after);
    format!("{sign}0{whole}.{fraction}0")
}

pub(crate) fn numeric(random: &mut StdRng) -> String {
    decimal(random, 300, 300)
}

pub(crate) fn numeric_15_2(random: &mut StdRng) -> String {
    decimal(random, 12, 1)
}

pub(crate) fn numeric_38_10(random: &mut StdRng) -> String {
    decimal(random, 27, 9)
}

pub(crate) fn numeric_38_0(random: &mut StdRng) -> String {
    decimal(random, 38, 0)
}

pub(crate) fn numeric_38_38(random: &mut StdRng) -> String {
    decimal(random, 0, 37)
}

pub(crate) fn numeric_9_9(random: &mut StdRng) -> String {
    decimal(random, 0, 8)
}

pub(crate) fn numeric_76_38(random: &mut StdRng) -> String {
    decimal(random, 38, 37)
}

pub(crate) fn numeric_1000_500(random: &mut StdRng) -> String {
    decimal(random, 500, 499)
}

pub(crate) fn thousands(random: &mut StdRng) -> String {
    (random.random_range(-99_999..99_999) * 100).to_string()
}

pub(crate) fn thousandths(random: &mut StdRng) -> String {
    format!("0.00{:03}", random.random_range(0..999))
}

pub(crate) fn money(random: &mut StdRng) -> String {
    format!("={}::numeric / 100", random.random::<i64>())
}

/// Any characters but NUL, those that somebody's quoting is about more often.
pub(crate) fn text(random: &mut StdRng) -> String {
    const DELICATE: &[char] = &[
        '\'',
        '"',
        '\\',
        ',',
        ';',
        '{',
        '}',
        '(',
        ')',
        '[',
        ']',
        '<',
        '>',
        '\n',
        '\r',
        '\t',
        ' ',
        '\u{1}',
        '\u{7f}',
        '\u{feff}',
        '\u{a0}',
        '\u{2028}',
        'é',
        'e',
        '\u{301}',
        '𝄞',
        '\u{10ffff}',
        '\u{fffd}',
        'N',
        'U',
        'L',
        '-',
        '=',
        '%',
        '$',
        '\u{b}',
    ];
    let length = random.random_range(0..20);
    let text: String = (0..length)
        .map(|_| {
            if random.random() {
                *DELICATE.choose(random).unwrap()
            } else {
                random.random_range('\u{1}'..char::MAX)
            }
        })
        .collect();
    // A literal, whatever it begins with.
    format!("={}", quoted(&text))
}

fn quoted(text: &str) -> String {
    lake_postgres::quote_literal(text)
}

pub(crate) fn short_text(random: &mut StdRng) -> String {
    let words = [
        "", " ", "a", "é ", "  𝄞", "\\", "''", "\",", "{}", "(,)", "\t\n", "N", "\u{feff}",
    ];
    one_of(random, &words)
}

pub(crate) fn byte(random: &mut StdRng) -> String {
    format!("=({}::int)::\"char\"", random.random::<i8>())
}

pub(crate) fn hex(random: &mut StdRng, bytes: usize) -> String {
    (0..bytes).map(|_| format!("{:02x}", random.random::<u8>())).collect()
}

pub(crate) fn bytea(random: &mut StdRng) -> String {
    let bytes = random.random_range(0..40);
    format!("\\x{}", hex(random, bytes))
}

pub(crate) fn uuid(random: &mut StdRng) -> String {
    hex(random, 16)
}

fn json_text(random: &mut StdRng, depth: u32) -> String {
    let space = one_of(random, &["", " ", "\n\t "]);
    match random.random_range(0..if depth > 2 { 4 } else { 6 }) {
        0 => one_of(random, &["null", "true", "false"]),
        1 => format!("{}.{}0", random.random::<i64>(), random.random::<u64>()),
        2 => one_of(random, &["0", "-0", "-0.0", "1e10", "1E-7", "1.50"]),
        3 => format!(
            "\"{}\"",
            one_of(
                random,
                &["", "é𝄞", "\\\"\\\\\\/\\n", "\\u00e9", "\\ud834\\udd1e", "'", "\u{feff}"]
            )
        ),
        4 => {
            let items: Vec<String> = (0..random.random_range(0..4))
                .map(|_| json_text(random, depth + 1))
                .collect();
            format!("[{space}{}{space}]", items.join(","))
        }
        _ => {
            let members: Vec<String> = (0..random.random_range(0..4))
                .map(|_| {
                    format!(
                        "\"{}\"{space}:{}",
                        one_of(random, &["a", "b", "", "é", "a b"]),
                        json_text(random, depth + 1)
                    )
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

pub(crate) fn json(random: &mut StdRng) -> String {
    json_text(random, 0)
}

pub(crate) fn jsonpath(random: &mut StdRng) -> String {
    let key = one_of(random, &["a", "\"a b\"", "\"\\\"\"", "*", "\"é\""]);
    let filter = one_of(
        random,
        &[
            "@ > 1.50",
            "@.x == \"q\\n\"",
            "exists (@.b ? (@ < 1e10))",
            "@ like_regex \"^a.b\" flag \"iq\"",
            "!(@ starts with \"x\")",
        ],
    );
    let method = one_of(
        random,
        &[
            ".size()",
            ".double()",
            ".keyvalue().key",
            ".datetime(\"HH24:MI\")",
            "[*]",
            "[0, 2 to last]",
            ".**{1 to 3}",
        ],
    );
    let mode = one_of(random, &["", "strict "]);
    format!("{mode}$.{key}{method} ? ({filter})")
}

pub(crate) fn xml(random: &mut StdRng) -> String {
    let inner = one_of(
        random,
        &[
            "",
            "é &amp; &#x1D11E;",
            "<![CDATA[<&>]]>",
            "<!-- c -->",
            "  ",
            "<b/>text",
            "\u{a0}",
        ],
    );
    let attribute = one_of(random, &["", " x=\"&quot;'\"", " x='1'  y=\"2\""]);
    format!("<a{attribute}>{inner}</a>")
}

pub(crate) fn date(random: &mut StdRng) -> String {
    format!(
        "=date '2000-01-01' + ({})",
        random.random_range(-2_451_545..2_145_031_949)
    )
}

fn day_and_micros(random: &mut StdRng) -> (i32, i64) {
    let day = if random.random() {
        random.random_range(-20_000..20_000)
    } else {
        random.random_range(FIRST_DAY..LAST_DAY)
    };
    (day, random.random_range(0..DAY_MICROS))
}

pub(crate) fn timestamp(random: &mut StdRng) -> String {
    let (day, micros) = day_and_micros(random);
    format!("=timestamp '2000-01-01' + interval '{day} days {micros} microseconds'")
}

pub(crate) fn timestamptz(random: &mut StdRng) -> String {
    let (day, micros) = day_and_micros(random);
    format!("=timestamptz '2000-01-01 00:00:00+00' + interval '{day} days {micros} microseconds'")
}

pub(crate) fn time(random: &mut StdRng) -> String {
    format!(
        "=time '00:00' + interval '{} microseconds'",
        random.random_range(0..DAY_MICROS)
    )
}

pub(crate) fn timetz(random: &mut StdRng) -> String {
    let mut part = |below: u32| random.random_range(0..below);
    let (h, m, s, f) = (part(24), part(60), part(60), part(1_000_000));
    let (zone, zone_m, zone_s) = (part(16), part(60), part(60));
    let sign = one_of(random, &["+", "-"]);
    format!("{h:02}:{m:02}:{s:02}.{f:06}{sign}{zone:02}:{zone_m:02}:{zone_s:02}")
}

pub(crate) fn interval(random: &mut StdRng) -> String {
    let shift = random.random_range(0..31);
    let (months, days) = (
        random.random::<i32>() >> shift,
        random.random::<i32>() >> random.random_range(0..31),
    );
    let hours = random.random_range(0..2_562_047_788_u32) >> random.random_range(0..31);
    let (m, s, f) = (
        random.random_range(0..60),
        random.random_range(0..60),
        random.random_range(0..1_000_000),
    );
    let sign = one_of(random, &["", "-"]);
    format!("{months} mons {days} days {sign}{hours}:{m:02}:{s:02}.{f:06}")
}

pub(crate) fn inet(random: &mut StdRng) -> String {
    if random.random() {
        let address = std::net::Ipv4Addr::from(random.random::<u32>());
        format!("{address}/{}", random.random_range(0..=32))
    } else {
        let address = std::net::Ipv6Addr::from(random.random::<u128>() >> random.random_range(0..128));
        format!("{address}/{}", random.random_range(0..=128))
    }
}

pub(crate) fn cidr(random: &mut StdRng) -> String {
    format!("=network(inet '{}')", inet(random))
}

pub(crate) fn macaddr(random: &mut StdRng) -> String {
    hex(random, 6)
}

pub(crate) fn macaddr8(random: &mut StdRng) -> String {
    hex(random, 8)
}

fn bits(random: &mut StdRng, count: usize) -> String {
    (0..count).map(|_| if random.random() { '1' } else { '0' }).collect()
}

pub(crate) fn bit1(random: &mut StdRng) -> String {
    bits(random, 1)
}

pub(crate) fn bit9(random: &mut StdRng) -> String {
    bits(random, 9)
}

pub(crate) fn varbit(random: &mut StdRng) -> String {
    let count = random.random_range(0..200);
    bits(random, count)
}

pub(crate) fn varbit5(random: &mut StdRng) -> String {
    let count = random.random_range(0..=5);
    bits(random, count)
}

fn lexeme(random: &mut StdRng) -> String {
    let word = one_of(random, &["cat", "it''s", "a b", "\\\\", "é", "𝄞", "&|!", ":", "1.5"]);
    format!("'{word}'")
}

pub(crate) fn tsvector(random: &mut StdRng) -> String {
    let words: Vec<String> = (0..random.random_range(0..5))
        .map(|_| {
            let place = one_of(random, &["", ":1", ":3A,16383B", ":2C,7"]);
            format!("{}{place}", lexeme(random))
        })
        .collect();
    words.join(" ")
}

pub(crate) fn tsquery(random: &mut StdRng) -> String {
    let weight = one_of(random, &["", ":*", ":AB", ":*CD"]);
    let operator = one_of(random, &["&", "|", "<->", "<3>", "& !"]);
    let (a, b, c) = (lexeme(random), lexeme(random), lexeme(random));
    format!("({a}{weight} {operator} {b}) & !({c} | {a})")
}

pub(crate) fn point(random: &mut StdRng) -> String {
    format!("({},{})", coordinate(random), coordinate(random))
}

pub(crate) fn line(random: &mut StdRng) -> String {
    format!("{{{},1.5,{}}}", coordinate(random), coordinate(random))
}

pub(crate) fn two_points(random: &mut StdRng) -> String {
    format!("({},{})", point(random), point(random))
}

pub(crate) fn path(random: &mut StdRng) -> String {
    let points: Vec<String> = (0..random.random_range(1..5)).map(|_| point(random)).collect();
    if random.random() {
        format!("[{}]", points.join(","))
    } else {
        format!("({})", points.join(","))
    }
}

pub(crate) fn polygon(random: &mut StdRng) -> String {
    let points: Vec<String> = (0..random.random_range(1..5)).map(|_| point(random)).collect();
    format!("({})", points.join(","))
}

pub(crate) fn circle(random: &mut StdRng) -> String {
    format!("<{},{:e}>", point(random), random.random::<f64>())
}

pub(crate) fn pg_lsn(random: &mut StdRng) -> String {
    format!("{:X}/{:X}", random.random::<u32>(), random.random::<u32>())
}

pub(crate) fn tid(random: &mut StdRng) -> String {
    format!("({},{})", random.random::<u32>(), random.random::<u16>())
}

pub(crate) fn snapshot(random: &mut StdRng) -> String {
    let from = random.random_range(1..1u64 << 40);
    let running: Vec<String> = (0..random.random_range(0..4))
        .map(|i| (from + 2 * i).to_string())
        .collect();
    format!("{from}:{}:{}", from + 10, running.join(","))
}

pub(crate) fn int2vector(random: &mut StdRng) -> String {
    let items: Vec<String> = (0..random.random_range(0..5)).map(|_| int2(random)).collect();
    items.join(" ")
}

pub(crate) fn oidvector(random: &mut StdRng) -> String {
    let items: Vec<String> = (0..random.random_range(0..5)).map(|_| oid(random)).collect();
    items.join(" ")
}

/// A range of two values in their order, with bounds of any kind.
fn range(random: &mut StdRng, name: &str, value: fn(&mut StdRng) -> String, of: &str) -> String {
    let mut bound = || match random.random_range(0..6) {
        0 => format!("null::{of}"),
        _ => super::cases::expression(&value(random), of),
    };
    let (a, b) = (bound(), bound());
    let bounds = one_of(random, &["[]", "[)", "(]", "()"]);
    // `least` passes over NULL: an infinite bound then makes a range of one value, as good as any.
    format!("{name}(least({a}, {b}), greatest({a}, {b}), '{bounds}')")
}

macro_rules! ranges {
    ($($range:ident, $multirange:ident, $value:expr, $of:literal;)+) => {$(
        pub(crate) fn $range(random: &mut StdRng) -> String {
            format!("={}", range(random, stringify!($range), $value, $of))
        }

        pub(crate) fn $multirange(random: &mut StdRng) -> String {
            let ranges: Vec<String> =
                (0..random.random_range(0..4)).map(|_| range(random, stringify!($range), $value, $of)).collect();
            format!("={}({})", stringify!($multirange), ranges.join(", "))
        }
    )+};
}

/// Short of the last, which has no successor for an inclusive bound.
fn range_int4(random: &mut StdRng) -> String {
    (random.random_range(i32::MIN..i32::MAX)).to_string()
}

fn range_date(random: &mut StdRng) -> String {
    format!(
        "=date '2000-01-01' + ({})",
        random.random_range(-2_451_545..2_145_031_948)
    )
}

ranges! {
    int4range, int4multirange, range_int4, "integer";
    int8range, int8multirange, int8, "bigint";
    numrange, nummultirange, numeric, "numeric";
    daterange, datemultirange, range_date, "date";
    tsrange, tsmultirange, timestamp, "timestamp";
    tstzrange, tstzmultirange, timestamptz, "timestamptz";
}
