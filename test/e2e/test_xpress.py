"""test_xpress.py -- an independent decoder (libfwnt) reads what our Xpress encoder makes.

Our coder is compiled into a shared object in a temporary directory; both are called by ctypes.  Blocks whose
two sizes are equal are raw and never reach libfwnt, which does not know them."""

import ctypes
import os
import random
import shutil
import struct
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORPUS = os.environ.get("WSUS_CORPUS", os.path.join(ROOT, "../shared/corpus"))
SOURCES = ["common/xpress.c", "common/buf.c", "common/arena.c", "common/err.c"]


class Buf(ctypes.Structure):
    _fields_ = [("p", ctypes.c_void_p), ("n", ctypes.c_size_t), ("cap", ctypes.c_size_t), ("max", ctypes.c_size_t),
                ("rc", ctypes.c_int)]


class Slice(ctypes.Structure):
    _fields_ = [("p", ctypes.c_char_p), ("n", ctypes.c_size_t)]


def compile_coder(directory):
    cc = os.environ.get("CC", "cc")
    if not shutil.which(cc):
        raise unittest.SkipTest(f"no compiler {cc}")
    out = os.path.join(directory, "coder.so")
    subprocess.run([cc, "-std=c11", "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", "-I.", "-o", out] + SOURCES, cwd=ROOT,
                   check=True)
    lib = ctypes.CDLL(out)
    lib.xpress_add.argtypes = [ctypes.POINTER(Buf), Slice, ctypes.c_size_t]
    lib.xpress_encode.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
    lib.xpress_encode.restype = ctypes.c_size_t
    return lib


def load_fwnt():
    try:
        return ctypes.CDLL("libfwnt.so.1")
    except OSError:
        raise unittest.SkipTest("no libfwnt.so.1 (Debian: libfwnt1)") from None


def unpack(fwnt, data, plain):
    out = ctypes.create_string_buffer(plain)
    size = ctypes.c_size_t(plain)
    done = fwnt.libfwnt_lzxpress_decompress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(size), None)
    return out.raw[:size.value] if done == 1 else None


def pack(lib, text, block):
    b = Buf()
    lib.buf_init(ctypes.byref(b), ctypes.c_size_t(1 << 30))
    lib.xpress_add(ctypes.byref(b), Slice(text, len(text)), block)
    assert b.rc == 0
    out = ctypes.string_at(b.p, b.n) if b.n else b""
    lib.buf_free(ctypes.byref(b))
    return out


def encode(lib, text):
    to = ctypes.create_string_buffer(len(text) + 4 * (len(text) // 32 + 1))
    n = lib.xpress_encode(text, len(text), to)
    return to.raw[:n]


def judge(fwnt, stream):
    """Walks the blocks as a client does, with libfwnt for the packed ones."""
    out, at, packed = [], 0, 0
    while at < len(stream):
        plain, size = struct.unpack_from("<ii", stream, at)
        assert 0 < plain <= 65535 and 0 < size <= plain
        data = stream[at + 8:at + 8 + size]
        assert len(data) == size
        if size < plain:
            data = unpack(fwnt, data, plain)
            assert data is not None
            packed += 1
        out.append(data)
        at += 8 + size
    return b"".join(out), packed


# libfwnt refuses longer ones, which MS-WUSP 2.1.1.1.2 allows; t_xpress.c has them.
FWNT_LONGEST_MATCH = 32771
SIZES = list(range(1, 120)) + [279, 280, 281, 1000, 8191, 8192, 8193, 8300, 16352, 16353, 65535, 65536, 200000]


def made_texts():
    rng = random.Random(1)
    for alphabet in (1, 2, 4, 20, 256):
        for n in SIZES:
            if alphabet == 1 and n > FWNT_LONGEST_MATCH:
                continue
            yield bytes(rng.randrange(alphabet) for _ in range(n))


def recorded_texts():
    for folder, _, names in sorted(os.walk(CORPUS)):
        for name in sorted(names):
            with open(os.path.join(folder, name), "rb") as f:
                yield f.read()


class Xpress(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fwnt = load_fwnt()
        with tempfile.TemporaryDirectory(prefix="wsus-fwnt-") as directory:
            cls.lib = compile_coder(directory)

    def check(self, texts):
        """Returns how many texts there were and how many packed blocks."""
        count = packed = 0
        for text in texts:
            for block in (16352, 65535):
                back, n = judge(self.fwnt, pack(self.lib, text, block))
                self.assertTrue(back == text, (len(text), block))
                packed += n
            if 0 < len(text) <= 65535:
                self.assertTrue(unpack(self.fwnt, encode(self.lib, text), len(text)) == text, len(text))
            count += 1
        return count, packed

    # holds: WUSP-XPRESS-07 WUSP-XPRESS-12 WUSP-XPRESS-18 WUSP-XPRESS-20 WUSP-XPRESS-23
    def test_libfwnt_reads_made_texts(self):
        _, packed = self.check(made_texts())
        self.assertGreater(packed, 200)

    # holds: WUSP-XPRESS-23
    def test_libfwnt_reads_recorded_texts(self):
        count, packed = self.check(recorded_texts())
        if count == 0:
            self.skipTest(f"no corpus at {CORPUS}")
        self.assertGreater(packed, 10)
