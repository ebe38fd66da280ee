//! One node after the other.

use super::{Demand, Node, Scheduler};

/// Goes round.
#[derive(Default)]
pub struct RoundRobin {
    next: usize,
}

impl Scheduler for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn score(&self, _demand: &Demand, _node: &Node) -> f64 {
        0.0
    }

    fn picked(&mut self, index: usize, n_nodes: usize) {
        self.next = (index + 1) % n_nodes.max(1);
    }

    fn first(&self) -> usize {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::super::place;
    use super::super::tests::{demand, node};
    use super::*;

    #[test]
    fn goes_round_and_skips_the_unfit() {
        let nodes = [node("a", 4.0, 0.0), node("full", 1.0, 1.0), node("c", 4.0, 0.0)];
        let mut scheduler = RoundRobin::default();
        let picks: Vec<_> = (0..4).map(|_| place(&mut scheduler, &demand(0.5), &nodes).unwrap()).collect();
        assert_eq!(picks, [0, 2, 0, 2]);
    }
}
