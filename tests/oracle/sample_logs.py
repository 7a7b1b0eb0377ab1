#!/usr/bin/env python3
"""Real logs through examples/<name>.yaml, held value by value against an extraction written for this test alone.

sample_logs.py produce NAME BOOTSTRAP     one record a line of the sample into topic NAME (created with 3 partitions)
sample_logs.py check NAME TABLE           exit 1 with the first differences
NAME: nginx, zeek-dns, zeek-syslog, apache. The samples lie in $HEADPOND_SAMPLE_DATA (default: ../shared/data beside the repository)."""
import collections
import datetime
import json
import os
import subprocess
import sys

import deltalake

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
DATA = os.environ.get("HEADPOND_SAMPLE_DATA", os.path.join(ROOT, "..", "shared", "data"))
FILES = {"nginx": "nginx.ndjson.zst", "zeek-dns": "zeek-dns.ndjson.zst", "zeek-syslog": "zeek-syslog.ndjson.zst", "apache": "apache.log.zst"}
SEVERITY = {"EMERG": 22, "ALERT": 19, "CRIT": 18, "ERR": 17, "WARNING": 13, "NOTICE": 10, "INFO": 9, "DEBUG": 5}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
SHOWN = 10


def sample(name):
    path = os.path.join(DATA, FILES[name])
    if not os.path.exists(path):
        sys.exit(f"sample_logs: {path} is not there; set HEADPOND_SAMPLE_DATA to the folder of the sample logs")
    text = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    return [line for line in text.split(b"\n") if line]


def rfc3339(text):
    return (datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH) // datetime.timedelta(microseconds=1)


def nginx(line):
    d = json.loads(line)
    hg = d["server_zones"]["hg.nginx.org"]
    return {"ts": d["timestamp"] * 1000, "service": "nginx", "severity_number": 9, "host": d["address"], "nginx_version": d["nginx_version"],
            "loaded_at": d["load_timestamp"] * 1000, "pid": d["pid"], "connections_accepted": d["connections"]["accepted"],
            "connections_active": d["connections"]["active"], "requests_total": d["requests"]["total"], "hg_sent_bytes": hg["sent"],
            "hg_responses_5xx": hg["responses"]["5xx"]}


def zeek_dns(line):
    d = json.loads(line)
    return {"ts": rfc3339(d["ts"]), "service": d["_path"], "severity_number": 9, "host": d["id.orig_h"], "server": d["id.resp_h"],
            "server_port": d["id.resp_p"], "query": d.get("query"), "qtype": d.get("qtype"), "rcode": d.get("rcode"), "rtt_s": d.get("rtt"),
            "rejected": d.get("rejected"), "written_at": rfc3339(d["_write_ts"])}


def zeek_syslog(line):
    d = json.loads(line)
    return {"ts": rfc3339(d["ts"]), "service": d["_path"], "severity_number": SEVERITY.get(d.get("severity")), "severity": d.get("severity"),
            "facility": d.get("facility"), "host": d["id.orig_h"], "client_port": d["id.orig_p"], "server_port": d["id.resp_p"],
            "message": d.get("message"), "written_at": rfc3339(d["_write_ts"])}


def apache(line):
    return {"ts": "arrival", "service": "apache", "severity_number": 9, "tenant": "web", "bytes": len(line)}


EXTRACT = {"nginx": nginx, "zeek-dns": zeek_dns, "zeek-syslog": zeek_syslog, "apache": apache}


def produce(name, bootstrap):
    import confluent_kafka
    import confluent_kafka.admin

    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([confluent_kafka.admin.NewTopic(name, 3, 1)]).values():
        future.result()
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "queue.buffering.max.messages": 1000000})
    lines = sample(name)
    for i, line in enumerate(lines):
        producer.produce(name, line, partition=i % 3)
        producer.poll(0)
    producer.flush(30)
    print(f"{len(lines)} records into {name}")
    return 0


def comparable(value):
    if isinstance(value, datetime.datetime):
        value = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    return value


def check(name, path):
    lines = sample(name)
    fields = list(EXTRACT[name](lines[0]))
    columns = list(dict.fromkeys(fields + ["raw", "error", "arrival", "kafka_partition", "kafka_offset"]))
    table = deltalake.DeltaTable(path).to_pyarrow_table(columns=columns)
    rows = [dict(zip(columns, map(comparable, row))) for row in zip(*(table.column(c).to_pylist() for c in columns))]
    differences = 0

    def differ(text):
        nonlocal differences
        differences += 1
        if differences <= SHOWN:
            print(f"DIFFERENT {text}")

    # Record i of the sample is offset i // 3 of partition i % 3.
    by_place = {(row["kafka_partition"], row["kafka_offset"]): row for row in rows}
    if len(rows) != len(lines) or len(by_place) != len(lines):
        differ(f"{len(rows)} rows at {len(by_place)} places for {len(lines)} records")
    values = collections.Counter()
    for i, line in enumerate(lines):
        row = by_place.get((i % 3, i // 3))
        if row is None:
            differ(f"record {i}: no row")
            continue
        if row["raw"] != line:
            differ(f"record {i}: raw is {row['raw']!r:.100}, the sample has {line!r:.100}")
        if row["error"] is not None:
            differ(f"record {i}: error {row['error']!r}")
        for field, wanted in EXTRACT[name](line).items():
            wanted = row["arrival"] if wanted == "arrival" else wanted
            if row[field] != wanted or type(row[field]) is not type(wanted):
                differ(f"record {i}: {field} is {row[field]!r:.100}, extracted {wanted!r:.100}")
            values[field] += wanted is not None
    if differences:
        print(f"{differences} differences between {path} and {name}")
        return 1
    print(f"{name}: {len(lines)} records byte-exact; equal values: " + ", ".join(f"{f} {n}" for f, n in values.items()))
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("produce", "check") or sys.argv[2] not in FILES:
        sys.exit(__doc__)
    sys.exit({"produce": produce, "check": check}[sys.argv[1]](sys.argv[2], sys.argv[3]))
