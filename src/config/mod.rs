//! What all configuration shares: a YAML tree with places, problems with their source lines, the environment, small values.
//!
//! It knows neither services nor vendors; their sections are read in `services/` and `project/`.

pub mod dotenv;
pub mod env;
pub mod problem;
pub mod reader;
pub mod source;
pub mod suggest;
pub mod template;
pub mod tree;
pub mod values;
pub mod words;
pub mod yaml;
