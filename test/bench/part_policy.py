"""part_policy.py -- how long until an approval is seen, of one update and for 200 groups at once.

What is approved is always something new, and the recorded call of a computer that has just scanned is sent right after
the command: the answer must name one more changed update than the one before.
"""
import time

from machine import bare, say, spread
from harness import ALL_COMPUTERS, unpress
from part_groups import Replay, group
from report import number, ranged, section, table, target
from servers import syncs_of

TITLE = "Until an approval is seen"
TIMES = 5
GROUPS = 200
IN_ONE_COMMAND = 50  # a command takes at most 64 options


def changed(answer):
    text = unpress(answer.reply) if answer.packed else answer.reply
    return text.partition(b"<ChangedUpdates>")[2].partition(b"</ChangedUpdates>")[0].count(b"<UpdateInfo>")


class Computer:
    """One that has just scanned: the first call of its next scan."""

    def __init__(self, catalog):
        state = catalog.server.state / "approval.state"
        catalog.walk("--state", state)
        self.asked = syncs_of(catalog.walk("--state", state))[0]
        self.cookie = self.asked.request.partition(b"<EncryptedData>")[2].partition(b"<")[0]
        self.server, self.seen = catalog.server, 0

    def sees_one_more(self):
        """Seconds of the call; the answer is looked at afterwards."""
        with Replay(self.server) as replay:
            began = time.monotonic()
            answer = replay.call(self.asked, self.cookie)
            took = time.monotonic() - began
        self.seen += 1
        if changed(answer) != self.seen:
            raise SystemExit(f"the call after an approval names {changed(answer)} changed updates instead of {self.seen}")
        return took


def approve(catalog, update, groups):
    options = [o for name in groups for o in ("--group", name)]
    began = time.monotonic()
    catalog.server.ctl("approve", update, *options)
    return time.monotonic() - began


def approve_for_all(catalog, update):
    """For every one of GROUPS groups, in as few commands as it takes."""
    names = [group(n) for n in range(GROUPS)]
    return sum(approve(catalog, update, names[n:n + IN_ONE_COMMAND]) for n in range(0, GROUPS, IN_ONE_COMMAND))


def make_groups(catalog):
    first = catalog.updates[0]
    catalog.server.policy(f"+ {first} {group(n)}" for n in range(GROUPS))
    catalog.server.policy(f"- {first} {group(n)}" for n in range(GROUPS))


def one(catalog):
    say(f"policy: {catalog.revisions:,} revisions")
    fresh = catalog.updates[-2 * TIMES:]
    make_groups(catalog)
    catalog.server.ctl("config", "set", "targeting", "server")
    computer = Computer(catalog)
    commands, calls = [], []
    for update in fresh[:TIMES]:
        commands.append(approve(catalog, update, [ALL_COMPUTERS]))
        calls.append(computer.sees_one_more())
    many = [approve_for_all(catalog, update) for update in fresh[TIMES:]]
    floor = bare(catalog.server.state)
    return {"revisions": catalog.revisions, "times": TIMES, "command_seconds": spread(commands), "call_seconds": spread(calls),
            "seen_seconds": spread([a + b for a, b in zip(commands, calls)]), "groups": GROUPS, "groups_seconds": spread(many),
            "fsync_ms": floor["fsync"], "commit_ms": floor["commit"]}


def measure(bench):
    return [one(c) for c in bench.catalogs]


def cases_in(_):
    return []


# ---- for people ----

HEAD = ["revisions", "the command, ms", "the call that shows it, ms", "both, ms", "times a bare commit", f"for {GROUPS} groups, ms", "times",
        "bare commit ms", "bare fsync ms"]


def milliseconds(seconds):
    return number(seconds * 1000)


def row(r):
    floor = r["commit_ms"]
    return [f"{r['revisions']:,}", *(ranged(r[k], milliseconds) for k in ("command_seconds", "call_seconds", "seen_seconds")),
            number(r["seen_seconds"]["median"] * 1000 / floor), ranged(r["groups_seconds"], milliseconds),
            number(r["groups_seconds"]["median"] * 1000 / floor), number(floor), number(r["fsync_ms"])]


def report(result):
    return [section(TITLE, table(HEAD, [row(r) for r in result]))]


def targets(result):
    for r in result:
        yield target(f"a new approval is seen, {r['revisions']:,} revisions", 0.1, r["seen_seconds"]["median"], unit=" s")
        yield target(f"{GROUPS} groups changed at once, {r['revisions']:,} revisions", 1, r["groups_seconds"]["median"], unit=" s")
