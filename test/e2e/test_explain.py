"""test_explain.py -- why a computer gets an update or does not, beside what it really is answered; filters of computer list."""
import pathlib
import re
import shutil
import unittest

import harness
from harness import ALL_COMPUTERS, Computer, Instance, find
from test_report import Reporter, at, event, status

LATER = -60  # the server takes it for now
FATAL, ERROR = -2147023293, r"0x80070643: \w.*"


class Explain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("sample")
        cls.server.start()
        cls.updates = cls.server.ctl_json("update", "list", "--all")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def computer(self, **kw):
        computer = Computer(self.server, **kw).handshake()
        self.scan(computer)
        return computer

    def scan(self, computer):
        """As a native one does: until nothing is new."""
        while any(harness.find_all(r, "NewUpdates/UpdateInfo") for r in computer.scan()):
            pass

    def explain(self, computer, update):
        return self.server.ctl_json("explain", computer.id, update)

    def reasons(self, shown, check):
        return [(r["holds"], r["reason"]) for r in shown["reasons"] if r["check"] == check]

    # every update of the catalog: the verdict is the scan's
    def assert_agrees(self, computer):
        offered = {number: find(info, "Deployment/Action") for number, info in computer.known.items()}
        self.assertGreater(len(offered), 100)
        met = 0
        for update in {u["id"] for u in self.updates}:
            shown = self.explain(computer, update)
            number = shown["revision_id"]
            self.assertEqual((shown["offered"], shown["action"]), (number in offered, offered.get(number)), shown)
            self.assertIn(f"{computer.name} {'gets it: ' if shown['gets'] else 'does not get it: '}", shown["verdict"])
            against = [r for r in shown["reasons"] if r["holds"] == "no" and r["check"] in
                       ("update", "approval", "scope", "prerequisite", "decline", "expiry", "revision")]
            if not shown["offered"]:
                self.assertTrue(against, shown)
            if shown["gets"]:
                self.assertFalse(against, shown)
            met += shown["offered"]
        self.assertEqual(met, len(offered))

    def free(self, computer, n):
        """Updates that computers look at, with files or without, that nobody approved."""
        v = [u["id"] for u in self.server.ctl_json("update", "list", "--type", "software") if u["approvals"] == 0 and u["state"] == "offered"]
        return [u for u in v if self.explain(computer, u)["code"] == "unapproved"][:n]

    def test_it_says_what_the_scan_answers_for_every_update(self):
        s = self.server
        s.ctl("group", "create", "Model")
        computer = self.computer()
        a, b, c, d, e = self.free(computer, 5)
        s.ctl("computer", "assign", computer.id, "--group", "Model")
        s.ctl("approve", a, "--group", "Model")
        s.ctl("approve", b, "--group", ALL_COMPUTERS, "--action", "block")
        s.ctl("approve", c, "--group", ALL_COMPUTERS)
        s.ctl("approve", c, "--group", "Model", "--action", "block")
        s.ctl("decline", d)
        s.ctl("approve", e, "--group", "Model", "--action", "detect")
        try:
            self.scan(computer)
            self.assert_agrees(computer)
            codes = [self.explain(computer, u)["code"] for u in (a, b, c, d, e)]
            self.assertIn(codes[0], ("gets", "waits-files", "waits-licence"))
            self.assertEqual(codes[1:], ["blocked", "blocked", "declined", "detection"])
            s.ctl("config", "set", "scan.scope", "approved")
            self.scan(computer)
            offered = computer.offered()
            for u in (a, b, c, d, e):
                self.assertEqual(self.explain(computer, u)["offered"], u.lower() in offered)
        finally:
            s.ctl("config", "set", "scan.scope", "all")
            s.ctl("undecline", d)
            for update, group in ((a, "Model"), (b, ALL_COMPUTERS), (c, ALL_COMPUTERS), (c, "Model"), (e, "Model")):
                s.ctl("unapprove", update, "--group", group)

    def test_the_first_line_is_the_verdict_with_what_to_do(self):
        s, computer = self.server, self.computer(name="pc17.example.net")
        update = self.free(computer, 1)[0]
        lines = s.ctl("explain", "pc17", update).stdout.splitlines()
        self.assertEqual(lines[0], "pc17.example.net does not get it: it is not approved for it: the computer only looks whether it needs it")
        self.assertEqual(lines[1], "To do: approve it for a group of the computer")
        s.ctl("group", "create", "Elsewhere")
        s.ctl("approve", update, "--group", "Elsewhere")
        self.assertIn(("note", "install for Elsewhere: the computer is not in it"), self.reasons(self.explain(computer, update), "approval"))
        s.ctl("decline", update)
        shown = self.explain(computer, update)
        self.assertEqual((shown["code"], shown["todo"]), ("declined", "take that back with `wsusctl undecline`, then approve it"))
        self.assertEqual([h for h, _ in self.reasons(shown, "decline")], ["no"])
        s.ctl("undecline", update)

    def test_before_its_first_scan_and_without_prerequisites(self):
        computer = Computer(self.server).handshake()
        seen = self.computer()
        update = self.free(seen, 1)[0]
        self.assertEqual(self.explain(computer, update)["code"], "not-scanned")
        self.assertIn("no scan for software ended yet", self.explain(computer, update)["reasons"][-2]["reason"])
        computer.sync_once()      # the midst of a scan says nothing
        self.assertEqual(self.explain(computer, update)["code"], "not-scanned")
        empty = Computer(self.server).handshake()
        empty.take = lambda result: []
        while harness.find_all(empty.sync_once(), "NewUpdates/UpdateInfo"):  # knows all and has nothing of it
            known = harness.find_all(empty.sync_once(), "NewUpdates/UpdateInfo")
            empty.other |= {int(find(i, "ID")) for i in known}
        shown = self.explain(empty, update)
        self.assertEqual((shown["code"], shown["offered"]), ("prerequisite", False))
        self.assertTrue(any(h == "no" and "is not installed" in r for h, r in self.reasons(shown, "prerequisite")))

    def test_one_scan_is_enough_of_a_client_that_asks_no_more_than_it_has_to(self):
        """It gets leaves last, and does not ask behind them: its driver pass has what it has installed."""
        harness.run(harness.ROOT / "bin/wsus-probe", f"http://127.0.0.1:{self.server.port}", "--name", "once.example.net")
        update = self.free(self.computer(), 1)[0]
        shown = self.server.ctl_json("explain", "once.example.net", update)
        self.assertNotEqual(shown["code"], "not-scanned", shown)
        self.assertTrue([r for h, r in self.reasons(shown, "scan") if h == "yes" and "it ended a scan for software" in r], shown)

    # what a scan says anew is noted once
    def test_a_scan_that_says_the_same_writes_nothing(self):
        computer = self.computer()
        spec = ("<SystemSpec><Device><HardwareIDs><string>USB\\VID_046D</string></HardwareIDs>"
                "<CompatibleIDs><string>USB\\Class_03</string></CompatibleIDs></Device></SystemSpec>")
        computer.sync_once(skip=True, system_spec=spec)
        show = lambda: self.server.ctl_json("computer", "show", computer.id, "--devices")
        first = show()
        self.assertEqual([(d["device"], d["kind"], d["id"]) for d in first["hardware_ids"]],
                         [(1, "hardware", "USB\\VID_046D"), (1, "compatible", "USB\\Class_03")])
        for _ in range(3):
            self.scan(computer)
            computer.sync_once(skip=True, system_spec=spec)
        self.assertEqual(show()["devices_at"], first["devices_at"])
        computer.sync_once(skip=True, system_spec=spec.replace("046D", "046E"))
        self.assertEqual(show()["hardware_ids"][0]["id"], "USB\\VID_046E")

    def test_filters(self):
        s = self.server
        for group in ("Upper", "Lower"):
            s.ctl("group", "create", group, *(("--parent", "Upper") if group == "Lower" else ()))
        upper, lower, other = (Computer(s, name=n).handshake() for n in ("upper.example.net", "lower.example.net", "twin.example.net"))
        twin = Computer(s, name="TWIN.example.net").handshake()
        s.ctl("computer", "assign", upper.id, "--group", "Upper")
        s.ctl("computer", "assign", lower.id, "--group", "Lower")
        list = lambda *options: {r["id"] for r in s.ctl_json("computer", "list", *options)}
        self.assertEqual(list("--group", "Upper"), {upper.id, lower.id})
        self.assertEqual(list("--group", "Lower"), {lower.id})
        self.assertEqual(list("--duplicate"), {other.id, twin.id})
        self.assertEqual(list("--duplicate", "--group", "Upper"), set())
        self.assertTrue({upper.id, twin.id} <= list("--os", "windows", "--never-reported"))
        self.assertEqual(list("--os", "no such system"), set())
        self.assertEqual(list("--stale"), set())
        self.assertTrue({upper.id, twin.id} <= list("--stale=0"))
        for none in ("--failed", "--needing-any", "--pending-restart", "--sync-failed", "--cloned"):
            self.assertEqual(list(none), set(), none)
        self.assertEqual(list("--needing", self.updates[0]["id"]), set())
        refused = s.ctl("computer", "list", "--stale=x", check=False)
        self.assertEqual((refused.returncode, "a number of days is wanted" in refused.stderr), (2, True))


