#!/usr/bin/env python3
"""bronze_equals_topic.py BOOTSTRAP TOPIC TABLE [--generation N] [--raw] [--before-start] [--dump FILE] [--earlier FILE] [--lost FILE]: holds a bronze table against its topic, row by row.

The topic is read by a consumer that is not ours (confluent-kafka, read_committed, from the beginning to the end as it is now); the table through
deltalake, DuckDB's delta extension and pyarrow. Each record must be there exactly once, with its payload, key, headers, time and size; `error`
must be set exactly where Python's own JSON reader fails; the default columns must hold what Python reads from the payload; `arrival` must
never fall within a partition and lie in its ingest_date. --raw: an `encoding: raw` topic. --before-start: rows may begin behind offset 0.
--dump: only adds what the topic holds now to FILE; --earlier: that FILE, the topic may have lost records since. --lost: JSON, [partition, offset]
of the records that must not be in the table; all others must.
Exit 1 with the first differences, 0 when there is none."""
import argparse
import base64
import datetime
import glob
import json
import math
import os
import pickle
import sys
from urllib.parse import unquote

import confluent_kafka
import deltalake
import duckdb
import duckdb_extension_delta
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ["source", "kafka_partition", "kafka_offset", "record_index", "raw", "kafka_key", "kafka_headers", "kafka_timestamp", "bytes", "error",
           "ts", "arrival"]
TYPED = {"severity_number": ("severity_number", "int32"), "service": ("service", "string"), "tenant": ("tenant", "string"), "host": ("host", "string"),
         "event": ("event", "string"), "status": ("status", "int32"), "duration_ms": ("duration_ms", "double"), "user_id": ("user_id", "string")}
SHOWN = 10


def first_wins(pairs):
    out = {}
    for key, value in pairs:
        out.setdefault(key, value)
    return out


def refuse(text):
    raise ValueError(text)


def read_json(payload):
    """The object in a payload, or None where it is not exactly one valid JSON object."""
    try:
        value = json.loads(payload.decode("utf-8"), object_pairs_hook=first_wins, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def header_json(headers):
    def text(value):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}

    return [[name, None if value is None else text(value)] for name, value in headers]


def typed(value, kind):
    """What a cell of the type holds for a JSON value: None where it does not fit."""
    if kind == "string":
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if kind == "double":
        return float(value) if math.isfinite(value) else None
    return int(value) if float(value).is_integer() and -2**31 <= value < 2**31 else None


def read_topic(bootstrap, topic):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": f"oracle-{os.getpid()}", "enable.auto.commit": False,
                                         "isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    partitions = sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    if not partitions:
        sys.exit(f"no topic {topic} at {bootstrap}")
    consumer.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
    records, open_partitions = {}, set(partitions)
    while open_partitions:
        batch = consumer.consume(10000, timeout=10)
        if not batch:
            sys.exit(f"the topic does not end: nothing came for 10 s from partitions {sorted(open_partitions)}")
        for message in batch:
            if message.error() is not None:
                if message.error().code() != confluent_kafka.KafkaError._PARTITION_EOF:
                    sys.exit(f"reading {topic}: {message.error()}")
                open_partitions.discard(message.partition())
                continue
            kind, at_ms = message.timestamp()
            records[(message.partition(), message.offset())] = (
                message.value(), message.key(), message.headers(), None if kind == confluent_kafka.TIMESTAMP_NOT_AVAILABLE else at_ms)
    consumer.close()
    return records


def load(path):
    if not path or not os.path.exists(path):
        return {}
    with open(path, "rb") as file:
        return pickle.load(file)


def through_deltalake(path, columns):
    return deltalake.DeltaTable(path).to_pyarrow_table(columns=columns)


def through_duckdb(path, columns):
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    folder = os.path.dirname(duckdb_extension_delta.__file__)
    connection.execute(f"LOAD '{glob.glob(os.path.join(folder, '**', '*.duckdb_extension'), recursive=True)[0]}'")
    connection.execute("SET TimeZone = 'UTC'")
    found = connection.execute(f"SELECT {', '.join(columns)} FROM delta_scan('{path}')").arrow()
    return found if isinstance(found, pa.Table) else found.read_all()


def through_pyarrow(path, columns):
    """The files that the log names, read as plain Parquet."""
    live, begin = {}, ""
    log = os.path.join(path, "_delta_log")
    if os.path.exists(os.path.join(log, "_last_checkpoint")):
        with open(os.path.join(log, "_last_checkpoint")) as file:
            begin = f"{json.load(file)['version']:020}"
        for add in pq.read_table(os.path.join(log, begin + ".checkpoint.parquet"), columns=["add"]).column("add").to_pylist():
            if add is not None:
                live[unquote(add["path"])] = dict(add["partitionValues"])["ingest_date"]
    for name in sorted(os.listdir(log)):
        if not name.endswith(".json") or name[:20] <= begin:
            continue
        with open(os.path.join(log, name)) as lines:
            for action in map(json.loads, lines):
                if "add" in action:
                    live[unquote(action["add"]["path"])] = action["add"]["partitionValues"]["ingest_date"]
                elif "remove" in action:
                    live.pop(unquote(action["remove"]["path"]), None)
    tables = []
    for file, day in live.items():
        stored = [c for c in columns if c != "ingest_date"]
        table = pq.ParquetFile(os.path.join(path, file)).read(columns=stored)
        if "ingest_date" in columns:
            table = table.append_column("ingest_date", pa.array([datetime.date.fromisoformat(day)] * table.num_rows))
        tables.append(table.select(columns))
    return pa.concat_tables(tables) if tables else pa.table({c: [] for c in columns})


