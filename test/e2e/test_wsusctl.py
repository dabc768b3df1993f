"""test_wsusctl.py -- every command of wsusctl with good and wrong input: what it prints for people and for programs, its
exit status (0 done, 1 failed, 2 wrong usage), that errors name the remedy, and that killing it harms nothing."""
import base64
import datetime
import fcntl
import getpass
import hashlib
import json
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import stat
import struct
import subprocess
import termios
import threading
import time
import unittest
import uuid

import harness
from harness import ROOT, Computer, Instance, run, temporary

# A copy, so that another user can run it wherever the clone is.
CTL = shutil.copy(os.environ.get("WSUSCTL") or ROOT / "bin/wsusctl", temporary())
shutil.copy(ROOT / "bin/wsus-sync", os.path.dirname(CTL))
NOWHERE = str(uuid.UUID(int=1))


class Place:
    """A state directory with a store and no servers."""

    def __init__(self, filled=True):
        self.state = temporary()
        self.store = self.state / "store"
        if filled:
            shutil.copytree(master().store, self.store)
        else:
            self("store", "create", self.store)

    def __call__(self, *arguments, status=0, **kw):
        done = run(CTL, "--store", self.store, *arguments, check=False, **kw)
        if done.returncode != status:
            raise AssertionError(f"wsusctl {' '.join(map(str, arguments))}: status {done.returncode}, not {status}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def json(self, *arguments, status=0):
        done = self(*arguments, "--json", status=status)
        return json.loads(done.stdout)

    def noted(self):
        """What the record of changes says, without the loading of the sample."""
        return [r["what"] for r in self.json("store", "history") if not r["what"].startswith("update import: ")]

    def wrong(self, *arguments, status=1, **kw):
        """The words of a failure: one line that begins with our name, nothing on standard output."""
        done = self(*arguments, status=status, **kw)
        if done.stdout or not done.stderr.startswith("wsusctl: "):
            raise AssertionError(f"out: {done.stdout!r} err: {done.stderr!r}")
        return done.stderr

    def audit(self):
        self("store", "audit")

    def generation(self):
        return self.json("store", "stat")["generation"]


def documents():
    return harness.sample("--revisions", "300", "--content", "--languages", "2")


def master():
    """A store with the sample catalog, only to be copied."""
    if "wsusctl" not in harness._shared:
        place = Place(filled=False)
        place("update", "import", documents() / "updates")
        harness._shared["wsusctl"] = place
    return harness._shared["wsusctl"]


def on_terminal(width, *command):
    """What a program prints on a terminal of this width, and its status."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        os.execv(command[0], [str(c) for c in command])
    text = b""
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(fd)
    return text.decode().replace("\r\n", "\n"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def commands():
    """Noun and verb of each command, from the program itself."""
    return [re.split("  +", line.strip())[0] for line in run(CTL, "help").stdout.splitlines() if re.match(r"  [a-z]", line)]


class Words(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place()

    def test_help_explains_every_command_and_changes_nothing(self):
        place = Place()
        names = commands()
        self.assertGreater(len(names), 25)
        everything = run(CTL, "help").stdout
        self.assertEqual(run(CTL, "--help").stdout, everything)
        for name in names:
            noun, *verb = name.split()
            alone = run(CTL, *name.split(), "--help").stdout
            self.assertIn(f"wsusctl {name}", alone)
            self.assertEqual(alone.count("\n  wsusctl "), 0, "only this command")
            self.assertIn("--store DIR", alone)
            self.assertEqual(run(CTL, "help", *name.split()).stdout, alone)
            self.assertIn(f"wsusctl {name}", run(CTL, noun, "help").stdout)
            # in the middle of anything else it explains, too, and does nothing
            self.assertEqual(place(*name.split(), "--help", "x", "y", "--group", "z").stdout, alone)
        self.assertEqual(place.noted(), [])

    def test_no_words_at_all_is_wrong_usage(self):
        done = run(CTL, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage: wsusctl", done.stdout)

    def test_wrong_words_are_status_2_and_say_where_help_is(self):
        for arguments, words in (
                (["--json"], "no command given; try `wsusctl help`"), (["--"], "no command given"),
                (["nonsense"], 'no command "nonsense"; try `wsusctl help`'),
                (["update"], 'update what?  `wsusctl update help` lists its commands'),
                (["update", "destroy"], 'no command "update destroy"; try `wsusctl update help`'),
                (["help", "nonsense"], 'no command "nonsense"'),
                (["update", "list", "--nonsense"], "update list has no option --nonsense; `wsusctl update list --help`"),
                (["update", "list", "--nonsense=5"], "has no option --nonsense;"),
                (["update", "list", "-v"], "has no option -v;"),
                (["approve", "x", "--Group", "all"], "approve has no option --Group; `wsusctl approve --help`"),
                (["--all", "update", "list"], "options of a command stand behind it"),
                (["update", "show"], "too few arguments; the form is: wsusctl update show ID"),
                (["update", "show", "a", "b"], "too many arguments; the form is: wsusctl update show ID"),
                (["update", "list", "--type"], "--type needs a value: TYPE"),
                (["update", "list", "--all=yes"], "--all takes no value"),
                (["store", "stat", *(["--json"] * 70)], "more than 64 options"),
        ):
            with self.subTest(arguments=arguments):
                self.assertIn(words, self.place.wrong(*arguments, status=2))

    def test_options_stand_anywhere_and_two_dashes_end_them(self):
        plain = self.place("update", "list", "Planner").stdout
        self.assertEqual(run(CTL, "update", "--store", self.place.store, "list", "Planner", check=False).returncode, 2)
        self.assertEqual(run(CTL, "update", "list", f"--store={self.place.store}", "Planner").stdout, plain)
        self.assertEqual(run(CTL, "update", "list", "--", "--type", env=os.environ | {"WSUS_STORE": str(self.place.store)}).stdout,
                         "none\n")

    def test_a_store_is_found_and_a_missing_one_is_named_with_the_remedy(self):
        for where in (self.place.store, self.place.state):
            self.assertEqual(run(CTL, "store", "audit", env=os.environ | {"WSUS_STORE": str(where)}).returncode, 0)
        (self.place.state / "var").mkdir(exist_ok=True)
        if not (self.place.state / "var/store").exists():
            (self.place.state / "var/store").symlink_to(self.place.store)
        bare = {k: v for k, v in os.environ.items() if k != "WSUS_STORE"}
        self.assertEqual(run(CTL, "store", "audit", env=bare, cwd=self.place.state).returncode, 0)
        done = run(CTL, "--store", "/nonexistent", "store", "stat", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent: no store here; give its place with --store DIR, or make one: wsusctl store create",
                      done.stderr)

    def test_an_answer_that_cannot_be_written_is_a_failure_in_words(self):
        for arguments in (["update", "list"], ["update", "list", "--json"], ["help"], ["update", "help"],
                          ["update", "show", "KB5000013", "--fragment", "core"], ["config", "set", "server.name", "a"],
                          ["undecline", "KB5000013"], ["store", "audit"]):
            with self.subTest(arguments=arguments), open("/dev/full", "w") as full:
                done = subprocess.run([str(CTL), "--store", str(self.place.store), *arguments], stdout=full,
                                      stderr=subprocess.PIPE, text=True)
                self.assertEqual(done.returncode, 1)
                self.assertIn("standard output", done.stderr)
                if arguments[:2] == ["config", "set"]:
                    self.assertIn("all was done, but", done.stderr)
        self.assertEqual(self.place("config", "get", "server.name").stdout, "a\n")

    def test_control_characters_of_names_are_shown_and_not_sent(self):
        folder = self.place.state / "odd"
        folder.mkdir()
        name = "a\x1b[31m\nb.xml"
        (folder / name).write_text("no document")
        done = self.place("update", "import", folder, status=1)
        self.assertIn("a\\x1b[31m\\x0ab.xml: refused", done.stderr)
        for arguments in (["update", "import", folder / "\x1b]0;x"], ["group", "delete", "\x1b[2J"], ["update", "show", "\x1b[2Jx"],
                          ["\x1b[2J"], ["config", "get", "\x9b2J"]):
            done = self.place(*arguments, status=2 if len(arguments) == 1 else 1)
            self.assertNotRegex(done.stdout + done.stderr, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")

    def test_tables_fit_the_terminal(self):
        self.place("approve", "KB5000001", "--group", "all")
        for arguments in (["update", "list"], ["config", "show"], ["group", "list"], ["store", "history"], ["eula", "list"],
                          ["update", "show", "KB5000013"], ["update", "show", "KB5000001"]):
            for width in (80, 100, 132):
                with self.subTest(arguments=arguments, width=width):
                    text, status = on_terminal(width, CTL, "--store", self.place.store, *arguments)
                    self.assertEqual(status, 0)
                    self.assertLessEqual(max(map(len, text.splitlines())), width)
        text, _ = on_terminal(60, CTL, "--store", self.place.store, "config", "show")
        self.assertLessEqual(max(map(len, text.splitlines())), 70)
        # what a setting is for is never cut
        words = " ".join(text.split())
        for row in self.place.json("config", "show"):
            self.assertIn(row["why"], words)
        text, _ = on_terminal(100, CTL, "--store", self.place.store, "update", "list")
        head = text.splitlines()[0].split()
        self.assertEqual(head, ["UPDATE", "REV", "KB", "STATE", "APPROVED", "TITLE"])
        self.assertIn("\u2026", text)
        self.assertGreaterEqual(100 - text.splitlines()[0].index("TITLE"), 24)
        # into a file or a pipe goes everything
        self.assertNotIn("\u2026", self.place("update", "list").stdout)

    def test_progress_is_for_terminals_only(self):
        place = Place(filled=False)
        text, status = on_terminal(100, CTL, "--store", place.store, "update", "import", documents() / "updates")
        self.assertEqual(status, 0)
        self.assertRegex(text, r"\d+ of 300 documents \(\d+ %\), \d+ a second, 0 refused")
        self.assertEqual(place("update", "import", documents() / "updates").stderr, "")

    def test_who_did_it_is_recorded(self):
        place = Place()
        place("group", "create", "A", "--admin", "Ada")
        place("group", "create", "B", env=os.environ | {"SUDO_USER": "grace"})
        bare = {k: v for k, v in os.environ.items() if k not in ("SUDO_USER", "LOGNAME", "USER")}
        place("group", "create", "C", env=bare | {"LOGNAME": "edsger"})
        place("group", "create", "D", env=bare)
        rows = place.json("store", "history")[1:]
        self.assertEqual([(r["admin"], r["what"]) for r in rows],
                         [("Ada", 'group create "A"'), ("grace", 'group create "B"'), ("edsger", 'group create "C"'),
                          (getpass.getuser() if not bare.get("USER") else "root", 'group create "D"')])
        self.assertTrue(all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", r["time"]) for r in rows))


class Manual(unittest.TestCase):
    """The pages in doc/ and the program's own tables say the same."""

    def entries(self, page):
        """First words of each list entry -> its text, escapes resolved."""
        found = {}
        names = []
        for line in (ROOT / "doc" / page).read_text().replace("\\e", "\\").splitlines():
            if line.startswith(".It Cm "):
                words = re.split(r" (?:Ar|Fl|Oo|Op|Oc|Ns|Pa|:) ", line[7:] + " Ar ", maxsplit=1)[0].strip()
                names = [words]
                found[words] = line
            elif line.startswith((".It ", ".El", ".Ss", ".Sh")):
                names = []
            for name in names:
                found[name] += "\n" + line
        return found

    def test_every_command_with_its_options_is_in_the_page_and_no_other(self):
        page = self.entries("wsusctl.8")
        self.assertEqual(set(page), set(commands()))
        before_commands = (ROOT / "doc/wsusctl.8").read_text().partition("\n.Ss ")[0]
        everywhere = set(re.findall(r"^\.It Fl -([a-z-]+)", before_commands, re.M))
        for name in commands():
            own, general = run(CTL, *name.split(), "--help").stdout.split("  everywhere:\n")
            self.assertEqual(everywhere, set(re.findall(r"^      --([a-z-]+)", general, re.M)))
            options = set(re.findall(r"^      --([a-z-]+)", own, re.M))
            self.assertEqual(set(re.findall(r"Fl -([a-z-]+)", page[name])), options, name)
            arguments = re.findall(r"[A-Z][A-Z0-9-]+", own.splitlines()[0].replace(f"wsusctl {name}", ""))
            head = page[name].splitlines()[0]
            for argument in arguments:
                self.assertRegex(head, rf"\b{argument}\b")

    def test_every_setting_is_in_its_page_and_no_other(self):
        page = self.entries("wsus-settings.5")
        rows = {r["name"]: r for r in Place(filled=False).json("config", "show")}
        self.assertEqual(set(page), set(rows))
        for name, row in rows.items():
            unit = " " + row["unit"] if row["unit"] else ""
            self.assertIn(f"\n.D1 Values: {row['values']}; default: {row['default'] or 'empty'}{unit}\n", page[name])
            self.assertIn(row["why"][1:], page[name])

    def test_every_database_is_in_the_page_and_no_other(self):
        source = (ROOT / "store/store.c").read_text()
        names = re.findall(r'^\t\[DB_[A-Z_]+\] = \{"([a-z_]+)"', source, re.M)
        self.assertGreater(len(names), 20)
        self.assertEqual(list(self.entries("wsus-store.5")), [*names, "event_0"])  # the ring of events has one entry

    def test_the_page_of_the_store_tells_modes_and_offsets_as_they_are(self):
        page = (ROOT / "doc/wsus-store.5").read_text()
        place = Place(filled=False)
        for folder, words in (("catalog", r"mode 2750,\n\.Pa data\.mdb\n0640"), ("fleet", r"mode 2770,\n\.Pa data\.mdb\n0660")):
            self.assertRegex(page, words)
            modes = [f"{stat.S_IMODE((place.store / folder / f).stat().st_mode):04o}" for f in ("", "data.mdb", "lock.mdb")]
            self.assertEqual(modes, {"catalog": ["2750", "0640", "0660"], "fleet": ["2770", "0660", "0660"]}[folder])
        source = (ROOT / "common/cookie.c").read_text().split("#include")[0]
        offsets = lambda text: re.findall(r"\b(\d\d?)  +(u8|u32|u64|i64|guid)\b", text)
        told = offsets(page.split("authorization cookie            cookie")[1])
        self.assertEqual(sorted((int(n), w.replace("i64", "u64")) for n, w in offsets(source)), sorted((int(n), w) for n, w in told))


class Updates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place()
        cls.all = cls.place.json("update", "list", "--all")

    def files(self):
        return sorted((documents() / "updates").rglob("*.xml"))

    def test_list_and_its_filters_agree(self):
        listed = self.place.json("update", "list")
        self.assertEqual(len(self.all), 300)
        self.assertEqual(set(listed[0]), {"id", "revision", "kb", "type", "state", "approvals", "created", "title"})
        self.assertTrue(all(r["type"] in ("Software", "Driver") for r in listed))
        for word, name in (("software", "Software"), ("driver", "Driver"), ("category", "Category"), ("DETECTOID", "Detectoid")):
            rows = self.place.json("update", "list", "--type", word)
            highest = {}
            for r in (r for r in self.all if r["type"] == name):
                highest[r["id"]] = max(highest.get(r["id"], 0), r["revision"])
            self.assertEqual({(r["id"], r["revision"]) for r in rows}, set(highest.items()))
        self.assertIn("software, driver, category or detectoid", self.place.wrong("update", "list", "--type", "sofware", status=2))
        part = self.place.json("update", "list", "pLANNER")
        self.assertEqual(part, [r for r in listed if "planner" in r["title"].lower()])
        self.assertEqual(self.place.json("update", "list", "no such title"), [])
        self.assertEqual(self.place("update", "list", "no such title").stdout, "none\n")
        text = self.place("update", "list").stdout.splitlines()
        self.assertEqual(len(text), len(listed) + 1)

    def test_an_update_is_named_in_every_way(self):
        row = next(r for r in self.place.json("update", "list") if r["kb"] and r["type"] == "Software")
        first = self.place.json("update", "show", row["id"])
        for name in (row["id"].upper(), f"{row['id']}:{row['revision']}", f"{row['id']}:0", row["kb"], f"KB{row['kb']}", f"kb{row['kb']}",
                     row["title"], row["title"].upper(), f"(KB{row['kb']})"):
            self.assertEqual(self.place.json("update", "show", name), first, name)
        self.assertEqual((first["id"], first["revision"], first["kb"], first["title"]),
                         (row["id"], row["revision"], row["kb"], row["title"]))
        older = next(r for r in self.all if any(o["id"] == r["id"] and o["revision"] > r["revision"] for o in self.all))
        self.assertEqual(self.place.json("update", "show", f"{older['id']}:{older['revision']}")["revision"], older["revision"])
        self.assertGreater(self.place.json("update", "show", older["id"])["revision"], older["revision"])

    def test_wrong_names_of_updates(self):
        for name, status, words in ((NOWHERE, 1, "see `wsusctl update list`"), ("KB9999999", 1, "no update fits"),
                                    ("no such title", 1, "see `wsusctl update list`"), ("ab", 2, "too short"), ("", 2, "too short"),
                                    (f"{self.all[0]['id']}:x", 2, "no revision number"), (f"{self.all[0]['id']}:-1", 2, "revision number"),
                                    (f"{self.all[0]['id']}:99999", 1, "see `wsusctl update list`")):
            with self.subTest(name=name):
                self.assertIn(words, self.place.wrong("update", "show", name, status=status))

    def test_an_ambiguous_name_lists_its_candidates(self):
        fitting = [r for r in self.place.json("update", "list", "Harbour Planner") if r["type"] == "Software"]
        self.assertGreater(len(fitting), 1)
        lines = self.place.wrong("update", "show", "Harbour Planner for").splitlines()
        self.assertRegex(lines[0], r'^wsusctl: "Harbour Planner for" fits (more than )?\d+ updates; name one by its id:$')
        self.assertEqual({line.split()[0] for line in lines[1:] if line.strip() != "..."} - {r["id"] for r in fitting}, set())
        lines = self.place.wrong("update", "show", "Update").splitlines()
        self.assertIn("more than 12", lines[0])
        self.assertEqual(len(lines), 1 + 12 + 1)

    def test_show_says_what_the_document_says(self):
        row = next(r for r in self.place.json("update", "list") if r["kb"] == "5000013")
        shown = self.place.json("update", "show", row["id"])
        document = harness.parse(next(p for p in self.files() if p.name.startswith(row["id"])).read_bytes())
        properties = harness.find_all(document, "Properties")[0]
        self.assertEqual(shown["type"], properties.get("UpdateType"))
        self.assertEqual(shown["language"], properties.get("DefaultPropertiesLanguage"))
        self.assertEqual(shown["created"], properties.get("CreationDate"))
        self.assertEqual(shown["eula"], properties.get("EulaID").lower())
        self.assertIs(shown["explicitly_deployable"], True)
        wanted = {(e.get("FileName"), int(e.get("Size")), base64.b64decode(e.get("Digest")).hex().upper())
                  for e in document.iter("{*}File", "{*}EulaFile")}
        self.assertEqual({(f["name"], f["size"], f["sha1"]) for f in shown["files"]}, wanted)
        needs = {e.get("UpdateID").lower() for e in document.iterfind(".//{*}Prerequisites//{*}UpdateIdentity")}
        self.assertEqual({r["update"] for r in shown["relations"] if r["relation"] == "needs"}, needs)
        contains = {(e.get("UpdateID").lower(), int(e.get("RevisionNumber")))
                    for e in document.iterfind(".//{*}BundledUpdates//{*}UpdateIdentity")}
        self.assertEqual({(r["update"], r["revision"]) for r in shown["relations"] if r["relation"] == "contains"}, contains)
        languages = {e.text for e in document.iterfind(".//{*}LocalizedProperties/{*}Language")}
        self.assertEqual({r["language"] for r in shown["languages"] if r["kind"] == "text"}, languages)
        text = self.place("update", "show", row["id"]).stdout
        for heading in ("\nApprovals\nnone\n", "\nFiles\n", "\nRelations\n", "\nLanguages\n"):
            self.assertIn(heading, text)

    def test_every_kind_of_fragment(self):
        row = next(r for r in self.place.json("update", "list") if r["kb"] == "5000013")
        path = next(p for p in self.files() if p.name.startswith(row["id"]))
        original = self.place("update", "show", row["id"], "--fragment", "original").stdout
        self.assertEqual(original, path.read_text(encoding="utf-8"))
        for what, start in (("core", "<UpdateIdentity "), ("extended", "<ExtendedProperties "), ("localized:en", "<LocalizedProperties><Language>en<"),
                            ("localized:EN", "<LocalizedProperties><Language>en<"), ("eula:en", "<EulaFile "), ("eula:en:USA", "<EulaFile ")):
            got = self.place("update", "show", row["id"], "--fragment", what).stdout
            self.assertTrue(got.startswith(start), what)
            harness.parse(f"<x>{got}</x>".encode())
        self.assertNotEqual(self.place("update", "show", row["id"], "--fragment", "eula:en").stdout,
                            self.place("update", "show", row["id"], "--fragment", "eula:en:USA").stdout)
        for what in ("localized:xx", "eula:en:XYZ", "eula:de"):
            self.assertIn("lists its languages", self.place.wrong("update", "show", row["id"], "--fragment", what))
        for what in ("", "kernel", "core:en", "localized", "eula", "Core"):
            self.assertIn("one of core, extended, original, localized:LANG, eula:LANG[:GEO]",
                          self.place.wrong("update", "show", row["id"], "--fragment", what, status=2))


class Import(unittest.TestCase):
    def setUp(self):
        self.place = Place(filled=False)
        self.folder = self.place.state / "in"
        self.folder.mkdir()
        self.good = sorted((documents() / "updates").rglob("*.xml"))[:5]

    def put(self, name, data):
        (self.folder / name).write_bytes(data)

    # holds: WUSP-POPULATE-42
    def test_bad_documents_among_good_ones(self):
        for i, path in enumerate(self.good):
            shutil.copy(path, self.folder / f"good{i}.xml")
        text = self.good[0].read_bytes()
        self.put("bad-cut.xml", self.good[1].read_bytes()[:700])
        self.put("bad-words.xml", b"these are words")
        self.put("bad-empty.xml", b"")
        self.put("bad-dtd.xml", b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + text)
        self.put("bad-latin1.xml", '<?xml version="1.0" encoding="iso-8859-1"?><a>\u00e9</a>'.encode("latin-1"))
        self.put("bad-bytes.xml", text.replace(b"Update for", b"Update \xff\xfe for", 1))
        self.put("bad-other.xml", b"<html><body>Not found</body></html>")
        self.put("later-twin.xml", text.replace(b"</", b" </", 1))
        self.put("ignored.txt", b"not looked at")
        done = self.place("update", "import", self.folder, "--json", status=1)
        summary = json.loads(done.stdout)
        self.assertEqual((summary["new"], summary["known"], summary["refused"]), (5, 0, 8))
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 8)
        for name in ("cut", "words", "empty", "dtd", "latin1", "bytes", "other", "twin"):
            line = next(line for line in lines if f"-{name}.xml: refused: " in line)
            self.assertGreater(len(line.split("refused: ", 1)[1]), 10, line)
        self.assertIn("other content", next(line for line in lines if "twin" in line))
        self.assertNotIn("ignored", done.stderr)
        self.assertEqual(len(self.place.json("update", "list", "--all")), 5)
        self.place.audit()
        # again: the good ones are known, the bad ones bad
        again = json.loads(self.place("update", "import", self.folder, "--json", status=1).stdout)
        self.assertEqual((again["new"], again["known"], again["refused"]), (0, 5, 8))

    # holds: WUSP-POPULATE-04
    def test_again_is_harmless_and_keeps_every_number(self):
        folder = documents() / "updates"
        self.assertEqual(self.place.json("update", "import", folder)["new"], 300)
        before = {(r["id"], r["revision"]): self.place.json("update", "show", f"{r['id']}:{r['revision']}")["revision_id"]
                  for r in self.place.json("update", "list", "--all")[:30]}
        epoch = self.place.json("store", "stat")["epoch"]
        noted = self.place.json("store", "history")
        self.assertEqual([r["what"] for r in noted], ["update import: 300 new"])
        again = self.place.json("update", "import", folder)
        self.assertEqual((again["new"], again["known"], again["refused"]), (0, 300, 0))
        self.assertEqual(self.place.json("store", "stat")["epoch"], epoch)
        self.assertEqual(self.place.json("store", "history"), noted)
        for (update, number), revision in before.items():
            self.assertEqual(self.place.json("update", "show", f"{update}:{number}")["revision_id"], revision)

    def test_a_file_that_is_named_is_meant_whatever_it_is_called(self):
        odd = self.folder / "document.txt"
        shutil.copy(self.good[0], odd)
        self.assertEqual(self.place.json("update", "import", odd, self.good[1])["new"], 2)

    def test_nothing_to_import_is_a_failure(self):
        done = self.place("update", "import", self.folder, status=1)
        self.assertIn("nothing to import", done.stderr)
        done = self.place("update", "import", self.folder / "missing", status=1)
        self.assertIn("missing: No such file or directory", done.stderr)
        done = self.place("update", "import", self.folder / "missing", self.good[0], "--json", status=1)
        self.assertEqual(json.loads(done.stdout)["new"], 1)
        self.assertIn("too few arguments", self.place.wrong("update", "import", status=2))

    @unittest.skipUnless(os.geteuid() == 0, "gives up root for a user who may not read")
    def test_unreadable_places_are_named_and_the_rest_is_loaded(self):
        shutil.copy(self.good[0], self.folder / "a.xml")
        closed = self.folder / "closed"
        closed.mkdir(mode=0o700)
        shutil.copy(self.good[1], self.folder / "b.xml")
        (self.folder / "b.xml").chmod(0o600)
        for path in (self.place.store, *self.place.store.rglob("*")):
            os.chown(path, 65534, 65534)
        done = self.place("update", "import", self.folder, "--json", status=1, user=65534, group=65534, extra_groups=[])
        self.assertEqual(json.loads(done.stdout)["new"], 1)
        self.assertIn("closed: Permission denied", done.stderr)
        self.assertIn("b.xml: Permission denied", done.stderr)

    def test_two_imports_at_once_are_refused_with_the_remedy(self):
        with open(self.place.store / "catalog/import.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("another import is running; try again when it is done",
                          self.place.wrong("update", "import", self.good[0]))
        self.place("update", "import", self.good[0])


