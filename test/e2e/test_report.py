"""test_report.py -- `wsusctl report`: what computers sent through nginx is what the commands say, as text, as CSV and as JSON; whatever
their names, and whatever is asked."""
import csv
import datetime
import html.parser
import io
import json
import re
import subprocess
import unittest
import uuid

from harness import REPORT, Computer, Instance, find, local, payload, temporary, run, ROOT

NONE = "00000000-0000-0000-0000-000000000000"
NAME, SYSTEM = "-1.example.net", "=cmd|' /C calc'!A0,\"x\""  # what a computer says of itself
GROUP = '@sum("a",1) <b>'
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
TIMEOUT, TOO_OLD, UNHEARD = -2147012894, -2145124302, -559038737  # 0x80072EE2, 0x80240032, 0xDEADBEEF


def at(minutes):
    """So many minutes ago, as it is sent and as it is shown."""
    return (NOW - datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def strings(name, values):
    def text(v):
        return v.replace("&", "&amp;").replace("<", "&lt;")
    return f"<{name}>{''.join(f'<string>{text(v)}</string>' for v in values)}</{name}>" if values else ""


MISC = ("A=0", "G=1507.2601.30012.0", "K=EDK II", "L=2022-02-02T00:00:00")  # in all events of a computer


def event(number, minutes, update=NONE, hresult=0, misc=(), replacement=()):
    return (f"<ReportingEvent><BasicData><SequenceNumber>0</SequenceNumber><TimeAtTarget>{at(minutes)}</TimeAtTarget>"
            f"<EventInstanceID>{uuid.uuid4()}</EventInstanceID><NamespaceID>1</NamespaceID><EventID>{number}</EventID>"
            f"<SourceID>101</SourceID><UpdateID><UpdateID>{update}</UpdateID><RevisionNumber>1</RevisionNumber></UpdateID>"
            f"<Win32HResult>{hresult}</Win32HResult><AppName>UpdateOrchestrator</AppName></BasicData><ExtendedData>"
            f"{strings('ReplacementStrings', replacement)}{strings('MiscData', (*MISC, *misc))}<ComputerBrand>QEMU</ComputerBrand>"
            "<ComputerModel>Q35</ComputerModel><BiosRevision>unknown</BiosRevision><ProcessorArchitecture>Amd64Compatible"
            "</ProcessorArchitecture><OSVersion><Major>10</Major><Minor>0</Minor><Build>26200</Build><Revision>65792</Revision>"
            "<ServicePackMajor>0</ServicePackMajor><ServicePackMinor>0</ServicePackMinor></OSVersion><OSLocaleID>1033</OSLocaleID>"
            "</ExtendedData><PrivateData/></ReportingEvent>")


def status(minutes, needed=(), installed=()):
    """Event 156: the lists are the state of the computer."""
    misc = []
    for tag, ids in (("U", needed), ("V", installed)):
        if ids:
            misc.append(f"{tag}=" + ";".join(i.upper() for i in ids))
    return event(156, minutes, misc=misc)


class Reporter(Computer):
    system = None

    def client(self, operation, inner):
        more = f"<OSDescription>{self.system}</OSDescription></computerInfo>" if self.system else "</computerInfo>"
        return super().client(operation, inner.replace("</computerInfo>", more))

    def report(self, *events):
        """As a native client does it, by the cookie of its scan."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        code, _, body = self.server.post(REPORT, "ReportEventBatch",
                                         self.cookie_xml() + f"<clientTime>{now}</clientTime><eventBatch>{''.join(events)}</eventBatch>")
        answer = payload(body)
        if code != 200 or local(answer) == "Fault" or find(answer, "ReportEventBatchResult") != "true":
            raise AssertionError((code, body))


def csv_bytes(store, *arguments):
    """As text, with the ends of lines that it has."""
    done = subprocess.run([ROOT / "bin/wsusctl", "--store", store, "report", *arguments, "--csv"], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_csv(value):
    """A JSON value as CSV has it."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return ("'" if re.match(r" *[=+\-@]", value) else "") + value if isinstance(value, str) else str(value)


class Filled(unittest.TestCase):
    """One server for all of these, four computers in two nested groups and in none, five updates."""
    server = None

    @classmethod
    def setUpClass(cls):
        if not Filled.server:
            Filled.fill()

    @classmethod
    def fill(cls):
        cls.server = Instance("sample")
        cls.server.start()
        ctl = cls.server.ctl
        ctl("group", "create", "Pilot")
        ctl("group", "create", GROUP, "--parent", "Pilot")
        kb = {}
        for u in cls.server.ctl_json("update", "list", "--type", "software"):
            if u["kb"] and u["state"] == "offered" and not u["approvals"]:
                kb.setdefault(u["kb"], u)
        cls.update = list(kb.values())[:5]
        cls.approved = cls.server.ctl_json("report", "summary")["updates_approved"]  # by the sample
        cls.one, cls.two, cls.three, cls.four, cls.five = (u["id"] for u in cls.update)
        cls.a, cls.b, cls.c, cls.d = (Reporter(cls.server, name=name) for name in ("a.example.net", "b.example.net", NAME, "d.example.net"))
        cls.c.system = SYSTEM
        for computer in (cls.a, cls.b, cls.c, cls.d):
            computer.handshake()
        ctl("computer", "assign", cls.a.id, "--group", "Pilot")
        ctl("computer", "assign", cls.b.id, "--group", GROUP)
        ctl("approve", cls.one, "--group", "Pilot")
        ctl("approve", cls.three, "--group", "Pilot", "--action", "block")
        cls.a.report(event(147, 61, replacement=["2"]), status(60, [cls.one, cls.two], [cls.three]),
                     event(182, 50, cls.two, TOO_OLD, replacement=["0x80240032", "=title,\n\"of\" \x85 <two>"]))
        cls.b.report(event(147, 41, replacement=["1"]), status(40, [cls.one, cls.four], [cls.two, cls.three]), event(184, 30, cls.one))
        cls.c.report(status(25, [cls.one, cls.four, cls.five]), event(182, 22, cls.five, UNHEARD), event(148, 20, hresult=TIMEOUT))
        ctl("decline", cls.four)

    def json(self, *arguments):
        return self.server.ctl_json("report", *arguments)

    def bytes(self, *arguments):
        return csv_bytes(self.server.state / "store", *arguments)

    def csv(self, *arguments):
        return rows_of(self.bytes(*arguments))

    def text(self, *arguments):
        return self.server.ctl("report", *arguments).stdout

    def title(self, id):
        return next(u["title"] for u in self.update if u["id"] == id)

    def same_as_csv(self, rows, *arguments):
        self.assertEqual(self.csv(*arguments), [{k: as_csv(v) for k, v in row.items()} for row in rows])

    def wrong(self, *arguments):
        done = self.server.ctl("report", *arguments, check=False)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("wsusctl: "), done.stderr)
        return done.returncode, done.stderr.removeprefix("wsusctl: ").rstrip("\n")


