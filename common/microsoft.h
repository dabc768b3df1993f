/* microsoft.h -- Microsoft Update as the server above: where it is, and whose word its certificate rests on.
 *
 * Its chain ends at an authority that neither Debian nor any browser has (facts 14), so that it is to be fetched once.  The
 * file's bytes are those of the certificate: their SHA-256 is its fingerprint. */
#ifndef COMMON_MICROSOFT_H
#define COMMON_MICROSOFT_H

#define MICROSOFT_URL "https://sws.update.microsoft.com"
#define MICROSOFT_CA_NAME "Microsoft Root Certificate Authority 2011"
#define MICROSOFT_CA_URL "https://www.microsoft.com/pki/certs/MicRooCerAut2011_2011_03_22.crt"
#define MICROSOFT_CA_PRINT "847DF6A78497943F27FC72EB93F9A637320A02B561D0A91B09E87A7807ED7C61" /* SHA-256 */
/* What to type to have it as FILE. */
#define MICROSOFT_CA_COMMAND(FILE) "curl -s " MICROSOFT_CA_URL " | openssl x509 -inform der -out " FILE
#define MICROSOFT_CA_FILE "/etc/wsus-fcgi/microsoft-ca.pem" /* where the explanations put it */

#endif
