//! The Runtime API, one server for each sandbox.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

/// An event on its way into the sandbox.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Lambda's request id.
    pub request_id: String,
    /// The function's ARN.
    pub arn: String,
    /// When the invocation will be ended.
    pub deadline: SystemTime,
    /// The event.
    pub payload: Bytes,
}

/// What the function says to the Runtime API.
#[derive(Debug)]
pub enum Said {
    /// It asks for an event.
    Next,
    /// It answers the invocation of this id.
    Response(String, Bytes),
    /// It reports an error of the invocation of this id.
    Error(String, Bytes),
    /// It could not start.
    InitError(Bytes),
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    /// Where it listens.
    pub address: SocketAddr,
    /// Takes events for the function.
    pub deliver: mpsc::UnboundedSender<Delivery>,
    /// Gives what the function says.
    pub said: mpsc::UnboundedReceiver<Said>,
    server: JoinHandle<()>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl RuntimeApi {
    /// Starts a server on a free loopback port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (deliver, deliveries) = mpsc::unbounded_channel();
        let (say, said) = mpsc::unbounded_channel();
        let deliveries = Arc::new(Mutex::new(deliveries));
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (deliveries, say) = (Arc::clone(&deliveries), say.clone());
                connections.spawn(async move {
                    let service = service_fn(|request| handle(request, &deliveries, &say));
                    // A function that was killed leaves its connection in the middle; there is nobody to tell.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { address, deliver, said, server })
    }
}

async fn handle(
    request: Request<Incoming>,
    deliveries: &Mutex<mpsc::UnboundedReceiver<Delivery>>,
    say: &mpsc::UnboundedSender<Said>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path: Vec<&str> = parts.uri.path().trim_start_matches("/2018-06-01/runtime/").split('/').collect();
    let said = match (&parts.method, path.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => {
            let _ = say.send(Said::Next);
            let Some(delivery) = deliveries.lock().await.recv().await else { return Ok(plain(StatusCode::GONE)) };
            return Ok(delivered(&delivery));
        }
        (&Method::POST, ["invocation", id, "response"]) => Said::Response((*id).to_owned(), body),
        (&Method::POST, ["invocation", id, "error"]) => Said::Error((*id).to_owned(), body),
        (&Method::POST, ["init", "error"]) => Said::InitError(body),
        _ => return Ok(plain(StatusCode::NOT_FOUND)),
    };
    let _ = say.send(said);
    Ok(plain(StatusCode::ACCEPTED))
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}")));
    *response.status_mut() = status;
    response
}

fn delivered(delivery: &Delivery) -> Response<Full<Bytes>> {
    let deadline = delivery.deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &delivery.request_id)
        .header("lambda-runtime-invoked-function-arn", &delivery.arn)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .body(Full::new(delivery.payload.clone()))
        .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR))
}
