/* What the server refuses of a relation's rows. A column's value comes as one of three parts:
 * binary, text, JSON (codec/schema.h), and each format needs some of them. A type may have no
 * binary output, a function in an SQL view may fail in to_json(): such a part cannot be had, and
 * one COPY that asks for all parts fails as a whole. So the formats are then asked for one by one,
 * under the same read point, and each that is refused has the server's words as its reason
 * (view_refuse).
 *
 * These COPYs give no groups; the copying must be planned anew after refusals_find and
 * refusals_explain, and the schema numbered anew.
 *
 * Threads: the fetch's. Errors: -EIO or -EACCES the server refuses; -EREMOTEIO it fails for a
 * reason of the moment, which concerns all formats; -ENOMEM; else those of readpoint_copy.
 */
#ifndef FS_ROWS_FETCH_REFUSALS_H
#define FS_ROWS_FETCH_REFUSALS_H

#include "fs/rows/fetch_copy.h"

/* The parts that the fetch asks for, a mask. JSON that runs what users wrote is among them only if
 * a request waits for it. */
unsigned fetch_wanted_parts(const struct fetch_copy *copy);

/* Whether a format needs parts that are not among these. */
bool fetch_leaves_out(int format, unsigned parts);

/* Notes in the snapshot that JSON is refused, if the read point says so: it would run functions of
 * other users with a superuser's rights. */
MUST_CHECK int refusals_note_json(struct fetch_copy *copy, struct snapshot *snapshot);

/* The server has refused all parts together. Finds the formats that it gives, and notes the others
 * in the snapshot. Returns the mask of the parts that it gives, or the error of the first format if
 * there are none. */
MUST_CHECK int refusals_find(struct fetch_copy *copy, struct snapshot *snapshot,
                             struct error *error);

/* The formats, a mask, that need parts which the schema as numbered lacks, though they are among
 * those wanted. */
unsigned refusals_impossible(const struct schema *schema, const struct snapshot *snapshot,
                             unsigned wanted);

/* Asks for each of these formats (mask). The server says in its own words why not, or gives it
 * after all (an array of a type without binary output is fine as long as it is NULL): then the read
 * point has its columns. */
MUST_CHECK int refusals_explain(struct fetch_copy *copy, unsigned mask, struct snapshot *snapshot);

#endif