COUNTS = ("needed", "downloaded", "installed", "failed", "pending_restart", "not_applicable", "unknown")


class Updates(Filled):
    def counts(self, *arguments):
        return {r["id"]: tuple(r[k] for k in COUNTS) for r in self.json("updates", *arguments)}

    def test_each_update_has_its_counts(self):
        self.assertEqual(self.counts(), {
            self.one: (2, 0, 0, 0, 1, 0, 1),
            self.two: (0, 0, 1, 1, 0, 1, 1),
            self.five: (0, 0, 0, 1, 0, 2, 1)})

    def test_who_decided_what_stands_with_them(self):
        rows = {r["id"]: r for r in self.json("updates")}
        listed = {u["id"]: u for u in self.update}
        for id in (self.one, self.two, self.five):
            self.assertEqual([rows[id][k] for k in ("kb", "title", "created")], [listed[id][k] for k in ("kb", "title", "created")])
        self.assertEqual((rows[self.one]["approved"], rows[self.one]["approved_for"]), (True, "Pilot"))
        self.assertEqual((rows[self.two]["approved"], rows[self.two]["approved_for"]), (False, None))

    def test_a_classification_is_one_of_those_there_are(self):
        known = {r["title"] for r in self.server.ctl_json("update", "list", "--type", "category")}
        for row in self.json("updates"):
            self.assertIn(row["classification"], known)

    def test_filters(self):
        self.assertEqual(set(self.counts("--needed")), {self.one})
        self.assertEqual(set(self.counts("--failed")), {self.two, self.five})
        self.assertEqual(set(self.counts("--unapproved")), {self.two, self.five})
        self.assertEqual(set(self.counts("--unapproved", "--needed")), set())
        self.assertEqual(self.counts("--declined", "--needed")[self.four], (2, 0, 0, 0, 0, 1, 1))

    def test_counts_of_a_group_are_those_of_the_groups_below_it_too(self):
        self.assertEqual(self.counts("--group", "Pilot"), {self.one: (1, 0, 0, 0, 1, 0, 0), self.two: (0, 0, 1, 1, 0, 0, 0)})
        self.assertEqual(self.counts("--group", GROUP), {self.one: (0, 0, 0, 0, 1, 0, 0)})
        self.assertEqual(self.counts("--group", "Unassigned Computers", "--failed"), {self.five: (0, 0, 0, 1, 0, 0, 1)})

    def test_the_order_is_the_one_asked_for_and_the_limit_comes_after_it(self):
        ids = {self.one: self.title(self.one), self.two: self.title(self.two), self.five: self.title(self.five)}
        dates = {r["id"]: r["created"] for r in self.json("updates")}
        self.assertEqual([r["id"] for r in self.json("updates")][0], self.one)
        self.assertEqual([r["id"] for r in self.json("updates", "--sort", "title")], sorted(ids, key=lambda i: ids[i].lower()))
        self.assertEqual([r["id"] for r in self.json("updates", "--sort", "failed")][2], self.one)
        self.assertEqual([dates[r["id"]] for r in self.json("updates", "--sort", "date")], sorted(dates.values(), reverse=True))
        self.assertEqual([r["id"] for r in self.json("updates", "--limit", "1")], [self.one])
        self.assertEqual(len(self.json("updates", "--limit", "0")), 3)

    def test_csv_has_what_json_has(self):
        self.same_as_csv(self.json("updates"), "updates")
        self.same_as_csv(self.json("updates", "--group", GROUP), "updates", "--group", GROUP)

    def test_text_is_a_table_with_the_same_numbers(self):
        head, *lines = self.text("updates", "--sort", "title").splitlines()
        self.assertEqual(head.split()[:2], ["KB", "TITLE"])
        self.assertEqual(len(lines), 3)
        line = next(x for x in lines if x.endswith(self.one))
        self.assertIn(self.title(self.one), line)
        self.assertRegex(line, r" 2 +0 +0 +0 +1 +0 +1  yes +Pilot +no ")

    def test_wrong_input(self):
        self.assertEqual(self.wrong("updates", "--sort", "size"), (2, "--sort size: one of needed, failed, title or date"))
        self.assertEqual(self.wrong("updates", "--limit", "-1"), (2, "--limit wants a number, not -1"))
        self.assertEqual(self.wrong("updates", "--limit", "many"), (2, "--limit wants a number, not many"))
        self.assertEqual(self.wrong("updates", "--csv", "--json"), (2, "--json or --csv, not both"))
        code, words = self.wrong("updates", "--group", "Nobody")
        self.assertEqual((code, words.split(";")[0]), (1, 'no group "Nobody"'))
        self.assertEqual(self.wrong("updates", "x")[0], 2)


