"""test_downstream.py -- scripted downstream servers (downstream.py) over a catalog and policy that change between their runs:
after each run they hold exactly what wsusctl says that we hold, and the documents that were imported, byte for byte."""
import base64
import collections
import functools
import hashlib
import os
import random
import signal
import threading
import time
import unittest
import uuid

import downstream
import harness
from downstream import NIL, NO_DEADLINE, SYNC, Document, Downstream, SoapFault, content_names, tag
from harness import ALL_COMPUTERS, Instance, wait_for
from test_serversync import DEFINITIONS, PRODUCT, SECURITY, XMLNS, category_document, serve_all, software_document

ACTIONS = {"install": (0, True), "optional": (0, False), "uninstall": (1, True), "detect": (2, True), "block": (3, True)}
PRIORITIES = {"low": 1, "normal": 2, "high": 3}
CONFIGURATION = ("Category", "Detectoid")


def comparable(stamp):
    """A time without the zeros that may end its fraction, and without its zone."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return whole + ("." + fraction.rstrip("0") if fraction.strip("0") else "")


class World:
    """A server whose every document the test knows, and what a downstream server has to hold after a run.

    What is published follows from the documents: a revision, once all members that it bundles are."""

    def __init__(self, server, pool):
        self.server = server
        self.pool = pool          # identity -> (text, Document)
        self.imported = set()
        self.ever = collections.defaultdict(set)  # filter -> identities that were to be listed at some run

    def bring(self, keys):
        folder = harness.temporary() / "documents"
        folder.mkdir()
        for key in keys:
            (folder / f"{key[0]}-r{key[1]}.xml").write_bytes(self.pool[key][0].encode("utf-8"))
        self.server.ctl("update", "import", folder)
        self.imported |= set(keys)

    def document(self, key):
        return self.pool[key][1]

    def published(self):
        done = {}

        def is_published(key):
            if key not in done:
                done[key] = key in self.imported and all(is_published(m) for m in self.document(key).members)
            return done[key]
        return {k for k in self.imported if is_published(k)}

    # ---- lists ----

    def configuration(self):
        return {k for k in self.published() if self.document(k).type in CONFIGURATION}

    def updates(self, deployed=(), filter=None):
        rows = {k for k in self.published() if self.document(k).type not in CONFIGURATION}
        highest = {(u, max(n for v, n in rows if v == u)) for u, _ in rows}
        listed = highest | {m for k in rows for m in self.document(k).members} | set(deployed)
        if filter:
            chosen = {k for k in listed if self.belongs(k, filter)}
            listed = self.with_members(chosen)
        return listed

    def with_members(self, keys):
        out, todo = set(), list(keys)
        while todo:
            key = todo.pop()
            if key not in out:
                out.add(key)
                todo += self.document(key).members
        return out

    def ancestors(self, key):
        """The categories that a document's clauses name, and theirs."""
        out, todo = set(), list(self.document(key).categories)
        while todo:
            update = todo.pop()
            if update not in out:
                out.add(update)
                todo += [c for k in self.imported if k[0] == update for c in self.document(k).categories]
        return out

    def belongs(self, key, filter):
        mine = self.ancestors(key)
        return bool(mine & set(filter[0])) and bool(mine & set(filter[1]))

    # ---- policy, as wsusctl says it ----

    def policy(self):
        groups = {g["name"]: g for g in self.server.ctl_json("group", "list")}
        deployments = {}
        for update in {r["id"] for r in self.server.ctl_json("update", "list", "--all", "--approved")}:
            for a in self.server.ctl_json("update", "show", update)["approvals"]:
                action, assigned = ACTIONS[a["action"]]
                deployments[update.lower(), groups[a["group"]]["id"]] = {
                    "revision": a["revision"], "action": action, "assigned": assigned, "admin": a["by"],
                    "priority": PRIORITIES[a["priority"]], "deadline": comparable(a["deadline"] or NO_DEADLINE)}
        return ({g["id"]: (g["name"], groups[g["parent"]]["id"] if g["parent"] else NIL, g["builtin"]) for g in groups.values()},
                deployments,
                {r["id"].lower() for r in self.server.ctl_json("update", "list", "--all", "--declined")},
                {e["eula"] for e in self.server.ctl_json("eula", "list") if e["accepted"]})

    # ---- the comparison ----

    def compare(self, case, peer, policy=None):
        """The peer's state after a run without changes beneath it, against ours."""
        groups, deployments, hidden, accepted = policy or self.policy()
        named = {(u, d["revision"]) for (u, _), d in deployments.items()}
        held = set(peer.documents)
        for key in held:
            case.assertEqual(peer.documents[key], self.pool[key][0], key)
            digests = [d for d, _, _ in self.document(key).files]
            case.assertEqual([d for d in peer.digests[key] if d in digests], digests, key)
        due = self.configuration() | self.updates(named, peer.filter)
        case.assertEqual(due - held, set(), "what has to be there and is not")
        kept = self.ever[id(peer)]
        kept |= self.with_members(due | (named if peer.replica else set()))
        case.assertEqual(held - kept, set(), "what is there and never was to be")
        listed = self.server.ctl_json("update", "list", "--all")
        case.assertEqual({(r["id"].lower(), r["revision"]) for r in listed}, self.imported)
        if peer.replica:
            case.assertEqual(peer.groups, groups)
            mine = {}
            for d in peer.deployments.values():
                case.assertNotIn((d["update"], d["group"]), mine, "two deployments of one update for one group")
                mine[d["update"], d["group"]] = {k: d[k] for k in ("revision", "action", "assigned", "admin", "priority")} | {
                    "deadline": comparable(d["deadline"])}
            case.assertEqual(mine, deployments)
            case.assertEqual(peer.dead & set(peer.deployments), set())
            case.assertEqual(peer.hidden, hidden)
            case.assertEqual(peer.accepted, accepted)
        codes = self.server.ctl("config", "get", "sync.languages").stdout.strip()
        enabled = {short for short, _, on in peer.languages.values() if on}
        case.assertEqual(enabled, {c.strip() for c in codes.split(",")} if codes != "all" else
                         {short for short, _, _ in peer.languages.values()})


