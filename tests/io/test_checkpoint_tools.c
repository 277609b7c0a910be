/* HDF5's own tools find in a checkpoint what it holds (hdf5-tools are installed with what
 * the tests need). */
#include "io/checkpoint_case.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const checkpoint_case plain = {.n_frames = 3,
                                      .channels = 1,
                                      .height = 1,
                                      .width = 2,
                                      .n_history = 1,
                                      .n_steps = 4,
                                      .n_pending = 2,
                                      .n_rounds = 2,
                                      .bad_frame = -1,
                                      .bad_pending = -1};

/* What a tool says about the file; white space as one blank. */
static const char *ask(const char *tool, const char *path)
{
    static char said[1 << 16];
    char command[8192];
    FILE *pipe;
    size_t n = 0;
    int c;

    snprintf(command, sizeof command, "%s '%s' 2>&1", tool, path);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    while ((c = fgetc(pipe)) != EOF)
        if (n + 1 < sizeof said && (c > ' ' || (n > 0 && said[n - 1] != ' ')))
            said[n++] = c > ' ' ? (char)c : ' ';
    said[n] = '\0';
    assert_int_equal(pclose(pipe), 0);
    return said;
}

static void says(const char *tool, const char *path, const char *part)
{
    const char *said = ask(tool, path);

    if (strstr(said, part) == NULL)
        fail_msg("%s: expected %s in: %s", tool, part, said);
}

static void tools_read_it(void **state)
{
    const char *path = hr_test_path(hr_test_folder(), "step-0002-00034.h5");
    checkpoint_case c = plain;
    hr_world *world;

    (void)state;
    hr_test_ok(hr_world_open_alone(&world));
    checkpoint_case_begin(&c, hr_world_group(world));
    hr_test_ok(hr_checkpoint_save(hr_world_group(world), path, &c.head, &c.source));
    says("h5ls -r", path, "/frames/history Dataset {1, 3, 1, 1, 2}");
    says("h5ls -r", path, "/pending/latents Dataset {2, 1, 1, 2}");
    says("h5dump -d /frames/step", path, "(0): 0, 1, 2");
    says("h5dump -d /frames/latents", path,
         "(1,0,0,0): 8, 8.00002, (2,0,0,0): 9, 9.00002");
    says("h5dump -d /frames/history", path, "(0,2,0,0,0): 16, 16");
    says("h5dump -d /rounds/done", path, "(0,0): 0, 0, (1,0): 1, 1");
    says("h5dump -d /pending/heads", path,
         "(0,0): 0, 0, -1, -1, 0, (1,0): 1, 1, 0, 0, 1");
    says("h5dump -d /job.yaml", path, "(0): \"prompt: A red c");
    says("h5dump -a /frames/step/unit", path, "(0): \"steps\"");
    says("h5dump -a /frames/step/description", path, "Denoising steps that each latent");
    says("h5dump -a /rounds_done", path, "(0): 34");
    checkpoint_case_end(&c);
    hr_world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(tools_read_it, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("tools on checkpoints", tests, NULL, NULL);
}
