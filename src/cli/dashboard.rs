//! `orchestra` alone: the dashboard, on a terminal that can show it.

use std::ffi::OsStr;
use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;
use std::sync::Arc;

use super::context::Context;
use super::{answers, custom, request};
use crate::api::launch::Launcher;
use crate::error::Error;
use crate::tui::{self, Background, Depth, settings};

/// Whether there is a terminal that can show it; else `ps` answers.
pub(super) fn fits(context: &Context) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && !context.output.is_json() && stdin().is_terminal() && stdout().is_terminal()
}

/// Shows it until somebody leaves; the fleet runs on.
pub(super) fn run(context: &Context) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load_or_say(&place).map(Arc::new);
    let name = project.as_ref().map_or_else(|| answers::project_name(&place.home), |project| project.name.clone());
    let request = request::of(context, &place, Vec::new());
    let launcher = Launcher::ourselves()?;
    let depth = depth(context.output.color, |key| std::env::var_os(key));
    let settings = settings::path(|key| std::env::var_os(key).map(PathBuf::from)).map(|path| settings::load(&path));
    let settings = settings.unwrap_or_default();
    let background = std::env::var("COLORFGBG").ok().and_then(|text| Background::of_variable(&text));
    let answers = answers(|key| std::env::var_os(key));
    let mask = request.caller.umask;
    let commands = project.as_ref().map(|project| custom::offered(context, &place, project, mask));
    let options = tui::Options {
        home: place.home,
        project,
        name,
        request,
        launcher,
        depth,
        background,
        answers,
        settings,
        commands,
    };
    context.wait(tui::run(options))
}

/// How many colours the terminal shows, by what it says of itself in the environment.
fn depth<S: AsRef<OsStr>>(color: bool, var: impl Fn(&str) -> Option<S>) -> Depth {
    let has = |key: &str, words: &[&str]| {
        var(key).is_some_and(|value| {
            value.as_ref().to_str().is_some_and(|value| words.iter().any(|word| value.contains(word)))
        })
    };
    match color {
        false => Depth::Mono,
        true if has("COLORTERM", &["truecolor", "24bit"]) => Depth::True,
        true if has("TERM", &["256", "direct", "kitty", "alacritty", "ghostty", "foot"]) => Depth::Indexed,
        true => Depth::Ansi,
    }
}

/// Whether the terminal can be asked for its colours: some show the question, and GNU screen passes it to whichever terminal it has.
fn answers<S: AsRef<OsStr>>(var: impl Fn(&str) -> Option<S>) -> bool {
    let term = var("TERM").and_then(|term| term.as_ref().to_str().map(str::to_owned)).unwrap_or_default();
    let mute = ["dumb", "linux", "cons25", "vt", "eterm", "sun"].iter().any(|name| term.starts_with(name));
    let screen = term.starts_with("screen") && var("TMUX").is_none() || var("STY").is_some();
    !(term.is_empty() || mute || screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_answer_is_not_asked() {
        let of = |vars: &[(&str, &'static str)]| {
            let vars = vars.to_vec();
            answers(|key| vars.iter().find(|(known, _)| *known == key).map(|(_, value)| *value))
        };
        assert!(of(&[("TERM", "xterm-256color")]) && of(&[("TERM", "screen-256color"), ("TMUX", "/tmp/x")]));
        for vars in [
            &[("TERM", "dumb")][..],
            &[("TERM", "linux")],
            &[("TERM", "screen-256color")],
            &[("TERM", "xterm"), ("STY", "1.x")],
            &[],
        ] {
            assert!(!of(vars), "{vars:?}");
        }
    }

    #[test]
    fn colours_are_as_the_terminal_says() {
        let of = |color, vars: &[(&str, &'static str)]| {
            let vars = vars.to_vec();
            depth(color, |key| vars.iter().find(|(known, _)| *known == key).map(|(_, value)| *value))
        };
        assert_eq!(of(true, &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(of(true, &[("TERM", "screen-256color")]), Depth::Indexed);
        assert_eq!(of(true, &[("TERM", "linux")]), Depth::Ansi);
        assert_eq!(of(false, &[("COLORTERM", "truecolor")]), Depth::Mono);
    }
}
