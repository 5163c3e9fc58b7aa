//! kazoo's locks and elections beside ours on the same paths.

use std::process::Stdio;

use rookeeper_interop::oracle;
use rookeeper_recipes::{Election, Lock, Queue, ReadWriteLock};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::cluster::Cluster;
use crate::support::{children, soon};

/// Takes what a line asks for in the background, says so when it has it, and gives it back on request.
const SCRIPT: &str = r#"
import sys, threading
from kazoo.client import KazooClient

client = KazooClient(hosts=sys.argv[1], timeout=40)
client.start(timeout=60)
held = {}

def say(*words):
    print(*words, flush=True)

def hold(name, lock):
    lock.acquire()
    held[name] = lock
    say("has", name)

def lead(name, election):
    release = threading.Event()
    held[name] = release
    def leading():
        say("has", name)
        release.wait()
    election.run(leading)
    say("released", name)

say("started")
for line in sys.stdin:
    words = line.split()
    if words[0] == "lock":
        lock = client.Lock(words[1], "kazoo")
        threading.Thread(target=hold, args=(words[1], lock), daemon=True).start()
    elif words[0] == "read":
        lock = client.ReadLock(words[1], "kazoo")
        threading.Thread(target=hold, args=(words[1], lock), daemon=True).start()
    elif words[0] == "lead":
        election = client.Election(words[1], "kazoo")
        threading.Thread(target=lead, args=(words[1], election), daemon=True).start()
    elif words[0] == "release":
        held.pop(words[1]).release()
        say("released", words[1])
    elif words[0] == "resign":
        held.pop(words[1]).set()
    elif words[0] == "contenders":
        say(*client.Lock(words[1]).contenders())
    elif words[0] == "put":
        client.LockingQueue(words[1]).put(words[2].encode())
        say("put")
    elif words[0] == "pop":
        queue = client.LockingQueue(words[1])
        value = queue.get(timeout=60)
        queue.consume()
        say(value.decode())
"#;

struct Kazoo {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Kazoo {
    async fn start(servers: &str) -> Self {
        let folder = oracle::folder("kazoo").expect("kazoo");
        let mut process = Command::new(folder.join("venv").join("bin").join("python"))
            .env("PYTHONPATH", folder.join("src"))
            .args(["-c", SCRIPT, servers])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut kazoo = Self { _process: process, input, output };
        assert_eq!(kazoo.says().await, "started");
        kazoo
    }

    async fn ask(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("kazoo is there");
    }

    async fn says(&mut self) -> String {
        soon(self.output.next_line()).await.expect("kazoo is there").expect("a line")
    }

    async fn does(&mut self, line: &str, answer: &str) {
        self.ask(line).await;
        assert_eq!(self.says().await, answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_elections_and_queues_are_shared_with_kazoo() {
    let cluster = Cluster::start();
    let client = cluster.observer().await;
    let mut kazoo = Kazoo::start(&cluster.servers()).await;

    let lock = Lock::new(&client, "/shared/lock").named("ours");
    for _ in 0..2 {
        let held = soon(lock.acquire()).await.unwrap();
        kazoo.ask("lock /shared/lock").await;
        children(&client, "/shared/lock", 2).await;
        kazoo.does("contenders /shared/lock", "ours kazoo").await;
        let waiting = lock.clone();
        let waiter = tokio::spawn(async move { waiting.acquire().await });
        children(&client, "/shared/lock", 3).await;
        assert!(lock.try_acquire().await.unwrap().is_none());
        held.release().await.unwrap();
        assert_eq!(kazoo.says().await, "has /shared/lock");
        assert!(!waiter.is_finished());
        let names: Vec<_> = lock.contenders().await.unwrap().into_iter().map(|c| c.1).collect();
        assert_eq!(names, ["kazoo", "ours"]);
        kazoo.does("release /shared/lock", "released /shared/lock").await;
        soon(waiter).await.unwrap().unwrap().release().await.unwrap();
    }

    let shared = ReadWriteLock::new(&client, "/shared/rw");
    let reading = shared.read().await.unwrap();
    kazoo.does("read /shared/rw", "has /shared/rw").await;
    let writing = shared.clone();
    let writer = tokio::spawn(async move { writing.write().await });
    children(&client, "/shared/rw", 3).await;
    reading.release().await.unwrap();
    assert!(shared.try_write().await.unwrap().is_none());
    kazoo.does("release /shared/rw", "released /shared/rw").await;
    soon(writer).await.unwrap().unwrap();

    let election = Election::new(&client, "/shared/election", "ours");
    kazoo.does("lead /shared/election", "has /shared/election").await;
    // Kazoo may have asked another server.
    children(&client, "/shared/election", 1).await;
    assert_eq!(election.leader().await.unwrap().expect("kazoo leads").id, "kazoo");
    let standing = election.clone();
    let campaign = tokio::spawn(async move { standing.campaign().await });
    children(&client, "/shared/election", 2).await;
    kazoo.does("resign /shared/election", "released /shared/election").await;
    let leading = soon(campaign).await.unwrap().unwrap();
    kazoo.ask("lead /shared/election").await;
    children(&client, "/shared/election", 2).await;
    leading.release().await.unwrap();
    assert_eq!(kazoo.says().await, "has /shared/election");

    let queue = Queue::new(&client, "/shared/queue");
    queue.put(b"from-us").await.unwrap();
    kazoo.does("pop /shared/queue", "from-us").await;
    kazoo.does("put /shared/queue from-kazoo", "put").await;
    let item = soon(queue.take()).await.unwrap();
    assert_eq!(item.ack().await.unwrap(), b"from-kazoo");
    assert!(queue.is_empty().await.unwrap());
}
