#!/usr/bin/env python3
"""headpond deploy with the real binary: what refuses it and with which words, that a refusal and a dry run change nothing, that no secret is written,
what is handed to an engine, and that a pager's pages come back. The engines here are doubles: an HTTP server that answers as a JobManager, and programs that note how they were called."""
import http.server
import json
import os
import pathlib
import shutil
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness
from harness import check, headpond

SECRET = "planted-secret-value"
TOPOLOGY = """\
version: 1
name: acme
source:
  kafka: {brokers: "127.0.0.1:1", topic: logs, encoding: json, start: earliest, librdkafka_options: {sasl.password: "${PLANTED}"}}
consumers:
  - {name: on-call, tier: 1, freshness: 30s, latency_value: {usd_per_minute: 1000, incidents_per_month: 4}}
  - {name: live-ops, tier: 2, freshness: 5m}
  - {name: finance, tier: 4, freshness: 24h}
bronze:
  location: lake/bronze/logs
branches:
  - {name: pager, kind: pager, serves: [on-call], reads: bronze, rhythm: stream, rules: rules.yaml,
     state: {store: rocksdb, checkpoints: lake/flink}, engine: flink, flink: {rest: "%(rest)s", parallelism: 2},
     notify: [{name: hook, kind: webhook, url: "http://127.0.0.1:1/${PLANTED}", secret: "${PLANTED}"}]}
  - {name: dash, kind: dashboard, serves: [live-ops], reads: bronze, rhythm: micro-batch, trigger: 1m, window: 5m, engine: spark}
  - {name: bill, kind: billing, serves: [finance], reads: bronze, rhythm: batch, schedule: "0 2 * * *", price_book: prices.yaml, engine: dbt}
expect: {events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 4, cores: 2}
"""


class JobManager:
    """Answers /overview as a JobManager does."""

    def __init__(self):
        self.overview = {"flink-version": "2.3.0", "slots-total": 2, "slots-available": 2}
        manager = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(manager.overview).encode()
                self.send_response(200 if self.path == "/overview" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

PACKAGES = "printf 'dbt-core 1.11.16\\ndbt-duckdb 1.11.1\\nduckdb 1.5.5\\n'"


class World:
    """A lake with a frozen bronze, doubles of the engines' programs, and an environment with a secret in it."""

    def __init__(self, directory):
        self.directory = directory
        self.manager = JobManager()
        (directory / "lake" / "bronze").mkdir(parents=True)
        shutil.copytree(harness.ROOT / "tests/golden/format-1/bronze", directory / "lake/bronze/logs")
        (directory / "rules.yaml").write_text(harness.RULES)
        (directory / "prices.yaml").write_text(harness.PRICES)
        self.topology = directory / "topology.yaml"
        self.write_topology()
        self.program("flink/bin/flink", "echo Job has been submitted with JobID 0123456789abcdef0123456789abcdef")
        self.program("spark/bin/spark-submit", "echo '   version 4.2.0'")
        self.program("dbt", "")
        self.program("python", PACKAGES)
        (directory / "pager.jar").write_text("a jar")
        shutil.copytree(harness.ROOT / "engines" / "dbt", directory / "engines" / "dbt")
        (directory / "engines" / "spark").mkdir()
        (directory / "engines" / "spark" / "dashboard.py").write_text("")
        self.env = {
            "PLANTED": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ACCESS_KEY_ID": SECRET, "FLINK_HOME": str(directory / "flink"),
            "SPARK_HOME": str(directory / "spark"), "HEADPOND_DBT": str(directory / "dbt"), "HEADPOND_FLINK_JAR": str(directory / "pager.jar"),
            "HEADPOND_ENGINES": str(directory / "engines"), "HEADPOND_CACHE": str(directory / "no-cache"), "FLINK_REST": "", "SPARK_MASTER": "local[1]"}

    def write_topology(self, **values):
        self.topology.write_text(TOPOLOGY % {"rest": self.manager.url, **values})

    def program(self, name, body):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.directory}/called\necho "conf=$FLINK_CONF_DIR" >> {self.directory}/called\n{body}\n')
        path.chmod(0o755)

    def deploy(self, *arguments):
        return headpond("deploy", "-f", self.topology, "--out", self.directory / "out", *arguments, env=self.env)

    def called(self):
        path = self.directory / "called"
        return path.read_text() if path.exists() else ""

    def state(self):
        """Everything that a deployment could have changed."""
        files = [p for top in ("lake", "out") if (self.directory / top).exists() for p in (self.directory / top).rglob("*")]
        return sorted((str(p), p.read_bytes() if p.is_file() else b"") for p in files)

    def lease(self, root, holder, released=False):
        folder = self.directory / "lake" / root
        folder.mkdir(parents=True, exist_ok=True)
        lease = {"format": 1, "epoch": 3, "holder": holder, "nonce": "x", "released": released, "lease_us": 3000000, "grace_us": 2000000, "at": 0}
        (folder / "000000000007.json").write_text(json.dumps(lease))
        return folder


