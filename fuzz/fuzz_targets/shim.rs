//! What supervisor and shim say to each other: lines of the control protocol, the fields of a spec, and the records on disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orchestra::shim::record::{ExitRecord, InstanceRecord};
use orchestra::shim::spec::View;
use orchestra::shim::wire::{Event, Order};

fuzz_target!(|data: &[u8]| {
    for line in data.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        if let Some(order) = Order::parse(line) {
            assert_eq!(Order::parse(&order.to_string()), Some(order), "{line:?}");
        }
        if let Some(event) = Event::parse(line) {
            assert_eq!(Event::parse(&event.to_string()), Some(event), "{line:?}");
        }
    }
    let view = View(data);
    for key in ["slot", "program", "dir", "keep", "env", ""] {
        let all = view.all(key).count();
        assert!(view.get(key).is_none() || all > 0);
        let _paths = (view.path(key), view.text(key), view.number::<u64>(key), view.pair(key));
    }
    let _records = (serde_json::from_slice::<InstanceRecord>(data), serde_json::from_slice::<ExitRecord>(data));
});
