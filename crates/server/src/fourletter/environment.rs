//! `envi`: Java's keys in Java's order, with what is true of a server without a JVM.

use crate::version::VERSION_LINE;

/// The keys whose values exist only in a JVM are kept, with neutral values, for the scripts that
/// read them.
pub(super) fn text() -> String {
    let uname = rustix::system::uname();
    let user = user();
    let release = uname.release().to_string_lossy();
    let host = uname.nodename().to_string_lossy();
    let dir = std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default();
    let memory = memory_mb();
    let entries: [(&str, &str); 17] = [
        ("zookeeper.version", VERSION_LINE),
        ("host.name", &host),
        ("java.version", "none"),
        ("java.vendor", "none (Rookeeper)"),
        ("java.home", ""),
        ("java.class.path", ""),
        ("java.library.path", ""),
        ("java.io.tmpdir", &std::env::temp_dir().display().to_string()),
        ("java.compiler", "<NA>"),
        ("os.name", "Linux"),
        ("os.arch", if cfg!(target_arch = "x86_64") { "amd64" } else { std::env::consts::ARCH }),
        ("os.version", &release),
        ("user.name", &user.0),
        ("user.home", &user.1),
        ("user.dir", &dir),
        ("os.memory.free", &format!("{}MB", memory.0)),
        ("os.memory.max", &format!("{}MB", memory.1)),
    ];
    let mut out = "Environment:\n".to_owned();
    for (key, value) in entries {
        out += &format!("{key}={value}\n");
    }
    out + &format!("os.memory.total={}MB\n", memory.1)
}

/// Name and home of the user the process runs as: the system's table first, as Java asks it, since
/// a service manager need not set the variables.
fn user() -> (String, String) {
    let uid = rustix::process::getuid().as_raw().to_string();
    let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [name, _, id, _, _, home, ..] if id == uid => Some((name.to_owned(), home.to_owned())),
            _ => None,
        }
    });
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    entry.unwrap_or_else(|| (variable("USER"), variable("HOME")))
}

/// Free and total memory of the machine in megabytes; zeros where they cannot be told.
fn memory_mb() -> (u64, u64) {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    (line("MemAvailable:").unwrap_or(0) / 1024, line("MemTotal:").unwrap_or(0) / 1024)
}
