"""test_sanitized.py -- services and tools built with sanitizers, behind the real nginx: a scan from beginning to end.

scripts/check.sh builds them (group sanitized); without them the test says so and is skipped."""
import os
import unittest

from harness import ROOT, Instance, run

PROGRAMS = ROOT / "build/1/bin"


@unittest.skipUnless((PROGRAMS / "wsus-client").exists(), "no sanitized programs; make SAN=1 all")
class Sanitized(unittest.TestCase):
    def setUp(self):
        self.before = {name: os.environ.get(name) for name in ("WSUS_BIN", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
        os.environ.update(WSUS_BIN=str(PROGRAMS), ASAN_OPTIONS="detect_leaks=1:exitcode=99",
                          UBSAN_OPTIONS="print_stacktrace=1")
        self.server = Instance("sample")
        self.server.start()

    def tearDown(self):
        for name, value in self.before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

    def test_a_whole_scan_and_its_downloads_leave_no_finding(self):
        state = self.server.state / "probe.state"
        for _ in range(2):
            done = run(PROGRAMS / "wsus-probe", f"http://127.0.0.1:{self.server.port}", "--state", state, "--download")
            self.assertIn("all of it held", done.stdout)
        pids = [pid for part in ("auth", "client", "content", "serversync") for pid in self.server.workers(part)]
        self.server.stop()
        self.assertTrue(pids)
        for log in (self.server.state / "log").glob("*.log"):
            text = log.read_text(errors="replace")
            for word in ("AddressSanitizer", "LeakSanitizer", "runtime error"):
                self.assertNotIn(word, text, log.name)


if __name__ == "__main__":
    unittest.main()
