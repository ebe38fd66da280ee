//! As much of the ELF format as it takes to find Go's notes in an executable, without reading the whole file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// One table entry: where a piece of the file lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// A section's name; empty for a segment.
    pub name: String,
    /// `PT_*` or `SHT_*`.
    pub kind: u32,
    /// Where in the file.
    pub offset: u64,
    /// How long in the file.
    pub size: u64,
}

/// `PT_NOTE` of the segments.
pub const NOTE: u32 = 4;
/// `PT_INTERP` of the segments: a loader of shared libraries must be there.
pub const LOADER: u32 = 3;

/// An ELF file's header.
#[derive(Clone, Copy, Debug)]
pub struct Elf {
    wide: bool,
    big: bool,
    segments: (u64, u16, u16),
    sections: (u64, u16, u16),
    names: u16,
    machine: u16,
}

impl Elf {
    /// Reads the header; `None` when it is not ELF.
    pub fn read(file: &File) -> Option<Elf> {
        let mut head = [0; 64];
        file.read_exact_at(&mut head, 0).ok()?;
        if &head[..4] != b"\x7fELF" {
            return None;
        }
        let mut elf = Elf {
            wide: head[4] == 2,
            big: head[5] == 2,
            segments: (0, 0, 0),
            sections: (0, 0, 0),
            names: 0,
            machine: 0,
        };
        let at = |offset, size| elf.number(&head, offset, size).unwrap_or(0);
        let short = |offset| at(offset, 2) as u16;
        let (segments, sections, names) = if elf.wide {
            ((at(32, 8), short(54), short(56)), (at(40, 8), short(58), short(60)), short(62))
        } else {
            ((at(28, 4), short(42), short(44)), (at(32, 4), short(46), short(48)), short(50))
        };
        elf.machine = short(18);
        (elf.segments, elf.sections, elf.names) = (segments, sections, names);
        Some(elf)
    }

    /// What it runs on, as Go calls it; `None` for what is not known here.
    pub fn arch(&self) -> Option<&'static str> {
        Some(match (self.machine, self.big) {
            (3, false) => "386",
            (40, false) => "arm",
            (62, false) => "amd64",
            (183, false) => "arm64",
            (243, false) => "riscv64",
            (21, false) => "ppc64le",
            (22, true) => "s390x",
            _ => return None,
        })
    }

    /// The number of `size` bytes at `offset`.
    pub fn number(&self, bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
        let bytes = bytes.get(offset..offset.checked_add(size)?)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }

    /// The program headers.
    pub fn segments(&self, file: &File) -> io::Result<Vec<Piece>> {
        let fields = if self.wide { [(8, 8), (32, 8)] } else { [(4, 4), (16, 4)] };
        self.table(file, self.segments, 0, fields).map(|t| t.into_iter().map(|(_, piece)| piece).collect())
    }

    /// The section headers, named. A stripped file has none or nameless ones.
    pub fn sections(&self, file: &File) -> io::Result<Vec<Piece>> {
        let fields = if self.wide { [(24, 8), (32, 8)] } else { [(16, 4), (20, 4)] };
        let table = self.table(file, self.sections, 4, fields)?;
        let names = match table.get(usize::from(self.names)) {
            Some((_, piece)) => piece_bytes(file, piece, 1 << 20)?,
            None => Vec::new(),
        };
        let name = |at: usize| {
            let rest = names.get(at..).unwrap_or_default();
            String::from_utf8_lossy(rest.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
        };
        Ok(table.into_iter().map(|(at, piece)| Piece { name: name(at as usize), ..piece }).collect())
    }

    fn table(
        &self,
        file: &File,
        (offset, entry, count): (u64, u16, u16),
        kind_at: usize,
        [(place, place_size), (size, size_size)]: [(usize, usize); 2],
    ) -> io::Result<Vec<(u64, Piece)>> {
        const LARGEST_ENTRY: u16 = 256;
        if entry > LARGEST_ENTRY {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let mut bytes = vec![0; usize::from(entry) * usize::from(count)];
        file.read_exact_at(&mut bytes, offset)?;
        let entries = bytes.chunks(usize::from(entry).max(1));
        Ok(entries
            .filter_map(|e| {
                let kind = self.number(e, kind_at, 4)? as u32;
                let offset = self.number(e, place, place_size)?;
                let size = self.number(e, size, size_size)?;
                Some((self.number(e, 0, 4)?, Piece { name: String::new(), kind, offset, size }))
            })
            .collect())
    }
}

/// The bytes of a piece, at most `most` of them.
pub fn piece_bytes(file: &File, piece: &Piece, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; piece.size.min(most) as usize];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], piece.offset.saturating_add(done as u64))? {
            0 => break,
            n => done += n,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}
