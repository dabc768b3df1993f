"""bench.py -- every claim about speed, measured beside its floor; scripts/bench.sh starts it.

For each catalog: a server as run.sh starts it, a walk of wsus-probe through record.py, and a second nginx with the same
configuration before b_floor, which answers the same requests with the recorded bytes.  Then rounds, in each of which
server, floor and (for a single page) the same bytes as a static file are measured one after the other by b_load.  A
ratio is taken within a round, where all met the same machine; the table has medians over the rounds.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "test/e2e"), str(ROOT / "test/bench")]
from harness import ALL_COMPUTERS, Instance, children, free_ports, run, temporary, wait_for  # noqa: E402
import record  # noqa: E402

B = ROOT / "build/test"
PARTS = ("auth", "client", "content", "nginx", "jobs")
APPROVALS = 50
PAGE_UPDATES = 200  # the default of scan.page-updates
SMALL_PAGE = 30


class Server(Instance):
    """As run.sh starts it, with as many workers as the services think best."""

    def command(self, *more):
        return [ROOT / "scripts/run.sh", "--state", self.state, "--port", self.port, "--tls-port", self.tls_port, *more]


class Floor:
    """The same nginx before programs that send recorded bytes; the bytes as files below /Content too."""

    def __init__(self, server, calls):
        self.directory = temporary("wsus-floor-")
        self.port, self.tls_port = free_ports()
        self.processes = []
        for name in ("run", "log", "nginx/tmp", "content/00", "replies", "static"):
            (self.directory / name).mkdir(parents=True)
        for path in (server.state / "nginx").glob("*.conf"):
            shutil.copy(path, self.directory / "nginx")
        shutil.copytree(server.state / "keys", self.directory / "keys")
        for kind, port in (("plain", self.port), ("tls", self.tls_port)):
            path = self.directory / f"nginx/listen-{kind}.conf"
            path.write_text(re.sub(r":\d+ ", f":{port} ", path.read_text()))
        record.save(calls, self.directory / "replies")
        for number, call in enumerate(calls):
            self.static(number, call)

    def static(self, number, call):
        path = f"00/{number:040X}"
        (self.directory / "content" / path).write_bytes(call.reply)
        (self.directory / f"static/{number:03}.req").write_text(f"GET /Content/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        (self.directory / f"static/{number:03}.body").write_bytes(call.reply)

    def __enter__(self):
        user = ["-u", "www-data", "-g", "www-data"] if os.geteuid() == 0 else []
        for service in ("client", "auth"):
            log = open(self.directory / f"log/{service}.log", "wb")
            self.processes.append(subprocess.Popen([B / "b_floor", "-s", f"run/{service}.sock", *user, "-d", "replies"],
                                                   cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            wait_for((self.directory / f"run/{service}.sock").exists, what=f"the floor's {service}.sock")
        run("nginx", "-p", "./", "-c", "nginx/nginx.conf", "-e", "log/nginx-error.log", cwd=self.directory)
        return self

    def __exit__(self, *_):
        pid = int((self.directory / "run/nginx.pid").read_text())
        os.kill(pid, 3)
        for process in self.processes:
            process.terminate()
            process.wait(20)
        wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), what="the end of the floor's nginx")


# ---- what is asked ----

class Case:
    def __init__(self, name, calls, connections, static=False, unit="pages", page_updates=PAGE_UPDATES):
        self.name, self.calls, self.connections, self.static, self.unit = name, calls, connections, static, unit
        self.page_updates = page_updates  # the setting under which the server gives the recorded answers


def syncs_of(calls):
    return [c for c in calls if c.operation == "SyncUpdates"]


def set_page(server, updates):
    server.ctl("config", "set", "scan.page-updates", str(updates))


def page(calls, updates, which=0.5):
    """The call whose answer has so many new updates; of several the one in the middle by size (0: the smallest)."""
    pages = sorted((c for c in syncs_of(calls) if c.content[1] == updates),
                   key=lambda c: len(c.reply))
    return pages[int((len(pages) - 1) * which)] if pages else None


class Recorded:
    """All calls, numbered as the floor has them."""

    def __init__(self, server):
        self.server, self.calls = server, []

    def walk(self, *options, state=None):
        with record.recording(self.server.port) as (url, calls):
            run(ROOT / "bin/wsus-probe", url, "--extended", "0", *(["--state", state] if state else []), *options)
        self.calls += calls
        return calls


def cases(server, quick):
    """(cases, what the walks were)."""
    r = Recorded(server)
    state = server.state / "bench.state"
    fresh = r.walk(state=state)
    differential = r.walk(state=state)
    set_page(server, SMALL_PAGE)
    small = r.walk("--max-calls", "1000")
    set_page(server, PAGE_UPDATES)
    plain = r.walk("--plain") if not quick else []
    server.ctl("config", "set", "xpress", "stream")
    stream = syncs_of(r.walk())
    server.ctl("config", "set", "xpress", "mixed")
    syncs = syncs_of(fresh)
    out = [Case("handshake", [c for c in fresh if c.operation != "SyncUpdates"], 16, unit="handshakes")]
    single = [("page of 30", page(small, 30), SMALL_PAGE), ("page of 200, small", page(fresh, 200, 0), PAGE_UPDATES),
              ("page of 200", page(fresh, 200), PAGE_UPDATES), ("page of 200, plain", page(plain, 200), PAGE_UPDATES)]
    if quick:
        del single[1]
    for connections in (16, 256):
        out += [Case(name, [call], connections, True, page_updates=setting) for name, call, setting in single
                if call and (connections == 16 or "," not in name)]
    out.append(Case("fresh scan", syncs, 16, unit="scans"))
    for connections in (16, 256):
        out.append(Case("differential scan", syncs_of(differential), connections, unit="scans"))
    # the floor keeps only what a case asks for
    used = {id(c) for case in out for c in case.calls}
    return out, [c for c in r.calls if id(c) in used], walk_facts(syncs, stream)


def walk_facts(syncs, stream):
    wire = sum(len(c.reply) for c in syncs)
    text = sum(c.content[0] for c in syncs)
    return {"calls": len(syncs), "wire_bytes": wire, "plain_bytes": text, "stream_bytes": sum(len(c.reply) for c in stream)}


# ---- rounds ----

def load(port, files, connections, seconds, *options):
    done = run(B / "b_load", "-c", connections, "-s", seconds, *options, f"127.0.0.1:{port}", *files, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"b_load: {done.stderr}")
    return json.loads(done.stdout)


def measure(server, floor, case, numbers, seconds):
    """One round of one case: a dictionary of b_load's objects."""
    set_page(server, case.page_updates)
    replies = [floor.directory / f"replies/{numbers[id(c)]:03}.req" for c in case.calls]
    out = {"server": load(server.port, replies, case.connections, seconds),
           "floor": load(floor.port, replies, case.connections, seconds, "-q")}
    if case.static:
        files = [floor.directory / f"static/{numbers[id(c)]:03}.req" for c in case.calls]
        out["static"] = load(floor.port, files, case.connections, seconds)
    return out


