//! What a person sees while a command works: messages and progress, all on stderr.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::args::{Global, LogFormat, ProgressMode};
use crate::terminal;

static BARS: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(terminal::draw_target()));

/// Sets up messages for the process.
pub fn init(global: &Global) {
    // The steps' own lines say what the libraries' spans and events say in more detail.
    let level = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (false, 0) => {
            "warn,lake=info,lake_extractor=warn,lake_loader=warn,lake_postgres=warn,lake_query=warn,lake_storage=warn"
        }
        (false, 1) => "warn,lake=debug",
        (false, _) => "debug",
    };
    // What Delta's libraries log as an error they return too: it is told once, at the end of its chain.
    let level = match level {
        "debug" => level.to_owned(),
        level => format!("{level},deltalake_core=off,buoyant_kernel=off"),
    };
    let filter = EnvFilter::try_from_env("LAKE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Stderr);
    match global.log_format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => {
            let ansi = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(ansi).event_format(Plain).init();
        }
    }
}

/// Messages as a person reads them: no time, no module; the level where it matters.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let (label, color) = match *event.metadata().level() {
            Level::ERROR => ("error: ", "\x1b[1;31m"),
            Level::WARN => ("warning: ", "\x1b[1;33m"),
            Level::INFO => ("", ""),
            Level::DEBUG | Level::TRACE => ("debug: ", "\x1b[2m"),
        };
        if writer.has_ansi_escapes() && !label.is_empty() {
            write!(writer, "{color}{label}\x1b[0m")?;
        } else {
            write!(writer, "{label}")?;
        }
        let mut text = String::new();
        context.field_format().format_fields(Writer::new(&mut text), event)?;
        writeln!(writer, "{}", visible(&text))
    }
}

/// Text with its line breaks, but no other character that a terminal would obey: names and values of
/// others are in it.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c != '\n' && lake_storage::is_control(c);
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if is_obeyed(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// stderr, with the progress bars out of the way while a line is written.
struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| terminal::write(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The progress of one step.
pub struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    line_every: Duration,
    lines: Mutex<Lines>,
}

struct Lines {
    rows: u64,
    bytes: u64,
    total_bytes: u64,
    started: Instant,
    told: Instant,
}

/// How often a long step says how far it is, where there are no bars.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    pub fn new(mode: ProgressMode, quiet: bool, label: impl Into<String>) -> Self {
        let label = label.into();
        let terminal = io::stderr().is_terminal();
        let bars = match mode {
            ProgressMode::Auto => terminal && !quiet,
            ProgressMode::Bars => true,
            ProgressMode::Log | ProgressMode::None => false,
        };
        let bar = bars.then(|| {
            let bar = BARS.add(ProgressBar::new(0));
            bar.set_style(style());
            bar.set_message(label.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        let silent = bars || quiet || mode == ProgressMode::None;
        Self {
            bar,
            label,
            line_every: if silent { Duration::MAX } else { LINE_EVERY },
            lines: Mutex::new(Lines {
                rows: 0,
                bytes: 0,
                total_bytes: 0,
                started: now,
                told: now,
            }),
        }
    }

    /// Says how much there is to do: bytes, as far as they are known.
    pub fn planned(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(bytes);
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).total_bytes = bytes;
    }

    /// Adds to what is done.
    pub fn advance(&self, rows: u64, bytes: u64) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.rows += rows;
        lines.bytes += bytes;
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
            bar.set_message(format!("{}, {} rows", self.label, count_text(lines.rows)));
            // An estimate that falls short must not show a bar beyond its end.
            if bar.length().is_some_and(|length| bar.position() > length) {
                bar.set_length(bar.position());
            }
        }
        if lines.told.elapsed() >= self.line_every {
            lines.told = Instant::now();
            let of = match lines.total_bytes {
                0 => String::new(),
                total => format!(" of about {}", bytes_text(total)),
            };
            tracing::info!(
                "{}: {} rows, {}{of} after {}",
                self.label,
                count_text(lines.rows),
                bytes_text(lines.bytes),
                duration_text(lines.started.elapsed()),
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    let template = "{msg} {bar:24} {decimal_bytes:>10} {decimal_bytes_per_sec:>12}  {elapsed:>4}, {eta:>4} left";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `1,234,567`.
pub fn count_text(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 table`, `13 tables`.
pub fn plural(count: u64, noun: &str) -> String {
    let ending = match (count, noun) {
        (1, _) => "",
        (_, "query") => return format!("{} queries", count_text(count)),
        _ => "s",
    };
    format!("{} {noun}{ending}", count_text(count))
}

/// `912 B`, `1.4 MB`: decimal units, as disks and networks have.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if value < 10.0 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

/// `0.42 s`, `1 min 20 s`.
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 60.0 {
        format!("{seconds:.0} s")
    } else {
        format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}

/// A path as it is shortest to type from here.
pub fn path_text(path: &std::path::Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let shown = path.strip_prefix(&here).unwrap_or(path);
    shown.strip_prefix(".").unwrap_or(shown).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_moves_no_cursor() {
        assert_eq!(
            visible("a\u{1b}[2J\u{9b}\nb\tc\u{202e}é"),
            "a\\u{1b}[2J\\u{9b}\nb\\u{9}c\\u{202e}é"
        );
    }

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(count_text(6_001_215), "6,001,215");
        assert_eq!(count_text(12), "12");
        assert_eq!(bytes_text(999), "999 B");
        assert_eq!(bytes_text(1_400_000), "1.4 MB");
        assert_eq!(bytes_text(999_700), "1.0 MB");
        assert_eq!(plural(1, "query"), "1 query");
        assert_eq!(plural(2, "query"), "2 queries");
        assert_eq!(duration_text(Duration::from_secs(80)), "1 min 20 s");
    }
}
