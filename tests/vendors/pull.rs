//! Images come from a registry, with a word on how far that is. The registry is a vendor of the test's own.

use crate::support::Vendors;

/// Its name in the registry, once 24 MB that nothing can make smaller have been put on top of busybox.
fn pushed(fleet: &Vendors) -> String {
    let port = fleet.instance("registry.1")["ports"]["5000"].as_u64().unwrap();
    // The engine takes 127.0.0.0/8 without TLS.
    let image = format!("127.0.0.1:{port}/{}:1", fleet.project);
    let name = format!("{}-fat", fleet.project);
    let fill = "dd if=/dev/urandom of=/fat bs=1M count=24";
    fleet.engine.docker(&["run", "--name", &name, "--network", "none", "busybox:1", "sh", "-c", fill]);
    fleet.engine.docker(&["commit", "-c", "CMD [\"sleep\", \"1000000\"]", &name, &image]);
    fleet.engine.docker(&["rm", "-fv", &name]);
    fleet.engine.docker(&["push", "-q", &image]);
    fleet.engine.docker(&["rmi", &image]);
    image
}

#[test]
fn an_image_is_fetched_with_progress_and_only_once() {
    let registry = "  registry: {image: \"registry:2\", ports: [\"5000\"]}\n";
    let Some(fleet) = Vendors::new("pull", &format!("vendors:\n{registry}")) else { return };
    fleet.orchestra(&["start"]).ok();
    let image = pushed(&fleet);
    fleet.write("orchestra.yml", format!("vendors:\n{registry}  fat: {{image: \"{image}\", init: true}}\n"));

    let lines = fleet.orchestra(&["vendors", "pull", "fat", "-o", "json"]).ok().json_lines();
    let states: Vec<&str> = lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!((states.first(), states.last()), (Some(&"pulling"), Some(&"pulled")), "{states:?}");
    let percent: Vec<u64> = lines.iter().filter_map(|line| line["percent"].as_u64()).collect();
    assert!(percent.is_sorted(), "{percent:?}");
    assert!(lines.iter().any(|line| line["total"].as_u64() > Some(24_000_000)), "{lines:?}");
    assert_eq!(lines[0]["vendors"][0], "fat");
    let again = fleet.orchestra(&["vendors", "pull", "fat"]).ok();
    assert!(again.stderr.contains("current"), "{}", again.stderr);

    // `start` fetches what is missing.
    fleet.engine.docker(&["rmi", &image]);
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.service("fat")["state"], "ready");

    let missing = image.replace(":1", ":2");
    fleet.write("orchestra.yml", format!("vendors:\n{registry}  other: {{image: \"{missing}\"}}\n"));
    let failed = fleet.orchestra(&["vendors", "pull", "other"]).exits(1);
    assert_eq!(failed.stderr.lines().filter(|l| l.starts_with("error:")).count(), 1, "{}", failed.stderr);
    assert!(failed.stderr.contains(&missing), "{}", failed.stderr);
    fleet.orchestra(&["vendors", "down", "--volumes", "--yes"]).ok();
    fleet.engine.docker(&["rmi", &image]);
}
