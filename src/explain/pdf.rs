//! The document as a PDF. The Chinese font is one of the predefined CID fonts of PDF, which every reader brings or
//! replaces, so none is embedded; text goes in as UTF-16 and can be searched and copied.

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo};
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::{Block, Document};

/// A4, in points.
const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 56.0;
const BODY: f32 = 10.5;
/// From line to line, as a multiple of the size.
const LEADING: f32 = 1.6;
const FONT: &[u8] = b"STSong-Light";
/// Widths of U+0020 to U+007E in that font, in thousandths of the size. All else is one wide.
const WIDTHS: [u16; 95] = [
    207, 270, 342, 467, 462, 797, 710, 239, 374, 374, 423, 605, 238, 375, 238, 334, 462, 462, 462, 462, 462, 462, 462,
    462, 462, 462, 238, 238, 605, 605, 605, 344, 748, 684, 560, 695, 739, 563, 511, 729, 793, 318, 312, 666, 526, 896,
    758, 772, 544, 772, 628, 465, 607, 753, 711, 972, 647, 620, 607, 374, 333, 374, 606, 500, 239, 417, 503, 427, 529,
    415, 264, 444, 518, 241, 230, 495, 228, 793, 527, 524, 524, 504, 338, 336, 277, 517, 450, 652, 466, 452, 407, 370,
    258, 370, 605,
];
/// Signs that may not begin a line; they hang over its end instead.
const CLOSING: &str = "，。；：、！？）】》”’…,.;:!?)]}%";

/// One line on a page.
struct Line {
    text: String,
    size: f32,
    indent: f32,
    /// Room above.
    above: f32,
}

/// The PDF's bytes. The same document gives the same bytes.
pub fn pdf(document: &Document) -> Vec<u8> {
    let pages = paginate(lines(document));
    let mut pdf = Pdf::new();
    let mut next = 1;
    let mut id = || {
        next += 1;
        Ref::new(next)
    };
    let (catalog, tree, font, cid, descriptor, info) = (id(), id(), id(), id(), id(), id());
    let kids: Vec<(Ref, Ref)> = pages.iter().map(|_| (id(), id())).collect();

    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr(document.lang.pick("zh-CN", "en")));
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    let title = format!("{} {}", document.title, document.decision_id);
    pdf.document_info(info).title(TextStr(&title)).producer(TextStr("praetor"));
    pdf.pages(tree).kids(kids.iter().map(|(page, _)| *page)).count(i32::try_from(pages.len()).unwrap_or(i32::MAX));
    write_font(&mut pdf, font, cid, descriptor);
    for (number, (lines, (page, content))) in pages.iter().zip(&kids).enumerate() {
        let mut writer = pdf.page(*page);
        writer.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(tree).contents(*content);
        writer.resources().fonts().pair(Name(b"F1"), font);
        writer.finish();
        let foot = format!("{}    {} / {}", document.decision_id, number + 1, pages.len());
        pdf.stream(*content, &draw(lines, &foot));
    }
    pdf.finish()
}

fn write_font(pdf: &mut Pdf, font: Ref, cid: Ref, descriptor: Ref) {
    pdf.type0_font(font).base_font(Name(FONT)).encoding_predefined(Name(b"UniGB-UTF16-H")).descendant_font(cid);
    let mut writer = pdf.cid_font(cid);
    writer.subtype(CidFontType::Type0).base_font(Name(FONT)).default_width(1000.0).font_descriptor(descriptor);
    writer.system_info(SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"GB1"), supplement: 4 });
    // In this collection the characters 1 to 95 are the proportional forms of U+0020 to U+007E.
    writer.widths().consecutive(1, WIDTHS.iter().map(|w| f32::from(*w)));
    writer.finish();
    let mut writer = pdf.font_descriptor(descriptor);
    writer.name(Name(FONT)).flags(FontFlags::SERIF | FontFlags::SYMBOLIC).bbox(Rect::new(-25.0, -254.0, 1000.0, 880.0));
    writer.italic_angle(0.0).ascent(752.0).descent(-271.0).cap_height(737.0).stem_v(58.0);
}

