#!/usr/bin/env python3
"""demo.py: `headpond demo` off a terminal ends by itself with exit 0, and what it says holds: figures within the promise, the page's numbers equal
SQL over bronze, yesterday's bill equals the independent computation, the audit is clean. Again on librdkafka's mock broker."""
import json
import pathlib
import re
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from harness import Up, check, headpond, oracle, wait_until  # noqa: E402


def seconds(text, label):
    found = re.search(rf"^{label}\s+([\d.]+) s", text, re.M)
    check(found, f"the summary does not say '{label}'")
    return float(found.group(1))


def run(directory, *arguments):
    done = headpond("demo", "--dir", directory, *arguments, timeout=400)
    check(done.returncode == 0, f"headpond demo ended with {done.returncode}: {done.stdout[-1500:]}{done.stderr[-500:]}")
    for words in ("PAGE", "ErrorBurst", "evidence", "certificate", "clean", "Try next", "http://127.0.0.1:"):
        check(words in done.stdout, f"the demo does not show '{words}'")
    print(f"  first rows {seconds(done.stdout, 'first rows')} s, page {seconds(done.stdout, 'page')} s")
    return done.stdout


def page_equals_sql(directory):
    """Serves the demo's lake again and holds the API's five complete minutes against bronze."""
    topology = directory / "topology.yaml"
    log = directory / "serve.log"
    server = Up(topology, log, "serve", arguments=("--listen", "127.0.0.1:0"))
    try:
        address = wait_until(lambda: re.search(r"http://[\d.]+:\d+", log.read_text()), 30, "the page is served").group(0)
        read = lambda path: json.load(urllib.request.urlopen(address + path, timeout=10))
        page = wait_until(lambda: (lambda d: d if d and d.get("complete_until_ms") and d["all"]["window"]["n"] else None)(read("/api/dashboard")), 60, "the API shows complete minutes")
        end, n, errors = page["complete_until_ms"], page["all"]["window"]["n"], page["all"]["window"]["errors"]
        window = f"epoch_ms(ts) >= {end} - 300000 AND epoch_ms(ts) < {end}"
        rows = json.loads(headpond("sql", "-f", topology, f"SELECT count(*) AS n, count(*) FILTER (severity_number >= 17 OR status >= 500 OR error IS NOT NULL)::BIGINT AS errors FROM bronze WHERE {window}", "--json").stdout)
        check((n, errors) == (rows[0]["n"], rows[0]["errors"]), f"the page says {n} events, {errors} errors to {end}; bronze says {rows[0]}")
        print(f"  the page's five minutes to {end}: {n} events, {errors} errors, as SQL over bronze says")
    finally:
        server.terminate()


def main():
    with harness.Workspace() as directory:
        run(directory / "kafka-demo")
        page_equals_sql(directory / "kafka-demo")
        lake = directory / "kafka-demo" / "lake"
        oracle("bill_oracle.py", "--lake", lake, "--branch", "billing-capacity", "--prices", directory / "kafka-demo" / "prices.yaml")
        oracle("gold_equals_bronze.py", "--lake", lake, "--branch", "live-ops-dashboard")
        said = run(directory / "mock-demo", "--mock")
        check("mock broker" in said, "the demo does not say that its broker is a mock")
    print("demo: what it shows is true, on Apache Kafka and on the mock broker")


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
