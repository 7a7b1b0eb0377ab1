"""A branch's pages at their target: `headpond notify` over what the Flink job writes, a receiver that remembers, and the definition to hold it against;
and a stream in which every version brings pages."""
import collections
import datetime
import json
import math
import pathlib
import random

import deltalake

import harness
from flink_harness import BRONZE, oracle
from harness import check

TOPOLOGY = """\
version: 1
name: cases
source:
  kafka: {brokers: "127.0.0.1:1", topic: logs, encoding: json, start: earliest}
consumers:
  - {name: on-call, tier: 1, freshness: 30s, latency_value: {usd_per_minute: 1000, incidents_per_month: 4}}
bronze: {location: %(lake)s/%(bronze)s}
branches:
  - {name: p, kind: pager, serves: [on-call], reads: bronze, rhythm: stream, rules: rules.yaml, state: {store: rocksdb, checkpoints: %(lake)s/flink},
     engine: flink, flink: {rest: "http://127.0.0.1:1", parallelism: 1}, notify: [{name: hook, kind: webhook, url: "%(hook)s"}]}
expect: {events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 4, cores: 2}
"""
RULES = 'groups:\n  - {name: g, rules: [{alert: R, expr: "count()[10s] > 1"}]}\n'  # the job has its own; the notifier asks for none

PARTITIONS = 4
COUNT = {"name": "g/Errors", "alert": "Errors", "expr": [">=", ["count", [">=", "severity_number", 17], 10], ["number", 5]], "by": ["host"], "hold": 0, "keep": 0, "seen_within": 0}
ABSENT = {"name": "g/Silent", "alert": "Silent", "expr": ["absent", ["=", "event", "heartbeat"], 10], "by": ["host"], "hold": 0, "keep": 0, "seen_within": 600}


def busy_stream(seed, versions, hosts):
    """Every host's heartbeats, with a silence now and then, and in turn a burst of errors."""
    rng, offsets, out = random.Random(seed), [0] * PARTITIONS, []
    for number in range(versions):
        end, rows = oracle.BASE + (number + 1) * oracle.SECOND, []
        for host in range(hosts):
            kinds = [] if (number + 3 * host) % 90 < 16 else [("heartbeat", 9)]
            kinds += [("request", 17)] * (6 if (number + 7 * host) % 20 == 0 else 0)
            for event, severity in kinds:
                at = end - 1 - rng.randrange(oracle.SECOND)
                rows.append({"partition": host % PARTITIONS, "arrival": at, "ts": at - rng.randrange(oracle.SECOND // 2), "severity_number": severity, "service": "api",
                             "host": "host-%02d" % host, "event": event, "status": 200})
        rows.sort(key=lambda r: (r["partition"], r["arrival"]))
        for row in rows:
            row["offset"] = offsets[row["partition"]]
            offsets[row["partition"]] += 1
        out.append({"rows": rows, "clocks": {p: end for p in range(PARTITIONS)}, "stalled": []})
    return out


def busy_case(seed, versions, hosts):
    """A version a second; with 20 hosts or more every one of them brings pages."""
    rules = [COUNT, ABSENT]
    return {"seed": seed, "interval": 1, "lateness": 2, "rules": rules, "partitions": PARTITIONS, "yaml": oracle.yaml_of(rules, 1, 2),
            "streams": [busy_stream(seed, versions, hosts)], "crashes": []}


def micros(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole + "+00:00").timestamp()
    return int(seconds) * 1_000_000 + int((fraction or "0").ljust(6, "0")[:6])


class Delivery:
    """The notifier of one branch and its target."""

    def __init__(self, branch, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.receiver = harness.Receiver()
        self.topology = self.directory / "topology.yaml"
        self.topology.write_text(TOPOLOGY % {"lake": branch.url, "bronze": BRONZE, "hook": self.receiver.url})
        (self.directory / "rules.yaml").write_text(RULES)
        self.branch, self.notifier = branch, None

    def start(self, env=None):
        self.notifier = harness.Up(self.topology, self.directory / "notify.log", "notify", env=env, arguments=["--data-dir", str(self.directory / "data")])

    def stop(self):
        if self.notifier is not None:
            code, self.notifier = self.notifier.terminate(), None
            check(code == 0, "headpond notify ended with %d; see %s/notify.log" % (code, self.directory))

    def close(self):
        if self.notifier is not None:
            self.notifier.kill()
        self.receiver.close()

    def pages(self):
        """What the target heard of the branch's own rules, in order."""
        out = []
        for request in self.receiver.all():
            body = json.loads(request["body"])
            if not body["id"]["rule"].startswith("headpond/"):
                out.append(dict(body, at=request["at"], request_key=request["headers"]["idempotency-key"]))
        return out

    def recorded(self):
        """The transitions of the pages table, as the job wrote them: sent ones, and the settled fields of those that were announced."""
        rows = deltalake.DeltaTable(str(self.branch.lake / "pages" / "p")).to_pyarrow_table()
        for name in ("boundary", "began_at"):
            rows = rows.set_column(rows.schema.get_field_index(name), name, rows.column(name).cast("int64"))
        return [row for row in rows.to_pylist() if not row["rule"].startswith("headpond/")]


def identity(t):
    return t["rule"], t["key"], t["seq"]


def wanted_pages(case):
    """By identity what the definition sends first: the announcement where there is one."""
    out = {}
    for t in oracle.evaluate(case, case["streams"][0]):
        out.setdefault(identity(t), t)
    return out


def check_pages(wanted, pages):
    """Each page of the definition and no other, as it defines it, in order of its key. Returns how many requests were repeats (of one Idempotency-Key)."""
    heard, newest, keys = {}, collections.Counter(), {}
    for page in pages:
        who = identity(page["id"])
        check(who in wanted, "a page that the definition does not have: %s" % (who,))
        check(who[2] >= newest[who[:2]], "%s: seq %d came after %d" % (who[0], who[2], newest[who[:2]]))
        newest[who[:2]] = who[2]
        check(keys.setdefault(page["request_key"], who) == who and page["request_key"] == page["idempotency_key"], "%s: Idempotency-Key %s" % (who, page["request_key"]))
        heard.setdefault(who, []).append(page)
    missing = sorted(set(wanted) - set(heard))
    check(not missing, "%d of %d pages never came, first: %s" % (len(missing), len(wanted), missing[:3]))
    check(len(keys) == len(heard), "a page came under two Idempotency-Keys")
    for who, same in heard.items():
        t, page = wanted[who], same[0]
        good = page["status"] == t["kind"] and micros(page["boundary"]) == t["boundary"] and micros(page["began_at"]) == t["began_at"]
        check(good and math.isclose(float(page["value"]), t["value"], rel_tol=1e-12), "%s: the target heard %s, the definition says %s" % (who, page, t))
    return len(pages) - len(heard)
