/* setup.c -- the registry values of a Windows computer, as regedit, PowerShell, Group Policy and people want them.
 *
 * To add a value: a row in `values`. */
#include "ctl/setup.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/digest.h"
#include "common/text.h"

#define WU "SOFTWARE\\Policies\\Microsoft\\Windows\\WindowsUpdate"
#define ROOT "SOFTWARE\\Microsoft\\SystemCertificates\\ROOT\\Certificates"             /* where certutil puts it */
#define POLICY_ROOT "SOFTWARE\\Policies\\Microsoft\\SystemCertificates\\Root\\Certificates" /* where Group Policy does */
#define POLICY_PLACE \
	"Computer Configuration > Administrative Templates > Windows Components > Windows Update"
#define POLICY_PLACE_NEW "Manage updates offered from Windows Server Update Service"

/* In PowerShell, on every Windows; shows the error code. */
#define SCAN_AT_ONCE \
	"$s = (New-Object -ComObject Microsoft.Update.Session).CreateUpdateSearcher(); $s.ServerSelection = 1; " \
	"$s.Search('IsInstalled=0').Updates.Count"

#define LOCATION "Specify intranet Microsoft update service location"
#define TARGETING "Enable client-side targeting"
#define FREQUENCY "Automatic Updates detection frequency"
#define CLASSES "Specify source service for specific classes of Windows Updates"
#define ENABLED "Enabled"

enum key { KEY_WU, KEY_AU, KEYS };
static const char *const key_path[] = {[KEY_WU] = WU, [KEY_AU] = WU "\\AU"};
static const char *const key_variable[] = {[KEY_WU] = "$wu", [KEY_AU] = "$au"};

enum source { FROM_URL, FROM_GROUP, EMPTY, FROM_HOURS, ONE }; /* those before FROM_HOURS are REG_SZ, the others REG_DWORD */

static const struct value {
	enum key key;
	const char *name;
	enum source source;
	const char *policy, *item; /* in the Group Policy editor: the policy, and the field in it or ENABLED */
} values[] = {
	{KEY_WU, "WUServer", FROM_URL, LOCATION, "Set the intranet update service for detecting updates"},
	{KEY_WU, "WUStatusServer", FROM_URL, LOCATION, "Set the intranet statistics server"},
	{KEY_WU, "UpdateServiceUrlAlternate", EMPTY, LOCATION, "Set the alternate download server"},
	{KEY_WU, "TargetGroupEnabled", ONE, TARGETING, ENABLED},
	{KEY_WU, "TargetGroup", FROM_GROUP, TARGETING, "Target group name for this computer"},
	{KEY_WU, "SetPolicyDrivenUpdateSourceForFeatureUpdates", ONE, CLASSES, "Feature Updates"},
	{KEY_WU, "SetPolicyDrivenUpdateSourceForQualityUpdates", ONE, CLASSES, "Quality Updates"},
	{KEY_WU, "SetPolicyDrivenUpdateSourceForDriverUpdates", ONE, CLASSES, "Driver Updates"},
	{KEY_WU, "SetPolicyDrivenUpdateSourceForOtherUpdates", ONE, CLASSES, "Other Updates"},
	{KEY_AU, "UseWUServer", ONE, LOCATION, ENABLED},
	{KEY_AU, "DetectionFrequencyEnabled", ONE, FREQUENCY, ENABLED},
	{KEY_AU, "DetectionFrequency", FROM_HOURS, FREQUENCY, "interval (hours)"},
	{KEY_AU, "UseUpdateClassPolicySource", ONE, CLASSES, ENABLED},
};
static const char *const policies[] = {LOCATION, TARGETING, FREQUENCY, CLASSES};

static bool is_text(const struct value *v)
{
	return v->source < FROM_HOURS;
}

static struct slice text_of(const struct setup *s, const struct value *v)
{
	return v->source == FROM_URL ? s->url : v->source == FROM_GROUP ? s->group : SL("");
}

