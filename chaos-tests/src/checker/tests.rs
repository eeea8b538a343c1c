//! A history that is good, and for each promise one that breaks it: the checker has to tell them
//! apart.

use super::requests::Requests;
use super::*;
use crate::history::{
    Answer, Asked, Attempt, Claim, Client, Fault, HistoryWriter, LATE_PLACE, Odd, Outcome, Record,
    Replica, Replicas, RequestId, Run, Seen, Sent, TraceKey,
};

const SECOND_NS: u64 = 1_000_000_000;
const TRACES: u16 = 3;
const SPANS: u8 = 2;

fn sent(client: u16, number: u32, at_ns: u64) -> Sent {
    Sent {
        client,
        number,
        at_ns,
        base_us: 1_000_000 + at_ns / 1_000,
        content: u64::from(client) << 32 | u64::from(number),
        traces: TRACES,
        spans: SPANS,
        late: number > 0,
    }
}

fn attempt(number: u32, node: u16, begun_ns: u64, outcome: Outcome, status: u16) -> Attempt {
    Attempt {
        client: 1,
        number,
        node,
        begun_ns,
        ended_ns: begun_ns + SECOND_NS / 10,
        outcome,
        status,
        hint: status == 503,
        rejected: 0,
    }
}

/// What a faultless store answers when the first `requests` of the client have arrived.
fn answer(asked: Asked, node: u16, at_ns: u64, requests: u32) -> Answer {
    let (client, from, until) = asked.requests();
    let mut table = Requests::default();
    for number in 0..requests {
        table.add(&sent(client, number, 0)).unwrap();
    }
    // The base depends on when a request was made, which the script decides.
    let mut real = Requests::default();
    for record in script() {
        if let Record::Sent(sent) = record
            && sent.number < requests
            && sent.client == client
        {
            real.add(&sent).unwrap();
        }
    }
    let mut seen = Vec::new();
    for number in from..until {
        for trace in 0..TRACES {
            if matches!(asked, Asked::Trace { trace: one, .. } if one != trace) {
                continue;
            }
            let key = TraceKey { request: RequestId { client, number }, trace };
            let places = table.sent(key, u64::MAX);
            if places != 0 {
                seen.push(Seen { client, number, trace, places, sum: real.sum(key, places) });
            }
        }
    }
    Answer {
        node,
        tenant: 7,
        begun_ns: at_ns,
        ended_ns: at_ns + SECOND_NS / 10,
        asked,
        claim: Claim::Complete,
        seen,
        odd: Vec::new(),
    }
}

/// The clients' half of the good history: requests at 1, 2, 3 and 4 s. The third is refused first
/// and acknowledged at 3.6 s, the fourth stays unknown.
fn script() -> Vec<Record> {
    let mut records = vec![Record::Run(Run {
        seed: 1,
        tag: 2,
        nodes: 2,
        retention_ns: 1_000 * SECOND_NS,
        clients: vec![Client { client: 1, tenant: 7 }, Client { client: 2, tenant: 8 }],
    })];
    for number in 0..4 {
        let at_ns = SECOND_NS * u64::from(number + 1);
        records.push(Record::Sent(sent(1, number, at_ns)));
        let tried = match number {
            2 => vec![
                attempt(2, 0, at_ns, Outcome::Refused, 503),
                attempt(2, 1, at_ns + SECOND_NS / 2, Outcome::Acked, 200),
            ],
            3 => vec![attempt(3, 0, at_ns, Outcome::Unknown, 0)],
            _ => vec![attempt(number, 0, at_ns, Outcome::Acked, 200)],
        };
        records.extend(tried.into_iter().map(Record::Attempt));
    }
    records
}

fn replica(node: &str, applied: u64, spans: u64, digest: &str) -> Replica {
    let digest = Some(digest.to_owned()).filter(|digest| !digest.is_empty());
    Replica { shard: 3, node: node.to_owned(), applied, spans, digest }
}

