/* rows.h -- what the store holds of the computers' reports, as lines that are the same in every run.
 *
 *	standing ID sync failed 148 at=TIME hresult=0x80240438
 *	standing ID reported|status|rebooted|reboot-since|inventory|sync-good TIME
 *	standing ID skew TICKS | client VERSION | bios NAME DATE | machine BRAND|MODEL|BIOS|ARCHITECTURE OSVERSION LOCALE
 *	standing ID counts needed=2 ... hidden=1 good=1 bad=1
 *	status ID UPDATE needed at=TIME hidden failed=TIME event=182 hresult=0x80240438
 *	events ID 2
 *	event ID 182 source=101 at=TIME received=TIME update=GUID:REVISION hresult=0x80240438 app="" device="" strings="A"|"B" misc=...
 *	cohort all|"GROUP"+"GROUP" computers=1 reported=1 needing=1 ...
 *	tally all|"GROUP"+"GROUP" UPDATE needed=1 ...
 *	activity UPDATE:REVISION os=10.0.26200 good=1 bad=1
 *
 * What is zero, absent or usual is left out: a line tells what there is.  Events stand newest first, equal times by EventInstanceID;
 * statuses, and all that is not of one computer, in the order of the text. */
#ifndef TEST_CASE_ROWS_H
#define TEST_CASE_ROWS_H

#include "store/report.h"

int rows_show(struct txn *t, struct arena *a, struct buf *to, struct err *e) MUST_CHECK;

#endif
