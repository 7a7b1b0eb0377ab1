#!/usr/bin/env python3
"""encodings.py [--soak] [NAME…]: every encoding through `headpond ingest` from a real Kafka, held against readers that are not ours.

otlp       random OTLP messages as protobuf and as JSON, good and broken: each log record is a row, value by value
generated  `headpond generate` in both OTLP encodings: the same log records; audit and SQL add up
bad        broken records of every kind, each a row with an error or its null, in json and raw, none a stall
columns    declared columns of every type; raw of errors alone and the rest; a column added, one retyped, one no longer declared
Exit 1 with the first thing that is wrong."""
import argparse
import datetime
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
import otlp_equals_topic as oracle_module  # noqa: E402
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


DEEP = b'{"service":"deep","x":' + b"[" * 5000 + b"]" * 5000 + b"}"
LARGE = b'{"service":"large","blob":"' + b"x" * (10 << 20) + b'"}'
# payload, whether it is an error, and cells that are expected
BAD = [(b'{"service":"ok","status":200}', False, {"service": "ok", "status": 200}), (None, False, {"service": None}), (b"", True, {}), (b"{", True, {}), (b"{}", False, {}),
       (b"null", True, {}), (b'{"service":"cut', True, {}), (b'{"service":"a"}{"service":"b"}', True, {}), (b'\xff\xfe\x00', True, {}), (b'{"service":"\xc3("}', True, {}),
       (b'{"status":2147483648,"service":"range"}', False, {"status": None, "service": "range"}), (b'{"status":1e400}', True, {}),
       (b'{"status":99999999999999999999999,"service":"big"}', False, {"status": None, "service": "big"}),
       (b'{"service":"first","service":"second"}', False, {"service": "first"}), (b'{"service":null,"status":null}', False, {"service": None, "status": None}),
       (b'{"service":"","status":""}', False, {"service": "", "status": None}), (DEEP, False, {"service": "deep"}), (LARGE, False, {"service": "large"}),
       (b'{"ts":0,"service":"t0"}', False, {"service": "t0", "ts": 0}), (b'{"ts":-1,"service":"t-1"}', False, {"service": "t-1", "ts": None}),
       (b'{"ts":"9999-12-31T23:59:59Z","service":"far"}', False, {"service": "far", "ts": None}), (b'{"ts":1e30,"service":"beyond"}', False, {"service": "beyond", "ts": None}),
       (b'{"duration_ms":1e999}', True, {}), (b'{"service":"\\ud800"}', True, {}), (b"\x00" * 100, True, {})]


def rows(topology, *columns):
    table = deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=["kafka_partition", "kafka_offset", *columns])
    return table.sort_by([("kafka_partition", "ascending"), ("kafka_offset", "ascending")]).to_pylist()


def micros(time):
    return (time - oracle_module.EPOCH) // datetime.timedelta(microseconds=1)


def bad(world):
    for encoding in ("json", "raw"):
        world.create(f"bad-{encoding}", 1, **{"max.message.bytes": "30000000"})
        topology = world.topology_of(f"bad-{encoding}", encoding)
        produce(world, f"bad-{encoding}", [payload for payload, _, _ in BAD], 1)
        world.run_until_complete(topology)
        found = rows(topology, "raw", "error", "service", "status", "ts", "arrival", "bytes")
        check(len(found) == len(BAD), f"{len(found)} rows of {len(BAD)} records")
        for row, (payload, error, cells) in zip(found, BAD):
            where = f"{encoding}: {payload!r:.60}"
            check(row["raw"] == payload and row["bytes"] == len(payload or b""), f"{where}: raw or bytes differ")
            if encoding == "raw":
                check(row["error"] is None and row["service"] is None, f"{where}: {row['error']}, {row['service']}")
                continue
            check((row["error"] is not None) == error, f"{where}: error is {row['error']!r}")
            for name, value in cells.items():
                got = micros(row["ts"]) if name == "ts" else row[name]
                check(got == (micros(row["arrival"]) if name == "ts" and value is None else value), f"{where}: {name} is {got!r}, expected {value!r}")
            if error:
                check(row["service"] is None and row["status"] is None, f"{where}: cells of a row with an error")
        audit(topology)
        print(f"{encoding}: {len(found)} records, {sum(r['error'] is not None for r in found)} with an error: " + "; ".join(sorted({r["error"] for r in found if r["error"]})))


