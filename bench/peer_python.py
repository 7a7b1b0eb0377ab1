#!/usr/bin/env python3
"""peer_python.py BROKERS TOPIC TABLE EVENTS: what a team writes in an afternoon instead of Headpond: confluent-kafka → pyarrow → deltalake. The same columns as Headpond's
defaults and the payload, zstd-1, an append a second; offsets are committed to the group after each append, so a crash between the two repeats records.
No arrival, clocks, fingerprints, pattern_id, gaps: it does less. Ends at EVENTS rows."""
import datetime
import json
import sys
import time

import confluent_kafka
import deltalake
import pyarrow as pa

TEXTS = ("service", "tenant", "host", "event", "user_id")
SCHEMA = pa.schema([("ts", pa.timestamp("us", "UTC")), ("severity", pa.string())] + [(name, pa.string()) for name in TEXTS]
                   + [("status", pa.int32()), ("duration_ms", pa.float64()), ("kafka_partition", pa.int32()), ("kafka_offset", pa.int64()),
                      ("kafka_timestamp", pa.timestamp("ms", "UTC")), ("error", pa.string()), ("raw", pa.binary()), ("ingest_date", pa.date32())])


def row_of(message):
    payload, error = message.value(), None
    try:
        event = json.loads(payload)
    except ValueError as problem:
        event, error = {}, str(problem)
    timestamp = message.timestamp()[1]
    try:
        ts = datetime.datetime.fromisoformat(event["ts"]) if "ts" in event else None
    except (TypeError, ValueError):
        ts = None
    return (ts, event.get("severity"), *(event.get(name) for name in TEXTS), event.get("status"), event.get("duration_ms"), message.partition(), message.offset(), timestamp,
            error, payload, datetime.date.fromtimestamp(timestamp / 1000))


def main():
    brokers, topic, table, wanted = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    consumer = confluent_kafka.Consumer({"bootstrap.servers": brokers, "group.id": "peer-python", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([topic])
    properties = deltalake.WriterProperties(compression="ZSTD", compression_level=1)
    written, rows, due = 0, [], time.monotonic() + 1
    while written < wanted:
        rows += [row_of(message) for message in consumer.consume(10_000, timeout=0.2) if not message.error()]
        if rows and (time.monotonic() >= due or written + len(rows) >= wanted):
            batch = pa.Table.from_arrays([pa.array(column, field.type) for column, field in zip(zip(*rows), SCHEMA)], schema=SCHEMA)
            deltalake.write_deltalake(table, batch, mode="append", partition_by=["ingest_date"], writer_properties=properties)
            consumer.commit(asynchronous=False)
            written, rows, due = written + len(rows), [], time.monotonic() + 1
    consumer.close()


if __name__ == "__main__":
    main()
