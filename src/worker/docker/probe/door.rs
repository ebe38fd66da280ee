//! How the ports of a container are reached from here: at its own address where that is on this machine, else where they are published.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, EndpointSettings};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::task::container::Published;
use crate::task::spec::Protocol;
use crate::worker::probe::http::{Door, No, addresses};

/// Whoever publishes a port may accept before the server listens, and then closes at once: an open connection counts after so long.
const LASTS: Duration = Duration::from_millis(250);

/// The ways to one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    own: Option<IpAddr>,
    /// A port of the container, and where it is found on the host.
    published: Vec<(u16, SocketAddr)>,
}

/// One way to a port.
enum Way {
    Own(SocketAddr),
    Published(SocketAddr),
}

impl Ways {
    /// As the engine says.
    pub(super) fn of(facts: &ContainerInspectResponse, published: &[Published]) -> Ways {
        let is_host = facts.host_config.as_ref().and_then(|host| host.network_mode.as_deref()) == Some("host");
        let networks = facts.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
        let own = match is_host {
            true => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            false => networks.into_iter().flatten().find_map(|(_, network)| own_address(network)),
        };
        let published = published.iter().filter(|port| port.protocol == Protocol::Tcp).map(|port| {
            let address = port.address.parse().ok().filter(|address: &IpAddr| !address.is_unspecified());
            (port.container, SocketAddr::new(address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port.host))
        });
        Ways { own, published: published.collect() }
    }

    fn to(&self, port: u16) -> Result<Way, String> {
        let published = self.published.iter().find(|(container, _)| *container == port);
        match (self.own, published) {
            (Some(own), _) => Ok(Way::Own(SocketAddr::new(own, port))),
            (None, Some((_, address))) => Ok(Way::Published(*address)),
            (None, None) => Err(format!(
                "port {port} of the container cannot be asked from here: its network is not on this machine, and the port is not published"
            )),
        }
    }

    /// Whether a server accepts on a port of the container; if not, why, in one sentence.
    pub(super) async fn accepts(&self, port: u16) -> Result<(), String> {
        let way = self.to(port)?;
        let stream = connect(&way, port).await?;
        match way {
            Way::Own(_) => Ok(()),
            Way::Published(_) => lasts(&stream, port).await,
        }
    }
}

/// An address that can be reached: the network's gateway is an address of this machine. Elsewhere the same address may be somebody else's.
fn own_address(network: &EndpointSettings) -> Option<IpAddr> {
    let is_here = |gateway: IpAddr| UdpSocket::bind((gateway, 0)).is_ok();
    let gateway = network.gateway.as_deref()?.parse().ok().filter(|gateway: &IpAddr| !gateway.is_unspecified());
    gateway.filter(|gateway| is_here(*gateway))?;
    network.ip_address.as_deref()?.parse().ok()
}

async fn connect(way: &Way, port: u16) -> Result<TcpStream, String> {
    let (Way::Own(address) | Way::Published(address)) = way;
    TcpStream::connect(*address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("port {port} of the container does not accept"),
        _ => format!("port {port} of the container cannot be reached at {address}: {error}"),
    })
}

/// A connection that is closed at once was never the server's.
async fn lasts(stream: &TcpStream, port: u16) -> Result<(), String> {
    match timeout(LASTS, stream.peek(&mut [0])).await {
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0) | Err(_)) => Err(format!("port {port} is published, but nothing in the container accepts on it yet")),
    }
}

impl Door for Ways {
    /// This machine means the container.
    async fn open(&mut self, host: &str, port: u16, _own: bool) -> Result<TcpStream, No> {
        let is_local = host == "localhost"
            || host.parse().is_ok_and(|address: IpAddr| address.is_loopback() || address.is_unspecified());
        if is_local {
            let way = self.to(port).map_err(No::Said)?;
            return connect(&way, port).await.map_err(No::Said);
        }
        let mut last = format!("`{host}` has no address");
        for address in addresses(host, port).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = format!("{address} cannot be reached: {error}"),
            }
        }
        Err(No::Said(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tokio::net::TcpListener;

    fn facts(gateway: &str, address: &str) -> ContainerInspectResponse {
        let network = EndpointSettings {
            gateway: Some(gateway.into()),
            ip_address: Some(address.into()),
            ..EndpointSettings::default()
        };
        let settings = bollard::models::NetworkSettings {
            networks: Some(HashMap::from([("shop_default".to_owned(), network)])),
            ..Default::default()
        };
        ContainerInspectResponse { network_settings: Some(settings), ..Default::default() }
    }

    fn published(container: u16, host: u16) -> Published {
        Published { address: "0.0.0.0".into(), host, container, protocol: Protocol::Tcp }
    }

    #[test]
    fn its_own_address_counts_where_its_network_is_here() {
        let here = Ways::of(&facts("127.0.0.1", "127.0.0.5"), &[published(5432, 15432)]);
        assert!(matches!(here.to(5432), Ok(Way::Own(address)) if address == "127.0.0.5:5432".parse().unwrap()));
        // An address for documents: nobody has it.
        let away = Ways::of(&facts("192.0.2.1", "192.0.2.7"), &[published(5432, 15432)]);
        assert!(matches!(away.to(5432), Ok(Way::Published(address)) if address == "127.0.0.1:15432".parse().unwrap()));
        assert!(away.to(80).is_err_and(|why| why.contains("port 80") && why.contains("not published")));
    }

    #[tokio::test]
    async fn a_proxy_that_closes_at_once_is_a_no() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = proxy.local_addr().unwrap().port();
        let ways = Ways::of(&facts("192.0.2.1", "192.0.2.7"), &[published(5432, port)]);
        let close = tokio::spawn(async move {
            drop(proxy.accept().await.unwrap());
            let (kept, _) = proxy.accept().await.unwrap();
            (proxy, kept)
        });
        assert!(ways.accepts(5432).await.is_err_and(|why| why.contains("nothing in the container accepts")));
        assert_eq!(ways.accepts(5432).await, Ok(()));
        drop(close.await.unwrap());
        assert!(ways.accepts(5432).await.is_err_and(|why| why == "port 5432 of the container does not accept"));
    }
}
