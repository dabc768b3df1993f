"""part_groups.py -- scans a second against the number of approvals and of distinct sets of groups.

Requests are those of one computer's walk; each walk of a connection takes the cookie of the next computer, so that
every worker meets every set of groups.  Each axis goes from the base, and the worst corner is measured too.
"""
import http.client
import math
import re
import uuid

from machine import say
from harness import ALL_COMPUTERS, Computer, temporary, unpress
from report import kb, ms, number, ranged, section, table, times
from rounds import Case, Stage, run_rounds
from servers import syncs_of
import record

TITLE = "Scans against approvals and sets of groups"
POINTS = ((50, 1), (50, 20), (50, 200), (1000, 1), (20000, 1), (20000, 200))  # approvals, sets
QUICK_POINTS = ((50, 1), (1000, 20), (20000, 200))
CLIENT_GROUPS = 15  # that a computer is put into at most: LIMIT_CLIENT_GROUPS has All Computers too
COOKIE = re.compile(rb"(<EncryptedData>)[^<]*")


# ---- policy ----

def group(n):
    return f"set {n + 1:03}"


def approvals(updates, wanted, sets):
    """{(update, group)}: evenly for the groups if each gets fifty, else for all computers if that has room, else for
    as many groups as it takes."""
    if wanted >= 50 * sets > 50:
        groups = [group(n) for n in range(sets)]
    elif wanted <= len(updates):
        groups = [ALL_COMPUTERS]
    else:
        groups = [group(n) for n in range(math.ceil(wanted / len(updates)))]
    pairs = ((update, g) for update in updates for g in groups)
    return {pair for pair, _ in zip(pairs, range(wanted))}


def set_approvals(catalog, wanted, had):
    lines = [f"- {update} {name}" for update, name in sorted(had - wanted)]
    lines += [f"+ {update} {name}" for update, name in sorted(wanted - had)]
    catalog.server.policy(lines)


# ---- computers ----

class Replay:
    """Recorded calls sent with another computer's cookie."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def call(self, call, cookie):
        """The call as this computer makes it, with the server's answer; its NewCookie."""
        head, body = call.request.split(b"\r\n\r\n", 1)
        body = COOKIE.sub(rb"\g<1>" + cookie, body, count=1)
        path = head.split(b" ", 2)[1].decode()
        headers = [tuple(line.split(": ", 1)) for line in head.decode("latin-1").split("\r\n")[1:]]
        self.connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self.connection.putheader(name, str(len(body)) if name.lower() == "content-length" else value)
        self.connection.endheaders(body)
        answer = self.connection.getresponse()
        reply = answer.read()
        if answer.status != 200:
            raise SystemExit(f"a replayed {call.operation} was answered with {answer.status}: {reply[:500]!r}")
        return record.Call(path, headers, body, answer, reply)

    def settle(self, calls, cookie):
        """Walks through a differential scan; the cookie at its end: nothing changed since."""
        for call in calls:
            answer = self.call(call, cookie)
            text = unpress(answer.reply) if answer.packed else answer.reply
            cookie = COOKIE.search(text)[0].rpartition(b">")[2]
        return cookie


def groups_of(n, sets, names):
    """What the nth computer asks to be in: one group of its own; the only one all that have approvals, as far as it may."""
    return [group(n)] if sets > 1 or not names else names[:CLIENT_GROUPS]


def cookies_of(catalog, sets, names):
    """A cookie of a computer of each set that has just scanned."""
    found = []
    with Replay(catalog.server) as replay:
        for n in range(sets):
            computer = Computer(catalog.server, group=";".join(groups_of(n, sets, names)), id=str(uuid.UUID(int=(sets << 32) + n)),
                                name=f"bench-{n:03}.example.net").handshake()
            found.append(replay.settle(syncs_of(catalog.differential), computer.cookie[1].encode()))
    return found


def stage(catalog, sets, pairs):
    """The cases at a point: the base's walk, answered for these computers."""
    names = sorted({name for _, name in pairs if name != ALL_COMPUTERS})
    cookies = cookies_of(catalog, sets, names)
    path = temporary("wsus-cookies-") / "cookies"
    path.write_bytes(b"\n".join(cookies))
    with Replay(catalog.server) as replay:
        walks = [[replay.call(c, cookies[0]) for c in syncs_of(calls)] for calls in catalog.both]
    return Stage(catalog, [Case(name, calls, unit="scans", cookies=path)
                           for name, calls in zip(("fresh scan", "differential scan"), walks)])


def measure(bench):
    held = {}
    out = []
    for catalog in bench.catalogs:
        catalog.both  # recorded before anything changes
        catalog.server.ctl("config", "set", "targeting", "client")
        held[catalog] = {(update, ALL_COMPUTERS) for update in catalog.updates[:catalog.approved]}
        catalog.server.policy(f"+ {catalog.updates[0]} {group(n)}" for n in range(200))
        catalog.server.policy(f"- {catalog.updates[0]} {group(n)}" for n in range(200))
    for wanted, sets in QUICK_POINTS if bench.quick else POINTS:
        out += point(bench, held, wanted, sets)
    return out


def point(bench, held, wanted, sets):
    say(f"groups: {wanted:,} approvals, {sets} sets")
    stages = []
    for catalog in bench.catalogs:
        pairs = approvals(catalog.updates, wanted, sets)
        set_approvals(catalog, pairs, held[catalog])
        held[catalog] = pairs
        stages.append(stage(catalog, sets, pairs))
    results = run_rounds(stages, bench.options, f"groups: {wanted:,} approvals, {sets} sets")
    return [{"revisions": c.revisions, "approvals": len(held[c]), "sets": sets, "cases": r}
            for c, r in zip(bench.catalogs, results)]


def cases_in(result):
    return [case for row in result for case in row["cases"]]


# ---- for people ----

HEAD = ["revisions", "approvals", "sets", "what", "KB", "per second", "floor", "of the floor", "p50 ms", "p99", "max", "errors"]


def rows(result):
    for r in sorted(result, key=lambda r: r["revisions"]):
        for c in r["cases"]:
            s, f = c["server"], c["floor"]
            yield [f"{r['revisions']:,}", f"{r['approvals']:,}", str(r["sets"]), c["case"], kb(c["reply_bytes"]), ranged(s["per_second"]),
                   number(f["per_second"]["median"]), ranged(c["ratio_to_floor"], times), ms(s["p50_us"]["median"]),
                   ms(s["p99_us"]["median"]), ms(s["longest_wait_us"]), str(s["errors"] + f["errors"])]


def report(result):
    return [section(f"{TITLE}, 16 connections", table(HEAD, list(rows(result))))]


def targets(result):
    return []
