//! Requests for another try of dead letters, on their way into the log.

use telesift_ports::{
    dead_letters::{LetterRow, request_retries},
    record_log,
};

use super::Log;
use crate::auth::Viewer;

impl Log {
    /// Asks for another try of those that are open; returns how many that are.
    pub(crate) async fn retry(
        &self,
        _: &Viewer,
        letters: &[LetterRow],
    ) -> record_log::Result<usize> {
        request_retries(&*self.0, letters).await
    }
}
