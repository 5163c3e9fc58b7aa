//! A disk that forgets what was not forced, for the shipped binary: a preloaded C layer
//! (`preload/forgetful.c`, compiled by `cc` when it is needed) keeps beside the data directory what
//! is durable; after a kill the directory is made anew from that.
//!
//! Guarantees: a byte is durable only when an fdatasync that began after its write has returned (or
//! was under way at the kill); a name only when its directory was forced after it changed. With
//! [`Keep::Forced`] nothing else survives. With [`Keep::Some`] any sectors of what was not forced
//! survive, any part of a growth, and of each directory the forced or the present names.
//!
//! Deliberately not done: the order in which a real file system may keep names that were not forced.
//! Source: the crash model of the storage crate's simulated disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{HarnessError, Result};

const LAYER: &str = include_str!("../preload/forgetful.c");
const SECTOR: usize = 512;

/// A small generator of numbers, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64).
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }

    /// Heads or tails.
    pub fn coin(&mut self) -> bool {
        self.roll() & 1 == 1
    }
}

/// How the disk treats one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Temper {
    /// At which point it kills the process: each operation is two points, before and after.
    pub kill_at: Option<usize>,
    /// How long a force takes.
    pub force_us: usize,
    /// Forcing a directory does nothing, as if the process had left it out.
    pub skips_names: bool,
}

/// What survives a crash beside what was forced.
#[derive(Debug)]
pub enum Keep<'a> {
    /// Nothing.
    Forced,
    /// Whatever the dice say.
    Some(&'a mut Dice),
}

/// What a crash took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Files whose bytes or length had not been forced.
    pub files: usize,
    /// Names that had not been forced, new or gone.
    pub names: usize,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    name: String,
    is_dir: bool,
    inode: u64,
}

/// A directory below which nothing survives a crash that was not forced.
#[derive(Debug)]
pub struct ForgetfulDisk {
    root: PathBuf,
    shadow: PathBuf,
    layer: PathBuf,
}

