//! The values that statements take, each with its type.

use tokio_postgres::types::{ToSql, Type};

/// A value for a statement, of a built-in type: to ask the server for its type, the client library would
/// prepare a named statement.
pub trait Parameter: ToSql + Sync {
    /// Its type in the statement.
    fn sql_type(&self) -> Type;
}

macro_rules! parameters {
    ($($rust:ty: $one:ident, $many:ident;)*) => {
        $(
            impl Parameter for $rust {
                fn sql_type(&self) -> Type {
                    Type::$one
                }
            }

            impl Parameter for &[$rust] {
                fn sql_type(&self) -> Type {
                    Type::$many
                }
            }

            impl Parameter for Vec<$rust> {
                fn sql_type(&self) -> Type {
                    Type::$many
                }
            }
        )*
    };
}

parameters! {
    i32: INT4, INT4_ARRAY;
    i64: INT8, INT8_ARRAY;
    u32: OID, OID_ARRAY;
    &str: TEXT, TEXT_ARRAY;
    String: TEXT, TEXT_ARRAY;
}

impl<P: Parameter> Parameter for &P
where
    for<'a> &'a P: ToSql,
{
    fn sql_type(&self) -> Type {
        (**self).sql_type()
    }
}

pub(crate) fn typed<'a>(parameters: &[&'a dyn Parameter]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    parameters
        .iter()
        .map(|parameter| (*parameter as &(dyn ToSql + Sync), parameter.sql_type()))
        .collect()
}