class Computers(Filled):
    def test_each_computer_has_a_row(self):
        rows = {r["name"]: r for r in self.json("computers")}
        self.assertEqual(list(rows), sorted([NAME, "a.example.net", "b.example.net", "d.example.net"], key=str.lower))
        keys = ("groups", "needed", "downloaded", "installed", "failed", "pending_restart", "last_sync")
        self.assertEqual([rows["a.example.net"][k] for k in keys], ["Pilot", 1, 0, 1, 1, False, "succeeded"])
        self.assertEqual([rows["b.example.net"][k] for k in keys], [f"{GROUP}, Pilot", 1, 0, 2, 0, True, "succeeded"])
        self.assertEqual([rows[NAME][k] for k in keys[:-1]], ["Unassigned Computers", 2, 0, 0, 1, False])
        self.assertRegex(rows[NAME]["last_sync"], "^failed, 0x80072EE2: ")
        self.assertEqual([rows["d.example.net"][k] for k in keys], ["Unassigned Computers", None, None, None, None, False, "never"])
        self.assertIsNone(rows["d.example.net"]["last_report"])
        self.assertEqual(rows["a.example.net"]["last_sync_at"], at(61))
        self.assertEqual(rows["a.example.net"]["id"], self.a.id)

    def test_the_order_is_the_one_asked_for(self):
        def names(*arguments):
            return [r["name"][0] for r in self.json("computers", *arguments)]
        self.assertEqual(names("--sort", "needed")[0], "-")
        self.assertEqual(names("--sort", "failed"), ["-", "a", "b", "d"])
        self.assertEqual(names("--sort", "report"), ["d", "a", "b", "-"])
        self.assertEqual(names("--sort", "failed", "--limit", "2"), ["-", "a"])

    def test_names_that_computers_give_themselves_do_nothing_to_a_spreadsheet(self):
        text = self.bytes("computers")
        self.assertIn('\n\'-1.example.net,"\'=cmd|\' /C calc\'!A0,""x""",Unassigned Computers,', text)
        self.same_as_csv(self.json("computers"), "computers")

    def test_filters_are_those_of_the_list_of_computers(self):
        for arguments, want in ((["--failed"], "-a"), (["--never-reported"], "d"), (["--group", "Pilot"], "ab"), (["--sync-failed"], "-"),
                                (["--pending-restart"], "b"), (["--needing", self.four], "-b"), (["--os", "calc", "--failed"], "-"), (["--stale"], "")):
            self.assertEqual("".join(r["name"][0] for r in self.json("computers", *arguments)), want, arguments)
            self.assertEqual(len(self.csv("computers", *arguments)), len(want), arguments)

    def test_wrong_input(self):
        self.assertEqual(self.wrong("computers", "--sort", "os"), (2, "--sort os: one of name, needed, failed, contact or report"))


