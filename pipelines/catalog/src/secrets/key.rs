//! The key that seals secrets: where it comes from, and what is wrong if it does not fit.

use std::{
    fmt, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// Bytes of a key's name.
pub(super) const KEY_ID_BYTES: usize = 8;

/// A key, 32 bytes. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`SecretKeyError::Malformed`], without a word of the text.
    pub fn from_hex(text: &str) -> Result<Self, SecretKeyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| SecretKeyError::Malformed)?;
        Ok(SecretKey(bytes))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What names the key without telling it.
    pub(super) fn id(&self) -> KeyId {
        let mut hash = Sha256::new();
        hash.update(b"telesift secret key id\0");
        hash.update(self.0);
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&hash.finalize()[..KEY_ID_BYTES]);
        KeyId(id)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.id())
    }
}

/// The name of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub(super) [u8; KEY_ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Where the key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// There is none: nothing can be sealed.
    Nowhere,
    /// Given, by the environment say.
    Given(SecretKey),
    /// A file of 32 bytes, made (mode 0600) when the first secret is sealed.
    File(PathBuf),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Nowhere => f.write_str("nothing"),
            KeySource::Given(_) => f.write_str("TELESIFT_SECRET_KEY"),
            KeySource::File(path) => path.display().fmt(f),
        }
    }
}

impl KeySource {
    /// The key; a file that is not there is made if `may_make`.
    pub(super) fn load(&self, may_make: bool) -> Result<SecretKey, SecretKeyError> {
        let path = match self {
            KeySource::Nowhere => return Err(SecretKeyError::Nowhere),
            KeySource::Given(key) => return Ok(key.clone()),
            KeySource::File(path) => path,
        };
        let failed = |error: io::Error| SecretKeyError::Io {
            path: path.clone(),
            reason: error.kind().to_string(),
        };
        match fs::read(path) {
            Ok(bytes) => bytes
                .try_into()
                .map(SecretKey)
                .map_err(|_| SecretKeyError::Damaged { path: path.clone() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound && may_make => {
                make(path).map_err(failed)?;
                // Read back: another process may have been faster.
                self.load(false)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(SecretKeyError::Missing {
                path: path.clone(),
                sealed_by: None,
            }),
            Err(e) => Err(failed(e)),
        }
    }
}

/// Makes a key that only its owner reads. It appears whole, or not at all.
fn make(path: &Path) -> io::Result<()> {
    let bytes: [u8; 32] = rand::random();
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let draft = path.with_extension(format!("{:016x}", rand::random::<u64>()));
    let mut file = options.open(&draft)?;
    let written = file.write_all(&bytes).and_then(|()| file.sync_all());
    // A link, not a rename: it never takes the place of a key that is there.
    let placed = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    fs::remove_file(&draft)?;
    placed?;
    sync_folder(path)
}

/// The name must outlive a power cut too, or what it seals is lost.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) if cfg!(unix) => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// What is wrong with a key, or with what it sealed; each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    /// There is no place for a key.
    #[error("no secret key is configured, so no secret can be kept: set TELESIFT_SECRET_KEY")]
    Nowhere,
    /// The key given cannot be read.
    #[error("the secret key is not 64 hexadecimal digits (32 bytes)")]
    Malformed,
    /// The file is no key.
    #[error("{} does not hold a secret key of 32 bytes: restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or made.
    #[error("the secret key {} cannot be used: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There are secrets, and no key.
    #[error(
        "the secret key {} is missing{}: restore the file or set TELESIFT_SECRET_KEY; if the key is lost, remove what it sealed (`telesift bots remove`) and add it again",
        path.display(), sealed_by.map_or(String::new(), |id| format!(", and secrets are sealed with key {id}"))
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The key that sealed them.
        sealed_by: Option<KeyId>,
    },
    /// There are secrets of another key.
    #[error(
        "secrets are sealed with key {sealed_by}, and {source_name} holds another: give the key they were sealed with; if it is lost, remove what it sealed (`telesift bots remove`) and add it again"
    )]
    Wrong {
        /// Where the other key came from.
        source_name: String,
        /// The key that sealed them.
        sealed_by: KeyId,
    },
    /// A sealed value that is damaged, or stands in a place it was not sealed for.
    #[error(
        "a sealed secret was changed or moved since it was stored: remove what it belongs to and add it again"
    )]
    Changed,
    /// More than can be sealed at once.
    #[error("a secret is too long to be sealed")]
    TooLong,
}
