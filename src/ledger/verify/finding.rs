//! What a verification can find: each finding has a stable code, a place, and what follows from it, for people.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::super::entry::Kind;
use crate::lang::Lang;

/// A record as findings name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Whose.
    pub tenant: String,
    /// What kind.
    pub kind: Kind,
    /// Its id.
    pub id: String,
}

/// Something that does not hold. The code in JSON is the variant's name in kebab case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case", rename_all_fields = "snake_case")]
#[allow(missing_docs, reason = "`explain` says what each means")]
pub enum Finding {
    Unreadable { place: String, reason: String },
    PayloadEdited { leaf: Option<u64>, record: Named },
    ColumnEdited { leaf: Option<u64>, record: Named, column: String },
    CaseEdited { leaf: Option<u64>, record: Named },
    RecordMissing { leaf: Option<u64>, record: Named },
    RecordUnlogged { record: Named },
    ErasureUnproven { leaf: u64, record: Named, by: String },
    ExpiryUnproven { leaf: u64, record: Named },
    LeafMissing { leaf: u64 },
    LeafDoubled { leaf: u64, other: u64 },
    LeavesSwapped { leaf: u64, other: u64 },
    LeavesChanged { from: u64, to: u64 },
    Backdated { leaf: u64, record: Named, at: DateTime<Utc>, after: DateTime<Utc> },
    TailTruncated { leaves: u64, promised: u64 },
    TailUnsigned { leaves: u64, signed: u64 },
    TileRewritten { tile: String },
    TileMissing { tile: String },
    RootDiffers { good: u64, size: u64, later: u64 },
    CheckpointUnsigned { size: u64, key: String },
    CheckpointForeign { size: u64, origin: String },
    CheckpointsUnordered { size: u64 },
    KeyUnknown { key: String },
    RotationFalse { leaf: u64, record: Named },
    CosignatureFalse { size: u64, witness: String },
    NotWitnessed { witness: String },
    WitnessConflict { size: u64 },
    BehindWitness { leaves: u64, witnessed: u64 },
}

/// What is said of a finding in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Where it is.
    pub place: String,
    /// What is wrong and what follows.
    pub consequence: String,
}

