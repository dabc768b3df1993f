/* document.c -- one revision as a full update document, in the form in which real ones come.
 *
 * No declaration, no white space between elements, empty elements as `<x />` but Properties as a pair,
 * redundant namespace declarations on rules, references without RevisionNumber but for bundle members. */
#include "common/err.h"
#include "common/text.h"
#include "test/catalog/catalog.h"

#define NS "http://schemas.microsoft.com/msus/2002/12/"
#define XMLNS_BAR "xmlns:bar=\"" NS "BaseApplicabilityRules\""
#define XMLNS_LAR "xmlns:lar=\"" NS "LogicalApplicabilityRules\""
#define XMLNS_XSI "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""
#define PUBLISHER "7d1c7a55-2f0b-4c3e-9f5e-64a1f0c2b781"
#define ENGLISH_PLACE 7 /* where English stands when the languages are in alphabetic order */

struct doc {
	const struct world *w;
	const struct node *n;
	struct buf *b;
	size_t big;
	file_fn *fn;
	void *arg;
	bool failed;
	uint8_t bytes[FILE_MAX];
};

/* What handles an update: names of its namespace, prefix and xsi:type. */
struct handling {
	const char *name, *prefix, *rules, *rules_prefix; /* rules: a second namespace, for applicability */
};
static const struct handling by_handler[HANDLER__MAX] = {
	[HANDLER_NONE] = {NULL, NULL, NULL, NULL},
	[HANDLER_COMMAND] = {"CommandLineInstallation", "cmd", NULL, NULL},
	[HANDLER_CBS] = {"Cbs", "cbs", "CbsApplicabilityRules", "cbsar"},
	[HANDLER_MSI] = {"WindowsInstaller", "msp", "MsiApplicabilityRules", "msiar"},
};
static const struct handling as_category = {"Category", "cat", NULL, NULL};
static const struct handling as_driver = {"WindowsDriver", "drv", NULL, NULL};

static bool is_category(const struct node *n)
{
	return n->kind <= KIND_CLASSIFICATION;
}

static bool has_files(const struct node *n)
{
	return n->recipe && n->members == 0;
}

static const struct handling *handling_of(const struct node *n)
{
	if (is_category(n))
		return &as_category;
	if (n->kind == KIND_DRIVER)
		return &as_driver;
	return &by_handler[has_files(n) ? n->recipe->handler : HANDLER_NONE];
}

/* ---- names ---- */
static void add_arch(struct doc *d)
{
	buf_printf(d->b, " for %s-based Systems", arch_word[d->n->arch]);
}

static void add_product(struct doc *d, const struct node *product)
{
	const struct node *family = &d->w->node[product->parent];
	xml_escape_add(d->b, slice_of(family_word[family->name % FAMILY_WORDS]));
	buf_char(d->b, ' ');
	xml_escape_add(d->b, slice_of(product_word[product->name % PRODUCT_WORDS]));
	if (product->name >= PRODUCT_WORDS)
		buf_printf(d->b, " %u", 1 + product->name / PRODUCT_WORDS);
}

static const struct node *product_of(const struct doc *d)
{
	return &d->w->node[d->n->kind == KIND_DRIVER ? d->w->driver_product : d->w->line[d->n->line].product];
}

static void add_category_name(struct doc *d)
{
	static const char *const company[] = {"Harbour Works", "Partner & Sons"};
	const struct node *n = d->n;
	if (n->kind == KIND_COMPANY)
		xml_escape_add(d->b, slice_of(company[n->name % COUNTOF(company)]));
	else if (n->kind == KIND_FAMILY)
		buf_str(d->b, family_word[n->name % FAMILY_WORDS]);
	else if (n->kind == KIND_CLASSIFICATION)
		buf_str(d->b, class_word[n->name]);
	else
		add_product(d, n);
}

static void add_detectoid_name(struct doc *d)
{
	static const char *const what[] = {"Harbour system", "version", "edition", "architecture", "product"};
	buf_printf(d->b, "%s %u (%s)", what[(d->n->depth - 1) % 5], d->n->name, arch_word[d->n->arch]);
}

