//! E-PVM (enhanced PVM, the cost of opportunity): the marginal cost of a task is exponential in how full each resource of a node would be.
//!
//! After Amir, Awerbuch, Barak, Borgstrom, Keren: "An Opportunity Cost Approach for Job Assignment in a Scalable Computing Cluster" (2000).

use super::{Demand, Node, Scheduler};

/// The base of the exponential; Lieb's square ice constant, as in the papers.
const BASE: f64 = 1.539_600_717_839_002;
/// Tasks a node is thought to hold when nothing else is known.
const MAX_TASKS: f64 = 500.0;

/// Spreads load by marginal cost.
pub struct Epvm;

fn marginal(used: f64, asked: f64, capacity: f64) -> f64 {
    if capacity <= 0.0 { 0.0 } else { BASE.powf((used + asked) / capacity) - BASE.powf(used / capacity) }
}

impl Scheduler for Epvm {
    fn name(&self) -> &'static str {
        "epvm"
    }

    fn score(&self, demand: &Demand, node: &Node) -> f64 {
        let (asked, has, used) = (&demand.resources, &node.capacity, &node.promised);
        marginal(used.cpu, asked.cpu, has.cpu)
            + marginal(used.memory as f64, asked.memory as f64, has.memory as f64)
            + marginal(used.disk as f64, asked.disk as f64, has.disk as f64)
            + marginal(f64::from(node.n_tasks), 1.0, MAX_TASKS)
    }

    fn picked(&mut self, _index: usize, _n_nodes: usize) {}

    fn first(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::super::place;
    use super::super::tests::{demand, node};
    use super::*;

    #[test]
    fn prefers_the_emptier_node() {
        let nodes = [node("busy", 4.0, 3.0), node("idle", 4.0, 0.5)];
        assert_eq!(place(&mut Epvm, &demand(0.5), &nodes), Ok(1));
    }

    #[test]
    fn counts_tasks_where_nothing_else_differs() {
        let mut nodes = [node("a", 4.0, 0.0), node("b", 4.0, 0.0)];
        nodes[0].n_tasks = 3;
        assert_eq!(place(&mut Epvm, &demand(0.0), &nodes), Ok(1));
    }
}
