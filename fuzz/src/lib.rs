//! What the targets share: a folder in memory where there is one, inputs of several parts, and a whole supervisor in this process.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use orchestra::api::listen::Checked;
use orchestra::api::server::Server;
use orchestra::supervisor;
use orchestra::sys::home::Home;
use tempfile::TempDir;

/// A new folder, in memory where the system has such a place.
pub fn folder() -> TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// `N` parts of an input, with a record separator (0x1e) between two of them; missing ones are empty.
pub fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0x1e);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Nobody who asks waits longer than this.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The socket of a supervisor in this process. Its project has two services whose program does not exist, so whatever is asked nothing is ever run.
pub fn supervisor() -> &'static Path {
    static SOCKET: LazyLock<PathBuf> = LazyLock::new(|| {
        let dir = folder().keep();
        for (path, text) in [
            ("orchestra.yml", ""),
            ("a/service.yml", "command: [./missing]\nscale: 2\nports: {http: auto}\n"),
            ("b/service.yml", "command: [./missing]\ndepends_on: [a]\ntype: job\n"),
        ] {
            std::fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.join(path), text).unwrap();
        }
        let home = Home::find(&dir).unwrap();
        home.open().unwrap();
        let socket = home.supervisor_socket();
        std::thread::spawn(move || supervise_for_ever(&home));
        socket
    });
    &SOCKET
}

/// A supervisor that was told to stop ends; the next one follows.
fn supervise_for_ever(home: &Home) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let socket = home.supervisor_socket();
    loop {
        // The first time there is none.
        let _absent = std::fs::remove_file(&socket);
        runtime.block_on(async {
            let (handle, actor) = supervisor::spawn(home.clone()).await.unwrap();
            let listener = Checked::new(UnixListener::bind(&socket).unwrap()).unwrap();
            let server = Server::new(home.clone(), "fuzz".into(), handle);
            server.serve(listener, async { actor.await.unwrap() }).await.unwrap();
        });
    }
}

/// Says `bytes` and gives what is answered until the other side closes; panics when it never does.
pub fn ask(bytes: &[u8], half: bool) -> Vec<u8> {
    let began = Instant::now();
    let mut stream = loop {
        match UnixStream::connect(supervisor()) {
            Ok(stream) => break stream,
            // Between two supervisors nobody listens.
            Err(error) => assert!(began.elapsed() < PATIENCE, "nobody answers: {error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let refused = |error: &std::io::Error| {
        matches!(error.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset)
    };
    if let Err(error) = stream.write_all(bytes) {
        assert!(refused(&error), "it takes no more: {error}");
    }
    if half {
        // Refused already is fine.
        let _gone = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(refused(&error), "no answer after {PATIENCE:?}: {error}");
    }
    answer
}
