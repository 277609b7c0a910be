#include "worker/parts.h"

#include "base/clock.h"
#include "base/log.h"

/* Ranks of one forward and stage neighbour each other. */
static hr_status make_tensor_group(hr_worker *worker)
{
    const hr_layout *layout = &worker->layout;
    const hr_place *place = &worker->place;
    hr_group_split_args args = {.color = -1, .traffic = HR_TRAFFIC_TENSOR};

    if (!place->is_idle)
        args = (hr_group_split_args){
            .color = hr_group_rank(worker->group) / layout->tensor,
            .members = layout->tensor,
            .my_rank = place->tensor,
            .traffic = HR_TRAFFIC_TENSOR,
        };
    return hr_group_split(worker->group, &args, &worker->tensor);
}

static hr_status make_branches_group(hr_worker *worker)
{
    const hr_layout *layout = &worker->layout;
    const hr_place *place = &worker->place;
    hr_group_split_args args = {.color = -1, .traffic = HR_TRAFFIC_HALO};

    if (!place->is_idle && place->stage == 0 && place->tensor == 0)
        args = (hr_group_split_args){
            .color = place->windows,
            .members = layout->cfg,
            .my_rank = place->cfg,
            .stride = layout->stages * layout->tensor,
            .traffic = HR_TRAFFIC_HALO,
        };
    return hr_group_split(worker->group, &args, &worker->branches);
}

hr_status hr_parts_make_groups(hr_worker *worker)
{
    HR_TRY(make_tensor_group(worker));
    return make_branches_group(worker);
}

void hr_parts_drop_groups(hr_worker *worker)
{
    hr_group_destroy(worker->branches);
    hr_group_destroy(worker->tensor);
    worker->branches = worker->tensor = NULL;
}

/* This rank's layers and shards. */
static hr_transformer_part part_of_expert(const hr_worker *worker)
{
    int64_t n_layers = hr_model_get_config(worker->model)->transformer.n_layers;
    int64_t stage = worker->place.stage, n_stages = worker->layout.stages;
    int64_t first = n_layers * stage / n_stages;

    return (hr_transformer_part){
        .first_layer = first,
        .n_layers = n_layers * (stage + 1) / n_stages - first,
        .has_entry = stage == 0,
        .has_head = stage == n_stages - 1,
        .tensor_rank = worker->place.tensor,
        .tensor_size = worker->layout.tensor,
        .tensor_group = worker->layout.tensor > 1 ? worker->tensor : NULL,
    };
}

bool hr_parts_is_leader(const hr_worker *worker)
{
    const hr_place *place = &worker->place;

    return !place->is_idle && place->cfg == 0 && place->stage == 0 && place->tensor == 0;
}

hr_status hr_parts_text_encoder(hr_worker *worker, const hr_text_encoder **out)
{
    double began = hr_clock_seconds();

    if (worker->text_encoder == NULL) {
        HR_TRY(hr_text_encoder_open(
            &hr_model_get_config(worker->model)->text,
            hr_model_get_weights(worker->model, HR_COMPONENT_TEXT_ENCODER),
            worker->stream, worker->numerics, &worker->text_encoder));
        worker->load_seconds += hr_clock_seconds() - began;
    }
    *out = worker->text_encoder;
    return HR_OK;
}

static const hr_component experts[2] = {HR_COMPONENT_TRANSFORMER,
                                        HR_COMPONENT_TRANSFORMER_2};

hr_status hr_parts_expert(hr_worker *worker, int index, const hr_transformer **out)
{
    const hr_transformer_part part = part_of_expert(worker);
    double began = hr_clock_seconds();
    size_t before;

    if (worker->expert[index] == NULL) {
        if (!worker->keep_parts)
            hr_parts_drop_experts(worker);
        before = hr_device_get_stats(worker->device).live_bytes;
        HR_TRY(hr_transformer_open(
            &hr_model_get_config(worker->model)->transformer, &part,
            hr_model_get_weights(worker->model, experts[index]), worker->stream,
            worker->numerics, &worker->expert[index]));
        worker->expert_bytes[index] =
            hr_device_get_stats(worker->device).live_bytes - before;
        worker->load_seconds += hr_clock_seconds() - began;
    }
    *out = worker->expert[index];
    return HR_OK;
}

hr_status hr_parts_vae(hr_worker *worker, const hr_vae **out)
{
    double began = hr_clock_seconds();

    if (worker->vae == NULL) {
        HR_TRY(hr_vae_open(&hr_model_get_config(worker->model)->vae,
                           hr_model_get_weights(worker->model, HR_COMPONENT_VAE),
                           worker->stream, &worker->vae));
        worker->load_seconds += hr_clock_seconds() - began;
    }
    *out = worker->vae;
    return HR_OK;
}

hr_status hr_parts_check_values(hr_worker *worker)
{
    const hr_weights *second =
        hr_model_get_weights(worker->model, HR_COMPONENT_TRANSFORMER_2);
    const hr_transformer_part part = part_of_expert(worker);

    if (worker->values_checked || hr_device_is_dry(worker->device))
        return HR_OK;
    HR_TRY(
        hr_weights_check_values(hr_model_get_weights(worker->model, HR_COMPONENT_VAE)));
    if (second != NULL && !worker->place.is_idle)
        HR_TRY(hr_transformer_check_values(
            &hr_model_get_config(worker->model)->transformer, &part, second));
    worker->values_checked = true;
    return HR_OK;
}

/* Work that is still enqueued uses the weights. Its failure has been logged by the
 * device, and whoever waits next for the stream gets it. */
static void wait_for_work(hr_worker *worker)
{
    if (hr_stream_sync(worker->stream) != HR_OK)
        hr_debug("freeing weights after failed work");
}

void hr_parts_drop_text_encoder(hr_worker *worker)
{
    if (worker->text_encoder == NULL)
        return;
    wait_for_work(worker);
    hr_text_encoder_close(worker->text_encoder);
    worker->text_encoder = NULL;
}

void hr_parts_drop_experts(hr_worker *worker)
{
    for (int i = 0; i < 2; i++) {
        if (worker->expert[i] == NULL)
            continue;
        wait_for_work(worker);
        hr_transformer_close(worker->expert[i]);
        worker->expert[i] = NULL;
    }
}

void hr_parts_drop_vae(hr_worker *worker)
{
    if (worker->vae == NULL)
        return;
    wait_for_work(worker);
    hr_vae_close(worker->vae);
    worker->vae = NULL;
}

uint64_t hr_parts_bytes_read(const hr_worker *worker)
{
    uint64_t sum = 0;

    for (int i = 0; i < HR_COMPONENT_COUNT; i++) {
        const hr_weights *weights = hr_model_get_weights(worker->model, (hr_component)i);

        if (weights != NULL)
            sum += hr_weights_bytes_read(weights);
    }
    return sum;
}
