//! The stories that tutorials and operators tell of several servers, with real processes: who leads,
//! what each says of itself, what happens when some are gone, and what a wrong start gets.
//!
//! `ROOKEEPER_STORIES` names the flavour under test (`rookeeper`, `apache395`, `apache380`): the
//! stories in which no text of ours is expected hold for Apache as well.
//! Source: `tutorials.md` "Clusters", `operations.md` 1.2 to 1.5, 2.2, 2.3 and 9.6.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rookeeper_interop::client::Client;
use rookeeper_interop::raw::Reader;
use rookeeper_interop::raw::codes::op;
use rookeeper_interop::{
    Ensemble, Flavour, HarnessError, Member, Server, ServerConfig, fourletter,
};

const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
/// How long servers that must not serve are watched.
const WATCHED: Duration = Duration::from_secs(2);
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";
const EPHEMERAL: i32 = 1;

fn flavour() -> Flavour {
    Flavour::from_env("ROOKEEPER_STORIES", Flavour::Rookeeper).expect("a flavour")
}

/// `voters` participants, then `observers` observers; none is started.
fn prepared(voters: usize, observers: usize, config: &ServerConfig) -> Vec<Server> {
    let member = |observer| Member { flavour: flavour(), observer };
    let mut members = vec![member(false); voters];
    members.extend(vec![member(true); observers]);
    Ensemble::prepare(&members, config).expect("folders and ports").servers
}

fn start(servers: &mut [Server], which: &[usize]) {
    for &at in which {
        servers[at].launch().expect("a process");
    }
    for &at in which {
        servers[at].wait_until_serving().expect("it serves");
    }
}

fn ask(server: &Server, word: &str) -> String {
    fourletter::ask(server.addr(), word).unwrap_or_else(|error| panic!("{word}: {error}"))
}

fn modes(servers: &[Server]) -> Vec<String> {
    servers.iter().map(|server| server.mode().unwrap_or_default()).collect()
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(POLL);
    }
}

/// Answers, and says that it does not serve.
fn is_up_without_a_leader(server: &Server) -> bool {
    fourletter::ask(server.addr(), "srvr").is_ok_and(|text| text == NOT_SERVING)
}

/// These are up, and none of them serves for as long as is watched.
fn assert_nobody_serves(servers: &[&Server]) {
    eventually("every server answers", || servers.iter().all(|s| is_up_without_a_leader(s)));
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        for server in servers {
            assert_eq!(ask(server, "srvr"), NOT_SERVING);
        }
        std::thread::sleep(POLL);
    }
}

fn exit_of(server: &mut Server) -> (String, String) {
    match server.wait_until_serving() {
        Err(HarnessError::Exited { status, tail, .. }) => (status, tail),
        other => panic!("it should have ended: {other:?}"),
    }
}

/// Replaces lines of a server's zoo.cfg.
fn edit(server: &Server, change: impl Fn(&str) -> String) {
    let path = server.zoo_cfg();
    let text = std::fs::read_to_string(&path).expect("zoo.cfg");
    std::fs::write(&path, change(&text)).expect("zoo.cfg");
}

