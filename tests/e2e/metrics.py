#!/usr/bin/env python3
"""/metrics judged by Prometheus itself: promtool lints what is served and tests the alerts of examples/monitoring; a real Prometheus scrapes `headpond up` under a known
load, its figures must be those of the producer, and every expression of the rules and of the Grafana dashboard must name series that are there."""
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import confluent_kafka
import confluent_kafka.admin

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from harness import ROOT, check, wait_until  # noqa: E402

MONITORING = ROOT / "examples" / "monitoring"
GOOD, BAD = 3000, 40
TOPOLOGY = """\
version: 1
name: watched
source:
  kafka: {brokers: "%(brokers)s", topic: logs, encoding: json, start: earliest}
consumers:
  - {name: ops, tier: 2, freshness: 5m}
bronze: {location: %(lake)s/bronze/logs, commit_interval: 500ms}
branches:
  - {name: board, kind: dashboard, serves: [ops], reads: bronze, rhythm: micro-batch, trigger: 1m, engine: embedded}
expect: {events_per_day: 50e6, peak_to_mean: 2.5, bytes_per_event: 430, partitions: 2, cores: 2}
"""
# Series that need not be there in a short, healthy run.
MAY_BE_EMPTY = {"headpond_freshness_seconds", "ALERTS"}


def promtool(*arguments, stdin=None):
    done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"promtool {' '.join(arguments)}: {done.stdout}{done.stderr}")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def expressions():
    for line in (MONITORING / "prometheus-rules.yaml").read_text().splitlines():
        if line.strip().startswith("expr:"):
            yield "rules", line.split("expr:", 1)[1].strip()
    for panel in json.loads((MONITORING / "grafana-dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$job", ".*")


def metric_names(expression):
    return set(re.findall(r"\b(?:headpond|process)_[a-z0-9_]+", expression))


def create_topic(brokers, partitions):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    for future in admin.create_topics([confluent_kafka.admin.NewTopic("logs", partitions, 1)]).values():
        future.result()


def produce(brokers, payloads):
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "log_level": 0})
    for payload in payloads:
        producer.produce("logs", payload)
    check(producer.flush(60) == 0, "everything is produced")


class Prometheus:
    def __init__(self, directory, target):
        self.port = free_port()
        config = pathlib.Path(directory) / "prometheus.yml"
        config.write_text(json.dumps({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                                      "rule_files": [str(MONITORING / "prometheus-rules.yaml")],
                                      "scrape_configs": [{"job_name": "headpond", "static_configs": [{"targets": [target]}]}]}))
        self.process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/tsdb",
                                         f"--web.listen-address=127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def query(self, expression):
        try:
            answer = json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        except OSError:
            return None
        check(answer["status"] == "success", f"{expression}: {answer}")
        return answer["data"]["result"]

    def value(self, expression):
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else None

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def run(directory):
    promtool("check", "rules", str(MONITORING / "prometheus-rules.yaml"))
    promtool("test", "rules", str(MONITORING / "prometheus-rules-test.yaml"))
    with harness.Kafka(directory / "kafka") as kafka:
        create_topic(kafka.bootstrap, 2)
        topology = directory / "topology.yaml"
        topology.write_text(TOPOLOGY % {"brokers": kafka.bootstrap, "lake": directory / "lake"})
        port = free_port()
        up = subprocess.Popen([harness.BINARY, "up", "-f", str(topology), "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL,
                              stderr=open(directory / "up.log", "w"))
        prometheus = None
        try:
            prometheus = Prometheus(directory, f"127.0.0.1:{port}")
            wait_until(lambda: prometheus.value("headpond_ingest_commits_total"), 60, "the first scrape")
            produce(kafka.bootstrap, [b'{"ts":"2026-11-25T00:00:00Z","service":"api","severity":"info"}'] * GOOD + [b"{broken"] * BAD)
            wait_until(lambda: prometheus.value("headpond_ingest_rows_total") == GOOD + BAD, 60, f"{GOOD + BAD} rows in headpond_ingest_rows_total")
            check(prometheus.value('headpond_ingest_errors_total{reason="malformed"}') == BAD, "malformed rows counted")
            check(prometheus.value("headpond_ingest_readable_seconds_count") == GOOD + BAD, "every row is in the histogram of readable")
            p99 = prometheus.value("histogram_quantile(0.99, sum by (le) (headpond_ingest_readable_seconds_bucket))")
            check(0 < p99 < 60, f"readable p99 {p99} s")
            wait_until(lambda: prometheus.value("sum(headpond_ingest_lag_records)") == 0, 30, "no lag")
            check(len(prometheus.query("headpond_ingest_lag_records")) == 2, "the lag of each partition")
            check(prometheus.value("count(headpond_ingest_commit_seconds_count)") == 3, "three stages of a commit")
            promtool("check", "metrics", stdin=get(f"http://127.0.0.1:{port}/metrics"))
            wait_until(lambda: prometheus.value("count(count_over_time(headpond_ingest_commits_total[1m]) > 3)"), 60, "a few scrapes")
            asked = 0
            for where, expression in expressions():
                for name in metric_names(expression) - MAY_BE_EMPTY:
                    check(prometheus.query(f"count({name})"), f"{where}: '{name}' is not served: {expression}")
                check(prometheus.query(expression) is not None, f"{where}: {expression}")
                asked += 1
            rules = json.loads(get(f"http://127.0.0.1:{prometheus.port}/api/v1/rules"))["data"]["groups"][0]["rules"]
            check(len(rules) == 8 and all(rule["health"] == "ok" for rule in rules), f"rules: {[(r['name'], r['health']) for r in rules]}")
            check(not [r["name"] for r in rules if r["state"] == "firing"], "no alert fires in a healthy run")
            up.terminate()
            check(up.wait(timeout=60) == 0, "up ends well")
            wait_until(lambda: prometheus.query('ALERTS{alertname="HeadpondUnreachable"}'), 30, "an alert when the process is gone")
            print(f"metrics: {GOOD + BAD} rows as produced, p99 {p99:.2f} s, {asked} expressions, 8 alerts as promtool and Prometheus see them")
        finally:
            for process in (up, prometheus.process if prometheus else None):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="headpond-metrics-") as place:
        try:
            run(pathlib.Path(place))
        except harness.Failed as failed:
            log = pathlib.Path(place) / "up.log"
            sys.exit(f"FAILED: {failed}\n{log.read_text()[-2000:] if log.exists() else ''}")