/// The document as lines that fit the page's width.
fn lines(document: &Document) -> Vec<Line> {
    let mut out = Vec::new();
    let mut add = |text: &str, size: f32, indent: f32, above: f32| {
        // The font's curved quotes are as wide as a Chinese character.
        let text = &document.lang.pick(text.to_owned(), text.replace(['“', '”'], "\"").replace(['‘', '’'], "'"));
        let width = PAGE.0 - 2.0 * MARGIN - indent;
        for (n, text) in wrap(text, size, width).into_iter().enumerate() {
            out.push(Line { text, size, indent, above: if n == 0 { above } else { 0.0 } });
        }
    };
    let colon = document.lang.pick("：", ": ");
    add(&document.title, 17.0, 0.0, 0.0);
    for section in &document.sections {
        add(&section.heading, 13.0, 0.0, 12.0);
        for block in &section.blocks {
            match block {
                Block::Text(text) => add(text, BODY, 0.0, 3.0),
                Block::List(items) => items.iter().for_each(|item| add(&format!("· {item}"), BODY, 10.0, 1.0)),
                Block::Pairs(pairs) => {
                    pairs.iter().for_each(|(name, value)| add(&format!("{name}{colon}{value}"), BODY, 10.0, 1.0));
                }
                Block::Table { head, rows } => {
                    for row in rows {
                        for (n, (name, cell)) in head.iter().zip(row).enumerate() {
                            let (indent, above) = if n == 0 { (10.0, 4.0) } else { (22.0, 0.0) };
                            add(&format!("{name}{colon}{cell}"), BODY, indent, above);
                        }
                    }
                }
            }
        }
    }
    out
}

/// Thousandths of the size.
fn width(c: char) -> f32 {
    let ascii = u32::from(c).checked_sub(0x20).and_then(|i| WIDTHS.get(usize::try_from(i).ok()?));
    ascii.map_or(1000.0, |w| f32::from(*w))
}

/// Breaks a text into lines of at most this width. A word of Latin letters stays whole where it fits a line.
fn wrap(text: &str, size: f32, most: f32) -> Vec<String> {
    let measure = |text: &str| text.chars().map(width).sum::<f32>() * size / 1000.0;
    let mut out = vec![String::new()];
    let mut used = 0.0;
    for piece in pieces(text) {
        let wide = measure(piece);
        let hangs = piece.chars().all(|c| CLOSING.contains(c)) && used <= most;
        if used + wide > most && !hangs && used > 0.0 {
            out.push(String::new());
            used = 0.0;
            if piece == " " {
                continue;
            }
        }
        for c in piece.chars() {
            let own = width(c) * size / 1000.0;
            // A word longer than a line is broken anywhere.
            if used + own > most && !hangs && used > 0.0 {
                out.push(String::new());
                used = 0.0;
            }
            if let Some(line) = out.last_mut() {
                line.push(c);
            }
            used += own;
        }
    }
    out
}

/// Words of ASCII, and every other character by itself. Line breaks and tabs are spaces.
fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_graphic() && !CLOSING.contains(c);
        let end = if word(first) { rest.find(|c| !word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        out.push(if first.is_whitespace() || first.is_control() { " " } else { &rest[..end] });
        rest = &rest[end..];
    }
    out
}

/// Lines onto pages; a heading never ends one.
fn paginate(lines: Vec<Line>) -> Vec<Vec<Line>> {
    let room = PAGE.1 - 2.0 * MARGIN;
    let mut pages = vec![Vec::new()];
    let mut used = 0.0;
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        let own = line.above + line.size * LEADING;
        let with_next = match lines.peek() {
            Some(next) if line.size > BODY => own + next.above + next.size * LEADING,
            _ => own,
        };
        if used + with_next > room && used > 0.0 {
            pages.push(Vec::new());
            used = 0.0;
        }
        used += own;
        if let Some(page) = pages.last_mut() {
            page.push(line);
        }
    }
    pages
}

fn draw(lines: &[Line], foot: &str) -> Vec<u8> {
    let mut content = Content::new();
    let mut show = |text: &str, size: f32, x: f32, y: f32| {
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        content.begin_text().set_font(Name(b"F1"), size).set_text_matrix([1.0, 0.0, 0.0, 1.0, x, y]);
        content.show(Str(&utf16)).end_text();
    };
    let mut y = PAGE.1 - MARGIN;
    for line in lines {
        y -= line.above + line.size * LEADING;
        show(&line.text, line.size, MARGIN + line.indent, y);
    }
    show(foot, 8.0, MARGIN, MARGIN / 2.0);
    content.finish().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_lose_nothing() {
        let text =
            "退款 61.45 元，由商家承担运费。See dec_0123456789abcdef0123456789abcdef, and the clause c1。".repeat(4);
        let lines = wrap(&text, BODY, 200.0);
        assert!(lines.len() > 5);
        for line in &lines {
            let wide: f32 = line.chars().map(width).sum::<f32>() * BODY / 1000.0;
            assert!(wide <= 200.0 + 2.0 * BODY, "{line}");
            assert!(!line.starts_with(['，', '。']), "{line}");
        }
        let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
        assert_eq!(letters(&lines.concat()), letters(&text));
    }
}
