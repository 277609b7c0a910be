#include "worker/parts.h"

#include "base/clock.h"
#include "base/log.h"

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

hr_status hr_parts_expert(hr_worker *worker, int index, const hr_transformer **out)
{
    static const hr_component components[2] = {HR_COMPONENT_TRANSFORMER,
                                               HR_COMPONENT_TRANSFORMER_2};
    double began = hr_clock_seconds();

    if (worker->expert[index] == NULL) {
        if (!worker->keep_parts)
            hr_parts_drop_experts(worker);
        HR_TRY(hr_transformer_open(&hr_model_get_config(worker->model)->transformer,
                                   hr_model_get_weights(worker->model, components[index]),
                                   worker->stream, worker->numerics,
                                   &worker->expert[index]));
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
    static const hr_component late[] = {HR_COMPONENT_VAE, HR_COMPONENT_TRANSFORMER_2};

    if (worker->values_checked || hr_device_is_dry(worker->device))
        return HR_OK;
    for (int i = 0; i < 2; i++)
        if (hr_model_get_weights(worker->model, late[i]) != NULL)
            HR_TRY(hr_weights_check_values(hr_model_get_weights(worker->model, late[i])));
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
