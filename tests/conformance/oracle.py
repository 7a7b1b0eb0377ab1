"""The answers by definition, from the recorded lake through pyarrow and deltalake, with nothing of Headpond: transitions by the pager's oracle,
gold by the dashboard's, bills by the billing's. Rows are those of each version's files, also of files that were removed later."""
import bisect
import collections
import datetime
import json
import operator
import pathlib
import urllib.parse

import deltalake
import pyarrow.parquet as pq
import yaml

import dumps
import recorded

import bill_oracle  # noqa: E402
import gold_equals_bronze  # noqa: E402
from expected_pages import FastRule, Index  # noqa: E402
from pager_oracle import SECOND, Track, holds  # noqa: E402

COLUMNS = ["ts", "arrival", "kafka_partition", "severity_number", "service", "tenant", "host", "event", "status", "duration_ms", "region", "bytes", "error"]
# Between two rows further apart than this nothing can change for longer than every window, `for` and seen_within together.
QUIET = 2400 * SECOND


def versions(lake):
    """Bronze, version by version: rows of the files that add rows, clocks, stalled, partitions named."""
    table = pathlib.Path(lake, "bronze", "logs")
    for path in sorted((table / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        facts = next((a["commitInfo"].get("headpond") for a in actions if "commitInfo" in a), None) or {}
        rows = []
        for add in (a["add"] for a in actions if "add" in a):
            if add["dataChange"]:
                rows += rows_of(table / urllib.parse.unquote(add["path"]))
        yield {"rows": rows, "clocks": {p: clock for entries in facts.get("clocks", {}).values() for p, clock, *_ in entries},
               "stalled": {p for entries in facts.get("stalled", {}).values() for p, *_ in entries},
               "named": [p for named in facts.get("partitions", {}).values() for p in named]}


def rows_of(path):
    file = pq.ParquetFile(path)
    there = [name for name in COLUMNS if name in file.schema_arrow.names]
    data = file.read(columns=there)
    cells = {name: data.column(name).cast("int64").to_pylist() if name in ("ts", "arrival") else data.column(name).to_pylist() for name in there}
    missing = {name: None for name in COLUMNS if name not in there}
    return [dict(zip(there, values)) | missing for values in zip(*cells.values())]


class Rows(Index):
    """One (rule, key)'s rows, kept only as the sorted times its rule asks for."""

    def __init__(self):
        super().__init__()
        self.first_ts = None


class Rule(FastRule):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked = list(dict.fromkeys([*self.by, *(c for atom in self.atoms for c in columns_of(atom[1]))])) or ["error"]
        self.values, self.seen, self.tracks = operator.itemgetter(*self.asked), {}, {}

    def index(self, rows):
        return rows

    def what(self, row, out):
        """The row's track, and which of the rule's atoms it matches: [(atom, whether it is an absent)]."""
        key = json.dumps({c: row[c] if row[c] is None else str(row[c]) for c in self.by}, separators=(",", ":"), ensure_ascii=False)
        if key not in self.tracks:
            self.tracks[key] = Track(self, key, out)
            self.tracks[key].rows = Rows()
        matches = [(n, atom[0] == "absent") for n, atom in enumerate(self.atoms) if holds(atom[1], row) is True]
        return self.tracks[key].rows, matches

    def take(self, row, out):
        values = self.values(row)
        if values not in self.seen:
            self.seen[values] = self.what(row, out)
        index, matches = self.seen[values]
        ts = row["ts"]
        late = row["arrival"] - ts > self.lateness
        for n, absent in matches:
            if absent:
                bisect.insort(index.presence[n], (self.known_at(row), self.floor(ts)))
            elif not late:
                bisect.insort(index.times[n], ts)
            if (absent or not late) and (index.first_ts is None or ts < index.first_ts):
                index.first_ts = ts


def columns_of(predicate):
    if predicate[0] in ("and", "or", "not"):
        return [c for part in predicate[1:] for c in columns_of(part)]
    return [] if predicate[0] == "true" else [predicate[1]]


def transitions(directory, lake, full):
    out, parts = [], []
    for name, interval, lateness, specs in recorded.groups(full):
        parts.append(Group([dict(spec, name=f"{name}/{spec['alert']}") for spec in specs], interval * SECOND, lateness * SECOND, out))
    state = {}
    for number, version in enumerate(versions(lake)):
        follow(state, version)
        live = [s["clock"] for s in state.values() if not s["stalled"]]
        low = min(live) if live and all(c is not None for c in live) else None
        stalled = any(s["stalled"] for s in state.values())
        for part in parts:
            part.version(version["rows"], low, stalled, number)
    return dumps.settled(directory, out)


def follow(state, version):
    """The clocks and the stalled set behind this version: docs/formats/bronze.md, Time."""
    before = [s["clock"] for s in state.values() if not s["stalled"] and s["clock"] is not None]
    for p in version["named"]:
        state[p] = {"clock": min(before) if before else None, "stalled": False}
    moved = {r["kafka_partition"] for r in version["rows"]} | {p for p, clock in version["clocks"].items() if clock != state[p]["clock"]}
    for p, clock in version["clocks"].items():
        state[p]["clock"] = clock
    for p in state:
        state[p]["stalled"] = (state[p]["stalled"] and p not in moved) or p in version["stalled"]


class Group:
    def __init__(self, specs, interval, lateness, out):
        self.i, self.lateness, self.out = interval, lateness, out
        self.rules = [Rule(spec, interval, lateness) for spec in specs]
        self.settled, self.newest = None, None

    def version(self, rows, low, stalled, number):
        for rule in self.rules:
            for row in rows:
                rule.take(row, self.out)
        if low is None:
            return
        to = (low - self.lateness) // self.i * self.i
        to = to if self.settled is None else max(to, self.settled)
        for track in [track for rule in self.rules for track in rule.tracks.values()]:
            if track.rows.first_ts is None:
                continue
            first = track.rows.first_ts // self.i * self.i + self.i
            t = first if self.settled is None else max(first, self.settled + self.i)
            while t <= to:
                if self.newest is not None and to - t > QUIET and t - self.newest > QUIET:
                    t = (to - QUIET) // self.i * self.i
                track.settle(track.rows, t, stalled, number)
                t += self.i
        self.settled = to
        if rows:
            self.newest = max([row["ts"] for row in rows] + ([self.newest] if self.newest is not None else []))


class Everything:
    def __contains__(self, key):
        return True


ROLLUPS = {"by_service": (["service", "severity"], ["duration_ms", "status"]), "by_host": (["host"], ["duration_ms"])}


def gold(directory, lake):
    rollups = [gold_equals_bronze.Rollup(name, by, measures, Everything()) for name, (by, measures) in ROLLUPS.items()]
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    for version in versions(lake):
        for row in version["rows"]:
            row["ts"] = epoch + datetime.timedelta(microseconds=row["ts"])
            for rollup in rollups:
                rollup.add(row)
    minutes, histogram, windows = [], [], []
    for rollup in rollups:
        name_of = (lambda key: "*") if rollup.name in dumps.SUMMED else (lambda key: key)
        for (minute, key), (n, size, errors) in rollup.counts.items():
            row = {"rollup": rollup.name, "minute": minute, "key": name_of(key), "n": n, "bytes": size, "errors": errors}
            for measure in rollup.measures:
                row[f"sum_{measure}"], row[f"count_{measure}"] = rollup.sums.get((minute, key, measure), (0, 0))
            minutes.append(row)
        for (minute, key, measure), buckets in rollup.histograms.items():
            histogram += [{"rollup": rollup.name, "minute": minute, "key": name_of(key), "measure": measure, "bucket": b, "n": n} for b, n in buckets.items()]
        for (end, key), ((n, size, errors), marks) in rollup.windows().items():
            windows.append({"rollup": rollup.name, "window_end": end, "key": name_of(key), "n": n, "bytes": size, "errors": errors} | dict(zip(("p50", "p95", "p99"), marks)))
    return dumps.gold_files(directory, minutes, histogram, windows, lambda micros: micros)


def bills(directory, lake, facts):
    """The day that retention removed is billed from the version before, as it was when it closed."""
    book = yaml.load(recorded.PRICES, Loader=yaml.BaseLoader)
    bronze = str(pathlib.Path(lake, "bronze", "logs"))
    usage_rows, peaks, lines = [], collections.Counter(), []
    for day, version in ((facts["retained_day"], facts["retention_version"] - 1), (facts["closed_day"], None)):
        usage, minutes, _, _ = bill_oracle.usage_of(deltalake.DeltaTable(bronze, version=version), day)
        usage_rows += [(day, *key, *sums) for key, sums in usage.items()]
        for (tenant, minute), events in minutes.items():
            peaks[day, tenant, minute // 15] = max(peaks[day, tenant, minute // 15], events)
        lines += [(day, *line) for line in bill_oracle.lines_of(usage, book, day)]
    named = lambda names, rows: [dict(zip(("day", *names), map(str, row))) for row in rows]
    return {"usage": dumps.write(directory, "usage", named(("tenant", "service", "slot", "events", "bytes", "errors"), usage_rows)),
            "peak": dumps.write(directory, "peak", named(("tenant", "slot", "peak_epm"), [(*key, events) for key, events in peaks.items()])),
            "invoice": dumps.write(directory, "invoice", named(("tenant", "item", "tier", "quantity", "unit_price", "amount", "currency"), lines))}, []
