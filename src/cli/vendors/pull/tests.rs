//! Lines that fit the terminal, and failures in their own words.

use super::*;
use crate::docker::Class;

#[test]
fn bars_fit_the_terminal() {
    assert!(template(80, 20).contains("bar") && template(80, 20).contains("msg"));
    assert_eq!(template(40, 20), "{prefix}  {wide_bar:.dim}  {percent:>3} %");
    assert_eq!(template(30, 26), "{prefix:22!}  {percent:>3} %");
    assert_eq!(template(0, 0), "{prefix:1!}  {percent:>3} %");
}

#[test]
fn one_failure_speaks_for_itself_and_many_are_listed() {
    let failure = |text: &str| Failure::new(Class::ImageMissing, text, "look");
    let one = told(vec![failure("there is no image `x`")], 3).unwrap_err();
    assert_eq!((one.message.as_str(), one.hints), ("there is no image `x`", vec!["look".to_owned()]));
    let two = told(vec![failure("a"), failure("b")], 3).unwrap_err();
    assert_eq!(two.message, "2 of 3 images could not be fetched");
    assert_eq!(two.details, ["a; look", "b; look"]);
    assert!(told(Vec::new(), 3).is_ok());
}
