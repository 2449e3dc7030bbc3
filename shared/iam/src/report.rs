//! The credential report: every user's keys at one glance, some hours old and without the keys' ids.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html>

use crate::csv;
use crate::ids::UserName;
use crate::user::{Owner, ROOT};
use std::collections::HashMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A credential report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When IAM made it.
    pub made: OffsetDateTime,
    /// One row for each user, and one for root.
    pub rows: Vec<Row>,
}

/// A user's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The user, or root.
    pub owner: Owner,
    /// The first and the second key, if they are active.
    pub keys: Vec<RowKey>,
}

/// An active key, as far as the report tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowKey {
    /// When it was made or last switched on or off; none if the report has no such date.
    pub changed: Option<OffsetDateTime>,
    /// When it was last used; none if it never was.
    pub used: Option<OffsetDateTime>,
}

impl Report {
    /// Reads a report's text; none if it is not what AWS documents, and then nothing can be concluded from it. Columns are
    /// found by their names: AWS adds some from time to time.
    pub fn read(text: &str, made: OffsetDateTime) -> Option<Self> {
        let mut lines = text.lines().map(|line| line.trim_end_matches('\r')).filter(|line| !line.is_empty());
        let head = csv::fields(lines.next()?);
        let columns: HashMap<&str, usize> =
            head.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
        let needed = ["user", "access_key_1_active", "access_key_2_active"];
        if needed.iter().any(|name| !columns.contains_key(name)) {
            return None;
        }
        let rows = lines.map(|line| {
            let fields = csv::fields(line);
            // A row of another length is out of step with the head: no field of it is what it seems.
            (fields.len() == head.len()).then_some(())?;
            let field = |name: &str| columns.get(name).and_then(|at| fields.get(*at)).map_or("", String::as_str);
            let owner = match field("user") {
                ROOT => Owner::Root,
                name => Owner::User(UserName::parse(name).ok()?),
            };
            let keys = ["access_key_1", "access_key_2"].into_iter().filter_map(|key| {
                // What is neither is looked at.
                let off = field(&format!("{key}_active")).eq_ignore_ascii_case("false");
                let date = |name: &str| OffsetDateTime::parse(field(&format!("{key}_{name}")), &Rfc3339).ok();
                (!off).then(|| RowKey { changed: date("last_rotated"), used: date("last_used_date") })
            });
            Some(Row { owner, keys: keys.collect() })
        });
        Some(Self { made, rows: rows.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "user,arn,user_creation_time,password_enabled,access_key_1_active,access_key_1_last_rotated,\
                        access_key_1_last_used_date,access_key_1_last_used_region,access_key_2_active,\
                        access_key_2_last_rotated,access_key_2_last_used_date";

    fn read(rows: &[&str]) -> Option<Report> {
        Report::read(&format!("{HEAD}\n{}", rows.join("\n")), OffsetDateTime::UNIX_EPOCH)
    }

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    #[test]
    fn rows_by_the_names_of_the_columns() {
        let report = read(&[
            "<root_account>,arn:aws:iam::111122223333:root,2019-01-01T00:00:00+00:00,not_supported,false,N/A,N/A,N/A,true,\
             2020-02-03T04:05:06+00:00,N/A",
            "alice,arn:aws:iam::111122223333:user/alice,2019-01-01T00:00:00+00:00,true,true,2026-01-01T00:00:00+00:00,\
             2026-02-02T00:00:00+00:00,us-east-1,false,N/A,N/A",
            "\"b,ob\",\"arn:aws:iam::111122223333:user/b,ob\",2019-01-01T00:00:00+00:00,false,false,N/A,N/A,N/A,false,N/A,N/A",
        ])
        .unwrap();
        let key = |changed, used| RowKey { changed: Some(at(changed)), used };
        let user = |name| Owner::User(UserName::parse(name).unwrap());
        assert_eq!(
            report.rows,
            [
                Row { owner: Owner::Root, keys: vec![key("2020-02-03T04:05:06Z", None)] },
                Row { owner: user("alice"), keys: vec![key("2026-01-01T00:00:00Z", Some(at("2026-02-02T00:00:00Z")))] },
                Row { owner: user("b,ob"), keys: vec![] },
            ]
        );
    }

    #[test]
    fn columns_in_another_order_and_new_ones() {
        let text = "access_key_2_active,new,user,access_key_1_last_used_date,access_key_1_active,access_key_1_last_rotated\n\
                    FALSE,x,alice,N/A,TRUE,2026-01-01T00:00:00Z\n";
        let report = Report::read(text, OffsetDateTime::UNIX_EPOCH).unwrap();
        assert_eq!(report.rows[0].keys, [RowKey { changed: Some(at("2026-01-01T00:00:00Z")), used: None }]);
    }

    #[test]
    fn what_is_not_understood_is_looked_at() {
        let report = read(&["alice,a,b,c,no_information,whenever,N/A,N/A,false,N/A,N/A"]).unwrap();
        assert_eq!(report.rows[0].keys, [RowKey { changed: None, used: None }]);
    }

    #[test]
    fn nothing_is_concluded_from_what_is_no_report() {
        for rows in [
            &["alice,a,b"][..],
            &["a,lice,a,b,c,true,N/A,N/A,N/A,false,N/A,N/A"],
            &["not a name,a,b,c,true,N/A,N/A,N/A,false,N/A,N/A"],
        ] {
            assert_eq!(read(rows), None, "{rows:?}");
        }
        for text in ["", "hello", "<html></html>", "user,arn\nalice,x"] {
            assert_eq!(Report::read(text, OffsetDateTime::UNIX_EPOCH), None, "{text}");
        }
        assert_eq!(read(&[]).map(|report| report.rows), Some(vec![]));
    }
}
