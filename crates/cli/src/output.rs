//! Where results go: standard output, or a file that is replaced only when complete.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

/// A place for data. Nothing is left half-written: a file takes its name in [`Sink::finish`].
pub(crate) struct Sink {
    writer: Writer,
    name: String,
    reader_left: bool,
}

enum Writer {
    Stdout(BufWriter<io::Stdout>),
    /// A device or a pipe: there is nothing to keep whole, and it must not be replaced.
    Special(BufWriter<File>),
    /// A file beside `path`, to take its name.
    Replacing {
        writer: BufWriter<NamedTempFile>,
        path: PathBuf,
    },
}

impl Sink {
    /// Standard output without a path. A path that is also one of `inputs` is refused.
    pub(crate) fn open<'a>(
        path: Option<&Path>,
        inputs: impl IntoIterator<Item = &'a PathBuf>,
    ) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            let writer = Writer::Stdout(BufWriter::new(io::stdout()));
            return Ok(Self { writer, name: "standard output".to_owned(), reader_left: false });
        };
        let name = format!("`{}`", path.display());
        let place = path.canonicalize().ok();
        for input in inputs {
            let is_input = place.is_some() && input.canonicalize().ok() == place;
            anyhow::ensure!(!is_input, "cannot write {name}: it is an input of this run");
        }
        // Through a symbolic link the file it leads to is replaced, not the link.
        let writer = Writer::open(place.as_deref().unwrap_or(path));
        let writer = writer.with_context(|| format!("cannot write {name}"))?;
        Ok(Self { writer, name, reader_left: false })
    }

    /// Fails when nobody reads what is written any more, as after `head`. Writing itself goes on
    /// without an error, so that a verdict still becomes the exit status; who would write for long
    /// asks here.
    pub(crate) fn ensure_reader(&self) -> io::Result<()> {
        if self.reader_left { Err(ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    /// Makes what was written last. Until then an interrupted run leaves the old file.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        if let Writer::Replacing { writer, path } = self.writer {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error);
            let saved = file.and_then(|file| {
                file.as_file().sync_all()?;
                file.persist(&path).map_err(|error| error.error)
            });
            saved.with_context(|| format!("cannot write {}", self.name))?;
        }
        Ok(())
    }

    /// Runs one operation of the writer: its failure is named, and `unread` stands in for it once
    /// nobody reads.
    fn run<T>(
        &mut self,
        operation: impl FnOnce(&mut dyn Write) -> io::Result<T>,
        unread: T,
    ) -> io::Result<T> {
        if self.reader_left {
            return Ok(unread);
        }
        let writer: &mut dyn Write = match &mut self.writer {
            Writer::Stdout(writer) => writer,
            Writer::Special(writer) => writer,
            Writer::Replacing { writer, .. } => writer,
        };
        match operation(writer) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.reader_left = true;
                Ok(unread)
            }
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                let text = format!("cannot write {}: {error}", self.name);
                Err(io::Error::new(error.kind(), text))
            }
            other => other,
        }
    }
}

impl Writer {
    fn open(path: &Path) -> io::Result<Self> {
        let old = path.metadata().ok();
        match &old {
            Some(old) if old.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Some(old) if !old.is_file() => {
                let file = OpenOptions::new().write(true).open(path)?;
                Ok(Self::Special(BufWriter::new(file)))
            }
            _ => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let file = new_file(folder.unwrap_or(Path::new(".")), old.as_ref())?;
                Ok(Self::Replacing { writer: BufWriter::new(file), path: path.to_owned() })
            }
        }
    }
}

/// A file beside its place, readable as the file it will replace, or as the user's new files are.
fn new_file(folder: &Path, old: Option<&Metadata>) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The umask applies, as to any new file.
        let standard = std::fs::Permissions::from_mode(0o666);
        builder.permissions(old.map_or(standard, Metadata::permissions));
    }
    builder.tempfile_in(folder)
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.run(|writer| writer.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.run(|writer| writer.flush(), ())
    }
}
