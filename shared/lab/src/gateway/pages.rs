//! Smaller pages than were asked for, which every service may give: a listing that takes a page for the whole is found with
//! a handful of resources.

use crate::call::Call;
use crate::understand::form;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The least that EC2 takes for MaxResults.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>
const EC2_LEAST: usize = 5;

/// The same call for at most so many items; none if it is no listing, or asks for fewer itself.
pub(super) fn smaller(call: &Call, most: usize) -> Option<Call> {
    let (parameter, least, in_query) = match call.service.as_str() {
        "s3" if call.operation == "ListBuckets" => ("max-buckets", 1, true),
        "iam" if call.operation.starts_with("List") => ("MaxItems", 1, false),
        // Without the parameter, or with ids, EC2 gives all at once.
        "ec2" if form(&call.request).iter().any(|(name, _)| name == "MaxResults") => ("MaxResults", EC2_LEAST, false),
        _ => return None,
    };
    let most = most.max(least);
    let mut fields = if in_query { call.request.query() } else { form(&call.request) };
    let asked = fields.iter().find(|(name, _)| name == parameter).and_then(|(_, value)| value.parse::<usize>().ok());
    if asked.is_some_and(|asked| asked <= most) {
        return None;
    }
    fields.retain(|(name, _)| name != parameter);
    fields.push((parameter.to_owned(), most.to_string()));
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let mut call = call.clone();
    if in_query {
        call.request.target = format!("{}?{}", call.request.path(), fields.join("&"));
    } else {
        call.request.body = fields.join("&").into();
    }
    Some(call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Caller;
    use crate::http::ApiRequest;
    use crate::understand::understand;
    use http::Method;

    fn call(service: &str, target: &str, body: &str) -> Call {
        let scope = format!("x Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/{service}/aws4_request");
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        let request = ApiRequest::new(method, target).header("authorization", &scope);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
        understand(request, &|_| Caller::Anonymous)
    }

    #[test]
    fn a_listing_is_asked_for_less() {
        for (service, target, body, expected) in [
            ("s3", "/?max-buckets=500&prefix=a%2Fb", "", Some("/?prefix=a%2Fb&max%2Dbuckets=3")),
            ("s3", "/", "", Some("/?max%2Dbuckets=3")),
            ("s3", "/?max-buckets=2", "", None),
            ("s3", "/clinic?acl", "", None),
            ("iam", "/", "Action=ListUsers&MaxItems=100", Some("Action=ListUsers&MaxItems=3")),
            ("iam", "/", "Action=ListUsers", Some("Action=ListUsers&MaxItems=3")),
            ("iam", "/", "Action=GetUser&UserName=bob", None),
            ("ec2", "/", "Action=DescribeVpcs&MaxResults=1000", Some("Action=DescribeVpcs&MaxResults=5")),
            ("ec2", "/", "Action=DescribeVpcs&VpcId.1=vpc-1", None),
        ] {
            let found = smaller(&call(service, target, body), 3).map(|call| {
                if body.is_empty() {
                    call.request.target
                } else {
                    String::from_utf8(call.request.body.to_vec()).unwrap()
                }
            });
            assert_eq!(found.as_deref(), expected, "{service} {target} {body}");
        }
    }
}
