//! The one place of the configuration that reads files, behind a small seam.
//!
//! Reads the static file, the dynamic file it names, `<cfg>.dynamic.next` and `<dataDir>/myid`, and hands
//! their contents on. Writes nothing and resolves no host name. Source: operations.md 1.1, 1.4, 1.5.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Notice};
use super::invocation::{Invocation, LOCAL_ADDRESSES, LOCAL_DATA_DIR, LOCAL_PORT, Target};
use super::reader::Reader;
use super::settings::{ConfigFile, Settings};
use super::{Config, Sources};

/// Where file contents come from.
pub trait Files {
    /// The whole content of a file.
    ///
    /// # Errors
    /// As the file system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

/// No configuration is longer; a larger file is not one.
const MAX_FILE_BYTES: u64 = 4 << 20;

impl Files for RealFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::other("larger than 4 MiB, this is not a configuration"));
        }
        Ok(content)
    }
}

/// Reads and checks everything an invocation asks for.
///
/// # Errors
/// Every mistake, with file, line, key, value, remedy and exit code.
pub fn load(invocation: &Invocation, files: &dyn Files) -> Result<Config, ConfigError> {
    let mut notices = invocation.notes();
    let file = match &invocation.target {
        Target::File(path) => Some(read_static(path, files)?),
        Target::Local | Target::PortAndDir { .. } => None,
    };
    let mut settings = Settings::resolve(file.as_ref(), &invocation.properties, &mut notices)?;
    apply_arguments(&invocation.target, &mut settings);
    let sources = Sources {
        dynamic: read_dynamic(&settings, files)?,
        next_dynamic: file.as_ref().and_then(|file| read_next(&file.path, files, &mut notices)),
        my_id: read_my_id(&settings, files)?,
        static_path: file.map(|file| file.path),
        addresses: match invocation.target {
            Target::Local => LOCAL_ADDRESSES.iter().map(|&address| address.to_owned()).collect(),
            _ => Vec::new(),
        },
        unlimited_per_address: matches!(invocation.target, Target::PortAndDir { .. }),
        jvm_options: invocation.jvm_options.clone(),
    };
    Config::build(settings, sources, notices)
}

fn apply_arguments(target: &Target, settings: &mut Settings) {
    match target {
        Target::File(_) => {}
        Target::Local => {
            settings.set_argument("clientPort", LOCAL_PORT.to_string());
            settings.set_argument("dataDir", LOCAL_DATA_DIR.to_owned());
            settings.set_argument("admin.enableServer", "false".to_owned());
        }
        Target::PortAndDir { port, data_dir, tick_time_ms, max_client_cnxns } => {
            settings.set_argument("clientPort", port.to_string());
            settings.set_argument("dataDir", data_dir.to_string_lossy().into_owned());
            if let Some(tick_time_ms) = tick_time_ms {
                settings.set_argument("tickTime", tick_time_ms.to_string());
            }
            if let Some(max_client_cnxns) = max_client_cnxns {
                settings.set_argument("maxClientCnxns", max_client_cnxns.to_string());
            }
        }
    }
}

fn read_static(path: &Path, files: &dyn Files) -> Result<ConfigFile, ConfigError> {
    let bytes = files.read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            ConfigError::config(format!("{} file is missing", path.display()))
                .remedy("check the path, or copy conf/zoo_sample.cfg there")
        }
        _ => ConfigError::config(format!("{}: {error}", path.display()))
            .remedy("the argument must be a configuration file this user may read"),
    })?;
    ConfigFile::parse(path, &bytes)
}

fn read_dynamic(settings: &Settings, files: &dyn Files) -> Result<Option<ConfigFile>, ConfigError> {
    let key = Reader::key("dynamicConfigFile");
    let Some(setting) = settings.value(key) else { return Ok(None) };
    let path = PathBuf::from(&setting.value);
    let bytes = files.read(&path).map_err(|error| {
        let text = match error.kind() {
            io::ErrorKind::NotFound => "No such file or directory".to_owned(),
            _ => error.to_string(),
        };
        ConfigError::config(format!("{} ({text})", path.display()))
            .at(key.name, &setting.value, &setting.origin)
            .remedy(
                "create it with the server lines, or put them into this file and remove the key",
            )
    })?;
    ConfigFile::parse(&path, &bytes).map(Some)
}

/// `<cfg>.dynamic.next`: proposed but not committed when the server last ran. Never a reason not to start.
fn read_next(
    static_path: &Path,
    files: &dyn Files,
    notices: &mut Vec<Notice>,
) -> Option<ConfigFile> {
    let mut path = static_path.as_os_str().to_owned();
    path.push(".dynamic.next");
    let path = PathBuf::from(path);
    let bytes = match files.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            notices.push(Notice::warn(format!("{}: {error}; ignored", path.display())));
            return None;
        }
    };
    match ConfigFile::parse(&path, &bytes) {
        Ok(file) => Some(file),
        Err(error) => {
            notices.push(Notice::warn(format!("ignored: {error}")));
            None
        }
    }
}

fn read_my_id(
    settings: &Settings,
    files: &dyn Files,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let Some(data_dir) = settings.value(Reader::key("dataDir")) else { return Ok(None) };
    let path = Path::new(&data_dir.value).join("myid");
    match files.read(&path) {
        Ok(bytes) => Ok(Some((path, String::from_utf8_lossy(&bytes).into_owned()))),
        // Missing, or not a file: Apache looks for a plain file only.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::IsADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(ConfigError::config(format!("cannot read the server's number: {error}"))
            .in_file(&path)
            .remedy("let the server's user read it")),
    }
}
