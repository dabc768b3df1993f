"""test_bench.py -- the machinery of bench.sh at its smallest: figures without errors, and errors that are seen."""
import argparse
import pathlib
import sys
import unittest

import harness

sys.path.insert(0, str(pathlib.Path(harness.__file__).parent.parent / "bench"))
import bench  # noqa: E402
import machine  # noqa: E402
import rounds  # noqa: E402
import servers  # noqa: E402

SMALLEST = argparse.Namespace(quick=True, rounds=2, seconds=0.1, answers=2, revisions=[600], parts=["wire", "rates", "policy"])


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.run("make", "-s", "-C", harness.ROOT, "benches")
        for module in (machine, bench, servers, rounds, *bench.PARTS.values()):
            module.say = lambda text: None

    def test_parts_measure_without_errors_and_serve_every_connection(self):
        found, _ = bench.measure(SMALLEST)
        self.assertEqual(set(found), set(SMALLEST.parts))
        self.assertEqual(list(bench.wrong({"parts": found})), [])
        for case in found["rates"][0]["cases"]:
            self.assertGreaterEqual(case["server"]["least_served"], SMALLEST.answers, case["case"])
            self.assertGreater(case["ratio_to_floor"]["median"], 0)
        self.assertGreater(found["wire"][0]["wire_bytes"], found["wire"][0]["stream_bytes"] / 2)
        for name, figures in found.items():
            self.assertIn("|", "".join(bench.PARTS[name].report(figures)))
            self.assertTrue(list(bench.PARTS[name].targets(figures)))

    def test_what_would_make_recorded_answers_wrong_is_an_error(self):
        with servers.Catalog(300) as catalog:
            calls = servers.syncs_of(catalog.differential)
            stage = rounds.Stage(catalog, [rounds.Case("differential scan", calls, 2)])
            with self.assertRaisesRegex(SystemExit, "the catalog changed"), stage:
                stage.measure(0, SMALLEST)
                stage.floor.requests(calls)[0].with_suffix(".body").write_bytes(b"x" * 5000)
                stage.measure(0, SMALLEST)
                catalog.server.policy([f"+ {catalog.updates[-1]} a new group"])
            good, bad = stage.results[0]
            self.assertEqual(good["server"]["errors"], 0)
            self.assertIn("another length than recorded", bad["server"]["first_error"])


if __name__ == "__main__":
    unittest.main()
