#include "worker/decode.h"

#include "base/memory.h"
#include "base/text.h"
#include "worker/pieces.h"
#include "worker/progress.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct decode {
    hr_worker *worker;
    const hr_render *render;
    const hr_frame_source *source;
    hr_pieces pieces;
    hr_group *rows;          /* the ranks that have rows; NULL on others and alone */
    int n_ranks;             /* of them */
    hr_vae_decoder *decoder; /* NULL without rows */
    hr_saver *saver;         /* on rank 0; of a dry run without files and unused */
    int64_t n_pictures;      /* of a latent frame, at most */
    int64_t row_values;      /* of a row of a picture */
    hr_tensor held;          /* the band's pictures that are still to be blended */
    float *latent;           /* host: the frame that was fetched */
    float *pictures;         /* host: those of a latent frame, on rank 0 whole */
    hr_exchange *messages;
    int64_t n_kept;      /* pictures that were done before, in closed segments */
    int64_t first_frame; /* of the latent, whose pictures are to be made */
    int64_t n_saved;     /* pictures, those before included */
} decode;

static bool is_first_rank(const decode *d)
{
    return hr_group_rank(d->worker->group) == 0;
}

static bool is_dry(const decode *d)
{
    return hr_device_is_dry(d->worker->device);
}

static int64_t scale_of(const decode *d)
{
    return hr_model_get_config(d->worker->model)->vae.scale_spatial;
}

static int64_t picture_values(const decode *d)
{
    return d->render->plan->height * d->row_values;
}

/* The band that a rank has of a picture, in values. */
static hr_band band_of(const decode *d, int rank)
{
    hr_band band = hr_rows_band(d->render->plan->latent_height, rank, d->n_ranks);

    return (hr_band){.first = band.first * scale_of(d) * d->row_values,
                     .n = band.n * scale_of(d) * d->row_values};
}

/* The ranks with rows become a group of their own. */
static hr_status make_group(decode *d)
{
    hr_group *all = d->worker->group;
    int size = hr_group_size(all), rank = hr_group_rank(all);
    int64_t height = d->render->plan->latent_height;
    hr_group_split_args args = {.key = rank, .my_rank = rank, .traffic = HR_TRAFFIC_ROWS};

    d->n_ranks = size < height ? size : (int)height;
    args.members = d->n_ranks;
    args.color = rank < d->n_ranks ? 0 : -1;
    return size > 1 ? hr_group_split(all, &args, &d->rows) : HR_OK;
}

static hr_status open_decoder(decode *d)
{
    const hr_plan *p = d->render->plan;
    const hr_vae_decoder_options options = {
        .height = p->latent_height, .width = p->latent_width, .group = d->rows};
    int64_t n_held = d->pieces.blended * d->n_pictures;
    const hr_vae *vae;

    if (hr_group_rank(d->worker->group) >= d->n_ranks)
        return HR_OK;
    HR_TRY(hr_parts_vae(d->worker, &vae));
    HR_TRY(hr_vae_decoder_create(vae, d->worker->stream, &options, &d->decoder));
    if (n_held == 0)
        return HR_OK;
    return hr_tensor_create(
        d->worker->device, HR_F32,
        HR_DIMS(n_held, hr_vae_decoder_band(d->decoder).n * scale_of(d), p->width, 3),
        &d->held);
}

static hr_status open_host(decode *d)
{
    const hr_plan *p = d->render->plan;
    size_t latent = (size_t)(p->latent_channels * p->latent_height * p->latent_width);
    size_t n = (size_t)d->n_pictures * (size_t)d->n_ranks, bytes;

    HR_TRY(
        hr_alloc_or_fail(latent * sizeof(float), "a latent frame", (void **)&d->latent));
    if (d->decoder == NULL)
        return HR_OK;
    HR_TRY(hr_size_mul((size_t)(is_first_rank(d) ? picture_values(d)
                                                 : band_of(d, hr_group_rank(d->rows)).n) *
                           sizeof(float),
                       (size_t)d->n_pictures, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "decoded frames", (void **)&d->pictures));
    return hr_alloc_or_fail(n * sizeof *d->messages, "messages", (void **)&d->messages);
}

