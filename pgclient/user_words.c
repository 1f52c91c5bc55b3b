#include "pgclient/user_words.h"

#include <errno.h>
#include <string.h>

int user_words_settings(struct connection *connection, struct error *error)
{
    int rc = connection_run(connection, connection_own_path(connection), error);
    return rc == 0 ? connection_run(connection, "SET LOCAL statement_timeout TO DEFAULT", error)
                   : rc;
}

int user_words_blame(const struct connection *connection, int rc)
{
    static const char *const servers[] = {"53", "57P", "58", "F0", "XX"};
    for (size_t i = 0; rc == -EIO && i < sizeof servers / sizeof *servers; i++)
        if (strncmp(connection_state(connection), servers[i], strlen(servers[i])) == 0)
            return rc;
    return rc == -EIO || rc == -ENOENT || rc == -EACCES ? -EINVAL : rc;
}
