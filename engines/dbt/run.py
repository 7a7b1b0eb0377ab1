#!/usr/bin/env python3
"""One closed day's bill with dbt, started by `headpond up` or `headpond bill run` with the Python of dbt's venv:

    run.py --inputs inputs.json --output PLACE --result result.json --profiles-dir DIR --target duckdb|spark --work DIR [--spark-conf FILE]
           [--docs DIR]

Makes the sources out of the inputs, runs `dbt build` (models, then their tests), and writes PLACE/<table>/*.parquet, then the result. PLACE is a
directory or s3://…. --docs writes `dbt docs generate`'s site and the sources' freshness (sources.json) too. --work is scratch: database, warehouse, dbt's target and logs.
"""
import argparse
import contextlib
import os
import pathlib
import sys

PROJECT = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(PROJECT), str(PROJECT.parent / "spark")]
from headpond_spark import billing  # noqa: E402


class DuckDb:
    """The sources and results of one run are tables and views of a database file."""

    def __init__(self, options):
        self.path = str(options.work / "headpond.duckdb")
        self.on_s3 = options.output.startswith("s3://")
        os.environ["HEADPOND_DBT_DATABASE"] = self.path

    @contextlib.contextmanager
    def connect(self):
        import duckdb

        with contextlib.closing(duckdb.connect(self.path)) as database:
            if self.on_s3:
                import headpond_lake

                headpond_lake.configure(database)
            yield database

    def versions(self):
        return ("dbt-core", "dbt-duckdb", "duckdb")

    def prepare(self, inputs):
        types = billing.RATES.replace("STRING", "VARCHAR")
        with self.connect() as database:
            database.execute("CREATE SCHEMA bronze; CREATE SCHEMA billing")
            database.execute(f"CREATE VIEW bronze.logs AS SELECT * FROM {inputs['relation']}")
            database.execute(f"CREATE TABLE billing.rates ({types})")
            if inputs["rates"]:
                database.executemany("INSERT INTO billing.rates VALUES (?, ?, ?, ?, ?, ?, ?)", billing.rate_rows(inputs))

    def write(self, output):
        with self.connect() as database:
            for table in billing.TABLES:
                if not self.on_s3:
                    pathlib.Path(output, table).mkdir(parents=True)
                target = f"{output}/{table}/part-0.parquet".replace("'", "''")
                database.execute(f"COPY main.{table} TO '{target}' (FORMAT parquet)")


class Spark:
    """dbt-spark's session is this process's own: sources are global temporary views, results tables of a throw-away warehouse."""

    def __init__(self, options):
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[*]").appName("headpond-billing")
        for key, value in ({
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.warehouse.dir": str(options.work / "warehouse"),
            "spark.ui.enabled": "false",
        } | billing.read_conf(options.spark_conf)).items():
            builder = builder.config(key, value)
        self.session = builder.getOrCreate()

    def versions(self):
        return ("dbt-core", "dbt-spark", "pyspark")

    def prepare(self, inputs):
        billing.bronze_of(self.session, inputs).createOrReplaceGlobalTempView("logs")
        billing.rates_of(self.session, inputs).createOrReplaceGlobalTempView("rates")

    def write(self, output):
        for table in billing.TABLES:
            billing.write_table(self.session.table(f"headpond.{table}"), table, output)


def run_dbt(options, day, *words):
    from dbt.cli.main import dbtRunner

    done = dbtRunner().invoke([
        "--no-send-anonymous-usage-stats", "--no-version-check", "--no-use-colors", "--log-path", str(options.work / "logs"), *words,
        "--project-dir", str(PROJECT), "--profiles-dir", str(options.profiles_dir), "--target", options.target,
        "--target-path", str(options.work / "target"), "--vars", f'{{day: "{day}"}}'])
    if done.exception:
        raise SystemExit(f"dbt {words[0]}: {done.exception}")
    if not done.success:
        failed = [f"{r.node.name}: {r.status}: {r.message}" for r in getattr(done.result, "results", []) if str(r.status) in ("error", "fail")]
        raise SystemExit(f"dbt {words[0]} failed: " + "; ".join(failed))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", required=True, type=pathlib.Path)
    parser.add_argument("--output", required=True)
    parser.add_argument("--result", required=True, type=pathlib.Path)
    parser.add_argument("--profiles-dir", required=True, type=pathlib.Path)
    parser.add_argument("--target", required=True, choices=["duckdb", "spark"])
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--spark-conf", type=pathlib.Path)
    parser.add_argument("--docs", type=pathlib.Path)
    options = parser.parse_args()
    billing.end_with_parent()
    for name in ("inputs", "result", "profiles_dir", "work", "spark_conf", "docs"):
        setattr(options, name, getattr(options, name) and getattr(options, name).absolute())
    options.output = options.output if "://" in options.output else os.path.abspath(options.output)
    inputs = billing.read_inputs(options.inputs)
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)  # what a library drops into its directory goes away with the run
    engine = (DuckDb if options.target == "duckdb" else Spark)(options)
    engine.prepare(inputs)
    run_dbt(options, inputs["day"], "build")
    engine.write(options.output)
    if options.docs:
        run_dbt(options, inputs["day"], "source", "freshness")
        run_dbt(options, inputs["day"], "docs", "generate")
        options.docs.mkdir(parents=True, exist_ok=True)
        for name in ("index.html", "manifest.json", "catalog.json", "sources.json"):
            (options.docs / name).write_bytes((options.work / "target" / name).read_bytes())
    billing.finish(options.result, f"dbt-{options.target}", *engine.versions())


if __name__ == "__main__":
    main()
