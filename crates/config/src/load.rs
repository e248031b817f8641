//! From the file as written to the config as checked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use lake_csv::{ColumnType, CsvSettings, Encoding, OnBadRow};
use lake_extractor::{
    Arrays, ColumnAs, CsvSource, PostgresSource, Source, TablePattern, TableSettings, Timeouts, nearest,
};
use serde_saphyr::{Location, Spanned};

use crate::expand::expand;
use crate::file::{
    ConfigError, CsvFileEntry, CsvFileSettings, File, NamedSource, SourceFile, TableEntry, Tables, Target,
};
use crate::{Config, TargetConfig, secrets};

/// The formats of a config that names none.
const DEFAULT_EXPORTS: &[&str] = &["csv", "json"];

const FILE_BYTES_MAX: u64 = 8 << 20;

/// Keys and values of a config.
const NODES_MAX: usize = 100_000;

/// Those of them that aliases may repeat.
const REPEATED_NODES_MAX: usize = 10_000;

/// Names that SQL and the lake's folder use for themselves.
const RESERVED: &[&str] = &["results", "lake", "information_schema"];

struct Reader<'a> {
    path: &'a Path,
}

pub fn read<F: FromStr>(path: &Path) -> Result<Config<F>, ConfigError> {
    let refusal = |message| ConfigError {
        path: path.into(),
        place: None,
        message,
    };
    let mut text = String::new();
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    let read = read.map_err(|error| {
        refusal(match error.kind() {
            std::io::ErrorKind::NotFound => {
                "there is no such file: name the config with --config, or begin with the one in the README".into()
            }
            _ => format!("cannot read it: {error}"),
        })
    })?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(refusal(format!(
            "it is no config: it has more than {FILE_BYTES_MAX} bytes"
        )));
    }
    let config = parse(&text, path)?;
    let urls = config.sources.iter().filter_map(|source| source.source.url.as_ref());
    let urls = urls.chain(config.target.as_ref().map(|target| &target.url));
    // What variables hold is not in the file.
    let written = |url: &Spanned<String>| expand(&url.value, |_| Some(String::new())).unwrap_or_default();
    if urls.map(written).any(|url| lake_postgres::has_password(&url)) {
        secrets::warn_if_readable(path);
    }
    Ok(config)
}

