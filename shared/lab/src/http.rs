//! Requests and answers as the lab passes them about: whole, in memory. AWS's management calls are small.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An HTTP request to an AWS API, its body read.
#[derive(Clone, Debug)]
pub struct ApiRequest {
    /// The HTTP method.
    pub method: Method,
    /// The request target, path and query as sent (percent-encoded): `/clinic-scans?publicAccessBlock`. The gateway has
    /// already turned a virtual-hosted bucket (`clinic-scans.localhost`) and a proxy's absolute form into this.
    pub target: String,
    /// Every header as sent, `authorization` and `host` among them.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl ApiRequest {
    /// A request without headers or body.
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// The same request with this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same request with this header; one that is not valid HTTP is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = value.parse() {
            self.headers.insert(name, value);
        }
        self
    }

    /// The path, percent-encoded: `/clinic-scans/a%20b`.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query's names and values, decoded; a name alone has an empty value.
    pub fn query(&self) -> Vec<(String, String)> {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').map_or((decode(pair), String::new()), |(n, v)| (decode(n), decode(v))))
            .collect()
    }

    /// The text of a header; none if it is absent or not text.
    pub fn text(&self, header: &str) -> Option<&str> {
        self.headers.get(header).and_then(|value| value.to_str().ok())
    }
}

/// An HTTP answer from an AWS API, its body read.
#[derive(Clone, Debug)]
pub struct ApiResponse {
    /// The HTTP status.
    pub status: StatusCode,
    /// Every header.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl ApiResponse {
    /// An answer of this status and body.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.into() }
    }

    /// The same answer with this header; one that is not valid HTTP is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = value.parse() {
            self.headers.insert(name, value);
        }
        self
    }

    /// The texts of all elements of this name in an XML body, in order; none if the body is not XML.
    pub fn texts(&self, element: &str) -> Vec<String> {
        let Some(document) = str::from_utf8(&self.body).ok().and_then(|text| roxmltree::Document::parse(text).ok())
        else {
            return Vec::new();
        };
        let named = document.descendants().filter(|node| node.tag_name().name() == element);
        named.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
    }

    /// The items of the list of this name in an XML body, in order, and of each the texts of these elements wherever in it
    /// they are, several of one name with commas between them.
    pub fn rows<const N: usize>(&self, list: &str, elements: [&str; N]) -> Vec<[String; N]> {
        let Some(document) = str::from_utf8(&self.body).ok().and_then(|text| roxmltree::Document::parse(text).ok())
        else {
            return Vec::new();
        };
        let lists = document.descendants().filter(|node| node.tag_name().name() == list);
        let items = lists.flat_map(|list| list.children().filter(roxmltree::Node::is_element));
        let texts = |item: roxmltree::Node<'_, '_>, element: &str| {
            let named = item.descendants().filter(|node| node.tag_name().name() == element);
            named.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect::<Vec<_>>().join(",")
        };
        items.map(|item| elements.map(|element| texts(item, element))).collect()
    }
}

/// The emulator behind the gateway: takes a request, gives its answer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    known: Arc<Mutex<Known>>,
}

/// What the emulator answered to the lab's own questions since the last write. Every quirk asks whose a bucket is and
/// where, for every call; without this a call to the lab takes three times as long.
#[derive(Debug, Default)]
struct Known {
    writes: u64,
    /// By what they are about (a bucket; empty: the account), and by the question.
    answers: HashMap<(String, String), ApiResponse>,
}

impl Upstream {
    /// An emulator that listens on this loopback address.
    pub fn new(address: SocketAddr) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), address, known: Arc::default() }
    }

    /// The answer to a question that changes nothing: the one known, or else the emulator's own. `about` is the bucket that
    /// it is about, empty for what is not about one; `asked` is what tells the question from others.
    pub async fn ask(&self, about: &str, asked: String, question: ApiRequest) -> Result<ApiResponse, String> {
        let key = (about.to_owned(), asked);
        let writes = {
            let known = self.known();
            if let Some(answer) = known.answers.get(&key) {
                return Ok(answer.clone());
            }
            known.writes
        };
        let answer = self.send(question).await?;
        let mut known = self.known();
        // An answer from before a write that came between is of no use.
        if known.writes == writes {
            known.answers.insert(key, answer.clone());
        }
        Ok(answer)
    }

    /// Forgets what is known: something is about to be written, or was. A write to a bucket leaves what is known of the
    /// others and of the account; one that is about no bucket (empty) leaves nothing.
    pub fn forget(&self, about: &str) {
        let mut known = self.known();
        known.writes += 1;
        if about.is_empty() {
            known.answers.clear();
        } else {
            known.answers.retain(|(of, _), _| of != about);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the emulator listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request and reads the whole answer. Fails if the emulator cannot be reached or hangs up.
    pub async fn send(&self, request: ApiRequest) -> Result<ApiResponse, String> {
        let length = request.body.len();
        let mut sent = http::Request::builder()
            .method(request.method)
            .uri(format!("http://{}{}", self.address, request.target))
            .body(Full::new(request.body))
            .map_err(|error| format!("not a request: {error}"))?;
        *sent.headers_mut() = request.headers;
        // The emulator is addressed by path; the caller's Host may name a bucket, an account or a proxy's target. The
        // body is whole, so its framing is ours to write.
        for header in [http::header::HOST, http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING] {
            sent.headers_mut().remove(header);
        }
        // hyper leaves the length out where there is no body; moto answers 411 to such a PutBucketAcl.
        if sent.method() == Method::PUT {
            sent.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        }
        let answer = self.client.request(sent).await.map_err(|error| format!("the emulator hung up: {error}"))?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| format!("the emulator hung up: {error}"))?.to_bytes();
        Ok(ApiResponse { status: parts.status, headers: parts.headers, body })
    }
}