#[test]
fn three_servers_in_order_give_leader_2_and_each_tells_its_role() {
    let mut servers = prepared(3, 0, &ServerConfig::new());
    servers[0].launch().expect("a process");
    assert_nobody_serves(&[&servers[0]]);
    for word in
        ["stat", "conf", "cons", "crst", "srst", "dump", "mntr", "wchs", "wchc", "wchp", "dirs"]
    {
        assert_eq!(ask(&servers[0], word), NOT_SERVING, "{word}");
    }
    assert_eq!(ask(&servers[0], "hash"), NOT_SERVING.trim_end(), "hash");
    assert_eq!(ask(&servers[0], "isro"), "null");
    assert_eq!(ask(&servers[0], "ruok"), "imok");
    assert_eq!(ask(&servers[0], "gtmk"), "306");
    assert!(ask(&servers[0], "envi").starts_with("Environment:\nzookeeper.version="));

    start(&mut servers, &[1]);
    start(&mut servers, &[2]);
    eventually("all three serve", || modes(&servers) == ["follower", "leader", "follower"]);
    for (at, server) in servers.iter().enumerate() {
        assert_eq!(ask(server, "isro"), "rw");
        let is_leader = at == 1;
        let srvr = ask(server, "srvr");
        assert_eq!(srvr.contains("\nProposal sizes last/min/max: -1/-1/-1\n"), is_leader, "{srvr}");
        assert!(srvr.contains("\nNode count: 5\n"), "{srvr}");
        let conf = ask(server, "conf");
        let id = at + 1;
        let expected =
            format!("\nserverId={id}\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=");
        assert!(conf.contains(&expected), "{conf}");
        assert!(conf.contains("\npeerType=0\nmembership: \nserver.1=127.0.0.1:"), "{conf}");
        assert!(conf.ends_with(":participant\nversion=0"), "{conf:?}");
    }

    let mut client = Client::connect(servers[0].addr(), 10_000).expect("a session");
    assert_eq!(
        client.create("/firstNode", "server1创建的".as_bytes(), 0).expect("a reply").error,
        0
    );
    assert_eq!(client.create("/gone", b"", EPHEMERAL).expect("a reply").error, 0);
    for server in &servers {
        let mut reader = Client::connect(server.addr(), 10_000).expect("a session");
        reader.sync().expect("a sync");
        let data = reader.get("/firstNode", false).expect("data");
        assert_eq!(data.as_deref(), Some("server1创建的".as_bytes()));
        reader.close().expect("closed");
    }
    let session = format!("0x{:x}", client.session().session);
    // The sessions of the readers were closed at other members.
    let mut dump = String::new();
    eventually("its session alone is left", || {
        dump = ask(&servers[0], "dump");
        dump.starts_with("SessionTracker dump:\nGlobal Sessions(1):\n")
    });
    assert!(dump.contains(&format!("\n{session}\t10000ms\n")), "{dump}");
    assert!(
        dump.contains(&format!("Sessions with Ephemerals (1):\n{session}:\n\t/gone\n")),
        "{dump}"
    );
    let dump = ask(&servers[1], "dump");
    assert!(dump.contains("SessionTracker dump:\nSession Sets ("), "{dump}");
    client.close().expect("closed");

    let mntr = ask(&servers[1], "mntr");
    let has = |line: &str| assert!(mntr.contains(&format!("\n{line}\n")), "{line}:\n{mntr}");
    has("zk_server_state\tleader");
    has("zk_peer_state\tleading - broadcast");
    has("zk_quorum_size\t3");
    has("zk_learners\t2");
    has("zk_synced_followers\t2");
    has("zk_synced_observers\t0");
    has("zk_pending_syncs\t0");
    has("zk_looking_count\t1");
    let mntr = ask(&servers[0], "mntr");
    assert!(mntr.contains("\nzk_server_state\tfollower\nzk_peer_state\tfollowing - broadcast\n"));
    assert!(!mntr.contains("zk_synced_followers"), "{mntr}");

    assert!(!ask(&servers[1], "srvr").contains("Proposal sizes last/min/max: -1"));
    assert_eq!(ask(&servers[1], "srst"), "Server stats reset.\n");
    assert!(ask(&servers[1], "srvr").contains("\nProposal sizes last/min/max: -1/-1/-1\n"));
}

#[test]
fn five_servers_in_order_give_leader_3_and_two_of_five_nothing() {
    let mut servers = prepared(5, 0, &ServerConfig::new());
    servers[0].launch().expect("a process");
    assert_nobody_serves(&[&servers[0]]);
    servers[1].launch().expect("a process");
    assert_nobody_serves(&[&servers[0], &servers[1]]);
    start(&mut servers, &[2]);
    let three = ["follower", "follower", "leader", "", ""];
    eventually("server 3 leads", || modes(&servers) == three);
    start(&mut servers, &[3]);
    start(&mut servers, &[4]);
    let five = ["follower", "follower", "leader", "follower", "follower"];
    eventually("server 3 leads all", || modes(&servers) == five);
    for at in [0, 1, 3] {
        servers[at].kill();
    }
    assert_nobody_serves(&[&servers[2], &servers[4]]);
}

