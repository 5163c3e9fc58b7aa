//! Each row of the table does what its action says.

use super::{good, run, said};
use crate::config::keys::{self, Action, Area, Key, Kind};

const BASE: &str = "dataDir=/d\nclientPort=2181\nadmin.enableServer=false\n";

/// A command line and a file that set one key.
fn setting(key: &Key, value: &str) -> (String, String) {
    let name = key.name.replace('*', if key.name.ends_with(".*") { "1" } else { ".1" });
    match key.property() {
        Some(property)
            if key.place == keys::Place::Flag
                || key.name == "server.realm"
                || key.name == "server.principal" =>
        {
            (format!("-D{}={value} zoo.cfg", property.replace('*', ".1")), BASE.to_owned())
        }
        _ => ("zoo.cfg".to_owned(), format!("{BASE}{name}={value}\n")),
    }
}

/// A value that is good for the kind and not the default.
fn other_value(key: &Key) -> &'static str {
    match (key.name, key.kind) {
        ("serverCnxnFactory", _) => "org.apache.zookeeper.server.NettyServerCnxnFactory",
        ("watchManagerName", _) => "org.apache.zookeeper.server.watch.WatchManagerOptimized",
        ("metricsProvider.className", _) => "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
        ("DigestAuthenticationProvider.digestAlg", _) => "SHA3-256",
        ("snapshot.compression.method", _) => "gz",
        ("peerType", _) => "observer",
        ("version", _) => "200000003",
        ("server.*", _) => "h:2888:3888",
        ("weight*", _) => "2",
        ("group*", _) => "1",
        (_, Kind::Bool) if key.default == "true" => "false",
        (_, Kind::Bool) => "true",
        (_, Kind::YesNo) if key.default == "yes" => "no",
        (_, Kind::YesNo) => "yes",
        (_, Kind::Int | Kind::Long) => "7001",
        (_, Kind::Float) => "0.5",
        (_, Kind::Path) => "/elsewhere",
        _ => "other",
    }
}

/// Keys whose effect is checked elsewhere: class names and `electionAlg` change nothing when they
/// are good, and `dynamicConfigFile` needs a second file.
const WITHOUT_A_FIELD: [&str; 2] = ["serverCnxnFactory", "electionAlg"];

#[test]
fn every_acting_key_reaches_the_typed_configuration() {
    let typed = |line: &str, text: &str| {
        let files = [("zoo.cfg", text), ("/elsewhere", "server.1=a:1:2\n"), ("/d/myid", "1")];
        let config = run(line, &files).unwrap_or_else(|error| panic!("{text}: {error}"));
        let debug = format!("{config:?}");
        // Everything but the raw settings and the notices.
        debug.split(", notices: ").next().map(str::to_owned).expect("never empty")
    };
    let before = typed("zoo.cfg", BASE);
    let mut seen = 0;
    for key in keys::all().iter().filter(|key| matches!(key.action, Action::Acts | Action::Own)) {
        if WITHOUT_A_FIELD.contains(&key.name) {
            continue;
        }
        let (line, text) = setting(key, other_value(key));
        // In place of the base value, so that there is no earlier line to warn about.
        let text = match key.name {
            "dataDir" => text.replace("dataDir=/d\n", ""),
            "clientPort" => text.replace("clientPort=2181\n", ""),
            "enforce.auth.enabled" => format!("{text}enforce.auth.schemes=digest\n"),
            // An ensemble of one needs more than this file has.
            "standaloneEnabled" => text.replace(
                "standaloneEnabled=false",
                "standaloneEnabled=false\n\
                    server.1=a:1:2\ninitLimit=5\nsyncLimit=5",
            ),
            _ => text,
        };
        // Groups and weights are about members.
        if matches!(key.name, "group*" | "weight*") {
            let group = if key.name == "weight*" { "group.1=1\n" } else { "" };
            let members = format!("server.1=a:1:2\n{group}");
            let before = typed("zoo.cfg", &format!("{BASE}{members}"));
            assert_ne!(typed(&line, &format!("{text}{members}")), before, "{}", key.name);
            continue;
        }
        assert_ne!(typed(&line, &text), before, "{}", key.name);
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_jvm_key_is_named_in_the_one_warning() {
    for key in keys::all().iter().filter(|key| key.action == Action::JvmOnly) {
        let (line, text) = setting(key, other_value(key));
        let config = run(&line, &[("zoo.cfg", &text)]).expect(key.name);
        let said = said(&config);
        let name = key.name.trim_end_matches('*');
        assert_eq!(said.len(), 1, "{}: {said:?}", key.name);
        assert!(
            said.iter().all(|text| {
                text.starts_with("accepted without effect, these tune a Java server: ")
                    && text.contains(name)
            }),
            "{said:?}"
        );
    }
}

#[test]
fn every_silent_key_is_accepted_without_a_word() {
    for key in keys::all().iter().filter(|key| key.action == Action::Silent) {
        let (line, text) = setting(key, other_value(key));
        let config = run(&line, &[("zoo.cfg", &text)]).expect(key.name);
        assert_eq!(said(&config), Vec::<&str>::new(), "{}", key.name);
    }
}

#[test]
fn every_key_that_is_not_supported_yet_says_so() {
    let members = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\ninitLimit=5\nsyncLimit=5\n";
    for key in keys::all() {
        let Action::NotYet(area) = key.action else { continue };
        // These need a value that fits the members, or are in the file already.
        if matches!(key.name, "group*" | "weight*" | "initLimit" | "syncLimit") {
            continue;
        }
        let (line, mut text) = setting(key, other_value(key));
        if area == Area::Ensemble {
            let alone = run(&line, &[("zoo.cfg", &text)]).expect(key.name);
            assert_eq!(said(&alone), Vec::<&str>::new(), "{}: alone it means nothing", key.name);
            text.push_str(members);
        }
        if key.name.starts_with("admin.") {
            let off = run(&line, &[("zoo.cfg", &text)]).expect(key.name);
            if key.name != "admin.enableServer" {
                assert_eq!(said(&off), Vec::<&str>::new(), "{}: switched off", key.name);
            }
            text = text.replace("admin.enableServer=false\n", "");
        }
        if key.name == "secureClientPortAddress" {
            text.push_str("secureClientPort=2281\n");
        }
        let config = run(&line, &[("zoo.cfg", &text), ("/d/myid", "1")]).expect(key.name);
        let name = key.name.trim_end_matches('*');
        let start = format!("not supported yet ({}), accepted without effect: ", area.name());
        if key.name == "admin.enableServer" {
            // On is the default, off is what there is: nothing to say.
            continue;
        }
        assert!(
            said(&config).iter().any(|text| text.starts_with(&start) && text.contains(name)),
            "{}: {:?}",
            key.name,
            said(&config)
        );
    }
}

#[test]
fn admin_settings_are_moot_when_it_is_off() {
    let config = good("dataDir=/d\nclientPort=1\nadmin.serverPort=1\nadmin.enableServer=false\n");
    assert_eq!(said(&config), Vec::<&str>::new());
}
