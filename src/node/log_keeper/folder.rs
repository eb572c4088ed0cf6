//! The log folder, as far as a message may reach into it: a path from the broker leads to a regular file below the
//! folder, or nowhere. Symbolic links are never followed, so that nobody who may write a log can point it elsewhere.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, fsync, mkdirat, open, openat, syncfs};
use rustix::io::Errno;

/// Deeper than Airflow's layout ever is.
const DEEPEST: usize = 16;
const LONGEST_NAME: usize = 255;

/// A path below the log folder that may be written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogPath(String);

impl LogPath {
    /// # Errors
    /// In a sentence, when a message must not write there.
    pub fn new(path: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("the log path {path:.200?} {why}"));
        let parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return wrong("does not stay in the log folder");
        }
        if parts.len() > DEEPEST || parts.iter().any(|part| part.len() > LONGEST_NAME) {
            return wrong("is too long or too deep");
        }
        if path.contains('\0') {
            return wrong("holds a NUL byte");
        }
        if !path.ends_with(".log") {
            return wrong("does not end in .log");
        }
        Ok(Self(path.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it is remembered which attempt wrote what, for the few logs that need it. No message may name it.
    pub fn beside(&self) -> Self {
        Self(format!("{}.parts", self.0))
    }
}

/// Whether what is not there is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    IsMade,
    IsAnError,
}

pub struct Folder {
    root: OwnedFd,
}

/// A file, and whether a folder has changed that must be durable with it.
pub struct Opened {
    pub file: File,
    /// The folder that holds it, where something was made.
    pub changed: Vec<File>,
}

impl Folder {
    /// Makes it if needed. The folder itself may be a link: a person has configured it.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        let root = open(path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty())?;
        Ok(Self { root })
    }

    /// The file. What is made is for its owner alone.
    pub fn file(&self, path: &LogPath, missing: Missing) -> io::Result<Opened> {
        let mut parts: Vec<&str> = path.0.split('/').collect();
        let name = parts.pop().unwrap_or_default();
        let mut folder = self.root.try_clone()?;
        let mut changed = Vec::new();
        for part in parts {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
            folder = match openat(&folder, part, flags, Mode::empty()) {
                Err(Errno::NOENT) if missing == Missing::IsMade => {
                    match mkdirat(&folder, part, Mode::from(0o700)) {
                        Ok(()) | Err(Errno::EXIST) => changed.push(File::from(folder.try_clone()?)),
                        Err(error) => return Err(error.into()),
                    }
                    openat(&folder, part, flags, Mode::empty())?
                }
                opened => opened?,
            };
        }
        // Without NONBLOCK, a pipe in the place of a log would make this wait for ever.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&folder, name, flags, Mode::empty()) {
            Err(Errno::NOENT) if missing == Missing::IsMade => {
                changed.push(File::from(folder.try_clone()?));
                openat(&folder, name, flags | OFlags::CREATE, Mode::from(0o600))?
            }
            opened => opened?,
        };
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is something that is no file"));
        }
        Ok(Opened { file: File::from(file), changed })
    }

    /// Everything that was written, at once.
    pub fn sync_all(&self) -> io::Result<()> {
        Ok(syncfs(&self.root)?)
    }

    pub fn sync_folder(folder: &File) -> io::Result<()> {
        Ok(fsync(folder)?)
    }
}

/// Whether an error is the path's own: somebody put something else in the place of a log.
pub fn is_in_the_way(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    error.kind() == io::ErrorKind::InvalidInput
        || matches!(errno, Some(Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::NAMETOOLONG))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_that_leaves_the_folder_is_none() {
        for good in ["a.log", "dag_id=a/run_id=manual__2026-01-01T00:00:00+00:00/task_id=t/attempt=1.log"] {
            assert_eq!(LogPath::new(good).expect("a good path").as_str(), good);
        }
        let long = format!("{}.log", "x".repeat(300));
        let deep = format!("{}a.log", "d/".repeat(20));
        for bad in [
            "",
            "/etc/passwd.log",
            "../a.log",
            "a/../../b.log",
            "a//b.log",
            "./a.log",
            "a/",
            "a\0.log",
            "a",
            &long,
            &deep,
        ] {
            LogPath::new(bad).expect_err(bad);
        }
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let (base, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let folder = Folder::open(base.path()).expect("there");
        let open = |path: &str| folder.file(&LogPath::new(path).expect("a good path"), Missing::IsMade);
        fs::write(outside.path().join("victim.log"), "mine").expect("written");
        symlink(outside.path(), base.path().join("linked")).expect("Linux");
        symlink(outside.path().join("victim.log"), base.path().join("linked.log")).expect("Linux");
        fs::create_dir(base.path().join("folder.log")).expect("made");
        fs::write(base.path().join("file"), "").expect("written");
        for path in ["linked/victim.log", "linked/new.log", "linked.log", "folder.log", "file/a.log"] {
            let error = open(path).err().unwrap_or_else(|| panic!("{path} was opened"));
            assert!(is_in_the_way(&error), "{path}: {error}");
        }
        assert_eq!(fs::read_to_string(outside.path().join("victim.log")).expect("there"), "mine");
        assert_eq!(fs::read_dir(outside.path()).expect("there").count(), 1);
        let mut opened = open("dag_id=a/run_id=b/attempt=1.log").expect("a new file");
        opened.file.write_all(b"text").expect("written");
        assert_eq!(opened.changed.len(), 3, "two folders and a file were made");
        assert_eq!(open("dag_id=a/run_id=b/attempt=1.log").expect("there").changed.len(), 0);
    }
}
