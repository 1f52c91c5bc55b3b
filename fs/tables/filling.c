#include "fs/tables/filling.h"

void filling_begin(struct subject *subject, unsigned faces, struct filling fillings[FORMAT_COUNT])
{
    struct mount *mount = subject->table->mount;
    for (int i = 0; i < FORMAT_COUNT; i++) {
        uint64_t nodeid = subject->prefill_nodes[i];
        fillings[i] = (struct filling){0};
        if (nodeid == 0 || !(faces & 1U << i) || subject->no_prefill)
            continue;
        subject->prefill_nodes[i] = 0;
        if (!mount->users->begin_filling(subject, i, nodeid))
            continue;
        if (prefill_new(&mount->kernel, nodeid, &mount->prefill_room, &fillings[i].prefill) == 0)
            fillings[i].nodeid = nodeid;
        else
            mount->users->filled(mount, nodeid, PREFILL_NOTHING, NULL);
    }
}

void filling_end(struct filling fillings[FORMAT_COUNT], const struct snapshot *snapshot)
{
    for (int i = 0; i < FORMAT_COUNT; i++) {
        const struct face *face = snapshot != NULL ? snapshot_face(snapshot, formats[i]) : NULL;
        bool whole = face != NULL && face->measured && face->refused == 0;
        fillings[i].result =
            prefill_end(fillings[i].prefill, whole ? &face->tail : NULL, whole ? face->size : 0);
    }
}

void filling_settle(struct mount *mount, struct filling fillings[FORMAT_COUNT],
                    struct version *version)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (fillings[i].prefill != NULL)
            mount->users->filled(mount, fillings[i].nodeid, fillings[i].result, version);
}
