//! What is in an image, read back by `tar`.

use std::fs::{self, File};
use std::process::Command;

use futures_util::StreamExt as _;

use super::{Base, CHUNK, Sources, ZONE_FILE, Zones};

#[tokio::test]
async fn what_is_sent_is_an_archive_with_everything_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let here = |name: &str| dir.path().join(name);
    fs::create_dir_all(here("zones/Europe")).unwrap();
    fs::write(here("zones/Europe/Berlin"), "TZif").unwrap();
    fs::write(here("zones/zone.tab"), "no zone").unwrap();
    fs::create_dir(here("zones/posix")).unwrap();
    std::os::unix::fs::symlink("Europe/Berlin", here("zones/Here")).unwrap();
    fs::write(here("ca.crt"), "CERTIFICATE").unwrap();
    let big = vec![7_u8; CHUNK * 2 + 5];
    fs::write(here("api"), &big).unwrap();
    let zones = Some(Zones::Folder(here("zones")));
    let base = Base::read(&Sources { certificates: Some(here("ca.crt")), zones });
    assert!(base.missing.is_empty());
    let packed = base.pack(File::open(here("api")).unwrap(), "bin/api".into()).unwrap();
    let size = packed.size();
    let chunks: Vec<_> = packed.stream().collect().await;
    let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect();
    assert!(bytes.len() as u64 > size && bytes.len().is_multiple_of(512));
    fs::write(here("all.tar"), bytes).unwrap();
    fs::create_dir(here("out")).unwrap();
    let tar = Command::new("tar").arg("-xf").arg(here("all.tar")).arg("-C").arg(here("out")).status().unwrap();
    assert!(tar.success());
    assert_eq!(fs::read(here("out/bin/api")).unwrap(), big);
    assert_eq!(fs::read(here("out/etc/ssl/certs/ca-certificates.crt")).unwrap(), b"CERTIFICATE");
    assert_eq!(fs::read(here("out/usr/share/zoneinfo/Here")).unwrap(), b"TZif");
    assert!(!here("out/usr/share/zoneinfo/posix").exists() && !here("out/usr/share/zoneinfo/zone.tab").exists());
    assert!(fs::read_to_string(here("out/etc/passwd")).unwrap().contains("65532"));
}

#[test]
fn what_this_machine_lacks_is_named() {
    let base = Base::read(&Sources::default());
    assert_eq!(base.missing.len(), 2, "{:?}", base.missing);
    assert!(base.missing[0].contains("ca-certificates") && base.missing[1].contains("tzdata"));
    assert_eq!(base.zone_file, None);
}

#[test]
fn zones_of_go_are_one_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("z.zip"), "zip").unwrap();
    let zones = Some(Zones::File(dir.path().join("z.zip")));
    let sources = Sources { certificates: None, zones };
    assert_eq!(Base::read(&sources).zone_file, Some(ZONE_FILE));
    let before = sources.mark();
    fs::write(dir.path().join("z.zip"), "another").unwrap();
    assert_ne!(sources.mark(), before);
}
