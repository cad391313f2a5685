//! The table of comparisons in `benches/README.md`, one process for each figure.
//!
//! ```console
//! $ cargo bench -p parefeu-equivalence --bench table                  # all of it
//! $ cargo bench -p parefeu-equivalence --bench table -- perimeter/ --runs 3
//! ```
//! Words select rows whose name (`perimeter-ipv4-translated/10000/edited-100`) holds one of them.
//! Times are of the processor, as Linux counts them for a process, medians of the runs; memory is
//! the most a process ever had, the rule bases compared included. A run has two minutes.

#![expect(clippy::print_stdout, reason = "the table is the result")]
#![expect(clippy::expect_used, reason = "a figure that cannot be taken stops the bench")]

mod lists;

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use lists::{Base, Done, sizes};
use parefeu_equivalence::{SolveLimits, regions, solve};

/// A run that takes longer is given up, and the table says so.
const MOST_TIME: Duration = Duration::from_secs(120);

/// What is measured of one comparison, in this order.
const FIGURES: [&str; 8] =
    ["flatten s", "solve ms", "regions ms", "products", "open", "regions", "solve MB", "all MB"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|it| it == "--row") {
        let row = arguments.get(at + 1).expect("a row");
        println!("{}", measure(row).map_or_else(String::new, |figures| figures.join(" ")));
        return;
    }
    let runs = arguments.iter().position(|it| it == "--runs");
    let count = runs.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(1);
    let words = (0..)
        .zip(&arguments)
        .filter(|(at, it)| !it.starts_with("--") && runs.is_none_or(|runs| runs + 1 != *at));
    let words: Vec<&String> = words.map(|(_, word)| word).collect();
    println!("| rows | {} | spread |", FIGURES.join(" | "));
    println!("|---|{}--:|", "--:|".repeat(FIGURES.len()));
    for row in rows().map(|(row, ..)| row) {
        if words.is_empty() || words.iter().any(|word| row.contains(word.as_str())) {
            println!("| {row} | {} |", cells(&row, count));
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
fn cells(row: &str, count: usize) -> String {
    let runs: Vec<Option<Vec<f64>>> = (0..count.max(1)).map(|_| run(row)).collect();
    let Some(runs) = runs.into_iter().collect::<Option<Vec<_>>>() else {
        return "not within two minutes".to_owned();
    };
    let sorted = |at: usize| {
        let mut values: Vec<f64> = runs.iter().filter_map(|run| run.get(at).copied()).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let median = |at: usize| {
        let values = sorted(at);
        values.get(values.len() / 2).map_or_else(|| "–".to_owned(), |value| value.to_string())
    };
    let medians: Vec<String> = (0..FIGURES.len()).map(median).collect();
    let solve = sorted(1);
    let spread = solve.first().zip(solve.last());
    let spread = spread.map_or_else(String::new, |(least, most)| format!("{least}–{most}"));
    format!("{} | {spread}", medians.join(" | "))
}

/// The figures of a row, measured by a process of its own; nothing if it takes too long.
fn run(row: &str) -> Option<Vec<f64>> {
    let own = std::env::current_exe().expect("a path of its own");
    let mut command = Command::new(own);
    command.args(["--bench", "--row", row]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    let mut output = child.stdout.take().expect("a pipe");
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text).map(|_| text);
        // Nobody waits any more when the time is over.
        let _ = send.send(read);
    });
    let answer = receive.recv_timeout(MOST_TIME);
    if answer.is_err() {
        child.kill().expect("a process that can be ended");
    }
    child.wait().expect("a process that ends");
    reader.join().expect("a pipe that is read");
    let text = answer.ok()?.expect("text");
    Some(text.split_whitespace().filter_map(|figure| figure.parse().ok()).collect())
}

/// Compares once; nothing without the data.
fn measure(row: &str) -> Option<Vec<String>> {
    let (_, base, done) = rows().find(|it| it.0 == row).expect("a row of the table");
    let old = base.firewall()?;
    let new = done.to(&old);
    let (problem, flatten) = timed(|| base.problem(&old, &new));
    let (solution, solve) = timed(|| solve(&problem, &SolveLimits::default()));
    let solve_memory = memory();
    let (regions, told) = timed(|| regions(&problem, &solution.differences));
    let seconds = |nanoseconds: u64| format!("{:.2}", nanoseconds as f64 / 1e9);
    let milliseconds = |nanoseconds: u64| format!("{:.0}", nanoseconds as f64 / 1e6);
    Some(vec![
        seconds(flatten),
        milliseconds(solve),
        milliseconds(told),
        solution.differences.len().to_string(),
        solution.open.len().to_string(),
        regions.len().to_string(),
        solve_memory.to_string(),
        memory().to_string(),
    ])
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
