/* The formats of JSON Schema that are checked when asked for: date, date-time, time, email, uuid, uri, uri-reference, ipv4, ipv6,
 * hostname, json-pointer, regex. Written as small scanners: no search, no backtracking. */
#include "format/json_schema_internal.h"

#include <string.h>

typedef struct text {
    const char *at, *end;
} text;

static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool hex(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static bool accept(text *t, char c) {
    if (t->at >= t->end || *t->at != c) return false;
    t->at++;
    return true;
}

/* Exactly `n` digits; -1 where they are not there. */
static int number(text *t, int n) {
    int value = 0;
    for (; n; n--) {
        if (t->at >= t->end || !digit(*t->at)) return -1;
        value = value * 10 + (*t->at++ - '0');
    }
    return value;
}

static bool date(text *t) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = number(t, 4);
    if (year < 0 || !accept(t, '-')) return false;
    int month = number(t, 2);
    if (month < 1 || month > 12 || !accept(t, '-')) return false;
    int day = number(t, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day >= 1 && day <= days[month - 1] + (leap && month == 2);
}

/* RFC 3339 full-time; second 60 only where it is 23:59:60 in UTC. */
static bool time_of_day(text *t) {
    int hour = number(t, 2);
    if (hour < 0 || hour > 23 || !accept(t, ':')) return false;
    int minute = number(t, 2);
    if (minute < 0 || minute > 59 || !accept(t, ':')) return false;
    int second = number(t, 2), offset = 0;
    if (second < 0 || second > 60) return false;
    if (accept(t, '.')) {
        if (number(t, 1) < 0) return false;
        while (t->at < t->end && digit(*t->at)) t->at++;
    }
    if (!accept(t, 'Z') && !accept(t, 'z')) {
        int sign = accept(t, '+') ? 1 : accept(t, '-') ? -1 : 0;
        int hours = sign ? number(t, 2) : -1;
        if (hours < 0 || hours > 23 || !accept(t, ':')) return false;
        int minutes = number(t, 2);
        if (minutes < 0 || minutes > 59) return false;
        offset = sign * (hours * 60 + minutes);
    }
    int utc = (hour * 60 + minute - offset + 2 * 1440) % 1440;
    return second < 60 || utc == 23 * 60 + 59;
}

static bool date_time(text *t) {
    if (!date(t) || !(accept(t, 'T') || accept(t, 't'))) return false;
    return time_of_day(t);
}

static bool uuid(text *t) {
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (t->at >= t->end || (dash ? *t->at != '-' : !hex(*t->at))) return false;
        t->at++;
    }
    return true;
}

static bool ipv4(text *t) {
    for (int i = 0; i < 4; i++) {
        if (i && !accept(t, '.')) return false;
        const char *start = t->at;
        int value = 0;
        while (t->at < t->end && digit(*t->at) && t->at - start < 3) value = value * 10 + (*t->at++ - '0');
        if (t->at == start || value > 255 || (t->at - start > 1 && *start == '0')) return false;
    }
    return true;
}

static bool ipv6(text *t) {
    int groups = 0;
    bool gap = false;
    if (t->end - t->at >= 2 && t->at[0] == ':' && t->at[1] == ':') {
        gap = true;
        t->at += 2;
    }
    while (t->at < t->end && groups < 8) {
        text four = *t;
        if (groups <= 6 && ipv4(&four) && four.at == four.end) {
            t->at = four.at;
            groups += 2;
            break;
        }
        const char *start = t->at;
        while (t->at < t->end && hex(*t->at) && t->at - start < 4) t->at++;
        if (t->at == start) return false;
        groups++;
        if (t->at == t->end) break;
        if (!accept(t, ':')) return false;
        if (t->at < t->end && *t->at == ':') {
            if (gap) return false;
            gap = true;
            t->at++;
        } else if (t->at == t->end) {
            return false;
        }
    }
    return t->at == t->end && (gap ? groups <= 7 : groups == 8);
}

static bool hostname(text *t) {
    if (t->at == t->end || t->end - t->at > 253) return false;
    for (;;) {
        const char *start = t->at;
        while (t->at < t->end && (letter(*t->at) || digit(*t->at) || *t->at == '-')) t->at++;
        size_t n = (size_t)(t->at - start);
        if (!n || n > 63 || *start == '-' || t->at[-1] == '-') return false;
        /* "xn--..." is taken as it is: whether it decodes needs IDNA tables */
        bool dashes = n >= 4 && start[2] == '-' && start[3] == '-';
        if (dashes && strncmp(start, "xn", 2) != 0 && strncmp(start, "XN", 2) != 0) return false;
        if (!accept(t, '.')) return true;
    }
}

