/* language.c -- languages that are synchronized, and the point of the configuration that downstream servers see.
 *
 * The record `config` of meta: v1 | point be32, then of each language the point at which it last changed, in the table's
 * order.  A store in which nothing of that ever changed has none: point 1. */
#include "store/language.h"

#include "common/text.h"
#include "store/db.h"

static const struct {
	int32_t id;
	const char *code, *name;
} languages[SYNC_LANGUAGES] = {
	{0, "all", "all"},
	{1025, "ar", "Arabic"},
	{1026, "bg", "Bulgarian"},
	{1028, "zh-tw", "Chinese (Traditional)"},
	{1029, "cs", "Czech"},
	{1030, "da", "Danish"},
	{1031, "de", "German"},
	{1032, "el", "Greek"},
	{1033, "en", "English"},
	{1034, "es", "Spanish"},
	{1035, "fi", "Finnish"},
	{1036, "fr", "French"},
	{1037, "he", "Hebrew"},
	{1038, "hu", "Hungarian"},
	{1040, "it", "Italian"},
	{1041, "ja", "Japanese"},
	{1042, "ko", "Korean"},
	{1043, "nl", "Dutch"},
	{1044, "no", "Norwegian"},
	{1045, "pl", "Polish"},
	{1046, "pt-br", "Portuguese (Brazil)"},
	{1048, "ro", "Romanian"},
	{1049, "ru", "Russian"},
	{1050, "hr", "Croatian"},
	{1051, "sk", "Slovak"},
	{1053, "sv", "Swedish"},
	{1054, "th", "Thai"},
	{1055, "tr", "Turkish"},
	{1058, "uk", "Ukrainian"},
	{1060, "sl", "Slovenian"},
	{1061, "et", "Estonian"},
	{1062, "lv", "Latvian"},
	{1063, "lt", "Lithuanian"},
	{1081, "hi", "Hindi"},
	{2052, "zh-cn", "Chinese (Simplified)"},
	{2070, "pt", "Portuguese (Portugal)"},
	{2074, "sr", "Serbian (Latin)"},
	{3076, "zh-hk", "Chinese (Hong Kong SAR)"},
	{66577, "ja-nec", "Japanese NEC"},
};

static int find(struct slice code)
{
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		if (text_ieq(code, slice_of(languages[i].code)))
			return i;
	return -1;
}

/* `all` is a value of its own: with others it would say nothing. */
bool languages_read(struct slice text, bool on[SYNC_LANGUAGES])
{
	memset(on, 0, SYNC_LANGUAGES * sizeof(*on));
	while (text.p) {
		int i = find(text_trim(text_cut(&text, ',')));
		if (i < 0)
			return false;
		on[i] = true;
	}
	bool any = false, all = on[0];
	for (int i = 1; i < SYNC_LANGUAGES; i++) {
		any |= on[i];
		on[i] |= all;
	}
	return any != all;
}

size_t languages_write(const bool on[SYNC_LANGUAGES], char *to, size_t size)
{
	size_t n = 0;
	if (on[0])
		return (size_t)snprintf(to, size, "%s", languages[0].code);
	for (int i = 1; i < SYNC_LANGUAGES; i++)
		if (on[i])
			n += (size_t)snprintf(to + n, size - n, "%s%s", n ? "," : "", languages[i].code);
	return n;
}

/* ================= points ================= */

struct points {
	uint32_t point, changed[SYNC_LANGUAGES];
};

static int points_get(struct txn *t, struct points *out, struct err *e)
{
	struct slice v;
	*out = (struct points){.point = 1};
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		out->changed[i] = 1;
	int rc = db_get(t, DB_META, SL("config"), &v);
	if (rc == E_NOTFOUND)
		return E_OK;
	struct rec r = rec_of(rc == E_OK ? v : SL(""), 1);
	out->point = rec_u32(&r);
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		out->changed[i] = rec_u32(&r);
	bool good = rec_end(&r) == E_OK;
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		good = good && out->changed[i] >= 1 && out->changed[i] <= out->point;
	return good ? E_OK : err_set(e, E_CORRUPT, "the record of the configuration's changes cannot be read");
}

static int points_put(struct txn *t, const struct points *p, struct err *e)
{
	struct buf b;
	rec_begin(&b, 1, LIMIT_RECORD);
	rec_put_u32(&b, p->point);
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		rec_put_u32(&b, p->changed[i]);
	return db_put_rec(t, DB_META, SL("config"), &b, e);
}

int languages_changed(struct txn *t, const bool was[SYNC_LANGUAGES], const bool is[SYNC_LANGUAGES], struct err *e)
{
	struct points p;
	int rc = points_get(t, &p, e);
	if (rc == E_OK && p.point >= INT32_MAX) /* anchors carry it as an int */
		rc = err_set(e, E_LIMIT, "all points of the configuration are used up");
	p.point++;
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		if (was[i] != is[i])
			p.changed[i] = p.point;
	return rc == E_OK ? points_put(t, &p, e) : rc;
}

int sync_config(struct txn *t, struct sync_language out[SYNC_LANGUAGES], uint32_t *point, struct err *e)
{
	struct settings set;
	struct points p;
	bool on[SYNC_LANGUAGES];
	int rc = settings_get(t, &set, e);
	if (rc == E_OK)
		rc = points_get(t, &p, e);
	if (rc == E_OK && !languages_read(set.languages, on))
		rc = err_set(e, E_CORRUPT, "the setting sync.languages cannot be read");
	if (rc != E_OK)
		return rc;
	*point = p.point;
	for (int i = 0; i < SYNC_LANGUAGES; i++)
		out[i] = (struct sync_language){languages[i].id, languages[i].code, languages[i].name, on[i], p.changed[i]};
	return E_OK;
}

tick_t sync_began(const struct server_state *s)
{
	tick_t ms = TICKS_PER_SECOND / 1000;
	return s->created / ms * ms + (tick_t)s->generation * ms;
}
