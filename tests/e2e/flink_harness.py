"""What tests and benches of the pager on Flink share: a real S3 server, a real cluster, a branch's lake, and lakes that grow."""
import json
import os
import pathlib
import random
import shlex
import shutil
import subprocess
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "oracle"))
import pager_oracle as oracle
from harness import ROOT, Failed, check, wait_until

RUNNER = ROOT / "build" / "tests" / "pager_cases"
BUCKET = "acme-lake"
BRONZE = "bronze/logs"
CLAIMED = oracle.BASE - 3600 * oracle.SECOND


def tool(name, *arguments, seconds=120, env=None):
    done = subprocess.run([str(ROOT / "tools" / name), *map(str, arguments)], capture_output=True, text=True, timeout=seconds, env={**os.environ, **(env or {})})
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

    def submit(self, document, parallelism, checkpoint=None, more=()):
        where = [] if checkpoint is None else ["-s", checkpoint]
        job = tool("flink", "run", self.directory, *where, "-p", parallelism, "--", "--job", document, "--checkpoint-seconds", 1, "--cursor-seconds", 1, *more)
        check(len(job) == 32, "no job id: " + job)
        return job

    def cancel(self, job):
        self.rest("/jobs/%s?mode=cancel" % job, "PATCH")
        wait_until(lambda: self.state(job) == "CANCELED", 30, "the job is cancelled")

    def savepoint(self, job, target):
        """Of a job that goes on."""
        return self.written(job, self.rest("/jobs/%s/savepoints" % job, "POST", {"target-directory": target, "cancel-job": False}))

    def savepoint_and_stop(self, job, target):
        return self.written(job, self.rest("/jobs/%s/stop" % job, "POST", {"targetDirectory": target, "drain": False}))

    def written(self, job, trigger):
        status = lambda: self.rest("/jobs/%s/savepoints/%s" % (job, trigger["request-id"]))
        done = wait_until(lambda: status() if status()["status"]["id"] == "COMPLETED" else None, 60, "the savepoint is written")
        check("location" in done["operation"], "savepoint: %s" % done["operation"])
        return done["operation"]["location"]

    def log(self, process):
        return (pathlib.Path(self.directory) / (process + ".log")).read_text()

    def checkpoints(self, job):
        return self.rest("/jobs/%s/checkpoints" % job)["counts"]["completed"]

    def restarts(self, job):
        return int(self.rest("/jobs/%s/metrics?get=numRestarts" % job)[0]["value"])

    def why(self, job):
        try:
            trace = self.rest("/jobs/%s/exceptions" % job)["exceptionHistory"]["entries"][0]["stacktrace"].splitlines()
            return "; ".join(trace[:1] + [line for line in trace if line.startswith("Caused by: ")])
        except (OSError, KeyError, IndexError) as e:
            return "unknown: %s" % e

    def stop(self):
        tool("flink", "stop", self.directory)


class Branch:
    """One lake with one pager."""

    def __init__(self, s3, name, program, claimed=CLAIMED, start_version=-1):
        self.s3, self.name = s3, name
        self.lake = s3.data / name / "lake"
        self.url = "s3://%s/%s/lake" % (BUCKET, name)
        claim = self.lake / "pages" / "p" / "_generations" / "0000000001.json"
        claim.parent.mkdir(parents=True, exist_ok=True)
        claim.write_text(json.dumps({"format": 1, "generation": 1, "claimed_at": claimed}))
        self.document = str(self.lake.parent / "job.json")
        pathlib.Path(self.document).write_text(json.dumps({
            "format": 1, "topology": "cases", "branch": "p", "kind": "pager", "engine": "flink", "lake": self.url, "bronze": BRONZE, "promise_s": 30,
            "pager": {"pages": "pages/p", "checkpoints": "s3://%s/pager/%s" % (BUCKET, name), "generation": 1, "claimed_at_us": claimed, "start_version": start_version,
                      "program": program}}))
        self.checkpoints = "s3://%s/pager/%s/p/g0000000001" % (BUCKET, name)

    def forget_cursor(self):
        (self.lake / BRONZE / "_headpond" / "cursors" / "p.json").unlink(missing_ok=True)

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


def numbered(stream, transitions):
    """With the definition's numbers of versions."""
    index_of = dict(stream["index_of"])
    for t in transitions:
        t["version"] = index_of[t["version"]]
    return transitions


def compare(case, number, stream, transitions):
    """Differences between Flink's transitions, the oracle's and the embedded engine's; and how many settled ones there are."""
    numbered(stream, transitions)
    one = dict(case, streams=[case["streams"][number]])
    problems, made = oracle.check(one, [{"transitions": transitions}])
    flink, flink_announced = oracle.by_identity(transitions, problems, "flink")
    embedded, embedded_announced = oracle.by_identity(stream["transitions"], problems, "embedded")
    oracle.compare("flink against embedded", flink, embedded, problems)
    oracle.compare("flink against embedded, announced", flink_announced, embedded_announced, problems)
    return problems, made


def finish(problems):
    check(not problems, "%d differences, first: %s" % (len(problems), "; ".join(problems[:4])))


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
