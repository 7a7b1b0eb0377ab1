"""Bronze rows → the partials of one micro-batch: functions from DataFrames to DataFrames, no I/O. Definitions: docs/formats/gold.md."""
import json

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

OTHER = "other"
ZERO_BUCKET = -32768
BUCKETS_PER_OCTAVE = 8
ROLLING_MINUTES = 5
MINUTE_US = 60_000_000
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


def local_frame(spark, rows, schema):
    """A few rows as a frame: a literal of the plan, so that no Python worker starts for them."""
    literal = F.lit(json.dumps([dict(zip(schema.fieldNames(), row)) for row in rows], ensure_ascii=False))
    return spark.range(1).select(F.inline(F.from_json(literal, T.ArrayType(schema))))


def at(frame, name, micros):
    """`frame` with the time `micros` (µs) as column `name`."""
    return frame.select("*", F.timestamp_micros(F.lit(micros)).alias(name))


def beyond(rows, positions):
    """Rows beyond a position vector {(source, partition): offset}."""
    by_source = {}
    for (source, partition), offset in positions.items():
        by_source.setdefault(source, {})[partition] = offset
    done = F.lit(-1)
    for source, offsets in by_source.items():
        vector = F.array(*[F.lit(offsets.get(partition, -1)).cast("long") for partition in range(max(offsets) + 1)])
        done = F.when(F.col("source") == source, F.coalesce(F.get(vector, F.col("kafka_partition")), F.lit(-1))).otherwise(done)
    return rows.where(F.col("kafka_offset") > done) if positions else rows


def counted(rows, lateness_us):
    """By source and partition: rows, their highest offset, how many are late, first and last ts in µs."""
    late_by = F.unix_micros("arrival") - F.unix_micros("ts")
    return rows.groupBy("source", "kafka_partition").agg(
        F.count(F.lit(1)).alias("n"), F.max("kafka_offset").alias("highest"), F.sum((late_by > lateness_us).cast("long")).alias("late"),
        F.min(F.unix_micros("ts")).alias("first_us"), F.max(F.unix_micros("ts")).alias("last_us"))


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


def _records(rollups, columns):
    """What one row is counted as: for each measure of each rollup the rollup's and measure's number, value, bucket, and all dimensions, null where not its own."""
    members = {name: _dimension(name, columns) for name in dimensions(rollups)}
    for number, rollup in enumerate(rollups):
        own = [F.when(F.lit(name in rollup["by"]), member).alias(f"d_{name}") for name, member in members.items()]
        for place, name in enumerate(rollup["measures"] or [None]):
            x = _measure(name, columns)
            yield [F.lit(number).alias("number"), F.lit(place).alias("place"), x.alias("x"), _bucket(x).alias("bucket"), *own]


def fine(rows, rollups):
    """One pass over bronze: counts by rollup, minute, key, measure and bucket. n, bytes and errors stand with a rollup's first measure, and are 0 with the others."""
    micros = F.unix_micros("ts")
    own = [(micros - F.pmod(micros, F.lit(MINUTE_US))).alias("minute_us"), F.col("bytes").cast("long").alias("bytes"),
           _failed(set(rows.columns)).cast("long").alias("failed")]
    records = list(_records(rollups, set(rows.columns)))
    if len(records) == 1:
        stamped = rows.select(*own, *records[0])
    else:
        stamped = rows.select(*own, F.inline(F.array(*[F.struct(*record) for record in records])))
    names = dimensions(rollups)
    sums = stamped.groupBy("number", "place", "minute_us", "bucket", *[f"d_{name}" for name in names]).agg(
        F.count(F.lit(1)).alias("n"), F.sum("bytes").alias("bytes"), F.sum("failed").alias("errors"),
        F.sum("x").alias("x_sum"), F.count("x").alias("x_count"))

    def by_number(value_of):
        return F.coalesce(*[F.when(F.col("number") == number, value_of(rollup)) for number, rollup in enumerate(rollups)])

    def key_of(rollup):
        members = [F.col(f"d_{name}").alias(name) for name in rollup["by"]]
        return F.to_json(F.struct(*members), {"ignoreNullFields": "false"}) if members else F.lit("{}")

    def measure_of(rollup):
        return F.get(F.array(*[F.lit(name) for name in rollup["measures"]]).cast("array<string>"), F.col("place"))

    first = F.col("place") == 0
    return sums.select(
        by_number(lambda rollup: F.lit(rollup["name"])).alias("rollup"), F.timestamp_micros("minute_us").alias("minute"), by_number(key_of).alias("key"),
        first.alias("first"), by_number(measure_of).alias("measure"), "bucket", *[F.col(f"d_{name}").cast("string").alias(f"d_{name}") for name in names],
        *[F.when(first, F.col(name)).otherwise(0).alias(name) for name in ("n", "bytes", "errors")], "x_sum", "x_count")


