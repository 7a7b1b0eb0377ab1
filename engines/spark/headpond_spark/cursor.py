"""How far a branch is: docs/formats/cursor.md."""
import datetime
import json
import time


def rfc3339(micros):
    time_of = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)
    return time_of.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def publish(objects, bronze, job, state, version, complete_until_us=None, message="", figures=None):
    cursor = {"format": 1, "needs": "0.1.0", "branch": job["branch"], "kind": job["kind"], "engine": job["engine"], "state": state,
              "message": message, "version": version, "durable_version": version, "updated_at": rfc3339(int(time.time() * 1e6))}
    if complete_until_us is not None:
        cursor["complete_until"] = rfc3339(complete_until_us)
    cursor |= {"promise_s": job.get("promise_s", 0), "figures": figures or {}}
    objects.put(f"{bronze}/_headpond/cursors/{job['branch']}.json", json.dumps(cursor))
