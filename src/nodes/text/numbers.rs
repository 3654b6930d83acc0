//! Finds the quantities written in a text: shares, masses, sums of money and counts, in digits or Chinese numerals.
//! It reads what is written (三成半, 4斤1两, 246块5毛5, 百分之五) and never guesses which of them matters.

/// One quantity and where it stands, in characters of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) quantity: Quantity,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// A share of a whole in hundredths of a percent, 0 to 10,000, and how it was written.
    Share(i64, ShareForm),
    /// A mass in milligrams.
    Mass(i64),
    /// Money in fen.
    Money(i64),
    /// A whole number of things; the measure word, where there is one.
    Count(i64, Option<char>),
}

/// How a share was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShareForm {
    Percent,
    Tenths,
    Fraction,
    Half,
    All,
}

/// The largest number that is read, in thousandths: a hundred million.
const LARGEST: i64 = 100_000_000_000;
/// Measure words that count things one can receive, miss or find spoiled.
const COUNTERS: &str =
    "个個只隻枚条颗粒袋盒罐瓶支件册箱片根头尾套把副双本包份朵株盆棵桶张台部块卷提串对杯顶枝匹盏组节筐篮床方辆架幅扇";
/// Words that say all of it is meant.
const ALL: [&str; 14] = [
    "全烂",
    "全坏",
    "全化",
    "全死",
    "全部",
    "全都",
    "全是",
    "没一个好",
    "没有一个",
    "无一",
    "都烂",
    "全军覆没",
    "一个都不",
    "全臭",
];
/// Words that say half of it is meant.
const HALF: [&str; 9] = ["一半", "半数", "一多半", "一大半", "半箱", "半盒", "半袋", "半筐", "半包"];
/// What stands before 俩 and 仨 when they count people.
const PEOPLE: &str = "们咱你我他她您妻女子爷娘姐妹兄弟俺";

/// The quantities of a text, in order; none overlaps another.
pub(super) fn numbers(text: &str) -> Vec<Number> {
    let chars: Vec<char> = text.chars().map(half_width).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        match quantity(&chars, at) {
            Some((quantity, end)) if end > at => {
                found.push(Number { start: at, end, quantity });
                at = end;
            }
            _ => at = skip(&chars, at),
        }
    }
    found
}

/// Full-width digits, letters and signs as their ASCII twins; one character stays one character.
fn half_width(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        '￥' => '¥',
        c => c,
    }
}

/// The next place worth looking at: a run of letters, digits and points between them (a code, a waybill, a number of no
/// kind) is passed over whole.
fn skip(chars: &[char], at: usize) -> usize {
    let word = |i: usize| chars.get(i).is_some_and(char::is_ascii_alphanumeric);
    let mut end = at;
    while word(end) || (end > at && chars.get(end) == Some(&'.') && word(end + 1)) {
        end += 1;
    }
    end.max(at + 1)
}

fn starts(chars: &[char], at: usize, word: &str) -> bool {
    word.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c))
}

