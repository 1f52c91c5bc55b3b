/* What a connection is, and its end. */
#include "codec/clock.h"
#include "pgclient/connection_parts.h"
#include "pgclient/conninfo.h"
#include "pgclient/departing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* A backend closes its socket last of all; we see that if our end stays open. */
void connection_finish(PGconn *pg, struct departing *departing)
{
    int fd = departing != NULL ? PQsocket(pg) : -1;
    if (fd >= 0)
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        departing_begin(departing);
    PQfinish(pg);
    if (fd >= 0) {
        departing_watch(departing, fd);
        departing_end(departing);
    }
}

void connection_close(struct connection *connection)
{
    if (connection == NULL)
        return;
    connection_show(connection, NULL);
    connection_finish(connection->pg, connection->departing);
    departing_unref(connection->departing);
    free(connection->others_locks);
    free(connection->own_path);
    free(connection->own_settings);
    free(connection);
}

void connection_show(struct connection *connection, struct holding *holding)
{
    if (connection->holding != NULL)
        connection->holding->backend = 0;
    connection->holding = holding;
    if (holding != NULL) {
        holding->backend = 0;
        holding->wanted = 0;
    }
}

bool connection_usable(const struct connection *connection)
{
    PGTransactionStatusType status = PQtransactionStatus(connection->pg);
    return !connection->broken && PQstatus(connection->pg) == CONNECTION_OK &&
           (status == PQTRANS_IDLE || status == PQTRANS_INTRANS || status == PQTRANS_INERROR);
}

bool connection_in_transaction(const struct connection *connection)
{
    PGTransactionStatusType status = PQtransactionStatus(connection->pg);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

bool connection_lacks_locks(const struct connection *connection) { return connection->lacks_locks; }

uint64_t connection_settings(const struct connection *connection) { return connection->settings; }

bool connection_is_pooled(const struct connection *connection) { return connection->pooled; }

const char *connection_state(const struct connection *connection) { return connection->state; }

int64_t connection_waits_since(const struct connection *connection)
{
    return atomic_load(&connection->asked_at);
}

void connection_patience(struct connection *connection, int milliseconds)
{
    connection->until = milliseconds < 0 ? 0 : clock_ms() + milliseconds;
}

int connection_own_limit(const struct connection *connection, bool *of_locks)
{
    int limit = connection->own_limits_hold ? connection->own_limit_ms : 0;
    *of_locks = limit == connection->own_lock_limit_ms;
    return limit;
}

int connection_modesty(const struct connection *connection) { return connection->modesty; }

void connection_be_modest(struct connection *connection, int modesty)
{
    connection->modesty = modesty;
}

const struct mounted *connection_mounted(const struct connection *connection)
{
    return connection->mounted;
}

void connection_set_mounted(struct connection *connection, const struct mounted *mounted)
{
    connection->mounted = mounted;
}

struct reading connection_reading(const struct connection *connection)
{
    return connection->reading;
}

int connection_backend(const struct connection *connection) { return PQbackendPID(connection->pg); }

int connection_version(const struct connection *connection)
{
    return PQserverVersion(connection->pg);
}

const char *connection_encoding(const struct connection *connection)
{
    const char *encoding = PQparameterStatus(connection->pg, "server_encoding");
    return encoding == NULL ? "" : encoding;
}

bool encoding_is_utf8(const char *encoding) { return strcmp(encoding, "UTF8") == 0; }

bool connection_is_utf8(const struct connection *connection)
{
    return encoding_is_utf8(connection_encoding(connection));
}

const char *connection_hostaddr(const struct connection *connection)
{
    const char *address = PQhostaddr(connection->pg);
    return address == NULL ? "" : address;
}

const char *connection_address(const struct connection *connection)
{
    const char *host = PQhost(connection->pg);
    return host == NULL ? "" : host;
}

const char *connection_port(const struct connection *connection)
{
    const char *port = PQport(connection->pg);
    return port == NULL ? "" : port;
}

/* The first of the list; NULL: it is no list. */
static char *first_of(const char *list)
{
    const char *comma = list != NULL ? strchr(list, ',') : NULL;
    return comma != NULL ? strndup(list, (size_t)(comma - list)) : NULL;
}

/* libpq takes host addresses for hosts only if there are no hosts. */
int connection_first_host(const struct connection *connection, char **address, char **port)
{
    PQconninfoOption *options = PQconninfo(connection->pg);
    if (options == NULL)
        return -ENOMEM;
    const char *hosts = conninfo_value(options, "host");
    char *first = first_of(hosts != NULL ? hosts : conninfo_value(options, "hostaddr"));
    char *its_port = first_of(conninfo_value(options, "port"));
    conninfo_free(options);
    if (first == NULL)
        first = strdup(connection_address(connection));
    if (its_port == NULL)
        its_port = strdup(connection_port(connection));
    if (first == NULL || its_port == NULL) {
        free(first);
        free(its_port);
        return -ENOMEM;
    }
    *address = first;
    *port = its_port;
    return 0;
}
