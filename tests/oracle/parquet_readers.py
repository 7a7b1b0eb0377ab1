#!/usr/bin/env python3
"""parquet_readers.py PARQUET_ROWS [SEEDS]: has the program write random bronze files and compares what pyarrow and DuckDB read from them,
value by value, with the rows the program wrote beside them; also the statistics, which readers use to skip."""
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

TYPES = {
    "ts": "time", "arrival": "time", "seen_at": "time", "kafka_timestamp": "time",
    "service": "text", "user_id": "text", "source": "text", "kafka_headers": "text", "error": "text",
    "duration_ms": "double", "ratio": "double", "kafka_key": "bytes", "raw": "bytes",
}  # the others are integers


def expected_columns(path):
    with open(path) as lines:
        names = json.loads(next(lines))
        rows = [json.loads(line) for line in lines]
    columns = {}
    for i, name in enumerate(names):
        kind, values = TYPES.get(name, "int"), [row[i] for row in rows]
        if kind == "text":
            values = [None if v is None else bytes.fromhex(v).decode() for v in values]
        elif kind == "bytes":
            values = [None if v is None else bytes.fromhex(v) for v in values]
        columns[name] = values
    return columns


def read_values(name, column):
    """A column as the oracle states it: times as µs, doubles as the hex of their bits."""
    kind = TYPES.get(name, "int")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if kind == "time":
        assert column.type == pa.timestamp("us", tz=column.type.tz) and column.type.tz, (name, column.type)
        column = column.cast(pa.int64())
    values = column.to_pylist()
    if kind == "double":
        return [None if v is None else struct.pack(">d", v).hex() for v in values]
    return [bytes(v) if isinstance(v, bytearray) else int(v) if isinstance(v, bool) else v for v in values]


def check_values(reader, names, columns, expected):
    assert list(names) == list(expected), f"{reader}: columns {names}"
    for name in expected:
        got = read_values(name, columns[name])
        assert len(got) == len(expected[name]), f"{reader}: {name} has {len(got)} values, not {len(expected[name])}"
        if got != expected[name]:
            row = next(i for i in range(len(got)) if got[i] != expected[name][i])
            raise AssertionError(f"{reader}: {name}[{row}] is {str(got[row])[:80]!r}, not {str(expected[name][row])[:80]!r}")


def check_statistics(metadata, expected):
    stated = 0
    first = 0
    for g in range(metadata.num_row_groups):
        group = metadata.row_group(g)
        for c, name in enumerate(expected):
            values = expected[name][first:first + group.num_rows]
            chunk, present = group.column(c), [v for v in values if v is not None]
            assert chunk.statistics.null_count == len(values) - len(present), (name, "null_count")
            assert chunk.compression == "ZSTD" and chunk.num_values == len(values), name
            if not chunk.statistics.has_min_max or not present or TYPES.get(name) in ("double", "time"):
                continue
            stated += 1
            key = (lambda v: v.encode()) if TYPES.get(name) == "text" else lambda v: v
            low, high = chunk.statistics.min, chunk.statistics.max
            low, high = (int(low), int(high)) if isinstance(low, bool) else (low, high)
            assert (low, high) == (min(present, key=key), max(present, key=key)), (name, low, high)
        first += group.num_rows
    assert first == len(expected["ts"]), "rows of all row groups"
    return stated


def check_filters(db, path, expected):
    """DuckDB with a predicate: row groups are skipped by statistics and dictionaries, never a matching row."""
    chance = random.Random(path)
    for name in ("ts", "status", "service", "user_id", "kafka_offset", "duration_ms", "error"):
        present = [v for v in expected[name] if v is not None]
        if not present:
            continue
        wanted = chance.choice(present)
        if TYPES.get(name) == "double":
            value = struct.unpack(">d", bytes.fromhex(wanted))[0]
            if math.isnan(value):
                continue
            count = sum(struct.unpack(">d", bytes.fromhex(v))[0] == value for v in present)
            got = db.execute(f"SELECT count(*) FROM read_parquet('{path}') WHERE {name} = ?", [value]).fetchone()[0]
        elif TYPES.get(name) == "time":
            count = present.count(wanted)
            got = db.execute(f"SELECT count(*) FROM read_parquet('{path}') WHERE {name} = make_timestamptz(?)", [wanted]).fetchone()[0]
        else:
            count = present.count(wanted)
            got = db.execute(f"SELECT count(*) FROM read_parquet('{path}') WHERE {name} = ?", [wanted]).fetchone()[0]
        assert got == count, f"DuckDB: {name} = {wanted!r} finds {got} rows, not {count}"


def main():
    program, seeds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8
    db = duckdb.connect(config={"threads": 1})
    rows = stated = 0
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run([program, directory, str(seed)], check=True)
            path = os.path.join(directory, "rows.parquet")
            expected = expected_columns(os.path.join(directory, "rows.jsonl"))
            try:
                table = pq.read_table(path)
                check_values("pyarrow", table.column_names, table, expected)
                result = db.execute(f"SELECT * FROM read_parquet('{path}')").to_arrow_table()
                check_values("DuckDB", result.column_names, result, expected)
                stated += check_statistics(pq.read_metadata(path), expected)
                check_filters(db, path, expected)
            except Exception:
                print(f"seed {seed}: {program} DIRECTORY {seed}", file=sys.stderr)
                raise
            rows += len(expected["ts"])
    assert stated > 0
    print(f"parquet readers: {seeds} files, {rows} rows the same in pyarrow and DuckDB; {stated} minima and maxima right")


if __name__ == "__main__":
    main()
