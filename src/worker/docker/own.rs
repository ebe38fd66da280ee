//! Images of services that run in containers (`run_in: docker`): the service's binary, certificates and time zones, and nothing else.
//!
//! A name says what is inside: while the binary is the same, nothing is made and nothing is sent. An image goes with the last container that uses it,
//! but for that of the newest binary.

mod files;

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use bollard::models::ImageInspect;

use self::files::{Base, Sources};
use super::Ground;
use crate::docker::{Class, Docker, Failure, labels};
use crate::services::buildid;
use crate::services::elf::{self, Elf};
use crate::task::container::{ContainerSpec, OwnProgram, Source};
use crate::task::id::{RunId, ServiceName};
use crate::worker::RunReport;

/// Images of another recipe are others.
const RECIPE: &str = "1";
/// Who runs in it where the caller is root.
const NOBODY: &str = "65532:65532";

/// What an image is made for.
pub(super) struct Made<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) container: &'a ContainerSpec,
    pub(super) program: &'a OwnProgram,
}

/// An image's name, in its two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    repository: String,
    tag: String,
}

impl Name {
    fn whole(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}

impl Made<'_> {
    /// Sees to the image of the binary as it is now; its name, and what the engine says of it.
    pub(super) async fn ensure(
        &self,
        ground: &Ground,
        docker: &Docker,
        run: RunId,
    ) -> Result<(String, ImageInspect), Failure> {
        let (binary, name, sources) = self.read(ground).await?;
        let whole = name.whole();
        // Several copies begin together, and need one image.
        let _turn = ground.imaging.lock().await;
        if let Some(known) = docker.image(&whole).await? {
            return Ok((whole, known));
        }
        for words in self.make(ground, docker, &name, binary, sources).await? {
            ground.report(run, RunReport::Note(words)).await;
        }
        let missing =
            || Failure::new(Class::ImageMissing, format!("the engine took `{whole}` and does not have it"), "");
        let made = docker.image(&whole).await?.ok_or_else(missing)?;
        Ok((whole, made))
    }

    /// The binary, opened, so that a newer one in its place is another matter.
    async fn read(&self, ground: &Ground) -> Result<(File, Name, Sources), Failure> {
        let (path, env) = (self.program.binary.clone(), self.container.hook_env.clone());
        let repository = repository(&self.container.image);
        let about = format!("{RECIPE}\n{}\n{}\n", ground.home.root.display(), self.service);
        let looked = tokio::task::spawn_blocking(move || {
            let unread = |error: std::io::Error| {
                let message = format!("`{}` cannot be read: {error}", path.display());
                Failure::new(Class::BadSpec, message, "`orchestra build` makes it anew")
            };
            let file = File::open(&path).map_err(unread)?;
            check(&file, &path)?;
            let sources = Sources::find(&env);
            let content = buildid::artifact_of(&file).map_err(unread)?;
            let name = Name { repository, tag: tag(&format!("{about}{}\n{}", content.0, sources.mark())) };
            Ok((file, name, sources))
        });
        looked.await.unwrap_or_else(|error| Err(Failure::new(Class::Other, format!("a look broke: {error}"), "")))
    }

    /// Makes it; what a person should know.
    async fn make(
        &self,
        ground: &Ground,
        docker: &Docker,
        name: &Name,
        binary: File,
        sources: Sources,
    ) -> Result<Vec<String>, Failure> {
        let began = Instant::now();
        let program = program(self.service);
        let mut notes: Vec<String> = emulated(&binary, docker).into_iter().collect();
        let packed = tokio::task::spawn_blocking(move || Base::read(&sources).pack(binary, program)).await;
        let broken = |error: &dyn std::fmt::Display| {
            let message = format!("the image `{}` cannot be made: {error}", name.whole());
            Failure::new(Class::Other, message, "")
        };
        let packed = packed.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
        let changes = self.changes(&ground.home.root, packed.zone_file());
        notes.extend(packed.missing().iter().cloned());
        let megabytes = packed.size() as f64 / 1e6;
        docker
            .make_image((&name.repository, &name.tag), changes, packed.stream())
            .await
            .map_err(|failure| failure.about(format!("cannot make the image `{}`", name.whole())))?;
        let seconds = began.elapsed().as_secs_f64();
        notes.insert(0, format!("made the image `{}` ({megabytes:.1} MB) in {seconds:.1} s", name.whole()));
        Ok(notes)
    }

    /// What the image says of itself, in lines of a Dockerfile.
    fn changes(&self, root: &Path, zone_file: Option<&str>) -> Vec<String> {
        let path = program(self.service);
        let mut out = vec![format!("ENTRYPOINT [\"/{path}\"]"), format!("USER {NOBODY}"), "WORKDIR /".to_owned()];
        out.extend(zone_file.map(|file| format!("ENV ZONEINFO=/{file}")));
        let root = root.display().to_string();
        let labels = [
            (labels::ROOT, root.as_str()),
            (labels::NAME, self.container.project.as_str()),
            (labels::SERVICE, self.service.as_str()),
        ];
        // What has a line break cannot be said in a line.
        let sayable = labels.into_iter().filter(|(_, value)| !value.contains(['\n', '\r']));
        out.extend(sayable.map(|(key, value)| format!("LABEL {key}={}", quoted(value))));
        out
    }

