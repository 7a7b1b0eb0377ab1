#!/usr/bin/env python3
"""notify_kills.py [--kills 12] [--seed N]: `headpond notify` against outbox objects as a job on Flink writes them, some of them again, ended at each of
its kill points and at random, every third time without its disk afterwards. Then: every transition was sent or has a receipt that says why not,
each key was heard in order, a repeat has the same Idempotency-Key and a kill around it, and no object is left. Exit 1 with the first thing that is wrong."""
import argparse
import collections
import json
import random
import shutil
import sys
import pathlib
import threading
import time

import deltalake

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness
from harness import check, wait_until

POINTS = ["notify.after_list", "notify.after_send", "notify.before_delete"]
UNSENT = {"superseded"}
KEYS = 12
TOPOLOGY = """\
version: 1
name: acme
source:
  kafka: {brokers: "127.0.0.1:1", topic: logs, encoding: json, start: earliest}
consumers:
  - {name: on-call, tier: 1, freshness: 30s, latency_value: {usd_per_minute: 1000, incidents_per_month: 4}}
bronze:
  location: lake/bronze/logs
branches:
  - {name: pager, kind: pager, serves: [on-call], reads: bronze, rhythm: stream, rules: rules.yaml,
     state: {store: rocksdb, checkpoints: lake/flink}, engine: flink, flink: {rest: "http://127.0.0.1:1", parallelism: 1},
     notify: [{name: hook, kind: webhook, url: "%s"}]}
expect: {events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 4, cores: 2}
"""


class Job(threading.Thread):
    """Writes a version's transitions every 50 ms, and now and then what it wrote lately again, as after a restore."""

    def __init__(self, outbox, seed):
        super().__init__(daemon=True)
        self.outbox, self.random = outbox, random.Random(seed)
        self.seqs = collections.Counter()
        self.made = {}  # (key, seq) -> transition
        self.recent = collections.deque(maxlen=6)
        self.writes = 0
        self.stopping = threading.Event()

    def transition(self, key, version):
        self.seqs[key] += 1
        seq, now = self.seqs[key], int(time.time() * 1e6)
        made = {"generation": 1, "rule": "g/Silent", "key": key, "seq": seq, "kind": "firing" if seq % 2 else "resolved", "announced": False,
                "settles_announcement": False, "send": True, "boundary": now, "began_at": now, "value": 0, "version": version,
                "labels": {"alertname": "Silent"}, "annotations": {}, "incomplete": [], "window": 15000000, "limit": 0, "evidence_first": -1,
                "evidence_last": -1, "samples": [], "sql": ""}
        self.made[(key, seq)] = made
        return made

    def put(self, version, transitions):
        self.writes += 1
        hidden = self.outbox.parent / f"hidden-{self.writes}"
        hidden.write_text(json.dumps({"format": 1, "transitions": transitions}))
        hidden.rename(self.outbox / f"{1:010d}-{version:020d}-{self.writes:08d}.json")

    def run(self):
        version = 0
        while not self.stopping.wait(0.05):
            version += 1
            keys = [json.dumps({"host": f"h{k}"}, separators=(",", ":")) for k in range(KEYS) if self.random.random() < 0.15]
            if keys:
                self.recent.append((version, [self.transition(key, version) for key in keys]))
                self.put(*self.recent[-1])
            if self.random.random() < 0.05:
                for old in list(self.recent):
                    self.put(*old)

    def stop(self):
        self.stopping.set()
        self.join(10)