/// A good history: everything is seen when it has to be, one fault is felt for 1.1 s.
fn good() -> Vec<Record> {
    let mut records = script();
    records.push(Record::Fault(Fault {
        number: 1,
        kind: "kill".to_owned(),
        victims: vec![0],
        begun_ns: 5 * SECOND_NS / 2,
        healed_ns: 14 * SECOND_NS / 5,
        closed_ns: 9 * SECOND_NS,
        others_serve: true,
        limit_ns: 3 * SECOND_NS,
        bites: 1,
        note: String::new(),
    }));
    for node in 0..2 {
        let number = 4 + u32::from(node);
        records.push(Record::Sent(sent(1, number, 4 * SECOND_NS)));
        let acked = attempt(number, node, 4 * SECOND_NS, Outcome::Acked, 200);
        records.push(Record::Attempt(acked));
    }
    let by_id = Asked::Trace { client: 1, number: 0, trace: 1 };
    records.push(Record::Answer(answer(by_id, 1, 3 * SECOND_NS / 2, 1)));
    let search = Asked::Search { client: 1, from: 0, until: 4 };
    records.push(Record::Answer(answer(search.clone(), 1, 38 * SECOND_NS / 10, 3)));
    let mut partial = answer(search, 0, 38 * SECOND_NS / 10, 3);
    partial.seen.clear();
    partial.claim = Claim::Partial { missing: vec![2], stale: vec![], other: String::new() };
    records.push(Record::Answer(partial));
    for node in 0..2 {
        let last = Asked::Final { client: 1, from: 0, until: 6 };
        records.push(Record::Answer(answer_final(&records, last, node)));
    }
    records.push(Record::Replicas(Replicas {
        node: 0,
        at_ns: 20 * SECOND_NS,
        settled: true,
        replicas: vec![replica("a", 9, 40, "xy"), replica("b", 9, 40, "xy")],
    }));
    records
}

fn answer_final(records: &[Record], asked: Asked, node: u16) -> Answer {
    let mut table = Requests::default();
    for record in records {
        if let Record::Sent(sent) = record {
            table.add(sent).unwrap();
        }
    }
    let mut all = answer(asked, node, 10 * SECOND_NS, 6);
    for seen in &mut all.seen {
        seen.sum = table.sum(seen.key(), seen.places);
    }
    all
}

fn verdict(records: &[Record]) -> Verdict {
    let mut file = Vec::new();
    {
        let writer = HistoryWriter::new(&mut file);
        records.iter().for_each(|record| writer.write(record).unwrap());
    }
    judge(|| Ok(file.as_slice())).unwrap()
}

/// The good history with one thing changed in answers: which, and how.
fn with_answers(change: impl Fn(&mut Answer)) -> Verdict {
    let mut records = good();
    for record in &mut records {
        if let Record::Answer(answer) = record {
            change(answer);
        }
    }
    verdict(&records)
}

fn is_final(answer: &Answer) -> bool {
    matches!(answer.asked, Asked::Final { .. })
}

/// Exactly these promises are broken.
fn assert_broken(verdict: &Verdict, invariants: &[Invariant]) {
    let broken: Vec<Invariant> = verdict.broken.keys().copied().collect();
    assert_eq!(broken, invariants, "{:#?}", verdict.violations);
}

#[test]
fn a_good_history_passes() {
    let verdict = verdict(&good());
    assert!(verdict.is_good(), "{:#?} {:?}", verdict.violations, verdict.invalid);
    assert_eq!(verdict.counts.requests, 6);
    assert_eq!(verdict.counts.acked_requests, 5);
    assert_eq!(verdict.counts.acked_spans, 6 + 4 * 9);
    assert_eq!(verdict.counts.partial_answers, 1);
    let fault = &verdict.faults[0];
    assert_eq!(fault.outage_ns, Some(11 * SECOND_NS / 10));
    assert_eq!(fault.recovery_ns, Some(13 * SECOND_NS / 10));
}

