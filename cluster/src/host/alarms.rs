//! What somebody should know, as it begins, changes and ends.
//!
//! The planner says at each look what is wrong then, and remembers nothing; here stands since when.
//! Only the leader of the meta group plans, so only it keeps a book, and a new leader begins a new
//! one. An alarm is over when it was not seen for a while: while a group elects, nothing is known
//! of it, which is not the same as being well.

use std::collections::BTreeMap;

use model::Duration;
use model::time::Monotonic;

use super::limits::ALARM_OVER_AFTER;
use crate::plan::{Alarm, AlarmSubject};

/// What stands, and since when.
#[derive(Debug, Default)]
pub(crate) struct AlarmBook {
    standing: BTreeMap<AlarmSubject, Standing>,
}

/// An alarm that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) alarm: Alarm,
    pub(crate) since: Monotonic,
    seen: Monotonic,
}

/// What is different from the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    Began(Alarm),
    Changed(Alarm),
    /// With how long it lasted, as far as it was seen.
    Ended(Alarm, Duration),
}

impl AlarmBook {
    /// Takes what is wrong now.
    pub(crate) fn observe(&mut self, alarms: &[Alarm], now: Monotonic) -> Vec<News> {
        let mut news = Vec::new();
        for alarm in alarms {
            let begins = Standing { alarm: alarm.clone(), since: now, seen: now };
            match self.standing.get_mut(&alarm.subject()) {
                None => {
                    news.push(News::Began(alarm.clone()));
                    self.standing.insert(alarm.subject(), begins);
                }
                Some(standing) => {
                    standing.seen = now;
                    if standing.alarm != *alarm {
                        news.push(News::Changed(alarm.clone()));
                        standing.alarm = alarm.clone();
                    }
                }
            }
        }
        self.standing.retain(|_, standing| {
            let stands = now.since(standing.seen) < ALARM_OVER_AFTER;
            if !stands {
                let lasted = standing.seen.since(standing.since);
                news.push(News::Ended(standing.alarm.clone(), lasted));
            }
            stands
        });
        news
    }

    /// Forgets all of them: this node does not plan any more. Says whether there was any.
    pub(crate) fn clear(&mut self) -> bool {
        !std::mem::take(&mut self.standing).is_empty()
    }

    /// What stands, the oldest first.
    pub(crate) fn standing(&self) -> Vec<Standing> {
        let mut all: Vec<Standing> = self.standing.values().cloned().collect();
        all.sort_by_key(|standing| standing.since);
        all
    }
}

/// Tells people, and counts.
pub(crate) fn tell(news: &[News], book: &AlarmBook) {
    for each in news {
        match each {
            News::Began(alarm) => {
                let kind = alarm.subject().kind();
                metrics::counter!("skua_alarms_total", "alarm" => kind).increment(1);
                tracing::warn!(alarm = kind, "the cluster needs somebody's attention: {alarm}");
            }
            News::Changed(alarm) => {
                let kind = alarm.subject().kind();
                tracing::warn!(alarm = kind, "an alarm has changed: {alarm}");
            }
            News::Ended(alarm, lasted) => {
                let (kind, seconds) = (alarm.subject().kind(), lasted.0 / 1_000_000_000);
                tracing::info!(alarm = kind, seconds, "an alarm is over: {alarm}");
            }
        }
    }
    if !news.is_empty() {
        count_standing(book);
    }
}

/// Brings the gauges up to date.
pub(crate) fn count_standing(book: &AlarmBook) {
    for kind in AlarmSubject::KINDS {
        let standing = book.standing.keys().filter(|subject| subject.kind() == kind).count();
        metrics::gauge!("skua_alarms", "alarm" => kind).set(standing as f64);
    }
}

#[cfg(test)]
mod tests {
    use storage::log::GroupId;

    use super::*;

    fn thin(group: u64, up: usize) -> Alarm {
        Alarm::UnderReplicated { group: GroupId(group), up, wanted: 3 }
    }

    #[test]
    fn an_alarm_is_news_when_it_begins_changes_or_ends() {
        let mut book = AlarmBook::default();
        let mut at = |millis: u64, alarms: &[Alarm]| {
            let news = book.observe(alarms, Monotonic(millis * 1_000_000));
            (news, book.standing().len())
        };
        let began = vec![News::Began(thin(1, 2)), News::Began(thin(2, 2))];
        assert_eq!(at(1_000, &[thin(1, 2), thin(2, 2)]), (began, 2));
        assert_eq!(at(1_500, &[thin(1, 2), thin(2, 2)]), (vec![], 2), "it is said once");
        assert_eq!(at(2_000, &[thin(1, 1), thin(2, 2)]), (vec![News::Changed(thin(1, 1))], 2));
        // Nothing is known of the first for a moment.
        assert_eq!(at(2_500, &[thin(2, 2)]), (vec![], 2));
        assert_eq!(at(3_000, &[thin(1, 1), thin(2, 2)]), (vec![], 2));
        assert_eq!(at(4_500, &[thin(2, 2)]), (vec![], 2));
        let ended = vec![News::Ended(thin(1, 1), Duration::from_secs(2))];
        assert_eq!(at(5_000, &[thin(2, 2)]), (ended, 1), "two seconds after it was last seen");
        assert_eq!(at(5_500, &[thin(1, 2), thin(2, 2)]), (vec![News::Began(thin(1, 2))], 2));
    }

    #[test]
    fn what_stands_longest_comes_first() {
        let mut book = AlarmBook::default();
        book.observe(&[thin(9, 2)], Monotonic(1));
        book.observe(&[thin(9, 2), thin(1, 2)], Monotonic(2));
        let groups: Vec<Alarm> = book.standing().into_iter().map(|it| it.alarm).collect();
        assert_eq!(groups, [thin(9, 2), thin(1, 2)]);
        assert!(book.clear() && !book.clear());
    }
}
