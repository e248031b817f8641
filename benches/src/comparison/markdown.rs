//! A report as the section of RESULTS.md that is generated.

use std::fmt::Write as _;

use super::report::Report;
use super::work::{BarResult, ContenderResult, Limit, WorkResult};
use crate::statistics::{median, median_ratio};

const BEGIN: &str = "<!-- written by `lake-bench peers`, by no hand -->";
const END: &str = "<!-- end of what `lake-bench peers` wrote -->";

/// The report as Markdown.
pub fn section(report: &Report) -> String {
    let mut out = String::from("## Against the floors and the peers\n\n");
    // Writing to a string does not fail.
    let _ = write(report, &mut out);
    out
}

/// A file's text with its generated section replaced, or with one at its end.
pub fn replace(text: &str, section: &str) -> String {
    let (before, after) = match (text.split_once(BEGIN), text.split_once(END)) {
        (Some((before, _)), Some((_, after))) => (before.to_owned(), after.to_owned()),
        _ => (format!("{}\n\n", text.trim_end()), "\n".to_owned()),
    };
    let section = section.trim_end();
    format!("{before}{BEGIN}\n\n{section}\n\n{END}{after}")
        .trim_start()
        .to_owned()
}

/// A count with its thousands apart.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn write(report: &Report, out: &mut String) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(
        out,
        "`cargo run --release -p lake-bench -- peers` ({}), TPC-H's scale factor {}, rounds: {}.\n",
        report.date, report.scale, report.rounds
    )?;
    writeln!(
        out,
        "- {}, {} cores, {:.0} GiB of memory, {}, {}; load average at the start {}",
        machine.processor,
        machine.cores,
        machine.memory_bytes as f64 / f64::from(1 << 30),
        machine.kernel,
        machine.file_system,
        machine.load_average
    )?;
    let settings: Vec<String> = report
        .settings
        .iter()
        .map(|(name, value)| format!("`{name} = {value}`"))
        .collect();
    writeln!(out, "- {}; {}", report.postgres, settings.join(", "))?;
    let versions: Vec<String> = report
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    writeln!(out, "- {}\n", versions.join(", "))?;
    writeln!(
        out,
        "Every program runs alone, in turn, on the same cores as the server; each round begins with another one. Times are\n\
         medians, with the least and the largest; ratios are medians of the ratios within a round. Memory is the largest of\n\
         all rounds; less than {} can't be told. What a program left is checked before it counts: rows and sums.\n",
        megabytes(report.own_peak_rss_bytes as f64)
    )?;
    bars(&report.works, out)?;
    for work in &report.works {
        write!(out, "\n### {}\n\n", work.title)?;
        contenders(work, out)?;
    }
    Ok(())
}

fn bars(works: &[WorkResult], out: &mut String) -> std::fmt::Result {
    writeln!(out, "| work | bar | measured | |")?;
    writeln!(out, "| --- | --- | --- | --- |")?;
    for work in works {
        for bar in &work.bars {
            let name = match bar.bar.limit {
                Limit::PeakBytes(_) => format!("memory of {}", bar.bar.ours),
                _ if bar.bar.ours == "lake" => work.title.clone(),
                _ => format!("{}: {}", work.title, bar.bar.ours),
            };
            writeln!(
                out,
                "| {name} | {} | {} | {} |",
                allowed(bar),
                measured(bar),
                verdict(bar)
            )?;
        }
    }
    Ok(())
}

fn allowed(result: &BarResult) -> String {
    match &result.bar.limit {
        Limit::Times { ratio, of } => {
            let other = result.against.clone().unwrap_or_else(|| of.join(" or "));
            format!("≤ {ratio:.2} × {other}")
        }
        Limit::Seconds(seconds) => format!("≤ {seconds:.1} s"),
        Limit::MillisecondsEach { milliseconds, .. } => format!("≤ {milliseconds:.0} ms a table"),
        Limit::PeakBytes(bytes) => format!("≤ {} MB", bytes / 1_000_000),
    }
}

fn measured(result: &BarResult) -> String {
    let Some(measured) = result.measured else {
        return "—".into();
    };
    match result.bar.limit {
        Limit::Times { .. } => format!("{measured:.2} ×"),
        Limit::Seconds(_) => format!("{measured:.2} s"),
        Limit::MillisecondsEach { .. } => format!("{measured:.1} ms"),
        Limit::PeakBytes(_) => megabytes(measured),
    }
}

fn verdict(result: &BarResult) -> String {
    let Some(measured) = result.measured else {
        return "**not measured**".into();
    };
    let part = measured / result.allowed();
    match part <= 1.0 {
        true => format!("met, {:.0} % below", (1.0 - part) * 100.0),
        false => format!("**missed by {:.0} %**", (part - 1.0) * 100.0),
    }
}

