//! The way to credentials, as far as the environment and the profile tell it: what to say when nothing comes of it.

use aws_config::profile::{Profile, ProfileSet};
use remediation::shown;

/// The way that the SDK goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The keys in the environment.
    Environment,
    /// A profile, and those that it goes by.
    Profile(Route),
    /// The token that `AWS_WEB_IDENTITY_TOKEN_FILE` names.
    WebIdentity,
    /// The container that this runs in.
    Container,
    /// Nothing is set: perhaps the instance that this runs on.
    Unset,
}

/// A profile's way to credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The profile that was asked for.
    profile: String,
    /// The one whose credentials are the first.
    first: String,
    /// What these are.
    kind: Kind,
    /// Whether a role is taken with them.
    role: bool,
    /// Whether that role wants the code of an MFA device.
    mfa: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Keys in a file.
    Keys,
    /// `aws sso login`.
    Sso,
    /// `aws login`.
    Login,
    /// A program that prints them.
    Process,
    /// A token in a file.
    WebIdentity,
    /// The environment, the container or the instance.
    Elsewhere,
    /// A profile that is not there.
    Gone,
    /// Profiles that name each other.
    Loop,
    /// None.
    None,
}

impl Way {
    /// The way by these profiles, of which one is selected; `named` is whether an option named it.
    pub fn find(named: bool, profiles: &ProfileSet, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        if !named && set("AWS_ACCESS_KEY_ID") {
            return Self::Environment;
        }
        let selected = profiles.selected_profile();
        if let Some(route) = Route::of(selected, profiles) {
            let is_any = route.role || route.kind != Kind::None;
            if is_any || named || set("AWS_PROFILE") {
                return Self::Profile(route);
            }
        }
        if set("AWS_WEB_IDENTITY_TOKEN_FILE") {
            Self::WebIdentity
        } else if set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            Self::Container
        } else {
            Self::Unset
        }
    }

    /// There are none.
    pub fn missing(&self) -> String {
        match self {
            Self::Profile(route) => route.missing(),
            Self::Environment => {
                "the AWS credentials in the environment are not whole; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
                 unset both to use a profile"
                    .to_owned()
            }
            Self::WebIdentity => {
                "no AWS credentials were given for the web identity; look at AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN"
                    .to_owned()
            }
            Self::Container => "the container that this runs in gave no AWS credentials; does it have a role?".to_owned(),
            Self::Unset => "there are no AWS credentials; sign in (aws login, aws sso login or aws configure), or set \
                            AWS_PROFILE to a profile that has some"
                .to_owned(),
        }
    }

    /// They were good, and are no more.
    pub fn expired(&self) -> String {
        format!("the AWS credentials {} have expired; {}", self.whose(), self.renew())
    }

    /// AWS does not know them.
    pub fn unknown(&self) -> String {
        format!(
            "AWS does not accept the credentials {}: the access key does not exist or is switched off, or the secret does \
             not go with it; {}",
            self.whose(),
            self.renew()
        )
    }

    /// Where they come from said no.
    pub fn forbidden(&self) -> String {
        match self {
            Self::Profile(route) if route.mfa => route.wants_a_code(),
            Self::Profile(Route { profile, role: true, .. }) => format!(
                "you may not take the role of the profile {}; ask for sts:AssumeRole on it, and for a place in its trust policy",
                shown(profile)
            ),
            Self::Profile(Route { profile, kind: Kind::Sso, .. }) => format!(
                "the single sign-on does not give you the account and role of the profile {}; ask who manages it, or choose \
                 others with aws configure sso",
                shown(profile)
            ),
            _ => self.missing(),
        }
    }

    /// What could not be reached where they come from.
    pub fn unreached(&self) -> String {
        match self {
            Self::Profile(route) => {
                format!("the credentials of the profile {} could not be got", shown(&route.profile))
            }
            _ => "AWS credentials could not be got".to_owned(),
        }
    }

    fn whose(&self) -> String {
        match self {
            Self::Environment => "in the environment".to_owned(),
            Self::Profile(route) => format!("of the profile {}", shown(&route.profile)),
            Self::WebIdentity => "of the web identity".to_owned(),
            Self::Container => "of the container that this runs in".to_owned(),
            Self::Unset => "of the instance that this runs on".to_owned(),
        }
    }

    fn renew(&self) -> String {
        match self {
            Self::Environment => "get new ones, or unset AWS_ACCESS_KEY_ID to use a profile".to_owned(),
            Self::Profile(route) => route.renew(),
            Self::WebIdentity | Self::Container | Self::Unset => "look at the role that it has".to_owned(),
        }
    }
}

