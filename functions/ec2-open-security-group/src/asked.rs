//! What an AWS Config rule that fired asks for, by its own parameters.

use crate::ports::Ports;
use remediation::{ConfigRule, shown};
use serde_json::{Map, Value};

/// The TCP and UDP ports that the rule does not want open to the world, besides those that the deployment closes; none if
/// its parameters say nothing about ports. Which managed rule it is shows in the names of its parameters: its own name is
/// the account's to choose.
///
/// - `VPC_SG_OPEN_ONLY_TO_AUTHORIZED_PORTS` (`authorizedTcpPorts`, `authorizedUdpPorts`): all but these. Of a protocol
///   whose parameter is left out none is authorised.
///   <https://docs.aws.amazon.com/config/latest/developerguide/vpc-sg-open-only-to-authorized-ports.html>
/// - `RESTRICTED_INCOMING_TRAFFIC` (`blockedPort1` to `blockedPort5`, `blockedPorts`): these, of TCP.
///   <https://docs.aws.amazon.com/config/latest/developerguide/restricted-common-ports.html>
/// - `VPC_SG_PORT_RESTRICTION_CHECK` (`restrictPorts`, `protocolType`): these.
///   <https://docs.aws.amazon.com/config/latest/developerguide/vpc-sg-port-restriction-check.html>
///
/// An error names the parameter that is no list of ports: then nothing is guessed.
pub fn closed(rule: &ConfigRule) -> Result<(Ports, Ports), String> {
    let none = Map::new();
    let parameters = rule.parameters.as_ref().unwrap_or(&none);
    let (mut tcp, mut udp) = (Ports::default(), Ports::default());
    let authorized = (ports(parameters, "authorizedTcpPorts")?, ports(parameters, "authorizedUdpPorts")?);
    if authorized.0.is_some() || authorized.1.is_some() {
        tcp = tcp.or(&authorized.0.unwrap_or_default().others());
        udp = udp.or(&authorized.1.unwrap_or_default().others());
    }
    for name in ["blockedPort1", "blockedPort2", "blockedPort3", "blockedPort4", "blockedPort5", "blockedPorts"] {
        tcp = tcp.or(&ports(parameters, name)?.unwrap_or_default());
    }
    if let Some(restricted) = ports(parameters, "restrictPorts")? {
        let protocol = parameters.get("protocolType").and_then(Value::as_str).unwrap_or("ALL");
        if !protocol.eq_ignore_ascii_case("udp") {
            tcp = tcp.or(&restricted);
        }
        if !protocol.eq_ignore_ascii_case("tcp") {
            udp = udp.or(&restricted);
        }
    }
    Ok((tcp, udp))
}

/// A parameter's ports; none if it is not there. Config hands parameters on as text, whatever their type is.
fn ports(parameters: &Map<String, Value>, name: &str) -> Result<Option<Ports>, String> {
    let read = match parameters.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => Ports::parse(text),
        Some(Value::Number(number)) => Ports::parse(&number.to_string()),
        Some(other) => Err(format!("{} is no text", shown(&other.to_string()))),
    };
    read.map(Some)
        .map_err(|why| format!("the Config rule's parameter {name} cannot be read: {why}; mend it in the rule"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(parameters: &Value) -> Result<(String, String), String> {
        let rule = ConfigRule { name: "sg".to_owned(), parameters: parameters.as_object().cloned() };
        closed(&rule).map(|(tcp, udp)| (tcp.to_string(), udp.to_string()))
    }

    #[test]
    fn what_each_managed_rule_asks_for() {
        for (parameters, tcp, udp) in [
            (json!({}), "", ""),
            (Value::Null, "", ""),
            (json!({"authorizedTcpPorts": "80,443"}), "0-79,81-442,444-65535", "0-65535"),
            (json!({"authorizedUdpPorts": "500"}), "0-65535", "0-499,501-65535"),
            (
                json!({"authorizedTcpPorts": "443,1020-1025", "authorizedUdpPorts": ""}),
                "0-442,444-1019,1026-65535",
                "0-65535",
            ),
            (json!({"blockedPort1": "20", "blockedPort3": 3389}), "20,3389", ""),
            (json!({"blockedPorts": "20, 21, 3306"}), "20-21,3306", ""),
            (json!({"restrictPorts": "22,3389"}), "22,3389", "22,3389"),
            (json!({"restrictPorts": "22", "protocolType": "TCP"}), "22", ""),
            (json!({"restrictPorts": "161", "protocolType": "udp"}), "", "161"),
            (json!({"tagKey": "x"}), "", ""),
        ] {
            assert_eq!(asked(&parameters), Ok((tcp.to_owned(), udp.to_owned())), "{parameters}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for parameters in [
            json!({"authorizedTcpPorts": "80,https"}),
            json!({"authorizedTcpPorts": ["80"]}),
            json!({"blockedPort1": "70000"}),
            json!({"blockedPort1": -1}),
            json!({"restrictPorts": "22;23"}),
        ] {
            let why = asked(&parameters).unwrap_err();
            assert!(why.contains("parameter") && why.contains("mend it"), "{why}");
        }
    }
}
