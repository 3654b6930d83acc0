//! Finds the quantities written in a text: shares, masses, sums of money and counts, in digits or Chinese numerals.
//! It reads what is written (三成半, 4斤1两, 246块5毛5, 百分之五) and never guesses which of them matters.

use super::numerals::{chinese_digit, digits, number};

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

/// Full-width digits, letters and signs as their ASCII twins; one character stays one character. A comma parts what is
/// written, and never the thousands of a number: 收据，2026-04-17，100元.
fn half_width(c: char) -> char {
    match c {
        '，' => c,
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
    if starts(chars, at, "百分之百") {
        return share(10_000, ShareForm::Percent, at + 4);
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

/// Whether a number that began before goes on here, or another one of something else ends: 50块10块, 138块一箱, 5块3个.
fn goes_on(chars: &[char], at: usize) -> bool {
    const UNITS: &str = "元圆块塊毛角斤两克千公百十拾佰仟万折天号日月年点时分秒岁楼码级米寸升度厘毫%";
    let fraction = chars.get(at) == Some(&'.') && chars.get(at + 1).is_some_and(char::is_ascii_digit);
    fraction || chars.get(at).is_some_and(|&c| c.is_ascii_alphanumeric() || UNITS.contains(c) || COUNTERS.contains(c))
}

/// A digit or 半 that continues a unit (三成半, 四斤半, 八块五): its value in thousandths of the unit's tenth times ten.
fn tail(chars: &[char], at: usize) -> (i64, usize) {
    if chars.get(at) == Some(&'半') {
        return (5_000, at + 1);
    }
    digit(chars, at).map_or((0, at), |(digit, end)| (digit * 1_000, end))
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
    let (fen, after) = match chars.get(end)? {
        // What follows 元 belongs to it only where it is named: 303元7角, 九元零五分.
        '元' | '圆' => jiao_and_fen(chars, end + 1).unwrap_or((0, end + 1)),
        '块' | '塊' => jiao_and_fen(chars, end + 1).unwrap_or_else(|| after_kuai(chars, end + 1)),
        '毛' | '角' if milli < 10_000 => return Some((Quantity::Money(milli / 100), end + 1)),
        _ => return None,
    };
    Some((Quantity::Money(milli / 10 + fen), after))
}

/// One digit, and where it ends.
fn digit(chars: &[char], at: usize) -> Option<(i64, usize)> {
    let &c = chars.get(at)?;
    let digit = chinese_digit(c).or_else(|| c.to_digit(10).map(i64::from))?;
    Some((digit, at + 1))
}

/// Tenths and hundredths that are named, in fen: 5毛, 7角3, 四角九分, 零三分.
fn jiao_and_fen(chars: &[char], at: usize) -> Option<(i64, usize)> {
    let fen = |at: usize| digit(chars, at).filter(|&(_, end)| chars.get(end) == Some(&'分'));
    let zero = matches!(chars.get(at), Some('零' | '〇' | '0'));
    if let Some((hundredths, end)) = fen(at + usize::from(zero)) {
        return Some((hundredths, end + 1));
    }
    let (tenths, end) = digit(chars, at).filter(|&(_, end)| matches!(chars.get(end), Some('毛' | '角')))?;
    match digit(chars, end + 1) {
        Some((hundredths, last)) if chars.get(last) == Some(&'分') => Some((tenths * 10 + hundredths, last + 1)),
        Some((hundredths, last)) if !goes_on(chars, last) => Some((tenths * 10 + hundredths, last)),
        _ => Some((tenths * 10, end + 1)),
    }
}

/// Digits right after 块 that no unit follows, in fen: 八块五, 12块18. 一 is the beginning of many words (一箱, 一共).
fn after_kuai(chars: &[char], at: usize) -> (i64, usize) {
    let arabic = |i: usize| chars.get(i).and_then(|c| c.to_digit(10)).map(i64::from);
    if let (Some(tenths), Some(hundredths)) = (arabic(at), arabic(at + 1)) {
        return if goes_on(chars, at + 2) { (0, at) } else { (tenths * 10 + hundredths, at + 2) };
    }
    if chars.get(at) == Some(&'半') {
        return if goes_on(chars, at + 1) { (0, at) } else { (50, at + 1) };
    }
    let first_of_a_word =
        |end: usize| chars.get(end - 1) == Some(&'一') && chars.get(end).is_some_and(|c| c.is_alphanumeric());
    match digit(chars, at) {
        Some((tenths, end)) if tenths > 0 && !goes_on(chars, end) && !first_of_a_word(end) => (tenths * 10, end),
        _ => (0, at),
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
        // Of what there are two or three, the words before say.
        return Some((Quantity::Count(milli / 1_000, None), end));
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
        assert_eq!(read("百分之百是坏的"), [Share(10_000, ShareForm::Percent)]);
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
        assert_eq!(read("少了十两；十二两，2千克"), [Mass(500_000), Mass(600_000), Mass(2_000_000)]);
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
        assert_eq!(
            read("差12块18，加一块262块；八块五吧，六块半"),
            [Money(1_218), Money(100), Money(26_200), Money(850), Money(650)]
        );
        assert_eq!(
            read("138块一箱，62块一共，50块10块碎了"),
            [Money(13_800), Count(1, Some('箱')), Money(6_200), Money(5_000), Money(1_000)]
        );
        assert_eq!(
            read("303元7角，一千一百八十五元一角四分，九元零五分；100元5个"),
            [Money(30_370), Money(118_514), Money(905), Money(10_000), Count(5, Some('个'))]
        );
        assert_eq!(read("收据，2026-04-17，100.00元；×3，380.70元"), [Money(10_000), Count(3, None), Money(38_070)]);
        assert_eq!(
            read("5千元，2百块，1千2百元，十万元，壹佰贰拾捌元整"),
            [Money(500_000), Money(20_000), Money(120_000), Money(10_000_000), Money(12_800)]
        );
    }

    #[test]
    fn a_number_too_large_is_none() {
        assert_eq!(read("一万一万一万一万元"), [Money(1_000_000)]);
        assert_eq!(read("9千9千9千万万元；99999999999999999999万元"), []);
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
            [Count(25, Some('只')), Count(2, None), Count(3, Some('床'))]
        );
    }
}
