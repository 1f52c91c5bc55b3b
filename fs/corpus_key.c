/* Rows by primary key, and the order of keys.
 *
 * A group's index, made on first use, is a u64 for each of its rows, ascending: the upper half a
 * hash of the key's text, the lower half the row. */
#include "fs/corpus.h"

#include "codec/key_compare.h"
#include "fs/patience.h"
#include "pgclient/search.h"

#include <errno.h>
#include <stdlib.h>

/* ---- which columns ---- */

struct gathering {
    const struct schema *schema;
    struct key_columns key;
};

/* A column whose values are not at hand makes a key that is of no use. */
static int take_name(void *context, const char *name)
{
    struct gathering *gathering = context;
    const struct schema *schema = gathering->schema;
    for (int i = 0; i < schema->column_count; i++)
        if (strcmp(schema->columns[i].name, name) == 0 &&
            key_part(&schema->columns[i]) != PART_NONE &&
            (schema->columns[i].type != NULL || schema->columns[i].part[PART_TEXT] != PART_NONE) &&
            gathering->key.count < KEY_COLUMNS_MOST) {
            gathering->key.columns[gathering->key.count++] = i;
            return 0;
        }
    gathering->key.count = 0;
    return -ECANCELED;
}

static int ask(const struct fetch_place *place, const struct snapshot *snapshot,
               struct key_columns *out, struct error *error)
{
    struct session *session;
    struct gathering gathering = {.schema = snapshot->schema};
    int rc = patience_ask(error);
    if (rc == 0)
        rc = session_take(place->pool, SESSION_SHORT, patience_stop(), &session, error);
    if (rc < 0)
        return rc;
    rc = search_primary_key(session, snapshot->relation.oid, take_name, &gathering, error);
    session_give(session);
    if (rc == 0 || rc == -ECANCELED)
        *out = gathering.key;
    return rc == -ECANCELED ? 0 : rc;
}

static bool may_have_key(const struct snapshot *snapshot)
{
    return snapshot->relation.kind == RELATION_TABLE ||
           snapshot->relation.kind == RELATION_PARTITIONED ||
           snapshot->relation.kind == RELATION_SPREAD;
}

/* Under the key's lock. */
static int find_out(struct corpus *corpus, struct key_place *place, struct error *error)
{
    struct snapshot *snapshot = corpus_snapshot(corpus);
    struct corpora *corpora = place->place->corpora;
    struct key_columns key = {0};
    int rc = 0;
    if (may_have_key(snapshot) && !corpora_find_key(corpora, snapshot, &key)) {
        rc = ask(place->place, snapshot, &key, error);
        if (rc == 0)
            corpora_keep_key(corpora, snapshot, &key);
    }
    if (rc < 0)
        return rc;
    *place->columns = key;
    *place->known = true;
    return 0;
}

int corpus_key_columns(struct corpus *corpus, struct key_columns *out, struct error *error)
{
    struct key_place place = corpus_key_place(corpus);
    int rc = 0;
    if (!*place.known) {
        rc = patience_lock(place.lock, error);
        if (rc < 0)
            return rc;
        if (!*place.known)
            rc = find_out(corpus, &place, error);
        pthread_mutex_unlock(place.lock);
    }
    if (rc == 0)
        *out = *place.columns;
    return rc;
}

/* ---- a key's text ---- */

/* Appends it; the row's group is pinned. */
static int put_text(struct corpus *corpus, const struct key_columns *key, struct corpus_row row,
                    struct buffer *out, struct error *error)
{
    const struct schema *schema = corpus_snapshot(corpus)->schema;
    int rc = 0;
    for (int i = 0; rc == 0 && i < key->count; i++) {
        const struct column *column = &schema->columns[key->columns[i]];
        int part = column->part[column->type != NULL ? PART_BINARY : PART_TEXT];
        const uint8_t *bytes;
        int32_t size;
        rc = i > 0 ? buffer_append_byte(out, ',') : 0;
        if (rc == 0)
            rc = corpus_value(corpus, row, part, &bytes, &size, error);
        if (rc == 0 && size >= 0)
            rc = column->type != NULL ? column->type->text(bytes, (size_t)size, out)
                                      : buffer_append(out, bytes, (size_t)size);
        if (rc == -EBADMSG)
            rc = error_set(error, -EIO, "a key is not a value of its type");
    }
    return rc;
}

/* ---- looking up ---- */

struct indexing {
    struct corpus *corpus;
    const struct key_columns *key;
    size_t group;
    int most; /* rows to find */
};