pub fn parse<F: FromStr>(text: &str, path: &Path) -> Result<Config<F>, ConfigError> {
    let reader = Reader { path };
    let file: File = serde_saphyr::from_str_with_options(text, limits()).map_err(|error| reader.yaml(&error))?;
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let lake = match &file.lake {
        Some(lake) => reader.path_of(folder, lake)?,
        None => {
            return Err(reader.at(
                None,
                "`lake:` is missing: the folder that the data goes to, e.g. `lake: ./data/lake`".into(),
            ));
        }
    };
    let output = match &file.output {
        Some(output) => reader.path_of(folder, output)?,
        None => folder.join("output"),
    };
    let named_exports = file.exports.map(|exports| exports.0).unwrap_or_else(|| {
        let unplaced = |name: &&str| Spanned::new((*name).to_owned(), Location::UNKNOWN, Location::UNKNOWN);
        DEFAULT_EXPORTS.iter().map(unplaced).collect()
    });
    let mut exports = Vec::new();
    for format in &named_exports {
        exports.push(format.value.parse().map_err(|_| {
            reader.error(
                format,
                format!(
                    "{:?} is no export format: write csv, json, ndjson or parquet",
                    format.value
                ),
            )
        })?);
    }
    let schema_change = match &file.schema_change {
        Some(text) => text.value.parse().map_err(|message| reader.error(text, message))?,
        None => lake_storage::SchemaChange::default(),
    };
    let compatibility = match &file.parquet.compatibility {
        Some(text) => text.value.parse().map_err(|message| reader.error(text, message))?,
        None => lake_storage::Compatibility::default(),
    };
    let memory = match &file.memory {
        Some(text) => {
            let size = reader.string(text)?.parse();
            Some(size.map_err(|message| reader.error(text, message))?)
        }
        None => None,
    };
    let mut timeouts = Timeouts::default();
    for (text, limit) in [
        (&file.lock_timeout, &mut timeouts.lock),
        (&file.stall_timeout, &mut timeouts.stall),
    ] {
        if let Some(text) = text {
            let parsed = reader.string(text)?.parse();
            *limit = parsed.map_err(|message| reader.error(text, message))?;
        }
    }
    let mut queries = BTreeMap::new();
    for (name, query) in &file.queries {
        queries.insert(name.clone(), reader.path_of(folder, query)?);
    }
    let mut seen = BTreeSet::new();
    let mut sources = Vec::new();
    for (name, source) in file.sources.0 {
        if RESERVED.contains(&name.as_str()) {
            return Err(reader.error(
                &source,
                format!("a source can't be called {name}: the lake uses that name itself"),
            ));
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(reader.error(&source, format!("there are two sources called {name}")));
        }
        reader.check_source(&name, &source)?;
        sources.push(NamedSource {
            name,
            source: source.value,
        });
    }
    if let Some(target) = &file.target {
        if target.r#type.value != "postgres" {
            let message = format!("{:?} is no type of target: write postgres", target.r#type.value);
            return Err(reader.error(&target.r#type, message));
        }
        reader.triggers(target)?;
    }
    let config = Config {
        path: path.into(),
        lake,
        output,
        exports,
        schema_change,
        compatibility,
        memory,
        timeouts,
        queries,
        sources,
        target: file.target,
    };
    Ok(config)
}

pub fn source<F>(config: &Config<F>, name: &str) -> Result<Source, ConfigError> {
    let reader = Reader { path: &config.path };
    let Some(NamedSource { source, .. }) = config.sources.iter().find(|source| source.name == name) else {
        let names = config.sources.iter().map(|source| source.name.as_str());
        return Err(reader.at(None, format!("it has no source {name:?}{}", nearest(name, names))));
    };
    let folder = config
        .path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    Ok(match source.r#type.value.as_str() {
        "csv" => Source::Csv(reader.csv_source(folder, name, source)?),
        _ => Source::Postgres(reader.postgres_source(name, source, config.timeouts)?),
    })
}

pub fn target<F>(config: &Config<F>) -> Result<Option<TargetConfig>, ConfigError> {
    let reader = Reader { path: &config.path };
    let Some(target) = &config.target else { return Ok(None) };
    Ok(Some(TargetConfig {
        url: reader.string(&target.url)?,
        schema: match &target.schema {
            Some(schema) => reader.string(schema)?,
            None => "public".into(),
        },
        triggers: reader.triggers(target)?,
    }))
}

/// A file of ten lines can have aliases of aliases that make millions of nodes.
fn limits() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: NODES_MAX },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPEATED_NODES_MAX },
    }
}