@functools.cache
def documents(*options):
    folder = harness.sample(*options) / "updates"
    rows = {}
    for path in sorted(folder.glob("*/*.xml")):
        text = path.read_text(encoding="utf-8")
        document = Document(text)
        rows[document.key] = (text, document)
    return rows


def pool(*options):
    """identity -> (text, Document) of a sample catalog, to be added to."""
    return dict(documents(*options))


def world(catalog="none", options=("--revisions", "300", "--languages", "1")):
    server = Instance(catalog)
    server.start()
    serve_all(server)
    return World(server, pool(*options))


def peer_of(server, name, **kw):
    return Downstream("127.0.0.1", server.port, name, **kw)


class Synchronization(unittest.TestCase):
    """One thing after the other, each seen at the next run by a replica, an autonomous server and one that filters."""
    maxDiff = 3000

    @classmethod
    def setUpClass(cls):
        cls.world = world()
        cls.server = cls.world.server
        cls.replica = peer_of(cls.server, "replica.example.net", replica=True)
        cls.autonomous = peer_of(cls.server, "autonomous.example.net")
        cls.peers = [cls.replica, cls.autonomous]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def ctl(self, *arguments):
        return self.server.ctl(*arguments)

    def run_all(self):
        for peer in self.peers:
            peer.run()
            self.assertEqual(peer.restarts, [])
            self.world.compare(self, peer)

    def nothing_new(self):
        for peer in self.peers:
            peer.run()
            self.assertEqual(peer.listed, {"categories": [], "updates": []}, "nothing happened")
            self.assertEqual(peer.fetched, [])
            self.assertEqual(peer.config["languages sent"], [])
            if peer.replica:
                self.assertEqual(peer.last_deployments, {"live": [], "dead": []})
            self.world.compare(self, peer)

    def lowest(self, *types):
        """The pool without what comes later in these tests: the later revisions."""
        keys = set(self.world.pool)
        return {k for k in keys if k[1] == min(n for u, n in keys if u == k[0])}

    def offered(self, eula=False):
        """Updates that can be approved, by id."""
        return [r["id"].lower() for r in self.server.ctl_json("update", "list", "--type", "software")
                if r["state"] == "offered" and not r["approvals"]
                and bool(self.world.document(next(k for k in self.world.imported if k[0] == r["id"].lower())).eula) == eula]

    # The order of these is that of their names: one story.

    # holds: WSUSSS-REVLIST-26 WSUSSS-DEPLOYMENTS-17 WSUSSS-UPDATEDATA-17
    def test_01_a_server_that_has_nothing_yet(self):
        self.run_all()
        self.assertEqual(self.replica.documents, {})

    # holds: WSUSSS-REVLIST-01 WSUSSS-REVLIST-11 WSUSSS-REVLIST-12 WSUSSS-UPDATEDATA-06 WSUSSS-UPDATEDATA-22 WSUSSS-POPULATE-05
    def test_02_the_first_documents(self):
        self.world.bring(self.lowest())
        self.run_all()
        self.assertGreater(len(self.replica.documents), 250)
        self.nothing_new()

    # holds: WSUSSS-REVLIST-13 WSUSSS-REVLIST-14 WSUSSS-REVLIST-15 WSUSSS-ADM-27
    def test_03_new_revisions(self):
        later = set(self.world.pool) - self.world.imported
        self.assertGreater(len(later), 8)
        self.world.bring(later)
        self.run_all()
        told = set(self.replica.listed["updates"]) | set(self.replica.listed["categories"])
        self.assertEqual(told & later, later & (self.world.updates() | self.world.configuration()))
        self.assertTrue(any('PublicationState="Expired"' in self.replica.documents[k] for k in told), "an expired one among them")
        self.nothing_new()

    # holds: WSUSSS-REVLIST-20 WSUSSS-REVLIST-17
    def test_04_a_filter_that_becomes_wider(self):
        categories = collections.Counter(c for k in self.world.updates() for c in self.world.document(k).categories)
        kinds = {k[0]: self.world.document(k).category_type for k in self.world.configuration()}
        products = [c for c, _ in categories.most_common() if kinds.get(c) == "Product"]
        classes = [c for c, _ in categories.most_common() if kinds.get(c) == "UpdateClassification"]
        peer = peer_of(self.server, "filter.example.net")
        peer.filter = (products[:1], classes[:1])
        peer.run()
        self.world.compare(self, peer)
        first = len(peer.documents)
        for filter in ((products[:2], classes[:1]), (products[:2], classes[:2]), (products, classes)):
            peer.filter = filter
            peer.run()
            self.assertEqual(peer.restarts, [])
            self.world.compare(self, peer)
        self.assertGreater(len(peer.documents), first)
        peer.run()
        self.assertEqual(peer.listed["updates"], [])
        type(self).peers = self.peers + [peer]

    # holds: WSUSSS-REVLIST-17 WSUSSS-REVLIST-20
    def test_05_parents_of_categories_are_chosen_too(self):
        families = [k[0] for k in self.world.configuration() if self.world.document(k).category_type == "ProductFamily"]
        classes = [k[0] for k in self.world.configuration() if self.world.document(k).category_type == "UpdateClassification"]
        peer = peer_of(self.server, "family.example.net")
        peer.filter = (families[:1], classes)
        peer.run()
        self.world.compare(self, peer)
        self.assertTrue(peer.listed["updates"])

    # holds: WSUSSS-DEPLOYMENTS-11 WSUSSS-DEPLOYMENTS-12 WSUSSS-DEPLOYMENTS-19 WSUSSS-DEPLOYMENTS-20 WSUSSS-DEPLOYMENTS-21
    # holds: WSUSSS-ADM-25 WSUSSS-ADM-29
    def test_06_approvals_come_change_and_go(self):
        self.ctl("group", "create", "Pilots")
        self.ctl("group", "create", "Branch <&> Söhne", "--parent", "Pilots")
        updates = self.offered()
        self.ctl("approve", updates[0], "--group", "Pilots", "--deadline", "2031-01-02T03:04:05")
        self.ctl("approve", updates[0], "--group", ALL_COMPUTERS, "--action", "detect")
        self.ctl("approve", updates[1], "--group", "Branch <&> Söhne", "--action", "optional", "--priority", "high", "--admin", "Ada & Bob")
        self.ctl("approve", updates[2], "--group", "Pilots", "--action", "block", "--priority", "low")
        self.run_all()
        self.assertEqual(len(self.replica.deployments), 4)
        self.assertEqual(sorted(d["deadline"] for d in self.replica.deployments.values())[1:], [NO_DEADLINE] * 3, "written so, and without a zone")
        before = {(d["update"], d["group"]): g for g, d in self.replica.deployments.items()}
        self.ctl("approve", updates[0], "--group", "Pilots", "--deadline", "2032-01-01")
        self.run_all()
        self.assertEqual([d["guid"] for d in self.replica.last_deployments["live"]], [g for (u, _), g in before.items()
                         if u == updates[0] and self.replica.deployments[g]["action"] == 0], "only what changed, under the same id")
        self.ctl("approve", updates[0], "--group", "Pilots", "--action", "uninstall")
        self.ctl("unapprove", updates[2], "--group", "Pilots")
        self.run_all()
        self.assertEqual(len(self.replica.last_deployments["dead"]), 1)
        self.ctl("approve", updates[2], "--group", "Pilots")
        self.run_all()
        # approved and taken back between two runs: nobody is told of more than a dead one
        self.ctl("approve", updates[3], "--group", "Pilots")
        self.ctl("unapprove", updates[3], "--group", "Pilots")
        self.run_all()
        self.assertEqual(self.replica.last_deployments["live"], [])
        self.nothing_new()

    # holds: WSUSSS-DEPLOYMENTS-13
    def test_07_a_time_to_go_live(self):
        update = self.offered()[0]
        self.ctl("approve", update, "--group", "Pilots", "--go-live", "2031-05-06T07:08:09")
        self.run_all()
        row = next(d for d in self.replica.deployments.values() if d["update"] == update)
        self.assertEqual(comparable(row["go_live"]), "2031-05-06T07:08:09")
        self.ctl("unapprove", update, "--group", "Pilots")
        self.run_all()

    # holds: WSUSSS-REVLIST-24 WSUSSS-DEPLOYMENTS-15 WSUSSS-ADM-23
    def test_08_declined_and_not_any_more(self):
        update = next(iter(d["update"] for d in self.replica.deployments.values()))
        self.ctl("decline", update, self.offered()[5])
        self.run_all()
        self.assertEqual(len(self.replica.hidden), 2)
        self.assertTrue(self.replica.last_deployments["dead"])
        fresh = peer_of(self.server, "late.example.net", replica=True).run()
        self.world.compare(self, fresh)
        self.assertIn(update, {u for u, _ in fresh.listed["updates"]}, "declined ones are listed like any other")
        self.assertEqual(fresh.last_deployments["dead"], [])
        self.ctl("undecline", update)
        self.run_all()
        self.assertEqual(len(self.replica.hidden), 1)

    # holds: WSUSSS-DEPLOYMENTS-16 WSUSSS-POPULATE-06
    def test_09_licence_terms(self):
        rows = self.server.ctl_json("eula", "list")
        self.assertEqual({e["eula"] for e in rows}, {self.world.document(k).eula for k in self.world.published()} - {None})
        self.ctl("eula", "accept", rows[0]["update"])
        self.run_all()
        self.assertEqual(self.replica.accepted, {rows[0]["eula"]})

    # holds: WSUSSS-DEPLOYMENTS-08 WSUSSS-DEPLOYMENTS-09 WSUSSS-DEPLOYMENTS-10 WSUSSS-ADM-10
    def test_10_groups_move_and_go(self):
        self.ctl("group", "create", "Deep", "--parent", "Branch <&> Söhne")
        self.ctl("approve", self.offered()[0], "--group", "Deep")
        self.run_all()
        self.ctl("group", "move", "Branch <&> Söhne")
        self.run_all()
        self.ctl("group", "delete", "Branch <&> Söhne")
        self.run_all()
        # of the same name, and another one
        self.ctl("group", "create", "Branch <&> Söhne")
        self.run_all()
        self.ctl("group", "delete", "Deep")
        self.run_all()
        self.nothing_new()

    # holds: WSUSSS-CONFIGDATA-07 WSUSSS-CONFIGDATA-10 WSUSSS-CONFIGDATA-12 WSUSSS-ADM-06 WSUSSS-ADM-07
    def test_11_languages(self):
        self.ctl("config", "set", "sync.languages", "en,de,pt-br")
        self.run_all()
        self.ctl("config", "set", "sync.languages", "en,fr,pt-br")
        self.run_all()
        self.assertEqual(sorted(set(self.replica.config["languages sent"]) - {0}), [1031, 1036], "those that changed, and no other")
        self.ctl("config", "set", "sync.languages", "all")
        self.run_all()
        self.nothing_new()

    # holds: WSUSSS-DEPLOYMENTS-13 WSUSSS-DEPLOYMENTS-18 WSUSSS-ADM-28 WSUSSS-REVLIST-25
    def test_12_changes_in_the_midst_of_a_run_wait_for_the_next(self):
        known, later = self.offered()[:2]
        self.ctl("approve", known, "--group", "Pilots")
        peer = self.replica
        peer.hooks["updates listed"] = lambda: (
            self.ctl("approve", later, "--group", "Pilots"), self.ctl("approve", known, "--group", "Pilots", "--priority", "high"))
        peer.run()
        peer.hooks.clear()
        self.assertEqual([d["update"] for d in peer.last_deployments["live"]], [])
        peer.run()
        self.assertEqual({d["update"] for d in peer.last_deployments["live"]}, {known, later})
        self.run_all()
        self.nothing_new()

    # holds: WSUSSS-UPDATEDATA-06
    def test_13_a_deployment_of_an_older_revision(self):
        keys = self.world.published()
        old = [k for k in keys if k not in self.world.updates() and self.world.document(k).type == "Software"]
        approvable = {r["id"].lower() for r in self.server.ctl_json("update", "list", "--type", "software")}
        old = [k for k in old if k[0] in approvable]
        if not old:
            self.skipTest("no update of the sample has an older revision that nothing names")
        self.ctl("approve", f"{old[0][0]}:{old[0][1]}", "--group", "Pilots")
        fresh = peer_of(self.server, "fresh.example.net", replica=True).run()
        self.world.compare(self, fresh)
        self.assertIn(old[0], fresh.documents)
        self.run_all()

    # holds: WSUSSS-FAULT-23 WSUSSS-ADM-30 WSUSSS-COOKIE-16
    def test_90_restarts_and_restores(self):
        cookie = self.replica.cookie_xml()
        self.server.stop()
        self.server.catalog = None
        self.server.start()
        # a restart changes nothing for a peer
        self.replica.call(SYNC, "GetConfigData", cookie)
        self.nothing_new()
        copy = harness.temporary() / "copy"
        self.ctl("backup", copy)
        held = set(self.world.imported)
        update = self.offered()[0]
        self.ctl("approve", update, "--group", "Pilots")
        extra = (str(uuid.UUID(int=7)), 200)
        text = software_document(*extra)
        self.world.pool[extra] = (text, Document(text))
        self.world.bring([extra])
        self.run_all()
        self.server.stop()
        self.ctl("restore", copy)
        self.server.start()
        self.world.imported = held
        with self.assertRaises(SoapFault) as caught:
            self.replica.call(SYNC, "GetConfigData", self.replica.cookie_xml())
        self.assertEqual(caught.exception.code, "ServerChanged")
        old = self.replica.auth_cookie
        with self.assertRaises(SoapFault) as caught:
            self.replica.call(SYNC, "GetCookie", f"<authCookies><AuthorizationCookie>{tag('PlugInId', 'DssTargeting')}{tag('CookieData', old)}"
                              f"</AuthorizationCookie></authCookies>{tag('protocolVersion', '1.20')}")
        self.assertEqual(caught.exception.code, "InvalidAuthorizationCookie")
        for peer in self.peers:
            peer.run()
            self.assertEqual(peer.restarts, ["ServerChanged"])
            self.assertLessEqual(set(peer.fetched), {extra} | set(), "what is there is not fetched again")
            peer.documents.pop(extra, None)
            self.world.compare(self, peer)
        self.nothing_new()

    # holds: WSUSSS-ADM-30
    def test_91_an_adopted_store(self):
        self.ctl("store", "adopt")
        for peer in self.peers:
            peer.run()
            self.assertEqual(peer.restarts, ["ServerChanged"])
            self.world.compare(self, peer)
        self.nothing_new()


