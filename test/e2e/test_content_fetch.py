"""test_content_fetch.py -- the job that fetches content: from a parent with every habit, from the vendor's addresses, and killed at any moment.

The parent is parent.py, which judges what it is asked.  The child is a store and the program alone: no service is needed."""
import hashlib
import os
import random
import signal
import subprocess
import time
import unittest

import harness
from downstream import Document
from harness import ROOT, run, temporary
from parent import Parent, document, number

DELAY = "20"  # milliseconds before the second try, for WSUS_SYNC_DELAY_MS: all others are multiples of it


def sha1(body):
    return hashlib.sha1(body).digest()


def body(size, seed=0):
    return random.Random(f"{size} {seed}").randbytes(size)


class Child:
    """A store that takes its content from a parent."""

    def __init__(self, parent, documents, case, **settings):
        self.dir = temporary("wsus-fetch-")
        self.store, self.content, self.parent = self.dir / "store", self.dir / "content", parent
        self.ctl("store", "create")
        for name, value in {"upstream.url": parent.url, "content.spare": "0", **settings}.items():
            self.ctl("config", "set", name.replace("_", "."), value)
        (self.dir / "updates").mkdir()
        for i, text in enumerate(documents):
            (self.dir / "updates" / f"{i}.xml").write_text(text, encoding="utf-8")
        if documents:
            self.ctl("update", "import", self.dir / "updates")
        self.case = case

    def ctl(self, *arguments, **kw):
        return run(ROOT / "bin/wsusctl", "--store", self.store, *arguments, **kw)

    def json(self, *arguments):
        import json
        return json.loads(self.ctl(*arguments, "--json").stdout)

    def approve(self, *updates, action="install"):
        for u in updates:
            self.ctl("approve", u, "--group", "all", "--action", action, "--no-content")

    def command(self, *options):
        return [str(ROOT / "bin/wsus-sync"), "content", "--store", str(self.store), "--content", str(self.content), *options]

    def environment(self):
        return {**os.environ, "WSUS_SYNC_DELAY_MS": DELAY}

    def fetch(self, *options, status=0):
        done = run(*self.command(*options), check=False, env=self.environment(), timeout=60)
        self.case.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def begin(self, *options):
        return subprocess.Popen(self.command("--quiet", *options), env=self.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def path(self, data):
        name = sha1(data).hex().upper()
        return self.content / name[-2:] / name

    def part(self, data):
        return self.content / ".partial" / sha1(data).hex().upper()

    def status(self):
        return self.json("content", "status")

    def assert_has(self, *files):
        for data in files:
            self.case.assertTrue(self.path(data).is_file(), f"{sha1(data).hex()} is not there")
            self.case.assertEqual(self.path(data).read_bytes(), data)
            self.case.assertEqual(self.path(data).stat().st_mode & 0o7777, 0o644)

    def assert_clean(self):
        """Nothing is half there: each name holds what its digest says, and the store is sound."""
        for path in self.content.glob("??/*"):
            self.case.assertEqual(hashlib.sha1(path.read_bytes()).hexdigest().upper(), path.name)
        self.case.assertEqual(self.ctl("store", "audit").returncode, 0)

    def parts(self):
        return sorted(p.name for p in (self.content / ".partial").iterdir())

    def approvals(self, update):
        return {a["state"] for a in self.json("update", "show", update)["approvals"]}


class Fetch(unittest.TestCase):
    def parent(self, files, more=(), **kw):
        """A parent that has these files, in one document each."""
        docs = [document(number(100 + i), files=[(f"File {i}.cab", f, "")]) for i, f in enumerate(files)] + list(more)
        server = Parent({Document(text).key: text for text in docs}, **kw)
        self.addCleanup(server.stop)
        server.content = {sha1(f): f for f in files}
        return server, docs

    def pair(self, files, approve=None, more=(), **settings):
        server, docs = self.parent(files, more)
        child = Child(server, docs, self, **settings)
        child.approve(*(number(100 + i) for i in (range(len(files)) if approve is None else approve)))
        return server, child

    # holds: WSUSSS-DSS-CONTENT-02 WSUSSS-DSS-CONTENT-05 WSUSSS-DSS-CONTENT-11
    def test_what_is_approved_comes_small_files_first_and_the_approval_takes_effect(self):
        files = [body(300_000), body(10), body(70_000), b"", body(5_000)]
        server, child = self.pair(files, approve=(0, 1, 2, 3), **{"upstream.connections": "1"})
        self.assertEqual(child.status()["needed_files"], 4)
        said = child.fetch()
        child.assert_has(*files[:4])
        self.assertFalse(child.path(files[4]).exists())
        names = [f"/Content/{sha1(f).hex().upper()[-2:]}/{sha1(f).hex().upper()}.cab" for f in (files[1], files[2], files[0])]
        self.assertEqual([path for path, _, _ in server.gets], names)
        self.assertEqual(child.approvals(number(100)), {"approved"})
        self.assertEqual((child.status()["needed_files"], child.status()["stored"]), (0, 4))
        self.assertEqual(child.parts(), [])
        self.assertEqual(int(child.path(files[0]).stat().st_mtime), 1609459200, "its time is the metadata's")
        self.assertIn("4 files fetched", said)
        child.assert_clean()
        server.gets.clear()
        child.fetch()
        self.assertEqual(server.gets, [])
        server.assert_well_behaved(self)

    def test_the_names_of_downstream_servers_and_wanted_marks_follow(self):
        files = [body(1000)]
        _, child = self.pair(files)
        child.fetch()
        name = sha1(files[0]).hex().upper()
        link = child.content / "names" / name[-2:] / "file 0.cab"
        self.assertEqual(os.readlink(link), name)

    # holds: WSUSSS-DSS-CONTENT-09
    def test_a_cut_transfer_goes_on_where_it_stopped(self):
        files = [body(400_000)]
        server, child = self.pair(files)
        server.on("content", cut=150_000)
        server.on("content", cut=100_000, reset=True)
        child.fetch()
        child.assert_has(*files)
        ranges = [r for _, r, _ in server.gets]
        self.assertIsNone(ranges[0])
        for r in ranges[1:]:
            self.assertRegex(r, r"bytes=[1-9]\d+-")
        server.assert_well_behaved(self)

    def test_a_server_without_ranges_sends_all_of_it_again(self):
        files = [body(400_000)]
        server, child = self.pair(files)
        server.on("content", cut=150_000)
        whole = files[0]
        get = server._get
        self.assertIsNotNone(get)

        def without(handler):
            del handler.headers["Range"]
            get(handler)
        server._get = without
        child.fetch()
        child.assert_has(whole)

    def test_parts_that_cannot_be_right_are_begun_anew(self):
        files = [body(100_000, i) for i in range(4)]
        server, child = self.pair(files)
        (child.content / ".partial").mkdir(parents=True)
        child.part(files[0]).write_bytes(files[0][:50_000])           # right: goes on
        child.part(files[1]).write_bytes(b"x" * 50_000)               # wrong bytes: found in the end
        child.part(files[2]).write_bytes(files[2] + b"more")          # too long
        child.part(files[3]).write_bytes(files[3])                    # whole: nothing is asked
        child.part(b"nobody's").write_bytes(b"a file that nobody needs")
        child.fetch(status=1)  # the wrong one is discarded, and tried again later
        child.assert_has(files[0], files[2], files[3])
        child.fetch("--retry")
        child.assert_has(*files)
        asked = {path.split("/")[-1][:40]: r for path, r, _ in server.gets}
        self.assertEqual(asked[sha1(files[0]).hex().upper()], "bytes=50000-")
        self.assertIsNone(asked[sha1(files[2]).hex().upper()])
        self.assertNotIn(sha1(files[3]).hex().upper(), asked)
        self.assertEqual(child.parts(), [])
        child.assert_clean()

    # holds: WSUSSS-DSS-CONTENT-11 WSUSSS-DSS-CONTENT-13 WSUSSS-DOWNLOADFILES-10
    def test_wrong_bytes_are_never_there_and_count_as_an_error_of_the_server(self):
        files = [body(50_000), body(60_000)]
        server, child = self.pair(files)
        server.content[sha1(files[0])] = files[0][:-1] + b"!"
        said = child.fetch(status=1)
        self.assertIn("SHA-1", said)
        child.assert_has(files[1])
        self.assertFalse(child.path(files[0]).exists())
        child.assert_clean()
        status = child.status()
        self.assertEqual(status["failed"], 1)
        row, = status["trouble"]
        self.assertEqual((row["sha1"], row["state"], row["tries"]), (sha1(files[0]).hex().upper(), "failed", 1))
        self.assertIn("SHA-1", row["why"])
        self.assertIn("approved, waiting for 1 file", child.ctl("update", "show", number(100)).stdout)
        server.gets.clear()
        child.fetch()
        self.assertEqual(server.gets, [], "it is tried again later, not now")
        server.content[sha1(files[0])] = files[0]
        child.fetch("--retry")
        child.assert_has(*files)
        self.assertEqual(child.status()["failed"], 0)

    def test_answers_of_another_size_or_place_are_refused(self):
        files = [body(50_000)]
        for change in (lambda b: b + b"more", lambda b: b[:-1], lambda b: b"<html>an error that says 200</html>"):
            server, child = self.pair(files)
            server.on("content", times=-1, change=change)
            child.fetch(status=1)
            self.assertFalse(child.path(files[0]).exists())
            server.calm()
            child.fetch("--retry")
            child.assert_has(*files)
        server, child = self.pair(files)
        (child.content / ".partial").mkdir(parents=True)
        child.part(files[0]).write_bytes(files[0][:1000])
        server.on("content", headers={"Content-Range": f"bytes 2000-49999/{len(files[0])}"})
        child.fetch(status=1)
        child.fetch("--retry")
        child.assert_has(*files)

    # holds: WSUSSS-DSS-CONTENT-07 WSUSSS-DSS-CONTENT-08 WSUSSS-DOWNLOADFILES-02
    def test_what_the_parent_lacks_it_is_asked_for_and_fetches(self):
        files = [body(1000 + i) for i in range(120)]
        server, child = self.pair(files, approve=())
        child.ctl("config", "set", "content.download", "all")
        server.obtains = dict(server.content)
        server.content = {sha1(files[0]): files[0]}
        child.fetch()
        child.assert_has(*files)
        self.assertEqual(sorted(server.wanted), sorted(sha1(f) for f in files[1:]))
        calls = server.calls("DownloadFiles")
        self.assertLessEqual(max(len(c.fields["fileDigestList"]["base64Binary"]) for c in calls), 100)
        self.assertLess(len(calls), 20)
        self.assertEqual(child.status()["needed_files"], 0)
        server.assert_well_behaved(self)

    # holds: WSUSSS-FAULT-14 WSUSSS-FAULT-18 WSUSSS-DOWNLOADFILES-14
    def test_faults_of_downloadfiles_begin_with_authorization_again(self):
        for code in ("FileDigestsMissing", "InvalidCookie", "InvalidAuthorizationCookie"):
            with self.subTest(code):
                files = [body(1000), body(2000)]
                server, child = self.pair(files)
                server.obtains = dict(server.content)
                server.content = {}
                before = len(server.calls("GetAuthConfig"))
                server.on("DownloadFiles", fault=code)
                child.fetch()
                child.assert_has(*files)
                names = [c.operation for c in server.calls()]
                asked = [i for i, name in enumerate(names) if name == "DownloadFiles"]
                self.assertEqual(len(asked), 2)
                self.assertIn("GetAuthConfig", names[asked[0]:asked[1]])
                self.assertIn("GetCookie", names[asked[0]:asked[1]])
                self.assertGreater(len(server.calls("GetAuthConfig")), before)
                server.assert_well_behaved(self)

    def test_what_the_parent_is_still_fetching_is_no_error_and_tried_again_later(self):
        files = [body(1000), body(2000)]
        server, child = self.pair(files)
        del server.content[sha1(files[0])]
        said = child.fetch()
        child.assert_has(files[1])
        self.assertIn("1 asked of the server above", said)
        row, = child.status()["trouble"]
        self.assertEqual(row["state"], "the server above fetches it")
        self.assertGreater(len(server.gets), 5, "it was looked for with growing delays")
        server.content[sha1(files[0])] = files[0]
        child.fetch("--retry")
        child.assert_has(*files)
        server.assert_well_behaved(self)

    # holds: WSUSSS-DSS-CONTENT-10
    def test_what_the_parent_cannot_provide_comes_from_the_vendor(self):
        files = [body(1000), body(2000), body(3000)]
        server, child = self.pair(files)
        for f in files[:2]:
            name = sha1(f).hex()
            server.elsewhere[f"/vendor/{name}.cab"] = f
            child.ctl("content", "url", name, f"{server.url}/vendor/{name}.cab")
        del server.content[sha1(files[0])]
        server.content[sha1(files[1])] = b"x" * 2000
        server.login = None
        child.fetch()
        child.assert_has(*files)
        self.assertEqual(child.status()["needed_files"], 0)

    def test_unknown_digests_are_told_apart_and_the_others_come(self):
        files = [body(1000 + i) for i in range(12)]
        server, child = self.pair(files)
        server.obtains, server.content = dict(server.content), {}
        gone = {sha1(files[3]), sha1(files[8])}
        for item in server.items.values():
            item.files = [d for d in item.files if d not in gone]
        said = child.fetch(status=1)
        child.assert_has(*(f for f in files if sha1(f) not in gone))
        self.assertIn("knows no such file", said)
        self.assertEqual({r["sha1"].lower() for r in child.status()["trouble"]}, {d.hex() for d in gone})
        self.assertEqual(len(server.calls("GetCookie")), 2, "authorized anew, once")

    def test_trouble_that_passes_is_waited_for(self):
        files = [body(1000, i) for i in range(6)]
        server, child = self.pair(files)
        server.on("content", status=503)
        server.on("content", drop=True)
        server.on("content", status=500)
        server.on("content", status=429, headers={"Retry-After": "1"})
        child.fetch()
        child.assert_has(*files)

    def test_refusals_and_redirects_are_told_and_not_followed(self):
        files = [body(1000)]
        for what, words in (({"status": 403}, "403"), ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, "redirect"),
                            ({"status": 401}, "login"), ({"status": 204, "body": b""}, "204")):
            with self.subTest(words):
                server, child = self.pair(files)
                server.on("content", times=-1, **what)
                self.assertIn(words, child.fetch(status=1))
                self.assertFalse(child.path(files[0]).exists())
                self.assertEqual(len(server.gets), 1)

    def test_a_parent_that_is_not_there_ends_the_job_with_words_and_marks_nothing_as_failed(self):
        files = [body(1000, i) for i in range(40)]
        server, child = self.pair(files[:1], approve=())
        for i in range(1, 40):
            (child.dir / "updates" / f"{i}.xml").write_text(document(number(100 + i), files=[(f"{i}.cab", files[i], "")]), encoding="utf-8")
        child.ctl("update", "import", child.dir / "updates")
        child.ctl("config", "set", "content.download", "all")
        server.stop()
        said = child.fetch(status=1)
        self.assertIn("does not answer", said)
        self.assertLess(child.status()["failed"], 40)

    # holds: WSUSSS-DSS-CONTENT-01
    def test_with_content_at_the_vendors_nothing_is_fetched(self):
        server, child = self.pair([body(1000)])
        child.ctl("config", "set", "content.store", "microsoft")
        child.fetch()
        self.assertEqual(server.gets, [])

    # holds: WSUSSS-DSS-CONTENT-06
    def test_of_a_parent_without_content_files_come_from_the_vendor_who_is_told_no_secret(self):
        files = [body(30_000), body(40_000)]
        server, docs = self.parent(files)
        vendor = Parent()
        self.addCleanup(vendor.stop)
        server.catalog_only, server.login = True, "child:secret"
        for f in files:
            vendor.elsewhere[f"/c/{sha1(f).hex()}.cab"] = f
            server.urls[sha1(f)] = f"{vendor.url}/c/{sha1(f).hex()}.cab"
        seen, get = [], vendor._get

        def watched(handler):
            seen.append({n.lower(): v for n, v in handler.headers.items()})
            get(handler)
        vendor._get = watched
        child = Child(server, [], self, **{"sync.filter": "all"})
        (child.dir / "login").write_text("child:secret\n")
        (child.dir / "login").chmod(0o600)
        child.ctl("config", "set", "upstream.login", child.dir / "login")
        done = run(ROOT / "bin/wsus-sync", "run", "--no-content", "--store", child.store, "--content", child.content, check=False,
                   env=child.environment(), timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        child.approve(number(100), number(101))
        child.fetch()
        child.assert_has(*files)
        self.assertEqual([p for p, _, _ in server.gets], [], "its /Content is not asked")
        self.assertEqual(server.calls("DownloadFiles"), [])
        self.assertEqual(len(seen), 2)
        for headers in seen:
            self.assertNotIn("authorization", headers)
        server.assert_well_behaved(self)

    # holds: WSUSSS-DSS-CONTENT-12
    def test_a_synchronization_is_followed_by_the_files_of_what_is_approved(self):
        files = [body(30_000), body(40_000)]
        server, _ = self.parent(files)
        child = Child(server, [], self, **{"sync.filter": "all", "content.download": "all"})
        done = run(ROOT / "bin/wsus-sync", "run", "--store", child.store, "--content", child.content, check=False,
                   env=child.environment(), timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        harness.wait_for(lambda: child.status()["stored"] == 2, what="the files")
        harness.wait_for(lambda: "job_pid" not in child.status(), what="the job's end")
        child.assert_has(*files)
        server.assert_well_behaved(self)

    # ---- begun by commands ----

    def test_an_approval_says_how_much_is_missing_and_begins_to_fetch_it(self):
        files = [body(2_000_000), body(3_000_000)]
        server, child = self.pair(files, approve=())
        said = child.ctl("approve", number(100), "--group", "all").stdout
        self.assertRegex(said, r"1 file, 2(\.0)? MB, to be fetched: it is under way")
        harness.wait_for(lambda: child.status()["needed_files"] == 0, what="the file")
        child.assert_has(files[0])
        harness.wait_for(lambda: "job_pid" not in child.status(), what="the job's end")
        self.assertEqual(child.approvals(number(100)), {"approved"})
        said = child.ctl("approve", number(101), "--group", "all", "--no-content").stdout
        self.assertRegex(said, r"1 file, 3(\.0)? MB, to be fetched, about .*: `wsusctl content fetch`")
        self.assertEqual(child.status()["needed_files"], 1)
        self.assertNotIn("fetched", child.ctl("approve", number(100), "--group", "all").stdout)
        done = child.ctl("content", "fetch")
        self.assertIn("1 file fetched", done.stdout)
        child.assert_has(*files)
        child.ctl("config", "set", "upstream.url", "")
        self.assertIn("no server above", child.ctl("content", "fetch").stdout)

    # ---- room ----

    def test_a_quota_lets_come_what_fits_and_says_what_is_missing(self):
        files = [body(300_000), body(600_000), body(900_000)]
        _, child = self.pair(files, **{"content.quota": "1"})
        said = child.fetch(status=1)
        child.assert_has(*files[:2])
        self.assertFalse(child.path(files[2]).exists())
        self.assertRegex(said, r"1 file, 900 [kK]B, beyond content\.quota")
        child.ctl("config", "set", "content.quota", "2")
        child.fetch()
        child.assert_has(*files)

    def test_free_space_is_looked_at_before_it_begins(self):
        files = [body(1000)]
        server, child = self.pair(files, **{"content.spare": "1000000000"})
        self.assertIn("content.spare", child.fetch(status=1))
        self.assertEqual(server.gets, [])
        self.assertFalse(child.path(files[0]).exists())

    # ---- one at a time, stopped, killed ----

    def test_a_second_job_says_who_runs_and_leaves(self):
        files = [body(400_000)]
        server, child = self.pair(files)
        server.on("content", slow=(20_000, 0.05))
        first = child.begin()
        harness.wait_for(lambda: server.gets, what="the first job's GET")
        second = run(*child.command(), check=False, env=child.environment())
        self.assertEqual(second.returncode, 75)
        self.assertIn(str(first.pid), second.stdout + second.stderr)
        status = child.status()
        self.assertEqual(status["job_pid"], first.pid)
        self.assertEqual(first.wait(60), 0)
        first.stderr.close()
        child.assert_has(*files)

    def test_a_job_that_is_told_to_stop_stops_and_goes_on_the_next_time(self):
        files = [body(400_000)]
        server, child = self.pair(files)
        server.on("content", slow=(20_000, 0.05))
        job = child.begin()
        harness.wait_for(lambda: child.part(files[0]).exists() and child.part(files[0]).stat().st_size > 20_000, what="some bytes")
        job.send_signal(signal.SIGTERM)
        self.assertEqual(job.wait(20), 4)
        job.stderr.close()
        self.assertFalse(child.path(files[0]).exists())
        self.assertEqual(child.part(files[0]).stat().st_mode & 0o7777, 0o600)
        child.fetch()
        child.assert_has(*files)
        self.assertRegex(server.gets[-1][1], r"bytes=[1-9]\d+-")

    def test_killed_at_any_moment_it_goes_on_and_ends_complete(self):
        files = [body(20_000 + 7_000 * i) for i in range(24)]
        server, child = self.pair(files)
        server.on("content", times=-1, slow=(30_000, 0.002))
        rng = random.Random(os.environ.get("WSUS_SEED", "5"))
        killed = ended = 0
        longest = 0.25  # less on a machine on which jobs end before
        while killed < 40 and ended < 400:
            job = child.begin("--retry")
            time.sleep(rng.uniform(0, longest))
            job.kill()
            if job.wait(20) == -signal.SIGKILL:
                killed += 1
            else:
                ended += 1
                longest *= 0.9
                for path in child.content.glob("??/*"):  # all was there: it begins anew
                    path.unlink()
                child.ctl("content", "verify", check=False)
            job.stderr.close()
            for path in child.content.glob("??/*"):
                self.assertEqual(hashlib.sha1(path.read_bytes()).hexdigest().upper(), path.name)
        child.fetch("--retry")
        child.assert_has(*files)
        child.assert_clean()
        self.assertEqual((child.status()["needed_files"], child.parts()), (0, []))
        links = {p.name for p in child.content.glob("names/*/*")}
        self.assertEqual(links, {f"file {i}.cab" for i in range(len(files))}, "names that a killed run did not make are made")
        print(f"content: killed {killed} times, ended {ended} times before")
        self.assertEqual(killed, 40)


class Chain(unittest.TestCase):
    """Three servers, the one in the middle a real one with all its services: what the last one lacks, the first one has."""

    @classmethod
    def setUpClass(cls):
        cls.files = [body(50_000), body(60_000), body(900_000)]
        cls.docs = [document(number(100 + i), files=[(f"File {i}.cab", f, "")]) for i, f in enumerate(cls.files)]
        cls.top = Parent({Document(text).key: text for text in cls.docs})
        cls.addClassCleanup(cls.top.stop)
        cls.top.content = {sha1(f): f for f in cls.files}
        cls.mid = harness.Instance("none")
        os.environ["WSUS_SYNC_DELAY_MS"] = DELAY  # for the job that its bell starts
        try:
            cls.mid.start()
        finally:
            del os.environ["WSUS_SYNC_DELAY_MS"]
        cls.addClassCleanup(cls.mid.stop)
        for name, value in (("upstream.url", cls.top.url), ("content.spare", "0"), ("downstream.admission", "open")):
            cls.mid.ctl("config", "set", name, value)
        folder = temporary("wsus-docs-")
        for i, text in enumerate(cls.docs):
            (folder / f"{i}.xml").write_text(text, encoding="utf-8")
        cls.mid.ctl("update", "import", folder)
        cls.mid.url = f"http://127.0.0.1:{cls.mid.port}"

    def fetch_mid(self):
        return run(ROOT / "bin/wsus-sync", "content", "--store", self.mid.state / "store", "--content", self.mid.state / "content",
                   check=False, env={**os.environ, "WSUS_SYNC_DELAY_MS": DELAY}, timeout=60)

    # holds: WSUSSS-DSS-CONTENT-05 WSUSSS-DSS-CONTENT-07 WSUSSS-DSS-CONTENT-08 WSUSSS-DOWNLOADFILES-08 WSUSSS-DOWNLOADFILES-13
    def test_what_a_downstream_server_asks_for_is_fetched_from_above_and_reaches_it(self):
        child = Child(self.mid, self.docs, self)
        child.approve(number(100), number(101))
        bell = self.mid.state / "store/fleet/content.bell"
        bell.unlink(missing_ok=True)
        job = subprocess.Popen(child.command(), env={**os.environ, "WSUS_SYNC_DELAY_MS": "300"}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        harness.wait_for(bell.exists, what="the bell")
        harness.wait_for(lambda: self.fetch_mid().returncode == 0 and all(
            (self.mid.state / "content" / sha1(f).hex().upper()[-2:] / sha1(f).hex().upper()).exists() for f in self.files[:2]),
            what="the files in the middle")
        said, _ = job.communicate(timeout=90)
        self.assertEqual(job.returncode, 0, said)
        child.assert_has(*self.files[:2])
        self.assertEqual(self.mid.ctl_json("content", "wanted"), [])
        self.assertFalse(child.path(self.files[2]).exists())
        child.assert_clean()
        self.top.assert_well_behaved(self)

    # holds: WSUSSS-DOWNLOADFILES-09
    def test_what_cannot_be_fetched_above_is_no_fault_below(self):
        child = Child(self.mid, self.docs, self)
        child.approve(number(102))
        self.top.on("content", times=-1, status=404)
        obtains = self.top.obtains
        self.top.content.pop(sha1(self.files[2]))
        said = child.fetch()
        self.assertIn("1 asked of the server above", said)
        self.assertEqual(child.status()["trouble"][0]["state"], "the server above fetches it")
        self.assertEqual(len(self.mid.ctl_json("content", "wanted")), 1)
        self.assertIn(self.fetch_mid().returncode, (0, 75))  # 75: its own watcher was the first
        self.assertEqual(child.fetch("--retry").count("1 asked"), 1)
        self.top.calm()
        self.top.content[sha1(self.files[2])] = self.files[2]
        self.assertEqual(obtains, {})
        name = sha1(self.files[2]).hex().upper()
        harness.wait_for(lambda: self.mid.ctl("content", "fetch", "--retry", check=False).returncode in (0, 75)
                         and (self.mid.state / "content" / name[-2:] / name).exists(), what="the file in the middle")
        child.fetch("--retry")
        child.assert_has(self.files[2])
        self.top.assert_well_behaved(self)


if __name__ == "__main__":
    unittest.main()
