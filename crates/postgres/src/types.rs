//! Postgres types, by OID, and what each becomes in Arrow.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::char_text;

/// Field metadata: the name that the column has in its table, where it has another in the lake.
pub const METADATA_NAME: &str = "postgres.name";
/// Field metadata: the column's type as `format_type` prints it, e.g. `numeric(15,2)`.
pub const METADATA_TYPE: &str = "postgres.type";
/// Field metadata: for a domain, and an array of a domain, the same of the type below it.
pub const METADATA_BASE_TYPE: &str = "postgres.base_type";
/// Field metadata: `true` where the column is NOT NULL.
pub const METADATA_NOT_NULL: &str = "postgres.not_null";
/// Field metadata: the column's place in the primary key, from 1.
pub const METADATA_PRIMARY_KEY: &str = "postgres.primary_key";
/// Field metadata: `true` for the column of NULLs that stands for a table without columns, which neither
/// Parquet nor Delta has.
pub const METADATA_NO_COLUMNS: &str = "postgres.no_columns";

/// OIDs of built-in types; they are the same in every database (`src/include/catalog/pg_type.dat`).
pub(crate) mod oid {
    pub(crate) const BOOL: u32 = 16;
    pub(crate) const BYTEA: u32 = 17;
    pub(crate) const CHAR: u32 = 18;
    pub(crate) const NAME: u32 = 19;
    pub(crate) const INT8: u32 = 20;
    pub(crate) const INT2: u32 = 21;
    pub(crate) const INT4: u32 = 23;
    pub(crate) const TEXT: u32 = 25;
    pub(crate) const OID: u32 = 26;
    pub(crate) const JSON: u32 = 114;
    pub(crate) const FLOAT4: u32 = 700;
    pub(crate) const FLOAT8: u32 = 701;
    pub(crate) const MONEY: u32 = 790;
    pub(crate) const BPCHAR: u32 = 1042;
    pub(crate) const VARCHAR: u32 = 1043;
    pub(crate) const DATE: u32 = 1082;
    pub(crate) const TIMESTAMP: u32 = 1114;
    pub(crate) const TIMESTAMPTZ: u32 = 1184;
    pub(crate) const NUMERIC: u32 = 1700;
}

/// A row of `pg_type`, as far as it decides how values travel.
#[derive(Clone, Debug)]
pub struct PgType {
    /// Its OID.
    pub oid: u32,
    /// The type that the output function takes, as SQL writes it: itself, for nearly all.
    pub printed_as: String,
    /// For a domain, the type below it with its modifier, as `format_type` prints it.
    pub below: Option<String>,
    /// What kind of type it is.
    pub kind: TypeKind,
    /// Its output function, quoted and qualified.
    pub output: String,
}

/// The kinds of types that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// A domain over another type, with the modifier that it fixes (-1: none).
    Domain {
        /// The type below.
        base: u32,
        /// Its modifier.
        modifier: i32,
    },
    /// A true array: its element type.
    Array {
        /// The element type.
        element: u32,
    },
    /// An enum.
    Enum,
    /// Any other.
    Other,
}

/// The types that a set of columns uses.
#[derive(Clone, Debug, Default)]
pub struct TypeCatalog {
    types: HashMap<u32, PgType>,
}

impl FromIterator<PgType> for TypeCatalog {
    fn from_iter<I: IntoIterator<Item = PgType>>(types: I) -> Self {
        Self {
            types: types.into_iter().map(|t| (t.oid, t)).collect(),
        }
    }
}

/// How a column's values travel in COPY's binary format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnCodec {
    /// One byte.
    Bool,
    /// Big-endian integers.
    Int2,
    /// See [`ColumnCodec::Int2`].
    Int4,
    /// See [`ColumnCodec::Int2`].
    Int8,
    /// An unsigned 32-bit integer, Int64 in Arrow.
    Oid,
    /// IEEE 754, bit for bit.
    Float4,
    /// See [`ColumnCodec::Float4`].
    Float8,
    /// Base-10000 digits, Decimal128 in Arrow.
    Numeric {
        /// Digits in all, at most 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// An int64 of hundredths.
    Money,
    /// The text itself: text kinds, and every type that is carried as its text.
    Text,
    /// `"char"`: one byte. In Arrow the character, nothing for 0, `\ooo` for a byte beyond ASCII.
    Char,
    /// The bytes.
    Bytea,
    /// Days since 2000-01-01.
    Date,
    /// Microseconds since 2000-01-01.
    Timestamp,
    /// See [`ColumnCodec::Timestamp`]; UTC.
    Timestamptz,
    /// A one-dimensional array from index 1.
    List {
        /// How an element travels.
        element: Box<ColumnCodec>,
        /// The element's type.
        element_oid: u32,
    },
}

