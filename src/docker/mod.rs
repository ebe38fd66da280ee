//! The Docker engine: how it is reached, how things of a project are named and labelled there, and its errors in words for people.
//!
//! Everything that speaks with the engine goes through here; `worker::docker` runs containers with it, the command line pulls and lists.

mod client;
mod containers;
mod credentials;
mod exec;
pub mod failure;
mod find;
pub mod labels;
mod pull;
mod stats;
mod stores;
#[cfg(test)]
pub(crate) mod testing;
mod words;

pub use client::Docker;
pub use containers::{Kept, Volumes, image_of_data};
pub use exec::{Exec, ExecSpec};
pub use failure::{Class, Failure};
pub use find::Address;
pub use pull::{Progress, Pulling};
pub use stats::Stats;
pub use stores::{Network, Volume};
