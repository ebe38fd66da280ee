//! Small values in text: durations, sizes, signals, ports. Each reader says in one sentence what it wants.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::task::spec::Protocol;

/// Reads `10s`, `1m30s`, `500ms`, `1.5h`; a bare `0` is no time at all.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write `10s`, `500ms` or `1m30s`");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, 0.0_f64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        total += number * unit_seconds(&rest[digits..unit_end]).ok_or_else(wrong)?;
        rest = &rest[unit_end..];
    }
    if text.is_empty() || total > 1e9 {
        return Err(wrong());
    }
    Ok(Duration::from_nanos((total * 1e9).round() as u64))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    })
}

/// Reads `512MiB`, `1GB`, `1.5GiB`, `4096`; one letter (`256m`) counts in 1024s as it does for Docker.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write `512MiB`, `1GB` or a number of bytes");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let (letter, base) = match unit.as_str() {
        "" | "b" => ("", 1.0),
        unit => match unit.strip_suffix("ib").map(|l| (l, 1024.0)).or(unit.strip_suffix('b').map(|l| (l, 1000.0))) {
            Some(found) => found,
            None => (unit, 1024.0_f64),
        },
    };
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == letter).ok_or_else(wrong)?;
    let bytes = number * base.powi(power as i32);
    if bytes.is_finite() && bytes < 9e18 { Ok(bytes.round() as u64) } else { Err(wrong()) }
}

/// Reads `SIGTERM`, `TERM`, `term` or `15`.
pub fn signal(text: &str) -> Result<i32, String> {
    let wrong = || format!("`{text}` is not a signal: write a name like `SIGTERM` or a number from 1 to 31");
    if let Ok(number) = text.parse::<i32>() {
        return Signal::try_from(number).map(|signal| signal as i32).map_err(|_| wrong());
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    name.parse::<Signal>().map(|signal| signal as i32).map_err(|_| wrong())
}

/// The number of a port, or that a free one is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortNumber {
    /// This one.
    Fixed(u16),
    /// Any free one.
    Auto,
}

/// Reads `8080`, `auto`, `5683/udp`.
pub fn port(text: &str) -> Result<(PortNumber, Protocol), String> {
    let (number, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        other => return Err(format!("`{other}` is not a protocol: write `tcp` or `udp`")),
    };
    if number == "auto" {
        return Ok((PortNumber::Auto, protocol));
    }
    match number.parse::<u16>() {
        Ok(0) => Err("port 0 means any free port: write `auto`".to_owned()),
        Ok(number) => Ok((PortNumber::Fixed(number), protocol)),
        Err(_) => Err(format!("`{text}` is not a port: write a number from 1 to 65535, `auto` or `5683/udp`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "10", "s", "10 s", "-1s", "1..2s", "10x", "99999999999999h", "1e9s", "inf"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("1GB"), Ok(1_000_000_000));
        assert_eq!(size("1.5 KiB"), Ok(1536));
        assert_eq!(size("256m"), Ok(256 << 20));
        assert_eq!(size("4096"), Ok(4096));
        for wrong in ["", "MiB", "-1", "1XB", "1e30", "nan", "99999999PB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn signals() {
        assert_eq!(["SIGTERM", "term", "15"].map(signal), [Ok(15), Ok(15), Ok(15)]);
        assert!(["0", "99", "SIGNOPE", "-9", ""].map(signal).iter().all(Result::is_err));
    }

    #[test]
    fn ports() {
        assert_eq!(port("8080"), Ok((PortNumber::Fixed(8080), Protocol::Tcp)));
        assert_eq!(port("5683/udp"), Ok((PortNumber::Fixed(5683), Protocol::Udp)));
        assert_eq!(port("auto/udp"), Ok((PortNumber::Auto, Protocol::Udp)));
        assert!(["0", "65536", "http", "", "80/sctp", "-1"].map(port).iter().all(Result::is_err));
    }
}
