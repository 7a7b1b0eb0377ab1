#!/usr/bin/env python3
"""compare.py A B [NAME…]: whether two directories of canonical answers say the same; prints counts and the first differences. Exit 1: not."""
import collections
import pathlib
import sys

SHOWN = 5


def differences(a, b, names):
    """Texts, none when all are equal. A file that is missing or empty in both is a difference: nothing was compared."""
    out = []
    for name in names:
        left, right = (collections.Counter(read(directory, name)) for directory in (a, b))
        if not left or not right:
            out.append(f"{name}: {sum(left.values())} lines in {a}, {sum(right.values())} in {b}")
            continue
        only_left, only_right = left - right, right - left
        if only_left or only_right:
            out.append(f"{name}: {sum((left & right).values())} equal, {sum(only_left.values())} only in {a}, {sum(only_right.values())} only in {b}")
            out += [f"  only {a}: {line}" for line in sorted(only_left)[:SHOWN]] + [f"  only {b}: {line}" for line in sorted(only_right)[:SHOWN]]
    return out


def read(directory, name):
    path = pathlib.Path(directory) / f"{name}.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def main():
    a, b, *names = sys.argv[1:]
    names = names or sorted({path.stem for directory in (a, b) for path in pathlib.Path(directory).glob("*.jsonl")})
    found = differences(a, b, names)
    print("\n".join(found) if found else ", ".join(f"{len(read(a, name))} {name}" for name in names) + ": equal")
    return 1 if found or not names else 0


if __name__ == "__main__":
    sys.exit(main())