class Reported(unittest.TestCase):
    """What a computer said of an update decides what is said of it."""
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("sample")
        cls.server.start()
        ctl = cls.server.ctl
        ctl("config", "set", "content.store", "microsoft")  # so that no approval waits for files
        cls.pc = cls.come("pc.example.net")
        cls.updates = cls.server.ctl_json("update", "list", "--all")
        cls.shown = {u["id"]: cls.explain(u["id"]) for u in cls.updates}

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @classmethod
    def come(cls, name):
        computer = Reporter(cls.server, name=name).handshake()
        while any(harness.find_all(r, "NewUpdates/UpdateInfo") for r in computer.scan()):
            pass
        return computer

    @classmethod
    def explain(cls, update, computer=None):
        return cls.server.ctl_json("explain", (computer or cls.pc).id, update)

    @staticmethod
    def reasons(shown, check):
        return [(r["holds"], r["reason"]) for r in shown["reasons"] if r["check"] == check]

    def free(self):
        """Updates that computers look at and nobody approved, without licence terms."""
        return [i for i, x in self.shown.items() if x["code"] == "unapproved" and self.reasons(x, "licence")[0][0] == "yes"]

    def approve(self, *updates):
        for update in updates:
            self.server.ctl("approve", update, "--group", ALL_COMPUTERS)
            self.addCleanup(self.server.ctl, "unapprove", update, "--group", ALL_COMPUTERS)

    def assert_verdict(self, update, code, words, todo, computer=None):
        shown = self.explain(update, computer)
        name = (computer or self.pc).name
        self.assertEqual((shown["code"], shown["gets"], shown["offered"], shown["action"]), (code, True, True, "Install"))
        self.assertRegex(shown["verdict"], f"^{re.escape(name)} gets it: install is approved for All Computers{words}$")
        self.assertEqual(shown["todo"], todo)
        lines = self.server.ctl("explain", name, update).stdout.splitlines()
        self.assertEqual(lines[0], shown["verdict"])
        self.assertEqual(lines[1], f"To do: {todo}" if todo else "")
        return shown

    def test_from_needed_to_installed(self):
        pc, update = self.come("way.example.net"), self.free()[0]
        self.approve(update)
        shown = self.assert_verdict(update, "gets", "", None, pc)
        self.assertEqual(self.reasons(shown, "status"), [("note", "it never reported its updates")])
        pc.report(event(147, 61, replacement=["1"]), status(60, [update]))
        shown = self.assert_verdict(update, "gets", "", None, pc)
        when = at(60)[:16].replace("T", " ")
        self.assertEqual(self.reasons(shown, "status"), [("note", f"needed since {when}")])
        self.assertEqual([h for h, _ in self.reasons(shown, "scan")], ["yes", "yes", "note"])
        pc.report(event(162, 55, update))
        self.assertRegex(self.reasons(self.assert_verdict(update, "gets", "", None, pc), "status")[0][1], "^downloaded since")
        pc.report(event(182, 50, update, FATAL), event(148, 49, hresult=FATAL))
        todo = "`wsusctl report computer` shows what it did"
        shown = self.assert_verdict(update, "failed", f", but its installation failed: {ERROR}", todo, pc)
        self.assertEqual([h for h, _ in self.reasons(shown, "status")], ["no"])
        (holds, text), = self.reasons(shown, "error")
        self.assertEqual(holds, "no")
        self.assertRegex(text, f"^last failure {at(50)[:16].replace('T', ' ')}: {ERROR}")
        self.assertRegex(self.reasons(shown, "scan")[1][1], f"^as it reported .*: failed, {ERROR}")
        pc.report(event(184, 40, update))
        shown = self.assert_verdict(update, "restart", ", and it waits for a restart", "restart the computer", pc)
        self.assertRegex(self.reasons(shown, "status")[0][1], "^pending-reboot since")
        pc.report(event(202, 30), status(20, [], [update]))
        shown = self.assert_verdict(update, "installed", ", and it is installed", None, pc)
        self.assertRegex(self.reasons(shown, "status")[0][1], "^installed since")

    def test_a_list_without_it_counts_from_the_approval_on(self):
        pc, (update, other) = self.come("none.example.net"), self.free()[:2]
        pc.report(status(20, [other]))
        self.approve(update)
        shown = self.assert_verdict(update, "gets", "", None, pc)  # it looked before
        self.assertEqual(self.reasons(shown, "status"), [("note", "its reports do not list it: not applicable")])
        self.assertEqual(self.reasons(shown, "scan")[-1][0], "note")
        pc.report(status(LATER, [other]))
        self.assert_verdict(update, "not-applicable", ", but it found that it does not need it", None, pc)
        pc.report(status(LATER, [update]))
        self.assert_verdict(update, "gets", "", None, pc)
        pc.report(status(LATER))
        shown = self.assert_verdict(update, "not-applicable", ", but it found that it does not need it", None, pc)
        self.assertRegex(self.reasons(shown, "status")[0][1], "^not-applicable since")

    def superseded(self):
        """One that another one supersedes, and that one."""
        title = {x["title"]: i for i, x in self.shown.items() if i in self.free()}
        for update in self.free():
            for _, text in self.reasons(self.shown[update], "supersedence"):
                by = re.match('superseded by "(.*)", which', text)
                if by and by[1] in title:
                    return update, title[by[1]], by[1]
        return self.fail("none is superseded")

    def test_what_supersedes_it_takes_its_place(self):
        pc, (update, newer, title) = self.come("super.example.net"), self.superseded()
        self.approve(update)
        pc.report(status(LATER, [newer]))
        self.assert_verdict(update, "not-applicable", ", but it found that it does not need it", None, pc)
        self.approve(newer)
        pc.report(status(LATER, [newer]))
        words = re.escape(f', but it needs "{title}", which supersedes it')
        shown = self.assert_verdict(update, "superseded", words, None, pc)
        self.assertIn(("note", f'superseded by "{title}", which is approved here; on the computer: needed'),
                      self.reasons(shown, "supersedence"))
        pc.report(status(LATER, [], [newer]))
        words = re.escape(f', but it has "{title}", which supersedes it')
        self.assert_verdict(update, "superseded", words, None, pc)
        pc.report(status(LATER))  # and needs neither
        self.assert_verdict(update, "not-applicable", ", but it found that it does not need it", None, pc)

    def test_a_driver(self):
        update = next(i for i, x in self.shown.items() if x["code"] == "driver")
        for approved in (False, True):
            if approved:
                self.approve(update)
            shown = self.explain(update)
            self.assertEqual([shown[k] for k in ("code", "gets", "offered", "action", "todo")], ["driver", False, False, None, None])
            self.assertEqual(shown["verdict"], "pc.example.net does not get it: drivers are not offered yet")
            (holds, text), = self.reasons(shown, "update")
            self.assertEqual((holds, text.split(",")[0], text.split("; ")[-1]), ("no", "Driver", "drivers are not offered"))

    def test_another_revision(self):
        number = {}
        for u in self.updates:
            if u["id"] in self.free():
                number.setdefault(u["id"], set()).add(u["revision"])
        update, (old, new) = next((i, sorted(n)) for i, n in number.items() if len(n) == 2)
        self.approve(update)
        for named in (update, f"{update}:{new}"):
            shown = self.explain(named)
            self.assertEqual((shown["code"], shown["revision"], shown["offered"]), ("gets", new, True))
            self.assertEqual(self.reasons(shown, "revision"), [])
        shown = self.explain(f"{update}:{old}")
        self.assertEqual([shown[k] for k in ("code", "revision", "gets", "offered", "action", "todo")],
                         ["other-revision", old, False, False, None, "ask without the revision"])
        self.assertEqual(shown["verdict"], "pc.example.net does not get it: another revision of it is offered")
        self.assertEqual(self.reasons(shown, "revision"), [("no", f"the computer is offered revision {new} of it, and never two")])

    def test_parts_of_parts_come_with_what_is_approved(self):
        inner = {x["title"] for x in self.shown.values()}
        part = next(i for i, x in self.shown.items() if x["code"] == "bundle-unapproved" and self.depth(x) > 1)
        top = re.search('a part of "(.*)", which is not', self.shown[part]["verdict"])[1]
        self.assertIn(top, inner)
        self.approve(next(i for i in self.free() if self.shown[i]["title"] == top))
        shown = self.explain(part)
        self.assertEqual([shown[k] for k in ("code", "gets", "offered", "action")], ["gets", True, True, "Bundle"])
        self.assertEqual(shown["verdict"], f'pc.example.net gets it: as a part of "{top}"')
        self.assertTrue(all(h != "no" for h, _ in self.reasons(shown, "scope") + self.reasons(shown, "approval")))

    def depth(self, shown):
        """Of bundles around it: 1 if it is a part of one that is none itself."""
        n, now = 0, {shown["update"]}
        while now := {b for b, parts in self.bundles().items() if now & parts}:
            n += 1
        return n

    def bundles(self):
        if not hasattr(Reported, "parts"):
            Reported.parts = parts_of(self.server.state / "sample")
        return Reported.parts


