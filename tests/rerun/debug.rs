//! `start --debug`: built for a debugger and run under it, through swaps.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::stage::Stage;
use super::{record, repeat};

/// Writes down how it was called and runs the program, as `dlv exec --continue` does.
const DLV: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$(dirname "$0")/dlv-calls"
[ "$1" = exec ] || { echo "Delve Debugger"; exit 0; }
shift
program=
while [ $# -gt 0 ]; do
    case $1 in
        --) shift; break ;;
        -*) ;;
        *) [ -n "$program" ] || program=$1 ;;
    esac
    shift
done
exec "$program" "$@"
"#;

#[test]
fn built_for_it_and_run_under_it() {
    let stage = Stage::new();
    let (api, other) = (stage.web("api", ""), stage.web("other", ""));
    let dlv = stage.go.dir().join("dlv");
    fs::write(&dlv, DLV).unwrap();
    fs::set_permissions(&dlv, fs::Permissions::from_mode(0o755)).unwrap();
    stage.start(&["--debug", "api"]);
    api.until_answered("v1");
    let swaps = repeat(2, |_| api.swaps());
    let calls = fs::read_to_string(stage.go.dir().join("dlv-calls")).unwrap();
    let runs: Vec<&str> = calls.lines().filter(|line| line.starts_with("exec ")).collect();
    assert_eq!(runs.len(), 1 + swaps.len(), "{calls}");
    for flag in ["--headless", "--accept-multiclient", "--continue"] {
        assert!(runs.iter().all(|run| run.contains(flag)), "{flag}: {calls}");
    }
    let address = |run: &str| {
        run.split("--listen")
            .nth(1)
            .map(|rest| rest.trim_start_matches(['=', ' ']).split(' ').next().unwrap().to_owned())
    };
    assert!(address(runs[0]).is_some_and(|address| address.starts_with("127.0.0.1:")), "{calls}");
    assert!(runs.iter().all(|run| address(run) == address(runs[0])), "a stable port: {calls}");
    let slow = |build: &super::calls::Call| build.args.iter().any(|arg| arg.contains("-N") && arg.contains("-l"));
    assert!(api.builds().iter().all(slow), "{:#?}", api.builds());
    assert!(!other.builds().iter().any(slow), "{:#?}", other.builds());
    record(
        30,
        swaps.len(),
        "built with `-gcflags=all=-N -l`, run under `dlv exec --headless --accept-multiclient --continue`, one address through all swaps",
    );
}
