//! A log file that grows: copies what came since the last look.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::error::CliError;

/// One file, which need not be there yet.
pub struct Tail {
    path: PathBuf,
    offset: u64,
}

impl Tail {
    pub fn new(path: PathBuf) -> Self {
        Self { path, offset: 0 }
    }

    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Copies everything up to the present end and says whether there was a file.
    pub fn copy_to(&mut self, out: &mut dyn Write) -> Result<bool, CliError> {
        let cannot = |why: io::Error| CliError::failed(format!("cannot read the log {}: {why}", self.path.display()));
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(cannot(error)),
        };
        file.seek(SeekFrom::Start(self.offset)).map_err(cannot)?;
        let mut piece = vec![0; 64 * 1024];
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(cannot(error)),
            };
            // Kept apart from reading: who cannot write has lost its reader, and the log is fine.
            out.write_all(&piece[..read])?;
            self.offset += read as u64;
        }
        out.flush()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_since_the_last_look_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attempt=1.log");
        let mut tail = Tail::new(path.clone());
        let mut copied = Vec::new();
        assert!(!tail.copy_to(&mut copied).unwrap(), "there is no file yet");
        let mut file = File::create(&path).unwrap();
        for line in ["one\n", "two\n"] {
            file.write_all(line.as_bytes()).unwrap();
            assert!(tail.copy_to(&mut copied).unwrap());
        }
        assert_eq!(copied, b"one\ntwo\n");
    }
}
