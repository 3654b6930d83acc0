//! The way out to receivers, and the only one. A receiver is a public HTTPS address unless the configuration names its
//! host. The address that was checked is the one connected to, and no redirect is followed: a client cannot make the
//! service reach what only the service can reach.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::message::Message;
use super::sign::signatures;
use crate::config::WebhookConfig;
use crate::store::Delivery;

/// The longest address of a receiver.
pub(in super::super) const LONGEST_URL: usize = 2_048;

/// Receivers that may be called.
#[derive(Debug, Clone)]
pub(in super::super) struct Targets {
    client: Client,
    allowed: Arc<[String]>,
}

/// One attempt, ready to be kept.
pub(in super::super) type Attempt = Delivery;

impl Targets {
    /// Those of the configuration.
    pub(in super::super) fn new(config: &WebhookConfig) -> Result<Self, reqwest::Error> {
        // Somebody else may have installed one: any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let allowed: Arc<[String]> = config.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(Duration::from_millis(config.timeout_ms.get()))
            .user_agent(concat!("praetor/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Public { allowed: Arc::clone(&allowed) }))
            .build()?;
        Ok(Self { client, allowed })
    }

    /// The address, if a webhook may have it; else why not, Chinese and English.
    pub(in super::super) fn check(&self, text: &str) -> Result<Url, (&'static str, &'static str)> {
        let not_a_url =
            ("应为 https 网址，不含用户名、密码和片段", "is an https URL without user, password or fragment");
        let url: Url = text.parse().map_err(|_| not_a_url)?;
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let Some(host) = url.host_str().filter(|_| plain && url.as_str().len() <= LONGEST_URL) else {
            return Err(not_a_url);
        };
        let allowed = is_allowed(&self.allowed, host);
        if !(url.scheme() == "https" || url.scheme() == "http" && allowed) {
            return Err(not_a_url);
        }
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if !allowed && (address.is_ok_and(|ip| !is_public(ip)) || is_local_name(host)) {
            return Err(("不得指向内网、本机或保留地址", "does not lead to a private, local or reserved address"));
        }
        Ok(url)
    }

    /// Sends a message once.
    pub(in super::super) async fn send(&self, url: &str, secrets: &[Vec<u8>], message: &Message) -> Attempt {
        let (started, now) = (Instant::now(), Utc::now());
        let result = match self.check(url) {
            // The configuration may have changed since the webhook was made.
            Err((_, why)) => Err(format!("the URL {why}")),
            Ok(url) => {
                let timestamp = now.timestamp();
                let request = self.client.post(url).header("content-type", "application/json");
                let request = request
                    .header("webhook-id", &message.id)
                    .header("webhook-timestamp", timestamp)
                    .header("webhook-signature", signatures(secrets, &message.id, timestamp, &message.body));
                match request.body(message.body.clone()).send().await {
                    Ok(response) => Ok(response.status().as_u16()),
                    Err(error) => Err(in_words(&error)),
                }
            }
        };
        let status = result.as_ref().ok().copied();
        let delivered = status.is_some_and(|status| (200..300).contains(&status));
        let problem = match result {
            Ok(_) if delivered => None,
            Ok(status) => Some(format!("it answered {status}")),
            Err(why) => Some(why.chars().take(200).collect()),
        };
        metrics::counter!("praetor_webhook_deliveries_total", "result" => if delivered { "delivered" } else { "failed" })
            .increment(1);
        Attempt {
            seq: 0,
            stream: message.stream.to_owned(),
            position: message.position,
            message_id: message.id.clone(),
            event: message.event.to_owned(),
            record_id: message.record_id.clone(),
            delivered,
            status: status.and_then(|status| i16::try_from(status).ok()),
            problem,
            took_ms: i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX),
            created_at: now,
        }
    }
}

/// Why a request failed, without its URL, which may hold a token of the receiver.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match error.is_connect() {
        true => format!("it cannot be reached: {cause}"),
        false => format!("the request failed: {cause}"),
    }
}

fn is_allowed(allowed: &[String], host: &str) -> bool {
    allowed.iter().any(|name| name == host)
}

/// Names that never leave the machine or its network, whatever a resolver says.
fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    ["localhost", "local", "internal"].iter().any(|end| host == *end || host.ends_with(&format!(".{end}")))
}

/// A resolver that knows public addresses only, but for hosts that the configuration names.
#[derive(Debug)]
struct Public {
    allowed: Arc<[String]>,
}

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = is_allowed(&self.allowed, name.as_str());
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || (name.as_str(), 0).to_socket_addrs()).await??;
            let found: Vec<SocketAddr> = found.filter(|at| allowed || is_public(at.ip())).collect();
            match found.is_empty() {
                true => Err("the name leads to no public address".into()),
                false => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// True for an address that anybody on the internet could reach.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let reserved = match (a, b, c) {
        // This network, shared address space, protocol assignments, benchmarks, 6to4 relays, multicast and beyond.
        (0, ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _) | (224.., ..) => true,
        _ => false,
    };
    !(reserved || ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation())
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    // What carries an IPv4 address is as public as that one: mapped, NAT64, 6to4.
    let embedded = match parts {
        [0, 0, 0, 0, 0, 0xffff, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => Some((a, b)),
        [0x2002, a, b, ..] => Some((a, b)),
        _ => None,
    };
    if let Some((a, b)) = embedded {
        let ([a, b], [c, d]) = (a.to_be_bytes(), b.to_be_bytes());
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Global unicast is 2000::/3; of that not Teredo and the like (2001::/23), nor documentation.
    let global = parts[0] & 0xe000 == 0x2000;
    let special = parts[0] == 0x2001 && parts[1] < 0x200;
    let documentation = parts[0] == 0x2001 && parts[1] == 0xdb8 || parts[0] == 0x3fff && parts[1] < 0x1000;
    global && !special && !documentation
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_anybody_could_reach_is_public() {
        for public in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "3fff::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn a_receiver_is_a_public_https_address_unless_its_host_is_named() {
        let allowed_hosts = vec!["hooks.corp".to_owned(), "10.0.0.7".to_owned()];
        let targets = Targets::new(&WebhookConfig { allowed_hosts, ..WebhookConfig::default() }).unwrap();
        for good in
            ["https://hooks.example/praetor?x=1", "https://8.8.8.8/", "http://hooks.corp:9000/a", "http://10.0.0.7/"]
        {
            assert!(targets.check(good).is_ok(), "{good}");
        }
        for bad in [
            "http://hooks.example/",
            "ftp://hooks.example/",
            "file:///etc/passwd",
            "hooks.example",
            "",
            "https://user:pass@hooks.example/",
            "https://user@hooks.example/",
            "https://hooks.example/#x",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://db.internal/",
            "https://printer.local/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.8/",
        ] {
            assert!(targets.check(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_followed() {
        let resolver = Public { allowed: Arc::from(["named.example".to_owned()]) };
        // Whatever this machine calls itself leads to itself.
        let refused = resolver.resolve("localhost".parse().unwrap()).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("no public address")));
        let open = Public { allowed: Arc::from(["localhost".to_owned()]) };
        assert!(open.resolve("localhost".parse().unwrap()).await.unwrap().count() > 0);
    }
}
