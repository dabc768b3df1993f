/* wusp.h -- every message of the client-server protocol, MS-WUSP 2.2.2 and its WSDLs (section 6).
 *
 * Fields stand in the schema's order with the schema's names; t_wire proves it against the WSDLs.  What
 * native clients send beyond them (AlsoPerformRegularSync, ProductsParameters, deviceAttributes) is skipped
 * like any unknown element.  Enumerations are texts: their writers are tables of the services. */
#ifndef COMMON_WUSP_H
#define COMMON_WUSP_H

#include "common/limits.h"
#include "common/wire.h"

/* An operation's SOAPAction is its namespace, a slash, its name. */
#define WUSP_NS_SIMPLEAUTH "http://www.microsoft.com/SoftwareDistribution/Server/SimpleAuthWebService"
#define WUSP_NS_CLIENT "http://www.microsoft.com/SoftwareDistribution/Server/ClientWebService"
#define WUSP_NS_REPORTING "http://www.microsoft.com/SoftwareDistribution"

/* ---- shared ---- */

#define AuthorizationCookie_FIELDS(X, M) \
	X(M, PlugInId, STR, , 0, LIMIT_STRING) \
	X(M, CookieData, B64, , 0, LIMIT_COOKIE)
WIRE_DECLARE(AuthorizationCookie)

#define Cookie_FIELDS(X, M) \
	X(M, Expiration, TIME, , 1, 1) \
	X(M, EncryptedData, B64, , 0, LIMIT_COOKIE)
WIRE_DECLARE(Cookie)

/* ---- SimpleAuth ---- */

