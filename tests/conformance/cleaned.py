"""The log cleaned in the middle of a lake, beyond where an engine had stopped: it goes over the gap by the checkpoint of the log, and its settled transitions are those of an
embedded engine that never stopped, and the definition's. In the gap lie a column that was added and a rewrite of files from both sides of the stop. The lake is recorded
without stalled partitions: who was stalled within a gap is not known afterwards (docs/formats/pager.md)."""
import json
import os
import pathlib
import shutil

import compare
import dumps
import embedded
import flink_engine
import oracle
import recorded
from flink_harness import S3, Cluster, tool  # noqa: E402
from harness import check, headpond, wait_until  # noqa: E402


class Recording:
    def __init__(self, work, full, seed):
        self.work, self.full, self.lake = work, full, work / "recorded"
        self.facts = recorded.record(self.lake, full, "--no-stall", "--cut", "7", "--seed", seed)
        self.end = (self.facts["compaction_version"] + self.facts["retention_version"]) // 2
        rewrite = self.log(self.lake) / ("%020d.json" % self.facts["compaction_version"])
        spans = [json.loads(line)["add"]["tags"]["headpond.versions"].split("-") for line in rewrite.read_text().splitlines() if line.startswith('{"add"')]
        first, last = max(((int(first), int(last)) for first, last in spans), key=lambda span: span[1] - span[0])
        check(last - first > 2 and first > 0, f"no files of many versions were merged: {spans}")
        self.stop = (first + last) // 2

    @staticmethod
    def log(lake):
        return pathlib.Path(lake, "bronze/logs/_delta_log")

    def copy(self, target):
        shutil.copytree(self.lake, target, copy_function=os.link)
        return target

    def clean(self, lake):
        """Nothing holds the entries: the branch's cursor is gone, too."""
        for cursor in pathlib.Path(lake, "bronze/logs/_headpond/cursors").glob("*.json"):
            cursor.unlink()
        topology = recorded.write_topology(self.work / "maintain", lake, self.full)
        topology.write_text(topology.read_text().replace("/bronze/logs\n", "/bronze/logs\n  log_retention: 0s\n"))
        with embedded.before_version(lake, self.end + 1):
            done = headpond("maintain", "-f", topology, "--checkpoint")
        check(done.returncode == 0, f"maintain: {done.stdout}{done.stderr}")
        oldest = min(int(path.stem) for path in self.log(lake).glob("*.json"))
        check(oldest == self.end, f"the log begins with version {oldest}, not {self.end}: {done.stdout}")

    def held(self, answers):
        """Against the definition, and an embedded engine that never stopped; in that order."""
        whole = self.work / "whole"
        embedded.answers(whole, self.copy(whole / "lake"), self.facts, self.full, parts=("pager",))
        _, problems = oracle.transitions(self.work / "definition", self.lake, self.full)
        for what, other in (("its definition", self.work / "definition"), ("one that never stopped", whole / "answers")):
            problems += [f"against {what}: {d}" for d in compare.differences(answers, other, dumps.PAGER_FILES)]
        return problems


def embedded_answers(work, lake, facts, full):
    recording = Recording(work, full, facts["seed"])
    lake = recording.copy(work / "run" / "lake")
    topology = recorded.write_topology(work / "run", lake, full)
    with embedded.before_version(lake, recording.stop + 1):
        embedded.consume(topology, lake, recorded.PAGER, "pager", recording.stop, work / "before.log")
    recording.clean(lake)
    embedded.consume(topology, lake, recorded.PAGER, "pager", recording.facts["version"], work / "behind.log")
    counts, problems = dumps.pages(work / "answers", lake)
    return {"pager": (counts, problems + recording.held(work / "answers"))}


def flink_answers(work, lake, facts, full):
    recording = Recording(work, full, facts["seed"])
    tool("flink", "build", seconds=540)
    s3 = S3(work / "s3")
    cluster = None
    try:
        lake = recording.copy(s3.data / "lake")
        cluster = Cluster(work / "flink", 1)
        document = str(flink_engine.job_document(work, lake, full, cluster))
        with embedded.before_version(lake, recording.stop + 1):
            job = cluster.submit(document, 1)
            reach(cluster, job, lake, recording.stop)
            savepoint = cluster.savepoint_and_stop(job, "s3://acme-lake/savepoints")
        recording.clean(lake)
        job = cluster.submit(document, 2, savepoint)
        reach(cluster, job, lake, recording.facts["version"])
        cluster.cancel(job)
        counts, problems = dumps.settled(work / "answers", *flink_engine.outbox(lake))
    finally:
        if cluster:
            cluster.stop()
        s3.stop()
    return {"pager": (counts, problems + recording.held(work / "answers"))}


def reach(cluster, job, lake, version):
    def reached():
        state = cluster.state(job)
        check(state not in ("FAILED", "CANCELED"), f"the job is {state}: {cluster.why(job)}")
        return embedded.cursor(lake, recorded.PAGER).get("version", -1) >= version

    wait_until(reached, 480, f"flink at version {version}")
