//! The command line given what it cannot use: credentials of every kind, names that are none, an AWS that says no or nothing, a
//! disk that takes nothing. Each ends with one sentence that has the next step, and nothing is lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail as tests do"
)]

use lab::Lab;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use system_tests::s3::{FUNCTION, SETTINGS, open_bucket, settings};
use system_tests::{HOME, OTHER_ACCOUNT, PATIENCE, alone, faults, fresh, only, suture, workspace};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

/// What is secret, wherever it is put: it must come out nowhere.
const SECRET: &str = "wJalrXUtnFEMIsecret";
/// What no person is to read: the SDK's own words, and ours for programmers.
const NEVER: &[&str] = &[
    SECRET,
    "panicked",
    "RUST_BACKTRACE",
    "SdkError",
    "DispatchFailure",
    "ServiceError",
    "ProviderError",
    "None)",
    "Some(",
];
const CONFIG: &str = "AWS_CONFIG_FILE";

/// Somebody with a home and an environment of their own.
struct Somebody {
    home: PathBuf,
    environment: Vec<(String, OsString)>,
}

impl Somebody {
    fn new() -> Self {
        let home = std::env::temp_dir().join(fresh("suture-bad-input"));
        fs::create_dir_all(&home).unwrap();
        let somebody = Self { home, environment: Vec::new() };
        somebody.with("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// Somebody with keys, in front of the lab.
    fn at(lab: &Lab) -> Self {
        let keyed = Self::new().with("AWS_ACCESS_KEY_ID", "test").with("AWS_SECRET_ACCESS_KEY", SECRET);
        keyed.with("AWS_ENDPOINT_URL", lab.endpoint()).with("AWS_REGION", HOME)
    }

    fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// With these profiles.
    fn profiles(self, config: &str) -> Self {
        let path = self.home.join("config");
        fs::write(&path, config).unwrap();
        self.with(CONFIG, path)
    }

    fn command(&self, program: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("HOME", &self.home).envs(self.environment.iter().map(|(a, b)| (a, b)));
        command.env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Said {
        let Output { status, stdout, stderr } =
            timeout(PATIENCE, self.command(suture().await, arguments).output()).await.unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let said = Said { code: status.code(), out: text(stdout), err: text(stderr) };
        for never in NEVER {
            assert!(!said.out.contains(never) && !said.err.contains(never), "{never}: {said:?}");
        }
        let plain = |text: &str| text.chars().all(|c| !c.is_control() || c == '\n');
        assert!(plain(&said.out) && plain(&said.err), "{said:?}");
        said
    }

    fn ledger(&self) -> PathBuf {
        self.home.join(".local/share/suture/ledger")
    }
}

impl Drop for Somebody {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// What a command came to.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// It ended so, and said this.
    #[track_caller]
    fn ends(&self, code: i32, says: &str) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.out.contains(says) || self.err.contains(says), "{says}: {self:?}");
        self
    }

    /// Something was wrong: one sentence of it on standard error, with all of this in it.
    #[track_caller]
    fn wrong(&self, says: &[&str]) -> &Self {
        assert_eq!(self.code, Some(2), "{self:?}");
        let errors: Vec<&str> = self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        let [error] = errors.as_slice() else { panic!("not one sentence: {self:?}") };
        for part in says {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(error.len() < 420, "too long to be read in an incident: {error}");
        self
    }
}

const PROFILES: &str = "
[default]
region = us-east-1
[profile clinic]
region = us-east-1
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Admin
[profile old-style]
region = us-east-1
sso_start_url = https://old.example/start
sso_region = us-east-1
sso_account_id = 111122223333
sso_role_name = Admin
[profile not-mine]
region = us-east-1
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Other
[profile by-clinic]
region = us-east-1
role_arn = arn:aws:iam::111122223333:role/responder
source_profile = clinic
[profile console]
region = us-east-1
login_session = arn:aws:iam::111122223333:user/alice
[profile printed]
region = us-east-1
credential_process = $HOME/print-credentials
[profile misprinted]
region = us-east-1
credential_process = echo wJalrXUtnFEMIsecret >&2; exit 3
[profile lost]
region = us-east-1
role_arn = arn:aws:iam::111122223333:role/responder
source_profile = nobody
[profile left]
region = us-east-1
role_arn = arn:aws:iam::111122223333:role/responder
source_profile = right
[profile right]
role_arn = arn:aws:iam::111122223333:role/responder
source_profile = left
[profile empty]
region = us-east-1
[profile kept]
region = us-east-1
aws_access_key_id = test
aws_secret_access_key = wJalrXUtnFEMIsecret
[profile nowhere]
aws_access_key_id = test
aws_secret_access_key = wJalrXUtnFEMIsecret
[profile with-code]
region = us-east-1
role_arn = arn:aws:iam::111122223333:role/responder
source_profile = kept
mfa_serial = arn:aws:iam::111122223333:mfa/alice
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.example/start
";

#[tokio::test(flavor = "current_thread")]
async fn without_credentials_each_way_to_them_says_how_to_get_some() {
    let somebody = || Somebody::new().profiles(PROFILES);
    let plan = ["plan", FUNCTION, "clinic-scans"];
    for (profile, says) in [
        (None, &["there are no AWS credentials", "aws sso login", "AWS_PROFILE"][..]),
        (Some("clinic"), &["single sign-on of the profile \"clinic\"", "run aws sso login --profile clinic"]),
        (Some("old-style"), &["run aws sso login --profile old-style"]),
        // The profile that has to sign in, and not the one that goes by it.
        (Some("by-clinic"), &["run aws sso login --profile clinic"]),
        (Some("console"), &["the sign-in of the profile \"console\"", "run aws login --profile console"]),
        (Some("misprinted"), &["credential_process of the profile \"misprinted\"", "run it by hand"]),
        (Some("lost"), &["\"nobody\", and there is none", "source_profile"]),
        (Some("left"), &["name each other", "source_profile"]),
        (Some("empty"), &["has no whole credentials", "aws configure --profile empty"]),
        (Some("nowhere"), &["no AWS region is set", "AWS_REGION"]),
        (Some("clinik"), &["there is no profile \"clinik\"", "Is it \"clinic\"?", "aws configure list-profiles"]),
    ] {
        let said = match profile {
            None => somebody().run(&plan).await,
            Some(profile) => somebody().with("AWS_PROFILE", profile).run(&plan).await,
        };
        said.wrong(says);
        if let Some(profile) = profile {
            // An option counts for more than keys in the environment, as with the AWS CLI.
            let keyed = somebody().with("AWS_ACCESS_KEY_ID", "test").with("AWS_SECRET_ACCESS_KEY", SECRET);
            keyed.run(&[&plan[..], &["--profile", profile]].concat()).await.wrong(says);
        }
    }
    let keyed = || somebody().with("AWS_ACCESS_KEY_ID", "test").with("AWS_SECRET_ACCESS_KEY", SECRET);
    let at = |url: &str| keyed().with("AWS_ENDPOINT_URL", url).with("AWS_REGION", HOME);
    for (somebody, says) in [
        (somebody().with("AWS_REGION", "us-esat"), &["\"us-esat\" is not a region code"][..]),
        (at("127.0.0.1:4566"), &["AWS_ENDPOINT_URL is \"127.0.0.1:4566\"", "no URL"]),
        (at("http://127.0.0.1:1"), &["\"http://127.0.0.1:1\": nothing answers", "AWS_ENDPOINT_URL", "take it away"]),
        (at("http://alice:wJalrXUtnFEMIsecret@127.0.0.1:1/x"), &["\"http://127.0.0.1:1/x\": nothing answers"]),
        (at("http://suture.invalid"), &["its name cannot be found", "AWS_ENDPOINT_URL"]),
        (somebody().profiles("[default]\nregion = us-east-1\nwJalrXUtnFEMIsecret\n"), &["line 3", "correct that line"]),
    ] {
        somebody.run(&plan).await.wrong(says);
    }
    // What needs no AWS asks for none of it.
    let nobody = somebody().with("AWS_PROFILE", "clinic");
    for arguments in [&["controls"][..], &["explain", FUNCTION], &["status"], &["mode"], &["exemptions"]] {
        nobody.run(arguments).await.ends(0, "");
    }
    // The table of a deployment is asked for with credentials, or not at all.
    for arguments in [&["status"][..], &["stop", "--reason=INC-1"], &["history", "clinic-scans"], &["record", "r-1"]] {
        let said = nobody.run(&[arguments, &["--ledger", "suture-LedgerTable"]].concat()).await;
        said.wrong(&["run aws sso login --profile clinic"]);
    }
}

/// A sign-in portal: it gives credentials for the token `good`, not for the role Other, and a new token for the right one.
async fn portal() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let asked = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let asked = Arc::clone(&asked);
            tokio::spawn(async move { answer(BufReader::new(stream), &asked).await });
        }
    });
    (url, seen)
}

