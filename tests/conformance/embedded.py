"""The answers of the embedded engines: the real binary over the recorded lake in a directory."""
import contextlib
import json
import pathlib
import shutil

import dumps
import recorded
from harness import Up, check, headpond, wait_until  # noqa: E402


def cursor(lake, branch):
    try:
        return json.loads(pathlib.Path(lake, "bronze/logs/_headpond/cursors", f"{branch}.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def consume(topology, lake, branch, command, version, log):
    """Runs one role until all of bronze is durably in its result."""
    role = Up(topology, log, command, arguments=["--branch", branch, "--data-dir", str(topology.parent / f"state-{branch}")])
    try:
        wait_until(lambda: cursor(lake, branch).get("durable_version", -1) >= version or not role.running(), 480, f"{branch} at version {version}; see {log}")
        check(role.running(), f"{command} ended by itself; see {log}")
    finally:
        if role.running():
            role.terminate()


@contextlib.contextmanager
def before_version(lake, version):
    """The log as it was before `version`: what came later lies aside meanwhile."""
    log = pathlib.Path(lake, "bronze/logs/_delta_log")
    aside = pathlib.Path(lake).parent / "later"
    aside.mkdir()
    for path in sorted(log.glob("*.json")):
        if int(path.stem) >= version:
            shutil.move(path, aside / path.name)
    try:
        yield
    finally:
        for path in aside.iterdir():
            shutil.move(path, log / path.name)
        aside.rmdir()


def bill_days(topology, lake, facts, environment=None, between=lambda: None):
    """The day that retention removes later is billed when it has closed, as a running system would have; `between` is called before the other one."""
    def bill(day):
        done = headpond("bill", "run", "-f", topology, "--day", day, env=environment, timeout=480)
        check(done.returncode == 0, f"bill of {day}: {(done.stdout + done.stderr).strip()}")

    with before_version(lake, facts["retention_version"]):
        bill(facts["retained_day"])
    between()
    bill(facts["closed_day"])


def answers(work, lake, facts, full, parts=("pager", "dashboard", "billing")):
    """Into work/answers; {part: (counts, problems)}."""
    topology, out, found = recorded.write_topology(work, lake, full), pathlib.Path(work, "answers"), {}
    if "pager" in parts:
        consume(topology, lake, recorded.PAGER, "pager", facts["version"], work / "pager.log")
        found["pager"] = dumps.pages(out, lake)
    if "dashboard" in parts:
        consume(topology, lake, recorded.DASHBOARD, "dashboard", facts["version"], work / "dashboard.log")
        found["dashboard"] = dumps.gold(out, lake)
    if "billing" in parts:
        bill_days(topology, lake, facts)
        found["billing"] = dumps.bills(out, lake, [facts["retained_day"], facts["closed_day"]])
    return found
