//! What a test measured, kept as a small file that a script puts into a table.

use std::fmt::Display;
use std::fs;

use super::toy;

/// Records what the row `number` of a suite showed, in one sentence of figures; the seconds its test took so far go on a second line.
pub(crate) fn record(suite: &str, number: u32, measured: impl Display) {
    let folder = toy::shared().join(suite);
    fs::create_dir_all(&folder).unwrap();
    let test = std::thread::current().name().unwrap_or("unnamed").replace("::", "-");
    let took = took().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"));
    fs::write(folder.join(format!("{number:02}-{test}.txt")), format!("{measured}\n{took}\n")).unwrap();
}

/// How long this thread, which runs one test, has lived; `None` where there is no /proc.
fn took() -> Option<f64> {
    let stat = fs::read_to_string("/proc/thread-self/stat").ok()?;
    let began: f64 = stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()?;
    let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    Some(uptime - began / ticks as f64)
}
