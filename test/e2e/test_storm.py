"""test_storm.py -- the machinery of bench.sh --storm and --soak at its smallest: computers that remember, an import and
approvals meanwhile, and the judge who says whether each of them ends with the right set."""
import pathlib
import sys
import unittest

import harness

sys.path.insert(0, str(pathlib.Path(harness.__file__).parent.parent / "bench"))
import crowd  # noqa: E402
import storm  # noqa: E402

SOME = ((80, 1, 2), (100, 0, 1))  # profiles; each in each group is a walk of the judge


class Storm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.run("make", "-s", "-C", harness.ROOT, "build/test/b_storm")
        storm.say = lambda text: None
        cls.server = crowd.Server("none")
        cls.server.start()
        cls.server.prepare(500, 20)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_every_computer_ends_with_the_right_set(self):
        out = storm.storm_at(self.server, 60, 20, documents=300, batch=60, pause=0.05, profiles=SOME)
        self.assertEqual(list(storm.failures(out)), [])
        self.assertEqual(out["judge"]["right"], 60)
        self.assertGreater(out["changes"]["approvals"], 0)
        self.assertGreater(out["fresh"]["operations"]["GetFileLocations"]["calls"], 0)

    def test_the_judge_sees_one_computer_that_misses_one_change(self):
        with crowd.Crowd(self.server, 60, 20, SOME, forget=1, seed=2) as computers:
            self.assertEqual(computers.tell("fresh")["errors"], 0)
            for update in self.server.updates()[20:32]:  # some that no computer has are among them
                self.server.ctl("approve", update, "--group", harness.ALL_COMPUTERS)
            computers.tell("scan")
            judge = computers.judge()
        self.assertEqual([w["computers"] for w in judge["wrong"]], [1])
        self.assertEqual(judge["right"], 59)

    # partly: WUSP-SYNC-81 (in unfiltered passes)
    def test_what_changes_while_it_is_parked_is_told_when_it_is_back(self):
        with crowd.Crowd(self.server, 6, 3, profiles=((100, 0, 1),), seed=4) as computers:
            computers.tell("fresh")
            for row in self.server.ctl_json("update", "list", "--all", "--type", "detectoid"):
                self.server.ctl("decline", row["id"])
                if computers.tell("scan")["parked"] > 0:
                    break
                self.server.ctl("undecline", row["id"])
            self.assertEqual(computers.judge()["right"], 6)
            for update in self.server.updates()[40:70]:
                self.server.ctl("approve", update, "--group", harness.ALL_COMPUTERS)
            self.server.ctl("undecline", row["id"])
            said = computers.tell("scan")
            self.assertEqual((said["errors"], said["parked"]), (0, 0))
            judge = computers.judge()
            self.assertEqual((judge["right"], judge["wrong"]), (6, []))

    def test_a_mixed_load_with_what_clients_do_wrong(self):
        with crowd.Crowd(self.server, 30, 10, SOME, seed=3) as computers:
            said = computers.tell("soak 2 100")
            self.assertEqual(said["errors"], 0, said["first_error"])
            self.assertIn("bad request", said["operations"])
            self.assertGreater(said["broken"], 0)
            computers.tell("scan")
            self.assertEqual(computers.judge()["right"], 30)


if __name__ == "__main__":
    unittest.main()
