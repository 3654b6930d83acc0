//! The shares that two quantities make.

use super::Value;
use super::numbers::{Quantity, ShareForm};

/// How a share was written, as a form of reading.
pub(super) fn share_form(form: ShareForm) -> &'static str {
    match form {
        ShareForm::Percent => "percent",
        ShareForm::Tenths => "tenths",
        ShareForm::Fraction => "fraction",
        ShareForm::Half => "half",
        ShareForm::All => "all",
    }
}

/// Whether two measure words may count the same things: 个 stands for any that counts single pieces (30枚鸡蛋碎了6个).
fn alike(a: Option<char>, b: Option<char>) -> bool {
    const PIECES: &str = "个只隻枚颗粒条根头尾株棵朵支";
    match (a, b) {
        (Some(a), Some(b)) => a == b || (a == '个' && PIECES.contains(b)) || (b == '个' && PIECES.contains(a)),
        _ => true,
    }
}

/// The shares that two quantities of one kind make: the smaller of the larger, and what it lacks.
pub(super) fn ratios(a: Quantity, b: Quantity) -> Vec<(Value, &'static str)> {
    let (small, large, part, rest) = match (a, b) {
        (Quantity::Mass(a), Quantity::Mass(b)) => (a.min(b), a.max(b), "mass_part", "mass_rest"),
        (Quantity::Count(a, unit), Quantity::Count(b, other)) if alike(unit, other) => {
            (a.min(b), a.max(b), "count_part", "count_rest")
        }
        _ => return Vec::new(),
    };
    if small <= 0 || small > large || large < 2 {
        return Vec::new();
    }
    // Half a hundredth of a percent rounds up, as everywhere. The share is 0 to 10,000 and fits.
    let share = |n: i64| {
        let (n, large) = (i128::from(n), i128::from(large));
        Value::Ratio(((n * 20_000 + large) / (2 * large)) as u32)
    };
    if small == large { vec![(share(small), part)] } else { vec![(share(small), part), (share(large - small), rest)] }
}