#[test]
fn an_observer_serves_and_never_counts() {
    let mut servers = prepared(3, 1, &ServerConfig::new());
    start(&mut servers, &[0, 1, 2, 3]);
    eventually("it observes", || servers[3].mode().as_deref() == Some("observer"));
    assert!(ask(&servers[3], "conf").contains("\npeerType=1\nmembership: \n"));
    let is_leader = |server: &Server| server.mode().as_deref() == Some("leader");
    let mut leader = 0;
    eventually("one leads", || {
        leader = servers.iter().position(is_leader).map_or(0, |at| at + 1);
        leader > 0
    });
    let mntr = ask(&servers[3], "mntr");
    let head = format!("\nzk_peer_state\tobserving - broadcast\nzk_observer_master_id\t{leader}\n");
    assert!(mntr.contains(&head), "{mntr}");
    let mntr = ask(&servers[leader - 1], "mntr");
    assert!(mntr.contains("\nzk_synced_observers\t1\n"), "{mntr}");
    assert!(mntr.contains("\nzk_quorum_size\t3\n"), "{mntr}");

    let mut client = Client::connect(servers[3].addr(), 10_000).expect("a session");
    assert_eq!(client.create("/by-observer", b"1", 0).expect("a reply").error, 0);
    for server in &servers {
        let mut reader = Client::connect(server.addr(), 10_000).expect("a session");
        reader.sync().expect("a sync");
        assert!(reader.exists("/by-observer", false).expect("an answer"));
        reader.close().expect("closed");
    }
    client.close().expect("closed");

    // Two of the three voters go: observer and voter together are no majority.
    servers[0].kill();
    servers[1].kill();
    assert_nobody_serves(&[&servers[2], &servers[3]]);
    start(&mut servers, &[0]);
    eventually("the observer is back", || servers[3].mode().as_deref() == Some("observer"));
}

/// `operations.md` 9.6: the transcript's second half.
#[test]
fn a_quorum_is_lost_and_regained() {
    let mut servers = prepared(3, 1, &ServerConfig::new());
    start(&mut servers, &[0, 1]);
    start(&mut servers, &[2]);
    start(&mut servers, &[3]);
    let four = ["follower", "leader", "follower", "observer"];
    eventually("all four serve", || modes(&servers) == four);
    let mut client = Client::connect(servers[1].addr(), 10_000).expect("a session");
    assert_eq!(client.create("/x", b"v", 0).expect("a reply").error, 0);
    assert_eq!(client.last_zxid(), 0x1_0000_0002);
    for at in [0, 2] {
        let status = servers[at].stop().expect("it ends");
        assert!(flavour() != Flavour::Rookeeper || status.success(), "{status}");
    }
    assert_nobody_serves(&[&servers[1], &servers[3]]);
    assert!(client.get("/x", false).is_err(), "its server let it go");
    start(&mut servers, &[0]);
    eventually("the quorum is back", || modes(&servers) == ["follower", "leader", "", "observer"]);
    let mut client = Client::connect(servers[3].addr(), 10_000).expect("a session");
    client.sync().expect("a sync");
    assert_eq!(client.get("/x", false).expect("data").as_deref(), Some(&b"v"[..]));
    client.close().expect("closed");
    for name in ["acceptedEpoch", "currentEpoch"] {
        let file = servers[0].data_dir().join("version-2").join(name);
        assert_eq!(std::fs::read_to_string(file).expect("an epoch"), "2", "{name}");
    }
}