def parts_of(folder):
    """UpdateID of each bundle -> those of its parts."""
    parts = {}
    for path in pathlib.Path(folder).rglob("*.xml"):
        text = path.read_text(encoding="utf-8")
        for bundled in re.findall("<upd:BundledUpdates>(.*?)</upd:BundledUpdates>", text, re.S):
            parts.setdefault(path.name[:36], set()).update(re.findall('UpdateIdentity UpdateID="([^"]+)"', bundled))
    return parts


class Incomplete(unittest.TestCase):
    def test_a_bundle_of_which_a_part_is_not_here(self):
        folder = harness.temporary() / "documents"
        shutil.copytree(harness.sample(), folder)
        parts = parts_of(folder)
        bundle = min(b for b in parts if not any(b in p for p in parts.values()))
        for path in list(folder.rglob("*.xml")):
            if path.name[:36] in parts[bundle]:
                path.unlink()
        with Instance("none") as server:
            server.ctl("update", "import", folder, check=False)
            computer = Computer(server, name="pc.example.net").handshake()
            while any(harness.find_all(r, "NewUpdates/UpdateInfo") for r in computer.scan()):
                pass
            shown = server.ctl_json("explain", "pc", bundle)
            self.assertEqual([shown[k] for k in ("code", "gets", "offered", "action", "todo")],
                             ["incomplete", False, False, None, "synchronize, or import what is missing"])
            self.assertEqual(shown["verdict"], "pc.example.net does not get it: a part of it is not here")
            why = [(r["holds"], r["reason"]) for r in shown["reasons"] if r["check"] == "update"]
            self.assertEqual(len(why), 1)
            self.assertEqual((why[0][0], why[0][1].split(", ", 1)[1]), ("no", "but a part of this bundle is not here"))