class Changes:
    """What administrators do, in an order that chance gives; self.world, self.random and self.names (of groups) are there."""

    def change(self):
        name, weight = zip(*((n, w) for n, w in (("bring", 5), ("approve", 8), ("unapprove", 3), ("decline", 2), ("undecline", 1),
                                                 ("group", 2), ("ungroup", 1), ("move", 1), ("accept", 1), ("language", 1))))
        chosen = self.random.choices(name, weight)[0]
        return chosen, getattr(self, chosen)()

    def ctl(self, *arguments):
        # what is refused (a group that is gone, an update declined) is no change
        return self.world.server.ctl(*arguments, check=False).returncode

    def bring(self):
        left = sorted(set(self.world.pool) - self.world.imported)
        some = self.random.sample(left, min(len(left), self.random.randrange(1, 25)))
        if some:
            self.world.bring(some)
        return len(some)

    def update(self):
        rows = sorted(k for k in self.world.published() if self.world.document(k).type == "Software")
        return self.random.choice(rows) if rows else (NIL, 1)

    def group_name(self):
        return self.random.choice(self.names + [ALL_COMPUTERS, "Unassigned Computers"])

    def approve(self):
        key = self.update()
        more = self.random.choice(((), ("--deadline", "2031-0%d-01" % self.random.randrange(1, 10)), ("--priority", "high"),
                                   ("--action", self.random.choice(list(ACTIONS)))))
        name = f"{key[0]}:{key[1]}" if self.random.random() < 0.3 else key[0]
        return self.ctl("approve", name, "--group", self.group_name(), *more)

    def unapprove(self):
        rows = sorted(r["id"] for r in self.world.server.ctl_json("update", "list", "--all", "--approved"))
        if not rows:
            return 1
        shown = self.world.server.ctl_json("update", "show", self.random.choice(rows))
        return self.ctl("unapprove", shown["id"], "--group", self.random.choice(shown["approvals"])["group"])

    def decline(self):
        return self.ctl("decline", self.update()[0])

    def undecline(self):
        rows = sorted(r["id"] for r in self.world.server.ctl_json("update", "list", "--all", "--declined"))
        return self.ctl("undecline", self.random.choice(rows)) if rows else 1

    def group(self):
        name = f"G{len(self.names)}-{self.random.randrange(1000)}"
        more = ("--parent", self.random.choice(self.names)) if self.names and self.random.random() < 0.5 else ()
        self.names.append(name)
        return self.ctl("group", "create", name, *more)

    def ungroup(self):
        return self.ctl("group", "delete", self.names.pop(self.random.randrange(len(self.names)))) if self.names else 1

    def move(self):
        if not self.names:
            return 1
        more = ("--parent", self.random.choice(self.names)) if self.random.random() < 0.5 else ()
        return self.ctl("group", "move", self.random.choice(self.names), *more)

    def accept(self):
        rows = sorted({e["update"] for e in self.world.server.ctl_json("eula", "list")})
        return self.ctl("eula", "accept", self.random.choice(rows)) if rows else 1

    def language(self):
        codes = self.random.sample(["en", "de", "fr", "pt-br", "zh-cn", "ja"], self.random.randrange(1, 4))
        return self.ctl("config", "set", "sync.languages", self.random.choice(["all", ",".join(codes)]))


