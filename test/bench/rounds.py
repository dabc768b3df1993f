"""rounds.py -- rounds in which server, floor and static file are measured one after the other.

A ratio is taken within a round, where all met the same machine.  What is compared with each other, catalogs too,
takes turns within the round.
"""
import contextlib
import json

from machine import B, cpu_us, say, spread
from harness import run
from servers import PAGE_UPDATES, Floor

MANY = 256


class Case:
    """Recorded calls under a number of connections."""

    def __init__(self, name, calls, connections=16, static=False, unit="pages", page_updates=PAGE_UPDATES, cookies=None):
        self.name, self.calls, self.connections, self.static, self.unit = name, calls, connections, static, unit
        self.page_updates = page_updates  # the setting under which the server gives the recorded answers
        self.cookies = cookies            # a file of them, if the walk is sent by many computers


class Stage:
    """A catalog with the floor under its cases."""

    def __init__(self, catalog, cases):
        self.catalog, self.cases = catalog, cases
        calls = {id(c): c for case in cases for c in case.calls}
        static = {id(c): c for case in cases if case.static for c in case.calls}
        self.floor = Floor(catalog.server, list(calls.values()), static.values())
        self.results = [[] for _ in cases]

    def __enter__(self):
        self.floor.__enter__()
        self.epoch = self.catalog.epoch()
        return self

    def __exit__(self, kind, *rest):
        self.floor.__exit__(kind, *rest)
        self.catalog.set_page(PAGE_UPDATES)
        # recorded answers hold as long as nobody publishes: the lengths that b_load compares would change
        if kind is None and self.catalog.epoch() != self.epoch:
            raise SystemExit("the catalog changed while it was measured: the recorded answers do not hold")

    def measure(self, number, options):
        case = self.cases[number]
        self.catalog.set_page(case.page_updates)
        # a slow server shall have as many answers to show as a quick one: several for each connection
        more = ["-a", options.answers, *(["-C", case.cookies] if case.cookies else [])]
        asked = self.floor.requests(case.calls)
        out = {"server": self.timed(self.catalog.server, asked, case, options, *more),
               "floor": self.timed(self.floor, asked, case, options, "-q", *more)}
        if case.static:
            asked = self.floor.requests(case.calls, "static")
            out["static"] = load(self.floor.port, asked, case.connections, options.seconds, "-a", options.answers)
        self.results[number].append(out)

    @staticmethod
    def timed(side, asked, case, options, *more):
        """What b_load says, and how long the processes of the services and of nginx ran for a call."""
        of = side.processes_by_kind()
        before = {kind: cpu_us(pids) for kind, pids in of.items()}
        out = load(side.port, asked, case.connections, options.seconds, *more)
        return out | {f"{kind}_us": (cpu_us(pids) - before[kind]) / max(out["requests"], 1) for kind, pids in of.items()}

    def summaries(self):
        return [summary(case, rounds) for case, rounds in zip(self.cases, self.results)]


def load(port, files, connections, seconds, *options):
    done = run(B / "b_load", "-c", connections, "-s", seconds, *options, f"127.0.0.1:{port}", *files, check=False, timeout=3700)
    if done.returncode not in (0, 1):
        raise SystemExit(f"b_load: {done.stderr}")
    return json.loads(done.stdout)


def run_rounds(stages, options, what):
    """All rounds of all stages; the nth cases of them follow each other."""
    with contextlib.ExitStack() as stack:
        for stage in stages:
            stack.enter_context(stage)
        for n in range(options.rounds):
            say(f"{what}: round {n + 1} of {options.rounds}")
            for number in range(max(len(s.cases) for s in stages)):
                for stage in stages:
                    if number < len(stage.cases):
                        stage.measure(number, options)
    return [stage.summaries() for stage in stages]


def summary(case, rounds):
    """The figures of a case over its rounds."""
    out = {"case": case.name, "connections": case.connections, "unit": case.unit, "calls": len(case.calls),
           "reply_bytes": sum(len(c.reply) for c in case.calls), "request_bytes": sum(len(c.request) for c in case.calls)}
    for who in rounds[0]:
        of = [r[who] for r in rounds]
        out[who] = {"per_second": spread([o["walks_per_second"] for o in of]),
                    **{k: spread([o[k] for o in of]) for k in ("p50_us", "p99_us")},
                    **{k: max(o[k] for o in of) for k in ("max_us", "longest_wait_us")},
                    "p99_us_rounds": [o["p99_us"] for o in of],
                    "least_served": min(o["least_served"] for o in of), "most_served": max(o["most_served"] for o in of),
                    "errors": sum(o["errors"] for o in of), "first_error": next((o["first_error"] for o in of if o["errors"]), None)}
        if who != "static":
            out[who] |= {k: spread([o[k] for o in of]) for k in ("services_us", "nginx_us")}
        if who != "server":
            out[f"ratio_to_{who}"] = spread([r["server"]["rate"] / r[who]["rate"] for r in rounds if r[who]["rate"]])
    out["cpu_of_floor"] = spread([cpu_of(r["server"]) / cpu_of(r["floor"]) for r in rounds])
    return out


def cpu_of(one):
    """Microseconds of all processes for a call."""
    return one["services_us"] + one["nginx_us"]


def errors_of(case):
    return sum(case[who]["errors"] for who in ("server", "floor", "static") if who in case)


def between(large, small, who="server", figure="p99_us_rounds"):
    """How many times as long, round by round."""
    pairs = zip(large[who][figure], small[who][figure])
    return spread([a / b for a, b in pairs if b])
