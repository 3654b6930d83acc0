//! Whether a text shows the goods of this order or others: names, colours, sizes, codes and days of payment, compared
//! exactly with the order. Adds facts; what they amount to is left to the models.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use regex::Regex;

use super::facts::pattern;
use super::grams::plain;
use super::{Layout, bucket};
use crate::case::{Case, Order};

/// What follows a word that names goods.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "(?:品名|标题|商品名称?|样品名称?|产品名称?|名称|样品|商品卡片?|订单卡片?|卡片|型号|机型|车型|货品|货号|款号|品牌|商品|",
        "产品|送检样品|送检产品|送检|订单|实物|内装|内件|托寄物|宝贝|物品|标签|吊牌)",
        "[^，。；,;“”\"「‘]{0,6}?[“\"「‘:为是]+[“\"「‘]?([^“”\"「」‘’，。；,;、]{2,30})"
    ))
});
/// Characters of documents, counts and services rather than of goods: a name made of these names nothing.
const OF_DOCUMENTS: &str = concat!(
    "一二三四五六七八九十两个张份的了和与及或在为是有无不本该此同以上下左右前后中内外正反面侧旁另各均已未可见",
    "检测单照片售后服务中心门店上门截图屏文字元块实付金额价格到手运单面编号码尾末位日期时间年月订单号购买家客商品产卡页栏框红蓝黑白底字款式规型",
    "名称批次标签贴注写印显示出具一致相同类合格证书报告鉴定授权经销书官方品牌质量验查询记录附随联系手写打码状态数总共件条套只箱盒瓶袋包装对应所示",
    "图像清晰完整全部拍摄视频秒分钟字样信息参数说明提供由系统平台快递物流寄收发货人员工程师签名盖章公司厂家部科室生产保修质期使用用户实物样板留存",
    "送样机身铭牌序列新旧版标准特惠优原定结论结果项目类型材备登入出库称重复核秤读数净毛重量克公斤尺寸长宽高"
);
/// A colour named as one: 银色, 曜石黑, 雾霾蓝.
static COLOUR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "([黑白红蓝绿黄紫灰粉棕橙银金咖米驼杏青])色|(?:纯|深|浅|雾霾|曜石|奶|玄|哑|亮|米|墨|藏|天|湖|玫|香|象牙|珍珠|",
        "樱花|酒|石墨|岩|雪山|云朵|军|雾)([黑白红蓝绿黄紫灰粉棕橙银金咖米驼杏青])"
    ))
});
/// A number with anything that goods are counted or measured in.
static AMOUNT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "([0-9]+(?:\\.[0-9]+)?) ?(ml|毫升|kg|公斤|gb|tb|mm|毫米|cm|厘米|英寸|寸|升|克|匹|l|g|w|v|ah|a|粒|片|贴|支|包|盒|",
        "瓶|袋|只|条|件|枚|颗|抽|张|套|双|码|号|米|m|斤|色|色装|头|人|层|孔|键|尺|元)"
    ))
});
/// A model code right behind a word that announces one.
static MODEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "(?:型号|货号|款号|机型|车型|款式|产品|样品|铭牌|吊牌|标签|机身)[^，。；,;]{0,14}?([a-z]{1,6}-?[0-9]{1,6}[a-z]{0,3})",
    )
});
/// What looks like a model code, for short.
static CODE: LazyLock<Regex> = LazyLock::new(|| pattern("[a-z]{1,5}-?[0-9]{2,5}[a-z]{0,2}|[a-z][0-9][a-z]?"));
/// The day something was bought.
static BOUGHT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        "(?:付款|下单|购买|购机|购车|支付|成交|订单)(?:时间|日期|日|于)?[^0-9，。；]{0,4}",
        "(20[0-9]{2})[-年/.]([0-9]{1,2})[-月/.]([0-9]{1,2})"
    ))
});

/// Adds how the goods in the content stand to those ordered. `ordered` are the order's words, `said` all words of the case.
pub(super) fn add(text: &mut Layout, case: &Case, content: &str, ordered: &str, said: &str, zone: Tz) {
    let (content, ordered, said) = (plain(content), plain(ordered), plain(said));
    match foreign(&content, &said) {
        None => text.fact("foreign", "none"),
        Some((most, least)) => {
            text.fact("foreign", &bucket(most, &[0, 1, 2, 3, 5]));
            text.fact("foreignleast", &bucket(least, &[0, 1, 2, 3, 5]));
        }
    }
    text.fact("colour", agreement(&colours(&content), &colours(&ordered)));
    text.fact("amounts", amounts(&content, &ordered));
    text.fact("model", model(&content, &ordered, &said));
    text.fact("bought", bought(&content, &case.order, zone));
}

