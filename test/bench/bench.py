"""bench.py -- every claim about speed, measured beside its floor; scripts/bench.sh starts it.

A part (part_*.py) answers one question.  It has TITLE, and
  measure(bench)     figures for --json, or None if it cannot say anything of these catalogs
  report(figures)    Markdown sections
  targets(figures)   lines of the design's targets (report.target)
  cases_in(figures)  what has "errors" of answers
Parts run in the order of PARTS: the last ones change policy, and what was recorded before no longer holds.
"""
import argparse
import contextlib
import os
import signal
import sys
import time

from machine import facts, say
from servers import Catalog
import part_downstream
import part_groups
import part_need
import part_policy
import part_processes
import part_rates
import part_reporting
import part_store
import part_storm
import part_sync
import part_wire
import report

PARTS = {"store": part_store, "wire": part_wire, "rates": part_rates, "need": part_need, "processes": part_processes,
         "sync": part_sync, "groups": part_groups, "policy": part_policy, "storm": part_storm,
         "downstream": part_downstream, "reporting": part_reporting}


class Bench:
    """What the parts share: the options and the catalogs, served."""

    def __init__(self, options, catalogs):
        self.options, self.quick, self.catalogs = options, options.quick, catalogs


HELP = """parts, for --only:
""" + "\n".join(f"  {name:<10} {part.TITLE}" for name, part in PARTS.items()) + """

Prints Markdown: doc/PERFORMANCE.md says how to read it.  A target that is missed is no failure; exit status 1 means
that an answer was wrong."""


def arguments():
    p = argparse.ArgumentParser(prog="bench.sh", description="Measures a server beside its floors.", epilog=HELP,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--storm", action="store_true", help="in front: 10,000 new computers at once, a run of its own")
    p.add_argument("--soak", action="store_true", help="in front: HOURS of a mixed load, a run of its own")
    p.add_argument("--quick", action="store_true", help="5,000 revisions and short rounds only: below two minutes")
    p.add_argument("--json", metavar="FILE", help="write the figures there too")
    p.add_argument("--only", metavar="PART,...", help="these parts")
    p.add_argument("--rounds", type=int, help="rounds (default 5, quick 2)")
    p.add_argument("--seconds", type=float, help="of each measurement, at least (default 1, quick 0.4)")
    p.add_argument("--answers", type=int, help="that each connection gets in each measurement, at least (default 3, quick 2)")
    p.add_argument("--revisions", metavar="N,...", help="catalogs (default 5000,100000, quick 5000)")
    return checked(p, p.parse_args())


def checked(p, o):
    if o.storm or o.soak:
        p.error("--storm and --soak come first and run alone: bench.sh --storm -h, bench.sh --soak -h")
    o.seconds = o.seconds or (0.4 if o.quick else 1)
    o.rounds = o.rounds or (2 if o.quick else 5)
    o.answers = o.answers or (2 if o.quick else 3)
    o.revisions = [int(n) for n in (o.revisions or ("5000" if o.quick else "5000,100000")).split(",")]
    o.parts = o.only.split(",") if o.only else list(PARTS)
    if unknown := set(o.parts) - set(PARTS):
        p.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if o.rounds < 1 or not 0 < o.seconds <= 600 or o.answers < 1 or min(o.revisions) < 300:
        p.error("at least one round and one answer, at most 600 seconds, at least 300 revisions")
    return o


def measure(options):
    """{part: figures}, and how long each took."""
    found, took = {}, {}
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        bench = Bench(options, [stack.enter_context(Catalog(n)) for n in options.revisions])
        took["catalogs"] = time.monotonic() - began
        for name in (n for n in PARTS if n in options.parts):
            began = time.monotonic()
            figures = PARTS[name].measure(bench)
            took[name] = time.monotonic() - began
            if figures:
                found[name] = figures
    return found, took


def run(options):
    before, began = os.getloadavg()[0], time.monotonic()
    result = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "command": " ".join(["scripts/bench.sh", *sys.argv[1:]]),
              "rounds": options.rounds, "seconds": options.seconds, "answers": options.answers}
    result["parts"], result["part_seconds"] = measure(options)
    result["machine"] = {**facts(), "load_before": before, "load_after": os.getloadavg()[0]}
    result["took_seconds"] = time.monotonic() - began
    result["targets"] = [t for name, figures in result["parts"].items() for t in PARTS[name].targets(figures)]
    return result


# ---- for people ----

def headline(r):
    m = r["machine"]
    return (f"`{r['command']}`, {r['date']}: {m['cores']} cores ({m['processor']}), {m['memory_mb']:,} MB, Linux {m['kernel']}; load average "
            f"{m['load_before']:.1f} before and {m['load_after']:.1f} after, the run's own load included; {r['rounds']} rounds of at least "
            f"{r['seconds']:g} s and {r['answers']} answers a connection. All of it took {r['took_seconds']:.0f} s ("
            + ", ".join(f"{name} {seconds:.0f}" for name, seconds in r["part_seconds"].items()) + ").")


def wrong(result):
    """Lines about answers that were wrong."""
    for name, figures in result["parts"].items():
        for case in PARTS[name].cases_in(figures):
            for who in ("server", "floor", "static"):
                if case.get(who, {}).get("errors"):
                    yield f"{name}, {case['case']}, {who}: {case[who]['errors']} errors, the first: {case[who]['first_error']}"


def show(result):
    print(headline(result) + "\n")
    for name, figures in result["parts"].items():
        print("\n\n".join(PARTS[name].report(figures)) + "\n")
    print(report.section("Targets of the design", report.table(["what", "target", "measured", ""], [t["text"] for t in result["targets"]])))
    if errors := list(wrong(result)):
        print("\n" + report.section("Errors", report.bullets(errors)))
    return errors


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    result = run(options)
    report.save(result, options.json)
    errors = show(result)
    say(f"all of it took {result['took_seconds']:.0f} s")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
