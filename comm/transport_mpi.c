#include "comm/transport.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "comm/process.h"

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <unistd.h>

/* Requests that are kept for the control plane: for each rank, and beside. */
enum { SPARE_OF_EACH = 3, SPARE = 8 };

struct hr_request {
    hr_request *next, **self; /* in the list of the plane, while not done */
    hr_transport *transport;
    MPI_Request mpi;
    hr_plane plane;
    bool is_send, is_done;
    int peer;
    size_t bytes;
    hr_request_keep kept;
};

struct hr_transport {
    int rank, size, max_tag;
    MPI_Comm plane[HR_PLANE_COUNT];
    MPI_Comm native;                  /* for others than us */
    hr_request *open[HR_PLANE_COUNT]; /* requests that are not done */
    hr_request *spare;                /* for the control plane, by next */
    bool is_broken;
    uint64_t *n_sent, *n_received; /* [size], on the data plane */
};

static hr_status fail(int error, const char *what)
{
    char text[MPI_MAX_ERROR_STRING];
    int length;

    if (MPI_Error_string(error, text, &length) != MPI_SUCCESS)
        return hr_fail(HR_ERR_DEVICE, "MPI: %s: error %d", what, error);
    return hr_fail(HR_ERR_DEVICE, "MPI: %s: %s", what, text);
}

/* Said once: what follows from it is no news. */
static hr_status broken(hr_transport *transport, int error, const char *what)
{
    if (transport->is_broken)
        return HR_ERR_DEVICE;
    transport->is_broken = true;
    return fail(error, what);
}

/* Where nothing can be done about it. */
static void note(int error, const char *what)
{
    if (error != MPI_SUCCESS)
        hr_warn("MPI: %s: error %d", what, error);
}

/* An mpirun of another MPI starts processes that each find themselves alone. */
static hr_status check_size(int size)
{
    int expected = hr_process_launched_size();

    if (expected == 0 || expected == size)
        return HR_OK;
    return hr_fail(
        HR_ERR_DEVICE,
        "%d processes were started together, but MPI found %d: is the launcher "
        "that of another MPI?",
        expected, size);
}

static hr_status open_communicator(MPI_Comm *out)
{
    int error = MPI_Comm_dup(MPI_COMM_WORLD, out);

    if (hr_fault("mpi.dup")) /* the others are in it */
        error = MPI_ERR_OTHER;
    if (error == MPI_SUCCESS)
        error = MPI_Comm_set_errhandler(*out, MPI_ERRORS_RETURN);
    return error == MPI_SUCCESS ? HR_OK : fail(error, "a communicator");
}

hr_status hr_transport_agree(hr_status mine)
{
    int worst = (int)mine;
    int error = MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);

    return error == MPI_SUCCESS ? (hr_status)worst : fail(error, "an agreement");
}

/* Collective, all calls of it: a rank that fails leaves with the others. */
static hr_status open_planes(hr_transport *transport)
{
    int *max_tag, is_set, error;

    for (int i = 0; i < HR_PLANE_COUNT; i++)
        HR_TRY(hr_transport_agree(open_communicator(&transport->plane[i])));
    HR_TRY(hr_transport_agree(open_communicator(&transport->native)));
    error = MPI_Comm_get_attr(transport->plane[0], MPI_TAG_UB, &max_tag, &is_set);
    if (error != MPI_SUCCESS)
        return fail(error, "largest tag");
    transport->max_tag = is_set ? *max_tag : 32767;
    return HR_OK;
}

/* A rank without memory has to tell the others: a notice to each, then what ends the
 * program. */
static bool make_spare(hr_transport *transport)
{
    for (int i = 0; i < SPARE_OF_EACH * transport->size + SPARE; i++) {
        hr_request *one = hr_alloc(sizeof *one);

        if (one == NULL)
            return false;
        one->next = transport->spare;
        transport->spare = one;
    }
    return true;
}

static void free_spare(hr_transport *transport)
{
    while (transport->spare != NULL) {
        hr_request *one = transport->spare;

        transport->spare = one->next;
        hr_free(one);
    }
}

static hr_status create(hr_transport **out)
{
    hr_transport *transport;
    int rank, size, error = MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    size_t n;

    if (error == MPI_SUCCESS)
        error = MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (error != MPI_SUCCESS)
        return fail(error, "the number of ranks");
    transport = hr_alloc(sizeof *transport);
    if (transport != NULL) {
        transport->rank = rank;
        transport->size = size;
        n = (size_t)size;
        transport->n_sent = hr_alloc(n * sizeof *transport->n_sent);
        transport->n_received = hr_alloc(n * sizeof *transport->n_received);
    }
    if (transport == NULL || transport->n_sent == NULL || transport->n_received == NULL ||
        !make_spare(transport)) {
        hr_transport_end(transport, false);
        return hr_fail(HR_ERR_NOMEM, "out of memory: the start of MPI");
    }
    *out = transport;
    return HR_OK;
}

