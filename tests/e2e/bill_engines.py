#!/usr/bin/env python3
"""bill_engines.py [--soak] [--only PARTS]: closed days through every billing engine with the real binary. The same bytes as the embedded engine's and the same digits
as the oracle's from dbt on DuckDB, dbt on Spark and PySpark; two runs at once; ends of the engine and of headpond in mid-run; missed nights; results
that are wrong; engines that are not there, or not tested. --soak: all days of each, and every planted fault. Needs tools/dbt (exit 3 without it)."""
import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import ROOT, check, headpond, wait_until  # noqa: E402

VENV = pathlib.Path(os.environ["HEADPOND_CACHE"]) / "dbt" / "venv"
DAYS = ["2026-11-20", "2026-11-21", "2026-11-22"]
ENGINES = {
    "embedded": "engine: embedded",
    "dbt-duckdb": "engine: dbt",
    "dbt-spark": 'engine: dbt, dbt: {target: spark}, spark: {master: "local[1]", driver_memory: 512m}',
    "pyspark": 'engine: pyspark, spark: {master: "local[1]", driver_memory: 512m}',
}
TOPOLOGY = """\
version: 1
name: case
source:
  kafka: {{brokers: "127.0.0.1:1", topic: logs, encoding: json, start: earliest}}
consumers:
  - {{name: finance, tier: 4, freshness: 24h}}
bronze:
  location: lake/bronze/logs
branches:
  - {{name: bill, kind: billing, serves: [finance], reads: bronze, rhythm: batch, schedule: "0 2 * * *", price_book: prices.yaml, {engine}}}
expect: {{events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 4, cores: 8}}
"""
SPARK_HOME = next(iter(VENV.glob("lib/python3*/site-packages/pyspark")), None)


class Case:
    """A random lake of three closed days, billed by the embedded engine; copies of it for the others."""

    def __init__(self, directory, seed):
        self.directory = directory
        self.made = directory / "made"
        self.made.mkdir(parents=True)
        subprocess.run([str(ROOT / "build" / "tests" / "bill_table"), str(self.made), str(seed)], check=True, timeout=60)
        self.embedded = outputs(self.made / "lake")

    def copy(self, name, engine, billed_until=None):
        """`billed_until`: days the embedded engine has closed already; none: not one."""
        place = self.directory / name
        place.mkdir()
        shutil.copytree(self.made / "lake" / "bronze", place / "lake" / "bronze")
        shutil.copy(self.made / "prices.yaml", place / "prices.yaml")
        (place / "topology.yaml").write_text(TOPOLOGY.format(engine=ENGINES["embedded"]))
        if billed_until:
            bill(place, billed_until)
        (place / "topology.yaml").write_text(TOPOLOGY.format(engine=ENGINES[engine]))
        return place


def outputs(lake):
    """What is the same to the last byte whatever the engine: certificates (which hold the tables' fingerprints), reports, CSV. Only the engine's
    name is taken out of the certificates, and each hash that stands for such a file is given by its name."""
    branch = lake / "billing" / "bill"
    files = {str(p.relative_to(branch)): p.read_bytes() for folder in ("certificates", "reports") for p in sorted((branch / folder).glob("*"))}
    names = {hashlib.sha256(data).hexdigest().encode(): name.encode() for name, data in files.items()}
    plain = lambda data: re.sub(rb"[0-9a-f]{64}", lambda m: names.get(m[0], m[0]), re.sub(rb'"format": 2,', b'"format": 1,', re.sub(rb'  "engine": {[^}]*},\n', b"", data)))
    return {name: plain(data) for name, data in files.items()}


def engine_named(place, day):
    return json.loads((place / "lake/billing/bill/certificates" / f"{day}.json").read_text()).get("engine")


