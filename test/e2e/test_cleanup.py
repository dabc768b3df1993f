"""test_cleanup.py -- `wsusctl cleanup` removes what nobody needs, says before exactly what that is, and never what somebody needs."""
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import unittest

import harness
from harness import ROOT, run, temporary


def documents():
    return harness.sample("--revisions", "900", "--content")


class Cleanup(unittest.TestCase):
    def setUp(self):
        self.state = temporary()
        self.content = self.state / "content"
        self.ctl("store", "create", self.state / "store")
        self.ctl("update", "import", documents() / "updates")
        self.ctl("content", "add", documents() / "content")

    def ctl(self, *arguments, check=True, **kw):
        return run(ROOT / "bin/wsusctl", "--store", self.state / "store", *arguments, check=check, **kw)

    def json(self, *arguments):
        return json.loads(self.ctl(*arguments, "--json").stdout)

    def audit(self):
        self.assertIn("consistent", self.ctl("store", "audit").stdout)

    def on_disk(self):
        """Digest: size, of the content files."""
        return {p.name: p.stat().st_size for p in self.content.glob("[0-9A-F][0-9A-F]/*") if p.is_file() and len(p.name) == 40}

    def put(self, path, data=b"x", days=0):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o644)
        if days:
            then = path.stat().st_mtime - days * 86400
            os.utime(path, (then, then))

    def missing(self):
        """A file that an approval waits for and that is not here: its digest."""
        update, digest = self.approve_one_with_a_file()
        (self.content / digest[-2:] / digest).unlink()
        self.ctl("content", "verify", check=False)
        return digest

    def approve_one_with_a_file(self, but=()):
        for row in self.json("update", "list", "--type", "software"):
            files = self.json("update", "show", row["id"])["files"]
            digests = [f["sha1"].upper() for f in files if f.get("stored")]
            if digests and not self.json("update", "show", row["id"]).get("eula") and row["id"] not in but:
                self.ctl("approve", row["id"], "--group", "All Computers")
                return row["id"], digests[0]
        self.fail("no update has a file")

    def test_a_server_that_is_tidy_stays_as_it_is(self):
        before = self.on_disk()
        self.assertGreater(len(before), 10)
        report = self.json("cleanup", "--at-once")
        self.assertEqual((report["files"], report["kept_bytes"]), ([], sum(before.values())))
        self.assertEqual(self.on_disk(), before)
        self.assertEqual(self.ctl("cleanup", "--quiet").stdout, "")

    def test_what_no_update_names_goes_after_a_day(self):
        digest = hashlib.sha1(b"of no update").hexdigest().upper()
        self.put(self.content / digest[-2:] / digest, b"of no update")
        self.assertEqual(self.json("cleanup")["files"], [])
        said = self.json("cleanup", "--at-once", "--dry-run")["files"]
        self.assertEqual([(f["kind"], f["sha1"], f["bytes"], f["why"]) for f in said], [("file", digest, 12, "no update names it")])
        self.assertIn(digest, self.on_disk())
        self.assertEqual(self.json("cleanup", "--at-once")["files"], said)
        self.assertNotIn(digest, self.on_disk())
        self.assertRegex(self.ctl("store", "history").stdout, r"cleanup: 1 files of 12 bytes removed")

    def test_what_is_not_ours_stays(self):
        for name in ("00/readme.txt", "note", "00/" + "g" * 40, "00/" + "0" * 39):
            self.put(self.content / name)
        (self.content / "00" / ("0" * 40)).symlink_to("/etc/passwd")
        self.ctl("cleanup", "--at-once")
        self.assertTrue(all((self.content / name).exists() for name in ("00/readme.txt", "note", "00/" + "0" * 40)))

    def test_parts_stay_while_somebody_waits_for_them_and_bytes_come(self):
        needed, stranger = self.missing(), "0" * 40
        parts = self.content / ".partial"
        self.put(parts / needed)
        self.put(parts / stranger)
        self.put(parts / "names-due")
        said = self.json("cleanup")
        self.assertEqual([(f["kind"], f["sha1"], f["why"]) for f in said["files"]],
                         [("part", stranger, "nobody waits for this file any more")])
        self.assertEqual({p.name for p in parts.iterdir()}, {needed, "names-due"})
        self.put(parts / needed, days=29)
        self.assertEqual(self.json("cleanup")["removed_parts"], 0)
        self.put(parts / needed, days=31)
        self.assertEqual([f["why"] for f in self.json("cleanup")["files"]], ["no byte came for 30 days"])
        self.assertEqual({p.name for p in parts.iterdir()}, {"names-due"})

    def test_the_quota_is_kept_and_nothing_that_is_needed_goes(self):
        _, needed = self.approve_one_with_a_file()
        before = self.on_disk()
        self.ctl("config", "set", "content.quota", "1")  # MB
        said = self.json("cleanup", "--dry-run")
        self.assertEqual(self.on_disk(), before)
        done = self.json("cleanup")
        after = self.on_disk()
        self.assertEqual(done, said)
        self.assertEqual({f["sha1"] for f in said["files"]}, before.keys() - after.keys())
        self.assertEqual(done["kept_bytes"], sum(after.values()))
        self.assertIn(needed, after)
        if done["kept_bytes"] <= 1000000:  # and no more than that needs: one more file would be too many
            last = said["files"][-1]["bytes"]
            self.assertGreater(done["kept_bytes"] + last, 1000000)
        self.assertEqual(self.json("content", "status")["stored"], len(after))
        self.audit()

    def test_a_file_that_is_needed_through_a_bundle_stays_and_goes_when_it_is_unapproved(self):
        update, needed = self.approve_one_with_a_file()
        self.ctl("config", "set", "content.quota", "1")
        self.put(self.content / "big", b"")  # not ours, counts for nothing
        self.ctl("cleanup")
        kept = self.on_disk()
        self.assertIn(needed, kept)
        self.ctl("unapprove", update, "--group", "All Computers")
        self.ctl("cleanup")
        self.assertLessEqual(self.on_disk().keys(), kept.keys())
        self.audit()

    def test_with_all_files_wanted_none_goes_and_it_says_that_the_quota_is_too_small(self):
        before = self.on_disk()
        self.ctl("config", "set", "content.quota", "1")
        self.ctl("config", "set", "content.download", "all")
        self.ctl("config", "set", "content.express", "true")
        done = self.ctl("cleanup")
        self.assertEqual(self.on_disk(), before)
        self.assertIn("more than content.quota", done.stderr)

    def test_while_files_are_fetched_files_are_left_alone(self):
        digest = hashlib.sha1(b"of no update").hexdigest().upper()
        self.put(self.content / digest[-2:] / digest, b"of no update")
        lock = self.state / "store/content.lock"
        self.ctl("cleanup")  # makes the file that is locked
        self.assertTrue(lock.exists())
        with open(lock, "r+") as held:
            fcntl.lockf(held, fcntl.LOCK_EX)
            done = self.ctl("cleanup", "--at-once")
        self.assertIn("files are being fetched", done.stdout)
        self.assertIn(digest, self.on_disk())

    @unittest.skipUnless(shutil.which("strace"), "there is no strace")
    def test_a_kill_before_any_file_is_removed_leaves_no_file_that_computers_are_sent_to(self):
        self.ctl("config", "set", "content.quota", "1")
        said = {f["sha1"] for f in self.json("cleanup", "--dry-run")["files"]}
        self.assertGreater(len(said), 0)
        before = self.on_disk()
        tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=unlink", "-e", "inject=unlink:signal=KILL"]
        done = subprocess.run([*tracer, ROOT / "bin/wsusctl", "--store", self.state / "store", "cleanup"], capture_output=True)
        self.assertNotEqual(done.returncode, 0)
        self.audit()
        here = self.on_disk()
        self.assertGreaterEqual(len(here), len(before) - 1)
        self.assertEqual(self.json("content", "status")["stored"], len(before) - len(said))
        self.ctl("cleanup", "--at-once")
        self.assertEqual(self.on_disk().keys(), before.keys() - said)
        self.audit()


if __name__ == "__main__":
    unittest.main()
