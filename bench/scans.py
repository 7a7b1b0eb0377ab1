#!/usr/bin/env python3
"""scans.py [--latency-ms 0 50 80] [--store s3|directory] [--only NAME…] [--events N] [--seconds N] [--binaries A B]: what readers ask of a bronze table of
many small files on S3 (versitygw) costs: `headpond sql`, the dashboard's catching up, the bill of a day, `audit --deep`. The lake is the recorded one of tests/conformance
(record_lake), the same each time. A proxy in front of the store counts requests and bytes and holds each answer back by the latency; at 0 ms and in a
directory there is no proxy. A line of JSON per reading: wall seconds, CPU seconds, VmHWM, requests, bytes, most at a time. With several binaries each runs the
same, in turn; their answers must be equal."""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "conformance"), str(ROOT / "tests" / "e2e")]
import dumps  # noqa: E402
import embedded  # noqa: E402
import harness  # noqa: E402
import recorded  # noqa: E402
from far_store import FarStore  # noqa: E402
from harness import check  # noqa: E402

QUERIES = {
    "count": "SELECT count(*), sum(bytes) FROM bronze",
    "day": "SELECT tenant, count(*), sum(bytes) FROM bronze WHERE arrival >= TIMESTAMPTZ '{day}' AND arrival < TIMESTAMPTZ '{day}' + INTERVAL 1 DAY AND severity_number >= 17 GROUP BY 1 ORDER BY 1",
}


def run(binary, arguments, env, expected=0):
    """(stdout, {wall, cpu, VmHWM}) of a command."""
    began = time.monotonic()
    with subprocess.Popen([binary, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env}) as process:
        errors = []
        drain = threading.Thread(target=lambda: errors.append(process.stderr.read()))
        drain.start()
        out = process.stdout.read().decode()
        drain.join()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    check(process.returncode == expected, f"{' '.join(map(str, arguments))}: exit {process.returncode}: {out}{errors[0].decode()}")
    return out, {"wall_s": time.monotonic() - began, "cpu_s": used.ru_utime + used.ru_stime, "hwm_mb": used.ru_maxrss / 1024}


def catch_up(binary, topology, lake, env, facts, directory):
    """The dashboard from its first version to the last; ended when its position is durable there."""
    began = time.monotonic()
    with open(directory / "dashboard.log", "wb") as log:
        process = subprocess.Popen([binary, "dashboard", "-f", topology, "--branch", recorded.DASHBOARD, "--data-dir", directory / "state"], stdout=log, stderr=log,
                                   env={**os.environ, **env})
    try:
        harness.wait_until(lambda: embedded.cursor(lake, recorded.DASHBOARD).get("durable_version", -1) >= facts["version"] or process.poll() is not None, 900, f"the dashboard; see {log.name}")
        check(process.poll() is None, f"the dashboard ended by itself; see {log.name}")
        wall = time.monotonic() - began
    finally:
        process.terminate()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return "", {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "hwm_mb": used.ru_maxrss / 1024}


def reading(name, binary, topology, lake, env, facts, directory):
    if name in QUERIES:
        return run(binary, ["sql", "-f", topology, QUERIES[name].format(day=facts["closed_day"])], env)
    if name == "audit":
        return run(binary, ["audit", "-f", topology, "--deep"], env, expected=1)  # the recorded lake has a compaction in it
    if name == "bill":
        with embedded.before_version(lake, facts["retention_version"]):  # which removed that day's files
            _, used = run(binary, ["bill", "run", "-f", topology, "--day", facts["retained_day"], "--data-dir", directory / "bill"], env)
        return json.dumps(dumps.bills(directory / "bills", lake, [facts["retained_day"]])[0], default=str), used
    return catch_up(binary, topology, lake, env, facts, directory)


def measure(options, directory):
    made = directory / "made"
    facts = json.loads(subprocess.run([ROOT / "build/tests/record_lake", made, "--seed", "3", "--events", str(options.events), "--seconds", str(options.seconds)],
                                      check=True, capture_output=True, text=True).stdout)
    files = [path.stat().st_size for path in (made / "bronze").rglob("*.parquet")]
    print(json.dumps({"files": len(files), "bytes": sum(files), "median_bytes": sorted(files)[len(files) // 2], "rows": facts["rows"]}), flush=True)
    for name in options.only:
        for latency in options.latency_ms if options.store == "s3" else [0]:
            answers = set()
            for turn in range(options.times):
                for number, binary in enumerate(options.binaries):
                    scratch = directory / f"{name}-{latency}-{turn}-{number}"
                    scratch.mkdir()
                    answer, line = measure_one(options, name, latency, binary, made, facts, scratch)
                    answers.add(answer)
                    print(json.dumps(line), flush=True)
            check(len(answers) == 1, f"{name}: the answers differ: {answers}")


def measure_one(options, name, latency, binary, made, facts, scratch):
    """(answer, line) over a lake and a server of its own: a server that ran over other files remembers them."""
    tool, env, far = str(ROOT / "tools/s3"), {}, None
    data = scratch / "s3" / "data" / "lake"
    if options.store == "s3":
        endpoint = subprocess.run([tool, "start", scratch / "s3"], capture_output=True, text=True, check=True).stdout.split()[-1]
        subprocess.run([tool, "bucket", scratch / "s3", "lake"], check=True)
        env = dict(re.findall(r"(\w+)=(\S+)", subprocess.run([tool, "env", scratch / "s3"], capture_output=True, text=True, check=True).stdout))
    try:
        shutil.copytree(made, data, dirs_exist_ok=True)
        if latency or (options.store == "s3" and options.counted):
            far = FarStore(endpoint, latency / 1000)
            env = {**env, "AWS_ENDPOINT_URL": far.url}
        topology = recorded.write_topology(scratch, "s3://lake" if options.store == "s3" else data, False)
        answer, used = reading(name, binary, topology, data, env, facts, scratch)
        line = {"reading": name, "store": options.store, "latency_ms": latency, "binary": str(binary), **{key: round(value, 2) for key, value in used.items()}}
        return answer, line | ({"requests": far.requests, "mb": round(far.bytes / 1e6, 2), "at_once": far.most} if far else {})
    finally:
        if far:
            far.close()
        if options.store == "s3":
            subprocess.run([tool, "stop", scratch / "s3"], check=False)
        shutil.rmtree(data, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["directory", "s3"], default="s3")
    parser.add_argument("--latency-ms", type=int, nargs="+", default=[0, 50, 80])
    parser.add_argument("--only", nargs="+", choices=[*QUERIES, "dashboard", "bill", "audit"], default=[*QUERIES, "dashboard", "bill", "audit"])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=500)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--counted", action="store_true", help="through the proxy at 0 ms too, so that requests are counted")
    parser.add_argument("--binaries", type=pathlib.Path, nargs="+", default=[pathlib.Path(harness.BINARY)])
    options = parser.parse_args()
    with harness.Workspace() as directory:
        measure(options, directory)


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)
