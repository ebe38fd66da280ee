//! What a database has said is written is there, whatever was killed while a client wrote: the engine with its containerd, and the supervisor.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::engine::private;
use super::report;
use crate::support::{Vendors, eventually};

const USUAL: u32 = if cfg!(feature = "faults") { 100_000 } else { 10_000 };
/// Rows of one transaction.
const BATCH: u32 = 50;
/// The writer gives up once nothing was written for so long.
const PATIENCE: Duration = Duration::from_secs(120);
const POSTGRES: &str = r#"vendors:
  postgres:
    image: postgres:15
    environment: {POSTGRES_HOST_AUTH_METHOD: trust}
    ports: ["5432"]
    volumes: ["pgdata:/var/lib/postgresql/data"]
    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1, -U, postgres], interval: 200ms}
"#;

/// How many rows are written: `ORCHESTRA_ROWS`, else the usual number.
fn rows() -> u32 {
    std::env::var("ORCHESTRA_ROWS").map_or(USUAL, |text| text.parse().unwrap())
}

/// A client of PostgreSQL in the engine's network; its bytes go through a shell there.
struct Client {
    relay: Child,
}

impl Client {
    fn connect(inside: &[String], port: u64) -> Result<Client> {
        let script = "exec 3<>\"/dev/tcp/127.0.0.1/$0\" || exit; cat <&3 & exec cat >&3";
        let mut command = Command::new(&inside[0]);
        command.args(&inside[1..]).args(["bash", "-c", script, &port.to_string()]);
        let relay = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut client = Client { relay };
        let body = b"\0\x03\0\0user\0postgres\0\0";
        client.send(&[&(body.len() as u32 + 4).to_be_bytes(), &body[..]].concat())?;
        client.until_idle()?;
        Ok(client)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let stdin = self.relay.stdin.as_mut().ok_or(ErrorKind::BrokenPipe)?;
        stdin.write_all(bytes)?;
        stdin.flush()
    }

    /// One statement; it is committed once this returns.
    fn run(&mut self, statement: &str) -> Result<()> {
        let length = statement.len() as u32 + 5;
        self.send(&[b"Q", &length.to_be_bytes()[..], statement.as_bytes(), b"\0"].concat())?;
        self.until_idle()
    }

    fn until_idle(&mut self) -> Result<()> {
        let stdout = self.relay.stdout.as_mut().ok_or(ErrorKind::BrokenPipe)?;
        let mut failed = None;
        loop {
            let mut head = [0; 5];
            stdout.read_exact(&mut head)?;
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; length as usize - 4];
            stdout.read_exact(&mut body)?;
            match head[0] {
                b'E' => failed = Some(String::from_utf8_lossy(&body).replace('\0', " ")),
                b'Z' => return failed.map_or(Ok(()), |said| Err(Error::other(said))),
                _ => {}
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The reading half in the shell ends with the connection, which ends with the writing half.
        drop(self.relay.stdin.take());
        let _gone = self.relay.kill();
        let _reaped = self.relay.wait();
    }
}

/// Writes row after row, with another connection wherever one breaks. A batch counts once the database has said so; one that it said nothing about is
/// written again.
fn write(rows: u32, inside: &[String], port: u64, written: &AtomicU32, breaks: &AtomicUsize) {
    let (mut client, mut since) = (None, Instant::now());
    while written.load(Ordering::SeqCst) < rows {
        let first = written.load(Ordering::SeqCst) + 1;
        let values: Vec<String> = (first..=rows.min(first + BATCH - 1)).map(|n| format!("({n})")).collect();
        let statement = format!("insert into kept values {} on conflict do nothing", values.join(","));
        let done = match client.take().map_or_else(|| Client::connect(inside, port), Ok) {
            Ok(mut open) => open.run(&statement).map(|()| client = Some(open)),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {
                written.store(rows.min(first + BATCH - 1), Ordering::SeqCst);
                since = Instant::now();
            }
            Err(error) => {
                breaks.fetch_add(1, Ordering::SeqCst);
                assert!(since.elapsed() < PATIENCE, "nothing was written for {PATIENCE:?}: {error}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Waits until so many rows are written.
fn reached(rows: u32, written: &AtomicU32) {
    let mut last = (written.load(Ordering::SeqCst), Instant::now());
    while last.0 < rows {
        std::thread::sleep(Duration::from_millis(5));
        let now = written.load(Ordering::SeqCst);
        if now > last.0 {
            last = (now, Instant::now());
        }
        assert!(last.1.elapsed() < PATIENCE, "the writer is stuck at {now} rows");
    }
}

#[test]
fn rows_survive_a_killed_engine_and_a_killed_supervisor() {
    let Some(mut private) = private(&["postgres:15"]) else { return };
    let fleet = Vendors::on(private.engine.clone(), "committed", POSTGRES);
    // Its shim brings a supervisor back.
    fleet.toy("api", &[], "depends_on: [postgres]");
    fleet.orchestra(&["start"]).ok();
    let api = fleet.pid("api.1");
    fleet.sql("create table kept (n int primary key)");
    let before = fleet.container("postgres.1");
    let port = fleet.instance("postgres.1")["ports"]["5432"].as_u64().unwrap();
    let inside = private.engine.inside.clone();
    let rows = rows();
    let (written, breaks) = (AtomicU32::new(0), AtomicUsize::new(0));
    let mut away = Duration::ZERO;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(rows, &inside, port, &written, &breaks));
        for quarter in 1..=3 {
            reached(rows / 4 * quarter, &written);
            let (began, before) = (Instant::now(), written.load(Ordering::SeqCst));
            if quarter == 2 {
                killed_supervisor(&fleet);
            } else {
                private.kill();
                private.start_again();
            }
            // What was on its way may have been written before the end.
            reached((before + 2 * BATCH).min(rows), &written);
            away = away.max(began.elapsed());
        }
        writer.join().unwrap();
    });
    fleet.until("postgres.1", "ready");
    let sum = eventually("the database to answer", || fleet.try_sql("select count(*), sum(n) from kept").ok());
    assert_eq!(sum, format!("{rows}|{}", u64::from(rows) * u64::from(rows + 1) / 2));
    assert_eq!(fleet.container("postgres.1"), before, "the same container, and no second one");
    assert_eq!(fleet.pid("api.1"), api, "nobody touched the service");
    assert!(breaks.load(Ordering::SeqCst) > 0, "the writer did not notice anything");
    report::record(
        39,
        format!(
            "{rows} rows written by a client, {BATCH} a transaction, over 2 SIGKILLs of engine and containerd and 1 of the supervisor: every row there, the same container; written on after at most {:.1} s",
            away.as_secs_f64()
        ),
    );
}

fn killed_supervisor(fleet: &Vendors) {
    let old = fleet.supervisor();
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    eventually("another supervisor", || (fleet.ps()["supervisor"]["pid"].as_i64()? != i64::from(old)).then_some(()));
}
