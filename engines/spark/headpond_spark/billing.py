"""One closed day's bill on Spark: the inputs Headpond hands over become views, the models' results Parquet files. Shared by the PySpark batch
and by dbt-spark. Formats: docs/formats/billing.md, "External engines".
"""
import decimal
import importlib.metadata
import json
import os
import pathlib
import threading

FORMAT = 1
TABLES = ("usage_15m", "usage_peak", "invoice_lines")
# What the models read of bronze; NULL in files that are older than a column.
BRONZE = "tenant STRING, service STRING, arrival TIMESTAMP, bytes INT, error STRING"
RATES = "tenant STRING, item STRING, tier INT, lower_bound DECIMAL(19,9), upper_bound DECIMAL(19,9), unit_price DECIMAL(18,9), currency STRING"


def read_inputs(path):
    inputs = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    if inputs["format"] != FORMAT:
        raise SystemExit(f"{path} has format {inputs['format']}, this engine reads {FORMAT}; run the engines/ of the Headpond that wrote it")
    return inputs


def end_with_parent():
    """Ends this process when the Headpond that started it is gone: a result nobody waits for is not worth computing."""
    parent = os.environ.get("HEADPOND_PARENT")
    if not parent:
        return

    def watch():
        stop = threading.Event()
        while os.path.exists(f"/proc/{parent}"):
            stop.wait(0.5)
        os._exit(75)

    threading.Thread(target=watch, daemon=True).start()


def rate_rows(inputs):
    exact = lambda text: None if text is None else decimal.Decimal(text)
    return [(r["tenant"], r["item"], r["tier"], exact(r["lower"]), exact(r["upper"]), exact(r["price"]), r["currency"]) for r in inputs["rates"]]


def bronze_of(spark, inputs):
    """Exactly the day's live files, as Headpond listed them: nothing that a compaction has replaced."""
    reader = spark.read.schema(BRONZE)
    rows = reader.parquet(*inputs["files"]) if inputs["files"] else spark.createDataFrame([], BRONZE)
    return rows.selectExpr("*", f"DATE '{inputs['day']}' AS ingest_date")


def rates_of(spark, inputs):
    return spark.createDataFrame(rate_rows(inputs), RATES)


def write_table(frame, table, output):
    frame.coalesce(1).write.mode("error").parquet(f"{output}/{table}")


def read_conf(path):
    """spark.conf as spark-submit reads it: a name, a blank, its value."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines() if path else []
    return dict(line.split(None, 1) for line in lines if line.strip() and not line.startswith("#"))


def finish(path, engine, *parts):
    """The last thing written: without it there is no result. `parts`: packages of this Python, or "name version"."""
    versions = ", ".join(part if " " in part else f"{part} {importlib.metadata.version(part)}" for part in parts)
    path = pathlib.Path(path)
    path.with_suffix(".new").write_text(json.dumps({"format": FORMAT, "engine": engine, "versions": versions}) + "\n", encoding="utf-8")
    path.with_suffix(".new").rename(path)
