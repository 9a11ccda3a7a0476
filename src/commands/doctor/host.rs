//! This machine: ports, disk, limits.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::finding::Finding;
use crate::config::Config;

/// Free bytes, and free percent, below which a disk is nearly full; and full.
const SCARCE: (u64, u64) = (10 << 30, 10);
const FULL: (u64, u64) = (1 << 30, 2);
/// Files that a process has open besides connections.
const OTHER_FILES: u64 = 128;

/// Each service's port: free, or ours.
pub(super) fn ports(config: &Config) -> Vec<Finding> {
    let services = [
        ("port.observer", "observer", config.observer_listen),
        ("port.api", "api", config.api_listen),
        ("port.metrics", "metrics", config.metrics_listen),
    ];
    services
        .into_iter()
        .map(|(check, service, address)| port(check, service, address))
        .collect()
}

fn port(check: &'static str, service: &str, address: SocketAddr) -> Finding {
    if address.port() == 0 {
        return Finding::skipped(check, format!("{address} asks for any port"));
    }
    match std::net::TcpListener::bind(address) {
        Ok(_) => Finding::fine(check, format!("{address} is free: no daemon has it now")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => match listener(address) {
            Some((pid, name)) if name == "stxworx" => {
                Finding::fine(check, format!("{address} is held by stxworx (process {pid})"))
            }
            Some((pid, name)) => Finding::fault(
                check,
                format!("{address} is held by {name} (process {pid})"),
            )
            .why("the daemon does not start")
            .remedy(format!("stop that process, or set {service}.listen to another port")),
            None => Finding::warning(
                check,
                format!("{address} is held by a process that this account may not look at"),
            )
            .why("if it is not stxworx, the daemon does not start")
            .remedy(format!(
                "ask as root, `ss -ltnp`; stop the process, or set {service}.listen to another port"
            )),
        },
        Err(error) => Finding::fault(check, format!("{address} cannot be listened on: {error}"))
            .why("the daemon does not start")
            .remedy(format!(
                "set {service}.listen to an address of this machine and a port that this account may have"
            )),
    }
}

/// Process and name of who listens there, where this account may know.
fn listener(address: SocketAddr) -> Option<(u32, String)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|table| listening(&table, address))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = |file: std::fs::DirEntry| {
            let to = std::fs::read_link(file.path()).unwrap_or_default();
            inodes.iter().any(|inode| to == Path::new(inode))
        };
        if files.flatten().any(holds) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

/// Sockets of a table of the kernel that listen on this port, at this address or at all.
fn listening(table: &str, address: SocketAddr) -> Vec<String> {
    const LISTEN: &str = "0A";
    let rows = table.lines().skip(1);
    let found = rows.filter_map(|row| {
        let words: Vec<&str> = row.split_whitespace().collect();
        let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
        let (ip, port) = local.rsplit_once(':')?;
        let same_port = u16::from_str_radix(port, 16).ok()? == address.port();
        let every = ip.bytes().all(|b| b == b'0');
        let same_ip = every
            || address.ip().is_unspecified()
            || match address.ip() {
                // Four bytes, the last one first.
                IpAddr::V4(v4) => {
                    u32::from_str_radix(ip, 16).ok() == Some(u32::from_le_bytes(v4.octets()))
                }
                IpAddr::V6(_) => ip.len() == 32,
            };
        (*state == LISTEN && same_port && same_ip).then(|| (*inode).to_owned())
    });
    found.collect()
}

/// Room on the disk of a folder, where it is on this machine.
pub(super) fn disk(check: &'static str, folder: &Path) -> Finding {
    let mut there: PathBuf = folder.to_owned();
    // What is not made yet will be made there.
    while !there.exists() && there.pop() {}
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &there
    };
    let stat = match statvfs(there) {
        Ok(stat) => stat,
        Err(error) => {
            return Finding::skipped(
                check,
                format!("{} cannot be looked at: {error}", folder.display()),
            );
        }
    };
    let size = stat.fragment_size();
    let free = stat.blocks_available().saturating_mul(size);
    let total = stat.blocks().saturating_mul(size);
    room(check, folder, free, total)
}

