"""test_probe.py -- bin/wsus-probe, our own client, against our own server: full run, second run, another server."""
import json
import unittest

import harness
from harness import Instance, run, temporary


class Probe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("sample")
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def probe(self, server, *options, check=True):
        done = run(harness.ROOT / "bin/wsus-probe", f"http://127.0.0.1:{server.port}", "--json", *options, check=check)
        return json.loads(done.stdout)

    def test_a_fresh_run_with_download_holds(self):
        first = self.probe(self.server, "--download")
        self.assertTrue(first)

    def test_over_tls(self):
        run(harness.ROOT / "bin/wsus-probe", f"https://127.0.0.1:{self.server.tls_port}", "--ca",
            self.server.state / "keys/ca.crt", "--json")

    def test_the_state_of_one_server_at_another_takes_the_refresh_cache_way(self):
        state = temporary() / "probe.state"
        self.probe(self.server, "--state", state)
        with Instance("sample") as other:
            self.probe(other, "--state", state)
            operations = [r["op"] for r in other.requests()]
            self.assertIn("RefreshCache", operations)

    def test_it_fails_where_nothing_answers(self):
        port = harness.free_ports(1)[0]
        done = run(harness.ROOT / "bin/wsus-probe", f"http://127.0.0.1:{port}", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr)


if __name__ == "__main__":
    unittest.main()
