//! The operating system: the only home of `unsafe` and of `cfg(target_os)`.
//!
//! `linux.rs` and `macos.rs` export the same names; everything else here is the same on both.

pub mod cgroup;
pub mod child;
pub mod dir_watch;
pub mod family;
pub mod fd;
pub mod filesystem;
pub mod folder;
pub mod home;
pub mod inspect;
pub mod listeners;
pub mod lock;
pub mod machine;
pub mod pass;
pub mod pipe;
pub mod process;
pub mod sweep;
pub mod terminal;
pub mod usage;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
pub mod os;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
pub mod os;
