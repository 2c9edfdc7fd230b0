//! SIGTERM and SIGINT become an order to stop; the second one ends the process where it stands.

use crate::shutdown::Shutdown;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Signals that come within so long after the first are the same request: a terminal's Ctrl-C and
/// GNU `timeout` signal the process and then its whole group, so that one request comes twice. Nobody
/// presses a key again that soon.
const ONE_REQUEST: Duration = Duration::from_millis(200);

/// The thread that waits for signals. It ends when this is dropped.
#[derive(Debug)]
pub struct SignalThread {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// From now on the first SIGTERM or SIGINT requests `shutdown`, and the second one exits at once
/// with the status a shell expects (128 + the signal's number), after saying so.
pub fn stop_on_signals(shutdown: &Shutdown) -> io::Result<SignalThread> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let handle = signals.handle();
    let shutdown = shutdown.clone();
    let thread =
        std::thread::Builder::new().name("distric-signals".to_owned()).spawn(move || {
            let mut asked = None;
            for signal in signals.forever() {
                let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
                match asked {
                    None => {
                        asked = Some(Instant::now());
                        shutdown.request(name);
                    }
                    Some(first) if is_the_same_request(first, Instant::now()) => {}
                    Some(_) => {
                        eprintln!("{name} a second time: ending at once, without an orderly stop");
                        signal_hook::low_level::exit(128 + signal);
                    }
                }
            }
        })?;
    Ok(SignalThread { handle, thread: Some(thread) })
}

fn is_the_same_request(first: Instant, now: Instant) -> bool {
    now.duration_since(first) < ONE_REQUEST
}

impl Drop for SignalThread {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic, and there is nobody to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
