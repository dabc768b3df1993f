"""test_sync_hostile.py -- synchronizations with parents that write oddly, answer with faults, cut their answers, lie, or are slow:
each ends with the parent's exact documents, or with words about what is wrong and with everything as it was."""
import collections
import datetime
import random
import signal
import threading
import time
import unittest

import harness
import parent
from child import Child
from downstream import SOAP12, Document
from harness import Computer, Instance
from parent import CLASSIFICATION, CODES, PRODUCT, Form, Parent, cabinet, document, number, small_catalog

DONE, FAILED, USAGE, CANCELLED, RUNS = 0, 1, 2, 4, 75
OPERATIONS = ("GetAuthConfig", "GetAuthorizationCookie", "GetCookie", "GetConfigData", "GetRevisionIdList", "GetUpdateData", "GetDeployments")
RESTART = ("InvalidCookie", "InvalidAuthorizationCookie")
HANDSHAKE = ["GetAuthConfig", "GetAuthorizationCookie", "GetCookie", "GetConfigData"]


def catalog(updates=3):
    """With everything that a document can make of itself on the wire: plain, packed, packed in several blocks, a bundle, a file."""
    rows = small_catalog(updates)
    for text in (document(number(5300), 1, size=4000), document(number(5300), 7, size=100_000), document(number(5301), 2, files=(("a.cab", b"x" * 99, ""),)),
                 document(number(5302), 3, members=[(number(100), 200), (number(5300), 1)]), document(number(1), 2, "Category", category_type="Product"),
                 document(number(4), 1, "Detectoid")):
        rows[Document(text).key] = text
    return rows


class Case(unittest.TestCase):
    maxDiff = 2000

    def exact(self, child, server, without=()):
        self.assertEqual(child.keys(), set(server.items) - set(without))
        texts = child.documents()
        for key, item in server.items.items():
            if key not in without:
                self.assertEqual(texts[key], item.text, key)
        server.assert_well_behaved(self)


