/* Rows by primary key, and the order of keys.
 *
 * A group's keys are looked up by tags, which are made on first use: a u64 that says which columns
 * are the key, then a u16 for each of its rows, in order: the upper bits of a hash of its key's
 * text. For the few rows whose tag fits the key itself is compared. */
#include "fs/search/corpus.h"

#include "codec/key_compare.h"
#include "fs/base/patience.h"
#include "pgclient/primary_key.h"

#include <errno.h>
#include <stdlib.h>

/* ---- which columns ---- */

struct gathering {
    const struct schema *schema;
    struct key_columns key;
};

/* Adds a column to the key. If its values are not at hand the key is of no use. */
static int take_column(void *context, const char *name, const char *type)
{
    struct gathering *gathering = context;
    const struct schema *schema = gathering->schema;
    struct key_columns *key = &gathering->key;
    enum key_order order = key_order_of(type);
    for (int i = 0; i < schema->column_count; i++)
        if (strcmp(schema->columns[i].name, name) == 0 &&
            key_part(&schema->columns[i], order) != PART_NONE &&
            (schema->columns[i].type != NULL || schema->columns[i].part[PART_TEXT] != PART_NONE) &&
            key->count < KEY_COLUMNS_MOST) {
            key->columns[key->count] = i;
            key->orders[key->count++] = order;
            return 0;
        }
    key->count = 0;
    return -ECANCELED;
}

struct asking {
    const struct fetch_place *place;
    const struct snapshot *snapshot;
    struct key_columns key;
    struct version_key now; /* the server that has told it */
};

static int ask_now(void *context, struct session *session, struct error *error)
{
    struct asking *asking = context;
    const struct fetch_place *place = asking->place;
    struct gathering gathering = {.schema = asking->snapshot->schema};
    version_key_clear(&asking->now);
    session_also_stop(session, patience_stop());
    int rc = primary_key_read(session, asking->snapshot->relation.oid, &asking->now, take_column,
                              &gathering, error);
    session_also_stop(session, NULL);
    if (rc < 0 && rc != -ECANCELED)
        return rc;
    asking->key = gathering.key;
    return mark_check(asking->now.mark, place->system_id, place->database, error);
}

/* Asks the server for the key. *lasts: the answer holds as long as the snapshot has its mark. A
 * copy of the cluster, or a standby of it that nothing was fetched from, may know another key. */
static int ask(const struct fetch_place *place, struct snapshot *snapshot, struct key_columns *out,
               bool *lasts, struct error *error)
{
    struct asking asking = {.place = place, .snapshot = snapshot};
    struct lock_question question = {&snapshot->relation, "question", ask_now, &asking};
    int rc = patience_ask(error);
    if (rc == 0)
        rc = lock_wait_ask(place->waits, place->pool, &question, patience_stop(), error);
    if (rc == 0) {
        *out = asking.key;
        *lasts = snapshot_believes(snapshot, &asking.now);
    }
    version_key_clear(&asking.now);
    return rc;
}

static bool may_have_key(const struct snapshot *snapshot)
{
    return snapshot->relation.kind == RELATION_TABLE ||
           snapshot->relation.kind == RELATION_PARTITIONED ||
           snapshot->relation.kind == RELATION_SPREAD;
}

int corpus_key_columns(struct corpus *corpus, struct key_columns *out, struct error *error)
{
    struct snapshot *snapshot = corpus_snapshot(corpus);
    struct key_place place = corpus_key_place(corpus);
    struct corpus_cache *corpora = place.corpora;
    uint32_t relation = snapshot->relation.oid;
    struct key_columns key = {0};
    char *mark = may_have_key(snapshot) ? snapshot_mark(snapshot) : NULL;
    int rc = 0;
    if (may_have_key(snapshot) && !corpus_cache_find_key(corpora, relation, mark, &key) &&
        (rc = patience_lock(place.lock, error)) == 0) {
        if (!corpus_cache_find_key(corpora, relation, mark, &key)) {
            bool lasts = false;
            rc = ask(corpus_cache_place(corpora), snapshot, &key, &lasts, error);
            if (rc == 0 && lasts)
                corpus_cache_keep_key(corpora, relation, mark, &key);
        }
        pthread_mutex_unlock(place.lock);
    }
    free(mark);
    if (rc == 0)
        *out = key;
    return rc;
}

