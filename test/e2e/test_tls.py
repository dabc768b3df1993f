"""test_tls.py -- scripts/tls.sh: the authority stays, certificates follow names and time, an administrator's own is left alone.

Certificates that end soon or have ended are made for it, by the authority of the test; no clock is touched.
"""
import contextlib
import http.client
import os
import pathlib
import re
import signal
import socket
import ssl
import stat
import threading
import unittest

import harness
from harness import ROOT, Instance, alive, run, temporary, wait_for

TLS = ROOT / "scripts/tls.sh"


def key_file(path, kind="ec"):
    if kind == "ec":
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    else:
        run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{kind}", "-out", path)
    return path


def certificate(where, name, signer=None, days=90, kind="ec", extensions=(), digest="sha256"):
    """NAME.crt and NAME.key in a directory, signed by SIGNER (its path without .crt) or by itself."""
    base = pathlib.Path(where) / name
    key_file(f"{base}.key", kind)
    run("openssl", "req", "-new", "-key", f"{base}.key", "-subj", f"/CN={name}", "-out", f"{base}.csr")
    pathlib.Path(f"{base}.ext").write_text("\n".join(extensions) + "\n")
    by = ["-CA", f"{signer}.crt", "-CAkey", f"{signer}.key"] if signer else ["-signkey", f"{base}.key"]
    run("openssl", "x509", "-req", "-in", f"{base}.csr", *by, "-set_serial", f"0x7{os.urandom(8).hex()}", "-days", days,
        f"-{digest}", "-extfile", f"{base}.ext", "-out", f"{base}.crt")
    return base


AUTHORITY = ("basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign,cRLSign")


def named(*names):
    return ("subjectAltName=" + ",".join(names), "extendedKeyUsage=serverAuth")


def fingerprint(path):
    return run("openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", path).stdout


