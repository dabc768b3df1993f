"""test_sync_policy.py -- the deployments phase of a replica with a scripted parent: what is asked for, what comes of it, and what stays
when it fails.  What a parent of ours says is compared in test_parent_child.py, what no server says in t_replica.c."""
import unittest

from child import Child
from parent import ALL_COMPUTERS, NIL, UNASSIGNED, Parent, document, number, small_catalog

FAILED = 1
FIRST, SECOND = (number(100), 200), (number(101), 200)


class Policy(unittest.TestCase):
    def setUp(self):
        self.parent = Parent(small_catalog())
        self.addCleanup(self.parent.stop)
        self.pilots = self.parent.group("Pilots")
        self.parent.deploy(FIRST, self.pilots)

    def replica(self):
        return Child(self.parent, upstream_mode="replica")

    def asked(self):
        """(deploymentAnchor, syncAnchor) of each GetDeployments, and the anchors that lists of updates had given by then."""
        return [(r.fields.get("deploymentAnchor"), r.fields["syncAnchor"]) for r in self.parent.calls("GetDeployments")]

    def same(self, child):
        groups, deployments, declined, accepted = child.policy()
        theirs = {i: (name, above, builtin) for i, (name, above, builtin, _) in self.parent.groups.items()}
        self.assertEqual(groups, theirs)
        live = {(d["key"][0], d["group"]): (d["key"][1], d["action"], d["assigned"], d["admin"]) for d in self.parent.deployments.values()}
        self.assertEqual({k: (d["revision"], d["action"], d["assigned"], d["admin"]) for k, d in deployments.items()}, live)
        self.assertEqual((declined, accepted), (self.parent.hidden, self.parent.eulas))
        child.audit()
        self.parent.assert_well_behaved(self)

    # holds: WSUSSS-DSS-DEPLOY-02 WSUSSS-DSS-DEPLOY-03 WSUSSS-DSS-DEPLOY-13 WSUSSS-DEPLOYMENTS-03 WSUSSS-DEPLOYMENTS-04 WSUSSS-ADM-08
    def test_the_first_answer_is_whole_and_the_next_ones_go_on_from_it(self):
        child = self.replica()
        child.sync()
        self.same(child)
        self.parent.hidden.add(SECOND[0])
        inner = self.parent.group("Inner", self.pilots)
        self.parent.deploy((number(102), 200), inner, action=1, priority=3)
        child.sync()
        self.same(child)
        row = child.last()
        self.assertEqual((row["result"], row["phase"], row["groups"], row["deployments"], row["hidden"]), ("done", "deployments", 1, 1, 1), row)
        self.parent.undeploy(next(iter(self.parent.deployments)))
        self.parent.hidden.clear()
        del self.parent.groups[inner]
        for guid in [g for g, d in self.parent.deployments.items() if d["group"] == inner]:
            self.parent.undeploy(guid)
        child.sync()
        self.same(child)
        (none, first), (second, until), (third, _) = self.asked()
        self.assertEqual((none, second, third), (None, first, until))
        self.assertEqual([a for a in self.parent.list_anchors[False]], [u for _, u in self.asked()])
        epoch = child.epoch()
        child.sync()
        self.assertEqual(child.epoch(), epoch, "nothing new is nothing written")
        self.assertEqual(child.last()["result"], "done")

    # holds: WSUSSS-DSS-DEPLOY-01 WSUSSS-DEPLOYMENTS-02 WSUSSS-DSS-META-24 WSUSSS-DSS-META-25
    def test_an_autonomous_server_does_not_ask(self):
        child = Child(self.parent)
        child.ctl("group", "create", "Own")
        child.sync()
        self.assertEqual(self.asked(), [])
        self.assertIn("Own", {name for name, _, _ in child.policy()[0].values()})
        self.assertEqual((child.last()["result"], child.last()["phase"]), ("done", "updates"))

    # holds: WSUSSS-DSS-META-26
    def test_what_deployments_name_and_lists_do_not_is_fetched(self):
        child = self.replica()
        child.sync()
        # of before the child's last list: no later list has it
        old = self.parent.add(document(number(100), 199))
        self.parent.items[old].since = 1
        self.parent.deploy(old, ALL_COMPUTERS)
        child.sync()
        self.assertIn(old, child.keys())
        self.same(child)
        self.assertEqual(child.last()["related"], 1)

    def test_what_the_parent_does_not_have_itself_waits_and_stops_nobody(self):
        child = self.replica()
        late = (number(500), 7)
        self.parent.deploy(late, self.pilots)
        self.parent.deploy(SECOND, self.pilots)
        done = child.sync()
        self.assertIn("1 approvals are of revisions", done.stdout + done.stderr)
        held = child.policy()[1]
        self.assertEqual({u for u, _ in held}, {FIRST[0], SECOND[0]})
        self.parent.add(document(*late))
        child.sync()
        self.same(child)

    # holds: WSUSSS-DSS-DEPLOY-03
    def test_a_failed_answer_leaves_everything_as_it_was(self):
        child = self.replica()
        child.sync()
        policy, epoch = child.policy(), child.epoch()
        self.parent.deploy(SECOND, self.pilots)
        self.parent.hidden.add(number(102))
        circle = self.parent.group("Circle")
        self.parent.groups[circle] = ("Circle", circle, False, 1)
        done = child.sync(status=FAILED)
        self.assertIn('a group "Circle" that cannot be mirrored', done.stdout + done.stderr)
        self.assertEqual((child.policy(), child.epoch()), (policy, epoch))
        del self.parent.groups[circle]
        for trouble in ({"fault": "InternalServerError"}, {"cut": 700}, {"status": 403, "body": b"no"}):
            with self.subTest(trouble=trouble):
                self.parent.on("GetDeployments", times=-1, **trouble)
                child.sync(status=FAILED)
                self.assertEqual((child.policy(), child.epoch()), (policy, epoch))
                self.assertEqual(child.last()["phase"], "deployments")
                self.parent.calm()
        child.sync()
        self.same(child)
        self.assertEqual(len({a for a, _ in self.asked()[1:]}), 1, "the anchor stood")

    # holds: WSUSSS-ADM-10 WSUSSS-ADM-26
    def test_what_was_decided_in_between_gives_way(self):
        child = self.replica()
        child.sync()
        refused = child.ctl("approve", SECOND[0], "--group", "Pilots", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"this server is a replica of {self.parent.url}: to approve, do it there", refused.stderr)
        child.ctl("config", "set", "upstream.mode", "autonomous")
        child.ctl("approve", SECOND[0], "--group", "Pilots")
        child.ctl("group", "create", "Own")
        child.ctl("decline", number(102))
        child.ctl("config", "set", "upstream.mode", "replica")
        self.parent.used.clear()  # it is asked for everything, as it should
        child.sync()
        self.assertIsNone(self.asked()[-1][0])
        self.same(child)
        # one that was never a replica is told what it loses
        other = Child(self.parent)
        other.ctl("group", "create", "Own")
        self.parent.new_peer()
        other.sync()
        other.ctl("approve", SECOND[0], "--group", "Own")
        other.ctl("config", "set", "upstream.mode", "replica")
        self.parent.used.clear()
        done = other.sync()
        self.assertIn("its 1 groups, 1 approvals and 0 declines give way", done.stdout + done.stderr)
        self.same(other)

    def test_groups_of_another_language_and_a_parent_that_is_left_out(self):
        self.parent.groups[ALL_COMPUTERS] = ("Alle Computer", NIL, True, 1)
        self.parent.groups[UNASSIGNED] = ("Nicht zugewiesene Computer", ALL_COMPUTERS, True, 1)
        child = self.replica()
        child.sync()
        names = {i: name for i, (name, _, _) in child.policy()[0].items()}
        self.assertEqual((names[ALL_COMPUTERS], names[UNASSIGNED], names[self.pilots]), ("All Computers", "Unassigned Computers", "Pilots"))
        self.assertEqual({g for _, g in child.policy()[1]}, {self.pilots})


if __name__ == "__main__":
    unittest.main()
