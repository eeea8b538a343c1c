//! More than the cluster can take.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;

use super::{Evidence, Fault, PAUSE_LIMIT, Scene, Terms};
use crate::process::workload::{Manner, Writer};

/// How many clients flood, and their numbers: above those of the run's own clients.
const FLOODERS: u16 = 12;
pub(crate) const FIRST_FLOODER: u16 = 1_000;
pub(crate) const LAST_FLOODER: u16 = 3_000;

static NEXT: AtomicU16 = AtomicU16::new(FIRST_FLOODER);

/// Clients that do not pause and send large requests to all nodes.
#[derive(Debug)]
pub(crate) struct Overload {
    refused: u64,
    sent: u64,
}

impl Overload {
    pub(super) fn boxed() -> Box<dyn Fault> {
        Box::new(Self { refused: 0, sent: 0 })
    }
}

/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(3);

impl Fault for Overload {
    fn terms(&self) -> Terms {
        // Refusing is right while it lasts.
        let limit = PAUSE_LIMIT;
        Terms { victims: Vec::new(), others_serve: false, limit, hold: Duration::ZERO }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        let before = scene.clients.refused.load(Ordering::Relaxed);
        let over = AtomicBool::new(false);
        let sent = AtomicU64::new(0);
        std::thread::scope(|threads| {
            for flooder in 0..FLOODERS {
                let client = NEXT.fetch_add(1, Ordering::Relaxed).min(LAST_FLOODER);
                let writer = Writer {
                    client,
                    node: usize::from(flooder) % world.nodes.len(),
                    manner: Manner::Flood,
                    traces: 100,
                    spans: 10,
                    pause: Duration::ZERO,
                };
                let (over, sent) = (&over, &sent);
                threads.spawn(move || {
                    let stop = || over.load(Ordering::Relaxed) || world.bell.has_rung();
                    if let Ok(requests) = scene.clients.write(writer, &stop) {
                        sent.fetch_add(u64::from(requests), Ordering::Relaxed);
                    }
                });
            }
            world.bell.wait(FLOOD);
            over.store(true, Ordering::Relaxed);
        });
        self.refused = scene.clients.refused.load(Ordering::Relaxed).saturating_sub(before);
        self.sent = sent.load(Ordering::Relaxed);
        Ok(())
    }

    fn heal(&mut self, _scene: &Scene<'_>) -> Result<Evidence> {
        let note = format!("requests of 1,000 spans; {} requests were refused", self.refused);
        Ok(Evidence { bites: self.sent, note })
    }
}