class Forms(Case):
    """However an answer is written, it says the same."""

    def taken(self, server, **settings):
        child = Child(server, **settings)
        child.sync()
        self.exact(child, server)
        if settings.get("upstream_mode") == "replica":
            self.assertTrue(child.policy()[1])
        server.add(document(number(900)))
        child.sync()
        self.exact(child, server)
        child.audit()
        return child

    def some(self, **form):
        server = Parent(catalog(), form=Form(**form))
        self.addCleanup(server.stop)
        group = server.group("Pilots")
        server.deploy((number(100), 200), group)
        return server

    # holds: WSUSSS-TRANSPORT-13 WSUSSS-TRANSPORT-14 WSUSSS-TRANSPORT-31 WSUSSS-CONFIGDATA-14
    def test_envelopes(self):
        for form in ({"prefix": "s", "declaration": False, "order": True, "counter": False}, {"inner": "q"}, {"extras": True}, {"reverse": True},
                     {"white": True}, {"framing": "chunked"}, {"framing": "close"}, {"extras": True, "reverse": True, "white": True, "inner": "soap2"}):
            with self.subTest(form=form):
                self.taken(self.some(**form), upstream_mode="replica")

    # holds: WSUSSS-TRANSPORT-06 WSUSSS-TRANSPORT-07
    def test_soap_1_2(self):
        server = self.some()
        self.taken(server, upstream_soap="1.2", upstream_mode="replica")
        self.assertEqual({r.soap for r in server.calls()}, {SOAP12})

    # holds: WSUSSS-TRANSPORT-22 WSUSSS-TRANSPORT-24
    def test_codings(self):
        for coding in ("gzip", "xpress"):
            for framing in ("length", "chunked"):
                with self.subTest(coding=coding, framing=framing):
                    server = self.some(coding=coding, framing=framing)
                    self.taken(server)
                    self.assertTrue(all(coding in r.headers.get("Accept-Encoding", "") for r in server.calls()))

    # holds: WSUSSS-UPDATEDATA-11 WSUSSS-UPDATEDATA-12 WSUSSS-UPDATEDATA-13 WSUSSS-UPDATEDATA-14 WSUSSS-DSS-META-08
    def test_blobs(self):
        for pack in ("mszip", "lzx", "stored", None):
            for pack_from in (0, parent.PLAIN):
                with self.subTest(pack=pack, pack_from=pack_from):
                    server = self.some()
                    server.pack, server.pack_from = pack, pack_from
                    self.taken(server)
        for encoding in ("utf-8", "utf-16"):  # the latter with a byte order mark
            with self.subTest(encoding=encoding):
                server = self.some()
                for item in server.items.values():
                    item.blob = cabinet(item.text, "mszip", encoding)
                self.taken(server)

    # holds: WSUSSS-TRANSPORT-17 WSUSSS-REVLIST-28
    def test_guids_in_capitals_and_identities_twice(self):
        server = self.some()
        server.upper = server.twice = True
        self.taken(server)

    # holds: WSUSSS-UPDATEDATA-24
    def test_short_answers(self):
        for batch in (1, 2):
            server = self.some()
            server.batch = batch
            self.taken(server)
            self.assertEqual(set(server.delivered.values()), {1}, "nothing comes twice")

    # holds: WSUSSS-UPDATEDATA-02 WSUSSS-DSS-META-07 WSUSSS-DSS-META-15
    def test_the_limit_of_a_call(self):
        for limit in (1, 3, 100):
            with self.subTest(limit=limit):
                server = self.some()
                server.limit = limit
                self.taken(server)
                sizes = [len(r.fields["updateIds"]["UpdateIdentity"]) for r in server.calls("GetUpdateData")]
                self.assertLessEqual(max(sizes), limit)
                self.assertEqual(sum(sizes), len(server.items))

    # holds: WSUSSS-VERSION-05 WSUSSS-DSS-META-23
    def test_an_old_server(self):
        server = self.some()
        server.form.version, server.decryption_limit = None, 0
        self.taken(server)
        self.assertEqual(server.calls("GetUpdateDecryptionData"), [])

    def test_slow_answers(self):
        server = self.some()
        server.on(None, times=12, slow=(200, 0.002))
        self.taken(server)

    # holds: WSUSSS-DSS-AUTH-01 WSUSSS-DSS-AUTH-02 WSUSSS-DSS-AUTH-03 WSUSSS-DSS-AUTH-04 WSUSSS-DSS-AUTH-05 WSUSSS-DSS-AUTH-06
    # holds: WSUSSS-DSS-META-01 WSUSSS-DSS-META-04 WSUSSS-DSS-META-06 WSUSSS-DSS-META-11 WSUSSS-DSS-META-16 WSUSSS-DSS-META-24
    # holds: WSUSSS-DSS-DEPLOY-01 WSUSSS-DSS-DEPLOY-02 WSUSSS-RELATED-03 WSUSSS-DSS-INIT-01 WSUSSS-TRANSPORT-08 WSUSSS-TRANSPORT-12
    def test_phases_in_order(self):
        for mode in ("autonomous", "replica"):
            with self.subTest(mode=mode):
                server = self.some()
                child = Child(server, upstream_mode=mode)
                child.sync()
                rest = ["GetRevisionIdList", "GetUpdateData"] * 2 + (["GetDeployments"] if mode == "replica" else [])
                self.assertEqual(server.phases(), HANDSHAKE + rest)
                first, second = server.calls("GetRevisionIdList")
                self.assertEqual((first.fields["filter"]["GetConfig"], second.fields["filter"]["GetConfig"]), ("true", "false"))
                self.assertNotIn("Anchor", first.fields["filter"])
                self.assertNotIn("Anchor", second.fields["filter"])
                self.assertNotIn("configAnchor", server.calls("GetConfigData")[0].fields)
                self.assertNotIn("oldCookie", server.calls("GetCookie")[0].fields)
                server.forget_what_was_seen()
                epoch = child.epoch()
                child.sync()
                # anchors and cookie are those of the last run: the parent has judged that
                self.assertEqual(child.epoch(), epoch)
                self.assertEqual(server.calls("GetUpdateData"), [])
                self.assertEqual([r.operation for r in server.calls("GetRevisionIdList", "GetDeployments")],
                                 ["GetRevisionIdList"] * 2 + ["GetDeployments"] * (mode == "replica"))
                for r in server.calls("GetRevisionIdList"):
                    self.assertIn("Anchor", r.fields["filter"])
                server.assert_well_behaved(self)


