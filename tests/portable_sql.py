#!/usr/bin/env python3
"""Holds the SQL of engines/dbt/models to what every engine computes alike: what is written differently, or rounds or orders differently, is a
macro of macros/headpond.sql or is not there. Exit 1 and one line a violation. `--self-test` plants each kind and demands that it is found.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECT = ROOT / "engines" / "dbt"
# All that a model may call. Everything else is some engine's own, or needs a macro.
FUNCTIONS = {"count", "sum", "max", "min", "cast", "coalesce", "in", "exists", "on", "and", "or", "not", "as", "from", "where", "union", "all", "when", "then", "else", "decimal"}
RULES = [  # (pattern, what is wrong)
    (r"\bavg\s*\(", "avg: an engine's own type and rounding; give sum and count"),
    (r"/(?!/)", "a division: scale and rounding differ; multiply by a constant, or use a macro"),
    (r"//|%|\bdiv\b|\bmod\b", "integer division or remainder: written differently; use a macro"),
    (r"\bconcat\w*\s*\(", "concat: treats NULL differently; use ||"),
    (r"::", "`::` is DuckDB's cast; write CAST"),
    (r"\b(DOUBLE|FLOAT|REAL)\b", "floating point in a bill"),
    (r"\bround\s*\(", "round: rounds once, at the end, in hp_amount only"),
    (r"\b(QUALIFY|EXCEPT|EXCLUDE|ASOF|FILTER|LIMIT|USING|LATERAL|PIVOT)\b", "a clause that not every engine has"),
    (r"\bSELECT\s+\*", "SELECT *: a column more in a source would change the result; name the columns"),
    (r'[`"]', "a quoted identifier: the engines quote differently"),
    (r"\b(now|current_date|current_timestamp|random|uuid)\b", "another result at each run"),
]


def bare(text):
    """Without comments, text literals and templates; templates' inner sums are seen to be cast by the macro around them."""
    text = re.sub(r"--[^\n]*|{#.*?#}", " ", text, flags=re.S)
    text = re.sub(r"{{.*?}}", " template ", text, flags=re.S)
    return re.sub(r"'[^']*'", "''", text)


def violations(name, text):
    plain, found = bare(text), []
    for pattern, why in RULES:
        for match in re.finditer(pattern, plain, re.I):
            found.append(f"{name}: {match[0].strip()}: {why}")
    for match in re.finditer(r"\b([a-z_]\w*)\s*\(", plain, re.I):
        if match[1].lower() not in FUNCTIONS:
            found.append(f"{name}: {match[1]}(): not among the portable functions; use a macro")
    for match in re.finditer(r"(cast\s*\(\s*)?\b(sum|count)\s*\(", plain, re.I):
        if not match[1]:
            found.append(f"{name}: a bare {match[2]}(): its type is each engine's own; hp_bigint or hp_scaled around it")
    for match in re.finditer(r"\bORDER\s+BY\s+([^)]*)", plain, re.I):
        keys = [key.strip() for key in match[1].split(",")]
        for key in keys:  # the result's own order is by columns that are never null; anywhere else it must say where nulls go
            if not re.fullmatch(r"(tenant|service|slot|item|tier)", key) and not re.search(r"NULLS\s+(FIRST|LAST)", key, re.I):
                found.append(f"{name}: ORDER BY {key}: say NULLS FIRST or NULLS LAST")
    return found


def macro_violations(text):
    """Each dispatching macro has a default body; a Spark body where the default one is DuckDB's own."""
    found = []
    names = set(re.findall(r"{%\s*macro\s+(\w+)\(", text))
    for name in sorted(n for n in names if "__" not in n):
        if f"default__{name}" not in names:
            found.append(f"macros: {name} has no default__ body")
    for name, body in re.findall(r"{%\s*macro\s+default__(\w+)\([^)]*\)\s*%}(.*?){%\s*endmacro", text, re.S):
        if re.search(r"//|::|\b(epoch_\w+|list_\w+|strftime|hugeint)\b", bare(body), re.I) and f"spark__{name}" not in names:
            found.append(f"macros: default__{name} is DuckDB's own and there is no spark__{name}")
    return found


PLANTED = [
    "SELECT avg(bytes) AS a FROM t", "SELECT amount / quantity AS a FROM t", "SELECT a % 2 AS b FROM t", "SELECT concat(a, b) AS c FROM t",
    "SELECT a::INTEGER AS b FROM t", "SELECT CAST(a AS DOUBLE) AS b FROM t", "SELECT round(a, 2) AS b FROM t", "SELECT a FROM t QUALIFY a > 1",
    "SELECT * FROM t", 'SELECT "a" FROM t', "SELECT epoch_us(a) AS b FROM t", "SELECT sum(a) AS b FROM t", "SELECT a FROM t ORDER BY amount",
    "SELECT a FROM t WHERE a < current_date", "SELECT a FROM t LIMIT 3",
]
PLANTED_MACROS = ["{% macro hp_a(x) %}{{ x }}{% endmacro %}", "{% macro default__hp_a(x) %}epoch_ms({{ x }}){% endmacro %}"]


def main():
    if "--self-test" in sys.argv:
        for sql in PLANTED:
            assert violations("planted", sql), f"a planted violation was not found: {sql}"
        for text in PLANTED_MACROS:
            assert macro_violations(text), f"a planted violation was not found: {text}"
        assert not violations("good", "SELECT tenant, CAST(sum(bytes) AS BIGINT) AS b FROM t -- avg(x) / 2\nGROUP BY tenant ORDER BY tenant")
    found, files = macro_violations((PROJECT / "macros" / "headpond.sql").read_text()), sorted((PROJECT / "models").glob("*.sql"))
    for path in files:
        found += violations(path.relative_to(ROOT), path.read_text())
    print("\n".join(found) or f"portable SQL: {len(files)} models, {len(PLANTED) + len(PLANTED_MACROS)} planted violations found")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
