//! `orchestra vendors pull`: images are fetched side by side, with a bar for each on a terminal and a line for each change elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc;

use super::super::change;
use super::super::context::{Context, Place};
use super::super::output::{Output, Paint};
use super::super::signals::Signals;
use super::super::{hooks, text};
use super::{Chosen, environment, specs};
use crate::docker::{Docker, Failure, Progress, Pulling};
use crate::error::Error;
use crate::project::Project;
use crate::sys::terminal;
use crate::task::environment::Environment;

/// So many images are fetched at the same time; the engine itself fetches the layers of each side by side.
const AT_ONCE: usize = 3;
/// News of fetches that wait to be shown. What finds no room is passed over: the next one says more.
const NEWS: usize = 64;
/// Between two pictures of a bar that nothing moves.
const TICK: Duration = Duration::from_millis(120);

/// One image, and who wants it.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    image: String,
    platform: Option<String>,
    vendors: Vec<String>,
    env: Environment,
}

/// What became of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// It was not there, or another one is behind its name now.
    New,
    /// What was there is the newest.
    Same,
}

pub(super) fn run(context: &Context, chosen: &Chosen) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load(&place)?;
    if super::is_without(context, &project) {
        return Ok(());
    }
    let names = chosen.enabled(&project, &[])?;
    hooks::around(&context.output, &place, Some(&project), "vendors", || {
        let mut wanted: Vec<Wanted> = Vec::new();
        for (vendor, spec) in specs(&place, &project, &names)? {
            let is_same = |one: &&mut Wanted| (&one.image, &one.platform) == (&spec.image, &spec.platform);
            match wanted.iter_mut().find(is_same) {
                Some(one) => one.vendors.push(vendor.to_string()),
                None => wanted.push(Wanted {
                    image: spec.image.clone(),
                    platform: spec.platform.clone(),
                    vendors: vec![vendor.to_string()],
                    env: spec.hook_env.clone(),
                }),
            }
        }
        context.wait(all(context, &place, &project, &wanted))
    })
}

async fn all(context: &Context, place: &Place, project: &Project, wanted: &[Wanted]) -> Result<(), Error> {
    let docker = Docker::connect(&environment(place, Some(project))?).await?;
    let mut signals = Signals::new()?;
    let mut show = Show::new(&context.output, wanted);
    let (news, mut heard) = mpsc::channel(NEWS);
    let fetches = wanted.iter().enumerate().map(|(n, one)| fetch(&docker, n, one, news.clone()));
    let mut fetches = stream::iter(fetches).buffer_unordered(AT_ONCE);
    let mut failures = Vec::new();
    loop {
        tokio::select! {
            Some((n, progress)) = heard.recv() => show.moves(n, progress)?,
            ended = fetches.next() => match ended {
                Some((n, result)) => {
                    show.ended(n, &result)?;
                    failures.extend(result.err());
                }
                None => break,
            },
            _ = signals.next() => {
                show.finish();
                return Err(change::interrupted("stopped fetching; the engine keeps what has come").hint("orchestra vendors pull"));
            }
        }
    }
    show.finish();
    told(failures, wanted.len())
}

async fn fetch(
    docker: &Docker,
    n: usize,
    wanted: &Wanted,
    news: mpsc::Sender<(usize, Progress)>,
) -> (usize, Result<Came, Failure>) {
    let pulling = Pulling { image: &wanted.image, platform: wanted.platform.as_deref(), env: &wanted.env };
    let result = async {
        let before = id(docker, &wanted.image).await?;
        // Full: see NEWS.
        docker.pull(pulling, |progress| news.try_send((n, progress)).unwrap_or(())).await?;
        let after = id(docker, &wanted.image).await?;
        Ok(if before.is_some() && before == after { Came::Same } else { Came::New })
    };
    (n, result.await)
}

async fn id(docker: &Docker, image: &str) -> Result<Option<String>, Failure> {
    Ok(docker.image(image).await?.and_then(|image| image.id))
}

/// One failure in its own words; several in a list.
fn told(mut failures: Vec<Failure>, n: usize) -> Result<(), Error> {
    match failures.len() {
        0 => Ok(()),
        1 => Err(failures.remove(0).into()),
        many => {
            let error = Error::failed(format!("{many} of {n} images could not be fetched"));
            Err(failures.into_iter().fold(error, |error, failure| error.detail(failure.to_string())))
        }
    }
}

/// What programs read, one line for each change.
#[derive(Serialize)]
struct Line<'a> {
    image: &'a str,
    vendors: &'a [String],
    /// `pulling pulled current failed`
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    elapsed_ms: u64,
}