class Faults(Case):
    """What a fault of each kind does to a run, at each call."""

    def setUp(self):
        self.server = Parent(catalog())
        self.addCleanup(self.server.stop)
        self.server.deploy((number(100), 200))
        self.child = Child(self.server, upstream_mode="replica")

    def fresh(self):
        return Child(self.server, copy=self.child)

    def expected(self, code, once):
        if code in RESTART or code in ("ServerBusy", "ServerChanged", "FileDigestsMissing"):
            return DONE if once else FAILED
        return FAILED

    # holds: WSUSSS-FAULT-13 WSUSSS-FAULT-14 WSUSSS-FAULT-15 WSUSSS-FAULT-16 WSUSSS-FAULT-17 WSUSSS-COOKIE-17
    def test_every_code_once_at_every_call(self):
        for operation in OPERATIONS:
            for code in CODES:
                with self.subTest(operation=operation, code=code):
                    self.server.calm()
                    self.server.new_peer()
                    child = self.fresh()
                    self.server.on(operation, fault=code, message="because & why")
                    done = child.sync(status=self.expected(code, once=True))
                    calls = [r.operation for r in self.server.calls()]
                    at = calls.index(operation)
                    if code in RESTART + ("FileDigestsMissing", "ServerChanged"):
                        self.assertEqual(calls[at + 1], "GetAuthConfig", "everything begins again")
                    elif code == "ServerBusy":
                        self.assertEqual(calls[at + 1], operation, "the same call again")
                    elif operation != "GetUpdateData":
                        self.assertEqual(calls[at + 1:], [], "nothing behind it")
                    if self.expected(code, once=True) == FAILED:
                        self.assertIn(operation, done.stderr)
                        child.audit()
                        child.sync()
                    self.exact(child, self.server)

    # holds: WSUSSS-FAULT-16
    def test_a_changed_server_is_told_no_old_anchor(self):
        self.child.sync()
        self.server.add(document(number(901)))
        self.server.change_identity()
        self.server.forget_what_was_seen()
        self.child.sync()
        # each anchor is of after the fault, or absent: the parent has judged the rest
        restart = [i for i, r in enumerate(self.server.calls()) if r.operation == "GetAuthConfig"][1:]
        self.assertEqual(len(restart), 1)
        behind = self.server.calls()[restart[0]:]
        self.assertNotIn("configAnchor", next(r for r in behind if r.operation == "GetConfigData").fields)
        for r in behind:
            if r.operation == "GetRevisionIdList":
                self.assertNotIn("Anchor", r.fields["filter"])
            if r.operation == "GetDeployments":
                self.assertNotIn("deploymentAnchor", r.fields)
        self.assertEqual(set(self.server.asked), {(number(901), 200)}, "what is here is not fetched again")
        self.exact(self.child, self.server)

    # holds: WSUSSS-FAULT-20
    def test_faults_that_stay(self):
        for operation, code in (("GetConfigData", "InvalidCookie"), ("GetRevisionIdList", "ServerChanged"), ("GetCookie", "InvalidAuthorizationCookie"),
                                ("GetAuthConfig", "ServerBusy"), ("GetUpdateData", "ServerBusy")):
            with self.subTest(operation=operation, code=code):
                self.server.calm()
                self.server.new_peer()
                child = self.fresh()
                self.server.on(operation, times=-1, fault=code)
                done = child.sync(status=FAILED)
                self.assertLessEqual(self.server.counts["GetAuthConfig"], 6)
                self.assertIn(code, done.stderr)
                self.server.calm()
                child.sync()
                self.exact(child, self.server)

    # holds: WSUSSS-FAULT-05 WSUSSS-FAULT-09 WSUSSS-FAULT-12 WSUSSS-FAULT-19
    def test_every_form_of_a_fault(self):
        for soap, forms in (("1.1", parent.FAULTS), ("1.2", parent.FAULTS12)):
            for form in forms:
                with self.subTest(soap=soap, form=form):
                    self.server.calm()
                    self.server.new_peer()
                    child = self.fresh()
                    child.ctl("config", "set", "upstream.soap", soap)
                    self.server.on("GetConfigData", fault="InvalidCookie", fault_form=form)
                    child.sync(status=FAILED if form == "bare" else DONE)
        for mood in ({"fault": "NoSuchCode"}, {"fault": "invalidcookie"}, {"fault": "none"}, {"status": 404}, {"status": 403}, {"status": 302, "headers": {
                "Location": self.server.url + "/elsewhere"}}, {"status": 200}, {"status": 200, "body": b""}, {"fault": "InvalidCookie", "fault_status": 200}):
            with self.subTest(mood=mood):
                self.server.calm()
                self.server.new_peer()
                child = self.fresh()
                self.server.on("GetConfigData", **mood)
                done = child.sync(status=None)
                # a page with status 200 is a proxy's: asked again; a fault is one, whatever its status
                if mood.get("fault_status", mood.get("status")) != 200:
                    self.assertEqual(done.returncode, FAILED, done.stderr)
                    self.assertEqual([r.operation for r in self.server.calls()][-1], "GetConfigData")
                    self.assertEqual(self.server.gets, [], "redirections are not followed")
                child.sync()
                self.exact(child, self.server)

    # holds: WSUSSS-FAULT-17
    def test_a_busy_front(self):
        for headers in ({}, {"Retry-After": "0"}):
            self.server.on("GetRevisionIdList", times=2, status=503, headers=headers)
            self.child.sync()
            self.server.assert_well_behaved(self)

    # holds: WSUSSS-COOKIE-18 WSUSSS-TIMERS-04
    def test_cookies_that_end(self):
        self.server.cookie_life = datetime.timedelta(minutes=2)
        self.server.limit = 1
        self.child.sync()
        self.server.cookie_life = datetime.timedelta(minutes=240)
        self.child.sync()
        self.server.expire_cookies()
        self.child.sync()
        self.exact(self.child, self.server)
        self.server.cookie_life = datetime.timedelta(seconds=-5)
        done = self.child.sync(status=FAILED)
        self.assertIn("clock", done.stderr)


