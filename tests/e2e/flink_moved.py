"""A branch that moves while incidents come and go: a real Kafka into bronze on S3, the pager embedded in `headpond up`, then on Flink by `engine: flink` and
`headpond deploy`, then embedded again. The target is to hear of each incident once: it begins, it ends, whichever engine saw which part of it.

Held against the definition over all of bronze, as one engine that never stopped would have it. What a move changes is only how late a page is, and the
boundary of a resolve nobody saw happen: that one comes after a window in which the new state did not confirm the page."""
import contextlib
import json
import pathlib
import threading
import time

import confluent_kafka
import confluent_kafka.admin

import expected_pages
import harness
from flink_harness import BUCKET, oracle
from flink_pages import micros
from harness import check, headpond, wait_until

PARTITIONS = 2
HOSTS = ["over", "stays", "ends", "begins", "calm"]
TOPOLOGY = """\
version: 1
name: moved
source:
  kafka: {brokers: "%(brokers)s", topic: logs, encoding: json, start: earliest}
consumers:
  - {name: on-call, tier: 1, freshness: 30s, latency_value: {usd_per_minute: 1000, incidents_per_month: 4}}
bronze: {location: %(lake)s/bronze/logs, commit_interval: 1s}
branches:
  - {name: p, kind: pager, serves: [on-call], reads: bronze, rhythm: stream, rules: rules.yaml, state: {store: rocksdb, checkpoints: %(lake)s/pager},
     engine: %(engine)s, flink: {rest: "%(rest)s", parallelism: 1}, notify: [{name: hook, kind: webhook, url: "%(hook)s"}]}
expect: {events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 2, cores: 2}
serve: {listen: "127.0.0.1:0"}
"""
FAILED = [">=", "severity_number", 17]
WINDOW = 5
RULES = [  # one that is announced as its rows come, one that waits until its boundary is settled
    {"name": "g/Burst", "alert": "Burst", "expr": [">", ["count", FAILED, WINDOW], ["number", 4]], "by": ["host"], "hold": 0, "keep": 0, "seen_within": 0},
    {"name": "g/Ratio", "alert": "Ratio", "expr": ["and", [">", ["/", ["count", FAILED, WINDOW], ["count", ["true"], WINDOW]], ["number", 0.4]], [">=", ["count", ["true"], WINDOW], ["number", 5]]],
     "by": ["host"], "hold": 0, "keep": 0, "seen_within": 0}]
CASE = {"interval": 1, "lateness": 2, "rules": RULES, "seed": 0}


class Traffic(threading.Thread):
    """Each host logs twice a second; a burning one fails three times as often as not."""

    def __init__(self, brokers):
        super().__init__(daemon=True)
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": brokers})
        admin.create_topics([confluent_kafka.admin.NewTopic("logs", PARTITIONS, 1)])["logs"].result(30)
        self.producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "linger.ms": 5})
        self.burning, self.stopping = set(), threading.Event()

    def run(self):
        while not self.stopping.wait(0.5):
            for number, host in enumerate(HOSTS):
                for severity in [9] + [17] * (3 if host in self.burning else 0):
                    self.producer.produce("logs", json.dumps({"host": host, "severity_number": severity}).encode(), partition=number % PARTITIONS)
            self.producer.poll(0)

    def stop(self):
        self.stopping.set()
        self.join(10)
        self.producer.flush(10)
        self.producer = None  # or it says that its broker is gone


class Target:
    """What the receiver heard, by (rule, host), in order."""

    def __init__(self):
        self.receiver = harness.Receiver()

    def lines(self):
        out = {}
        for request in self.receiver.all():
            page = json.loads(request["body"])
            if not page["id"]["rule"].startswith("headpond/"):
                out.setdefault((page["id"]["rule"], json.loads(page["id"]["key"])["host"]), []).append(page)
        return out

    def wait(self, host, pages, what, seconds=60):
        """Until each rule has as many pages of the host."""
        enough = lambda: all(len(self.lines().get((rule["name"], host), [])) >= pages for rule in RULES)
        wait_until(enough, seconds, "%s: %d pages of each rule; heard: %s" % (what, pages, self.said(host)))

    def said(self, host):
        return {rule: ["%s g%d seq %d" % (page["status"], page["id"]["generation"], page["id"]["seq"]) for page in pages] for (rule, of), pages in self.lines().items() if of == host}


class Moved:
    def __init__(self, s3, cluster, kafka, name):
        self.directory, self.cluster = pathlib.Path(kafka.directory).parent, cluster
        self.lake = s3.data / name / "lake"
        self.target = Target()
        self.values = {"brokers": kafka.bootstrap, "lake": "s3://%s/%s/lake" % (BUCKET, name), "rest": cluster.address, "hook": self.target.receiver.url}
        self.topology = self.directory / "topology.yaml"
        (self.directory / "rules.yaml").write_text(oracle.yaml_of(RULES, CASE["interval"], CASE["lateness"]))
        self.up = None

    def engine(self, word):
        self.topology.write_text(TOPOLOGY % dict(self.values, engine=word))

    def start_up(self, *arguments):
        self.up = harness.Up(self.topology, self.directory / "up.log", arguments=arguments)

    def stop_up(self):
        code, self.up = self.up.terminate(), None
        check(code == 0, "headpond up ended with %d; see %s/up.log" % (code, self.directory))

    def deploy(self):
        done = headpond("deploy", "-f", self.topology, "--branch", "p", "--out", self.directory / "deploy")
        check(done.returncode == 0 and "cold start: generation 2" in done.stdout, "deploy ended with %d: %s%s" % (done.returncode, done.stdout, done.stderr))

    def job(self):
        jobs = [job["jid"] for job in self.cluster.rest("/jobs/overview")["jobs"] if job["name"] == "headpond pager moved p" and job["state"] == "RUNNING"]
        check(len(jobs) == 1, "%d jobs run the branch" % len(jobs))
        return jobs[0]

    def close(self):
        if self.up is not None:
            self.up.kill()
        self.target.receiver.close()


