//! Files as tutorials, images and operators write them (tutorials.md, operations.md 7 and 9).

use std::path::Path;

use super::{good, run, said};
use crate::config::ensemble::{HostPort, Role};
use crate::config::explain::{self, ConfFacts};
use crate::config::shape::Mode;
use crate::config::{Origin, Severity};

#[test]
fn the_sample_file_of_the_tutorials() {
    let config = good(
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/tmp/zookeeper\nclientPort=2181\n\
         #maxClientCnxns=60\n#autopurge.snapRetainCount=3\n",
    );
    assert_eq!(said(&config), Vec::<&str>::new());
    assert_eq!(config.mode, Mode::Standalone);
    assert_eq!(config.client.client_port, Some(2181));
    assert!(config.client.client_port_addresses.is_empty(), "the wildcard of both families");
    assert_eq!(config.storage.data_log_dir, Path::new("/tmp/zookeeper"));
    assert_eq!(config.sessions.min_session_timeout_ms, 4000);
    assert_eq!(config.sessions.max_session_timeout_ms, 40000);
    assert_eq!(config.limits.max_client_cnxns, 60);
    assert_eq!(config.limits.jute_max_buffer_extra_bytes, 1_048_575);
    assert!(config.four_letter.allows("srvr") && !config.four_letter.allows("ruok"));
}

#[test]
fn the_sample_file_in_the_repository() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/zoo_sample.cfg");
    let config = good(&std::fs::read_to_string(path).expect("conf/zoo_sample.cfg"));
    assert_eq!(said(&config), Vec::<&str>::new());
    assert_eq!(config.client.client_port, Some(2181));
    assert_eq!(config.storage.data_dir, Path::new("/tmp/zookeeper"));
}

#[test]
fn the_tutorial_with_comments_behind_values() {
    let text = "tickTime=2000 \ndataDir=/usr/local/zookeeper37/zkdata\t\t#comment\n\
        dataLogDir=/usr/local/zookeeper37/zklogs\t#comment\nclientPort=2181 # comment\n\
        server.4=172.16.253.54:2004:3004:observer\n";
    let error = run("zoo.cfg", &[("zoo.cfg", text)]).expect_err("a comment in a path");
    assert_eq!((error.key.as_deref(), error.line, error.exit_code), (Some("dataDir"), Some(2), 2));
    assert_eq!(
        error.remedy,
        "write dataDir=/usr/local/zookeeper37/zkdata and move the comment to its own line"
    );
    // With the paths mended the port is understood.
    let mended = "tickTime=2000 \ndataDir=/zkdata\nclientPort=2181 # comment\n";
    let config = good(mended);
    assert_eq!(config.client.client_port, Some(2181));
    assert_eq!(config.notices.len(), 1);
}

#[test]
fn the_tutorial_clusters() {
    let base = "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/d\nclientPort=2181\n";
    let servers = "server.1=localhost:2887:3887\nserver.2=localhost:2888:3888\n\
        server.3=localhost:2889:3889\n";
    let text = format!("{base}{servers}");
    let config = run("zoo1.cfg", &[("zoo1.cfg", &text), ("/d/myid", "1\n")]).expect("good");
    assert_eq!(config.mode, Mode::Quorum { my_id: 1, role: Role::Participant });
    assert_eq!(config.ensemble.participants().count(), 3);

    let text = format!(
        "{base}{servers}peerType = observer\nserver.4=192.168.190.104:2888:3881:observer\n"
    );
    let config = run("zoo4.cfg", &[("zoo4.cfg", &text), ("/d/myid", "4\n")]).expect("good");
    assert_eq!(config.mode, Mode::Quorum { my_id: 4, role: Role::Observer });
    assert_eq!(
        config.ensemble.lines(),
        "server.1=localhost:2887:3887:participant\nserver.2=localhost:2888:3888:participant\n\
         server.3=localhost:2889:3889:participant\n\
         server.4=192.168.190.104:2888:3881:observer\nversion=0"
    );
}

