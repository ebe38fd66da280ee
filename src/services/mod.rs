//! Services: their section of the configuration, and what makes Go services different from any program: packages, builds, build ids.

pub mod build;
pub mod buildid;
pub mod dlv;
pub mod elf;
pub mod gomod;
pub mod gorun;
pub mod neighbours;
pub mod packages;
pub mod probes;
pub mod problems;
pub mod read;
pub mod run;
pub mod sections;
pub mod sources;
pub mod spec;
