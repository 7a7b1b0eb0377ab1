#!/usr/bin/env python3
"""One closed day's bill as a PySpark batch, started by `headpond up` or `headpond bill run`:

    spark-submit billing.py --job job.json --inputs inputs.json --output PLACE --result result.json

Runs the models of engines/dbt in Spark and writes PLACE/<table>/*.parquet, then the result. PLACE is a directory or s3://….
"""
import argparse
import pathlib

from pyspark.sql import SparkSession

from headpond_spark import billing
from headpond_spark.billing_models import Models

PROJECT = pathlib.Path(__file__).resolve().parent.parent / "dbt"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", required=True)
    parser.add_argument("--inputs", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--result", required=True)
    options = parser.parse_args()
    billing.end_with_parent()
    inputs = billing.read_inputs(options.inputs)
    models = Models(PROJECT)
    spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    try:
        billing.bronze_of(spark, inputs).createOrReplaceTempView("bronze_logs")
        billing.rates_of(spark, inputs).createOrReplaceTempView("billing_rates")
        for table in billing.TABLES:
            billing.write_table(spark.sql(models.render(table, inputs["day"])), table, options.output)
            # What is read again is read from what was written: bronze is scanned once a table.
            spark.read.parquet(f"{options.output}/{table}").createOrReplaceTempView(table)
        billing.finish(options.result, "pyspark", f"spark {spark.version}")
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
