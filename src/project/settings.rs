//! Hashes that stay the same from one run and one binary of orchestra to the next: 128-bit FNV-1a over length-prefixed fields.
//!
//! The hash of an instance's settings covers what configuration decides: argv, working directory, the variables that files, the command line and
//! orchestra set, its ports, its probes, its limits, how it is stopped, its terminal and its hooks. It leaves out the caller's other variables, `ORCHESTRA_SCALE`
//! and the list of peers (another copy is no reason to restart this one), and the addresses of services it does not depend on.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use super::environment;
use crate::config::env::{Origin, Variable};
use crate::task::container::ContainerSpec;
use crate::task::id::Settings;
use crate::task::spec::RunSpec;

/// The settings of one instance: `own` are its variables without the addresses of others, `needed` the addresses of those it depends on.
pub fn of<'a>(
    spec: &RunSpec,
    color: bool,
    own: &'a BTreeMap<OsString, Variable>,
    needed: impl Iterator<Item = &'a (OsString, OsString)>,
) -> Settings {
    let counted =
        own.iter().filter(|(key, variable)| counts(key, variable)).map(|(key, variable)| (key, &variable.value));
    let addresses = needed.filter(|(key, _)| !own.contains_key(key)).map(|(key, value)| (key, value));
    let words = |hash: Hash, command: &Vec<String>| hash.each(command, |hash, word| hash.text(word));
    let hash = Hash::new()
        .each(&spec.argv, |hash, word| hash.os(word))
        .os(spec.dir.as_os_str())
        .each(counted.chain(addresses), |hash, (key, value)| hash.os(key).os(value))
        .text(&format!("{:?} {:?} {:?} {:?}", spec.ports, spec.ready, spec.live, spec.stop))
        .text(&format!("{} {color}", spec.tty))
        .each(&spec.before, words)
        .each(&spec.after, words);
    // Limits count only where there are some: who has none keeps the hash of earlier binaries.
    let limits = (spec.resources.memory_limit(), spec.resources.cpu_limit());
    let hash = if spec.resources.limit_anything() { hash.text(&format!("{limits:?}")) } else { hash };
    Settings(hash.hex())
}

/// The settings of a service's instance in a container: those it has as a process, and how its container is made.
pub fn of_contained(as_process: &Settings, container: &ContainerSpec) -> Settings {
    let ContainerSpec { mounts, published, network, extra_hosts, working_dir, stop_signal, program, .. } = container;
    let args = program.iter().flat_map(|program| &program.args);
    let hash = Hash::new()
        .text("contained")
        .text(&as_process.0)
        .each(args, |hash, word| hash.text(word))
        .text(&format!("{mounts:?} {published:?} {network:?} {extra_hosts:?} {working_dir:?} {stop_signal:?}"));
    Settings(hash.hex())
}

/// The settings of a vendor: everything that makes its container, its probes and how it is ended. What is as it is by default is left out, so that
/// a later binary, which knows of more, finds the same hash.
pub fn of_container(spec: &RunSpec, container: &ContainerSpec) -> Settings {
    let mut hash = Hash::new()
        .text(&container.image)
        .each(&spec.env, |hash, (key, value)| hash.os(key).os(value))
        .each(&container.mounts, |hash, mount| hash.text(&format!("{mount:?}")))
        .each(&container.published, |hash, port| hash.text(&format!("{port:?}")))
        .text(&format!("{:?} {:?} {:?}", spec.ready, spec.live, spec.stop));
    let none = ContainerSpec::default();
    let mut differs = |name: &str, is: &dyn fmt::Debug, default: &dyn fmt::Debug| {
        let (is, default) = (format!("{is:?}"), format!("{default:?}"));
        hash = if is == default { hash } else { hash.text(name).text(&is) };
    };
    macro_rules! fields {
        ($($field:ident)*) => { $(differs(stringify!($field), &container.$field, &none.$field);)* };
    }
    fields!(pull platform entrypoint command user working_dir hostname domainname network extra_hosts dns labels check);
    fields!(stop_signal init privileged read_only stdin_open cap_add cap_drop security_opt group_add devices sysctls);
    fields!(ulimits shm_size pids_limit memory_swap program);
    differs("tty", &spec.tty, &false);
    differs("before", &spec.before, &Vec::<Vec<String>>::new());
    differs("after", &spec.after, &Vec::<Vec<String>>::new());
    differs("limits", &(spec.resources.memory_limit(), spec.resources.cpu_limit()), &(None::<u64>, None::<f64>));
    Settings(hash.hex())
}

fn counts(key: &OsStr, variable: &Variable) -> bool {
    match variable.origin {
        Origin::Caller | Origin::Found => false,
        Origin::Orchestra => !environment::is_about_others(key),
        Origin::Color
        | Origin::ProjectFile
        | Origin::Project
        | Origin::Command
        | Origin::ServiceFile
        | Origin::Service
        | Origin::Line => true,
    }
}

/// A running hash.
#[derive(Clone, Copy, Debug)]
pub struct Hash(u128);

impl Default for Hash {
    fn default() -> Self {
        Hash::new()
    }
}

impl Hash {
    /// An empty one.
    pub fn new() -> Hash {
        Hash(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    /// Adds one field.
    pub fn bytes(mut self, bytes: &[u8]) -> Hash {
        let length = (bytes.len() as u64).to_le_bytes();
        for byte in length.iter().chain(bytes) {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        self
    }

    /// Adds a text.
    pub fn text(self, text: &str) -> Hash {
        self.bytes(text.as_bytes())
    }

    /// Adds a text of the system.
    pub fn os(self, text: &OsStr) -> Hash {
        self.bytes(text.as_bytes())
    }

    /// Adds a list, and how long it is.
    pub fn each<T>(self, items: impl IntoIterator<Item = T>, add: impl Fn(Hash, T) -> Hash) -> Hash {
        let (mut hash, mut count) = (self, 0_u64);
        for item in items {
            hash = add(hash, item);
            count += 1;
        }
        hash.bytes(&count.to_le_bytes())
    }

    /// 32 hexadecimal digits.
    pub fn hex(self) -> String {
        format!("{:032x}", self.0)
    }

    /// 64 bits of it.
    pub fn short(self) -> u64 {
        (self.0 ^ (self.0 >> 64)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other_and_the_hash_is_frozen() {
        assert_ne!(Hash::new().text("ab").text("c").hex(), Hash::new().text("a").text("bc").hex());
        assert_ne!(Hash::new().each(["a"], Hash::text).hex(), Hash::new().each(["a", ""], Hash::text).hex());
        assert_eq!(Hash::new().text("api").hex(), "e26a08aaba3843d82945a821b0df03da");
    }
}
