#!/usr/bin/env python3
"""consumers.py [--soak] [--kills N] [--rounds N] [--seed N] [NAME…]: several `headpond ingest` on one topic of a real Kafka.

kills      ingesters of one consumer group under load, killed at each failpoint of ingest (in the middle of a multipart upload and of a rebalance
           too) and at random, the broker restarted among it, transactions aborted all along; at the same time on a directory whose disk is full now and
           then, and on S3, by members of one and of two lanes, where a proxy spoils a share of the requests (503, slow, connection reset, carried out and the answer lost).
           Round r has seed + 100 r
expired    members killed while they go on over records that retention has deleted unread (--accept-loss)
paused     a member stands still beyond session.timeout.ms, another takes over, it goes on
instance   group.instance.id: a member that comes back in time keeps its partitions; a second process with its id ends the first with one clear line
elastic    a second and a third member join and leave, partitions are added, all under load
static     two instances; one is killed, the other names its partitions; a mistaken start is one clear line
start      `start:` a time, and `--until-end`
cut        the broker's log is cut below the table's position and written anew

The oracle is a separate consumer of the topic against the rows that deltalake, DuckDB and pyarrow read. Prints hits and kills per failpoint;
one without its kills is a failure. Exit 1 with the first thing that is wrong."""
import argparse
import datetime
import json
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import confluent_kafka
import confluent_kafka.admin
import deltalake

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from fleet import FAILPOINTS, PARTITIONS, SESSION, Disk, Fleet, Restarts, Traffic, World, ended_at, facts, hold_against_topic, read_by, table_of, until_end, writers  # noqa: E402
from harness import BINARY, Up, check, headpond, headpond_json, oracle, wait_until  # noqa: E402
from ingest import gap_kinds  # noqa: E402
from s3 import S3, Proxy  # noqa: E402


class Party:
    """One store's fleet under traffic, on a thread of its own; its first failure ends the other's wait too."""

    def __init__(self, world, name, location, table, seed, env, restarts, disk=None, lanes=1):
        self.world, self.name, self.restarts, self.env, self.error = world, name, restarts, env, None
        world.create(name)
        self.fleet = Fleet(world, name, location, table, world.options.kills, seed, env, disk, lanes)
        self.thread = threading.Thread(target=self.guarded, args=(seed,), daemon=True)
        self.thread.start()

    def guarded(self, seed):
        try:
            self.play(seed)
        except BaseException as error:  # noqa: BLE001
            self.error = f"{self.name}: {error}"
            self.restarts.barrier.abort()

    def play(self, seed):
        fleet = self.fleet
        self.traffic = Traffic(self.world, fleet.topology, self.name, 300, seed, fleet.wants_large)
        try:
            fleet.run(self.restarts)
        finally:
            self.traffic.end()
            for member in fleet.live:
                member["up"].kill()
        wait_until(lambda: headpond("ingest", "-f", fleet.topology, "--until-end", env=self.env, timeout=180).returncode == 0, 240, f"{self.name}: ingest --until-end ends with exit 0")

    def hold(self, env):
        fleet, table = self.fleet, self.fleet.table
        fleet.report()
        check(len(writers(table)) > 2, f"{self.name}: only {len(writers(table))} ingesters have committed rows")
        check({"control", "aborted"} <= gap_kinds(table), f"{self.name}: gaps of kinds {gap_kinds(table)} only")
        print(f"    {len(facts(table))} versions by {len(writers(table))} writers, {self.traffic.aborted} transactions aborted, {self.traffic.large} records of 9 MB, "
              f"{fleet.unstarted} starts failed, broker killed {self.restarts.count} time")
        hold_against_topic(self.world, fleet.topology, self.name, table, env=env)


