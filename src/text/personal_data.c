/* Personal data by its form; see personal_data.h. One pass; each start that could be something is tried with the strictest form first. */
#include "text/personal_data.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static bool is_upper(unsigned char c) { return c >= 'A' && c <= 'Z'; }
static bool is_letter(unsigned char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static bool is_word(unsigned char c) { return is_digit(c) || is_letter(c) || c == '_' || c >= 0x80; }
static unsigned char at(hn_str t, size_t i) { return i < t.len ? (unsigned char)t.data[i] : 0; }
static bool starts_word(hn_str t, size_t i) { return i == 0 || !is_word(at(t, i - 1)); }

/* ---- e-mail ---- */

static bool ends_in(hn_str s, const char *suffix) {
    size_t n = strlen(suffix);
    if (s.len < n) return false;
    for (size_t i = 0; i < n; i++)
        if ((s.data[s.len - n + i] | 32) != (suffix[i] | 32)) return false;
    return s.len == n || s.data[s.len - n - 1] == '.';
}

static bool is_reserved_domain(hn_str domain) {
    static const char *const names[] = {"example.com", "example.org", "example.net", "example",
                                        "test",        "invalid",     "localhost"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ends_in(domain, names[i])) return true;
    return false;
}

/* `i`: an @. */
static bool email_at(hn_str t, size_t i, size_t *from, size_t *to) {
    size_t start = i, end = i + 1, dot = 0;
    while (start > 0 &&
           (is_digit(at(t, start - 1)) || is_letter(at(t, start - 1)) || strchr("._%+-", at(t, start - 1))) &&
           at(t, start - 1) && i - start < 64)
        start--;
    for (; is_digit(at(t, end)) || is_letter(at(t, end)) || at(t, end) == '-' || at(t, end) == '.'; end++) {
        if (at(t, end) != '.') continue;
        if (at(t, end - 1) == '.' || at(t, end - 1) == '@' || !is_word(at(t, end + 1))) break;
        dot = end;
    }
    if (start == i || !dot || end - dot < 3) return false;
    for (size_t k = dot + 1; k < end; k++)
        if (!is_letter(at(t, k))) return false;
    *from = start;
    *to = end;
    return !is_reserved_domain((hn_str){t.data + i + 1, end - i - 1});
}

/* ---- IBAN ---- */

/* Country and length (ISO 13616 registry). */
static const char iban_lengths[] =
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18"
    "FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20"
    "LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19"
    "SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";

static int iban_length(unsigned char a, unsigned char b) {
    for (const char *p = iban_lengths; *p; p += 4)
        if (p[0] == (char)a && p[1] == (char)b) return (p[2] - '0') * 10 + p[3] - '0';
    return 0;
}

static bool iban_at(hn_str t, size_t i, size_t *to) {
    char text[40];
    int wanted = iban_length(at(t, i), at(t, i + 1)), n = 0;
    size_t k = i;
    if (!wanted || !is_digit(at(t, i + 2)) || !is_digit(at(t, i + 3)) || !starts_word(t, i)) return false;
    for (; n < wanted && k < t.len; k++) {
        unsigned char c = at(t, k);
        if ((c == ' ' || c == '-') && n >= 4 && (is_digit(at(t, k + 1)) || is_upper(at(t, k + 1)))) continue;
        if (!is_digit(c) && !is_upper(c)) return false;
        text[n++] = (char)c;
    }
    if (n < wanted || is_word(at(t, k))) return false;
    unsigned rest = 0;
    for (int m = 0; m < n; m++) {
        unsigned char c = (unsigned char)text[(m + 4) % n];
        rest = is_digit(c) ? (rest * 10 + c - '0') % 97 : (rest * 100 + c - 'A' + 10) % 97;
    }
    *to = k;
    return rest == 1;
}

/* ---- runs of digits: cards and phones ---- */

typedef struct digits {
    char d[24];              /* the digits */
    int n;                   /* more than 23: too long for anything */
    int groups[8], n_groups; /* lengths of the groups between separators; n_groups past 8: not kept */
    bool separated;
    char separators[4]; /* which kinds there were */
    int n_kinds;
    size_t to; /* behind the last digit */
} digits;

static void note_separator(digits *r, char c) {
    for (int i = 0; i < r->n_kinds; i++)
        if (r->separators[i] == c) return;
    if (r->n_kinds < 4) r->separators[r->n_kinds++] = c;
}

/* Digits from `i` on, with single separators of `allowed` between them (") " and " (" count as one). */
static void take_digits(hn_str t, size_t i, const char *allowed, digits *r) {
    *r = (digits){.to = i};
    int group = 0;
    for (size_t k = i; k < t.len; k++) {
        unsigned char c = at(t, k);
        if (is_digit(c)) {
            if (r->n < 24) r->d[r->n < 23 ? r->n : 23] = (char)c;
            if (r->n < 25) r->n++;
            group++;
            r->to = k + 1;
            continue;
        }
        size_t skip = 0;
        while (skip < 2 && at(t, k + skip) && strchr(allowed, at(t, k + skip))) skip++;
        if (skip == 2 && !(at(t, k) == ')' || at(t, k + 1) == '(')) break;
        if (skip == 0 || !is_digit(at(t, k + skip))) break;
        for (size_t s = 0; s < skip; s++) note_separator(r, (char)at(t, k + s));
        if (r->n_groups < 8) r->groups[r->n_groups] = group;
        r->n_groups++;
        group = 0;
        r->separated = true;
        k += skip - 1;
    }
    if (r->n_groups < 8) r->groups[r->n_groups] = group;
    r->n_groups++;
}

static bool luhn(const char *d, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) {
        int value = d[n - 1 - i] - '0';
        if (i % 2) value = value * 2 > 9 ? value * 2 - 9 : value * 2;
        sum += value;
    }
    return sum % 10 == 0;
}

