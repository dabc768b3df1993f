"""test_jobs.py -- scripts/jobs.sh: what is due takes effect without a command, and the loop lives and ends like a service."""
import datetime
import os
import pathlib
import signal
import subprocess
import unittest

import harness
from harness import ROOT, Instance, alive, run, wait_for


def sleepless(test, seconds="1"):
    """A shorter period for everything that is started in this test."""
    os.environ["WSUS_TICK_SECONDS"] = seconds
    test.addCleanup(os.environ.pop, "WSUS_TICK_SECONDS", None)


class Jobs(unittest.TestCase):
    def log(self, server):
        return (server.state / "log/jobs.log").read_text()

    def approve_for_soon(self, server, update):
        """With a time that is still to come when the approval is made, however slow that was."""
        for seconds in (3, 10, 30):
            soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
            made = server.ctl_json("approve", update, "--group", "all", "--go-live", soon.strftime("%Y-%m-%dT%H:%M:%SZ"))
            if made[0]["state"].startswith("approved, waiting until"):
                return
        self.fail(f"an approval takes more than 30 s: {made}")

    def test_a_go_live_time_takes_effect_by_itself_and_only_then_something_is_logged(self):
        sleepless(self)
        with Instance("sample") as server:
            computer = harness.Computer(server).handshake()
            computer.scan()
            offered = computer.offered()
            update = next(r["id"] for r in server.ctl_json("update", "list", "--type", "software")
                          if r["id"] in offered and r["state"] == "offered" and not r["approvals"]
                          and not server.ctl_json("update", "show", r["id"]).get("eula"))
            server.ctl("store", "tick")
            server.ctl("approve", update, "--group", "all", "--go-live", "+1h")
            computer.scan()
            self.assertEqual(computer.offered()[update][1], "PreDeploymentCheck")
            self.assertEqual(self.log(server), "")
            self.approve_for_soon(server, update)
            wait_for(lambda: server.ctl_json("update", "show", update)["approvals"][0]["state"] == "approved",
                     seconds=60, what="the approval to take effect")
            computer.scan()
            self.assertEqual(computer.offered()[update][1], "Install")
            wait_for(lambda: self.log(server), what="the line in jobs.log")
            self.assertRegex(self.log(server), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ Epoch \d+.*took or lost effect 1,")
            self.assertEqual(self.log(server).count("\n"), 1)

    def test_a_failure_is_logged_once_until_it_works_again(self):
        sleepless(self)
        with Instance("none") as server:
            catalog = server.state / "store/catalog"
            catalog.rename(server.state / "store/away")
            wait_for(lambda: "failed: wsusctl: store: no store here" in self.log(server), what="the failure")
            loop = server.pid("jobs")
            wait_for(lambda: rounds(loop) >= 2, what="two more rounds")
            self.assertEqual(self.log(server).count("failed:"), 1)
            (server.state / "store/away").rename(catalog)
            wait_for(lambda: self.log(server).endswith("it works again\n"), what="the recovery")

    def test_it_ends_at_once_with_all_it_started(self):
        with Instance("none") as server:
            loop = server.pid("jobs")
            wait_for(lambda: harness.children(loop), what="its sleep")
            children = harness.children(loop)
            server.stop()
            wait_for(lambda: gone(loop) and all(gone(c) for c in children), what="the end")
            self.assertFalse((server.state / "run/jobs.pid").exists())

    def test_a_killed_loop_leaves_nobody_who_holds_the_instance(self):
        with Instance("none") as server:
            os.kill(server.pid("jobs"), signal.SIGKILL)
            server.stop()
            server.start()
            self.assertTrue(alive(server.pid("jobs")))

    def test_a_foreign_process_under_its_number_is_left_alone(self):
        with Instance("none") as server:
            other = subprocess.Popen(["sleep", "600"])
            self.addCleanup(other.wait)
            self.addCleanup(other.kill)
            loop = server.pid("jobs")
            (server.state / "run/jobs.pid").write_text(f"{other.pid}\n")
            server.stop()
            self.assertIsNone(other.poll())
            os.kill(loop, signal.SIGTERM)

    def test_wrong_usage(self):
        for command, environment in (([], {}), (["a", "b", "c"], {}), (["store"], {"WSUS_TICK_SECONDS": "0"}),
                                     (["store"], {"WSUS_TICK_SECONDS": "soon"})):
            done = run(ROOT / "scripts/jobs.sh", *command, check=False, env=os.environ | environment)
            self.assertEqual(done.returncode, 2, command)
            self.assertIn("usage: jobs.sh", done.stderr)


_seen = {}


def rounds(loop):
    """How many different sleeps of the loop were seen since the first call for it."""
    _seen.setdefault(loop, set()).update(harness.children(loop))
    return len(_seen[loop]) - 1


def gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


if __name__ == "__main__":
    unittest.main()
