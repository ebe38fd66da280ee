//! What Go's tools write: go.mod and go.work, and the compiler's messages.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use orchestra::services::{gomod, problems};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let directives = gomod::parse(&text);
    for value in [&directives.module, &directives.go, &directives.toolchain].into_iter().flatten() {
        assert!(!value.is_empty());
        let _name = gomod::binary_name(value);
        let _order = (gomod::older(value, "1.22"), gomod::older("1.22rc1", value));
    }
    if let Some(failure) = problems::parse(data, Path::new("/p/api"), Path::new("/p")) {
        assert!(failure.problems.len() <= 200);
        assert!(!failure.error.contains('\n'), "{:?}", failure.error);
        for problem in &failure.problems {
            let _line = problems::line_of(problem);
        }
    }
});
