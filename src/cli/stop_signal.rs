//! The signals that stop a command.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Returns a future that ends at SIGINT, SIGTERM or SIGHUP. From the call on, these signals do not
/// end the process: the command finishes its files first.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}
