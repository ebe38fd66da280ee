//! Time stamps: the 27 bytes of a record to microseconds since 1970 and back. Nothing here reads a clock.

use super::record::STAMP;

/// The bytes up to and including the dot before the microseconds.
const SECONDS: usize = 20;

/// Reads `2026-01-02T03:04:05.678901Z` as microseconds since 1970, or says that it is no stamp.
pub fn micros(stamp: &[u8]) -> Option<i64> {
    let stamp: &[u8; STAMP] = stamp.try_into().ok()?;
    Some(seconds(stamp)? * 1_000_000 + fraction(stamp)?)
}

/// Writes microseconds since 1970 as a stamp. Years beyond 0 to 9999 are cut to that range.
pub fn text(micros: i64) -> [u8; STAMP] {
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;
    let seconds = micros.div_euclid(1_000_000).clamp(FIRST, LAST);
    let fraction = micros.rem_euclid(1_000_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400);
    let mut out = *b"0000-00-00T00:00:00.000000Z";
    digits(&mut out[0..4], year);
    digits(&mut out[5..7], month);
    digits(&mut out[8..10], day);
    digits(&mut out[11..13], time / 3600);
    digits(&mut out[14..16], time / 60 % 60);
    digits(&mut out[17..19], time % 60);
    digits(&mut out[20..26], fraction);
    out
}

/// Reads stamps that come one after the other: most share their second, so only the fraction is read anew.
#[derive(Clone, Debug)]
pub struct Stamps {
    seen: [u8; SECONDS],
    base: i64,
}

impl Default for Stamps {
    fn default() -> Stamps {
        Stamps { seen: [0; SECONDS], base: 0 }
    }
}

impl Stamps {
    /// Reads one stamp as [`micros`] does.
    #[inline]
    pub fn micros(&mut self, stamp: &[u8; STAMP]) -> Option<i64> {
        let [head @ .., _, _, _, _, _, _, _] = stamp;
        if *head != self.seen {
            self.base = seconds(stamp)? * 1_000_000;
            self.seen = *head;
        }
        Some(self.base + fraction(stamp)?)
    }
}

#[inline]
fn fraction(stamp: &[u8; STAMP]) -> Option<i64> {
    let mut value = 0;
    let mut wrong = stamp[26] ^ b'Z';
    for byte in &stamp[20..26] {
        let digit = byte.wrapping_sub(b'0');
        wrong |= u8::from(digit > 9);
        value = value * 10 + i64::from(digit);
    }
    if wrong == 0 { Some(value) } else { None }
}

fn seconds(stamp: &[u8; STAMP]) -> Option<i64> {
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.')];
    if marks.iter().any(|(at, byte)| stamp[*at] != *byte) {
        return None;
    }
    let field = |from: usize, to: usize| {
        stamp[from..to].iter().try_fold(0_i64, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 { None } else { Some(value * 10 + i64::from(digit)) }
        })
    };
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 in the Gregorian calendar (years begin in March, so that the leap day is the last).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn digits(out: &mut [u8], mut value: i64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        assert_eq!(micros(b"1970-01-01T00:00:00.000000Z"), Some(0));
        assert_eq!(micros(b"2026-01-02T03:04:05.678901Z"), Some(1_767_323_045_678_901));
        assert_eq!(micros(b"2024-02-29T23:59:59.999999Z"), Some(1_709_251_199_999_999));
        assert_eq!(&text(1_767_323_045_678_901), b"2026-01-02T03:04:05.678901Z");
    }

    #[test]
    fn nonsense_is_no_stamp() {
        for stamp in
            [&b""[..], b"2026-01-02T03:04:05.67890xZ", b"2026-13-02T03:04:05.678901Z", b"2026-01-02 03:04:05.678901Z"]
        {
            assert_eq!(micros(stamp), None);
        }
    }

    proptest! {
        #[test]
        fn round_trip(at in -62_167_219_200_000_000_i64..253_402_300_800_000_000) {
            prop_assert_eq!(micros(&text(at)), Some(at));
            let mut stamps = Stamps::default();
            for step in [0, 1, 999_999, 1_000_000] {
                let at = (at + step).min(253_402_300_799_999_999);
                prop_assert_eq!(stamps.micros(&text(at)), Some(at));
            }
        }
    }
}
