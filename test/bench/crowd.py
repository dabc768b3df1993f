"""crowd.py -- what storm.py, soak.py and their smoke test share: computers by the thousand, those who change policy
meanwhile, a judge of what every computer must hold in the end, and an account of the server's processes.
"""
import itertools
import json
import os
import pathlib
import random
import re
import subprocess
import threading
import time

from machine import PARTS, ROOT, memory_of, tree
from harness import ALL_COMPUTERS, Instance, open_files, run, temporary
import report

# SHARE:SEED of wsus-probe's --installed and --seed, and a weight: what computers of a profile have.  With the 5,000
# revisions of the catalog the first three take 10 or 11 calls and 0.9 to 1.5 thousand revisions, the next three 6 or 7
# and about 0.6; one in 49 calls everything installed and takes all 4,351 that are offered, in 27 calls.
PROFILES = ((80, 1, 8), (80, 5, 8), (80, 6, 8), (80, 2, 8), (80, 3, 8), (88, 4, 8), (100, 0, 1))
GROUPS = ("", "A", "B", "A;C")  # B is below A; "" has no group of its own


class Server(Instance):
    """As run.sh starts it, with as many workers as the services think best; computers choose their groups."""

    def command(self, *more):
        return [ROOT / "scripts/run.sh", "--state", self.state, "--port", self.port, "--tls-port", self.tls_port, *more]

    def prepare(self, revisions, approvals):
        """Loads documents and their files, makes the groups, approves something for each."""
        directory = make_catalog(revisions, 1, "--content")
        self.ctl("config", "set", "targeting", "client")
        self.ctl("config", "set", "client.new-per-hour", "10000000")
        for group in ("A", "C"):
            self.ctl("group", "create", group)
        self.ctl("group", "create", "B", "--parent", "A")
        self.ctl("update", "import", directory / "updates", timeout=1800)
        self.ctl("content", "add", directory / "content", timeout=1800)
        run("rm", "-r", directory)
        updates = self.updates()
        for n, update in enumerate(updates[:approvals]):
            self.ctl("approve", update, "--group", (ALL_COMPUTERS, ALL_COMPUTERS, "A", "B", "C")[n % 5])

    def updates(self):
        """UpdateIDs that may be approved, in an order that has nothing to do with what they are."""
        rows = self.ctl_json("update", "list", "--type", "software")
        found = [r["id"] for r in rows if r["state"] == "offered"]
        random.Random(1).shuffle(found)
        return found


def make_catalog(revisions, seed, *more):
    directory = temporary("wsus-storm-") / "catalog"
    run(ROOT / "build/test/make-catalog", "--revisions", revisions, "--seed", seed, "--languages", 4, *more, "--out", directory,
        timeout=1800)
    return directory


# ---- the computers ----

