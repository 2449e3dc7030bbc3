//! What a command works with: a ledger, AWS where it is needed, and who it is that asks.

use super::aws::{Aws, Where};
use super::words::trouble;
use aws_config::SdkConfig;
use ledger::{Dynamo, File, Ledger};
use remediation::caller::prove;
use remediation::lambda::{Here, variable};
use remediation::{AccountId, Region, Settings, shown};
use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;
use tokio::sync::OnceCell;

/// Which ledger a command is about.
#[derive(clap::Args)]
pub struct Which {
    /// The ledger: the name of a deployment's DynamoDB table, or file:PATH; that of SUTURE_LEDGER, if not given, or else a file
    /// of your own in ~/.local/share/suture
    #[arg(
        long,
        env = "SUTURE_LEDGER",
        value_name = "TABLE|file:PATH",
        hide_env = true,
        help_heading = "Ledger and AWS"
    )]
    ledger: Option<String>,
    /// The profile of the AWS CLI to work with; that of AWS_PROFILE, if not given.
    #[arg(long, value_name = "NAME", help_heading = "Ledger and AWS")]
    profile: Option<String>,
}

/// Which ledger a command is about, and in which region that is.
#[derive(clap::Args)]
pub struct WhichAndWhere {
    /// The AWS region; the one that AWS_REGION or the profile sets, if not given.
    #[arg(long, help_heading = "Ledger and AWS")]
    region: Option<String>,
    #[command(flatten)]
    which: Which,
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

impl WhichAndWhere {
    /// Which ledger.
    pub fn which(&self) -> &Which {
        &self.which
    }

    /// AWS, without a ledger.
    ///
    /// # Errors
    /// What keeps it from being reached.
    pub async fn aws(&self) -> Result<Aws, String> {
        Aws::reach(self.which.profile.as_deref(), Where::said(self.region.as_deref())).await
    }
}

/// A command's ledger, and AWS.
pub struct Session {
    /// Where the ledger is.
    pub place: Place,
    /// The ledger.
    pub ledger: Ledger,
    /// Why the ledger cannot be written, if so, and the file that it is.
    shut: Option<(String, Rc<File>)>,
    profile: Option<String>,
    /// The region that a command named, and whether it counts for more than the one that is set.
    region: Option<(String, bool)>,
    aws: OnceCell<Aws>,
    caller: OnceCell<String>,
    stopped: Cell<bool>,
}

/// AWS. Reached where it is needed: a ledger in a file needs none.
async fn reached<'a>(
    cell: &'a OnceCell<Aws>,
    profile: Option<&str>,
    region: Option<&(String, bool)>,
) -> Result<&'a Aws, String> {
    let place = match region {
        None => Where::Set,
        Some((region, true)) => Where::In(region),
        Some((region, false)) => Where::Otherwise(region),
    };
    cell.get_or_try_init(|| Aws::reach(profile, place)).await
}

impl Session {
    /// Opens the ledger; AWS is as the environment and the profile have it.
    ///
    /// # Errors
    /// It cannot be opened, no region is set, or there are no credentials for a ledger in a table.
    pub async fn open(which: &Which) -> Result<Self, String> {
        Self::open_in(which, Where::Set).await
    }

    /// The same, of a command with a region of its own.
    ///
    /// # Errors
    /// The same.
    pub async fn open_at(which: &WhichAndWhere) -> Result<Self, String> {
        Self::open_in(&which.which, Where::said(which.region.as_deref())).await
    }

    /// The same, in this region.
    ///
    /// # Errors
    /// The same.
    pub async fn open_in(which: &Which, region: Where<'_>) -> Result<Self, String> {
        let place = which.place()?;
        let region = match region {
            Where::Set => None,
            Where::In(region) => Some((region.to_owned(), true)),
            Where::Otherwise(region) => Some((region.to_owned(), false)),
        };
        let (profile, cell, mut shut) = (which.profile.clone(), OnceCell::new(), None);
        let ledger = match &place {
            Place::Table(name) => {
                let aws = reached(&cell, profile.as_deref(), region.as_ref()).await?;
                aws.region()?;
                aws.sign_in().await?;
                Ledger::new(Rc::new(Dynamo::new(aws.sdk(), name)))
            }
            Place::File(path) => {
                let file = match File::open(path) {
                    Ok(file) => Rc::new(file),
                    // Where nothing can be written, one can look all the same. What is wrong with the ledger itself, a look
                    // meets too.
                    Err(why) => {
                        let file = Rc::new(File::look(path, why.clone()).map_err(trouble)?);
                        shut = Some((trouble(why), Rc::clone(&file)));
                        file
                    }
                };
                Ledger::new(file)
            }
        };
        Ok(Self { place, ledger, shut, profile, region, aws: cell, caller: OnceCell::new(), stopped: Cell::default() })
    }

    /// One over these.
    #[cfg(test)]
    pub fn with(place: Place, ledger: Ledger, sdk: SdkConfig) -> Self {
        let aws = OnceCell::new_with(Some(Aws::with(sdk)));
        Self {
            place,
            ledger,
            shut: None,
            profile: None,
            region: None,
            aws,
            caller: OnceCell::new(),
            stopped: Cell::default(),
        }
    }

    /// The ledger for whoever means to write to a resource, or only to plan that.
    ///
    /// # Errors
    /// It cannot be written, and there is more to do than plan: without a record nothing is written.
    pub fn to_carry_out(&self, only_plans: bool) -> Result<Ledger, String> {
        match &self.shut {
            None => Ok(self.ledger.clone()),
            Some((_, file)) if only_plans => Ok(Ledger::new(Rc::new(file.copy().map_err(trouble)?))),
            Some((why, _)) => Err(format!("nothing is written without a record: {why} (--ledger file:PATH)")),
        }
    }

    /// Notes that whoever runs this wants it to end.
    pub fn stop(&self) {
        self.stopped.set(true);
    }

    /// Whether whoever runs this wants it to end.
    pub fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Whether the ledger cannot be written.
    pub fn is_shut(&self) -> bool {
        self.shut.is_some()
    }

    async fn aws(&self) -> Result<&Aws, String> {
        reached(&self.aws, self.profile.as_deref(), self.region.as_ref()).await
    }

    /// The SDK's configuration.
    ///
    /// # Errors
    /// What keeps AWS from being reached, as far as it shows on this machine.
    pub async fn sdk(&self) -> Result<&SdkConfig, String> {
        Ok(self.aws().await?.sdk())
    }

    /// The region that is set.
    ///
    /// # Errors
    /// None is.
    pub async fn region(&self) -> Result<Region, String> {
        self.aws().await?.region()
    }

    /// Sees to it that there are credentials.
    ///
    /// # Errors
    /// There are none.
    pub async fn sign_in(&self) -> Result<(), String> {
        self.aws().await?.sign_in().await
    }

    /// A proof that whoever runs this asks for this: see [`remediation::caller`].
    ///
    /// # Errors
    /// No region, or no credentials.
    pub async fn proof(&self, purpose: &str) -> Result<String, String> {
        let aws = self.aws().await?;
        let region = aws.region()?;
        aws.sign_in().await?;
        prove(aws.sdk(), &region, purpose, SystemTime::now()).await
    }

    /// The ARN of whoever runs this, as AWS reports it.
    ///
    /// # Errors
    /// AWS could not be asked, or does not know the credentials.
    pub async fn caller(&self) -> Result<String, String> {
        let caller = self.caller.get_or_try_init(async || self.aws().await?.caller().await).await?;
        Ok(caller.clone())
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
