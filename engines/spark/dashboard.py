#!/usr/bin/env python3
"""The dashboard branch on Spark: Structured Streaming over bronze, one micro-batch a minute, into the gold table that `headpond serve` shows.

    spark-submit … dashboard.py --job build/deploy/<branch>/job.json [--once] [--checkpoint PLACE] [--max-files N] [--wait-for-lease SECONDS]

--once takes what is there and ends. --checkpoint is Spark's own folder (default: the job's): it may be lost or new, gold alone says where to go on.
Ends with 1 and one line when it may not or cannot go on. docs/guides/scale-out.md.
"""
import argparse
import json
import os
import pathlib
import socket
import sys
import time

import py4j.protocol
from headpond_spark import cursor, failpoints, log_checkpoint, session
from headpond_spark.bronze_log import BronzeLog, NewerFormat
from headpond_spark.gold import Gold, Refused
from headpond_spark.lake import open_objects, spark_uri
from headpond_spark.lease import Fenced, Lease
from headpond_spark.micro_batch import Hole, MicroBatch

PUBLISH_S = 10.0
GAP_FILES = 1024  # of a cleaned part of the log, in one batch
MINUTE_US = 60_000_000


def read_job(path):
    job = json.loads(pathlib.Path(path).read_text())
    if job["format"] > 1:
        raise Refused(f"{path} has format {job['format']}, this job reads 1; install the Headpond engines that belong to it")
    if job["kind"] != "dashboard":
        raise Refused(f"{path} is of branch '{job['branch']}', a {job['kind']}; this is the dashboard's job")
    return job


def complete_until(log, gold, lateness_us):
    """End of the last complete minute: every clock of the version that gold has reached has passed its end and lateness."""
    clock = log.clock_at(log.reached(gold.positions))
    if clock is None:
        return None
    return (clock - lateness_us) // MINUTE_US * MINUTE_US


class Progress:
    """Publishes the branch's cursor, at most every 10 s."""

    def __init__(self, job, objects, log, gold, work):
        self.job, self.objects, self.log, self.gold, self.work = job, objects, log, gold, work
        self.until, self.published = None, 0.0

    def publish(self, state, message="", now=False):
        if not now and time.monotonic() - self.published < PUBLISH_S:
            return
        self.log.advance()
        until = complete_until(self.log, self.gold, self.job["dashboard"]["allowed_lateness_us"])
        self.until = max(filter(None, (self.until, until)), default=None)
        figures = {"batch_id": self.gold.batch_id, "batch_rows": self.work.rows, "late_rows": self.work.late, "stalled_partitions": len(self.log.stalled)}
        cursor.publish(self.objects, self.job["bronze"], self.job, state, self.log.reached(self.gold.positions), self.until, message, figures)
        self.published = time.monotonic()


def cross_gap(spark, job, gap, gold, work, files_max):
    """What lies between gold and the checkpoint `gap`, whose entries of bronze's log are gone, becomes batches of up to `files_max` files."""
    files = log_checkpoint.files_over_gap(spark, job["lake"], job["bronze"], gap, gold.version)
    print(f"dashboard: bronze's log was cleaned behind version {gold.version}; going on from its checkpoint of version {gap['version']}, {len(files)} files", flush=True)
    taken = 0
    for piece in log_checkpoint.pieces(files, files_max):
        frame, rows = log_checkpoint.rows_of(spark, job["lake"], job["bronze"], piece)
        taken += len(piece)
        work.run_over_gap(frame, rows, log_checkpoint.positions_of(gap) if taken == len(files) else None)
        failpoints.reach("gold.in_gap")


def forget_stream(spark, place):
    """Spark's own folder of offsets. It may name versions that are gone; gold alone says where to go on."""
    path = spark._jvm.org.apache.hadoop.fs.Path(place)
    path.getFileSystem(spark._jsc.hadoopConfiguration()).delete(path, True)


def start(spark, job, options, log, gold, work):
    place = spark_uri(options.checkpoint or job["dashboard"].get("checkpoints") or f"{job['lake']}/{job['dashboard']['gold']}/_checkpoints")
    if log.begun > 0:
        forget_stream(spark, place)
    # Delta takes no version that is not there yet. Rows of one that gold has are dropped.
    starting = min(max(gold.version + 1, log.begun), log.version)
    reader = spark.readStream.format("delta").option("ignoreDeletes", "true").option("startingVersion", str(starting))
    if options.max_files:
        reader = reader.option("maxFilesPerTrigger", str(options.max_files))
    rows = reader.load(f"{spark_uri(job['lake'])}/{job['bronze']}")
    writer = rows.writeStream.foreachBatch(work.run).option("checkpointLocation", place)
    trigger = {"availableNow": True} if options.once else {"processingTime": f"{job['dashboard']['trigger_s']} seconds"}
    return writer.trigger(**trigger).start()


def told_to_stop(spark):
    """SIGTERM goes to the JVM, which ends its context and takes the query with it."""
    try:
        return spark.sparkContext._jsc.sc().isStopped()
    except Exception:
        return True


def follow(spark, query, progress):
    progress.publish("running", now=True)
    try:
        while query.isActive:
            query.awaitTermination(1)
            progress.publish("running")
        if query.exception():
            raise query.exception()
    except Exception:
        if not told_to_stop(spark):
            raise
    progress.publish("stopped", now=True)


def run(options):
    job = read_job(options.job)
    spark = session.open_session(f"{job['topology']}/{job['branch']}")
    spark.sparkContext.setLogLevel("ERROR")
    objects = open_objects(spark, job["lake"])
    log = BronzeLog(objects, job["bronze"])
    log.begin()
    log.advance()
    if log.version < 0:
        raise Refused(f"no bronze table at {job['lake']}/{job['bronze']} yet: start `headpond ingest`")
    lease = Lease(objects, f"{job['dashboard']['gold']}/_leases/engine", f"spark:{socket.gethostname()}:{os.getpid()}")
    lease.acquire(options.wait_for_lease, lambda text: print(f"dashboard: {text}", flush=True))
    try:
        gold = Gold(spark, objects, job)
        if gold.version >= log.version:
            print(f"dashboard: gold has version {gold.version} of bronze already", flush=True)
            if options.once:
                return
        work = MicroBatch(job, log, gold, lease)
        gap = log.begin(gold.version)
        if gap:
            cross_gap(spark, job, gap, gold, work, options.max_files or GAP_FILES)
        log.advance()
        follow(spark, start(spark, job, options, log, gold, work), Progress(job, objects, log, gold, work))
        print(f"dashboard: batch {gold.batch_id}, bronze up to version {log.reached(gold.positions)}", flush=True)
    finally:
        lease.release()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", required=True)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--checkpoint")
    parser.add_argument("--max-files", type=int, default=0)
    parser.add_argument("--wait-for-lease", type=float, default=60.0)
    try:
        run(parser.parse_args())
    except (Fenced, Refused, Hole, NewerFormat, log_checkpoint.Damaged, session.Untested, OSError) as error:
        sys.exit(f"dashboard: {error}")
    except py4j.protocol.Py4JNetworkError:
        sys.exit("dashboard: the driver's JVM is gone")
    except Exception as error:  # what foreachBatch raised comes back as text inside Spark's own
        for kind in (Hole, Fenced):
            if f"{kind.__module__}.{kind.__name__}: " in str(error):
                sys.exit("dashboard: " + str(error).split(f"{kind.__name__}: ", 1)[1].splitlines()[0])
        raise


if __name__ == "__main__":
    main()
