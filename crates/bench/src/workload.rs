//! What the requests are.

use rookeeper_proto::Xid;
use rookeeper_proto::acl::RequestAcls;
use rookeeper_proto::client::request::{Create, PathWatch, SetData};
use rookeeper_proto::client::{MultiOp, Request, RequestHeader};

use crate::args::{Args, Op};

/// Znodes created under one parent.
const CHILDREN_PER_PARENT: u64 = 1000;

/// Produces requests, one generator per thread.
#[derive(Debug)]
pub(crate) struct Workload {
    op: Op,
    root: String,
    keys: u64,
    reads: u32,
    count: u64,
    value: Vec<u8>,
    rng: u64,
    /// Numbers handed out to creates; threads take disjoint ones.
    next: u64,
    step: u64,
    tag: u64,
    path: String,
}

impl Workload {
    /// The generator of thread `thread` of all; `tag` keeps the names of different runs apart.
    pub(crate) fn new(args: &Args, thread: usize, tag: u64) -> Self {
        let default_count = match args.op {
            Op::Multi => 10,
            Op::Fill => 1_000_000,
            _ => 100,
        };
        Self {
            op: args.op,
            root: args.root.clone(),
            keys: args.keys,
            reads: args.reads,
            count: if args.count == 0 { default_count } else { args.count },
            value: vec![b'x'; args.size],
            rng: 0x9E37_79B9_7F4A_7C15 ^ (thread as u64 + 1).wrapping_mul(0xD134_2543_DE82_EF95),
            next: thread as u64,
            step: args.threads as u64,
            tag,
            path: String::new(),
        }
    }

    fn random(&mut self) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        self.rng
    }

    /// Whether there is nothing left to create.
    pub(crate) fn is_done(&self) -> bool {
        self.op == Op::Fill && self.count <= self.next
    }

    /// Appends the next request as a frame.
    pub(crate) fn next_frame(&mut self, xid: Xid, out: &mut Vec<u8>) {
        match self.op {
            Op::Get => self.get(xid, out),
            Op::Set => self.set(xid, out),
            Op::Mixed => {
                if self.random() % 100 < u64::from(self.reads) {
                    self.get(xid, out);
                } else {
                    self.set(xid, out);
                }
            }
            Op::Create | Op::Fill => self.create(xid, out),
            Op::Multi => self.multi(xid, out),
            Op::Children => {
                let path = format!("{}/children", self.root);
                let read = PathWatch { path: Some(path.into()), watch: false };
                frame(xid, &Request::GetChildren(read), out);
            }
            Op::Ping | Op::Churn | Op::Watch => frame(xid, &Request::Ping, out),
        }
    }

    fn key(&mut self) {
        let key = self.random() % self.keys;
        self.path = key_path(&self.root, key);
    }

    fn get(&mut self, xid: Xid, out: &mut Vec<u8>) {
        self.key();
        let read = PathWatch { path: Some(self.path.as_str().into()), watch: false };
        frame(xid, &Request::GetData(read), out);
    }

    fn set(&mut self, xid: Xid, out: &mut Vec<u8>) {
        self.key();
        let path = Some(self.path.as_str().into());
        let write = SetData { path, data: Some(&self.value), version: -1 };
        frame(xid, &Request::SetData(write), out);
    }

    fn new_path(&mut self) -> String {
        let n = self.next;
        self.next += self.step;
        let parent = n / CHILDREN_PER_PARENT;
        format!("{}/r{:x}/app-{parent:06}/instance-{n:010}", self.root, self.tag)
    }

    fn create(&mut self, xid: Xid, out: &mut Vec<u8>) {
        let path = self.new_path();
        frame(xid, &Request::Create(open_create(&path, &self.value)), out);
    }

    /// Half creates, half sets.
    fn multi(&mut self, xid: Xid, out: &mut Vec<u8>) {
        let n = self.count.max(1);
        let paths: Vec<(bool, String)> = (0..n)
            .map(|i| {
                if i % 2 == 0 {
                    return (true, self.new_path());
                }
                self.key();
                (false, self.path.clone())
            })
            .collect();
        let ops: Vec<MultiOp<'_>> = paths
            .iter()
            .map(|(is_create, path)| {
                if *is_create {
                    MultiOp::Create(open_create(path, &self.value))
                } else {
                    let path = Some(path.as_str().into());
                    MultiOp::SetData(SetData { path, data: Some(&self.value), version: -1 })
                }
            })
            .collect();
        frame(xid, &Request::Multi(ops), out);
    }

    /// Parents that `new_path` needs, in the order in which they must be created.
    pub(crate) fn parents(args: &Args, tag: u64, creates: u64) -> Vec<String> {
        let top = format!("{}/r{tag:x}", args.root);
        let last = creates / CHILDREN_PER_PARENT;
        let apps = (0..=last).map(|parent| format!("{top}/app-{parent:06}"));
        std::iter::once(top.clone()).chain(apps).collect()
    }
}

/// The path of a key.
pub(crate) fn key_path(root: &str, key: u64) -> String {
    format!("{root}/keys/key-{key:08}")
}

/// A plain create with an open ACL.
pub(crate) fn open_create<'a>(path: &'a str, data: &'a [u8]) -> Create<'a> {
    Create {
        path: Some(path.into()),
        data: Some(data),
        acls: Some(RequestAcls::Open),
        flags: 0,
        ttl_ms: -1,
    }
}

/// Appends a request with its length.
pub(crate) fn frame(xid: Xid, request: &Request<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    RequestHeader { xid, op: request.op().as_i32() }.write(out);
    request.write(out);
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}
