"""Named moments at which a test may end this process: HEADPOND_FAILPOINT="name:N" at the N-th time, HEADPOND_FAILPOINT_LOG counts them."""
import os
import signal

_left = {}
for _part in filter(None, os.environ.get("HEADPOND_FAILPOINT", "").split(",")):
    _name, _, _count = _part.partition(":")
    _left[_name] = int(_count or 1)


def reach(name):
    log = os.environ.get("HEADPOND_FAILPOINT_LOG")
    if log:
        with open(log, "a") as out:
            out.write(name + "\n")
    if name in _left:
        _left[name] -= 1
        if _left[name] == 0:
            os.kill(os.getppid(), signal.SIGKILL)  # the driver's JVM, which runs this process
            os.kill(os.getpid(), signal.SIGKILL)
