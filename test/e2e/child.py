"""child.py -- a store that is synchronized by wsus-sync from a scripted parent, without services of its own: small enough to be made,
run, killed and thrown away hundreds of times in a test."""
import os
import pathlib
import shutil
import subprocess

import harness
from test_downstream import World

SYNC = harness.ROOT / "bin/wsus-sync"
CTL = harness.ROOT / "bin/wsusctl"
# So long does the first of several waits before a repetition take, in milliseconds; two seconds in real life.
QUICK = {"WSUS_SYNC_DELAY_MS": "0"}

_empty = []


def empty():
    """An empty store, only to be copied: all of them are one server to their parent, which starts again (Parent.new_peer())."""
    if not _empty:
        _empty.append(harness.temporary() / "store")
        harness.run(CTL, "--store", _empty[0], "store", "create", _empty[0])
    return _empty[0]


class Child:
    """Settings are given as upstream_mode="replica"; the parent's address is one of them."""

    def __init__(self, parent=None, copy=None, state=None, **settings):
        self.parent = parent or copy and copy.parent
        self.state = pathlib.Path(state) if state else harness.temporary("wsus-child-")
        self.store, self.content = self.state / "store", self.state / "content"
        if not state:
            self.content.mkdir()
            shutil.copytree(copy.store if copy else empty(), self.store, ignore=shutil.ignore_patterns("*.status"))
        if not copy and not state:
            settings = {"sync_filter": "all", **settings}
        if parent and (not copy or copy.parent is not parent):
            settings = {"upstream_url": parent.url, **settings}
        for name, value in settings.items():
            self.ctl("config", "set", name.replace("_", ".", 1).replace("_", "-"), value)

    def ctl(self, *arguments, check=True, **kw):
        return harness.run(CTL, "--store", self.store, *arguments, check=check, **kw)

    def ctl_json(self, *arguments):
        import json
        return json.loads(self.ctl(*arguments, "--json").stdout)

    def command(self, *options, verb="run"):
        return [SYNC, verb, "--store", self.store, "--content", self.content, *(["--no-content"] if verb == "run" else []), *options]

    def start(self, *options, verb="run", before=(), **env):
        """A run that goes on."""
        return subprocess.Popen([str(c) for c in [*before, *self.command(*options, verb=verb)]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env={**os.environ, **QUICK, **env})

    def sync(self, *options, verb="run", status=0, before=(), timeout=60, **env):
        """A finished run; status None: any."""
        done = harness.run(*before, *self.command(*options, verb=verb), check=False, timeout=timeout, env={**os.environ, **QUICK, **env})
        if status is not None and done.returncode != status:
            raise AssertionError(f"wsus-sync {verb}: status {done.returncode}, not {status}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        if done.returncode == 0 and verb == "run" and self.parent:
            self.parent.settle()
        return done

    # ---- what it has ----

    def keys(self):
        return {(r["id"].lower(), r["revision"]) for r in self.ctl_json("update", "list", "--all")}

    def document(self, key):
        return self.ctl("update", "show", f"{key[0]}:{key[1]}", "--fragment", "original").stdout

    def documents(self):
        return {key: self.document(key) for key in self.keys()}

    def policy(self):
        """(groups, deployments, declined, accepted), as World.policy() has them."""
        return World(self, {}).policy()

    def epoch(self):
        return self.ctl_json("store", "stat")["epoch"]

    def audit(self):
        self.ctl("store", "audit")

    def last(self):
        """The newest line of the history of synchronizations."""
        return self.ctl_json("sync", "history")[0]
