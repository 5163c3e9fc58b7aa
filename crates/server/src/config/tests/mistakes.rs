//! Every key wrong in turn: exact text, place and exit code; and the values that are only corrected.

use super::{good, run, said};
use crate::config::keys::{self, Action, Kind};
use proptest::prelude::*;

const BASE: &str = "dataDir=/d\n";
const THREE: &str = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";

/// The texts of the parser's own keys were compared with those of Apache 3.9.5's parser. The bad line
/// is always line 2.
#[test]
fn every_parser_key_wrong_in_turn() {
    let cases: &[(&str, &str, i32)] = &[
        ("clientPort=70000", "port out of range:70000", 2),
        ("clientPort=-1", "port out of range:-1", 2),
        ("clientPort=", "For input string: \"\"", 2),
        ("clientPort=2181x", "For input string: \"2181x\"", 2),
        ("clientPort=0x10", "For input string: \"0x10\"", 2),
        ("clientPortAddress=h", "clientPortAddress is set but clientPort is not set", 2),
        (
            "secureClientPortAddress=h",
            "secureClientPortAddress is set but secureClientPort is not set",
            2,
        ),
        ("secureClientPort=70000", "port out of range:70000", 2),
        ("observerMasterPort=70000", "port out of range:70000", 2),
        ("tickTime=0", "tickTime is not set", 2),
        ("tickTime=-2", "minSessionTimeout must not be larger than maxSessionTimeout", 2),
        ("tickTime=99999999999", "For input string: \"99999999999\"", 2),
        (
            "minSessionTimeout=60001",
            "minSessionTimeout must not be larger than maxSessionTimeout",
            2,
        ),
        ("maxSessionTimeout=1", "minSessionTimeout must not be larger than maxSessionTimeout", 2),
        ("electionAlg=1", "Invalid electionAlg value. Only 3 is supported.", 2),
        ("peerType=boss", "Unrecognised peertype: boss", 2),
        (
            "standaloneEnabled=yes",
            "Invalid option yes for standaloneEnabled. Choose 'true' or 'false.'",
            2,
        ),
        ("sslQuorum=maybe", "Invalid option maybe for sslQuorum. Choose 'true' or 'false.'", 2),
        (
            "quorum.auth.learnerRequireSasl=true",
            "quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.learnerRequireSasl",
            2,
        ),
        (
            "quorum.auth.serverRequireSasl=true",
            "quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.serverRequireSasl",
            2,
        ),
        (
            "quorum.auth.serverRequireSasl=true\nquorum.auth.enableSasl=true",
            "quorum.auth.learnerRequireSasl is disabled, so cannot enable quorum.auth.serverRequireSasl",
            2,
        ),
        ("metricsProvider.className=x.Y", "metrics provider class was not found", 2),
        ("dynamicConfigFile=/none", "/none (No such file or directory)", 2),
        ("server.x=a:1:2", "For input string: \"x\"", 2),
        ("server.1=a:x:2", "Address unresolved: a:x", 2),
        ("server.1=a[b:1:2", "\"a[b\" is no host's name or address", 2),
        ("version=zz", "For input string: \"zz\" under radix 16", 2),
        ("version=-c", "For input string: \"-c\" under radix 16", 2),
        ("server.realm=EXAMPLE.ORG", "For input string: \"realm\"", 2),
        ("serverCnxnFactory=x.Y", "Couldn't instantiate x.Y", 1),
        ("watchManagerName=x.Y", "Couldn't instantiate x.Y", 1),
        ("DigestAuthenticationProvider.digestAlg=nosuch", "nosuch MessageDigest not available", 1),
        (
            "enforce.auth.enabled=true",
            "zookeeper.enforce.auth.enabled is true zookeeper.enforce.auth.schemes must be  configured.",
            2,
        ),
        (
            "dataLogDir=/x   # logs",
            "the text from # on would become part of the path: a comment needs a line of its own",
            2,
        ),
        ("foo=\\u12", "Malformed \\uxxxx encoding.", 2),
    ];
    for (line, message, exit_code) in cases {
        let text = format!("{BASE}{line}\n");
        let error = run("zoo.cfg", &[("zoo.cfg", &text)]).expect_err(line);
        assert_eq!((error.message.as_str(), error.exit_code), (*message, *exit_code), "{line}");
        assert_eq!(error.line, Some(2), "{line}");
        assert!(!error.remedy.is_empty(), "{line}");
    }
}

