"""parent.py -- an upstream server as MS-WSUSSS 3.1 describes one and as real ones behave, for the tests of the downstream role:
it serves the documents that a test gives it, has every bad habit on demand, and judges each request that comes.  Nothing in it is
the project's: sockets, XML and what the specification and recorded exchanges say.

    with Parent({("8c3f...", 1): text}) as parent:
        parent.on("GetUpdateData", fault="ServerBusy")        # the next call of it
        ... a downstream server synchronizes with parent.url ...
        parent.assert_well_behaved(self)

Time is a counter: each change and each answer with an anchor is one tick later than the one before, so that an anchor is new even
though nothing happened, as with a real server.
"""
import base64
import collections
import contextlib
import datetime
import gzip
import hashlib
import http.server
import pathlib
import random
import re
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse
import uuid
import zlib

from lxml import etree

import harness
from downstream import AUTH, NIL, NO_DEADLINE, SOAP11, SOAP12, SYNC, SYNC_PATH, Document, escape

SERVICE_URL = "DssAuthWebService/DssAuthWebService.asmx"
CONFIGURATION = ("Category", "Detectoid")
ALL_COMPUTERS = "a0a08746-4dbe-4a37-9adf-9e7652c0b421"
UNASSIGNED = "b73ca6ed-5727-47f3-84de-015e03f6a88a"
DOWNSTREAM_SERVERS = "d374f42a-9be2-4163-a0fa-3c86a401b7a7"
LANGUAGES = ((0, "all", "All Languages", False), (1031, "de", "German", False), (1033, "en", "English", True),
             (1036, "fr", "French", False), (66577, "ja-nec", "Japanese NEC", False))
CODES = ("InvalidParameters", "InvalidCookie", "InternalServerError", "IncompatibleProtocolVersion", "InvalidAuthorizationCookie",
         "FileDigestsMissing", "ServerChanged", "ServerBusy")
PLAIN = 5120  # bytes of UTF-16 up to which a document is not packed (facts 6)


# ---- cabinets ----

def checksum(data, seed=0):
    value = seed
    whole = len(data) & ~3
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        value ^= word
    rest = data[whole:]
    return value ^ int.from_bytes(rest, "big")


def mszip_blocks(data):
    before = b""
    for at in range(0, len(data), 32768):
        plain = data[at:at + 32768]
        z = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, before) if before else zlib.compressobj(9, zlib.DEFLATED, -15)
        yield plain, b"CK" + z.compress(plain) + z.flush()
        before = plain


def lzx_blocks(data):
    """Window 21, blocks of the kind that packs nothing: the format, if not the art."""
    for at in range(0, len(data), 32768):
        plain = data[at:at + 32768]
        bits = ("0" if at == 0 else "") + "011" + format(len(plain), "024b")
        bits += "0" * (-len(bits) % 16)
        head = b"".join(struct.pack("<H", int(bits[i:i + 16], 2)) for i in range(0, len(bits), 16))
        yield plain, head + struct.pack("<3I", 1, 1, 1) + plain + b"\0" * (len(plain) % 2)


CABINETS = {"mszip": (1, mszip_blocks), "lzx": (0x1503, lzx_blocks),
            "stored": (0, lambda data: ((data[i:i + 32768],) * 2 for i in range(0, len(data), 32768)))}


def cabinet(text, kind="mszip", encoding="utf-16-le", name=b"blob"):
    """The bytes of XmlUpdateBlobCompressed, as facts 6 describe a real one."""
    code, blocks = CABINETS[kind]
    data = text.encode(encoding)
    rows = []
    for plain, packed in blocks(data):
        sizes = struct.pack("<HH", len(packed), len(plain))
        rows.append(struct.pack("<I", checksum(sizes, checksum(packed))) + sizes + packed)
    files = 36 + 8
    start = files + 16 + len(name) + 1
    total = start + sum(map(len, rows))
    return (b"MSCF" + struct.pack("<5I2B5H", 0, total, 0, files, 0, 3, 1, 1, 1, 0, 0, 0) + struct.pack("<IHH", start, len(rows), code)
            + struct.pack("<II4H", len(data), 0, 0, 0, 0, 0) + name + b"\0" + b"".join(rows))


def uncabinet(data):
    """The document of a cabinet as cabinet() writes it, for the tests of this file."""
    start, blocks, code = struct.unpack_from("<IHH", data, 36)
    out, at = b"", start
    for number in range(blocks):
        total, packed, plain = struct.unpack_from("<IHH", data, at)
        body = data[at + 8:at + 8 + packed]
        if checksum(data[at + 4:at + 8], checksum(body)) != total:
            raise AssertionError(f"block {number}: checksum")
        if code == 1:
            z = zlib.decompressobj(-15, zdict=out[-32768:]) if out else zlib.decompressobj(-15)
            body = z.decompress(body[2:])
        elif code == 0x1503:
            body = body[16:16 + plain]
        out += body
        at += 8 + packed
    if at != len(data):
        raise AssertionError("something behind the last block")
    return out.decode("utf-16-le")


# ---- codings of answers ----

def xpress_block(plain):
    """Plain LZ77 of MS-XCA, with matches of up to 9 bytes."""
    seen, at, tokens = {}, 0, []
    while at < len(plain):
        key = plain[at:at + 3]
        old = seen.get(key)
        seen[key] = at
        if old is not None and len(key) == 3 and at - old <= 8192:
            length = 3
            while length < 9 and at + length < len(plain) and plain[old + length] == plain[at + length]:
                length += 1
            tokens.append((1, struct.pack("<H", (at - old - 1) << 3 | (length - 3))))
            at += length
        else:
            tokens.append((0, plain[at:at + 1]))
            at += 1
    out = []
    for i in range(0, len(tokens), 32):
        some = tokens[i:i + 32]
        # the flags behind the last token say: a match, and there is none
        flags = sum(bit << (31 - n) for n, (bit, _) in enumerate(some)) | (1 << (32 - len(some))) - 1
        out.append(struct.pack("<I", flags) + b"".join(b for _, b in some))
    if len(tokens) % 32 == 0:
        out.append(struct.pack("<I", 0xffffffff))
    return b"".join(out)


def xpress(data, size=16352):
    out = []
    for at in range(0, len(data), size):
        plain = data[at:at + size]
        packed = xpress_block(plain)
        if len(packed) >= len(plain):
            packed = plain  # equal lengths: stored
        out.append(struct.pack("<II", len(plain), len(packed)) + packed)
    return b"".join(out)


CODINGS = {"gzip": gzip.compress, "xpress": xpress}


# ---- the schema of requests, MS-WSUSSS 6.1: name, least, most, form; a form is a pattern, or a list of these for a structure ----

