//! Work whose instructions `benches/counts` counts: a fleet of forty services comes up, one of ten ends and is restarted, and all are stopped.

use super::tests::{World, service};
use crate::task::spec::ServiceSpec;

fn whole_life(specs: &[ServiceSpec], names: &[&str]) {
    let mut world = World::new();
    world.start(specs);
    world.kind();
    for name in names.iter().step_by(10) {
        world.exit(&format!("{name}.1"), 1);
        world.kind();
    }
    world.stop(names);
    world.kind();
    assert_eq!(world.live_names(), "");
}

#[test]
#[ignore = "counted by benches/counts"]
fn the_engine() {
    let names: Vec<String> = (0..40).map(|n| format!("s{n:03}")).collect();
    // Each needs the one ten before it.
    let needs = |n: usize| n.checked_sub(10).map(|n| names[n].as_str());
    let specs: Vec<ServiceSpec> =
        names.iter().enumerate().map(|(n, name)| service(name, 1, needs(n).as_slice())).collect();
    whole_life(&specs, &names.iter().map(String::as_str).collect::<Vec<_>>());
}
