/* The story as a Markdown document; see history.h. */
#include "lifecycle/iterate/history.h"

#include "format/markdown.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void append_percent(const json_t *estimate, hn_buf *out) {
    const json_t *value = json_object_get(estimate, "value"), *low = json_object_get(estimate, "low"),
                 *high = json_object_get(estimate, "high");
    if (!json_is_number(value)) {
        hn_buf_append_str(out, "-");
        return;
    }
    hn_buf_appendf(out, "%.1f %%", 100 * json_number_value(value));
    if (json_is_number(low) && json_is_number(high))
        hn_buf_appendf(out, " [%.1f, %.1f]", 100 * json_number_value(low), 100 * json_number_value(high));
}

static void append_baselines(const json_t *entry, hn_buf *out) {
    const json_t *b = json_object_get(entry, "baselines"), *majority = json_object_get(b, "majority"),
                 *bow = json_object_get(b, "bag_of_words");
    hn_buf_append_str(out, "- Before any prompt: always *");
    hn_md_append_line(out, text_of(majority, "label"), 80);
    hn_buf_append_str(out, "* ");
    append_percent(json_object_get(majority, "accuracy"), out);
    hn_buf_append_str(out, ", a bag of words ");
    append_percent(json_object_get(bow, "accuracy"), out);
    hn_buf_append_str(out, "\n");
}

/* What a difference is multiplied with: 100 for points. */
static double factor_of(const json_t *entry) { return json_number_value(json_object_get(entry, "factor")); }

static void append_run(const json_t *entry, hn_buf *out) {
    bool best = json_is_true(json_object_get(entry, "best"));
    hn_buf_appendf(out, "- **%s** ", text_of(entry, "run"));
    hn_md_append_line(out, text_of(entry, "prompt"), 80);
    hn_buf_append_str(out, ": ");
    append_percent(json_object_get(entry, "accuracy"), out);
    if (*text_of(entry, "lesson")) {
        hn_buf_appendf(out, "; against %s: ", text_of(entry, "against"));
        hn_md_append_line(out, text_of(entry, "lesson"), 0);
        const json_t *d = json_object_get(entry, "difference");
        hn_buf_appendf(out, " [%+.1f, %+.1f]", factor_of(entry) * json_number_value(json_object_get(d, "low")),
                       factor_of(entry) * json_number_value(json_object_get(d, "high")));
    }
    if (*text_of(entry, "same_as")) hn_buf_appendf(out, "; the same as %s on other cases", text_of(entry, "same_as"));
    if (best && *text_of(entry, "against")) hn_buf_append_str(out, "; **best so far**");
    if (*text_of(entry, "tags")) {
        hn_buf_append_str(out, "; tagged ");
        hn_md_append_line(out, text_of(entry, "tags"), 200);
    }
    hn_buf_append_str(out, "\n");
}

static void append_entry(const json_t *entry, hn_buf *out) {
    const char *kind = text_of(entry, "kind");
    if (strcmp(kind, "baselines") == 0) append_baselines(entry, out);
    if (strcmp(kind, "run") == 0) append_run(entry, out);
    if (strcmp(kind, "test") == 0) {
        hn_buf_appendf(out, "- **%s** test split, look %lld: ", text_of(entry, "run"),
                       (long long)json_integer_value(json_object_get(entry, "look")));
        hn_md_append_line(out, text_of(entry, "prompt"), 80);
        hn_buf_append_str(out, " ");
        append_percent(json_object_get(entry, "accuracy"), out);
        hn_buf_append_str(out, "\n");
    }
    if (strcmp(kind, "note") == 0) {
        hn_buf_appendf(out, "- > note (%s): ", text_of(entry, "of"));
        hn_md_append_line(out, text_of(entry, "text"), 0);
        hn_buf_append_str(out, "\n");
    }
    if (strcmp(kind, "data") == 0) hn_buf_appendf(out, "- *%s*\n", text_of(entry, "text"));
    if (strcmp(kind, "target") == 0)
        hn_buf_appendf(out, "- **target of %.0f %% reached by %s**%s\n",
                       100 * json_number_value(json_object_get(entry, "target")), text_of(entry, "run"),
                       json_is_true(json_object_get(entry, "sure")) ? "" : ", though its interval reaches below");
}

static void append_lessons(const json_t *lessons, const char *key, const char *title, hn_buf *out) {
    const json_t *list = json_object_get(lessons, key);
    size_t i;
    json_t *lesson;
    if (json_array_size(list)) hn_buf_appendf(out, "\n### %s\n\n", title);
    json_array_foreach(list, i, lesson) {
        hn_buf_append_str(out, "- ");
        hn_md_append_line(out, text_of(lesson, "lesson"), 0);
        hn_buf_appendf(out, " (%s against %s)\n", text_of(lesson, "run"), text_of(lesson, "against"));
    }
}

void hn_history_markdown(const json_t *history, hn_buf *out) {
    const json_t *lessons = json_object_get(history, "lessons");
    size_t i;
    json_t *entry;
    hn_buf_append_str(out, "# History\n\n");
    hn_md_append_line(out, text_of(history, "goal"), 0);
    hn_buf_append_str(out, "\n\n");
    json_array_foreach(json_object_get(history, "entries"), i, entry) append_entry(entry, out);
    hn_buf_append_str(out, "\n## Lessons\n");
    append_lessons(lessons, "helped", "What helped", out);
    append_lessons(lessons, "hurt", "What hurt", out);
    append_lessons(lessons, "undecided", "What made no difference that could be seen", out);
}
