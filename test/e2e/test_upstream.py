"""test_upstream.py -- the way to the server above, as `wsus-sync check` tries it: names, proxies, TLS, logins, forms of answers, faults,
connections that break; against a canned parent of the test's own, and against an instance of ours."""
import base64
import contextlib
import hashlib
import http.client
import http.server
import itertools
import json
import os
import re
import socket
import socketserver
import ssl
import threading
import unittest
import urllib.parse

import harness
import parent as canned
from downstream import AUTH, SYNC
from harness import ROOT, Instance, free_ports, run, temporary
from parent import CODES, Authority, Form, Parent

SYNC_PROGRAM = ROOT / "bin/wsus-sync"
NAME = "child.example.net"
STEPS = ["settings", "name", "connection", "certificate", "login", "GetAuthConfig", "GetAuthorizationCookie", "GetCookie", "GetConfigData"]


class Child:
    """A store whose server never synchronizes, and asks."""

    def __init__(self):
        self.store = temporary() / "store"
        self.store.mkdir()
        run(ROOT / "bin/wsusctl", "--store", self.store, "store", "create")
        run(ROOT / "bin/wsusctl", "--store", self.store, "config", "set", "server.name", NAME)

    def marks(self):
        return {p.name + part: hashlib.sha256(p.read_bytes()).hexdigest() for part in ("catalog", "fleet")
                for p in (self.store / part).glob("data.mdb")}

    def check(self, url, env=None, text=False, **settings):
        """(status, what was said): upstream_ca=... are settings."""
        command = [SYNC_PROGRAM, "check", "--store", self.store, "--set", f"upstream.url={url}"]
        for name, value in settings.items():
            command += ["--set", f"{name.replace('_', '.', 1).replace('_', '-')}={value}"]
        done = run(*command, *([] if text else ["--json"]), check=False, env={**os.environ, **(env or {})})
        return done.returncode, done.stdout if text else json.loads(done.stdout)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.child = Child()

    def good(self, url, **settings):
        status, said = self.child.check(url, **settings)
        self.assertEqual((status, said["ok"], said["failed"]), (0, True, None), said)
        return said

    def bad(self, step, words, url, **settings):
        status, said = self.child.check(url, **settings)
        self.assertEqual((status, said["ok"], said["failed"]), (1, False, step), said)
        self.assertNotIn("configuration", said)
        self.assertFalse(said["steps"][-1]["ok"])
        self.assertEqual(said["steps"][-1]["what"], said["why"])
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, said["why"])
        return said


