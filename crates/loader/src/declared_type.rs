//! Which of two declared types holds every value of the other.

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
    Timestamp,
    Other(&'a str),
}

impl<'a> Declared<'a> {
    fn parse(name: &'a str) -> Self {
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
            ("timestamp without time zone", []) => Self::Timestamp,
            _ => Self::Other(name),
        }
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
            (Self::Timestamp, Self::Date) => true,
            (to, from) => to == from,
        }
    }
}

/// Whether a type is text without a limit, which holds every type's values as they are printed.
pub(crate) fn is_text(name: &str) -> bool {
    Declared::parse(name) == Declared::Text
}

/// A type that holds every value of both: the first if it does, or the second; in the end, text.
pub(crate) fn common(a: &str, b: &str) -> String {
    const DIGITS_MAX: i32 = 1000;
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

    fn holds(wide: &str, narrow: &str) -> bool {
        Declared::parse(wide).holds(Declared::parse(narrow))
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
            ("uuid", "integer", "text"),
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
