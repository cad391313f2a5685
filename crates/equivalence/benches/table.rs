//! The table of comparisons in `benches/README.md`, one process for each figure.
//!
//! ```console
//! $ cargo bench -p parefeu-equivalence --bench table                  # all of it
//! $ cargo bench -p parefeu-equivalence --bench table -- perimeter/ --runs 3
//! ```
//! Words select rows whose name (`perimeter-ipv4-translated/10000/edited-100`) holds one of them.
//! Times are of the processor, as Linux counts them for a process, medians of the runs; memory is
//! the most a process had so far, the rule bases compared included. A process that takes longer
//! than two minutes, or `--seconds`, is ended, and what it had measured is printed.

#![expect(clippy::print_stdout, reason = "the table is the result")]
#![expect(clippy::expect_used, reason = "a figure that cannot be taken stops the bench")]

mod lists;

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use lists::{Base, Done, sizes};
use parefeu_equivalence::{SolveLimits, regions, solve};

/// What is measured of one comparison, in this order.
const FIGURES: [&str; 8] =
    ["flatten s", "solve ms", "MB", "products", "open", "regions ms", "regions", "MB then"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|it| it == name)?;
        arguments.get(at + 1).cloned()
    };
    if let Some(row) = option("--row") {
        measure(&row);
        return;
    }
    let number = |name: &str| option(name).and_then(|it| it.parse::<u64>().ok());
    let (runs, seconds) = (number("--runs").unwrap_or(1), number("--seconds").unwrap_or(120));
    let names = arguments.iter().filter(|it| it.parse::<u64>().is_err() && !it.starts_with("--"));
    let words: Vec<&String> = names.collect();
    println!("| row | {} | solve ms, least and most |", FIGURES.join(" | "));
    println!("|---|{}--:|", "--:|".repeat(FIGURES.len()));
    for row in rows().map(|(row, ..)| row) {
        if words.is_empty() || words.iter().any(|word| row.contains(word.as_str())) {
            let runs: Vec<Vec<f64>> =
                (0..runs.max(1)).map(|_| run(&row, Duration::from_secs(seconds))).collect();
            println!("| {row} | {} |", cells(&runs));
        }
    }
}

fn rows() -> impl Iterator<Item = (String, Base, Done)> {
    let bases = sizes().flat_map(|size| Base::all(size).map(move |base| (size, base)));
    bases.flat_map(|(size, base)| {
        Done::ALL.map(|done| (format!("{}/{size}/{}", base.name(), done.name()), base, done))
    })
}

/// The medians of the figures of some runs, and how far the times of `solve` lie apart.
fn cells(runs: &[Vec<f64>]) -> String {
    let sorted = |at: usize| {
        let mut values: Vec<f64> = runs.iter().filter_map(|run| run.get(at).copied()).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let median = |at: usize| {
        let values = sorted(at);
        let all = values.len() == runs.len();
        values.get(values.len() / 2).filter(|_| all).map_or_else(|| "–".to_owned(), f64::to_string)
    };
    let medians: Vec<String> = (0..FIGURES.len()).map(median).collect();
    let solve = sorted(1);
    let spread = solve.first().zip(solve.last());
    let spread = spread.map_or_else(|| "–".to_owned(), |(least, most)| format!("{least} {most}"));
    format!("{} | {spread}", medians.join(" | "))
}

/// The figures of a row, measured by a process of its own; fewer if it takes too long.
fn run(row: &str, most_time: Duration) -> Vec<f64> {
    let own = std::env::current_exe().expect("a path of its own");
    let mut command = Command::new(own);
    command.args(["--bench", "--row", row]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    let mut output = child.stdout.take().expect("a pipe");
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).expect("text");
        // Nobody waits any more once the time is over.
        let _ = send.send(());
        text
    });
    if receive.recv_timeout(most_time).is_err() {
        child.kill().expect("a process that can be ended");
    }
    child.wait().expect("a process that ends");
    let text = reader.join().expect("a pipe that is read");
    text.split_whitespace().filter_map(|figure| figure.parse().ok()).collect()
}

/// Compares once and prints each figure as soon as it is known; none without the data.
fn measure(row: &str) {
    let (_, base, done) = rows().find(|it| it.0 == row).expect("a row of the table");
    let Some(old) = base.firewall() else { return };
    let new = done.to(&old);
    let (problem, flatten) = timed(|| base.problem(&old, &new));
    println!("{:.2}", flatten as f64 / 1e9);
    let (solution, solve) = timed(|| solve(&problem, &SolveLimits::default()));
    println!("{:.0} {}", solve as f64 / 1e6, memory());
    println!("{} {}", solution.differences.len(), solution.open.len());
    let (regions, told) = timed(|| regions(&problem, &solution.differences));
    println!("{:.0} {} {}", told as f64 / 1e6, regions.len(), memory());
}

/// What the work comes to, and its processor time in nanoseconds.
fn timed<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = processor_time();
    let result = work();
    (result, processor_time() - before)
}

/// The processor time of this process; 0 where the system does not tell.
fn processor_time() -> u64 {
    // The figure is brought up to date when the process gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|figure| figure.parse().ok()).unwrap_or(0)
}

/// The most memory this process ever had, in MB; 0 where the system does not tell.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_000
}
