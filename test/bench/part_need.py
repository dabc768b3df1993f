"""part_need.py -- the same need on a small and on a large catalog: what the size alone costs.

A computer of the small catalog that has all of its products is compared with one of the large catalog that has just so
many of its products that it knows about as many revisions: its requests and answers have about the same size.  Both
servers run, and take turns within each round.
"""
import re

from harness import Computer, Instance, find, find_all, update_id
from report import kb, ms, ranged, section, table, target, times
from rounds import MANY, Case, Stage, between, run_rounds
from servers import PAGE_UPDATES, syncs_of
import record

TITLE = "The same need on both catalogs"
NEEDS = 2  # catalogs


class Behind:
    """What harness.Computer needs of an instance, on another port."""
    post, post_bytes, http, connect = Instance.post, Instance.post_bytes, Instance.http, Instance.connect

    def __init__(self, port):
        self.port = port


class Picky(Computer):
    """A computer with so many products and everything else; what stands below two other categories is a product."""

    def __init__(self, server, products):
        super().__init__(server, xpress=True)
        self.products, self.levels, self.seen = products, {}, set()

    def level(self, update, xml):
        """Of a category: how many stand above it.  -1: no category."""
        if 'UpdateType="Category"' not in xml:
            return -1
        above = [self.levels.get(i.lower(), -1) for i in re.findall(r'UpdateID="([^"]+)"', xml)[1:]]
        return max(above, default=-1) + 1

    def wants(self, info):
        update, xml = update_id(info), find(info, "Xml")
        self.levels[update] = self.level(update, xml)
        if self.levels[update] < 2:
            return True
        self.seen.add(update)
        return self.products is None or update in self.products

    def take(self, result):
        new = find_all(result, "NewUpdates/UpdateInfo")
        for info in new:
            number = int(find(info, "ID"))
            self.known[number] = update_id(info)
            installed = find(info, "IsLeaf") == "false" and self.wants(info)
            (self.installed if installed else self.other).add(number)
        return new

    def walk(self):
        """A whole scan: until nothing that came makes more applicable."""
        while True:
            result = self.sync_once()
            new = self.take(result)
            if find(result, "Truncated") != "true" and not any(int(find(i, "ID")) in self.installed for i in new):
                return

    def add_product(self):
        """One more product, in the order of their ids; False if there is none."""
        numbers = {update: number for number, update in self.known.items() if update in self.seen and number in self.other}
        if not numbers:
            return False
        update = min(numbers)
        self.products.add(update)
        self.other.remove(numbers[update])
        self.installed.add(numbers[update])
        return True


def products_for(catalog, known):
    """So many products that a computer with them knows as many revisions, or the one before if that is nearer."""
    computer = Picky(catalog.server, set()).handshake()
    computer.walk()
    before, last = len(computer.known), None
    while len(computer.known) < known and computer.add_product():
        before, last = len(computer.known), set(computer.products)
        computer.walk()
    if last and known - before < len(computer.known) - known and len(last) > 1:
        return last - {max(last)}
    return computer.products


def recorded(catalog, products):
    """(the computer, calls of its fresh scan, the call of a second one)."""
    with record.recording(catalog.server.port) as (url, calls):
        computer = Picky(Behind(int(url.rpartition(":")[2])), products).handshake()
        computer.walk()
        fresh = syncs_of(calls)
        computer.sync_once()
        return computer, fresh, syncs_of(calls)[len(fresh):]


def page_of(calls):
    """The middle one, by what it asks, of those that bring a full page."""
    full = [c for c in calls if c.content[1] == PAGE_UPDATES] or calls
    return full[len(full) // 2]


def measure(bench):
    if len(bench.catalogs) < NEEDS:
        return None
    small, large = bench.catalogs[0], bench.catalogs[-1]
    needs = [recorded(small, None)]
    needs.append(recorded(large, products_for(large, len(needs[0][0].known))))
    stages = []
    for catalog, (_, fresh, differential) in zip((small, large), needs):
        stages.append(Stage(catalog, [Case(name, calls, n, unit=unit) for n in (16, MANY) for name, calls, unit in (
            ("page of 200", [page_of(fresh)], "pages"), ("differential scan", differential, "scans"))]))
    results = run_rounds(stages, bench.options, "the same need")
    return [{"revisions": c.revisions, "known": len(n[0].known), "scan_calls": len(n[1]), "cases": r}
            for c, n, r in zip((small, large), needs, results)]


def cases_in(result):
    return [case for part in result or () for case in part["cases"]]


# ---- for people ----

HEAD = ["what", "conn.", "KB asked", "KB answered", "p50 ms", "p99", "p99 of the floor", "p99 times", "the floor's p99 times",
        "rate of the floor's"]


def both(a, b, form):
    return f"{form(a)} / {form(b)}"


def row(s, g):
    return [s["case"], str(s["connections"]), both(s["request_bytes"], g["request_bytes"], kb), both(s["reply_bytes"], g["reply_bytes"], kb),
            *(both(s["server"][k]["median"], g["server"][k]["median"], ms) for k in ("p50_us", "p99_us")),
            both(s["floor"]["p99_us"]["median"], g["floor"]["p99_us"]["median"], ms), ranged(between(g, s), times),
            ranged(between(g, s, "floor"), times),
            both(s["ratio_to_floor"]["median"], g["ratio_to_floor"]["median"], times)]


def pairs(result):
    return zip(result[0]["cases"], result[1]["cases"]) if result else ()


def report(result):
    if not result:
        return []
    small, large = result
    words = (f"Computers that know {small['known']:,} of {small['revisions']:,} and {large['known']:,} of {large['revisions']:,} "
             f"revisions; left of a stroke the smaller catalog, right of it the larger.")
    return [section(TITLE, words, table(HEAD, [row(s, g) for s, g in pairs(result)]))]


def targets(result):
    for s, g in pairs(result):
        yield target(f"p99 at {result[1]['revisions']:,} revisions against {result[0]['revisions']:,}, same need: {s['case']}, "
                     f"{s['connections']} connections", 2, between(g, s)["median"])
