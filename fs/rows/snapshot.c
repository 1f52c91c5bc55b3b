#include "fs/rows/snapshot_view.h"

#include "codec/array.h"
#include "codec/clock.h"

#include <errno.h>
#include <stdlib.h>

struct group *group_new(struct store *store, uint32_t relation, const struct rowgroup *rows)
{
    struct group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return NULL;
    group->refs = 1;
    group->store = store;
    group->relation = relation;
    group->id = store_new_id(store);
    group->rows = rows->rows;
    group->content = rows->content;
    group->row_id_sum = rows->row_id_sum;
    for (int i = 0; i < rows->run_count; i++)
        group->bytes += rows->runs[i].size;
    return group;
}

struct group *group_ref(struct group *group)
{
    atomic_fetch_add(&group->refs, 1);
    return group;
}

void group_unref(struct group *group)
{
    if (group == NULL || atomic_fetch_sub(&group->refs, 1) != 1)
        return;
    if (!group->kept)
        store_drop_group(group->store, group->relation, group->id);
    measures_clear(&group->measures);
    free(group);
}

bool group_same(const struct group *a, const struct group *b)
{
    return a->rows == b->rows && hash128_equal(a->content, b->content);
}

bool group_is_proven(const struct group *group, uint64_t run)
{
    for (int i = 0; i < RUNS_KEPT; i++)
        if (group->proven[i] == run)
            return true;
    return false;
}

/* If there is no place left, forgets another run, which costs a comparison at most. */
void group_prove(struct group *group, uint64_t run)
{
    if (group_is_proven(group, run))
        return;
    for (int i = 0; i < RUNS_KEPT; i++) {
        uint64_t none = 0;
        if (atomic_compare_exchange_strong(&group->proven[i], &none, run))
            return;
    }
    group->proven[run % RUNS_KEPT] = run;
}

int snapshot_new(struct store *store, struct snapshot **out)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return -ENOMEM;
    snapshot->refs = 1;
    snapshot->store = store;
    pthread_mutex_init(&snapshot->lock, NULL);
    pthread_mutex_init(&snapshot->reopening.lock, NULL);
    *out = snapshot;
    return 0;
}

static int copy_schema(const struct schema *from, struct schema **out)
{
    struct text record = {0};
    schema_put(from, &record);
    struct record_reader in = {.at = record.bytes.data,
                               .end = record.bytes.data + record.bytes.size};
    int rc = record.failed;
    if (rc == 0)
        rc = schema_get(&in, out);
    text_clear(&record);
    return rc == -EBADMSG ? -ENOMEM : rc; /* what was written is right: memory was short */
}

int snapshot_take_basis(struct snapshot *snapshot, const struct relation *relation,
                        const struct version_key *key, const struct schema *schema)
{
    int rc = version_key_copy(key, &snapshot->key);
    if (rc < 0)
        return rc;
    snapshot->relation = *relation;
    snapshot->relation.schema = strdup(relation->schema);
    snapshot->relation.name = strdup(relation->name);
    if (relation->statement != NULL)
        snapshot->relation.statement = strdup(relation->statement);
    if (snapshot->relation.schema == NULL || snapshot->relation.name == NULL ||
        (snapshot->relation.statement == NULL) != (relation->statement == NULL))
        return -ENOMEM;
    return copy_schema(schema, &snapshot->schema);
}

uint64_t selection_number(const char *columns)
{
    uint64_t number = columns != NULL ? hash64(columns, strlen(columns)) : 0;
    return columns != NULL && number == 0 ? 1 : number;
}

int snapshot_take_columns(struct snapshot *snapshot, const char *columns)
{
    snapshot->columns = columns != NULL ? strdup(columns) : NULL;
    return columns != NULL && snapshot->columns == NULL ? -ENOMEM : 0;
}

void snapshot_stamp(struct snapshot *snapshot, const struct snapshot *old, int64_t after)
{
    snapshot->fetched_at = calendar_us();
    snapshot->mtime = snapshot->fetched_at / 1000000;
    snapshot->serial = (uint64_t)snapshot->fetched_at;
    if (snapshot->mtime <= after)
        snapshot->mtime = after + 1;
    if (old == NULL)
        return;
    int64_t latest = snapshot_latest(old);
    if (snapshot->mtime <= latest)
        snapshot->mtime = latest + 1;
    if (snapshot->serial <= old->serial)
        snapshot->serial = old->serial + 1;
}

void snapshot_stamp_as(struct snapshot *snapshot, const struct snapshot *old)
{
    snapshot->fetched_at = old->fetched_at;
    snapshot->mtime = old->mtime;
    snapshot->serial = old->serial;
    memcpy(snapshot->renewed, old->renewed, sizeof snapshot->renewed);
}

int64_t snapshot_latest(const struct snapshot *snapshot)
{
    int64_t latest = snapshot->mtime;
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (snapshot->renewed[i] > latest)
            latest = snapshot->renewed[i];
    return latest;
}

