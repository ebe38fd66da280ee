//! What a row measured, kept as a small file that `scripts/faults` puts into `RESULTS.md`.

use std::fmt::Display;
use std::fs;

use crate::support::toy;

/// Records what the row `number` of `rows.txt` showed, in one sentence of figures.
pub(crate) fn record(number: u32, measured: impl Display) {
    let folder = toy::shared().join("faults");
    fs::create_dir_all(&folder).unwrap();
    let test = std::thread::current().name().unwrap_or("unnamed").replace("::", "-");
    fs::write(folder.join(format!("{number:02}-{test}.txt")), format!("{measured}\n")).unwrap();
}