def embedded_fires(moved, traffic, target):
    moved.engine("embedded")
    moved.start_up()
    traffic.burning |= {"over", "stays", "ends"}
    target.wait("over", 1, "embedded: an incident begins")
    traffic.burning -= {"over"}
    target.wait("over", 2, "embedded: it ends")
    for host in ("stays", "ends"):
        target.wait(host, 1, "embedded: one goes on")


def flink_goes_on(moved, traffic, target):
    moved.stop_up()
    moved.engine("flink")
    traffic.burning -= {"ends"}
    traffic.burning |= {"begins"}
    moved.deploy()
    moved.start_up()
    target.wait("begins", 1, "flink: what began while nobody looked")
    target.wait("ends", 2, "flink: what ended while nobody looked")
    traffic.burning |= {"over"}
    target.wait("over", 3, "flink: it fires again")
    traffic.burning -= {"over", "stays"}
    for host, pages in (("over", 4), ("stays", 2)):
        target.wait(host, pages, "flink: it ends")


def embedded_again(moved, traffic, target):
    moved.stop_up()
    moved.cluster.savepoint_and_stop(moved.job(), moved.values["lake"] + "/pager/savepoints")
    moved.engine("embedded")
    moved.start_up("--new-generation")
    traffic.burning |= {"over"}
    target.wait("over", 5, "embedded again: it fires again")
    traffic.burning -= {"over", "begins"}
    for host, pages in (("over", 6), ("begins", 2)):
        target.wait(host, pages, "embedded again: it ends")


def check_heard(target, table):
    """By rule and host: the incidents of the definition, each with one page at its begin and one at its end, under one dedup_key."""
    versions, partitions = expected_pages.read_versions(table)
    wanted, seen = {}, set()
    for t in oracle.evaluate(dict(CASE, partitions=partitions), versions):
        if (t["rule"], t["key"], t["seq"]) not in seen:  # an announcement comes before it is settled
            seen.add((t["rule"], t["key"], t["seq"]))
            wanted.setdefault((t["rule"], json.loads(t["key"])["host"]), []).append(t)
    heard = target.lines()
    check(set(heard) == set(wanted), "heard of %s, defined are %s" % (sorted(heard), sorted(wanted)))
    for line, pages in heard.items():
        said = "%s: heard %s" % (line, target.said(line[1])[line[0]])
        check([page["status"] for page in pages] == [t["kind"] for t in wanted[line]], "%s, defined %s" % (said, [t["kind"] for t in wanted[line]]))
        check(len({page["idempotency_key"] for page in pages}) == len(pages), said + ": one of them twice")
        for firing, resolved in zip(pages[::2], pages[1::2]):
            check(firing["dedup_key"] == resolved["dedup_key"], said + ": the resolve is of another page")
        check(len({page["dedup_key"] for page in pages}) == len(pages) // 2, said + ": two incidents under one dedup_key")
    return heard, wanted


def check_times(heard, wanted, sent_from):
    """Of what began under an engine's eyes: began_at as defined."""
    told = 0
    for line, pages in heard.items():
        for page, t in zip(pages, wanted[line]):
            if page["status"] == "firing" and t["boundary"] >= sent_from[page["id"]["generation"]]:
                check(micros(page["began_at"]) == t["began_at"], "%s: the target heard that it began at %s, defined is %d" % (line, page["began_at"], t["began_at"]))
                told += 1
    return told


def generations(heard):
    out = {}
    for pages in heard.values():
        for page in pages:
            out[page["id"]["generation"]] = out.get(page["id"]["generation"], 0) + 1
    return out


def claimed_at(moved):
    out = {}
    for path in (moved.lake / "pages" / "p" / "_generations").glob("*.json"):
        claim = json.loads(path.read_text())
        out[claim["generation"]] = claim["claimed_at"]
    return out


def test_moved(s3, cluster, rng):
    began = time.monotonic()
    directory = pathlib.Path(cluster.directory).parent / "moved"
    directory.mkdir()
    with contextlib.ExitStack() as world:
        kafka = world.enter_context(harness.Kafka(directory / "kafka"))
        moved = Moved(s3, cluster, kafka, "moved-%d" % rng.randrange(10**9))
        world.callback(moved.close)
        traffic = Traffic(kafka.bootstrap)
        traffic.start()
        world.callback(traffic.stop)
        target = moved.target
        embedded_fires(moved, traffic, target)
        flink_goes_on(moved, traffic, target)
        embedded_again(moved, traffic, target)
        moved.stop_up()
        heard, wanted = check_heard(target, moved.lake / "bronze" / "logs")
        told = check_times(heard, wanted, claimed_at(moved))
        by = generations(heard)
    check(set(by) == {1, 2, 3}, "pages by generation: %s" % by)
    print("moved: embedded, Flink, embedded again: %d incidents of %d rules and hosts, each with its page and its resolve, none twice; %s pages by generation, "
          "%d beginnings to the microsecond as one engine has them; %.0f s" %
          (sum(len(pages) for pages in heard.values()) // 2, len(heard), "+".join(str(by[g]) for g in sorted(by)), told, time.monotonic() - began), flush=True)
