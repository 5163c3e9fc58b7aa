//! A short life of a session, as requests: nodes of every mode, watches of every kind, a quota, a multi.

use rookeeper_proto::Zxid;
use rookeeper_proto::acl::RequestAcls;
use rookeeper_proto::client::request::{
    Create, MultiOp, PathKind, PathVersion, PathWatch, Request, SetAcl, SetData, SetWatches,
};

fn text(path: &'static str) -> Option<std::borrow::Cow<'static, str>> {
    Some(path.into())
}

fn create(path: &'static str, flags: i32, ttl_ms: i64) -> Create<'static> {
    let (data, acls) = (Some(&b"data"[..]), Some(RequestAcls::Open));
    Create { path: text(path), data, acls, flags, ttl_ms }
}

fn at(path: &'static str, version: i32) -> PathVersion<'static> {
    PathVersion { path: text(path), version }
}

fn watched(path: &'static str) -> PathWatch<'static> {
    PathWatch { path: text(path), watch: true }
}

fn set(path: &'static str, data: &'static [u8]) -> SetData<'static> {
    SetData { path: text(path), data: Some(data), version: -1 }
}

pub(super) fn requests() -> Vec<Request<'static>> {
    let kind = |path, kind| PathKind { path: text(path), kind };
    let mut story = vec![Request::AddWatch(kind("/", 1)), Request::AddWatch(kind("/a", 0))];
    for path in ["/a", "/a/b", "/a/b/c", "/d", "/zookeeper/quota/a"] {
        story.push(Request::Create(create(path, 0, -1)));
    }
    story.push(Request::Create(Create {
        data: Some(b"count=5,bytes=1000=;byteHardLimit=-1;countHardLimit=12"),
        ..create("/zookeeper/quota/a/zookeeper_limits", 0, -1)
    }));
    story.extend([
        Request::Exists(watched("/later")),
        Request::GetData(watched("/a")),
        Request::GetChildren2(watched("/a")),
        Request::Create2(create("/a/s-", 2, -1)),
        Request::Create2(create("/a/s-", 3, -1)),
        Request::Create(create("/later", 1, -1)),
        Request::CreateContainer(create("/box", 4, -1)),
        Request::CreateTtl(create("/brief", 5, 100)),
        Request::CreateTtl(create("/brief-", 6, 100)),
        Request::SetData(set("/a", b"other")),
        Request::SetAcl(SetAcl { path: text("/d"), acls: Some(RequestAcls::Open), version: 0 }),
        Request::GetAcl(text("/d")),
        Request::Multi(vec![
            MultiOp::Create(create("/box/m", 0, -1)),
            MultiOp::SetData(set("/box/m", b"m")),
            MultiOp::Check(at("/a", 1)),
            MultiOp::Delete(at("/a/b/c", -1)),
        ]),
        Request::Multi(vec![MultiOp::Create(create("/never", 0, -1)), MultiOp::Check(at("/a", 9))]),
        Request::MultiRead(vec![
            MultiOp::GetData(PathWatch { path: text("/a"), watch: false }),
            MultiOp::GetChildren(PathWatch { path: text("/a"), watch: false }),
        ]),
        Request::Delete(at("/later", -1)),
        Request::Delete(at("/box/m", -1)),
        Request::Create(create("/later", 1, -1)),
        Request::GetEphemerals(text("/")),
        Request::GetAllChildrenNumber(text("/")),
        Request::CheckWatches(kind("/a", 3)),
        Request::RemoveWatches(kind("/a", 3)),
        Request::SetWatches2(SetWatches {
            relative_zxid: Zxid(3),
            data: Some(vec![text("/a"), text("/gone")]),
            exist: Some(vec![text("/d")]),
            child: Some(vec![text("/a")]),
            persistent: Some(vec![text("/a")]),
            persistent_recursive: Some(vec![text("/")]),
        }),
        Request::Sync(text("/a")),
        Request::WhoAmI,
        Request::Ping,
    ]);
    story
}
