//! The catalogue: for each type its edges, and how to make more values of it.

mod built_in;
mod extension;
mod user;

use lake_postgres::{quote_identifier, quote_literal};
use rand::rngs::StdRng;

pub(crate) use self::built_in::{built_in, unreadable};
pub(crate) use self::extension::extensions;
pub(crate) use self::user::{USER_TABLES, USER_TYPES, user_types};

/// Values of each type beside its edges.
const GENERATED: usize = 24;

/// A type and values of it.
///
/// A value is what the type's input function reads or, after `=`, an SQL expression.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// As SQL writes it, and `format_type` prints it.
    pub(crate) type_name: &'static str,
    pub(crate) edges: Vec<String>,
    pub(crate) generate: fn(&mut StdRng) -> String,
    /// Whether an array of it is a list in the lake, which has one dimension.
    pub(crate) is_list: bool,
}

impl Case {
    /// Of a type that travels in its own binary form, and its arrays as lists.
    fn native(type_name: &'static str, edges: &[&str], generate: fn(&mut StdRng) -> String) -> Self {
        Self {
            is_list: true,
            ..Self::text(type_name, edges, generate)
        }
    }

    /// Of a type that travels as text.
    fn text(type_name: &'static str, edges: &[&str], generate: fn(&mut StdRng) -> String) -> Self {
        Self {
            type_name,
            edges: edges.iter().map(ToString::to_string).collect(),
            generate,
            is_list: false,
        }
    }

    /// The table of its values.
    pub(crate) fn table(&self) -> String {
        let name: String = self
            .type_name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        format!("t_{name}")
    }

    /// The type's domain.
    fn domain(&self) -> String {
        format!("public.{}", quote_identifier(&format!("d_{}", self.table())))
    }

    /// The domain that the table's columns use.
    pub(crate) fn create_domain(&self) -> String {
        format!("create domain {} as {};\n", self.domain(), self.type_name)
    }

    /// A table of the values, alone (`v`), of a domain over the type (`d`), in arrays of both (`a`,
    /// `da`), and where arrays travel as text in arrays of two dimensions and other lower bounds (`m`).
    pub(crate) fn create_table(&self, random: &mut StdRng) -> String {
        let Self { type_name, .. } = self;
        let domain = self.domain();
        let table = quote_identifier(&self.table());
        let values: Vec<String> = (self.edges.iter().cloned())
            .chain((0..GENERATED).map(|_| (self.generate)(random)))
            .enumerate()
            .map(|(i, value)| format!("({}, {})", i + 1, expression(&value, type_name)))
            .collect();
        let (shaped, shape) = if self.is_list {
            (String::new(), String::new())
        } else {
            (
                format!(", m {type_name}[]"),
                format!(
                    ", case id % 4 when 0 then array[array[v, null], array[w, v]]::{type_name}[]
                                   when 1 then ('[-1:1]=' || array[v, w, null]::{type_name}[]::text)::{type_name}[]
                                   when 2 then ('[2:2][0:1]=' || array[array[w, v]]::{type_name}[]::text)::{type_name}[]
                       end"
                ),
            )
        };
        format!(
            "create table public.{table} (id int primary key, v {type_name}, d {domain}, a {type_name}[], da {domain}[]{shaped});
             with r(id, v) as (values {}), n as (select id, v, lead(v) over (order by id) as w from r)
             insert into public.{table} select id, v, v::{domain}, a, a::{domain}[]{shape}
             from n, lateral (select case id % 5 when 0 then null when 1 then '{{}}'::{type_name}[]
                 when 2 then array[v, null, w]::{type_name}[] when 3 then array[v]::{type_name}[]
                 else array[w, v, w]::{type_name}[] end) as x(a);
             insert into public.{table} (id) values (0);\n",
            values.join(",\n")
        )
    }
}

/// A value as SQL writes it.
pub(crate) fn expression(value: &str, type_name: &str) -> String {
    match value.strip_prefix('=') {
        Some(expression) => format!("({expression})::{type_name}"),
        None => format!("{}::{type_name}", quote_literal(value)),
    }
}
