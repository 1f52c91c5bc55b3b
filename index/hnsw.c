#include "index/hnsw_parts.h"

#include "index/bits.h"
#include "index/graph_build.h"
#include "index/pages.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hnsw_searcher {
    struct walk walk;
    struct probe probe;
    /* What is refined, and then given out; room for `room` of each. */
    candidate *found;
    uint32_t *slots;
    float *scores;
    uint32_t room;
};

/* ---- an index ---- */

void hnsw_free(struct hnsw *hnsw)
{
    if (hnsw == NULL)
        return;
    if (hnsw->borrowed) {
        free(hnsw->field.mean);
    } else {
        hnsw_clear_graph(hnsw);
        field_clear(&hnsw->field);
    }
    free(hnsw);
}

int hnsw_make_places(struct hnsw *hnsw, uint32_t slots)
{
    hnsw->slots = slots;
    hnsw->places = pages_new(slots * sizeof *hnsw->places);
    hnsw->xmins = pages_new(slots * sizeof *hnsw->xmins);
    if (hnsw->places == NULL || hnsw->xmins == NULL)
        return -ENOMEM;
    memset(hnsw->places, 0xff, slots * sizeof *hnsw->places);
    return 0;
}

const struct space *hnsw_space(const struct hnsw *hnsw) { return &hnsw->field.space; }

uint32_t hnsw_slots(const struct hnsw *hnsw) { return hnsw->slots; }

uint32_t hnsw_rows(const struct hnsw *hnsw) { return hnsw->rows; }

uint64_t hnsw_churn(const struct hnsw *hnsw) { return hnsw->churn; }

bool hnsw_key(const struct hnsw *hnsw, uint32_t slot, struct row_key *out)
{
    if (!slot_taken(hnsw, slot))
        return false;
    *out = (struct row_key){.place = hnsw->places[slot], .xmin = hnsw->xmins[slot]};
    return true;
}

uint64_t hnsw_bytes(const struct hnsw *hnsw)
{
    const struct field *field = &hnsw->field;
    uint64_t bytes = sizeof *hnsw + field->slots * (field->look_stride + field->fine_stride) +
                     field->arena_room +
                     (uint64_t)hnsw->slots * (sizeof *hnsw->places + sizeof *hnsw->xmins);
    if (hnsw->twins != NULL)
        bytes += (uint64_t)hnsw->slots * sizeof *hnsw->twins;
    for (uint32_t l = 0; l < hnsw->layer_count; l++)
        bytes += (uint64_t)hnsw->layers[l].count * hnsw->layers[l].degree * sizeof(uint32_t);
    return bytes;
}

/* ---- a searcher ---- */

int hnsw_searcher_new(const struct hnsw *hnsw, struct hnsw_searcher **out)
{
    struct hnsw_searcher *searcher = calloc(1, sizeof *searcher);
    if (searcher == NULL)
        return -ENOMEM;
    int rc = probe_init(&hnsw->field, &searcher->probe);
    if (rc < 0) {
        free(searcher);
        return rc;
    }
    rc = walk_init(&searcher->walk, &hnsw->field, &searcher->probe, hnsw->slots, 64);
    if (rc < 0) {
        probe_clear(&hnsw->field, &searcher->probe);
        free(searcher);
        return rc;
    }
    *out = searcher;
    return 0;
}

void hnsw_searcher_free(struct hnsw_searcher *searcher)
{
    if (searcher == NULL)
        return;
    probe_clear(searcher->walk.field, &searcher->probe);
    walk_clear(&searcher->walk);
    free(searcher->found);
    free(searcher->slots);
    free(searcher->scores);
    free(searcher);
}