class Certificates(unittest.TestCase):
    def setUp(self):
        self.keys = temporary()

    def make(self, *names, check=True):
        return run(ROOT / "scripts/tls.sh", self.keys, *names, check=check)

    def file(self, name):
        return (self.keys / name).read_bytes()

    def files(self):
        return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in self.keys.rglob("*") if p.is_file()}

    def test_the_same_names_change_nothing(self):
        self.make("a.example.net", "192.0.2.7")
        before = self.files()
        self.make("192.0.2.7", "a.example.net")
        self.assertEqual(self.files(), before)

    def test_other_names_make_another_certificate_of_the_same_authority(self):
        self.make("a.example.net")
        authority, certificate = self.file("ca.crt"), self.file("server.crt")
        self.make("b.example.net")
        self.assertEqual(self.file("ca.crt"), authority)
        self.assertNotEqual(self.file("server.crt"), certificate)
        run("openssl", "verify", "-CAfile", self.keys / "ca.crt", "-verify_hostname", "b.example.net", self.keys / "server.crt")
        self.assertNotEqual(run("openssl", "verify", "-CAfile", self.keys / "ca.crt", "-verify_hostname", "a.example.net",
                                self.keys / "server.crt", check=False).returncode, 0)

    def test_a_certificate_near_its_end_is_renewed(self):
        self.make("a.example.net")
        ours = self.file("server.crt")
        request = self.keys / "r.csr"
        run("openssl", "req", "-new", "-key", self.keys / "server.key", "-subj", "/CN=a.example.net", "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.keys / "ca.crt", "-CAkey", self.keys / "ca.key", "-set_serial",
            "7", "-days", "5", "-out", self.keys / "server.crt")
        ending = self.file("server.crt")
        self.make("a.example.net")
        self.assertNotIn(self.file("server.crt"), (ours, ending))
        run("openssl", "x509", "-in", self.keys / "server.crt", "-noout", "-checkend", str(86400 * 365))

    def test_an_administrators_own_certificate_is_left_alone(self):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=own.example.net", "-days", "400", "-keyout",
            self.keys / "server.key", "-out", self.keys / "server.crt")
        before = self.file("server.crt"), self.file("server.key")
        self.make("a.example.net")
        self.assertEqual((self.file("server.crt"), self.file("server.key")), before)
        self.assertFalse((self.keys / "ca.key").exists())

    def test_keys_are_private_and_certificates_public(self):
        self.make("a.example.net")
        for name, mode in (("ca.key", 0o600), ("server.key", 0o600), ("ca.crt", 0o644), ("server.crt", 0o644)):
            self.assertEqual(stat.S_IMODE((self.keys / name).stat().st_mode), mode, name)

    def test_nonsense_is_wrong_usage(self):
        self.assertEqual(self.make(check=False).returncode, 2)


    def names(self):
        return set(run("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", self.keys / "server.crt")
                   .stdout.replace(",", "\n").split("\n")[1:-1])

    def test_names_and_addresses_of_both_kinds_are_named(self):
        self.make("updates.example.org", "*.branch.example.org", "192.0.2.7", "2001:db8::7")
        self.assertEqual({n.strip() for n in self.names()}, {"DNS:updates.example.org", "DNS:*.branch.example.org",
                         "IP Address:192.0.2.7", "IP Address:2001:DB8:0:0:0:0:0:7"})
        for bad in ("up dates", "a\nb", "a,DNS:b", "-x.example.org", ""):
            self.assertEqual(self.make(bad, check=False).returncode, 2, bad)

    def test_nginx_is_told_a_pair_that_stays_and_fits(self):
        self.make("a.example.net")
        first = self.told()
        self.make("b.example.net")
        second = self.told()
        self.assertNotEqual(first, second)
        for crt, key in (first, second):  # who has read the file of before still finds what it names
            self.assertEqual(run("openssl", "x509", "-noout", "-pubkey", "-in", crt).stdout,
                             run("openssl", "pkey", "-pubout", "-in", key).stdout)
            self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
        self.make("c.example.net")
        self.assertEqual(len(list(self.keys.glob("pair.*"))), 2)

    def told(self):
        return tuple(re.findall(r'"([^"]*)"', self.file("server.conf").decode()))

    def ending_authority(self, days):
        """As if the authority had been made long ago, and the certificate with it."""
        certificate(self.keys, "ca", days=days, extensions=AUTHORITY)
        self.make("a.example.net")

    def test_an_authority_gets_its_successor_early_and_goes_on_signing(self):
        self.ending_authority(700)
        self.assertTrue((self.keys / "ca-next.crt").exists())
        authority = self.file("ca.crt")
        done = run(TLS, "--renew", self.keys, "b.example.net")
        self.assertEqual(self.file("ca.crt"), authority)
        self.assertNotIn("successor", done.stderr)  # that was said once
        run("openssl", "verify", "-CAfile", self.keys / "ca.crt", self.keys / "server.crt")
        self.assertIn("warning: the next authority", run(TLS, "--show", self.keys).stdout)

    def test_the_successor_is_announced_with_what_to_do(self):
        certificate(self.keys, "ca", days=700, extensions=AUTHORITY)
        done = self.make("a.example.net")
        self.assertIn("import it on every computer", done.stderr)
        self.assertIn("--switch", done.stderr)

    def test_switch_serves_by_the_next_authority_and_keeps_the_old_one(self):
        self.ending_authority(700)
        old, following = self.file("ca.crt"), self.file("ca-next.crt")
        run(TLS, "--switch", self.keys)
        self.assertEqual((self.file("ca.crt"), self.file("ca-old.crt")), (following, old))
        self.assertFalse((self.keys / "ca-next.crt").exists() or (self.keys / "ca-next.key").exists())
        run("openssl", "verify", "-CAfile", self.keys / "ca.crt", "-verify_hostname", "a.example.net", self.keys / "server.crt")
        before = self.file("server.crt")
        run(TLS, "--renew", self.keys)
        self.assertEqual(self.file("server.crt"), before)
        self.assertIn("no next authority", run(TLS, "--switch", self.keys, check=False).stderr)

    def test_a_certificate_does_not_outlive_its_authority_and_the_end_is_said_not_hidden(self):
        self.ending_authority(20)
        before = self.file("server.crt") if (self.keys / "server.crt").exists() else None
        done = run(TLS, "--renew", self.keys, "b.example.net", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("signs no more", done.stderr)
        self.assertIn("--switch", done.stderr)
        self.assertEqual(self.file("server.crt") if before else None, before)
        run(TLS, "--switch", self.keys, check=False)

    def test_renew_without_names_has_those_of_the_last_time(self):
        self.make("a.example.net", "192.0.2.7")
        (self.keys / "server.crt").unlink()
        done = run(TLS, "--renew", self.keys)
        self.assertIn("new server certificate", done.stderr)
        self.assertEqual({n.strip() for n in self.names()}, {"DNS:a.example.net", "IP Address:192.0.2.7"})

    def test_cut_short_leaves_nothing_that_disturbs_the_next(self):
        self.make("a.example.net")
        (self.keys / ".new.dead").mkdir()
        (self.keys / "pair.dead").mkdir()
        self.make("b.example.net")
        self.assertFalse((self.keys / ".new.dead").exists() or (self.keys / "pair.dead").exists())


class Given(unittest.TestCase):
    """--install: each finding is said, and what Windows would refuse is refused here."""

    @classmethod
    def setUpClass(cls):
        cls.made = temporary()
        cls.root = certificate(cls.made, "root", days=900, extensions=AUTHORITY)
        cls.middle = certificate(cls.made, "middle", cls.root, days=900, extensions=AUTHORITY)
        cls.good = certificate(cls.made, "good", cls.middle, extensions=named("DNS:updates.example.org"))

    def setUp(self):
        self.keys = temporary()
        run(TLS, self.keys, "updates.example.org")

    def install(self, base, *chain, key=None):
        return run(TLS, "--install", self.keys, f"{base}.crt", key or f"{base}.key", *chain, check=False)

    def refused(self, words, base, *chain, key=None):
        before = fingerprint(self.keys / "server.crt")
        done = self.install(base, *chain, key=key)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout, "(?m)^error: .*" + words)
        self.assertEqual(fingerprint(self.keys / "server.crt"), before)
        return done

    def test_a_good_one_is_served_with_its_chain_and_left_alone_by_the_job(self):
        done = self.install(self.good, f"{self.middle}.crt")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for words in ("ok: the key belongs to the certificate", "ok: the server's certificate is good until",
                      "ok: names: DNS:updates.example.org", "warning: this machine does not know who signed it (CN=root)"):
            self.assertIn(words, done.stdout)
        self.assertEqual(fingerprint(self.keys / "server.crt"), fingerprint(f"{self.good}.crt"))
        self.assertEqual((self.keys / "server.crt").read_text().count("BEGIN CERTIFICATE"), 2)
        self.assertEqual(stat.S_IMODE((self.keys / "server.key").stat().st_mode), 0o600)
        self.assertEqual(run(TLS, "--renew", self.keys, "other.example.org").stderr, "")
        self.assertEqual(fingerprint(self.keys / "server.crt"), fingerprint(f"{self.good}.crt"))

    def test_it_is_found_again_without_the_links_that_a_backup_leaves_out(self):
        self.install(self.good, f"{self.middle}.crt")
        for name in ("server", "server.crt", "server.key"):
            (self.keys / name).unlink()
        run(TLS, self.keys, "updates.example.org")
        self.assertEqual(fingerprint(self.keys / "server.crt"), fingerprint(f"{self.good}.crt"))

    def test_a_key_of_another(self):
        self.refused("another certificate", self.good, key=f"{self.middle}.key")
        self.refused("no private key in PEM form", self.good, key=f"{self.good}.crt")
        locked = self.made / "locked.key"
        run("openssl", "pkey", "-in", f"{self.good}.key", "-aes128", "-passout", "pass:x", "-out", locked)
        self.refused("without a pass phrase", self.good, key=locked)

    def test_a_chain_out_of_order(self):
        self.refused("did not sign certificate 1", self.good, f"{self.root}.crt", f"{self.middle}.crt")
        turned = self.made / "turned"
        turned.with_suffix(".crt").write_text(pathlib.Path(f"{self.middle}.crt").read_text() +
                                              pathlib.Path(f"{self.good}.crt").read_text())
        self.refused("belongs to certificate 2; the server's own must be the first", turned, key=f"{self.good}.key")

    def test_a_root_in_the_chain_is_only_a_warning(self):
        done = self.install(self.good, f"{self.middle}.crt", f"{self.root}.crt")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("warning: the chain holds its root", done.stdout)

    def test_dates(self):
        self.refused("has expired on", certificate(self.made, "ended", days=-1, extensions=named("DNS:updates.example.org")))
        soon = certificate(self.made, "soon", days=9, extensions=named("DNS:updates.example.org"))
        self.assertIn("warning: the server's certificate ends on", self.install(soon).stdout)
        job = run(TLS, "--renew", self.keys, check=False)
        self.assertEqual(job.returncode, 1)
        self.assertIn("is your own and ends on", job.stderr)
        self.assertIn("--install", job.stderr)
        self.assertEqual(run(TLS, self.keys, "updates.example.org").returncode, 0)  # a start goes on

    def test_what_windows_does_not_take(self):
        names = named("DNS:updates.example.org")
        self.refused("RSA key of 1024 bits", certificate(self.made, "short", kind="1024", extensions=names))
        self.refused("signed with sha1With", certificate(self.made, "sha1", kind="2048", extensions=names, digest="sha1"))
        for name, options in (("p521", ("EC", "ec_paramgen_curve:P-521")), ("ed", ("ED25519", None))):
            base = self.made / name
            run("openssl", "genpkey", "-algorithm", options[0], *(["-pkeyopt", options[1]] if options[1] else []), "-out",
                f"{base}.key")
            run("openssl", "req", "-x509", "-new", "-key", f"{base}.key", "-subj", "/CN=x", "-addext",
                "subjectAltName=DNS:updates.example.org", "-out", f"{base}.crt")
            self.refused("a key Windows does not take", base)
        rsa = self.install(certificate(self.made, "rsa", kind="2048", extensions=names))
        self.assertEqual(rsa.returncode, 0, rsa.stdout)

    def test_names_and_use(self):
        self.refused("names no host", certificate(self.made, "nameless"))
        self.refused("not meant for servers", certificate(self.made, "client", extensions=(
            "subjectAltName=DNS:updates.example.org", "extendedKeyUsage=clientAuth")))
        other = self.install(certificate(self.made, "other", extensions=named("DNS:www.example.org")))
        self.assertEqual(other.returncode, 0)
        self.assertIn("will refuse it: updates.example.org", other.stdout)

    def test_nonsense(self):
        empty = self.made / "empty"
        empty.with_suffix(".crt").write_text("no certificate\n")
        self.refused("0 certificates in PEM form", empty, key=f"{self.good}.key")
        self.assertEqual(run(TLS, "--install", self.keys, "/nonexistent", "/nonexistent", check=False).returncode, 1)
        self.assertEqual(run(TLS, "--install", self.keys, check=False).returncode, 2)
        self.assertEqual(run(TLS, "--nonsense", self.keys, check=False).returncode, 2)

    def hook(self, lineage):
        return run(ROOT / "scripts/certbot-deploy.sh", check=False,
                   env={**os.environ, "RENEWED_LINEAGE": str(lineage), "WSUS_TLS": str(self.keys)})

    def lineage(self, base):
        """A directory as certbot leaves it: links into its archive."""
        archive = temporary()
        (archive / "fullchain1.pem").write_text(pathlib.Path(f"{base}.crt").read_text() +
                                                pathlib.Path(f"{self.middle}.crt").read_text())
        (archive / "privkey1.pem").write_text(pathlib.Path(f"{base}.key").read_text())
        live = temporary()
        for name in ("fullchain", "privkey"):
            (live / f"{name}.pem").symlink_to(archive / f"{name}1.pem")
        return live

    def test_certbots_hook_installs_what_names_us_and_nothing_else(self):
        done = self.hook(self.lineage(self.good))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(fingerprint(self.keys / "server.crt"), fingerprint(f"{self.good}.crt"))
        website = certificate(self.made, "website", self.middle, extensions=named("DNS:www.example.org"))
        done = self.hook(self.lineage(website))
        self.assertEqual(done.returncode, 0)
        self.assertIn("left alone", done.stderr)
        renewed = certificate(self.made, "renewed", self.middle, extensions=named("DNS:*.example.org"))
        self.assertEqual(self.hook(self.lineage(renewed)).returncode, 0)
        self.assertEqual(fingerprint(self.keys / "server.crt"), fingerprint(f"{renewed}.crt"))
        again = certificate(self.made, "again", self.middle, extensions=named("DNS:*.example.org"))
        self.assertEqual(self.hook(self.lineage(again)).returncode, 0)
        self.assertEqual(fingerprint(self.keys / "server.crt"), fingerprint(f"{again}.crt"))
        bad = certificate(self.made, "bad", self.middle, days=-1, extensions=named("DNS:updates.example.org"))
        self.assertEqual(self.hook(self.lineage(bad)).returncode, 1)
        self.assertEqual(fingerprint(self.keys / "server.crt"), fingerprint(f"{again}.crt"))

    def test_the_hook_without_certbot_is_wrong_usage(self):
        environment = {k: v for k, v in os.environ.items() if k != "RENEWED_LINEAGE"}
        self.assertEqual(run(ROOT / "scripts/certbot-deploy.sh", check=False, env=environment).returncode, 2)


