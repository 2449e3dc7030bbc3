//! What a function writes to its standard output and error.
//!
//! A function logs before it answers, but the log and the answer reach us by different ways. So whoever wants the lines
//! of an invocation reads all that is in the pipe at that moment, instead of what a task has got round to reading.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

/// A log line of a function, for who watches.
pub(super) type Watch = Arc<dyn Fn(&str) + Send + Sync>;

/// The reading end of a function's output.
pub(super) struct Log {
    lines: Arc<Mutex<Lines>>,
    reader: JoinHandle<()>,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Log {
    /// A pipe: its reading end, read from now on, and its writing end. One for output and error alike, so that lines keep
    /// their order.
    pub fn open(watch: Watch) -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let pipe = reader.try_clone()?;
        // Makes the pipe non-blocking for both.
        let receiver = Receiver::from_owned_fd(reader.into())?;
        let lines = Arc::new(Mutex::new(Lines { pipe, rest: Vec::new(), whole: Vec::new(), watch }));
        let reader = tokio::spawn(read(receiver, Arc::clone(&lines)));
        Ok((Self { lines, reader }, writer))
    }

    /// The lines that were written until now and not taken yet. If the process has `ended`, the last needs no line feed.
    pub fn take(&self, ended: bool) -> Vec<String> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.drain();
        if ended && !lines.rest.is_empty() {
            lines.add(b"\n");
        }
        std::mem::take(&mut lines.whole)
    }
}

/// Reads whenever there is something, so that a function that writes much is not held up and who watches sees it at once.
async fn read(receiver: Receiver, lines: Arc<Mutex<Lines>>) {
    let mut buffer = [0; 4096];
    while receiver.readable().await.is_ok() {
        // Locked before it is read: what is read later must not be added earlier.
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        match receiver.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => lines.add(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

struct Lines {
    pipe: PipeReader,
    rest: Vec<u8>,
    whole: Vec<String>,
    watch: Watch,
}

impl Lines {
    fn drain(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.pipe.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nothing more at this moment, or closed.
                Ok(0) | Err(_) => return,
                Ok(read) => self.add(buffer.get(..read).unwrap_or_default()),
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            // Not all that programs print is UTF-8; the line counts all the same.
            let line = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            (self.watch)(&line);
            self.whole.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn what_was_written_is_taken_though_no_task_has_read_it() {
        let (log, mut output) = Log::open(Arc::new(|_| {})).unwrap();
        // Nothing is awaited here, so the task cannot have run.
        output.write_all(b"one\ntwo\r\nunfin").unwrap();
        assert_eq!(log.take(false), ["one", "two"]);
        output.write_all(b"ished\nlast").unwrap();
        assert_eq!(log.take(true), ["unfinished", "last"]);
        assert_eq!(log.take(true), Vec::<String>::new());
    }

    #[tokio::test]
    async fn the_task_reads_what_does_not_fit_the_pipe() {
        let (log, mut output) = Log::open(Arc::new(|_| {})).unwrap();
        let written = tokio::task::spawn_blocking(move || output.write_all(&b"0123456789abcde\n".repeat(50_000)));
        written.await.unwrap().unwrap();
        assert_eq!(log.take(false).len(), 50_000);
    }
}
