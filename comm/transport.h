/* Messages between two processes: the little that comm/ needs of MPI. Nothing here waits,
 * but for starting and ending.
 *
 * There are two planes, with messages that never meet: data, and control (control.h).
 * Messages of one pair, plane and tag arrive in order. */
#ifndef HR_COMM_TRANSPORT_H
#define HR_COMM_TRANSPORT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hr_transport hr_transport;
typedef struct hr_request hr_request;

typedef enum hr_plane { HR_PLANE_DATA = 0, HR_PLANE_CONTROL, HR_PLANE_COUNT } hr_plane;

/* Collective over all processes started together; once in the life of a process. Fails on
 * all or on none, from MPI's own start on. */
hr_status hr_transport_start(hr_transport **out);
/* Collective, waits: the worst status of all. For a start that fails, before there is a
 * control channel. */
hr_status hr_transport_agree(hr_status mine);
/* Takes NULL. Orderly: collective, every message has been received. Otherwise local, and
 * what is on its way is left behind. */
void hr_transport_end(hr_transport *transport, bool is_orderly);

/* Whether a call has failed: messages may have been lost. */
bool hr_transport_is_broken(const hr_transport *transport);

int hr_transport_rank(const hr_transport *transport);
int hr_transport_size(const hr_transport *transport);
/* Tags are 0 to this. */
int hr_transport_max_tag(const hr_transport *transport);
/* The address of an MPI_Comm of all processes that nothing here uses (native.h). */
const void *hr_transport_native(const hr_transport *transport);
/* Collective, waits: the largest value of all processes. */
hr_status hr_transport_native_max(hr_transport *transport, int *value);

typedef struct hr_message {
    hr_plane plane;
    int peer; /* -1 in a receive: any */
    int tag;
    void *data; /* the transport's until the request is done */
    size_t bytes;
} hr_message;

/* The request is freed by hr_request_free. HR_ERR_UNSUPPORTED above 2 GiB. */
hr_status hr_transport_send(hr_transport *transport, const hr_message *message,
                            hr_request **out);
hr_status hr_transport_receive(hr_transport *transport, const hr_message *message,
                               hr_request **out);

/* A message that has arrived and that no receive waits for. */
hr_status hr_transport_probe(hr_transport *transport, hr_message *message,
                             bool *is_there);

/* Looks, and moves messages on. A request that is done stays so. */
hr_status hr_request_test(hr_request *request, bool *is_done);
/* Of a receive that is done. */
int hr_request_peer(const hr_request *request);
size_t hr_request_bytes(const hr_request *request);
/* The holder's own, zeros at first: for lists of requests that must not need memory. */
typedef struct hr_request_keep {
    hr_request *next, *sibling;
    void *block;
} hr_request_keep;
hr_request_keep *hr_request_kept(hr_request *request);
/* Asks for the end of a receive; it is done soon, if nothing has begun to arrive at once.
 */
void hr_request_cancel(hr_request *request);
/* Takes NULL. One that is not done is only for a transport that is about to end. */
void hr_request_free(hr_request *request);

/* For recovery: messages of the data plane sent to and received from `peer` since the
 * start, and all its requests that are not done. */
uint64_t hr_transport_n_sent(const hr_transport *transport, int peer);
uint64_t hr_transport_n_received(const hr_transport *transport, int peer);
/* Cancels every receive of the data plane. */
void hr_transport_cancel_all(hr_transport *transport);
/* Whether every request of the data plane is done. */
hr_status hr_transport_test_all(hr_transport *transport, bool *is_done);

#endif
