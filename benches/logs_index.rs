//! The log index over ten million lines: `cargo bench --bench logs_index`. `LINES_TOTAL` says how many lines, `LOGS_AT` where they are made.
//!
//! Makes the segments of ten services (100-byte payloads), checks that every line is found, then measures: the first screen, the whole scan, filters, jumps,
//! memory, and windows while 500,000 lines a second are being appended by the writer that shims use.
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use orchestra::logs::index::{Anchor, Direction, Found, Index, Levels, Pattern, Query};
use orchestra::logs::level::Level;
use orchestra::logs::record::{self, SEGMENT, Stream};
use orchestra::logs::stamp;
use orchestra::logs::writer::{Place, Writer};

const SERVICES: usize = 10;
const PAYLOAD: usize = 100;
const RATE: u64 = 500_000;
const FLOOD: Duration = Duration::from_secs(10);
/// So many rows a screen has.
const ROWS: usize = 46;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let lines: u64 = std::env::var("LINES_TOTAL").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    let at = std::env::var_os("LOGS_AT").map_or_else(std::env::temp_dir, PathBuf::from);
    let root = at.join(format!("orchestra-logs-index-{}", std::process::id()));
    fs::create_dir_all(&root)?;
    let result = measure(&root, lines);
    fs::remove_dir_all(&root)?;
    result
}

fn measure(root: &Path, lines: u64) -> Outcome<()> {
    let logs = root.join("dot/logs");
    make(&logs, lines)?;
    let before = memory();
    let begin = Instant::now();
    let (tell, woken) = sync_channel(1);
    let wake = Box::new(move || {
        // One call waits already.
        tell.try_send(()).ok();
    });
    let index = Index::open(&logs, wake)?;
    let bench = Bench { index, woken };
    bench.until(|index| !index.window(Anchor::Bottom, ROWS, 0).rows.is_empty());
    println!("first screen             {:>9.1?}", begin.elapsed());
    bench.until(|index| index.progress().idle && index.window(Anchor::Bottom, 1, 0).exact);
    let took = begin.elapsed();
    let window = bench.index.window(Anchor::Bottom, ROWS, 0);
    if window.n_lines != lines || window.n_wanted() != lines {
        return Err(format!("{} lines instead of {lines}", window.n_lines).into());
    }
    println!("whole scan               {took:>9.1?}  {:.2} M lines/s", lines as f64 / took.as_secs_f64() / 1e6);
    let used = memory().saturating_sub(before) as f64 / 1e6;
    println!("memory                   {used:>7.1} MB  {:.1} MB per million lines", used / (lines as f64 / 1e6));
    bench.filters(lines)?;
    bench.jumps(lines)?;
    bench.flood(root, lines)
}

struct Bench {
    index: Index,
    woken: Receiver<()>,
}

impl Bench {
    fn until(&self, mut holds: impl FnMut(&Index) -> bool) {
        while !holds(&self.index) {
            self.woken.recv_timeout(Duration::from_secs(5)).ok();
        }
    }

    fn filters(&self, lines: u64) -> Outcome<()> {
        let pattern = |text: &str, ignore_case| Pattern::regex(text, ignore_case);
        let query = |pattern: Pattern| Query { include: vec![pattern], ..Query::default() };
        let queries = [
            ("literal", query(pattern("trace=00000a7f", false)?), lines / 65_536),
            ("literal, any case", query(pattern("TRACE=00000A7F", true)?), lines / 65_536),
            ("alternation", query(pattern("declined|refused|level=ERROR", false)?), lines / 100),
            ("expression", query(pattern(r"id=\d+7\b.*trace", false)?), lines / 10),
            ("level", Query { levels: Levels::at_least(Level::Error), ..Query::default() }, lines / 100),
            ("nothing found", query(pattern("no such text", false)?), 0),
            ("all", Query::default(), lines),
        ];
        for (name, query, about) in queries {
            let begin = Instant::now();
            self.index.set_query(query);
            let mut first = None;
            self.until(|index| {
                let window = index.window(Anchor::Bottom, ROWS, 0);
                if !window.rows.is_empty() {
                    first.get_or_insert_with(|| begin.elapsed());
                }
                window.exact
            });
            let n = self.index.window(Anchor::Bottom, ROWS, 0).n_wanted();
            let first = first.map_or("-".to_owned(), |first| format!("{first:.1?}"));
            println!("filter {name:<18} first rows {first:>8}  whole {:>8.1?}  {n} lines", begin.elapsed());
            if n.abs_diff(about) > about / 20 + 30 {
                return Err(format!("{name}: {n} lines instead of about {about}").into());
            }
        }
        Ok(())
    }

