/* URI references, RFC 3986 section 5.2, as JSON Schema needs them: resolved, compared as text, the fragment apart. */
#include "format/json_schema_internal.h"

#include <string.h>

typedef struct part {
    const char *at;
    size_t n;
    bool there;
} part;

typedef struct parts {
    part scheme, authority, path, query, fragment;
} parts;

static bool scheme_char(char c, bool first) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (!first && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
}

static parts split(const char *uri) {
    parts p = {0};
    size_t n = 0;
    while (scheme_char(uri[n], n == 0)) n++;
    if (n && uri[n] == ':') {
        p.scheme = (part){uri, n, true};
        uri += n + 1;
    }
    if (uri[0] == '/' && uri[1] == '/') {
        n = strcspn(uri + 2, "/?#");
        p.authority = (part){uri + 2, n, true};
        uri += 2 + n;
    }
    n = strcspn(uri, "?#");
    p.path = (part){uri, n, true};
    uri += n;
    if (*uri == '?') {
        n = strcspn(uri + 1, "#");
        p.query = (part){uri + 1, n, true};
        uri += 1 + n;
    }
    if (*uri == '#') p.fragment = (part){uri + 1, strlen(uri + 1), true};
    return p;
}

/* In place; `path` starts where the path of the whole URI starts. */
static void remove_dots(char *path) {
    char *out = path, *in = path;
    while (*in) {
        if (strncmp(in, "/./", 3) == 0) {
            in += 2;
        } else if (strcmp(in, "/.") == 0) {
            *out++ = '/';
            break;
        } else if (strncmp(in, "/../", 4) == 0 || strcmp(in, "/..") == 0) {
            bool last = in[3] == 0;
            while (out > path && *--out != '/') {
            }
            if (last) {
                *out++ = '/';
                break;
            }
            in += 3;
        } else {
            do *out++ = *in++;
            while (*in && *in != '/');
        }
    }
    *out = 0;
}

static char *put(char *out, part p) {
    if (p.n) memcpy(out, p.at, p.n);
    return out + p.n;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char *decode(hn_arena *arena, part p) {
    char *text = hn_arena_alloc(arena, p.n + 1), *out = text;
    if (!text) return NULL;
    for (size_t i = 0; i < p.n; i++) {
        if (p.at[i] == '%' && i + 2 < p.n && hex(p.at[i + 1]) >= 0 && hex(p.at[i + 2]) >= 0) {
            *out++ = (char)(hex(p.at[i + 1]) * 16 + hex(p.at[i + 2]));
            i += 2;
        } else {
            *out++ = p.at[i];
        }
    }
    *out = 0;
    return text;
}

/* The path of `base` up to its last slash, then the reference's. */
static char *merge(char *out, const parts *b, part path) {
    size_t keep = b->path.n;
    while (keep && b->path.at[keep - 1] != '/') keep--;
    if (b->authority.there && !b->path.n) *out++ = '/';
    return put(put(out, (part){b->path.at, keep, true}), path);
}

char *hn_schema_uri_resolve(hn_arena *arena, const char *base, const char *reference, char **fragment) {
    parts b = split(base), r = split(reference), t = r;
    char *text = hn_arena_alloc(arena, strlen(base) + strlen(reference) + 8), *out = text;
    if (!text) return NULL;
    if (fragment) {
        *fragment = r.fragment.there ? decode(arena, r.fragment) : NULL;
        if (r.fragment.there && !*fragment) return NULL;
    }
    bool from_base = !r.scheme.there, merged = false;
    if (from_base) {
        t.scheme = b.scheme;
        if (!r.authority.there) {
            t.authority = b.authority;
            if (!r.path.n) {
                t.path = b.path;
                if (!r.query.there) t.query = b.query;
            } else {
                merged = r.path.at[0] != '/';
            }
        }
    }
    if (t.scheme.there) {
        for (size_t i = 0; i < t.scheme.n; i++) {
            char c = t.scheme.at[i];
            *out++ = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        *out++ = ':';
    }
    if (t.authority.there) {
        *out++ = '/', *out++ = '/';
        out = put(out, t.authority);
    }
    char *path = out;
    out = merged ? merge(out, &b, r.path) : put(out, t.path);
    *out = 0;
    if (*path == '/') remove_dots(path);
    out = path + strlen(path);
    if (t.query.there) {
        *out++ = '?';
        out = put(out, t.query);
    }
    *out = 0;
    return text;
}
