//! The way in from other processes: HTTP and JSON on a Unix socket.
//!
//! Server and client speak the types of [`wire`] only; nothing here decides about services.

pub mod answers;
pub mod client;
pub mod convert;
mod engines;
pub mod follow;
pub mod launch;
pub mod listen;
pub mod lock;
pub mod openapi;
pub mod server;
mod stream;
mod told;
pub mod wire;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Grows when an older client can no longer talk to a newer supervisor, or the other way round. `GET /v1/version` and `POST /v1/leave` mean the
/// same in every protocol, so that a newer program can always replace an older one.
pub const PROTOCOL: u32 = 1;