static unsigned number_of(const struct setup *s, const struct value *v)
{
	return v->source == FROM_HOURS ? s->hours : 1;
}

static bool is_https(const struct setup *s)
{
	return text_starts(s->url, SL("https://"));
}

/* ================= the authority's certificate ================= */

#define CERTIFICATE "-----BEGIN CERTIFICATE-----"

static unsigned occurrences(struct slice in, struct slice what)
{
	unsigned n = 0;
	for (const char *at = in.p; (at = memmem(at, in.n - (size_t)(at - in.p), what.p, what.n)) != NULL; at += what.n)
		n++;
	return n;
}

static X509 *read_pem(struct slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return x;
}

static int keep_der(X509 *x, struct arena *a, struct setup_authority *out, struct err *e)
{
	int n = i2d_X509(x, NULL);
	unsigned char *der = n > 0 ? arena_alloc(a, (size_t)n, 1) : NULL, *at = der;
	struct digest *d = digest_new(DIGEST_SHA1);
	bool ok = der && d && i2d_X509(x, &at) == n;
	if (ok) {
		out->der = (struct slice){(const char *)der, (size_t)n};
		digest_start(d);
		digest_add(d, out->der);
		ok = digest_end(d, out->thumbprint);
	}
	digest_free(&d);
	return ok ? E_OK : err_set(e, E_NOMEM, "out of memory for the certificate");
}

int setup_add_authority(struct setup *s, const char *file, struct slice pem, struct arena *a, struct err *e)
{
	struct setup_authority *k = &s->authority[s->authorities];
	unsigned n = occurrences(pem, SL(CERTIFICATE));
	if (memmem(pem.p, pem.n, "PRIVATE KEY", 11))
		return err_set(e, E_FORM, "holds a private key, which no client may see; give the certificate alone (ca.crt)");
	if (n != 1)
		return err_set(e, E_FORM, "holds %u PEM certificates; give that of the authority alone (ca.crt)", n);
	X509 *x = read_pem(pem);
	if (!x)
		return err_set(e, E_FORM, "its certificate cannot be read");
	ASSERT(s->authorities < SETUP_AUTHORITIES);
	int rc = X509_check_ca(x) == 1 ? keep_der(x, a, k, e)
				       : err_set(e, E_FORM, "is no authority's certificate: to import it would help no computer; "
							    "give that of the authority which signed it (ca.crt)");
	X509_free(x);
	k->file = file;
	s->authorities += rc == E_OK;
	return rc;
}

static void thumbprint_add(struct buf *b, const struct setup_authority *k)
{
	char text[41];
	hex_text(k->thumbprint, sizeof(k->thumbprint), true, text);
	buf_str(b, text);
}

static void u32_add(struct buf *b, uint32_t v)
{
	char le[4] = {(char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24)};
	buf_add(b, le, sizeof(le));
}

/* As a certificate store keeps it in the registry: properties, each of id, 1, size and bytes; 3 is the SHA-1, 32 the
 * certificate. */
static void blob_add(struct buf *b, const struct setup_authority *k)
{
	const struct slice part[] = {{(const char *)k->thumbprint, sizeof(k->thumbprint)}, k->der};
	static const uint32_t id[] = {3, 32};
	for (unsigned i = 0; i < COUNTOF(part); i++) {
		u32_add(b, id[i]);
		u32_add(b, 1);
		u32_add(b, (uint32_t)part[i].n);
		buf_slice(b, part[i]);
	}
}

/* ================= what people should know ================= */

