//! Where a task runs, in three steps: which nodes are feasible, what each would cost, which one to pick. Pure; every refusal has its reason.

pub mod epvm;
pub mod greedy;
pub mod round_robin;

use std::fmt;

use crate::task::spec::Resources;

/// What a node can execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Processes of the operating system.
    Process,
    /// Builds.
    Build,
    /// Containers.
    Container,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::Process => "processes",
            Capability::Build => "builds",
            Capability::Container => "containers",
        })
    }
}

/// One machine a worker runs on: what it has and what is promised of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// `local`, or the name of a swarm node.
    pub name: String,
    /// What it executes.
    pub capabilities: Vec<Capability>,
    /// What it has; `cpu` in cores, the rest in bytes. Zero is unknown and refuses nothing.
    pub capacity: Resources,
    /// What its tasks were promised.
    pub promised: Resources,
    /// Tasks that run on it.
    pub n_tasks: u32,
    /// Builds that run on it now.
    pub n_builds: u32,
    /// Builds that may run on it at once.
    pub max_builds: u32,
}

/// What a task asks of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// What must be executed.
    pub capability: Capability,
    /// What it may use.
    pub resources: Resources,
}

/// Why a node cannot take a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Unfit {
    /// It does not execute such tasks.
    Capability(Capability),
    /// Cores asked for, and left.
    Cpu(f64, f64),
    /// Bytes of memory asked for, and left.
    Memory(u64, u64),
    /// Bytes of disk asked for, and left.
    Disk(u64, u64),
    /// As many builds as may run at once run already.
    BuildsFull(u32),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1024 * 1024;
        match self {
            Unfit::Capability(what) => write!(f, "it runs no {what}"),
            Unfit::Cpu(asked, left) => write!(f, "{asked} cores asked for, {left:.2} left"),
            Unfit::Memory(asked, left) => write!(f, "{} MiB of memory asked for, {} MiB left", asked / MIB, left / MIB),
            Unfit::Disk(asked, left) => write!(f, "{} MiB of disk asked for, {} MiB left", asked / MIB, left / MIB),
            Unfit::BuildsFull(max) => write!(f, "{max} builds run already"),
        }
    }
}

/// How nodes are compared. The lowest score wins; among equals the first node.
pub trait Scheduler {
    /// Its name in `orchestra.yml`.
    fn name(&self) -> &'static str;
    /// What taking the task would cost this node.
    fn score(&self, demand: &Demand, node: &Node) -> f64;
    /// Told which node was picked of how many, for those that go round.
    fn picked(&mut self, index: usize, n_nodes: usize);
    /// The order in which nodes are looked at: round-robin begins after the last one picked.
    fn first(&self) -> usize;
}

/// The scheduler of this name; `None` when there is no such one.
pub fn by_name(name: &str) -> Option<Box<dyn Scheduler + Send>> {
    match name {
        "epvm" => Some(Box::new(epvm::Epvm)),
        "greedy" => Some(Box::new(greedy::Greedy)),
        "round-robin" => Some(Box::new(round_robin::RoundRobin::default())),
        _ => None,
    }
}

/// Whether a node can take a task now. Cheap questions first.
pub fn feasible(demand: &Demand, node: &Node) -> Result<(), Unfit> {
    if !node.capabilities.contains(&demand.capability) {
        return Err(Unfit::Capability(demand.capability));
    }
    if demand.capability == Capability::Build && node.n_builds >= node.max_builds {
        return Err(Unfit::BuildsFull(node.max_builds));
    }
    let (asked, has, used) = (&demand.resources, &node.capacity, &node.promised);
    let cpu_left = has.cpu - used.cpu;
    if asked.cpu > 0.0 && has.cpu > 0.0 && asked.cpu > cpu_left {
        return Err(Unfit::Cpu(asked.cpu, cpu_left.max(0.0)));
    }
    let left = |has: u64, used: u64| has.saturating_sub(used);
    if asked.memory > 0 && has.memory > 0 && asked.memory > left(has.memory, used.memory) {
        return Err(Unfit::Memory(asked.memory, left(has.memory, used.memory)));
    }
    if asked.disk > 0 && has.disk > 0 && asked.disk > left(has.disk, used.disk) {
        return Err(Unfit::Disk(asked.disk, left(has.disk, used.disk)));
    }
    Ok(())
}

/// The place for a task, as an index into `nodes`, or every node's refusal.
pub fn place(scheduler: &mut dyn Scheduler, demand: &Demand, nodes: &[Node]) -> Result<usize, Vec<(String, Unfit)>> {
    let mut refusals = Vec::new();
    let mut best: Option<(usize, f64)> = None;
    for step in 0..nodes.len() {
        let index = (scheduler.first() + step) % nodes.len();
        let node = &nodes[index];
        match feasible(demand, node) {
            Err(unfit) => refusals.push((node.name.clone(), unfit)),
            Ok(()) => {
                let score = scheduler.score(demand, node);
                if best.is_none_or(|(_, lowest)| score < lowest) {
                    best = Some((index, score));
                }
            }
        }
    }
    let (index, _) = best.ok_or(refusals)?;
    scheduler.picked(index, nodes.len());
    Ok(index)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn node(name: &str, cpu: f64, promised: f64) -> Node {
        Node {
            name: name.into(),
            capabilities: vec![Capability::Process, Capability::Build],
            capacity: Resources { cpu, memory: 1000, disk: 1000 },
            promised: Resources { cpu: promised, memory: 0, disk: 0 },
            n_tasks: 0,
            n_builds: 0,
            max_builds: 1,
        }
    }

    pub(crate) fn demand(cpu: f64) -> Demand {
        Demand { capability: Capability::Process, resources: Resources { cpu, memory: 0, disk: 0 } }
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let nodes = [node("a", 1.0, 0.9), node("b", 2.0, 2.0)];
        let refusals = place(&mut greedy::Greedy, &demand(0.5), &nodes).unwrap_err();
        let words: Vec<String> = refusals.iter().map(|(name, unfit)| format!("{name}: {unfit}")).collect();
        assert_eq!(words, ["a: 0.5 cores asked for, 0.10 left", "b: 0.5 cores asked for, 0.00 left"]);
    }

    #[test]
    fn builds_wait_for_a_place() {
        let mut full = node("a", 2.0, 0.0);
        full.n_builds = 1;
        let build = Demand { capability: Capability::Build, resources: Resources::default() };
        assert_eq!(feasible(&build, &full), Err(Unfit::BuildsFull(1)));
        full.n_builds = 0;
        assert_eq!(feasible(&build, &full), Ok(()));
    }

    #[test]
    fn unknown_capacity_refuses_nothing() {
        let mut unknown = node("a", 0.0, 0.0);
        unknown.capacity = Resources::default();
        let big = Demand {
            capability: Capability::Process,
            resources: Resources { cpu: 99.0, memory: 1 << 50, disk: 1 << 60 },
        };
        assert_eq!(feasible(&big, &unknown), Ok(()));
    }
}
