/* Languages by script and function words; see language.h. The lists hold words that are common in their language and rare in the others;
 * words that two of them share count for both. */
#include "text/language.h"

#include "base/utf8.h"

#include <string.h>

typedef struct language {
    const char *code, *words; /* words between blanks, in lower case; NULL: known by its script */
} language;

static const language languages[] = {
    {"en",
     " the and of to is that it was for with you not are this have from they been which will would there what your "
     "my i we can how why where do does has please on in be at or when "},
    {"de", " der die das und ist nicht ich sie wir ein eine einen mit auf f\u00fcr den dem des von zu sich auch es im "
           "wird haben "
           "hat kann wie bei oder aus noch nach wurde bitte mein meine "},
    {"fr",
     " le la les des et est une que qui dans pour pas sur vous nous je il elle ce cette avec sont plus ne au du mon ma "
     "votre o\u00f9 avez \u00eatre comme mais "},
    {"es", " el la los las que y es una por con para no se del un como m\u00e1s pero su al lo est\u00e1 mi me tengo "
           "qu\u00e9 cuando hay "
           "esta este son "},
    {"it", " il la che di e un una per non sono con del della le gli nel come ma si pi\u00f9 questo anche ho mi mio "
           "mia \u00e8 alla "
           "quando dove "},
    {"pt", " o a os as que e um uma n\u00e3o para com do da em no na por mais como mas ao se meu minha voc\u00ea "
           "est\u00e1 foi s\u00e3o quando "},
    {"nl", " de het een en van is niet dat ik je op te met voor zijn er maar ook aan als wij mijn naar bij hoe kan "
           "wordt deze "},
    {"sv", " och att det som en \u00e4r p\u00e5 av f\u00f6r med inte den till jag har ett om vi kan men n\u00e4r min "
           "mitt hur var "},
    {"da", " og at det som en er p\u00e5 af for med ikke den til jeg har et om vi kan men n\u00e5r min mit hvor var "
           "hvordan "},
    {"no", " og at det som en er p\u00e5 av for med ikke den til jeg har et om vi kan men n\u00e5r min mitt hvor var "
           "hvordan "},
    {"fi", " ja on ei se ett\u00e4 joka olen oli mutta kun niin h\u00e4n min\u00e4 miten voi tai ovat my\u00f6s sen "
           "t\u00e4m\u00e4 "},
    {"pl",
     " i w na nie si\u0119 z jest do to \u017ce jak o ale mam moje m\u00f3j czy za przez tego jestem kiedy gdzie "},
    {"cs", " a je v na se \u017ee to nen\u00ed jsem s z do jak ale m\u016fj moje kde kdy pro jsou by "},
    {"tr", " ve bir bu i\u00e7in de da ne ile \u00e7ok ama var benim nas\u0131l daha gibi olarak ben mi "},
    {"ru", " \u0438 \u0432 \u043d\u0435 \u043d\u0430 \u044f \u0447\u0442\u043e \u0441 \u043f\u043e \u043a\u0430\u043a "
           "\u044d\u0442\u043e "
           "\u0432\u044b \u043c\u043d\u0435 \u0434\u043b\u044f \u0438\u0437 \u043d\u043e \u043c\u043e\u0439 "
           "\u0431\u044b\u043b \u0435\u0441\u0442\u044c "},
    {"uk", " \u0456 \u0432 \u043d\u0435 \u043d\u0430 \u044f \u0449\u043e \u0437 \u043f\u043e \u044f\u043a \u0446\u0435 "
           "\u0432\u0438 "
           "\u043c\u0435\u043d\u0456 \u0434\u043b\u044f \u0442\u0430 \u0430\u043b\u0435 \u0454 \u0439 "},
    {"ar", NULL},
    {"el", NULL},
    {"he", NULL},
    {"hi", NULL},
    {"ja", NULL},
    {"ko", NULL},
    {"th", NULL},
    {"zh", NULL}};
enum { N_LANGUAGES = sizeof languages / sizeof *languages, WORD_MAX = 24, BYTES_MAX = 20000 };

static const char codes[] =
    "ar, cs, da, de, el, en, es, fi, fr, he, hi, it, ja, ko, nl, no, pl, pt, ru, sv, th, tr, uk, zh";

const char *hn_language_codes(void) { return codes; }

