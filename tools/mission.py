#!/usr/bin/env python3
"""The mission as written, on one machine (make demo ENGINES=mission): a live Kafka topic, bronze in S3, and behind it Flink to Alertmanager, Spark to the page,
dbt to the bill. Every server is a real one on a loopback address; topology, rules and prices are examples/mission-local.yaml and what it names. Ends with a
table of what was promised and what was measured, and with the broker's own list of consumer groups. Exit 1: something did not come as promised."""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import confluent_kafka
import confluent_kafka.admin

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOPIC, RATE, INCIDENT_S = "logs", 500, 40
BILLED_AT_S = 2 * 3600  # the schedule of the topology
BRANCHES = ("incident-pager", "live-ops-dashboard", "billing-capacity")


class Failed(Exception):
    pass


def run(*words, timeout=300, env=None, check=True):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout, env=env)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{(done.stdout + done.stderr).strip()[-1500:]}")
    return done.stdout.strip()


def get_json(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds):
    """1.4 s, 3 m 20 s, 9 h 40 m; of infinity: never."""
    if seconds == float("inf"):
        return "never"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes} m {int(seconds % 60)} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} m"


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


class Mission:
    def __init__(self, directory):
        self.directory = directory
        self.topology = directory / "topology.yaml"
        self.started = time.monotonic()
        self.env = dict(os.environ)
        self.children = []  # processes of our own, newest last
        self.servers = []   # (tool, directory)
        self.drivers = []   # process ids of Spark drivers: they outlive `headpond deploy`, which says them
        self.freshness = {name: [] for name in BRANCHES}
        self.outcome = {name: "-" for name in BRANCHES}
        self.watching = threading.Event()

    def say(self, text):
        print(f"[{time.monotonic() - self.started:6.1f} s] {text}", flush=True)

    def headpond(self, command, *arguments, timeout=300, check=True, env=None):
        return run(ROOT / "build/headpond", *command.split(), "-f", self.topology, *arguments, timeout=timeout, env=self.env | (env or {}), check=check)

    def wait_until(self, condition, seconds, what):
        """The first true value of condition(); an address that does not answer yet is not true. Fails when a process of ours ends meanwhile."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name, process in self.children:
                if process.poll():
                    raise Failed(f"{name} ended with {process.returncode}: {(self.directory / f'{name}.log').read_text().strip()[-800:]}")
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError, FileNotFoundError):
                if value := condition():
                    return value
            threading.Event().wait(0.2)
        raise Failed(f"not within {seconds} s: {what}")

    def child(self, name, *words):
        log = open(self.directory / f"{name}.log", "ab")
        process = subprocess.Popen([str(w) for w in words], stdout=log, stderr=log, env=self.env, start_new_session=True)
        self.children.append((name, process))
        return process

    def server(self, tool, *arguments):
        place = self.directory / tool
        self.servers.append((tool, place))
        return run(ROOT / "tools" / tool, "start", place, *arguments, env=self.env).splitlines()[-1]

    # --- the pieces ---

    def start_servers(self):
        for tool in ("s3", "flink", "spark", "dbt"):
            run(ROOT / "tools" / tool, "install", timeout=1800)
        kafka = self.server("kafka")
        self.say(f"Kafka        {kafka}")
        endpoint = self.server("s3")
        run(ROOT / "tools/s3", "bucket", self.directory / "s3", "acme-lake")
        for name, value in re.findall(r"(\w+)=(\S+)", run(ROOT / "tools/s3", "env", self.directory / "s3")):
            self.env[name] = value
        self.say(f"S3           {endpoint}, bucket acme-lake")
        flink = self.server("flink")
        self.say(f"Flink        {flink}")
        alertmanager = free_address()
        (self.directory / "alertmanager.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
        self.child("alertmanager", "prometheus-alertmanager", f"--config.file={self.directory}/alertmanager.yml", f"--storage.path={self.directory}/alertmanager",
                   f"--web.listen-address={alertmanager}", "--cluster.listen-address=")
        self.alertmanager = f"http://{alertmanager}"
        self.wait_until(lambda: urllib.request.urlopen(self.alertmanager + "/-/ready", timeout=5), 30, "Alertmanager is ready")
        self.say(f"Alertmanager {self.alertmanager}")
        self.kafka = kafka
        self.env.update(HEADPOND_DEMO_KAFKA=kafka, HEADPOND_DEMO_FLINK=flink, HEADPOND_DEMO_ALERTMANAGER=self.alertmanager)

    def write_files(self):
        shutil.copy(ROOT / "examples/mission-local.yaml", self.topology)
        shutil.copytree(ROOT / "examples/rules", self.directory / "rules")
        shutil.copy(ROOT / "examples/prices.yaml", self.directory / "prices.yaml")
        self.plan = {b["name"]: b for b in json.loads(self.headpond("plan", "--json"))["branches"]}

    def produce_history(self):
        now = time.time()
        self.today = now // 86400 * 86400
        recent = max(self.today, now - 600)
        self.headpond("generate", "-n", 20000, "--seed", 7, "--from", rfc3339(self.today - 86400), "--to", rfc3339(self.today), "--malformed", 0.0005)
        self.headpond("generate", "-n", 24000, "--seed", 8, "--from", rfc3339(recent), "--to", rfc3339(now), "--malformed", 0.0005)
        self.say("history: 20,000 events of yesterday, 24,000 of the last ten minutes")

    def start_headpond(self):
        started = time.monotonic()
        self.child("headpond", ROOT / "build/headpond", "up", "-f", self.topology)
        log = self.directory / "headpond.log"
        self.page = self.wait_until(lambda: re.search(r"the page is at (http\S+)", log.read_text()), 60, f"the page is served; see {log}").group(1)
        self.wait_until(lambda: self.rows() > 0, 60, f"rows in bronze; see {log}")
        self.say(f"headpond up: Kafka to bronze in S3, first rows after {time.monotonic() - started:.1f} s; the page is at {self.page}")

    def rows(self):
        try:
            return json.loads(self.headpond("sql", "SELECT count(*) AS n FROM bronze", "--json"))[0]["n"]
        except Failed:  # no table yet
            return 0

    def deploy(self):
        for name in BRANCHES:
            began = time.monotonic()
            out = self.headpond("deploy", "--branch", name, "--out", self.directory / "deploy", timeout=600)
            self.drivers += [int(pid) for pid in re.findall(r"\bprocess (\d+)", out)]
            first, *rest = [line for line in out.splitlines() if not line.startswith("next:")]
            self.say(f"deployed in {time.monotonic() - began:.1f} s: {first}")
            for line in rest:
                print(" " * 11 + line, flush=True)
        for name in BRANCHES[:2]:  # a bill's age starts with the first
            plan = self.plan[name]
            self.wait_until(lambda: self.fresh(name) <= plan["freshness_s"], 300, f"{name} on {plan['engine']} has caught up; see {self.directory}")
            self.say(f"{name} has caught up: what it has completed is {span(self.fresh(name))} old")
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def fresh(self, name):
        """How old what the branch's own engine has completed is, in seconds, as the page knows it."""
        for branch in get_json(self.page + "/api/status")["branches"]:
            if branch["branch"] == name and branch["engine"] == self.plan[name]["engine"] and branch.get("freshness_s") is not None:
                return branch["freshness_s"]
        return float("inf")

    def watch(self):
        """Measures once a second, from the moment on when each has caught up; a bill from the first there is."""
        while not self.watching.wait(1):
            for name in BRANCHES:
                with contextlib.suppress(OSError, ValueError):
                    fresh = self.fresh(name)
                    if self.freshness[name] or name in BRANCHES[:2] or fresh < float("inf"):
                        self.freshness[name].append(fresh)

    def start_traffic(self):
        self.child("traffic", ROOT / "build/headpond", "generate", "-f", self.topology, "-n", 10**9, "--rate", RATE, "--seed", 9, "--malformed", 0.0005)
        self.say(f"live traffic, {RATE} events/s")

    def start_incident(self):
        """A second producer, whose traffic is the busiest service failing."""
        busiest = "SELECT service FROM bronze WHERE service IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
        self.service = json.loads(self.headpond("sql", busiest, "--json"))[0]["service"]
        self.incident = time.time()
        self.child("incident", ROOT / "build/headpond", "generate", "-f", self.topology, "-n", 2 * RATE * INCIDENT_S, "--rate", 2 * RATE, "--seed", 10,
                   "--incident-service", self.service, "--incident-at", 0, "--incident-seconds", INCIDENT_S)
        self.say(f"{self.service} begins to fail, for {INCIDENT_S} s")

    def watch_page(self):
        def alerts():
            return [a for a in get_json(self.alertmanager + "/api/v2/alerts?active=true") if a["labels"].get("service") == self.service
                    and instant(a["startsAt"]) >= self.incident - 1]

        found = self.wait_until(alerts, 150, f"Alertmanager has an alert of {self.service}; see {self.directory}/headpond.log and {self.directory}/flink")
        after = time.time() - self.incident
        labels = ", ".join(f"{k}={v}" for k, v in sorted(found[0]["labels"].items()))
        self.outcome["incident-pager"] = f"Alertmanager, {after:.1f} s after the incident's first event"
        self.say(f"PAGE at Alertmanager {after:.1f} s after the incident began: {labels}\n" + " " * 11 + found[0]["annotations"].get("summary", ""))

    def bill(self):
        """`headpond up` bills a closed day at its schedule's time; before that hour, it is asked for the bill."""
        day = rfc3339(self.today - 86400)[:10]
        self.wait_until(lambda: any(b["kind"] == "ingest" and instant(b.get("complete_until") or "1970-01-01T00:00:00Z") >= self.today
                               for b in get_json(self.page + "/api/status")["branches"]), 120, "every partition's clock passes midnight")
        if time.time() < self.today + BILLED_AT_S:
            self.headpond("bill run", "--day", day, timeout=600)
        newest = lambda: get_json(self.page + "/api/bill") or {}
        self.wait_until(lambda: newest().get("day") == day, 300, f"the page has the bill of {day}; see {self.directory}/headpond.log")
        bill = newest()["bill"]
        self.outcome["billing-capacity"] = f"{bill['currency']} {bill['total']} for {day}"
        report = self.headpond("bill report", "--day", day)
        self.say(f"the bill of {day}: {bill['currency']} {bill['total']}; its report: {report.splitlines()[-1]}")
        self.say(self.headpond("bill verify", "--day", day, "--deep", timeout=600).splitlines()[-1])

    def watch_minutes(self):
        self.say("waiting for the dashboard's next complete minutes")

        def complete():
            page = get_json(self.page + "/api/dashboard")
            end = page.get("complete_until_ms")
            return page if end and end / 1000 >= self.incident + 60 and page["all"]["window"]["n"] else None

        page = self.wait_until(complete, 300, f"five complete minutes on the page; see {self.directory}/deploy/live-ops-dashboard/driver.log")
        end, window = page["complete_until_ms"], page["all"]["window"]
        where = f"epoch_ms(ts) >= {end} - 300000 AND epoch_ms(ts) < {end}"
        errors = "count(*) FILTER (severity_number >= 17 OR status >= 500 OR error IS NOT NULL)::BIGINT"
        sql = json.loads(self.headpond("sql", f"SELECT count(*) AS n, {errors} AS errors FROM bronze WHERE {where}", "--json"))[0]
        if (window["n"], window["errors"]) != (sql["n"], sql["errors"]):
            raise Failed(f"the page says {window['n']} events and {window['errors']} errors in the five minutes to {end}; SQL over bronze says {sql}")
        self.outcome["live-ops-dashboard"] = f"the page: {window['n']:,} events, {window['errors']:,} errors in five minutes"
        self.say(f"the page's five minutes to {rfc3339(end / 1000)}: {window['n']:,} events, {window['errors']:,} errors, as SQL over bronze says")

    def consumer_groups(self):
        """What the broker knows: every group with an offset on the log topic."""
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.kafka})
        found = {}
        for group in admin.list_consumer_groups(request_timeout=30).result().valid:
            request = [confluent_kafka.ConsumerGroupTopicPartitions(group.group_id)]
            offsets = admin.list_consumer_group_offsets(request, request_timeout=30)[group.group_id].result().topic_partitions
            if mine := [p for p in offsets if p.topic == TOPIC and p.offset >= 0]:
                found[group.group_id] = mine
        return found

    def summarize(self):
        self.watching.set()
        self.watcher.join(30)
        status = {b["branch"]: b for b in json.loads(self.headpond("status", "--json", check=False))["branches"] if b["kind"] in ("pager", "dashboard", "billing")}
        rows = [("branch", "engine", "tag", "promise", "freshness (worst of)", "checkpoints", "to")]
        late = []
        for name in BRANCHES:
            plan, measured = self.plan[name], self.freshness[name]
            engine = status.get(name, {}).get("engine", "none")
            worst = max(measured) if measured else float("inf")
            if worst > plan["freshness_s"] or engine != plan["engine"]:
                late.append(name)
            rows.append((name, engine, plan["tag"], span(plan["freshness_s"]), f"{span(worst)} ({len(measured)})" if measured else "never",
                         status.get(name, {}).get("checkpoints") or "none: its position is in its result", self.outcome[name]))
        print("\n" + table(rows) + "\n")
        groups = self.consumer_groups()
        print(f"the broker's consumer groups on topic {TOPIC}: " + ", ".join(f"{g} ({len(p)} partitions)" for g, p in groups.items()))
        audit = self.headpond("audit", "--deep", timeout=600)
        print(audit.splitlines()[-1])
        print(f"\nlake         s3://acme-lake, in {self.directory}/s3/data/acme-lake\nlogs         {self.directory}\n", flush=True)
        if len(groups) != 1:
            raise Failed(f"{len(groups)} consumer groups read the topic; bronze is to be the only one")
        if late:
            raise Failed(f"not as promised: {', '.join(late)}")

    def run(self, keep):
        self.say(f"everything lies in {self.directory}")
        self.start_servers()
        self.write_files()
        self.produce_history()
        self.start_headpond()
        self.start_traffic()
        self.deploy()
        self.start_incident()
        self.watch_page()
        self.bill()
        self.watch_minutes()
        self.summarize()
        if keep:
            print(f"Try next:\n  eval \"$({ROOT}/tools/s3 env {self.directory}/s3)\"\n  export HEADPOND_DEMO_KAFKA={self.kafka} "
                  f"HEADPOND_DEMO_FLINK={self.env['HEADPOND_DEMO_FLINK']} HEADPOND_DEMO_ALERTMANAGER={self.alertmanager}\n"
                  f"  build/headpond status -f {self.topology}\n  build/headpond pages -f {self.topology}\n  open {self.page} and {self.env['HEADPOND_DEMO_FLINK']}\n"
                  "still running; press Ctrl-C to stop", flush=True)
            threading.Event().wait()

    def stop(self):
        self.watching.set()
        for pid in self.drivers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for _, process in reversed(self.children):
            process.terminate()
        for name, process in reversed(self.children):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                self.say(f"{name} does not end on SIGTERM")
                process.kill()
        for tool, place in reversed(self.servers):
            run(ROOT / "tools" / tool, "stop", place, check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=pathlib.Path, help="an empty directory for everything (default: a new one below the temporary directory)")
    parser.add_argument("--keep", action="store_true", default=sys.stdout.isatty(), help="go on running until Ctrl-C, as on a terminal")
    options = parser.parse_args()
    directory = (options.dir or pathlib.Path(tempfile.mkdtemp(prefix="headpond-mission-"))).absolute()
    if directory.exists() and any(directory.iterdir()):
        sys.exit(f"mission: {directory} is not empty")
    directory.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    mission = Mission(directory)
    try:
        mission.run(options.keep)
    except Failed as failure:
        print(f"PROBLEM: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        mission.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