static uint64_t entry_of(const struct buffer *text, uint32_t row)
{
    return (hash64(text->data, text->size) & ~(uint64_t)UINT32_MAX) | row;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static int make_index(void *context, struct buffer *out, struct error *error)
{
    const struct indexing *indexing = context;
    uint32_t rows = corpus_snapshot(indexing->corpus)->groups[indexing->group]->rows;
    struct buffer text = {0};
    int rc = buffer_reserve(out, sizeof(uint64_t) * ((size_t)rows + 1));
    for (uint32_t i = 0; rc == 0 && i < rows; i++) {
        text.size = 0;
        rc = put_text(indexing->corpus, indexing->key, (struct corpus_row){indexing->group, i},
                      &text, error);
        uint64_t entry = entry_of(&text, i);
        if (rc == 0)
            rc = buffer_append(out, &entry, sizeof entry);
    }
    buffer_clear(&text);
    if (rc == 0 && rows > 0)
        qsort(out->data, rows, sizeof(uint64_t), by_number);
    return rc == -ENOMEM ? error_set(error, rc, "no memory to look up rows") : rc;
}

static uint64_t entry_at(const struct part *index, size_t at)
{
    uint64_t entry;
    memcpy(&entry, index->run.bytes + at * sizeof entry, sizeof entry);
    return entry;
}

/* The first entry that is not before `wanted`. */
static size_t first_entry(const struct part *index, size_t count, uint64_t wanted)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entry_at(index, middle) < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many there are. The group is pinned. */
static int find_in_group(struct indexing *indexing, const struct buffer *wanted, uint32_t *row,
                         struct error *error)
{
    const struct part *index;
    struct buffer text = {0};
    int rc = corpus_made(indexing->corpus, indexing->group, make_index, indexing, &index, error);
    if (rc < 0)
        return rc;
    uint64_t entry = entry_of(wanted, 0);
    size_t count = index->run.size / sizeof entry;
    int found = 0;
    for (size_t at = first_entry(index, count, entry);
         rc == 0 && found < indexing->most && at < count &&
         (entry_at(index, at) >> 32) == entry >> 32;
         at++) {
        uint32_t number = (uint32_t)entry_at(index, at);
        text.size = 0;
        rc = put_text(indexing->corpus, indexing->key, (struct corpus_row){indexing->group, number},
                      &text, error);
        if (rc == 0 && text.size == wanted->size &&
            (text.size == 0 || memcmp(text.data, wanted->data, text.size) == 0)) {
            *row = number;
            found++;
        }
    }
    buffer_clear(&text);
    return rc < 0 ? rc : found;
}

/* Whether it may stand for several keys, whose values hold commas: ('a,b', 'c') and ('a', 'b,c').
 */
static bool is_ambiguous(const struct key_columns *key, const struct buffer *text)
{
    int commas = 0;
    for (size_t i = 0; i < text->size; i++)
        commas += text->data[i] == ',';
    return key->count > 1 && commas >= key->count;
}

/* How many rows have the key, as far as it matters. */
static int find(struct corpus *corpus, const struct key_columns *key, const struct buffer *wanted,
                uint64_t *row, struct error *error)
{
    int found = 0, most = is_ambiguous(key, wanted) ? 2 : 1;
    for (size_t i = 0; found < most && i < corpus_snapshot(corpus)->group_count; i++) {
        struct indexing indexing = {.corpus = corpus, .key = key, .group = i, .most = most};
        uint32_t number = 0;
        corpus_pin(corpus, i);
        int here = find_in_group(&indexing, wanted, &number, error);
        corpus_unpin(corpus, i);
        if (here < 0)
            return here;
        if (here > 0)
            *row = corpus_number(corpus, (struct corpus_row){i, number});
        found += here;
    }
    return found;
}

int corpus_find_key(struct corpus *corpus, const char *text, uint64_t *row, struct error *error)
{
    const struct snapshot *snapshot = corpus_snapshot(corpus);
    struct key_columns key;
    int rc = corpus_key_columns(corpus, &key, error);
    if (rc < 0)
        return rc;
    if (key.count == 0)
        return error_set(error, -ENOENT, "%s.%s has no primary key", snapshot->relation.schema,
                         snapshot->relation.name);
    struct buffer wanted = {.data = (uint8_t *)(uintptr_t)text, .size = strlen(text)};
    int found = find(corpus, &key, &wanted, row, error);
    if (found < 0)
        return found;
    if (found > 1)
        return error_set(
            error, -EINVAL,
            "%s.%s has several rows whose key is written so; ask with the row's vector",
            snapshot->relation.schema, snapshot->relation.name);
    return found > 0 ? 0
                     : error_set(error, -ENOENT, "%s.%s has no row with this key",
                                 snapshot->relation.schema, snapshot->relation.name);
}

/* ---- order ---- */

/* 0 also where they cannot be read. */
static int compare(struct corpus *corpus, const struct column *column, struct corpus_row a,
                   struct corpus_row b)
{
    const uint8_t *a_bytes, *b_bytes;
    int32_t a_size, b_size;
    int part = key_part(column);
    if (corpus_value(corpus, a, part, &a_bytes, &a_size, NULL) < 0 ||
        corpus_value(corpus, b, part, &b_bytes, &b_size, NULL) < 0 || a_size < 0 || b_size < 0)
        return 0;
    return key_compare(column, a_bytes, (size_t)a_size, b_bytes, (size_t)b_size);
}

bool corpus_before(void *context, uint64_t a, uint64_t b)
{
    struct corpus *corpus = context;
    struct key_place place = corpus_key_place(corpus);
    if (!*place.known || place.columns->count == 0)
        return a < b;
    struct corpus_row x = corpus_row(corpus, a), y = corpus_row(corpus, b);
    int order = 0;
    corpus_pin(corpus, x.group);
    corpus_pin(corpus, y.group);
    for (int i = 0; order == 0 && i < place.columns->count; i++)
        order = compare(corpus,
                        &corpus_snapshot(corpus)->schema->columns[place.columns->columns[i]], x, y);
    corpus_unpin(corpus, y.group);
    corpus_unpin(corpus, x.group);
    return order != 0 ? order < 0 : a < b;
}
