#!/usr/bin/env python3
"""Computes closed days' bills anew, from bronze's rows and the price book, with nothing of Headpond, and compares to the last digit.

    bill_oracle.py --lake DIR --branch billing-capacity --prices prices.yaml [--bronze bronze/logs] [--day 2026-11-24]
    bill_oracle.py --cases build/tests/bill_table N      (N random tables and price books, made and billed by that program)

Reads bronze and the branch's tables through deltalake, the price book through PyYAML, and calculates with decimal and integers. Checks usage
by quarter hour, one-minute peaks, invoice lines, CSV, and the certificate's ranges, sums, peak, output hashes and chain.
Prints each difference; exit code 1 if there is one, 2 if there is no closed day.
"""
import argparse
import collections
import csv
import datetime
import decimal
import hashlib
import json
import pathlib
import secrets
import subprocess
import sys
import tempfile

import deltalake
import pyarrow.compute as pc
import yaml

D = decimal.Decimal
EPOCH = datetime.date(1970, 1, 1)
NANO = D("0.000000001")
decimal.getcontext().prec = 60


def load_yaml_exactly(path):
    """Scalars stay text, so that no price passes through a float."""
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader=yaml.BaseLoader)


def tariff(entry, fallback):
    def tiers(name):
        if name not in entry:
            return fallback[name] if fallback else []
        value = entry[name]
        if isinstance(value, str):
            return [(None, D(value))]
        return [(D(t["up_to"]) if "up_to" in t else None, D(t["price"])) for t in value]

    def included(name):
        if name in entry.get("included", {}):
            return D(entry["included"][name])
        return fallback["included"][name] if fallback else D(0)

    return {
        "per_gb": tiers("per_gb"),
        "per_million_events": tiers("per_million_events"),
        "included": {name: included(name) for name in ("gb", "million_events")},
    }


def prices_on(book, day):
    period = None
    for entry in book["prices"]:
        if "from" not in entry or entry["from"] <= day:
            period = entry
    everyone = tariff(period, None)
    own = {name: tariff(entry or {}, everyone) for name, entry in period.get("tenants", {}).items()}
    return everyone, own


def rate(tenant, item, quantity, plan, currency):
    """The lines of one quantity: what is included first, then each tier it reaches."""
    free, tiers = plan["included"][item], plan["per_" + ("gb" if item == "gb" else "million_events")]
    if not tiers:
        return
    steps = [(D(0), free, D(0), 0)] if free > 0 else []
    low = free
    for number, (up_to, price) in enumerate(tiers, 1):
        high = None if up_to is None else free + up_to
        steps.append((low, high, price, number))
        low = high if high is not None else low
    for low, high, price, number in steps:
        if quantity > low:
            part = (quantity if high is None else min(quantity, high)) - low
            amount = (part * price).quantize(D("0.01"), rounding=decimal.ROUND_HALF_UP)
            yield (tenant, item, number, part.quantize(NANO), price.quantize(NANO), amount, currency)


def rows_of(table, day, column="day"):
    return table.to_pyarrow_table(filters=[(column, "=", day)])


class Check:
    def __init__(self):
        self.failures = 0

    def same(self, what, ours, theirs):
        if ours != theirs:
            self.failures += 1
            print(f"DIFFERS {what}\n  oracle   {ours}\n  headpond {theirs}")

    def same_rows(self, what, ours, theirs):
        ours, theirs = collections.Counter(ours), collections.Counter(theirs)
        for kind, rows in (("only oracle", ours - theirs), ("only headpond", theirs - ours)):
            for row in sorted(rows.elements(), key=str)[:5]:
                print(f"DIFFERS {what}: {kind}: {row}")
            self.failures += len(rows)


