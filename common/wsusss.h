/* wsusss.h -- every message of the server-server protocol, MS-WSUSSS 2.2.4 and its WSDLs (section 6), but for rollups.
 *
 * As wusp.h: the schema's order and names, which t_wire proves.  GetDriverIdList and GetDriverSetData are in no WSDL; their
 * fields are those of MS-WSUSSS 3.1.4.7 and 3.1.4.8.  Cookies, identities and plug-ins are those of wusp.h.
 *
 * The limits here bound memory; what a server publishes as its own limits is less, and is checked by the operation. */
#ifndef COMMON_WSUSSS_H
#define COMMON_WSUSSS_H

#include "common/wusp.h"

#define WSUSSS_NS_SYNC "http://www.microsoft.com/SoftwareDistribution"
#define WSUSSS_NS_AUTH "http://www.microsoft.com/SoftwareDistribution/Server/DssAuthWebService"
#define WSUSSS_NS_PING "http://www.microsoft.com/SoftwareDistribution/Server/IMonitorable"

/* Message of the InvalidParameters with which a server like this one keeps another out; it knows itself by it, too. */
#define WSUSSS_NOT_APPROVED "accountGuid: the administrator of this server has not approved yours yet"
#define WSUSSS_BLOCKED "accountGuid: the administrator of this server blocked yours"

/* ---- authorization ---- */

#define GetAuthConfig_FIELDS(X, M)
WIRE_DECLARE(GetAuthConfig)

#define ServerAuthConfig_FIELDS(X, M) \
	X(M, LastChange, TIME, , 1, 1) \
	X(M, AuthInfo, LIST, AuthPlugInInfo, 0, LIMIT_FILTER) \
	X(M, AllowedEventIds, INTS, , 0, LIMIT_FILTER)
WIRE_DECLARE(ServerAuthConfig)

#define GetAuthConfigResponse_FIELDS(X, M) X(M, GetAuthConfigResult, MSG, ServerAuthConfig, 0, 1)
WIRE_DECLARE(GetAuthConfigResponse)

#define DssGetAuthorizationCookie_FIELDS(X, M) \
	X(M, accountName, STR, , 0, LIMIT_STRING) \
	X(M, accountGuid, STR, , 0, LIMIT_STRING) \
	X(M, programKeys, GUIDS, , 0, LIMIT_FILTER)
WIRE_DECLARE(DssGetAuthorizationCookie)

