//! The Docker engine: how it is reached, how things of a project are named and labelled there, and its errors in words for people.
//!
//! Everything that speaks with the engine goes through here; `worker::docker` runs containers with it, the command line pulls and lists.

pub mod labels;
