"""Canonical answers: sorted JSON lines of what an engine left in a lake, whichever engine it was."""
import collections
import json
import pathlib

import deltalake

import recorded

PAGER_FILES, DASHBOARD_FILES, BILLING_FILES = ("transitions",), ("rollup", "histogram", "rolling_5m"), ("usage", "peak", "invoice")
# More keys than max_keys: which are admitted depends on the batches, so of these only the sums over all keys are compared.
SUMMED = {"by_host"}


def write(directory, name, rows):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    lines = sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)
    (directory / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))
    return len(lines)


def figure(value):
    """A number as text: whole ones as they are, others to twelve digits, so that the order of a sum does not matter."""
    if value is None or isinstance(value, str):
        return value
    return f"{float(value):.12g}"


# --- pager ---
def settled_of(transitions):
    """One line an identity, with its settled fields; Failed texts where an identity came with two."""
    found, problems = {}, []
    announced = set()
    for t in transitions:
        identity = (t["rule"], t["key"], t["seq"])
        if t.get("announced") and not t.get("settles_announcement"):
            announced.add(identity)
            continue
        line = {"rule": t["rule"], "key": t["key"], "seq": t["seq"], "kind": t["kind"], "boundary": t["boundary"], "began_at": t["began_at"],
                "value": figure(t["value"])}
        if found.setdefault(identity, line) != line:
            problems.append(f"{identity} came twice: {found[identity]} and {line}")
    return found, announced, problems


def pages(directory, lake):
    """From the receipts: each settled transition, which must have been recorded and not sent, for all of it lies before the claim."""
    transitions, sent = [], 0
    for path in sorted(pathlib.Path(lake, "pages", recorded.PAGER, "_receipts").glob("*.json")):
        for receipt in json.loads(path.read_text())["receipts"]:
            transition = receipt["transition"]
            if transition["rule"].startswith("headpond/"):
                continue
            sent += receipt["status"] not in ("recorded", "settled")
            transitions.append(transition)
    return settled(directory, transitions, sent)


def settled(directory, transitions, sent=0):
    found, announced, problems = settled_of(transitions)
    if sent:
        problems.append(f"{sent} transitions before the claim were sent")
    count = write(directory, "transitions", found.values())
    return {"transitions": count, "announced": len(announced)}, problems


# --- dashboard ---
def micros(time):
    return int(time.timestamp()) * 1_000_000


def merge(rows, by, sums):
    out = collections.defaultdict(lambda: [0] * len(sums))
    for row in rows:
        total = out[tuple(row[c] for c in by)]
        for i, name in enumerate(sums):
            total[i] += row.get(name) or 0
    return [dict(zip(by, key)) | {name: figure(v) for name, v in zip(sums, total)} for key, total in out.items()]


def gold(directory, lake, branch=recorded.DASHBOARD):
    table = deltalake.DeltaTable(str(pathlib.Path(lake, "gold", branch)))
    kinds = collections.defaultdict(list)
    for row in table.to_pyarrow_table().to_pylist():
        row["original"] = row["key"]
        if row["rollup"] in SUMMED:
            row["key"] = "*"
        kinds[row["kind"]].append(row)
    newest = {}
    for row in kinds["rolling_5m"]:
        place = (row["rollup"], row["original"], row["window_end"])
        if place not in newest or row["batch_id"] > newest[place]["batch_id"]:
            newest[place] = row
    return gold_files(directory, kinds["rollup"], kinds["histogram"], newest.values(), micros)


def gold_files(directory, rollup, histogram, windows, micros_of):
    names = ["n", "bytes", "errors", "sum_duration_ms", "count_duration_ms", "sum_status", "count_status"]
    minute = lambda row: row | {"minute": micros_of(row["minute"])}
    counts = {"rollup": write(directory, "rollup", merge(map(minute, rollup), ["rollup", "minute", "key"], names)),
              "histogram": write(directory, "histogram", merge(map(minute, histogram), ["rollup", "minute", "key", "measure", "bucket"], ["n"]))}
    merged = merge((row | {"window_end": micros_of(row["window_end"])} for row in windows), ["rollup", "window_end", "key"], ["n", "bytes", "errors"])
    marks = {(row["rollup"], micros_of(row["window_end"]), row["key"]): row for row in windows}
    for line in merged:
        if line["rollup"] not in SUMMED:
            row = marks[line["rollup"], line["window_end"], line["key"]]
            line |= {p: None if row[p] is None else f"{row[p]:.9g}" for p in ("p50", "p95", "p99")}
    counts["rolling_5m"] = write(directory, "rolling_5m", merged)
    return counts, []


# --- billing ---
def bills(directory, lake, days):
    counts, problems = {}, []
    for name, table, columns in (("usage", "usage_15m", ("tenant", "service", "slot", "events", "bytes", "errors")),
                                 ("peak", "usage_peak", ("tenant", "slot", "peak_epm")),
                                 ("invoice", "invoice_lines", ("tenant", "item", "tier", "quantity", "unit_price", "amount", "currency"))):
        rows = deltalake.DeltaTable(str(pathlib.Path(lake, "billing", recorded.BILLING, table))).to_pyarrow_table().to_pylist()
        counts[name] = write(directory, name, ({"day": str(row["day"])} | {c: str(row[c]) for c in columns} for row in rows))
        problems += [f"{table} has nothing of {day}" for day in days if not any(str(row["day"]) == day for row in rows)]
    return counts, problems
