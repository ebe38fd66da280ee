//! What a Go executable tells about itself, read without running `go`: its build id and its build information.
//!
//! A build id has slash-separated parts; the last is a hash of the content (the ids themselves left out), so an edit that changes no code, a comment
//! for instance, keeps it although the file changes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;

use super::elf::{self, Elf, Piece};
use crate::error::{Context, PathError};
use crate::task::id::Artifact;

/// Go's linker puts a raw build id at the start of the text where the format has no notes (Mach-O).
const RAW: &[u8] = b"\xff Go build ID: \"";
const RAW_END: &[u8] = b"\"\n \xff";
/// The linker keeps it within the first 32 KiB; headers of an externally linked Mach-O may push it further.
const RAW_WITHIN: usize = 1 << 20;
const INFO: &[u8] = b"\xff Go buildinf:";
const INFO_ALIGN: u64 = 16;
const INFO_HEADER: usize = 32;

/// What `debug/buildinfo` would say of an executable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// `go1.26.8`
    pub go: String,
    /// The import path of the main package, or `command-line-arguments`.
    pub path: String,
    /// The main module's path.
    pub module: Option<String>,
    /// `-buildmode`, `GOOS`, `vcs.revision`, …, in the order of the file.
    pub settings: Vec<(String, String)>,
}

/// What a binary is made of: the content part of its build id, or a hash of its bytes when it has none.
pub fn artifact(path: &Path) -> Result<Artifact, PathError> {
    artifact_of(&File::open(path).context("open", path)?).context("read", path)
}

/// The same of a file that is open.
pub fn artifact_of(file: &File) -> io::Result<Artifact> {
    if let Some(id) = build_id(file)
        && let Some((_, content)) = id.rsplit_once('/')
        && !content.is_empty()
    {
        return Ok(Artifact(content.to_owned()));
    }
    hash(file).map(Artifact)
}

/// The whole build id of an executable: `action/main-action/main-content/content`.
pub fn build_id(file: &File) -> Option<String> {
    if let Some(elf) = Elf::read(file) {
        let noted =
            elf.segments(file).ok()?.into_iter().filter(|s| s.kind == elf::NOTE).find_map(|s| noted(&elf, file, &s));
        if noted.is_some() {
            return noted;
        }
    }
    let start = elf::piece_bytes(
        file,
        &Piece { name: String::new(), kind: 0, offset: 0, size: RAW_WITHIN as u64 },
        RAW_WITHIN as u64,
    );
    let start = start.ok()?;
    let from = memmem::find(&start, RAW)? + RAW.len();
    let len = memmem::find(&start[from..], RAW_END)?;
    String::from_utf8(start[from..from + len].to_vec()).ok()
}

/// Finds the note of owner `Go`, type 4, in a note segment.
fn noted(elf: &Elf, file: &File, segment: &Piece) -> Option<String> {
    const GO_BUILD_ID: u64 = 4;
    let bytes = elf::piece_bytes(file, segment, 1 << 16).ok()?;
    let mut at = 0;
    loop {
        let name_len = elf.number(&bytes, at, 4)? as usize;
        let len = elf.number(&bytes, at + 4, 4)? as usize;
        let kind = elf.number(&bytes, at + 8, 4)?;
        let name_at = at + 12;
        let from = name_at.checked_add(name_len.checked_next_multiple_of(4)?)?;
        let name = bytes.get(name_at..name_at.checked_add(name_len)?)?;
        let value = bytes.get(from..from.checked_add(len)?)?;
        if name == b"Go\0\0" && kind == GO_BUILD_ID {
            return String::from_utf8(value.to_vec()).ok().filter(|id| !id.is_empty());
        }
        at = from.checked_add(len.checked_next_multiple_of(4)?)?;
    }
}

/// FNV-1a over 128 bits: only for binaries without a build id, never for trust.
fn hash(file: &File) -> io::Result<String> {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut sum = OFFSET;
    let mut buffer = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(format!("fnv-{sum:032x}")),
            n => {
                sum = buffer[..n].iter().fold(sum, |h, b| (h ^ u128::from(*b)).wrapping_mul(PRIME));
                at += n as u64;
            }
        }
    }
}

/// Reads the build information of a Go executable; `None` when it is not one (or one older than Go 1.18).
pub fn build_info(file: &File) -> Option<BuildInfo> {
    let sections = Elf::read(file).and_then(|elf| elf.sections(file).ok()).unwrap_or_default();
    match sections.iter().find(|section| section.name == ".go.buildinfo") {
        Some(section) => info_at(file, section.offset).or_else(|| scan(file)),
        // A browser of hundreds of megabytes that names its sections needs no look at each byte.
        None if sections.iter().any(|section| section.name == ".text") => None,
        None => scan(file),
    }
}