/// The quantity that starts here, and where it ends.
fn quantity(chars: &[char], at: usize) -> Option<(Quantity, usize)> {
    let words = |list: &[&'static str]| list.iter().find(|w| starts(chars, at, w)).map(|w| w.chars().count());
    if let Some(length) = words(&HALF) {
        return Some((Quantity::Share(5_000, ShareForm::Half), at + length));
    }
    if let Some(length) = words(&ALL) {
        return Some((Quantity::Share(10_000, ShareForm::All), at + length));
    }
    if starts(chars, at, "百分之") {
        let (milli, end) = number(chars, at + 3)?;
        return share(milli.checked_mul(10)? / 100, ShareForm::Percent, end);
    }
    let prefixed = chars[at] == '¥';
    let (milli, end) = number(chars, at + usize::from(prefixed))?;
    if prefixed {
        return Some((Quantity::Money(milli / 10), end));
    }
    after_number(chars, at, milli, end)
}

fn share(hundredths: i64, form: ShareForm, end: usize) -> Option<(Quantity, usize)> {
    (0..=10_000).contains(&hundredths).then_some((Quantity::Share(hundredths, form), end))
}

/// What a number in thousandths is, by what follows it.
fn after_number(chars: &[char], at: usize, milli: i64, end: usize) -> Option<(Quantity, usize)> {
    let next = chars.get(end).copied().unwrap_or(' ');
    match next {
        '%' => return share(milli / 10, ShareForm::Percent, end + 1),
        '成' if (1..=10_000).contains(&milli) => {
            let (tail, after) = tail(chars, end + 1);
            return share(milli + tail / 10, ShareForm::Tenths, after);
        }
        '分' if starts(chars, end, "分之") => {
            let (top, after) = number(chars, end + 2)?;
            return share((top * 10_000).checked_div(milli)?, ShareForm::Fraction, after);
        }
        '/' => {
            let below = digits(chars, end + 1).filter(|&(below, after)| {
                below >= milli && below > 0 && chars.get(after).is_none_or(|c| !matches!(c, '/' | '.' | '-'))
            });
            if let Some((below, after)) = below {
                return share(milli * 10_000 / below, ShareForm::Fraction, after);
            }
        }
        _ => {}
    }
    mass(chars, milli, end).or_else(|| money(chars, milli, end)).or_else(|| count(chars, at, milli, end))
}

/// A digit or 半 that continues a unit (三成半, 四斤半, 八块五): its value in thousandths of the unit's tenth times ten.
fn tail(chars: &[char], at: usize) -> (i64, usize) {
    match chars.get(at) {
        Some('半') => (5_000, at + 1),
        Some(&c) => match chinese_digit(c).or_else(|| c.to_digit(10).map(i64::from)) {
            Some(digit) => (digit * 1_000, at + 1),
            None => (0, at),
        },
        None => (0, at),
    }
}

fn mass(chars: &[char], milli: i64, end: usize) -> Option<(Quantity, usize)> {
    const UNITS: [(&str, i64); 9] = [
        ("公斤", 1_000_000),
        ("千克", 1_000_000),
        ("kg", 1_000_000),
        ("KG", 1_000_000),
        ("Kg", 1_000_000),
        ("斤", 500_000),
        ("克", 1_000),
        ("g", 1_000),
        ("两", 50_000),
    ];
    let end = end + usize::from(chars.get(end) == Some(&' '));
    let (word, unit) = *UNITS.iter().find(|(word, _)| starts(chars, end, word))?;
    let mut after = end + word.chars().count();
    let mut milligrams = milli.checked_mul(unit)? / 1_000;
    if word == "g" && chars.get(after).is_some_and(char::is_ascii_alphanumeric) {
        return None;
    }
    if chars.get(after) == Some(&'半') {
        milligrams += unit / 2;
        after += 1;
    } else if word == "斤"
        && let Some((liang, next)) = number(chars, after).filter(|&(_, next)| chars.get(next) == Some(&'两'))
    {
        milligrams += liang * 50;
        after = next + 1;
        if chars.get(after) == Some(&'半') {
            milligrams += 25_000;
            after += 1;
        } else {
            let (tenths, end) = last_tenths(chars, after);
            (milligrams, after) = (milligrams + tenths * 5, end);
        }
    } else if word == "斤" || word == "两" {
        let (tenths, end) = last_tenths(chars, after);
        (milligrams, after) = (milligrams + tenths * unit / 10_000, end);
    }
    Some((Quantity::Mass(milligrams), after))
}

/// A digit after 斤 or 两 that counts tenths of it (七两五, 四斤八), in thousandths; it must end the number.
fn last_tenths(chars: &[char], at: usize) -> (i64, usize) {
    let (tenths, end) = tail(chars, at);
    let ends = chars.get(end).is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '/' | '-' | '%' | ':'));
    if ends { (tenths, end) } else { (0, at) }
}