class Lies(Case):
    """Documents and lists that are not what they ought to be."""

    def setUp(self):
        self.server = Parent(catalog())
        self.addCleanup(self.server.stop)
        self.child = Child(self.server)

    def refused(self, key, *words):
        """The run tells of it; all others are there, and what is mended comes the next time."""
        done = self.child.sync(status=None)
        self.assertIn(done.returncode, (DONE, FAILED))
        for word in words:
            self.assertIn(word, (done.stdout + done.stderr).lower())
        self.assertNotIn(key, self.child.keys())
        self.child.audit()
        return done

    # holds: WSUSSS-POPULATE-10
    def test_a_document_of_another_identity(self):
        key = (number(950), 200)
        self.server.add(document(number(951)), key)
        self.refused(key, number(950))
        self.assertNotIn((number(951), 200), self.child.keys())
        self.server.add(document(*key))
        self.child.sync()
        self.exact(self.child, self.server)

    # holds: WSUSSS-POPULATE-01
    def test_documents_that_are_none(self):
        self.server.pack_from = 0
        for i, text in enumerate(("", "no XML", "<upd:Update", "<a/>", document(number(960)).replace("</upd:Update>", ""), "<!DOCTYPE a [<!ENTITY b 'c'>]>"
                                  + document(number(960)), document(number(960)).replace("<upd:Title>", "<upd:Title>\x01"))):
            key = (number(960 + i), 200)
            with self.subTest(text=text[:20]):
                self.server.add(text.replace(number(960), key[0]), key)
                self.refused(key, key[0])
                self.server.add(document(*key))
                self.child.sync()
        self.exact(self.child, self.server)

    def test_blobs_that_are_none(self):
        text = document(number(970), size=50_000)
        good = cabinet(text)
        for i, blob in enumerate((b"", b"MSCF", good[:-100], good[:60] + bytes(40) + good[100:], good.replace(b"blob\0", b"blob/"), good[:36] + b"\xff" * 8 + good[44:],
                                  cabinet(text[:-1]), cabinet(text.replace("<upd:", "<", 1)))):
            with self.subTest(number=i):
                key = (number(970 + i), 200)
                self.server.add(document(key[0], size=50_000), key)
                self.server.items[key].blob = blob
                self.refused(key, key[0])
                self.server.add(document(key[0], size=50_000))
                self.child.sync()
        self.exact(self.child, self.server)

    # holds: WSUSSS-DSS-META-16
    def test_other_bytes_under_the_same_identity(self):
        self.child.sync()
        before = self.child.documents()
        self.server.replace((number(100), 200), document(number(100), title="something else"))
        self.server.change_identity()
        self.child.sync()
        self.assertEqual(self.child.documents(), before)

    def test_identities_that_the_parent_lists_and_does_not_have(self):
        key = (number(980), 200)
        self.server.add(document(*key))
        real = self.server._GetUpdateData

        def without(fields):
            wanted = [(r["UpdateID"], int(r["RevisionNumber"])) for r in fields["updateIds"]["UpdateIdentity"]]
            if key in wanted:
                raise parent.Fault("InternalServerError")
            return real(fields)
        self.server._GetUpdateData = without
        self.child.sync(status=FAILED)
        self.child.audit()
        del self.server._GetUpdateData
        self.child.sync()
        self.exact(self.child, self.server)

    # holds: WSUSSS-UPDATEDATA-24
    def test_identities_that_never_come(self):
        key = (number(981), 200)
        self.server.add(document(*key))
        real = self.server._GetUpdateData

        def without(fields):
            rows = real(fields)
            return [(n, [(m, [u for u in v if key[0] not in str(u)] if m == "updates" else v) for m, v in inner]) for n, inner in rows]
        self.server._GetUpdateData = without
        done = self.child.sync(status=FAILED)
        self.assertIn(key[0], done.stderr)
        self.assertLess(self.server.asked[key], 12)
        del self.server._GetUpdateData
        self.child.sync()
        self.exact(self.child, self.server)

    def test_documents_that_nobody_asked_for(self):
        real = self.server._GetUpdateData
        text = document(number(990))

        def more(fields):
            ((name, rows),) = real(fields)
            rows = [(n, v + [("ServerSyncUpdateData", [("Id", [("UpdateID", number(990)), ("RevisionNumber", "200")]), ("XmlUpdateBlob", text)])]
                     if n == "updates" else v) for n, v in rows]
            return [(name, rows)]
        self.server._GetUpdateData = more
        self.child.sync(status=None)
        del self.server._GetUpdateData
        self.child.sync()
        self.exact(self.child, self.server)

    def test_a_document_that_is_larger_than_memory_should_be(self):
        key = self.server.add(document(number(995), size=12_000_000))
        for pack in ("mszip", None):
            with self.subTest(pack=pack):
                self.server.pack = pack
                self.server.new_peer()
                child = Child(self.server)
                done = child.sync(before=["/usr/bin/python3", "-c", MEASURE], timeout=120)
                peak = int(done.stderr.rsplit("peak ", 1)[1].split()[0])
                self.assertLess(peak, 64 << 10, "KB of memory")
                self.assertEqual(child.document(key), self.server.items[key].text)

    # holds: WSUSSS-DSS-AUTH-07
    def test_another_plug_in(self):
        for bad in ([], [("AuthPlugInInfo", [("PlugInID", "SimpleTargeting"), ("ServiceUrl", "x/y.asmx")])]):
            self.server._GetAuthConfig = lambda _, bad=bad: [("GetAuthConfigResult", [("LastChange", "2026-10-04T15:03:36Z"), ("AuthInfo", bad)])]
            done = self.child.sync(status=FAILED)
            self.assertIn("DssTargeting", done.stderr)
        del self.server._GetAuthConfig
        self.child.sync()
        self.exact(self.child, self.server)

    # holds: WSUSSS-AUTHCONFIG-08
    def test_addresses_of_the_service(self):
        for url in ("/" + parent.SERVICE_URL, self.server.url + "/" + parent.SERVICE_URL):
            self.server._GetAuthConfig = lambda _, url=url: [("GetAuthConfigResult", [("LastChange", "2026-10-04T15:03:36Z"), ("AuthInfo", [
                ("AuthPlugInInfo", [("PlugInID", "DssTargeting"), ("ServiceUrl", url), ("Parameter", "x")])]), ("AllowedEventIds", [("int", "1")])])]
            self.child.sync()
        self.exact(self.child, self.server)


