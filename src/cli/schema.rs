//! `orchestra schema`

use clap::ValueEnum;

use super::context::Context;
use crate::error::Error;
use crate::project::schema::{Schema, schema};

/// Prints the JSON schema of `service.yml` or `orchestra.yml`, for editors that check YAML while one types.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  orchestra schema service > service.schema.json")]
pub(super) struct Args {
    /// Which file
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// service.yml
    Service,
    /// orchestra.yml
    Project,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let value = schema(match args.of {
        Of::Service => Schema::Service,
        Of::Project => Schema::Project,
    });
    let mut text = serde_json::to_string_pretty(&value).map_err(|e| Error::failed("cannot write JSON").because(&e))?;
    text.push('\n');
    context.output.print(text)
}
