"""harness.py -- instances of wsus-fcgi for the end-to-end tests, and the smallest clients that can talk to them.

An Instance is a state directory below TMPDIR with servers on free ports of 127.0.0.1, started by scripts/run.sh
and ended by it.  Modules that only ask share one (shared()); those that change policy or break things have their
own.  The clients here send bytes: what a native client's bytes look like is the tests' business.
"""
import atexit
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid

from lxml import etree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STORE_FORMAT = int(re.search(r"#define STORE_FORMAT (\d+)u", (ROOT / "store/store.h").read_text()).group(1))
RUN = ROOT / "scripts/run.sh"
SPEC = pathlib.Path(os.environ.get("WSUS_SPEC") or ROOT / "../shared/spec")
CORPUS = pathlib.Path(os.environ.get("WSUS_CORPUS") or ROOT / "../shared/corpus")

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
CLIENT = "http://www.microsoft.com/SoftwareDistribution/Server/ClientWebService"
AUTH = "http://www.microsoft.com/SoftwareDistribution/Server/SimpleAuthWebService"
REPORT = "http://www.microsoft.com/SoftwareDistribution"
PATHS = {
    CLIENT: "/ClientWebService/client.asmx",
    AUTH: "/SimpleAuthWebService/SimpleAuth.asmx",
    REPORT: "/ReportingWebService/ReportingWebService.asmx",
}
ALL_COMPUTERS = "All Computers"


# Below the ports that the kernel gives to connections, and for each lane (run.py) ports that are no other's.
FIRST_PORT, LAST_PORT = 12000, 32000
LANE, LANES = map(int, os.environ.get("WSUS_E2E_LANE", "0/1").split("/"))


def free_ports(n=2):
    """Ports that nobody listens on now."""
    width = (LAST_PORT - FIRST_PORT) // LANES
    with contextlib.ExitStack() as stack:
        ports = []
        while len(ports) < n:
            s = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", FIRST_PORT + LANE * width + random.SystemRandom().randrange(width)))
                ports.append(s.getsockname()[1])
        return ports


def run(*command, check=True, timeout=300, **kw):
    """A finished process with its output as text."""
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout, **kw)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_for(condition, seconds=20, what="a condition"):
    """Until condition() is true; time only bounds how long we are ready to wait."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)
    return value


def temporary(prefix="wsus-e2e-"):
    """A directory that services may enter (mkdtemp's own is 0700), removed at exit."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    path.chmod(0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


class Instance:
    """One server.  start() returns when it answers."""

    def __init__(self, catalog="none", root=ROOT, options=(), state=None):
        self.root = pathlib.Path(root)
        self.state = pathlib.Path(state) if state else temporary() / "state"
        self.catalog = catalog
        self.options = list(options)
        self.port, self.tls_port = free_ports()
        self.running = False

    def command(self, *more):
        return [self.root / "scripts/run.sh", "--state", self.state, "--port", self.port, "--tls-port", self.tls_port,
                "--workers", "4", *self.options, *more]

    def start(self, check=True):
        catalog = ["--catalog", self.catalog] if self.catalog else []
        done = run(*self.command("--detach", *catalog), check=check)
        self.running = done.returncode == 0
        if self.running:
            atexit.register(self.stop)
        return done

    def stop(self):
        if self.running:
            self.running = False
            return run(self.root / "scripts/run.sh", "--state", self.state, "--stop")
        return None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    # ---- management ----

    def ctl(self, *arguments, check=True, **kw):
        return run(self.root / "bin/wsusctl", "--store", self.state / "store", *arguments, check=check, **kw)

    def ctl_json(self, *arguments):
        return json.loads(self.ctl(*arguments, "--json").stdout)

    def pid(self, part):
        return int((self.state / "run" / f"{part}.pid").read_text())

    def end_jobs(self):
        """What they do by themselves is not to mend, or break, what a test has done to the store."""
        loop = self.pid("jobs")
        os.kill(loop, signal.SIGTERM)
        wait_for(lambda: not alive(loop), what="the jobs to end")

    def workers(self, part):
        return children(self.pid(part))

    def requests(self, part="client"):
        """The request lines a service has logged, as dictionaries."""
        rows = []
        for line in (self.state / "log" / f"{part}.log").read_text(errors="replace").splitlines():
            if " req " in line:
                rows.append(dict(re.findall(r"(\w+)=(\"(?:[^\"\\]|\\.)*\"|\S+)", line.split(" req ", 1)[1])))
        return rows

    # ---- HTTP ----

    def connect(self, timeout=30):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def http(self, method, path, body=None, headers=None):
        """(status, headers, body); header names in lower case."""
        connection = self.connect()
        try:
            headers = {k.lower(): v for k, v in (headers or {}).items()}
            connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, ns, operation, inner, xpress=False, path=None):
        """One SOAP request in the native client's form; the answer as received (Xpress undone)."""
        body = (f'<s:Envelope xmlns:s="{SOAP}"><s:Body><{operation} xmlns="{ns}">{inner}</{operation}>'
                f"</s:Body></s:Envelope>").encode()
        return self.post_bytes(ns, operation, body, xpress, path)

    def answers(self):
        """Does the client service answer as it should?"""
        status, _, body = self.post(CLIENT, "GetConfig", "<protocolVersion>2.90</protocolVersion>")
        return status == 200 and b"<GetConfigResult>" in body

    def post_bytes(self, ns, operation, body, xpress=False, path=None):
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{ns}/{operation}"'}
        if xpress:
            headers["Accept-Encoding"] = "xpress"
        status, head, body = self.http("POST", path or PATHS[ns], body, headers)
        if head.get("content-encoding") == "xpress":
            body = unpress(body)
        return status, head, body


