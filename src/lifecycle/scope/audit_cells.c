/* The audit of each text by itself: damage by wrong encodings, personal data, nothing at all. Places are given as column and character, so
 * that a person finds them; what stands there is not repeated where it may be personal. */
#include "lifecycle/scope/audit_parts.h"

#include "base/utf8.h"
#include "text/personal_data.h"
#include "text/text_damage.h"

#include <string.h>

typedef struct cells {
    const hn_dataset *d;
    hn_audit *audit;
    hn_error *err;
    bool mixed; /* joined and split characters both occur in the data */
    /* of the case at hand: */
    unsigned damage;
    const char *damage_column[HN_DAMAGE_COUNT], *personal_column[HN_PERSONAL_COUNT];
    size_t damage_at[HN_DAMAGE_COUNT]; /* characters, from 1 */
    size_t personal_at[HN_PERSONAL_COUNT], personal_length[HN_PERSONAL_COUNT], n_personal[HN_PERSONAL_COUNT];
    /* of the text at hand: */
    const char *column;
    hn_str text;
} cells;

static void on_personal(void *user, hn_personal kind, size_t from, size_t to) {
    cells *k = user;
    if (k->n_personal[kind]++ > 0) return;
    k->personal_column[kind] = k->column;
    k->personal_at[kind] = hn_utf8_count(k->text.data, from) + 1;
    k->personal_length[kind] = hn_utf8_count(k->text.data + from, to - from);
}

static void look_at(cells *k, const char *column, hn_str text) {
    size_t first[HN_DAMAGE_COUNT] = {0};
    unsigned found = hn_text_damage(text, first);
    k->column = column;
    k->text = text;
    for (int d = 0; d < HN_DAMAGE_COUNT; d++) {
        if (!(found & ~k->damage & 1u << d)) continue;
        k->damage_column[d] = column;
        k->damage_at[d] = hn_utf8_count(text.data, first[d]) + 1;
    }
    k->damage |= found;
    hn_personal_scan(text, on_personal, k);
}

/* Column by column where all inputs are texts; conversations and other values as one text. */
static void look_at_case(cells *k, const hn_case *c, hn_str whole) {
    const char *key;
    json_t *value;
    bool plain = true;
    k->damage = 0;
    memset(k->n_personal, 0, sizeof k->n_personal);
    json_object_foreach(c->inputs, key, value) plain = plain && json_is_string(value);
    if (!plain) {
        look_at(k, "input", whole);
        return;
    }
    json_object_foreach(c->inputs, key, value)
        look_at(k, key, (hn_str){json_string_value(value), json_string_length(value)});
}

static hn_status report_damage(cells *k, const hn_case *c) {
    static const hn_audit_kind kinds[] = {HN_AUDIT_REPLACEMENT, HN_AUDIT_MOJIBAKE, HN_AUDIT_CONTROL,
                                          HN_AUDIT_MIXED_FORMS};
    static const char *const what[] = {"a lost character (U+FFFD)", "UTF-8 that was read as Latin-1, such as \"Ã©\"",
                                       "a control character", "accents apart from their letters"};
    for (int d = 0; d < HN_DAMAGE_COUNT; d++) {
        if (!(k->damage & 1u << d) || (d == HN_DAMAGE_DECOMPOSED && !k->mixed)) continue;
        if (d == HN_DAMAGE_DECOMPOSED)
            HN_TRY(hn_audit_add(k->audit, kinds[d], c, k->err, "%.80s: %s", k->damage_column[d], what[d]));
        else
            HN_TRY(hn_audit_add(k->audit, kinds[d], c, k->err, "%.80s, character %zu: %s", k->damage_column[d],
                                k->damage_at[d], what[d]));
    }
    return HN_OK;
}

static hn_status report_personal(cells *k, const hn_case *c) {
    static const char *const what[] = {"an e-mail address", "a telephone number", "an IBAN", "a card number",
                                       "an IP address"};
    for (int p = 0; p < HN_PERSONAL_COUNT; p++) {
        if (!k->n_personal[p]) continue;
        char more[40] = "";
        if (k->n_personal[p] > 1) snprintf(more, sizeof more, ", and %zu more", k->n_personal[p] - 1);
        HN_TRY(hn_audit_add(k->audit, (hn_audit_kind)(HN_AUDIT_EMAIL + p), c, k->err,
                            "%.80s, character %zu: %s (%zu characters)%s", k->personal_column[p], k->personal_at[p],
                            what[p], k->personal_length[p], more));
    }
    return HN_OK;
}

static bool is_mixed(const hn_audit_texts *texts) {
    bool composed = false, decomposed = false;
    for (size_t i = 0; i < texts->n && !(composed && decomposed); i++) {
        bool apart = hn_text_damage(texts->texts[i], NULL) & 1u << HN_DAMAGE_DECOMPOSED;
        decomposed = decomposed || apart;
        composed = composed || hn_text_is_composed(texts->texts[i]);
    }
    return composed && decomposed;
}

hn_status hn_audit_cells(const hn_audit_setup *setup, const hn_audit_texts *texts, hn_audit *audit, hn_error *err) {
    cells k = {.d = setup->dataset, .audit = audit, .err = err, .mixed = is_mixed(texts)};
    for (size_t i = 0; i < texts->n; i++) {
        const hn_case *c = &k.d->cases[i];
        look_at_case(&k, c, texts->texts[i]);
        HN_TRY(report_damage(&k, c));
        HN_TRY(report_personal(&k, c));
        if (texts->keys[i] == 0) HN_TRY(hn_audit_add(audit, HN_AUDIT_EMPTY, c, err, "no input has any text"));
    }
    return HN_OK;
}