/* One line each, ASCII, nothing from outside in it: so it is a comment in every format. */
static unsigned notes(const struct setup *s, const char *line[16])
{
	unsigned n = 0;
	if (s->undo) {
		line[n++] = "Takes back what `wsusctl client setup` set; what stood there before is not brought back.";
		return n;
	}
	line[n++] = "Applying it again changes nothing.  Domain policy that sets the same values wins over a computer's own.";
	line[n++] = s->server_targeting
			    ? "This server puts computers into groups itself (targeting = server) and ignores TargetGroup: when the "
			      "computer has come, run `wsusctl computer assign COMPUTER --group NAME`."
			    : "The computer tells its group by TargetGroup (targeting = client); the name must be that of a group here.";
	line[n++] = "UpdateServiceUrlAlternate stays empty: a computer with an address there fetches no file from this server.";
	line[n++] = "UseUpdateClassPolicySource and SetPolicyDrivenUpdateSourceFor* (1 = this server) keep Windows 10 2004 and later "
		    "from asking the internet for what deferral policies leave open; older ones ignore them.";
	line[n++] = "DoNotConnectToWindowsUpdateInternetLocations is left alone: set to 1 it also stops the Microsoft Store and "
		    "other public services, and the values here do without it.";
	line[n++] = "NoAutoUpdate = 1 (\"Configure Automatic Updates\" disabled), if it is set, keeps a computer from scanning by itself.";
	if (s->token)
		line[n++] = "The address has a token in it: whoever reads it may come as a computer of yours.  `wsusctl client token --new` "
			    "makes another one.";
	if (s->networks)
		line[n++] = "This server refuses computers of other networks than those of clients.networks in wsus.conf (403, which Windows "
			    "shows as 0x80244018).";
	if (!is_https(s))
		line[n++] = "This address is plain HTTP: whoever can change it on the way can make computers run programs as SYSTEM.  "
			    "Use the TLS port.";
	else if (s->authorities > 1)
		line[n++] = "Two authorities are trusted: the server's, and the next, which signs only once an administrator says so "
			    "(tls.sh --switch): when every computer has both.";
	else if (!s->authorities)
		line[n++] = "No certificate is imported: the server's must be from an authority that Windows trusts already; else "
			    "give --ca FILE.";
	return n;
}

static void notes_add(struct buf *b, const struct setup *s, const char *prefix)
{
	const char *line[16];
	unsigned n = notes(s, line);
	for (unsigned i = 0; i < n; i++)
		buf_printf(b, "%s%s\n", prefix, line[i]);
}

/* ================= reg ================= */

/* Code point at s, which is UTF-8 (check_name() of groups, ASCII else); *s becomes the rest. */
static uint32_t next_char(struct slice *s)
{
	unsigned char c = (unsigned char)*s->p++;
	unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
	uint32_t code = more ? c & (0x3Fu >> more) : c;
	s->n--;
	for (; more && s->n; more--, s->n--)
		code = code << 6 | ((unsigned char)*s->p++ & 0x3F);
	return code;
}

static unsigned utf16(uint32_t code, uint16_t unit[2])
{
	if (code < 0x10000) {
		unit[0] = (uint16_t)code;
		return 1;
	}
	unit[0] = (uint16_t)(0xD800 + ((code - 0x10000) >> 10));
	unit[1] = (uint16_t)(0xDC00 + ((code - 0x10000) & 0x3FF));
	return 2;
}

static void put_unit(struct buf *b, uint16_t u)
{
	buf_char(b, (char)u);
	buf_char(b, (char)(u >> 8));
}

static void utf16_file_add(struct buf *b, struct slice s)
{
	uint16_t unit[2];
	put_unit(b, 0xFEFF);
	while (s.n) {
		uint32_t code = next_char(&s);
		if (code == '\n')
			put_unit(b, '\r');
		unsigned n = utf16(code, unit);
		for (unsigned i = 0; i < n; i++)
			put_unit(b, unit[i]);
	}
}

static void reg_string(struct buf *b, struct slice s)
{
	buf_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_char(b, '\\');
		buf_char(b, s.p[i]);
	}
	buf_char(b, '"');
}

static void reg_value(struct buf *b, const struct setup *s, const struct value *v)
{
	buf_printf(b, "\"%s\"=", v->name);
	if (s->undo)
		buf_char(b, '-');
	else if (is_text(v))
		reg_string(b, text_of(s, v));
	else
		buf_printf(b, "dword:%08x", number_of(s, v));
	buf_char(b, '\n');
}

