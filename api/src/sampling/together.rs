//! Adaptive sampling of several nodes: the counts of all, and the same probabilities on each.
//!
//! Pure. Time is cut into windows that have the same number everywhere. When one has ended, every
//! node says what it counted, hears what the others say, and computes from the sums. Nodes that
//! heard the same compute the same. So that those who did not still come together again, each
//! begins from what the node said that has computed for longest of all that answered: it is the
//! leader of this step, and no one has to elect it.
//!
//! What a node counted that does not answer, counts on for [`WINDOWS_KEPT`] windows: it may only
//! have been restarted, and its clients still sample as they were told.

use std::collections::BTreeMap;

use model::NodeId;

use super::adaptive::{AdaptiveOptions, Calculator, Probabilities};
use super::limits::WINDOWS_KEPT;
use super::note::Note;
use super::throughput::Throughput;

/// What a node knows of the counts of all.
#[derive(Debug)]
pub struct Together {
    calculator: Calculator,
    options: AdaptiveOptions,
    own: Note,
    /// What the others said last.
    heard: BTreeMap<NodeId, Note>,
}

impl Together {
    /// A node that has neither counted nor heard anything.
    pub fn new(options: AdaptiveOptions) -> Self {
        let calculator = Calculator::new(options);
        Self { calculator, options, own: Note::default(), heard: BTreeMap::new() }
    }

    /// What this node says.
    pub fn own(&self) -> &Note {
        &self.own
    }

    /// Ends a window, in which this node counted `counts`.
    pub fn close(&mut self, window: u64, counts: Throughput) {
        self.own.window = window;
        self.own.counts = counts;
    }

    /// Computes the probabilities of a window that has ended, from what the other nodes answered:
    /// nothing if they did not. Who is not among them does not belong to the cluster.
    pub fn step(
        &mut self,
        own: NodeId,
        window: u64,
        answers: BTreeMap<NodeId, Option<Note>>,
    ) -> &Probabilities {
        self.heard.retain(|node, _| answers.contains_key(node));
        let answers: BTreeMap<NodeId, Note> =
            answers.into_iter().filter_map(|(node, note)| Some((node, note?))).collect();
        let leader = self.leader(own, window, &answers);
        let (is_ahead, said) = match leader {
            Some(note) => (note.computed.is_some_and(|it| it.1 >= window), &note.probabilities),
            None => (false, self.calculator.probabilities()),
        };
        let (said, is_led) = (said.clone(), leader.is_some());
        self.heard.extend(answers);
        let (sum, interval) = (self.sum(window), self.options.calculation_interval);
        if is_ahead {
            self.calculator.step(sum, interval);
            self.calculator.begin_from(said.clone());
        } else {
            self.calculator.begin_from(said.clone());
            self.calculator.step(sum, interval);
        }
        let first = self.own.computed.map_or(window, |(first, _)| first);
        if is_led && window.abs_diff(first) < self.options.aggregation_buckets as u64 {
            // Of operations that were silent since this node was started, only others know.
            self.calculator.keep(said);
        }
        self.own.computed = Some((first, window));
        self.own.probabilities = self.calculator.probabilities().clone();
        &self.own.probabilities
    }

    /// Who has computed for longest of all that are there; nobody if it is this node.
    fn leader<'a>(
        &self,
        own: NodeId,
        window: u64,
        answers: &'a BTreeMap<NodeId, Note>,
    ) -> Option<&'a Note> {
        let is_alive = |note: &Note| note.computed.is_some_and(|(_, last)| is_near(last, window));
        let others = answers.iter().filter(|(_, note)| is_alive(note));
        let first = others.min_by_key(|(node, note)| note.seniority(**node))?;
        match self.own.seniority(own) {
            Some(rank) if is_alive(&self.own) && Some(rank) < first.1.seniority(*first.0) => None,
            _ => Some(first.1),
        }
    }

    /// What all counted, as far as it is of this window or of one that is not long past.
    fn sum(&self, window: u64) -> Throughput {
        let notes = self.heard.values().chain([&self.own]);
        let mut sum = Throughput::default();
        for note in notes.filter(|note| is_near(note.window, window)) {
            sum.merge(note.counts.clone());
        }
        sum
    }
}