class Crowd:
    """b_storm, which is told what to do by lines and answers each with an object."""

    def __init__(self, server, computers, connections, profiles=PROFILES, groups=GROUPS, forget=0, seed=1):
        self.server, self.profiles, self.groups = server, profiles, groups
        options = ["-n", computers, "-c", connections, "-s", seed, *(["-x", forget] if forget else [])]
        for profile in profiles:
            options += ["-p", ":".join(map(str, profile))]
        for group in groups:
            options += ["-g", group]
        self.process = subprocess.Popen([str(o) for o in (ROOT / "build/test/b_storm", *options, f"127.0.0.1:{server.port}")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, command):
        """Does it and returns what came of it."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"b_storm ended: status {self.process.wait()}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.terminate()
        self.process.stdin.close()
        self.process.wait(60)

    def judge(self):
        """(computers whose set is right, what is wrong with the others): for each profile and each group wsus-probe, a
        client of its own, makes a fresh scan; its set is the right one."""
        directory = temporary("wsus-sets-")
        said = self.tell(f"sets {directory}")
        right, wrong, known = 0, [], {}
        for s in said["sets"]:
            key = (s["profile"], s["group"])
            if key not in known:
                known[key] = self.right_set(*key)
            held = set((directory / s["file"]).read_text().splitlines())
            if held == known[key]:
                right += s["computers"]
            else:
                wrong.append({**s, "differences": sorted(held ^ known[key])[:10], "missing": len(known[key] - held),
                              "extra": len(held - known[key])})
        if said["others"]:
            wrong.append({"computers": said["others"], "differences": [], "file": "more sets than are written"})
        return {"right": right, "wrong": wrong, "judged_by": len(known),
                "revisions": sorted({len(v) for v in known.values()})}

    def right_set(self, profile, group):
        share, seed, _ = self.profiles[profile]
        state = temporary("wsus-right-") / "probe.state"
        name = self.groups[group]
        run(ROOT / "bin/wsus-probe", f"http://127.0.0.1:{self.server.port}", "--installed", share, "--seed", seed, "--state", state,
            "--client-id", f"judge-{profile}-{group}", "--extended", 0, "--max-calls", 1000,
            *(["--group", name] if name else []))
        rows = [line.split() for line in state.read_text().splitlines() if line.startswith("update ")]
        return {f"{r[1]} {r[4]} {r[5]}" for r in rows if "d" not in r[4]}


# ---- those who change policy meanwhile ----

class Writers:
    """An import of further documents, batch by batch, and an administrator who approves, takes back and declines; until
    the block ends.  An error of theirs is an error of the run."""

    def __init__(self, server, documents, batch, pause, again=False, seed=7):
        self.server, self.pause, self.again, self.stop = server, pause, again, threading.Event()
        self.counts = {"imported documents": 0, "approvals": 0, "removed approvals": 0, "declined": 0, "undeclined": 0,
                       "moves of a group": 0, "detectoids taken or given back": 0, "ticks": 0}
        self.errors = []
        self.dice = random.Random(seed)
        self.updates = server.updates()
        self.detectoids = [r["id"] for r in server.ctl_json("update", "list", "--all", "--type", "detectoid")]
        self.without = None  # the detectoid that is declined just now
        self.approved, self.declined = [], []
        self.batches = []
        if documents:
            paths = sorted((make_catalog(max(documents, 300), 2) / "updates").rglob("*.xml"))
            self.batches = [paths[n:n + batch] for n in range(0, len(paths), batch)]
        self.threads = [threading.Thread(target=self.guarded, args=(f,)) for f in (self.import_all, self.administer)]

    def guarded(self, work):
        try:
            work()
        except (AssertionError, OSError, subprocess.SubprocessError) as e:
            self.errors.append(str(e)[:500])

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()

    def import_all(self):
        """With again: forever; what is known by then changes nothing."""
        for paths in itertools.cycle(self.batches) if self.again else self.batches:
            if self.stop.is_set():
                return
            self.server.ctl("update", "import", *paths)
            self.counts["imported documents"] += len(paths)
            self.stop.wait(self.pause * 3)

    def administer(self):
        while not self.stop.wait(self.pause):
            self.change(self.dice.choices(("approve", "unapprove", "decline", "undecline", "move", "detectoid", "tick"),
                                          (6, 3, 2, 1, 1, 1, 1))[0])

    def change(self, what):
        """One change; one that there is nothing for becomes an approval."""
        if what == "unapprove" and self.approved:
            update, group = self.approved.pop(self.dice.randrange(len(self.approved)))
            self.server.ctl("unapprove", update, "--group", group)
            self.counts["removed approvals"] += 1
        elif what == "decline":
            update = self.dice.choice(self.updates)
            self.approved = [a for a in self.approved if a[0] != update]
            self.server.ctl("decline", update)
            self.declined.append(update)
            self.counts["declined"] += 1
        elif what == "undecline" and self.declined:
            self.server.ctl("undecline", self.declined.pop())
            self.counts["undeclined"] += 1
        elif what == "move":
            self.server.ctl("group", "move", "B", "--parent", self.dice.choice(("A", "C", ALL_COMPUTERS)))
            self.counts["moves of a group"] += 1
        elif what == "detectoid":
            self.detectoid()
        elif what == "tick":
            self.server.ctl("store", "tick")
            self.counts["ticks"] += 1
        else:
            self.approve()

    def approve(self):
        update = self.dice.choice([u for u in self.updates if u not in self.declined])
        group = self.dice.choice((ALL_COMPUTERS, "A", "B", "C"))
        self.server.ctl("approve", update, "--group", group)
        if (update, group) not in self.approved:
            self.approved.append((update, group))
        self.counts["approvals"] += 1

    def detectoid(self):
        """Without it what hangs on it is deployed but out of scope; with it again, in scope with all that has changed since."""
        if self.without:
            self.server.ctl("undecline", self.without)
            self.without = None
        else:
            self.without = self.dice.choice(self.detectoids)
            self.server.ctl("decline", self.without)
        self.counts["detectoids taken or given back"] += 1

    def last_changes(self):
        """After the block: changes that computers which have finished can only learn by a differential scan.  A detectoid
        is missing after them."""
        changes = (("detectoid",) if self.without else ()) + ("detectoid",) + ("approve",) * 8 + ("unapprove", "decline", "decline")
        for what in changes:
            self.change(what)
        return len(changes)


# ---- the server's processes ----

def processes(server):
    """(part, pid) of all."""
    return [(part, pid) for part in PARTS for pid in tree(server.pid(part))]


def sample(server):
    """By part: private KB and descriptors, of all its processes together and the most that one has, and how many they are."""
    out = {part: dict.fromkeys(("kb", "largest_kb", "descriptors", "processes"), 0) for part in PARTS}
    for part, pid in processes(server):
        found = memory_of(pid)
        try:
            files = open_files(pid)
        except OSError:
            continue
        if not found:  # it ended just now
            continue
        row, kb = out[part], found[1]
        row["kb"] += kb
        row["largest_kb"] = max(row["largest_kb"], kb)
        row["descriptors"] += files
        row["processes"] += 1
    return out


def cpu_seconds(server):
    """User and system time of all processes, those that ended included (their parents keep the account)."""
    ticks, parents = 0, [server.pid(part) for part in PARTS]
    for _, pid in processes(server):
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended just now: its parent has it
            continue
        ticks += sum(int(f) for f in fields[11:15 if pid in parents else 13])
    return ticks / os.sysconf("SC_CLK_TCK")


class Watch(threading.Thread):
    """The most private memory that all processes had together, looked at every so often."""

    def __init__(self, server, every=1.0):
        super().__init__(daemon=True)
        self.server, self.every, self.done = server, every, threading.Event()
        self.peak_kb, self.parts, self.worker_kb = 0, {}, 0

    def run(self):
        while not self.done.wait(self.every):
            now = sample(self.server)
            total = sum(p["kb"] for p in now.values())
            self.worker_kb = max([self.worker_kb, *(p["largest_kb"] for k, p in now.items() if k != "nginx")])
            if total > self.peak_kb:
                self.peak_kb, self.parts = total, {k: p["kb"] for k, p in now.items()}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()


LEFT = "the peer went away before"  # nginx leaves a worker whose client has left


def complaints(server, clients_leave=False):
    """Lines of the logs that say that something went wrong: of a service at level error or warn, of nginx at error or above.
    Where clients break off on purpose, a worker may say that one has left."""
    found = []
    for path in sorted((server.state / "log").glob("*.log")):
        if path.name == "access.log":
            continue
        with open(path, errors="replace") as f:
            found += [f"{path.name}: {line.strip()[:300]}" for line in f
                      if re.match(r"\S+Z (error|warn) |\S+ \S+ \[(error|crit|alert|emerg)\]", line)
                      and not (clients_leave and LEFT in line)]
    return found


# ---- for people ----

def failures_of(phase):
    if phase["errors"]:
        yield f"{phase['phase']}: {phase['errors']} errors, the first: {phase['first_error']}"


def failures_of_judge(judge, computers, when):
    for wrong in judge["wrong"]:
        yield (f"{when}: {wrong['computers']} computers hold a wrong set ({wrong['file']}, {wrong.get('missing')} missing, "
               f"{wrong.get('extra')} too many): {', '.join(wrong['differences'])}")
    if judge["right"] != computers and not judge["wrong"]:
        yield f"{when}: only {judge['right']} of {computers} computers were judged"


def operations(phase):
    """The table of a phase's times."""
    rows = [*phase["operations"].items(), ("*longest wait of a computer*", phase["longest_wait"])]
    return report.table(["call", "calls", "p50 ms", "p99", "max"],
                        [[name, f"{o['calls']:,}", *(f"{o[k] / 1000:.1f}" for k in ("p50_us", "p99_us", "max_us"))] for name, o in rows])


def timed_phase(server, crowd, command):
    """The phase with what it cost the server."""
    before = cpu_seconds(server)
    phase = crowd.tell(command)
    phase["server_cpu_seconds"] = cpu_seconds(server) - before
    return phase


def machine():
    return {"cores": os.cpu_count(), "load": os.getloadavg()[0], "date": time.strftime("%Y-%m-%d", time.gmtime())}