/// `oraclePath`: of two servers one may be told to go on alone, and the other not.
#[test]
fn one_of_two_goes_on_by_the_oracles_grace() {
    let mut servers = prepared(2, 0, &ServerConfig::new());
    let file = |server: &Server| server.home().join("oracle");
    let says = |server: &Server, text: &str| std::fs::write(file(server), text).expect("a file");
    for (server, text) in servers.iter().zip(["0", "1"]) {
        edit(server, |zoo| format!("{zoo}\noraclePath={}\n", file(server).display()));
        says(server, text);
    }
    servers[0].launch().expect("a process");
    assert_nobody_serves(&[&servers[0]]);
    start(&mut servers, &[1]);
    eventually("both serve", || modes(&servers) == ["follower", "leader"]);
    let mut client = Client::connect(servers[1].addr(), 10_000).expect("a session");
    assert_eq!(client.create("/both", b"", 0).expect("a reply").error, 0);

    // What is under way when the follower goes is committed by the leader alone.
    servers[0].kill();
    assert_eq!(client.create("/alone", b"", 0).expect("a reply").error, 0);
    eventually("it leads on", || modes(&servers) == ["", "leader"]);
    says(&servers[1], "0");
    eventually("it no longer leads", || is_up_without_a_leader(&servers[1]));
    assert!(client.ping().is_err(), "its server let it go");

    start(&mut servers, &[0]);
    eventually("both serve", || modes(&servers) == ["follower", "leader"]);
    let mut client = Client::connect(servers[0].addr(), 10_000).expect("a session");
    client.sync().expect("a sync");
    servers[1].kill();
    assert_nobody_serves(&[&servers[0]]);
    says(&servers[0], "1");
    eventually("it leads alone", || modes(&servers) == ["leader", ""]);
    let mut client = Client::connect(servers[0].addr(), 10_000).expect("a session");
    for path in ["/both", "/alone"] {
        assert!(client.exists(path, false).expect("an answer"), "{path}");
    }
    assert_eq!(client.create("/again", b"", 0).expect("a reply").error, 0);
    client.close().expect("closed");
}

/// `tcpKeepAlive`, as the kernel shows it: a connection with nothing to send has its keepalive timer on.
#[test]
fn election_connections_are_kept_alive() {
    let config = ServerConfig::new().property("zookeeper.tcpKeepAlive", "true");
    let mut servers = prepared(3, 0, &config);
    start(&mut servers, &[0, 1, 2]);
    let text = std::fs::read_to_string(servers[0].zoo_cfg()).expect("zoo.cfg");
    let members = text.lines().filter(|line| line.starts_with("server."));
    let ports: Vec<u16> = members
        .map(|line| line.split(':').nth(2).and_then(|port| port.parse().ok()).expect("a port"))
        .collect();
    let timers = || {
        let mut all = Vec::new();
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let table = std::fs::read_to_string(table).unwrap_or_default();
            for row in table.lines().skip(1) {
                let fields: Vec<&str> = row.split_whitespace().collect();
                let port = |address: &str| {
                    let port = address.rsplit(':').next().unwrap_or_default();
                    u16::from_str_radix(port, 16).unwrap_or(0)
                };
                let is_election =
                    ports.contains(&port(fields[1])) || ports.contains(&port(fields[2]));
                // State 01 is an established connection, timer 02 the keepalive.
                if is_election && fields[3] == "01" {
                    all.push(fields[5].starts_with("02:"));
                }
            }
        }
        all
    };
    // Three connections with two ends each; one may be busy.
    eventually("all are kept alive", || {
        let timers = timers();
        6 <= timers.len() && timers.iter().all(|&is_kept| is_kept)
    });
}

#[test]
fn a_client_with_a_list_survives_the_loss_of_its_server() {
    let mut servers = prepared(3, 0, &ServerConfig::new());
    start(&mut servers, &[0, 1, 2]);
    for at in 0..3 {
        let mut client = Client::connect(servers[at].addr(), 30_000).expect("a session");
        let path = format!("/mine-{at}");
        assert_eq!(client.create(&path, b"", EPHEMERAL).expect("a reply").error, 0);
        servers[at].kill();
        let next = (at + 1) % 3;
        let mut client =
            client.move_to(servers[next].addr()).expect("a server").expect("a session");
        client.sync().expect("a sync");
        assert!(client.exists(&path, false).expect("an answer"), "{path} is alive");
        assert_eq!(client.delete(&path, -1).expect("a reply").error, 0);
        client.close().expect("closed");
        start(&mut servers, &[at]);
    }
}

