"""test_large.py -- a catalog of 100,000 revisions behind real processes; only with scripts/check.sh --long.

Bitmaps of one bit per revision are all that a request may cost beyond its own size."""
import os
import re
import unittest

from harness import ROOT, Instance, run, temporary

REVISIONS = 100000
MB = 1024  # KB


def private_kb(pid):
    """What would be free if the process ended: its dirty pages; clean pages of the store are the page cache's."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(kb) for kb in re.findall(r"^Private_Dirty:\s+(\d+) kB", f.read(), re.M))


@unittest.skipUnless(os.environ.get("WSUS_LONG"), "takes minutes; check.sh --long runs it")
class Large(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        catalog = temporary() / "catalog"
        run(ROOT / "build/test/make-catalog", "--revisions", str(REVISIONS), "--languages", "4", "--out", catalog,
            timeout=600)
        cls.server = Instance("none")
        cls.server.start()
        cls.server.ctl("update", "import", catalog / "updates", timeout=1200)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def workers(self):
        return [pid for part in ("auth", "client", "content", "reporting", "serversync") for pid in self.server.workers(part)]

    def test_a_fresh_client_ends_below_200_calls_and_workers_stay_small(self):
        state = self.server.state / "probe.state"
        probe = (ROOT / "bin/wsus-probe", f"http://127.0.0.1:{self.server.port}", "--state", state, "--json")
        idle = sum(private_kb(pid) for pid in self.workers())
        self.assertLess(idle, 64 * MB)
        done = run(*probe, timeout=900)
        calls = int(re.search(r'"name":"software","calls":(\d+)', done.stdout).group(1))
        new = int(re.search(r'"updates":\{"new":(\d+)', done.stdout).group(1))
        self.assertLess(calls, 200)
        self.assertGreater(new, REVISIONS * 8 // 10)
        run(*probe, timeout=900)
        for pid in self.workers():
            self.assertLess(private_kb(pid), 16 * MB, pid)

    def test_the_store_is_consistent(self):
        self.assertIn("consistent", self.server.ctl("store", "audit", timeout=600).stdout)


if __name__ == "__main__":
    unittest.main()
