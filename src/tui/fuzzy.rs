//! Finds what somebody means by a few letters: for the palette, for completion, for lists. Smart about case, and knows where words begin.

use std::cmp::Reverse;
use std::ops::Range;

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use unicode_segmentation::UnicodeSegmentation;

/// Of a longer text only the beginning is looked at: the time a match takes grows with it.
const LONGEST: usize = 1024;

/// A text that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which of those given.
    pub index: usize,
    /// How well it fits; more is better.
    pub score: u32,
    /// The parts of the text that were meant, as bytes; ascending, apart from each other, whole characters.
    pub parts: Vec<Range<usize>>,
}

/// Those of `items` that hold the letters of `query` in their order, the best first; equally good ones stay in their order.
///
/// Each word of the query has to be found. As in fzf, `!word` must not be there, `^word` begins, `word$` ends, `'word` is there as it stands. Small letters
/// mean large ones too. Without a query all fit.
pub fn find<'a>(query: &str, items: impl IntoIterator<Item = &'a str>) -> Vec<Found> {
    let pattern = Pattern::parse(query, CaseMatching::Smart, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let (mut buffer, mut found) = (Vec::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        let end = item.char_indices().nth(LONGEST).map_or(item.len(), |(end, _)| end);
        let text = &item[..end];
        let mut places = Vec::new();
        let score = pattern.indices(Utf32Str::new(text, &mut buffer), &mut matcher, &mut places);
        if let Some(score) = score {
            found.push(Found { index, score, parts: parts(text, places) });
        }
    }
    // Stable: what is equally good stays in its order.
    found.sort_by_key(|found: &Found| Reverse(found.score));
    found
}

/// Numbers of characters, as a person counts them, as parts of the text.
fn parts(text: &str, mut places: Vec<u32>) -> Vec<Range<usize>> {
    places.sort_unstable();
    places.dedup();
    let mut places = places.into_iter().map(|place| place as usize).peekable();
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (number, (start, character)) in text.grapheme_indices(true).enumerate() {
        if places.next_if_eq(&number).is_none() {
            continue;
        }
        let end = start + character.len();
        match parts.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => parts.push(start..end),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMANDS: [&str; 8] = [
        "restart orders",
        "restart payments",
        "reload",
        "stop orders",
        "start",
        "scale orders",
        "Rerun failed tests",
        "žluťoučký kůň",
    ];

    /// The texts found, with what was meant in brackets.
    fn shown(query: &str) -> Vec<String> {
        let found = find(query, COMMANDS);
        let marked = |found: &Found| {
            let mut out = COMMANDS[found.index].to_owned();
            for part in found.parts.iter().rev() {
                out.insert(part.end, ']');
                out.insert(part.start, '[');
            }
            out
        };
        found.iter().map(marked).collect()
    }

    #[test]
    fn a_few_letters_are_enough() {
        let cases: [(&str, &[&str]); 9] = [
            ("reo", &["[re]start [o]rders", "[re]l[o]ad"]),
            ("rest", &["[rest]art orders", "[rest]art payments", "[Re]run failed te[st]s"]),
            ("sta", &["[sta]rt", "re[sta]rt orders", "re[sta]rt payments"]),
            ("pay re", &["[re]start [pay]ments"]),
            ("!start ord", &["stop [ord]ers", "scale [ord]ers"]),
            ("^sta", &["[sta]rt"]),
            ("RE", &[]),
            ("kun", &["žluťoučký [kůň]"]),
            ("xyz", &[]),
        ];
        let all: Vec<Vec<String>> = cases.iter().map(|(query, _)| shown(query)).collect();
        assert_eq!(all, cases.map(|(_, expected)| expected.to_vec()));
    }

    #[test]
    fn without_a_query_all_stay_in_their_order() {
        let found = find("", COMMANDS);
        assert!(found.iter().map(|found| found.index).eq(0..COMMANDS.len()));
        assert!(found.iter().all(|found| found.parts.is_empty()));
        assert_eq!(find("a", []), []);
    }

    #[test]
    fn of_long_texts_the_beginning_is_looked_at() {
        let long = format!("{}needle", "ž".repeat(LONGEST));
        assert_eq!(find("needle", [long.as_str()]), []);
        assert_eq!(find("needle", [&long[2 * 6..]]).len(), 1);
    }

    proptest! {
        #[test]
        fn parts_are_whole_characters(query in "[a-zž!^$' ]{0,6}", text in "[a-zžA-Z e\u{301}👩\u{200d}🇨\r\n]{0,30}") {
            for found in find(&query, [text.as_str()]) {
                let mut last = 0;
                for part in found.parts {
                    prop_assert!(part.start >= last && part.start < part.end);
                    prop_assert!(text.get(part.clone()).is_some());
                    last = part.end + 1;
                }
            }
        }
    }
}
