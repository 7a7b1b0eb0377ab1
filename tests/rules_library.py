#!/usr/bin/env python3
"""The rule core's library runs wherever Flink does: it exports RuleCore's functions only, all of them, brings its C++ library along, and needs no
glibc above 2.34. rules_library.py build/src/rules/libheadpond_rules.so"""
import pathlib
import re
import subprocess
import sys

NEEDED = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}
GLIBC_MAX = (2, 34)
JAVA = pathlib.Path(__file__).resolve().parent.parent / "engines/flink/src/main/java/io/headpond/rules/RuleCore.java"


def main():
    library, problems = sys.argv[1], []
    dynamic = subprocess.run(["objdump", "-T", library], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1] for line in dynamic.splitlines() if re.match(r"^[0-9a-f]{16} ", line) and "*UND*" not in line}
    wanted = {"Java_io_headpond_rules_RuleCore_" + name for name in re.findall(r"native \S+ (\w+)\(", JAVA.read_text())}
    if exported != wanted:
        problems.append("exports %s too many and lacks %s" % (sorted(exported - wanted), sorted(wanted - exported)))
    versions = {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_(\d+\.\d+)", dynamic)}
    if max(versions) > GLIBC_MAX:
        problems.append("needs glibc %d.%d" % max(versions))
    headers = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.+)\]", headers))
    if needed - NEEDED:
        problems.append("needs %s" % sorted(needed - NEEDED))
    for problem in problems:
        print("rules library: " + problem)
    if not problems:
        print("rules library: %d functions, glibc %d.%d" % (len(exported), *max(versions)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
