#!/usr/bin/env python3
"""bill_kills.py [--kills 14] [--first N] [--seed N] [--engines dbt-duckdb,pyspark]: closed days billed by an engine outside the binary while that engine, or the
headpond that runs it, ends again and again: SIGKILL and SIGTERM at a random moment of the run, SIGKILL at each failpoint. After each end no day is
half closed and no process is left; at last all days are the embedded engine's bytes and the oracle's digits. Prints how often each end was reached.
Needs tools/dbt and tools/spark (exit 3 without them). Exit 1 with the first thing that is wrong."""
import argparse
import collections
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from bill_engines import DAYS, Case, VENV, bill, engine_of, equal, right, start  # noqa: E402
from harness import check, wait_until  # noqa: E402

FAILPOINTS = ["billing.before_engine", "billing.after_engine", "billing.mid"]
ENDS = ["engine SIGKILL", "headpond SIGKILL", "engine SIGTERM", "headpond SIGTERM"] + FAILPOINTS


def processes_of(place):
    """What still works on a run of this lake."""
    left = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if f"{place}/.headpond".encode() in words:
            left.append(int(entry.name))
    return left


def certified(place):
    return sorted(p.stem for p in (place / "lake/billing/bill/certificates").glob("*.json"))


class Kills:
    """One lake at a time, with one day left for the engine; when it closes before it could be killed it is looked at, and another lake is taken."""

    def __init__(self, case, engine, dice):
        self.case, self.engine, self.dice = case, engine, dice
        self.reached, self.lakes, self.shortest = collections.Counter(), 0, 1e9
        self.fresh()

    def fresh(self):
        self.place = self.case.copy(f"kills-{self.engine}-{self.lakes}", self.engine, DAYS[-2])
        self.lakes += 1

    def run_to_the_end(self):
        """Uninterrupted; also says how long the day takes."""
        started = time.monotonic()
        done = bill(self.place, DAYS[-1])
        check(done.returncode == 0, f"{self.engine}, uninterrupted: {done.stdout}{done.stderr}")
        self.shortest = min(self.shortest, time.monotonic() - started)
        right(self.case, self.place, f"{self.engine} at the end", self.engine)

    def kill(self, how):
        closed, day = certified(self.place), DAYS[-1]
        if how in FAILPOINTS:
            done = bill(self.place, day, HEADPOND_FAILPOINT=f"{how}:1")
            check(done.returncode == -signal.SIGKILL, f"{self.engine}: not killed at {how}: exit {done.returncode}: {done.stdout}{done.stderr}")
        else:
            self.signal_at_random(day, *how.split())
        wait_until(lambda: not processes_of(self.place), 20, f"{self.engine}: nothing works on after {how}: {processes_of(self.place)}")
        now = certified(self.place)
        check(now in (closed, DAYS), f"{self.engine}: {how} on {day} left {now}")
        equal(self.case, self.place, f"{self.engine} after {how}", now, whole=False)
        if now == DAYS:
            self.fresh()

    def signal_at_random(self, day, whom, name):
        process = start(self.place, day)
        moment = self.dice.random() * self.shortest
        deadline = time.monotonic() + moment
        while process.poll() is None and (time.monotonic() < deadline or (whom == "engine" and not engine_of(process))):
            time.sleep(0.02)
        target = process.pid if whom == "headpond" else engine_of(process)
        if target and process.poll() is None:
            os.kill(target, getattr(signal, name))
            self.reached[f"{whom} {name}"] += 1
        said = process.communicate(timeout=120)[0]
        check(process.returncode == 0 or day not in certified(self.place), f"exit {process.returncode}, and yet {day} is closed: {said}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=14, help="of each engine")
    parser.add_argument("--first", type=int, default=0, help="begin with this one of the ends: " + ", ".join(f"{i} {how}" for i, how in enumerate(ENDS)))
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--engines", default="dbt-duckdb,pyspark", type=lambda text: text.split(","))
    options = parser.parse_args()
    if not (VENV / "bin" / "dbt").exists():
        print("dbt is not installed: tools/dbt install", file=sys.stderr)
        return 3
    print(f"seed {options.seed}", flush=True)
    dice, table = random.Random(options.seed), []
    with harness.Workspace() as directory:
        case = Case(directory, options.seed)
        for engine in options.engines:
            run = Kills(case, engine, dice)
            started = time.monotonic()
            run.run_to_the_end()
            run.fresh()
            while (ended := sum(run.reached.values())) < options.kills:
                how = ENDS[(options.first + ended) % len(ENDS)]
                run.kill(how)
                run.reached[how] += how in FAILPOINTS
            run.run_to_the_end()
            table.append((engine, run, time.monotonic() - started))
            print(f"{engine}: {sum(run.reached.values())} ends in {time.monotonic() - started:.0f} s, then the same bytes", flush=True)
    for how in ENDS:
        print(f"{how:<24}" + "".join(f"{run.reached[how]:>5} {engine}" for engine, run, _ in table))
    print(f"bill kills: seed {options.seed}: " + ", ".join(f"{sum(run.reached.values())} of {engine}" for engine, run, _ in table) + "; each day the same to the byte")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except harness.Failed as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
