//! The log index over ten million lines: `cargo bench --bench logs_index [-- --write]`. `LINES_TOTAL` says how many lines, `LOGS_AT` where they are made.
//!
//! Makes the segments of ten services (100-byte payloads), checks that every line is found, then measures: the first screen and all lines, with and without the
//! files in the kernel's cache, memory, filters, jumps, and windows while 500,000 lines a second are being appended by the writer that shims use; then the same
//! lines of 500 services. With `--write` the table replaces that of the last run in benches/RESULTS.md.
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]

mod segments;

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use orchestra::logs::index::{Anchor, Direction, Found, Index, Levels, Pattern, Query};
use orchestra::logs::level::Level;
use orchestra::logs::record::Stream;
use orchestra::logs::stamp;
use orchestra::logs::writer::{Place, Writer};
use segments::{APART, Lines, Outcome};

const SERVICES: usize = 10;
/// So many a large fleet has.
const MANY: usize = 500;
const PAYLOAD: usize = 100;
const RATE: u64 = 500_000;
const FLOOD: Duration = Duration::from_secs(10);
/// So many rows a screen has.
const ROWS: usize = 46;

fn main() -> Outcome<()> {
    let lines: u64 = std::env::var("LINES_TOTAL").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    let at = std::env::var_os("LOGS_AT").map_or_else(std::env::temp_dir, PathBuf::from);
    let root = at.join(format!("orchestra-logs-index-{}", std::process::id()));
    fs::create_dir_all(&root)?;
    let table = Table::default();
    table.say(&format!("{lines} lines of {PAYLOAD} bytes; `cargo bench --bench logs_index`, {}.\n", date()?));
    table.say("| what | figure | correctness |\n|---|---|---|");
    let result = measure(&root, lines, &table);
    fs::remove_dir_all(&root)?;
    result?;
    if std::env::args().any(|argument| argument == "--write") { table.write() } else { Ok(()) }
}

/// What is said, line by line: for benches/RESULTS.md.
#[derive(Default)]
struct Table(RefCell<String>);

impl Table {
    fn say(&self, line: &str) {
        println!("{line}");
        let mut all = self.0.borrow_mut();
        all.push_str(line);
        all.push('\n');
    }

    fn row(&self, what: &str, figure: &str, correctness: &str) {
        self.say(&format!("| {what} | {figure} | {correctness} |"));
    }

    /// In the place of what the last run said.
    fn write(&self) -> Outcome<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md");
        let text = fs::read_to_string(&path)?;
        let [begin, end] = ["begin", "end"].map(|word| format!("<!-- logs_index.rs: {word} -->\n"));
        let (before, rest) = text.split_once(&begin).ok_or("no place for it in RESULTS.md")?;
        let (_, after) = rest.split_once(&end).ok_or("no place for it in RESULTS.md")?;
        Ok(fs::write(&path, format!("{before}{begin}{}{end}{after}", self.0.borrow()))?)
    }
}

fn date() -> Outcome<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros() as i64;
    Ok(String::from_utf8_lossy(&stamp::text(now)[..10]).into_owned())
}

fn measure(root: &Path, lines: u64, table: &Table) -> Outcome<()> {
    let logs = root.join("dot/logs");
    make(&logs, SERVICES, lines)?;
    if forget(&logs).is_ok() {
        // Dropped at once: what it keeps is not to count below.
        Bench::open(&logs, lines, "10 services, not in the kernel's cache", table)?;
    }
    let bench = Bench::open(&logs, lines, "10 services", table)?;
    bench.filters(lines)?;
    bench.jumps(lines)?;
    bench.flood(root, lines)?;
    drop(bench);
    fs::remove_dir_all(root.join("dot"))?;
    make(&logs, MANY, lines)?;
    let bench = Bench::open(&logs, lines, "500 services", table)?;
    bench.jumps(lines)
}

struct Bench<'a> {
    index: Index,
    woken: Receiver<()>,
    table: &'a Table,
}

