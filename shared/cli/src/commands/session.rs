//! What a command works with: a ledger, AWS where it is needed, and who it is that asks.

use super::words::trouble;
use aws_config::SdkConfig;
use ledger::{Dynamo, File, Ledger};
use remediation::caller::{Callers, prove};
use remediation::lambda::{Here, sdk_config, variable};
use remediation::{AccountId, Region, Settings, shown};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;
use tokio::sync::OnceCell;

/// Which ledger a command is about.
#[derive(clap::Args)]
pub struct Which {
    /// The ledger: the name of a deployment's DynamoDB table, or file:PATH. Without it, a file of your own in
    /// ~/.local/share/suture
    #[arg(long, env = "SUTURE_LEDGER", value_name = "TABLE|file:PATH")]
    ledger: Option<String>,
}

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the table with this name: that of a deployment.
    Table(String),
    /// In this file.
    File(PathBuf),
}

impl Which {
    /// Whether somebody said which.
    pub fn is_said(&self) -> bool {
        self.ledger.as_deref().is_some_and(|said| !said.trim().is_empty())
    }

    /// Where it is.
    ///
    /// # Errors
    /// A name that is none, or no home to keep a file in.
    pub fn place(&self) -> Result<Place, String> {
        Place::of(self.ledger.as_deref(), variable)
    }
}

impl Place {
    /// The place that is named so; without a name the file of whoever asks, where the XDG base directory specification has
    /// it (<https://specifications.freedesktop.org/basedir-spec/latest/>).
    pub fn of(named: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let Some(named) = named.map(str::trim).filter(|named| !named.is_empty()) else {
            let absolute = |path: String| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
            let data = variable("XDG_DATA_HOME").and_then(absolute);
            let home = || variable("HOME").and_then(absolute).map(|home| home.join(".local/share"));
            let data =
                data.or_else(home).ok_or("there is no home to keep a ledger in; name one: --ledger file:PATH")?;
            return Ok(Self::File(data.join("suture/ledger")));
        };
        if let Some(path) = named.strip_prefix("file:") {
            return match path {
                "" => Err("the ledger file: names no file; write --ledger file:PATH".to_owned()),
                path => Ok(Self::File(PathBuf::from(path))),
            };
        }
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if !(3..=255).contains(&named.len()) || !named.bytes().all(sound) {
            return Err(format!("{} is no name of a table; for a file, write --ledger file:PATH", shown(named)));
        }
        Ok(Self::Table(named.to_owned()))
    }

    /// The same in a few words.
    pub fn says(&self) -> String {
        match self {
            Self::Table(name) => format!("the table {name}"),
            Self::File(path) => format!("the file {}", path.display()),
        }
    }

    /// The folder of the evidence that goes with a ledger in a file.
    pub fn evidence(&self) -> Option<PathBuf> {
        let Self::File(path) = self else { return None };
        let mut folder = path.clone().into_os_string();
        folder.push(".evidence");
        Some(folder.into())
    }

    /// The function that takes fixes back in the deployment that this is the ledger of, as far as the table's name tells:
    /// CloudFormation names it by the stack, the resource and something of its own, and the template calls the function by the
    /// stack. <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html>
    pub fn undo_function(&self) -> Option<String> {
        let Self::Table(name) = self else { return None };
        let (stack, _) = name.rsplit_once("-LedgerTable").filter(|(stack, _)| !stack.is_empty())?;
        Some(format!("{stack}-undo"))
    }
}

/// A command's ledger, and AWS.
pub struct Session {
    /// Where the ledger is.
    pub place: Place,
    /// The ledger.
    pub ledger: Ledger,
    sdk: OnceCell<SdkConfig>,
}

/// AWS as the environment and the profile have it. Made where it is needed: a ledger in a file needs none.
async fn aws(cell: &OnceCell<SdkConfig>) -> &SdkConfig {
    cell.get_or_init(sdk_config).await
}

