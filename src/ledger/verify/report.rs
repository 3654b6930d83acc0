//! What a verification gives: what was checked, and what does not hold.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::super::hash::Hash;
use super::finding::{Explained, Finding};
use crate::lang::Lang;

/// Findings that are kept one by one; beyond them they are only counted.
const KEPT: usize = 1000;

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// True if everything holds.
    pub ok: bool,
    /// The log's name.
    pub origin: String,
    /// Its leaves.
    pub size: u64,
    /// The root over them.
    pub root: Option<Hash>,
    /// Leaves of each kind.
    pub leaves: BTreeMap<&'static str, u64>,
    /// Records whose content was erased by right.
    pub erased: u64,
    /// Records that were set aside after their time.
    pub expired: u64,
    /// Records that wait for their place in the log.
    pub pending: u64,
    /// Checkpoints, all of which are checked.
    pub checkpoints: u64,
    /// The largest checkpoint that a known witness cosigned.
    pub witnessed: Option<u64>,
    /// The public keys that signed, in their order.
    pub keys: Vec<String>,
    /// True if a key of the log was given by whoever verifies; otherwise the log vouches for itself.
    pub pinned: bool,
    /// What does not hold, at most 1,000.
    pub findings: Vec<Told>,
    /// Findings beyond those.
    pub more: u64,
}

/// A finding with its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// In Chinese.
    pub zh: Explained,
    /// In English.
    pub en: Explained,
}

impl Report {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        if self.findings.len() < KEPT {
            let (zh, en) = (finding.explain(Lang::Zh), finding.explain(Lang::En));
            self.findings.push(Told { finding, zh, en });
        } else {
            self.more += 1;
        }
    }

    /// The codes of the findings, in their order.
    pub fn codes(&self) -> Vec<&'static str> {
        self.findings.iter().map(|told| told.finding.code()).collect()
    }

    /// As people read it.
    pub fn render(&self, lang: Lang) -> String {
        let mut out = String::new();
        // Writing into a string cannot fail.
        let _ = self.write(lang, &mut out);
        out
    }

    fn write(&self, lang: Lang, out: &mut String) -> std::fmt::Result {
        let root = self.root.map(|root| root.to_string()).unwrap_or_default();
        writeln!(out, "{}  {}", lang.pick("日志    ", "log        "), self.origin)?;
        writeln!(out, "{}  {}", lang.pick("叶      ", "leaves     "), self.size)?;
        for (kind, count) in &self.leaves {
            writeln!(out, "    {kind:<16} {count}")?;
        }
        for (count, zh, en) in [
            (self.erased, "已删除个人信息，叶仍得到证明", "erased: the leaf is proven, the content is gone by right"),
            (self.expired, "已过保存期移出，叶仍得到证明", "set aside after their time: the leaf is proven"),
            (self.pending, "尚未排入日志", "not yet in their place"),
        ] {
            if count > 0 {
                writeln!(out, "    {count:>6} {}", lang.pick(zh, en))?;
            }
        }
        writeln!(out, "{}  {root}", lang.pick("根      ", "root       "))?;
        writeln!(out, "{}  {}", lang.pick("检查点  ", "checkpoints"), self.checkpoints)?;
        match self.witnessed {
            Some(size) => writeln!(out, "{}  {size}", lang.pick("见证至  ", "witnessed to"))?,
            None => writeln!(out, "{}", lang.pick("没有见证人的签名", "no cosignature of a witness"))?,
        }
        for key in &self.keys {
            writeln!(out, "{}  {key}", lang.pick("公钥    ", "key        "))?;
        }
        if !self.pinned {
            let zh = "注意：没有用 --key 给出日志公钥，公钥取自被核验的数据本身，不能证明它属于谁";
            let en = "note: no --key was given; the keys are those that the data brings along, and nothing proves whose they are";
            writeln!(out, "{}", lang.pick(zh, en))?;
        }
        for told in &self.findings {
            let Explained { place, consequence } = lang.pick(&told.zh, &told.en);
            writeln!(out, "✗ [{}] {place}{}{consequence}", told.finding.code(), lang.pick("：", ": "))?;
        }
        if self.more > 0 {
            writeln!(out, "{} {}", self.more, lang.pick("处问题未逐一列出", "more findings are not listed"))?;
        }
        let total = self.findings.len() as u64 + self.more;
        match (self.ok, lang) {
            (true, Lang::Zh) => writeln!(out, "全部成立"),
            (true, Lang::En) => writeln!(out, "everything holds"),
            (false, Lang::Zh) => writeln!(out, "不成立：{total} 处问题"),
            (false, Lang::En) => writeln!(out, "it does not hold: {total} findings"),
        }
    }
}
