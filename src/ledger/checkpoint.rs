//! Checkpoints: what the log says of itself, signed (C2SP tlog-checkpoint in signed-note form). Three lines of text,
//! origin, size and root, then the signatures of the log and of its witnesses.

use std::collections::BTreeSet;
use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use signed_note::{Note, NoteError, Signature, Verifier, VerifierList, is_key_name_valid};

use super::error::LedgerError;
use super::hash::Hash;
use super::key::{KeyPurpose, PublicKey, SigningKey};

/// The state of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: the name of its keys.
    pub origin: String,
    /// Its leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The signed text.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root.as_bytes()))
    }

    /// Signs it with each of the keys: one, or during a rotation two. Keys are named after the origin.
    pub fn sign<'a>(&self, keys: impl IntoIterator<Item = &'a SigningKey>) -> Result<SignedCheckpoint, LedgerError> {
        let text = self.text();
        let mut signatures = Vec::new();
        for key in keys {
            let fits = key.public().name() == self.origin && key.public().purpose() == KeyPurpose::Log;
            let signature = key.sign(text.as_bytes()).filter(|_| fits);
            signatures.push(signature.ok_or_else(|| LedgerError::Unsigned { key: key.public().to_string() })?);
        }
        Ok(SignedCheckpoint { checkpoint: self.clone(), signatures })
    }

    fn parse(text: &str) -> Result<Self, LedgerError> {
        let wrong = |reason| LedgerError::Checkpoint { reason };
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
        let [origin, size, root] = lines.as_slice() else { return Err(wrong("its text has not three lines")) };
        let number = size.parse::<u64>().ok().filter(|number| number.to_string() == *size);
        let root = BASE64_STANDARD.decode(root).ok().and_then(|bytes| Hash::try_from(bytes.as_slice()).ok());
        if !is_key_name_valid(origin) {
            return Err(wrong("its origin is no name"));
        }
        Ok(Self {
            origin: (*origin).to_owned(),
            size: number.ok_or(wrong("its size is no number"))?,
            root: root.ok_or(wrong("its root is no hash"))?,
        })
    }
}

/// A checkpoint with signatures, of which nothing is known until `verify`.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    signatures: Vec<Signature>,
}

impl SignedCheckpoint {
    /// Reads the written form. Checks no signature.
    pub fn parse(note: &str) -> Result<Self, LedgerError> {
        let wrong = |reason| LedgerError::Checkpoint { reason };
        Note::from_bytes(note.as_bytes()).map_err(|_| wrong("it is no signed note"))?;
        let (text, lines) = note.rsplit_once("\n\n").ok_or(wrong("it is no signed note"))?;
        let checkpoint = Checkpoint::parse(text)?;
        let signatures = lines.lines().map(|line| Signature::from_bytes(line.as_bytes()));
        let signatures: Vec<Signature> =
            signatures.collect::<Result<_, _>>().map_err(|_| wrong("a signature is malformed"))?;
        let mut signers = BTreeSet::new();
        if !signatures.iter().all(|signature| signers.insert((signature.name(), signature.id()))) {
            return Err(wrong("a key signed it twice"));
        }
        Ok(Self { checkpoint, signatures })
    }

    /// What it says, signed or not.
    pub fn unproven(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The checkpoint, if one of these keys of the log signed it. Signatures by other keys do not count, but one that
    /// names a given key and is not of it is an error.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<&Checkpoint, LedgerError> {
        let own = keys.iter().filter(|k| k.purpose() == KeyPurpose::Log && k.name() == self.checkpoint.origin);
        self.signed_by(own)
            .map_err(|key| LedgerError::Unsigned { key: key.unwrap_or(self.checkpoint.origin.clone()) })?;
        Ok(&self.checkpoint)
    }

    /// The time at which a witness cosigned, in seconds since 1970. None without a valid cosignature of this key.
    pub fn cosigned_at(&self, witness: &PublicKey) -> Option<u64> {
        if witness.purpose() != KeyPurpose::Witness {
            return None;
        }
        self.signed_by([witness]).ok()?;
        let signature = self.signatures.iter().find(|signature| witness.made(signature))?;
        signature.signature().first_chunk().map(|time| u64::from_be_bytes(*time))
    }

