//! What the doors count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

/// Keeps counters and nothing else.
#[derive(Default)]
struct Counters {
    values: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        let mut values = self.values.lock().unwrap();
        Counter::from_arc(Arc::clone(values.entry(name).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The counters that are not zero after `work`, which runs on one thread.
pub(crate) fn counted(work: impl Future<Output = ()>) -> BTreeMap<String, u64> {
    let counters = Counters::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    with_local_recorder(&counters, || runtime.block_on(work));
    let values = counters.values.into_inner().unwrap();
    let values = values.into_iter().map(|(name, value)| (name, value.load(Ordering::Relaxed)));
    values.filter(|(_, value)| *value > 0).collect()
}
