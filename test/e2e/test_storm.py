"""test_storm.py -- the machinery of bench.sh --storm and --soak at its smallest: computers that remember, an import and
approvals meanwhile, and the judge who says whether each of them ends with the right set."""
import pathlib
import sys
import unittest

import harness

sys.path.insert(0, str(pathlib.Path(harness.__file__).parent.parent / "bench"))
import crowd  # noqa: E402
import storm  # noqa: E402


class Storm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.run("make", "-s", "-C", harness.ROOT, "build/test/b_storm")
        crowd.say = storm.say = lambda text: None
        cls.server = crowd.Server("none")
        cls.server.start()
        cls.server.prepare(500, 20)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_every_computer_ends_with_the_right_set(self):
        out = storm.storm_at(self.server, 60, 20, documents=300, batch=60, pause=0.05)
        self.assertEqual(list(storm.failures(out)), [])
        self.assertEqual(out["judge"]["right"], 60)
        self.assertGreater(out["changes"]["approvals"], 0)
        self.assertGreater(out["fresh"]["operations"]["GetFileLocations"]["calls"], 0)

    def test_the_judge_sees_one_computer_that_misses_one_change(self):
        with crowd.Crowd(self.server, 60, 20, forget=1, seed=2) as computers:
            self.assertEqual(computers.tell("fresh")["errors"], 0)
            for update in self.server.updates()[20:32]:  # some that no computer has are among them
                self.server.ctl("approve", update, "--group", harness.ALL_COMPUTERS)
            computers.tell("scan")
            judge = computers.judge()
        self.assertEqual([w["computers"] for w in judge["wrong"]], [1])
        self.assertEqual(judge["right"], 59)

    def test_a_mixed_load_with_what_clients_do_wrong(self):
        with crowd.Crowd(self.server, 30, 10, seed=3) as computers:
            said = computers.tell("soak 2 100")
            self.assertEqual(said["errors"], 0, said["first_error"])
            self.assertIn("bad request", said["operations"])
            self.assertGreater(said["broken"], 0)
            computers.tell("scan")
            self.assertEqual(computers.judge()["right"], 30)


if __name__ == "__main__":
    unittest.main()
