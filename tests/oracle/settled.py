#!/usr/bin/env python3
"""settled.py SCRIPT ARGUMENTS…: runs a script and ends with its exit code, without what native libraries do at an interpreter's end: the threads that
deltalake, pyarrow and DuckDB bring with them abort there now and then, after the verdict."""
import os
import pathlib
import runpy
import sys
import traceback

sys.argv = sys.argv[1:]
sys.path[0] = str(pathlib.Path(sys.argv[0]).resolve().parent)
code = 0
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    if isinstance(end.code, str):
        print(end.code, file=sys.stderr)
except BaseException:
    traceback.print_exc()
    code = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
