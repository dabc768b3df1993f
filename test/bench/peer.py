"""peer.py -- a downstream server as far as it asks: the handshake, lists of revisions, their documents, policy.

Every answer is checked: its status, that it names what was asked for in that order, that a document is there once.  What is
wrong is counted and kept in words.  Documents are read as text: that they are right in every byte is looked at for some of
them (Transfer.samples) and is otherwise what the tests are for.
"""
import collections
import html
import http.client
import re
import threading
import time
import uuid

from harness import unpress
import record

SYNC, SYNC_PATH = "http://www.microsoft.com/SoftwareDistribution", "/ServerSyncWebService/ServerSyncWebService.asmx"
AUTH = "http://www.microsoft.com/SoftwareDistribution/Server/DssAuthWebService"
IDENTITY = re.compile(rb"<UpdateIdentity><UpdateID>([0-9a-f-]{36})</UpdateID><RevisionNumber>(\d+)</RevisionNumber></UpdateIdentity>")
ITEM = re.compile(rb"<ServerSyncUpdateData><Id><UpdateID>([0-9a-f-]{36})</UpdateID><RevisionNumber>(\d+)</RevisionNumber></Id>"
                  rb"<XmlUpdateBlob>([^<]+)</XmlUpdateBlob>(?:<FileDigestList>.*?</FileDigestList>)?</ServerSyncUpdateData>")
ENTITIES = {b"&lt;": 3, b"&gt;": 3, b"&amp;": 4, b"&quot;": 5, b"&apos;": 5, b"&#39;": 4, b"&#xD;": 4}  # bytes that each is longer
SAMPLE = 500   # each so manieth document is kept
WRONG = 10     # a transfer stops after so many


class Wrong(Exception):
    """An answer that a downstream server could not use."""


def field(text, name):
    found = re.search(rb"<%s>([^<]*)</%s>" % (name.encode(), name.encode()), text)
    if not found:
        raise Wrong(f"no {name} in {text[:300]!r}")
    return found[1].decode()


def identities(pairs):
    return "".join(f"<UpdateIdentity><UpdateID>{u}</UpdateID><RevisionNumber>{n}</RevisionNumber></UpdateIdentity>" for u, n in pairs)


def chosen(name, ids, delta):
    rows = "".join(f"<IdAndDelta><Id>{i}</Id><Delta>{'true' if delta else 'false'}</Delta></IdAndDelta>" for i in ids)
    return f"<{name}>{rows}</{name}>" if ids else ""


