"""The right to be a branch's one engine: docs/formats/pages.md, "Lease". The same chain of objects as src/lease."""
import json
import threading
import time
import uuid

from .lake import Missing

LEASE_S, GRACE_S = 15.0, 5.0


class Fenced(Exception):
    """Another engine holds the branch."""


class Lease:
    def __init__(self, objects, root, holder):
        self.objects, self.root, self.holder = objects, root, holder
        self.number = self.epoch = 0
        self.valid_until = 0.0
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.lost = None

    def acquire(self, wait_s, say=lambda text: None):
        """Takes it, waiting out another holder for at most `wait_s`. Fenced: it did not become free."""
        deadline, seen, since = time.monotonic() + wait_s, None, time.monotonic()
        while True:
            names = self.objects.list(self.root)
            try:
                newest = json.loads(self.objects.get(f"{self.root}/{names[-1]}")) if names else None
            except Missing:  # renewed twice since it was listed
                continue
            if newest and newest["format"] > 1:
                raise Fenced(f"{self.root}/{names[-1]}: written by a newer headpond; install that one")
            if names and names[-1] != seen:
                seen, since = names[-1], time.monotonic()
                say(f"the lease {self.root} is held by {newest['holder']}") if not newest["released"] else None
            self.number = int(names[-1].split(".")[0]) if names else 0
            self.epoch = newest["epoch"] + 1 if newest else 1
            free = not newest or newest["released"] or time.monotonic() - since >= (newest["lease_us"] + newest["grace_us"]) / 1e6
            if free and self._put_next(released=False):
                threading.Thread(target=self._keep, daemon=True).start()
                return
            if time.monotonic() > deadline:
                raise Fenced(f"{self.root} is held by {newest['holder'] if newest else 'another'}: stop that engine first")
            self.stopped.wait(0.5)

    def check(self, needed_s):
        """Fenced unless what is begun now may last `needed_s`."""
        if self.lost or self.valid_until - time.monotonic() < needed_s:
            raise Fenced(f"the lease {self.root} was lost{': ' + str(self.lost) if self.lost else ''}; nothing more is committed here")

    def release(self):
        self.stopped.set()
        with self.lock:
            if self.lost is None and self.valid_until > time.monotonic():
                self._put_next(released=True)
            self.valid_until = 0.0

    def _put_next(self, released):
        before = time.monotonic()
        path = f"{self.root}/{self.number + 1:012d}.json"
        text = json.dumps({"format": 1, "epoch": self.epoch, "holder": self.holder, "nonce": uuid.uuid4().hex, "released": released,
                           "lease_us": int(LEASE_S * 1e6), "grace_us": int(GRACE_S * 1e6), "at": int(time.time() * 1e6)})
        # A holder that slept through takeovers may fill a number that was long removed: anything after it means it lost.
        if not self.objects.put_if_absent(path, text) or self.objects.list(self.root, after=path.rsplit("/", 1)[1]):
            return False
        self.number += 1
        self.valid_until = before + LEASE_S
        if self.number > 2:
            self.objects.remove(f"{self.root}/{self.number - 2:012d}.json")
        return True

    def _keep(self):
        while not self.stopped.wait(LEASE_S / 5):
            with self.lock:
                if self.stopped.is_set():
                    return
                try:
                    if not self._put_next(released=False):
                        self.lost = "another engine has taken over"
                        return
                except Exception as error:  # the store is away: what remains of the lease goes on falling
                    self.failure = error