/// A bar's line for a terminal so many columns wide, with images' names of this width. A line that does not fit would break, and leave remains
/// whenever it is drawn anew: so the numbers go first, then the bar, then the end of the name.
fn template(columns: usize, widest: usize) -> String {
    const PERCENT: usize = 2 + 5;
    const BAR: usize = 2 + 6;
    const NUMBERS: usize = 2 + 15;
    if columns > widest + BAR + PERCENT + NUMBERS {
        "{prefix}  {wide_bar:.dim}  {percent:>3} %  {msg:>15}".to_owned()
    } else if columns > widest + BAR + PERCENT {
        "{prefix}  {wide_bar:.dim}  {percent:>3} %".to_owned()
    } else {
        let name = columns.saturating_sub(PERCENT + 1).clamp(1, widest.max(1));
        format!("{{prefix:{name}!}}  {{percent:>3}} %")
    }
}

struct Show<'a> {
    output: &'a Output,
    wanted: &'a [Wanted],
    widest: usize,
    began: Instant,
    bars: Option<(MultiProgress, BTreeMap<usize, ProgressBar>)>,
    told: Vec<bool>,
}

impl<'a> Show<'a> {
    fn new(output: &'a Output, wanted: &'a [Wanted]) -> Show<'a> {
        let lively = !output.is_json() && output.lively;
        let bars = lively.then(|| (MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), BTreeMap::new()));
        let widest = wanted.iter().map(|one| text::width(&one.image)).max().unwrap_or(0);
        let mut show = Show { output, wanted, widest, began: Instant::now(), bars, told: vec![false; wanted.len()] };
        if show.bars.is_some() {
            (0..wanted.len()).for_each(|n| show.begin(n));
        }
        show
    }

    /// What waits has a bar already.
    fn begin(&mut self, n: usize) {
        if let Some(bar) = self.bar(n) {
            bar.tick();
        }
    }

    fn bar(&mut self, n: usize) -> Option<&ProgressBar> {
        let image = self.image(n);
        let columns = terminal::size(std::io::stderr()).map_or(80, |(columns, _)| usize::from(columns));
        let style = ProgressStyle::with_template(&template(columns, self.widest));
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let (all, each) = self.bars.as_mut()?;
        Some(each.entry(n).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(0));
            bar.set_style(style);
            bar.set_prefix(image);
            bar.set_message("asking");
            bar.enable_steady_tick(TICK);
            bar
        }))
    }

    fn image(&self, n: usize) -> String {
        let image = text::clean(&self.wanted[n].image);
        format!("{image}{}", " ".repeat(self.widest.saturating_sub(text::width(&image))))
    }

    fn line(&self, n: usize, state: &str, progress: Option<Progress>, error: Option<String>) -> Result<(), Error> {
        let one = &self.wanted[n];
        self.output.json(&Line {
            image: &one.image,
            vendors: &one.vendors,
            state,
            current: progress.map(|p| p.current),
            total: progress.map(|p| p.total),
            percent: progress.map(|p| p.percent),
            error,
            elapsed_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn moves(&mut self, n: usize, progress: Progress) -> Result<(), Error> {
        if self.output.is_json() {
            return self.line(n, "pulling", Some(progress), None);
        }
        if let Some(bar) = self.bar(n) {
            bar.set_length(100);
            bar.set_position(progress.percent.into());
            bar.set_message(match progress.current == progress.total && progress.percent < 100 {
                true => "unpacking".to_owned(),
                false => format!("{} of {}", text::size(progress.current), text::size(progress.total)),
            });
        } else if !std::mem::replace(&mut self.told[n], true) {
            self.say(n, "pulling", None, &format!("{} at least", text::size(progress.total)));
        }
        Ok(())
    }

    fn ended(&mut self, n: usize, result: &Result<Came, Failure>) -> Result<(), Error> {
        if self.output.is_json() {
            return match result {
                Ok(Came::New) => self.line(n, "pulled", None, None),
                Ok(Came::Same) => self.line(n, "current", None, None),
                Err(failure) => self.line(n, "failed", None, Some(failure.to_string())),
            };
        }
        if let Some((_, each)) = &mut self.bars
            && let Some(bar) = each.remove(&n)
        {
            bar.finish_and_clear();
        }
        let took = text::time(self.began.elapsed());
        match result {
            Ok(Came::New) => self.say(n, "pulled", Some(Paint::Green), &took),
            Ok(Came::Same) => self.say(n, "current", Some(Paint::Green), "up to date"),
            Err(_) => self.say(n, "failed", Some(Paint::Red), &took),
        }
        Ok(())
    }

    fn say(&self, n: usize, word: &str, paint: Option<Paint>, rest: &str) {
        let word = format!("{word:<7}");
        let word = paint.map_or(word.clone(), |paint| paint.on(&word, self.output.color_err));
        let line = format!("{}  {word}  {rest}", self.image(n));
        match &self.bars {
            // The terminal is standard error's; a line that cannot be printed has no other way out.
            Some((all, _)) => all.println(line).unwrap_or(()),
            None => self.output.say(&line),
        }
    }

    fn finish(&mut self) {
        if let Some((all, each)) = self.bars.take() {
            each.values().for_each(ProgressBar::finish_and_clear);
            // A terminal that cannot be cleared only keeps some old lines.
            all.clear().unwrap_or(());
        }
    }
}

#[cfg(test)]
mod tests;
