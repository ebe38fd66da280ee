//! The screens of one service and of the graph, at every size and in every state.

use super::*;

/// Everything that the screens of one service and of the graph can say.
fn told() -> Model {
    let mut model = model((160, 48));
    model.cores = 4;
    for second in 0..400_i64 {
        let mut ps = model.fleet.ps.clone().unwrap();
        for instance in ps.services.iter_mut().flat_map(|service| &mut service.instances) {
            instance.cpu_percent = instance.is_up().then(|| f64::from(second as i32 % 90) / 2.0);
            instance.memory_bytes = instance.is_up().then(|| (20 << 20) + (second as u64 % 200) * 100_000);
            instance.limits = (instance.id == "orders.1").then(|| wire::Limits {
                memory_bytes: Some(64 << 20),
                cpu: Some(0.5),
                enforced: second % 2 == 0,
                reason: Some("no delegated cgroup".into()),
            });
            instance.ready_at = (instance.state == "ready").then(|| "2026-01-02T03:04:06.978Z".into());
            instance.since = Some("2026-01-02T03:04:50Z".into());
            instance.listening = vec!["127.0.0.1:8080/tcp".into(), "[::]:9999/tcp".into()];
        }
        model.now = NOW - (400 - second) * 1_000_000;
        update(&mut model, Msg::Ps(Box::new(ps)));
    }
    model.now = NOW;
    let need = |service: &str, met| wire::WhyNeed {
        service: service.into(),
        condition: "ready".into(),
        state: if met { "ready" } else { "failed" }.into(),
        met,
    };
    let told = |name: &str, summary: &str, needs: Vec<wire::WhyNeed>| {
        (name.to_owned(), crate::tui::graph::Told { summary: summary.into(), needs, ..Default::default() })
    };
    let long = "a-service-with-a-name-of-sixty-characters-as-a-test-of-width";
    let mut ps = model.fleet.ps.clone().unwrap();
    ps.services.push(service(long, &["queued"]));
    update(&mut model, Msg::Ps(Box::new(ps)));
    let needs = [
        told("auth", "`auth` is ready", vec![need("postgres", true)]),
        told("orders", "`orders` is failed: its build failed", vec![need("postgres", true), need("auth", true)]),
        told("payments", "`payments` is failed: payments.1 exited with 2", vec![need("postgres", true)]),
        told("名前-の長いサービス", "it is starting", vec![need("payments", false), need("orders", true)]),
        told(
            long,
            "it is queued: it waits for `payments` to be ready",
            vec![need("payments", false), need("名前-の長いサービス", false)],
        ),
        told("postgres", "`postgres` is ready", Vec::new()),
        told("mailer", "`mailer` is off", Vec::new()),
    ];
    update(&mut model, Msg::Needs(needs.into()));
    model
}

/// The answer of `why` about a service of which everything is known.
fn why(model: &Model, name: &str) -> wire::Why {
    let service = model.fleet.service(name).unwrap().clone();
    let at = |second: u32| format!("2026-01-02T03:04:{second:02}Z");
    let exit = |instance: &str, code, reason: &str, ran_ms, second| wire::WhyExit {
        instance: instance.into(),
        exit: wire::Exit { code, signal: None, reason: reason.into(), killed: false, ran_ms, at: at(second) },
    };
    let env =
        [("DATABASE_URL", "postgres://shop:********@localhost:5432/shop"), ("API_KEY", "********"), ("PORT", "7102")];
    let from = [("DATABASE_URL", "env of the project"), ("API_KEY", "env file of the service"), ("PORT", "orchestra")];
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    wire::Why {
        summary: format!(
            "`{name}` is {}: {name}.1 exited with 1: \u{1b}[31mbind: address already in use",
            service.state
        ),
        reasons: vec![format!("{name}.1: its readiness probe got 503")],
        needs: vec![wire::WhyNeed {
            service: "postgres".into(),
            condition: "ready".into(),
            state: "ready".into(),
            met: true,
        }],
        exits: vec![
            exit(&format!("{name}.1"), Some(1), "exit", Some(4200), 50),
            exit(&format!("{name}.2"), None, "rerun", None, 40),
        ],
        holders: vec!["port 8080 is held by pid 7 (nc)".into()],
        watched: true,
        rerun: Some(wire::WhyRerun {
            files: vec!["internal/repo/pg.go".into()],
            more: 2,
            seen_at: at(30),
            aborted: 0,
            build: Some("failed".into()),
            phases: vec![wire::WhyPhase { phase: "built".into(), at: at(31), ms: 1234.0 }],
            total_ms: 1234.0,
        }),
        tests: Some(wire::WhyTests { state: "passed".into(), passed: 41, failed: 0, error: None }),
        containers: Vec::new(),
        events: vec![
            wire::WhyEvent { at: at(20), message: format!("{name}.1 was started") },
            wire::WhyEvent { at: at(50), message: format!("{name}.1 exited with 1 and is started again soon") },
        ],
        env: text(&env),
        env_from: text(&from),
        service,
    }
}

