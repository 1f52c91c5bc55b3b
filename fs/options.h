/* The command line: pgvecfs [OPTIONS] CONNINFO MOUNTPOINT, and the mount(8) order of it. */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include "codec/error.h"
#include "fs/base/options.h"

struct fuse_args;

/* Fills `options` from argv; what is libfuse's own business (allow_other, …) is left in `rest`.
 * Wipes the connection string in argv. */
MUST_CHECK int options_parse(int argc, char **argv, struct options *options, struct fuse_args *rest,
                             struct error *error);
void options_clear(struct options *options);

/* The text of --help. */
extern const char options_help[];

#endif