def among(keys):
    """Whether rollup and key are of `keys`: {rollup: keys}. As text: a column object for each of thousands of keys takes seconds to make."""
    def text(value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    choices = [f"(rollup = {text(rollup)} AND key IN ({', '.join(map(text, sorted(own)))}))" for rollup, own in keys.items() if own]
    return F.expr(" OR ".join(choices) or "false")


def candidates(partials, rollups, admitted, max_keys):
    """Keys to admit: of those not yet admitted the most frequent, ties by key, as many as there is room in each rollup."""
    sums = [F.sum("n").alias("n"), *[F.max(f"d_{name}").alias(name) for name in dimensions(rollups)]]
    new = partials.where(F.col("first") & ~among(admitted)).groupBy("rollup", "key").agg(*sums)
    room = F.coalesce(*[F.when(F.col("rollup") == r["name"], F.lit(max(0, max_keys - len(admitted[r["name"]])))) for r in rollups])
    place = F.row_number().over(Window.partitionBy("rollup").orderBy(F.desc("n"), F.asc("key")))
    return new.select("*", place.alias("place"), room.alias("room")).where("place <= room").drop("place", "room")


def folded(partials, rollups, known):
    """`partials` with every key outside `known` folded into `other`."""
    inside = among(known)
    by = ["rollup", "minute", "key", "first", "measure", "bucket"]
    names = [f"d_{name}" for name in dimensions(rollups)]
    named = partials.withColumns({name: F.when(inside, F.col(name)) for name in names} | {"key": F.when(inside, F.col("key")).otherwise(F.lit(OTHER))})
    return named.groupBy(*by).agg(*[F.sum(name).alias(name) for name in ("n", "bytes", "errors", "x_sum", "x_count")],
                                  *[F.max(name).alias(name) for name in names])


def rollup_rows(own, rollups):
    """Gold's rows of kind `rollup`."""
    sums = [F.sum(name).alias(name) for name in ("n", "bytes", "errors")] + [F.max(f"d_{name}").alias(name) for name in dimensions(rollups)]
    for name in measures(rollups):
        is_it = F.col("measure") == name
        sums += [F.sum(F.when(is_it, F.col("x_sum"))).alias(f"sum_{name}"), F.sum(F.when(is_it, F.col("x_count"))).alias(f"count_{name}")]
    return own.groupBy("rollup", "minute", "key").agg(*sums)


def histogram_rows(own):
    return own.where(F.col("bucket").isNotNull()).select("rollup", "minute", "key", "measure", "bucket", F.col("x_count").alias("n"))


def near(gold, first_us, last_us):
    """Of gold's rows the partials that share a window with minutes from `first_us` to `last_us`."""
    reach = (ROLLING_MINUTES - 1) * MINUTE_US
    low, high = (F.timestamp_micros(F.lit(us // MINUTE_US * MINUTE_US)) for us in (first_us - reach, last_us + reach))
    return gold.where(F.col("kind").isin("rollup", "histogram") & F.col("minute").between(low, high))


def rolling(own, gold, rollups):
    """rolling_5m of every window that `own` touched, over its partials and gold's (None: there are none)."""
    names = dimensions(rollups)
    shape = ["rollup", "minute", "key", "n", "bytes", "errors", "bucket", "x_count", *[f"d_{name}" for name in names], "mine"]
    both = own.where("first").select("*", F.lit(True).alias("mine")).select(*shape)
    if gold is not None:
        of_rollup = F.col("kind") == "rollup"
        first = F.coalesce(*[F.when(F.col("rollup") == r["name"], F.lit(r["measures"][0])) for r in rollups if r["measures"]], F.lit(None).cast("string"))
        both = both.union(gold.where(of_rollup | (F.col("measure") == first)).select(
            "rollup", "minute", "key", *[F.when(of_rollup, F.col(name)).otherwise(0) for name in ("n", "bytes", "errors")], "bucket",
            F.when(of_rollup, F.lit(0)).otherwise(F.col("n")), *[F.lit(None).cast("string") for _ in names], F.lit(False)))
    ends = F.explode(F.array(*[F.col("minute") + F.make_dt_interval(mins=F.lit(k)) for k in range(1, ROLLING_MINUTES + 1)]))
    marks = F.sort_array(F.collect_list(F.when(F.col("bucket").isNotNull(), F.struct("bucket", "x_count"))))
    windows = both.select("*", ends.alias("window_end")).groupBy("rollup", "key", "window_end").agg(
        *[F.sum(name).alias(name) for name in ("n", "bytes", "errors")], *[F.max(f"d_{name}").alias(name) for name in names],
        marks.alias("marks"), F.max("mine").alias("mine"))
    counted_values = F.aggregate("marks", F.lit(0).cast("long"), lambda total, mark: total + mark["x_count"])
    return windows.where("mine").select("*", counted_values.alias("total")).select(
        "rollup", "key", "window_end", *names, "n", "bytes", "errors", *[_percentile(percent) for percent in (50, 95, 99)])


def _percentile(percent):
    """The middle of the first bucket at which the running count of `marks` (in rising buckets) reaches `percent` of `total`."""
    start = F.struct(F.lit(0).cast("long").alias("below"), F.lit(None).cast("int").alias("bucket"))

    def step(found, mark):
        below = found["below"] + mark["x_count"]
        reached = F.when(below * 100 >= F.col("total") * percent, mark["bucket"])
        return F.struct(below.alias("below"), F.coalesce(found["bucket"], reached).alias("bucket"))

    bucket = F.aggregate("marks", start, step)["bucket"]
    middle = F.pow(F.lit(2.0), (bucket + 0.5) / BUCKETS_PER_OCTAVE)
    return F.when(bucket == ZERO_BUCKET, F.lit(0.0)).otherwise(middle).alias(f"p{percent}")


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
