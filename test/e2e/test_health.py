"""test_health.py -- wsusctl health and status on a real server, well and in each of its troubles."""
import contextlib
import datetime
import json
import math
import os
import re
import signal
import socket
import ssl
import threading
import time
import unittest
import urllib.request

import harness
from harness import ROOT, run, temporary
from installed import Beside

NAMES = ("localhost", "127.0.0.1")


def exposition(text):
    """The samples of Prometheus' text format as {(name, label, value): number}.  Strict: a family is HELP, TYPE and its
    samples, together and once; every sample is of a family; no series is there twice."""
    shown, families, family = {}, {}, None
    assert text.endswith("\n") and "\r" not in text, "lines end with a line feed, the last one, too"
    for line in text[:-1].split("\n"):
        if said := re.fullmatch(r"# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)", line):
            assert said[1] not in families, f"{said[1]} begins twice"
            assert re.fullmatch(r"([^\\]|\\\\|\\n)+", said[2]), f"an escape that is none: {line}"
            family, families[said[1]] = said[1], None
        elif said := re.fullmatch(r"# TYPE (\S+) (counter|gauge|histogram|summary|untyped)", line):
            assert said[1] == family and families[family] is None, f"out of place: {line}"
            families[family] = said[2]
        else:
            said = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"\})? (\S+)', line)
            assert said and said[1] == family and families[family], f"no sample of {family}: {line}"
            key = said.group(1, 2, 3)
            assert key not in shown, f"twice: {line}"
            assert math.isfinite(float(said[4])), line
            shown[key] = float(said[4])
    assert {name for name, _, _ in shown} == set(families), "a family without a sample"
    assert all(name.startswith("wsus_") for name in families)
    return shown


class Server(unittest.TestCase):
    catalog = "none"

    @classmethod
    def setUpClass(cls):
        cls.server = harness.Instance(catalog=cls.catalog)
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        cls.keys = cls.server.state / "keys"

    def health(self, *more, url=None):
        """(exit status, output) of one check."""
        done = self.server.ctl("health", "--url", url or f"https://localhost:{self.server.tls_port}", *more, check=False)
        return done.returncode, done.stdout + done.stderr

    def finding(self, check, *more, url=None):
        _, text = self.health("--json", *more, url=url)
        return next(row for row in json.loads(text)["checks"] if row["check"] == check)

    def assert_level(self, check, level, words, *more, url=None):
        row = self.finding(check, *more, url=url)
        self.assertEqual(row["level"], level, row)
        self.assertIn(words, row["what"])
        self.assertEqual(row["remedy"] is None, level == "OK", row)


