//! What drives tasks, timers, channels and chance inside openraft: tokio, but for when timers ring.
//!
//! openraft looks every fifth of a heartbeat what is due in a group. Left to themselves the groups
//! do so one after the other, and a node that has nothing to do wakes hundreds of times a second.
//! Here they look at the same moments ([`on_grid`]): between them everyone sleeps, and what leaves
//! for other nodes leaves together.
//!
//! In a simulation timers ring when they were asked to, and chance and watch channels are ones
//! that can be repeated ([`super::simulated`]).

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use openraft::async_runtime::{AsyncRuntime, Instant as _};
use openraft::base::OptionalSend;
use openraft::impls::TokioRuntime;

use super::limits::{TIMER_BRIEF, TIMER_GRID};
#[cfg(feature = "simulation")]
use super::simulated::{SimulatedWatch as Watch, ThreadChance as Chance, chance};

type Moment = <TokioRuntime as AsyncRuntime>::Instant;
#[cfg(not(feature = "simulation"))]
type Chance = <TokioRuntime as AsyncRuntime>::ThreadLocalRng;
#[cfg(not(feature = "simulation"))]
type Watch = <TokioRuntime as AsyncRuntime>::Watch;

#[cfg(not(feature = "simulation"))]
fn chance() -> Chance {
    TokioRuntime::thread_rng()
}

/// Tokio, whose timers ring together.
#[derive(Debug)]
pub(crate) struct Runtime(TokioRuntime);

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = Moment;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = Chance;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    /// openraft waits in this way for its ticks, and for a microsecond in which more of its writes
    /// may be done; where it means something else it says how long.
    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        static ORIGIN: OnceLock<Moment> = OnceLock::new();
        if cfg!(feature = "simulation") {
            return TokioRuntime::sleep_until(deadline);
        }
        let now = Moment::now();
        let origin = *ORIGIN.get_or_init(|| now);
        TokioRuntime::sleep_until(now + on_grid(deadline - now, now - origin))
    }

    fn timeout<R, F>(duration: Duration, future: F) -> Self::Timeout<R, F>
    where
        F: Future<Output = R> + OptionalSend,
    {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F>
    where
        F: Future<Output = R> + OptionalSend,
    {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        chance()
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

/// How long to sleep for one who wants to sleep for `wait`, `elapsed` after the grid began: until
/// the grid's last line before that, or its next one if none is ahead; and not at all if it is
/// brief. Who asks for every line gets each of them, however late it wakes.
fn on_grid(wait: Duration, elapsed: Duration) -> Duration {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanos(wait) <= TIMER_BRIEF.0 {
        return Duration::ZERO;
    }
    let now = nanos(elapsed);
    let rings_at = now.saturating_add(nanos(wait)) / TIMER_GRID.0;
    let line = rings_at.max(now / TIMER_GRID.0 + 1);
    Duration::from_nanos(line.saturating_mul(TIMER_GRID.0).saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn timers_of_all_groups_ring_at_the_same_moments() {
        assert_eq!(on_grid(millis(25), millis(50)), millis(25), "on a line");
        assert_eq!(on_grid(millis(3), millis(50)), millis(25), "none is ahead");
        assert_eq!(on_grid(millis(22), millis(53)), millis(22));
        assert_eq!(on_grid(millis(23), millis(53)), millis(22));
        assert_eq!(on_grid(millis(60), millis(53)), millis(47), "far ahead");
        for wait in 1..100 {
            for elapsed in 0..100 {
                let slept = on_grid(millis(wait), millis(elapsed));
                assert!(slept > millis(wait.saturating_sub(25)) && slept <= millis(wait.max(25)));
                assert_eq!((slept + millis(elapsed)).as_millis() % 25, 0);
            }
        }
    }

    /// As openraft asks: for moments of its own, a line apart each, the next one that is ahead.
    #[test]
    fn a_group_looks_at_every_line_wherever_its_own_moments_lie() {
        for phase in 0..25 {
            for late in 0..20 {
                let mut now = 1_000 + late;
                for line in 41..60 {
                    let own = (now - phase) / 25 * 25 + 25 + phase;
                    let slept = on_grid(millis(own - now), millis(now));
                    assert_eq!(millis(now) + slept, millis(line * 25), "{phase}, {late} late");
                    // Now and then it wakes sooner than it did before.
                    now = line * 25 + if line % 3 == 0 { late / 2 } else { late };
                }
            }
        }
    }

    #[test]
    fn nobody_sleeps_a_millisecond_for_a_microsecond() {
        assert_eq!(on_grid(Duration::from_micros(1), millis(53)), Duration::ZERO);
        assert_eq!(on_grid(Duration::ZERO, millis(53)), Duration::ZERO);
        assert_eq!(on_grid(Duration::MAX, Duration::MAX), Duration::ZERO, "no overflow");
    }
}
