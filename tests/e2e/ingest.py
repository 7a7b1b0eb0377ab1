#!/usr/bin/env python3
"""ingest.py [--soak] [NAME…]: `headpond ingest` against a real Kafka, held against independent readers of topic and table.

transactions  producers that commit and abort while ingest runs, stops and starts
broker-crash  the broker is killed and started again under load
samples       the real logs of $HEADPOND_SAMPLE_DATA through examples/*.yaml, byte-exact and value by value
failures      each wrong world is one clear line with what to do and a non-zero exit, and nothing is lost
compaction    (--soak) a compacted topic, before and after the cleaner
Exit 1 with the first thing that is wrong."""
import argparse
import datetime
import json
import pathlib
import random
import shutil
import sys
import time

import confluent_kafka
import confluent_kafka.admin
import deltalake
import pyarrow

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from harness import ROOT, Up, check, headpond, oracle, wait_until  # noqa: E402

TOPOLOGY = """\
version: 1
name: trial
source:
  kafka: {{brokers: "{brokers}", topic: "{topic}", encoding: json, start: earliest, generation: {generation}}}
consumers:
  - {{name: live-ops, tier: 2, freshness: 5m}}
bronze:
  location: {location}
serve: {{listen: "127.0.0.1:0"}}
"""


class World:
    def __init__(self, directory, kafka, soak):
        self.directory, self.kafka, self.soak = directory, kafka, soak
        self.admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": kafka.bootstrap})

    def create(self, topic, partitions=2, **config):
        new = confluent_kafka.admin.NewTopic(topic, partitions, 1, config=config)
        for future in self.admin.create_topics([new]).values():
            future.result()

    def delete(self, topic):
        for future in self.admin.delete_topics([topic]).values():
            future.result()
        wait_until(lambda: topic not in self.admin.list_topics(timeout=10).topics, 30, f"topic {topic} is deleted")

    def topology(self, topic, generation=0, brokers=None, location=None):
        folder = self.directory / topic
        folder.mkdir(exist_ok=True)
        path = folder / "topology.yaml"
        path.write_text(TOPOLOGY.format(brokers=brokers or self.kafka.bootstrap, topic=topic, generation=generation, location=location or "lake/bronze/logs"))
        return path

    def ingest(self, topology, *arguments):
        return Up(topology, topology.parent / "ingest.log", "ingest", arguments=arguments)


def table_of(topology):
    return topology.parent / "lake" / "bronze" / "logs"


def complete_until(table):
    """The smallest clock that ingest has published, in seconds; 0 before there is one."""
    try:
        cursor = json.loads((table / "_headpond" / "cursors" / "ingest.json").read_text())
    except FileNotFoundError:
        return 0
    text = cursor.get("complete_until")
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0


def wait_complete(table, process, seconds=180):
    """All that the broker has accepted by now is in the table: what a clock promises."""
    now = time.time()

    def passed():
        check(process.running(), f"ingest ended by itself; see {process.log.name}")
        return complete_until(table) > now

    wait_until(passed, seconds, f"the clocks of {table} pass {now:.0f}")


def gap_kinds(table):
    kinds = set()
    for path in sorted((table / "_delta_log").glob("*.json")):
        facts = json.loads(path.read_text().splitlines()[0])["commitInfo"].get("headpond", {})
        for batch in facts.get("batches", []):
            kinds.update(batch.get("gap_kinds", []))
    return kinds


def generate(topology, count, *arguments):
    made = headpond("generate", "-f", topology, "-n", count, *arguments)
    check(made.returncode == 0, f"generate: exit {made.returncode}: {made.stdout}{made.stderr}")


def audit(topology):
    """Clean by the log, by the rows, and against the broker, which still has all that was not deleted."""
    done = headpond("audit", "-f", topology, "--deep", "--kafka", "--json")
    check(done.returncode == 0, f"audit: {done.stdout}{done.stderr}")
    broker = json.loads(done.stdout)["kafka"]
    check(broker["clean"] and broker["behind"] == 0, f"audit --kafka: {broker}")
    return broker["records"]


def audit_of_cleaned_log(topology):
    """The same verdict when all but the newest entry of the log is only in the ledger."""
    before = audit(topology)
    cleaning = topology.with_name("cleaning.yaml")
    cleaning.write_text(topology.read_text().replace("bronze:\n", "bronze:\n  log_retention: 0s\n"))
    done = headpond("maintain", "-f", cleaning, "--checkpoint")
    check(done.returncode == 0, f"maintain: {done.stdout}{done.stderr}")
    left = len(list((table_of(topology) / "_delta_log").glob("*.json")))
    check(left == 1, f"{left} entries of the log are left")
    check(audit(topology) == before, "another verdict over the cleaned log")


