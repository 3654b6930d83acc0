//! Numbers as they are written: digits with thousands and fractions, Chinese numerals (also those of contracts), and digits
//! with 百, 千 or 万 behind them. What they count is for others to say.

/// The largest number that is read, in thousandths: a hundred million.
const LARGEST: i64 = 100_000_000_000;

/// The number that starts here, in thousandths: digits, or Chinese numerals, or digits with 百, 千 or 万 after them
/// (1千2百). None of them is larger than [`LARGEST`], so nothing computed from them overflows.
pub(super) fn number(chars: &[char], at: usize) -> Option<(i64, usize)> {
    let found = match digits(chars, at) {
        Some((first, end)) => match scale(chars, end) {
            Some(unit) => scaled(chars, first.checked_mul(unit)?, unit, end + 1)?,
            None => (first, end),
        },
        None => chinese(chars, at)?,
    };
    (found.0 <= LARGEST).then_some(found)
}

/// What the word after digits multiplies them with; 千克 is a unit of mass.
fn scale(chars: &[char], at: usize) -> Option<i64> {
    match chars.get(at)? {
        '万' => Some(10_000),
        '千' if chars.get(at + 1) != Some(&'克') => Some(1_000),
        '百' => Some(100),
        _ => None,
    }
}

/// Goes on with what smaller words multiply: the 2百 of 1千2百.
fn scaled(chars: &[char], mut total: i64, mut unit: i64, mut end: usize) -> Option<(i64, usize)> {
    while let Some((more, at)) = digits(chars, end)
        && let Some(smaller) = scale(chars, at).filter(|&smaller| smaller < unit)
    {
        total = total.checked_add(more.checked_mul(smaller)?)?;
        (unit, end) = (smaller, at + 1);
    }
    Some((total, end))
}

/// Digits with an optional fraction, in thousandths; commas between thousands are passed over.
pub(super) fn digits(chars: &[char], at: usize) -> Option<(i64, usize)> {
    let digit = |i: usize| chars.get(i).and_then(|c| c.to_digit(10)).map(i64::from);
    let (mut value, mut end) = (0_i64, at);
    loop {
        if let Some(d) = digit(end) {
            value = value.checked_mul(10)?.checked_add(d)?;
            end += 1;
        } else if end > at
            && chars.get(end) == Some(&',')
            && (1..=3).all(|i| digit(end + i).is_some())
            && digit(end + 4).is_none()
        {
            end += 1;
        } else {
            break;
        }
    }
    if end == at || value > LARGEST / 1_000 {
        return None;
    }
    value = value.checked_mul(1_000)?;
    if chars.get(end) == Some(&'.') && digit(end + 1).is_some() {
        let mut scale = 100;
        end += 1;
        while let Some(d) = digit(end) {
            value += d * scale;
            scale /= 10;
            end += 1;
        }
    }
    Some((value, end))
}

pub(super) fn chinese_digit(c: char) -> Option<i64> {
    "零一二三四五六七八九".chars().position(|d| d == c).map(|d| d as i64).or(match c {
        '〇' => Some(0),
        '壹' => Some(1),
        '两' | '俩' | '贰' => Some(2),
        '叁' => Some(3),
        '肆' => Some(4),
        '伍' => Some(5),
        '陆' => Some(6),
        '柒' => Some(7),
        '捌' => Some(8),
        '玖' => Some(9),
        '仨' => Some(3),
        _ => None,
    })
}

/// Chinese numerals up to 万, in thousandths: 一百零二, 三百二 (320), 十二, 半.
fn chinese(chars: &[char], at: usize) -> Option<(i64, usize)> {
    if chars.get(at) == Some(&'半') {
        return chars.get(at + 1).is_some_and(|c| "斤两公".contains(*c)).then_some((500, at + 1));
    }
    let (mut total, mut digit, mut unit, mut end) = (0_i64, None, 1_i64, at);
    while let Some(&c) = chars.get(end) {
        if let Some(d) = chinese_digit(c) {
            if digit.is_some_and(|before| before != 0) {
                break;
            }
            // 两 after a number is the unit of mass, unless it counts hundreds or more.
            if c == '两' && end > at && !matches!(chars.get(end + 1), Some('百' | '千' | '万')) {
                break;
            }
            digit = Some(d);
            if d == 0 {
                unit = 1;
            }
        } else {
            let power = match c {
                '十' | '拾' => 10,
                '百' | '佰' => 100,
                '千' | '仟' => 1_000,
                '万' => 10_000,
                _ => break,
            };
            if digit.is_none() && power != 10 && (power != 10_000 || total == 0) {
                break;
            }
            total =
                if power == 10_000 { (total + digit.unwrap_or(0)) * power } else { total + digit.unwrap_or(1) * power };
            if total > LARGEST / 1_000 {
                return None;
            }
            (digit, unit) = (None, power);
        }
        end += 1;
    }
    // 三百二 is 320: a last digit counts tenths of the unit before it, unless 零 stands between.
    let last = digit.unwrap_or(0) * if unit >= 100 { unit / 10 } else { 1 };
    (end > at).then_some(((total + last) * 1_000, end))
}
