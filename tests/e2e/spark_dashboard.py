#!/usr/bin/env python3
"""The dashboard on real Spark, over a folder, held against the definition computed anew; what refuses it; a branch that moves there and back, and a log that was cleaned.

    spark_dashboard.py [--seed N]

One random lake (late and future rows, errors, gaps, stalled partitions, a column added, a second generation), taken in one batch and shown by the page. Then a branch goes from the
embedded engine to a driver that `headpond deploy` starts and `headpond status` shows, and back; each waits for the other's lease. On S3 and under kills: spark_kills.py.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import deltalake
import pyarrow.fs
from harness import ROOT, Failed, Page, Up, check, headpond, oracle, wait_until

MAKER = ROOT / "build" / "tests" / "gold_table"
BUCKET = "acme-lake"
# A driver here lives for seconds: no time to win back what the second compiler costs.
SHORT_LIVED = {"SPARK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1", "SPARK_MASTER": "local[1]"}


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
    def __init__(self, job, log, env, *arguments, engine=ROOT / "engines" / "spark"):
        self.log = log
        with open(log, "w") as out:
            self.process = subprocess.Popen([str(ROOT / "tools" / "spark"), "submit", str(engine / "dashboard.py"), "--job", str(job), "--once",
                                             *map(str, arguments)], stdout=out, stderr=out, start_new_session=True, env={**os.environ, **SHORT_LIVED, **env})

    def wait(self, seconds=420):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"the driver did not end within {seconds} s; its last lines:\n{self.tail()}")

    def running(self):
        return self.process.poll() is None

    def kill(self):
        """The JVM and its Python, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def tail(self):
        return "\n".join(line for line in self.log.read_text().splitlines()[-40:] if " WARN " not in line)

    def must_end_well(self):
        code = self.wait()
        check(code == 0, f"the driver ended with {code}:\n{self.tail()}")


def s3_environment(directory):
    return dict(word.split("=", 1) for word in shlex.split(tool("s3", "env", directory)) if "=" in word)


def s3_files(env):
    return pyarrow.fs.S3FileSystem(endpoint_override=env["AWS_ENDPOINT_URL"].split("//")[1], scheme="http", access_key=env["AWS_ACCESS_KEY_ID"],
                                   secret_key=env["AWS_SECRET_ACCESS_KEY"], region=env["AWS_REGION"], allow_bucket_creation=True)


def upload(lake, env):
    """Through the server, not into its folder: S3A wants the ETag that the server gives."""
    server = s3_files(env)
    server.create_dir(BUCKET)
    pyarrow.fs.copy_files(str(lake), BUCKET, source_filesystem=pyarrow.fs.LocalFileSystem(), destination_filesystem=server)


def from_folder(work, lake):
    job = write_job(work / "folder.json", str(lake), "folder")
    driver = Driver(job, work / "folder.log", {})
    driver.must_end_well()
    check("Running Spark version" in driver.log.read_text(), "a session leaves no trace in the log by which its absence could be told")
    # And the page over it, whose every figure is computed anew from bronze's rows too.
    topology = work / "folder.yaml"
    topology.write_text(TOPOLOGY % {"branch": "folder", "lake": lake, "engine": "spark", "spark": ""})
    with Page(topology, work / "serve.log") as page:
        print(page.equals_sql("folder"))
        print("folder:", ", ".join(oracle("gold_equals_bronze.py", "--lake", lake, "--branch", "folder", "--api", page.address).strip().splitlines()[-2:]))


TOPOLOGY = """\
version: 1
name: acme
source:
  kafka: {brokers: "127.0.0.1:1", topic: logs, encoding: json, start: earliest}
consumers:
  - {name: live-ops, tier: 2, freshness: 5m}
bronze:
  location: %(lake)s/bronze/logs
branches:
  - {name: %(branch)s, kind: dashboard, serves: [live-ops], reads: bronze, rhythm: micro-batch, trigger: 1m, window: 5m, engine: %(engine)s%(spark)s}
expect: {events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 4, cores: 2}
"""


class Moved:
    """One branch that goes from the embedded engine to a deployed Spark driver and back."""

    def __init__(self, work, lake):
        self.work, self.lake = work, lake
        for engine, spark in (("embedded", ""), ("spark", ', spark: {master: "local[1]", driver_memory: 1g}')):
            (work / f"{engine}.yaml").write_text(TOPOLOGY % {"branch": "moved", "lake": lake, "engine": engine, "spark": spark})

    def status(self):
        done = headpond("status", "-f", self.work / "spark.yaml", "--json")
        return {line["branch"]: line for line in json.loads(done.stdout)["branches"]}.get("moved", {})

    def batches(self):
        return deltalake.DeltaTable(str(self.lake / "gold" / "moved")).to_pyarrow_table(filters=[("kind", "=", "batch")], columns=["batch_id"]).num_rows

    def embedded(self):
        return Up(self.work / "embedded.yaml", self.work / "embedded.log", "dashboard", arguments=["--data-dir", str(self.work / "state")])

    def deploy(self):
        return headpond("deploy", "-f", self.work / "spark.yaml", "--branch", "moved", "--out", self.work / "deploy", timeout=300)


