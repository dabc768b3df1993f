"""test_jobs.py -- what is due happens without a command: scripts/jobs.sh, whose loop lives and ends like a service, and each
job of an installed server, as its timer or cron starts it."""
import datetime
import fcntl
import os
import pathlib
import pwd
import re
import signal
import subprocess
import time
import unittest

import harness
from harness import ROOT, Instance, alive, run, temporary, wait_for
from installed import USER, Installation


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
            self.assertRegex(self.log(server), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ tick: Epoch \d+.*took or lost effect 1,")
            self.assertEqual(self.log(server).count("\n"), 1)

    def test_a_failure_is_logged_once_until_it_works_again(self):
        sleepless(self)
        with Instance("none") as server:
            catalog = server.state / "store/catalog"
            catalog.rename(server.state / "store/away")
            wait_for(lambda: f"tick: failed: wsusctl: {server.state}/store: no store here" in self.log(server), what="the failure")
            loop = server.pid("jobs")
            wait_for(lambda: rounds(loop) >= 2, what="two more rounds")
            self.assertEqual(self.log(server).count("tick: failed:"), 1)
            (server.state / "store/away").rename(catalog)
            wait_for(lambda: self.log(server).endswith("it works again\n"), what="the recovery")

    def test_a_bell_is_heard_at_once_and_a_long_job_stops_no_other(self):
        """The loop of an instance: a program that stands in for wsus-sync and never ends, until the loop does."""
        place = temporary()
        for program in (ROOT / "bin").iterdir():
            (place / program.name).symlink_to(program)
        (place / "wsus-sync").unlink()
        (place / "wsus-sync").write_text(f'#!/bin/sh\necho $$ >{place}/$1.new; mv {place}/$1.new {place}/$1; exec /bin/sleep 600\n')
        (place / "wsus-sync").chmod(0o755)
        os.environ["WSUS_BIN"] = str(place)
        self.addCleanup(os.environ.pop, "WSUS_BIN", None)
        os.environ |= {"WSUS_FETCH_SECONDS": "100000", "WSUS_BELL_SECONDS": "1"}
        self.addCleanup(os.environ.pop, "WSUS_FETCH_SECONDS", None)
        self.addCleanup(os.environ.pop, "WSUS_BELL_SECONDS", None)
        sleepless(self)
        with Instance("none") as server:
            wait_for((place / "run").exists, what="the synchronization")
            wait_for((place / "content").exists, what="the first fetch")
            loop = server.pid("jobs")
            before = (server.state / "jobs/tick.last").stat().st_mtime_ns
            wait_for(lambda: (server.state / "jobs/tick.last").stat().st_mtime_ns > before, what="a tick beside them")
            first = int((place / "content").read_text())
            (place / "content").unlink()
            (server.state / "store/fleet/content.bell").touch()
            os.kill(first, signal.SIGTERM)
            wait_for((place / "content").exists, what="the fetch that the bell rang for")
            pids = [int((place / name).read_text()) for name in ("run", "content")]
            server.stop()
            wait_for(lambda: gone(loop) and all(gone(pid) for pid in pids), what="the end of all of them")

    def test_health_is_looked_at_by_itself(self):
        sleepless(self)
        os.environ["WSUS_HEALTH_SECONDS"] = "1"
        self.addCleanup(os.environ.pop, "WSUS_HEALTH_SECONDS", None)
        with Instance("none") as server:
            wait_for((server.state / "jobs/health.txt").exists, what="the first look")
            wait_for(lambda: " health: WSUS OK - 16 checks\n" in self.log(server), what="its line")

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
        for command, environment in ((["a", "b"], {}), (["store"], {"WSUS_TICK_SECONDS": "0"}),
                                     (["store"], {"WSUS_TICK_SECONDS": "soon"})):
            done = run(ROOT / "scripts/jobs.sh", *command, check=False, env=os.environ | environment)
            self.assertEqual(done.returncode, 2, command)
            self.assertIn("usage: jobs.sh", done.stderr)


JOBS = ("tick", "health", "backup", "certificate", "sync", "fetch", "cleanup")
# Those that have a script of their own name, and a page.
SCRIPTS = {"sync": "wsus-sync.sh", "fetch": "wsus-content.sh", "cleanup": "wsus-cleanup.sh"}


@unittest.skipUnless(os.geteuid() == 0, "only root can be two users")
class Installed(unittest.TestCase):
    """The jobs of an installed server, each as the ExecStart of its unit."""

    @classmethod
    def setUpClass(cls):
        cls.here = Installation()
        cls.here.set(**{"backup.keep": 2})
        cls.here.setup()
        cls.jobs = cls.here.state / "jobs"
        cls.script = cls.here.libexec / "job.sh"

    def done(self, job, **environment):
        done = self.here.job(job, **environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def last(self, job):
        """What the last run left of itself."""
        return dict(line.split(" ", 1) for line in (self.jobs / f"{job}.last").read_text().splitlines())

    def test_every_job_has_a_timer_a_line_of_cron_and_a_page(self):
        self.assertEqual({p.stem for p in self.here.units.glob("*.timer")}, {f"wsus-{job}" for job in JOBS})
        self.assertEqual([line["job"] for line in self.cron()], ["tick", "health", "backup", "certificate", "sync", "fetch", "fetch", "cleanup"])
        for job in JOBS:
            page = SCRIPTS.get(job, f"wsus-{job}")
            self.assertTrue((self.here.root / f"usr/share/man/man8/{page}.8").exists())
            starts = self.script.with_name(SCRIPTS[job]) if job in SCRIPTS else f"{self.script} {job}"
            self.assertEqual(self.here.unit(f"wsus-{job}.service")["ExecStart"], str(starts))
            self.assertGreater(self.seconds(self.here.unit(f"wsus-{job}.timer")["RandomizedDelaySec"]), 0)
            self.assertTrue((self.jobs / f"{job}.since").exists())

    @staticmethod
    def seconds(span):
        number, unit = re.fullmatch(r"(\d+)(h|min|)", span).groups()
        return int(number) * {"h": 3600, "min": 60, "": 1}[unit]

    def cron(self):
        """The lines of the cron file, as cron reads them."""
        path = self.here.root / "etc/cron.d/wsus-fcgi"
        self.assertRegex(path.name, r"^[A-Za-z0-9_-]+$")
        self.assertEqual((path.stat().st_mode & 0o7777, path.stat().st_uid), (0o644, 0))
        text = path.read_text()
        self.assertTrue(text.endswith("\n"))
        lines = [line for line in text.splitlines() if line and line[0] != "#"]
        variables = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]+=", line))
        entries = []
        for line in lines[len(variables):]:
            *times, user, command = line.split(None, 6)
            self.assertNotIn("%", command)
            for field, low, high in zip(times, (0, 0, 1, 1, 0), (59, 23, 31, 12, 7)):
                self.assertRegex(field, r"^(\*|\*/\d+|\d+)$")
                for number in re.findall(r"\d+", field):
                    self.assertTrue(low <= int(number) <= high, line)
            pwd.getpwnam(user)
            job = next((job for job, script in SCRIPTS.items() if f"/{script} " in command), command.split()[-1])
            entries.append({"user": user, "command": command, "job": job, "variables": variables})
        return entries

    def test_cron_does_what_timers_do_where_there_is_no_systemd_and_nothing_where_it_runs(self):
        log = pathlib.Path(self.cron()[0]["variables"]["LOG"])
        for entry in self.cron():
            self.assertEqual(entry["user"], "root")
        entry = self.cron()[0]
        self.assertEqual(entry["command"].count("/run/systemd/system"), 1)
        for there, ran in ((True, False), (False, True)):
            directory = temporary() / "system"
            if there:
                directory.mkdir()
            (self.jobs / "tick.last").unlink(missing_ok=True)
            command = entry["command"].replace("/run/systemd/system", str(directory)).replace("--delay 10", "--delay 0")
            done = run("sh", "-c", command, env=entry["variables"], check=False)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            self.assertEqual((self.jobs / "tick.last").exists(), ran)
        (self.jobs / "backup.last").unlink(missing_ok=True)
        backup = self.cron()[2]
        run("sh", "-c", backup["command"].replace("/run/systemd/system", str(directory)).replace("--delay 7200", "--delay 0"),
            env=backup["variables"])
        self.assertRegex(log.read_text(), r"Z backup: begins\n.*Z backup: /.*: verified, ")

    def test_a_backup_is_made_kept_and_brought_back(self):
        self.here.ctl("group", "create", "Kept")
        places = set()
        for _ in range(3):
            self.assertRegex(self.done("backup"), r"^\S+Z backup: begins\n\S+Z backup: \S+: verified, \d+ files")
            places.add(self.last("backup")["said"].split(":")[0])
            made = int(time.time())
            wait_for(lambda: int(time.time()) > made, what="another second, by which backups are named")
        backups = self.here.root / "var/backups/wsus-fcgi"
        self.assertEqual((backups.stat().st_mode & 0o777, backups.stat().st_uid), (0o700, 0))
        kept = sorted(p.name for p in backups.iterdir())
        self.assertEqual(kept, sorted(pathlib.Path(p).name for p in places)[-2:])
        newest = backups / kept[-1]
        self.assertEqual(pwd.getpwuid((newest / "keys/master").stat().st_uid).pw_name, USER)
        self.assertTrue((newest / "etc/wsus.conf").exists())
        again = temporary() / "store"
        run(self.here.root / "usr/bin/wsusctl", "--store", again, "restore", newest)
        self.assertIn("Kept", run(self.here.root / "usr/bin/wsusctl", "--store", again, "group", "list").stdout)

    def test_another_place_for_backups_is_made_and_may_be_written_by_its_unit(self):
        def writable():
            units = [self.here.units / "wsus-backup.service", self.here.dropins / "wsus-backup.service.d/wsus-conf.conf"]
            text = "".join(path.read_text() for path in units if path.exists())
            return re.findall(r"^ReadWritePaths=(.*)$", text, re.M)[-1].split()
        usual = self.here.root / "var/backups/wsus-fcgi"
        self.assertIn(f"-{usual}", writable())
        elsewhere = temporary() / "copies"
        self.here.set(**{"backup.to": elsewhere})
        self.here.setup()
        self.assertEqual((elsewhere.stat().st_mode & 0o777, f"-{elsewhere}" in writable()), (0o700, True))
        self.here.set(**{"backup.to": usual})
        self.here.setup()
        self.assertIn(f"-{usual}", writable())

    def test_a_backup_that_is_not_wanted_or_not_possible(self):
        self.addCleanup(self.here.set, **{"backup.to": self.here.root / "var/backups/wsus-fcgi"})
        self.here.set(**{"backup.to": ""})
        self.assertIn("switched off", self.done("backup"))
        file = temporary() / "file"
        file.write_text("")
        self.here.set(**{"backup.to": file})
        done = self.here.job("backup")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, rf"backup: failed: wsusctl: .*{file}")
        self.assertEqual(self.last("backup")["status"], "1")

    def test_one_at_a_time(self):
        with open(self.jobs / "tick.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.write("process 4711 since then\n")
            lock.flush()
            before = (self.jobs / "tick.last").read_text() if (self.jobs / "tick.last").exists() else None
            done = self.here.job("tick")
            self.assertEqual(done.returncode, 75)
            self.assertIn("tick: runs already: process 4711 since then", done.stdout)
            self.assertEqual((self.jobs / "tick.last").read_text() if before else None, before)
            self.assertEqual(self.here.unit("wsus-tick.service")["SuccessExitStatus"], "75")
        self.done("tick")
        self.assertRegex((self.jobs / "tick.lock").read_text(), r"^process \d+ since \S+Z\n$")

    def test_a_failure_is_one_line_until_it_works_again(self):
        catalog = self.here.state / "store/catalog"
        self.done("tick")
        good = self.last("tick")
        away = self.here.state / "store/away"
        catalog.rename(away)
        try:
            first, second = self.here.job("tick"), self.here.job("tick")
        finally:
            away.rename(catalog)
        self.assertEqual((first.returncode, second.returncode), (1, 1))
        self.assertRegex(first.stdout, r"^\S+Z tick: failed: wsusctl: \S+: no store here[^\n]*\n$")
        self.assertEqual(second.stdout, "")
        failed = self.last("tick")
        self.assertEqual((failed["status"], failed["succeeded"]), ("1", good["succeeded"]))
        self.assertRegex(self.done("tick"), r"^\S+Z tick: it works again\n$")
        self.assertEqual(self.last("tick")["status"], "0")

    def test_the_health_job_leaves_what_it_found(self):
        done = self.here.job("health")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = (self.jobs / "health.txt").read_text()
        self.assertRegex(text, r"^WSUS CRITICAL - scan: https://wsus\.example\.net:")
        self.assertIn('wsus_health_level{check="scan"} 2\n', (self.jobs / "metrics.prom").read_text())
        self.assertEqual((self.jobs / "health.txt").stat().st_mode & 0o777, 0o644)
        self.assertTrue(self.last("health")["said"].startswith("WSUS CRITICAL - "))

    def test_the_health_job_tells_whom_the_configuration_file_names(self):
        place = temporary()
        (place / "tell").write_text(f'#!/bin/sh\necho "$1 $2 $3" >>{place}/told\n')
        (place / "tell").chmod(0o755)
        self.here.set(**{"notify.command": place / "tell"})
        self.addCleanup(self.here.set, **{"notify.command": None})
        for _ in range(2):
            self.assertEqual(self.here.job("health").returncode, 0)
            self.assertEqual((place / "told").read_text().splitlines().count("entered scan CRITICAL"), 1)

    # ---- jobs that run wsus-sync, which may take hours: another program of this name stands in for it ----

    def program(self, script, name="wsus-sync"):
        """What wsus-sync is in this test; its arguments go to the file `asked`."""
        path, kept = self.here.libexec / name, self.here.libexec / "kept"
        self.asked = temporary() / "asked"
        path.rename(kept)
        self.addCleanup(kept.replace, path)
        path.write_text(f'#!/bin/sh\necho "$@" >>{self.asked}\n{script}\n')
        path.chmod(0o755)
        for job in ("sync", "fetch"):
            for left in ("last", "heard"):
                (self.jobs / f"{job}.{left}").unlink(missing_ok=True)
        self.bell = self.here.state / "store/fleet/content.bell"
        self.bell.unlink(missing_ok=True)

    def by_hand(self, script, *options):
        return run(self.here.libexec / script, *options, check=False)

    # holds: WSUSSS-TIMERS-02 WSUSSS-TIMERS-08 WSUSSS-DSS-INIT-04
    def test_the_synchronization_looks_itself_whether_it_is_time(self):
        self.program(":")
        self.assertEqual(self.done("sync"), "")
        store, content = self.here.state / "store", self.here.state / "content"
        self.assertEqual(self.asked.read_text(), f"run --store {store} --content {content} --log --no-content --scheduled\n")
        self.assertEqual((self.last("sync")["succeeded"], self.bell.exists()), ("", False))
        self.assertEqual(self.by_hand("wsus-sync.sh", "--now").returncode, 0)
        self.assertNotIn("--scheduled", self.asked.read_text().splitlines()[1])

    def test_what_a_long_run_says_is_logged_as_it_comes_and_its_end_rings_the_bell(self):
        go_on = temporary() / "on"
        self.program(f"echo 2026-01-01T00:00:00Z sync: categories: 12; echo 2026-01-01T00:00:00Z sync: updates: 40; while [ ! -e {go_on} ]; do sleep 0.05; done; echo done: 52")
        log = temporary() / "log"
        job = subprocess.Popen([self.here.libexec / "wsus-sync.sh", "--log", log])
        wait_for(lambda: log.exists() and "updates: 40" in log.read_text(), what="the second line")
        self.assertFalse(self.bell.exists())
        go_on.touch()
        self.assertEqual(job.wait(20), 0)
        self.assertRegex(log.read_text(), r"^\S+Z sync: categories: 12\n\S+Z sync: updates: 40\n\S+Z sync: done: 52\n$")
        self.assertEqual((self.last("sync")["said"], self.last("sync")["status"]), ("done: 52", "0"))
        self.assertTrue(self.bell.exists())
        self.assertFalse((self.jobs / "sync.said.pipe").exists())

    # holds: WSUSSS-TIMERS-06: the job ends, and the next trigger tries again.
    def test_a_run_that_failed_stays_known_until_one_does_something(self):
        says = temporary() / "says"
        self.program(f". {says}")
        says.write_text("echo 2026-01-01T00:00:00Z sync: failed: the server above does not answer; exit 1\n")
        first, second = self.here.job("sync"), self.here.job("sync")
        self.assertEqual((first.returncode, second.returncode), (1, 1))
        self.assertRegex(first.stdout, r"^\S+Z sync: failed: the server above does not answer\n$")
        self.assertEqual(second.stdout, "")
        says.write_text("exit 0\n")  # not yet time
        self.assertEqual(self.done("sync"), "")
        self.assertEqual((self.last("sync")["status"], self.last("sync")["said"]), ("1", "the server above does not answer"))
        says.write_text("echo nothing new\n")
        self.assertRegex(self.done("sync"), r"^\S+Z sync: it works again: nothing new\n$")
        self.assertEqual(self.last("sync")["status"], "0")

    def test_somebody_who_runs_it_by_hand_and_one_who_cancels_are_no_failure(self):
        says = temporary() / "says"
        self.program(f". {says}")
        says.write_text("echo process 4711 synchronizes since then; exit 75\n")
        done = self.here.job("sync")
        self.assertEqual((done.returncode, done.stdout, (self.jobs / "sync.last").exists()), (75, "", False))
        says.write_text("echo cancelled; exit 4\n")
        self.assertRegex(self.done("sync"), r"^\S+Z sync: cancelled\n$")
        self.assertEqual(self.last("sync")["status"], "0")

    def test_a_signal_reaches_the_program_which_ends_as_it_likes(self):
        ready = temporary() / "ready"
        self.program(f"trap 'echo stopping; exit 4' TERM; touch {ready}; while :; do sleep 0.05; done")
        job = subprocess.Popen([self.here.libexec / "wsus-sync.sh"], stdout=subprocess.PIPE, text=True)
        wait_for(ready.exists, what="the program")
        job.terminate()
        job.communicate(timeout=20)
        self.assertEqual(job.returncode, 143)
        with open(self.jobs / "sync.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_the_bell_is_heard_once_and_what_rings_meanwhile_is_heard_too(self):
        again = temporary() / "again"
        self.program(f"[ -e {again} ] || {{ touch {again}; sleep 0.01; touch {self.here.state}/store/fleet/content.bell; }}; echo 1 file")
        self.assertEqual(self.by_hand("wsus-content.sh", "--rung").returncode, 0)
        self.assertFalse(self.asked.exists())
        self.bell.touch()
        done = self.by_hand("wsus-content.sh", "--rung")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        store, content = self.here.state / "store", self.here.state / "content"
        self.assertEqual(self.asked.read_text(), f"content --store {store} --content {content} --log --scheduled\n" * 2)
        self.by_hand("wsus-content.sh", "--rung")
        self.assertEqual(len(self.asked.read_text().splitlines()), 2)
        self.by_hand("wsus-content.sh")
        self.assertEqual(len(self.asked.read_text().splitlines()), 3)
        self.assertEqual(self.here.unit("wsus-fetch.path")["PathChanged"], str(self.bell))

    def test_each_script_explains_itself(self):
        for script in SCRIPTS.values():
            done = run(self.here.libexec / script, "--help")
            self.assertIn(f"usage: {script} ", done.stdout)
            self.assertEqual(self.by_hand(script, "--nonsense").returncode, 2)
        self.assertEqual(self.by_hand("wsus-cleanup.sh", "--now").returncode, 2)

    def test_a_wait_is_random_and_not_longer_than_said(self):
        fake = temporary()
        (fake / "sleep").write_text(f'#!/bin/sh\necho "$1" >>{fake}/slept\n')
        (fake / "sleep").chmod(0o755)
        for _ in range(12):
            run(self.script, "--delay", "1000000", "tick", env={"PATH": f"{fake}:/usr/bin:/bin"})
        slept = [int(word) for word in (fake / "slept").read_text().split()]
        self.assertEqual(len(slept), 12)
        self.assertGreater(len(set(slept)), 1)
        self.assertTrue(all(0 <= s <= 1000000 for s in slept), slept)

    def test_a_signal_ends_the_job_and_its_program(self):
        fake = temporary()
        (fake / "sleep").write_text(f'#!/bin/sh\necho $$ >{fake}/pid.new; mv {fake}/pid.new {fake}/pid; exec /bin/sleep 600\n')
        (fake / "sleep").chmod(0o755)
        job = subprocess.Popen([self.script, "--delay", "9", "tick"], env={"PATH": f"{fake}:/usr/bin:/bin"})
        wait_for((fake / "pid").exists, what="its wait")
        job.terminate()
        self.assertEqual(job.wait(20), 143)
        self.assertTrue(gone(int((fake / "pid").read_text())))

    def test_nobody_else_runs_them(self):
        done = run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", self.script, "tick", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("run this as root", done.stderr)

    def test_wrong_usage(self):
        for words in ([], ["synchronize"], ["tick", "health"], ["--now", "tick"], ["--rung", "sync"], ["--delay", "soon", "tick"], ["--log"], ["--nonsense", "tick"]):
            done = run(self.script, *words, check=False)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("usage: job.sh", done.stderr)


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
