/* Escaping for Markdown and HTML; see markdown.h. Markdown renderers pass HTML through, so < and & are escaped there, too, and every mark
 * that can begin or end markup gets a backslash (CommonMark allows one before any ASCII punctuation). */
#include "format/markdown.h"

#include "base/utf8.h"

#include <string.h>

static bool is_control(uint32_t cp) {
    return (cp < 0x20 && cp != '\n' && cp != '\t') || (cp >= 0x7F && cp < 0xA0) || (cp >= 0x202A && cp <= 0x202E) ||
           (cp >= 0x2066 && cp <= 0x2069); /* the last two turn the direction of the text around them */
}

static void append_mark(hn_buf *out, uint32_t cp) {
    if (cp == '<')
        hn_buf_append_str(out, "&lt;");
    else if (cp == '&')
        hn_buf_append_str(out, "&amp;");
    else if (cp == '>')
        hn_buf_append_str(out, "&gt;");
    else {
        if (cp < 0x80 && strchr("\\`*_{}[]()#+!|~", (int)cp)) hn_buf_append_char(out, '\\');
        hn_buf_append_codepoint(out, cp);
    }
}

/* A dash or number at a line's start would begin a list, "=" or "-" underline a heading. */
static bool begins_block(uint32_t cp) { return cp == '-' || cp == '='; }

static void append_markdown(hn_buf *out, const char *text, bool one_line, size_t max_chars) {
    size_t n = strlen(text), chars = 0;
    bool space = false, start = true;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += hn_utf8_decode(text + i, n - i, &cp);
        if (is_control(cp)) continue;
        if (one_line && hn_unicode_is_space(cp)) {
            space = chars > 0;
            continue;
        }
        chars += space;
        if (max_chars && chars >= max_chars) {
            hn_buf_append_str(out, " ...");
            return;
        }
        if (space) hn_buf_append_char(out, ' ');
        if (start && begins_block(cp)) hn_buf_append_char(out, '\\');
        append_mark(out, cp);
        start = cp == '\n';
        space = false;
        chars++;
    }
}

void hn_md_append(hn_buf *out, const char *text) { append_markdown(out, text, false, 0); }
void hn_md_append_line(hn_buf *out, const char *text, size_t max_chars) { append_markdown(out, text, true, max_chars); }
void hn_md_append_cell(hn_buf *out, const char *text) { append_markdown(out, text, true, 0); }

void hn_md_append_code(hn_buf *out, const char *language, const char *text) {
    size_t longest = 2, run = 0;
    for (const char *p = text; *p; p++) {
        run = *p == '`' ? run + 1 : 0;
        if (run > longest) longest = run;
    }
    hn_buf_append_repeat(out, '`', longest + 1);
    hn_buf_append_str(out, language);
    hn_buf_append_char(out, '\n');
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += hn_utf8_decode(text + i, n - i, &cp);
        if (!is_control(cp)) hn_buf_append_codepoint(out, cp);
    }
    if (n == 0 || text[n - 1] != '\n') hn_buf_append_char(out, '\n');
    hn_buf_append_repeat(out, '`', longest + 1);
    hn_buf_append_char(out, '\n');
}

void hn_html_append_n(hn_buf *out, const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += hn_utf8_decode(text + i, n - i, &cp);
        switch (cp) {
        case '<': hn_buf_append_str(out, "&lt;"); break;
        case '>': hn_buf_append_str(out, "&gt;"); break;
        case '&': hn_buf_append_str(out, "&amp;"); break;
        case '"': hn_buf_append_str(out, "&quot;"); break;
        case '\'': hn_buf_append_str(out, "&#39;"); break;
        default:
            if (!is_control(cp)) hn_buf_append_codepoint(out, cp);
        }
    }
}

void hn_html_append(hn_buf *out, const char *text) { hn_html_append_n(out, text, strlen(text)); }
