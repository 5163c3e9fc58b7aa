//! How results look: stat lines, dates, hexadecimal tables (`operations.md` 5.4, observed on 3.9.5).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rookeeper_client::Stat;

/// A moment as Java prints a date, in the local time zone: `Fri Nov 20 09:00:38 UTC 2026`.
pub(crate) fn date(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(moment) => {
            moment.to_zoned(TimeZone::system()).strftime("%a %b %d %H:%M:%S %Z %Y").to_string()
        }
        // Years no calendar knows: a number is better than nothing.
        Err(_) => ms.to_string(),
    }
}

/// The eleven lines of a stat.
pub(crate) fn stat(stat: &Stat) -> String {
    format!(
        "cZxid = 0x{:x}\nctime = {}\nmZxid = 0x{:x}\nmtime = {}\npZxid = 0x{:x}\ncversion = {}\n\
         dataVersion = {}\naclVersion = {}\nephemeralOwner = 0x{:x}\ndataLength = {}\n\
         numChildren = {}",
        stat.czxid.0,
        date(stat.ctime_ms),
        stat.mzxid.0,
        date(stat.mtime_ms),
        stat.pzxid.0,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children
    )
}

/// A list as Java prints it, sorted.
pub(crate) fn list(mut names: Vec<String>) -> String {
    names.sort();
    format!("[{}]", names.join(", "))
}

/// The letters of a set of permissions.
pub(crate) fn perms(perms: i32) -> String {
    let letters = [(4, 'c'), (8, 'd'), (1, 'r'), (2, 'w'), (16, 'a')];
    letters.iter().filter(|(bit, _)| perms & bit != 0).map(|(_, letter)| letter).collect()
}

/// A hexadecimal table of 16 bytes a line. No data prints nothing.
pub(crate) fn hex_table(data: &[u8]) -> String {
    if data.is_empty() {
        return String::new();
    }
    let rule = format!("+{}+{}+{}+", "-".repeat(8), "-".repeat(49), "-".repeat(16));
    let mut out = format!(
        "         +{}+\n         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n{rule}\n",
        "-".repeat(49)
    );
    for (row, bytes) in data.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let text: String = bytes
            .iter()
            .map(|&byte| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' })
            .collect();
        out += &format!("|{:08x}|{hex:<48} |{text:<16}|\n", row * 16);
    }
    out + &rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_table_as_observed() {
        let table = hex_table(b"0123456789abcdef\0data");
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[2], lines[5]);
        assert_eq!(
            lines[3],
            "|00000000| 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 |0123456789abcdef|"
        );
        assert_eq!(
            lines[4],
            "|00000010| 00 64 61 74 61                                  |.data           |"
        );
    }

    #[test]
    fn permissions_and_lists() {
        assert_eq!(perms(31), "cdrwa");
        assert_eq!(perms(1), "r");
        assert_eq!(list(vec!["b".into(), "a".into()]), "[a, b]");
        assert_eq!(list(vec![]), "[]");
    }

    #[test]
    fn dates_out_of_range_do_not_panic() {
        assert_eq!(date(i64::MAX), i64::MAX.to_string());
        assert!(date(0).ends_with("1970") || date(0).ends_with("1969"));
    }
}
