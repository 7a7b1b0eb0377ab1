#!/usr/bin/env python3
"""peers.py [--events N] [--peers NAME…]: the same topic taken into a Delta or Parquet table by Headpond and by what teams use instead, one after another on this machine; CPU time of the
whole process a record, from the kernel, start included. A figure counts only if every record is in its table. Prints one line of JSON a peer; `ratio`: its CPU over Headpond's."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import deltalake
import pyarrow.dataset

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import harness  # noqa: E402
from harness import check, headpond  # noqa: E402

TOPOLOGY = """\
version: 1
name: peers
source:
  kafka: {brokers: "%s", topic: logs, encoding: json, start: earliest}
consumers:
  - {name: ops, tier: 2, freshness: 5m}
bronze: {location: lake/bronze/logs}
expect: {events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 64, cores: 2}
serve: {listen: "127.0.0.1:0"}
"""


def cpu_of(command, log, **more):
    """Runs it; CPU seconds of the process and its children."""
    with open(log, "wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, **more)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    check(child.returncode == 0, f"{command[0]} …: exit {child.returncode}: {pathlib.Path(log).read_text()[-800:]}")
    return usage.ru_utime + usage.ru_stime


def size_of(table):
    return sum(table.get_add_actions(flatten=True).column("size_bytes").to_pylist())


def rows_of(table):
    return sum(table.get_add_actions(flatten=True).column("num_records").to_pylist())


def python(brokers, directory, events, ours):
    theirs = cpu_of([sys.executable, str(ROOT / "bench" / "peer_python.py"), brokers, "logs", str(directory / "python"), str(events)],
                    directory / "python.log")
    table = deltalake.DeltaTable(str(directory / "python"))
    check(rows_of(table) == events, f"python: {rows_of(table)} rows of {events}")
    print(json.dumps({"name": "ingest.peer.python.process_cpu_ns_per_event", "value": round(theirs / events * 1e9), "events": events,
                      "bytes_per_event": round(size_of(table) / events, 1), "unit": "ns", "ratio": round(theirs / ours, 1)}), flush=True)


def flink_sql(brokers, directory, events, ours):
    flink = [sys.executable, str(ROOT / "bench" / "peer_flink.py")]
    if subprocess.run([*flink, "install"]).returncode != 0:
        return
    theirs = cpu_of([*flink, brokers, "logs", str(directory / "flink")], directory / "flink.log")
    check((directory / "flink").exists(), f"flink wrote nothing: {(directory / 'flink.log').read_text()[-1500:]}")
    files = pyarrow.dataset.dataset(directory / "flink", format="parquet")
    check(files.count_rows() == events, f"flink: {files.count_rows()} rows of {events}: {(directory / 'flink.log').read_text()[-1500:]}")
    size = sum(pathlib.Path(path).stat().st_size for path in files.files)
    print(json.dumps({"name": "ingest.peer.flink_sql.process_cpu_ns_per_event", "value": round(theirs / events * 1e9), "events": events,
                      "bytes_per_event": round(size / events, 1), "unit": "ns", "ratio": round(theirs / ours, 1)}), flush=True)


PEERS = {"python": python, "flink_sql": flink_sql}


def main(directory, events, peers):
    with harness.Kafka(directory / "kafka") as kafka:
        topology = directory / "topology.yaml"
        topology.write_text(TOPOLOGY % kafka.bootstrap)
        generated = headpond("generate", "-f", topology, "-n", events, timeout=3000)
        check(generated.returncode == 0, generated.stderr)
        ours = cpu_of([harness.BINARY, "ingest", "-f", str(topology), "--until-end"], directory / "headpond.log")
        table = deltalake.DeltaTable(str(directory / "lake" / "bronze" / "logs"))
        check(rows_of(table) == events, f"headpond: {rows_of(table)} rows of {events}")
        print(json.dumps({"name": "ingest.json.process_cpu_ns_per_event", "value": round(ours / events * 1e9), "events": events,
                          "bytes_per_event": round(size_of(table) / events, 1), "unit": "ns"}), flush=True)
        for peer in peers:
            PEERS[peer](kafka.bootstrap, directory, events, ours)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=sorted(PEERS, reverse=True))
    with tempfile.TemporaryDirectory(prefix="headpond-peers-") as place:
        try:
            options = parser.parse_args()
            main(pathlib.Path(place), options.events, options.peers)
        except harness.Failed as failed:
            sys.exit(f"FAILED: {failed}")
