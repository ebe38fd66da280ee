//! Linux: `/proc/PID`.

use std::fs;

use super::Doing;

/// Its main thread's state.
pub(super) fn doing(pid: u32) -> Doing {
    match state(&format!("/proc/{pid}")) {
        Some(b'T' | b't') => Doing::Stopped,
        Some(b'D') => Doing::Waiting(place(&format!("/proc/{pid}"))),
        Some(b'Z' | b'X') | None => Doing::Ended,
        Some(_) => Doing::Living,
    }
}

/// The letter after the name, which may hold anything.
fn state(of: &str) -> Option<u8> {
    let stat = fs::read(format!("{of}/stat")).ok()?;
    stat.get(memchr::memrchr(b')', &stat)? + 2).copied()
}

fn place(of: &str) -> String {
    let place = fs::read_to_string(format!("{of}/wchan")).unwrap_or_default();
    // Kernels that hide it say 0.
    if place == "0" { String::new() } else { place }
}

/// At most 15 bytes.
pub(super) fn name(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

/// Threads that have not ended.
pub(super) fn n_threads(pid: u32) -> usize {
    let ended = |thread: &String| matches!(state(thread), Some(b'Z' | b'X') | None);
    threads(pid).into_iter().filter(|thread| !ended(thread)).count()
}

/// Whether all of its threads wait for a debugger.
pub(super) fn is_held(pid: u32) -> bool {
    let mut living =
        threads(pid).into_iter().filter_map(|thread| state(&thread)).filter(|state| !b"ZX".contains(state));
    living.next() == Some(b't') && living.all(|state| state == b't')
}

/// Where the first of its threads that hears no signal waits.
pub(super) fn waits_in(pid: u32) -> Option<String> {
    threads(pid).into_iter().find(|thread| state(thread) == Some(b'D')).map(|thread| place(&thread))
}

fn threads(pid: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.path().to_str().map(ToOwned::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_a_stopped_one_is_seen() {
        let me = std::process::id();
        assert_eq!(doing(me), Doing::Living);
        assert!(n_threads(me) > 0);
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let wait = |seen: &dyn Fn() -> bool| {
            while !seen() && std::time::Instant::now() < until {
                std::thread::yield_now();
            }
            seen()
        };
        // The kernel shows its name a moment after it has let us go on.
        let named = wait(&|| name(child.id()).as_deref() == Some("sleep"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        let stopped = wait(&|| doing(child.id()) == Doing::Stopped);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(named && stopped);
        assert_eq!(doing(child.id()), Doing::Ended);
        assert_eq!(waits_in(child.id()), None);
    }
}