/* ---- a key's text ---- */

/* Appends a value's text; the row's group is pinned. */
static int put_value(struct corpus *corpus, int number, struct corpus_row row, struct buffer *out,
                     struct error *error)
{
    const struct column *column = &corpus_snapshot(corpus)->schema->columns[number];
    int part = column->part[column->type != NULL ? PART_BINARY : PART_TEXT];
    const uint8_t *bytes;
    int32_t size;
    int rc = corpus_value(corpus, row, part, &bytes, &size, error);
    if (rc == 0 && size >= 0)
        rc = column->type != NULL ? column->type->text(bytes, (size_t)size, out)
                                  : buffer_append(out, bytes, (size_t)size);
    if (rc == -EBADMSG)
        rc = error_set(error, -EIO, "a key is not a value of its type");
    return rc;
}

static int put_text(struct corpus *corpus, const struct key_columns *key, struct corpus_row row,
                    struct buffer *out, struct error *error)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < key->count; i++) {
        rc = i > 0 ? buffer_append_byte(out, ',') : 0;
        if (rc == 0)
            rc = put_value(corpus, key->columns[i], row, out, error);
    }
    return rc;
}

int corpus_put_key(struct corpus *corpus, int column, uint64_t row, struct buffer *out,
                   struct error *error)
{
    struct corpus_row at = corpus_row(corpus, row);
    corpus_pin(corpus, at.group);
    int rc = put_value(corpus, column, at, out, error);
    corpus_unpin(corpus, at.group);
    return rc;
}

/* ---- looking up ---- */

struct lookup {
    struct corpus *corpus;
    const struct key_columns *key;
    const struct buffer *wanted;
    bool kept; /* there is room for the tags of all groups */
    int most;  /* number of rows to find */
    size_t group;
};

/* The number with which a group's tags begin: it says which key they are of. */
static uint64_t key_number(const struct key_columns *key)
{
    return hash64(key->columns, (size_t)key->count * sizeof *key->columns);
}

static uint16_t tag_of(const struct buffer *text)
{
    return (uint16_t)(hash64(text->data, text->size) >> 48);
}

static int make_tags(void *context, struct buffer *out, struct error *error)
{
    const struct lookup *lookup = context;
    uint32_t rows = corpus_snapshot(lookup->corpus)->groups[lookup->group]->rows;
    uint64_t number = key_number(lookup->key);
    struct buffer text = {0};
    int rc = buffer_reserve(out, sizeof number + sizeof(uint16_t) * (size_t)rows);
    if (rc == 0)
        rc = buffer_append(out, &number, sizeof number);
    for (uint32_t i = 0; rc == 0 && i < rows; i++) {
        text.size = 0;
        rc = put_text(lookup->corpus, lookup->key, (struct corpus_row){lookup->group, i}, &text,
                      error);
        uint16_t tag = tag_of(&text);
        if (rc == 0)
            rc = buffer_append(out, &tag, sizeof tag);
    }
    buffer_clear(&text);
    return rc == -ENOMEM ? error_set(error, rc, "no memory to look up rows") : rc;
}

/* The tag of each row; NULL: tags are not kept, or are those of an earlier key. */
static int get_tags(struct lookup *lookup, const uint8_t **out, struct error *error)
{
    const struct part *made;
    uint64_t number;
    *out = NULL;
    if (!lookup->kept)
        return 0;
    int rc = corpus_made(lookup->corpus, lookup->group, make_tags, lookup, &made, error);
    if (rc < 0)
        return rc;
    memcpy(&number, made->run.bytes, sizeof number);
    if (number == key_number(lookup->key))
        *out = made->run.bytes + sizeof number;
    return 0;
}

