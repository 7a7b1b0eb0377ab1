#!/usr/bin/env python3
"""Computes a dashboard's gold table anew, row by row from bronze and the definitions of docs/formats/gold.md, and compares.

    gold_equals_bronze.py --lake DIR --branch live-ops-dashboard [--bronze bronze/logs] [--lateness 10]
    … --api http://127.0.0.1:8080       (and that what `headpond serve` answers, which is what its page shows, is the same)
    gold_equals_bronze.py --cases build/tests/gold_table N      (N random lakes, made by that program under faults)

Reads both tables through deltalake; nothing of Headpond. Compares what lies up to gold's last position vector, so that a live lake can be checked:
counts, bytes, errors and sums by minute and key, histograms, every rolling window with its percentiles, admitted keys, the chain of batches, late rows.
Prints each difference; exit code 1 if there is one, 2 if gold has no batch.
"""
import argparse
import collections
import datetime
import json
import math
import pathlib
import secrets
import subprocess
import sys
import tempfile
import urllib.request

import deltalake

ZERO = -32768
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
SEVERITIES = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]


def micros(time):
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - EPOCH) // datetime.timedelta(microseconds=1)


def rows_of(path, columns=None, kind=None, version=None):
    table = deltalake.DeltaTable(str(path), version=version)
    names = [field.name for field in table.schema().fields]
    wanted = [name for name in (columns or names) if name in names]
    filters = [("kind", "=", kind)] if kind else None
    return table.to_pyarrow_table(columns=wanted, filters=filters).to_pylist(), names


def bucket(x):
    return ZERO if x <= 0 else math.floor(math.log2(x) * 8 + 1e-9)


def percentile(histogram, percent):
    total, below = sum(histogram.values()), 0
    for b in sorted(histogram):
        below += histogram[b]
        if below * 100 >= total * percent:
            return 0.0 if b == ZERO else 2 ** ((b + 0.5) / 8)
    return None


class Differences:
    def __init__(self):
        self.count = 0

    def add(self, text):
        self.count += 1
        if self.count <= 20:
            print("DIFFERENT", text)

    def equal(self, what, expected, found):
        if expected != found:
            self.add(f"{what}: computed {expected!r}, gold has {found!r}")

    def near(self, what, expected, found):
        if (expected is None) != (found is None) or (expected is not None and not math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-9)):
            self.add(f"{what}: computed {expected!r}, gold has {found!r}")

    def keys(self, what, expected, found):
        for key in expected.keys() - found.keys():
            self.add(f"{what} {key}: missing in gold")
        for key in found.keys() - expected.keys():
            self.add(f"{what} {key}: in gold, but bronze has nothing there")
        return expected.keys() & found.keys()


def rollups_of(gold):
    found = {}
    for name, value in deltalake.DeltaTable(str(gold)).metadata().configuration.items():
        if name.startswith("headpond.rollup."):
            by, measures = value.split(";")
            found[name.removeprefix("headpond.rollup.")] = (by.split()[1:], measures.split()[1:])
    return found


def consumed(batches, different):
    """The last position vector, after checking that the batches form one chain."""
    batches.sort(key=lambda batch: batch["batch_id"])
    before, version = {}, -1
    for i, batch in enumerate(batches):
        different.equal("batch ids", i + 1, batch["batch_id"])
        different.equal(f"batch {i + 1}: positions_before", before, json.loads(batch["positions_before"]))
        in_gap = (batch["first_version"], batch["last_version"]) == (version + 1, version)  # a piece of a cleaned part of the log: the version stays in front of it
        if not in_gap and (batch["first_version"] <= version or batch["last_version"] < batch["first_version"]):
            different.add(f"batch {i + 1} covers versions {batch['first_version']} to {batch['last_version']}, the one before ended at {version}")
        before, version = json.loads(batch["positions_after"]), batch["last_version"]
    return before