static void add_update_name(struct doc *d)
{
	add_product(d, product_of(d));
	add_arch(d);
	buf_printf(d->b, " (KB%u)", d->n->kb);
}

/* ---- properties ---- */
static void add_date(struct doc *d, unsigned day, const char *fraction)
{
	unsigned month = d->n->month, n = d->n->update + (unsigned)d->n->revision;
	buf_printf(d->b, "%04u-%02u-%02uT%02u:%02u:%02u%sZ", 2021 + month / 12, 1 + month % 12, day, n % 24, n % 59,
		n % 53, fraction);
}

static void add_creation(struct doc *d)
{
	char fraction[8];
	snprintf(fraction, sizeof(fraction), ".%03u", d->n->update % 1000);
	buf_str(d->b, " CreationDate=\"");
	add_date(d, 9 + (unsigned)d->n->revision % 10, fraction);
	buf_str(d->b, "\" PublisherID=\"" PUBLISHER "\"");
}

static uint64_t download_size(struct doc *d)
{
	uint64_t sum = 0;
	struct file f;
	for (unsigned j = 0; node_file(d->w, d->n, j, &f); j++) {
		d->failed = d->failed || !file_make(d->w, &f, d->bytes);
		sum += f.size;
	}
	return sum;
}

static void add_eula_id(struct doc *d)
{
	struct rng r = rng_for(d->w->seed, FOR_EULA, d->n->line);
	struct guid g = rng_guid(&r);
	char text[GUID_TEXT + 1];
	guid_text(&g, text);
	buf_printf(d->b, " EulaID=\"%s\"", text);
}

static void add_top_attributes(struct doc *d)
{
	const struct recipe *r = d->n->recipe;
	if (r->kind == KIND_TOP)
		buf_str(d->b, " AutoSelectOnWebSites=\"true\"");
	buf_str(d->b, " ExplicitlyDeployable=\"true\"");
	if (r->flags & WITH_EULA)
		add_eula_id(d);
	if (r->flags & WITH_SWAP)
		buf_str(d->b, " OSUpgrade=\"swap\"");
	if (r->severity)
		buf_printf(d->b, " MsrcSeverity=\"%s\"", r->severity);
}

static bool is_top(const struct node *n)
{
	return n->kind == KIND_TOP || n->kind == KIND_DRIVER;
}

static void add_properties_attributes(struct doc *d)
{
	static const char *const type[KIND__MAX] = {[KIND_COMPANY] = "Category", [KIND_FAMILY] = "Category",
		[KIND_PRODUCT] = "Category", [KIND_CLASSIFICATION] = "Category", [KIND_DETECTOID] = "Detectoid",
		[KIND_TOP] = "Software", [KIND_HIDDEN] = "Software", [KIND_LEAF] = "Software", [KIND_DRIVER] = "Driver"};
	const struct node *n = d->n;
	const struct handling *h = handling_of(n);
	if (is_category(n))
		buf_str(d->b, " DefaultPropertiesLanguage=\"en\" IsPublic=\"true\" UpdateType=\"Category\"");
	else
		buf_printf(d->b, " UpdateType=\"%s\" DefaultPropertiesLanguage=\"en\"", type[n->kind]);
	if (n->kind == KIND_PRODUCT && n->name % 2)
		buf_str(d->b, " ExplicitlyDeployable=\"false\" PerUser=\"false\"");
	if (is_top(n))
		add_top_attributes(d);
	if (h->name)
		buf_printf(d->b, " Handler=\"" NS "UpdateHandlers/%s\"", h->name);
	if (has_files(n) || is_top(n))
		buf_printf(d->b, " MaxDownloadSize=\"%ju\" MinDownloadSize=\"0\"", (uintmax_t)download_size(d));
	buf_printf(d->b, " PublicationState=\"%s\"", n->expired ? "Expired" : "Published");
	add_creation(d);
}