#[test]
fn one_service_in_depth() {
    // With a failed build and two copies, one copy of it, failed, starting with a wide name, off.
    let screens = [("orders", "j"), ("orders.1", "jj"), ("payments", "j"), ("名前", "G"), ("mailer", "gj")];
    let all = told();
    for (name, _) in screens {
        for size in SIZES {
            let mut model = all.clone();
            model.size = size;
            let id = if name == "名前" { "名前-の長いサービス" } else { name };
            let rows = model.rows(false);
            let at = rows.iter().position(|row| row.id == id).unwrap();
            press(&mut model, &format!("g{}<enter>", "j".repeat(at)));
            let why = why(&model, id.split('.').next().unwrap());
            update(&mut model, Msg::Why(Box::new(why)));
            insta::assert_snapshot!(format!("detail-{name}-{}x{}", size.0, size.1), text(&draw(&model)));
        }
    }
}

#[test]
fn each_part_of_a_service_alone() {
    let mut model = told();
    model.size = (80, 24);
    model.services.selected = Some("orders".into());
    press(&mut model, "<enter>");
    let why = why(&model, "orders");
    update(&mut model, Msg::Why(Box::new(why)));
    let mut all = String::new();
    for _ in 0..crate::tui::model::Part::ALL.len() - 1 {
        press(&mut model, "]");
        all.push_str(&text(&draw(&model)));
    }
    insta::assert_snapshot!("detail-parts-80x24", all);
    model.ascii = true;
    press(&mut model, "]");
    model.theme = Theme::named("mono", Depth::True).unwrap();
    let plain = text(&draw(&model));
    // But for what stands for an escape in somebody's words.
    assert!(plain.chars().all(|char| char.is_ascii() || char == char::REPLACEMENT_CHARACTER), "{plain}");
}

#[test]
fn the_graph_at_every_size() {
    let all = told();
    for (name, keys) in [("ok", "D"), ("waiting", "GD"), ("lit", "GDd"), ("tree", "GDg"), ("layers", "GDgg")] {
        for size in SIZES {
            let mut model = all.clone();
            model.size = size;
            press(&mut model, keys);
            insta::assert_snapshot!(format!("graph-{name}-{}x{}", size.0, size.1), text(&draw(&model)));
        }
    }
}

#[test]
fn a_graph_of_two_hundred_is_drawn_whole() {
    let mut model = Model::new("shop", (160, 48), NOW);
    let name = |n: usize| format!("service-{n:03}");
    let all = (0..200).map(|n| service(&name(n), &["ready"])).collect();
    update(&mut model, Msg::Ps(Box::new(ps(all))));
    let need =
        |n: usize| wire::WhyNeed { service: name(n), condition: "ready".into(), state: "ready".into(), met: true };
    let told = |n: usize| {
        let needs = (1..5).filter_map(|step| n.checked_sub(step * 17)).map(need).collect();
        (name(n), crate::tui::graph::Told { needs, ..Default::default() })
    };
    update(&mut model, Msg::Needs((0..200).map(told).collect()));
    press(&mut model, "Dgg");
    let layers = text(&draw(&model));
    assert!(layers.contains("service-000"), "{layers}");
    for _ in 0..11 {
        press(&mut model, "l");
    }
    assert!(text(&draw(&model)).contains(model.subject().unwrap()), "the cursor stays in sight");
}
