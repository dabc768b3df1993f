"""downstream.py -- a downstream server as MS-WSUSSS 3.2.4 describes one, for the tests: it walks the protocol, keeps its own
state, and checks the form of every answer.  Nothing in it is the project's: sockets, XML and what the specification says.

    dss = Downstream("127.0.0.1", 8530, "branch.example.net", replica=True)
    dss.run()                # one synchronization
    dss.documents            # {(update id, revision): text of the document}

What the specification leaves to the downstream server is decided as a careful one would: anchors are kept only when all that
they cover is there; members of bundles and revisions that deployments name are fetched though no list has them; a list of
deployments that was asked for without an anchor is the whole list and replaces what there was.
"""
import base64
import contextlib
import hashlib
import http.client
import re
import urllib.parse
import uuid

from lxml import etree

SYNC = "http://www.microsoft.com/SoftwareDistribution"
AUTH = "http://www.microsoft.com/SoftwareDistribution/Server/DssAuthWebService"
PING = "http://www.microsoft.com/SoftwareDistribution/Server/IMonitorable"
SYNC_PATH = "/ServerSyncWebService/ServerSyncWebService.asmx"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
NO_DEADLINE = "9999-12-31T23:59:59.9999999"
NIL = "00000000-0000-0000-0000-000000000000"
RESTARTS = 3

GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z?")
ANCHOR = re.compile(r"(?:0|[1-9]\d{0,9}),\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d\d\d")


class Broken(AssertionError):
    """The answer is not what the specification allows."""


class SoapFault(Exception):
    def __init__(self, status, element, version):
        self.status, self.element = status, element
        found = {}
        for name in ("ErrorCode", "Message", "ID", "Method"):  # no namespace, wherever they are (FAULT-05)
            e = element.find(f".//{name}")
            found[name] = None if e is None else e.text or ""
        self.code, self.message, self.id, self.method = (found[n] for n in ("ErrorCode", "Message", "ID", "Method"))
        super().__init__(f"{status} {self.code}: {self.message}")


def need(condition, *what):
    if not condition:
        raise Broken(" ".join(map(str, what)))


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def tag(name, text):
    return f"<{name}>{escape(str(text))}</{name}>"


def boolean(value):
    return "true" if value else "false"


class Node:
    """An element whose children are known by name; a name that the schema does not have, or twice, is an error."""

    def __init__(self, element, ns, names):
        self.element, self.ns = element, ns
        order = [self._local(e) for e in element]
        need(all(n in names for n in order), f"{element.tag}: children {order}, not of {names}")
        need(len(set(order)) == len(order), f"{element.tag}: an element twice in {order}")
        self.children = dict(zip(order, element))

    def _local(self, e):
        q = etree.QName(e)
        need(q.namespace == self.ns, f"{e.tag}: namespace")
        need(e.prefix is None, f"{e.tag}: prefix {e.prefix}")
        return q.localname

    def __contains__(self, name):
        return name in self.children

    def get(self, name):
        need(name in self.children, f"{self.element.tag} without {name}")
        return self.children[name]

    def text(self, name, default=None):
        if name not in self.children and default is not None:
            return default
        e = self.get(name)
        need(len(e) == 0, f"{name} has elements")
        return e.text or ""

    def guid(self, name):
        return guid(self.text(name))

    def number(self, name, low=-2**31, high=2**31 - 1):
        return number(self.text(name), low, high)

    def flag(self, name):
        value = self.text(name)
        need(value in ("true", "false", "1", "0"), f"{name}: {value}")
        return value in ("true", "1")

    def time(self, name):
        value = self.text(name)
        need(TIME.fullmatch(value), f"{name}: {value}")
        return value

    def bytes(self, name):
        return base64.b64decode(self.text(name), validate=True)

    def node(self, name, names):
        return Node(self.get(name), self.ns, names)

    def list(self, name, item):
        """The item elements; each other name is an error."""
        rows = list(self.get(name))
        need(all(self._local(e) == item for e in rows), f"{name}: items {[e.tag for e in rows][:3]}, not {item}")
        return rows

    def nodes(self, name, item, names):
        return [Node(e, self.ns, names) for e in self.list(name, item)]

    def guids(self, name):
        return [guid(e.text or "") for e in self.list(name, "guid")]


def guid(text):
    need(GUID.fullmatch(text.lower()), f"no GUID: {text!r}")
    return text.lower()