static void add_properties(struct doc *d)
{
	static const char *const impact[] = {"Normal", "Minor", "RequiresExclusiveHandling"};
	const struct node *n = d->n;
	buf_str(d->b, "<upd:Properties");
	add_properties_attributes(d);
	buf_char(d->b, '>');
	if (has_files(n))
		buf_printf(d->b, "<upd:InstallationBehavior Impact=\"%s\" RebootBehavior=\"%s\" />", impact[n->update % 3],
			n->update % 2 ? "CanRequestReboot" : "NeverReboots");
	if (is_top(n)) {
		buf_str(d->b, "<upd:SupportUrl>https://support.harbour.example/</upd:SupportUrl>");
		if (n->recipe->severity)
			buf_printf(d->b, "<upd:SecurityBulletinID>HB%02u-%03u</upd:SecurityBulletinID>",
				21 + n->month / 12, n->kb % 1000);
		if (n->kind == KIND_TOP)
			buf_printf(d->b, "<upd:KBArticleID>%u</upd:KBArticleID>", n->kb);
	}
	buf_str(d->b, "</upd:Properties>");
}

/* ---- localized properties ---- */
static void add_category_text(struct doc *d, unsigned lang)
{
	(void)lang;
	buf_str(d->b, "<upd:Title>");
	add_category_name(d);
	buf_str(d->b, "</upd:Title><upd:Description>");
	add_category_name(d);
	buf_str(d->b, "</upd:Description>");
}

static void add_top_text(struct doc *d, unsigned lang)
{
	const struct language *l = &language[lang];
	buf_printf(d->b, "<upd:Title>%s", l->before);
	add_update_name(d);
	buf_printf(d->b, "%s</upd:Title><upd:Description>", l->after);
	for (unsigned k = 0; k <= d->n->kb % 3; k++)
		buf_printf(d->b, "%s%s", k ? " " : "", l->text);
	buf_printf(d->b,
		"</upd:Description><upd:UninstallNotes>KB%u</upd:UninstallNotes>"
		"<upd:MoreInfoUrl>https://support.harbour.example/%s/%u?from=update&amp;r=%d</upd:MoreInfoUrl>"
		"<upd:SupportUrl>https://support.harbour.example/%s</upd:SupportUrl>",
		d->n->kb, l->code, d->n->kb, d->n->revision, l->code);
}

static void add_inner_text(struct doc *d, unsigned lang)
{
	static const char *const word[KIND__MAX] = {
		[KIND_HIDDEN] = "HIDDEN: ", [KIND_LEAF] = "Package: ", [KIND_DRIVER] = "Driver: "};
	(void)lang;
	buf_str(d->b, "<upd:Title>");
	if (d->n->kind == KIND_DETECTOID) {
		add_detectoid_name(d);
	} else {
		buf_str(d->b, word[d->n->kind]);
		add_update_name(d);
		buf_printf(d->b, " part %u", d->n->name);
	}
	buf_str(d->b, "</upd:Title>");
}

typedef void text_fn(struct doc *d, unsigned lang);

static void add_language(struct doc *d, unsigned lang, text_fn *fn)
{
	buf_printf(d->b, "<upd:LocalizedProperties><upd:Language>%s</upd:Language>", language[lang].code);
	fn(d, lang);
	buf_str(d->b, "</upd:LocalizedProperties>");
}

static void add_alphabetic(struct doc *d, text_fn *fn)
{
	for (unsigned k = 1; k <= d->w->languages; k++) {
		if (k == MIN(ENGLISH_PLACE, d->w->languages))
			add_language(d, 0, fn);
		if (k < d->w->languages)
			add_language(d, k, fn);
	}
}

static void add_additional(struct doc *d, const struct file *f)
{
	buf_str(d->b, "<upd:AdditionalDigest Algorithm=\"SHA256\">");
	base64_add(d->b, (struct slice){(const char *)f->sha256.b, sizeof(f->sha256.b)});
	buf_str(d->b, "</upd:AdditionalDigest>");
}

