/* Any bytes as a YAML file: it is read or refused with a place; what was read can be walked, named and asked for in every way. */
#include "base/alloc.h"
#include "format/yaml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 keeps a small block of its own after some syntax errors; what is ours must not leak. */
const char *__lsan_default_suppressions(void) { return "leak:libfyaml"; }

static void walk(const hn_yaml_node *node) {
    static const char *const names[] = {"messages", "examples", "a"};
    char text[300];
    const char *string;
    bool flag;
    int64_t integer;
    double real;
    int index, line, column;
    hn_error err;
    hn_yaml_where(node, text, sizeof text);
    hn_yaml_path(node, text, sizeof text);
    if (hn_yaml_get_string(node, &string, &err) == HN_OK && strlen(string) != node->length) abort();
    (void)!hn_yaml_get_bool(node, &flag, &err);
    (void)!hn_yaml_get_int(node, -5, 5, &integer, &err);
    (void)!hn_yaml_get_real(node, 0, INFINITY, &real, &err);
    (void)!hn_yaml_get_choice(node, names, 3, &index, &err);
    (void)!hn_yaml_check_keys(node, names, 3, &err);
    hn_yaml_inner_place(node, 1, 1, &line, &column);
    if (line < 1 || column < 1) abort();
    for (const hn_yaml_node *child = node->first; child; child = child->next) walk(child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hn_yaml *doc;
    hn_error err = {0};
    if (hn_yaml_parse("fuzz.yaml", (const char *)data, size, &doc, &err) != HN_OK) return 0;
    walk(hn_yaml_root(doc));
    hn_yaml_free(doc);
    return 0;
}
