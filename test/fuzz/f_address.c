/* f_address.c -- names and addresses as metadata has them, made into what is asked for: nothing leaves the path, the line or the host. */
#include "common/base.h"
#include "sync/download.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_text(const char *url)
{
	size_t n = strlen(url);
	ASSERT(n < DOWNLOAD_URL);
	for (size_t i = 0; i < n; i++)
		ASSERT(url[i] > ' ' && url[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char url[DOWNLOAD_URL];
	struct slice text = {(const char *)data, size};
	struct file f = {.name = text};
	struct slice ext = content_extension(text);
	ASSERT(ext.n <= 16);
	if (download_parent_url(SL("http://parent:8530"), &f, url)) {
		judge_text(url);
		ASSERT(strncmp(url, "http://parent:8530/Content/00/0000000000000000000000000000000000000000", 70) == 0);
		ASSERT(strlen(url) == 70 + (ext.n ? ext.n + 1 : 0) && !strchr(url + 70, '/'));
	}
	if (download_vendor_url(text, url)) {
		judge_text(url);
		const char *host = strstr(url, "://") + 3;
		size_t n = strcspn(host, "/?#");
		ASSERT(n > 0 && !memchr(host, '@', n) && strlen(url) == size);
	}
	return 0;
}
