//! A name server that plays a headless service: one name for all nodes, and a name for each.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;

use super::bell::Bell;

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    /// It answers.
    #[default]
    Well,
    /// It hears and says nothing.
    Silent,
    /// It answers that it failed.
    Failing,
    /// It knows no names.
    Empty,
}

/// What it knows.
#[derive(Debug, Default)]
pub(crate) struct Names {
    state: Mutex<(BTreeMap<String, Vec<Ipv4Addr>>, Mood)>,
    /// Questions that got no good answer because of a mood.
    pub(crate) denied: AtomicU64,
}

impl Names {
    pub(crate) fn set(&self, name: &str, addresses: Vec<Ipv4Addr>) {
        if let Ok(mut state) = self.state.lock() {
            state.0.insert(name.to_owned(), addresses);
        }
    }

    pub(crate) fn be(&self, mood: Mood) {
        if let Ok(mut state) = self.state.lock() {
            state.1 = mood;
        }
    }

    /// Answers on this address until the bell rings.
    pub(crate) fn serve(self: &Arc<Self>, on: Ipv4Addr, bell: &Bell) -> Result<()> {
        let socket = UdpSocket::bind((on, 53))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let mut packet = [0; 512];
        while !bell.has_rung() {
            let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
            let question = packet.get(..length).unwrap_or_default();
            if let Some(answer) = self.answer(question) {
                let _ = socket.send_to(&answer, from);
            }
        }
        Ok(())
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let state = self.state.lock().ok()?;
        let (names, mood) = &*state;
        if *mood != Mood::Well {
            self.denied.fetch_add(1, Ordering::Relaxed);
        }
        if *mood == Mood::Silent {
            return None;
        }
        let (name, end) = name_of(question)?;
        let asked = question.get(12..end + 4)?;
        let is_address = question.get(end..end + 2)? == [0, 1];
        let found = names.get(&name).filter(|_| *mood != Mood::Empty);
        let addresses = found.filter(|_| is_address).map_or(&[][..], Vec::as_slice);
        let code: u8 = match mood {
            Mood::Failing => 2,
            _ if found.is_none() => 3,
            _ => 0,
        };
        let addresses = if code == 0 { addresses } else { &[] };
        let mut answer = question.get(..2)?.to_vec();
        answer.extend([0x85, 0x80 | code, 0, 1, 0]);
        answer.push(u8::try_from(addresses.len()).ok()?);
        answer.extend([0, 0, 0, 0]);
        answer.extend_from_slice(asked);
        for address in addresses {
            // A pointer to the name, type A, class IN, one second to live, four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}

/// The name that is asked for, and where it ends.
fn name_of(question: &[u8]) -> Option<(String, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = question.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_answered() {
        let names = Names::default();
        names.set("a.b", vec![Ipv4Addr::new(10, 0, 0, 7)]);
        let mut question = vec![9, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend(b"\x01a\x01B\x00\x00\x01\x00\x01");
        let answer = names.answer(&question).unwrap();
        assert_eq!(&answer[..8], [9, 9, 0x85, 0x80, 0, 1, 0, 1]);
        assert!(answer.ends_with(&[10, 0, 0, 7]));
        names.be(Mood::Failing);
        assert_eq!(names.answer(&question).unwrap()[3], 0x82);
        names.be(Mood::Silent);
        assert_eq!(names.answer(&question), None);
        assert_eq!(names.answer(b"short"), None);
    }
}