STRING, BASE64 = r"(?s).*", r"[A-Za-z0-9+/\s]*={0,2}\s*"
GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
INT, BOOLEAN, DATETIME = r"-?\d{1,10}", r"true|false|1|0", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z?"
MANY = 10**9
IDENTITY = [("UpdateID", 1, 1, GUID), ("RevisionNumber", 1, 1, INT)]
COOKIE = [("Expiration", 1, 1, DATETIME), ("EncryptedData", 1, 1, BASE64)]
CHOICES = [("IdAndDelta", 1, MANY, [("Id", 1, 1, GUID), ("Delta", 1, 1, BOOLEAN)])]
FILTER = [("Anchor", 0, 1, STRING), ("GetConfig", 1, 1, BOOLEAN), ("Get63LanguageOnly", 0, 1, BOOLEAN), ("Categories", 0, 1, CHOICES),
          ("Classifications", 0, 1, CHOICES), ("Languages", 0, 1, [("LanguageAndDelta", 1, MANY, [("Id", 1, 1, INT), ("Delta", 1, 1, BOOLEAN)])])]
IDENTITIES = [("UpdateIdentity", 1, MANY, IDENTITY)]
SCHEMA = {
    "GetAuthConfig": [],
    "GetAuthorizationCookie": [("accountName", 1, 1, STRING), ("accountGuid", 1, 1, GUID), ("programKeys", 0, 1, [])],
    "GetCookie": [("authCookies", 1, 1, [("AuthorizationCookie", 1, 1, [("PlugInId", 1, 1, STRING), ("CookieData", 1, 1, BASE64)])]),
                  ("oldCookie", 0, 1, COOKIE), ("protocolVersion", 1, 1, r"1\.(1|2|3|6|8|20)")],
    "GetConfigData": [("cookie", 1, 1, COOKIE), ("configAnchor", 0, 1, STRING)],
    "GetRevisionIdList": [("cookie", 1, 1, COOKIE), ("filter", 1, 1, FILTER)],
    "GetUpdateData": [("cookie", 1, 1, COOKIE), ("updateIds", 1, 1, IDENTITIES)],
    "GetUpdateDecryptionData": [("cookie", 1, 1, COOKIE), ("updateIds", 1, 1, IDENTITIES)],
    "GetDeployments": [("cookie", 1, 1, COOKIE), ("deploymentAnchor", 0, 1, STRING), ("syncAnchor", 1, 1, STRING)],
    "DownloadFiles": [("cookie", 1, 1, COOKIE), ("fileDigestList", 1, 1, [("base64Binary", 1, MANY, BASE64)])],
    "GetRelatedRevisionsForUpdates": [("cookie", 1, 1, COOKIE), ("updateIDs", 0, 1, [("guid", 0, MANY, GUID)])],
}


class Fault(Exception):
    """code None: one that has no detail."""

    def __init__(self, code, message="", form=None, status=500):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.form, self.status = code, message, form, status


class Form:
    """How answers are written.  The defaults are those of a Windows server (facts 2); microsoft() is Microsoft Update's (facts 4)."""

    def __init__(self, **what):
        self.prefix = "soap"       # of the envelope
        self.declaration = True
        self.inner = None          # prefix of the operation's elements; None: default namespace
        self.extras = False        # elements and attributes that no schema has
        self.reverse = False       # of each structure's elements
        self.white = False         # white space between elements
        self.coding = None         # "gzip", "xpress": for those who take it
        self.framing = "length"    # "chunked", "close"
        self.fault = "windows"
        self.counter = True        # in anchors
        self.version = "1.20"
        self.order = False         # of GetConfigData, as Microsoft Update has it
        for name, value in what.items():
            if not hasattr(self, name):
                raise TypeError(name)
            setattr(self, name, value)


def microsoft():
    return Form(prefix="s", declaration=False, counter=False, version="1.21", order=True, fault="s")


# the forms that faults have; {p} the prefix, {who} Client or Server, {rows} the detail's elements
FAULTS = {
    "windows": "<{p}:Fault><faultcode>{p}:{who}</faultcode><faultstring>Fault occurred</faultstring><faultactor>{actor}</faultactor>"
               "<detail>{rows}</detail></{p}:Fault>",
    "s": '<{p}:Fault><faultcode>{p}:{who}</faultcode><faultstring xml:lang="en-US">Fault occurred</faultstring><detail>{rows}</detail></{p}:Fault>',
    "Detail": "<{p}:Fault><faultcode>{p}:{who}</faultcode><faultstring>Fault occurred</faultstring><Detail>{rows}</Detail></{p}:Fault>",
    "deep": "<{p}:Fault><faultcode>{p}:{who}</faultcode><faultstring>Fault occurred</faultstring><detail><x:wrap xmlns:x='urn:x'>"
            "<other>1</other>{rows}</x:wrap></detail></{p}:Fault>",
    "bare": "<{p}:Fault><faultcode>{p}:{who}</faultcode><faultstring>Server was unable to process request.</faultstring></{p}:Fault>",
}
FAULTS12 = {
    "windows": "<{p}:Fault><{p}:Code><{p}:Value>{p}:{who}</{p}:Value></{p}:Code><{p}:Reason><{p}:Text xml:lang='en'>Fault occurred</{p}:Text>"
               "</{p}:Reason><Detail>{rows}</Detail></{p}:Fault>",
    "env": "<{p}:Fault><{p}:Code><{p}:Value>{p}:{who}</{p}:Value></{p}:Code><{p}:Reason><{p}:Text xml:lang='en'>Fault occurred</{p}:Text>"
           "</{p}:Reason><{p}:Detail>{rows}</{p}:Detail></{p}:Fault>",
    "bare": "<{p}:Fault><{p}:Code><{p}:Value>{p}:{who}</{p}:Value></{p}:Code><{p}:Reason><{p}:Text xml:lang='en'>Fault occurred</{p}:Text>"
            "</{p}:Reason></{p}:Fault>",
}


class Writer:
    """(name, text | [rows]) to XML in a form."""

    def __init__(self, form, ns):
        self.form, self.ns = form, ns

    def name(self, n):
        return f"{self.form.inner}:{n}" if self.form.inner else n

    def row(self, row, top=False):
        name, value = row
        gap = "\r\n\t" if self.form.white else ""
        attributes = ""
        if top:
            attributes = f' xmlns:{self.form.inner}="{self.ns}"' if self.form.inner else f' xmlns="{self.ns}"'
        if self.form.extras:
            attributes += ' Later="1" x:more="&lt;&amp;" xmlns:x="urn:later"'
        if isinstance(value, Raw):
            return f"<{self.name(name)}{attributes}>{value}</{self.name(name)}>"
        if value in ("", [], None):
            return f"<{self.name(name)}{attributes} />"
        if isinstance(value, str):
            return f"<{self.name(name)}{attributes}>{escape(value)}</{self.name(name)}>"
        rows = list(value)
        if self.form.reverse and len({n for n, _ in rows}) > 1:
            rows.reverse()
        inner = [self.row(r) for r in rows]
        if self.form.extras:
            later = '<Later xmlns="urn:later"><Deep a="b">text<Anchor>no</Anchor></Deep><!-- c --><?p i?></Later>'
            inner = [f"<{self.name('NewerThanYou')}>1</{self.name('NewerThanYou')}>", *inner, later]
        return f"<{self.name(name)}{attributes}>{gap}{gap.join(inner)}{gap}</{self.name(name)}>"

    def envelope(self, soap, body):
        p = self.form.prefix
        more = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"' if p == "soap" else ""
        head = '<?xml version="1.0" encoding="utf-8"?>' if self.form.declaration else ""
        return f'{head}<{p}:Envelope xmlns:{p}="{soap}"{more}><{p}:Body>{body}</{p}:Body></{p}:Envelope>'.encode("utf-8", "surrogatepass")