class Well(Server):
    def test_all_is_well(self):
        status, text = self.health()
        self.assertEqual(status, 0, text)
        lines = text.splitlines()
        self.assertEqual(lines[0], "WSUS OK - 15 checks")
        self.assertEqual(len(lines), 16)
        for line in lines[1:]:
            self.assertRegex(line, r"^OK       [a-z]+: .+$")
        self.assertIn("scan: https://localhost:", text)
        self.assertIn("services: 5 of 5 answer", text)
        self.assertIn("sync: no server above is set", text)
        self.assertEqual(self.finding("certificate")["level"], "OK")

    def test_its_scans_leave_no_computer(self):
        self.health()
        self.assertEqual(self.server.ctl_json("computer", "list"), [])
        requests = [r for r in self.server.requests() if "6865616c7468" in r.get("client", "")]
        self.assertIn("RegisterComputer", {r["op"] for r in requests})
        self.assertEqual({r["status"] for r in requests}, {"200"})

    def test_an_authority_that_did_not_sign_it(self):
        other = temporary()
        run(ROOT / "scripts/tls.sh", other, *NAMES)
        status, text = self.health("--ca", other / "ca.crt")
        self.assertEqual(status, 2, text)
        self.assertRegex(text.splitlines()[0], "^WSUS CRITICAL - scan: .*certificate")

    def test_a_disk_that_is_nearly_full(self):
        status, text = self.health("--limit", "disk-warn=101")
        self.assertEqual((status, text.split(":")[0]), (1, "WSUS WARNING - disk"))
        self.assertEqual(self.health("--limit", "disk-critical=101")[0], 2)

    # partly: WSUSSS-TIMERS-06 (the run ends and says why)
    def test_a_synchronization_that_failed_is_told_with_what_to_do(self):
        self.addCleanup(self.server.ctl, "config", "set", "upstream.url", "")
        self.server.ctl("config", "set", "upstream.url", "http://127.0.0.1:1")
        done = run(ROOT / "bin/wsus-sync", "run", "--store", self.server.state / "store", "--no-content", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        last = self.server.ctl_json("sync", "history")[0]
        found = self.finding("sync")
        self.assertEqual((found["level"], found["remedy"]), ("WARNING", last["remedy"][:len(found["remedy"])]))
        self.assertIn(f"none succeeded yet with http://127.0.0.1:1; 1 in a row failed: {last['why'][:100]}", found["what"])
        path = temporary() / "wsus.prom"
        self.health("--metrics", path)
        self.assertRegex(path.read_text(), r"(?s)\nwsus_sync_success_timestamp_seconds 0\n.*\nwsus_sync_failed 1\n")

    def test_numbers_for_prometheus(self):
        path = temporary() / "wsus.prom"
        self.assertEqual(self.health("--metrics", path)[0], 0)
        text = path.read_text()
        self.assertEqual(path.stat().st_mode & 0o777, 0o644)
        shown = exposition(text)
        self.assertEqual(shown["wsus_health_level", "check", "scan"], 0)
        self.assertEqual(shown["wsus_computers", None, None], 0)
        self.assertEqual({shown["wsus_service_up", "service", name] for name in ("auth", "client", "content", "reporting", "serversync")}, {1})
        self.assertGreater(shown["wsus_scan_calls", None, None], 2)
        self.assertGreater(shown["wsus_certificate_end_timestamp_seconds", "certificate", "server"], time.time() + 800 * 86400)
        self.assertLess(abs(shown["wsus_check_timestamp_seconds", None, None] - time.time()), 600)
        self.assertEqual(shown["wsus_job_failed", "job", "tick"], 0)
        self.assertNotIn(("wsus_backups", None, None), shown)
        self.assertEqual([p.name for p in path.parent.iterdir()], ["wsus.prom"])

    def test_numbers_that_cannot_be_written(self):
        status, text = self.health("--metrics", temporary() / "none/wsus.prom")
        self.assertEqual(status, 3)
        self.assertIn("UNKNOWN  metrics: not written: ", text)
        self.assertIn("OK       scan: ", text)

    def test_an_instance_is_scanned_where_its_nginx_listens(self):
        done = self.server.ctl("health")
        self.assertIn(f"OK       scan: https://localhost:{self.server.tls_port}: ", done.stdout)

    @unittest.skipUnless(os.geteuid() == 0, "needs another user")
    def test_what_one_may_not_look_at_is_neither_well_nor_ill(self):
        done = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ROOT / "bin/wsusctl", "--store", self.server.state / "store",
                   "health", check=False)
        self.assertEqual(done.returncode, 3, done.stdout)
        for check in ("scan", "authority", "services", "store"):
            self.assertRegex(done.stdout, rf"\nUNKNOWN  {check}: .*Permission denied.* -> run this as root")
        self.assertNotIn("CRITICAL", done.stdout)
        self.assertNotIn("restore", done.stdout)
        done = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ROOT / "bin/wsusctl", "--store", self.server.state / "store",
                   "status", check=False)
        self.assertRegex(done.stderr, "^wsusctl: .*Permission denied.* as root")

    def test_nobody_there(self):
        port, = harness.free_ports(1)
        self.assert_level("scan", "CRITICAL", "is the service running", url=f"https://localhost:{port}")

    def test_plain_http_has_no_certificate(self):
        self.assert_level("certificate", "OK", "plain HTTP", url=f"http://127.0.0.1:{self.server.port}")

    def test_wrong_usage_is_unknown(self):
        for bad in (["--nonsense"], ["--limit", "disk"], ["--limit", "no=1"], ["--url", "localhost"], ["--url", ""]):
            status, text = self.health(*bad)
            self.assertEqual(status, 3, text)
            self.assertRegex(text, "^WSUS UNKNOWN - nothing could be checked: .*" + bad[0])

    def test_a_store_that_is_not_there(self):
        done = run(ROOT / "bin/wsusctl", "--store", temporary(), "health", "--url", "http://127.0.0.1:1", "--json", check=False)
        rows = {r["check"]: r["level"] for r in json.loads(done.stdout)["checks"]}
        self.assertEqual((done.returncode, rows["store"], rows["scan"]), (2, "UNKNOWN", "CRITICAL"))

    def test_the_screen(self):
        text = self.server.ctl("status").stdout
        self.assertLess(len(text.splitlines()), 25)
        self.assertIn("auth answers, client answers, content answers", text)
        rows = self.server.ctl_json("status")
        self.assertEqual(rows["store"], str(self.server.state / "store"))
        self.assertEqual((rows["store_found"], rows["computers"], rows["generation"]), ("--store", 0, 1))
        ends = datetime.datetime.fromisoformat(rows["certificate_ends"].replace("Z", "+00:00"))
        self.assertGreater(ends, datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=300))