def key_of(row, by):
    values = {}
    for name in by:
        if name == "severity" and "severity" not in row:
            number = row.get("severity_number")
            values[name] = SEVERITIES[(number - 1) // 4] if number is not None and 1 <= number <= 24 else None
        else:
            values[name] = row.get(name)
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def failed(row):
    severity, status = row.get("severity_number"), row.get("status")
    return row["error"] is not None or (severity is not None and severity >= 17) or (status is not None and status >= 500)


class Rollup:
    """One rollup of all of bronze, as the definitions say."""

    def __init__(self, name, by, measures, admitted):
        self.name, self.by, self.measures, self.admitted = name, by, measures, admitted
        self.counts = collections.defaultdict(lambda: [0, 0, 0])
        self.sums = collections.defaultdict(lambda: [0.0, 0])
        self.histograms = collections.defaultdict(collections.Counter)

    def add(self, row):
        key = key_of(row, self.by)
        if key not in self.admitted:
            key = "other"
        minute = micros(row["ts"]) // 60_000_000 * 60_000_000
        tally = self.counts[minute, key]
        tally[0] += 1
        tally[1] += row["bytes"]
        tally[2] += failed(row)
        for measure in self.measures:
            x = row.get(measure)
            if x is None or not math.isfinite(x):
                continue
            sums = self.sums[minute, key, measure]
            sums[0] += x
            sums[1] += 1
            self.histograms[minute, key, measure][bucket(x)] += 1

    def windows(self):
        out = {}
        for minute, key in self.counts:
            for k in range(1, 6):
                end = minute + k * 60_000_000
                if (end, key) in out:
                    continue
                minutes = [end - j * 60_000_000 for j in range(1, 6)]
                tallies = [self.counts[m, key] for m in minutes if (m, key) in self.counts]
                histogram = collections.Counter()
                if self.measures:
                    for m in minutes:
                        histogram.update(self.histograms.get((m, key, self.measures[0]), {}))
                out[end, key] = ([sum(t[i] for t in tallies) for i in range(3)], [percentile(histogram, p) for p in (50, 95, 99)])
        return out


def check_rollup(rollup, rows, different):
    found, sums = collections.defaultdict(lambda: [0, 0, 0]), collections.defaultdict(lambda: [0.0, 0])
    for row in rows["rollup"]:
        minute = micros(row["minute"])
        for i, name in enumerate(("n", "bytes", "errors")):
            found[minute, row["key"]][i] += row[name]
        for measure in rollup.measures:
            sums[minute, row["key"], measure][0] += row[f"sum_{measure}"] or 0.0
            sums[minute, row["key"], measure][1] += row[f"count_{measure}"]
        if row["key"] != "other":
            values = json.loads(row["key"])
            for name in rollup.by:
                different.equal(f"column {name} of {row['key']}", None if values[name] is None else str(values[name]), row[name])
    for key in different.keys(f"{rollup.name}: minute", rollup.counts, found):
        different.equal(f"{rollup.name}: n, bytes, errors of {key}", rollup.counts[key], found[key])
    for key, (total, count) in sums.items():
        expected = rollup.sums.get(key, [0.0, 0])
        different.near(f"{rollup.name}: sum of {key}", expected[0], total)
        different.equal(f"{rollup.name}: count of {key}", expected[1], count)
    histograms = collections.defaultdict(collections.Counter)
    for row in rows["histogram"]:
        histograms[micros(row["minute"]), row["key"], row["measure"]][row["bucket"]] += row["n"]
    for key in different.keys(f"{rollup.name}: histogram", rollup.histograms, histograms):
        different.equal(f"{rollup.name}: histogram of {key}", dict(rollup.histograms[key]), dict(histograms[key]))


def check_windows(rollup, rows, different):
    newest = {}
    for row in rows["rolling_5m"]:
        key = (micros(row["window_end"]), row["key"])
        if key not in newest or row["batch_id"] > newest[key]["batch_id"]:
            newest[key] = row
    expected = rollup.windows()
    for key in different.keys(f"{rollup.name}: window", expected, newest):
        (counts, percentiles), row = expected[key], newest[key]
        different.equal(f"{rollup.name}: window {key}", counts, [row["n"], row["bytes"], row["errors"]])
        for expected_value, name in zip(percentiles, ("p50", "p95", "p99")):
            different.near(f"{rollup.name}: {name} of window {key}", expected_value, row[name])
    return len(expected)


def check_api(answer, rollup, different):
    """Every figure of /api/dashboard that the page shows, from the rows: its groups merge the keys that agree in one column."""
    by, measure = answer["by"], answer["measure"]
    tallies, histograms, names = collections.defaultdict(lambda: [0, 0, 0]), collections.defaultdict(collections.Counter), set()
    for (minute, key), (n, size, errors) in rollup.counts.items():
        value = "other" if key == "other" else json.loads(key)[by]
        for name in ("all", f"(no {by})" if value is None else str(value)):
            for i, amount in enumerate((n, size, errors)):
                tallies[minute, name][i] += amount
            histograms[minute, name].update(rollup.histograms.get((minute, key, measure), {}))
            names.add(name)

    def window(end, name):
        minutes = [end - j * 60_000_000 for j in range(1, 6)]
        histogram = sum((histograms.get((m, name), collections.Counter()) for m in minutes), collections.Counter())
        sums = [sum(tallies[m, name][i] for m in minutes if (m, name) in tallies) for i in range(3)]
        return sums, [percentile(histogram, p) for p in (50, 95, 99)]

    checked = 0
    for group in [answer["all"], *answer["groups"]]:
        name = group["name"]
        if group["window"]:
            (n, size, errors), marks = window(answer["complete_until_ms"] * 1000, name)
            shown = group["window"]
            different.equal(f"page: {name}", [n, size, errors], [shown["n"], shown["bytes"], shown["errors"]])
            for expected, p in zip(marks, ("p50", "p95", "p99")):
                different.near(f"page: {p} of {name}", expected, shown[p])
        for i, second in enumerate(answer["minutes"]):
            minute = second * 1_000_000
            different.equal(f"page: minute {second} of {name}", tallies.get((minute, name), [0, 0, 0])[0], group["n"][i])
            (n, _, errors), marks = window(minute + 60_000_000, name)
            rolling = group["rolling"]
            different.equal(f"page: window to {second + 60} of {name}", [n, errors], [rolling["n"][i], rolling["errors"][i]])
            for expected, p in zip(marks, ("p50", "p95", "p99")):
                different.near(f"page: {p} to {second + 60} of {name}", expected, rolling[p][i])
            checked += 1
    shown_names = {group["name"] for group in answer["groups"]}
    different.equal("page: groups", set(), shown_names - names)
    return checked


def compare(lake, branch, bronze, lateness, api=None):
    gold, different, answer = pathlib.Path(lake) / "gold" / branch, Differences(), None
    if api:
        with urllib.request.urlopen(f"{api}/api/dashboard?branch={branch}&minutes=60", timeout=30) as response:
            answer = json.load(response)
    version = answer["gold_version"] if answer else None
    batches = rows_of(gold, kind="batch", version=version)[0]
    if not batches:
        print(f"{gold} has no batch")
        return 2
    after = consumed(batches, different)
    kinds = {kind: rows_of(gold, kind=kind, version=version)[0] for kind in ("rollup", "histogram", "rolling_5m", "key")}
    rollups = {}
    for name, (by, measures) in rollups_of(gold).items():
        keys = [row["key"] for row in kinds["key"] if row["rollup"] == name]
        if len(keys) != len(set(keys)):
            different.add(f"{name}: a key is admitted twice")
        rollups[name] = Rollup(name, by, measures, set(keys))
    wanted = {"ts", "arrival", "bytes", "error", "source", "kafka_partition", "kafka_offset", "severity_number", "severity", "status"}
    for by, measures in ((rollup.by, rollup.measures) for rollup in rollups.values()):
        wanted.update(by, measures)
    rows = late = 0
    for row in rows_of(pathlib.Path(lake) / bronze, sorted(wanted))[0]:
        if row["kafka_offset"] > after.get(row["source"], {}).get(str(row["kafka_partition"]), -1):
            continue
        rows += 1
        late += micros(row["arrival"]) - micros(row["ts"]) > lateness * 1_000_000
        for rollup in rollups.values():
            rollup.add(row)
    different.equal("rows of all batches", rows, sum(batch["rows"] for batch in batches))
    different.equal("late rows of all batches", late, sum(batch["late"] for batch in batches))
    windows = 0
    for rollup in rollups.values():
        own = {kind: [row for row in all_rows if row["rollup"] == rollup.name] for kind, all_rows in kinds.items()}
        check_rollup(rollup, own, different)
        windows += check_windows(rollup, own, different)
    if answer:
        points = check_api(answer, rollups[answer["rollup"]], different)
        print(f"{points} points of the page's charts compared, complete until {answer['complete_until_ms']}")
    print(f"{rows} rows in {len(batches)} batches, {late} late; {sum(len(r.counts) for r in rollups.values())} minutes and keys, {windows} windows: "
          + ("equal" if different.count == 0 else f"{different.count} differences"))
    return 1 if different.count else 0


def cases(program, count):
    first = secrets.randbelow(1 << 30)
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory() as directory:
            made = subprocess.run([program, directory, str(seed)], capture_output=True, text=True, check=False)
            if made.returncode != 0:
                print(f"seed {seed}: {program} failed: {made.stderr}")
                return 1
            print(f"seed {seed}: ", end="", flush=True)
            if compare(pathlib.Path(directory) / "lake", "ops", "bronze/logs", 10) != 0:
                return 1
    print(f"{count} lakes from seed {first} on: gold equals bronze")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake")
    parser.add_argument("--branch", default="live-ops-dashboard")
    parser.add_argument("--bronze", default="bronze/logs")
    parser.add_argument("--lateness", type=float, default=10, help="allowed_lateness of the branch, seconds")
    parser.add_argument("--api", help="address of `headpond serve` over that lake")
    parser.add_argument("--cases", nargs=2, metavar=("PROGRAM", "N"))
    options = parser.parse_args()
    if options.cases:
        return cases(options.cases[0], int(options.cases[1]))
    if not options.lake:
        parser.error("--lake or --cases is needed")
    return compare(options.lake, options.branch, options.bronze, options.lateness, options.api)


if __name__ == "__main__":
    sys.exit(main())
