"""N greenlets sleep SECONDS. Usage: sleepers_gevent.py N SECONDS"""
import json
import re
import sys
import time

import gevent

asleep = 0


def rss_kb():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmRSS:\s*(\d+)", status.read()).group(1))


def sleeper(seconds):
    global asleep
    asleep += 1
    gevent.sleep(seconds)
    asleep -= 1


def look():
    """Runs after all sleepers spawned before it have gone to sleep."""
    return asleep, rss_kb()


def main(count, seconds):
    before = rss_kb()
    start = time.monotonic()
    sleepers = [gevent.spawn(sleeper, seconds) for _ in range(count)]
    observer = gevent.spawn(look)
    gevent.joinall(sleepers)
    total = time.monotonic() - start
    still, during = observer.get()
    memory = (during - before) / count
    print(json.dumps({"n": count, "seconds": total, "asleep": still, "rss_kb_per_task": memory}))


main(int(sys.argv[1]), float(sys.argv[2]))
