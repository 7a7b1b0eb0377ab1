#!/usr/bin/env python3
"""Holds the pager's transitions against a small independent evaluation of docs/formats/pager.md: brute force over rows and each version's
clocks and stalled set, no folds, no slices in state, no timers.

  pager_oracle.py --runner build/tests/pager_cases [--cases 1000] [--seed N]

A case is one (rule, stream, commit boundaries). Streams without stalls run twice, under other commit boundaries, and must settle alike; some
runs lose their engine without warning and are replayed. Prints the seed; exit code 1 names the first differences.
"""
import argparse
import json
import math
import multiprocessing
import os
import random
import re
import subprocess
import sys
import tempfile
import time

SECOND = 1_000_000
BASE = 1_795_000_000 * SECOND
COLUMNS = ["severity_number", "service", "host", "event", "status"]


# --- predicates: None is SQL's unknown ---
def holds(p, row):
    op = p[0]
    if op == "true":
        return True
    if op == "and":
        a, b = holds(p[1], row), holds(p[2], row)
        return False if a is False or b is False else (None if a is None or b is None else True)
    if op == "or":
        a, b = holds(p[1], row), holds(p[2], row)
        return True if a is True or b is True else (None if a is None or b is None else False)
    if op == "not":
        a = holds(p[1], row)
        return None if a is None else not a
    value = row[p[1]]
    if op == "null":
        return value is None
    if value is None:
        return None
    if op == "in":
        return value in p[2]
    if op == "like":
        return value.startswith(p[2])
    if op == "match":
        return re.search(p[2], value) is not None
    return {">=": value >= p[2], "<": value < p[2], "=": value == p[2], "!=": value != p[2]}[op]


def literal(v):
    return "'%s'" % v if isinstance(v, str) else str(v)


def predicate_text(p):
    op = p[0]
    if op == "true":
        return ""
    if op in ("and", "or"):
        return "(%s) %s (%s)" % (predicate_text(p[1]), op, predicate_text(p[2]))
    if op == "not":
        return "not (%s)" % predicate_text(p[1])
    if op == "null":
        return p[1] + " is null"
    if op == "in":
        return "%s in (%s)" % (p[1], ", ".join(literal(v) for v in p[2]))
    if op == "like":
        return "%s like '%s%%'" % (p[1], p[2])
    if op == "match":
        return "%s ~ '%s'" % (p[1], p[2])
    return "%s %s %s" % (p[1], op, literal(p[2]))


# --- expressions ---
def expression_text(e):
    if e[0] == "number":
        return repr(e[1])
    if e[0] in ("count", "absent"):
        return "%s(%s)[%ds]" % (e[0], predicate_text(e[1]), e[2])
    return "(%s) %s (%s)" % (expression_text(e[1]), e[0], expression_text(e[2]))


def atoms(e):
    if e[0] in ("count", "absent"):
        return [e]
    return [] if e[0] == "number" else atoms(e[1]) + atoms(e[2])


def only_rises(e):
    if e[0] in ("number", "count"):
        return True
    if e[0] in ("+", "and", "or"):
        return only_rises(e[1]) and only_rises(e[2])
    if e[0] in (">", ">="):
        return only_rises(e[1]) and e[2][0] == "number"
    return False


