"""test_admission.py -- who may come, from real addresses: 127.0.0.1 is the machine itself, 127.0.0.2 and others come from
elsewhere."""
import copy
import http.client
import ipaddress
import os
import re
import ssl
import unittest

import harness
from harness import AUTH, CLIENT, PATHS, REPORT, SOAP, Instance, run


def envelope(ns, operation, inner):
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Body><{operation} xmlns="{ns}">{inner}</{operation}></s:Body></s:Envelope>'


GETCONFIG = envelope(CLIENT, "GetConfig", "<protocolVersion>2.90</protocolVersion>")


class Server(Instance):
    """With a configuration file in its state directory."""

    def __init__(self, *lines, **kw):
        super().__init__("none", **kw)
        self.conf = self.state / "wsus.conf"
        self.lines = lines
        self.source = "127.0.0.1"

    def via(self, source):
        """The same server, asked from another address."""
        other = copy.copy(self)
        other.source, other.running = source, False
        return other

    def connect(self, timeout=30):
        return self.open(self.source)

    def start(self, check=True):
        if not (self.state / "VERSION").exists():
            super().start()
            self.stop()
        self.write(*self.lines)
        return super().start(check)

    def write(self, *lines):
        s = self.state
        self.conf.write_text("\n".join((f"store = {s}/store", f"keys = {s}/keys", f"tls = {s}/keys", f"content = {s}/content",
                                        f"selfupdate = {s}/selfupdate", *lines, "")))

    def ctl(self, *arguments, **kw):
        return super().ctl(*arguments, env=os.environ | {"WSUS_CONF": str(self.conf)}, **kw)

    def reload(self):
        """What wsus-setup does: nginx is told anew."""
        for part in ("http", "server"):
            (self.state / f"nginx/admission-{part}.conf").write_text(self.ctl("config", "nginx", part).stdout)
        old = self.workers("nginx")
        run("nginx", "-p", f"{self.state}/", "-c", "nginx/nginx.conf", "-e", "log/nginx-error.log", "-s", "reload", cwd=self.state)
        harness.wait_for(lambda: not set(old) & set(self.workers("nginx")), what="new workers of nginx")

    def open(self, source, tls=False):
        if not tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=(source, 0))
        context = ssl.create_default_context(cafile=self.state / "keys/ca.crt")
        return http.client.HTTPSConnection("127.0.0.1", self.tls_port, timeout=30, source_address=(source, 0), context=context)

    def ask(self, source, method, path, body=None, tls=False, connection=None, action=None):
        """(status, body) for a request from that address."""
        c = connection or self.open(source, tls)
        try:
            headers = {"Content-Type": "text/xml; charset=utf-8"} if body else {}
            if action:
                headers["SOAPAction"] = f'"{action}"'
            c.request(method, path, body, headers)
            answer = c.getresponse()
            return answer.status, answer.read()
        finally:
            if not connection:
                c.close()

    def config(self, source, prefix="", tls=False):
        return self.ask(source, "POST", prefix + PATHS[CLIENT], GETCONFIG, tls)[0]

    def log(self, name="access"):
        return (self.state / f"log/{name}.log").read_text(errors="replace")

    def log_of(self, source):
        return [line for line in self.log().splitlines() if f" peer={source} " in line]


def authorization(client, name="pc.example.net"):
    return envelope(AUTH, "GetAuthorizationCookie", f"<clientId>{client}</clientId><dnsName>{name}</dnsName>")


