//! Services below a debugger: they start, answer, crash and stop as they do without it, and stand still when somebody says so.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Fleet, eventually};

const API: &str = r#"package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func answer() string {
	return "hello"
}

func main() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		<-asked
		fmt.Println("bye")
		os.Exit(0)
	}()
	fmt.Println("up", len(os.Args))
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		buffer := make([]byte, 64)
		n, _ := conn.Read(buffer)
		if n > 5 && string(buffer[:5]) == "GET /" && buffer[5] == 'x' {
			os.Exit(7)
		}
		fmt.Fprint(conn, "HTTP/1.0 200 OK\r\n\r\n"+answer())
		conn.Close()
	}
}
"#;

/// The debugger: in PATH, or where scripts/test installs it. Says why a test is left out where there is none.
fn dlv() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([target.join("tools/dlv")]);
    let found = folders.map(|folder| folder.join("dlv")).find(|file| file.is_file());
    if found.is_none() {
        eprintln!(
            "left out: there is no `dlv` in PATH nor in {}/tools/dlv; scripts/test installs it",
            target.display()
        );
    }
    found
}

/// A fleet with one Go service, whose commands find the debugger.
struct Debugged {
    fleet: Fleet,
    dlv: PathBuf,
    port: u16,
}

impl Debugged {
    fn new(yaml: &str) -> Option<Debugged> {
        let dlv = dlv()?;
        let fleet = Fleet::new();
        let port = fleet.port();
        fleet.write("api/service.yml", format!("port: {port}\nargs: [--, -x]\n{yaml}"));
        fleet.go_service("api", API);
        Some(Debugged { fleet, dlv, port })
    }

    #[track_caller]
    fn orchestra(&self, args: &[&str]) -> crate::support::output::Output {
        let mut command = self.fleet.command(args);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([self.dlv.parent().unwrap().to_owned()]);
        command.env("PATH", std::env::join_paths(folders).unwrap());
        self.fleet.run(command)
    }

