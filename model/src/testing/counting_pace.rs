//! A pace that stops after so many questions.

use std::cell::Cell;

use crate::pace::Pace;

/// Goes on so many times, and counts how often it was asked.
#[derive(Debug)]
pub struct CountingPace {
    asked: Cell<usize>,
    asked_max: usize,
}

impl CountingPace {
    /// A pace that denies every question after so many.
    pub fn new(asked_max: usize) -> Self {
        Self { asked: Cell::new(0), asked_max }
    }

    /// A pace that only counts.
    pub fn endless() -> Self {
        Self::new(usize::MAX)
    }

    /// How often it was asked, the questions that it denied included.
    pub fn asked(&self) -> usize {
        self.asked.get()
    }
}

impl Pace for CountingPace {
    type Stop = ();

    fn go_on(&self) -> Result<(), ()> {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() > self.asked_max { Err(()) } else { Ok(()) }
    }
}
