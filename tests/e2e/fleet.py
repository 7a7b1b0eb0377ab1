"""Several `headpond ingest` on one topic of a real Kafka: topologies, what a table says, traffic, and members that are killed. Used by consumers.py."""
import collections
import json
import os
import random
import subprocess
import threading
import time

import confluent_kafka
import confluent_kafka.admin

from harness import BINARY, Up, check, headpond, oracle, wait_until

FAILPOINTS = ["ingest.mid_multipart", "ingest.before_data_put", "ingest.after_data_put", "ingest.after_log_put", "ingest.mid_assign", "ingest.mid_revoke"]
PARTITIONS = 6
LIVE_MAX = 4
QUIET_S = 4  # without a kill another member is started: a rebalance may be what is waited for
LARGE = 9_000_000  # more than a part of a multipart upload
SESSION = 'session.timeout.ms: "2000", heartbeat.interval.ms: "300", socket.timeout.ms: "10000"'
TOPOLOGY = """\
version: 1
name: {name}
source:
  kafka: {{brokers: "{brokers}", topic: {topic}, encoding: json, {options},
    librdkafka_options: {{{client}}}}}
consumers:
  - {{name: live-ops, tier: 2, freshness: 5m}}
bronze: {{location: {location}, commit_interval: 500ms, stall_after: 3s, memory: 512MiB}}
"""


class World:
    def __init__(self, directory, kafka, options):
        self.directory, self.kafka, self.options = directory, kafka, options
        self.admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": kafka.bootstrap})

    def create(self, topic, partitions=PARTITIONS):
        new = confluent_kafka.admin.NewTopic(topic, partitions, 1, config={"max.message.bytes": "12000000"})
        for future in self.admin.create_topics([new]).values():
            future.result()

    def topology(self, topic, options, location="lake/bronze/logs", folder=None, client=SESSION):
        folder = self.directory / (folder or topic)
        folder.mkdir(exist_ok=True)
        path = folder / "topology.yaml"
        path.write_text(TOPOLOGY.format(name=topic, brokers=self.kafka.bootstrap, topic=topic, options=options, location=location, client=client))
        return path


def table_of(topology):
    return topology.parent / "lake" / "bronze" / "logs"


def facts(table):
    """What each version says of itself, in order."""
    return [json.loads(path.read_text().splitlines()[0])["commitInfo"].get("headpond", {}) for path in sorted((table / "_delta_log").glob("*.json"))]


def writers(table):
    return collections.Counter(batch["writer"] for fact in facts(table) for batch in fact.get("batches", []))


def read_by(table, since=0):
    """Partitions by writer, in the versions from `since` on."""
    found = collections.defaultdict(set)
    for fact in facts(table)[since:]:
        for batch in fact.get("batches", []):
            found[batch["writer"]] |= {r[0] for r in batch["ranges"]}
    return found


def ended_at(table):
    """The last offset that is covered, by partition."""
    found = {}
    for fact in facts(table):
        for batch in fact.get("batches", []):
            for r in batch["ranges"]:
                found[r[0]] = max(found.get(r[0], -1), r[3])
    return found


def until_end(topology, *arguments, env=None):
    done = headpond("ingest", "-f", topology, "--until-end", *arguments, env=env, timeout=180)
    check(done.returncode == 0, f"ingest --until-end: exit {done.returncode}: {done.stderr}")


def hold_against_topic(world, topology, topic, table, *arguments, env=None):
    print("  " + oracle("bronze_equals_topic.py", world.kafka.bootstrap, topic, table, *arguments).strip().splitlines()[-1])
    audit = headpond("audit", "-f", topology, "--deep", env=env)
    check(audit.returncode == 0, f"audit --deep: {audit.stdout}{audit.stderr}")


