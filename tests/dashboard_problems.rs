//! What goes wrong in a real fleet, as the dashboard shows it: panics, broken builds, and the project's own commands.

use crate::dashboard::dashboard;
use crate::support::{Fleet, Tmux, eventually};

/// Panics at once as long as a file is there, else serves nothing for ever.
const PANICS: &str = r#"package main

import (
	"os"
	"time"
)

type charger struct{ accounts map[string]int }

func (c *charger) refund(id string) {
	c.accounts[id]++
}

func main() {
	if _, err := os.Stat("broken"); err == nil {
		new(charger).refund("a")
	}
	time.Sleep(time.Hour)
}
"#;

const SERVES: &str =
    "package main\n\nimport \"time\"\n\nfunc main() {\n\trest()\n}\n\nfunc rest() { time.Sleep(time.Hour) }\n";

fn presses(screen: &Tmux, keys: &[&str], until: &str) -> String {
    screen.press(keys);
    screen.until(until)
}

/// Hides what a command printed; only then comes the next key, since one right behind an escape is another.
fn hide(screen: &Tmux) {
    screen.press(&["Escape"]);
    eventually("the output to be hidden", || (!screen.screen().contains("y copy  esc ")).then_some(()));
}

#[test]
fn a_panic_is_one_problem_with_its_place_however_often() {
    let fleet = Fleet::new();
    fleet.write("pay/service.yml", "restart: {delay: 50ms, max_delay: 50ms, limit: 4, window: 1h}\n");
    fleet.go_service("pay", PANICS);
    fleet.write("pay/broken", "");
    fleet.orchestra(&["start"]).exits(1);
    let screen = dashboard(&fleet);
    screen.until("pay/main.go:11 x");
    let shown = presses(&screen, &["3", "z"], "▾ ✗ panic");
    // One group for all of them, and the place of the newest.
    assert_eq!(shown.matches("✗ panic").count(), 1, "{shown}");
    let shown = presses(&screen, &["n"], "> ");
    assert!(shown.contains("pay/main.go:11") && shown.contains("main.(*charger).refund"), "{shown}");
    screen.until("c.accounts[id]++");
    let shown = presses(&screen, &["R"], "goroutine 1 [running]:");
    assert!(shown.contains("panic: assignment to entry in nil map"), "{shown}");
    screen.press(&["R", "x"]);
    screen.until("none");
    screen.press(&["q", "q"]);
    screen.until("ended with 0");
}

#[test]
fn a_broken_build_shows_the_line_and_what_the_compiler_printed() {
    let fleet = Fleet::new();
    fleet.go_service("api", SERVES);
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    let screen = dashboard(&fleet);
    screen.until("●1 up");
    fleet.write("api/main.go", SERVES.replace("\trest()", "\trset()"));
    screen.press(&["b"]);
    screen.until("api/main.go:6:2 undefined: rset");
    let shown = presses(&screen, &["3", "Enter"], "old copy kept");
    assert!(shown.contains("✗ build api") && shown.contains("1 error"), "{shown}");
    let shown = screen.until("^^^^ undefined: rset");
    assert!(shown.contains(">    6 │     rset()") && shown.contains("5 │ func main() {"), "{shown}");
    presses(&screen, &["R"], "./main.go:6:2: undefined: rset");
    assert_eq!(fleet.pid("api.1"), pid);
    // Mended: it goes by itself.
    screen.press(&["R"]);
    fleet.write("api/main.go", SERVES);
    presses(&screen, &["b"], "nothing is wrong");
    screen.press(&["q", "q"]);
    screen.until("ended with 0");
}

#[test]
fn one_failed_test_is_run_again_alone() {
    let fleet = Fleet::new();
    fleet.go_service("api", SERVES);
    let test = "package main\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestGood(t *testing.T) { os.WriteFile(\"good\", nil, 0o644) }\n\n\
        func TestBad(t *testing.T) {\n\tif _, err := os.Stat(\"mended\"); err != nil {\n\t\tt.Fatal(\"got 1\")\n\t}\n}\n";
    fleet.write("api/main_test.go", test);
    let screen = dashboard(&fleet);
    screen.until("·1 off");
    screen.press(&["t"]);
    screen.until("TestBad: got 1");
    presses(&screen, &["4", "z"], "1 failed 1 passed");
    screen.until("t.Fatal(\"got 1\")");
    std::fs::remove_file(fleet.path("api/good")).unwrap();
    fleet.write("api/mended", "");
    screen.press(&["n", "t"]);
    screen.until("2 passed");
    assert!(!fleet.path("api/good").exists(), "the other test was not run");
    screen.press(&["q", "q"]);
    screen.until("ended with 0");
}

#[test]
fn commands_of_the_project_run_beside_the_fleet_and_end_with_the_dashboard() {
    let fleet = Fleet::new();
    fleet.write("migrate.sh", "echo migrating $TARGET in $PWD; printf '\\033]0;evil\\007done\\n'; exit 3\n");
    let long = "trap '' INT; (trap '' INT; while :; do sleep 1; done) & echo $! > child; echo waiting; wait";
    let commands = serde_json::json!({"migrate": ["sh", "migrate.sh"], "watch": ["sh", "-c", long]});
    fleet.write("orchestra.yml", format!("env: {{TARGET: staging}}\ncommands: {commands}\n"));
    fleet.toy("api", &[], "");
    let screen = dashboard(&fleet);
    screen.until("·1 off");
    // The key asks which one.
    screen.press(&["!"]);
    screen.type_text("mig");
    screen.press(&["Tab", "Enter"]);
    let shown = screen.until("exit 3");
    let told = format!("migrating staging in {}", fleet.root().display());
    assert!(shown.contains(&told) && shown.contains("done") && !shown.contains("evil"), "{shown}");
    hide(&screen);
    screen.until("migrate: exit 3");
    screen.type_text(":run watch");
    screen.press(&["Enter"]);
    screen.until(" waiting");
    let child =
        eventually("its child", || std::fs::read_to_string(fleet.path("child")).ok()?.trim().parse::<i32>().ok());
    // It goes on while other things are done.
    hide(&screen);
    screen.press(&["2", "q"]);
    screen.until("`watch` runs: end it and leave?");
    screen.press(&["y"]);
    screen.until("ended with 0");
    let gone = || matches!(crate::fault::proc::state(child), None | Some('Z')).then_some(());
    eventually("what the command began to be gone", gone);
}