def number(text, low, high):
    need(re.fullmatch(r"-?\d{1,10}", text) and low <= int(text) <= high, f"no int: {text!r}")
    return int(text)


def identity(node):
    return node.guid("UpdateID"), node.number("RevisionNumber", 0)


def identity_xml(key):
    return f"<UpdateIdentity>{tag('UpdateID', key[0])}{tag('RevisionNumber', key[1])}</UpdateIdentity>"


class Document:
    """What a downstream server reads in the metadata: MS-WSUSSS 3.1.1.1, by local names."""

    def __init__(self, text):
        root = etree.fromstring(text.encode("utf-8"), etree.XMLParser(huge_tree=True))

        def at(path, start=root):
            return start.xpath("/".join("*[local-name()='%s']" % n for n in path.split("/")))
        own = at("UpdateIdentity")[0]
        properties = at("Properties")[0]
        self.key = (own.get("UpdateID").lower(), int(own.get("RevisionNumber")))
        self.type = properties.get("UpdateType") or "Software"
        self.eula = (properties.get("EulaID") or "").lower() or None
        info = at("HandlerSpecificData/CategoryInformation")
        self.category_type = info[0].get("CategoryType") if info else None
        members = at("Relationships/BundledUpdates")
        self.members = [(e.get("UpdateID").lower(), int(e.get("RevisionNumber")))
                        for m in members for e in m.iter("{*}UpdateIdentity")]
        self.categories = [e.get("UpdateID").lower() for c in at("Relationships/Prerequisites/AtLeastOne")
                           if c.get("IsCategory") in ("true", "1") for e in c]
        # (digest, name, patching type); licences are files of other elements
        self.licences = {base64.b64decode(f.get("Digest")) for f in root.iter("{*}EulaFile") if f.get("Digest")}
        self.files = [(base64.b64decode(f.get("Digest")), f.get("FileName"), f.get("PatchingType"))
                      for f in root.iter("{*}File") if f.get("Digest")]


def content_names(digest, name):
    """The two names of a content file below /Content/: file name first (TRANSPORT, CONTENT-03)."""
    hexa = digest.hex().upper()
    extension = name.rpartition(".")[2] if "." in name else "bin"
    return [f"/Content/{hexa[-2:]}/{urllib.parse.quote(name)}", f"/Content/{hexa[-2:]}/{hexa}.{extension}"]