class Run:
    def __init__(self, directory, options):
        self.directory, self.options = directory, options
        self.random = random.Random(options.seed)
        self.lake, self.data, self.hits = directory / "lake", directory / "data", directory / "hits"
        self.pages = self.lake / "pages" / "pager"
        shutil.copytree(harness.ROOT / "tests/golden/format-1/bronze", self.lake / "bronze/logs")
        (self.pages / "_generations").mkdir(parents=True)
        (self.pages / "_generations" / f"{1:010d}.json").write_text(json.dumps({"format": 1, "generation": 1, "claimed_at": 0}))
        (self.pages / "_outbox").mkdir()
        (directory / "rules.yaml").write_text(harness.RULES)
        self.receiver = harness.Receiver()
        self.topology = directory / "topology.yaml"
        self.topology.write_text(TOPOLOGY % self.receiver.url)
        self.job = Job(self.pages / "_outbox", options.seed)
        self.kills = []

    def start(self, failpoint=None):
        env = {"HEADPOND_FAILPOINT_LOG": str(self.hits), **({"HEADPOND_FAILPOINT": failpoint} if failpoint else {})}
        return harness.Up(self.topology, self.directory / "notify.log", "notify", env=env, arguments=["--data-dir", str(self.data)])

    def kill_once(self, number, point):
        notifier = self.start(f"{point}:{1 + self.random.randrange(4)}" if point else None)
        try:
            if point:
                wait_until(lambda: not notifier.running(), 60, f"the kill at {point}")
                check(notifier.process.poll() == -9, f"{point}: ended with {notifier.process.poll()}; see {self.directory}/notify.log")
            else:
                until = time.monotonic() + self.random.uniform(0.5, 3)
                wait_until(lambda: time.monotonic() > until or not notifier.running(), 30, "a random moment")
                check(notifier.running(), f"ended by itself; see {self.directory}/notify.log")
        finally:
            notifier.kill()
        self.kills.append((time.time(), point or "at random"))
        if number % 3 == 2:
            check(self.data.exists(), f"{self.data} is not where the notifier keeps its state")
            shutil.rmtree(self.data)

    def kill_all(self):
        points = [(POINTS + [None])[i % 4] for i in range(self.options.kills)]
        self.random.shuffle(points)
        for number, point in enumerate(points):
            self.kill_once(number, point)

    def listings(self):
        return self.hits.read_text().split().count("notify.after_list")

    def finish(self):
        self.job.stop()
        before = self.listings()
        notifier = self.start()
        try:
            # The outbox may be empty already: SIGTERM before the process has taken it over would prove nothing.
            wait_until(lambda: self.listings() > before, 90, "the last notifier lists the outbox")
            wait_until(lambda: not list((self.pages / "_outbox").iterdir()), 90, "every object is delivered and removed")
        finally:
            code = notifier.terminate()
        check(code == 0, f"ended with {code} on SIGTERM; see {self.directory}/notify.log")

    def check_pages(self):
        statuses = collections.defaultdict(set)
        for row in deltalake.DeltaTable(str(self.pages)).to_pyarrow_table().to_pylist():
            statuses[(row["key"], row["seq"])].add(row["status"])
        sent = collections.defaultdict(list)
        newest = collections.Counter()
        for request in self.receiver.all():
            identity = json.loads(request["body"])["id"]
            if identity["rule"] != "g/Silent":
                continue
            key, seq = identity["key"], identity["seq"]
            check(seq >= newest[key], f"{key}: seq {seq} after {newest[key]}")
            newest[key] = seq
            sent[(key, seq)].append((request["at"], request["headers"]["idempotency-key"]))
        for identity in self.job.made:
            check(statuses[identity], f"{identity} has no receipt")
            check(sent[identity] or statuses[identity] & UNSENT, f"{identity} was not sent; receipts: {statuses[identity]}")
        for key, seq in self.job.seqs.items():
            check(newest[key] % 2 == seq % 2, f"{key}: the target last heard seq {newest[key]}, the job ended at {seq}")
        repeats = 0
        for identity, requests in sent.items():
            check(len({key for _, key in requests}) <= 1, f"{identity} was sent with different idempotency keys")
            for (a, _), (b, _) in zip(requests, requests[1:]):
                repeats += 1
                check(any(a - 1 <= t <= b for t, _ in self.kills), f"{identity} was sent again without a kill between")
        delivered = sum(1 for requests in sent.values() if requests)
        check(delivered >= 20, f"only {delivered} transitions were sent: too quiet a run to prove anything")
        return f"{len(self.job.made)} transitions in {self.job.writes} objects, {delivered} sent ({repeats} repeated around kills), the rest superseded"

    def report(self):
        reached, killed = collections.Counter(self.hits.read_text().split()), collections.Counter(why for _, why in self.kills)
        for point in [*POINTS, "at random"]:
            print(f"  {point:22} reached {reached[point]:6}  killed {killed[point]:3}")
            check(killed[point] > 0, f"no kill at {point}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.kills} kills")
    with harness.Workspace() as directory:
        run = Run(directory, options)
        run.job.start()
        run.kill_all()
        run.finish()
        verdict = run.check_pages()
        run.report()
        run.receiver.close()
    print("notify kills: " + verdict)


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
