//! Tests of the layout: whatever the graph, everything stands once, lines lead to the right, and nothing lies on anything else.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The drawing, a service as its number and `=` for the rest of its width.
fn drawing(layers: &Layers, widths: &[usize]) -> String {
    const LINES: [char; 16] = [' ', '╵', '╶', '└', '╷', '│', '┌', '├', '╴', '┘', '─', '┴', '┐', '┤', '┬', '┼'];
    let mut rows = vec![vec![0_u8; layers.width]; layers.height];
    for cell in &layers.cells {
        rows[cell.y][cell.x] |= cell.sides;
    }
    let mut rows: Vec<Vec<char>> =
        rows.into_iter().map(|row| row.into_iter().map(|sides| LINES[usize::from(sides)]).collect()).collect();
    for (at, place) in layers.places.iter().enumerate() {
        for (n, x) in (place.x..place.x + widths[at]).enumerate() {
            assert_eq!(rows[place.y][x], ' ', "{at}");
            rows[place.y][x] = if n == 0 { char::from(b'a' + at as u8) } else { '=' };
        }
    }
    rows.into_iter().map(|row| row.into_iter().collect::<String>().trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_shop() {
    // postgres redis nats auth catalog payments orders gateway mailer
    let needs: Vec<Vec<usize>> =
        vec![vec![], vec![], vec![], vec![0, 1], vec![0], vec![2], vec![3, 4, 5], vec![6, 5], vec![]];
    let widths = [4, 3, 3, 3, 3, 4, 3, 3, 3];
    let layers = layers(&widths, &needs, 2).unwrap();
    insta::assert_snapshot!("shop", drawing(&layers, &widths));
    assert_eq!(layers.places.iter().map(|place| place.layer).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1, 2, 3, 0]);
}

#[test]
fn circles_and_nonsense_end() {
    let needs = vec![vec![1], vec![2], vec![0, 2, 9], vec![3]];
    let (depth, kept) = depths(&needs);
    assert_eq!((depth, kept), (vec![2, 1, 0, 0], vec![vec![1], vec![2], vec![], vec![]]));
    assert!(layers(&[1; 4], &needs, 1).is_some());
    assert_eq!(layers(&[], &[], 0).unwrap(), Layers::default());
}

#[test]
fn what_nobody_could_read_is_not_laid_out() {
    let chain: Vec<Vec<usize>> = (0..400_usize).map(|n| (0..n).collect()).collect();
    assert_eq!(layers(&[1; 400], &chain, 1), None);
    let long: Vec<Vec<usize>> = (0..5000_usize).map(|n| n.checked_sub(1).into_iter().collect()).collect();
    assert_eq!(layers(&[1; 5000], &long, 1).unwrap().places[4999].layer, 4999);
}

/// Whether the lines of one service lead from its name to that of another.
fn leads(layers: &Layers, widths: &[usize], from: usize, to: usize) -> bool {
    let mut sides = BTreeMap::new();
    for cell in layers.cells.iter().filter(|cell| cell.of == from) {
        *sides.entry((cell.x, cell.y)).or_insert(0) |= cell.sides;
    }
    let (begin, end) = (layers.places[from], layers.places[to]);
    let mut open = vec![(begin.x + widths[from] + 1, begin.y)];
    let mut seen = BTreeSet::new();
    while let Some(at) = open.pop() {
        if at == (end.x - 2, end.y) && sides.get(&at).is_some_and(|sides| sides & EAST != 0) {
            return true;
        }
        if !seen.insert(at) {
            continue;
        }
        let (x, y) = at;
        let here: u8 = sides.get(&at).copied().unwrap_or(0);
        let steps = [(EAST, x + 1, y, WEST), (NORTH, x, y.wrapping_sub(1), SOUTH), (SOUTH, x, y + 1, NORTH)];
        for (out, x, y, into) in steps {
            if here & out != 0 && sides.get(&(x, y)).is_some_and(|sides| sides & into != 0) {
                open.push((x, y));
            }
        }
    }
    false
}

/// A graph without circles, or any at all.
fn graph() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<usize>)> {
    (1_usize..40).prop_flat_map(|n| {
        let needs = prop::collection::vec(prop::collection::vec(0..n + 1, 0..5), n);
        (needs, prop::collection::vec(1_usize..12, n))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn nothing_lies_on_anything_else((needs, widths) in graph(), pitch in 0_usize..4) {
        let layers = layers(&widths, &needs, pitch).unwrap();
        prop_assert_eq!(layers.places.len(), needs.len());
        let mut names = BTreeSet::new();
        for (at, place) in layers.places.iter().enumerate() {
            prop_assert!(place.x + widths[at] <= layers.width && place.y < layers.height);
            for x in place.x..place.x + widths[at] {
                prop_assert!(names.insert((x, place.y)), "{} lies on another", at);
            }
        }
        for cell in &layers.cells {
            prop_assert!(cell.x < layers.width && cell.y < layers.height && cell.sides != 0);
            prop_assert!(!names.contains(&(cell.x, cell.y)), "a line of {} lies on a name", cell.of);
        }
        let (depth, kept) = depths(&needs);
        for (service, needs) in kept.iter().enumerate() {
            prop_assert_eq!(layers.places[service].layer, depth[service]);
            for need in needs {
                prop_assert!(layers.places[*need].layer < layers.places[service].layer);
                prop_assert!(leads(&layers, &widths, *need, service), "no line from {} to {}\n{}", need, service, drawing(&layers, &widths));
            }
        }
    }
}
