/* Files that are not what a save has written: cut, flipped, forged with a right seal. */
#include "io/checkpoint_case.h"

#include "base/memory.h"
#include "io/checkpoint_seal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const checkpoint_case plain = {.n_frames = 5,
                                      .channels = 2,
                                      .height = 3,
                                      .width = 4,
                                      .n_history = 2,
                                      .n_steps = 3,
                                      .n_pending = 3,
                                      .n_rounds = 2,
                                      .bad_frame = -1,
                                      .bad_pending = -1};

typedef struct scene {
    hr_world *world;
    checkpoint_case c;
    const char *path;
    char *data; /* of the whole file */
    size_t n;
} scene;

static int begin(void **state)
{
    static scene s;
    const char *folder = hr_test_folder();

    s = (scene){.c = plain, .path = hr_test_path(folder, "step-0001-00034.h5")};
    hr_test_ok(hr_world_open_alone(&s.world));
    checkpoint_case_begin(&s.c, hr_world_group(s.world));
    hr_test_ok(
        hr_checkpoint_save(hr_world_group(s.world), s.path, &s.c.head, &s.c.source));
    s.data = hr_test_read(s.path, &s.n);
    *state = &s;
    return 0;
}

static int end(void **state)
{
    scene *s = *state;

    hr_free(s->data);
    checkpoint_case_end(&s->c);
    hr_world_close(s->world);
    return hr_test_leak_teardown(state);
}

/* In place: much faster than the whole file anew. */
static void put(const scene *s, size_t at, const void *data, size_t n)
{
    int fd = open(s->path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, n, (off_t)at), n);
    close(fd);
}

static void a_cut_file_is_refused(void **state)
{
    const scene *s = *state;
    hr_checkpoint *file;

    put(s, s->n, "", 1);
    hr_test_fails(HR_ERR_CHECKPOINT, " were written",
                  hr_checkpoint_verify(NULL, s->path));
    for (size_t n = s->n - 1;; n -= n <= 200 ? 1 : 29) {
        const char *part = n == 0                         ? "it is empty"
                           : n < HR_CHECKPOINT_USER_BLOCK ? "it is cut"
                                                          : " were written";

        assert_int_equal(truncate(s->path, (off_t)n), 0);
        hr_test_fails(HR_ERR_CHECKPOINT, part, hr_checkpoint_verify(NULL, s->path));
        hr_test_fails(HR_ERR_CHECKPOINT, s->path, hr_checkpoint_open(s->path, &file));
        if (n == 0)
            break;
    }
}

static void any_flipped_bit_is_seen(void **state)
{
    const scene *s = *state;

    for (size_t i = 0; i < s->n; i += i < 1200 ? 1 : 3) {
        const char flipped = (char)(s->data[i] ^ 1 << i % 8);

        put(s, i, &flipped, 1);
        hr_test_fails(HR_ERR_CHECKPOINT, s->path, hr_checkpoint_verify(NULL, s->path));
        put(s, i, &s->data[i], 1);
    }
    hr_test_ok(hr_checkpoint_verify(NULL, s->path));
}

static void other_files_are_refused(void **state)
{
    const scene *s = *state;
    const char *folder = hr_test_folder();
    const char *pipe = hr_test_path(folder, "pipe");
    hr_checkpoint *file;

    hr_test_fails(HR_ERR_IO, "No such file", hr_checkpoint_verify(NULL, "/nowhere/a.h5"));
    hr_test_fails(HR_ERR_CHECKPOINT, "not a plain file",
                  hr_checkpoint_open(folder, &file));
    assert_int_equal(mkfifo(pipe, 0600), 0);
    hr_test_fails(HR_ERR_CHECKPOINT, "not a plain file", hr_checkpoint_open(pipe, &file));
    memset(s->data, 'x', s->n);
    hr_test_write(s->path, s->data, s->n);
    hr_test_fails(HR_ERR_CHECKPOINT, "it does not begin as one",
                  hr_checkpoint_open(s->path, &file));
}

