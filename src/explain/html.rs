//! The document as one self-contained web page: no script, nothing fetched, every text escaped.

use std::fmt::Write;

use super::{Block, Document};
use crate::lang::Lang;

const STYLE: &str = "\
body{font:16px/1.6 system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;color:#1a1a1a;background:#fff;max-width:52rem;margin:0 auto;padding:1.5rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #bbb}\
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.25rem 1rem}dt{color:#555}dd{margin:0;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}th,td{border:1px solid #bbb;padding:.35rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f2f2f2}\
.wide{overflow-x:auto}@media (prefers-color-scheme:dark){body{color:#eee;background:#161616}dt{color:#bbb}th{background:#2a2a2a}}\
@media print{body{max-width:none;padding:0}}";

/// A page that stands by itself.
pub fn html(document: &Document) -> String {
    let mut out = String::new();
    let lang = document.lang.pick("zh-CN", "en");
    let title = escape(&document.title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title} {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        escape(&document.decision_id)
    );
    for section in &document.sections {
        let (id, heading) = (section.id, escape(&section.heading));
        let _ = writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{heading}</h2>");
        for block in &section.blocks {
            write_block(&mut out, block, id, document.lang);
        }
        out.push_str("</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn write_block(out: &mut String, block: &Block, section: &str, lang: Lang) {
    let join = |items: &[String], tag: &str| -> String {
        items.iter().map(|item| format!("<{tag}>{}</{tag}>", escape(item))).collect()
    };
    let _ = match block {
        Block::Text(text) => writeln!(out, "<p>{}</p>", escape(text)),
        Block::List(items) => writeln!(out, "<ul>{}</ul>", join(items, "li")),
        Block::Pairs(pairs) => {
            let pairs = pairs.iter().map(|(n, v)| format!("<dt>{}</dt><dd>{}</dd>", escape(n), escape(v)));
            writeln!(out, "<dl>{}</dl>", pairs.collect::<String>())
        }
        Block::Table { head, rows } => {
            let heads: String = head.iter().map(|h| format!("<th scope=\"col\">{}</th>", escape(h))).collect();
            let rows: String = rows.iter().map(|row| format!("<tr>{}</tr>", join(row, "td"))).collect();
            let label = lang.pick("可左右滚动的表格", "table that can be scrolled sideways");
            writeln!(
                out,
                "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">\
                 <table aria-labelledby=\"{section}\"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
            )
        }
    };
}

/// Text that can stand in an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control signs are no characters of HTML; line breaks and tabs are.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_text_stays_text() {
        assert_eq!(escape("<b onclick='x'>\"&\u{7}"), "&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;\u{FFFD}");
    }
}