static void keep(void *user, int64_t picture, hr_hash hash)
{
    const decode *d = user;

    if (d->render->receipt != NULL)
        hr_receipt_set_frame(d->render->receipt, picture, hash);
}

/* What decides about the pictures: the same identity, the same pictures. */
static hr_status hash_source(const hr_checkpointing *c, hr_hash *out)
{
    hr_text both = {0};
    hr_status status = hr_text_printf(&both, "%s\n%s", c->job != NULL ? c->job : "",
                                      c->model != NULL ? c->model : "");

    if (status == HR_OK)
        *out = hr_hash_bytes(both.s, both.length);
    hr_text_free(&both);
    return status;
}

static hr_status open_saver(decode *d)
{
    const hr_plan *p = d->render->plan;
    const hr_save_options nowhere = {0};
    hr_saver_film film = {.n_frames = p->frames,
                          .height = p->height,
                          .width = p->width,
                          .per_latent = d->n_pictures,
                          .fps = d->render->job->fps,
                          .must_try = !d->source->is_saved,
                          .done = keep,
                          .user = d};

    if (!is_dry(d))
        film.segments_folder = d->render->checkpointing.segments_folder;
    HR_TRY(hash_source(&d->render->checkpointing, &film.source));
    HR_TRY(hr_saver_open(is_dry(d) ? &nowhere : &d->render->save, &film, &d->saver));
    d->n_kept = hr_saver_done(d->saver);
    return HR_OK;
}

/* Rank 0 knows what is there already. */
static hr_status open_all(decode *d)
{
    const hr_plan *p = d->render->plan;

    d->n_pictures = hr_model_get_config(d->worker->model)->vae.scale_temporal;
    d->row_values = p->width * 3;
    d->pieces = hr_pieces_make(p->latent_frames,
                               p->decode == HR_DECODE_WINDOWED ? p->windows.length : 0);
    if (is_first_rank(d))
        HR_TRY(open_saver(d));
    HR_TRY(hr_group_broadcast(d->worker->group, 0, &d->n_kept, sizeof d->n_kept));
    d->n_saved = d->n_kept;
    if (d->n_kept > 0) /* a latent frame's first, and all of frame 0 are there */
        d->first_frame = (d->n_kept - 1) / d->n_pictures + 1;
    if (d->n_kept == p->frames)
        return HR_OK;
    HR_TRY(make_group(d));
    HR_TRY(open_decoder(d));
    return open_host(d);
}

/* The bands of `n` pictures into rank 0's, straight to their places. */
static hr_status gather(decode *d, int64_t n)
{
    int rank = d->rows != NULL ? hr_group_rank(d->rows) : 0;
    size_t n_messages = 0;

    for (int64_t t = 0; t < n && d->rows != NULL; t++)
        for (int peer = 1; peer < d->n_ranks; peer++) {
            hr_band band = band_of(d, peer);
            hr_exchange message = {.peer = peer, .bytes = (size_t)band.n * sizeof(float)};

            if (rank == 0) {
                message.data = d->pictures + t * picture_values(d) + band.first;
            } else if (rank == peer) {
                message.is_send = true;
                message.peer = 0;
                message.data = d->pictures + t * band.n;
            } else {
                continue;
            }
            d->messages[n_messages++] = message;
        }
    return n_messages > 0 ? hr_group_exchange(d->rows, d->messages, n_messages) : HR_OK;
}

