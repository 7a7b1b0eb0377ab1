#!/usr/bin/env python3
"""The rule core's library runs wherever Flink does: it exports RuleCore's functions only, all of them, brings the C++ library along,
and needs no glibc above 2.34. rules_library.py build/src/rules/libheadpond_rules.so; before that, a planted library that breaks all three must be refused."""
import pathlib
import re
import subprocess
import sys
import tempfile

NEEDED = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}
GLIBC_MAX = (2, 34)
JAVA = pathlib.Path(__file__).resolve().parent.parent / "engines/flink/src/main/java/io/headpond/rules/RuleCore.java"
PLANTED = "unsigned int arc4random(void);\ndouble cbrt(double);\nint planted(void) { return (int)(arc4random() + cbrt(2)); }\n"  # glibc 2.36


def look(library):
    """What is wrong with it; and what it exports and needs."""
    problems = []
    dynamic = subprocess.run(["objdump", "-T", library], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1] for line in dynamic.splitlines() if re.match(r"^[0-9a-f]{16} ", line) and "*UND*" not in line}
    wanted = {"Java_io_headpond_rules_RuleCore_" + name for name in re.findall(r"native \S+ (\w+)\(", JAVA.read_text())}
    if exported != wanted:
        problems.append("exports %s too many and lacks %s" % (sorted(exported - wanted), sorted(wanted - exported)))
    newest = max(tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_(\d+\.\d+)", dynamic))
    if newest > GLIBC_MAX:
        problems.append("needs glibc %d.%d" % newest)
    headers = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.+)\]", headers))
    if needed - NEEDED:
        problems.append("needs %s" % sorted(needed - NEEDED))
    return problems, len(exported), newest


def planted():
    """Words that lack in the verdict about a library that is wrong in every respect."""
    with tempfile.TemporaryDirectory() as directory:
        source, library = pathlib.Path(directory, "planted.c"), pathlib.Path(directory, "planted.so")
        source.write_text(PLANTED)
        subprocess.run(["cc", "-fno-builtin", "-shared", "-fPIC", "-o", library, source, "-Wl,--no-as-needed", "-lresolv"], check=True)
        verdict = "; ".join(look(str(library))[0])
    return [word for word in ("exports ['planted'] too many", "needs glibc 2.36", "libresolv.so.2") if word not in verdict]


def main():
    missed = planted()
    if missed:
        print("rules library: the planted library was not refused for: %s" % missed)
        return 1
    problems, exported, newest = look(sys.argv[1])
    for problem in problems:
        print("rules library: " + problem)
    if not problems:
        print("rules library: %d functions, glibc %d.%d; a planted library is refused" % (exported, *newest))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
