"""test_parent.py -- the scripted upstream server of the other tests: downstream.py, which is no part of the project either, walks
it, and each of its habits is there."""
import base64
import contextlib
import http.client
import random
import shutil
import ssl
import subprocess
import threading
import unittest
import urllib.request

from lxml import etree

import harness
import parent
from downstream import SOAP12, SYNC, SYNC_PATH, Broken, Downstream, SoapFault, content_names, identity_xml, tag
from parent import CODES, Form, Parent, cabinet, document, number, small_catalog, uncabinet


def peer_of(server, name="child.example.net", **kw):
    return Downstream(server.host, server.port, name, uncabinet=uncabinet, **kw)


def plain(element):
    """What an element says, whatever its form: names without prefixes, text, and nothing that nobody knows."""
    rows = [plain(e) for e in element if isinstance(e.tag, str) and etree.QName(e).localname not in ("Later", "NewerThanYou")]
    return etree.QName(element).localname, (element.text or "").strip() if not rows else "", sorted(rows)


class Walk(unittest.TestCase):
    def test_documents_lists_and_anchors(self):
        rows = small_catalog(5)
        rows.update({parent.Document(t).key: t for t in (document(number(200), 1, size=9000), document(number(200), 2, size=90000))})
        rows.update({k: t for k, t in ((parent.Document(t).key, t) for t in (
            document(number(300), 7, members=[(number(200), 1), (number(101), 200)]),))})
        for pack in (None, "mszip", "lzx", "stored"):
            with self.subTest(pack=pack), Parent(rows) as server:
                server.pack = pack
                peer = peer_of(server, replica=True).run()
                self.assertEqual(peer.documents, rows)
                server.add(document(number(400)))
                peer.run()
                self.assertEqual(peer.fetched, [(number(400), 200)])
                peer.run()
                self.assertEqual(peer.listed, {"categories": [], "updates": []})
                server.assert_well_behaved(self)

    def test_policy_of_a_replica(self):
        with Parent(small_catalog()) as server:
            group = server.group("Pilots")
            one, two = (server.deploy((number(100 + i), 200), group) for i in range(2))
            server.hidden.add(number(102))
            server.eulas.add(number(900))
            peer = peer_of(server, replica=True).run()
            self.assertEqual(set(peer.deployments), {one, two})
            self.assertEqual(peer.groups[group][0], "Pilots")
            server.undeploy(one)
            peer.run()
            self.assertEqual((set(peer.deployments), peer.last_deployments), ({two}, {"live": [], "dead": [one]}))
            self.assertEqual((peer.hidden, peer.accepted), ({number(102)}, {number(900)}))
            server.assert_well_behaved(self)

    def test_a_filter(self):
        with Parent(small_catalog(2)) as server:
            other = server.add(document(number(3), 1, "Category"))
            server.add(document(number(500), 200, categories=(other[0], parent.CLASSIFICATION)))
            peer = peer_of(server)
            peer.filter = ((parent.PRODUCT,), (parent.CLASSIFICATION,))
            peer.run()
            self.assertEqual({u for u, _ in peer.listed["updates"]}, {number(100), number(101)})
            peer.filter = ((parent.PRODUCT, other[0]), (parent.CLASSIFICATION,))
            peer.run()
            self.assertEqual({u for u, _ in peer.listed["updates"]}, {number(500)})
            server.assert_well_behaved(self)

    def test_faults_restart_a_run(self):
        with Parent(small_catalog()) as server:
            peer = peer_of(server).run()
            server.change_identity()
            peer.run()
            self.assertEqual(peer.restarts, ["ServerChanged"])
            server.expire_cookies()
            with self.assertRaises(SoapFault) as caught:
                peer.configuration()
            self.assertEqual(caught.exception.code, "InvalidCookie")

    def test_files(self):
        body = random.Random(3).randbytes(3000)
        with Parent() as server:
            server.add(document(number(7), files=(("a b.cab", body, ""),)))
            peer = peer_of(server).run()
            digest = next(iter(peer.urls))
            server.obtains[digest] = body
            server.urls[digest] = server.url + "/d/x.cab"
            path = content_names(digest, "a b.cab")[1]
            self.assertEqual(peer.get(path)[0], 404)
            peer.files({digest: "a b.cab"})
            self.assertEqual(server.wanted, [digest])
            self.assertEqual(peer.get(path), (200, body))
            self.assertEqual(peer.get(path, {"Range": "bytes=2990-"}), (206, body[2990:]))
            self.assertEqual(peer.get(path, {"Range": "bytes=3000-"})[0], 416)
            self.assertEqual([g[1:] for g in server.gets[-3:]], [(None, 200), ("bytes=2990-", 206), ("bytes=3000-", 416)])


