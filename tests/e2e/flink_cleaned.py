"""The Flink job over a log that `headpond maintain` cleaned beyond its savepoint, with files merged across it: it goes on by the checkpoint of the log, of the
files' rows counts what its positions do not have. Then the settled transitions are those of a run that was never stopped. And a job that begins on such a log, in one step where the other takes many;
and one of whose files one is gone, which ends."""
import json
import pathlib
import shutil
import urllib.parse

import pyarrow
import pyarrow.parquet

from flink_harness import BRONZE, Branch, finish, growing, oracle, run_cases
from flink_pages import TOPOLOGY, RULES, busy_case
from harness import check, headpond, wait_until

VERSIONS, HOSTS = 46, 20
STOPPED, MERGED, REWRITTEN, CLEANED = 14, range(9, 19), 24, 32


def merge_files(whole):
    """As a compaction does: the files of MERGED are one, from version REWRITTEN on, where they are removed."""
    log = whole / BRONZE / "_delta_log"
    commit = log / ("%020d.json" % REWRITTEN)
    adds = [json.loads(line)["add"] for version in MERGED for line in (log / ("%020d.json" % version)).read_text().splitlines() if '"add"' in line]
    check(len(adds) > 1, "no files to merge")
    path = pathlib.PurePath(adds[0]["path"]).parent / "merged.parquet"
    local = whole / BRONZE / urllib.parse.unquote(str(path))
    tables = [pyarrow.parquet.ParquetFile(whole / BRONZE / urllib.parse.unquote(add["path"])).read() for add in adds]
    pyarrow.parquet.write_table(pyarrow.concat_tables(tables), local)
    stats = [json.loads(add["stats"]) for add in adds]
    merged = {"numRecords": sum(s["numRecords"] for s in stats), "nullCount": stats[0].get("nullCount", {}),
              "minValues": {name: min(s["minValues"][name] for s in stats) for name in stats[0]["minValues"]},
              "maxValues": {name: max(s["maxValues"][name] for s in stats) for name in stats[0]["maxValues"]}}
    actions = [{"add": dict(adds[0], path=str(path), size=local.stat().st_size, dataChange=False, stats=json.dumps(merged),
                            tags={"headpond.versions": "%d-%d" % (MERGED[0], MERGED[-1])})}]
    actions += [{"remove": {"path": add["path"], "deletionTimestamp": adds[0]["modificationTime"], "dataChange": False, "partitionValues": add["partitionValues"], "size": add["size"]}}
                for add in adds]
    commit.write_text(commit.read_text() + "".join(json.dumps(action) + "\n" for action in actions))
    return str(path), len(adds)


def feed(feeder, upto, merged):
    feeder.until(upto)
    if feeder.at > REWRITTEN:
        to = feeder.target / urllib.parse.unquote(merged)
        check(to.exists(), "the merged file was not copied with its version")


def clean(branch, directory):
    """Entries before CLEANED go; nothing holds them: the branch's cursor is gone, too."""
    branch.forget_cursor()
    text = TOPOLOGY % {"lake": branch.url, "bronze": BRONZE, "hook": "http://127.0.0.1:1/hook"}
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "topology.yaml").write_text(text.replace("bronze: {location: %s/%s}" % (branch.url, BRONZE), "bronze: {location: %s/%s, log_retention: 0s}" % (branch.url, BRONZE)))
    (directory / "rules.yaml").write_text(RULES)
    done = headpond("maintain", "-f", directory / "topology.yaml", "--checkpoint")
    check(done.returncode == 0, "maintain: %s%s" % (done.stdout, done.stderr))
    entries = sorted(int(path.stem) for path in (branch.lake / BRONZE / "_delta_log").glob("*.json"))
    check(entries[0] == CLEANED, "the log begins with %d, not %d: %s%s" % (entries[0], CLEANED, done.stdout, done.stderr))


def check_settled(case, stream, transitions, where):
    """Identities and settled fields as defined and as the embedded engine has them. Announcements go with the versions, and over a gap there is but one."""
    problems = []
    got, _ = oracle.by_identity(transitions, problems, where)
    wanted, _ = oracle.by_identity(oracle.evaluate(case, case["streams"][0]), problems, "definition")
    embedded, _ = oracle.by_identity(stream["transitions"], problems, "embedded")
    oracle.compare(where + " against the definition", got, wanted, problems)
    oracle.compare(where + " against embedded", got, embedded, problems)
    finish(problems)
    return len(wanted)


def lose_a_file(s3, cluster, fresh, merged, program):
    """A live file is not there: the job asks a while, then ends with the file's name and says so in the cursor."""
    shutil.copytree(fresh.lake / BRONZE, s3.data / (fresh.name + "-lost") / "lake" / BRONZE)
    branch = Branch(s3, fresh.name + "-lost", program)
    path = urllib.parse.unquote(merged)
    (branch.lake / BRONZE / path).unlink()
    job = cluster.submit(branch.document, 2)
    wait_until(lambda: cluster.state(job) in ("FAILED", "CANCELED"), 150, "the job without its file ends")
    check(cluster.restarts(job) == 0, "it was restarted %d times" % cluster.restarts(job))
    said = "%s/%s is gone" % (BRONZE, path)
    check(said in cluster.why(job), "'%s' is not in: %s" % (said, cluster.why(job)))
    cursor = branch.cursor()
    check(cursor.get("state") == "failed" and said in cursor.get("message", ""), "the cursor says: %s" % cursor)


def test_cleaned(s3, cluster, rng):
    case = busy_case(rng.randrange(10**9), VERSIONS, HOSTS)
    stream = run_cases([case], s3.data)[0]["streams"][0]
    branch, feeder = growing(s3, case, stream, "cleaned-%d" % case["seed"])
    merged, files = merge_files(feeder.whole.parent.parent)
    feed(feeder, STOPPED, merged)
    job = cluster.submit(branch.document, 1)
    branch.wait_for(STOPPED, cluster, job)
    savepoint = cluster.savepoint_and_stop(job, branch.checkpoints + "-savepoints")
    feed(feeder, CLEANED, merged)
    clean(branch, pathlib.Path(cluster.directory).parent / ("cleaned-%d" % case["seed"]))
    fresh_name = "fresh-%d" % case["seed"]
    shutil.copytree(branch.lake / BRONZE, s3.data / fresh_name / "lake" / BRONZE)
    fresh = Branch(s3, fresh_name, stream["program"])
    jobs = [cluster.submit(branch.document, 2, savepoint, ["--gap-files", 3]), cluster.submit(fresh.document, 1)]
    fresh.wait_for(CLEANED, cluster, jobs[1])
    cluster.cancel(jobs[1])
    lose_a_file(s3, cluster, fresh, merged, stream["program"])
    branch.wait_for(CLEANED, cluster, jobs[0])
    savepoint = cluster.savepoint_and_stop(jobs[0], branch.checkpoints + "-savepoints")
    job = cluster.submit(branch.document, 1, savepoint)
    feed(feeder, feeder.last, merged)
    branch.wait_for(feeder.last, cluster, job)
    cluster.cancel(job)
    made = check_settled(case, stream, branch.outbox(), "resumed")
    begun = check_settled(dict(case, streams=[case["streams"][0][:CLEANED]]), dict(stream, transitions=upto(stream)), fresh.outbox(), "begun")
    print("cleaned: stopped at version %d, log cleaned up to %d, %d files merged across it: %d settled transitions as in a run that was never stopped; %d of a job that "
          "begins there" % (STOPPED, CLEANED, files, made, begun), flush=True)


def upto(stream):
    return [t for t in stream["transitions"] if t["version"] < CLEANED]