def children(pid):
    """Child processes, in order of age.  Others may end while it looks."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(name))
    return sorted(found)


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def lzxpress(block, plain):
    """One block through libfwnt, a decoder that is none of ours."""
    global _fwnt
    if _fwnt is None:
        _fwnt = ctypes.CDLL("libfwnt.so.1")
    out = ctypes.create_string_buffer(plain)
    size = ctypes.c_size_t(plain)
    if _fwnt.libfwnt_lzxpress_decompress(block, ctypes.c_size_t(len(block)), out, ctypes.byref(size), None) != 1:
        raise AssertionError(f"libfwnt refuses an Xpress block of {len(block)} bytes")
    return out.raw[:size.value]


_fwnt = None


def unpress(data):
    """Undoes Xpress; equal lengths mean stored (MS-WUSP 2.1.1)."""
    out = []
    at = 0
    while at < len(data):
        plain, packed = struct.unpack_from("<II", data, at)
        block = data[at + 8:at + 8 + packed]
        if len(block) != packed or not 0 < plain <= 65535 or packed > 65535:
            raise AssertionError(f"an Xpress block of {plain} from {packed} bytes at {at} of {len(data)}")
        out.append(block if plain == packed else lzxpress(block, plain))
        if len(out[-1]) != plain:
            raise AssertionError(f"an Xpress block gave {len(out[-1])} bytes, not {plain}")
        at += 8 + packed
    return b"".join(out)


# ---- answers ----

def parse(body):
    return etree.fromstring(body)


def local(element):
    return etree.QName(element).localname


def find(element, path):
    """The text of the first element along local names, or None."""
    found = find_all(element, path)
    return (found[0].text or "") if found else None


def find_all(element, path):
    for name in path.split("/"):
        nodes = element if isinstance(element, list) else [element]
        element = [c for n in nodes for c in n if isinstance(c.tag, str) and local(c) == name]
    return element


def payload(body):
    """The child of Body."""
    root = parse(body)
    return next(iter(next(c for c in root if local(c) == "Body")))


def fault_code(body):
    """ErrorCode of a fault; "" if the fault has none; None if it is no fault."""
    element = payload(body)
    if local(element) != "Fault":
        return None
    return find(element, "detail/ErrorCode") or ""


class Fault(Exception):
    def __init__(self, status, body):
        self.status, self.body, self.code = status, body, fault_code(body)
        super().__init__(f"{status} {self.code}: {body[:600]!r}")


class Computer:
    """A client that remembers what a Windows Update Agent remembers: its id, cookies and configuration."""

    def __init__(self, server, group=None, name=None, id=None, xpress=False, version="2.90"):
        self.server, self.group, self.xpress, self.version = server, group, xpress, version
        self.id = id or str(uuid.uuid4())
        self.name = name or f"pc-{self.id[:8]}.example.net"
        self.last_change = None
        self.auth = None
        self.cookie = None
        self.installed = set()   # RevisionIDs of non-leaves
        self.other = set()
        self.known = {}          # RevisionID -> UpdateInfo element
        self.calls = []

    def call(self, ns, operation, inner):
        self.calls.append(operation)
        status, head, body = self.server.post(ns, operation, inner, self.xpress)
        element = payload(body) if body else None
        if status != 200 or local(element) == "Fault":
            raise Fault(status, body)
        if local(element) != operation + "Response":
            raise AssertionError(f"{operation} was answered with {element.tag}")
        return element

    def client(self, operation, inner):
        return self.call(CLIENT, operation, inner)

    # ---- handshake ----

    def get_config(self):
        answer = self.client("GetConfig", f"<protocolVersion>{self.version}</protocolVersion>")
        self.last_change = find(answer, "GetConfigResult/LastChange")
        return answer

    def get_auth_cookie(self):
        group = f"<targetGroupName>{self.group}</targetGroupName>" if self.group else ""
        answer = self.call(AUTH, "GetAuthorizationCookie",
                           f"<clientId>{self.id}</clientId>{group}<dnsName>{self.name}</dnsName>")
        self.auth = find(answer, "GetAuthorizationCookieResult/CookieData")
        return answer

    def get_cookie(self, old=None):
        old = old or "<oldCookie><Expiration>2026-10-04T15:03:36Z</Expiration></oldCookie>"
        answer = self.client("GetCookie", (
            "<authCookies><AuthorizationCookie><PlugInId>SimpleTargeting</PlugInId>"
            f"<CookieData>{self.auth}</CookieData></AuthorizationCookie></authCookies>{old}"
            f"<lastChange>{self.last_change}</lastChange><currentTime>2026-10-04T15:03:36Z</currentTime>"
            f"<protocolVersion>{self.version}</protocolVersion>"))
        self.take_cookie(find_all(answer, "GetCookieResult")[0])
        return answer

    def take_cookie(self, element):
        self.cookie = (find(element, "Expiration"), find(element, "EncryptedData"))

    def cookie_xml(self, name="cookie"):
        return (f"<{name}><Expiration>{self.cookie[0]}</Expiration>"
                f"<EncryptedData>{self.cookie[1]}</EncryptedData></{name}>")

    def register(self):
        return self.client("RegisterComputer", self.cookie_xml() + (
            f"<computerInfo><DnsName>{self.name}</DnsName><OSMajorVersion>10</OSMajorVersion>"
            "<OSMinorVersion>0</OSMinorVersion><OSBuildNumber>26200</OSBuildNumber>"
            "<OSServicePackMajorNumber>0</OSServicePackMajorNumber>"
            "<OSServicePackMinorNumber>0</OSServicePackMinorNumber><OSLocale>en-US</OSLocale>"
            "<ComputerManufacturer>Example</ComputerManufacturer><ComputerModel>Model 1</ComputerModel>"
            "<BiosVersion>1.0</BiosVersion><BiosName>Example</BiosName>"
            "<BiosReleaseDate>2022-02-02T00:00:00Z</BiosReleaseDate>"
            "<ProcessorArchitecture>AMD64</ProcessorArchitecture></computerInfo>"))

    def handshake(self):
        self.get_config()
        self.get_auth_cookie()
        self.get_cookie()
        self.register()
        return self

    def report(self, *events):
        """Sends a batch of (event id, update, revision, MiscData ...), the last three as far as there are any; the answer."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        batch = ""
        for id, update, revision, *misc in (e + ("00000000-0000-0000-0000-000000000000", 0)[len(e) - 1:] for e in events):
            strings = "".join(f"<string>{m}</string>" for m in misc)
            batch += (f"<ReportingEvent><BasicData><TargetID><Sid>{self.id}</Sid></TargetID><SequenceNumber>0</SequenceNumber>"
                      f"<TimeAtTarget>{now}</TimeAtTarget><EventInstanceID>{uuid.uuid4()}</EventInstanceID>"
                      f"<NamespaceID>1</NamespaceID><EventID>{id}</EventID><SourceID>101</SourceID>"
                      f"<UpdateID><UpdateID>{update}</UpdateID><RevisionNumber>{revision}</RevisionNumber></UpdateID>"
                      "<Win32HResult>0</Win32HResult></BasicData>"
                      f"<ExtendedData><MiscData>{strings}</MiscData><ProcessorArchitecture>Amd64Compatible</ProcessorArchitecture>"
                      "<OSLocaleID>1033</OSLocaleID></ExtendedData><PrivateData/></ReportingEvent>")
        return find(self.call(REPORT, "ReportEventBatch", self.cookie_xml() + (
            f"<clientTime>{now}</clientTime><eventBatch>{batch}</eventBatch>")), "ReportEventBatchResult")

    # ---- scan ----

    @staticmethod
    def ids(name, ids):
        return f"<{name}>{''.join(f'<int>{i}</int>' for i in sorted(ids))}</{name}>" if ids else ""

    def sync_once(self, skip=False, system_spec="", filters=(), cached_drivers=()):
        wanted = "".join(f"<CategoryIdentifier><Id>{g}</Id></CategoryIdentifier>" for g in filters)
        answer = self.client("SyncUpdates", self.cookie_xml() + (
            "<parameters><ExpressQuery>false</ExpressQuery>"
            + self.ids("InstalledNonLeafUpdateIDs", self.installed)
            + ("" if skip else self.ids("OtherCachedUpdateIDs", self.other))
            + system_spec + self.ids("CachedDriverIDs", cached_drivers)
            + f"<SkipSoftwareSync>{'true' if skip else 'false'}</SkipSoftwareSync>"
            + (f"<FilterCategoryIds>{wanted}</FilterCategoryIds>" if wanted else "")
            + "<NeedTwoGroupOutOfScopeUpdates>true</NeedTwoGroupOutOfScopeUpdates>"
            + "<ComputerSpec/></parameters>"))
        result = find_all(answer, "SyncUpdatesResult")[0]
        self.take_cookie(find_all(result, "NewCookie")[0])
        return result

    def take(self, result):
        """Files what came into the cache: every non-leaf counts as installed.  Returns what was new."""
        new = find_all(result, "NewUpdates/UpdateInfo")
        for info in new:
            number = int(find(info, "ID"))
            self.known[number] = info
            (self.installed if find(info, "IsLeaf") == "false" else self.other).add(number)
        for info in find_all(result, "ChangedUpdates/UpdateInfo"):
            old = self.known.get(int(find(info, "ID")))
            if old is not None:
                mine, theirs = find_all(old, "Deployment")[0], find_all(info, "Deployment")[0]
                old.replace(mine, theirs)
        gone = {int(e.text) for e in find_all(result, "OutOfScopeRevisionIDs/int")}
        for number in gone:
            self.known.pop(number, None)
        self.installed -= gone
        self.other -= gone
        return new

    def scan(self, calls=200, **kw):
        """A whole software scan; the list of results."""
        results = []
        while True:
            result = self.sync_once(**kw)
            results.append(result)
            new = self.take(result)
            if find(result, "Truncated") != "true" and all(find(i, "IsLeaf") == "true" for i in new):
                return results
            if len(results) > calls:
                raise AssertionError(f"more than {calls} calls in one scan")

    def offered(self):
        """update id -> (RevisionID, Action) of the cache."""
        return {update_id(i): (n, find(i, "Deployment/Action")) for n, i in self.known.items()}

    def extended(self, ids, types=("Extended", "LocalizedProperties"), locales=("en-US", "en")):
        return self.client("GetExtendedUpdateInfo", self.cookie_xml() + self.ids("revisionIDs", ids)
                           + f"<infoTypes>{''.join(f'<XmlUpdateFragmentType>{t}</XmlUpdateFragmentType>' for t in types)}</infoTypes>"
                           + f"<locales>{''.join(f'<string>{t}</string>' for t in locales)}</locales>")


