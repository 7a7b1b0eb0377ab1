#!/usr/bin/env python3
"""The Spark driver's lease, over a folder and without Spark: who may have it, and what happens between a listing and the read behind it."""
import pathlib
import sys
import tempfile
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "engines" / "spark"))
from headpond_spark.lake import HadoopObjects, LocalObjects, Missing
from headpond_spark.lease import Fenced, Lease


def check(condition, text):
    if not condition:
        sys.exit(f"FAILED: {text}")


class OldListing(LocalObjects):
    """The holder renews twice between the first listing and the read behind it."""

    def __init__(self, root, holder):
        super().__init__(root)
        self.holder, self.listings = holder, 0

    def list(self, folder, after=""):
        listed = super().list(folder, after)
        self.listings += 1
        for _ in range(2 if self.listings == 1 else 0):
            check(self.holder._put_next(released=False), "the holder could not renew")
        return listed


class GoneWhenRead:
    """A Hadoop stream over an object that was removed behind its open(), as S3A's analytics stream tells it."""

    @staticmethod
    def toString(stream, charset):
        raise RuntimeError("java.io.FileNotFoundException: Object not found s3://lake/l/000000000001.json")


def main():
    with tempfile.TemporaryDirectory(prefix="headpond-spark-lease-") as root:
        first = Lease(LocalObjects(root), "l", "spark:first")
        first.acquire(0)
        try:
            Lease(LocalObjects(root), "l", "spark:second").acquire(0)
            check(False, "two hold it at once")
        except Fenced as fenced:
            check("spark:first" in str(fenced), f"the refusal names no holder: {fenced}")
        objects = OldListing(root, first)
        try:
            Lease(objects, "l", "spark:second").acquire(0)
            check(False, "two hold it at once")
        except Fenced:
            check(objects.listings >= 2, "the listing was not taken again")
        first.release()
        second = Lease(LocalObjects(root), "l", "spark:second")
        second.acquire(0)
        check(second.epoch == 2, f"epoch {second.epoch}")
        second.release()
    hadoop = object.__new__(HadoopObjects)
    hadoop.root, hadoop.path = "s3a://lake", lambda text: text
    hadoop.files = types.SimpleNamespace(open=lambda path: types.SimpleNamespace(close=lambda: None))
    hadoop.jvm = types.SimpleNamespace(org=types.SimpleNamespace(apache=types.SimpleNamespace(commons=types.SimpleNamespace(io=types.SimpleNamespace(IOUtils=GoneWhenRead)))))
    try:
        hadoop.get("l/000000000001.json")
        check(False, "an object that is not there was read")
    except Missing:
        pass
    print("spark lease: one holder; an object that goes between listing and reading is listed again")


if __name__ == "__main__":
    main()
