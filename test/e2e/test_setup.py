"""test_setup.py -- wsus-setup: what wsus.conf says is put in force, what changed is told, what is refused changes nothing."""
import os
import shutil
import socket
import unittest

from harness import free_ports, run, temporary
from installed import Installation
from test_dropin import Beside


def tree(*tops):
    return {p: (p.stat().st_mode, p.read_bytes() if p.is_file() else b"") for top in tops for p in top.rglob("*")}


@unittest.skipUnless(os.geteuid() == 0, "only root can set up a server")
class Setup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = Beside()
        cls.plain = cls.here.conf.read_text()

    def setUp(self):
        self.here.conf.write_text(self.plain)
        self.here.setup()

    def refused(self, **settings):
        """What is said; nothing but the file is other than before."""
        before = tree(self.here.etc, self.here.state, self.here.nginx, self.here.dropins)
        before.pop(self.here.conf)
        self.here.set(**settings)
        done = self.here.setup(check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        after = tree(self.here.etc, self.here.state, self.here.nginx, self.here.dropins)
        after.pop(self.here.conf)
        self.assertEqual(after, before)
        return done.stderr

    def test_the_first_run_joins_nginx_and_says_what_was_made(self):
        self.assertIn("set up: the certificate of the server, nginx's configuration", self.here.first.stderr)
        self.assertEqual((self.here.nginx / "conf.d/wsus-fcgi.conf").resolve(), self.here.etc / "nginx/wsus-fcgi.conf")
        self.assertIn(f"all is as {self.here.conf} says", self.here.setup().stderr)

    def test_a_template_is_installed_where_there_is_none_and_never_over_one(self):
        shipped = (self.here.root / "usr/share/wsus-fcgi/wsus.conf").read_text()
        self.assertIn(f"\nstore = {self.here.state}/store\n", shipped)  # it is not at its default here
        text = self.plain + "# mine\n"
        self.here.conf.write_text(text)
        self.here.setup()
        self.assertEqual(self.here.conf.read_text(), text)
        self.here.conf.unlink()
        done = self.here.setup()
        self.assertEqual(self.here.conf.read_text(), shipped)
        self.assertIn(f'http.port: was "{self.here.port}", is "8530"', done.stderr)

    def test_what_a_file_changes_is_told_and_written(self):
        plain, tls = free_ports()
        self.here.set(http_port=plain, https_port=tls, listen="127.0.0.1 0.0.0.0")
        self.here.conf.write_text(self.here.conf.read_text() + "scan.scope = approved\n")
        done = self.here.setup()
        for words in (f'http.port: was "{self.here.port}", is "{plain}"', f'https.port: was "{self.here.tls_port}", is "{tls}"',
                      'listen: was "127.0.0.1", is "127.0.0.1 0.0.0.0"', "set up: nginx's configuration", "scan.scope"):
            self.assertIn(words, done.stderr)
        self.assertEqual((self.here.etc / "nginx/listen-tls.conf").read_text(),
                         f"listen 127.0.0.1:{tls} default_server backlog=1024 ssl;\nlisten 0.0.0.0:{tls} default_server backlog=1024 ssl;\n")
        self.assertEqual(self.here.ctl("config", "get", "scan.scope").stdout, "approved\n")

    def test_services_are_on_the_plain_port_only_of_loopback_or_on_demand(self):
        (self.here.nginx / "nginx.conf").rename(self.here.root / "away")  # the addresses need not be this machine's
        self.addCleanup((self.here.root / "away").rename, self.here.nginx / "nginx.conf")
        for listen, plain_http, services in (("127.0.0.1", None, "services"), ("0.0.0.0", None, "tls-only"),
                                             ("127.0.0.1 192.0.2.1", "false", "tls-only"), ("0.0.0.0", "true", "services")):
            with self.subTest(listen=listen, plain_http=plain_http):
                self.here.set(listen=listen, plain_http=plain_http)
                self.here.setup()
                site = (self.here.etc / "nginx/site.conf").read_text()
                self.assertIn(f"/{services}.conf;", site[:site.index("listen-tls.conf;")])

    def test_a_file_with_errors_changes_nothing(self):
        said = self.refused(http_port="eighty")
        self.assertIn('http.port takes 1..65535, not "eighty"', said)
        self.assertIn(f"nothing was changed: correct {self.here.conf}, then run this again", said)

    def test_what_nginx_refuses_is_undone(self):
        said = self.refused(listen="192.0.2.1")
        self.assertIn("nginx has what it had before: ", said)
        self.assertIn("192.0.2.1", said)

    def test_the_port_of_another_program_is_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            said = self.refused(listen="0.0.0.0", https_port=port)
            self.assertIn(f"nginx has what it had before: port {port} is in use by python3, process {os.getpid()}", said)

    def test_another_site_that_breaks_later_is_named(self):
        broken = self.here.nginx / "conf.d/broken.conf"
        broken.write_text("nonsense;\n")
        self.addCleanup(broken.unlink)
        said = self.here.setup().stderr
        self.assertIn("nginx refuses its configuration, so it was not reloaded: ", said)
        self.assertIn(f"{broken}:1", said)
        self.assertNotIn("does not include", said)

    def test_who_left_nginx_is_not_joined_again(self):
        link = self.here.nginx / "conf.d/wsus-fcgi.conf"
        link.unlink()
        self.addCleanup(link.symlink_to, self.here.etc / "nginx/wsus-fcgi.conf")
        self.assertIn(f"nginx does not include {self.here.etc}/nginx/wsus-fcgi.conf; to have it do so: ln -s", self.here.setup().stderr)
        self.assertFalse(link.is_symlink())

    def test_a_certificate_gets_names_and_loses_none(self):
        def names():
            return set((self.here.etc / "tls/server.names").read_text().strip().split(","))
        before = names()
        self.assertIn("DNS:wsus.example.net", before)
        self.here.set(names="wsus.example.net new.example.net 192.0.2.7")
        self.assertIn("the certificate of the server", self.here.setup().stderr)
        self.assertEqual(names(), before | {"DNS:new.example.net", "IP:192.0.2.7"})
        self.here.set(names="")
        self.assertNotIn("the certificate", self.here.setup().stderr)
        self.assertEqual(names(), before | {"DNS:new.example.net", "IP:192.0.2.7"})


@unittest.skipUnless(os.geteuid() == 0, "only root can set up a server")
class Moved(unittest.TestCase):
    """Another place for everything: units and nginx hear of it."""

    @classmethod
    def setUpClass(cls):
        cls.here = Installation()
        cls.to = temporary() / "100%"
        cls.to.mkdir()

    def directive(self, unit, name):
        return self.here.unit(unit).get(name)

    def test_1_a_place_without_the_store_is_refused(self):
        self.here.set(store=self.to / "store")
        done = self.here.setup(check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"nothing was changed: the store is in {self.here.state}/store, and in {self.to}/store", done.stderr)
        self.assertFalse((self.to / "store").exists())

    def test_2_units_follow_and_only_as_far_as_needed(self):
        shutil.move(self.here.state / "store", self.to / "store")
        self.here.set(store=self.to / "store", content=self.to / "content", selfupdate=self.to / "selfupdate", workers=3)
        done = self.here.setup()
        self.assertIn("set up: nginx's configuration, units: wsus-auth.service", done.stderr)
        escaped = str(self.to).replace("%", "%%")
        libexec, keys = self.here.libexec, self.here.state / "keys"
        self.assertEqual(self.directive("wsus-client.service", "ExecStart"),
                         f"{libexec}/wsus-client -S {escaped}/store -K {keys}/master -w 3")
        self.assertEqual(self.directive("wsus-content.service", "ExecStart"), f"{libexec}/wsus-content -U {escaped}/selfupdate -N {escaped}/content/names "
                                                                              f"-J {self.here.state}/jobs -w 3")
        self.assertEqual(self.directive("wsus-tick.service", "ReadWritePaths"), f"{escaped}/store {self.here.state}/jobs")
        dropin = (self.here.dropins / "wsus-client.socket.d/wsus-conf.conf").read_text()
        self.assertEqual(dropin.splitlines()[1:], [
            "[Unit]", "ConditionPathExists=", f"ConditionPathExists={escaped}/store/catalog/data.mdb",
            f"ConditionPathExists={keys}/master"])
        self.assertFalse((self.here.dropins / "wsus-tick.timer.d").exists())
        self.assertIn(f"alias {self.to}/content/$xx/$hex;", (self.here.etc / "nginx/content.conf").read_text())

    @unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze")
    def test_3_systemd_takes_them(self):
        paths = f"{self.here.dropins}:{self.here.units}:"
        done = run("systemd-analyze", "verify", "--man=no", *sorted(self.here.units.iterdir()), check=False,
                   env=os.environ | {"SYSTEMD_UNIT_PATH": paths})
        self.assertEqual((done.returncode, [line for line in done.stderr.splitlines() if "wsus" in line]), (0, []))

    def test_4_back_again(self):
        shutil.move(self.to / "store", self.here.state / "store")
        self.here.set(store=self.here.state / "store", content=self.here.state / "content",
                      selfupdate=self.here.state / "selfupdate", workers=None)
        self.here.setup()
        self.assertEqual([p for p in self.here.dropins.rglob("*")], [])
