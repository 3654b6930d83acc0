//! What a text says is not in it: "未附", "空白", "跳切". An item that lacks an element tends to say so in passing.
//! Counts and compares words; what a lack means is left to the models.

use std::sync::LazyLock;

use regex::Regex;

use super::facts::pattern;
use super::grams::{Grams, plain};
use super::{Layout, bucket};

/// Words of a lack in what the file shows, seldom said of goods.
static LACK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "未附|未见|未出现|未拍|未显示|未列|未载|未含|未体现|未注明|未写|未标|未展示|未入画|未在画面|未提|未包含|未露|未录|未盖|",
        "未填|没有拍|看不到|空白|跳切|跳帧|截断|裁|断开|中断|不见|剪接|剪辑痕|切换|只到|仅到|结束于|截止|遮住|一半|局部|缺"
    ))
});
/// A denying word and what it denies, as far as the clause goes.
static DENIAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "(?:未附|未见|未出现|未拍|未显示|未列|未载|未含|未体现|未注明|未写|未标|未展示|未入|未在|未提|未包含|未能|未留|未露|未录|",
        "未盖|未签|未填|未对|未靠|没有拍|没有|看不到|无法|并无|无任何|不含|不见|缺|仅|只有|只拍|只显|只到|均无|全无|无)([^。；;]{0,30})"
    ))
});
/// No seal or signature where there should be one.
static BLANK: LazyLock<Regex> = LazyLock::new(|| {
    pattern("空白|未盖|无印章|无签|未签|无盖章|未见任何签|没有公章|无公章|未见公章|未加盖|未见盖章|无章")
});
/// A film that is not one piece.
static CUT: LazyLock<Regex> = LazyLock::new(|| {
    pattern("跳切|跳帧|剪接|剪辑痕|切断|中断|断开后|画面直接|直接跳|不连续|换了角度|镜头切|突然切|切到")
});
/// A film that says it is one piece.
static WHOLE: LazyLock<Regex> = LazyLock::new(|| pattern("未切|无跳切|没有跳切|未见跳切|无剪辑|未剪|不切|没切"));
/// Letter pairs that every requirement may hold.
const COMMON: &str = "照片，视频，记录，截图，凭证";

/// Adds what the content of an item lacks, and whether that is what the requirement asks for.
pub(super) fn add(text: &mut Layout, content: &str, requirement: &str) {
    let content = plain(content);
    let last = content.split(['。', '；', ';']).rfind(|sentence| !sentence.trim().is_empty()).unwrap_or_default();
    text.count("lacks", LACK.find_iter(&content).count(), 3);
    text.flag("lackslast", LACK.is_match(last));
    let asked = Grams::of(requirement).without(&Grams::of(COMMON));
    let denied = DENIAL.captures_iter(&content).filter_map(|denial| denial.get(1));
    let most = denied.map(|words| asked.shared(&Grams::of(words.as_str()))).max().unwrap_or_default();
    text.count("lacksasked", most, 3);
    text.flag("blank", BLANK.is_match(&content));
    text.flag("cut", CUT.is_match(&content) && !WHOLE.is_match(&content));
}

/// How many letter pairs of the order's words (and whether a code of it) a text says are not there.
pub(super) fn add_denied(text: &mut Layout, content: &str, ordered: &Grams) {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            "(?:未见|未出现|没有|未拍到|未显示|未写|未提|未列|未含|未包含|未载明|未记载|无法看到|不含|不是|并非|无|未)",
            "([^，。；,;、]{2,24})"
        ))
    });
    let content = plain(content);
    let denied = NAMED.captures_iter(&content).filter_map(|denial| denial.get(1));
    let most = denied.map(|words| ordered.shared(&Grams::of(words.as_str()))).max().unwrap_or_default();
    text.fact("denied", &bucket(most as i64, &[0, 1, 2, 4]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(content: &str, requirement: &str) -> String {
        let mut text = Layout::new();
        add(&mut text, content, requirement);
        text.finish()
    }

    #[test]
    fn a_lack_is_seen_where_it_is_said() {
        assert_eq!(
            facts("照片四张，叶片发黄。画面中没有快递面单。", "枯萎状态照片与面单"),
            "[FACTS][F:lacks=0][F:lackslast=no][F:lacksasked=1][F:blank=no][F:cut=no]"
        );
        assert_eq!(
            facts("第14秒画面跳切；印章处空白", "拆包视频"),
            "[FACTS][F:lacks=2][F:lackslast=yes][F:lacksasked=0][F:blank=yes][F:cut=yes]"
        );
        assert!(facts("全程无跳切", "").contains("[F:cut=no]"));
    }

    #[test]
    fn the_ordered_goods_may_be_what_is_denied() {
        let mut text = Layout::new();
        add_denied(&mut text, "全文未出现轨道车或160件的字样", &Grams::of("磁吸积木轨道车"));
        assert_eq!(text.finish(), "[FACTS][F:denied=2]");
    }
}