class Habits(unittest.TestCase):
    def test_every_form_says_the_same(self):
        with Parent(small_catalog()) as server:
            peer = peer_of(server).run()
            peer.authorize()

            def said(form):
                server.form = form
                body = peer.raw(SYNC, "GetUpdateData", f"{peer.cookie_xml()}<updateIds>{''.join(map(identity_xml, sorted(server.items)))}</updateIds>")[2]
                return body, plain(etree.fromstring(body))
            first = said(Form())[1]
            bodies = set()
            for form in (Form(prefix="s", declaration=False), Form(inner="q"), Form(extras=True), Form(reverse=True), Form(white=True),
                         Form(framing="chunked"), Form(framing="close")):
                body, told = said(form)
                self.assertEqual(told, first, form.__dict__)
                bodies.add(body)
            self.assertEqual(len(bodies), 6)

    def test_codings(self):
        with Parent(small_catalog(), form=Form(coding="xpress")) as server:
            self.assertEqual(peer_of(server, unpress=harness.unpress).run().documents, small_catalog())
            self.assertEqual(peer_of(server).run().documents, small_catalog(), "not asked for")

    def test_faults(self):
        with Parent(small_catalog()) as server:
            peer = peer_of(server)
            for soap, forms in ((parent.SOAP11, parent.FAULTS), (SOAP12, parent.FAULTS12)):
                peer.soap = soap
                for form in forms:
                    for code in CODES:
                        server.on("GetAuthConfig", fault=code, message="m & m", fault_form=form)
                        with self.assertRaises(SoapFault) as caught:
                            peer.authorize()
                        self.assertEqual(caught.exception.code, code if form != "bare" else None)
                        self.assertEqual(caught.exception.status, 500)
                peer.authorize()

    def test_answers_that_end_early(self):
        with Parent(small_catalog()) as server:
            peer = peer_of(server)
            for cut in (0, 10, 200, 400):
                server.on("GetAuthConfig", cut=cut, reset=cut == 10)
                with self.assertRaises((OSError, http.client.HTTPException)):
                    peer.authorize()
            server.on(None, nth=2, drop=True)
            with self.assertRaises((OSError, http.client.HTTPException)):
                peer.authorize()
            peer.run()

    def test_the_real_limits(self):
        rows = {parent.Document(t).key: t for t in (document(number(1000 + i)) for i in range(101))}
        with Parent(rows) as server:
            peer = peer_of(server)
            peer.authorize()
            ids = [identity_xml(k) for k in rows]
            for some, code in ((ids, "InvalidParameters"), (ids[:3] + [identity_xml((number(5), 1))], "InternalServerError")):
                with self.assertRaises(SoapFault) as caught:
                    peer.sync("GetUpdateData", f"<updateIds>{''.join(some)}</updateIds>", ("updates", "fileUrls"))
                self.assertEqual(caught.exception.code, code)
            server.batch = 7
            peer.run()
            self.assertEqual(len(peer.documents), 101)
            self.assertEqual(peer.rounds[0], (100, 7))


