//! What the recorder does for a deployment, done here for a ledger in a file: evidence of every finished record.

use super::session::Session;
use super::words::plain;
use crate::show;
use crate::show::eprintln;
use evidence::{Folder, is_due, is_intent};
use ledger::Trouble;
use recorder::{Nobody, Recorder, Voice};
use remediation::lambda::Here;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

/// How long it may take; what is left is for the next command.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes evidence of what is finished in a ledger in a file; of a table's records the recorder does.
pub async fn record(session: &Session, here: &Here) {
    let Some(folder) = session.place.evidence() else { return };
    let (Some(account), Some(region)) = (here.account.clone(), here.region.clone()) else { return };
    let shelf = Folder::new(&folder);
    let voice = Voice { account, region, partition: "aws".to_owned(), stack: None, ledger: None, evidence: None };
    let recorder = Recorder::new(session.ledger.store(), &shelf, &Nobody, &voice);
    let mut troubles = Vec::new();
    if let Err(trouble) = fresh(session, &recorder, &voice).await {
        troubles.push(trouble.to_string());
    }
    // What a command that was killed left behind.
    let accounts = [voice.account.clone()];
    troubles.extend(recorder.hourly(&accounts, OffsetDateTime::now_utc(), Instant::now() + PATIENCE).await.troubles);
    for trouble in troubles {
        eprintln!(
            "{}: evidence is missing in {}, and will be made by the next command: {}",
            show::mind("warning"),
            folder.display(),
            plain(&trouble)
        );
    }
}

/// Of what was finished today, or since a moment before midnight.
async fn fresh(session: &Session, recorder: &Recorder<'_>, voice: &Voice) -> Result<(), Trouble> {
    let now = OffsetDateTime::now_utc();
    for day in [now - time::Duration::DAY, now] {
        let day = super::words::moment(day).chars().take(10).collect::<String>();
        for item in session.ledger.day(voice.account.as_str(), &day).await? {
            if item.key.sk.starts_with(evidence::RECORD) && !is_intent(&item.body) && is_due(&item.body, now) {
                recorder.record(&item.key, now).await?;
            }
        }
    }
    Ok(())
}
