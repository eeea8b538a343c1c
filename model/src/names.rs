//! Names with numbers: what columns say instead of the names themselves.

use std::collections::BTreeMap;

use crate::Text;

/// Numbers names by first appearance, from 0.
#[derive(Debug, Clone, Default)]
pub struct Names {
    names: Vec<Text>,
    numbers: BTreeMap<Text, u32>,
}

impl Names {
    /// The number of a name.
    pub fn number(&mut self, name: Text) -> u32 {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let names = &mut self.names;
        *self.numbers.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            next
        })
    }

    /// The names by their numbers.
    pub fn as_slice(&self) -> &[Text] {
        &self.names
    }

    /// The same, for keeping.
    pub fn into_vec(self) -> Vec<Text> {
        self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut names = Names::default();
        let numbers = ["cart", "shop", "cart", ""].map(|name| names.number(name.into()));
        assert_eq!(numbers, [0, 1, 0, 2]);
        assert_eq!(names.as_slice(), ["cart", "shop", ""].map(Text::from));
    }
}