impl Session {
    /// Opens the ledger.
    ///
    /// # Errors
    /// It cannot be opened, or no region is set.
    pub async fn open(which: &Which) -> Result<Self, String> {
        let place = which.place()?;
        let sdk = OnceCell::new();
        let ledger = match &place {
            Place::Table(name) => {
                let sdk = aws(&sdk).await;
                region(sdk)?;
                Ledger::new(Rc::new(Dynamo::new(sdk, name)))
            }
            Place::File(path) => Ledger::new(Rc::new(File::open(path).map_err(trouble)?)),
        };
        Ok(Self { place, ledger, sdk })
    }

    /// One over these.
    #[cfg(test)]
    pub fn with(place: Place, ledger: Ledger, sdk: SdkConfig) -> Self {
        Self { place, ledger, sdk: OnceCell::new_with(Some(sdk)) }
    }

    /// AWS.
    pub async fn sdk(&self) -> &SdkConfig {
        aws(&self.sdk).await
    }

    /// The region that is set.
    ///
    /// # Errors
    /// None is.
    pub async fn region(&self) -> Result<Region, String> {
        region(self.sdk().await)
    }

    /// A proof that whoever runs this asks for this: see [`remediation::caller`].
    ///
    /// # Errors
    /// No region, or no credentials.
    pub async fn proof(&self, purpose: &str) -> Result<String, String> {
        proof(self.sdk().await, purpose).await
    }

    /// The ARN of whoever runs this, as AWS reports it.
    ///
    /// # Errors
    /// AWS could not be asked, or does not know the credentials.
    pub async fn caller(&self) -> Result<String, String> {
        caller(self.sdk().await).await
    }

    /// Who runs this, for a change of the ledger: the ARN, or for a ledger in a file, where AWS may not be at hand, the user
    /// of this machine.
    ///
    /// # Errors
    /// The ledger is a deployment's, and AWS could not be asked.
    pub async fn who(&self) -> Result<String, String> {
        match (self.caller().await, &self.place) {
            (Err(_), Place::File(_)) => Ok(user()),
            (caller, _) => caller,
        }
    }

    /// Where we are: the account of the caller, the region that is set, and the settings of the environment.
    ///
    /// # Errors
    /// What of it cannot be had.
    pub async fn here(&self) -> Result<Here, String> {
        let region = self.region().await?;
        let account = account_of(&self.caller().await?)?;
        let settings = Settings::read(variable, Some(&account), Some(&region))?;
        // This is neither a control's function nor one at all.
        let settings = Settings { undo_function: None, function: None, ..settings };
        Ok(Here { settings, account: Some(account), region: Some(region) })
    }
}

/// The user of this machine: what there is where AWS names nobody.
pub fn user() -> String {
    let name = ["USER", "LOGNAME"].into_iter().find_map(variable).filter(|name| !name.is_empty());
    format!("the local user {}", name.unwrap_or_else(|| "without a name".to_owned()))
}

/// The account in a caller's ARN.
pub fn account_of(caller: &str) -> Result<AccountId, String> {
    let id = caller.split(':').nth(4).unwrap_or_default();
    AccountId::parse(id).map_err(|_| "AWS named a caller of no account; sign in as a user or a role".to_owned())
}

/// The region that the SDK is set to.
pub fn region(sdk: &SdkConfig) -> Result<Region, String> {
    let region =
        sdk.region().ok_or("no AWS region is set; set AWS_REGION, or a region in the profile of the AWS CLI")?;
    Region::parse(region.as_ref())
}

async fn proof(sdk: &SdkConfig, purpose: &str) -> Result<String, String> {
    let proof = prove(sdk, &region(sdk)?, purpose, SystemTime::now()).await;
    // The SDK that functions share has no single sign-on in it; the AWS CLI has.
    proof.map_err(|why| {
        format!(
            "{why}, or hand over those of a single sign-on: eval \"$(aws configure export-credentials --format env)\""
        )
    })
}

/// The ARN of whoever has these credentials, as AWS reports it.
///
/// # Errors
/// AWS could not be asked, or does not know the credentials.
pub async fn caller(sdk: &SdkConfig) -> Result<String, String> {
    const PURPOSE: &str = "say who runs suture";
    let proof = proof(sdk, PURPOSE).await?;
    let caller = Callers::new(sdk).identify(&proof, PURPOSE).await;
    caller.map_err(|fault| format!("who you are could not be told: {fault}"))
}
