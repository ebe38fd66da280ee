//! Probes against small servers of this process, children, and a real Go program with a certificate of its own authority.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{ProbeContext, spawn};
use crate::logs::record::{self, Stream};
use crate::task::id::{InstanceId, RunId, Settings};
use crate::task::spec::{Caller, HttpProbe, Port, Probe, ProbeTarget, Protocol, Resources, RunSpec, StopSpec};
use crate::worker::RunReport;

const DEADLINE: Duration = Duration::from_secs(20);

struct Bench {
    reports: mpsc::Receiver<(RunId, RunReport)>,
    probe: JoinHandle<()>,
    notify: watch::Sender<bool>,
    dir: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.probe.abort();
    }
}

fn spec(ready: Probe) -> RunSpec {
    RunSpec {
        instance: InstanceId::parse("api.1").unwrap(),
        argv: vec!["api".into()],
        dir: std::env::temp_dir(),
        env: std::env::vars_os().collect(),
        ports: vec![],
        debugger: None,
        container: None,
        ready,
        live: None,
        stop: StopSpec { signal: 15, grace: Duration::from_secs(1) },
        before: vec![],
        after: vec![],
        tty: false,
        resources: Resources::default(),
        caller: Caller { umask: 0o022, nofile: None },
        log_keep: 1 << 20,
        settings: Settings("s".into()),
    }
}

fn probe(target: ProbeTarget) -> Probe {
    let ms = Duration::from_millis;
    Probe { target, interval: Some(ms(20)), timeout: ms(2000), failures: 3, start_period: Duration::ZERO }
}

fn http(url: String) -> HttpProbe {
    HttpProbe { url, status: None, body: None, headers: vec![], insecure: false, ca: None, own_port: None }
}

