//! How a command fails: the line for standard error and the exit code (`operations.md` 5.3, 5.4;
//! wording verified on 3.9.5).

use rookeeper_client::{Error, ErrorCode, ErrorKind};

/// Exit code of a failed command.
pub(crate) const EXIT_FAILED: i32 = 1;
/// Exit code of an unusable configuration.
pub(crate) const EXIT_BAD_CONFIGURATION: i32 = 2;
/// Exit code of a run that Ctrl-C ended.
pub(crate) const EXIT_INTERRUPTED: i32 = 130;
/// Exit code of an unknown command.
pub(crate) const EXIT_UNKNOWN_COMMAND: i32 = 127;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The list of commands that Apache's shell prints before some failures.
    pub(crate) listing: Option<String>,
    /// For standard error; may span lines.
    pub(crate) text: String,
    /// Further lines with advice that Apache's shell does not give.
    pub(crate) hint: Option<String>,
    pub(crate) exit_code: i32,
}

/// Result of a command.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { listing: None, text: text.into(), hint: None, exit_code: EXIT_FAILED }
    }

    /// The end of a command by Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self::new("Interrupted").with_exit_code(EXIT_INTERRUPTED)
    }

    pub(crate) fn is_interruption(&self) -> bool {
        self.exit_code == EXIT_INTERRUPTED
    }

    pub(crate) fn with_listing(mut self, listing: String) -> Self {
        self.listing = Some(listing);
        self
    }

    /// The same in the middle of many steps: says what was done before.
    pub(crate) fn after(mut self, done: &str) -> Self {
        self.text = format!("{}\n{done}", self.text);
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_exit_code(mut self, exit_code: i32) -> Self {
        self.exit_code = exit_code;
        self
    }
}

/// ZooKeeper's phrase for a code, as its exceptions print it.
pub(crate) fn code_phrase(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Ok => "ok",
        ErrorCode::SystemError => "SystemError",
        ErrorCode::RuntimeInconsistency => "RuntimeInconsistency",
        ErrorCode::DataInconsistency => "DataInconsistency",
        ErrorCode::ConnectionLoss => "ConnectionLoss",
        ErrorCode::MarshallingError => "MarshallingError",
        ErrorCode::Unimplemented => "Unimplemented",
        ErrorCode::OperationTimeout => "OperationTimeout",
        ErrorCode::BadArguments => "BadArguments",
        ErrorCode::UnknownSession => "Unknown error UNKNOWNSESSION",
        ErrorCode::NewConfigNoQuorum => "NewConfigNoQuorum",
        ErrorCode::ReconfigInProgress => "ReconfigInProgress",
        ErrorCode::ApiError => "APIError",
        ErrorCode::NoNode => "NoNode",
        ErrorCode::NoAuth => "NoAuth",
        ErrorCode::BadVersion => "BadVersion",
        ErrorCode::NoChildrenForEphemerals => "NoChildrenForEphemerals",
        ErrorCode::NodeExists => "NodeExists",
        ErrorCode::NotEmpty => "Directory not empty",
        ErrorCode::SessionExpired => "Session expired",
        ErrorCode::InvalidCallback => "Invalid callback",
        ErrorCode::InvalidAcl => "InvalidACL",
        ErrorCode::AuthFailed => "AuthFailed",
        ErrorCode::SessionMoved => "Session moved",
        ErrorCode::NotReadOnly => "Not a read-only call",
        ErrorCode::EphemeralOnLocalSession => "Ephemeral node on local session",
        ErrorCode::NoWatcher => "No such watcher",
        ErrorCode::RequestTimeout => "Unknown error REQUESTTIMEOUT",
        ErrorCode::ReconfigDisabled => "Reconfig is disabled",
        ErrorCode::SessionClosedRequireSaslAuth => {
            "Session closed because client failed to authenticate"
        }
        ErrorCode::QuotaExceeded => "Quota has exceeded",
        ErrorCode::ThrottledOp => "Op throttled due to high load",
    }
}

/// What ZooKeeper's exception says: `KeeperErrorCode = NoNode for /a`.
pub(crate) fn exception_text(error: &Error) -> String {
    let phrase = match (error.code(), error.code_number()) {
        (Some(code), _) => code_phrase(code).to_owned(),
        (None, number) => format!("Unknown error {}", number.unwrap_or_default()),
    };
    match error.path() {
        Some(path) => format!("KeeperErrorCode = {phrase} for {path}"),
        None => format!("KeeperErrorCode = {phrase}"),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let path = error.path().unwrap_or("null");
        let text = match error.code() {
            Some(ErrorCode::NoNode) => format!("Node does not exist: {path}"),
            Some(ErrorCode::NoChildrenForEphemerals) => {
                format!("Ephemerals cannot have children: {path}")
            }
            Some(ErrorCode::NodeExists) => format!("Node already exists: {path}"),
            Some(ErrorCode::NotEmpty) => format!("Node not empty: {path}"),
            Some(ErrorCode::NotReadOnly) => format!("Not a read-only call: {path}"),
            Some(ErrorCode::InvalidAcl) => format!("Acl is not valid : {path}"),
            Some(ErrorCode::NoAuth) => format!("Insufficient permission : {path}"),
            Some(ErrorCode::BadArguments) if error.kind() == ErrorKind::Server => {
                format!("Arguments are not valid : {path}")
            }
            Some(ErrorCode::BadVersion) => format!("version No is not valid : {path}"),
            Some(ErrorCode::ReconfigInProgress) => {
                "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)"
                    .to_owned()
            }
            Some(ErrorCode::NewConfigNoQuorum) => "No quorum of new config is connected and \
                up-to-date with the leader of last commmitted config - try invoking \
                reconfiguration after new servers are connected and synced"
                .to_owned(),
            Some(ErrorCode::QuotaExceeded) => format!("Quota has exceeded : {path}"),
            _ => match (error.kind(), error.message()) {
                (ErrorKind::InvalidArgument | ErrorKind::Malformed, Some(message)) => {
                    message.to_owned()
                }
                _ => exception_text(&error),
            },
        };
        let failure = Self::new(text);
        match error.kind() {
            ErrorKind::OutcomeUnknown => failure.with_hint(
                "The connection was lost before the reply: the write may or may not have happened.",
            ),
            // Why, in which Apache's shell takes no interest.
            ErrorKind::ConnectionLoss => match error.message() {
                Some(message) => failure.with_hint(message),
                None => failure,
            },
            _ => failure,
        }
    }
}
