//! What the network made of the rules it has read. Texts about cases under one rule begin alike, and what comes first is read
//! the same whatever follows: so it is read once, and its keys and values serve every later text.

use std::collections::{HashMap, VecDeque};

use ndarray::Array4;

/// Slots before a text that hold its rule. Of a longer rule so many tokens are shared, the others are read with the text.
pub(super) const SLOTS: usize = 128;
/// The most rules that are kept, some 0.8 MB each with the shipped model; the one read first goes first.
const MOST: usize = 128;

/// Keys and values, `[2 layers, heads, tokens, head width]`, by the tokens of the rule.
#[derive(Debug, Default)]
pub(super) struct Rules {
    kept: HashMap<Vec<u32>, Array4<f32>>,
    order: VecDeque<Vec<u32>>,
}

impl Rules {
    pub(super) fn get(&self, rule: &[u32]) -> Option<&Array4<f32>> {
        self.kept.get(rule)
    }

    pub(super) fn keep(&mut self, rule: &[u32], read: Array4<f32>) {
        if self.order.len() == MOST
            && let Some(first) = self.order.pop_front()
        {
            self.kept.remove(&first);
        }
        if self.kept.insert(rule.to_vec(), read).is_none() {
            self.order.push_back(rule.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_when_there_are_too_many() {
        let mut rules = Rules::default();
        for id in 0..=MOST as u32 {
            rules.keep(&[id], Array4::from_elem((1, 1, 1, 1), id as f32));
        }
        assert!(rules.get(&[0]).is_none());
        assert_eq!(rules.get(&[1]).map(|read| read[[0, 0, 0, 0]]), Some(1.0));
        assert_eq!((rules.kept.len(), rules.order.len()), (MOST, MOST));
    }
}
