//! The scenarios of `rows.txt` on real Go modules: what a save does, counted where it happens, its result recorded for `RESULTS.md`.
//!
//! With all other tests each scenario runs once or twice; `scripts/reruns` repeats it.

mod calls;
mod config;
mod crashes;
mod debug;
mod edits_during;
mod embed;
mod failures;
mod folders;
mod gates;
mod modules;
mod output;
mod packages;
mod polling;
mod processes;
mod saves;
mod stage;
mod storms;
mod swaps;

use std::fmt::Write;
use std::time::Duration;

use crate::support::report;
use stage::Swap;

/// How often a scenario is repeated: `ORCHESTRA_RERUN_ROUNDS`, else `few`.
fn rounds(few: usize) -> usize {
    std::env::var("ORCHESTRA_RERUN_ROUNDS").map_or(few, |text| text.parse().unwrap())
}

/// Does it as often as asked for, with the number of the round.
#[track_caller]
fn repeat<T>(few: usize, one: impl FnMut(usize) -> T) -> Vec<T> {
    (0..rounds(few)).map(one).collect()
}

/// Records what a scenario showed: how often it was made, none of which missed (else its test had failed), and further words.
fn record(number: u32, times: usize, words: &str) {
    let mut text = format!("{times} rounds, 0 misses");
    if !words.is_empty() {
        write!(text, "; {words}").unwrap();
    }
    report::record("reruns", number, text);
}

/// Median, least and most, in milliseconds.
fn spread(times: impl IntoIterator<Item = Duration>) -> String {
    let mut times: Vec<u128> = times.into_iter().map(|time| time.as_millis()).collect();
    times.sort_unstable();
    match times[..] {
        [] => "–".to_owned(),
        [one] => format!("{one} ms"),
        [least, .., most] => format!("median {} ms ({least}–{most})", times[times.len() / 2]),
    }
}

/// How long saves took.
fn saved(swaps: &[Swap]) -> String {
    let begun = spread(swaps.iter().map(|swap| swap.begun));
    format!("save → serving {}, → `go build` {begun}", spread(swaps.iter().map(|swap| swap.took)))
}