/// Looks through the whole file, as it must be done where there is no section to go by.
fn scan(file: &File) -> Option<BuildInfo> {
    const CHUNK: usize = 1 << 20;
    let mut buffer = vec![0; CHUNK + INFO.len()];
    let mut at: u64 = 0;
    loop {
        let n = file.read_at(&mut buffer, at).ok()?;
        if n < INFO_HEADER {
            return None;
        }
        let found = memmem::find_iter(&buffer[..n], INFO)
            .map(|i| at + i as u64)
            .filter(|place| place % INFO_ALIGN == 0)
            .find_map(|place| info_at(file, place));
        if found.is_some() {
            return found;
        }
        // Chunks overlap by the length of the mark, so that one across the border is seen; short reads move on by what came.
        at += n.saturating_sub(INFO.len()).max(1) as u64;
    }
}

fn info_at(file: &File, offset: u64) -> Option<BuildInfo> {
    const INLINE: u8 = 2;
    let most = 1 << 22;
    let bytes = elf::piece_bytes(file, &Piece { name: String::new(), kind: 0, offset, size: most }, most).ok()?;
    if !bytes.starts_with(INFO) || bytes.get(15)? & INLINE == 0 {
        return None;
    }
    let (go, rest) = inline(bytes.get(INFO_HEADER..)?)?;
    let (module, _) = inline(rest)?;
    let mut info = BuildInfo { go: String::from_utf8_lossy(go).into_owned(), ..BuildInfo::default() };
    // The text stands between two sentinels of 16 bytes.
    if module.len() >= 33 && module[module.len() - 17] == b'\n' {
        read_lines(&String::from_utf8_lossy(&module[16..module.len() - 16]), &mut info);
    }
    Some(info).filter(|i| i.go.starts_with("go") || i.go.starts_with("devel"))
}

fn read_lines(text: &str, info: &mut BuildInfo) {
    for line in text.lines() {
        match line.split_once('\t') {
            Some(("path", path)) => info.path = path.to_owned(),
            Some(("mod", module)) => info.module = module.split('\t').next().map(str::to_owned),
            Some(("build", setting)) => {
                let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
                info.settings.push((key.trim_matches('"').to_owned(), value.trim_matches('"').to_owned()));
            }
            Some(_) | None => {}
        }
    }
}

/// A string with its length before it, as a varint.
fn inline(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len: u64 = 0;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        len |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let from = i + 1;
            let to = from.checked_add(usize::try_from(len).ok()?)?;
            return Some((bytes.get(from..to)?, bytes.get(to..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn go(dir: &Path, args: &[&str]) -> String {
        let out = Command::new("go").args(args).current_dir(dir).env("GOFLAGS", "-buildvcs=false").output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    #[test]
    fn agrees_with_go_itself() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("go.mod"), "module ex.com/buildid\ngo 1.21\n").unwrap();
        fs::write(dir.path().join("main.go"), "package main\nfunc main() { println(1) }\n").unwrap();
        for (flags, env) in
            [(vec![], ("GOOS", "linux")), (vec!["-ldflags=-s -w"], ("GOOS", "linux")), (vec![], ("GOOS", "darwin"))]
        {
            let mut args = vec!["build", "-o", "out"];
            args.extend(flags);
            let built = Command::new("go")
                .args(&args)
                .current_dir(dir.path())
                .env(env.0, env.1)
                .env("CGO_ENABLED", "0")
                .status();
            assert!(built.unwrap().success());
            let file = File::open(dir.path().join("out")).unwrap();
            let want = go(dir.path(), &["tool", "buildid", "out"]);
            assert_eq!(build_id(&file).as_deref(), Some(want.as_str()), "{env:?}");
            assert_eq!(artifact(&dir.path().join("out")).unwrap().0, want.rsplit('/').next().unwrap());
            let info = build_info(&file).unwrap();
            assert_eq!((info.path.as_str(), info.module.as_deref()), ("ex.com/buildid", Some("ex.com/buildid")));
            assert!(info.settings.contains(&(env.0.to_owned(), env.1.to_owned())), "{info:?}");
            assert_eq!(info.go, go(dir.path(), &["env", "GOVERSION"]));
        }
    }

    #[test]
    fn other_files_have_a_hash_and_no_information() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, b"#!/bin/sh\n").unwrap();
        let first = artifact(&path).unwrap();
        assert!(first.0.starts_with("fnv-"), "{first:?}");
        fs::write(&path, b"#!/bin/sh\n\n").unwrap();
        assert_ne!(artifact(&path).unwrap(), first);
        assert_eq!(build_info(&File::open(&path).unwrap()), None);
        assert!(artifact(&dir.path().join("missing")).is_err());
    }

    #[test]
    fn torn_files_never_panic() {
        let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for len in (0..4096).step_by(37) {
            fs::write(&path, &whole[..len]).unwrap();
            let file = File::open(&path).unwrap();
            assert_eq!((build_id(&file), build_info(&file)), (None, None));
        }
    }
}