#[test]
fn dur_1_a_lost_span() {
    let lost = with_answers(|answer| {
        if is_final(answer) && answer.node == 1 {
            answer.seen.retain(|seen| (seen.number, seen.trace) != (1, 2));
        }
    });
    assert_broken(&lost, &[Invariant::Dur1]);
    // Two own spans and the late one.
    assert_eq!(lost.count(Invariant::Dur1), 3);
}

#[test]
fn dur_1_one_span_of_a_trace() {
    let lost = with_answers(|answer| {
        if is_final(answer) && answer.node == 0 {
            let requests = good();
            let mut table = Requests::default();
            for record in &requests {
                if let Record::Sent(sent) = record {
                    table.add(sent).unwrap();
                }
            }
            let seen = &mut answer.seen[0];
            seen.places &= !(1 << LATE_PLACE);
            seen.sum = table.sum(seen.key(), seen.places);
        }
    });
    assert_broken(&lost, &[Invariant::Dur1]);
    assert_eq!(lost.count(Invariant::Dur1), 1);
}

#[test]
fn dur_2_a_phantom_and_other_content() {
    let phantom = with_answers(|answer| {
        if is_final(answer) && answer.node == 0 {
            answer.seen[0].places |= 1 << 5;
        }
    });
    assert_broken(&phantom, &[Invariant::Dur2]);
    let changed = with_answers(|answer| {
        if matches!(answer.asked, Asked::Trace { .. }) {
            answer.seen[0].sum ^= 1;
        }
    });
    assert_broken(&changed, &[Invariant::Dur2]);
    let stranger = with_answers(|answer| {
        if is_final(answer) {
            answer.odd.push(Odd {
                trace_id: "00".to_owned(),
                span_id: "00".to_owned(),
                repeat: false,
                why: "not of this run".to_owned(),
            });
        }
    });
    assert_broken(&stranger, &[Invariant::Dur2]);
}

#[test]
fn dur_2_a_span_from_the_future() {
    let mut records = good();
    for record in &mut records {
        if let Record::Answer(answer) = record
            && matches!(answer.asked, Asked::Trace { .. })
        {
            answer.begun_ns = 0;
            answer.ended_ns = SECOND_NS / 2;
        }
    }
    assert_broken(&verdict(&records), &[Invariant::Dur2]);
}

#[test]
fn set_a_span_twice_and_a_trace_twice() {
    let twice = with_answers(|answer| {
        if is_final(answer) && answer.node == 0 {
            answer.odd.push(Odd {
                trace_id: "01".to_owned(),
                span_id: "01".to_owned(),
                repeat: true,
                why: "stands there twice".to_owned(),
            });
        }
    });
    assert_broken(&twice, &[Invariant::Set]);
    let twice = with_answers(|answer| {
        if is_final(answer) {
            let first = answer.seen[0];
            answer.seen.push(first);
        }
    });
    assert_broken(&twice, &[Invariant::Set]);
}

#[test]
fn rep_2_replicas_that_differ() {
    for (other, broken) in [
        (replica("b", 9, 41, ""), true),
        (replica("b", 9, 40, "xz"), true),
        (replica("b", 9, 39, "xy"), false),
    ] {
        let mut records = good();
        for record in &mut records {
            if let Record::Replicas(told) = record {
                told.replicas[1] = other.clone();
            }
        }
        assert_broken(&verdict(&records), if broken { &[Invariant::Rep2] } else { &[] });
    }
}

#[test]
fn qry_2_partial_without_saying_of_what() {
    let mute = with_answers(|answer| {
        if let Claim::Partial { missing, .. } = &mut answer.claim {
            missing.clear();
        }
    });
    assert_broken(&mute, &[Invariant::Qry2]);
}

#[test]
fn qry_2_seen_and_gone() {
    // The fourth request was never acknowledged, and a complete answer has had it: it stays.
    let gone = with_answers(|answer| {
        if is_final(answer) && answer.node == 1 {
            answer.begun_ns += SECOND_NS;
            answer.ended_ns += SECOND_NS;
            answer.seen.retain(|seen| seen.number != 3);
            for seen in answer.seen.iter_mut().filter(|seen| seen.number == 3) {
                seen.places = 0;
            }
        }
    });
    // Its late spans came with the fifth request, which was acknowledged.
    assert_broken(&gone, &[Invariant::Dur1, Invariant::Qry2]);
}

