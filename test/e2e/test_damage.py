"""test_damage.py -- a damaged file of the store, one that is missing, not permitted or of a newer program: clients get
ServerBusy at once, one log line says what to do, the other part goes on, and all heals without a restart."""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import unittest
import uuid

import harness
from harness import CLIENT, Computer, Fault, Instance, find, find_all, fault_code, payload, wait_for

GET_CONFIG = (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><GetConfig xmlns="{CLIENT}"><protocolVersion>2.90</protocolVersion>'
              "</GetConfig></s:Body></s:Envelope>").encode()
PAGE = 4096


class Damage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("sample")
        cls.server.start()
        cls.server.end_jobs()
        cls.store = cls.server.state / "store"
        computer = Computer(cls.server).handshake()
        computer.scan()
        cls.known = set(computer.known)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.at = {s: (self.server.state / f"log/{s}.log").stat().st_size for s in ("client", "auth", "reporting")}
        self.good = {part: self.data(part).read_bytes() for part in ("catalog", "fleet")}
        self.spoilt = set()
        self.addCleanup(self.repair)

    def data(self, part):
        return self.store / part / "data.mdb"

    def said(self, service, words):
        """Lines of the service's log since this test began, without those of requests."""
        text = (self.server.state / f"log/{service}.log").read_bytes()[self.at[service]:].decode()
        return [line for line in text.splitlines() if words in line and " req " not in line]

    def put(self, part, content):
        """As a restore does: another folder of this name, and a lock file of its own."""
        made, gone, like = self.store / "made", self.store / "gone", self.store.stat()
        made.mkdir()
        for name, data in (("data.mdb", content), ("lock.mdb", b"")):
            (made / name).write_bytes(data)
            os.chmod(made / name, 0o640 if (part, name) == ("catalog", "data.mdb") else 0o660)
            os.chown(made / name, -1, like.st_gid)
        os.chown(made, -1, like.st_gid)
        os.chmod(made, (self.store / part).stat().st_mode & 0o7777)
        (self.store / part).rename(gone)
        made.rename(self.store / part)
        shutil.rmtree(gone)

    def spoil(self, part, fn):
        """In place, as a bad disk does."""
        with open(self.data(part), "r+b") as f:
            fn(f)
        self.spoilt.add(part)

    def cut(self, part, pages):
        self.spoil(part, lambda f: f.truncate(pages * PAGE))

    @staticmethod
    def overwrite(f, generator, i, n, first):
        size = f.seek(0, os.SEEK_END) // PAGE
        for _ in range(n):
            f.seek(generator.randrange(first, size) * PAGE)
            f.write(bytes(PAGE) if i % 2 else generator.randbytes(PAGE))

    def repair(self, wait=False):
        """wait: for the services to find it themselves, else they are told."""
        while self.spoilt:
            part = self.spoilt.pop()
            self.put(part, self.good[part])
            for service in () if wait else ("client", "auth", "reporting"):
                os.kill(self.server.pid(service), signal.SIGHUP)
            self.expect_files_in_use()
        self.expect_answers()

    def expect_files_in_use(self):
        """By every worker: who found nothing wrong looks at the names now and then."""
        (self.store / "damaged").unlink(missing_ok=True)
        inodes = {(self.store / part / "lock.mdb").stat().st_ino for part in ("catalog", "fleet")}
        wait_for(lambda: all(inodes <= self.inodes(pid) for s in ("client", "auth", "reporting") for pid in self.server.workers(s)),
                 what="the new files to be opened")

    @staticmethod
    def inodes(pid):
        found = set()
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    found.add(os.stat(f"/proc/{pid}/fd/{fd}").st_ino)
        return found

    def ask(self):
        status, head, body = self.server.post_bytes(CLIENT, "GetConfig", GET_CONFIG)
        return status, head, body

    def expect_answers(self):
        wait_for(lambda: all(self.ask()[0] == 200 for _ in range(20)), what="answers without a restart")
        computer = Computer(self.server)
        wait_for(lambda: self.succeeds(computer.handshake), what="a handshake")

    @staticmethod
    def succeeds(call):
        with contextlib.suppress(Fault):
            call()
            return True
        return False

    def expect_busy(self):
        """In the form of every other fault, again and again, from both services."""
        wait_for(lambda: fault_code(self.ask()[2]) == "ServerBusy", what="the catalog to be stopped")
        for _ in range(20):
            status, head, body = self.ask()
            self.assertEqual((status, head["content-type"]), (500, "text/xml; charset=utf-8"))
            self.assertEqual(fault_code(body), "ServerBusy")
            detail = find_all(payload(body), "detail")[0]
            self.assertEqual([harness.local(e) for e in detail], ["ErrorCode", "Message", "ID", "Method"])
            self.assertNotEqual(find(detail, "ID").strip("0-"), "", "an ID that leads to a log line")
        wait_for(lambda: self.refusal(Computer(self.server).get_auth_cookie) == "ServerBusy", what="the same of the other service")

    @staticmethod
    def refusal(call):
        try:
            call()
        except Fault as fault:
            return fault.code
        return None

    def expect_one_line(self, part, *words):
        for service in ("client", "auth"):
            wait_for(lambda: self.said(service, f"{part}/ is stopped"), what="the log line")
            lines = self.said(service, f"{part}/ is stopped")
            self.assertEqual(len(lines), 1, lines)
            for word in words:
                self.assertIn(word, lines[0])

    def expect_scan(self):
        computer = Computer(self.server).handshake()
        try:
            computer.scan()
        except Fault as fault:  # what it told was lost with the page that it was written to: it tells it again
            self.assertEqual(fault.code, "RegistrationRequired")
            computer.register()
            computer.scan()
        self.assertEqual(set(computer.known), self.known)

    def audit(self, status):
        done = self.server.ctl("store", "audit", check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout


class Catalog(Damage):
    def test_cut_short_while_it_is_in_use(self):
        parents = {s: self.server.pid(s) for s in ("client", "auth")}
        for pages in (200, 2, 0):
            with self.subTest(pages=pages):
                self.setUp()
                self.cut("catalog", pages)
                wait_for(lambda: self.refusal(Computer(self.server).handshake) == "ServerBusy", what="the damage to be met")
                self.expect_busy()
                self.expect_one_line("catalog", "catalog/data.mdb", "wsusctl store audit", "wsusctl restore", "wsusctl store reset")
                self.repair(wait=True)
                self.expect_scan()
                self.assertEqual(len(self.said("client", "catalog/ is in use again")), 1)
        for service, pid in parents.items():
            self.assertEqual(self.server.pid(service), pid)
            self.assertEqual(self.said(service, "died of signal"), [])

    def test_audit_and_health_name_it_and_what_to_do(self):
        self.cut("catalog", 20)
        self.assertIn("catalog/data.mdb: cut short", self.audit(1))
        self.assertIn("catalog/data.mdb: cut short", self.audit(1), "a second look finds the same")
        self.expect_busy()
        done = self.server.ctl("health", check=False)
        self.assertEqual(done.returncode, 2)
        line = re.search(r"^CRITICAL store: .*$", done.stdout, re.M)[0]
        self.assertIn("catalog/data.mdb: cut short", line)
        self.assertIn("`wsusctl store reset` begins anew", line)
        for command in (("update", "list"), ("group", "create", "x"), ("backup", harness.temporary() / "copy")):
            done = self.server.ctl(*command, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "catalog/data.mdb: .*; `wsusctl store audit` says more")

    def test_what_only_an_audit_finds_stops_the_services_until_one_finds_nothing(self):
        data = bytearray(self.good["catalog"])
        page = self.page_of_the_record(data)
        data[page:page + PAGE] = bytes(PAGE)
        self.spoil("catalog", lambda f: f.write(data))
        self.expect_scan()  # nobody who scans reads it
        self.assertRegex(self.audit(1), "database `audit` of .*catalog/data.mdb: ")
        self.expect_busy()
        self.expect_one_line("catalog", "database `audit`")
        self.spoil("catalog", lambda f: f.write(self.good["catalog"]))  # mended in place
        self.spoilt.clear()
        self.assertIn("consistent", self.audit(0))
        self.expect_answers()
        self.expect_scan()

    def page_of_the_record(self, data):
        """Where the record of administrative changes lies, which no service reads."""
        words = self.server.ctl_json("store", "history")[0]["what"].encode()
        for at in (i for i in range(0, len(data), PAGE) if words in data[i:i + PAGE]):
            spoilt = bytearray(data)
            spoilt[at:at + PAGE] = bytes(PAGE)
            copy = harness.temporary() / "store"
            for part, content in (("catalog", spoilt), ("fleet", self.good["fleet"])):
                (copy / part).mkdir(parents=True)
                (copy / part / "data.mdb").write_bytes(content)
            done = harness.run(harness.ROOT / "bin/wsusctl", "--store", copy, "store", "audit", check=False)
            if "database `audit`" in done.stdout:
                return at
        self.fail("no page of the record was found")

    def test_pages_of_zeros_and_of_other_bytes(self):
        generator = random.Random(20261122)
        met = found = 0
        for i in range(6):
            with self.subTest(i=i):
                self.setUp()
                self.spoil("catalog", lambda f: self.overwrite(f, generator, i, 1 + i % 4 * 40, 2 if i % 3 else 0))
                for _ in range(8):
                    met += self.one_client()
                done = self.server.ctl("store", "audit", check=False)
                self.assertIn(done.returncode, (0, 1), done.stderr)
                if (self.store / "damaged").exists():
                    found += 1
                    self.expect_busy()
                self.repair()
                self.expect_scan()
        self.assertGreater(met, 0)
        self.assertGreater(found, 2)

    def one_client(self):
        """A whole visit: each answer is one, or a fault of the server's own."""
        computer = Computer(self.server)
        try:
            computer.handshake()
            computer.scan()
            computer.extended(sorted(computer.known)[:50])
        except Fault as fault:
            self.assertIn(fault.code, ("ServerBusy", "InternalServerError", "ServerChanged", "ConfigChanged", "RegistrationRequired"))
            return 1
        except (AssertionError, TypeError, ValueError):
            return 1  # other bytes in the middle of a text are not the store's to see
        return 0


class Absent(Damage):
    """What keeps a store from being opened."""

    def reload(self):
        """New workers, which have to open it."""
        for service in ("client", "auth"):
            before = self.server.workers(service)
            os.kill(self.server.pid(service), signal.SIGHUP)
            wait_for(lambda: len(self.server.workers(service)) == 4 and not set(before) & set(self.server.workers(service)),
                     what="new workers")

    def test_no_store(self):
        aside = self.store / "aside"
        (self.store / "catalog").rename(aside)
        try:
            self.expect_busy()
            self.expect_one_line("catalog", "store/catalog: no store there; make one with `wsusctl store create`")
        finally:
            aside.rename(self.store / "catalog")
        self.expect_answers()

    def test_a_newer_format(self):
        ours, theirs = harness.STORE_FORMAT, harness.STORE_FORMAT + 1
        newer = self.good["catalog"].replace(b"format\1" + ours.to_bytes(4, "big"), b"format\1" + theirs.to_bytes(4, "big"))
        self.put("catalog", newer)
        self.spoilt.add("catalog")
        self.expect_busy()
        self.expect_one_line("catalog", f"its format is {theirs}, this program knows up to {ours}")
        done = self.server.ctl("update", "list", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"its format is {theirs}", done.stderr)
        self.assertEqual(self.data("catalog").read_bytes(), newer, "nothing was changed")

    @unittest.skipUnless(os.geteuid() == 0, "services run as their own user only where root starts them")
    def test_a_file_that_the_service_may_not_read(self):
        os.chmod(self.data("catalog"), 0o600)
        self.reload()
        self.expect_busy()
        self.expect_one_line("catalog", "Permission denied", "as root, mends the modes")
        self.server.ctl("group", "list")
        self.expect_answers()

    def test_something_that_is_no_store(self):
        self.put("catalog", b"words " * 9000)
        self.spoilt.add("catalog")
        self.expect_busy()
        self.expect_one_line("catalog", "not an LMDB file")

    def test_a_new_lock_file_is_taken_up(self):
        """Who has the old one would write beside who has the new one."""
        for part in ("catalog", "fleet"):
            (self.store / part / "lock.mdb").unlink()
        self.server.ctl("group", "list")
        self.expect_files_in_use()
        self.expect_scan()


class Fleet(Damage):
    def test_scans_go_on_without_it(self):
        before = Computer(self.server).handshake()
        before.scan()
        self.good["fleet"] = self.data("fleet").read_bytes()
        self.cut("fleet", 2)
        wait_for(lambda: self.said("auth", "fleet/ is stopped") or not self.succeeds(Computer(self.server).handshake) and False,
                 what="the damage to be met")
        wait_for(lambda: self.succeeds(Computer(self.server).handshake), what="a new computer to be served")
        for _ in range(5):
            self.expect_scan()
        self.assertEqual(find(before.sync_once(), "Truncated"), "false", "one that was here before")
        self.expect_one_line("fleet", "fleet/data.mdb", "wsusctl store reset")
        self.assertEqual(self.said("client", "catalog/ is stopped"), [])
        # and the administrator's work
        self.assertRegex(self.audit(1), "fleet/data.mdb: ")
        update = next(r for r in self.server.ctl_json("update", "list", "--type", "software") if r["state"] == "offered")["id"]
        done = self.server.ctl("approve", update, "--group", "All Computers")
        self.assertIn("going on without what computers told: ", done.stderr)
        self.addCleanup(self.server.ctl, "unapprove", update, "--group", "All Computers")
        self.assertEqual(Computer(self.server).handshake().sync_once().tag.rpartition("}")[2], "SyncUpdatesResult")
        done = self.server.ctl("computer", "list", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("fleet/data.mdb", done.stderr)
        done = self.server.ctl("backup", harness.temporary() / "copy", check=False)
        self.assertEqual(done.returncode, 1)
        self.repair(wait=True)
        self.assertIn(before.id, json.dumps(self.server.ctl_json("computer", "list")), "what it held is there again")
        self.assertEqual(len(self.said("client", "fleet/ is in use again")), 1)

    # holds: WUSP-REPORT-07
    def test_reports_wait_for_it(self):
        """A client forgets what was answered with true."""
        computer = Computer(self.server).handshake()
        instance = uuid.uuid4()
        report = computer.cookie_xml() + (
            f"<clientTime>2026-10-04T15:20:47Z</clientTime><eventBatch><ReportingEvent><BasicData><TimeAtTarget>2026-10-04T15:20:47Z</TimeAtTarget>"
            f"<EventInstanceID>{instance}</EventInstanceID><NamespaceID>1</NamespaceID><EventID>147</EventID></BasicData></ReportingEvent></eventBatch>")
        self.good["fleet"] = self.data("fleet").read_bytes()
        self.put("fleet", b"words " * 9000)
        self.spoilt.add("fleet")
        wait_for(lambda: self.said("reporting", "fleet/ is stopped"), what="the damage to be met")
        without = f"<computerId>{computer.id}</computerId>" + report[report.index("<clientTime>"):]
        for operation, inner in (("ReportEventBatch", report), ("ReportEventBatch2", without),
                                 ("ReportInventory", report[:report.index("<eventBatch>")] + "<inventory/>")):
            for _ in range(5):
                status, _, body = self.server.post(harness.REPORT, operation, inner)
                self.assertEqual((status, fault_code(body)), (500, "ServerBusy"), operation)
        self.repair()
        status, _, body = self.server.post(harness.REPORT, "ReportEventBatch", report)
        self.assertEqual((status, find(payload(body), "ReportEventBatchResult")), (200, "true"))
        self.assertEqual(self.server.requests("reporting")[-1]["events"], '"1 kept"')

    def test_groups_that_computers_name_themselves_need_it(self):
        self.server.ctl("config", "set", "targeting", "client")
        self.addCleanup(self.server.ctl, "config", "set", "targeting", "server")
        self.good["catalog"] = self.data("catalog").read_bytes()
        computer = Computer(self.server).handshake()
        self.good["fleet"] = self.data("fleet").read_bytes()
        self.put("fleet", b"words " * 9000)
        self.spoilt.add("fleet")
        wait_for(lambda: self.said("client", "fleet/ is stopped"), what="the damage to be met")
        self.assertEqual(self.refusal(computer.sync_once), "ServerBusy", "its groups are not known: nothing is withdrawn from it")
        self.assertEqual(self.refusal(Computer(self.server).handshake), "ServerBusy")
        self.repair()
        computer = Computer(self.server).handshake()
        computer.scan()
        self.assertEqual(set(computer.known), self.known)

    def test_pages_of_other_bytes(self):
        generator = random.Random(20261123)
        for i in range(4):
            with self.subTest(i=i):
                self.setUp()
                self.spoil("fleet", lambda f: self.overwrite(f, generator, i, 1 + i, 2))
                for _ in range(6):
                    self.refusal(Computer(self.server).handshake)
                wait_for(lambda: self.succeeds(Computer(self.server).handshake), what="a computer to be served")
                self.expect_scan()
                self.repair()


class Reset(unittest.TestCase):
    """wsusctl store reset, beside services that have stopped using what it empties."""

    def setUp(self):
        self.server = Instance("sample")
        self.server.start()
        self.server.end_jobs()
        self.addCleanup(self.server.stop)
        self.store = self.server.state / "store"
        self.probe_state = harness.temporary() / "probe"

    def probe(self, *more):
        done = harness.run(harness.ROOT / "bin/wsus-probe", f"http://127.0.0.1:{self.server.port}", "--json", *more)
        answer = json.loads(done.stdout)
        self.assertEqual((answer["ok"], answer["problem_count"]), (True, 0), done.stderr)
        return answer, done.stderr

    def stat(self):
        stat = self.server.ctl_json("store", "stat")
        return stat["server_id"], stat["generation"]

    def offered(self):
        return [r["id"] for r in self.server.ctl_json("update", "list", "--type", "software") if r["state"] == "offered"]

    def states(self, ids):
        rows = {r["id"]: r["state"] for r in self.server.ctl_json("update", "list", "--all")}
        return [rows.get(i) for i in ids]

    def computer(self):
        return Computer(self.server).handshake()

    def stop_the_catalog(self, pages):
        """Damages and has it found."""
        os.truncate(self.store / "catalog/data.mdb", pages * PAGE)
        self.assertEqual(self.server.ctl("store", "audit", check=False).returncode, 1)
        wait_for(lambda: fault_code(self.server.post_bytes(CLIENT, "GetConfig", GET_CONFIG)[2]) == "ServerBusy", what="the stop")
        wait_for(lambda: Catalog.refusal(Computer(self.server).get_auth_cookie) == "ServerBusy", what="that of the other service")

    def set_policy(self):
        ctl = self.server.ctl
        ctl("group", "create", "Pilot ring")
        ctl("group", "create", "Inner", "--parent", "Pilot ring")
        self.pc = self.computer()
        ctl("computer", "assign", self.pc.id, "--group", "Inner")
        ctl("config", "set", "scan.page-updates", "150")
        self.approved, self.declined, self.later = self.offered()[:3]
        ctl("approve", self.approved, "--group", "Pilot ring", "--action", "install", "--deadline", "2031-01-02T03:04")
        ctl("decline", self.declined)
        ctl("downstream", "approve", "5a5a5a5a-1111-2222-3333-444444444444", "--name", "dss.example.net", "--admin", "first last")
        ctl("downstream", "block", "5a5a5a5a-1111-2222-3333-555555555555", "--name", "other.example.net")

    def policy(self):
        ctl = self.server.ctl_json
        return {"groups": sorted((g["name"], g.get("parent")) for g in ctl("group", "list")),
                "page": [r["value"] for r in ctl("config", "show") if r["name"] == "scan.page-updates"],
                "assigned": [r["groups"] for r in ctl("computer", "list") if r["id"] == self.pc.id],
                "downstream": [(r["id"], r["name"], r["state"], ctl("downstream", "show", r["id"])["by"])
                               for r in ctl("downstream", "list")]}

    def test_policy_is_kept_and_holds_again_when_the_documents_come(self):
        self.set_policy()
        before, policy = self.stat(), self.policy()
        approvals = self.server.ctl_json("store", "stat")["deployments"]
        self.probe("--state", self.probe_state)
        shown = self.server.ctl_json("update", "show", self.approved)
        # the record of changes is spoilt, which no policy lies in
        data = self.store / "catalog/data.mdb"
        content = data.read_bytes()
        note = self.server.ctl_json("store", "history")[0]["what"].encode()
        with open(data, "r+b") as f:
            for at in range(2 * PAGE, len(content), PAGE):
                if note in content[at:at + PAGE]:
                    f.seek(at)
                    f.write(bytes(PAGE))
        self.assertIn("database `audit`", self.server.ctl("store", "audit", check=False).stdout)
        wait_for(lambda: fault_code(self.server.post_bytes(CLIENT, "GetConfig", GET_CONFIG)[2]) == "ServerBusy", what="the stop")
        wait_for(lambda: Catalog.refusal(Computer(self.server).get_auth_cookie) == "ServerBusy", what="that of the other service")
        done = self.server.ctl("store", "reset", "--keep-policy")
        self.assertRegex(done.stdout, r"catalog/ emptied; what was there is in \S+/before-reset-\d{8}T\d{6}Z")
        for words in ("kept: 2 groups", "kept: 1 assignments", "kept: 1 settings", "kept: 1 declines",
                      "kept: 2 downstream servers", f"kept: {approvals} approvals",
                      "next: `wsusctl update import` the documents again"):
            self.assertIn(words, done.stdout)
        aside = next(self.store.glob("before-reset-*"))
        self.assertGreater((aside / "catalog/data.mdb").stat().st_size, 0)
        self.assertEqual(self.stat(), (before[0], before[1] + 1))
        self.assertEqual(self.policy(), policy)
        self.assertEqual(self.server.ctl("store", "audit").returncode, 0)
        wait_for(self.server.answers, what="answers without a restart")
        self.server.ctl("update", "import", self.server.state / "sample/updates")
        self.assertEqual(self.server.ctl("store", "audit").returncode, 0)
        self.server.ctl("content", "add", self.server.state / "content")
        self.assertEqual(self.states([self.declined]), ["declined"])
        again = self.server.ctl_json("update", "show", self.approved)
        strip = [[{k: v for k, v in a.items() if k != "changed"} for a in s["approvals"]] for s in (again, shown)]
        self.assertEqual(*strip)
        self.assertEqual(len(again["approvals"]), 1)
        # a computer that was here before
        answer, said = self.probe("--state", self.probe_state)
        self.assertIn("ServerChanged", said)
        self.assertIn("refresh", [step["name"] for step in answer["steps"]])
        fresh, _ = self.probe()
        self.assertEqual(answer["updates"]["known"], fresh["updates"]["known"])
        self.pc.handshake()
        self.pc.known.clear()
        self.pc.installed.clear()
        self.pc.other.clear()
        self.pc.scan()
        self.assertIn(self.approved, self.pc.offered())
        self.assertNotIn(self.declined, self.pc.offered())

    def test_nothing_of_it_can_be_read(self):
        before = self.stat()
        known = self.computer().id
        self.stop_the_catalog(3)
        done = self.server.ctl("store", "reset", "--keep-policy")
        self.assertIn("not all approvals can be read", done.stderr)
        self.assertEqual(self.stat(), (before[0], before[1] + 1), "the file beside it knows which server this is")
        self.assertIn(known, json.dumps(self.server.ctl_json("computer", "list")), "the other part stays")
        wait_for(self.server.answers, what="answers without a restart")
        self.server.ctl("update", "import", self.server.state / "sample/updates")
        self.probe()

    def test_what_computers_told(self):
        before, catalog = self.stat(), (self.store / "catalog/data.mdb").stat().st_ino
        known = self.computer().id
        os.truncate(self.store / "fleet/data.mdb", 2 * PAGE)
        wait_for(lambda: Catalog.refusal(self.computer) is None, what="service without it")
        done = self.server.ctl("store", "reset")
        self.assertIn("fleet/ emptied", done.stdout)
        self.assertEqual((self.stat(), (self.store / "catalog/data.mdb").stat().st_ino), (before, catalog))
        wait_for(lambda: self.computer().id in json.dumps(self.server.ctl_json("computer", "list")), what="computers to be noted")
        self.assertNotIn(known, json.dumps(self.server.ctl_json("computer", "list")))
        self.probe()

    def test_one_that_is_sound_and_in_use_is_refused_and_one_at_rest_is_emptied(self):
        before = self.stat()
        refused = self.server.ctl("store", "reset", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, r"in use by process \d+ \(wsus-\w+\); stop the services")
        self.assertTrue(self.server.answers())
        self.server.stop()
        self.assertIn("catalog/ and fleet/ emptied", self.server.ctl("store", "reset").stdout)
        self.assertEqual(self.stat(), (before[0], before[1] + 1))
        self.assertEqual(self.server.ctl_json("update", "list", "--all"), [])
        self.server.ctl("store", "audit")


del Damage  # has no test of its own

if __name__ == "__main__":
    unittest.main()
