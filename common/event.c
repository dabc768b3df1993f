/* event.c -- the events of MS-WUSP 2.2.2.3.1 in one table, and the tags of MiscData in another. */
#include "common/event.h"

#include "common/text.h"

const char *const event_group_names[EVENT_GROUP__N] = {
	"detection", "status", "download", "install", "commit", "revert", "hiding", "misc"};

#define INSTALLED EVENT_COUNT_GOOD
#define INSTALLED_PENDING (EVENT_COUNT_GOOD | EVENT_REBOOT_PENDING)
#define FAILED EVENT_COUNT_BAD

/* REPORT-26 to -37; a part in braces needs strings to be read. */
const struct event_info event_table[EVENT_IDS] = {
	{141, "AGENT_DETECTION_STARTED", EVENT_DETECTION, 0, 0, "Looking for updates began"},
	{145, "AGENT_DETECTION_RETRY", EVENT_DETECTION, 0, 0, "Looking for updates is tried once more"},
	{146, "AGENT_DETECTION_CANCELED", EVENT_DETECTION, 0, 0, "Looking for updates was called off"},
	{147, "AGENT_DETECTION_FINISHED", EVENT_DETECTION, EVENT_SYNC_GOOD, 0, "Looked for updates{, found %1}"},
	{148, "AGENT_DETECTION_FAILED", EVENT_DETECTION, EVENT_SYNC_BAD, 0, "Could not look for updates{: %1}"},
	{149, "AU_UNABLE_TO_CONNECT", EVENT_STATUS, 0, 0, "No connection to the update service; it is tried on"},
	{150, "AGENT_DETECTION_QOS", EVENT_DETECTION, 0, 0, "Measurements of a look for updates"},
	{153, "AGENT_STATUS", EVENT_STATUS, EVENT_LISTS, 0, "Where all updates stand"},
	{154, "AGENT_INVALID_PID", EVENT_STATUS, 0, 0, "The computer's PID is no good"},
	{156, "AGENT_STATUS_30", EVENT_STATUS, EVENT_LISTS, 0, "Where all updates stand"},
	{157, "AGENT_DETECTION_INIT_FAILED", EVENT_DETECTION, EVENT_SYNC_BAD, 0, "Looking for updates could not begin"},
	{158, "AGENT_DETECTION_SERVICE_REG_FAILED", EVENT_DETECTION, EVENT_SYNC_BAD, 0,
		"Could not look for updates: the service was not registered"},
	{161, "AGENT_DOWNLOAD_FAILED", EVENT_DOWNLOAD, 0, 5, "Could not be downloaded"},
	{162, "AGENT_DOWNLOAD_SUCCEEDED", EVENT_DOWNLOAD, EVENT_UNLESS_DONE, 3, "Downloaded"},
	{163, "AGENT_DOWNLOAD_CANCELED", EVENT_DOWNLOAD, 0, 0, "The download was called off"},
	{164, "AGENT_DOWNLOAD_SUCCEEDED_FROM_PEER", EVENT_DOWNLOAD, EVENT_UNLESS_DONE, 3, "Downloaded, in part from other computers"},
	{165, "AGENT_DOWNLOAD_SUSPENDED", EVENT_DOWNLOAD, 0, 0, "The download rests"},
	{166, "AGENT_DOWNLOAD_RESUMED", EVENT_DOWNLOAD, 0, 0, "The download goes on"},
	{167, "AGENT_DOWNLOAD_STARTED", EVENT_DOWNLOAD, 0, 0, "The download began"},
	{168, "AGENT_DOWNLOAD_QUEUED", EVENT_DOWNLOAD, 0, 0, "The download waits for its turn"},
	{169, "AGENT_DOWNLOAD_HEARTBEAT", EVENT_DOWNLOAD, 0, 0, "The download is still under way"},
	{170, "AGENT_DOWNLOAD_PROGRESS", EVENT_DOWNLOAD, 0, 0, "The download has come further"},
	{181, "AGENT_INSTALLING_STARTED", EVENT_INSTALL, 0, 0, "Began to install{ %1}"},
	{182, "AGENT_INSTALLING_FAILED", EVENT_INSTALL, FAILED, 5, "Could not be installed{ (%1): %2}"},
	{183, "AGENT_INSTALLING_SUCCEEDED", EVENT_INSTALL, INSTALLED, 4, "Installed{ %1}"},
	{184, "AGENT_INSTALL_COMPLETE_WITH_REBOOT", EVENT_INSTALL, INSTALLED_PENDING, 6, "Installed{ %1}, a restart is due"},
	{185, "AGENT_INSTALL_HIDE", EVENT_HIDING, EVENT_HIDE, 0, "Hidden by somebody at the computer"},
	{186, "AGENT_INSTALL_CANCEL", EVENT_INSTALL, 0, 0, "Somebody at the computer called the installation off"},
	{187, "AGENT_INSTALL_KILLED", EVENT_INSTALL, FAILED, 5, "The installation took too long and was ended{: %2}"},
	{188, "AU_SCHEDULED_INSTALL_READY", EVENT_INSTALL, 0, 0, "Downloaded, to be installed later{: %1, %2: %3}"},
	{189, "AU_UNSCHEDULED_INSTALL_READY", EVENT_INSTALL, 0, 0, "Downloaded, waits for an administrator{: %1}"},
	{190, "AU_SCHEDULED_INSTALL_SUCCESS", EVENT_INSTALL, INSTALLED, 4, "Installed on schedule{: %1}"},
	{191, "AU_SCHEDULED_INSTALL_COMPLETE_WITH_REBOOT", EVENT_INSTALL, INSTALLED_PENDING, 6,
		"Installed on schedule, a restart is due{: %1}"},
	{192, "AU_SCHEDULED_INSTALL_KILLED", EVENT_INSTALL, FAILED, 5, "The scheduled installation took too long and was ended{: %2}"},
	{193, "AU_UNSCHEDULED_REBOOT_REQUIRED", EVENT_INSTALL, EVENT_REBOOT_PENDING, 0,
		"No further updates before the computer is restarted{, for %1}"},
	{194, "AU_SCHEDULED_REBOOT_REQUIRED", EVENT_INSTALL, EVENT_REBOOT_PENDING, 0,
		"The computer is about to restart{ (minutes left: %1), for %2}"},
	{195, "AU_SCHEDULED_INSTALL_FAILED", EVENT_INSTALL, FAILED, 5, "Could not be installed on schedule{ (%1): %2}"},
	{196, "AGENT_INSTALL_UNHIDE", EVENT_HIDING, EVENT_UNHIDE, 0, "No longer hidden at the computer"},
	{197, "AU_SHUTDOWN_INSTALL_SUCCESS", EVENT_INSTALL, INSTALLED, 4, "Installed at shutdown{: %1}"},
	{198, "AU_SHUTDOWN_INSTALL_FAILED", EVENT_INSTALL, FAILED, 5, "Could not be installed at shutdown{ (%1): %2}"},
	{199, "AU_SHUTDOWN_INSTALL_COMPLETE_WITH_REBOOT", EVENT_INSTALL, INSTALLED_PENDING, 6,
		"Installed at shutdown, a restart is due{: %1}"},
	{200, "AU_SHUTDOWN_INSTALL_KILLED", EVENT_INSTALL, FAILED, 5, "The installation at shutdown took too long and was ended{: %2}"},
	{201, "AGENT_INSTALLING_PENDING", EVENT_MISC, 0, 0, "The installation is not finished"},
	{202, "AU_REBOOT_COMPLETED", EVENT_MISC, EVENT_REBOOTED, 0, "The computer has restarted"},
	{203, "AGENT_INSTALLING_FAILED_POST_REBOOT", EVENT_INSTALL, FAILED, 5, "The installation failed after the restart"},
	{204, "AGENT_INSTALLING_FAILED_POST_REBOOT", EVENT_INSTALL, FAILED, 5, "The installation failed after the restart"},
	{221, "AGENT_UNINSTALLING_FAILED", EVENT_INSTALL, 0, 5, "Could not be removed{ (%1): %2}"},
	{222, "AGENT_UNINSTALLING_SUCCEEDED", EVENT_INSTALL, 0, 2, "Removed{ %1}"},
	{223, "AGENT_UNINSTALL_CANCEL", EVENT_INSTALL, 0, 0, "Somebody at the computer called the removal off"},
	{224, "AGENT_UNINSTALL_COMPLETE_WITH_REBOOT", EVENT_INSTALL, EVENT_REBOOT_PENDING, 0, "Removed{ %1}, a restart is due"},
	{225, "AGENT_UNINSTALL_KILLED", EVENT_INSTALL, 0, 5, "The removal took too long and was ended{: %2}"},
	{521, "AGENT_COMMIT_STARTED", EVENT_COMMIT, 0, 0, "Began to commit{ %1}"},
	{522, "AGENT_COMMIT_FAILED", EVENT_COMMIT, FAILED, 5, "Could not be committed{ (%1): %2}"},
	{523, "AGENT_COMMIT_SUCCEEDED", EVENT_COMMIT, 0, 0, "Committed{ %1}"},
	{524, "AGENT_COMMIT_CANCEL", EVENT_COMMIT, 0, 0, "The computer called the commit off"},
	{525, "AGENT_COMMIT_KILLED", EVENT_COMMIT, FAILED, 5, "The commit took too long and was ended{: %2}"},
	{541, "AGENT_REVERT_FAILED", EVENT_REVERT, 0, 5, "Could not be taken back{ (%1): %2}"},
	{542, "AGENT_REVERT_SUCCEEDED", EVENT_REVERT, 0, 2, "Taken back{: %1}"},
	{543, "AGENT_REVERT_CANCEL", EVENT_REVERT, 0, 0, "Somebody at the computer kept it from being taken back"},
	{544, "AGENT_REVERT_COMPLETE_WITH_REBOOT", EVENT_REVERT, EVENT_REBOOT_PENDING, 0, "Taken back, a restart is due{: %1}"},
	{545, "AGENT_REVERT_KILLED", EVENT_REVERT, 0, 5, "To take it back took too long and was ended{: %2}"},
	{546, "AGENT_REVERT_STARTED", EVENT_REVERT, 0, 0, "Began to take back{ %1}"},
};