fn money(chars: &[char], milli: i64, end: usize) -> Option<(Quantity, usize)> {
    let mut fen = milli / 10;
    match chars.get(end)? {
        '元' | '圆' => Some((Quantity::Money(fen), end + 1)),
        '块' | '塊' => {
            let mut at = end + 1;
            let (jiao, after) = tail(chars, at);
            if after > at {
                fen += jiao / 100;
                at = after;
                if jiao == 0 {
                    // 25块零3分: the digit after 零 counts hundredths.
                    let (hundredths, after) = tail(chars, at);
                    fen += hundredths / 1_000;
                    at = after + usize::from(after > at && chars.get(after) == Some(&'分'));
                } else if matches!(chars.get(at), Some('毛' | '角')) {
                    let (hundredths, after) = tail(chars, at + 1);
                    fen += hundredths / 1_000;
                    at = after + usize::from(after > at + 1 && chars.get(after) == Some(&'分'));
                }
            }
            Some((Quantity::Money(fen), at))
        }
        '毛' | '角' if milli < 10_000 => Some((Quantity::Money(milli / 100), end + 1)),
        _ => None,
    }
}

/// A count, or money where there are exactly two decimals and nothing says otherwise. Parts of dates, times and codes are
/// neither.
fn count(chars: &[char], at: usize, milli: i64, end: usize) -> Option<(Quantity, usize)> {
    let next = chars.get(end).copied().unwrap_or(' ');
    let before = at.checked_sub(1).map_or(' ', |i| chars[i]);
    let written = &chars[at..end];
    let of_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '/');
    if written.contains(&'.') {
        let two = end - written.iter().position(|&c| c == '.').map_or(end, |i| at + i) == 3;
        return (two && !of_code(next) && !of_code(before)).then_some((Quantity::Money(milli / 10), end));
    }
    if milli % 1_000 != 0 {
        return None;
    }
    if matches!(written, ['俩' | '仨']) && !PEOPLE.contains(before) {
        return Some((Quantity::Count(milli / 1_000, Some('个')), end));
    }
    let arabic = written.iter().all(char::is_ascii_digit);
    if COUNTERS.contains(next) && !(next == '个' && matches!(chars.get(end + 1), Some('月' | '小' | '工'))) {
        return Some((Quantity::Count(milli / 1_000, Some(next)), end + 1));
    }
    let dated = matches!(
        next,
        '年' | '月'
            | '日'
            | '号'
            | '点'
            | '时'
            | '分'
            | '秒'
            | '天'
            | '小'
            | '岁'
            | '楼'
            | '码'
            | '折'
            | '级'
            | '米'
            | '寸'
            | '升'
            | '度'
            | '厘'
            | '毫'
            | '.'
    );
    let bare = arabic && !dated && !of_code(next) && !of_code(before) && end - at <= 4;
    bare.then_some((Quantity::Count(milli / 1_000, None), end))
}

/// The number that starts here, in thousandths: digits, or Chinese numerals, or digits with 万 after them. None of them
/// is larger than [`LARGEST`], so nothing computed from them overflows.
fn number(chars: &[char], at: usize) -> Option<(i64, usize)> {
    let found = match digits(chars, at) {
        Some((milli, end)) if chars.get(end) == Some(&'万') => (milli.checked_mul(10_000)?, end + 1),
        Some(found) => found,
        None => chinese(chars, at)?,
    };
    (found.0 <= LARGEST).then_some(found)
}

