"""The dashboard's answers on Spark, a few batches over the recorded lake. In full the lake lies in S3 and a second start, with a checkpoint folder of its
own, must find nothing to do."""
import json
import os
import pathlib

import deltalake
import dumps
import oracle
import recorded
from flink_harness import BUCKET, S3, tool  # noqa: E402
from harness import check
from spark_dashboard import upload

BATCHES_FULL, BATCHES = 3, 2


def job_document(work, lake):
    job = {"format": 1, "topology": "conformance", "branch": recorded.DASHBOARD, "kind": "dashboard", "engine": "spark", "lake": lake,
           "bronze": "bronze/logs", "promise_s": 300.0,
           "dashboard": {"gold": f"gold/{recorded.DASHBOARD}", "name": recorded.DASHBOARD, "trigger_s": 60,
                         "max_keys": recorded.MAX_KEYS, "allowed_lateness_us": 10_000_000,
                         "rollups": [{"name": name, "by": by, "measures": measures} for name, (by, measures) in oracle.ROLLUPS.items()]}}
    path = work / "job.json"
    path.write_text(json.dumps(job))
    return path


def drive(work, job, number, files, batches):
    tool("spark", "submit", recorded.ROOT / "engines/spark/dashboard.py", "--job", job, "--once",
         "--checkpoint", work / f"checkpoint{number}", "--max-files", files // batches + 1, seconds=1800)


def gold_version(lake):
    return deltalake.DeltaTable(str(pathlib.Path(lake, "gold", recorded.DASHBOARD))).version()


def answers(work, lake, facts, full):
    tool("spark", "install", seconds=540)
    files = len(list(pathlib.Path(lake, "bronze/logs").rglob("*.parquet")))
    if not full:
        os.environ["SPARK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1"  # it lives for seconds
        drive(work, job_document(work, str(lake)), 1, files, BATCHES)
        check(gold_version(lake) > 1, f"{files} files came in one batch: what goes on from gold was not tried")
        return {"dashboard": dumps.gold(work / "answers", lake)}
    s3 = S3(work / "s3")
    try:
        upload(lake, os.environ)
        served = s3.data
        job = job_document(work, f"s3://{BUCKET}")
        drive(work, job, 1, files, BATCHES_FULL)
        version = gold_version(served)
        drive(work, job, 2, files, BATCHES_FULL)
        check(gold_version(served) == version, "a second start over the same bronze committed again")
        return {"dashboard": dumps.gold(work / "answers", served)}
    finally:
        s3.stop()
