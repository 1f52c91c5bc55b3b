#include "fs/tree/shown.h"

#include "fs/tree/query_session.h"

void shown_set(struct node *node, const struct result *result)
{
    node->shows = result != NULL ? result->number : 0;
}

bool shown_is(const struct node *node, const struct result *result)
{
    return node->shows == (result != NULL ? result->number : 0);
}

static struct result *find(const struct mount *mount, const struct node *node)
{
    if (node->result != NULL || node->shows == 0)
        return node->result;
    struct result *plan = node->session != NULL ? node->session->plan : NULL;
    return plan != NULL && plan->number == node->shows ? plan : result_numbered(mount, node->shows);
}

const struct result *shown_find(const struct mount *mount, const struct node *node)
{
    return find(mount, node);
}

int shown_take(struct mount *mount, struct node *node)
{
    struct result *result = find(mount, node);
    if (result == NULL && node->shows != 0)
        return -ESTALE;
    if (result != NULL && node->result == NULL)
        node->result = result_ref(result);
    return 0;
}

void shown_rest(struct node *node)
{
    struct result *result = node->result;
    if (result == NULL || node->opens > 0 || node->requests > 0)
        return;
    if (!result->making && result->rc < 0)
        node->shows = 0; /* who asks next has another try */
    result_unref(result);
    node->result = NULL;
}