/// Digits with an optional fraction, in thousandths; commas between thousands are passed over.
fn digits(chars: &[char], at: usize) -> Option<(i64, usize)> {
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

fn chinese_digit(c: char) -> Option<i64> {
    "零一二三四五六七八九".chars().position(|d| d == c).map(|d| d as i64).or(match c {
        '〇' => Some(0),
        '两' | '俩' => Some(2),
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
            // 两 after a number is the unit of mass.
            if c == '两' && end > at && unit == 1 {
                break;
            }
            digit = Some(d);
            if d == 0 {
                unit = 1;
            }
        } else {
            let power = match c {
                '十' => 10,
                '百' => 100,
                '千' => 1_000,
                '万' => 10_000,
                _ => break,
            };
            if digit.is_none() && power != 10 {
                break;
            }
            total =
                if power == 10_000 { (total + digit.unwrap_or(0)) * power } else { total + digit.unwrap_or(1) * power };
            (digit, unit) = (None, power);
        }
        end += 1;
    }
    // 三百二 is 320: a last digit counts tenths of the unit before it, unless 零 stands between.
    let last = digit.unwrap_or(0) * if unit >= 100 { unit / 10 } else { 1 };
    (end > at).then_some(((total + last) * 1_000, end))
}

#[cfg(test)]
mod tests {
    use super::Quantity::{Count, Mass, Money, Share};
    use super::*;

    fn read(text: &str) -> Vec<Quantity> {
        numbers(text).into_iter().map(|n| n.quantity).collect()
    }

    #[test]
    fn shares() {
        assert_eq!(
            read("少了55%，百分之五，12.5％"),
            [Share(5_500, ShareForm::Percent), Share(500, ShareForm::Percent), Share(1_250, ShareForm::Percent)]
        );
        assert_eq!(read("三成半"), [Share(3_500, ShareForm::Tenths)]);
        assert_eq!(
            read("占九成，四分之三，30/30，一半"),
            [
                Share(9_000, ShareForm::Tenths),
                Share(7_500, ShareForm::Fraction),
                Share(10_000, ShareForm::Fraction),
                Share(5_000, ShareForm::Half)
            ]
        );
    }

    #[test]
    fn masses() {
        assert_eq!(read("净重5斤只有4斤1两"), [Mass(2_500_000), Mass(2_050_000)]);
        assert_eq!(
            read("四斤半、2.25kg、300克、8两"),
            [Mass(2_250_000), Mass(2_250_000), Mass(300_000), Mass(400_000)]
        );
        assert_eq!(read("半斤，五斤半，一公斤"), [Mass(250_000), Mass(2_750_000), Mass(1_000_000)]);
        assert_eq!(
            read("4斤7两5，三斤六两八；9斤8两4。只有四斤八"),
            [Mass(2_375_000), Mass(1_840_000), Mass(4_920_000), Mass(2_400_000)]
        );
        assert_eq!(
            read("7两5！三两六个，5斤2盒"),
            [Mass(375_000), Mass(150_000), Count(6, Some('个')), Mass(2_500_000), Count(2, Some('盒'))]
        );
    }

    #[test]
    fn sums_of_money() {
        assert_eq!(read("定金246块5毛5"), [Money(24_655)]);
        assert_eq!(
            read("四千九百五十五块四毛九，六百二十六块五，¥3,680"),
            [Money(495_549), Money(62_650), Money(368_000)]
        );
        assert_eq!(read("票据127.38元，合计102.12"), [Money(12_738), Money(10_212)]);
        assert_eq!(read("三百二块，一百零二元"), [Money(32_000), Money(10_200)]);
        assert_eq!(
            read("469块5角7，70块4毛3，八块，二十五块零三分"),
            [Money(46_957), Money(7_043), Money(800), Money(2_503)]
        );
    }

    #[test]
    fn counts_but_not_dates_or_codes() {
        assert_eq!(
            read("50只里有2只，共30 坏27"),
            [Count(50, Some('只')), Count(2, Some('只')), Count(30, None), Count(27, None)]
        );
        assert_eq!(read("2026-05-13 17:40，5月6号，SF963387，KD-3309，48V20A，三个月，141.9欸"), []);
        assert_eq!(read("十二个石榴，二十三枚"), [Count(12, Some('个')), Count(23, Some('枚'))]);
        assert_eq!(
            read("二十五只坏俩，我们俩数的；三床被"),
            [Count(25, Some('只')), Count(2, Some('个')), Count(3, Some('床'))]
        );
    }
}
