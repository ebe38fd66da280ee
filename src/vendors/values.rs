//! Small values as Docker writes them.

use crate::config::reader::Reader;
use crate::config::tree::Node;

/// Bytes as Docker counts them: `64m`, `512mb`, `1.5GiB`, `1073741824`; every unit is a power of 1024.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write `512m`, `1g` or a number of bytes");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let power = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(wrong()),
    };
    let bytes = number * 1024_f64.powi(power);
    if unit == "ib" || !bytes.is_finite() || bytes >= 9e18 { Err(wrong()) } else { Ok(bytes.round() as u64) }
}

/// Reads a size.
pub(super) fn size(node: &Node, key: &str, reader: &mut Reader) -> Option<u64> {
    parsed(node, key, reader, bytes)
}

/// A text that something can be made of.
pub(super) fn parsed<T>(
    node: &Node,
    key: &str,
    reader: &mut Reader,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let text = reader.text(node, key)?;
    match parse(text.trim()) {
        Ok(value) => Some(value),
        Err(message) => {
            reader.error(&node.place, format!("`{key}`: {message}"));
            None
        }
    }
}

/// `SIGTERM`, `term`, `15`, `SIGRTMIN+3`: as the engine takes it.
pub(super) fn signal(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not a signal: write a name like `SIGTERM` or a number");
    if let Ok(number) = text.parse::<u8>() {
        return if (1..=64).contains(&number) { Ok(text.to_owned()) } else { Err(wrong()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = name.strip_prefix("RTMIN").or(name.strip_prefix("RTMAX"));
    let is_real_time = |rest: &str| {
        rest.is_empty() || rest.strip_prefix(['+', '-']).is_some_and(|n| n.parse::<u8>().is_ok_and(|n| n <= 31))
    };
    let known = real_time.is_some_and(is_real_time) || crate::config::values::signal(name).is_ok();
    if known { Ok(format!("SIG{name}")) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_1024s_as_docker_does() {
        for (text, expected) in [
            ("64m", 64 << 20),
            ("512MB", 512 << 20),
            ("1.5GiB", 3 << 29),
            ("2 kb", 2048),
            ("1073741824", 1 << 30),
            ("10b", 10),
            ("0", 0),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "m", "-1", "1x", "1ib", "1e30g", "nan", "inf", "9999999p"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn signals_as_the_engine_takes_them() {
        let ok = |text: &str| signal(text).unwrap();
        assert_eq!(
            ["SIGINT", "term", "15", "sigrtmin+3", "SIGRTMAX"].map(ok),
            ["SIGINT", "SIGTERM", "15", "SIGRTMIN+3", "SIGRTMAX"]
        );
        for wrong in ["", "0", "65", "SIGNOPE", "RTMIN+99", "-9", "SIG"] {
            assert!(signal(wrong).is_err(), "{wrong}");
        }
    }
}
