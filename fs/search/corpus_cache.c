#include "fs/search/corpus_cache.h"

#include "codec/clock.h"
#include "fs/search/corpus.h"

#include <errno.h>
#include <stdlib.h>

enum { KEPT_MOST = 32, KEYS_MOST = 256, IDLE_SECONDS = 600, IDLE_HOLDING_SECONDS = 10 };

struct kept {
    struct corpus *corpus;
    int64_t used_at; /* seconds */
};

struct known_key {
    uint32_t relation;
    char *mark;
    struct key_columns key;
};

struct corpus_cache {
    const struct fetch_place *place;
    struct group_cache *groups;
    pthread_mutex_t lock; /* guards what follows */
    struct kept kept[KEPT_MOST];
    int count;
    struct known_key keys[KEYS_MOST];
    int key_count, next_key;
};

int corpus_cache_new(const struct fetch_place *place, uint64_t memory, struct corpus_cache **out)
{
    struct corpus_cache *corpora = calloc(1, sizeof *corpora);
    if (corpora == NULL)
        return -ENOMEM;
    int rc = group_cache_new(memory, &corpora->groups);
    if (rc < 0) {
        free(corpora);
        return rc;
    }
    corpora->place = place;
    pthread_mutex_init(&corpora->lock, NULL);
    *out = corpora;
    return 0;
}

void corpus_cache_free(struct corpus_cache *corpora)
{
    if (corpora == NULL)
        return;
    for (int i = 0; i < corpora->count; i++)
        corpus_unref(corpora->kept[i].corpus);
    for (int i = 0; i < corpora->key_count; i++)
        free(corpora->keys[i].mark);
    group_cache_free(corpora->groups);
    pthread_mutex_destroy(&corpora->lock);
    free(corpora);
}

const struct fetch_place *corpus_cache_place(const struct corpus_cache *corpora)
{
    return corpora->place;
}

struct group_cache *corpus_cache_groups(struct corpus_cache *corpora) { return corpora->groups; }

/* ---- corpora ---- */

struct corpus *corpus_cache_find(struct corpus_cache *corpora, const struct snapshot *snapshot)
{
    struct corpus *found = NULL;
    pthread_mutex_lock(&corpora->lock);
    for (int i = 0; i < corpora->count && found == NULL; i++)
        if (corpus_snapshot(corpora->kept[i].corpus) == snapshot) {
            found = corpus_ref(corpora->kept[i].corpus);
            corpora->kept[i].used_at = clock_ms() / 1000;
        }
    pthread_mutex_unlock(&corpora->lock);
    return found;
}

/* Takes out the corpora for which `is` says yes, and lets go of them outside of the lock. */
static void take_out(struct corpus_cache *corpora, bool (*is)(const struct kept *, const void *),
                     const void *context)
{
    struct corpus *out[KEPT_MOST];
    int count = 0;
    pthread_mutex_lock(&corpora->lock);
    for (int i = 0; i < corpora->count;) {
        if (is(&corpora->kept[i], context)) {
            out[count++] = corpora->kept[i].corpus;
            corpora->kept[i] = corpora->kept[--corpora->count];
        } else {
            i++;
        }
    }
    pthread_mutex_unlock(&corpora->lock);
    for (int i = 0; i < count; i++)
        corpus_unref(out[i]);
}

static bool is_of_relation(const struct kept *kept, const void *context)
{
    const struct snapshot *mine = corpus_snapshot(kept->corpus), *other = context;
    return mine->relation.oid == other->relation.oid;
}

void corpus_cache_keep(struct corpus_cache *corpora, struct corpus *corpus)
{
    take_out(corpora, is_of_relation, corpus_snapshot(corpus));
    struct kept kept = {corpus_ref(corpus), clock_ms() / 1000};
    struct corpus *last = NULL;
    pthread_mutex_lock(&corpora->lock);
    int place = corpora->count;
    if (place == KEPT_MOST) { /* in place of the least recently used */
        place = 0;
        for (int i = 1; i < KEPT_MOST; i++)
            if (corpora->kept[i].used_at < corpora->kept[place].used_at)
                place = i;
        last = corpora->kept[place].corpus;
    } else {
        corpora->count++;
    }
    corpora->kept[place] = kept;
    pthread_mutex_unlock(&corpora->lock);
    corpus_unref(last);
}

static bool is_it(const struct kept *kept, const void *context) { return kept->corpus == context; }

void corpus_cache_drop(struct corpus_cache *corpora, const struct corpus *corpus)
{
    take_out(corpora, is_it, corpus);
}

static bool is_idle(const struct kept *kept, const void *context)
{
    int64_t idle = *(const int64_t *)context - kept->used_at;
    if (idle <= IDLE_HOLDING_SECONDS)
        return false;
    struct snapshot *snapshot = corpus_snapshot(kept->corpus);
    bool holds = true;
    if (pthread_mutex_trylock(&snapshot->lock) == 0) {
        holds = snapshot->held != NULL;
        pthread_mutex_unlock(&snapshot->lock);
    }
    return holds || idle > IDLE_SECONDS;
}

void corpus_cache_tend(struct corpus_cache *corpora)
{
    int64_t now = clock_ms() / 1000;
    take_out(corpora, is_idle, &now);
}

/* ---- keys ---- */

static struct known_key *find_key(struct corpus_cache *corpora, uint32_t relation)
{
    for (int i = 0; i < corpora->key_count; i++)
        if (corpora->keys[i].relation == relation)
            return &corpora->keys[i];
    return NULL;
}

/* Whether the key is known as of this mark. A server may have no marks that hold: then an equal one
 * will do. */
static bool is_as_of(const struct known_key *known, const char *mark)
{
    return strcmp(known->mark, mark) == 0 || mark_holds(known->mark, mark);
}

bool corpus_cache_find_key(struct corpus_cache *corpora, uint32_t relation, const char *mark,
                           struct key_columns *out)
{
    pthread_mutex_lock(&corpora->lock);
    const struct known_key *known = find_key(corpora, relation);
    bool good = known != NULL && is_as_of(known, mark != NULL ? mark : "");
    if (good)
        *out = known->key;
    pthread_mutex_unlock(&corpora->lock);
    return good;
}

/* Without memory the key is asked for again. */
void corpus_cache_keep_key(struct corpus_cache *corpora, uint32_t relation, const char *mark,
                           const struct key_columns *key)
{
    char *copy = strdup(mark != NULL ? mark : "");
    if (copy == NULL)
        return;
    pthread_mutex_lock(&corpora->lock);
    struct known_key *known = find_key(corpora, relation);
    if (known == NULL && corpora->key_count < KEYS_MOST) {
        known = &corpora->keys[corpora->key_count++];
    } else if (known == NULL) {
        known = &corpora->keys[corpora->next_key];
        corpora->next_key = (corpora->next_key + 1) % KEYS_MOST;
    }
    free(known->mark);
    *known = (struct known_key){relation, copy, *key};
    pthread_mutex_unlock(&corpora->lock);
}
