"""test_dropin.py -- our servers in an nginx that has a site of its own: both answer, neither notices the other."""
import contextlib
import http.client
import json
import os
import pwd
import re
import signal
import ssl
import unittest
import urllib.request

from harness import AUTH, SOAP, children, free_ports, run, wait_for
from installed import Beside

# What another site may well have: names like ours.
OTHER = """
map $uri $fault_id {{ default theirs; }}
map $uri $logged_id {{ default theirs; }}
log_format wsus_other '$fault_id $logged_id $uri';
limit_conn_zone $binary_remote_addr zone=peer:1m;
server {{
	listen 127.0.0.1:{port} default_server;
	location / {{ return 200 "the other site $fault_id\\n"; }}
}}
"""


@unittest.skipUnless(os.geteuid() == 0, "only root can start nginx for another user")
class DropIn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.other, = free_ports(1)
        cls.here = Beside("set_real_ip_from 127.0.0.1;\nreal_ip_header X-Peer;\n" + OTHER.format(port=cls.other))
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        for service in ("auth", "client", "content", "reporting", "serversync"):
            cls.stack.enter_context(cls.here.service(service))
        cls.tested = cls.stack.enter_context(cls.here.served())

    def setUp(self):
        self.assertEqual(self.tested.returncode, 0, self.tested.stderr)

    def get(self, port, path, headers=()):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=dict(headers))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as e:
            return e.code, dict(e.headers), e.read()

    def test_nginx_says_nothing_against_it(self):
        said = [line for line in self.tested.stderr.splitlines() if "syntax is ok" not in line and "test is successful" not in line]
        self.assertEqual(said, [])

    def test_the_other_site_keeps_its_own(self):
        status, headers, body = self.get(self.other, "/x", {"Accept-Encoding": "gzip"})
        self.assertEqual((status, headers["Content-Encoding"]), (200, "gzip"))
        self.assertIn(b"the other site theirs", self.get(self.other, "/x")[2])
        self.assertIn("GET /x", (self.here.root / "access.log").read_text())

    def test_a_scan_passes_and_is_in_our_log(self):
        done = run(self.here.root / "usr/bin/wsus-probe", f"https://127.0.0.1:{self.here.tls_port}", "--ca", self.here.etc / "tls/ca.crt",
                   check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(self.here.log("client"), r" op=SyncUpdates rc=0 status=200 ")
        self.assertEqual(self.get(self.here.port, "/ClientWebService/client.asmx")[0], 405)
        log = self.here.root / "var/log/wsus-fcgi/access.log"
        self.assertEqual(log.stat().st_mode & 0o777, 0o640)
        wait_for(lambda: " status=405 " in log.read_text(), 5)  # nginx answers first and writes then
        log = log.read_text()
        self.assertRegex(log, r' status=405 .* request="GET /ClientWebService/client.asmx HTTP/1.[01]"')
        self.assertNotIn('"POST ', log)  # what a service answered is in its own log alone
        self.assertNotIn("asmx", (self.here.root / "access.log").read_text())

    def test_by_default_private_networks_may_come_and_the_internet_may_not(self):
        for peer, status in (("10.1.2.3", 405), ("172.31.0.1", 405), ("192.168.9.9", 405), ("fd00::7", 405), ("fe80::7", 405), ("127.9.9.9", 405),
                             ("203.0.113.7", 403), ("100.64.0.1", 403), ("172.32.0.1", 403), ("2001:db8::7", 403)):
            self.assertEqual(self.get(self.here.port, "/ClientWebService/client.asmx", {"X-Peer": peer})[0], status, peer)
        log = (self.here.root / "var/log/wsus-fcgi/access.log").read_text()
        self.assertIn('do="if it is yours: add 2001:db8::7 or its network to clients.networks in wsus.conf, then run wsus-setup"', log)

    def begin(self, connection, peer):
        """The status of one GetAuthorizationCookie."""
        body = (f'<s:Envelope xmlns:s="{SOAP}"><s:Body><GetAuthorizationCookie xmlns="{AUTH}"><clientId>a</clientId><dnsName>a</dnsName>'
                "</GetAuthorizationCookie></s:Body></s:Envelope>")
        connection.request("POST", "/SimpleAuthWebService/SimpleAuth.asmx", body, {"X-Peer": peer, "Content-Type": "text/xml; charset=utf-8"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def test_an_ipv6_network_of_64_bits_counts_as_one_address(self):
        def put(admission, rate):
            before = set(children(self.master()))
            self.here.set(**{"clients.admission": admission, "clients.rate-registrations": rate})
            self.here.setup()
            wait_for(lambda: not before & set(children(self.master())), what="workers that know it")
        self.addCleanup(put, None, None)
        put("open", "1")
        connection = http.client.HTTPConnection("127.0.0.1", self.here.port, timeout=30)
        with contextlib.closing(connection):
            for peer, same, other in (("2001:db8:1:2::1", ("2001:db8:1:2:ffff::9", "2001:db8:1:2:3:4:5:6"), ("2001:db8:1:3::1", "2001:db8:1:20::1")),
                                      ("2001:db8:7::1", ("2001:db8:7::9",), ("2001:db8:7:1::9", "2001:db8:8::1"))):
                statuses = {self.begin(connection, peer) for _ in range(2001)}
                self.assertIn(200, statuses)
                for _ in range(3):  # a minute may have passed
                    self.begin(connection, peer)
                self.assertEqual({self.begin(connection, p) for p in same}, {500}, peer)
                self.assertEqual({self.begin(connection, p) for p in other}, {200}, peer)

    def from_elsewhere(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.here.port, timeout=30, source_address=("127.0.0.2", 0))
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status

    def test_who_may_come_is_put_in_force_by_wsus_setup_with_a_token_that_root_alone_reads(self):
        def unset():
            self.here.set(**{"clients.admission": None, "clients.networks": None})
            self.here.setup()
            wait_for(lambda: self.from_elsewhere("/") == 404, what="nginx to let in private networks again")
        path = "/ClientWebService/client.asmx"
        self.addCleanup(unset)
        self.here.set(**{"clients.networks": "192.0.2.0/24"})
        self.assertIn("clients.networks: was ", self.here.setup().stderr)
        wait_for(lambda: self.from_elsewhere(path) == 403, what="nginx to close")
        self.assertEqual(self.get(self.here.port, path)[0], 405)  # the machine itself
        self.here.set(**{"clients.admission": "token"})
        self.assertIn("made a token", self.here.setup().stderr)
        token = json.loads(self.here.ctl("client", "token", "--json").stdout)[0]["token"]
        wait_for(lambda: self.from_elsewhere(f"/{token}{path}") == 405, what="nginx to know the token")
        self.assertEqual(self.from_elsewhere(path), 403)
        for file in (self.here.etc / "nginx/admission-http.conf", self.here.state / "keys/client-tokens"):
            self.assertIn(token, file.read_text())
            self.assertEqual(file.stat().st_mode & 0o077, 0, file)
        self.assertNotIn("made a token", self.here.setup().stderr)
        log = (self.here.root / "var/log/wsus-fcgi/access.log").read_text()
        self.assertRegex(log, r' peer=127\.0\.0\.2 status=403 .* why="not in clients\.networks" do="if it is yours: add 127\.0\.0\.2 ')
        self.assertNotIn(token, log)

    def end_soon(self):
        self.here.end_soon()
        os.kill(self.master(), signal.SIGHUP)
        self.await_served()

    def master(self):
        return int((self.here.root / "nginx.pid").read_text())

    def await_served(self):
        """The file is what is served, and no worker of before is left that might answer, too."""
        wait_for(lambda: self.served() == (self.here.etc / "tls/server.crt").read_text() and len(children(self.master())) == 1,
                 what="the certificate")

    def served(self):
        return ssl.get_server_certificate(("127.0.0.1", self.here.tls_port))

    def test_a_certificate_that_ends_soon_is_renewed_by_its_job_and_served(self):
        self.end_soon()
        old = self.served()
        log = self.here.root / "access.log"
        os.chown(log, pwd.getpwnam("www-data").pw_uid, 0)  # as Debian has those of its nginx
        log.chmod(0o640)
        done = self.here.renew()
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertRegex(done.stdout, r"certificate: begins\n\S+ certificate: new server certificate, good until [^:]*: the old one ended on ")
        self.await_served()
        self.assertNotEqual(self.served(), old)
        self.assertIn(b"the other site", self.get(self.other, "/x")[2])
        self.assertRegex(self.here.renew().stdout, r"certificate: nothing to do\n$")

    def test_no_certificate_is_renewed_while_nginx_refuses_another_site(self):
        self.end_soon()
        old = self.served()
        bad = self.here.nginx / "conf.d/bad.conf"
        bad.write_text("nonsense;\n")
        try:
            done = self.here.renew()
        finally:
            bad.unlink()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"certificate: failed: nginx refuses its configuration.*nonsense.*bad\.conf.*run tls\.sh --renew")
        self.assertEqual((self.served(), (self.here.etc / "tls/server.crt").read_text()), (old, old))
        self.assertRegex(self.here.renew().stdout, "certificate: it works again: new server certificate")
        self.await_served()

    def test_content_is_on_the_plain_port_without_compression(self):
        self.assertEqual(self.get(self.here.port, "/ClientWebService/client.asmx")[0], 405)  # loopback alone reaches it
        folder = self.here.state / "content/99"
        folder.mkdir(exist_ok=True)
        (folder / ("0" * 38 + "99")).write_bytes(b"x" * 1000)
        for path in ("/Content/99/" + "0" * 38 + "99.cab", "/content/99/" + "0" * 38 + "99.CAB"):
            status, headers, body = self.get(self.here.port, path, {"Accept-Encoding": "gzip"})
            self.assertEqual((status, headers.get("Content-Encoding"), body), (200, None, b"x" * 1000))

    def test_no_path_is_relative(self):
        for file in (self.here.etc / "nginx").iterdir():
            for path in re.findall(r"^\s*(?:include|alias|access_log|fastcgi_pass|ssl_certificate\w*) (\S+)", file.read_text(), re.M):
                with self.subTest(file=file.name):
                    self.assertRegex(path, r"^(unix:)?/")
