/* What the files of comm/ share: the insides of worlds and groups. */
#ifndef HR_COMM_INSIDE_H
#define HR_COMM_INSIDE_H

#include "comm/group.h"

#include <stdatomic.h>

typedef struct hr_transport hr_transport; /* transport.h */
typedef struct hr_request hr_request;     /* likewise */
typedef struct hr_control hr_control;     /* control.h */
typedef struct hr_wire hr_wire;           /* wire.h */

struct hr_world {
    int rank, size;
    bool is_pretended;
    int n_hosts;
    hr_rank_info *info; /* [size] */
    hr_group *all;
    double deadline_seconds;
    _Atomic double native_seconds; /* a call that waits began (native.h); 0: none */
    hr_traffic_stats traffic;
    hr_report *reports;     /* [size], the latest that this rank knows */
    double *report_seconds; /* [size], when; 0: never */
    int next_channel;       /* for the next group of this rank */
    unsigned epoch;         /* grows with every recovery */

    hr_transport *transport; /* NULL: this process alone, or pretended */
    hr_control *control;     /* likewise */
    hr_request *orphans;     /* sends that outlive a failure, by hr_request_keep.next */
    hr_status failure;       /* of this epoch: this rank or another gave up */
    bool has_told;           /* and all others know */
    bool is_agreed;          /* and all have agreed on it */
    atomic_bool *is_lost;    /* [size]; the thread that watches signals looks, too */
    int n_lost;
};

struct hr_group {
    hr_world *world;
    int rank, size;
    int *members; /* [size], ranks of the world */
    hr_traffic traffic;
    int channel;
    unsigned epoch;
    int n_mailboxes; /* so far */
    int *n_links;    /* [size], so far with each rank */
    void *staging;   /* host memory that messages are sent from and received into */
    size_t staging_bytes;
};

/* HR_OK when the group may communicate now; the failure that has been agreed on or heard
 * of; HR_ERR_INTERNAL for a group that is older than the last recovery. */
hr_status hr_group_check(const hr_group *group);

/* Room for `bytes` that stays with the group; what was in it is lost. */
hr_status hr_group_stage(hr_group *group, size_t bytes, void **out);

/* After a failure: ends what is on its way, and lets go of the staging room for as long
 * as something is sent from there. */
void hr_group_abandon(hr_group *group, hr_wire *wires, size_t n);

/* After a recovery. Counts begin anew: they may differ, as some had heard of the failure
 * when others still opened something. */
void hr_group_renew(hr_group *group);

/* The group of all ranks, without a message. */
hr_status hr_group_create_all(hr_world *world, hr_group **out);

#endif
