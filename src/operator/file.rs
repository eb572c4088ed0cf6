//! Whether a file is there (`FileSensor`).

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::channel::Channel;
use super::{End, glob, say};
use crate::domain::native::FileWatch;

/// The connection whose path goes before a relative one, where there is one.
const DEFAULT_CONNECTION: &str = "fs_default";

pub(super) fn poke(watch: &FileWatch, channel: &mut Channel) -> Result<bool, End> {
    let connection = match watch.fs_conn_id.as_deref() {
        Some(id) => Some(channel.connection(id)?),
        None => channel.find_connection(DEFAULT_CONNECTION)?,
    };
    let base = connection.and_then(|connection| connection.extra_object()).unwrap_or_default();
    let base = base.get("path").and_then(Value::as_str).unwrap_or("/");
    let pattern = Path::new(base).join(&watch.filepath);
    say(&format!("Poking for file {}", pattern.display()));
    Ok(glob::find(&pattern, watch.recursive).iter().any(|path| holds_a_file(path)))
}

/// A file, or a folder with one in it at any depth.
fn holds_a_file(path: &Path) -> bool {
    if !path.is_dir() {
        return path.is_file();
    }
    let mut folders: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => return true,
                Err(_) => {}
            }
        }
    }
    false
}
