"""soak.py -- a mixed load at a steady rate for hours, and what must not grow meanwhile; bench.sh --soak HOURS.

    soak.py HOURS [--rate R] [--computers N] [--revisions N] [--json FILE]

Computers make first contacts, differential scans with cookies an hour old, days, downloads by ranges; some send what no
client sends or break off.  Documents are imported, updates approved and declined, a group is moved, store tick runs.
Every so often the server's processes and its store are looked at.  At the end it fails on growth of private memory or
descriptors, on a store larger than its live data has become, on stale readers, on a wrong set, on any error.
"""
import argparse
import ctypes
import math
import os
import pathlib
import shutil
import statistics
import sys
import threading
import time

from machine import say
from crowd import Crowd, Server, Writers, complaints, failures_of, failures_of_judge, machine, operations, sample
from harness import alive, temporary
import report

WARM = 0.2          # of the time: caches and pools fill, every worker meets its largest answer
SAMPLES = 120
PAUSE = 1.0         # seconds between two changes; an import comes after three pauses and takes some time itself
COPY_EVERY = 10     # samples; a compacted copy is what the live data takes
# Medians of the last and the first quarter after the warm-up.  What was seen without a leak: an arena or buffer grows
# once when a worker meets a larger answer than ever before, and nginx's pools follow the moment's connections.
MEMORY_SHARE, MEMORY_KB = 0.10, 2048
DESCRIPTORS = 4     # of all processes of a part together: requests that run just then
# LMDB keeps the pages of the last transactions; an import's dirty pages are free after the next.
STORE_SHARE, STORE_BYTES = 0.10, 8 << 20


# ---- what is looked at ----

def readers(directory):
    """(readers, stale ones) of an LMDB environment; a stale one holds every page that was freed since."""
    lmdb = ctypes.CDLL("liblmdb.so.0")
    env, pids = ctypes.c_void_p(), []
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)

    def line(text, _):
        word = text.split()[:1]
        pids.extend(int(w) for w in word if w.isdigit())
        return 0

    lmdb.mdb_env_create(ctypes.byref(env))
    try:
        if lmdb.mdb_env_open(env, os.fsencode(directory), 0x20000, 0o644) == 0:  # MDB_RDONLY
            lmdb.mdb_reader_list(env, callback(line), None)
    finally:
        lmdb.mdb_env_close(env)
    return len(pids), sum(not alive(p) for p in pids)


def disk(directory):
    return sum(f.stat().st_size for f in pathlib.Path(directory).rglob("*") if f.is_file() and f.name != "lock.mdb")


def live_bytes(server):
    """What a compacted copy takes: {"catalog": bytes, "fleet": bytes}."""
    copy = temporary("wsus-soak-") / "copy"
    server.ctl("backup", copy)
    found = {name: disk(copy / name) for name in ("catalog", "fleet")}
    shutil.rmtree(copy.parent)
    return found


def look(server, number):
    stat = server.ctl_json("store", "stat")
    row = {"parts": sample(server), "computers": stat["computers"], "revisions": stat["revisions"], "epoch": stat["epoch"],
           "logs": disk(server.state / "log")}
    for name in ("catalog", "fleet"):
        row[name] = {"bytes": stat[f"{name}_bytes"], "used": stat[f"{name}_used"]}
        row[name]["readers"], row[name]["stale"] = readers(server.state / "store" / name)
    if number % COPY_EVERY == 0:
        for name, live in live_bytes(server).items():
            row[name]["live"] = live
    return row


# ---- the run ----

def batch_of(seconds):
    """Documents in one import, so that all 600 are in when the warm-up ends: workers' indexes grow with the catalog."""
    return max(10, math.ceil(600 / max(1, WARM * seconds / (4 * PAUSE))))

def soak(hours, rate=10, computers=500, revisions=5000, connections=32):
    say(f"soak: {hours} hours, {rate} beginnings a second: starting, loading")
    out = {"machine": machine(), "hours": hours, "rate": rate, "computers": computers, "revisions": revisions, "samples": []}
    with Server("none") as server:
        server.prepare(revisions, 50)
        writers = Writers(server, 600, batch_of(hours * 3600), PAUSE, again=True)
        with Crowd(server, computers, connections) as crowd:
            out["fresh"] = crowd.tell("fresh")
            with writers:
                soak_and_look(server, crowd, hours * 3600, rate, out)
            out["changes"] = writers.counts
            out["scan"], out["judge"] = crowd.tell("scan"), crowd.judge()
        out["writer_errors"], out["complaints"] = writers.errors, complaints(server, clients_leave=True)
    out["machine"]["load_after"] = machine()["load"]
    return out


def soak_and_look(server, crowd, seconds, rate, out):
    load = threading.Thread(target=lambda: out.update(load=crowd.tell(f"soak {seconds} {rate}")))
    every, began = max(2.0, seconds / SAMPLES), time.monotonic()
    load.start()
    while load.is_alive() and time.monotonic() < began + seconds:
        out["samples"].append({"at": time.monotonic() - began, **look(server, len(out["samples"]))})
        load.join(max(0.0, began + every * len(out["samples"]) - time.monotonic()))
    load.join()


