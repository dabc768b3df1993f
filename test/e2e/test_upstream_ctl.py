"""test_upstream_ctl.py -- naming the server above this one: `wsusctl upstream`."""
import os
import re
import ssl
import subprocess
import threading
import unittest

from harness import ROOT, Instance, free_ports, temporary, wait_for
from parent import Authority, Parent, small_catalog
from test_wsusctl import Place

MICROSOFT = "847DF6A78497943F27FC72EB93F9A637320A02B561D0A91B09E87A7807ED7C61"
SETTINGS = ("url", "kind", "mode", "soap", "ca", "ca_fingerprint", "pin", "certificate", "key", "login", "content_url", "proxy", "proxy_login")


class Naming(unittest.TestCase):
    """What is stored, without anybody being asked."""

    def setUp(self):
        self.place = Place(filled=False)
        self.folder = temporary()

    def set(self, *arguments, **kw):
        return self.place("upstream", "set", *arguments, "--no-check", **kw).stdout

    def wrong(self, *arguments, status=1):
        words = self.place.wrong("upstream", "set", *arguments, "--no-check", status=status)
        return words

    def shown(self):
        return self.place.json("upstream", "show")

    def file(self, name, text=""):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    # holds: WSUSSS-TRANSPORT-25
    def test_host_and_port_are_made_of_what_people_type(self):
        for typed, stored in (("wsus.example.net", "https://wsus.example.net:8531"), ("192.0.2.7", "https://192.0.2.7:8531"),
                              ("wsus:8530", "http://wsus:8530"), ("wsus:80", "http://wsus:80"), ("wsus:443", "https://wsus:443"),
                              ("http://wsus", "http://wsus:8530"), ("HTTPS://wsus/", "https://wsus:8531"),
                              ("http://wsus:8531//", "http://wsus:8531"), (" https://wsus:1 ", "https://wsus:1"),
                              ("[2001:db8::1]", "https://[2001:db8::1]:8531"), ("http://[::1]:80", "http://[::1]:80")):
            with self.subTest(typed):
                self.assertIn(f"upstream: {stored}, autonomous", self.set(typed))
                self.assertEqual(self.shown()["url"], stored)
        self.assertIn("(with TLS, and the port that servers of Windows have for it; http:// before it for plain HTTP)", self.set("a"))
        self.assertIn("(without TLS, as its port says)", self.set("a:8530"))
        self.assertIn("(the port that servers of Windows have for it)", self.set("http://b"))
        self.assertNotIn("(", self.set("https://b:8531"))

    def test_what_is_no_address_is_refused_in_words(self):
        for typed, words in (("2001:db8::1", "an IPv6 address stands in brackets"), ("http://", "the address of a server is written"),
                             ("https://a/ServerSyncWebService/ServerSyncWebService.asmx", "what lies below it is known"),
                             ("ftp:x", '"x" is no port'), ("a:65536", '"65536" is no port'), ("a:", '"" is no port'),
                             ("[::1]x", "an IPv6 address stands in brackets")):
            self.assertIn(words, self.wrong(typed, status=2), typed)
        for typed in ("https://secret@a", "a b", "https://a#b"):
            self.assertIn("upstream.url takes http[s]://HOST[:PORT] or empty", self.wrong(typed))
        self.assertEqual(self.shown()["url"], None)
        self.assertIn("--url belongs to `upstream set microsoft`", self.wrong("a", "--url", "https://b", status=2))
        self.assertIn("upstream.mode takes autonomous|replica", self.wrong("a", "--mode", "both"))
        self.assertIn("upstream.pin takes", self.wrong("a", "--pin", "abc"))

    def test_nothing_is_there_at_first(self):
        self.assertIn("no server above this one", self.place("upstream", "show").stdout)
        shown = self.shown()
        self.assertEqual({k: shown[k] for k in SETTINGS}, dict.fromkeys(SETTINGS) | {
            "kind": "server", "mode": "autonomous", "soap": "1.1"})
        self.assertEqual((shown["met"], shown["languages"], shown["update_anchor"]), (None, [], None))
        self.assertIn("there was no server above this one", self.place("upstream", "none").stdout)
        self.assertIn("wsusctl upstream set URL", self.place("upstream", "check", status=2).stdout)

    # holds: WSUSSS-TRANSPORT-27
    def test_what_is_needed_to_reach_it_is_stored_with_it_and_goes_with_it(self):
        authority = Authority(folder=self.folder / "ca")
        certificate, key = authority.issue("child")
        login, proxy = self.file("login", "me:secret\n"), self.file("proxy-login", "you:secret\n")
        pin = "sha256//" + "A" * 43 + "="
        self.set("https://a:8531", "--ca", authority.file, "--pin", pin, "--certificate", certificate, "--key", key, "--login", login,
                 "--proxy", "http://proxy.example:3128", "--proxy-login", proxy, "--content-url", "http://a:8530", "--soap", "1.2",
                 "--ca-fingerprint", authority.fingerprint())
        shown = self.shown()
        self.assertEqual({k: shown[k] for k in SETTINGS}, {
            "url": "https://a:8531", "kind": "server", "mode": "autonomous", "soap": "1.2", "ca": str(authority.file),
            "ca_fingerprint": authority.fingerprint().upper(), "pin": pin, "certificate": str(certificate), "key": str(key),
            "login": str(login), "content_url": "http://a:8530", "proxy": "http://proxy.example:3128", "proxy_login": str(proxy)})
        self.set("https://a:8531", "--login", "")
        again = self.shown()
        self.assertEqual((again["login"], again["pin"], again["soap"]), (None, pin, "1.2"))
        said = self.set("https://b:8531")
        for name, value in (("upstream.ca", authority.file), ("upstream.pin", pin), ("upstream.key", key)):
            self.assertIn(f"{name} belonged to the server before and is empty now: it was {value}", said)
        other = self.shown()
        self.assertEqual({k: other[k] for k in SETTINGS}, dict.fromkeys(SETTINGS) | {
            "url": "https://b:8531", "kind": "server", "mode": "autonomous", "soap": "1.1", "proxy": "http://proxy.example:3128",
            "proxy_login": str(proxy)})
        self.assertIn("upstream set https://b:8531 --mode autonomous", self.place.noted())
        self.place("upstream", "none")
        self.assertEqual((self.shown()["url"], self.shown()["proxy"]), (None, "http://proxy.example:3128"))

    def test_files_are_looked_into_before_they_are_named(self):
        authority = Authority(folder=self.folder / "ca")
        der = self.file("root.cer", ssl.PEM_cert_to_DER_cert(authority.file.read_text()))
        two = self.file("two.pem", authority.file.read_text() * 2)
        words = self.wrong("a", "--ca", der)
        self.assertIn(f"openssl x509 -inform der -in {der} -out {der}.pem", words)
        self.assertIn("no certificate in it", self.wrong("a", "--ca", self.file("empty.pem", "hello\n")))
        self.assertIn("there is no such file", self.wrong("a", "--login", self.folder / "nowhere"))
        self.assertIn("--certificate and --key belong together", self.wrong("a", "--certificate", authority.file, status=2))
        self.assertIn("is another certificate than it should be", self.wrong("a", "--ca", authority.file, "--ca-fingerprint", MICROSOFT))
        self.assertIn("must be alone there", self.wrong("a", "--ca", two, "--ca-fingerprint", authority.fingerprint()))
        self.assertEqual(self.shown()["url"], None)
        colons = ":".join(re.findall("..", authority.fingerprint()))
        self.place("upstream", "set", "a", "--no-check", "--ca", os.path.relpath(authority.file, self.folder), "--ca-fingerprint",
                   f"sha256 Fingerprint={colons}", cwd=self.folder)
        self.assertEqual((self.shown()["ca"], self.shown()["ca_fingerprint"]), (str(authority.file), authority.fingerprint().upper()))

    # holds: WSUSSS-TRANSPORT-26 WSUSSS-DSS-META-27
    def test_microsoft_is_taken_with_its_own_root_alone(self):
        authority = Authority("Microsoft Root Certificate Authority 2011", self.folder / "ca")
        words = self.wrong("microsoft")
        self.assertIn("Microsoft Root Certificate Authority 2011", words)
        self.assertIn(MICROSOFT, words)
        self.assertIn("curl -s https://www.microsoft.com/pki/certs/MicRooCerAut2011_2011_03_22.crt | openssl x509 -inform der -out ", words)
        self.assertIn("is another certificate than it should be", self.wrong("microsoft", "--ca", authority.file))
        mine = ("microsoft", "--ca", authority.file, "--ca-fingerprint", authority.fingerprint())
        self.assertIn("nothing to be a replica of", self.wrong(*mine, "--mode", "replica"))
        self.assertIn("over TLS alone", self.wrong(*mine, "--url", "http://127.0.0.1:1"))
        self.place("config", "set", "content.store", "microsoft")
        self.set(*mine)
        self.assertEqual({k: self.shown()[k] for k in ("url", "kind", "mode", "ca_fingerprint")}, {
            "url": "https://sws.update.microsoft.com", "kind": "microsoft", "mode": "autonomous",
            "ca_fingerprint": authority.fingerprint().upper()})
        self.assertEqual(self.place("config", "get", "content.store").stdout, "microsoft\n")
        self.set(*mine, "--url", "https://copy.example")
        self.assertEqual(self.shown()["url"], "https://copy.example")
        self.set("https://copy.example:443")
        self.assertEqual((self.shown()["kind"], self.shown()["ca"]), ("server", None))

    def test_what_the_configuration_file_says_is_changed_there(self):
        conf = self.file("wsus.conf", f"store = {self.place.store}\nupstream.url = https://file.example:8531\n")
        environment = {**os.environ, "WSUS_CONF": str(conf)}
        words = self.place.wrong("upstream", "set", "other.example", "--no-check", env=environment)
        self.assertIn(f"upstream.url is set in {conf}:2; change it there, then `wsusctl config apply`", words)
        self.place("config", "apply", env=environment)
        self.place("upstream", "set", "https://file.example:8531", "--mode", "replica", "--no-check", env=environment)
        self.assertEqual((self.shown()["url"], self.shown()["mode"]), ("https://file.example:8531", "replica"))
        self.assertIn("upstream.url is set in", self.place.wrong("upstream", "none", env=environment))