#[test]
fn a_session_moves_and_the_old_connection_no_longer_speaks_for_it() {
    let mut servers = prepared(3, 0, &ServerConfig::new());
    start(&mut servers, &[0, 1, 2]);
    for (from, to) in [(0, 1), (1, 2), (2, 0), (1, 0)] {
        let mut old = Client::connect(servers[from].addr(), 30_000).expect("a session");
        let mut new = old.move_to(servers[to].addr()).expect("a server").expect("a session");
        let path = format!("/moved-{from}-{to}");
        assert_eq!(new.create(&path, b"new", EPHEMERAL).expect("a reply").error, 0);
        let late = old.set(&path, b"old", -1);
        assert!(late.is_err(), "{from} to {to}: the old connection still writes: {late:?}");
        assert_eq!(new.get(&path, false).expect("data").as_deref(), Some(&b"new"[..]));
        new.close().expect("closed");
    }
}

#[test]
fn a_name_that_does_not_resolve_yet_is_no_harm_to_the_others() {
    let mut servers = prepared(3, 0, &ServerConfig::new());
    for server in &servers[..2] {
        edit(server, |text| text.replace("server.3=127.0.0.1:", "server.3=no-such-host.invalid:"));
    }
    start(&mut servers, &[0, 1]);
    eventually("both serve", || modes(&servers)[..2] == ["follower", "leader"]);
    let mut client = Client::connect(servers[0].addr(), 10_000).expect("a session");
    assert_eq!(client.create("/x", b"", 0).expect("a reply").error, 0);
    client.close().expect("closed");
}

#[test]
fn a_number_that_is_not_in_the_list_is_refused() {
    let mut servers = prepared(3, 0, &ServerConfig::new());
    std::fs::write(servers[0].data_dir().join("myid"), "9\n").expect("myid");
    servers[0].launch().expect("a process");
    let (status, log) = exit_of(&mut servers[0]);
    assert_eq!(status, "exit status: 1");
    assert!(log.contains("My id 9 not in the peer list"), "{log}");
}

#[test]
fn an_election_port_that_stays_taken_ends_the_server_with_14() {
    let config = ServerConfig::new().set("electionPortBindRetry", 1);
    let mut servers = prepared(3, 0, &config);
    let text = std::fs::read_to_string(servers[0].zoo_cfg()).expect("zoo.cfg");
    let own = text.lines().find(|line| line.starts_with("server.1=")).expect("its line");
    let port: u16 = own.split(':').nth(2).and_then(|port| port.parse().ok()).expect("a port");
    let taken = TcpListener::bind(("127.0.0.1", port)).expect("the port");
    servers[0].launch().expect("a process");
    let (status, _) = exit_of(&mut servers[0]);
    assert_eq!(status, "exit status: 14");
    drop(taken);
    start(&mut servers, &[0, 1]);
}

#[test]
fn a_second_server_with_the_same_number_does_no_harm() {
    let mut servers = prepared(3, 0, &ServerConfig::new());
    start(&mut servers, &[0, 1]);
    // Server 3 believes to be server 1, at the ports of server 3.
    std::fs::write(servers[2].data_dir().join("myid"), "1").expect("myid");
    edit(&servers[2], |text| {
        let swapped = text.replace("server.1=", "server.x=").replace("server.3=", "server.1=");
        swapped.replace("server.x=", "server.3=")
    });
    servers[2].launch().expect("a process");
    let mut client = Client::connect(servers[1].addr(), 30_000).expect("a session");
    assert_eq!(client.create("/x", b"", 0).expect("a reply").error, 0);
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        assert_eq!(client.set("/x", b"1", -1).expect("a reply").error, 0);
    }
    client.close().expect("closed");
}

#[test]
fn members_in_a_dynamic_file_with_client_ports() {
    let mut servers = prepared(3, 0, &ServerConfig::new());
    let ports: Vec<u16> = servers.iter().map(|server| server.addr().port()).collect();
    for server in &servers {
        let dynamic = server.home().join("zoo.cfg.dynamic");
        let text = std::fs::read_to_string(server.zoo_cfg()).expect("zoo.cfg");
        let is_member = |line: &&str| line.starts_with("server.");
        let members: Vec<String> = text
            .lines()
            .filter(is_member)
            .zip(&ports)
            .map(|(line, port)| format!("{line};127.0.0.1:{port}"))
            .collect();
        std::fs::write(&dynamic, members.join("\n")).expect("the dynamic file");
        edit(server, |text| {
            let kept = text.lines().filter(|l| !is_member(l) && !l.starts_with("clientPort"));
            let kept: Vec<&str> = kept.collect();
            format!("{}\ndynamicConfigFile={}\n", kept.join("\n"), dynamic.display())
        });
    }
    start(&mut servers, &[0, 1, 2]);
    let conf = ask(&servers[0], "conf");
    assert!(conf.contains(&format!(":participant;127.0.0.1:{}\n", ports[2])), "{conf}");
    assert!(conf.ends_with("\nversion=0"), "{conf}");
}