impl ColumnCodec {
    /// The Arrow type of the column.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 | Self::Oid => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Numeric { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            Self::Money => DataType::Decimal128(19, 2),
            Self::Text | Self::Char => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            // Delta calls a list's items `element`.
            Self::List { element, .. } => DataType::List(Arc::new(Field::new("element", element.data_type(), true))),
        }
    }
}

impl TypeCatalog {
    /// How values of a type travel natively; `None` if they are carried as the server's text.
    pub fn native_codec(&self, oid: u32, modifier: i32) -> Option<ColumnCodec> {
        match self.types.get(&oid).map(|t| t.kind) {
            Some(TypeKind::Domain { base, modifier }) => return self.native_codec(base, modifier),
            Some(TypeKind::Array { element }) => {
                // A domain's elements are sent under the domain's own OID; an array of arrays
                // (a domain over an array) has no place in a flat list.
                return match self.native_codec(element, modifier)? {
                    ColumnCodec::List { .. } => None,
                    codec => Some(ColumnCodec::List {
                        element: Box::new(codec),
                        element_oid: element,
                    }),
                };
            }
            _ => {}
        }
        Some(match oid {
            oid::BOOL => ColumnCodec::Bool,
            oid::INT2 => ColumnCodec::Int2,
            oid::INT4 => ColumnCodec::Int4,
            oid::INT8 => ColumnCodec::Int8,
            oid::OID => ColumnCodec::Oid,
            oid::FLOAT4 => ColumnCodec::Float4,
            oid::FLOAT8 => ColumnCodec::Float8,
            oid::MONEY => ColumnCodec::Money,
            oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON => ColumnCodec::Text,
            oid::CHAR => ColumnCodec::Char,
            oid::BYTEA => ColumnCodec::Bytea,
            oid::DATE => ColumnCodec::Date,
            oid::TIMESTAMP => ColumnCodec::Timestamp,
            oid::TIMESTAMPTZ => ColumnCodec::Timestamptz,
            oid::NUMERIC => {
                let (precision, scale) = numeric_modifier(modifier)?;
                ColumnCodec::Numeric { precision, scale }
            }
            _ => return None,
        })
    }

    /// The SQL that gives a column in the form in which it travels, and that form.
    ///
    /// Text comes from the type's own output function: a cast to text is another thing for some
    /// types (it writes booleans out, adds `/32` to addresses). Of `char(n)` that cast is what is wanted: see
    /// [`TypeCatalog::without_padding`].
    pub fn select(&self, column: &str, oid: u32, modifier: i32, as_text: bool) -> (String, ColumnCodec) {
        if let Some(trimmed) = self.without_padding(column, oid, modifier) {
            return trimmed;
        }
        match self.native_codec(oid, modifier) {
            Some(codec) if !as_text || matches!(codec, ColumnCodec::Text | ColumnCodec::Char) => (column.into(), codec),
            _ => (self.as_text(column, oid), ColumnCodec::Text),
        }
    }

    /// Of a column of `char(n)`, or of an array of it, the SQL that gives its values without the blanks that pad
    /// them, and the form in which these travel; `None` for all else.
    ///
    /// The blanks mean nothing in Postgres, and come back with the type. `bpchar` without a length has only
    /// those that were written, and keeps them.
    pub fn without_padding(&self, column: &str, oid: u32, modifier: i32) -> Option<(String, ColumnCodec)> {
        match self.types.get(&oid).map(|t| t.kind) {
            Some(TypeKind::Domain { base, modifier }) => self.without_padding(column, base, modifier),
            Some(TypeKind::Array { element }) if self.native_codec(oid, modifier).is_some() => {
                self.without_padding(column, element, modifier)?;
                let codec = ColumnCodec::List {
                    element: Box::new(ColumnCodec::Text),
                    element_oid: oid::TEXT,
                };
                Some((format!("{column}::pg_catalog.text[]"), codec))
            }
            _ if oid == oid::BPCHAR && modifier >= 0 => Some((format!("{column}::pg_catalog.text"), ColumnCodec::Text)),
            _ => None,
        }
    }

