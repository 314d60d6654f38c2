/* The Porter stemmer; see porter.h. A word is [C](VC)^m[V], C and V runs of consonants and vowels; m is its measure. A
 * "y" is a vowel after a consonant; runs of "y" are scanned, not recursed into, as words may be megabytes long. */
#include "text/porter.h"

#include <stdbool.h>
#include <string.h>

typedef struct word {
    char *s;
    size_t n;
} word;

/* Whether s[i] is a consonant, given whether s[i - 1] is. */
static bool consonant_after(char c, bool first, bool before) {
    switch (c) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u': return false;
    case 'y': return first || !before;
    default: return true;
    }
}

static bool is_consonant(const char *s, size_t i) {
    size_t from = i;
    while (from > 0 && s[from] == 'y') from--;
    bool c = consonant_after(s[from], from == 0, true);
    while (from < i) {
        from++;
        c = consonant_after(s[from], false, c);
    }
    return c;
}

static size_t measure(const char *s, size_t n) {
    size_t m = 0;
    bool before = true;
    for (size_t i = 0; i < n; i++) {
        bool c = consonant_after(s[i], i == 0, before);
        m += i > 0 && c && !before;
        before = c;
    }
    return m;
}

static bool has_vowel(const char *s, size_t n) {
    bool c = true;
    for (size_t i = 0; i < n; i++)
        if (!(c = consonant_after(s[i], i == 0, c))) return true;
    return false;
}

static bool ends_double(const char *s, size_t n) { return n >= 2 && s[n - 1] == s[n - 2] && is_consonant(s, n - 1); }

/* *o of the paper: consonant, vowel, consonant other than w, x, y; or a word of just vowel and consonant. */
static bool ends_cvc(const char *s, size_t n) {
    if (n == 2) return !is_consonant(s, 0) && is_consonant(s, 1);
    return n >= 3 && is_consonant(s, n - 3) && !is_consonant(s, n - 2) && is_consonant(s, n - 1) && s[n - 1] != 'w' &&
           s[n - 1] != 'x' && s[n - 1] != 'y';
}

static bool ends(const word *w, const char *suffix) {
    size_t n = strlen(suffix);
    return w->n >= n && memcmp(w->s + w->n - n, suffix, n) == 0;
}

/* Replaces the last `n` letters. No replacement is longer than what its step took away before. */
static void put(word *w, size_t n, const char *to) {
    size_t length = strlen(to);
    memcpy(w->s + w->n - n, to, length);
    w->n += length - n;
}

typedef struct rule {
    const char *from, *to;
} rule;

/* The first rule whose suffix is there: applied where the stem's measure is above `over`. */
static void apply(word *w, const rule *rules, size_t n_rules, size_t over) {
    for (size_t i = 0; i < n_rules; i++) {
        if (!ends(w, rules[i].from)) continue;
        size_t n = strlen(rules[i].from);
        if (measure(w->s, w->n - n) > over) put(w, n, rules[i].to);
        return;
    }
}

/* Plurals. */
static void step_1a(word *w) {
    if (ends(w, "ies") && w->n == 4)
        put(w, 3, "ie");
    else if (ends(w, "sses"))
        put(w, 2, "");
    else if (ends(w, "ies"))
        put(w, 3, "i");
    else if (ends(w, "s") && !ends(w, "ss"))
        put(w, 1, "");
}

/* -ed and -ing, and what they leave behind. */
static void step_1b(word *w) {
    if (ends(w, "ied")) {
        put(w, 3, w->n == 4 ? "ie" : "i");
        return;
    }
    if (ends(w, "eed")) {
        if (measure(w->s, w->n - 3) > 0) put(w, 1, "");
        return;
    }
    if (ends(w, "ed") && has_vowel(w->s, w->n - 2))
        put(w, 2, "");
    else if (ends(w, "ing") && has_vowel(w->s, w->n - 3))
        put(w, 3, "");
    else
        return;
    if (ends(w, "at") || ends(w, "bl") || ends(w, "iz")) {
        put(w, 0, "e");
    } else if (ends_double(w->s, w->n)) {
        char last = w->s[w->n - 1];
        if (last != 'l' && last != 's' && last != 'z') w->n--;
    } else if (measure(w->s, w->n) == 1 && ends_cvc(w->s, w->n)) {
        put(w, 0, "e");
    }
}

static void step_1c(word *w) {
    if (ends(w, "y") && w->n > 2 && is_consonant(w->s, w->n - 2)) w->s[w->n - 1] = 'i';
}

static void step_2(word *w) {
    static const rule rules[] = {
        {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
        {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
        {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
        {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
        {"fulli", "ful"},
    };
    /* -alli may leave another suffix of this step: once is enough, "al" ends no rule but those with it before. */
    if (ends(w, "alli") && measure(w->s, w->n - 4) > 0) put(w, 4, "al");
    if (ends(w, "logi")) { /* the stem's measure counts the "l" here */
        if (measure(w->s, w->n - 3) > 0) put(w, 1, "");
        return;
    }
    apply(w, rules, sizeof rules / sizeof *rules, 0);
}

static void step_3(word *w) {
    static const rule rules[] = {
        {"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""},
    };
    apply(w, rules, sizeof rules / sizeof *rules, 0);
}

static void step_4(word *w) {
    static const rule rules[] = {
        {"al", ""},   {"ance", ""}, {"ence", ""},  {"er", ""},   {"ic", ""},  {"able", ""},
        {"ible", ""}, {"ant", ""},  {"ement", ""}, {"ment", ""}, {"ent", ""}, {"ou", ""},
        {"ism", ""},  {"ate", ""},  {"iti", ""},   {"ous", ""},  {"ive", ""}, {"ize", ""},
    };
    if (ends(w, "ion")) {
        bool after = w->n > 3 && (w->s[w->n - 4] == 's' || w->s[w->n - 4] == 't');
        if (after && measure(w->s, w->n - 3) > 1) put(w, 3, "");
        return;
    }
    apply(w, rules, sizeof rules / sizeof *rules, 1);
}

static void step_5(word *w) {
    if (ends(w, "e")) {
        size_t m = measure(w->s, w->n - 1);
        if (m > 1 || (m == 1 && !ends_cvc(w->s, w->n - 1))) w->n--;
    }
    if (ends(w, "ll") && measure(w->s, w->n - 1) > 1) w->n--;
}

/* Words that the rules would spoil. */
static bool irregular(word *w) {
    static const rule words[] = {
        {"skies", "sky"},      {"sky", "sky"},         {"dying", "die"},        {"lying", "lie"},
        {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
        {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
        {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].from) == w->n && ends(w, words[i].from)) {
            put(w, w->n, words[i].to);
            return true;
        }
    return false;
}

size_t hn_porter_stem(char *s, size_t n) {
    word w = {s, n};
    if (n <= 2 || irregular(&w)) return w.n;
    step_1a(&w);
    step_1b(&w);
    step_1c(&w);
    step_2(&w);
    step_3(&w);
    step_4(&w);
    step_5(&w);
    return w.n;
}
