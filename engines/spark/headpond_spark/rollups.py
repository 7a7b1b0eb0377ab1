"""Bronze rows → the partials of one micro-batch: functions from DataFrames to DataFrames, no I/O. Definitions: docs/formats/gold.md."""
from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

OTHER = "other"
ZERO_BUCKET = -32768
BUCKETS_PER_OCTAVE = 8
ROLLING_MINUTES = 5
SEVERITIES = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]


def dimensions(rollups):
    return list(dict.fromkeys(name for rollup in rollups for name in rollup["by"]))


def measures(rollups):
    return list(dict.fromkeys(name for rollup in rollups for name in rollup["measures"]))


def declaration(rollup):
    return " ".join(["by", *rollup["by"]]) + "; " + " ".join(["measures", *rollup["measures"]])


def gold_schema(rollups):
    """Columns of the gold table, `kind` last."""
    string, long, double, time = T.StringType(), T.LongType(), T.DoubleType(), T.TimestampType()
    fields = [("batch_id", long), ("rollup", string), ("minute", time), ("window_end", time), ("key", string)]
    fields += [(name, string) for name in dimensions(rollups)]
    fields += [("n", long), ("bytes", long), ("errors", long)]
    for name in measures(rollups):
        fields += [(f"sum_{name}", double), (f"count_{name}", long)]
    fields += [("measure", string), ("bucket", T.IntegerType()), ("p50", double), ("p95", double), ("p99", double)]
    fields += [("positions_before", string), ("positions_after", string)]
    fields += [(name, long) for name in ("first_version", "last_version", "rows", "late")]
    fields += [("committed_at", time), ("kind", string)]
    return T.StructType([T.StructField(name, kind) for name, kind in fields])


def beyond(rows, positions):
    """Rows beyond a position vector {(source, partition): offset}."""
    if not positions:
        return rows
    done = F.map_from_entries(F.array(*[F.struct(F.lit(f"{source}\0{partition}"), F.lit(offset)) for (source, partition), offset in positions.items()]))
    where = F.concat_ws("\0", F.col("source"), F.col("kafka_partition").cast("string"))
    return rows.where(F.col("kafka_offset") > F.coalesce(F.element_at(done, where), F.lit(-1)))


def _dimension(name, columns):
    if name in columns:
        return F.col(name)
    if name == "severity" and "severity_number" in columns:
        number = F.col("severity_number")
        index = F.floor((number - 1) / 4).cast("int")
        return F.when(number.between(1, 24), F.element_at(F.array(*map(F.lit, SEVERITIES)), index + 1))
    return F.lit(None).cast("string")


def _failed(columns):
    condition = F.col("error").isNotNull()
    if "severity_number" in columns:
        condition = condition | F.coalesce(F.col("severity_number") >= 17, F.lit(False))
    if "status" in columns:
        condition = condition | F.coalesce(F.col("status") >= 500, F.lit(False))
    return condition


def _measure(name, columns):
    if name not in columns:
        return F.lit(None).cast("double")
    x = F.col(name).cast("double")
    finite = ~F.isnan(x) & (F.abs(x) < F.lit(float("inf")))
    return F.when(finite, x)


def _bucket(x):
    octaves = F.log2(F.when(x > 0, x)) * BUCKETS_PER_OCTAVE + 1e-9
    return F.when(x <= 0, F.lit(ZERO_BUCKET)).otherwise(F.floor(octaves).cast("int"))


def stamped(rows, rollup, lateness_us):
    """What aggregation needs of each row: minute, key, the dimensions as text, bytes, failed, tardy, and per measure j its value x<j>."""
    columns = set(rows.columns)
    members = [_dimension(name, columns).alias(name) for name in rollup["by"]]
    key = F.to_json(F.struct(*members), {"ignoreNullFields": "false"}) if members else F.lit("{}")
    late_by = F.unix_micros("arrival") - F.unix_micros("ts")
    return rows.select(
        F.date_trunc("minute", "ts").alias("minute"),
        key.alias("key"),
        *[member.cast("string").alias(name) for member, name in zip(members, rollup["by"])],
        F.col("bytes").cast("long").alias("bytes"),
        _failed(columns).alias("failed"),
        (late_by > lateness_us).alias("tardy"),
        *[_measure(name, columns).alias(f"x{j}") for j, name in enumerate(rollup["measures"])],
    )


