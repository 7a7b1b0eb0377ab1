"""The Flink job ended at each of its kill points: the process that reaches the point is armed, dies there, and starts again. `headpond notify` delivers all the
while. Then the outbox holds what the uninterrupted engine and the definition have, and the target heard each page once."""
import collections
import pathlib

from flink_harness import compare, finish, growing, run_cases, tool
from flink_pages import Delivery, busy_case, check_pages, wanted_pages
from harness import Failed, check, wait_until

TASKMANAGER = ["flink.bundle_emitted", "flink.before_outbox", "flink.after_outbox", "flink.in_snapshot", "flink.checkpoint_complete"]
JOBMANAGER = ["flink.version_given", "flink.tail_snapshot", "flink.tail_complete"]
VERSIONS_A_KILL, HOSTS = 14, 20
AHEAD = 5  # versions committed and not yet evaluated


class Killer:
    def __init__(self, cluster, branch, feeder, hits):
        self.cluster, self.branch, self.feeder, self.hits, self.job = cluster, branch, feeder, hits, None

    def lines(self):
        return self.hits.read_text().split() if self.hits.exists() else []

    def dead(self, point):
        return "killed:" + point in self.lines()

    def restart(self, process, failpoint=None):
        """`failpoint`: "name:count"; it may be reached before the tool has answered."""
        where = [self.cluster.directory, process] + ([1] if process == "taskmanager" else [])
        tool("flink", "kill", *where)
        env = {"HEADPOND_FAILPOINT_LOG": str(self.hits), "HEADPOND_FAILPOINT": failpoint or ""}
        try:
            tool("flink", "restart", *where, env=env)
        except Failed:
            if failpoint is None or not self.dead(failpoint.split(":")[0]):
                raise

    def resume(self, armed=None):
        """From the newest checkpoint. An armed JobManager may be gone before the client has its answer, so the job's id comes from a JobManager that lives."""
        try:
            self.job = self.cluster.submit(self.branch.document, 1, tool("flink", "resume", self.branch.checkpoints))
        except Failed:
            if armed is None or not wait_until(lambda: self.dead(armed), 20, "the client failed because the JobManager died at " + armed):
                raise

    def feed_until(self, condition, upto, what):
        """Commits on, never far ahead of what is evaluated."""
        def step():
            if condition():
                return True
            if self.feeder.at <= upto and self.feeder.at <= self.branch.cursor()["version"] + AHEAD:
                self.feeder.commit()
            return False

        wait_until(step, 120, what)

    def arm(self, point, count):
        self.restart(process_of(point), "%s:%d" % (point, count))
        if process_of(point) == "jobmanager":
            self.resume(armed=point)

    def kill_at(self, point, count, upto):
        self.arm(point, count)
        self.feed_until(lambda: self.dead(point), upto, "%s is reached %d times; %s" % (point, count, self.where()))

    def recover(self, process):
        self.restart(process)
        if process == "jobmanager":
            self.resume()
        self.branch.wait_for(self.feeder.at - 1, self.cluster, self.job, seconds=120)

    def where(self):
        return "cursor at %d, log at %d" % (self.branch.cursor()["version"], self.feeder.at - 1)


def process_of(point):
    return "taskmanager" if point in TASKMANAGER else "jobmanager"


def choose(rng, some, process):
    """All of them, or one of each process; those of one process behind each other, so that it is armed for the next as it starts again."""
    groups = [points for points in (TASKMANAGER, JOBMANAGER) if process in (None, process_of(points[0]))]
    rng.shuffle(groups)
    return [point for points in groups for point in rng.sample(points, 1 if some else len(points))]


def test_points(s3, cluster, rng, some, process=None):
    points = choose(rng, some, process)
    seed = rng.randrange(10**9)
    case = busy_case(seed, 8 + VERSIONS_A_KILL * len(points), HOSTS)
    stream = run_cases([case], s3.data)[0]["streams"][0]
    branch, feeder = growing(s3, case, stream, "points-%d" % seed)
    directory = pathlib.Path(cluster.directory).parent / ("points-%d" % seed)
    delivery = Delivery(branch, directory)
    killer = Killer(cluster, branch, feeder, directory / "hits")
    try:
        feeder.until(4)
        killer.job = cluster.submit(branch.document, 1)
        delivery.start()
        branch.wait_for(4, cluster, killer.job)
        wait_until(lambda: cluster.checkpoints(killer.job) > 0, 60, "a checkpoint")
        for number, point in enumerate(points):
            count = 1 + rng.randrange(3)
            killer.kill_at(point, count, 8 + VERSIONS_A_KILL * (number + 1))
            if number + 1 == len(points) or process_of(points[number + 1]) != process_of(point):
                killer.recover(process_of(point))
            print("  %s: died at hit %d, at version %d of %d" % (point, count, feeder.at - 1, feeder.last), flush=True)
        killer.feed_until(lambda: feeder.at > feeder.last, feeder.last, "the last version is committed")
        branch.wait_for(feeder.last, cluster, killer.job)
        wanted = wanted_pages(case)
        wait_until(lambda: len({p["request_key"] for p in delivery.pages()}) >= len(wanted), 60, "%d pages are heard" % len(wanted))
        cluster.cancel(killer.job)
        delivery.stop()
    finally:
        delivery.close()
    report(case, stream, points, killer, delivery)


def report(case, stream, points, killer, delivery):
    wanted = wanted_pages(case)
    repeats = check_pages(wanted, delivery.pages())
    check(repeats == 0, "%d pages were sent twice, though no notifier ended" % repeats)
    problems, made = compare(case, 0, stream, delivery.recorded())
    finish(problems)
    hits = collections.Counter(killer.lines())
    for point in points:
        print("  %-26s reached %5d   killed %2d" % (point, hits[point], hits["killed:" + point]), flush=True)
        check(hits["killed:" + point] > 0, "no process died at " + point)
    print("points: %d processes died at their points; %d settled transitions, equal to the uninterrupted run and the definition; the target heard %d pages, each once" %
          (len(points), made, len(wanted)), flush=True)
