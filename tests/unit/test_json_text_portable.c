/* The same without SSE2. */
#define BYTE_BLOCK_PORTABLE
#include "codec/json_text.c"

#include "tests/unit/test_json_text.c"
