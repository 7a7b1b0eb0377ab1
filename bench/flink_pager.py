#!/usr/bin/env python3
"""flink_pager.py [--versions N] [--seed N] [--out FILE]: `flink.commit_to_transition.p99_ms`: a bronze commit is visible → the target hears a transition
that it brought, through the job on a real Flink cluster, the outbox, and `headpond notify`; bronze, checkpoints and outbox in versitygw. A version about
every second; the first ten do not count. `flink.commit_to_outbox.p99_ms` is the job's part of it. Prints p50, p99 and how many, and puts the figures into FILE (default build/bench.json). Exit 1 unless the target heard exactly
the pages of the definition (tests/oracle/pager_oracle.py): then the figure says nothing.

Floor: one after another, what any such pager asks of the store: GET of the log entry and of the file, PUT of the outbox object, LIST and GET of it.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

import pyarrow.fs

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from flink_harness import BRONZE, BUCKET, S3, Cluster, growing, run_cases  # noqa: E402
from flink_pages import Delivery, busy_case, check_pages, identity, wanted_pages  # noqa: E402
from harness import Failed, check, wait_until  # noqa: E402

NAME, OUTBOX = "flink.commit_to_transition.p99_ms", "flink.commit_to_outbox.p99_ms"
GOAL_MS = 280  # the prototype's worst
EVERY_S, WARM = (0.7, 1.3), 10  # not in step with anything that looks once a second
HOSTS = 60


class Watch(threading.Thread):
    """When each outbox object was first there, for where the time goes."""

    def __init__(self, outbox):
        super().__init__(daemon=True)
        self.outbox, self.seen, self.stopping = outbox, {}, threading.Event()

    def run(self):
        while not self.stopping.wait(0.005):
            now = time.time()
            try:
                names = os.listdir(self.outbox)
            except FileNotFoundError:  # the store removes a folder with its last object
                continue
            for name in names:
                if not name.startswith("."):
                    self.seen.setdefault(name, now)

    def first(self):
        """By version."""
        out = {}
        for name, at in sorted(self.seen.items(), key=lambda entry: entry[1]):
            out.setdefault(int(name.split("-")[1]), at)
        return out


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def floor_ms(branch, versions):
    """p99 of the five requests, one after another."""
    store = pyarrow.fs.S3FileSystem(access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"], scheme="http",
                                    endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"), region="us-east-1")
    root = "%s/%s/lake" % (BUCKET, branch.name)
    took = []
    for version in range(versions):
        log = "%s/%s/_delta_log/%020d.json" % (root, BRONZE, version)
        actions = [json.loads(line) for line in (branch.lake / BRONZE / "_delta_log" / ("%020d.json" % version)).read_text().splitlines()]
        file = next((action["add"]["path"] for action in actions if "add" in action), None)
        if file is None:
            continue
        began = time.perf_counter()
        for path in (log, "%s/%s/%s" % (root, BRONZE, file)):
            with store.open_input_stream(path) as stream:
                stream.read()
        with store.open_output_stream(root + "/floor/object.json") as out:
            out.write(b"x" * 1000)
        store.get_file_info(pyarrow.fs.FileSelector(root + "/floor"))
        with store.open_input_stream(root + "/floor/object.json") as stream:
            stream.read()
        took.append(1000 * (time.perf_counter() - began))
    return quantile(took, 0.99)


def feed(feeder, committed, delivery, rng):
    due = time.monotonic()
    while feeder.at <= feeder.last:
        wait_until(lambda: time.monotonic() >= due or not delivery.notifier.running(), 30, "the next commit is due")
        check(delivery.notifier.running(), "headpond notify ended by itself")
        version = feeder.at
        feeder.commit()
        committed[version] = time.time()
        due += rng.uniform(*EVERY_S)


def first_heard(pages):
    out = {}
    for page in pages:
        out.setdefault(identity(page["id"]), page["at"])
    return out


def measure(options, s3, cluster, directory):
    case = busy_case(options.seed, options.versions, HOSTS)
    made = run_cases([case], s3.data)[0]["streams"][0]
    branch, feeder = growing(s3, case, made, "bench")
    delivery, watch = Delivery(branch, directory / "notify"), Watch(branch.lake / "pages" / "p" / "_outbox")
    wanted = wanted_pages(case)
    table_version = {index: version for version, index in made["index_of"]}
    committed = {}
    try:
        job = cluster.submit(branch.document, 2)
        delivery.start()
        watch.start()
        feeder.commit()
        branch.wait_for(0, cluster, job)
        feed(feeder, committed, delivery, random.Random(options.seed))
        wait_until(lambda: len(first_heard(delivery.pages())) >= len(wanted), 60, "all pages are heard")
        branch.wait_for(feeder.last, cluster, job)
        cluster.cancel(job)
        delivery.stop()
    finally:
        watch.stopping.set()
        delivery.close()
    check_pages(wanted, delivery.pages())
    heard, written, delays, to_outbox = first_heard(delivery.pages()), watch.first(), [], []
    for who, t in wanted.items():
        version = table_version[t["version"]]
        if version >= WARM:
            delays.append(1000 * (heard[who] - committed[version]))
    for version, at in written.items():
        if version >= WARM and version in committed:
            to_outbox.append(1000 * (at - committed[version]))
    check(len(delays) >= 100, "only %d pages: too few for a p99" % len(delays))
    return delays, to_outbox, floor_ms(branch, feeder.last)


def put_figure(path, figure):
    """Into the list of figures, in place of an earlier one of its name."""
    figures = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps([f for f in figures if f["name"] != figure["name"]] + [figure], indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "bench.json")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that cluster and store are stopped
    directory = pathlib.Path(tempfile.mkdtemp(prefix="headpond-flink-bench-"))
    s3 = cluster = None
    try:
        s3 = S3(directory / "s3")
        cluster = Cluster(directory / "flink", 1)
        delays, to_outbox, floor = measure(options, s3, cluster, directory)
    finally:
        for running in (cluster, s3):
            if running is not None:
                running.stop()
    for name, values in ((NAME, delays), (OUTBOX, to_outbox)):
        put_figure(options.out, {"name": name, "value": round(quantile(values, 0.99)), "unit": "ms", "floor": round(floor, 1) if name == NAME else None, "goal": GOAL_MS})
    print(json.dumps({"name": NAME, "pages": len(delays), "p50": round(quantile(delays, 0.5)), "value": round(quantile(delays, 0.99)), "max": round(max(delays)),
                      "outbox_p50": round(quantile(to_outbox, 0.5)), "outbox_p99": round(quantile(to_outbox, 0.99)), "versions": options.versions, "floor": round(floor, 1), "goal": GOAL_MS}))
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        print("FAILED: %s" % failure, file=sys.stderr)
        sys.exit(1)