def kill_round(world, number, seed, s3, proxy):
    restarts, end = Restarts(world.kafka, 2), f"-{number}" if number else ""
    directory, bucket = world.directory / f"on-directory{end}", world.directory / "s3" / "data" / "lake"
    disk = Disk(directory / "lake")
    try:
        parties = [Party(world, directory.name, "lake/bronze/logs", directory / "lake" / "bronze" / "logs", seed, {}, restarts, disk, 1 + seed // 100 % 2),
                   Party(world, f"on-s3{end}", f"s3://lake/r{number}/logs", bucket / f"r{number}" / "logs", seed + 1, {**s3.env, "AWS_ENDPOINT_URL": proxy.url}, restarts, lanes=2 - seed // 100 % 2)]
        for party in parties:
            party.thread.join()
        check(not any(party.error for party in parties), "; ".join(party.error for party in parties if party.error))
        parties[0].hold({})
        full = parties[0].fleet.log.read_text().lower().count("no space left")
        print(f"    disk full {disk.fills} times, said in {full} lines")
        check(full > 0, "the full disk was met by nobody")
        parties[1].hold(s3.env)
    finally:
        disk.close()


def kills(world):
    options = world.options
    s3 = S3(world.directory / "s3")
    proxy = Proxy(s3.endpoint, options.faults, options.seed)
    try:
        for number in range(options.rounds):
            seed = options.seed + 100 * number
            print(f" round {number}, seed {seed}", flush=True)
            kill_round(world, number, seed, s3, proxy)
        print(f"  store: {proxy.requests} requests, spoilt: " + ", ".join(f"{kind} {proxy.hits[kind]}" for kind in Proxy.KINDS))
        check(all(proxy.hits[kind] for kind in Proxy.KINDS), f"spoilt requests by kind: {dict(proxy.hits)}")
    finally:
        proxy.close()
        s3.stop()


def expire(world, topic, table, chance, lost):
    """Deletes what the table has not read of some partitions, a part of it or all; nobody is reading."""
    ended, ends = ended_at(table), {}
    asked = {confluent_kafka.TopicPartition(topic, partition): confluent_kafka.admin.OffsetSpec.latest() for partition in chance.sample(range(PARTITIONS), 3)}
    for target, future in world.admin.list_offsets(asked).items():
        position, end = ended.get(target.partition, -1) + 1, future.result().offset
        if end - position >= 2:
            ends[target.partition] = chance.randrange(position + 1, end + 1)
            lost.update((target.partition, offset) for offset in range(position, ends[target.partition]))
    for partition, offset in ends.items():  # one a call: of several the client library's answer damages its memory
        (future,) = world.admin.delete_records([confluent_kafka.TopicPartition(topic, partition, offset)]).values()
        future.result()
    return len(ends)


def expired(world):
    name, chance, lost, killed, expiries = "expired", random.Random(world.options.seed), set(), 0, 0
    world.create(name)
    topology = world.topology(name, "start: earliest, assignment: group")
    table, log, earlier, hits = table_of(topology), topology.parent / "ingest.log", topology.parent / "earlier", topology.parent / "failpoints"
    producer = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap})

    def produce():
        for n in range(600):
            producer.produce(name, json.dumps({"tenant": "t", "n": n}).encode(), partition=n % PARTITIONS)
        check(producer.flush(30) == 0, "600 records are produced")

    def lose():
        oracle("bronze_equals_topic.py", world.kafka.bootstrap, name, table, "--dump", earlier)  # what is lost is known from here
        return expire(world, name, table, chance, lost)

    produce()
    until_end(topology)
    rounds = ["ingest.before_data_put", "ingest.after_data_put", "ingest.after_log_put", "ingest.mid_assign"] * (3 if world.options.soak else 2)  # two members die in each
    chance.shuffle(rounds)
    for failpoint in rounds:
        produce()
        expiries += lose()
        env = {"HEADPOND_FAILPOINT": f"{failpoint}:{chance.randrange(1, 3) if 'mid_' not in failpoint else 1}", "HEADPOND_FAILPOINT_LOG": str(hits)}
        members = [Up(topology, log, "ingest", env=env, arguments=["--accept-loss"]) for _ in range(2)]
        begun, produced = time.monotonic(), time.monotonic()
        while any(member.running() for member in members):
            check(time.monotonic() - begun < 90, f"nobody dies at {failpoint}; see {log}")
            if time.monotonic() - produced > 1:
                produce()
                produced = time.monotonic()
            threading.Event().wait(0.05)
        for member in members:
            member.kill()
            check(member.process.returncode == -9, f"a member that was to die at {failpoint} ended with {member.process.returncode}; see {log}")
        killed += len(members)
    refused = headpond("ingest", "-f", topology, "--until-end", timeout=180) if lose() else None
    check(refused is None or (refused.returncode == 2 and "--accept-loss" in refused.stderr), f"without --accept-loss: {refused and refused.stderr}")
    until_end(topology, "--accept-loss")
    check("retention (accepted)" in gap_kinds(table), f"gaps: {gap_kinds(table)}")
    (topology.parent / "lost.json").write_text(json.dumps(sorted(lost)))
    print(f"  {killed} kills at {len(set(rounds))} points, {expiries} partitions expired, {len(lost)} records lost; reached: "
          + ", ".join(f"{point} {hits.read_text().split().count(point)}" for point in sorted(set(rounds))))
    hold_against_topic(world, topology, name, table, "--earlier", earlier, "--lost", topology.parent / "lost.json")


def cursors(topology):
    """Of the ingesters, by name."""
    return {cursor["branch"]: cursor for cursor in headpond_json("status", "-f", topology)["branches"] if cursor["kind"] == "ingest"}


def named(topology, *names):
    """A condition: these ingesters have a cursor and run, and no other is left."""
    return lambda: {name: cursor["verdict"] for name, cursor in cursors(topology).items()} == dict.fromkeys(names, "running")


def paused(world):
    world.create("paused")
    chance = random.Random(world.options.seed)
    topology = world.topology("paused", "start: earliest, assignment: group, lanes: 2")
    table, log = table_of(topology), topology.parent / "ingest.log"
    fenced = lambda: max((cursor["figures"]["fenced"] for cursor in cursors(topology).values()), default=0)
    traffic = Traffic(world, topology, "paused", 300, 5)
    members, most = [Up(topology, log, "ingest") for _ in range(2)], 0
    try:
        wait_until(lambda: (table / "_delta_log").is_dir() and len(read_by(table)) == 2, 60, "both members commit")
        for turn in range(16):
            if turn >= 4 and most > 0:  # of four, one at least as a rule met rows not yet committed
                break
            threading.Event().wait(chance.uniform(0, 0.5))  # a random moment of its commit interval
            still = members[turn % 2].process
            still.send_signal(signal.SIGSTOP)
            since = len(facts(table)) + 2
            try:
                wait_until(lambda: any(len(read) == PARTITIONS for read in read_by(table, since).values()), 60, "the other member reads everything")
            finally:
                still.send_signal(signal.SIGCONT)
            # The one that stood still finds out from the table, or from the group, whichever is first; what it had read and not committed it drops.
            since = len(facts(table)) + 2

            def go_on():
                nonlocal most
                most = max(most, fenced())
                return len([1 for read in read_by(table, since).values() if read]) == 2

            wait_until(go_on, 60, "both commit again")
            check(all(member.running() for member in members), f"a member ended by itself; see {log}")
            most = max(most, fenced())
        check(most > 0, f"none of {turn + 1} pauses made a member drop what it had read")
    finally:
        traffic.end()
        codes = [member.terminate() for member in members]
    check(codes == [0, 0], f"SIGTERM: {codes}; see {log}")
    until_end(topology)
    print(f"  {turn} pauses beyond session.timeout.ms, up to {most:.0f} batches dropped by one member")
    hold_against_topic(world, topology, "paused", table)


def instance(world):
    world.create("instance")
    client = SESSION.replace('"2000"', '"20000"') + ', group.instance.id: "${INSTANCE}"'
    topology = world.topology("instance", "start: earliest, assignment: group", client=client)
    table, folder = table_of(topology), topology.parent
    start = lambda name, log: Up(topology, folder / f"{log}.log", "ingest", env={"INSTANCE": name, "HEADPOND_FAILPOINT_LOG": str(folder / f"{log}.points")})
    rebalances = lambda log: sum("mid_" in line for line in (folder / f"{log}.points").read_text().split())
    traffic = Traffic(world, topology, "instance", 300, 6)
    members = {name: start(name, name) for name in ("host-1", "host-2")}
    try:
        wait_until(lambda: (table / "_delta_log").is_dir() and len(read_by(table, -6)) == 2, 60, "both members commit")
        before = rebalances("host-2")
        members["host-1"].kill()
        since = len(facts(table))
        members["host-1"] = start("host-1", "again")
        wait_until(lambda: len(read_by(table, since)) == 2 and set().union(*read_by(table, since).values()) == set(range(PARTITIONS)), 15, "the member that came back reads what it had")
        check(rebalances("host-2") == before, "the other member was asked to rebalance")
        second = start("host-1", "second")
        try:
            members["host-1"].process.wait(40)
        except subprocess.TimeoutExpired:
            raise harness.Failed(f"two processes with one group.instance.id: the first goes on; see {folder}") from None
        said = next((line for line in (folder / "again.log").read_text().splitlines() if "group.instance.id" in line), "nothing of it")
        check(members["host-1"].process.returncode == 2 and "another ingester has joined with the same" in said, f"exit {members['host-1'].process.returncode}: {said}")
        print(f"  {said}")
        members["host-1"] = second
        since = len(facts(table))
        wait_until(lambda: len(read_by(table, since)) == 2, 60, "the second goes on in its place")
    finally:
        traffic.end()
        codes = [member.terminate() for member in members.values()]
    check(codes == [0, 0], f"SIGTERM: {codes}; see {folder}")
    until_end(world.topology("instance", "start: earliest"))
    hold_against_topic(world, topology, "instance", table)


def active_writers(table, since):
    return set(read_by(table, since))


def elastic(world):
    world.create("elastic", 3)
    topology = world.topology("elastic", "start: earliest, assignment: group, group: elastic-readers, lanes: 2")
    table, log = table_of(topology), topology.parent / "ingest.log"
    traffic = subprocess.Popen([BINARY, "generate", "-f", str(topology), "-n", "100000000", "--rate", "300", "--seed", "7"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    more = None
    members = [Up(topology, log, "ingest")]
    try:
        def committing(count):
            def seen():
                check(all(m.running() for m in members), f"a member ended by itself; see {log}")
                # Each of the last versions says which ingester wrote it; a member counts once its rows are there.
                return len(active_writers(table, -count * 6)) >= count if (table / "_delta_log").is_dir() else False
            return seen

        wait_until(committing(1), 60, "the first member commits")
        members.append(Up(topology, log, "ingest"))
        wait_until(committing(2), 60, "both members commit")
        for future in world.admin.create_partitions([confluent_kafka.admin.NewPartitions("elastic", 6)]).values():
            future.result()
        more = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap})
        for n in range(300):
            more.produce("elastic", b'{"tenant":"late"}', partition=3 + n % 3)
        more.flush(30)
        members.append(Up(topology, log, "ingest"))
        covered = lambda: {r[0] for fact in facts(table) for batch in fact.get("batches", []) for r in batch["ranges"]}
        wait_until(lambda: covered() >= set(range(6)), 60, "the partitions that were added are read")
        first = members.pop(0)
        check(first.terminate() == 0, f"SIGTERM did not end the first member cleanly; see {log}")
        left = len(facts(table))
        wait_until(lambda: len(active_writers(table, left)) >= 2, 60, "the two that stay go on")
        wait_until(lambda: len(cursors(topology)) == 2 and named(topology, *cursors(topology))() and "ingest" in cursors(topology), 60, lambda: f"each of the two has a cursor, and none is left of the third: {cursors(topology)}")
    finally:
        traffic.terminate()
        traffic.wait(30)
        for member in members:
            check(member.terminate() == 0, f"SIGTERM did not end a member cleanly; see {log}")
    until_end(topology)
    hold_against_topic(world, topology, "elastic", table)


def stalled_now(table):
    standing = {}
    for fact in facts(table):
        for source, pairs in fact.get("stalled", {}).items():
            standing.update(dict(pairs))
        moved = {r[0] for batch in fact.get("batches", []) for r in batch["ranges"]} | {c[0] for pairs in fact.get("clocks", {}).values() for c in pairs}
        for partition in moved:
            standing.pop(partition, None)
    return standing


def static(world):
    world.create("static", 4)
    topology = world.topology("static", "start: latest")
    table, log = table_of(topology), topology.parent / "ingest.log"
    for arguments, words in ((["--instance", "2/2"], "expected i/K"), (["--partitions", "x"], "such as 0-3,7")):
        done = headpond("ingest", "-f", topology, *arguments)
        check(done.returncode != 0 and words in done.stderr, f"{arguments}: exit {done.returncode}: {done.stderr}")
    grouped = world.topology("static", "assignment: group")
    done = headpond("ingest", "-f", grouped, "--instance", "0/2")
    check(done.returncode != 0 and "the group deals out the partitions" in done.stderr, f"exit {done.returncode}: {done.stderr}")
    world.topology("static", "start: latest")
    # Both at once on a table that is not there yet.
    members = [Up(topology, log, "ingest", arguments=["--instance", "0/2"]), Up(topology, log, "ingest", env={"HEADPOND_INSTANCE": "1/2"})]
    try:
        wait_until(lambda: (table / "_delta_log").is_dir() and len(facts(table)) > 4, 60, "the table is there")
        made = headpond("generate", "-f", topology, "-n", 2000)
        check(made.returncode == 0, made.stderr)
        wait_until(lambda: len(writers(table)) == 2, 60, "both instances commit rows")
        wait_until(named(topology, "ingest", "ingest-1"), 30, lambda: f"each instance has a cursor: {cursors(topology)}")
        members[1].kill()
        wait_until(lambda: set(stalled_now(table)) == {1, 3}, 60, "the live instance names the other's partitions")
        check(set(stalled_now(table).values()) == {"no owner"}, f"named {stalled_now(table)}")
        check(members[0].running(), f"the live instance ended; see {log}")
        members[1] = Up(topology, log, "ingest", arguments=["--partitions", "1,3"])
        wait_until(lambda: not stalled_now(table), 60, "they are not stalled any more")
    finally:
        codes = [member.terminate() for member in members]
    check(codes == [0, 0], f"SIGTERM: {codes}")
    for instance in ("0/2", "1/2"):
        until_end(topology, "--instance", instance)
    hold_against_topic(world, topology, "static", table)


def start(world):
    world.create("start", 2)
    producer = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap})
    now = int(time.time() * 1000)
    for n in range(100):
        producer.produce("start", b'{"tenant":"old"}', partition=n % 2, timestamp=now - 7200_000 + n)
    for n in range(30):
        producer.produce("start", b'{"tenant":"new"}', partition=0, timestamp=now - 600_000 + n)  # partition 1 has nothing as new
    producer.flush(30)
    moment = datetime.datetime.fromtimestamp(now / 1000 - 3600, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    topology = world.topology("start", f"start: {moment}")
    until_end(topology)
    rows = deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=["tenant", "kafka_partition", "kafka_offset"]).to_pylist()
    check({(r["kafka_partition"], r["kafka_offset"]) for r in rows} == {(0, 50 + n) for n in range(30)}, f"rows: {len(rows)}, from offset {min(r['kafka_offset'] for r in rows) if rows else None}")
    check(gap_kinds(table_of(topology)) == {"before start"}, f"gaps: {gap_kinds(table_of(topology))}")
    producer.produce("start", b'{"tenant":"old but after"}', partition=1, timestamp=now - 9000_000)
    producer.flush(30)
    until_end(topology)
    check(deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=["bytes"]).num_rows == 31, "the record behind the start is read, whatever its time")
    audit = headpond("audit", "-f", topology, "--deep")
    check(audit.returncode == 0, f"audit --deep: {audit.stdout}{audit.stderr}")
    refused = headpond("ingest", "-f", world.topology("start", "start: 2999-01-01T00:00:00Z", folder="later"))
    check(refused.returncode == 2 and "lies in the future; say latest" in refused.stderr, f"a start in the future: exit {refused.returncode}: {refused.stderr}")
    print(f"  start: {moment}: 30 rows and 1, the rest a declared gap; --until-end ends with exit 0")