def middle(values):
    return statistics.median(values)


def spread(values):
    return {"median": middle(values), "least": min(values), "most": max(values)}


def summary(case, rounds):
    """The figures of a case over its rounds."""
    out = {"case": case.name, "connections": case.connections, "unit": case.unit, "calls": len(case.calls),
           "reply_bytes": sum(len(c.reply) for c in case.calls), "request_bytes": sum(len(c.request) for c in case.calls)}
    for who in rounds[0]:
        of = [r[who] for r in rounds]
        out[who] = {"per_second": spread([o["walks_per_second"] for o in of]),
                    **{k: middle([o[k] for o in of]) for k in ("p50_us", "p99_us")},
                    **{k: max(o[k] for o in of) for k in ("max_us", "longest_wait_us")},
                    "least_served": min(o["least_served"] for o in of), "most_served": max(o["most_served"] for o in of),
                    "errors": sum(o["errors"] for o in of), "first_error": next((o["first_error"] for o in of if o["errors"]), None)}
        if who != "server":
            out[f"ratio_to_{who}"] = spread([r["server"]["rate"] / r[who]["rate"] for r in rounds if r[who]["rate"]])
    return out


# ---- what is no rate ----

def timed(*command, timeout=1800):
    """(seconds, peak memory in KB, output)."""
    began = time.monotonic()
    p = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         stdin=subprocess.DEVNULL)
    text = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        raise SystemExit(f"{command}: status {p.returncode}\n{text}")
    return time.monotonic() - began, usage.ru_maxrss, text


def private_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(kb) for kb in re.findall(r"^Private_Dirty:\s+(\d+) kB", f.read(), re.M))


def memory(server):
    """Private dirty KB: of everything together, and of the largest worker of a service."""
    total, worker = 0, 0
    for part in PARTS:
        parent = server.pid(part)
        total += private_kb(parent)
        for pid in children(parent):
            kb = private_kb(pid)
            total += kb
            worker = max(worker, kb if part != "nginx" else 0)
    return {"all_private_kb": total, "largest_worker_kb": worker}


