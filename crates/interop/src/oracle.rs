//! Where the fetched components are.
//!
//! `scripts/fetch-oracles` puts each under `$ROOKEEPER_ORACLES`, else `~/.cache/rookeeper-oracles`, and
//! marks it `.complete` last. A component without that mark counts as missing.

use std::path::{Path, PathBuf};

use crate::{HarnessError, Result};

/// The folder that holds all fetched components.
pub fn root() -> PathBuf {
    if let Some(named) = std::env::var_os("ROOKEEPER_ORACLES") {
        return PathBuf::from(named);
    }
    let home = std::env::var_os("HOME").unwrap_or_default();
    Path::new(&home).join(".cache").join("rookeeper-oracles")
}

/// The folder of one component (`apache395`, `apache380`, `kazoo`, `cclient`).
pub fn folder(name: &'static str) -> Result<PathBuf> {
    let folder = root().join(name);
    if folder.join(".complete").is_file() {
        Ok(folder)
    } else {
        Err(HarnessError::MissingOracle { name, folder })
    }
}

/// The C client's interactive program and the folder of the library it loads.
pub fn c_client() -> Result<(PathBuf, PathBuf)> {
    let folder = folder("cclient")?;
    Ok((folder.join("bin").join("cli_mt"), folder.join("lib")))
}

/// Our own binary: `$ROOKEEPER_BIN`, else the one of the build that this program is part of.
pub fn rookeeper_binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ROOKEEPER_BIN") {
        let path = PathBuf::from(named);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(HarnessError::MissingBinary { looked_at: path })
        };
    }
    let program = std::env::current_exe().map_err(HarnessError::io("finding this program"))?;
    // A test runs from target/<profile>/deps, a program from target/<profile>.
    let found =
        program.ancestors().skip(1).take(2).map(|dir| dir.join("rookeeper")).find(|p| p.is_file());
    found.ok_or(HarnessError::MissingBinary { looked_at: program.with_file_name("rookeeper") })
}
