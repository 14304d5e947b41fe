//! A bar on standard error for work that takes more than half a second; nothing in a pipe.

use std::fmt::Write;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Progress of one piece of work.
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    shown: bool,
}

impl Progress {
    /// Work of `total` steps; without a total, a count.
    pub(crate) fn new(what: &'static str, total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{msg:12} {bar:30} {percent:>3} %  {human_pos}/{human_len}  {rate}  eta {eta}",
            None => "{msg:12} {spinner} {human_pos}  {rate}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
            };
            bar.set_style(style.progress_chars("━╸─").with_key("rate", rate));
        }
        bar.set_message(what);
        Self { bar, begun: Instant::now(), shown: false }
    }

    /// Says how far it is. Cheap enough for every thousandth record, not for every record.
    pub(crate) fn set(&mut self, done: u64) {
        if !self.shown && self.begun.elapsed() > Duration::from_millis(500) && std::io::stderr().is_terminal() {
            self.shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        self.bar.set_position(done);
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
