//! Commands on quotas: they are nodes below `/zookeeper/quota` whose shape servers act upon
//! (`client-protocol.md` 6.7; steps and texts observed on 3.9.5).

use rookeeper_client::{Client, CreateOptions, ErrorCode};
use serde_json::{Value, json};

use super::Session;
use super::nodes::path;
use crate::failure::{Failure, Outcome};
use crate::options::Parsed;

const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// Counts and bytes; -1 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quota {
    count: i64,
    bytes: i64,
    byte_hard: i64,
    count_hard: i64,
}

impl Quota {
    const NONE: Self = Self { count: -1, bytes: -1, byte_hard: -1, count_hard: -1 };

    /// Reads `count=1,bytes=2=;byteHardLimit=3;countHardLimit=4`; what is missing is no limit.
    fn parse(text: &str) -> Self {
        let mut quota = Self::NONE;
        for part in text.split([',', ';']) {
            let Some((key, value)) = part.split_once('=') else { continue };
            let Ok(value) = value.trim_end_matches('=').trim().parse() else { continue };
            match key.trim() {
                "count" => quota.count = value,
                "bytes" => quota.bytes = value,
                "byteHardLimit" => quota.byte_hard = value,
                "countHardLimit" => quota.count_hard = value,
                _ => {}
            }
        }
        quota
    }

    fn text(&self) -> String {
        format!(
            "count={},bytes={}=;byteHardLimit={};countHardLimit={}",
            self.count, self.bytes, self.byte_hard, self.count_hard
        )
    }

    /// How the use is printed: without limits.
    fn stats_text(&self) -> String {
        format!("count={},bytes={}", self.count, self.bytes)
    }

    /// The limits; null where there is none.
    fn limits_value(&self) -> Value {
        let limit = |value: i64| (0 <= value).then_some(value);
        json!({
            "count": limit(self.count),
            "bytes": limit(self.bytes),
            "count_hard": limit(self.count_hard),
            "bytes_hard": limit(self.byte_hard),
        })
    }

    fn field(&mut self, option: &str) -> &mut i64 {
        match option {
            "n" => &mut self.count,
            "b" => &mut self.bytes,
            "N" => &mut self.count_hard,
            _ => &mut self.byte_hard,
        }
    }
}

fn limits_path(path: &str) -> String {
    format!("{ROOT}{path}/{LIMITS}")
}

fn stats_path(path: &str) -> String {
    format!("{ROOT}{path}/{STATS}")
}

async fn read(client: &Client, path: &str) -> Outcome<Option<Quota>> {
    match client.get(path).await {
        Ok((data, _)) => Ok(Some(Quota::parse(&String::from_utf8_lossy(&data)))),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn list(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let path = path(parsed)?;
    let limits = limits_path(path);
    if !session.shell.is_json() {
        session.err(&format!("absolute path is {limits}"));
    }
    let client = session.client()?;
    let Some(quota) = session.wait(read(&client, &limits))?? else {
        if !session.shell.is_json() {
            session.err(&format!("quota for {path} does not exist."));
        }
        session.put("limits", || Value::Null, || None);
        return Ok(());
    };
    let line = || Some(format!("Output quota for {path} {}", quota.text()));
    session.put("limits", || quota.limits_value(), line);
    if let Some(used) = session.wait(read(&client, &stats_path(path)))?? {
        let line = || Some(format!("Output stat for {path} {}", used.stats_text()));
        session.put("used", || json!({"count": used.count, "bytes": used.bytes}), line);
    }
    Ok(())
}

fn chosen(parsed: &Parsed) -> Option<&'static str> {
    ["n", "b", "N", "B"].into_iter().find(|option| parsed.has(option))
}

pub(super) fn set(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let option = chosen(parsed).unwrap_or("n");
    let text = parsed.value(option).unwrap_or_default();
    let counts = matches!(option, "n" | "N");
    let value = if counts { text.parse::<i32>().map(i64::from).ok() } else { text.parse().ok() };
    let Some(value) = value else {
        session.err("NumberFormatException happens when parsing the option value");
        return Ok(());
    };
    if counts && value <= 0 {
        session.err("the num quota must be greater than zero");
        return Ok(());
    }
    let raw = parsed.arg(1).unwrap_or_default();
    if raw.starts_with(ROOT) {
        session.err(&format!("cannot set a quota under the path: {ROOT}"));
        return Ok(());
    }
    if raw == "/" {
        // The root of the quotas cannot carry one.
        return Err(Failure::new("Path must not end with / character"));
    }
    let path = path(parsed)?;
    let client = session.client()?;
    if session.wait(client.exists(path))??.is_none() {
        return Err(Failure::new(format!("{path} does not exist.")));
    }
    session.wait(refuse_nested(&client, path))??;
    let used = session.wait(store(&client, path, option, value))??;
    let (what, existing) = if counts { ("count", used.count) } else { ("bytes", used.bytes) };
    if value < existing {
        let text =
            format!("the {what} quota you create is less than the existing {what}:{existing}");
        session.put("warning", || text.as_str().into(), || Some(format!("[Warning]: {text}")));
    }
    Ok(())
}

/// Quotas do not nest.
async fn refuse_nested(client: &Client, path: &str) -> Outcome {
    let mut stack = vec![path.to_owned()];
    while let Some(node) = stack.pop() {
        let names = match client.children(&format!("{ROOT}{node}")).await {
            Ok((names, _)) => names,
            Err(error) if error.code() == Some(ErrorCode::NoNode) => continue,
            Err(error) => return Err(error.into()),
        };
        if node != path && names.iter().any(|name| name == LIMITS) {
            return Err(Failure::new(format!("{path} has a child {node} which has a quota")));
        }
        for name in names {
            if name != LIMITS && name != STATS {
                stack.push(format!("{node}/{name}"));
            }
        }
    }
    for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
        let parent = &path[..at];
        if client.exists(&limits_path(parent)).await?.is_some() {
            return Err(Failure::new(format!("{path} has a parent {parent} which has a quota")));
        }
    }
    Ok(())
}