class OneComputer(Filled):
    def test_what_it_is_and_where_it_stands(self):
        r = self.json("computer", "a.example.net")
        want = {"name": "a.example.net", "id": self.a.id, "os": "Windows Server 2019", "groups": "Pilot", "address": "127.0.0.1", "flags": None,
                "model": "QEMU Q35", "bios": "EDK II unknown, 2022-02-02T00:00:00", "os_version": "10.0.26200.65792",
                "client_version": "1507.2601.30012.0", "last_sync": "succeeded", "last_sync_at": at(61), "last_sync_good": at(61),
                "last_status": at(60), "last_restart": None, "waits_for_restart": None, "clock": None, "needed": 1, "downloaded": 0,
                "failed": 1, "pending_restart": 0, "installed": 1, "hidden": 0, "installations_good": 0, "installations_bad": 1}
        self.assertEqual({k: r[k] for k in want}, want)
        self.assertIn({"field": "BiosVersion", "value": "1.0"}, r["registration"])

    def test_its_updates_with_the_last_error_in_words(self):
        rows = {u["id"]: u for u in self.json("computer", self.a.id)["updates"]}
        self.assertEqual(list(rows), [self.two, self.one])  # what failed stands first
        self.assertEqual({i: (u["status"], u["since"]) for i, u in rows.items()}, {self.one: ("needed", at(60)), self.two: ("failed", at(50))})
        self.assertRegex(rows[self.two]["error"], "^0x80240032")
        self.assertEqual((rows[self.two]["failed_at"], rows[self.one]["failed_at"], rows[self.one]["error"]), (at(50), None, None))
        self.assertEqual((rows[self.one]["approved_for"], rows[self.one]["title"]), ("Pilot", self.title(self.one)))
        every = {u["id"]: u["status"] for u in self.json("computer", self.a.id, "--all")["updates"]}
        self.assertEqual(every, {self.one: "needed", self.two: "failed", self.three: "installed"})
        self.same_as_csv(list(rows.values()), "computer", self.a.id)

    def test_a_restart_that_it_waits_for(self):
        r = self.json("computer", "b")
        self.assertEqual((r["waits_for_restart"], r["installations_good"]), (at(30), 1))
        self.assertEqual({u["id"]: u["status"] for u in r["updates"]}, {self.one: "pending-reboot", self.four: "needed"})
        self.assertIn(at(30)[:16].replace("T", " "), self.text("computer", "b"))

    def test_a_failed_scan_and_an_error_that_nobody_knows(self):
        r = self.json("computer", self.c.id)
        self.assertRegex(r["last_sync"], "^failed, 0x80072EE2: ")
        self.assertEqual(next(u["error"] for u in r["updates"] if u["id"] == self.five), "0xDEADBEEF")

    def test_its_last_events_newest_first(self):
        rows = self.json("computer", "a.example.net")["events"]
        self.assertEqual([(e["event"], e["at"]) for e in rows], [(182, at(50)), (156, at(60)), (147, at(61))])
        self.assertEqual((rows[0]["update"], rows[0]["application"]), (self.two, "UpdateOrchestrator"))
        self.assertIn("=title,\n\"of\" \x85 <two>", rows[0]["text"])
        self.assertEqual([e["event"] for e in self.json("computer", "a", "--events", "1")["events"]], [182])
        text = self.text("computer", "a")
        self.assertIn(r'=title,\x0a"of" \xc2\x85 <two>', text)

    def test_one_that_never_reported(self):
        r = self.json("computer", "d")
        self.assertEqual((r["last_report"], r["last_status"], r["last_sync"], r["updates"], r["events"]), (None, None, "never", [], []))
        self.assertEqual(self.bytes("computer", "d").count("\r\n"), 1)
        self.assertRegex(self.text("computer", "d"), r"\nLast report +never\n")

    def test_names_that_fit_none_or_several(self):
        self.assertEqual(self.wrong("computer", "nobody"), (1, 'no computer "nobody" has contacted this server yet'))
        self.assertEqual(self.wrong("computer")[0], 2)
        twin = Reporter(self.server, name="d.example.net").handshake()
        code, words = self.wrong("computer", "d")
        self.assertEqual((code, words.splitlines()[0]), (1, '2 computers are called "d"; give the id:'))
        self.assertIn(twin.id, words)
        self.server.ctl("computer", "delete", twin.id)


