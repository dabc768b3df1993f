"""test_explain.py -- why a computer gets an update or does not, beside what it really is answered; filters of computer list."""
import unittest

import harness
from harness import ALL_COMPUTERS, Computer, Instance, find


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
