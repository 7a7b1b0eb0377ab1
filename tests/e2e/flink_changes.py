"""What changes around a running Flink job: a second job on its branch, and a column that bronze gets."""
import json

import pyarrow
import pyarrow.parquet

from flink_harness import BRONZE, compare, finish, growing, run_cases, tool
from flink_pages import busy_case
from harness import check, wait_until

VERSIONS, HOSTS = 30, 20


def made(s3, rng, name):
    case = busy_case(rng.randrange(10**9), VERSIONS, HOSTS)
    stream = run_cases([case], s3.data)[0]["streams"][0]
    branch, feeder = growing(s3, case, stream, "%s-%d" % (name, case["seed"]))
    return case, stream, branch, feeder


def versions_written(branch):
    """How many outbox objects with transitions each version has."""
    out = {}
    for path in (branch.lake / "pages" / "p" / "_outbox").glob("[0-9]*.json"):
        if json.loads(path.read_text())["transitions"]:
            version = int(path.name.split("-")[1])
            out[version] = out.get(version, 0) + 1
    return out


def test_rivals(s3, cluster, rng):
    """A second job: without state it is refused; from a savepoint it waits for the lease, and goes on when the first one ends."""
    case, stream, branch, feeder = made(s3, rng, "rivals")
    feeder.until(8)
    first = cluster.submit(branch.document, 1)
    branch.wait_for(8, cluster, first)
    wait_until(lambda: cluster.checkpoints(first) > 0, 60, "a checkpoint")
    fresh = cluster.submit(branch.document, 1)
    wait_until(lambda: cluster.state(fresh) == "FAILED", 60, "the second job is refused")
    check("has a checkpoint" in cluster.why(fresh) and "--new-generation" in cluster.why(fresh), "refused with: " + cluster.why(fresh))
    before = len(cluster.log("jobmanager"))
    second = cluster.submit(branch.document, 1, cluster.savepoint(first, branch.checkpoints + "-savepoints"))
    waits = "waiting: branch p is held by flink:"
    wait_until(lambda: waits in cluster.log("jobmanager")[before:] and cluster.checkpoints(second) >= 2, 60, "the second job waits for the lease")
    feeder.until(20)
    branch.wait_for(20, cluster, first)
    twice = [version for version, objects in versions_written(branch).items() if objects > 1]
    check(not twice, "versions written twice while both jobs ran: %s" % twice)
    cluster.cancel(first)
    feeder.until(feeder.last)
    branch.wait_for(feeder.last, cluster, second)
    cluster.cancel(second)
    problems, settled = compare(case, 0, stream, branch.outbox())
    finish(problems)
    print("rivals: a second job without state was refused, one from a savepoint waited and took over; %d settled transitions as defined" % settled, flush=True)


def widen(whole, first):
    """From version `first` on the table has one more column, and so have its files."""
    log = whole / BRONZE / "_delta_log"
    metadata = next(json.loads(line) for line in (log / ("%020d.json" % 0)).read_text().splitlines() if "metaData" in line)
    schema = json.loads(metadata["metaData"]["schemaString"])
    schema["fields"].insert(0, {"name": "region", "type": "string", "nullable": True, "metadata": {}})
    metadata["metaData"]["schemaString"] = json.dumps(schema)
    files = 0
    for path in sorted(log.glob("*.json"))[first:]:
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        for add in (action["add"] for action in actions if "add" in action):
            file = whole / BRONZE / add["path"]
            rows = pyarrow.parquet.ParquetFile(file).read()
            pyarrow.parquet.write_table(rows.add_column(0, "region", pyarrow.array(["eu"] * rows.num_rows)), file)
            add["size"] = file.stat().st_size
            files += 1
        if int(path.stem) == first:
            actions.append(metadata)
        path.write_text("".join(json.dumps(action) + "\n" for action in actions))
    check(files > 0, "no file got the column")


def test_column(s3, cluster, rng):
    """In mid-run, and a restart behind it: the columns are part of the state."""
    case, stream, branch, feeder = made(s3, rng, "column")
    widen(feeder.whole.parent.parent, 12)
    feeder.until(8)
    job = cluster.submit(branch.document, 2)
    branch.wait_for(8, cluster, job)
    feeder.until(18)
    branch.wait_for(18, cluster, job)
    savepoint = cluster.savepoint_and_stop(job, branch.checkpoints + "-savepoints")
    job = cluster.submit(branch.document, 1, savepoint)
    feeder.until(feeder.last)
    branch.wait_for(feeder.last, cluster, job)
    cluster.cancel(job)
    problems, settled = compare(case, 0, stream, branch.outbox())
    finish(problems)
    print("column: added at version 12 of %d, a restart behind it; %d settled transitions as defined" % (feeder.last + 1, settled), flush=True)