/* Issuers' ranges with the lengths they use. */
static bool is_card_range(const char *d, int n) {
    int two = (d[0] - '0') * 10 + d[1] - '0', four = two * 100 + (d[2] - '0') * 10 + d[3] - '0';
    if (d[0] == '4') return n == 13 || n == 16 || n == 19;
    if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return n == 16;
    if (two == 34 || two == 37) return n == 15;
    if (two == 36 || two == 38 || two == 30) return n == 14 || n == 16;
    return (four == 6011 || two == 65 || two == 62 || two == 35 || (four >= 6440 && four <= 6499)) && n >= 16 &&
           n <= 19;
}

static bool card_at(hn_str t, size_t i, size_t *to) {
    digits r;
    take_digits(t, i, " -", &r);
    *to = r.to;
    if (r.n < 13 || r.n > 19 || r.n_kinds > 1 || r.n_groups > 5 || is_word(at(t, r.to))) return false;
    for (int g = 0; r.separated && g < r.n_groups - 1; g++)
        if (r.groups[g] < 4) return false;
    return is_card_range(r.d, r.n) && luhn(r.d, r.n);
}

/* 555-01xx is kept for stories. */
static bool is_fictional(const digits *r) { return r->n >= 7 && r->n < 24 && memcmp(r->d + r->n - 7, "55501", 5) == 0; }

static bool is_date(const digits *r) {
    if (r->n_groups != 3) return false;
    return (r->groups[0] <= 2 && r->groups[1] <= 2 && r->groups[2] == 4) ||
           (r->groups[0] == 4 && r->groups[1] <= 2 && r->groups[2] <= 2);
}

static bool phone_at(hn_str t, size_t i, size_t *to) {
    digits r;
    bool plus = at(t, i) == '+', bracket = at(t, i) == '(';
    take_digits(t, i + (plus || bracket), plus || bracket ? " .-()/" : " .-/", &r);
    *to = r.to;
    if (r.n > 15 || is_word(at(t, r.to)) || r.n_groups > 7 || is_fictional(&r)) return false;
    if (plus) return r.n >= 8 && r.d[0] != '0';
    bool american =
        r.n == 10 && r.n_groups == 3 && r.groups[0] == 3 && r.groups[1] == 3 && r.d[0] >= '2' && r.d[3] >= '2';
    if (american) return true;
    if (r.d[0] != '0' || is_date(&r)) return false;
    if (r.d[1] == '0') return r.n >= 11 && r.d[2] != '0' && r.separated;
    return r.separated && r.n >= 9 && r.n <= 12 && r.n_groups <= 6 && r.groups[0] >= 2 &&
           !(r.n_kinds == 1 && r.separators[0] == '.' && r.n_groups < 4);
}

