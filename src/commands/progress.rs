//! Telling how long work goes: a line that renews itself on a terminal, elsewhere a log line every few seconds.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

const LIVE_EVERY: Duration = Duration::from_millis(200);
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Where progress is told, on standard error.
pub(super) struct Line {
    on_terminal: bool,
    last: Instant,
    shown: bool,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            on_terminal: std::io::stderr().is_terminal(),
            last: Instant::now(),
            shown: false,
        }
    }

    /// Says it, unless something was said a moment ago.
    pub(super) fn show(&mut self, text: &str) {
        let every = if self.on_terminal {
            LIVE_EVERY
        } else {
            LOG_EVERY
        };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        if self.on_terminal {
            self.shown = true;
            eprint!("\r\x1b[K{text}");
            // A terminal that is gone is no reason to stop the work.
            let _ = std::io::stderr().flush();
        } else {
            tracing::info!("{text}");
        }
    }

    /// Ends the line on a terminal.
    pub(super) fn end(&mut self) {
        if self.shown {
            eprintln!();
        }
    }
}
