//! `audit verify-receipt FILE`: proves a receipt by public keys alone.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::SecondsFormat;

use super::trust::TrustArgs;
use crate::lang::Lang;
use crate::ledger::Receipt;

/// Arguments of `audit verify-receipt`.
#[derive(Debug, clap::Args)]
pub struct ReceiptArgs {
    /// The receipt
    file: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

impl ReceiptArgs {
    /// Verifies the receipt and says what it proves. The exit code is 0 only if it proves it.
    pub fn run(&self, lang: Lang, out: &mut impl Write) -> anyhow::Result<ExitCode> {
        let keys = self.trust.keys()?;
        if keys.is_empty() {
            bail!(
                "{}",
                lang.pick(
                    "收据须以公钥核验：请用 --key 给出",
                    "a receipt is proven by public keys: give them with --key"
                )
            );
        }
        let bytes = fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let receipt = Receipt::parse(&bytes);
        let proven = receipt.as_ref().map_err(ToString::to_string).and_then(|receipt| {
            receipt.verify(&keys).map(|checkpoint| (receipt, checkpoint)).map_err(|error| error.to_string())
        });
        let (receipt, checkpoint) = match proven {
            Ok(proven) => proven,
            Err(reason) => {
                writeln!(out, "✗ {}: {reason}", lang.pick("收据不成立", "the receipt proves nothing"))?;
                return Ok(ExitCode::FAILURE);
            }
        };
        let entry = &receipt.entry;
        let at = entry.recorded_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let (tenant, kind, id, leaf) = (&entry.tenant, entry.kind, &entry.id, receipt.leaf);
        let (origin, size) = (&checkpoint.origin, checkpoint.size);
        match lang {
            Lang::Zh => writeln!(
                out,
                "收据成立：{tenant} 的 {kind} {id} 于 {at} 记录，是日志 {origin} 的第 {leaf} 片叶（检查点 {size} 片叶）"
            )?,
            Lang::En => writeln!(
                out,
                "the receipt holds: {kind} {id} of {tenant}, recorded {at}, is leaf {leaf} of {origin} (checkpoint of {size} leaves)"
            )?,
        }
        let parts: Vec<&str> = receipt.content.keys().map(String::as_str).collect();
        if !parts.is_empty() {
            writeln!(out, "{} {}", lang.pick("所附内容与记录一致：", "as recorded:"), parts.join(", "))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
