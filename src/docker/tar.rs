//! As much of the tar format (POSIX ustar) as a small file tree takes. Nothing in it depends on when or by whom it is written. Pure.

/// Blocks have so many bytes.
const BLOCK: usize = 512;
/// A name or a link's target has at most so many bytes.
const NAME: usize = 100;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A folder.
    Folder,
    /// A file of so many bytes, which follow.
    File(u64),
    /// A symbolic link.
    Link(&'a str),
}

/// The header of an entry of root's; `None` where its name or its target is too long.
pub fn header(path: &str, mode: u32, entry: Entry<'_>) -> Option<[u8; BLOCK]> {
    let (kind, size, target) = match entry {
        Entry::Folder => (b'5', 0, ""),
        Entry::File(size) => (b'0', size, ""),
        Entry::Link(target) => (b'2', 0, target),
    };
    if path.len() > NAME || target.len() > NAME {
        return None;
    }
    let mut out = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| out[at..at + text.len()].copy_from_slice(text);
    put(0, path.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = out.iter().map(|byte| u32::from(*byte)).sum();
    out[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(out)
}

/// So many zeros follow a file of this size.
pub fn padding(size: u64) -> usize {
    let rest = (size % BLOCK as u64) as usize;
    (BLOCK - rest) % BLOCK
}

/// What stands at the end of an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Adds an entry whose content is here; one whose name is too long is left out, which is said by `false`.
pub fn add(archive: &mut Vec<u8>, path: &str, mode: u32, entry: Entry<'_>, content: &[u8]) -> bool {
    let Some(header) = header(path, mode, entry) else { return false };
    archive.extend_from_slice(&header);
    archive.extend_from_slice(content);
    archive.resize(archive.len() + padding(content.len() as u64), 0);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn tar_itself_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Vec::new();
        assert!(add(&mut archive, "tmp/", 0o1777, Entry::Folder, b""));
        assert!(add(&mut archive, "etc/one", 0o644, Entry::File(3), b"abc"));
        assert!(add(&mut archive, "etc/block", 0o755, Entry::File(512), &[b'x'; 512]));
        assert!(add(&mut archive, "etc/two", 0o777, Entry::Link("one"), b""));
        assert!(!add(&mut archive, &"x".repeat(101), 0o644, Entry::File(0), b""));
        archive.extend_from_slice(&END);
        let file = dir.path().join("a.tar");
        std::fs::write(&file, &archive).unwrap();
        let status =
            Command::new("tar").args(["-C"]).arg(dir.path()).arg("-xf").arg(&file).stdin(Stdio::null()).status();
        assert!(status.unwrap().success());
        let at = |path: &str| dir.path().join(path);
        assert_eq!(std::fs::read(at("etc/one")).unwrap(), b"abc");
        assert_eq!(std::fs::read(at("etc/block")).unwrap(), [b'x'; 512]);
        assert_eq!(std::fs::read_link(at("etc/two")).unwrap().to_str(), Some("one"));
        assert!(at("tmp").is_dir());
        assert_eq!((padding(0), padding(1), padding(512), padding(513)), (0, 511, 0, 511));
    }
}