class Notify(Server):
    def setUp(self):
        self.place = temporary()
        self.said = self.place / "said"
        self.program = self.place / "tell"
        self.write(f'printf "%s|" "$@" "$WSUS_EVENT" "$WSUS_BEFORE" >>{self.said}; echo >>{self.said}')

    def write(self, line):
        self.program.write_text(f"#!/bin/sh\n{line}\n")
        self.program.chmod(0o755)

    def notify(self, *more):
        return self.health("--notify", "--command", self.program, "--state", self.place / "health.state", *more)

    def lines(self):
        return self.said.read_text().splitlines() if self.said.exists() else []

    def test_once_when_it_begins_and_once_when_it_ends(self):
        self.assertEqual(self.notify()[0], 0)
        self.assertEqual(self.lines(), [])
        for _ in range(2):
            self.assertEqual(self.notify("--limit", "disk-warn=101")[0], 1)
            self.assertEqual(len(self.lines()), 1)
        event, check, level, cause, remedy, *rest = self.lines()[0].split("|")
        self.assertEqual((event, check, level, rest[:2]), ("entered", "disk", "WARNING", ["entered", "OK"]))
        self.assertIn("free", cause)
        self.assertIn("enlarge the disk", remedy)
        for _ in range(2):
            self.assertEqual(self.notify()[0], 0)
            self.assertEqual(len(self.lines()), 2)
        self.assertTrue(self.lines()[1].startswith("left|disk|OK|"))

    def test_a_program_that_fails_is_run_again(self):
        self.write("exit 7")
        status, text = self.notify("--limit", "disk-warn=101")
        self.assertEqual(status, 3)
        self.assertIn("ended with status 7", text)
        self.write(f"echo told >>{self.said}")
        self.assertEqual(self.notify("--limit", "disk-warn=101")[0], 1)
        self.assertEqual(self.lines(), ["told"])

    def test_a_program_that_others_may_write_is_not_run(self):
        self.program.chmod(0o777)
        status, text = self.notify("--limit", "disk-warn=101")
        self.assertEqual(status, 3)
        self.assertIn("may be written by others", text)
        self.assertEqual(self.lines(), [])

    def configured(self, *lines, mode=0o644):
        """One check that finds everything by its configuration file."""
        conf = self.place / "wsus.conf"
        conf.write_text("\n".join((f"store = {self.server.state / 'store'}", f"tls = {self.keys}",
                                   f"url = https://localhost:{self.server.tls_port}", *lines, "")))
        conf.chmod(mode)
        done = run(ROOT / "bin/wsusctl", "health", "--notify", "--state", self.place / "health.state", "--limit", "disk-warn=101", check=False,
                   env={k: v for k, v in os.environ.items() if k != "WSUS_STORE"} | {"WSUS_CONF": str(conf)})
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def test_the_command_of_the_configuration_file_with_its_arguments(self):
        command = f"notify.command = {self.program} --to\toperator@example.net"
        status, text = self.configured()
        self.assertEqual((status, self.lines()), (1, []))
        self.assertIn(f"notify: nobody is told: notify.command is not set in {self.place}/wsus.conf\n", text)
        self.assertIn(f"OK       scan: https://localhost:{self.server.tls_port}: ", text)
        for _ in range(2):  # what was wrong before somebody was named is told, once
            status, text = self.configured(command)
            self.assertEqual(status, 1)
            self.assertIn(f"notify: {self.program} is run when", text)
            self.assertEqual([line.split("|")[:5] for line in self.lines()], [["--to", "operator@example.net", "entered", "disk", "WARNING"]])

    def test_a_configuration_file_that_others_may_write_names_no_program(self):
        for mode in (0o664, 0o646):
            status, text = self.configured(f"notify.command = {self.program}", mode=mode)
            self.assertEqual((status, self.lines()), (3, []))
            self.assertIn(f"UNKNOWN  notify: not everything was told or noted: {self.place}/wsus.conf:4: notify.command is not obeyed", text)
            self.assertIn("WARNING  disk: ", text)

    def test_a_line_of_the_file_that_is_wrong_is_named(self):
        status, text = self.configured("notify.command = tell")
        self.assertEqual(status, 3)
        self.assertIn(f"{self.place}/wsus.conf:4: notify.command takes an absolute path", text)

    def test_growth_is_noted(self):
        self.notify()
        text = (self.place / "health.state").read_text()
        self.assertEqual(len([w for w in text.splitlines() if w.startswith("growth ")]), 1)


