"""The recorded lake and what is asked of it: topology, rules, price book. The rules stand here once, in the terms of the pager's oracle, and
become the YAML the engines read."""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "oracle"), str(ROOT / "tests" / "e2e")]
import pager_oracle  # noqa: E402

PAGER, DASHBOARD, BILLING = "pager", "dash", "bill"
MAX_KEYS = 35  # fewer than hosts
SMALL = ["--events", "45000", "--seconds", "420"]
FULL = ["--events", "1300000", "--seconds", "1320"]
ALL = ["true"]
ERROR = [">=", "severity_number", 17]


def count(predicate, window):
    return ["count", predicate, window]


def number(value):
    return ["number", value]


def rule(alert, expr, by, hold=0, keep=0, seen_within=0):
    return {"alert": alert, "expr": expr, "by": by, "hold": hold, "keep": keep, "seen_within": seen_within}


def groups(full):
    """(group, interval, lateness, rules). Thresholds lie near the mean, so that rules flap."""
    n = lambda small: number(small * 9 if full else small)
    return [
        ("fast", 1, 2, [
            rule("Busy", [">", count(ALL, 5), n(110)], ["tenant"]),
            rule("Quiet", ["<", count(ALL, 5), n(40)], ["tenant"], hold=2),
            rule("Errors", [">", count(ERROR, 10), n(30)], ["service"], keep=3),
            rule("Ratio", ["and", [">", ["/", count([">=", "status", 500], 10), count(ALL, 10)], number(0.1)], [">=", count(ALL, 10), n(20)]], ["service"]),
            rule("Silent", ["absent", ["=", "event", "heartbeat"], 15], ["host"], seen_within=600),
        ]),
        ("slow", 5, 10, [
            rule("Failed", [">", count(["and", ["in", "status", [500, 502]], ["not", ["null", "service"]]], 60), n(25)], ["service", "tenant"], hold=10, keep=10),
            rule("Everything", [">=", count(ALL, 60), n(6000)], []),
            rule("Gone", ["and", ["absent", ["like", "service", "a"], 20], [">", count(ALL, 60), number(0)]], ["tenant"], seen_within=300),
        ]),
        ("strict", 1, 0, [
            rule("Unnamed", [">=", ["-", count(["null", "service"], 30), count(["!=", "service", "api"], 30)], number(-1)], ["host"]),
        ]),
        ("odd", 2, 4, [
            rule("Pattern", [">", count(["match", "service", "^a.*-g"], 20), n(8)], ["event"], keep=4),
            rule("Region", [">", count(["=", "region", "eu"], 30), n(60)], ["region"], hold=4),
        ]),
    ]


def rules_yaml(full):
    out = "groups:\n"
    for name, interval, lateness, rules in groups(full):
        text = pager_oracle.yaml_of(rules, interval, lateness).replace("name: g\n", f"name: {name}\n")
        out += text.split("\n", 1)[1]
    return out


TOPOLOGY = """\
version: 1
name: conformance
source:
  kafka: {{brokers: "127.0.0.1:1", topic: logs, encoding: json, start: earliest}}
consumers:
  - {{name: on-call, tier: 1, freshness: 30s, latency_value: {{usd_per_minute: 1000, incidents_per_month: 4}}}}
  - {{name: live-ops, tier: 2, freshness: 5m}}
  - {{name: finance, tier: 4, freshness: 24h}}
bronze:
  location: {lake}/bronze/logs
  columns: [{{name: region, type: string}}]
branches:
  - {{name: pager, kind: pager, serves: [on-call], reads: bronze, rhythm: stream, rules: rules.yaml,
     state: {{store: rocksdb, checkpoints: {lake}/checkpoints}}, engine: {pager}}}
  - {{name: dash, kind: dashboard, serves: [live-ops], reads: bronze, rhythm: micro-batch, trigger: 1m, window: 5m, max_keys: {max_keys}, engine: {dashboard},
     rollups: [{{name: by_service, by: [service, severity], measures: [duration_ms, status]}}, {{name: by_host, by: [host], measures: [duration_ms]}}]}}
  - {{name: bill, kind: billing, serves: [finance], reads: bronze, rhythm: batch, schedule: "0 2 * * *", price_book: prices.yaml, engine: {billing}{billing_extra}}}
expect: {{events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 4, cores: 2}}
serve: {{listen: "127.0.0.1:0"}}
"""

PRICES = """\
version: 1
currency: EUR
prices:
  - per_gb: [{up_to: 0.001, price: 4500.45}, {up_to: 0.05, price: 1200.5}, {price: 900}]
    per_million_events: [{up_to: 0.002, price: 1370.5}, {price: 1000.005}]
    included: {gb: 0.00001}
    tenants:
      globex: {per_gb: 5000.005, included: {million_events: 0.0007}}
      '(none)': {per_million_events: 0.5}
"""


def write_topology(directory, lake, full, pager="embedded", dashboard="embedded", billing="embedded", billing_extra=""):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "topology.yaml").write_text(TOPOLOGY.format(lake=lake, max_keys=MAX_KEYS, pager=pager, dashboard=dashboard, billing=billing, billing_extra=billing_extra))
    (directory / "rules.yaml").write_text(rules_yaml(full))
    (directory / "prices.yaml").write_text(PRICES)
    return directory / "topology.yaml"


def record(lake, full, *arguments):
    """Makes the lake and returns what the recorder says of it."""
    program = ROOT / "build" / "tests" / "record_lake"
    done = subprocess.run([program, str(lake), *(FULL if full else SMALL), *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
