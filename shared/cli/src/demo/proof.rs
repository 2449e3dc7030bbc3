//! How the morning ends: what was done is evidence, and a report.

use super::stage::Stage;
use super::step::{Shown, Step};
use bytes::Bytes;
use http::{Method, StatusCode};
use std::path::Path;

/// The evidence is all there; nobody can take a piece away; and who changes a copy is found out.
pub async fn evidence(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("evidence", "What was done is evidence: chained by hashes, locked for six years");
    stage.settled().await?;
    let place = stage.desk.evidence().to_owned();
    step.types(&stage.desk, &["verify-evidence", &place], Shown::With(&["pieces of", "sound"]), 0).await?;
    let bucket = place.trim_start_matches("s3://");
    let listed = stage.quiet.s3(Method::GET, &format!("/{bucket}?versions&prefix=records/"), Bytes::new()).await?;
    let (keys, versions) = (listed.texts("Key"), listed.texts("VersionId"));
    let pieces: Vec<(String, String)> = keys.into_iter().zip(versions).collect();
    let Some((key, version)) = pieces.first() else { return Err("there is no piece of evidence".to_owned()) };
    let gone = stage.alice.s3(Method::DELETE, &format!("/{bucket}/{key}?versionId={version}"), Bytes::new()).await?;
    step.see("alice tries to delete a piece, and AWS says no (403)", gone.status == StatusCode::FORBIDDEN);
    let copy = stage.report.with_extension(format!("{}.evidence", std::process::id()));
    let told = copied(stage, bucket, &pieces, &copy, &mut step).await;
    let _ = std::fs::remove_dir_all(&copy);
    told.map(|()| step)
}

/// Copies the evidence into a folder, and has it checked once as it is and once with another name in it.
async fn copied(
    stage: &Stage<'_>,
    bucket: &str,
    pieces: &[(String, String)],
    folder: &Path,
    step: &mut Step,
) -> Result<(), String> {
    let file = |error: std::io::Error| format!("the evidence cannot be copied: {}", error.kind());
    let mut changed = false;
    for (key, _) in pieces {
        let piece = stage.quiet.must(Method::GET, &format!("/{bucket}/{key}"), Bytes::new()).await?;
        let mut text = String::from_utf8_lossy(&piece.body).into_owned();
        if !changed && text.contains("user/alice") {
            text = text.replace("user/alice", "user/bob");
            changed = true;
        }
        let path = folder.join(key);
        std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(file)?;
        std::fs::write(path, text).map_err(file)?;
    }
    step.happened("In a copy of it, on her own disk, she writes bob's name in the place of hers.");
    let folder = folder.display().to_string();
    step.types(&stage.desk, &["verify-evidence", &folder], Shown::With(&["changed", "NOT SOUND"]), 1).await
}

/// The report of the morning, for whoever asks.
pub async fn report(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("report", "Whoever asks is handed one file");
    stage.settled().await?;
    let out = stage.report.display().to_string();
    let report = ["report", "--from=1h", "--out", &out, "--force"];
    step.types(&stage.desk, &report, Shown::All, 0).await?;
    let page = std::fs::read_to_string(&stage.report).unwrap_or_default();
    let told = ["clinic-scans", "deploy-pipeline", "web@clinic.example", "INC-8"];
    step.see("what happened this morning is in it", told.iter().all(|name| page.contains(name)));
    Ok(step)
}
