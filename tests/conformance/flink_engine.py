"""The pager's answers on a real Flink cluster: the recorded lake as s3:// bytes, the job document as `headpond deploy` writes it."""
import json
import pathlib
import sys

import dumps
import recorded
from embedded import cursor
from flink_harness import BUCKET, S3, Cluster, tool  # noqa: E402
from harness import check, headpond, wait_until  # noqa: E402


def job_document(work, lake, full, cluster):
    """`headpond deploy` on the directory; a double stands for the submission, so that the job can be given the same lake on S3 from its first version."""
    submit = work / "double" / "bin" / "flink"
    submit.parent.mkdir(parents=True)
    submit.write_text("#!/bin/sh\necho Job has been submitted with JobID 0123456789abcdef0123456789abcdef\n")
    submit.chmod(0o755)
    topology = recorded.write_topology(work, lake, full, pager="flink")
    done = headpond("deploy", "-f", topology, "--branch", recorded.PAGER, "--out", work / "deploy",
                    env={"FLINK_HOME": str(submit.parent.parent), "FLINK_REST": cluster.address, "HEADPOND_FLINK_JAR": str(recorded.ROOT / "build/flink/headpond-pager.jar")})
    check(done.returncode == 0, f"deploy: {(done.stdout + done.stderr).strip()}")
    path = work / "deploy" / recorded.PAGER / "job.json"
    job = json.loads(path.read_text())
    job["lake"] = f"s3://{BUCKET}/lake"
    job["pager"] |= {"start_version": -1, "checkpoints": f"s3://{BUCKET}/checkpoints"}
    for counter in (c for fold in job["pager"]["program"]["folds"] for c in fold["counters"]):
        counter.pop("valid_from_us", None)  # with the whole of bronze to read, no window is blind
    path.write_text(json.dumps(job))
    return path


def outbox(lake):
    """The rules' transitions in the branch's outbox, and how many of them are to be sent."""
    transitions = []
    for path in sorted((pathlib.Path(lake) / "pages" / recorded.PAGER / "_outbox").glob("*.json")):
        transitions += [t for t in json.loads(path.read_text())["transitions"] if not t["rule"].startswith("headpond/")]
    return transitions, sum(bool(t["send"]) for t in transitions)


def answers(work, lake, facts, full):
    tool("flink", "build", seconds=540)
    s3 = S3(work / "s3")
    cluster = None
    try:
        served = s3.data / "lake"
        pathlib.Path(lake).rename(served)
        cluster = Cluster(work / "flink", 1)
        job = cluster.submit(str(job_document(work, served, full, cluster)), 2)

        def reached():
            state = cluster.state(job)
            check(state not in ("FAILED", "CANCELED"), f"the job is {state}: {cluster.why(job)}")
            return cursor(served, recorded.PAGER).get("version", -1) >= facts["version"]

        try:
            wait_until(reached, 480 if full else 240, f"flink at version {facts['version']}")
        except Exception:
            print(f"flink: at {cursor(served, recorded.PAGER)}; {cluster.why(job)}", file=sys.stderr)
            raise
        cluster.cancel(job)
        return {"pager": dumps.settled(work / "answers", *outbox(served))}
    finally:
        if cluster:
            cluster.stop()
        s3.stop()