def environment(**more):
    # A JVM that lives for seconds shall not spend them on optimizing.
    return {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1", "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", **more}


def bill(place, day, timeout=400, **more):
    return headpond("bill", "run", "-f", place / "topology.yaml", "--day", day, env=environment(**more), timeout=timeout)


def start(place, day, **more):
    return subprocess.Popen([harness.BINARY, "bill", "run", "-f", str(place / "topology.yaml"), "--day", day], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, env={**os.environ, **environment(**more)})


def engine_of(process):
    """The engine's process, or None."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    words = children.read_text().split() if children.exists() else []
    return int(words[0]) if words else None


def working(process, place):
    """The engine once it has its inputs and has begun to speak: in mid-run."""
    assert process.poll() is None, process.stdout.read()
    pid = engine_of(process)
    return pid if pid and any(p.stat().st_size > 0 for p in place.glob(".headpond/case/bill/*-2026-*.log")) else None


def nothing_stored(place):
    branch = place / "lake" / "billing" / "bill"
    left = [str(p.relative_to(branch)) for p in branch.rglob("*") if p.is_file() and "_leases" not in p.parts] if branch.exists() else []
    check(not left, f"something was written: {left[:5]}")


def equal(case, place, what, days=DAYS, whole=True):
    """`whole`: nothing else is there either."""
    ours = {name: data for name, data in case.embedded.items() if any(day in name for day in days)}
    theirs = {name: data for name, data in outputs(place / "lake").items() if any(day in name for day in days)}
    differing = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    check(not differing and len(ours) == 3 * len(days), f"{what}: not the embedded engine's bytes: {differing}")
    if not whole:
        return
    check(not list((place / "lake/billing/bill").glob("_staging/*/*")), f"{what}: staging was left")
    check(not list(place.glob(".headpond/case/bill/run-*")), f"{what}: a run's folder was left")


def same_digits(case, engine, billed_until=None):
    place = case.copy(engine, engine, billed_until)
    started = time.monotonic()
    done = bill(place, DAYS[-1])
    check(done.returncode == 0, f"{engine}: {done.stderr}")
    right(case, place, engine, engine)
    print(f"{engine}: the embedded engine's bytes and the oracle's digits ({1 if billed_until else 3} days in {time.monotonic() - started:.0f} s)")
    return place


def right(case, place, what, engine):
    """All days are billed, the last one by `engine`: the embedded engine's bytes, the oracle's digits, and verified."""
    named = engine_named(place, DAYS[-1])
    check(named and named["name"] == engine and re.search(r"spark 4\.2\.0|duckdb 1\.5\.5", named["versions"]), f"{what}: the certificate names {named}")
    equal(case, place, what)
    harness.oracle("bill_oracle.py", "--lake", place / "lake", "--branch", "bill", "--prices", place / "prices.yaml")
    verified = headpond("bill", "verify", "-f", place / "topology.yaml", "--day", DAYS[-1], "--deep")
    check(verified.returncode == 0, f"{what}: {verified.stdout}{verified.stderr}")


def reproduces(place, case):
    """A closed day again, by another engine: the same; or, with another content planted in its stored certificate, refused."""
    (place / "topology.yaml").write_text(TOPOLOGY.format(engine=ENGINES["dbt-duckdb"]))
    named = engine_named(place, DAYS[0])
    done = bill(place, DAYS[0])
    check(done.returncode == 0 and "the same to the last byte" in done.stdout, f"a rerun by dbt: {done.stdout}{done.stderr}")
    certificate = place / "lake/billing/bill/certificates" / f"{DAYS[0]}.json"
    good = certificate.read_text()
    check(engine_named(place, DAYS[0]) == named, "a rerun by dbt changed who closed the day")
    planted = re.sub(r'("usage_15m": \{\s*"rows": \d+,\s*"fingerprint": ")(....)', lambda m: m[1] + ("0000" if m[2] != "0000" else "1111"), good)
    check(planted != good, "nothing was planted")
    certificate.write_text(planted)
    done = bill(place, DAYS[0])
    check(done.returncode != 0 and "differs from what comes out now" in done.stderr, f"an altered certificate passed: {done.stdout}{done.stderr}")
    certificate.write_text(good)
    equal(case, place, "after reruns")
    print("a closed day run again by another engine comes to the same; an altered one is refused")


PLANTED = {  # what is changed in a copy of engines/dbt → what refuses it
    "a row less": ("models/usage_15m.sql", "GROUP BY tenant, service, slot", "GROUP BY tenant, service, slot HAVING max(slot) < 95", "does not add up with bronze's log: at 23:45"),
    "a byte more": ("models/usage_15m.sql", "{{ hp_bigint('sum(bytes)') }}", "{{ hp_bigint('sum(bytes) + 1') }}", "does not add up with bronze's log"),
    "rounded up": ("macros/headpond.sql", "CAST({{ quantity }} * {{ price }} AS DECIMAL(28, 2))", "CAST({{ quantity }} * {{ price }} + 0.005 AS DECIMAL(28, 2))",
                     "are not those of its usage at the day's prices"),
    "a peak too high": ("models/usage_peak.sql", "max(events) AS peak_epm", "max(events) + 1000000 AS peak_epm", "does not fit its usage_15m"),
    "another day": ("models/usage_peak.sql", "{{ hp_date(var('day')) }} AS day", "DATE '2020-01-01' AS day", "rows of another day"),
    "a test that fails": ("models/schema.yml", "highest: 95", "highest: 1", "dbt failed on"),
}


def wrong_results(case, soak):
    engines = case.directory / "engines"
    for number, (what, (name, old, new, words)) in enumerate(PLANTED.items()):
        if not soak and what != "rounded up":
            continue
        shutil.rmtree(engines, ignore_errors=True)
        shutil.copytree(ROOT / "engines", engines, ignore=shutil.ignore_patterns("flink", "target", "__pycache__"))
        text = (engines / "dbt" / name).read_text()
        check(old in text, f"nothing to plant in {name}: {old}")
        (engines / "dbt" / name).write_text(text.replace(old, new))
        place = case.copy(f"planted-{number}", "dbt-duckdb")
        done = bill(place, DAYS[0], HEADPOND_ENGINES=str(engines))
        check(done.returncode != 0 and words in done.stderr, f"{what}: exit {done.returncode}: {done.stdout}{done.stderr}")
        nothing_stored(place)
        print(f"planted, {what}: refused, nothing written")


def not_there(case):
    empty = case.directory / "empty"
    empty.mkdir()
    for engine, words in {"dbt-duckdb": "dbt is not installed: there is no python; install it with `tools/dbt install`", "pyspark": "install it with `tools/spark install`, or set SPARK_HOME"}.items():
        place = case.copy("without-" + engine, engine)
        for command in (["bill", "run", "--day", DAYS[0]], ["up"]):
            done = headpond(*command, "-f", place / "topology.yaml", env={"HEADPOND_CACHE": str(empty), "SPARK_HOME": str(empty)}, timeout=60)
            check(done.returncode != 0 and words in done.stderr, f"{engine}: {command}: {done.stdout}{done.stderr}")
        nothing_stored(place)
    old = case.directory / "old"
    (old / "bin").mkdir(parents=True)
    for name, says in {"python": "echo dbt-core 1.8.0", "dbt": "", "bin/spark-submit": "echo '  version 3.5.1'"}.items():
        (old / name).write_text(f"#!/bin/sh\n{says}\n")
        (old / name).chmod(0o755)
    for engine, words in {"dbt-duckdb": "dbt 1.8.0 was not tested with this Headpond; use 1.11.16", "pyspark": "spark 3.5.1 was not tested with this Headpond; use 4.2.0"}.items():
        place = case.copy("old-" + engine, engine)
        for command in (["bill", "run", "--day", DAYS[0]], ["up"]):
            done = headpond(*command, "-f", place / "topology.yaml", env={"HEADPOND_DBT": str(old / "dbt"), "SPARK_HOME": str(old)}, timeout=60)
            check(done.returncode != 0 and words in done.stderr, f"{engine}: {command}: {done.stdout}{done.stderr}")
        nothing_stored(place)
    print("engines that are not installed or not tested are named, with what mends it, before anything is started")


def refused_beside(place):
    """What may not begin while dbt is at work here."""
    second = bill(place, DAYS[0])
    check(second.returncode != 0 and "another run is under way in" in second.stderr, f"a second run: {second.stdout}{second.stderr}")
    elsewhere = ("-f", place / "moved.yaml", "--data-dir", place / "elsewhere")
    (place / "moved.yaml").write_text(TOPOLOGY.format(engine=ENGINES["embedded"]))
    third = headpond("bill", "run", *elsewhere, "--day", DAYS[0], env=environment())
    check(third.returncode != 0 and "branch bill is run by dbt:" in third.stderr, f"a third run: {third.stdout}{third.stderr}")
    (place / "moved.yaml").write_text(TOPOLOGY.format(engine=ENGINES["pyspark"]))
    deploy = headpond("deploy", "-f", place / "moved.yaml", "--out", place / "out", "--branch", "bill", env=environment())
    check(deploy.returncode == 1 and "branch bill is run by dbt (lease " in deploy.stderr, f"deploy: {deploy.stdout}{deploy.stderr}")


def one_at_a_time(case):
    """In one directory a second run is refused at once; from another machine, or by an engine that is moved there, it is refused by the lease.
    The first, killed in mid-run with its engine or at a failpoint, is made up for by the next."""
    place = case.copy("two", "dbt-duckdb")
    process = start(place, DAYS[0])
    pid = wait_until(lambda: working(process, place), 120, "the engine is at work")
    os.kill(pid, signal.SIGSTOP)  # it shall not end before it has been seen; headpond keeps the lease meanwhile
    try:
        refused_beside(place)
    finally:
        os.kill(pid, signal.SIGKILL)
    said = process.communicate(timeout=60)[0]
    check(process.returncode != 0 and "failed on 2026-11-20 with exit code 137" in said, f"engine killed: exit {process.returncode}: {said}")
    check(not (place / "lake/billing/bill/certificates").exists(), "a certificate after a kill")
    killed = bill(place, DAYS[0], HEADPOND_FAILPOINT="billing.mid:1")
    check(killed.returncode == -9, f"not killed at billing.mid: exit {killed.returncode}: {killed.stderr}")
    done = bill(place, DAYS[0])
    check(done.returncode == 0, f"after the kills: {done.stderr}")
    equal(case, place, "after kills", DAYS[:1])
    print("while one runs: a second run, one elsewhere and a deploy are refused; killed twice, its day comes out the same")


def nights(case):
    """`up` makes up missed nights in order; SIGTERM in mid-run ends it and its engine soon; the next `up` goes on."""
    place = case.copy("nights", "dbt-duckdb", DAYS[0])
    certificates = lambda: sorted(p.stem for p in (place / "lake/billing/bill/certificates").glob("*.json"))
    up = harness.Up(place / "topology.yaml", place / "up.log", "billing", env=environment())
    wait_until(lambda: list(place.glob(".headpond/case/bill/run-*/inputs.json")), 120, "the engine of the second night")
    pid = wait_until(lambda: next(iter(children(up.process.pid)), None), 60, "its process")
    check(up.terminate(30) == 0, f"up did not end cleanly: {(place / 'up.log').read_text()}")
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 10, "the engine ends with up")
    check(certificates() == DAYS[:1], f"closed after the stop: {certificates()}")
    up = harness.Up(place / "topology.yaml", place / "up.log", "billing", env=environment())
    try:
        for n in range(2, len(DAYS) + 1):
            wait_until(lambda: certificates()[:n] == DAYS[:n], 480, f"{DAYS[n - 1]} of the missed nights")
        status = wait_until(lambda: harness.statuses(place / "topology.yaml").get("billing"), 30, "a status")
        check(status["engine"] == "dbt", f"the cursor's engine: {status}")
        check(up.terminate(30) == 0, "up did not end cleanly")
    finally:
        up.kill()
    right(case, place, "nights", "dbt-duckdb")
    print("missed nights in order by `up`; SIGTERM stops the engine within seconds and the next start goes on")


def children(pid):
    out = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        out += [int(word) for word in task.read_text().split()]
    return out


def all_bill_alike(case, soak):
    days = None if soak else DAYS[1]
    reproduces(same_digits(case, "pyspark", days), case)
    same_digits(case, "dbt-spark", days)
    if soak:
        same_digits(case, "dbt-duckdb")


PARTS = {"not-there": lambda case, soak: not_there(case), "alike": all_bill_alike, "wrong": wrong_results,
         "one": lambda case, soak: one_at_a_time(case), "nights": lambda case, soak: nights(case)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--only", default=list(PARTS), type=lambda text: text.split(","), help=", ".join(PARTS))
    options = parser.parse_args()
    if not (VENV / "bin" / "dbt").exists():
        print("dbt is not installed: tools/dbt install", file=sys.stderr)
        return 3
    with harness.Workspace() as directory:
        case = Case(directory, int(time.time()) % 100_000)
        for part in options.only:
            PARTS[part](case, options.soak)
    print("bill engines: embedded, pyspark, dbt-duckdb and dbt-spark bill alike")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except harness.Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
