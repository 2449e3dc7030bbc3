//! `suture verify-evidence`: whether evidence is all there, and as it was written.

use super::session::{Place, Session, Which, account_of, caller, region};
use super::words::{plain, trouble};
use crate::show;
use anstream::println;
use evidence::{Bucket, Folder, Report, Shelf, audit, verify};
use remediation::lambda::sdk_config;
use remediation::{AccountId, shown};
use std::path::{Path, PathBuf};

/// Check that no evidence is missing or was changed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture verify-evidence s3://suture-evidence --ledger suture-LedgerTable-1ABC2DEF
  suture verify-evidence ./downloaded
  suture verify-evidence                  the evidence of your own ledger in a file

Ends with 0 if it is sound, 1 if it is not, 2 if it could not be checked. Without a ledger nothing
shows whether pieces are missing at the end: keep what it prints, and compare next time.
docs/evidence.md says how to check by hand.")]
pub struct Arguments {
    /// Where the evidence is: s3://BUCKET, or a folder.
    #[arg(value_name = "s3://BUCKET|FOLDER")]
    place: Option<String>,
    /// The account that owns the bucket; that of your credentials, if not given.
    #[arg(long)]
    account: Option<String>,
    /// Do not ask a ledger, whatever SUTURE_LEDGER says.
    #[arg(long)]
    without_ledger: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Runs it; true if it is sound.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    // The ledger in a file says nothing about somebody else's evidence, unless it is named.
    let own = arguments.which.place()?.evidence();
    let folder = match arguments.place.as_deref() {
        Some(bucket) if bucket.starts_with("s3://") => None,
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(own.clone().ok_or("where is the evidence? name its bucket: suture verify-evidence s3://BUCKET")?),
    };
    let asks = arguments.which.is_said() || own.is_some() && folder == own;
    let shelf: Box<dyn Shelf> = match (&folder, arguments.place.as_deref()) {
        (Some(folder), _) => {
            there(folder, arguments.place.is_some())?;
            Box::new(Folder::new(folder))
        }
        (None, bucket) => Box::new(bucket_of(bucket.unwrap_or_default(), arguments.account.as_deref()).await?),
    };
    let report = if asks && !arguments.without_ledger {
        let session = Session::open(&arguments.which).await?;
        let report = audit(session.ledger.store(), &*shelf).await;
        report.map_err(|away| match session.place {
            Place::Table(_) => format!("{}; to check without the ledger, add --without-ledger", trouble(away)),
            Place::File(_) => trouble(away),
        })?
    } else {
        verify(&*shelf, None).await.map_err(trouble)?
    };
    if arguments.json {
        let json = serde_json::to_string(&report);
        println!("{}", json.map_err(|_| "the report could not be put into words".to_owned())?);
    } else {
        print(&report);
    }
    Ok(report.is_sound())
}

/// Whether a folder that was named is there: one that is not would look like one from which everything was taken.
fn there(folder: &Path, named: bool) -> Result<(), String> {
    if named && !folder.is_dir() {
        return Err(format!(
            "there is no folder {}; for a bucket, write s3://BUCKET",
            shown(&folder.to_string_lossy())
        ));
    }
    Ok(())
}

async fn bucket_of(place: &str, account: Option<&str>) -> Result<Bucket, String> {
    let name = place.strip_prefix("s3://").unwrap_or_default().trim_end_matches('/');
    if name.is_empty() || name.contains('/') {
        return Err(format!("{} is no bucket; write s3://BUCKET, without a folder", shown(place)));
    }
    let sdk = sdk_config().await;
    region(&sdk)?;
    let owner = match account {
        Some(id) => AccountId::parse(id)?,
        None => account_of(&caller(&sdk).await.map_err(|why| format!("{why}; or name its owner with --account"))?)?,
    };
    Ok(Bucket::new(&sdk, name, owner))
}

fn print(report: &Report) {
    let lines = report.lines();
    let Some((verdict, lines)) = lines.split_last() else { return };
    for line in lines {
        println!("{}", plain(line));
    }
    println!("{}", if report.is_sound() { show::good(plain(verdict)) } else { show::bad(plain(verdict)) });
}
