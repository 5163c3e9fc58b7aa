//! What holds for every record.

/// Decodes a record. If there is one, it must survive being encoded, to the last byte, and the encoding
/// must not be much longer than what was read. Gives the value and the reader behind it.
///
/// A macro, because the value borrows from the bytes.
macro_rules! round_trip {
    ($bytes:expr, $read:expr, $write:expr) => {{
        let bytes: &[u8] = $bytes;
        let mut reader = rookeeper_proto::Reader::new(bytes);
        match $read(&mut reader) {
            Ok(value) => {
                let mut encoded = Vec::new();
                $write(&value, &mut encoded);
                let mut second = rookeeper_proto::Reader::new(&encoded);
                let again = $read(&mut second);
                assert_eq!(again.as_ref(), Ok(&value), "encoded and decoded again");
                assert_eq!(second.remaining(), 0, "all of what was encoded is read");
                // A byte that is no UTF-8 becomes the three of U+FFFD; absent fields get their defaults.
                assert!(encoded.len() <= 3 * reader.at() + 32, "the encoding is not the record");
                Some((value, reader))
            }
            Err(error) => {
                assert!(error.at <= bytes.len(), "an error beyond the input: {error}");
                None
            }
        }
    }};
}
pub(crate) use round_trip;
