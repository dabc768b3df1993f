"""test_sync_front.py -- how downstream servers reach their two services: paths, what nginx answers itself, the port with
certificates.  What the services say is test_serversync.py's."""
import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import signal
import socket
import ssl
import stat
import unittest

import harness
from harness import Instance, free_ports, run, temporary, wait_for
from installed import Beside
from test_admission import Server, envelope
from test_tls import AUTHORITY, TLS, certificate

SYNC = "http://www.microsoft.com/SoftwareDistribution"
DSS_AUTH = "http://www.microsoft.com/SoftwareDistribution/Server/DssAuthWebService"
SYNC_PATH = "/ServerSyncWebService/ServerSyncWebService.asmx"
AUTH_PATH = "/DssAuthWebService/DssAuthWebService.asmx"
BODY = envelope(SYNC, "GetAuthConfig", "").encode()
STRANGER = b"This server does not serve you; who runs it knows more.\n"


def post(connection, path, body=BODY, action=f"{SYNC}/GetAuthConfig"):
    connection.request("POST", path, body, {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def over_tls(ca, port, client=None, source=None, address="127.0.0.1"):
    """A connection to a TLS port, with NAME.crt and NAME.key of the client if there is one."""
    context = ssl.create_default_context(cafile=str(ca))
    if client:
        context.load_cert_chain(f"{client}.crt", f"{client}.key")
    return http.client.HTTPSConnection(address, port, timeout=30, context=context, source_address=(source, 0) if source else None)


class Routes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("none")
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)

    def reached(self, service, act):
        """What act() gives, and how many requests the service saw of it."""
        before = len(self.server.requests(service))
        answer = act()
        return answer, len(self.server.requests(service)) - before

    # holds: WSUSSS-TRANSPORT-02 WSUSSS-TRANSPORT-04 WSUSSS-TRANSPORT-05
    # partly: WSUSSS-TRANSPORT-01 (Server Sync and DSS Authorization)
    def test_both_services_answer_on_both_ports_in_any_spelling(self):
        spellings = {
            "serversync": (SYNC_PATH, SYNC_PATH.lower(), SYNC_PATH.upper(), "//ServerSyncWebService//serversyncwebservice.asmx", SYNC_PATH + "?x=1"),
            "auth": (AUTH_PATH, "/dssauthWebService/dssauthWebService.asmx", AUTH_PATH.upper(), "//DssAuthWebService//DssAuthWebService.asmx")}
        for service, paths in spellings.items():
            for path in paths:
                for tls in (False, True):
                    with self.subTest(path=path, tls=tls):
                        connection = over_tls(self.server.state / "keys/ca.crt", self.server.tls_port) if tls else self.server.connect()
                        with contextlib.closing(connection):
                            (status, head, body), seen = self.reached(service, lambda: post(connection, path))
                        self.assertEqual(seen, 1)
                        self.assertIn(status, (200, 500))
                        self.assertIn(b"<soap:Envelope ", body)
                        self.assertEqual(head["Content-Type"], "text/xml; charset=utf-8")

    def test_addresses_that_real_servers_have_not_are_404(self):
        for path in ("/serversyncwebservice/ServerSyncProxy.asmx", "/ServerSyncWebService/", "/ServerSyncWebService", AUTH_PATH + "/x",
                     "/x" + SYNC_PATH, "/DssAuthWebService/SimpleAuth.asmx", "/ServerSyncWebService/ServerSyncWebService.asmx.bak"):
            for service in ("serversync", "auth"):
                with contextlib.closing(self.server.connect()) as connection:
                    (status, _, _), seen = self.reached(service, lambda: post(connection, path))
                self.assertEqual((status, seen), (404, 0), path)

    def test_only_post(self):
        for path in (SYNC_PATH, AUTH_PATH.lower()):
            for method in ("GET", "HEAD", "PUT", "DELETE"):
                status, head, _ = self.server.http(method, path)
                self.assertEqual((status, head["allow"]), (405, "POST"), f"{method} {path}")

    def assert_asmx_fault(self, answer, code, kind):
        status, head, body = answer
        self.assertEqual(status, 500)
        self.assertEqual({k.lower(): v for k, v in head.items()}["content-type"], "text/xml; charset=utf-8")
        self.assertTrue(body.startswith(b'<?xml version="1.0" encoding="utf-8"?><soap:Envelope '), body[:80])
        fault = harness.payload(body)
        self.assertEqual((harness.fault_code(body), harness.find(fault, "faultcode")), (code, f"soap:{kind}"))
        self.assertRegex(harness.find(fault, "detail/ID"), r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
        self.assertEqual(harness.find(fault, "detail/Method"), f'"{SYNC}/GetAuthConfig"')
        return fault

    # partly: WSUSSS-FAULT-01 WSUSSS-FAULT-02 (what nginx answers)
    def test_a_body_over_the_limit_is_a_fault_that_names_the_length(self):
        for path in (SYNC_PATH, AUTH_PATH):
            with contextlib.closing(self.server.connect()) as connection:
                fault = self.assert_asmx_fault(post(connection, path, b"x" * ((8 << 20) + 1)), "InvalidParameters", "Client")
            self.assertEqual(harness.find(fault, "detail/Message"), "Content-Length")

    # partly: WSUSSS-TRANSPORT-07 WSUSSS-FAULT-04 (what nginx answers)
    def test_such_a_fault_is_of_the_version_of_the_message(self):
        """As the service would say it: the same element names in the same order."""
        envelope12 = "http://www.w3.org/2003/05/soap-envelope"
        for kind in ("application/soap+xml; charset=utf-8", 'application/soap+xml;action="x"', "Application/SOAP+XML"):
            for path in (SYNC_PATH, AUTH_PATH):
                with contextlib.closing(self.server.connect()) as connection:
                    connection.request("POST", path, b"x" * ((8 << 20) + 1), {"Content-Type": kind})
                    answer = connection.getresponse()
                    body = answer.read()
                self.assertEqual((answer.status, answer.getheader("Content-Type")), (500, "application/soap+xml; charset=utf-8"))
                fault = harness.payload(body)
                self.assertEqual(fault.tag, f"{{{envelope12}}}Fault")
                self.assertEqual(harness.find(fault, "Code/Value"), "soap:Sender")
                self.assertEqual([c.tag for c in fault if harness.local(c) == "Detail"], [f"{{{envelope12}}}Detail", "Detail"])
                self.assertEqual([harness.find(d, "ErrorCode") for d in harness.find_all(fault, "Detail")], ["InvalidParameters"] * 2)
        with contextlib.closing(self.server.connect()) as connection:
            body = f'<e:Envelope xmlns:e="{envelope12}"><e:Body><GetCookie xmlns="{SYNC}"/></e:Body></e:Envelope>'
            connection.request("POST", SYNC_PATH, body, {"Content-Type": "application/soap+xml"})
            answer = connection.getresponse()
            own = harness.payload(answer.read())
        self.assertEqual(answer.getheader("Content-Type"), "application/soap+xml; charset=utf-8")
        names = [[c.tag for c in f.iter() if harness.local(c) not in ("Role", "Method")] for f in (own, fault)]
        self.assertEqual(names[0], names[1])

    def test_a_whole_synchronization_in_parallel_is_slowed_by_nothing(self):
        """250 batches by each of eight, all from one address that is not the machine's own."""
        def batches(n):
            c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60, source_address=("127.0.0.9", 0))
            with contextlib.closing(c):
                return [(s, b"ServerBusy" in b) for s, _, b in (post(c, SYNC_PATH) for _ in range(n))]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = [a for part in pool.map(batches, [250] * 8) for a in part]
        self.assertEqual(len(answers), 2000)
        self.assertEqual({busy for _, busy in answers}, {False})


class Stopped(unittest.TestCase):
    assert_asmx_fault = Routes.assert_asmx_fault

    # partly: WSUSSS-FAULT-01 WSUSSS-FAULT-10 (while a service is down)
    def test_a_service_that_does_not_run_is_a_fault_and_health_and_log_name_it(self):
        with Instance("none") as server:
            os.kill(server.pid("serversync"), signal.SIGTERM)

            def answer():
                with contextlib.closing(server.connect()) as connection:
                    return post(connection, SYNC_PATH)
            wait_for(lambda: b"ServerBusy" in answer()[2], what="the end of the service")
            self.assert_asmx_fault(answer(), "ServerBusy", "Server")
            with contextlib.closing(server.connect()) as connection:
                connection.request("POST", SYNC_PATH, BODY, {"Content-Type": "application/soap+xml"})
                fault = harness.payload(connection.getresponse().read())
            self.assertEqual((harness.find(fault, "Code/Value"), harness.find(fault, "Detail/ErrorCode")), ("soap:Receiver", "ServerBusy"))
            with contextlib.closing(server.connect()) as connection:  # the other service of downstream servers goes on
                self.assertNotIn(b"ServerBusy", post(connection, AUTH_PATH)[2])
            found = server.ctl("health", "--json", check=False).stdout
            self.assertIn("1 of 5 do not answer; serversync: ", found)
            self.assertIn("start wsus-serversync again", found)
            row = server.ctl_json("log", "--service", "nginx", "--faults")[-1]
            self.assertEqual((row["result"], row["why"]), ("ServerBusy", "the service does not run, or ended"))
            self.assertTrue(server.answers())

    def test_its_lines_are_in_the_log(self):
        with Instance("none") as server:
            with contextlib.closing(server.connect()) as connection:
                post(connection, SYNC_PATH)
            rows = wait_for(lambda: server.ctl_json("log", "--service", "serversync"), what="the line")
            self.assertEqual([r["service"] for r in rows], ["serversync"])


class Certificates(unittest.TestCase):
    """downstream.port: who comes with which certificate."""

    @classmethod
    def setUpClass(cls):
        cls.port, = free_ports(1)
        cls.server = Server("clients.networks = 127.0.0.3", "clients.rate = 20", options=["--downstream-port", cls.port])
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        cls.keys = cls.server.state / "keys"
        cls.dir = temporary()
        run(TLS, "--client", cls.server.state, "branch.example.net", cls.dir)
        cls.good = cls.dir / "branch.example.net"
        folder = cls.server.state / "content/99"
        folder.mkdir()
        (folder / ("0" * 38 + "99")).write_bytes(b"a file")

    def ask(self, client=None, path=SYNC_PATH, method="POST", source=None, port=None):
        with contextlib.closing(over_tls(self.keys / "ca.crt", port or self.port, client, source)) as connection:
            if method == "POST":
                status, _, body = post(connection, path)
                return status, body
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def seen(self):
        return {service: len(self.server.requests(service)) for service in ("auth", "client", "serversync", "content")}

    def line(self, act, what):
        """The line of nginx with these words that act() left."""
        before = len(self.server.log().splitlines())
        act()
        return wait_for(lambda: [line for line in self.server.log().splitlines()[before:] if what in line], what=f"a line with {what}")[0]

    def test_a_certificate_of_the_authority_opens_the_services_and_files(self):
        for service, path in (("serversync", SYNC_PATH), ("auth", AUTH_PATH), ("serversync", "//serversyncwebservice/SERVERSYNCWEBSERVICE.asmx")):
            before = self.seen()[service]
            status, body = self.ask(self.good, path)
            self.assertIn(status, (200, 500), body)
            self.assertIn(b"<soap:Envelope ", body)
            self.assertEqual(self.seen()[service], before + 1)
        for path in (f"/Content/99/{'0' * 38}99.cab", f"/content/99/{'0' * 38}99"):
            self.assertEqual(self.ask(self.good, path, "GET"), (200, b"a file"))

    def test_nothing_else_is_there(self):
        for path in (harness.PATHS[harness.CLIENT], harness.PATHS[harness.AUTH], harness.PATHS[harness.REPORT], "/serversyncwebservice/ServerSyncProxy.asmx"):
            self.assertEqual(self.ask(self.good, path)[0], 404, path)
        for path in ("/health", "/metrics", "/SelfUpdate/wuident.cab", "/", "/_content/99/" + "0" * 38 + "99"):
            self.assertEqual(self.ask(self.good, path, "GET")[0], 404, path)

    def bad(self, name, signer, days=90, extensions=("extendedKeyUsage=clientAuth",)):
        return certificate(temporary(), name, signer, days=days, extensions=extensions)

    # partly: WSUSSS-TRANSPORT-33 (our side)
    def test_whoever_has_no_good_certificate_gets_nothing_and_the_log_says_why(self):
        other = certificate(temporary(), "other-ca", extensions=AUTHORITY)
        mine = self.keys / "downstream-ca"
        strangers = (
            (None, "without a certificate"),
            (self.bad("foreign.example.net", other), "(CN=foreign.example.net) that is refused: unable to "),
            (self.bad("expired.example.net", mine, -1), "(CN=expired.example.net) that is refused: certificate has expired"),
            (self.bad("self.example.net", None), "(CN=self.example.net) that is refused: self"),
            (self.bad("server.example.net", mine, extensions=("extendedKeyUsage=serverAuth",)), "refused: unsuitable certificate purpose"),
            (self.keys / "server", "refused: un"),  # our own, which is for servers
            (self.bad('odd" do=x', other), "with a certificate that is refused: "),  # nothing of it is repeated
        )
        for i, (client, why) in enumerate(strangers):
            with self.subTest(why=why):
                source, before = f"127.0.1.{i + 1}", self.seen()
                for path, method in ((SYNC_PATH, "POST"), (f"/Content/99/{'0' * 38}99.cab", "GET")):
                    self.assertEqual(self.ask(client, path, method, source), (403, STRANGER))
                self.assertEqual(self.seen(), before)
                line = wait_for(lambda: self.server.log_of(source), what="a line")[0]
                self.assertIn(why, line)
                self.assertIn("`tls.sh --client` makes", line)
                self.assertIn(" status=403 ", line)

    def test_strangers_cannot_fill_the_log(self):
        for _ in range(40):
            self.assertEqual(self.ask(None, source="127.0.2.1")[0], 403)
        self.assertTrue(1 <= len(self.server.log_of("127.0.2.1")) <= 6)

    def test_the_ordinary_ports_have_nothing_for_downstream_servers_any_more(self):
        for path in (SYNC_PATH, AUTH_PATH.lower(), SYNC_PATH.upper()):
            for tls in (False, True):
                line = self.line(lambda: self.assertEqual(self.server.ask("127.0.0.1", "POST", path, BODY, tls)[0], 404),
                                 'why="downstream servers have a port of their own"')
                self.assertIn(f'do="if it is yours: let it use port {self.port}, with a certificate that `tls.sh --client` makes"', line)
        self.assertEqual(self.server.config("127.0.0.1"), 200)
        self.assertEqual(self.server.config("127.0.0.3", tls=True), 200)

    def test_the_certificate_is_the_gate_and_the_networks_are_not(self):
        self.assertEqual(self.server.config("127.0.0.2", tls=True), 403)
        self.assertIn(self.ask(self.good, source="127.0.0.2")[0], (200, 500))

    def test_rates_hold(self):
        """20 a second: what is over waits, so 41 requests take two seconds."""
        with contextlib.closing(over_tls(self.keys / "ca.crt", self.port, self.good, "127.0.0.7")) as connection:
            begun = os.times().elapsed
            self.assertEqual({b"ServerBusy" in post(connection, SYNC_PATH)[2] for _ in range(41)}, {False})
            self.assertGreater(os.times().elapsed - begun, 1.5)

    def test_files_of_a_certificate(self):
        for suffix, mode in ((".crt", 0o644), (".key", 0o600), (".p12", 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(f"{self.good}{suffix}").st_mode), mode, suffix)
        self.assertEqual(stat.S_IMODE((self.keys / "downstream-ca.key").stat().st_mode), 0o600)
        out = run("openssl", "pkcs12", "-in", f"{self.good}.p12", "-passin", "pass:", "-nodes").stdout
        self.assertIn("friendlyName: branch.example.net", out)
        for word in ("BEGIN CERTIFICATE", "BEGIN PRIVATE KEY"):
            self.assertEqual(out.count(word), 1)
        text = run("openssl", "x509", "-in", f"{self.good}.crt", "-noout", "-text").stdout
        self.assertIn("TLS Web Client Authentication", text)
        self.assertNotIn("TLS Web Server Authentication", text)
        run("openssl", "x509", "-in", f"{self.good}.crt", "-noout", "-checkend", str(86400 * 800))
        run("openssl", "verify", "-CAfile", self.keys / "downstream-ca.crt", "-purpose", "sslclient", f"{self.good}.crt")
        self.assertNotEqual(run("openssl", "verify", "-CAfile", self.keys / "ca.crt", f"{self.good}.crt", check=False).returncode, 0)

    def test_names_that_are_none_and_places_that_are_not_there(self):
        for name in ("../x", "a b", "-x", ".x", "", "a/b"):
            self.assertEqual(run(TLS, "--client", self.server.state, name, self.dir, check=False).returncode, 2, name)
        done = run(TLS, "--client", self.server.state, "x", self.dir / "none", check=False)
        self.assertEqual((done.returncode, "there is no directory" in done.stderr), (1, True))
        self.assertEqual({p.name for p in self.dir.iterdir()}, {f"branch.example.net.{s}" for s in ("crt", "key", "p12")})

    def test_without_the_key_nothing_is_signed_and_no_authority_replaced(self):
        keys = temporary()
        run(TLS, keys, "localhost")
        run(TLS, "--downstream", keys)
        before = (keys / "downstream-ca.crt").read_bytes()
        (keys / "downstream-ca.key").unlink()
        done = run(TLS, "--client", keys, "x", self.dir, check=False)
        self.assertEqual((done.returncode, "put it back" in done.stderr), (1, True))
        run(TLS, "--downstream", keys)
        self.assertEqual((keys / "downstream-ca.crt").read_bytes(), before)

    def test_another_certificate_of_the_server_is_shown_there_too(self):
        before = ssl.get_server_certificate(("127.0.0.1", self.port))
        run(TLS, "--renew", self.server.state, "localhost", "127.0.0.1", "::1", "renewed.example.net")
        wait_for(lambda: ssl.get_server_certificate(("127.0.0.1", self.port)) != before, what="the new certificate")
        self.assertIn(self.ask(self.good)[0], (200, 500))

    def test_it_listens_where_the_others_do(self):
        listening = [(self.server.state / f"nginx/listen-{name}.conf").read_text() for name in ("tls", "downstream")]
        self.assertEqual(listening[1], listening[0].replace(f":{self.server.tls_port} ", f":{self.port} "))
        if "[::1]" in listening[1]:
            with contextlib.closing(over_tls(self.keys / "ca.crt", self.port, self.good, address="::1")) as connection:
                self.assertIn(post(connection, SYNC_PATH)[0], (200, 500))


class Token(unittest.TestCase):
    """With clients.admission = token: downstream servers have no place for one in their addresses."""

    def test_the_certificate_stands_in_for_it_and_no_log_has_it(self):
        port, = free_ports(1)
        server = Server("clients.admission = token", options=["--downstream-port", port])
        server.start()
        self.addCleanup(server.stop)
        where = temporary()
        run(TLS, "--client", server.state, "branch", where)
        token = server.ctl_json("client", "token")[0]["token"]

        def ask(client, path):
            with contextlib.closing(over_tls(server.state / "keys/ca.crt", port, client, "127.0.0.2")) as connection:
                return post(connection, path)[0]
        self.assertIn(ask(where / "branch", SYNC_PATH), (200, 500))
        self.assertEqual(ask(where / "branch", "/nothing"), 404)
        self.assertEqual(ask(None, f"/{token}{SYNC_PATH}"), 403)
        self.assertEqual(ask(where / "branch", f"/{token}{SYNC_PATH}"), 404)
        lines = wait_for(lambda: len(server.log_of("127.0.0.2")) >= 3 and server.log_of("127.0.0.2"), what="the lines")
        self.assertIn('request="POST /nothing HTTP/1.1"', lines[0])
        self.assertNotIn(token, "".join(lines) + server.log("nginx-error"))


class OtherStarts(unittest.TestCase):
    def test_a_new_authority_takes_all_certificates_back(self):
        port, = free_ports(1)
        server = Instance("none", options=["--downstream-port", port])
        server.start()
        self.addCleanup(server.stop)
        where = temporary()

        def status(name):
            with contextlib.closing(over_tls(server.state / "keys/ca.crt", port, where / name)) as connection:
                return post(connection, SYNC_PATH)[0]
        run(TLS, "--client", server.state, "old", where)
        self.assertIn(status("old"), (200, 500))
        server.stop()
        for suffix in ("crt", "key"):
            (server.state / f"keys/downstream-ca.{suffix}").unlink()
        server.start()
        run(TLS, "--client", server.state, "new", where)
        self.assertEqual(status("old"), 403)
        self.assertIn(status("new"), (200, 500))

    def test_an_authority_of_ones_own(self):
        port, = free_ports(1)
        where = temporary()
        ca = certificate(where, "own-ca", extensions=AUTHORITY)
        server = Instance("none", options=["--downstream-port", port, "--downstream-ca", f"{ca}.crt"])
        server.start()
        self.addCleanup(server.stop)
        self.assertFalse((server.state / "keys/downstream-ca.crt").exists())
        client = certificate(where, "client", ca, extensions=("extendedKeyUsage=clientAuth",))
        with contextlib.closing(over_tls(server.state / "keys/ca.crt", port, client)) as connection:
            self.assertIn(post(connection, SYNC_PATH)[0], (200, 500))

    def test_wrong_usage(self):
        for arguments in (["--downstream-port", "0"], ["--downstream-port"], ["--downstream-port", "8531"], ["--downstream-port", "8530"],
                          ["--downstream-port", "9000", "--downstream-ca", "/nonexistent/ca.crt"]):
            done = run(harness.RUN, *arguments, check=False)
            self.assertEqual((done.returncode, "usage: run.sh" in done.stderr), (2, True), arguments)


@unittest.skipUnless(os.geteuid() == 0, "only root can set up a server")
class Installed(unittest.TestCase):
    """By wsus.conf and wsus-setup."""

    @classmethod
    def setUpClass(cls):
        cls.here = Beside()
        cls.plain = cls.here.conf.read_text()
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        for service in ("auth", "serversync"):
            stack.enter_context(cls.here.service(service))
        tested = stack.enter_context(cls.here.served())
        assert tested.returncode == 0, tested.stderr
        cls.tls, cls.nginx = cls.here.etc / "tls", cls.here.etc / "nginx"
        cls.port, = free_ports(1)

    def setUp(self):
        self.addCleanup(self.here.setup)
        self.addCleanup(self.here.conf.write_text, self.plain)

    def status(self, client, port=None):
        with contextlib.closing(over_tls(self.tls / "ca.crt", port or self.port, client)) as connection:
            return post(connection, SYNC_PATH)[0]

    def test_set_up_used_taken_back_and_away(self):
        where = temporary()
        wait_for(lambda: self.status(None, self.here.tls_port) in (200, 500), what="what other tests had changed")
        self.assertFalse((self.tls / "downstream-ca.crt").exists())
        self.here.set(downstream_port=self.port)
        said = self.here.setup().stderr
        self.assertIn(f'downstream.port: was "", is "{self.port}"', said)
        self.assertIn("set up: the authority of downstream servers, nginx's configuration", said)
        self.assertIn(f"ssl_client_certificate {self.nginx}/downstream-ca.crt;", (self.nginx / "downstream.conf").read_text())
        self.assertEqual((self.nginx / "downstream-ca.crt").read_text(), (self.tls / "downstream-ca.crt").read_text())
        run(self.here.libexec / "tls.sh", "--client", self.tls, "old", where)
        wait_for(lambda: self.status(None, self.here.tls_port) == 404, what="the reload")
        self.assertIn(self.status(where / "old"), (200, 500))
        self.assertEqual(self.status(None), 403)
        self.assertIn("all is as", self.here.setup().stderr)
        for suffix in ("crt", "key"):
            (self.tls / f"downstream-ca.{suffix}").unlink()
        run(self.here.libexec / "tls.sh", "--client", self.tls, "new", where)  # makes another authority; nginx was not told
        self.assertIn(self.status(where / "old"), (200, 500))
        self.assertIn("set up: nginx's configuration", self.here.setup().stderr)
        # while workers of before are there, one of them may take any connection
        wait_for(lambda: all(self.status(where / "old") == 403 for _ in range(10)), what="the new authority")
        wait_for(lambda: all(self.status(where / "new") in (200, 500) for _ in range(10)), what="the end of the workers of before")
        self.assertEqual(self.status(where / "old"), 403)
        self.here.set(downstream_port=None)
        self.here.setup()
        self.assertFalse((self.nginx / "listen-downstream.conf").exists())
        wait_for(lambda: self.status(None, self.here.tls_port) != 404, what="the reload")
        wait_for(lambda: not self.listens(), what="the end of the port")

    def listens(self):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port), 10):
            return True
        return False

    def refused(self, **settings):
        before = {p: p.read_bytes() for p in self.nginx.iterdir()}
        self.here.set(**settings)
        done = self.here.setup(check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual({p: p.read_bytes() for p in self.nginx.iterdir()}, before)
        return done.stderr

    def test_what_nginx_refuses_is_undone(self):
        for text, word in ((None, "has no certificate"), ("", "has no certificate"), ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                           "has no certificate"), ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "downstream-ca.crt")):
            file = temporary() / "ca.pem"
            if text is not None:
                file.write_text(text)
            said = self.refused(downstream_port=self.port, **{"downstream.client-ca": file})
            self.assertIn("nginx has what it had before: ", said)
            self.assertIn(word, said)

    def test_of_a_file_with_a_key_nginx_gets_the_certificates_alone(self):
        where = temporary()
        ca = certificate(where, "own-ca", extensions=AUTHORITY)
        both = where / "both.pem"
        both.write_text(pathlib.Path(f"{ca}.key").read_text() + pathlib.Path(f"{ca}.crt").read_text())
        self.here.set(downstream_port=self.port, **{"downstream.client-ca": both})
        self.here.setup()
        self.assertEqual((self.nginx / "downstream-ca.crt").read_text(), pathlib.Path(f"{ca}.crt").read_text())
        client = certificate(where, "client", ca, extensions=("extendedKeyUsage=clientAuth",))
        wait_for(lambda: self.listens() and self.status(client) in (200, 500), what="the reload")

    def test_three_ports_are_three(self):
        said = self.refused(downstream_port=self.here.tls_port)
        self.assertIn("https.port and downstream.port are the same; change one of them", said)
        self.here.conf.write_text(self.plain)
        self.assertIn("http.port and downstream.port are the same", self.refused(downstream_port=self.here.port))


if __name__ == "__main__":
    unittest.main()