/* What File and EulaFile have in common; the caller goes on inside the open tag. */
static void add_file(struct doc *d, const char *element, struct file *f)
{
	d->failed = d->failed || !file_make(d->w, f, d->bytes) || (d->fn && !d->fn(d->arg, f, d->bytes));
	buf_printf(d->b, "<upd:%s Digest=\"", element);
	base64_add(d->b, (struct slice){(const char *)f->sha1.b, sizeof(f->sha1.b)});
	buf_printf(d->b, "\" DigestAlgorithm=\"SHA1\" FileName=\"%s\" Size=\"%u\"", f->name, f->size);
}

static void add_eulas(struct doc *d, unsigned lang)
{
	unsigned geos = lang == 0 || strcmp(language[lang].code, "de") == 0 ? GEO_IDS : 1;
	for (unsigned geo = 0; geo < geos; geo++) {
		struct file f;
		eula_file(d->w, d->n, lang, geo, &f);
		add_file(d, "EulaFile", &f);
		buf_printf(d->b, " Language=\"%s\"", language[lang].code);
		if (geo > 0)
			buf_printf(d->b, " GeoId=\"%s\"", geo_id[geo]);
		buf_char(d->b, '>');
		add_additional(d, &f);
		buf_str(d->b, "</upd:EulaFile>");
	}
}

static void add_localized(struct doc *d)
{
	bool top = d->n->kind == KIND_TOP;
	buf_str(d->b, "<upd:LocalizedPropertiesCollection>");
	if (is_category(d->n))
		add_alphabetic(d, add_category_text);
	else
		for (unsigned lang = 0; lang < (top ? d->w->languages : 1); lang++)
			add_language(d, lang, top ? add_top_text : add_inner_text);
	if (top && d->n->recipe->flags & WITH_EULA)
		for (unsigned lang = 0; lang < d->w->languages; lang++)
			add_eulas(d, lang);
	buf_str(d->b, "</upd:LocalizedPropertiesCollection>");
}

/* ---- relationships ---- */
static void add_identity(struct doc *d, uint32_t i, bool with_revision)
{
	char text[GUID_TEXT + 1];
	guid_text(&d->w->node[i].id, text);
	buf_printf(d->b, "<upd:UpdateIdentity UpdateID=\"%s\"", text);
	if (with_revision)
		buf_printf(d->b, " RevisionNumber=\"%d\"", d->w->node[i].revision);
	buf_str(d->b, " />");
}

static void add_clause(struct doc *d, bool category, uint32_t a, uint32_t b)
{
	buf_str(d->b, category ? "<upd:AtLeastOne IsCategory=\"true\">" : "<upd:AtLeastOne>");
	add_identity(d, a, false);
	if (b != NO_NODE)
		add_identity(d, b, false);
	buf_str(d->b, "</upd:AtLeastOne>");
}

static void add_superseded(struct doc *d)
{
	uint32_t i = d->n->previous;
	if (d->n->kind != KIND_TOP || i == NO_NODE)
		return;
	buf_str(d->b, "<upd:SupersededUpdates>");
	for (unsigned k = 0; k < 10 && i != NO_NODE; k++, i = d->w->node[i].previous)
		add_identity(d, i, false);
	buf_str(d->b, "</upd:SupersededUpdates>");
}

/* Detectoids first, as clauses of their own; leaves also accept a detectoid or its parent in one clause. */
static void add_prerequisites(struct doc *d)
{
	const struct node *n = d->n;
	buf_str(d->b, "<upd:Prerequisites>");
	if (!n->recipe) {
		if (is_category(n))
			add_clause(d, true, n->parent, NO_NODE);
		else
			add_identity(d, n->parent, false);
	} else {
		uint32_t on = d->w->line[n->line].detectoid, product = (uint32_t)(product_of(d) - d->w->node);
		uint32_t arch = d->w->node[on].parent;
		bool category = is_top(n);
		if (n->kind != KIND_HIDDEN)
			add_identity(d, n->kind == KIND_DRIVER ? arch : on, false);
		if (n->kind == KIND_LEAF)
			add_clause(d, false, arch, d->w->node[arch].parent);
		if (n->kind != KIND_LEAF)
			add_clause(d, category, d->w->class_node[n->class], NO_NODE);
		add_clause(d, category, product, n->kind == KIND_DRIVER ? NO_NODE : n->second);
	}
	buf_str(d->b, "</upd:Prerequisites>");
}

