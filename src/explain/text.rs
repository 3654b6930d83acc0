//! The document as plain text.

use std::fmt::Write;

use super::{Block, Document};
use crate::lang::Lang;

/// Plain text, for a terminal or a mail.
pub fn text(document: &Document) -> String {
    let colon = document.lang.pick("：", ": ");
    let mut out = String::new();
    let _ = writeln!(out, "{}\n", document.title);
    for section in &document.sections {
        let _ = writeln!(out, "■ {}", section.heading);
        for block in &section.blocks {
            write_block(&mut out, block, colon, document.lang);
        }
        out.push('\n');
    }
    out
}

fn write_block(out: &mut String, block: &Block, colon: &str, lang: Lang) {
    match block {
        Block::Text(text) => {
            let _ = writeln!(out, "  {text}");
        }
        Block::List(items) => items.iter().for_each(|item| {
            let _ = writeln!(out, "  · {item}");
        }),
        Block::Pairs(pairs) => pairs.iter().for_each(|(name, value)| {
            let _ = writeln!(out, "  {name}{colon}{value}");
        }),
        Block::Table { head, rows } => rows.iter().for_each(|row| {
            let cells: Vec<String> = head.iter().zip(row).map(|(name, cell)| format!("{name}{colon}{cell}")).collect();
            let _ = writeln!(out, "  · {}", cells.join(lang.pick("；", "; ")));
        }),
    }
}
