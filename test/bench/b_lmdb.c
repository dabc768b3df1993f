/* b_lmdb.c -- what the store cannot be faster than: the same bytes put into a bare LMDB and read from it, a bare
 * commit, a bare fsync.
 *
 *	make build/test/b_lmdb && build/test/b_lmdb DIR [ROWS BYTES BATCH]
 *
 * DIR is an existing directory on the disk that is meant.  One figure a line: name, value, unit, after medians. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"

#define ROUNDS 50
#define PAGE 200 /* rows read in one transaction: those of a page of SyncUpdates */
#define ROW_MAX ((size_t)64 << 20)
#define MAP ((size_t)8 << 30)

static void ok(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "b_lmdb: %s: %s\n", what, rc < 0 ? mdb_strerror(rc) : strerror(rc));
	exit(1);
}
#define OK(x) ok((x), #x)

static double now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static void show_median(const char *name, double us[ROUNDS])
{
	qsort(us, ROUNDS, sizeof(us[0]), by_value);
	printf("%s\t%.3f\tms\n", name, us[ROUNDS / 2] / 1e3);
}

/* One page written and synced, in a file that has its size: what a commit waits for. */
static void bare_fsync(const char *dir)
{
	static char page[4096];
	char path[4096];
	double us[ROUNDS];
	snprintf(path, sizeof(path), "%s/fsync", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ok(fd < 0 ? errno : 0, path);
	for (int i = 0; i < ROUNDS; i++) {
		memset(page, i, sizeof(page));
		double from = now_us();
		ok(pwrite(fd, page, sizeof(page), 0) != (ssize_t)sizeof(page) || fdatasync(fd) != 0 ? errno : 0, path);
		us[i] = now_us() - from;
	}
	close(fd);
	unlink(path);
	show_median("fsync", us);
}

/* Begins a transaction with its table; what does not exist yet is made. */
static MDB_txn *begin(MDB_env *env, MDB_dbi *dbi)
{
	MDB_txn *txn;
	OK(mdb_txn_begin(env, NULL, 0, &txn));
	OK(mdb_dbi_open(txn, "rows", MDB_CREATE, dbi));
	return txn;
}

static void put(MDB_txn *txn, MDB_dbi dbi, uint32_t n, const void *row, size_t size)
{
	uint8_t bytes[4];
	put_be32(bytes, n);
	MDB_val key = {sizeof(bytes), bytes}, value = {size, (void *)(uintptr_t)row};
	OK(mdb_put(txn, dbi, &key, &value, 0));
}

static void commits(MDB_env *env)
{
	double us[ROUNDS];
	MDB_dbi dbi;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		double from = now_us();
		MDB_txn *txn = begin(env, &dbi);
		put(txn, dbi, i, "one small row", 13);
		OK(mdb_txn_commit(txn));
		us[i] = now_us() - from;
	}
	show_median("commit", us);
}

/* ROWS rows of BYTES each, a commit after every BATCH of them. */
static void load(MDB_env *env, uint64_t rows, size_t bytes, uint64_t batch)
{
	MDB_dbi dbi;
	char *row = malloc(bytes);
	ok(row ? 0 : ENOMEM, "row");
	memset(row, 'x', bytes);
	double from = now_us();
	for (uint64_t n = 0; n < rows;) {
		MDB_txn *txn = begin(env, &dbi);
		for (uint64_t i = 0; i < batch && n < rows; i++)
			put(txn, dbi, (uint32_t)(ROUNDS + n++), row, bytes);
		OK(mdb_txn_commit(txn));
	}
	double us = now_us() - from;
	free(row);
	printf("load\t%.1f\tMB/s\n", (double)rows * (double)bytes / us);
}

static uint32_t random_row(uint64_t rows)
{
	static uint64_t state = 88172645463325252;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return ROUNDS + (uint32_t)(state % rows);
}

/* One read transaction: as many rows as a page has, each copied out of the map. */
static void read_page(MDB_env *env, uint64_t rows, char *to)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	OK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
	OK(mdb_dbi_open(txn, "rows", 0, &dbi));
	for (int i = 0; i < PAGE; i++) {
		uint8_t bytes[4];
		put_be32(bytes, random_row(rows));
		MDB_val key = {sizeof(bytes), bytes}, value;
		OK(mdb_get(txn, dbi, &key, &value));
		memcpy(to, value.mv_data, value.mv_size);
	}
	mdb_txn_abort(txn);
}

static void reads(MDB_env *env, uint64_t rows, size_t bytes)
{
	double us[ROUNDS];
	char *to = malloc(bytes);
	ok(to ? 0 : ENOMEM, "row");
	for (int i = 0; i < ROUNDS; i++) {
		double from = now_us();
		read_page(env, rows, to);
		us[i] = now_us() - from;
	}
	free(to);
	show_median("read of 200", us);
}

int main(int argc, char **argv)
{
	MDB_env *env;
	char path[4096];
	uint64_t rows = 5000, bytes = 8192, batch = 500;
	bool good = argc == 2 ||
		(argc == 5 && text_u64(slice_of(argv[2]), &rows) && text_u64(slice_of(argv[3]), &bytes) &&
			text_u64(slice_of(argv[4]), &batch) && bytes > 0 && bytes <= ROW_MAX && batch > 0);
	if (!good) {
		fputs("usage: b_lmdb DIR [ROWS BYTES BATCH]\n", stderr);
		return 2;
	}
	bare_fsync(argv[1]);
	snprintf(path, sizeof(path), "%s/bare.mdb", argv[1]);
	OK(mdb_env_create(&env));
	OK(mdb_env_set_mapsize(env, MAP));
	OK(mdb_env_set_maxdbs(env, 1));
	OK(mdb_env_open(env, path, MDB_NOSUBDIR, 0600));
	commits(env);
	load(env, rows, bytes, batch);
	if (rows >= PAGE)
		reads(env, rows, bytes);
	mdb_env_close(env);
	return 0;
}