static hr_status save(decode *d, int64_t n)
{
    hr_receipt *receipt = d->render->receipt;

    if (d->saver == NULL || is_dry(d))
        return HR_OK;
    for (int64_t t = 0; t < n; t++) {
        const float *picture = d->pictures + t * picture_values(d);
        hr_hash hash = hr_hash_bytes(picture, (size_t)picture_values(d) * sizeof(float));

        HR_TRY(hr_saver_frame(d->saver, picture, hash));
        if (receipt != NULL)
            hr_receipt_set_frame(receipt, d->n_saved + t, hash);
    }
    return HR_OK;
}

/* The band's next pictures: [n, rows, width, 3]. */
static hr_status hand_over(decode *d, const hr_tensor *band)
{
    int64_t n = band->dim[0], step = hr_tensor_count(band) / n;

    if (is_first_rank(d))
        step = picture_values(d); /* its band comes first in each picture */
    for (int64_t t = 0; t < n; t++) {
        hr_tensor picture = hr_tensor_slice(band, t, 1);

        HR_TRY(hr_copy_to_host(d->worker->stream, d->pictures + t * step, &picture));
    }
    HR_TRY(hr_stream_sync(d->worker->stream));
    HR_TRY(gather(d, n));
    return save(d, n);
}

/* band = (1 - w) held + w band, picture by picture; `at`: of the blended frames. */
static hr_status blend(decode *d, const hr_tensor *band, int64_t at)
{
    int64_t n = band->dim[0], n_blended = d->pieces.blended * d->n_pictures;

    for (int64_t t = 0; t < n; t++) {
        float weight = hr_pieces_weight(at * d->n_pictures + t, n_blended);
        hr_tensor picture = hr_tensor_slice(band, t, 1);

        HR_TRY(hr_op_lincomb(
            d->worker->stream,
            &(hr_lincomb_args){
                .x = {hr_tensor_slice(&d->held, at * d->n_pictures + t, 1), picture},
                .c = {1 - weight, weight},
                .n = 2,
                .out = picture}));
    }
    return HR_OK;
}

/* What becomes of the pictures of frame `i` of a piece. */
static hr_status use(decode *d, const hr_piece *piece, int64_t i, const hr_tensor *band)
{
    int64_t first_held = piece->n - piece->held, n = band->dim[0];
    int64_t behind_dropped = i - piece->dropped;

    if (behind_dropped < 0)
        return HR_OK;
    if (i >= first_held) {
        hr_tensor kept = hr_tensor_slice(&d->held, (i - first_held) * d->n_pictures, n);

        return hr_copy(d->worker->stream, &kept, band);
    }
    if (piece->first + i < d->first_frame)
        return HR_OK;
    if (behind_dropped < piece->blended)
        HR_TRY(blend(d, band, behind_dropped));
    return hand_over(d, band);
}

/* Decodes the fetched frame; `piece` is NULL for an anchor. */
static hr_status run_decoder(decode *d, const hr_piece *piece, int64_t i)
{
    hr_worker *w = d->worker;
    const hr_plan *p = d->render->plan;
    int64_t n = hr_vae_decoder_next_frames(d->decoder);
    int64_t height = hr_vae_decoder_band(d->decoder).n * scale_of(d);
    hr_tensor in, out;

    HR_TRY(hr_arena_tensor(w->arena, HR_F32,
                           HR_DIMS(p->latent_channels, p->latent_height, p->latent_width),
                           &in));
    HR_TRY(hr_arena_tensor(w->arena, HR_F32, HR_DIMS(n, height, p->width, 3), &out));
    HR_TRY(hr_copy_to_device(w->stream, &in, d->latent));
    HR_TRY(
        hr_vae_decoder_run(d->decoder, w->stream, w->arena, &in, &out, d->render->trace));
    if (piece != NULL)
        HR_TRY(use(d, piece, i, &out));
    return hr_stream_sync(w->stream);
}

static void show(const decode *d, const hr_stage_clock *clock)
{
    hr_progress progress = {.done = d->n_saved,
                            .units_done = d->n_saved,
                            .n_units = clock->total,
                            .units_before = d->n_kept,
                            .slowest_rank = -1};

    hr_stage_show(clock, &progress);
}

