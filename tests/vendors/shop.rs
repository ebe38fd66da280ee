//! The example with real servers, from start to end.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::docker::{Engine, skip_extra};
use crate::support::{Fleet, Vendors, eventually};

/// A build of many modules takes so long at the most.
const BUILD: Duration = Duration::from_secs(900);

/// The modules that the example is made of, where `scripts/test` has fetched them: `go`'s own folder, which tests do not see otherwise.
fn modules() -> Option<String> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop-vendors");
    let go =
        |args: &[&str]| Command::new("go").args(args).current_dir(&example).env("GOPROXY", "off").output().unwrap();
    let there = go(&["list", "-deps", "-test", "./..."]);
    if there.status.success() {
        let folder = go(&["env", "GOMODCACHE"]).stdout;
        return Some(String::from_utf8(folder).unwrap().trim().to_owned());
    }
    skip_extra(&format!(
        "the shop with vendors: its modules are not here: {}",
        String::from_utf8_lossy(&there.stderr).trim()
    ));
    None
}

#[test]
fn orders_are_kept_and_shipped_and_survive() {
    let (Some(engine), Some(modules)) = (Engine::shared(), modules()) else { return };
    let shop = Fleet::copy_of("examples/shop-vendors");
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let project = format!("orc-shop-{}", &unique[..8]);
    let yaml = std::fs::read_to_string(shop.path("orchestra.yml")).unwrap();
    shop.write("orchestra.yml", yaml.replace("name: shop-vendors", &format!("name: {project}")));
    shop.set("GOMODCACHE", &modules);
    let fleet = Vendors::of(shop, engine, project);

    // The modules are compiled here for the first time, on a machine that may be busy.
    fleet.background(&["build"]).wait(BUILD).ok();
    fleet.orchestra(&["start"]).ok();
    let tested = fleet.background(&["test", "--acceptance"]).wait(BUILD).ok();
    assert!(tested.stdout.contains("orders"), "{}", tested.stdout);
    eventually("orders to be shipped", || fleet.lines(&["shipping"]).iter().any(|l| l.contains("tea")).then_some(()));
    let psql = ["vendors", "exec", "postgres", "psql", "-U", "postgres", "-d", "shop", "-Atc"];
    let orders = |statement: &str| fleet.orchestra(&[&psql[..], &[statement]].concat()).ok().stdout;
    assert_eq!(orders("select product from orders order by id"), "tea\npot\n");
    eventually("every order to be shipped", || {
        (orders("select count(*) from orders where shipped is null") == "0\n").then_some(())
    });

    fleet.orchestra(&["stop"]).ok();
    fleet.orchestra(&["start"]).ok();
    let port = fleet.instance("orders.1")["ports"]["http"].as_u64().unwrap() as u16;
    let list: serde_json::Value = serde_json::from_str(&fleet.get(port, "/orders").unwrap()).unwrap();
    let products: Vec<&str> = list.as_array().unwrap().iter().map(|o| o["product"].as_str().unwrap()).collect();
    assert_eq!(products, ["tea", "pot"]);
}
