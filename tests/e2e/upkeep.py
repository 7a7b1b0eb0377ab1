#!/usr/bin/env python3
"""upkeep.py [--rounds 6] [--seed N] [--rate 200]: `headpond up` under load while the log of bronze is checkpointed, folded into the ledger and cleaned every
second, and `headpond maintain` beside it is ended at each of its failpoints. Then ingest goes on alone, the pager's and the dashboard's cursors are taken
away and the log is cleaned far beyond them, so that both must cross the gap. What is left is held against independent checks: the audit after each kill,
bronze against the topic, the verifier, gold against bronze, the bill against Python decimals, pages against the rules over a copy of the whole log."""
import argparse
import collections
import os
import pathlib
import shutil
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
import kills  # noqa: E402
from harness import check, headpond, headpond_json, oracle, wait_until  # noqa: E402

FAILPOINTS = ["upkeep.after_checkpoint_file", "upkeep.after_facts", "upkeep.after_checkpoint", "upkeep.after_ledger", "upkeep.after_delete", "upkeep.after_old_facts"]
VERIFIER = pathlib.Path(__file__).resolve().parents[2] / "docs" / "formats" / "verify_bronze.py"


class WholeLog:
    """Keeps every entry of the log, as hard links in a folder of its own, before the clean-up can reach it."""

    def __init__(self, bronze, copy):
        self.bronze, self.copy = bronze, copy
        (copy / "_delta_log").mkdir(parents=True)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        while not self.ended.wait(0.05):
            self.take()

    def take(self):
        for path in list((self.bronze / "_delta_log").glob("*.json")):
            target = self.copy / "_delta_log" / path.name
            if path.stem.isdigit() and not target.exists():
                os.link(path, target)

    def close(self):
        self.ended.set()
        self.thread.join()
        self.take()
        for day in self.bronze.glob("ingest_date=*"):
            (self.copy / day.name).symlink_to(day)
        entries = sorted(int(p.stem) for p in (self.copy / "_delta_log").glob("*.json"))
        check(entries == list(range(entries[-1] + 1)), "the copy of the log has a hole: the test was too slow")
        return self.copy