def audit_finds(topology, *expected):
    """The broker contradicts bronze: exit 1, and the finding with its place."""
    done = headpond("audit", "-f", topology, "--kafka")
    lines = [line for line in done.stdout.splitlines() if line.startswith("damage: ") and all(text in line for text in expected)]
    check(done.returncode == 1 and len(lines) == 1, f"audit --kafka was to find {expected}; exit {done.returncode}: {done.stdout}{done.stderr}")
    print(lines[0][:160])


def transact(world, topic, rounds, seed):
    """Two producers, their transactions interleaved; a third of them aborted."""
    chance = random.Random(seed)
    producers = [confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap, "transactional.id": f"{topic}-{i}", "linger.ms": 1}) for i in range(2)]
    for producer in producers:
        producer.init_transactions(60)
    for i in range(rounds):
        producer = producers[i % 2]
        producer.begin_transaction()
        for n in range(chance.choice([0, 1, 1, 2, 5, 30])):
            headers = [("a", b"b"), ("bytes", b"\xff\x00"), ("null", None)] if chance.random() < 0.1 else None
            key = None if chance.random() < 0.5 else f"k{n % 7}"
            producer.produce(topic, json.dumps({"ts": time.time(), "tenant": f"t{n % 5}", "n": n}).encode(), key=key, partition=chance.randrange(2), headers=headers)
        producer.flush(30)
        producer.abort_transaction(60) if chance.random() < 0.35 else producer.commit_transaction(60)


def transactions(world):
    world.create("transactions")
    topology = world.topology("transactions")
    table = table_of(topology)
    rounds = 100 if world.soak else 25
    transact(world, "transactions", rounds, 1)
    for seed in (2, 3):
        ingest = world.ingest(topology)
        transact(world, "transactions", rounds, seed)
        wait_complete(table, ingest)
        check(ingest.terminate() == 0, "SIGTERM did not end ingest cleanly")
        transact(world, "transactions", 5, seed + 10)
    ingest = world.ingest(topology)
    wait_complete(table, ingest)
    ingest.kill()
    print(oracle("bronze_equals_topic.py", world.kafka.bootstrap, "transactions", table).strip())
    check({"control", "aborted"} <= gap_kinds(table), f"gaps of kinds {gap_kinds(table)} only")
    rows = deltalake.DeltaTable(str(table)).to_pyarrow_table(columns=["bytes"]).num_rows
    check(audit(topology) == rows, f"audit --kafka read another number than {rows}")
    audit_of_cleaned_log(topology)


def broker_crash(world):
    world.create("crash", 3)
    topology = world.topology("crash")
    ingest = world.ingest(topology)
    generate(topology, 3000, "--malformed", 0.02, "--late", 0.02, "--future", 0.02)
    wait_complete(table_of(topology), ingest)
    for _ in range(3 if world.soak else 1):
        world.kafka.stop("kill")
        world.kafka.start_again()
        generate(topology, 3000, "--seed", 2, "--malformed", 0.02)
    wait_complete(table_of(topology), ingest)
    check(ingest.terminate() == 0, "SIGTERM did not end ingest cleanly")
    print(oracle("bronze_equals_topic.py", world.kafka.bootstrap, "crash", table_of(topology)).strip())
    audit(topology)


def samples(world):
    for name in ("nginx", "zeek-dns", "zeek-syslog", "apache"):
        oracle("sample_logs.py", "produce", name, world.kafka.bootstrap)
        folder = world.directory / f"sample-{name}"
        folder.mkdir()
        topology = folder / "topology.yaml"
        text = (ROOT / "examples" / f"{name}.yaml").read_text()
        location = next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.strip().startswith("location:"))
        check("localhost:9092" in text, f"examples/{name}.yaml does not read from localhost:9092")
        topology.write_text(text.replace("localhost:9092", world.kafka.bootstrap).replace(location, "lake/bronze/logs"))
        ingest = world.ingest(topology)
        wait_complete(table_of(topology), ingest)
        check(ingest.terminate() == 0, "SIGTERM did not end ingest cleanly")
        print(oracle("sample_logs.py", "check", name, table_of(topology)).strip())


def refused(topology, *expected, arguments=()):
    """ingest ends by itself, with a non-zero exit, and says all of `expected` in one line."""
    done = headpond("ingest", "-f", topology, *arguments, timeout=60)
    check(done.returncode != 0, f"ingest of {topology} ended with exit 0")
    lines = [line for line in done.stderr.splitlines() if all(text in line for text in expected)]
    check(lines, f"no line of this says {expected}: {done.stderr}")
    print(f"exit {done.returncode}: {lines[0][:160]}")


