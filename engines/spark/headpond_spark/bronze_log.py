"""What bronze's log says about its versions: ranges with their rows and gaps, clocks, stalled partitions. docs/formats/bronze.md."""
import json
import threading

from . import log_checkpoint
from .lake import Missing

FORMAT = 1


class NewerFormat(Exception):
    """Bronze was written by a newer Headpond."""


def check_format(facts, what):
    if facts.get("format", FORMAT) > FORMAT:
        raise NewerFormat(f"{what} has format {facts['format']}, this engine reads {FORMAT}; install Headpond {facts.get('needs', 'that wrote it')} or later")


def schema_of(metadata):
    """{column: Delta type}"""
    return {field["name"]: field["type"] for field in json.loads(metadata["schemaString"])["fields"]}


class BronzeLog:
    """Folds the log version by version, from a checkpoint of it or from version 0 on; `clocks`, `stalled`, `ranges` and `smallest_clock()` are as of
    `version`. The driver's own thread and the one that runs a batch both ask it: each public method but smallest_clock() holds the lock."""

    def __init__(self, objects, root):
        self.objects, self.root = objects, root
        self.lock = threading.RLock()
        self._reset()

    def _reset(self):
        self.begun = self.version = -1
        self.source = None
        self.clocks = {}    # (source, partition) → µs, of the partitions in force; None = has none yet
        self.stalled = set()
        self.ranges = {}    # (source, partition) → [(first, last, rows, version)], rising
        self.schema = {}    # column → Delta type
        self.smallest = {}  # version → smallest clock as of it, µs or None; from the one last asked for on

    def begin(self, after=None):
        """Stands where a reader that has consumed all up to `after` (None: one that wants only the newest) can go on with advance().

        Not None: the log behind `after` was cleaned; these are the facts of the checkpoint at which it stands now, and what lies between is to be read
        from that checkpoint's files."""
        with self.lock:
            if self.begun >= 0 and (after is None or self.begun <= after):
                return None
            self._reset()
            entries = log_checkpoint.versions(self.objects, f"{self.root}/_delta_log")
            if not entries:
                return None
            facts, gap = log_checkpoint.newest(self.objects, self.root, after), None
            if (facts["version"] if facts else -1) + 1 < entries[0]:
                facts = gap = log_checkpoint.over_gap(self.objects, self.root, -1 if after is None else after)
            if facts:
                self._stand_at(facts)
            self.begun = max(self.version, 0)
            return gap

    def _stand_at(self, facts):
        check_format(facts, f"the checkpoint of bronze version {facts['version']}")
        self.version, table = facts["version"], facts["table"]
        self.schema = schema_of(facts["metaData"])
        topic = table["topics"][-1] if table.get("topics") else None
        self.source = f"{topic['name']}@{topic['generation']}" if topic else None
        for source, partitions in table["partitions"].items():
            for p in partitions:
                if p.get("in_force", True):
                    self.clocks[source, p["partition"]] = p.get("clock")
                if "stalled" in p:
                    self.stalled.add((source, p["partition"]))
        self.smallest[self.version] = self.smallest_clock()

    def advance(self):
        """Reads what has been committed since."""
        with self.lock:
            while True:
                try:
                    text = self.objects.get(f"{self.root}/_delta_log/{self.version + 1:020d}.json")
                except Missing:
                    return
                self._fold(self.version + 1, [json.loads(line) for line in text.splitlines() if line.strip()])
                self.version += 1
                self.smallest[self.version] = self.smallest_clock()

    def _fold(self, version, actions):
        facts = {}
        for action in actions:
            if "metaData" in action:
                self.schema = schema_of(action["metaData"])
            facts = action.get("commitInfo", {}).get("headpond", facts)
        check_format(facts, f"bronze version {version}")
        inherited = self.smallest_clock()
        for source, partitions in facts.get("partitions", {}).items():
            if source != self.source:
                self.source, self.clocks, self.stalled, inherited = source, {}, set(), None
            for partition in partitions:
                self.clocks[source, partition] = inherited
        for batch in facts.get("batches", []):
            for partition, _, first, last, rows, *_ in batch["ranges"]:
                where = batch["source"], partition
                self.ranges.setdefault(where, []).append((first, last, rows, version))
                self.stalled.discard(where)
        for source, clocks in facts.get("clocks", {}).items():
            for partition, micros, _ in clocks:
                self.stalled.discard((source, partition))
                if (source, partition) in self.clocks:
                    self.clocks[source, partition] = max(self.clocks[source, partition] or 0, micros)
        for source, partitions in facts.get("stalled", {}).items():
            self.stalled.update((source, partition) for partition, _ in partitions)

    def smallest_clock(self):
        """Of the partitions in force that are not stalled, µs; None: there is none, or one of them has no clock."""
        clocks = [clock for where, clock in self.clocks.items() if where not in self.stalled]
        return min(clocks) if clocks and all(clock is not None for clock in clocks) else None

    def clock_at(self, version):
        """smallest_clock() as of `version`, which is none before the one asked for last."""
        with self.lock:
            for old in [v for v in self.smallest if v < version]:
                del self.smallest[old]
            return self.smallest.get(version)

    def covered(self, before, highest):
        """The vector a batch ends at whose rows beyond `before` reach up to `highest` by partition, and how many rows that is.

        A file ends where a range ends, so whole ranges are covered; ranges without rows (gaps) behind the last one belong to it."""
        after, expected = dict(before), 0
        with self.lock:
            ranges_by_partition = list(self.ranges.items())
        for where, ranges in ranges_by_partition:
            done = before.get(where, -1)
            for _, last, rows, _ in ranges:
                if last <= done:
                    continue
                if rows > 0 and last > highest.get(where, -1):
                    break
                done = last
                expected += rows
            if done >= 0:
                after[where] = done
        return after, expected

    def reached(self, vector):
        """The newest version of which, and of all before it, no row lies beyond `vector`."""
        with self.lock:
            beyond = [version for where, ranges in self.ranges.items() for _, last, rows, version in ranges
                      if rows > 0 and last > vector.get(where, -1)]
            return min(beyond) - 1 if beyond else self.version

    def forget(self, vector):
        """Drops ranges up to `vector`: what a batch has covered is asked for no more."""
        with self.lock:
            for where, ranges in self.ranges.items():
                self.ranges[where] = [r for r in ranges if r[1] > vector.get(where, -1)]
