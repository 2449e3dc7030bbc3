//! CSV that a spreadsheet reads as what it is.

use super::*;

#[test]
fn cells_are_quoted_and_formulas_are_text() {
    for (given, expected) in [
        ("", ""),
        ("clinic-scans", "clinic-scans"),
        ("a,b", "\"a,b\""),
        ("say \"no\"", "\"say \"\"no\"\"\""),
        ("two\nlines", "\"two\nlines\""),
        ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
        ("+1", "\"'+1\""),
        ("-1", "\"'-1\""),
        ("@SUM(A1)", "\"'@SUM(A1)\""),
        ("\tx", "\"'\tx\""),
        ("\rx", "\"'\rx\""),
        ("a=b", "a=b"),
        ("clinic-scans-", "clinic-scans-"),
    ] {
        assert_eq!(cell(given), expected, "{given:?}");
    }
}

#[test]
fn a_line_ends_as_the_standard_has_it() {
    assert_eq!(line(&["a", "b,c"]), "a,\"b,c\"\r\n");
}