class Policy(unittest.TestCase):
    def setUp(self):
        self.place = Place()

    def updates(self, eula=False, n=1):
        """Offered software updates that wait for their files, with or without a EULA."""
        found = []
        for row in self.place.json("update", "list", "--type", "software"):
            shown = self.place.json("update", "show", row["id"])
            if row["state"] == "offered" and shown["explicitly_deployable"] and bool(shown.get("eula")) == eula:
                found.append(shown)
                if len(found) == n:
                    return found
        self.fail("the sample has not so many such updates")

    def state(self, update):
        return [a["state"] for a in self.place.json("update", "show", update)["approvals"]]

    # holds: WUSP-ADM-16
    def test_an_approval_is_shown_with_all_it_was_given(self):
        update = self.updates()[0]["id"]
        for action, word in (("install", "install"), ("optional", "optional"), ("uninstall", "uninstall"), ("detect", "detect"),
                             ("block", "block"), ("OptionalInstall", "optional"), ("Install", "install"),
                             ("PreDeploymentCheck", "detect")):
            for priority in ("normal", "high", "low"):
                rows = self.place.json("approve", update, "--group", "all", "--action", action, "--priority", priority,
                                       "--deadline", "2031-12-24T18:00", "--admin", "Ada")
                self.assertEqual(len(rows), 1, "one approval for an update and a group")
                self.assertEqual({k: rows[0][k] for k in ("group", "action", "priority", "deadline", "by")},
                                 {"group": "All Computers", "action": word, "priority": priority,
                                  "deadline": "2031-12-24T18:00:00Z", "by": "Ada"})
                self.assertEqual(self.place.json("update", "show", update)["approvals"], rows)
        self.assertEqual(next(r for r in self.place.json("update", "list", "--approved"))["id"], update)
        text = self.place("approve", update, "--group", "all").stdout
        self.assertIn("approved, waiting for ", text)

    def test_several_groups_in_one_command_all_or_none(self):
        update = self.updates()[0]["id"]
        self.place("group", "create", "A")
        self.place("group", "create", "B")
        self.assertIn("wsusctl group create", self.place.wrong("approve", update, "--group", "A", "--group", "Nobody"))
        self.assertEqual(self.state(update), [])
        rows = self.place.json("approve", update, "--group", "a", "--group", "B")
        self.assertEqual({r["group"] for r in rows}, {"A", "B"})
        self.assertIn("not approved for \"All Computers\"", self.place.wrong("unapprove", update, "--group", "A", "--group", "All Computers"))
        self.assertEqual(len(self.state(update)), 2)
        self.assertEqual([r["group"] for r in self.place.json("unapprove", update, "--group", "A")], ["B"])
        self.assertIn("none", self.place("unapprove", update, "--group", "B").stdout)

    def test_wrong_approvals(self):
        update = self.updates()[0]["id"]
        for options, status, words in (
                ([], 2, "say for whom: --group NAME"),
                (["--group", "all", "--action", "approve"], 2, "one of install, optional, uninstall, detect, block"),
                (["--group", "all", "--priority", "medium"], 2, "one of high, normal, low"),
                (["--group", "Nobody"], 1, "`wsusctl group create` makes one"),
                (["--group", "all", "--deadline", "tomorrow"], 2, "a time is written 2026-12-24"),
                (["--group", "all", "--deadline", "2031-13-01"], 2, "a time is written"),
                (["--group", "all", "--deadline", "2031-02-30"], 2, "a time is written"),
                (["--group", "all", "--deadline", ""], 2, "a time is written"),
                (["--group", "all", "--deadline", "+7"], 2, "written +30m, +12h, +7d or +2w"),
                (["--group", "all", "--deadline", "+d"], 2, "written +30m"),
                (["--group", "all", "--deadline", "+-5d"], 2, "written +30m"),
                (["--group", "all", "--deadline", "+99999999999999999999d"], 2, "written +30m"),
                (["--group", "all", "--go-live", "+7days"], 2, "written +30m"),
                (["--group", "all", "--deadline", "1931-01-01"], 1, "lies between 1970 and 9999"),
        ):
            with self.subTest(options=options):
                self.assertIn(words, self.place.wrong("approve", update, *options, status=status))
        category = self.place.json("update", "list", "--type", "category")[0]
        self.assertIn("only updates are approved", self.place.wrong("approve", category["id"], "--group", "all"))
        self.assertEqual(self.place.noted(), [])
        self.assertEqual(self.state(update), [])

    def test_times_are_read_as_they_are_meant(self):
        update = self.updates()[0]["id"]
        for text, wanted in (("2031-12-24", "2031-12-24T00:00:00Z"), ("2031-12-24T18:00", "2031-12-24T18:00:00Z"),
                             ("2031-12-24T18:00:30Z", "2031-12-24T18:00:30Z"), ("2031-12-24T18:00:00+02:00", "2031-12-24T16:00:00Z")):
            self.assertEqual(self.place.json("approve", update, "--group", "all", "--deadline", text)[0]["deadline"], wanted)
        for text, seconds in (("+30m", 1800), ("+12h", 43200), ("+7d", 604800), ("+2w", 1209600)):
            before = datetime.datetime.now(datetime.timezone.utc)
            got = self.place.json("approve", update, "--group", "all", "--deadline", text)[0]["deadline"]
            after = datetime.datetime.now(datetime.timezone.utc)
            got = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", got).replace("Z", "+00:00"))
            slack = datetime.timedelta(milliseconds=1)
            self.assertTrue(before - slack <= got - datetime.timedelta(seconds=seconds) <= after + slack, text)

    # holds: WUSP-CONTENT-11
    def test_an_approval_waits_for_its_files_and_says_so(self):
        update = self.updates()[0]["id"]
        row = self.place.json("approve", update, "--group", "all")[0]
        self.assertGreater(row["missing_files"], 0)
        self.assertRegex(row["state"], rf"^approved, waiting for {row['missing_files']} files?, [\d.]+ ([KMG]?B)$")
        self.assertIn(row["state"], self.place("update", "show", update).stdout)
        status = self.place.json("content", "status")
        self.assertEqual((status["waiting_approvals"], status["missing_files"], status["missing_bytes"]),
                         (1, row["missing_files"], row["missing_bytes"]))
        added = self.place.json("content", "add", documents() / "content")
        self.assertEqual((added["bad"], added["unknown"]), (0, 0))
        self.assertEqual(self.state(update), ["approved"])
        after = self.place.json("content", "status")
        self.assertEqual((after["waiting_approvals"], after["stored"], after["stored_bytes"]),
                         (0, after["files"], after["bytes"]))

    # holds: WUSP-POPULATE-34
    def test_an_approval_waits_for_its_eula(self):
        first, other = self.updates(eula=True, n=2)
        self.place("content", "add", documents() / "content")
        self.assertEqual(self.place.json("approve", first["id"], "--group", "all")[0]["state"],
                         "approved, waiting for its EULA to be accepted")
        rows = {r["update"]: r for r in self.place.json("eula", "list")}
        self.assertEqual((rows[first["id"]]["eula"], rows[first["id"]]["accepted"]), (first["eula"], False))
        accepted = {r["update"]: r["accepted"] for r in self.place.json("eula", "accept", first["id"])}
        self.assertIs(accepted[first["id"]], True)
        self.assertIs(accepted[other["id"]], other["eula"] == first["eula"])
        self.assertEqual(self.state(first["id"]), ["approved"])
        self.assertIs(self.place.json("update", "show", first["id"])["eula_accepted"], True)
        without = self.updates()[0]
        self.assertIn("has no EULA", self.place.wrong("eula", "accept", without["id"]))
        self.assertIn("see `wsusctl update list`", self.place.wrong("eula", "accept", NOWHERE))

    def test_a_decline_removes_approvals_and_refuses_new_ones(self):
        first, other = self.updates(n=2)
        self.place("approve", first["id"], "--group", "all")
        done = self.place("decline", first["id"], other["id"])
        self.assertEqual(done.stdout, f"declined: {first['title']}\ndeclined: {other['title']}\n")
        shown = self.place.json("update", "show", first["id"])
        self.assertEqual((shown["state"], shown["approvals"]), ("declined", []))
        self.assertIsNotNone(shown["declined"])
        self.assertEqual({r["id"] for r in self.place.json("update", "list", "--declined")}, {first["id"], other["id"]})
        self.assertIn(f"first: wsusctl undecline {first['id']}", self.place.wrong("approve", first["id"], "--group", "all"))
        self.assertEqual(self.place("undecline", first["id"]).stdout, f"offered again: {first['title']}\n")
        shown = self.place.json("update", "show", first["id"])
        self.assertEqual((shown["state"], shown["approvals"]), ("offered", []))
        # all or none
        self.place.wrong("decline", first["id"], NOWHERE)
        self.assertEqual(self.place.json("update", "show", first["id"])["state"], "offered")
        self.place.audit()

    def test_the_record_names_updates_by_their_ids(self):
        update, licensed = self.updates()[0], self.updates(eula=True)[0]
        self.place("approve", f"KB{update['kb']}", "--group", "all")
        self.place("unapprove", f"KB{update['kb']}", "--group", "all")
        self.place("decline", f"KB{update['kb']}")
        self.place("undecline", f"KB{update['kb']}")
        self.place("eula", "accept", f"KB{licensed['kb']}")
        self.assertEqual(self.place.noted(), [
            f'approve {update["id"]}:{update["revision"]} for "all": install', f'unapprove {update["id"]} for "all"',
            f"decline {update['id']}", f"undecline {update['id']}", f"eula accept {licensed['eula']} of {licensed['id']}"])

    def test_a_go_live_time_is_reached_by_a_tick_only(self):
        update = self.updates()[0]["id"]
        self.place("content", "add", documents() / "content")
        self.assertRegex(self.place.json("approve", update, "--group", "all", "--go-live", "+1h")[0]["state"],
                         r"^approved, waiting until \d{4}-\d\d-\d\d \d\d:\d\d$")
        self.assertEqual(self.place("store", "tick", "--quiet").stdout, "")
        nothing = self.place.json("store", "tick")
        self.assertEqual((nothing["flipped"], nothing["shown"]), (0, 0))
        # a time that has passed holds at once
        self.assertEqual(self.place.json("approve", update, "--group", "all", "--go-live", "2020-01-01")[0]["state"], "approved")
        soon = time.time() + 2
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(soon + 1))
        made = self.place.json("approve", update, "--group", "all", "--go-live", text)[0]
        harness.wait_for(lambda: time.time() > soon + 2, what="the hour")
        if made["state"] != "approved":  # it was still to come then: nothing but a tick lets it take effect
            self.assertEqual(self.state(update), [made["state"]])
            self.assertIn("took or lost effect", self.place("store", "tick", "--quiet").stdout)
        self.assertEqual(self.state(update), ["approved"])
        self.assertEqual(self.place("store", "tick", "--quiet").stdout, "")


