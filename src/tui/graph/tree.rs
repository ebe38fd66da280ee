//! The services as a tree. Pure.

use std::collections::BTreeSet;

use super::Needs;
use crate::api::wire::WhyNeed;
use crate::tui::fleet::{Fleet, Tone};

/// A line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// So many steps from whom nobody needs.
    pub depth: usize,
    /// Lines that lead to it.
    pub branch: String,
    /// The service.
    pub name: String,
    /// How it is.
    pub tone: Tone,
    /// The same in a word.
    pub state: String,
    /// What is waited for, or that it stands above already.
    pub note: String,
}

/// The tree: first those nobody needs, below each what it needs.
pub fn rows(needs: &Needs, fleet: &Fleet, ascii: bool) -> Vec<Row> {
    let needed: BTreeSet<&str> =
        needs.values().flat_map(|told| &told.needs).map(|need| need.service.as_str()).collect();
    let mut tree = Tree { needs, fleet, ascii, shown: BTreeSet::new(), rows: Vec::new() };
    for root in needs.keys().filter(|name| !needed.contains(name.as_str())) {
        tree.add(root, String::new(), "", None);
    }
    // What is left is in a circle, which the configuration refuses; it is shown all the same.
    for name in needs.keys() {
        if !tree.shown.contains(name.as_str()) {
            tree.add(name, String::new(), "", None);
        }
    }
    tree.rows
}

struct Tree<'a> {
    needs: &'a Needs,
    fleet: &'a Fleet,
    ascii: bool,
    shown: BTreeSet<&'a str>,
    rows: Vec<Row>,
}

impl<'a> Tree<'a> {
    fn add(&mut self, name: &'a str, branch: String, below: &str, need: Option<(&str, &WhyNeed)>) {
        let state = self.fleet.service(name).map_or("unknown", |service| service.state.as_str());
        let again = !self.shown.insert(name);
        let children = self.needs.get(name).map_or(&[][..], |told| told.needs.as_slice());
        let mut note = match need {
            // Whoever is off waits for nobody.
            Some((by, need)) if !need.met && self.fleet.service(by).is_some_and(|by| by.desired != "down") => {
                format!("  waited for until {}", need.condition)
            }
            Some(_) | None => String::new(),
        };
        if again && !children.is_empty() {
            note.push_str("  (see above)");
        }
        let depth = below.chars().count() / 3;
        let row = Row { depth, branch, name: name.to_owned(), tone: Tone::of(state), state: state.to_owned(), note };
        self.rows.push(row);
        if again {
            return;
        }
        let [middle, end, bar] = if self.ascii { ["|- ", "`- ", "|  "] } else { ["├─ ", "└─ ", "│  "] };
        for (at, child) in children.iter().enumerate() {
            let last = at + 1 == children.len();
            let next = format!("{below}{}", if last { "   " } else { bar });
            self.add(&child.service, format!("{below}{}", if last { end } else { middle }), &next, Some((name, child)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::graph::Told;
    use crate::tui::testing::{ps, service};

    fn needs(needs: Vec<WhyNeed>) -> Told {
        Told { needs, ..Told::default() }
    }

    fn need(service: &str, met: bool) -> WhyNeed {
        WhyNeed { service: service.into(), condition: "ready".into(), state: "starting".into(), met }
    }

    #[test]
    fn everything_is_shown_once_with_its_needs() {
        let mut fleet = Fleet::default();
        fleet.update(
            ps(vec![service("api", &["ready"]), service("auth", &["queued"]), service("db", &["starting"])]),
            0,
        );
        let all: Needs = [
            ("api".to_owned(), needs(vec![need("auth", true), need("db", false)])),
            ("auth".to_owned(), needs(vec![need("db", false)])),
            ("db".to_owned(), needs(Vec::new())),
            ("x".to_owned(), needs(vec![need("y", true)])),
            ("y".to_owned(), needs(vec![need("x", true)])),
        ]
        .into();
        let drawn: Vec<String> = rows(&all, &fleet, false)
            .into_iter()
            .map(|row| format!("{}{} {}{}", row.branch, row.name, row.state, row.note))
            .collect();
        assert_eq!(
            drawn,
            [
                "api ready",
                "├─ auth queued",
                "│  └─ db starting  waited for until ready",
                "└─ db starting  waited for until ready",
                "x unknown",
                "└─ y unknown",
                "   └─ x unknown  (see above)",
            ]
        );
    }
}
