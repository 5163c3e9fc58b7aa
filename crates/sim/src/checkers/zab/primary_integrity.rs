//! I9 PrimaryIntegrity: an established leader has delivered everything of earlier epochs that anybody
//! delivered. Catches: acknowledged writes lost by an election.

use rookeeper_proto::Zxid;

use crate::model::Model;
use crate::violation::{Check, broken};

/// A leader begins to serve, having delivered up to `upto`. (What was committed in a later epoch is not its
/// own to know: the word that establishes it may have been under way while others went on. It serves for
/// no longer than one that was cut off, and commits nothing.)
pub fn on_established(server: usize, model: &Model, epoch: u32, upto: Zxid) -> Check {
    match model.txns_behind(upto).first().map(|txn| txn.zxid) {
        Some(missed) if missed.epoch() <= i64::from(epoch) => {
            let what = format!(
                "server{} leads epoch {epoch} from {upto}, without {missed}, which was committed",
                server + 1
            );
            broken("PrimaryIntegrity", what)
        }
        _ => Ok(()),
    }
}