class Groups(unittest.TestCase):
    def setUp(self):
        self.place = Place(filled=False)

    def tree(self):
        return {r["name"]: r["parent"] for r in self.place.json("group", "list")}

    def test_create_move_and_delete(self):
        builtin = self.tree()
        self.assertEqual(set(builtin), {"All Computers", "Unassigned Computers", "Downstream Servers"})
        self.place("group", "create", "Offices")
        self.place("group", "create", "Berlin", "--parent", "offices")
        self.place("group", "create", "Lab", "--parent", "Berlin")
        self.assertEqual(self.tree() | {}, builtin | {"Offices": "All Computers", "Berlin": "Offices", "Lab": "Berlin"})
        rows = self.place.json("group", "move", "Lab")
        self.assertEqual(next(r["parent"] for r in rows if r["name"] == "Lab"), "All Computers")
        self.place("group", "move", "Lab", "--parent", "Berlin")
        self.place("group", "delete", "Berlin")
        self.assertEqual(self.tree(), builtin | {"Offices": "All Computers", "Lab": "Offices"})
        self.assertTrue(all(r["builtin"] == (r["name"] in builtin) for r in self.place.json("group", "list")))
        self.place.audit()

    # holds: WUSP-ADM-11
    def test_wrong_groups(self):
        self.place("group", "create", "A")
        self.place("group", "create", "B", "--parent", "A")
        before = self.place("group", "list").stdout
        for arguments, words in (
                (["group", "create", "a"], "there is a group \"a\" already"),
                (["group", "create", "x" * 256], "1 to 255 bytes"), (["group", "create", ""], "1 to 255 bytes"),
                (["group", "create", "a;b"], "no ';'"), (["group", "create", " a"], "neither begins nor ends with a blank"),
                (["group", "create", b"a\xff"], "UTF-8"), (["group", "create", "a\tb"], "without control characters"),
                (["group", "create", "C", "--parent", "Nobody"], "`wsusctl group list` shows them"),
                (["group", "create", "C", "--parent", "Unassigned Computers"], "no group can stand under"),
                (["group", "create", "C", "--parent", "Downstream Servers"], "no group can stand under"),
                (["group", "move", "A", "--parent", "B"], "cannot stand below itself"),
                (["group", "move", "A", "--parent", "A"], "cannot stand below itself"),
                (["group", "move", "All Computers", "--parent", "A"], "built in: it cannot be moved"),
                (["group", "delete", "Unassigned Computers"], "built in: it cannot be deleted"),
                (["group", "delete", "Nobody"], "no group \"Nobody\""), (["group", "move", "Nobody"], "no group \"Nobody\""),
        ):
            with self.subTest(arguments=arguments):
                self.assertIn(words, run_bytes(self.place, *arguments))
        self.assertEqual(self.place("group", "list").stdout, before)
        self.place("group", "create", "x" * 255)
        names = ["A", "B"] + [f"n{i}" for i in range(40)]
        for parent, name in zip(names[1:], names[2:]):
            done = run(CTL, "--store", self.place.store, "group", "create", name, "--parent", parent, check=False)
            if done.returncode:
                self.assertIn("nested at most 16 deep", done.stderr)
                break
        else:
            self.fail("nesting without an end")
        self.place.audit()

    def test_deleting_a_group_ends_its_approvals(self):
        place = Place()
        place("group", "create", "A")
        update = next(r for r in place.json("update", "list", "--type", "software") if r["state"] == "offered")["id"]
        place("approve", update, "--group", "A")
        self.assertEqual(next(r["approvals"] for r in place.json("group", "list") if r["name"] == "A"), 1)
        place("group", "delete", "A")
        self.assertEqual(place.json("update", "show", update)["approvals"], [])
        place.audit()


