#!/usr/bin/env python3
"""otlp_equals_topic.py BOOTSTRAP TOPIC TABLE ENCODING: holds the bronze table of an OTLP topic against the topic, log record by log record.

The topic is read by confluent-kafka; a message is read by opentelemetry-proto (otlp_proto), or by Python's json (otlp_json); the table through
deltalake. Of each message that reads: a row for each log record in order, each default column, resource, scope and attributes as Python makes
them, `raw` on the first alone, bytes that add up to the payload. Of one that does not: rows that add up to it, at least one with `error`. Exit 1 with the
first differences; prints what was compared."""
import base64
import collections
import datetime
import json
import math
import sys

import deltalake
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

import bronze_equals_topic
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
SOURCES = {  # column: (type, sources), as docs/guides/topology.md has the defaults
    "severity_number": ("int32", ["/severity_number", "/severity_text"]), "service": ("string", ["service.name"]),
    "tenant": ("string", ["tenant", "tenant_id", "tenant.id"]), "host": ("string", ["host.name", "host"]),
    "event": ("string", ["/event_name", "event.name", "event"]),
    "status": ("int32", ["http.response.status_code", "http.status_code", "status"]), "duration_ms": ("double", ["duration_ms"]),
    "user_id": ("string", ["user.id", "enduser.id", "user_id"]), "trace_id": ("string", ["/trace_id"]), "span_id": ("string", ["/span_id"]),
    "body": ("string", ["/body"])}
WORDS = {"info": 9, "warn": 13, "error": 17, "debug": 5}
EXTRA = ["resource", "scope", "attributes"]
COLUMNS = ["kafka_partition", "kafka_offset", "record_index", "raw", "bytes", "error", "ts", "arrival", *SOURCES, *EXTRA]
SHOWN = 10


def without_utf8_checks():
    """The same message with bytes where it has strings: reads what is whole but for its texts."""
    pool = descriptor_pool.DescriptorPool()

    def add(file):
        for dependency in file.dependencies:
            add(dependency)
        copy = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(copy)
        stack = list(copy.message_type)
        while stack:
            message = stack.pop()
            stack += message.nested_type
            for field in message.field:
                if field.type == field.TYPE_STRING:
                    field.type = field.TYPE_BYTES
        try:
            pool.FindFileByName(copy.name)
        except KeyError:
            pool.Add(copy)

    add(ExportLogsServiceRequest.DESCRIPTOR.file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(ExportLogsServiceRequest.DESCRIPTOR.full_name))


Lenient = without_utf8_checks()


