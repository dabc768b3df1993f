"""part_wire.py -- the bytes of a fresh scan against the same text as one Xpress stream of the largest blocks."""
import shutil

from machine import B
from harness import run, temporary
from report import mb, section, table, target, times
from servers import syncs_of
import record

TITLE = "Bytes on the wire"


def one(catalog):
    calls, directory = syncs_of(catalog.fresh), temporary("wsus-wire-")
    record.save(calls, directory)
    files = [directory / f"{n:03}.body" for n, c in enumerate(calls) if c.packed]
    wire, plain, stream = (int(n) for n in run(B / "b_press", *files).stdout.split())
    shutil.rmtree(directory)
    return {"revisions": catalog.revisions, "calls": len(calls), "request_bytes": sum(len(c.request) for c in calls), "wire_bytes": wire,
            "plain_bytes": plain, "stream_bytes": stream}


def measure(bench):
    return [one(c) for c in bench.catalogs]


def cases_in(_):
    return []


HEAD = ["a fresh scan of", "calls", "asked MB", "answered MB", "their text MB", "one stream MB", "of the stream"]


def row(r):
    return [f"{r['revisions']:,} revisions", str(r["calls"]), mb(r["request_bytes"]), mb(r["wire_bytes"]), mb(r["plain_bytes"]), mb(r["stream_bytes"]),
            times(r["wire_bytes"] / r["stream_bytes"])]


def report(result):
    return [section(TITLE, table(HEAD, [row(r) for r in result]))]


def targets(result):
    for r in result:
        yield target(f"wire bytes of a fresh scan of {r['revisions']:,} against one stream", 1.3, r["wire_bytes"] / r["stream_bytes"])