    /// The SQL that gives a column as the text that its type's output function prints.
    ///
    /// The value is first made one that the function takes: that of enums takes no domain, and
    /// `refcursor` has text's.
    pub fn as_text(&self, column: &str, oid: u32) -> String {
        let base = self.base(oid);
        if base == oid::CHAR {
            return char_text::expression(column);
        }
        let printed = self.types.get(&base).map_or_else(
            || format!("pg_catalog.textout({column}::pg_catalog.text)"),
            |t| format!("{}({column}::{})", t.output, t.printed_as),
        );
        format!("pg_catalog.textin({printed})")
    }

    /// The element-wise comparison of a target column's type with a codec: whether values encoded
    /// with `codec` may be sent to a column of type `oid` as they are.
    ///
    /// Binary COPY itself checks nothing but lengths: an int4 would be read as a float4.
    pub fn accepts(&self, oid: u32, modifier: i32, codec: &ColumnCodec) -> bool {
        match (self.native_codec(oid, modifier), codec) {
            // An unconstrained numeric takes every decimal.
            (None, ColumnCodec::Numeric { .. }) => self.is_numeric(oid),
            (Some(ColumnCodec::Numeric { scale: to, .. }), ColumnCodec::Numeric { scale: from, .. }) => from <= &to,
            (Some(target), codec) => target == *codec,
            (None, _) => false,
        }
    }

    /// The type below a domain, as `format_type` prints it, and below that of an array's elements.
    ///
    /// `None` for what has no domain in it, and for an array of a domain over an array, below which
    /// is no type that its text is read as.
    pub fn base_name(&self, oid: u32) -> Option<String> {
        let of = self.types.get(&oid)?;
        match of.kind {
            TypeKind::Domain { base, .. } => self.base_name(base).or_else(|| of.below.clone()),
            TypeKind::Array { element } => {
                let below = self.types.get(&self.base(element));
                let is_array = below.is_some_and(|t| matches!(t.kind, TypeKind::Array { .. }));
                let name = self.base_name(element).filter(|_| !is_array)?;
                Some(format!("{name}[]"))
            }
            TypeKind::Enum | TypeKind::Other => None,
        }
    }

    /// Whether values of a type are sent as `numeric`s.
    pub fn is_numeric(&self, oid: u32) -> bool {
        self.base(oid) == oid::NUMERIC
    }

    /// Whether values of a type, or of an array of it, are printed with their schemas only where the search path
    /// does not lead to them: names of functions, operators, relations, types and what text search has.
    pub fn is_printed_by_path(&self, oid: u32) -> bool {
        const NAMES: [u32; 9] = [24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4191];
        let base = self.base(oid);
        match self.types.get(&base).map(|t| t.kind) {
            Some(TypeKind::Array { element }) => self.is_printed_by_path(element),
            _ => NAMES.contains(&base),
        }
    }

    /// The type below all domains.
    pub fn base(&self, oid: u32) -> u32 {
        match self.types.get(&oid).map(|t| t.kind) {
            Some(TypeKind::Domain { base, .. }) => self.base(base),
            _ => oid,
        }
    }
}

/// Precision and scale of a `numeric(p,s)` that a 128-bit decimal holds, from its type modifier
/// (`src/backend/utils/adt/numeric.c`, `make_numeric_typmod`).
fn numeric_modifier(modifier: i32) -> Option<(u8, u8)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    let precision = (packed >> 16) & 0xffff;
    // Eleven bits, signed, since PostgreSQL 15.
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    (precision <= 38 && (0..=precision).contains(&scale)).then_some((precision as u8, scale as u8))
}

/// The Postgres type that holds a column which did not come from Postgres, with its codec.
///
/// `None` for an Arrow type that the lake never holds.
pub fn postgres_type_for(data_type: &DataType) -> Option<(String, ColumnCodec)> {
    let (name, codec) = match data_type {
        DataType::Boolean => ("boolean", ColumnCodec::Bool),
        DataType::Int8 | DataType::Int16 => ("smallint", ColumnCodec::Int2),
        DataType::Int32 => ("integer", ColumnCodec::Int4),
        DataType::Int64 => ("bigint", ColumnCodec::Int8),
        DataType::Float32 => ("real", ColumnCodec::Float4),
        DataType::Float64 => ("double precision", ColumnCodec::Float8),
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, u8::try_from(*scale).ok()?);
            return Some((
                format!("numeric({precision},{scale})"),
                ColumnCodec::Numeric { precision, scale },
            ));
        }
        DataType::Utf8 => ("text", ColumnCodec::Text),
        DataType::Binary => ("bytea", ColumnCodec::Bytea),
        DataType::Date32 => ("date", ColumnCodec::Date),
        DataType::Timestamp(TimeUnit::Microsecond, None) => ("timestamp without time zone", ColumnCodec::Timestamp),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => ("timestamp with time zone", ColumnCodec::Timestamptz),
        DataType::List(item) => {
            let (name, element) = postgres_type_for(item.data_type())?;
            let element_oid = element_oid(&element)?;
            let codec = ColumnCodec::List {
                element: Box::new(element),
                element_oid,
            };
            return Some((format!("{name}[]"), codec));
        }
        _ => return None,
    };
    Some((name.into(), codec))
}