static bool has_tag(const uint8_t *tags, uint32_t row, uint16_t wanted)
{
    uint16_t tag;
    memcpy(&tag, tags + row * sizeof tag, sizeof tag);
    return tag == wanted;
}

/* Gives how many rows have the key. The group is pinned. */
static int find_in_group(struct lookup *lookup, uint32_t *row, struct error *error)
{
    const struct buffer *wanted = lookup->wanted;
    uint32_t rows = corpus_snapshot(lookup->corpus)->groups[lookup->group]->rows;
    uint16_t tag = tag_of(wanted);
    const uint8_t *tags;
    struct buffer text = {0};
    int found = 0, rc = get_tags(lookup, &tags, error);
    for (uint32_t i = 0; rc == 0 && found < lookup->most && i < rows; i++) {
        if (tags != NULL && !has_tag(tags, i, tag))
            continue;
        text.size = 0;
        rc = put_text(lookup->corpus, lookup->key, (struct corpus_row){lookup->group, i}, &text,
                      error);
        if (rc == 0 && text.size == wanted->size &&
            (text.size == 0 || memcmp(text.data, wanted->data, text.size) == 0)) {
            *row = i;
            found++;
        }
    }
    buffer_clear(&text);
    return rc < 0 ? rc : found;
}

/* Whether the text may stand for several keys, whose values contain commas: ('a,b', 'c') and ('a',
 * 'b,c'). */
static bool is_ambiguous(const struct key_columns *key, const struct buffer *text)
{
    int commas = 0;
    for (size_t i = 0; i < text->size; i++)
        commas += text->data[i] == ',';
    return key->count > 1 && commas >= key->count;
}

/* Gives how many rows have the key, as far as that matters. */
static int find(struct corpus *corpus, const struct key_columns *key, const struct buffer *wanted,
                uint64_t *row, struct error *error)
{
    const struct snapshot *snapshot = corpus_snapshot(corpus);
    struct lookup lookup = {.corpus = corpus,
                            .key = key,
                            .wanted = wanted,
                            .kept = corpus_has_room(corpus, snapshot->rows * sizeof(uint16_t)),
                            .most = is_ambiguous(key, wanted) ? 2 : 1};
    int found = 0;
    for (size_t i = 0; found < lookup.most && i < snapshot->group_count; i++) {
        uint32_t number = 0;
        if (patience_stopped())
            return error_set(error, -EINTR, "stopped");
        lookup.group = i;
        corpus_pin(corpus, i);
        int here = find_in_group(&lookup, &number, error);
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

/* Compares by the key's column of this number. */
static int compare(struct corpus *corpus, const struct key_columns *key, int number,
                   struct corpus_row a, struct corpus_row b, int *order, struct error *error)
{
    const struct column *column = &corpus_snapshot(corpus)->schema->columns[key->columns[number]];
    enum key_order by = key->orders[number];
    const uint8_t *a_bytes, *b_bytes;
    int32_t a_size, b_size;
    int part = key_part(column, by);
    int rc = corpus_value(corpus, a, part, &a_bytes, &a_size, error);
    if (rc == 0)
        rc = corpus_value(corpus, b, part, &b_bytes, &b_size, error);
    if (rc == 0)
        *order = a_size < 0 || b_size < 0
                     ? 0
                     : key_compare(column, by, a_bytes, (size_t)a_size, b_bytes, (size_t)b_size);
    return rc;
}

int corpus_before(struct corpus *corpus, const struct key_columns *key, uint64_t a, uint64_t b,
                  bool *out, struct error *error)
{
    int order = 0, rc = 0;
    struct corpus_row x = corpus_row(corpus, a), y = corpus_row(corpus, b);
    if (key->count > 0) {
        corpus_pin(corpus, x.group);
        corpus_pin(corpus, y.group);
        for (int i = 0; rc == 0 && order == 0 && i < key->count; i++)
            rc = compare(corpus, key, i, x, y, &order, error);
        corpus_unpin(corpus, y.group);
        corpus_unpin(corpus, x.group);
    }
    *out = order != 0 ? order < 0 : a < b;
    return rc;
}
