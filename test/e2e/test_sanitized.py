"""test_sanitized.py -- services and tools built with sanitizers, behind the real nginx: a scan from beginning to end,
and downstream servers that synchronize.

scripts/check.sh builds them (group sanitized); without them the test says so and is skipped."""
import contextlib
import os
import unittest

from downstream import PING, SYNC, Downstream, SoapFault, identity_xml
from harness import ROOT, Instance, run, unpress

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
        self.no_finding()

    def test_downstream_servers_leave_no_finding(self):
        self.server.ctl("config", "set", "downstream.admission", "open")
        group = ["--group", "all"]
        for row in self.server.ctl_json("update", "list")[:5]:
            self.server.ctl("approve", row["id"], *group)
        peers = [Downstream("127.0.0.1", self.server.port, f"p{i}.example.net", replica=bool(i), content=bool(i),
                            unpress=(None, unpress)[i]) for i in range(2)]
        for peer in peers * 2:
            peer.run()
        self.assertTrue(peers[1].content)
        for inner in ("<filter><Anchor>x</Anchor></filter>", "<filter><Categories/><Classifications/></filter>", ""):
            with contextlib.suppress(SoapFault):
                peers[0].call(SYNC, "GetRevisionIdList", peers[0].cookie_xml() + inner)
        for operation in ("GetUpdateDecryptionData", "GetUpdateData"):
            ids = "".join(map(identity_xml, list(peers[0].documents)[:100]))
            peers[0].call(SYNC, operation, f"{peers[0].cookie_xml()}<updateIds>{ids}</updateIds>")
        peers[0].call(SYNC, "GetRelatedRevisionsForUpdates", peers[0].cookie_xml())
        peers[0].call(PING, "Ping", "<pingLevel>1</pingLevel>")
        self.no_finding()

    def no_finding(self):
        pids = [pid for part in ("auth", "client", "content", "reporting", "serversync") for pid in self.server.workers(part)]
        self.server.stop()
        self.assertTrue(pids)
        for log in (self.server.state / "log").glob("*.log"):
            text = log.read_text(errors="replace")
            for word in ("AddressSanitizer", "LeakSanitizer", "runtime error"):
                self.assertNotIn(word, text, log.name)


if __name__ == "__main__":
    unittest.main()