/* ---- addresses ---- */

static bool is_public_v4(const unsigned char b[4]) {
    if (b[0] == 0 || b[0] == 10 || b[0] == 127 || b[0] >= 224) return false;
    if ((b[0] == 172 && b[1] >= 16 && b[1] < 32) || (b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254))
        return false;
    if ((b[0] == 192 && b[1] == 0 && b[2] <= 2) || (b[0] == 198 && (b[1] == 18 || b[1] == 19))) return false;
    return !((b[0] == 198 && b[1] == 51 && b[2] == 100) || (b[0] == 203 && b[1] == 0 && b[2] == 113) ||
             (b[0] == 100 && b[1] >= 64 && b[1] < 128));
}

/* The whole run of letters, digits, dots and colons must be the address: not a version, not a name in code. */
static bool ip_at(hn_str t, size_t i, size_t *to) {
    char text[48];
    unsigned char bytes[16];
    size_t end = i, colons = 0, dots = 0, n_digits = 0;
    while (is_word(at(t, end)) || at(t, end) == '.' || at(t, end) == ':') {
        colons += at(t, end) == ':';
        dots += at(t, end) == '.';
        n_digits += is_digit(at(t, end));
        if (++end - i > 45) return false;
    }
    while (end > i && (at(t, end - 1) == '.' || at(t, end - 1) == ':')) { /* the sentence's */
        colons -= at(t, end - 1) == ':';
        dots -= at(t, end - 1) == '.';
        end--;
    }
    if (colons == 1 && dots == 3) /* a port */
        while (end > i && at(t, end) != ':') end--;
    memcpy(text, t.data + i, end - i);
    text[end - i] = 0;
    *to = end;
    if (dots == 3 && colons <= 1 && end - i >= 7) return inet_pton(AF_INET, text, bytes) == 1 && is_public_v4(bytes);
    if (dots || colons < 3 || n_digits < 3 || inet_pton(AF_INET6, text, bytes) != 1) return false;
    bool documentation = bytes[0] == 0x20 && bytes[1] == 1 && bytes[2] == 0x0D && bytes[3] == 0xB8;
    return (bytes[0] & 0xE0) == 0x20 && !documentation;
}

/* ---- the pass ---- */

static bool after_version(hn_str t, size_t i) {
    return i > 0 && (at(t, i - 1) == '.' || at(t, i - 1) == '-' || at(t, i - 1) == '#');
}

/* What begins at `i`, if anything. */
static bool something_at(hn_str t, size_t i, hn_personal *kind, size_t *to) {
    unsigned char c = at(t, i);
    if (is_upper(c) && is_upper(at(t, i + 1)) && iban_at(t, i, to)) {
        *kind = HN_PERSONAL_IBAN;
        return true;
    }
    bool hex = is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
    if (!starts_word(t, i) || after_version(t, i)) return false;
    if (hex && ip_at(t, i, to)) {
        *kind = HN_PERSONAL_IP;
        return true;
    }
    if (is_digit(c) && card_at(t, i, to)) {
        *kind = HN_PERSONAL_CARD;
        return true;
    }
    *kind = HN_PERSONAL_PHONE;
    return (is_digit(c) || ((c == '+' || c == '(') && is_digit(at(t, i + 1)))) && phone_at(t, i, to);
}

/* Behind a digit that began nothing: the rest of its run cannot begin anything either. */
static size_t skip_run(hn_str t, size_t i) {
    while (is_digit(at(t, i))) i++;
    return i;
}

void hn_personal_scan(hn_str text, hn_personal_fn *found, void *user) {
    for (size_t i = 0, done = 0; i < text.len;) {
        unsigned char c = at(text, i);
        size_t from = i, to = i + 1;
        hn_personal kind = HN_PERSONAL_EMAIL;
        bool hit = false;
        if (c == '@')
            hit = email_at(text, i, &from, &to) && from >= done;
        else if (is_digit(c) || is_letter(c) || c == '+' || c == '(')
            hit = something_at(text, i, &kind, &to);
        if (hit) {
            found(user, kind, from, to);
            i = done = to;
        } else {
            i = is_digit(c) ? skip_run(text, i + 1) : i + 1;
        }
    }
}