static bool email(text *t) {
    const char *at = t->end;
    while (at > t->at && at[-1] != '@') at--;
    if (at == t->at || at - t->at < 2) return false;
    text local = {t->at, at - 1}, host = {at, t->end};
    t->at = t->end;
    if (local.end - local.at > 64) return false;
    if (*local.at == '"') {
        if (local.end - local.at < 2 || local.end[-1] != '"') return false;
        for (const char *c = local.at + 1; c < local.end - 1; c++) {
            if (*c == '\\')
                c++;
            else if (*c == '"')
                return false;
            if (c >= local.end - 1 || (unsigned char)*c < 32 || (unsigned char)*c > 126) return false;
        }
    } else {
        for (const char *c = local.at; c < local.end; c++) {
            bool dot = *c == '.';
            if (dot && (c == local.at || c + 1 == local.end || c[1] == '.')) return false;
            if (!dot && !letter(*c) && !digit(*c) && (!*c || !strchr("!#$%&'*+/=?^_`{|}~-", *c))) return false;
        }
    }
    if (*host.at != '[') return hostname(&host) && host.at == host.end;
    if (host.end[-1] != ']') return false;
    text address = {host.at + 1, host.end - 1};
    if (address.end - address.at > 5 && strncmp(address.at, "IPv6:", 5) == 0) {
        address.at += 5;
        return ipv6(&address);
    }
    return ipv4(&address) && address.at == address.end;
}

/* Characters of RFC 3986 in `t` up to one of `stop`; false where one is not allowed. */
static bool uri_characters(text *t, const char *extra, const char *stop) {
    for (; t->at < t->end && (!*t->at || !strchr(stop, *t->at)); t->at++) {
        char c = *t->at;
        if (c == '%') {
            if (t->end - t->at < 3 || !hex(t->at[1]) || !hex(t->at[2])) return false;
            t->at += 2;
        } else if (!letter(c) && !digit(c) && (!c || (!strchr("-._~!$&'()*+,;=", c) && !strchr(extra, c)))) {
            return false;
        }
    }
    return true;
}

static bool uri_authority(text *t) {
    const char *end = t->at;
    while (end < t->end && !strchr("/?#", *end ? *end : 'x')) end++;
    text part = {t->at, end}, user = part;
    t->at = end;
    if (memchr(part.at, '@', (size_t)(part.end - part.at))) {
        if (!uri_characters(&user, ":", "@") || !accept(&user, '@')) return false;
        part.at = user.at;
    }
    if (accept(&part, '[')) {
        const char *close = memchr(part.at, ']', (size_t)(part.end - part.at));
        text address = {part.at, close};
        if (!close) return false;
        if (part.at < close && (*part.at == 'v' || *part.at == 'V')) {
            address.at++;
            if (!uri_characters(&address, ":", "")) return false;
        } else if (!ipv6(&address)) {
            return false;
        }
        part.at = close + 1;
    } else if (!uri_characters(&part, "", ":")) {
        return false;
    }
    if (accept(&part, ':'))
        while (part.at < part.end && digit(*part.at)) part.at++;
    return part.at == part.end;
}

static bool uri_reference(text *t, bool need_scheme) {
    const char *start = t->at;
    while (t->at < t->end &&
           (letter(*t->at) || (t->at > start && (digit(*t->at) || (*t->at && strchr("+-.", *t->at))))))
        t->at++;
    bool scheme = t->at > start && accept(t, ':');
    if (!scheme) t->at = start;
    if (need_scheme && !scheme) return false;
    if (t->end - t->at >= 2 && t->at[0] == '/' && t->at[1] == '/') {
        t->at += 2;
        if (!uri_authority(t)) return false;
    } else if (!scheme) { /* the first segment of a relative path has no colon */
        text first = *t;
        if (!uri_characters(&first, "@", "/?#")) return false;
    }
    if (!uri_characters(t, ":@/", "?#")) return false;
    if (accept(t, '?') && !uri_characters(t, ":@/?", "#")) return false;
    return !accept(t, '#') || uri_characters(t, ":@/?", "");
}

static bool json_pointer(text *t) {
    if (t->at == t->end) return true;
    if (*t->at != '/') return false;
    for (; t->at < t->end; t->at++)
        if (*t->at == '~' && (t->end - t->at < 2 || (t->at[1] != '0' && t->at[1] != '1'))) return false;
    return true;
}

static bool regex(text *t) {
    void *code;
    const char *problem;
    char message[200];
    hn_status st = hn_schema_pattern_compile(t->at, (size_t)(t->end - t->at), &code, &problem, message);
    hn_schema_pattern_free(code);
    t->at = t->end;
    return st == HN_OK;
}

int hn_json_schema_format(const char *format, const char *at, size_t n) {
    static const char *const names[] = {"date", "date-time", "time", "email",         "uuid",         "ipv4",
                                        "ipv6", "hostname",  "uri",  "uri-reference", "json-pointer", "regex"};
    text t = {at, at + n};
    size_t k = 0;
    bool fine = false;
    while (k < sizeof names / sizeof *names && strcmp(names[k], format) != 0) k++;
    switch (k) {
    case 0: fine = date(&t); break;
    case 1: fine = date_time(&t); break;
    case 2: fine = time_of_day(&t); break;
    case 3: fine = email(&t); break;
    case 4: fine = uuid(&t); break;
    case 5: fine = ipv4(&t); break;
    case 6: fine = ipv6(&t); break;
    case 7: fine = hostname(&t); break;
    case 8: fine = uri_reference(&t, true); break;
    case 9: fine = uri_reference(&t, false); break;
    case 10: fine = json_pointer(&t); break;
    case 11: fine = regex(&t); break;
    default: return -1;
    }
    return fine && t.at == t.end;
}