def import_catalog(server, revisions):
    catalog = temporary("wsus-bench-") / "catalog"
    run(B / "make-catalog", "--revisions", revisions, "--languages", "4", "--out", catalog, timeout=1800)
    seconds, peak, text = timed(ROOT / "bin/wsusctl", "--store", server.state / "store", "update", "import", catalog / "updates")
    disk = sum(f.stat().st_blocks * 512 for f in (server.state / "store/catalog").iterdir())
    documents = sum(f.stat().st_size for f in catalog.rglob("*.xml"))
    shutil.rmtree(catalog)
    return {"revisions": revisions, "seconds": seconds, "document_bytes": documents, "mb_per_second": documents / seconds / 1e6,
            "peak_kb": peak, "store_bytes": disk, "store_to_utf16": disk / (2 * documents)}


def fsync_us(directory, times=50):
    fd = os.open(directory / "fsync.probe", os.O_CREAT | os.O_WRONLY)
    taken = []
    for _ in range(times):
        os.pwrite(fd, b"x" * 4096, 0)
        began = time.monotonic()
        os.fsync(fd)
        taken.append((time.monotonic() - began) * 1e6)
    os.close(fd)
    os.unlink(directory / "fsync.probe")
    return middle(taken)


def offered(server):
    """UpdateIDs that may be approved."""
    rows = server.ctl("update", "list").stdout.splitlines()
    return [r.split()[0] for r in rows if re.match(r"[0-9a-f]{8}-", r) and " Software " in r and " offered " in r]


def approval(server, updates, times=5):
    """How long the command takes, and whether the very next scan says so; the computer's own time is not counted."""
    state = server.state / "approval.state"
    probe = (ROOT / "bin/wsus-probe", f"http://127.0.0.1:{server.port}", "--state", state, "--extended", "0", "--json")
    run(*probe)
    command, seen = [], 0
    for update in updates[:times]:
        began = time.monotonic()
        server.ctl("approve", update, "--group", ALL_COMPUTERS)
        command.append(time.monotonic() - began)
        updates_said = json.loads(run(*probe).stdout)["updates"]
        seen += updates_said["changed"] + updates_said["new"] > 0
    return {"command_seconds": spread(command), "times": len(command), "seen_by_next_scan": seen,
            "fsync_us": fsync_us(server.state)}


def restart(server):
    server.stop()
    began = time.monotonic()
    server.start()
    return time.monotonic() - began


# ---- one catalog ----

def catalog(revisions, options):
    say(f"{revisions} revisions: starting, loading, recording")
    with Server("none") as server:
        out = {"revisions": revisions, "import": import_catalog(server, revisions)}
        updates = offered(server)
        for update in updates[:APPROVALS]:
            server.ctl("approve", update, "--group", ALL_COMPUTERS)
        out["approvals"] = min(APPROVALS, len(updates))
        out["restart_seconds"] = restart(server)
        out["memory_idle"] = memory(server)
        wanted, calls, out["fresh_scan"] = cases(server, options.quick)
        with Floor(server, calls) as floor:
            out["cases"] = rounds_of(server, floor, wanted, {id(c): n for n, c in enumerate(calls)}, options)
        out["memory_after_load"] = memory(server)
        # last: it changes what the recorded requests are answered with
        out["approval"] = approval(server, updates[APPROVALS:])
    return out


def rounds_of(server, floor, wanted, numbers, options):
    results = {id(case): [] for case in wanted}
    for n in range(options.rounds):
        say(f"  round {n + 1} of {options.rounds}")
        for case in wanted:
            results[id(case)].append(measure(server, floor, case, numbers, options.seconds))
    return [summary(case, results[id(case)]) for case in wanted]


# ---- for people ----

def say(text):
    print(text, file=sys.stderr, flush=True)


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def ranged(values, form):
    return f"{form(values['median'])} ({form(values['least'])}..{form(values['most'])})"


def ratio(values):
    return ranged(values, lambda v: f"{v:.2f}") if values else "-"


def case_row(c):
    s = c["server"]
    return [c["case"], str(c["connections"]), f"{c['reply_bytes'] / 1024:,.0f}", ranged(s["per_second"], number),
            number(c["floor"]["per_second"]["median"]), ratio(c["ratio_to_floor"]), ratio(c.get("ratio_to_static")),
            *(f"{s[k] / 1000:.1f}" for k in ("p50_us", "p99_us", "longest_wait_us")),
            f"{c['floor']['p99_us'] / 1000:.1f}", f"{s['least_served']}..{s['most_served']}",
            str(s["errors"] + c["floor"]["errors"] + c.get("static", {}).get("errors", 0))]


HEAD = ["what", "conn.", "KB", "per second", "floor", "of the floor", "of static", "p50 ms", "p99", "longest", "floor p99",
        "served", "errors"]