def run_bytes(place, *arguments):
    """The words of a failure with arguments that need not be UTF-8."""
    done = subprocess.run([os.fsencode(a) if not isinstance(a, bytes) else a for a in (CTL, "--store", place.store, *arguments)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 1 or done.stdout:
        raise AssertionError(f"status {done.returncode}: {done.stdout} {done.stderr}")
    return done.stderr.decode()


class Computers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("none")
        cls.server.start()
        cls.pcs = [Computer(cls.server, name=name, group=group).handshake() for name, group in
                   (("pc-1.example.net", None), ("twin.example.net", "Lab;Other"), ("twin.example.org", None))]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def wrong(self, *arguments, status=1):
        done = self.server.ctl(*arguments, check=False)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        return done.stderr

    def test_list_and_show_say_what_the_computers_said(self):
        rows = {r["id"]: r for r in self.server.ctl_json("computer", "list")}
        for pc in self.pcs:
            self.assertEqual((rows[pc.id]["name"], rows[pc.id]["address"], rows[pc.id]["registered"], rows[pc.id]["groups"]),
                             (pc.name, "127.0.0.1", True, "Unassigned Computers"))
        shown = self.server.ctl_json("computer", "show", "PC-1")
        for name in ("pc-1.example.net", self.pcs[0].id, self.pcs[0].id.upper()):
            self.assertEqual(self.server.ctl_json("computer", "show", name)["id"], shown["id"])
        told = {r["field"]: r["value"] for r in shown["registration"]}
        self.assertEqual((told["OSBuildNumber"], told["ComputerModel"], told["BiosReleaseDate"]), ("26200", "Model 1", "2022-02-02T00:00:00Z"))
        self.assertEqual(self.server.ctl_json("computer", "show", self.pcs[1].id)["asked_for"], "Lab;Other")

    def watch(self, *more):
        """A running `computer list --watch`; its lines come into the list that is returned with it."""
        lines = []
        process = subprocess.Popen([CTL, "--store", self.server.state, "computer", "list", "--watch", *more], stdout=subprocess.PIPE, text=True)
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))
        reader.start()

        def stop():
            process.kill()
            process.wait()
            reader.join()
            process.stdout.close()
        self.addCleanup(stop)
        return process, lines

    def test_watch_shows_who_comes_and_comes_again(self):
        text, words = self.watch()
        watch, objects = self.watch("--json")
        harness.wait_for(lambda: len(objects) >= len(self.pcs) and len(words) > len(self.pcs))
        pc = Computer(self.server, name="watched.example.net").handshake()
        self.addCleanup(self.server.ctl, "computer", "delete", pc.id)

        def events():
            rows = [json.loads(line) for line in objects]
            return [(r["event"], r["name"]) for r in rows if r["id"] == pc.id]
        harness.wait_for(lambda: ("new", pc.name) in events(), what="the new computer")
        harness.wait_for(lambda: json.loads(objects[-1])["registered"] and json.loads(objects[-1])["id"] == pc.id)
        seen = len(events())
        pc.handshake()
        harness.wait_for(lambda: ("seen", pc.name) in events()[seen:], what="the computer again")
        first = [json.loads(line) for line in objects][:len(self.pcs)]
        self.assertEqual({(r["event"], r["id"]) for r in first if r["id"] in {p.id for p in self.pcs}}, {("listed", p.id) for p in self.pcs})
        self.assertEqual(set(json.loads(objects[-1])), {"event", *self.server.ctl_json("computer", "list")[0]})
        harness.wait_for(lambda: any(line.startswith(f"new  {pc.name}  {pc.id}  ") for line in words))
        self.assertTrue(words[0].startswith("NAME"))
        self.assertNotIn("\033", "".join(words))
        for process, signal_ in ((watch, signal.SIGINT), (text, signal.SIGTERM)):
            process.send_signal(signal_)
            self.assertEqual(process.wait(20), 0)

    def test_names_that_fit_none_or_several(self):
        self.assertIn("has contacted this server yet", self.wrong("computer", "show", "nobody"))
        lines = self.wrong("computer", "show", "twin").splitlines()
        self.assertEqual(lines[0], 'wsusctl: 2 computers are called "twin"; give the id:')
        self.assertEqual({tuple(line.split()) for line in lines[1:]}, {(p.id, p.name) for p in self.pcs[1:]})
        self.assertEqual(self.server.ctl_json("computer", "show", "twin.example.org")["id"], self.pcs[2].id)

    # holds: WUSP-ADM-12
    def test_assign_sets_exactly_these_groups(self):
        self.server.ctl("group", "create", "Lab")
        self.server.ctl("group", "create", "Bench", "--parent", "Lab")
        self.server.ctl("group", "create", "Test")
        self.addCleanup(lambda: [self.server.ctl("group", "delete", g) for g in ("Bench", "Lab", "Test")])
        shown = self.server.ctl_json("computer", "assign", "pc-1", "--group", "bench", "--group", "Test")
        self.assertEqual(set(shown["groups"].split(", ")), {"Bench", "Test", "Lab"})
        self.assertIn(f'computer assign {self.pcs[0].id} to "bench", "Test"', self.server.ctl("store", "history").stdout)
        self.assertEqual(self.server.ctl_json("computer", "assign", "pc-1", "--group", "Test")["groups"], "Test")
        self.assertIn("no group \"Nobody\"", self.wrong("computer", "assign", "pc-1", "--group", "Nobody"))
        self.assertIn("has contacted this server yet", self.wrong("computer", "assign", "pc-9", "--group", "Test"))
        early = Computer(self.server, name="early.example.net")
        self.assertIn("it has not contacted this server yet",
                      self.server.ctl("computer", "assign", early.id.upper(), "--group", "Test").stdout)
        early.handshake()
        self.assertEqual(self.server.ctl_json("computer", "show", early.id)["groups"], "Test")
        self.server.ctl("computer", "assign", early.id)
        self.server.ctl("computer", "delete", early.id)
        self.assertIn("holds servers", self.wrong("computer", "assign", "pc-1", "--group", "Downstream Servers"))
        self.assertEqual(self.server.ctl_json("computer", "show", "pc-1")["groups"], "Test")
        self.assertEqual(self.server.ctl_json("computer", "assign", "pc-1")["groups"], "Unassigned Computers")

    def test_assign_is_refused_where_computers_choose(self):
        self.server.ctl("config", "set", "targeting", "client")
        self.addCleanup(self.server.ctl, "config", "set", "targeting", "server")
        self.assertIn("`wsusctl config set targeting server` changes that", self.wrong("computer", "assign", "pc-1", "--group", "all"))

    # holds: WUSP-POPULATE-40
    def test_a_deleted_computer_is_gone_until_it_comes_back(self):
        pc = Computer(self.server, name="gone.example.net").handshake()
        self.assertIn(pc.id, self.server.ctl("computer", "list").stdout)
        self.server.ctl("computer", "delete", "gone", "--admin", "Ada")
        self.assertEqual([(r["admin"], r["what"]) for r in self.server.ctl_json("store", "history")][-1], ("Ada", f"computer delete {pc.id}"))
        self.assertNotIn(pc.id, self.server.ctl("computer", "list").stdout)
        self.assertIn("has contacted", self.wrong("computer", "delete", pc.id))
        pc.handshake()
        self.assertIn(pc.id, self.server.ctl("computer", "list").stdout)
        self.server.ctl("computer", "delete", pc.id)
        self.server.ctl("store", "audit")


