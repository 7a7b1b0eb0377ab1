"""What end-to-end tests share: a real Kafka, the headpond binary, an HTTP receiver that remembers everything, waiting with a deadline."""
import atexit
import hashlib
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("HEADPOND_BINARY", str(ROOT / "build" / "headpond"))
ORACLES = ROOT / "tests" / "oracle"


class Failed(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def wait_until(condition, seconds, what):
    """Polls until condition() is truthy and returns it; Failed, naming `what` (or what it returns), at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what() if callable(what) else what}")
        threading.Event().wait(0.1)


class Kafka:
    def __init__(self, directory):
        self.directory = str(directory)
        started = subprocess.run([str(ROOT / "tools" / "kafka"), "start", self.directory], capture_output=True, text=True, timeout=120)
        check(started.returncode == 0, f"Kafka did not start: {started.stderr.strip()}")
        self.bootstrap = started.stdout.strip().splitlines()[-1]

    def stop(self, how="stop"):
        subprocess.run([str(ROOT / "tools" / "kafka"), how, self.directory], check=False, timeout=60)

    def start_again(self):
        started = subprocess.run([str(ROOT / "tools" / "kafka"), "start", self.directory], capture_output=True, text=True, timeout=120)
        check(started.returncode == 0, f"Kafka did not start again: {started.stderr.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Receiver:
    """A webhook target. Every request is kept with the time it came; `answer` decides the status code."""

    def __init__(self):
        self.requests = []
        self.answer = lambda request: 200
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = {"at": time.time(), "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body}
                with receiver.lock:
                    receiver.requests.append(request)
                self.send_response(receiver.answer(request))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def all(self):
        with self.lock:
            return list(self.requests)

    def close(self):
        self.server.shutdown()


def headpond(*arguments, env=None, timeout=120):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})})


def headpond_json(*arguments, timeout=120):
    done = headpond(*arguments, "--json", timeout=timeout)
    check(done.stdout.strip(), f"headpond {' '.join(map(str, arguments))} printed nothing: {done.stderr.strip()}")
    return json.loads(done.stdout)


def oracle(name, *arguments, timeout=600):
    """Runs an independent check; Failed with its last lines unless it exits 0."""
    done = subprocess.run([sys.executable, str(ORACLES / "settled.py"), str(ORACLES / name), *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
    check(done.returncode == 0, f"{name} {' '.join(map(str, arguments))}:\n{tail}")
    return done.stdout


class Up:
    """`headpond up` (or one role) as a child process, its output kept in a file. It does not outlive a test that fails."""

    def __init__(self, topology, log, command="up", env=None, arguments=()):
        self.log = open(log, "ab")
        self.process = subprocess.Popen([BINARY, command, "-f", str(topology), *arguments], stdout=self.log, stderr=self.log, env={**os.environ, **(env or {})})
        atexit.register(lambda: self.running() and self.process.kill())

    def running(self):
        return self.process.poll() is None

    def kill(self):
        if self.running():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        self.log.close()

    def terminate(self, seconds=60):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"SIGTERM did not end it within {seconds} s")
        self.log.close()
        return code


class Page:
    """`headpond serve` over a topology's lake, as a child process."""

    def __init__(self, topology, log):
        self.topology = topology
        self.server = Up(topology, log, "serve", arguments=("--listen", "127.0.0.1:0"))
        self.address = wait_until(lambda: re.search(r"http://[\d.]+:\d+", pathlib.Path(log).read_text()), 60, f"the page is served; see {log}").group(0)

    def dashboard(self, branch=""):
        """/api/dashboard once it has five complete minutes with rows in them."""
        def complete():
            with urllib.request.urlopen(f"{self.address}/api/dashboard{f'?branch={branch}' if branch else ''}", timeout=10) as answer:
                page = json.load(answer)
            window = page["all"]["window"] if page.get("complete_until_ms") else None  # none: not one of the last 24 hours
            return page if window and window["n"] else None

        return wait_until(complete, 60, "the API shows complete minutes")

    def equals_sql(self, branch=""):
        """Holds the five complete minutes against bronze; a line that says so."""
        page = self.dashboard(branch)
        end, n, errors = page["complete_until_ms"], page["all"]["window"]["n"], page["all"]["window"]["errors"]
        window = f"epoch_ms(ts) >= {end} - 300000 AND epoch_ms(ts) < {end}"
        failed = "count(*) FILTER (severity_number >= 17 OR status >= 500 OR error IS NOT NULL)::BIGINT"
        rows = headpond_json("sql", "-f", self.topology, f"SELECT count(*) AS n, {failed} AS errors FROM bronze WHERE {window}")
        check((n, errors) == (rows[0]["n"], rows[0]["errors"]), f"the page says {n} events, {errors} errors to {end}; bronze says {rows[0]}")
        return f"the page's five minutes to {end}: {n} events, {errors} errors, as SQL over bronze says"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.terminate()


TOPOLOGY = """\
version: 1
name: {name}
source:
  kafka: {{brokers: "{brokers}", topic: {topic}, encoding: json, start: earliest}}
consumers:
  - {{name: on-call, tier: 1, freshness: 30s, latency_value: {{usd_per_minute: 1000, incidents_per_month: 4}}}}
  - {{name: live-ops, tier: 2, freshness: 5m}}
  - {{name: finance, tier: 4, freshness: 24h}}
bronze:
  location: lake/bronze/logs
  commit_interval: {commit_interval}
branches:
  - {{name: pager, kind: pager, serves: [on-call], reads: bronze, rhythm: stream, rules: rules.yaml,
     state: {{store: rocksdb, checkpoints: lake/pager}}, engine: embedded, notify: [{{name: hook, kind: webhook, url: "{hook}"}}]}}
  - {{name: dash, kind: dashboard, serves: [live-ops], reads: bronze, rhythm: micro-batch, trigger: 1m, window: 5m, engine: embedded}}
  - {{name: bill, kind: billing, serves: [finance], reads: bronze, rhythm: batch, schedule: "0 2 * * *", price_book: prices.yaml, engine: embedded}}
expect: {{events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 4, cores: 2}}
serve: {{listen: "127.0.0.1:0"}}
"""

# Thresholds near the mean, so that rules flap and transitions abound.
RULES = """\
groups:
  - name: flapping
    interval: 1s
    lateness: 2s
    rules:
      - {alert: BusyTenant, expr: "count()[5s] > 120", by: [tenant], labels: {severity: page}}
      - {alert: QuietTenant, expr: "count()[5s] < 40", by: [tenant], for: 2s, labels: {severity: page}}
      - {alert: Errors, expr: "count(severity_number >= 17)[10s] > 20", by: [service], keep_firing_for: 3s, labels: {severity: page}}
      - {alert: Ratio, expr: "count(status >= 500)[10s] / count()[10s] > 0.03 and count()[10s] >= 50", by: [service], labels: {severity: ticket}}
      - {alert: Silent, expr: "absent(event = 'heartbeat')[15s]", by: [host], expect: {seen_within: 1h}, labels: {severity: page}}
"""

PRICES = "version: 1\ncurrency: USD\nprices:\n  - {per_gb: 4500.45, per_million_events: 1370.5, included: {gb: 0.00001}}\n"


def write_topology(directory, brokers, hook, topic="logs", name="e2e", commit_interval="1s", rules=RULES):
    directory = pathlib.Path(directory)
    path = directory / "topology.yaml"
    path.write_text(TOPOLOGY.format(name=name, brokers=brokers, topic=topic, hook=hook, commit_interval=commit_interval))
    (directory / "rules.yaml").write_text(rules)
    (directory / "prices.yaml").write_text(PRICES)
    return path


def statuses(topology):
    """Cursor of each branch by kind; {} before there is a table."""
    done = headpond("status", "-f", topology, "--json")
    if not done.stdout.strip():
        return {}
    return {b["kind"]: b for b in json.loads(done.stdout)["branches"]}


def digest(paths):
    """One hash over the bytes of these files, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(str(path).encode() + b"\0" + pathlib.Path(path).read_bytes())
    return total.hexdigest()


class Workspace:
    """A temporary directory, kept (and named) when the test fails."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="headpond-e2e-"))
        return self.path

    def __exit__(self, kind, *_):
        if kind is None and not os.environ.get("HEADPOND_KEEP"):
            subprocess.run(["rm", "-rf", str(self.path)], check=False)
        else:
            print(f"kept: {self.path}", file=sys.stderr)
