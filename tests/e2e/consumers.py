#!/usr/bin/env python3
"""consumers.py [--soak] [--kills N] [--seed N] [NAME…]: several `headpond ingest` on one topic of a real Kafka.

kills      ingesters of one consumer group under load, killed at each failpoint of ingest (in the middle of a rebalance too) and at random, the
           broker restarted among it, transactions aborted all along; on a directory and on S3 at the same time, where a proxy spoils a share of the requests
           (503, slow, connection reset, carried out and the answer lost)
elastic    a second and a third member join and leave, partitions are added, all under load
static     two instances; one is killed, the other names its partitions; a mistaken start is one clear line
start      `start:` a time, and `--until-end`
cut        the broker's log is cut below the table's position and written anew

The oracle is a separate consumer of the topic against the rows that deltalake, DuckDB and pyarrow read. Prints hits and kills per failpoint;
one without its kills is a failure. Exit 1 with the first thing that is wrong."""
import argparse
import collections
import datetime
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

import confluent_kafka
import confluent_kafka.admin
import deltalake

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from harness import BINARY, Up, check, headpond, oracle, wait_until  # noqa: E402
from ingest import gap_kinds  # noqa: E402
from s3 import S3, Proxy  # noqa: E402

FAILPOINTS = ["ingest.before_data_put", "ingest.after_data_put", "ingest.after_log_put", "ingest.mid_assign", "ingest.mid_revoke"]
PARTITIONS = 6
LIVE_MAX = 4
QUIET_S = 4  # without a kill another member is started: a rebalance may be what is waited for
TOPOLOGY = """\
version: 1
name: {name}
source:
  kafka: {{brokers: "{brokers}", topic: {topic}, encoding: json, {options},
    librdkafka_options: {{session.timeout.ms: "2000", heartbeat.interval.ms: "300", socket.timeout.ms: "10000"}}}}
consumers:
  - {{name: live-ops, tier: 2, freshness: 5m}}
bronze: {{location: {location}, commit_interval: 500ms, stall_after: 3s}}
"""


class World:
    def __init__(self, directory, kafka, options):
        self.directory, self.kafka, self.options = directory, kafka, options
        self.admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": kafka.bootstrap})

    def create(self, topic, partitions=PARTITIONS):
        for future in self.admin.create_topics([confluent_kafka.admin.NewTopic(topic, partitions, 1)]).values():
            future.result()

    def topology(self, topic, options, location="lake/bronze/logs", folder=None):
        folder = self.directory / (folder or topic)
        folder.mkdir(exist_ok=True)
        path = folder / "topology.yaml"
        path.write_text(TOPOLOGY.format(name=topic, brokers=self.kafka.bootstrap, topic=topic, options=options, location=location))
        return path


def table_of(topology):
    return topology.parent / "lake" / "bronze" / "logs"


def facts(table):
    """What each version says of itself, in order."""
    return [json.loads(path.read_text().splitlines()[0])["commitInfo"].get("headpond", {}) for path in sorted((table / "_delta_log").glob("*.json"))]


def writers(table):
    return collections.Counter(batch["writer"] for fact in facts(table) for batch in fact.get("batches", []))


def until_end(topology, *arguments, env=None):
    done = headpond("ingest", "-f", topology, "--until-end", *arguments, env=env, timeout=180)
    check(done.returncode == 0, f"ingest --until-end: exit {done.returncode}: {done.stderr}")


def hold_against_topic(world, topology, topic, table, env=None):
    print("  " + oracle("bronze_equals_topic.py", world.kafka.bootstrap, topic, table).strip().splitlines()[-1])
    audit = headpond("audit", "-f", topology, "--deep", env=env)
    check(audit.returncode == 0, f"audit --deep: {audit.stdout}{audit.stderr}")


