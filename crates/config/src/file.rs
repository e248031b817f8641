//! The config as it is written: YAML's shape, and errors with the place in the file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A config that can't be used, and where in the file.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1.
    pub place: Option<(u64, u64)>,
    /// What is wrong, without the place.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub lake: Option<Spanned<String>>,
    pub output: Option<Spanned<String>>,
    pub exports: Option<OneOrSeveral>,
    pub schema_change: Option<Spanned<String>>,
    pub memory: Option<Spanned<String>>,
    #[serde(default)]
    pub parquet: ParquetFile,
    pub lock_timeout: Option<Spanned<String>>,
    pub stall_timeout: Option<Spanned<String>>,
    #[serde(default)]
    pub sources: Ordered<Spanned<SourceFile>>,
    pub target: Option<Target>,
    #[serde(default)]
    pub queries: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct ParquetFile {
    pub compatibility: Option<Spanned<String>>,
}

/// One source; which keys fit which type is checked once it is read, so that the messages can say so.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    pub r#type: Spanned<String>,
    pub url: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "written")]
    pub tables: Option<Spanned<Tables>>,
    pub arrays: Option<Spanned<String>>,
    #[serde(default)]
    pub files: BTreeMap<String, Spanned<CsvFileEntry>>,
}

#[derive(Clone)]
pub struct NamedSource {
    pub name: String,
    pub source: SourceFile,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub r#type: Spanned<String>,
    pub url: Spanned<String>,
    pub schema: Option<Spanned<String>>,
    pub triggers: Option<Spanned<String>>,
}

/// A pattern, a list of them, or a map from pattern to settings.
#[derive(Clone)]
pub enum Tables {
    One(String),
    List(Vec<Spanned<String>>),
    Map(Ordered<Option<TableEntry>>),
}

// By hand, as are the others: see below.
impl<'de> Deserialize<'de> for Tables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Tables;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pattern, a list of patterns, or a map with a line for each pattern")
            }

            fn visit_str<E: de::Error>(self, pattern: &str) -> Result<Tables, E> {
                Ok(Tables::One(pattern.to_owned()))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Tables, E> {
                Err(E::custom(
                    "`tables:` has no pattern: leave it out to read all tables; a pattern that begins with `!` takes quotes",
                ))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Tables, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Tables::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tables, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Tables::Map)
            }
        }

        deserializer.deserialize_any(Entries)
    }
}

/// What a key has: nothing is not the same as no key.
fn written<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A list, or the one thing that would be in it.
#[derive(Clone, Default)]
pub struct OneOrSeveral(pub Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for OneOrSeveral {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = OneOrSeveral;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<OneOrSeveral, E> {
                let one = Spanned::new(one.to_owned(), Location::UNKNOWN, Location::UNKNOWN);
                Ok(OneOrSeveral(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrSeveral, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(OneOrSeveral)
            }
        }

        deserializer.deserialize_any(Entries)
    }
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct TableEntry {
    #[serde(default)]
    pub columns: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub select: OneOrSeveral,
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    pub name: Option<Spanned<String>>,
}

/// A path, or a path with settings.
#[derive(Clone)]
pub enum CsvFileEntry {
    Path(String),
    Settings(Box<CsvFileSettings>),
}

// By hand, since serde's untagged enums lose the places in the file and which key was wrong.
impl<'de> Deserialize<'de> for CsvFileEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;

        impl<'de> Visitor<'de> for Entry {
            type Value = CsvFileEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a map with `path:`")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<CsvFileEntry, E> {
                Ok(CsvFileEntry::Path(path.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CsvFileEntry, A::Error> {
                let settings = CsvFileSettings::deserialize(MapAccessDeserializer::new(WithNull(map)))?;
                Ok(CsvFileEntry::Settings(Box::new(settings)))
            }
        }

        deserializer.deserialize_any(Entry)
    }
}

/// A map in which the key `null` is that word: unquoted, as everybody writes it, YAML takes it for the absence of one.
struct WithNull<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithNull<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        struct Key<K>(K);

        impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Key<K> {
            type Value = K::Value;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K::Value, D::Error> {
                let key = Option::<String>::deserialize(deserializer)?;
                self.0.deserialize(key.as_deref().unwrap_or("null").into_deserializer())
            }
        }

        self.0.next_key_seed(Key(seed))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct CsvFileSettings {
    pub path: Spanned<String>,
    pub delimiter: Option<Spanned<String>>,
    pub quote: Option<Spanned<String>>,
    pub escape: Option<Spanned<String>>,
    pub comment: Option<Spanned<String>>,
    #[serde(default)]
    pub skip_rows: u64,
    #[serde(default)]
    pub skip_footer: u64,
    pub header: Option<bool>,
    #[serde(default)]
    pub null: Vec<String>,
    pub encoding: Option<Spanned<String>>,
    #[serde(default)]
    pub columns: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    pub on_bad_row: Option<Spanned<String>>,
}

/// A map that keeps the order of the file.
#[derive(Clone)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }

        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}