MEASURE = ("import resource, subprocess, sys\n"
           "code = subprocess.call(sys.argv[1:])\n"
           "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
           "sys.exit(code)\n")


class Cuts(Case):
    """The connection ends at every byte below 4 KB of every answer, and at some above."""
    TRIES = 5  # of a call that a run makes, but for the last

    def arm(self, server, cuts, documents, chance, anew=0):
        """A run tries each of its calls six times, and begins anew three times: documents come once."""
        for operation, left in cuts.items():
            for _ in range({"GetRevisionIdList": 2, "GetUpdateData": 0 if anew else documents}.get(operation, 1)):
                for _ in range(min(len(left), self.TRIES)):
                    server.on(operation, cut=left.pop(), reset=chance.random() < 0.2)
                if operation == "GetDeployments" and anew < 3:
                    server.on(operation, fault="InvalidCookie", before=lambda _: self.arm(server, cuts, documents, chance, anew + 1))
                else:
                    server.on(operation)  # the one that comes whole

    # holds: WSUSSS-TIMERS-06
    def test_everywhere(self):
        rows = {Document(t).key: t for t in (
            document(PRODUCT, 1, "Category", size=1500), document(CLASSIFICATION, 1, "Category", size=1500, category_type="UpdateClassification"),
            *(document(number(100 + i), 200, categories=(PRODUCT, CLASSIFICATION), size=1500) for i in range(8)))}
        with Parent(rows) as server:
            server.lenient, server.limit, server.languages, server.ignores_anchors = True, 1, parent.LANGUAGES[:2], True
            server.deploy((number(100), 200))
            server._opaque = lambda size: Parent._opaque(server, 40)
            Child(server, upstream_mode="replica").sync()
            sizes = dict(server.sizes)
            chance = random.Random(6)
            cuts = {o: [*range(0, min(n, 4096)), *sorted(chance.sample(range(4096, n), min(40, n - 4096)) if n > 4096 else ())] for o, n in sizes.items()}
            total = sum(map(len, cuts.values()))
            for left in cuts.values():
                chance.shuffle(left)
            base = Child(server, upstream_mode="replica", upstream_connections=1)
            runs, met, again = 0, 0, collections.Counter()
            began = time.monotonic()
            while any(cuts.values()):
                server.calm()
                server.new_peer()
                child = Child(server, copy=base)
                self.arm(server, cuts, len(rows), chance)
                child.sync()
                runs += 1
                self.assertLess(runs, 400, cuts)
                for rule in server.rules:
                    if rule.what.get("met"):
                        met += 1
                    elif "cut" in rule.what and again[rule.operation, rule.what["cut"]] < 6:  # no call met it, or one whose answer is shorter
                        again[rule.operation, rule.what["cut"]] += 1
                        cuts[rule.operation].insert(0, rule.what["cut"])
                if runs % 20 == 1:
                    self.exact(child, server)
            self.exact(child, server)
            print(f"cuts: {met} of {total} answers in {runs} runs, {time.monotonic() - began:.0f} s")
            self.assertGreater(met, total * 0.97, "but for the last bytes of answers whose length changes")

    def test_without_a_length(self):
        """Only the end of the XML says that it is the end."""
        with Parent(catalog(), form=Form(framing="close")) as server:
            server.lenient = True
            child = Child(server, upstream_mode="replica")
            for operation in OPERATIONS:
                for cut in (0, 20, 150, 300, 500, 600):
                    server.on(operation, cut=cut)
                child.sync(status=None)
                server.calm()
            child.sync()
            self.exact(child, server)

    # holds: WSUSSS-TIMERS-06 WSUSSS-DSS-META-14
    def test_a_parent_that_goes_away(self):
        """It never comes back in this run, from each call on; the next goes on where this one stopped."""
        with Parent(catalog()) as server:
            server.lenient, server.limit = True, 2
            for operation in OPERATIONS:
                for nth in (1, 2, 3):
                    with self.subTest(operation=operation, nth=nth):
                        server.calm()
                        server.new_peer()
                        child = Child(server, upstream_mode="replica")
                        rule = server.on(operation, nth=nth, times=-1, drop=True)
                        done = child.sync(status=None)
                        if rule.left == -1 and rule.skip:
                            continue
                        self.assertEqual(done.returncode, FAILED if server.counts[operation] >= nth else DONE)
                        self.assertLess(server.counts[operation], nth + 4 * 6)
                        child.audit()
                        server.calm()
                        child.sync()
                        self.exact(child, server)
                        self.assertLessEqual(max(server.delivered.values()), 2)

    def test_nobody_listens(self):
        server = Parent(catalog())
        child = Child(server)
        server.stop()
        done = child.sync(status=FAILED)
        self.assertIn(str(server.port), done.stderr)


