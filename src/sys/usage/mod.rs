//! CPU time and memory of whole process groups, sampled when somebody asks: no timer runs for it.
//!
//! A service is the leader of its own session, so its group is every process whose session or process group is the leader's pid. In a container any process
//! may begin a session, so there the control group counts.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::cgroup::{self, Used};

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod os;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod os;

/// One process of this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// It has ended and nobody has reaped it.
    pub zombie: bool,
    /// When it started, as the system's `start_time` says; 0 where that is not known.
    pub start: u64,
    /// What it and its children that ended have used.
    pub cpu: Duration,
    /// How long it has run.
    pub age: Duration,
    /// Resident bytes.
    pub memory: u64,
}

/// What a group uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// 100 is one core: the mean since the last sample of at least a second ago, else since the start.
    pub cpu_percent: f64,
    /// Resident bytes.
    pub memory_bytes: u64,
}

/// A sample is used only from this age on.
const SAMPLE_AGE: Duration = Duration::from_secs(1);

/// Remembers samples between questions, of what has such a name: the pid of a leader.
#[derive(Debug, Default)]
pub struct Sampler<K = u32> {
    known: HashMap<K, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    at: Instant,
    cpu: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// Compared with: at least a second older than `newest` was when it was taken.
    base: Option<Point>,
    newest: Point,
}

/// How long a process has run, by a clock that nobody sets; `None` once it is gone.
pub fn age(pid: u32) -> Option<Duration> {
    os::age(pid)
}

/// Every process that can be read now. Takes some milliseconds: not for a thread that must answer.
pub fn processes() -> Vec<Process> {
    os::processes()
}

impl Sampler {
    /// Samples the groups of these leaders, as `processes` are now; of some of them, which lead `containers`, the control groups.
    pub fn sample(&mut self, leaders: &[u32], containers: &[u32], processes: &[Process]) -> HashMap<u32, Usage> {
        let used = containers.iter().filter_map(|pid| Some((*pid, cgroup::used(*pid)?))).collect();
        self.judge(leaders, &used, processes, Instant::now())
    }

    fn judge(
        &mut self,
        leaders: &[u32],
        containers: &HashMap<u32, Used>,
        processes: &[Process],
        now: Instant,
    ) -> HashMap<u32, Usage> {
        self.known.retain(|pid, _| leaders.contains(pid));
        let mut sums: HashMap<u32, (Duration, u64, Duration)> =
            leaders.iter().map(|pid| (*pid, Default::default())).collect();
        for process in processes {
            let leader = [process.session, process.group].into_iter().find(|id| sums.contains_key(id));
            if let Some(sum) = leader.and_then(|leader| sums.get_mut(&leader)) {
                sum.0 += process.cpu;
                sum.1 += process.memory;
                sum.2 = sum.2.max(process.age);
            }
        }
        sums.retain(|_, (_, _, age)| *age > Duration::ZERO);
        for (pid, used) in containers {
            if let Some((cpu, memory, _)) = sums.get_mut(pid) {
                (*cpu, *memory) = (used.cpu, used.memory);
            }
        }
        sums.into_iter().map(|(pid, (cpu, memory, age))| (pid, self.usage(pid, cpu, memory, age, now))).collect()
    }
}

impl<K: Eq + Hash> Sampler<K> {
    /// Forgets all but these.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.known.retain(|key, _| keep(key));
    }

    /// A sample of one that has run for so long, taken `now`.
    pub fn usage(&mut self, key: K, cpu: Duration, memory_bytes: u64, age: Duration, now: Instant) -> Usage {
        let here = Point { at: now, cpu };
        let old_enough = |point: &Point| now.saturating_duration_since(point.at) >= SAMPLE_AGE;
        // A pid that was used again has a start younger than what we know of it.
        let known = self.known.get(&key).copied().filter(|known| known.newest.cpu <= cpu);
        let known = match known {
            None => Known { base: None, newest: here },
            Some(known) if old_enough(&known.newest) => Known { base: Some(known.newest), newest: here },
            Some(known) => known,
        };
        self.known.insert(key, known);
        let (used, over) = match known.base {
            Some(base) => (cpu.saturating_sub(base.cpu), now.saturating_duration_since(base.at)),
            None => (cpu, age),
        };
        let percent = if over.is_zero() { 0.0 } else { used.as_secs_f64() / over.as_secs_f64() * 100.0 };
        Usage { cpu_percent: (percent * 10.0).round() / 10.0, memory_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, session: u32, cpu_ms: u64, age_s: u64) -> Process {
        let cpu = Duration::from_millis(cpu_ms);
        Process {
            pid,
            parent: 1,
            group: pid,
            session,
            zombie: false,
            start: 1,
            cpu,
            age: Duration::from_secs(age_s),
            memory: 100,
        }
    }

    #[test]
    fn means_since_the_start_and_then_since_a_second_ago() {
        let (mut sampler, t) = (Sampler::default(), Instant::now());
        let after = |ms| t + Duration::from_millis(ms);
        let mut cpu =
            |cpu_ms, at| sampler.judge(&[7], &HashMap::new(), &[process(7, 7, cpu_ms, 10)], at)[&7].cpu_percent;
        assert_eq!(cpu(1000, t), 10.0);
        assert_eq!(cpu(1100, after(500)), 11.0);
        assert_eq!(cpu(1500, after(1000)), 50.0);
        assert_eq!(cpu(1550, after(1100)), 50.0);
        assert_eq!(cpu(1600, after(2000)), 10.0);
    }

    #[test]
    fn a_group_is_summed_and_strangers_are_not() {
        let mut sampler = Sampler::default();
        let all = [process(7, 7, 100, 1), process(8, 7, 100, 1), process(9, 9, 500, 1)];
        let got = sampler.judge(&[7, 30], &HashMap::new(), &all, Instant::now());
        assert_eq!(got.len(), 1);
        assert_eq!(got[&7], Usage { cpu_percent: 20.0, memory_bytes: 200 });
    }

    #[test]
    fn of_a_container_its_control_group_counts() {
        let mut sampler = Sampler::default();
        let all = [process(7, 7, 100, 10), process(8, 8, 100, 10)];
        let used = Used { cpu: Duration::from_secs(2), memory: 700 };
        let got = sampler.judge(&[7, 30], &HashMap::from([(7, used), (30, used)]), &all, Instant::now());
        assert_eq!(got.len(), 1, "one that has ended uses nothing");
        assert_eq!(got[&7], Usage { cpu_percent: 20.0, memory_bytes: 700 });
    }

    #[test]
    fn this_process_is_there() {
        let all = os::processes();
        let me = all.iter().find(|p| p.pid == std::process::id()).unwrap();
        // Both are 0 where the session began outside this pid namespace, as in a container entered from without.
        let session = nix::unistd::getsid(None).unwrap().as_raw();
        assert_eq!((me.session, me.group), (session as u32, nix::unistd::getpgrp().as_raw() as u32));
        assert!(me.memory > 0);
    }
}