impl Bench {
    fn of(spec: RunSpec, pid: u32) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let (sink, reports) = mpsc::channel(64);
        let (notify, word) = watch::channel(false);
        let ctx = ProbeContext {
            run: RunId(7),
            spec: Arc::new(spec),
            pid,
            log_dir: dir.path().to_owned(),
            notify: Some(word),
        };
        Bench { reports, probe: spawn(ctx, sink), notify, dir }
    }

    fn new(target: ProbeTarget) -> Bench {
        Bench::of(spec(probe(target)), std::process::id())
    }

    async fn next(&mut self) -> RunReport {
        let (run, report) = timeout(DEADLINE, self.reports.recv()).await.unwrap().unwrap();
        assert_eq!(run, RunId(7));
        report
    }

    async fn until(&mut self, wanted: impl Fn(&RunReport) -> bool) -> RunReport {
        loop {
            let report = self.next().await;
            if wanted(&report) {
                return report;
            }
        }
    }

    /// Waits for the reason it gives for not being ready.
    async fn waiting(&mut self) -> String {
        match self.until(|r| matches!(r, RunReport::Waiting(Some(_)) | RunReport::Ready(true))).await {
            RunReport::Waiting(Some(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }
}

/// Answers each connection with the answer that is current, and counts them.
async fn server(answers: watch::Receiver<&'static str>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = vec![0; 4096];
            let n = stream.read(&mut request).await.unwrap_or(0);
            let echoed = String::from_utf8_lossy(&request[..n]).contains("x-probe: yes");
            let answer = if echoed { "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nheader" } else { *answers.borrow() };
            // A prober that hung up early has heard enough.
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    (address, count)
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn http_204_is_ready_and_listening_is_told() {
    let (_answers, current) = watch::channel(NO_CONTENT);
    let (address, _) = server(current).await;
    let mut http = http(format!("http://{address}/healthz"));
    http.own_port = Some(address.port());
    let mut bench = Bench::new(ProbeTarget::Http(http));
    assert_eq!(bench.next().await, RunReport::Ready(true));
    let RunReport::Listening(listening) = bench.next().await else { panic!() };
    assert!(listening.contains(&format!("{address}/tcp")), "{listening:?}");
}

#[tokio::test]
async fn readiness_is_lost_after_three_failures_and_comes_back() {
    let (answers, current) = watch::channel(NO_CONTENT);
    let (address, count) = server(current).await;
    let mut bench = Bench::new(ProbeTarget::Http(http(format!("http://{address}/"))));
    assert_eq!(bench.next().await, RunReport::Ready(true));
    answers.send(UNAVAILABLE).unwrap();
    let before = count.load(Ordering::SeqCst);
    assert_eq!(bench.until(|r| matches!(r, RunReport::Ready(_))).await, RunReport::Ready(false));
    assert!(count.load(Ordering::SeqCst) >= before + 3);
    assert_eq!(bench.waiting().await, format!("`http://{address}/`: answered 503 Service Unavailable"));
    answers.send(NO_CONTENT).unwrap();
    bench.until(|r| *r == RunReport::Ready(true)).await;
    bench.until(|r| *r == RunReport::Waiting(None)).await;
}

#[tokio::test]
async fn status_body_headers_and_redirects() {
    let (_answers, current) =
        watch::channel("HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 5\r\n\r\nmoved");
    let (address, count) = server(current).await;
    let url = format!("http://{address}/x?y=1");
    let reason = Bench::new(ProbeTarget::Http(http(url.clone()))).waiting().await;
    assert_eq!(reason, format!("`{url}`: answered 302 Found, and redirects are not followed"));
    assert!(count.load(Ordering::SeqCst) > 0);
    let good = HttpProbe { status: Some(302), body: Some("^mo.ed$".into()), ..http(url.clone()) };
    assert_eq!(Bench::new(ProbeTarget::Http(good.clone())).next().await, RunReport::Ready(true));
    let bad = HttpProbe { body: Some("gone".into()), ..good.clone() };
    assert_eq!(Bench::new(ProbeTarget::Http(bad)).waiting().await, format!("`{url}`: its body does not match `gone`"));
    let headers =
        HttpProbe { headers: vec![("X-Probe".into(), "yes".into())], body: Some("header".into()), ..http(url) };
    assert_eq!(Bench::new(ProbeTarget::Http(headers)).next().await, RunReport::Ready(true));
}

#[tokio::test]
async fn a_silent_server_is_given_up_at_the_timeout() {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut slow = probe(ProbeTarget::Http(http(url.clone())));
    slow.timeout = Duration::from_millis(50);
    let mut bench = Bench::of(spec(slow), std::process::id());
    assert_eq!(bench.waiting().await, format!("`{url}` gave no answer within 50ms"));
}

#[tokio::test]
async fn tcp_waits_for_the_listener_on_either_family() {
    for bind in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
        let held = StdListener::bind(bind).unwrap();
        let address = held.local_addr().unwrap();
        drop(held);
        let mut bench = Bench::new(ProbeTarget::Tcp(address.port()));
        let reason = bench.waiting().await;
        assert_eq!(reason, format!("port {} does not accept", address.port()));
        let _again = StdListener::bind(address).unwrap();
        assert_eq!(bench.until(|r| !matches!(r, RunReport::Waiting(_))).await, RunReport::Ready(true));
    }
}

#[tokio::test]
async fn tcp_finds_a_service_on_another_address_and_its_later_ports() {
    let held = StdListener::bind("127.0.0.9:0").unwrap();
    let address = held.local_addr().unwrap();
    let mut bench = Bench::new(ProbeTarget::Tcp(address.port()));
    bench.until(|r| *r == RunReport::Ready(true)).await;
    bench.until(|r| matches!(r, RunReport::Listening(l) if l.contains(&format!("{address}/tcp")))).await;
    let later = StdListener::bind("127.0.0.9:0").unwrap();
    let shown = format!("{}/tcp", later.local_addr().unwrap());
    bench.until(|r| matches!(r, RunReport::Listening(l) if l.contains(&shown))).await;
}

#[tokio::test]
async fn a_udp_port_counts_once_it_is_bound() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let number = udp.local_addr().unwrap().port();
    let mut spec = spec(probe(ProbeTarget::Tcp(number)));
    spec.ports = vec![Port { name: "coap".into(), number, protocol: Protocol::Udp }];
    let mut bench = Bench::of(spec, std::process::id());
    assert_eq!(bench.next().await, RunReport::Ready(true));
}

/// Its group is its own; killed when the test ends.
struct Other(Child);

impl Other {
    fn run(command: &mut Command) -> Other {
        Other(command.process_group(0).spawn().unwrap())
    }

    fn sleep() -> Other {
        Other::run(Command::new("sleep").arg("60"))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.0.id() as i32);
        // It may have ended by itself; either way it is reaped here.
        _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_strangers_answer_does_not_count_and_is_named() {
    let (_answers, current) = watch::channel(NO_CONTENT);
    let (address, _) = server(current).await;
    let service = Other::sleep();
    let mut own = http(format!("http://{address}/"));
    own.own_port = Some(address.port());
    for target in [ProbeTarget::Tcp(address.port()), ProbeTarget::Http(own)] {
        let mut bench = Bench::of(spec(probe(target)), service.0.id());
        let RunReport::Holder(Some(holder)) = bench.next().await else { panic!() };
        assert_eq!((holder.port, holder.pid), (address.port(), Some(std::process::id())));
        assert_eq!(holder.exe, std::env::current_exe().ok());
        let reason = bench.waiting().await;
        assert!(
            reason.starts_with(&format!("port {} is held by pid {}", address.port(), std::process::id())),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_child_in_the_group_counts() {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The leader gives the socket to its child and keeps nothing of it.
    let script = "sleep 60 <&0 & exec </dev/null; wait";
    let service = Other::run(Command::new("bash").args(["-c", script]).stdin(Stdio::from(OwnedFd::from(listener))));
    let mut bench = Bench::of(spec(probe(ProbeTarget::Tcp(port))), service.0.id());
    bench.until(|r| *r == RunReport::Ready(true)).await;
    let listening = bench.until(|r| matches!(r, RunReport::Listening(_))).await;
    assert_eq!(listening, RunReport::Listening(vec![format!("127.0.0.1:{port}/tcp")]));
}

#[tokio::test]
async fn exec_runs_in_the_services_folder_and_environment() {
    let dir = tempfile::tempdir().unwrap();
    let script = "test \"$KEY\" = value && test -e ready";
    let mut spec = spec(probe(ProbeTarget::Exec(["sh", "-c", script].map(String::from).to_vec())));
    spec.dir = dir.path().to_owned();
    spec.env.push(("KEY".into(), "value".into()));
    let mut bench = Bench::of(spec, std::process::id());
    assert!(bench.waiting().await.ends_with("ended with exit status: 1"));
    fs::write(dir.path().join("ready"), "").unwrap();
    bench.until(|r| *r == RunReport::Ready(true)).await;
}

#[tokio::test]
async fn exec_is_killed_with_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > pid; wait";
    let mut slow = probe(ProbeTarget::Exec(["sh", "-c", script].map(String::from).to_vec()));
    slow.timeout = Duration::from_millis(300);
    slow.interval = Some(Duration::from_secs(1000));
    let mut spec = spec(slow);
    spec.dir = dir.path().to_owned();
    spec.ready.interval = Some(Duration::from_millis(800));
    let mut bench = Bench::of(spec, std::process::id());
    assert!(bench.waiting().await.ends_with("did not end within 300ms"));
    drop(bench);
    let pid: i32 = fs::read_to_string(dir.path().join("pid")).unwrap().trim().parse().unwrap();
    let gone = || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z"));
    for _ in 0..500 {
        if gone() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{pid} lives");
}

#[tokio::test]
async fn a_missing_program_is_said() {
    let mut bench = Bench::new(ProbeTarget::Exec(vec!["no-such-program".into()]));
    assert!(bench.waiting().await.starts_with("`no-such-program` cannot be run: "));
}

#[tokio::test]
async fn log_and_notify_are_ready_for_good() {
    let mut bench = Bench::new(ProbeTarget::Log("listening on .*8080".into()));
    assert_eq!(bench.waiting().await, "no line of its output matches `listening on .*8080` yet");
    let mut text = Vec::new();
    for (stream, line) in [(Stream::Mark, "run=7 mono=1"), (Stream::Stderr, "listening on :8080")] {
        text.extend_from_slice(&record::header(b"2026-01-02T03:04:05.678901Z", stream, true));
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    fs::write(bench.dir.path().join(record::segment_name(1)), text).unwrap();
    bench.until(|r| *r == RunReport::Ready(true)).await;

    let mut bench = Bench::new(ProbeTarget::Notify);
    assert_eq!(bench.waiting().await, "it has not sent `READY=1` to NOTIFY_SOCKET");
    bench.notify.send(true).unwrap();
    bench.until(|r| *r == RunReport::Ready(true)).await;
}

#[tokio::test]
async fn without_a_port_a_listener_or_one_second() {
    let quiet = Other::sleep();
    let started = std::time::Instant::now();
    let mut bench = Bench::of(spec(probe(ProbeTarget::Listener)), quiet.0.id());
    bench.until(|r| *r == RunReport::Ready(true)).await;
    assert!(started.elapsed() >= Duration::from_secs(1));
    let _listener = StdListener::bind("127.0.0.1:0").unwrap();
    let started = std::time::Instant::now();
    let mut bench = Bench::new(ProbeTarget::Listener);
    assert_eq!(bench.next().await, RunReport::Ready(true));
    assert!(started.elapsed() < Duration::from_secs(1));
    let mut bench = Bench::new(ProbeTarget::Started);
    assert_eq!(bench.next().await, RunReport::Ready(true));
}

#[tokio::test]
async fn live_counts_only_what_once_lived_or_was_ready() {
    let (answers, current) = watch::channel(UNAVAILABLE);
    let (address, count) = server(current).await;
    let mut spec = spec(probe(ProbeTarget::Notify));
    spec.live = Some(probe(ProbeTarget::Http(http(format!("http://{address}/livez")))));
    let mut bench = Bench::of(spec, std::process::id());
    while count.load(Ordering::SeqCst) < 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    answers.send(NO_CONTENT).unwrap();
    let at = count.load(Ordering::SeqCst) + 2;
    while count.load(Ordering::SeqCst) < at {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    answers.send(UNAVAILABLE).unwrap();
    let dead = bench.until(|r| !matches!(r, RunReport::Waiting(_))).await;
    let reason = format!("live probe failed 3 times: `http://{address}/livez`: answered 503 Service Unavailable");
    assert_eq!(dead, RunReport::Dead(reason));
}

const DEBUGGER: &str = r#"package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	runtime.LockOSThread()
	pid, _ := strconv.Atoi(os.Args[1])
	if err := syscall.PtraceAttach(pid); err != nil {
		fmt.Println("127.0.0.1:1")
		return
	}
	fmt.Println("127.0.0.1:2")
	time.Sleep(time.Hour)
}
"#;

#[tokio::test]
async fn while_a_debugger_holds_it_probes_rest() {
    let dir = tempfile::tempdir().unwrap();
    let service = Other::sleep();
    let (debugger, attached) = go_program(dir.path(), DEBUGGER, &[&service.0.id().to_string()]);
    if attached.port() == 1 {
        // This machine lets nobody trace (kernel.yama.ptrace_scope).
        return;
    }
    let mut bench = Bench::of(spec(probe(ProbeTarget::Exec(vec!["false".into()]))), service.0.id());
    assert_eq!(bench.next().await, super::debugger(true));
    drop(debugger);
    assert_eq!(bench.next().await, super::debugger(false));
}

const AUTHORITY: &str = r#"package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	make := func(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *x509.Certificate, *ecdsa.PrivateKey) {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true}
		if parent == nil {
			c.IsCA, c.KeyUsage, parent, signer = true, x509.KeyUsageCertSign, c, key
		} else {
			c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
		if err != nil {
			log.Fatal(err)
		}
		return der, c, key
	}
	ca, authority, signer := make("authority", nil, nil)
	leaf, _, key := make("server", authority, signer)
	if err := os.WriteFile("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca}), 0o600); err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: key}}}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })}
	log.Fatal(server.Serve(listener))
}
"#;

/// Builds a program and runs it; its first line is an address.
fn go_program(dir: &Path, source: &str, args: &[&str]) -> (Other, SocketAddr) {
    fs::write(dir.join("main.go"), source).unwrap();
    fs::write(dir.join("go.mod"), "module ex.com/tls\ngo 1.21\n").unwrap();
    let built =
        Command::new("go").args(["build", "-buildvcs=false", "-o", "server", "."]).current_dir(dir).status().unwrap();
    assert!(built.success());
    let mut program = Other::run(Command::new(dir.join("server")).args(args).current_dir(dir).stdout(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (program, line.trim().parse().unwrap())
}

#[tokio::test]
async fn https_with_a_private_authority() {
    let dir = tempfile::tempdir().unwrap();
    let (service, address) = go_program(dir.path(), AUTHORITY, &[]);
    let url = format!("https://localhost:{}/healthz", address.port());
    let with = |ca: Option<PathBuf>, insecure: bool| {
        let mut ready =
            probe(ProbeTarget::Http(HttpProbe { ca, insecure, own_port: Some(address.port()), ..http(url.clone()) }));
        ready.timeout = Duration::from_secs(10);
        Bench::of(spec(ready), service.0.id())
    };
    assert_eq!(with(Some(dir.path().join("ca.pem")), false).next().await, RunReport::Ready(true));
    assert_eq!(with(None, true).next().await, RunReport::Ready(true));
    let reason = with(None, false).waiting().await;
    assert!(reason.starts_with(&format!("`{url}`: TLS failed: ")), "{reason}");
    let reason = with(Some(dir.path().join("none.pem")), false).waiting().await;
    assert!(reason.contains("none.pem"), "{reason}");
    fs::write(dir.path().join("empty.pem"), "").unwrap();
    let reason = with(Some(dir.path().join("empty.pem")), false).waiting().await;
    assert!(reason.contains("holds no certificate"), "{reason}");
}
