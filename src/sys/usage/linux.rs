//! Linux: one `read` of `/proc/PID/stat` for each process.

use std::fs;
use std::io::Read;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use super::Process;

/// Every process that can be read. One that ends meanwhile is left out.
pub(super) fn processes() -> Vec<Process> {
    let (Some(tick), Some(page), Some(uptime)) =
        (constant(SysconfVar::CLK_TCK), constant(SysconfVar::PAGE_SIZE), uptime())
    else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut buffer = Vec::with_capacity(1024);
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            buffer.clear();
            fs::File::open(format!("/proc/{pid}/stat")).ok()?.read_to_end(&mut buffer).ok()?;
            parse(pid, &String::from_utf8_lossy(&buffer), tick, page, uptime)
        })
        .collect()
}

/// Reads the fields behind the last `)`: the name before it may hold anything.
fn parse(pid: u32, stat: &str, tick: u64, page: u64, uptime: Duration) -> Option<Process> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    // fields[0] is field 3 of proc(5).
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = |n: u64| Duration::from_nanos(n.saturating_mul(1_000_000_000 / tick));
    let used = field(14)? + field(15)? + field(16)? + field(17)?;
    // Not zero even within the first tick: zero is a group that is not there.
    let age = uptime.saturating_sub(ticks(field(22)?)).max(Duration::from_millis(1));
    Some(Process {
        pid,
        parent: u32::try_from(field(4)?).ok()?,
        zombie: matches!(fields.first(), Some(&("Z" | "X"))),
        start: field(22)?,
        group: u32::try_from(field(5)?).ok()?,
        session: u32::try_from(field(6)?).ok()?,
        cpu: ticks(used),
        age,
        memory: field(24)?.saturating_mul(page),
    })
}

/// How long it has run.
pub(super) fn age(pid: u32) -> Option<Duration> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let (tick, page) = (constant(SysconfVar::CLK_TCK)?, constant(SysconfVar::PAGE_SIZE)?);
    Some(parse(pid, &String::from_utf8_lossy(&stat), tick, page, uptime()?)?.age)
}

fn constant(which: SysconfVar) -> Option<u64> {
    sysconf(which).ok()?.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0)
}

fn uptime() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 500 1000 3 18446744073709551615";
        let got = parse(7, stat, 100, 4096, Duration::from_secs(15)).unwrap();
        assert_eq!((got.parent, got.group, got.session, got.memory), (1, 7, 7, 3 * 4096));
        assert_eq!((got.cpu, got.age), (Duration::from_secs(1), Duration::from_secs(10)));
        assert_eq!(parse(7, "7 (cut off", 100, 4096, Duration::ZERO), None);
        assert_eq!(parse(7, "7 (x) S 1", 100, 4096, Duration::ZERO), None);
    }
}