fn reconfig(client: &mut Client, joining: Option<&str>, leaving: Option<&str>) -> (i32, String) {
    let reply = client
        .call(op::RECONFIG, |frame| frame.opt_str(joining).opt_str(leaving).opt_str(None).long(-1))
        .expect("a reply");
    let text = match reply.error {
        0 => Reader::new(&reply.body).buffer().expect("data").unwrap_or_default().to_vec(),
        _ => Vec::new(),
    };
    (reply.error, String::from_utf8(text).expect("text"))
}

#[test]
fn members_change_while_the_ensemble_works() {
    let config =
        ServerConfig::new().set("reconfigEnabled", true).property("zookeeper.skipACL", "yes");
    let mut servers = prepared(4, 0, &config);
    let text = std::fs::read_to_string(servers[3].zoo_cfg()).expect("zoo.cfg");
    let line =
        text.lines().find(|line| line.starts_with("server.4=")).expect("its line").to_owned();
    let without_4 = |text: &str| {
        let kept: Vec<&str> = text.lines().filter(|l| !l.starts_with("server.4=")).collect();
        kept.join("\n") + "\n"
    };
    for server in &servers[..3] {
        edit(server, without_4);
    }
    start(&mut servers, &[0, 1, 2]);
    let has = |server: &Server, name: &str| server.home().join(name).exists();
    for server in &servers[..3] {
        eventually("the first version is in force", || {
            ask(server, "conf").ends_with("\nversion=100000000")
                && has(server, "zoo.cfg.dynamic.100000000")
        });
        assert!(has(server, "zoo.cfg.bak"));
        let text = std::fs::read_to_string(server.zoo_cfg()).expect("zoo.cfg");
        assert!(text.contains("\ndynamicConfigFile=/") && !text.contains("server.1="), "{text}");
    }

    servers[3].launch().expect("a process");
    let mut client = Client::connect(servers[0].addr(), 30_000).expect("a session");
    assert_eq!(reconfig(&mut client, Some("some thing"), None).0, -8);
    assert_eq!(reconfig(&mut client, None, Some("2,3")).0, -8);
    let joining = format!("{line};127.0.0.1:{}", servers[3].addr().port());
    let (error, members) = reconfig(&mut client, Some(&joining), None);
    assert_eq!(error, 0, "{members}");
    assert!(members.contains(&joining), "{members}");
    let version = members.rsplit_once("version=").expect("a version").1.to_owned();
    servers[3].wait_until_serving().expect("it joins");
    eventually("every member knows", || {
        servers.iter().all(|server| {
            ask(server, "conf").ends_with(&format!("\nversion={version}"))
                && has(server, &format!("zoo.cfg.dynamic.{version}"))
                && !has(server, "zoo.cfg.dynamic.next")
        })
    });

    let (error, members) = reconfig(&mut client, None, Some("4"));
    assert_eq!(error, 0);
    assert!(!members.contains("server.4="), "{members}");
    assert_eq!(client.create("/after", b"", 0).expect("a reply").error, 0);
    client.close().expect("closed");

    // What was agreed upon outlives a restart of all.
    let version = members.rsplit_once("version=").expect("a version").1.to_owned();
    eventually("every member keeps it", || {
        servers[..3].iter().all(|server| has(server, &format!("zoo.cfg.dynamic.{version}")))
    });
    servers.iter_mut().for_each(Server::kill);
    start(&mut servers, &[0, 1, 2]);
    assert!(ask(&servers[1], "conf").ends_with(&format!("\nversion={version}")));
}

