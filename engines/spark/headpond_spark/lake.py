"""The lake as an object store, through the Hadoop file system that Spark itself reads it with."""
import os
import pathlib
import uuid


class Missing(Exception):
    """The object is not there."""


def spark_uri(location):
    """What Spark opens a lake's location as: a folder, file://, s3:// (read by S3A), gs://, abfss://."""
    if location.startswith("s3://"):
        return "s3a://" + location[len("s3://"):]
    return location if "://" in location else str(pathlib.Path(location).absolute())


def open_objects(spark, location):
    uri = spark_uri(location).rstrip("/")
    if uri.startswith("file://"):
        uri = uri[len("file://"):]
    return HadoopObjects(spark, uri) if "://" in uri else LocalObjects(uri)


class LocalObjects:
    """A folder. Objects appear whole: written beside their place, then renamed (put) or linked (put_if_absent: one winner)."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def get(self, path):
        try:
            return (self.root / path).read_text()
        except FileNotFoundError:
            raise Missing(path) from None

    def list(self, folder, after=""):
        """Names in `folder`, rising, behind `after`."""
        try:
            return sorted(name for name in os.listdir(self.root / folder) if name > after and not name.startswith("."))
        except FileNotFoundError:
            return []

    def put(self, path, text):
        os.replace(self._written_beside(path, text), self.root / path)

    def put_if_absent(self, path, text):
        """Whether it was created; False: something else is there."""
        beside = self._written_beside(path, text)
        try:
            os.link(beside, self.root / path)
            return True
        except FileExistsError:
            return False
        finally:
            os.unlink(beside)

    def remove(self, path):
        (self.root / path).unlink(missing_ok=True)

    def _written_beside(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.parent / f".{uuid.uuid4().hex}"
        with open(beside, "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        return beside


class HadoopObjects:
    """A bucket. put_if_absent is S3A's conditional PUT (If-None-Match), tried with Hadoop 3.5."""

    def __init__(self, spark, root):
        self.root = root
        self.jvm = spark._jvm
        self.path = self.jvm.org.apache.hadoop.fs.Path
        self.files = self.path(root + "/").getFileSystem(spark._jsc.hadoopConfiguration())

    def _at(self, path):
        return self.path(f"{self.root}/{path}")

    def get(self, path):
        try:
            stream = self.files.open(self._at(path))
            try:
                return self.jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
            finally:
                stream.close()
        except Exception as error:  # an object removed since open() is missed at the first read
            if "FileNotFoundException" in str(error):
                raise Missing(path) from None
            raise

    def list(self, folder, after=""):
        try:
            found = self.files.listStatus(self._at(folder))
        except Exception as error:
            if "FileNotFoundException" in str(error):
                return []
            raise
        return sorted(name for name in (status.getPath().getName() for status in found) if name > after)

    def put(self, path, text):
        self._write(self.files.create(self._at(path), True), text)

    def put_if_absent(self, path, text):
        try:
            builder = self.files.createFile(self._at(path)).recursive().overwrite(True)
            self._write(builder.must("fs.option.create.conditional.overwrite", "true").build(), text)
            return True
        except Exception as error:
            # A lost race, or a lost answer to a request that won: what is there tells.
            try:
                there = self.get(path)
            except Missing:
                raise error from None
            return there == text

    def remove(self, path):
        self.files.delete(self._at(path), False)

    def _write(self, stream, text):
        stream.write(bytearray(text.encode()))
        stream.close()