def table(rows):
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(v.ljust(w) for v, w in zip(row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def facts(c):
    i, a, f = c["import"], c["approval"], c["fresh_scan"]
    return [
        f"import: {i['seconds']:.1f} s, {i['mb_per_second']:.0f} MB/s of documents, peak {i['peak_kb'] / 1024:.0f} MB resident; "
        f"store {i['store_bytes'] / 1e6:.0f} MB for {i['document_bytes'] / 1e6:.0f} MB of UTF-8, "
        f"{i['store_to_utf16']:.2f} of them as UTF-16",
        f"a fresh scan: {f['calls']} calls, {f['wire_bytes'] / 1e6:.1f} MB packed, {f['plain_bytes'] / 1e6:.1f} MB plain, "
        f"{f['wire_bytes'] / f['stream_bytes']:.2f} of what xpress = stream sends",
        f"approve (the command): {ranged(a['command_seconds'], lambda v: f'{v * 1000:.0f}')} ms, seen by the next scan "
        f"{a['seen_by_next_scan']} of {a['times']} times; one fsync {a['fsync_us']:.0f} us",
        f"private memory, idle: all processes {c['memory_idle']['all_private_kb'] / 1024:.0f} MB, largest worker "
        f"{c['memory_idle']['largest_worker_kb'] / 1024:.1f} MB; after the load {c['memory_after_load']['all_private_kb'] / 1024:.0f} "
        f"and {c['memory_after_load']['largest_worker_kb'] / 1024:.1f} MB",
        f"run.sh --detach with this store: {c['restart_seconds']:.1f} s",
    ]


def growth(catalogs):
    """p99 of the largest catalog against the smallest, where both had the case."""
    small, large = catalogs[0], catalogs[-1]
    for k in small["cases"]:
        for g in large["cases"]:
            if (k["case"], k["connections"]) == (g["case"], g["connections"]) and "fresh" not in k["case"]:
                yield (f"{k['case']}, {k['connections']} connections: {g['server']['p99_us'] / k['server']['p99_us']:.2f} times "
                       f"(a reply of {g['reply_bytes'] / 1024:,.0f} instead of {k['reply_bytes'] / 1024:,.0f} KB, a request of "
                       f"{g['request_bytes'] / 1024:,.0f} instead of {k['request_bytes'] / 1024:,.0f})")


def report(result):
    m = result["machine"]
    print(f"{result['date']}, {m['cores']} cores ({m['processor']}), load average {m['load_before']:.1f} before and "
          f"{m['load_after']:.1f} after; {result['rounds']} rounds of {result['seconds']} s")
    for c in result["catalogs"]:
        print(f"\n## {c['revisions']:,} revisions, {c['approvals']} approvals\n")
        print(table([HEAD, *(case_row(k) for k in c["cases"])]) + "\n")
        print("\n".join(f"- {line}" for line in facts(c)))


    if len(result["catalogs"]) > 1:
        print("\n## p99 at the last catalog against the first\n\n" + "\n".join(f"- {line}" for line in growth(result["catalogs"])))


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    return found.group(1) if found else platform.machine()


def arguments():
    p = argparse.ArgumentParser(prog="bench.sh", description="Measures a server beside its floors.")
    p.add_argument("--quick", action="store_true", help="5,000 revisions and short rounds only: below two minutes")
    p.add_argument("--json", metavar="FILE", help="write the figures there too")
    p.add_argument("--rounds", type=int, help="rounds (default 5)", default=5)
    p.add_argument("--seconds", type=float, help="of each measurement (default 1.5, quick 0.7)")
    p.add_argument("--revisions", metavar="N,...", help="catalogs (default 5000,100000, quick 5000)")
    o = p.parse_args()
    o.seconds = o.seconds or (0.7 if o.quick else 1.5)
    o.catalogs = [int(n) for n in (o.revisions or ("5000" if o.quick else "5000,100000")).split(",")]
    if o.rounds < 1 or not 0 < o.seconds <= 600 or min(o.catalogs) < 300:
        p.error("at least one round, at most 600 seconds, at least 300 revisions")
    return o


def main():
    options = arguments()
    before, began = os.getloadavg()[0], time.monotonic()
    result = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "quick": options.quick, "rounds": options.rounds,
              "seconds": options.seconds, "catalogs": [catalog(n, options) for n in options.catalogs]}
    result["machine"] = {"cores": os.cpu_count(), "processor": processor(), "load_before": before, "load_after": os.getloadavg()[0]}
    result["took_seconds"] = time.monotonic() - began
    report(result)
    print(f"\nall of it took {result['took_seconds']:.0f} s")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    errors = sum(k[who]["errors"] for c in result["catalogs"] for k in c["cases"] for who in ("server", "floor", "static") if who in k)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
