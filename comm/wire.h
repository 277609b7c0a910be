/* Messages of a group, counted, with a deadline on every wait: what all of comm/ but the
 * control channel is made of. In a pretended world sends are counted only and receives
 * are done at once, with zeros. */
#ifndef HR_COMM_WIRE_H
#define HR_COMM_WIRE_H

#include "comm/inside.h"

/* Which messages of a group match each other. */
enum {
    HR_LANE_COLLECTIVE = 0,
    HR_LANE_MAILBOX = 1, /* and up, one for each that was opened */
    HR_LANE_LINK = 1024, /* likewise */
    HR_LANE_COUNT = 4096
};

typedef struct hr_wire_args {
    int peer; /* of the group, not this rank; -1 in a receive: any */
    int lane;
    hr_traffic traffic;
    void *data; /* sent from here, or received into; untouched until done */
    size_t bytes;
} hr_wire_args;

/* One message on its way. */
struct hr_wire {
    hr_request *request; /* NULL: done, or never begun */
    int peer;            /* of the world; -1: any */
    bool is_send;
    size_t bytes; /* of a receive: the room, and when done what has arrived */
};

/* Both begin a message and do not wait. HR_ERR_UNSUPPORTED for more than 2 GiB. */
hr_status hr_wire_send(hr_group *group, const hr_wire_args *args, hr_wire *out);
hr_status hr_wire_receive(hr_group *group, const hr_wire_args *args, hr_wire *out);

/* Whether it is done. A failure of the transport: HR_ERR_DEVICE. */
hr_status hr_wire_test(hr_world *world, hr_wire *wire, bool *is_done);
/* Waits until all n are done; the time counts as `traffic`. */
hr_status hr_wire_wait(hr_world *world, hr_wire *wires, size_t n, hr_traffic traffic);
/* After a failure: receives are cancelled; sends that cannot be keep `block` (the memory
 * that they send from; NULL: none) alive, which is freed now or when they are done. Needs
 * no memory. */
void hr_wire_abandon(hr_world *world, hr_wire *wires, size_t n, void *block);
/* Frees what abandoned sends have kept alive: those that are done, or all. */
void hr_wire_free_orphans(hr_world *world, bool all);

#endif