/// Whatever the table says is a number or a switch is refused like one, acting or not.
#[test]
fn every_typed_key_of_the_parser_is_strict() {
    let typed = keys::all()
        .iter()
        .filter(|key| key.is_strict() && !key.name.starts_with("metricsProvider."));
    let mut seen = 0;
    for key in typed {
        let (bad, message) = match key.kind {
            Kind::Int | Kind::Long => ("abc", "For input string: \"abc\"".to_owned()),
            Kind::Bool => {
                ("abc", format!("Invalid option abc for {}. Choose 'true' or 'false.'", key.name))
            }
            _ => continue,
        };
        let text = format!("{BASE}{}={bad}\n", key.name);
        let error = run("zoo.cfg", &[("zoo.cfg", &text)]).expect_err(key.name);
        assert_eq!((error.message.clone(), error.exit_code), (message, 2), "{}", key.name);
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn exporter_settings_are_read_only_with_the_exporter() {
    good("dataDir=/d\nclientPort=1\nmetricsProvider.httpPort=abc\n");
    let text = "dataDir=/d\nmetricsProvider.httpPort=abc\n\
        metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n";
    let error = run("zoo.cfg", &[("zoo.cfg", text)]).expect_err("a bad port");
    assert_eq!((error.message.as_str(), error.line), ("For input string: \"abc\"", Some(2)));
}

#[test]
fn what_is_missing_is_named() {
    let text = |line: &str, files: &[(&str, &str)]| {
        let error = run(line, files).expect_err("refused");
        (error.message.clone(), error.exit_code)
    };
    assert_eq!(text("x/zoo.cfg", &[]), ("x/zoo.cfg file is missing".to_owned(), 2));
    let empty = [("zoo.cfg", "clientPort=2181\n")];
    assert_eq!(text("zoo.cfg", &empty), ("dataDir is not set".to_owned(), 2));
    let three = format!("{BASE}{THREE}");
    assert_eq!(text("zoo.cfg", &[("zoo.cfg", &three)]), ("initLimit is not set".to_owned(), 2));
    let three = format!("{BASE}{THREE}initLimit=5\nsyncLimit=2\n");
    assert_eq!(text("zoo.cfg", &[("zoo.cfg", &three)]), ("myid file is missing".to_owned(), 2));
    assert_eq!(
        text("zoo.cfg", &[("zoo.cfg", &three), ("/d/myid", "9\n")]),
        ("My id 9 not in the peer list".to_owned(), 1)
    );
    // Alone, too, a myid file must be a number.
    let error = run("zoo.cfg", &[("zoo.cfg", BASE), ("/d/myid", "abc\n")]).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "Invalid config, exiting abnormally\n\
         /d/myid:1: serverid abc is not a number\n  \
         remedy: put nothing but this server's number into the myid file: echo 1 > myid"
    );
}

#[test]
fn the_message_reads_from_the_short_line_to_the_remedy() {
    let text = "tickTime=2000\ndataDir=/d\nclientPort=abc\n";
    let error = run("conf/zoo.cfg", &[("conf/zoo.cfg", text)]).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "Invalid config, exiting abnormally\n\
         conf/zoo.cfg:3: clientPort=abc: For input string: \"abc\"\n  \
         remedy: write a whole number"
    );
    let error = run("1 2 3 4 5", &[]).expect_err("refused");
    assert!(error.to_string().starts_with("Usage: ZooKeeperServerMain configfile | port datadir"));
}

