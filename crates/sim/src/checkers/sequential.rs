//! Catches: a sequential name given twice under one parent; a counter that is not the number of nodes
//! created in the parent before: it never goes back, and has gaps only where other creates (or
//! deleted nodes) explain them (`client-protocol.md` 6.3).

use std::collections::BTreeMap;

use rookeeper_proto::client::{MultiOp, MultiResult, Request, Response};
use rookeeper_proto::{CreateMode, Zxid};

use crate::model::{Kind, Model, TxnEntry};
use crate::violation::{Check, broken};

const NAME: &str = "sequential";

/// Creates per parent, counted apart from the model.
#[derive(Debug, Default)]
pub struct Sequential {
    /// Parent and the txn that created it -> zxids of creates in it.
    creates: BTreeMap<(String, Zxid), Vec<Zxid>>,
}

impl Sequential {
    /// A write was prepared as `txn`; `request` is what was asked. Returns how many names were checked.
    pub fn on_txn(
        &mut self,
        model: &Model,
        txn: &TxnEntry,
        request: Option<&Request<'_>>,
    ) -> Check<u64> {
        let mut wanted = request.map(prefixes).unwrap_or_default().into_iter();
        let results: Vec<Option<&str>> = match &txn.reply {
            Ok(Response::Path(path) | Response::PathStat(path, _)) => vec![Some(path)],
            Ok(Response::Multi(results)) => results
                .iter()
                .filter_map(|result| match result {
                    MultiResult::Path(path) | MultiResult::PathStat(path, _) => {
                        Some(Some(path.as_str()))
                    }
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        let mut results = results.into_iter().flatten();
        let mut checked = 0;
        for change in &txn.changes {
            if change.kind != Kind::Created {
                continue;
            }
            let Some((parent, _)) = &change.parent else { continue };
            // A parent created by the same multi is known only as of this txn.
            let czxid = model.at(parent, txn.zxid).map_or(txn.zxid, |node| node.stat.czxid);
            let creates = self.creates.entry((parent.clone(), czxid)).or_default();
            let before = creates.len();
            creates.push(txn.zxid);
            let (Some(path), Some((prefix, is_sequential))) = (results.next(), wanted.next())
            else {
                continue;
            };
            if path != change.path {
                return broken(NAME, format!("{}: {path} answered for {}", txn.zxid, change.path));
            }
            if is_sequential && path.strip_prefix(&prefix) != Some(&format!("{before:010}")) {
                let what = format!("{}: {path} is create number {before} in {parent}", txn.zxid);
                return broken(NAME, what);
            }
            checked += u64::from(is_sequential);
        }
        Ok(checked)
    }

    /// Txns behind `last` were lost.
    pub fn truncate(&mut self, last: Zxid) {
        for creates in self.creates.values_mut() {
            creates.retain(|zxid| *zxid <= last);
        }
        self.creates.retain(|(_, czxid), _| *czxid <= last);
    }
}

/// The creates a request asks for: path or prefix, and whether it is sequential.
fn prefixes(request: &Request<'_>) -> Vec<(String, bool)> {
    let one = |create: &rookeeper_proto::client::request::Create<'_>| {
        let mode = CreateMode::from_flags(create.flags);
        let path = create.path.as_deref().unwrap_or_default().to_owned();
        (path, mode.is_some_and(CreateMode::is_sequential))
    };
    match request {
        Request::Create(c)
        | Request::Create2(c)
        | Request::CreateContainer(c)
        | Request::CreateTtl(c) => vec![one(c)],
        Request::Multi(ops) => ops
            .iter()
            .filter_map(|op| match op {
                MultiOp::Create(c)
                | MultiOp::Create2(c)
                | MultiOp::CreateContainer(c)
                | MultiOp::CreateTtl(c) => Some(one(c)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
