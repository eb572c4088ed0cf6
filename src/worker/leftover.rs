//! What is made for one attempt and goes with it: its temporary folder, its rendered script.
//!
//! A folder that is found empty afterwards is given to the next attempt instead
//! of being removed and made again: on ext4 that pair was measured at 0.26 ms,
//! a fifth of what Bash itself takes. A folder in which anything was left, of which the mode
//! was changed, or of whose attempt a process is known to have outlived it, is never given
//! to another. (Not known is a daemon that left the process group and its output: PROTOCOL §14.)

use std::cell::RefCell;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

/// More empty folders than this are not kept.
const KEPT: usize = 256;

/// Temporary folders of Bash tasks, made when needed. Those that are left are removed when this is dropped.
pub struct TempFolders {
    under: PathBuf,
    empty: RefCell<Vec<PathBuf>>,
}

impl TempFolders {
    pub fn under(folder: &Path) -> Rc<Self> {
        Rc::new(Self { under: folder.to_owned(), empty: RefCell::default() })
    }

    /// An empty folder that nobody else has.
    pub fn take(self: &Rc<Self>) -> io::Result<Leftover> {
        // Somebody may have cleaned up the folder that holds ours.
        while let Some(path) = self.empty.borrow_mut().pop() {
            if is_as_new(&path) {
                return Ok(Leftover::Folder { path, reuse: Rc::downgrade(self) });
            }
        }
        loop {
            let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
            let path = self.under.join(format!("airflowtmp{name}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Leftover::Folder { path, reuse: Rc::downgrade(self) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for TempFolders {
    fn drop(&mut self) {
        for path in self.empty.take() {
            say_if_left(&path, fs::remove_dir(&path));
        }
    }
}

/// What goes when the attempt has ended: on drop.
pub enum Leftover {
    Folder { path: PathBuf, reuse: Weak<TempFolders> },
    File(PathBuf),
}

impl Leftover {
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder { path, .. } | Self::File(path) => path,
        }
    }

    /// A process of the attempt may have outlived it: its folder is not for another.
    pub fn never_reuse(&mut self) {
        match self {
            Self::Folder { reuse, .. } => *reuse = Weak::new(),
            Self::File(_) => {}
        }
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        match self {
            Self::File(path) => say_if_left(path, fs::remove_file(&*path)),
            Self::Folder { path, reuse } => {
                let path = std::mem::take(path);
                match reuse.upgrade() {
                    Some(folders) if folders.empty.borrow().len() < KEPT && is_as_new(&path) => {
                        folders.empty.borrow_mut().push(path);
                    }
                    Some(_) | None => remove(path),
                }
            }
        }
    }
}

fn is_as_new(path: &Path) -> bool {
    let is_ours =
        fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o7777 == 0o700);
    is_ours && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// What a task left may be large: it is removed beside the work.
fn remove(path: PathBuf) {
    if fs::remove_dir(&path).is_ok() {
        return;
    }
    let remove = move || say_if_left(&path, fs::remove_dir_all(&path));
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(remove)),
        Err(_) => remove(),
    }
}

fn say_if_left(path: &Path, removed: io::Result<()>) {
    match removed {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "cannot remove what a task left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_that_is_as_new_is_given_to_another() {
        let under = tempfile::tempdir().expect("a folder");
        let folders = TempFolders::under(under.path());
        let used = |use_it: &dyn Fn(&mut Leftover)| {
            let mut folder = folders.take().expect("made");
            let path = folder.path().to_owned();
            use_it(&mut folder);
            drop(folder);
            path
        };
        let empty = used(&|_| {});
        assert_eq!(used(&|_| {}), empty, "left empty");
        let full = used(&|folder| fs::write(folder.path().join("file"), "").expect("written"));
        assert_eq!(full, empty);
        assert!(!full.exists(), "removed with what was in it");
        let open = used(&|folder| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("ours");
        });
        assert!(!open.exists(), "others could have been let in");
        let haunted = used(&Leftover::never_reuse);
        assert!(!haunted.exists());
        used(&|_| {});
        drop(folders);
        assert_eq!(fs::read_dir(under.path()).expect("there").count(), 0, "the worker leaves nothing");
    }
}
