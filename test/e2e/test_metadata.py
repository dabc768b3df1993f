"""test_metadata.py -- what a synchronization asks for and keeps: lists and their anchors, documents, what bundles name, addresses and keys
of files; and what a run that ended early leaves to the next."""
import base64
import hashlib
import unittest

import harness
import parent
from child import Child
from parent import CLASSIFICATION, PRODUCT, Parent, document, number

FAILED = 1
CATEGORIES = {number(1): "Product", number(2): "UpdateClassification"}


def configuration():
    return [document(u, 1, "Category", category_type=t) for u, t in CATEGORIES.items()] + [document(number(3), 1, "Detectoid")]


def secured(text, *types):
    """The document with SecuredFragments: what it has besides for those who are let in."""
    rows = "".join(f"<upd:SecuredFragment>{t}</upd:SecuredFragment>" for t in types)
    head, tail = text.split(" /><upd:LocalizedPropertiesCollection>", 1)
    return f"{head}>{rows}</upd:Properties><upd:LocalizedPropertiesCollection>{tail}"


class Case(unittest.TestCase):
    def setUp(self):
        self.server = Parent()
        self.addCleanup(self.server.stop)
        for text in configuration():
            self.server.add(text)
        self.child = Child(self.server)

    def update(self, n, revision=200, **kw):
        return self.server.add(document(number(n), revision, **kw))

    def updates(self):
        """Those that computers can see."""
        return {(r["id"], r["revision"]) for r in self.child.ctl_json("update", "list", "--all") if r["id"] >= number(100) and r["state"] == "offered"}

    def lists_no_old_ones(self):
        """Not even those that bundles name, as MS-WSUSSS says and nobody does."""
        real = self.server.matching

        def highest(config, *wanted):
            keys = real(config, *wanted)
            return [k for k in keys if k[1] == max(n for u, n in keys if u == k[0])]
        self.server.matching = highest

    def filters(self, config):
        return [r.fields["filter"] for r in self.server.calls("GetRevisionIdList") if r.fields["filter"]["GetConfig"] == config]

    def asked_for(self):
        """The identities of each GetUpdateData."""
        return [[(r["UpdateID"], int(r["RevisionNumber"])) for r in c.fields["updateIds"]["UpdateIdentity"]]
                for c in self.server.calls("GetUpdateData")]

    def well(self):
        self.child.audit()
        self.server.assert_well_behaved(self)

    def catalog(self):
        """The store's bytes: what no command shows."""
        return (self.child.store / "catalog/data.mdb").read_bytes()


