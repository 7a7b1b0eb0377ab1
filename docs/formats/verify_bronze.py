#!/usr/bin/env python3
"""Verifies a bronze table without any code of Headpond: docs/formats/bronze.md, read by deltalake and pyarrow.

    verify_bronze.py DIRECTORY [--json]

Reads the ledger, the checkpoints, the JSON log and every row; recomputes both fingerprints, rows, bytes, errors and gaps of each range, the chain of
positions, clocks, the peaks of the ledger, what each checkpoint says of files, positions and clocks, and that `arrival` never falls. Exit code 0: all agree. 1: a difference, each named. 2: wrong use, or not a bronze table.
Needs: deltalake, pyarrow, xxhash.
"""
import argparse
import json
import os
import struct
import sys
from collections import defaultdict
from datetime import datetime, timezone
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from deltalake import DeltaTable

MASK = (1 << 64) - 1
QUARTER_US = 15 * 60 * 1_000_000
DAY_US = 86_400 * 1_000_000
FORMAT = 1
COLUMNS = ["source", "kafka_partition", "kafka_offset", "record_index", "arrival", "bytes", "error", "raw"]


def row_fingerprint(source, partition, offset, record_index, tenant, size):
    name, owner = source.encode(), b"" if tenant is None else tenant.encode()
    layout = (struct.pack("<I", len(name)) + name + struct.pack("<iqi", partition, offset, record_index)
              + struct.pack("<i", -1 if tenant is None else len(owner)) + owner + struct.pack("<i", size))
    return xxhash.xxh3_64_intdigest(layout)


def payload_fingerprint(offset, payload):
    return xxhash.xxh3_64_intdigest(struct.pack("<qQ", offset, xxhash.xxh3_64_intdigest(payload)))


