#!/usr/bin/env python3
"""spark_minute.py [--seconds N]: `dashboard.full_minute.spark_over_embedded`: CPU seconds of one batch over a minute of full load (580,000
rows a second, as `dashboard.full_minute.cpu_s` has it) on the Spark driver, over those of the embedded engine on the same lake, in the same run. --seconds: a
smaller share of that minute. The driver's session alone, measured by a second driver that finds nothing to do, is no part of the figure: it starts once. Prints
a line of JSON for each figure; exit 1 when the two gold tables differ or Spark took more than one batch: then the figure says nothing."""
import argparse
import json
import os
import pathlib
import subprocess
import sys

import deltalake

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "conformance")]
import compare  # noqa: E402
import dumps  # noqa: E402
import harness  # noqa: E402
from harness import check  # noqa: E402

EMBEDDED, SPARK = "live-ops-dashboard", "spark"
DRIVER_S_MAX = 1800
# A branch of a full minute lives for months: both compilers, and the memory a real driver would be given.
DRIVER = {"SPARK_MASTER": "local[2]", "SPARK_DRIVER_MEMORY": "3g"}


def embedded(directory, seconds):
    """Makes the lake, and the embedded engine's gold over it. CPU seconds of a full minute, and what merely grouping those files by two columns takes."""
    out = directory / "embedded.json"
    made = subprocess.run([ROOT / "build/bench/headpond_bench", "--only", "minute", "--lake", directory, "--seconds", str(seconds), "--out", out],
                          capture_output=True, text=True)
    check(made.returncode == 0, f"headpond_bench: {made.stdout}{made.stderr}")
    figure = next(f for f in json.loads(out.read_text()) if f["name"] == "dashboard.full_minute.cpu_s")
    return figure["value"], figure["floor"]


def write_job(directory):
    rollups = [{"name": "default", "by": ["service", "severity"], "measures": ["duration_ms"]}]
    section = {"gold": f"gold/{SPARK}", "name": SPARK, "trigger_s": 60, "max_keys": 1000, "allowed_lateness_us": 10_000_000, "rollups": rollups}
    path = directory / "job.json"
    path.write_text(json.dumps({"format": 1, "topology": "bench", "branch": SPARK, "kind": "dashboard", "engine": "spark", "lake": str(directory / "lake"),
                                "bronze": "bronze", "promise_s": 300, "dashboard": section}))
    return path


def drive(directory, job, name):
    """One driver that takes what is there and ends: CPU seconds of its JVM and Python."""
    log = directory / f"{name}.log"
    with open(log, "w") as out:
        driver = subprocess.Popen([ROOT / "tools/spark", "submit", ROOT / "engines/spark/dashboard.py", "--job", job, "--once", "--checkpoint", directory / name],
                                  stdout=out, stderr=out, env={**os.environ, **DRIVER})
    try:
        harness.wait_until(lambda: os.waitid(os.P_PID, driver.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), DRIVER_S_MAX, f"the driver ends; see {log}")
    except harness.Failed:
        driver.kill()
        raise
    _, status, used = os.wait4(driver.pid, 0)
    driver.returncode = os.waitstatus_to_exitcode(status)
    check(driver.returncode == 0, f"the driver ended with {driver.returncode}:\n{log.read_text()[-3000:]}")
    return used.ru_utime + used.ru_stime


def same_gold(directory, rows):
    """Both tables, row by row of what they say; and Spark's is one batch of all rows."""
    lake, answers = directory / "lake", directory / "answers"
    for branch in (EMBEDDED, SPARK):
        dumps.gold(answers / branch, lake, branch)
    found = compare.differences(answers / EMBEDDED, answers / SPARK, dumps.DASHBOARD_FILES)
    check(not found, "the two gold tables differ:\n" + "\n".join(found))
    batches = deltalake.DeltaTable(str(lake / "gold" / SPARK)).to_pyarrow_table(filters=[("kind", "=", "batch")], columns=["rows"]).to_pylist()
    check([batch["rows"] for batch in batches] == [rows], f"Spark's batches: {batches}, wanted one of {rows} rows")


def measure(directory, seconds):
    ours, floor = embedded(directory, seconds)
    job = write_job(directory)
    whole, session = drive(directory, job, "batch"), drive(directory, job, "nothing")
    same_gold(directory, 580_000 * seconds)
    spark = (whole - session) * 60 / seconds
    return [{"name": "dashboard.full_minute.spark.cpu_s", "value": round(spark, 1), "unit": "s", "floor": round(floor, 1), "goal": None,
             "seconds_of_load": seconds, "session_cpu_s": round(session, 1)},
            {"name": "dashboard.full_minute.spark_over_embedded", "value": round(spark / ours, 2), "unit": "", "floor": None, "goal": None,
             "embedded_cpu_s": round(ours, 1)}]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    installed = subprocess.run([ROOT / "tools/spark", "install"], capture_output=True, text=True)
    check(installed.returncode == 0, installed.stderr.strip())
    with harness.Workspace() as directory:
        for figure in measure(directory, options.seconds):
            print(json.dumps(figure))


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)
