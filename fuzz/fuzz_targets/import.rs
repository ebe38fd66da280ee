//! `init --from`: a Procfile or a Compose file becomes files that load, or is refused.
#![no_main]

use std::cell::LazyCell;
use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use orchestra::cli::init::plan;
use orchestra::config::tree::Source;
use orchestra::config::yaml;
use tempfile::TempDir;

thread_local! {
    static DIR: LazyCell<TempDir> = const { LazyCell::new(orchestra_fuzz::folder) };
}

fuzz_target!(|data: &[u8]| {
    DIR.with(|dir| {
        for name in ["Procfile", "compose.yml"] {
            fs::write(dir.path().join(name), data).unwrap();
            let Ok(plan) = plan::make(dir.path(), Some(Path::new(name))) else { continue };
            for (path, text) in &plan.files {
                let parsed = yaml::parse(&Source::new(path, text));
                assert!(parsed.problems.is_empty(), "{}: {}\n{text}", path.display(), parsed.problems[0]);
            }
        }
    });
});