static int searcher_reserve(struct hnsw_searcher *searcher, uint32_t room)
{
    if (room <= searcher->room)
        return 0;
    candidate *found = realloc(searcher->found, (room + 1) * sizeof *found);
    if (found == NULL)
        return -ENOMEM;
    searcher->found = found;
    uint32_t *slots = realloc(searcher->slots, room * sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    searcher->slots = slots;
    float *scores = realloc(searcher->scores, room * sizeof *scores);
    if (scores == NULL)
        return -ENOMEM;
    searcher->scores = scores;
    searcher->room = room;
    return 0;
}

/* ---- a search ---- */

/* More candidates than that are not kept in order: then it is less work to look at all that
 * match. */
enum { POOL_MOST = 8192 };

struct search {
    const struct hnsw *hnsw;
    struct hnsw_searcher *searcher;
    const struct hnsw_question *question;
    uint32_t matches; /* rows that the filter lets through */
    uint32_t k;
    uint32_t refined; /* how many of the best by the rough score get the finer one */
    bool scanned;
    bool tied; /* a scan has left some out, the best of which has */
    float tie; /* this rough score */
};

static bool matches(const struct search *search, uint32_t slot)
{
    const uint64_t *filter = search->question->filter;
    return filter == NULL || bit_is_set(filter, slot);
}

static uint32_t count_matches(const struct hnsw *hnsw, const struct hnsw_question *question)
{
    const uint64_t *filter = question->filter;
    uint32_t n = 0;
    if (filter == NULL)
        return hnsw->rows;
    if (question->matches > 0)
        return question->matches < hnsw->rows ? question->matches : hnsw->rows;
    for (uint32_t word = 0; word < hnsw->slots / 64 + (hnsw->slots % 64 != 0); word++) {
        uint64_t bits = filter[word];
        if (word == hnsw->slots / 64)
            bits &= (UINT64_C(1) << hnsw->slots % 64) - 1;
        n += (uint32_t)__builtin_popcountll(bits);
    }
    return n;
}

/* The next slot of a chain that counts, from `slot` on; NOBODY: there is none. `steps` bounds the
 * way: in a file that has changed meanwhile, a chain can be a ring. */
static inline uint32_t next_match(const struct search *search, uint32_t slot, uint32_t *steps)
{
    const struct hnsw *hnsw = search->hnsw;
    while (slot < hnsw->slots && (*steps)++ < hnsw->slots) {
        if (slot_taken(hnsw, slot) && matches(search, slot))
            return slot;
        slot = hnsw->twins != NULL ? hnsw->twins[slot] : NOBODY;
    }
    return NOBODY;
}

static inline uint32_t match_after(const struct search *search, uint32_t slot, uint32_t *steps)
{
    const uint32_t *twins = search->hnsw->twins;
    return twins != NULL ? next_match(search, twins[slot], steps) : NOBODY;
}

/* Lists the chains that the walk has found, by their first slots, if a row of them counts. Returns
 * how many rows these are, up to k. */
static uint32_t list_chains(struct search *search, uint32_t *chains)
{
    struct hnsw_searcher *searcher = search->searcher;
    const struct walk *walk = &searcher->walk;
    uint32_t rows = 0, n = 0;
    for (uint32_t i = 0; i < walk->size && n < search->refined; i++) {
        uint32_t steps = 0, slot = candidate_slot(walk->pool[i]);
        uint32_t row = next_match(search, slot, &steps);
        if (row == NOBODY)
            continue;
        searcher->slots[n] = slot;
        searcher->scores[n++] = candidate_score(walk->pool[i]);
        for (; row != NOBODY && rows < search->k; row = match_after(search, row, &steps))
            rows++;
    }
    *chains = n;
    return rows;
}

static int walk_graph(struct search *search, uint32_t ef)
{
    const struct hnsw *hnsw = search->hnsw;
    struct walk *walk = &search->searcher->walk;
    uint32_t entry = graph_descend(walk, hnsw->layers, (int)hnsw->layer_count - 1, 1, hnsw->entry);
    walk->stop = search->question->stop;
    return graph_search(walk, &hnsw->layers[0], entry, ef);
}

/* ---- looking at all ---- */

/* A heap with the worst of those kept on top. */
static void sift_down(candidate *heap, uint32_t n)
{
    candidate one = heap[0];
    uint32_t at = 0;
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && heap[child + 1] > heap[child];
        if (heap[child] <= one)
            break;
        heap[at] = heap[child];
    }
    heap[at] = one;
}

