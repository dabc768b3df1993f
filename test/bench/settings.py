"""settings.py -- what each default costs and gives: one setting at a time, beside the default, in the same minute.

scripts/bench.sh --settings [NAME...].  All values of a setting are measured one after the other in each round, on the
same store and with the same recorded requests; ratios to the default are taken within a round.  A value of nginx is a
second nginx before the same services; a value of the services is a second set of workers on the same store, built from
a copy of the sources where it is a constant; a value of the store's settings is set there for the time of a measurement.

Rates swing with what else the machine does.  CPU time per call, memory, bytes written and switches do so much less.
"""
import argparse
import contextlib
import os
import pathlib
import random
import re
import shutil
import socket
import statistics
import subprocess
import threading
import time

from machine import B, BIN, ROOT, cpu_us, memory_of, say, spread
from harness import children, free_ports, run, temporary, wait_for
from part_rates import SMALL_PAGE, page
from report import ranged, table, times
from rounds import load
from servers import PAGE_UPDATES, Catalog, syncs_of

REVISIONS = 5000
KNOWN_IDS = 90000    # what a computer has in its cache that finds every update of 100,000 applicable
STALLED = 200        # clients that ask for a page and do not read it
SEGMENT = 1448       # of an Ethernet: with that of a loopback a socket takes a whole page at once

# As run.sh starts nginx.
THRESHOLD = dict(re.findall(r"(MALLOC_MMAP_THRESHOLD_)=(\d+)", (ROOT / "scripts/run.sh").read_text()))


# ---- a value of a setting ----

class Value:
    """Changes that make it: directives of nginx, texts of sources, the number of workers, a row of the store."""

    def __init__(self, label, nginx=(), source=(), workers=None, config=(), environ=()):
        self.label, self.nginx, self.source, self.workers, self.config = label, nginx, source, workers, config
        self.environ = {k: v for k, v in {**os.environ, **THRESHOLD, **dict(environ)}.items() if v is not None}  # of nginx


class Setting:
    def __init__(self, name, cases, values):
        self.name, self.cases, self.values = name, cases, [Value("as it is"), *values]


def directive(name, *values, file="http.conf"):
    """A value each: the directive replaced where it stands, else added to the file."""
    return [Value(f"{name} {v}", nginx=[(file, rf"(?m)^\s*{name} [^;]*;|\Z", f"{name} {v};\n")]) for v in values]


def buffers(size, number, busy):
    return Value(f"{number} x {size}k, busy {busy}k", nginx=[
        ("fastcgi.conf", "fastcgi_buffer_size [^;]*;", f"fastcgi_buffer_size {size}k;"),
        ("fastcgi.conf", "fastcgi_buffers [^;]*;", f"fastcgi_buffers {number} {size}k;"),
        ("fastcgi.conf", "fastcgi_busy_buffers_size [^;]*;", f"fastcgi_busy_buffers_size {busy}k;")])


def constant(file, name, *values):
    """A value each of an enumerator or macro; the programs are built anew."""
    return [Value(str(v), source=[(file, rf"(\b{name}\b *=? *)(\([^)]*\)[^\n/]*|[0-9]+)", rf"\g<1>{v} ")]) for v in values]


def sndbuf(size):
    """The answer's socket takes so much before the worker has to wait."""
    return Value(f"{size >> 10} KB", source=[("common/channel.c", r"(\tset_timeout\(fd, SO_SNDTIMEO, SEND_TIMEOUT\);\n)",
                                              rf"\1\tsetsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){{{size}}}, sizeof(int));\n")])


# ---- the processes of a value ----

def edited(text, edits, name):
    for pattern, new in edits:
        text, n = re.subn(pattern, new, text, count=1)
        if n == 0:
            raise SystemExit(f"{name}: nothing there is {pattern}")
    return text


