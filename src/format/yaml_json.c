/* A YAML node as JSON; see yaml.h. YAML's own limit keeps the nesting small. */
#include "format/json.h"
#include "format/yaml.h"

json_t *hn_yaml_to_json(const hn_yaml_node *node) {
    json_t *made = NULL;
    switch (node->kind) {
    case HN_YAML_NULL: return json_null();
    case HN_YAML_BOOL: return json_boolean(node->boolean);
    case HN_YAML_INT: return json_integer(node->integer);
    case HN_YAML_REAL: return json_real(node->real);
    case HN_YAML_STRING: return json_stringn(node->text, node->length);
    case HN_YAML_LIST: made = json_array(); break;
    case HN_YAML_MAP: made = json_object(); break;
    }
    for (const hn_yaml_node *child = node->first; made && child; child = child->next) {
        json_t *value = hn_yaml_to_json(child);
        int failed = node->kind == HN_YAML_LIST ? json_array_append_new(made, value)
                                                : json_object_set_new(made, child->key, value);
        if (failed) {
            json_decref(made);
            made = NULL;
        }
    }
    return made;
}