static void sift_up(candidate *heap, uint32_t at)
{
    candidate one = heap[at];
    for (; at > 0 && heap[(at - 1) / 2] < one; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = one;
}

static void leave_out(struct search *search, candidate one)
{
    float score = candidate_score(one);
    /* Those kept get better and better, so the best of those left out is the one to compare
     * with. */
    if (!search->tied || score < search->tie)
        search->tie = score;
    search->tied = true;
}

/* Keeps the best of the first `kept` and those in `slots`. Returns how many it keeps. */
static uint32_t keep_best(struct search *search, const uint32_t *slots, uint32_t n, uint32_t kept)
{
    struct hnsw_searcher *searcher = search->searcher;
    const struct field *field = &search->hnsw->field;
    float scores[256];
    field->score(field, &searcher->probe, slots, n, scores);
    searcher->walk.visited += n;
    for (uint32_t i = 0; i < n; i++) {
        candidate one = candidate_make(scores[i], slots[i]);
        if (kept < search->refined) {
            searcher->found[kept] = one;
            sift_up(searcher->found, kept++);
        } else if (one < searcher->found[0]) {
            leave_out(search, searcher->found[0]);
            searcher->found[0] = one;
            sift_down(searcher->found, kept);
        } else {
            leave_out(search, one);
        }
    }
    return kept;
}

/* Scores all that match. */
static int scan(struct search *search, uint32_t *found)
{
    enum { WORDS = 1024 }; /* between two looks at whether to stop */
    const struct hnsw *hnsw = search->hnsw;
    struct hnsw_searcher *searcher = search->searcher;
    const uint64_t *filter = search->question->filter;
    uint32_t slots[256], n = 0, kept = 0;
    for (uint32_t word = 0; word < hnsw->slots / 64 + (hnsw->slots % 64 != 0); word++) {
        uint64_t bits = filter != NULL ? filter[word] : UINT64_MAX;
        for (; bits != 0; bits &= bits - 1) {
            uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (slot_taken(hnsw, slot))
                slots[n++] = slot;
        }
        if (n > 192) {
            kept = keep_best(search, slots, n, kept);
            n = 0;
        }
        if (word % WORDS == 0 && search->question->stop != NULL && *search->question->stop)
            return -EINTR;
    }
    kept = keep_best(search, slots, n, kept);
    for (uint32_t i = 0; i < kept; i++) {
        searcher->slots[i] = candidate_slot(searcher->found[i]);
        searcher->scores[i] = candidate_score(searcher->found[i]);
    }
    search->scanned = true;
    *found = kept;
    return 0;
}

/* ---- what is given out ---- */

static int compare_candidates(const void *a, const void *b)
{
    candidate x = *(const candidate *)a, y = *(const candidate *)b;
    return x < y ? -1 : x > y;
}

/* Puts the n candidates in `slots` into `found`, in the order of the finer score. */
static void refine(const struct search *search, uint32_t n)
{
    struct hnsw_searcher *searcher = search->searcher;
    const struct field *field = &search->hnsw->field;
    if (field->refine != NULL)
        field->refine(field, &searcher->probe, searcher->slots, n, searcher->scores);
    for (uint32_t i = 0; i < n; i++)
        searcher->found[i] = candidate_make(searcher->scores[i], searcher->slots[i]);
    if (field->refine != NULL || search->scanned)
        qsort(searcher->found, n, sizeof *searcher->found, compare_candidates);
}

static struct hnsw_found found_of(const struct search *search, candidate one, uint32_t slot)
{
    const struct field *field = &search->hnsw->field;
    return (struct hnsw_found){
        field_distance(field, &search->searcher->probe, candidate_score(one)), slot};
}

/* Whether a row that the rough score left out may have the codes of one that is given out. That can
 * be any of them: the finer score may put first what is last by the rough one. */
static bool may_tie(const struct search *search, const struct hnsw_found *out, uint32_t count)
{
    struct hnsw_searcher *searcher = search->searcher;
    const struct field *field = &search->hnsw->field;
    if (!search->tied)
        return false;
    for (uint32_t i = 0; i < count; i++)
        searcher->slots[i] = out[i].slot;
    field->score(field, &searcher->probe, searcher->slots, count, searcher->scores);
    for (uint32_t i = 0; i < count; i++)
        if (searcher->scores[i] >= search->tie)
            return true;
    return false;
}

/* After a scan: each row by itself. */
static uint32_t give_rows(const struct search *search, uint32_t n, struct hnsw_found *out,
                          bool *cut)
{
    const candidate *found = search->searcher->found;
    uint32_t count = 0;
    for (; count < n; count++) {
        if (count >= search->k && candidate_score(found[count]) > candidate_score(found[count - 1]))
            break;
        *cut = count == search->question->room;
        if (*cut)
            return count;
        out[count] = found_of(search, found[count], candidate_slot(found[count]));
    }
    *cut = may_tie(search, out, count);
    return count;
}

/* After a walk: each chain with all its rows. */
static uint32_t give_chains(const struct search *search, uint32_t n, struct hnsw_found *out,
                            bool *cut)
{
    const candidate *found = search->searcher->found;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n && count < search->k; i++) {
        uint32_t steps = 0, row = candidate_slot(found[i]);
        if (search->hnsw->twins == NULL) { /* then it counts */
            out[count++] = found_of(search, found[i], row);
            continue;
        }
        row = next_match(search, row, &steps);
        for (; row != NOBODY && count < search->question->room;
             row = match_after(search, row, &steps))
            out[count++] = found_of(search, found[i], row);
        *cut = row != NOBODY;
    }
    return count;
}