#[test]
fn a_leader_that_serves_no_clients() {
    let config = ServerConfig::new().property("zookeeper.leaderServes", "no");
    let mut servers = prepared(3, 0, &config);
    for server in &mut servers {
        server.launch().expect("a process");
    }
    eventually("the followers serve", || {
        modes(&servers).iter().filter(|mode| *mode == "follower").count() == 2
    });
    let (mut leaders, mut followers) = (Vec::new(), Vec::new());
    for server in &servers {
        match ask(server, "srvr") {
            answer if answer == NOT_SERVING => leaders.push(server),
            answer => followers.push((server, answer)),
        }
    }
    assert_eq!((leaders.len(), followers.len()), (1, 2), "{followers:?}");
    let (follower, answer) = &followers[0];
    assert!(answer.contains("\nMode: follower\n"), "{answer}");
    let mut client = Client::connect(follower.addr(), 10_000).expect("a session");
    assert_eq!(client.create("/x", b"", 0).expect("a reply").error, 0);
    client.close().expect("closed");
}

/// Three of ours, the second of which leads; enough patience for a slow machine's election.
fn three_of_ours(settings: &[(&str, &str)]) -> Vec<Server> {
    let config = ServerConfig::new().set("syncLimit", 30).set("maxSessionTimeout", 120_000);
    let config = settings.iter().fold(config, |config, (key, value)| config.set(key, value));
    let members = vec![Member::from(Flavour::Rookeeper); 3];
    let mut servers = Ensemble::prepare(&members, &config).expect("folders and ports").servers;
    start(&mut servers, &[0, 1]);
    start(&mut servers, &[2]);
    assert_eq!(modes(&servers), ["follower", "leader", "follower"]);
    servers
}

#[test]
fn clients_that_wait_for_nothing_outlive_their_leader() {
    let mut servers = three_of_ours(&[]);
    let mut one = Client::connect(servers[0].addr(), 120_000).expect("a session");
    let mut other = Client::connect(servers[2].addr(), 120_000).expect("a session");
    assert_eq!(one.create("/w", b"old", 0).expect("a reply").error, 0);
    assert_eq!(one.create("/w/mine", b"", EPHEMERAL).expect("a reply").error, 0);
    other.sync().expect("in step");
    for client in [&mut one, &mut other] {
        assert_eq!(client.get("/w", true).expect("a reply"), Some(b"old".to_vec()));
    }
    servers[1].kill();
    // Whether there is a leader again is nobody's business; a sync would say so.
    for client in [&mut one, &mut other] {
        client.ping().expect("it is answered");
        assert_eq!(client.get("/w", true).expect("it is answered"), Some(b"old".to_vec()));
    }
    // Pipelined: the write waits for a leader, the read for the write.
    let written = one.send(op::SET_DATA, |frame| frame.str("/w").buffer(Some(b"new")).int(-1));
    let read = one.send(op::GET_DATA, |frame| frame.str("/w").bool(false)).expect("sent");
    let (xid, reply) = one.receive().expect("the write is done");
    assert_eq!((xid, reply.error), (written.expect("sent"), 0));
    let (xid, reply) = one.receive().expect("the read behind it");
    assert_eq!((xid, Reader::new(&reply.body).buffer()), (read, Ok(Some(&b"new"[..]))));
    other.sync().expect("in step");
    assert_eq!(other.get("/w", false).expect("a reply"), Some(b"new".to_vec()));
    assert!(other.exists("/w/mine", false).expect("a reply"), "the session has lived on");
    for client in [&mut one, &mut other] {
        let events = client.events(1).expect("events");
        assert_eq!(events.len(), 1, "the watch was kept and has fired once: {events:?}");
    }
    one.close().expect("closed");
    other.close().expect("closed");
}

#[test]
fn an_election_closes_every_connection_if_it_is_told_to() {
    let mut servers = three_of_ours(&[("quietElections", "false")]);
    let mut client = Client::connect(servers[0].addr(), 120_000).expect("a session");
    client.ping().expect("it is answered");
    servers[1].kill();
    assert!(client.receive().is_err(), "closed, as Apache's server does");
    assert!(client.move_to(servers[0].addr()).expect("a server").is_some(), "its session lives");
}
