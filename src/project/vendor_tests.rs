//! Vendors of a project, resolved: containers, ports, variables, settings; and the Compose files they come from.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use super::load::{LoadOptions, load};
use super::resolve_tests::{Fleet, name};
use super::select::{enabled, with_needs};
use crate::config::problem::Problem;
use crate::task::container::{ContainerSpec, HealthTest, Network, Source};
use crate::task::restart::RestartMode;
use crate::task::spec::{Condition, Kind, ProbeTarget, RunSpec, ServiceSpec};

fn one(text: &str) -> Fleet {
    Fleet::new(&[("orchestra.yml", text)])
}

fn run(fleet: &Fleet, vendor: &str) -> Arc<RunSpec> {
    fleet.one(vendor).runs[0].clone()
}

fn container(fleet: &Fleet, vendor: &str) -> Arc<ContainerSpec> {
    run(fleet, vendor).container.clone().unwrap()
}

fn env(run: &RunSpec) -> String {
    run.env.iter().fold(String::new(), |mut out, (key, value)| {
        write!(out, "{}={} ", key.display(), value.display()).unwrap();
        out
    })
}

fn messages(problems: &[Problem]) -> String {
    let hint = |problem: &Problem| problem.hint.as_ref().map_or(String::new(), |hint| format!(" | {hint}"));
    let line = |problem: &Problem| {
        format!(
            "{}:{}:{}: {}{}\n",
            problem.file.display(),
            problem.line,
            problem.column,
            problem.message,
            hint(problem)
        )
    };
    problems.iter().map(line).collect()
}

fn needs(spec: &ServiceSpec) -> String {
    spec.needs.iter().map(|need| format!("{}:{:?} ", need.service, need.condition)).collect()
}

const SHOP: &str = r#"
name: shop
services:
  api: {command: [x], depends_on: [postgres, migrate]}
vendors:
  postgres:
    image: "postgres:${PG_VERSION:-16}"
    ports: ["5432:5432", "8008"]
    environment: {POSTGRES_PASSWORD: dev, POSTGRES_DB: "${ORCHESTRA_PROJECT:-x}", URL: "pg://${POSTGRES_PASSWORD}"}
    volumes: ["pgdata:/var/lib/postgresql/data", "./init:/docker-entrypoint-initdb.d:ro", "/var/cache", "~/pg:/home"]
    healthcheck: {test: ["CMD", "pg_isready", "-h", "127.0.0.1"], interval: 1s, retries: 7}
    stop_signal: SIGINT
    stop_grace_period: 30s
    mem_limit: 512m
    cpus: 0.5
    restart: unless-stopped
  migrate:
    image: migrate
    type: job
    depends_on: {postgres: {condition: service_healthy}}
  nats:
    image: nats:2
    ports: [4222]
    ready: {http: /healthz}
    depends_on: [migrate]
"#;

#[test]
fn a_section_becomes_a_container() {
    let fleet = one(SHOP);
    let spec = fleet.one("postgres");
    assert_eq!((spec.kind, spec.restart.mode, needs(&spec)), (Kind::Vendor, RestartMode::Always, String::new()));
    let run = &spec.runs[0];
    assert_eq!(env(run), "POSTGRES_DB=x POSTGRES_PASSWORD=dev URL=pg://dev ", "nothing of the caller's");
    let ports: Vec<_> = run.ports.iter().map(|port| (port.name.as_str(), port.number)).collect();
    assert_eq!(ports, [("5432", 5432), ("8008", 20002)], "the free one after that of nats");
    assert_eq!((run.stop.signal, run.stop.grace.as_secs()), (2, 30));
    assert_eq!((run.resources.memory, run.resources.cpu), (512 << 20, 0.5));
    assert_eq!(run.promised().memory, 0, "a limit is not kept free");
    assert_eq!((&run.ready.target, run.ready.failures), (&ProbeTarget::Health, 7));
    let container = run.container.as_ref().unwrap();
    assert_eq!(container.image, "postgres:16");
    assert_eq!(container.network, Network::Project { aliases: vec!["postgres".to_owned()] });
    let published: Vec<_> =
        container.published.iter().map(|p| format!("{}:{}>{}", p.address, p.host, p.container)).collect();
    assert_eq!(published, ["127.0.0.1:5432>5432", "127.0.0.1:20002>8008"]);
    let test = HealthTest::Exec(["pg_isready", "-h", "127.0.0.1"].map(str::to_owned).to_vec());
    assert_eq!(container.check.as_ref().unwrap().test, test);
    let volume = Source::Volume { name: "shop_pgdata".into(), key: "pgdata".into(), external: false, nocopy: false };
    let bind = |path: &Path| Source::Bind { path: path.to_owned(), create: true, propagation: None, relabel: None };
    let sources: Vec<_> = container.mounts.iter().map(|mount| &mount.source).collect();
    let init = bind(&fleet.root.join("init"));
    assert_eq!(sources, [&volume, &init, &Source::Anonymous, &bind(Path::new("/home/me/pg"))]);
    assert!(container.mounts[1].read_only && !container.mounts[0].read_only);
}