/* ---- how ---- */

/* A search looks at about VISITS neighbours for each candidate that it keeps. With a filter it
 * keeps more of them, so that enough match. If it would look at more than match, a scan is less
 * work. */
static bool better_scanned(const struct search *search, uint64_t ef)
{
    enum { VISITS = 24 };
    return search->matches <= search->k || ef > POOL_MOST ||
           (search->question->filter != NULL && search->matches <= ef * VISITS);
}

/* How many candidates to keep so that ef of them match, three standard deviations included. */
static uint64_t widen(const struct search *search, uint32_t ef)
{
    double rows = search->hnsw->rows, share = search->matches / rows;
    return share < 1 ? (uint64_t)((ef + 3 * sqrt(ef * (1 - share))) / share) : ef;
}

/* Collects candidates in `slots`; how many. */
static int collect(struct search *search, uint32_t ef, uint32_t *found)
{
    uint64_t wide = widen(search, ef);
    wide = wide < search->hnsw->slots ? wide : search->hnsw->slots;
    if (better_scanned(search, wide))
        return scan(search, found);
    uint32_t wanted = search->k < search->matches ? search->k : search->matches;
    int rc = walk_reserve(&search->searcher->walk, (uint32_t)wide);
    if (rc == 0)
        rc = walk_graph(search, (uint32_t)wide);
    if (rc < 0)
        return rc;
    return list_chains(search, found) >= wanted ? 0 : scan(search, found);
}

/* How many get the finer score: the rough order is wrong by a few places only. */
static uint32_t refined_of(const struct hnsw *hnsw, uint32_t k, uint32_t ef)
{
    uint32_t some = hnsw->field.bits == 4 ? k + 16 + ef / 2 : k / 2 + 8 + ef / 4;
    return hnsw->field.refine != NULL ? k + some : k;
}

static bool is_of_space(const struct hnsw *hnsw, const struct query *query)
{
    const struct space *asked = query_space(query), *own = &hnsw->field.space;
    return asked->element == own->element && asked->metric == own->metric &&
           asked->dims == own->dims;
}

int hnsw_search(const struct hnsw *hnsw, struct hnsw_searcher *searcher,
                const struct hnsw_question *question, struct hnsw_found *out, uint32_t *count,
                struct hnsw_effort *effort)
{
    struct hnsw_question whole = *question;
    struct search search = {.hnsw = hnsw, .searcher = searcher, .question = &whole};
    uint32_t found = 0, ef = question->ef;
    size_t size;
    const uint8_t *value = query_value(question->query, &size);
    bool cut = false;
    if (!is_of_space(hnsw, question->query))
        return -EINVAL;
    search.matches = count_matches(hnsw, question);
    search.k = question->k < hnsw->slots ? question->k : hnsw->slots;
    whole.room = question->room > question->k ? question->room : question->k;
    ef = ef < search.k ? search.k : ef;
    ef = ef < 1U << 24 ? ef : 1U << 24;
    search.refined = refined_of(hnsw, search.k, ef);
    searcher->walk.visited = 0;
    int rc = probe_value(&hnsw->field, &searcher->probe, value, size);
    if (rc == 0)
        rc = searcher_reserve(searcher, search.refined);
    if (rc == 0 && search.k > 0 && search.matches > 0)
        rc = collect(&search, ef, &found);
    if (rc != 0)
        return rc > 0 ? -EINVAL : rc;
    refine(&search, found);
    *count = search.scanned ? give_rows(&search, found, out, &cut)
                            : give_chains(&search, found, out, &cut);
    if (effort != NULL)
        *effort = (struct hnsw_effort){searcher->walk.visited, search.scanned, cut};
    return 0;
}

/* ---- how good it is ---- */

int hnsw_recall(const struct hnsw *hnsw, struct hnsw_recall out[HNSW_RECALLS])
{
    memcpy(out, hnsw->curve, hnsw->curve_count * sizeof *out);
    return (int)hnsw->curve_count;
}