fn io(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> HarnessError {
    HarnessError::io(format!("{what} {}", path.display()))
}

impl ForgetfulDisk {
    /// Takes `root`, an existing directory, under control; its present content is durable. `home`, on
    /// the same file system and not below `root`, takes what belongs to this.
    pub fn new(root: &Path, home: &Path) -> Result<Self> {
        let root = root.canonicalize().map_err(io("finding", root))?;
        let home = home.canonicalize().map_err(io("finding", home))?;
        let disk = Self { root, shadow: home.join("shadow"), layer: compile(&home)? };
        disk.take_as_durable()?;
        Ok(disk)
    }

    /// Makes `command` run on this disk.
    pub fn preload(&self, command: &mut Command, temper: &Temper) {
        command
            .env("LD_PRELOAD", &self.layer)
            .env("FORGETFUL_ROOT", &self.root)
            .env("FORGETFUL_SHADOW", &self.shadow)
            .env("FORGETFUL_KILL_AT", temper.kill_at.unwrap_or(0).to_string())
            .env("FORGETFUL_DELAY_US", temper.force_us.to_string())
            .env("FORGETFUL_SKIP_NAMES", if temper.skips_names { "1" } else { "0" });
    }

    /// Makes of the directory what a crash leaves. Its process must have ended.
    pub fn crash(&self, mut keep: Keep<'_>) -> Result<Forgotten> {
        let rebuilt = self.root.with_extension("rebuilt");
        let mut forgotten = Forgotten::default();
        self.rebuild(&self.root, inode(&self.root)?, &rebuilt, &mut keep, &mut forgotten)?;
        fs::remove_dir_all(&self.root).map_err(io("removing", &self.root))?;
        fs::rename(&rebuilt, &self.root).map_err(io("renaming", &rebuilt))?;
        self.take_as_durable()?;
        Ok(forgotten)
    }

    /// `live` is where the directory is, if it still is there.
    fn rebuild(
        &self,
        live: &Path,
        inode: u64,
        to: &Path,
        keep: &mut Keep<'_>,
        forgotten: &mut Forgotten,
    ) -> Result<()> {
        fs::create_dir(to).map_err(io("making", to))?;
        let forced = self.forced_names(inode)?;
        let present = if live.is_dir() { entries(live)? } else { Vec::new() };
        let gone = forced.iter().filter(|entry| !present.contains(entry)).count();
        forgotten.names += gone + present.iter().filter(|entry| !forced.contains(entry)).count();
        let takes_present = match keep {
            Keep::Some(dice) => dice.coin(),
            Keep::Forced => false,
        };
        let names = if takes_present { present } else { forced };
        for Entry { name, is_dir, inode } in names {
            let (to, live) = (to.join(&name), live.join(&name));
            if is_dir {
                self.rebuild(&live, inode, &to, keep, forgotten)?;
                continue;
            }
            let forced = read_if_any(&self.shadow.join("durable").join(inode.to_string()))?;
            let pin = self.shadow.join("pins").join(inode.to_string());
            // Without a pin: the kill of another thread came between the creation and its return, so nobody
            // has written to it.
            let is_unborn =
                !pin.exists() && fs::metadata(&live).is_ok_and(|about| about.len() == 0);
            let written =
                if is_unborn { Vec::new() } else { fs::read(&pin).map_err(io("reading", &pin))? };
            forgotten.files += usize::from(forced != written);
            let bytes = match keep {
                Keep::Some(dice) => torn(&forced, &written, dice),
                Keep::Forced => forced,
            };
            fs::write(&to, bytes).map_err(io("writing", &to))?;
        }
        Ok(())
    }

    fn forced_names(&self, inode: u64) -> Result<Vec<Entry>> {
        let path = self.shadow.join("names").join(inode.to_string());
        let text = String::from_utf8_lossy(&read_if_any(&path)?).into_owned();
        let entry = |line: &str| {
            let (kind, rest) = line.split_once(' ')?;
            let (inode, name) = rest.split_once(' ')?;
            let inode = inode.parse().ok()?;
            Some(Entry { name: name.to_owned(), is_dir: kind == "d", inode })
        };
        let entries: Option<Vec<Entry>> = text.lines().map(entry).collect();
        let mut entries = entries.ok_or_else(|| {
            HarnessError::Unexpected(format!("{} is not a list of names", path.display()))
        })?;
        entries.sort();
        Ok(entries)
    }

    /// Everything there is now is durable.
    fn take_as_durable(&self) -> Result<()> {
        if self.shadow.exists() {
            fs::remove_dir_all(&self.shadow).map_err(io("removing", &self.shadow))?;
        }
        for name in ["durable", "names", "pins"] {
            let dir = self.shadow.join(name);
            fs::create_dir_all(&dir).map_err(io("making", &dir))?;
        }
        self.take_dir(&self.root)
    }

    fn take_dir(&self, dir: &Path) -> Result<()> {
        let path = self.shadow.join("names").join(inode(dir)?.to_string());
        let mut names = File::create(&path).map_err(io("creating", &path))?;
        for entry in entries(dir)? {
            let Entry { name, is_dir, inode } = &entry;
            let kind = if *is_dir { 'd' } else { 'f' };
            writeln!(names, "{kind} {inode} {name}").map_err(io("writing", &path))?;
            let live = dir.join(name);
            if *is_dir {
                self.take_dir(&live)?;
            } else {
                let image = self.shadow.join("durable").join(inode.to_string());
                fs::copy(&live, &image).map_err(io("copying", &live))?;
                let pin = self.shadow.join("pins").join(inode.to_string());
                fs::hard_link(&live, &pin).map_err(io("linking", &live))?;
            }
        }
        Ok(())
    }
}

fn compile(home: &Path) -> Result<PathBuf> {
    let (source, layer) = (home.join("forgetful.c"), home.join("forgetful.so"));
    fs::write(&source, LAYER).map_err(io("writing", &source))?;
    let output = Command::new("cc")
        .args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&layer)
        .arg(&source)
        .output()
        .map_err(HarnessError::io("running cc (apt-get install gcc libc6-dev)"))?;
    if output.status.success() {
        Ok(layer)
    } else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(HarnessError::Unexpected(format!("cc refused forgetful.c: {said}")))
    }
}

fn inode(path: &Path) -> Result<u64> {
    Ok(fs::symlink_metadata(path).map_err(io("looking at", path))?.ino())
}

fn entries(dir: &Path) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io("listing", dir))? {
        let entry = entry.map_err(io("listing", dir))?;
        let about = fs::symlink_metadata(entry.path()).map_err(io("looking at", dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push(Entry { name, is_dir: about.is_dir(), inode: about.ino() });
    }
    found.sort();
    Ok(found)
}

fn read_if_any(path: &Path) -> Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(io("reading", path)),
    }
}