/* Lines of 25 bytes, continued as regedit does. */
static void reg_binary(struct buf *b, struct slice v)
{
	buf_str(b, "hex:");
	for (size_t i = 0; i < v.n; i++) {
		buf_printf(b, "%02x", (unsigned char)v.p[i]);
		if (i + 1 < v.n)
			buf_str(b, i % 25 == 24 ? ",\\\n  " : ",");
	}
	buf_char(b, '\n');
}

static void reg_authority(struct buf *b, const struct setup_authority *k, bool undo)
{
	struct buf blob;
	buf_printf(b, "\n[%sHKEY_LOCAL_MACHINE\\" ROOT "\\", undo ? "-" : "");
	thumbprint_add(b, k);
	buf_str(b, "]\n");
	if (undo)
		return;
	buf_init(&blob, 1 << 20);
	blob_add(&blob, k);
	buf_str(b, "\"Blob\"=");
	reg_binary(b, buf_bytes(&blob));
	buf_free(&blob);
}

static void write_reg(const struct setup *s, struct buf *b)
{
	struct buf t;
	buf_init(&t, 1 << 20);
	buf_str(&t, "Windows Registry Editor Version 5.00\n\n");
	notes_add(&t, s, "; ");
	if (!s->undo)
		buf_str(&t, "; First scan, as administrator: `UsoClient StartScan` (Windows 10 and later), else "
			    "`wuauclt /detectnow`.\n");
	for (unsigned k = 0; k < KEYS; k++) {
		buf_printf(&t, "\n[HKEY_LOCAL_MACHINE\\%s]\n", key_path[k]);
		for (unsigned i = 0; i < COUNTOF(values); i++)
			if (values[i].key == k)
				reg_value(&t, s, &values[i]);
	}
	for (unsigned i = 0; i < s->authorities; i++)
		reg_authority(&t, &s->authority[i], s->undo);
	utf16_file_add(b, buf_bytes(&t));
	b->rc = b->rc == E_OK ? t.rc : b->rc;
	buf_free(&t);
}

/* ================= PowerShell ================= */

/* An expression of printable ASCII whatever s holds.  Within single quotes only the quote itself has a meaning, but
 * PowerShell takes U+2018 to U+201B for quotes, too: what is not printable ASCII is written as numbers. */
static void ps_string(struct buf *b, struct slice s)
{
	buf_str(b, "('");
	while (s.n) {
		uint16_t unit[2];
		uint32_t code = next_char(&s);
		if (code >= ' ' && code < 0x7F) {
			buf_str(b, code == '\'' ? "'" : "");
			buf_char(b, (char)code);
			continue;
		}
		unsigned n = utf16(code, unit);
		for (unsigned i = 0; i < n; i++)
			buf_printf(b, "' + [char]0x%04X + '", (unsigned)unit[i]);
	}
	buf_str(b, "')");
}

static void ps_value(struct buf *b, const struct setup *s, const struct value *v)
{
	if (is_text(v))
		ps_string(b, text_of(s, v));
	else
		buf_printf(b, "%u", number_of(s, v));
}

static const char ps_begin[] =
	"$ErrorActionPreference = 'Stop'\n"
	"$wu = 'HKLM:\\" WU "'\n"
	"$au = \"$wu\\AU\"\n"
	"$script:changed = 0\n"
	"$me = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())\n"
	"if (-not $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {\n"
	"    throw 'Run this as administrator.'\n"
	"}\n"
	"function Say($text) { $script:changed++; Write-Output $text }\n"
	"function Open-Root {\n"
	"    $root = New-Object Security.Cryptography.X509Certificates.X509Store 'Root', 'LocalMachine'\n"
	"    $root.Open('ReadWrite')\n"
	"    $root\n"
	"}\n";

