//! Whether and when an instance that ended is started again: one pure function over its policy and its past.
//!
//! At once when it had been ready for five seconds; else after a delay that doubles with each quick failure. Too many failures within a window
//! make a crash loop, which rests.

use std::time::Duration;

/// When to start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartMode {
    /// Never.
    No,
    /// After a failure: a non-zero exit, a signal, a failed probe.
    OnFailure,
    /// After every end that was not asked for.
    Always,
}

/// The `restart:` key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// When to start again.
    pub mode: RestartMode,
    /// The first delay.
    pub delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// So many failures …
    pub limit: u32,
    /// … within this time make a crash loop.
    pub window: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        RestartPolicy {
            mode: RestartMode::OnFailure,
            delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(30),
            limit: 8,
            window: Duration::from_secs(60),
        }
    }
}

/// Ready for so long, and the next start is at once.
pub const SETTLED: Duration = Duration::from_secs(5);
/// Ready for so long, and the doubling begins anew.
pub const HEALTHY: Duration = Duration::from_secs(10);

/// One end that counts as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When, on a clock that only goes forward, since any fixed moment.
    pub at: Duration,
    /// How long it had been ready.
    pub ready_for: Duration,
}

/// What to do about an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start again after this long.
    Restart(Duration),
    /// Rest: it failed too often.
    Crashloop,
    /// It stays ended, as a success.
    Done,
    /// It stays ended, as a failure.
    Failed,
}

/// Decides about the newest end: `success` says whether it was one; `failures` are those that count, the newest last, itself included when it is
/// one; `jitter` is any number from 0 to 1.
pub fn decide(policy: &RestartPolicy, success: bool, failures: &[Failure], jitter: f64) -> Verdict {
    match (policy.mode, success) {
        (RestartMode::No | RestartMode::OnFailure, true) => return Verdict::Done,
        (RestartMode::No, false) => return Verdict::Failed,
        (RestartMode::Always, true) => return Verdict::Restart(policy.delay),
        (RestartMode::OnFailure | RestartMode::Always, false) => {}
    }
    let Some(last) = failures.last() else { return Verdict::Restart(policy.delay) };
    let since = last.at.saturating_sub(policy.window);
    let recent = failures.iter().filter(|f| f.at >= since).count();
    if policy.limit > 0 && recent >= policy.limit as usize {
        return Verdict::Crashloop;
    }
    if last.ready_for >= SETTLED {
        return Verdict::Restart(Duration::ZERO);
    }
    let quick = failures.iter().rev().take_while(|f| f.ready_for < HEALTHY).count() as u32;
    let doubled = policy.delay.saturating_mul(1 << quick.saturating_sub(1).min(20)).min(policy.max_delay);
    Verdict::Restart(doubled.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick(at_ms: &[u64]) -> Vec<Failure> {
        at_ms.iter().map(|ms| Failure { at: Duration::from_millis(*ms), ready_for: Duration::ZERO }).collect()
    }

    #[test]
    fn doubles_from_100_ms_to_30_s() {
        let policy = RestartPolicy { limit: 0, ..RestartPolicy::default() };
        let delays: Vec<u128> = (1..=10)
            .map(|n| match decide(&policy, false, &quick(&vec![0; n]), 0.5) {
                Verdict::Restart(delay) => delay.as_millis(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]);
    }

    #[test]
    fn a_service_that_had_settled_restarts_at_once() {
        let failures = [Failure { at: Duration::from_secs(100), ready_for: SETTLED }];
        assert_eq!(decide(&RestartPolicy::default(), false, &failures, 0.9), Verdict::Restart(Duration::ZERO));
    }

    #[test]
    fn the_eighth_failure_in_the_window_is_a_crash_loop() {
        let policy = RestartPolicy::default();
        let at: Vec<u64> = (0..8).map(|n| n * 1000).collect();
        assert_eq!(decide(&policy, false, &quick(&at), 0.5), Verdict::Crashloop);
        assert!(matches!(decide(&policy, false, &quick(&at[..7]), 0.5), Verdict::Restart(_)));
        let slow: Vec<u64> = (0..8).map(|n| n * 10_000).collect();
        assert!(matches!(decide(&policy, false, &quick(&slow), 0.5), Verdict::Restart(_)));
    }

    #[test]
    fn success_follows_the_mode() {
        let with = |mode| RestartPolicy { mode, ..RestartPolicy::default() };
        assert_eq!(decide(&with(RestartMode::No), true, &[], 0.5), Verdict::Done);
        assert_eq!(decide(&with(RestartMode::OnFailure), true, &[], 0.5), Verdict::Done);
        assert_eq!(decide(&with(RestartMode::Always), true, &[], 0.5), Verdict::Restart(Duration::from_millis(100)));
        assert_eq!(decide(&with(RestartMode::No), false, &quick(&[1]), 0.5), Verdict::Failed);
    }
}
