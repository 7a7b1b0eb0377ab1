#!/usr/bin/env python3
"""bronze_readers.py BRONZE_TABLE [SEEDS [HEADPOND]]: has the program write random bronze tables and holds them against readers that are not ours:
docs/formats/verify_bronze.py must find the audit's own totals, deltalake, DuckDB's delta extension and pyarrow must see the same rows,
no filter may miss a row by the log's statistics, deltalake must refuse to write, and the verifier must name each damage planted into a copy. The frozen table of format 1 must verify as it
did when it was frozen, and this program must be able to continue it. Every second table is one whose log was checkpointed and cleaned while it was
written; damages of its ledger and checkpoints are planted too. With HEADPOND, `headpond audit --deep` must name the same damages."""
import glob
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from urllib.parse import unquote

import deltalake
import duckdb
import duckdb_extension_delta
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

VERIFIER = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "formats", "verify_bronze.py")
KEY = ["source", "kafka_partition", "kafka_offset", "record_index"]


def verify(path):
    done = subprocess.run([sys.executable, VERIFIER, path, "--json"], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


TOPOLOGY = """version: 1
name: acme-logs
source: {kafka: {brokers: "127.0.0.1:1", topic: logs, encoding: json}}
consumers: [{name: on-call, tier: 2, freshness: 5m}]
bronze: {location: "%s"}
branches: [{name: ops, kind: dashboard, serves: [on-call], reads: bronze, rhythm: micro-batch, trigger: 1m, window: 5m}]
"""


def headpond_audit(headpond, path):
    topology = path + ".yaml"
    with open(topology, "w") as f:
        f.write(TOPOLOGY % path)
    done = subprocess.run([headpond, "audit", "-f", topology, "--deep", "--json"], capture_output=True, text=True)
    assert done.returncode in (0, 1) and done.stdout, (done.returncode, done.stderr)
    return done.returncode, json.loads(done.stdout)


def log_file(path, version):
    return os.path.join(path, "_delta_log", f"{version:020}.json")


def actions(path, version):
    with open(log_file(path, version)) as f:
        return [json.loads(line) for line in f]


def rewrite(path, version, changed):
    with open(log_file(path, version), "w") as f:
        f.writelines(json.dumps(a) + "\n" for a in changed)


def identities(table):
    columns = [table.column(n).to_pylist() for n in KEY + ["raw"]]
    return sorted(zip(*columns), key=lambda r: r[:4])


def check_readers(path):
    """Rows by identity and payload, as deltalake, DuckDB's delta extension and pyarrow read them."""
    table = deltalake.DeltaTable(path)
    files = [unquote(u).removeprefix("file://") for u in table.file_uris()]
    through_pyarrow = identities(pa.concat_tables([pq.ParquetFile(f).read(columns=KEY + ["raw"]) for f in files]))
    through_deltalake = identities(table.to_pyarrow_table(columns=KEY + ["raw"]))
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    extension = glob.glob(os.path.join(os.path.dirname(duckdb_extension_delta.__file__), "**", "*.duckdb_extension"), recursive=True)[0]
    connection.execute(f"LOAD '{extension}'")
    query = f"SELECT {', '.join(KEY)}, raw FROM delta_scan('{path}')"
    through_duckdb = sorted((tuple(r) for r in connection.execute(query).fetchall()), key=lambda r: r[:4])
    days = dict(connection.execute(f"SELECT ingest_date::VARCHAR, count(*) FROM delta_scan('{path}') WHERE ingest_date::DATE = arrival::DATE "
                                   "GROUP BY 1").fetchall())
    assert through_pyarrow == through_deltalake == through_duckdb, "readers differ"
    assert len({r[:4] for r in through_pyarrow}) == len(through_pyarrow), "an identity twice"
    assert sum(days.values()) == len(through_pyarrow) and len(days) == 2, f"ingest_date is not the day of arrival: {days}"
    try:
        deltalake.write_deltalake(path, table.to_pyarrow_table().slice(0, 1), mode="append")
    except Exception as refused:  # its class differs by version
        assert "feature" in str(refused).lower() or "writer" in str(refused).lower(), refused
    else:
        raise AssertionError("deltalake appended to a bronze table")
    return len(through_pyarrow)


def check_filters(path):
    """What deltalake leaves out by the statistics in the log holds nothing that a filter looks for: least, greatest and a middle value of each column, and NULL
    (but of a column that files are older than: deltalake 1.6.6 takes what a file does not know for a column with values)."""
    table = deltalake.DeltaTable(path)
    dataset = table.to_pyarrow_dataset()
    known = pa.table(table.get_add_actions(flatten=True))
    whole = dataset.to_table()
    checked = 0
    for field in whole.schema:
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            continue
        column, x = whole.column(field.name), ds.field(field.name)
        stated = known.column(f"null_count.{field.name}").null_count == 0 if f"null_count.{field.name}" in known.column_names else field.name == "ingest_date"
        filters = [(x.is_null(), column.null_count)] if stated else []
        values = [v for v in column.drop_null().to_pylist() if v == v]
        for value in {v for v in (min(values), max(values), sorted(values)[len(values) // 2])} if values else ():
            filters.append((x == pa.scalar(value, field.type), values.count(value)))
        for wanted, count in filters:
            found = dataset.to_table(filter=wanted, columns=[field.name]).num_rows
            assert found == count, f"{field.name}: {found} of {count} rows for {wanted}"
            checked += 1
    return checked


class Damage:
    """Each method plants one damage into the copy at self.path and returns what the verifier's finding begins with, and the audit's name."""

    def __init__(self, path, seed):
        self.path, self.dice = path, random.Random(seed)
        newest = len(os.listdir(os.path.join(path, "_delta_log"))) - 1
        self.versions = [v for v in range(2, newest) if any("add" in a for a in actions(path, v))]
        self.newest = newest
        self.version = self.dice.choice(self.versions)

    def edit(self, change, version=None):
        version = self.version if version is None else version
        changed = actions(self.path, version)
        change(changed, next(a["commitInfo"]["headpond"] for a in changed if "commitInfo" in a))
        rewrite(self.path, version, changed)

    def edit_rows(self, change):
        """Rewrites the first file of the version; the log states the new file's size, so that only its content is wrong."""
        def patch(changed, _):
            add = next(a["add"] for a in changed if "add" in a)
            file = os.path.join(self.path, unquote(add["path"]))
            pq.write_table(change(pq.ParquetFile(file).read()), file)
            add["size"] = os.path.getsize(file)
        self.edit(patch)

    def dropped_add(self):
        self.edit(lambda a, _: a.remove(next(x for x in a if "add" in x)))
        return "dropped or undeclared add", "dropped add"

    def lost_object(self):
        add = next(a["add"] for a in actions(self.path, self.version) if "add" in a)
        os.remove(os.path.join(self.path, unquote(add["path"])))
        return "missing object", "missing object"

    def lost_version(self):
        os.remove(log_file(self.path, self.version))
        return "missing version", "missing version"

    def doubled_range(self):
        self.edit(lambda _, facts: facts["batches"][0]["ranges"][0].__setitem__(2, facts["batches"][0]["ranges"][0][2] - 1))
        return "doubled or lost range", "doubled range"

    def swapped_fingerprint(self):
        def swap(_, facts):
            ranges = facts["batches"][0]["ranges"]
            ranges[0][8], ranges[0][9] = ranges[0][9], ranges[0][8]
        self.edit(swap)
        return "fingerprint differ", "fingerprint differs"

    def foreign_commit(self):
        rewrite(self.path, self.newest + 1, [{"commitInfo": {"timestamp": 1, "operation": "DELETE"}}])
        return "foreign commit", "foreign commit"

    def clock_back(self):
        def back(_, facts):
            next(iter(facts["clocks"].values()))[0][1] -= 3_600_000_000
        self.edit(back, next(v for v in reversed(self.versions) if actions(self.path, v)[0]["commitInfo"]["headpond"].get("clocks")))
        return "clock goes back", "clock goes back"

    def undeclared_gap(self):
        self.edit(lambda _, facts: facts["batches"][0].pop("gap_kinds", None) or facts["batches"][0]["ranges"][0].__setitem__(4, 0))
        return "illegal gap", "illegal gap"

    def lost_row(self):
        self.edit_rows(lambda t: t.slice(1))
        return "rows differ", "lost rows"

    def changed_payload(self):
        def flip(t):
            raw = t.column("raw").to_pylist()
            at = next(i for i, r in enumerate(raw) if r)
            raw[at] = bytes([raw[at][0] ^ 1]) + raw[at][1:]
            return t.set_column(t.schema.get_field_index("raw"), "raw", pa.array(raw, pa.binary()))
        self.edit_rows(flip)
        return "payload_fingerprint differ", "payload differs"

    def changed_tenant(self):
        def change(t):
            tenants = t.column("tenant").to_pylist()
            tenants[0] = "somebody else"
            return t.set_column(t.schema.get_field_index("tenant"), "tenant", pa.array(tenants, pa.string()))
        self.edit_rows(change)
        return "fingerprint differ", "fingerprint differs"

    def falling_arrival(self):
        def fall(t):
            at = t.schema.get_field_index("arrival")
            values = t.column("arrival").cast("int64").to_pylist()
            values[-1] -= 1_000_000_000
            return t.set_column(at, "arrival", pa.array(values, pa.int64()).cast(pa.timestamp("us", "UTC")))
        self.edit_rows(fall)
        return "arrival falls", "arrival falls"


class CleanedDamage:
    """The same, in a table whose log was cleaned."""

    def __init__(self, path, _):
        self.path = path
        self.newest = max(int(os.path.basename(n)[:20]) for n in self.checkpoints())
        self.blocks = sorted(glob.glob(os.path.join(path, "_headpond", "ledger", "*", "*.json")), key=os.path.basename)

    def checkpoints(self):
        return sorted(glob.glob(os.path.join(self.path, "_headpond", "checkpoints", "*.json")))

    @staticmethod
    def edit(file, change):
        with open(file) as f:
            document = json.load(f)
        change(document)
        with open(file, "w") as f:
            json.dump(document, f)

    def dropped_ledger_range(self):
        self.edit(self.blocks[-1], lambda b: next(iter(b["ranges"].values())).pop())
        return "ledger differs", "ledger differs"

    def dropped_ledger_block(self):
        os.remove(self.blocks[len(self.blocks) // 2])
        return "missing ledger block", "missing ledger block"

    def changed_ledger_rows(self):
        def change(block):
            next(iter(block["ranges"].values()))[0][4] += 1
        self.edit(self.blocks[0], change)
        return "rows differ", "row counts differ"

    def changed_peak(self):
        def change(block):
            block["seconds"][0][1] += 1
        self.edit(self.blocks[-1], change)
        return "seconds differ", "seconds differ"

    def checkpoint_without_an_add(self):
        file = os.path.join(self.path, "_delta_log", f"{self.newest:020}.checkpoint.parquet")
        table = pq.read_table(file)
        at = next(i for i, add in enumerate(table.column("add").to_pylist()) if add)
        pq.write_table(pa.concat_tables([table.slice(0, at), table.slice(at + 1)]), file)
        return "checkpoint differs", "checkpoint differs"

    def old_checkpoint_without_an_add(self):
        self.newest = int(os.path.basename(self.checkpoints()[0])[:20])
        self.checkpoint_without_an_add()
        return "files differ", "row counts differ"

    def moved_position(self):
        def change(facts):
            list(facts["table"]["partitions"].values())[-1][0]["position"] += 1
        self.edit(self.checkpoints()[-1], change)
        return "checkpoint differs", "checkpoint differs"

    def lost_entry_behind_the_checkpoint(self):
        entries = sorted(glob.glob(os.path.join(self.path, "_delta_log", "*.json")))
        os.remove(entries[1])
        return "missing version", "missing version"


def check_frozen(program, folder):
    golden = os.path.join(os.path.dirname(__file__), "..", "golden", "format-1")
    with open(os.path.join(golden, "bronze.json")) as f:
        expected = json.load(f)
    copy = os.path.join(folder, "frozen")
    shutil.copytree(os.path.join(golden, "bronze"), copy)
    assert verify(copy) == (0, expected), "the frozen table no longer verifies as it did"
    continued = subprocess.run([program, copy, "77", "5"], capture_output=True, text=True)
    assert continued.returncode == 0, continued.stderr
    code, found = verify(copy)
    own = json.loads(continued.stdout)
    assert code == 0 and found["partitions"] == own["partitions"], found["findings"][:3]
    assert found["version"] > expected["version"] and found["rows"] > expected["rows"], "nothing was added"
    old = {(p["source"], p["partition"]): p for p in expected["partitions"]}
    for p in found["partitions"]:  # the generation out of force stays as it was
        if p["source"] == "logs@0":
            assert p == old[(p["source"], p["partition"])], p


DAMAGES = [(of, n) for of in (Damage, CleanedDamage) for n in vars(of) if not n.startswith("_") and n not in ("edit", "edit_rows", "checkpoints")]


def main():
    program, seeds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4
    headpond = sys.argv[3] if len(sys.argv) > 3 else None
    first = random.SystemRandom().randrange(1 << 20)
    rows = filters = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in [1, 2, *range(first, first + max(0, seeds - 2))]:
            print(f"seed {seed}", flush=True)
            path = os.path.join(folder, str(seed))
            cleaned = seed % 2 == 0
            written = subprocess.run([program, path, str(seed), *(["20", "cleaned"] if cleaned else [])], capture_output=True, text=True)
            assert written.returncode == 0, written.stderr
            code, found = verify(path)
            assert code == 0, found["findings"][:3]
            own = json.loads(written.stdout)
            assert found["partitions"] == own["partitions"] and found["version"] == own["version"], (found, own)
            assert check_readers(path) == own["rows"]
            filters += check_filters(path)
            assert os.path.exists(log_file(path, 0)) != cleaned, "the log was to be cleaned"
            rows += own["rows"]
        check_frozen(program, folder)
        for of, name in DAMAGES:
            copy = os.path.join(folder, name)
            shutil.copytree(os.path.join(folder, "1" if of is Damage else "2"), copy)
            expected, named = getattr(of(copy, 5), name)()
            code, found = verify(copy)
            assert code == 1 and any(f["what"].startswith(expected) for f in found["findings"]), (name, expected, found["findings"][:5])
            if headpond:
                code, found = headpond_audit(headpond, copy)
                assert code == 1 and any(f["what"] == named for f in found["findings"]), (name, named, found["findings"][:5])
        if headpond:
            for clean in "1", "2":
                code, found = headpond_audit(headpond, os.path.join(folder, clean))
                assert code == 0, ("the audit finds damage in a clean table", found["findings"][:3])
    print(f"bronze: {rows} rows read alike by four readers, {filters} filters, {len(DAMAGES)} damages named, the frozen table of format 1 continued")


if __name__ == "__main__":
    main()
