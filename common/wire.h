/* wire.h -- messages as tables: the only code that walks SOAP messages.
 *
 * A message type is declared once, as a list of fields:
 *
 *	#define Cookie_FIELDS(X, M) \
 *		X(M, Expiration,    TIME, , 1, 1) \
 *		X(M, EncryptedData, B64,  , 0, LIMIT_COOKIE)
 *	WIRE_DECLARE(Cookie)                  -- in a header: struct Cookie, Cookie_wire, field numbers
 *	WIRE_DEFINE(Cookie)                   -- in one .c file: the rows
 *
 * X(M, name, KIND, Sub, min, max): Sub is the message type of MSG and LIST, or the item's element name of
 * STRS (default "string"); LIST_AS(item) is a LIST whose items are not named as their type, INT_OR(other) an INT
 * that peers write by another name, too; min 1 = always written; max bounds bytes of a text or items of a list,
 * beyond it the request fails with E_INVALID_PARAMETERS and the field's path.
 *
 * Reading: children are found by local name in any order, unknown ones are skipped (TRANSPORT-22), xsi:nil
 * counts as absent (TRANSPORT-19), a repeated field keeps the last.  Writing: schema order; absent (NULL)
 * messages and lists are left out, and so are texts unless min is 1; a list with v != NULL and n == 0 is
 * written as an empty element. */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include "common/base.h"
#include "common/err.h"
#include "common/rope.h"

struct arena;
struct xml;

enum wkind {
	W_BOOL,
	W_INT,
	W_SHORT,
	W_UBYTE,
	W_LONG,
	W_TIME,
	W_STR,
	W_GUID,
	W_B64,
	W_MSG,
	W_LIST,
	W_INTS,
	W_STRS,
	W_GUIDS,
	W_B64S,
	W_FRAG, /* text spliced from the store, already escaped; read as W_STR is (into piece 0) */
	W__MAX
};

struct wtype;
struct wfield {
	struct slice name; /* inside its tag: see WIRE_NAME */
	const char *item; /* element name of list items; of a value: a second name that it is read by, or "" */
	const struct wtype *sub;
	enum wkind kind;
	uint32_t max;
	uint16_t offset;
	bool always;
};
struct wtype {
	const char *name;
	const struct wfield *field;
	unsigned n;
	size_t size;
};

/* Lists: v == NULL is absent. */
struct wints {
	int32_t *v;
	size_t n;
};
struct wstrs {
	struct slice *v;
	size_t n;
};
struct wguids {
	struct guid *v;
	size_t n;
};
struct wlist {
	void *v;
	size_t n;
};

#define WIRE_C_BOOL(Sub) bool
#define WIRE_C_INT(Sub) int32_t
#define WIRE_C_SHORT(Sub) int32_t
#define WIRE_C_UBYTE(Sub) int32_t
#define WIRE_C_LONG(Sub) int64_t
#define WIRE_C_TIME(Sub) tick_t
#define WIRE_C_STR(Sub) struct slice
#define WIRE_C_GUID(Sub) struct guid
#define WIRE_C_B64(Sub) struct slice
#define WIRE_C_MSG(Sub) struct Sub *
#define WIRE_C_LIST(Sub) \
	struct { \
		struct Sub *v; \
		size_t n; \
	}
#define WIRE_C_INTS(Sub) struct wints
#define WIRE_C_STRS(Sub) struct wstrs
#define WIRE_C_GUIDS(Sub) struct wguids
#define WIRE_C_B64S(Sub) struct wstrs
#define WIRE_C_FRAG(Sub) struct frag

#define WIRE_NOTHING(Sub)
#define WIRE_C_LIST_AS(item) WIRE_C_LIST
#define WIRE_SUB_LIST_AS(item) WIRE_SUB_LIST
#define WIRE_ITEM_LIST_AS(item) #item WIRE_NOTHING
#define W_LIST_AS(item) W_LIST
#define WIRE_C_INT_OR(other) WIRE_C_INT
#define WIRE_SUB_INT_OR(other) WIRE_SUB_INT
#define WIRE_ITEM_INT_OR(other) #other WIRE_NOTHING
#define W_INT_OR(other) W_INT

