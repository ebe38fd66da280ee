//! Files to text: regular, of a reasonable size, UTF-8.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::problem::Problem;
use super::tree::{Place, Source};

/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 20;
/// The longest line.
const MAX_LINE: usize = 64 << 10;

/// Reads a file; `shown` is its path in messages. A byte order mark is taken off.
pub fn read(path: &Path, shown: &Path) -> Result<Arc<Source>, Problem> {
    let failed = |error: io::Error| Problem::in_file(shown, format!("cannot read the file: {error}"));
    let meta = fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(Problem::in_file(shown, "not a regular file"));
    }
    if meta.len() > MAX_BYTES {
        return Err(too_large(shown, meta.len()));
    }
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large(shown, bytes.len() as u64));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| not_utf8(shown, error.utf8_error().valid_up_to(), &error.into_bytes()))?;
    let source = Source::new(shown, text.strip_prefix('\u{feff}').unwrap_or(&text));
    let long = source.text.lines().zip(1..).find(|(line, _)| line.len() > MAX_LINE).map(|(_, line)| line);
    match long {
        None => Ok(source),
        Some(line) => {
            let problem =
                Problem::at(&Place { source, line, column: 1 }, format!("the line is longer than {MAX_LINE} bytes"));
            Err(Problem { source_line: None, ..problem })
        }
    }
}

fn too_large(shown: &Path, bytes: u64) -> Problem {
    Problem::in_file(shown, format!("the file is too large: {bytes} bytes, at most {MAX_BYTES} are read"))
        .hint("is this the right file? move data out of it")
}

/// Names the first byte that is wrong, and its place.
fn not_utf8(shown: &Path, at: usize, bytes: &[u8]) -> Problem {
    let (before, rest) = bytes.split_at(at);
    let before = String::from_utf8_lossy(before);
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u32 + 1;
    let byte = rest.first().copied().unwrap_or(0);
    let source = Source::new(shown, &String::from_utf8_lossy(bytes));
    let problem = Problem::at(&Place { source, line, column }, format!("byte 0x{byte:02x} is not UTF-8"));
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Problem { source_line: None, ..problem }.hint("the file looks like UTF-16: save it as UTF-8");
    }
    problem.hint("save the file as UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_file_is_not_even_read() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("big.yml");
        fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
        let problem = read(&path, Path::new("big.yml")).unwrap_err();
        assert_eq!(problem.message, "the file is too large: 104857600 bytes, at most 1048576 are read");
        fs::write(&path, format!("a: 1\nb: {}\n", "x".repeat(70_000))).unwrap();
        let problem = read(&path, Path::new("long.yml")).unwrap_err();
        assert_eq!(problem.to_string(), "long.yml:2:1: the line is longer than 65536 bytes");
        assert!(read(temp.path(), Path::new("x")).unwrap_err().message.contains("not a regular file"));
    }
}
