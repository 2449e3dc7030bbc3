//! Whether a call that was refused may have been carried out all the same.
//!
//! The SDK makes a call again whose answer was lost. If the first one had been carried out, the second is told that there
//! is nothing to revoke, or that the rule is already there: what we did ourselves looks like what somebody else did, and a
//! record that believed it would claim nothing and could take nothing back.

use aws_sdk_ec2::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Watches the attempts of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    unclear: Arc<AtomicBool>,
}

impl Attempts {
    /// Whether of any attempt it cannot be told whether EC2 carried it out: no answer, none that could be read, or one
    /// that says that EC2 had a fault.
    pub(crate) fn unclear(&self) -> bool {
        self.unclear.load(Ordering::Relaxed)
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let status = context.response().map(|response| response.status().as_u16());
        let done = matches!(context.output_or_error(), Some(Ok(_)));
        // 503 is how EC2 throttles.
        if !done && !matches!(status, Some(400..=499 | 503)) {
            self.unclear.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
