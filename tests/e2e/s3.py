#!/usr/bin/env python3
"""s3.py [--kills 2] [--seed N] [--faults 0.03]: `headpond up` with its lake on S3 (versitygw), its requests through a proxy that spoils a share of
them: answers 503, answers late, drops the connection, or carries the request out and drops the answer. Killed at random, then held against the
same independent checks as kills.py: bronze against the topic, pages against the rules' definitions, gold against bronze, the bill against Python
decimals and against itself. Prints faults by kind. Then wrong bucket, wrong keys and a dead endpoint: one clear line each, exit 3.
Exit 1 with the first thing that is wrong."""
import argparse
import collections
import http.client
import http.server
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import harness
from harness import ROOT, check, headpond, oracle, wait_until
from kills import Run

BUCKET = "lake"


class S3:
    def __init__(self, directory):
        self.directory = str(directory)
        self.tool("install", timeout=400)
        self.endpoint = self.tool("start", self.directory).strip().splitlines()[-1]
        self.tool("bucket", self.directory, BUCKET)
        self.env = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "headpond", "AWS_SECRET_ACCESS_KEY": "headpond-secret"}

    @staticmethod
    def tool(*arguments, timeout=60):
        done = subprocess.run([str(ROOT / "tools" / "s3"), *arguments], capture_output=True, text=True, timeout=timeout)
        check(done.returncode == 0, f"tools/s3 {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def stop(self):
        self.tool("stop", self.directory)


class Proxy:
    """Stands before an S3 server and spoils `share` of the requests, each kind as often as the others, and the first try of every removal."""

    KINDS = ["unavailable", "slow", "reset", "answer-lost"]

    def __init__(self, endpoint, share, seed):
        self.target = endpoint.removeprefix("http://")
        self.share, self.random, self.lock = share, random.Random(seed), threading.Lock()
        self.hits = collections.Counter()
        self.requests = 0
        self.removals = {}  # by what is removed → how it was spoilt
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                proxy.serve(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a client that was killed, or gave up

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def choose(self, handler, body):
        removal = (handler.path, body) if handler.command == "DELETE" or handler.path.endswith("?delete") else None
        with self.lock:
            self.requests += 1
            kind = self.random.choice(self.KINDS) if self.random.random() < self.share else None
            if removal and self.share and removal not in self.removals:
                kind = self.removals[removal] = self.KINDS[len(self.removals) % len(self.KINDS)]
            if kind:
                self.hits[kind] += 1
            return kind

    @staticmethod
    def reset(handler):
        """Ends the connection with RST, so that the client cannot take it for an orderly close."""
        handler.close_connection = True
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()

    def forward(self, handler, body):
        upstream = http.client.HTTPConnection(self.target, timeout=30)
        upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in handler.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        payload = answer.read()
        upstream.close()
        return answer, payload

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        kind = self.choose(handler, body)
        if kind == "reset":
            return self.reset(handler)
        if kind == "unavailable":
            text = b"<Error><Code>SlowDown</Code><Message>spoilt by the proxy</Message></Error>"
            handler.send_response(503)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(text)
            return None
        if kind == "slow":
            threading.Event().wait(1.5)
        answer, payload = self.forward(handler, body)
        if kind == "answer-lost":
            return self.reset(handler)
        handler.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", answer.getheader("Content-Length") if handler.command == "HEAD" else str(len(payload)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(payload)
        return None

    def close(self):
        self.server.shutdown()


class S3Run(Run):
    def prepare_on(self, kafka, s3):
        write = harness.TOPOLOGY
        try:
            harness.TOPOLOGY = write.replace("lake/bronze/logs", f"s3://{BUCKET}/bronze/logs").replace("lake/pager", f"s3://{BUCKET}/pager")
            self.prepare(kafka)
        finally:
            harness.TOPOLOGY = write
        self.lake = self.directory / "s3" / "data" / BUCKET


def check_refusals(topology, s3):
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))  # bound, not listening: refused
    wrong = {
        "does not exist": ({}, topology.read_text().replace(f"s3://{BUCKET}/", "s3://no-such-lake/")),
        "credentials": ({"AWS_SECRET_ACCESS_KEY": "wrong"}, topology.read_text()),
        "cannot reach": ({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{dead.getsockname()[1]}"}, topology.read_text()),
    }
    for words, (env, text) in wrong.items():
        other = topology.parent / "refused.yaml"
        other.write_text(text)
        done = headpond("up", "-f", other, env=env, timeout=60)
        lines = done.stderr.strip().splitlines()
        check(done.returncode == 3 and len(lines) == 1 and words in lines[0], f"expected one line with '{words}' and exit 3, got {done.returncode}: {done.stderr}")
    dead.close()


def check_upkeep(run):
    """The log is checkpointed and cleaned through the faulty store; what can be read is what was read before, and the broker agrees."""
    count = lambda: headpond("sql", "-f", run.topology, "SELECT count(*), sum(hash(raw)) FROM bronze").stdout
    before = count()
    for cursor in (run.lake / "bronze/logs/_headpond/cursors").glob("*.json"):
        cursor.unlink()  # nobody reads any more
    cleaning = run.topology.with_name("cleaning.yaml")
    cleaning.write_text(run.topology.read_text().replace("bronze:\n", "bronze:\n  log_retention: 0s\n"))
    for _ in range(8):
        done = headpond("maintain", "-f", cleaning, "--checkpoint")
        if done.returncode == 0:
            break
    check(done.returncode == 0, f"maintain: {done.stdout}{done.stderr}")
    left = len(list((run.lake / "bronze/logs/_delta_log").glob("*.json")))
    check(left == 1, f"{left} entries of the log are left: {done.stdout}")
    audited = headpond("audit", "-f", run.topology, "--deep", "--kafka")
    check(audited.returncode == 0, f"audit over the cleaned log: {audited.stdout}{audited.stderr}")
    check(before == count() and before.strip(), "other rows over the cleaned log")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--faults", type=float, default=0.03)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with harness.Workspace() as directory, harness.Kafka(directory / "kafka") as kafka:
        s3 = S3(directory / "s3")
        proxy = Proxy(s3.endpoint, options.faults, options.seed)
        run = S3Run(directory, options)
        run.traffic = None
        try:
            os.environ.update(s3.env)
            run.prepare_on(kafka, s3)
            run.bill_in_pieces()
            run.start_traffic()
            os.environ["AWS_ENDPOINT_URL"] = proxy.url
            for _ in range(options.kills):
                until = time.monotonic() + run.random.uniform(2, 6)
                up = harness.Up(run.topology, run.log)
                wait_until(lambda: time.monotonic() > until or not up.running(), 30, "a random moment")
                check(up.running(), f"`up` ended by itself; see {run.log}")
                up.kill()
                run.kills.append((time.time(), "at random"))
            run.finish()
            os.environ["AWS_ENDPOINT_URL"] = s3.endpoint
            oracle("bronze_equals_topic.py", kafka.bootstrap, "logs", run.lake / "bronze" / "logs")
            oracle("gold_equals_bronze.py", "--lake", run.lake, "--branch", "dash")
            oracle("bill_oracle.py", "--lake", run.lake, "--branch", "bill", "--prices", run.directory / "prices.yaml", "--bronze", "bronze/logs")
            pages = run.check_pages()
            audited = headpond("audit", "-f", run.topology, "--deep")
            check(audited.returncode == 0, f"audit --deep: {audited.stdout}{audited.stderr}")
            os.environ["AWS_ENDPOINT_URL"] = proxy.url
            check_upkeep(run)
            os.environ["AWS_ENDPOINT_URL"] = s3.endpoint
            check_refusals(run.topology, s3)
            spoilt = set(proxy.removals.values())
            check(options.faults == 0 or spoilt == set(Proxy.KINDS), f"removals were spoilt in these ways only: {spoilt}")
            faults = ", ".join(f"{kind} {proxy.hits[kind]}" for kind in Proxy.KINDS)
            check(options.faults == 0 or all(proxy.hits[kind] for kind in Proxy.KINDS), f"a kind of fault never happened: {faults}")
            print(pages)
            print(f"{options.kills} kills, {proxy.requests} requests through the proxy, faults: {faults}; bronze, gold, pages, bill and audit agree, also over the cleaned log")
        finally:
            if run.traffic is not None:
                run.traffic.terminate()
                run.traffic.wait(30)
            proxy.close()
            s3.stop()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except harness.Failed as error:
        print(f"FAILED: {error}", file=sys.stderr)
        sys.exit(1)