    /// Removes the images of this service that nobody uses; that of the binary as it is now stays.
    pub(super) async fn sweep(&self, ground: &Ground, docker: &Docker) -> Result<(), Failure> {
        let newest = self.read(ground).await.ok().map(|(_, name, _)| name.whole());
        let _turn = ground.imaging.lock().await;
        for image in docker.made_images(&ground.home.root).await? {
            if image.service == self.service.as_str() && Some(&image.name) != newest.as_ref() {
                docker.remove_image(&image.name).await?;
            }
        }
        Ok(())
    }
}

/// As whom it runs: what lies in the working directory is the caller's, and root is nobody in there unless it must write.
pub(super) fn user(container: &ContainerSpec) -> String {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let writes =
        |mount: &crate::task::container::Mount| matches!(mount.source, Source::Bind { .. }) && !mount.read_only;
    match uid.is_root() && !container.mounts.iter().any(writes) {
        true => NOBODY.to_owned(),
        false => format!("{uid}:{gid}"),
    }
}

/// Nothing of this machine can be seen in it: a service's folder is where its engine is not.
pub(super) fn is_apart(container: &ContainerSpec, is_here: bool) -> bool {
    container.program.is_some() && !is_here
}

/// Where the binary lies in its image, without the first slash.
fn program(service: &ServiceName) -> String {
    const MOST: usize = 80;
    let name = service.as_str();
    format!("bin/{}", name.get(..MOST).unwrap_or(name))
}

/// Engines take names of lower-case letters and digits with single separators between them.
fn repository(image: &str) -> String {
    let words: Vec<&str> = image.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-").to_ascii_lowercase();
    name.truncate(200);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "service".to_owned() } else { name.to_owned() }
}

/// Sixteen hexadecimal digits that say what is inside (FNV-1a).
fn tag(content: &str) -> String {
    let hash =
        content.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// A value in a line of a Dockerfile.
fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Whether it can run where there is nothing but itself.
fn check(file: &File, path: &Path) -> Result<(), Failure> {
    let Some(elf) = Elf::read(file) else {
        let message = format!("`{}` is no program for Linux", path.display());
        return Err(Failure::new(Class::BadSpec, message, "take `GOOS` out of its `env` and `build.env`"));
    };
    let segments = elf.segments(file).unwrap_or_default();
    if segments.iter().any(|segment| segment.kind == elf::LOADER) {
        let message = format!(
            "`{}` needs the C library of this machine (cgo), which a minimal image does not have",
            path.display()
        );
        let hint = "take `CGO_ENABLED` out of its `env` and `build.env`, or link it statically: \
                    `build: {ldflags: \"-linkmode external -extldflags -static\"}`";
        return Err(Failure::new(Class::BadSpec, message, hint));
    }
    Ok(())
}

/// A word on a binary of another architecture than the engine's.
fn emulated(file: &File, docker: &Docker) -> Option<String> {
    let arch = Elf::read(file)?.arch()?;
    let engine = docker.arch();
    let fits = engine.is_empty() || arch == engine || matches!((arch, engine), ("386", "amd64") | ("arm", "arm64"));
    (!fits).then(|| {
        format!(
            "its binary is for {arch} and the engine's machine is {engine}: it runs only where that can be emulated"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_an_engine_takes() {
        assert_eq!(repository("shop-api"), "shop-api");
        assert_eq!(repository("_Shop__-x_"), "shop-x");
        assert_eq!(repository("-_"), "service");
        assert_eq!(tag("a").len(), 16);
        assert_ne!(tag("a"), tag("b"));
        let long = ServiceName::fold(&"x".repeat(200)).unwrap();
        assert_eq!(program(&long).len(), 84);
    }

    #[test]
    fn labels_survive_whatever_a_path_holds() {
        assert_eq!(quoted("/a b"), "\"/a b\"");
        assert_eq!(quoted(r#"/$HOME/"x"\"#), r#""/\$HOME/\"x\"\\""#);
    }

    #[test]
    fn what_needs_a_library_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        let failure = check(&File::open(&path).unwrap(), &path).unwrap_err();
        assert!(failure.to_string().contains("no program for Linux"), "{failure}");
        // The tests' own program is linked against the C library, wherever that is a shared one.
        let me = std::env::current_exe().unwrap();
        let elf = Elf::read(&File::open(&me).unwrap());
        if elf.is_some() && std::path::Path::new("/lib64/ld-linux-x86-64.so.2").exists() {
            let failure = check(&File::open(&me).unwrap(), &me).unwrap_err();
            assert!(failure.to_string().contains("CGO_ENABLED"), "{failure}");
        }
    }
}