bool hn_language_is_known(const char *code) {
    for (size_t i = 0; i < N_LANGUAGES; i++)
        if (strcmp(languages[i].code, code) == 0) return true;
    return false;
}

/* The language of a script that one language has; "" for scripts of many, NULL for what is no letter. */
static const char *script_of(uint32_t cp) {
    static const struct {
        uint32_t from, to;
        const char *code;
    } ranges[] = {{0x370, 0x3FF, "el"},   {0x590, 0x5FF, "he"},   {0x600, 0x6FF, "ar"},
                  {0x900, 0x97F, "hi"},   {0xE00, 0xE7F, "th"},   {0x1100, 0x11FF, "ko"},
                  {0x3040, 0x30FF, "ja"}, {0x4E00, 0x9FFF, "zh"}, {0xAC00, 0xD7AF, "ko"}};
    if (!hn_unicode_is_letter(cp)) return NULL;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (cp >= ranges[i].from && cp <= ranges[i].to) return ranges[i].code;
    return "";
}

/* The script that has most letters; "": Latin, Cyrillic and others; NULL: no letters. Kana make Han Japanese. */
static const char *main_script(hn_str text) {
    size_t counts[N_LANGUAGES + 1] = {0}, best = N_LANGUAGES;
    for (size_t i = 0; i < text.len;) {
        uint32_t cp;
        i += hn_utf8_decode(text.data + i, text.len - i, &cp);
        const char *code = script_of(cp);
        if (!code) continue;
        size_t at = N_LANGUAGES;
        for (size_t l = 0; *code && l < N_LANGUAGES; l++)
            if (strcmp(languages[l].code, code) == 0) at = l;
        counts[at]++;
    }
    size_t ja = 0, zh = 0;
    for (size_t l = 0; l < N_LANGUAGES; l++) {
        if (strcmp(languages[l].code, "ja") == 0) ja = l;
        if (strcmp(languages[l].code, "zh") == 0) zh = l;
    }
    if (counts[ja] * 10 > counts[zh]) counts[ja] += counts[zh], counts[zh] = 0;
    for (size_t l = 0; l < N_LANGUAGES; l++)
        if (counts[l] > counts[best]) best = l;
    if (counts[best] == 0) return NULL;
    return best == N_LANGUAGES ? "" : languages[best].code;
}

static void count_word(const char *word, size_t n, size_t hits[N_LANGUAGES]) {
    char wanted[WORD_MAX * 4 + 3] = " ";
    if (n == 0 || n > WORD_MAX * 2) return;
    memcpy(wanted + 1, word, n);
    wanted[n + 1] = ' ';
    wanted[n + 2] = 0;
    for (size_t l = 0; l < N_LANGUAGES; l++) hits[l] += languages[l].words && strstr(languages[l].words, wanted);
}

static size_t count_words(hn_str text, size_t hits[N_LANGUAGES]) {
    char word[WORD_MAX * 2 + 8];
    size_t n = 0, n_words = 0;
    for (size_t i = 0; i <= text.len;) {
        uint32_t cp = ' ';
        size_t used = 1;
        if (i < text.len) used = hn_utf8_decode(text.data + i, text.len - i, &cp);
        i += used;
        if (hn_unicode_is_letter(cp) || hn_unicode_is_mark(cp)) {
            if (n + 4 < sizeof word) n += hn_utf8_encode(hn_unicode_lower(cp), word + n);
            continue;
        }
        if (n) n_words++;
        if (n) count_word(word, n, hits);
        n = 0;
    }
    return n_words;
}

const char *hn_language_of(hn_str text) {
    size_t hits[N_LANGUAGES] = {0}, best = 0, next = 0;
    if (text.len > BYTES_MAX) text.len = hn_utf8_prefix(text.data, text.len, BYTES_MAX);
    const char *script = main_script(text);
    if (!script) return NULL;
    if (*script) return script;
    size_t n_words = count_words(text, hits);
    for (size_t l = 1; l < N_LANGUAGES; l++)
        if (hits[l] > hits[best]) best = l;
    for (size_t l = 0; l < N_LANGUAGES; l++)
        if (l != best && hits[l] > next) next = hits[l];
    bool sure = hits[best] >= 2 && hits[best] * 10 >= n_words && hits[best] * 2 >= next * 3;
    return sure ? languages[best].code : NULL;
}