class Chance(Changes, unittest.TestCase):
    """Many small changes in an order that a seed gives; peers of every kind synchronize in between, some of them rarely."""
    maxDiff = 3000
    SEED, ROUNDS = 20261122, 40

    # holds: WSUSSS-REVLIST-14 WSUSSS-REVLIST-25 WSUSSS-DEPLOYMENTS-11 WSUSSS-DEPLOYMENTS-12 WSUSSS-DEPLOYMENTS-15
    # holds: WSUSSS-DEPLOYMENTS-16 WSUSSS-DEPLOYMENTS-23 WSUSSS-ADM-27
    def test_random_histories(self):
        self.random = random.Random(self.SEED)
        self.world = world()
        self.addCleanup(self.world.server.stop)
        server = self.world.server
        peers = [peer_of(server, "often.example.net", replica=True), peer_of(server, "rare.example.net", replica=True, batch=7),
                 peer_of(server, "alone.example.net")]
        self.names = []
        for number in range(self.ROUNDS):
            did = [self.change() for _ in range(self.random.randrange(1, 4))]
            policy = self.world.policy()
            with self.subTest(round=number, did=did):
                for peer in peers[:1] + [p for p in peers[1:] if self.random.random() < 0.25]:
                    peer.run()
                    self.assertEqual(peer.restarts, [])
                    self.world.compare(self, peer, policy)
        # it was worth while
        self.assertTrue(policy[0] and policy[1] and policy[2] and policy[3] and peers[0].dead, [len(p) for p in policy])
        self.assertGreater(len(self.world.imported), 100)
        for peer in peers + [peer_of(server, "last.example.net", replica=True)]:
            peer.run()
            self.world.compare(self, peer)
            peer.run()
            self.assertEqual((peer.listed, peer.fetched), ({"categories": [], "updates": []}, []))


