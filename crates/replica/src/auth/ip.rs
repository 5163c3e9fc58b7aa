//! The `ip` scheme: addresses with an optional prefix length, in exactly the grammar Java accepts
//! (`client-protocol.md` 7.2). IPv6 since ZOOKEEPER-4876, without embedded IPv4.

/// An address as bytes with the number of bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: [u8; 16],
    /// 4 or 16.
    len: usize,
    bits: usize,
}

/// Whether an ACL may hold this text.
pub(super) fn is_valid(expression: &str) -> bool {
    Network::parse(expression).is_some()
}

/// Whether the peer address `id` lies in the network `expression`.
pub(super) fn matches(id: &str, expression: &str) -> bool {
    let Some(network) = Network::parse(expression) else { return false };
    let Some((address, len)) = parse_address(id) else { return false };
    len == network.len && masked(address, network.bits) == masked(network.address, network.bits)
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let (address, len) = parse_address(address)?;
        let bits = match bits {
            Some(bits) => usize::try_from(parse_java_int(bits)?).ok()?,
            None => len * 8,
        };
        (bits <= len * 8).then_some(Self { address, len, bits })
    }
}

fn parse_address(text: &str) -> Option<([u8; 16], usize)> {
    if text.contains(':') { Some((parse_v6(text)?, 16)) } else { Some((parse_v4(text)?, 4)) }
}

fn parse_v4(text: &str) -> Option<[u8; 16]> {
    let mut address = [0; 16];
    let mut parts = text.split('.');
    for byte in &mut address[..4] {
        *byte = u8::try_from(parse_java_int(parts.next()?)?).ok()?;
    }
    parts.next().is_none().then_some(address)
}

/// Eight groups, or fewer around exactly one `::`.
fn parse_v6(text: &str) -> Option<[u8; 16]> {
    let mut address = [0; 16];
    match text.split_once("::") {
        None => (parse_groups(text, &mut address)? == 8).then_some(address),
        Some((head, tail)) => {
            // A second `::` shows up as an empty group and is refused there.
            let before = parse_groups(head, &mut address)?;
            let mut behind = [0; 16];
            let after = parse_groups(tail, &mut behind)?;
            if before + after > 7 {
                return None;
            }
            address[16 - 2 * after..].copy_from_slice(&behind[..2 * after]);
            Some(address)
        }
    }
}

/// Groups of one to four hexadecimal digits, as many as there are, at most eight.
fn parse_groups(text: &str, address: &mut [u8; 16]) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let mut count = 0;
    for group in text.split(':') {
        if group.is_empty() || group.len() > 4 || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u16::from_str_radix(group, 16).ok()?;
        address.get_mut(2 * count..2 * count + 2)?.copy_from_slice(&value.to_be_bytes());
        count += 1;
    }
    Some(count)
}

/// `Integer.parseInt` for ASCII: a sign and leading zeros are fine.
fn parse_java_int(text: &str) -> Option<i32> {
    text.parse().ok()
}

fn masked(mut address: [u8; 16], bits: usize) -> [u8; 16] {
    for (i, byte) in address.iter_mut().enumerate() {
        let kept = bits.saturating_sub(8 * i).min(8);
        *byte &= !(0xff_u16 >> kept) as u8;
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ACLTest.
    #[test]
    fn what_an_acl_may_hold() {
        for good in [
            "127.0.0.1",
            "0.0.0.0/0",
            "10.1.2.3/32",
            "010.001.0.255",
            "10.0.0.0/+8",
            "::1",
            "1::",
            "::",
            "2001:db8::/4",
            "0:0:0:0:0:0:0::/8",
            "1:2:3:4:5:6:7:8/128",
            "::/0",
            "ABCD::abcd",
        ] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            "/8",
            "127.0.0.1/64",
            "127.0.0.1/33",
            "127.0.0.1/-1",
            "127.0.0.1/",
            "127.0.0.1/8/8",
            "127.0.0",
            "127.0.0.1.1",
            "127.0.0.256",
            "127.0.0.-1",
            "127..0.1",
            "localhost",
            "::1/256",
            "::1/129",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8::",
            "1::2::3",
            ":::",
            ":1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:",
            "::FFFF:192.168.1.1",
            "::12345",
            "::g",
            "::+1",
            "fe80::1%eth0",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn membership() {
        for (id, expression) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.0/8"),
            ("127.0.0.1", "0.0.0.0/0"),
            ("10.1.130.3", "10.1.128.0/17"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("2001:db8:0:0:0:0:0:7", "2001:db8::/32"),
            ("2fff:0:0:0:0:0:0:0", "2001:db8::/4"),
        ] {
            assert!(matches(id, expression), "{id} {expression}");
        }
        for (id, expression) in [
            ("127.0.0.1", "127.0.0.2"),
            ("10.1.127.3", "10.1.128.0/17"),
            ("127.0.0.1", "7f::/16"),
            ("0:0:0:0:0:0:0:1", "0.0.0.1/16"),
            ("0:0:0:0:0:0:0:1", "0.0.0.0/0"),
            ("3000:0:0:0:0:0:0:0", "2001:db8::/4"),
            ("127.0.0.1/8", "127.0.0.1"),
            ("127.0.0.1", "nonsense"),
        ] {
            assert!(!matches(id, expression), "{id} {expression}");
        }
    }
}
