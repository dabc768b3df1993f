"""test_counts.py -- counts of what computers reported follow what an administrator does, at once and through all that happens to a store."""
import unittest

import harness
from harness import Instance, temporary
from test_report import Reporter, status


class Counts(unittest.TestCase):
    def setUp(self):
        self.server = Instance("none")
        self.server.start()
        self.addCleanup(self.server.stop)
        self.server.ctl("update", "import", harness.sample("--revisions", "300", "--languages", "2") / "updates")
        self.server.ctl("group", "create", "Lab")
        self.server.end_jobs()  # the job of every minute would follow, too
        self.computer = Reporter(self.server, group="Lab").handshake()
        offered = sorted(r["id"] for r in self.server.ctl_json("update", "list", "--type", "software") if r["state"] == "offered")
        self.computer.report(status(5, needed=offered[:3]))
        Reporter(self.server).handshake()

    def counted(self, group):
        v = self.server.ctl_json("report", "group", group)
        return v["computers"], v["computers_needing"]

    def sound(self):
        self.assertEqual(self.server.ctl("store", "audit").stdout, "the store is consistent\n")

    def test_each_command_that_moves_computers_is_followed_at_once(self):
        steps = [
            (("computer", "assign", self.computer.id, "--group", "Lab"), (1, 1), (1, 0)),
            (("computer", "assign", self.computer.id), (0, 0), (2, 1)),
            (("config", "set", "targeting", "client"), (1, 1), (1, 0)),
            (("group", "delete", "Lab"), None, (2, 1)),
            (("group", "create", "LAB"), (1, 1), (1, 0)),
            (("config", "set", "targeting", "server"), (0, 0), (2, 1)),
        ]
        for command, lab, unassigned in steps:
            with self.subTest(command=command):
                self.server.ctl(*command)
                if lab:
                    self.assertEqual(self.counted("Lab"), lab)
                self.assertEqual(self.counted("Unassigned Computers"), unassigned)
                self.assertEqual(self.counted("All Computers"), (2, 1))
                self.sound()

    def test_a_computer_that_is_deleted_is_counted_no_more(self):
        self.server.ctl("computer", "delete", self.computer.id)
        self.assertEqual(self.counted("All Computers"), (1, 0))
        self.sound()

    def test_counting_anew_counts_the_same(self):
        self.server.ctl("computer", "assign", self.computer.id, "--group", "Lab")
        before = self.server.ctl_json("report", "group", "Lab")
        again = self.server.ctl_json("store", "recount")
        self.assertEqual((again["computers"], again["reported"], again["updates_needed"]), (2, 1, 3))
        after = self.server.ctl_json("report", "group", "Lab")
        self.assertEqual({k: v for k, v in after.items() if k != "at"}, {k: v for k, v in before.items() if k != "at"})
        self.sound()

    def test_a_restored_store_counts_what_it_counted(self):
        self.server.ctl("computer", "assign", self.computer.id, "--group", "Lab")
        backups = temporary()
        self.server.ctl("backup", backups / "one")
        self.server.ctl("computer", "assign", self.computer.id)
        self.assertEqual(self.counted("Lab"), (0, 0))
        self.server.stop()
        self.server.ctl("restore", backups / "one")
        self.assertEqual(self.counted("Lab"), (1, 1))
        self.sound()

    def test_a_catalog_that_is_made_anew_counts_nothing_by_the_numbers_of_the_old_one(self):
        self.server.stop()
        (self.server.state / "store/catalog/data.mdb").write_bytes(b"")
        self.server.ctl("store", "reset")
        self.assertEqual(self.counted("All Computers"), (2, 0))
        self.sound()


if __name__ == "__main__":
    unittest.main()