class Judge(unittest.TestCase):
    """It sees what is wrong with a request."""

    def wrong(self, action, *words):
        with Parent(small_catalog()) as server:
            peer = peer_of(server).run()
            server.settle()
            peer.authorize()
            with contextlib.suppress(SoapFault, Broken):
                action(peer)
            self.assertTrue(server.violations, "nothing was noticed")
            for word in words:
                self.assertIn(word, server.violations[0])

    def ask(self, operation, inner):
        return lambda peer: peer.call(SYNC, operation, peer.cookie_xml() + inner)

    def test_requests_out_of_form(self):
        some = identity_xml((parent.PRODUCT, 1))
        ids = lambda rows: f"<updateIds>{rows}</updateIds>"
        self.wrong(lambda p: p.call(SYNC, "GetUpdateData", ids(some) + p.cookie_xml()), "order")
        self.wrong(self.ask("GetUpdateData", ids(some) * 2), "2 updateIds")
        self.wrong(self.ask("GetUpdateData", ids(some + some)), "twice")
        self.wrong(self.ask("GetUpdateData", "<updateIds />"), "0 UpdateIdentity")
        self.wrong(self.ask("GetUpdateData", ids(some.replace("<RevisionNumber>1", "<RevisionNumber>one"))), "one")
        self.wrong(self.ask("GetUpdateData", "<x/>" + ids(some)), "x")
        self.wrong(self.ask("GetUpdateData", "<updateIds a='1'>" + some + "</updateIds>"), "attributes")
        self.wrong(lambda p: p.call(SYNC, "GetConfigData", ""), "cookie")
        self.wrong(lambda p: p.call(SYNC, "GetConfigData", p.cookie_xml().replace("<EncryptedData>", "<EncryptedData>AAAA")), "never given")
        self.wrong(lambda p: p.call(SYNC, "GetConfigData", p.cookie_xml().replace("Z<", "0Z<")), "Expiration")
        self.wrong(self.ask("GetRelatedRevisionsForUpdates", ""), "RELATED")
        self.wrong(self.ask("GetDriverIdList", ""), "no operation")

    def test_anchors_and_filters(self):
        def ask(inner):
            return self.ask("GetRevisionIdList", f"<filter>{inner}</filter>")
        rows = lambda name, delta: f"<{name}><IdAndDelta><Id>{number(1)}</Id><Delta>{delta}</Delta></IdAndDelta></{name}>"
        last = "<Get63LanguageOnly>false</Get63LanguageOnly>"
        self.wrong(lambda p: p.revision_ids(False, None), "without an anchor")
        self.wrong(lambda p: p.revision_ids(True, p.anchors["updates"]), "never given for it")
        self.wrong(ask("<GetConfig>true</GetConfig>"), "Get63LanguageOnly")
        self.wrong(ask(f"{last}<GetConfig>true</GetConfig>"), "order")
        self.wrong(ask(f"<GetConfig>false</GetConfig>{last}{rows('Categories', 'false')}"), "REVLIST-18")
        self.wrong(lambda p: p.revision_ids(False, None, f"{tag('Anchor', p.anchors['updates'])}<GetConfig>false</GetConfig>{last}"
                                            f"{rows('Categories', 'true')}{rows('Classifications', 'true')}"), "Delta")
        self.wrong(self.ask("GetConfigData", tag("configAnchor", "1,2026-01-01 00:00:00.000")), "anchor")
        self.wrong(self.ask("GetDeployments", tag("syncAnchor", "1,2026-01-01 00:00:00.000")), "syncAnchor")

    def test_headers(self):
        def bare(change):
            def action(peer):
                headers = peer.headers(SYNC, "GetAuthConfig")
                body = change(headers) or peer.envelope(SYNC, "GetAuthConfig", "")
                peer.send(headers.pop(":path", SYNC_PATH), body, headers)
            return action
        self.wrong(bare(lambda h: h.update({"SOAPAction": h["SOAPAction"].strip('"')})), "SOAPAction")
        self.wrong(bare(lambda h: h.update({"Content-Type": "text/xml"})), "Content-Type")
        self.wrong(bare(lambda h: h.update({":path": SYNC_PATH.lower()})), "at /server")
        self.wrong(bare(lambda h: f'<s:Envelope xmlns:s="{parent.SOAP11}"><s:Header /><s:Body><GetAuthConfig xmlns="{SYNC}" /></s:Body></s:Envelope>'.encode()),
                   "Header")

    def test_microsoft_update(self):
        with Parent(small_catalog(), microsoft_update=True) as server:
            peer = peer_of(server)
            peer.authorize()
            body = peer.raw(SYNC, "GetConfigData", peer.cookie_xml())[2]
            self.assertTrue(body.startswith(b"<s:Envelope"))
            names = [etree.QName(e).localname for e in etree.fromstring(body)[0][0][0]]
            self.assertLess(names.index("MaxNumberOfUpdatesPerRequest"), names.index("MaxNumberOfComputerIdsInRequest"))
            self.assertRegex(body.decode(), r"<NewConfigAnchor>\d{4}-")
            self.assertEqual(server.violations, [])
            with contextlib.suppress(SoapFault):
                peer.download_files([b"x" * 20])
            self.assertIn("Microsoft", server.violations[0])