def fine(rows, rollup):
    """Partials by (minute, key) with one histogram a measure: [(bucket, n)]."""
    buckets = [_bucket(F.col(f"x{j}")).alias(f"b{j}") for j in range(len(rollup["measures"]))]
    sums = [F.count(F.lit(1)).alias("n"), F.sum("bytes").alias("bytes"), F.sum(F.col("failed").cast("long")).alias("errors"),
            F.sum(F.col("tardy").cast("long")).alias("late")]
    sums += [F.max(name).alias(name) for name in rollup["by"]]
    for j, name in enumerate(rollup["measures"]):
        sums += [F.sum(f"x{j}").alias(f"sum_{name}"), F.count(f"x{j}").alias(f"count_{name}")]
    bucketed = rows.select("*", *buckets)
    return bucketed.groupBy("minute", "key").agg(*sums), [
        bucketed.where(F.col(f"b{j}").isNotNull()).groupBy("minute", "key", F.col(f"b{j}").alias("bucket")).agg(F.count(F.lit(1)).alias("n"))
        for j in range(len(rollup["measures"]))
    ]


def candidates(partials, rollup, admitted, room):
    """Keys to admit: of those not yet admitted the most frequent, ties by key, at most `room`."""
    known = F.col("key").isin(list(admitted)) if admitted else F.lit(False)
    sums = [F.sum("n").alias("n"), *[F.max(name).alias(name) for name in rollup["by"]]]
    return partials.where(~known).groupBy("key").agg(*sums).orderBy(F.desc("n"), F.asc("key")).limit(room)


def folded(partials, rollup, known, sums):
    """`partials` with every key outside `known` folded into `other`, summed by (minute, key[, bucket])."""
    inside = F.col("key").isin(list(known)) if known else F.lit(False)
    named = partials.select(
        *[F.when(inside, F.col(name)).alias(name) if name in rollup["by"] else F.col(name) for name in partials.columns if name != "key"],
        F.when(inside, F.col("key")).otherwise(F.lit(OTHER)).alias("key"),
    )
    by = ["minute", "key"] + (["bucket"] if "bucket" in partials.columns else [])
    kept = [F.max(name).alias(name) for name in rollup["by"] if name in partials.columns]
    return named.groupBy(*by).agg(*[F.sum(name).alias(name) for name in sums], *kept)


def rolling(own_rollup, own_histogram, gold_rollup, gold_histogram, rollups):
    """rolling_5m of every window that the batch touched, over gold's partials and its own."""
    ends = F.explode(F.transform(F.sequence(F.lit(1), F.lit(ROLLING_MINUTES)), lambda k: F.col("minute") + F.make_dt_interval(mins=k)))
    touched = own_rollup.select("rollup", "key", *dimensions(rollups), ends.alias("window_end")).groupBy("rollup", "key", "window_end").agg(
        *[F.max(name).alias(name) for name in dimensions(rollups)])
    windows = touched.select("rollup", "key", "window_end")

    def windowed(gold, own, columns):
        both = gold.select("rollup", "minute", "key", *columns).unionByName(own.select("rollup", "minute", "key", *columns))
        return both.select("*", ends.alias("window_end")).join(windows, ["rollup", "key", "window_end"], "left_semi")

    counts = windowed(gold_rollup, own_rollup, ["n", "bytes", "errors"]).groupBy("rollup", "key", "window_end").agg(
        F.sum("n").alias("n"), F.sum("bytes").alias("bytes"), F.sum("errors").alias("errors"))
    first = F.coalesce(*[F.when(F.col("rollup") == r["name"], F.lit(r["measures"][0])) for r in rollups if r["measures"]], F.lit(None).cast("string"))
    window = ["rollup", "key", "window_end"]
    buckets = windowed(gold_histogram, own_histogram, ["measure", "bucket", "n"]).where(F.col("measure") == first).groupBy(
        *window, "bucket").agg(F.sum("n").alias("n"))
    ranked = buckets.select("*", F.sum("n").over(Window.partitionBy(*window).orderBy("bucket")).alias("below"),
                            F.sum("n").over(Window.partitionBy(*window)).alias("total"))
    marks = ranked.groupBy(*window).agg(
        *[F.min(F.when(F.col("below") * 100 >= F.col("total") * percent, F.col("bucket"))).alias(f"b{percent}") for percent in (50, 95, 99)])

    def value(percent):
        bucket = F.col(f"b{percent}")
        middle = F.pow(F.lit(2.0), (bucket + 0.5) / BUCKETS_PER_OCTAVE)
        return F.when(bucket == ZERO_BUCKET, F.lit(0.0)).otherwise(middle).alias(f"p{percent}")

    return counts.join(touched, window).join(marks, window, "left").select(
        *window, *dimensions(rollups), "n", "bytes", "errors", value(50), value(95), value(99))


def as_gold(frame, kind, batch_id, rollups):
    """`frame` with gold's columns, null where it has none of its own."""
    columns = []
    for field in gold_schema(rollups):
        if field.name == "kind":
            column = F.lit(kind)
        elif field.name == "batch_id":
            column = F.lit(batch_id)
        else:
            column = F.col(field.name) if field.name in frame.columns else F.lit(None)
        columns.append(column.cast(field.dataType).alias(field.name))
    return frame.select(*columns)
