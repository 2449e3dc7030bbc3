//! Whether the lab still has something to do: events that functions have not answered, records that wait in a stream.

use tokio::sync::watch;

/// How many things are under way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Idle(watch::Sender<usize>);

/// Something that is under way, until it is dropped.
#[derive(Debug)]
pub struct Busy(watch::Sender<usize>);

impl Idle {
    /// Something begins.
    pub fn begin(&self) -> Busy {
        self.0.send_modify(|busy| *busy += 1);
        Busy(self.0.clone())
    }

    /// How many things are under way.
    pub fn busy(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until nothing is.
    pub async fn settled(&self) {
        // It fails when nobody can begin anything any more.
        let _ = self.0.subscribe().wait_for(|busy| *busy == 0).await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|busy| *busy = busy.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn settled_is_when_all_have_ended() {
        let idle = Idle::default();
        let (one, two) = (idle.begin(), idle.begin());
        assert_eq!(idle.busy(), 2);
        drop(one);
        let waiting = tokio::spawn({
            let idle = idle.clone();
            async move { idle.settled().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.unwrap();
        idle.settled().await;
    }
}
