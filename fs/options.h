/* The command line: pgvecfs [OPTIONS] CONNINFO MOUNTPOINT, or in mount(8)'s order. */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include "codec/error.h"
#include "fs/base/options.h"

struct fuse_args;

/* Fills `options` from argv; options of libfuse itself (allow_other, …) are left in `rest`. Wipes
 * the connection string in argv. */
MUST_CHECK int options_parse(int argc, char **argv, struct options *options, struct fuse_args *rest,
                             struct error *error);
void options_clear(struct options *options);

/* The text of --help. */
extern const char options_help[];

#endif