async fn answer(mut stream: BufReader<tokio::net::TcpStream>, asked: &Mutex<Vec<String>>) {
    let (mut first, mut token, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or_default() == 0 || line.trim().is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        if lower.starts_with("x-amz-sso_bearer_token:") {
            line.split_once(':').unwrap().1.trim().clone_into(&mut token);
        }
        if first.is_empty() {
            first = line;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    asked.lock().unwrap().push(format!("{} {token}", first.trim()));
    let end = 4_102_444_800_000_u64; // 2100-01-01
    let keys = json!({"roleCredentials":
        {"accessKeyId": "test", "secretAccessKey": SECRET, "sessionToken": "session", "expiration": end}});
    let no = |message: &str| json!({"message": format!("{message} {SECRET}")});
    let (status, error, answer) = if first.starts_with("POST /token") {
        if String::from_utf8_lossy(&body).contains("again") {
            (200, "", json!({"accessToken": "good", "expiresIn": 3600, "tokenType": "Bearer", "refreshToken": "again"}))
        } else {
            (400, "InvalidGrantException", no("invalid_grant"))
        }
    } else if first.contains("role_name=Other") {
        (403, "ForbiddenException", no("No access"))
    } else if token == "good" {
        (200, "", keys)
    } else {
        (401, "UnauthorizedException", no("Session token not found or invalid"))
    };
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\nx-amzn-errortype: {error}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        answer.len()
    );
    let _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
}

/// Puts the token of a sign-in where the AWS CLI keeps it: under the SHA-1 of the session's name, or of the old start URL.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>
fn signed_in(somebody: &Somebody, file: &str, token: &Value) {
    let cache = somebody.home.join(".aws/sso/cache");
    fs::create_dir_all(&cache).unwrap();
    fs::write(cache.join(file), token.to_string()).unwrap();
}

#[test]
fn a_single_sign_on_is_used_renewed_and_when_it_is_over_named() {
    alone(async |lab| {
        only(lab, "recorder");
        let bucket = open_bucket(lab, "sso").await;
        let (url, asked) = portal().await;
        let plan = ["plan", FUNCTION, &bucket];
        let late = json!({"accessToken": "good", "expiresAt": "2100-01-01T00:00:00Z", "region": HOME, "startUrl": "https://corp.example/start"});
        let with = |name: &str, value: &str| {
            let mut token = late.clone();
            token[name] = value.into();
            token
        };
        let mut renewed = with("expiresAt", "2020-01-01T00:00:00Z");
        for (name, value) in [
            ("clientId", "c"),
            ("clientSecret", SECRET),
            ("refreshToken", "again"),
            ("registrationExpiresAt", "2100-01-01T00:00:00Z"),
        ] {
            renewed[name] = value.into();
        }
        let (corp, old) = (sha1("corp"), sha1("https://old.example/start"));
        for (profile, file, token, says) in [
            ("clinic", &corp, late.clone(), None),
            ("old-style", &old, late.clone(), None),
            ("clinic", &corp, renewed, None),
            ("clinic", &corp, with("expiresAt", "2020-01-01T00:00:00Z"), Some("run aws sso login --profile clinic")),
            ("clinic", &corp, with("accessToken", "revoked"), Some("run aws sso login --profile clinic")),
            ("clinic", &corp, json!("no token"), Some("run aws sso login --profile clinic")),
            (
                "not-mine",
                &corp,
                late.clone(),
                Some("does not give you the account and role of the profile \"not-mine\""),
            ),
        ] {
            let somebody = Somebody::new().profiles(PROFILES).with("AWS_PROFILE", profile);
            let somebody = somebody.with("AWS_ENDPOINT_URL", lab.endpoint());
            let somebody = somebody.with("AWS_ENDPOINT_URL_SSO", &url).with("AWS_ENDPOINT_URL_SSO_OIDC", &url);
            signed_in(&somebody, file, &token);
            let said = somebody.run(&plan).await;
            match says {
                None => said.ends(1, "planned"),
                Some(says) => said.wrong(&[says]),
            };
        }
        assert!(asked.lock().unwrap().iter().any(|line| line.starts_with("POST /token")), "nothing was renewed");
        // A portal that is out of reach is no reason to sign in again.
        let somebody = Somebody::new().profiles(PROFILES).with("AWS_PROFILE", "clinic");
        let somebody =
            somebody.with("AWS_ENDPOINT_URL", lab.endpoint()).with("AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:1");
        signed_in(&somebody, &corp, &late);
        somebody
            .run(&plan)
            .await
            .wrong(&["the credentials of the profile \"clinic\" could not be got", "nothing answers"]);
        // A program that prints credentials.
        let somebody = Somebody::new();
        let program = somebody.home.join("print-credentials");
        let printed = json!({"Version": 1, "AccessKeyId": "test", "SecretAccessKey": SECRET, "SessionToken": "session",
            "Expiration": "2100-01-01T00:00:00Z"});
        fs::write(
            &program,
            format!("#!/bin/sh\nprintf x >> '{}'\necho '{printed}'\n", somebody.home.join("runs").display()),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let runs = somebody.home.join("runs");
        let somebody =
            somebody.profiles(PROFILES).with("AWS_PROFILE", "printed").with("AWS_ENDPOINT_URL", lab.endpoint());
        somebody.run(&[&plan[..], &[&bucket, &bucket]].concat()).await.ends(1, "planned");
        assert_eq!(fs::read_to_string(runs).unwrap(), "x", "it is asked once, whatever is done with it");
        // A code that only the AWS CLI asks for.
        faults(lab, &["sts:AssumeRole=denied"]);
        let somebody = Somebody::new().profiles(PROFILES).with("AWS_ENDPOINT_URL", lab.endpoint());
        let said = somebody.run(&[&plan[..], &["--profile", "with-code"]].concat()).await;
        said.wrong(&["MFA", "eval \"$(aws configure export-credentials --profile with-code --format env)\""]);
        faults(lab, &[]);
    });
}

/// The SHA-1 of a text and `.json`, by the program that every machine with a shell has.
fn sha1(text: &str) -> String {
    let mut child = std::process::Command::new("sha1sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), text.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap().stdout;
    format!("{}.json", String::from_utf8(out).unwrap().split_whitespace().next().unwrap())
}

#[test]
fn credentials_that_aws_does_not_take_are_told_apart() {
    alone(async |lab| {
        only(lab, "recorder");
        let bucket = open_bucket(lab, "refused").await;
        let plan = ["plan", FUNCTION, &bucket];
        for (fault, says) in [
            ("sts:*=expired", &["credentials in the environment have expired", "unset AWS_ACCESS_KEY_ID"][..]),
            ("sts:*=unknown-key", &["AWS does not accept the credentials in the environment", "get new ones"]),
            ("sts:*=skewed", &["this machine's clock is minutes off", "set it"]),
            ("sts:*=throttle", &["AWS throttles the requests of this account", "wait a minute"]),
            ("sts:*=error", &["AWS had a fault", "run the command again"]),
            ("sts:*=drop", &["AWS could not be reached at", "the connection broke"]),
        ] {
            faults(lab, &[fault]);
            let somebody = Somebody::at(lab);
            somebody.run(&plan).await.wrong(says);
            somebody.run(&["scan", "--control", FUNCTION]).await.wrong(says);
            somebody.run(&["fix", FUNCTION, &bucket, "--yes"]).await.wrong(says);
        }
        faults(lab, &["sts:*=expired"]);
        let kept = Somebody::new().profiles(PROFILES).with("AWS_ENDPOINT_URL", lab.endpoint());
        let said = kept.run(&[&plan[..], &["--profile", "kept"]].concat()).await;
        said.wrong(&["credentials of the profile \"kept\" have expired", "aws configure --profile kept"]);
        faults(lab, &[]);
        assert_eq!(settings(lab, &bucket).await, None, "nothing was written");
        // Passing trouble passes.
        faults(lab, &["sts:*=throttle*2", "s3:GetPublicAccessBlock=drop*1"]);
        Somebody::at(lab).run(&plan).await.ends(1, "planned");
        faults(lab, &[]);
    });
}

#[test]
fn names_that_are_none_or_of_something_else() {
    alone(async |lab| {
        only(lab, "recorder");
        let bucket = open_bucket(lab, "names").await;
        let somebody = Somebody::at(lab);
        let there = format!("arn:aws:ec2:us-east-1:{OTHER_ACCOUNT}:security-group/sg-0123456789abcdef0");
        let away = "arn:aws:ec2:eu-west-1:111122223333:security-group/sg-0123456789abcdef0";
        let open_group = "ec2-open-security-group";
        for command in ["plan", "fix"] {
            for (typed, says) in [
                (&["s3-public-buckte", &bucket][..], &["there is no control", "Is it s3-public-bucket?"][..]),
                (
                    &[FUNCTION, "sg-0123456789abcdef0"],
                    &["looks like a security group", open_group, "arn:aws:s3:::NAME"],
                ),
                (
                    &[FUNCTION, "arn:aws:iam::111122223333:user/alice"],
                    &["looks like an IAM user", "iam-stale-access-key"],
                ),
                (&[FUNCTION, "111122223333"], &["looks like an account"]),
                (&[FUNCTION, "arn:aws:s3"], &["is no whole ARN"]),
                (&[FUNCTION, "s3://clinic-scans"], &["write the bucket's name alone"]),
                (&[FUNCTION, "No/Bucket"], &["is no bucket name", "suture explain s3-public-bucket"]),
                (&[FUNCTION, "a\u{1b}[2Jb"], &["\"a\\u{1b}[2Jb\" is no name"]),
                (
                    &[FUNCTION, "nowhere-to-be-found"],
                    &["there is no nowhere-to-be-found in account 111122223333", "--profile"],
                ),
                (&[open_group, "arn:aws:s3:::clinic-scans"], &["looks like a bucket", FUNCTION]),
                (&[open_group, "sg-0123456789abcdef0"], &["there is no sg-0123456789abcdef0", "--region"]),
                (
                    &[open_group, &there],
                    &["is in account 444455556666", "credentials are of 111122223333", "--profile"],
                ),
                (&[open_group, away, "--region", "us-west-2"], &["is in eu-west-1", "leave --region out"]),
                (&[FUNCTION, &bucket, "--region", "mars"], &["\"mars\" is not a region code"]),
                (&["s3-public-account", OTHER_ACCOUNT], &["is in account 444455556666"]),
            ] {
                somebody.run(&[&[command][..], typed].concat()).await.wrong(says);
            }
        }
        // An ARN's own region is meant.
        let said = somebody.run(&["plan", open_group, away]).await;
        said.wrong(&["there is no sg-0123456789abcdef0 in account 111122223333 and eu-west-1"]);
        // What is sound of several is told, also if another is not.
        let said = somebody.run(&["plan", FUNCTION, &bucket, "nowhere-to-be-found"]).await;
        said.wrong(&["there is no nowhere-to-be-found"]).ends(2, "planned");
        // With --json, standard output is JSON or nothing, and the sentence is where it always is.
        let said = somebody.run(&["plan", FUNCTION, "nowhere-to-be-found", "--json"]).await;
        said.wrong(&["there is no nowhere-to-be-found"]);
        assert!(serde_json::from_str::<Value>(&said.out).unwrap().is_object());
        let said = somebody.run(&["plan", "s3-public-buckte", "x", "--json"]).await;
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""));

        let bytes = OsStr::from_bytes(b"\xff\xfe").to_owned();
        let said = somebody.run(&[OsString::from("plan"), FUNCTION.into(), bytes]).await;
        said.ends(2, "invalid UTF-8");
        somebody.run(&["plam"]).await.ends(2, "plan");
        somebody.run(&["plan", FUNCTION, &bucket, "--regoin", HOME]).await.ends(2, "--region");
        assert_eq!(settings(lab, &bucket).await, None, "nothing was written");

        let file = somebody.home.join("event.json");
        for (held, says) in [("", "no JSON"), ("{", "no JSON"), ("\u{1b}[2J", "no JSON")] {
            fs::write(&file, held).unwrap();
            let said = somebody.run(&["invoke", "suture-s3-public-bucket", "-e", file.to_str().unwrap()]).await;
            said.wrong(&[says, "event.json"]);
            let said = somebody.run(&["explain-event", file.to_str().unwrap()]).await;
            said.ends(1, "rejected");
        }
        somebody.run(&["invoke", "suture-s3-public-bucket", "-e", "/nowhere/x.json"]).await.wrong(&["cannot be read"]);
        somebody.run(&["invoke", "no-such-function", "-e", "-"]).await.wrong(&["no JSON"]);
        fs::write(&file, "{}").unwrap();
        let said = somebody.run(&["invoke", "no-such-function", "-e", file.to_str().unwrap()]).await;
        said.wrong(&["there is no function \"no-such-function\" in this account and region", "AWS_REGION"]);
    });
}

#[test]
fn a_network_that_dies_in_the_middle_leaves_what_the_next_command_finds() {
    alone(async |lab| {
        only(lab, "recorder");
        let (bucket, other) = (open_bucket(lab, "dies").await, open_bucket(lab, "dies").await);
        let somebody = Somebody::at(lab);
        // The write is carried out, and its answer lost; so is every look after it.
        faults(lab, &["s3:PutPublicAccessBlock=drop-answer", "s3:GetPublicAccessBlock=drop"]);
        let plan = ["plan", FUNCTION, &bucket];
        somebody.run(&plan).await.wrong(&["s3:GetBucketPublicAccessBlock", "connection broke"]);
        faults(lab, &["s3:PutPublicAccessBlock=drop-answer"]);
        let said = somebody.run(&["fix", FUNCTION, &bucket, &other, "--yes", "--reason=INC-1"]).await;
        assert!(matches!(said.code, Some(0 | 2)), "{said:?}");
        faults(lab, &[]);
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
        let history = somebody.run(&["history", &bucket, "--json"]).await;
        let history: Value = serde_json::from_str(&history.out).unwrap();
        let outcome = &history["records"][0]["outcome"];
        assert!(outcome == "fixed" || outcome == "unverified", "{history}");
        somebody.run(&plan).await.ends(0, "compliant");

        // Throttled without end: nothing is written, and it is said.
        let bucket = open_bucket(lab, "dies").await;
        faults(lab, &["s3:*=throttle"]);
        let said = somebody.run(&["fix", FUNCTION, &bucket, "--yes"]).await;
        said.wrong(&["throttled"]);
        faults(lab, &[]);
        assert_eq!(settings(lab, &bucket).await, None);
        // A connection that never comes about.
        faults(lab, &["s3:PutPublicAccessBlock=drop"]);
        let said = somebody.run(&["fix", FUNCTION, &bucket, "--yes"]).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        faults(lab, &[]);
        assert_eq!(settings(lab, &bucket).await, None);
        let said = somebody.run(&["fix", FUNCTION, &bucket, "--yes"]).await;
        assert!(said.code == Some(0), "what went before stands in nobody's way: {said:?}");
    });
}

#[test]
fn a_disk_that_takes_nothing_is_no_reason_not_to_look() {
    alone(async |lab| {
        only(lab, "recorder");
        let bucket = open_bucket(lab, "disk").await;
        let file = Somebody::new().home.join("file");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        // No folder can be made there, and the home is a file.
        for home in [PathBuf::from("/proc/nobody"), file.clone()] {
            let somebody = Somebody::at(lab).with("HOME", &home);
            somebody.run(&["plan", FUNCTION, &bucket]).await.ends(1, "planned");
            somebody.run(&["scan", "--control", FUNCTION]).await.ends(1, &bucket).ends(1, "cannot go on later");
            somebody.run(&["status"]).await.ends(0, "Not stopped");
            somebody.run(&["exemptions"]).await.ends(0, "Nothing is exempt");
            somebody.run(&["controls"]).await.ends(0, FUNCTION);
            let said = somebody.run(&["fix", FUNCTION, &bucket, "--yes"]).await;
            said.wrong(&["nothing is written without a record", "file:PATH"]);
            for writes in [&["stop", "--reason=INC-1"][..], &["mode", "all", "plan"], &["tags-exempt", "on"]] {
                somebody.run(writes).await.wrong(&["the ledger", "name another place for it"]);
            }
        }
        fs::remove_dir_all(file.parent().unwrap()).unwrap();
        // A disk that is full: not a byte more can be written.
        let somebody = Somebody::at(lab);
        somebody.run(&["mode", "all", "plan"]).await.ends(0, "");
        let (suture, before) = (suture().await.display(), fs::read(somebody.ledger()).unwrap());
        let full = format!("trap '' XFSZ; ulimit -f 0; exec '{suture}' fix {FUNCTION} {bucket} --yes 2>&1 | cat");
        let out = somebody.command(Path::new("bash"), &["-c", &full]).output().await.unwrap();
        let out = String::from_utf8(out.stdout).unwrap();
        assert!(out.contains("larger than it may be") && out.contains("without a record nothing is written"), "{out}");
        assert_eq!((settings(lab, &bucket).await, fs::read(somebody.ledger()).unwrap()), (None, before));
    });
}

#[test]
fn a_ledger_of_a_newer_suture_or_none_at_all() {
    alone(async |lab| {
        only(lab, "recorder");
        let bucket = open_bucket(lab, "newer").await;
        let somebody = Somebody::at(lab);
        fs::create_dir_all(somebody.ledger().parent().unwrap()).unwrap();
        let write = |bytes: &str| {
            fs::write(somebody.ledger(), bytes).unwrap();
            fs::set_permissions(somebody.ledger(), fs::Permissions::from_mode(0o600)).unwrap();
        };
        for (held, says) in [
            ("{\"format\":\"suture.ledger/2\"}\n", &["was written by a newer suture", "install that one"][..]),
            ("something else\n", &["is no ledger"]),
            ("{\"format\":\"suture.ledger/1\"}\n{\"sum\":\"x\"}\n", &["line 2 of the ledger", "bring the file back"]),
        ] {
            write(held);
            for typed in
                [&["status"][..], &["plan", FUNCTION, &bucket], &["fix", FUNCTION, &bucket, "--yes"], &["scan"]]
            {
                somebody.run(typed).await.wrong(says);
            }
            assert_eq!(fs::read_to_string(somebody.ledger()).unwrap(), held, "it is left as it is");
        }
        assert_eq!(settings(lab, &bucket).await, None);

        // The same in a deployment's table.
        let recorder = lab.gateway.functions.config("recorder").unwrap();
        let table = &recorder.environment["SUTURE_LEDGER"];
        let operator = Somebody::at(lab).with("SUTURE_LEDGER", table);
        operator.run(&["status"]).await.ends(0, "Not stopped");
        let item = json!({"pk": {"S": "deployment"}, "sk": {"S": "format"}, "version": {"N": "1"}, "body": {"S": "{\"format\":2}"}});
        let client = lab.quiet_client(HOME);
        client.must_json("dynamodb", "PutItem", &json!({"TableName": table, "Item": item})).await.unwrap();
        for typed in [&["status"][..], &["stop", "--reason=INC-1"], &["mode", "all", "enforce"], &["resume"]] {
            operator.run(typed).await.wrong(&["the ledger was written by a newer suture", "install that one"]);
        }
        operator.run(&["fix", FUNCTION, &bucket, "--yes"]).await.wrong(&["newer suture"]);
        operator.run(&["history", &bucket]).await.ends(0, "has no record");
        assert_eq!(settings(lab, &bucket).await, None);

        let elsewhere = || Somebody::at(lab).with("SUTURE_LEDGER", "suture-LedgerTable-NOWHERE");
        for typed in [&["status"][..], &["stop", "--reason=INC-1"], &["fix", FUNCTION, &bucket, "--yes"]] {
            elsewhere().run(typed).await.wrong(&[
                "suture-LedgerTable-NOWHERE",
                "does not exist in this account and region",
                "SUTURE_LEDGER",
            ]);
        }
        elsewhere().without("AWS_REGION").run(&["status"]).await.wrong(&["no AWS region is set"]);
        elsewhere().without("AWS_REGION").run(&["status", "--region", HOME]).await.wrong(&["does not exist"]);
        // Credentials that end between two calls.
        let operator = Somebody::at(lab).with("SUTURE_LEDGER", table);
        faults(lab, &["dynamodb:*=expired"]);
        operator.run(&["status"]).await.wrong(&["credentials have expired (sign in again)"]);
        faults(lab, &[]);
    });
}

#[test]
fn two_at_once_do_it_once_and_a_pipe_that_closes_is_no_trouble() {
    alone(async |lab| {
        only(lab, "recorder");
        let bucket = open_bucket(lab, "twice").await;
        let somebody = Somebody::at(lab);
        faults(lab, &["s3:PutPublicAccessBlock=latency:500"]);
        let fix = ["fix", FUNCTION, &bucket, "--yes"];
        let (one, two) = tokio::join!(somebody.run(&fix), somebody.run(&fix));
        faults(lab, &[]);
        one.ends(0, "");
        two.ends(0, "");
        let puts =
            lab.calls(|call| call.operation == "PutPublicAccessBlock" && call.resource.as_deref() == Some(&bucket));
        assert_eq!(puts.len(), 1, "{one:?} {two:?}");
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);

        let pipe = format!("set -o pipefail; '{}' controls --json | head -c 1", suture().await.display());
        let Output { status, stderr, .. } = somebody.command(Path::new("bash"), &["-c", &pipe]).output().await.unwrap();
        assert!(
            stderr.is_empty() && status.code().is_none_or(|code| code != 101),
            "{}",
            String::from_utf8_lossy(&stderr)
        );
    });
}