def day_of(micros):
    return datetime.fromtimestamp(micros // DAY_US * 86_400, timezone.utc).strftime("%Y-%m-%d")


def known(document, name):
    if document["format"] > FORMAT:
        raise SystemExit(f"{name} is of format {document['format']}, this verifier knows {FORMAT}; take the one of Headpond {document['needs']}")
    return document


def states(table):
    return [(source, state["partition"], state) for source, partitions in table["partitions"].items() for state in partitions]


class Verifier:
    def __init__(self, directory):
        self.directory = directory
        self.findings = []
        self.positions = defaultdict(lambda: -1)  # (source, partition) -> last covered offset
        self.arrivals, self.clocks, self.last_row = {}, {}, {}
        self.live = set()
        self.totals = defaultdict(lambda: [0, 0, 0, 0, 0, 0])  # rows bytes errors gaps fingerprint payload_fingerprint
        self.table_name, self.version, self.rows = "", -1, 0
        self.checkpoints = {}  # version -> (facts, adds)
        self.per_second = None  # rows by second of arrival, while the ledger's files are read

    def found(self, what, where):
        self.findings.append({"what": what, "where": where})

    def run(self):
        log = os.path.join(self.directory, "_delta_log")
        versions = sorted(int(n[:20]) for n in os.listdir(log) if len(n) == 25 and n.endswith(".json"))
        self.find_checkpoints(log)
        self.read_ledger(versions)
        begin = self.version + 1
        if not versions or [v for v in versions if v >= begin] != list(range(begin, versions[-1] + 1)):
            self.found("missing version", f"versions found: {len(versions)}, newest {versions[-1] if versions else 'none'}, ledger to {self.version}")
        for version in versions:
            if version < begin:
                continue
            with open(os.path.join(log, f"{version:020}.json"), encoding="utf-8") as f:
                try:
                    actions = [json.loads(line) for line in f if line.strip()]
                except ValueError as broken:
                    self.found("damaged log entry", f"version {version}: {broken}")
                    continue
            self.check_version(version, actions)
            self.version = version
            self.check_checkpoint(version)
        try:
            uris = DeltaTable(self.directory).file_uris()
        except Exception as broken:  # its own class differs by version
            return self.found("deltalake cannot read the table", str(broken).splitlines()[0])
        by_deltalake = {os.path.relpath(unquote(u).removeprefix("file://"), os.path.abspath(self.directory))
                        for u in uris}
        if by_deltalake != self.live:
            self.found("live files differ", f"deltalake sees {len(by_deltalake)}, the log gives {len(self.live)}: "
                       f"{sorted(by_deltalake ^ self.live)[:3]}")

    def find_checkpoints(self, log):
        """What each checkpoint says: its facts, and the adds of its Parquet file."""
        folder = os.path.join(self.directory, "_headpond", "checkpoints")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                facts = known(json.load(f), name)
            file = os.path.join(log, f"{facts['version']:020}.checkpoint.parquet")
            if not os.path.exists(file):
                self.found("missing checkpoint", f"version {facts['version']}: it has facts, but no file")
                continue
            adds = [a for a in pq.read_table(file, columns=["add"]).column("add").to_pylist() if a is not None]
            for add in adds:
                add["tags"], add["partitionValues"] = dict(add["tags"] or []), dict(add["partitionValues"])
            self.checkpoints[facts["version"]] = (facts, adds)
        pointer = os.path.join(log, "_last_checkpoint")
        if os.path.exists(pointer):
            with open(pointer, encoding="utf-8") as f:
                named = json.load(f)["version"]
            if named not in self.checkpoints:
                self.found("missing checkpoint", f"_last_checkpoint names version {named}")

    def read_ledger(self, versions):
        blocks = []
        for folder, _, names in os.walk(os.path.join(self.directory, "_headpond", "ledger")):
            for name in names:
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    blocks.append(known(json.load(f), name))
        blocks.sort(key=lambda b: b["first_version"])
        if not blocks:
            return
        sums, by_quarter, peaks, files = {}, defaultdict(int), {}, 0
        for block in blocks:
            if block["first_version"] != self.version + 1:
                self.found("missing ledger block", f"version {self.version + 1}, the next begins with {block['first_version']}")
            for source, ranges in block["ranges"].items():
                for r in ranges:
                    self.add_range(block["last_version"], source, r[:10], r[10] if len(r) > 10 else [], sums)
                    by_quarter[r[1]] += r[4]
            peaks |= {quarter: tuple(rest) for quarter, *rest in block["peaks"]}
            self.version, files = block["last_version"], files + block["files"]
            self.compare_state(self.version, block["table"], "ledger")
            for source, partition, state in states(block["table"]):
                if "clock" in state:
                    self.clocks[(source, partition)] = state["clock"]
        for quarter, rows in by_quarter.items():
            if quarter not in peaks and sum(n for s, n in blocks[-1]["seconds"] if s // 900 == quarter) != rows:
                self.found("seconds differ", f"quarter hour {quarter} in the ledger")
        self.read_old_files(versions, sums, files, peaks, dict(blocks[-1]["seconds"]))
        if self.version in self.checkpoints:
            if self.checkpoints[self.version][0]["table"] != blocks[-1]["table"]:
                self.found("checkpoint differs", f"version {self.version}: its facts are not the ledger's")
            self.check_checkpoint(self.version)

    def read_old_files(self, versions, sums, files, peaks, seconds):
        """The rows of the versions the ledger stands for."""
        at = max((v for v in self.checkpoints if v <= self.version), default=-1)
        if at < 0 and 0 not in versions:
            return self.found("missing checkpoint", f"none at or before version {self.version}, so the ledger's files are not known")
        adds = list(self.checkpoints[at][1]) if at >= 0 else []
        if at >= 0:
            self.table_name = self.checkpoints[at][0]["metaData"]["name"]
        for version in range(at + 1, self.version + 1):
            with open(os.path.join(self.directory, "_delta_log", f"{version:020}.json"), encoding="utf-8") as f:
                adds += [json.loads(line)["add"] for line in f if line.startswith('{"add"')]
        if len(adds) != files:
            self.found("files differ", f"to version {self.version}: {files} in the ledger, {len(adds)} in the checkpoint")
        self.live = {unquote(a["path"]) for a in adds}
        self.per_second = defaultdict(int)
        adds.sort(key=lambda a: (int(a["tags"]["headpond.versions"].split("-")[0]), json.loads(a["stats"])["minValues"]["arrival"]))
        for add in adds:
            self.read_file(self.version, add, sums, {})
        self.compare_sums(self.version, sums)
        by_minute = defaultdict(int)
        for second, rows in self.per_second.items():
            by_minute[second // 60] += rows
        first_of_most = lambda counts: max(((n, -at) for at, n in counts), default=(0, 0))
        for quarter, (second, rows, minute, in_minute) in peaks.items():
            counted = (first_of_most((s, n) for s, n in self.per_second.items() if s // 900 == quarter),
                       first_of_most((m, n) for m, n in by_minute.items() if m // 15 == quarter))
            if counted != ((rows, -second), (in_minute, -minute)):
                self.found("peak differs", f"quarter hour {quarter}: the ledger says {rows} rows in second {second} and {in_minute} in minute {minute}, counted {counted}")
        for second, rows in seconds.items():
            if self.per_second.get(second) != rows:
                self.found("seconds differ", f"second {second}: the ledger says {rows} rows, counted {self.per_second.get(second)}")
        self.per_second = None

    def compare_state(self, version, table, what):
        """Positions of a checkpoint or a block against the ranges read so far; clocks against those that were published."""
        for source, partition, state in states(table):
            key = (source, partition)
            if state["position"] != self.positions[key]:
                self.found(f"{what} differs", f"version {version}, {source} partition {partition}: position {state['position']}, the ranges end at {self.positions[key]}")
            if what == "checkpoint" and "proven_at" in state and state["clock"] != self.clocks.get(key):
                self.found(f"{what} differs", f"version {version}, {source} partition {partition}: clock {state['clock']}, published {self.clocks.get(key)}")
            if "clock" in state and state["clock"] < self.clocks.get(key, state["clock"]):
                self.found("clock goes back", f"version {version}, {source} partition {partition}, in a {what}")
        missing = {k for k, position in self.positions.items() if position >= 0} - {(s, p) for s, p, _ in states(table)}
        if missing:
            self.found(f"{what} differs", f"version {version}: it lacks {sorted(missing)}")

    def check_checkpoint(self, version):
        if version not in self.checkpoints:
            return
        facts, adds = self.checkpoints[version]
        self.compare_state(version, facts["table"], "checkpoint")
        paths = {unquote(a["path"]) for a in adds}
        rows = sum(json.loads(a["stats"])["numRecords"] for a in adds)
        if paths != self.live or len(adds) != len(paths) or (facts["files"], facts["rows"]) != (len(adds), rows):
            self.found("checkpoint differs", f"version {version}: {len(adds)} files with {rows} rows, its facts say {facts['files']} with {facts['rows']}; "
                       f"against the log {sorted(paths ^ self.live)[:3]}")

    def check_version(self, version, actions):
        of = lambda kind: [a[kind] for a in actions if kind in a]
        for protocol in of("protocol"):
            if (protocol["minReaderVersion"], protocol["minWriterVersion"], protocol.get("writerFeatures")) != (1, 7, ["headpond"]):
                self.found("foreign protocol", f"version {version}: {protocol}")
        for metadata in of("metaData"):
            self.table_name = metadata["name"]
        facts = next((c["headpond"] for c in of("commitInfo") if "headpond" in c), None)
        if facts is None:
            return self.found("foreign commit", f"version {version}: no commitInfo.headpond")
        if facts["format"] > FORMAT:
            raise SystemExit(f"version {version} is of format {facts['format']}, this verifier knows {FORMAT}; "
                             f"take the one of Headpond {facts['needs']}")
        adds = of("add")
        self.live |= {unquote(a["path"]) for a in adds}
        self.live -= {unquote(r["path"]) for r in of("remove")}
        batches = facts.get("batches", [])
        promised = [f for b in batches for f in b["files"]]
        if sorted(promised) != sorted(unquote(a["path"]) for a in adds):
            self.found("dropped or undeclared add", f"version {version}: batches name {promised}")
        before = dict(self.clocks)
        sums = self.check_ranges(version, batches)
        self.check_txns(version, batches, of("txn"))
        self.check_clocks(version, facts)
        for add in adds:
            self.read_file(version, add, sums, before)
        self.compare_sums(version, sums)

    def compare_sums(self, version, sums):
        for (source, partition, first, last), (said, got) in sums.items():
            names = ["rows", "bytes", "errors", "fingerprint", "payload_fingerprint"]
            for name, a, b in zip(names, said, got):
                if a != b:
                    self.found(f"{name} differ", f"version {version}, {source} partition {partition}, offsets {first}-{last}: "
                               f"log {a}, rows {b}")

    def check_ranges(self, version, batches):
        sums = {}
        for batch in batches:
            for entry in batch["ranges"]:
                self.add_range(version, batch["source"], entry, batch.get("gap_kinds"), sums)
            if sum(r[4] for r in batch["ranges"]) != sum(n for _, n in batch["seconds"]):
                self.found("seconds differ", f"version {version}")
        return sums

    def add_range(self, version, source, entry, gap_kinds, sums):
        partition, quarter, first, last, rows, size, errors, gaps, fp, payload_fp = entry
        key = (source, partition)
        where = f"version {version}, {source} partition {partition}, offsets {first}-{last}"
        if first != self.positions[key] + 1:
            self.found("doubled or lost range", f"{where} follow offset {self.positions[key]}")
        self.positions[key] = last
        if rows + gaps < last - first + 1 or (gaps and not gap_kinds):
            self.found("illegal gap", where)
        sums[(*key, first, last)] = ([rows, size, errors, int(fp, 16), int(payload_fp, 16)], [0] * 5 + [quarter])
        for i, value in enumerate([rows, size, errors, gaps, int(fp, 16), int(payload_fp, 16)]):
            self.totals[key][i] = (self.totals[key][i] + value) & MASK

    def check_txns(self, version, batches, txns):
        expected = {f"{self.table_name}-{b['source']}-{r[0]}": r[3] for b in batches for r in b["ranges"]}
        if {t["appId"]: t["version"] for t in txns} != expected:
            self.found("txn differs", f"version {version}: {txns}")

    def check_clocks(self, version, facts):
        for source, entries in facts.get("clocks", {}).items():
            for partition, clock, position in entries:
                key = (source, partition)
                if position != self.positions[key]:
                    self.found("clock proven elsewhere", f"version {version}, {source} partition {partition}")
                if clock < self.clocks.get(key, clock):
                    self.found("clock goes back", f"version {version}, {source} partition {partition}")
                self.clocks[key] = max(clock, self.clocks.get(key, clock))

    def read_file(self, version, add, sums, clocks):
        path = unquote(add["path"])
        full = os.path.join(self.directory, path)
        if not os.path.exists(full) or os.path.getsize(full) != add["size"]:
            return self.found("missing object or other size", f"version {version}: {path}")
        file = pq.ParquetFile(full)
        names = file.schema_arrow.names
        tenant = ["tenant"] if "tenant" in names and pa.types.is_string(file.schema_arrow.field("tenant").type) else []
        by_partition = defaultdict(list)
        for key in sums:
            by_partition[key[:2]].append(key)
        day = add["partitionValues"]["ingest_date"]
        rows = 0
        for batch in file.iter_batches(columns=COLUMNS + tenant):
            columns = {n: batch.column(n).to_pylist() for n in batch.schema.names if n != "arrival"}
            columns["arrival"] = batch.column("arrival").cast("int64").to_pylist()
            owners = columns.get("tenant", [None] * batch.num_rows)
            for i in range(batch.num_rows):
                source, partition, offset = columns["source"][i], columns["kafka_partition"][i], columns["kafka_offset"][i]
                self.check_row(version, sums, by_partition[(source, partition)], clocks, day, source, partition, offset,
                               columns["record_index"][i], columns["arrival"][i], owners[i], columns["bytes"][i], columns["error"][i],
                               columns["raw"][i])
            rows += batch.num_rows
        self.rows += rows
        if rows != json.loads(add["stats"])["numRecords"]:
            self.found("numRecords differs", f"version {version}: {path}")

    def check_row(self, version, sums, ranges, clocks, day, source, partition, offset, index, arrival, tenant, size, error, raw):
        key, where = (source, partition), f"version {version}, {source} partition {partition}, offset {offset}"
        if (offset, index) <= self.last_row.get(key, (-1, -1)):
            self.found("row twice or out of order", where)
        self.last_row[key] = (offset, index)
        if arrival < self.arrivals.get(key, arrival):
            self.found("arrival falls", where)
        self.arrivals[key] = arrival
        if arrival < clocks.get(key, arrival):
            self.found("row below a published clock", where)
        if day_of(arrival) != day:
            self.found("row in the wrong day", where)
        at = next((k for k in ranges if k[2] <= offset <= k[3]), None)
        if at is None:
            return self.found("stray row", where)
        got = sums[at][1]
        if arrival // QUARTER_US != got[5]:
            self.found("row in the wrong quarter hour", where)
        if self.per_second is not None:
            self.per_second[arrival // 1_000_000] += 1
        got[0] += 1
        got[1] += size
        got[2] += error is not None
        got[3] = (got[3] + row_fingerprint(source, partition, offset, index, tenant, size)) & MASK
        if raw is not None:
            got[4] = (got[4] + payload_fingerprint(offset, raw)) & MASK


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", help="the bronze table, the folder that holds _delta_log")
    parser.add_argument("--json", action="store_true", help="for machines")
    arguments = parser.parse_args()
    if not os.path.isdir(os.path.join(arguments.directory, "_delta_log")):
        print(f"{arguments.directory} is no Delta table: it has no _delta_log", file=sys.stderr)
        return 2
    verifier = Verifier(arguments.directory)
    verifier.run()
    totals = [{"source": s, "partition": p, "last": verifier.positions[(s, p)], "rows": t[0], "bytes": t[1], "errors": t[2], "gaps": t[3],
               "fingerprint": f"{t[4]:016x}", "payload_fingerprint": f"{t[5]:016x}"} for (s, p), t in sorted(verifier.totals.items())]
    if arguments.json:
        print(json.dumps({"version": verifier.version, "rows": verifier.rows, "partitions": totals, "findings": verifier.findings}))
    else:
        for t in totals:
            print("{source}  partition {partition}  to offset {last}  {rows} rows  {bytes} bytes  {errors} errors  {gaps} gaps  "
                  "{fingerprint}  {payload_fingerprint}".format(**t))
        for finding in verifier.findings:
            print(f"{finding['what']}: {finding['where']}")
        print(f"version {verifier.version}, {verifier.rows} rows: " + ("clean" if not verifier.findings else f"{len(verifier.findings)} findings"))
    return 1 if verifier.findings else 0


if __name__ == "__main__":
    sys.exit(main())