class Lists(Case):
    # holds: WSUSSS-REVLIST-02 WSUSSS-REVLIST-07 WSUSSS-REVLIST-08 WSUSSS-REVLIST-09 WSUSSS-VERSION-06 WSUSSS-DSS-META-04 WSUSSS-DSS-META-11
    def test_what_a_filter_holds(self):
        self.update(100)
        self.child.sync()
        for languages, few in (("en", "true"), ("en,de,fr", "true"), (",".join(["en", *(f"x{i:02}" for i in range(62))]), "true"), ("all", "false")):
            done = self.child.ctl("config", "set", "sync.languages", languages, check=False)
            if done.returncode:  # 63 of which most are no languages
                continue
            with self.subTest(languages=languages):
                self.server.forget_what_was_seen()
                self.child.sync()
                for config in ("true", "false"):
                    (f,) = self.filters(config)
                    self.assertEqual(f["Get63LanguageOnly"], few)
                    self.assertEqual(set(f), {"Anchor", "GetConfig", "Get63LanguageOnly"})
        self.well()

    # holds: WSUSSS-REVLIST-18 WSUSSS-DSS-META-12
    def test_one_kind_chosen_is_all_of_the_other(self):
        for n, kind in ((4, "ProductFamily"), (5, "Company"), (6, "UpdateClassification")):
            self.server.add(document(number(n), 1, "Category", category_type=kind))
        self.child.ctl("config", "set", "sync.filter", "chosen")
        self.child.sync("--categories")
        self.child.ctl("product", "select", PRODUCT, "--no-count")
        self.server.forget_what_was_seen()
        for anchored in ("false", "true"):
            self.child.sync()
            f = self.filters("false")[-1]
            self.assertEqual([(r["Id"], r["Delta"]) for r in f["Categories"]["IdAndDelta"]], [(PRODUCT, anchored)])
            self.assertEqual({(r["Id"], r["Delta"]) for r in f["Classifications"]["IdAndDelta"]}, {(CLASSIFICATION, anchored), (number(6), anchored)})
        self.child.ctl("product", "deselect", PRODUCT)
        self.child.ctl("classification", "select", CLASSIFICATION, "--no-count")
        self.child.sync()
        f = self.filters("false")[-1]
        self.assertEqual({r["Id"] for r in f["Categories"]["IdAndDelta"]}, {PRODUCT, number(4), number(5)})
        self.assertEqual([r["Id"] for r in f["Classifications"]["IdAndDelta"]], [CLASSIFICATION])
        self.well()

    # holds: WSUSSS-DSS-META-05 WSUSSS-DSS-META-06 WSUSSS-DSS-META-13 WSUSSS-DSS-META-14 WSUSSS-DSS-META-16
    def test_an_anchor_is_kept_with_what_it_covers(self):
        """A run that ends among the updates has the categories' anchor and not the other, and what came does not come again."""
        self.server.limit = 2
        keys = {self.update(100 + i) for i in range(10)}
        self.child.ctl("config", "set", "upstream.connections", "1")
        self.server.on("GetUpdateData", nth=5, fault="InvalidParameters")
        self.child.sync(status=FAILED)
        self.assertEqual(self.updates(), set(), "nobody sees half of them")
        states = {r["id"]: r["state"] for r in self.child.ctl_json("update", "list", "--all")}
        self.assertEqual({id for id, state in states.items() if state == "offered"}, {number(1), number(2), number(3)})
        self.child.audit()
        half = sum(n for key, n in self.server.delivered.items() if key in keys)
        self.assertIn(half, range(2, 9))
        self.child.sync()
        self.assertEqual(self.updates(), keys)
        first, second = self.filters("true")
        self.assertIn("Anchor", second)
        first, second = self.filters("false")
        self.assertNotIn("Anchor", second)
        self.assertEqual({self.server.delivered[key] for key in keys}, {1}, "nothing comes twice")
        self.well()

    # partly: WSUSSS-DSS-META-14 (here when something else is wanted in the midst of a run)
    def test_what_is_wanted_changes_during_a_run(self):
        key = self.update(100, categories=(PRODUCT, CLASSIFICATION))
        other = self.server.add(document(number(7), 1, "Category", category_type="Product"))[0]
        late = self.update(101, categories=(other, CLASSIFICATION))
        self.child.ctl("config", "set", "sync.filter", "chosen")
        self.child.sync("--categories")
        self.child.ctl("product", "select", PRODUCT, "--no-count")
        self.server.on("GetUpdateData", before=lambda _: self.child.ctl("product", "select", other, "--no-count"))
        done = self.child.sync()
        self.assertIn("was changed meanwhile", done.stdout)
        self.assertEqual(self.updates(), {key})
        self.child.sync()
        self.assertEqual(self.updates(), {key, late}, "the back catalogue of what was chosen in the midst")
        self.child.audit()