impl<'a> Bench<'a> {
    /// Opens the logs and waits until every line is known.
    fn open(logs: &Path, lines: u64, what: &str, table: &'a Table) -> Outcome<Bench<'a>> {
        let before = memory();
        let begin = Instant::now();
        let (tell, woken) = sync_channel(1);
        let wake = Box::new(move || {
            // One call waits already.
            tell.try_send(()).ok();
        });
        let index = Index::open(logs, wake)?;
        let bench = Bench { index, woken, table };
        bench.until(|index| !index.window(Anchor::Bottom, ROWS, 0).rows.is_empty());
        let first = begin.elapsed();
        bench.until(|index| index.progress().idle && index.window(Anchor::Bottom, 1, 0).exact);
        let took = begin.elapsed();
        let window = bench.index.window(Anchor::Bottom, ROWS, 0);
        if window.n_lines != lines || window.n_wanted() != lines {
            return Err(format!("{} lines instead of {lines}", window.n_lines).into());
        }
        let rate = lines as f64 / took.as_secs_f64() / 1e6;
        let used = memory().saturating_sub(before) as f64 / lines as f64;
        let figure = format!(
            "first screen {first:.1?}, all lines {took:.1?} ({rate:.2} M lines/s), {used:.1} MB a million lines"
        );
        table.row(what, &figure, &format!("{lines} lines found"));
        Ok(bench)
    }

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
            let figure = format!("first rows {first}, all {:.1?}", begin.elapsed());
            self.table.row(&format!("filter: {name}"), &figure, &format!("{n} lines"));
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
        self.say("jump to any line", times, "1000 jumps, each to its line");
        let begin = Instant::now();
        self.index.set_search(Some(Pattern::regex("L0000000005 ", false)?));
        let mut found = Found::Looking;
        self.until(|index| {
            found = index.next_hit(Anchor::Top, Direction::Forward);
            found != Found::Looking
        });
        let first = begin.elapsed();
        self.until(|index| index.hits().complete);
        let figure = format!("found {first:.1?}, all {:.1?}", begin.elapsed());
        self.table.row("search for a text of the sixth line", &figure, &format!("{} hit", self.index.hits().n));
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
        let rate = (total - lines) as f64 / took.as_secs_f64();
        let ours = busy.saturating_sub(writer).as_secs_f64() / took.as_secs_f64() * 100.0;
        let what = format!("window while {rate:.0} lines/s are appended");
        let more = format!("at most {behind} lines behind, caught up in {caught_up:.1?}");
        self.say(&what, times, &more);
        self.table.row("processor time meanwhile, without the writer", &format!("{ours:.0} % of a core"), "");
        let n = self.index.window(Anchor::Bottom, 0, 0).n_lines;
        if n == total { Ok(()) } else { Err(format!("{n} lines instead of {total}").into()) }
    }

    fn say(&self, what: &str, mut times: Vec<Duration>, correctness: &str) {
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        self.table.row(what, &format!("p50 {:.2?}, p99 {:.2?}, most {:.2?}", at(0.5), at(0.99), at(1.0)), correctness);
    }
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

/// Ten services, or more: in runs of up to 50 lines of each.
fn make(logs: &Path, services: usize, n: u64) -> Outcome<()> {
    let services: Vec<String> = (0..services).map(|service| format!("service-{service}")).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros() as i64;
    let begin = now - n as i64 * APART - 60_000_000;
    Lines { services: &services, n, longest_run: 50, begin }.make(logs, |n, payload| {
        let level = if n % 100 == 7 { "ERROR" } else { "INFO" };
        let trace = n.wrapping_mul(2_654_435_761) & 0xffff;
        write!(payload, "L{n:010} time=2026-01-02T03:04:05Z level={level} msg=\"served\" id={n} trace={trace:08x} ")?;
        payload.resize(PAYLOAD.max(payload.len()), b'x');
        Ok(())
    })
}

/// Takes the files below a folder out of the kernel's cache.
fn forget(folder: &Path) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else {
            let file = File::open(&path)?;
            // What is not on the disk yet cannot be forgotten.
            file.sync_all()?;
            uncache(&file)?;
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn uncache(file: &File) -> Outcome<()> {
    Ok(nix::fcntl::posix_fadvise(file, 0, 0, nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
}

#[cfg(not(target_os = "linux"))]
fn uncache(_: &File) -> Outcome<()> {
    Err("the cache cannot be emptied here".into())
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