    /// True if this key signed it, as log or as witness.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signed_by([key]).is_ok()
    }

    /// True if it bears a signature in this key's name, valid or not.
    pub fn names(&self, key: &PublicKey) -> bool {
        self.signatures.iter().any(|signature| key.made(signature))
    }

    /// The names and ids of signing keys that are none of these.
    pub fn strangers<'a>(&'a self, known: &'a [PublicKey]) -> impl Iterator<Item = String> + 'a {
        let strange = self.signatures.iter().filter(|s| !known.iter().any(|key| key.made(s)));
        strange.map(|s| format!("{}+{:08x}", s.name(), s.id()))
    }

    /// Signs it as a witness that saw it at a time, in seconds since 1970, and gives the signature's line.
    pub fn cosign(&self, key: &SigningKey, time: u64) -> Result<String, LedgerError> {
        let unsigned = || LedgerError::Unsigned { key: key.public().to_string() };
        if key.public().purpose() != KeyPurpose::Witness {
            return Err(unsigned());
        }
        let signature = key.cosign(self.checkpoint.text().as_bytes(), time).ok_or_else(unsigned)?;
        Ok(line(&signature))
    }

    /// Adds a line with a signature, unchecked like those that `parse` reads. Of a key that signed already it is left out.
    pub fn add_unproven(&mut self, signature_line: &str) -> Result<(), LedgerError> {
        let text = signature_line.strip_suffix('\n').unwrap_or(signature_line);
        let signature = Signature::from_bytes(text.as_bytes())
            .map_err(|_| LedgerError::Checkpoint { reason: "a signature is malformed" })?;
        if !self.signatures.iter().any(|old| (old.name(), old.id()) == (signature.name(), signature.id())) {
            self.signatures.push(signature);
        }
        Ok(())
    }

    /// Adds a line with a signature, after checking that it is of this key; an older one of the key goes.
    pub fn add(&mut self, signature_line: &str, key: &PublicKey) -> Result<(), LedgerError> {
        let unsigned = || LedgerError::Unsigned { key: key.to_string() };
        let text = signature_line.strip_suffix('\n').unwrap_or(signature_line);
        let signature = Signature::from_bytes(text.as_bytes()).map_err(|_| unsigned())?;
        if !key.made(&signature) || !key.verify(self.checkpoint.text().as_bytes(), signature.signature()) {
            return Err(unsigned());
        }
        self.signatures.retain(|old| !key.made(old));
        self.signatures.push(signature);
        Ok(())
    }

    /// Ok if at least one of the keys signed; otherwise the key whose signature is false, if there is one.
    fn signed_by<'a>(&self, keys: impl IntoIterator<Item = &'a PublicKey>) -> Result<(), Option<String>> {
        let list = keys.into_iter().map(|key| Box::new(key.clone()) as Box<dyn Verifier>).collect();
        let note = Note::new(self.checkpoint.text().as_bytes(), &self.signatures).map_err(|_| None)?;
        match note.verify(&VerifierList::new(list)) {
            Ok(_) => Ok(()),
            Err(NoteError::InvalidSignature { name, id }) => Err(Some(format!("{name}+{id:08x}"))),
            Err(_) => Err(None),
        }
    }
}

fn line(signature: &Signature) -> String {
    String::from_utf8(signature.to_bytes()).unwrap_or_default()
}

impl fmt::Display for SignedCheckpoint {
    /// The written form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.checkpoint.text())?;
        self.signatures.iter().try_for_each(|signature| f.write_str(&line(signature)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key(name: &str, purpose: KeyPurpose) -> SigningKey {
        SigningKey::generate(name, purpose).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "example.org/log".into(), size: 7, root: Hash::of(b"root") }
    }

    #[test]
    fn a_checkpoint_survives_its_text_with_all_signatures() {
        let (log, witness) = (key("example.org/log", KeyPurpose::Log), key("witness.example", KeyPurpose::Witness));
        let mut signed = checkpoint().sign([&log]).unwrap();
        let cosignature = signed.cosign(&witness, 1_700_000_000).unwrap();
        signed.add(&cosignature, witness.public()).unwrap();
        signed.add(&cosignature, witness.public()).unwrap();
        let read = SignedCheckpoint::parse(&signed.to_string()).unwrap();
        assert_eq!(read, signed);
        assert_eq!(read.to_string().lines().count(), 6);
        assert_eq!(read.verify(&[log.public().clone()]).unwrap(), &checkpoint());
        assert_eq!(read.cosigned_at(witness.public()), Some(1_700_000_000));
        assert_eq!(read.strangers(&[log.public().clone()]).count(), 1);
    }

    #[test]
    fn foreign_and_false_signatures_do_not_count() {
        let (log, other) = (key("example.org/log", KeyPurpose::Log), key("example.org/log", KeyPurpose::Log));
        let signed = checkpoint().sign([&log]).unwrap();
        assert!(signed.verify(&[other.public().clone()]).is_err());
        assert!(signed.verify(&[]).is_err());
        let forged = signed.to_string().replacen("\n7\n", "\n8\n", 1);
        assert!(SignedCheckpoint::parse(&forged).unwrap().verify(&[log.public().clone()]).is_err());
        assert!(checkpoint().sign([&key("other", KeyPurpose::Log)]).is_err());
        assert!(checkpoint().sign([&key("example.org/log", KeyPurpose::Witness)]).is_err());
    }

    #[test]
    fn malformed_texts_are_refused() {
        let log = key("example.org/log", KeyPurpose::Log);
        let good = checkpoint().sign([&log]).unwrap().to_string();
        for (from, to) in
            [("\n7\n", "\n07\n"), ("\n7\n", "\n+7\n"), ("\n7\n", "\n7\nx\n"), ("\n\n", "\n"), ("— ", "- ")]
        {
            assert!(SignedCheckpoint::parse(&good.replacen(from, to, 1)).is_err(), "{from:?} {to:?}");
        }
        assert!(SignedCheckpoint::parse("").is_err());
    }
}