class Run(kills.Run):
    def prepare(self, kafka):
        super().prepare(kafka)
        text = self.topology.read_text()
        self.topology.write_text(text.replace("  commit_interval: 1s\n", "  commit_interval: 300ms\n  log_retention: 1s\n"))
        self.bronze = self.lake / "bronze" / "logs"

    def entries(self):
        return sorted(int(p.stem) for p in (self.bronze / "_delta_log").glob("*.json"))

    def maintain(self, failpoint=None):
        return headpond("maintain", "-f", self.topology, "--checkpoint", env=self.env(failpoint))

    def clean_audit(self, *more):
        audit = headpond("audit", "-f", self.topology, *more)
        check(audit.returncode == 0, f"audit {' '.join(more)}: {audit.stdout[-800:]}{audit.stderr}")

    def kill_maintain(self, name):
        """Ends it there, as often as it takes until there is something to do there."""
        def killed():
            done = self.maintain(f"{name}:1")
            check(done.returncode in (0, 3, -9), f"maintain at {name}: exit {done.returncode} {done.stderr}")
            return done.returncode == -9

        wait_until(killed, 60, f"`maintain` reaches {name}")
        self.kills.append((time.time(), name))
        self.clean_audit()

    def cross_the_gap(self):
        """Ingest alone; the log is cleaned beyond where pager and dashboard stand."""
        before = harness.statuses(self.topology)
        up = harness.Up(self.topology, self.log, "ingest", env=self.env())
        start = self.entries()[-1]
        wait_until(lambda: self.entries()[-1] >= start + 40, 90, "ingest goes on alone")
        for branch in "pager", "dash", "bill":
            (self.bronze / "_headpond" / "cursors" / f"{branch}.json").unlink()
        stood = max(before["pager"]["durable_version"], before["dashboard"]["durable_version"])

        def cleaned():
            done = self.maintain()
            check(done.returncode in (0, 3), f"maintain: {done.stdout} {done.stderr}")
            return self.entries()[0] > stood + 2

        wait_until(cleaned, 60, f"the log is cleaned beyond version {stood}")
        check(up.terminate() == 0, "ingest did not end cleanly on SIGTERM")
        return f"pager and dashboard stood at version {before['pager']['durable_version']} and {before['dashboard']['durable_version']}, the log began with {self.entries()[0]}"

    def report(self):
        reached, killed = collections.Counter(self.hits.read_text().split()), collections.Counter(why for _, why in self.kills)
        for name in FAILPOINTS:
            print(f"  {name:30} reached {reached[name]:6}  killed {killed[name]:3}")
            check(killed[name] > 0, f"no kill at {name}")

    def check_pages(self):
        lake, self.lake = self.lake, self.lake.parent / "whole"  # expected from the whole log, what was sent from the lake
        (self.lake / "pages").symlink_to(lake / "pages")
        try:
            return super().check_pages()
        finally:
            self.lake = lake


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=int, default=200)
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.rounds} rounds")
    with harness.Workspace() as directory, harness.Kafka(directory / "kafka") as kafka:
        run = Run(directory, options)
        run.prepare(kafka)
        whole = WholeLog(run.bronze, directory / "whole" / "bronze" / "logs")
        run.bill_in_pieces()
        run.start_traffic()
        try:
            for _ in range(options.rounds):
                up = harness.Up(run.topology, run.log, env=run.env())
                wait_until(lambda: {"pager", "dashboard"} <= harness.statuses(run.topology).keys(), 60, "the branches run")
                for name in run.random.sample(FAILPOINTS, len(FAILPOINTS)):
                    run.kill_maintain(name)
                check(up.running(), f"`up` ended by itself; see {run.log}")
                up.kill()
                run.kills.append((time.time(), "up"))
                print("  " + run.cross_the_gap())
                run.clean_audit()
            run.finish()
        finally:
            run.traffic.kill()
        run.report()
        begins, newest = run.entries()[0], run.entries()[-1]
        check(begins > 0, "the log was never cleaned")
        whole.close()
        run.clean_audit("--deep")
        print(f"  the log begins with version {begins} of {newest}; audit --deep is clean")
        verified = harness.subprocess.run([sys.executable, VERIFIER, run.bronze], capture_output=True, text=True)
        check(verified.returncode == 0, f"verify_bronze.py: {verified.stdout[-800:]}")
        print("  verify_bronze.py: " + verified.stdout.strip().splitlines()[-1])
        oracle("bronze_equals_topic.py", kafka.bootstrap, "logs", run.bronze)
        print("  bronze equals the topic, row by row")
        print("  " + run.check_pages())
        oracle("gold_equals_bronze.py", "--lake", run.lake, "--branch", "dash", "--bronze", "bronze/logs")
        print("  gold equals bronze")
        oracle("bill_oracle.py", "--lake", run.lake, "--branch", "bill", "--prices", run.directory / "prices.yaml", "--bronze", "bronze/logs")
        done = headpond("bill", "verify", "-f", run.topology, "--day", run.day, "--deep")
        check(done.returncode == 0, f"bill verify --deep: {done.stdout} {done.stderr}")
        done = headpond("bill", "run", "-f", run.topology, "--day", run.day)
        outputs = [p for p in (run.lake / "billing").rglob("*") if p.is_file() and run.day in p.name]
        check(done.returncode == 0 and harness.digest(outputs) == run.bill_digest, f"bill run over the cleaned log: {done.stderr}")
        print("  the bill over ledger and log: the same bytes, verified from the rows, equal to the independent computation")
        shutil.rmtree(directory / "whole")
    print(f"upkeep: {len(run.kills)} kills, seed {options.seed}: nothing lost, nothing doubled")


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