#[test]
fn qry_3_not_read_after_the_acknowledgement() {
    let late = with_answers(|answer| {
        if matches!(answer.asked, Asked::Search { .. }) && answer.claim == Claim::Complete {
            answer.seen.retain(|seen| seen.number != 2);
        }
    });
    assert_broken(&late, &[Invariant::Qry3]);
    let unknown = with_answers(|answer| {
        if matches!(answer.asked, Asked::Trace { .. }) {
            answer.seen.clear();
        }
    });
    assert_broken(&unknown, &[Invariant::Qry3]);
}

#[test]
fn api_1_refusals_and_half_a_success() {
    for (status, hint, broken) in
        [(503, true, false), (503, false, true), (500, true, true), (400, false, true)]
    {
        let mut records = good();
        for record in &mut records {
            if let Record::Attempt(attempt) = record
                && attempt.outcome == Outcome::Refused
            {
                attempt.status = status;
                attempt.hint = hint;
            }
        }
        assert_broken(&verdict(&records), if broken { &[Invariant::Api1] } else { &[] });
    }
    let mut records = good();
    for record in &mut records {
        if let Record::Attempt(attempt) = record
            && attempt.outcome == Outcome::Acked
        {
            attempt.rejected = 1;
        }
    }
    assert_broken(&verdict(&records), &[Invariant::Api1]);
}

#[test]
fn ret_1_dropped_too_early_and_unevenly() {
    let dropped = with_answers(|answer| {
        if is_final(answer) {
            answer.seen.retain(|seen| seen.number != 0);
        }
    });
    assert_broken(&dropped, &[Invariant::Dur1, Invariant::Ret1]);

    let mut records = good();
    for record in &mut records {
        match record {
            Record::Run(run) => run.retention_ns = 8 * SECOND_NS,
            Record::Answer(answer) if is_final(answer) && answer.node == 0 => {
                answer.seen.retain(|seen| seen.number != 0);
            }
            _ => {}
        }
    }
    assert_broken(&verdict(&records), &[Invariant::Ret1]);
}

#[test]
fn ten_1_another_tenants_trace() {
    let mut records = good();
    for record in &mut records {
        if let Record::Answer(answer) = record
            && matches!(answer.asked, Asked::Trace { .. })
        {
            answer.tenant = 8;
        }
    }
    assert_broken(&verdict(&records), &[Invariant::Ten1]);
}

#[test]
fn liv_1_too_long_and_never() {
    for (limit_ns, acked, broken) in [(SECOND_NS, true, 2), (3 * SECOND_NS, false, 2)] {
        let mut records = good();
        if !acked {
            records.retain(
                |record| !matches!(record, Record::Attempt(attempt) if attempt.number >= 2),
            );
        }
        for record in &mut records {
            if let Record::Fault(fault) = record {
                fault.limit_ns = limit_ns;
            }
        }
        let verdict = verdict(&records);
        assert_eq!(verdict.count(Invariant::Liv1), broken, "{:?}", verdict.violations);
    }
}

#[test]
fn liv_1_replicas_that_do_not_converge() {
    let mut records = good();
    for record in &mut records {
        if let Record::Replicas(told) = record {
            told.replicas[1].applied = 8;
        }
    }
    assert_broken(&verdict(&records), &[Invariant::Liv1]);
}

#[test]
fn a_run_that_proves_nothing_is_invalid() {
    let mut unread = good();
    unread.retain(
        |record| !matches!(record, Record::Answer(answer) if is_final(answer) && answer.node == 1),
    );
    assert!(!verdict(&unread).invalid.is_empty());

    let mut toothless = good();
    for record in &mut toothless {
        if let Record::Fault(fault) = record {
            fault.bites = 0;
        }
    }
    assert!(!verdict(&toothless).invalid.is_empty());
    assert!(!verdict(&good()[1..]).invalid.is_empty());
}
