/* b_press.c -- the floor of what goes over the wire: recorded answers, once as they came and once as one Xpress
 * stream of the largest blocks that the coding allows.
 *
 *	b_press FILE...         answers as they came, packed
 *
 * Prints three numbers of bytes: as they came, their text, the text packed anew. */
#include <stdlib.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/limits.h"
#include "common/xpress.h"

#define BLOCK 65535

static uint64_t wire, plain, stream;

static void quit(const char *what, const char *path)
{
	fprintf(stderr, "b_press: %s: %s\n", what, path);
	exit(1);
}

static void read_file(const char *path, struct buf *to)
{
	char part[16384];
	FILE *f = fopen(path, "rb");
	if (!f)
		quit("cannot open", path);
	for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
		buf_add(to, part, n);
	if (ferror(f) || to->rc != E_OK)
		quit("cannot read", path);
	fclose(f);
}

static void take(const char *path)
{
	struct buf came, text, again;
	buf_init(&came, LIMIT_REPLY);
	buf_init(&text, LIMIT_REPLY);
	buf_init(&again, LIMIT_REPLY);
	read_file(path, &came);
	if (xpress_unpack(buf_bytes(&came), &text) != E_OK)
		quit("no Xpress stream", path);
	xpress_add(&again, buf_bytes(&text), BLOCK);
	if (again.rc != E_OK)
		quit("no memory", path);
	wire += came.n;
	plain += text.n;
	stream += again.n;
	buf_free(&came);
	buf_free(&text);
	buf_free(&again);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		take(argv[i]);
	printf("%ju %ju %ju\n", (uintmax_t)wire, (uintmax_t)plain, (uintmax_t)stream);
	return 0;
}
