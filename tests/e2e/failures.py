#!/usr/bin/env python3
"""failures.py: a disk that fills up, wrong rules, topologies, days and SQL: each time one clear line that names the mend, a non-zero exit where the
command cannot go on, nothing lost. (Brokers, topics and foreign tables: ingest.py.)"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from harness import check, headpond, wait_until  # noqa: E402

HOOK = "http://127.0.0.1:9/hook"


def refused(what, done, codes, *words):
    """One line on stderr with all the words, one of the exit codes."""
    text = done.stderr.strip()
    check(done.returncode in codes, f"{what}: exit {done.returncode}, expected {codes}: {text}")
    lines = [line for line in text.splitlines() if not line.startswith("headpond: stopping") and not line.startswith("headpond: the page is at")]
    for word in words:
        check(any(word.lower() in line.lower() for line in lines), f"{what}: no line says '{word}': {text}")
    check(len(lines) <= 2 and max(map(len, lines)) < 700, f"{what}: not one clear line: {text}")
    print(f"  {what}: {lines[0][:150]}")


def fresh(directory, name, brokers, **more):
    path = directory / name
    path.mkdir()
    return harness.write_topology(path, brokers, HOOK, name=name, **more)


def ingest_until(topology, condition, log):
    up = harness.Up(topology, log, "ingest")
    try:
        wait_until(lambda: condition(harness.statuses(topology)) or not up.running(), 60, "ingest has read the topic")
        check(up.running(), f"ingest ended by itself; see {log}")
    finally:
        if up.running():
            up.terminate()
        up.kill()


def caught_up(rows):
    return lambda now: now.get("ingest", {}).get("figures", {}).get("kafka_lag", 1) == 0 and now["ingest"]["figures"].get("rows", 0) >= rows


def full_disk(directory, kafka):
    """A small filesystem fills up; with room again, everything is there once."""
    topology = fresh(directory, "full", kafka.bootstrap, topic="plenty")
    lake = topology.parent / "lake"
    lake.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(lake)], capture_output=True, text=True)
    check(mounted.returncode == 0, f"cannot mount a small filesystem to fill: {mounted.stderr.strip()}")
    try:
        check(headpond("generate", "-f", topology, "-n", 60000).returncode == 0, "generate")
        log = directory / "full.log"
        up = harness.Up(topology, log, "ingest")
        wait_until(lambda: not up.running() or "no space left" in log.read_text().lower(), 60, "the full disk is said")
        text = log.read_text()
        check("no space left" in text.lower(), f"the full disk is not named: {text[-300:]}")
        print(f"  full disk: {[line for line in text.splitlines() if 'no space left' in line.lower()][0][:150]}")
        subprocess.run(["mount", "-o", "remount,size=200m", str(lake)], check=True)
        wait_until(lambda: json.loads(headpond("audit", "-f", topology, "--json").stdout or "{}").get("rows") == 60000, 90, "all rows are there once there is room")
        up.terminate()
        audit = json.loads(headpond("audit", "-f", topology, "--deep", "--json").stdout)
        check(audit["clean"] and audit["rows"] == 60000, f"after the full disk: {audit['rows']} rows, findings {audit['findings']}")
    finally:
        subprocess.run(["umount", "-l", str(lake)], check=False)


def words(directory, kafka, topology):
    bad = fresh(directory, "badrule", kafka.bootstrap, topic="events")
    (bad.parent / "rules.yaml").write_text(harness.RULES.replace("severity_number >= 17", "severty_number >= 17"))
    done = headpond("rules", "check", "-f", bad)
    refused("bad rule", done, {2}, "rules.yaml:8", "severity_number")
    bad.write_text(bad.read_text().replace("rhythm: stream", "rythm: stream"))
    refused("bad topology", headpond("up", "-f", bad), {2}, "topology.yaml:13", "rhythm")
    careless = fresh(directory, "careless", kafka.bootstrap)
    careless.write_text(careless.read_text().replace("start: earliest", 'start: earliest, librdkafka_options: {acks: "1"}'))
    refused("an option that could lose records", headpond("plan", "-f", careless), {2}, "topology.yaml:4", "'acks' cannot be set", "always 'all'")
    refused("no topology", headpond("up", "-f", directory / "nowhere.yaml"), {2}, "headpond init")
    refused("no such command", headpond("statsu"), {2}, "no command 'statsu'", "status")
    refused("no table yet", headpond("sql", "-f", fresh(directory, "none", kafka.bootstrap), "SELECT count(*) FROM bronze"), {3, 2}, "no bronze table", "headpond ingest")
    today = subprocess.run(["date", "-u", "+%F"], capture_output=True, text=True).stdout.strip()
    refused("bill for a day that is not closed", headpond("bill", "run", "-f", topology, "--day", today), {1}, "partition")
    done = headpond("bill", "run", "-f", topology, "--day", today, "--provisional")
    check(done.returncode == 0 and "provisional" in done.stdout, f"--provisional: {done.stderr}")
    refused("no such day", headpond("bill", "run", "-f", topology, "--day", "2026-13-01"), {2}, "2026-11-25")
    done = headpond("sql", "-f", topology, "SELECT sevice FROM bronze")
    check(done.returncode == 2 and '"service"' in done.stderr, f"bad SQL: {done.stderr}")


def main():
    with harness.Workspace() as directory, harness.Kafka(directory / "kafka") as kafka:
        full_disk(directory, kafka)
        topology = fresh(directory, "words", kafka.bootstrap)
        check(headpond("generate", "-f", topology, "-n", 2000).returncode == 0, "generate")
        ingest_until(topology, caught_up(2000), directory / "log")
        words(directory, kafka, topology)
    print("failures: each one clear line, a non-zero exit, nothing lost")


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