class Rule:
    def __init__(self, spec, interval, lateness):
        self.__dict__.update(spec)
        self.i, self.lateness, self.memo = interval, lateness, {}
        self.atoms = atoms(self.expr)
        self.has_absent = any(a[0] == "absent" for a in self.atoms)
        self.announceable = only_rises(self.expr) and self.hold == 0

    def floor(self, t):
        return t // self.i * self.i

    def known_at(self, row):  # presence counts from here on
        return max(row["ts"], row["arrival"] - self.lateness)

    def matches(self, a, rows, t):  # rows an aggregate may see at T
        late_too = a[0] == "absent"
        for row in rows:
            asked = (id(a), id(row))
            if asked not in self.memo:
                self.memo[asked] = holds(a[1], row) is True
            if not self.memo[asked]:
                continue
            if late_too and self.known_at(row) < t:
                yield row
            elif not late_too and row["arrival"] - row["ts"] <= self.lateness and row["ts"] < t:
                yield row

    def last_seen(self, a, rows, t):
        return max((self.floor(r["ts"]) for r in self.matches(a, rows, t)), default=None)

    def number(self, e, rows, t):
        if e[0] == "number":
            return e[1]
        if e[0] == "count":
            window = e[2] * SECOND
            coarse = -(-(-(-window // 60)) // self.i) * self.i
            start = (t - window) // coarse * coarse
            return sum(1 for r in self.matches(e, rows, t) if r["ts"] >= start)
        a, b = self.number(e[1], rows, t), self.number(e[2], rows, t)
        if a is None or b is None:
            return None
        if e[0] == "/":
            return None if b == 0 else a / b
        return {"+": a + b, "-": a - b, "*": a * b}[e[0]]

    def condition(self, e, rows, t):
        if e[0] == "and":
            return self.condition(e[1], rows, t) and self.condition(e[2], rows, t)
        if e[0] == "or":
            return self.condition(e[1], rows, t) or self.condition(e[2], rows, t)
        if e[0] == "absent":
            last = self.last_seen(e, rows, t)
            return self.expected(last, t) and last < t - e[2] * SECOND
        a, b = self.number(e[1], rows, t), self.number(e[2], rows, t)
        if a is None or b is None:
            return False
        return {">": a > b, ">=": a >= b, "<": a < b, "<=": a <= b, "==": a == b, "!=": a != b}[e[0]]

    def value(self, e, rows, t):
        if e[0] == "and":
            return self.value(e[1], rows, t)
        if e[0] == "or":
            first = self.condition(e[1], rows, t) or not self.condition(e[2], rows, t)
            return self.value(e[1 if first else 2], rows, t)
        if e[0] == "absent":
            last = self.last_seen(e, rows, t)
            return (t - last) / SECOND if self.expected(last, t) else 0
        return self.number(e[1], rows, t) or 0

    def sees(self, rows, t):  # not only that there were rows: one stands where an aggregate looks
        return any(self.number(a, rows, t) > 0 if a[0] == "count" else self.expected(self.last_seen(a, rows, t), t) for a in self.atoms)

    def expected(self, last, t):
        return last is not None and last >= t - self.seen_within * SECOND


class Track:
    """One (rule, key)."""

    def __init__(self, rule, key, out):
        self.rule, self.key, self.out = rule, key, out
        self.seq, self.firing, self.pending, self.began, self.cooling, self.announced, self.seen = 0, False, False, 0, None, False, False

    def emit(self, kind, boundary, value, version, announced=False):
        seq = self.seq + 1 if announced else self.seq
        self.out.append({"rule": self.rule.name, "key": self.key, "seq": seq, "kind": kind, "announced": announced, "boundary": boundary,
                         "began_at": boundary if announced else self.began, "value": value, "version": version})

    def settle(self, rows, t, stalled, version):
        rule = self.rule
        self.seen = self.seen or rule.sees(rows, t)
        if not self.seen:
            return
        true = rule.condition(rule.expr, rows, t)
        if true and stalled and rule.has_absent:
            return
        if true:
            self.cooling = None
            if self.firing:
                return
            if not self.pending:
                self.pending, self.began = True, t
            if t - self.began >= rule.hold * SECOND:
                self.pending, self.firing, self.announced = False, True, False
                self.seq += 1
                self.emit("firing", t, rule.value(rule.expr, rows, t), version)
        elif self.firing:
            if stalled:
                return
            self.cooling = t if self.cooling is None else self.cooling
            if t - self.cooling >= rule.keep * SECOND:
                self.firing, self.cooling = False, None
                self.seq += 1
                self.emit("resolved", t, rule.value(rule.expr, rows, t), version)
        else:
            self.pending = False

    def look_ahead(self, rows, after, version):
        rule = self.rule
        if not rule.announceable or self.firing or self.announced or not rows:
            return
        times = [rule.floor(r["ts"]) + rule.i for r in rows]
        if after is not None:
            times = [t for t in times if t > after] + [after + rule.i]
        for t in sorted(set(times)):
            if rule.condition(rule.expr, rows, t):
                self.announced = True
                self.emit("firing", t, rule.value(rule.expr, rows, t), version, announced=True)
                return


def evaluate(case, versions):
    """All transitions of a case, by definition."""
    i, lateness = case["interval"] * SECOND, case["lateness"] * SECOND
    out, tracks, settled = [], {}, None
    state = {p: {"clock": None, "stalled": False} for p in range(case["partitions"])}
    rows_by_key = {}
    rules = [Rule(spec, i, lateness) for spec in case["rules"]]
    for number, version in enumerate(versions):
        moved = {r["partition"] for r in version["rows"]} | {int(p) for p, c in version["clocks"].items() if c != state[int(p)]["clock"]}
        for p, clock in version["clocks"].items():
            state[int(p)]["clock"] = clock
        for p in state:
            state[p]["stalled"] = (state[p]["stalled"] and p not in moved) or p in version["stalled"]
        for row in version["rows"]:
            for rule in rules:
                key = json.dumps({c: row[c] if row[c] is None else str(row[c]) for c in rule.by}, separators=(",", ":"))
                rows_by_key.setdefault((rule.name, key), []).append(row)
                tracks.setdefault((rule.name, key), Track(rule, key, out))
        live = [s["clock"] for s in state.values() if not s["stalled"]]
        stalled = any(s["stalled"] for s in state.values())
        to = settled
        if live and all(c is not None for c in live):
            to = max((min(live) - lateness) // i * i, settled if settled is not None else -math.inf)
        for (name, key), track in sorted(tracks.items()):
            rows = rows_by_key[(name, key)]
            if to is not None:
                first = min(r["ts"] for r in rows) // i * i + i
                t = first if settled is None else max(first, settled + i)
                while t <= to:
                    track.settle(rows, t, stalled, number)
                    t += i
            track.look_ahead(rows, to, number)
        settled = to
    return out


# --- random cases ---
def random_predicate(rng, depth=0):
    kind = rng.randrange(min(depth, 1), 9 if depth < 2 else 7)  # count() alone, never inside another predicate
    return [lambda: ["true"], lambda: [">=", "severity_number", rng.choice([9, 13, 17])], lambda: ["=", "service", rng.choice(["api", "web"])],
            lambda: ["in", "status", rng.sample([200, 404, 500, 503], 2)], lambda: ["=", "event", "heartbeat"],
            lambda: ["null", "service"], lambda: rng.choice([["like", "service", "a"], ["match", "service", "^w.b$"], ["!=", "service", "api"]]),
            lambda: [rng.choice(["and", "or"]), random_predicate(rng, depth + 1), random_predicate(rng, depth + 1)],
            lambda: ["not", random_predicate(rng, depth + 1)]][kind]()


def random_expression(rng, windows):
    count = lambda p=None: ["count", p or random_predicate(rng), rng.choice(windows)]
    number = lambda low, high: ["number", rng.randint(low, high)]
    kind = rng.randrange(10)
    if kind < 3:
        return [rng.choice([">", ">="]), count(), number(1, 8)]
    if kind == 3:
        return [rng.choice(["<", "<=", "==", "!="]), count(), number(0, 5)]
    if kind == 4:
        return ["and", [">", ["/", count(), count(["true"])], ["number", rng.choice([0.2, 0.5, 0.75])]], [">=", count(["true"]), number(1, 6)]]
    if kind == 5:
        return [rng.choice(["and", "or"]), [">", count(), number(1, 6)], [">=", count(), number(1, 6)]]
    if kind == 6:
        return [">", [rng.choice(["+", "-"]), count(), count()], number(0, 8)]
    if kind == 7:
        return [rng.choice(["and", "or"]), ["absent", random_predicate(rng), rng.choice(windows)], [">", count(), number(0, 4)]]
    return ["absent", random_predicate(rng), rng.choice(windows)]


def random_case(seed, with_stalls):
    rng = random.Random(seed)
    interval = rng.choice([1, 1, 2, 5])
    lateness = rng.choice([0, 2, 5])
    step = lambda w: -(-(-(-w // 60)) // interval) * interval
    windows = [w for w in (10, 20, 30, 60, 120, 180, 300) if w % step(w) == 0 and w > lateness]
    windows = rng.sample(windows, min(3, len(windows)))
    rules = []
    for n in range(3):
        expr = random_expression(rng, windows)
        absents = [a[2] for a in atoms(expr) if a[0] == "absent"]
        rules.append({"name": "g/R%d" % n, "alert": "R%d" % n, "expr": expr, "by": rng.choice([[], ["host"], ["host", "service"], ["status"]]),
                      "hold": rng.choice([0, 0, 0, 3, 10]), "keep": rng.choice([0, 0, 4, 30]), "seen_within": max(absents, default=0) + rng.choice([7, 60, 400])})
    partitions = rng.randint(1, 3)
    span = rng.choice([60, 150, 400])
    rows = []
    for p in range(partitions):
        t, bursts = BASE, [(BASE + rng.randrange(span) * SECOND, rng.randint(2, 15)) for _ in range(2)]
        arrivals = sorted([BASE + rng.randrange(span * SECOND) for _ in range(rng.randint(5, 40))] +
                          [b + rng.randrange(5 * SECOND) for b, n in bursts for _ in range(n)])
        for n, arrival in enumerate(arrivals):
            delay = rng.choice([0, 0, 0, rng.randrange(SECOND), rng.randrange(3 * SECOND), rng.randrange(30 * SECOND), -rng.randrange(20 * SECOND)])
            if rng.random() < 0.2:
                delay = lateness * SECOND + rng.choice([-1, 0, 1])
            ts = arrival - delay
            if rng.random() < 0.3:
                ts = ts // SECOND * SECOND
            rows.append({"partition": p, "offset": n, "arrival": arrival, "ts": ts, "severity_number": rng.choice([5, 9, 13, 17, None]),
                         "service": rng.choice(["api", "web", None]), "host": rng.choice(["h1", "h2"]), "event": rng.choice(["request", "heartbeat"]),
                         "status": rng.choice([200, 404, 500, 503])})
    case = {"seed": seed, "interval": interval, "lateness": lateness, "rules": rules, "partitions": partitions, "yaml": yaml_of(rules, interval, lateness)}
    end = BASE + (span + rng.choice([30, 500])) * SECOND
    case["streams"] = [commits(rng, rows, partitions, end, with_stalls)]
    if not with_stalls:
        case["streams"].append(commits(rng, rows, partitions, end, False))
    # After these many steps the engine is thrown away and opened again.
    case["crashes"] = sorted(rng.sample(range(1, 30), rng.choice([0, 0, 1, 2])))
    return case


def commits(rng, rows, partitions, end, with_stalls):
    """Cuts rows into versions: each partition at its own pace, clocks never above what later rows will carry."""
    queues = [[r for r in rows if r["partition"] == p] for p in range(partitions)]
    clocks = [None] * partitions
    gone = {p: None for p in range(partitions)}  # until when it is cut off
    versions, now, first = [], BASE, True
    while True:
        now = min(end, now + rng.choice([1, 2, 7, 30, 90]) * SECOND * rng.choice([1, 1, 0.5]))
        now = int(now)
        version = {"rows": [], "clocks": {}, "stalled": []}
        for p in range(partitions):
            if with_stalls and gone[p] is None and rng.random() < 0.15 and now < end:
                gone[p] = now + rng.randrange(10, 120) * SECOND
            if gone[p] is not None and now < gone[p] and now < end:
                # Never in the commit that first names it: a partition is stalled after stall_after without a change in the log.
                if rng.random() < 0.7 and not first:
                    version["stalled"].append(p)
                continue
            gone[p] = None
            reach = now if now == end or rng.random() < 0.7 else now - rng.randrange(5 * SECOND)
            while queues[p] and queues[p][0]["arrival"] <= reach:
                version["rows"].append(queues[p].pop(0))
            last = max((r["arrival"] for r in version["rows"] if r["partition"] == p), default=None)
            clock = rng.choice([reach, last if last is not None else reach])
            if now == end:
                clock = end
            if first and now != end and last is None and rng.random() < 0.3:
                continue  # no clock yet: holds the minimum
            if queues[p]:
                clock = min(clock, queues[p][0]["arrival"])
            clock = max(clock, last or 0, clocks[p] or 0)
            if clock != clocks[p]:
                clocks[p] = clock
                version["clocks"][p] = clock
        first = False
        versions.append(version)
        if now == end:
            return versions


KEPT = -1  # in place of a seed


def kept_case():
    """Keys whose first row no aggregate sees: h2's comes behind every window still to settle, h4's is late and older than R1's seen_within."""
    beat = ["=", "event", "heartbeat"]
    rule = lambda n, expr, hold, within: {"name": "g/R%d" % n, "alert": "R%d" % n, "expr": expr, "by": ["host"], "hold": hold, "keep": 0, "seen_within": within}
    rules = [rule(0, ["!=", ["count", ["true"], 20], ["number", 1]], 3, 7),
             rule(1, ["or", ["absent", beat, 10], ["<", ["count", beat, 20], ["number", 1]]], 0, 30), rule(2, ["absent", beat, 10], 0, 400)]
    row = lambda partition, offset, arrival, ts, host: {"partition": partition, "offset": offset, "arrival": BASE + arrival * SECOND, "ts": BASE + ts * SECOND,
                                                        "severity_number": 9, "service": "api", "host": host, "event": "heartbeat", "status": 200}
    version = lambda rows, clocks, stalled: {"rows": rows, "clocks": {p: BASE + c * SECOND for p, c in clocks.items()}, "stalled": stalled}
    stream = [version([row(0, 0, 1, 1, "h1")], {0: 1, 1: 1}, []), version([], {0: 70}, [1]),
              version([row(1, 0, 10, 10, "h2"), row(1, 1, 50, 50, "h3"), row(1, 2, 80, 20, "h4")], {0: 100, 1: 100}, []), version([], {0: 600, 1: 600}, [])]
    return {"seed": KEPT, "interval": 1, "lateness": 5, "rules": rules, "partitions": 2, "yaml": yaml_of(rules, 1, 5), "streams": [stream], "crashes": []}


def yaml_of(rules, interval, lateness):
    lines = ["groups:", "  - name: g", "    interval: %ds" % interval, "    lateness: %ds" % lateness, "    rules:"]
    for rule in rules:
        lines += ["      - alert: " + rule["alert"], "        expr: " + json.dumps(expression_text(rule["expr"])), "        by: [%s]" % ", ".join(rule["by"]),
                  "        for: %ds" % rule["hold"], "        keep_firing_for: %ds" % rule["keep"]]
        if any(a[0] == "absent" for a in atoms(rule["expr"])):
            lines.append("        expect: {seen_within: %ds}" % rule["seen_within"])
    return "\n".join(lines) + "\n"


# --- comparison ---
FIELDS = ("kind", "boundary", "began_at", "value")


def by_identity(transitions, problems, where):
    """Settled fields by identity, and identities announced (with the first version that says so: what is open at a claim is said again); the same identity must
    never come with other fields."""
    settled, announced = {}, {}
    for t in transitions:
        identity = (t["rule"], t["key"], t["seq"])
        if t["announced"]:
            version, boundary = announced.get(identity, (t["version"], t["boundary"]))
            if boundary != t["boundary"]:
                problems.append("%s: %s was announced for %s and for %s" % (where, identity, boundary, t["boundary"]))
            announced[identity] = (min(version, t["version"]), t["boundary"])
            continue
        fields = tuple(t[f] for f in FIELDS)
        if settled.setdefault(identity, fields) != fields:
            problems.append("%s: %s came twice, as %s and %s" % (where, identity, settled[identity], fields))
    return settled, announced


def compare(where, got, wanted, problems):
    for identity in sorted(set(got) | set(wanted)):
        a, b = got.get(identity), wanted.get(identity)
        same = a is not None and b is not None and all(x == y or (isinstance(x, float) and math.isclose(x, y, rel_tol=1e-12)) for x, y in zip(a, b))
        if not same:
            problems.append("%s: %s: pager %s, definition %s" % (where, identity, a, b))


def check(case, results):
    problems, settled_by_stream, made = [], [], 0
    for n, (versions, result) in enumerate(zip(case["streams"], results)):
        where = "seed %d stream %d" % (case["seed"], n)
        if "error" in result:
            problems.append(where + ": " + result["error"])
            continue
        got, got_announced = by_identity(result["transitions"], problems, where)
        wanted, wanted_announced = by_identity(evaluate(case, versions), problems, where)
        compare(where, got, wanted, problems)
        compare(where + " announced", got_announced, wanted_announced, problems)
        settled_by_stream.append(got)
        made += len(wanted)
    if len(settled_by_stream) == 2:
        compare("seed %d other commit boundaries" % case["seed"], settled_by_stream[1], settled_by_stream[0], problems)
    return problems, made


def run_chunk(work):
    """Some cases through one runner: (problems, settled transitions, streams without a page)."""
    runner, seeds = work
    cases = [kept_case() if seed == KEPT else random_case(seed, with_stalls) for seed, with_stalls in seeds]
    scratch = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="headpond-pager-", dir=scratch) as directory:
        path = os.path.join(directory, "cases.jsonl")
        with open(path, "w") as file:
            for case in cases:
                file.write(json.dumps({k: case[k] for k in ("seed", "yaml", "partitions", "streams", "crashes")}) + "\n")
        run = subprocess.run([runner, path, os.path.join(directory, "work")], stdout=subprocess.PIPE)
    results = [json.loads(line) for line in run.stdout.splitlines()]
    if run.returncode != 0 or len(results) != len(cases):
        return ["seed %d: the runner ended with %d after %d of %d cases" % (cases[0]["seed"], run.returncode, len(results), len(cases))], 0, 0
    problems, transitions, silent = [], 0, 0
    for case, result in zip(cases, results):
        found, made = check(case, result["streams"])
        problems += found
        transitions += made
        silent += made == 0
    return problems, transitions, silent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runner", required=True)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    print("pager oracle: seed %d" % options.seed, flush=True)
    seeds, count = [], 0
    while count < options.cases:
        with_stalls = len(seeds) % 3 == 0
        seeds.append((options.seed * 1_000_003 + len(seeds), with_stalls))
        count += 3 if with_stalls else 6  # three rules, one or two ways to cut the stream
    seeds.append((KEPT, True))
    count += 3
    chunks = [(options.runner, seeds[n : n + 10]) for n in range(0, len(seeds), 10)]
    problems, transitions, silent = [], 0, 0
    with multiprocessing.Pool(options.jobs) as pool:
        for found, made, quiet in pool.imap(run_chunk, chunks):
            problems, transitions, silent = problems + found, transitions + made, silent + quiet
    for problem in problems[: 200 if options.verbose else 10]:
        print(problem)
    print("pager oracle: seed %d, %d cases (%d streams, %d without a page), %d settled transitions, %d differences" %
          (options.seed, count, len(seeds), silent, transitions, len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
