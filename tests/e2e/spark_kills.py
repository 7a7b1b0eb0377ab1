#!/usr/bin/env python3
"""The dashboard's driver on Spark is killed again and again over bronze in a real S3 server, and gold must equal the definition in the end.

    spark_kills.py [--kills N] [--seed N] [--faults SHARE]

Each driver takes a few files at a time and dies (SIGKILL of JVM and Python) at a failpoint or at a random moment; the next goes on, from its checkpoint
folder or from a new one. In between, bronze is rewritten as compaction does: files that were read, and files that were not, become one. In the end two
drivers start at once. Meanwhile a proxy spoils a SHARE of the requests of Spark's own S3 client: 503, late, connection reset, carried out and the answer lost.
The verdict is by tests/oracle/gold_equals_bronze.py. Replay: --seed.
"""
import argparse
import json
import os
import pathlib
import random
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import pyarrow
import pyarrow.parquet
from harness import Failed, check, oracle, wait_until
from s3 import Proxy
from spark_dashboard import BUCKET, MAKER, Driver, s3_environment, s3_files, tool, upload, write_job

MOMENTS = ["gold.in_batch", "gold.before_commit", "gold.after_commit", "random"]
LOG = "bronze/logs/_delta_log"


class Bronze:
    """The table in the bucket, as far as a rewrite of it needs."""

    def __init__(self, lake, env):
        self.lake, self.server = lake, s3_files(env)

    def live_files(self):
        """What no rewrite has removed: [add]."""
        adds = {}
        for path in sorted((self.lake / LOG).glob("*.json")):
            for action in map(json.loads, path.read_text().splitlines()):
                if "add" in action:
                    adds[action["add"]["path"]] = action["add"]
                if "remove" in action:
                    adds.pop(action["remove"]["path"])
        return list(adds.values())

    def compact(self, dice):
        """Some files of one day become one, in a version that changes no data."""
        adds = self.live_files()
        day = dice.choice(adds)["partitionValues"]
        chosen = [add for add in adds if add["partitionValues"] == day]
        chosen = dice.sample(chosen, min(len(chosen), 20))
        tables = [pyarrow.parquet.read_table(self.lake / "bronze/logs" / add["path"], partitioning=None) for add in chosen]
        path = f"ingest_date={day['ingest_date']}/compacted-{dice.getrandbits(32):08x}.parquet"
        whole = f"{BUCKET}/bronze/logs/{path}"
        with self.server.open_output_stream(whole) as out:
            pyarrow.parquet.write_table(pyarrow.concat_tables(tables, promote_options="default"), out)
        now = int(time.time() * 1000)
        numbers = [int(number) for add in chosen for number in add["tags"]["headpond.versions"].split("-")]
        version = max(int(entry.stem) for entry in (self.lake / LOG).glob("*.json")) + 1
        rows = sum(len(table) for table in tables)
        actions = [{"commitInfo": {"timestamp": now, "operation": "OPTIMIZE", "operationParameters": {}, "isBlindAppend": False, "engineInfo": "headpond/0.1.0",
                                   "headpond": {"format": 1, "needs": "0.1.0"}}},
                   *({"remove": {"path": add["path"], "deletionTimestamp": now, "dataChange": False, "extendedFileMetadata": True,
                                 "partitionValues": day, "size": add["size"]}} for add in chosen),
                   {"add": {"path": path, "partitionValues": day, "size": self.server.get_file_info(whole).size, "modificationTime": now, "dataChange": False,
                            "stats": json.dumps({"numRecords": rows}), "tags": {"headpond.versions": f"{min(numbers)}-{max(numbers)}"}}}]
        with self.server.open_output_stream(f"{BUCKET}/{LOG}/{version:020d}.json") as out:
            out.write("".join(json.dumps(action) + "\n" for action in actions).encode())
        return len(chosen)


