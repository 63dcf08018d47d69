//! Secrets at rest: AES-256-GCM with one key per deployment, bound to the place where each sealed value stands.

mod canary;
mod key;

use std::sync::OnceLock;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Nonce, Payload},
};
use telesift_ports::{
    Secret,
    catalog::{Error, Result},
};

use crate::SqlCatalog;
use key::{KEY_ID_BYTES, KeyId};
pub use key::{KeySource, SecretKey, SecretKeyError};

/// The form of a sealed value: version, key id, nonce, then the ciphertext with its tag.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// One sealed value of each kind, to see which key seals this catalog.
const SAMPLES: &str = "
    SELECT sealed FROM (
        SELECT token AS sealed FROM bots
        UNION ALL SELECT api_key AS sealed FROM providers WHERE api_key IS NOT NULL
        UNION ALL SELECT sealed FROM secret_key) AS samples
    LIMIT 1";

/// Where a sealed value stands. It is authenticated with the value, which therefore opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) row: &'a str,
    pub(crate) column: &'static str,
}

impl Place<'_> {
    /// Length-prefixed, so that no two places come to the same.
    fn associated_data(&self) -> Vec<u8> {
        let mut data = Vec::new();
        for part in [self.table, self.row, self.column] {
            data.extend_from_slice(&(part.len() as u64).to_le_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// Seals and opens.
pub(crate) struct Sealer {
    source: KeySource,
    key: OnceLock<SecretKey>,
}

impl Sealer {
    pub(crate) fn new(source: KeySource) -> Self {
        Sealer {
            source,
            key: OnceLock::new(),
        }
    }

    /// The key; made if it is not there and `may_make`.
    fn key(&self, may_make: bool) -> std::result::Result<&SecretKey, SecretKeyError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = self.source.load(may_make)?;
        Ok(self.key.get_or_init(|| key))
    }

    fn seal(
        &self,
        place: &Place<'_>,
        secret: &Secret,
        may_make: bool,
    ) -> std::result::Result<Vec<u8>, SecretKeyError> {
        let key = self.key(may_make)?;
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: secret.expose().as_bytes(),
            aad: &place.associated_data(),
        };
        let sealed = cipher(key).encrypt(&Nonce::<Aes256Gcm>::from(nonce), payload);
        let sealed = sealed.map_err(|_| SecretKeyError::TooLong)?;
        let mut value = Vec::with_capacity(HEAD_BYTES + sealed.len());
        value.push(VERSION);
        value.extend_from_slice(&key.id().0);
        value.extend_from_slice(&nonce);
        value.extend_from_slice(&sealed);
        Ok(value)
    }

    pub(crate) fn open(
        &self,
        place: &Place<'_>,
        sealed: &[u8],
    ) -> std::result::Result<Secret, SecretKeyError> {
        let sealed_by = sealed_by(sealed)?;
        let key = match self.key(false) {
            Ok(key) => key,
            Err(SecretKeyError::Missing { path, .. }) => {
                return Err(SecretKeyError::Missing {
                    path,
                    sealed_by: Some(sealed_by),
                });
            }
            Err(error) => return Err(error),
        };
        if key.id() != sealed_by {
            return Err(self.wrong(sealed_by));
        }
        let nonce: [u8; NONCE_BYTES] = sealed[1 + KEY_ID_BYTES..HEAD_BYTES]
            .try_into()
            .map_err(|_| SecretKeyError::Changed)?;
        let payload = Payload {
            msg: &sealed[HEAD_BYTES..],
            aad: &place.associated_data(),
        };
        let opened = cipher(key).decrypt(&Nonce::<Aes256Gcm>::from(nonce), payload);
        let opened = opened.map_err(|_| SecretKeyError::Changed)?;
        String::from_utf8(opened)
            .map(Secret::new)
            .map_err(|_| SecretKeyError::Changed)
    }

    fn wrong(&self, sealed_by: KeyId) -> SecretKeyError {
        SecretKeyError::Wrong {
            source_name: self.source.to_string(),
            sealed_by,
        }
    }
}

fn cipher(key: &SecretKey) -> Aes256Gcm {
    Aes256Gcm::new(&(*key.bytes()).into())
}

/// The key a value was sealed with.
fn sealed_by(sealed: &[u8]) -> std::result::Result<KeyId, SecretKeyError> {
    let id = sealed.get(1..1 + KEY_ID_BYTES);
    match (sealed.first(), id.map(TryInto::try_into)) {
        (Some(&VERSION), Some(Ok(id))) if sealed.len() > HEAD_BYTES => Ok(KeyId(id)),
        _ => Err(SecretKeyError::Changed),
    }
}

impl SqlCatalog {
    /// `secret`, to be stored at `place`. The first secret of a catalog makes the key, where there is none.
    ///
    /// # Errors
    /// [`Error::SecretKey`] if there are secrets here that another key seals: two keys in one catalog would end in half of
    /// them being lost.
    pub(crate) async fn seal(&self, place: &Place<'_>, secret: &Secret) -> Result<Vec<u8>> {
        let samples = self.database.read(SAMPLES, Vec::new()).await?;
        let in_use = match samples.first() {
            Some(row) => Some(sealed_by(&row.get::<Vec<u8>>(0)?).map_err(refused)?),
            None => None,
        };
        let sealed = self.sealer.seal(place, secret, in_use.is_none());
        let sealed = sealed.map_err(|error| match (error, in_use) {
            (SecretKeyError::Missing { path, .. }, sealed_by) => {
                refused(SecretKeyError::Missing { path, sealed_by })
            }
            (error, _) => refused(error),
        })?;
        match in_use {
            Some(id) if sealed_by(&sealed).ok() != Some(id) => Err(refused(self.sealer.wrong(id))),
            _ => Ok(sealed),
        }
    }
}

fn refused(error: SecretKeyError) -> Error {
    Error::SecretKey(error.to_string())
}

#[cfg(test)]
mod tests;
