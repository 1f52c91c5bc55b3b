#include "pgclient/ddl_cut.h"

#include "codec/array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- slices ---- */

bool slice_is(struct slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.at, text, slice.size) == 0;
}

bool slice_same(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

int slice_order(struct slice a, struct slice b)
{
    size_t least = a.size < b.size ? a.size : b.size;
    int order = least == 0 ? 0 : memcmp(a.at, b.at, least);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static bool starts(const char *at, const char *end, const char *with)
{
    size_t n = strlen(with);
    return (size_t)(end - at) >= n && memcmp(at, with, n) == 0;
}

/* The place behind the line's newline. */
static const char *line_end(const char *line, const char *end)
{
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    return newline == NULL ? end : newline + 1;
}

/* The beginning of the line that ends at `end`, its newline included; NULL: there is none above
 * `floor`. */
static const char *line_above(const char *end, const char *floor)
{
    if (end <= floor)
        return NULL;
    const char *newline = memrchr(floor, '\n', (size_t)(end - 1 - floor));
    return newline == NULL ? floor : newline + 1;
}

static bool read_number(const char **at, const char *end, uint32_t *out)
{
    uint64_t value = 0;
    const char *digit = *at;
    while (digit < end && *digit >= '0' && *digit <= '9' && value <= UINT32_MAX)
        value = value * 10 + (uint64_t)(*digit++ - '0');
    if (digit == *at || value > UINT32_MAX)
        return false;
    *at = digit;
    *out = (uint32_t)value;
    return true;
}

static bool skip_text(const char **at, const char *end, const char *text)
{
    if (!starts(*at, end, text))
        return false;
    *at += strlen(text);
    return true;
}

/* ---- the list ---- */

struct listed {
    uint32_t id, catalog, object;
    unsigned found; /* lines of the text that seem to be this entry's */
};

static int by_listed_id(const void *a, const void *b)
{
    const struct listed *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

/* "214; 1259 16385 TABLE public t postgres"; comments begin with a semicolon. Names have no
 * newlines here. */
static int read_list(const struct buffer *list, struct listed **out, size_t *count)
{
    const char *at = (const char *)list->data, *end = at + list->size;
    size_t lines = 1;
    for (size_t i = 0; i < list->size; i++)
        lines += list->data[i] == '\n';
    struct listed *listed = calloc(lines, sizeof *listed);
    if (listed == NULL)
        return -ENOMEM;
    *count = 0;
    for (; at < end; at = line_end(at, end)) {
        struct listed *one = &listed[*count];
        const char *field = at;
        if (*at == ';' || *at == '\n')
            continue;
        if (!read_number(&field, end, &one->id) || !skip_text(&field, end, "; ") ||
            !read_number(&field, end, &one->catalog) || !skip_text(&field, end, " ") ||
            !read_number(&field, end, &one->object) || !starts(field, end, " ")) {
            free(listed);
            return -EBADMSG;
        }
        ++*count;
    }
    qsort(listed, *count, sizeof *listed, by_listed_id);
    *out = listed;
    return 0;
}

/* ---- an entry's first lines ---- */

/* Finds the last `word` before *end, moves *end to where it begins, and returns where it ends;
 * NULL: it is not there. */
static const char *split_last(const char *begin, const char **end, const char *word)
{
    const size_t n = strlen(word);
    for (size_t size = (size_t)(*end - begin); size >= n; size--)
        if (memcmp(begin + size - n, word, n) == 0) {
            *end = begin + size - n;
            return begin + size;
        }
    return NULL;
}

/* "-- Name: t; Type: TABLE; Schema: public; Owner: postgres", perhaps with "; Tablespace: x". It is
 * read from its end, since a name may contain any of these words. */
static bool read_title(const char *line, const char *end, struct ddl_entry *entry)
{
    const char *at = line, *last = end - 1;
    if (!skip_text(&at, end, "-- Name: ") || end[-1] != '\n')
        return false;
    if (split_last(at, &last, "; Owner: ") == NULL)
        return false;
    const char *stop = last;
    const char *schema = split_last(at, &last, "; Schema: ");
    if (schema == NULL)
        return false;
    entry->schema = (struct slice){schema, (size_t)(stop - schema)};
    stop = last;
    const char *kind = split_last(at, &last, "; Type: ");
    if (kind == NULL)
        return false;
    entry->kind = (struct slice){kind, (size_t)(stop - kind)};
    entry->name = (struct slice){at, (size_t)(last - at)};
    return true;
}

/* "-- TOC entry 214 (class 1259 OID 16385)" */
static bool read_mark(const char *line, const char *end, struct ddl_entry *entry)
{
    return skip_text(&line, end, "-- TOC entry ") && read_number(&line, end, &entry->id) &&
           skip_text(&line, end, " (class ") && read_number(&line, end, &entry->catalog) &&
           skip_text(&line, end, " OID ") && read_number(&line, end, &entry->object) &&
           starts(line, end, ")\n");
}

/* ---- cutting ---- */

struct cutting {
    struct ddl_cut *cut;
    struct listed *listed;
    size_t listed_count, need_count;
    const char *begin, *end; /* of the text without its tail */
};

static struct listed *find_listed(struct cutting *cutting, const struct ddl_entry *entry)
{
    const struct listed wanted = {.id = entry->id};
    struct listed *listed = bsearch(&wanted, cutting->listed, cutting->listed_count,
                                    sizeof *cutting->listed, by_listed_id);
    bool same =
        listed != NULL && listed->catalog == entry->catalog && listed->object == entry->object;
    return same ? listed : NULL;
}

static int add_need(struct cutting *cutting, uint32_t id)
{
    struct ddl_cut *cut = cutting->cut;
    uint32_t *needs = array_room(cut->needs, cutting->need_count, sizeof *needs);
    if (needs == NULL)
        return -ENOMEM;
    cut->needs = needs;
    cut->needs[cutting->need_count++] = id;
    return 0;
}

/* " 3 4" */
static int read_needs(struct cutting *cutting, const char *at, const char *end,
                      struct ddl_entry *entry)
{
    uint32_t id;
    int rc = 0;
    while (rc == 0 && skip_text(&at, end, " ") && read_number(&at, end, &id)) {
        rc = add_need(cutting, id);
        entry->need_count += rc == 0;
    }
    return rc;
}

static int add_entry(struct cutting *cutting, const struct ddl_entry *entry)
{
    struct ddl_cut *cut = cutting->cut;
    struct ddl_entry *entries = array_room(cut->entries, cut->count, sizeof *entries);
    if (entries == NULL)
        return -ENOMEM;
    cut->entries = entries;
    cut->entries[cut->count++] = *entry;
    return 0;
}

/* If an entry begins at this "--", adds it and moves *at to the line of its title. */
static int try_entry(struct cutting *cutting, const char **at)
{
    static const char dependencies[] = "-- Dependencies:", place[] = "-- Data Pos: ";
    const char *end = cutting->end;
    const char *line = *at + strlen("--\n");
    struct ddl_entry entry = {.first_need = cutting->need_count};
    if (!read_mark(line, end, &entry))
        return 0;
    struct listed *listed = find_listed(cutting, &entry);
    if (listed == NULL)
        return 0;
    const char *needs = line = line_end(line, end);
    if (starts(line, end, dependencies))
        line = line_end(line, end);
    const char *body = line_end(line, end);
    if (!read_title(line, body, &entry))
        return 0;
    listed->found++;
    entry.title = (struct slice){line, (size_t)(body - line)};
    if (starts(body, end, place))
        body = line_end(body, end);
    entry.body = (struct slice){body, 0}; /* its end is where the next one begins */
    int rc = needs == line ? 0 : read_needs(cutting, needs + strlen(dependencies), line, &entry);
    if (rc == 0)
        rc = add_entry(cutting, &entry);
    *at = line;
    return rc;
}

static int find_entries(struct cutting *cutting)
{
    int rc = 0;
    for (const char *line = cutting->begin; rc == 0 && line < cutting->end;
         line = line_end(line, cutting->end))
        if (starts(line, cutting->end, "--\n"))
            rc = try_entry(cutting, &line);
    return rc;
}

/* Where the lines begin that only --verbose prints above an entry's title. */
static const char *top_of(const struct ddl_entry *entry, const char *floor)
{
    const char *top = line_above(entry->title.at, floor);
    if (entry->need_count > 0)
        top = line_above(top, floor);
    return line_above(top, floor); /* "--" */
}

/* Whether a line like this, with an empty one behind it, ends at *top; if so, *top moves above it.
 */
static bool take_setting(const char **top, const char *floor, const char *begins,
                         struct slice *setting)
{
    const char *empty = line_above(*top, floor);
    if (empty == NULL || *empty != '\n')
        return false;
    const char *line = line_above(empty, floor);
    if (line == NULL || !starts(line, empty, begins) || empty - line < 2 || empty[-2] != ';')
        return false;
    *setting = (struct slice){line, (size_t)(empty - 1 - line)};
    *top = line;
    return true;
}

/* Sets where each body ends, and which settings hold for it: those above this entry or above an
 * earlier one. What stands above a doubtful entry may be part of something else. */
static void find_ends(struct cutting *cutting)
{
    struct ddl_cut *cut = cutting->cut;
    struct slice tablespace = {0}, method = {0};
    bool unsure_of_tablespace = false, unsure_of_method = false;
    const char *floor = cutting->begin;
    cut->head = (struct slice){cutting->begin, (size_t)(cutting->end - cutting->begin)};
    for (size_t i = 0; i < cut->count; i++) {
        struct ddl_entry *entry = &cut->entries[i];
        const char *top = top_of(entry, floor);
        entry->has_method =
            take_setting(&top, floor, "SET default_table_access_method = ", &method);
        entry->has_tablespace = take_setting(&top, floor, "SET default_tablespace = ", &tablespace);
        entry->tablespace = tablespace;
        entry->method = method;
        unsure_of_tablespace = entry->doubtful || (unsure_of_tablespace && !entry->has_tablespace);
        unsure_of_method = entry->doubtful || (unsure_of_method && !entry->has_method);
        entry->unsure_of_tablespace = unsure_of_tablespace;
        entry->unsure_of_method = unsure_of_method;
        if (i == 0)
            cut->head.size = (size_t)(top - cutting->begin);
        else
            cut->entries[i - 1].body.size = (size_t)(top - cut->entries[i - 1].body.at);
        floor = entry->title.at;
    }
    if (cut->count > 0) {
        struct ddl_entry *last = &cut->entries[cut->count - 1];
        last->body.size = (size_t)(cutting->end - last->body.at);
    }
}

/* Each listed entry must be found once. If its line is there more often, every entry that may
 * contain such a line is doubtful. */
static int judge_entries(struct cutting *cutting)
{
    struct ddl_cut *cut = cutting->cut;
    for (size_t i = 0; i < cutting->listed_count; i++)
        if (cutting->listed[i].found == 0 ||
            (i > 0 && cutting->listed[i].id == cutting->listed[i - 1].id))
            return -EBADMSG;
    for (size_t i = 0; i < cut->count; i++)
        if (find_listed(cutting, &cut->entries[i])->found > 1) {
            cut->entries[i].doubtful = true;
            if (i > 0)
                cut->entries[i - 1].doubtful = true;
        }
    return 0;
}

static int compare_ids(const void *a, const void *b, void *context)
{
    const struct ddl_entry *entries = context;
    uint32_t left = entries[*(const size_t *)a].id, right = entries[*(const size_t *)b].id;
    return (left > right) - (left < right);
}

static int sort_by_id(struct ddl_cut *cut)
{
    cut->by_id = calloc(cut->count + 1, sizeof *cut->by_id);
    if (cut->by_id == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < cut->count; i++)
        cut->by_id[i] = i;
    qsort_r(cut->by_id, cut->count, sizeof *cut->by_id, compare_ids, cut->entries);
    return 0;
}

/* The last line that begins like this; --verbose prints it with an empty line behind it. NULL:
 * there is none. */
static const char *find_time(const char *begin, const char *end, const char *begins)
{
    const char *line = end;
    while ((line = line_above(line, begin)) != NULL)
        if (starts(line, end, begins))
            return line;
    return NULL;
}

static const char *behind_time(const char *line, const char *end)
{
    const char *next = line_end(line, end);
    return next < end && *next == '\n' ? next + 1 : next;
}

static void split_head(struct ddl_cut *cut)
{
    const char *begin = cut->head.at, *end = begin + cut->head.size;
    const char *time = find_time(begin, end, "-- Started on ");
    if (time == NULL)
        return;
    const char *rest = behind_time(time, end);
    cut->head.size = (size_t)(time - begin);
    cut->head_rest = (struct slice){rest, (size_t)(end - rest)};
}

static int cut_text(struct cutting *cutting)
{
    struct ddl_cut *cut = cutting->cut;
    const char *begin = (const char *)cut->text.data, *end = begin + cut->text.size;
    const char *time = find_time(begin, end, "-- Completed on ");
    if (time == NULL)
        return -EBADMSG;
    const char *tail = behind_time(time, end);
    cut->tail = (struct slice){tail, (size_t)(end - tail)};
    cutting->begin = begin;
    cutting->end = time;
    int rc = find_entries(cutting);
    if (rc == 0)
        rc = judge_entries(cutting);
    if (rc == 0) {
        find_ends(cutting);
        split_head(cut);
        rc = sort_by_id(cut);
    }
    return rc;
}

int ddl_cut_new(struct buffer *text, const struct buffer *list, struct ddl_cut **out)
{
    struct ddl_cut *cut = calloc(1, sizeof *cut);
    struct cutting cutting = {.cut = cut};
    if (cut == NULL) {
        buffer_clear(text);
        return -ENOMEM;
    }
    cut->text = *text;
    *text = (struct buffer){0};
    int rc =
        cut->text.size == 0 ? -EBADMSG : read_list(list, &cutting.listed, &cutting.listed_count);
    if (rc == 0)
        rc = cut_text(&cutting);
    free(cutting.listed);
    if (rc == 0)
        *out = cut;
    else
        ddl_cut_free(cut);
    return rc;
}

void ddl_cut_free(struct ddl_cut *cut)
{
    if (cut == NULL)
        return;
    buffer_clear(&cut->text);
    free(cut->entries);
    free(cut->needs);
    free(cut->by_id);
    free(cut);
}

const struct ddl_entry *ddl_cut_entry(const struct ddl_cut *cut, uint32_t id)
{
    size_t low = 0, high = cut->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cut->entries[cut->by_id[middle]].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    const struct ddl_entry *entry = low < cut->count ? &cut->entries[cut->by_id[low]] : NULL;
    return entry != NULL && entry->id == id ? entry : NULL;
}
