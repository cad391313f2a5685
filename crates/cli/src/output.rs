//! Where results go: standard output, or a file that is replaced only when complete.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

/// A place for data. Nothing is left half-written: a file takes its name in [`Sink::finish`].
pub(crate) enum Sink {
    Stdout(BufWriter<std::io::Stdout>),
    File { writer: BufWriter<NamedTempFile>, path: PathBuf },
}

impl Sink {
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(BufWriter::new(std::io::stdout())));
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let file =
            new_file(folder).with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(Self::File { writer: BufWriter::new(file), path: path.to_owned() })
    }

    /// Makes what was written last. Until then an interrupted run leaves the old file.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut writer) => writer.flush().context("cannot write standard output"),
            Self::File { writer, path } => {
                let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error);
                let saved = file.and_then(|file| {
                    file.as_file().sync_all()?;
                    file.persist(&path).map_err(|error| error.error)
                });
                saved.map(drop).with_context(|| format!("cannot write `{}`", path.display()))
            }
        }
    }
}

/// A file beside its place, readable as the user's other files are.
fn new_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The umask applies, as to any new file.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Stdout(writer) => writer.write(bytes),
            Self::File { writer, .. } => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.flush(),
            Self::File { writer, .. } => writer.flush(),
        }
    }
}