impl Reader<'_> {
    fn at(&self, location: Option<Location>, message: String) -> ConfigError {
        ConfigError {
            path: self.path.into(),
            place: location.map(|l| (l.line(), l.column())).filter(|(line, _)| *line > 0),
            message: in_one_line(&secrets::hidden(&message)),
        }
    }

    fn error<T>(&self, spanned: &Spanned<T>, message: String) -> ConfigError {
        self.at(Some(spanned.referenced), message)
    }

    fn yaml(&self, error: &serde_saphyr::Error) -> ConfigError {
        self.at(error.location(), yaml_message(error))
    }

    fn string(&self, text: &Spanned<String>) -> Result<String, ConfigError> {
        expand(&text.value, |name| std::env::var(name).ok()).map_err(|message| self.error(text, message))
    }

    fn triggers(&self, target: &Target) -> Result<bool, ConfigError> {
        match &target.triggers {
            None => Ok(true),
            Some(text) if text.value == "on" => Ok(true),
            Some(text) if text.value == "off" => Ok(false),
            Some(text) => {
                let message = format!(
                    "{:?} says nothing of the target's triggers: write on or off",
                    text.value
                );
                Err(self.error(text, message))
            }
        }
    }

    fn path_of(&self, folder: &Path, text: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        let value = self.string(text)?;
        if value.contains("://") {
            let message = format!("{value:?} is not a folder of this machine: buckets are not supported yet");
            return Err(self.error(text, message));
        }
        let value = match value.strip_prefix('~') {
            None => value.into(),
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                lake_postgres::expand_home(&value, std::env::home_dir().as_deref())
            }
            Some(_) => {
                let message =
                    format!("{value:?} is another user's folder: write its path out, or `./{value}` for a name");
                return Err(self.error(text, message));
            }
        };
        // Without the `./` of the file, which would show in every message.
        let path = folder.join(value);
        let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
        Ok(if path.as_os_str().is_empty() { ".".into() } else { path })
    }

    /// What can be checked without a variable's value.
    fn check_source(&self, name: &str, source: &Spanned<SourceFile>) -> Result<(), ConfigError> {
        let SourceFile {
            r#type,
            url,
            tables,
            arrays,
            files,
        } = &source.value;
        match r#type.value.as_str() {
            "postgres" => {
                if url.is_none() {
                    return Err(self.error(
                        source,
                        format!("the source {name} has no `url:`, e.g. `url: ${{SOURCE_URL}}`"),
                    ));
                }
                if !files.is_empty() {
                    return Err(self.error(
                        source,
                        format!("the source {name} is of type postgres, which has no `files:`"),
                    ));
                }
                self.arrays(arrays.as_ref())?;
                self.patterns(tables.as_ref()).map(drop)
            }
            "csv" => {
                if url.is_some() || tables.is_some() || arrays.is_some() {
                    return Err(self.error(
                        source,
                        format!("the source {name} is of type csv, which has `files:` alone"),
                    ));
                }
                if files.is_empty() {
                    return Err(self.error(
                        source,
                        format!("the source {name} has no `files:`, e.g. `files: {{orders: ./orders.csv}}`"),
                    ));
                }
                Ok(())
            }
            other => Err(self.error(r#type, format!("{other:?} is no type of source: write postgres or csv"))),
        }
    }

    fn postgres_source(
        &self,
        name: &str,
        source: &SourceFile,
        timeouts: Timeouts,
    ) -> Result<PostgresSource, ConfigError> {
        let Some(url) = &source.url else {
            return Err(self.at(None, format!("the source {name} has no `url:`")));
        };
        let (tables, settings) = self.patterns(source.tables.as_ref())?;
        Ok(PostgresSource {
            name: name.into(),
            url: self.string(url)?,
            timeouts,
            tables,
            settings,
            arrays: self.arrays(source.arrays.as_ref())?,
        })
    }

    fn arrays(&self, text: Option<&Spanned<String>>) -> Result<Arrays, ConfigError> {
        match text.map(|text| (text, text.value.as_str())) {
            None | Some((_, "list")) => Ok(Arrays::List),
            Some((_, "text")) => Ok(Arrays::Text),
            Some((text, other)) => Err(self.error(text, format!("arrays become list or text, not {other:?}"))),
        }
    }

    #[allow(clippy::type_complexity)]
    fn patterns(
        &self,
        tables: Option<&Spanned<Tables>>,
    ) -> Result<(Vec<TablePattern>, Vec<(TablePattern, TableSettings)>), ConfigError> {
        let parse = |text: &str, place: Option<Location>| {
            if text.contains("://") {
                return Err(self.at(
                    place,
                    "`tables` are patterns such as public.*, and this is a URL".into(),
                ));
            }
            text.parse::<TablePattern>()
                .map_err(|error| self.at(place, error.to_string()))
        };
        let whole = tables.map(|tables| tables.referenced);
        let mut patterns = Vec::new();
        let mut settings = Vec::new();
        match tables.map(|tables| &tables.value) {
            None => {}
            Some(Tables::One(text)) => {
                // A comma within quotes is a name's.
                let several: Vec<&str> = text.split('"').step_by(2).collect();
                let pattern = parse(text, whole);
                if several.iter().any(|part| part.contains(',')) && !text.contains("://") {
                    let list = format!("several patterns are a list: `tables: [{}]`", text.trim());
                    return Err(self.at(whole, list));
                }
                patterns.push(pattern?);
            }
            Some(Tables::List(list)) => {
                for text in list {
                    patterns.push(parse(&text.value, Some(text.referenced))?);
                }
            }
            Some(Tables::Map(map)) => {
                for (text, entry) in &map.0 {
                    let pattern = parse(text, None)?;
                    if let Some(entry) = entry {
                        settings.push((pattern.clone(), self.table_settings(&pattern, entry)?));
                    }
                    patterns.push(pattern);
                }
            }
        }
        Ok((patterns, settings))
    }

    fn table_settings(&self, pattern: &TablePattern, entry: &TableEntry) -> Result<TableSettings, ConfigError> {
        let mut settings = TableSettings {
            rename: entry.rename.clone(),
            name: entry.name.as_ref().map(|name| name.value.clone()),
            ..TableSettings::default()
        };
        if let Some(name) = entry.name.as_ref().filter(|_| !pattern.is_exact()) {
            let message = format!("`name` is for one table, and {pattern} can be several");
            return Err(self.error(name, message));
        }
        for (column, text) in &entry.columns {
            let carried_as = match text.value.parse::<ColumnType>() {
                Ok(ColumnType::Text) => ColumnAs::Text,
                Ok(ColumnType::Decimal { precision, scale }) => ColumnAs::Decimal { precision, scale },
                _ => {
                    let message = format!("a column can be carried as text or decimal(p,s), not {:?}", text.value);
                    return Err(self.error(text, message));
                }
            };
            settings.columns.insert(column.clone(), carried_as);
        }
        for text in &entry.select.0 {
            match text.value.strip_prefix('-') {
                Some(column) => settings.exclude.push(column.trim().into()),
                None => {
                    let message = format!(
                        "`select` leaves columns out, each written with a minus: `-{}`",
                        text.value
                    );
                    return Err(self.error(text, message));
                }
            }
        }
        Ok(settings)
    }

    fn csv_source(&self, folder: &Path, name: &str, source: &SourceFile) -> Result<CsvSource, ConfigError> {
        let mut files = BTreeMap::new();
        for (table, entry) in &source.files {
            let file = match &entry.value {
                CsvFileEntry::Path(path) => {
                    let path = Spanned::new(path.clone(), entry.referenced, entry.defined);
                    (self.path_of(folder, &path)?, CsvSettings::default())
                }
                CsvFileEntry::Settings(settings) => {
                    (self.path_of(folder, &settings.path)?, self.csv_settings(settings)?)
                }
            };
            files.insert(table.clone(), file);
        }
        Ok(CsvSource {
            name: name.into(),
            files,
        })
    }

    fn csv_settings(&self, file: &CsvFileSettings) -> Result<CsvSettings, ConfigError> {
        let mut settings = CsvSettings {
            null: file.null.clone(),
            header: file.header,
            skip_rows: file.skip_rows,
            skip_footer: file.skip_footer,
            rename: file.rename.clone(),
            ..CsvSettings::default()
        };
        if let Some(delimiter) = &file.delimiter {
            settings.delimiter = Some(self.byte(delimiter)?);
        }
        if let Some(quote) = &file.quote {
            settings.quote = self.byte(quote)?;
        }
        if let Some(escape) = &file.escape {
            // Doubling is what it does anyway.
            settings.escape = Some(self.byte(escape)?).filter(|escape| *escape != settings.quote);
        }
        if let Some(comment) = &file.comment {
            settings.comment = Some(self.byte(comment)?);
        }
        if let Some(encoding) = &file.encoding {
            let known = match encoding.value.to_lowercase().as_str() {
                "utf8" | "utf-8" => Encoding::Utf8,
                "latin1" | "iso-8859-1" => Encoding::Latin1,
                "windows1252" | "windows-1252" => Encoding::Windows1252,
                other => {
                    let message = format!("{other:?} is no encoding: write utf8, latin1 or windows1252");
                    return Err(self.error(encoding, message));
                }
            };
            settings.encoding = Some(known);
        }
        if let Some(on_bad_row) = &file.on_bad_row {
            settings.on_bad_row = match on_bad_row.value.as_str() {
                "refuse" => OnBadRow::Refuse,
                "quarantine" => OnBadRow::Quarantine,
                other => {
                    let message = format!("{other:?} is nothing to do on a bad row: write refuse or quarantine");
                    return Err(self.error(on_bad_row, message));
                }
            };
        }
        for (column, text) in &file.columns {
            let column_type = text
                .value
                .parse()
                .map_err(|error| self.error(text, format!("{error}")))?;
            settings.columns.insert(column.clone(), column_type);
        }
        Ok(settings)
    }

    fn byte(&self, text: &Spanned<String>) -> Result<u8, ConfigError> {
        match text.value.as_bytes() {
            b"\\t" => Ok(b'\t'),
            [byte] if byte.is_ascii() => Ok(*byte),
            _ => Err(self.error(text, format!("{:?} is not one ASCII character", text.value))),
        }
    }
}