def usage_of(bronze, day):
    """(tenant, service, slot) → [events, bytes, errors]; (tenant, minute) → events; second → events; (source, partition) → facts."""
    usage = collections.defaultdict(lambda: [0, 0, 0])
    minutes, seconds, partitions = collections.Counter(), collections.Counter(), {}
    midnight = (datetime.date.fromisoformat(day) - EPOCH).days * 86_400_000_000
    columns = ["tenant", "service", "arrival", "bytes", "error", "source", "kafka_partition", "kafka_offset"]
    table = bronze.to_pyarrow_table(filters=[("ingest_date", "=", datetime.date.fromisoformat(day))], columns=columns)
    arrival = pc.cast(table["arrival"], "int64").to_pylist()
    cells = [table[name].to_pylist() for name in columns if name != "arrival"]
    for at, tenant, service, size, error, source, partition, offset in zip(arrival, *cells):
        of_day = at - midnight
        assert 0 <= of_day < 86_400_000_000, f"a row of {day} arrived at {at}"
        tenant = "(none)" if tenant is None else tenant
        sums = usage[tenant, "(none)" if service is None else service, of_day // 900_000_000]
        sums[0] += 1
        sums[1] += size
        sums[2] += error is not None
        minutes[tenant, of_day // 60_000_000] += 1
        seconds[at // 1_000_000] += 1
        facts = partitions.setdefault((source, partition), [offset, offset, 0, 0, 0])
        facts[0], facts[1] = min(facts[0], offset), max(facts[1], offset)
        facts[2] += 1
        facts[3] += size
        facts[4] += error is not None
    return usage, minutes, seconds, partitions


def lines_of(usage, book, day):
    everyone, own = prices_on(book, day)
    totals = collections.defaultdict(lambda: [0, 0])
    for (tenant, _, _), (events, size, _) in usage.items():
        totals[tenant][0] += events
        totals[tenant][1] += size
    for tenant, (events, size) in totals.items():
        plan = own.get(tenant, everyone)
        yield from rate(tenant, "gb", D(size) * NANO, plan, book["currency"])
        yield from rate(tenant, "million_events", D(events) * D("0.000001"), plan, book["currency"])


def check_certificate(check, root, day, usage, seconds, partitions, lines):
    path = root / "certificates" / f"{day}.json"
    certificate = json.loads(path.read_text())
    for part in certificate["partitions"]:
        found = partitions.pop((part["source"], part["partition"]), None)
        what = f"{day} certificate {part['source']} {part['partition']}"
        if found is None:
            check.same(what + " events", 0, part["events"])
            continue
        check.same(what, found[2:], [part["events"], part["bytes"], part["errors"]])
        check.same(what + " covers its rows", True, part["first"] <= found[0] and found[1] <= part["last"])
        if part["gaps"] == 0:
            check.same(what + " range", found[:2], [part["first"], part["last"]])
    check.same(f"{day} partitions the certificate lacks", {}, partitions)
    check.same(f"{day} peak", max(seconds.values(), default=0), certificate["peak"]["events"])
    check.same(f"{day} total", str(sum((line[5] for line in lines), D("0.00"))), certificate["bill"]["total"])
    for name, digest in certificate["outputs"].items():
        check.same(f"{day} {name}", hashlib.sha256((root / name).read_bytes()).hexdigest(), digest)
    previous = certificate["previous"]
    if previous:
        before = root / "certificates" / f"{previous['day']}.json"
        check.same(f"{day} chain", hashlib.sha256(before.read_bytes()).hexdigest(), previous["sha256"])
        ends = {(p["source"], p["partition"]): p["last"] for p in json.loads(before.read_text())["partitions"]}
        for part in certificate["partitions"]:
            end = ends.get((part["source"], part["partition"]), part["first"] - 1)
            check.same(f"{day} {part['source']} {part['partition']} goes on", end + 1, part["first"])


def check_day(check, root, bronze, book, day):
    usage, minutes, seconds, partitions = usage_of(bronze, day)
    date = datetime.date.fromisoformat(day)
    stored = {name: rows_of(deltalake.DeltaTable(str(root / name)), date).to_pylist() for name in ("usage_15m", "usage_peak", "invoice_lines")}

    check.same_rows(f"{day} usage_15m", [key + tuple(sums) for key, sums in usage.items()],
                    [tuple(r[c] for c in ("tenant", "service", "slot", "events", "bytes", "errors")) for r in stored["usage_15m"]])
    peaks = collections.Counter()
    for (tenant, minute), events in minutes.items():
        peaks[tenant, minute // 15] = max(peaks[tenant, minute // 15], events)
    check.same_rows(f"{day} usage_peak", [key + (events,) for key, events in peaks.items()],
                    [tuple(r[c] for c in ("tenant", "slot", "peak_epm")) for r in stored["usage_peak"]])
    lines = list(lines_of(usage, book, day))
    names = ("tenant", "item", "tier", "quantity", "unit_price", "amount", "currency")
    check.same_rows(f"{day} invoice_lines", lines, [tuple(r[c] for c in names) for r in stored["invoice_lines"]])
    with open(root / "reports" / f"{day}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    as_text = [tuple(str(cell) if not isinstance(cell, D) else f"{cell:f}" for cell in line) for line in lines]
    check.same_rows(f"{day} CSV", [(day, "closed") + line for line in as_text], [tuple(r[c] for c in ("day", "status") + names) for r in rows])
    check_certificate(check, root, day, usage, seconds, partitions, lines)
    events = sum(sums[0] for sums in usage.values())
    print(f"{day}: {events} events, {len(usage)} usage rows, {len(peaks)} peaks, {len(lines)} lines")


def check_lake(check, lake, bronze_root, branch, prices, only=None):
    """Returns how many days it checked."""
    root = lake / "billing" / branch
    days = [only] if only else sorted(path.stem for path in (root / "certificates").glob("*.json"))
    bronze = deltalake.DeltaTable(str(lake / bronze_root))
    book = load_yaml_exactly(prices)
    for day in days:
        check_day(check, root, bronze, book, day)
    return len(days)


def check_cases(check, program, count):
    days = 0
    for seed in [1, 2, 3, *(secrets.randbelow(1 << 31) for _ in range(count - 3))][:count]:
        with tempfile.TemporaryDirectory() as directory:
            before = check.failures
            print(f"case {seed}", flush=True)
            subprocess.run([program, directory, str(seed)], check=True)
            folder = pathlib.Path(directory)
            days += check_lake(check, folder / "lake", "bronze/logs", "bill", folder / "prices.yaml")
            if check.failures > before:
                print(f"to see it again: {program} DIR {seed}")
    return days


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=pathlib.Path)
    parser.add_argument("--bronze", default="bronze/logs")
    parser.add_argument("--branch")
    parser.add_argument("--prices")
    parser.add_argument("--day", help="only this day; default: every day with a certificate")
    parser.add_argument("--cases", nargs=2, metavar=("PROGRAM", "N"))
    options = parser.parse_args()

    check = Check()
    if options.cases:
        days = check_cases(check, options.cases[0], int(options.cases[1]))
    elif options.lake and options.branch and options.prices:
        days = check_lake(check, options.lake, options.bronze, options.branch, options.prices, options.day)
    else:
        parser.error("give --lake, --branch and --prices, or --cases")
    if days == 0:
        print("no closed day")
        return 2
    print(f"bill oracle: {days} days, " + (f"{check.failures} differences" if check.failures else "equal to the last digit"))
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