class OneUpdate(Filled):
    def groups(self, id, which="groups"):
        return {g["group"]: (g["approval"], g["computers"], *(g[k] for k in COUNTS)) for g in self.json("update", id)[which]}

    def test_counts_of_groups_beside_what_is_approved(self):
        self.assertEqual(self.groups(self.one), {
            "All Computers": (None, 4, 2, 0, 0, 0, 1, 0, 1), "Unassigned Computers": (None, 2, 1, 0, 0, 0, 0, 0, 1),
            "Pilot": ("install", 2, 1, 0, 0, 0, 1, 0, 0), GROUP: (None, 1, 0, 0, 0, 0, 1, 0, 0)})
        self.assertEqual(self.groups(self.three, "groups_direct"), {
            "Unassigned Computers": (None, 2, 0, 0, 0, 0, 0, 1, 1), "Pilot": ("block", 1, 0, 0, 1, 0, 0, 0, 0),
            GROUP: (None, 1, 0, 0, 1, 0, 0, 0, 0)})

    def test_the_head_has_the_sum(self):
        r = self.json("update", self.one)
        self.assertEqual(tuple(r[k] for k in COUNTS), (2, 0, 0, 0, 1, 0, 1))
        self.assertEqual((r["title"], r["approved"], r["approved_for"], r["declined"]), (self.title(self.one), True, "Pilot", False))
        self.assertTrue(self.json("update", self.four)["declined"])

    def test_computers_that_have_something_left_to_do(self):
        rows = self.json("update", self.two)["computers"]
        self.assertEqual([(c["name"], c["status"], c["failed_at"], c["groups"]) for c in rows], [("a.example.net", "failed", at(50), "Pilot")])
        self.assertRegex(rows[0]["error"], "^0x80240032")
        self.same_as_csv(rows, "update", self.two)

    def test_computers_in_a_status(self):
        for word, want in (("needed", {NAME, "a.example.net"}), ("pending-reboot", {"b.example.net"}), ("unknown", {"d.example.net"}),
                           ("not-applicable", set()), ("failed", set())):
            self.assertEqual({c["name"] for c in self.json("update", self.one, "--status", word)["computers"]}, want, word)
        self.assertEqual({c["name"] for c in self.json("update", self.two, "--status", "not-applicable")["computers"]}, {NAME})

    def test_a_list_that_is_cut_says_so(self):
        text = self.text("update", self.one, "--limit", "1")
        self.assertIn("\nComputers that need it (1 of 3; --limit 0 has all)\n", text)
        self.assertEqual(len(self.json("update", self.one, "--limit", "2")["computers"]), 2)
        self.assertEqual(len(self.csv("update", self.one, "--limit", "0")), 3)

    def test_installations_by_system(self):
        rows = self.json("update", self.one)["activity"]
        self.assertEqual([(a["succeeded"], a["failed"], a["revision"]) for a in rows], [(1, 0, 1)])
        self.assertRegex(rows[0]["os"], r"^Windows Server 2019 10\.0\.26200 AMD64$")
        self.assertEqual([(a["succeeded"], a["failed"]) for a in self.json("update", self.two)["activity"]], [(0, 1)])

    def test_wrong_input(self):
        self.assertEqual(self.wrong("update", self.one, "--status", "good"), (2,
            "--status good: one of unknown, not-applicable, needed, downloaded, installed, failed or pending-reboot"))
        self.assertRegex(self.wrong("update", NONE)[1], f"^no update {NONE} here")
        self.assertEqual(self.wrong("update", "no such title")[0], 1)


