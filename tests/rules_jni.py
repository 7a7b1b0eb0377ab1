#!/usr/bin/env python3
"""rules_jni.py [--programs N] [--calls N] [--seed N]: the rule core answers a JVM as it answers C++, byte for byte: states, timers, counts, transitions,
over random programs. Prints what a call costs on both sides."""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "e2e"))
from flink_harness import oracle, run_cases  # noqa: E402
from harness import ROOT, Failed, Workspace, check  # noqa: E402

LIBRARIES = ROOT / "build" / "flink" / "lib"
CLASSPATH = "%s:%s/*" % (ROOT / "build" / "flink" / "headpond-pager.jar", LIBRARIES)
SOURCE = ROOT / "engines/flink/src/test/java/io/headpond/flink/pager/RuleCalls.java"


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    check(done.returncode == 0, "%s: %s" % (command[0], (done.stdout + done.stderr).strip()[:3000]))
    return done.stdout.strip()


def programs(rng, count, directory):
    cases = [oracle.random_case(rng.randrange(10**9), with_stalls=False) for _ in range(count)]
    for case in cases:
        case["streams"], case["crashes"] = case["streams"][:1], []
    for case, result in zip(cases, run_cases(cases, directory)):
        path = directory / ("%d.json" % case["seed"])
        path.write_text(json.dumps(result["streams"][0]["program"]))
        yield path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=3)
    parser.add_argument("--calls", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    costs = []
    with Workspace() as directory:
        run("javac", "-cp", CLASSPATH, "-d", directory / "classes", SOURCE)
        for program in programs(rng, options.programs, directory):
            calls = directory / "calls"
            cpp = float(run(ROOT / "build/tests/rule_calls", program, calls, options.calls, rng.randrange(2**32)))
            jvm = float(run("java", "-Xmx512m", "-Djava.library.path=%s" % LIBRARIES, "-cp", "%s:%s" % (directory / "classes", CLASSPATH),
                            "io.headpond.flink.pager.RuleCalls", program, calls).splitlines()[-1])
            costs.append((cpp, jvm))
    for cpp, jvm in costs:
        print(json.dumps({"name": "rules.advance.jni_over_cpp", "cpp_ns": round(cpp), "jvm_ns": round(jvm), "value": round(jvm / cpp, 2)}))
    print("rules jni: seed %d, %d programs, %d calls each, every answer the same" % (options.seed, options.programs, options.calls))


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        print("FAILED: %s" % failure)
        sys.exit(1)
