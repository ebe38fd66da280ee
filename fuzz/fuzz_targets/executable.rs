//! Any bytes as an executable: what it says of itself is read or not, in bounded time and memory.
#![no_main]

use std::cell::LazyCell;
use std::fs::{self, File};

use libfuzzer_sys::fuzz_target;
use orchestra::services::buildid;
use tempfile::TempDir;

thread_local! {
    static DIR: LazyCell<TempDir> = const { LazyCell::new(orchestra_fuzz::folder) };
}

fuzz_target!(|data: &[u8]| {
    DIR.with(|dir| {
        let path = dir.path().join("program");
        fs::write(&path, data).unwrap();
        let file = File::open(&path).unwrap();
        if let Some(id) = buildid::build_id(&file) {
            assert!(id.len() <= data.len());
        }
        let _info = buildid::build_info(&file);
        assert!(!buildid::artifact(&path).unwrap().0.is_empty());
    });
});