fn contenders(work: &WorkResult, out: &mut String) -> std::fmt::Result {
    // Ratios are of works that others do too.
    let ours = work.contenders.iter().find(|contender| contender.name == "lake");
    let ours = ours.filter(|_| work.bars.iter().any(|bar| matches!(bar.bar.limit, Limit::Times { .. })));
    let rounds_max = work.contenders.iter().map(|contender| contender.rounds.len()).max();
    let (title, rule) = match ours {
        Some(_) => (" lake's time against it |", " --- |"),
        None => ("", ""),
    };
    writeln!(
        out,
        "| | time | least – largest | its processor time | the server's | peak memory |{title}"
    )?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- |{rule}")?;
    for contender in &work.contenders {
        let mut name = contender.name.clone();
        if let Some(note) = &contender.note {
            write!(name, " ({note})")?;
        }
        let rounds = contender.rounds.len();
        if Some(rounds) != rounds_max && rounds > 0 {
            write!(name, ", {rounds} {}", if rounds == 1 { "round" } else { "rounds" })?;
        }
        let ratio = match ours {
            Some(ours) => match median_ratio(&ours.walls(), &contender.walls()) {
                Some(ratio) => format!(" {ratio:.2} |"),
                None => " — |".into(),
            },
            None => String::new(),
        };
        writeln!(out, "| {name} | {} |{ratio}", figures(contender))?;
    }
    let mut failed: Vec<(&str, Vec<&str>)> = Vec::new();
    for contender in &work.contenders {
        let Some(error) = contender.error.as_deref() else {
            continue;
        };
        match failed.iter_mut().find(|(same, _)| *same == error) {
            Some((_, names)) => names.push(&contender.name),
            None => failed.push((error, vec![&contender.name])),
        }
    }
    for (error, names) in failed {
        write!(out, "\nFailed: {}: {}\n", names.join("; "), quoted(error))?;
    }
    Ok(())
}

fn figures(contender: &ContenderResult) -> String {
    let walls = contender.walls();
    let Some(wall) = median(&walls) else {
        return "failed | | | |".into();
    };
    let least = walls.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = walls.iter().copied().fold(0.0, f64::max);
    let of = |value: fn(&super::measure::Measured) -> Option<f64>| {
        let values: Option<Vec<f64>> = contender.rounds.iter().map(value).collect();
        values
            .and_then(|values| median(&values))
            .map_or("—".into(), |seconds| format!("{seconds:.2} s"))
    };
    format!(
        "{wall:.2} s | {least:.2} – {largest:.2} | {} | {} | {}",
        of(|round| Some(round.cpu_s)),
        of(|round| round.server_cpu_s),
        contender
            .peak_rss_bytes()
            .map_or("—".into(), |bytes| megabytes(bytes as f64)),
    )
}

fn megabytes(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}

/// As code that ends no table and no code.
fn quoted(error: &str) -> String {
    format!("`{}`", error.replace('`', "'").replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::work::tests::took;
    use crate::comparison::work::{Bar, Contender, Work, play};

    fn result() -> WorkResult {
        let work = Work {
            id: "w",
            title: "Extract".into(),
            contenders: vec![
                Contender::new("lake", || Ok(took(2.0))).note("synced"),
                Contender::new("DuckDB", || Ok(took(4.0))),
                Contender::new("dlt", || Ok(took(80.0))).rounds_max(1),
                Contender::new("ADBC", || anyhow::bail!("no `driver`\nfound")),
            ],
            bars: vec![
                Bar::times("lake", 0.8, &["DuckDB"]),
                Bar::times("lake", 0.01, &["dlt"]),
                Bar::times("lake", 1.0, &["ADBC"]),
                Bar::new("lake", Limit::PeakBytes(400_000_000)),
            ],
        };
        play(&work, 2)
    }

    #[test]
    fn bars_say_by_how_much() {
        let mut out = String::new();
        bars(&[result()], &mut out).unwrap();
        assert_eq!(
            out,
            "| work | bar | measured | |
| --- | --- | --- | --- |
| Extract | ≤ 0.80 × DuckDB | 0.50 × | met, 38 % below |
| Extract | ≤ 0.01 × dlt | 0.03 × | **missed by 150 %** |
| Extract | ≤ 1.00 × ADBC | — | **not measured** |
| memory of lake | ≤ 400 MB | 100 MB | met, 75 % below |
"
        );
    }

    #[test]
    fn a_failure_has_its_row_and_its_reason() {
        let mut out = String::new();
        contenders(&result(), &mut out).unwrap();
        assert_eq!(
            out,
            "| | time | least – largest | its processor time | the server's | peak memory | lake's time against it |
| --- | --- | --- | --- | --- | --- | --- |
| lake (synced) | 2.00 s | 2.00 – 2.00 | 1.00 s | 1.00 s | 100 MB | 1.00 |
| DuckDB | 4.00 s | 4.00 – 4.00 | 2.00 s | 1.00 s | 100 MB | 0.50 |
| dlt, 1 round | 80.00 s | 80.00 – 80.00 | 40.00 s | 1.00 s | 100 MB | 0.03 |
| ADBC | failed | | | | | — |

Failed: ADBC: `no 'driver' found`
"
        );
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(6_001_215), "6,001,215");
    }

    #[test]
    fn the_section_is_replaced_and_the_rest_stays() {
        let first = replace("# Results\n\nby hand\n", "## One\n");
        assert!(first.starts_with("# Results\n\nby hand\n\n<!--"), "{first}");
        let second = replace(&first, "## Two\n");
        assert_eq!(second, first.replace("One", "Two"));
        let with_more = replace(&format!("{first}\nmore by hand\n"), "## Two\n");
        assert_eq!(with_more, format!("{second}\nmore by hand\n"));
    }
}
