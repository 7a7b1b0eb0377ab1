"""The transitions a bronze table and the end-to-end rules give, by the definitions of docs/formats/pager.md.

The evaluation is the pager oracle's (tests/oracle/pager_oracle.py); here its windows are answered from sorted lists, so that a run of minutes
takes seconds, and its cases are read from a real table: rows through deltalake, clocks and stalled sets from the commits' JSON.
"""
import bisect
import collections
import json
import pathlib
import sys
import urllib.parse

import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "oracle"))
import pager_oracle  # noqa: E402

SECOND = pager_oracle.SECOND
COLUMNS = ["ts", "arrival", "kafka_partition", "kafka_offset", "severity_number", "service", "tenant", "host", "event", "status"]

# harness.RULES, in the oracle's terms.
ALL = ["true"]
GROUP = {"interval": 1, "lateness": 2}
RULES = [
    {"name": "flapping/BusyTenant", "expr": [">", ["count", ALL, 5], ["number", 120]], "by": ["tenant"], "hold": 0, "keep": 0, "seen_within": 0},
    {"name": "flapping/QuietTenant", "expr": ["<", ["count", ALL, 5], ["number", 40]], "by": ["tenant"], "hold": 2, "keep": 0, "seen_within": 0},
    {"name": "flapping/Errors", "expr": [">", ["count", [">=", "severity_number", 17], 10], ["number", 20]], "by": ["service"], "hold": 0, "keep": 3, "seen_within": 0},
    {"name": "flapping/Ratio", "expr": ["and", [">", ["/", ["count", [">=", "status", 500], 10], ["count", ALL, 10]], ["number", 0.03]], [">=", ["count", ALL, 10], ["number", 50]]],
     "by": ["service"], "hold": 0, "keep": 0, "seen_within": 0},
    {"name": "flapping/Silent", "expr": ["absent", ["=", "event", "heartbeat"], 15], "by": ["host"], "hold": 0, "keep": 0, "seen_within": 3600},
]


class Index:
    """One (rule, key)'s rows, as far as they have come, sorted for each atom."""

    def __init__(self):
        self.taken = 0
        self.first = collections.defaultdict(lambda: None)
        self.times = collections.defaultdict(list)      # per atom: ts of rows that count
        self.presence = collections.defaultdict(list)   # per atom: (known_at, floor(ts))


class FastRule(pager_oracle.Rule):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.indexes = {}

    def index(self, rows):
        found = self.indexes.get(id(rows))
        if found is None:
            found = self.indexes[id(rows)] = Index()
        for row in rows[found.taken:]:
            for n, atom in enumerate(self.atoms):
                if pager_oracle.holds(atom[1], row) is not True:
                    continue
                if atom[0] == "absent":
                    bisect.insort(found.presence[n], (self.known_at(row), self.floor(row["ts"])))
                elif row["arrival"] - row["ts"] <= self.lateness:
                    bisect.insort(found.times[n], row["ts"])
        found.taken = len(rows)
        return found

    def last_seen(self, atom, rows, t):
        entries = self.index(rows).presence[self.atoms.index(atom)]
        end = bisect.bisect_left(entries, (t, -1))
        return max((floor for _, floor in entries[:end]), default=None)

    def number(self, e, rows, t):
        if e[0] != "count":
            return super().number(e, rows, t)
        window = e[2] * SECOND
        coarse = -(-(-(-window // 60)) // self.i) * self.i
        times = self.index(rows).times[self.atoms.index(e)]
        return bisect.bisect_left(times, t) - bisect.bisect_left(times, (t - window) // coarse * coarse)


def read_versions(table):
    """Bronze, version by version: rows of its files, clocks and stalled partitions of its commit."""
    table = pathlib.Path(table)
    versions, partitions = [], 0
    for path in sorted((table / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        facts = next((a["commitInfo"].get("headpond") for a in actions if "commitInfo" in a), None) or {}
        rows = []
        for add in (a["add"] for a in actions if "add" in a):
            data = pq.read_table(table / urllib.parse.unquote(add["path"]), columns=COLUMNS, partitioning=None)
            columns = {name: data.column(name).cast("int64").to_pylist() if name in ("ts", "arrival") else data.column(name).to_pylist() for name in COLUMNS}
            rows += [dict(zip(COLUMNS, values)) | {"partition": values[2]} for values in zip(*columns.values())]
        clocks = {str(p): clock for entries in facts.get("clocks", {}).values() for p, clock, *_ in entries}
        stalled = [p for entries in facts.get("stalled", {}).values() for p, *_ in entries]
        for named in facts.get("partitions", {}).values():
            partitions = max([partitions, *(p + 1 for p in named)])
        versions.append({"rows": rows, "clocks": clocks, "stalled": stalled})
    return versions, partitions


# Longest window, its trailing slice, `for`, `keep_firing_for` and the interval: this long after a row its key can still change.
SETTLES_AFTER = 25 * SECOND


class Line(pager_oracle.Track):
    """One (rule, key), with the boundaries at which it can change; between them every boundary gives what the one before gave."""

    def __init__(self, rule, key, out):
        super().__init__(rule, key, out)
        self.rows, self.due = [], []

    def add(self, row):
        self.rows.append(row)
        for start, end in [(row["ts"], row["ts"] + SETTLES_AFTER)] + [(row["ts"] + self.rule.seen_within * SECOND - SECOND, row["ts"] + self.rule.seen_within * SECOND + 3 * SECOND)] * self.rule.has_absent:
            self.due += range(start // SECOND * SECOND + SECOND, end + 1, SECOND)

    def settle_to(self, after, to, stalled, version):
        due = sorted(set(self.due))
        for t in due[bisect.bisect_right(due, after) if after is not None else 0:bisect.bisect_right(due, to)]:
            self.settle(self.rows, t, stalled, version)
        self.due = due[bisect.bisect_right(due, to):]


def expected(table):
    """[{rule, key, seq, kind, announced, boundary, …}], in the order they come to be."""
    versions, partitions = read_versions(table)
    interval, lateness = GROUP["interval"] * SECOND, GROUP["lateness"] * SECOND
    rules = [FastRule(spec, interval, lateness) for spec in RULES]
    state = {p: {"clock": None, "stalled": False} for p in range(partitions)}
    out, lines, settled = [], {}, None
    for number, version in enumerate(versions):
        moved = {r["partition"] for r in version["rows"]} | {int(p) for p, c in version["clocks"].items() if c != state[int(p)]["clock"]}
        for p, clock in version["clocks"].items():
            state[int(p)]["clock"] = clock
        for p in state:
            state[p]["stalled"] = (state[p]["stalled"] and p not in moved) or p in version["stalled"]
        for row in version["rows"]:
            for rule in rules:
                key = json.dumps({c: row[c] if row[c] is None else str(row[c]) for c in rule.by}, separators=(",", ":"))
                lines.setdefault((rule.name, key), Line(rule, key, out)).add(row)
        live = [s["clock"] for s in state.values() if not s["stalled"]]
        stalled = any(s["stalled"] for s in state.values())
        to = settled
        if live and all(c is not None for c in live):
            to = max((min(live) - lateness) // interval * interval, settled or 0)
        for _, line in sorted(lines.items()):
            if to is not None:
                line.settle_to(settled, to, stalled, number)
            line.look_ahead(line.rows, to, number)
        settled = to
    return out
