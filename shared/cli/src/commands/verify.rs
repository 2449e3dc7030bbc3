//! `suture verify-evidence`: whether evidence is all there, and as it was written.

use super::session::{Place, Session, WhichAndWhere, account_of};
use super::words::{plain, trouble};
use crate::show;
use crate::show::println;
use evidence::{Bucket, Folder, Report, Shelf, audit, verify};
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
    #[arg(value_name = "s3://BUCKET|FOLDER", env = "SUTURE_EVIDENCE")]
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
    which: WhichAndWhere,
}

/// Runs it; true if it is sound.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    // The ledger in a file says nothing about somebody else's evidence, unless it is named.
    let own = arguments.which.which().place()?.evidence();
    let folder = match arguments.place.as_deref() {
        Some(bucket) if bucket.starts_with("s3://") => None,
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(own.clone().ok_or("where is the evidence? name its bucket: suture verify-evidence s3://BUCKET")?),
    };
    let asks = arguments.which.which().is_said() || own.is_some() && folder == own;
    let shelf: Box<dyn Shelf> = match (&folder, arguments.place.as_deref()) {
        (Some(folder), _) => {
            there(folder, arguments.place.is_some())?;
            Box::new(Folder::new(folder))
        }
        (None, bucket) => {
            let owner = arguments.account.as_deref().ok_or("--account");
            Box::new(bucket_of(bucket.unwrap_or_default(), owner, &arguments.which).await?)
        }
    };
    let report = if asks && !arguments.without_ledger {
        let session = Session::open_at(&arguments.which).await?;
        let report = audit(session.ledger.store(), &*shelf).await;
        report.map_err(|away| match session.place {
            Place::Table(_) => format!("{}; to check without the ledger, add --without-ledger", trouble(away)),
            Place::File(_) => trouble(away),
        })?
    } else {
        verify(&*shelf, None).await.map_err(trouble)?
    };
    if arguments.json {
        let mut json =
            serde_json::to_value(&report).map_err(|_| "the report could not be put into words".to_owned())?;
        if let Some(fields) = json.as_object_mut() {
            fields.insert("schema".to_owned(), "suture.verification/1".into());
        }
        println!("{json}");
    } else {
        print(&report);
    }
    Ok(report.is_sound())
}

/// Whether a folder that was named is there: one that is not would look like one from which everything was taken.
pub fn there(folder: &Path, named: bool) -> Result<(), String> {
    if named && !folder.is_dir() {
        return Err(format!(
            "there is no folder {}; for a bucket, write s3://BUCKET",
            shown(&folder.to_string_lossy())
        ));
    }
    Ok(())
}

/// The bucket that is named so, of this account or else of whoever asks; then an account could be named by this option.
pub async fn bucket_of(place: &str, owner: Result<&str, &str>, which: &WhichAndWhere) -> Result<Bucket, String> {
    let name = place.strip_prefix("s3://").unwrap_or_default().trim_end_matches('/');
    if name.is_empty() || name.contains('/') {
        return Err(format!("{} is no bucket; write s3://BUCKET, without a folder", shown(place)));
    }
    let aws = which.aws().await?;
    aws.region()?;
    let owner = match owner {
        Ok(id) => AccountId::parse(id)?,
        Err(option) => {
            account_of(&aws.caller().await.map_err(|why| format!("{why} (or name the bucket's owner with {option})"))?)?
        }
    };
    aws.sign_in().await?;
    Ok(Bucket::new(aws.sdk(), name, owner))
}

fn print(report: &Report) {
    let lines = report.lines();
    let Some((verdict, lines)) = lines.split_last() else { return };
    for line in lines {
        println!("{}", plain(line));
    }
    println!("{}", if report.is_sound() { show::good(plain(verdict)) } else { show::bad(plain(verdict)) });
}
