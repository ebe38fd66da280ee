//! Finds the project a person stands in.

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Context, Error};
use crate::store::good;
use crate::sys::home::DOT;

/// The project's file.
pub const FILE: &str = "orchestra.yml";

/// The working directory as the shell names it: through the symbolic links that were followed, where `$PWD` really is this directory.
pub fn here() -> Result<PathBuf, Error> {
    let real = std::env::current_dir().context("find", Path::new("."))?;
    let Some(logical) = std::env::var_os("PWD").map(PathBuf::from).filter(|path| path.is_absolute()) else {
        return Ok(real);
    };
    let same = |a: &Path, b: &Path| {
        let (a, b) = (std::fs::metadata(a).ok()?, std::fs::metadata(b).ok()?);
        Some((a.dev(), a.ino()) == (b.dev(), b.ino()))
    };
    Ok(if same(&logical, &real) == Some(true) { logical } else { real })
}

/// The nearest folder from `start` upward that has an `orchestra.yml`, symbolic links resolved. A folder reached through a link belongs to
/// the project the link stands in, else to the one it really lies in.
pub fn find(start: &Path) -> Result<PathBuf, Error> {
    let real = start.canonicalize().context("find", start)?;
    // Where the file was removed while a fleet runs, the configuration that was kept marks the folder.
    let is_root = |folder: &&Path| folder.join(FILE).is_file() || good::is_kept(&folder.join(DOT).join("state"));
    let up = |from: &Path| from.ancestors().find(is_root).map(Path::to_owned);
    match up(&logical(start)).or_else(|| up(&real)) {
        Some(root) => Ok(root.canonicalize().context("find", &root)?),
        None => Err(Error::usage(format!("no `{FILE}` in `{}` or any folder above it", start.display()))
            .hint("type `orchestra init` in the folder of your services, or `orchestra -C DIR …`")),
    }
}

/// A path without `.` and `..`, as `cd` in a shell takes it: `..` leaves the folder by the name it was entered.
fn logical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}

/// What `-C DIR` and `-c FILE` (or `ORCHESTRA_CONFIG`) choose: the project's root, and its file where one was named.
pub fn locate(dir: Option<&Path>, file: Option<&Path>) -> Result<(PathBuf, Option<PathBuf>), Error> {
    let here = here()?;
    let start = dir.map_or(here.clone(), |dir| here.join(dir));
    if !start.is_dir() {
        return Err(
            Error::usage(format!("`{}` is not a folder", start.display())).hint("-C takes the folder to work in")
        );
    }
    let Some(file) = file else { return Ok((find(&start)?, None)) };
    let file = start.join(file);
    if !file.is_file() {
        return Err(Error::usage(format!("there is no file `{}`", file.display())).hint("-c takes the project's file"));
    }
    let name = file.file_name().unwrap_or_default().to_owned();
    let folder = file.parent().unwrap_or(&start);
    let root = folder.canonicalize().context("find", folder)?;
    let config = root.join(name);
    Ok((root, Some(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_folder_belongs_to_the_project_of_the_link() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("fleet/api/cmd")).unwrap();
        std::fs::create_dir_all(root.join("other/web")).unwrap();
        std::fs::write(root.join("fleet").join(FILE), "").unwrap();
        std::os::unix::fs::symlink(root.join("other/web"), root.join("fleet/web")).unwrap();
        assert_eq!(find(&root.join("fleet/api/cmd")).unwrap(), root.join("fleet"));
        assert_eq!(find(&root.join("fleet/web")).unwrap(), root.join("fleet"));
        std::fs::create_dir(root.join("other/deep")).unwrap();
        assert_eq!(find(&root.join("other/deep/../../fleet/api")).unwrap(), root.join("fleet"));
        assert!(find(&root.join("fleet/../other")).is_err(), "a folder that was left again is not above");
        let error = find(&root.join("other/web")).unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Usage);
        std::fs::write(root.join("other").join(FILE), "").unwrap();
        assert_eq!(find(&root.join("other/web")).unwrap(), root.join("other"));
    }

    #[test]
    fn a_named_file_names_the_root() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        std::fs::write(root.join("dev.yml"), "").unwrap();
        let found = locate(Some(&root), Some(Path::new("dev.yml"))).unwrap();
        assert_eq!(found, (root.clone(), Some(root.join("dev.yml"))));
        assert!(locate(Some(&root), Some(Path::new("none.yml"))).is_err());
        assert!(locate(Some(&root.join("none")), None).is_err());
    }
}
