//! What a service finds in its environment: the layers, the interpolation, what orchestra sets; and `export`.

use crate::support::Fleet;

#[test]
fn the_later_layer_wins() {
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", "env_file: [project.env]\nenv: {C: project, D: project, E: project, F: project}\nstart: {env: {D: command, E: command, F: command}}\n");
    fleet.write("project.env", "B=file\nC=file\n");
    fleet.write("api/own.env", "E=own file\nF=own file\n");
    fleet.toy("api", &["-env", "A,B,C,D,E,F,G"], "env_file: [own.env]\nenv: {F: own, G: own}");
    let mut start = fleet.command(&["start", "-e", "G=line"]);
    start.env("A", "caller").env("B", "caller");
    fleet.run(start).ok();
    let wanted = ["A=caller", "B=file", "C=project", "D=command", "E=own file", "F=own", "G=line"];
    assert_eq!(fleet.lines(&[]), wanted);
}

#[test]
fn orchestra_sets_ports_names_and_neighbours() {
    let fleet = Fleet::new();
    let port = fleet.ports(4);
    fleet.write("orchestra.yml", "name: shop\n");
    fleet.toy(
        "my-db",
        &["-listen", &format!("127.0.0.1:{}", port + 3)],
        &format!("ports: {{admin: {}, http: {}}}", port + 3, port + 2),
    );
    let keys = "PORT,PORT_HTTP,ORCHESTRA_PROJECT,ORCHESTRA_SERVICE,ORCHESTRA_INSTANCE,ORCHESTRA_INDEX,ORCHESTRA_SCALE,\
        MY_DB_HOST,MY_DB_PORT,MY_DB_ADDR,MY_DB_PORT_ADMIN,PEERS,LEFT";
    let yaml = format!(
        "port: {port}\nscale: 2\nenv:\n  PEERS: ${{ORCHESTRA_PEERS_HTTP}}\n  LEFT: ${{NOTHING:-default}} $$ $x\n"
    );
    fleet.toy("api", &["-env", keys], &yaml);
    fleet.orchestra(&["start"]).ok();
    let wanted = [
        format!("PORT={}", port + 1),
        format!("PORT_HTTP={}", port + 1),
        "ORCHESTRA_PROJECT=shop".into(),
        "ORCHESTRA_SERVICE=api".into(),
        "ORCHESTRA_INSTANCE=2".into(),
        "ORCHESTRA_INDEX=1".into(),
        "ORCHESTRA_SCALE=2".into(),
        "MY_DB_HOST=127.0.0.1".into(),
        format!("MY_DB_PORT={}", port + 2),
        format!("MY_DB_ADDR=127.0.0.1:{}", port + 2),
        format!("MY_DB_PORT_ADMIN={}", port + 3),
        format!("PEERS=127.0.0.1:{port},127.0.0.1:{}", port + 1),
        "LEFT=default $ $x".into(),
    ];
    assert_eq!(fleet.lines(&["api.2"]), wanted);
}

#[test]
fn an_auto_port_is_kept_over_restarts() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "port: auto");
    fleet.orchestra(&["start"]).ok();
    let port = fleet.instance("api.1")["ports"]["http"].as_u64().unwrap() as u16;
    assert!(fleet.get(port, "/").is_some());
    fleet.orchestra(&["restart"]).ok();
    assert_eq!(fleet.instance("api.1")["ports"]["http"], port);
}

#[test]
fn the_offset_moves_every_fixed_port() {
    let fleet = Fleet::new();
    let port = fleet.ports(8);
    fleet.toy("api", &["-env", "PORT"], &format!("port: {port}"));
    let mut start = fleet.command(&["start"]);
    start.env("ORCHESTRA_PORT_OFFSET", "3");
    fleet.run(start).ok();
    assert_eq!(fleet.lines(&[]), [format!("PORT={}", port + 3)]);
    fleet.orchestra(&["stop"]).ok();
    fleet.orchestra(&["start", "--port-offset", "5"]).ok();
    assert_eq!(fleet.lines(&[]).last().unwrap(), &format!("PORT={}", port + 5));
}

#[test]
fn export_is_safe_for_a_shell() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.write("orchestra.yml", "env: {GREETING: \"it's $HOME; `ls`\"}\n");
    fleet.toy("api", &[], &format!("port: {port}\nenv: {{OWN: two words}}"));
    let project = fleet.orchestra(&["export"]).ok();
    assert!(!project.stdout.contains("OWN"), "{}", project.stdout);
    let api = fleet.orchestra(&["export", "api"]).ok();
    for line in api.stdout.lines() {
        assert!(line.starts_with("export ") || !line.is_empty(), "{line}");
    }
    let mut shell = std::process::Command::new("bash");
    let script = "eval \"$EXPORTED\"; printf '%s|%s|%s|%s' \"$GREETING\" \"$OWN\" \"$PORT\" \"$API_ADDR\"";
    shell.args(["-c", script]).env_clear().env("EXPORTED", &api.stdout).current_dir(fleet.root());
    let output = fleet.run(shell).ok();
    assert_eq!(output.stdout, format!("it's $HOME; `ls`|two words|{port}|127.0.0.1:{port}"));
    assert_eq!(fleet.processes(), []);
}
