"""test_bench.py -- the machinery of bench.sh at its smallest: figures without errors, and errors that are seen."""
import argparse
import pathlib
import sys
import unittest

import harness

sys.path.insert(0, str(pathlib.Path(harness.__file__).parent.parent / "bench"))
import bench  # noqa: E402
import machine  # noqa: E402
import peer  # noqa: E402
import rounds  # noqa: E402
import servers  # noqa: E402

SMALLEST = argparse.Namespace(quick=True, rounds=2, seconds=0.1, answers=2, revisions=[600], parts=["wire", "rates", "sync", "policy"])


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
        for row in found["sync"]["transfers"]:
            self.assertEqual((row["documents"], row["errors"]), (row["listed"], 0))
        self.assertTrue(all(row["largest_private_kb"] > 0 for row in found["sync"]["growth"]))
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


class Script(peer.Peer):
    """Asks nobody: `answer` makes the identities and documents of an answer."""

    def __init__(self, answer):
        super().__init__(0, False, "peer.example.net")
        self.answer, self.limit = answer, 4

    def ask(self, operation, inner, *_):
        asked = [(u.decode(), int(n)) for u, n in peer.IDENTITY.findall(inner.encode())]
        items = "".join(f"<ServerSyncUpdateData><Id><UpdateID>{u}</UpdateID><RevisionNumber>{n}</RevisionNumber></Id>"
                        f"<XmlUpdateBlob>{text}</XmlUpdateBlob></ServerSyncUpdateData>" for (u, n), text in self.answer(asked))
        return items.encode(), argparse.Namespace(reply=items)


class Peer(unittest.TestCase):
    PAIRS = [(f"{n:08x}-0000-4000-8000-000000000001", n) for n in range(1, 11)]

    def transfer(self, answer):
        return peer.Transfer(Script(answer), self.PAIRS).run()

    def test_what_an_answer_leaves_out_is_asked_for_again_first(self):
        asked = []

        def three(pairs):
            asked.append(pairs)
            return [(p, "&lt;a b=&quot;c&quot;/>") for p in pairs[:3]]

        done = self.transfer(three)
        self.assertEqual((done.documents, done.short, done.calls, done.wrong), (10, 3, 4, []))
        self.assertEqual([p[0] for p in asked], [self.PAIRS[n] for n in (0, 3, 6, 9)])
        self.assertEqual(done.text_bytes, 10 * len('<a b="c"/>'))

    def test_a_wrong_answer_is_an_error(self):
        for answer in (lambda pairs: [(p, "x") for p in reversed(pairs)], lambda pairs: [], lambda pairs: [(p, "") for p in pairs],
                       lambda pairs: [(("0" * 8 + pairs[0][0][8:], 1), "x")]):
            done = self.transfer(answer)
            self.assertTrue(done.wrong)
            self.assertEqual(done.documents, 0)


if __name__ == "__main__":
    unittest.main()
