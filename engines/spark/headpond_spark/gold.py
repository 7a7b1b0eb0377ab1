"""One dashboard's gold table on Spark: where the last batch left off, and the one commit a batch is. docs/formats/gold.md."""
import json
import time
import uuid

from pyspark.sql import functions as F

from . import rollups as R
from .lake import spark_uri

FORMAT = 1


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
    def __init__(self, spark, objects, job):
        section = job["dashboard"]
        self.spark, self.rollups = spark, section["rollups"]
        self.place = f"{spark_uri(job['lake'])}/{section['gold']}"
        create(objects, section["gold"], section["name"], self.rollups)
        self._adopt()
        self.refresh()

    def _adopt(self):
        detail = self.spark.sql(f"DESCRIBE DETAIL delta.`{self.place}`").collect()[0]
        self.id, properties = detail["id"], detail["properties"]
        if "headpond.format" not in properties:
            raise Refused(f"{self.place} is not one of Headpond's; give the branch another name or move the table away")
        if int(properties["headpond.format"]) > FORMAT:
            raise Refused(f"{self.place} has format {properties['headpond.format']}, this job knows {FORMAT}; install a newer version")
        new = []
        for rollup in self.rollups:
            said, key = R.declaration(rollup), f"headpond.rollup.{rollup['name']}"
            if properties.get(key, said) != said:
                raise Refused(f"{self.place} has rollup '{rollup['name']}' as \"{properties[key]}\", the topology says \"{said}\"; "
                              "give the changed rollup a new name")
            if key not in properties:
                new.append((key, said))
        if new:
            written = ", ".join(f"'{key}' = '{said}'" for key, said in new)
            self.spark.sql(f"ALTER TABLE delta.`{self.place}` SET TBLPROPERTIES ({written})")

    def frame(self, kind):
        return self.spark.read.format("delta").load(self.place).where(F.col("kind") == kind)

    def refresh(self):
        """Reads the last batch: its id, vector and bronze version; 0, nothing and -1 of an empty table."""
        last = self.frame("batch").orderBy(F.desc("batch_id")).select("batch_id", "positions_after", "last_version").limit(1).collect()
        self.batch_id, self.positions, self.version = 0, {}, -1
        if last:
            self.batch_id, self.positions, self.version = last[0][0], parse_positions(last[0][1]), last[0][2]

    def admitted(self):
        keys = {rollup["name"]: set() for rollup in self.rollups}
        for row in self.frame("key").select("rollup", "key").collect():
            keys.setdefault(row[0], set()).add(row[1])
        return keys

    def commit(self, frame, batch_id, positions_after, committed_at_us):
        """Publishes `frame`, a batch's rows of all kinds, as one version. Overtaken: another engine's batch of that id is there.

        The transaction is the table's id and the batch's, so that of two writers of one batch the table keeps one."""
        try:
            writer = frame.write.format("delta").mode("append").option("txnAppId", self.id).option("txnVersion", str(batch_id))
            writer.option("mergeSchema", "true").option("userMetadata", json.dumps({"headpond": {"format": FORMAT, "batch_id": batch_id}})).save(self.place)
        except Exception as error:
            if "Concurrent" not in type(error).__name__ and "Concurrent" not in str(error):
                raise
        there = self.frame("batch").where(F.col("batch_id") == batch_id).select("positions_after", F.unix_micros("committed_at")).collect()
        if len(there) != 1 or parse_positions(there[0][0]) != positions_after or there[0][1] != committed_at_us:
            raise Overtaken(f"batch {batch_id} of {self.place} is another engine's")