class Peer:
    """One downstream server.  Calls may come from several threads, each with a connection of its own."""

    def __init__(self, port, xpress, name, id=None):
        self.port, self.xpress, self.name, self.id = port, xpress, name, id or str(uuid.uuid4())
        self.cookie, self.limit = "", 100
        self.mine = threading.local()

    # ---- calls ----

    def connection(self):
        if not hasattr(self.mine, "connection"):
            self.mine.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        return self.mine.connection

    def exchange(self, path, headers, body):
        """One request; on a new connection if the kept one was closed while nothing was asked, as HTTP lets a server do."""
        for kept in (hasattr(self.mine, "connection"), False):
            try:
                connection = self.connection()
                connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
                for name, value in headers:
                    connection.putheader(name, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                return record.Call(path, headers, body, answer, answer.read())
            except ConnectionError:
                del self.mine.connection
                if not kept:
                    raise
        raise AssertionError("either an answer or an error")

    def ask(self, operation, inner, path=SYNC_PATH, ns=SYNC):
        """(the answer's text, the call)."""
        body = (f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
                f'<{operation} xmlns="{ns}">{inner}</{operation}></soap:Body></soap:Envelope>').encode()
        headers = [("Host", f"127.0.0.1:{self.port}"), ("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", f'"{ns}/{operation}"'),
                   ("Content-Length", str(len(body))), *([("Accept-Encoding", "xpress")] if self.xpress else [])]
        call = self.exchange(path, headers, body)
        text = unpress(call.reply) if call.packed else call.reply
        if call.status != 200 or f"<{operation}Response ".encode() not in text[:1000]:
            raise Wrong(f"{operation} was answered with {call.status}: {text[:500]!r}")
        if call.packed != self.xpress and len(text) > 1000:
            raise Wrong(f"{operation}: an answer of {len(text)} bytes is {'' if call.packed else 'not '}packed")
        return text, call

    def authorize(self):
        text, _ = self.ask("GetAuthConfig", "")
        text, _ = self.ask("GetAuthorizationCookie", f"<accountName>{self.name}</accountName><accountGuid>{self.id}</accountGuid>",
                           "/" + field(text, "ServiceUrl").lstrip("/"), AUTH)
        text, _ = self.ask("GetCookie", "<authCookies><AuthorizationCookie><PlugInId>DssTargeting</PlugInId>"
                           f"<CookieData>{field(text, 'CookieData')}</CookieData></AuthorizationCookie></authCookies>"
                           "<protocolVersion>1.20</protocolVersion>")
        self.cookie = (f"<cookie><Expiration>{field(text, 'Expiration')}</Expiration>"
                       f"<EncryptedData>{field(text, 'EncryptedData')}</EncryptedData></cookie>")
        text, _ = self.ask("GetConfigData", self.cookie)
        self.limit = int(field(text, "MaxNumberOfUpdatesPerRequest"))
        return self

    def list(self, config=False, anchor=None, categories=(), classifications=(), delta=False):
        """(anchor, identities, the call)."""
        text, call = self.ask("GetRevisionIdList", self.cookie + "<filter>" + (f"<Anchor>{anchor}</Anchor>" if anchor else "")
                              + f"<GetConfig>{'true' if config else 'false'}</GetConfig>" + chosen("Categories", categories, delta)
                              + chosen("Classifications", classifications, delta) + "</filter>")
        found = [(u.decode(), int(n)) for u, n in IDENTITY.findall(text)]
        if text.count(b"<UpdateIdentity>") != len(found):
            raise Wrong(f"GetRevisionIdList: not all identities are of the form: {text[:500]!r}")
        return field(text, "Anchor"), found, call

    def deployments(self, after, until):
        """(anchor, {what: how many}, the call)."""
        text, call = self.ask("GetDeployments", self.cookie + (f"<deploymentAnchor>{after}</deploymentAnchor>" if after else "")
                              + f"<syncAnchor>{until}</syncAnchor>")
        counts = {name: text.count(f"<{name}>".encode()) for name in ("ServerSyncTargetGroup", "ServerSyncDeployment")}
        return field(text, "Anchor"), counts, call

    def documents(self, pairs):
        """([(identity, document escaped)], the call) of as many as the answer has."""
        text, call = self.ask("GetUpdateData", f"{self.cookie}<updateIds>{identities(pairs)}</updateIds>")
        found = [((m[1].decode(), int(m[2])), m[3]) for m in ITEM.finditer(text)]
        if not found or len(found) != text.count(b"<ServerSyncUpdateData>"):
            raise Wrong(f"GetUpdateData: {len(found)} documents in {text.count(b'<ServerSyncUpdateData>')} items: {text[:500]!r}")
        if [identity for identity, _ in found] != list(pairs[:len(found)]):
            raise Wrong(f"GetUpdateData: asked for {pairs[:3]} and so on, got {[i for i, _ in found[:3]]}")
        return found, call


# ---- all documents of a list ----

class Transfer:
    """Gets the documents of all identities, what an answer leaves out first in the next request; keeps each keep_th call."""

    def __init__(self, peer, pairs, connections=1, keep=1, look=None):
        self.peer, self.connections, self.keep, self.look = peer, connections, keep, look
        self.left = collections.deque(pairs)
        self.lock, self.wrong = threading.Lock(), []
        self.documents = self.text_bytes = self.wire_bytes = self.calls = self.short = 0
        self.kept, self.samples = [], {}

    def run(self):
        began = time.monotonic()
        threads = [threading.Thread(target=self.work) for _ in range(self.connections)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.seconds = time.monotonic() - began
        return self

    def take(self):
        with self.lock:
            return [self.left.popleft() for _ in range(min(self.peer.limit, len(self.left)))]

    def work(self):
        while len(self.wrong) < WRONG and (pairs := self.take()):
            try:
                self.enter(pairs, *self.peer.documents(pairs))
            except (Wrong, OSError, http.client.HTTPException) as e:
                self.wrong.append(f"{type(e).__name__}: {e}"[:600])

    def enter(self, pairs, found, call):
        size = sum(len(text) - sum(text.count(e) * more for e, more in ENTITIES.items()) for _, text in found)
        with self.lock:
            self.left.extendleft(reversed(pairs[len(found):]))
            if self.calls % self.keep == 0:
                self.kept.append((call, len(found), size))
            self.short += len(found) < len(pairs)
            self.calls += 1
            for identity, text in found:
                if self.documents % SAMPLE == 0:
                    self.samples[identity] = html.unescape(text.decode())
                self.documents += 1
                if self.look:
                    self.look(identity, text)
            self.text_bytes += size
            self.wire_bytes += len(call.reply)
