#include "dissect/evskip.h"

#include <string.h>

const char *const evskip_names[EVSKIP_MAX_KEY + 1][EVSKIP_PER_LENGTH] = {
    [2] = {"MG"},
    [3] = {"MD5"},
    [4] = {"SHA1", "Task", "tags"},
    [5] = {"Level"},
    [6] = {"Domain", "Opcode", "Status", "Tenant"},
    [7] = {"Company", "Message", "Product", "Version", "message"},
    [8] = {"@version", "Category", "Keywords", "RuleName", "Severity", "TenantId", "ThreadID", "original",
	   "tenantId"},
    [9] = {"EventType", "KeyLength", "LayerName", "LayerRTID", "LogonGuid"},
    [10] = {"ActivityID", "FilterRTID"},
    [11] = {"AccountType", "Description", "FileVersion", "OpcodeValue", "_ResourceId"},
    [12] = {"MachineGroup", "ProviderGuid", "RemoteIPType", "RemoteUserID", "SourceIsIpv6", "SourceSystem"},
    [13] = {"ElevatedToken", "SeverityValue", "TargetUserSid", "operationName"},
    [14] = {"IntegrityLevel", "MandatoryLabel", "SourcePortName", "SubjectUserSid", "VirtualAccount"},
    [15] = {"CreationUtcTime", "RemoteMachineID"},
    [16] = {"CurrentDirectory", "LogonProcessName", "SourceComputerId", "SourceModuleName",
	    "SourceModuleType"},
    [17] = {"DestinationIsIpv6", "TerminalSessionId"},
    [18] = {"ExecutionProcessID", "ImpersonationLevel", "TokenElevationType"},
    [19] = {"AppGuardContainerId", "DestinationPortName", "ManagementGroupName"},
    [20] = {"InitiatingProcessMD5"},
    [21] = {"InitiatingProcessSHA1"},
    [25] = {"AuthenticationPackageName", "InitiatingProcessFileSize"},
    [26] = {"InitiatingProcessSessionId"},
    [27] = {"InitiatingProcessAccountSid", "InitiatingProcessAccountUpn"},
    [31] = {"InitiatingProcessIntegrityLevel", "InitiatingProcessTokenElevation"},
    [32] = {"InitiatingProcessAccountObjectId"},
    [39] = {"InitiatingProcessVersionInfoCompanyName", "InitiatingProcessVersionInfoProductName"},
    [42] = {"InitiatingProcessVersionInfoProductVersion"},
    [43] = {"InitiatingProcessVersionInfoFileDescription"},
};

bool evskip_has(const char *key, size_t n)
{
	if (n > EVSKIP_MAX_KEY)
		return false;
	for (size_t i = 0; i < EVSKIP_PER_LENGTH && evskip_names[n][i]; i++)
		if (!memcmp(evskip_names[n][i], key, n))
			return true;
	return false;
}
