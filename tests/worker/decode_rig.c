#include "worker/decode_rig.h"

#include "support/device.h"
#include "support/test_util.h"

#include "base/memory.h"

/* Latent frame `frame` of the video. */
void hr_decode_rig_latent(const hr_plan *p, int64_t frame, float *out)
{
    hr_test_random((uint32_t)(frame + 1), out,
                   (size_t)(p->latent_channels * p->latent_height * p->latent_width));
}

static hr_status fetch(void *user, int64_t frame, float *out)
{
    const hr_decode_rig *r = user;

    r->video->n_fetched++;
    if (frame == r->video->fail_at &&
        hr_group_rank(r->group) == hr_group_size(r->group) - 1)
        return hr_fail(HR_ERR_IO, "frame %d is gone", (int)frame);
    hr_decode_rig_latent(&r->plan, frame, out);
    return HR_OK;
}

static void make_plan(hr_decode_rig *r)
{
    const hr_vae_config *vae = &hr_model_get_config(r->model)->vae;
    const hr_decode_case *v = r->video;

    hr_job_init(&r->job);
    r->job.fps = 16;
    r->plan = (hr_plan){.latent_frames = v->n_frames,
                        .latent_height = v->height,
                        .latent_width = v->width,
                        .latent_channels = vae->z_dim,
                        .frames = (v->n_frames - 1) * vae->scale_temporal + 1,
                        .height = v->height * vae->scale_spatial,
                        .width = v->width * vae->scale_spatial,
                        .decode = v->window > 0 ? HR_DECODE_WINDOWED : HR_DECODE_STREAMED,
                        .windows = {.length = v->window}};
}

hr_decode_rig *hr_decode_rig_start(hr_group *group, hr_decode_case *v)
{
    hr_decode_rig *r = hr_alloc(sizeof *r);
    hr_worker_options options = {.layout = {1, 1, 1, 1}};

    assert_non_null(r);
    r->video = v;
    r->group = group;
    r->golden = hr_golden_open(v->case_name);
    hr_test_ok(hr_model_open(hr_golden_pipeline(r->golden), &r->model));
    if (v->is_dry)
        hr_test_ok(hr_device_open(&(hr_device_options){.name = "dry"}, &r->device));
    else
        r->device = hr_test_device_open(1);
    options.model = r->model;
    options.device = r->device;
    hr_test_ok(hr_worker_open(group, &options, &r->worker));
    make_plan(r);
    return r;
}

void hr_decode_rig_stop(hr_decode_rig *r)
{
    hr_worker_close(r->worker);
    hr_device_close(r->device);
    hr_model_close(r->model);
    hr_golden_close(r->golden);
    hr_job_free(&r->job);
    hr_free(r);
}

static hr_wish wish(void *user, const hr_pace *pace)
{
    const hr_decode_case *v = user;

    assert_null(pace);
    return v->n_until > 0 && v->n_fetched >= v->n_until ? HR_WISH_STOP : HR_WISH_NONE;
}

static hr_status run_decode(hr_decode_rig *r, hr_decode_case *v)
{
    const hr_frame_source source = {.fetch = fetch, .user = r};
    const hr_worker_hooks hooks = {.wish = wish, .user = v};
    const hr_render render = {
        .job = &r->job,
        .plan = &r->plan,
        .save = {.frames_file = v->frames_file, .video = v->film},
        .checkpointing = {.latents = v->stored, .segments_folder = v->segments},
        .hooks = &hooks,
        .receipt = v->receipt};
    size_t before = hr_mem_peak_bytes();
    hr_status status;

    v->n_fetched = 0;
    hr_world_reset_traffic(hr_group_world(r->group));
    status = v->stored != NULL ? hr_decode_stored(r->worker, &render)
                               : hr_decode_stage(r->worker, &render, &source);
    v->rows_bytes = hr_world_traffic(hr_group_world(r->group)).bytes[HR_TRAFFIC_ROWS];
    v->flops = hr_device_get_stats(r->device).flops;
    v->device_peak = hr_device_get_stats(r->device).peak_bytes;
    v->host_growth = hr_mem_peak_bytes() - before;
    return status;
}

/* Decodes with the ranks of the group. */
hr_status hr_decode_rig_run(hr_group *group, hr_decode_case *v)
{
    hr_decode_rig *r = hr_decode_rig_start(group, v);
    hr_status status = run_decode(r, v);

    hr_decode_rig_stop(r);
    return status;
}

hr_receipt *hr_decode_rig_receipt(const hr_decode_case *v)
{
    hr_receipt *receipt = NULL;

    hr_test_ok(hr_receipt_create(1, v->n_frames, (v->n_frames - 1) * 4 + 1, &receipt));
    return receipt;
}

void hr_decode_rig_same_receipts(const hr_receipt *a, const hr_receipt *b)
{
    hr_text difference = {0};

    hr_test_ok(hr_receipt_compare(a, b, &difference));
    assert_int_equal(difference.length, 0);
    hr_text_free(&difference);
}

/* Decodes on rank 0 alone, while the others do not. */
hr_status hr_decode_rig_alone(hr_decode_case *v)
{
    hr_world *alone;
    hr_status status;

    hr_test_ok(hr_world_open_alone(&alone));
    status = hr_decode_rig_run(hr_world_group(alone), v);
    hr_world_close(alone);
    return status;
}
