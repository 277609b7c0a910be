/* The configs of a model folder whose weights are all there, of just the shapes that the
 * configs ask for: everything that a render does with them, on the dry device. */
#include "fuzz.h"
#include "model_folder.h"

#include "base/assert.h"
#include "base/memory.h"
#include "model/text_encoder.h"
#include "model/transformer.h"
#include "model/vae.h"
#include "model/weights_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAX_TENSORS = 4000 };
/* Of the largest: 65,536 buckets of 1,024 heads. */
enum { MAX_TABLE_BYTES = 2 * 65536 * 1024 };
/* No file is larger, so no tensor is. */
static const uint64_t max_elements = (uint64_t)1 << 50;

/* Where the forwards run. */
typedef struct dry_run {
    hr_device *device;
    hr_stream *stream;
    hr_arena *arena;
    const hr_model_config *config;
} dry_run;

/* Weights as files with these tensors give them. */
typedef struct made_weights {
    hr_weights weights;
    hr_stored_tensor tensor[MAX_TENSORS];
    hr_weight_entry entry[MAX_TENSORS];
    uint64_t bytes_read;
} made_weights;

static int compare_entries(const void *a, const void *b)
{
    const hr_weight_entry *x = a, *y = b;

    return strcmp(x->tensor->name, y->tensor->name);
}