/* Three forms: pairs of alternatives, a clause for each member, members without clauses. */
static void add_bundle(struct doc *d)
{
	const struct node *n = d->n;
	unsigned step = n->members > 2 ? 2 : 1;
	bool direct = n->kind == KIND_TOP && n->recipe->hidden == 0;
	buf_str(d->b, "<upd:BundledUpdates>");
	for (uint32_t k = 0; k < n->members; k += step) {
		buf_str(d->b, direct ? "" : "<upd:AtLeastOne>");
		for (uint32_t m = k; m < MIN(k + step, n->members); m++)
			add_identity(d, d->w->member[n->member + m], true);
		buf_str(d->b, direct ? "" : "</upd:AtLeastOne>");
	}
	buf_str(d->b, "</upd:BundledUpdates>");
}

static void add_relationships(struct doc *d)
{
	const struct node *n = d->n;
	if (!n->recipe && n->parent == NO_NODE)
		return;
	buf_str(d->b, "<upd:Relationships>");
	add_superseded(d);
	add_prerequisites(d);
	if (n->members > 0)
		add_bundle(d);
	buf_str(d->b, "</upd:Relationships>");
}

/* ---- applicability ---- */
static void add_rule(struct doc *d, struct rng *r)
{
	static const char *const compare[] = {"EqualTo", "LessThan", "GreaterThan", "GreaterThanOrEqualTo"};
	const char *c = compare[rng_below(r, COUNTOF(compare))];
	unsigned a = rng_below(r, 100), v = rng_below(r, 30000);
	switch (rng_below(r, 5)) {
	case 0:
		buf_printf(d->b, "<bar:RegDword Key=\"HKEY_LOCAL_MACHINE\" Subkey=\"SOFTWARE\\Harbour\\Parts\\%u\" "
			"Value=\"State%u\" Comparison=\"%s\" Data=\"%u\" " XMLNS_BAR " />", v, a, c, a);
		break;
	case 1:
		buf_printf(d->b, "<bar:RegSz Key=\"HKEY_LOCAL_MACHINE\" Subkey=\"SOFTWARE\\Harbour\\Setup %u\" "
			"Value=\"Owner\" Comparison=\"EqualTo\" Data=\"&quot;Ärzte &amp; Söhne&quot; &lt;%u&gt;\" " XMLNS_BAR " />",
			a, v);
		break;
	case 2:
		buf_printf(d->b, "<bar:FileVersion Csidl=\"36\" Path=\"parts\\hb%u.dll\" Comparison=\"%s\" "
			"Version=\"10.0.%u.%u\" " XMLNS_BAR " />", a, c, v, a);
		break;
	case 3:
		buf_printf(d->b, "<bar:RegValueExists Key=\"HKEY_LOCAL_MACHINE\" Subkey=\"SYSTEM\\CurrentControlSet\\"
			"Services\\hb%u\" Value=\"Start\" Type=\"REG_DWORD\" " XMLNS_BAR " />", v);
		break;
	default:
		buf_printf(d->b, "<bar:WindowsVersion Comparison=\"%s\" MajorVersion=\"10\" MinorVersion=\"0\" "
			"BuildNumber=\"%u\" />", c, v);
	}
}

static void add_rule_tree(struct doc *d, struct rng *r, unsigned depth)
{
	if (depth > 4 || rng_below(r, 3) == 0) {
		add_rule(d, r);
	} else if (rng_below(r, 4) == 0) {
		buf_str(d->b, "<lar:Not>");
		add_rule_tree(d, r, depth + 1);
		buf_str(d->b, "</lar:Not>");
	} else {
		bool both = rng_below(r, 2);
		buf_str(d->b, both ? "<lar:And>" : "<lar:Or>");
		for (unsigned k = 2 + rng_below(r, 3); k > 0; k--)
			add_rule_tree(d, r, depth + 1);
		buf_str(d->b, both ? "</lar:And>" : "</lar:Or>");
	}
}

