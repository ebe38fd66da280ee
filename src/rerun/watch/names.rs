//! Names that editors give to files nobody means: swap files, backups, probes.

/// Whether a file of this name comes and goes with an editor. Only for files that nothing is made of: what is compiled counts by any name.
pub(super) fn is_temporary(name: &str) -> bool {
    const ENDS: [&str; 12] = [
        "~",
        "___jb_tmp___",
        "___jb_old___",
        "___jb_bak___",
        ".swp",
        ".swo",
        ".swx",
        ".swpx",
        ".kate-swp",
        ".crswap",
        ".orig",
        ".rej",
    ];
    const STARTS: [&str; 8] =
        [".goutputstream-", ".#", ".~lock.", ".nfs", ".fuse_hidden", ".sync-conflict", ".subl", ".!"];
    ENDS.iter().any(|end| name.ends_with(end))
        || STARTS.iter().any(|start| name.starts_with(start))
        || is_vim_probe(name)
        || (name.len() > 1 && name.starts_with('#') && name.ends_with('#'))
        || name == ".DS_Store"
}

/// `4913`, or a bit more where that is taken: vim tries with it whether it may write into the folder.
fn is_vim_probe(name: &str) -> bool {
    (4..=5).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_digit())
        && name.parse::<u32>().is_ok_and(|number| number >= 4913 && (number - 4913).is_multiple_of(123))
}

#[cfg(test)]
mod tests {
    use super::is_temporary;

    #[test]
    fn editors_names_are_told_from_peoples() {
        let editors = [
            "4913",
            "5036",
            "main.go~",
            ".main.go.swp",
            ".main.go.swx",
            ".#main.go",
            "#main.go#",
            "main.go___jb_tmp___",
            "main.go___jb_old___",
            ".goutputstream-XK2B01",
            ".nfs000000000123",
            "patch.rej",
            ".DS_Store",
        ];
        for name in editors {
            assert!(is_temporary(name), "{name}");
        }
        for name in ["main.go", "4914", "49130000", "404", ".env", "#", "a#", "swp", "index.html", "x.tmpl", "12345"] {
            assert!(!is_temporary(name), "{name}");
        }
    }
}