/* What the few small tables that the host reads hold: zeros, which take no memory. */
static const void *zeros(void)
{
    static void *map;

    if (map == NULL)
        map = mmap(NULL, MAX_TABLE_BYTES, PROT_READ,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    HR_ASSERT(map != MAP_FAILED);
    return map;
}

static void make_tensor(const hr_weight_declaration *declared, hr_stored_tensor *out)
{
    *out = (hr_stored_tensor){.name = declared->name,
                              .dtype_name = "BF16",
                              .dtype = HR_BF16,
                              .n_dims = declared->n_dims,
                              .data = zeros(),
                              .n_elements = 1};
    memcpy(out->dim, declared->dim, sizeof declared->dim);
    for (int i = 0; i < out->n_dims; i++)
        if (__builtin_mul_overflow(out->n_elements, (size_t)out->dim[i],
                                   &out->n_elements) ||
            out->n_elements > max_elements)
            out->n_elements = max_elements + 1;
    out->n_bytes = 2 * out->n_elements;
}

/* Whether files can hold what was declared; then they do. */
static bool fulfil(made_weights *made)
{
    hr_weights *w = &made->weights;

    if (w->n_declared > MAX_TENSORS)
        return false;
    for (size_t i = 0; i < w->n_declared; i++) {
        make_tensor(&w->declared[i], &made->tensor[i]);
        if (made->tensor[i].n_elements > max_elements)
            return false;
        made->entry[i] = (hr_weight_entry){.tensor = &made->tensor[i], .declared = i + 1};
    }
    qsort(made->entry, w->n_declared, sizeof *made->entry, compare_entries);
    w->files.entry = made->entry;
    w->files.n_entries = w->n_declared;
    return true;
}

static void drop(made_weights *made)
{
    hr_weights *w = &made->weights;

    for (size_t i = 0; i < w->n_declared; i++)
        hr_free(w->declared[i].name);
    hr_free(w->declared);
    *w = (hr_weights){.bytes_read = &made->bytes_read};
}

static hr_status run_text_encoder(const dry_run *d, const hr_weights *weights)
{
    static const int32_t ids[3] = {0, 0, 0};
    const hr_text_config *c = &d->config->text;
    hr_text_encoder *encoder = NULL;
    hr_tensor out = {0};
    hr_status status;

    HR_TRY(hr_text_encoder_open(c, weights, d->stream, HR_NUMERICS_EXACT, &encoder));
    status = hr_tensor_create(d->device, HR_F32, HR_DIMS(3, c->d_model), &out);
    if (status == HR_OK)
        status = hr_text_encoder_run(encoder, d->stream, d->arena, ids, &out, NULL);
    hr_tensor_free(&out);
    hr_text_encoder_close(encoder);
    return status;
}

static hr_status forward(const dry_run *d, const hr_transformer *transformer,
                         const hr_rope *rope, const hr_text_context *context)
{
    const hr_transformer_config *c = &d->config->transformer;
    hr_forward run = {.rope = rope, .context = context, .timestep = 500};

    HR_TRY(hr_arena_tensor(
        d->arena, HR_F32,
        HR_DIMS(c->patch[0], c->in_channels, 2 * c->patch[1], c->patch[2]),
        &run.latents));
    HR_TRY(hr_arena_tensor(d->arena, HR_F32, 4, run.latents.dim, &run.out));
    return hr_transformer_run(transformer, d->stream, d->arena, &run);
}

static hr_status run_transformer(const dry_run *d, const hr_weights *weights)
{
    const hr_transformer_config *c = &d->config->transformer;
    const hr_transformer_part whole = {
        .n_layers = c->n_layers, .has_entry = true, .has_head = true, .tensor_size = 1};
    hr_transformer *transformer = NULL;
    hr_text_context *context = NULL;
    hr_text_rows rows = {.text_length = 8};
    hr_rope *rope = NULL;
    hr_status status;

    HR_TRY(hr_transformer_open(c, &whole, weights, d->stream, HR_NUMERICS_EXACT,
                               &transformer));
    HR_TRY_GOTO(hr_arena_tensor(d->arena, HR_F32, HR_DIMS(3, c->text_dim), &rows.embeds),
                end);
    HR_TRY_GOTO(hr_text_context_create(transformer, d->stream, d->arena, &rows, &context),
                end);
    HR_TRY_GOTO(
        hr_rope_create(c, d->stream, c->patch[0], 2 * c->patch[1], c->patch[2], &rope),
        end);
    status = forward(d, transformer, rope, context);
end:
    hr_rope_destroy(rope);
    hr_text_context_destroy(context);
    hr_transformer_close(transformer);
    return status;
}

static hr_status decode(const dry_run *d, hr_vae_decoder *decoder)
{
    const hr_vae_config *c = &d->config->vae;
    hr_tensor latent, out;

    for (int i = 0; i < 3; i++) {
        int64_t frames = hr_vae_decoder_next_frames(decoder);

        HR_TRY(hr_arena_tensor(d->arena, HR_F32, HR_DIMS(c->z_dim, 2, 3), &latent));
        HR_TRY(hr_arena_tensor(
            d->arena, HR_F32,
            HR_DIMS(frames, 2 * c->scale_spatial, 3 * c->scale_spatial, 3), &out));
        HR_TRY(hr_vae_decoder_run(decoder, d->stream, d->arena, &latent, &out, NULL));
    }
    return HR_OK;
}

static hr_status run_vae(const dry_run *d, const hr_weights *weights)
{
    const hr_vae_decoder_options options = {.height = 2, .width = 3};
    hr_vae_decoder *decoder = NULL;
    hr_vae *vae = NULL;
    hr_status status;

    (void)hr_vae_receptive_frames(&d->config->vae);
    HR_TRY(hr_vae_open(&d->config->vae, weights, d->stream, &vae));
    status = hr_vae_decoder_create(vae, d->stream, &options, &decoder);
    if (status == HR_OK)
        status = decode(d, decoder);
    hr_vae_decoder_destroy(decoder);
    hr_vae_close(vae);
    return status;
}

static hr_status expect(const dry_run *d, int component, hr_weights *weights)
{
    if (component == 0)
        return hr_text_encoder_expect(&d->config->text, weights);
    if (component == 1)
        return hr_transformer_expect(&d->config->transformer, weights);
    return hr_vae_expect(&d->config->vae, weights);
}

static hr_status run_component(const dry_run *d, int component)
{
    static hr_status (*const run[])(const dry_run *, const hr_weights *) = {
        run_text_encoder, run_transformer, run_vae};
    static made_weights made;
    hr_status status;

    made.weights = (hr_weights){.bytes_read = &made.bytes_read};
    status = expect(d, component, &made.weights);
    if (status == HR_OK && fulfil(&made)) {
        status = hr_weights_check(&made.weights);
        HR_ASSERT(status == HR_OK);
        status = run[component](d, &made.weights);
    }
    drop(&made);
    return status;
}

static hr_status run_dry(const hr_model_config *config)
{
    const hr_device_options options = {.name = "dry"};
    dry_run d = {.config = config};
    hr_status status;

    HR_TRY(hr_device_open(&options, &d.device));
    status = hr_stream_create(d.device, &d.stream);
    if (status == HR_OK)
        status = hr_arena_create(d.device, &d.arena);
    for (int i = 0; i < 3 && status == HR_OK; i++)
        status = run_component(&d, i);
    hr_arena_destroy(d.arena);
    hr_stream_destroy(d.stream);
    hr_device_close(d.device);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hr_model_config config;
    hr_status status;

    hr_fuzz_model_folder(data, n);
    hr_fuzz_begin();
    status = hr_model_config_load(hr_fuzz_folder(), &config);
    if (status == HR_OK)
        status = run_dry(&config);
    HR_ASSERT(status != HR_ERR_INTERNAL); /* what cannot be is refused, or NOMEM */
    hr_fuzz_end(status != HR_OK);
    return 0;
}

/* Half of the changes are another number in place of one that is there. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max_n, unsigned seed)
{
    return seed % 2 == 0 ? LLVMFuzzerMutate(data, n, max_n)
                         : hr_fuzz_change_number(data, n, max_n, seed / 2);
}
