#include "support/ranks.h"

#include "base/memory.h"
#include "comm/control.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TESTS = 64, MAX_AGREEMENTS = 10, LINE_BYTES = 4096 };

static const double deadline_seconds = 30;

static struct {
    hr_world *world;
    const hr_rank_test *test; /* the one that runs */
    const hr_rank_test *tests;
    bool has_finished;
    char output[1024]; /* file that holds what a rank other than 0 has written */
} run;

static int begin(void **state)
{
    run.test = run.test == NULL ? run.tests : run.test + 1;
    run.has_finished = false;
    *state = NULL;
    return 0;
}

static void run_one(void **state)
{
    (void)state;
    run.test->run(hr_world_group(run.world));
    run.has_finished = true;
}

/* Others may be at an agreement inside their test: that one fails (HR_ERR_INTERNAL, since
 * this rank is already leaving), and they come here too. */
static hr_status agree_at_the_end(hr_status mine)
{
    hr_status status = HR_ERR_INTERNAL;

    if (run.world->control == NULL)
        return mine;
    for (int i = 0; i < MAX_AGREEMENTS && status == HR_ERR_INTERNAL; i++)
        status = hr_control_agree(run.world, mine, true);
    return status;
}

static int end(void **state)
{
    hr_status status;

    (void)state;
    hr_test_catch_log(); /* what follows from a failure */
    status = agree_at_the_end(
        run.has_finished && run.world->failure == HR_OK ? HR_OK : HR_ERR_IO);
    if (status != HR_OK && hr_world_recover(run.world) != HR_OK)
        print_error("the world does not recover\n");
    hr_test_release_log();
    return status == HR_OK ? 0 : -1;
}

void hr_test_check_on_all(hr_group *all, bool condition, const char *text,
                          const char *file, int line)
{
    bool each[1024];

    assert_true(hr_group_size(all) <= 1024);
    hr_test_ok(hr_group_all_gather(all, &condition, sizeof condition, each));
    for (int i = 0; i < hr_group_size(all); i++) {
        if (each[i])
            continue;
        print_error("%s: does not hold on rank %d\n", text, i);
        _fail(file, line);
    }
}

static void hide_output(void)
{
    snprintf(run.output, sizeof run.output, "%s",
             hr_test_path(hr_test_folder(), "output"));
    if (freopen(run.output, "w", stdout) == NULL)
        return;
    fflush(stderr);
    dup2(fileno(stdout), STDERR_FILENO);
}

static void show_output(int rank, FILE *to)
{
    char line[LINE_BYTES];
    FILE *file;

    fflush(NULL);
    file = fopen(run.output, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        fprintf(to, "rank %d: %s", rank, line);
    if (file != NULL)
        fclose(file);
    fflush(to);
}

int hr_test_run_on_ranks(const char *title, const hr_rank_test *tests, size_t n)
{
    struct CMUnitTest units[MAX_TESTS] = {0};
    FILE *error = fdopen(dup(STDERR_FILENO), "w");
    int n_failed, rank;

    if (error == NULL || n > MAX_TESTS || hr_world_open(&run.world) != HR_OK)
        return 1;
    run.tests = tests;
    hr_world_set_deadline(run.world, deadline_seconds);
    rank = hr_group_rank(hr_world_group(run.world));
    if (rank != 0)
        hide_output();
    for (size_t i = 0; i < n; i++)
        units[i] = (struct CMUnitTest){tests[i].name, run_one, begin, end, NULL};
    n_failed = _cmocka_run_group_tests(title, units, n, NULL, NULL);
    if (n_failed > 0 && rank != 0)
        show_output(rank, error);
    hr_world_close(run.world);
    if (hr_mem_live_blocks() != 0) {
        fprintf(error, "rank %d: %zu blocks are still alive\n", rank,
                hr_mem_live_blocks());
        n_failed++;
    }
    fclose(error);
    return n_failed > 0;
}
