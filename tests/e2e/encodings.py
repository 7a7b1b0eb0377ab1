#!/usr/bin/env python3
"""encodings.py [--soak] [NAME…]: every encoding through `headpond ingest` from a real Kafka, held against readers that are not ours.

otlp       random OTLP messages as protobuf and as JSON, good and broken: each log record is a row, value by value
generated  `headpond generate` in both OTLP encodings: the same log records; audit, SQL and usage add up
Exit 1 with the first thing that is wrong."""
import argparse
import json
import pathlib
import random
import sys
import tempfile

import confluent_kafka
import deltalake

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "oracle"))
import harness  # noqa: E402
import ingest as ingest_tests  # noqa: E402
import otlp_messages  # noqa: E402
from harness import check, headpond, oracle  # noqa: E402
from ingest import audit, table_of, wait_complete  # noqa: E402


class World(ingest_tests.World):
    def topology_of(self, topic, encoding, bronze=""):
        path = self.topology(topic)
        path.write_text(path.read_text().replace("encoding: json", f"encoding: {encoding}").replace("lake/bronze/logs\n", f"lake/bronze/logs\n{bronze}"))
        return path

    def run_until_complete(self, topology):
        ingest = self.ingest(topology)
        wait_complete(table_of(topology), ingest)
        check(ingest.terminate() == 0, "SIGTERM did not end ingest cleanly")


def produce(world, topic, payloads, partitions=2):
    producer = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap, "message.max.bytes": 20_000_000, "compression.type": "lz4"})
    for i, payload in enumerate(payloads):
        producer.produce(topic, payload, key=f"k{i % 3}" if i % 2 else None, headers=[("n", str(i).encode())] if i % 5 == 0 else None, partition=i % partitions)
        producer.poll(0)
    check(producer.flush(60) == 0, "not all was produced")


def messages(encoding, count, seed):
    chance = random.Random(seed)
    for i in range(count):
        request = otlp_messages.message(chance)
        payload = request.SerializeToString() if encoding == "otlp_proto" else otlp_messages.to_json(request, chance)
        if i % 4 == 3:
            payload = otlp_messages.mutate(payload, chance)
        yield payload
    yield None
    yield b""
    yield b"not OTLP"
    large = otlp_messages.message(chance, 2)
    scope = large.resource_logs.add().scope_logs.add()
    for n in range(20_000):  # more rows than a batch holds, some megabytes
        record = scope.log_records.add(time_unix_nano=otlp_messages.NOW + n)
        record.body.string_value = f"record {n} " + "x" * (n % 400)
    yield large.SerializeToString() if encoding == "otlp_proto" else otlp_messages.to_json(large, chance)


def otlp(world):
    for encoding in ("otlp_proto", "otlp_json"):
        topic = encoding.replace("_", "-")
        world.create(topic, **{"max.message.bytes": "30000000"})
        topology = world.topology_of(topic, encoding)
        produce(world, topic, messages(encoding, 6000 if world.soak else 1500, world.seed))
        world.run_until_complete(topology)
        print(oracle("otlp_equals_topic.py", world.kafka.bootstrap, topic, table_of(topology), encoding).strip())
        audit(topology)


def generated(world):
    tables = []
    for encoding in ("otlp_proto", "otlp_json"):
        topic = "generated-" + encoding.replace("_", "-")
        world.create(topic)
        topology = world.topology_of(topic, encoding)
        ingest_tests.generate(topology, 5000, "--batch", 100, "--malformed", 0.02, "--from", "2026-11-24T00:00:00Z", "--to", "2026-11-24T01:00:00Z")
        world.run_until_complete(topology)
        print(oracle("otlp_equals_topic.py", world.kafka.bootstrap, topic, table_of(topology), encoding).strip())
        audit(topology)
        said = headpond("sql", "-f", topology, "SELECT count(*) n, count(service) services, sum(bytes) bytes FROM bronze", "--json")
        check(said.returncode == 0, said.stderr)
        columns = ["ts", "severity_number", "service", "tenant", "host", "event", "status", "duration_ms", "user_id", "trace_id", "span_id", "body", "pattern_id"]
        tables.append(deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=[*columns, "kafka_partition", "kafka_offset", "record_index"])
                      .sort_by([("kafka_partition", "ascending"), ("kafka_offset", "ascending"), ("record_index", "ascending")]))
        print(f"{encoding}: {json.loads(said.stdout)}")
    check(tables[0].select(columns).filter(tables[0]["service"].is_valid()) == tables[1].select(columns).filter(tables[1]["service"].is_valid()),
          "the two encodings of the same events gave different rows")


TRIALS = {"otlp": otlp, "generated": generated}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--seed", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        with harness.Kafka(directory / "kafka") as kafka:
            world = World(directory, kafka, options.soak)
            world.seed = options.seed
            for name, trial in TRIALS.items():
                if options.names and name not in options.names:
                    continue
                try:
                    trial(world)
                except harness.Failed as failed:
                    print(f"FAIL {name} (seed {options.seed}): {failed}")
                    for log in sorted(directory.glob("*/ingest.log")):
                        print(f"--- {log.parent.name}: " + "\n".join(log.read_text().splitlines()[-3:]))
                    return 1
                print(f"ok {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