# ---- what must not grow ----

def quarters(samples, value):
    """Medians of the first and the last quarter after the warm-up; None where the value was not taken."""
    seen = [v for v in map(value, samples[int(len(samples) * WARM):]) if v is not None]
    part = max(1, len(seen) // 4)
    return (statistics.median(seen[:part]), statistics.median(seen[-part:])) if len(seen) >= 2 else (0, 0)


def growth(out):
    """(what, first, last, how much it may be) of all that is watched."""
    s = out["samples"]
    for part in s[-1]["parts"]:
        first, last = quarters(s, lambda r, p=part: r["parts"].get(p, {}).get("kb"))
        yield f"private KB of {part}", first, last, first * (1 + MEMORY_SHARE) + MEMORY_KB
        first, last = quarters(s, lambda r, p=part: r["parts"].get(p, {}).get("descriptors"))
        yield f"descriptors of {part}", first, last, first + DESCRIPTORS
    for name in ("catalog", "fleet"):
        of = [r for r in s if "live" in r[name]]
        first, last = quarters(of, lambda r, n=name: r[n]["bytes"] - r[n]["live"])
        live = of[-1][name]["live"]
        yield f"bytes of {name} beyond its live data", first, last, first + STORE_SHARE * live + STORE_BYTES
        yield f"stale readers of {name}", 0, s[-1][name]["stale"], 0


def failures(out):
    for what, first, last, allowed in growth(out):
        if last > allowed:
            yield f"{what}: from {first:,.0f} to {last:,.0f}, {last - allowed:,.0f} more than the {allowed:,.0f} that may be"
    for name in ("fresh", "load", "scan"):
        yield from failures_of(out[name])
    yield from failures_of_judge(out["judge"], out["computers"], "at the end")
    yield from out["writer_errors"]
    yield from out["complaints"][:10]


# ---- for people ----

def mb(value):
    return f"{value / 1e6:.1f}"


def row_of(r, live):
    parts = r["parts"]
    return [f"{r['at'] / 60:.1f}", *(f"{parts[p]['kb'] / 1024:.1f}" for p in parts), str(sum(p["descriptors"] for p in parts.values())),
            *(f"{mb(r[n]['bytes'])} / {mb(r[n]['used'])} / {mb(live[n])}" for n in ("catalog", "fleet")),
            f"{r['catalog']['stale'] + r['fleet']['stale']} of {r['catalog']['readers'] + r['fleet']['readers']}",
            f"{r['computers']:,}", f"{r['revisions']:,}", mb(r["logs"])]


def over_time(out):
    s = out["samples"]
    head = ["min", *(f"{p} MB" for p in s[0]["parts"]), "descr.", "catalog MB file / used / live", "fleet MB", "stale readers", "computers",
            "revisions", "logs MB"]
    return report.table(head, [row_of(r, {n: r[n]["live"] for n in ("catalog", "fleet")}) for r in s if "live" in r["catalog"]])


def lines(out):
    load = out["load"]
    yield (f"{load['visits']:,} beginnings ({out['rate']:g} a second, at most {load['late_us'] / 1e6:.1f} s late), {load['calls']:,} calls, "
           f"{load['received'] / 1e6:,.0f} MB received, {load['broken']:,} broken off by the client, {load['errors']} errors")
    yield (f"meanwhile: {', '.join(f'{v:,} {k}' for k, v in out['changes'].items())} (documents that are known by then among the imported)")
    yield f"right sets at the end: {out['judge']['right']:,} of {out['computers']:,}"


def section(out):
    m = out["machine"]
    watched = [[what, *(f"{v:,.0f}" for v in (first, last, allowed))] for what, first, last, allowed in growth(out)]
    return report.section(
        f"{out['hours']:g} hours of a mixed load, {out['revisions']:,} revisions at the beginning, {out['computers']:,} computers",
        f"{m['date']}, {m['cores']} cores, load average {m['load']:.1f} before and {m['load_after']:.1f} after",
        over_time(out), report.table(["what", "first quarter", "last quarter", "may be"], watched), operations(out["load"]),
        report.bullets(lines(out)))


def arguments(argv):
    p = argparse.ArgumentParser(prog="bench.sh --soak", description="A mixed load for hours, and what must not grow meanwhile.")
    p.add_argument("hours", type=float, help="fractions allowed")
    p.add_argument("--rate", type=float, default=10, help="beginnings a second (default 10, about 30 calls)")
    p.add_argument("--computers", type=int, default=500, help="default 500")
    p.add_argument("--revisions", type=int, default=5000, help="of the catalog at the beginning (default 5000)")
    p.add_argument("--json", metavar="FILE", help="write the figures there too")
    o = p.parse_args(argv)
    if not 0.01 <= o.hours <= 1000 or not 0 < o.rate <= 10000 or o.computers < 1 or o.revisions < 300:
        p.error("0.01 to 1,000 hours, a rate above 0, at least 1 computer and 300 revisions")
    return o


def main(argv=None):
    o = arguments(argv)
    out = soak(o.hours, o.rate, o.computers, o.revisions)
    return report.ending(section(out), out, list(failures(out)), o.json)


if __name__ == "__main__":
    sys.exit(main())
