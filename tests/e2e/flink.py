#!/usr/bin/env python3
"""The pager on a real Flink cluster over bronze in a real S3 server, held against the embedded engine and the independent oracle.

  flink.py [--soak] [--seed N] [--only cases|starts|faults|points|changes|moved|cleaned|store|latency] [--kills N]

cases    random rules and streams, stalls included, each as one job with parallelism 2: the outbox holds the definition's transitions.
starts   a job that begins behind a version, and one whose generation is claimed in mid-stream: what is sent, and what only recorded.
faults   one long stream, committed while it is read: TaskManagers and the JobManager are killed, the job resumes from its newest checkpoint, and a
         savepoint goes on with another parallelism; it ends equal.
points   a process is ended at each of the job's kill points (one of each process without --soak), see flink_kills.py.
changes  a second job on the branch, and a column that bronze gets, see flink_changes.py.
moved    embedded, then on Flink by `headpond deploy`, then embedded again, from a real Kafka, see flink_moved.py.
cleaned  `headpond maintain` cleans the log beyond a job's savepoint; it goes on, see flink_cleaned.py.
         Without --soak one of points, changes, moved and cleaned, in turn by the seed.
store    an S3 that refuses, is slow, and loses answers, see flink_store.py; only with --soak or --only.
latency  prints commit → outbox object of a growing lake.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "oracle"))
import pager_oracle as oracle
from flink_harness import Branch, Cluster, S3, compare, finish, growing, long_case, numbered, run_cases, tool
from flink_changes import test_column, test_rivals
from flink_cleaned import test_cleaned
from flink_kills import test_points
from flink_moved import test_moved
from flink_store import test_store
from harness import Failed, check, wait_until


def finish_cases(cluster, running):
    total = 0
    for case, stream, branch, job in running:
        branch.wait_for(stream["index_of"][-1][0], cluster, job)
        cluster.cancel(job)
        problems, made = compare(case, 0, stream, branch.outbox())
        finish(problems)
        total += made
    running.clear()
    return total


def test_cases(s3, cluster, rng, count):
    cases = []
    while len(cases) < count:
        case = oracle.random_case(rng.randrange(10**9), with_stalls=len(cases) % 2 == 0)
        case["streams"] = case["streams"][:1]
        if len(oracle.evaluate(case, case["streams"][0])) >= 3:
            cases.append(case)
    total = 0
    running = []
    for case, result in zip(cases, run_cases(cases, s3.data)):
        stream = result["streams"][0]
        branch = Branch(s3, "%d-0" % case["seed"], stream["program"])
        running.append((case, stream, branch, cluster.submit(branch.document, 2)))
        if len(running) == 3:
            total += finish_cases(cluster, running)
    total += finish_cases(cluster, running)
    print("cases: %d rules over %d streams, %d settled transitions, all as defined" % (3 * count, count, total), flush=True)


def opened_before(transitions, boundary):
    """Identities that stand open just before `boundary`: the last of their key settled earlier fires."""
    last = {}
    for t in sorted((t for t in transitions if not t["announced"] and t["boundary"] < boundary), key=lambda t: t["seq"]):
        last[(t["rule"], t["key"])] = t
    return {identity(t) for t in last.values() if t["kind"] == "firing"}


def identity(t):
    return t["rule"], t["key"], t["seq"]


def check_sends(transitions, wanted, first_sent):
    """Before the claim recorded, from it on sent, and what stands open at it both."""
    announced = {identity(t) for t in wanted if t["announced"]}
    sends, open_at_claim = {}, opened_before(wanted, first_sent)
    for t in transitions:
        if not t["settles_announcement"]:
            sends.setdefault(identity(t), set()).add(t["send"])
    counts = {"recorded": 0, "sent": 0, "repeated": 0}
    for t in wanted:
        if identity(t) in announced or t["announced"]:
            continue
        kind = "sent" if t["boundary"] >= first_sent else "repeated" if identity(t) in open_at_claim else "recorded"
        good = {"sent": {True}, "repeated": {False, True}, "recorded": {False}}[kind]
        check(sends.get(identity(t)) == good, "%s, settled at %d, claim at %d: send is %s, not %s" % (identity(t), t["boundary"], first_sent, sends.get(identity(t)), good))
        counts[kind] += 1
    return counts


def quiet_case(rng):
    """Without stalls; with something open, something over and something to come in its middle."""
    while True:
        case = oracle.random_case(rng.randrange(10**9), with_stalls=False)
        case["streams"], case["crashes"] = case["streams"][:1], []
        wanted = oracle.evaluate(case, case["streams"][0])
        plain = sorted({t["boundary"] for t in wanted if not t["announced"]})
        announced = {identity(t) for t in wanted if t["announced"]}
        for claim in plain[1:]:
            opened = opened_before(wanted, claim) - announced
            over = {identity(t) for t in wanted if t["boundary"] < claim} - announced - opened
            if opened and over:
                return case, wanted, claim


def test_starts(s3, cluster, rng):
    case, wanted, claim = quiet_case(rng)
    stream = run_cases([case], s3.data)[0]["streams"][0]
    versions = case["streams"][0]
    cut = len(versions) // 3
    blank = dict(case, streams=[[dict(v, rows=[]) if n <= cut else v for n, v in enumerate(versions)]])
    behind = max(version for version, index in stream["index_of"] if index <= cut)
    source = s3.data / ("%d-0" % case["seed"])
    for name in ("behind", "claim"):
        shutil.copytree(source, s3.data / ("%s-%d" % (name, case["seed"])))
    late = Branch(s3, "behind-%d" % case["seed"], stream["program"], start_version=behind)
    crossing = Branch(s3, "claim-%d" % case["seed"], stream["program"], claimed=claim)
    jobs = [cluster.submit(branch.document, 2) for branch in (late, crossing)]
    for branch, job in zip((late, crossing), jobs):
        branch.wait_for(stream["index_of"][-1][0], cluster, job)
        cluster.cancel(job)
    problems, behind_made = oracle.check(blank, [{"transitions": numbered(stream, late.outbox())}])
    finish(problems)
    transitions = numbered(stream, crossing.outbox())
    problems, _ = oracle.check(case, [{"transitions": transitions}])
    finish(problems)
    counts = check_sends(transitions, wanted, claim)
    print("starts: behind version %d, %d transitions as if nothing had been before; a claim crossed, %s" %
          (behind, behind_made, ", ".join("%d %s" % (n, what) for what, n in counts.items())), flush=True)


def kill_and_resume(cluster, branch, job, parallelism):
    tool("flink", "kill", cluster.directory, "jobmanager")
    tool("flink", "restart", cluster.directory, "jobmanager")
    return cluster.submit(branch.document, parallelism, tool("flink", "resume", branch.checkpoints))


def restart_in_silence(cluster, branch, job, version):
    """Everything is evaluated and in a checkpoint: no version comes behind the restart, and the cursor says all the same where the job stands."""
    done = cluster.checkpoints(job)
    wait_until(lambda: cluster.checkpoints(job) > done + 1, 60, "a checkpoint behind the newest version")
    tool("flink", "kill", cluster.directory, "taskmanager", 1)
    branch.forget_cursor()
    tool("flink", "restart", cluster.directory, "taskmanager", 1)
    branch.wait_for(version, cluster, job)
    cursor = branch.cursor()
    check(cursor["durable_version"] == version and cursor.get("complete_until"), "the cursor after a restart in silence: %s" % cursor)


def test_faults(s3, cluster, rng, kills):
    case, stream = long_case(rng, s3)
    branch, feeder = growing(s3, case, stream, "faults-%d" % case["seed"])
    last = stream["index_of"][-1][0]
    feeder.until(10)
    job = cluster.submit(branch.document, 1)
    branch.wait_for(10, cluster, job)
    steps = ["taskmanager", "jobmanager", "rescale"] + [rng.choice(["taskmanager", "taskmanager", "jobmanager", "rescale"]) for _ in range(kills - 3)]
    parallelism, counts = 1, {"taskmanager": 0, "jobmanager": 0, "rescale": 0}
    for number, what in enumerate(steps):
        upto = 10 + (last - 10) * (number + 1) // (len(steps) + 1)
        done = cluster.checkpoints(job)
        wait_until(lambda: cluster.checkpoints(job) > done, 60, "a checkpoint")
        feeder.until(upto - rng.randrange(1, 6))
        branch.wait_for(rng.randrange(feeder.at - 8, feeder.at), cluster, job) if rng.random() < 0.5 else None
        counts[what] += 1
        if what == "taskmanager":
            tool("flink", "kill", cluster.directory, "taskmanager", 1)
            feeder.until(upto)
            tool("flink", "restart", cluster.directory, "taskmanager", 1)
        elif what == "jobmanager":
            job = kill_and_resume(cluster, branch, job, parallelism)
        else:
            savepoint = cluster.savepoint_and_stop(job, branch.checkpoints + "-savepoints")
            feeder.until(upto)
            parallelism = 3 - parallelism
            job = cluster.submit(branch.document, parallelism, savepoint)
        branch.wait_for(feeder.at - 1, cluster, job)
        print("  %s: went on to version %d of %d" % (what, feeder.at - 1, last), flush=True)
    feeder.until(last)
    branch.wait_for(last, cluster, job)
    restart_in_silence(cluster, branch, job, last)
    cluster.cancel(job)
    problems, made = compare(case, 0, stream, branch.outbox())
    finish(problems)
    print("faults: %s; %d versions, %d settled transitions, equal to the uninterrupted run" %
          (", ".join("%d × %s" % (n, what) for what, n in counts.items()), last + 1, made), flush=True)


def test_latency(s3, cluster, rng):
    case, stream = long_case(rng, s3)
    branch, feeder = growing(s3, case, stream, "latency-%d" % case["seed"])
    feeder.until(5)
    job = cluster.submit(branch.document, 1)
    branch.wait_for(5, cluster, job)
    outbox, committed, seen, delays = branch.lake / "pages" / "p" / "_outbox", {}, set(), []
    deadline = time.monotonic() + 0.25
    while feeder.at <= feeder.last or time.monotonic() < deadline:
        if feeder.at <= feeder.last and time.monotonic() >= deadline:
            committed[feeder.at] = time.monotonic()
            feeder.commit()
            deadline = time.monotonic() + (0.25 if feeder.at <= feeder.last else 2)
        for name in os.listdir(outbox) if outbox.is_dir() else []:
            if name.startswith(".") or name in seen:
                continue
            seen.add(name)
            version = int(name.split("-")[1])
            if version in committed and json.loads((outbox / name).read_text())["transitions"]:
                delays.append(1000 * (time.monotonic() - committed[version]))
        time.sleep(0.002)
    cluster.cancel(job)
    delays.sort()
    check(len(delays) >= 3, "too few pages to measure")
    print("latency: commit → outbox %.0f ms median, %.0f ms worst of %d versions with transitions" % (delays[len(delays) // 2], delays[-1], len(delays)), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", choices=["cases", "starts", "faults", "points", "changes", "moved", "cleaned", "store", "latency"])
    parser.add_argument("--cases", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--process", choices=["taskmanager", "jobmanager"], help="of points: only this one's")
    parser.add_argument("--spoil", type=float, default=0.03)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that cluster and store are stopped
    rng = random.Random(options.seed)
    print("e2e flink: seed %d" % options.seed, flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="headpond-flink-"))
    s3 = cluster = None
    good = False
    try:
        s3 = S3(directory / "s3")
        cluster = Cluster(directory / "flink", 1)
        if options.only in (None, "cases"):
            test_cases(s3, cluster, rng, options.cases or (20 if options.soak else 3))
        if options.only in (None, "starts"):
            test_starts(s3, cluster, rng)
        if options.only in (None, "faults"):
            test_faults(s3, cluster, rng, options.kills or (12 if options.soak else 3))
        turns = ("points", "changes", "moved", "cleaned")
        chosen = {options.only} if options.only else set(turns) if options.soak else {turns[options.seed % len(turns)]}
        if "points" in chosen:
            test_points(s3, cluster, rng, some=not options.soak, process=options.process)
        if "changes" in chosen:
            test_rivals(s3, cluster, rng)
            test_column(s3, cluster, rng)
        if "moved" in chosen:
            test_moved(s3, cluster, rng)
        if "cleaned" in chosen:
            test_cleaned(s3, cluster, rng)
        if options.only == "latency":
            test_latency(s3, cluster, rng)
        if options.only == "store" or (options.only is None and options.soak):
            cluster.stop()
            test_store(s3, directory, rng, options.spoil)
        good = True
    except Failed as e:
        print("e2e flink: seed %d: %s\nkept: %s" % (options.seed, e, directory))
    finally:
        for running in (cluster, s3):
            if running is not None:
                running.stop()
        if good:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
