//! Which of two declared types holds every value of the other.

const TIMESTAMP: &str = "timestamp without time zone";

/// A type as `format_type` prints it, as far as its values have a place in other types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared<'a> {
    /// `smallint`, `integer`, `bigint`: the digits of their largest value.
    Integer(i32),
    Real,
    Double,
    /// Digits before the point and after it; none if it is unconstrained.
    Numeric(Option<(i32, i32)>),
    /// With its length.
    Varchar(u32),
    /// With its length.
    Char(u32),
    /// `text`, and `character varying` without a length.
    Text,
    Date,
    /// `timestamp without time zone` and its kin, with the digits of their fractions of a second.
    Moment(&'a str, u8),
    Other(&'a str),
}

impl<'a> Declared<'a> {
    fn parse(name: &'a str) -> Self {
        if let Some(moment) = Self::parse_moment(name) {
            return moment;
        }
        let (base, arguments) = match name.strip_suffix(')').and_then(|name| name.split_once('(')) {
            Some((base, arguments)) => (base, arguments.split(',').map(|a| a.trim().parse().ok()).collect()),
            None => (name, Vec::new()),
        };
        match (base, &arguments[..]) {
            ("smallint", []) => Self::Integer(5),
            ("integer", []) => Self::Integer(10),
            ("bigint", []) => Self::Integer(19),
            ("real", []) => Self::Real,
            ("double precision", []) => Self::Double,
            ("numeric", []) => Self::Numeric(None),
            ("numeric", &[Some(precision), Some(scale)]) => Self::Numeric(Some((precision - scale, scale))),
            ("text" | "character varying", []) => Self::Text,
            ("character varying", &[Some(length)]) => Self::Varchar(length.unsigned_abs()),
            ("character", &[Some(length)]) => Self::Char(length.unsigned_abs()),
            ("date", []) => Self::Date,
            _ => Self::Other(name),
        }
    }

    /// `timestamp(3) with time zone`.
    fn parse_moment(name: &'a str) -> Option<Self> {
        const DIGITS_MAX: u8 = 6;
        let (base, zone) = name.split_once(' ').filter(|(_, zone)| zone.ends_with(" time zone"))?;
        let (base, digits) = match base.strip_suffix(')').and_then(|base| base.split_once('(')) {
            Some((base, digits)) => (base, digits.parse().ok()?),
            None => (base, DIGITS_MAX),
        };
        let kind = match (base, zone) {
            ("timestamp", "without time zone") => TIMESTAMP,
            ("timestamp", "with time zone") => "timestamp with time zone",
            ("time", "without time zone") => "time without time zone",
            ("time", "with time zone") => "time with time zone",
            _ => return None,
        };
        Some(Self::Moment(kind, digits))
    }

    /// Digits before the point and after it, of numbers that are exact.
    fn digits(self) -> Option<(i32, i32)> {
        match self {
            Self::Integer(digits) => Some((digits, 0)),
            Self::Numeric(digits) => digits,
            _ => None,
        }
    }

    fn is_exact_number(self) -> bool {
        matches!(self, Self::Integer(_) | Self::Numeric(_))
    }

    fn holds(self, other: Self) -> bool {
        match (self, other) {
            (Self::Text, _) => true,
            (Self::Varchar(to), Self::Varchar(from)) | (Self::Char(to), Self::Char(from)) => from <= to,
            (Self::Integer(to), Self::Integer(from)) => from <= to,
            (Self::Numeric(None), from) => from.is_exact_number(),
            (Self::Numeric(Some((whole, scale))), from) => from.digits().is_some_and(|(w, s)| w <= whole && s <= scale),
            (Self::Double, Self::Real | Self::Integer(5 | 10)) => true,
            (Self::Real, Self::Integer(5)) => true,
            (Self::Moment(TIMESTAMP, _), Self::Date) => true,
            (Self::Moment(to, digits_to), Self::Moment(from, digits_from)) => to == from && digits_from <= digits_to,
            (to, from) => to == from,
        }
    }
}

/// Whether a type is text without a limit, which holds every type's values as they are printed.
pub(crate) fn is_text(name: &str) -> bool {
    Declared::parse(name) == Declared::Text
}

/// Whether a type is text, with a limit or without.
fn is_character(name: &str) -> bool {
    matches!(Declared::parse(name), Declared::Text | Declared::Varchar(_))
}

/// Whether a type has a place for every value of another.
pub(crate) fn holds(to: &str, from: &str) -> bool {
    Declared::parse(to).holds(Declared::parse(from))
}

/// Whether every value of a type's is the same in a wider one: a text is no wider number.
pub(crate) fn is_wider(to: &str, from: &str) -> bool {
    match (to.strip_suffix("[]"), from.strip_suffix("[]")) {
        (Some(to), Some(from)) => is_wider(to, from),
        _ => holds(to, from) && (!is_text(to) || is_character(from)),
    }
}

/// A type that holds every value of both: the first if it does, or the second; in the end, text.
pub(crate) fn common(a: &str, b: &str) -> String {
    const DIGITS_MAX: i32 = 1000;
    if a != b
        && let (Some(of_a), Some(of_b)) = (a.strip_suffix("[]"), b.strip_suffix("[]"))
    {
        // Arrays of texts hold other arrays' items as no one prints these.
        return match common(of_a, of_b) {
            item if is_text(&item) && !(is_character(of_a) && is_character(of_b)) => "text".into(),
            item => item + "[]",
        };
    }
    let (first, second) = (Declared::parse(a), Declared::parse(b));
    if first.holds(second) {
        return a.to_owned();
    }
    if second.holds(first) {
        return b.to_owned();
    }
    if !(first.is_exact_number() && second.is_exact_number()) {
        return "text".into();
    }
    match (first.digits(), second.digits()) {
        (Some(a), Some(b)) if a.0.max(b.0) + a.1.max(b.1) <= DIGITS_MAX => {
            let (whole, scale) = (a.0.max(b.0), a.1.max(b.1));
            format!("numeric({},{scale})", whole + scale)
        }
        _ => "numeric".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_have_the_common_type_of_their_items() {
        assert_eq!(common("integer[]", "bigint[]"), "bigint[]");
        assert_eq!(common("numeric(5,2)[]", "numeric(5,3)[]"), "numeric(6,3)[]");
        assert_eq!(common("character varying(3)[]", "text[]"), "text[]");
        assert_eq!(common("text[]", "integer[]"), "text");
    }

    #[test]
    fn a_wider_type_has_the_same_values() {
        for (to, from) in [
            ("bigint", "integer"),
            ("text", "character varying(3)"),
            ("double precision", "real"),
            ("timestamp without time zone", "date"),
            ("bigint[]", "integer[]"),
        ] {
            assert!(is_wider(to, from) && !is_wider(from, to), "{to} of {from}");
        }
        for (to, from) in [
            ("text", "double precision"),
            ("text", "character(3)"),
            ("text[]", "date[]"),
        ] {
            assert!(!is_wider(to, from), "{to} of {from}");
        }
    }

    #[test]
    fn the_common_type_holds_both() {
        let cases = [
            ("smallint", "bigint", "bigint"),
            ("integer", "numeric(12,2)", "numeric(12,2)"),
            ("bigint", "numeric(12,2)", "numeric(21,2)"),
            ("numeric(10,2)", "numeric(10,4)", "numeric(12,4)"),
            ("numeric(10,2)", "numeric", "numeric"),
            ("numeric(900,0)", "numeric(300,300)", "numeric"),
            ("numeric(3,-2)", "smallint", "numeric(5,0)"),
            ("integer", "double precision", "double precision"),
            ("bigint", "double precision", "text"),
            ("real", "double precision", "double precision"),
            (
                "character varying(10)",
                "character varying(20)",
                "character varying(20)",
            ),
            ("character varying(10)", "text", "text"),
            ("character varying", "uuid", "character varying"),
            ("date", "timestamp without time zone", "timestamp without time zone"),
            (
                "date",
                "timestamp(0) without time zone",
                "timestamp(0) without time zone",
            ),
            (
                "timestamp(3) with time zone",
                "timestamp with time zone",
                "timestamp with time zone",
            ),
            ("timestamp without time zone", "timestamp with time zone", "text"),
            ("time without time zone", "timestamp without time zone", "text"),
            ("smallint", "real", "real"),
            ("integer", "real", "text"),
            ("uuid", "integer", "text"),
            ("uuid[]", "integer[]", "text"),
            ("uuid[]", "uuid", "text"),
            ("public.mood", "public.mood", "public.mood"),
            ("character(5)", "character varying(9)", "text"),
        ];
        for (a, b, expected) in cases {
            assert_eq!(common(a, b), expected, "{a} and {b}");
            assert_eq!(common(b, a), expected, "{b} and {a}");
            assert!(holds(expected, a) && holds(expected, b), "{expected} of {a} and {b}");
        }
    }
}