/* What is said of this rank should it be lost. */
static void tell(const decode *d, int64_t frame)
{
    hr_report report = {.units_done = d->n_saved};

    snprintf(report.phase, sizeof report.phase, "decode latent frame %" PRId64,
             frame + 1);
    hr_world_report(d->worker->world, &report);
}

static hr_status decode_frame(decode *d, hr_stage_clock *clock, int64_t frame,
                              const hr_piece *piece)
{
    hr_arena_mark mark = hr_arena_get_mark(d->worker->arena);
    int64_t i = piece != NULL ? frame - piece->first : 0;
    hr_status status = hr_stage_next(clock);

    tell(d, frame);
    if (status == HR_OK)
        status = d->source->fetch(d->source->user, frame, d->latent);
    if (status == HR_OK && d->decoder != NULL)
        status = run_decoder(d, piece, i);
    hr_arena_rewind(d->worker->arena, mark);
    HR_TRY(status);
    if (piece != NULL && i >= piece->dropped && i < piece->n - piece->held &&
        frame >= d->first_frame)
        d->n_saved += frame == 0 ? 1 : d->n_pictures;
    show(d, clock);
    return HR_OK;
}

/* From frame `i` of the piece on. */
static hr_status decode_piece(decode *d, hr_stage_clock *clock, int64_t index, int64_t i)
{
    hr_piece piece = hr_pieces_at(&d->pieces, index);

    if (index > 0) {
        if (d->decoder != NULL)
            HR_TRY(hr_vae_decoder_restart(d->decoder));
        HR_TRY(decode_frame(d, clock, 0, NULL));
    }
    for (; i < piece.n; i++)
        HR_TRY(decode_frame(d, clock, piece.first + i, &piece));
    return HR_OK;
}

/* Streamed, the decoder is begun where the past of the first frame begins: that is its
 * latent frame 0. Pieces have a beginning each. */
static hr_status decode_pieces(decode *d, hr_stage_clock *clock)
{
    const hr_vae_config *vae = &hr_model_get_config(d->worker->model)->vae;
    int64_t behind_past = d->first_frame - hr_vae_receptive_frames(vae);

    if (d->pieces.n_pieces == 1)
        return decode_piece(d, clock, 0, behind_past > 0 ? behind_past : 0);
    for (int64_t i = hr_pieces_start(&d->pieces, d->first_frame); i < d->pieces.n_pieces;
         i++)
        HR_TRY(decode_piece(d, clock, i, 0));
    return HR_OK;
}

static hr_status decode_all(decode *d)
{
    hr_stage_clock clock =
        hr_stage_begin(d->render->hooks, HR_STAGE_DECODE, d->render->plan->frames);
    hr_saver *saver;

    HR_TRY(open_all(d));
    show(d, &clock);
    if (d->n_kept < d->render->plan->frames)
        HR_TRY(decode_pieces(d, &clock));
    saver = d->saver;
    if (saver == NULL || is_dry(d))
        return HR_OK;
    d->saver = NULL;
    return hr_saver_finish(saver);
}

hr_status hr_decode_stage(hr_worker *worker, const hr_render *render,
                          const hr_frame_source *source)
{
    decode d = {.worker = worker, .render = render, .source = source};
    hr_arena_mark mark = hr_arena_get_mark(worker->arena);
    hr_status status = decode_all(&d);
    hr_status after = hr_stream_sync(worker->stream);

    if (status == HR_OK)
        status = after;
    hr_saver_abandon(d.saver);
    hr_vae_decoder_destroy(d.decoder);
    hr_tensor_free(&d.held);
    hr_arena_rewind(worker->arena, mark);
    hr_group_destroy(d.rows);
    hr_free(d.messages);
    hr_free(d.pictures);
    hr_free(d.latent);
    return status;
}