#define DssGetCookie_FIELDS(X, M) \
	X(M, authCookies, LIST, AuthorizationCookie, 0, LIMIT_FILTER) \
	X(M, oldCookie, MSG, Cookie, 0, 1) \
	X(M, protocolVersion, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(DssGetCookie)

/* ---- configuration ---- */

#define GetConfigData_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, configAnchor, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(GetConfigData)

#define ServerSyncLanguageData_FIELDS(X, M) \
	X(M, LanguageID, INT, , 1, 1) \
	X(M, ShortLanguage, STR, , 0, LIMIT_STRING) \
	X(M, LongLanguage, STR, , 0, LIMIT_STRING) \
	X(M, Enabled, BOOL, , 1, 1)
WIRE_DECLARE(ServerSyncLanguageData)

/* A real server's order, which is not that of its WSDL (WSUSSS-CONFIGDATA-14). */
#define ServerSyncConfigData_FIELDS(X, M) \
	X(M, CatalogOnlySync, BOOL, , 1, 1) \
	X(M, LazySync, BOOL, , 1, 1) \
	X(M, ServerHostsPsfFiles, BOOL, , 1, 1) \
	X(M, MaxNumberOfComputerIdsInRequest, INT, , 1, 1) \
	X(M, MaxNumberOfDriverSetsPerRequest, INT, , 1, 1) \
	X(M, MaxNumberOfPnpHardwareIdsInRequest, INT, , 1, 1) \
	X(M, MaxNumberOfUpdatesPerRequest, INT, , 1, 1) \
	X(M, NewConfigAnchor, STR, , 0, LIMIT_STRING) \
	X(M, ProtocolVersion, STR, , 0, LIMIT_STRING) \
	X(M, LanguageUpdateList, LIST, ServerSyncLanguageData, 0, LIMIT_DOC_LANGUAGES) \
	X(M, MaxUpdatesPerRequestInGetUpdateDecryptionData, INT, , 1, 1)
WIRE_DECLARE(ServerSyncConfigData)

#define GetConfigDataResponse_FIELDS(X, M) X(M, GetConfigDataResult, MSG, ServerSyncConfigData, 0, 1)
WIRE_DECLARE(GetConfigDataResponse)

/* ---- metadata ---- */

/* Without fields in the schema, and not to be sent (WSUSSS-REVLIST-06). */
#define Version_FIELDS(X, M)
WIRE_DECLARE(Version)

#define IdAndDelta_FIELDS(X, M) \
	X(M, Id, GUID, , 1, 1) \
	X(M, Delta, BOOL, , 1, 1)
WIRE_DECLARE(IdAndDelta)

#define LanguageAndDelta_FIELDS(X, M) \
	X(M, Id, INT, , 1, 1) \
	X(M, Delta, BOOL, , 1, 1)
WIRE_DECLARE(LanguageAndDelta)

#define ServerSyncFilter_FIELDS(X, M) \
	X(M, DssProtocolVersion, MSG, Version, 0, 1) \
	X(M, Anchor, STR, , 0, LIMIT_STRING) \
	X(M, GetConfig, BOOL, , 1, 1) \
	X(M, Get63LanguageOnly, BOOL, , 1, 1) \
	X(M, Categories, LIST, IdAndDelta, 0, LIMIT_SYNC_FILTER) \
	X(M, Classifications, LIST, IdAndDelta, 0, LIMIT_SYNC_FILTER) \
	X(M, Languages, LIST, LanguageAndDelta, 0, LIMIT_SYNC_FILTER)
WIRE_DECLARE(ServerSyncFilter)

#define GetRevisionIdList_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, filter, MSG, ServerSyncFilter, 0, 1)
WIRE_DECLARE(GetRevisionIdList)

#define RevisionIdList_FIELDS(X, M) \
	X(M, Anchor, STR, , 0, LIMIT_STRING) \
	X(M, NewRevisions, LIST, UpdateIdentity, 0, LIMIT_SYNC_IDS)
WIRE_DECLARE(RevisionIdList)

#define GetRevisionIdListResponse_FIELDS(X, M) X(M, GetRevisionIdListResult, MSG, RevisionIdList, 0, 1)
WIRE_DECLARE(GetRevisionIdListResponse)

#define GetUpdateData_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, updateIds, LIST, UpdateIdentity, 0, LIMIT_SYNC_REQUEST)
WIRE_DECLARE(GetUpdateData)

/* The document as text, escaped as it is stored (WSUSSS-UPDATEDATA-11). */
#define ServerSyncUpdateData_FIELDS(X, M) \
	X(M, Id, MSG, UpdateIdentity, 0, 1) \
	X(M, XmlUpdateBlob, FRAG, , 0, LIMIT_DOC) \
	X(M, FileDigestList, B64S, , 0, LIMIT_DOC_FILES) \
	X(M, XmlUpdateBlobCompressed, B64, , 0, LIMIT_DOC)
WIRE_DECLARE(ServerSyncUpdateData)

#define ServerSyncUrlData_FIELDS(X, M) \
	X(M, FileDigest, B64, , 0, LIMIT_STRING) \
	X(M, MUUrl, STR, , 0, LIMIT_DOC_TEXT) \
	X(M, UssUrl, STR, , 0, LIMIT_DOC_TEXT) \
	X(M, DecryptionKey, B64, , 0, LIMIT_STRING)
WIRE_DECLARE(ServerSyncUrlData)

#define ServerUpdateData_FIELDS(X, M) \
	X(M, updates, LIST, ServerSyncUpdateData, 0, LIMIT_SYNC_REQUEST) \
	X(M, fileUrls, LIST, ServerSyncUrlData, 0, LIMIT_SYNC_IDS)
WIRE_DECLARE(ServerUpdateData)

#define GetUpdateDataResponse_FIELDS(X, M) X(M, GetUpdateDataResult, MSG, ServerUpdateData, 0, 1)
WIRE_DECLARE(GetUpdateDataResponse)

#define GetUpdateDecryptionData_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, updateIds, LIST, UpdateIdentity, 0, LIMIT_SYNC_REQUEST)
WIRE_DECLARE(GetUpdateDecryptionData)

#define ServerSyncFileDecryption_FIELDS(X, M) \
	X(M, FileDigest, B64, , 0, LIMIT_STRING) \
	X(M, DecryptionKey, B64, , 0, LIMIT_STRING)
WIRE_DECLARE(ServerSyncFileDecryption)

#define ServerSyncUpdateFileDecryption_FIELDS(X, M) \
	X(M, UpdateId, MSG, UpdateIdentity, 0, 1) \
	X(M, FileDecryptionData, LIST, ServerSyncFileDecryption, 0, LIMIT_DOC_FILES)
WIRE_DECLARE(ServerSyncUpdateFileDecryption)

#define ServerDecryptionData_FIELDS(X, M) \
	X(M, UpdateFileDecryptionData, LIST, ServerSyncUpdateFileDecryption, 0, LIMIT_SYNC_REQUEST)
WIRE_DECLARE(ServerDecryptionData)

#define GetUpdateDecryptionDataResponse_FIELDS(X, M) X(M, GetUpdateDecryptionDataResult, MSG, ServerDecryptionData, 0, 1)
WIRE_DECLARE(GetUpdateDecryptionDataResponse)

#define GetRelatedRevisionsForUpdates_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, updateIDs, GUIDS, , 0, LIMIT_SYNC_REQUEST)
WIRE_DECLARE(GetRelatedRevisionsForUpdates)

#define GetRelatedRevisionsForUpdatesResponse_FIELDS(X, M) \
	X(M, GetRelatedRevisionsForUpdatesResult, LIST, UpdateIdentity, 0, LIMIT_SYNC_IDS)
WIRE_DECLARE(GetRelatedRevisionsForUpdatesResponse)

/* ---- drivers, which only Microsoft Update is asked for ---- */

#define HardwareIdAndDelta_FIELDS(X, M) \
	X(M, Id, STR, , 0, LIMIT_STRING) \
	X(M, Delta, BOOL, , 1, 1)
WIRE_DECLARE(HardwareIdAndDelta)

#define ServerSyncDriverFilter_FIELDS(X, M) \
	X(M, DssProtocolVersion, MSG, Version, 0, 1) \
	X(M, Anchor, STR, , 0, LIMIT_STRING) \
	X(M, Categories, LIST, IdAndDelta, 0, LIMIT_SYNC_FILTER) \
	X(M, ComputerIds, LIST, IdAndDelta, 0, LIMIT_SYNC_FILTER) \
	X(M, PnpHardwareIds, LIST, HardwareIdAndDelta, 0, LIMIT_SYNC_FILTER)
WIRE_DECLARE(ServerSyncDriverFilter)

#define GetDriverIdList_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, filter, MSG, ServerSyncDriverFilter, 0, 1)
WIRE_DECLARE(GetDriverIdList)

#define DriverSetAndRevisionIdList_FIELDS(X, M) \
	X(M, Anchor, STR, , 0, LIMIT_STRING) \
	X(M, NewRevisions, LIST, UpdateIdentity, 0, LIMIT_SYNC_IDS) \
	X(M, NewDriverSets, GUIDS, , 0, LIMIT_SYNC_IDS) \
	X(M, RemovedDriverSets, GUIDS, , 0, LIMIT_SYNC_IDS)
WIRE_DECLARE(DriverSetAndRevisionIdList)

#define GetDriverIdListResponse_FIELDS(X, M) X(M, GetDriverIdListResult, MSG, DriverSetAndRevisionIdList, 0, 1)
WIRE_DECLARE(GetDriverIdListResponse)

#define GetDriverSetData_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, driverSets, GUIDS, , 0, LIMIT_SYNC_REQUEST)
WIRE_DECLARE(GetDriverSetData)

#define ServerSyncDriverSetData_FIELDS(X, M) \
	X(M, DriverSetId, GUID, , 1, 1) \
	X(M, DriverSetXml, STR, , 0, LIMIT_DOC)
WIRE_DECLARE(ServerSyncDriverSetData)

#define ServerDriverSetData_FIELDS(X, M) X(M, DriverSets, LIST, ServerSyncDriverSetData, 0, LIMIT_SYNC_REQUEST)
WIRE_DECLARE(ServerDriverSetData)

#define GetDriverSetDataResponse_FIELDS(X, M) X(M, GetDriverSetDataResult, MSG, ServerDriverSetData, 0, 1)
WIRE_DECLARE(GetDriverSetDataResponse)

/* ---- deployments and content ---- */

#define GetDeployments_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, deploymentAnchor, STR, , 0, LIMIT_STRING) \
	X(M, syncAnchor, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(GetDeployments)

#define ServerSyncTargetGroup_FIELDS(X, M) \
	X(M, TargetGroupID, GUID, , 1, 1) \
	X(M, ParentGroupId, GUID, , 1, 1) \
	X(M, Name, STR, , 0, LIMIT_STRING) \
	X(M, IsBuiltin, BOOL, , 1, 1)
WIRE_DECLARE(ServerSyncTargetGroup)

#define ServerSyncDeployment_FIELDS(X, M) \
	X(M, UpdateId, GUID, , 1, 1) \
	X(M, RevisionNumber, INT, , 1, 1) \
	X(M, Action, INT, , 1, 1) \
	X(M, AdminName, STR, , 0, LIMIT_STRING) \
	X(M, Deadline, TIME, , 1, 1) \
	X(M, IsAssigned, BOOL, , 1, 1) \
	X(M, GoLiveTime, TIME, , 1, 1) \
	X(M, DeploymentGuid, GUID, , 1, 1) \
	X(M, TargetGroupId, GUID, , 1, 1) \
	X(M, DownloadPriority, UBYTE, , 1, 1)
WIRE_DECLARE(ServerSyncDeployment)

#define ServerSyncDeploymentResult_FIELDS(X, M) \
	X(M, Anchor, STR, , 0, LIMIT_STRING) \
	X(M, Groups, LIST, ServerSyncTargetGroup, 0, LIMIT_GROUPS) \
	X(M, Deployments, LIST, ServerSyncDeployment, 0, LIMIT_SYNC_IDS) \
	X(M, DeadDeployments, GUIDS, , 0, LIMIT_SYNC_IDS) \
	X(M, HiddenUpdates, GUIDS, , 0, LIMIT_SYNC_IDS) \
	X(M, AcceptedEulas, GUIDS, , 0, LIMIT_SYNC_IDS)
WIRE_DECLARE(ServerSyncDeploymentResult)

#define GetDeploymentsResponse_FIELDS(X, M) X(M, GetDeploymentsResult, MSG, ServerSyncDeploymentResult, 0, 1)
WIRE_DECLARE(GetDeploymentsResponse)

#define DownloadFiles_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, fileDigestList, B64S, , 0, LIMIT_SYNC_REQUEST)
WIRE_DECLARE(DownloadFiles)

#define DownloadFilesResponse_FIELDS(X, M)
WIRE_DECLARE(DownloadFilesResponse)

/* ---- Ping, of all services ---- */

#define Ping_FIELDS(X, M) X(M, pingLevel, INT, , 1, 1)
WIRE_DECLARE(Ping)

#define MonitoredServicesResponse_FIELDS(X, M) \
	X(M, SuccessFlag, BOOL, , 1, 1) \
	X(M, ServicesTime, TIME, , 1, 1) \
	X(M, ServicesName, STR, , 0, LIMIT_STRING) \
	X(M, ServicesMachine, STR, , 0, LIMIT_STRING) \
	X(M, IsHttps, BOOL, , 1, 1) \
	X(M, RequestContentType, STR, , 0, LIMIT_STRING) \
	X(M, ConfigFilePath, STR, , 0, LIMIT_STRING) \
	X(M, ConfigFileProjectName, STR, , 0, LIMIT_STRING) \
	X(M, ConfigFileEnvironmentName, STR, , 0, LIMIT_STRING) \
	X(M, ConfigFileLastModifiedTime, TIME, , 1, 1) \
	X(M, ConfigFileVersion, STR, , 0, LIMIT_STRING) \
	X(M, ConfigFileNextExpirationTime, TIME, , 1, 1) \
	X(M, ConfigFileExpirationModuloInMinutes, INT, , 1, 1) \
	X(M, DatabaseInfo, STR, , 0, LIMIT_STRING) \
	X(M, CustomInfo, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(MonitoredServicesResponse)

#define PingResponse_FIELDS(X, M) X(M, PingResult, MSG, MonitoredServicesResponse, 0, 1)
WIRE_DECLARE(PingResponse)

/* ---- the operations: X(namespace, request, response); their name in messages is that of the request's rows ---- */

#define WSUSSS_OPERATIONS(X) \
	X(WSUSSS_NS_AUTH, DssGetAuthorizationCookie, GetAuthorizationCookieResponse) \
	X(WSUSSS_NS_SYNC, GetAuthConfig, GetAuthConfigResponse) \
	X(WSUSSS_NS_SYNC, DssGetCookie, GetCookieResponse) \
	X(WSUSSS_NS_SYNC, GetConfigData, GetConfigDataResponse) \
	X(WSUSSS_NS_SYNC, GetRevisionIdList, GetRevisionIdListResponse) \
	X(WSUSSS_NS_SYNC, GetUpdateData, GetUpdateDataResponse) \
	X(WSUSSS_NS_SYNC, GetUpdateDecryptionData, GetUpdateDecryptionDataResponse) \
	X(WSUSSS_NS_SYNC, DownloadFiles, DownloadFilesResponse) \
	X(WSUSSS_NS_SYNC, GetDeployments, GetDeploymentsResponse) \
	X(WSUSSS_NS_SYNC, GetRelatedRevisionsForUpdates, GetRelatedRevisionsForUpdatesResponse) \
	X(WSUSSS_NS_PING, Ping, PingResponse)
/* In no WSDL. */
#define WSUSSS_DRIVER_OPERATIONS(X) \
	X(WSUSSS_NS_SYNC, GetDriverIdList, GetDriverIdListResponse) \
	X(WSUSSS_NS_SYNC, GetDriverSetData, GetDriverSetDataResponse)

#endif