/// What a crash may leave of a file: any sectors of what was written since, any part of the change of
/// its length.
fn torn(forced: &[u8], written: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (short, long) = (forced.len().min(written.len()), forced.len().max(written.len()));
    let len = match dice.below(3) {
        0 => short,
        1 => long,
        _ => short + dice.below(long - short + 1),
    };
    let mut left = forced.to_vec();
    left.resize(len, 0);
    for at in (0..len.min(written.len())).step_by(SECTOR) {
        let end = (at + SECTOR).min(len).min(written.len());
        if dice.coin() {
            left[at..end].copy_from_slice(&written[at..end]);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const STEPS: &str = "ROOKEEPER_FORGETFUL_STEPS";

    /// What the layered process does: the same calls as the server's.
    #[test]
    #[ignore = "run by the other tests, under the layer"]
    fn layered_process() {
        let steps = std::env::var(STEPS).expect(STEPS);
        let root = PathBuf::from(std::env::var("FORGETFUL_ROOT").expect("the layer"));
        let (new, old) = (root.join("new"), root.join("old"));
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&new).expect("opening");
        for step in steps.split(' ') {
            match step {
                "write" => file.write_all_at(b"abc", 0),
                "overwrite" => file.write_all_at(b"X", 1),
                "append" => file.write_all(b"Y"),
                "cut" => file.set_len(1),
                "force" => file.sync_data(),
                "force-names" => File::open(&root).and_then(|dir| dir.sync_all()),
                "rename" => fs::rename(&new, &old),
                "remove" => fs::remove_file(&old),
                other => panic!("{other}"),
            }
            .expect(step);
        }
    }

    /// What a crash leaves of a directory with the one file "old".
    fn after(steps: &str, kill_at: Option<usize>) -> (Vec<(String, String)>, Forgotten) {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("data");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("old"), "old").unwrap();
        let disk = ForgetfulDisk::new(&root, home.path()).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--ignored", "forgetful_disk::tests::layered_process"]);
        let temper = Temper { kill_at, ..Temper::default() };
        disk.preload(command.env(STEPS, steps), &temper);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.success(), kill_at.is_none(), "{said}");
        assert_eq!(output.status.signal(), kill_at.map(|_| 9), "{said}");
        let forgotten = disk.crash(Keep::Forced).unwrap();
        let text = |name: &str| fs::read_to_string(root.join(name)).unwrap();
        let left = entries(&root).unwrap().into_iter().map(|entry| (text(&entry.name), entry.name));
        (left.map(|(text, name)| (name, text)).collect(), forgotten)
    }

    fn files(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_was_forced_stays_and_nothing_else() {
        let (left, forgotten) = after("write force overwrite append force-names", None);
        assert_eq!(left, files(&[("new", "abc"), ("old", "old")]));
        assert_eq!(forgotten, Forgotten { files: 1, names: 0 });
        let (left, _) = after("write force overwrite force cut append force-names", None);
        assert_eq!(left[0], ("new".to_owned(), "aXc".to_owned()));
        let (left, _) = after("write force cut force force-names", None);
        assert_eq!(left[0], ("new".to_owned(), "a".to_owned()));
    }

    #[test]
    fn a_name_that_was_not_forced_is_forgotten() {
        let (left, forgotten) = after("write force remove", None);
        assert_eq!(left, files(&[("old", "old")]));
        assert_eq!(forgotten, Forgotten { files: 0, names: 2 });
    }

    #[test]
    fn a_forced_name_of_unforced_bytes_is_an_empty_file() {
        let (left, _) = after("write rename force-names", None);
        assert_eq!(left, files(&[("old", "")]));
    }

    #[test]
    fn the_process_dies_where_it_is_told() {
        // Two points each: create, write, force, names.
        let steps = "write force-names force overwrite";
        assert_eq!(after(steps, Some(5)).0, files(&[("old", "old")]), "before the names");
        assert_eq!(after(steps, Some(6)).0, files(&[("new", ""), ("old", "old")]), "after them");
        assert_eq!(after(steps, Some(8)).0, files(&[("new", "abc"), ("old", "old")]), "forced");
    }

    #[test]
    fn torn_files_hold_whole_sectors_of_one_or_the_other() {
        let mut dice = Dice::new(7);
        let (forced, written) = (vec![1; 3 * SECTOR], vec![2; 5 * SECTOR + 9]);
        let (mut old, mut new, mut zero) = (0, 0, 0);
        for _ in 0..100 {
            let left = torn(&forced, &written, &mut dice);
            assert!((forced.len()..=written.len()).contains(&left.len()));
            for (i, sector) in left.chunks(SECTOR).enumerate() {
                assert!(sector.iter().all(|byte| *byte == sector[0]));
                match sector[0] {
                    2 => new += 1,
                    1 if i < 3 => old += 1,
                    0 if i >= 3 => zero += 1,
                    other => panic!("{other} in sector {i}"),
                }
            }
        }
        assert!(old > 0 && new > 0 && zero > 0);
    }
}