/// What a message quotes of the file may hold line ends, and what a terminal takes for a command.
fn in_one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// What a YAML error says to who writes a config.
fn yaml_message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;

    match error.without_snippet() {
        Error::AliasError { error, .. } => yaml_message(error),
        Error::SerdeUnknownField { field, expected, .. } => {
            let near = nearest(field, expected.iter().copied());
            if near.is_empty() {
                format!("there is no key `{field}` here: it can be {}", expected.join(", "))
            } else {
                format!("there is no key `{field}` here{near}")
            }
        }
        Error::UnknownAnchor { .. } => {
            "in YAML a `*` begins the name of an anchor: a pattern that begins with one takes quotes, \"*.*\"".into()
        }
        Error::NullIntoString { .. } => {
            "YAML reads nothing here: the word null takes quotes, and so does what begins with `!`, e.g. \"!public.t\""
                .into()
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` is there twice"),
        Error::MultipleDocuments { .. } => "a second YAML document begins: a config is one".into(),
        Error::Budget { .. } => "it is larger, or nested deeper, than a config can be".into(),
        Error::AliasReplayLimitExceeded { .. } => format!("its aliases repeat more than {REPEATED_NODES_MAX} values"),
        other => {
            // The text ends with the place, which the message begins with.
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            text.split(" at line ").next().unwrap_or(text).to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use lake_extractor::TimeLimit;
    use lake_storage::{Compatibility, MemorySize};

    use super::*;

    /// Knows one format, as the command line knows several.
    #[derive(Debug, PartialEq)]
    struct Csv;

    impl FromStr for Csv {
        type Err = ();

        fn from_str(text: &str) -> Result<Self, ()> {
            if text == "csv" { Ok(Self) } else { Err(()) }
        }
    }

    fn parsed<F: FromStr>(text: &str) -> Result<Config<F>, String> {
        parse(text, Path::new("etc/lake.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn formats_are_read_by_who_writes_them() {
        let config = parsed::<Csv>("lake: ./data\nexports: [csv]\n").expect("a config");
        assert_eq!(config.exports, [Csv]);
        assert_eq!(parsed::<Csv>("lake: x\nexports: csv").expect("a config").exports, [Csv]);
        assert_eq!(
            (config.lake, config.output),
            ("etc/data".into(), Path::new("etc/output").to_owned())
        );
        let error = parsed::<Csv>("lake: data\nexports:\n- csv\n- xls\n").err();
        let wanted = "etc/lake.yaml:4:3: \"xls\" is no export format: write csv, json, ndjson or parquet";
        assert_eq!(error.as_deref(), Some(wanted));
        assert_eq!(
            parsed::<String>("lake: data").expect("a config").exports,
            ["csv", "json"]
        );
    }

    #[test]
    fn triggers_are_on_or_off() {
        let target = |triggers: &str| {
            parsed::<String>(&format!("lake: x\ntarget: {{type: postgres, url: x{triggers}}}"))
                .map(|config| config.target().ok().flatten().map(|target| target.triggers))
        };
        assert_eq!(target(""), Ok(Some(true)));
        assert_eq!(target(", triggers: on"), Ok(Some(true)));
        assert_eq!(target(", triggers: off"), Ok(Some(false)));
        let error = target(", triggers: never").expect_err("a refusal");
        assert_eq!(
            error,
            "etc/lake.yaml:2:44: \"never\" says nothing of the target's triggers: write on or off"
        );
    }

    #[test]
    fn memory_is_a_number_and_a_unit() {
        let config = parsed::<String>("lake: x\nmemory: 1.5GiB").expect("a config");
        assert_eq!(config.memory.map(MemorySize::bytes), Some(3 << 29));
        assert_eq!(parsed::<String>("lake: x").expect("a config").memory, None);
        for (memory, wanted) in [
            (
                "lots",
                "\"lots\" is no size of memory: write a number and a unit, e.g. 256MB or 1GiB",
            ),
            (
                "256",
                "\"256\" is no size of memory: write a number and a unit, e.g. 256MB or 1GiB",
            ),
            ("16MB", "16MB of memory is too little: the least is 128MB"),
        ] {
            let error = parsed::<String>(&format!("lake: x\nmemory: {memory}")).err();
            assert_eq!(error, Some(format!("etc/lake.yaml:2:9: {wanted}")));
        }
    }

    #[test]
    fn parquet_is_for_new_readers_or_for_all() {
        let compatibility = |text: &str| parsed::<String>(&format!("lake: x{text}")).map(|config| config.compatibility);
        assert_eq!(compatibility(""), Ok(Compatibility::New));
        assert_eq!(
            compatibility("\nparquet: {compatibility: wide}"),
            Ok(Compatibility::Wide)
        );
        let wanted = "etc/lake.yaml:2:26: \"old\" is no kind of compatibility: write wide or new";
        assert_eq!(compatibility("\nparquet: {compatibility: old}"), Err(wanted.into()));
    }

    #[test]
    fn a_wait_for_a_lock_has_an_end() {
        let limit = |text: &str| parsed::<String>(&format!("lake: x{text}")).map(|config| config.timeouts.lock);
        assert_eq!(limit(""), Ok(TimeLimit::minutes(5)));
        assert_eq!(limit("\nlock_timeout: 90 min"), Ok(TimeLimit::minutes(90)));
        for never in ["0", "never"] {
            assert_eq!(limit(&format!("\nlock_timeout: {never}")), Ok(TimeLimit::NEVER));
        }
        let wanted = "\"5\" is no time: write a number and a unit, e.g. 30s or 5 min, or never";
        assert_eq!(limit("\nlock_timeout: 5"), Err(format!("etc/lake.yaml:2:15: {wanted}")));
    }

    #[test]
    fn tables_are_one_pattern_or_several() {
        let tables = |tables: &str| {
            let text = format!(
                "lake: x\nexports: [csv]\nsources:\n  s:\n    type: postgres\n    url: u\n    tables: {tables}\n"
            );
            let source = parsed::<Csv>(&text)?.source("s").map_err(|error| error.to_string())?;
            let Source::Postgres(source) = source else {
                panic!("no Postgres source")
            };
            let excluded = source
                .settings
                .iter()
                .flat_map(|(_, settings)| settings.exclude.clone());
            Ok::<_, String>(
                source
                    .tables
                    .iter()
                    .map(ToString::to_string)
                    .chain(excluded)
                    .collect::<Vec<_>>(),
            )
        };
        let one = |text: &str| Ok(vec![text.to_owned()]);
        assert_eq!(tables("public.*"), one("public.*"));
        assert_eq!(tables("'\"a,b\".t'"), one("\"a,b\".t"));
        assert_eq!(tables("[public.*]"), one("public.*"));
        assert_eq!(
            tables("{public.t: {select: -x}}"),
            Ok(vec!["public.t".into(), "x".into()])
        );
        for (text, wanted) in [
            (
                "*.*",
                "7:13: in YAML a `*` begins the name of an anchor: a pattern that begins with one takes quotes, \"*.*\"",
            ),
            (
                "[a.*, *.*]",
                "7:19: in YAML a `*` begins the name of an anchor: a pattern that begins with one takes quotes, \"*.*\"",
            ),
            ("a.*, b.*", "7:13: several patterns are a list: `tables: [a.*, b.*]`"),
            (
                "a.b.c",
                "7:13: the table pattern \"a.b.c\" can't be read: it has more than a schema and a table; names with dots are quoted",
            ),
            (
                "[a.*, !a.old]",
                "7:25: YAML reads nothing here: the word null takes quotes, and so does what begins with `!`, e.g. \"!public.t\"",
            ),
            (
                "!a.old",
                "7:19: `tables:` has no pattern: leave it out to read all tables; a pattern that begins with `!` takes quotes",
            ),
            (
                "5",
                "7:5: invalid type: integer `5`, expected a pattern, a list of patterns, or a map with a line for each pattern",
            ),
        ] {
            assert_eq!(tables(text), Err(format!("etc/lake.yaml:{wanted}")), "{text}");
        }
    }

    #[test]
    fn a_message_has_no_password() {
        for text in [
            "lake: x\ntarget: postgres://u:s3cret@h/d",
            "lake: x\nsources: postgres://u:s3cret@h/d",
            "lake: x\nsources: {s: postgres://u:s3cret@h/d}",
            "lake: x\nsources: {s: {type: postgres, url: [postgres://u:s3cret@h/d]}}",
            "lake: x\nsources: {s: {type: \"postgres://u:s3cret@h/d\"}}",
            "lake: x\nsources: {s: {type: postgres, url: u, tables: \"postgres://u:s3cret@h/d\"}}",
            "lake: s3://u:s3cret@h/d",
            "lake: x\nmemory: postgres://u:s3cret@h/d",
            "lake: x\npostgres://u:s3cret@h/d: x",
            "lake: x\npostgres://u:s3cret@h/d",
            "lake: x\n\"host=h password=s3cret\": x",
            "lake: x\nsources: {s: {type: postgres, url: 'postgres://u:s3cret@h/d}}",
            "lake: x\nsources: {s: {type: postgres, url: postgres://u:s3cret@h/d, url: x}}",
            "lake: x\nsources: {s: {type: postgres, url: ${postgres://u:s3cret@h/d}}}",
            "lake: x\nexports: [postgres://u:s3cret@h/d]",
            "lake: x\nlock_timeout: postgres://u:s3cret@h/d",
        ] {
            let config = parse::<Csv>(text, Path::new("etc/lake.yaml"));
            let error = match config {
                Ok(config) => config.source("s").expect_err("a refusal"),
                Err(error) => error,
            };
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_tilde_is_the_users_folder() {
        let home = std::env::home_dir().expect("a folder");
        let config = parsed::<String>("lake: ~/lake\noutput: \"~\"\nqueries: {q: ~/q.sql}").expect("a config");
        assert_eq!((config.lake, config.output), (home.join("lake"), home.clone()));
        assert_eq!(config.queries["q"], home.join("q.sql"));
        let error = parsed::<String>("lake: ~ann/lake").err().expect("a refusal");
        assert!(error.contains("another user's folder"), "{error}");
    }

    #[test]
    fn null_is_a_setting_of_csv_files() {
        let text = "lake: x\nsources: {s: {type: csv, files: {f: {path: f.csv, null: [\"NULL\", \"-\"]}}}}";
        let config = parsed::<String>(text).expect("a config");
        let Ok(Source::Csv(source)) = config.source("s") else {
            panic!("a source of files")
        };
        assert_eq!(source.files["f"].1.null, ["NULL", "-"]);
        let error = parsed::<String>("lake: x\nsources: {s: {type: csv, files: {f: {path: f.csv, nul: []}}}}").err();
        let wanted = "etc/lake.yaml:2:51: there is no key `nul` here; did you mean null?";
        assert_eq!(error.as_deref(), Some(wanted));
    }

    #[test]
    fn what_yaml_refuses_is_said_in_a_users_words() {
        for (text, wanted) in [
            ("lake: x\nlake: y\n".into(), "2:1: the key `lake` is there twice"),
            (
                "lake: x\n---\nlake: y\n".into(),
                "3:1: a second YAML document begins: a config is one",
            ),
            (
                "lake: x\ntarget: {type: postgres, url: null}".into(),
                "2:31: YAML reads nothing here: the word null takes quotes, and so does what begins with `!`, e.g. \"!public.t\"",
            ),
            (
                format!("lake: x\nexports: [&a csv,{}]", "*a,".repeat(11_000)),
                "2:14: its aliases repeat more than 10000 values",
            ),
            (
                format!("lake: x\nexports: [{}]", "csv,".repeat(100_000)),
                "2:399991: it is larger, or nested deeper, than a config can be",
            ),
        ] {
            let error = parsed::<String>(&text).err();
            assert_eq!(error, Some(format!("etc/lake.yaml:{wanted}")));
        }
    }

    #[test]
    fn a_message_is_a_line_whatever_it_quotes() {
        let error = parsed::<String>("lake: x\n\"so\\nur\\ece\": x\n").err();
        let wanted = "etc/lake.yaml:2:1: there is no key `so\\nur\\u{1b}ce` here; did you mean sources?";
        assert_eq!(error.as_deref(), Some(wanted));
        let error = parsed::<String>("lake: x\nsources: {\"a\\nb\": {type: postgres}}").err();
        let wanted = "etc/lake.yaml:2:19: the source a\\nb has no `url:`, e.g. `url: ${SOURCE_URL}`";
        assert_eq!(error.as_deref(), Some(wanted));
    }
}
