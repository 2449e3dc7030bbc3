use super::*;

#[test]
fn a_url_is_shown_without_whoever_signs_in_there() {
    for (url, shown) in [
        ("http://127.0.0.1:4566", "\"http://127.0.0.1:4566\""),
        ("http://alice:hunter2@localhost:4566/x", "\"http://localhost:4566/x\""),
        ("https://a@b@c.example/d@e", "\"https://c.example/d@e\""),
        ("alice:hunter2@localhost", "\"localhost\""),
    ] {
        assert_eq!(without_user(url), shown);
    }
}

#[test]
fn what_is_no_url_is_said_before_anything_is_sent() {
    for good in ["http://127.0.0.1:4566", "https://localhost", "http://[::1]:4566/"] {
        assert_eq!(is_url(good), Ok(()), "{good}");
    }
    for bad in ["", "localhost:4566", "127.0.0.1", "ftp://localhost", "http://", "http://a b"] {
        let why = is_url(bad).unwrap_err();
        assert!(why.contains("AWS_ENDPOINT_URL") && why.contains("such as http://127.0.0.1:4566"), "{bad}: {why}");
    }
}

#[test]
fn of_a_file_that_is_not_understood_the_line_is_named_and_not_shown() {
    let first = "error parsing /home/alice/.aws/config on line 3:";
    assert_eq!(place_in(first).as_deref(), Some("\"/home/alice/.aws/config\", line 3,"));
    for other in ["", "error parsing x", "error parsing x on line y:", "3"] {
        assert_eq!(place_in(other), None, "{other}");
    }
}
