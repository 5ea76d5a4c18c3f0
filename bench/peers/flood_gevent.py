"""As flood.lua, with a greenlet that reads lines. Usage: flood_gevent.py SECONDS FEEDER..."""
import json
import os
import re
import subprocess
import sys
import time

import gevent
from gevent import socket

PAUSE = 0.01
DIGITS = re.compile(rb"\d\d")


def read(listener):
    conn, _ = listener.accept()
    for line in conn.makefile("rb"):
        DIGITS.sub(b"", line)


def main(seconds, feeder):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    port = str(listener.getsockname()[1])
    child = subprocess.Popen(feeder + [port], stderr=subprocess.DEVNULL)
    gevent.spawn(read, listener)
    begin, lateness = time.monotonic(), []
    while True:
        due = time.monotonic() + PAUSE
        gevent.sleep(PAUSE)
        now = time.monotonic()
        lateness.append((now - due) * 1e3)
        if now - begin >= seconds:
            break
    child.kill()
    print(json.dumps({"mean_ms": sum(lateness) / len(lateness), "latest_ms": max(lateness)}), flush=True)
    os._exit(0)


main(float(sys.argv[1]), sys.argv[2:])