class Documents(Case):
    # holds: WSUSSS-DSS-META-26
    def test_what_bundles_name_comes_too(self):
        """Only the highest revision of an update is listed; bundles name older ones, and bundles of bundles."""
        old = self.update(100, 100)
        self.update(100, 101)
        inner = self.update(101, 100, members=[old])
        self.update(101, 101)
        outer = self.update(102, 200, members=[inner])
        self.lists_no_old_ones()
        self.assertNotIn(old, self.server.matching(False))
        self.child.sync()
        self.assertLessEqual({old, inner, outer}, self.updates())
        last = self.child.last()
        self.assertEqual(last["related"], 2)
        self.well()

    # holds: WSUSSS-DSS-META-26
    def test_what_bundles_name_and_the_parent_lacks(self):
        """It is asked for in every run; until it comes the bundle is not offered, and nothing else is held up."""
        good, lost = self.update(100), (number(101), 100)
        bundle = self.update(102, members=[good, lost])
        done = self.child.sync()
        self.assertIn("not to be had", done.stdout)
        self.assertEqual(self.updates(), {good, bundle}, "published, which is not offered: nobody is told of a bundle that lacks a member")
        self.server.forget_what_was_seen()
        done = self.child.sync()
        self.assertEqual(self.asked_for(), [[lost]])
        self.server.items[lost] = parent.Item(lost, document(*lost), 0)  # as if it were no news
        self.child.sync()
        self.assertEqual(self.updates(), {good, lost, bundle})
        self.child.audit()

    # holds: WSUSSS-POPULATE-10
    def test_a_refused_document_does_not_stop_the_others(self):
        """It is counted and named; the anchor moves, and its next revision is taken."""
        key = (number(100), 200)
        self.server.add("<a/>", key)
        good = self.update(101)
        done = self.child.sync()
        self.assertIn(f"refused: {key[0]}:200", done.stdout)
        self.assertEqual(self.updates(), {good})
        self.assertEqual(self.child.last()["refused"], 1)
        self.server.forget_what_was_seen()
        self.child.sync()
        self.assertEqual(self.asked_for(), [])
        better = self.update(100, 201)
        self.child.sync()
        self.assertEqual(self.updates(), {good, better})
        self.well()

    # holds: WSUSSS-DSS-META-09 WSUSSS-DSS-META-10
    def test_categories_are_filed_by_their_kind(self):
        for n, kind in ((10, "Company"), (11, "ProductFamily"), (12, "Product"), (13, "UpdateClassification"), (14, "Unheard")):
            self.server.add(document(number(n), 1, "Category", category_type=kind))
        typeless = document(number(15), 1, "Category")
        self.server.add(typeless[:typeless.index("<upd:HandlerSpecificData")] + "</upd:Update>")
        self.child.sync("--categories")
        products = {p["id"] for p in self.child.ctl_json("product", "list")}
        classifications = {c["id"] for c in self.child.ctl_json("classification", "list")}
        self.assertLessEqual({number(10), number(11), number(12)}, products)
        self.assertEqual(classifications, {number(2), number(13)})
        kinds = {r["id"]: r["type"] for r in self.child.ctl_json("update", "list", "--all")}
        self.assertEqual({kinds[number(n)] for n in range(10, 16)}, {"Category"})
        self.assertEqual(kinds[number(3)], "Detectoid")

    # holds: WSUSSS-DSS-META-18 WSUSSS-DSS-META-19
    def test_files_and_eulas(self):
        eula = number(900)
        first = self.update(100, eula=eula, files=[("one.cab", b"one", ""), ("two.psf", b"two", ' PatchingType="Express"')])
        self.child.sync()
        shown = self.child.ctl_json("update", "show", f"{first[0]}:200")
        self.assertEqual({(f["name"], f["size"], f["sha1"]) for f in shown["files"]},
                         {(n, 3, hashlib.sha1(b).hexdigest().upper()) for n, b in (("one.cab", b"one"), ("two.psf", b"two"))})
        self.assertEqual((shown["eula"], shown["eula_accepted"]), (eula, False))
        self.child.ctl("eula", "accept", first[0])
        second = self.update(101, eula=eula)
        self.child.sync()
        for key in (first, second):
            self.assertTrue(self.child.ctl_json("update", "show", f"{key[0]}:200")["eula_accepted"], "an old EULA keeps its flag")
        self.well()

    def test_somebody_imports_by_hand_meanwhile(self):
        """What is brought by hand is seen at once, what the run holds is not; neither disturbs the other."""
        self.server.limit = 1
        keys = {self.update(100 + i) for i in range(3)}
        path = harness.temporary() / "by-hand.xml"
        path.write_text(document(number(500)))
        seen = []

        def import_it(_):
            self.child.ctl("update", "import", path)
            seen.append({r["id"]: r["state"] for r in self.child.ctl_json("update", "list", "--all")})
        self.server.on("GetUpdateData", nth=6, before=import_it)
        self.child.ctl("config", "set", "upstream.connections", "1")
        self.child.sync()
        self.assertEqual(seen[0][number(500)], "offered")
        self.assertNotIn("offered", [state for id, state in seen[0].items() if number(100) <= id < number(500)])
        self.assertEqual(self.updates(), keys | {(number(500), 200)})
        self.well()


    def test_approvals_meanwhile_are_of_what_can_be_seen(self):
        """A KB number or an id means the highest revision that is not held."""
        head, tail = document(number(100)).split(" /><upd:LocalizedPropertiesCollection>")
        old = f"{head}><upd:KBArticleID>7654321</upd:KBArticleID></upd:Properties><upd:LocalizedPropertiesCollection>{tail}"
        self.server.add(old)
        self.child.sync()
        self.server.add(old.replace('RevisionNumber="200"', 'RevisionNumber="201"'))
        self.update(101)
        self.server.limit = 1
        self.child.ctl("config", "set", "upstream.connections", "1")
        self.server.on("GetUpdateData", nth=2, fault="InvalidParameters")
        self.child.sync(status=FAILED)
        self.assertIn((number(100), 201), self.child.keys(), "it is here, and held")
        for name in ("KB7654321", number(100)):
            self.assertEqual(self.child.ctl_json("update", "show", name)["revision"], 200)
        self.child.sync()
        for name in ("KB7654321", number(100)):
            self.assertEqual(self.child.ctl_json("update", "show", name)["revision"], 201)
        self.well()