class Networks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("clients.networks = 127.0.0.16/28 127.0.0.3")
        cls.server.start()
        folder = cls.server.state / "content/99"
        folder.mkdir()
        (folder / ("0" * 38 + "99")).write_bytes(b"x" * 10)
        cls.file = f"/Content/99/{'0' * 38}99.cab"

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_whoever_is_in_no_network_gets_403_for_everything_but_the_machine_itself(self):
        s = self.server
        for tls in (False, True):
            for source, may in (("127.0.0.1", True), ("127.0.0.3", True), ("127.0.0.17", True), ("127.0.0.31", True), ("127.0.0.2", False),
                                ("127.0.0.32", False)):
                with self.subTest(source=source, tls=tls):
                    self.assertEqual(s.config(source, tls=tls), 200 if may else 403)
                    self.assertEqual(s.ask(source, "GET", self.file, tls=tls), (200, b"x" * 10) if may else (403, self.words))
                    self.assertEqual(s.ask(source, "GET", "/content/99/" + "0" * 38 + "99.CAB", tls=tls)[0], 200 if may else 403)
                    self.assertEqual(s.ask(source, "GET", "/", tls=tls)[0], 404 if may else 403)
                    self.assertEqual(s.ask(source, "GET", "/SelfUpdate/wuident.cab", tls=tls)[0], 404 if may else 403)

    words = b"This server does not serve you; who runs it knows more.\n"

    def test_a_refused_client_leaves_a_line_with_the_remedy_and_a_scanner_does_not_fill_the_log(self):
        for _ in range(40):
            self.assertEqual(self.server.ask("127.0.0.5", "GET", "/x"), (403, self.words))
        lines = self.server.log_of("127.0.0.5")
        self.assertTrue(1 <= len(lines) <= 6, lines)  # 5 at once; a sixth if a minute ends meanwhile
        self.assertRegex(lines[0], r' peer=127\.0\.0\.5 status=403 .* why="not in clients\.networks" '
                                   r'do="if it is yours: add 127\.0\.0\.5 or its network to clients\.networks in wsus\.conf, then run wsus-setup"')
        self.assertNotIn("127.0.0.5", self.server.log("nginx-error"))

    def test_a_computer_is_told_of_it_at_its_setup(self):
        self.server.ctl("group", "create", "Lab")
        said = self.server.ctl("client", "setup", "--group", "Lab", "--url", "https://a:8531").stdout
        self.assertIn("0x80244018", said)
        self.assertIn(" https://a:8531\n", said)


class Default(unittest.TestCase):
    def test_a_public_address_is_refused_and_a_private_one_is_not(self):
        text = run(harness.ROOT / "bin/wsusctl", "--store", "/nonexistent", "config", "nginx", "http", env=os.environ | {"WSUS_CONF": "/dev/null"}).stdout
        rows = re.search(r"geo \$wsus_network \{\n\tdefault 0;\n(.*?)\}", text, re.S)[1]
        networks = [ipaddress.ip_network(row.split()[0]) for row in rows.splitlines()]
        for address, may in (("127.0.0.1", True), ("10.255.0.1", True), ("172.16.0.1", True), ("172.32.0.1", False), ("192.168.1.1", True),
                             ("203.0.113.7", False), ("100.64.0.1", False), ("::1", True), ("fd00::1", True), ("fe80::1", True), ("2001:db8::1", False)):
            ip = ipaddress.ip_address(address)
            self.assertEqual(any(ip in n for n in networks if n.version == ip.version), may, address)


