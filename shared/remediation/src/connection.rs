//! One HTTP connector for every client of the process.
//!
//! Left to itself, each SDK client parses the system's root certificates twice, once when it is made and once for its first
//! request: some milliseconds of CPU on a cold start, tens on a small function. The connector here is made with the first
//! request and kept.

use aws_smithy_http_client::ConnectorBuilder;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An HTTP client with one connector, whoever asks, for each pair of time-outs. Proxies are those of the environment, as in the
/// SDK's own.
///
/// Every client has its time-outs from [`crate::lambda::sdk_loader`], so a function has one connector. A command line may look
/// for its region or credentials at the instance that it runs on, with a second's patience, which is nobody else's.
#[derive(Debug, Default)]
pub struct OneConnector(Mutex<Vec<(Times, SharedHttpConnector)>>);

/// How long a connection, and the beginning of an answer, may take.
type Times = (Option<Duration>, Option<Duration>);

impl HttpClient for OneConnector {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let times = (settings.connect_timeout(), settings.read_timeout());
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = made.iter().find(|(of, _)| *of == times) {
            return connector.clone();
        }
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .proxy_config(ProxyConfig::from_env())
            .connector_settings(settings.clone());
        connector.set_sleep_impl(components.sleep_impl());
        let connector = SharedHttpConnector::new(connector.build());
        made.push((times, connector.clone()));
        connector
    }
}
