"""part_rates.py -- how many handshakes, pages and scans a second, and how long each takes, under 16 and 256 connections."""
from report import kb, ms, number, ranged, section, table, target, times
from rounds import MANY, Case, Stage, errors_of, run_rounds
from servers import PAGE_UPDATES, syncs_of

TITLE = "Rates and times"
SMALL_PAGE = 30


def page(calls, updates, which=0.5):
    """The call whose answer has so many new updates; of several the one in the middle by size (0: the smallest)."""
    pages = sorted((c for c in syncs_of(calls) if c.content[1] == updates), key=lambda c: len(c.reply))
    return pages[int((len(pages) - 1) * which)] if pages else None


def single_calls(catalog, quick):
    """(name, call, setting under which it was answered)."""
    catalog.set_page(SMALL_PAGE)
    small = page(catalog.walk("--max-calls", "1000"), SMALL_PAGE)
    catalog.set_page(PAGE_UPDATES)
    plain = page(catalog.walk("--plain"), PAGE_UPDATES)
    found = [("page of 30", small, SMALL_PAGE), ("page of 200", page(catalog.fresh, PAGE_UPDATES), PAGE_UPDATES),
             ("page of 200, plain", plain, PAGE_UPDATES)]
    if not quick:
        found.insert(1, ("page of 200, small", page(catalog.fresh, PAGE_UPDATES, 0), PAGE_UPDATES))
    return [f for f in found if f[1]]


def cases(catalog, quick):
    single = single_calls(catalog, quick)
    out = [Case("handshake", [c for c in catalog.fresh if c.operation != "SyncUpdates"], unit="handshakes")]
    for connections in (16, MANY):
        out += [Case(name, [call], connections, True, page_updates=setting) for name, call, setting in single
                if connections == 16 or not name.endswith("small")]
    out.append(Case("fresh scan", syncs_of(catalog.fresh), unit="scans"))
    return out + [Case("differential scan", syncs_of(catalog.differential), n, unit="scans") for n in (16, MANY)]


def measure(bench):
    stages = [Stage(catalog, cases(catalog, bench.quick)) for catalog in bench.catalogs]
    results = run_rounds(stages, bench.options, "rates")
    return [{"revisions": c.revisions, "approvals": c.approved, "cases": r} for c, r in zip(bench.catalogs, results)]


def cases_in(result):
    return [case for part in result for case in part["cases"]]


# ---- for people ----

HEAD = ["what", "conn.", "KB", "per second", "floor", "of the floor", "of static", "p50 ms", "p99", "max", "floor p50", "p99",
        "max", "served", "errors"]


def row(c):
    s, f = c["server"], c["floor"]
    return [c["case"], str(c["connections"]), kb(c["reply_bytes"]), ranged(s["per_second"]), number(f["per_second"]["median"]),
            ranged(c["ratio_to_floor"], times), ranged(c.get("ratio_to_static"), times), ms(s["p50_us"]["median"]),
            ms(s["p99_us"]["median"]), ms(s["longest_wait_us"]), ms(f["p50_us"]["median"]), ms(f["p99_us"]["median"]),
            ms(f["longest_wait_us"]), f"{s['least_served']}..{s['most_served']}", str(errors_of(c))]


def report(result):
    return [section(f"{TITLE}: {part['revisions']:,} revisions, {part['approvals']} approvals",
                    table(HEAD, [row(c) for c in part["cases"]])) for part in result]


def targets(result):
    for part in result:
        by = {(c["case"], c["connections"]): c for c in part["cases"]}
        for name in ("page of 30", "page of 200"):
            if case := by.get((name, 16)):
                yield target(f"{name}, {part['revisions']:,} revisions: of the floor's rate", 0.5,
                             case["ratio_to_floor"]["median"], at_least=True)
        if part["revisions"] == 5000 and (case := by.get(("fresh scan", 16))):
            rate, share = case["server"]["per_second"]["median"], case["ratio_to_floor"]["median"]
            yield target("fresh scans of 5,000 a second, or half the floor's where its bytes bind", min(100, rate / share / 2), rate, at_least=True,
                         form=number)
