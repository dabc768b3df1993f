"""test_choice.py -- what is wanted of the server above: products, classifications, languages; counted before it is chosen, and
brought by the next synchronization."""
import hashlib
import json
import unittest
import uuid

from harness import Instance, ROOT, run, temporary
from parent import Parent, document, number
from downstream import Document
from test_wsusctl import CTL, Place, documents

WORKS, DESK, WRITER, READER, OTHER, TOOLS = (number(n) for n in range(1, 7))
SECURITY, UPDATES = number(11), number(12)


def category(id, title, kind, *above):
    return document(id, 100, "Category", title, category_type=kind, categories=above)


def tree():
    return [category(WORKS, "Works Inc.", "Company"), category(DESK, "Desk", "ProductFamily", WORKS),
            category(WRITER, "Desk Writer", "Product", DESK), category(READER, "Desk Reader", "Product", DESK),
            category(OTHER, "Other Ltd.", "Company"), category(TOOLS, "Tools", "Product", OTHER),
            category(SECURITY, "Security Updates", "UpdateClassification"), category(UPDATES, "Updates", "UpdateClassification")]


def body(n, size):
    return hashlib.sha256(str(n).encode()).digest() * (size // 32)


def updates():
    """Of Writer 50 security updates with 3,200 bytes each, and one file that all of them share; of Reader 3 updates of another
    classification, one with an express file; of Tools none."""
    shared = ("shared.cab", body("shared", 6400), "")
    rows = [document(number(100 + i), 200, categories=(WRITER, SECURITY), files=(("a.cab", body(i, 3200), ""), shared)) for i in range(50)]
    rows += [document(number(200), 200, categories=(READER, UPDATES), files=(("r.cab", body("r", 32000), ""),)),
             document(number(201), 200, categories=(READER, UPDATES), files=(("e.psf", body("e", 64000), ' PatchingType="Express"'),)),
             document(number(202), 200, categories=(READER, UPDATES))]
    return rows


def keyed(texts):
    return {Document(t).key: t for t in texts}


def import_categories(place):
    folder = temporary()
    for i, text in enumerate(tree()):
        (folder / f"{i}.xml").write_text(text)
    place("update", "import", folder)


class Choosing(unittest.TestCase):
    """Without a server: --no-count."""

    def setUp(self):
        self.place = Place(filled=False)
        import_categories(self.place)

    def rows(self, noun="product", *options):
        return {r["title"]: r for r in self.place.json(noun, "list", *options)}

    def selected(self, noun="product"):
        return sorted(t for t, r in self.rows(noun).items() if r["selected"])

    def test_products_stand_below_families_and_companies(self):
        rows = self.rows()
        self.assertEqual({t: (r["type"], r["parent"]) for t, r in rows.items()}, {
            "Works Inc.": ("company", None), "Desk": ("family", WORKS), "Desk Writer": ("product", DESK), "Desk Reader": ("product", DESK),
            "Other Ltd.": ("company", None), "Tools": ("product", OTHER)})
        self.assertEqual(rows["Desk"] | {"covered": None}, {
            "id": DESK, "title": "Desk", "type": "family", "parent": WORKS, "selected": False, "included": False, "covered": None, "updates": None,
            "file_bytes": None, "estimated": None, "samples": None, "counted": None})
        lines = [line.split("  no")[0].rstrip() for line in self.place("product", "list").stdout.splitlines()]
        self.assertEqual(lines[1:7], ["Other Ltd.", "  Tools", "Works Inc.", "  Desk", "    Desk Reader", "    Desk Writer"])
        self.assertIn("nothing is selected: synchronizations bring the lists of products and classifications, and no updates", lines[-1])
        self.assertEqual(sorted(self.rows("classification")), ["Security Updates", "Updates"])
        self.assertEqual(sorted(self.rows("product", "desk")), ["Desk", "Desk Reader", "Desk Writer"])
        part = self.place("product", "list", "writer").stdout.splitlines()
        self.assertEqual([line.split("  no")[0].rstrip() for line in part[1:4]], ["Works Inc.", "  Desk", "    Desk Writer"])

    def test_a_choice_is_named_by_id_title_or_a_part_that_is_one_alone(self):
        self.place("product", "select", WRITER.upper(), "tools", "inc.", "--no-count")
        self.assertEqual(self.selected(), ["Desk Writer", "Tools", "Works Inc."])
        self.place("product", "select", "DESK", "--no-count")
        self.assertIn("Desk", self.selected())
        words = self.place("product", "select", "desk ", "--no-count", status=1).stderr
        self.assertIn('2 products are called "desk "; give the id:', words)
        self.assertIn(READER, words)
        self.assertIn(WRITER, words)
        self.assertIn('no product is called "security"', self.place.wrong("product", "select", "security", "--no-count"))
        self.assertIn("is no classification that is known here", self.place.wrong("classification", "select", WRITER, "--no-count"))
        self.assertIn("name what is to be selected, or give --all", self.place.wrong("product", "select", "--no-count", status=2))
        self.assertIn(f'product select {WRITER} "Desk Writer"', self.place.noted())

    def test_what_is_above_includes_what_is_below(self):
        self.place("product", "select", "works", "--no-count")
        self.assertEqual({t for t, r in self.rows().items() if r["included"]}, {"Desk", "Desk Reader", "Desk Writer"})
        self.assertEqual(sorted(self.rows("product", "--selected")), ["Desk", "Desk Reader", "Desk Writer", "Works Inc."])
        said = self.place("product", "select", "Desk Writer", "--no-count").stdout
        self.assertIn("it comes already: something above it is selected", said)
        said = self.place("product", "deselect", "Desk Writer").stdout
        self.assertIn("Desk Writer: what is here of it stays, new updates of it come no more", said)
        self.assertIn("Desk Writer still comes with Works Inc., which is selected", said)
        self.assertIn("Tools was not selected", self.place("product", "deselect", "Tools").stdout)

    def test_dry_runs_change_nothing(self):
        before = self.place.noted()
        self.assertIn("nothing was changed", self.place("product", "select", "tools", "--no-count", "--dry-run").stdout)
        self.place("product", "select", "--all", "--no-count", "--dry-run")
        self.assertEqual((self.selected(), self.place.noted()), ([], before))
        self.place("product", "select", "tools", "--no-count")
        self.assertIn("nothing was changed", self.place("product", "deselect", "--all", "--dry-run").stdout)
        self.assertEqual(self.selected(), ["Tools"])

    def test_all_is_a_setting_and_what_was_selected_stays(self):
        self.place("product", "select", "tools", "--no-count")
        self.assertIn("everything that is not here (sync.filter = all)", self.place("product", "select", "--all", "--no-count").stdout)
        self.assertEqual(self.place("config", "get", "sync.filter").stdout, "all\n")
        self.assertEqual(self.selected(), ["Tools"])
        self.assertIn("sync.filter is all: everything is asked for, whatever is selected", self.place("product", "list").stdout)
        self.assertIn("this changes nothing before", self.place("product", "select", "desk", "--no-count").stdout)
        said = self.place("product", "deselect", "--all").stdout
        self.assertEqual((self.place("config", "get", "sync.filter").stdout, self.selected()), ("chosen\n", []))
        self.assertIn("nothing is selected", said)

    def test_one_kind_alone_is_said(self):
        said = self.place("product", "select", "tools", "--no-count").stdout
        self.assertIn("no classification is selected, so all of them are asked for", said)
        said = self.place("classification", "select", "updates", "--no-count").stdout
        self.assertNotIn("all of them", said)
        self.assertIn("no product is selected, so updates of all of them are asked for", self.place("product", "deselect", "tools").stdout)

    def test_choices_need_no_server_but_counting_does(self):
        done = self.place("product", "select", "tools", status=1)
        self.assertIn("nothing was chosen; --no-count chooses without", done.stderr)
        self.assertEqual(self.selected(), [])

    def test_a_replica_chooses_nothing(self):
        self.place("upstream", "set", "https://above.example", "--mode", "replica", "--no-check")
        self.assertIn("is a replica of https://above.example:8531 and takes all that it has",
                      self.place.wrong("product", "select", "tools", "--no-count"))
        self.assertIn("this server is a replica", self.place("product", "list").stdout)

    def test_without_categories_the_way_to_them_is_told(self):
        empty = Place(filled=False)
        self.assertIn("no product is known yet: `wsusctl upstream set` names a server that has them", empty.wrong("product", "list"))
        self.assertEqual(empty.json("product", "list"), [])
        empty("upstream", "set", "a", "--no-check")
        self.assertIn("no classification is known yet: `wsusctl sync run` brings their list", empty.wrong("classification", "select", "a"))


class Languages(unittest.TestCase):
    def setUp(self):
        self.place = Place(filled=False)

    def on(self):
        return [r["language"] for r in self.place.json("language", "list") if r["selected"]]

    def test_all_are_selected_until_some_are(self):
        rows = self.place.json("language", "list")
        self.assertEqual(len(rows), 39)
        self.assertEqual(rows[0], {"language": "all", "name": "all of them", "selected": True, "above": None, "id": 0})
        self.assertEqual(len(self.on()), 39)
        self.assertIn("languages: de,en.", self.place("language", "select", "en", "DE").stdout)
        self.assertEqual(self.on(), ["de", "en"])
        self.place("language", "select", "pt-br")
        self.place("language", "deselect", "de")
        self.assertEqual(self.on(), ["en", "pt-br"])
        self.assertIn("that would be the last one", self.place.wrong("language", "deselect", "en", "pt-br", status=2))
        self.assertIn('no language "xx"', self.place.wrong("language", "select", "xx", status=2))
        self.place("language", "select", "all")
        self.assertEqual(len(self.on()), 39)
        self.place("language", "deselect", "fr")
        self.assertEqual(len(self.on()), 37)
        self.assertIn("language select: sync.languages = de,en", self.place.noted())

    def test_what_the_server_above_lacks_is_said(self):
        with Parent(keyed(tree())) as parent:
            self.place("upstream", "set", parent.url, "--no-check")
            synchronize(self.place)
            above = {r["language"]: r["above"] for r in self.place.json("language", "list")}
            self.assertEqual((above["en"], above["de"], above["all"]), (True, False, False))
            said = self.place("language", "select", "en", "de").stdout
            self.assertIn("German (de) is not enabled at the server above: nothing comes in it until it is", said)
            self.assertNotIn("English (en) is not", said)


def synchronize(place, status=0):
    return run(ROOT / "bin/wsus-sync", "run", "--store", place.store, "--no-content", "--log", check=status == 0)


class Counting(unittest.TestCase):
    """A parent whose figures are known."""

    def setUp(self):
        self.parent = Parent(keyed(tree() + updates()))
        self.addCleanup(self.parent.stop)
        self.parent.lenient = True  # who only counts keeps no cookie
        self.place = Place(filled=False)
        import_categories(self.place)
        self.place("upstream", "set", self.parent.url, "--no-check")

    def rows(self, *options, noun="product"):
        return {r["title"]: r for r in self.place.json(noun, "list", *options)}

    def here(self):
        return {r["id"] for r in self.place.json("update", "list", "--type", "software")}

    def figures(self, row):
        return row["updates"], row["file_bytes"], row["estimated"], row["samples"]

    def test_updates_are_exact_and_files_estimated_from_documents_that_are_spread(self):
        rows = self.rows("--count")
        few = 32000  # the express file is none that would be fetched
        self.assertEqual(self.figures(rows["Desk Reader"]), (3, few, False, 3))
        self.assertEqual(self.figures(rows["Tools"]), (0, 0, False, 0))
        # 40 of 50 were read: the shared file counts once, times 50 / 40
        self.assertEqual(self.figures(rows["Desk Writer"]), (50, (40 * 3200 + 6400) * 50 // 40, True, 40))
        self.assertEqual(rows["Works Inc."]["updates"], 53)
        self.assertEqual(rows["Desk Writer"]["selected"], False)
        said = self.place("product", "list").stdout
        self.assertRegex(said, r"(?m)^    Desk Writer +no +50  ~168 KB +20")
        self.assertRegex(said, r"(?m)^    Desk Reader +no +3  32 KB ")
        self.assertEqual(self.here(), set())
        asked = sum(n for key, n in self.parent.asked.items() if key[0] in {number(100 + i) for i in range(50)})
        again = self.rows("--count")
        self.assertEqual(self.figures(again["Desk Writer"]), self.figures(rows["Desk Writer"]))
        self.assertEqual(sum(n for key, n in self.parent.asked.items() if key[0] in {number(100 + i) for i in range(50)}), 2 * asked)
        self.parent.assert_well_behaved(self)

    def test_express_files_count_where_they_are_fetched(self):
        self.place("config", "set", "content.express", "true")
        self.assertEqual(self.figures(self.rows("--count")["Desk Reader"]), (3, 96000, False, 3))

    def test_a_count_is_of_what_is_wanted_of_the_other_kind(self):
        self.place("classification", "select", "Updates", "--no-count")
        rows = self.rows("--count")
        self.assertEqual((rows["Desk Writer"]["updates"], rows["Desk Reader"]["updates"]), (0, 3))
        rows = self.rows("--count", noun="classification")
        self.assertEqual((rows["Security Updates"]["updates"], rows["Updates"]["updates"]), (50, 3))
        self.place("product", "select", "Desk Reader", "--no-count")
        rows = self.rows("--count", noun="classification")
        self.assertEqual((rows["Security Updates"]["updates"], rows["Updates"]["updates"]), (0, 3))
        self.parent.assert_well_behaved(self)

    def test_select_shows_what_it_brings_before_it_does(self):
        said = self.place("product", "select", "Desk Writer", "--dry-run").stdout
        self.assertEqual(said, "Desk Writer: adds 50 updates (exact) and about 168 KB of files (estimate from 40 samples)\nnothing was changed\n")
        said = self.place("product", "select", "Desk Reader", "Tools", "Desk").stdout.splitlines()
        self.assertEqual(said[0], "Desk (and the 2 below it): adds 53 updates (exact) and about "
                                  + said[0].split("about ")[1])
        self.assertEqual(said[1:4], ["Desk Reader: adds 3 updates (exact) and 32 KB of files", "Tools: the server above has no updates of it",
                                     "no classification is selected, so all of them are asked for; `wsusctl classification list` shows them"])
        rows = self.place.json("product", "select", "Desk Writer")
        self.assertEqual([(r["title"], r["selected"], r["updates"], r["estimated"]) for r in rows], [("Desk Writer", True, 50, True)])
        everything = self.place.json("product", "select", "--all", "--dry-run")
        self.assertEqual([(r["title"], r["selected"], r["updates"]) for r in everything], [("everything", False, 53)])
        self.parent.assert_well_behaved(self)
        self.place.audit()

    def test_a_server_that_sends_few_documents_at_a_time_is_asked_again(self):
        self.parent.batch = 7
        self.assertEqual(self.figures(self.rows("--count", "Writer")["Desk Writer"])[3], 40)
        self.parent.limit = 10
        self.place("upstream", "none")
        self.place("upstream", "set", self.parent.url, "--no-check")
        self.assertEqual(self.figures(self.rows("--count", "Writer")["Desk Writer"])[3], 40)
        self.parent.assert_well_behaved(self)

    def test_a_cookie_that_is_refused_is_renewed(self):
        synchronize(self.place)
        self.parent.expire_cookies()
        self.assertEqual(self.rows("--count", "Reader")["Desk Reader"]["updates"], 3)
        self.parent.assert_well_behaved(self)

    def test_a_server_that_hands_out_no_documents_leaves_the_number(self):
        self.parent.on("GetUpdateData", fault="InternalServerError", times=1000)
        row = self.rows("--count", "Writer")["Desk Writer"]
        self.assertEqual(self.figures(row), (50, None, True, 0))
        self.assertRegex(self.place("product", "list", "writer").stdout, r"(?m)^    Desk Writer +no +50  - ")

    def test_one_that_is_away_leaves_everything_as_it_was(self):
        self.place("product", "list", "--count")
        before = self.rows()
        self.parent.stop()
        done = self.place("product", "select", "Desk Writer", status=1)
        self.assertIn("nothing was chosen; --no-count chooses without", done.stderr)
        self.assertEqual(self.rows(), before)
        self.place("product", "select", "Desk Writer", "--no-count")
        self.assertTrue(self.rows()["Desk Writer"]["selected"])

    # holds: WSUSSS-DSS-META-12
    def test_what_is_chosen_comes_and_what_is_added_later_comes_whole(self):
        here = self.here
        synchronize(self.place)
        self.assertEqual(here(), set())
        self.place("product", "select", "Desk Reader", "--no-count")
        synchronize(self.place)
        self.assertEqual(here(), {number(n) for n in (200, 201, 202)})
        self.assertTrue(self.rows()["Desk Reader"]["covered"])
        self.assertFalse(self.rows()["Desk Writer"]["covered"])
        self.place("product", "select", "Desk Writer", "--no-count")
        synchronize(self.place)
        self.assertEqual(here(), {number(n) for n in (200, 201, 202, *range(100, 150))})
        self.place("product", "deselect", "Desk Reader")
        self.parent.add(document(number(203), 200, categories=(READER, UPDATES)))
        self.parent.add(document(number(150), 200, categories=(WRITER, SECURITY)))
        synchronize(self.place)
        self.assertEqual(here(), {number(n) for n in (200, 201, 202, *range(100, 151))})
        self.place("product", "select", "--all", "--no-count")
        synchronize(self.place)
        self.assertEqual(here(), {number(n) for n in (200, 201, 202, 203, *range(100, 151))})
        self.parent.assert_well_behaved(self)
        self.place.audit()

    # holds: WSUSSS-TIMERS-07
    def test_a_store_that_is_made_anew_is_filled_again(self):
        self.place("product", "select", "Desk Reader", "--no-count")
        synchronize(self.place)
        self.place("store", "reset", "--keep-policy")
        self.assertEqual(self.here(), set())
        self.assertIsNone(self.place.json("upstream", "show")["update_anchor"])
        self.assertEqual(self.place.json("upstream", "show")["url"], self.parent.url)
        synchronize(self.place)
        synchronize(self.place)
        self.assertEqual(self.here(), {number(n) for n in (200, 201, 202)})


class Instances(unittest.TestCase):
    """The sample catalog of a server of ours, and one below it."""

    def test_the_sample_catalog_is_counted_as_it_is(self):
        with Instance("none") as above:
            above.ctl("update", "import", documents())
            above.ctl("config", "set", "downstream.admission", "open")
            place = Place(filled=False)
            place("upstream", "set", f"http://127.0.0.1:{above.port}", "--no-check")
            synchronize(place)
            rows = {r["title"]: r for r in place.json("product", "list", "--count")}
            self.assertEqual({r["id"] for r in rows.values()}, {r["id"] for r in above.ctl_json("product", "list")})
            self.assertTrue(all(r["counted"] for r in rows.values()))
            most = max(rows.values(), key=lambda r: r["updates"])
            self.assertEqual(most["type"], "company")
            place("product", "select", most["id"], "--no-count")
            place("classification", "deselect", "--all")
            synchronize(place)
            n = place.json("store", "stat")
            kinds = place.json("update", "list", "--all")
            self.assertEqual(sum(r["type"] in ("Software", "Driver") for r in kinds), most["updates"], n)
            if not most["estimated"]:
                return
            files = {f["sha1"]: f["size"] for r in kinds if r["type"] in ("Software", "Driver")
                     for f in place.json("update", "show", f"{r['id']}:{r['revision']}")["files"]}
            self.assertGreater(most["file_bytes"], sum(files.values()) / 4)
            self.assertLess(most["file_bytes"], sum(files.values()) * 4)


if __name__ == "__main__":
    unittest.main()