/// Of the names in a text, the most and the fewest characters that neither the case nor any document has.
fn foreign(content: &str, said: &str) -> Option<(i64, i64)> {
    let said: BTreeSet<char> = said.chars().collect();
    let foreign = |c: &char| ('一'..='龥').contains(c) && !said.contains(c) && !OF_DOCUMENTS.contains(*c);
    let names = NAMED.captures_iter(content).filter_map(|name| name.get(1));
    let counts: Vec<i64> = names.map(|name| name.as_str().chars().filter(foreign).count() as i64).collect();
    Some((counts.iter().copied().max()?, counts.iter().copied().min()?))
}

fn colours(text: &str) -> BTreeSet<&str> {
    COLOUR.captures_iter(text).filter_map(|c| c.get(1).or(c.get(2))).map(|c| c.as_str()).collect()
}

fn agreement(found: &BTreeSet<&str>, wanted: &BTreeSet<&str>) -> &'static str {
    if found.is_empty() || wanted.is_empty() {
        "none"
    } else if found.is_subset(wanted) {
        "same"
    } else if found.is_disjoint(wanted) {
        "different"
    } else {
        "both"
    }
}

/// Whether what the order counts or measures has the same number in the text, wherever the text has the unit.
fn amounts(content: &str, ordered: &str) -> &'static str {
    let (found, wanted) = (numbers(content), numbers(ordered));
    let comparable = wanted.iter().filter(|(_, unit)| found.iter().any(|(_, other)| other == unit));
    let (same, different): (Vec<_>, Vec<_>) = comparable.partition(|amount| found.contains(amount));
    match (same.is_empty(), different.is_empty()) {
        (true, true) => "none",
        (false, true) => "same",
        (true, false) => "different",
        (false, false) => "both",
    }
}

fn numbers(text: &str) -> BTreeSet<(String, &str)> {
    let found = AMOUNT.captures_iter(text).filter_map(|amount| {
        let unit = match amount.get(2)?.as_str() {
            "毫升" => "ml",
            "升" => "l",
            "克" => "g",
            "公斤" => "kg",
            "毫米" => "mm",
            "厘米" => "cm",
            "英寸" => "寸",
            "米" => "m",
            unit => unit,
        };
        let number = amount.get(1)?.as_str();
        let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
        Some((number.to_owned(), unit))
    });
    found.collect()
}

/// How model codes that are announced as such stand to the case: `unknown` where the order has none.
fn model(content: &str, ordered: &str, said: &str) -> &'static str {
    let found: Vec<String> = MODEL
        .captures_iter(content)
        .filter_map(|code| code.get(1))
        .map(|code| code.as_str().replace('-', ""))
        .collect();
    let said = said.replace('-', "");
    if found.is_empty() {
        "none"
    } else if found.iter().any(|code| said.contains(code)) {
        "same"
    } else if CODE.is_match(ordered) {
        "different"
    } else {
        "unknown"
    }
}

/// How days of buying in a text stand to payment and delivery, a day either way.
fn bought(content: &str, order: &Order, zone: Tz) -> &'static str {
    let paid = order.paid_at.day_in(&zone);
    let last = order.signed_at.map_or(paid, |signed| signed.day_in(&zone));
    let mut answer = "none";
    for day in BOUGHT.captures_iter(content) {
        let part = |i: usize| day.get(i).and_then(|n| n.as_str().parse::<u32>().ok());
        let (Some(year), Some(month), Some(of_month)) = (part(1), part(2), part(3)) else { continue };
        let Some(date) = NaiveDate::from_ymd_opt(year as i32, month, of_month) else { continue };
        let found = if date < paid - TimeDelta::days(1) {
            "before"
        } else if date > last + TimeDelta::days(1) {
            "after"
        } else {
            "same"
        };
        answer = if answer == "none" || answer == found { found } else { "mixed" };
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_goods_have_foreign_characters() {
        let said = "宝拼乐磁吸积木轨道车 儿童益智拼装玩具";
        // Of 音乐拍拍鼓 two count: the order has 乐 too, and 拍 is of documents.
        assert_eq!(foreign("产品名称“音乐拍拍鼓”，检验项目合格", said), Some((2, 2)));
        assert_eq!(foreign("产品名称“磁吸积木轨道车”，型号：检测单", said), Some((0, 0)));
        assert_eq!(foreign("没有写", said), None);
    }

    #[test]
    fn colours_amounts_and_models_are_compared() {
        assert_eq!(agreement(&colours("一块银色手表"), &colours("46mm 曜石黑")), "different");
        assert_eq!(agreement(&colours("曜石黑机身"), &colours("曜石黑")), "same");
        assert_eq!(amounts("60粒装", "200粒/瓶"), "different");
        assert_eq!(amounts("净含量5kg", "5公斤"), "same");
        assert_eq!(model("型号sw-42s", "46mm y308", ""), "different");
        assert_eq!(model("型号bcd508wkp", "冰箱", ""), "unknown");
        assert_eq!(model("款号mt-6612", "mt6612", "mt6612"), "same");
    }
}
