#!/usr/bin/env python3
"""Reads the table that src/delta/log_test.cpp writes through deltalake and through DuckDB's delta extension: both must see its rows.

Usage: delta_readers.py TABLE. Exit 0: as expected; 1: the difference is printed.
"""
import datetime
import decimal
import glob
import os
import sys

import deltalake
import duckdb
import duckdb_extension_delta


def expected():
    """Rows 10..19 in kind 'b c%/:=' and 20..29 in kind null; rows 0..9 were removed."""
    rows = []
    for r in range(10, 30):
        at = datetime.datetime(2026, 11, 25, 10, 0, 0, 1) + datetime.timedelta(seconds=r)
        rows.append((r, at, decimal.Decimal("1.25") * r, datetime.date(2026, 11, 25), f"n{r}" if r % 2 == 0 else None, "b c%/:=" if r < 20 else None))
    return rows


def naive(value):
    return value.astimezone(datetime.timezone.utc).replace(tzinfo=None) if isinstance(value, datetime.datetime) and value.tzinfo else value


def through_deltalake(path):
    table = deltalake.DeltaTable(path)
    data = table.to_pyarrow_table() if hasattr(table, "to_pyarrow_table") else table.to_pandas()
    return sorted(tuple(naive(row[c]) for c in ("id", "at", "amount", "day", "note", "kind")) for row in data.to_pylist()), table.version()


def through_duckdb(path):
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    folder = os.path.dirname(duckdb_extension_delta.__file__)
    extension = glob.glob(os.path.join(folder, "**", "*.duckdb_extension"), recursive=True)[0]
    connection.execute(f"LOAD '{extension}'")
    connection.execute("SET TimeZone = 'UTC'")
    rows = connection.execute(f"SELECT id, \"at\"::TIMESTAMP, amount, day, note, kind FROM delta_scan('{path}') ORDER BY id").fetchall()
    return [tuple(naive(v) for v in row) for row in rows]


def main():
    path = sys.argv[1]
    want = expected()
    rows, version = through_deltalake(path)
    failures = []
    if version != 3:
        failures.append(f"deltalake sees version {version}, expected 3")
    for name, got in (("deltalake", rows), ("duckdb delta", through_duckdb(path))):
        if got != want:
            different = next((pair for pair in zip(got, want) if pair[0] != pair[1]), (len(got), len(want)))
            failures.append(f"{name}: {len(got)} rows, expected {len(want)}; first difference: {different}")
    print("\n".join(failures) if failures else f"delta readers agree on {len(want)} rows")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