/* From here on lines say whose they are. */
static hr_status name_rank(void)
{
    char host[256] = "";
    int rank, error = MPI_Comm_rank(MPI_COMM_WORLD, &rank);

    if (error != MPI_SUCCESS)
        return fail(error, "the number of this rank");
    if (gethostname(host, sizeof host - 1) != 0)
        snprintf(host, sizeof host, "unknown");
    hr_log_set_rank(rank, host);
    return HR_OK;
}

hr_status hr_transport_start(hr_transport **out)
{
    hr_transport *transport = NULL;
    int level, error = hr_fault("mpi.init")
                           ? MPI_ERR_OTHER
                           : MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    hr_status status;

    if (error != MPI_SUCCESS) /* MPI cannot say what it means yet */
        return hr_fail(HR_ERR_DEVICE, "MPI: start: error %d", error);
    if (level < MPI_THREAD_FUNNELED)
        return hr_fail(HR_ERR_DEVICE, "MPI: this build knows no programs with threads");
    status = name_rank();
    if (status == HR_OK)
        status = create(&transport);
    if (status == HR_OK)
        status = check_size(transport->size);
    status = hr_transport_agree(status);
    if (status == HR_OK)
        status = hr_transport_agree(open_planes(transport));
    if (status == HR_OK) {
        *out = transport;
        return HR_OK;
    }
    hr_log_speak_up();
    hr_transport_end(transport, false);
    return status;
}

void hr_transport_end(hr_transport *transport, bool is_orderly)
{
    if (transport == NULL)
        return;
    for (int i = 0; i < HR_PLANE_COUNT && is_orderly; i++)
        note(MPI_Comm_free(&transport->plane[i]), "freeing a communicator");
    if (is_orderly) {
        note(MPI_Comm_free(&transport->native), "freeing a communicator");
        note(MPI_Finalize(), "the end");
    }
    free_spare(transport);
    hr_free(transport->n_sent);
    hr_free(transport->n_received);
    hr_free(transport);
}

bool hr_transport_is_broken(const hr_transport *transport)
{
    return transport->is_broken;
}

int hr_transport_rank(const hr_transport *transport)
{
    return transport->rank;
}

int hr_transport_size(const hr_transport *transport)
{
    return transport->size;
}

int hr_transport_max_tag(const hr_transport *transport)
{
    return transport->max_tag;
}

const void *hr_transport_native(const hr_transport *transport)
{
    return &transport->native;
}

hr_status hr_transport_native_max(hr_transport *transport, int *value)
{
    int error =
        MPI_Allreduce(MPI_IN_PLACE, value, 1, MPI_INT, MPI_MAX, transport->native);

    return error == MPI_SUCCESS ? HR_OK : fail(error, "an agreement");
}