class Certificates(Server):
    def make(self, *options, names="DNS:localhost,IP:127.0.0.1", subject="test", use="serverAuth"):
        """Another server certificate of the same authority, of which nginx has not heard."""
        work = temporary()
        (work / "ext").write_text(f"extendedKeyUsage={use}\n" + (f"subjectAltName={names}\n" if names else ""))
        run("openssl", "req", "-new", "-key", self.keys / "server.key", "-subj", f"/CN={subject}", "-out", work / "csr")
        run("openssl", "x509", "-req", "-in", work / "csr", "-CA", self.keys / "ca.crt", "-CAkey", self.keys / "ca.key",
            "-extfile", work / "ext", *options, "-out", self.keys / "server.crt")

    def replace(self, *options, **kw):
        """nginx shows another one from here on."""
        self.make(*options, **kw)
        os.kill(self.server.pid("nginx"), signal.SIGHUP)
        mine = (self.keys / "server.crt").read_text().strip()
        harness.wait_for(lambda: mine in run("openssl", "s_client", "-connect", f"127.0.0.1:{self.server.tls_port}",
                                             check=False).stdout, what="the other certificate")

    @contextlib.contextmanager
    def shown(self):
        """The certificate in a handshake of a server that is less strict than Debian's nginx, which refuses to start with
        a weak one; gives its address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(self.keys / "server.crt", self.keys / "server.key")
        with socket.create_server(("127.0.0.1", 0)) as listening:
            def serve():
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = listening.accept()
                        with connection, contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
                            pass
            server = threading.Thread(target=serve)
            server.start()
            try:
                yield f"https://localhost:{listening.getsockname()[1]}"
            finally:
                listening.shutdown(socket.SHUT_RDWR)
                server.join()

    def test_one_that_has_ended(self):
        self.replace("-days", "-1")
        self.assert_level("scan", "CRITICAL", "expired")
        self.assert_level("certificate", "CRITICAL", "it has ended")

    def test_one_that_ends_soon(self):
        self.replace("-days", "10")
        self.assert_level("scan", "OK", "calls")
        self.assert_level("certificate", "WARNING", "days left")
        self.replace("-days", "3")
        self.assert_level("certificate", "CRITICAL", "days left")

    def test_one_for_another_name(self):
        self.replace("-days", "400", names="DNS:elsewhere.example.net")
        self.assert_level("scan", "CRITICAL", "for another name")
        self.assert_level("certificate", "OK", "days left")

    def test_one_that_is_signed_with_sha_1(self):
        self.make("-days", "400", "-sha1")
        with self.shown() as url:
            self.assert_level("scan", "CRITICAL", "less than SHA-256", url=url)
            self.assert_level("certificate", "CRITICAL", "less than SHA-256", url=url)

    def test_one_that_is_not_for_servers(self):
        self.replace("-days", "400", use="clientAuth")
        self.assert_level("scan", "CRITICAL", "not for servers")

    def test_one_without_names_is_for_its_subject(self):
        """As Windows takes it, and as nobody should rely on: health says nothing, tls.sh --show does."""
        self.replace("-days", "400", names="", subject="localhost")
        self.assert_level("scan", "OK", "calls", url=f"https://localhost:{self.server.tls_port}")
        self.assert_level("scan", "CRITICAL", "for another name", url=f"https://127.0.0.1:{self.server.tls_port}")


class Unserved(Server):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.end_jobs()  # one of them renews a certificate that has ended

    def sign(self, *options, names="DNS:localhost,IP:127.0.0.1"):
        """Another certificate as file; nginx is not told."""
        work = temporary()
        (work / "ext").write_text(f"subjectAltName={names}\n")
        run("openssl", "req", "-new", "-key", self.keys / "server.key", "-subj", "/CN=test", "-out", work / "csr")
        run("openssl", "x509", "-req", "-in", work / "csr", "-CA", self.keys / "ca.crt", "-CAkey", self.keys / "ca.key",
            "-extfile", work / "ext", *options, "-out", self.keys / "server.crt")

    def test_a_reload_that_was_not_made(self):
        before = (self.keys / "server.crt").read_text()
        self.assert_level("certificate", "OK", "days left")
        self.sign("-days", "400")
        self.assert_level("certificate", "WARNING", f"{self.keys}/server.crt is another one, which is not served")
        # served by somebody before us, for a name that ours is not for
        self.sign("-days", "400", names="DNS:elsewhere.example.net")
        self.assert_level("certificate", "OK", "days left")
        # the one that is served has ended: libcurl shows none that it refuses, health sees it all the same
        self.sign("-days", "-1")
        os.kill(self.server.pid("nginx"), signal.SIGHUP)
        harness.wait_for(lambda: self.finding("certificate")["level"] == "CRITICAL", what="the one that has ended")
        (self.keys / "server.crt").unlink()
        (self.keys / "server.crt").write_text(before)
        row = self.finding("certificate")
        self.assertIn("it has ended; ", row["what"])
        self.assertIn("is not served", row["what"])
        self.assertIn("reload it", row["remedy"])

    def test_the_next_authority_is_told(self):
        other = temporary()
        run(ROOT / "scripts/tls.sh", other, *NAMES)
        (self.keys / "ca-next.crt").write_text((other / "ca.crt").read_text())
        self.addCleanup((self.keys / "ca-next.crt").unlink)
        self.assert_level("authority", "OK", "the next one is made: `wsusctl client setup` hands out both")


def page(url, **headers):
    """(status, media type, text) of a page."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers["Content-Type"], e.read().decode()