static const char ps_set[] =
	"function Set-One($key, $name, $type, $value) {\n"
	"    if (-not (Test-Path $key)) { New-Item $key -Force | Out-Null }\n"
	"    $item = Get-Item $key\n"
	"    $old = $item.GetValue($name, $null)\n"
	"    if ($old -ne $null -and $item.GetValueKind($name) -eq $type -and $old -ceq $value) { return }\n"
	"    New-ItemProperty $key -Name $name -PropertyType $type -Value $value -Force | Out-Null\n"
	"    Say \"set $name = $value\"\n"
	"}\n";

static const char ps_set_root[] =
	"function Add-Authority($thumbprint, $certificate) {\n"
	"    $root = Open-Root\n"
	"    if (@($root.Certificates | Where-Object { $_.Thumbprint -eq $thumbprint }).Count -eq 0) {\n"
	"        $raw = [Convert]::FromBase64String($certificate)\n"
	"        $root.Add((New-Object Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList @(, $raw)))\n"
	"        Say \"trusted the authority $thumbprint\"\n"
	"    }\n"
	"    $root.Close()\n"
	"}\n";

static const char ps_set_end[] =
	"if ((Get-Item $au).GetValue('NoAutoUpdate', 0) -eq 1) {\n"
	"    Write-Warning 'NoAutoUpdate is 1: this computer does not scan by itself.'\n"
	"}\n"
	"if ($script:changed -eq 0) {\n"
	"    Write-Output 'Nothing to change.'\n"
	"    return\n"
	"}\n"
	"# The service reads its policy anew, then scans: UsoClient since Windows 10, wuauclt before.  Should nothing come,\n"
	"# this scans at once on every Windows and shows the error code:\n"
	"#   " SCAN_AT_ONCE "\n"
	"Restart-Service wuauserv -Force\n"
	"$build = [int](Get-ItemProperty 'HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion').CurrentBuildNumber\n"
	"if ($build -ge 10240) { & \"$env:SystemRoot\\System32\\UsoClient.exe\" StartScan }\n"
	"else { & \"$env:SystemRoot\\System32\\wuauclt.exe\" /detectnow /reportnow }\n"
	"Write-Output \"$script:changed changes; a scan was started.\"\n";

static const char ps_undo[] =
	"function Remove-One($key, $name) {\n"
	"    if (-not (Test-Path $key)) { return }\n"
	"    if ((Get-Item $key).GetValue($name, $null) -eq $null) { return }\n"
	"    Remove-ItemProperty $key -Name $name\n"
	"    Say \"removed $name\"\n"
	"}\n";

static const char ps_undo_root[] =
	"function Remove-Authority($thumbprint) {\n"
	"    $root = Open-Root\n"
	"    foreach ($one in @($root.Certificates | Where-Object { $_.Thumbprint -eq $thumbprint })) {\n"
	"        $root.Remove($one)\n"
	"        Say \"removed the authority $thumbprint\"\n"
	"    }\n"
	"    $root.Close()\n"
	"}\n";

static const char ps_undo_end[] =
	"if ($script:changed -eq 0) { Write-Output 'Nothing to undo.' }\n"
	"else { Restart-Service wuauserv -Force }\n";

static void ps_authorities(struct buf *b, const struct setup *s)
{
	if (s->authorities)
		buf_str(b, s->undo ? ps_undo_root : ps_set_root);
	for (unsigned i = 0; i < s->authorities; i++) {
		buf_str(b, s->undo ? "Remove-Authority '" : "Add-Authority '");
		thumbprint_add(b, &s->authority[i]);
		if (!s->undo) {
			buf_str(b, "' '");
			base64_add(b, s->authority[i].der);
		}
		buf_str(b, "'\n");
	}
}

