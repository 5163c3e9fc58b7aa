//! Several servers, of one flavour or mixed, as one ensemble on loopback ports.

use std::time::{Duration, Instant};

use crate::server::{Membership, Server};
use crate::{Flavour, HarnessError, Result, ServerConfig, ports};

const ATTEMPTS: usize = 4;
const LEADER_PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);

/// One member to be started.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Which implementation.
    pub flavour: Flavour,
    /// Whether it only observes.
    pub observer: bool,
}

impl From<Flavour> for Member {
    fn from(flavour: Flavour) -> Self {
        Self { flavour, observer: false }
    }
}

/// A started ensemble; the server at index `i` has the id `i + 1`.
#[derive(Debug)]
pub struct Ensemble {
    /// The members.
    pub servers: Vec<Server>,
}

impl Ensemble {
    /// Starts an ensemble and waits until every member serves.
    pub fn start(members: &[Member], config: &ServerConfig) -> Result<Self> {
        let mut attempt = 1;
        loop {
            let mut ensemble = Self::prepare(members, config)?;
            match ensemble.launch() {
                Ok(()) => return Ok(ensemble),
                Err(error) if error.is_port_clash() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => {
                    ensemble.servers.iter_mut().for_each(Server::keep_folder);
                    return Err(error);
                }
            }
        }
    }

    /// Starts `count` servers of one flavour.
    pub fn of(flavour: Flavour, count: usize, config: &ServerConfig) -> Result<Self> {
        Self::start(&vec![Member::from(flavour); count], config)
    }

    /// The members with their folders and ports, none of them started.
    pub fn prepare(members: &[Member], config: &ServerConfig) -> Result<Self> {
        Self::prepare_at(members, config, |_| "127.0.0.1".to_owned())
    }

    /// The same, each member on a loopback address of its own, so that all can use one port number.
    pub fn prepare_apart(members: &[Member], config: &ServerConfig) -> Result<Self> {
        Self::prepare_at(members, config, |id| format!("127.0.0.{id}"))
    }

    fn prepare_at(
        members: &[Member],
        config: &ServerConfig,
        host: impl Fn(u32) -> String,
    ) -> Result<Self> {
        let ports = ports::free(members.len() * 3)?;
        let (quorum, rest) = ports.split_at(members.len());
        let (election, client) = rest.split_at(members.len());
        let lines: Vec<String> = members
            .iter()
            .zip(quorum.iter().zip(election))
            .zip(1..)
            .map(|((member, (quorum, election)), id)| {
                let role = if member.observer { "observer" } else { "participant" };
                format!("server.{id}={}:{quorum}:{election}:{role}", host(id))
            })
            .collect();
        let servers = members.iter().zip(client).zip(1..).map(|((member, &client), id)| {
            let mut lines = lines.clone();
            if member.observer {
                lines.push("peerType=observer".to_owned());
            }
            Server::prepare(member.flavour, config.clone(), client, Some(&Membership { id, lines }))
        });
        Ok(Self { servers: servers.collect::<Result<_>>()? })
    }

    fn launch(&mut self) -> Result<()> {
        self.servers.iter_mut().try_for_each(Server::launch)?;
        self.servers.iter_mut().try_for_each(Server::wait_until_serving)
    }

    /// The index of the member that says it leads.
    pub fn leader(&self) -> Option<usize> {
        self.servers.iter().position(|server| server.mode().as_deref() == Some("leader"))
    }

    /// Waits until a member leads.
    pub fn wait_for_leader(&self) -> Result<usize> {
        let deadline = Instant::now() + LEADER_PATIENCE;
        loop {
            if let Some(leader) = self.leader() {
                return Ok(leader);
            }
            if Instant::now() > deadline {
                let seconds = LEADER_PATIENCE.as_secs();
                return Err(HarnessError::Unexpected(format!("no leader within {seconds} s")));
            }
            std::thread::sleep(POLL);
        }
    }

    /// `host:port,host:port,…` as clients take it.
    pub fn connect_string(&self) -> String {
        let addresses: Vec<_> =
            self.servers.iter().map(|server| server.addr().to_string()).collect();
        addresses.join(",")
    }
}
