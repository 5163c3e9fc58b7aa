//! How Apache ZooKeeper is started: `java … QuorumPeerMain zoo.cfg`, logging at INFO to a file.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::ServerConfig;
use crate::{HarnessError, Result, oracle};

/// A generation of Apache's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// 3.9.5, from the jars inside a Python package.
    V395,
    /// 3.8.0, from Debian.
    V380,
}

/// Starting and stopping take half the work with these, which is most of what a short life consists of.
pub const SHORT_LIVED: [&str; 2] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

const LOG4J2: &str = "status = error
appender.file.type = File
appender.file.name = FILE
appender.file.fileName = ${sys:rookeeper.interop.log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{ISO8601} [myid:%X{myid}] - %-5p [%t:%C{1}@%L] - %m%n
rootLogger.level = info
rootLogger.appenderRef.file.ref = FILE
";

const LOG4J1: &str = "log4j.rootLogger=INFO, FILE
log4j.appender.FILE=org.apache.log4j.FileAppender
log4j.appender.FILE.File=${rookeeper.interop.log}
log4j.appender.FILE.layout=org.apache.log4j.PatternLayout
log4j.appender.FILE.layout.ConversionPattern=%d{ISO8601} [myid:%X{myid}] - %-5p [%t:%C{1}@%L] - %m%n
";

impl Generation {
    fn oracle(self) -> &'static str {
        match self {
            Self::V395 => "apache395",
            Self::V380 => "apache380",
        }
    }

    /// The fetched folder of this generation.
    pub fn folder(self) -> Result<PathBuf> {
        oracle::folder(self.oracle())
    }

    /// A `java` command with this generation's classes, without a main class yet.
    pub fn java(self) -> Result<Command> {
        let folder = self.folder()?;
        let mut command = Command::new("java");
        command.arg("-cp").arg(folder.join("lib").join("*"));
        if self == Self::V380 {
            // Debian's snappy loads its native part from the system instead of from its jar.
            let native = folder.join("native");
            command.env("LD_LIBRARY_PATH", &native);
            command.arg(format!("-Djava.library.path={}", native.display()));
        }
        Ok(command)
    }

    /// The command that runs a server with `zoo_cfg`, logging to `log`; `home` takes the log's set-up.
    pub fn server(
        self,
        config: &ServerConfig,
        zoo_cfg: &Path,
        home: &Path,
        log: &Path,
    ) -> Result<Command> {
        let mut command = self.java()?;
        let (name, text, property) = match self {
            Self::V395 => ("log4j2.properties", LOG4J2, "log4j2.configurationFile"),
            Self::V380 => ("log4j.properties", LOG4J1, "log4j.configuration"),
        };
        let log_set_up = home.join(name);
        std::fs::write(&log_set_up, text).map_err(HarnessError::io(format!("writing {name}")))?;
        command
            .arg(format!("-D{property}=file:{}", log_set_up.display()))
            .arg(format!("-Drookeeper.interop.log={}", log.display()))
            .arg("-Dfile.encoding=UTF-8");
        if !config.is_measured {
            command.args(SHORT_LIVED);
        }
        if let Some(heap_mb) = config.heap_mb {
            command.arg(format!("-Xmx{heap_mb}m"));
        }
        for (name, value) in &config.properties {
            command.arg(format!("-D{name}={value}"));
        }
        command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(zoo_cfg);
        Ok(command)
    }
}
