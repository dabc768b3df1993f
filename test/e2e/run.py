#!/usr/bin/python3
"""run.py -- runs the end-to-end tests.
    run.py [-v] [--lanes N] [NAME...]    NAME: a module (test_content), or a part of a test's name
With lanes, as many processes take one module after the other: most tests wait more than they work.
The last line is "N passed, N failed", with ", N skipped" behind it; what was skipped and why stands above.
"""
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True


class Result(unittest.TestResult):
    def __init__(self, verbose):
        super().__init__()
        self.verbose, self.passed, self.began = verbose, 0, 0.0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def say(self, word, test):
        print(f"{word:<8} {test.id()} ({time.monotonic() - self.began:.1f} s)", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        if self.verbose:
            self.say("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("FAILED", test)
        print(self.failures[-1][1], flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self.say("FAILED", test)
        print(self.errors[-1][1], flush=True)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.say("FAILED", subtest)
            print((self.failures + self.errors)[-1][1], flush=True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skipped: {test.id()}: {reason}", flush=True)


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def load(names):
    """Module -> its tests, in the order of their names."""
    modules = {}
    for t in flatten(unittest.defaultTestLoader.discover(str(HERE), "test_*.py")):
        if not names or any(n in t.id() for n in names):
            modules.setdefault(t.id().split(".")[0], []).append(t)
    return modules


def summary(passed, failed, skipped):
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or passed + failed + skipped == 0 else 0


# ---- one process ----

def taken(modules, fd):
    """The tests of the modules whose numbers this lane reads, one byte each, from what all lanes read."""
    names = list(modules)
    while (number := os.read(fd, 1)):
        yield from modules[names[number[0]]]


def run(tests, verbose):
    result = Result(verbose)
    for module in tests:
        unittest.TestSuite(module).run(result)
    return result


def modules_of(tests):
    """Runs of tests of one module: each is a suite, so that what a module or class set up is torn down at its end."""
    suite, name = [], None
    for t in tests:
        if t.id().split(".")[0] != name and suite:
            yield suite
            suite = []
        name = t.id().split(".")[0]
        suite.append(t)
    if suite:
        yield suite


# ---- lanes ----

# Those that take half a minute and more go first, so that no lane ends long before the other.
LONG = ("test_damage", "test_tls", "test_probe_notices", "test_bench", "test_downstream")


class Lane(threading.Thread):
    """A process; its lines are passed on as they come, its last one is kept."""

    def __init__(self, which, arguments, fd):
        super().__init__()
        self.process = subprocess.Popen([sys.executable, __file__, "--lane", str(fd), *arguments], stdout=subprocess.PIPE,
                                        text=True, errors="replace", pass_fds=[fd], env=dict(os.environ, WSUS_E2E_LANE=which))
        self.counts = None
        self.start()

    def run(self):
        for line in self.process.stdout:
            if line.startswith("lane: "):
                self.counts = [int(n) for n in line.split()[1:]]
            else:
                print(line, end="", flush=True)
        self.process.wait()


def run_lanes(n, modules, arguments):
    names = list(modules)
    order = sorted(range(len(names)), key=lambda i: names[i] not in LONG)
    reader, writer = os.pipe()
    os.write(writer, bytes(order))
    os.close(writer)
    lanes = [Lane(f"{k}/{n}", arguments, reader) for k in range(n)]
    for lane in lanes:
        lane.join()
    lost = [lane for lane in lanes if lane.counts is None]
    for lane in lost:
        print(f"FAILED   a lane ended with status {lane.process.returncode}", flush=True)
    return [sum(lane.counts[k] for lane in lanes if lane.counts) + (len(lost) if k == 1 else 0) for k in range(3)]


def option(arguments, name):
    if name not in arguments:
        return None
    at = arguments.index(name)
    value = int(arguments[at + 1])
    del arguments[at:at + 2]
    return value


def main(arguments):
    lanes, lane = option(arguments, "--lanes"), option(arguments, "--lane")
    verbose = "-v" in arguments
    modules = load([a for a in arguments if a != "-v"])
    if lanes and lanes > 1 and len(modules) > 1:
        return summary(*run_lanes(lanes, modules, arguments))
    tests = [t for m in modules.values() for t in m] if lane is None else taken(modules, lane)
    result = run(modules_of(tests), verbose)
    counts = result.passed, len(result.failures) + len(result.errors), len(result.skipped)
    if lane is None:
        return summary(*counts)
    print("lane:", *counts, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
