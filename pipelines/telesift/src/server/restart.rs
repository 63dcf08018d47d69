//! The watchdog's way out: the process replaces itself, on the same address, because nothing can stop a SmartModule that
//! never returns.

use std::net::SocketAddr;

/// Tells the new process which address the old one had.
const LISTEN_VARIABLE: &str = "TELESIFT_RESTART_LISTEN";

/// Exit code where a process cannot replace itself: a supervisor is to start it again.
const EXIT_HUNG: i32 = 70;

/// The address of the process this one replaced.
pub(super) fn listen_address() -> Option<String> {
    std::env::var(LISTEN_VARIABLE).ok()
}

/// Replaces this process by a new one with the same arguments. Does not return.
pub(crate) fn restart(address: SocketAddr) -> ! {
    #[cfg(unix)]
    if let Ok(program) = std::env::current_exe() {
        use std::os::unix::process::CommandExt as _;
        let error = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(LISTEN_VARIABLE, address.to_string())
            .exec();
        tracing::error!(%error, "cannot replace the process; a supervisor must start it again");
    }
    std::process::exit(EXIT_HUNG)
}
