#include "fs/tables/lease.h"

static bool is_good(const struct lease_state *state)
{
    return state->asked == LEASE_REFRESHED || state->hold != LEASE_EXPIRED;
}

/* Whether the caller must be told what holds now. */
static bool wants_news(const struct lease_state *state)
{
    return !state->is_open || state->named == LEASE_IN_DOUBT;
}

static bool opens_by_name(const struct lease_state *state)
{
    return state->opens && state->named != LEASE_BY_NODE;
}

/* Decides for a file that shows nothing. If the version lacks the face, the server is asked before
 * the file is bound: once bound, it could only say STALE if the refresh finds a change. */
static enum lease_verdict decide_pending(const struct lease_state *state)
{
    bool lacks = state->face == LEASE_FACE_LACKS && state->asked != LEASE_REFRESHED;
    if (is_good(state) && !lacks)
        return LEASE_BIND;
    return state->along ? LEASE_READ_FETCH : LEASE_REFRESH;
}

/* Decides for a file that is answered for the version that it shows, once the face is there. */
static enum lease_verdict decide_face(const struct lease_state *state)
{
    enum lease_face enough = state->opens ? LEASE_FACE_READABLE : LEASE_FACE_SIZED;
    bool lacks = state->face == LEASE_FACE_LACKS;
    if (state->face == LEASE_FACE_FAILED)
        return LEASE_FAIL;
    if (state->face >= enough)
        return LEASE_ANSWER;
    if (state->shows != LEASE_SHOWS_CURRENT) {
        bool kept = state->hold == LEASE_KEPT || state->is_open;
        return kept && !lacks ? LEASE_MEASURE : LEASE_STALE;
    }
    if (lacks)
        return state->asked == LEASE_REFRESHED ? LEASE_GIVE_UP : LEASE_REFRESH;
    return state->along ? LEASE_READ_ROWS : LEASE_MEASURE;
}

enum lease_verdict lease_decide(const struct lease_state *state)
{
    if (state->cache == LEASE_SPOILED)
        return state->reads ? LEASE_GIVE_UP : LEASE_STALE;
    if (state->cache == LEASE_FILLING)
        return LEASE_WAIT;
    if (state->shows == LEASE_SHOWS_NOTHING)
        return decide_pending(state);
    bool news = wants_news(state), by_name = opens_by_name(state);
    if (state->shows == LEASE_SHOWS_PAST) {
        bool told = news && (state->asked != LEASE_NOT_ASKED || state->named != LEASE_BY_NODE);
        if (state->hold != LEASE_KEPT && (told || by_name))
            return LEASE_STALE;
    } else if (!is_good(state) && (news || by_name)) {
        return LEASE_REFRESH;
    }
    return decide_face(state);
}

/* Whether the existing node can ask the server later. A file that a process has open goes on
 * answering for its version: if its answers could be mistaken, or its version is likely to be of
 * the past, a new node has to ask. */
static bool may_ask_later(const struct lease_look *look)
{
    return look->found == LEASE_FOUND_CLOSED || (look->found == LEASE_FOUND_OPEN && look->waited &&
                                                 !look->changed && !look->many && !look->opened);
}

static bool is_in_doubt(const struct lease_look *look)
{
    return look->found == LEASE_FOUND_MAKING ||
           (look->found == LEASE_FOUND_OPEN && look->title == LEASE_UNSURE);
}

enum lease_sight lease_look(const struct lease_look *look)
{
    if (look->title == LEASE_OWN)
        return LEASE_SIGHT_OWN;
    if (!look->over && is_in_doubt(look))
        return LEASE_SIGHT_WAIT;
    if (look->title != LEASE_UNSURE)
        return LEASE_SIGHT_SHOW;
    return may_ask_later(look) ? LEASE_SIGHT_LATER : LEASE_SIGHT_NEW;
}
