/* soap.h -- envelopes and faults of SOAP 1.1 and 1.2, pure on bytes.
 *
 * Reading is independent of prefixes: Envelope and Body are found by namespace, the operation is the first
 * child element of Body (TRANSPORT-11), headers are skipped.  Writing follows what real servers send, in
 * the two dialects of facts: ClientWebService uses s:, no XML declaration, xsi and xsd on Body; the others
 * use soap:, a declaration, xsi and xsd on Envelope. */
#ifndef COMMON_SOAP_H
#define COMMON_SOAP_H

#include "common/base.h"
#include "common/err.h"
#include "common/rope.h"
#include "common/wire.h"

struct arena;
struct xml;

enum soap_version { SOAP_11, SOAP_12 };
enum soap_dialect { SOAP_CLIENT, SOAP_ASMX }; /* s: without declaration; soap: with it */

#define SOAP_NS11 "http://schemas.xmlsoap.org/soap/envelope/"
#define SOAP_NS12 "http://www.w3.org/2003/05/soap-envelope"

struct soap_in {
	enum soap_version version;
	struct slice ns, name; /* of the operation element; copied into the arena */
};

/* Reads up to and including the XML_OPEN of the operation element; x stays there for wire_read(). */
int soap_open(struct xml *x, struct soap_in *out, struct arena *a, struct err *e) MUST_CHECK;
/* After the operation was read: the rest must be a second-child-free Body and Envelope, then the end. */
int soap_close(struct xml *x, struct err *e) MUST_CHECK;

/* Writes the envelope with <NAME xmlns="NS"> around the fields of *msg.  A message without fields present
 * is written as an empty element. */
void soap_write(struct rope *r, enum soap_version v, enum soap_dialect d, struct slice ns, const char *name,
	const struct wtype *t, const void *msg);

struct soap_fault {
	const char *code;     /* ErrorCode, or NULL: a plain fault whose faultstring is `message` */
	struct slice message; /* Message of the detail, may be empty */
	struct slice method;  /* SOAPAction with its quotes, may be empty */
	struct slice actor;   /* faultactor, absent = not written */
	struct guid id;       /* fresh per fault, logged (SOAPFAULT-07) */
	bool ours;            /* faultcode Server (Receiver), else Client (Sender) */
	bool not_understood;  /* ... or MustUnderstand */
};
void soap_write_fault(struct rope *r, enum soap_version v, enum soap_dialect d, const struct soap_fault *f);

/* For clients: reads a fault's detail whatever its prefixes; *code absent if it has none. */
int soap_read_fault(struct slice body, struct arena *a, struct slice *code, struct slice *message,
	struct err *e) MUST_CHECK;

const char *soap_content_type(enum soap_version v);

#endif