class Raw(str):
    """Text that is put in as it is."""


def fraction(when, digits):
    text = when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0"
    return (text[:20 + digits] if digits else text[:19]) + "Z"


class Request:
    """One call as it came: fields are nested dictionaries, lists of them for arrays."""

    def __init__(self, operation, fields, headers, body, soap, number):
        self.operation, self.fields, self.headers, self.body, self.soap, self.number = operation, fields, headers, body, soap, number
        self.told = []  # the identities of an answer's documents

    def __repr__(self):
        return f"<{self.operation} {self.number}>"


class Rule:
    """What happens to some calls: see Parent.on()."""

    def __init__(self, operation, nth, times, what):
        self.operation, self.skip, self.left, self.what = operation, nth - 1, times, what

    def is_due(self, operation):
        if self.operation not in (None, operation) or self.left == 0:
            return False
        self.skip -= 1
        return self.skip < 0


KNOWN = ("fault", "message", "fault_form", "fault_status", "cut", "reset", "slow", "status", "headers", "body", "change", "before",
         "after", "drop", "hang", "form")


class Item:
    """A document that is served."""

    def __init__(self, key, text, since):
        self.key, self.text, self.since = key, text, since
        self.document = None
        with contextlib.suppress(etree.XMLSyntaxError, IndexError, ValueError, AttributeError, TypeError):
            self.document = Document(text)
        self.kind = self.document.type if self.document else "Software"
        self.files = [d for d, _, _ in self.document.files] if self.document else []
        self.blob = None      # the bytes of a cabinet of the test's own