static void write_ps1(const struct setup *s, struct buf *b)
{
	notes_add(b, s, "# ");
	buf_printf(b, "# Run as administrator: powershell -ExecutionPolicy Bypass -File FILE\n%s%s", ps_begin,
		s->undo ? ps_undo : ps_set);
	for (unsigned i = 0; i < COUNTOF(values); i++) {
		const struct value *v = &values[i];
		buf_printf(b, s->undo ? "Remove-One %s '%s'" : "Set-One %s '%s' ", key_variable[v->key], v->name);
		if (!s->undo) {
			buf_str(b, is_text(v) ? "'String' " : "'DWord' ");
			ps_value(b, s, v);
		}
		buf_char(b, '\n');
	}
	ps_authorities(b, s);
	buf_str(b, s->undo ? ps_undo_end : ps_set_end);
}

/* ================= Group Policy ================= */

static void shown_value(struct buf *b, const struct setup *s, const struct value *v)
{
	if (!is_text(v))
		buf_printf(b, "%u", number_of(s, v));
	else if (v->source == EMPTY)
		buf_str(b, "(empty)");
	else
		text_safe_add(b, text_of(s, v));
}

static void gpo_fields(struct buf *b, const struct setup *s, const char *policy)
{
	for (unsigned i = 0; i < COUNTOF(values); i++) {
		const struct value *v = &values[i];
		if (strcmp(v->policy, policy) != 0 || strcmp(v->item, ENABLED) == 0)
			continue;
		buf_printf(b, "#       %s: ", v->item);
		if (strcmp(policy, CLASSES) == 0)
			buf_str(b, "Windows Server Update Services");
		else
			shown_value(b, s, v);
		buf_char(b, '\n');
	}
}

static void gpo_by_hand(struct buf *b, const struct setup *s)
{
	buf_printf(b, "#\n# By hand, in the Group Policy editor: %s\n# (Windows 11 and its templates: below it, \"%s\")\n",
		POLICY_PLACE, POLICY_PLACE_NEW);
	for (unsigned i = 0; i < COUNTOF(policies); i++) {
		buf_printf(b, "#   %s: %s\n", policies[i], s->undo ? "Not Configured" : ENABLED);
		if (!s->undo)
			gpo_fields(b, s, policies[i]);
	}
	for (unsigned i = 0; i < s->authorities; i++)
		buf_printf(b, "#   The authority: Computer Configuration > Policies > Windows Settings > Security Settings > Public Key "
			      "Policies\n#   > Trusted Root Certification Authorities: %s %s\n",
			s->undo ? "delete" : "import", s->authority[i].file);
}

static void gpo_line(struct buf *b, const struct setup *s, const struct value *v)
{
	buf_printf(b, "%s-GPRegistryValue -Name $gpo -Key 'HKLM\\%s' -ValueName '%s'", s->undo ? "Remove" : "Set",
		key_path[v->key], v->name);
	if (!s->undo) {
		buf_str(b, is_text(v) ? " -Type String -Value " : " -Type DWord -Value ");
		ps_value(b, s, v);
	}
	buf_str(b, " | Out-Null\n");
}

static void gpo_authority(struct buf *b, const struct setup_authority *k, bool undo)
{
	struct buf blob;
	buf_printf(b, "%s-GPRegistryValue -Name $gpo -Key 'HKLM\\" POLICY_ROOT "\\", undo ? "Remove" : "Set");
	thumbprint_add(b, k);
	buf_str(b, "' -ValueName 'Blob'");
	if (!undo) {
		buf_init(&blob, 1 << 20);
		blob_add(&blob, k);
		buf_str(b, " -Type Binary -Value ([Convert]::FromBase64String('");
		base64_add(b, buf_bytes(&blob));
		buf_str(b, "'))");
		buf_free(&blob);
	}
	buf_str(b, " | Out-Null\n");
}

