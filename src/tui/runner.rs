//! Runs the project's commands beside the dashboard: each in a process group of its own, which ends with it, with the dashboard, or when somebody says so.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::custom::{Commands, Prepared, RunCmd, RunMsg};
use super::msg::Msg;
use crate::services::build::CommandLine;
use crate::services::run::{Heard, Stop, run};
use crate::sys::child::End;

/// So many lines travel together.
const BATCH: usize = 500;
/// So long all commands have to end when the dashboard does; then what is left of their groups is killed with this process's children.
const LEAVE: Duration = Duration::from_secs(10);

/// What runs.
#[derive(Debug)]
pub struct Runner {
    commands: Option<Commands>,
    messages: mpsc::Sender<Msg>,
    stops: BTreeMap<u64, watch::Sender<Stop>>,
    tasks: JoinSet<()>,
}

impl Runner {
    /// Nothing runs yet.
    pub fn new(commands: Option<Commands>, messages: mpsc::Sender<Msg>) -> Runner {
        Runner { commands, messages, stops: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Does what the dashboard asks.
    pub fn carry_out(&mut self, cmd: RunCmd) {
        // Those that have ended leave nothing behind.
        while self.tasks.try_join_next().is_some() {}
        self.stops.retain(|_, stop| stop.receiver_count() > 0);
        match cmd {
            RunCmd::Start(id, name) => self.start(id, name),
            RunCmd::Stop(id) => {
                if let Some(stop) = self.stops.get(&id) {
                    stop.send_modify(|said| *said = if *said == Stop::No { Stop::Interrupt } else { Stop::Kill });
                }
            }
        }
    }

    fn start(&mut self, id: u64, name: String) {
        let (stop, stopped) = watch::channel(Stop::No);
        self.stops.insert(id, stop);
        let tell = Tell { id, messages: self.messages.clone() };
        let prepare = self.commands.as_ref().map(|commands| commands.prepare.clone());
        self.tasks.spawn(async move {
            let done = match prepare {
                Some(prepare) => {
                    // Files are read for it.
                    let prepared = tokio::task::spawn_blocking(move || prepare(&name)).await;
                    match prepared {
                        Ok(Ok(prepared)) => all(&prepared, &stopped, &tell).await,
                        Ok(Err(error)) => Err(sentence(&error)),
                        Err(error) => Err(error.to_string()),
                    }
                }
                None => Err("there is no project that could be read".to_owned()),
            };
            tell.say(RunMsg::Ended(id, done)).await;
        });
    }

    /// Ends everything and waits until it has ended. Nobody listens any more by then.
    pub async fn end(mut self) {
        self.stops.values().for_each(|stop| {
            stop.send_replace(Stop::Interrupt);
        });
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(LEAVE, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

fn sentence(error: &crate::error::Error) -> String {
    let first = error.details.first().map(|detail| format!(": {}", detail.trim())).unwrap_or_default();
    format!("{}{first}", error.message)
}

/// Where news of one command go. Once the dashboard has ended there is nobody to tell.
struct Tell {
    id: u64,
    messages: mpsc::Sender<Msg>,
}

impl Tell {
    async fn say(&self, msg: RunMsg) {
        self.messages.send(Msg::Run(msg)).await.unwrap_or(());
    }
}

/// Runs what comes before, the command, and what comes after.
async fn all(prepared: &Prepared, stopped: &watch::Receiver<Stop>, tell: &Tell) -> Result<End, String> {
    let mut done = Ok(End::Code(0));
    for argv in prepared.before.iter().chain([&prepared.argv]) {
        done = one(prepared, argv, stopped, tell).await;
        if done != Ok(End::Code(0)) {
            break;
        }
    }
    for argv in &prepared.after {
        let after = one(prepared, argv, stopped, tell).await;
        if done == Ok(End::Code(0)) {
            done = after;
        }
    }
    done
}

async fn one(
    prepared: &Prepared,
    argv: &[String],
    stopped: &watch::Receiver<Stop>,
    tell: &Tell,
) -> Result<End, String> {
    let shown = argv.join(" ");
    tell.say(RunMsg::Began(tell.id, shown.clone())).await;
    let line = CommandLine {
        argv: argv.iter().map(OsString::from).collect(),
        dir: prepared.dir.clone(),
        env: prepared.env.clone(),
    };
    // Small: it is emptied as it fills; a command that prints faster than the dashboard reads waits.
    let (sender, mut receiver) = mpsc::channel::<Heard>(BATCH);
    let hear = async {
        let mut batch = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            let lines = batch.drain(..).map(|(_, line)| line).collect();
            tell.say(RunMsg::Said(tell.id, lines)).await;
        }
    };
    let (end, ()) = tokio::join!(run(&line, stopped.clone(), sender), hear);
    end.map_err(|error| format!("`{shown}` cannot be run: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::Error;

    fn sh(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    fn runner(prepared: Result<Prepared, &'static str>) -> (Runner, mpsc::Receiver<Msg>) {
        // Small enough to be full now and then.
        let (sender, receiver) = mpsc::channel(4);
        let path = std::env::var_os("PATH").unwrap();
        let prepare = move |name: &str| {
            assert_eq!(name, "migrate");
            let prepared = prepared.clone().map_err(Error::failed)?;
            Ok(Prepared { env: vec![("PATH".into(), path.clone())], dir: "/".into(), ..prepared })
        };
        let commands = Commands { names: Vec::new(), prepare: Arc::new(prepare) };
        (Runner::new(Some(commands), sender), receiver)
    }

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// What was told up to the end, in one text, and how it ended.
    async fn told(receiver: &mut mpsc::Receiver<Msg>) -> (String, Result<End, String>) {
        let mut text = String::new();
        loop {
            match receiver.recv().await {
                Some(Msg::Run(RunMsg::Began(7, shown))) => text += &format!("$ {}\n", shown.replace("/bin/sh -c ", "")),
                Some(Msg::Run(RunMsg::Said(7, lines))) => {
                    lines.iter().for_each(|line| text += &String::from_utf8_lossy(line));
                }
                Some(Msg::Run(RunMsg::Ended(7, how))) => return (text, how),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn hooks_run_around_it_and_its_code_is_told() {
        let prepared = Prepared {
            before: vec![sh("echo first")],
            argv: sh("pwd; echo wrong >&2; exit 3"),
            after: vec![sh("echo last")],
            ..Prepared::default()
        };
        let (mut runner, mut receiver) = runner(Ok(prepared));
        block(async {
            runner.carry_out(RunCmd::Start(7, "migrate".into()));
            let (text, how) = told(&mut receiver).await;
            assert_eq!(how, Ok(End::Code(3)));
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!((lines[0], lines[1], lines[lines.len() - 1]), ("$ echo first", "first", "last"), "{text}");
            assert!(text.contains("/\n") && text.contains("wrong\n"), "{text}");
        });
    }

    #[test]
    fn a_hook_that_fails_and_a_program_that_is_not_there_are_told() {
        let prepared = Prepared { before: vec![sh("exit 4")], argv: sh("echo never"), ..Prepared::default() };
        let (mut first, mut receiver) = runner(Ok(prepared));
        block(async {
            first.carry_out(RunCmd::Start(7, "migrate".into()));
            let (text, how) = told(&mut receiver).await;
            assert!(how == Ok(End::Code(4)) && !text.contains("never"), "{text} {how:?}");
        });
        let prepared = Prepared { argv: vec!["/no/such/program".into()], ..Prepared::default() };
        let (mut second, mut receiver) = runner(Ok(prepared));
        block(async {
            second.carry_out(RunCmd::Start(7, "migrate".into()));
            let (_, how) = told(&mut receiver).await;
            assert!(how.unwrap_err().starts_with("`/no/such/program` cannot be run: "));
        });
        let (mut third, mut receiver) = runner(Err("orchestra.yml is wrong"));
        block(async {
            third.carry_out(RunCmd::Start(7, "migrate".into()));
            assert_eq!(told(&mut receiver).await.1, Err("orchestra.yml is wrong".into()));
        });
    }

    #[test]
    fn the_end_of_the_dashboard_ends_the_whole_group_though_nobody_reads_any_more() {
        let script = "trap '' INT; (trap '' INT; while :; do echo x; done) & echo pid $!; while :; do sleep 1; done";
        let (mut runner, mut receiver) = runner(Ok(Prepared { argv: sh(script), ..Prepared::default() }));
        let pid = block(async {
            runner.carry_out(RunCmd::Start(7, "migrate".into()));
            let mut text = String::new();
            let pid = loop {
                if let Some(Msg::Run(RunMsg::Said(_, lines))) = receiver.recv().await {
                    lines.iter().for_each(|line| text += &String::from_utf8_lossy(line));
                }
                let found = text.lines().find_map(|line| line.strip_prefix("pid ")?.parse::<i32>().ok());
                if let Some(pid) = found.filter(|_| text.contains('\n')) {
                    break pid;
                }
            };
            receiver.close();
            runner.end().await;
            pid
        });
        crate::services::run::until_gone(pid);
    }
}
