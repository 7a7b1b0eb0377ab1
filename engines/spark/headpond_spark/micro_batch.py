"""One micro-batch: the bronze rows beyond gold's last vector become one commit of gold. Exactly once by offsets, whatever Spark replays."""
import time

from pyspark import StorageLevel
from pyspark.sql import types as T

from . import failpoints
from . import rollups as R
from .gold import Overtaken, positions_json

COMMIT_S = 5.0  # of the lease that must remain when a commit begins


class Hole(Exception):
    """Rows that bronze's log says are there did not arrive, or came twice: stop, nothing of the batch is in gold."""


def newer(a, b):
    """Of two vectors the later offset of each partition."""
    return a | {where: max(offset, a.get(where, -1)) for where, offset in b.items()}


class MicroBatch:
    """Stateless between calls but for what it reads anew: bronze's log, gold's last batch."""

    def __init__(self, job, log, gold, lease):
        self.section, self.log, self.gold, self.lease = job["dashboard"], log, gold, lease
        self.late = self.rows = 0

    def run(self, frame, _spark_batch_id):
        self._commit(frame, self._covered, self.log.reached)

    def run_over_gap(self, frame, rows_by_log, positions):
        """The next rows of a part of the log that was cleaned: `frame` is files of it, which have `rows_by_log` rows and cover up to `positions`; None: files
        are still to come, and these cover what they hold. The version of gold then stays in front of the gap."""
        rows = frame.count()
        if rows != rows_by_log:
            raise Hole(f"the files of the cleaned part of bronze's log have {rows_by_log} rows by its checkpoint, Spark read {rows}; run `headpond audit --deep`")
        if positions is None:
            self._commit(frame, lambda _, highest: newer(self.gold.positions, highest), lambda _: self.gold.version)
        else:
            self._commit(frame, lambda *_: newer(self.gold.positions, positions), self.log.reached)

    def _commit(self, frame, covered, reached):
        while True:
            try:
                return self._attempt(frame, covered, reached)
            except Overtaken:
                continue  # from the other's vector; what it has covered is dropped here

    def _covered(self, count, highest):
        """The vector a batch of `count` rows ends at, which reach up to `highest`."""
        after, expected = self.log.covered(self.gold.positions, highest)
        if expected != count:
            raise Hole(f"beyond gold's vector bronze's log has {expected} rows up to {positions_json(highest)}, Spark was given {count}; "
                       "start the job with a new checkpoint folder")
        return after

    def _attempt(self, frame, covered, reached):
        gold, log = self.gold, self.log
        gold.refresh()
        log.advance()
        log.forget(gold.positions)
        started_us = int(time.time() * 1e6)
        rows = R.beyond(frame, gold.positions)
        found = R.counted(rows, self.section["allowed_lateness_us"]).collect()
        count = sum(row["n"] for row in found)
        if count == 0:
            return
        after = covered(count, {(row["source"], row["kafka_partition"]): row["highest"] for row in found})
        late = sum(row["late"] for row in found)
        facts = (positions_json(gold.positions), positions_json(after), gold.version + 1, max(gold.version, reached(after)), count, late, started_us)
        span = min(row["first_us"] for row in found), max(row["last_us"] for row in found)
        partials = R.fine(rows, self.section["rollups"]).persist(StorageLevel.MEMORY_AND_DISK)
        try:
            new_keys = self._admit(partials)
            failpoints.reach("gold.in_batch")
            batch = self._gold_rows(partials, new_keys, facts, span)
            failpoints.reach("gold.before_commit")
            self.lease.check(COMMIT_S)
            gold.commit(batch, after, facts[3], new_keys)
            failpoints.reach("gold.after_commit")
        finally:
            partials.unpersist()
        self.rows, self.late = count, self.late + late

    def _admit(self, partials):
        """Rows of the keys that this batch admits; none once every rollup is full."""
        rollups, max_keys, admitted = self.section["rollups"], self.section["max_keys"], self.gold.admitted
        if all(len(admitted[rollup["name"]]) >= max_keys for rollup in rollups):
            return []
        return R.candidates(partials, rollups, admitted, max_keys).collect()

    def _gold_rows(self, partials, new_keys, facts, span):
        """All rows of the batch, of every kind."""
        rollups, gold = self.section["rollups"], self.gold
        known = {name: set(keys) for name, keys in gold.admitted.items()}
        for row in new_keys:
            known[row["rollup"]].add(row["key"])
        own = R.folded(partials, rollups, known)
        before = R.near(gold.frame(), *span) if gold.batch_id else None
        schema = R.gold_schema(rollups)
        key_schema = T.StructType([schema[name] for name in ("rollup", "key", "n", *R.dimensions(rollups))])
        batch_schema = T.StructType([schema[name] for name in ("positions_before", "positions_after", "first_version", "last_version", "rows", "late")])
        frames = {
            "rollup": R.rollup_rows(own, rollups),
            "histogram": R.histogram_rows(own),
            "rolling_5m": R.rolling(own, before, rollups),
            "key": R.local_frame(gold.spark, [[row[name] for name in key_schema.fieldNames()] for row in new_keys], key_schema),
            "batch": R.at(R.local_frame(gold.spark, [facts[:-1]], batch_schema), "committed_at", facts[-1]),
        }
        out = None
        for kind, frame in frames.items():
            if kind != "key" or new_keys:
                rows = R.as_gold(frame, kind, gold.batch_id + 1, rollups)
                out = rows if out is None else out.union(rows)
        return out.coalesce(1)