class Config(unittest.TestCase):
    def setUp(self):
        self.place = Place(filled=False)

    def test_show_get_and_set_agree(self):
        for row in self.place.json("config", "show"):
            self.assertEqual(set(row), {"name", "value", "default", "values", "unit", "set_in", "why"})
            self.assertEqual(row["value"], row["default"])
            self.assertEqual(self.place("config", "get", row["name"]).stdout, row["value"] + "\n")
            self.assertEqual(json.loads(self.place("config", "get", row["name"], "--json").stdout), row["value"])
        for name, value in (("targeting", "client"), ("client.max-extended", "1000"), ("client.max-extended", "1"),
                            ("content.url", "https://[::1]:8531"), ("content.url", ""), ("client.package-share", "\\\\s\\p"),
                            ("client.registration", "false"), ("server.name", "wsus.example.net")):
            self.assertEqual(self.place("config", "set", name, value).stdout, value + "\n")
            self.assertEqual(self.place("config", "get", name).stdout, value + "\n")
            self.assertEqual(next(r["value"] for r in self.place.json("config", "show") if r["name"] == name), value)
        self.assertEqual(self.place.json("store", "history")[0]["what"], 'config set targeting = "client"')

    def test_wrong_values_name_the_allowed_ones_and_change_nothing(self):
        before = self.place("config", "show").stdout
        allowed = {r["name"]: r["values"] for r in self.place.json("config", "show")}
        for name, value in (("targeting", "both"), ("targeting", ""), ("client.max-extended", "0"),
                            ("client.max-extended", "1001"), ("client.max-extended", "many"), ("client.max-extended", "5 0"),
                            ("client.registration", "maybe"), ("content.url", "ftp://x"), ("content.url", "http://x/y"),
                            ("content.url", "http://"), ("server.name", "a b"), ("server.name", "<x>"),
                            ("client.package-share", "/share"), ("scan.page-bytes", "99999999999999999999")):
            with self.subTest(name=name, value=value):
                words = self.place.wrong("config", "set", name, value)
                self.assertIn(f"{name} takes {allowed[name]}", words)
        for arguments in (["get", "nonsense"], ["set", "nonsense", "1"]):
            self.assertIn("`wsusctl config show` lists them", self.place.wrong("config", *arguments))
        self.place.wrong("config", "set", "targeting", status=2)
        self.assertEqual(self.place("config", "show").stdout, before)
        self.assertEqual(self.place.noted(), [])


