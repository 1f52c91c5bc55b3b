/* pgvector's vector, halfvec and sparsevec, and the bit strings of pg_catalog; value.h has the
 * contract of render functions.
 *
 *   type               text             JSON
 *   vector, halfvec    [1,2.5]          the same
 *   sparsevec          {1:1.5,3:-2}/5   {"dim":5,"indices":[1,3],"values":[1.5,-2]}
 *   bit, varbit        0101             "0101"
 *
 * Refused is what pgvector refuses to read: NaN, infinity, too many dimensions, indices out of
 * order or out of range, a stored zero. The unused bits of a bit string's last byte are not looked
 * at: servers before 2019 could store ones there, and no server prints them.
 */
#ifndef CODEC_VECTOR_TEXT_H
#define CODEC_VECTOR_TEXT_H

#include "codec/value.h"

render_value vector_render, halfvec_render;
render_value sparsevec_render, sparsevec_render_json;
render_value bit_render, bit_render_json; /* bit and varbit */

#endif