class Story:
    def __init__(self, work, lake, env, seed):
        self.work, self.lake, self.env, self.dice = work, lake, env, random.Random(seed)
        self.job = write_job(work / "s3.json", f"s3://{BUCKET}", "bucket")
        self.hits = dict.fromkeys(MOMENTS, 0)
        self.checkpoint = 0

    def kill_one(self, number):
        moment, reached = MOMENTS[number % len(MOMENTS)], self.work / f"reached-{number}"
        if number % 2 == 1:
            self.checkpoint += 1  # a folder Spark has not seen: gold alone says where to go on
        env = self.env | {"HEADPOND_FAILPOINT_LOG": str(reached)}
        if moment != "random":
            env["HEADPOND_FAILPOINT"] = f"{moment}:{self.dice.randint(1, 2)}"
        driver = Driver(self.job, self.work / f"kill-{number}.log", env, "--max-files", self.dice.choice((7, 9, 13)), "--checkpoint", self.work / f"checkpoint{self.checkpoint}")
        names = lambda: reached.read_text().split() if reached.exists() else []
        if moment == "random":
            wait_until(lambda: names() or not driver.running(), 300, "the driver's first batch")
            threading.Event().wait(self.dice.uniform(0, 6))
            check(driver.running(), f"the driver ended before it was killed:\n{driver.tail()}")
            driver.kill()
        else:
            code = driver.wait()
            check(code != 0 and names()[-1:] == [moment], f"the driver was to die at {moment}; it ended with {code} behind {names()}:\n{driver.tail()}")
        self.hits[moment] += 1
        print(f"killed at {moment} behind {len(names())} moments, checkpoint folder {self.checkpoint}", flush=True)

    def end(self):
        """Two at once: one waits for the other's lease, and finds nothing left to do."""
        pair = [Driver(self.job, self.work / f"pair{i}.log", self.env, "--max-files", 90, "--checkpoint", self.work / f"pair{i}", "--wait-for-lease", 400) for i in range(2)]
        for driver in pair:
            driver.must_end_well()
        waited = [driver for driver in pair if "is held by spark:" in driver.log.read_text()]
        batches = [int(re.search(r"^dashboard: batch (\d+)", text, re.M)[1]) for text in (d.log.read_text() for d in pair) if "dashboard: batch" in text]
        check(len(waited) >= 1 and len(batches) == 1, f"{len(waited)} of two drivers waited, {len(batches)} of them committed")


def run(work, options):
    made = subprocess.run([str(MAKER), str(work / "made"), str(options.seed)], capture_output=True, text=True, timeout=240)
    check(made.returncode == 0, f"gold_table: {made.stderr.strip()}")
    tool("s3", "install")
    tool("s3", "start", work / "s3")
    try:
        lake, env = work / "s3" / "data" / BUCKET, s3_environment(work / "s3")
        upload(work / "made" / "lake", env)
        proxy = Proxy(env["AWS_ENDPOINT_URL"], options.faults, options.seed)
        story, bronze = Story(work, lake, env | {"AWS_ENDPOINT_URL": proxy.url}, options.seed), Bronze(lake, env)
        compacted = 0
        for number in range(options.kills):
            story.kill_one(number)
            if number % 4 == 0:
                compacted += bronze.compact(story.dice)
        story.end()
        faults = ", ".join(f"{kind} {proxy.hits[kind]}" for kind in Proxy.KINDS)
        check(options.faults == 0 or all(proxy.hits[kind] for kind in Proxy.KINDS), f"a kind of fault never happened: {faults}")
        print(oracle("gold_equals_bronze.py", "--lake", lake, "--branch", "bucket").strip().splitlines()[-1])
        hits = ", ".join(f"{moment} {count}" for moment, count in story.hits.items())
        print(f"{proxy.requests} requests of Spark's S3 client, faults: {faults}")
        print(f"seed {options.seed}: {options.kills} kills ({hits}), {story.checkpoint} new checkpoint folders, {compacted} files compacted, two drivers at once: gold equals bronze")
    finally:
        tool("s3", "stop", work / "s3")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--faults", type=float, default=0.01, help="of requests")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    options = parser.parse_args()
    tool("spark", "install", seconds=900)
    work = pathlib.Path(tempfile.mkdtemp(prefix="headpond-spark-kills-"))
    try:
        run(work, options)
    except Failed as failed:
        sys.exit(f"FAILED (seed {options.seed}, files in {work}): {failed}")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