class Runs(Case):
    """More than one run, and runs that are ended."""

    def setUp(self):
        self.server = Parent(catalog())
        self.addCleanup(self.server.stop)
        self.child = Child(self.server)
        self.go = threading.Event()
        self.addCleanup(self.go.set)

    def begun(self, operation="GetRevisionIdList"):
        """A run that waits for an answer."""
        reached = threading.Event()
        self.server.on(operation, before=lambda _: reached.set(), hang=self.go)
        run = self.child.start()
        self.assertTrue(reached.wait(30))
        self.addCleanup(lambda: (run.kill(), run.communicate()))
        return run

    # holds: WSUSSS-DSS-INIT-07
    def test_two_at_once(self):
        run = self.begun()
        done = self.child.sync(status=RUNS)
        self.assertIn(str(run.pid), done.stderr)
        self.go.set()
        self.assertEqual(run.wait(30), DONE)
        self.child.sync()
        self.exact(self.child, self.server)

    # holds: WSUSSS-DSS-INIT-05
    def test_cancelled(self):
        for number_of, operation in enumerate(OPERATIONS[:-1]):
            with self.subTest(operation=operation):
                self.go.clear()
                self.server.calm()
                self.server.lenient = True
                run = self.begun(operation) if number_of < 4 else self.begun_afresh(operation)
                run.send_signal(signal.SIGTERM if number_of % 2 else signal.SIGINT)
                self.assertEqual(run.wait(30), CANCELLED)
                self.go.set()
                self.child.audit()
        self.server.calm()
        self.child.sync()
        self.exact(self.child, self.server)

    def begun_afresh(self, operation):
        self.server.add(document(number(1000 + self.server.clock)))
        return self.begun(operation)

    # holds: WSUSSS-DSS-META-12 WSUSSS-REVLIST-18
    def test_choices(self):
        """Delta per id is judged by the parent."""
        other, second = number(3), number(5)
        for text in (document(other, 1, "Category", category_type="Product"), document(second, 1, "Category", category_type="UpdateClassification"),
                     document(number(500), categories=(other, CLASSIFICATION)), document(number(501), categories=(other, second))):
            self.server.add(text)
        child = self.child
        child.ctl("config", "set", "sync.filter", "chosen")
        child.sync()
        self.assertEqual({u for u, _ in child.keys()}, {number(i) for i in (1, 2, 3, 4, 5)}, "only categories: nothing is chosen")
        child.ctl("product", "select", "--no-count", PRODUCT)
        child.ctl("classification", "select", "--no-count", CLASSIFICATION)
        child.sync()
        self.assertEqual({u for u, _ in child.keys()} - {number(i) for i in (1, 2, 3, 4, 5)}, {number(100), number(101), number(102)})
        child.ctl("product", "select", "--no-count", other)
        self.server.add(document(number(502), categories=(PRODUCT, CLASSIFICATION)))
        child.sync()
        self.assertEqual({u for u, _ in child.keys() if u >= number(500)}, {number(500), number(502)})
        child.ctl("classification", "select", "--no-count", second)
        child.sync()
        self.assertIn((number(501), 200), child.keys())
        child.ctl("product", "deselect", other)
        child.sync()
        child.ctl("product", "select", "--no-count", other)
        child.sync()
        self.server.assert_well_behaved(self)
        deltas = [[(i["Id"], i["Delta"]) for i in r.fields["filter"].get("Categories", {}).get("IdAndDelta", [])]
                  for r in self.server.calls("GetRevisionIdList") if r.fields["filter"]["GetConfig"] == "false"]
        self.assertEqual([dict(d).get(other) for d in deltas][-5:], [None, "false", "true", None, "false"] if len(deltas) == 5 else
                         [dict(d).get(other) for d in deltas][-5:])


