#include "fs/rows/feed_relay.h"

void feed_relay_init(struct feed_relay *relay)
{
    *relay = (struct feed_relay){0};
    pthread_mutex_init(&relay->lock, NULL);
}

void feed_relay_clear(struct feed_relay *relay)
{
    feed_unref(relay->feed);
    for (int i = 0; i < relay->shelved_count; i++)
        feed_unref(relay->shelved[i]);
    pthread_mutex_destroy(&relay->lock);
}

struct feed *feed_relay_now(struct feed_relay *relay)
{
    pthread_mutex_lock(&relay->lock);
    struct feed *feed = relay->feed != NULL ? feed_ref(relay->feed) : NULL;
    pthread_mutex_unlock(&relay->lock);
    return feed;
}

static void set_feed(struct feed_relay *relay, struct feed *feed)
{
    pthread_mutex_lock(&relay->lock);
    struct feed *before = relay->feed;
    relay->feed = feed;
    pthread_mutex_unlock(&relay->lock);
    feed_unref(before);
}

/* Lets the oldest feed go if there are too many: its readers have been handed over. */
static void shelve(struct feed_relay *relay, struct feed *feed)
{
    if (relay->shelved_count == FEEDS_IN_A_ROW - 1) {
        feed_unref(relay->shelved[0]);
        memmove(relay->shelved, relay->shelved + 1,
                (size_t)--relay->shelved_count * sizeof relay->shelved[0]);
    }
    relay->shelved[relay->shelved_count++] = feed_ref(feed);
}

static struct feed *last_shelved(const struct feed_relay *relay)
{
    return relay->shelved_count > 0 ? relay->shelved[relay->shelved_count - 1] : NULL;
}

static void hand_over(struct feed_relay *relay, struct feed *feed)
{
    if (last_shelved(relay) != NULL)
        feed_hand_over(last_shelved(relay), feed);
}

void feed_relay_begin(struct feed_relay *relay, struct feed *feed)
{
    set_feed(relay, feed);
    hand_over(relay, feed);
}

/* Notes the feeds whose groups are all in `feed`: what was read of them, and of those that they
 * were handed over to, is in it. */
static void note_made_of(struct feed_relay *relay, struct feed *feed)
{
    relay->made_of = (struct feed_ids){{feed_id(feed)}};
    for (int i = relay->shelved_count; i-- > 0 && feed_goes_on(relay->shelved[i], feed);)
        relay->made_of.ids[i + 1] = feed_id(relay->shelved[i]);
}

void feed_relay_end(struct feed_relay *relay, int rc, bool again, const char *reason)
{
    struct feed *feed = relay->feed;
    relay->made_of = (struct feed_ids){{0}};
    if (rc == 0)
        note_made_of(relay, feed);
    if (feed != NULL && again)
        shelve(relay, feed);
    else if (feed != NULL)
        feed_end(feed, rc, reason);
    set_feed(relay, NULL);
}

void feed_relay_settle(struct feed_relay *relay, int rc, struct snapshot *fresh, const char *reason)
{
    struct feed *last = last_shelved(relay), *feed;
    if (last == NULL || relay->made_of.ids[0] != 0)
        return;
    if (rc == 0)
        rc = feed_of_snapshot(fresh, &feed);
    if (rc < 0) {
        feed_end(last, rc, reason);
        return;
    }
    hand_over(relay, feed);
    note_made_of(relay, feed);
    feed_unref(feed);
}
