//! Catches: a reply to a read that is not what the tree held at the zxid the reply names: data, stat,
//! children, lists, error codes; a read that is older than what somebody had seen before it was sent
//! (on one server reads are linearizable).

use rookeeper_proto::client::Response;
use rookeeper_proto::{Reader, Zxid};

use crate::history::Sent;
use crate::model::read::{self, sort_names};
use crate::model::{Model, watches::ConnWatches};
use crate::violation::{Check, broken};

const NAME: &str = "reads";

/// Checks a reply against the model at `zxid`.
pub fn check(
    model: &Model,
    sent: &Sent,
    watches: &ConnWatches,
    zxid: Zxid,
    err: i32,
    body: &mut Reader<'_>,
) -> Check {
    if zxid < sent.floor {
        let what = format!("{:?} answered at {zxid}, but {} had been seen", sent.op, sent.floor);
        return broken(NAME, what);
    }
    let expected = match sent.request() {
        None => Err(-5),
        Some(request) => {
            let reader = read::Reader { session: sent.session, ids: &sent.ids, zxid, watches };
            model.answer(&reader, &request)
        }
    };
    let found = match err {
        0 => match Response::read(sent.op, body) {
            Ok(response) => Ok(sort_names(response)),
            Err(error) => return broken(NAME, format!("the reply to {:?}: {error}", sent.op)),
        },
        code => Err(code),
    };
    let expected = expected.map(sort_names);
    if found != expected {
        let request = sent.request();
        let what = format!("{request:?} at {zxid}: got {found:?}, expected {expected:?}");
        return broken(NAME, what);
    }
    Ok(())
}
