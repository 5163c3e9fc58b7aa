//! From a membership to a way of running: alone or in a quorum.
//!
//! The rules and texts of operations.md 1.4; a pure function of what the files said. The myid file's
//! text is trimmed, which Apache does not do (operations.md 10.8).

use super::ensemble::{EnsembleSpec, Role};
use super::error::{ConfigError, Notice};

/// How to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One server without peers.
    Standalone,
    /// A member of an ensemble.
    Quorum {
        /// The content of the myid file.
        my_id: i64,
        /// Voter or observer, as the server list says.
        role: Role,
    },
}

/// Everything the shape depends on.
#[derive(Clone, Copy, Debug)]
pub struct ShapeInput<'a> {
    /// The members.
    pub spec: &'a EnsembleSpec,
    /// `standaloneEnabled`.
    pub standalone_enabled: bool,
    /// `initLimit`, when given.
    pub init_limit_ticks: Option<i32>,
    /// `syncLimit`, when given.
    pub sync_limit_ticks: Option<i32>,
    /// The myid file's number; `None` when there is no such file.
    pub my_id: Option<i64>,
    /// `peerType`.
    pub peer_type: Role,
    /// `extendedTypesEnabled`: server ids end at 254 then.
    pub extended_types_enabled: bool,
}

/// Parses the content of a myid file: its first line, trimmed.
///
/// # Errors
/// With Apache's text when that is not a number.
pub fn parse_my_id(content: &str) -> Result<i64, ConfigError> {
    let line = content.lines().next();
    line.and_then(|line| line.trim().parse().ok()).ok_or_else(|| {
        let shown = line.unwrap_or("null");
        ConfigError::config(format!("serverid {shown} is not a number"))
            .remedy("put nothing but this server's number into the myid file: echo 1 > myid")
    })
}

/// Decides the mode.
///
/// # Errors
/// For every membership that cannot run, with Apache's text.
pub fn decide(input: ShapeInput<'_>, notices: &mut Vec<Notice>) -> Result<Mode, ConfigError> {
    let participants = input.spec.participants().count();
    let observers = input.spec.observers().count();
    check_counts(participants, observers, input.standalone_enabled, notices)?;
    let distributed = participants > 1 || (!input.standalone_enabled && participants > 0);
    let listed = input.my_id.and_then(|id| input.spec.members.get(&id));
    let role = listed.map_or(Role::Participant, |member| member.role);
    // Apache compares even when the server runs alone; only an ensemble cares.
    if distributed && role != input.peer_type {
        notices.push(Notice::warn(format!(
            "Peer type from servers list ({}) doesn't match peerType ({}). Defaulting to servers list.",
            role.name().to_uppercase(),
            input.peer_type.name().to_uppercase()
        )));
    }
    if !distributed {
        return Ok(Mode::Standalone);
    }
    check_limits(input)?;
    let my_id = input.my_id.ok_or_else(|| {
        ConfigError::config("myid file is missing").remedy(
            "write this server's number into the file myid in dataDir: echo 1 > dataDir/myid",
        )
    })?;
    if listed.is_none() {
        return Err(ConfigError::other(format!("My id {my_id} not in the peer list"))
            .remedy(format!("add a line server.{my_id}=host:2888:3888 or correct the myid file")));
    }
    Ok(Mode::Quorum { my_id, role })
}

