//! The service of the tests, built once and used by most of them through `command:`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where everything lies that tests share: Go's cache and the toy.
pub(crate) fn shared() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Go's cache, kept between runs because the first build of `net/http` takes long.
pub(crate) fn go_cache() -> PathBuf {
    shared().join("go-cache")
}

/// What `go` needs beside `PATH` and `HOME`: nothing of the machine, nothing of the network.
pub(crate) fn go_env() -> [(&'static str, String); 5] {
    [
        ("GOCACHE", go_cache().to_string_lossy().into_owned()),
        ("GOENV", "off".into()),
        ("GOFLAGS", String::new()),
        ("GOPROXY", "off".into()),
        ("GOTOOLCHAIN", "local".into()),
    ]
}

/// The path of the built toy (tests/fixtures/toy).
pub(crate) fn toy() -> &'static str {
    static TOY: OnceLock<String> = OnceLock::new();
    TOY.get_or_init(|| {
        let binary = shared().join("toy").join("toy");
        fs::create_dir_all(shared().join("toy")).unwrap();
        let lock = fs::File::create(shared().join("toy.lock")).unwrap();
        lock.lock().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/toy");
        let fresh = binary.with_extension("new");
        let built = Command::new("go")
            .args(["build", "-buildvcs=false", "-o"])
            .args([&fresh, Path::new(".")])
            .current_dir(source)
            .envs(go_env())
            .output()
            .unwrap_or_else(|e| panic!("cannot run `go`, which the tests need: {e}"));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        // Equal bytes stay, so that a copy that still runs is not replaced under it.
        if fs::read(&binary).ok() != Some(fs::read(&fresh).unwrap()) {
            fs::rename(&fresh, &binary).unwrap();
        }
        binary.to_string_lossy().into_owned()
    })
}
