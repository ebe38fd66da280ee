//! The time a line says it was written at, in the ways Go's loggers write it.

use super::Value;
use crate::logs::stamp;

/// What a line says of its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    /// As it was written.
    pub text: String,
    /// What that means; `None` where a part is missing (`11:11PM`, klog's `1121 23:11:45.467816`, logrus' `0003`).
    pub moment: Option<Moment>,
}

/// A moment, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Known.
    Utc(i64),
    /// By a clock on a wall whose zone was not said: as if it were UTC.
    Local(i64),
}

/// The value of a field that is named like a time.
pub(super) fn of_value(value: &Value) -> Option<Time> {
    match value {
        Value::Number(digits) => Some(Time { text: digits.clone(), moment: Some(Moment::Utc(of_number(digits)?)) }),
        Value::String(text) => {
            let (time, len) = read(text)?;
            (len == text.len()).then_some(time)
        }
        _ => None,
    }
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970: the size tells, for all moments from 1973 to 5138.
fn of_number(digits: &str) -> Option<i64> {
    let scale = |number: f64| match number.abs() {
        1e8..1e11 => Some(number * 1e6),
        1e11..1e14 => Some(number * 1e3),
        1e14..1e17 => Some(number),
        1e17..1e20 => Some(number / 1e3),
        _ => None,
    };
    // Whole numbers are exact; a fraction of seconds is as far as microseconds go.
    match digits.parse::<i64>() {
        Ok(number) if (100_000_000_000_000_000..).contains(&number) => Some(number / 1000),
        _ => Some(scale(digits.parse().ok()?)?.round() as i64),
    }
}

/// Reads a date with a time at the beginning of a text: `2026-11-21T00:58:53.655Z`, `2026-11-21 00:58:53+01:00`, `2026/11/21 00:58:53.655120`, zap's
/// `…+0100`. Returns it and its length.
pub(super) fn read(text: &str) -> Option<(Time, usize)> {
    let bytes = text.as_bytes();
    let mut stamp = *b"0000-00-00T00:00:00.000000Z";
    if !is_date(bytes) || (bytes[4] == b'/' && bytes[10] != b' ') {
        return None;
    }
    stamp[..4].copy_from_slice(&bytes[..4]);
    stamp[5..7].copy_from_slice(&bytes[5..7]);
    stamp[8..10].copy_from_slice(&bytes[8..10]);
    stamp[11..19].copy_from_slice(&bytes[11..19]);
    let mut len = 19;
    if matches!(bytes.get(19), Some(b'.' | b',')) {
        let n = bytes[20..].iter().take_while(|b| b.is_ascii_digit()).count();
        let kept = n.min(6);
        stamp[20..20 + kept].copy_from_slice(&bytes[20..20 + kept]);
        len += if n > 0 { 1 + n } else { 0 };
    }
    let micros = stamp::micros(&stamp)?;
    let (moment, zone) = match offset(&bytes[len..]) {
        Some((seconds, zone)) => (Moment::Utc(micros - seconds * 1_000_000), zone),
        None => (Moment::Local(micros), 0),
    };
    len += zone;
    Some((Time { text: text[..len].to_owned(), moment: Some(moment) }, len))
}

/// `dddd-dd-ddTdd:dd:dd`, with `/` or a blank.
fn is_date(bytes: &[u8]) -> bool {
    bytes.len() >= 19
        && bytes[..19].iter().enumerate().all(|(at, byte)| match at {
            4 => matches!(byte, b'-' | b'/'),
            7 => *byte == bytes[4],
            10 => matches!(byte, b'T' | b't' | b' '),
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
}

/// `Z`, `+01:00`, `-0100`: seconds east of Greenwich, and the length.
fn offset(bytes: &[u8]) -> Option<(i64, usize)> {
    let number = |at: usize| match bytes.get(at..at + 2) {
        Some([a @ b'0'..=b'9', b @ b'0'..=b'9']) => Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
        _ => None,
    };
    let sign = match bytes.first()? {
        b'Z' | b'z' => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = number(1)?;
    let colon = usize::from(bytes.get(3) == Some(&b':'));
    let minutes = number(3 + colon)?;
    Some((sign * (hours * 3600 + minutes * 60), 5 + colon))
}

/// `11:11PM`, as zerolog writes to a terminal; returns its length.
pub(super) fn kitchen(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let hour = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = bytes.get(hour..hour + 5)?;
    let fits = (1..=2).contains(&hour) && matches!(rest, [b':', b'0'..=b'5', b'0'..=b'9', b'A' | b'P', b'M']);
    fits.then_some(hour + 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_795_222_733_000_000;

    #[test]
    fn texts() {
        let utc = |micros| Some(Moment::Utc(SECOND + micros));
        let local = |micros| Some(Moment::Local(SECOND + micros));
        let cases = [
            ("2026-11-21T00:58:53Z", 20, utc(0)),
            ("2026-11-21T00:58:53.655178133Z", 30, utc(655_178)),
            ("2026-11-21T01:58:53.655+0100", 28, utc(655_000)),
            ("2026-11-21T01:58:53+01:00 x", 25, utc(0)),
            ("2026-11-20 19:28:53-05:30", 25, utc(0)),
            ("2026/11/21 00:58:53 listening", 19, local(0)),
            ("2026/11/21 00:58:53.655120 x", 26, local(655_120)),
            ("2026-11-21 00:58:53,655 x", 23, local(655_000)),
            ("2026-11-21T00:58:53.", 19, local(0)),
        ];
        for (text, len, moment) in cases {
            let (time, read) = read(text).unwrap();
            assert_eq!((time.moment, read, time.text.as_str()), (moment, len, &text[..len]), "{text}");
        }
        let none = [
            "2026-13-21T00:58:53Z",
            "2026-11-21",
            "2026/11-21 00:58:53",
            "2026/11/21T00:58:53",
            "x026-11-21T00:58:53Z",
            "",
        ];
        for text in none {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_by_their_size() {
        let cases = [
            ("1795222733.6552", Some(655_200)),
            ("1795222733", Some(0)),
            ("1795222733655", Some(655_000)),
            ("1795222733655120", Some(655_120)),
            ("1795222733655120999", Some(655_120)),
            ("1.7952227336552e9", Some(655_200)),
            ("42", None),
            ("1e300", None),
        ];
        for (digits, micros) in cases {
            let time = of_value(&Value::Number(digits.to_owned()));
            assert_eq!(time.and_then(|t| t.moment), micros.map(|m| Moment::Utc(SECOND + m)), "{digits}");
        }
    }

    #[test]
    fn kitchens() {
        assert_eq!(
            (kitchen("11:11PM x"), kitchen("3:04AM"), kitchen("3:64AM"), kitchen("123:04AM")),
            (Some(7), Some(6), None, None)
        );
    }

    proptest! {
        #[test]
        fn anything_is_read(text in "[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}[.,]?[0-9ž]{0,12}[Z+-]?[0-9:]{0,6}") {
            if let Some((time, len)) = read(&text) {
                prop_assert_eq!(&text[..len], time.text);
            }
        }
    }
}
