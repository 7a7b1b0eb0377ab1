"""The bills as PySpark and dbt compute them: `headpond bill run` closes the days, has them computed, and holds the result against its ledger. In the
small form PySpark computes one of the two days, which is one Spark session."""
import dumps
import embedded
import recorded

SPARK = ', spark: {master: "local[2]", driver_memory: 800m}'
ENVIRONMENT = {"SPARK_LOCAL_IP": "127.0.0.1", "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


def engine(name, extra="", one_day_when_small=False):
    def answers(work, lake, facts, full):
        moved = lambda: recorded.write_topology(work, lake, full, billing=name, billing_extra=extra)
        topology = recorded.write_topology(work, lake, full) if one_day_when_small and not full else moved()
        embedded.bill_days(topology, lake, facts, ENVIRONMENT, between=moved)
        return {"billing": dumps.bills(work / "answers", lake, [facts["retained_day"], facts["closed_day"]])}

    return answers


ENGINES = {"dbt-duckdb": engine("dbt"), "pyspark": engine("pyspark", SPARK, one_day_when_small=True), "dbt-spark": engine("dbt", ", dbt: {target: spark}" + SPARK)}
FULL_ONLY = {"dbt-spark"}
