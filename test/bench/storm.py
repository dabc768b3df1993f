"""storm.py -- ten thousand computers come at once, while documents are imported and approvals change; bench.sh --storm.

    storm.py [N] [--json FILE] [--connections C] [--revisions N] [--forget N]

Every computer makes its first contact as fast as the machine can.  Then the writers end, policy is changed once more,
and every computer makes one differential scan.  Now each must hold what wsus-probe gets by a fresh scan as a computer of
the same profile in the same groups.  Last comes the call mix of a day, from which the number of computers follows that
a machine can serve.
"""
import argparse
import sys

from machine import say
from crowd import (PROFILES, Crowd, Server, Watch, Writers, complaints, failures_of, failures_of_judge, machine, operations,
                   timed_phase)
import report

COMPUTERS = 10000
HOURS = 22        # the default detection interval
CALLS_A_DAY = 10  # of a computer in one interval, reports and a little new content included
WANTED = 1_000_000


def storm(n, connections=300, revisions=5000, forget=0, approvals=50, **writing):
    """All of it with a server of its own, as a dictionary."""
    say(f"storm: {n} computers, {revisions} revisions: starting, loading")
    with Server("none") as server:
        server.prepare(revisions, approvals)
        return {"revisions": revisions, **storm_at(server, n, connections, forget, **writing)}


def storm_at(server, n, connections, forget=0, documents=1000, batch=50, pause=0.25, profiles=PROFILES):
    """At a server that Server.prepare() has made ready."""
    out = {"machine": machine(), "computers": n, "connections": connections}
    writers = Writers(server, documents, batch, pause)
    with Crowd(server, n, connections, profiles, forget=forget) as crowd, Watch(server) as watch:
        say("  first contact")
        with writers:
            out["fresh"] = timed_phase(server, crowd, "fresh")
        out["changes"], out["changes_at_the_end"] = dict(writers.counts), writers.last_changes()
        say("  one more scan of all, and the judge")
        out["scan"] = timed_phase(server, crowd, "scan")
        out["judge"] = crowd.judge()
        say("  a day's calls")
        writers.detectoid()
        out["day"] = timed_phase(server, crowd, "day")
        out["judge_after_the_day"] = crowd.judge()
    out["writer_errors"], out["complaints"] = writers.errors, complaints(server)
    out["memory"] = {"peak_private_kb": watch.peak_kb, "parts_kb": watch.parts, "largest_worker_kb": watch.worker_kb}
    out["store"] = server.ctl_json("store", "stat")
    out["machine"]["load_after"] = machine()["load"]
    out["extrapolation"] = extrapolation(out)
    return out


def extrapolation(out):
    """How many computers could make CALLS_A_DAY such calls in every interval."""
    day, seconds = out["day"], HOURS * 3600
    cpu = day["server_cpu_seconds"] / day["calls"]
    return {"calls_a_computer": day["calls"] / out["computers"], "calls_per_second": day["calls"] / day["seconds"],
            "server_cpu_us_a_call": cpu * 1e6,
            "computers_as_measured": day["calls"] / day["seconds"] * seconds / CALLS_A_DAY,
            "computers_by_cpu": out["machine"]["cores"] / cpu * seconds / CALLS_A_DAY}


def failures(out):
    """What did not hold."""
    for name in ("fresh", "scan", "day"):
        yield from failures_of(out[name])
    yield from failures_of_judge(out["judge"], out["computers"], "after one more scan")
    yield from failures_of_judge(out["judge_after_the_day"], out["computers"], "after the day")
    yield from out["writer_errors"]
    yield from out["complaints"][:10]


# ---- for people ----

def phase_row(name, out, p):
    return [name, f"{p['seconds']:.1f}", f"{p['calls']:,}", f"{p['calls'] / out['computers']:.1f}", f"{p['calls'] / p['seconds']:,.0f}",
            f"{p['received'] / 1e6:,.0f}", f"{p['plain'] / 1e6:,.0f}", f"{p['sent'] / 1e6:,.0f}", f"{p['server_cpu_seconds']:.1f}",
            f"{p['cpu_seconds']:.1f}", str(p["errors"])]


HEAD = ["phase", "s", "calls", "a computer", "calls/s", "MB", "MB unpacked", "MB sent", "server CPU s", "generator CPU s", "errors"]