class Content(unittest.TestCase):
    def setUp(self):
        self.place = Place()
        self.content = self.place.state / "content"
        self.folder = self.place.state / "files"
        self.folder.mkdir()
        self.some = sorted((documents() / "content").rglob("*"))[:4]
        self.some = [p for p in self.some if p.is_file()]

    def held(self):
        return {str(p.relative_to(self.content)) for p in self.content.rglob("*") if p.is_file()}

    # holds: WSUSSS-CONTENT-09
    def test_files_go_by_their_digest_and_not_by_name(self):
        for i, path in enumerate(self.some):
            shutil.copy(path, self.folder / f"whatever {i}.bin")
        (self.folder / "unknown.exe").write_bytes(b"nobody names this")
        (self.folder / "link.exe").symlink_to(self.some[0])
        done = self.place.json("content", "add", self.folder)
        self.assertEqual((done["added"], done["known"], done["unknown"], done["bad"]), (len(self.some), 0, 1, 0))
        self.assertEqual(done["bytes"], sum(p.stat().st_size for p in self.some))
        wanted = set()
        for path in self.some:
            digest = hashlib.sha1(path.read_bytes()).hexdigest().upper()
            wanted.add(f"{digest[-2:]}/{digest}")
            copy = self.content / digest[-2:] / digest
            self.assertEqual(copy.read_bytes(), path.read_bytes())
            self.assertEqual(stat.S_IMODE(copy.stat().st_mode), 0o644)
        self.assertEqual(self.held(), wanted)
        again = self.place.json("content", "add", self.folder)
        self.assertEqual((again["added"], again["known"]), (0, len(self.some)))
        self.assertEqual(self.place.json("content", "status")["stored"], len(self.some))

    def import_changed(self, old, new):
        """A document of its own whose first file is described differently."""
        path = next(p for p in sorted((documents() / "updates").rglob("*.xml")) if b"AdditionalDigest" in p.read_bytes())
        text = path.read_text(encoding="utf-8")
        digest = re.search(r'<upd:File Digest="([^"]+)"', text)[1]
        update = re.search(r'UpdateID="([^"]+)"', text)[1]
        text = re.sub(old, new, text, count=1).replace(update, NOWHERE, 1)
        self.place = Place(filled=False)
        document = self.place.state / "changed.xml"
        document.write_text(text, encoding="utf-8")
        self.place("update", "import", document)
        wanted = base64.b64decode(digest)
        return next(p for p in (documents() / "content").rglob("*") if p.is_file() and hashlib.sha1(p.read_bytes()).digest() == wanted)

    # partly: WSUSSS-CONTENT-10 (the size; digests below)
    def test_a_file_of_wrong_size_is_refused(self):
        path = self.import_changed(r'(<upd:File [^>]*Size=")\d+"', r'\g<1>7"')
        done = self.place("content", "add", path, "--json", status=1)
        self.assertIn(f"{path.stat().st_size} bytes, the metadata says 7", done.stderr)
        self.assertEqual(json.loads(done.stdout)["bad"], 1)
        self.assertEqual([p for p in (self.place.state / "content").rglob("*") if p.is_file()], [])

    # holds: WSUSSS-CONTENT-10
    # partly: WSUSSS-DOWNLOADFILES-10 (of files that are added; downloads come with the downstream role)
    def test_a_file_whose_sha256_differs_is_not_trusted(self):
        other = base64.b64encode(bytes(32)).decode()
        path = self.import_changed(r'(Algorithm="SHA256">)[^<]+', rf"\g<1>{other}")
        done = self.place("content", "add", path, status=1)
        self.assertIn("SHA-256 is not the metadata's: not trusted", done.stderr)
        self.assertEqual(self.place.json("content", "status")["stored"], 0)

    def test_what_cannot_be_read_is_named(self):
        done = self.place("content", "add", self.folder / "missing", self.some[0], "--json", status=1)
        self.assertIn("missing: No such file or directory", done.stderr)
        self.assertEqual(json.loads(done.stdout)["added"], 1)
        self.assertIn("too few arguments", self.place.wrong("content", "add", status=2))

    @unittest.skipUnless(os.geteuid() == 0, "gives up root for a user who may not read")
    def test_unreadable_directories_are_named_and_the_rest_is_added(self):
        (self.folder / "closed").mkdir(mode=0o700)
        shutil.copy(self.some[0], self.folder / "a")
        shutil.copy(self.some[1], self.folder / "b")
        (self.folder / "b").chmod(0o600)
        for path in (self.place.state, self.place.store, *self.place.store.rglob("*")):
            os.chown(path, 65534, 65534)
        done = self.place("content", "add", self.folder, "--json", status=1, user=65534, group=65534, extra_groups=[])
        self.assertEqual(json.loads(done.stdout)["added"], 1)
        self.assertIn("closed: Permission denied", done.stderr)
        self.assertIn("b: Permission denied", done.stderr)

    def test_a_damaged_file_is_withdrawn_and_approvals_wait_again(self):
        self.place("content", "add", documents() / "content")
        good = self.place.json("content", "verify")
        self.assertEqual((good["bad"], good["checked"]), (0, self.place.json("content", "status")["files"]))
        for row in self.place.json("update", "list", "--type", "software"):
            shown = self.place.json("update", "show", row["id"])
            if row["state"] == "offered" and not shown.get("eula"):
                made = self.place.json("approve", row["id"], "--group", "all")[0]
                files = self.files_of(shown)
                if made["state"] == "approved" and len(files) > 1:
                    break
        damaged, missing = files[:2]
        path = self.content / damaged[-2:] / damaged
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        (self.content / missing[-2:] / missing).unlink()
        done = self.place("content", "verify", "--json", status=1)
        self.assertEqual(json.loads(done.stdout)["bad"], 2)
        self.assertIn(f"{damaged}: its SHA-1 is not the metadata's; withdrawn, approvals wait for it again", done.stderr)
        self.assertIn(f"{missing}: No such file or directory", done.stderr)
        self.assertEqual(path.with_name(path.name + ".bad").read_bytes(), data)
        self.assertFalse(path.exists())
        self.assertRegex(self.place.json("update", "show", row["id"])["approvals"][0]["state"], "^approved, waiting for 2 files, ")
        self.assertEqual(self.place.json("content", "add", documents() / "content")["added"], 2)
        self.assertEqual(self.place.json("update", "show", row["id"])["approvals"][0]["state"], "approved")
        self.assertEqual(self.place.json("content", "verify")["bad"], 0)
        self.place.audit()

    def files_of(self, shown):
        """Digests of the files of an update and its parts."""
        found = {f["sha1"] for f in shown["files"] if not f["eula"]}
        for r in shown["relations"]:
            if r["relation"] == "contains":
                found |= set(self.files_of(self.place.json("update", "show", f"{r['update']}:{r['revision']}")))
        return sorted(found)

    def test_what_a_killed_run_left_is_swept_and_what_a_running_one_holds_is_not(self):
        self.content.mkdir()
        (self.content / ".incoming-dead00").write_bytes(b"half")
        with open(self.content / ".incoming-alive0", "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.place("content", "add", self.some[0])
            self.assertEqual([n for n in self.held() if n.startswith(".incoming")], [".incoming-alive0"])


class Stores(unittest.TestCase):
    def test_create_twice_changes_nothing(self):
        place = Place()
        before = place.json("store", "stat")
        time_of = (place.store / "fleet/data.mdb").stat().st_mtime_ns
        for arguments in (["store", "create"], ["store", "create", place.store]):
            self.assertIn("there is a store already; nothing was changed", place.wrong(*arguments))
        self.assertEqual(place.json("store", "stat"), before)
        self.assertEqual((place.store / "fleet/data.mdb").stat().st_mtime_ns, time_of)
        self.assertIn("No such file or directory", place.wrong("store", "create", place.state / "a/b/c"))

    def test_stat_agrees_with_what_was_loaded(self):
        place = Place()
        place("decline", "KB5000013")
        s = place.json("store", "stat")
        rows = place.json("update", "list", "--all")
        self.assertEqual((s["revisions"], s["published"], s["updates"]), (300, 300, len({r["id"] for r in rows})))
        self.assertEqual((s["declined"], s["groups"], s["computers"], s["generation"]), (1, 3, 0, 1))
        self.assertEqual(s["document_bytes"], sum(p.stat().st_size for p in (documents() / "updates").rglob("*.xml")))
        self.assertTrue(uuid.UUID(s["server_id"]))
        self.assertEqual(place("store", "audit").stdout, "the store is consistent\n")
        self.assertEqual(place.json("store", "audit"), [])

    def test_a_key_is_made_once_and_closed(self):
        place = Place(filled=False)
        path = place.state / "master"
        place("store", "key", path)
        first = path.read_bytes()
        self.assertEqual((len(first), stat.S_IMODE(path.stat().st_mode)), (32, 0o600))
        place.wrong("store", "key", path)
        self.assertEqual(path.read_bytes(), first)

    # holds: WUSP-COOKIE-22
    def test_adopt_makes_a_new_generation_and_clients_renumber(self):
        with Instance("sample") as server:
            state = temporary() / "probe"
            probe = [ROOT / "bin/wsus-probe", f"http://127.0.0.1:{server.port}", "--json", "--state", state]
            run(*probe)
            server.ctl("store", "adopt")
            self.assertEqual(server.ctl_json("store", "stat")["generation"], 2)
            done = run(*probe)
            self.assertIn("ServerChanged", done.stderr)
            answer = json.loads(done.stdout)
            self.assertEqual((answer["ok"], answer["problem_count"], answer["updates"]["new"]), (True, 0, 0))
            self.assertIn("refresh", [s["name"] for s in answer["steps"]])

    def test_backup_while_serving_and_restore_elsewhere(self):
        with Instance("sample") as server:
            state, copy = temporary() / "probe", temporary() / "copy"
            probe = lambda s: run(ROOT / "bin/wsus-probe", f"http://127.0.0.1:{s.port}", "--json", "--state", state)
            known = json.loads(probe(server).stdout)["updates"]["known"]
            pc = Computer(server, name="kept.example.net").handshake()
            self.assertIn(f"wsusctl restore {copy}", server.ctl("backup", copy).stdout)
            self.assertIn("name another directory", server.ctl("backup", copy, check=False).stderr)
            self.assertIn("name another directory", server.ctl("backup", server.state / "store", check=False).stderr)
            self.assertTrue(server.answers())
            refused = server.ctl("restore", copy, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("stop the services", refused.stderr)
            server.stop()
            server.ctl("restore", copy)
            self.assertEqual(sorted(p.name for p in (server.state / "store").iterdir()), ["catalog", "fleet", "identity", "replaced"])
            self.assertEqual(server.ctl_json("store", "stat")["generation"], 2)
            server.ctl("store", "audit")
            server.catalog = None
            server.start()
            answer = json.loads(probe(server).stdout)
            self.assertEqual((answer["ok"], answer["updates"]["known"], answer["updates"]["new"]), (True, known, 0))
            self.assertIn("refresh", [s["name"] for s in answer["steps"]])
            self.assertIn(pc.id, server.ctl("computer", "list").stdout)

    def test_a_restore_of_something_else_leaves_nothing(self):
        place = Place(filled=False)
        for name in ("nothing", "words", "cut"):
            (place.state / name / "catalog").mkdir(parents=True)
            (place.state / name / "fleet").mkdir()
        for part in ("catalog", "fleet"):
            (place.state / "words" / part / "data.mdb").write_bytes(b"words " * 4000)
            data = (place.store / part / "data.mdb").read_bytes()
            (place.state / "cut" / part / "data.mdb").write_bytes(data[:8192] if part == "catalog" else data)
        for name in ("missing", "nothing", "words", "cut"):
            target = place.state / f"to-{name}"
            done = run(CTL, "--store", target, "restore", place.state / name, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""), name)
            self.assertTrue(done.stderr.startswith("wsusctl: "))
            self.assertFalse((target / "catalog").exists() or (target / "fleet").exists())
            self.assertEqual(run(CTL, "--store", target, "store", "stat", check=False).returncode, 1)
            # a good one goes there afterwards
            copy = place.state / f"copy-{name}"
            place("backup", copy)
            run(CTL, "--store", target, "restore", copy)
            self.assertEqual(sorted(p.name for p in target.iterdir()), ["catalog", "fleet", "identity"])

    def test_a_restore_that_ended_between_its_two_moves_is_begun_anew(self):
        place = Place()
        copy, target = place.state / "copy", place.state / "target"
        place("backup", copy)
        run(CTL, "--store", target, "restore", copy)
        (target / "incomplete").mkdir()
        (target / "catalog").rename(target / "incomplete/catalog")
        self.assertIn("no store", run(CTL, "--store", target, "store", "stat", check=False).stderr)
        run(CTL, "--store", target, "restore", copy)
        self.assertEqual(sorted(p.name for p in target.iterdir()), ["catalog", "fleet", "identity"])
        run(CTL, "--store", target, "store", "audit")

    def test_two_restores_at_once(self):
        place = Place(filled=False)
        copy, target = place.state / "copy", place.state / "target"
        place("backup", copy)
        (target / "incomplete").mkdir(parents=True)
        fd = os.open(target / "incomplete", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.assertIn("somebody is at it already", run(CTL, "--store", target, "restore", copy, check=False).stderr)
        os.close(fd)
        run(CTL, "--store", target, "restore", copy)


class Killed(unittest.TestCase):
    """SIGKILL at moments spread over the time that the command takes; then the store is sound, and again completes."""

    def kill(self, seconds, *command):
        """True if it was killed before it ended."""
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.wait() == -signal.SIGKILL

    def moments(self, command, reset, n=8):
        """Kills command at n random moments of its usual time; yields after each."""
        reset()
        began = time.monotonic()
        run(*command)
        usual = time.monotonic() - began
        generator = random.Random(20261121)
        killed = 0
        for i in range(n):
            reset()
            killed += self.kill(usual * generator.uniform(i, i + 1) / n, *command)
            yield
        self.assertGreater(killed, 0, "no run was killed at all")

    def test_create(self):
        target = temporary() / "store"
        command = (CTL, "store", "create", target)
        for _ in self.moments(command, lambda: shutil.rmtree(target, ignore_errors=True)):
            if run(CTL, "--store", target, "store", "stat", check=False).returncode != 0:
                run(*command)
            run(CTL, "--store", target, "store", "audit")
            self.assertEqual(run(*command, check=False).returncode, 1)

    def test_import(self):
        place = Place(filled=False)
        empty = place.state / "empty"
        shutil.copytree(place.store, empty)

        def reset():
            shutil.rmtree(place.store)
            shutil.copytree(empty, place.store)
        command = (CTL, "--store", place.store, "update", "import", documents() / "updates")
        for _ in self.moments(command, reset):
            place.audit()
            done = place.json("update", "import", documents() / "updates")
            self.assertEqual((done["new"] + done["known"], done["refused"]), (300, 0))
            self.assertEqual(len(place.json("update", "list", "--all")), 300)
            place.audit()

    # holds: WUSP-ADM-02
    def test_approve(self):
        place = Place()
        update = next(r for r in place.json("update", "list", "--type", "software") if r["state"] == "offered")["id"]
        command = (CTL, "--store", place.store, "approve", update, "--group", "all")
        for _ in self.moments(command, lambda: run(CTL, "--store", place.store, "unapprove", update, "--group", "all", check=False), 12):
            place.audit()
            before = place.json("update", "show", update)["approvals"]
            noted = place.noted()
            self.assertEqual(len(before), int(noted[-1].startswith("approve")), "the approval and its record came together or not at all")
            self.assertEqual(len(place.json("approve", update, "--group", "all")), 1)
            place.audit()

    def test_content_add(self):
        place = Place()
        command = (CTL, "--store", place.store, "content", "add", documents() / "content")
        whole = shutil.copytree(place.store, place.state / "whole")

        def reset():
            shutil.rmtree(place.state / "content", ignore_errors=True)
            shutil.rmtree(place.store)
            shutil.copytree(whole, place.store)
        for _ in self.moments(command, reset):
            place.audit()
            place("content", "verify")
            place("content", "add", documents() / "content")
            status = place.json("content", "status")
            self.assertEqual(status["stored"], status["files"])
            self.assertEqual(place.json("content", "verify")["checked"], status["files"])
            self.assertEqual([p.name for p in (place.state / "content").iterdir() if p.name.startswith(".")], [])

    def test_restore(self):
        place = Place()
        copy, target = place.state / "copy", place.state / "target"
        place("backup", copy)
        command = (CTL, "--store", target, "restore", copy)
        for _ in self.moments(command, lambda: shutil.rmtree(target, ignore_errors=True), 16):
            if (target / "catalog").exists():
                done = True
                self.assertTrue((target / "fleet").exists(), "catalog/ comes last")
            else:
                done = False
                self.assertIn("no store", run(CTL, "--store", target, "store", "stat", check=False).stderr)
                run(*command)
            generation = json.loads(run(CTL, "--store", target, "store", "stat", "--json").stdout)["generation"]
            self.assertIn(generation, (2, 3), done)  # one that was killed late has noted its own
            run(CTL, "--store", target, "store", "audit")
            self.assertLessEqual({p.name for p in target.iterdir()}, {"catalog", "fleet", "identity"} | ({"incomplete"} if done else set()))

    def test_backup(self):
        place = Place()
        copy, target = place.state / "copy", place.state / "target"
        command = (CTL, "--store", place.store, "backup", copy)
        for _ in self.moments(command, lambda: shutil.rmtree(copy, ignore_errors=True)):
            if not (copy / "catalog").exists():
                self.assertEqual(run(CTL, "--store", target, "restore", copy, check=False).returncode, 1)
                run(*command)
            run(CTL, "--store", target, "restore", copy)
            run(CTL, "--store", target, "store", "audit")
            shutil.rmtree(target)


class Full(unittest.TestCase):
    def test_a_full_map_names_the_variable_and_the_store_stays_sound(self):
        place = Place(filled=False)
        small = os.environ | {"WSUS_CATALOG_MAP_MB": "1"}
        words = place.wrong("update", "import", documents() / "updates", env=small)
        self.assertIn("set the variable WSUS_CATALOG_MAP_MB to more", words)
        place.audit()
        self.assertEqual(place.json("update", "import", documents() / "updates")["refused"], 0)
        self.assertEqual(len(place.json("update", "list", "--all")), 300)
        place.audit()

    def mount(self, size):
        path = temporary()
        if run("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", path, check=False).returncode != 0:
            self.skipTest("mounting is not permitted here")
        self.addCleanup(run, "umount", "-l", path, check=False)
        return path

    @unittest.skipUnless(os.geteuid() == 0, "needs a small file system of its own")
    def test_a_full_disk_fails_in_words_and_the_store_stays_sound(self):
        place = Place()
        copy = place.state / "copy"
        place("backup", copy)
        size = sum(p.stat().st_size for p in copy.rglob("*") if p.is_file())
        disk = self.mount(f"{size // 1024 + 1700}k")
        # no room for a copy: nothing stays, and the same goes through with room
        filler = disk / "filler"
        filler.write_bytes(bytes(size))
        for command in (["--store", place.store, "backup", disk / "copy"], ["--store", disk / "store", "restore", copy]):
            done = run(CTL, *command, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "(?i)no space|disk")
            self.assertFalse([p for p in disk.rglob("*") if p.is_file() and p != filler], command)
        filler.unlink()
        run(CTL, "--store", disk / "store", "restore", copy)
        # no room for content
        filler.write_bytes(bytes(max(0, os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 65536)))
        done = run(CTL, "--store", disk / "store", "content", "add", documents() / "content", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "(?i)no space|disk")
        self.assertEqual([p.name for p in (disk / "content").glob(".*")], [])
        filler.unlink()
        run(CTL, "--store", disk / "store", "store", "audit")


if __name__ == "__main__":
    unittest.main()