fn room(check: &'static str, folder: &Path, free: u64, total: u64) -> Finding {
    let percent = free
        .saturating_mul(100)
        .checked_div(total)
        .unwrap_or_default();
    let says = format!(
        "{} GiB free of {} GiB ({percent} %) at {}",
        free >> 30,
        total >> 30,
        folder.display()
    );
    let below = |(bytes, share): (u64, u64)| free < bytes || percent < share;
    let why = "when it is full, the database stops, the observer refuses, and the node stands";
    let remedy = "give it room: nothing of the mirror can be removed";
    let see = "docs/runbook.md#growth-of-the-disk";
    if below(FULL) {
        Finding::fault(check, says).why(why).remedy(remedy).see(see)
    } else if below(SCARCE) {
        Finding::warning(check, says)
            .why(why)
            .remedy(remedy)
            .see(see)
    } else {
        Finding::fine(check, says)
    }
}

/// May a process have as many files open as it is to have connections?
pub(super) fn files(config: &Config) -> Finding {
    const CHECK: &str = "host.files";
    let wanted = u64::try_from(config.api.serve.connections).unwrap_or(u64::MAX)
        + u64::from(config.database_connections) * 2
        + OTHER_FILES;
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Err(error) => Finding::skipped(CHECK, format!("the limit cannot be read: {error}")),
        Ok((soft, _)) if soft < wanted => Finding::warning(
            CHECK,
            format!("a process may have {soft} files open; {wanted} are needed with every connection taken"),
        )
        .why("beyond it new connections fail, those of the node and of the database among them")
        .remedy(format!(
            "raise it (LimitNOFILE= in the unit, `ulimit -n`) to {wanted}, or lower api.max_connections"
        ))
        .see("docs/deploy.md#the-daemon"),
        Ok((soft, _)) => Finding::fine(CHECK, format!("{soft} files may be open, {wanted} are needed at most")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn a_listener_is_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:0E74 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1\n\
             1: 00000000:0ED8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4712 1\n\
             2: 0100007F:0ED9 0100007F:1234 01 00000000:00000000 00:00000000 00000000 0 0 4713 1\n";
        let of = |text: &str| listening(table, text.parse().unwrap());
        assert_eq!(of("127.0.0.1:3700"), ["4711"]);
        assert_eq!(of("127.0.0.2:3700"), Vec::<String>::new());
        assert_eq!(of("0.0.0.0:3700"), ["4711"]);
        assert_eq!(of("127.0.0.1:3800"), ["4712"]);
        assert_eq!(
            of("127.0.0.1:3801"),
            Vec::<String>::new(),
            "a connection is no listener"
        );
    }

    #[test]
    fn a_port_of_somebody_else_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = port("port.api", "api", address);
        assert_eq!(taken.severity, Severity::Fault, "{taken:?}");
        assert!(
            taken
                .what
                .contains(&format!("process {}", std::process::id())),
            "{taken:?}"
        );
        drop(listener);
        assert_eq!(port("port.api", "api", address).severity, Severity::Fine);
    }

    #[test]
    fn a_disk_is_full_before_it_is_at_its_end() {
        let at =
            |free: u64, total: u64| room("disk", Path::new("/x"), free << 20, total << 20).severity;
        assert_eq!(at(500 << 10, 1000 << 10), Severity::Fine);
        assert_eq!(at(20 << 10, 1000 << 10), Severity::Warning);
        assert_eq!(at(5 << 10, 20 << 10), Severity::Warning);
        assert_eq!(at(10 << 10, 1000 << 10), Severity::Fault);
        assert_eq!(at(512, 1 << 10), Severity::Fault);
    }
}
