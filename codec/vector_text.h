/* pgvector's vector, halfvec and sparsevec, and the bit strings of pg_catalog; see type.h for the
 * contract of render functions. A vector's text "[1,2.5]" is its JSON too; sparsevec is
 * {1:1.5,3:-2}/5 and in JSON
 * {"dim":5,"indices":[1,3],"values":[1.5,-2]}; bits are 0101, in quotes as JSON.
 * What pgvector refuses to read (NaN, infinity, too many dimensions, indices out of order or range,
 * a stored zero) is refused here. The unused bits of a bit string's last byte are not looked at:
 * servers before 2019 could store ones there, and no server prints them.
 */
#ifndef CODEC_VECTOR_TEXT_H
#define CODEC_VECTOR_TEXT_H

#include "codec/type.h"

render_value vector_render, halfvec_render;
render_value sparsevec_render, sparsevec_render_json;
render_value bit_render, bit_render_json; /* bit and varbit */

#endif
