//! bench
#[derive(clap::Args)]
pub struct Arguments {}
pub async fn run(_: Arguments) -> Result<bool, String> {
    Ok(true)
}