#[test]
fn the_docker_image_alone() {
    let text = "dataDir=/data\ndataLogDir=/datalog\ntickTime=2000\ninitLimit=5\nsyncLimit=2\n\
        autopurge.snapRetainCount=3\nautopurge.purgeInterval=0\nmaxClientCnxns=60\n\
        standaloneEnabled=true\nadmin.enableServer=true\nserver.1=localhost:2888:3888;2181\n";
    for files in [vec![("/data/myid", "1\n")], vec![]] {
        let mut all = vec![("/conf/zoo.cfg", text)];
        all.extend(files);
        let config = run("/conf/zoo.cfg", &all).expect("good");
        assert_eq!(config.mode, Mode::Standalone);
        assert_eq!(config.client.client_port, Some(2181));
        assert!(config.storage.autopurge.interval_is_explicit);
        let one = "Invalid configuration, only one server specified (ignoring)";
        assert_eq!(said(&config), [one]);
        assert_eq!(config.notices.first().map(|notice| notice.severity), Some(Severity::Error));
    }
}

#[test]
fn the_docker_image_in_an_ensemble() {
    let text = "dataDir=/data\ndataLogDir=/datalog\ntickTime=2000\ninitLimit=5\nsyncLimit=2\n\
        admin.enableServer=false\nserver.1=zoo1:2888:3888;2181\nserver.2=zoo2:2888:3888;2181\n\
        server.3=zoo3:2888:3888;10.0.0.3:2182\n4lw.commands.whitelist=*\n";
    let files = [("zoo.cfg", text), ("/data/myid", "3")];
    let config = run("zoo.cfg", &files).expect("good");
    assert_eq!(config.mode, Mode::Quorum { my_id: 3, role: Role::Participant });
    assert_eq!(config.client.client_port, Some(2182));
    assert_eq!(config.client.client_port_addresses, ["10.0.0.3"]);
    assert!(config.four_letter.allows("dump"));

    let clash = format!("{text}clientPort=2181\n");
    let error = run("zoo.cfg", &[("zoo.cfg", &clash), ("/data/myid", "3")]).expect_err("differ");
    assert_eq!(
        error.message,
        "client address for this server (id = 3) in static config file is 0.0.0.0:2181 is \
         different from client address found in dynamic file: 10.0.0.3:2182"
    );
}

#[test]
fn the_bitnami_image() {
    let text = "# The number of milliseconds of each tick\ntickTime=2000\ninitLimit=10\n\
        syncLimit=5\ndataDir=/bitnami/zookeeper/data\nclientPort=2181\nmaxClientCnxns=60\n\
        autopurge.snapRetainCount=3\nautopurge.purgeInterval=0\nmaxCnxns=0\n\
        reconfigEnabled=false\nquorumListenOnAllIPs=false\n4lw.commands.whitelist=srvr, mntr\n\
        maxSessionTimeout=40000\nadmin.serverPort=8080\nadmin.enableServer=false\n\
        admin.serverAddress=127.0.0.1\npreAllocSize=65536\nsnapCount=100000\n\
        server.1=0.0.0.0:2888:3888;2181\n";
    let line = "-Dzookeeper.electionPortBindRetry=0 -Dzookeeper.fips-mode=true zoo.cfg";
    let config = run(line, &[("zoo.cfg", text), ("/bitnami/zookeeper/data/myid", "1")]);
    let config = config.expect("good");
    assert_eq!(config.mode, Mode::Standalone);
    assert_eq!(config.quorum.election_port_bind_retry, 0);
    assert!(config.four_letter.allows("mntr") && !config.four_letter.allows("ruok"));
    assert_eq!(said(&config).len(), 1, "only the single server line: {:?}", said(&config));
}