def micros(value):
    if value is None:
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.timezone.utc)
    return (value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)


class Report:
    def __init__(self):
        self.count = 0

    def add(self, text):
        self.count += 1
        if self.count <= SHOWN:
            print(f"DIFFERENT {text}")


def rows_of(table):
    return list(zip(*(table.column(name).to_pylist() for name in table.column_names)))


def compare(reader, rows, names, records, source, options, report):
    at = {name: i for i, name in enumerate(names)}
    seen = set()
    by_partition = {}
    for row in rows:
        get = lambda name: row[at[name]]
        if get("source") != source:
            continue
        key = (get("kafka_partition"), get("kafka_offset"))
        where = f"[{reader}] partition {key[0]} offset {key[1]}"
        if key in seen:
            report.add(f"{where}: twice in the table")
            continue
        seen.add(key)
        if key not in records:
            report.add(f"{where}: in the table, not in the topic")
            continue
        value, message_key, headers, at_ms = records[key]
        arrival = micros(get("arrival"))
        by_partition.setdefault(key[0], []).append((key[1], arrival, where))
        expect = {"record_index": 0, "raw": value, "kafka_key": message_key, "kafka_timestamp": None if at_ms is None else at_ms * 1000,
                  "bytes": 0 if value is None else len(value), "kafka_headers": header_json(headers) if headers else None}
        found = {"record_index": get("record_index"), "raw": get("raw"), "kafka_key": get("kafka_key"),
                 "kafka_timestamp": micros(get("kafka_timestamp")), "bytes": get("bytes"),
                 "kafka_headers": json.loads(get("kafka_headers")) if get("kafka_headers") is not None else None}
        for name in expect:
            if found[name] != expect[name]:
                report.add(f"{where}: {name} is {found[name]!r:.200}, the topic has {expect[name]!r:.200}")
        if get("ingest_date") != datetime.datetime.fromtimestamp(arrival / 1e6, datetime.timezone.utc).date():
            report.add(f"{where}: arrival {get('arrival')} is not in its ingest_date {get('ingest_date')}")
        if options.raw:
            if get("error") is not None:
                report.add(f"{where}: error is {get('error')!r} in a raw topic")
            continue
        document = None if value is None else read_json(value)
        if (get("error") is not None) != (document is None and value is not None):
            report.add(f"{where}: error is {get('error')!r}, Python reads {'no object' if document is None else 'an object'}: {value!r:.120}")
        for column, (field, kind) in TYPED.items():
            if column not in at:
                continue
            wanted = typed((document or {}).get(field), kind)
            if row[at[column]] != wanted:
                report.add(f"{where}: {column} is {row[at[column]]!r}, Python reads {wanted!r}")
    first = {}
    for partition, offset in records:
        first[partition] = min(first.get(partition, offset), offset)
    begins = {p: min(o for q, o in seen if q == p) for p in {q for q, _ in seen}} if options.before_start else {}
    for partition, offset in sorted(records):
        if (partition, offset) not in seen and not (options.before_start and offset < begins.get(partition, math.inf)):
            report.add(f"[{reader}] partition {partition} offset {offset}: in the topic, not in the table")
    for partition, found in by_partition.items():
        found.sort()
        for (_, before, _), (_, after, where) in zip(found, found[1:]):
            if after < before:
                report.add(f"{where}: arrival falls from {before} to {after}")
    return len(seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("table")
    parser.add_argument("--generation", type=int, default=0)
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--before-start", action="store_true")
    parser.add_argument("--dump")
    parser.add_argument("--earlier")
    parser.add_argument("--lost")
    options = parser.parse_args()
    records = {**load(options.dump or options.earlier), **read_topic(options.bootstrap, options.topic)}
    if options.dump:
        with open(options.dump, "wb") as file:
            pickle.dump(records, file)
        print(f"{len(records)} records")
        return 0
    if options.lost:
        with open(options.lost) as file:
            for key in map(tuple, json.load(file)):
                if records.pop(key, None) is None:
                    sys.exit(f"partition {key[0]} offset {key[1]} was never in the topic, so it cannot be lost")
    present = {field.name for field in deltalake.DeltaTable(options.table).schema().fields}
    names = COLUMNS + ["ingest_date"] + ([] if options.raw else [c for c in TYPED if c in present])
    report = Report()
    source = f"{options.topic}@{options.generation}"
    counts = {}
    for reader, read in (("deltalake", through_deltalake), ("duckdb", through_duckdb), ("pyarrow", through_pyarrow)):
        table = read(options.table, names)
        counts[reader] = compare(reader, rows_of(table), table.column_names, records, source, options, report)
    if report.count:
        print(f"{report.count} differences between {options.table} and topic {options.topic} ({len(records)} records)")
        return 1
    print(f"bronze equals the topic: {len(records)} records, rows through " + ", ".join(f"{r} {n}" for r, n in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
