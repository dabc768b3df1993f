"""test_downstream_ctl.py -- who runs a server below which others stand: `wsusctl downstream`, the files that such servers want,
and content files by name."""
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest
import uuid

from harness import Instance, fault_code, find, payload, wait_for
from test_wsusctl import CTL, Place, documents, on_terminal

DSS_AUTH = "http://www.microsoft.com/SoftwareDistribution/Server/DssAuthWebService"
SYNC = "http://www.microsoft.com/SoftwareDistribution"
SYNC_PATH = "/ServerSyncWebService/ServerSyncWebService.asmx"
DSS_AUTH_PATH = "/DssAuthWebService/DssAuthWebService.asmx"


class Servers(unittest.TestCase):
    """Servers that come to one instance, and what its administrator does about them."""

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("none")
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        for row in self.list():
            self.server.ctl("downstream", "delete", row["id"])
        self.server.ctl("config", "set", "downstream.admission", "approval")

    def list(self):
        return self.server.ctl_json("downstream", "list")

    def come(self, name, number):
        """GetAuthorizationCookie; the cookie, or the fault's ErrorCode and Message."""
        status, _, body = self.server.post(
            DSS_AUTH, "GetAuthorizationCookie",
            f"<accountName>{name}</accountName><accountGuid>{uuid.UUID(int=number)}</accountGuid><programKeys />", path=DSS_AUTH_PATH)
        if status == 200:
            return find(payload(body), "GetAuthorizationCookieResult/CookieData")
        return fault_code(body), re.search(rb"<Message>([^<]*)</Message>", body)[1].decode()

    def row(self, number):
        return next(r for r in self.list() if r["id"] == str(uuid.UUID(int=number)))

    def wrong(self, *arguments, status=1):
        done = self.server.ctl("downstream", *arguments, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_nobody_came_and_the_list_says_how_one_is_set_up(self):
        self.assertEqual(self.list(), [])
        words = self.server.ctl("downstream", "list").stdout
        self.assertRegex(words, rf"host \S+, port {self.server.tls_port}, with TLS")
        self.assertIn("Update Source and Proxy Server", words)

    # holds: WSUSSS-AUTHCOOKIE-06 WSUSSS-AUTHCOOKIE-07 WSUSSS-AUTHCOOKIE-09
    def test_a_server_comes_is_approved_blocked_and_forgotten(self):
        code, message = self.come("dss1.example.net", 1)
        self.assertEqual(code, "InvalidParameters")
        self.assertTrue(message.startswith("accountGuid"), message)
        row = self.row(1)
        self.assertEqual((row["name"], row["state"], row["mode"], row["protocol"], row["listed"], row["address"]),
                         ("dss1.example.net", "pending", None, None, None, "127.0.0.1"))
        self.assertEqual(row["do"], "wsusctl downstream approve dss1.example.net")
        self.assertEqual(self.server.requests("auth")[-1]["do"], f'"{row["do"]}"')
        self.assertIn(row["do"], self.server.ctl("downstream", "list").stdout)

        done = self.server.ctl(*row["do"].split()[1:], "--admin", "eva")
        self.assertIn(f"approved: dss1.example.net ({uuid.UUID(int=1)}); it may synchronize from now on", done.stdout)
        self.assertIsInstance(self.come("dss1.example.net", 1), str)
        shown = self.server.ctl_json("downstream", "show", "DSS1")
        self.assertEqual((shown["state"], shown["by"], shown["wanted_files"]), ("approved", "eva", 0))
        self.assertIsInstance(self.come("renamed.example.net", 1), str)
        self.assertEqual(self.row(1)["name"], "renamed.example.net")

        done = self.server.ctl("downstream", "block", "renamed")
        self.assertIn("`wsusctl downstream approve renamed.example.net` lets it come again", done.stdout)
        code, message = self.come("renamed.example.net", 1)
        self.assertEqual(code, "InvalidParameters")
        self.assertIn("blocked", message)
        self.server.ctl("downstream", "approve", "renamed.example.net")
        self.assertIsInstance(self.come("renamed.example.net", 1), str)

        done = self.server.ctl("downstream", "delete", "renamed.example.net")
        self.assertIn("if it comes again, it waits for `wsusctl downstream approve`", done.stdout)
        self.assertEqual(self.list(), [])
        self.assertEqual(self.come("renamed.example.net", 1)[0], "InvalidParameters")
        self.assertEqual(self.row(1)["state"], "pending")
        noted = [r["what"] for r in self.server.ctl_json("store", "history")]
        ours = [w for w in noted if str(uuid.UUID(int=1)) in w and not w.startswith("downstream delete")]
        self.assertEqual([w.split()[1] for w in sorted(ours, key=noted.index)].count("approve"), 2)
        self.assertIn(f'downstream block {uuid.UUID(int=1)} "renamed.example.net"', noted)
        self.assertIn(f"downstream delete {uuid.UUID(int=1)}", noted)
        self.assertEqual(self.server.ctl("store", "audit").returncode, 0)

    def test_names_lead_to_one_server_or_to_none(self):
        for name, number in (("one.example.net", 1), ("twin.example.net", 2), ("Twin.Example.Net", 3), ("host.a.example", 4),
                             ("host.b.example", 5)):
            self.come(name, number)
        self.assertEqual(self.server.ctl_json("downstream", "show", "ONE")["id"], str(uuid.UUID(int=1)))
        self.assertEqual(self.server.ctl_json("downstream", "show", "host.B.example")["id"], str(uuid.UUID(int=5)))
        for name, numbers in (("twin.example.net", (2, 3)), ("host", (4, 5))):
            words = self.wrong("approve", name)
            self.assertIn(f'2 downstream servers are called "{name}"; give the id:', words)
            for number in numbers:
                self.assertIn(str(uuid.UUID(int=number)), words)
        self.assertEqual(self.row(2)["do"], f"wsusctl downstream approve {uuid.UUID(int=2)}")
        self.assertEqual(self.row(4)["do"], "wsusctl downstream approve host.a.example")
        self.assertIn('no downstream server "nobody" has come yet', self.wrong("approve", "nobody"))
        self.assertEqual({r["state"] for r in self.list()}, {"pending"})

    # partly: WSUSSS-TRANSPORT-29 (names of other forms are refused before they are kept)
    def test_a_name_that_is_an_id_of_another_admits_nobody_else(self):
        self.come(str(uuid.UUID(int=7)), 6)
        row = self.row(6)
        self.assertEqual(row["name"], str(uuid.UUID(int=7)))
        self.assertEqual(row["do"], f"wsusctl downstream approve {uuid.UUID(int=6)}")
        self.assertEqual(self.server.requests("auth")[-1]["do"], f'"{row["do"]}"')

    def test_a_server_is_decided_upon_before_it_comes(self):
        for verb, state in (("approve", "approved"), ("block", "blocked")):
            number = {"approve": 8, "block": 9}[verb]
            name = f"later-{verb}.example.net"
            self.assertIn("give --name NAME, too", self.wrong(verb, str(uuid.UUID(int=number))))
            for bad in ("two words", "$(reboot)", "-x", "", str(uuid.UUID(int=3)), "x" * 256):
                self.assertIn("--name is the server's name", self.wrong(verb, str(uuid.UUID(int=number)), f"--name={bad}", status=2))
            self.server.ctl("downstream", verb, str(uuid.UUID(int=number)).upper(), "--name", name)
            row = self.row(number)
            self.assertEqual((row["name"], row["state"], row["last_seen"]), (name, state, None))
        self.assertIsInstance(self.come("other.example.net", 8), str)
        self.assertIn("blocked", self.come("other.example.net", 9)[1])
        self.assertIsNotNone(self.row(8)["last_seen"])
        self.server.ctl("downstream", "delete", str(uuid.UUID(int=8)))
        self.assertEqual([r["id"] for r in self.list()], [str(uuid.UUID(int=9))])

    def test_open_admission_lets_all_come_but_the_blocked(self):
        self.come("waits.example.net", 1)
        self.come("bad.example.net", 2)
        self.server.ctl("downstream", "block", "bad")
        self.server.ctl("config", "set", "downstream.admission", "open")
        self.assertIsInstance(self.come("waits.example.net", 1), str)
        self.assertIsInstance(self.come("new.example.net", 3), str)
        self.assertIn("blocked", self.come("bad.example.net", 2)[1])
        self.assertEqual([(r["state"], r["do"]) for r in sorted(self.list(), key=lambda r: r["id"])],
                         [("open", None), ("blocked", None), ("open", None)])
        self.assertIn("it may come again", self.server.ctl("downstream", "delete", "new").stdout)
        self.server.ctl("config", "set", "downstream.admission", "approval")
        self.assertEqual(self.come("waits.example.net", 1)[0], "InvalidParameters")

    def test_all_that_wait_are_forgotten_at_once(self):
        for number in range(1, 6):
            self.come(f"s{number}.example.net", number)
        self.server.ctl("downstream", "approve", "s2")
        self.server.ctl("downstream", "block", "s4")
        self.assertIn("deleted: 3 downstream servers that nobody decided upon", self.server.ctl("downstream", "delete", "--pending").stdout)
        self.assertEqual({r["name"] for r in self.list()}, {"s2.example.net", "s4.example.net"})
        self.assertIn("give a downstream server, or --pending", self.wrong("delete", status=2))
        self.assertIn("give a downstream server, or --pending", self.wrong("delete", "s2", "--pending", status=2))

    def test_on_a_narrow_terminal_the_command_stands_below_its_server(self):
        self.come("dss1.example.net", 1)
        text, status = on_terminal(80, CTL, "--store", self.server.state / "store", "downstream", "list")
        self.assertEqual(status, 0)
        self.assertIn("\n    wsusctl downstream approve dss1.example.net\n", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)


class Wanted(unittest.TestCase):
    """Files that a downstream server asks for with DownloadFiles, until they are here."""

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("none")
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        cls.server.ctl("update", "import", documents() / "updates")
        cls.files = sorted(p for p in (documents() / "content").rglob("*") if p.is_file())
        cls.digest = {p: hashlib.sha1(p.read_bytes()).digest() for p in cls.files}
        cls.dss = str(uuid.UUID(int=77))
        cls.server.ctl("downstream", "approve", cls.dss, "--name", "asks.example.net")
        cls.cookie = cls.handshake()

    @classmethod
    def call(cls, ns, path, operation, inner):
        status, _, body = cls.server.post(ns, operation, inner, path=path)
        if status != 200:
            raise AssertionError(f"{operation}: {body.decode()}")
        return payload(body)

    @classmethod
    def sync(cls, operation, inner):
        return cls.call(SYNC, SYNC_PATH, operation, inner)

    @classmethod
    def handshake(cls):
        auth = cls.call(DSS_AUTH, DSS_AUTH_PATH, "GetAuthorizationCookie",
                        f"<accountName>asks.example.net</accountName><accountGuid>{cls.dss}</accountGuid><programKeys />")
        data = find(auth, "GetAuthorizationCookieResult/CookieData")
        answer = cls.sync("GetCookie", "<authCookies><AuthorizationCookie><PlugInId>DssTargeting</PlugInId>"
                          f"<CookieData>{data}</CookieData></AuthorizationCookie></authCookies><oldCookie xsi:nil=\"true\" "
                          "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" /><protocolVersion>1.20</protocolVersion>")
        return (f"<cookie><Expiration>{find(answer, 'GetCookieResult/Expiration')}</Expiration>"
                f"<EncryptedData>{find(answer, 'GetCookieResult/EncryptedData')}</EncryptedData></cookie>")

    def download(self, *paths):
        digests = "".join(f"<base64Binary>{base64.b64encode(self.digest[p]).decode()}</base64Binary>" for p in paths)
        self.sync("DownloadFiles", f"{self.cookie}<fileDigestList>{digests}</fileDigestList>")

    def wanted(self):
        return {r["sha1"]: r for r in self.server.ctl_json("content", "wanted")}

    def status(self):
        s = self.server.ctl_json("content", "status")
        return s["wanted_files"], s["wanted_bytes"]

    # holds: WSUSSS-DOWNLOADFILES-13
    # partly: WSUSSS-DOWNLOADFILES-12 (a file that is here; the empty list is the service's)
    def test_what_is_asked_for_is_listed_until_it_is_here(self):
        self.assertEqual(self.server.ctl("content", "wanted").stdout, "no downstream server waits for a file\n")
        a, b, c = self.files[:3]
        bell = self.server.state / "store/fleet/content.bell"
        bell.unlink(missing_ok=True)
        self.download(a, b)
        self.assertEqual(bell.stat().st_mode & 0o7777, 0o660)
        self.download(a, c)
        rows = self.wanted()
        self.assertEqual(set(rows), {self.digest[p].hex().upper() for p in (a, b, c)})
        row = rows[self.digest[a].hex().upper()]
        self.assertEqual((row["server"], row["times"], row["bytes"]), ("asks.example.net", 2, a.stat().st_size))
        self.assertRegex(row["name"], r"\.\w+$")
        self.assertEqual(self.status(), (3, sum(p.stat().st_size for p in (a, b, c))))
        self.assertEqual(self.server.ctl_json("downstream", "show", "asks")["wanted_files"], 3)
        metrics = self.server.state / "metrics"
        self.server.ctl("health", "--metrics", metrics, check=False)
        for line in ("wsus_files_wanted 3", f"wsus_files_wanted_bytes {self.status()[1]}", "wsus_downstream_servers 1",
                     "wsus_downstream_servers_pending 0"):
            self.assertIn(f"\n{line}\n", metrics.read_text())
        self.assertIn(" asks.example.net  ", self.server.ctl("content", "wanted").stdout)

        self.server.ctl("content", "add", a)
        self.assertEqual(set(self.wanted()), {self.digest[p].hex().upper() for p in (b, c)})
        bell.unlink()
        self.download(a)  # it is here: nothing to do
        self.assertEqual(len(self.wanted()), 2)
        self.assertFalse(bell.exists(), "it rings for what is to be fetched")
        self.assertEqual(self.server.ctl("store", "audit").returncode, 0)
        self.server.stop()
        self.server.start()
        self.assertEqual(len(self.wanted()), 2, "a restart loses nothing")

        (self.server.state / "content" / f"{self.digest[a].hex().upper()[-2:]}/{self.digest[a].hex().upper()}").unlink()
        self.server.ctl("content", "verify", check=False)
        self.download(a)
        self.assertEqual(len(self.wanted()), 3)
        self.server.ctl("content", "add", *(self.files))
        self.assertEqual((self.wanted(), self.status()), ({}, (0, 0)))

    # holds: WSUSSS-CONTENT-03
    # partly: WSUSSS-CONTENT-11 (by name; test_content.py has the rest)
    def test_a_file_is_served_by_both_its_names_once_it_is_here(self):
        path = self.files[5]
        digest = self.digest[path].hex().upper()
        self.download(path)
        name = self.wanted()[digest]["name"]
        addresses = [f"/Content/{digest[-2:]}/{n}" for n in (name, name.upper(), name.lower(), f"{digest}.{name.rpartition('.')[2]}")]
        self.assertEqual([self.server.http("GET", a)[0] for a in addresses], [404] * 4)
        self.server.ctl("content", "add", path)
        for address in addresses:
            status, _, body = self.server.http("GET", address)
            self.assertEqual((status, body == path.read_bytes()), (200, True), address)

    def test_the_list_of_updates_and_of_approvals_tells_the_mode(self):
        def row():
            return next(r for r in self.server.ctl_json("downstream", "list") if r["id"] == self.dss)
        self.sync("GetRevisionIdList", f"{self.cookie}<filter><GetConfig>false</GetConfig></filter>")
        wait_for(lambda: row()["mode"] == "autonomous", what="the note of the list")
        self.assertEqual(row()["protocol"], "1.20")
        self.assertRegex(row()["listed"], r"^20\d\d-")
        anchor = find(self.sync("GetRevisionIdList", f"{self.cookie}<filter><GetConfig>true</GetConfig></filter>"),
                      "GetRevisionIdListResult/Anchor")
        self.sync("GetDeployments", f"{self.cookie}<deploymentAnchor /><syncAnchor>{anchor}</syncAnchor>")
        wait_for(lambda: row()["mode"] == "replica", what="the note of the deployments")

    def test_the_key_of_an_encrypted_file_is_kept_and_not_told(self):
        digest = self.digest[self.files[0]].hex()
        self.server.ctl("content", "key", digest, base64.b64encode(b"a secret").decode())
        noted = self.server.ctl_json("store", "history")[-1]["what"]
        self.assertEqual(noted, f"content key {digest}")
        for wrong in ("not base64!", "", base64.b64encode(bytes(1025)).decode()):
            done = self.server.ctl("content", "key", digest, wrong, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("a decryption key is 1 to 1024 bytes in base64", done.stderr)
        self.assertIn("no update names the file", self.server.ctl("content", "key", "0" * 40, "QUJD", check=False).stderr)
        self.assertIn("40 digits", self.server.ctl("content", "key", "00", "QUJD", check=False).stderr)


class Names(unittest.TestCase):
    """content/names/XX/<name in lower case>: a symbolic link whose text is the digest."""

    def setUp(self):
        self.place = Place(filled=False)
        self.content = self.place.state / "content"
        self.names = self.content / "names"
        self.files = self.place.state / "files"
        self.files.mkdir()
        self.template = next(
            t for p in sorted((documents() / "updates").rglob("*.xml"))
            for t in [p.read_text(encoding="utf-8")] if t.count("<upd:File ") == 1 and "<upd:BundledUpdates" not in t)
        self.documents = 0

    def make_file(self, text, folder=None):
        """A file of this text and some digits behind it, so that its digest ends with `folder`; (digest, path)."""
        for i in range(100000):
            data = f"{text} {i}".encode()
            digest = hashlib.sha1(data).hexdigest().upper()
            if folder in (None, digest[-2:]):
                path = self.files / digest
                path.write_bytes(data)
                return digest, path
        raise AssertionError("no such digest")

    def load(self, *files):
        """Imports documents, each with one file: (name, digest, path)."""
        paths = []
        for name, digest, path in files:
            self.documents += 1
            text = re.sub(r"<upd:AdditionalDigest .*?</upd:AdditionalDigest>", "", self.template, flags=re.S)
            text = re.sub(r'(<upd:File [^>]*?Digest=")[^"]*', rf"\g<1>{base64.b64encode(bytes.fromhex(digest)).decode()}", text)
            escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
            text = re.sub(r'(<upd:File [^>]*?FileName=")[^"]*', lambda m: m[1] + escaped, text)
            text = re.sub(r'(<upd:File [^>]*?Size=")[^"]*', rf"\g<1>{path.stat().st_size}", text)
            update = re.search(r'UpdateID="([^"]+)"', text)[1]
            text = text.replace(update, str(uuid.UUID(int=self.documents)), 1)
            document = self.place.state / f"document{self.documents}.xml"
            document.write_text(text, encoding="utf-8")
            paths.append(document)
        self.place("update", "import", *paths)

    def links(self):
        return {str(p.relative_to(self.names)): os.readlink(p) for p in self.names.rglob("*") if p.is_symlink()}

    def verify(self, status=0):
        done = json.loads(self.place("content", "verify", "--json", status=status).stdout)
        return done["names_made"], done["names_removed"], done["names_ambiguous"]

    # partly: WSUSSS-CONTENT-03 (that they are served is test_content.py) WSUSSS-CONTENT-09 (names; the files are test_wsusctl.py)
    def test_each_stored_file_has_its_names_in_lower_case(self):
        place = Place()
        place("content", "add", documents() / "content")
        names, content = place.state / "content/names", place.state / "content"
        links = {str(p.relative_to(names)): os.readlink(p) for p in names.rglob("*") if p.is_symlink()}
        wanted = {}
        for document in (documents() / "updates").rglob("*.xml"):
            for tag in re.findall(r"<[\w:]*File [^>]*>", document.read_text(encoding="utf-8")):
                digest = base64.b64decode(re.search(r'Digest="([^"]+)"', tag)[1]).hex().upper()
                name = re.search(r'FileName="([^"]+)"', tag)[1]
                if (content / digest[-2:] / digest).exists():
                    wanted.setdefault(f"{digest[-2:]}/{name.lower()}", set()).add(digest)
        self.assertGreater(len(wanted), 50)
        self.assertEqual(links, {name: digests.pop() for name, digests in wanted.items() if len(digests) == 1})
        self.assertTrue(any(re.search("[A-Z]", p.name) for p in content.rglob("*") if p.is_file()))
        self.assertEqual(place.json("content", "verify")["names_made"], 0)

    def test_a_link_is_the_digest_as_a_text_and_comes_with_the_file(self):
        digest, path = self.make_file("first")
        self.load(("Windows10.0-KB5.CAB", digest, path))
        self.assertFalse(self.names.exists())
        self.place("content", "add", path)
        self.assertEqual(self.links(), {f"{digest[-2:]}/windows10.0-kb5.cab": digest})

    def test_a_name_that_comes_later_gets_its_link_by_the_import(self):
        digest, path = self.make_file("first")
        self.load(("a.cab", digest, path))
        self.place("content", "add", path)
        self.load(("B.cab", digest, path))
        self.assertEqual(self.links(), {f"{digest[-2:]}/a.cab": digest, f"{digest[-2:]}/b.cab": digest})

    def test_two_files_of_one_folder_with_one_name_have_none(self):
        one, first = self.make_file("first")
        two, second = self.make_file("second", one[-2:])
        self.load(("same.cab", one, first), ("own.cab", one, first))
        self.place("content", "add", first)
        self.assertEqual(set(self.links()), {f"{one[-2:]}/same.cab", f"{one[-2:]}/own.cab"})
        self.load(("SAME.cab", two, second))  # not here yet, but nobody could tell which is meant
        self.assertEqual(set(self.links()), {f"{one[-2:]}/own.cab"})
        self.place("content", "add", second)
        self.assertEqual(set(self.links()), {f"{one[-2:]}/own.cab"})
        self.assertEqual(self.verify(), (0, 0, 1))

    def test_one_name_in_two_folders_is_two_names(self):
        one, first = self.make_file("first")
        two, second = self.make_file("second", f"{(int(one[-2:], 16) + 1) % 256:02X}")
        self.load(("same.cab", one, first), ("same.cab", two, second))
        self.place("content", "add", self.files)
        self.assertEqual(self.links(), {f"{one[-2:]}/same.cab": one, f"{two[-2:]}/same.cab": two})

    # partly: WSUSSS-TRANSPORT-29 (names of files)
    def test_what_is_no_name_has_no_link_and_leads_nowhere(self):
        bad = ("../../../evil", "a/b.cab", "/tmp/evil", ".hidden", "..", ".", "a\\b.cab", "tab\tname", "x" * 256,
               "\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 128)
        good = ("x" * 255, "sp ace.cab", "a&b<c>.cab", "\N{LATIN CAPITAL LETTER U WITH DIAERESIS}.cab")
        digest, path = self.make_file("first")
        self.load(*((name, digest, path) for name in bad + good))
        self.place("content", "add", path)
        self.assertEqual(set(self.links()), {f"{digest[-2:]}/{name}" for name in good})
        self.assertEqual([p.name for p in self.place.state.rglob("*evil*")], [])

    def test_verify_mends_what_is_missing_stale_or_wrong(self):
        one, first = self.make_file("first")
        self.load(("a.cab", one, first), ("b.cab", one, first))
        self.place("content", "add", first)
        good, folder = self.links(), self.names / one[-2:]
        (folder / "a.cab").unlink()
        (folder / "b.cab").unlink()
        (folder / "b.cab").symlink_to("/etc/passwd")
        (folder / "gone.cab").symlink_to("A" * 40)
        (folder / ".new").symlink_to("half done")
        other = self.names / f"{(int(one[-2:], 16) + 1) % 256:02X}"
        other.mkdir()
        (other / "stale.cab").symlink_to("B" * 40)
        (folder / "a file of somebody").write_text("stays")
        self.assertEqual(self.verify(), (2, 3, 0))
        self.assertEqual(self.links(), good)
        self.assertEqual((folder / "a file of somebody").read_text(), "stays")
        self.assertEqual(self.verify(), (0, 0, 0))

    # partly: WSUSSS-CONTENT-10 (content add refuses in test_wsusctl.py)
    def test_the_link_goes_and_comes_with_its_file(self):
        one, first = self.make_file("first")
        self.load(("a.cab", one, first))
        self.place("content", "add", first)
        (self.content / one[-2:] / one).write_bytes(b"x" * first.stat().st_size)
        self.assertEqual(self.verify(status=1), (0, 1, 0))
        self.assertEqual(self.links(), {})
        self.place("content", "add", first)
        self.assertEqual(set(self.links()), {f"{one[-2:]}/a.cab"})

    def test_a_file_that_was_here_gets_its_names_when_it_is_added_again(self):
        one, first = self.make_file("first")
        self.load(("a.cab", one, first))
        self.place("content", "add", first)
        shutil.rmtree(self.names)  # as a store of before has it
        self.assertEqual(self.place.json("content", "add", first)["known"], 1)
        self.assertEqual(set(self.links()), {f"{one[-2:]}/a.cab"})

    def test_links_that_cannot_be_made_are_told_and_the_file_is_here(self):
        one, first = self.make_file("first")
        self.load(("a.cab", one, first))
        self.content.mkdir(exist_ok=True)
        self.names.write_text("in the way")
        done = self.place("content", "add", first, "--json")
        self.assertEqual(json.loads(done.stdout)["added"], 1)
        self.assertIn("downstream servers that ask for files by name will not find all of them; `wsusctl content verify` tries again",
                      done.stderr)
        self.names.unlink()
        self.assertEqual(self.verify(), (1, 0, 0))

    def test_the_content_of_another_server_is_taken_with_its_links_left_alone(self):
        """`content add` of a whole content directory, as after `store reset`."""
        one, first = self.make_file("first")
        self.load(("a.cab", one, first))
        self.place("content", "add", first)
        other = Place(filled=False)
        other("update", "import", self.place.state / "document1.xml")
        done = other.json("content", "add", self.content)
        self.assertEqual((done["added"], done["unknown"], done["bad"]), (1, 0, 0))
        self.assertEqual(os.readlink(other.state / "content/names" / one[-2:] / "a.cab"), one)

    # holds: WSUSSS-CONTENT-12
    def test_killed_in_the_middle_it_is_whole_after_the_next(self):
        place = Place()
        command = [str(CTL), "--store", str(place.store), "content", "add", str(documents() / "content")]
        for part in range(1, 7):
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.02 * part)
            child.send_signal(signal.SIGKILL)
            child.wait()
            for link in (place.state / "content").glob("names/*/*"):
                self.assertTrue(link.name == ".new" or re.fullmatch("[0-9A-F]{40}", os.readlink(link)), link)
            for file in (place.state / "content").glob("[0-9A-F][0-9A-F]/*"):  # what nginx serves under its own name
                if re.fullmatch("[0-9A-F]{40}", file.name):
                    self.assertEqual(hashlib.sha1(file.read_bytes()).hexdigest().upper(), file.name)
        place("content", "add", documents() / "content")
        self.assertEqual([place.json("content", "verify")[k] for k in ("bad", "names_made", "names_removed")], [0, 0, 0])


if __name__ == "__main__":
    unittest.main()