class Modes(unittest.TestCase):
    def setUp(self):
        self.place = Place()

    def test_to_become_a_replica_is_said_twice_where_something_was_decided(self):
        said = self.place("upstream", "set", "a", "--mode", "replica", "--no-check").stdout
        self.assertIn("a replica has the groups, approvals and declines of the server above, and none of its own", said)
        said = self.place("upstream", "set", "a", "--mode", "autonomous", "--no-check").stdout
        self.assertIn("this server was a replica: the groups and approvals that it has from https://a:8531 stay and are its own", said)
        ids = [r["id"] for r in self.place.json("update", "list")][:3]
        self.place("group", "create", "Pilots")
        self.place("approve", ids[0], "--group", "Pilots")
        self.place("decline", ids[1], ids[2])
        done = self.place("upstream", "set", "a", "--mode", "replica", "--no-check", status=1)
        self.assertIn("1 group, 1 approval, 2 declined updates; `wsusctl backup` keeps them, and --yes says that this is meant", done.stderr)
        self.assertEqual(self.place.json("upstream", "show")["mode"], "autonomous")
        self.place("upstream", "set", "a", "--mode", "replica", "--no-check", "--yes")
        self.assertEqual(self.place.json("upstream", "show")["mode"], "replica")
        self.assertIn("a", self.place("approve", ids[0], "--group", "all", status=1).stderr)
        said = self.place("upstream", "none").stdout
        self.assertIn("and so do groups and approvals, which are this server's own from now on", said)
        self.place("approve", ids[0], "--group", "all")
        self.assertIn("upstream none", self.place.noted())
        self.place.audit()


