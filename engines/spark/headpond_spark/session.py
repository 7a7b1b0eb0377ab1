"""One Spark session as Headpond's jobs need it, and which versions they were tested with."""
import os
import re

TESTED = {"spark": "4.2.0", "delta": "4.4.0"}


class Untested(Exception):
    pass


def open_session(name):
    """Untested: refused before there is a session."""
    from pyspark.sql import SparkSession

    require_tested_driver()
    builder = (
        SparkSession.builder.appName(name)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
    )
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        builder = builder.config("spark.hadoop.fs.s3a.endpoint", endpoint)
        if endpoint.startswith("http://"):
            builder = builder.config("spark.hadoop.fs.s3a.path.style.access", "true")
            builder = builder.config("spark.hadoop.fs.s3a.connection.ssl.enabled", "false")
    if os.environ.get("AWS_REGION"):
        builder = builder.config("spark.hadoop.fs.s3a.endpoint.region", os.environ["AWS_REGION"])
    spark = builder.getOrCreate()
    for name, value in small_tables(spark.sparkContext.defaultParallelism).items():
        if not spark.sparkContext.getConf().contains(name):  # what the user says holds
            spark.conf.set(name, value)
    return spark


def small_tables(cores):
    """What is shuffled and listed are partials and logs, small beside the rows they come from: a task a core, planned once."""
    return {"spark.sql.shuffle.partitions": str(cores), "spark.sql.adaptive.enabled": "false", "spark.databricks.delta.snapshotPartitions": str(min(cores, 8))}


def require_tested_driver():
    """This Python's Spark, the driver's, and Delta's jars: asked of the JVM that spark-submit has started, in which nothing else runs yet."""
    import pyspark

    require_tested("spark", pyspark.__version__)
    pyspark.SparkContext._ensure_initialized()
    jvm = pyspark.SparkContext._jvm
    require_tested("spark", getattr(jvm, "org.apache.spark.package").SPARK_VERSION())
    try:
        delta = getattr(jvm, "io.delta.package").VERSION()
    except Exception:
        raise Untested(f"Delta {TESTED['delta']} is not among Spark's jars; tools/spark install fetches it") from None
    require_tested("delta", delta)


def require_tested(what, version):
    if version != TESTED[what] and os.environ.get("HEADPOND_UNTESTED") != "1":
        raise Untested(f"{what} {version} was not tested with Headpond, {TESTED[what]} was; install that, or set HEADPOND_UNTESTED=1 to try it")
