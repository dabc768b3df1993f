"""test_probe_report.py -- wsus-probe --report against our own server: what it says it did is what the server shows of it."""
import json
import re
import unittest

import harness
from harness import Instance, run, temporary

ME = "aaaaaaaa-1111-4222-8333-444444444444"


class Reports(unittest.TestCase):
    """One computer in each test, on a server with the sample's approvals."""

    def setUp(self):
        self.server = Instance("sample")
        self.server.start()
        self.addCleanup(self.server.stop)
        self.state = temporary() / "probe.state"
        self.posts = 0

    def probe(self, *options, check=True):
        done = run(harness.ROOT / "bin/wsus-probe", f"http://127.0.0.1:{self.server.port}", "--json", "--state", self.state,
                   *(() if self.state.exists() else ("--client-id", ME)), *options, check=check)
        return json.loads(done.stdout)

    def shown(self):
        return self.server.ctl_json("report", "computer", ME, "--all", "--events", "0")

    def updates(self):
        return {u["id"]: u["status"] for u in self.shown()["updates"]}

    def events(self):
        return sorted((e["event"], e["update"]) for e in self.shown()["events"])

    def cached(self):
        """What the probe keeps of each update: {id: (flags, action)}."""
        rows = re.findall(r"^update \S+ (\S+) \S+ -(\w*) (\w+)", self.state.read_text(), re.M)
        return {guid: (flags, action) for guid, flags, action in rows}

    def offered(self):
        return {u for u, (_, action) in self.cached().items() if action in ("Install", "OptionalInstall")}

    def listed(self):
        return self.offered() | {u for u, (flags, action) in self.cached().items()
                                 if action == "PreDeploymentCheck" and "l" in flags}

    def steps(self, answer):
        return {s["name"]: s for s in answer["steps"]}

    def test_a_scan_alone(self):
        answer = self.probe("--report")
        self.assertEqual((answer["ok"], self.steps(answer)["report"]["calls"], self.steps(answer)["report"]["items"]), (True, 1, 2))
        self.assertEqual(self.events(), [(147, None), (156, None)])
        self.assertGreater(len(self.offered()), 0)
        self.assertEqual(self.updates(), dict.fromkeys(self.listed(), "needed"))
        shown = self.shown()
        self.assertEqual((shown["last_sync"], shown["needed"], shown["client_version"]),
                         ("succeeded", len(self.listed()), "1507.2601.30012.0"))
        detected = next(e for e in shown["events"] if e["event"] == 147)
        self.assertRegex(detected["text"], rf"\b{len(self.offered())}\b")

    def test_downloads_and_installations_in_two_posts(self):
        answer = self.probe("--download", "--install-result", "ok")
        offered = self.offered()
        self.assertEqual(self.steps(answer)["report"]["calls"], 2)
        operations = [r["op"] for r in self.server.requests()]
        self.assertEqual(operations.count("GetCookie"), 1, "no handshake before a report")
        self.assertEqual(self.events(), sorted([(147, None), (156, None)] +
                                               [(e, u) for u in offered for e in (162, 167, 181, 183)], key=str))
        wanted = dict.fromkeys(self.listed(), "needed") | dict.fromkeys(offered, "installed")
        self.assertEqual(self.updates(), wanted)
        self.assertEqual(self.shown()["installations_good"], len(offered))
        # the next run's lists say the same, and there is nothing left to be done
        answer = self.probe("--report", "--download")
        self.assertEqual(self.steps(answer)["report"]["items"], 2)
        self.assertEqual(self.updates(), wanted)

    def test_failed(self):
        self.probe("--install-result", "failed")
        offered = self.offered()
        self.assertEqual({u for u, s in self.updates().items() if s == "failed"} & offered, offered)
        failures = [e for e in self.shown()["events"] if e["event"] == 182]
        self.assertEqual({e["update"] for e in failures} & offered, offered)
        self.assertTrue(all("0x80070643" in e["error"] for e in failures), failures[0])
        self.assertEqual(self.shown()["installations_bad"], len(failures))
        # and tries again
        self.probe("--report")
        self.assertEqual({u for u, s in self.updates().items() if s == "needed"} & offered, offered)

    def test_restarts(self):
        self.probe("--install-result", "reboot")
        offered = self.offered()
        self.assertEqual({u for u, s in self.updates().items() if s == "pending-reboot"}, offered)
        self.assertIsNotNone(self.shown()["waits_for_restart"])
        self.probe("--report")
        self.assertEqual({u for u, s in self.updates().items() if s == "installed"}, offered)

    def test_pending_changes_nothing_until_the_next_list(self):
        self.probe("--install-result", "pending")
        offered = self.offered()
        self.assertEqual({u for u, s in self.updates().items() if s == "needed"} & offered, offered)
        self.assertEqual({e["update"] for e in self.shown()["events"] if e["event"] == 201}, offered)

    def test_missing_files_fail_downloads_and_installations(self):
        for file in (self.server.state / "content").glob("[0-9A-F][0-9A-F]/*"):
            file.unlink()
        answer = self.probe("--download", "--install-result", "ok", check=False)
        self.assertFalse(answer["ok"])
        kinds = {}
        for event, update in self.events():
            kinds.setdefault(event, set()).add(update)
        self.assertEqual(kinds[161] & self.offered(), self.offered())
        self.assertEqual((kinds[182], kinds.get(162), kinds.get(183)), (kinds[161], None, None))
        self.assertEqual({u for u, s in self.updates().items() if s == "failed"}, kinds[182])
        self.assertEqual({e["error"].split()[0].rstrip(":") for e in self.shown()["events"] if e["event"] in (161, 182)}, {"0x80246007"})

    def test_an_unknown_result_is_wrong_usage(self):
        done = run(harness.ROOT / "bin/wsus-probe", "http://127.0.0.1:1", "--install-result", "maybe", check=False)
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
