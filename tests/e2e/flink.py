#!/usr/bin/env python3
"""The pager on a real Flink cluster over bronze in a real S3 server, held against the embedded engine and the independent oracle.

  flink.py [--soak] [--seed N] [--only cases|faults|latency] [--kills N]

cases    random rules and streams, stalls included, each as one job with parallelism 2: the outbox holds the definition's transitions.
faults   one long stream, committed while it is read: TaskManagers and the JobManager are killed, the job resumes from its newest checkpoint, and a
         savepoint goes on with another parallelism; it ends equal.
latency  prints commit → outbox object of a growing lake.
"""
import argparse
import json
import os
import pathlib
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "oracle"))
import pager_oracle as oracle
from harness import ROOT, Failed, check, wait_until

RUNNER = ROOT / "build" / "tests" / "pager_cases"
BUCKET = "acme-lake"
BRONZE = "bronze/logs"
CLAIMED = oracle.BASE - 3600 * oracle.SECOND


def tool(name, *arguments, seconds=120):
    done = subprocess.run([str(ROOT / "tools" / name), *map(str, arguments)], capture_output=True, text=True, timeout=seconds)
    check(done.returncode == 0, "tools/%s %s: %s" % (name, " ".join(map(str, arguments)), done.stderr.strip()[-2000:]))
    return done.stdout.strip()


class S3:
    """versitygw: object k of the bucket is the file <data>/k."""

    def __init__(self, directory):
        self.directory = directory
        tool("s3", "start", directory)
        for word in shlex.split(tool("s3", "env", directory)):
            name, assigns, value = word.partition("=")
            if assigns:
                os.environ[name] = value
        tool("s3", "bucket", directory, BUCKET)
        self.data = pathlib.Path(directory) / "data" / BUCKET

    def stop(self):
        tool("s3", "stop", self.directory)


class Cluster:
    def __init__(self, directory, taskmanagers):
        self.directory = str(directory)
        self.address = tool("flink", "start", directory, taskmanagers)

    def rest(self, path, method="GET", body=None):
        request = urllib.request.Request(self.address + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"{}")

    def state(self, job):
        return self.rest("/jobs/" + job)["state"]

    def submit(self, document, parallelism, checkpoint=None):
        where = [] if checkpoint is None else ["-s", checkpoint]
        job = tool("flink", "run", self.directory, *where, "-p", parallelism, "--", "--job", document, "--checkpoint-seconds", 1, "--cursor-seconds", 1)
        check(len(job) == 32, "no job id: " + job)
        return job

    def cancel(self, job):
        self.rest("/jobs/%s?mode=cancel" % job, "PATCH")
        wait_until(lambda: self.state(job) == "CANCELED", 30, "the job is cancelled")

    def savepoint_and_stop(self, job, target):
        trigger = self.rest("/jobs/%s/stop" % job, "POST", {"targetDirectory": target, "drain": False})["request-id"]
        status = lambda: self.rest("/jobs/%s/savepoints/%s" % (job, trigger))
        done = wait_until(lambda: status() if status()["status"]["id"] == "COMPLETED" else None, 60, "the savepoint is written")
        check("location" in done["operation"], "savepoint: %s" % done["operation"])
        return done["operation"]["location"]

    def checkpoints(self, job):
        return self.rest("/jobs/%s/checkpoints" % job)["counts"]["completed"]

    def why(self, job):
        try:
            return self.rest("/jobs/%s/exceptions" % job)["exceptionHistory"]["entries"][0]["stacktrace"][:3000]
        except (OSError, KeyError, IndexError) as e:
            return "unknown: %s" % e

    def stop(self):
        tool("flink", "stop", self.directory)


class Branch:
    """One lake with one pager."""

    def __init__(self, s3, name, program):
        self.s3, self.name = s3, name
        self.lake = s3.data / name / "lake"
        self.url = "s3://%s/%s/lake" % (BUCKET, name)
        claim = self.lake / "pages" / "p" / "_generations" / "0000000001.json"
        claim.parent.mkdir(parents=True, exist_ok=True)
        claim.write_text(json.dumps({"format": 1, "generation": 1, "claimed_at": CLAIMED}))
        self.document = str(self.lake.parent / "job.json")
        pathlib.Path(self.document).write_text(json.dumps({
            "format": 1, "topology": "cases", "branch": "p", "kind": "pager", "engine": "flink", "lake": self.url, "bronze": BRONZE, "promise_s": 30,
            "pager": {"pages": "pages/p", "checkpoints": "s3://%s/pager/%s" % (BUCKET, name), "generation": 1, "claimed_at_us": CLAIMED, "start_version": -1,
                      "program": program}}))
        self.checkpoints = "s3://%s/pager/%s/p/g0000000001" % (BUCKET, name)

    def cursor(self):
        try:
            return json.loads((self.lake / BRONZE / "_headpond" / "cursors" / "p.json").read_text())
        except (OSError, ValueError):
            return {"version": -1, "durable_version": -1}

    def outbox(self):
        """All transitions of rules written so far, in order of their objects' names."""
        out = []
        own = "headpond/PipelineLate"  # by the engine's own clock, not by the log
        for path in sorted((self.lake / "pages" / "p" / "_outbox").glob("*.json")):
            if not path.name.startswith("."):
                out += [t for t in json.loads(path.read_text())["transitions"] if t["rule"] != own]
        return out

    def wait_for(self, version, cluster, job, seconds=90):
        def reached():
            state = cluster.state(job)
            check(state not in ("FAILED", "CANCELED"), "the job is %s: %s" % (state, cluster.why(job)))
            return self.cursor()["version"] >= version

        try:
            wait_until(reached, seconds, "%s: version %d is evaluated" % (self.name, version))
        except Failed as e:
            raise Failed("%s; it is at %d; %s" % (e, self.cursor()["version"], cluster.why(job))) from None


