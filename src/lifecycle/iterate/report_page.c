/* The frame of a report's page; see report_page.h. */
#include "lifecycle/iterate/report_page.h"

#include "format/markdown.h"

static const char style[] =
    ":root{color-scheme:light "
    "dark;--back:#fff;--text:#1d2430;--soft:#5d6878;--rule:#dfe4ea;--mark:#1f6feb;--base:#8a94a3;--good:#1a7f37;--bad:#"
    "c2352b;--panel:#f5f7f9}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#14181d;--text:#e4e9ef;--soft:#9aa6b5;--rule:#2d353f;--mark:#"
    "6ea8ff;--base:#8592a3;--good:#4cc26a;--bad:#ff7b70;--panel:#1c2229}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:1060px;padding:24px 20px "
    "60px;background:var(--back);color:var(--text);font:15px/1.5 system-ui,\"Segoe UI\",Roboto,\"DejaVu "
    "Sans\",sans-serif;overflow-wrap:anywhere}\n"
    "h1{font-size:26px;margin:0 0 4px}h2{font-size:20px;margin:40px 0 10px;border-top:1px solid "
    "var(--rule);padding-top:24px}h3{font-size:16px;margin:24px 0 8px}p{margin:6px 0}.soft{color:var(--soft)}\n"
    "table{border-collapse:collapse;margin:8px 0;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:4px "
    "14px 4px 0;border-bottom:1px solid "
    "var(--rule);vertical-align:top}th{font-weight:600;color:var(--soft)}.n{text-align:right}\n"
    "figure{margin:12px "
    "0;overflow-x:auto}figcaption{color:var(--soft)}svg{max-width:100%;height:auto;font-size:12px}svg "
    ".text{fill:var(--text)}svg "
    ".over{fill:var(--back)}.grid{stroke:var(--rule)}.axis{stroke:var(--soft);stroke-dasharray:4 "
    "4}.line{stroke:var(--mark);stroke-width:2.5}.line.quiet{stroke:var(--base)}circle.mark,rect.mark{fill:var(--mark)}"
    "circle.base,rect.base{fill:var(--base)}rect.quiet{fill:var(--base);fill-opacity:.35}.cell{fill:var(--bad)}.cell."
    "good{fill:var(--good)}\n"
    "pre{background:var(--panel);padding:12px;border-radius:6px;white-space:pre-wrap;font:13px/1.45 "
    "ui-monospace,\"DejaVu Sans Mono\",monospace}details{border-bottom:1px solid var(--rule);padding:5px "
    "0}summary{cursor:pointer}.case p{margin:6px 0 6px "
    "16px;white-space:pre-wrap}.better{color:var(--good)}.worse{color:var(--bad)}\n"
    "input.search{width:100%;max-width:420px;padding:7px 10px;border:1px solid "
    "var(--rule);border-radius:6px;background:var(--panel);color:var(--text);font:inherit}[hidden]{display:none}\n"
    "@media "
    "print{body{max-width:none;padding:0;font-size:11px}input.search{display:none}h2{break-before:auto}figure,table,"
    "details{break-inside:avoid}:root{--back:#fff;--text:#000;--soft:#444;--rule:#ccc;--panel:#f4f4f4;--mark:#1f6feb;--"
    "base:#777}}\n";

/* Its hash stands in the policy below; tests/unit/test_report.c holds the two together. */
const char hn_report_page_script[] =
    "\"use strict\";for(const box of document.querySelectorAll(\"input.search\")){const list=document.getElem"
    "entById(box.dataset.list);box.addEventListener(\"input\",()=>{const wanted=box.value.toLowerCase();for"
    "(const row of list.children)row.hidden=!row.textContent.toLowerCase().includes(wanted)})}";

static const char policy[] =
    "default-src 'none'; style-src 'unsafe-inline'; script-src "
    "'sha256-PuVU7v3e24/ObTCNtWabiw+uB1yRU/nGdyRNav9M6Z0='; base-uri 'none'; form-action 'none'";

void hn_report_page_begin(const char *title, hn_buf *out) {
    hn_buf_append_str(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
                           "http-equiv=\"Content-Security-Policy\" content=\"");
    hn_html_append(out, policy);
    hn_buf_append_str(out, "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    hn_html_append(out, title);
    hn_buf_append_str(out, "</title>\n<style>\n");
    hn_buf_append_str(out, style);
    hn_buf_append_str(out, "</style>\n</head>\n<body>\n");
}

void hn_report_page_end(hn_buf *out) {
    hn_buf_append_str(out, "<script>");
    hn_buf_append_str(out, hn_report_page_script);
    hn_buf_append_str(out, "</script>\n</body>\n</html>\n");
}
