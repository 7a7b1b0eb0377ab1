#!/usr/bin/env python3
"""peer_flink.py BROKERS TOPIC FOLDER: the same topic by a Flink SQL job: Kafka → JSON → Parquet files (zstd), checkpoints each second, in one JVM of two slots; ends at the
topic's end. It keeps the declared columns and the position, not the payload, and its files are no table: it does less. Jars come from Maven Central into the cache."""
import os
import pathlib
import subprocess
import sys

FLINK = "2.3.0"
CACHE = pathlib.Path(os.environ.get("HEADPOND_CACHE", pathlib.Path.home() / ".cache" / "headpond"))
JARS = ["org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2", f"org.apache.flink:flink-sql-parquet:{FLINK}", f"org.apache.flink:flink-sql-client:{FLINK}",
        f"org.apache.flink:flink-table-planner-loader:{FLINK}", f"org.apache.flink:flink-table-runtime:{FLINK}", f"org.apache.flink:flink-connector-files:{FLINK}",
        f"org.apache.flink:flink-json:{FLINK}", f"org.apache.flink:flink-python:{FLINK}", f"org.apache.flink:flink-sql-gateway:{FLINK}", f"org.apache.flink:flink-cep:{FLINK}", f"org.apache.flink:flink-table-api-java-uber:{FLINK}", "com.github.luben:zstd-jni:1.5.6-9", "org.apache.hadoop:hadoop-client-api:3.4.1",
        "org.apache.hadoop:hadoop-client-runtime:3.4.1"]
JOB = """
SET 'execution.target' = 'local';
SET 'execution.runtime-mode' = 'streaming';
SET 'table.dml-sync' = 'true';
SET 'parallelism.default' = '2';
SET 'execution.checkpointing.interval' = '1s';
SET 'restart-strategy.type' = 'disable';
CREATE TABLE logs (ts STRING, severity STRING, service STRING, tenant STRING, host STRING, event STRING, user_id STRING, status INT, duration_ms DOUBLE,
  kafka_partition INT METADATA FROM 'partition' VIRTUAL, kafka_offset BIGINT METADATA FROM 'offset' VIRTUAL, kafka_timestamp TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL)
  WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}', 'properties.group.id' = 'peer-flink', 'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset', 'format' = 'json', 'json.ignore-parse-errors' = 'true');
CREATE TABLE files (ts TIMESTAMP(3), severity STRING, service STRING, tenant STRING, host STRING, event STRING, user_id STRING, status INT, duration_ms DOUBLE,
  kafka_partition INT, kafka_offset BIGINT, kafka_timestamp TIMESTAMP_LTZ(3))
  WITH ('connector' = 'filesystem', 'path' = 'file://{folder}', 'format' = 'parquet', 'parquet.compression' = 'ZSTD', 'parquet.compression.codec.zstd.level' = '1');
INSERT INTO files SELECT TO_TIMESTAMP(REPLACE(REPLACE(ts, 'T', ' '), 'Z', '')), severity, service, tenant, host, event, user_id, status, duration_ms, kafka_partition,
  kafka_offset, kafka_timestamp FROM logs;
"""


def jars():
    """Fetches what is missing; paths of all. Errors end the program."""
    folder = CACHE / "flink-sql" / FLINK
    folder.mkdir(parents=True, exist_ok=True)
    for artifact in JARS:
        _, name, version = artifact.split(":")
        if not (folder / f"{name}-{version}.jar").exists():
            done = subprocess.run(["mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"cannot fetch {artifact}: {done.stdout[-500:]}")
    return [str(path) for path in sorted(folder.glob("*.jar")) + sorted((CACHE / "flink" / FLINK / "lib").glob("*.jar")) if "duckdb" not in path.name]


def main():
    if sys.argv[1:] == ["install"]:
        jars()
        return
    brokers, topic, folder = sys.argv[1:4]
    work = pathlib.Path(folder).parent / "flink-work"
    (work / "conf").mkdir(parents=True)
    (work / "conf" / "config.yaml").write_text("taskmanager.numberOfTaskSlots: 2\nexecution.target: local\n")
    script = work / "job.sql"
    script.write_text(JOB.format(brokers=brokers, topic=topic, folder=folder))
    opens = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in ("java.lang", "java.util", "java.nio", "java.net", "java.time", "java.text")]
    os.environ["FLINK_CONF_DIR"] = str(work / "conf")
    os.chdir(work)
    os.execvp("java", ["java", "-Xmx1536m", *opens, "-cp", ":".join(jars()), "org.apache.flink.table.client.SqlClient", "embedded", "-f", str(script)])


if __name__ == "__main__":
    main()