class Trim(unittest.TestCase):
    """What a first synchronization declines; which updates those are is t_trim's."""

    def setUp(self):
        self.place = Place()

    def declined(self):
        return {r["id"]: self.place.json("update", "show", r["id"])["declined_by"] for r in self.place.json("update", "list", "--declined")}

    def test_words_decline_and_undo_takes_exactly_those_back(self):
        first = self.place.json("update", "list")[0]["id"]
        self.place("decline", first, "--admin", "eva")
        said = self.place("trim", "expired", "superseded", "--dry-run").stdout
        self.assertRegex(said, r"(?m)^expired +\d+  \S.*\n^superseded +\d+  \S")
        self.assertIn("updates would be declined", said)
        self.assertEqual(self.declined(), {first: "eva"})
        counted = {r["word"]: r["updates"] for r in self.place.json("trim", "expired", "superseded")}
        declined = self.declined()
        for word, n in counted.items():
            self.assertGreater(n, 0, word)
            self.assertEqual(sum(by == f"trim:{word}" for by in declined.values()), n, word)
        self.assertEqual(len(declined), 1 + sum(counted.values()))
        self.assertIn(f"{counted['expired']} updates offered again", self.place("trim", "expired", "--undo").stdout)
        self.place("trim", "--undo")
        self.assertEqual(self.declined(), {first: "eva"})
        noted = self.place.noted()
        self.assertIn(f"trim expired superseded: {sum(counted.values())} updates", noted)
        self.assertIn(f"trim --undo expired: {counted['expired']} updates", noted)
        self.place.audit()

    def test_the_setting_stands_in_for_words(self):
        self.assertIn("say what: words of expired", self.place.wrong("trim", status=2))
        self.assertIn('"new" is none of expired', self.place.wrong("trim", "new", status=2))
        self.place("config", "set", "sync.trim", "expired")
        self.assertEqual([r["word"] for r in self.place.json("trim", "--dry-run")], ["expired"])

    def test_a_replica_declines_nothing(self):
        self.place("upstream", "set", "https://above.example", "--mode", "replica", "--no-check")
        self.assertIn("https://above.example", self.place.wrong("trim", "expired"))
        self.assertIn("https://above.example", self.place.wrong("trim", "--undo", "--dry-run"))


