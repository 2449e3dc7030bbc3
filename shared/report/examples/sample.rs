//! Writes the sample reports as pages into a folder: `cargo run -p report --features testing --example sample -- FOLDER`.

use report::model::Report;
use report::{html, sample};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("which folder? give it as the argument")?);
    std::fs::create_dir_all(&folder)?;
    let write =
        |name: &str, report: &Report| std::fs::write(folder.join(name).with_extension("html"), html::page(report));
    write("clinic", &sample::clinic())?;
    write("empty", &sample::empty())?;
    write("one", &sample::one())?;
    write("broken", &sample::broken())?;
    write("crowd", &sample::crowd(20_000))?;
    Ok(())
}
