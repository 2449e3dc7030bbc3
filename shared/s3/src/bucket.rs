//! Names of general purpose buckets.

use std::fmt;
use triggers::ids::shown;

/// The name of a general purpose bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketName(String);

impl BucketName {
    /// Takes a bucket's name or its ARN (`arn:aws:s3:::clinic-scans`), and says what is wrong with anything else. The
    /// rules are those of <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>; names with
    /// capitals or underscores, which us-east-1 allowed until 2018, are taken too: such buckets are still about.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = match text.split(':').collect::<Vec<_>>().as_slice() {
            ["arn", _, "s3", "", "", name] => name,
            ["arn", ..] => return Err(format!("{} is the ARN of something else than a bucket", shown(text))),
            _ => text,
        };
        let wrong = |why: &str| Err(format!("{} is no bucket name: {why}", shown(text)));
        if name.contains("{{") {
            return wrong("a template that was never filled in?");
        }
        // Old names could have 255 characters, but those cannot be addressed over TLS by host, and S3 lists none.
        if !(3..=63).contains(&name.len()) {
            return wrong("it must have 3 to 63 characters");
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
            return wrong("it must consist of letters, digits, dots, dashes and underscores");
        }
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        if !edge(name.bytes().next()) || !edge(name.bytes().last()) || name.contains("..") {
            return wrong("it must begin and end with a letter or digit, and have no two dots in a row");
        }
        if name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok()) {
            return wrong("it is an IP address");
        }
        for (suffix, what) in [
            ("--x-s3", "a directory bucket, which is never public"),
            ("--table-s3", "a table bucket, which has no public access block"),
            ("-s3alias", "an access point's alias; name the bucket behind it"),
            ("--ol-s3", "an Object Lambda access point's alias; name the bucket behind it"),
            (".mrap", "a Multi-Region Access Point's alias; name the buckets behind it"),
        ] {
            if name.ends_with(suffix) {
                return Err(format!("{} is {what}", shown(text)));
            }
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in
            ["clinic-scans", "abc", "a.b-c", "Old_Bucket", "arn:aws:s3:::clinic-scans", "arn:aws-us-gov:s3:::x-y"]
        {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        assert_eq!(BucketName::parse("arn:aws:s3:::clinic-scans").unwrap().as_str(), "clinic-scans");
        let long = "a".repeat(64);
        let bad = [
            "",
            "ab",
            &long,
            "clinic/scans",
            "../clinic",
            "clinic scans",
            "clinic?acl",
            "clinic\nscans",
            "-clinic",
            "clinic-",
            "a..b",
            "192.168.5.4",
            "{{{bucket}}}",
            "{{bucket}}",
            "clïnic",
            "scans--use1-az4--x-s3",
            "x-s3alias",
            "x--ol-s3",
            "arn:aws:s3:::clinic-scans/key",
            "arn:aws:s3:us-east-1:111122223333:accesspoint/ap",
            "arn:aws:s3",
            "m.mrap",
        ];
        for bad in bad {
            assert!(BucketName::parse(bad).is_err(), "{bad}");
        }
    }
}