fn is_near(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= WINDOWS_KEPT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::OperationThroughput;
    use crate::sampling::adaptive::millionths;

    fn counts(operation: &str, count: u64, probability: f64) -> Throughput {
        let probabilities = [millionths(probability)].into();
        let counts = OperationThroughput { count, probabilities };
        let operations = BTreeMap::from([(operation.to_owned(), counts)]);
        Throughput { services: BTreeMap::from([("shop".to_owned(), operations)]) }
    }

    /// Some nodes and which of them reach each other.
    struct Net {
        nodes: Vec<Together>,
        cut_off: Vec<usize>,
    }

    impl Net {
        fn new(count: usize) -> Self {
            let node = || Together::new(AdaptiveOptions::default());
            Self { nodes: (0..count).map(|_| node()).collect(), cut_off: Vec::new() }
        }

        /// One window: every node counts so much of its clients, who do as it told them.
        fn window(&mut self, window: u64, seen: &[u64]) {
            for (node, seen) in self.nodes.iter_mut().zip(seen) {
                let told = told(node);
                node.close(window, counts("op", *seen, told));
            }
            let said: Vec<Vec<u8>> = self.nodes.iter().map(|node| node.own().encode()).collect();
            for own in 0..self.nodes.len() {
                let others = (0..self.nodes.len()).filter(|other| *other != own);
                let answers = others.map(|other| {
                    let is_cut = self.cut_off.contains(&own) || self.cut_off.contains(&other);
                    let note = if is_cut { None } else { Note::decode(&said[other]) };
                    (id(other), note)
                });
                let answers = answers.collect();
                self.nodes[own].step(id(own), window, answers);
            }
        }

        fn told(&self) -> Vec<f64> {
            self.nodes.iter().map(told).collect()
        }
    }

    fn told(node: &Together) -> f64 {
        let services = &node.own().probabilities.services;
        services.get("shop").and_then(|it| it.get("op")).copied().unwrap_or(0.001)
    }

    fn id(node: usize) -> NodeId {
        NodeId([u8::try_from(node).unwrap(); 16])
    }

    fn all_are(net: &Net, wanted: f64) {
        let told = net.told();
        assert!(told.iter().all(|it| (it - wanted).abs() < 1e-12), "{told:?}, not {wanted}");
    }

    #[test]
    fn three_nodes_aim_at_the_target_together() {
        let mut net = Net::new(3);
        // Ten a second over all: a tenth of it, however they are spread.
        net.window(100, &[600, 0, 0]);
        all_are(&net, 0.0001);
        let mut net = Net::new(3);
        net.window(100, &[100, 200, 300]);
        all_are(&net, 0.0001);
        // A sixth too many is within the tolerance.
        net.window(101, &[30, 20, 20]);
        all_are(&net, 0.0001);
    }

    #[test]
    fn who_does_not_answer_counts_on_for_a_while() {
        let mut net = Net::new(3);
        net.window(100, &[200, 200, 200]);
        all_are(&net, 0.0001);
        net.cut_off = vec![2];
        net.window(101, &[20, 20, 0]);
        assert!((net.told()[0] - 0.0001 / 4.0).abs() < 1e-12, "240 of 60: {:?}", net.told());
        assert!((net.told()[0] - net.told()[1]).abs() < f64::EPSILON);
        let counted = |window| net.nodes[0].sum(window).services["shop"]["op"].count;
        assert_eq!(counted(100 + WINDOWS_KEPT), 240);
        net.window(101 + WINDOWS_KEPT, &[20, 20, 0]);
        let counted = |window| net.nodes[0].sum(window).services["shop"]["op"].count;
        assert_eq!(counted(101 + WINDOWS_KEPT), 40);
    }

    #[test]
    fn nodes_that_were_apart_agree_as_soon_as_they_meet() {
        let mut net = Net::new(3);
        net.window(100, &[200, 200, 200]);
        net.cut_off = vec![0];
        for window in 101..115 {
            net.window(window, &[600, 3, 3]);
        }
        let told = net.told();
        assert!(told[0] < told[1] / 2.0, "{told:?}");
        net.cut_off.clear();
        net.window(115, &[20, 20, 20]);
        let told = net.told();
        assert!(told.iter().all(|it| (it - told[0]).abs() < f64::EPSILON), "{told:?}");
    }

    #[test]
    fn a_node_that_was_started_anew_follows_those_that_know_more() {
        let mut net = Net::new(3);
        net.window(100, &[200, 200, 200]);
        net.window(101, &[20, 20, 20]);
        all_are(&net, 0.0001);
        net.nodes[0] = Together::new(AdaptiveOptions::default());
        // It has told nobody anything yet, and its clients wait for the first answer.
        net.nodes[0].close(102, Throughput::default());
        net.nodes[1].close(102, counts("op", 30, 0.0001));
        net.nodes[2].close(102, counts("op", 30, 0.0001));
        let said = |net: &Net, node: usize| Note::decode(&net.nodes[node].own().encode());
        let answers = BTreeMap::from([(id(1), said(&net, 1)), (id(2), said(&net, 2))]);
        net.nodes[0].step(id(0), 102, answers);
        assert!((told(&net.nodes[0]) - 0.0001).abs() < 1e-12);
        assert_eq!(net.nodes[0].own().computed, Some((102, 102)));
        net.window(103, &[20, 20, 20]);
        all_are(&net, 0.0001);
        // Nor does it forget what was silent while it was there.
        net.nodes[0] = Together::new(AdaptiveOptions::default());
        for node in &mut net.nodes {
            node.close(104, Throughput::default());
        }
        let answers = BTreeMap::from([(id(1), said(&net, 1)), (id(2), said(&net, 2))]);
        net.nodes[0].step(id(0), 104, answers);
        assert!((told(&net.nodes[0]) - 0.0001).abs() < 1e-12);
        assert!(net.nodes[0].own().probabilities.services["shop"].contains_key("op"));
    }

    #[test]
    fn who_left_the_cluster_is_forgotten_and_who_lags_does_not_lead() {
        let mut net = Net::new(2);
        net.window(100, &[300, 300]);
        all_are(&net, 0.0001);
        net.nodes[1].close(101, counts("op", 60, 0.0001));
        net.nodes[1].step(id(1), 101, BTreeMap::new());
        assert!((told(&net.nodes[1]) - 0.0001).abs() < 1e-12, "alone, and on target");
        assert!(net.nodes[1].heard.is_empty());
        let stale = Note::decode(&net.nodes[0].own().encode());
        net.nodes[1].close(200, counts("op", 600, 0.0001));
        net.nodes[1].step(id(1), 200, BTreeMap::from([(id(0), stale)]));
        assert!((told(&net.nodes[1]) - 0.00001).abs() < 1e-12, "neither its counts nor its word");
    }
}
