"""machine.py -- the machine and its processes: what it is, how long a command takes, who holds which memory."""
import collections
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "test/e2e")]
from harness import children  # noqa: E402

BIN, B = ROOT / "bin", ROOT / "build/test"
PARTS = ("auth", "client", "content", "reporting", "serversync", "nginx", "jobs")  # pid files of an instance


BEGAN = time.monotonic()


def say(text):
    """Progress, for whoever waits."""
    print(f"{time.monotonic() - BEGAN:5.0f} s  {text}", file=sys.stderr, flush=True)


def facts():
    found = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {"cores": os.cpu_count(), "processor": found.group(1) if found else platform.machine(),
            "kernel": platform.release(), "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20}


def spread(values):
    """What a table shows of several rounds."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


# ---- commands ----

def anonymous_kb(pid):
    """Private memory that is no page of a mapped file: a store's map may go at any time and does not count."""
    try:
        with open(f"/proc/{pid}/status") as f:
            found = re.search(r"^RssAnon:\s+(\d+) kB", f.read(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found.group(1)) if found else 0


def timed(*command, check=True):
    """(seconds, most RssAnon in KB, output); looks every 5 ms, which the command does not feel."""
    with tempfile.TemporaryFile("w+") as out:
        began, peak = time.monotonic(), 0
        p = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        while p.poll() is None:
            peak = max(peak, anonymous_kb(p.pid))
            try:
                p.wait(0.005)
            except subprocess.TimeoutExpired:
                continue
        seconds = time.monotonic() - began
        out.seek(0)
        text = out.read()
    if check and p.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: status {p.returncode}\n{text}")
    return seconds, peak, text


def seconds_of(function, *arguments):
    began = time.monotonic()
    function(*arguments)
    return time.monotonic() - began


def bare(directory, rows=0, row_bytes=1, batch=1):
    """What b_lmdb says of this disk: {"fsync": ms, "commit": ms, "load": MB/s, "read": ms of 200 rows}."""
    rows, row_bytes, batch = (str(int(n)) for n in (rows, max(row_bytes, 1), batch))
    with tempfile.TemporaryDirectory(dir=directory) as where:
        done = subprocess.run([str(B / "b_lmdb"), where, rows, row_bytes, batch], check=True, text=True, stdout=subprocess.PIPE)
    figures = [line.split("\t") for line in done.stdout.splitlines()]
    return {name.split()[0]: float(value) for name, value, _ in figures}


# ---- time and memory of processes ----

def tree(pid):
    yield pid
    for child in children(pid):
        yield from tree(child)


def cpu_us(pids):
    """Microseconds that these processes ran until now."""
    return sum(int(pathlib.Path(f"/proc/{p}/schedstat").read_text().split()[0]) for p in pids) / 1000


def memory_of(pid):
    """(program, private, shared, proportional) in KB; None if it has just ended.  Pages of a file that nobody else happens to
    have mapped count as shared: the store's are the kernel's to take back."""
    try:
        program = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    kb = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    if not kb:
        return None
    return program, kb["Private_Dirty"], kb["Private_Clean"] + kb["Shared_Clean"] + kb["Shared_Dirty"], kb["Pss"]


def memory(server):
    """By program: how many, the sum and the largest of private memory, the largest shared, the proportional sum."""
    programs = collections.defaultdict(lambda: dict.fromkeys(
        ("processes", "private_kb", "largest_private_kb", "largest_shared_kb", "proportional_kb"), 0))
    for pid in [p for part in PARTS for p in tree(server.pid(part))]:
        found = memory_of(pid)
        if not found:
            continue
        program, private, shared, proportional = found
        row = programs[program]
        row["processes"] += 1
        row["private_kb"] += private
        row["proportional_kb"] += proportional
        row["largest_private_kb"] = max(row["largest_private_kb"], private)
        row["largest_shared_kb"] = max(row["largest_shared_kb"], shared)
    return dict(programs)


def private_of_all(programs):
    return sum(p["private_kb"] for p in programs.values())


def largest_worker(programs):
    return max(p["largest_private_kb"] for name, p in programs.items() if name.startswith("wsus-"))


class Watching:
    """The most that each program had while the block ran: memory under load."""

    def __init__(self, server, every=0.25):
        self.server, self.every, self.most = server, every, {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.ended.wait(self.every):
            for program, row in memory(self.server).items():
                most = self.most.setdefault(program, row)
                self.most[program] = {k: max(most[k], row[k]) for k in row}

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


class Anonymous(Watching):
    """The largest RssAnon of any of these processes while the block runs; looked at so often that what is there for some
    milliseconds is seen."""

    def __init__(self, pids):
        super().__init__(None, 0.002)
        self.pids, self.kb = pids, 0

    def look(self):
        while not self.ended.wait(self.every):
            self.kb = max([self.kb, *map(anonymous_kb, self.pids)])
