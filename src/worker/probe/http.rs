//! A probe that is an HTTP or HTTPS request. No proxy, no redirects; one connection each, so that accepting is part of the proof.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use regex::bytes::Regex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use super::ask::Answer;
use super::owner::{Connected, Owner};
use super::tls;
use crate::task::spec::{HttpProbe, Port};

/// Of a longer body only this much is matched.
const LONGEST_BODY: usize = 1 << 20;

/// Where connections come from.
pub(in crate::worker) trait Door: Send {
    /// Connects to a port. `own` says that the run itself must be behind it.
    fn open(&mut self, host: &str, port: u16, own: bool) -> impl Future<Output = Result<TcpStream, No>> + Send;
}

/// What is made once and used for each request of a run.
#[derive(Default)]
pub(in crate::worker) struct Client {
    tls: HashMap<tls::Trust, tokio_rustls::TlsConnector>,
    patterns: HashMap<String, Regex>,
}

impl Client {
    /// Sends one request.
    pub(in crate::worker) async fn ask(&mut self, probe: &HttpProbe, ports: &[Port], door: &mut impl Door) -> Answer {
        match self.exchange(probe, ports, door).await {
            Ok(()) => Answer::Yes,
            Err(No::Said(reason)) => Answer::No(format!("`{}`: {reason}", probe.url)),
            Err(No::Foreign(holder)) => Answer::Foreign(holder),
        }
    }

    async fn exchange(&mut self, probe: &HttpProbe, ports: &[Port], door: &mut impl Door) -> Result<(), No> {
        let uri: Uri = probe.url.parse().map_err(|e| No::Said(format!("not a URL: {e}")))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(No::Said("only http and https can be asked".to_owned())),
        };
        let host = uri.host().unwrap_or("127.0.0.1").trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let declared = probe.own_port == Some(port) || ports.iter().any(|p| p.number == port);
        let stream = door.open(&host, port, declared).await?;
        // The request is one small packet; a refusal costs latency only.
        _ = stream.set_nodelay(true);
        let request = request(probe, &uri)?;
        if secure {
            let trust = tls::Trust { insecure: probe.insecure, ca: probe.ca.clone() };
            let connector = match self.tls.get(&trust) {
                Some(connector) => connector.clone(),
                None => {
                    let made = tls::connector(&trust).map_err(No::Said)?;
                    self.tls.insert(trust, made.clone());
                    made
                }
            };
            let stream = tls::handshake(&connector, &host, stream).await.map_err(No::Said)?;
            self.send(probe, request, stream).await
        } else {
            self.send(probe, request, stream).await
        }
    }

    async fn send<S>(&mut self, probe: &HttpProbe, request: Request<Empty<Bytes>>, stream: S) -> Result<(), No>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| in_words(&e))?;
        let mut connection = pin!(connection);
        let mut exchange = pin!(async {
            let response = sender.send_request(request).await.map_err(|e| in_words(&e))?;
            self.judge(probe, response).await
        });
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            // The other side closed; what it sent before is still to be read.
            _ = &mut connection => exchange.await,
        }
    }

    async fn judge(&mut self, probe: &HttpProbe, response: Response<Incoming>) -> Result<(), No> {
        let status = response.status();
        let is_good = probe.status.map_or(status.is_success(), |wanted| status.as_u16() == wanted);
        if !is_good {
            let moved = if status.is_redirection() { ", and redirects are not followed" } else { "" };
            return Err(No::Said(format!("answered {status}{moved}")));
        }
        let Some(pattern) = &probe.body else { return Ok(()) };
        if !self.patterns.contains_key(pattern) {
            let regex =
                Regex::new(pattern).map_err(|e| No::Said(format!("`{pattern}` is no regular expression: {e}")))?;
            self.patterns.insert(pattern.clone(), regex);
        }
        let body = Limited::new(response.into_body(), LONGEST_BODY).collect().await;
        let body = body.map_err(|e| No::Said(format!("its body cannot be read: {e}")))?.to_bytes();
        let matches = self.patterns.get(pattern).is_some_and(|regex| regex.is_match(&body));
        if matches { Ok(()) } else { Err(No::Said(format!("its body does not match `{pattern}`"))) }
    }
}

/// Why not.
pub(in crate::worker) enum No {
    /// One sentence.
    Said(String),
    /// Another process answers.
    Foreign(crate::worker::Holder),
}

impl Door for Owner {
    async fn open(&mut self, host: &str, port: u16, own: bool) -> Result<TcpStream, No> {
        connect(host, port, own, self).await
    }
}

fn in_words(error: &hyper::Error) -> No {
    No::Said(if error.is_incomplete_message() {
        "closed the connection without an answer".to_owned()
    } else {
        error.to_string()
    })
}

/// The addresses of a host, in the order in which they are tried.
pub(in crate::worker) async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, No> {
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]),
        Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
        Err(_) if host == "localhost" => {
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))])
        }
        Err(_) => match lookup_host((host, port)).await {
            Ok(found) => Ok(found.collect()),
            Err(e) => Err(No::Said(format!("`{host}` has no address: {e}"))),
        },
    }
}

/// A port of the run must be its own; any other address is asked as it is.
async fn connect(host: &str, port: u16, declared: bool, owner: &mut Owner) -> Result<TcpStream, No> {
    let addresses = addresses(host, port).await?;
    let mut last = format!("`{host}` has no address");
    for address in addresses {
        let connected = if declared && address.ip().is_loopback() {
            match owner.connect(address).await {
                Connected::No(_) if address.ip() == IpAddr::from([127, 0, 0, 1]) => owner.connect_local(port).await,
                other => other,
            }
        } else {
            match TcpStream::connect(address).await {
                Ok(stream) => Connected::Yes(stream),
                Err(e) => Connected::No(format!("{address} cannot be reached: {e}")),
            }
        };
        match connected {
            Connected::Yes(stream) => return Ok(stream),
            Connected::Foreign(holder) => return Err(No::Foreign(holder)),
            Connected::No(reason) => last = reason,
        }
    }
    Err(No::Said(last))
}

fn request(probe: &HttpProbe, uri: &Uri) -> Result<Request<Empty<Bytes>>, No> {
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let host = uri.authority().map_or("", |a| a.as_str().rsplit('@').next().unwrap_or_default());
    let mut request = Request::get(path).body(Empty::new()).map_err(|e| No::Said(format!("not a request: {e}")))?;
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("orchestra/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &probe.headers {
        let bad = |what: String| No::Said(format!("header `{name}` cannot be sent: {what}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|e| bad(e.to_string()))?;
        headers.insert(key, HeaderValue::from_str(value).map_err(|e| bad(e.to_string()))?);
    }
    Ok(request)
}