class Traffic:
    """Plain records by `generate`, and a producer whose transactions are aborted every third time."""

    def __init__(self, world, topology, topic, rate, seed):
        self.stopping = threading.Event()
        self.plain = subprocess.Popen([BINARY, "generate", "-f", str(topology), "-n", "100000000", "--rate", str(rate), "--seed", str(seed), "--malformed", "0.01", "--late", "0.01"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.transact, args=(world, topic, seed), daemon=True)
        self.aborted = 0
        self.thread.start()

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

    def end(self):
        self.stopping.set()
        self.thread.join(90)
        self.plain.terminate()
        self.plain.wait(30)


class Fleet:
    """Members of one group, each started with the failpoint it is to die at, or to be killed at a random moment."""

    def __init__(self, world, name, location, table, kills, seed, env):
        self.world, self.name, self.table, self.env = world, name, table, env
        self.random = random.Random(seed)
        self.topology = world.topology(name, "start: earliest, assignment: group", location)
        self.hits = self.topology.parent / "failpoints"
        self.hits.touch()
        self.killed = collections.Counter()
        self.live, self.surplus, self.restarted = [], 0, -1e9
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
        up = Up(self.topology, self.topology.parent / "ingest.log", "ingest", env=env)
        self.live.append({"name": name, "up": up, "started": time.monotonic(), "until": time.monotonic() + self.random.uniform(0.5, 4)})

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
            if code == 3 and (self.spoilt or member["started"] < self.restarted + 5):  # broker or store did not answer when it was starting
                self.live.remove(member)
                self.unstarted += 1
                self.schedule.append(member["name"])
                return False
            check(code == -9, f"{self.name}: a member that was to die at {member['name']} ended with {code}; see {self.topology.parent}/ingest.log")
            self.killed[member["name"] or "at random"] += 1
            self.live.remove(member)
            return True
        return False

    def run(self, restart_broker):
        changed = time.monotonic()
        while self.schedule or self.live:
            if self.reap():
                changed = time.monotonic()
                if sum(self.killed.values()) == self.total // 2:
                    restart_broker()
                    self.restarted = time.monotonic()
            quiet = time.monotonic() - changed > QUIET_S
            if self.schedule and (len(self.live) < 2 or (quiet and len(self.live) < LIVE_MAX)):
                self.start()
                changed = time.monotonic()
            elif quiet and not self.schedule and self.live:
                # The last ones wait for a rebalance or a commit: one more member comes and goes.
                check(self.surplus < 12, f"{self.name}: nothing kills {[m['name'] for m in self.live]}; see {self.topology.parent}/ingest.log")
                self.surplus += 1
                extra = Up(self.topology, self.topology.parent / "ingest.log", "ingest", env={**self.env, "HEADPOND_FAILPOINT_LOG": str(self.hits)})
                wait_until(lambda: any(m["up"].process.poll() is not None for m in self.live) or time.monotonic() - changed > 2 * QUIET_S, 60, "a rebalance")
                check(extra.terminate() == 0, f"{self.name}: SIGTERM did not end a member cleanly")
                changed = time.monotonic()
            threading.Event().wait(0.05)

    def report(self):
        reached = collections.Counter(self.hits.read_text().split())
        print(f"  {self.name}: {sum(self.killed.values())} kills")
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


def kills(world):
    options = world.options
    s3 = S3(world.directory / "s3")
    proxy = Proxy(s3.endpoint, options.faults, options.seed)
    failures = []
    restarts = Restarts(world.kafka, 2)

    def one(name, location, table, seed, env):
        try:
            world.create(name)
            fleet = Fleet(world, name, location, table, options.kills, seed, env)
            traffic = Traffic(world, fleet.topology, name, 300, seed)
            try:
                fleet.run(restarts)
            finally:
                traffic.end()
                for member in fleet.live:
                    member["up"].kill()
            wait_until(lambda: headpond("ingest", "-f", fleet.topology, "--until-end", env=env, timeout=180).returncode == 0, 240, f"{name}: ingest --until-end ends with exit 0")
            return fleet, traffic
        except BaseException as error:  # noqa: BLE001
            failures.append(f"{name}: {error}")
            restarts.barrier.abort()
            raise

    results = {}
    jobs = {"on-directory": ("lake/bronze/logs", world.directory / "on-directory" / "lake" / "bronze" / "logs", options.seed, {}),
            "on-s3": ("s3://lake/bronze/logs", world.directory / "s3" / "data" / "lake" / "bronze" / "logs", options.seed + 1, {**s3.env, "AWS_ENDPOINT_URL": proxy.url})}
    threads = [threading.Thread(target=lambda n=n, j=j: results.__setitem__(n, one(n, *j)), daemon=True) for n, j in jobs.items()]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(not failures, "; ".join(failures))
        for name, (fleet, traffic) in results.items():
            fleet.report()
            check(len(writers(fleet.table)) > 2, f"{name}: only {len(writers(fleet.table))} ingesters have committed rows")
            check({"control", "aborted"} <= gap_kinds(fleet.table), f"{name}: gaps of kinds {gap_kinds(fleet.table)} only")
            print(f"    {len(facts(fleet.table))} versions by {len(writers(fleet.table))} writers, {traffic.aborted} transactions aborted, broker killed {restarts.count} time")
            hold_against_topic(world, fleet.topology, name, fleet.table, s3.env if fleet.spoilt else {})
        print(f"  store: {proxy.requests} requests, spoilt: " + ", ".join(f"{kind} {proxy.hits[kind]}" for kind in Proxy.KINDS) + f"; {results['on-s3'][0].unstarted} starts failed")
        check(all(proxy.hits[kind] for kind in Proxy.KINDS), f"spoilt requests by kind: {dict(proxy.hits)}")
    finally:
        proxy.close()
        s3.stop()


def active_writers(table, since):
    return {batch["writer"] for fact in facts(table)[since:] for batch in fact.get("batches", [])}


def elastic(world):
    world.create("elastic", 3)
    topology = world.topology("elastic", "start: earliest, assignment: group, group: elastic-readers")
    table, log = table_of(topology), topology.parent / "ingest.log"
    traffic = subprocess.Popen([BINARY, "generate", "-f", str(topology), "-n", "100000000", "--rate", "300", "--seed", "7"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    more = None
    members = [Up(topology, log, "ingest")]
    try:
        def committing(count):
            def seen():
                check(all(m.running() for m in members), f"a member ended by itself; see {log}")
                # Each of the last versions says which ingester wrote it; a member counts once its rows are there.
                return len(active_writers(table, -count * 6)) >= count if (table / "_delta_log").is_dir() else False
            return seen

        wait_until(committing(1), 60, "the first member commits")
        members.append(Up(topology, log, "ingest"))
        wait_until(committing(2), 60, "both members commit")
        for future in world.admin.create_partitions([confluent_kafka.admin.NewPartitions("elastic", 6)]).values():
            future.result()
        more = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap})
        for n in range(300):
            more.produce("elastic", b'{"tenant":"late"}', partition=3 + n % 3)
        more.flush(30)
        members.append(Up(topology, log, "ingest"))
        covered = lambda: {r[0] for fact in facts(table) for batch in fact.get("batches", []) for r in batch["ranges"]}
        wait_until(lambda: covered() >= set(range(6)), 60, "the partitions that were added are read")
        first = members.pop(0)
        check(first.terminate() == 0, f"SIGTERM did not end the first member cleanly; see {log}")
        left = len(facts(table))
        wait_until(lambda: len(active_writers(table, left)) >= 2, 60, "the two that stay go on")
    finally:
        traffic.terminate()
        traffic.wait(30)
        for member in members:
            check(member.terminate() == 0, f"SIGTERM did not end a member cleanly; see {log}")
    until_end(topology)
    hold_against_topic(world, topology, "elastic", table)


def stalled_now(table):
    standing = {}
    for fact in facts(table):
        for source, pairs in fact.get("stalled", {}).items():
            standing.update(dict(pairs))
        moved = {r[0] for batch in fact.get("batches", []) for r in batch["ranges"]} | {c[0] for pairs in fact.get("clocks", {}).values() for c in pairs}
        for partition in moved:
            standing.pop(partition, None)
    return standing


def static(world):
    world.create("static", 4)
    topology = world.topology("static", "start: latest")
    table, log = table_of(topology), topology.parent / "ingest.log"
    for arguments, words in ((["--instance", "2/2"], "expected i/K"), (["--partitions", "x"], "such as 0-3,7")):
        done = headpond("ingest", "-f", topology, *arguments)
        check(done.returncode != 0 and words in done.stderr, f"{arguments}: exit {done.returncode}: {done.stderr}")
    grouped = world.topology("static", "assignment: group")
    done = headpond("ingest", "-f", grouped, "--instance", "0/2")
    check(done.returncode != 0 and "the group deals out the partitions" in done.stderr, f"exit {done.returncode}: {done.stderr}")
    world.topology("static", "start: latest")
    # Both at once on a table that is not there yet.
    members = [Up(topology, log, "ingest", arguments=["--instance", "0/2"]), Up(topology, log, "ingest", env={"HEADPOND_INSTANCE": "1/2"})]
    try:
        wait_until(lambda: (table / "_delta_log").is_dir() and len(facts(table)) > 4, 60, "the table is there")
        made = headpond("generate", "-f", topology, "-n", 2000)
        check(made.returncode == 0, made.stderr)
        wait_until(lambda: len(writers(table)) == 2, 60, "both instances commit rows")
        members[1].kill()
        wait_until(lambda: set(stalled_now(table)) == {1, 3}, 60, "the live instance names the other's partitions")
        check(set(stalled_now(table).values()) == {"no owner"}, f"named {stalled_now(table)}")
        check(members[0].running(), f"the live instance ended; see {log}")
        members[1] = Up(topology, log, "ingest", arguments=["--partitions", "1,3"])
        wait_until(lambda: not stalled_now(table), 60, "they are not stalled any more")
    finally:
        codes = [member.terminate() for member in members]
    check(codes == [0, 0], f"SIGTERM: {codes}")
    for instance in ("0/2", "1/2"):
        until_end(topology, "--instance", instance)
    hold_against_topic(world, topology, "static", table)


def start(world):
    world.create("start", 2)
    producer = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap})
    now = int(time.time() * 1000)
    for n in range(100):
        producer.produce("start", b'{"tenant":"old"}', partition=n % 2, timestamp=now - 7200_000 + n)
    for n in range(30):
        producer.produce("start", b'{"tenant":"new"}', partition=0, timestamp=now - 600_000 + n)  # partition 1 has nothing as new
    producer.flush(30)
    moment = datetime.datetime.fromtimestamp(now / 1000 - 3600, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    topology = world.topology("start", f"start: {moment}")
    until_end(topology)
    rows = deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=["tenant", "kafka_partition", "kafka_offset"]).to_pylist()
    check({(r["kafka_partition"], r["kafka_offset"]) for r in rows} == {(0, 50 + n) for n in range(30)}, f"rows: {len(rows)}, from offset {min(r['kafka_offset'] for r in rows) if rows else None}")
    check(gap_kinds(table_of(topology)) == {"before start"}, f"gaps: {gap_kinds(table_of(topology))}")
    producer.produce("start", b'{"tenant":"old but after"}', partition=1, timestamp=now - 9000_000)
    producer.flush(30)
    until_end(topology)
    check(deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=["bytes"]).num_rows == 31, "the record behind the start is read, whatever its time")
    audit = headpond("audit", "-f", topology, "--deep")
    check(audit.returncode == 0, f"audit --deep: {audit.stdout}{audit.stderr}")
    refused = headpond("ingest", "-f", world.topology("start", "start: 2999-01-01T00:00:00Z", folder="later"))
    check(refused.returncode == 2 and "lies in the future; say latest" in refused.stderr, f"a start in the future: exit {refused.returncode}: {refused.stderr}")
    print(f"  start: {moment}: 30 rows and 1, the rest a declared gap; --until-end ends with exit 0")


