//! STS's AssumeRole: who gets the keys of which role.

use super::Gateway;
use crate::accounts::principals;
use crate::call::{Call, Caller};
use crate::http::{ApiRequest, ApiResponse};
use crate::policies::{Asked, Verdict, judge};
use crate::quirks::error::{escape, request_id, respond};
use crate::understand::form;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use std::collections::BTreeMap;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// How long a session lasts that was asked for without a duration, and at most if a role asks for it, in seconds.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const HOUR: u32 = 3600;
/// The shortest session.
const SHORTEST: u32 = 900;

/// A role as IAM has it.
struct Role {
    account: String,
    name: String,
    trust: Vec<Value>,
    longest: u32,
}

impl Gateway {
    /// Answers AssumeRole: with keys that the lab knows from then on, or with AWS's refusal, which does not tell a role that
    /// is not there from one that does not trust the caller.
    pub(super) async fn assume_role(&self, call: &Call) -> ApiResponse {
        let fields: BTreeMap<_, _> = form(&call.request).into_iter().collect();
        let text = |name: &str| fields.get(name).map(String::as_str);
        let invalid = |why: &str| respond(call, StatusCode::BAD_REQUEST, "ValidationError", why, &[]);
        let (arn, session) = (text("RoleArn").unwrap_or_default(), text("RoleSessionName").unwrap_or_default());
        if !is_name(session, 2..=64, "_+=,.@-") {
            return invalid("The roleSessionName must have 2 to 64 letters, digits and characters of _+=,.@-");
        }
        let external_id = text("ExternalId");
        if external_id.is_some_and(|id| !is_name(id, 2..=1224, "_+=,.@:/-")) {
            return invalid("The externalId must have 2 to 1224 letters, digits and characters of _+=,.@:/-");
        }
        let asked_for = match text("DurationSeconds").map(str::parse::<u32>) {
            None => HOUR,
            Some(Ok(seconds)) if (SHORTEST..=12 * HOUR).contains(&seconds) => seconds,
            Some(_) => return invalid("The durationSeconds must be between 900 and 43200"),
        };
        let denied = || {
            let message =
                format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}", call.caller.arn());
            respond(call, StatusCode::FORBIDDEN, "AccessDenied", &message, &[])
        };
        let role = self.role(arn).await.filter(|role| self.trusts(role, &call.caller, external_id));
        let Some(role) = role else { return denied() };
        if matches!(call.caller, Caller::Role { .. }) && asked_for > HOUR {
            return invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            );
        }
        if asked_for > role.longest {
            return invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
        }
        let access_key = format!("ASIA{}", request_id());
        let caller = Caller::Role {
            account: role.account,
            role: role.name,
            session: session.to_owned(),
            access_key: access_key.clone(),
        };
        let answer = answer(&caller, &access_key, asked_for);
        self.identities.add(&access_key, caller);
        if let Some(key) = call.caller.access_key() {
            self.identities.handed_on(&access_key, key);
        }
        answer
    }

    /// A role by its ARN, as IAM in the local AWS has it; none if it is not there.
    async fn role(&self, arn: &str) -> Option<Role> {
        let (prefix, path) = arn.split_once(":role/")?;
        let (account, name) = (prefix.rsplit(':').next()?, path.rsplit('/').next()?);
        let body =
            format!("Action=GetRole&Version=2010-05-08&RoleName={}", utf8_percent_encode(name, NON_ALPHANUMERIC));
        let scope = "AWS4-HMAC-SHA256 Credential=lab/20260101/us-east-1/iam/aws4_request, Signature=0";
        let request = ApiRequest::new(Method::POST, "/")
            .header("authorization", scope)
            .header("x-moto-account-id", account)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(body);
        let answer = self.moto.send(request).await.ok().filter(|answer| answer.status.is_success())?;
        let text = |element: &str| answer.texts(element).into_iter().next();
        if text("Arn").as_deref() != Some(arn) {
            return None;
        }
        let trust = text("AssumeRolePolicyDocument")?;
        let trust = percent_decode_str(&trust).decode_utf8_lossy().into_owned();
        let trust: Value = serde_json::from_str(&trust).ok()?;
        let trust = match trust.get("Statement") {
            Some(Value::Array(several)) => several.clone(),
            one => one.cloned().into_iter().collect(),
        };
        let longest = text("MaxSessionDuration").and_then(|seconds| seconds.parse().ok()).unwrap_or(HOUR);
        Some(Role { account: account.to_owned(), name: name.to_owned(), trust, longest })
    }

    /// Whether a role's trust policy lets somebody have it.
    fn trusts(&self, role: &Role, caller: &Caller, external_id: Option<&str>) -> bool {
        let Some(account) = caller.account() else { return false };
        let own = match caller {
            Caller::Role { role, .. } => format!("arn:aws:iam::{account}:role/{role}"),
            caller => caller.arn(),
        };
        let mut all = principals(account, &own);
        all.push(caller.arn());
        let organization = self.accounts.organization(account);
        let mut context = vec![
            ("aws:PrincipalArn", own.as_str()),
            ("aws:PrincipalAccount", account),
            ("aws:SecureTransport", "true"),
        ];
        context.extend(external_id.map(|id| ("sts:ExternalId", id)));
        context.extend(organization.as_deref().map(|id| ("aws:PrincipalOrgID", id)));
        let (principals, service) = (all.as_slice(), None);
        let asked = Asked { principals, service, action: "sts:AssumeRole", resource: "", context: &context };
        judge(&role.trust, &asked) == Verdict::Allowed
    }
}

/// Whether a text has this many characters, all of them letters, digits or one of these.
fn is_name(text: &str, lengths: std::ops::RangeInclusive<usize>, others: &str) -> bool {
    lengths.contains(&text.chars().count()) && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// STS's answer, with keys for so many seconds.
fn answer(caller: &Caller, access_key: &str, seconds: u32) -> ApiResponse {
    let ends = OffsetDateTime::now_utc() + Duration::seconds(seconds.into());
    let ends = ends.replace_nanosecond(0).unwrap_or(ends).format(&Rfc3339).unwrap_or_default();
    let (arn, id) = (escape(&caller.arn()), escape(&caller.user_id()));
    let body = format!(
        r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>{id}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser><Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>lab</SecretAccessKey><SessionToken>lab</SessionToken><Expiration>{ends}</Expiration></Credentials></AssumeRoleResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></AssumeRoleResponse>"#,
        request_id()
    );
    ApiResponse::new(StatusCode::OK, body).header("content-type", "text/xml")
}