COLUMNS = """  raw: errors
  columns:
    - {name: text, from: /a/text, type: string}
    - {name: small, from: [/small, /a/0], type: int32}
    - {name: large, from: /large, type: int64}
    - {name: real, from: /real, type: double, default: "2.5"}
    - {name: flag, from: /flag, type: bool}
    - {name: at, from: /at, type: timestamp}
"""


def columns(world):
    world.create("columns", 1)
    topology = world.topology_of("columns", "json", COLUMNS)
    plain = topology.read_text()
    first = [{"a": {"text": "x", "more": 1}, "small": -2**31, "large": 2**63 - 1, "real": 0.1, "flag": True, "at": "2026-11-25T00:00:00.000001Z", "message": "m"},
             {"small": 2**31, "large": "7", "flag": "yes", "at": 1764028800123, "nested": {"k": [1, None]}}]
    produce(world, "columns", [json.dumps(r).encode() for r in first] + [b"{broken"], 1)
    world.run_until_complete(topology)
    found = rows(topology, "text", "small", "large", "real", "flag", "at", "rest", "raw", "error", "bytes")
    cells = [[r[c] for c in ("text", "small", "large", "real", "flag")] + [r["at"] and micros(r["at"])] for r in found]
    check(cells == [["x", -2**31, 2**63 - 1, 0.1, True, 1795564800000001], [None, None, 7, 2.5, None, 1764028800123000], [None] * 6], f"cells: {cells}")
    check(json.loads(found[0]["rest"]) == {"a": first[0]["a"], "message": "m"}, f"rest: {found[0]['rest']}")
    check(json.loads(found[1]["rest"]) == {"small": 2**31, "flag": "yes", "nested": {"k": [1, None]}}, f"rest: {found[1]['rest']}")
    check([r["raw"] for r in found] == [None, None, b"{broken"] and found[2]["error"], f"raw: {[r['raw'] for r in found]}")
    check(found[0]["bytes"] == len(json.dumps(first[0])), "bytes are those of the payload, kept or not")
    audit(topology)

    before = deltalake.DeltaTable(str(table_of(topology))).version()
    topology.write_text(plain.replace("    - {name: text", "    - {name: added, from: /message, type: string}\n    - {name: text").replace("    - {name: flag, from: /flag, type: bool}\n", ""))
    produce(world, "columns", [json.dumps(first[0]).encode()], 1)
    world.run_until_complete(topology)
    entry = [json.loads(line) for line in (table_of(topology) / "_delta_log" / f"{before + 1:020}.json").read_text().splitlines()]
    check([next(iter(action)) for action in entry] == ["commitInfo", "metaData"], f"version {before + 1} is {[next(iter(a)) for a in entry]}")
    found = rows(topology, "added", "flag", "text", "rest")
    check([r["added"] for r in found] == [None, None, None, "m"], f"added: {[r['added'] for r in found]}")
    check(found[3]["flag"] is None and json.loads(found[3]["rest"])["flag"] is True, "a column no longer declared stays, its values go to rest")
    topology.write_text(plain.replace("from: /large, type: int64", "from: /large, type: string"))
    ingest_tests.refused(topology, "column 'large' is long in the table", "string in the topology", "restore the type, or give the new one another name")
    topology.write_text(plain)
    audit(topology)


TRIALS = {"bad": bad, "columns": columns, "otlp": otlp, "generated": generated}


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