/// Stores one limit beside those there are; answers what is used.
async fn store(client: &Client, path: &str, option: &str, value: i64) -> Outcome<Quota> {
    let limits = limits_path(path);
    let mut quota = read(client, &limits).await?;
    if quota.is_none() {
        create_with_parents(client, path).await?;
    }
    let mut limit = quota.take().unwrap_or(Quota::NONE);
    *limit.field(option) = value;
    let text = limit.text();
    match create(client, &limits, text.as_bytes()).await? {
        true => {
            create(client, &stats_path(path), b"count=0,bytes=0").await?;
        }
        false => {
            client.set(&limits, text.as_bytes(), None).await?;
        }
    }
    Ok(read(client, &stats_path(path)).await?.unwrap_or(Quota { count: 0, bytes: 0, ..limit }))
}

async fn create_with_parents(client: &Client, path: &str) -> Outcome {
    for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
        create(client, &format!("{ROOT}{}", &path[..at]), b"").await?;
    }
    create(client, &format!("{ROOT}{path}"), b"").await?;
    Ok(())
}

/// Creates a node; false when it was there.
async fn create(client: &Client, path: &str, data: &[u8]) -> Outcome<bool> {
    let mut options = CreateOptions::persistent();
    if data.is_empty() {
        options = options.without_data();
    }
    match client.create(path, data, &options).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn delete(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let path = path(parsed)?;
    let limits = limits_path(path);
    let client = session.client()?;
    let Some(mut quota) = session.wait(read(&client, &limits))?? else {
        let line = || Some(format!("Quota does not exist for {path}"));
        session.put("deleted", || false.into(), line);
        return Ok(());
    };
    if let Some(option) = chosen(parsed) {
        *quota.field(option) = -1;
        session.wait(client.set(&limits, quota.text().as_bytes(), None))??;
    } else {
        session.wait(remove(&client, path))??;
    }
    session.put("deleted", || true.into(), || None);
    Ok(())
}

async fn remove(client: &Client, path: &str) -> Outcome {
    for node in [limits_path(path), stats_path(path)] {
        match client.delete(&node, None).await {
            Err(error) if error.code() != Some(ErrorCode::NoNode) => return Err(error.into()),
            _ => {}
        }
    }
    // Then whatever is empty above them.
    let mut node = path;
    while !node.is_empty() {
        match client.delete(&format!("{ROOT}{node}"), None).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
            Err(error) if error.code() == Some(ErrorCode::NotEmpty) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        node = rookeeper_proto::path::parent(node).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_there_and_back() {
        let text = "count=5,bytes=-1=;byteHardLimit=100;countHardLimit=-1";
        let quota = Quota::parse(text);
        assert_eq!((quota.count, quota.byte_hard), (5, 100));
        assert_eq!(quota.text(), text);
        assert_eq!(Quota::parse("count=2,bytes=3").stats_text(), "count=2,bytes=3");
        assert_eq!(Quota::parse("junk=,;=="), Quota::NONE);
    }
}