#define GetAuthorizationCookie_FIELDS(X, M) \
	X(M, clientId, STR, , 0, LIMIT_STRING) \
	X(M, targetGroupName, STR, , 0, LIMIT_ATTRIBUTES_TEXT) \
	X(M, dnsName, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(GetAuthorizationCookie)

#define GetAuthorizationCookieResponse_FIELDS(X, M) \
	X(M, GetAuthorizationCookieResult, MSG, AuthorizationCookie, 0, 1)
WIRE_DECLARE(GetAuthorizationCookieResponse)

/* ---- Client: configuration and cookies ---- */

#define GetConfig_FIELDS(X, M) X(M, protocolVersion, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(GetConfig)

#define AuthPlugInInfo_FIELDS(X, M) \
	X(M, PlugInID, STR, , 0, LIMIT_STRING) \
	X(M, ServiceUrl, STR, , 0, LIMIT_STRING) \
	X(M, Parameter, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(AuthPlugInInfo)

#define ConfigurationProperty_FIELDS(X, M) \
	X(M, Name, STR, , 0, LIMIT_STRING) \
	X(M, Value, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(ConfigurationProperty)

#define Config_FIELDS(X, M) \
	X(M, LastChange, TIME, , 1, 1) \
	X(M, IsRegistrationRequired, BOOL, , 1, 1) \
	X(M, AuthInfo, LIST, AuthPlugInInfo, 0, LIMIT_FILTER) \
	X(M, AllowedEventIds, INTS, , 0, LIMIT_IDS) \
	X(M, Properties, LIST, ConfigurationProperty, 0, LIMIT_FILTER)
WIRE_DECLARE(Config)

#define GetConfigResponse_FIELDS(X, M) X(M, GetConfigResult, MSG, Config, 0, 1)
WIRE_DECLARE(GetConfigResponse)

#define GetCookie_FIELDS(X, M) \
	X(M, authCookies, LIST, AuthorizationCookie, 0, LIMIT_FILTER) \
	X(M, oldCookie, MSG, Cookie, 0, 1) \
	X(M, lastChange, TIME, , 1, 1) \
	X(M, currentTime, TIME, , 1, 1) \
	X(M, protocolVersion, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(GetCookie)

#define GetCookieResponse_FIELDS(X, M) X(M, GetCookieResult, MSG, Cookie, 0, 1)
WIRE_DECLARE(GetCookieResponse)

/* ---- Client: registration ---- */

#define ComputerInfo_FIELDS(X, M) \
	X(M, DnsName, STR, , 0, LIMIT_STRING) \
	X(M, OSMajorVersion, INT, , 1, 1) \
	X(M, OSMinorVersion, INT, , 1, 1) \
	X(M, OSBuildNumber, INT, , 1, 1) \
	X(M, OSServicePackMajorNumber, SHORT, , 1, 1) \
	X(M, OSServicePackMinorNumber, SHORT, , 1, 1) \
	X(M, OSLocale, STR, , 0, LIMIT_STRING) \
	X(M, ComputerManufacturer, STR, , 0, LIMIT_STRING) \
	X(M, ComputerModel, STR, , 0, LIMIT_STRING) \
	X(M, BiosVersion, STR, , 0, LIMIT_STRING) \
	X(M, BiosName, STR, , 0, LIMIT_STRING) \
	X(M, BiosReleaseDate, TIME, , 1, 1) \
	X(M, ProcessorArchitecture, STR, , 0, LIMIT_STRING) \
	X(M, SuiteMask, SHORT, , 1, 1) \
	X(M, OldProductType, UBYTE, , 1, 1) \
	X(M, NewProductType, INT, , 1, 1) \
	X(M, SystemMetrics, INT, , 1, 1) \
	X(M, ClientVersionMajorNumber, SHORT, , 1, 1) \
	X(M, ClientVersionMinorNumber, SHORT, , 1, 1) \
	X(M, ClientVersionBuildNumber, SHORT, , 1, 1) \
	X(M, ClientVersionQfeNumber, SHORT, , 1, 1) \
	X(M, OSDescription, STR, , 0, LIMIT_STRING) \
	X(M, OEM, STR, , 0, LIMIT_STRING) \
	X(M, DeviceType, STR, , 0, LIMIT_STRING) \
	X(M, FirmwareVersion, STR, , 0, LIMIT_STRING) \
	X(M, MobileOperator, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(ComputerInfo)

#define RegisterComputer_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, computerInfo, MSG, ComputerInfo, 0, 1)
WIRE_DECLARE(RegisterComputer)

#define RegisterComputerResponse_FIELDS(X, M)
WIRE_DECLARE(RegisterComputerResponse)

/* ---- Client: scans ---- */

#define CategoryRelationship_FIELDS(X, M) \
	X(M, IndexOfAndGroup, INT, , 1, 1) \
	X(M, CategoryId, GUID, , 1, 1)
WIRE_DECLARE(CategoryRelationship)

#define StartCategoryScan_FIELDS(X, M) \
	X(M, requestedCategories, LIST, CategoryRelationship, 0, LIMIT_REQUESTED_CATEGORIES)
WIRE_DECLARE(StartCategoryScan)

#define StartCategoryScanResponse_FIELDS(X, M) \
	X(M, preferredCategoryIds, GUIDS, , 0, LIMIT_FILTER) \
	X(M, requestedCategoryIdsInError, GUIDS, , 0, LIMIT_FILTER)
WIRE_DECLARE(StartCategoryScanResponse)

#define InstalledDriver_FIELDS(X, M) \
	X(M, MatchingID, STR, , 0, LIMIT_STRING) \
	X(M, DriverVerDate, TIME, , 1, 1) \
	X(M, DriverVerVersion, LONG, , 1, 1) \
	X(M, Class, STR, , 0, LIMIT_STRING) \
	X(M, Manufacturer, STR, , 0, LIMIT_STRING) \
	X(M, Provider, STR, , 0, LIMIT_STRING) \
	X(M, Model, STR, , 0, LIMIT_STRING) \
	X(M, MatchingComputerHWID, GUID, , 0, 1) \
	X(M, DriverRank, INT, , 1, 1)
WIRE_DECLARE(InstalledDriver)

#define extensionDriver_FIELDS(X, M) \
	X(M, ExtensionId, STR, , 1, LIMIT_STRING) \
	X(M, DriverVerDate, TIME, , 1, 1) \
	X(M, DriverVerVersion, LONG, , 1, 1) \
	X(M, Class, STR, , 1, LIMIT_STRING) \
	X(M, DriverRank, INT, , 1, 1) \
	X(M, MatchingComputerHWID, GUID, , 0, 1)
WIRE_DECLARE(extensionDriver)

#define Device_FIELDS(X, M) \
	X(M, HardwareIDs, STRS, , 0, LIMIT_DEVICE_IDS) \
	X(M, CompatibleIDs, STRS, , 0, LIMIT_DEVICE_IDS) \
	X(M, installedDriver, MSG, InstalledDriver, 0, 1) \
	X(M, extensionDriver, LIST, extensionDriver, 0, LIMIT_DEVICE_IDS) \
	X(M, DriverRecoveryIDs, STRS, DriverRecoveryID, 0, LIMIT_DEVICE_IDS) \
	X(M, DeviceFlags, UBYTE, , 0, 1)
WIRE_DECLARE(Device)

#define ComputerHardwareSpecification_FIELDS(X, M) X(M, HardwareIDs, GUIDS, , 0, LIMIT_DEVICE_IDS)
WIRE_DECLARE(ComputerHardwareSpecification)

#define CategoryIdentifier_FIELDS(X, M) X(M, Id, GUID, , 1, 1)
WIRE_DECLARE(CategoryIdentifier)

#define SyncUpdateParameters_FIELDS(X, M) \
	X(M, ExpressQuery, BOOL, , 1, 1) \
	X(M, InstalledNonLeafUpdateIDs, INTS, , 0, LIMIT_IDS) \
	X(M, OtherCachedUpdateIDs, INTS, , 0, LIMIT_IDS) \
	X(M, SystemSpec, LIST, Device, 0, LIMIT_DEVICES) \
	X(M, CachedDriverIDs, INTS, , 0, LIMIT_IDS) \
	X(M, SkipSoftwareSync, BOOL, , 1, 1) \
	X(M, FilterCategoryIds, LIST, CategoryIdentifier, 0, LIMIT_FILTER) \
	X(M, NeedTwoGroupOutOfScopeUpdates, BOOL, , 0, 1) \
	X(M, ComputerSpec, MSG, ComputerHardwareSpecification, 0, 1) \
	X(M, FeatureScoreMatchingKey, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(SyncUpdateParameters)

#define SyncUpdates_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, parameters, MSG, SyncUpdateParameters, 0, 1)
WIRE_DECLARE(SyncUpdates)

/* Its content is attributes, which we neither send nor need. */
#define Verification_FIELDS(X, M)
WIRE_DECLARE(Verification)

#define ClientMetadata_FIELDS(X, M) \
	X(M, MetadataType, STR, , 1, LIMIT_STRING) \
	X(M, Metadata, STR, , 1, LIMIT_ATTRIBUTES_TEXT) \
	X(M, Verification, MSG, Verification, 0, 1)
WIRE_DECLARE(ClientMetadata)

#define Deployment_FIELDS(X, M) \
	X(M, ID, INT, , 1, 1) \
	X(M, Action, STR, , 1, LIMIT_STRING) \
	X(M, Deadline, STR, , 0, LIMIT_STRING) \
	X(M, IsAssigned, BOOL, , 1, 1) \
	X(M, LastChangeTime, STR, , 1, LIMIT_STRING) \
	X(M, DownloadPriority, STR, , 0, LIMIT_STRING) \
	X(M, HardwareIds, STRS, , 0, LIMIT_DEVICE_IDS) \
	X(M, AutoSelect, STR, , 0, LIMIT_STRING) \
	X(M, AutoDownload, STR, , 0, LIMIT_STRING) \
	X(M, SupersedenceBehavior, STR, , 0, LIMIT_STRING) \
	X(M, FlagBitmask, STR, , 0, LIMIT_STRING) \
	X(M, ClientBehaviors, LIST, ClientMetadata, 0, LIMIT_FILTER)
WIRE_DECLARE(Deployment)

#define UpdateInfo_FIELDS(X, M) \
	X(M, ID, INT, , 1, 1) \
	X(M, Deployment, MSG, Deployment, 0, 1) \
	X(M, IsLeaf, BOOL, , 1, 1) \
	X(M, Xml, FRAG, , 0, LIMIT_DOC)
WIRE_DECLARE(UpdateInfo)

#define SyncInfo_FIELDS(X, M) \
	X(M, NewUpdates, LIST, UpdateInfo, 0, LIMIT_IDS) \
	X(M, OutOfScopeRevisionIDs, INTS, , 0, LIMIT_IDS) \
	X(M, ChangedUpdates, LIST, UpdateInfo, 0, LIMIT_IDS) \
	X(M, Truncated, BOOL, , 1, 1) \
	X(M, NewCookie, MSG, Cookie, 0, 1) \
	X(M, DeployedOutOfScopeRevisionIds, INTS, , 0, LIMIT_IDS) \
	X(M, DriverSyncNotNeeded, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(SyncInfo)

#define SyncUpdatesResponse_FIELDS(X, M) X(M, SyncUpdatesResult, MSG, SyncInfo, 0, 1)
WIRE_DECLARE(SyncUpdatesResponse)

#define SyncPrinterCatalog_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, installedNonLeafUpdateIDs, INTS, , 0, LIMIT_IDS) \
	X(M, printerUpdateIDs, INTS, , 0, LIMIT_IDS)
WIRE_DECLARE(SyncPrinterCatalog)

#define SyncPrinterCatalogResponse_FIELDS(X, M) X(M, SyncPrinterCatalogResult, MSG, SyncInfo, 0, 1)
WIRE_DECLARE(SyncPrinterCatalogResponse)

#define UpdateIdentity_FIELDS(X, M) \
	X(M, UpdateID, GUID, , 1, 1) \
	X(M, RevisionNumber, INT, , 1, 1)
WIRE_DECLARE(UpdateIdentity)

#define RefreshCache_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, globalIDs, LIST, UpdateIdentity, 0, LIMIT_GLOBAL_IDS)
WIRE_DECLARE(RefreshCache)

#define RefreshCacheResult_FIELDS(X, M) \
	X(M, RevisionID, INT, , 1, 1) \
	X(M, GlobalID, MSG, UpdateIdentity, 0, 1) \
	X(M, IsLeaf, BOOL, , 1, 1) \
	X(M, Deployment, MSG, Deployment, 0, 1)
WIRE_DECLARE(RefreshCacheResult)

#define RefreshCacheResponse_FIELDS(X, M) \
	X(M, RefreshCacheResult, LIST, RefreshCacheResult, 0, LIMIT_GLOBAL_IDS)
WIRE_DECLARE(RefreshCacheResponse)

/* ---- Client: metadata and files ---- */

#define GetExtendedUpdateInfo_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, revisionIDs, INTS, , 0, LIMIT_IDS) \
	X(M, infoTypes, STRS, XmlUpdateFragmentType, 0, LIMIT_INFO_TYPES) \
	X(M, locales, STRS, , 0, LIMIT_LOCALES) \
	X(M, GeoId, STR, , 0, LIMIT_STRING) \
	X(M, callerAttributes, STR, , 0, LIMIT_ATTRIBUTES_TEXT)
WIRE_DECLARE(GetExtendedUpdateInfo)

#define UpdateData_FIELDS(X, M) \
	X(M, ID, INT, , 1, 1) \
	X(M, Xml, FRAG, , 0, LIMIT_DOC)
WIRE_DECLARE(UpdateData)

#define FileLocation_FIELDS(X, M) \
	X(M, FileDigest, B64, , 0, LIMIT_STRING) \
	X(M, Url, STR, , 0, LIMIT_ATTRIBUTES_TEXT) \
	X(M, PiecesHashUrl, STR, , 0, LIMIT_ATTRIBUTES_TEXT) \
	X(M, BlockMapUrl, STR, , 0, LIMIT_ATTRIBUTES_TEXT) \
	X(M, DecryptionInformation, STR, , 0, LIMIT_ATTRIBUTES_TEXT) \
	X(M, FileDigestAlgorithm, STR, , 0, LIMIT_STRING) \
	X(M, EncryptedFileDigest, B64, , 0, LIMIT_STRING) \
	X(M, EncryptedFileDigestAlgorithm, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(FileLocation)

#define ExtendedUpdateInfo_FIELDS(X, M) \
	X(M, Updates, LIST_AS(Update), UpdateData, 0, LIMIT_IDS) \
	X(M, FileLocations, LIST, FileLocation, 0, LIMIT_IDS) \
	X(M, OutOfScopeRevisionIDs, INTS, , 0, LIMIT_IDS)
WIRE_DECLARE(ExtendedUpdateInfo)

#define GetExtendedUpdateInfoResponse_FIELDS(X, M) \
	X(M, GetExtendedUpdateInfoResult, MSG, ExtendedUpdateInfo, 0, 1)
WIRE_DECLARE(GetExtendedUpdateInfoResponse)

#define GetExtendedUpdateInfo2_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, updateIDs, LIST, UpdateIdentity, 0, LIMIT_GLOBAL_IDS) \
	X(M, infoTypes, STRS, XmlUpdateFragmentType, 0, LIMIT_INFO_TYPES) \
	X(M, locales, STRS, , 0, LIMIT_LOCALES) \
	X(M, callerAttributes, STR, , 0, LIMIT_ATTRIBUTES_TEXT)
WIRE_DECLARE(GetExtendedUpdateInfo2)

#define FileDecryption_FIELDS(X, M) \
	X(M, FileDigest, B64, , 0, LIMIT_STRING) \
	X(M, DecryptionKey, B64, , 0, LIMIT_STRING) \
	X(M, SecurityData, B64S, , 0, LIMIT_FILTER)
WIRE_DECLARE(FileDecryption)

#define FileDecryption2_FIELDS(X, M) \
	X(M, FileDigest, B64, , 0, LIMIT_STRING) \
	X(M, DecryptionKey, B64, , 0, LIMIT_STRING) \
	X(M, SecurityData, B64S, , 0, LIMIT_FILTER)
WIRE_DECLARE(FileDecryption2)

#define UpdateEncryptionDetail_FIELDS(X, M) \
	X(M, UpdateIdentity, MSG, UpdateIdentity, 1, 1) \
	X(M, HasEncryptedFiles, BOOL, , 1, 1)
WIRE_DECLARE(UpdateEncryptionDetail)

#define ExtendedUpdateInfo2_FIELDS(X, M) \
	X(M, Updates, LIST_AS(Update), UpdateData, 0, LIMIT_IDS) \
	X(M, FileLocations, LIST, FileLocation, 0, LIMIT_IDS) \
	X(M, FileDecryptionData, LIST, FileDecryption, 0, LIMIT_IDS) \
	X(M, FileDecryptionData2, LIST, FileDecryption2, 0, LIMIT_IDS) \
	X(M, UpdateEncryptionDetails, LIST, UpdateEncryptionDetail, 0, LIMIT_IDS)
WIRE_DECLARE(ExtendedUpdateInfo2)

#define GetExtendedUpdateInfo2Response_FIELDS(X, M) \
	X(M, GetExtendedUpdateInfo2Result, MSG, ExtendedUpdateInfo2, 0, 1)
WIRE_DECLARE(GetExtendedUpdateInfo2Response)

#define GetFileLocations_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, fileDigests, B64S, , 0, LIMIT_DIGESTS)
WIRE_DECLARE(GetFileLocations)

#define GetFileLocationsResults_FIELDS(X, M) \
	X(M, FileLocations, LIST, FileLocation, 0, LIMIT_IDS) \
	X(M, NewCookie, MSG, Cookie, 0, 1)
WIRE_DECLARE(GetFileLocationsResults)

#define GetFileLocationsResponse_FIELDS(X, M) X(M, GetFileLocationsResult, MSG, GetFileLocationsResults, 0, 1)
WIRE_DECLARE(GetFileLocationsResponse)

/* ---- Reporting, as clients use it ---- */

#define ComputerTargetIdentifier_FIELDS(X, M) X(M, Sid, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(ComputerTargetIdentifier)

#define UpdateRevisionIdentifier_FIELDS(X, M) \
	X(M, UpdateID, GUID, , 1, 1) \
	X(M, RevisionNumber, INT, , 1, 1)
WIRE_DECLARE(UpdateRevisionIdentifier)

/* The result is Win32Hresult in the prose, and Win32HResult in the schema and from native clients (A36). */
#define BasicData_FIELDS(X, M) \
	X(M, TargetID, MSG, ComputerTargetIdentifier, 0, 1) \
	X(M, SequenceNumber, INT, , 1, 1) \
	X(M, TimeAtTarget, TIME, , 1, 1) \
	X(M, EventInstanceID, GUID, , 1, 1) \
	X(M, NamespaceID, INT, , 1, 1) \
	X(M, EventID, SHORT, , 1, 1) \
	X(M, SourceID, SHORT, , 1, 1) \
	X(M, UpdateID, MSG, UpdateRevisionIdentifier, 0, 1) \
	X(M, Win32HResult, INT_OR(Win32Hresult), , 1, 1) \
	X(M, AppName, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(BasicData)

#define DetailedVersion_FIELDS(X, M) \
	X(M, Major, INT, , 1, 1) \
	X(M, Minor, INT, , 1, 1) \
	X(M, Build, INT, , 1, 1) \
	X(M, Revision, INT, , 1, 1) \
	X(M, ServicePackMajor, INT, , 1, 1) \
	X(M, ServicePackMinor, INT, , 1, 1)
WIRE_DECLARE(DetailedVersion)

#define ExtendedData_FIELDS(X, M) \
	X(M, ReplacementStrings, STRS, , 0, LIMIT_EVENT_STRINGS) \
	X(M, MiscData, STRS, , 0, LIMIT_EVENT_STRINGS) \
	X(M, ComputerBrand, STR, , 0, LIMIT_STRING) \
	X(M, ComputerModel, STR, , 0, LIMIT_STRING) \
	X(M, BiosRevision, STR, , 0, LIMIT_STRING) \
	X(M, ProcessorArchitecture, STR, , 1, LIMIT_STRING) \
	X(M, OSVersion, MSG, DetailedVersion, 1, 1) \
	X(M, OSLocaleID, INT, , 1, 1) \
	X(M, DeviceID, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(ExtendedData)

#define PrivateData_FIELDS(X, M) \
	X(M, ComputerDnsName, STR, , 0, LIMIT_STRING) \
	X(M, UserAccountName, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(PrivateData)

#define ReportingEvent_FIELDS(X, M) \
	X(M, BasicData, MSG, BasicData, 0, 1) \
	X(M, ExtendedData, MSG, ExtendedData, 0, 1) \
	X(M, PrivateData, MSG, PrivateData, 0, 1)
WIRE_DECLARE(ReportingEvent)

#define ReportEventBatch_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, clientTime, TIME, , 1, 1) \
	X(M, eventBatch, LIST, ReportingEvent, 0, LIMIT_EVENTS)
WIRE_DECLARE(ReportEventBatch)

#define ReportEventBatchResponse_FIELDS(X, M) X(M, ReportEventBatchResult, BOOL, , 1, 1)
WIRE_DECLARE(ReportEventBatchResponse)

#define ReportEventBatch2_FIELDS(X, M) \
	X(M, computerId, STR, , 0, LIMIT_STRING) \
	X(M, clientTime, TIME, , 1, 1) \
	X(M, eventBatch, LIST, ReportingEvent, 0, LIMIT_EVENTS)
WIRE_DECLARE(ReportEventBatch2)

#define ReportEventBatch2Response_FIELDS(X, M) X(M, ReportEventBatch2Result, BOOL, , 1, 1)
WIRE_DECLARE(ReportEventBatch2Response)

#define GetRequiredInventoryType_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, rulesId, GUID, , 1, 1) \
	X(M, rulesVersion, STR, , 0, LIMIT_STRING)
WIRE_DECLARE(GetRequiredInventoryType)

#define GetRequiredInventoryTypeResponse_FIELDS(X, M) X(M, GetRequiredInventoryTypeResult, INT, , 1, 1)
WIRE_DECLARE(GetRequiredInventoryTypeResponse)

#define ReportingInventory_FIELDS(X, M) \
	X(M, IsCompressed, BOOL, , 1, 1) \
	X(M, RawXml, STR, , 0, LIMIT_BODY_REPORT) \
	X(M, CompressedXml, B64, , 0, LIMIT_BODY_REPORT)
WIRE_DECLARE(ReportingInventory)

#define ReportInventory_FIELDS(X, M) \
	X(M, cookie, MSG, Cookie, 0, 1) \
	X(M, clientTime, TIME, , 1, 1) \
	X(M, inventory, MSG, ReportingInventory, 0, 1)
WIRE_DECLARE(ReportInventory)

#define ReportInventoryResponse_FIELDS(X, M) X(M, ReportInventoryResult, BOOL, , 1, 1)
WIRE_DECLARE(ReportInventoryResponse)

/* ---- the operations, for whoever walks all of them: X(namespace, request, response) ---- */

#define WUSP_OPERATIONS(X) \
	X(WUSP_NS_SIMPLEAUTH, GetAuthorizationCookie, GetAuthorizationCookieResponse) \
	X(WUSP_NS_CLIENT, GetConfig, GetConfigResponse) \
	X(WUSP_NS_CLIENT, GetCookie, GetCookieResponse) \
	X(WUSP_NS_CLIENT, RegisterComputer, RegisterComputerResponse) \
	X(WUSP_NS_CLIENT, StartCategoryScan, StartCategoryScanResponse) \
	X(WUSP_NS_CLIENT, SyncUpdates, SyncUpdatesResponse) \
	X(WUSP_NS_CLIENT, SyncPrinterCatalog, SyncPrinterCatalogResponse) \
	X(WUSP_NS_CLIENT, RefreshCache, RefreshCacheResponse) \
	X(WUSP_NS_CLIENT, GetExtendedUpdateInfo, GetExtendedUpdateInfoResponse) \
	X(WUSP_NS_CLIENT, GetExtendedUpdateInfo2, GetExtendedUpdateInfo2Response) \
	X(WUSP_NS_CLIENT, GetFileLocations, GetFileLocationsResponse) \
	X(WUSP_NS_REPORTING, ReportEventBatch, ReportEventBatchResponse) \
	X(WUSP_NS_REPORTING, ReportEventBatch2, ReportEventBatch2Response) \
	X(WUSP_NS_REPORTING, GetRequiredInventoryType, GetRequiredInventoryTypeResponse) \
	X(WUSP_NS_REPORTING, ReportInventory, ReportInventoryResponse)

#endif
