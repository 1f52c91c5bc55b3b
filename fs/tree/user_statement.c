#include "fs/tree/user_statement.h"

#include "codec/utf8.h"
#include "fs/tables/statement_number.h"
#include "fs/tree/node.h"
#include "fs/tree/user_statement_task.h"
#include "pgclient/statement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[STATEMENT_FIELDS] = {
    [STATEMENT_QUERY] = "query.sql", [STATEMENT_ERROR] = "error"};

int user_statement_field(const char *name)
{
    for (int i = 0; i < STATEMENT_FIELDS; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* ---- relations ---- */

int user_statement_relation(const struct user_statement *statement, const char *text,
                            struct relation *out)
{
    struct relation relation = {.kind = RELATION_STATEMENT,
                                .schema = strdup(".sql"),
                                .name = strdup(statement->name),
                                .statement = strndup(text, statement_size(text))};
    if (relation.schema == NULL || relation.name == NULL || relation.statement == NULL) {
        user_statement_clear(&relation);
        return -ENOMEM;
    }
    *out = relation;
    return 0;
}

void user_statement_clear(struct relation *relation)
{
    free((char *)relation->schema);
    free((char *)relation->name);
    free((char *)relation->statement);
    *relation = (struct relation){0};
}

static void unset(struct user_statement *statement)
{
    statement_number_give(statement->values.mount, statement->relation.oid);
    user_statement_clear(&statement->relation);
    shared_text_unref(statement->text);
    statement->text = NULL;
    statement->hidden = 0;
}

void user_statement_take(struct user_statement *statement, uint64_t number, char *text,
                         struct relation *relation)
{
    if (statement->directory == NULL || number < statement->set) {
        statement_number_give(statement->values.mount, relation->oid);
        user_statement_clear(relation);
        return;
    }
    unset(statement);
    statement->text = shared_text_ref(text);
    statement->relation = *relation;
    *relation = (struct relation){0};
    statement->set = number;
    statement->values.changed_at = time(NULL);
}

void user_statement_answered(struct user_statement *statement, uint64_t number, int rc,
                             const struct error *error)
{
    if (number < statement->written)
        return;
    if (rc == 0)
        statement->error.text[0] = '\0';
    else if (error->text[0] != '\0')
        statement->error = *error;
    else
        error_set(&statement->error, rc, "%s", strerror(-rc));
}

/* ---- values ---- */

static struct user_statement *of(const struct value_holder *holder)
{
    return (struct user_statement *)holder;
}

static struct value_holder *ref(struct value_holder *holder)
{
    return &user_statement_ref(of(holder))->values;
}

static void unref(struct value_holder *holder) { user_statement_unref(of(holder)); }

static struct value_field field_of(int field)
{
    return (struct value_field){
        .name = names[field], .most = STATEMENT_TEXT_MOST, .told = field == STATEMENT_ERROR};
}

static struct value_text text_of(const struct value_holder *holder, int field)
{
    char *text = field == STATEMENT_QUERY ? of(holder)->text : NULL;
    return (struct value_text){.text = text, .size = shared_text_size(text)};
}

static int show(const struct value_holder *holder, int field, struct buffer *out)
{
    const struct error *error = &of(holder)->error;
    return field == STATEMENT_ERROR && error->text[0] != '\0'
               ? buffer_printf(out, "%s\n", error->text)
               : 0;
}

static uint64_t size_of(const struct value_holder *holder, int field)
{
    const struct error *error = &of(holder)->error;
    if (field == STATEMENT_QUERY)
        return shared_text_size(of(holder)->text);
    return error->text[0] != '\0' ? strlen(error->text) + 1 : 0;
}

static void answered(struct value_holder *holder, int rc, const struct error *error)
{
    user_statement_answered(of(holder), of(holder)->written, rc, error);
}

/* Copies and counts the text, if there is room for it. */
static int copy_text(struct mount *mount, const struct buffer *bytes, char **out,
                     struct error *error)
{
    uint64_t counted = 0;
    int rc = written_change(&mount->written, &counted, bytes->size, error);
    if (rc < 0)
        return rc;
    char *text = shared_text_new(bytes->data, bytes->size);
    written_note(&mount->written, &counted, 0);
    if (text == NULL)
        return error_set(error, -ENOMEM, "no memory");
    shared_text_count(text, bytes->size, &mount->written);
    *out = text;
    return 0;
}

/* Begins to judge the text; or, if there is nothing in it, unsets the statement. The lock is held. */
static int begin(struct user_statement *statement, char *text, struct value_check **check,
                 struct error *error)
{
    uint64_t number = ++statement->written;
    if (statement->directory == NULL)
        return error_set(error, -ENOENT, "it was removed");
    if (text != NULL && statement_size(text) > 0)
        return user_statement_task_begin(statement, number, text, check, error);
    unset(statement);
    statement->text = shared_text_ref(text);
    statement->set = number;
    statement->values.changed_at = time(NULL);
    return 0;
}

static int set(struct value_holder *holder, int field, const struct buffer *bytes,
               struct value_check **check, struct value_text *now)
{
    struct user_statement *statement = of(holder);
    struct mount *mount = holder->mount;
    struct error error = {""};
    char *text = NULL;
    int rc = 0;
    (void)field, (void)now;
    if (bytes->size > 0 &&
        (!utf8_holds(bytes->data, bytes->size) || memchr(bytes->data, '\0', bytes->size) != NULL))
        rc = error_set(&error, -EINVAL, "a statement is a text, in UTF-8, without zero bytes");
    if (rc == 0 && bytes->size > 0)
        rc = copy_text(mount, bytes, &text, &error);
    pthread_mutex_lock(&mount->lock);
    if (rc == 0)
        rc = begin(statement, text, check, &error);
    if (rc != -EAGAIN)
        user_statement_answered(statement, statement->written, rc, &error);
    pthread_mutex_unlock(&mount->lock);
    shared_text_unref(text);
    return rc;
}

static const struct value_holder_class holder_class = {.ref = ref,
                                                       .unref = unref,
                                                       .field = field_of,
                                                       .text = text_of,
                                                       .show = show,
                                                       .size = size_of,
                                                       .set = set,
                                                       .answered = answered};

/* ---- statements ---- */

int user_statement_new(struct mount *mount, struct node *directory, struct user_statement **out)
{
    struct tree *tree = mount->tree;
    if (tree->user_statement_count >= USER_STATEMENTS_AT_MOST)
        return -ENOSPC;
    struct user_statement *statement = calloc(1, sizeof *statement);
    char *name = strdup(directory->name);
    if (statement == NULL || name == NULL) {
        free(statement);
        free(name);
        return -ENOMEM;
    }
    statement->values.class = &holder_class;
    statement->values.mount = mount;
    statement->values.changed_at = time(NULL);
    statement->refs = 1;
    statement->directory = directory;
    statement->name = name;
    statement->next = tree->user_statements;
    tree->user_statements = statement;
    tree->user_statement_count++;
    *out = statement;
    return 0;
}

struct user_statement *user_statement_ref(struct user_statement *statement)
{
    atomic_fetch_add(&statement->refs, 1);
    return statement;
}

void user_statement_unref(struct user_statement *statement)
{
    if (statement == NULL || atomic_fetch_sub(&statement->refs, 1) != 1)
        return;
    user_statement_clear(&statement->relation);
    shared_text_unref(statement->text);
    promises_clear(&statement->values.promises);
    free(statement->name);
    free(statement);
}

void user_statement_end(struct user_statement *statement)
{
    struct mount *mount = statement->values.mount;
    struct user_statement **at = &mount->tree->user_statements;
    while (*at != statement)
        at = &(*at)->next;
    *at = statement->next;
    mount->tree->user_statement_count--;
    statement->directory = NULL;
    unset(statement);
    user_statement_task_stop_of(statement);
    user_statement_unref(statement);
}
