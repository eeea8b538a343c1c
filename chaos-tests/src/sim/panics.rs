//! Panics of a simulation's thread. The product survives some of them (a core that panics is built
//! anew), but in a simulation each one is a finding.

use std::cell::RefCell;
use std::sync::Once;

/// Panics that are kept; the first tells most.
const KEPT: usize = 8;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static IS_WATCHED: RefCell<bool> = const { RefCell::new(false) };
}

static HOOK: Once = Once::new();

/// Watches this thread from now on.
pub(super) fn watch() {
    IS_WATCHED.set(true);
    PANICS.take();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IS_WATCHED.with_borrow(|is_watched| *is_watched) {
                let text = panic.to_string().replace('\n', " ");
                PANICS.with_borrow_mut(|panics| {
                    if panics.len() < KEPT {
                        panics.push(text);
                    }
                });
            } else {
                before(panic);
            }
        }));
    });
}

/// The panics since this thread is watched.
pub(super) fn taken() -> Vec<String> {
    PANICS.take()
}