class Asking(unittest.TestCase):
    """The server is asked before anything is stored."""

    def setUp(self):
        self.place = Place(filled=False)

    def test_a_server_that_cannot_be_reached_is_not_stored(self):
        port = free_ports()[0]
        done = self.place("upstream", "set", f"http://127.0.0.1:{port}", status=1)
        self.assertIn("nothing was stored; correct what is said above, or give --no-check", done.stderr)
        self.assertEqual(self.place.json("upstream", "show")["url"], None)
        self.place("upstream", "set", f"http://127.0.0.1:{port}", "--no-check")
        self.assertEqual(self.place("upstream", "check", status=1).returncode, 1)

    # holds: WSUSSS-TRANSPORT-25 WSUSSS-TRANSPORT-27
    def test_one_that_answers_is(self):
        with Parent(small_catalog(), login="me:secret") as parent:
            parent.lenient = True  # who only asks keeps nothing
            done = self.place("upstream", "set", parent.url, status=1)
            self.assertIn("nothing was stored", done.stderr)
            login = self.place.state / "login"
            login.write_text("me:secret\n")
            login.chmod(0o600)
            self.assertIn(f"upstream: {parent.url}, autonomous", self.place("upstream", "set", parent.url, "--login", login).stdout)
            shown = self.place.json("upstream", "show")
            self.assertEqual((shown["url"], shown["login"], shown["met"]), (parent.url, str(login), None))
            self.place("upstream", "check")
            self.assertIsNone(self.place.json("upstream", "show")["met"])
            answer = self.place("upstream", "set", parent.url, "--mode", "replica", "--json")
            self.assertIn('"mode": "replica"', answer.stdout)
            parent.assert_well_behaved(self)

    def test_the_server_is_not_exchanged_under_a_synchronization(self):
        with Parent(small_catalog()) as parent:
            self.place("upstream", "set", parent.url, "--no-check")
            gate = threading.Event()
            self.addCleanup(gate.set)
            parent.on("GetConfigData", hang=gate)
            running = subprocess.Popen([ROOT / "bin/wsus-sync", "run", "--store", self.place.store, "--quiet"])
            self.addCleanup(running.wait)
            wait_for(lambda: "GetConfigData" in [r.operation for r in parent.requests])
            for arguments in (("none",), ("set", "https://other.example", "--no-check"), ("set", parent.url, "--mode", "replica", "--no-check")):
                self.assertIn("a synchronization is under way", self.place("upstream", *arguments, status=1).stderr)
            self.assertEqual((self.place.json("upstream", "show")["url"], self.place.json("upstream", "show")["mode"]), (parent.url, "autonomous"))
            self.place("upstream", "set", parent.url, "--proxy", "http://proxy.example:1", "--no-check")
            gate.set()
            self.assertEqual(running.wait(), 0)
            self.place("upstream", "none")

    # holds: WSUSSS-TRANSPORT-26
    def test_a_chain_that_ends_elsewhere_is_refused(self):
        authority = Authority()
        with Parent(small_catalog(), tls=authority.context()) as parent:
            done = self.place("upstream", "set", parent.url, status=1)
            self.assertIn("nothing was stored", done.stderr)
            self.assertEqual(parent.requests, [])
            self.place("upstream", "set", parent.url, "--ca", authority.file)
            mine = ("microsoft", "--url", parent.url, "--ca", authority.file, "--ca-fingerprint", authority.fingerprint())
            self.place("upstream", "set", *mine)
            self.assertEqual(self.place.json("upstream", "show")["kind"], "microsoft")