def failures(world):
    refused(world.topology("unreachable", brokers="127.0.0.1:1"), "cannot reach any Kafka broker at 127.0.0.1:1 within 5s; is it running?")
    world.create("logs-prod")
    refused(world.topology("log-prod"), "no topic 'log-prod'", "did you mean 'logs-prod'?")

    blocked = world.topology("logs-prod", location="/proc/headpond/bronze")
    refused(blocked, "/proc/headpond")

    foreign = world.topology("logs-prod")
    deltalake.write_deltalake(str(table_of(foreign)), pyarrow.table({"x": [1, 2]}))
    refused(foreign, "bronze/logs")
    check(deltalake.DeltaTable(str(table_of(foreign))).version() == 0, "a foreign table was written to")

    world.create("again")
    topology = world.topology("again")
    generate(topology, 500)
    ingest = world.ingest(topology)
    wait_complete(table_of(topology), ingest)
    check(ingest.terminate() == 0, "SIGTERM")
    world.delete("again")
    world.create("again")
    generate(topology, 300, "--seed", 2)
    refused(topology, "topic 'again' was re-created", "set `generation: 1`")
    audit_finds(topology, "another topic: again was created anew")
    topology = world.topology("again", generation=1)
    ingest = world.ingest(topology)
    wait_complete(table_of(topology), ingest)
    check(ingest.terminate() == 0, "SIGTERM")
    print(oracle("bronze_equals_topic.py", world.kafka.bootstrap, "again", table_of(topology), "--generation", 1).strip())
    rows = deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=["source"]).column("source").to_pylist()
    check((rows.count("again@0"), rows.count("again@1")) == (500, 300), f"rows by source: {rows.count('again@0')}, {rows.count('again@1')}")

    world.create("lost", 1)
    topology = world.topology("lost")
    generate(topology, 100)
    ingest = world.ingest(topology)
    wait_complete(table_of(topology), ingest)
    check(ingest.terminate() == 0, "SIGTERM")
    generate(topology, 100)
    for future in world.admin.delete_records([confluent_kafka.TopicPartition("lost", 0, 150)]).values():
        future.result()
    refused(topology, "offsets 100-149 (50 records) were deleted by the topic's retention", "--accept-loss")
    audit_finds(topology, "lost range: lost@0 partition 0, offsets 100-149: deleted by the broker before they were ingested")
    ingest = world.ingest(topology, "--accept-loss")
    wait_complete(table_of(topology), ingest)
    check(ingest.terminate() == 0, "SIGTERM")
    check("retention (accepted)" in gap_kinds(table_of(topology)), f"gaps of kinds {gap_kinds(table_of(topology))}")
    check(deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=["bytes"]).num_rows == 150, "rows after the accepted loss")
    audit(topology)


def compaction(world):
    world.create("compacted", 1, **{"cleanup.policy": "compact", "segment.ms": "500", "min.cleanable.dirty.ratio": "0.001", "delete.retention.ms": "100"})
    producer = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap})

    def produce():
        for round_ in range(15):
            for k in range(20):
                producer.produce("compacted", None if (round_ * k) % 7 == 3 else b'{"n":1}', key=f"k{k % (3 + round_ % 9)}", partition=0)
            producer.flush(30)
            time.sleep(0.3)  # so that segments roll

    topology = world.topology("compacted")
    produce()
    ingest = world.ingest(topology)
    wait_complete(table_of(topology), ingest)
    check(ingest.terminate() == 0, "SIGTERM")
    produce()

    def cleaned():
        consumer = confluent_kafka.Consumer({"bootstrap.servers": world.kafka.bootstrap, "group.id": f"clean-{time.time()}", "enable.partition.eof": True})
        consumer.assign([confluent_kafka.TopicPartition("compacted", 0, 320)])
        count = sum(1 for m in consumer.consume(400, timeout=3) if m.error() is None)
        consumer.close()
        return count < 200

    wait_until(cleaned, 120, "the cleaner has been there")
    ingest = world.ingest(topology)
    wait_complete(table_of(topology), ingest)
    check(ingest.terminate() == 0, "SIGTERM")
    check(any("compacted" in kind for kind in gap_kinds(table_of(topology))), f"gaps of kinds {gap_kinds(table_of(topology))}")
    audit(topology)
    shutil.rmtree(topology.parent / "lake")
    ingest = world.ingest(topology)
    wait_complete(table_of(topology), ingest)
    check(ingest.terminate() == 0, "SIGTERM")
    print(oracle("bronze_equals_topic.py", world.kafka.bootstrap, "compacted", table_of(topology)).strip())


ALL = {"transactions": transactions, "broker-crash": broker_crash, "samples": samples, "failures": failures, "compaction": compaction}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if unknown := set(options.names) - set(ALL):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    names = options.names or [n for n in ALL if options.soak or n != "compaction"]
    with harness.Workspace() as directory, harness.Kafka(directory / "kafka") as kafka:
        world = World(directory, kafka, options.soak)
        for name in names:
            started = time.monotonic()
            print(f"== {name}", flush=True)
            try:
                ALL[name](world)
            except harness.Failed as failed:
                print(f"FAILED {name}: {failed}")
                raise
            print(f"   {time.monotonic() - started:.0f} s", flush=True)
    print(f"ingest against a real Kafka: {', '.join(names)} hold")


if __name__ == "__main__":
    try:
        main()
    except harness.Failed:
        sys.exit(1)
