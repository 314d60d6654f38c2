/* Places in a text that look like personal data: for the data audit, which counts and locates them and never shows them.
 *
 *     static void found(void *user, hn_personal kind, size_t from, size_t to) { ... }
 *     hn_personal_scan(hn_str_of("Call +49 30 901820 or write to a.b@firm.de"), found, user);
 *
 * e-mail   local part, @, a domain with a top level of letters
 * phone    with a country code ("+49 30 901820", "0049 ..."), North American ("(212) 736-5000"), or national from 0 in groups
 * IBAN     of the country's length, with right check digits (ISO 13616, mod 97)
 * card     a number in an issuer's range and length whose check digit is right (Luhn)
 * IP       an address that is routed publicly
 * What is reserved for examples is no personal data: domains such as example.com (RFC 2606), telephone numbers 555-01xx, addresses of
 * documentation and private networks (RFC 5737, 3849, 1918). All this is by form alone: names and street addresses are not seen.
 * Ownership: plain values. Threading: a pure function. */
#ifndef HN_TEXT_PERSONAL_DATA_H
#define HN_TEXT_PERSONAL_DATA_H

#include "base/str.h"

typedef enum hn_personal {
    HN_PERSONAL_EMAIL,
    HN_PERSONAL_PHONE,
    HN_PERSONAL_IBAN,
    HN_PERSONAL_CARD,
    HN_PERSONAL_IP,
    HN_PERSONAL_COUNT
} hn_personal;

/* Called for bytes [from, to) of the text, in order, without overlaps. */
typedef void hn_personal_fn(void *user, hn_personal kind, size_t from, size_t to);
void hn_personal_scan(hn_str text, hn_personal_fn *found, void *user);

#endif
