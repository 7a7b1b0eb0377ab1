#!/usr/bin/env python3
"""demo.py: `headpond demo` off a terminal ends by itself with exit 0, and what it says holds: figures within the promise, the page's numbers equal
SQL over bronze, yesterday's bill equals the independent computation, the audit is clean. Again on librdkafka's mock broker."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from harness import check, headpond, oracle  # noqa: E402


def seconds(text, label):
    found = re.search(rf"^{label}\s+([\d.]+) s", text, re.M)
    check(found, f"the summary does not say '{label}'")
    return float(found.group(1))


def run(directory, *arguments):
    done = headpond("demo", "--dir", directory, *arguments, timeout=400)
    check(done.returncode == 0, f"headpond demo ended with {done.returncode}: {done.stdout[-1500:]}{done.stderr[-500:]}")
    for words in ("PAGE", "ErrorBurst", "evidence", "certificate", "clean", "Try next", "http://127.0.0.1:"):
        check(words in done.stdout, f"the demo does not show '{words}'")
    shown = done.stdout.split("Try next:\n")[1].strip().splitlines()
    check(len(shown) == 3, f"what to try next: {shown}")
    for command in shown:
        tried = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
        check(tried.returncode == 0 and tried.stdout.strip(), f"{command}: exit {tried.returncode}: {tried.stdout[-500:]}{tried.stderr[-500:]}")
    print(f"  first rows {seconds(done.stdout, 'first rows')} s, page {seconds(done.stdout, 'page')} s")
    return done.stdout


def page_equals_sql(directory):
    """Serves the demo's lake again and holds the API's five complete minutes against bronze."""
    with harness.Page(directory / "topology.yaml", directory / "serve.log") as page:
        print("  " + page.equals_sql())


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
