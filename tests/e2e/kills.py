#!/usr/bin/env python3
"""kills.py [--kills 20] [--seed N] [--rate 200]: ends `headpond up` under load at every failpoint and at random, then holds what is left against
independent checks: bronze against the topic, pages at the webhook against the rules' definitions, gold against bronze, the bill against Python
decimals and against itself. Prints hits per failpoint; a failpoint without a kill is a failure. Exit 1 with the first thing that is wrong."""
import argparse
import collections
import json
import pathlib
import random
import subprocess
import sys
import time

import deltalake

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import expected_pages  # noqa: E402
import harness  # noqa: E402
from harness import check, headpond, oracle, wait_until  # noqa: E402

FAILPOINTS = ["ingest.before_data_put", "ingest.after_data_put", "ingest.after_log_put", "pager.after_state_batch", "notify.after_send", "dashboard.after_range"]
UNSENT = {"superseded", "recorded", "confirmed", "summarised"}


class Run:
    def __init__(self, directory, options):
        self.directory, self.options = directory, options
        self.random = random.Random(options.seed)
        self.kills = []  # (time, why)
        self.log = directory / "headpond.log"
        self.hits = directory / "failpoints"
        self.receiver = harness.Receiver()

    def env(self, failpoint=None):
        env = {"HEADPOND_FAILPOINT_LOG": str(self.hits)}
        if failpoint:
            env["HEADPOND_FAILPOINT"] = failpoint
        return env

    def prepare(self, kafka):
        self.kafka = kafka
        self.topology = harness.write_topology(self.directory, kafka.bootstrap, self.receiver.url, name="kills")
        self.lake = self.directory / "lake"
        today = int(time.time()) // 86400 * 86400
        stamp = lambda t: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
        self.day = stamp(today - 86400)[:10]
        made = headpond("generate", "-f", self.topology, "-n", 4000, "--seed", self.options.seed, "--from", stamp(today - 86400), "--to", stamp(today), "--malformed", 0.01)
        check(made.returncode == 0, f"generate: {made.stderr}")

    def bill_in_pieces(self):
        """Yesterday, with a kill between its tables; then whole; then again, byte by byte the same."""
        up = harness.Up(self.topology, self.log, "ingest", env=self.env())
        midnight = self.day + "T23:59:59"
        wait_until(lambda: (harness.statuses(self.topology).get("ingest", {}).get("complete_until") or "") > midnight, 60, "the clocks pass midnight")
        check(up.terminate() == 0, "ingest did not end cleanly on SIGTERM")
        killed = headpond("bill", "run", "-f", self.topology, "--day", self.day, env=self.env("billing.mid:1"))
        check(killed.returncode == -9, f"the bill was not killed at billing.mid: exit {killed.returncode} {killed.stderr}")
        self.kills.append((time.time(), "billing.mid"))
        for _ in range(2):
            done = headpond("bill", "run", "-f", self.topology, "--day", self.day)
            check(done.returncode == 0, f"bill run: {done.stderr}")
            outputs = [p for p in (self.lake / "billing").rglob("*") if p.is_file() and self.day in p.name]
            first = getattr(self, "bill_digest", None)
            self.bill_digest = harness.digest(outputs)
            check(outputs and first in (None, self.bill_digest), "the bill is not the same to the byte when it runs again")

    def start_traffic(self):
        self.traffic = subprocess.Popen([harness.BINARY, "generate", "-f", str(self.topology), "-n", "100000000", "--rate", str(self.options.rate), "--seed", str(self.options.seed + 1),
                                         "--malformed", "0.002", "--late", "0.01"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def schedule(self):
        planned = [(name, 1 + self.random.randrange(3) if name != "dashboard.after_range" else 1) for name in FAILPOINTS]
        while len(planned) + 1 < self.options.kills:
            name = self.random.choice(FAILPOINTS[:5] + [None] * 4)
            planned.append((name, 1 + self.random.randrange(4)))
        self.random.shuffle(planned)
        return planned

    def kill_once(self, name, hit):
        up = harness.Up(self.topology, self.log, env=self.env(f"{name}:{hit}" if name else None))
        if name:
            try:
                wait_until(lambda: not up.running(), 100, f"kill at {name}:{hit}")
            finally:
                ended_by = up.process.poll()
                up.kill()
            check(ended_by == -9, f"{name}:{hit}: `up` ended with {ended_by} instead of the kill; see {self.log}")
        else:
            until = time.monotonic() + self.random.uniform(0.3, 5)
            wait_until(lambda: time.monotonic() > until or not up.running(), 30, "a random moment")
            check(up.running(), f"`up` ended by itself; see {self.log}")
            up.kill()
        self.kills.append((time.time(), name or "at random"))

    def tail(self):
        return "\n".join(self.log.read_text().splitlines()[-12:])

    def finish(self):
        """Lets everything come to rest, then stops it in order."""
        self.traffic.terminate()
        self.traffic.wait(30)
        up = harness.Up(self.topology, self.log, env=self.env())
        stopped = time.time()

        def at_rest():
            check(up.running(), f"`up` ended by itself: {self.tail()}")
            now = harness.statuses(self.topology)
            if not all(kind in now for kind in ("ingest", "pager", "dashboard")):
                return False
            stamp = lambda t: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t))
            return (now["ingest"]["figures"].get("kafka_lag", 1) == 0 and (now["pager"].get("complete_until") or "") > stamp(stopped + 20)
                    and (now["dashboard"].get("complete_until") or "") > stamp(stopped) and now["pager"]["figures"].get("pending_pages", 1) == 0)

        wait_until(at_rest, 240, lambda: f"ingest, pager and dashboard catch up and every page is receipted:\n{headpond('status', '-f', self.topology).stdout}{self.tail()}")
        check(up.terminate() == 0, "`up` did not end cleanly on SIGTERM")

    def check_pages(self):
        wanted = {(e["rule"], e["key"], e["seq"]): e for e in expected_pages.expected(self.lake / "bronze" / "logs")}
        statuses = collections.defaultdict(set)
        for row in deltalake.DeltaTable(str(self.lake / "pages" / "pager")).to_pyarrow_table().to_pylist():
            if row["status"] != "settled":
                statuses[(row["rule"], row["key"], row["seq"])].add(row["status"])
        heard = collections.defaultdict(list)
        for request in self.receiver.all():
            body = json.loads(request["body"])
            if not body["id"]["rule"].startswith("headpond/"):
                heard[(body["id"]["rule"], body["id"]["key"], body["id"]["seq"])].append((request["at"], request["headers"]["idempotency-key"], body))
        missing = [i for i in wanted if i not in heard and not statuses[i] & UNSENT]
        check(not missing, f"{len(missing)} of {len(wanted)} expected transitions were neither sent nor receipted as passed over: {missing[:3]}")
        surplus = [i for i in heard if i not in wanted]
        check(not surplus, f"{len(surplus)} pages that the rules do not give: {surplus[:3]}")
        unaccounted = [i for i in wanted if not statuses[i]]
        check(not unaccounted, f"{len(unaccounted)} transitions without a receipt: {unaccounted[:3]}")
        repeats = 0
        for identity, sent in heard.items():
            kind = "firing" if identity[2] % 2 else "resolved"
            check({b["status"] for _, _, b in sent} == {kind}, f"{identity}: sent as {[b['status'] for _, _, b in sent]}")
            check(len({key for _, key, _ in sent}) == 1, f"{identity}: sent with different idempotency keys")
            for (a, *_), (b, *_) in zip(sent, sent[1:]):
                repeats += 1
                check(any(a - 1 <= t <= b for t, _ in self.kills), f"{identity}: sent again at {b - a:.1f} s without a kill between")
        self.check_order()
        sent = sum(map(len, heard.values()))
        check(len(heard) >= 20, f"only {len(heard)} transitions were sent: too quiet a run to prove anything")
        return f"{len(wanted)} expected transitions, {len(heard)} sent ({sent} requests, {repeats} repeated around kills), {sum(bool(s & UNSENT) for s in statuses.values())} passed over"

    def check_order(self):
        """Per key, the sequence heard never falls, but for a repeat; and no trigger follows its resolve."""
        newest, resolved = {}, set()
        for request in self.receiver.all():
            body = json.loads(request["body"])
            line = (body["id"]["rule"], body["id"]["key"])
            check(body["id"]["seq"] >= newest.get(line, 0), f"{line}: seq {body['id']['seq']} after {newest.get(line)}")
            newest[line] = body["id"]["seq"]
            check(not (body["status"] == "firing" and body["dedup_key"] in resolved), f"{line}: a trigger after its resolve")
            if body["status"] == "resolved":
                resolved.add(body["dedup_key"])

    def report(self):
        reached = collections.Counter(self.hits.read_text().split())
        killed = collections.Counter(why for _, why in self.kills)
        for name in [*FAILPOINTS, "billing.mid"]:
            print(f"  {name:26} reached {reached[name]:6}  killed {killed[name]:3}")
            check(killed[name] > 0 and reached[name] > 0, f"no kill at {name}")
        print(f"  {'at random':26} {'':14}  killed {killed['at random']:3}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=int, default=200)
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.kills} kills")
    with harness.Workspace() as directory, harness.Kafka(directory / "kafka") as kafka:
        run = Run(directory, options)
        run.prepare(kafka)
        run.bill_in_pieces()
        run.start_traffic()
        try:
            for name, hit in run.schedule():
                run.kill_once(name, hit)
            run.finish()
        finally:
            run.traffic.kill()
        run.report()
        bronze = run.lake / "bronze" / "logs"
        audit = headpond("audit", "-f", run.topology, "--deep")
        check(audit.returncode == 0, f"audit --deep: {audit.stdout[-600:]}")
        oracle("bronze_equals_topic.py", kafka.bootstrap, "logs", bronze)
        print("  bronze equals the topic, row by row; audit --deep is clean")
        print("  " + run.check_pages())
        oracle("gold_equals_bronze.py", "--lake", run.lake, "--branch", "dash", "--bronze", "bronze/logs")
        print("  gold equals bronze")
        oracle("bill_oracle.py", "--lake", run.lake, "--branch", "bill", "--prices", run.directory / "prices.yaml", "--bronze", "bronze/logs")
        print("  the bill is byte-identical on rerun and equals the independent computation")
    print(f"kills: {len(run.kills)} kills, seed {options.seed}: nothing lost, nothing doubled")


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