def built(value):
    """bin/ of the sources with the value's texts."""
    tree = temporary("wsus-settings-")
    for name in ("cgi", "common", "ctl", "store", "test/catalog", "Makefile"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tree / name)
    for file, pattern, new in value.source:
        path = tree / file
        path.write_text(edited(path.read_text(), [(pattern, new)], file))
    run("make", "-s", "-j2", "-C", tree, "bin/wsus-client")
    return tree / "bin"


class Side:
    """One value at work: its nginx, and its workers of wsus-client if they differ from the server's."""

    def __init__(self, server, value, number):
        self.server, self.value, self.name = server, value, f"side-{number}"
        self.port, self.tls_port = free_ports()
        self.service = None

    def __enter__(self):
        if self.value.source or self.value.workers:
            self.start_service()
        self.start_nginx()
        return self

    def start_service(self):
        program = (built(self.value) if self.value.source else BIN) / "wsus-client"
        user = ["-u", "www-data", "-g", "www-data"] if os.geteuid() == 0 else []
        workers = ["-w", str(self.value.workers)] if self.value.workers else []
        with open(self.server.state / "log" / f"{self.name}.log", "wb") as log:
            self.service = subprocess.Popen([program, "-s", f"run/{self.name}.sock", *user, *workers, "-S", "store", "-K",
                                             "keys/master"], cwd=self.server.state, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_for((self.server.state / f"run/{self.name}.sock").exists, what=self.name)

    def start_nginx(self):
        to = self.server.state / self.name
        shutil.copytree(self.server.state / "nginx", to, ignore=shutil.ignore_patterns("tmp"))
        for kind, port in (("plain", self.port), ("tls", self.tls_port)):
            path = to / f"listen-{kind}.conf"
            path.write_text(re.sub(r":\d+ ", f":{port} ", path.read_text()))
        edits = [("nginx.conf", "run/nginx.pid", f"run/{self.name}.pid"), *self.value.nginx]
        if self.service:
            edits.append(("services.conf", "run/client.sock", f"run/{self.name}.sock"))
        for file, pattern, new in edits:
            (to / file).write_text(edited((to / file).read_text(), [(pattern, new)], file))
        run("nginx", "-p", "./", "-c", f"{self.name}/nginx.conf", "-e", f"log/{self.name}.log", cwd=self.server.state,
            env=self.value.environ)
        self.pid = int((self.server.state / f"run/{self.name}.pid").read_text())

    def __exit__(self, *_):
        os.kill(self.pid, 3)
        wait_for(lambda: not pathlib.Path(f"/proc/{self.pid}").exists(), what=f"the end of nginx of {self.name}")
        if self.service:
            self.service.terminate()
            self.service.wait(20)
        shutil.rmtree(self.server.state / self.name)

    @contextlib.contextmanager
    def configured(self, case):
        rows = [*case.config, *self.value.config]
        before = [(n, self.server.ctl("config", "get", n).stdout.strip()) for n, _ in rows]
        for name, value in rows:
            self.server.ctl("config", "set", name, value)
        yield
        for name, value in before:
            self.server.ctl("config", "set", name, value)

    def processes(self):
        """(those of nginx, those of the service)."""
        parent = self.service.pid if self.service else self.server.pid("client")
        return [self.pid, *children(self.pid)], [parent, *children(parent)]


# ---- what processes used ----

def fields(pid, file):
    return dict(re.findall(r"^(\w+):\s+(\d+)", pathlib.Path(f"/proc/{pid}/{file}").read_text(), re.M))


def used(pids):
    """CPU microseconds, bytes given to files of a disk, voluntary switches."""
    return [cpu_us(pids), sum(int(fields(p, "io")["write_bytes"]) for p in pids),
            sum(int(fields(p, "status")["voluntary_ctxt_switches"]) for p in pids)]


def private_mb(pids):
    return sum(memory_of(p)[1] for p in pids) / 1024


# ---- what is asked ----

class Case:
    """Requests from so many connections; beside: others that go on meanwhile, (connections, files)."""

    config = ()

    def __init__(self, name, files, connections, beside=None):
        self.name, self.files, self.connections, self.beside = name, files, connections, beside

    def measure(self, side, seconds):
        nginx, service = side.processes()
        seconds = max(seconds, self.connections / 150)  # that each gets an answer
        at, memory, each = [used(nginx), used(service)], [], [used([p])[0] for p in nginx]
        look = threading.Timer(0.7 * seconds, lambda: memory.extend([private_mb(nginx), private_mb(service)]))
        look.start()
        with self.others(side, seconds):
            r = load(side.port, self.files, self.connections, seconds, "-m", SEGMENT)
        look.join()
        n = max(r["requests"], 1)
        (nc, nw, ns), (sc, sw, ss) = [[b - a for a, b in zip(was, used(p))] for was, p in zip(at, (nginx, service))]
        each = [used([p])[0] - was for p, was in zip(nginx, each)]
        return {"rate": r["rate"], "p99": r["p99_us"] / 1000, "longest": r["longest_wait_us"] / 1000, "errors": r["errors"],
                "busiest": 100 * max(each) / max(sum(each), 1), "nginx_us": nc / n, "service_us": sc / n, "written_kb": (nw + sw) / n / 1024, "switches": ss / n,
                "nginx_mb": memory[0], "service_mb": memory[1]}

    @contextlib.contextmanager
    def others(self, side, seconds):
        if not self.beside:
            yield
            return
        other = subprocess.Popen([str(c) for c in (B / "b_load", "-c", self.beside[0], "-s", seconds + 0.2, "-m", SEGMENT,
                                                   f"127.0.0.1:{side.port}", *self.beside[1])], stdout=subprocess.DEVNULL)
        time.sleep(0.1)
        yield
        other.wait(60)


class Stalled:
    """Clients that ask and do not read: what nginx holds for each, and whether workers are free of them."""

    config = ()
    name = f"{STALLED} clients that do not read"

    def __init__(self, file):
        self.request = file.read_bytes()

    def measure(self, side, seconds):
        nginx, service = side.processes()
        at, before = used(nginx), private_mb(nginx)
        # the kernel remembers of an address how much a socket to it may take: one that nobody has talked to
        address = f"127.{random.randrange(1, 255)}.{random.randrange(255)}.{random.randrange(1, 255)}"
        with contextlib.ExitStack() as stack:
            for _ in range(STALLED):
                s = stack.enter_context(socket.socket())
                s.bind((address, 0))
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.connect(("127.0.0.1", side.port))
                s.sendall(self.request)
            self.settle(nginx, service)
            out = {"nginx_mb": private_mb(nginx), "service_mb": private_mb(service)}
        cpu, written, _ = [b - a for a, b in zip(at, used(nginx))]
        return {"rate": None, "p99": None, "longest": None, "errors": 0, "nginx_us": cpu / STALLED, "service_us": None,
                "written_kb": written / STALLED / 1024, "switches": None, "held_kb": (out["nginx_mb"] - before) * 1024 / STALLED, **out}

    @staticmethod
    def settle(nginx, service):
        """Until nobody works on them any more."""
        last = None
        while (now := (used(nginx)[1:], used(service)[2])) != last:
            last = now
            time.sleep(0.3)


# ---- recorded requests ----

def with_ids(request, count):
    """The request with its cached ids repeated until they are so many: as long as a large catalog makes it, for the same answer."""
    head, _, body = request.partition(b"\r\n\r\n")
    found = re.search(rb"<InstalledNonLeafUpdateIDs>(.*?)</InstalledNonLeafUpdateIDs>", body, re.S)
    ids = re.findall(rb"<int>\d+</int>", found[1])
    many = b"".join((ids * (count // len(ids) + 1))[:count])
    body = body[:found.start(1)] + many + body[found.end(1):]
    return re.sub(rb"(?i)(content-length: )\d+", rb"\g<1>%d" % len(body), head) + b"\r\n\r\n" + body


class Files:
    """Recorded calls as b_load reads them."""

    def __init__(self, catalog):
        self.catalog, self.directory, self.n = catalog, temporary("wsus-settings-"), 0

    def save(self, calls, change=lambda request: request):
        out = []
        for call in calls:
            call.save(self.directory, self.n)
            out.append(self.directory / f"{self.n:03}.req")
            out[-1].write_bytes(change(call.request))
            self.n += 1
        return out

    def all(self):
        fresh, again = self.catalog.both
        self.catalog.set_page(SMALL_PAGE)
        small = self.catalog.walk("--max-calls", "1000")
        self.catalog.set_page(PAGE_UPDATES)
        self.handshake = self.save([c for c in fresh if c.operation != "SyncUpdates"])
        self.page, self.scan = self.save([page(fresh, PAGE_UPDATES)]), self.save(syncs_of(again))
        self.small = self.save([page(small, SMALL_PAGE)])
        self.long = self.save(syncs_of(again)[:1], lambda request: with_ids(request, KNOWN_IDS))
        return self


# ---- who may come: what the gate and the limits cost those who are let in ----

GATE = [("admission.conf", r'(?m)^rewrite .*\n', ""), ("admission.conf", r"(?s)if \(\$wsus_stranger\) \{.*?\n\}\n", "")]
LIMITS = [("services.conf", r"(set \$wsus_newcomer [^;]*;)\s+include limits\.conf;\s+limit_req [^;]*;", r"\1")] * 2
MODE = r"(?s)\A.*?(?=limit_req_zone)"


def admission():
    return [
        Value("no gate and no limits", nginx=[*GATE, *LIMITS]),
        Value("no limits", nginx=LIMITS),
        Value("open", nginx=[("admission-http.conf", MODE, 'map 1 $wsus_stranger {\n\tdefault "";\n}\nmap 1 $wsus_stranger_here {\n\tdefault "";\n}\n')]),
        Value("the address is no network's, the machine's own", nginx=[("admission-http.conf", r"127\.0\.0\.0/8 1;", "")]),
        # all come from one address here, and are to be counted, not slowed
        Value("counted by address", nginx=[("admission-maps.conf", r'(?<=wsus_peer \{\n)[^\n]*\n', ""), *(
            ("admission-http.conf", r"rate=\d{1,4}r", r"rate=100000r") for _ in range(3))]),
    ]


# ---- the settings ----

def settings_of(f):
    """Every setting that is looked at, with the cases that can show what it does."""
    handshake, scan = Case("handshake", f.handshake, 16), Case("differential scan", f.scan, 16)
    small, large = Case("page of 30", f.small, 16), Case("page of 200", f.page, 16)
    small.config = [("scan.page-updates", str(SMALL_PAGE))]
    crowd = Case("page of 200", f.page, 256)
    crowded, rush = Case("handshake", f.handshake, 256), Case("handshake", f.handshake, 1000)
    long, longs = (Case(f"scan, {KNOWN_IDS} ids", f.long, n) for n in (16, 256))
    stalled = Stalled(f.page[0])
    beside = Case("handshake beside 64 pages", f.handshake, 16, (64, f.page))
    exact = r'(?s)(location) ~\* "\^(/ClientWebService/)Client\\\.asmx\$" (\{.*?\n\}\n)'
    return [
        Setting("fastcgi_buffers", [stalled, small, large, crowd],
                [buffers(16, 4, 32), buffers(16, 16, 64), buffers(16, 32, 64)]),
        Setting("fastcgi_temp_path", [large, crowd], directive("fastcgi_temp_path", "/dev/shm/wsus-settings-fastcgi")),
        Setting("fastcgi_request_buffering", [scan, long], directive("fastcgi_request_buffering", "off", file="fastcgi.conf")),
        Setting("client_body_buffer_size", [scan, long, longs], directive("client_body_buffer_size", "64k", "1m", "2m")),
        Setting("MALLOC_MMAP_THRESHOLD_", [long, longs, scan, large], [
            Value("malloc's own", environ={"MALLOC_MMAP_THRESHOLD_": None}), Value("524288", environ={"MALLOC_MMAP_THRESHOLD_": "524288"})]),
        Setting("access_log", [handshake, scan], [Value(name, nginx=[("services.conf", r"access_log log/access\.log wsus if=\$wsus_own", to)]) for name, to in (
            ("off", "access_log off"), ("of every request", "access_log log/access.log wsus"))]),
        Setting("clients.admission", [handshake, scan], admission()),
        Setting("pcre_jit", [handshake], directive("pcre_jit", "off", file="nginx.conf")),
        Setting("exact locations", [handshake], [Value("= before ~*", nginx=[
            ("services.conf", exact, r"\1 = \2client.asmx \3\g<0>")])]),
        Setting("tcp", [handshake, large], [*directive("tcp_nopush", "off"), *directive("tcp_nodelay", "off"), *directive("sendfile", "off")]),
        Setting("keepalive_timeout", [handshake], directive("keepalive_timeout", "0")),
        Setting("accept", [handshake, crowded, rush], [
            Value("multi_accept on", nginx=[("nginx.conf", "events {", "events { multi_accept on;")]),
            Value("accept_mutex on", nginx=[("nginx.conf", "events {", "events { accept_mutex on;")]),
            Value("reuseport", nginx=[("listen-plain.conf", r"backlog=\d+", r"\g<0> reuseport")])]),
        Setting("worker_processes", [handshake, crowd], directive("worker_processes", "1", "4", file="nginx.conf")),
        Setting("worker_connections", [rush], directive("worker_connections", "1024", "16384", file="nginx.conf")),
        Setting("listen backlog", [rush], [Value(str(n), nginx=[("listen-plain.conf", r"backlog=\d+", f"backlog={n}")]) for n in (128, 4096)]),
        Setting("workers", [handshake, crowd, beside], [Value(str(n), workers=n) for n in (4, 16, 32)]),
        Setting("BACKLOG", [rush], constant("common/serve.c", "BACKLOG", 128, 4096)),
        Setting("SO_SNDBUF", [large, crowd, beside], [sndbuf(1 << 16), sndbuf(212992), sndbuf(1 << 20)]),
        Setting("ARENA_KEEP", [large, long], constant("common/arena.h", "ARENA_KEEP", "((size_t)128 << 10)", "((size_t)4 << 20)")),
    ]


# ---- rounds, and a table ----

COLUMNS = [("per second", "rate", 0), ("p99 ms", "p99", 1), ("longest", "longest", 0), ("nginx us", "nginx_us", 0),
           ("busiest %", "busiest", 0), ("service us", "service_us", 0), ("switches", "switches", 1), ("KB to files", "written_kb", 0),
           ("nginx MB", "nginx_mb", 0), ("services MB", "service_mb", 0), ("KB held", "held_kb", 0), ("errors", "errors", 0)]


def column(rounds, key, digits):
    got = [r[key] for r in rounds if r.get(key) is not None]
    return f"{statistics.median(got):,.{digits}f}" if got else "-"


def ratios(rounds, default, of):
    got = [of(r) / of(d) for r, d in zip(rounds, default) if r["rate"] and d["rate"]]
    return ranged(spread(got), times) if got else "-"


def cpu(r):
    return r["nginx_us"] + r["service_us"]


def report(setting, results):
    head = ["what", "conn.", "value", "rate of the default's", "CPU", *(name for name, _, _ in COLUMNS)]
    rows = [[case.name, str(getattr(case, "connections", STALLED)), value.label,
             *(ratios(results[case, value], results[case, setting.values[0]], of) for of in (lambda r: r["rate"], cpu)),
             *(column(results[case, value], key, digits) for _, key, digits in COLUMNS)]
            for case in setting.cases for value in setting.values]
    print(f"\n## {setting.name}\n\n{table(head, rows)}", flush=True)


def examine(server, setting, options):
    results = {(c, v): [] for c in setting.cases for v in setting.values}
    say(f"{setting.name}: {', '.join(v.label for v in setting.values)}")
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(Side(server, v, n)) for n, v in enumerate(setting.values)]
        for n in range(options.rounds):
            for case in setting.cases:
                # another goes first in each round: what the last one left behind is nobody's habit
                for side in sides[n % len(sides):] + sides[:n % len(sides)]:
                    with side.configured(case):
                        results[case, side.value].append(case.measure(side, options.seconds))
    report(setting, results)


# ---- pages: another size asks other requests ----

PAGES = {"scan.page-updates": (30, 100, 200, 400, 1000), "scan.page-bytes": (1 << 19, 1 << 20, 1 << 21, 1 << 22)}


def walked(server, files, name, value):
    """(the requests of a fresh scan, its calls) under that value."""
    server.ctl("config", "set", name, str(value))
    calls = syncs_of(files.catalog.walk("--max-calls", "1000"))
    return files.save(calls), calls


def page_row(value, files, calls, rounds, default):
    middle = {key: statistics.median([r[key] for r in rounds]) for key in ("p50_us", "p99_us", "walks_per_second")}
    ratio = ranged(spread([r["rate"] / len(files) / d["rate"] * len(default[0]) for r, d in zip(rounds, default[1])]), times)
    return [f"{value:,}", str(len(calls)), f"{sum(len(c.reply) for c in calls) / 1e6:.1f}", f"{max(len(c.reply) for c in calls) / 1024:,.0f}",
            f"{max(c.content[0] for c in calls) / 1e6:.1f}", f"{middle['walks_per_second']:.1f}", ratio,
            *(f"{middle[k] / 1000:.1f}" for k in ("p50_us", "p99_us"))]


def examine_pages(server, files, name, options):
    before = server.ctl("config", "get", name).stdout.strip()
    sides = [(v, *walked(server, files, name, v), []) for v in PAGES[name]]
    say(f"{name}: {', '.join(map(str, PAGES[name]))}")
    for n in range(options.rounds):
        for value, requests, _, rounds in sides[n % len(sides):] + sides[:n % len(sides)]:
            server.ctl("config", "set", name, str(value))
            rounds.append(load(server.port, requests, 16, 2 * options.seconds))
    server.ctl("config", "set", name, before)
    default = next((requests, rounds) for value, requests, _, rounds in sides if str(value) == before)
    head = ["value", "calls", "MB packed", "largest KB", "plain MB", "scans a second", "of the default's", "p50 ms", "p99"]
    print(f"\n## {name}, a fresh scan by 16\n\n" + table(head, [page_row(v, r, c, got, default) for v, r, c, got in sides]), flush=True)


def arguments():
    p = argparse.ArgumentParser(prog="bench.sh --settings", description="Measures settings beside their defaults.")
    p.add_argument("name", nargs="*", help="only these settings")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--revisions", type=int, default=REVISIONS)
    return p.parse_args()


def main():
    options = arguments()
    with Catalog(options.revisions) as catalog:
        server, files = catalog.server, Files(catalog).all()
        all_of = {s.name: lambda s=s: examine(server, s, options) for s in settings_of(files)}
        all_of |= {name: lambda name=name: examine_pages(server, files, name, options) for name in PAGES}
        unknown = set(options.name) - set(all_of)
        if unknown:
            raise SystemExit(f"no such setting: {', '.join(sorted(unknown))}; there are {', '.join(all_of)}")
        for name in options.name or all_of:
            all_of[name]()


if __name__ == "__main__":
    main()
