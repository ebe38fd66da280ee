//! Runs one `go`: its output line by line, its whole process group ended when somebody says stop, and nothing of it left when it has gone.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::build::CommandLine;
use crate::sys::child::{self, End};

/// How hard somebody said stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Nobody did.
    #[default]
    No,
    /// As Ctrl-C does it.
    Interrupt,
    /// At once.
    Kill,
}

/// Which of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// A line with its newline, where it has one.
pub type Heard = (From, Vec<u8>);

/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// So long an interrupted `go` may clean up.
const GRACE: Duration = Duration::from_secs(1);
/// So long what is left in the pipes may take once it has ended.
const DRAIN: Duration = Duration::from_secs(1);
/// A line without end is told in pieces.
const PIECE: usize = 64 * 1024;

/// Starts it, tells every line, and returns how it ended. The channel may be slow: `go` waits then.
pub async fn run(line: &CommandLine, mut stop: watch::Receiver<Stop>, heard: mpsc::Sender<Heard>) -> io::Result<End> {
    let Some((program, args)) = line.argv.split_first() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut command = Command::new(program);
    command.args(args).current_dir(&line.dir).env_clear().envs(line.env.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: Ctrl-C is for us, who then end it as a whole.
    let mut process = command.process_group(0).kill_on_drop(true).spawn()?;
    let leader = process.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
    let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
    let pipes = async { tokio::join!(tell(stdout, From::Output, &heard), tell(stderr, From::Errors, &heard)) };
    let mut pipes = std::pin::pin!(pipes);
    let ended = end_of(leader, &mut stop);
    let mut ended = std::pin::pin!(ended);
    let (end, is_drained) = tokio::select! {
        end = &mut ended => (end, false),
        _ = &mut pipes => (ended.await, true),
    };
    // Something that outlived it may hold its pipes: what it wrote until now is read, and then it is ended, while the leader's pid is still its own.
    let is_drained = is_drained || timeout(DRAIN, &mut pipes).await.is_ok();
    child::signal_group(leader, libc::SIGKILL);
    if !is_drained {
        // What left the group keeps its pipe and is heard no more.
        timeout(DRAIN, &mut pipes).await.ok();
    }
    process.wait().await?;
    Ok(end)
}

/// Waits for its end, and hastens it when somebody says stop. It stays a zombie.
async fn end_of(leader: i32, stop: &mut watch::Receiver<Stop>) -> End {
    let mut said = Stop::No;
    let mut since = None;
    loop {
        if let Some(end) = child::peek_end(leader) {
            return end;
        }
        let now = *stop.borrow();
        let is_late = since.is_some_and(|since: tokio::time::Instant| since.elapsed() >= GRACE);
        if now == Stop::Kill || (now == Stop::Interrupt && is_late) {
            child::signal_group(leader, libc::SIGKILL);
        } else if now > said {
            child::signal_group(leader, libc::SIGINT);
            since = Some(tokio::time::Instant::now());
        }
        said = now;
        sleep(LOOK).await;
    }
}

async fn tell(pipe: Option<impl AsyncRead + Unpin>, from: From, heard: &mpsc::Sender<Heard>) {
    let Some(pipe) = pipe else { return };
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    // A pipe that breaks has ended.
    while let Ok(more @ [_, ..]) = reader.fill_buf().await {
        let end = more.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(more.len());
        line.extend_from_slice(&more[..taken]);
        reader.consume(taken);
        // Events of `go` are whole lines however long; only the line of something else may go on for ever.
        let is_event = line.starts_with(b"{\"");
        if (end.is_some() || (!is_event && line.len() >= PIECE))
            && heard.send((from, std::mem::take(&mut line))).await.is_err()
        {
            return;
        }
    }
    if !line.is_empty() {
        // Nobody listens any more: then nobody misses it.
        heard.send((from, line)).await.ok();
    }
}

/// Runs it to its end and keeps what it said: output and errors.
pub async fn whole(line: &CommandLine, stop: watch::Receiver<Stop>) -> io::Result<(End, Vec<u8>, Vec<u8>)> {
    // Small: it is emptied as it fills.
    let (sender, mut receiver) = mpsc::channel(64);
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let hear = async {
        while let Some((from, line)) = receiver.recv().await {
            match from {
                From::Output => output.extend(line),
                From::Errors => errors.extend(line),
            }
        }
    };
    let (end, ()) = tokio::join!(run(line, stop, sender), hear);
    Ok((end?, output, errors))
}

/// Waits until a process is gone, or a zombie that nobody has reaped yet.
#[cfg(test)]
pub(crate) fn until_gone(pid: i32) {
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err() || stat.contains(") Z")
    };
    let began = std::time::Instant::now();
    while !gone() {
        assert!(began.elapsed() < Duration::from_secs(60), "{pid} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn shell(script: &str) -> CommandLine {
        let argv = ["/bin/sh", "-c", script].map(OsString::from).to_vec();
        CommandLine { argv, dir: "/".into(), env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())] }
    }

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn every_line_is_told_and_the_last_without_an_end_too() {
        let (_stop, stopped) = watch::channel(Stop::No);
        let (end, output, errors) = block(whole(&shell("printf 'a\\nb'; echo c >&2; exit 3"), stopped)).unwrap();
        assert_eq!((end, output, errors), (End::Code(3), b"a\nb".to_vec(), b"c\n".to_vec()));
    }

    #[test]
    fn the_whole_group_ends_also_one_that_does_not_want_to() {
        let (stop, stopped) = watch::channel(Stop::No);
        // The child that holds the pipe ignores the interrupt, too.
        let line = shell("trap '' INT; (while :; do sleep 1; done) & echo $!; while :; do sleep 1; done");
        let (end, output) = block(async {
            let later = async {
                sleep(Duration::from_millis(100)).await;
                stop.send(Stop::Interrupt).unwrap();
            };
            let (done, ()) = tokio::join!(whole(&line, stopped), later);
            let (end, output, _) = done.unwrap();
            (end, String::from_utf8(output).unwrap())
        });
        assert_eq!(end, End::Signal(libc::SIGKILL));
        until_gone(output.trim().parse().unwrap());
    }

    #[test]
    fn what_outlives_it_in_its_group_is_ended() {
        let (_stop, stopped) = watch::channel(Stop::No);
        let (end, output, _) = block(whole(&shell("sleep 1000 & echo $!; exit 0"), stopped)).unwrap();
        assert_eq!(end, End::Code(0));
        until_gone(String::from_utf8(output).unwrap().trim().parse().unwrap());
    }
}