const struct event_info *event_find(int id)
{
	size_t lo = 0, hi = EVENT_IDS;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (event_table[mid].id == id)
			return &event_table[mid];
		if (event_table[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const char *event_source_name(int source)
{
	static const char *const names[] = {"agent", "AU", "talker", "inventory", "handler", "CBS", "DPX"};
	return source > 100 && source <= 100 + (int)COUNTOF(names) ? names[source - 101] : NULL;
}

/* ---- in words ---- */

/* The string for the placeholder at p ("%2"), absent if there is none there. */
static struct slice placed(const char *p, const struct slice *strings, size_t n)
{
	if (p[0] != '%' || p[1] < '1' || p[1] > '9' || n == 0)
		return SL0;
	struct slice s = strings[MIN((size_t)(p[1] - '0'), n) - 1];
	return s.p ? s : SL("");
}

static size_t longest(const struct event_info *info, const struct slice *strings, size_t n)
{
	size_t most = 0;
	size_t text = strlen(info->text);
	for (size_t i = 0; i < n; i++)
		most = MAX(most, strings[i].n);
	for (const char *p = info->text; (p = strchr(p, '%')) != NULL; p++)
		text += most;
	return text;
}

/* What a string brings is never looked at again: its braces and percent signs are text. */
struct slice event_text(struct arena *a, const struct event_info *info, const struct slice *strings, size_t n)
{
	size_t room = longest(info, strings, n), used = 0;
	bool left_out = false;
	char *to = arena_alloc(a, 1, room);
	for (const char *p = info->text; to && *p; p++) {
		struct slice s = placed(p, strings, n);
		if (*p == '{' || *p == '}')
			left_out = *p == '{' && n == 0;
		else if (s.p) {
			memcpy(to + used, s.p, s.n);
			used += s.n;
			p++;
		} else if (!left_out)
			to[used++] = *p;
	}
	if (to)
		arena_trim(a, to, room, used);
	return to ? (struct slice){to, used} : SL0;
}

/* ---- MiscData ---- */

static const struct event_tag tags[] = {
	{'A', 0, true, "OSServicePackBuildNumber"},
	{'B', 0, false, "ByteCount"},
	{'C', 0, false, "RepeatFailFlag"},
	{'D', 0, false, "NumberApplicable"},
	{'F', 0, false, "LastError"},
	{'G', 0, true, "ClientVersion"},
	{'J', 0, true, "ClientSamplingValue"},
	{'K', 0, true, "BiosName"},
	{'L', 0, true, "BiosReleaseDate"},
	{'Q', 0, false, "EventType"},
	{'S', 0, false, "TargetClientVersion"},
	{'U', 2, false, "InstallableUpdateIDs"},
	{'V', 4, false, "InstalledUpdateIDs"},
	{'W', 6, false, "InstalledPendingRebootIDs"},
	{'g', 5, false, "FailedUpdateIDs"},
	{'h', 3, false, "DownloadedUpdateIDs"},
	{'X', 0, false, "MSIAction"},
	{'Y', 0, false, "MSITransactionCode"},
	{'Z', 0, false, "MSIProductCode"},
	{'f', 0, false, "MSIErrorRec"},
	{'a', 0, false, "SelfUpdatePackageName"},
	{'c', 0, true, "OSProductType"},
};

const struct event_tag *event_tag_find(char tag)
{
	for (size_t i = 0; i < COUNTOF(tags); i++)
		if (tags[i].tag == tag)
			return &tags[i];
	return NULL;
}

bool event_tag_split(struct slice s, struct slice *tag, struct slice *value)
{
	const char *at = s.n ? memchr(s.p, '=', s.n) : NULL;
	if (!at || at == s.p)
		return false;
	*tag = (struct slice){s.p, (size_t)(at - s.p)};
	*value = (struct slice){at + 1, s.n - tag->n - 1};
	return true;
}

/* Nothing between two semicolons, or behind the last, is no GUID that is bad. */
bool event_next_guid(struct slice *list, struct guid *out, size_t *bad)
{
	while (list->n > 0) {
		struct slice s = text_trim(text_cut(list, ';'));
		if (text_guid(s, out))
			return true;
		*bad += s.n > 0;
	}
	return false;
}

bool event_status_stronger(uint8_t a, uint8_t b)
{
	static const uint8_t rank[] = {0, 1, 2, 3, 5, 4, 6};
	ASSERT(a < COUNTOF(rank) && b < COUNTOF(rank));
	return rank[a] > rank[b];
}