class Downstream:
    """One downstream server and all it keeps between runs."""

    def __init__(self, host, port, name, id=None, replica=False, version="1.20", soap=SOAP11, unpress=None, content=False,
                 batch=None, double_slash=False, uncabinet=None):
        self.host, self.port, self.name, self.id = host, port, name, id or str(uuid.uuid4())
        self.replica, self.version, self.soap, self.unpress = replica, version, soap, unpress
        self.wants_content, self.batch, self.double_slash = content, batch, double_slash
        self.uncabinet = uncabinet    # bytes of a cabinet -> the document in it
        self.filter = None            # (categories, classifications), None: everything
        self.hooks = {}               # name of a step -> called behind it
        self.timeout = 60
        self.calls = []               # names of operations, of all runs
        self.auth_cookie = None
        # Parent USS State
        self.service_url = None
        self.cookie = None            # (Expiration, EncryptedData) as they came
        self.anchors = {"config": None, "categories": None, "updates": None, "deployments": None}
        self.config = {}
        self.languages = {}           # id -> (short, long, enabled)
        # what was synchronized
        self.documents = {}           # (id, revision) -> text
        self.parsed = {}
        self.digests = {}             # (id, revision) -> FileDigestList
        self.urls = {}                # digest -> MUUrl or None
        self.keys = {}                # (id, revision) -> {digest: key}
        self.previous_filter = None
        self.groups = {}              # id -> (name, parent, builtin)
        self.deployments = {}         # guid -> row
        self.dead = set()
        self.hidden = set()
        self.accepted = set()
        self.content = {}             # digest -> bytes
        self.missing = set()          # digests that were not there
        # of the last run
        self.listed = {}              # "categories"/"updates" -> list of identities in order
        self.fetched = []             # identities that were asked for, in order
        self.rounds = []              # (asked, returned) of each GetUpdateData
        self.restarts = []            # codes

    # ---- transport ----

    def send(self, path, body, headers):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            connection.putrequest("POST", path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def envelope(self, ns, operation, inner):
        return (f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{self.soap}"><soap:Body>'
                f'<{operation} xmlns="{ns}">{inner}</{operation}></soap:Body></soap:Envelope>').encode("utf-8")

    def headers(self, ns, operation):
        action = f"{ns}/{operation}"
        if self.soap == SOAP12:
            headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        else:
            headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        if self.unpress:
            headers["Accept-Encoding"] = "xpress"
        return headers

    def raw(self, ns, operation, inner, path=SYNC_PATH):
        """(status, headers, plain body), whatever they are."""
        status, head, body = self.send(path, self.envelope(ns, operation, inner), self.headers(ns, operation))
        coding = head.get("content-encoding")
        need(coding in (None, "xpress") and (not coding or self.unpress), f"Content-Encoding {coding}")
        if coding:
            body = self.unpress(body)
        return status, head, body

    def call(self, ns, operation, inner, path=SYNC_PATH):
        """The child of Body; SoapFault if that is one."""
        self.calls.append(operation)
        status, head, body = self.raw(ns, operation, inner, path)
        wanted = "application/soap+xml" if self.soap == SOAP12 else "text/xml"
        need(head.get("content-type", "").replace(" ", "").lower() == f"{wanted};charset=utf-8", "Content-Type", head.get("content-type"))
        root = etree.fromstring(body, etree.XMLParser(huge_tree=True))
        need(root.tag == f"{{{self.soap}}}Envelope", root.tag)
        need([e.tag for e in root] == [f"{{{self.soap}}}Body"], "one Body and no Header (TRANSPORT-08)")
        need(len(root[0]) == 1, "one child of Body (TRANSPORT-10)")
        element = root[0][0]
        if element.tag == f"{{{self.soap}}}Fault":
            need(status >= 400, f"a fault with status {status}")
            raise SoapFault(status, element, self.soap)
        need(status == 200, f"status {status}")
        need(element.tag == f"{{{ns}}}{operation}Response", element.tag)
        return element

    def result(self, ns, operation, inner, names, path=SYNC_PATH):
        """<operation>Result as a Node."""
        element = self.call(ns, operation, inner, path)
        need([e.tag for e in element] == [f"{{{ns}}}{operation}Result"], [e.tag for e in element])
        return Node(element[0], ns, names)

    def sync(self, operation, inner, names):
        return self.result(SYNC, operation, self.cookie_xml() + inner, names)

    def cookie_xml(self, name="cookie", cookie=None):
        expiration, data = cookie or self.cookie
        return f"<{name}>{tag('Expiration', expiration)}{tag('EncryptedData', data)}</{name}>"

    def step(self, name):
        if name in self.hooks:
            self.hooks[name]()

    # ---- 3.2.4.1 Authorization ----

    def authorize(self):
        result = self.result(SYNC, "GetAuthConfig", "", ("LastChange", "AuthInfo", "AllowedEventIds"))
        result.time("LastChange")
        need("AllowedEventIds" not in result, "AllowedEventIds (AUTHCONFIG-05)")
        plugins = result.nodes("AuthInfo", "AuthPlugInInfo", ("PlugInID", "ServiceUrl", "Parameter"))
        need(len(plugins) == 1 and plugins[0].text("PlugInID") == "DssTargeting", "one plug-in DssTargeting (AUTHCONFIG-03)")
        need(plugins[0].text("Parameter", "none") in ("", "none"), "Parameter")
        self.service_url = plugins[0].text("ServiceUrl")
        need(not self.service_url.startswith(("/", "http")), "ServiceUrl is relative", self.service_url)
        self.authorization_cookie()
        self.get_cookie()
        self.step("authorized")

    def authorization_cookie(self):
        path = ("//" if self.double_slash else "/") + self.service_url
        result = self.result(AUTH, "GetAuthorizationCookie", tag("accountName", self.name) + tag("accountGuid", self.id),
                             ("PlugInId", "CookieData"), path)
        need(result.text("PlugInId") == "DssTargeting", "PlugInId (AUTHCOOKIE-10)")
        result.bytes("CookieData")
        self.auth_cookie = result.text("CookieData")

    def get_cookie(self):
        # the same two fields, in the other namespace (COOKIE-02)
        cookie = f"<AuthorizationCookie>{tag('PlugInId', 'DssTargeting')}{tag('CookieData', self.auth_cookie)}</AuthorizationCookie>"
        old = self.cookie_xml("oldCookie") if self.cookie else ""
        result = self.result(SYNC, "GetCookie", f"<authCookies>{cookie}</authCookies>{old}{tag('protocolVersion', self.version)}",
                             ("Expiration", "EncryptedData"))
        need(result.time("Expiration").endswith("Z"), "Expiration is UTC")
        need(result.bytes("EncryptedData"), "EncryptedData")
        self.cookie = (result.text("Expiration"), result.text("EncryptedData"))

    # ---- 3.2.4.2 Metadata ----

    def configuration(self):
        anchor = tag("configAnchor", self.anchors["config"]) if self.anchors["config"] else ""
        result = self.sync("GetConfigData", anchor, (
            "CatalogOnlySync", "LazySync", "ServerHostsPsfFiles", "MaxNumberOfComputerIdsInRequest",
            "MaxNumberOfDriverSetsPerRequest", "MaxNumberOfPnpHardwareIdsInRequest", "MaxNumberOfUpdatesPerRequest",
            "NewConfigAnchor", "ProtocolVersion", "LanguageUpdateList", "MaxUpdatesPerRequestInGetUpdateDecryptionData"))
        for name in ("CatalogOnlySync", "LazySync", "ServerHostsPsfFiles"):
            self.config[name] = result.flag(name)
        for name in ("MaxNumberOfComputerIdsInRequest", "MaxNumberOfDriverSetsPerRequest", "MaxNumberOfPnpHardwareIdsInRequest",
                     "MaxNumberOfUpdatesPerRequest", "MaxUpdatesPerRequestInGetUpdateDecryptionData"):
            self.config[name] = result.number(name, 0)
        need(self.config["MaxNumberOfUpdatesPerRequest"] >= 1, "a limit of at least 1 (CONFIGDATA-15)")
        self.config["ProtocolVersion"] = result.text("ProtocolVersion")
        need(re.fullmatch(r"1\.(1|2|3|6|8|20)", self.config["ProtocolVersion"]), "a version of the table (CONFIGDATA-13)")
        rows = result.nodes("LanguageUpdateList", "ServerSyncLanguageData", ("LanguageID", "ShortLanguage", "LongLanguage", "Enabled"))
        self.config["languages sent"] = [row.number("LanguageID", 0) for row in rows]
        for row in rows:  # CONFIGDATA-19: merged
            self.languages[row.number("LanguageID", 0)] = (row.text("ShortLanguage"), row.text("LongLanguage"), row.flag("Enabled"))
        self.anchors["config"] = result.text("NewConfigAnchor")
        need(self.anchors["config"], "NewConfigAnchor must be present")
        self.step("configured")

    def filter_xml(self, config, anchor):
        parts = [tag("Anchor", anchor)] if anchor else []
        parts.append(tag("GetConfig", boolean(config)))
        if self.version != "1.1":
            parts.append(tag("Get63LanguageOnly", "false"))
        if not config and self.filter:
            # DSS-META-12: what is chosen since the last run is wanted whole, of the others what is new.
            old = self.previous_filter or ((), ())
            widened = [set(mine) - set(theirs) for mine, theirs in zip(self.filter, old)]
            for name, at in (("Categories", 0), ("Classifications", 1)):
                rows = "".join(
                    f"<IdAndDelta>{tag('Id', i)}{tag('Delta', boolean(anchor and i not in widened[at]))}</IdAndDelta>"
                    for i in self.filter[at])
                parts.append(f"<{name}>{rows}</{name}>")
        return "".join(parts)

    def revision_ids(self, config, anchor, xml=None):
        """(new anchor, identities)"""
        result = self.sync("GetRevisionIdList", f"<filter>{xml or self.filter_xml(config, anchor)}</filter>", ("Anchor", "NewRevisions"))
        ids = [identity(n) for n in result.nodes("NewRevisions", "UpdateIdentity", ("UpdateID", "RevisionNumber"))]
        need(ANCHOR.fullmatch(result.text("Anchor")), "Anchor", result.text("Anchor"))
        need(len(set(ids)) == len(ids), "an identity twice in one list")
        return result.text("Anchor"), ids

    def update_data(self, ids):
        """One GetUpdateData: {identity: (text, digests, document)}; file URLs go where they belong."""
        self.fetched += ids
        result = self.sync("GetUpdateData", f"<updateIds>{''.join(map(identity_xml, ids))}</updateIds>", ("updates", "fileUrls"))
        got = {}
        for row in result.nodes("updates", "ServerSyncUpdateData", ("Id", "XmlUpdateBlob", "FileDigestList", "XmlUpdateBlobCompressed")):
            key = identity(row.node("Id", ("UpdateID", "RevisionNumber")))
            need(("XmlUpdateBlob" in row) != ("XmlUpdateBlobCompressed" in row), "exactly one blob (UPDATEDATA-09)")
            digests = [base64.b64decode(e.text, validate=True) for e in row.list("FileDigestList", "base64Binary")] \
                if "FileDigestList" in row else []
            need(("FileDigestList" in row) == bool(digests), "an empty FileDigestList (UPDATEDATA-16)")
            need(all(len(d) == 20 for d in digests), "digests of 20 bytes")
            need(key in ids, f"{key} was not asked for")
            text = row.text("XmlUpdateBlob") if "XmlUpdateBlob" in row else self.uncabinet(row.bytes("XmlUpdateBlobCompressed"))
            got[key] = (text, digests, Document(text))
        seen = set()
        for row in result.nodes("fileUrls", "ServerSyncUrlData", ("FileDigest", "MUUrl", "UssUrl", "DecryptionKey")):
            digest = row.bytes("FileDigest")
            need(row.text("UssUrl", "") == "", "UssUrl has text")
            seen.add(digest)
            self.urls[digest] = row.text("MUUrl") if "MUUrl" in row else None
        files = {d for _, digests, _ in got.values() for d in digests}
        licences = {d for _, _, document in got.values() for d in document.licences}
        need(files <= seen <= files | licences, "fileUrls are those of the files (UPDATEDATA-18)")
        self.rounds.append((len(ids), len(got)))
        return got

    def keep(self, got):
        for key, (text, digests, document) in got.items():
            need(document.key == key, f"{key} came with the document of {document.key} (POPULATE-10)")
            need(key not in self.documents or self.documents[key] == text, f"{key} is another document than before")
            self.documents[key], self.parsed[key], self.digests[key] = text, document, digests

    def fetch(self, ids):
        """All documents of ids that are not here, in batches; what an answer left out is asked for again."""
        limit = min(self.batch or 10**6, self.config["MaxNumberOfUpdatesPerRequest"])
        todo = [i for i in dict.fromkeys(ids) if i not in self.documents]
        while todo:
            got = self.update_data(todo[:limit])
            need(got, f"{todo[:limit][:3]} do not come (UPDATEDATA-23)")
            self.keep(got)
            todo = [i for i in todo if i not in got]

    def fetch_with_members(self, ids):
        todo = list(ids)
        while todo:
            self.fetch(todo)
            todo = [m for i in todo for m in self.parsed[i].members if m not in self.documents]

    def metadata(self):
        self.configuration()
        for kind, config in (("categories", True), ("updates", False)):
            anchor, ids = self.revision_ids(config, self.anchors[kind])
            self.listed[kind] = ids
            self.step(f"{kind} listed")
            self.fetch_with_members(ids)
            for i in ids:
                need((self.parsed[i].type in ("Category", "Detectoid")) == config, f"{i} is in the wrong list (REVLIST-11, -12)")
            self.anchors[kind] = anchor  # only now (DSS-META-14)
            self.step(f"{kind} fetched")
        self.previous_filter = self.filter

    # ---- 3.2.4.3 Deployments ----

    def take_deployments(self):
        before = self.anchors["deployments"]
        result = self.sync("GetDeployments", (tag("deploymentAnchor", before) if before else "") + tag("syncAnchor", self.anchors["updates"]),
                           ("Anchor", "Groups", "Deployments", "DeadDeployments", "HiddenUpdates", "AcceptedEulas"))
        groups = {}
        for row in result.nodes("Groups", "ServerSyncTargetGroup", ("TargetGroupID", "ParentGroupId", "Name", "IsBuiltin")):
            groups[row.guid("TargetGroupID")] = (row.text("Name"), row.guid("ParentGroupId"), row.flag("IsBuiltin"))
        rows = [self.deployment(n) for n in result.nodes("Deployments", "ServerSyncDeployment", (
            "UpdateId", "RevisionNumber", "Action", "AdminName", "Deadline", "IsAssigned", "GoLiveTime", "DeploymentGuid",
            "TargetGroupId", "DownloadPriority"))]
        need(len({r["guid"] for r in rows}) == len(rows), "a deployment twice")
        dead = result.guids("DeadDeployments")
        hidden, accepted = result.guids("HiddenUpdates"), result.guids("AcceptedEulas")
        need(len(set(hidden)) == len(hidden) and len(set(accepted)) == len(accepted), "complete lists name each once")
        need(not set(dead) & {r["guid"] for r in rows}, "both dead and alive (DEPLOYMENTS-13)")
        self.last_deployments = {"live": rows, "dead": dead}
        self.fetch_with_members([(r["update"], r["revision"]) for r in rows])  # DSS-META-26
        if not before:
            self.deployments = {}
        self.groups = groups
        self.deployments = {g: r for g, r in self.deployments.items() if r["group"] in groups and g not in dead}
        self.dead |= set(dead)
        for row in rows:
            self.deployments[row["guid"]] = row
            self.dead.discard(row["guid"])
        self.hidden = set(hidden)       # the list is complete (DSS-DEPLOY-11)
        self.accepted |= set(accepted)  # only ever set (DSS-DEPLOY-12)
        self.anchors["deployments"] = result.text("Anchor")
        self.step("deployed")

    @staticmethod
    def deployment(n):
        row = {"guid": n.guid("DeploymentGuid"), "update": n.guid("UpdateId"), "revision": n.number("RevisionNumber", 0),
               "action": n.number("Action", 0, 3), "admin": n.text("AdminName"), "deadline": n.time("Deadline"),
               "assigned": n.flag("IsAssigned"), "go_live": n.time("GoLiveTime"), "group": n.guid("TargetGroupId"),
               "priority": n.number("DownloadPriority", 1, 3)}
        return row

    # ---- 3.2.4.4 Content ----

    def needed(self):
        """(digest, name) of files of revisions that a live deployment installs, bundles' members with them."""
        todo = [(d["update"], d["revision"]) for d in self.deployments.values() if d["action"] == 0]
        seen, files = set(), {}
        while todo:
            key = todo.pop()
            if key not in seen and key in self.parsed:
                seen.add(key)
                todo += self.parsed[key].members
                files.update({digest: name for digest, name, _ in self.parsed[key].files})
        return files

    def get(self, path, headers=()):
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)) as connection:
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def files(self, needed=None):
        """Gets what is needed by file name, then by digest; what is at neither place is asked for by DownloadFiles."""
        for digest, name in (self.needed() if needed is None else needed).items():
            if digest in self.content:
                continue
            for path in content_names(digest, name):
                status, body = self.get(path)
                need(status in (200, 404), f"{path}: {status}")
                # A name may be another file's in the same folder; only the digest says which file it is.
                if status == 200 and hashlib.sha1(body).digest() == digest:
                    self.content[digest] = body
                    self.missing.discard(digest)
                    break
            else:
                self.missing.add(digest)
        missing = sorted(self.missing)
        for at in range(0, len(missing), 100):
            self.download_files(missing[at:at + 100])

    def download_files(self, digests):
        rows = "".join(tag("base64Binary", base64.b64encode(d).decode()) for d in digests)
        element = self.call(SYNC, "DownloadFiles", self.cookie_xml() + f"<fileDigestList>{rows}</fileDigestList>")
        need(len(element) == 0 and not (element.text or "").strip(), "DownloadFilesResponse is empty (TRANSPORT-30)")

    # ---- a run ----

    def forget_anchors(self):
        for name in self.anchors:
            self.anchors[name] = None

    def once(self):
        self.listed, self.fetched, self.rounds = {}, [], []
        self.authorize()
        self.metadata()
        if self.replica:
            self.take_deployments()
        if self.wants_content:
            self.files()

    def run(self):
        """A synchronization with the reactions to faults that MS-WSUSSS 2.2.9.3 lays down."""
        self.restarts = []
        while True:
            try:
                self.once()
                return self
            except SoapFault as fault:
                self.restarts.append(fault.code)
                if fault.code == "ServerChanged" and self.restarts.count("ServerChanged") == 1:
                    self.forget_anchors()
                elif fault.code not in ("InvalidCookie", "InvalidAuthorizationCookie", "FileDigestsMissing") \
                        or len(self.restarts) > RESTARTS:
                    raise