def cut(world):
    world.create("cut", 1)
    topology = world.topology("cut", "start: earliest")
    made = headpond("generate", "-f", topology, "-n", 500, "--rate", 1000)  # in many batches
    check(made.returncode == 0, made.stderr)
    until_end(topology)
    world.kafka.stop("kill")
    # What an unclean election does: the log's tail is gone, and its offsets are given out anew.
    (segment,) = (pathlib.Path(world.kafka.directory) / "data" / "cut-0").glob("*.log")
    with open(segment, "r+b") as log:
        log.truncate(segment.stat().st_size // 2)
    world.kafka.start_again()
    short = headpond("ingest", "-f", topology, timeout=60)
    check(short.returncode == 2 or short.returncode == 1, f"exit {short.returncode}: {short.stderr}")
    check("the table is at offset 499, the broker's log ends at" in short.stderr and "`generation:` one higher" in short.stderr, f"said: {short.stderr}")
    made = headpond("generate", "-f", topology, "-n", 2000, "--seed", 9)
    check(made.returncode == 0, made.stderr)
    anew = headpond("ingest", "-f", topology, timeout=60)
    check(anew.returncode == short.returncode and "was cut below that and written anew" in anew.stderr, f"exit {anew.returncode}: {anew.stderr}")
    rows = deltalake.DeltaTable(str(table_of(topology))).to_pyarrow_table(columns=["bytes"]).num_rows
    check(rows == 500, f"{rows} rows: something of the new log was taken")
    print("  " + next(line for line in anew.stderr.splitlines() if "written anew" in line)[:200])


ALL = {"kills": kills, "expired": expired, "paused": paused, "instance": instance, "elastic": elastic, "static": static, "start": start, "cut": cut}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--kills", type=int, help="on each store, in a round (default 19, with --soak 55)")
    parser.add_argument("--rounds", type=int, help="default 1, with --soak 4")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--faults", type=float, default=0.02, help="share of S3 requests that is spoilt")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if unknown := set(options.names) - set(ALL):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    options.kills = options.kills or (55 if options.soak else len(FAILPOINTS) * 3 + 1)
    options.rounds = options.rounds or (4 if options.soak else 1)
    print(f"seed {options.seed}")
    with harness.Workspace() as directory, harness.Kafka(directory / "kafka") as kafka:
        world = World(directory, kafka, options)
        for name in options.names or ALL:
            started = time.monotonic()
            print(f"== {name}", flush=True)
            try:
                ALL[name](world)
            except harness.Failed as failed:
                print(f"FAILED {name}: {failed}")
                raise
            print(f"   {time.monotonic() - started:.0f} s", flush=True)
    print(f"several ingesters of one topic: {', '.join(options.names or ALL)} hold")


if __name__ == "__main__":
    try:
        main()
    except harness.Failed:
        sys.exit(1)