/* Element names of list items. */
#define WIRE_ITEM_BOOL(Sub) ""
#define WIRE_ITEM_INT(Sub) ""
#define WIRE_ITEM_SHORT(Sub) ""
#define WIRE_ITEM_UBYTE(Sub) ""
#define WIRE_ITEM_LONG(Sub) ""
#define WIRE_ITEM_TIME(Sub) ""
#define WIRE_ITEM_STR(Sub) ""
#define WIRE_ITEM_GUID(Sub) ""
#define WIRE_ITEM_B64(Sub) ""
#define WIRE_ITEM_MSG(Sub) ""
#define WIRE_ITEM_LIST(Sub) #Sub
#define WIRE_ITEM_INTS(Sub) "int"
#define WIRE_ITEM_STRS(Sub) (sizeof(#Sub) > 1 ? #Sub : "string")
#define WIRE_ITEM_GUIDS(Sub) "guid"
#define WIRE_ITEM_B64S(Sub) "base64Binary"
#define WIRE_ITEM_FRAG(Sub) ""

#define WIRE_SUB_BOOL(Sub) NULL
#define WIRE_SUB_INT(Sub) NULL
#define WIRE_SUB_SHORT(Sub) NULL
#define WIRE_SUB_UBYTE(Sub) NULL
#define WIRE_SUB_LONG(Sub) NULL
#define WIRE_SUB_TIME(Sub) NULL
#define WIRE_SUB_STR(Sub) NULL
#define WIRE_SUB_GUID(Sub) NULL
#define WIRE_SUB_B64(Sub) NULL
#define WIRE_SUB_MSG(Sub) &Sub##_wire
#define WIRE_SUB_LIST(Sub) &Sub##_wire
#define WIRE_SUB_INTS(Sub) NULL
#define WIRE_SUB_STRS(Sub) NULL
#define WIRE_SUB_GUIDS(Sub) NULL
#define WIRE_SUB_B64S(Sub) NULL
#define WIRE_SUB_FRAG(Sub) NULL

#define WIRE_MEMBER(M, name, K, Sub, min, max) WIRE_C_##K(Sub) name;
#define WIRE_NUMBER(M, name, K, Sub, min, max) M##__##name,
/* A field's name stands in its tag, and from the '<' on WIRE_TAG + 1 bytes may be read: a writer copies as many, whatever
 * the name's length, since moves of a fixed size cost less than the choice among sizes.  A few names of the server-server
 * protocol are longer, up to twice that. */
#define WIRE_TAG 32
#define WIRE_PAD "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define WIRE_NAME(name) \
	{&("<" #name ">" WIRE_PAD)[1], sizeof(#name) - 1 + 0 * sizeof(char[sizeof("<" #name ">") <= 2 * WIRE_TAG + 1 ? 1 : -1])}
#define WIRE_ROW(M, name, K, Sub, min, max) \
	{WIRE_NAME(name), WIRE_ITEM_##K(Sub), WIRE_SUB_##K(Sub), W_##K, (uint32_t)(max), \
		(uint16_t)offsetof(struct M, name), (min) != 0},

/* has: bit i is set when the reader met field i, present and not nil. */
#define WIRE_DECLARE(M) \
	struct M { \
		uint64_t has; \
		M##_FIELDS(WIRE_MEMBER, M) \
	}; \
	enum { M##_FIELDS(WIRE_NUMBER, M) M##__N }; \
	extern const struct wtype M##_wire;
#define WIRE_DEFINE(M) WIRE_DEFINE_AS(M, M)
/* The two protocols have operations of the same name: this one is called Name in messages. */
#define WIRE_DEFINE_AS(M, Name) \
	static const struct wfield M##_rows[] = {M##_FIELDS(WIRE_ROW, M){.max = 0}}; \
	static_assert(COUNTOF(M##_rows) <= 65, "has is 64 bits"); \
	const struct wtype M##_wire = {#Name, M##_rows, COUNTOF(M##_rows) - 1, sizeof(struct M)};
#define WIRE_HAS(m, M, name) (((m)->has >> M##__##name & 1) != 0)
/* For writers of optional scalars: says that the field counts as present. */
#define WIRE_SET(m, M, name, value) ((m)->has |= UINT64_C(1) << M##__##name, (m)->name = (value))

/* Reads the message whose XML_OPEN was just returned, up to and including its close, into *out (zeroed by
 * the callee, t->size bytes); lists and texts lie in a.  E_INVALID_PARAMETERS with the field's path in e
 * ("parameters.SystemSpec"), E_FORM when the XML itself is bad, E_NOMEM. */
int wire_read(struct xml *x, const struct wtype *t, void *out, struct arena *a, struct err *e) MUST_CHECK;

/* Writes the whole element; attributes, if any, with their leading space.  Elements without content end as
 * `empty` says: "/>" as the client service has it, " />" as the older services. */
void wire_write_element(struct rope *r, struct slice name, struct slice attributes, const struct wtype *t,
	const void *in, struct slice empty);

#endif
