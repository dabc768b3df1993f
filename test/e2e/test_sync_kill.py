"""test_sync_kill.py -- synchronizations that are killed: in every phase, and at every step of their commits.  The store is whole
each time, and a normal run ends with the parent's exact state.  How many were killed is printed."""
import collections
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import unittest

from child import Child
from parent import CLASSIFICATION, PRODUCT, Parent, document, number, small_catalog

# WSUS_LONG=1: many times as many
KILLS = 400 if os.environ.get("WSUS_LONG") else 40


class Killed(unittest.TestCase):
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.began = time.monotonic()

    def setUp(self):
        self.chance = random.Random(9)
        self.server = Parent(small_catalog())
        self.addCleanup(self.server.stop)
        self.server.lenient, self.server.limit = True, 2
        self.child = Child(self.server, upstream_mode="replica")
        self.count = 0

    def news(self):
        """Something for every phase."""
        self.count += 1
        n = self.count
        self.server.add(document(number(10_000 + n), 1, "Category"))
        key = self.server.add(document(number(20_000 + n), 1, categories=(PRODUCT, CLASSIFICATION), size=self.chance.choice((0, 0, 9000))))
        self.server.add(document(number(30_000 + n), 1, members=(key,)))
        self.server.deploy(key, self.server.group(f"G{n}") if n % 5 == 0 else "a0a08746-4dbe-4a37-9adf-9e7652c0b421")

    def whole(self, child=None):
        """A normal run, and the parent's exact state."""
        child = child or self.child
        child.sync()
        self.assertEqual(child.keys(), set(self.server.items))
        for key in sorted(self.server.items)[-9:]:
            self.assertEqual(child.document(key), self.server.items[key].text)
        groups, deployments, declined, accepted = child.policy()
        self.assertEqual({(u, d["revision"], g) for (u, g), d in deployments.items()},
                         {(*d["key"], d["group"]) for d in self.server.deployments.values()})
        self.assertEqual({i: g[0] for i, g in groups.items()}, {i: g[0] for i, g in self.server.groups.items()})
        self.server.assert_well_behaved(self)
        child.audit()

    def kill_at(self, operation, moment, only=None, verb="run"):
        """One run that is killed at a moment of a call; whether it was."""
        state = {}
        armed = threading.Event()

        def kill():
            armed.wait(10)
            os.kill(state["run"].pid, signal.SIGKILL)
            state["killed"] = True

        def before(request):
            if moment[0] == "asked":
                kill()

        def after(request):
            if moment[0] == "answered":
                time.sleep(moment[1])
                kill()

        mood = {"before": before, "after": after}
        if moment[0] == "half":
            mood = {"cut": moment[1], "after": lambda _: kill()}
        self.server.calm()
        self.server.on(operation, nth=only or 1, **mood)
        state["run"] = self.child.start(*(["--retry"] if verb == "content" else []), verb=verb)
        armed.set()
        status = state["run"].wait(60)
        state["run"].communicate()
        return bool(state.get("killed")) and status == -signal.SIGKILL

    # holds: WSUSSS-DSS-INIT-05 WSUSSS-DSS-META-14 WSUSSS-DSS-META-16 WSUSSS-DSS-DEPLOY-03
    def test_in_every_phase(self):
        self.whole()
        killed = collections.Counter()
        runs = 0
        for phase, calls in (("authorization", [("GetAuthConfig", 1), ("GetAuthorizationCookie", 1), ("GetCookie", 1)]),
                             ("configuration", [("GetConfigData", 1)]), ("categories", [("GetRevisionIdList", 1), ("GetUpdateData", 1)]),
                             ("updates", [("GetRevisionIdList", 2), ("GetUpdateData", 2), ("GetUpdateData", 3)]), ("deployments", [("GetDeployments", 1)])):
            while killed[phase] < KILLS:
                runs += 1
                self.assertLess(runs, 60 * KILLS, killed)
                operation, nth = self.chance.choice(calls)
                if self.count < 3 or phase not in ("authorization", "configuration") or runs % 5 == 0:
                    self.news()
                moment = self.chance.choice((("asked",), ("half", self.chance.randrange(900)), ("answered", self.chance.choice((0, 0.001, 0.004, 0.01)))))
                if self.kill_at(operation, moment, nth):
                    killed[phase] += 1
                    self.child.audit()
                if runs % 10 == 0:
                    self.server.calm()
                    self.whole()
            self.server.calm()
            self.whole()
        print("killed:", ", ".join(f"{n} in {p}" for p, n in killed.items()), f"of {runs} runs, {time.monotonic() - self.began:.0f} s")
        self.assertTrue(all(n >= KILLS for n in killed.values()))

    # holds: WSUSSS-DSS-CONTENT-09 WSUSSS-DSS-CONTENT-11
    def test_while_files_are_fetched(self):
        killed, runs, began, bodies = 0, 0, time.monotonic(), {}
        while killed < KILLS:
            if runs % 8 == 0:
                name, body = f"{runs}.cab", self.chance.randbytes(self.chance.choice((10, 40_000, 400_000)))
                bodies[hashlib.sha1(body).digest()] = body
                self.server.content.update(bodies)
                self.server.deploy(self.server.add(document(number(40_000 + runs), files=((name, body, ""),))))
                self.child.sync()
            runs += 1
            self.assertLess(runs, 20 * KILLS)
            self.server.calm()
            before = {p.name: p.read_bytes() for p in self.child.content.glob("??/*")}
            killed += self.kill_at("content", self.chance.choice((("asked",), ("half", self.chance.randrange(30_000)), ("answered", self.chance.choice((0, 0.002))))),
                                   verb="content")
            for path in self.child.content.glob("??/*"):
                self.assertEqual(hashlib.sha1(path.read_bytes()).hexdigest().upper(), path.name.partition(".")[0], "whole, or not there")
            self.assertLessEqual(set(before), {p.name for p in self.child.content.glob("??/*")})
        self.server.calm()
        self.child.sync("--retry", verb="content")
        self.assertEqual({p.name.partition(".")[0] for p in self.child.content.glob("??/*")}, {d.hex().upper() for d in bodies})
        self.whole()
        print(f"killed: {killed} in content of {runs} runs, {time.monotonic() - began:.0f} s")

    @unittest.skipUnless(shutil.which("strace"), "there is no strace")
    def test_in_every_commit(self):
        """At the entry of each system call that writes to the store or makes it durable."""
        try:
            subprocess.run(["strace", "-o", "/dev/null", "true"], check=True, capture_output=True)
        except subprocess.CalledProcessError:
            self.skipTest("strace may not trace here")
        self.whole()
        self.news()
        self.news()
        calls = "pwrite64,pwritev,writev,fdatasync,fsync,msync,ftruncate"
        trace = self.child.state / "trace"
        began = time.monotonic()

        def run(child, call=None, nth=0):
            inject = ["-e", f"inject={call}:signal=SIGKILL:when={nth}"] if call else []
            child.sync(status=None, before=["strace", "-f", "-qq", "-y", "-o", trace, "-e", f"trace={calls}", *inject])
            return [line for line in trace.read_text(errors="replace").splitlines() if not line.rstrip().endswith("+++")]
        rows = [(re.sub(r"^\d+\s+(\w+).*", r"\1", line), "data.mdb" in line) for line in run(Child(copy=self.child))]
        # each kind of call is counted for itself
        where = [(name, sum(n == name for n, _ in rows[:i + 1])) for i, (name, store) in enumerate(rows) if store]
        self.assertGreater(len(where), 20, rows)
        if len(where) > KILLS:
            where = self.chance.sample(where, KILLS)
        self.server.assert_well_behaved(self)
        killed, kinds = 0, collections.Counter()
        while killed < KILLS:
            for name, nth in where:
                child = Child(copy=self.child)
                rows = run(child, name, nth)
                if rows and "data.mdb" in rows[-1]:
                    killed += 1
                    kinds[name] += 1
                child.audit()
                self.whole(child)
                shutil.rmtree(child.state)
        print(f"killed: {killed} in commits ({', '.join(f'{n} at {k}' for k, n in kinds.items())}), {time.monotonic() - began:.0f} s")
        self.assertGreaterEqual(killed, KILLS)


if __name__ == "__main__":
    unittest.main()