class Traffic:
    """Plain records by `generate`, a producer whose transactions are aborted every third time, and a record of 9 MB, not JSON, while `large()`."""

    def __init__(self, world, topology, topic, rate, seed, large=lambda: False):
        self.stopping = threading.Event()
        self.plain = subprocess.Popen([BINARY, "generate", "-f", str(topology), "-n", "100000000", "--rate", str(rate), "--seed", str(seed), "--malformed", "0.01", "--late", "0.01"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.aborted = self.large = 0
        self.threads = [threading.Thread(target=self.transact, args=(world, topic, seed), daemon=True), threading.Thread(target=self.enlarge, args=(world, topic, seed, large), daemon=True)]
        for thread in self.threads:
            thread.start()

    def transact(self, world, topic, seed):
        chance = random.Random(seed)
        producer = None
        while not self.stopping.wait(0.05):
            try:
                if producer is None:
                    producer = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap, "transactional.id": f"{topic}-load", "linger.ms": 1})
                    producer.init_transactions(30)
                producer.begin_transaction()
                for _ in range(chance.choice([0, 1, 3, 20])):
                    producer.produce(topic, json.dumps({"tenant": "t1", "n": chance.randrange(1000)}).encode(), partition=chance.randrange(PARTITIONS))
                producer.flush(10)
                if chance.random() < 0.34:
                    producer.abort_transaction(20)
                    self.aborted += 1
                else:
                    producer.commit_transaction(20)
            except (confluent_kafka.KafkaException, BufferError):
                producer = None  # the broker was restarted under it

    def enlarge(self, world, topic, seed, wanted):
        chance = random.Random(seed)
        producer = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap, "message.max.bytes": 12_000_000, "log_level": 0})
        while not self.stopping.wait(1):
            if wanted():
                producer.produce(topic, chance.randbytes(LARGE), partition=chance.randrange(PARTITIONS))
                producer.flush(20)
                self.large += 1

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(90)
        self.plain.terminate()
        self.plain.wait(30)


