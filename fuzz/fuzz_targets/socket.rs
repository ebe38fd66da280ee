//! Any bytes at the supervisor's socket: they are answered or refused, and whoever asks next is answered still.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    orchestra_fuzz::ask(data, true);
    // One that was told to go is followed by another.
    let answered = (0..50).any(|_| {
        let answer = orchestra_fuzz::ask(b"GET /v1/version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false);
        answer.starts_with(b"HTTP/1.1 200 ")
    });
    assert!(answered);
});