double hnsw_recall_at(const struct hnsw *hnsw, uint32_t ef)
{
    const struct hnsw_recall *curve = hnsw->curve;
    uint32_t i = 0;
    while (i < hnsw->curve_count && curve[i].ef <= ef)
        i++;
    if (i == 0)
        return 0;
    double recall = (double)curve[i - 1].recall;
    if (i == hnsw->curve_count)
        return recall;
    double part = (double)(ef - curve[i - 1].ef) / (double)(curve[i].ef - curve[i - 1].ef);
    return recall + part * ((double)curve[i].recall - recall);
}

uint32_t hnsw_ef(const struct hnsw *hnsw, double recall, uint32_t k)
{
    const struct hnsw_recall *curve = hnsw->curve;
    for (uint32_t i = 0; i < hnsw->curve_count; i++) {
        if ((double)curve[i].recall < recall)
            continue;
        double ef = curve[i].ef;
        /* Between two points recall grows with the logarithm of ef; a straight line is on the safe
         * side. */
        if (i > 0 && curve[i].recall > curve[i - 1].recall)
            ef = curve[i - 1].ef + (recall - (double)curve[i - 1].recall) /
                                       (double)(curve[i].recall - curve[i - 1].recall) *
                                       (ef - curve[i - 1].ef);
        uint32_t whole = (uint32_t)(ef + 0.999);
        return k <= 10 ? whole : whole + (k - 10) + (k - 10) * (whole / 10) / 4;
    }
    return 0;
}

/* ---- for tests ---- */

static int check_list(const struct hnsw *hnsw, uint32_t l, uint32_t slot, struct error *error)
{
    const struct layer *layer = &hnsw->layers[l];
    const uint32_t *list = layer_list(layer, slot);
    uint32_t n = list_length(list, layer->degree);
    for (uint32_t i = 0; i < layer->degree; i++) {
        if (i >= n && list[i] != NOBODY)
            return error_set(error, -EBADMSG, "layer %u, slot %u: a gap in the list", l, slot);
        if (i < n && (list[i] >= layer->count || !slot_taken(hnsw, list[i]) || list[i] == slot))
            return error_set(error, -EBADMSG, "layer %u, slot %u: a link to slot %u", l, slot,
                             list[i]);
        for (uint32_t j = 0; i < n && j < i; j++)
            if (list[i] == list[j])
                return error_set(error, -EBADMSG, "layer %u, slot %u: slot %u twice", l, slot,
                                 list[i]);
    }
    return 0;
}

static int check_reach(const struct hnsw *hnsw, uint32_t l, uint64_t *seen, struct error *error)
{
    uint32_t reached;
    int rc = graph_reach(&hnsw->layers[l], hnsw->entry, seen, &reached);
    if (rc < 0)
        return rc;
    /* The first of a chain may be on the lowest layer alone: then nothing leads to its twins
     * above. */
    for (uint32_t slot = 0; hnsw->twins != NULL && slot < hnsw->slots; slot++)
        if (l > 0 || bit_is_set(seen, slot))
            for (uint32_t twin = hnsw->twins[slot]; twin != NOBODY && !bit_is_set(seen, twin);
                 twin = hnsw->twins[twin])
                bit_set(seen, twin);
    for (uint32_t slot = 0; slot < hnsw->layers[l].count; slot++)
        if (slot_taken(hnsw, slot) && !bit_is_set(seen, slot))
            return error_set(error, -EBADMSG, "layer %u: slot %u cannot be reached", l, slot);
    return 0;
}

int hnsw_check(const struct hnsw *hnsw, struct error *error)
{
    uint64_t *seen = bits_new(hnsw->slots);
    uint32_t taken = 0;
    int rc = seen == NULL ? -ENOMEM : 0;
    for (uint32_t slot = 0; slot < hnsw->slots; slot++)
        taken += slot_taken(hnsw, slot);
    if (rc == 0 && taken != hnsw->rows)
        rc = error_set(error, -EBADMSG, "%u slots are taken, of %u rows", taken, hnsw->rows);
    for (uint32_t l = 0; rc == 0 && l < hnsw->layer_count; l++) {
        for (uint32_t slot = 0; rc == 0 && slot < hnsw->layers[l].count; slot++)
            rc = check_list(hnsw, l, slot, error);
        memset(seen, 0, bit_words(hnsw->slots) * sizeof *seen);
        if (rc == 0)
            rc = check_reach(hnsw, l, seen, error);
    }
    free(seen);
    return rc;
}