#[test]
fn the_pravega_operator() {
    let text = "4lw.commands.whitelist=cons, envi, conf, crst, srvr, stat, mntr, ruok\n\
        dataDir=/data\nstandaloneEnabled=false\nreconfigEnabled=true\nskipACL=yes\n\
        metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n\
        metricsProvider.httpPort=7000\nmetricsProvider.exportJvmInfo=true\ninitLimit=10\n\
        syncLimit=2\ntickTime=2000\nglobalOutstandingLimit=1000\npreAllocSize=65536\n\
        snapCount=10000\ncommitLogCount=500\nsnapSizeLimitInKb=4194304\nmaxCnxns=0\n\
        maxClientCnxns=60\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n\
        autopurge.snapRetainCount=3\nautopurge.purgeInterval=1\nquorumListenOnAllIPs=false\n\
        admin.serverPort=8080\ndynamicConfigFile=/data/zoo.cfg.dynamic.100000000\n";
    let dynamic = "server.1=zk-0.zk-headless:2888:3888:participant;2181\n";
    let files = [
        ("/data/conf/zoo.cfg", text),
        ("/data/zoo.cfg.dynamic.100000000", dynamic),
        ("/data/myid", "1"),
        (
            "/data/conf/zoo.cfg.dynamic.next",
            "server.1=zk-0.zk-headless:2888:3888:participant;2181\n\
             server.2=zk-1.zk-headless:2888:3888:observer;2181\nversion=200000003\n",
        ),
    ];
    let config = run("/data/conf/zoo.cfg", &files).expect("good");
    assert_eq!(config.mode, Mode::Quorum { my_id: 1, role: Role::Participant });
    assert_eq!(config.ensemble.version, 0x1_0000_0000);
    let next = config.next_ensemble.as_ref().expect("a proposed membership");
    assert_eq!((next.version, next.members.len()), (0x2_0000_0003, 2));
    assert_eq!(config.client.client_port, Some(2181));
    assert!(config.auth.skip_acl);
    let own = config.ensemble.members.get(&1).and_then(|member| member.client.clone());
    assert_eq!(own, Some(HostPort { host: "0.0.0.0".to_owned(), port: 2181 }));
}

#[test]
fn a_dynamic_file_holds_only_the_membership() {
    let refused = |fixed: &str, dynamic: &str| {
        let text = format!("dataDir=/d\n{fixed}dynamicConfigFile=/d/zoo.dynamic\n");
        let error = run("zoo.cfg", &[("zoo.cfg", &text), ("/d/zoo.dynamic", dynamic)])
            .expect_err("refused");
        (error.message.clone(), error.line)
    };
    assert_eq!(
        refused("", "server.1=a:1:2\nversion=1"),
        ("dynamic file shouldn't have version inside".to_owned(), Some(2))
    );
    assert_eq!(
        refused("", "server.1=a:1:2\nfoo=1"),
        ("Unrecognised parameter: foo".to_owned(), Some(2))
    );
    assert_eq!(
        refused("server.1=a:1:2\n", "server.1=a:1:2"),
        ("parameter: server.1 must be in a separate dynamic config file".to_owned(), Some(2))
    );
}

#[test]
fn without_arguments_it_serves_this_machine_only() {
    let config = run("", &[]).expect("good");
    assert_eq!(config.client.client_port, Some(2181));
    assert_eq!(config.client.client_port_addresses, ["127.0.0.1", "::1"]);
    assert_eq!(config.storage.data_dir, Path::new("./rookeeper-data"));
    assert!(!config.admin.enabled);
    assert!(said(&config).iter().any(|text| text.contains("to open it to the network")));
    assert!(config.notices.iter().all(|notice| notice.severity == Severity::Info));
}

#[test]
fn port_and_directory_as_apaches_short_form() {
    let config = run("2441 /d", &[]).expect("good");
    assert_eq!(config.client.client_port, Some(2441));
    assert!(config.client.client_port_addresses.is_empty());
    assert_eq!(config.limits.max_client_cnxns, 0, "unlimited in this form");
    assert_eq!(config.sessions.tick_time_ms, 3000);
    let config = run("2441 /d 100 7", &[]).expect("good");
    assert_eq!((config.sessions.tick_time_ms, config.limits.max_client_cnxns), (100, 7));
}

