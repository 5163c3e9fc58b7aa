// Reads one znode over and over on one connection of Apache's Java client, with a window of requests in flight,
// and prints what that cost this process. Run from source:
//
//   java -cp '<Apache's jars>/*' PipelinedGets.java SERVER PATH WINDOW WARMUP_S SECONDS
//
// crates/client/examples/pipelined_gets.rs is the same for the Rust client: keep the two alike.

import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.zookeeper.AsyncCallback.DataCallback;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

public final class PipelinedGets {
    private static final AtomicLong ANSWERED = new AtomicLong();

    public static void main(String[] args) throws Exception {
        String path = args[1];
        int window = Integer.parseInt(args[2]);
        long warmupMs = 1000 * Long.parseLong(args[3]);
        long measuredMs = 1000 * Long.parseLong(args[4]);
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(args[0], 30_000, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
        DataCallback next = new DataCallback() {
            @Override
            public void processResult(int code, String read, Object context, byte[] data,
                    org.apache.zookeeper.data.Stat stat) {
                if (code != KeeperException.Code.OK.intValue()) {
                    System.err.println(path + ": " + KeeperException.Code.get(code));
                    System.exit(1);
                }
                ANSWERED.incrementAndGet();
                client.getData(path, false, this, null);
            }
        };
        for (int i = 0; i < window; i++) {
            client.getData(path, false, next, null);
        }
        Thread.sleep(warmupMs);
        long cpu = cpuNanos();
        long wall = System.nanoTime();
        long answered = ANSWERED.get();
        Thread.sleep(measuredMs);
        answered = ANSWERED.get() - answered;
        double wallSeconds = (System.nanoTime() - wall) / 1e9;
        double cpuSeconds = (cpuNanos() - cpu) / 1e9;
        System.out.printf(java.util.Locale.ROOT,
                "{\"ops\": %d, \"ops_per_second\": %.0f, \"ops_per_cpu_second\": %.0f}%n",
                answered, answered / wallSeconds, answered / cpuSeconds);
        // Its callbacks would go on asking.
        Runtime.getRuntime().halt(0);
    }

    private static long cpuNanos() {
        var system = ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class);
        return system.getProcessCpuTime();
    }
}