#[test]
fn a_fix_that_is_interrupted_comes_to_its_end() {
    alone(async |lab| {
        only(lab, "recorder");
        let (bucket, other) = (open_bucket(lab, "stopped").await, open_bucket(lab, "stopped").await);
        let somebody = Somebody::at(lab);
        faults(lab, &["s3:PutPublicAccessBlock=latency:2000"]);
        let mut command = somebody.command(suture().await, &["fix", FUNCTION, &bucket, &other, "--yes"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = child.id().unwrap().to_string();
        let is_put = |call: &lab::gateway::Happened| call.operation == "PutPublicAccessBlock";
        timeout(PATIENCE, async {
            // The intent is in the ledger when the write is about to be sent.
            while !fs::read_to_string(somebody.ledger()).unwrap_or_default().contains("about to write") {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let Output { status, stdout, stderr } = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        faults(lab, &[]);
        assert_eq!(status.code(), Some(2), "{out}{err}");
        assert!(err.contains("is brought to its end first") && err.contains("1 more was not looked at"), "{out}{err}");
        assert!(out.contains("fixed"), "{out}{err}");
        assert_eq!(settings(lab, &bucket).await.unwrap(), SETTINGS);
        assert_eq!((settings(lab, &other).await, lab.calls(is_put).len()), (None, 1));
        somebody.run(&["fix", FUNCTION, &bucket, &other, "--yes"]).await.ends(0, "fixed");
    });
}

/// Packages and the features that each is built with, as cargo resolves them.
fn packages(arguments: &[&str]) -> BTreeMap<String, String> {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.current_dir(workspace()).args(["tree", "--offline", "--locked", "--prefix=none", "--format={p} [{f}]"]);
    let Output { status, stdout, .. } = cargo.args(arguments).output().unwrap();
    assert!(status.success(), "cargo tree {arguments:?}");
    let lines = String::from_utf8(stdout).unwrap();
    let lines = lines.lines().map(|line| line.trim_end_matches(" (*)")).filter_map(|line| line.split_once(" ["));
    lines.map(|(package, features)| (package.to_owned(), features.to_owned())).collect()
}

#[test]
fn what_people_sign_in_with_is_in_no_function_and_costs_no_second_build_of_the_sdk() {
    let (function, person) = (packages(&["-enormal", "-p", FUNCTION]), packages(&["-enormal,dev", "-p", "suture"]));
    let has =
        |of: &BTreeMap<String, String>, name: &str| of.keys().any(|package| package.starts_with(&format!("{name} v")));
    for name in ["aws-sdk-sso", "aws-sdk-ssooidc", "aws-sdk-signin", "p256"] {
        assert!(has(&person, name) && !has(&function, name), "{name}");
    }
    let sdk = packages(&["-enormal", "-p", "aws-sdk-s3"]);
    assert!(sdk.len() > 30, "{sdk:?}");
    for package in sdk.keys() {
        assert_eq!(
            function.get(package),
            person.get(package),
            "{package}: give its features to all, in the root Cargo.toml"
        );
    }
}
