/* The same without SSE2. */
#define BYTE_BLOCK_PORTABLE
#include "codec/csv_text.c"

#include "tests/unit/test_csv_text.c"
