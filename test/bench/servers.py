"""servers.py -- the server that is measured, its floor, and the catalog behind it."""
import functools
import os
import pathlib
import re
import shutil
import subprocess

from machine import B, BIN, ROOT, say, timed, tree
from harness import ALL_COMPUTERS, Instance, children, free_ports, run, temporary, wait_for
import record

APPROVALS = 50       # of every catalog, for all computers, before anything is measured
LANGUAGES = 4        # of the sample documents, as many as a company loads
PAGE_UPDATES = 200   # the default of scan.page-updates
SERVICES = {"client": ("clientwebservice",), "auth": ("simpleauthwebservice", "dssauthwebservice"), "serversync": ("serversyncwebservice",),
            "reporting": ("reportingwebservice",)}


class Server(Instance):
    """As run.sh starts it, with as many workers as the services think best."""

    def command(self, *more):
        return [ROOT / "scripts/run.sh", "--state", self.state, "--port", self.port, "--tls-port", self.tls_port, *more]

    def restart(self):
        self.stop()
        self.start()

    def processes_by_kind(self):
        return {"services": [p for name in SERVICES for p in tree(self.pid(name))], "nginx": list(tree(self.pid("nginx")))}

    def policy(self, lines):
        """Approvals as b_policy takes them, in one transaction."""
        subprocess.run([str(B / "b_policy"), str(self.state / "store")], input="".join(f"{line}\n" for line in lines),
                       text=True, check=True, stdout=subprocess.DEVNULL)


def service_of(call):
    """Whom nginx gives it to."""
    first = call.path.lower().split("/")[1]
    return next(name for name, paths in SERVICES.items() if first in paths)


def nginx_files(directory, port, tls_port):
    """The configuration with the ports, which must differ, left out."""
    found = {}
    for path in sorted((directory / "nginx").glob("*.conf")):
        found[path.name] = re.sub(rf":({port}|{tls_port})\b", ":PORT", path.read_text())
    return found


