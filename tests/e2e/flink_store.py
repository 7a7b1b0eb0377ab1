"""The Flink job on a store that misbehaves: everything its processes ask of S3 (Flink's own client for checkpoints; the job's for log, files, lease and outbox)
goes through a proxy that answers 503, answers late, drops the connection, or carries the request out and drops the answer; for a while it refuses everything.
Nothing is lost and nothing doubled at the target."""
import collections
import os
import pathlib
import threading
import time

from flink_harness import Cluster, compare, finish, growing, run_cases
from flink_pages import Delivery, busy_case, check_pages, wanted_pages
from harness import check, wait_until
from s3 import Proxy

VERSIONS, HOSTS, AHEAD = 60, 20, 5
OUTAGE_S = 12  # longer than a lease lasts
OFTEN = {"outbox write": 0.4, "checkpoint": 0.08, "file read": 0.15}  # of what there is little


def kind_of(method, path):
    if "/pager/" in path:
        return "checkpoint"
    if method == "PUT" and "/_outbox/" in path:
        return "outbox write"
    if method == "GET" and "/_delta_log/" in path:
        return "log read"
    if method == "GET" and ".parquet" in path:
        return "file read"
    return "lease" if "/_leases/" in path else "other"


class Store(Proxy):
    """Spoils by what is asked for, in turn with each kind, and counts by it."""

    def __init__(self, endpoint, share, seed):
        self.asked, self.spoilt, self.refusing = threading.local(), collections.Counter(), False
        self.turns = collections.Counter()
        super().__init__(endpoint, share, seed)

    def serve(self, handler):
        self.asked.kind = kind_of(handler.command, handler.path)
        return super().serve(handler)

    def choose(self, handler, body):
        what = self.asked.kind
        with self.lock:
            self.requests += 1
            if self.refusing:
                fault = "unavailable"
            else:
                fault = self.KINDS[self.turns[what] % len(self.KINDS)] if self.random.random() < OFTEN.get(what, self.share) else None
                self.turns[what] += fault is not None
            if fault:
                self.spoilt[("outage" if self.refusing else fault, what)] += 1
            return fault

    def table(self):
        kinds = sorted({what for _, what in self.spoilt})
        return ["  %-13s %s" % (what, "  ".join("%s %d" % (fault, self.spoilt[(fault, what)]) for fault in [*self.KINDS, "outage"])) for what in kinds]


def feed(feeder, branch, upto):
    def step():
        if feeder.at <= upto and feeder.at <= branch.cursor()["version"] + AHEAD:
            feeder.commit()
        return feeder.at > upto

    wait_until(step, 240, "version %d is committed, the cursor following; it is at %d" % (upto, branch.cursor()["version"]))


def refuse_everything(store, branch, feeder):
    store.refusing = True
    until = time.monotonic() + OUTAGE_S
    for _ in range(AHEAD):
        feeder.commit()
    wait_until(lambda: time.monotonic() > until, OUTAGE_S + 5, "the outage is over")
    store.refusing = False


def test_store(s3, directory, rng, share):
    seed = rng.randrange(10**9)
    case = busy_case(seed, VERSIONS, HOSTS)
    stream = run_cases([case], s3.data)[0]["streams"][0]
    branch, feeder = growing(s3, case, stream, "store-%d" % seed)
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    store = Store(endpoint, share, seed)
    delivery, cluster = Delivery(branch, pathlib.Path(directory) / "store"), None
    try:
        os.environ["AWS_ENDPOINT_URL"] = store.url
        cluster = Cluster(pathlib.Path(directory) / "flink-store", 1)
        feeder.until(4)
        job = cluster.submit(branch.document, 2)
        delivery.start({"AWS_ENDPOINT_URL": endpoint})
        feed(feeder, branch, VERSIONS // 2)
        refuse_everything(store, branch, feeder)
        feed(feeder, branch, feeder.last)
        branch.wait_for(feeder.last, cluster, job, seconds=180)
        wanted = wanted_pages(case)
        wait_until(lambda: len({p["request_key"] for p in delivery.pages()}) >= len(wanted), 60, "%d pages are heard" % len(wanted))
        done, failed = (cluster.rest("/jobs/%s/checkpoints" % job)["counts"][what] for what in ("completed", "failed"))
        restarts = cluster.restarts(job)
        cluster.cancel(job)
        delivery.stop()
    finally:
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        delivery.close()
        if cluster is not None:
            cluster.stop()
        store.close()
    for line in store.table():
        print(line, flush=True)
    for what in ("checkpoint", "outbox write", "log read", "file read"):
        for fault in Proxy.KINDS:
            check(store.spoilt[(fault, what)] > 0, "no %s met %s: too quiet a run to prove anything" % (what, fault))
    check(check_pages(wanted, delivery.pages()) == 0, "a page was sent twice, though no notifier ended")
    problems, made = compare(case, 0, stream, delivery.recorded())
    finish(problems)
    print("store: %d of %d requests spoilt, %d s of outage, %d checkpoints complete and %d failed, %d restarts of the job; %d settled transitions as defined, the target heard %d pages, each once" %
          (sum(store.spoilt.values()), store.requests, OUTAGE_S, done, failed, restarts, made, len(wanted)), flush=True)