def run_cases(cases, directory):
    """Each case's lake, with what the embedded engine makes of it."""
    path = directory / "cases.jsonl"
    path.write_text("".join(json.dumps({k: case[k] for k in ("seed", "yaml", "partitions", "streams", "crashes")}) + "\n" for case in cases))
    run = subprocess.run([str(RUNNER), str(path), str(directory), "keep"], capture_output=True, text=True, timeout=120)
    check(run.returncode == 0, "pager_cases: " + run.stderr)
    results = [json.loads(line) for line in run.stdout.splitlines()]
    for result in results:
        for stream in result["streams"]:
            check("error" not in stream, str(stream.get("error")))
    return results


def compare(case, number, stream, transitions):
    """Differences between Flink's transitions, the oracle's and the embedded engine's; and how many settled ones there are."""
    index_of = dict(stream["index_of"])
    for t in transitions:
        t["version"] = index_of[t["version"]]
    one = dict(case, streams=[case["streams"][number]])
    problems, made = oracle.check(one, [{"transitions": transitions}])
    flink, flink_announced = oracle.by_identity(transitions, problems, "flink")
    embedded, embedded_announced = oracle.by_identity(stream["transitions"], problems, "embedded")
    oracle.compare("flink against embedded", flink, embedded, problems)
    oracle.compare("flink against embedded, announced", flink_announced, embedded_announced, problems)
    return problems, made


def finish(problems):
    check(not problems, "%d differences, first: %s" % (len(problems), "; ".join(problems[:4])))


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


class FineRandom(random.Random):
    """Commits every second or two."""

    def choice(self, seq):
        return super().choice([1, 2] if seq == [1, 2, 7, 30, 90] else seq)


class Feeder:
    """Commits the versions of a finished lake into a growing one."""

    def __init__(self, whole, branch):
        self.whole, self.log = whole / BRONZE, branch.lake / BRONZE / "_delta_log"
        self.target, self.at = branch.lake / BRONZE, 0
        self.log.mkdir(parents=True, exist_ok=True)
        self.last = len(list((self.whole / "_delta_log").glob("*.json"))) - 1

    def commit(self):
        name = "%020d.json" % self.at
        text = (self.whole / "_delta_log" / name).read_text()
        for line in text.splitlines():
            add = json.loads(line).get("add")
            if add:
                to = self.target / add["path"]
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.whole / add["path"], to)
        staged = self.target.parent / ("." + name)
        staged.write_text(text)
        staged.rename(self.log / name)
        self.at += 1

    def until(self, version):
        while self.at <= min(version, self.last):
            self.commit()


def long_case(rng, s3):
    """A stream of some hundred versions with many transitions."""
    stalls = rng.random() < 0.5
    while True:
        case = oracle.random_case(rng.randrange(10**9), with_stalls=True)
        rows = [row for version in case["streams"][0] for row in version["rows"]]
        rows.sort(key=lambda r: (r["partition"], r["offset"]))
        end = max(r["arrival"] for r in rows) + 60 * oracle.SECOND
        versions = oracle.commits(FineRandom(case["seed"]), rows, case["partitions"], end, stalls)
        written = sum(1 for v in versions if v["rows"] or v["clocks"] or v["stalled"])
        if written >= 100 and len(oracle.evaluate(case, versions)) >= 15:
            break
    case["streams"], case["crashes"] = [versions], []
    return case, run_cases([case], s3.data)[0]["streams"][0]


def growing(s3, case, stream, name):
    whole = s3.data.parent / name
    shutil.move(str(s3.data / ("%d-0" % case["seed"])), whole)
    branch = Branch(s3, name, stream["program"])
    return branch, Feeder(whole / "lake", branch)


def kill_and_resume(cluster, branch, job, parallelism):
    tool("flink", "kill", cluster.directory, "jobmanager")
    tool("flink", "restart", cluster.directory, "jobmanager")
    return cluster.submit(branch.document, parallelism, tool("flink", "resume", branch.checkpoints))


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
    parser.add_argument("--only", choices=["cases", "faults", "latency"])
    parser.add_argument("--cases", type=int)
    parser.add_argument("--kills", type=int)
    options = parser.parse_args()
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
        if options.only in (None, "faults"):
            test_faults(s3, cluster, rng, options.kills or (12 if options.soak else 3))
        if options.only == "latency":
            test_latency(s3, cluster, rng)
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
