//! `orchestra build`

use super::args::Select;
use super::change::{self, Ended};
use super::context::{Context, Place, check};
use super::signals::Signals;
use super::{hooks, request};
use crate::api::convert::Ask;
use crate::api::wire::Request;
use crate::error::Error;

/// Builds services without starting them. Services with the same settings share one `go build`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra build           everything\n  orchestra build 'a*'      what begins with a"
)]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load(&place)?;
    check(&project, &args.select.all())?;
    let mut asked = request::of(context, &place, args.select.all());
    asked.caller.engine_arch = request::engine_arch(context, &place, &project, None);
    hooks::around(&context.output, &place, Some(&project), "build", || {
        context.wait(once(context, &place, Ask::Build, &asked))
    })
}

/// Asks for one change and waits until it is done.
pub(super) async fn once(context: &Context, place: &Place, ask: Ask, asked: &Request) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    match change::follow(&context.output, &place.home, ask, asked, &mut signals).await? {
        Ended::Over(done) => done,
        Ended::Interrupted(_) => {
            Err(change::interrupted(&format!("stopped waiting; the {} goes on", ask.word())).hint("orchestra ps"))
        }
    }
}