    fn jumps(&self, lines: u64) -> Outcome<()> {
        let mut times = Vec::new();
        for n in 0..1000_u64 {
            let number = n.wrapping_mul(2_654_435_761) % lines;
            let begin = Instant::now();
            let position = self.index.nth(number).ok_or("no such line")?;
            let window = self.index.window(Anchor::At(position), ROWS / 2, ROWS / 2);
            times.push(begin.elapsed());
            if window.n_before + window.anchor as u64 != number {
                return Err(format!("line {number} is said to be {}", window.n_before).into());
            }
            let text = String::from_utf8_lossy(&window.rows[window.anchor].bytes).into_owned();
            if !text.starts_with(&format!("L{number:010} ")) {
                return Err(format!("line {number} is {text}").into());
            }
        }
        say("jump to any line", times);
        let begin = Instant::now();
        self.index.set_search(Some(Pattern::regex("L0000000005 ", false)?));
        let mut found = Found::Looking;
        self.until(|index| {
            found = index.next_hit(Anchor::Top, Direction::Forward);
            found != Found::Looking
        });
        println!("search, found at the top {:>9.1?}", begin.elapsed());
        self.until(|index| index.hits().complete);
        println!("search, whole pass       {:>9.1?}  {} hit", begin.elapsed(), self.index.hits().n);
        self.index.set_search(None);
        if found == Found::Nothing { Err("not found".into()) } else { Ok(()) }
    }

    /// Windows while the writer appends.
    fn flood(&self, root: &Path, lines: u64) -> Outcome<()> {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted, dot) = (Arc::clone(&stop), Arc::clone(&written), root.join("dot"));
        let flood = std::thread::spawn(move || append(&dot, &stopped, &counted));
        let (begin, cpu) = (Instant::now(), cpu_time());
        let (mut times, mut behind) = (Vec::new(), 0);
        while begin.elapsed() < FLOOD {
            let at = Instant::now();
            let window = self.index.window(Anchor::Bottom, ROWS, 0);
            times.push(at.elapsed());
            behind = behind.max((lines + written.load(Ordering::Relaxed)).saturating_sub(window.n_lines));
            std::thread::sleep(Duration::from_millis(33));
        }
        stop.store(true, Ordering::Relaxed);
        let busy = cpu_time().saturating_sub(cpu);
        let writer = flood.join().map_err(|_| "the writer panicked")??;
        let took = begin.elapsed();
        let total = lines + written.load(Ordering::Relaxed);
        self.until(|index| index.window(Anchor::Bottom, 0, 0).n_lines >= total);
        let caught_up = begin.elapsed() - took;
        say("window under flood", times);
        let rate = (total - lines) as f64 / took.as_secs_f64();
        let ours = busy.saturating_sub(writer).as_secs_f64() / took.as_secs_f64() * 100.0;
        println!(
            "flood {rate:.0} lines/s: {ours:.0} % of a core without the writer, at most {behind} lines behind, caught up in {caught_up:.1?}"
        );
        let n = self.index.window(Anchor::Bottom, 0, 0).n_lines;
        if n == total { Ok(()) } else { Err(format!("{n} lines instead of {total}").into()) }
    }
}

