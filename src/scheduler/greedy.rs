//! Fills one node before the next: the fullest one that still fits.

use super::{Demand, Node, Scheduler};

/// Packs tasks together.
pub struct Greedy;

impl Scheduler for Greedy {
    fn name(&self) -> &'static str {
        "greedy"
    }

    fn score(&self, _demand: &Demand, node: &Node) -> f64 {
        let share = |used: f64, has: f64| if has > 0.0 { used / has } else { 0.0 };
        -(share(node.promised.cpu, node.capacity.cpu) + share(node.promised.memory as f64, node.capacity.memory as f64))
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
    fn prefers_the_fuller_node_that_fits() {
        let nodes = [node("idle", 4.0, 0.0), node("busy", 4.0, 3.0), node("full", 4.0, 4.0)];
        assert_eq!(place(&mut Greedy, &demand(0.5), &nodes), Ok(1));
    }
}