class Cabinets(unittest.TestCase):
    def test_round_trip(self):
        for size in (0, 1, 16383, 16384, 16385, 70000):
            text = ("ä€x" * size)[:size]
            for kind in parent.CABINETS:
                self.assertEqual(uncabinet(cabinet(text, kind)), text, (kind, size))

    @unittest.skipUnless(shutil.which("cabextract"), "there is no cabextract")
    def test_another_reader(self):
        text = "".join(random.Random(1).choices("abc€ä \n", k=60000))
        for kind in parent.CABINETS:
            folder = harness.temporary()
            (folder / "x.cab").write_bytes(cabinet(text, kind))
            subprocess.run(["cabextract", "-q", "-d", folder, folder / "x.cab"], check=True, stdout=subprocess.DEVNULL)
            self.assertEqual((folder / "blob").read_bytes().decode("utf-16-le"), text, kind)

    def test_xpress(self):
        text = ("<UpdateIdentity><UpdateID>" + "".join(random.Random(2).choices("0123456789abcdef-", k=40)) + "</UpdateID>").encode() * 1000
        self.assertEqual(harness.unpress(parent.xpress(text)), text)
        noise = random.Random(3).randbytes(50000)
        self.assertEqual(harness.unpress(parent.xpress(noise)), noise)


class Encrypted(unittest.TestCase):
    def test_certificates(self):
        authority = parent.Authority()
        with Parent(small_catalog(), tls=authority.context()) as server:
            good = ssl.create_default_context(cafile=authority.file)
            good.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
            with self.assertRaises(urllib.request.HTTPError) as caught:
                urllib.request.urlopen(server.url + "/Content/AA/x.cab", context=good)
            self.assertEqual(caught.exception.code, 404)
            caught.exception.close()
            with self.assertRaises(OSError):
                urllib.request.urlopen(server.url + "/", context=ssl.create_default_context())

    def test_a_login(self):
        with Parent(login="ada:secret") as server:
            peer = peer_of(server)
            self.assertEqual(peer.raw(SYNC, "GetAuthConfig", "")[0], 401)
            headers = {**peer.headers(SYNC, "GetAuthConfig"), "Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
            self.assertEqual(peer.send(SYNC_PATH, peer.envelope(SYNC, "GetAuthConfig", ""), headers)[0], 200)


class Threads(unittest.TestCase):
    def test_several_at_a_time(self):
        with Parent(small_catalog(40)) as server:
            server.lenient = True
            peers = [peer_of(server, batch=3) for _ in range(4)]
            for peer in peers:
                peer.id = peers[0].id
            threads = [threading.Thread(target=p.run) for p in peers]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual([len(p.documents) for p in peers], [42] * 4)
            self.assertEqual(server.violations, [])


if __name__ == "__main__":
    unittest.main()