def update_id(info):
    """The UpdateID in the core fragment, lower case."""
    return re.search(r'<UpdateIdentity\b[^>]*\bUpdateID="([^"]+)"', find(info, "Xml"))[1].lower()


# ---- what tests share ----

_shared = {}


def shared(catalog="sample"):
    """An instance that nobody changes."""
    if catalog not in _shared:
        instance = Instance(catalog)
        instance.start()
        _shared[catalog] = instance
    return _shared[catalog]


def sample(*options):
    """A directory with the documents of a sample catalog (the first of the run makes it)."""
    key = ("sample",) + options
    if key not in _shared:
        path = temporary() / "sample"
        run(ROOT / "build/test/make-catalog", *options, "--out", path)
        _shared[key] = path
    return _shared[key]


def corpus_documents():
    """The recorded documents in a directory; bundles name only members that are there, so that they are whole."""
    if "corpus" not in _shared:
        held = {p.name[:36] for p in (CORPUS / "updates").glob("*.xml")}
        folder = temporary() / "documents"
        folder.mkdir()
        for path in (CORPUS / "updates").glob("*.xml"):
            (folder / path.name).write_text(_whole_bundles(path.read_text(encoding="utf-8"), held), encoding="utf-8")
        _shared["corpus"] = folder
    return _shared["corpus"]


def _whole_bundles(text, held):
    def reduce(m):
        members = re.sub(r'<upd:UpdateIdentity UpdateID="([^"]+)"[^>]*/>',
                         lambda i: i[0] if i[1].lower() in held else "", m[0])
        members = re.sub(r"<upd:AtLeastOne[^>]*></upd:AtLeastOne>", "", members)
        return "" if members == "<upd:BundledUpdates></upd:BundledUpdates>" else members
    return re.sub(r"<upd:BundledUpdates>.*?</upd:BundledUpdates>", reduce, text, flags=re.S)