class Parent:
    """One server.  Everything that it serves may be changed between and during the calls."""

    def __init__(self, documents=(), form=None, tls=None, microsoft_update=False, limit=100, host="127.0.0.1", port=0, login=None):
        self.form = form or (microsoft() if microsoft_update else Form())
        self.microsoft_update, self.limit, self.decryption_limit = microsoft_update, limit, 500 if microsoft_update else 100
        self.catalog_only, self.lazy, self.hosts_psf = microsoft_update, True, microsoft_update
        self.languages = list(LANGUAGES)
        self.login = login                # "user:password"
        self.lock = threading.RLock()
        self.clock, self.generation = 1, 9438
        self.items = {}
        self.config_since = 1
        self.urls = {}                    # digest -> MUUrl
        self.keys = {}                    # digest -> DecryptionKey
        self.content = {}                 # digest -> bytes at /Content
        self.elsewhere = {}               # path -> bytes at other addresses
        self.obtains = {}                 # digest -> bytes that DownloadFiles brings
        self.groups = {ALL_COMPUTERS: ("All Computers", NIL, True, 1), UNASSIGNED: ("Unassigned Computers", ALL_COMPUTERS, True, 1),
                       DOWNSTREAM_SERVERS: ("Downstream Servers", NIL, True, 1)}
        self.deployments = {}             # guid -> row, with since
        self.dead = {}                    # guid -> since
        self.hidden, self.eulas = set(), set()
        # habits
        self.pack = "mszip"               # of documents above PLAIN: None, "mszip", "lzx", "stored"
        self.pack_from = PLAIN
        self.batch = None                 # at most so many documents in an answer
        self.answer_bytes = 2_000_000
        self.all_revisions = True         # of configuration items, as real servers list them
        self.upper = False                # GUIDs in capitals
        self.twice = False                # each identity of a list
        self.nested = False               # documents as elements, not as text
        self.ignores_anchors = False      # whole lists each time
        self.cookie_life = datetime.timedelta(minutes=240)
        self.answers = {}                 # operation -> (request) -> bytes of a whole answer, or None
        # what was seen
        self.violations = []
        self.requests = []
        self.gets = []                    # (path, Range, status)
        self.counts = collections.Counter()
        self.asked = collections.Counter()      # identities of GetUpdateData
        self.delivered = collections.Counter()
        self.connections = 0
        self.sizes = {}                         # operation -> bytes of the longest answer, headers counted
        self.told = []                          # of the call that is being answered
        self.wanted = []                  # digests of DownloadFiles
        self.lenient = False              # the peer may lose what it was told: it is killed
        self.rules = []
        self.auth_cookies, self.cookies = set(), {}   # base64 -> (generation, expires, Expiration)
        self.last_cookie = None
        self.account = None
        self.version = None
        self.config_anchors, self.deployment_anchors = [], []
        self.used = {}                             # kind -> the anchor that the peer has to know
        self.old_anchors = set()                   # of before change_identity()
        self.list_anchors = {True: {}, False: {}}  # GetConfig -> {anchor: (categories, classifications)}
        self.random = random.Random(1)
        for key, text in dict(documents).items():
            self.add(text, key)
        self._serve(host, port, tls)

    # ---- what it has ----

    def tick(self):
        with self.lock:
            self.clock += 1
            return self.clock

    def add(self, text, key=None):
        """A document; key if it says another identity, or none."""
        with self.lock:
            if key is None:
                key = Document(text).key
            self.items[key] = Item(key, text, self.tick())
            return key

    def replace(self, key, text):
        """Other bytes under the same identity, and not new."""
        with self.lock:
            since = self.items[key].since
            self.items[key] = Item(key, text, since)

    def group(self, name, parent=ALL_COMPUTERS, id=None):
        with self.lock:
            id = id or str(uuid.uuid4())
            self.groups[id] = (name, parent, False, self.tick())
            return id

    def deploy(self, key, group=ALL_COMPUTERS, guid=None, **more):
        with self.lock:
            guid = guid or str(uuid.uuid4())
            row = {"action": 0, "admin": "boss", "deadline": NO_DEADLINE, "assigned": True, "go_live": "2021-01-01T00:00:00Z", "priority": 2}
            self.deployments[guid] = {**row, **more, "key": key, "group": group, "since": self.tick()}
            return guid

    def undeploy(self, guid):
        with self.lock:
            del self.deployments[guid]
            self.dead[guid] = self.tick()

    def change_identity(self):
        """What a restored database does: all that was given out before is answered with ServerChanged."""
        with self.lock:
            self.generation += 1
            self.old_anchors.update(self.config_anchors, self.deployment_anchors, *self.list_anchors.values())
            self._forget_anchors()

    def _forget_anchors(self):
        self.used.clear()
        for given in self._given().values():
            given.clear()

    def expire_cookies(self):
        with self.lock:
            self.cookies = {data: (generation, None, text) for data, (generation, _, text) in self.cookies.items()}

    def new_peer(self):
        """The next that comes is another downstream server, or one that has forgotten everything."""
        with self.lock:
            self.account, self.last_cookie = None, None
            self._forget_anchors()
            self.forget_what_was_seen()

    # ---- trouble ----

    def on(self, operation=None, nth=1, times=1, **what):
        """The nth call from now of operation (None: any; "content": a GET) and the times - 1 after it meet with this; times -1: all.
        Of several that are due, the oldest comes first and the others wait.
        fault=CODE (message=, fault_form=, fault_status=) | status=, body=: instead of an answer | drop=True: no answer
        cut=N: the connection ends behind N bytes of the answer, headers counted (reset=True: with RST) | slow=(bytes, seconds)
        headers={} | change=function(bytes)->bytes: of the whole envelope or file | before=, after=function(request) | form=Form
        hang=Event: waits for it."""
        if set(what) - set(KNOWN):
            raise TypeError(set(what) - set(KNOWN))
        with self.lock:
            self.rules.append(Rule(operation, nth, times, what))
            return self.rules[-1]

    def calm(self):
        with self.lock:
            self.rules.clear()

    def wrong(self, *what):
        with self.lock:
            self.violations.append(" ".join(map(str, what)))

    def assert_well_behaved(self, case):
        case.assertEqual(self.violations[:10], [], "what the downstream server did wrong")

    def calls(self, *operations):
        return [r for r in self.requests if not operations or r.operation in operations]

    def phases(self):
        """Names of the calls without the repetitions of a series."""
        names = [r.operation for r in self.requests]
        return [n for i, n in enumerate(names) if i == 0 or names[i - 1] != n]

    def forget_what_was_seen(self):
        with self.lock:
            self.requests.clear()
            self.gets.clear()
            self.wanted.clear()
            self.counts.clear()
            self.asked.clear()
            self.delivered.clear()

    # ---- the server ----

    def _serve(self, host, port, tls):
        parent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            timeout = 60

            def setup(self):
                if tls:
                    self.request = tls.wrap_socket(self.request, server_side=True)
                super().setup()
                with parent.lock:
                    parent.connections += 1

            def log_message(self, *_):
                pass

            def do_POST(self):
                parent._post(self)

            def do_GET(self):
                parent._get(self)
            do_HEAD = do_GET

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, request, client_address):
                pass  # peers that go away are daily bread

            def server_bind(self):
                socketserver.TCPServer.server_bind(self)  # without a look-up of the host's name
                self.server_name, self.server_port = host, self.server_address[1]

        self.tls = tls
        self._server = Server((host, port), Handler)
        self.host, self.port = host, self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{'[%s]' % host if ':' in host else host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _rule(self, operation):
        with self.lock:
            self.counts[operation] += 1
            due = [rule for rule in self.rules if rule.is_due(operation)]
            if not due:
                return {}
            due[0].left -= 1
            return due[0].what

    def _post(self, handler):
        length = handler.headers.get("Content-Length", "")
        if not length.isdigit():
            self.wrong("no Content-Length")
            length = "0"
        body = handler.rfile.read(int(length))
        soap, ns, operation, element = self._envelope(handler, body)
        mood = self._rule(operation)
        request = Request(operation, {}, dict(handler.headers.items()), body, soap, self.counts[operation])
        if mood.get("before"):
            mood["before"](request)
        form = mood.get("form") or self.form
        writer = Writer(form, ns)
        status = 200
        try:
            self._check_login(handler)
            if element is None:
                raise Fault(None)
            with self.lock:
                request.fields = self._fields(element, ns, SCHEMA[operation], operation)
                self.requests.append(request)
                self.told = request.told
                if mood.get("fault"):
                    raise Fault(mood["fault"] if mood["fault"] != "none" else None, mood.get("message", ""), mood.get("fault_form"),
                                mood.get("fault_status", 500))
                canned = self.answers.get(operation)
                answer = canned(request) if canned else None
                if answer is None:
                    rows = getattr(self, "_" + operation)(request.fields)
                    answer = writer.envelope(soap, writer.row((f"{operation}Response", rows), top=True))
        except (KeyError, ValueError, AttributeError, TypeError) as e:
            self.wrong(operation, "cannot be used:", repr(e))
            status, answer = 500, self._fault(writer, soap, Fault("InternalServerError"), operation)
        except Fault as fault:
            status, answer = fault.status, self._fault(writer, soap, fault, operation)
        headers = {"Cache-Control": "private, max-age=0" if status == 200 else "private",
                   "Content-Type": ("application/soap+xml" if soap == SOAP12 else "text/xml") + "; charset=utf-8",
                   "Server": "Microsoft-IIS/10.0"}
        if status == 401:
            headers.update({"WWW-Authenticate": 'Basic realm="parent"', "Content-Type": "text/html"})
            answer = b"<html><title>401 - Unauthorized</title></html>"
        if mood.get("status"):
            status, answer, headers["Content-Type"] = mood["status"], mood.get("body", b"<html>no</html>"), "text/html"
        if mood.get("change"):
            answer = mood["change"](answer)
        coding = form.coding
        if coding and coding in [c.split(";")[0].strip() for c in handler.headers.get("Accept-Encoding", "").lower().split(",")]:
            answer = CODINGS[coding](answer)
            headers["Content-Encoding"] = coding
        headers.update(mood.get("headers", {}))
        handler.operation = operation
        self._send(handler, status, headers, answer, mood, form)
        if operation == "GetUpdateData" and status == 200 and not mood:
            with self.lock:
                self.delivered.update(request.told)
        if mood.get("after"):
            mood["after"](request)

    def _send(self, handler, status, headers, body, mood, form):
        handler.close_connection = form.framing == "close" or handler.close_connection
        if mood.get("hang"):
            mood["hang"].wait(60)
        if mood.get("drop"):
            return self._break(handler, mood)
        if form.framing == "length":
            headers["Content-Length"] = str(len(body))
        elif form.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
            body = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 1000]), body[i:i + 1000]) for i in range(0, len(body), 1000)) + b"0\r\n\r\n"
        else:
            headers["Connection"] = "close"
        reason = http.HTTPStatus(status).phrase
        head = f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items()) + "\r\n"
        whole = head.encode("latin-1") + (b"" if handler.command == "HEAD" else body)
        operation = getattr(handler, "operation", "content")
        self.sizes[operation] = max(self.sizes.get(operation, 0), len(whole))
        cut = mood.get("cut")
        if cut is not None:
            mood["met"] = cut < len(whole)
            whole = whole[:cut]
        with contextlib.suppress(OSError):
            if mood.get("slow"):
                size, pause = mood["slow"]
                for at in range(0, len(whole), size):
                    handler.connection.sendall(whole[at:at + size])
                    time.sleep(pause)
            else:
                handler.connection.sendall(whole)
        if cut is not None:
            self._break(handler, mood)
        return None

    @staticmethod
    def _break(handler, mood):
        handler.close_connection = True
        with contextlib.suppress(OSError):
            if mood.get("reset"):
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                handler.connection.close()
            else:
                handler.connection.shutdown(socket.SHUT_RDWR)

    def _check_login(self, handler):
        if self.login:
            sent = handler.headers.get("Authorization", "")
            if sent != "Basic " + base64.b64encode(self.login.encode()).decode():
                raise Fault(None, status=401)

    def _fault(self, writer, soap, fault, operation):
        who = "Server" if fault.code in (None, "InternalServerError", "ServerBusy") else "Client"
        forms = FAULTS
        if soap == SOAP12:
            who, forms = {"Server": "Receiver", "Client": "Sender"}[who], FAULTS12
        form = "bare" if fault.code is None else fault.form or (writer.form.fault if writer.form.fault in forms else "windows")
        rows = (f"<ErrorCode>{escape(fault.code or '')}</ErrorCode><Message>{escape(fault.message)}</Message><ID>{uuid.uuid4()}</ID>"
                f'<Method>"{SYNC}/{operation}"</Method>')
        return writer.envelope(soap, forms[form].format(p=writer.form.prefix, who=who, rows=rows, actor=self.url + SYNC_PATH))

    # ---- the judge ----

    def _envelope(self, handler, body):
        """(SOAP version, namespace, operation, element); element None: unusable."""
        bad = (SOAP11, SYNC, "?", None)
        kind = handler.headers.get("Content-Type", "")
        soap = SOAP12 if kind.lower().startswith("application/soap+xml") else SOAP11
        try:
            root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, huge_tree=True))
        except etree.XMLSyntaxError as e:
            self.wrong("no XML:", e, body[:200])
            return bad
        if root.getroottree().docinfo.doctype:
            self.wrong("a DTD")
        if root.tag != f"{{{soap}}}Envelope" or [e.tag for e in root] != [f"{{{soap}}}Body"] or len(root[0]) != 1:
            self.wrong("not one Body with one child, without Header, in the envelope that Content-Type says:", kind, body[:300])
            return bad
        element = root[0][0]
        q = etree.QName(element)
        if any(a for e in root.iter() if isinstance(e.tag, str) for a in e.attrib):
            self.wrong(q.localname, "has attributes")
        ns = AUTH if q.localname == "GetAuthorizationCookie" else SYNC
        if q.localname not in SCHEMA or q.namespace != ns:
            self.wrong("no operation that a downstream server calls:", element.tag)
            return bad
        path = "/" + SERVICE_URL if ns == AUTH else SYNC_PATH
        if handler.path != path:
            self.wrong(q.localname, "at", handler.path)
        action = f"{ns}/{q.localname}"
        plain = kind.replace(" ", "").lower()
        if soap == SOAP12:
            if plain != f'application/soap+xml;charset=utf-8;action="{action}"'.lower():
                self.wrong(q.localname, "Content-Type", kind)
        elif plain != "text/xml;charset=utf-8" or handler.headers.get("SOAPAction") != f'"{action}"':
            self.wrong(q.localname, "Content-Type", kind, "SOAPAction", handler.headers.get("SOAPAction"))
        if handler.headers.get("Host") != urllib.parse.urlsplit(self.url).netloc:
            self.wrong(q.localname, "Host", handler.headers.get("Host"))
        return soap, ns, q.localname, element

    def _fields(self, element, ns, schema, where):
        out, at = {}, 0
        names = [s[0] for s in schema]
        found = collections.defaultdict(list)
        if schema and (element.text or "").strip() or any((e.tail or "").strip() for e in element):
            self.wrong(where, "has text among its elements")
        for child in element:
            q = etree.QName(child)
            if q.namespace != ns or q.localname not in names:
                self.wrong(where, "has", child.tag)
                continue
            if names.index(q.localname) < at:
                self.wrong(where, q.localname, "is out of the schema's order")
            at = names.index(q.localname)
            found[q.localname].append(child)
        for name, least, most, form in schema:
            rows = found[name]
            if not least <= len(rows) <= most:
                self.wrong(where, "has", len(rows), name)
            values = [self._value(r, ns, form, f"{where}/{name}") for r in rows]
            if most > 1:
                out[name] = values
            elif values:
                out[name] = values[0]
        return out

    def _value(self, element, ns, form, where):
        if isinstance(form, list):
            return self._fields(element, ns, form, where)
        text = element.text or ""
        if len(element) or not re.fullmatch(form, text):
            self.wrong(where, "is", repr(text[:80]))
        return text

    # ---- cookies ----

    def _opaque(self, size):
        return base64.b64encode(self.random.randbytes(size)).decode()

    def _check_cookie(self, fields, where):
        cookie = fields.get("cookie") or {}
        data = cookie.get("EncryptedData", "")
        if not data:
            self.wrong(where, "without a cookie")
            raise Fault("InvalidCookie")
        if data not in self.cookies:
            self.wrong(where, "with a cookie that was never given")
            raise Fault("InvalidCookie")
        generation, expires, expiration = self.cookies[data]
        if cookie.get("Expiration") != expiration:
            self.wrong(where, "Expiration", cookie.get("Expiration"), "was", expiration)
        if data != self.last_cookie and not self.lenient:
            self.wrong(where, "with a cookie that is not the latest")
        if generation != self.generation:
            raise Fault("ServerChanged")
        if expires is None:  # what it had said of its end was not true
            raise Fault("InvalidCookie")
        if expires < datetime.datetime.now(datetime.timezone.utc):
            self.wrong(where, "with a cookie that had ended")
            raise Fault("InvalidCookie")

    # ---- operations: fields of the request -> rows of the answer ----

    def _GetAuthConfig(self, _):
        return [("GetAuthConfigResult", [("LastChange", "2026-10-04T15:03:36.123Z"), ("AuthInfo", [("AuthPlugInInfo", [
            ("PlugInID", "DssTargeting"), ("ServiceUrl", SERVICE_URL), ("Parameter", "")])])])]

    def _GetAuthorizationCookie(self, fields):
        account = (fields.get("accountName"), fields.get("accountGuid"))
        if not re.fullmatch(r"(?=.{1,255}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*", account[0] or ""):
            self.wrong("accountName", account[0])
            raise Fault("InvalidParameters", "accountName")
        if self.account not in (None, account):
            self.wrong("the account was", self.account, "and is", account)
        self.account = account
        data = self._opaque(432)
        self.auth_cookies.add(data)
        return [("GetAuthorizationCookieResult", [("PlugInId", "DssTargeting"), ("CookieData", data)])]

    def _GetCookie(self, fields):
        given = fields["authCookies"]["AuthorizationCookie"]
        if given.get("PlugInId") != "DssTargeting" or given.get("CookieData") not in self.auth_cookies:
            self.wrong("GetCookie with an authorization cookie that was never given")
            raise Fault("InvalidAuthorizationCookie")
        old = fields.get("oldCookie")
        if old is not None and old.get("EncryptedData") not in self.cookies:
            self.wrong("oldCookie was never given")
        elif old is not None and old.get("EncryptedData") != self.last_cookie and not self.lenient:
            self.wrong("oldCookie is not the last one")
        self.version = fields["protocolVersion"]
        expires = datetime.datetime.now(datetime.timezone.utc) + self.cookie_life
        expiration = fraction(expires, (5, 7, 3, 0, 1)[len(self.cookies) % 5])
        data = self._opaque(208)
        self.cookies[data] = (self.generation, expires, expiration)
        self.last_cookie = data
        return [("GetCookieResult", [("Expiration", expiration), ("EncryptedData", data)])]

    def anchor(self):
        when = datetime.datetime(2026, 10, 4, 16, 33, 26) + datetime.timedelta(milliseconds=self.tick())
        text = when.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        return f"{self.generation},{text}" if self.form.counter else text

    def _moment(self, anchor, name):
        found = re.fullmatch(r"(?:-?\d+,)?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})", anchor)
        if not found:
            self.wrong(name, anchor)
            raise Fault("InvalidParameters", name)
        when = datetime.datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S.%f") - datetime.datetime(2026, 10, 4, 16, 33, 26)
        return round(when / datetime.timedelta(milliseconds=1))

    def settle(self):
        """A run of the peer ended well: what it was told last is what it has to know."""
        with self.lock:
            for kind, given in self._given().items():
                if given:
                    self.used[kind] = list(given)[-1]

    def _given(self):
        return {"GetConfigData": self.config_anchors, "GetDeployments": self.deployment_anchors,
                "a list of configuration items": self.list_anchors[True], "a list of updates": self.list_anchors[False]}

    def _check_anchor(self, anchor, kind):
        """As old as what the peer has used or must know, or newer: a run that failed may have lost what it was told."""
        given = list(self._given()[kind])
        if anchor in self.old_anchors:
            raise Fault("ServerChanged")
        if anchor is None:
            if kind in self.used and not self.lenient:
                self.wrong(kind, "without an anchor, and one is known")
        elif anchor not in given:
            self.wrong(kind, "with an anchor that was never given for it:", anchor)
        elif kind in self.used and given.index(anchor) < given.index(self.used[kind]) and not self.lenient:
            self.wrong(kind, "with an anchor that is older than what is known:", anchor)
        else:
            self.used[kind] = anchor

    def _GetConfigData(self, fields):
        self._check_cookie(fields, "GetConfigData")
        anchor = fields.get("configAnchor")
        self._check_anchor(anchor, "GetConfigData")
        since = self._moment(anchor, "configAnchor") if anchor else 0
        rows = [] if since >= self.config_since else [
            ("ServerSyncLanguageData", [("LanguageID", str(i)), ("ShortLanguage", short), ("LongLanguage", name), ("Enabled", word(on))])
            for i, short, name, on in self.languages]
        self.config_anchors.append(self.anchor())
        flags = [("CatalogOnlySync", word(self.catalog_only)), ("LazySync", word(self.lazy)), ("ServerHostsPsfFiles", word(self.hosts_psf))]
        zero = "100" if self.microsoft_update else "0"
        limits = [("MaxNumberOfComputerIdsInRequest", zero), ("MaxNumberOfDriverSetsPerRequest", zero),
                  ("MaxNumberOfPnpHardwareIdsInRequest", zero), ("MaxNumberOfUpdatesPerRequest", str(self.limit))]
        if self.form.order:
            limits = limits[-1:] + limits[:-1]
        version = [("ProtocolVersion", self.form.version)] if self.form.version else []
        last = [("MaxUpdatesPerRequestInGetUpdateDecryptionData", str(self.decryption_limit))] if self.decryption_limit else []
        return [("GetConfigDataResult", flags + limits + [("NewConfigAnchor", self.config_anchors[-1])] + version
                 + [("LanguageUpdateList", rows)] + last)]

    def _GetRevisionIdList(self, fields):
        self._check_cookie(fields, "GetRevisionIdList")
        f = fields["filter"]
        config = f.get("GetConfig") in ("true", "1")
        if (self.version == "1.1") == ("Get63LanguageOnly" in f):
            self.wrong("Get63LanguageOnly with version", self.version)
        if "Languages" in f and self.version in ("1.1", "1.2"):
            self.wrong("Languages with version", self.version)
        if config and ("Categories" in f or "Classifications" in f):
            self.wrong("a list of configuration items with a filter")
        lists = {}
        for name in ("Categories", "Classifications"):
            rows = [(r.get("Id", "").lower(), r.get("Delta") in ("true", "1")) for r in f.get(name, {}).get("IdAndDelta", [])]
            lists[name] = dict(rows)
            if len(lists[name]) != len(rows):
                self.wrong(name, "names an id twice")
        wanted = (frozenset(lists["Categories"]), frozenset(lists["Classifications"]))
        if bool(wanted[0]) != bool(wanted[1]):
            self.wrong("one list without the other (REVLIST-18)")
        anchor = f.get("Anchor")
        given = self.list_anchors[config]
        self._check_anchor(anchor, "a list of configuration items" if config else "a list of updates")
        self._check_delta(lists, given.get(anchor) if anchor else None)
        since = self._moment(anchor, "filter") if anchor else 0
        chosen = self.matching(config, wanted) if bool(wanted[0]) == bool(wanted[1]) else []
        full = not anchor or self.ignores_anchors
        if not full and wanted[0]:
            new = (frozenset(i for i, delta in lists["Categories"].items() if not delta),
                   frozenset(i for i, delta in lists["Classifications"].items() if not delta))
            again = set(self.matching(config, (new[0], wanted[1]))) | set(self.matching(config, (wanted[0], new[1])))
            chosen = [k for k in chosen if self.items[k].since > since or k in again]
        elif not full:
            chosen = [k for k in chosen if self.items[k].since > since]
        if self.twice:
            chosen = chosen * 2
        text = self.anchor()
        given[text] = wanted
        return [("GetRevisionIdListResult", [("Anchor", text), ("NewRevisions", [
            ("UpdateIdentity", self._identity(k)) for k in chosen])])]

    def _check_delta(self, lists, before):
        """DSS-META-12: what the anchor covers is wanted as a delta, what is chosen since, whole."""
        for at, name in enumerate(("Categories", "Classifications")):
            for i, delta in lists[name].items():
                due = before is not None and i in before[at]
                if delta != due:
                    self.wrong(name, i, "Delta", delta, "with an anchor that covers it" if due else "without an anchor that covers it")

    def _identity(self, key):
        return [("UpdateID", key[0].upper() if self.upper else key[0]), ("RevisionNumber", str(key[1]))]

    def _ancestors(self, item):
        out, todo = set(), list(item.document.categories) if item.document else []
        while todo:
            update = todo.pop()
            if update not in out:
                out.add(update)
                todo += [c for k, i in self.items.items() if k[0] == update and i.document for c in i.document.categories]
        return out

    def matching(self, config, wanted=(frozenset(), frozenset())):
        """The identities of a list: of updates the highest revision each, and what these and older ones bundle."""
        keys = [k for k, i in self.items.items() if (i.kind in CONFIGURATION) == config]
        if config:
            highest = {u: max(n for v, n in keys if v == u) for u, _ in keys}
            return [k for k in keys if self.all_revisions or k[1] == highest[k[0]]]
        if wanted[0] or wanted[1]:
            keys = [k for k in keys if self._belongs(k, wanted)]
        highest = {u: max(n for v, n in keys if v == u) for u, _ in keys}
        out, todo = set(), [k for k in keys if k[1] == highest[k[0]]]
        while todo:
            key = todo.pop()
            if key not in out and key in self.items:
                out.add(key)
                todo += self.items[key].document.members if self.items[key].document else []
        return sorted(out)

    def _belongs(self, key, wanted):
        mine = self._ancestors(self.items[key])
        return bool(mine & wanted[0]) and bool(mine & wanted[1])

    def _identities(self, fields, limit, where):
        rows = [(r.get("UpdateID", "").lower(), int(r.get("RevisionNumber", "-1"))) for r in fields["updateIds"]["UpdateIdentity"]]
        if len(rows) > limit:
            self.wrong(where, "of", len(rows), "identities")
            raise Fault("InvalidParameters", "updateIds")
        if len(set(rows)) != len(rows):
            self.wrong(where, "names an identity twice")
        return rows

    def _GetUpdateData(self, fields):
        self._check_cookie(fields, "GetUpdateData")
        rows = self._identities(fields, self.limit, "GetUpdateData")
        self.asked.update(rows)
        if any(k not in self.items for k in rows):
            raise Fault("InternalServerError")
        out, urls, size = [], {}, 0
        for key in rows:
            if out and (size > self.answer_bytes or self.batch and len(out) >= self.batch):
                break
            item = self.items[key]
            blob = self._blob(item)
            digests = [("FileDigestList", [("base64Binary", base64.b64encode(d).decode()) for d in item.files])] if item.files else []
            out.append(("ServerSyncUpdateData", [("Id", self._identity(key))]
                        + ([blob] + digests if blob[0] == "XmlUpdateBlob" else digests + [blob])))
            size += len(blob[1])
            urls.update(dict.fromkeys(item.files))
            self.told.append(key)
        uss = [] if self.microsoft_update else [("UssUrl", "")]
        return [("GetUpdateDataResult", [("updates", out), ("fileUrls", [
            ("ServerSyncUrlData", [("FileDigest", base64.b64encode(d).decode())] + ([("MUUrl", self.urls[d])] if d in self.urls else []) + uss)
            for d in urls])])]

    def _blob(self, item):
        if item.blob is not None:
            return "XmlUpdateBlobCompressed", base64.b64encode(item.blob).decode()
        if self.pack and len(item.text.encode("utf-16-le", "surrogatepass")) > self.pack_from:
            return "XmlUpdateBlobCompressed", base64.b64encode(cabinet(item.text, self.pack)).decode()
        return "XmlUpdateBlob", Raw(item.text) if self.nested else item.text

    def _GetUpdateDecryptionData(self, fields):
        self._check_cookie(fields, "GetUpdateDecryptionData")
        rows = self._identities(fields, self.decryption_limit, "GetUpdateDecryptionData")
        if any(k not in self.items for k in rows):
            raise Fault("InternalServerError")
        return [("GetUpdateDecryptionDataResult", [("UpdateFileDecryptionData", [("ServerSyncUpdateFileDecryption", [
            ("UpdateId", self._identity(key)), ("FileDecryptionData", [("ServerSyncFileDecryption",
             [("FileDigest", base64.b64encode(d).decode())] + ([("DecryptionKey", base64.b64encode(self.keys[d]).decode())] if d in self.keys else []))
                for d in self.items[key].files])]) for key in rows if self.items[key].files])])]

    def _GetDeployments(self, fields):
        self._check_cookie(fields, "GetDeployments")
        if self.microsoft_update:
            self.wrong("GetDeployments of Microsoft Update")
        before, until = fields.get("deploymentAnchor"), fields.get("syncAnchor", "")
        self._check_anchor(before, "GetDeployments")
        if until not in self.list_anchors[False] or until != list(self.list_anchors[False])[-1] and not self.lenient:
            self.wrong("GetDeployments with a syncAnchor that is not the last of the list of updates:", until)
        low, high = self._moment(before, "deploymentAnchor") if before else 0, self._moment(until, "syncAnchor")
        rows = [(g, d) for g, d in self.deployments.items() if low < d["since"] <= high]
        self.deployment_anchors.append(until)
        return [("GetDeploymentsResult", [
            ("Anchor", until),
            ("Groups", [("ServerSyncTargetGroup", [("TargetGroupID", i), ("ParentGroupId", parent), ("Name", name), ("IsBuiltin", word(builtin))])
                        for i, (name, parent, builtin, _) in self.groups.items()]),
            ("Deployments", [("ServerSyncDeployment", [
                ("UpdateId", d["key"][0]), ("RevisionNumber", str(d["key"][1])), ("Action", str(d["action"])), ("AdminName", d["admin"]),
                ("Deadline", d["deadline"]), ("IsAssigned", word(d["assigned"])), ("GoLiveTime", d["go_live"]), ("DeploymentGuid", g),
                ("TargetGroupId", d["group"]), ("DownloadPriority", str(d["priority"]))]) for g, d in rows]),
            ("DeadDeployments", [("guid", g) for g, since in self.dead.items() if low < since <= high]),
            ("HiddenUpdates", [("guid", u) for u in sorted(self.hidden)]),
            ("AcceptedEulas", [("guid", u) for u in sorted(self.eulas)])])]

    def _DownloadFiles(self, fields):
        self._check_cookie(fields, "DownloadFiles")
        digests = [base64.b64decode(d) for d in fields["fileDigestList"]["base64Binary"]]
        if self.microsoft_update:
            self.wrong("DownloadFiles of Microsoft Update")
        if len(digests) > 100:
            self.wrong("DownloadFiles of", len(digests), "digests")
            raise Fault("InvalidParameters", "fileDigestList")
        known = {d for i in self.items.values() for d in i.files}
        unknown = [d for d in digests if d not in known]
        if unknown:
            self.wrong("DownloadFiles of digests that nobody told:", unknown[:2])
            raise Fault("FileDigestsMissing", "|".join(base64.b64encode(d).decode() for d in unknown))
        for d in digests:
            if d in self.content:
                self.wrong("DownloadFiles of a file that is here:", d.hex())
            self.wanted.append(d)
            if d in self.obtains:
                self.content[d] = self.obtains[d]
        return []

    def _GetRelatedRevisionsForUpdates(self, fields):
        self.wrong("GetRelatedRevisionsForUpdates was called (RELATED-03)")
        return [("GetRelatedRevisionsForUpdatesResult", [])]

    # ---- files ----

    def _file(self, path):
        """(status, bytes)"""
        if path in self.elsewhere:
            return 200, self.elsewhere[path]
        found = re.fullmatch(r"/Content/([0-9A-F]{2})/(.+)", path, re.I)
        if not found:
            return 404, b""
        name = urllib.parse.unquote(found[2])
        if "." not in name:
            return 403, b""
        digest = next((d for d in self.content if d.hex().upper()[-2:] == found[1].upper() and name.upper().startswith(d.hex().upper() + ".")), None)
        return (200, self.content[digest]) if digest else (404, b"")

    def _get(self, handler):
        mood = self._rule("content")
        if mood.get("before"):
            mood["before"](None)
        with self.lock:
            status, body = self._file(urllib.parse.urlsplit(handler.path).path)
            if handler.path.startswith("/Content/") and self.catalog_only:
                self.wrong("a file of a server that has none:", handler.path)
        headers = {"Content-Type": "application/octet-stream", "Server": "Microsoft-IIS/10.0"}
        if status == 200:
            headers.update({"Accept-Ranges": "bytes", "ETag": f'"{hashlib.md5(body).hexdigest()}:0"', "Last-Modified": "Fri, 01 Jan 2021 00:00:00 GMT"})
        asked = handler.headers.get("Range")
        if mood.get("change"):
            body = mood["change"](body)
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
        if status == 200 and found:
            first, last = int(found[1]), min(int(found[2] or len(body)), len(body) - 1)
            if first >= len(body):
                status, headers["Content-Range"], body = 416, f"bytes */{len(body)}", b""
            else:
                headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
                status, body = 206, body[first:last + 1]
        if mood.get("status"):
            status, body = mood["status"], mood.get("body", b"<html>no</html>")
        headers.update(mood.get("headers", {}))
        with self.lock:
            self.gets.append((handler.path, asked, status))
        self._send(handler, status, headers, body, mood, mood.get("form") or Form(framing=self.form.framing))
        if mood.get("after"):
            mood["after"](None)


