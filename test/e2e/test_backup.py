"""test_backup.py -- copies of store, keys and configuration: whole or not there, verified, kept in number; what is no backup
is refused in words."""
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time
import unittest

import harness
from harness import CLIENT, ROOT, Computer, Instance, run, temporary, wait_for

CTL = ROOT / "bin/wsusctl"
HEAD = "wsus-fcgi backup 1\n"


class Place:
    """A store, keys and a certificate where a configuration file says, and no servers."""

    def __init__(self, revisions=300):
        self.state = temporary()
        self.store, self.keys, self.etc = self.state / "store", self.state / "secret/keys", self.state / "etc"
        self.tls, self.conf = self.etc / "tls", self.etc / "wsus.conf"
        self.keys.mkdir(mode=0o750, parents=True)
        self.tls.mkdir(parents=True)
        self.configure()
        (self.etc / "shadow").write_text("not ours\n")
        (self.tls / "server.key").write_text("a key\n")
        (self.tls / "server.key").chmod(0o600)
        self("store", "create", self.store)
        self("store", "key", self.keys / "master")
        if revisions:
            self("update", "import", harness.sample("--revisions", str(revisions)) / "updates")

    def configure(self, *lines):
        self.conf.write_text("\n".join((f"store = {self.store}", f"keys = {self.keys}", f"tls = {self.tls}", *lines, "")))

    def run(self, *arguments, store=None, **kw):
        return run(CTL, "--store", store or self.store, *arguments, check=False, env=os.environ | {"WSUS_CONF": str(self.conf)}, **kw)

    def __call__(self, *arguments, status=0, store=None):
        done = self.run(*arguments, store=store)
        if done.returncode != status:
            raise AssertionError(f"{arguments}: status {done.returncode}, not {status}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *arguments, store=None):
        return json.loads(self(*arguments, "--json", store=store).stdout)

    def refused(self, *arguments, store=None):
        done = self(*arguments, status=1, store=store)
        if not done.stderr.startswith("wsusctl: "):
            raise AssertionError(done.stderr)
        return done.stderr


def manifest(backup):
    """path -> (digest, size, mode)"""
    rows = [line.split(" ", 4) for line in (backup / "manifest").read_text().splitlines()[4:-1]]
    return {path: (digest, int(size), mode) for digest, size, mode, _, path in rows}


def sign(backup, text):
    """Writes a manifest whose own digest is right."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    (backup / "manifest").write_text(f"{text}end {digest}\n")


def resign(backup, change):
    sign(backup, change("\n".join((backup / "manifest").read_text().splitlines()[:-1]) + "\n"))


def is_killed(command, seconds):
    """Runs it for that long at most; did it have to be killed?"""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -signal.SIGKILL


class Backup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place()
        cls.copy = cls.place.state / "copy"
        cls.said = cls.place("backup", cls.copy).stdout

    def other(self):
        """A copy of the backup, to be spoilt."""
        return shutil.copytree(self.copy, temporary() / "spoilt")

    def test_it_holds_store_keys_and_configuration_with_their_digests(self):
        self.assertIn("verified", self.said)
        files = manifest(self.copy)
        self.assertEqual(sorted(files), ["catalog/data.mdb", "etc/wsus.conf", "fleet/data.mdb", "keys/master", "tls/server.key"])
        self.assertEqual((files["keys/master"][2], files["tls/server.key"][2]), ("0600", "0600"))
        self.assertEqual((self.copy / "keys/master").read_bytes(), (self.place.keys / "master").read_bytes())
        for path, (digest, size, mode) in files.items():
            found = self.copy / path
            self.assertEqual(run("sha256sum", found).stdout.split()[0], digest)
            self.assertEqual((found.stat().st_size, f"{found.stat().st_mode & 0o7777:04o}"), (size, mode))
        self.assertEqual(self.copy.stat().st_mode & 0o777, 0o700, "it holds secrets")
        self.assertFalse((self.place.state / "copy.incomplete").exists())
        self.assertIn(f"backup {self.copy}", [r["what"] for r in self.place.json("store", "history")])

    def test_what_the_configuration_file_says_and_whom_it_is_for(self):
        place = Place(revisions=0)
        parts = lambda copy: sorted(p for p in manifest(copy) if not p.endswith("data.mdb"))
        # certificates where the keys are: once; the configuration may be called otherwise, and may be a link
        place.conf.rename(place.etc / "other.conf")
        place.conf = place.etc / "link.conf"
        place.conf.symlink_to(place.etc / "other.conf")
        place.tls = place.keys
        place.configure()
        place("backup", place.state / "one")
        self.assertEqual(parts(place.state / "one"), ["etc/link.conf", "keys/master"])
        # a file that is for another store says nothing of this one: its keys are beside it, its configuration is none of ours
        other = Place(revisions=0)
        (other.state / "keys").mkdir()
        (other.state / "keys/master").write_text("another\n")
        place("backup", other.state / "two", store=other.store)
        self.assertEqual(parts(other.state / "two"), ["keys/master"])
        self.assertEqual((other.state / "two/keys/master").read_text(), "another\n")
        # what it says wrongly is told, not guessed
        place.keys = "keys"
        place.configure()
        self.assertIn("link.conf:2: keys takes an absolute path", place.refused("backup", place.state / "three"))
        self.assertFalse((place.state / "three").exists())

    def test_links_to_files_are_followed_and_what_cannot_be_had_is_told(self):
        place = Place(revisions=0)
        elsewhere = temporary()
        (elsewhere / "real.key").write_text("another key\n")
        (elsewhere / "real.key").chmod(0o600)
        (place.tls / "pair.1").mkdir()
        (place.tls / "pair.1/server.crt").write_text("a certificate\n")
        (place.tls / "server").symlink_to("pair.1")
        (place.tls / "server.crt").symlink_to("server/server.crt")
        (place.tls / "other.key").symlink_to(elsewhere / "real.key")
        (place.tls / "away").symlink_to(elsewhere)
        (place.tls / ".lock").write_text("")
        (place.tls / ".new.x").mkdir()
        (place.tls / ".new.x/server.key").write_text("somebody is at it\n")
        said = place("backup", place.state / "copy").stdout
        self.assertEqual(said.count("symbolic link"), 1)
        self.assertIn(f"{place.tls}/away: a symbolic link to a directory elsewhere; what is there was left out", said)
        copy = place.state / "copy/tls"
        self.assertEqual(sorted(p[4:] for p in manifest(place.state / "copy") if p.startswith("tls/")),
                         ["other.key", "pair.1/server.crt", "server.crt", "server.key"])
        self.assertEqual(((copy / "other.key").read_text(), (copy / "server.crt").read_text()), ("another key\n", "a certificate\n"))
        self.assertEqual(manifest(place.state / "copy")["tls/other.key"][2], "0600")
        (elsewhere / "real.key").unlink()
        words = place("backup", place.state / "again", status=1).stderr
        self.assertIn(f"{place.tls}/other.key: a symbolic link to what cannot be read", words)
        self.assertFalse((place.state / "again").exists())

    def test_verify_looks_and_changes_nothing(self):
        before = {p: (self.copy / p).read_bytes() for p in manifest(self.copy)}
        self.assertIn("verified", self.place("backup", "verify", self.copy).stdout)
        self.assertEqual({p: (self.copy / p).read_bytes() for p in before}, before)
        self.place("backup", "verify", self.copy, store="/nonexistent")

    def test_an_occupied_place_is_refused(self):
        for target in (self.copy, self.place.store):
            self.assertIn("name another directory", self.place.refused("backup", target))
        empty = self.place.state / "empty"
        empty.mkdir()
        self.place("backup", empty)
        self.place("backup", "verify", empty)

    def test_what_was_damaged_is_found(self):
        for path in manifest(self.copy):
            for spoil in (lambda b: b[:-1], lambda b: b[:len(b) // 2] + bytes([b[len(b) // 2] ^ 4]) + b[len(b) // 2 + 1:], None):
                other = self.other()
                if spoil:
                    (other / path).write_bytes(spoil((other / path).read_bytes()))
                else:
                    (other / path).unlink()
                for command in (("backup", "verify"), ("restore",)):
                    words = self.place.refused(*command, other, store=temporary() / "store")
                    self.assertIn(str(other / path), words)
                    self.assertIn("take another backup", words)

    def test_a_manifest_that_is_something_else_is_refused_in_words(self):
        def lines(text):
            return lambda _: text
        cases = [
            (lambda b: (b / "manifest").unlink(), "not a backup"),
            (lambda b: (b / "manifest").write_text("hello\n"), "not a backup of wsus-fcgi"),
            (lambda b: (b / "manifest").write_text(""), "not a backup of wsus-fcgi"),
            (lambda b: (b / "manifest").write_bytes((b / "manifest").read_bytes()[:-30]), "damaged"),
            (lambda b: (b / "manifest").write_text((b / "manifest").read_text().replace("generation 1", "generation 2")), "damaged"),
            (lambda b: resign(b, lambda t: t.replace("backup 1", "backup 2")), "format 2, this program knows 1"),
            (lambda b: resign(b, lambda t: t.replace(" keys/master", " ../keys/master")), "damaged"),
            (lambda b: resign(b, lambda t: t.replace(" keys/master", " /etc/passwd")), "damaged"),
            (lambda b: resign(b, lambda t: t.replace(" fleet/data.mdb", " fleet/other.mdb")), ""),
            (lambda b: resign(b, lambda t: t.replace("generation 1", "generation 99999999999")), "damaged"),
        ]
        for i, (spoil, words) in enumerate(cases):
            other = self.other()
            spoil(other)
            target = temporary() / "store"
            for command in (("backup", "verify"), ("restore",)):
                self.assertIn(words, self.place.refused(*command, other, store=target), i)
            self.assertFalse(target.exists(), i)
        self.assertIn("nothing is there", self.place.refused("backup", "verify", "/nonexistent"))

    def test_a_store_of_a_newer_format_is_refused(self):
        other = self.other()
        data = (other / "catalog/data.mdb").read_bytes()
        key = b"format\1" + harness.STORE_FORMAT.to_bytes(4, "big")
        self.assertEqual(data.count(key), 1)
        (other / "catalog/data.mdb").write_bytes(data.replace(key, b"format\1" + (99).to_bytes(4, "big")))
        digest = run("sha256sum", other / "catalog/data.mdb").stdout.split()[0]
        resign(other, lambda t: t.replace(manifest(self.copy)["catalog/data.mdb"][0], digest))
        for command in (("backup", "verify"), ("restore",)):
            words = self.place.refused(*command, other, store=temporary() / "store")
            self.assertIn("its format is 99", words)
            self.assertIn("use the newer program", words)

    def test_keep(self):
        place, folder = Place(revisions=0), temporary() / "many"
        self.assertEqual(place.run("backup", folder, "--keep", "0").returncode, 2)
        self.assertEqual(place.run("backup", folder, "--keep", "x").returncode, 2)
        self.assertFalse(folder.exists())
        place("backup", folder, "--keep", "2")
        made = next(folder.iterdir())
        self.assertRegex(made.name, r"^wsus-\d{8}T\d{6}Z$")
        old = [f"wsus-202001{day:02}T000000Z" for day in range(1, 5)]
        for name in old:
            shutil.copytree(made, folder / name)
        (folder / old[3] / "manifest").unlink()
        foreign = folder / "wsus-20190101T000000Z"
        shutil.copytree(self.copy, foreign)
        (folder / "notes").write_text("mine")
        shutil.rmtree(made)
        # nothing is removed by one that fails
        (place.store / "catalog/data.mdb").rename(place.state / "away")
        place.refused("backup", folder, "--keep", "2")
        (place.state / "away").rename(place.store / "catalog/data.mdb")
        self.assertEqual(len(list(folder.iterdir())), 6)
        new = pathlib.Path(place.json("backup", folder, "--keep", "2")["path"])
        self.assertEqual({p.name for p in folder.iterdir()}, {"notes", foreign.name, old[2], new.name},
                         "two of this server; another's and strange files stay")
        rows = place.json("backup", "list", folder)
        self.assertEqual([r["path"] for r in rows], [str(folder / n) for n in (foreign.name, old[2], new.name)])
        self.assertEqual(rows[2]["generation"], 1)
        self.assertIn(new.name, place("backup", "verify", folder).stdout)

    def test_killed_at_any_moment(self):
        folder = temporary() / "many"
        command = [str(c) for c in (CTL, "--store", self.place.store, "backup", folder, "--keep", "3")]
        began = time.monotonic()
        run(*command)
        usual = time.monotonic() - began
        next(folder.iterdir()).rename(folder / "wsus-20200101T000000Z")
        generator = random.Random(20261122)
        killed = 0
        for i in range(10):
            killed += is_killed(command, usual * generator.uniform(i, i + 1) / 10)
            for path in folder.glob("wsus-*"):
                self.place("backup", "verify", path)
                if path.name > "wsus-2021":  # names are of the second
                    path.rename(folder / f"wsus-202001{i + 1:02}T000000Z")
        self.assertGreater(killed, 0)
        self.place("backup", folder, "--keep", "1")
        self.assertEqual(len(list(folder.iterdir())), 1, "nothing is left of those that were killed")

    @unittest.skipUnless(os.geteuid() == 0, "needs a small file system of its own")
    def test_a_full_disk_leaves_nothing(self):
        disk = temporary()
        if run("mount", "-t", "tmpfs", "-o", "size=6m,mode=755", "tmpfs", disk, check=False).returncode != 0:
            self.skipTest("mounting is not permitted here")
        self.addCleanup(run, "umount", "-l", disk, check=False)
        filler = disk / "filler"
        filler.write_bytes(bytes(4 << 20))
        for more in ((), ("--keep", "2")):
            words = self.place.refused("backup", disk / "copy", *more)
            self.assertRegex(words, "no space: .* are free on this disk, .* are needed")
            self.assertEqual([p for p in disk.rglob("*") if p.is_file()], [filler])
        filler.unlink()
        self.place("backup", disk / "copy")


class Restore(unittest.TestCase):
    def stat(self, place):
        stat = place.json("store", "stat")
        return stat["server_id"], stat["generation"], stat["revisions"]

    def test_over_a_store_that_is_kept_beside(self):
        place = Place()
        copy = place.state / "copy"
        place("backup", copy)
        server, _, revisions = self.stat(place)
        place("group", "create", "Later")
        for generation in (2, 3, 4):
            self.assertIn("replaced", place("restore", copy).stdout)
            self.assertEqual(self.stat(place), (server, generation, revisions), "each time a generation that never was")
            self.assertNotIn("Later", place("group", "list").stdout)
            self.assertEqual(place.json("store", "history")[-1]["what"], f"restore {copy}")
            place("store", "audit")
        kept = temporary() / "kept"
        shutil.copytree(place.store / "replaced", kept)
        self.assertEqual(json.loads(run(CTL, "--store", kept, "store", "stat", "--json").stdout)["generation"], 3)
        # adopted since, and unreadable now: the file beside it still knows
        place("store", "adopt")
        (place.store / "catalog/data.mdb").write_bytes(b"words " * 9000)
        place("restore", copy)
        self.assertEqual(self.stat(place), (server, 6, revisions))

    def test_over_any_damage(self):
        place = Place()
        copy = place.state / "copy"
        place("backup", copy)
        generator = random.Random(4)
        data = place.store / "catalog/data.mdb"
        for i in range(12):
            good = bytearray(data.read_bytes())
            if i == 0:
                del good[8192:]
            elif i == 1:
                good.clear()
            else:
                for _ in range(1 << i):
                    good[generator.randrange(len(good))] ^= 1 << generator.randrange(8)
            data.write_bytes(good)
            generation = int((place.store / "identity").read_text().split()[1])
            place("restore", copy)
            place("store", "audit")
            self.assertGreater(self.stat(place)[1], generation)

    def test_keys_and_configuration_that_are_missing_come_back(self):
        place = Place(revisions=0)
        copy = place.state / "copy"
        master = (place.keys / "master").read_bytes()
        place("backup", copy)
        (place.keys / "master").unlink()
        shutil.rmtree(place.tls)
        place.configure("workers = 3")
        newer = place.conf.read_text()
        said = place("restore", copy).stdout
        self.assertIn(f"{place.keys}/master: brought back", said)
        self.assertIn(f"{place.tls}/server.key: brought back", said)
        self.assertIn(f"{place.conf}: stays as it is", said)
        self.assertEqual(((place.tls / "server.key").read_text(), (place.tls / "server.key").stat().st_mode & 0o777), ("a key\n", 0o600))
        self.assertEqual((place.keys / "master").read_bytes(), master)
        self.assertEqual((place.keys / "master").stat().st_mode, (copy / "keys/master").stat().st_mode)
        self.assertEqual(place.conf.read_text(), newer)
        self.assertNotIn("brought back", place("restore", copy).stdout)
        self.assertEqual(place.json("restore", copy), {"store": str(place.store), "generation": 4, "path": str(copy),
                                                       "replaced": f"{place.store}/replaced"})

    @unittest.skipUnless(os.geteuid() == 0, "needs a mount namespace")
    def test_on_a_bare_machine_all_goes_where_the_configuration_says_that_was_in_the_backup(self):
        place = Place(revisions=0)
        copy, outcome = place.state / "copy", temporary()
        place.conf = place.etc / "wsus.conf"
        place.configure()
        place("backup", copy)
        moved = {p: p.rename(place.state / f"moved-{p.name}") for p in (place.store, place.keys, place.tls)}
        script = f"""
            mount -t tmpfs tmpfs /etc && mount -t tmpfs tmpfs /var/lib || exit 77
            unset WSUS_CONF WSUS_STORE
            {CTL} restore {copy} && {CTL} store stat && {CTL} config get keys && cp /etc/wsus-fcgi/wsus.conf {outcome}"""
        done = run("unshare", "--mount", "sh", "-c", script, check=False, cwd=temporary())
        if done.returncode == 77:
            self.skipTest("mounting is not permitted here")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("/etc/wsus-fcgi/wsus.conf: brought back", done.stdout)
        self.assertIn(f"{place.store}: restored as a new generation", done.stdout)
        self.assertEqual((outcome / "wsus.conf").read_text(), (copy / "etc/wsus.conf").read_text())
        for path, name in ((place.keys, "master"), (place.tls, "server.key")):
            self.assertEqual((path / name).read_bytes(), (moved[path] / name).read_bytes())

    def test_killed_at_any_moment_over_a_store(self):
        place = Place()
        copy = place.state / "copy"
        place("backup", copy)
        command = [str(c) for c in (CTL, "--store", place.store, "restore", copy)]
        began = time.monotonic()
        run(*command)
        usual = time.monotonic() - began
        generator = random.Random(20261122)
        killed = 0
        for i in range(16):
            before = int((place.store / "identity").read_text().split()[1])
            killed += is_killed(command, usual * generator.uniform(i, i + 1) / 16)
            if (place.store / "catalog").exists():
                place("store", "audit")
            else:
                self.assertIn("no store", place.refused("store", "stat"))
            place("restore", copy)
            place("store", "audit")
            self.assertGreater(self.stat(place)[1], before)
            self.assertEqual(sorted(p.name for p in place.store.iterdir()), ["catalog", "fleet", "identity", "replaced"])
        self.assertGreater(killed, 0)

    def test_refused_while_services_run_then_clients_renumber(self):
        with Instance("sample") as server:
            state, copy = temporary() / "probe", temporary() / "copy"
            probe = [ROOT / "bin/wsus-probe", f"http://127.0.0.1:{server.port}", "--json", "--state", state]
            server.ctl("backup", copy)
            update = next(r for r in server.ctl_json("update", "list", "--type", "software") if r["state"] == "offered")["id"]
            server.ctl("decline", update)
            known = json.loads(run(*probe).stdout)["updates"]["known"]
            before = server.ctl_json("store", "stat")
            refused = server.ctl("restore", copy, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertRegex(refused.stderr, r"in use by process \d+ \(wsus-\w+\); stop the services")
            self.assertTrue(server.answers())
            server.stop()
            server.ctl("restore", copy)
            self.assertEqual(server.ctl_json("store", "stat")["server_id"], before["server_id"])
            server.catalog = None
            server.start()
            done = run(*probe)
            self.assertIn("ServerChanged", done.stderr)
            answer = json.loads(done.stdout)
            self.assertIn("refresh", [s["name"] for s in answer["steps"]])
            self.assertEqual((answer["ok"], answer["problem_count"]), (True, 0))
            self.assertEqual(answer["updates"]["known"], known + answer["updates"]["new"])
            self.assertGreater(answer["updates"]["new"], 0, "what was declined is offered again")
            fresh = json.loads(run(*probe[:3]).stdout)
            self.assertEqual(fresh["updates"]["known"], answer["updates"]["known"], "the set of a fresh computer")


if __name__ == "__main__":
    unittest.main()