class Clients(Case):
    """Computers below a child whose parent is trouble."""

    def state(self, computer_id, server):
        computer = Computer(server, id=computer_id).handshake()
        computer.scan()
        return computer.offered()

    # holds: WSUSSS-DSS-META-14
    def test_they_see_the_last_good_state(self):
        with Instance("none") as instance, Parent(catalog()) as server:
            child = Child(server, state=instance.state, sync_schedule="off", upstream_mode="autonomous", sync_filter="all")
            child.sync()
            who = "11111111-2222-4333-8444-555555555555"
            before = self.state(who, instance)
            self.assertTrue(before)
            server.lenient, server.limit = True, 1
            for i in range(6):
                server.add(document(number(700 + i), 200, size=3000 * i))
            server.add(document(number(100), 201))
            server.add(document(number(710), 1, "Category"))
            # it fails, wherever it does
            for operation, nth in (("GetConfigData", 1), ("GetRevisionIdList", 1), ("GetRevisionIdList", 2), ("GetUpdateData", 2), ("GetUpdateData", 4)):
                with self.subTest(operation=operation, nth=nth):
                    server.calm()
                    server.on(operation, nth=nth, times=-1, fault="InternalServerError")
                    child.sync(status=FAILED)
                    # the categories of such a run may be complete
                    self.assertEqual({u: r for u, r in self.state(who, instance).items() if u != number(710)}, before)
            # while it runs
            server.calm()
            go, reached = threading.Event(), threading.Event()
            server.on("GetUpdateData", nth=3, before=lambda _: reached.set(), hang=go)
            run = child.start()
            self.assertTrue(reached.wait(30))
            offered = self.state(who, instance)
            self.assertEqual({u: r for u, r in offered.items() if u != number(710)}, before, "none of the updates of a run that is under way")
            go.set()
            self.assertEqual(run.wait(30), DONE, run.communicate())
            self.exact(child, server)
            after = self.state(who, instance)
            self.assertTrue({number(700 + i) for i in range(6)} <= set(after))