fn say(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("{what:<24} p50 {:.2?}  p99 {:.2?}  max {:.2?}", at(0.5), at(0.99), at(1.0));
}

/// Appends at the rate; says how much processor time that took.
fn append(dot: &Path, stop: &AtomicBool, written: &AtomicU64) -> std::io::Result<Duration> {
    let place = Place { dot: dot.to_owned(), folder: PathBuf::from("logs/flood/1"), keep: u64::MAX, run: 1 };
    let mut writer = Writer::open(place)?;
    let (begin, cpu) = (Instant::now(), thread_time());
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = (begin.elapsed().as_secs_f64() * RATE as f64) as u64;
        writer.tick();
        while n < due {
            let text = format!(
                "L{n:010} time=2026-01-02T03:04:05Z level=INFO msg=\"request served\" method=GET path=/v1/orders status=200"
            );
            writer.append(Stream::Stdout, true, text.as_bytes());
            n += 1;
            if n % 300 == 0 {
                writer.flush();
            }
        }
        writer.flush();
        written.store(n, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(thread_time().saturating_sub(cpu))
}

/// Writes segments as shims would, line after line by another service in runs.
fn make(logs: &Path, lines: u64) -> Outcome<()> {
    let mut folders = Vec::new();
    for service in 0..SERVICES {
        let dir = logs.join(format!("service-{service}")).join("1");
        fs::create_dir_all(&dir)?;
        folders.push(Folder { dir, number: 0, size: SEGMENT, out: None });
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros() as i64;
    let mut at = now - lines as i64 * 3 - 60_000_000;
    let (mut service, mut left) = (0, 0);
    for n in 0..lines {
        if left == 0 {
            service = (service + 1) % SERVICES;
            left = 1 + n.wrapping_mul(2_654_435_761) % 50;
        }
        left -= 1;
        at += 3;
        let level = if n % 100 == 7 { "ERROR" } else { "INFO" };
        let trace = n.wrapping_mul(2_654_435_761) & 0xffff;
        let mut payload =
            format!("L{n:010} time=2026-01-02T03:04:05Z level={level} msg=\"served\" id={n} trace={trace:08x} ");
        payload.extend(std::iter::repeat_n('x', PAYLOAD.saturating_sub(payload.len())));
        folders[service].line(at, payload.as_bytes())?;
    }
    for mut folder in folders {
        folder.out.iter_mut().try_for_each(Write::flush)?;
    }
    Ok(())
}

struct Folder {
    dir: PathBuf,
    number: u64,
    size: u64,
    out: Option<BufWriter<File>>,
}

impl Folder {
    fn line(&mut self, at: i64, payload: &[u8]) -> Outcome<()> {
        if self.size >= SEGMENT {
            self.number += 1;
            let old = self.out.replace(BufWriter::new(File::create(self.dir.join(record::segment_name(self.number)))?));
            old.into_iter().try_for_each(|mut old| old.flush())?;
            self.size = 0;
            self.record(at, Stream::Mark, b"run=1 mono=1")?;
        }
        self.record(at, Stream::Stdout, payload)
    }

    fn record(&mut self, at: i64, stream: Stream, payload: &[u8]) -> Outcome<()> {
        let out = self.out.as_mut().ok_or("no segment")?;
        out.write_all(&record::header(&stamp::text(at), stream, true))?;
        out.write_all(payload)?;
        out.write_all(b"\n")?;
        self.size += (record::HEADER + payload.len() + 1) as u64;
        Ok(())
    }
}

/// Bytes of this process in memory; 0 where the system does not tell.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn cpu_time() -> Duration {
    clock(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn thread_time() -> Duration {
    clock(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn clock(id: nix::time::ClockId) -> Duration {
    nix::time::clock_gettime(id).map(Duration::from).unwrap_or_default()
}
