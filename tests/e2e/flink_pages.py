"""A branch's pages at their target: `headpond notify` over what the Flink job writes, a receiver that remembers, and the definition to hold it against."""
import collections
import datetime
import json
import math
import pathlib

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