class Pages(Server):
    """/health and /metrics of an instance, whose loop looks for the first time after five minutes."""

    def look(self):
        run(ROOT / "scripts/job.sh", "--state", self.server.state, "health")

    def page(self, path):
        return page(f"http://127.0.0.1:{self.server.port}{path}")

    def test_1_not_looked_at_yet(self):
        for path in ("/health", "/metrics"):
            status, _, text = self.page(path)
            self.assertEqual(status, 503)
            self.assertIn("was not looked at yet", text)

    def test_2_well_then_broken_then_well_again(self):
        self.look()
        status, kind, text = self.page("/health")
        self.assertEqual((status, kind, text.splitlines()[0]), (200, "text/plain; charset=utf-8", "WSUS OK - 16 checks"))
        status, kind, text = self.page("/metrics")
        self.assertEqual((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertEqual(exposition(text)["wsus_service_up", "service", "auth"], 1)
        os.kill(self.server.pid("auth"), signal.SIGTERM)
        harness.wait_for(lambda: self.finding("services")["level"] == "CRITICAL", what="the end of the service")
        self.look()
        status, _, text = self.page("/health")
        self.assertEqual(status, 503)
        self.assertRegex(text, r"^WSUS CRITICAL - scan: .*services: 1 of 5 do not answer; auth: ")
        self.assertRegex(text, r"\nCRITICAL services: .* -> start wsus-auth again")
        status, _, text = self.page("/metrics")
        self.assertEqual((status, exposition(text)["wsus_service_up", "service", "auth"]), (200, 0))
        self.server.stop()
        self.server.start()
        self.look()
        self.assertEqual(self.page("/health")[0], 200)

    def test_3_a_job_that_has_died_is_noticed(self):
        self.look()
        jobs = self.server.state / "jobs"
        old = time.time() - 16 * 60
        for file, path in (("health.txt", "/health"), ("metrics.prom", "/metrics")):
            self.assertEqual(self.page(path)[0], 200)
            os.utime(jobs / file, (old, old))
            status, _, text = self.page(path)
            self.assertEqual(status, 503)
            self.assertRegex(text, r"^WSUS UNKNOWN - stale: the server was looked at 16 minutes ago .*wsus-health\(8\)")
        self.look()
        self.assertEqual((self.page("/health")[0], self.page("/metrics")[0]), (200, 200))

    def test_4_without_the_service_that_shows_them(self):
        os.kill(self.server.pid("content"), signal.SIGTERM)
        harness.wait_for(lambda: self.page("/health")[0] == 503, what="the end of the service")


@unittest.skipUnless(os.geteuid() == 0, "only root can start nginx for another user")
class Shown(unittest.TestCase):
    """To whom an installed server shows them: nginx takes the address of the one who asks from a header here."""

    @classmethod
    def setUpClass(cls):
        cls.here = Beside("set_real_ip_from 127.0.0.1;\nreal_ip_header X-Peer;\n")
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        stack.enter_context(cls.here.service("content"))
        tested = stack.enter_context(cls.here.served())
        assert tested.returncode == 0, tested.stderr
        cls.here.job("health")

    def shown(self, peer):
        """Which of the ports show both pages to this address."""
        ports = set()
        for name, url in (("plain", f"http://127.0.0.1:{self.here.port}"), ("tls", f"https://127.0.0.1:{self.here.tls_port}")):
            texts = [page(url + path, **{"X-Peer": peer})[2] for path in ("/health", "/metrics")]
            if texts in (["not found\n"] * 2, ["This server does not serve you; who runs it knows more.\n"] * 2):
                continue  # the latter to those who are in none of clients.networks either
            self.assertTrue(texts[0].startswith("WSUS "), texts)
            exposition(texts[1])
            ports.add(name)
        return ports

    def test_who_sees_them(self):
        both, tls, none = {"plain", "tls"}, {"tls"}, set()
        for peer, ports in (("127.0.0.1", both), ("127.9.9.9", both), ("::1", both), ("192.0.2.7", none), ("2001:db8::7", none)):
            self.assertEqual(self.shown(peer), ports, peer)
        self.here.set(**{"status.allow": "192.0.2.0/24 2001:db8::/32 203.0.113.9"})
        self.here.setup()
        harness.wait_for(lambda: self.shown("192.0.2.7") == tls, what="the reload")
        for peer, ports in (("2001:db8::7", tls), ("203.0.113.9", tls), ("203.0.113.10", none), ("198.51.100.1", none),
                            ("2001:db9::7", none), ("127.0.0.1", both)):
            self.assertEqual(self.shown(peer), ports, peer)
        self.here.set(**{"status.allow": None})
        self.here.setup()
        harness.wait_for(lambda: self.shown("192.0.2.7") == none, what="the reload")


class Troubles(Server):
    catalog = "sample"

    def approve_for_soon(self, update):
        """With a time that is still to come when the approval is made, however slow that was."""
        for seconds in (3, 10, 30):
            soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
            made = self.server.ctl_json("approve", update, "--group", "all", "--go-live", soon.strftime("%Y-%m-%dT%H:%M:%SZ"))
            if made[0]["state"].startswith("approved, waiting until"):
                return
        self.fail(f"an approval takes more than 30 s: {made}")

    def test_a_tick_that_nobody_made(self):
        os.kill(self.server.pid("jobs"), signal.SIGTERM)
        update = next(r["id"] for r in self.server.ctl_json("update", "list", "--type", "software") if r["state"] == "offered")
        self.approve_for_soon(update)
        overdue = lambda: self.finding("tick", "--limit", "tick-warn=0")["level"] == "WARNING"
        harness.wait_for(overdue, what="the go-live time")
        self.assert_level("tick", "WARNING", "1 approvals wait", "--limit", "tick-warn=0")
        self.server.ctl("store", "tick")
        self.assert_level("tick", "OK", "nothing is overdue", "--limit", "tick-warn=0")
        self.assertGreater(int(self.finding("store")["what"].split()[1]), 0)

    def test_a_service_that_has_stopped(self):
        pid = self.server.pid("content")
        os.kill(pid, signal.SIGTERM)
        harness.wait_for(lambda: self.finding("services")["level"] == "CRITICAL", what="the end of the service")
        self.assert_level("services", "CRITICAL", "1 of 5 do not answer; content")
        self.assert_level("scan", "OK", "calls")


if __name__ == "__main__":
    unittest.main()
