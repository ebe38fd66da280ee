//! A small disk of a test's own: a tmpfs in a private mount namespace, which a sleeping process holds and which goes with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::eventually;

/// A tmpfs over one folder, seen only by what runs inside.
pub(crate) struct SmallDisk {
    holder: Child,
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts it over `at` with options of tmpfs(5), or says why that is not possible here.
    pub(crate) fn new(at: &Path, options: &str) -> Result<SmallDisk, String> {
        fs::create_dir_all(at).unwrap();
        // The dot says that the mount is there.
        let script =
            format!("mount -t tmpfs -o mode=700,{options} small \"$0\" && touch \"$0/mounted\" && exec sleep 100000");
        let mut holder = Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", &script])
            .arg(at)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("no `unshare`: {error}"))?;
        let mounted = eventually("a small disk", || {
            let there = PathBuf::from(format!("/proc/{}/root", holder.id())).join(at.strip_prefix("/").unwrap());
            match holder.try_wait().unwrap() {
                Some(_) => Some(false),
                None => there.join("mounted").exists().then_some(true),
            }
        });
        if !mounted {
            let said = std::io::read_to_string(holder.stderr.take().unwrap()).unwrap();
            return Err(format!("no mount of our own: {}", said.trim()));
        }
        let disk = SmallDisk { holder, at: at.to_owned() };
        fs::remove_file(disk.path("mounted")).unwrap();
        Ok(disk)
    }

    /// A path on it as it is reached from outside.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.at.strip_prefix("/").unwrap()).join(relative)
    }

    /// A command that runs `program` inside, in the folder `dir`; its own arguments are still to come.
    pub(crate) fn enter(&self, dir: &Path, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-m", "--", "sh", "-c", "cd \"$0\" && exec \"$@\""]);
        command.arg(dir).arg(program);
        command
    }

    /// Mounts it anew with other options; what is on it stays.
    pub(crate) fn remount(&self, options: &str) {
        let mut command = self.enter(Path::new("/"), "mount");
        let done = command.args(["-o", &format!("remount,{options}")]).arg(&self.at).status().unwrap();
        assert!(done.success());
    }

    /// Bytes that are free, and inodes.
    pub(crate) fn free(&self) -> (u64, u64) {
        let stat = nix::sys::statvfs::statvfs(&self.path("")).unwrap();
        (stat.blocks_available() * stat.fragment_size(), stat.files_available())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.holder.kill().unwrap();
        self.holder.wait().unwrap();
    }
}
