/* The options of the command line (fs/options.h); they do not change. */
#ifndef FS_BASE_OPTIONS_H
#define FS_BASE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum sql_access { SQL_OWNER, SQL_ALL, SQL_OFF };

struct options {
    char *conninfo;              /* a copy; the one in argv has been wiped */
    char *mountpoint;            /* absolute */
    char *cache_dir;             /* absolute */
    uint64_t cache_size, memory; /* bytes */
    int jobs;
    int connections;      /* to the server at once, pg_dump's included */
    int64_t lock_wait_ms; /* how long the mount waits for a lock; negative: without limit */
    char *direct;    /* how pg_dump reaches the server beside a pooler; NULL: as the mount does */
    bool rls_filter; /* policies may hide rows from the mount's role */
    bool trust_all;  /* a superuser's mount may run functions of other owners */
    int64_t lease_ms;
    bool allow_other;
    uint32_t uid, gid;       /* the owner of everything but what others have made */
    unsigned umask;          /* bits that no mode of ours has */
    unsigned listed_formats; /* mask of format numbers */
    bool list_partitions, list_parts, list_rows, list_control, list_columns, list_sql;
    enum sql_access sql; /* which users may make statements: the owner of the mount, all, none */
    uint64_t part_size;  /* bytes of a piece below parts/, about */
    uint64_t max_stat;   /* bytes of a table that stat may fetch; 0: without limit */
    char **schemas;      /* NULL-terminated, or NULL: all */
    bool system;
    bool foreground, debug, single;
    bool help, version;
    /* show the status of this mount point, which is in use; no other option is set then */
    bool status;
};

#endif
