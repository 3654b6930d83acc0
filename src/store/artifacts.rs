//! What decisions pin, kept by content: bytes under their SHA-256. Nothing in here is about anybody.

use super::Store;
use super::error::StoreError;
use super::model::Hash;
use super::pack::{pack, sha256, unpack};

/// An artifact to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// SHA-256 of the bytes.
    pub hash: Hash,
    /// What it is, for people.
    pub kind: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Those of these artifacts that are not kept yet.
    pub async fn missing_artifacts(&self, hashes: &[Hash]) -> Result<Vec<Hash>, StoreError> {
        let asked: Vec<&[u8]> = hashes.iter().map(Hash::as_slice).collect();
        let kept = sqlx::query_scalar!("SELECT hash FROM praetor.artifacts WHERE hash = ANY($1)", &asked as _)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("look for artifacts"))?;
        Ok(hashes.iter().filter(|hash| !kept.iter().any(|k| k == hash.as_slice())).copied().collect())
    }

    /// Keeps an artifact. Keeping it again changes nothing.
    pub async fn put_artifact(&self, artifact: &NewArtifact) -> Result<(), StoreError> {
        let NewArtifact { hash, kind, bytes } = artifact;
        proven(hash, bytes)?;
        sqlx::query!(
            "INSERT INTO praetor.artifacts (hash, kind, packed) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING",
            hash,
            *kind,
            pack(bytes)?,
        )
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("keep an artifact"))?;
        Ok(())
    }

    /// The artifact of this hash.
    pub async fn artifact(&self, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let packed = sqlx::query_scalar!("SELECT packed FROM praetor.artifacts WHERE hash = $1", hash)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("read an artifact"))?;
        let Some(packed) = packed else { return Ok(None) };
        let bytes = unpack("artifact", &hex::encode(hash), &packed)?;
        proven(hash, &bytes)?;
        Ok(Some(bytes))
    }
}

fn proven(hash: &Hash, bytes: &[u8]) -> Result<(), StoreError> {
    let damaged = StoreError::Damaged { what: "artifact", id: hex::encode(hash), source: None };
    if sha256(bytes) == *hash { Ok(()) } else { Err(damaged) }
}