class Token(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("clients.admission = token")
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def tokens(self):
        return [row["token"] for row in self.server.ctl_json("client", "token")]

    def test_the_token_is_a_part_of_the_path(self):
        s, (token, *_) = self.server, self.tokens()
        wrong = ("0" if token[0] != "0" else "1") + token[1:]
        for prefix, status in ((f"/{token}", 200), ("", 403), (f"/{wrong}", 403), (f"/{token}0", 403), (f"/{token[:-1]}", 403), (f"/x/{token}", 403),
                               (f"//{token}", 200), (f"/{token}/{token}", 404)):
            self.assertEqual(s.config("127.0.0.2", prefix), status, prefix)
            self.assertEqual(s.config("127.0.0.2", prefix, tls=True), status, prefix)
        for path in (PATHS[AUTH], PATHS[REPORT], "/SelfUpdate/wuident.cab", "/", "/_content/99/a", "/_selfupdate/a"):
            self.assertEqual(s.ask("127.0.0.2", "GET", path)[0], 403, path)
        self.assertEqual(s.ask("127.0.0.2", "GET", f"/{token}/SelfUpdate/wuident.cab")[0], 404)
        self.assertEqual(s.ask("127.0.0.2", "GET", f"/{token}{PATHS[CLIENT]}")[0], 405)
        self.assertEqual(s.ask("127.0.0.2", "GET", f"/Content/99/{'0' * 40}")[0], 404)
        self.assertEqual(s.config("127.0.0.1"), 200)  # the machine itself
        self.assertEqual(s.config("127.0.0.9"), 403)
        line = harness.wait_for(lambda: s.log_of("127.0.0.9"), what="its line")[0]
        self.assertRegex(line, r'status=403 .* why="without the token of clients\.admission" do="if it is yours: give it')

    def test_a_whole_scan_with_the_token_and_none_of_it_in_a_log(self):
        s, (token, *_) = self.server, self.tokens()
        for url in (f"http://127.0.0.1:{s.port}/{token}", f"https://127.0.0.1:{s.tls_port}/{token}"):
            done = run(harness.ROOT / "bin/wsus-probe", url, "--ca", s.state / "keys/ca.crt", check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for path in (f"/{token}/ClientWebService/client.asmx", f"/{token}", f"/{token.upper()}/", f"/x/../{token}/y", f"/%{ord(token[0]):x}{token[1:]}/z",
                     f"/{token}/{token}/a", f"/{token}/Content/a"):
            s.ask("127.0.0.2", "GET", path)
        c = s.open("127.0.0.2")  # what nginx refuses before it looks at the path
        self.assertEqual(s.ask("", "POST", f"/{token}{PATHS[CLIENT]}", "x" * (9 << 20), connection=c)[0], 500)
        c.close()
        c = s.open("127.0.0.2")
        c.putrequest("GET", f"/{token}/x")
        c.putheader("X", "y" * 40000)
        c.endheaders()
        self.assertEqual(c.getresponse().status, 400)
        c.close()
        for log in (s.state / "log").iterdir():
            text = log.read_text(errors="replace").lower()
            self.assertNotIn(token, text, log)
            self.assertNotIn(token[1:], text, log)
        self.assertIn('request="GET /-/ClientWebService/client.asmx HTTP/1.1"', s.log())

    def test_two_are_good_at_a_time(self):
        s, (first, *_) = self.server, self.tokens()
        said = s.ctl("client", "token", "--new").stdout
        self.assertIn("now run wsus-setup", said)
        second = self.tokens()[0]
        self.assertEqual(self.tokens(), [second, first])
        s.reload()
        self.assertEqual([s.config("127.0.0.2", f"/{t}") for t in (first, second)], [200, 200])
        s.ctl("client", "token", "--drop-old")
        s.reload()
        self.assertEqual([s.config("127.0.0.2", f"/{t}") for t in (first, second)], [403, 200])
        self.assertIn("there is no old token", s.ctl("client", "token", "--drop-old", check=False).stderr)
        s.ctl("group", "create", "Lab")
        values = {row["name"]: row["value"] for row in s.ctl_json("client", "setup", "--group", "Lab", "--url", "https://a:8531")}
        self.assertEqual((values["WUServer"], values["WUStatusServer"]), (f"https://a:8531/{second}",) * 2)
        self.assertIn("client token --new", s.ctl("store", "history").stdout)

    def test_only_root_reads_tokens_and_what_is_made_of_them(self):
        for file in ("keys/client-tokens", "nginx/admission-http.conf"):
            self.assertEqual((self.server.state / file).stat().st_mode & 0o077, 0, file)

    def test_files_have_addresses_without_the_token(self):
        s, (token, *_) = self.server, self.tokens()
        status, body = s.ask("127.0.0.2", "POST", f"/{token}{PATHS[AUTH]}", b"<x/>", tls=True)
        self.assertEqual(status, 500)
        self.assertNotIn(token.encode(), body)  # faultactor
        status, body = s.ask("127.0.0.2", "POST", f"/{token}{PATHS[CLIENT]}", GETCONFIG, tls=True)
        self.assertIn(b"<ServiceUrl>SimpleAuthWebService/SimpleAuth.asmx</ServiceUrl>", body)  # relative: the token stays before it


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("clients.admission = open", "clients.rate-registrations = 1", "clients.rate-reports = 1", "clients.rate = 100000")
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def flood(self, source, path, body, n, action=None):
        """The statuses of n requests over one connection, and the last body."""
        seen, c = {}, self.server.open(source)
        for _ in range(n):
            status, answer = self.server.ask(source, "POST", path, body, connection=c, action=action)
            seen[status] = seen.get(status, 0) + 1
        c.close()
        return seen, answer

    def busy(self, source):
        return [line for line in self.server.log_of(source) if "clients.rate..." in line]

    def test_one_address_that_begins_anew_again_and_again_is_told_that_the_server_is_busy(self):
        body = authorization("11111111-1111-1111-1111-111111111111")
        seen, answer = self.flood("127.0.0.7", PATHS[AUTH], body, 2010)
        self.assertEqual(harness.fault_code(answer), "ServerBusy")
        self.assertTrue(2001 <= seen[200] <= 2003, seen)
        harness.wait_for(lambda: len(self.busy("127.0.0.7")) == seen[500], what="a line for each")
        self.assertIn("raise the setting in wsus.conf", self.busy("127.0.0.7")[0])
        self.assertNotIn("limiting requests", self.server.log("nginx-error"))
        # others and the machine itself are not concerned, nor is what the same address asks else
        self.assertEqual(self.flood("127.0.0.8", PATHS[AUTH], body, 3)[0], {200: 3})
        self.assertEqual(self.flood("127.0.0.1", PATHS[AUTH], body, 2010)[0], {200: 2010})
        self.assertEqual(self.flood("127.0.0.7", PATHS[CLIENT], GETCONFIG, 100)[0], {200: 100})
        register = envelope(CLIENT, "RegisterComputer", "<cookie/>")
        seen, answer = self.flood("127.0.0.7", PATHS[CLIENT], register, 1, f"{CLIENT}/RegisterComputer")
        self.assertEqual(harness.fault_code(answer), "ServerBusy")

    def test_reports_have_a_limit_of_their_own(self):
        body = envelope(REPORT, "ReportEventBatch", "")
        seen, _ = self.flood("127.0.0.10", PATHS[REPORT], body, 3005)
        self.assertEqual(seen, {500: 3005})  # there is no service yet: the log tells the two apart
        self.assertTrue(2 <= len(self.busy("127.0.0.10")) <= 4, len(self.busy("127.0.0.10")))
        self.assertEqual(self.busy("127.0.0.1"), [])

    def test_a_flood_of_made_up_ids_does_not_keep_a_known_computer_away(self):
        s = self.server
        known = harness.Computer(s.via("127.0.0.11"), name="known.example.net")
        known.handshake()
        before = len(s.ctl_json("computer", "list"))
        s.ctl("config", "set", "client.new-per-hour", str(before + 20))
        self.addCleanup(s.ctl, "config", "set", "client.new-per-hour", "5000")
        codes = {}
        c = s.open("127.0.0.12")
        for n in range(60):
            status, answer = s.ask("", "POST", PATHS[AUTH], authorization(f"22222222-2222-2222-2222-{n:012}"), connection=c)
            code = "" if status == 200 else harness.fault_code(answer)
            codes[code] = codes.get(code, 0) + 1
        c.close()
        # an hour may end meanwhile: then as many again come in
        self.assertEqual(set(codes), {"", "ServerBusy"})
        self.assertTrue(codes["ServerBusy"] > 0 and codes[""] <= 2 * (before + 20), codes)
        self.assertEqual(len(s.ctl_json("computer", "list")), before + codes[""])
        self.assertIn("client.new-per-hour", s.log("auth"))
        again = harness.Computer(s.via("127.0.0.13"), name="known.example.net", id=known.id)  # at another address, too
        again.handshake()
        self.assertEqual([harness.local(r) for r in again.scan()], ["SyncUpdatesResult"])
        with self.assertRaises(harness.Fault) as refused:
            harness.Computer(s.via("127.0.0.14")).handshake()
        self.assertEqual(refused.exception.code, "ServerBusy")

    def came(self, id, *visits):
        for name, last in visits:
            harness.Computer(self.server.via(f"127.0.0.{last}"), name=name, id=id).get_auth_cookie()

    def flags(self):
        return {r["id"]: r["flags"] for r in self.server.ctl_json("computer", "list")}

    # two clones, one renamed, one that roams
    def test_an_id_that_alternates_between_two_computers_is_shown_with_what_to_do(self):
        s, clone, renamed, roams = self.server, *("33333333-3333-3333-3333-33333333333%d" % n for n in range(3))
        for _ in range(2):
            self.came(roams, ("laptop", 20), ("laptop", 21), ("laptop", 22))
        self.came(renamed, ("old", 20), ("old", 21), ("new", 22), ("new", 20))
        self.came(clone, ("a", 20), ("b", 20), ("a", 21), ("b", 22))
        flags = self.flags()
        self.assertEqual([flags[id] for id in (clone, renamed, roams)], ["cloned", "renamed", None])
        self.assertEqual([r["id"] for r in s.ctl_json("computer", "list", "--cloned")], [clone])
        self.assertEqual([r["id"] for r in s.ctl_json("computer", "list", "--renamed")], [renamed])
        shown = s.ctl_json("computer", "show", clone)
        self.assertIn("delete the value SusClientId", shown["flags_mean"])
        self.assertEqual([(f["name"], f["address"], f["returns"]) for f in shown["faces"]], [("b", "127.0.0.22", 1), ("a", "127.0.0.21", 1)])
        self.assertNotIn("faces", s.ctl_json("computer", "show", roams))
        lines = [line for line in s.log("auth").splitlines() if "delete the value SusClientId" in line]
        self.assertEqual([f"computer {clone} was b at 127.0.0.20 and is a at 127.0.0.21 again (1 times so)" in lines[0],
                          f"computer {clone} was a at 127.0.0.21 and is b at 127.0.0.22 again (2 times so)" in lines[1], len(lines)], [True, True, 2])
        self.assertIn(f"computer {renamed} was old at 127.0.0.20 and is now new at 127.0.0.22", s.log("auth"))


class Exposure(unittest.TestCase):
    """Every row of doc/EXPOSURE.md, from an address that is admitted and from one that is not."""

    BODIES = {PATHS[CLIENT]: GETCONFIG, PATHS[AUTH]: authorization("44444444-4444-4444-4444-444444444444"), PATHS[REPORT]: envelope(REPORT, "X", "")}

    @classmethod
    def setUpClass(cls):
        page = (harness.ROOT / "doc/EXPOSURE.md").read_text()
        cls.rows = [(m[1], m[2], m[3] == "TLS", {"admitted": int(m[4]), "networks": int(m[5]), "token": int(m[6])}) for m in re.finditer(
            r"^\| `(\w+) (\S+)` \| (TLS|plain) \| (\d+) \| (\d+) \| (\d+) \| ", page, re.M)]
        cls.paths = {path.lower() for path in re.findall(r"^\| `\w+ (\S+)` \|", page, re.M)}
        cls.server = Server(options=["--listen", "0.0.0.0"])
        cls.server.start()
        folder = cls.server.state / "content/99"
        folder.mkdir()
        (folder / ("0" * 38 + "99")).write_bytes(b"x")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def walk(self, source, column, prefix=""):
        for method, path, tls, expected in self.rows:
            body = self.BODIES.get(path) if method == "POST" else None
            with self.subTest(method=method, path=path, tls=tls, source=source):
                self.assertEqual(self.server.ask(source, method, prefix + path, body, tls)[0], expected[column])

    def test_the_table_names_every_place_of_nginx(self):
        """What is added to nginx's configuration is added to the page."""
        text = "".join((harness.ROOT / "nginx" / name).read_text() for name in (
            "content.conf", "services.conf", "sync.conf", "selfupdate.conf", "status.conf", "tls-only.conf"))
        places = re.findall(r'^location (~\*?|=|\^~|) ?(?:"(.+)"|([^"@\s]+)) \{$', text, re.M)
        self.assertGreater(len(places), 6)
        for kind, quoted, plain in places:
            pattern = (quoted or plain).replace("(?<", "(?P<")
            if pattern == "/_selfupdate/":
                continue  # as /_content/
            self.assertTrue(any(re.search(pattern, p, re.I) if kind[:1] == "~" else p.startswith(pattern) if kind == "^~" else p == pattern
                                for p in self.paths), pattern)

    # partly: WSUSSS-TRANSPORT-33 (the plain port that others reach refuses downstream servers)
    def test_networks(self):
        self.server.write("clients.networks = 127.0.0.1 127.0.0.3")
        self.server.reload()
        self.walk("127.0.0.3", "admitted")
        self.walk("127.0.0.2", "networks")

    def test_token(self):
        self.server.write("clients.admission = token")
        self.server.ctl("client", "token", "--new")
        self.server.reload()
        token = self.server.ctl_json("client", "token")[0]["token"]
        internal = [row for row in self.rows if row[1].startswith("/_")]
        self.rows = [row for row in self.rows if row not in internal]
        self.walk("127.0.0.3", "admitted", f"/{token}")
        for place in ("_content", "_selfupdate", "_Content"):  # a path that was rewritten counts as internal for nginx
            for prefix in (f"/{token}/", f"/{token}//", f"/{token}/./", f"/{token}/x/../"):
                status, body = self.server.ask("127.0.0.3", "GET", f"{prefix}{place}/99/{'0' * 38}99")
                self.assertEqual((status, body), (403, Networks.words), prefix)
        self.rows += internal
        self.walk("127.0.0.2", "token")

    def test_open(self):
        self.server.write("clients.admission = open")
        self.server.reload()
        self.walk("127.0.0.2", "admitted")
