#!/usr/bin/env python3
"""Holds every #include in src/ against the layering of docs/ARCHITECTURE.md, and vendor headers against their owners.

Exit 1 and one line an offending include. `--self-test` plants a violation in memory and demands that it is found.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Folder -> folders it may include. Everybody sees itself.
LOW = {"base"}
SEES = {
    "base": set(),
    "env": LOW,
    "columns": LOW,
    "decode": LOW | {"columns"},
    "kafka": LOW,
    "lease": LOW | {"env"},
    "delta": LOW | {"env", "sql"},
    "bronze": LOW | {"env", "columns", "delta"},
    "sql": LOW | {"env"},
    "state": LOW | {"env"},
    "rules": LOW,
    "notify": LOW | {"env", "lease", "delta", "sql", "state", "rules"},
    "spec": LOW | {"rules"},
    "plan": LOW | {"spec"},
    "generate": LOW | {"env", "kafka"},
    "ingest": LOW | {"env", "columns", "decode", "kafka", "delta", "bronze", "spec"},
    "pager": LOW | {"env", "lease", "delta", "bronze", "sql", "state", "rules", "notify", "spec"},
    "dashboard": LOW | {"env", "lease", "delta", "bronze", "sql", "spec"},
    "billing": LOW | {"env", "lease", "delta", "bronze", "sql", "spec"},
    "deploy": LOW | {"env", "lease", "delta", "bronze", "rules", "notify", "spec", "plan"},
    "serve": LOW | {"env", "delta", "bronze", "sql", "spec"},
}
SEES["app"] = set(SEES) | {"app"}
SEES["sim"] = set(SEES) - {"app"} | {"sim"}  # beside src/: assembles the engines in a simulated world; nothing includes it
# Tests may also use the doubles and the writers of the layers below them.
TEST_EXTRA = {"env", "delta", "bronze", "columns", "sql", "state", "spec", "rules"}
VENDOR = {
    r"simdjson": {"decode"},
    r"librdkafka/": {"kafka"},
    r"duckdb": {"sql"},
    r"rocksdb/": {"state"},
    r"yaml-cpp/": {"spec"},
    r"zstd": {"bronze"},
    r"httplib": {"env", "serve"},
    r"CLI/": {"app"},
    r"re2/": {"rules"},
    r"prometheus/": {"app", "serve"},
    r"spdlog/": {"app"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def violations(files):
    """`files`: pairs (path relative to src, text)."""
    found = []
    for path, text in files:
        folder = path.parts[0]
        if folder not in SEES:
            found.append(f"src/{path}: folder '{folder}' is not in the layering; name what it may see in tests/layering.py and docs/ARCHITECTURE.md")
            continue
        allowed = SEES[folder] | {folder}
        if path.stem.endswith("_test") or path.stem.endswith("_cases"):
            allowed = allowed | TEST_EXTRA
        for quote, name in INCLUDE.findall(text):
            head = name.split("/")[0]
            if quote == '"' and "/" in name and head in SEES and head not in allowed:
                found.append(f"src/{path}: includes {name}; {folder} may see only: {', '.join(sorted(allowed))}")
            for pattern, owners in VENDOR.items():
                if re.match(pattern, name) and folder not in owners:
                    found.append(f"src/{path}: includes {name}; that library belongs to {', '.join(sorted(owners))}")
    return found


def main():
    if "--self-test" in sys.argv:
        planted = [(pathlib.PurePath("base/x.h"), '#include "bronze/writer.h"\n'), (pathlib.PurePath("pager/x.cpp"), "#include <duckdb.h>\n")]
        assert len(violations(planted)) == 2, "a planted violation was not found"
    places = [(p, ROOT / "src") for p in sorted((ROOT / "src").rglob("*"))] + [(p, ROOT) for p in sorted((ROOT / "sim").rglob("*"))]
    files = [(p.relative_to(base), p.read_text()) for p, base in places if p.suffix in (".h", ".cpp")]
    found = violations(files)
    print("\n".join(found) if found else f"layering: {len(files)} files, every include is allowed")
    return 1 if found else 0


sys.exit(main())
