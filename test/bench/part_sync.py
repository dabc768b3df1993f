"""part_sync.py -- a downstream server gets the whole catalog and the whole policy; what a list, a document, a deployment costs.

A scripted peer (peer.py) makes the complete transfer and checks every answer: that is where the time of a real one, CPU time
and memory are taken.  What it asked is then sent again by b_load, to the server and to the floor, round by round.
"""
import re
import shutil

from machine import Anonymous, Watching, cpu_us, memory, say
from harness import ALL_COMPUTERS, temporary
from part_groups import approvals, set_approvals
from peer import Peer, Transfer, Wrong
from report import kb, mb, ms, number, ranged, section, table, target, times
from rounds import Case, Stage, load, run_rounds
import record

TITLE = "Downstream servers"
FORMS = {"plain": False, "xpress": True}
CONNECTIONS = (1, 4)
KEPT = 80             # calls of a transfer that are sent again: all of 5,000 revisions, evenly spread ones of a larger catalog
LIST_MS = 10          # CPU time of a list of so many
IDS = 24509           # as many as a real server listed for the products of a company
APPROVALS = 20000
SYNCS = (1, 10, 100)  # complete ones, after which memory is looked at
GROWTH_SHARE, GROWTH_KB = 0.10, 2048  # as the soak allows: an arena grows once when a worker meets its largest answer
PEAK_ANSWERS = 5
SERVICE, PROGRAM = "serversync", "wsus-serversync"


