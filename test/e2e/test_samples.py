"""test_samples.py -- stores that older versions left (test/store-samples): opened by the present programs, they hold what they held
and answer what they answered."""
import json
import subprocess
import sys
import tarfile
import unittest

import harness
from harness import Computer, Instance

sys.path.insert(0, str(harness.ROOT / "test/store-samples"))
import make

SAMPLES = harness.ROOT / "test/store-samples"
NEWEST = harness.STORE_FORMAT


def format_of(store, part):
    """As the record stands in the file: the newest copy of its page is the one that LMDB reads."""
    dump = subprocess.run(["mdb_dump", "-s", {"catalog": "meta", "fleet": "fmeta"}[part], store / part], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.split("\n")
    key = " " + b"format".hex()
    return int(dump[dump.index(key) + 1].strip()[2:], 16)


class Samples(unittest.TestCase):
    def unpack(self, path):
        """A server at rest with this store."""
        server = Instance("none")
        server.start()
        server.stop()
        store = server.state / "store"
        with tarfile.open(path) as archive:
            for part in ("catalog", "fleet"):
                (store / part / "lock.mdb").unlink()
                (store / part / "data.mdb").write_bytes(archive.extractfile(f"{part}/data.mdb").read())
            expected = json.load(archive.extractfile("expected.json"))
        (store / "identity").unlink()
        server.catalog = None
        return server, expected

    def test_there_is_one_of_each_format(self):
        self.assertEqual(sorted(p.name for p in SAMPLES.glob("*.tar.gz")), [f"format-{n}.tar.gz" for n in range(1, NEWEST + 1)])
        for path in SAMPLES.glob("*.tar.gz"):
            server, _ = self.unpack(path)
            for part in ("catalog", "fleet"):
                self.assertEqual(f"format-{format_of(server.state / 'store', part)}.tar.gz", path.name)

    def test_each_holds_and_answers_what_it_did(self):
        for path in sorted(SAMPLES.glob("*.tar.gz")):
            with self.subTest(sample=path.name):
                server, expected = self.unpack(path)
                self.assertEqual(server.ctl("store", "audit").stdout, "the store is consistent\n")
                self.assertEqual({format_of(server.state / "store", part) for part in ("catalog", "fleet")}, {NEWEST})
                was = int(path.name.split("-")[1].split(".")[0])
                kept = server.state / f"store/before-format-{was + 1}"
                self.assertEqual(kept.exists(), was < NEWEST)
                if was < NEWEST:
                    self.assertEqual([format_of(kept, part) for part in ("catalog", "fleet")], [was, was])
                    self.assertEqual(kept.stat().st_mode & 0o777, 0o700)
                stat = server.ctl_json("store", "stat")
                self.assertEqual({k: stat[k] for k in expected["counts"]}, expected["counts"])
                for noun, row in (("updates", lambda r: [r["id"], r["state"]]), ("groups", lambda r: r["name"]),
                                  ("computers", lambda r: [r["id"], r["name"], r["groups"]])):
                    command = {"updates": ("update", "list", "--all"), "groups": ("group", "list"), "computers": ("computer", "list")}
                    self.assertEqual(sorted(map(row, server.ctl_json(*command[noun]))), expected[noun])
                # of format 3 and later
                languages = server.ctl("config", "get", "sync.languages").stdout
                self.assertEqual(languages, expected.get("languages", "all\n"))
                # of format 5 and later; those that are older know who is there
                counted = server.ctl_json("report", "summary")["computers"]
                self.assertEqual(counted, len(expected["computers"]))
                if "reports" in expected:
                    self.assertEqual(make.reports(server), expected["reports"])
                downstream = sorted([r["id"], r["name"], r["state"]] for r in server.ctl_json("downstream", "list"))
                self.assertEqual(downstream, expected.get("downstream", []))
                with server:
                    first = min(expected["computers"])
                    computer = Computer(server, id=first[0], name=first[1]).handshake()
                    computer.scan()
                    self.assertEqual({i: action for i, (_, action) in computer.offered().items()}, expected["offered"])
                    self.assertEqual(sorted(computer.known), expected["numbers"], "numbers are for life")
                    extended = computer.extended(computer.known)
                    self.assertGreater(len(harness.find_all(extended, "GetExtendedUpdateInfoResult/Updates/Update")), len(computer.known))
                    # what is there grows on
                    documents = harness.sample("--revisions", "300", "--languages", "2") / "updates"
                    before = stat["revisions"]
                    server.ctl("update", "import", documents)
                    self.assertGreater(server.ctl_json("store", "stat")["revisions"], before)
                    server.ctl("store", "audit")
                    computer.scan()
                    self.assertLess(set(expected["numbers"]), set(computer.known))


if __name__ == "__main__":
    unittest.main()
