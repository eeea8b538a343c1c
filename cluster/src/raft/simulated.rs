//! What stands in a simulation for two things of tokio that cannot be repeated.
//!
//! Chance comes from one seeded generator of the thread, and watch channels wake in the order of
//! asking ([`crate::watch`]). On a runtime of one thread with its clock paused, the same seed then
//! gives the same run. A thread that was not seeded draws its seed, so that tests that are no
//! simulations need not care.

use std::cell::Cell;
use std::convert::Infallible;

use openraft::async_runtime::watch::{RecvError, SendError};
use openraft::async_runtime::{Watch, WatchReceiver, WatchSender};
use openraft::base::{OptionalSend, OptionalSync};
use rand_core::TryRng;

use crate::watch;

thread_local! {
    static CHANCE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Seeds the chance of consensus on this thread.
pub fn seed_chance(seed: u64) {
    CHANCE.set(Some(seed));
}

/// The generator of the thread: SplitMix64.
#[derive(Debug)]
pub(crate) struct ThreadChance;

fn draw() -> u64 {
    let seed = CHANCE.get().or_else(|| getrandom::u64().ok()).unwrap_or_default();
    let state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    CHANCE.set(Some(state));
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl TryRng for ThreadChance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = draw().to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(draw())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            for (byte, drawn) in chunk.iter_mut().zip(draw().to_le_bytes()) {
                *byte = drawn;
            }
        }
        Ok(())
    }
}

/// The generator, as everyone on this thread draws from it.
pub(crate) fn chance() -> ThreadChance {
    ThreadChance
}

/// [`crate::watch`] as openraft wants it.
#[derive(Debug)]
pub(crate) struct SimulatedWatch;

#[derive(Debug)]
pub(crate) struct SimulatedSender<T>(watch::Sender<T>);

#[derive(Debug)]
pub(crate) struct SimulatedReceiver<T>(watch::Receiver<T>);

impl<T> Clone for SimulatedSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for SimulatedReceiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Watch for SimulatedWatch {
    type Sender<T: OptionalSend + OptionalSync> = SimulatedSender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = SimulatedReceiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = watch::Ref<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (Self::Sender<T>, Self::Receiver<T>) {
        let (sender, receiver) = watch::channel(init);
        (SimulatedSender(sender), SimulatedReceiver(receiver))
    }
}

impl<T: OptionalSend + OptionalSync> WatchSender<SimulatedWatch, T> for SimulatedSender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.0.send(value).map_err(|watch::NoReceiver(value)| SendError(value))
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        self.0.send_if_modified(modify)
    }

    fn borrow_watched(&self) -> watch::Ref<'_, T> {
        self.0.borrow()
    }

    fn subscribe(&self) -> SimulatedReceiver<T> {
        SimulatedReceiver(self.0.subscribe())
    }
}

impl<T: OptionalSend + OptionalSync> WatchReceiver<SimulatedWatch, T> for SimulatedReceiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        self.0.changed().await.map_err(|watch::Closed| RecvError(()))
    }

    fn borrow_watched(&self) -> watch::Ref<'_, T> {
        self.0.borrow()
    }

    fn borrow_and_update(&mut self) -> watch::Ref<'_, T> {
        self.0.borrow_and_update()
    }
}
