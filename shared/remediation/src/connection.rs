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
use std::sync::OnceLock;

/// An HTTP client with one connector, whoever asks. Proxies are those of the environment, as in the SDK's own.
#[derive(Debug, Default)]
pub(crate) struct OneConnector(OnceLock<SharedHttpConnector>);

impl HttpClient for OneConnector {
    /// The connector. Its time-outs are those of the first client that asks: every client has its configuration from
    /// [`crate::lambda::sdk_config`], so they are the same.
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connect = || {
            let mut connector = ConnectorBuilder::default()
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .proxy_config(ProxyConfig::from_env())
                .connector_settings(settings.clone());
            connector.set_sleep_impl(components.sleep_impl());
            SharedHttpConnector::new(connector.build())
        };
        self.0.get_or_init(connect).clone()
    }
}
