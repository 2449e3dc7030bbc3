//! The periods that a person gives, and the files that come of a report.

use super::files::{Format, Target, write};
use super::*;
use std::os::unix::fs::PermissionsExt;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_768_473_931).unwrap() // 2026-01-15T10:45:31Z
}

fn wanted_of(from: &str, to: &str) -> Wanted {
    let at = |text: &str, end: bool| time_in(text, now(), end).unwrap();
    Wanted {
        from: at(from, false),
        to: at(to, true),
        look_back: Duration::ZERO,
        accounts: BTreeSet::new(),
        likely: BTreeSet::new(),
        check: true,
        now: now(),
    }
}

#[test]
fn a_day_is_whole_at_both_ends() {
    for (text, at_the_end, expected) in [
        ("2026-01-14", false, "2026-01-14T00:00:00Z"),
        ("2026-01-14", true, "2026-01-15T00:00:00Z"),
        ("2026-01-14T08:00:00+01:00", true, "2026-01-14T07:00:00Z"),
        ("30d", false, "2025-12-16T10:45:31Z"),
        ("12h", true, "2026-01-14T22:45:31Z"),
        ("0", true, "2026-01-15T10:45:31Z"),
    ] {
        assert_eq!(time_in(text, now(), at_the_end).map(moment).as_deref(), Ok(expected), "{text}");
    }
    for wrong in ["", "yesterday", "2026-02-30", "15.01.2026", "2026-01", "-30d", "9999999d", "4000000000h"] {
        assert!(time_in(wrong, now(), false).is_err(), "{wrong}");
    }
}

#[test]
fn the_files_are_called_by_the_page() {
    let wanted = wanted_of("2026-01-01", "2026-01-14");
    let names = |out: Option<&str>, formats: &[Format]| {
        let target = Target::of(out.map(Path::new), formats, &wanted).unwrap();
        target.paths().iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let usual = "suture-report-2026-01-01-2026-01-14";
    assert_eq!(names(None, &[])[..2], [format!("{usual}.html"), format!("{usual}.csv")]);
    assert_eq!(names(Some("a/r.html"), &[]), ["a/r.html", "a/r.csv", "a/r-records.csv", "a/r.json"]);
    assert_eq!(names(Some("q4.2026"), &[Format::Html, Format::Json]), ["q4.2026.html", "q4.2026.json"]);
    assert_eq!(names(Some("r.htm"), &[Format::Html]), ["r.htm"]);
    assert_eq!(names(Some("/"), &[Format::Html]), [format!("/{usual}.html")]);
    assert_eq!(Target::of(Some(Path::new("-")), &[], &wanted), Ok(Target::Printed(Format::Html)));
    assert!(Target::of(Some(Path::new("-")), &[Format::Csv, Format::Json], &wanted).is_err());
    assert!(Target::of(Some(Path::new("..")), &[], &wanted).is_ok(), "a folder");
    assert!(Target::of(Some(Path::new("nowhere/..")), &[], &wanted).is_err());
}

#[test]
fn a_file_is_its_owners_alone_and_whole() {
    let folder = std::env::temp_dir().join(format!("suture-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let wanted = wanted_of("2026-01-01", "2026-01-14");
    let page = folder.join("r.html");
    let target = Target::of(Some(&page), &[], &wanted).unwrap();
    assert_eq!(target.is_free(false), Ok(()));
    write(&page, "first").unwrap();
    assert_eq!(std::fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
    let taken = target.is_free(false).unwrap_err();
    assert!(taken.contains("r.html is there already") && taken.contains("--force"), "{taken}");
    assert_eq!(target.is_free(true), Ok(()));
    write(&page, "second").unwrap();
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "second");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left of the way there");
    let nowhere = write(&folder.join("none/r.html"), "").unwrap_err();
    assert!(nowhere.contains("its folder does not exist") && nowhere.contains("--out"), "{nowhere}");
    // What a link leads to is left as it is.
    let linked = folder.join("link.html");
    std::os::unix::fs::symlink(&page, &linked).unwrap();
    write(&linked, "third").unwrap();
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "second");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn spans_for_people() {
    for (seconds, says) in
        [(0.031, "31 ms"), (42.0, "42 s"), (600.0, "10 min"), (7300.0, "2 h"), (864_000.0, "10 days")]
    {
        assert_eq!(span(seconds), says);
    }
}
