#!/usr/bin/env python3
"""lanes.py [--events N] [--rounds N] [--lanes 1,2]: `ingest.lanes.events_per_s`: a backlog of a real Kafka's topic taken in by `headpond ingest --until-end` with so many
lanes, in turn and in the same run: events a second by the wall, and CPU of the whole process (start included) for each event. Broker and ingest share the machine. Prints
one line of JSON for each number of lanes, with the median of the rounds; exit 1 when a table's audit is not clean."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import harness  # noqa: E402
from harness import check  # noqa: E402

PARTITIONS = 64
TOPOLOGY = """\
version: 1
name: lanes
source:
  kafka: {brokers: "%(brokers)s", topic: logs, encoding: json, start: earliest%(lanes)s}
consumers:
  - {name: ops, tier: 2, freshness: 5m}
bronze: {location: %(place)s, commit_interval: 1s}
"""


def ingest(topology):
    """Wall and CPU seconds."""
    began = time.monotonic()
    child = subprocess.Popen([harness.BINARY, "ingest", "-f", str(topology), "--until-end"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    check(child.returncode == 0, f"ingest --until-end: exit {child.returncode}: {said}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime


def measure(options, directory):
    found = {lanes: [] for lanes in options.lanes}
    with harness.Kafka(directory / "kafka") as kafka:
        write = lambda lanes, place: (directory / "topology.yaml").write_text(TOPOLOGY % {"brokers": kafka.bootstrap, "lanes": f", lanes: {lanes}" if lanes > 1 else "", "place": place})
        write(1, "lake")
        topology = directory / "topology.yaml"
        made = harness.headpond("generate", "-f", topology, "-n", options.events, "--partitions", PARTITIONS, timeout=900)
        check(made.returncode == 0, made.stderr)
        for number in range(options.rounds):
            for lanes in options.lanes:
                write(lanes, f"lake-{number}-{lanes}")
                found[lanes].append(ingest(topology))
                audit = harness.headpond("audit", "-f", topology, "--deep", timeout=900)
                check(audit.returncode == 0, f"the audit: {audit.stdout}{audit.stderr}")
                subprocess.run(["rm", "-rf", directory / f"lake-{number}-{lanes}"], check=True)
    for lanes, rounds in found.items():
        wall, cpu = (statistics.median(each) for each in zip(*rounds))
        yield {"name": "ingest.lanes.events_per_s", "lanes": lanes, "events": options.events, "value": round(options.events / wall), "wall_s": [round(w, 2) for w, _ in rounds],
               "process_cpu_ns_per_event": round(cpu / options.events * 1e9), "cores_used": round(cpu / wall, 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lanes", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
    options = parser.parse_args()
    with harness.Workspace() as directory:
        for line in measure(options, directory):
            print(json.dumps(line))


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)
