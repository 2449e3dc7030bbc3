//! The control's own queue, by which a large sweep hands its parts to other invocations of the same function. AWS spreads
//! them: as many at a time as the template allows, each with a time limit of its own, again if one fails.

use crate::fault::{Attempt, Fault};
use aws_config::SdkConfig;
use aws_sdk_sqs as sqs;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry as Entry;
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;

/// How many messages one call takes, and how many bytes they may have together. AWS takes 1 MiB since August 2025; an older
/// service takes a quarter.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const MESSAGES: usize = 10;
const BYTES: usize = 250_000;
/// Waits before what was not taken is sent again.
const AGAIN: [u64; 3] = [200, 800, 3200];

/// A queue.
#[derive(Debug)]
pub struct Queue {
    client: sqs::Client,
    url: String,
}

impl Queue {
    /// The queue with this URL. No call is made yet.
    pub fn new(sdk: &SdkConfig, url: String) -> Self {
        Self { client: sqs::Client::new(sdk), url }
    }

    /// Sends messages, as many at a time as SQS takes. Needs `sqs:SendMessage`.
    ///
    /// # Errors
    /// If one was not sent; those before it were. To send all of them again does no harm.
    pub async fn send(&self, messages: &[Value]) -> Result<(), Fault> {
        let mut rest = messages.iter().map(ToString::to_string).peekable();
        while rest.peek().is_some() {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some(message) =
                rest.next_if(|next| batch.is_empty() || (batch.len() < MESSAGES && bytes + next.len() <= BYTES))
            {
                bytes += message.len();
                batch.push(message);
            }
            self.batch(batch).await?;
        }
        Ok(())
    }

    async fn batch(&self, mut messages: Vec<String>) -> Result<(), Fault> {
        let attempt = Attempt { action: "sqs:SendMessage", resource: &"the sweep's queue" };
        let mut waits = AGAIN.iter();
        loop {
            let entry =
                |(n, body): (usize, &String)| Entry::builder().id(n.to_string()).message_body(body).build().ok();
            let entries = messages.iter().enumerate().filter_map(entry).collect();
            let sent = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
            let answer = sent.map_err(|error| attempt.fault(&error))?;
            let failed: Vec<usize> = answer.failed().iter().filter_map(|entry| entry.id().parse().ok()).collect();
            if failed.is_empty() {
                return Ok(());
            }
            messages = failed.into_iter().filter_map(|n| messages.get(n).cloned()).collect();
            let Some(wait) = waits.next() else {
                let left = messages.len();
                return Err(Fault::Retry(format!(
                    "sqs:SendMessage on the sweep's queue: {left} messages were not taken"
                )));
            };
            sleep(Duration::from_millis(*wait)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, Sent, answer, ok};
    use serde_json::json;
    use std::sync::Mutex;

    const URL: &str = "https://sqs.us-east-1.amazonaws.com/111122223333/suture-sweep";

    fn entries(sent: &Sent) -> Vec<Value> {
        let body: Value = serde_json::from_str(&sent.body).unwrap();
        assert_eq!(body["QueueUrl"], URL);
        body["Entries"].as_array().unwrap().clone()
    }

    fn taken() -> Fake {
        Fake::new(|_| ok("{}"))
    }

    fn queue(fake: &Fake) -> Queue {
        Queue::new(&fake.sdk(), URL.to_owned())
    }

    #[tokio::test]
    async fn messages_go_in_batches_that_sqs_takes() {
        let fake = taken();
        let small: Vec<Value> = (0..23).map(|n| json!({"n": n})).collect();
        queue(&fake).send(&small).await.unwrap();
        let sizes: Vec<usize> = fake.sent().iter().map(|sent| entries(sent).len()).collect();
        assert_eq!(sizes, [10, 10, 3]);
        let bodies: Vec<String> = fake
            .sent()
            .iter()
            .flat_map(entries)
            .map(|entry| entry["MessageBody"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(bodies, small.iter().map(ToString::to_string).collect::<Vec<_>>());

        let fake = taken();
        let large: Vec<Value> = (0..4).map(|_| json!("x".repeat(100_000))).collect();
        queue(&fake).send(&large).await.unwrap();
        assert_eq!(fake.sent().iter().map(|sent| entries(sent).len()).collect::<Vec<_>>(), [2, 2]);

        let fake = taken();
        queue(&fake).send(&[]).await.unwrap();
        assert!(fake.sent().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_taken_is_sent_again_and_nothing_else() {
        let calls = Mutex::new(0);
        let fake = Fake::new(move |_| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            ok(if *calls == 1 { r#"{"Failed":[{"Id":"1","SenderFault":false,"Code":"InternalError"}]}"# } else { "{}" })
        });
        queue(&fake).send(&[json!(1), json!(2), json!(3)]).await.unwrap();
        let bodies: Vec<Vec<String>> = fake
            .sent()
            .iter()
            .map(|sent| entries(sent).iter().map(|entry| entry["MessageBody"].as_str().unwrap().to_owned()).collect())
            .collect();
        assert_eq!(bodies, [vec!["1", "2", "3"], vec!["2"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_never_taken_is_told() {
        let fake = Fake::new(|_| ok(r#"{"Failed":[{"Id":"0","SenderFault":false,"Code":"InternalError"}]}"#));
        let fault = queue(&fake).send(&[json!(1)]).await.unwrap_err();
        assert!(fault.is_worth_a_retry(), "{fault}");
        let fake = Fake::new(|_| answer(403, r#"{"__type":"AccessDenied","message":"secret"}"#));
        let fault = queue(&fake).send(&[json!(1)]).await.unwrap_err();
        assert!(matches!(fault, Fault::Denied { action: "sqs:SendMessage", .. }), "{fault}");
    }
}