#[test]
fn flags_that_only_flags_can_set() {
    let line = "-Djute.maxbuffer=0x400000 -Dznode.container.checkIntervalMs=500 \
        -Dreadonlymode.enabled=true -Dzookeeper.extendedTypesEnabled=true zoo.cfg";
    let config = run(line, &[("zoo.cfg", "dataDir=/d\nclientPort=1\n")]).expect("good");
    assert_eq!(config.limits.jute_max_buffer_bytes, 4 << 20);
    assert_eq!(config.limits.jute_max_buffer_extra_bytes, 4 << 20);
    assert_eq!(config.storage.container_check_interval_ms, 500);
    assert!(config.quorum.read_only_mode_enabled && config.four_letter.allows("isro"));
    assert!(config.storage.extended_types_enabled);
}

/// Apache 3.9.5 itself looks at the property only, so that the documented line in the file is refused.
#[test]
fn several_addresses_by_file_and_by_flag() {
    let base = "dataDir=/d\nclientPort=1\ninitLimit=5\nsyncLimit=2\n\
        server.1=a:1:2|b:1:2\nserver.2=c:1:2\n";
    let with = |line: &str, more: &str| {
        let text = format!("{base}{more}");
        run(line, &[("zoo.cfg", &text), ("/d/myid", "1")])
    };
    for config in [
        with("zoo.cfg", "multiAddress.enabled=true\n"),
        with("-Dzookeeper.multiAddress.enabled=true zoo.cfg", ""),
    ] {
        let ensemble = config.expect("good").ensemble;
        assert_eq!(ensemble.members.get(&1).map(|member| member.addresses.len()), Some(2));
    }
    assert!(with("zoo.cfg", "").is_err());
}

#[test]
fn a_relative_directory_draws_apaches_remark() {
    let config = good("dataDir=data\nclientPort=1\n");
    let text = "zoo.cfg:1: data is relative. Prepend ./ to indicate that you're sure!";
    assert_eq!(said(&config), [text]);
    assert_eq!(said(&good("dataDir=./data\nclientPort=1\n")), Vec::<&str>::new());
}

#[test]
fn a_server_without_a_port_says_so() {
    assert_eq!(
        said(&good("dataDir=/d\n")),
        ["clientPort is not set: no client can connect; add clientPort=2181"]
    );
}

#[test]
fn every_value_knows_where_it_came_from() {
    let text = "dataDir=/d\nclientPort=2181\nsnapCount=7\n";
    let config = run("-Dzookeeper.snapCount=9 -Djute.maxbuffer=4096 zoo.cfg", &[("zoo.cfg", text)])
        .expect("good");
    let rows = explain::explain(&config);
    let row = |name: &str| {
        let row = rows.iter().find(|row| row.name == name).expect(name);
        (row.value.clone(), row.origin.clone())
    };
    let line = |line| Origin::File { path: "zoo.cfg".into(), line };
    assert_eq!(row("snapCount"), ("7".to_owned(), line(3)));
    assert_eq!(row("-Djute.maxbuffer"), ("4096".to_owned(), Origin::Flag));
    assert_eq!(row("jute.maxbuffer.extrasize"), ("4096".to_owned(), Origin::Default));
    assert_eq!(row("tickTime"), ("3000".to_owned(), Origin::Default));
    assert_eq!(row("minSessionTimeout"), ("6000".to_owned(), Origin::Default));
    assert_eq!(row("dataLogDir"), ("/d".to_owned(), Origin::Default));
    assert!(explain::explain_text(&config).contains("snapCount=7  (zoo.cfg:3)\n"));
}

#[test]
fn conf_has_apaches_lines() {
    let config = good("tickTime=2000\ndataDir=/srv/data\nclientPort=2402\n");
    let dir = Path::new("/srv/data/version-2");
    let facts = ConfFacts {
        client_port: 2402,
        secure_client_port: -1,
        snap_dir: dir,
        snap_dir_bytes: 67_110_186,
        log_dir: dir,
        log_dir_bytes: 67_110_186,
        server_id: 0,
    };
    assert_eq!(
        explain::conf_lines(&config, facts),
        "clientPort=2402\nsecureClientPort=-1\ndataDir=/srv/data/version-2\n\
         dataDirSize=67110186\ndataLogDir=/srv/data/version-2\ndataLogSize=67110186\n\
         tickTime=2000\nmaxClientCnxns=60\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n\
         clientPortListenBacklog=-1\nserverId=0\n"
    );
}