static void add_handler_rule(struct doc *d, bool installed)
{
	if (d->n->recipe->handler == HANDLER_CBS)
		buf_printf(d->b, "<cbsar:CbsPackage%s />", installed ? "Installed" : "Installable");
	if (d->n->recipe->handler == HANDLER_MSI)
		buf_printf(d->b, "<msiar:MsiPatch%s />", installed ? "Installed" : "Installable");
}

static void add_condition(struct doc *d, struct rng *r, bool installed, size_t until)
{
	buf_str(d->b, installed ? "<upd:IsInstalled>" : "<upd:IsInstallable>");
	buf_str(d->b, "<lar:And " XMLNS_LAR ">");
	add_handler_rule(d, installed);
	do
		add_rule_tree(d, r, 0);
	while (d->b->n < until && d->b->rc == E_OK);
	buf_str(d->b, "</lar:And>");
	buf_str(d->b, installed ? "</upd:IsInstalled>" : "</upd:IsInstallable>");
}

static void add_package_metadata(struct doc *d)
{
	const struct node *n = d->n;
	if (n->recipe->handler == HANDLER_CBS)
		buf_printf(d->b, "<upd:Metadata><cbsar:CbsPackageApplicabilityMetadata><cbsar:Package "
			"Identity=\"Package_for_KB%u~%s~~10.0.%u.%u\" /></cbsar:CbsPackageApplicabilityMetadata></upd:Metadata>",
			n->kb, arch_word[n->arch], n->month, n->name);
	if (n->recipe->handler == HANDLER_MSI)
		buf_printf(d->b, "<upd:Metadata><msiar:MsiPatchMetadata><msp:MsiPatch SchemaVersion=\"1.0.0.0\" "
			"xmlns:msp=\"http://www.microsoft.com/msi/patch_applicability.xsd\"><msp:TargetProduct "
			"MinMsiVersion=\"3\">KB%u</msp:TargetProduct></msp:MsiPatch></msiar:MsiPatchMetadata></upd:Metadata>", n->kb);
}

static void add_package_rules(struct doc *d)
{
	struct rng size = rng_for(d->w->seed, FOR_SIZE, d->n->update), r = rng_for(d->w->seed, FOR_RULES, d->n->update);
	size_t more = (size_t)rng_lognormal(&size, 9.1, 0.9, 500, 190000);
	if (d->n->big)
		more = d->big > d->b->n ? d->big - d->b->n : 0;
	size_t start = d->b->n;
	add_condition(d, &r, true, start + more / 2);
	add_condition(d, &r, false, start + more);
	add_package_metadata(d);
}

static void add_detectoid_rules(struct doc *d)
{
	struct rng r = rng_for(d->w->seed, FOR_RULES, d->n->update);
	buf_str(d->b, "<upd:IsInstalled>");
	if (d->n->depth == 1)
		buf_str(d->b, "<lar:True />");
	else
		add_rule_tree(d, &r, d->n->depth == 5 ? 0 : 3);
	buf_str(d->b, "</upd:IsInstalled>");
}

