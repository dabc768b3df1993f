"""test_sync_corpus.py -- the recorded answers of a real server, byte for byte, to a synchronization: requests 01 to 06 and 13 to 16 of
the corpus.  Identities that the recorded lists name and that nobody recorded have made-up documents."""
import re
import unittest

from child import Child
from downstream import Document
from harness import CORPUS
from parent import Parent, document, uncabinet

RECORDED = CORPUS / "serversync"
IDENTITY = re.compile(r"<UpdateID>([^<]*)</UpdateID><RevisionNumber>(\d+)")


def recorded(number):
    return (RECORDED / f"{number:06}/response.body").read_bytes()


def identities(number):
    return [(u.lower(), int(r)) for u, r in IDENTITY.findall(recorded(number).decode("utf-8"))]


class Replay(Parent):
    """A parent whose answers are the recorded ones where there are any."""

    def __init__(self):
        super().__init__()
        for path in (CORPUS / "updates").glob("*.xml"):
            self.add(path.read_bytes().decode("utf-8"))
        self.single = {}
        for number in (13, 14, 15, 16):
            (key,) = identities(number)
            self.single[key] = recorded(number)
        members = [m for i in list(self.items.values()) for m in i.document.members]
        named = [c for i in list(self.items.values()) for c in i.document.categories]
        for key in identities(6) + [(c, 1) for c in named if all(c != u for u, _ in self.items)]:
            if key not in self.items:
                self.add(document(*key, kind="Category"))
        for key in members:
            if key not in self.items:
                self.add(document(*key))
        self.clock = 1000  # the recorded anchors are of before that
        self.served = []
        self.answers = {"GetAuthConfig": lambda _: recorded(1), "GetAuthorizationCookie": self.authorization_cookie, "GetCookie": self.cookie,
                        "GetConfigData": self.configuration, "GetRevisionIdList": self.list, "GetUpdateData": self.data}

    def authorization_cookie(self, request):
        self._GetAuthorizationCookie(request.fields)
        self.auth_cookies.add(re.search(r"<CookieData>([^<]*)<", recorded(2).decode())[1])
        return recorded(2)

    def cookie(self, request):
        # its end is over: another one in its place
        self._GetCookie(request.fields)
        given = self.cookies.pop(self.last_cookie)
        self.last_cookie = re.search(r"<EncryptedData>([^<]*)<", recorded(3).decode())[1]
        self.cookies[self.last_cookie] = given
        return re.sub(rb"<Expiration>[^<]*<", b"<Expiration>%s<" % given[2].encode(), recorded(3))

    def configuration(self, request):
        self._GetConfigData(request.fields)
        body = recorded(4 if "configAnchor" in request.fields else 5)
        self.config_anchors.append(re.search(r"<NewConfigAnchor>([^<]*)<", body.decode())[1])
        return body

    def list(self, request):
        if request.fields["filter"]["GetConfig"] != "true" or "Anchor" in request.fields["filter"]:
            return None
        self._GetRevisionIdList(request.fields)
        self.list_anchors[True][re.search(r"<Anchor>([^<]*)<", recorded(6).decode())[1]] = (frozenset(), frozenset())
        return recorded(6)

    def data(self, request):
        """A recorded answer holds one document: short, whatever else was asked for."""
        self._check_cookie(request.fields, "GetUpdateData")
        for key in self._identities(request.fields, 100, "GetUpdateData"):
            if key in self.single and key not in self.served:
                self.served.append(key)
                self.asked[key] += 1
                return self.single[key]
        return None


@unittest.skipUnless(RECORDED.is_dir(), f"no recorded exchanges at {RECORDED}")
class Corpus(unittest.TestCase):
    maxDiff = 2000

    # holds: WSUSSS-DSS-META-07 WSUSSS-DSS-META-08 WSUSSS-DSS-META-15 WSUSSS-UPDATEDATA-12 WSUSSS-UPDATEDATA-13 WSUSSS-UPDATEDATA-14 WSUSSS-UPDATEDATA-15 WSUSSS-UPDATEDATA-24 WSUSSS-REVLIST-28
    def test_the_child_has_exactly_these_documents(self):
        with Replay() as server:
            child = Child(server)
            child.sync()
            server.assert_well_behaved(self)
            self.assertEqual(sorted(server.served), sorted(server.single), "each recorded document was asked for")
            updates = set(server.matching(False))
            self.assertLessEqual(set(server.single), updates | set(identities(6)))
            self.assertEqual(child.keys(), set(identities(6)) | updates, "the recorded list, and the updates with their members")
            texts = child.documents()
            for key, text in texts.items():
                self.assertEqual(text, server.items[key].text, key)
            for path in (CORPUS / "cab").glob("*.xml"):
                text = path.read_bytes().decode("utf-8")
                self.assertEqual(texts[Document(text).key], text, path.name)
            child.audit()
            # the second run has the recorded answers to anchors
            epoch = child.epoch()
            calls = len(server.calls())
            child.sync()
            server.assert_well_behaved(self)
            self.assertEqual([r.operation for r in server.calls()[calls:]], ["GetAuthConfig", "GetAuthorizationCookie", "GetCookie",
                             "GetConfigData", "GetRevisionIdList", "GetRevisionIdList"], "nothing new")
            self.assertEqual(child.epoch(), epoch, "nothing new is nothing written")

    def test_the_corpus_is_what_this_test_thinks(self):
        self.assertEqual([identities(n) for n in (13, 14, 15, 16)], [
            [("a2fef9b0-7951-4c2c-a42b-9e351dd1c1fe", 200)], [("266f6222-c89d-43f2-9f8a-69340271e677", 200)],
            [("ccb78947-6453-4ecc-9de8-bc0305c98f2d", 200)], [("56309036-4c77-4dd9-951a-99ee9c246a94", 101)]])
        self.assertEqual(len(identities(6)), 30)
        self.assertRaises(AssertionError, uncabinet, b"MSCF" + bytes(60) + b"x")


if __name__ == "__main__":
    unittest.main()