fn check_counts(
    participants: usize,
    observers: usize,
    standalone_enabled: bool,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    match (participants, observers) {
        (0, _) if !standalone_enabled => Err(ConfigError::config(
            "standaloneEnabled = false then number of participants should be >0",
        )
        .remedy("add server.N lines or remove standaloneEnabled=false")),
        (0, 0) => Ok(()),
        (0, _) => {
            Err(ConfigError::config("Observers w/o participants is an invalid configuration")
                .remedy("make at least one server a participant"))
        }
        (1, 0) if standalone_enabled => {
            notices
                .push(Notice::error("Invalid configuration, only one server specified (ignoring)"));
            Ok(())
        }
        (1, _) if standalone_enabled => {
            Err(ConfigError::config("Observers w/o quorum is an invalid configuration")
                .remedy("set standaloneEnabled=false to run one participant with observers"))
        }
        (1 | 2, _) => {
            notices.push(Notice::warn(
                "No server failure will be tolerated. You need at least 3 servers.",
            ));
            Ok(())
        }
        (even, _) if even % 2 == 0 => {
            notices.push(Notice::warn(
                "Non-optimal configuration, consider an odd number of servers.",
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_limits(input: ShapeInput<'_>) -> Result<(), ConfigError> {
    let missing = |name: &str, usual: &str| {
        ConfigError::config(format!("{name} is not set")).remedy(format!("add {name}={usual}"))
    };
    if input.init_limit_ticks.unwrap_or(0) == 0 {
        return Err(missing("initLimit", "10"));
    }
    if input.sync_limit_ticks.unwrap_or(0) == 0 {
        return Err(missing("syncLimit", "5"));
    }
    match input.my_id {
        Some(id) if input.extended_types_enabled && !(0..=254).contains(&id) => {
            Err(ConfigError::other(format!("server id {id} is too large for extendedTypesEnabled"))
                .remedy("use ids from 0 to 254, or turn extendedTypesEnabled off"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ensemble::parse_member;

    /// Participants, observers, standaloneEnabled; the result and what is said.
    type Case = (i64, i64, bool, Result<Mode, &'static str>, &'static [&'static str]);

    fn spec(participants: i64, observers: i64) -> EnsembleSpec {
        let mut spec = EnsembleSpec::default();
        for id in 1..=participants + observers {
            let role = if id <= participants { "participant" } else { "observer" };
            let member = parse_member(id, &format!("h{id}:1:2:{role}"), false).expect("valid");
            spec.members.insert(id, member);
        }
        spec
    }

    fn input(spec: &EnsembleSpec, standalone_enabled: bool) -> ShapeInput<'_> {
        ShapeInput {
            spec,
            standalone_enabled,
            init_limit_ticks: Some(10),
            sync_limit_ticks: Some(5),
            my_id: Some(1),
            peer_type: Role::Participant,
            extended_types_enabled: false,
        }
    }

    /// The table of operations.md 1.4, cell by cell.
    #[test]
    fn shape_of_the_ensemble() {
        const QUORUM: Mode = Mode::Quorum { my_id: 1, role: Role::Participant };
        const ONE: &str = "Invalid configuration, only one server specified (ignoring)";
        const FEW: &str = "No server failure will be tolerated. You need at least 3 servers.";
        const EVEN: &str = "Non-optimal configuration, consider an odd number of servers.";
        const NONE: &str = "standaloneEnabled = false then number of participants should be >0";
        let cases: &[Case] = &[
            (0, 0, true, Ok(Mode::Standalone), &[]),
            (0, 0, false, Err(NONE), &[]),
            (1, 0, true, Ok(Mode::Standalone), &[ONE]),
            (1, 0, false, Ok(QUORUM), &[FEW]),
            (1, 2, true, Err("Observers w/o quorum is an invalid configuration"), &[]),
            (1, 2, false, Ok(QUORUM), &[FEW]),
            (0, 1, true, Err("Observers w/o participants is an invalid configuration"), &[]),
            (0, 1, false, Err(NONE), &[]),
            (2, 0, true, Ok(QUORUM), &[FEW]),
            (2, 0, false, Ok(QUORUM), &[FEW]),
            (3, 0, true, Ok(QUORUM), &[]),
            (3, 1, true, Ok(QUORUM), &[]),
            (4, 0, true, Ok(QUORUM), &[EVEN]),
            (6, 1, false, Ok(QUORUM), &[EVEN]),
        ];
        for (participants, observers, standalone, expected, said) in cases {
            let spec = spec(*participants, *observers);
            let mut notices = Vec::new();
            let result = decide(input(&spec, *standalone), &mut notices);
            let said_here: Vec<&str> = notices.iter().map(|notice| notice.text.as_str()).collect();
            let result = result.as_ref().map(|mode| *mode).map_err(|error| error.message.as_str());
            assert_eq!(result, *expected, "{participants}/{observers} {standalone}");
            assert_eq!(said_here, *said, "{participants}/{observers} {standalone}");
        }
    }

    #[test]
    fn an_ensemble_needs_limits_and_a_known_id() {
        let spec = spec(3, 1);
        let refused = |input: ShapeInput<'_>| {
            let error = decide(input, &mut Vec::new()).expect_err("refused");
            (error.message.clone(), error.exit_code)
        };
        let base = input(&spec, true);
        assert_eq!(
            refused(ShapeInput { init_limit_ticks: None, ..base }),
            ("initLimit is not set".to_owned(), 2)
        );
        assert_eq!(
            refused(ShapeInput { sync_limit_ticks: Some(0), ..base }),
            ("syncLimit is not set".to_owned(), 2)
        );
        assert_eq!(
            refused(ShapeInput { my_id: None, ..base }),
            ("myid file is missing".to_owned(), 2)
        );
        assert_eq!(
            refused(ShapeInput { my_id: Some(9), ..base }),
            ("My id 9 not in the peer list".to_owned(), 1)
        );
        let mut notices = Vec::new();
        let observer = ShapeInput { my_id: Some(4), ..base };
        let mode = decide(observer, &mut notices).expect("runs");
        assert_eq!(mode, Mode::Quorum { my_id: 4, role: Role::Observer });
        assert_eq!(
            notices,
            [Notice::warn(
                "Peer type from servers list (OBSERVER) doesn't match peerType (PARTICIPANT). \
                 Defaulting to servers list."
            )]
        );
    }

    #[test]
    fn my_id_is_trimmed() {
        for content in ["1", "1\n", " 1 \r\n", "1\nrest"] {
            assert_eq!(parse_my_id(content), Ok(1), "{content:?}");
        }
        let message = |content| parse_my_id(content).expect_err("refused").message.clone();
        assert_eq!(message(""), "serverid null is not a number");
        assert_eq!(message("abc\n"), "serverid abc is not a number");
    }
}