fn element_oid(codec: &ColumnCodec) -> Option<u32> {
    Some(match codec {
        ColumnCodec::Bool => oid::BOOL,
        ColumnCodec::Int2 => oid::INT2,
        ColumnCodec::Int4 => oid::INT4,
        ColumnCodec::Int8 => oid::INT8,
        ColumnCodec::Oid => oid::OID,
        ColumnCodec::Float4 => oid::FLOAT4,
        ColumnCodec::Float8 => oid::FLOAT8,
        ColumnCodec::Numeric { .. } => oid::NUMERIC,
        ColumnCodec::Money => oid::MONEY,
        ColumnCodec::Text => oid::TEXT,
        ColumnCodec::Char => oid::CHAR,
        ColumnCodec::Bytea => oid::BYTEA,
        ColumnCodec::Date => oid::DATE,
        ColumnCodec::Timestamp => oid::TIMESTAMP,
        ColumnCodec::Timestamptz => oid::TIMESTAMPTZ,
        ColumnCodec::List { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_modifiers() {
        let typmod = |p: i32, s: i32| ((p << 16) | (s & 0x7ff)) + 4;
        assert_eq!(numeric_modifier(typmod(15, 2)), Some((15, 2)));
        assert_eq!(numeric_modifier(typmod(38, 38)), Some((38, 38)));
        assert_eq!(numeric_modifier(typmod(39, 0)), None);
        assert_eq!(numeric_modifier(typmod(5, -3)), None);
        assert_eq!(numeric_modifier(typmod(3, 5)), None);
        assert_eq!(numeric_modifier(-1), None);
    }

    #[test]
    fn domains_and_arrays_resolve_to_what_is_below() {
        let of = |oid, kind| PgType {
            oid,
            printed_as: String::new(),
            below: (oid == 90_001).then(|| "numeric(10,2)".to_owned()),
            kind,
            output: String::new(),
        };
        let catalog: TypeCatalog = [
            of(1000, TypeKind::Array { element: oid::BOOL }),
            of(
                90_001,
                TypeKind::Domain {
                    base: oid::NUMERIC,
                    modifier: (10 << 16 | 2) + 4,
                },
            ),
            of(
                90_002,
                TypeKind::Domain {
                    base: 1000,
                    modifier: -1,
                },
            ),
            of(90_003, TypeKind::Array { element: 90_002 }),
            of(90_004, TypeKind::Enum),
            of(90_005, TypeKind::Array { element: 90_001 }),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            catalog.native_codec(90_001, -1),
            Some(ColumnCodec::Numeric {
                precision: 10,
                scale: 2
            })
        );
        let list = Some(ColumnCodec::List {
            element: Box::new(ColumnCodec::Bool),
            element_oid: oid::BOOL,
        });
        assert_eq!(catalog.native_codec(90_002, -1), list);
        assert_eq!(catalog.native_codec(90_003, -1), None);
        assert_eq!(catalog.native_codec(90_004, -1), None);
        assert_eq!(catalog.base_name(90_001).as_deref(), Some("numeric(10,2)"));
        assert_eq!(catalog.base_name(90_005).as_deref(), Some("numeric(10,2)[]"));
        assert_eq!((catalog.base_name(90_003), catalog.base_name(1000)), (None, None));
        assert_eq!(catalog.native_codec(oid::NUMERIC, -1), None);
    }

    #[test]
    fn a_target_takes_only_what_it_can_read() {
        let catalog = TypeCatalog::default();
        let decimal = |precision, scale| ColumnCodec::Numeric { precision, scale };
        assert!(catalog.accepts(oid::INT4, -1, &ColumnCodec::Int4));
        assert!(!catalog.accepts(oid::FLOAT4, -1, &ColumnCodec::Int4));
        assert!(catalog.accepts(oid::NUMERIC, -1, &decimal(10, 2)));
        assert!(!catalog.accepts(oid::NUMERIC, (10 << 16 | 1) + 4, &decimal(10, 2)));
        assert!(!catalog.accepts(oid::TEXT, -1, &decimal(10, 2)));
    }
}
