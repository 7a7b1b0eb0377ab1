#!/usr/bin/env python3
"""One recorded lake through every engine: all must give the embedded engine's answers, and the independent definitions'.

    run.py [--full] [--seed N] [--only embedded,cut,cleaned,flink,cleaned-flink,spark,dbt-duckdb,pyspark,dbt-spark] [--keep]

Transitions by identity with their settled fields; gold's rollups, histograms and rolling windows; usage, peaks and invoice lines to the last digit.
`cut`: the same rows, none of them stalled, in other commits. `cleaned`, `cleaned-flink`: over a log that was cleaned beyond where the engine stood. Engines run one after another. Ends with a table; exit 1 if anything differs.
"""
import argparse
import os
import pathlib
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import billing_engines
import cleaned
import compare
import dumps
import embedded
import flink_engine
import oracle
import recorded
import spark_engine
from harness import Failed, check, headpond  # noqa: E402

FILES = {"pager": dumps.PAGER_FILES, "dashboard": dumps.DASHBOARD_FILES, "billing": dumps.BILLING_FILES}
# What the audit says of upkeep, which format 1 does not know yet, and of nothing else: docs/formats/bronze.md.
UPKEEP = {"removed file", "undeclared file", "versions tag differs", "row counts differ"}


def copy_of(lake, target):
    """The same bytes: files are never written twice, so links do."""
    shutil.copytree(lake, target, copy_function=os.link)
    return target


def check_lake(work, lake, facts, full):
    topology = recorded.write_topology(work / "audit", lake, full)
    done = headpond("audit", "-f", topology, timeout=300)
    findings = re.findall(r"^damage: ([a-z ]+): version (\d+)", done.stdout + done.stderr, re.M)
    strange = [f for f in findings if f[0] not in UPKEEP or int(f[1]) not in (facts["compaction_version"], facts["retention_version"])]
    check(not strange, f"audit: {strange[:5]}")
    check(findings and len(findings) == len(re.findall("^damage: ", done.stdout + done.stderr, re.M)), "audit: findings without a version")
    print(f"lake: {facts['rows']} rows in {facts['version'] + 1} versions, {facts['compacted_files']} files compacted; audit names upkeep only", flush=True)


def oracle_answers(work, lake, facts, full):
    found = {"pager": oracle.transitions(work, lake, full), "dashboard": oracle.gold(work, lake), "billing": oracle.bills(work, lake, facts)}
    rules = {line.split('"rule": "')[1].split('"')[0] for line in compare.read(work, "transitions")}
    silent = {f"{group}/{spec['alert']}" for group, _, _, specs in recorded.groups(full) for spec in specs} - rules
    check(not silent, f"rules without a transition prove nothing: {sorted(silent)}")
    return found