impl Finding {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::PayloadEdited { .. } => "payload-edited",
            Self::ColumnEdited { .. } => "column-edited",
            Self::CaseEdited { .. } => "case-edited",
            Self::RecordMissing { .. } => "record-missing",
            Self::RecordUnlogged { .. } => "record-unlogged",
            Self::ErasureUnproven { .. } => "erasure-unproven",
            Self::ExpiryUnproven { .. } => "expiry-unproven",
            Self::LeafMissing { .. } => "leaf-missing",
            Self::LeafDoubled { .. } => "leaf-doubled",
            Self::LeavesSwapped { .. } => "leaves-swapped",
            Self::LeavesChanged { .. } => "leaves-changed",
            Self::Backdated { .. } => "backdated",
            Self::TailTruncated { .. } => "tail-truncated",
            Self::TailUnsigned { .. } => "tail-unsigned",
            Self::TileRewritten { .. } => "tile-rewritten",
            Self::TileMissing { .. } => "tile-missing",
            Self::RootDiffers { .. } => "root-differs",
            Self::CheckpointUnsigned { .. } => "checkpoint-unsigned",
            Self::CheckpointForeign { .. } => "checkpoint-foreign",
            Self::CheckpointsUnordered { .. } => "checkpoints-unordered",
            Self::KeyUnknown { .. } => "key-unknown",
            Self::RotationFalse { .. } => "rotation-false",
            Self::CosignatureFalse { .. } => "cosignature-false",
            Self::NotWitnessed { .. } => "not-witnessed",
            Self::WitnessConflict { .. } => "witness-conflict",
            Self::BehindWitness { .. } => "behind-witness",
        }
    }

    /// Place and consequence in words.
    pub fn explain(&self, lang: Lang) -> Explained {
        let (place_zh, place_en) = self.place();
        let (zh, en) = self.consequence();
        Explained { place: lang.pick(place_zh, place_en), consequence: lang.pick(zh, en) }
    }

    fn place(&self) -> (String, String) {
        match self {
            Self::Unreadable { place, .. } => (place.clone(), place.clone()),
            Self::PayloadEdited { leaf, record }
            | Self::ColumnEdited { leaf, record, .. }
            | Self::CaseEdited { leaf, record }
            | Self::RecordMissing { leaf, record } => at_record(*leaf, record),
            Self::RecordUnlogged { record } => at_record(None, record),
            Self::ErasureUnproven { leaf, record, .. }
            | Self::ExpiryUnproven { leaf, record }
            | Self::Backdated { leaf, record, .. }
            | Self::RotationFalse { leaf, record } => at_record(Some(*leaf), record),
            Self::LeafMissing { leaf } => (format!("第 {leaf} 片叶"), format!("leaf {leaf}")),
            Self::LeafDoubled { leaf, other } | Self::LeavesSwapped { leaf, other } => {
                (format!("第 {leaf} 和第 {other} 片叶"), format!("leaves {leaf} and {other}"))
            }
            Self::LeavesChanged { from, to } if to - from == 1 => (format!("第 {from} 片叶"), format!("leaf {from}")),
            Self::LeavesChanged { from, to } => span(*from, *to),
            Self::TailTruncated { leaves, promised } => span(*leaves, *promised),
            Self::TailUnsigned { leaves, signed } => span(*signed, *leaves),
            Self::RootDiffers { good, size, .. } => span(*good, *size),
            Self::TileRewritten { tile } | Self::TileMissing { tile } => (tile.clone(), tile.clone()),
            Self::CheckpointUnsigned { size, .. }
            | Self::CheckpointForeign { size, .. }
            | Self::CheckpointsUnordered { size }
            | Self::CosignatureFalse { size, .. }
            | Self::WitnessConflict { size } => {
                (format!("{size} 片叶的检查点"), format!("the checkpoint of {size} leaves"))
            }
            Self::KeyUnknown { .. } => ("日志公钥".into(), "the log's public key".into()),
            Self::NotWitnessed { .. } => ("所有检查点".into(), "all checkpoints".into()),
            Self::BehindWitness { leaves, witnessed } => span(*leaves, *witnessed),
        }
    }

    fn consequence(&self) -> (String, String) {
        match self {
            Self::Unreadable { reason, .. } => (
                format!("无法读取（{reason}），此处内容未经核验"),
                format!("cannot be read ({reason}); what stood there is not verified"),
            ),
            Self::PayloadEdited { .. } => text(
                "内容不是当初记录的内容：记录在写入后被改动，不能作为依据",
                "its content is not what was recorded: the record was changed afterwards and proves nothing",
            ),
            Self::ColumnEdited { column, .. } => (
                format!("数据库列与已证明的正文在 {column} 处不一致：查询结果会误导，正文为准"),
                format!(
                    "the database's column differs from the proven body at {column}: searches mislead, the body holds"
                ),
            ),
            Self::CaseEdited { .. } => text(
                "案卷不是决定所依据的案卷：重放无从谈起",
                "the case file is not the one decided upon: the decision cannot be replayed",
            ),
            Self::RecordMissing { .. } => text(
                "日志中有此叶而记录不在：记录被删除",
                "the log has the leaf, but the record is gone: it was deleted",
            ),
            Self::RecordUnlogged { .. } => text(
                "记录没有对应的叶：绕过程序写入，日志不为它作证",
                "the record has no leaf: it was written past the program, and the log does not vouch for it",
            ),
            Self::ErasureUnproven { by, .. } => (
                format!("称已依 {by} 删除个人信息，但日志中没有这一删除记录：内容去向不明"),
                format!(
                    "said to be erased by {by}, but the log has no such erasure: where the content went is unknown"
                ),
            ),
            Self::ExpiryUnproven { .. } => text(
                "称已过保存期而移出，但未满三年：记录被提前移除",
                "said to be past its time, but it is not three years old: the record was removed too early",
            ),
            Self::LeafMissing { .. } => {
                text("日志的这一位置是空的：叶被删除", "the log has nothing at this place: the leaf was deleted")
            }
            Self::LeafDoubled { .. } => text("同一条记录有两片叶", "one record has two leaves"),
            Self::LeavesSwapped { .. } => text(
                "两片叶被对调：先后顺序不是当初的顺序",
                "the two leaves were swapped: the order is not that of the recording",
            ),
            Self::LeavesChanged { .. } => text(
                "叶不是签名时的叶：记录与叶一起被改写",
                "what stands there is not what was signed: record and leaf were rewritten together",
            ),
            Self::Backdated { at, after, .. } => (
                format!("记录时间 {at} 早于它之前的 {after}：事后补写并倒签日期"),
                format!("it is dated {at} but stands after records of {after}: written later and backdated"),
            ),
            Self::TailTruncated { leaves, promised } => (
                format!("检查点承诺 {promised} 片叶，只有 {leaves} 片：末尾被截去"),
                format!("a signed checkpoint promises {promised} leaves, there are {leaves}: the end was cut off"),
            ),
            Self::TailUnsigned { .. } => text(
                "这些叶没有被任何检查点签名：尚无法证明",
                "no checkpoint signs these leaves: nothing about them is proven",
            ),
            Self::TileRewritten { .. } => text(
                "存储的瓦片与叶不符，而叶与签名相符：瓦片被改写，由它得出的证明是假的",
                "the stored tile differs from the leaves, which match the signed root: the tile was rewritten, and proofs made from it fail",
            ),
            Self::TileMissing { .. } => {
                text("瓦片不在：无法由它得出证明", "the tile is missing: no proof can be made from it")
            }
            Self::RootDiffers { later, .. } => (
                format!("由叶算出的根与签名的根不同（其后另有 {later} 个检查点亦然）：其中至少一片叶被增、删或改"),
                format!(
                    "the leaves do not give the signed root (nor those of {later} later checkpoints): at least one was added, removed or changed"
                ),
            ),
            Self::CheckpointUnsigned { key, .. } => (
                format!("没有日志公钥 {key} 的有效签名：检查点是伪造的或被改动"),
                format!("it bears no valid signature of the log's key {key}: it was forged or changed"),
            ),
            Self::CheckpointForeign { origin, .. } => {
                (format!("属于另一个日志 {origin}"), format!("it is of another log, {origin}"))
            }
            Self::CheckpointsUnordered { .. } => text(
                "不比前一个检查点大：被插入或重复",
                "it is not larger than the one before: it was inserted or repeated",
            ),
            Self::KeyUnknown { key } => (
                format!("日志用 {key} 签名，与给出的公钥无关：整个日志可能被重建"),
                format!(
                    "the log signs with {key}, which none of the given keys leads to: the whole log may have been rebuilt"
                ),
            ),
            Self::RotationFalse { .. } => text(
                "换钥记录与此前的签名公钥不符，或旧公钥没有为它签名：换钥无效",
                "the rotation does not start from the key that signed before, or that key did not sign it: it is void",
            ),
            Self::CosignatureFalse { witness, .. } => (
                format!("以见证人 {witness} 之名的签名无效：被伪造"),
                format!("the signature in the name of the witness {witness} is not its: it was forged"),
            ),
            Self::NotWitnessed { witness } => (
                format!("见证人 {witness} 没有为任何检查点签名：无法排除日志被整体重建"),
                format!(
                    "the witness {witness} signed none of them: that the whole log was rebuilt cannot be ruled out"
                ),
            ),
            Self::WitnessConflict { .. } => text(
                "见证人见过的根与此日志不同：签名钥匙的持有者重写了历史",
                "the witness saw another root: whoever has the signing key rewrote history",
            ),
            Self::BehindWitness { leaves, witnessed } => (
                format!("见证人已见过 {witnessed} 片叶，这里只有 {leaves} 片：这是旧备份，或末尾被截去"),
                format!(
                    "the witness has seen {witnessed} leaves, here are {leaves}: this is an old backup, or the end was cut off"
                ),
            ),
        }
    }
}

fn text(zh: &str, en: &str) -> (String, String) {
    (zh.to_owned(), en.to_owned())
}

/// Leaves [from, to).
fn span(from: u64, to: u64) -> (String, String) {
    let last = to.saturating_sub(1);
    (format!("第 {from} 至 {last} 片叶"), format!("leaves {from} to {last}"))
}

fn at_record(leaf: Option<u64>, record: &Named) -> (String, String) {
    let Named { tenant, kind, id } = record;
    match leaf {
        Some(leaf) => {
            (format!("第 {leaf} 片叶，{tenant} 的 {kind} {id}"), format!("leaf {leaf}, {kind} {id} of {tenant}"))
        }
        None => (format!("{tenant} 的 {kind} {id}"), format!("{kind} {id} of {tenant}")),
    }
}
