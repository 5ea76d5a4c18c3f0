"""What one switch and one greenlet of gevent's hub cost."""
import gc
import json
import time

import gevent

REPETITIONS = 5
BATCH = 1000


def report(name, operations, body):
    results = []
    for _ in range(REPETITIONS):
        gc.collect()
        start = time.monotonic()
        body(operations)
        results.append((time.monotonic() - start) * 1e9 / operations)
    results.sort()
    print(json.dumps({"name": name, "unit": "ns", "median": results[REPETITIONS // 2],
                      "min": results[0], "repetitions": REPETITIONS}), flush=True)


def yielder(count):
    for _ in range(count):
        gevent.sleep(0)


def yield_between_two(switches):
    gevent.joinall([gevent.spawn(yielder, switches // 2) for _ in range(2)])


def nothing():
    pass


def spawn_finish(count):
    for _ in range(count // BATCH):
        gevent.joinall([gevent.spawn(nothing) for _ in range(BATCH)])


report("yield", 200000, yield_between_two)
report("spawn_finish", 50000, spawn_finish)
