//! Finds the policy services that Postfix asks at RCPT time, in its restrictions (SMTPD_POLICY_README of Postfix).

use std::path::PathBuf;

use crate::doctor::rules::rcpt_check::RESTRICTIONS;
use crate::doctor::rules::settings::Settings;

/// A service that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyEndpoint {
    /// As it is written.
    pub text: String,
    pub place: EndpointPlace,
    /// What holds when it does not answer; Postfix answers 451 where nothing is said.
    pub default_action: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointPlace {
    /// A socket; one that is not absolute lies in the queue directory.
    Unix(PathBuf),
    /// A host and a port.
    Inet(String),
}

/// Reads the services that Postfix asks, each once.
pub fn find_endpoints(settings: &Settings) -> Vec<PolicyEndpoint> {
    let mut found: Vec<PolicyEndpoint> = Vec::new();
    for name in RESTRICTIONS {
        let mut words = settings.words(name).into_iter();
        while let Some(word) = words.next() {
            if word != "check_policy_service" {
                continue;
            }
            let Some(first) = words.next() else { break };
            let mut group = vec![first];
            if first.starts_with('{') {
                while !group.last().is_some_and(|word| word.ends_with('}')) {
                    let Some(next) = words.next() else { break };
                    group.push(next);
                }
            }
            if let Some(endpoint) = endpoint(&group).filter(|endpoint| !found.contains(endpoint)) {
                found.push(endpoint);
            }
        }
    }
    found
}

fn endpoint(words: &[&str]) -> Option<PolicyEndpoint> {
    let mut bare = words
        .iter()
        .map(|word| word.trim_matches(['{', '}']))
        .filter(|word| !word.is_empty());
    let text = bare.next()?;
    let place = match text.split_once(':')? {
        ("unix", path) => EndpointPlace::Unix(PathBuf::from(path)),
        ("inet", address) => EndpointPlace::Inet(address.to_owned()),
        _ => return None,
    };
    let default_action = bare.find_map(|word| word.strip_prefix("default_action="));
    Some(PolicyEndpoint {
        text: text.to_owned(),
        place,
        default_action: default_action.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::{EndpointPlace, find_endpoints};
    use crate::doctor::rules::settings::Settings;

    #[test]
    fn each_way_to_name_a_policy_service_is_read() {
        let settings = Settings::parse(
            "smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service { unix:private/policy, timeout=10s, \
             default_action=DUNNO }, permit\nsmtpd_relay_restrictions = check_policy_service inet:127.0.0.1:10040 permit, \
             check_policy_service {unix:private/policy, default_action=DUNNO}\n",
        );
        let found: Vec<_> = find_endpoints(&settings)
            .into_iter()
            .map(|found| (found.text, found.default_action))
            .collect();
        let dunno = Some("DUNNO".to_owned());
        assert_eq!(
            found,
            [
                ("unix:private/policy".to_owned(), dunno),
                ("inet:127.0.0.1:10040".to_owned(), None)
            ]
        );
        for odd in [
            "check_policy_service",
            "check_policy_service { }",
            "check_policy_service x",
        ] {
            let settings = Settings::parse(&format!("smtpd_data_restrictions = {odd}\n"));
            assert_eq!(find_endpoints(&settings), [], "{odd}");
        }
        let settings = Settings::parse("smtpd_data_restrictions = check_policy_service unix:/run/x\n");
        let place = find_endpoints(&settings).pop().map(|found| found.place);
        assert_eq!(place, Some(EndpointPlace::Unix("/run/x".into())));
    }
}
