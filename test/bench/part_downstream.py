"""part_downstream.py -- this server as the child of another: a first synchronization, one with nothing new and one with little, and
files at the rate of the link.

Parent and child are both ours, on this machine: half of its processors serve, the other half take, so a link's own time is not in
it.  wsus-sync runs as the job does, on a store of its own; what it ended with is compared with the parent's."""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from machine import BIN, anonymous_kb, say, spread
from harness import ALL_COMPUTERS, run, temporary
from report import kb, number, ranged, section, table, target, times

TITLE = "As a downstream server"
NEW = 100
FILES, FILE_MB = 8, 32
HELD_KB = 20480  # upstream.rate of the measurement that is held back, KB/s
PEAK_MB = 64


def status_kb(pid, name):
    try:
        with open(f"/proc/{pid}/status") as f:
            found = re.search(rf"^{name}:\s+(\d+) kB", f.read(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found.group(1)) if found else 0


class Child:
    """A store below the parent, without services: synchronizing needs none."""

    def __init__(self, server, *settings):
        self.server, self.state = server, temporary("wsus-bench-")
        self.ctl("store", "create", self.state / "store")
        for name, value in (("upstream.url", f"http://127.0.0.1:{server.port}"), ("sync.filter", "all"), *settings):
            self.ctl("config", "set", name, value)

    def ctl(self, *arguments):
        return run(BIN / "wsusctl", "--store", self.state / "store", *arguments, timeout=1800).stdout

    def job(self, *arguments):
        """{"seconds", "peak_kb" (VmHWM), "private_kb" (most RssAnon)} of one run of wsus-sync."""
        command = [BIN / "wsus-sync", *arguments, "--quiet", "--store", self.state / "store", "--content", self.state / "content"]
        hwm = private = 0
        with tempfile.TemporaryFile("w+") as out:
            began = time.monotonic()
            p = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
            while p.poll() is None:
                hwm, private = max(hwm, status_kb(p.pid, "VmHWM")), max(private, anonymous_kb(p.pid))
                try:
                    p.wait(0.01)
                except subprocess.TimeoutExpired:
                    continue
            seconds = time.monotonic() - began
            out.seek(0)
            said = out.read()
        if p.returncode != 0:
            raise SystemExit(f"wsus-sync {' '.join(arguments)}: status {p.returncode}\n{said}")
        return {"seconds": seconds, "peak_kb": hwm, "private_kb": private}

    def synchronize(self):
        return self.job("run", "--no-content")

    def revisions(self):
        return sorted(re.findall(r"^([0-9a-f-]{36}) +(\d+)?", self.ctl("update", "list"), re.M))

    def remove(self):
        shutil.rmtree(self.state, ignore_errors=True)


# ---- metadata ----

def newer(catalog, directory):
    """NEW more revisions at the parent: what it has of as many updates, with a higher number."""
    for n, update in enumerate(catalog.updates[:NEW]):
        text = catalog.server.ctl("update", "show", update, "--fragment", "original").stdout
        text = re.sub(r'(<(?:\w+:)?UpdateIdentity\b[^>]*\bRevisionNumber=")(\d+)', lambda m: f"{m[1]}{int(m[2]) + 1}", text, count=1)
        (directory / f"{n:03}.xml").write_text(text)
    catalog.server.ctl("update", "import", directory)


def synchronizations(catalog, rounds):
    server = catalog.server
    server.ctl("config", "set", "downstream.admission", "open")
    child, errors = Child(server, ("content.store", "microsoft")), []
    try:
        say(f"downstream: a first synchronization of {catalog.revisions:,}")
        first = child.synchronize()
        if child.revisions() != Child.revisions(server_as_child(server)):
            errors.append("the child has other updates than its parent")
        same = [child.synchronize() for _ in range(rounds)]
        say(f"downstream: {NEW} new ones")
        newer(catalog, temporary("wsus-bench-"))
        some = child.synchronize()
        added = json.loads(child.ctl("sync", "history", "--json"))[0]["added"]
        if added != min(NEW, len(catalog.updates)):
            errors.append(f"of {NEW} new revisions came {added}")
    finally:
        child.remove()
    return {"revisions": catalog.revisions, "first": first, "nothing": spread([s["seconds"] for s in same]), "some": some["seconds"],
            "private_kb": max(s["private_kb"] for s in (first, some, *same)), "peak_kb": max(s["peak_kb"] for s in (first, some, *same)),
            "errors": errors}


def server_as_child(server):
    """To ask the parent's store the same questions."""
    it = object.__new__(Child)
    it.state = server.state
    return it


# ---- content ----

def documents_with_files(catalog, place):
    """Documents of which each names one large file, and the files; made of one that the parent has."""
    for update in catalog.updates:
        text = catalog.server.ctl("update", "show", update, "--fragment", "original").stdout
        if len(re.findall(r"<(?:\w+:)?File\b", text)) == 1:
            break
    else:
        raise SystemExit("no update of the catalog has one file")
    digests = []
    for n in range(FILES):
        data = os.urandom(FILE_MB << 20)
        sha1, sha256 = hashlib.sha1(data), hashlib.sha256(data)
        (place / f"{n}.bin").write_bytes(data)
        made = re.sub(r'(<(?:\w+:)?File\b[^>]*\bDigest=")[^"]*', rf"\g<1>{base64.b64encode(sha1.digest()).decode()}", text)
        made = re.sub(r'(<(?:\w+:)?File\b[^>]*\bSize=")[^"]*', rf"\g<1>{len(data)}", made)
        made = re.sub(r'(<(?:\w+:)?AdditionalDigest\b[^>]*>)[^<]*', rf"\g<1>{base64.b64encode(sha256.digest()).decode()}", made)
        identity = f"{n:08x}-1111-4222-8333-{n:012x}"
        made = re.sub(r'(<(?:\w+:)?UpdateIdentity\b[^>]*\bUpdateID=")[^"]*', rf"\g<1>{identity}", made, count=1)
        (place / f"{n}.xml").write_text(made)
        digests.append((identity, sha1.hexdigest().upper()))
    return digests


def fetch(server, files, *settings):
    """Seconds of the content job for all files, on a child that has approved them."""
    child = Child(server, *settings)
    try:
        child.synchronize()
        child.ctl("config", "set", "upstream.url", "")  # approving would begin to fetch
        for identity, _ in files:
            child.ctl("approve", identity, "--group", ALL_COMPUTERS)
        child.ctl("config", "set", "upstream.url", f"http://127.0.0.1:{server.port}")
        done = child.job("content")
        for _, digest in files:
            if (child.state / "content" / digest[-2:] / digest).stat().st_size != FILE_MB << 20:
                raise SystemExit(f"content: {digest} did not come whole")
        return done
    finally:
        child.remove()


def floor_seconds(server, files):
    """curl, as many at a time, into files."""
    with tempfile.TemporaryDirectory() as place:
        urls = [word for _, digest in files for word in
                ("-o", f"{place}/{digest}", f"http://127.0.0.1:{server.port}/Content/{digest[-2:]}/{digest}.bin")]
        began = time.monotonic()
        subprocess.run(["curl", "-sfZ", "--no-progress-meter", "--parallel-max", "4", "--noproxy", "*", *urls], check=True)
        return time.monotonic() - began


def contents(catalog, rounds):
    server, place = catalog.server, temporary("wsus-bench-")
    say(f"downstream: {FILES} files of {FILE_MB} MB")
    server.ctl("config", "set", "content.store", "local")
    try:
        files = documents_with_files(catalog, place)
        server.ctl("update", "import", place)
        server.ctl("content", "add", place)
        size = FILES * FILE_MB << 20
        free = [fetch(server, files) for _ in range(rounds)]
        floor = [floor_seconds(server, files) for _ in range(rounds)]
        held = fetch(server, files, ("upstream.rate", HELD_KB))
    finally:
        server.ctl("config", "set", "content.store", "microsoft")
        shutil.rmtree(place)
    rate = spread([size / f["seconds"] / 1e6 for f in free])
    best = spread([size / s / 1e6 for s in floor])
    return {"mb": size / 1e6, "rate": rate, "floor": best, "ratio": rate["median"] / best["median"],
            "held": size / held["seconds"] / 1e6, "held_at": HELD_KB * 1024 / 1e6, "private_kb": max(f["private_kb"] for f in free),
            "peak_kb": max(f["peak_kb"] for f in free)}


def measure(bench):
    rounds = 1 if bench.quick else 3
    return {"syncs": [synchronizations(c, rounds) for c in bench.catalogs], "content": contents(bench.catalogs[0], rounds)}


def cases_in(result):
    return [{"case": f"{s['revisions']:,} revisions", "server": {"errors": len(s["errors"]), "first_error": (s["errors"] or [""])[0]}}
            for s in result["syncs"]]


# ---- for people ----

HEAD = ["revisions", "first, s", "documents/s", "nothing new, s", f"{NEW} new, s", "peak private MB", "peak VmHWM MB"]


def row(s):
    return [f"{s['revisions']:,}", number(s["first"]["seconds"]), number(s["revisions"] / s["first"]["seconds"]),
            ranged(s["nothing"], times), times(s["some"]), kb(s["private_kb"]), kb(s["peak_kb"])]


CONTENT_HEAD = ["files, MB", "MB/s", "curl, MB/s", "of the floor", f"held at {HELD_KB} KB/s: MB/s", "allowed", "peak private MB"]


def report(result):
    c = result["content"]
    return [section("A synchronization with a parent", table(HEAD, [row(s) for s in result["syncs"]])),
            section("Files from a parent", table(CONTENT_HEAD, [[number(c["mb"]), ranged(c["rate"]), ranged(c["floor"]), times(c["ratio"]),
                                                                 times(c["held"]), times(c["held_at"]), kb(c["private_kb"])]]))]


def targets(result):
    for s in result["syncs"]:
        yield target(f"synchronization of {s['revisions']:,}: private memory", PEAK_MB, s["private_kb"] / 1024, form=number, unit=" MB")
    c = result["content"]
    yield target("files from a parent, of curl's rate", 0.5, c["ratio"], at_least=True)
    yield target("upstream.rate: what came of what was allowed", 1.05, c["held"] / c["held_at"])