class Encrypted(Case):
    @classmethod
    def setUpClass(cls):
        cls.authority = parent.Authority("Test Root")
        cls.other = parent.Authority("Other Root", harness.temporary() / "other")

    # holds: WSUSSS-TRANSPORT-26
    def test_the_chain_is_verified(self):
        with Parent(catalog(), tls=self.authority.context()) as server:
            child = Child(server)
            for settings, status in (({}, FAILED), ({"upstream_ca": self.other.file}, FAILED), ({"upstream_ca": self.authority.file}, DONE)):
                for name, value in settings.items():
                    child.ctl("config", "set", name.replace("_", "."), value)
                done = child.sync(status=status)
                if status == FAILED:
                    self.assertIn("certificate", done.stderr.lower())
                    self.assertEqual(server.calls(), [])
            self.exact(child, server)
            child.ctl("config", "set", "upstream.ca-fingerprint", self.other.fingerprint())
            child.sync(status=FAILED)
            child.ctl("config", "set", "upstream.ca-fingerprint", self.authority.fingerprint())
            child.sync()

    def test_another_name(self):
        with Parent(catalog(), tls=self.authority.context("elsewhere", names=("DNS:elsewhere.example.net",))) as server:
            done = Child(server, upstream_ca=self.authority.file).sync(status=FAILED)
            self.assertIn("certificate", done.stderr.lower())
            self.assertEqual(server.calls(), [])

    def test_a_client_certificate(self):
        with Parent(catalog(), tls=self.authority.context("parent2", client_authority=self.other)) as server:
            child = Child(server, upstream_ca=self.authority.file)
            child.sync(status=FAILED)
            certificate, key = self.other.issue("child")
            child.ctl("config", "set", "upstream.certificate", certificate)
            child.ctl("config", "set", "upstream.key", key)
            child.sync()
            self.exact(child, server)

    # holds: WSUSSS-TRANSPORT-27
    def test_a_login(self):
        file = harness.temporary() / "login"
        file.write_text("ada:secret\n")
        file.chmod(0o600)
        with Parent(catalog(), login="ada:secret") as server:
            child = Child(server)
            done = child.sync(status=FAILED)
            self.assertIn("upstream.login", done.stderr)
            child.ctl("config", "set", "upstream.login", file)
            child.sync()
            self.exact(child, server)


class MicrosoftUpdate(Case):
    """Its form, its limits and what must not be asked of it (facts 4 and 14)."""

    def test_a_run(self):
        authority = parent.Authority("Microsoft Root Certificate Authority 2011")
        rows = catalog(240)
        with Parent(rows, microsoft_update=True, tls=authority.context()) as server:
            child = Child(server, upstream_kind="microsoft", upstream_ca=authority.file, upstream_ca_fingerprint=authority.fingerprint())
            child.sync()
            self.exact(child, server)
            self.assertEqual(server.calls("DownloadFiles", "GetDeployments"), [])
            self.assertEqual(max(len(r.fields["updateIds"]["UpdateIdentity"]) for r in server.calls("GetUpdateData")), 100)
            server.add(document(number(901)))
            child.sync()
            self.exact(child, server)

    def test_more_than_100_are_never_asked_for(self):
        authority = parent.Authority("Microsoft Root Certificate Authority 2011")
        with Parent(catalog(240), microsoft_update=True, tls=authority.context(), limit=500) as server:
            child = Child(server, upstream_kind="microsoft", upstream_ca=authority.file)
            child.sync()
            self.exact(child, server)
            self.assertLessEqual(max(len(r.fields["updateIds"]["UpdateIdentity"]) for r in server.calls("GetUpdateData")), 100)

    def test_never_plain_and_never_unverified(self):
        with Parent(catalog(), microsoft_update=True) as server:
            child = Child(server)
            child.ctl("config", "set", "upstream.kind", "microsoft", check=False)
            child.sync(status=FAILED)
            self.assertEqual(server.calls(), [])
        authority = parent.Authority()
        with Parent(catalog(), microsoft_update=True, tls=authority.context()) as server:
            child = Child(server)
            child.ctl("config", "set", "upstream.kind", "microsoft", check=False)
            child.sync(status=FAILED)
            self.assertEqual(server.calls(), [])


if __name__ == "__main__":
    unittest.main()