def cut(world):
    world.create("cut", 1)
    topology = world.topology("cut", "start: earliest")
    made = headpond("generate", "-f", topology, "-n", 500, "--rate", 1000)  # in many batches
    check(made.returncode == 0, made.stderr)
    until_end(topology)
    world.kafka.stop("kill")
    # What an unclean election does: the log's tail is gone, and its offsets are given out anew.
    (segment,) = (pathlib.Path(world.kafka.directory) / "data" / "cut-0").glob("*.log")
    with open(segment, "r+b") as log:
        log.truncate(segment.stat().st_size // 2)
    world.kafka.start_again()
    short = headpond("ingest", "-f", topology, timeout=60)
    check(short.returncode == 2 or short.returncode == 1, f"exit {short.returncode}: {short.stderr}")
    check("the table is at offset 499, the broker's log ends at" in short.stderr and "`generation:` one higher" in short.stderr, f"said: {short.stderr}")
    made = headpond("generate", "-f", topology, "-n", 2000, "--seed", 9)
    check(made.returncode == 0, made.stderr)
    anew = headpond("ingest", "-f", topology, timeout=60)
    check(anew.returncode == short.returncode and "was cut below that and written anew" in anew.stderr, f"exit {anew.returncode}: {anew.stderr}")
    rows = deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=["bytes"]).num_rows
    check(rows == 500, f"{rows} rows: something of the new log was taken")
    print("  " + next(line for line in anew.stderr.splitlines() if "written anew" in line)[:200])


ALL = {"kills": kills, "elastic": elastic, "static": static, "start": start, "cut": cut}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--kills", type=int, help="on each store (default 16, with --soak 110)")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--faults", type=float, default=0.02, help="share of S3 requests that is spoilt")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.kills = options.kills or (110 if options.soak else len(FAILPOINTS) * 3 + 1)
    print(f"seed {options.seed}")
    with harness.Workspace() as directory, harness.Kafka(directory / "kafka") as kafka:
        world = World(directory, kafka, options)
        for name in options.names or ALL:
            started = time.monotonic()
            print(f"== {name}", flush=True)
            try:
                ALL[name](world)
            except harness.Failed as failed:
                print(f"FAILED {name}: {failed}")
                raise
            print(f"   {time.monotonic() - started:.0f} s", flush=True)
    print(f"several ingesters of one topic: {', '.join(options.names or ALL)} hold")


if __name__ == "__main__":
    try:
        main()
    except harness.Failed:
        sys.exit(1)