class Ended(unittest.TestCase):
    """A served certificate that has ended: refused by clients, renewed without a restart."""

    def setUp(self):
        self.server = Instance("none")
        self.server.start()
        self.addCleanup(self.server.stop)
        self.keys = self.server.state / "keys"
        os.kill(self.server.pid("jobs"), signal.SIGTERM)  # it would renew at a moment of its own
        wait_for(lambda: not alive(self.server.pid("jobs")), what="the end of the job")

    def probe(self):
        return run(ROOT / "bin/wsus-probe", f"https://localhost:{self.server.tls_port}", "--ca", self.keys / "ca.crt", check=False)

    def serve(self, days):
        """Puts a certificate of our authority in the place of the present one, and nginx has it."""
        old = self.served()
        base = certificate(temporary(), "localhost", self.keys / "ca", days=days, extensions=named("DNS:localhost", "IP:127.0.0.1"))
        pair = self.keys / os.readlink(self.keys / "server")
        for suffix in ("crt", "key"):
            (pair / f"server.{suffix}").write_text(pathlib.Path(f"{base}.{suffix}").read_text())
        os.kill(self.server.pid("nginx"), 1)
        wait_for(lambda: self.served() != old, what="the certificate to be served")

    def served(self):
        return ssl.get_server_certificate(("127.0.0.1", self.server.tls_port))

    def test_a_client_refuses_it_in_words_and_passes_once_it_is_renewed(self):
        self.assertEqual(self.probe().returncode, 0)
        self.serve(-1)
        old, pids = self.served(), [self.server.pid(p) for p in ("nginx", "client", "auth")]
        done = self.probe()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("the server's certificate has expired", done.stdout + done.stderr)
        self.assertIn("tls.sh --renew", done.stdout + done.stderr)
        self.assertIn("error: the server's certificate has expired on", run(TLS, "--show", self.server.state, check=False).stdout)
        done = run(TLS, "--renew", self.server.state)
        self.assertIn("new server certificate", done.stderr)
        wait_for(lambda: self.served() != old, what="the new certificate to be served")
        done = self.probe()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual([self.server.pid(p) for p in ("nginx", "client", "auth")], pids)
        self.assertEqual(run(TLS, "--renew", self.server.state).stderr, "")

    def test_nginx_that_does_not_take_it_up_is_noticed(self):
        master = self.server.pid("nginx")
        os.kill(master, signal.SIGSTOP)
        try:
            done = run(TLS, "--renew", self.server.state, "localhost", "other.example.org", check=False)
            shown = run(TLS, "--show", self.server.state, check=False)
        finally:
            os.kill(master, signal.SIGCONT)
        self.assertEqual((done.returncode, shown.returncode), (1, 1))
        for text in (done.stderr, shown.stdout):
            self.assertIn(f"nginx shows another certificate than {self.keys}/server.crt on 127.0.0.1:{self.server.tls_port}", text)
        mine = ssl.PEM_cert_to_DER_cert((self.keys / "server.crt").read_text())
        wait_for(lambda: ssl.PEM_cert_to_DER_cert(self.served()) == mine, what="nginx to go on")
        self.assertEqual(run(TLS, "--show", self.server.state).returncode, 0)

    def test_nginx_that_refuses_its_configuration_keeps_the_old_one(self):
        old = self.served()
        link = os.readlink(self.keys / "server")
        site = self.server.state / "nginx/site.conf"
        good = site.read_text()
        site.write_text(good + "nonsense;\n")
        done = run(TLS, "--renew", self.server.state, "other.example.org", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nginx refuses its configuration", done.stderr)
        self.assertIn("nonsense", done.stderr)
        self.assertEqual((os.readlink(self.keys / "server"), self.served()), (link, old))
        site.write_text(good)
        run(TLS, "--renew", self.server.state, "localhost")
        wait_for(lambda: self.served() != old, what="the new certificate to be served")


class Job(unittest.TestCase):
    def setUp(self):
        for name in ("WSUS_TICK_SECONDS", "WSUS_TLS_SECONDS"):
            os.environ[name] = "1"
            self.addCleanup(os.environ.pop, name, None)

    def ask(self, server, errors, answered, stop):
        """A client that asks over and over, each time over a connection of its own."""
        context = ssl.create_default_context(cafile=str(server.state / "keys/ca.crt"))
        body = (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><GetConfig xmlns="{harness.CLIENT}">'
                "<protocolVersion>2.90</protocolVersion></GetConfig></s:Body></s:Envelope>").encode()
        while not stop.is_set():
            try:
                connection = http.client.HTTPSConnection("localhost", server.tls_port, timeout=30, context=context)
                connection.request("POST", harness.PATHS[harness.CLIENT], body, {
                    "Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{harness.CLIENT}/GetConfig"'})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200 or b"<GetConfigResult>" not in text:
                    errors.append((answer.status, text))
                answered.append(1)
                connection.close()
            except OSError as e:
                errors.append(e)

    def test_the_job_renews_before_the_end_and_no_request_is_lost(self):
        with Instance("none") as server:
            log = server.state / "log/jobs.log"
            ending = certificate(temporary(), "localhost", server.state / "keys/ca", days=5,
                                 extensions=named("DNS:localhost", "IP:127.0.0.1"))
            errors, answered, stop = [], [], threading.Event()
            clients = [threading.Thread(target=self.ask, args=(server, errors, answered, stop)) for _ in range(3)]
            for client in clients:
                client.start()
            try:
                wait_for(lambda: len(answered) > 20, what="answers before")
                before = ssl.get_server_certificate(("127.0.0.1", server.tls_port))
                fresh = server.state / "keys/fresh.crt"  # at once, or a look of the job in between finds none
                fresh.write_text(pathlib.Path(f"{ending}.crt").read_text())
                fresh.replace(server.state / "keys/server.crt")
                wait_for(lambda: ssl.get_server_certificate(("127.0.0.1", server.tls_port)) != before, 60, "the renewal")
                n = len(answered)
                wait_for(lambda: len(answered) > n + 20, what="answers after")
            finally:
                stop.set()
                for client in clients:
                    client.join()
            self.assertEqual(errors, [])
            wait_for(lambda: "new server certificate" in log.read_text(), what="the line in jobs.log")
            self.assertRegex(log.read_text(), r"\A\S+Z certificate: new server certificate, good until [0-9-]+: the old one ended\b.*\n\Z")

    def test_a_failure_is_logged_once_and_the_server_goes_on(self):
        with Instance("none") as server:
            names = server.state / "keys/server.names"
            kept = names.read_text()
            log = server.state / "log/jobs.log"

            def failed():
                names.unlink(missing_ok=True)  # a look that had read them before writes them again
                return "certificate: failed: tls.sh:" in log.read_text()
            wait_for(failed, what="the failure")
            names.write_text(kept)
            wait_for(lambda: log.read_text().endswith("certificate: it works again\n"), what="the recovery")
            self.assertEqual(log.read_text().count("failed:"), 1)
            self.assertTrue(server.answers())


class Addresses(unittest.TestCase):
    def get(self, port, address, path="/Content/AB/none", tls=None):
        if tls is None:
            connection = http.client.HTTPConnection(address, port, timeout=30)
        else:
            connection = http.client.HTTPSConnection(address, port, timeout=30, context=tls)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status

    def start(self, *options):
        server = Instance("none", options=options)
        server.start()
        self.addCleanup(server.stop)
        return server, ssl.create_default_context(cafile=str(server.state / "keys/ca.crt"))

    def test_both_families_by_one_wildcard_and_content_alone_on_the_plain_port(self):
        server, trust = self.start("--listen", "::")
        for address in ("127.0.0.1", "::1"):
            self.assertEqual(self.get(server.port, address), 404)
            for path in ("/ClientWebService/client.asmx", "/SelfUpdate/wuident.cab", "/ReportingWebService/WebService.asmx",
                         "/SimpleAuthWebService/SimpleAuth.asmx"):
                self.assertEqual(self.get(server.port, address, path), 403, path)
            self.assertEqual(self.get(server.tls_port, address, "/ClientWebService/client.asmx", trust), 405)
            self.assertEqual(self.get(server.tls_port, address, "/SelfUpdate/wuident.cab", trust), 404)
        lines = (server.state / "log/access.log").read_text()
        self.assertNotIn("::ffff:", lines)  # an IPv4 client is its IPv4 address in logs and limits
        self.assertIn(" peer=::1 ", lines)

    @unittest.skipUnless(os.path.exists("/proc/net/if_inet6"), "this machine has no IPv6")
    def test_a_scan_over_ipv6_with_its_address_in_the_certificate(self):
        server, trust = self.start("--listen", "::")
        self.assertIn("IP:::1", (server.state / "keys/server.names").read_text())
        done = run(ROOT / "bin/wsus-probe", f"https://[::1]:{server.tls_port}", "--ca", server.state / "keys/ca.crt", "--name",
                   "six.example.org", check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        (computer,) = [c for c in server.ctl_json("computer", "list") if c["name"] == "six.example.org"]
        self.assertEqual(computer["address"], "::1")
        other = certificate(temporary(), "localhost", server.state / "keys/ca", extensions=named("DNS:localhost", "IP:127.0.0.1"))
        old = ssl.get_server_certificate(("::1", server.tls_port))
        run(TLS, "--install", server.state, f"{other}.crt", f"{other}.key")
        wait_for(lambda: ssl.get_server_certificate(("::1", server.tls_port)) != old, what="the certificate without it")
        done = run(ROOT / "bin/wsus-probe", f"https://[::1]:{server.tls_port}", "--ca", server.state / "keys/ca.crt", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("for another name", done.stderr)

    def test_addresses_one_by_one(self):
        server, trust = self.start("--listen", "127.0.0.3", "--listen", "[::1]", "--name", "updates.example.org")
        for address in ("127.0.0.3", "::1"):
            self.assertEqual(self.get(server.port, address, "/ClientWebService/client.asmx"), 405)
            self.assertEqual(self.get(server.tls_port, address, tls=trust), 404)
        with self.assertRaises(OSError):
            self.get(server.port, "127.0.0.1")
        self.assertIn("DNS:updates.example.org", (server.state / "keys/server.names").read_text())


class Handshakes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.shared()

    def connect(self, ciphers=None, low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(self.server.state / "keys/ca.crt"))
        context.minimum_version, context.maximum_version = low, high
        if ciphers:
            context.set_ciphers(ciphers)
        with socket.create_connection(("127.0.0.1", self.server.tls_port), 10) as s, \
                context.wrap_socket(s, server_hostname="localhost") as t:
            return t.version(), t.cipher()[0]

    def test_what_windows_8_1_and_server_2012_r2_offer_is_enough(self):
        version, cipher = self.connect("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:AES256-SHA",
                                       high=ssl.TLSVersion.TLSv1_2)
        self.assertEqual(version, "TLSv1.2")
        self.assertIn("GCM", cipher)

    def test_tls_1_3_is_there_and_older_than_1_2_is_not(self):
        self.assertEqual(self.connect()[0], "TLSv1.3")
        with self.assertRaises((ssl.SSLError, OSError)):
            self.connect("ALL:@SECLEVEL=0", ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)

    def test_an_rsa_certificate_serves_windows_7_with_cbc(self):
        with Instance("none") as server:
            own = certificate(temporary(), "localhost", kind="2048", extensions=named("DNS:localhost"))
            old = ssl.get_server_certificate(("127.0.0.1", server.tls_port))
            run(TLS, "--install", server.state, f"{own}.crt", f"{own}.key")
            wait_for(lambda: ssl.get_server_certificate(("127.0.0.1", server.tls_port)) != old, what="the certificate")
            context = ssl.create_default_context(cafile=f"{own}.crt")
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ECDHE-RSA-AES128-SHA256:AES128-SHA")
            with socket.create_connection(("127.0.0.1", server.tls_port), 10) as s, \
                    context.wrap_socket(s, server_hostname="localhost") as t:
                self.assertEqual(t.cipher()[0], "ECDHE-RSA-AES128-SHA256")

    def test_no_suite_without_forward_secrecy(self):
        with self.assertRaises((ssl.SSLError, OSError)):
            self.connect("AES256-SHA:AES128-SHA:AES128-GCM-SHA256", high=ssl.TLSVersion.TLSv1_2)


class Paths(unittest.TestCase):
    # holds: WUSP-TRANSPORT-08
    def test_services_answer_in_any_letter_case_and_with_doubled_slashes(self):
        server = harness.shared()
        for path in ("/ClientWebService/Client.asmx", "/ClientWebService/client.asmx", "/CLIENTWEBSERVICE/CLIENT.ASMX",
                     "//clientwebservice//client.asmx", "/ClientWebService/Client.asmx?WSDL"):
            status, _, body = server.post(harness.CLIENT, "GetConfig", "<protocolVersion>2.90</protocolVersion>", path=path)
            self.assertEqual(status, 200, path)
            self.assertIn(b"<GetConfigResult>", body)
        for path in ("/simpleauthwebservice/simpleauth.asmx", "//SimpleAuthWebService/SimpleAuth.asmx"):
            status, _, body = server.post(harness.AUTH, "GetAuthorizationCookie",
                                          "<clientId>6f9619ff-8b86-d011-b42d-00c04fc964ff</clientId>"
                                          "<dnsName>case.example.net</dnsName>", path=path)
            self.assertEqual(status, 200, path)
        for path in ("/ClientWebService/Client.asmx/x", "/ClientWebService/", "/x/ClientWebService/Client.asmx"):
            self.assertEqual(server.post(harness.CLIENT, "GetConfig", "", path=path)[0], 404, path)


if __name__ == "__main__":
    unittest.main()
