/* A part of an answer that the server makes: a turn on one of its sessions. */
#include "fs/search/answer_parts.h"

#include "fs/rows/server_turn.h"

struct server_part {
    struct answer *answer;
    answer_work *work;
    void *context;
};

static int do_part(void *context, struct session *session, struct error *error)
{
    const struct server_part *part = context;
    struct version_key now = {0};
    (void)error; /* the answer's own */
    int rc = answer_begin(part->answer, session, &now);
    if (rc == 0)
        rc = part->work(part->answer, session, &now, part->context);
    version_key_clear(&now);
    return rc;
}

int answer_on_server(struct answer *answer, answer_work *work, void *context)
{
    struct server_part part = {answer, work, context};
    const struct server_work server_work = {.place = answer->search->place,
                                            .relation = &answer->snapshot->relation,
                                            .what = "question",
                                            .stop = answer->stop,
                                            .work = do_part,
                                            .context = &part};
    return server_turn_do(&server_work, answer->error);
}