/* Ids come from few devices, so that several drivers fit one device and must be ranked. */
static void add_driver_row(struct doc *d, struct rng *r, unsigned k)
{
	static const char *const maker[] = {"Ampère &amp; Fils", "Bolt Devices", "Chip Yard"};
	bool printer = d->n->recipe->flags & WITH_PRINTER;
	unsigned dev = (rng_below(r, 40) + 40 * k) & 0xffff, v = d->n->month;
	buf_printf(d->b, printer ? "<drv:WindowsDriverMetaData HardwareID=\"USBPRINT\\HarbourLaser%04X\""
		: "<drv:WindowsDriverMetaData HardwareID=\"PCI\\VEN_1D0F&amp;DEV_%04X\"", dev);
	buf_printf(d->b, " DriverVerDate=\"%04u-%02u-%02u\" DriverVerVersion=\"%u.%u.%u.%u\" WhqlDriverID=\"%u\" Class=\"%s\""
		" Company=\"%s\" Provider=\"%s\" Manufacturer=\"%s\" Model=\"Device %04X\">", 2021 + v / 12, 1 + v % 12,
		1 + rng_below(r, 28), 10 + v, rng_below(r, 4), rng_below(r, 40000), rng_below(r, 65536),
		100000 + d->n->update, printer ? "Printer" : k % 2 ? "Net" : "Media", maker[dev % 3], maker[dev % 3],
		maker[dev % 3], dev);
	if (printer)
		buf_str(d->b, "<drv:CompatibleProvider>Harbour Works</drv:CompatibleProvider>");
	for (unsigned a = 0; a < ARCHES; a++)
		if (rng_below(r, 4) > 0)
			buf_printf(d->b, "<drv:FeatureScore OperatingSystem=\"%s.10.0\" FeatureScore=\"%u\" />",
				a == 0 ? "amd64" : arch_word[a], rng_below(r, 256));
	for (unsigned j = rng_below(r, 8); j >= 6; j--) {
		struct rng computer = rng_for(d->w->seed, FOR_DRIVER, rng_below(r, 8));
		struct guid g = rng_guid(&computer);
		char text[GUID_TEXT + 1];
		guid_text(&g, text);
		const char *what = j == 7 ? "DistributionComputerHardwareId" : "TargetComputerHardwareId";
		buf_printf(d->b, "<drv:%s>%s</drv:%s>", what, text, what);
	}
	buf_str(d->b, "</drv:WindowsDriverMetaData>");
}

static void add_driver_rules(struct doc *d)
{
	struct rng r = rng_for(d->w->seed, FOR_DRIVER, d->n->update + 100);
	buf_str(d->b, "<upd:IsInstalled><drv:WindowsDriverInstalled /></upd:IsInstalled>"
		"<upd:IsSuperseded><drv:WindowsDriverSuperseded /></upd:IsSuperseded>"
		"<upd:IsInstallable><drv:WindowsDriverInstallable /></upd:IsInstallable><upd:Metadata>");
	for (unsigned k = 0, n = 1 + rng_below(&r, 12); k < n; k++)
		add_driver_row(d, &r, k);
	buf_str(d->b, "</upd:Metadata>");
}

static void add_applicability(struct doc *d)
{
	const struct node *n = d->n;
	if (n->members > 0)
		return;
	buf_str(d->b, "<upd:ApplicabilityRules>");
	if (is_category(n))
		buf_str(d->b, "<upd:IsInstalled><lar:True /></upd:IsInstalled>");
	else if (n->kind == KIND_DETECTOID)
		add_detectoid_rules(d);
	else if (n->kind == KIND_DRIVER)
		add_driver_rules(d);
	else
		add_package_rules(d);
	buf_str(d->b, "</upd:ApplicabilityRules>");
}

/* ---- files and handler ---- */
static void add_files(struct doc *d)
{
	struct file f;
	if (!has_files(d->n))
		return;
	buf_str(d->b, "<upd:Files>");
	for (unsigned j = 0; node_file(d->w, d->n, j, &f); j++) {
		add_file(d, "File", &f);
		buf_str(d->b, " Modified=\"");
		if (f.number >> 40) /* shared by many updates: one date for all */
			buf_str(d->b, "2020-12-01T10:00:00Z");
		else
			buf_printf(d->b, "%04u-%02u-%02uT08:30:00Z", 2021 + d->n->month / 12, 1 + d->n->month % 12,
				1 + d->n->update % 8);
		buf_char(d->b, '"');
		if (f.patching)
			buf_printf(d->b, " PatchingType=\"%s\"", f.patching);
		buf_char(d->b, '>');
		add_additional(d, &f);
		buf_str(d->b, "</upd:File>");
	}
	buf_str(d->b, "</upd:Files>");
}

