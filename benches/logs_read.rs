//! `logs` of 5 million lines against `cat | cat` of the payload: `cargo bench --bench logs_read`.
//!
//! Makes the segments of four services (120-byte payloads), checks that every line comes out exactly once and in order, then measures in turns.
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]

mod segments;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use orchestra::cli::logs::{ColorWhen, LogsArgs, LogsProject, run};
use orchestra::sys::home::Home;
use segments::{Lines, Outcome};

const SERVICES: [&str; 4] = ["api", "billing", "gateway", "worker"];
const PAYLOAD: usize = 120;
const ROUNDS: usize = 7;
const PRINT: &str = "--print-logs-of";

fn main() -> Outcome<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == PRINT) {
        let root = arguments.get(at + 1).ok_or("no folder")?;
        return Ok(match print(Path::new(root)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => ExitCode::from(error.kind.exit_code()),
        });
    }
    let lines: usize = std::env::var("LINES_TOTAL").ok().and_then(|n| n.parse().ok()).unwrap_or(5_000_000);
    let root = std::env::temp_dir().join(format!("orchestra-logs-read-{}", std::process::id()));
    fs::create_dir_all(&root)?;
    let result = measure(&root, lines);
    fs::remove_dir_all(&root)?;
    result.map(|()| ExitCode::SUCCESS)
}

fn print(root: &Path) -> orchestra::error::Result<()> {
    let home = Home { root: root.to_owned(), dot: root.join(".orchestra"), runtime: root.join("runtime") };
    let (names, instances, scales) = (Vec::new(), Vec::new(), BTreeMap::new());
    run(LogsArgs::default(), &LogsProject { home, names, instances, scales, json: false, color: ColorWhen::Never })
}

fn measure(root: &Path, lines: usize) -> Outcome<()> {
    // `true`: by runs of up to 200 lines, as services write; `false`: another service with every line, the worst case.
    for by_runs in [true, false] {
        make(root, lines, by_runs)?;
        check(root, lines)?;
        let mut ours = Vec::new();
        let mut floor = Vec::new();
        for _ in 0..ROUNDS {
            ours.push(timed("\"$0\" --print-logs-of \"$1\" | cat > /dev/null", root)?);
            floor.push(timed("cat \"$1/payload\" | cat > /dev/null", root)?);
        }
        let (ours, floor) = (median(ours), median(floor));
        let ratio = ours.as_secs_f64() / floor.as_secs_f64();
        let what = if by_runs { "runs of lines " } else { "line by line  " };
        println!("{what} {lines} lines: logs | cat {ours:.0?}, cat | cat {floor:.0?}, ratio {ratio:.2}");
        fs::remove_dir_all(root.join(".orchestra"))?;
    }
    Ok(())
}

/// Writes segments as the shim would, and the bare payload beside them.
fn make(root: &Path, lines: usize, by_runs: bool) -> Outcome<()> {
    let mut bare = BufWriter::new(File::create(root.join("payload"))?);
    let services = SERVICES.map(str::to_owned);
    let longest_run = if by_runs { 200 } else { 1 };
    let lines = Lines { services: &services, n: lines as u64, longest_run, begin: 1_767_323_045_000_000 };
    lines.make(&root.join(".orchestra/logs"), |n, payload| {
        write!(
            payload,
            "L{n:010} time=2026-01-02T03:04:05Z level=INFO msg=\"request served\" method=GET path=/v1/orders"
        )?;
        payload.resize(PAYLOAD, b'x');
        bare.write_all(payload)?;
        bare.write_all(b"\n")
    })?;
    Ok(bare.flush()?)
}

/// Every line once, in order.
fn check(root: &Path, lines: usize) -> Outcome<()> {
    let program = std::env::current_exe()?;
    let mut child = Command::new(program).arg(PRINT).arg(root).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    let mut reader = BufReader::with_capacity(1 << 20, out);
    let (mut line, mut n) = (Vec::new(), 0);
    while reader.read_until(b'\n', &mut line)? > 0 {
        let expected = format!(" | L{n:010} ");
        let bar = line.iter().position(|byte| *byte == b'|').ok_or("no prefix")?;
        if !line[bar - 1..].starts_with(expected.as_bytes()) || line.len() != bar + 2 + PAYLOAD + 1 {
            return Err(format!("line {n} is {:?}", String::from_utf8_lossy(&line)).into());
        }
        line.clear();
        n += 1;
    }
    if !child.wait()?.success() || n != lines {
        return Err(format!("{n} lines instead of {lines}").into());
    }
    Ok(())
}

fn timed(script: &str, root: &Path) -> Outcome<Duration> {
    let begin = Instant::now();
    let status = Command::new("sh").arg("-c").arg(script).arg(std::env::current_exe()?).arg(root).status()?;
    if status.success() { Ok(begin.elapsed()) } else { Err("a measured program failed".into()) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