static void write_gpo(const struct setup *s, struct buf *b)
{
	notes_add(b, s, "# ");
	gpo_by_hand(b, s);
	buf_printf(b, "#\n# Or run this on a computer with the GroupPolicy module; it %s.  Computers follow within two hours,\n"
		      "# or at once with `gpupdate /force`; then `UsoClient StartScan` (before Windows 10: `wuauclt /detectnow`).\n"
		      "$ErrorActionPreference = 'Stop'\n$gpo = 'Updates from wsus-fcgi'\n",
		s->undo ? "takes the values out of that policy object" : "makes that policy object, which is then to be linked");
	if (!s->undo)
		buf_str(b, "if (-not (Get-GPO -Name $gpo -ErrorAction SilentlyContinue)) { New-GPO -Name $gpo | Out-Null }\n");
	for (unsigned i = 0; i < COUNTOF(values); i++)
		gpo_line(b, s, &values[i]);
	for (unsigned i = 0; i < s->authorities; i++)
		gpo_authority(b, &s->authority[i], s->undo);
}

/* ================= text ================= */

static void text_values(struct buf *b, const struct setup *s)
{
	for (unsigned k = 0; k < KEYS; k++) {
		buf_printf(b, "\n  HKEY_LOCAL_MACHINE\\%s\n", key_path[k]);
		for (unsigned i = 0; i < COUNTOF(values); i++) {
			if (values[i].key != k)
				continue;
			buf_printf(b, "    %-44s %-9s ", values[i].name, is_text(&values[i]) ? "REG_SZ" : "REG_DWORD");
			if (!s->undo)
				shown_value(b, s, &values[i]);
			else
				buf_str(b, "delete");
			buf_char(b, '\n');
		}
	}
	buf_char(b, '\n');
}

static void text_authority(struct buf *b, const struct setup_authority *k, bool undo)
{
	if (undo)
		buf_str(b, "No longer trust the server's authority, as administrator:\n\n  certutil -delstore Root ");
	else
		buf_printf(b, "Trust the server's authority; copy %s to the computer, then as administrator:\n\n"
			      "  certutil -addstore -f Root %s\n\nIts thumbprint must be ", k->file, k->file);
	thumbprint_add(b, k);
	buf_str(b, "\n\n");
}

static void write_text(const struct setup *s, struct buf *b)
{
	buf_str(b, s->undo ? "Registry values to delete:\n" : "Registry values to set:\n");
	text_values(b, s);
	for (unsigned i = 0; i < s->authorities; i++)
		text_authority(b, &s->authority[i], s->undo);
	if (!s->undo)
		buf_str(b, "Scan for the first time, as administrator:\n\n"
			   "  Windows 10 and later     net stop wuauserv & UsoClient StartScan\n"
			   "  before                   net stop wuauserv & wuauclt /detectnow /reportnow\n"
			   "  any, in PowerShell,      " SCAN_AT_ONCE "\n"
			   "  with the error code\n\n"
			   "`wsusctl computer list --watch` shows it arrive; `wsusctl client setup --undo` prints how to take it back.\n\n");
	notes_add(b, s, "* ");
}

/* ================= */

static const struct {
	const char *name;
	setup_format *write;
} formats[] = {{"reg", write_reg}, {"ps1", write_ps1}, {"gpo", write_gpo}, {"text", write_text}};

setup_format *setup_format_named(const char *name)
{
	for (unsigned i = 0; i < COUNTOF(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].write;
	return NULL;
}

static const struct column columns[] = {
	{"key", "KEY", CELL_TEXT, FIT_WHOLE},
	{"name", "NAME", CELL_TEXT, FIT_WHOLE},
	{"type", "TYPE", CELL_TEXT, FIT_WHOLE},
	{"value", "VALUE", CELL_TEXT, FIT_CUT},
};

void setup_list(const struct setup *s, struct out *o)
{
	out_list_begin(o, columns, COUNTOF(columns));
	for (unsigned i = 0; i < COUNTOF(values); i++) {
		const struct value *v = &values[i];
		out_text(o, arena_printf(o->a, "HKEY_LOCAL_MACHINE\\%s", key_path[v->key]));
		out_str(o, v->name);
		out_str(o, is_text(v) ? "REG_SZ" : "REG_DWORD");
		out_text(o, s->undo ? SL0 : is_text(v) ? text_of(s, v) : arena_printf(o->a, "%u", number_of(s, v)));
	}
	out_list_end(o);
}
