"""test_computer_list.py -- filters of `computer list`: alone and together they leave exactly the computers whose reports say so, of
eight that reported through nginx, and of 600 that a month has passed over."""
import itertools
import json
import shutil
import subprocess
import unittest

import harness
from harness import Instance, run, sample, temporary, ROOT
from test_report import Reporter, TIMEOUT, TOO_OLD, event, status

ELEVEN, TEN = "Windows 11 Enterprise", "Windows 10 Pro"  # the others register without a name: Windows Server 2019


class Eight(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("sample")
        cls.server.start()
        ctl = cls.server.ctl
        for group, parent in (("Upper", "All Computers"), ("Lower", "Upper"), ("Other", "All Computers")):
            ctl("group", "create", group, "--parent", parent)
        offered = (u for u in cls.server.ctl_json("update", "list", "--type", "software") if u["state"] == "offered" and not u["approvals"])
        cls.updates = [u["id"] for u in itertools.islice(offered, 6)]
        cls.one, cls.two, cls.three, cls.four, cls.five, cls.six = cls.updates
        cls.pc = {name: cls.come(name, *more) for name, *more in (
            ("a", "Upper"), ("b", "Lower"), ("c", None, ELEVEN), ("d", None, "Windows 11 Pro"), ("e", "Upper", ELEVEN),
            ("f", "Lower", ELEVEN), ("g", "Other"), ("h", "Other", TEN))}
        cls.tell(**cls.pc)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @classmethod
    def come(cls, name, group, system=None):
        computer = Reporter(cls.server, name=f"{name}.example.net")
        computer.system = system
        computer.handshake()
        if group:
            cls.server.ctl("computer", "assign", computer.id, "--group", group)
        return computer

    @classmethod
    def tell(cls, a, b, c, d, e, f, g, h):
        """d says nothing."""
        good, bad = [event(147, m, replacement=["1"]) for m in (60, 15)], event(148, 20, hresult=TIMEOUT)
        one, two, three, four, five, _ = cls.updates
        a.report(good[0], status(59, [one, two], [three]), event(182, 50, two, TOO_OLD))
        b.report(good[0], status(59, [one, four], [two]), event(184, 50, one))
        c.report(status(59, [one, four, five]), bad)
        e.report(good[0], status(59, [five], [one, two, three]), event(182, 50, five, TOO_OLD), event(183, 40, five))  # tried again
        f.report(good[0], status(59, [one, five]), event(182, 50, five, TOO_OLD), event(193, 40))
        f.report(bad)
        g.report(status(59, [two]), event(162, 50, two), bad, good[1])  # later it went well
        h.report(good[0], event(193, 50), event(202, 40))               # and has been restarted; it never sent a list

    # filter -> of whom it is true
    def filters(self):
        return {("--failed",): "af", ("--needing-any",): "abcfg", ("--pending-restart",): "bf", ("--sync-failed",): "cf",
                ("--never-reported",): "d", ("--stale",): "", ("--stale=0",): "abcdefgh",
                ("--needing", self.one): "acf", ("--needing", self.two): "ag", ("--needing", self.three): "",
                ("--needing", self.five): "cf", ("--needing", self.six): "", ("--group", "Upper"): "abef", ("--group", "Lower"): "bf", ("--group", "Other"): "gh",
                ("--group", "Unassigned Computers"): "cd", ("--group", "all"): "abcdefgh",
                ("--os", "windows 11"): "cdef", ("--os", "PRO"): "dh", ("--os", "Server 2019"): "abg", ("--os", "Windows 7"): "",
                ("--renamed",): "", ("--cloned",): "", ("--duplicate",): ""}

    def names(self, *options, verb=("computer", "list")):
        return "".join(sorted(r["name"][0] for r in self.server.ctl_json(*verb, *options)))

    def test_each_filter(self):
        for options, want in self.filters().items():
            self.assertEqual(self.names(*options), want, options)
            self.assertEqual(self.names(*options, verb=("report", "computers")), want, options)

    def test_two_together_leave_those_of_both(self):
        for (a, of_a), (b, of_b) in itertools.combinations(self.filters().items(), 2):
            if a[0].split("=")[0] != b[0].split("=")[0]:  # an option is given once
                self.assertEqual(self.names(*a, *b), "".join(sorted(set(of_a) & set(of_b))), (a, b))

    def test_all_that_are_true_of_one_computer_leave_it(self):
        all = ("--failed", "--needing-any", "--pending-restart", "--sync-failed", "--stale=0", "--needing", self.five, "--group", "Upper",
               "--os", "windows 11")
        self.assertEqual(self.names(*all), "f")
        for more in (("--never-reported",), ("--duplicate",)):
            self.assertEqual(self.names(*all, *more), "")

    def test_a_computer_that_passes_is_shown_whole(self):
        whole = {r["id"]: r for r in self.server.ctl_json("computer", "list")}
        self.assertEqual(len(whole), 8)
        for options, want in self.filters().items():
            rows = self.server.ctl_json("computer", "list", *options)
            self.assertEqual(rows, [whole[r["id"]] for r in rows], options)
        keys = ("name", "groups", "os", "address", "registered", "needed", "failed", "last_sync", "flags")
        rows = {r["name"][0]: [r[k] for k in keys[1:]] for r in whole.values()}
        self.assertEqual(rows["f"], ["Lower, Upper", ELEVEN, "127.0.0.1", True, 1, 1, "failed", None])
        self.assertEqual(rows["g"], ["Other", "Windows Server 2019", "127.0.0.1", True, 1, 0, "succeeded", None])
        self.assertEqual(rows["h"], ["Other", TEN, "127.0.0.1", True, None, None, "succeeded", None])
        self.assertEqual(rows["d"], ["Unassigned Computers", "Windows 11 Pro", "127.0.0.1", True, None, None, None, None])

    def test_text_and_csv_are_of_the_same_computers(self):
        for form in ((), ("--csv",)):
            text = self.server.ctl("computer", "list", "--failed", *form).stdout
            self.assertEqual({n for n, c in self.pc.items() if c.id in text}, {"a", "f"})
            self.assertEqual(len(text.splitlines()), 3)
        self.assertEqual(self.server.ctl("computer", "list", "--never-reported", "--failed").stdout, "none\n")

    def test_what_is_not_here_is_refused(self):
        for options, code, words in ((("--group", "Nobody"), 1, 'no group "Nobody"'), (("--os", ""), 2, "--os needs"),
                                     (("--needing", "00000000-0000-0000-0000-000000000001"), 1, "no update "),
                                     (("--stale=-1",), 2, "a number of days is wanted")):
            done = self.server.ctl("computer", "list", *options, check=False)
            self.assertEqual((done.returncode, done.stdout), (code, ""), options)
            self.assertIn(words, done.stderr)


class Fleet(unittest.TestCase):
    """What b_fleet.c says of the computers that it makes."""
    COMPUTERS, GROUPS = 600, 4

    @classmethod
    def setUpClass(cls):
        harness.run("make", "-s", "-C", ROOT, "build/test/b_fleet")
        cls.ctl = (ROOT / "bin/wsusctl", "--store", temporary() / "store")
        run(*cls.ctl[:1], "store", "create", cls.ctl[2])
        run(*cls.ctl, "update", "import", sample())
        run(ROOT / "build/test/b_fleet", "-n", str(cls.COMPUTERS), "-g", str(cls.GROUPS), "-u", "60", "-m", "20", cls.ctl[2])

    @staticmethod
    def reported(n):
        return n % 30 != 13

    filters = {("--failed",): lambda n: Fleet.reported(n) and n % 50 == 3, ("--sync-failed",): lambda n: Fleet.reported(n) and n % 40 == 7,
               ("--pending-restart",): lambda n: Fleet.reported(n) and n % 25 == 11, ("--never-reported",): lambda n: not Fleet.reported(n),
               ("--needing-any",): lambda n: Fleet.reported(n), ("--stale",): lambda n: n % 20 == 9, ("--stale=58",): lambda n: n % 20 == 9,
               ("--stale=62",): lambda n: False, ("--group", "fleet 002"): lambda n: n % 4 == 1, ("--os", "server"): lambda n: n % 10 >= 5}

    def numbers(self, *options):
        return {int(r["name"][2:8]) for r in json.loads(run(*self.ctl, "computer", "list", "--json", *options).stdout)}

    def want(self, *tests):
        return {n for n in range(1, self.COMPUTERS + 1) if all(t(n) for t in tests)}

    def test_filters_alone_and_together(self):
        for options, test in self.filters.items():
            self.assertEqual(self.numbers(*options), self.want(test), options)
        for (a, of_a), (b, of_b) in itertools.combinations(self.filters.items(), 2):
            if a[0].split("=")[0] != b[0].split("=")[0]:
                self.assertEqual(self.numbers(*a, *b), self.want(of_a, of_b), (a, b))
        self.assertEqual(self.numbers("--stale", "--needing-any", "--os", "2012"), self.want(lambda n: n % 20 == 9))
        self.assertEqual(self.numbers("--pending-restart", "--group", "fleet 004", "--os", "windows 11"),
                         self.want(lambda n: n % 25 == 11 and n % 4 == 3 and n % 10 < 3))

    def test_a_record_that_cannot_be_read_is_no_computer_that_needs_nothing(self):
        store = temporary() / "damaged"
        shutil.copytree(self.ctl[2], store)
        row = json.loads(run(*self.ctl, "computer", "list", "--needing-any", "--json").stdout)[0]
        damaged = "VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n " + row["id"].encode().hex() + "\n ff\nDATA=END\n"
        subprocess.run(["mdb_load", "-s", "status", store / "fleet"], input=damaged, text=True, check=True)
        (update, *_) = json.loads(run(*self.ctl, "report", "updates", "--json").stdout)
        done = run(*self.ctl[:2], store, "computer", "list", "--needing", update["id"], check=False)
        self.assertEqual((done.returncode != 0, done.stdout), (True, ""))
        self.assertIn(f"what computer {row['id']} reported cannot be read", done.stderr)


if __name__ == "__main__":
    unittest.main()