    fn debug_port(&self) -> u16 {
        self.fleet.instance("api.1")["ports"]["debug"].as_u64().unwrap() as u16
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.debug_port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client { lines: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    /// Stops at the function that answers, and makes somebody ask.
    fn hold(&self) -> Client {
        let mut client = self.client();
        client.call("Command", &json!({"name": "halt"}));
        client.call("CreateBreakpoint", &json!({"Breakpoint": {"functionName": "main.answer"}}));
        client.tell("Command", &json!({"name": "continue"}));
        let mut asking = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(asking, "GET / HTTP/1.0\r\n\r\n").unwrap();
        let stopped = client.answer();
        assert_eq!(stopped["result"]["State"]["currentThread"]["function"]["name"], "main.answer", "{stopped}");
        client
    }

    fn trouble(&self, wanted: &Value) {
        eventually(&format!("trouble to be {wanted}"), || {
            (self.fleet.instance("api.1")["trouble"] == *wanted).then_some(())
        });
    }
}

/// Speaks with a debugger as editors do.
struct Client {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Client {
    fn tell(&mut self, method: &str, argument: &Value) {
        let request = json!({"method": format!("RPCServer.{method}"), "params": [argument], "id": 1});
        writeln!(self.stream, "{request}").unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn call(&mut self, method: &str, argument: &Value) -> Value {
        self.tell(method, argument);
        let answer = self.answer();
        assert_eq!(answer["error"], Value::Null, "{method}");
        answer
    }
}

#[test]
fn without_a_debugger_nothing_is_started() {
    let fleet = Fleet::new();
    fleet.go_service("api", API);
    fleet.toy("other", &[], "");
    let mut command = fleet.command(&["start", "--debug", "api"]);
    command.env("PATH", fleet.path("nothing"));
    let start = fleet.run(command).exits(1);
    assert!(start.stderr.contains("`api`"), "{}", start.stderr);
    assert!(start.stderr.contains("go install github.com/go-delve/delve/cmd/dlv@latest"), "{}", start.stderr);
    assert_eq!(fleet.service("other")["state"], "idle");
    assert_eq!(fleet.service("api")["desired"], "down");
}

#[test]
fn only_what_is_started_and_built_here_is_debugged() {
    let fleet = Fleet::new();
    fleet.go_service("api", API);
    fleet.toy("other", &[], "");
    for (args, word) in [
        (&["start", "other", "--debug", "api"][..], "does not start `api`"),
        (&["start", "--debug", "other"], "does not build"),
        (&["start", "--debug", "apj"], "did you mean"),
    ] {
        let start = fleet.orchestra(args).exits(2);
        assert!(start.stderr.contains(word), "{args:?}: {}", start.stderr);
    }
}

#[test]
fn a_service_runs_ends_and_stops_below_its_debugger() {
    let Some(debugged) = Debugged::new("") else { return };
    let fleet = &debugged.fleet;
    let start = debugged.orchestra(&["start", "--debug", "api"]).ok();
    let port = debugged.debug_port();
    assert!(start.stderr.contains(&format!("dlv connect 127.0.0.1:{port}")), "{}", start.stderr);
    assert_eq!(fleet.get(debugged.port, "/").as_deref(), Some("hello"));
    let api = fleet.instance("api.1");
    assert_eq!((&api["trouble"], &api["health"]), (&Value::Null, &json!("ok")));
    let listening = api["listening"].as_array().unwrap();
    assert!(listening.contains(&json!(format!("127.0.0.1:{}/tcp", debugged.port))), "{api}");
    let why = fleet.orchestra(&["why", "api"]).ok().stdout;
    assert!(why.contains(&format!("dlv connect 127.0.0.1:{port}")), "{why}");

    // Nothing has changed: the copy is kept, the flag too.
    let pid = fleet.pid("api.1");
    debugged.orchestra(&["start"]).ok();
    assert_eq!((fleet.pid("api.1"), debugged.debug_port()), (pid, port));

    // It ends by itself: with its own code, and comes again on the same port.
    let again = eventually("another run", || {
        let api = fleet.instance("api.1");
        // It ends while it answers, so the answer does not say whether it heard.
        if api["restarts"] == 0 && api["state"] == "ready" {
            fleet.get(debugged.port, "/x");
        }
        (api["restarts"] == 1 && api["state"] == "ready").then_some(api)
    });
    assert_eq!((&again["last_exit"]["code"], &again["last_exit"]["reason"]), (&json!(7), &json!("exit")));
    assert_eq!(debugged.debug_port(), port);

    debugged.orchestra(&["restart"]).ok();
    assert_eq!(debugged.debug_port(), port);
    assert_eq!(fleet.get(debugged.port, "/").as_deref(), Some("hello"));
    let lines = fleet.lines(&["api"]);
    assert_eq!(lines.iter().filter(|line| *line == "up 3").count(), 3, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "bye").count(), 1, "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("API server")), "{lines:?}");

    debugged.orchestra(&["stop"]).ok();
    assert_eq!(fleet.lines(&["api"]).iter().filter(|line| *line == "bye").count(), 2);
    let left = fleet.processes();
    assert!(left.is_empty(), "{left:?}");
    // The flag has ended with it.
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.instance("api.1")["ports"], json!({"http": debugged.port}));
}

#[test]
fn what_stands_at_a_breakpoint_is_debugged_and_not_dead() {
    let probe = "interval: 50ms, timeout: 200ms, failures: 2";
    let yaml = format!("build: {{debug: true}}\nready: {{http: /, {probe}}}\nlive: {{http: /, {probe}}}\n");
    let Some(debugged) = Debugged::new(&yaml) else { return };
    let fleet = &debugged.fleet;
    debugged.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    let mut client = debugged.hold();
    debugged.trouble(&json!("debugged"));
    let api = fleet.instance("api.1");
    assert_eq!((&api["state"], &api["restarts"], fleet.pid("api.1")), (&json!("ready"), &json!(0), pid));

    client.call("ClearBreakpoint", &json!({"Id": 1}));
    client.tell("Command", &json!({"name": "continue"}));
    debugged.trouble(&Value::Null);
    eventually("an answer", || (fleet.get(debugged.port, "/").as_deref() == Some("hello")).then_some(()));
    assert_eq!((fleet.pid("api.1"), &fleet.instance("api.1")["restarts"]), (pid, &json!(0)));
}

#[test]
fn a_stop_lets_go_what_stands_at_a_breakpoint() {
    let Some(debugged) = Debugged::new("stop: {grace: 60s}\n") else { return };
    debugged.orchestra(&["start", "--debug", "api"]).ok();
    let _client = debugged.hold();
    debugged.orchestra(&["stop"]).ok();
    assert!(debugged.fleet.lines(&["api"]).contains(&"bye".to_owned()));
}

#[test]
fn an_edit_replaces_what_runs_below_a_debugger_once_it_stands_still_no_more() {
    let Some(debugged) = Debugged::new("") else { return };
    let fleet = &debugged.fleet;
    debugged.orchestra(&["start", "--rerun", "--debug", "api"]).ok();
    let port = debugged.debug_port();
    let save = |word: &str| fleet.write("api/main.go", API.replace("hello", word));
    let answers = |word: &str| {
        eventually(word, || (fleet.get(debugged.port, "/").as_deref() == Some(word)).then_some(()));
        assert_eq!(debugged.debug_port(), port);
    };
    save("one");
    answers("one");
    // Clients find the new copy where the old one was, and it is spared while they look at it.
    let mut client = debugged.hold();
    let pid = fleet.pid("api.1");
    save("two");
    eventually("the edit to wait", || {
        fleet.orchestra(&["why", "api"]).stdout.contains("keeps the code it has").then_some(())
    });
    assert_eq!(fleet.pid("api.1"), pid);
    client.call("ClearBreakpoint", &json!({"Id": 1}));
    client.tell("Command", &json!({"name": "continue"}));
    answers("two");
}