class Microsoft(unittest.TestCase):
    """A copy of Microsoft's server: its form, its limits, its root."""

    # holds: WSUSSS-TRANSPORT-26 WSUSSS-DSS-META-02
    def test_from_naming_it_to_the_first_updates(self):
        authority = Authority("Microsoft Root Certificate Authority 2011")
        with Parent(small_catalog(120), tls=authority.context(), microsoft_update=True) as parent:
            parent.lenient = True  # who only asks keeps nothing
            place = Place(filled=False)
            place("upstream", "set", "microsoft", "--url", parent.url, "--ca", authority.file, "--ca-fingerprint", authority.fingerprint())
            self.assertIsNone(place.json("upstream", "show")["met"])
            place("sync", "run")
            shown = place.json("upstream", "show")
            self.assertEqual((shown["protocol"], shown["catalog_only"], shown["express"], shown["max_updates"]), ("1.21", True, True, 100))
            self.assertEqual((shown["kind"], shown["mode"], shown["update_anchor"]), ("microsoft", "autonomous", None))
            self.assertIsNotNone(shown["met"])
            self.assertIsNotNone(shown["category_anchor"])
            self.assertEqual([r["language"] for r in shown["languages"] if r["enabled"]], ["en"])
            self.assertIn("Protocol version", place("upstream", "show").stdout)
            said = place("product", "select", "Small Product").stdout
            self.assertIn("Small Product: adds 120 updates (exact)", said)
            place("sync", "run")
            self.assertEqual(len(place.json("update", "list", "--type", "software")), 120)
            self.assertIsNotNone(place.json("upstream", "show")["update_anchor"])
            self.assertEqual(parent.wanted, [])
            self.assertIn("what was learned of", place("upstream", "none").stdout)
            self.assertEqual(len(place.json("update", "list", "--type", "software")), 120)
            row = place.json("product", "list")[0]
            self.assertEqual((row["selected"], row["covered"], row["counted"]), (True, False, None))
            parent.assert_well_behaved(self)

    def test_another_root_than_the_named_one_is_not_asked(self):
        mine, other = Authority("Mine"), Authority("Other")
        with Parent(small_catalog(), tls=mine.context(), microsoft_update=True) as parent:
            place = Place(filled=False)
            done = place("upstream", "set", "microsoft", "--url", parent.url, "--ca", other.file, "--ca-fingerprint", other.fingerprint(), status=1)
            self.assertIn("nothing was stored", done.stderr)
            self.assertEqual(parent.requests, [])
            # the file is exchanged behind our back: the fingerprint is looked at each time
            place("upstream", "set", "microsoft", "--url", parent.url, "--ca", mine.file, "--ca-fingerprint", mine.fingerprint())
            mine.file.write_text(other.file.read_text())
            seen = len(parent.requests)
            place("sync", "run", status=1)
            self.assertEqual(len(parent.requests), seen)


class Servers(unittest.TestCase):
    """Two instances."""

    def test_a_parent_that_has_not_approved_this_server_says_so(self):
        with Instance("none") as above:
            place = Place(filled=False)
            done = place("upstream", "set", f"http://127.0.0.1:{above.port}", status=1)
            self.assertIn("wsusctl downstream approve", done.stdout + done.stderr)
            self.assertEqual(place.json("upstream", "show")["url"], None)
            pending = above.ctl_json("downstream", "list")
            self.assertEqual([r["state"] for r in pending], ["pending"])
            above.ctl(*pending[0]["do"].split()[1:])
            place("upstream", "set", f"http://127.0.0.1:{above.port}")
            self.assertEqual(place.json("upstream", "show")["url"], f"http://127.0.0.1:{above.port}")


if __name__ == "__main__":
    unittest.main()