class Side:
    """What is known of one catalog on the way."""

    def __init__(self, catalog, quick):
        self.catalog, self.server = catalog, catalog.server
        self.listed_as = ["xpress"] if quick else list(FORMS)  # lists and policy
        self.peers = {form: self.peer(form, xpress) for form, xpress in FORMS.items()}
        self.errors, self.kept, self.kinds = [], {}, {}

    def peer(self, form, xpress):
        peer = Peer(self.server.port, xpress, f"{form}.example.net")
        self.server.ctl("downstream", "approve", peer.id, "--name", peer.name)
        return peer.authorize()

    # ---- a complete transfer ----

    def transfer(self, form, connections):
        """One row: both lists, then all documents."""
        peer = self.peers[form]
        of = self.server.processes_by_kind()
        before = {kind: cpu_us(pids) for kind, pids in of.items()}
        with Watching(self.server) as watching, Anonymous(self.server.workers(SERVICE)) as largest:
            _, config, _ = peer.list(config=True)
            self.anchor, updates, _ = peer.list()
            pairs = config + updates
            done = Transfer(peer, pairs, connections, max(1, len(pairs) // peer.limit // KEPT), None if self.kinds else self.look).run()
        cpu = {f"{kind}_us": (cpu_us(pids) - before[kind]) / max(done.documents, 1) for kind, pids in of.items()}
        self.check(done, pairs)
        self.kept[form] = self.kept.get(form) or done.kept
        all_workers = watching.most.get(PROGRAM, {"private_kb": 0})["private_kb"]
        return {"revisions": self.catalog.revisions, "form": form, "connections": connections, "listed": len(pairs), "seconds": done.seconds, **cpu,
                **{k: getattr(done, k) for k in ("documents", "text_bytes", "wire_bytes", "calls", "short")},
                "private_kb": all_workers, "largest_private_kb": largest.kb, "errors": len(done.wrong)}

    def look(self, identity, text):
        """Which kind of category a document is."""
        if found := re.search(rb"CategoryType=(?:&quot;|\")(\w+)", text):
            self.kinds.setdefault(found[1].decode(), set()).add(identity[0])

    def check(self, done, pairs):
        """Everything came, and what was sampled has the bytes of the store."""
        self.errors += done.wrong
        if not done.wrong and done.documents != len(pairs):
            self.errors.append(f"{len(pairs)} revisions are listed, {done.documents} documents came")
        for (update, revision), text in list(done.samples.items())[:10]:
            stored = self.server.ctl("update", "show", f"{update}:{revision}", "--fragment", "original").stdout
            if stored.rstrip("\n") != text:
                self.errors.append(f"the document of {update}:{revision} is another than the store's")

    # ---- lists ----

    def filter_for(self, wanted):
        """(products, classifications) for a list of about so many, with products in the order of their ids."""
        products, classes = (sorted(self.kinds.get(k, ())) for k in ("Product", "UpdateClassification"))
        peer, counts = self.peers["xpress"], {}

        def count(n):
            if n not in counts:
                counts[n] = len(peer.list(categories=products[:n], classifications=classes)[1])
            return counts[n]

        low, high = 0, len(products)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if count(middle) <= wanted else (low, middle)
        best = min((n for n in (low, high) if n), key=lambda n: abs(count(n) - wanted), default=0)
        return products[:best], classes

    def list_cases(self):
        chosen = dict(zip(("categories", "classifications"), self.filter_for(IDS)))
        for form in self.listed_as:
            peer = self.peers[form]
            anchor, found, call = peer.list(**chosen)
            yield Case(f"list, {len(found):,} ids, {form}", [call], 1, unit="lists")
            _, found, call = peer.list(anchor=anchor, delta=True, **chosen)
            if found:
                self.errors.append(f"a list since {anchor} names {len(found)} revisions, and nothing has changed")
            yield Case(f"list, nothing new, {form}", [call], 1, unit="lists")
            _, found, call = peer.list()
            yield Case(f"list of everything, {len(found):,} ids, {form}", [call], 1, unit="lists")

    def document_cases(self):
        for form, kept in self.kept.items():
            calls, documents, size = ([k[n] for k in kept] for n in range(3))
            for connections in CONNECTIONS:
                case = Case(f"documents, {form}", calls, connections, unit="transfers")
                case.documents, case.text_bytes = sum(documents), sum(size)
                yield case

    # ---- policy ----

    def policy_cases(self):
        for form in self.listed_as:
            peer = self.peers[form]
            until, _, _ = peer.list(anchor=self.anchor)
            anchor, counts, call = peer.deployments(None, until)
            if (found := counts["ServerSyncDeployment"]) < self.approved:
                self.errors.append(f"{self.approved:,} approvals, but {found:,} deployments")
            yield Case(f"deployments, {found:,}, {form}", [call], 1, unit="answers")
            _, counts, call = peer.deployments(anchor, until)
            if counts["ServerSyncDeployment"]:
                self.errors.append(f"{counts['ServerSyncDeployment']} deployments since {anchor}, and nothing has changed")
            yield Case(f"deployments, nothing new, {form}", [call], 1, unit="answers")

    def approve(self, wanted):
        """The base's approvals are left as they were by taking the others back."""
        base = {(update, ALL_COMPUTERS) for update in self.catalog.updates[:self.catalog.approved]}
        pairs = approvals(self.catalog.updates, wanted, 1) | base if wanted else base
        set_approvals(self.catalog, pairs, getattr(self, "pairs", base))
        self.pairs, self.approved = pairs, len(pairs)


# ---- memory after so many ----

def growth(side, syncs):
    """Private memory of the service after so many complete transfers, four at a time, packed and plain in turn."""
    directory, rows, had = temporary("wsus-sync-"), [], 0
    for form, kept in side.kept.items():
        record.save([k[0] for k in kept], directory / form)
    for wanted in syncs:
        while had < wanted:
            connections = min(4, wanted - had)
            more = max(1, (wanted - had) // connections // len(FORMS))
            for form in list(FORMS)[:1 if wanted - had < len(FORMS) * connections * more else None]:
                done = load(side.server.port, [directory / form], connections, 3600, "-n", more)
                had += connections * more
                side.errors += [done["first_error"]] if done["errors"] else []
        found = memory(side.server)[PROGRAM]
        say(f"sync: {side.catalog.revisions:,} revisions, after {had:,} transfers")
        rows.append({"revisions": side.catalog.revisions, "syncs": had, **{k: found[k] for k in ("private_kb", "largest_private_kb")}})
    shutil.rmtree(directory)
    return rows


def transfers(side):
    for form in FORMS:
        for connections in CONNECTIONS:
            say(f"sync: {side.catalog.revisions:,} revisions, complete transfer, {form}, {connections} connections")
            yield side.transfer(form, connections)


def of_one(side):
    """What is asked while policy stays as it is."""
    rows = list(transfers(side))
    return rows, Stage(side.catalog, [*side.document_cases(), *side.list_cases()])


def extras(case):
    """Documents and their bytes of a case that has some; of the others the memory of the worker that answers."""
    if hasattr(case, "documents"):
        return {"documents": case.documents, "text_bytes": case.text_bytes}
    return {"largest_private_kb": case.peak}


def peaks(side, stage):
    """What one worker holds at most while it answers."""
    for case in stage.cases:
        directory = temporary("wsus-sync-")
        record.save(case.calls, directory)
        with Anonymous(side.server.workers(SERVICE)) as largest:
            load(side.server.port, [directory], 1, 3600, "-n", PEAK_ANSWERS)  # whole ones: none goes on beside the next case
        case.peak = largest.kb
        shutil.rmtree(directory)


def in_rounds(sides, stages, options, what):
    """The figures of all cases, by side."""
    for side, stage in zip(sides, stages):
        peaks(side, stage)
    return [[r | extras(c) | {"revisions": side.catalog.revisions} for c, r in zip(stage.cases, of)]
            for side, stage, of in zip(sides, stages, run_rounds(stages, options, what))]


def policy(sides, options):
    for side in sides:
        side.approve(APPROVALS)
    results = in_rounds(sides, [Stage(side.catalog, list(side.policy_cases())) for side in sides], options, "sync: policy")
    for side in sides:
        side.approve(0)
    return results


def measure(bench):
    try:
        return measured(bench)
    except Wrong as e:
        raise SystemExit(f"sync: {e}") from e


def measured(bench):
    sides = [Side(c, bench.quick) for c in bench.catalogs]
    rows, stages = zip(*(of_one(side) for side in sides))
    results = in_rounds(sides, stages, bench.options, "sync")
    grown = growth(sides[0], SYNCS[:2] if bench.quick else SYNCS)
    again = policy(sides, bench.options)
    return {"transfers": [r for of in rows for r in of], "growth": grown,
            "cases": [c for a, b in zip(results, again) for c in [*a, *b]],
            "errors": [{"revisions": s.catalog.revisions, "errors": s.errors} for s in sides]}


def cases_in(result):
    peers = [{"case": f"the peer, {e['revisions']:,} revisions", "server": {"errors": len(e["errors"]), "first_error": e["errors"][0]}}
             for e in result["errors"] if e["errors"]]
    return peers + result["cases"]


# ---- for people ----

HEAD = ["revisions", "form", "conn.", "documents", "calls", "short", "text MB", "sent MB", "seconds", "documents/s", "services us/document",
        "nginx us/document", "largest worker MB", "all workers MB", "errors"]


def transfer_row(r):
    return [f"{r['revisions']:,}", r["form"], str(r["connections"]), f"{r['documents']:,}", f"{r['calls']:,}", f"{r['short']:,}", mb(r["text_bytes"]),
            mb(r["wire_bytes"]), number(r["seconds"]), number(r["documents"] / r["seconds"]), number(r["services_us"]), number(r["nginx_us"]),
            number(r["largest_private_kb"] / 1024), number(r["private_kb"] / 1024), str(r["errors"])]


AGAIN = ["revisions", "what", "conn.", "documents/s", "MB/s of text", "floor", "of the floor", "services us/call", "floor", "nginx us/call", "floor",
         "CPU of the floor's", "errors"]


def documents_rows(result):
    for c in (c for c in result["cases"] if "documents" in c):
        s, f = c["server"], c["floor"]
        rate = s["per_second"]["median"]
        yield [f"{c['revisions']:,}", c["case"], str(c["connections"]), number(rate * c["documents"]), number(rate * c["text_bytes"] / 1e6),
               number(f["per_second"]["median"] * c["text_bytes"] / 1e6), ranged(c["ratio_to_floor"], times), *cpu_columns(s, f),
               ranged(c["cpu_of_floor"], times), str(s["errors"] + f["errors"])]


def cpu_columns(s, f):
    return [number(side[k]["median"]) for k in ("services_us", "nginx_us") for side in (s, f)]


LISTS = ["revisions", "what", "KB", "p50 ms", "p99", "floor p50", "of the floor", "services us/call", "floor", "nginx us/call", "floor",
         "CPU of the floor's", "worker MB", "errors"]


def list_rows(result):
    for c in (c for c in result["cases"] if "documents" not in c):
        s, f = c["server"], c["floor"]
        yield [f"{c['revisions']:,}", c["case"], kb(c["reply_bytes"]), ms(s["p50_us"]["median"]), ms(s["p99_us"]["median"]), ms(f["p50_us"]["median"]),
               ranged(c["ratio_to_floor"], times), *cpu_columns(s, f), ranged(c["cpu_of_floor"], times),
               number(c["largest_private_kb"] / 1024), str(s["errors"] + f["errors"])]


GROWTH = ["revisions", "complete transfers", "private MB of all workers", "largest worker MB"]


def growth_row(r):
    return [f"{r['revisions']:,}", f"{r['syncs']:,}", times(r["private_kb"] / 1024), times(r["largest_private_kb"] / 1024)]


def report(result):
    return [section("Downstream servers: complete transfer of all documents to a scripted peer", table(HEAD, [transfer_row(r) for r in result["transfers"]])),
            section("Downstream servers: documents, beside the floor", table(AGAIN, list(documents_rows(result)))),
            section("Downstream servers: lists and policy, beside the floor", table(LISTS, list(list_rows(result)))),
            section("Downstream servers: memory after so many", table(GROWTH, [growth_row(r) for r in result["growth"]]))]


def targets(result):
    for r in result["transfers"]:
        if r["connections"] == CONNECTIONS[-1]:
            yield target(f"complete transfer of {r['revisions']:,} revisions, {r['form']}: private memory of a worker", 16,
                         r["largest_private_kb"] / 1024, form=number, unit=" MB")
    for c in result["cases"]:
        what = f"{c['case']}, {c['revisions']:,} revisions"
        if c["case"].startswith("list, "):
            yield target(f"{what}: CPU time of the service", LIST_MS, c["server"]["services_us"]["median"] / 1000, form=number, unit=" ms")
        elif c["case"] == "documents, xpress":
            yield target(f"{what}, {c['connections']} connections: of the floor's rate", 0.5, c["ratio_to_floor"]["median"], at_least=True)
    first, last = (result["growth"][n] for n in (0, -1))
    yield target(f"private memory of a worker after {last['syncs']:,} complete transfers",
                 (first["largest_private_kb"] * (1 + GROWTH_SHARE) + GROWTH_KB) / 1024, last["largest_private_kb"] / 1024, unit=" MB")
