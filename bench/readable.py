#!/usr/bin/env python3
"""readable.py [--store directory|s3] [--rate N] [--seconds N] [--put-ms N] [--ingesters K]: `ingest.readable.p99_ms`: a record is produced (its Kafka timestamp) → a reader
that asks the store for the next version sees the one that holds it. Producer, Apache Kafka, ingest, the store (versitygw for s3) and this reader share the
machine. --put-ms: each PUT is held back that long by a proxy in front of the store. --ingesters: so many
share the topic (`--instance i/K`), each with its share of the partitions. The first 5 s do not count. Prints one line of JSON; exit 1 when the
producer did not keep the rate, or when the audit afterwards is not clean: then the figure says nothing."""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import pyarrow
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import harness  # noqa: E402
from far_store import FarStore  # noqa: E402
from harness import check  # noqa: E402

POLL_S = 0.01
WARM_S = 5
PARTITIONS = 64
TOPOLOGY = """\
version: 1
name: readable
source:
  kafka: {brokers: "%(brokers)s", topic: logs, encoding: json, start: earliest}
consumers:
  - {name: on-call, tier: 1, freshness: 30s, latency_value: {usd_per_minute: 1000, incidents_per_month: 4}}
bronze: {location: %(lake)s/bronze/logs, commit_interval: 1s}
branches:
  - {name: pager, kind: pager, serves: [on-call], reads: bronze, rhythm: stream, rules: rules.yaml, state: {store: rocksdb, checkpoints: %(lake)s/pager}, engine: embedded}
expect: {events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 64, cores: 2}
"""


class Store:
    """A lake in a directory or in versitygw; `env` is what its clients need."""

    def __init__(self, kind, directory, put_ms):
        self.kind, self.directory, self.env = kind, directory, {}
        if kind == "directory":
            self.lake, self.root, self.fs = str(directory / "lake"), str(directory / "lake"), pyarrow.fs.LocalFileSystem()
            return
        tool = str(ROOT / "tools/s3")
        endpoint = subprocess.run([tool, "start", directory / "s3"], capture_output=True, text=True, check=True).stdout.split()[-1]
        subprocess.run([tool, "bucket", directory / "s3", "lake"], check=True)
        self.env = dict(re.findall(r"(\w+)=(\S+)", subprocess.run([tool, "env", directory / "s3"], capture_output=True, text=True, check=True).stdout))
        if put_ms:
            self.env["AWS_ENDPOINT_URL"] = FarStore(endpoint, put_ms / 1000, ("PUT", "POST")).url
        self.lake, self.root = "s3://lake", "lake"
        self.fs = pyarrow.fs.S3FileSystem(access_key=self.env["AWS_ACCESS_KEY_ID"], secret_key=self.env["AWS_SECRET_ACCESS_KEY"], scheme="http",
                                          endpoint_override=endpoint.removeprefix("http://"), region="us-east-1")

    def close(self):
        if self.kind == "s3":
            subprocess.run([ROOT / "tools/s3", "stop", self.directory / "s3"], check=False)


class Reader(threading.Thread):
    """Asks for the next version until it is there and notes when that was."""

    def __init__(self, store):
        super().__init__(daemon=True)
        self.store, self.seen, self.stopping = store, [], threading.Event()  # seen: (time, [paths])

    def run(self):
        version = 0
        while not self.stopping.is_set():
            try:
                with self.store.fs.open_input_file(f"{self.store.root}/bronze/logs/_delta_log/{version:020d}.json") as log:
                    content = log.read()
            except (FileNotFoundError, OSError):
                self.stopping.wait(POLL_S)
                continue
            now = time.time()
            actions = [json.loads(line) for line in content.splitlines()]
            self.seen.append((now, [a["add"]["path"] for a in actions if "add" in a]))
            version += 1

    def delays_ms(self, since):
        """Of every row whose record was produced behind `since`."""
        out = []
        for seen, paths in self.seen:
            for path in paths:
                rows = pyarrow.parquet.read_table(f"{self.store.root}/bronze/logs/{path}", filesystem=self.store.fs, columns=["kafka_timestamp"], partitioning=None)
                produced = rows.column(0).cast(pyarrow.timestamp("us", "UTC")).cast(pyarrow.int64())
                out += pc.subtract(int(seen * 1e6), produced.filter(pc.greater_equal(produced, int(since * 1e6)))).chunks
        return pc.divide(pyarrow.chunked_array(out, pyarrow.int64()), 1000)


def measure(options, directory):
    store = Store(options.store, directory, options.put_ms)
    try:
        return measure_on(store, options, directory)
    finally:
        store.close()


def measure_on(store, options, directory):
    with harness.Kafka(directory / "kafka") as kafka:
        topology = directory / "topology.yaml"
        topology.write_text(TOPOLOGY % {"brokers": kafka.bootstrap, "lake": store.lake})
        (directory / "rules.yaml").write_text(harness.RULES)
        made = harness.headpond("generate", "-f", topology, "-n", 1000, "--partitions", PARTITIONS)
        check(made.returncode == 0, made.stderr)
        reader = Reader(store)
        ingesters = [harness.Up(topology, directory / f"ingest-{i}.log", "ingest", env=store.env, arguments=["--instance", f"{i}/{options.ingesters}"]) for i in range(options.ingesters)]
        running = lambda: all(ingest.running() for ingest in ingesters)
        try:
            reader.start()
            harness.wait_until(lambda: any(paths for _, paths in reader.seen) or not running(), 60, f"the first rows; see {directory}/ingest-0.log")
            check(running(), f"an ingester ended by itself; see {directory}/ingest-*.log")
            began = time.time()
            made = harness.headpond("generate", "-f", topology, "-n", options.rate * options.seconds, "--rate", options.rate, "--seed", 2, timeout=options.seconds * 10 + 60)
            took = time.time() - began
            check(made.returncode == 0, made.stderr)
            versions = len(reader.seen)
            harness.wait_until(lambda: len(reader.seen) > versions + 2 * options.ingesters, 60, "the last rows are readable")
        finally:
            codes = [ingest.terminate() for ingest in ingesters]
            reader.stopping.set()
            reader.join(30)
        check(not any(codes), f"ingest ended with {codes}")
        audit = harness.headpond("audit", "-f", topology, "--deep", env=store.env, timeout=900)
        check(audit.returncode == 0, f"the audit: {audit.stdout}{audit.stderr}")
        delays = reader.delays_ms(began + WARM_S)
    check(took < options.seconds * 1.05, f"{options.rate} events/s were not kept up: {options.rate * options.seconds / took:.0f}/s")
    p50, p99, worst = pc.quantile(delays, [0.5, 0.99, 1]).to_pylist()
    return {"name": "ingest.readable.p99_ms", "store": options.store, "put_ms": options.put_ms, "ingesters": options.ingesters, "events_per_s": round(options.rate * options.seconds / took),
            "events": len(delays), "versions": len(reader.seen), "p50": round(p50), "value": round(p99), "max": round(worst), "goal": 2000}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["directory", "s3"], default="directory")
    parser.add_argument("--rate", type=int, default=200_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--put-ms", type=int, default=0)
    parser.add_argument("--ingesters", type=int, default=1)
    options = parser.parse_args()
    with harness.Workspace() as directory:
        print(json.dumps(measure(options, directory)))


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)