class Delta(unittest.TestCase):
    """Delta per id, in all its combinations, on a catalog small enough to name everything in it."""

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("none")
        cls.server.start()
        serve_all(cls.server)
        cls.world = World(cls.server, {})
        cls.other = "11111111-1111-4111-8111-111111111111"
        for update, kind in ((PRODUCT, "Product"), (cls.other, "Product"), (DEFINITIONS, "UpdateClassification"), (SECURITY, "UpdateClassification")):
            cls.add(category_document(update, kind))
        cls.old = {(p, c): cls.add(cls.update(p, c)) for p in (PRODUCT, cls.other) for c in (DEFINITIONS, SECURITY)}
        cls.both = cls.add(cls.update(PRODUCT, DEFINITIONS, cls.other))  # of two products
        cls.world.bring(list(cls.world.pool))
        cls.peer = peer_of(cls.server, "delta.example.net")
        cls.peer.authorize()
        cls.anchor = cls.peer.revision_ids(False, None)[0]
        before = set(cls.world.pool)
        cls.new = {(p, c): cls.add(cls.update(p, c)) for p in (PRODUCT, cls.other) for c in (DEFINITIONS, SECURITY)}
        cls.world.bring(sorted(set(cls.world.pool) - before))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @classmethod
    def add(cls, text):
        document = Document(text)
        cls.world.pool[document.key] = (text, document)
        return document.key

    @staticmethod
    def update(product, classification, *more):
        clauses = "".join(f'<upd:AtLeastOne IsCategory="true"><upd:UpdateIdentity UpdateID="{c}" /></upd:AtLeastOne>'
                          for c in (product, classification, *more))
        return software_document(str(uuid.uuid4()), 200, f"<upd:Relationships><upd:Prerequisites>{clauses}</upd:Prerequisites></upd:Relationships>")

    def ask(self, categories=None, classifications=None, anchor=None, more=""):
        def rows(name, ids):
            return "" if ids is None else f"<{name}>" + "".join(
                f"<IdAndDelta>{tag('Id', i)}{tag('Delta', str(d).lower())}</IdAndDelta>" for i, d in ids.items()) + f"</{name}>"
        xml = (tag("Anchor", anchor) if anchor else "") + tag("GetConfig", "false") + rows("Categories", categories) + rows("Classifications", classifications)
        ids = self.peer.revision_ids(False, None, xml + more)[1]
        self.assertEqual(len(ids), len(set(ids)))
        return set(ids)

    # holds: WSUSSS-REVLIST-17 WSUSSS-REVLIST-19
    def test_both_lists_or_none(self):
        everything = set(self.old.values()) | set(self.new.values()) | {self.both}
        self.assertEqual(self.ask(), everything)
        self.assertEqual(self.ask({}, {}), everything)
        for categories, classifications in (({PRODUCT: False}, None), (None, {SECURITY: False}), ({PRODUCT: False}, {}), ({}, {SECURITY: False})):
            self.assertEqual(self.ask(categories, classifications), set())
        self.assertEqual(self.ask({PRODUCT: False}, {DEFINITIONS: False}), {self.old[PRODUCT, DEFINITIONS], self.new[PRODUCT, DEFINITIONS], self.both})
        self.assertEqual(self.ask({PRODUCT.upper(): True}, {DEFINITIONS.upper(): True}), {self.old[PRODUCT, DEFINITIONS], self.new[PRODUCT, DEFINITIONS], self.both},
                         "without an anchor Delta has no effect")
        self.assertEqual(self.ask({str(uuid.uuid4()): False}, {DEFINITIONS: False}), set())

    # holds: WSUSSS-REVLIST-14 WSUSSS-REVLIST-20
    def test_an_anchor_and_one_id_each(self):
        old, new = self.old[PRODUCT, SECURITY], self.new[PRODUCT, SECURITY]
        self.assertEqual(self.ask({PRODUCT: True}, {SECURITY: True}, self.anchor), {new})
        self.assertEqual(self.ask({PRODUCT: False}, {SECURITY: False}, self.anchor), {old, new})
        self.assertEqual(self.ask(None, None, self.anchor), set(self.new.values()))

    # partly: WSUSSS-REVLIST-21 (one list is enough)
    def test_one_list_with_and_one_without_delta(self):
        for a, b in ((True, False), (False, True)):
            self.assertEqual(self.ask({PRODUCT: a}, {SECURITY: b}, self.anchor), {self.old[PRODUCT, SECURITY], self.new[PRODUCT, SECURITY]})

    # partly: WSUSSS-REVLIST-21 (any entry)
    def test_a_revision_of_several_ids_is_taken_if_any_admits_it(self):
        # the old one is of both products; without Delta of one of them it comes again
        got = self.ask({PRODUCT: True, self.other: False}, {DEFINITIONS: True}, self.anchor)
        self.assertEqual(got, {self.new[PRODUCT, DEFINITIONS], self.old[self.other, DEFINITIONS], self.new[self.other, DEFINITIONS], self.both})

    # holds: WSUSSS-REVLIST-16
    def test_the_configuration_list_knows_no_choice(self):
        everything = set(self.peer.revision_ids(True, None)[1])
        self.assertEqual(everything, self.world.configuration())
        rows = f"<Categories><IdAndDelta>{tag('Id', PRODUCT)}{tag('Delta', 'true')}</IdAndDelta></Categories>"
        self.assertEqual(set(self.peer.revision_ids(True, None, tag("GetConfig", "true") + rows)[1]), everything)

    # holds: WSUSSS-REVLIST-06 WSUSSS-REVLIST-22 WSUSSS-REVLIST-09
    def test_languages_and_versions_choose_nothing(self):
        everything = self.ask()
        language = f"<Languages><LanguageAndDelta>{tag('Id', 1031)}{tag('Delta', 'true')}</LanguageAndDelta></Languages>"
        self.assertEqual(self.ask(more=language), everything)
        for head in ("<DssProtocolVersion/>", "<Get63LanguageOnly>true</Get63LanguageOnly>"):
            self.assertEqual(set(self.peer.revision_ids(False, None, head + tag("GetConfig", "false"))[1]), everything)


