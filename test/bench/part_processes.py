"""part_processes.py -- start-up of each service and of the whole; memory of every process, idle and under load."""
import os
import signal
import subprocess
import time

from machine import BIN, Watching, largest_worker, memory, private_of_all, say, seconds_of, spread
from harness import run
from report import number, ranged, section, table, target
from rounds import MANY, load
from servers import PAGE_UPDATES, syncs_of
import part_rates
import record

TITLE = "Processes"
TIMES = 5
LOAD_SECONDS = 4


# ---- start-up ----

def service_options(state):
    store = ["-S", state / "store", "-K", state / "keys/master"]
    return {"auth": store, "client": store, "content": ["-U", state / "selfupdate"], "reporting": store, "serversync": store}


def until_ready(service, options, state):
    """Seconds until the first worker of one more such service says that it serves."""
    socket = state / f"run/bench-{service}.sock"
    ready, end = os.pipe()
    began = time.monotonic()
    p = subprocess.Popen([str(a) for a in (BIN / f"wsus-{service}", "-s", socket, *options, "-R", end)], pass_fds=[end],
                         stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=state)
    os.close(end)
    said = os.read(ready, 1)
    took = time.monotonic() - began
    os.close(ready)
    p.send_signal(signal.SIGTERM)
    p.wait(20)
    socket.unlink(missing_ok=True)
    if not said:
        raise SystemExit(f"wsus-{service} does not start")
    return took


def start_up(catalog):
    """Seconds, by what starts."""
    server = catalog.server
    found = {f"wsus-{name}": spread([until_ready(name, options, server.state) for _ in range(TIMES)])
             for name, options in service_options(server.state).items()}
    found["all of it (run.sh)"] = spread([whole(server) for _ in range(2)])
    found["a process that does nothing"] = spread([seconds_of(run, "/bin/true") for _ in range(TIMES)])
    return found


def whole(server):
    server.stop()
    return seconds_of(server.start)


# ---- memory ----

def heavy(catalog):
    """Calls that take most: the largest answers to the largest requests, from all parts of the catalog."""
    syncs = sorted(syncs_of(catalog.fresh), key=lambda c: len(c.reply))
    return [part_rates.page(catalog.fresh, PAGE_UPDATES) or syncs[-1], *syncs[-10:]]


def under_load(catalog):
    directory = catalog.server.state / "heavy"
    calls = heavy(catalog)
    record.save(calls, directory)
    files = [directory / f"{n:03}.req" for n in range(len(calls))]
    with Watching(catalog.server) as watching:
        done = load(catalog.server.port, files, MANY, LOAD_SECONDS)
    return watching.most, done["errors"]


def one(catalog):
    say(f"processes: {catalog.revisions:,} revisions")
    started = start_up(catalog)
    idle = memory(catalog.server)
    most, errors = under_load(catalog)
    return {"revisions": catalog.revisions, "start_seconds": started, "idle": idle, "load": most, "after": memory(catalog.server),
            "errors": errors}


def measure(bench):
    for c in bench.catalogs:
        c.both  # the walks, before the restarts
    return [one(c) for c in bench.catalogs]


def cases_in(result):
    return [{"server": {"errors": r["errors"], "first_error": None}, "case": "under load"} for r in result]


# ---- for people ----

START_HEAD = ["start-up, ms", "revisions", "until it serves", "times a process that does nothing"]


def start_rows(r):
    floor = r["start_seconds"]["a process that does nothing"]["median"]
    for what, seconds in r["start_seconds"].items():
        yield [what, f"{r['revisions']:,}", ranged(seconds, lambda s: number(s * 1000)), number(seconds["median"] / floor)]


HEAD = ["private memory, MB", "revisions", "processes", "idle, all", "idle, largest", "load, all", "load, largest", "after, all",
        "shared, largest", "proportional, idle", "under load"]


def mb(kb):
    return number(kb / 1024)


def program_row(r, program):
    idle, busy, after = (r[k].get(program) for k in ("idle", "load", "after"))
    idle = idle or dict.fromkeys(busy, 0)
    busy, after = busy or idle, after or idle
    return [program, f"{r['revisions']:,}", str(idle["processes"]), mb(idle["private_kb"]), mb(idle["largest_private_kb"]), mb(busy["private_kb"]),
            mb(busy["largest_private_kb"]), mb(after["private_kb"]), mb(busy["largest_shared_kb"]), mb(idle["proportional_kb"]),
            mb(busy["proportional_kb"])]


def all_row(r):
    sums = [str(sum(p["processes"] for p in r["idle"].values())), mb(private_of_all(r["idle"])), "", mb(private_of_all(r["load"])), "",
            mb(private_of_all(r["after"])), "", mb(sum(p["proportional_kb"] for p in r["idle"].values())),
            mb(sum(p["proportional_kb"] for p in r["load"].values()))]
    return ["all together", f"{r['revisions']:,}", *sums]


def memory_rows(result):
    for r in result:
        for program in sorted(set(r["idle"]) | set(r["load"])):
            yield program_row(r, program)
        yield all_row(r)


def report(result):
    return [section("Start-up", table(START_HEAD, [row for r in result for row in start_rows(r)])),
            section(f"Memory, idle and under {MANY} connections", table(HEAD, list(memory_rows(result))))]


def targets(result):
    for r in result:
        yield target(f"private memory of a worker, {r['revisions']:,} revisions", 16, largest_worker(r["load"]) / 1024, form=number, unit=" MB")
        yield target(f"private memory of all processes, idle, {r['revisions']:,} revisions", 64, private_of_all(r["idle"]) / 1024, form=number,
                     unit=" MB")
