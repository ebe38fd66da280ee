//! What a service wrote last before it failed: shown with the failure, so that nobody has to look for it.

use std::ops::ControlFlow;

use crate::logs::clean::{Colours, clean};
use crate::logs::filter::Filter;
use crate::logs::lines::Line;
use crate::logs::sources::{Channel, Selection};
use crate::logs::view::{self, Query};
use crate::sys::home::Home;
use crate::task::id::ServiceName;

/// So many lines of each service.
const LINES: usize = 10;
/// Of so many services at most.
const SERVICES: usize = 5;

/// The last lines of these services since a moment (microseconds since 1970), `api | the line`. Logs that cannot be read have none.
pub(super) fn of(home: &Home, names: &[String], since: i64) -> Vec<String> {
    let found = names.iter().filter_map(|name| ServiceName::fold(name)).map(|name| of_one(home, &name, since));
    found.filter(|lines| !lines.is_empty()).take(SERVICES).flatten().collect()
}

fn of_one(home: &Home, name: &ServiceName, since: i64) -> Vec<String> {
    let filter = Filter { since: Some(since), ..Filter::default() };
    let selection = Selection { services: vec![name.clone()], ..Selection::default() };
    // Twice as many: orchestra's own words among them are passed over.
    let query = Query { selection, filter, last: Some(2 * LINES), ..Query::default() };
    let mut lines = Vec::new();
    let mut take = |line: &Line<'_>| {
        if line.channel != Channel::Orchestra {
            let mut text = Vec::new();
            clean(line.payload, Colours::Remove, &mut text);
            lines.push(format!("  {name} | {}", String::from_utf8_lossy(&text)));
        }
        ControlFlow::Continue(())
    };
    match view::read(&home.logs(), query, &mut take) {
        Ok(_) => lines.split_off(lines.len().saturating_sub(LINES)),
        Err(_) => Vec::new(),
    }
}
