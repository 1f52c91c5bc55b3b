/* One state of a relation's rows, or of its DDL, and what is known about its faces. A face is one
 * file of it: a format of the rows, the manifest, schema.sql.
 *
 * Lifetime: reference-counted. Immutable except for the faces, each of which is measured once.
 * Threads: guarded by mount->lock, except for what it points to.
 */
#ifndef FS_TABLES_VERSION_H
#define FS_TABLES_VERSION_H

#include "fs/rows/feed.h"
#include "fs/rows/pieces.h"
#include "fs/rows/snapshot_view.h"
#include "fs/tables/mount.h"

enum { /* faces: first the formats, by place */
       FACE_MANIFEST = FORMAT_COUNT,
       FACE_DDL,
       FACE_VDF, /* VDF_META.json */
       FACE_COUNT,
       /* one of any number of files, whose name tells, for each version, which view of its rows it
        * is (struct version_view) */
       FACE_VIEW = FACE_COUNT
};
_Static_assert(FACE_COUNT <= 32, "a mask of faces is an unsigned");
/* The numbers, in inode numbers, of the faces that are no format, as format->number is for the
 * others. They stay the same for ever, however many formats there are. */
enum { NUMBER_OF_MANIFEST = 3, NUMBER_OF_DDL = 4, NUMBER_OF_VDF = 23 };

static inline uint64_t face_number(int face)
{
    return face < FORMAT_COUNT     ? formats[face]->number
           : face == FACE_MANIFEST ? NUMBER_OF_MANIFEST
           : face == FACE_VDF      ? NUMBER_OF_VDF
                                   : NUMBER_OF_DDL;
}

/* What a request needs from a face. */
enum need { NEED_SIZE, NEED_BYTES };

enum face_state { FACE_UNKNOWN, FACE_SIZED, FACE_READABLE, FACE_FAILED };

/* What is known of a view that is no face: a file of one column. Guarded as its version. */
struct version_view {
    struct version_view *next;
    struct view view; /* borrows the version's snapshot; has a reference to its columns */
    bool wanted;      /* the job is to measure it */
    enum face_state state;
    int rc; /* why it has failed */
    char *reason;
    uint64_t size;
    uint8_t last;    /* the last byte, if there is one */
    unsigned opened; /* the subject's count of refreshes, and one, when this extended the lease */
};

struct version {
    atomic_uint refs;
    struct waiters_task ending;
    struct mount *mount;
    uint64_t serial;
    int64_t mtime;
    /* that of files which a library's new version makes anew, and of what tells of these; 0: mtime */
    int64_t renewed[FACE_COUNT];
    struct snapshot *snapshot;       /* of rows; NULL for DDL */
    struct feed_ids made_of;         /* ids of what was copied for it */
    struct pieces *pieces;           /* how its rows are cut; NULL: not asked for yet */
    char *signature;                 /* for DDL: the ddl_signature() that it belongs to */
    int opens;                       /* files of it that are open */
    unsigned want_sizes, want_bytes; /* masks of faces that the job is to make */
    struct version *next_wanted;     /* the next version of its subject with such faces */
    int64_t wanted_at;               /* clock_ms() when a request last waited for one of them */
    struct buffer text[FACE_COUNT];  /* bytes of faces that are no format, once readable */
    uint64_t size[FACE_COUNT];
    enum face_state state[FACE_COUNT];
    int rc[FACE_COUNT]; /* why the face failed */
    char *reason[FACE_COUNT];
    /* a mask of formats: an earlier mount has noted that there is no such file, and why; this
     * mount's log does not say so yet */
    unsigned unsaid;
    struct version_view *views; /* that somebody has asked for: the list grows */
    int views_wanted;
};

/* What is known of the view, which is one of the version's rows, from now on; NULL: no memory. */
struct version_view *version_view(struct version *version, const struct view *view);

/* Whether the job is to make something of it. */
static inline bool version_is_wanted(const struct version *version)
{
    return (version->want_sizes | version->want_bytes) != 0 || version->views_wanted > 0;
}
void version_want_view(struct version *version, struct version_view *view, bool wanted);
void version_want_nothing(struct version *version);

/* Whether what this face is made from was left out when the version was fetched: a refresh that is
 * asked for the face gets it. */
bool version_lacks(const struct version *version, int face);

/* Has the log say why there is no file of the format. */
void version_log_refused(const struct snapshot *snapshot, int format);

/* The face is asked for, and has failed: has the log say why, unless it has. */
void version_say_failure(struct version *version, int face);

static inline int64_t version_time(const struct version *version, int face)
{
    return version->renewed[face] > 0 ? version->renewed[face] : version->mtime;
}

/* Not of FACE_VIEW: that has no size before it is known which view it is. */
/* How its rows are cut into pieces, as the options say; NULL: no memory. */
const struct pieces *version_pieces(struct version *version);

static inline bool version_has_size(const struct version *version, int face)
{
    if (face >= FACE_COUNT)
        return false;
    return version->state[face] == FACE_SIZED || version->state[face] == FACE_READABLE;
}

struct version *version_ref(struct version *version);
void version_unref(struct version *version);

#endif