def word(value):
    return "true" if value else "false"


# ---- certificates ----

class Authority:
    """A certificate authority of the test's own, and what it signs."""

    def __init__(self, name="Test Root", folder=None):
        self.folder = pathlib.Path(folder) if folder else harness.temporary() / "ca"
        self.folder.mkdir(exist_ok=True)
        self.file, self.key = self.folder / "ca.crt", self.folder / "ca.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                      f"/CN={name}", "-keyout", self.key, "-out", self.file, "-addext", "basicConstraints=critical,CA:TRUE",
                      "-addext", "keyUsage=critical,keyCertSign")

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def issue(self, name, names=("DNS:localhost", "IP:127.0.0.1"), days=20):
        """(certificate, key) files."""
        crt, key, csr = (self.folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
        (self.folder / "ext").write_text(f"subjectAltName={','.join(names)}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", csr)
        self._openssl("x509", "-req", "-in", csr, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-days", str(days),
                      "-extfile", self.folder / "ext", "-out", crt)
        return crt, key

    def context(self, name="parent", client_authority=None, **kw):
        """For Parent(tls=...)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, **kw))
        if client_authority:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_authority.file)
        return context

    def fingerprint(self):
        der = ssl.PEM_cert_to_DER_cert(self.file.read_text())
        return hashlib.sha256(der).hexdigest()


# ---- small catalogs ----

XMLNS = ('xmlns:upd="http://schemas.microsoft.com/msus/2002/12/Update" xmlns:cat="http://schemas.microsoft.com/msus/2002/12/'
         'UpdateHandlers/Category" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"')


def number(n):
    """An UpdateID that is easy to read."""
    return str(uuid.UUID(int=0x5ca1ab1e << 96 | n))


def document(update, revision=200, kind="Software", title=None, categories=(), members=(), files=(), eula=None, size=0, category_type=None,
             attributes="", offered=True):
    """A document of no more than it needs.  files: (name, bytes, more attributes); size: about so many characters."""
    clauses = "".join(f'<upd:AtLeastOne IsCategory="true"><upd:UpdateIdentity UpdateID="{c}" /></upd:AtLeastOne>' for c in categories)
    bundled = "".join(f'<upd:AtLeastOne><upd:UpdateIdentity UpdateID="{u}" RevisionNumber="{r}" /></upd:AtLeastOne>' for u, r in members)
    relations = (f"<upd:Prerequisites>{clauses}</upd:Prerequisites>" if clauses else "") + (
        f"<upd:BundledUpdates>{bundled}</upd:BundledUpdates>" if bundled else "")
    rows = "".join(
        f'<upd:File Digest="{base64.b64encode(hashlib.sha1(body).digest()).decode()}" DigestAlgorithm="SHA1" FileName="{name}" '
        f'Size="{len(body)}" Modified="2021-01-01T00:00:00Z"{more}><upd:AdditionalDigest Algorithm="SHA256">'
        f'{base64.b64encode(hashlib.sha256(body).digest()).decode()}</upd:AdditionalDigest></upd:File>' for name, body, more in files)
    text = "ä€ " * (size // 3)
    more = (' ExplicitlyDeployable="true"' if offered and kind not in CONFIGURATION else "") + (f' EulaID="{eula}"' if eula else "")
    handler = (f'<upd:HandlerSpecificData xsi:type="cat:Category"><cat:CategoryInformation CategoryType="{category_type or "Product"}" '
               'ProhibitsSubcategories="true" /></upd:HandlerSpecificData>' if kind == "Category" else "")
    return (f'<upd:Update {XMLNS}><upd:UpdateIdentity UpdateID="{update}" RevisionNumber="{revision}" /><upd:Properties UpdateType="{kind}" '
            f'DefaultPropertiesLanguage="en" CreationDate="2021-01-01T00:00:00Z"{more}{attributes} />'
            '<upd:LocalizedPropertiesCollection><upd:LocalizedProperties><upd:Language>en</upd:Language>'
            f"<upd:Title>{title or f'{kind} {update[-4:]}'}</upd:Title>{f'<upd:Description>{text}</upd:Description>' if text else ''}"
            "</upd:LocalizedProperties></upd:LocalizedPropertiesCollection>"
            f"{f'<upd:Relationships>{relations}</upd:Relationships>' if relations else ''}{f'<upd:Files>{rows}</upd:Files>' if rows else ''}"
            f"{handler}</upd:Update>")


PRODUCT, CLASSIFICATION = number(1), number(2)


def small_catalog(updates=3, **kw):
    """A product, a classification and some updates of them."""
    rows = [document(PRODUCT, 1, "Category", "Small Product", category_type="Product"),
            document(CLASSIFICATION, 1, "Category", "Small Updates", category_type="UpdateClassification")]
    rows += [document(number(100 + i), 200, categories=(PRODUCT, CLASSIFICATION), **kw) for i in range(updates)]
    return {Document(t).key: t for t in rows}
