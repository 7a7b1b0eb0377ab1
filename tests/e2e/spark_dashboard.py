#!/usr/bin/env python3
"""The dashboard on real Spark, over a folder and over bronze in a real S3 server, held against the definition computed anew.

    spark_dashboard.py [--seed N] [--soak]

One random lake (late and future rows, errors, gaps, stalled partitions, a column added, a second generation). From the folder Spark takes it in one
batch, from S3 a few files at a time. With --soak its driver is ended at each named moment and goes on, now from its checkpoint folder, now from a new
one, and two drivers start at once. Both gold tables must equal bronze (tests/oracle/gold_equals_bronze.py), and the embedded engine's beside them.
"""
import argparse
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import pyarrow.fs
from harness import ROOT, Failed, check, oracle

MAKER = ROOT / "build" / "tests" / "gold_table"
BUCKET = "acme-lake"
# A driver here lives for seconds: no time to win back what the second compiler costs.
SHORT_LIVED = {"SPARK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1", "SPARK_MASTER": "local[1]"}
MOMENTS = ["gold.in_batch", "gold.before_commit", "gold.after_commit"]


def tool(name, *arguments, seconds=300):
    done = subprocess.run([str(ROOT / "tools" / name), *map(str, arguments)], capture_output=True, text=True, timeout=seconds)
    check(done.returncode == 0, f"tools/{name} {' '.join(map(str, arguments))}: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def write_job(path, lake, branch):
    rollups = [{"name": "default", "by": ["service", "severity"], "measures": ["duration_ms"]}]
    section = {"gold": f"gold/{branch}", "name": branch, "trigger_s": 60, "max_keys": 5, "allowed_lateness_us": 10_000_000, "rollups": rollups}
    path.write_text(json.dumps({"format": 1, "topology": "t", "branch": branch, "kind": "dashboard", "engine": "spark", "lake": lake,
                                "bronze": "bronze/logs", "promise_s": 300, "dashboard": section}))
    return path


class Driver:
    def __init__(self, job, log, env, *arguments):
        self.log = log
        with open(log, "w") as out:
            self.process = subprocess.Popen([str(ROOT / "tools" / "spark"), "submit", str(ROOT / "engines" / "spark" / "dashboard.py"), "--job", str(job), "--once",
                                             *map(str, arguments)], stdout=out, stderr=out, env={**os.environ, **SHORT_LIVED, **env})

    def wait(self, seconds=420):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed(f"the driver did not end within {seconds} s; its last lines:\n{self.tail()}")

    def tail(self):
        return "\n".join(line for line in self.log.read_text().splitlines()[-40:] if " WARN " not in line)

    def must_end_well(self):
        code = self.wait()
        check(code == 0, f"the driver ended with {code}:\n{self.tail()}")


def s3_environment(directory):
    return dict(word.split("=", 1) for word in shlex.split(tool("s3", "env", directory)) if "=" in word)


def upload(lake, env):
    """Through the server, not into its folder: S3A wants the ETag that the server gives."""
    server = pyarrow.fs.S3FileSystem(endpoint_override=env["AWS_ENDPOINT_URL"].split("//")[1], scheme="http", access_key=env["AWS_ACCESS_KEY_ID"],
                                     secret_key=env["AWS_SECRET_ACCESS_KEY"], region=env["AWS_REGION"], allow_bucket_creation=True)
    server.create_dir(BUCKET)
    pyarrow.fs.copy_files(str(lake), BUCKET, source_filesystem=pyarrow.fs.LocalFileSystem(), destination_filesystem=server)


def from_folder(work, lake):
    job = write_job(work / "folder.json", str(lake), "folder")
    Driver(job, work / "folder.log", {}).must_end_well()
    print("folder:", oracle("gold_equals_bronze.py", "--lake", lake, "--branch", "folder").strip().splitlines()[-1])


def from_s3(work, lake, env, kills):
    job = write_job(work / "s3.json", f"s3://{BUCKET}", "bucket")
    hits = dict.fromkeys(MOMENTS, 0)
    checkpoint = 0
    for kill in range(kills):
        moment = MOMENTS[kill % len(MOMENTS)]
        if kill % 2 == 1:
            checkpoint += 1  # a folder Spark has not seen: gold alone says where to go on
        reached = work / f"reached-{kill}"
        driver = Driver(job, work / f"s3-{kill}.log", env | {"HEADPOND_FAILPOINT": f"{moment}:2", "HEADPOND_FAILPOINT_LOG": str(reached)}, "--max-files", 9,
                        "--checkpoint", work / f"checkpoint{checkpoint}")
        code = driver.wait()
        names = reached.read_text().split() if reached.exists() else []
        check(code != 0 and names[-1:] == [moment], f"the driver was to die at {moment}; it ended with {code} behind {names}:\n{driver.tail()}")
        hits[moment] += 1
    if kills == 0:
        Driver(job, work / "s3.log", env, "--max-files", 40).must_end_well()
        print("s3:", oracle("gold_equals_bronze.py", "--lake", lake, "--branch", "bucket").strip().splitlines()[-1])
        return
    # Two at once: one waits for the other's lease, and finds nothing left to do.
    pair = [Driver(job, work / f"s3-pair{i}.log", env, "--max-files", 40, "--checkpoint", work / f"pair{i}", "--wait-for-lease", 240) for i in range(2)]
    for driver in pair:
        driver.must_end_well()
    print("s3:", oracle("gold_equals_bronze.py", "--lake", lake, "--branch", "bucket").strip().splitlines()[-1])
    print("ended at", ", ".join(f"{moment} {count}" for moment, count in hits.items()))
    check(all(hits.values()), "a moment was never reached")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--soak", action="store_true")
    options = parser.parse_args()
    tool("spark", "install", seconds=900)
    work = pathlib.Path(tempfile.mkdtemp(prefix="headpond-spark-"))
    try:
        made = subprocess.run([str(MAKER), str(work / "made"), str(options.seed)], capture_output=True, text=True, timeout=240)
        check(made.returncode == 0, f"gold_table: {made.stderr.strip()}")
        s3 = work / "s3"
        tool("s3", "install")
        tool("s3", "start", s3)
        try:
            lake = s3 / "data" / BUCKET
            made_lake, env = work / "made" / "lake", s3_environment(s3)
            upload(made_lake, env)
            from_folder(work, made_lake)
            from_s3(work, lake, env, 12 if options.soak else 0)
            print("embedded:", oracle("gold_equals_bronze.py", "--lake", made_lake, "--branch", "ops").strip().splitlines()[-1])
        finally:
            tool("s3", "stop", s3)
        shutil.rmtree(work)
    except Failed as failed:
        sys.exit(f"FAILED (seed {options.seed}, files in {work}): {failed}")


if __name__ == "__main__":
    main()
