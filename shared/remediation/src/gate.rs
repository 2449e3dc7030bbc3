//! The gates: what must be so before anything is read or written, on every path. They fail closed.
//!
//! A manual request can override a gate by naming it in `override`; the record then shows that it did.

use crate::control::{Control, Place};
use crate::event::{Order, Request};
use crate::settings::{Mode, Settings};

/// A gate or a control's guard that said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gate's or the guard's name.
    pub by: String,
    /// Why, and the next step.
    pub why: String,
}

/// Whether the event is about a call that our own role made. Such calls are fixes and undos; acting on them would make
/// us answer ourselves.
pub fn own_doing<C: Control>(request: &Request<C>, settings: &Settings) -> bool {
    let role = request.cause.as_ref().and_then(|cause| cause.role.as_deref());
    role.is_some() && role == settings.role_arn.as_deref()
}

/// The gates that need no look at the resource: is its account ours to change, and its region? `place` is where the
/// request says that the resource is, or where it turned out to be.
pub fn place<C: Control>(request: &Request<C>, place: &Place<C::Target>, settings: &Settings) -> Result<(), Refusal> {
    let allowed = [
        ("account", settings.accounts.contains(&place.account), place.account.as_str(), "SUTURE_ACCOUNTS"),
        ("region", settings.regions.contains(&place.region), place.region.as_str(), "SUTURE_REGIONS"),
    ];
    for (gate, ours, value, setting) in allowed {
        if !ours && !overridden(request, gate) {
            let why = format!("{gate} {value} is not one of ours to change; if it should be, add it to {setting}");
            return Err(Refusal { by: gate.to_owned(), why });
        }
    }
    Ok(())
}

/// The mode that a fix runs under. A manual request can ask for less than the deployment's mode, and for more only by
/// overriding the gate.
pub fn mode<C: Control>(request: &Request<C>, settings: &Settings) -> Result<Mode, Refusal> {
    match &request.order {
        // Taking something back is a person's decision in itself, and must work after the robot was stopped.
        Order::Undo(_) => Ok(Mode::Enforce),
        Order::Fix(None) => Ok(settings.mode),
        Order::Fix(Some(Mode::Plan)) => Ok(Mode::Plan),
        Order::Fix(Some(Mode::Enforce)) if settings.mode == Mode::Enforce || overridden(request, "mode") => {
            Ok(Mode::Enforce)
        }
        Order::Fix(Some(Mode::Enforce)) => Err(Refusal {
            by: "mode".to_owned(),
            why: "this deployment only plans; to write all the same, add \"override\": [\"mode\"] to the request"
                .to_owned(),
        }),
    }
}

/// Whether the request overrides the gate or guard of this name.
pub fn overridden<C: Control>(request: &Request<C>, name: &str) -> bool {
    request.overrides.iter().any(|given| given == name)
}