#[test]
fn needs_go_both_ways_and_jobs_are_waited_for_to_their_end() {
    let fleet = one(SHOP);
    assert_eq!(needs(&fleet.one("api")), "postgres:Ready migrate:Completed ");
    let migrate = fleet.one("migrate");
    assert_eq!((migrate.kind, migrate.restart.mode), (Kind::Job, RestartMode::No));
    assert_eq!(needs(&migrate), "postgres:Ready ");
    assert_eq!(migrate.runs[0].ready.target, ProbeTarget::Started);
    assert_eq!(needs(&fleet.one("nats")), "migrate:Completed ");
    let reached = with_needs(&fleet.load(), &[name("nats")].into());
    assert_eq!(reached, ["migrate", "nats", "postgres"].map(name).into());
    match &run(&fleet, "nats").ready.target {
        ProbeTarget::Http(http) => {
            assert_eq!((http.url.as_str(), http.own_port), ("http://127.0.0.1:4222/healthz", Some(4222)))
        }
        other => panic!("{other:?}"),
    }
    let circle = "services: {a: {command: [x], depends_on: [v]}}\nvendors: {v: {image: v, depends_on: [w]}, w: {image: w, depends_on: [a]}}\n";
    let fleet = one(circle);
    let problems = load(&fleet.root, &LoadOptions::default()).unwrap_err();
    assert!(messages(&problems).contains("in a circle: a → v → w → a"), "{}", messages(&problems));
}

#[test]
fn services_find_vendors_by_the_address_that_is_published() {
    let fleet = one("services: {api: {command: [x]}}\nvendors:\n  pg: {image: pg, ports: ['5432', '53:53/udp']}\n  \
         far: {image: x, ports: ['192.168.7.1:80:8080']}\n  all: {image: x, ports: ['0.0.0.0:81:81']}\n  \
         six: {image: x, ports: ['[::1]:82:82']}\n  host: {image: x, ports: ['9000'], network_mode: host}\n");
    let found = |key: &str| fleet.var("api", key).unwrap_or_default();
    assert_eq!(found("PG_HOST"), "127.0.0.1");
    assert_eq!(found("PG_ADDR"), format!("127.0.0.1:{}", found("PG_PORT")));
    assert_eq!(found("PG_PORT_53_UDP"), "53");
    assert_eq!(found("FAR_ADDR"), "192.168.7.1:80");
    assert_eq!(found("ALL_ADDR"), "127.0.0.1:81");
    assert_eq!(found("SIX_ADDR"), "[::1]:82");
    assert_eq!(found("HOST_ADDR"), "127.0.0.1:9000", "on the host's network it listens where it listens");
    assert!(container(&fleet, "host").published.is_empty());
}