void snapshot_renew(struct snapshot *snapshot, int place)
{
    int64_t now = calendar_us() / 1000000, before = snapshot->renewed[place];
    if (before < snapshot->mtime)
        before = snapshot->mtime;
    snapshot->renewed[place] = now > before ? now : before + 1;
}

int snapshot_add_source(struct snapshot *snapshot, const struct snapshot_source *source)
{
    size_t n = snapshot->source_count;
    struct snapshot_source *grown = realloc(snapshot->sources, (n + 1) * sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    snapshot->sources = grown;
    snapshot->sources[snapshot->source_count++] = *source;
    return 0;
}

int snapshot_copy_basis(const struct snapshot *from, struct snapshot **out)
{
    struct snapshot *copy;
    int rc = snapshot_new(from->store, &copy);
    if (rc < 0)
        return rc;
    pthread_mutex_t *lock = &((struct snapshot *)from)->lock;
    pthread_mutex_lock(lock);
    rc = snapshot_take_basis(copy, &from->relation, &from->key, from->schema);
    pthread_mutex_unlock(lock);
    if (rc == 0)
        rc = snapshot_take_columns(copy, from->columns);
    for (size_t i = 0; rc == 0 && i < from->source_count; i++)
        rc = snapshot_add_source(copy, &from->sources[i]);
    struct crew *crew = snapshot_held((struct snapshot *)from);
    if (rc == 0 && crew != NULL)
        snapshot_share(copy, crew);
    crew_unref(crew);
    if (rc < 0)
        snapshot_unref(copy);
    else
        *out = copy;
    return rc;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add(&snapshot->refs, 1);
    return snapshot;
}

bool snapshot_hold(struct snapshot *snapshot, struct crew *crew, struct held *holder)
{
    pthread_mutex_lock(&snapshot->lock);
    struct crew *before = snapshot->held;
    bool wanted = (before == NULL || !crew_is_open(before)) && held_add(holder, crew);
    if (wanted) {
        snapshot->held = crew_ref(crew);
        snapshot->holder = holder;
    }
    pthread_mutex_unlock(&snapshot->lock);
    if (wanted && before != NULL)
        held_remove(holder, before);
    if (wanted)
        crew_unref(before);
    return wanted;
}

void snapshot_share(struct snapshot *snapshot, struct crew *crew)
{
    snapshot->held = crew_ref(crew);
}

struct crew *snapshot_held(struct snapshot *snapshot)
{
    pthread_mutex_lock(&snapshot->lock);
    struct crew *crew = snapshot->held != NULL ? crew_ref(snapshot->held) : NULL;
    pthread_mutex_unlock(&snapshot->lock);
    return crew;
}

static bool has_all_groups(const struct snapshot *snapshot)
{
    bool all = true;
    for (size_t i = 0; all && i < snapshot->group_count; i++)
        all = store_has_group(snapshot->store, snapshot->groups[i]->relation,
                              snapshot->groups[i]->id);
    return all;
}

void snapshot_hand_over(struct snapshot *from, struct snapshot *to)
{
    pthread_mutex_lock(&from->lock);
    struct crew *crew = from->held;
    struct held *holder = from->holder;
    pthread_mutex_unlock(&from->lock);
    if (crew == NULL || has_all_groups(to))
        return; /* the read point ends with `from` */
    pthread_mutex_lock(&to->lock);
    bool takes = to->held == NULL;
    if (takes) {
        to->held = crew_ref(crew);
        to->holder = holder;
    }
    pthread_mutex_unlock(&to->lock);
    if (!takes)
        return;
    pthread_mutex_lock(&from->lock);
    from->holder = NULL;
    pthread_mutex_unlock(&from->lock);
    snapshot_let_go(from);
}

/* `which`: the crew to let go of; NULL: whichever it is. */
static void let_go(struct snapshot *snapshot, const struct crew *which)
{
    struct crew *crew = NULL;
    struct held *holder = NULL;
    pthread_mutex_lock(&snapshot->lock);
    if (which == NULL || which == snapshot->held) {
        crew = snapshot->held;
        holder = snapshot->holder;
        snapshot->held = NULL;
        snapshot->holder = NULL;
    }
    pthread_mutex_unlock(&snapshot->lock);
    if (holder != NULL)
        held_remove(holder, crew);
    crew_unref(crew);
}

void snapshot_let_go(struct snapshot *snapshot) { let_go(snapshot, NULL); }

void snapshot_let_go_of(struct snapshot *snapshot, const struct crew *crew)
{
    let_go(snapshot, crew);
}

void snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub(&snapshot->refs, 1) != 1)
        return;
    snapshot_let_go(snapshot);
    for (size_t i = 0; i < snapshot->group_count; i++)
        group_unref(snapshot->groups[i]);
    free(snapshot->groups);
    free(snapshot->times);
    free(snapshot->sources);
    free(snapshot->children);
    free(snapshot->columns);
    faces_free(snapshot);
    free((char *)snapshot->relation.schema);
    free((char *)snapshot->relation.name);
    free((char *)snapshot->relation.statement);
    version_key_clear(&snapshot->key);
    schema_free(snapshot->schema);
    pthread_mutex_destroy(&snapshot->lock);
    pthread_mutex_destroy(&snapshot->reopening.lock);
    free(snapshot);
}

