//! The keys that encrypt variables and connections: from the configuration, or
//! from a file in the home folder that is made when nobody chose a key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config;
use crate::store::{BadKey, Cipher};

/// In the home folder.
const FILE: &str = "fernet.key";

/// Why there is no key to work with.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    #[error("[core] fernet_key: {0}")]
    Configured(BadKey),
    #[error("{}: {why}", path.display())]
    InFile { path: PathBuf, why: BadKey },
    #[error("cannot use the key file {}: {why}", path.display())]
    File { path: PathBuf, why: io::Error },
}

/// The keys of this installation. Makes one where there is none.
pub(super) fn cipher(settings: &config::Settings) -> Result<Cipher, NoKey> {
    let configured = settings.core.fernet_key.reveal();
    if !configured.trim().is_empty() {
        return Cipher::parse(configured).map_err(NoKey::Configured);
    }
    let path = settings.home.join(FILE);
    let keys = kept(&path, Cipher::generate_key).map_err(|why| NoKey::File { path: path.clone(), why })?;
    Cipher::parse(&keys).map_err(|why| NoKey::InFile { path, why })
}

/// What is in a file, for its owner alone; made when it is not there.
pub(super) fn kept(path: &Path, new: impl FnOnce() -> String) -> io::Result<String> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, &new()),
        read => read,
    }?;
    Ok(text.trim().to_owned())
}

/// Writes a new key beside its place and links it there: of two processes that
/// do so at once one wins, and neither ever reads half a key.
fn make(path: &Path, key: &str) -> io::Result<String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let draft = path.with_extension(format!("key.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let written = writeln!(file, "{key}").and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(&draft);
    linked.and(removed)?;
    tracing::info!(file = %path.display(), "made a key: keep it");
    fs::read_to_string(path)
}
