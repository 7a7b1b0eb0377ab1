"""Random ExportLogsServiceRequests, good and bad, for tests. Seeded; written with opentelemetry-proto and Python's JSON, nothing of ours."""
import base64
import json
import random

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

NOW = 1_795_000_000_000_000_000
KEYS = ["service.name", "tenant", "host.name", "event.name", "http.response.status_code", "status", "duration_ms", "user.id", "k8s.pod/name", "k", "", "ключ", 'q"uote']


def fill_any(any_value, chance, depth=0):
    kind = chance.randrange(9 if depth < 3 else 6)
    if kind in (0, 8):
        any_value.string_value = chance.choice(["", "api", "t1", "200", "3.5", "true", 'a "quoted" \\ line\n\x01', "łódź 🚂", "x" * chance.randrange(300)])
    elif kind == 1:
        any_value.bool_value = chance.random() < 0.5
    elif kind == 2:
        any_value.int_value = chance.choice([0, 1, -1, 200, 404, 2**31, -2**31, 2**63 - 1, -2**63, chance.randrange(1000)])
    elif kind == 3:
        any_value.double_value = chance.choice([0.0, 1.5, -2.25, 200.0, 1e300, 5e-324, 0.1, float("nan"), float("inf"), float("-inf"), chance.random()])
    elif kind == 4:
        any_value.bytes_value = bytes(chance.randrange(256) for _ in range(chance.randrange(7)))
    elif kind == 5:
        pass
    elif kind == 6:
        any_value.array_value.SetInParent()
        for _ in range(chance.randrange(3)):
            fill_any(any_value.array_value.values.add(), chance, depth + 1)
    elif kind == 7:
        any_value.kvlist_value.SetInParent()
        for _ in range(chance.randrange(3)):
            fill_pair(any_value.kvlist_value.values.add(), chance, depth + 1)


def fill_pair(pair, chance, depth=0):
    pair.key = chance.choice(KEYS)
    if chance.random() < 0.95:
        fill_any(pair.value, chance, depth)


def fill_record(record, chance):
    if chance.random() < 0.9:
        record.time_unix_nano = chance.choice([0, 1, NOW, NOW + chance.randrange(10**9), 2**63 - 1, 2**64 - 1])
    if chance.random() < 0.5:
        record.observed_time_unix_nano = NOW + chance.randrange(10**9)
    record.severity_number = chance.choice([0, 1, 9, 13, 17, 24])
    record.severity_text = chance.choice(["", "INFO", "warn", "ERROR", "strange"])
    if chance.random() < 0.9:
        fill_any(record.body, chance)
    for _ in range(chance.randrange(5)):
        fill_pair(record.attributes.add(), chance)
    if chance.random() < 0.7:
        record.trace_id = chance.choice([bytes(16), bytes(range(16)), b"short"])
        record.span_id = chance.choice([bytes(8), bytes(range(200, 208)), b"longer than eight"])
    record.flags = chance.choice([0, 1])
    record.event_name = chance.choice(["", "login"])
    record.dropped_attributes_count = chance.choice([0, 3])


def message(chance, records_max=6):
    request = ExportLogsServiceRequest()
    for _ in range(chance.randrange(4)):
        logs = request.resource_logs.add()
        logs.schema_url = chance.choice(["", "https://opentelemetry.io/schemas/1.21.0"])
        if chance.random() < 0.8:
            logs.resource.SetInParent()
            for _ in range(chance.randrange(4)):
                fill_pair(logs.resource.attributes.add(), chance)
        for _ in range(chance.randrange(3)):
            scope = logs.scope_logs.add()
            if chance.random() < 0.7:
                scope.scope.name = chance.choice(["", "lib", 'l"ib'])
                scope.scope.version = chance.choice(["", "1.0"])
                for _ in range(chance.randrange(3)):
                    fill_pair(scope.scope.attributes.add(), chance)
            for _ in range(chance.randrange(records_max)):
                fill_record(scope.log_records.add(), chance)
    return request


def json_any(value, chance):
    kind = value.WhichOneof("value")
    if kind is None:
        return chance.choice([{}, None, {"unknownValue": 1}])
    if kind == "int_value":
        return {"intValue": chance.choice([str(value.int_value), value.int_value])}
    if kind == "double_value":
        number = value.double_value
        text = "NaN" if number != number else "Infinity" if number == float("inf") else "-Infinity" if number == float("-inf") else number
        return {"doubleValue": text}
    if kind == "array_value":
        return {"arrayValue": {"values": [json_any(v, chance) for v in value.array_value.values]}}
    if kind == "kvlist_value":
        return {"kvlistValue": {"values": json_pairs(value.kvlist_value.values, chance)}}
    if kind == "bytes_value":
        return {"bytesValue": base64.b64encode(value.bytes_value).decode()}
    return {"string_value": "stringValue", "bool_value": "boolValue"}[kind] and {
        {"string_value": "stringValue", "bool_value": "boolValue"}[kind]: getattr(value, kind)}


def json_pairs(pairs, chance):
    return [{"key": p.key, "value": json_any(p.value, chance)} if p.HasField("value") else {"key": p.key} for p in pairs]


def json_record(record, chance):
    out = {"unknownField": {"deep": [1, {"x": None}]}} if chance.random() < 0.2 else {}
    number = lambda n: chance.choice([n, str(n)])
    out["timeUnixNano"] = number(record.time_unix_nano)
    out["observedTimeUnixNano"] = number(record.observed_time_unix_nano)
    out["severityNumber"] = record.severity_number
    out["severityText"] = record.severity_text
    if record.HasField("body"):
        out["body"] = json_any(record.body, chance)
    out["attributes"] = json_pairs(record.attributes, chance)
    out["traceId"] = chance.choice([record.trace_id.hex(), record.trace_id.hex().upper()])
    out["spanId"] = record.span_id.hex()
    out["flags"], out["eventName"], out["droppedAttributesCount"] = record.flags, record.event_name, record.dropped_attributes_count
    members = list(out.items())
    chance.shuffle(members)
    return dict(members)


def to_json(request, chance):
    """OTLP's JSON mapping (which is not protobuf's: ids in hexadecimal), members in any order, spaces here and there."""
    lists = []
    for logs in request.resource_logs:
        scopes = []
        for scope in logs.scope_logs:
            members = {"logRecords": [json_record(r, chance) for r in scope.log_records]}
            if scope.HasField("scope"):
                members["scope"] = {"name": scope.scope.name, "version": scope.scope.version, "attributes": json_pairs(scope.scope.attributes, chance)}
            scopes.append(members)
        members = {"scopeLogs": scopes, "schemaUrl": logs.schema_url}
        if logs.HasField("resource"):
            members["resource"] = {"attributes": json_pairs(logs.resource.attributes, chance)}
        lists.append(members)
    text = {"resourceLogs": lists, "extra": "ignored"}
    return json.dumps(text, ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, None, 1])).encode()


def mutate(payload, chance):
    data = bytearray(payload)
    for _ in range(chance.choice([1, 1, 2, 5])):
        if not data:
            return bytes(chance.randrange(256) for _ in range(9))
        at = chance.randrange(len(data))
        what = chance.randrange(4)
        if what == 0:
            data[at] = chance.randrange(256)
        elif what == 1:
            del data[at:]
        elif what == 2:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 5)))
        else:
            del data[at:at + chance.randrange(1, 9)]
    return bytes(data)