def is_text(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


def texts(value):
    kind = value.WhichOneof("value")
    if kind == "string_value":
        yield value.string_value
    for inner in value.array_value.values if kind == "array_value" else ():
        yield from texts(inner)
    yield from texts_of_pairs(value.kvlist_value.values if kind == "kvlist_value" else ())


def texts_of_pairs(pairs):
    for pair in pairs:
        yield pair.key
        yield from texts(pair.value)


def rows_that_are_no_text(payload):
    """How many log records hold a text that is not UTF-8 where a column is made of it. None: the message does not read for another reason."""
    request = Lenient()
    try:
        request.ParseFromString(payload)
    except DecodeError:
        return None
    count = 0
    for logs in request.resource_logs:
        resource_bad = not all(map(is_text, texts_of_pairs(logs.resource.attributes)))
        for scope in logs.scope_logs:
            owner_bad = resource_bad or not all(map(is_text, [scope.scope.name, scope.scope.version, *texts_of_pairs(scope.scope.attributes)]))
            for record in scope.log_records:
                own = [record.severity_text, record.event_name, *texts(record.body), *texts_of_pairs(record.attributes)]
                count += owner_bad or not all(map(is_text, own))
    return count


class Bytes(str):
    """base64 of bytes"""


def plain(value):
    """Of an AnyValue, as JSON has it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return Pairs((p.key, plain(p.value)) for p in value.kvlist_value.values)
    if kind == "bytes_value":
        return Bytes(base64.b64encode(value.bytes_value).decode())
    if kind == "double_value" and not math.isfinite(value.double_value):
        number = value.double_value
        return Bytes("NaN" if number != number else "Infinity" if number > 0 else "-Infinity")
    return getattr(value, kind)


class Pairs(list):
    """A JSON object whose keys may come twice."""


def pairs_of(attributes):
    return Pairs((p.key, plain(p.value)) for p in attributes)


def read_proto(payload):
    request = ExportLogsServiceRequest()
    try:
        request.ParseFromString(payload)
    except DecodeError:
        return None
    records = []
    for logs in request.resource_logs:
        for scope in logs.scope_logs:
            for record in scope.log_records:
                records.append({
                    "time": record.time_unix_nano, "observed": record.observed_time_unix_nano, "severity_number": record.severity_number,
                    "severity_text": record.severity_text, "event_name": record.event_name, "body": plain(record.body), "trace_id": record.trace_id,
                    "span_id": record.span_id, "attributes": pairs_of(record.attributes), "scope_attributes": pairs_of(scope.scope.attributes),
                    "resource_attributes": pairs_of(logs.resource.attributes), "scope": (scope.scope.name, scope.scope.version), "size": record.ByteSize()})
    return records


def json_any(value):
    for key, inner in (value or {}).items():
        if inner is None:
            continue
        if key in ("stringValue", "boolValue"):
            return inner
        if key == "bytesValue":
            return Bytes(inner)
        if key == "intValue":
            return int(inner)
        if key == "doubleValue":
            return Bytes(inner) if isinstance(inner, str) else float(inner)
        if key == "arrayValue":
            return [json_any(v) for v in inner.get("values") or []]
        if key == "kvlistValue":
            return json_pairs(inner.get("values"))
    return None


def json_pairs(values):
    return Pairs((p["key"], json_any(p.get("value"))) for p in values or [])


def hex_bytes(text):
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b"wrong"


def read_json(payload):
    try:
        request = json.loads(payload.decode())
        records = []
        for logs in request.get("resourceLogs") or []:
            for scope in logs.get("scopeLogs") or []:
                owner = scope.get("scope") or {}
                for record in scope.get("logRecords") or []:
                    records.append({
                        "time": int(record.get("timeUnixNano", 0)), "observed": int(record.get("observedTimeUnixNano", 0)),
                        "severity_number": record.get("severityNumber", 0), "severity_text": record.get("severityText", ""),
                        "event_name": record.get("eventName", ""), "body": json_any(record.get("body")), "trace_id": hex_bytes(record.get("traceId", "")),
                        "span_id": hex_bytes(record.get("spanId", "")), "attributes": json_pairs(record.get("attributes")),
                        "scope_attributes": json_pairs(owner.get("attributes")), "scope": (owner.get("name", ""), owner.get("version", "")),
                        "resource_attributes": json_pairs((logs.get("resource") or {}).get("attributes")), "size": None})
        return records
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def normal(value):
    """Comparable: NaN and floats by their shortest text, objects as pairs."""
    if isinstance(value, Pairs):
        return ("object", [(k, normal(v)) for k, v in value])
    if isinstance(value, list):
        return ("list", [normal(v) for v in value])
    if isinstance(value, float):
        return ("number", value)
    if isinstance(value, bool) or value is None:
        return value
    return ("number", float(value)) if isinstance(value, int) and abs(value) < 2**53 else ("number", value) if isinstance(value, int) else str(value)


def parsed(text):
    return None if text is None else normal(json.loads(text, object_pairs_hook=Pairs))


def find(record, source):
    if source == "/severity_number":
        return record["severity_number"] or None
    if source == "/severity_text":
        return WORDS.get(record["severity_text"].lower(), record["severity_text"]) if record["severity_text"] else None
    if source == "/event_name":
        return record["event_name"] or None
    if source == "/body":
        return record["body"]
    if source in ("/trace_id", "/span_id"):
        value = record[source[1:]]
        return value.hex() if len(value) == (16 if source == "/trace_id" else 8) and any(value) else None
    for owner in ("attributes", "scope_attributes", "resource_attributes"):
        for key, value in record[owner]:
            if key == source and value is not None:
                return value
    return None


def typed(value, kind):
    if kind == "string":
        if isinstance(value, (list, bool, int, float)):
            return ("json", normal(value))
        return str(value)
    if isinstance(value, (Bytes, bool, list)):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if kind == "double":
        return float(value) if math.isfinite(value) else None
    return int(value) if float(value).is_integer() and -2**31 <= value < 2**31 else None


def what_no_column_holds(pairs):
    """An attribute is held where it is the first source of a column, the first of its name, and fits."""
    first_sources = {sources[0]: kind for kind, sources in SOURCES.values()}
    left, seen = Pairs(), set()
    for key, value in pairs:
        if value is not None and key in first_sources and key not in seen:
            seen.add(key)
            if typed(value, first_sources[key]) is not None:
                continue
        left.append((key, value))
    return left


def expected(record):
    cells = {}
    for column, (kind, sources) in SOURCES.items():
        value = next((v for v in (find(record, s) for s in sources) if v is not None), None)
        cells[column] = None if value is None else typed(value, kind)
    cells["resource"] = normal(record["resource_attributes"]) if record["resource_attributes"] else None
    left = what_no_column_holds(record["attributes"])
    cells["attributes"] = normal(left) if left else None
    name, version = record["scope"]
    scope = Pairs([(k, v) for k, v in (("name", name), ("version", version)) if v])
    if record["scope_attributes"]:
        scope.append(("attributes", record["scope_attributes"]))
    cells["scope"] = normal(scope) if scope else None
    return cells


def ts_of(record):
    nanos = record["time"] or record["observed"]
    return nanos // 1000 if 0 < nanos < 2**63 else None


def compare_row(where, row, record, differ):
    for column, want in expected(record).items():
        found = row[column]
        if column in EXTRA:
            found = parsed(found)
        elif isinstance(want, tuple):
            found = ("json", parsed(found))
        if found != want:
            differ(f"{where}: {column} is {row[column]!r:.200}, expected {want!r:.200}")
    ts, arrival = [(row[c] - EPOCH) // datetime.timedelta(microseconds=1) for c in ("ts", "arrival")]
    want = ts_of(record)
    want = arrival if want is None or want > arrival + 300_000_000 else want
    if ts != want:
        differ(f"{where}: ts is {ts}, expected {want}")


def main():
    bootstrap, topic, path, encoding = sys.argv[1:5]
    messages = bronze_equals_topic.read_topic(bootstrap, topic)
    rows = collections.defaultdict(list)
    for row in deltalake.DeltaTable(path).to_pyarrow_table(columns=COLUMNS).to_pylist():
        rows[row["kafka_partition"], row["kafka_offset"]].append(row)
    differences, counts = [], collections.Counter()
    for key in set(rows) - set(messages):
        differences.append(f"{key}: not in the topic")
    for key, (payload, _, _, _) in sorted(messages.items()):
        found = sorted(rows.get(key, []), key=lambda r: r["record_index"])
        counts["messages"] += 1
        if [r["record_index"] for r in found] != list(range(max(1, len(found)))):
            differences.append(f"{key}: record_index {[r['record_index'] for r in found]}")
            continue
        if [r["raw"] for r in found] != [payload] + [None] * (len(found) - 1):
            differences.append(f"{key}: raw is not the payload on the first row alone")
        if sum(r["bytes"] for r in found) != len(payload or b""):
            differences.append(f"{key}: bytes add up to {sum(r['bytes'] for r in found)}, the payload has {len(payload or b'')}")
        records = [] if payload is None else read_proto(payload) if encoding == "otlp_proto" else read_json(payload)
        errors = sum(r["error"] is not None for r in found)
        counts["errors"] += errors
        if records is None:
            counts["unreadable"] += 1
            if encoding == "otlp_proto":
                no_text = rows_that_are_no_text(payload)
                if no_text is not None and no_text != errors:
                    differences.append(f"{key}: {no_text} log records hold what is not UTF-8, {errors} rows have an error")
                counts["damaged"] += no_text is None
                counts["damaged where no row comes from"] += no_text is None and errors == 0
            continue
        if errors > 0 and encoding == "otlp_proto":
            differences.append(f"{key}: {next(r['error'] for r in found if r['error'])}, but protobuf reads it")
            continue
        if errors > 0:
            continue
        if len(found) != max(1, len(records)):
            differences.append(f"{key}: {len(found)} rows for {len(records)} log records")
            continue
        counts["log records"] += len(records)
        for row, record in zip(found, records):
            compare_row((key, row["record_index"]), row, record, differences.append)
            if record["size"] is not None and row["record_index"] > 0 and row["bytes"] != record["size"]:
                counts["other size"] += 1  # written with what the oracle does not write: unknown fields it keeps, zeros
    if counts["damaged where no row comes from"] > 0.03 * counts["damaged"]:
        differences.append(f"{counts['damaged where no row comes from']} of {counts['damaged']} damaged messages have no row with an error")
    for difference in differences[:SHOWN]:
        print(difference)
    print(f"{topic}: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) + f", {len(differences)} differences")
    return 1 if differences or not messages else 0


if __name__ == "__main__":
    sys.exit(main())
