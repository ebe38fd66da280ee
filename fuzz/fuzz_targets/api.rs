//! A request's body: first byte which path, the rest its JSON. Read, planned, carried out, and answered to the end.
#![no_main]

use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 7] = ["start", "stop", "restart", "build", "scale", "kill", "why/a"];

fuzz_target!(|data: &[u8]| {
    let Some((which, body)) = data.split_first() else { return };
    let path = PATHS[usize::from(*which) % PATHS.len()];
    let method = if path.starts_with("why") { "GET" } else { "POST" };
    let head = format!(
        "{method} /v1/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = orchestra_fuzz::ask(&[head.as_bytes(), body].concat(), false);
    // A supervisor that ends may close before it reads.
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
});
