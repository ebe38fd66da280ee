//! Third-party servers in the syntax of Compose files: a section of `vendors:`, or a service of an included Compose file. What is not supported is
//! named, never dropped.
//!
//! A section is read twice: when the project is loaded, as far as it has no variables in it, and once more with all of them filled in, when
//! somebody starts it. Paths, the project's name and free ports are put in later, in `project/`.

pub mod compose;
mod environment;
mod files;
pub mod fill;
mod health;
pub mod keys;
mod limits;
mod lists;
mod mounts;
mod needs;
mod networks;
mod ports;
pub mod read;
pub mod spec;
mod values;

#[cfg(test)]
mod every_key;
#[cfg(test)]
mod tests;