class Floor:
    """The same nginx before programs that take the same requests and send recorded bytes; files below /Content too."""

    def __init__(self, server, calls, static=()):
        self.server, self.directory = server, temporary("wsus-floor-")
        self.port, self.tls_port = free_ports()
        self.processes = []
        for name in ("run", "log", "nginx/tmp", "content/00", "static", *(f"replies/{service}" for service in SERVICES)):
            (self.directory / name).mkdir(parents=True)
        self.copy_nginx()
        self.names = {}
        for service in SERVICES:
            self.add_replies(service, [c for c in calls if service_of(c) == service])
        for number, call in enumerate(static):
            self.add_static(number, call)

    def copy_nginx(self):
        for path in (self.server.state / "nginx").glob("*.conf"):
            shutil.copy(path, self.directory / "nginx")
        shutil.copytree(self.server.state / "keys", self.directory / "keys")
        for kind, port in (("plain", self.port), ("tls", self.tls_port)):
            path = self.directory / f"nginx/listen-{kind}.conf"
            path.write_text(re.sub(r":\d+ ", f":{port} ", path.read_text()))

    def add_replies(self, service, calls):
        """Numbered for each service: it loads its own replies only."""
        record.save(calls, self.directory / "replies" / service)
        self.names |= {("replies", id(call)): f"{service}/{number:03}" for number, call in enumerate(calls)}

    def add_static(self, number, call):
        path = f"00/{number:040X}"
        self.names["static", id(call)] = f"{number:03}"
        (self.directory / "content" / path).write_bytes(call.reply)
        (self.directory / f"static/{number:03}.req").write_text(f"GET /Content/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        (self.directory / f"static/{number:03}.body").write_bytes(call.reply)

    def requests(self, calls, kind="replies"):
        return [self.directory / f"{kind}/{self.names[kind, id(c)]}.req" for c in calls]

    def __enter__(self):
        user = ["-u", "www-data", "-g", "www-data"] if os.geteuid() == 0 else []
        for service in SERVICES:
            with open(self.directory / f"log/{service}.log", "wb") as log:
                self.processes.append(subprocess.Popen([B / "b_floor", "-s", f"run/{service}.sock", *user,
                                                        "-d", f"replies/{service}"],
                                                       cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            wait_for((self.directory / f"run/{service}.sock").exists, what=f"the floor's {service}.sock")
        run("nginx", "-p", "./", "-c", "nginx/nginx.conf", "-e", "log/nginx-error.log", cwd=self.directory)
        self.check_likeness()
        return self

    def processes_by_kind(self):
        return {"services": [p for process in self.processes for p in tree(process.pid)], "nginx": list(tree(self.nginx_pid()))}

    def nginx_pid(self):
        return int((self.directory / "run/nginx.pid").read_text())

    def check_likeness(self):
        """A floor with other settings or fewer workers would be none."""
        server = self.server
        if nginx_files(self.directory, self.port, self.tls_port) != nginx_files(server.state, server.port, server.tls_port):
            raise SystemExit("the floor's nginx is not configured as the server's")
        pairs = [(server.pid(name), process.pid) for name, process in zip(SERVICES, self.processes)]
        pairs.append((server.pid("nginx"), self.nginx_pid()))
        for theirs, ours in pairs:
            wanted = len(children(theirs))
            wait_for(lambda w=wanted, o=ours: len(children(o)) == w, what=f"{wanted} processes of the floor, as many as the server's")

    def __exit__(self, *_):
        pid = self.nginx_pid()
        os.kill(pid, 3)
        for process in self.processes:
            process.terminate()
            process.wait(20)
        wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), what="the end of the floor's nginx")
        shutil.rmtree(self.directory, ignore_errors=True)


# ---- documents ----

def make_documents(*options):
    """A directory with a sample catalog."""
    directory = temporary("wsus-bench-") / "catalog"
    run(B / "make-catalog", "--languages", LANGUAGES, *options, "--out", directory, timeout=1800)
    return directory


def measure_documents(directory):
    """How many, their bytes, and what they would be in UTF-16."""
    paths = list(directory.rglob("*.xml"))
    size = utf16 = 0
    for path in paths:
        data = path.read_bytes()
        size += len(data)
        utf16 += len(data.decode().encode("utf-16-le"))
    return {"documents": len(paths), "document_bytes": size, "utf16_bytes": utf16}


def import_documents(store, directory):
    """One import: {"seconds", "peak_kb", "store_bytes"}."""
    seconds, peak, _ = timed(BIN / "wsusctl", "--store", store, "update", "import", directory)
    disk = sum(f.stat().st_blocks * 512 for f in (store / "catalog").iterdir())
    return {"seconds": seconds, "peak_kb": peak, "store_bytes": disk}


# ---- a catalog, served ----

class Catalog:
    """A server with a catalog of so many revisions, APPROVALS of them approved, and what computers ask of it."""

    def __init__(self, revisions):
        self.revisions, self.server = revisions, Server("none")

    def __enter__(self):
        say(f"{self.revisions:,} revisions: making and importing them")
        documents = make_documents("--revisions", self.revisions)
        self.server.start()
        self.imported = {"revisions": self.revisions, **measure_documents(documents),
                         **import_documents(self.server.state / "store", documents / "updates")}
        shutil.rmtree(documents)
        self.prepare()
        return self

    def prepare(self):
        # the sample's files are made up: so that approvals are in force, they are said to lie with the vendor
        self.server.ctl("config", "set", "content.store", "microsoft")
        self.server.ctl("config", "set", "client.new-per-hour", "10000000")  # all of them come at once here
        rows = self.server.ctl("update", "list").stdout.splitlines()
        self.updates = [r.split()[0] for r in rows if re.match(r"[0-9a-f]{8}-", r) and " Software " in r and " offered " in r]
        self.approved = min(APPROVALS, len(self.updates))
        self.server.policy(f"+ {update} {ALL_COMPUTERS}" for update in self.updates[:self.approved])

    def __exit__(self, *_):
        self.server.stop()
        shutil.rmtree(self.server.state, ignore_errors=True)

    def epoch(self):
        return self.server.ctl_json("store", "stat")["epoch"]

    def set_page(self, updates):
        self.server.ctl("config", "set", "scan.page-updates", str(updates))

    def walk(self, *options):
        """The calls of wsus-probe."""
        with record.recording(self.server.port) as (url, calls):
            run(BIN / "wsus-probe", url, "--extended", "0", *options, timeout=900)
        return calls

    @functools.cached_property
    def both(self):
        """(calls of a fresh scan, calls of a second one when nothing has changed)."""
        say(f"{self.revisions:,} revisions: recording")
        state = self.server.state / "bench.state"
        return self.walk("--state", state), self.walk("--state", state)

    @property
    def fresh(self):
        return self.both[0]

    @property
    def differential(self):
        return self.both[1]


def syncs_of(calls):
    return [c for c in calls if c.operation == "SyncUpdates"]