impl Route {
    /// None if there is no such profile.
    fn of(selected: &str, profiles: &ProfileSet) -> Option<Self> {
        let profile = profiles.get_profile(selected)?;
        let mut route = Self {
            profile: selected.to_owned(),
            first: selected.to_owned(),
            kind: Kind::None,
            role: false,
            mfa: false,
        };
        let (mut at, mut seen) = (profile, vec![selected.to_owned()]);
        loop {
            at.name().clone_into(&mut route.first);
            // A profile that is a source gives its own keys first, whatever else it says.
            if seen.len() > 1 && at.get("aws_access_key_id").is_some() {
                route.kind = Kind::Keys;
                return Some(route);
            }
            let (Some(_), source) = (at.get("role_arn"), at.get("source_profile")) else {
                route.kind = kind(at);
                return Some(route);
            };
            route.mfa |= at.get("mfa_serial").is_some();
            let Some(source) = source else {
                let token = at.get("web_identity_token_file").is_some();
                route.role = !token;
                route.kind = match at.get("credential_source") {
                    _ if token => Kind::WebIdentity,
                    Some(_) => Kind::Elsewhere,
                    None => Kind::None,
                };
                return Some(route);
            };
            route.role = true;
            if source == at.name() {
                route.kind = kind(at);
                return Some(route);
            }
            if seen.iter().any(|name| name == source) {
                route.kind = Kind::Loop;
                return Some(route);
            }
            seen.push(source.to_owned());
            let Some(next) = profiles.get_profile(source) else {
                source.clone_into(&mut route.first);
                route.kind = Kind::Gone;
                return Some(route);
            };
            at = next;
        }
    }

    fn missing(&self) -> String {
        let (profile, first) = (shown(&self.profile), shown(&self.first));
        match self.kind {
            // The code is asked for after everything else is in order.
            Kind::Keys | Kind::Elsewhere if self.mfa => self.wants_a_code(),
            Kind::Sso => {
                format!("the single sign-on of the profile {first} has ended, or was never begun; {}", self.renew())
            }
            Kind::Login => {
                format!("the sign-in of the profile {first} has ended, or was never begun; {}", self.renew())
            }
            Kind::Process => {
                format!("the credential_process of the profile {first} gave no credentials; run it by hand to see why")
            }
            Kind::WebIdentity => format!(
                "no credentials were given for the web identity of the profile {first}; look at its role_arn and \
                 web_identity_token_file"
            ),
            Kind::Gone => format!(
                "the profile {profile} goes by the profile {first}, and there is none; correct its source_profile"
            ),
            Kind::Loop => {
                format!("the profile {profile} goes by profiles that name each other; correct its source_profile")
            }
            Kind::Elsewhere => format!(
                "the profile {profile} takes its credentials from elsewhere, and there are none; look at its \
                 credential_source"
            ),
            Kind::Keys | Kind::None if self.role => format!(
                "the role of the profile {profile} could not be taken; aws sts get-caller-identity{} says more",
                option(&self.profile)
            ),
            Kind::Keys | Kind::None => {
                format!(
                    "the profile {profile} has no whole credentials; aws configure{} adds them",
                    option(&self.profile)
                )
            }
        }
    }

    fn wants_a_code(&self) -> String {
        format!(
            "the role of the profile {} wants the code of an MFA device, which only the AWS CLI asks for; hand over what it \
             gets, and name no profile then: eval \"$(aws configure export-credentials{} --format env)\"",
            shown(&self.profile),
            option(&self.profile)
        )
    }

    fn renew(&self) -> String {
        let option = option(&self.first);
        match self.kind {
            Kind::Sso => format!("run aws sso login{option}"),
            Kind::Login => format!("run aws login{option}"),
            Kind::Process => "run its credential_process by hand to see why".to_owned(),
            _ => format!("put new ones in with aws configure{option}"),
        }
    }
}

/// What a profile without a role has.
fn kind(profile: &Profile) -> Kind {
    let has = |name: &str| profile.get(name).is_some();
    if has("web_identity_token_file") {
        Kind::WebIdentity
    } else if has("sso_session") || has("sso_start_url") || has("sso_account_id") {
        Kind::Sso
    } else if has("login_session") {
        Kind::Login
    } else if has("credential_process") {
        Kind::Process
    } else if has("aws_access_key_id") {
        Kind::Keys
    } else {
        Kind::None
    }
}

/// ` --profile NAME`, as a shell takes it; nothing for the default one.
fn option(profile: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.+@/:".contains(&byte);
    match profile {
        "default" => String::new(),
        bare_name if bare_name.bytes().all(bare) => format!(" --profile {bare_name}"),
        other => format!(" --profile {}", shown(other)),
    }
}