def there_and_back(work, lake):
    moved = Moved(work, lake)
    first = moved.embedded()
    wait_until(lambda: moved.status().get("engine") == "embedded" and moved.status().get("versions_behind") == 0, 120, "the embedded dashboard runs")
    refused = moved.deploy()
    check(refused.returncode != 0 and "moved is run by" in refused.stderr and "embedded:" in refused.stderr, f"deploy beside the embedded engine: {refused.stderr}")
    check(first.terminate() == 0, "the embedded dashboard did not end well")
    batches = moved.batches()
    done = moved.deploy()
    check(done.returncode == 0, f"deploy: {done.stderr}")
    pid = int(re.search(r"runs as process (\d+)", done.stdout)[1])
    try:
        line = moved.status()
        check((line["engine"], line["verdict"] in ("running", "LATE"), line["versions_behind"]) == ("spark", True, 0), f"status of the deployed branch: {line}")
        second = moved.embedded()
        refused = moved.deploy()
        check(refused.returncode != 0 and "spark:" in refused.stderr and "SIGTERM" in refused.stderr, f"deploy beside a Spark driver: {refused.stderr}")
        check(second.running() and moved.status()["engine"] == "spark", "the embedded engine did not wait for the lease")
    except Failed as failed:
        raise Failed(f"{failed}; the driver's log is in {moved.work / 'deploy'}") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    # The lease is free at once, and the embedded engine goes on from Spark's position.
    wait_until(lambda: moved.status().get("engine") == "embedded", 60, "the embedded dashboard goes on")
    check(second.terminate() == 0, "the embedded dashboard did not end well")
    check(moved.batches() == batches, "moving the branch there and back counted something again")
    print("moved:", oracle("gold_equals_bronze.py", "--lake", lake, "--branch", "moved").strip().splitlines()[-1])


class Growing:
    """A copy of the lake whose log ends where it is told to."""

    def __init__(self, lake, place):
        self.lake = place
        shutil.copytree(lake, place, ignore=shutil.ignore_patterns("gold"))
        self.log = place / "bronze/logs/_delta_log"
        self.entries = {int(path.stem): path.read_bytes() for path in self.log.glob("*.json")}

    def reach(self, version):
        """All entries up to `version` that no clean-up has taken."""
        newest = max((int(path.stem) for path in self.log.glob("*.json")), default=-1)
        for number, text in self.entries.items():
            if number > version:
                (self.log / f"{number:020d}.json").unlink(missing_ok=True)
            elif number > newest:
                (self.log / f"{number:020d}.json").write_bytes(text)

    def clean(self, topology):
        (self.lake / "bronze/logs/_headpond/cursors/cleaned.json").unlink(missing_ok=True)  # as a branch that was away for too long
        done = headpond("maintain", "-f", topology, "--checkpoint")
        check(done.returncode == 0, f"maintain: {done.stdout}{done.stderr}")
        left = sorted(int(path.stem) for path in self.log.glob("*.json"))
        check(len(left) == 1, f"entries {left} are left of the log")
        return left[0]

    def batches(self, branch):
        """Their `last_version`s."""
        table = deltalake.DeltaTable(str(self.lake / "gold" / branch)).to_pyarrow_table(filters=[("kind", "=", "batch")], columns=["last_version"])
        return table["last_version"].to_pylist()