#[test]
fn keys_that_protect_refuse_by_name() {
    let cases = [
        ("sslQuorum=true", "sslQuorum"),
        ("ssl.clientAuth=need", "ssl.clientAuth"),
        ("sessionRequireClientSASLAuth=true", "sessionRequireClientSASLAuth"),
        ("enforce.auth.enabled=true\nenforce.auth.schemes=sasl", "enforce.auth.enabled"),
        (
            "quorum.auth.learnerRequireSasl=true\nquorum.auth.enableSasl=true",
            "quorum.auth.learnerRequireSasl",
        ),
    ];
    for (lines, name) in cases {
        let text = format!("{BASE}{lines}\nclientPort=2181\n");
        let error = run("zoo.cfg", &[("zoo.cfg", &text)]).expect_err(name);
        assert_eq!((error.key.as_deref(), error.exit_code, error.line), (Some(name), 2, Some(2)));
        assert_eq!(
            error.message,
            format!(
                "{name} protects this server, and Rookeeper cannot provide that protection yet"
            )
        );
    }
    let text = format!("{BASE}secureClientPort=2281\n");
    let error = run("zoo.cfg", &[("zoo.cfg", &text)]).expect_err("TLS only");
    assert_eq!(error.key.as_deref(), Some("secureClientPort"));
    let flags = "-Dzookeeper.sessionRequireClientSASLAuth=true zoo.cfg";
    let text = format!("{BASE}clientPort=2181\n");
    let error = run(flags, &[("zoo.cfg", &text)]).expect_err("by -D too");
    assert_eq!(error.key.as_deref(), Some("sessionRequireClientSASLAuth"));
}

#[test]
fn keys_that_only_add_warn() {
    let config = good(
        "dataDir=/d\nclientPort=2181\nsecureClientPort=2281\nssl.keyStore.location=/k\n\
         authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
         ssl.clientAuth=want\nadmin.serverPort=9000\ninitLimit=10\nsyncLimit=5\n",
    );
    assert_eq!(
        said(&config),
        [
            "not supported yet (security), accepted without effect: authProvider.1 (zoo.cfg:5), \
             secureClientPort (zoo.cfg:3), ssl.keyStore.location (zoo.cfg:4)",
            "not supported yet (admin), accepted without effect: admin.serverPort (zoo.cfg:7)",
        ]
    );
}

#[test]
fn jvm_settings_get_one_warning_together() {
    let text = "dataDir=/d\nclientPort=2181\nnio.numWorkerThreads=4\njvm.pause.monitor=true\n";
    let config = run("-Xmx1g -Dfile.encoding=UTF-8 zoo.cfg", &[("zoo.cfg", text)]).expect("good");
    assert_eq!(
        said(&config),
        ["accepted without effect, these tune a Java server: -Dfile.encoding, -Xmx1g, \
          jvm.pause.monitor (zoo.cfg:4), nio.numWorkerThreads (zoo.cfg:3)"]
    );
}

#[test]
fn properties_are_read_leniently_but_never_silently() {
    let config = good(
        "dataDir=/d\nclientPort=2181\nsnapCount=1\npreAllocSize=abc\ndigest.enabled=ja\n\
         forceSync=false\nglobalOutstandingLimit=0x10\nsnapshot.compression.method=zip\n\
         autopurge.snapRetainCount=1\ncommitLogCount=5\nsnapshotSizeFactor=2\n\
         largeRequestThreshold=0\nlargeRequestMaxBytes=0\njute.maxbuffer.extrasize=1\n\
         leader.maxConcurrentSnapSyncs=0\n",
    );
    assert_eq!(config.storage.snap_count, 2);
    assert_eq!(config.storage.pre_alloc_size_kb, 65536);
    assert!(!config.storage.digest_enabled, "not true is false, as in Java");
    assert!(config.storage.force_sync, "only no turns it off");
    assert_eq!(config.limits.global_outstanding_limit, 16);
    assert_eq!(config.limits.jute_max_buffer_extra_bytes, 1024);
    assert_eq!(config.quorum.leader_max_concurrent_snap_syncs, 1);
    assert_eq!(config.limits.large_requests.threshold_bytes, None);
    assert_eq!(config.limits.large_requests.max_bytes, 104_857_600);
    assert_eq!(config.storage.autopurge.snap_retain_count, 3);
    assert_eq!(config.quorum.commit_log_count, 500);
    assert!((config.quorum.snapshot_size_factor - 0.33).abs() < f64::EPSILON);
    let all = said(&config).join("\n");
    for text in [
        "SnapCount should be 2 or more. Now, snapCount is reset to 2",
        "preAllocSize=abc is not a number; using the default (65536)",
        "digest.enabled=ja is neither true nor false and counts as false",
        "forceSync=false is neither yes nor no; using the default (yes)",
        "snapshot.compression.method=zip is neither gz nor snappy",
        "zoo.cfg:9: Invalid autopurge.snapRetainCount: 1. Defaulting to 3",
        "commitLogCount 5 is less than 500",
        "leader.maxConcurrentSnapSyncs 0 is less than 1",
    ] {
        assert!(all.contains(text), "{text}:\n{all}");
    }
}

