"""test_parent_child.py -- servers of ours, one below the other, through nginx: a parent whose catalog and policy change by chance, a
replica, an autonomous server that chooses products, and a replica below the replica.  After each synchronization a child has the
parent's documents byte for byte, its lists, and as a replica its policy; a computer is offered the same by both."""
import os
import random
import re
import unittest

import harness
from child import QUICK, SYNC
from harness import ALL_COMPUTERS, Computer, Instance
from test_downstream import Changes, World, peer_of, world
from test_serversync import serve_all


def below(parent, mode="replica", filter="all"):
    """An instance that synchronizes from another one."""
    server = Instance("none")
    server.start()
    serve_all(server)
    # schedule first: the jobs of a running server would synchronize on their own
    for name, value in (("sync.schedule", "off"), ("upstream.url", f"http://127.0.0.1:{parent.port}"), ("upstream.mode", mode), ("sync.filter", filter),
                        ("sync.languages", "all")):
        server.ctl("config", "set", name, value)
    return server


def synchronize(server, *options, status=0):
    done = harness.run(SYNC, "run", "--store", server.state / "store", "--content", server.state / "content", "--no-content", *options, check=False,
                       env={**os.environ, **QUICK})
    if done.returncode != status:
        raise AssertionError(f"status {done.returncode}, not {status}\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done


def offers(server, group=None):
    """What a new computer is offered: {identity: action}."""
    computer = Computer(server, group=group, id="11111111-2222-4333-8444-555555555555").handshake()
    computer.scan()
    found = {}
    for info in computer.known.values():
        xml = harness.find(info, "Xml")
        row = re.search(r"<UpdateIdentity\b[^>]*>", xml)[0]
        key = (re.search(r'UpdateID="([^"]+)"', row)[1].lower(), int(re.search(r'RevisionNumber="(\d+)"', row)[1]))
        found[key] = harness.find(info, "Deployment/Action")
    return found


class Compare(unittest.TestCase):
    """self.world is the parent's."""
    maxDiff = 3000

    def offered_alike(self, one, other):
        """But for updates whose highest revision has expired: a list names no older one, so a child that came late has none to offer."""
        late = set()
        for update in {u for u, _ in self.world.published()}:
            mine = sorted(k for k in self.world.published() if k[0] == update)
            if 'PublicationState="Expired"' in self.world.pool[mine[-1]][0]:
                late |= {u for u, _ in self.world.with_members(mine)}
        a, b = ({k: v for k, v in offers(s).items() if k[0] not in late} for s in (one, other))
        self.assertEqual({k: (a.get(k), b.get(k)) for k in {**a, **b} if a.get(k) != b.get(k)}, {}, "offered by the one, and by the other")
        self.assertTrue(a)

    def held(self, child):
        return {(r["id"].lower(), r["revision"]) for r in child.ctl_json("update", "list", "--all")}

    def documents(self, child, keys):
        for key in keys:
            text = child.ctl("update", "show", f"{key[0]}:{key[1]}", "--fragment", "original").stdout
            self.assertEqual(text, self.world.pool[key][0], key)

    def same(self, child, seen, replica=True, filter=None, policy=None, above=None):
        """seen: the identities whose documents were compared before, for one child.  above: its parent, if that is not the first one: it
        lists no old revision that only an older bundle names which it never had itself."""
        policy = policy or self.world.policy()
        here = self.world
        if above:
            here = World(above, self.world.pool)
            here.imported, here.ever = self.held(above), self.world.ever
        held = self.held(child)
        named = {(u, d["revision"]) for (u, _), d in policy[1].items()} if replica else set()
        due = here.configuration() | here.updates(named, filter)
        self.assertEqual(due - held, set(), "what has to be there and is not")
        ever = here.ever[id(child)]
        ever |= here.with_members(due | named)
        self.assertEqual(held - ever, set(), "what is there and never was to be")
        self.documents(child, held - seen)
        seen |= held
        if replica:
            mine = World(child, {}).policy()
            known = {u for u, _ in held}
            for at, name in ((0, "groups"), (1, "deployments"), (3, "licences")):
                self.assertEqual(mine[at], policy[at], name)
            self.assertEqual(mine[2], policy[2] & known, "declined")
        return held


class Histories(Changes, Compare):
    SEED, ROUNDS = int(os.environ.get("WSUS_SEED", "20261122")), 60 if os.environ.get("WSUS_LONG") else 16

    # holds: WSUSSS-DSS-META-02 WSUSSS-DSS-META-09 WSUSSS-DSS-META-10 WSUSSS-DSS-META-13 WSUSSS-DSS-META-26 WSUSSS-UPDATEDATA-22
    # holds: WSUSSS-DSS-DEPLOY-03 WSUSSS-DSS-DEPLOY-04 WSUSSS-DSS-DEPLOY-05 WSUSSS-DSS-DEPLOY-06 WSUSSS-DSS-DEPLOY-07 WSUSSS-DSS-DEPLOY-08
    # holds: WSUSSS-DSS-DEPLOY-09 WSUSSS-DSS-DEPLOY-10 WSUSSS-DSS-DEPLOY-11 WSUSSS-DSS-DEPLOY-12 WSUSSS-DSS-DEPLOY-14
    # holds: WSUSSS-DEPLOYMENTS-21 WSUSSS-DSS-META-19 WSUSSS-FAULT-16
    def test_random_histories(self):
        self.random = random.Random(self.SEED)
        self.world = world()
        self.names = []
        # what makes updates be offered, and some of them
        pool = sorted(self.world.pool)
        some = [k for k in pool if self.world.document(k).type in ("Category", "Detectoid")] + self.random.sample(pool, len(pool) // 3)
        self.world.bring(sorted(self.world.with_members(set(some))))
        top = self.world.server
        replica, autonomous = below(top), below(top, "autonomous")
        third = below(replica)
        for server in (top, replica, autonomous, third):
            self.addCleanup(server.stop)
        seen = {id(s): set() for s in (replica, autonomous, third)}
        for number in range(self.ROUNDS):
            did = [self.change() for _ in range(self.random.randrange(1, 6))]
            policy = self.world.policy()
            with self.subTest(round=number, did=did):
                synchronize(replica)
                self.same(replica, seen[id(replica)], policy=policy)
                if self.random.random() < 0.4:
                    synchronize(autonomous)
                    self.same(autonomous, seen[id(autonomous)], replica=False, policy=policy)
                if self.random.random() < 0.4:
                    synchronize(third)
                    self.same(third, seen[id(third)], policy=policy, above=replica)
                if number % 4 == 3:
                    self.offered_alike(top, replica)
                    self.told_alike(top, replica)
                    self.nothing_new(replica)
        self.assertTrue(policy[0] and policy[1] and policy[2], [len(p) for p in policy])
        for child in (replica, third, autonomous):
            synchronize(child)
            self.same(child, seen[id(child)], replica=child is not autonomous, above=replica if child is third else None)
            child.ctl("store", "audit")
        self.offered_alike(top, replica)
        self.offered_alike(top, third)
        self.told_alike(top, third)
        self.restored(top, [(replica, True), (autonomous, False)], seen)

    def told_alike(self, one, other):
        """A server below is told the same by both; the ids of deployments are each server's own."""
        a, b = (peer_of(s, "alike.example.net", replica=True).run() for s in (one, other))
        for name in ("documents", "groups", "deployments", "hidden", "accepted", "digests"):
            mine, theirs = getattr(a, name), getattr(b, name)
            if name == "hidden":
                mine = mine & {u for u, _ in b.documents}
            if name == "deployments":
                mine, theirs = ({(d["update"], d["group"]): {k: v for k, v in d.items() if k != "guid"} for d in rows.values()} for rows in (mine, theirs))
            if name in ("documents", "digests"):
                # old revisions that only older bundles name are not told by who never had these; those that nobody names any more are kept
                self.assertEqual({u for u, _ in theirs}, {u for u, _ in mine}, name)
                self.assertEqual([k for k in theirs if k in mine and theirs[k] != mine[k]], [], name)
            else:
                self.assertEqual(theirs, mine, name)

    def nothing_new(self, child):
        stat = child.ctl_json("store", "stat")
        synchronize(child)
        again = child.ctl_json("store", "stat")
        self.assertEqual((again["epoch"], again["generation"]), (stat["epoch"], stat["generation"]), "nothing new is nothing written")

    def restored(self, top, children, seen):
        """The parent is set back: ServerChanged, once."""
        copy = harness.temporary() / "copy"
        top.ctl("backup", copy)
        held = set(self.world.imported)
        for _ in range(6):
            self.change()
        for child, replica in children:
            synchronize(child)
            self.same(child, seen[id(child)], replica=replica)
        top.stop()
        top.ctl("restore", copy)
        top.catalog = None
        top.start()
        late, self.world.imported = self.world.imported - held, held
        for child, replica in children:
            synchronize(child)
            last = child.ctl_json("sync", "history")[0]
            self.assertEqual(last["restarts"], 1, last)
            self.world.ever[id(child)] |= late
            self.same(child, seen[id(child)], replica=replica)
            self.nothing_new(child)


class Choices(Compare):
    """Products and classifications of an autonomous child, one after the other."""

    # holds: WSUSSS-DSS-META-12 WSUSSS-REVLIST-18
    def test_products_are_chosen(self):
        self.world = world()
        top = self.world.server
        self.addCleanup(top.stop)
        later = {k for k in self.world.pool if k[1] > min(n for u, n in self.world.pool if u == k[0])}
        self.world.bring(sorted(set(self.world.pool) - later))
        child = below(top, "autonomous", "chosen")
        self.addCleanup(child.stop)
        seen = set()
        synchronize(child)
        self.assertEqual(self.held(child), self.world.configuration(), "only what can be chosen")
        kinds = {k[0]: self.world.document(k).category_type for k in self.world.configuration()}
        used = [c for k in sorted(self.world.updates()) for c in self.world.document(k).categories]
        products = sorted({c for c in used if kinds.get(c) == "Product"}, key=lambda c: (-used.count(c), c))
        classes = sorted({c for c in used if kinds.get(c) == "UpdateClassification"}, key=lambda c: (-used.count(c), c))
        child.ctl("product", "select", "--no-count", products[0])
        child.ctl("classification", "select", "--no-count", classes[0])
        for filter, change in ((((products[:1]), classes[:1]), ()), ((products[:2], classes[:1]), ("product", "select", products[1])),
                               ((products[:2], classes[:2]), ("classification", "select", classes[1])),
                               ((products[1:2], classes[:2]), ("product", "deselect", products[0])),
                               ((products[:2], classes[:2]), ("product", "select", products[0]))):
            with self.subTest(change=change):
                if change:
                    child.ctl(*change, *(["--no-count"] if change[1] == "select" else []))
                if change and change[1] == "deselect":
                    # while it is not chosen, something comes
                    self.world.bring(sorted(later))
                synchronize(child)
                self.same(child, seen, replica=False, filter=filter)
                self.nothing_new(child)

    nothing_new = Histories.nothing_new


class Replica(Compare):
    """What is a replica's own, and what is not."""

    # holds: WSUSSS-ADM-26
    def test_policy_is_made_above(self):
        above = self.world = world()
        top = above.server
        self.addCleanup(top.stop)
        above.bring(sorted(above.pool))
        child = below(top)
        self.addCleanup(child.stop)
        synchronize(child)
        update = next(r["id"] for r in child.ctl_json("update", "list", "--type", "software") if r["state"] == "offered")
        for command in (("approve", update, "--group", ALL_COMPUTERS), ("decline", update), ("group", "create", "Mine")):
            done = child.ctl(*command, check=False)
            self.assertEqual(done.returncode, 1, command)
            self.assertIn(str(top.port), done.stderr, "it says where")
        top.ctl("approve", update, "--group", ALL_COMPUTERS)
        synchronize(child)
        self.assertEqual([a["action"] for a in child.ctl_json("update", "show", update)["approvals"]], ["install"])
        # a server that becomes its own master keeps what it has
        child.ctl("config", "set", "upstream.mode", "autonomous")
        child.ctl("group", "create", "Mine")
        child.ctl("approve", update, "--group", "Mine")
        synchronize(child)
        self.assertIn("Mine", {g["name"] for g in child.ctl_json("group", "list")})
        child.ctl("config", "set", "upstream.mode", "replica")
        synchronize(child)
        self.assertEqual({g["name"] for g in child.ctl_json("group", "list")}, {g["name"] for g in top.ctl_json("group", "list")})
        self.offered_alike(top, child)


if __name__ == "__main__":
    unittest.main()