class Content(unittest.TestCase):
    """Files by both names, what is not there, and what becomes of it."""

    @classmethod
    def setUpClass(cls):
        cls.options = ("--revisions", "300", "--content", "--languages", "2")
        cls.world = world(options=cls.options)
        cls.server = cls.world.server
        cls.world.bring(list(cls.world.pool))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    # holds: WSUSSS-CONTENT-01 WSUSSS-CONTENT-02 WSUSSS-CONTENT-03 WSUSSS-CONTENT-07 WSUSSS-CONTENT-11 WSUSSS-DOWNLOADFILES-05
    # partly: WSUSSS-DOWNLOADFILES-08 (they are queued; what downloads them comes with the downstream role)
    # holds: WSUSSS-DOWNLOADFILES-11 WSUSSS-DOWNLOADFILES-12 WSUSSS-DOWNLOADFILES-13 WSUSSS-ADM-04
    def test_files_come_when_they_are_there(self):
        peer = peer_of(self.server, "content.example.net", replica=True, content=True)
        tops = [r["id"] for r in self.server.ctl_json("update", "list", "--type", "software") if r["state"] == "offered"][:6]
        for update in tops:
            self.server.ctl("approve", update, "--group", ALL_COMPUTERS)
        peer.run()
        needed = peer.needed()
        self.assertGreater(len(needed), 8)
        self.assertEqual(peer.missing, set(needed), "nothing is here yet")
        self.assertIn("DownloadFiles", peer.calls)
        wanted = self.server.ctl_json("content", "status")
        self.assertEqual(wanted["wanted_files"], len(needed))
        # again, and a restart in between: still wanted, once
        self.server.stop()
        self.server.catalog = None
        self.server.start()
        peer.run()
        self.assertEqual(self.server.ctl_json("content", "status")["wanted_files"], len(needed))
        self.server.ctl("content", "add", harness.sample(*self.options) / "content")
        peer.run()
        self.assertEqual((peer.missing, set(peer.content)), (set(), set(needed)))
        for digest, body in peer.content.items():
            self.assertEqual(hashlib.sha1(body).digest(), digest)
        self.assertEqual(self.server.ctl_json("content", "status")["wanted_files"], 0)
        for digest, name in needed.items():
            by_name, by_digest = content_names(digest, name)
            for path in (by_digest, by_digest.lower(), by_name, by_name.upper().replace("/CONTENT", "/Content"), by_name.lower()):
                status, body = peer.get(path)
                self.assertEqual((status, body == peer.content[digest]), (200, True), path)
            status, part = peer.get(by_name, {"Range": "bytes=1-5"})
            self.assertEqual((status, part), (206, peer.content[digest][1:6]))

    # holds: WSUSSS-CONTENT-03 WSUSSS-CONTENT-04
    def test_two_files_of_one_name_in_one_folder_are_had_by_digest_alone(self):
        base = next(t for k, (t, d) in self.world.pool.items() if len(d.files) == 1 and not d.members and d.type == "Software")
        document = Document(base)
        digest, name, _ = document.files[0]
        bodies = {}
        for i in range(5000):
            body = b"same name %d" % i
            if hashlib.sha1(body).digest()[-1] == 0x07:
                bodies[hashlib.sha1(body).digest()] = body
        folder = harness.temporary() / "same"
        folder.mkdir()
        (folder / "updates").mkdir()
        (folder / "content").mkdir()
        for i, (sha1, body) in enumerate(list(bodies.items())[:2]):
            file = (f'<upd:Files><upd:File Digest="{base64.b64encode(sha1).decode()}" DigestAlgorithm="SHA1" FileName="Same Name.exe" '
                    f'Size="{len(body)}" Modified="2021-01-01T00:00:00Z"><upd:AdditionalDigest Algorithm="SHA256">'
                    f'{base64.b64encode(hashlib.sha256(body).digest()).decode()}</upd:AdditionalDigest></upd:File></upd:Files>')
            text = software_document(str(uuid.UUID(int=100 + i)), 200, file)
            self.world.pool[Document(text).key] = (text, Document(text))
            (folder / "content" / f"{i}.exe").write_bytes(body)
        self.world.bring([k for k in self.world.pool if k not in self.world.imported])
        self.server.ctl("content", "add", folder / "content" / "0.exe")
        peer = peer_of(self.server, "same.example.net")
        (one, first), (two, second) = list(bodies.items())[:2]
        self.assertEqual(peer.get(content_names(one, "Same Name.exe")[1]), (200, first))
        status, body = peer.get(content_names(one, "Same Name.exe")[0])
        self.assertIn((status, body if status == 200 else b""), ((200, first), (404, b"")))
        self.server.ctl("content", "add", folder / "content" / "1.exe")
        for sha1, body in ((one, first), (two, second)):
            self.assertEqual(peer.get(content_names(sha1, "Same Name.exe")[1]), (200, body))
            self.assertEqual(peer.get(content_names(sha1, "Same Name.exe")[0])[0], 404, "no name is better than a wrong file")
        peer.authorize()
        peer.configuration()
        peer.fetch([(str(uuid.UUID(int=100)), 200), (str(uuid.UUID(int=101)), 200)])
        peer.files({one: "Same Name.exe", two: "Same Name.exe"})
        self.assertEqual(peer.content, {one: first, two: second})

    # holds: WSUSSS-UPDATEDATA-18 WSUSSS-UPDATEDATA-19
    def test_addresses_at_the_vendor(self):
        key = next(k for k, (t, d) in self.world.pool.items() if len(d.files) > 1 and d.type == "Software")
        digest = self.world.document(key).files[0][0]
        url = "http://vendor.example/d/a%20file.cab?x=1&y=2"
        self.server.ctl("content", "url", digest.hex(), url)
        peer = peer_of(self.server, "urls.example.net").run()
        self.assertEqual(peer.urls[digest], url)
        self.assertEqual({u for d, u in peer.urls.items() if d != digest}, {None})

    # holds: WSUSSS-CONFIGDATA-06 WSUSSS-CONTENT-08
    def test_content_at_the_vendor_makes_it_catalog_only(self):
        peer = peer_of(self.server, "vendor.example.net").run()
        self.assertIs(peer.config["CatalogOnlySync"], False)
        self.server.ctl("config", "set", "content.store", "microsoft")
        self.addCleanup(self.server.ctl, "config", "set", "content.store", "local")
        peer.run()
        self.assertIs(peer.config["CatalogOnlySync"], True)

    # holds: WSUSSS-DECRYPTION-07 WSUSSS-DECRYPTION-08
    def test_keys_of_encrypted_files(self):
        key = next(k for k, (t, d) in self.world.pool.items() if d.files and d.type == "Software")
        digest = self.world.document(key).files[0][0]
        secret = bytes(range(32))
        self.server.ctl("content", "key", digest.hex(), base64.b64encode(secret).decode())
        peer = peer_of(self.server, "keys.example.net")
        peer.authorize()
        element = peer.call(SYNC, "GetUpdateDecryptionData", f"{peer.cookie_xml()}<updateIds>{downstream.identity_xml(key)}</updateIds>")
        found = {e.findtext("{*}FileDigest"): e.findtext("{*}DecryptionKey") for e in element.iter(f"{{{SYNC}}}ServerSyncFileDecryption")}
        self.assertEqual(found[base64.b64encode(digest).decode()], base64.b64encode(secret).decode())