def refused(world, what, code, *words, arguments=()):
    before = world.state()
    done = world.deploy(*arguments)
    check(done.returncode == code, f"{what}: exit {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    for word in words:
        check(word in done.stderr, f"{what}: does not say {word!r}:\n{done.stderr}")
    check("nothing was claimed, written or started" in done.stderr, f"{what}: does not say that nothing happened: {done.stderr}")
    check(world.state() == before, f"{what}: the refusal changed something")
    check(SECRET not in done.stdout + done.stderr, f"{what}: the secret is printed")
    print(f"  {what}: {done.stderr.splitlines()[0][:150]}")


def refusals(world):
    pager = ("--branch", "pager")
    world.write_topology(rest="http://127.0.0.1:1")
    refused(world, "Flink not there", 3, "headpond: flink: http://127.0.0.1:1 does not answer (", "start one with `tools/flink start DIR`", arguments=pager)
    world.write_topology()
    world.manager.overview["flink-version"] = "1.20.0"
    refused(world, "an untested Flink", 2, "headpond: flink 1.20.0 was not tested with this Headpond; use 2.3.0\n", arguments=pager)
    world.manager.overview.update({"flink-version": "2.3.0", "slots-available": 1})
    refused(world, "a full Flink", 2, f"headpond: flink: {world.manager.url} needs 2 slots, 1 of 2 are free; start a TaskManager, or write `flink: {{parallelism: 1}}`\n", arguments=pager)
    world.manager.overview["slots-available"] = 2
    world.program("spark/bin/spark-submit", "echo '   version 3.5.1'")
    refused(world, "an untested Spark", 2, "headpond: spark 3.5.1 was not tested with this Headpond; use 4.2.0\n", arguments=("--branch", "dash"))
    world.program("spark/bin/spark-submit", "echo '   version 4.2.0'")
    world.program("python", PACKAGES.replace("dbt-core 1.11.16", "dbt-core 1.12.6"))
    refused(world, "an untested dbt", 2, "headpond: dbt 1.12.6 was not tested with this Headpond; use 1.11.16\n", arguments=("--branch", "bill"))
    world.program("python", PACKAGES.replace("dbt-duckdb 1.11.1", ""))
    refused(world, "dbt without its adapter", 2, f"headpond: dbt: {world.directory}/dbt lacks the adapter of `dbt: {{target: duckdb}}`; install dbt-duckdb\n", arguments=("--branch", "bill"))
    world.program("python", PACKAGES)

    (world.directory / "rules.yaml").write_text(harness.RULES.replace("lateness: 2s", "lateness: 2s").replace("severity_number >= 17", "severty_number >= 17"))
    done = world.deploy(*pager)
    check(done.returncode == 2 and "rules.yaml:8:" in done.stderr and "severity_number" in done.stderr, f"a bad rule: {done.stderr}")
    (world.directory / "rules.yaml").write_text(harness.RULES)

    world.topology.write_text(world.topology.read_text().replace("location: lake/bronze/logs", 'location: "gs://acme/bronze/logs"'))
    refused(world, "a lake the job cannot read", 2, "branch pager on flink cannot use gs://acme/bronze/logs: its job reads s3://", arguments=pager)
    world.write_topology()

    leases = {"pager": ("pages/pager", "embedded:3f2a", "stop `headpond up` (or `headpond pager`) there, or leave `engine: embedded`"),
              "dash": ("gold/dash", "embedded:3f2a", "stop `headpond up` (or `headpond dashboard`) there"),
              "bill": ("billing/bill", "pyspark:1", "wait until its run has ended")}
    for branch, (root, holder, mend) in leases.items():
        folder = world.lease(f"{root}/_leases/engine", holder)
        word = holder.split(":")[0]
        refused(world, f"{branch} held by {word}", 1, f"headpond: branch {branch} is run by {word} (lease file://", f"/{root}/_leases/engine, epoch 3, holder {holder}, renewed ", mend, arguments=("--branch", branch))
        shutil.rmtree(folder)

    newest = world.directory / "lake/bronze/logs/_delta_log/00000000000000000013.json"
    newest.write_text('{"commitInfo":{"timestamp":1,"operation":"WRITE","headpond":{"format":2,"needs":"0.9.0"}}}\n')
    refused(world, "bronze of a newer format", 2, "00000000000000000013.json", "0.9.0", arguments=pager)
    newest.unlink()


def other_words(world):
    done = world.deploy("--branch", "nobody")
    check(done.returncode == 2 and "no branch named 'nobody'; there are pager, dash, bill" in done.stderr, done.stderr)
    world.topology.write_text(world.topology.read_text().replace("engine: spark", "engine: embedded"))
    done = world.deploy("--branch", "dash")
    check(done.returncode == 2 and "branch dash is embedded and needs no deploying" in done.stderr, done.stderr)
    world.write_topology()
    done = headpond("pager", "-f", world.topology, "--branch", "pager", env=world.env)
    check(done.returncode == 2 and "branch pager runs on flink: `headpond deploy` hands it over" in done.stderr, done.stderr)


def dry_run(world):
    before = world.state()
    done = world.deploy("--dry-run")
    check(done.returncode == 0, f"dry run: {done.stderr}")
    check(world.state() == before, "the dry run changed something")
    out = world.directory / "out"
    for line in (
            f"FLINK_CONF_DIR={out}/pager {world.directory}/flink/bin/flink run --detached --jobmanager {world.manager.url.split('//')[1]} --parallelism 2 "
            f"{world.directory}/pager.jar --job {out}/pager/job.json",
            f"{world.directory}/spark/bin/spark-submit --master 'local[1]' --name acme/dash",
            f"{world.directory}/dbt parse"):
        check(line in done.stdout, f"dry run lacks: {line}\n{done.stdout}")
    check("generation 1, behind version" in done.stdout, done.stdout)
    print("  dry run: the three commands, and nothing changed")


def submission(world):
    done = world.deploy("--branch", "pager")
    check(done.returncode == 0 and "pager → flink: job 0123456789abcdef0123456789abcdef is submitted" in done.stdout, done.stdout + done.stderr)
    called = world.called()
    out = world.directory / "out" / "pager"
    check(f"conf={out}" in called and f"--job {out}/job.json" in called, called)
    job = json.loads((out / "job.json").read_text())
    check(job["pager"]["generation"] == 1 and job["pager"]["program"]["folds"], "the job document lacks generation or rules")
    claimed = json.loads((world.directory / "lake/pages/pager/_generations/0000000001.json").read_text())
    check(claimed["claimed_at"] == job["pager"]["claimed_at_us"], "the job counts from another time than the claim")

    checkpoint = world.directory / "lake/flink/pager/g0000000001/ab/chk-3"
    checkpoint.mkdir(parents=True)
    (checkpoint / "_metadata").write_text("x")
    done = world.deploy("--branch", "pager")
    check(done.returncode == 0 and "warm start: generation 1 goes on from" in done.stdout, done.stdout + done.stderr)
    check(f"--fromSavepoint file://{checkpoint}" in world.called(), world.called())
    (world.directory / "rules.yaml").write_text(harness.RULES.replace("> 120", "> 121", 1))
    check("> 121" in (world.directory / "rules.yaml").read_text(), "no threshold to edit")
    refused(world, "an edited rule under a checkpoint", 2, " was edited since generation 1 began: ", "or start afresh with --new-generation", arguments=("--branch", "pager"))
    (world.directory / "rules.yaml").write_text(harness.RULES)
    done = world.deploy("--branch", "pager", "--new-generation")
    check(done.returncode == 0 and "cold start: generation 2" in done.stdout, done.stdout + done.stderr)

    world.program("flink/bin/flink", "echo 'Caused by: java.net.ConnectException: refused' >&2; exit 1")
    done = world.deploy("--branch", "pager")
    check(done.returncode == 3 and "flink ended with exit code 1: java.net.ConnectException: refused" in done.stderr, done.stderr)
    check("generation 3 of pager is claimed and no job is known to run it; deploy again claims the next" in done.stderr, done.stderr)
    world.program("flink/bin/flink", "true")
    done = world.deploy("--branch", "bill")
    check(done.returncode == 0, done.stderr)
    print("  submission: cold, warm, a new generation, and one that Flink does not take")


def status_shows(world):
    done = headpond("status", "-f", world.topology, "--json", env=world.env)
    branches = {b["branch"]: b for b in json.loads(done.stdout)["branches"]}
    check(branches["pager"]["verdict"] == "not started" and branches["pager"]["engine"] == "flink", str(branches["pager"]))
    cursor = {"format": 1, "branch": "pager", "kind": "pager", "engine": "flink", "state": "running", "version": 12, "durable_version": 11, "promise_s": 30,
              "updated_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "complete_until": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    path = world.directory / "lake/bronze/logs/_headpond/cursors/pager.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(cursor))
    done = headpond("status", "-f", world.topology, "--json", env=world.env)
    shown = {b["branch"]: b for b in json.loads(done.stdout)["branches"]}["pager"]
    check(shown["verdict"] == "running" and shown["versions_behind"] == 0 and shown["checkpoints"] == f"file://{world.directory}/lake/flink/pager", str(shown))
    path.write_text(json.dumps({**cursor, "updated_at": "2026-01-01T00:00:00Z"}))
    done = headpond("status", "-f", world.topology, env=world.env)
    line = [line for line in done.stdout.splitlines() if line.startswith("pager")][0]
    check("not running" in line and "flink" in line and "lake/flink/pager" in line, done.stdout)
    print("  status: an external branch not started, running, not running any more")


def notifier_delivers(world):
    """What a job on Flink writes reaches the target by `headpond notify`, once, and its object goes; one that cannot be read is told and stays."""
    receiver = harness.Receiver()
    world.topology.write_text(world.topology.read_text().replace("http://127.0.0.1:1/${PLANTED}", receiver.url))
    newest = sorted((world.directory / "lake/pages/pager/_generations").glob("*.json"))[-1]
    generation = int(newest.stem)
    now = int(time.time() * 1e6)
    transition = {"generation": generation, "rule": "flapping/Silent", "key": '{"host":"h1"}', "seq": 1, "kind": "firing", "announced": False,
                  "settles_announcement": False, "send": True, "boundary": now, "began_at": now, "value": 0, "version": 12, "labels": {"alertname": "Silent"},
                  "annotations": {}, "incomplete": [], "window": 15000000, "limit": 0, "evidence_first": -1, "evidence_last": -1, "samples": [], "sql": ""}
    outbox = world.directory / "lake/pages/pager/_outbox"
    outbox.mkdir(parents=True)

    def put(n):
        hidden = world.directory / f"object-{n}"
        hidden.write_text(json.dumps({"format": 1, "settled_us": now, "transitions": [transition]}))
        hidden.rename(outbox / f"{generation:010d}-{12:020d}-{n}.json")

    damaged = outbox / f"{generation:010d}-{11:020d}-0.json"
    damaged.write_text('{"format":1,"transitions":[{}]}')
    put(1)

    def heard():
        return [json.loads(request["body"])["id"] for request in receiver.all()]

    def about_damage():
        return [i["seq"] for i in heard() if i["rule"] == "headpond/OutboxUnreadable"]

    def pager_line():
        done = headpond("status", "-f", world.topology, env=world.env)
        return done.returncode, [line for line in done.stdout.splitlines() if line.startswith("pager")][0]

    up = harness.Up(world.topology, world.directory / "notify.log", "notify", env=world.env)
    try:
        harness.wait_until(lambda: any(i["rule"] == "flapping/Silent" for i in heard()) and about_damage() == [1], 20, "both pages at the webhook")
        put(2)  # at least once
        harness.wait_until(lambda: list(outbox.iterdir()) == [damaged], 20, "what was delivered is removed, what cannot be read stays")
        code, line = pager_line()
        check(code == 1 and "an outbox object cannot be read, its pages are not sent: pages/pager/_outbox/" + damaged.name in line, f"{code}: {line}")
        damaged.unlink()
        harness.wait_until(lambda: about_damage() == [1, 2], 20, "the page about the damaged object resolves")
        check("cannot be read" not in pager_line()[1], pager_line()[1])
    finally:
        code = up.terminate()
    log = (world.directory / "notify.log").read_text()
    check(code == 0, f"headpond notify ended with {code}: {log}")
    check(log.count(damaged.name) >= 1, f"the log does not name {damaged.name}: {log}")
    pages = [i for i in heard() if i["rule"] == "flapping/Silent"]
    check(pages == [{"generation": generation, "rule": "flapping/Silent", "key": '{"host":"h1"}', "seq": 1}], f"other pages than the one: {pages}")
    receiver.close()
    print("  notifier: an outbox object of a job reaches the webhook once and is removed; one that cannot be read is told everywhere and holds nothing up")


def no_secrets(world):
    for path in [p for p in world.directory.rglob("*") if p.is_file() and p.name != "topology.yaml"]:
        check(SECRET.encode() not in path.read_bytes(), f"the secret stands in {path}")
    check(os.path.exists(world.directory / "out/pager/config.yaml") and os.path.exists(world.directory / "out/bill/profiles.yml"), "nothing was written")


def main():
    with harness.Workspace() as directory:
        world = World(directory)
        refusals(world)
        other_words(world)
        dry_run(world)
        submission(world)
        status_shows(world)
        notifier_delivers(world)
        no_secrets(world)
    print("deploy: every refusal in its words before anything starts, commands as printed, no secret written")


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
