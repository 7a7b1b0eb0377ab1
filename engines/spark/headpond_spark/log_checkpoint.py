"""Where a reader of bronze's log begins, and how it crosses a part that was cleaned. docs/formats/bronze.md, "A log that does not grow for ever"."""
import json
import re
from urllib.parse import unquote

from pyspark.sql import functions as F

from .lake import Missing, spark_uri

ENTRY = re.compile(r"(\d{20})\.json")


class Damaged(Exception):
    """The log lacks an entry that no checkpoint leads over."""


def versions(objects, folder):
    """Of the entries of the log, or of the checkpoints of its facts, rising."""
    return [int(match[1]) for match in map(ENTRY.fullmatch, objects.list(folder)) if match]


def facts_of(objects, root, version):
    return json.loads(objects.get(f"{root}/_headpond/checkpoints/{version:020d}.json"))


def newest(objects, root, limit=None):
    """The facts of the newest checkpoint that is not beyond `limit`; None: there is none."""
    for version in reversed(versions(objects, f"{root}/_headpond/checkpoints")):
        if limit is None or version <= limit:
            try:
                return facts_of(objects, root, version)
            except Missing:  # superseded this very moment
                continue
    return None


def over_gap(objects, root, after):
    """The facts of the oldest checkpoint beyond `after` behind which the log is whole. Damaged: there is none."""
    oldest = versions(objects, f"{root}/_delta_log")[0]
    for version in versions(objects, f"{root}/_headpond/checkpoints"):
        if version > after and version + 1 >= oldest:
            return facts_of(objects, root, version)
    raise Damaged(f"bronze's log begins with version {oldest}, and no checkpoint leads over what is missing behind version {after}; run `headpond audit`")


def positions_of(facts):
    """{(source, partition): last covered offset}, of those that have any."""
    return {(source, p["partition"]): p["position"] for source, partitions in facts["table"]["partitions"].items() for p in partitions if p["position"] >= 0}


def files_over_gap(spark, lake, root, facts, after):
    """The files that hold versions beyond `after`, as of the checkpoint, by version: [{path, rows, first, last}]."""
    added = spark.read.parquet(f"{spark_uri(lake)}/{root}/_delta_log/{facts['version']:020d}.checkpoint.parquet").where("add IS NOT NULL")
    versions = F.split(F.element_at("add.tags", "headpond.versions"), "-")
    columns = ["add.path", F.get_json_object("add.stats", "$.numRecords").cast("long").alias("rows"), versions[0].cast("long").alias("first"), versions[1].cast("long").alias("last")]
    files = added.select(*columns).collect()
    for file in files:
        if file["last"] is None or file["rows"] is None:
            raise Damaged(f"file {file['path']} in bronze's checkpoint of version {facts['version']} has no tag headpond.versions or no statistics; restore the checkpoint from a copy")
    return sorted((file for file in files if file["last"] > after), key=lambda file: (file["first"], file["path"]))


def pieces(files, files_max):
    """`files` in lists of up to `files_max`. Those whose versions overlap stay together, so that in no partition does a row to come lie below one that was."""
    piece, reached = [], -1
    for file in files:
        if len(piece) >= files_max and file["first"] > reached:
            yield piece
            piece = []
        piece.append(file)
        reached = max(reached, file["last"])
    yield piece


def rows_of(spark, lake, root, files):
    """The rows of these files; and how many they are by the log."""
    table = f"{spark_uri(lake)}/{root}"
    schema = spark.read.format("delta").load(table).schema
    if not files:
        return spark.createDataFrame([], schema), 0
    paths = [f"{table}/{unquote(file['path'])}" for file in files]
    return spark.read.schema(schema).option("basePath", table).parquet(*paths), sum(file["rows"] for file in files)
