//! What a row measured, kept as a small file that `scripts/faults` puts into `RESULTS.md`.

use std::fmt::Display;

use crate::support::report;

/// Records what the row `number` of `rows.txt` showed, in one sentence of figures.
pub(crate) fn record(number: u32, measured: impl Display) {
    report::record("faults", number, measured);
}