class Documents(unittest.TestCase):
    """Documents that are not like others."""

    # holds: WSUSSS-UPDATEDATA-22 WSUSSS-UPDATEDATA-11
    def test_every_character_comes_back(self):
        with Instance("none") as server:
            serve_all(server)
            peer = peer_of(server, "odd.example.net")
            texts = {}
            folder = harness.temporary() / "odd"
            folder.mkdir()
            for i, (before, description, after) in enumerate((
                    ("", "a &amp; b &lt;c&gt; ]]&gt; \"quotes\" 'single'", ""), ("", "\u00e4\u20ac\u4e2d\U0001f600 \u00a0\u2028\ufffd", ""),
                    ("", "two\nlines\tand a tab  and spaces", "\n"), ("", "carriage\r\nreturns\r", "\r\n"), ("", "&#13;&#10;&#x1F600;", ""),
                    ("", "<![CDATA[<x>&amp;]]>", ""), ("<!-- first -->", "<!-- inside -->x", "<!-- last -->"), ("  \n", "y", "  "))):
                update = str(uuid.UUID(int=1000 + i))
                text = before + software_document(update, 200).replace(f"part {update[:8]}", description) + after
                (folder / f"{i}.xml").write_bytes(text.encode("utf-8"))
                texts[update, 200] = text
            server.ctl("update", "import", folder)
            peer.run()
            self.assertEqual(set(peer.documents), set(texts))
            for key, text in texts.items():
                with self.subTest(document=key[0][-4:], text=text[-60:]):
                    # what stands around the root element is no part of the metadata
                    self.assertEqual(peer.documents[key].strip(), text.strip())

    # holds: WSUSSS-UPDATEDATA-23 WSUSSS-TRANSPORT-28
    def test_answers_are_short_when_documents_are_long(self):
        options = ("--revisions", "300", "--languages", "8", "--big-document", "3")
        rows = pool(*options)
        with Instance("none") as server:
            serve_all(server)
            here = World(server, rows)
            here.bring(list(rows))
            peer = peer_of(server, "long.example.net").run()
            here.compare(self, peer)
            short = [(asked, got) for asked, got in peer.rounds if got < asked]
            self.assertTrue(short, "some answer named fewer than were asked for")
            self.assertGreater(max(len(t) for t in peer.documents.values()), 2_500_000)
            packed = peer_of(server, "long-packed.example.net", unpress=harness.unpress).run()
            self.assertEqual((packed.documents, packed.rounds), (peer.documents, peer.rounds))

    # holds: WSUSSS-DECRYPTION-06
    def test_members_that_come_late(self):
        with Instance("none") as server:
            serve_all(server)
            here = World(server, pool("--revisions", "300", "--languages", "1"))
            peer = peer_of(server, "late.example.net")
            bundle = next(k for k in here.pool if here.document(k).members)
            rest = here.with_members([bundle])
            leaf = next(k for k in rest if not here.document(k).members)
            here.bring(rest - {leaf})
            peer.run()
            here.compare(self, peer)
            self.assertNotIn(bundle, peer.documents)
            here.bring([leaf])
            peer.run()
            here.compare(self, peer)
            self.assertIn(bundle, peer.documents)