class Disk:
    """A filesystem of its own that can be full."""

    def __init__(self, path):
        self.path, self.fills = path, 0
        path.mkdir(parents=True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", str(path)], capture_output=True, text=True)
        check(mounted.returncode == 0, f"cannot mount a filesystem to fill: {mounted.stderr.strip()}")

    def resize(self, size):
        return subprocess.run(["mount", "-o", f"remount,size={size}", str(self.path)], stderr=subprocess.DEVNULL, check=False).returncode == 0

    def fill(self):
        def shrink():
            now = os.statvfs(self.path)
            return self.resize((now.f_blocks - now.f_bfree) * now.f_frsize)

        wait_until(shrink, 30, "the disk is full")
        self.fills += 1

    def free(self):
        check(self.resize("4g"), "the disk has room again")

    def close(self):
        subprocess.run(["umount", "-l", str(self.path)], check=False)


class Fleet:
    """Members of one group, each started with the failpoint it is to die at, or to be killed at a random moment."""

    def __init__(self, world, name, location, table, kills, seed, env, disk=None, lanes=1):
        self.world, self.name, self.table, self.env, self.disk = world, name, table, env, disk
        self.random = random.Random(seed)
        self.topology = world.topology(name, f"start: earliest, assignment: group, lanes: {lanes}", location)
        self.log = self.topology.parent / "ingest.log"
        self.hits = self.topology.parent / "failpoints"
        self.hits.touch()
        self.killed = collections.Counter()
        self.live, self.surplus, self.troubled, self.lanes = [], 0, -1e9, lanes
        self.spoilt, self.unstarted = location.startswith("s3:"), 0
        self.schedule = FAILPOINTS * 3 + [None]
        self.schedule += [self.random.choice(FAILPOINTS + [None] * 3) for _ in range(kills - len(self.schedule))]
        self.random.shuffle(self.schedule)
        self.total = len(self.schedule)

    def start(self):
        name = self.schedule.pop()
        env = {**self.env, "HEADPOND_FAILPOINT_LOG": str(self.hits)}
        if name:
            env["HEADPOND_FAILPOINT"] = f"{name}:{1 if 'mid_' in name else self.random.randrange(1, 4)}"
        up = Up(self.topology, self.log, "ingest", env=env)
        self.live.append({"name": name, "up": up, "started": time.monotonic(), "until": time.monotonic() + self.random.uniform(0.5, 4)})

    def wants_large(self):
        return any(member["name"] == "ingest.mid_multipart" for member in list(self.live))

    def reap(self):
        """True: somebody has died as planned."""
        for member in self.live:
            code = member["up"].process.poll()
            if code is None and member["name"] is None and time.monotonic() > member["until"]:
                member["up"].kill()
                code = -9
            if code is None:
                continue
            member["up"].kill()
            if code == 3 and (self.spoilt or member["started"] < self.troubled + 5):  # broker or store did not answer when it was starting
                self.live.remove(member)
                self.unstarted += 1
                self.schedule.append(member["name"])
                return False
            check(code == -9, f"{self.name}: a member that was to die at {member['name']} ended with {code}; see {self.log}")
            self.killed[member["name"] or "at random"] += 1
            self.live.remove(member)
            return True
        return False

    def disturb(self, restart_broker):
        """At fixed counts of kills: the broker is restarted, the disk is full for a while."""
        count = sum(self.killed.values())
        if count == self.total // 2:
            restart_broker()
            self.troubled = time.monotonic()
        if self.disk and count in (self.total // 4, self.total * 3 // 4):
            self.disk.fill()
            self.full_until = time.monotonic() + 3
        return time.monotonic()

    def run(self, restart_broker):
        changed, self.full_until = time.monotonic(), None
        while self.schedule or self.live:
            if self.reap():
                changed = self.disturb(restart_broker)
            if self.full_until:
                self.troubled = time.monotonic()
                if self.troubled > self.full_until:
                    self.disk.free()
                    self.full_until = None
            quiet = time.monotonic() - changed > QUIET_S
            if self.schedule and (len(self.live) < 2 or (quiet and len(self.live) < LIVE_MAX)):
                self.start()
                changed = time.monotonic()
            elif quiet and not self.schedule and self.live:
                # The last ones wait for a rebalance or a commit: one more member comes and goes.
                check(self.surplus < 12, f"{self.name}: nothing kills {[m['name'] for m in self.live]}; see {self.log}")
                self.surplus += 1
                extra = Up(self.topology, self.log, "ingest", env={**self.env, "HEADPOND_FAILPOINT_LOG": str(self.hits)})
                wait_until(lambda: any(m["up"].process.poll() is not None for m in self.live) or time.monotonic() - changed > 2 * QUIET_S, 60, "a rebalance")
                check(extra.terminate() == 0, f"{self.name}: SIGTERM did not end a member cleanly")
                changed = time.monotonic()
            threading.Event().wait(0.05)

    def report(self):
        reached = collections.Counter(self.hits.read_text().split())
        print(f"  {self.name}: {sum(self.killed.values())} kills, members of {self.lanes} lanes")
        for name in FAILPOINTS:
            print(f"    {name:26} reached {reached[name]:6}  killed {self.killed[name]:3}")
            check(self.killed[name] >= 3 and reached[name] > 0, f"{self.name}: {self.killed[name]} kills at {name}")
        print(f"    {'at random':26} {'':14}  killed {self.killed['at random']:3}")
        check(self.killed["at random"] > 0, f"{self.name}: no kill at random")


class Restarts:
    """The broker is killed once, when both stores have had half of their kills."""

    def __init__(self, kafka, parties):
        self.kafka, self.barrier, self.count = kafka, threading.Barrier(parties, action=self.restart), 0

    def restart(self):
        self.kafka.stop("kill")
        self.kafka.start_again()
        self.count += 1

    def __call__(self):
        self.barrier.wait(600)
