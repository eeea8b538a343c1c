//! Threads whose work nobody waits for go behind those whose work somebody does.

/// How far behind: with two of each on a processor, such a thread still gets a fifth of it, so that
/// sealing keeps up with what comes in.
const NICENESS: i32 = 5;

/// Sets the calling thread, and it alone, behind others.
pub(crate) fn give_way() {
    // Linux takes no process to mean the calling thread.
    let set = rustix::process::getpriority_process(None)
        .and_then(|own| rustix::process::setpriority_process(None, own + NICENESS));
    if let Err(error) = set {
        tracing::debug!(%error, "a thread's priority stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn only_the_thread_that_calls_goes_behind() {
        let before = niceness();
        let other = std::thread::spawn(|| {
            give_way();
            niceness()
        });
        assert_eq!(other.join().unwrap(), (before + NICENESS).min(19));
        assert_eq!(niceness(), before);
    }
}