class Life(unittest.TestCase):
    """Processes that are killed, and peers that come again."""


    @classmethod
    def setUpClass(cls):
        cls.world = world()
        cls.server = cls.world.server
        cls.world.bring(list(cls.world.pool))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def run_until_done(self, peer, tries=40):
        """What a schedule does with a run that failed."""
        failures = 0
        for _ in range(tries):
            try:
                peer.run()
                return failures
            except (OSError, downstream.Broken, downstream.etree.XMLSyntaxError, downstream.http.client.HTTPException, SoapFault):
                failures += 1
                time.sleep(0.1)
        raise AssertionError(f"{tries} runs in vain")

    # holds: WSUSSS-TRANSPORT-28
    def test_workers_killed_all_the_time(self):
        killed, peers = [], []
        stop = threading.Event()

        def killer():
            # not so fast that the service takes it for a fault of its own
            chance = random.Random(1)
            while not stop.wait(0.25):
                workers = self.server.workers("serversync")
                if workers:
                    killed.append(chance.choice(workers))
                    os.kill(killed[-1], signal.SIGKILL)
        thread = threading.Thread(target=killer)
        thread.start()
        end = time.monotonic() + 20
        try:
            while len(killed) < 6 and time.monotonic() < end:
                peers.append(peer_of(self.server, f"stubborn{len(peers)}.example.net", replica=True, batch=9))
                self.run_until_done(peers[-1])
        finally:
            stop.set()
            thread.join()
        self.assertGreater(len(killed), 2)
        for peer in peers:
            self.world.compare(self, peer)
        wait_for(lambda: len(self.server.workers("serversync")) >= 4, what="the workers that were killed")
        self.assertEqual(set(self.server.workers("serversync")) & set(killed), set())

    # holds: WSUSSS-ADM-02
    def test_the_service_killed_in_the_midst(self):
        peer = peer_of(self.server, "stubborn.example.net", replica=True, batch=9)
        once = []

        def kill():
            if not once:
                once.append(True)
                for pid in [self.server.pid("serversync"), *self.server.workers("serversync")]:
                    os.kill(pid, signal.SIGKILL)
                self.server.stop()
        peer.hooks["categories fetched"] = kill
        with self.assertRaises((OSError, downstream.Broken, downstream.http.client.HTTPException)):
            peer.run()
        held = len(peer.documents)
        self.assertGreater(held, 0)
        self.server.catalog = None
        self.server.start()
        peer.run()
        self.assertEqual(peer.restarts, [])
        self.assertEqual(peer.listed["categories"], [], "what was there before the kill is not told again")
        self.world.compare(self, peer)

    # holds: WSUSSS-ADM-28 WSUSSS-REVLIST-25
    def test_lists_while_the_catalog_grows(self):
        server = Instance("none")
        server.start()
        self.addCleanup(server.stop)
        serve_all(server)
        here = World(server, self.world.pool)
        keys = sorted(here.pool)
        random.Random(2).shuffle(keys)

        def grow():
            for at in range(0, len(keys), 12):
                here.bring(keys[at:at + 12])
        peers = [peer_of(server, f"busy{i}.example.net", replica=bool(i)) for i in range(2)]
        thread = threading.Thread(target=grow)
        thread.start()
        runs = 0
        while thread.is_alive():
            for peer in peers:
                peer.run()
                runs += 1
        thread.join()
        self.assertGreater(runs, 4)
        for peer in peers:
            peer.run()
            here.ever[id(peer)] = set(keys)
            here.compare(self, peer)


class Examples(unittest.TestCase):
    """Examples of MS-WSUSOD for a server above others."""

    @classmethod
    def setUpClass(cls):
        cls.world = world()
        cls.server = cls.world.server
        cls.world.bring([k for k in cls.world.pool if k[1] < 201])

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @staticmethod
    def phases(calls):
        """The calls without the repetitions of a series."""
        return [c for i, c in enumerate(calls) if i == 0 or calls[i - 1] != c]

    # holds: WSUSSS-AUTHCOOKIE-07 WSUSSS-ADM-12 WSUSSS-UPDATEDATA-06
    def test_example_3_1_update_synchronization_to_dss(self):
        peer = peer_of(self.server, "dss.example.net")
        self.assertEqual([r for r in self.server.ctl_json("downstream", "list") if r["id"] == peer.id], [])
        peer.run()
        self.assertEqual(self.phases(peer.calls), ["GetAuthConfig", "GetAuthorizationCookie", "GetCookie", "GetConfigData",
                                                   "GetRevisionIdList", "GetUpdateData", "GetRevisionIdList", "GetUpdateData"])
        self.assertEqual(self.server.ctl_json("downstream", "show", peer.id)["name"], "dss.example.net")
        self.assertTrue(all(peer.anchors[n] for n in ("config", "categories", "updates")))
        # by the end the DSS has the same set of updates as the USS
        held = {(r["id"].lower(), r["revision"]) for r in self.server.ctl_json("update", "list", "--all")}
        self.assertEqual(set(peer.documents), held)
        self.world.compare(self, peer)
        # a subsequent synchronization gets what was added since the last, with the anchors of the last
        later = set(self.world.pool) - self.world.imported
        self.world.bring(later)
        peer.calls.clear()
        peer.run()
        self.assertLessEqual(set(peer.fetched), later)
        self.assertEqual(peer.calls[:5], ["GetAuthConfig", "GetAuthorizationCookie", "GetCookie", "GetConfigData", "GetRevisionIdList"])
        self.world.compare(self, peer)

    # holds: WSUSSS-DEPLOYMENTS-03 WSUSSS-DEPLOYMENTS-08 WSUSSS-DEPLOYMENTS-11
    def test_example_3_2_initial_deployment_synchronization_to_replica_dss(self):
        self.server.ctl("group", "create", "Example")
        tops = [r["id"] for r in self.server.ctl_json("update", "list", "--type", "software") if r["state"] == "offered"]
        for update in tops[:5]:
            self.server.ctl("approve", update, "--group", "Example")
        peer = peer_of(self.server, "replica.example.net", replica=True).run()
        self.assertEqual(self.phases(peer.calls)[-1], "GetDeployments")
        self.assertEqual(len(peer.deployments), 5)
        self.world.compare(self, peer)
        anchor = peer.anchors["deployments"]
        self.assertEqual(anchor, peer.anchors["updates"])
        # afterwards only what changed
        self.server.ctl("unapprove", tops[0], "--group", "Example")
        self.server.ctl("approve", tops[6], "--group", "Example")
        peer.run()
        self.assertEqual((len(peer.last_deployments["live"]), len(peer.last_deployments["dead"])), (1, 1))
        self.world.compare(self, peer)


if __name__ == "__main__":
    unittest.main()