class Handshake(Case):
    # holds: WSUSSS-DSS-AUTH-02 WSUSSS-DSS-AUTH-03 WSUSSS-DSS-AUTH-05 WSUSSS-DSS-AUTH-06 WSUSSS-AUTHCOOKIE-02 WSUSSS-COOKIE-02 WSUSSS-COOKIE-03 WSUSSS-COOKIE-05 WSUSSS-COOKIE-18 WSUSSS-COOKIE-20 WSUSSS-CONFIGDATA-02
    # WSUSSS-TRANSPORT-12 WSUSSS-TRANSPORT-25 WSUSSS-VERSION-01 WSUSSS-AUTHCONFIG-08
    def test_four_calls_in_the_form_and_order_that_the_protocol_wants(self):
        with Parent() as parent:
            said = self.good(parent.url)
            parent.assert_well_behaved(self)
            self.assertEqual([r.operation for r in parent.calls()], STEPS[5:])
            self.assertEqual([s["step"] for s in said["steps"]], STEPS)
            authorize, cookie, config = parent.calls()[1:]
            self.assertEqual(authorize.fields["accountName"], NAME)
            self.assertRegex(authorize.fields["accountGuid"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
            self.assertEqual(cookie.fields["protocolVersion"], "1.20")
            self.assertNotIn("oldCookie", cookie.fields)
            self.assertNotIn("configAnchor", config.fields)
            self.assertEqual(parent.connections, 1, "connections are kept")
            self.assertEqual(said["configuration"]["version"], "1.20")
            self.assertEqual(said["configuration"]["max_updates"], 100)
            self.assertEqual([l["id"] for l in said["configuration"]["languages"] if l["enabled"]], [1033])

    def test_nothing_is_stored(self):
        before = self.child.marks()
        self.assertEqual(len(before), 2)
        with Parent() as parent:
            self.good(parent.url)
            parent.on("GetConfigData", fault="InternalServerError")
            self.bad("GetConfigData", "InternalServerError", parent.url)
        self.assertEqual(self.child.marks(), before)

    def test_for_people_each_step_is_a_line(self):
        with Parent() as parent:
            status, said = self.child.check(parent.url, text=True)
            self.assertEqual(status, 0)
            self.assertEqual([line.split()[:2] for line in said.splitlines() if not line.startswith(" ")], [[s, "ok"] for s in STEPS + ["done"]])
            parent.on("GetCookie", fault="IncompatibleProtocolVersion")
            status, said = self.child.check(parent.url, text=True)
            self.assertEqual(status, 1)
            self.assertRegex(said.splitlines()[-1], r"^GetCookie +FAILED .*IncompatibleProtocolVersion")
        status, said = self.child.check("", text=True)
        self.assertEqual(status, 2)
        self.assertIn("wsusctl upstream set URL", said)

    # holds: WSUSSS-TRANSPORT-07 (downstream half)
    def test_soap_1_1_unless_configured_otherwise(self):
        for settings, soap in (({}, canned.SOAP11), ({"upstream_soap": "1.1"}, canned.SOAP11), ({"upstream_soap": "1.2"}, canned.SOAP12)):
            with Parent() as parent:
                self.good(parent.url, **settings)
                parent.assert_well_behaved(self)
                self.assertEqual([r.soap for r in parent.calls()], [soap] * 4)

    # holds: WSUSSS-TRANSPORT-22 WSUSSS-TRANSPORT-24 (downstream half)
    def test_packed_answers_are_asked_for(self):
        with Parent() as parent:
            self.good(parent.url)
            self.assertEqual({r.headers["Accept-Encoding"] for r in parent.calls()}, {"xpress, gzip"})

    # holds: WSUSSS-CONFIGDATA-14 (downstream half), WSUSSS-AUTHCONFIG-04 WSUSSS-AUTHCONFIG-05 WSUSSS-AUTHCONFIG-06 (downstream halves)
    def test_any_form_of_answer_says_the_same(self):
        want = None
        for coding, framing in itertools.product((None, "gzip", "xpress"), ("length", "chunked", "close")):
            for how in ({}, {"reverse": True, "extras": True, "inner": "w"}, {"white": True, "prefix": "s", "declaration": False, "order": True}):
                with self.subTest(coding=coding, framing=framing, **how), Parent(form=Form(coding=coding, framing=framing, **how)) as parent:
                    said = self.good(parent.url)
                    parent.assert_well_behaved(self)
                    want = want or said["configuration"]
                    self.assertEqual(said["configuration"], want)

    # holds: WSUSSS-VERSION-05; partly: WSUSSS-VERSION-04 (nothing is reported yet) WSUSSS-VERSION-06 (1.20 is what is spoken)
    def test_a_server_without_a_version_is_an_old_one(self):
        with Parent() as parent:
            parent.on("GetConfigData", change=lambda b: re.sub(rb"<ProtocolVersion>.*?</ProtocolVersion>", b"", b))
            self.assertEqual(self.good(parent.url)["configuration"]["version"], "")
            parent.on("GetConfigData", change=lambda b: re.sub(rb"<ProtocolVersion>.*?</", b"<ProtocolVersion>one</", b))
            self.assertEqual(self.good(parent.url)["configuration"]["version"], "")
            parent.on("GetConfigData", change=lambda b: re.sub(rb"<ProtocolVersion>.*?</", b"<ProtocolVersion>1.8</", b))
            self.assertEqual(self.good(parent.url)["configuration"]["version"], "1.8")

    def test_limits_that_make_no_sense_are_brought_to_some(self):
        for number, want in ((0, 100), (-5, 100), (1, 1), (99, 99), (101, 100), (2147483647, 100)):
            with self.subTest(number=number), Parent() as parent:
                name = b"MaxNumberOfUpdatesPerRequest"
                parent.on("GetConfigData", change=lambda b: re.sub(b"<%s>.*?<" % name, b"<%s>%d<" % (name, number), b))
                self.assertEqual(self.good(parent.url)["configuration"]["max_updates"], want)

    # holds: WSUSSS-DSS-AUTH-07
    def test_another_plug_in_is_refused(self):
        with Parent() as parent:
            parent.on("GetAuthConfig", change=lambda b: b.replace(b"DssTargeting", b"SimpleTargeting"))
            self.bad("GetAuthConfig", "DssTargeting", parent.url)
            parent.on("GetAuthConfig", change=lambda b: re.sub(rb"<AuthPlugInInfo>.*</AuthPlugInInfo>", b"", b))
            self.bad("GetAuthConfig", "DssTargeting", parent.url)
            self.assertEqual([r.operation for r in parent.calls()], ["GetAuthConfig"] * 2)

    def test_the_service_may_be_named_from_the_root_or_in_full(self):
        path = canned.SERVICE_URL.encode()
        for before in ("/", "http://127.0.0.1:{port}/"):
            with Parent() as parent:
                url = before.format(port=parent.port).encode() + path
                parent.on("GetAuthConfig", change=lambda b, url=url: b.replace(path, url))
                self.good(parent.url)
                parent.assert_well_behaved(self)
        with Parent() as parent:
            for url in (b"ftp://x/", b"http://a b/", b"http://user@host/", b""):
                parent.on("GetAuthConfig", change=lambda b, url=url: b.replace(b">" + path, b">" + url))
                with self.subTest(url=url):
                    status, said = self.child.check(parent.url)
                    self.assertEqual(status, 1, said)
            self.assertEqual(parent.calls("GetCookie"), [])

    def test_a_cookie_of_the_past_is_a_matter_of_clocks(self):
        with Parent() as parent:
            parent.cookie_life = -parent.cookie_life
            self.bad("GetCookie", "clocks", parent.url)

    def test_no_cookie_no_configuration(self):
        for operation, what, step in (("GetAuthorizationCookie", rb"<CookieData>.*?</CookieData>", "GetAuthorizationCookie"),
                                      ("GetCookie", rb"<EncryptedData>.*?</EncryptedData>", "GetCookie"),
                                      ("GetConfigData", rb"<GetConfigDataResult>.*</GetConfigDataResult>", "GetConfigData")):
            with self.subTest(operation), Parent() as parent:
                parent.on(operation, change=lambda b, what=what: re.sub(what, b"", b, flags=re.S))
                self.bad(step, "in the answer", parent.url)


class Trouble(Case):
    # holds: WSUSSS-FAULT-05 WSUSSS-FAULT-12 WSUSSS-FAULT-13 WSUSSS-FAULT-15 WSUSSS-FAULT-19
    def test_faults_in_every_form(self):
        for soap, forms in (("1.1", canned.FAULTS), ("1.2", canned.FAULTS12)):
            for form in forms:
                with self.subTest(soap=soap, form=form), Parent() as parent:
                    for code in CODES + ("ConfigChanged", "Strange"):
                        parent.on("GetCookie", fault=code, message="why so", fault_form=form)
                        words = "without ErrorCode" if form == "bare" else [code, "why so"]
                        self.bad("GetCookie", words, parent.url, upstream_soap=soap)
                    self.assertEqual(parent.calls("GetConfigData"), [])

    def test_a_busy_server_is_asked_once_here(self):
        with Parent() as parent:
            parent.on("GetAuthConfig", fault="ServerBusy", times=-1)
            self.bad("GetAuthConfig", "ServerBusy", parent.url)
            self.assertEqual(len(parent.calls()), 1)

    def test_statuses_say_what_to_look_at(self):
        for status, words in ((301, "redirects"), (302, "redirects"), (307, "redirects"), (308, "redirects"), (400, "upstream.certificate"),
                              (403, "refuses"), (404, "update server"), (405, "POST"), (415, "upstream.soap"), (500, "its own log"),
                              (502, "front"), (503, "overloaded"), (504, "too long")):
            with self.subTest(status), Parent() as parent:
                parent.on("GetAuthConfig", status=status, headers={"Location": parent.url + "/elsewhere"})
                self.bad("GetAuthConfig", [f"HTTP {status};", words], parent.url)
                self.assertEqual(len(parent.calls()), 1, "no redirect is followed")
                self.assertEqual(parent.gets, [])

    def test_answers_that_are_cut_are_none(self):
        """At many bytes of headers and body, with each coding and framing, closed or reset."""
        for coding, framing in (("gzip", "length"), ("xpress", "close"), (None, "close"), ("xpress", "chunked")):
            with Parent(form=Form(coding=coding, framing=framing)) as parent:
                self.good(parent.url)
                for cut in [*range(1, 40, 7), *range(40, 1000, 53)]:
                    with self.subTest(coding=coding, framing=framing, cut=cut):
                        parent.on("GetConfigData", cut=cut, reset=cut % 2 == 1)
                        parent.forget_what_was_seen()
                        status, said = self.child.check(parent.url)
                        if status == 0:  # the whole answer was shorter, or a kept connection seemed to have ended before
                            self.assertTrue(cut > 400 or len(parent.calls("GetConfigData")) == 2, cut)
                            continue
                        self.assertEqual((status, said["failed"]), (1, "GetConfigData"), said)
                        self.assertRegex(said["why"], "broke|closed|cut off|ends in the middle|no HTTP|HTTP 0")

    def test_what_is_not_what_it_says(self):
        for headers, words in (({"Content-Encoding": "gzip"}, "not well-formed gzip"), ({"Content-Encoding": "xpress"}, "not well-formed xpress"),
                               ({"Content-Encoding": "br"}, '"br" was not asked for')):
            with self.subTest(words), Parent() as parent:
                parent.on("GetCookie", headers=headers)
                self.bad("GetCookie", words, parent.url)
        for body, words in ((b"<html>", "makes no sense|cut off"), (b"", "cut off"), (b"\xff\xfe<\0", "makes no sense|cut off"),
                            (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "makes no sense|cut off"), (b"<a/>" * 3, "makes no sense|cut off")):
            with self.subTest(body), Parent() as parent:
                parent.answers["GetCookie"] = lambda _, body=body: body
                self.assertRegex(self.bad("GetCookie", "", parent.url)["why"], words)

    def test_a_server_without_a_word(self):
        with Parent() as parent:
            hang = threading.Event()
            self.addCleanup(hang.set)
            parent.on("GetCookie", hang=hang)
            self.bad("GetCookie", "upstream.timeout", parent.url, upstream_timeout=5)

    def test_nobody_there(self):
        port, = free_ports(1)
        self.bad("connection", "running", f"http://127.0.0.1:{port}")
        self.bad("name", "DNS", "http://no-such-host.invalid:8530")
        with socket.socket() as s:  # who answers, but not by HTTP
            s.bind(("127.0.0.1", 0))
            s.listen(5)
            threading.Thread(target=self.answer_nonsense, args=(s,), daemon=True).start()
            status, said = self.child.check(f"http://127.0.0.1:{s.getsockname()[1]}")
            self.assertEqual((status, said["failed"]), (1, "GetAuthConfig"), said)

    @staticmethod
    def answer_nonsense(s):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = s.accept()
                peer.sendall(b"220 mail.example.net ESMTP\r\n")
                peer.close()

    def test_ipv6(self):
        with Parent(host="::1") as parent:
            said = self.good(parent.url)
            self.assertEqual(said["steps"][1]["what"], "::1")


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ca, cls.other = Authority("Test Root"), Authority("Another Root")

    # holds: WSUSSS-TRANSPORT-26
    def test_the_authority_that_is_configured_and_no_other(self):
        with Parent(tls=self.ca.context()) as parent:
            said = self.good(parent.url, upstream_ca=self.ca.file)
            self.assertIn("TLSv1.3", said["steps"][3]["what"])
            shown, = said["certificates"]
            self.assertIn("CN = parent", shown["subject"])
            self.assertIn("CN = Test Root", shown["issuer"])
            self.assertRegex(shown["until"], r"20\d\d GMT$")
            crt = (self.ca.folder / "parent.crt").read_text()
            self.assertEqual(shown["sha256"].lower(), hashlib.sha256(ssl.PEM_cert_to_DER_cert(crt)).hexdigest())
            for settings in ({}, {"upstream_ca": self.other.file}):
                said = self.bad("certificate", "upstream.ca", parent.url, **settings)
                self.assertIn("CN = parent", said["certificates"][0]["subject"], "it shows what was refused")
            self.assertEqual(len(parent.calls()), 4)

    def test_a_certificate_that_ended_or_has_another_name(self):
        with Parent(tls=self.ca.context("old", days=-1)) as parent:
            self.bad("certificate", "expired", parent.url, upstream_ca=self.ca.file)
        with Parent(tls=self.ca.context("elsewhere", names=("DNS:elsewhere.example.net",))) as parent:
            self.bad("certificate", "another name", parent.url, upstream_ca=self.ca.file)

    def pin(self, name):
        key = run("openssl", "x509", "-in", self.ca.folder / f"{name}.crt", "-noout", "-pubkey").stdout
        der = base64.b64decode("".join(key.splitlines()[1:-1]))
        return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()

    def test_a_pin(self):
        with Parent(tls=self.ca.context("pinned")) as parent:
            said = self.good(parent.url, upstream_ca=self.ca.file, upstream_pin=self.pin("pinned"))
            self.assertEqual(said["certificates"][0]["pin"], self.pin("pinned"))
            self.ca.issue("otherwise")
            said = self.bad("certificate", "upstream.pin", parent.url, upstream_ca=self.ca.file, upstream_pin=self.pin("otherwise"))
            self.assertEqual(said["certificates"][0]["pin"], self.pin("pinned"))

    def test_a_fingerprint_of_the_authority(self):
        two = temporary() / "two.pem"
        two.write_text(self.ca.file.read_text() + self.other.file.read_text())
        der = temporary() / "ca.der"
        der.write_bytes(ssl.PEM_cert_to_DER_cert(self.ca.file.read_text()))
        with Parent(tls=self.ca.context()) as parent:
            for text in (self.ca.fingerprint(), self.ca.fingerprint().upper()):
                self.good(parent.url, upstream_ca=self.ca.file, upstream_ca_fingerprint=text)
            self.good(parent.url, upstream_ca=two)
            self.bad("settings", ["upstream.ca-fingerprint", self.ca.fingerprint().upper()], parent.url, upstream_ca=self.ca.file,
                     upstream_ca_fingerprint=self.other.fingerprint())
            self.bad("settings", "exactly one", parent.url, upstream_ca=two, upstream_ca_fingerprint=self.ca.fingerprint())
            self.bad("settings", "openssl x509 -inform der", parent.url, upstream_ca=der)
            self.bad("settings", "upstream.ca: /nowhere/ca.pem", parent.url, upstream_ca="/nowhere/ca.pem")
            self.bad("settings", "names no file", parent.url, upstream_ca_fingerprint=self.ca.fingerprint())

    def test_a_client_certificate(self):
        clients = Authority("Clients")
        crt, key = clients.issue("child", names=("DNS:" + NAME,))
        key.chmod(0o600)
        with Parent(tls=self.ca.context("strict", client_authority=clients)) as parent:
            self.good(parent.url, upstream_ca=self.ca.file, upstream_certificate=crt, upstream_key=key)
            both = temporary() / "both.pem"
            both.write_text(crt.read_text() + key.read_text())
            both.chmod(0o600)
            self.good(parent.url, upstream_ca=self.ca.file, upstream_certificate=both)
            status, said = self.child.check(parent.url, upstream_ca=self.ca.file)
            self.assertEqual(status, 1)
            self.assertIn("certificate", said["why"])
            self.bad("certificate", "belong together", parent.url, upstream_ca=self.ca.file, upstream_certificate=crt,
                     upstream_key=self.secret(self.other.key.read_text()))
            key.chmod(0o644)
            self.bad("settings", f"chmod o= {key}", parent.url, upstream_ca=self.ca.file, upstream_certificate=crt, upstream_key=key)
            self.bad("settings", "upstream.certificate", parent.url, upstream_ca=self.ca.file, upstream_key=key)

    def secret(self, text):
        path = temporary() / "secret"
        path.write_text(text)
        path.chmod(0o600)
        return path

    def test_plain_http_and_tls_taken_for_one_another(self):
        with Parent() as parent:
            self.bad("certificate", "does this port speak TLS", parent.url.replace("http:", "https:"))
        with Parent(tls=self.ca.context()) as parent:
            status, _ = self.child.check(parent.url.replace("https:", "http:"))
            self.assertEqual(status, 1)

    def test_microsoft_wants_its_authority(self):
        with Parent(tls=self.ca.context("update"), microsoft_update=True) as parent:
            said = self.good(parent.url, upstream_kind="microsoft", upstream_ca=self.ca.file, upstream_ca_fingerprint=self.ca.fingerprint())
            parent.assert_well_behaved(self)
            self.assertEqual((said["configuration"]["version"], said["configuration"]["max_updates"], said["configuration"]["max_decryption"],
                              said["configuration"]["catalog_only"]), ("1.21", 100, 100, True))
            self.bad("settings", ["Microsoft Root Certificate Authority 2011", "MicRooCerAut2011_2011_03_22.crt", "openssl x509 -inform der",
                                  "847DF6A78497943F27FC72EB93F9A637320A02B561D0A91B09E87A7807ED7C61"], parent.url, upstream_kind="microsoft")
            self.bad("certificate", "upstream.ca", parent.url, upstream_kind="microsoft", upstream_ca=self.other.file)
            self.bad("settings", "https://", parent.url.replace("https:", "http:"), upstream_kind="microsoft", upstream_ca=self.ca.file)


# ---- logins and proxies ----

class Front(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A server before another: wants a login (scheme: "basic", "digest"), or is a proxy that does (401 or 407)."""
    daemon_threads = True

    def __init__(self, to=None, scheme=None, user="user", password="pass:word", proxy=False):
        self.to, self.scheme, self.user, self.password, self.proxy = to, scheme, user, password, proxy
        self.seen = []  # (method, target, with what login)
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, *_):
        pass

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def admits(self, method, target, sent):
        if not self.scheme:
            return True
        if self.scheme == "basic":
            return sent == "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        fields = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', sent)}
        def md5(*parts):
            return hashlib.md5(":".join(parts).encode()).hexdigest()
        return sent.startswith("Digest ") and fields.get("username") == self.user and fields.get("response") == md5(
            md5(self.user, "there", self.password), "abc", fields.get("nc", ""), fields.get("cnonce", ""), "auth", md5(method, fields.get("uri", "")))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def refuse(self):
        name = "Proxy-Authenticate" if self.server.proxy else "WWW-Authenticate"
        self.send_response(407 if self.server.proxy else 401)
        self.send_header(name, {"basic": 'Basic realm="there"', "digest": 'Digest realm="there", nonce="abc", qop="auth", algorithm=MD5'}[self.server.scheme])
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"login")

    def admitted(self):
        sent = self.headers.get("Proxy-Authorization" if self.server.proxy else "Authorization", "")
        self.server.seen.append((self.command, self.path, sent.split(" ")[0]))
        return self.server.admits(self.command, self.path, sent)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.admitted():
            return self.refuse()
        to = urllib.parse.urlsplit(self.path if self.server.proxy else self.server.to + self.path)
        with contextlib.closing(http.client.HTTPConnection(to.hostname, to.port)) as connection:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("proxy-authorization", "authorization", "proxy-connection", "host")}
            connection.request("POST", to.path, body, {**headers, "Host": to.netloc})
            answer = connection.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        return None

    def do_CONNECT(self):
        if not self.admitted():
            return self.refuse()
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as other:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            other.settimeout(20)
            back = threading.Thread(target=self.pump, args=(other, self.connection), daemon=True)
            back.start()
            self.pump(self.connection, other)
            back.join()
        self.close_connection = True
        return None

    @staticmethod
    def pump(from_, to):
        with contextlib.suppress(OSError):
            while data := from_.recv(65536):
                to.sendall(data)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)


class Logins(Case):
    def file(self, text, mode=0o600):
        path = temporary() / "login"
        path.write_text(text)
        path.chmod(mode)
        return path

    # holds: WSUSSS-TRANSPORT-27
    def test_basic_and_digest(self):
        login = self.file("user:pass:word\n# the rest is nobody's\n")
        for scheme in ("basic", "digest"):
            with self.subTest(scheme), Parent() as parent, Front(parent.url, scheme) as front:
                said = self.good(front.url, upstream_login=login)
                self.assertIn(f"by {scheme}", said["steps"][4]["what"])
                self.assertEqual({row[2].lower() for row in front.seen if row[2]}, {scheme})
                self.bad("login", "upstream.login", front.url)
                self.bad("login", "upstream.login", front.url, upstream_login=self.file("user:wrong\n"))
                self.assertEqual(len(parent.calls()), 4)

    def test_a_login_that_nobody_asks_for_stays_here(self):
        with Parent() as parent:
            said = self.good(parent.url, upstream_login=self.file("user:secret"))
            self.assertIn("upstream.login is not used", said["steps"][4]["what"])
            self.assertEqual([r for r in parent.calls() if "Authorization" in r.headers], [])

    def test_files_that_will_not_do(self):
        with Parent() as parent:
            for text, mode, words in (("user:pass", 0o644, "chmod o="), ("user:pass", 0o601, "chmod o="), ("user", 0o600, "USER:PASSWORD"),
                                      (":pass", 0o600, "USER:PASSWORD"), ("", 0o600, "USER:PASSWORD")):
                for setting in ("upstream_login", "upstream_proxy_login"):
                    self.bad("settings", [words, setting.replace("_", ".", 1).replace("_", "-") + ":"], parent.url, **{setting: self.file(text, mode)})
            self.bad("settings", "cannot be read", parent.url, upstream_login="/nowhere/login")
            self.assertEqual(parent.connections, 0)
            self.good(parent.url, upstream_login=self.file("user:pass", 0o640))

    def test_no_secret_is_ever_said(self):
        login = self.file("user:hidden-word\n")
        with Parent() as parent, Front(parent.url, "basic") as front:
            for text in (False, True):
                _, said = self.child.check(front.url, text=text, upstream_login=login)
                self.assertNotIn("hidden-word", str(said))

    def test_a_proxy(self):
        ca = Authority("Behind")
        login = self.file("user:pass:word")
        for scheme in (None, "basic", "digest"):
            with self.subTest(scheme), Parent() as plain, Parent(tls=ca.context()) as tls, Front(scheme=scheme, proxy=True) as proxy:
                more = {"upstream_proxy": proxy.url, **({"upstream_proxy_login": login} if scheme else {})}
                said = self.good(plain.url, **more)
                self.assertEqual([s["step"] for s in said["steps"]], STEPS[:2] + ["proxy"] + STEPS[2:])
                self.good(tls.url, upstream_ca=ca.file, **more)
                plain.assert_well_behaved(self)
                tls.assert_well_behaved(self)
                self.assertEqual({m for m, _, _ in proxy.seen}, {"POST", "CONNECT"})
                if scheme:
                    for url, settings in ((plain.url, {}), (tls.url, {"upstream_ca": ca.file})):
                        self.bad("proxy", "upstream.proxy-login", url, upstream_proxy=proxy.url, **settings)
                        self.bad("proxy", "upstream.proxy-login", url, upstream_proxy=proxy.url,
                                 upstream_proxy_login=self.file("user:wrong"), **settings)
                self.assertEqual([r for p in (plain, tls) for r in p.calls() if "Proxy-Authorization" in r.headers], [])

    def test_a_proxy_that_is_not_there(self):
        port, = free_ports(1)
        with Parent() as parent:
            self.bad("proxy", "upstream.proxy", parent.url, upstream_proxy=f"http://127.0.0.1:{port}")
            self.bad("proxy", "upstream.proxy", parent.url, upstream_proxy="http://no-such-host.invalid:3128")
            self.assertEqual(parent.connections, 0)

    def test_the_environment_names_no_proxy(self):
        port, = free_ports(1)
        elsewhere = f"http://127.0.0.1:{port}"
        with Parent() as parent, Front(proxy=True) as proxy:
            self.good(parent.url, env={"http_proxy": elsewhere, "all_proxy": elsewhere, "HTTPS_PROXY": elsewhere})
            self.good(parent.url, env={"no_proxy": "*", "NO_PROXY": "127.0.0.1"}, upstream_proxy=proxy.url)
            self.assertEqual(len(proxy.seen), 4)


# ---- one of ours above ----

class Ours(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.port, = free_ports(1)
        cls.server = Instance("none", options=["--downstream-port", cls.port])
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        cls.ca = cls.server.state / "keys/ca.crt"
        cls.dir = temporary()
        run(ROOT / "scripts/tls.sh", "--client", cls.server.state, NAME, cls.dir)
        (cls.dir / f"{NAME}.key").chmod(0o600)

    def with_certificate(self):
        return {"upstream_ca": self.ca, "upstream_certificate": self.dir / f"{NAME}.crt", "upstream_key": self.dir / f"{NAME}.key"}

    def test_who_is_not_approved_learns_which_command_to_type_there(self):
        url = f"https://localhost:{self.port}"
        self.server.ctl("downstream", "delete", NAME, check=False)
        said = self.bad("GetAuthorizationCookie", f"wsusctl downstream approve {NAME}", url, **self.with_certificate())
        command = re.search(r"type: wsusctl (\S+ \S+ \S+)", said["why"]).group(1)
        self.server.ctl(*command.split())
        for soap in ("1.1", "1.2"):
            said = self.good(url, upstream_soap=soap, **self.with_certificate())
            self.assertEqual((said["configuration"]["version"], len(said["configuration"]["languages"])), ("1.20", 39))
        self.server.ctl("downstream", "block", NAME)
        self.bad("GetAuthorizationCookie", ["has blocked", f"wsusctl downstream approve {NAME}"], url, **self.with_certificate())

    def test_the_port_for_downstream_servers_wants_a_certificate(self):
        self.bad("GetAuthConfig", ["HTTP 403", "upstream.certificate"], f"https://localhost:{self.port}", upstream_ca=self.ca)

    def test_by_ipv6_and_with_the_wrong_authority(self):
        self.server.ctl("downstream", "approve", NAME, check=False)
        self.bad("GetAuthConfig", "port", f"https://[::1]:{self.server.tls_port}", upstream_ca=self.ca)
        self.bad("certificate", "upstream.ca", f"https://localhost:{self.port}", **{**self.with_certificate(), "upstream_ca": Authority("Wrong").file})


if __name__ == "__main__":
    unittest.main()
