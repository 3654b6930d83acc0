//! One reflection as it is written: which token comes next, when the verdict is asked for, when nothing can change it.

use super::Marks;
use crate::judge::tokenizer::PAD;

/// Log odds beyond which a verdict is taken as settled: 50 to 1.
const SETTLED: f32 = 3.912_023;
/// From which operator on the verdict may settle it: before, nothing has been compared.
const FROM_OPERATOR: usize = 4;

/// What reflections go by.
pub(super) struct Rule<'a> {
    pub(super) marks: &'a Marks,
    /// The most tokens.
    pub(super) longest: usize,
}

/// A reflection.
#[derive(Debug)]
pub(super) struct Reflection {
    /// The token fed next.
    token: u32,
    said: Vec<u32>,
    operators: usize,
    /// The verdict is to be asked for before the next token.
    asks: bool,
    /// Whether the verdict ends it whatever it is.
    last: bool,
    done: bool,
    odds: f32,
}

impl Reflection {
    /// Begins with the first verdict.
    pub(super) fn new(rule: &Rule<'_>, right: bool) -> Reflection {
        let token = if right { rule.marks.right } else { rule.marks.wrong };
        Reflection { token, said: Vec::new(), operators: 0, asks: false, last: false, done: false, odds: f32::NAN }
    }

    /// The token to feed; padding when it is done.
    pub(super) fn token(&self) -> u32 {
        if self.done { PAD as u32 } else { self.token }
    }

    /// Takes the likeliest next token; of equals the first.
    pub(super) fn say(&mut self, rule: &Rule<'_>, logits: &[f32]) {
        if self.done {
            return;
        }
        let (mut next, mut highest) = (0_u32, f32::NEG_INFINITY);
        for (id, &logit) in (0_u32..).zip(logits) {
            if logit > highest {
                (next, highest) = (id, logit);
            }
        }
        self.token = next;
        self.said.push(next);
        self.last = next == rule.marks.final_verdict || self.said.len() >= rule.longest;
        if rule.marks.operators.contains(&next) {
            self.operators += 1;
            self.asks = self.operators >= FROM_OPERATOR;
        }
        self.asks |= self.last;
    }

    /// Whether the verdict is to be asked for now.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// Hears the verdict, if it was asked for.
    pub(super) fn hear(&mut self, odds: f32) {
        if std::mem::take(&mut self.asks) {
            self.odds = odds;
            self.done = self.last || odds.abs() >= SETTLED;
        }
    }

    pub(super) fn done(&self) -> bool {
        self.done
    }

    /// Everything said after the first verdict.
    pub(super) fn said(&self) -> &[u32] {
        &self.said
    }

    /// The verdict heard last.
    pub(super) fn odds(&self) -> f32 {
        self.odds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        Marks { right: 1, wrong: 2, final_verdict: 3, operators: vec![4, 5, 6, 7, 8, 9], problem: 10 }
    }

    fn logits(id: usize) -> Vec<f32> {
        (0..12).map(|i| if i == id { 1.0 } else { 0.0 }).collect()
    }

    fn run(tokens: &[usize], odds: f32, longest: usize) -> (usize, bool, f32) {
        let marks = marks();
        let rule = Rule { marks: &marks, longest };
        let mut reflection = Reflection::new(&rule, true);
        assert_eq!(reflection.token(), 1);
        for &token in tokens {
            reflection.say(&rule, &logits(token));
            if reflection.asks() {
                reflection.hear(odds);
            }
        }
        (reflection.said().len(), reflection.done(), reflection.odds())
    }

    #[test]
    fn it_ends_at_the_final_mark_or_at_the_cap() {
        assert_eq!(run(&[4, 10, 3, 1, 11], 0.5, 20), (3, true, 0.5));
        assert_eq!(run(&[10, 10, 10, 10], 0.5, 3), (3, true, 0.5));
    }

    #[test]
    fn a_settled_verdict_ends_it_after_the_comparison_and_not_before() {
        assert_eq!(run(&[4, 5, 6, 10, 8, 9, 3], 9.0, 20), (5, true, 9.0));
        assert_eq!(run(&[4, 5, 6, 10, 8, 9, 3], -9.0, 20), (5, true, -9.0));
        assert_eq!(run(&[4, 5, 6, 10, 8, 9, 3], 1.0, 20), (7, true, 1.0));
        assert!(!run(&[4, 5, 6, 10], 9.0, 20).1);
    }
}