def over_a_cleaned_log(work, lake):
    """Gold stands at a third of the table when all up to two thirds is cleaned; the next driver, over Spark's old folder, goes on behind it. Then one that begins at nothing."""
    growing = Growing(lake, work / "growing")
    newest = max(growing.entries)
    job, checkpoint = write_job(work / "cleaned.json", str(growing.lake), "cleaned"), work / "cleaned-stream"
    topology = work / "cleaned.yaml"
    topology.write_text((TOPOLOGY % {"branch": "cleaned", "lake": growing.lake, "engine": "spark", "spark": ""}).replace("bronze:\n", "bronze:\n  log_retention: 0s\n"))
    growing.reach(newest // 3)
    Driver(job, work / "cleaned.log", {}, "--checkpoint", checkpoint).must_end_well()
    growing.reach(newest * 2 // 3)
    begins = growing.clean(topology)
    growing.reach(newest)
    driver = Driver(job, work / "cleaned.log", {}, "--checkpoint", checkpoint)
    driver.must_end_well()
    said = f"dashboard: bronze's log was cleaned behind version {newest // 3}; going on from its checkpoint of version {begins}"
    check(said in driver.log.read_text(), f"'{said}' is not in its log:\n{driver.tail()}")
    # One that begins at nothing, nine files at a time, ends between two pieces of the gap, and its successor begins the gap again.
    late = write_job(work / "late.json", str(growing.lake), "late")
    driver = Driver(late, work / "late.log", {"HEADPOND_FAILPOINT": "gold.in_gap:2"}, "--max-files", "9")
    check(driver.wait() != 0, "the driver was to be killed within the gap")
    pieces = len(growing.batches("late"))
    check(pieces == 2 and all(last == -1 for last in growing.batches("late")), f"last versions of the batches of a gap's pieces: {growing.batches('late')}")
    Driver(late, work / "late.log", {}, "--max-files", "9").must_end_well()
    check(max(growing.batches("late")) == newest, f"last versions of the batches: {growing.batches('late')}")
    for branch in ("cleaned", "late"):  # against bronze with its whole log
        shutil.copytree(growing.lake / "gold" / branch, lake / "gold" / branch)
        print(f"{branch}:", oracle("gold_equals_bronze.py", "--lake", lake, "--branch", branch).strip().splitlines()[-1])


def refused(job, text, **driver):
    """The driver ends with 1 and one line, before anything is in the lake; its log."""
    driver = Driver(job, job.with_suffix(".log"), {}, **driver)
    code = driver.wait()
    said = [line for line in driver.log.read_text().splitlines() if line.startswith("dashboard: ")]
    check(code == 1 and len(said) == 1 and text in said[0], f"wanted a refusal with '{text}', got {code}: {said}\n{driver.tail()}")
    return driver.log.read_text()


def untested_versions(work, lake):
    """Refused by the driver before it has a session: an engine that was tested with another Spark, and with another Delta."""
    for what, version in (("spark", "4.2.0"), ("delta", "4.4.0")):
        engine = work / f"of-another-{what}"
        shutil.copytree(ROOT / "engines" / "spark", engine)
        session = engine / "headpond_spark" / "session.py"
        tested = f'"{what}": "{version}"'
        check(session.read_text().count(tested) == 1, f"{session} does not name {tested}")
        session.write_text(session.read_text().replace(tested, f'"{what}": "9.9.9"'))
        log = refused(write_job(work / f"{what}.json", str(lake), "newer"), f"{what} {version} was not tested with Headpond, 9.9.9 was", engine=engine)
        check("Running Spark version" not in log, f"{what}: there was a session before the refusal")


def refusals(work, lake):
    """A version nobody tested; a bronze of a newer format, in its newest version. Nothing of gold is made."""
    untested_versions(work, lake)
    newest = sorted((lake / "bronze/logs/_delta_log").glob("*.json"))[-1]
    newer = newest.with_name(f"{int(newest.stem) + 1:020d}.json")
    newer.write_text(json.dumps({"commitInfo": {"timestamp": 0, "headpond": {"format": 2, "needs": "9.0.0"}}}) + "\n")
    refused(write_job(work / "newer.json", str(lake), "newer"), "has format 2, this engine reads 1; install Headpond 9.0.0 or later")
    newer.unlink()
    check(not (lake / "gold" / "newer").exists(), "a refused driver left something in gold")
    print("refused: an untested Spark or Delta, before there is a session; a bronze of a newer format")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    tool("spark", "install", seconds=900)
    work = pathlib.Path(tempfile.mkdtemp(prefix="headpond-spark-"))
    try:
        begin = int(time.time()) // 60 * 60 - 3600  # the page shows what the last 24 hours brought
        made = subprocess.run([str(MAKER), str(work / "made"), str(options.seed), str(begin)], capture_output=True, text=True, timeout=240)
        check(made.returncode == 0, f"gold_table: {made.stderr.strip()}")
        lake = work / "made" / "lake"
        from_folder(work, lake)
        print("embedded:", oracle("gold_equals_bronze.py", "--lake", lake, "--branch", "ops").strip().splitlines()[-1])
        refusals(work, lake)
        there_and_back(work, lake)
        over_a_cleaned_log(work, lake)
        shutil.rmtree(work)
    except Failed as failed:
        sys.exit(f"FAILED (seed {options.seed}, files in {work}): {failed}")


if __name__ == "__main__":
    main()
