"""One micro-batch: the bronze rows beyond gold's last vector become one commit of gold. Exactly once by offsets, whatever Spark replays."""
import time

from pyspark import StorageLevel
from pyspark.sql import functions as F

from . import failpoints
from . import rollups as R
from .gold import Overtaken, positions_json

COMMIT_S = 5.0  # of the lease that must remain when a commit begins


class Hole(Exception):
    """Rows that bronze's log says are there did not arrive, or came twice: stop, nothing of the batch is in gold."""


class MicroBatch:
    """Stateless between calls but for what it reads anew: bronze's log, gold's last batch."""

    def __init__(self, job, log, gold, lease):
        self.section, self.log, self.gold, self.lease = job["dashboard"], log, gold, lease
        self.late = self.rows = 0

    def run(self, frame, _spark_batch_id):
        while True:
            try:
                return self._attempt(frame)
            except Overtaken:
                continue  # from the other's vector; what it has covered is dropped here

    def _attempt(self, frame):
        gold, log = self.gold, self.log
        gold.refresh()
        log.advance()
        log.forget(gold.positions)
        started_us = int(time.time() * 1e6)
        rows = R.beyond(frame, gold.positions)
        found = rows.groupBy("source", "kafka_partition").agg(F.count(F.lit(1)), F.max("kafka_offset")).collect()
        highest = {(row[0], row[1]): row[3] for row in found}
        count = sum(row[2] for row in found)
        if count == 0:
            return
        after, expected = log.covered(gold.positions, highest)
        if expected != count:
            raise Hole(f"beyond gold's vector bronze's log has {expected} rows up to {positions_json(highest)}, Spark was given {count}; "
                       "start the job with a new checkpoint folder")
        batch_id = gold.batch_id + 1
        kept = []
        try:
            row = {"positions_before": positions_json(gold.positions), "positions_after": positions_json(after),
                   "first_version": gold.version + 1, "last_version": max(gold.version, log.reached(after)), "rows": count,
                   "committed_at_us": started_us}
            batch = self._compute(rows, batch_id, row, kept)
            failpoints.reach("gold.before_commit")
            self.lease.check(COMMIT_S)
            gold.commit(batch, batch_id, after, started_us)
            failpoints.reach("gold.after_commit")
        finally:
            for frame_kept in kept:
                frame_kept.unpersist()
        self.rows, self.late = count, self.late + row["late"]
        gold.refresh()

    def _compute(self, rows, batch_id, row, kept):
        def keep(frame):
            kept.append(frame.persist(StorageLevel.MEMORY_AND_DISK))
            return kept[-1]

        rollups, spark = self.section["rollups"], self.gold.spark
        admitted = self.gold.admitted()
        all_rollups, all_histograms, all_keys = [], [], []
        for rollup in rollups:
            name = rollup["name"]
            partials, histograms = R.fine(R.stamped(rows, rollup, self.section["allowed_lateness_us"]), rollup)
            partials = keep(partials)
            if rollup is rollups[0]:
                row["late"] = partials.agg(F.coalesce(F.sum("late"), F.lit(0))).collect()[0][0]
            room = max(0, self.section["max_keys"] - len(admitted[name]))
            new = R.candidates(partials, rollup, admitted[name], room)
            new_rows = new.collect()
            known = admitted[name] | {new_row["key"] for new_row in new_rows}
            labelled = F.lit(name).alias("rollup")
            if new_rows:
                all_keys.append(spark.createDataFrame(new_rows, new.schema).select("*", labelled))
            sums = ["n", "bytes", "errors"] + [f"{what}_{m}" for m in rollup["measures"] for what in ("sum", "count")]
            all_rollups.append(R.folded(partials, rollup, known, sums).select("*", labelled))
            for measure, histogram in zip(rollup["measures"], histograms):
                all_histograms.append(R.folded(histogram, {"by": []}, known, ["n"]).select("*", labelled, F.lit(measure).alias("measure")))
            failpoints.reach("gold.in_batch")

        def gathered(kind, frames):
            gold_like = [R.as_gold(frame, kind, batch_id, rollups) for frame in frames]
            for other in gold_like[1:]:
                gold_like[0] = gold_like[0].union(other)
            return gold_like[0] if gold_like else R.as_gold(spark.createDataFrame([], R.gold_schema(rollups)), kind, batch_id, rollups)

        rollup_rows, histogram_rows = keep(gathered("rollup", all_rollups)), keep(gathered("histogram", all_histograms))
        span = rollup_rows.agg(F.min("minute"), F.max("minute")).collect()[0]
        reach = F.make_dt_interval(mins=F.lit(R.ROLLING_MINUTES - 1))
        near = (F.col("minute") >= F.lit(span[0]) - reach) & (F.col("minute") <= F.lit(span[1]) + reach)
        rolling = R.rolling(rollup_rows, histogram_rows, self.gold.frame("rollup").where(near), self.gold.frame("histogram").where(near), rollups)
        facts = spark.createDataFrame([(row["positions_before"], row["positions_after"], row["first_version"], row["last_version"], row["rows"],
                                        row["late"], row["committed_at_us"])],
                                      "positions_before string, positions_after string, first_version long, last_version long, rows long, late long, at long")
        facts = facts.select("*", F.timestamp_micros("at").alias("committed_at")).drop("at")
        out = rollup_rows.union(histogram_rows)
        for kind, frame in (("rolling_5m", rolling), ("key", None), ("batch", facts)):
            out = out.union(gathered("key", all_keys) if kind == "key" else R.as_gold(frame, kind, batch_id, rollups))
        return out.coalesce(1)