class Later(Filled):
    def test_a_failure_stays_readable_where_a_later_list_says_needed(self):
        late = Reporter(self.server, name="late.example.net").handshake()
        try:
            late.report(status(15, [self.three]), event(182, 12, self.three, TOO_OLD))
            late.report(status(10, [self.three]))
            (row,) = self.json("computer", late.id)["updates"]
            self.assertEqual((row["status"], row["since"], row["failed_at"]), ("needed", at(10), at(12)))
            self.assertRegex(row["error"], "^0x80240032")
            late.report(status(5))
            r = self.json("computer", late.id)
            self.assertEqual((r["updates"], r["needed"], r["failed"], r["installations_bad"]), ([], 0, 0, 1))
            self.assertEqual([(u["id"], u["status"], u["since"]) for u in self.json("computer", late.id, "--all")["updates"]],
                             [(self.three, "not-applicable", at(5))])
        finally:
            self.server.ctl("computer", "delete", late.id)


class Lists(Filled):
    def test_every_list_has_a_csv_that_is_its_json(self):
        for words in (("update", "list"), ("group", "list"), ("eula", "list"), ("computer", "list"), ("downstream", "list"), ("language", "list"),
                      ("product", "list"), ("classification", "list"), ("sync", "history"), ("content", "wanted"), ("store", "history")):
            with self.subTest(command=words):
                rows = self.server.ctl_json(*words)
                done = subprocess.run([ROOT / "bin/wsusctl", "--store", self.server.state / "store", *words, "--csv"],
                                      stdout=subprocess.PIPE, check=True)
                self.assertEqual(rows_of(done.stdout.decode()), [{k: as_csv(v) for k, v in row.items()} for row in rows])
                if words in (("update", "list"), ("group", "list"), ("computer", "list"), ("store", "history")):
                    self.assertGreater(len(rows), 3)

    def test_no_csv_where_nothing_is_listed(self):
        for words in (("update", "show", self.one), ("group", "create", "x"), ("store", "stat")):
            done = self.server.ctl(*words, "--csv", check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn("has no option --csv", done.stderr)


class Groups(Filled):
    def test_a_group_with_those_below_it(self):
        r = self.json("group", "pilot")
        want = {"group": "Pilot", "parent": "All Computers", "computers": 2, "computers_direct": 1, "computers_reported": 2,
                "computers_needing": 2, "computers_failed": 1, "computers_up_to_date": 0, "computers_pending_restart": 1,
                "computers_sync_failed": 0}
        self.assertEqual({k: r[k] for k in want}, want)
        self.assertEqual([(g["group"], g["computers"]) for g in r["groups"]], [(GROUP, 1)])
        self.assertEqual([(u["id"], u["needed"]) for u in r["updates"]], [(self.one, 1), (self.two, 0)])
        self.same_as_csv(r["updates"], "group", "Pilot")

    def test_all_computers(self):
        r = self.json("group", "all", "--limit", "1")
        self.assertEqual((r["computers"], r["computers_sync_failed"], [u["id"] for u in r["updates"]]), (4, 1, [self.one]))
        self.assertIn("\nMost needed (1 of 3; --limit 0 has all)\n", self.text("group", "all", "--limit", "1"))

    def test_no_such_group(self):
        self.assertRegex(self.wrong("group", "x")[1], '^no group "x"')


class Summary(Filled):
    def test_the_counts(self):
        r = self.json("summary")
        want = {"computers": 4, "computers_needing": 3, "computers_failed": 2, "computers_up_to_date": 0, "computers_reported": 3,
                "computers_never_reported": 1, "computers_pending_restart": 1, "computers_sync_failed": 1, "computers_stale": 0, "groups": 2,
                "updates_declined": 1, "updates_approved": self.approved + 1}
        self.assertEqual({k: r[k] for k in want}, want)
        self.assertEqual(r["systems"], [{"os": "Windows Server 2019", "computers": 3}, {"os": SYSTEM, "computers": 1}])
        self.assertEqual(len(r["sync_errors"]), 1)
        self.assertRegex(r["sync_errors"][0]["error"], "^0x80072EE2: ")
        self.assertEqual(r["unapproved"], [])

    def test_csv_is_a_row_of_counts(self):
        (row,) = self.csv("summary")
        r = self.json("summary")
        self.assertEqual({k: v for k, v in row.items() if k != "at"},
                         {k: as_csv(v) for k, v in r.items() if k != "at" and not isinstance(v, list)})

    def test_it_is_one_screen(self):
        text = self.text("summary")
        self.assertLess(text.count("\n"), 50)
        self.assertRegex(text, r"\nComputers +4\n  that need updates +3\n")


class Walker(html.parser.HTMLParser):
    """Tables as rows of texts, what is not closed, and whatever would be fetched or run."""
    VOID = {"meta"}

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.bad, self.svg = [], [], [], 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.bad += [(tag, k, v) for k, v in attributes if k in ("src", "href", "action") or k.startswith("on") or "url(" in (v or "")]
        self.bad += [tag] if tag in ("script", "link", "iframe", "img", "base", "form") else []
        self.svg += tag == "svg"
        self.open += [] if tag in self.VOID else [tag]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        self.bad += [] if self.open and self.open.pop() == tag else [f"</{tag}>"]

    def handle_data(self, data):
        if self.rows and {"td", "th"} & set(self.open) and "title" not in self.open:
            self.rows[-1][-1] += data


class Page(Filled):
    def page(self):
        return Walker(self.text("html", "-"))

    def row(self, page, name):
        (row,) = [r for r in page.rows if r and r[0] == name and "wsusctl" not in r[0]][:1]
        return row

    def test_it_is_whole_and_fetches_nothing(self):
        page = self.page()
        self.assertEqual((page.bad, page.open), ([], []))
        self.assertGreater(page.svg, 8)

    def test_its_figures_are_those_of_the_reports(self):
        page, group = self.page(), self.json("group", "Pilot")
        self.assertEqual(self.row(page, "Pilot")[2:], [str(group["computers"]), str(group["computers"] - group["computers_failed"]), str(
            group["computers_failed"])])
        (two,) = [u for u in self.json("updates") if u["id"] == self.two]
        self.assertEqual(self.row(page, two["title"])[-2:], [str(two["needed"] + two["downloaded"]), str(two["failed"])])
        counts = self.json("summary")
        self.assertEqual(self.row(page, "Updates")[1], str(counts["updates"]))
        self.assertEqual(self.row(page, "declined")[1], str(counts["updates_declined"]))

    def test_names_stay_names(self):
        page = self.page()
        self.assertEqual(self.row(page, GROUP)[2], "1")
        self.assertEqual(self.row(page, SYSTEM)[2], "1")
        self.assertRegex(self.row(page, NAME)[4], "^failed.*0x80072EE2")

    def test_a_file_is_there_at_once_or_stays_as_it_was(self):
        place = temporary()
        file = place / "r.html"
        file.write_text("as it was")
        self.assertRegex(self.text("html", file), rf"^{re.escape(str(file))}: \d+ KB, for any browser\n$")
        self.assertTrue(file.read_text().startswith("<!doctype html>"))
        self.assertEqual(self.json("html", file), {"file": str(file), "bytes": file.stat().st_size})
        self.assertEqual([p.name for p in place.iterdir()], ["r.html"])
        code, words = self.wrong("html", place / "none" / "r.html")
        self.assertEqual(code, 1)
        self.assertIn(f"{place}/none/r.html", words)
        self.assertEqual(self.wrong("html", place)[0], 1)
        self.assertEqual([p.name for p in place.iterdir()], ["r.html"])
        self.assertEqual(self.wrong("html")[0], 2)


class Empty(unittest.TestCase):
    def test_a_store_in_which_nobody_was(self):
        store = temporary() / "store"
        ctl = (ROOT / "bin/wsusctl", "--store", store)
        run(ROOT / "bin/wsusctl", "store", "create", store)
        for verb in ("updates", "computers"):
            self.assertEqual(run(*ctl, "report", verb).stdout, "none\n")
            self.assertEqual(run(*ctl, "report", verb, "--json").stdout, "[]\n")
            text = csv_bytes(store, verb)
            self.assertEqual((text.count("\r\n"), text.count("\n"), rows_of(text)), (1, 1, []))
        r = json.loads(run(*ctl, "report", "summary", "--json").stdout)
        self.assertEqual((r["computers"], r["updates"], r["systems"], r["unapproved"]), (0, 0, [], []))
        self.assertEqual(json.loads(run(*ctl, "report", "group", "all", "--json").stdout)["computers"], 0)
        self.assertEqual(run(*ctl, "report", "computer", "x", check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
