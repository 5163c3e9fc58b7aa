//! I9 PrimaryIntegrity: an established leader has delivered everything of earlier epochs that anybody
//! delivered. Catches: acknowledged writes lost by an election.

use rookeeper_proto::Zxid;

use crate::model::Model;
use crate::violation::{Check, broken};

/// A leader begins to serve, having delivered up to `upto`.
pub fn on_established(server: usize, model: &Model, epoch: u32, upto: Zxid) -> Check {
    let last = model.last();
    if upto < last {
        let what =
            format!("server{} leads epoch {epoch} from {upto}, committed {last}", server + 1);
        return broken("PrimaryIntegrity", what);
    }
    Ok(())
}
