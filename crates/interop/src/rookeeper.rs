//! How our own server is started: `rookeeper server -D… zoo.cfg`, the same zoo.cfg Apache gets.

use std::path::Path;
use std::process::Command;

use crate::server::ServerConfig;
use crate::{Result, oracle};

/// The command that runs our server with `zoo_cfg`; its output is its log.
pub fn server(config: &ServerConfig, zoo_cfg: &Path) -> Result<Command> {
    let mut command = Command::new(match &config.binary {
        Some(path) => path.clone(),
        None => oracle::rookeeper_binary()?,
    });
    command.envs(config.environment.iter().map(|(name, value)| (name, value)));
    command.arg("server");
    for (name, value) in &config.properties {
        command.arg(format!("-D{name}={value}"));
    }
    command.arg(zoo_cfg);
    Ok(command)
}
