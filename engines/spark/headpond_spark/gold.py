"""One dashboard's gold table on Spark: where the last batch left off, and the one commit a batch is. docs/formats/gold.md."""
import json
import re
import time
import uuid

from pyspark.sql import functions as F

from . import rollups as R
from .lake import spark_uri

FORMAT = 1
LOG_ENTRY = re.compile(r"\d{20}\.json")


class Refused(Exception):
    """The table is not one this job may write."""


class Overtaken(Exception):
    """Another engine has committed a batch; compute again from its vector."""


def positions_json(positions):
    text = {}
    for (source, partition), offset in sorted(positions.items()):
        text.setdefault(source, {})[str(partition)] = offset
    return json.dumps(text, separators=(",", ":"))


def parse_positions(text):
    return {(source, int(partition)): offset for source, partitions in json.loads(text).items() for partition, offset in partitions.items()}


def create(objects, root, name, rollups):
    """Version 0, as the embedded engine writes it, unless the table is there. Whoever is first makes it."""
    now_ms = int(time.time() * 1000)
    configuration = {"headpond.format": str(FORMAT)} | {f"headpond.rollup.{r['name']}": R.declaration(r) for r in rollups}
    metadata = {"id": str(uuid.uuid4()), "name": name, "format": {"provider": "parquet", "options": {}},
                "schemaString": R.gold_schema(rollups).json(), "partitionColumns": ["kind"], "configuration": configuration, "createdTime": now_ms}
    info = {"timestamp": now_ms, "operation": "CREATE TABLE", "operationParameters": {}, "isBlindAppend": False, "engineInfo": "headpond-spark/0.1.0"}
    actions = [{"commitInfo": info}, {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}]
    if not objects.list(f"{root}/_delta_log"):
        objects.put_if_absent(f"{root}/_delta_log/{0:020d}.json", "".join(json.dumps(action) + "\n" for action in actions))


class Gold:
    """`batch_id`, `positions`, `version` (of bronze) and `admitted` keys are those of the table's last batch, as of the last refresh() or commit()."""

    def __init__(self, spark, objects, job):
        section = job["dashboard"]
        self.spark, self.objects, self.root, self.rollups = spark, objects, section["gold"], section["rollups"]
        self.place = f"{spark_uri(job['lake'])}/{section['gold']}"
        create(objects, self.root, section["name"], self.rollups)
        self.batch_id, self.positions, self.version = 0, {}, -1
        self.admitted = {rollup["name"]: set() for rollup in self.rollups}
        self.seen = self._adopt()
        if self.seen > 0:
            self._read()

    def _adopt(self):
        """The table's newest version, when it is one that this job may write."""
        snapshot = self.spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.place).unsafeVolatileSnapshot()
        self.id, configuration = snapshot.metadata().id(), snapshot.metadata().configuration()

        def said_of(key):
            found = configuration.get(key)
            return found.get() if found.isDefined() else None

        if said_of("headpond.format") is None:
            raise Refused(f"{self.place} is not one of Headpond's; give the branch another name or move the table away")
        if int(said_of("headpond.format")) > FORMAT:
            raise Refused(f"{self.place} has format {said_of('headpond.format')}, this job knows {FORMAT}; install a newer version")
        declared = {rollup["name"]: (f"headpond.rollup.{rollup['name']}", R.declaration(rollup)) for rollup in self.rollups}
        for name, (key, declaration) in declared.items():
            if said_of(key) not in (None, declaration):
                raise Refused(f"{self.place} has rollup '{name}' as \"{said_of(key)}\", the topology says \"{declaration}\"; "
                              "give the changed rollup a new name")
        new = ", ".join(f"'{key}' = '{declaration}'" for key, declaration in declared.values() if said_of(key) is None)
        if new:
            self.spark.sql(f"ALTER TABLE delta.`{self.place}` SET TBLPROPERTIES ({new})")
        return snapshot.version()

    def frame(self):
        return self.spark.read.format("delta").load(self.place)

    def refresh(self):
        """Reads the table anew if anything was committed to it since."""
        if self._since():
            self._read()

    def _since(self):
        """Log entries behind the last one seen, of whichever engine: [(version, text)]."""
        names = self.objects.list(f"{self.root}/_delta_log", after=f"{self.seen:020d}.json")
        versions = [int(name.split(".")[0]) for name in names if LOG_ENTRY.fullmatch(name)]
        return [(version, self.objects.get(f"{self.root}/_delta_log/{version:020d}.json")) for version in versions if version > self.seen]

    def _read(self):
        entries = self._since()
        self.seen = entries[-1][0] if entries else self.seen
        last = F.max(F.when(F.col("kind") == "batch", F.struct("batch_id", "positions_after", "last_version"))).alias("last")
        keys = F.collect_set(F.when(F.col("kind") == "key", F.struct("rollup", "key"))).alias("keys")
        found = self.frame().where(F.col("kind").isin("batch", "key")).agg(last, keys).collect()[0]
        self.batch_id, self.positions, self.version = 0, {}, -1
        if found["last"]:
            self.batch_id, self.positions, self.version = found["last"][0], parse_positions(found["last"][1]), found["last"][2]
        self.admitted = {rollup["name"]: set() for rollup in self.rollups}
        self._admit(found["keys"])

    def _admit(self, keys):
        for row in keys:
            self.admitted.setdefault(row["rollup"], set()).add(row["key"])

    def commit(self, frame, positions_after, bronze_version, new_keys):
        """Publishes `frame`, the rows of batch `batch_id` + 1, as one version. Overtaken: another engine's batch of that id is there.

        The transaction is the table's id and the batch's, so that of two writers of one batch the table keeps one. What the log then says is what
        counts: an entry that carries this attempt's own mark."""
        batch_id, mark = self.batch_id + 1, uuid.uuid4().hex
        facts = json.dumps({"headpond": {"format": FORMAT, "batch_id": batch_id, "txn_id": mark}})
        try:
            writer = frame.write.format("delta").mode("append").option("txnAppId", self.id).option("txnVersion", str(batch_id))
            writer.option("mergeSchema", "true").option("userMetadata", facts).save(self.place)
        except Exception as error:
            if "Concurrent" not in type(error).__name__ and "Concurrent" not in str(error):
                raise
        entries = self._since()
        if [mark in text for _, text in entries] != [True]:
            self._read()
            if self.batch_id == batch_id and self.positions == positions_after and any(mark in text for _, text in entries):
                return
            raise Overtaken(f"batch {batch_id} of {self.place} is another engine's")
        self.seen, self.batch_id, self.positions, self.version = entries[0][0], batch_id, positions_after, bronze_version
        self._admit(new_keys)