/// Every key of the table, wrong in a way of its kind: refused with place, key, value and remedy, or a
/// notice names the key and what holds instead. Never taken silently for something else. Keys without
/// an effect are named as such, whatever their value; those of hooks and clients without a word.
#[test]
fn no_key_of_any_kind_is_wrong_silently() {
    let mut seen = 0;
    let mut silent = Vec::new();
    for key in keys::all() {
        let wrong = match key.kind {
            Kind::Int | Kind::Long | Kind::Float | Kind::Bool | Kind::YesNo => ["wr0ng", "-", ""],
            _ => continue,
        };
        if key.action == Action::Silent {
            continue;
        }
        for value in wrong {
            // Nothing, where something would have no effect.
            if value.is_empty() && key.action != Action::Acts {
                continue;
            }
            let name = key.name.replace('*', if key.name.ends_with(".*") { "1" } else { ".1" });
            let (line, text) = match key.property() {
                Some(property) if key.place == keys::Place::Flag => {
                    (format!("-D{}={value} zoo.cfg", property.replace('*', ".1")), String::new())
                }
                _ => ("zoo.cfg".to_owned(), format!("{name}={value}\n")),
            };
            let text = format!("{BASE}{text}clientPort=2181\n");
            match run(&line, &[("zoo.cfg", &text)]) {
                Err(error) => {
                    assert_eq!(error.key.as_deref(), Some(name.as_str()), "{name}: {error}");
                    assert!(!error.remedy.is_empty(), "{name}: {error}");
                    assert!(line != "zoo.cfg" || error.line == Some(2), "{name}: {error}");
                    assert!(error.to_string().contains(&format!("{name}={value}")), "{error}");
                }
                Ok(config) => {
                    let all = said(&config).join("\n");
                    if !all.contains(&name) {
                        silent.push(format!("{name}={value:?}"));
                    }
                }
            }
            seen += 1;
        }
    }
    assert!(silent.is_empty(), "taken silently: {silent:#?}");
    assert!(200 < seen, "{seen}");
}

#[test]
fn secrets_are_not_shown() {
    let text = "dataDir=/d\nclientPort=1\nssl.keyStore.password=hush\n\
        DigestAuthenticationProvider.superDigest=super:hush\nssl.quorum.keyStore.password=hush\n";
    let config = good(text);
    assert!(!crate::config::explain::explain_text(&config).contains("hush"));
    assert!(!said(&config).join("\n").contains("hush"));
}

proptest! {
    #[test]
    fn arbitrary_files_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = run("zoo.cfg", &[("zoo.cfg", &text)]);
    }

    #[test]
    fn known_keys_with_arbitrary_values_never_panic(
        lines in proptest::collection::vec(
            (0..keys::all().len(), "(-?[0-9]{1,12}|true|no|[ -~]{0,20})"),
            0..8,
        ),
    ) {
        let mut text = String::from("dataDir=/d\n");
        for (at, value) in lines {
            let name = keys::all().get(at).map_or("", |key| key.name).replace('*', ".1");
            text.push_str(&format!("{name}={value}\n"));
        }
        if let Err(error) = run("zoo.cfg", &[("zoo.cfg", &text), ("/d/myid", "1")]) {
            prop_assert!(matches!(error.exit_code, 1..=3));
            prop_assert!(!error.message.is_empty());
        }
    }
}