int snapshot_add_group(struct snapshot *snapshot, struct group *group)
{
    struct group **grown = array_room(snapshot->groups, snapshot->group_count, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    snapshot->groups = grown;
    snapshot->groups[snapshot->group_count++] = group;
    snapshot->rows += group->rows;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int snapshot_group_ids(const struct snapshot *snapshot, uint64_t **out)
{
    uint64_t *ids = malloc((snapshot->group_count + 1) * sizeof *ids);
    if (ids == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < snapshot->group_count; i++)
        ids[i] = snapshot->groups[i]->id;
    qsort(ids, snapshot->group_count, sizeof *ids, compare_ids);
    *out = ids;
    return 0;
}

static bool same_refusals(const struct snapshot *a, const struct snapshot *b)
{
    for (int i = 0; i < FORMAT_COUNT; i++) {
        const struct face *x = snapshot_face(a, formats[i]), *y = snapshot_face(b, formats[i]);
        if (face_is_known(x) && face_is_known(y) && face_is_denied(x) != face_is_denied(y))
            return false;
    }
    return true;
}

bool snapshot_has_news(const struct snapshot *fresh, const struct snapshot *old)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (face_is_denied(snapshot_face(fresh, formats[i])) &&
            !face_is_known(snapshot_face(old, formats[i])))
            return true;
    return false;
}

bool snapshot_same_children(const struct snapshot *snapshot, const char *children)
{
    return snapshot->children == NULL || children == NULL ||
           strcmp(snapshot->children, children) == 0;
}

bool snapshot_same_content(const struct snapshot *a, const struct snapshot *b)
{
    if (a->rows != b->rows || a->group_count != b->group_count || a->key.output != b->key.output ||
        a->relation.kind != b->relation.kind || strcmp(a->relation.name, b->relation.name) != 0 ||
        strcmp(a->relation.schema, b->relation.schema) != 0 || !same_refusals(a, b) ||
        !schema_same(a->schema, b->schema) || !snapshot_same_children(a, b->children))
        return false;
    for (size_t i = 0; i < a->group_count; i++)
        if (!group_same(a->groups[i], b->groups[i]))
            return false;
    return true;
}

bool snapshot_same_row_ids(const struct snapshot *a, const struct snapshot *b)
{
    for (size_t i = 0; i < a->group_count; i++)
        if (a->groups[i]->row_id_sum != b->groups[i]->row_id_sum)
            return false;
    return true;
}

int snapshot_take_identity(struct snapshot *fresh, const struct snapshot *old)
{
    snapshot_stamp_as(fresh, old);
    return snapshot_take_faces(fresh, old);
}

bool snapshot_believes(struct snapshot *snapshot, const struct version_key *now)
{
    pthread_mutex_lock(&snapshot->lock);
    bool believes = version_key_believes(&snapshot->key, now);
    pthread_mutex_unlock(&snapshot->lock);
    uint64_t run = server_run_id(&now->runs[0]);
    for (size_t i = 0; believes && i < snapshot->group_count; i++)
        believes = group_is_proven(snapshot->groups[i], run);
    return believes;
}

char *snapshot_mark(struct snapshot *snapshot)
{
    pthread_mutex_lock(&snapshot->lock);
    char *mark = snapshot->key.mark != NULL ? strdup(snapshot->key.mark) : NULL;
    pthread_mutex_unlock(&snapshot->lock);
    return mark;
}

uint64_t snapshot_mark_number(struct snapshot *snapshot)
{
    pthread_mutex_lock(&snapshot->lock);
    const char *mark = snapshot->key.mark;
    uint64_t number = mark != NULL ? hash64(mark, strlen(mark)) : 0;
    pthread_mutex_unlock(&snapshot->lock);
    return number;
}

int snapshot_prove(struct snapshot *snapshot, const struct version_key *now)
{
    pthread_mutex_lock(&snapshot->lock);
    bool known = version_key_believes(&snapshot->key, now);
    int rc = version_key_prove(&snapshot->key, now);
    pthread_mutex_unlock(&snapshot->lock);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < snapshot->group_count; i++)
        group_prove(snapshot->groups[i], server_run_id(&now->runs[0]));
    return !known;
}

void snapshot_forsake(struct snapshot *snapshot, const struct snapshot *newer)
{
    for (size_t i = 0; i < snapshot->group_count; i++)
        snapshot->groups[i]->kept = false;
    for (size_t i = 0; newer != NULL && i < newer->group_count; i++)
        newer->groups[i]->kept = true;
}
