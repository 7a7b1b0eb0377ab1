#!/usr/bin/env python3
"""memory.py [--events N] [--large N] [--memory SIZE] [--encoding E] [--days N] [--lanes N] [--squeezed] [--upkeep] [--s3 [--put-ms N]]: a backlog on 64 partitions with records of 10 MB strewn in, taken in at once. The process's peak of resident memory
(VmHWM, from the kernel) must stay within `bronze.memory`; where cgroups can be made, it runs under a hard limit of that + 64 MiB. Every record must be in the table, the
large ones byte for byte, and `audit --deep` clean. One in four large records is not JSON, one has its 10 MB in a declared column, the rest in a field no column reads.
--days: the timestamps of the small ones are spread over so many days, so that the rows of a moment go to many files. --squeezed: the small ones are lines of 430 bytes that zstd shrinks
a hundredfold, in batches of up to SQUEEZED bytes. --s3: the lake is on a real S3 server, --put-ms: behind a proxy that holds each write back so long."""
import argparse
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import confluent_kafka
import confluent_kafka.admin
import deltalake
import pyarrow.dataset

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
import s3  # noqa: E402
from far_store import FarStore  # noqa: E402
from harness import check, headpond  # noqa: E402

PARTITIONS = 64
LARGE = 10_000_000
SQUEEZED = 60_000_000  # bytes of payload in one batch, which is one answer of the broker
TOPOLOGY = """\
version: 1
name: memory
source:
  kafka: {brokers: "%(brokers)s", topic: logs, encoding: %(encoding)s, start: earliest, lanes: %(lanes)s}
consumers:
  - {name: ops, tier: 2, freshness: 5m}
bronze: {location: "%(location)s", memory: %(memory)s%(upkeep)s}
serve: {listen: "127.0.0.1:0"}
"""
UPKEEP = ", commit_interval: 100ms, log_retention: 1s"  # a version of the log ten times a second, and upkeep each second
CGROUPS = pathlib.Path("/sys/fs/cgroup/memory")


def large_records(count, seed):
    chance = random.Random(seed)
    for i in range(count):
        noise = chance.randbytes(LARGE // 2).hex()
        if i % 4 == 0:
            yield f"not json {i} {noise}".encode()
        elif i % 4 == 1:
            yield json.dumps({"tenant": f"t{i}", "service": noise, "message": "large"}).encode()
        else:
            yield json.dumps({"tenant": f"t{i}", "service": "api", "message": "large", "trace": noise}).encode()


def produce_large(brokers, count, seed):
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "log_level": 0, "message.max.bytes": 12_000_000, "queue.buffering.max.kbytes": 200_000})
    digests = []
    for i, payload in enumerate(large_records(count, seed)):
        digests.append(hashlib.sha256(payload).hexdigest())
        while True:
            try:
                producer.produce("logs", payload, partition=i % PARTITIONS)
                break
            except BufferError:
                producer.poll(1)
    check(producer.flush(120) == 0, "the large records are produced")
    return sorted(digests)


