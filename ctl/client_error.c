/* client_error.c -- the table of codes.  To add one: a row in its place by number, then doc/CLIENT-ERRORS.md. */
#include "ctl/client_error.h"

#include "common/text.h"

#define PROBE "`wsus-probe URL --ca ca.crt` from another machine makes the same calls and names what fails."
#define ACCESS_LOG "`wsusctl log --address ADDRESS` shows the request, with its status."
#define NO_LINE "`wsusctl log --address ADDRESS` has no line: the request never came here."
#define FAULT_LINE "`wsusctl log COMPUTER --faults`: the error with its ID, the reason and what to do."

#define REPORT_LINE "`wsusctl report computer COMPUTER` has it beside the update; `wsusctl computer events COMPUTER` when it came."

const struct client_error client_errors[] = {
	{0x00240005, "WU_S_REBOOT_REQUIRED", "No error: the installation is finished by a restart.",
		"The update replaces what is in use.",
		"Restart the computer.", REPORT_LINE},
	{0x80070002, "ERROR_FILE_NOT_FOUND", "A file is missing.",
		"On the computer a file of the update, or of its download folder, is gone; the server has no part in it.",
		"Scan and install again; if it stays, stop wuauserv, rename C:\\Windows\\SoftwareDistribution, start it and scan.", REPORT_LINE},
	{0x80070005, "E_ACCESSDENIED", "Access was denied.",
		"Another program, mostly protection software, or changed permissions keep the installer from a file or a key of the "
		"registry.",
		"Look into CBS.log (C:\\Windows\\Logs\\CBS) for the path; install again without the program that holds it.", REPORT_LINE},
	{0x8007000D, "ERROR_INVALID_DATA", "What was read is not what it should be.",
		"A file of the update or of Windows' component store is damaged on the computer.",
		"`DISM /Online /Cleanup-Image /RestoreHealth`, then `sfc /scannow`, then install again.", REPORT_LINE},
	{0x8007000E, "E_OUTOFMEMORY", "There was no memory left.",
		"The computer has too little of it, or much has to be installed at once.",
		"Restart it, install again; approve fewer updates at a time.", REPORT_LINE},
	{0x80070020, "ERROR_SHARING_VIOLATION", "A file is in use by another program.",
		"Protection software or a running program holds it.",
		"Restart the computer and install before anything else is started.", REPORT_LINE},
	{0x80070070, "ERROR_DISK_FULL", "The disk is full.",
		"The computer's system disk has no room for the update: some need more than ten times their size.",
		"Free some of it, with Disk Cleanup for instance, then install again.", REPORT_LINE},
	{0x80070422, "ERROR_SERVICE_DISABLED", "A service that is needed is disabled.",
		"On the computer: Windows Update (wuauserv), Delivery Optimization (DoSvc) or BITS was disabled; the server has no part in it.",
		"Enable it, `sc qc wuauserv` shows how it starts; then scan again.", NO_LINE},
	{0x800705B4, "ERROR_TIMEOUT", "It took too long.",
		"An installer waited for something, for instance a question that nobody sees.",
		"Install again; if it stays, install the update by hand there and look what it waits for.", REPORT_LINE},
	{0x80070643, "ERROR_INSTALL_FAILURE", "The installer ended with a fatal error.",
		"The installer of the update says more than this code: Windows Installer, .NET or an update of the recovery environment "
		"whose partition is too small.",
		"On the computer the event log Application (source MsiInstaller) and CBS.log have the cause; `DISM /Online /Cleanup-Image "
		"/RestoreHealth` mends much.", REPORT_LINE},
	{0x80070652, "ERROR_INSTALL_ALREADY_RUNNING", "Another installation is running.",
		"Two installers at once.",
		"Wait, or restart the computer; then install again.", REPORT_LINE},
	{0x80070BC2, "ERROR_SUCCESS_REBOOT_REQUIRED", "No error: a restart has to come first.",
		"An earlier installation is not finished.",
		"Restart the computer, then scan.", REPORT_LINE},
	{0x80072EE2, "ERROR_WINHTTP_TIMEOUT", "The server did not answer in time.",
		"A firewall drops the packets (port 8531 is not open), or the computer uses a proxy that cannot reach this server.",
		"Open the port to the computers; on the computer `netsh winhttp show proxy`, and except this server's name from the proxy.",
		NO_LINE " If there is one, MS is how long the answer took."},
	{0x80072EE7, "ERROR_WINHTTP_NAME_NOT_RESOLVED", "The server's name has no address.",
		"The name in WUServer is not in the DNS that this computer asks, or is misspelt.",
		"On the computer `nslookup NAME`; enter the name in the DNS, or print the settings anew with the right --url.", NO_LINE},
	{0x80072EFD, "ERROR_WINHTTP_CANNOT_CONNECT", "The connection was refused or could not be made.",
		"nginx does not run, listens on other ports than WUServer names (8531 for TLS), or a firewall refuses.",
		"Here `ss -ltn` and `nginx -t`; on the computer `Test-NetConnection NAME -Port 8531`.", NO_LINE},
	{0x80072EFE, "ERROR_WINHTTP_CONNECTION_ERROR", "The connection broke before the answer was complete.",
		"Something between cuts it (a proxy that inspects TLS, a firewall's idle limit), nginx was restarted, or http:// is spoken "
		"to the TLS port.",
		"Compare scheme and port in WUServer with `wsusctl client setup`; take this server out of TLS inspection; else scan again.",
		"`wsusctl log --address ADDRESS` has it with HTTP 400 or 499, or nginx's error.log says why it closed."},
	{0x80072F7D, "ERROR_WINHTTP_SECURE_CHANNEL_ERROR", "The TLS handshake failed before any certificate was judged.",
		"Windows 7 and Server 2008 R2 where TLS 1.2 is not switched on for WinHTTP, or something between that inspects TLS.",
		"Install KB3140245 there and switch TLS 1.2 on as it says; take this server out of TLS inspection.",
		"nginx's error.log has `SSL_do_handshake() failed` at info level; " NO_LINE},
	{0x80072F8F, "ERROR_WINHTTP_SECURE_FAILURE", "The TLS connection is not trusted.",
		"The computer does not trust the authority that signed the server's certificate, WUServer has a name or address that the "
		"certificate has not, the certificate ran out, or the computer's clock is wrong.",
		"Import the authority into the machine's root store, not a user's (`wsusctl client setup` does); use a name that is in the "
		"certificate; set the clock.",
		"`openssl s_client -connect NAME:8531 -verify_return_error -CAfile ca.crt -verify_hostname NAME`; " PROBE},
	{0x80073701, "ERROR_SXS_ASSEMBLY_MISSING", "A component of Windows that the update builds on is missing.",
		"The component store of the computer is damaged.",
		"`DISM /Online /Cleanup-Image /RestoreHealth`, with /Source if the computer cannot reach Microsoft; then install again.", REPORT_LINE},
	{0x80073712, "ERROR_SXS_COMPONENT_STORE_CORRUPT", "The component store is damaged.",
		"Windows on the computer, not the update.",
		"`DISM /Online /Cleanup-Image /RestoreHealth`, with /Source if the computer cannot reach Microsoft; then install again.", REPORT_LINE},
	{0x800B0101, "CERT_E_EXPIRED", "A certificate is not valid at this time.",
		"The server's certificate ran out, or the computer's clock is wrong.",
		"One of ours is renewed by itself, and at once by `tls.sh --renew`, which says why if it cannot; one of your own is installed by "
		"`tls.sh --install`; set the clock.",
		"`wsusctl health` has the days that are left; `openssl x509 -noout -enddate -in server.crt`"},
	{0x800B0109, "CERT_E_UNTRUSTEDROOT", "A chain of certificates ends in an authority that is not trusted.",
		"In a scan: our authority is not in the machine's root store.  In an installation: an update that was published locally is "
		"signed by a certificate which this computer does not trust.",
		"Import ca.crt as `wsusctl client setup` says; for updates of your own, the publisher's certificate into Root and TrustedPublisher.",
		"`certutil -store Root` on the computer; the thumbprint is in `wsusctl client setup`."},
	{0x800B010F, "CERT_E_CN_NO_MATCH", "The certificate is for another name.",
		"WUServer has a name or address that is not among the certificate's.",
		"Use a name that is, or add this one to names in wsus.conf and run `wsus-setup`.", "`openssl x509 -noout -ext subjectAltName -in server.crt`"},
	{0x800F081F, "CBS_E_SOURCE_MISSING", "Files of a component could not be found.",
		"The component store lacks them, and the computer has no source to get them from.",
		"`DISM /Online /Cleanup-Image /RestoreHealth /Source:...` with the files of the same release; then install again.", REPORT_LINE},
	{0x800F0831, "CBS_E_STORE_CORRUPTION", "The component store is damaged.",
		"An update that this one builds on was not installed whole.",
		"CBS.log names the package that is missing: install that one by hand, then this one.", REPORT_LINE},
	{0x800F0922, "CBS_E_INSTALLERS_FAILED", "A part of the update could not be set up.",
		"Most often the system reserved partition or the recovery partition is too small.",
		"CBS.log names the part; make the partition larger.", REPORT_LINE},
	{0x8024000B, "WU_E_CALL_CANCELLED", "The operation was cancelled.",
		"A person, a restart of the update service or a new policy stopped the scan; the server has no part in it.",
		"Scan again.", "`wsusctl log COMPUTER`: its calls end without a fault."},
	{0x8024000D, "WU_E_XML_MISSINGDATA", "Something that must be there is missing in an update's metadata.",
		"An update document was imported that its publisher left incomplete.",
		"The computer's log names the update; decline it (`wsusctl decline ID`) and import a whole document.",
		"`wsusctl update show ID --fragment core` prints what computers get."},
	{0x80240013, "WU_E_DUPLICATE_ITEM", "Something was to be added to a list that has it already.",
		"The computer's cache knows an update under another number: it was cloned with its cache, or the store was put back from "
		"files behind the server's back.",
		"After copying a store by hand run `wsusctl store adopt`, after a restore nothing: computers then renumber by themselves. "
		"For one computer: stop wuauserv, rename C:\\Windows\\SoftwareDistribution, start it.",
		"`wsusctl log COMPUTER`: one that renumbers has ServerChanged."},
	{0x80240016, "WU_E_INSTALL_NOT_ALLOWED", "It cannot be installed now.",
		"Another installation is running, or a restart is due.",
		"Restart the computer, then install.", REPORT_LINE},
	{0x80240017, "WU_E_NOT_APPLICABLE", "The update is not for this computer any more.",
		"It became superfluous between scan and installation.",
		"Scan again.", REPORT_LINE},
	{0x8024001E, "WU_E_SERVICE_STOP", "The update service was stopped in the midst of it.",
		"A restart, or somebody stopped wuauserv.",
		"Scan again.", REPORT_LINE},
	{0x80240022, "WU_E_ALL_UPDATES_FAILED", "The operation failed for each of the updates.",
		"A summary: the reason stands before it, most often a download that failed (0x80244019, 0x80072F8F).",
		"Look for the first error in the computer's log, then here under its code.",
		"`wsusctl content status`; " ACCESS_LOG},
	{0x80240034, "WU_E_DOWNLOAD_FAILED", "A file of the update could not be downloaded.",
		"The file is not here any more, content.url leads elsewhere, or with content.store = microsoft the computer has no way to "
		"the internet.",
		"`wsusctl content verify` reads all files and withdraws what is damaged; `wsusctl content add` brings files.",
		"`wsusctl content status`; `wsusctl log --service nginx --faults` for /Content/."},
	{0x80240437, "WU_E_PT_SECURITY_VERIFICATION_FAILURE", "The service could not be verified.",
		"As 0x80072F8F, on newer systems: certificate, name or clock.", "As for 0x80072F8F.", PROBE},
	{0x80240438, "WU_E_PT_ENDPOINT_UNREACHABLE", "There is no way to the server.",
		"A proxy, a firewall or a missing route; on newer systems it stands for 0x80072EFD and its like.",
		"As for 0x80072EFD; also `netsh winhttp show proxy`.", NO_LINE},
	{0x80240440, "WU_E_PT_ENDPOINT_DISCONNECTED", "The connection to the server died.",
		"As 0x80072EFE, on newer systems.", "As for 0x80072EFE.", "As for 0x80072EFE."},
	{0x80242006, "WU_E_UH_INVALIDMETADATA", "The installer found the update's metadata wrong.",
		"What the computer kept of the update is damaged or old.",
		"Stop wuauserv, rename C:\\Windows\\SoftwareDistribution, start it and scan.", REPORT_LINE},
	{0x8024200B, "WU_E_UH_INSTALLERFAILURE", "The installer of the update failed.",
		"The cause is the installer's own; for drivers the device refused it.",
		"C:\\Windows\\inf\\setupapi.dev.log for drivers, CBS.log or the application's log for the others.", REPORT_LINE},
	{0x80242014, "WU_E_UH_POSTREBOOTSTILLPENDING", "The restart was not enough yet.",
		"Something that has to be finished at the restart is still to be done.",
		"Restart the computer once more.", REPORT_LINE},
	{0x80244007, "WU_E_PT_SOAPCLIENT_SOAPFAULT", "The server answered with a fault.",
		"ServerBusy: a service does not run or is overloaded.  InvalidParameters: the request was too large (8 MB) or not as the "
		"protocol has it.  Faults that tell the computer to begin anew (ConfigChanged, CookieExpired, ServerChanged) are no "
		"trouble: it does so by itself.",
		"The computer's log has the fault's ID; look for it here.  ServerBusy without load: start the services.",
		FAULT_LINE "  `wsusctl log --id ID` finds the line of the ID that the computer's log shows."},
	{0x80244008, "WU_E_PT_SOAPCLIENT_PARSEFAULT", "A fault came that the computer could not read.",
		"Something between changed the answer, or another web server than this one gave it.",
		"Open WUServer/ClientWebService/client.asmx in a browser on the computer: this server says \"POST only\" with status 405.", ACCESS_LOG},
	{0x8024400A, "WU_E_PT_SOAPCLIENT_PARSE", "An answer came that the computer could not read.",
		"A proxy put a page of its own there, or packed answers are damaged on the way.",
		"Take this server out of the proxy; to see whether packing matters, `wsusctl config set xpress off`.", PROBE},
	{0x8024400D, "WU_E_PT_SOAP_CLIENT", "The server found the computer's message wrong.",
		"InvalidParameters: a computer or a program that is no Windows computer sent what the protocol forbids, or more than 8 MB.",
		"The reason in the log names the part of the message; scan again, and if it stays, report it with that line.", FAULT_LINE},
	{0x8024400E, "WU_E_PT_SOAP_SERVER", "The server could not do it now.",
		"ServerBusy: a service does not run, has no memory or disk left, or too many computers came at once.  A computer keeps the "
		"reports that end so, and sends them again.",
		"See that the services run and that the disk has room (`wsusctl store stat`); computers come back by themselves.", FAULT_LINE},
	{0x80244010, "WU_E_PT_EXCEEDED_MAX_SERVER_TRIPS", "A scan took more than 200 calls and was given up.",
		"A first scan of a large catalog with small pages.  The next scan goes on where this one ended.",
		"Scan again, twice if need be; decline what nobody needs; raise scan.page-updates and scan.page-bytes to their defaults or above.",
		"`wsus-probe URL --ca ca.crt` counts the calls of a fresh computer; `wsusctl config show` has both settings."},
	{0x80244011, "WU_E_PT_SUS_SERVER_NOT_SET", "WUServer is missing in the registry, although UseWUServer is 1.",
		"Policy was applied in part, or removed in part.", "Apply what `wsusctl client setup` prints, or its --undo.", NO_LINE},
	{0x80244015, "WU_E_PT_REFRESH_CACHE_REQUIRED", "The server is another one now, or the cookie is not good; the computer begins anew.",
		"After a restore or `wsusctl store adopt` each computer meets it once; its next call is a handshake.",
		"Nothing.  If it comes again and again, two servers answer under one name.", "`wsusctl log --faults`: ServerChanged or InvalidCookie."},
	{0x80244016, "WU_E_PT_HTTP_STATUS_BAD_REQUEST", "HTTP 400.",
		"http:// is spoken to the TLS port, or the address holds encoded dots or backslashes.",
		"Print the settings anew: `wsusctl client setup`.", ACCESS_LOG},
	{0x80244017, "WU_E_PT_HTTP_STATUS_DENIED", "HTTP 401.", "This server never asks for a password: a proxy or another web server does.",
		"Take this server's name out of the proxy; see that WUServer names this server.", NO_LINE},
	{0x80244018, "WU_E_PT_HTTP_STATUS_FORBIDDEN", "HTTP 403.",
		"The computer is not one that may come (clients.admission): it is in none of clients.networks, or WUServer lacks the token.  Or "
		"WUServer is the plain port (8530) of a server that keeps its services on the TLS port, or a proxy forbids it.",
		"The line says what to do: clients.networks in wsus.conf, then `wsus-setup`; or WUServer as "
		"`wsusctl client setup` prints it.", ACCESS_LOG},
	{0x80244019, "WU_E_PT_HTTP_STATUS_NOT_FOUND", "HTTP 404.",
		"In a scan: WUServer has a path behind the port that is no token, or another web server answers there.  In a download: the file is not in "
		"content/.  On Windows 7 and 8.1 before a scan: selfupdate/ is empty, and they may give up there.",
		"WUServer is as `wsusctl client setup` prints it.  For files: `wsusctl content verify`, then `wsusctl content add`.  For Windows 7 "
		"and 8.1 put Microsoft's signed self-update files into selfupdate/.", ACCESS_LOG},
	{0x8024401B, "WU_E_PT_HTTP_STATUS_PROXY_AUTH_REQ", "HTTP 407: a proxy wants a password.",
		"The computer's system account goes through a proxy.", "Except this server's name from the proxy: `netsh winhttp set proxy ... bypass-list=NAME`.", NO_LINE},
	{0x8024401C, "WU_E_PT_HTTP_STATUS_REQUEST_TIMEOUT", "HTTP 408: the request took too long.",
		"The line is slow or broken while the request is sent: nginx waits 15 s for its head and 30 s between parts of its body.  With "
		"a Windows WSUS it is the overloaded server; here that is ServerBusy, 0x80244007.",
		"Scan again; if many computers show it, look at the machine's load and its network.", ACCESS_LOG},
	{0x8024401F, "WU_E_PT_HTTP_STATUS_SERVER_ERROR", "HTTP 500.",
		"A fault of a service, as for 0x80244007, in a place where the computer expected none.", "As for 0x80244007.", FAULT_LINE},
	{0x80244021, "WU_E_PT_HTTP_STATUS_BAD_GATEWAY", "HTTP 502.",
		"This server's services answer ServerBusy instead; a proxy in between cannot reach this server.", "See the proxy's log.", NO_LINE},
	{0x80244022, "WU_E_PT_HTTP_STATUS_SERVICE_UNAVAIL", "HTTP 503: overloaded or not there.",
		"For files: the content service does not run.  Else one address holds more than 1,000 connections, or a proxy answered.",
		"Start wsus-content; computers come back by themselves.", "`wsusctl log --service nginx --faults`: HTTP 503; nginx's error.log has `limiting connections` or `connect() failed`."},
	{0x80244023, "WU_E_PT_HTTP_STATUS_GATEWAY_TIMEOUT", "HTTP 504: a gateway waited in vain.",
		"A proxy in between could not reach this server in time.", "As for 0x80072EE2.", NO_LINE},
	{0x8024402A, "WU_E_PT_CONFIG_PROP_MISSING", "The server's configuration lacks a property.",
		"Another server than this one answered: ours sends them all.", "See that WUServer names this server.", PROBE},
	{0x8024402C, "WU_E_PT_WINHTTP_NAME_NOT_RESOLVED", "The name of the server or of the proxy has no address.",
		"As 0x80072EE7; or a proxy is set that does not exist any more.",
		"`nslookup NAME` and `netsh winhttp show proxy` on the computer; `netsh winhttp reset proxy` takes a proxy away.", NO_LINE},
	{0x80246002, "WU_E_DM_INCORRECTFILEHASH", "A downloaded file is not what its digest says.",
		"The file was damaged here after it was added, or a cache between gives an old one.",
		"`wsusctl content verify`, then `wsusctl content add` with a good copy; clear the cache.", "`wsusctl content verify` names the file."},
	{0x80246007, "WU_E_DM_NOTDOWNLOADED", "The update is not downloaded.",
		"The download ended before it was complete, or Delivery Optimization (DoSvc) is disabled.",
		"Enable DoSvc and BITS; see that the computer reaches /Content; then install again.", REPORT_LINE},
	{0x80246008, "WU_E_DM_FAILTOCONNECTTOBITS", "The computer's own download service does not run.",
		"Delivery Optimization (DoSvc) or BITS is disabled there, often by hand or by a hardening policy; with 0x80070422 beside it.",
		"Enable it: `sc config DoSvc start= delayed-auto`, `sc config BITS start= delayed-auto`, then scan again.",
		"`wsusctl log COMPUTER`: it scans well; `wsusctl log --address ADDRESS --service nginx` has no download of it."},
	{0},
};

bool client_error_code(struct slice text, uint32_t *code)
{
	uint8_t b[4];
	int32_t v;
	text = text_trim(text);
	if (text.n && text.p[0] == '-' && text_i32(text, &v)) {
		*code = (uint32_t)v;
		return true;
	}
	if (text.n == 10 && text.p[0] == '0' && text_lower(text.p[1]) == 'x')
		text = (struct slice){text.p + 2, 8};
	if (text.n != 8 || !text_hex(text, b, sizeof(b)))
		return false;
	*code = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	return true;
}

const struct client_error *client_error_find(uint32_t code)
{
	for (const struct client_error *e = client_errors; e->name; e++)
		if (e->code == code)
			return e;
	return NULL;
}
