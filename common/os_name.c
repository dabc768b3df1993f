/* os_name.c -- operating systems by their numbers: one table, tried from the top. */
#include "common/os_name.h"

#include "common/text.h"

#define ANY (-1)
enum type { EITHER, CLIENT, SERVER }; /* OldProductType is 1, or more than that */

struct row {
	const char *name;
	int major, minor;
	int suite; /* this bit of SuiteMask; 0: any */
	enum type type;
	int product, metric; /* NewProductType, SystemMetrics; 0: any */
	const char *cpu;     /* part of ProcessorArchitecture; NULL: any */
};

/* From 10.0 on the numbers tell a client from a server and no more; OSDescription is asked first (A37). */
static const struct row rows[] = {
	{"Windows 10", 10, 0, 0, CLIENT, 0, 0, NULL},
	{"Windows Server 2019", 10, 0, 0, EITHER, 0, 0, NULL},
	{"Windows 8.1", 6, 3, 0, CLIENT, 0, 0, NULL},
	{"Windows Server 2012 R2", 6, 3, 0, EITHER, 0, 0, NULL},
	{"Windows 8", 6, 2, 0, CLIENT, 0, 0, NULL},
	{"Windows Server 2012", 6, 2, 0, EITHER, 0, 0, NULL},
	{"Windows 7 Ultimate Edition", 6, 1, 0, EITHER, 0x01, 0, NULL},
	{"Windows 7 Home Basic Edition", 6, 1, 0, EITHER, 0x02, 0, NULL},
	{"Windows 7 Home Premium Edition", 6, 1, 0, EITHER, 0x03, 0, NULL},
	{"Windows 7 Enterprise", 6, 1, 0, EITHER, 0x04, 0, NULL},
	{"Windows 7 Home Basic N Edition", 6, 1, 0, EITHER, 0x05, 0, NULL},
	{"Windows Server 2008 R2", 6, 1, 0, EITHER, 0x07, 0, NULL},
	{"Windows Server 2008 R2 Datacenter Edition", 6, 1, 0, EITHER, 0x08, 0, NULL},
	{"Windows Server 2008 R2 Enterprise Edition", 6, 1, 0, EITHER, 0x0A, 0, NULL},
	{"Windows 7 Starter", 6, 1, 0, EITHER, 0x0B, 0, NULL},
	{"Windows Server 2008 R2 Datacenter (Core installation)", 6, 1, 0, EITHER, 0x0C, 0, NULL},
	{"Windows Server 2008 R2 (Core Installation)", 6, 1, 0, EITHER, 0x0D, 0, NULL},
	{"Windows Server 2008 R2 Enterprise (Core Installation)", 6, 1, 0, EITHER, 0x0E, 0, NULL},
	{"Windows Server 2008 R2 for Itanium-Based Systems", 6, 1, 0, EITHER, 0x0F, 0, NULL},
	{"Windows Web Server 2008 R2", 6, 1, 0, EITHER, 0x11, 0, NULL},
	{"Windows Web Server 2008 R2 HPC Edition", 6, 1, 0, EITHER, 0x12, 0, NULL},
	{"Windows 7 Home Premium N", 6, 1, 0, EITHER, 0x1A, 0, NULL},
	{"Windows 7 Enterprise N", 6, 1, 0, EITHER, 0x1B, 0, NULL},
	{"Windows 7 Ultimate N", 6, 1, 0, EITHER, 0x1C, 0, NULL},
	{"Windows Server 2008 R2 (Core Installation)", 6, 1, 0, EITHER, 0x1D, 0, NULL},
	{"Windows Server 2008 R2 Standard without Hyper-V", 6, 1, 0, EITHER, 0x24, 0, NULL},
	{"Windows Server 2008 R2 Datacenter without Hyper-V", 6, 1, 0, EITHER, 0x25, 0, NULL},
	{"Windows Server 2008 R2 Enterprise without Hyper-V", 6, 1, 0, EITHER, 0x26, 0, NULL},
	{"Windows Server 2008 R2 Datacenter without Hyper-V (Core Installation)", 6, 1, 0, EITHER, 0x27, 0, NULL},
	{"Windows Server 2008 R2 Standard without Hyper-V (Core Installation)", 6, 1, 0, EITHER, 0x28, 0, NULL},
	{"Windows Server 2008 R2 Enterprise without Hyper-V (Core Installation)", 6, 1, 0, EITHER, 0x29, 0, NULL},
	{"Microsoft Hyper-V Server 2008 R2", 6, 1, 0, EITHER, 0x2A, 0, NULL},
	{"Windows 7 Starter N", 6, 1, 0, EITHER, 0x2F, 0, NULL},
	{"Windows 7 Professional", 6, 1, 0, EITHER, 0x30, 0, NULL},
	{"Windows 7 Professional N", 6, 1, 0, EITHER, 0x31, 0, NULL},
	{"Windows Vista Business", 6, 0, 0, EITHER, 0x06, 0, NULL},
	{"Windows Vista Business N Edition", 6, 0, 0, EITHER, 0x10, 0, NULL},
	{"Windows Cluster Server Edition", 6, 0, 0, EITHER, 0x12, 0, NULL},
	{"Windows Server Datacenter Edition Full Installation", 6, 0, 0, EITHER, 0x08, 0, NULL},
	{"Windows Server Datacenter Edition Core Installation", 6, 0, 0, EITHER, 0x0C, 0, NULL},
	{"Windows Vista Enterprise", 6, 0, 0, EITHER, 0x04, 0, NULL},
	{"Windows Server Enterprise Edition Full Installation", 6, 0, 0, EITHER, 0x0A, 0, NULL},
	{"Windows Server Enterprise Edition Core Installation", 6, 0, 0, EITHER, 0x0E, 0, NULL},
	{"Windows Server Enterprise Edition For Itanium Based Systems", 6, 0, 0, EITHER, 0x0F, 0, NULL},
	{"Windows Vista Home Basic Edition", 6, 0, 0, EITHER, 0x02, 0, NULL},
	{"Windows Vista Home Basic N Edition", 6, 0, 0, EITHER, 0x05, 0, NULL},
	{"Windows Vista Home Premium Edition", 6, 0, 0, EITHER, 0x03, 0, NULL},
	{"Windows Home Server Edition", 6, 0, 0, EITHER, 0x13, 0, NULL},
	{"Windows Server For Small Business Edition", 6, 0, 0, EITHER, 0x18, 0, NULL},
	{"Windows Small Business Server", 6, 0, 0, EITHER, 0x09, 0, NULL},
	{"Windows Small Business Server Premium Edition", 6, 0, 0, EITHER, 0x19, 0, NULL},
	{"Windows Server Standard Edition Full Installation", 6, 0, 0, EITHER, 0x07, 0, NULL},
	{"Windows Server Standard Edition Core Installation", 6, 0, 0, EITHER, 0x0D, 0, NULL},
	{"Windows Vista Starter Edition", 6, 0, 0, EITHER, 0x0B, 0, NULL},
	{"Windows Storage Server Enterprise Edition", 6, 0, 0, EITHER, 0x17, 0, NULL},
	{"Windows Storage Server Express Edition", 6, 0, 0, EITHER, 0x14, 0, NULL},
	{"Windows Storage Server Standard Edition", 6, 0, 0, EITHER, 0x15, 0, NULL},
	{"Windows Storage Server Workgroup Edition", 6, 0, 0, EITHER, 0x16, 0, NULL},
	{"Windows Vista Ultimate", 6, 0, 0, EITHER, 0x01, 0, NULL},
	{"Windows Web Server Edition", 6, 0, 0, EITHER, 0x11, 0, NULL},
	{"Windows Vista Home Premium N Edition", 6, 0, 0, EITHER, 0x1A, 0, NULL},
	{"Windows Vista Enterprise N Edition", 6, 0, 0, EITHER, 0x1B, 0, NULL},
	{"Windows Vista Ultimate N Edition", 6, 0, 0, EITHER, 0x1C, 0, NULL},
	{"Windows Web Server 2008 Edition (core installation)", 6, 0, 0, EITHER, 0x1D, 0, NULL},
	{"Windows for Essential Server Solutions 2008 without Hyper-V", 6, 0, 0, EITHER, 0x23, 0, NULL},
	{"Windows Server 2008 Standard without Hyper-V", 6, 0, 0, EITHER, 0x24, 0, NULL},
	{"Windows Server 2008 Datacenter operating system without Hyper-V", 6, 0, 0, EITHER, 0x25, 0, NULL},
	{"Windows Server 2008 Enterprise operating system without Hyper-V", 6, 0, 0, EITHER, 0x26, 0, NULL},
	{"Windows Server 2008 Datacenter without Hyper-V (Core Installation)", 6, 0, 0, EITHER, 0x27, 0, NULL},
	{"Windows Server 2008 Standard without Hyper-V (Core Installation)", 6, 0, 0, EITHER, 0x28, 0, NULL},
	{"Windows Server 2008 Enterprise without Hyper-V (Core Installation)", 6, 0, 0, EITHER, 0x29, 0, NULL},
	{"Microsoft Hyper-V Server", 6, 0, 0, EITHER, 0x2A, 0, NULL},
	{"Windows Server 2003 R2 Web Edition operating system", 5, ANY, 0x400, EITHER, 0, 89, NULL},
	{"Windows Server 2003 Web Edition", 5, ANY, 0x400, EITHER, 0, 0, NULL},
	{"Windows Server 2003 R2 operating system Compute Cluster Edition", 5, ANY, 0x4000, EITHER, 0, 89, NULL},
	{"Windows Server 2003 operating system Compute Cluster Edition", 5, ANY, 0x4000, EITHER, 0, 0, NULL},
	{"Windows Server 2003 R2 Datacenter Edition operating system", 5, 2, 0x80, EITHER, 0, 89, "X86"},
	{"Windows Server 2003 R2 Datacenter x64 Edition operating system", 5, 2, 0x80, EITHER, 0, 89, "AMD64"},
	{"Windows Server 2003 Datacenter Edition operating system", 5, 2, 0x80, EITHER, 0, 0, "X86"},
	{"Windows Server 2003 x64 Datacenter Edition operating system", 5, 2, 0x80, EITHER, 0, 0, "AMD64"},
	{"Windows Server 2003 R2 Datacenter Edition for Itanium-based Systems operating system",
		5, 2, 0x80, EITHER, 0, 0, "IA64"},
	{"Windows 2000 Datacenter Server operating system", 5, ANY, 0x80, EITHER, 0, 0, NULL},
	{"Windows Server 2003 R2 Enterprise Edition operating system", 5, 2, 0x2, EITHER, 0, 89, "X86"},
	{"Windows Server 2003 R2 Enterprise x64 Edition operating system", 5, 2, 0x2, EITHER, 0, 89, "AMD64"},
	{"Windows Server 2003 Enterprise Edition operating system", 5, 2, 0x2, EITHER, 0, 0, "X86"},
	{"Windows Server 2003 Enterprise x64 Edition operating system", 5, 2, 0x2, EITHER, 0, 0, "AMD64"},
	{"Windows Server 2003 Enterprise Edition Itanium", 5, 2, 0x2, EITHER, 0, 0, "IA64"},
	{"Windows 2000 Advanced Server operating system", 5, ANY, 0x2, EITHER, 0, 0, NULL},
	{"Windows XP Embedded", 5, ANY, 0x40, EITHER, 0, 0, NULL},
	{"Windows XP Home Edition", 5, ANY, 0x200, EITHER, 0, 0, NULL},
	{"Windows Storage Server 2003 R2 operating system, Standard Edition", 5, ANY, 0x2000, EITHER, 0, 89, NULL},
	{"Windows Storage Server 2003 operating system", 5, ANY, 0x2000, EITHER, 0, 0, NULL},
	{"Windows 2000 Server Professional", 5, 0, 0, CLIENT, 0, 0, NULL},
	{"Windows 2000 Server", 5, 0, 0, SERVER, 0, 0, NULL},
	{"Windows XP Media Center Edition", 5, 1, 0, EITHER, 0, 87, NULL},
	{"Windows XP Starter Edition operating system", 5, 1, 0, EITHER, 0, 88, NULL},
	{"Windows XP Tablet PC Edition", 5, 1, 0, EITHER, 0, 86, NULL},
	{"Windows XP Professional operating system", 5, 1, 0, EITHER, 0, 0, "X86"},
	{"Windows XP 64-Bit Edition operating system for Itanium systems", 5, 1, 0, EITHER, 0, 0, "IA64"},
	{"Windows XP Professional x64 Edition operating system", 5, 2, 0, CLIENT, 0, 0, "AMD64"},
	{"Windows XP Professional x64 Edition Version 2003", 5, 2, 0, CLIENT, 0, 0, "IA64"},
	{"Windows Server 2003 R2 Standard Edition operating system", 5, 2, 0, EITHER, 0, 89, "X86"},
	{"Windows Server 2003 R2 Standard Edition", 5, 2, 0, EITHER, 0, 89, "AMD64"},
	{"Windows Server 2003 Standard Edition operating system", 5, 2, 0, SERVER, 0, 0, "X86"},
	{"Windows Server 2003 Standard x64 Edition operating system", 5, 2, 0, SERVER, 0, 0, "AMD64"},
};

static bool contains(struct slice s, struct slice part)
{
	for (size_t i = 0; i + part.n <= s.n; i++)
		if (text_ieq((struct slice){s.p + i, part.n}, part))
			return true;
	return false;
}

static bool fits(const struct row *r, const struct ComputerInfo *i)
{
	return r->major == i->OSMajorVersion && (r->minor == ANY || r->minor == i->OSMinorVersion) &&
	       (r->suite == 0 || (i->SuiteMask & r->suite) != 0) &&
	       (r->type != CLIENT || i->OldProductType == 1) && (r->type != SERVER || i->OldProductType > 1) &&
	       (r->product == 0 || r->product == i->NewProductType) &&
	       (r->metric == 0 || r->metric == i->SystemMetrics) &&
	       (!r->cpu || contains(i->ProcessorArchitecture, slice_of(r->cpu)));
}

struct slice os_name(const struct ComputerInfo *i)
{
	if (i->OSMajorVersion >= 10 && i->OSDescription.n > 0)
		return i->OSDescription;
	for (size_t k = 0; k < COUNTOF(rows); k++)
		if (fits(&rows[k], i))
			return slice_of(rows[k].name);
	return i->OSDescription.n > 0 ? i->OSDescription : SL("");
}
