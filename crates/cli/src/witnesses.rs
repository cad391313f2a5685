//! The capture of witnesses `diff` writes beside its report.

use std::path::{Path, PathBuf};

use anyhow::Context;
use parefeu_equivalence::Finding;
use parefeu_report::{WitnessFormat, write_witnesses};

use crate::output::Sink;

/// A capture to be written.
pub(crate) struct WitnessFile {
    sink: Sink,
    format: WitnessFormat,
    name: String,
}

impl WitnessFile {
    /// The file at `path`: pcapng where its name ends so, else pcap. It is neither an input of this
    /// run nor the file the report goes to.
    pub(crate) fn open<'a>(
        path: &Path,
        inputs: impl IntoIterator<Item = &'a PathBuf>,
        report: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        anyhow::ensure!(path != Path::new("-"), "--witnesses takes a file, not standard output");
        anyhow::ensure!(report != Some(path), "cannot write `{name}`: the report goes there");
        let is_pcapng = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("pcapng"));
        let format = if is_pcapng { WitnessFormat::Pcapng } else { WitnessFormat::Pcap };
        Ok(Self { sink: Sink::open(Some(path), inputs)?, format, name })
    }

    /// Writes the witness of each finding, in order.
    pub(crate) fn write(
        self,
        findings: &[Finding],
        applications: &[Box<str>],
    ) -> anyhow::Result<()> {
        let Self { sink, format, name } = self;
        let written = write_witnesses(sink, format, findings, applications);
        written.with_context(|| format!("cannot write `{name}`"))?.finish()
    }
}
