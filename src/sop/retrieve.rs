//! Finding SOPs by a case's words: BM25 over the pairs of neighbouring characters of titles, clauses and requirements.
//!
//! Pairs need no dictionary, and they find what people write more often than words do: a complaint and a clause cut the
//! same Chinese differently (`tests/pipeline/retrieval.rs` holds the figures).
//!
//! The index is built in memory from a rule book and never written; its hash is a function of the rule book
//! and of everything here that can change a score.

use std::collections::{BTreeSet, HashSet};

use sha2::{Digest, Sha256};
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery};
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, WhitespaceTokenizer};
use tantivy::{DocId, IndexReader, Score, SegmentReader, TantivyDocument, Term};
use unicode_normalization::UnicodeNormalization;

use super::rulebook::RuleBook;

/// Changes whenever a score could: part of the index's hash.
const FORMAT: &str = "praetor.index/3 tantivy-0.27 nfkc lower pairs title^1.5 clauses^2 requirements^1 256";
/// Field boosts, in the order title, clauses, requirements.
const BOOSTS: [f32; 3] = [1.5, 2.0, 1.0]; // float: weights of a search score
/// Distinct pairs of a query that are looked up; the rest of a long case adds nothing but time.
const MAX_TERMS: usize = 256;

/// An SOP found, with its BM25 score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Index into [`RuleBook::sops`].
    pub sop: usize,
    /// The score; higher is nearer. Only comparable within one search.
    pub score: f32, // float: a search score
}

/// The index could not be built or searched.
#[derive(Debug, thiserror::Error)]
#[error("the SOP index failed: {0}")]
pub struct IndexError(#[from] tantivy::TantivyError);

/// A searchable form of a rule book.
pub struct Index {
    reader: IndexReader,
    fields: [Field; 3],
    /// The pairs in each field. Most of what a case says is in none, and to look it up costs more than to score what is.
    known: [HashSet<String>; 3],
    hash: String,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Index {
    /// Indexes every SOP of the book.
    pub fn build(book: &RuleBook) -> Result<Self, IndexError> {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer("pairs")
            .set_index_option(IndexRecordOption::WithFreqs)
            .set_fieldnorms(true);
        let text = TextOptions::default().set_indexing_options(indexing);
        let mut schema = Schema::builder();
        let fields = ["title", "clauses", "requirements"].map(|name| schema.add_text_field(name, text.clone()));
        let number = schema.add_u64_field("sop", FAST);
        let index = tantivy::Index::create_in_ram(schema.build());
        index.tokenizers().register("pairs", TextAnalyzer::builder(WhitespaceTokenizer::default()).build());
        // One thread and one commit: one segment, so scores do not depend on how work was split.
        let mut writer = index.writer_with_num_threads::<TantivyDocument>(1, 32 << 20)?;
        let mut known: [HashSet<String>; 3] = Default::default();
        for (i, sop) in (0u64..).zip(&book.sops) {
            let mut doc = TantivyDocument::new();
            let scene = book.term(&sop.scene);
            let mut add = |n: usize, text: &str| {
                doc.add_text(fields[n], parted(text));
                known[n].extend(pairs(text));
            };
            add(0, &format!("{} {}", sop.title.zh, scene.zh));
            for clause in &sop.clauses {
                add(1, &clause.text.zh);
            }
            for requirement in sop.buyer.iter().chain(&sop.seller) {
                add(2, &requirement.text.zh);
            }
            doc.add_u64(number, i);
            writer.add_document(doc)?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        let mut hash = Sha256::new();
        hash.update(FORMAT);
        hash.update(book.hash().0);
        Ok(Self { reader: index.reader()?, fields, known, hash: hex::encode(hash.finalize()) })
    }

    /// Hash of the indexed rules and of the way they are scored.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The `k` nearest SOPs, best first; equal scores in the book's order.
    pub fn search(&self, text: &str, k: usize) -> Result<Vec<Hit>, IndexError> {
        let mut wanted = BTreeSet::new();
        for pair in pairs(text) {
            if wanted.len() == MAX_TERMS {
                break;
            }
            wanted.insert(pair);
        }
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for pair in &wanted {
            for ((field, boost), known) in self.fields.iter().zip(BOOSTS).zip(&self.known) {
                if !known.contains(pair) {
                    continue;
                }
                let term = TermQuery::new(Term::from_field_text(*field, pair), IndexRecordOption::WithFreqs);
                clauses.push((Occur::Should, Box::new(BoostQuery::new(Box::new(term), boost))));
            }
        }
        if clauses.is_empty() || k == 0 {
            return Ok(Vec::new());
        }
        let searcher = self.reader.searcher();
        // Every document is scored: to find out which need not be takes longer where a query has hundreds of terms, and
        // scores would be added up in another order, to other last bits.
        let as_it_is = |_: &SegmentReader| |_: DocId, score: Score| score;
        let found = searcher.search(&BooleanQuery::new(clauses), &TopDocs::with_limit(k).tweak_score(as_it_is))?;
        let mut hits = Vec::with_capacity(found.len());
        for (score, at) in found {
            let column = searcher.segment_reader(at.segment_ord).fast_fields().u64("sop")?;
            if let Some(sop) = column.first(at.doc_id).and_then(|n| usize::try_from(n).ok()) {
                hits.push(Hit { sop, score });
            }
        }
        Ok(hits)
    }
}

/// The pairs of neighbouring letters and digits of a text, in its order, in compatibility form and lower case.
fn pairs(text: &str) -> impl Iterator<Item = String> {
    let mut before = None;
    text.nfkc().flat_map(char::to_lowercase).filter_map(move |c| {
        let c = c.is_alphanumeric().then_some(c);
        let pair = before.zip(c).map(|(a, b)| String::from_iter([a, b]));
        before = c;
        pair
    })
}

/// The pairs with a space between, as the index reads them.
fn parted(text: &str) -> String {
    pairs(text).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn pairs_have_one_width_and_stop_at_signs() {
        assert_eq!(parted("坏果，３Ｃ数码 A"), "坏果 3c c数 数码");
    }

    #[test]
    fn finds_the_rule_by_the_words_of_a_complaint() {
        let book = super::super::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/sop_rules/demo"))).unwrap();
        let index = Index::build(&book).unwrap();
        for (text, want) in [
            ("买的草莓收到就烂了一半，果子都流水腐烂了", "fresh_spoiled.produce"),
            ("商家一直不给我开发票", "invoice.general"),
            ("预售付了定金，商家不发货，定金要退给我", "presale_deposit.general"),
        ] {
            let hits = index.search(text, 3).unwrap();
            assert!(hits.iter().any(|h| book.sops[h.sop].id.0 == want), "{text}: {hits:?}");
            assert!(hits.windows(2).all(|w| w[0].score >= w[1].score));
            assert_eq!(index.search(text, 3).unwrap(), hits);
        }
        let (said, more) = ("买的草莓收到就烂了一半", "买的草莓收到就烂了一半。龘靐齉爩，龘靐");
        assert_eq!(index.search(said, 20).unwrap(), index.search(more, 20).unwrap(), "words of no rule change nothing");
        assert!(index.search("", 3).unwrap().is_empty());
        assert!(index.search("。", 3).unwrap().is_empty());
    }
}
