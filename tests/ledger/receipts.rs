//! Receipts: a good one proves its record, and no bit of it can be changed.

use std::collections::BTreeMap;

use praetor::ledger::{
    Checkpoint, Entry, Hash, KeyPurpose, Kind, PublicKey, Receipt, ReceiptError, SigningKey, TileSet, inclusion,
    leaf_hash,
};

const ORIGIN: &str = "example.org/log";
const BODY: &str = r#"{"id":"dec_1","remedy":"退款"}"#;

fn keys() -> (SigningKey, SigningKey) {
    let log = SigningKey::generate(ORIGIN, KeyPurpose::Log).unwrap();
    (log, SigningKey::generate("witness.example", KeyPurpose::Witness).unwrap())
}

/// A receipt for leaf 3 of 11, cosigned.
fn receipt(log: &SigningKey, witness: &SigningKey) -> Receipt {
    let entry = Entry {
        tenant: "default".into(),
        kind: Kind::Decision,
        id: "dec_1".into(),
        recorded_at: "2026-05-01T12:00:00.000001Z".parse().unwrap(),
        parts: BTreeMap::from([("body".into(), Hash::of(BODY.as_bytes())), ("trace".into(), Hash::of(b"[]"))]),
    };
    let salt = vec![7; 32];
    let mut leaves: Vec<Hash> = (0..11u8).map(|n| leaf_hash(&[n])).collect();
    leaves[3] = leaf_hash(entry.commitment(&salt).as_bytes());
    let (tree, tiles) = TileSet::of(leaves);
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 11, root: tree.root() };
    let mut signed = checkpoint.sign([log]).unwrap();
    let line = signed.cosign(witness, 1_780_000_000).unwrap();
    signed.add(&line, witness.public()).unwrap();
    let proof = inclusion(3, 11, &tiles).unwrap();
    Receipt::new(entry, salt, 3, proof, &signed, BTreeMap::from([("body".into(), BODY.into())]))
}

fn check(bytes: &[u8], keys: &[PublicKey]) -> Result<Checkpoint, ReceiptError> {
    Receipt::parse(bytes)?.verify(keys)
}

#[test]
fn every_bit_of_a_receipt_matters() {
    let (log, witness) = keys();
    let keys = [log.public().clone(), witness.public().clone()];
    let good = receipt(&log, &witness).to_bytes();
    assert_eq!(check(&good, &keys).unwrap().size, 11);
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let place = String::from_utf8_lossy(&good[(bit / 8).saturating_sub(20)..=bit / 8]).into_owned();
        assert!(check(&flipped, &keys).is_err(), "bit {bit}, after {place}");
    }
    for cut in 0..good.len() {
        assert!(check(&good[..cut], &keys).is_err(), "cut at {cut}");
    }
}

#[test]
fn what_is_wrong_with_a_receipt_is_named() {
    let (log, witness) = keys();
    let keys = [log.public().clone(), witness.public().clone()];
    let good = receipt(&log, &witness);
    let code = |receipt: &Receipt, keys: &[PublicKey]| receipt.verify(keys).unwrap_err().code();

    let mut other = good.clone();
    other.content.insert("body".into(), BODY.replace("退款", "驳回"));
    assert_eq!(code(&other, &keys), "content-differs");
    other = good.clone();
    other.entry.id = "dec_2".into();
    assert_eq!(code(&other, &keys), "not-included");
    other = good.clone();
    other.leaf = 4;
    assert_eq!(code(&other, &keys), "not-included");
    other = good.clone();
    other.proof.clear();
    assert_eq!(code(&other, &keys), "not-included");

    assert_eq!(code(&good, &[log.public().clone()]), "unknown-signer");
    assert_eq!(code(&good, &[witness.public().clone()]), "checkpoint-unproven");
    let second = SigningKey::generate("second.example", KeyPurpose::Witness).unwrap();
    let demanding = [keys[0].clone(), keys[1].clone(), second.public().clone()];
    assert_eq!(code(&good, &demanding), "not-witnessed");
    let impostor = SigningKey::generate(ORIGIN, KeyPurpose::Log).unwrap();
    assert_eq!(code(&good, &[impostor.public().clone()]), "checkpoint-unproven");

    let spaced = String::from_utf8(good.to_bytes()).unwrap().replace("\":", "\": ");
    assert_eq!(check(spaced.as_bytes(), &keys).unwrap_err().code(), "not-canonical");
    assert_eq!(check(b"{}", &keys).unwrap_err().code(), "malformed");
    assert!(check(&[good.to_bytes(), b"\n".to_vec()].concat(), &keys).is_ok());
}

#[test]
fn a_retired_key_still_proves_what_it_signed() {
    let (log, witness) = keys();
    let new = SigningKey::generate(ORIGIN, KeyPurpose::Log).unwrap();
    let all = [new.public().clone(), log.public().clone(), witness.public().clone()];
    assert!(receipt(&log, &witness).verify(&all).is_ok());
}