static void add_category_data(struct doc *d)
{
	static const char *const type[] = {[KIND_COMPANY] = "Company", [KIND_FAMILY] = "ProductFamily",
		[KIND_PRODUCT] = "Product", [KIND_CLASSIFICATION] = "UpdateClassification"};
	bool end = d->n->kind == KIND_PRODUCT || d->n->kind == KIND_CLASSIFICATION;
	buf_printf(d->b, "<cat:CategoryInformation CategoryType=\"%s\" ProhibitsSubcategories=\"%s\" "
		"ProhibitsUpdates=\"%s\" DisplayOrder=\"%u\" />", type[d->n->kind], end ? "true" : "false",
		end ? "false" : "true", d->n->name);
}

static void add_install_data(struct doc *d)
{
	const struct node *n = d->n;
	struct rng r = rng_for(d->w->seed, FOR_PATCH, n->update);
	struct guid patch = rng_guid(&r);
	char text[GUID_TEXT + 1];
	struct file f;
	guid_text(&patch, text);
	if (n->kind == KIND_DRIVER || !node_file(d->w, n, 0, &f))
		return;
	if (n->recipe->handler == HANDLER_COMMAND)
		buf_printf(d->b, "<cmd:InstallCommand Program=\"%s\" Arguments=\"/quiet /kb &quot;%u&quot;\" "
			"xmlns:cmd=\"" NS "UpdateHandlers/CommandLineInstallation\"><cmd:ReturnCode Code=\"0\" "
			"Result=\"Succeeded\" /><cmd:ReturnCode Code=\"3010\" Result=\"Succeeded\" Reboot=\"true\" />"
			"</cmd:InstallCommand>", f.name, n->kb);
	if (n->recipe->handler == HANDLER_CBS)
		buf_printf(d->b, "<cbs:CbsData PackageIdentity=\"Package_for_KB%u~%s~~10.0.%u.%u\" />", n->kb,
			arch_word[n->arch], n->month, n->name);
	if (n->recipe->handler == HANDLER_MSI)
		buf_printf(d->b, "<msp:MspData PatchCode=\"{%s}\" CommandLine=\"REBOOT=ReallySuppress\" />", text);
}

static void add_handler_data(struct doc *d)
{
	const struct handling *h = handling_of(d->n);
	if (!h->name)
		return;
	buf_printf(d->b, "<upd:HandlerSpecificData xsi:type=\"%s:%s\" " XMLNS_XSI ">", h->prefix, h->name);
	if (is_category(d->n))
		add_category_data(d);
	else
		add_install_data(d);
	buf_str(d->b, "</upd:HandlerSpecificData>");
}

/* ---- the whole ---- */
static void add_root(struct doc *d)
{
	const struct handling *h = handling_of(d->n);
	buf_str(d->b, "<upd:Update xmlns:pub=\"" NS "Publishing\"");
	if (d->n->members == 0)
		buf_str(d->b, " " XMLNS_BAR " " XMLNS_LAR);
	if (h->rules)
		buf_printf(d->b, " xmlns:%s=\"" NS "%s\"", h->rules_prefix, h->rules);
	if (h->name)
		buf_printf(d->b, " xmlns:%s=\"" NS "UpdateHandlers/%s\"", h->prefix, h->name);
	buf_str(d->b, " xmlns:upd=\"" NS "Update\">");
}

static void add_own_identity(struct doc *d)
{
	char text[GUID_TEXT + 1];
	guid_text(&d->n->id, text);
	for (char *p = text; d->n->upper && *p; p++)
		if (*p >= 'a' && *p <= 'f')
			*p = (char)(*p - 'a' + 'A');
	buf_printf(d->b, "<upd:UpdateIdentity UpdateID=\"%s\" RevisionNumber=\"%d\" />", text, d->n->revision);
}

bool document_write(const struct world *w, uint32_t i, size_t big, struct buf *b, file_fn *fn, void *arg)
{
	struct doc d = {.w = w, .n = &w->node[i], .b = b, .big = big, .fn = fn, .arg = arg};
	add_root(&d);
	add_own_identity(&d);
	add_properties(&d);
	add_localized(&d);
	add_relationships(&d);
	add_applicability(&d);
	add_files(&d);
	add_handler_data(&d);
	buf_str(b, "</upd:Update>");
	return !d.failed && b->rc == E_OK;
}
