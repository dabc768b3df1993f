"""part_store.py -- import, its memory, the store's size; and a page against what LMDB itself takes to read its rows."""
import re
import shutil
import statistics
import tempfile

from machine import BIN, bare, say, spread
from harness import run, temporary
from report import mb, number, ranged, section, table, target, times
from rounds import load
from servers import PAGE_UPDATES, import_documents, make_documents, measure_documents
import part_rates
import record

TITLE = "The store"
BATCH = 500            # documents in a transaction of an import
IN_ROUNDS_BELOW = 20000  # revisions: a larger catalog is imported once, while it is loaded
BIG_MB = 50


# ---- import ----

def import_anew(documents):
    """Into a store of its own."""
    store = temporary("wsus-store-")
    run(BIN / "wsusctl", "--store", store, "store", "create")
    try:
        return import_documents(store, documents)
    finally:
        shutil.rmtree(store)


def bare_load(facts, batch):
    """MB/s of as many rows of the same size put into a bare LMDB."""
    return bare(tempfile.gettempdir(), facts["documents"], facts["document_bytes"] // facts["documents"], batch)["load"]


def imports(what, documents, rounds, batch, done=()):
    """Rounds of an import and of its floor."""
    facts, done, floor = measure_documents(documents), list(done), []
    while len(done) < rounds:
        say(f"store: {what}, import {len(done) + 1} of {rounds}")
        done.append(import_anew(documents))
        floor.append(bare_load(facts, batch))
    return imported(what, facts, done, floor)


def imported(what, facts, done, floor):
    rates = [facts["document_bytes"] / d["seconds"] / 1e6 for d in done]
    return {"what": what, **facts, "seconds": spread([d["seconds"] for d in done]), "mb_per_second": spread(rates),
            "floor_mb_per_second": spread(floor), "ratio_to_floor": statistics.median(rates) / statistics.median(floor),
            "peak_private_kb": max(d["peak_kb"] for d in done), "store_bytes": done[-1]["store_bytes"]}


def import_of(catalog, rounds):
    what = f"{catalog.revisions:,} revisions"
    if catalog.revisions >= IN_ROUNDS_BELOW:
        facts = catalog.imported
        return imported(what, {k: facts[k] for k in ("documents", "document_bytes", "utf16_bytes")}, [facts], [bare_load(facts, BATCH)])
    documents = make_documents("--revisions", catalog.revisions)
    try:
        return imports(what, documents, rounds, BATCH)
    finally:
        shutil.rmtree(documents)


def big_import(rounds):
    everything, big = make_documents("--revisions", "300", "--big-document", BIG_MB), temporary("wsus-big-")
    largest = max(everything.rglob("*.xml"), key=lambda p: p.stat().st_size)
    shutil.move(largest, big / largest.name)
    shutil.rmtree(everything)
    return imports(f"one document of {BIG_MB} MB", big, rounds, 1)


# ---- reading ----

def service_us(catalog, call):
    """How long the service itself takes for a call, as it logs it."""
    directory, log = temporary("wsus-call-"), catalog.server.state / "log/client.log"
    record.save([call], directory)
    before = log.stat().st_size
    load(catalog.server.port, [directory / "000.req"], 1, 0.5)
    with open(log, "rb") as f:
        f.seek(before)
        return statistics.median(int(us) for us in re.findall(rb" op=SyncUpdates .*? us=(\d+)", f.read()))


def reading(catalog):
    """A page in the service and its rows from a bare LMDB of the same size."""
    call = part_rates.page(catalog.fresh, PAGE_UPDATES) or max(catalog.fresh, key=lambda c: len(c.reply))
    size = len(call.reply) // PAGE_UPDATES
    rows = catalog.imported["store_bytes"] // size
    say(f"store: {rows:,} rows of {size:,} bytes in a bare LMDB")
    floor = bare(catalog.server.state, rows, size, BATCH * 20)
    return {"revisions": catalog.revisions, "rows": rows, "row_bytes": size, "request_bytes": len(call.request),
            "page_us": service_us(catalog, call), "bare_read_us": floor["read"] * 1000, "fsync_ms": floor["fsync"],
            "commit_ms": floor["commit"]}


def measure(bench):
    rounds = 1 if bench.quick else bench.options.rounds
    return {"imports": [import_of(c, rounds) for c in bench.catalogs] + [big_import(min(rounds, 3))],
            "reading": [reading(c) for c in bench.catalogs]}


def cases_in(_):
    return []


# ---- for people ----

HEAD = ["import of", "seconds", "MB/s of documents", "bare LMDB", "of the floor", "peak private MB", "store MB", "documents MB",
        "of their bytes", "of UTF-16"]


def row(i):
    return [i["what"], ranged(i["seconds"]), ranged(i["mb_per_second"]), number(i["floor_mb_per_second"]["median"]), times(i["ratio_to_floor"]),
            number(i["peak_private_kb"] / 1024), mb(i["store_bytes"]), mb(i["document_bytes"]), times(i["store_bytes"] / i["document_bytes"]),
            times(i["store_bytes"] / i["utf16_bytes"])]


READ_HEAD = ["revisions", "page of 200 in the service, us", "its rows from a bare LMDB, us", "times", "rows there", "bytes each",
             "bare fsync ms", "bare commit ms"]


def read_row(r):
    return [f"{r['revisions']:,}", number(r["page_us"]), number(r["bare_read_us"]), number(r["page_us"] / r["bare_read_us"]),
            f"{r['rows']:,}", f"{r['row_bytes']:,}", times(r["fsync_ms"]), times(r["commit_ms"])]


def report(result):
    return [section("Import and size", table(HEAD, [row(i) for i in result["imports"]])),
            section("Reading, and the disk", table(READ_HEAD, [read_row(r) for r in result["reading"]]))]


def targets(result):
    for i in result["imports"]:
        yield target(f"import of {i['what']}: MB/s of document text", 40, i["mb_per_second"]["median"], at_least=True, form=number)
        yield target(f"import of {i['what']}: private memory", 64, i["peak_private_kb"] / 1024, form=number, unit=" MB")
        if i["documents"] == 5000:
            yield target("import of 5,000 documents", 10, i["seconds"]["median"], form=number, unit=" s")
        if i["documents"] > 1:
            yield target(f"store of {i['what']}, of the documents in UTF-16", 1 / 3, i["store_bytes"] / i["utf16_bytes"])