class Files(Case):
    def setUp(self):
        super().setUp()
        self.bodies = {f"file{i}.cab": f"body {i}".encode() for i in range(6)}
        self.digests = {name: hashlib.sha1(body).digest() for name, body in self.bodies.items()}
        for name, digest in self.digests.items():
            self.server.urls[digest] = f"http://download.example/{name}"

    def add(self, i, *types, attributes=""):
        name = f"file{i}.cab"
        text = document(number(100 + i), files=[(name, self.bodies[name], attributes)])
        return self.server.add(secured(text, *types) if types else text)

    # holds: WSUSSS-DSS-META-17
    def test_addresses(self):
        self.add(0)
        self.child.sync()
        self.assertIn(b"http://download.example/file0.cab", self.catalog())
        self.well()

    # partly: WSUSSS-DSS-META-17 (here of a run that ended between documents and addresses)
    def test_addresses_that_a_run_did_not_keep(self):
        self.server.limit = 1
        keys = [self.add(i) for i in range(4)]
        lost = self.server.urls.pop(self.digests["file1.cab"])
        self.child.ctl("config", "set", "upstream.connections", "1")
        self.server.on("GetUpdateData", nth=7, fault="InvalidParameters")
        self.child.sync(status=FAILED)
        self.server.urls[self.digests["file1.cab"]] = lost
        self.server.forget_what_was_seen()
        self.child.sync()
        self.assertIn(lost.encode(), self.catalog())
        self.assertIn([keys[1]], self.asked_for())
        self.assertNotIn([keys[0]], self.asked_for())
        self.well()

    # holds: WSUSSS-DSS-META-20 WSUSSS-DSS-META-21 WSUSSS-DSS-META-22 WSUSSS-DECRYPTION-02 WSUSSS-DECRYPTION-03
    def test_keys(self):
        secret = [self.add(i, "FileUrl", "FileDecryption", attributes=' IsEncrypted="true"') for i in range(5)]
        self.add(5, "FileUrl")
        for name, digest in self.digests.items():
            self.server.keys[digest] = b"a secret for " + name.encode()
        self.server.decryption_limit = 2
        self.child.sync()
        calls = [[(r["UpdateID"], int(r["RevisionNumber"])) for r in c.fields["updateIds"]["UpdateIdentity"]]
                 for c in self.server.calls("GetUpdateDecryptionData")]
        self.assertEqual([len(c) for c in calls], [2, 2, 1])
        self.assertEqual({key for c in calls for key in c}, set(secret))
        stored = self.catalog()
        for i in range(5):
            self.assertIn(b"a secret for file%d.cab" % i, stored)
        self.assertNotIn(b"a secret for file5.cab", stored)
        self.server.forget_what_was_seen()
        self.child.sync()
        self.assertEqual(self.server.calls("GetUpdateDecryptionData"), [])
        self.well()

    # holds: WSUSSS-DSS-META-23
    def test_a_server_that_gives_no_keys(self):
        key = self.add(0, "FileDecryption", attributes=' IsEncrypted="true"')
        self.server.decryption_limit = 0
        done = self.child.sync()
        self.assertIn("gives no keys", done.stdout)
        self.assertEqual(self.server.calls("GetUpdateDecryptionData"), [])
        self.assertEqual(self.updates(), {key})
        self.well()

    # holds: WSUSSS-UPDATEDATA-21
    def test_keys_beside_addresses(self):
        self.add(0, "FileDecryption", attributes=' IsEncrypted="true"')
        row = f"<FileDigest>{base64.b64encode(self.digests['file0.cab']).decode()}</FileDigest>".encode()
        more = row + b"<DecryptionKey>" + base64.b64encode(b"said at once") + b"</DecryptionKey>"
        self.server.on("GetUpdateData", nth=2, change=lambda body: body.replace(row, more))
        self.child.sync()
        self.assertIn(b"said at once", self.catalog())
        self.assertEqual(self.server.calls("GetUpdateDecryptionData"), [])
