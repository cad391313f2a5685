//! A network namespace without a name: it ends with the last handle on it, also when a test is
//! killed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, bind, socket};

/// How long a command may take.
const LONGEST_SECS: &str = "20";

/// A network namespace of our own.
#[derive(Debug)]
pub(super) struct Namespace(File);

impl Namespace {
    /// An empty one. The calling thread stays where it is.
    pub(super) fn new() -> io::Result<Self> {
        in_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net").map(Self)
        })
    }

    /// A path by which other programs find it while this process lives.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Runs something inside it. Sockets opened there stay there.
    pub(super) fn within<T: Send>(
        &self,
        run: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        in_a_thread(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET)?;
            run()
        })
    }

    /// Runs a command inside it, with `input` on its standard input; the error is what it says.
    pub(super) fn command(&self, line: &str, input: &str) -> io::Result<()> {
        self.within(|| {
            let mut command = Command::new("timeout");
            command.arg(LONGEST_SECS).args(line.split_whitespace());
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn()?;
            // Dropped at once, so that the command sees the end of its input.
            child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()))?;
            let output = child.wait_with_output()?;
            if output.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&output.stderr);
            Err(io::Error::other(format!("`{line}`: {}", said.trim())))
        })
    }

    /// Sets a kernel parameter, named by its path below `/proc/sys/net`.
    pub(super) fn set(&self, name: &str, value: &str) -> io::Result<()> {
        self.within(|| {
            let write = fs::write(Path::new("/proc/sys/net").join(name), value);
            write.map_err(|error| io::Error::other(format!("net/{name}: {error}")))
        })
    }

    /// A socket that sends and receives the frames of an interface.
    pub(super) fn wire(&self, interface: &str) -> io::Result<File> {
        self.within(|| {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let (family, protocol) = (AddressFamily::Packet, SockProtocol::EthAll);
            let wire = socket(family, SockType::Raw, flags, protocol)?;
            let mut found = getifaddrs()?.filter(|found| found.interface_name == interface);
            let address = found.find_map(|found| found.address?.as_link_addr().copied());
            let address = address.ok_or_else(|| io::Error::other("the interface is not there"))?;
            bind(wire.as_raw_fd(), &address)?;
            Ok(File::from(wire))
        })
    }
}

/// Runs something in a thread of its own, whose namespace may then change.
fn in_a_thread<T: Send>(run: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let ended = thread::scope(|scope| scope.spawn(run).join());
    ended.unwrap_or_else(|_| Err(io::Error::other("the thread inside the namespace panicked")))
}