def check_compare(answers, work):
    """A difference planted in each file is found: a line less, a line doubled, a digit changed."""
    for names in FILES.values():
        for name in names:
            lines = compare.read(answers, name)
            digit = re.sub(r"\d", lambda d: str((int(d[0]) + 1) % 10), lines[len(lines) // 2], count=1)
            for planted in (lines[1:], lines + lines[:1], lines[:len(lines) // 2] + [digit] + lines[len(lines) // 2 + 1:]):
                work.mkdir(exist_ok=True)
                (work / f"{name}.jsonl").write_text("\n".join(planted) + "\n")
                check(compare.differences(answers, work, [name]), f"a difference planted in {name} was not found")
    check(compare.differences(answers, work / "nothing", ["usage"]), "an answer that is missing was not found")


def cut_answers(work, lake, facts, full):
    """Two recordings of the same rows without a stalled partition: their settled transitions are one, embedded and by definition."""
    out = []
    for cut in ("0", "7"):
        own = work / f"cut-{cut}"
        recut = recorded.record(own / "lake", full, "--no-stall", "--cut", cut, "--seed", facts["seed"])
        embedded.answers(own / "run", own / "lake", recut, full, parts=("pager",))
        out.append(own / "run" / "answers")
    (work / "answers").mkdir()
    problems = [f"cut 0 against cut 7: {d}" for d in compare.differences(*out, dumps.PAGER_FILES)]
    counts, more = oracle.transitions(work / "answers", work / "cut-7" / "lake", full)
    problems += more + [f"cut 7 against its definition: {d}" for d in compare.differences(out[1], work / "answers", dumps.PAGER_FILES)]
    return {"pager": (counts, problems)}


ENGINES = {"embedded": embedded.answers, "cut": cut_answers, "cleaned": cleaned.embedded_answers, "flink": flink_engine.answers, "cleaned-flink": cleaned.flink_answers, "spark": spark_engine.answers} | billing_engines.ENGINES
FULL_ONLY = billing_engines.FULL_ONLY | {"cleaned-flink"}
OWN_ROWS = {"cut", "cleaned", "cleaned-flink"}  # recorded without a stalled partition


def verdict(name, answers, found, reference, definition):
    """Differences of an engine's answers from the embedded ones and from the definition."""
    out = []
    for part, (_, problems) in found.items():
        out += problems
        for what, other in (("embedded", reference), ("definition", definition)):
            if name not in OWN_ROWS and other != answers:
                out += [f"{part} against {what}: {d}" for d in compare.differences(answers, other, FILES[part])]
    return out


class Clock:
    """Wall time, and CPU time of this process and its ended children: what a busy machine does not change. (Flink's servers are nobody's children.)"""

    def __init__(self):
        self.began, self.used = time.monotonic(), self.cpu()

    @staticmethod
    def cpu():
        return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))

    def read(self):
        return time.monotonic() - self.began, self.cpu() - self.used


def run(options, work):
    lake = work / "lake"
    facts = recorded.record(lake, options.full, "--seed", str(options.seed)) | {"seed": str(options.seed)}
    check_lake(work, lake, facts, options.full)
    table, definition, reference = [], work / "definition", work / "embedded" / "answers"
    clock = Clock()
    found = oracle_answers(definition, lake, facts, options.full)
    check_compare(definition, work / "planted")
    table.append(("definition", counts_of(found), [p for _, ps in found.values() for p in ps], *clock.read()))
    for name in options.only:
        clock = Clock()
        own = work / name
        own.mkdir()
        try:
            found = ENGINES[name](own, copy_of(lake, own / "lake"), facts, options.full)
            problems = verdict(name, own / "answers", found, reference, definition)
        except Exception as error:  # the other engines are still to be seen
            found, problems = {}, [str(error) if isinstance(error, Failed) else traceback.format_exc()]
        table.append((name, counts_of(found), problems, *clock.read()))
        print("\n".join(f"{name}: {p}" for p in problems[:30]), end="\n" if problems else "", flush=True)
    return table


def counts_of(found):
    return ", ".join(f"{n} {what}" for counts, _ in found.values() for what, n in counts.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="22 minutes of event time and more than a million events")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=[], type=lambda text: text.split(","), help="default: all; without --full all but " + ", ".join(sorted(FULL_ONLY)))
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    options.only = options.only or [name for name in ENGINES if options.full or name not in FULL_ONLY]
    if "embedded" not in options.only:
        options.only.insert(0, "embedded")
    unknown = set(options.only) - set(ENGINES)
    if unknown:
        parser.error(f"no such engine: {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    work = pathlib.Path(tempfile.mkdtemp(prefix="headpond-conformance-"))
    bad = True
    try:
        table = run(options, work)
        bad = any(problems for _, _, problems, *_ in table)
        print(f"\n{'engine':<12} {'verdict':<12} {'seconds':>7} {'cpu':>5}  answers")
        for name, counts, problems, seconds, cpu in table:
            print(f"{name:<12} {('DIFFERENT' if counts else 'FAILED') if problems else 'equal':<12} {seconds:7.0f} {cpu:5.0f}  {counts}")
        print(f"conformance: seed {options.seed}, " + ("NOT the same answers" if bad else f"{len(table) - 1} engines, the same answers"))
    except Failed as error:
        print(error)
    finally:
        if bad or options.keep:
            print(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