/* Gives the file this text (all of the block before the hash), with a hash that fits. */
static void seal_again(const scene *s, hr_checkpoint_seal *seal)
{
    int fd;

    seal->layout.bytes = (int64_t)s->n;
    hr_test_ok(hr_checkpoint_open_file(s->path, &fd));
    hr_test_ok(hr_checkpoint_seal_hash(NULL, fd, s->path, seal, &seal->hash));
    close(fd);
    hr_checkpoint_seal_finish(seal);
    put(s, 0, seal->block, HR_CHECKPOINT_USER_BLOCK);
}

static void forge(const scene *s, const hr_checkpoint_layout *layout)
{
    hr_checkpoint_seal seal;

    hr_test_ok(hr_checkpoint_seal_init(layout, &seal));
    seal_again(s, &seal);
}

static hr_checkpoint_layout layout_of(const scene *s)
{
    hr_checkpoint_seal seal;
    int fd;

    hr_test_ok(hr_checkpoint_open_file(s->path, &fd));
    hr_test_ok(hr_checkpoint_seal_read(fd, s->path, &seal));
    close(fd);
    return seal.layout;
}

static void forged_values_are_refused(void **state)
{
    const scene *s = *state;
    const hr_checkpoint_layout layout = layout_of(s);
    const struct {
        hr_checkpoint_set set;
        int64_t element;
        int32_t value;
        const char *part;
    } cases[] = {
        {HR_SET_ROUNDS, 0, 3, "/rounds/done: a step or window is out of range"},
        {HR_SET_ROUNDS, 1, -1, "/rounds/done: a step or window is out of range"},
        {HR_SET_ROUNDS, 3, 5, "/rounds/done: a step or window is out of range"},
        {HR_SET_PENDING_HEADS, 0, 2, "/pending/heads: a number is out of range"},
        {HR_SET_PENDING_HEADS, 6, 4, "/pending/heads: a number is out of range"},
        {HR_SET_PENDING_HEADS, 2, 5, "/pending/heads: a number is out of range"},
        {HR_SET_PENDING_HEADS, 3, 8, "/pending/heads: a number is out of range"},
        {HR_SET_PENDING_HEADS, 14, -1, "/pending/heads: a number is out of range"},
        {HR_SET_JOB, 0, 0x41004141, "/job: it is no text"},
        {HR_SET_JOB_YAML, 1, 0x41ff4141, "/job.yaml: it is not UTF-8"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t at = (size_t)(layout.offset[cases[i].set] + 4 * cases[i].element);
        hr_checkpoint *file;

        put(s, at, &cases[i].value, 4);
        forge(s, &layout);
        hr_test_ok(hr_checkpoint_verify(NULL, s->path));
        hr_test_fails(HR_ERR_CHECKPOINT, cases[i].part,
                      hr_checkpoint_open(s->path, &file));
        put(s, at, s->data + at, 4);
    }
}

static void a_forged_step_is_refused(void **state)
{
    const scene *s = *state;
    const hr_checkpoint_layout layout = layout_of(s);
    hr_checkpoint_frame frame = {0};
    hr_checkpoint *file;

    put(s, (size_t)layout.offset[HR_SET_STEP] + 8, "\4", 1);
    forge(s, &layout);
    hr_test_ok(hr_checkpoint_open(s->path, &file));
    hr_test_ok(hr_checkpoint_read_frame(file, 1, &frame));
    hr_test_fails(HR_ERR_CHECKPOINT, "/frames/step: a step is out of range",
                  hr_checkpoint_read_frame(file, 2, &frame));
    hr_checkpoint_close(file);
}

static void a_forged_sample_is_refused(void **state)
{
    const scene *s = *state;
    const hr_checkpoint_layout layout = layout_of(s);
    float x[2 * 3 * 4];
    hr_checkpoint_frame frame = {.x = x};
    hr_checkpoint *file;

    put(s, (size_t)layout.offset[HR_SET_LATENTS], "\1", 1); /* no step is done: any */
    put(s, (size_t)layout.offset[HR_SET_LATENTS] + sizeof x, "\1", 1);
    forge(s, &layout);
    hr_test_ok(hr_checkpoint_open(s->path, &file));
    hr_test_ok(hr_checkpoint_read_frame(file, 0, &frame));
    hr_test_fails(HR_ERR_CHECKPOINT, "frame 1 does not fit its hash",
                  hr_checkpoint_read_frame(file, 1, &frame));
    hr_checkpoint_close(file);
}

/* Reads whatever a file that was taken has. */
static void read_all(const char *path)
{
    hr_checkpoint *file = NULL;
    const hr_checkpoint_head *head;
    float *room;

    hr_test_catch_log();
    if (hr_checkpoint_open(path, &file) != HR_OK) {
        assert_int_equal(hr_test_log_lines(), 1);
        return;
    }
    head = hr_checkpoint_get_head(file);
    room = hr_alloc((size_t)(head->channels * head->height * head->width) * 4);
    for (int64_t i = 0; i < head->n_frames && room != NULL; i++)
        hr_checkpoint_read_frame(file, i, &(hr_checkpoint_frame){.x = room});
    for (int64_t i = 0; i < head->n_pending && room != NULL; i++)
        hr_checkpoint_read_pending(file, i, room);
    hr_free(room);
    hr_checkpoint_close(file);
}

static const int64_t odd_numbers[] = {
    0, 1, 2, 4, 1 << 14, 1 << 24, 1LL << 31, 1LL << 32, 1LL << 40, 999999999999999LL};
enum { N_ODD = sizeof odd_numbers / sizeof odd_numbers[0] };

/* Shapes and places of a stranger, under a right seal: refused or read, never a crash. */
static void forged_shapes_are_harmless(void **state)
{
    const scene *s = *state;
    const hr_checkpoint_layout good = layout_of(s);

    for (int set = 0; set < HR_SET_COUNT; set++)
        for (int d = -1; d < hr_checkpoint_specs[set].n_dims; d++)
            for (int i = 0; i < N_ODD; i++) {
                hr_checkpoint_layout layout = good;

                *(d < 0 ? &layout.offset[set] : &layout.dims[set][d]) = odd_numbers[i];
                forge(s, &layout);
                read_all(s->path);
            }
    for (int i = 0; i < N_ODD; i++) {
        hr_checkpoint_layout layout = good;

        layout.steps_done = odd_numbers[i];
        forge(s, &layout);
        read_all(s->path);
        layout.rounds_done = odd_numbers[N_ODD - 1 - i];
        forge(s, &layout);
        read_all(s->path);
    }
}

/* Any byte of the text in front, changed, with a hash that fits all the same. */
static void forged_text_is_refused(void **state)
{
    static const char others[] = "\n x0919-%s";
    const scene *s = *state;
    char *line = strstr(s->data, "xxh3-128 ");
    hr_checkpoint_seal seal = {0};
    hr_checkpoint *file;

    seal.n_text = (size_t)(line - s->data);
    for (size_t i = 0; i < seal.n_text; i++)
        for (size_t k = 0; k < sizeof others - 1; k++) {
            if (s->data[i] == others[k])
                continue;
            memset(seal.block, 0, sizeof seal.block);
            memcpy(seal.block, s->data, seal.n_text);
            seal.block[i] = others[k];
            seal_again(s, &seal);
            hr_test_catch_log();
            if (hr_checkpoint_open(s->path, &file) == HR_OK)
                hr_checkpoint_close(file); /* another number that fits */
            else
                assert_int_equal(hr_test_log_lines(), 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cut_file_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(any_flipped_bit_is_seen, begin, end),
        cmocka_unit_test_setup_teardown(other_files_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(forged_values_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_forged_step_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_forged_sample_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(forged_shapes_are_harmless, begin, end),
        cmocka_unit_test_setup_teardown(forged_text_is_refused, begin, end),
    };

    return cmocka_run_group_tests_name("damaged checkpoints", tests, NULL, NULL);
}