static hr_status create_request(hr_transport *transport, const hr_message *message,
                                hr_request **out)
{
    hr_request *request;

    if (message->bytes > INT_MAX)
        return hr_fail(HR_ERR_UNSUPPORTED, "a message of %zu bytes is too long",
                       message->bytes);
    request = message->plane == HR_PLANE_CONTROL ? transport->spare : NULL;
    if (request != NULL)
        transport->spare = request->next;
    else
        request = hr_alloc(sizeof *request);
    if (request == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a message");
    *request = (hr_request){.transport = transport,
                            .plane = message->plane,
                            .peer = message->peer,
                            .bytes = message->bytes};
    *out = request;
    return HR_OK;
}

static void destroy_request(hr_request *request)
{
    hr_transport *transport = request->transport;

    if (request->plane != HR_PLANE_CONTROL) {
        hr_free(request);
        return;
    }
    request->next = transport->spare;
    transport->spare = request;
}

static void add_to_open(hr_request *request)
{
    hr_request **first = &request->transport->open[request->plane];

    request->next = *first;
    request->self = first;
    if (*first != NULL)
        (*first)->self = &request->next;
    *first = request;
}

static void remove_from_open(hr_request *request)
{
    *request->self = request->next;
    if (request->next != NULL)
        request->next->self = request->self;
}

hr_status hr_transport_send(hr_transport *transport, const hr_message *message,
                            hr_request **out)
{
    hr_request *request = NULL;
    int error;

    HR_TRY(create_request(transport, message, &request));
    request->is_send = true;
    error =
        hr_fault("mpi.send")
            ? MPI_ERR_OTHER
            : MPI_Isend(message->data, (int)message->bytes, MPI_BYTE, message->peer,
                        message->tag, transport->plane[message->plane], &request->mpi);
    if (error != MPI_SUCCESS) {
        destroy_request(request);
        return broken(transport, error, "sending");
    }
    transport->n_sent[message->peer] += message->plane == HR_PLANE_DATA;
    add_to_open(request);
    *out = request;
    return HR_OK;
}

hr_status hr_transport_receive(hr_transport *transport, const hr_message *message,
                               hr_request **out)
{
    hr_request *request = NULL;
    int peer = message->peer < 0 ? MPI_ANY_SOURCE : message->peer, error;

    HR_TRY(create_request(transport, message, &request));
    error =
        hr_fault("mpi.receive")
            ? MPI_ERR_OTHER
            : MPI_Irecv(message->data, (int)message->bytes, MPI_BYTE, peer, message->tag,
                        transport->plane[message->plane], &request->mpi);
    if (error != MPI_SUCCESS) {
        destroy_request(request);
        return broken(transport, error, "receiving");
    }
    add_to_open(request);
    *out = request;
    return HR_OK;
}

hr_status hr_transport_probe(hr_transport *transport, hr_message *message, bool *is_there)
{
    MPI_Status found;
    int error, flag = 0, bytes = 0;

    error = MPI_Iprobe(message->peer, MPI_ANY_TAG, transport->plane[message->plane],
                       &flag, &found);
    if (error == MPI_SUCCESS && flag)
        error = hr_fault("mpi.probe") ? MPI_ERR_OTHER
                                      : MPI_Get_count(&found, MPI_BYTE, &bytes);
    if (error != MPI_SUCCESS)
        return broken(transport, error, "looking for messages");
    *is_there = flag;
    if (flag) {
        message->tag = found.MPI_TAG;
        message->bytes = (size_t)bytes;
    }
    return HR_OK;
}

/* A receive is done: from whom, and how much. */
static hr_status note_arrival(hr_request *request, const MPI_Status *found)
{
    int was_cancelled = 0, bytes = 0;
    int error = MPI_Test_cancelled(found, &was_cancelled);

    request->bytes = 0;
    if (error == MPI_SUCCESS && was_cancelled)
        return HR_OK;
    if (error == MPI_SUCCESS)
        error = MPI_Get_count(found, MPI_BYTE, &bytes);
    if (error != MPI_SUCCESS)
        return broken(request->transport, error, "receiving");
    request->peer = found->MPI_SOURCE;
    request->bytes = (size_t)bytes;
    request->transport->n_received[request->peer] += request->plane == HR_PLANE_DATA;
    return HR_OK;
}

hr_status hr_request_test(hr_request *request, bool *is_done)
{
    MPI_Status found;
    int flag = 0, error;

    *is_done = request->is_done;
    if (request->is_done)
        return HR_OK;
    error = MPI_Test(&request->mpi, &flag, &found);
    if (flag && hr_fault("mpi.test"))
        error = MPI_ERR_OTHER;
    if (error != MPI_SUCCESS) {
        remove_from_open(request);
        request->is_done = true;
        return broken(request->transport, error,
                      request->is_send ? "sending" : "receiving");
    }
    if (!flag)
        return HR_OK;
    remove_from_open(request);
    request->is_done = true;
    *is_done = true;
    return request->is_send ? HR_OK : note_arrival(request, &found);
}

int hr_request_peer(const hr_request *request)
{
    return request->peer;
}

size_t hr_request_bytes(const hr_request *request)
{
    return request->bytes;
}

hr_request_keep *hr_request_kept(hr_request *request)
{
    return &request->kept;
}

void hr_request_cancel(hr_request *request)
{
    if (!request->is_done)
        note(MPI_Cancel(&request->mpi), "cancelling");
}

void hr_request_free(hr_request *request)
{
    if (request == NULL)
        return;
    if (!request->is_done)
        remove_from_open(request);
    destroy_request(request);
}

uint64_t hr_transport_n_sent(const hr_transport *transport, int peer)
{
    return transport->n_sent[peer];
}

uint64_t hr_transport_n_received(const hr_transport *transport, int peer)
{
    return transport->n_received[peer];
}

void hr_transport_cancel_all(hr_transport *transport)
{
    for (hr_request *one = transport->open[HR_PLANE_DATA]; one != NULL; one = one->next)
        if (!one->is_send)
            hr_request_cancel(one);
}

hr_status hr_transport_test_all(hr_transport *transport, bool *is_done)
{
    hr_request *one = transport->open[HR_PLANE_DATA], *next;

    for (; one != NULL; one = next) {
        bool is_this;

        next = one->next;
        HR_TRY(hr_request_test(one, &is_this));
    }
    *is_done = transport->open[HR_PLANE_DATA] == NULL;
    return HR_OK;
}