#[test]
fn an_offset_moves_fixed_ports_and_clashes_are_told() {
    let mut fleet =
        one("services: {api: {command: [x], port: 8080}}\nvendors:\n  a: {image: a, ports: ['8080:80']}\n  \
         b: {image: b, ports: ['8081:80'], profiles: [more]}\n");
    let problems = load(&fleet.root, &LoadOptions::default()).unwrap_err();
    assert!(messages(&problems).contains("port 8080 is wanted by `api.1` and by `a`"), "{}", messages(&problems));
    fleet =
        one("vendors:\n  a: {image: a, ports: ['8081:80']}\n  b: {image: b, ports: ['8081:80'], profiles: [more]}\n");
    fleet.offset = Some(100);
    assert_eq!(run(&fleet, "a").ports[0].number, 8181, "the other one is asleep");
    let both = messages(&fleet.try_specs(&["a", "b"]).unwrap_err());
    assert!(both.contains("port 8181 is wanted by `a` and by `b`"), "{both}");
    fleet.offset = Some(60_000);
    let high = messages(&fleet.try_specs(&["a"]).unwrap_err());
    assert!(high.contains("`a` would be published on port 68081, which does not exist"), "{high}");
}

#[test]
fn profiles_and_enabled_decide_what_starts_by_itself() {
    let fleet = one(
        "vendors:\n  a: {image: a}\n  b: {image: b, profiles: [tools, debug]}\n  c: {image: c, enabled: false}\n  d: {image: d, scale: 0}\n",
    );
    let project = fleet.load();
    let names = |profiles: &[&str]| {
        let profiles: Vec<String> = profiles.iter().map(ToString::to_string).collect();
        enabled(&project, &profiles).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!([names(&[]), names(&["debug"]), names(&["*"]), names(&["x"])], ["a", "a b", "a b", "a"]);
    let caller = [("COMPOSE_PROFILES".into(), " tools,x ".into())];
    assert_eq!(project.profiles(&["y".to_owned()], &caller), ["y", "tools", "x"]);
}

#[test]
fn settings_change_with_what_makes_the_container_and_with_nothing_else() {
    let base = "image: x\n    environment: {A: '1'}\n    volumes: ['v:/v']";
    let text = |body: &str| format!("vendors:\n  db:\n    {body}\n");
    let settings = |body: &str, caller: &[(&str, &str)]| {
        let mut fleet = one(&text(body));
        fleet.caller.extend(caller.iter().map(|(key, value)| (key.into(), value.into())));
        fleet.settings("db")
    };
    let same = settings(base, &[]);
    assert_eq!(same, settings(base, &[("OTHER", "x")]), "the caller's variables are not the container's");
    assert_eq!(same, settings(&format!("{base}\n    restart: always\n    depends_on: []"), &[]));
    for more in [
        "image: y\n    environment: {A: '1'}\n    volumes: ['v:/v']",
        "image: x\n    environment: {A: '2'}\n    volumes: ['v:/v']",
        "image: x\n    environment: {A: '1'}\n    volumes: ['v:/v:ro']",
        &format!("{base}\n    command: [x]"),
        &format!("{base}\n    ports: ['80']"),
        &format!("{base}\n    user: me"),
        &format!("{base}\n    mem_limit: 64m"),
        &format!("{base}\n    tty: true"),
        &format!("{base}\n    cap_add: [NET_ADMIN]"),
        &format!("{base}\n    healthcheck: {{disable: true}}"),
        &format!("{base}\n    labels: {{a: b}}"),
        &format!("{base}\n    stop_signal: INT"),
    ] {
        assert_ne!(same, settings(more, &[]), "{more}");
    }
    let open = "image: x\n    environment: [KEY]";
    assert_ne!(
        settings(open, &[("KEY", "1")]),
        settings(open, &[("KEY", "2")]),
        "what is handed on is the container's"
    );
}

const COMPOSE: &str = r#"
version: "3.8"
x-base: &base {restart: "on-failure:3", logging: {driver: json-file}}
services:
  db:
    <<: *base
    image: ${REGISTRY-docker.io}/postgres:$PG
    environment:
      - POSTGRES_USER=${USER_OF_DB:?say who}
      - SECOND=$POSTGRES_USER
      - HANDED
      - DOLLAR=$$x
    env_file: [{path: ./db.env, required: false}, {path: ./raw.env, format: raw}]
    volumes: ["data:/data", {type: volume, source: own, target: /own}]
    networks: [back]
    secrets: [password, {source: other, target: /etc/other}]
    configs: [app]
    container_name: my_db
  migrate:
    image: migrate
    depends_on: [db]
  web:
    build: .
  cache:
    image: redis
    profiles: [more]
    depends_on: {migrate: {condition: service_completed_successfully}, web: {condition: service_started, required: false}}
volumes: {data: , own: {external: true, name: "shared_${PG}"}}
networks: {back: }
secrets: {password: {file: "./secret/${PG}"}, other: {file: /o}}
configs: {app: {file: ./app.conf}}
"#;

#[test]
fn a_compose_file_means_what_it_means_to_compose() {
    let mut fleet = Fleet::new(&[
        ("orchestra.yml", "name: shop\ninclude: [deploy/compose.yml]\nenv: {USER_OF_DB: nobody, REGISTRY: nowhere}\n"),
        ("deploy/compose.yml", COMPOSE),
        ("deploy/.env", "PG=15\nUSER_OF_DB=beside\n"),
        ("deploy/raw.env", "# no\nRAW='$x'\n"),
    ]);
    let warnings = messages(&fleet.load().warnings);
    let expected = "\
deploy/compose.yml:3:41: `logging` is not taken: the output is kept in the project's logs | `orchestra logs` shows it, `logs: {keep: …}` bounds it
deploy/compose.yml:18:5: `container_name` is not taken: containers are named after the project and `db` | others find it by the name of its section
deploy/compose.yml:23:5: `web` has `build` and is left out | to run it here make it a service of this project, or give it an `image` alone
";
    assert_eq!(warnings, expected);
    fleet.caller.push(("HANDED".into(), "from the shell".into()));
    let db = run(&fleet, "db");
    assert_eq!(env(&db), "DOLLAR=$x HANDED=from the shell POSTGRES_USER=beside RAW='$x' SECOND= ");
    assert_eq!(container(&fleet, "db").image, "docker.io/postgres:15");
    fleet.caller.push(("USER_OF_DB".into(), "shell".into()));
    fleet.caller.push(("PG".into(), "14".into()));
    assert!(env(&run(&fleet, "db")).contains("POSTGRES_USER=shell "), "the shell beats the file beside");
    let volumes: Vec<_> = container(&fleet, "db").mounts.iter().map(|mount| mount.source.clone()).collect();
    let volume = |name: &str, key: &str, external| Source::Volume {
        name: name.into(),
        key: key.into(),
        external,
        nocopy: false,
    };
    assert_eq!(volumes[..2], [volume("shop_data", "data", false), volume("shared_14", "own", true)]);
    let files = container(&fleet, "db").mounts[2..]
        .iter()
        .map(|mount| (mount.target.clone(), mount.source.clone()))
        .collect::<Vec<_>>();
    let bind = |target: &str, path: &Path| {
        let source = Source::Bind { path: path.to_owned(), create: false, propagation: None, relabel: None };
        (target.to_owned(), source)
    };
    let deploy = fleet.root.join("deploy");
    let expected = [
        bind("/run/secrets/password", &deploy.join("secret/14")),
        bind("/etc/other", Path::new("/o")),
        bind("/app", &deploy.join("app.conf")),
    ];
    assert_eq!(files, expected);
    let migrate = fleet.one("migrate");
    assert_eq!((migrate.kind, migrate.restart.mode), (Kind::Job, RestartMode::No), "somebody waits for its end");
    assert_eq!(migrate.needs[0].condition, Condition::Started, "a list of Compose's");
    assert_eq!(needs(&fleet.one("cache")), "migrate:Completed ");
    assert_eq!((fleet.one("db").restart.mode, fleet.one("db").restart.limit), (RestartMode::OnFailure, 4));
}