def produce_days(brokers, first, count, options):
    """Records first … first + count of options.events, in the order of their time."""
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "log_level": 0, "linger.ms": 50, "compression.type": "lz4", "queue.buffering.max.messages": 400_000})
    begin_ms = int(time.time() * 1000) - options.days * 86_400_000
    for i in range(first, first + count):
        payload = json.dumps({"tenant": f"t{i % 50}", "service": "api", "message": f"request {i} took {i * 7919 % 1000} ms", "trace": f"{i * 2654435761:032x}"})
        while True:
            try:
                producer.produce("logs", payload, partition=i // 500 % PARTITIONS, timestamp=begin_ms + i * options.days * 86_400_000 // options.events)
                break
            except BufferError:
                producer.poll(0.2)
        producer.poll(0)
    check(producer.flush(120) == 0, "the records of many days are produced")


def produce_squeezed(brokers, first, count, options):
    """As produce_days, but nearly the same line each time, and whole seconds of them in one batch."""
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "log_level": 0, "linger.ms": 3_000, "compression.type": "zstd", "batch.size": SQUEEZED,
                                         "batch.num.messages": 1_000_000, "message.max.bytes": 2 * SQUEEZED, "queue.buffering.max.messages": 1_000_000, "queue.buffering.max.kbytes": 400_000})
    for i in range(first, first + count):
        payload = json.dumps({"tenant": "t1", "service": "api", "message": f"request {i // 100} took 7 ms", "trace": "0123456789abcdef" * 21})
        while True:
            try:
                producer.produce("logs", payload, partition=i // 130_000 % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.2)
    check(producer.flush(240) == 0, "the squeezed records are produced")


def limited(bytes_max):
    """What a child calls to run under a hard limit, or None where cgroups are not ours to make."""
    group = CGROUPS / f"headpond-memory-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(bytes_max))
    except OSError:
        return None, None
    return group, lambda: (group / "cgroup.procs").write_text(str(os.getpid()))


def ingest(topology, limit):
    """Exit code and VmHWM in bytes."""
    group, enter = limited(limit)
    log = open(topology.parent / "ingest.log", "wb")
    child = subprocess.Popen([harness.BINARY, "ingest", "-f", str(topology), "--until-end"], stdout=log, stderr=log, preexec_fn=enter)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if group:
        group.rmdir()
    return child.returncode, usage.ru_maxrss * 1024, group is not None


def size_of(text):
    return int(text[:-3]) << {"MiB": 20, "GiB": 30}[text[-3:]]


def run(directory, options, server=None):
    with harness.Kafka(directory / "kafka") as kafka:
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
        new = confluent_kafka.admin.NewTopic("logs", PARTITIONS, 1, config={"max.message.bytes": "12000000", "retention.ms": "-1"})
        for future in admin.create_topics([new]).values():
            future.result()
        topology = directory / "topology.yaml"
        location, data = "lake/bronze/logs", directory / "lake" / "bronze" / "logs"
        if server:
            os.environ.update(server.env)
            if options.put_ms:
                os.environ["AWS_ENDPOINT_URL"] = FarStore(server.endpoint, options.put_ms / 1000, ("PUT", "POST")).url
            location, data = "s3://lake/bronze/logs", directory / "s3" / "data" / "lake" / "bronze" / "logs"
        topology.write_text(TOPOLOGY % {"brokers": kafka.bootstrap, "memory": options.memory, "location": location, "lanes": options.lanes, "encoding": options.encoding,
                                        "upkeep": UPKEEP if options.upkeep else ""})
        digests, events = [], 0
        rounds = 4  # so that large records lie between small ones in every partition
        for part in range(rounds):
            count = options.events // rounds
            if options.squeezed:
                produce_squeezed(kafka.bootstrap, events, count, options)
            elif options.days:
                produce_days(kafka.bootstrap, events, count, options)
            else:
                generated = headpond("generate", "-f", topology, "-n", count, *([] if options.encoding == "json" else ["--batch", 500, "--malformed", 0]), timeout=3000)
                check(generated.returncode == 0, generated.stderr)
            events += count
            digests += produce_large(kafka.bootstrap, options.large // rounds, options.seed + part)
        budget = size_of(options.memory)
        code, peak, hard = ingest(topology, budget + (64 << 20))
        log = (directory / "ingest.log").read_text()
        check(code == 0, f"ingest --until-end: exit {code}, peak {peak >> 20} MiB: {log[-800:]}")
        check(peak <= budget, f"VmHWM {peak >> 20} MiB is above bronze.memory {options.memory}")
        audit = headpond("audit", "-f", topology, "--deep", timeout=3000)
        check(audit.returncode == 0, f"audit --deep: {audit.stdout}{audit.stderr}")
        table = deltalake.DeltaTable(str(data))
        rows_of = pyarrow.dataset.dataset(table.file_uris())  # deltalake's own dataset prunes by statistics the log does not have
        rows = rows_of.count_rows()
        check(rows == events + len(digests), f"{rows} rows of {events + len(digests)} records")
        found = []
        for batch in rows_of.to_batches(columns=["raw"], filter=pyarrow.dataset.field("bytes") > LARGE // 2, batch_size=8):
            found += [hashlib.sha256(value.as_buffer()).hexdigest() for value in batch.column(0)]
        check(sorted(found) == sorted(digests), f"{len(found)} large records of {len(digests)}, or not their bytes")
        print(f"memory: {events} events{'' if options.encoding == 'json' else f' as {options.encoding}'}{f' over {options.days} days' if options.days else ''}{' that shrink a hundredfold' if options.squeezed else ''} and {len(digests)} records of 10 MB{' on S3' if server else ''}{f', {options.put_ms} ms a write' if options.put_ms else ''}{f', {options.lanes} lanes' if options.lanes > 1 else ''}, seed {options.seed}: VmHWM {peak / 2**20:.0f} MiB of {options.memory}"
              f"{f', hard limit {(budget >> 20) + 64} MiB' if hard else ', no cgroup for a hard limit here'}; audit --deep clean")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=240_000)
    parser.add_argument("--large", type=int, default=24)
    parser.add_argument("--memory", default="384MiB")
    parser.add_argument("--encoding", choices=["json", "otlp_proto", "otlp_json"], default="json")
    parser.add_argument("--days", type=int, default=0)
    parser.add_argument("--s3", action="store_true")
    parser.add_argument("--put-ms", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--upkeep", action="store_true")
    parser.add_argument("--squeezed", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headpond-memory-") as place:
        server = None
        try:
            server = s3.S3(pathlib.Path(place) / "s3") if options.s3 else None
            run(pathlib.Path(place), options, server)
        except harness.Failed as failed:
            sys.exit(f"FAILED: {failed}")
        finally:
            if server:
                server.stop()