def computers_line(out):
    m, x = out["machine"], out["extrapolation"]
    return (f"computers on this machine: {x['computers_as_measured'] / 1e6:.2f} million as measured, {x['computers_by_cpu'] / 1e6:.2f} million "
            f"by the server's CPU time alone (wanted: {WANTED / 1e6:.0f}).  The day's phase is a handshake, a differential scan, the driver pass "
            f"and what belongs to new offers: {x['calls_a_computer']:.1f} calls of a computer, {x['calls_per_second']:,.0f} calls/s with "
            f"the generator on the same cores, {x['server_cpu_us_a_call']:.0f} us of the server's CPU a call, nginx included.  "
            f"Computers = calls/s x {HOURS} h / {CALLS_A_DAY} calls; by CPU: calls/s = {m['cores']} cores / CPU of a call.  Evenly "
            f"spread over the {HOURS} hours, reports and content not among the calls")


def lines(out):
    f, n, judge, memory = out["fresh"], out["computers"], out["judge"], out["memory"]
    yield (f"one computer's first contact: {f['calls'] / n:.1f} calls, {f['received'] / n / 1e6:.2f} MB packed, {f['plain'] / n / 1e6:.2f} MB "
           f"plain, {f['held'] / n:,.0f} revisions held in the end; {n / f['seconds']:.1f} computers a second")
    yield (f"meanwhile: {', '.join(f'{v} {k}' for k, v in out['changes'].items())}; {out['changes_at_the_end']} more changes before the second "
           f"scan, after which {out['scan']['parked'] / n:,.1f} revisions of a computer wait for a detectoid that was declined")
    yield (f"right sets: {judge['right']:,} of {n:,} after one more scan, {out['judge_after_the_day']['right']:,} after the day, by "
           f"{judge['judged_by']} fresh scans of wsus-probe (one for each profile and groups; {judge['revisions'][0]:,} to "
           f"{judge['revisions'][-1]:,} revisions)")
    yield (f"private memory at its peak: all processes {memory['peak_private_kb'] / 1024:.0f} MB ("
           + ", ".join(f"{k} {v / 1024:.0f}" for k, v in memory["parts_kb"].items())
           + f"), largest worker {memory['largest_worker_kb'] / 1024:.1f} MB")
    yield f"fleet: {out['store']['computers']:,} computers in {out['store']['fleet_used'] / 1e6:.1f} MB"
    yield computers_line(out)


def section(out):
    m = out["machine"]
    phases = (("first contact", "fresh"), ("one more scan", "scan"), ("a day", "day"))
    return report.section(
        f"{out['computers']:,} new computers on {out['connections']} connections, {out['revisions']:,} revisions",
        f"{m['date']}, {m['cores']} cores, load average {m['load']:.1f} before and {m['load_after']:.1f} after",
        report.table(HEAD, [phase_row(name, out, out[key]) for name, key in phases]),
        "First contact:", operations(out["fresh"]), "A day:", operations(out["day"]), report.bullets(lines(out)))


def arguments(argv):
    p = argparse.ArgumentParser(prog="bench.sh --storm", description="New computers by the thousand while policy changes.")
    p.add_argument("computers", nargs="?", type=int, default=COMPUTERS, help=f"default {COMPUTERS}")
    p.add_argument("--json", metavar="FILE", help="write the figures there too")
    p.add_argument("--connections", type=int, default=300, help="computers that talk at the same time (default 300, at most 900)")
    p.add_argument("--revisions", type=int, default=5000, help="of the catalog (default 5000)")
    p.add_argument("--forget", type=int, default=0, help="a test of the judge: one computer forgets the Nth change that reaches anyone")
    o = p.parse_args(argv)
    if not 1 <= o.connections <= 900 or not 1 <= o.computers <= 1_000_000 or o.revisions < 300:
        p.error("1 to 900 connections, 1 to 1,000,000 computers, at least 300 revisions")
    return o


def main(argv=None):
    o = arguments(argv)
    out = storm(o.computers, o.connections, o.revisions, o.forget)
    return report.ending(section(out), out, list(failures(out)), o.json)


if __name__ == "__main__":
    sys.exit(main())
