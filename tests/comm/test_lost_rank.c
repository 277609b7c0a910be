/* A rank that is killed, and one that stops to answer. The program starts itself under
 * mpirun, with recovery on: else mpirun would end the others before they can tell. */
#include "support/test_util.h"

#include "base/clock.h"
#include "base/memory.h"
#include "comm/mailbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *program;

/* One of the calls that wait. */
static hr_status wait_for_others(hr_group *all, const char *where)
{
    hr_world *world = hr_group_world(all);
    hr_mailbox *box = NULL;
    char mine = 1, each[64];
    hr_status status = HR_OK;

    if (strcmp(where, "gather") == 0)
        return hr_group_all_gather(all, &mine, 1, each);
    if (strcmp(where, "agree") == 0)
        return HR_OK;
    if (strcmp(where, "progress") == 0) {
        while (status == HR_OK) {
            usleep(1000);
            status = hr_world_progress(world);
        }
        return status;
    }
    status = hr_mailbox_open(all, 100, HR_TRAFFIC_HALO, &box);
    if (status == HR_OK)
        status = hr_mailbox_wait(box, &(hr_mailbox_wait_args){.waiting_for = -1});
    hr_mailbox_close(box);
    return status;
}

/* What a run is: rank `victim` gets `number`, the others wait in `where`. */
typedef struct loss {
    int victim, number;
    const char *deadline, *where;
} loss;

/* argv: the fields of a loss. */
static int be_a_rank(char **argv)
{
    const hr_report report = {.phase = "denoise step 3 window 2"};
    hr_world *world = NULL;
    hr_group *all;
    char mine = 1, each[64];
    hr_status status;
    int rank, lost, victim = (int)strtol(argv[1], NULL, 10);
    int64_t pid;
    double start;

    if (hr_world_open(&world) != HR_OK)
        return 1;
    all = hr_world_group(world);
    rank = hr_group_rank(all);
    hr_world_set_deadline(world, strtod(argv[3], NULL));
    hr_world_report(world, &report);
    if (hr_group_all_gather(all, &mine, 1, each) != HR_OK)
        return 1;
    if (rank == victim) {
        usleep(100000);
        raise((int)strtol(argv[2], NULL, 10));
    }
    start = hr_clock_seconds();
    status = wait_for_others(all, argv[4]);
    status = hr_group_agree(all, status);
    lost = hr_world_find_lost(world);
    printf("rank %d: %s; in time: %d; recovers: %d; lost: %d\n", rank,
           hr_status_name(status), hr_clock_seconds() - start < 8,
           hr_world_recover(world) == HR_OK, lost);
    fflush(stdout);
    usleep(500000); /* others look now for who is gone: not for this one */
    pid = hr_world_rank_info(world, victim)->pid;
    hr_world_close(world);
    if (kill((pid_t)pid, SIGKILL) != 0 && errno != ESRCH) /* mpirun waits for it */
        return 1;
    return hr_mem_live_blocks() == 0 ? 69 : 1;
}

/* All that three ranks write; hr_free it. */
static char *run_ranks(const loss *what)
{
    const char *path = hr_test_path(hr_test_folder(), "output");
    char command[4096];
    size_t n;

    snprintf(command, sizeof command,
             "%s --enable-recovery --oversubscribe --bind-to none --timeout 60 -n 3 '%s' "
             "%d %d %s %s >'%s' 2>&1 </dev/null",
             HR_TEST_MPIRUN, program, what->victim, what->number, what->deadline,
             what->where, path);
    assert_int_not_equal(system(command), -1);
    return hr_test_read(path, &n);
}

static int count(const char *text, const char *part)
{
    int n = 0;

    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        n++;
    return n;
}

static void check_survivors(const char *text, const loss *what, const char *name)
{
    char line[200], part[100];
    bool is_right = true;

    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "rank %d: %s; in time: 1; recovers: 0; lost: %d", i,
                 name, what->number == SIGKILL ? what->victim : -1);
        is_right = is_right && count(text, line) == (i != what->victim);
    }
    snprintf(part, sizeof part, "rank %d (host ", what->victim);
    is_right = is_right && count(text, part) == 1;
    if (!is_right)
        print_error("%s", text);
    assert_true(is_right);
}

static void a_killed_rank_is_named(void **state)
{
    const char *const wheres[] = {"gather", "agree", "progress", "mailbox"};

    (void)state;
    for (size_t i = 0; i < sizeof wheres / sizeof wheres[0]; i++) {
        const loss what = {2, SIGKILL, "30", wheres[i]};
        char *text = run_ranks(&what);

        check_survivors(text, &what, "device failed");
        assert_int_equal(count(text, "error: rank 2 (host "), 1);
        assert_int_equal(count(text, ", denoise step 3 window 2) is gone\n"), 1);
        hr_free(text);
    }
}

/* Then nobody is there to tell what others say: the next one does. */
static void the_loss_of_rank_0_is_told_by_rank_1(void **state)
{
    const loss what = {0, SIGKILL, "30", "gather"};
    char *text;

    (void)state;
    text = run_ranks(&what);
    check_survivors(text, &what, "device failed");
    assert_int_equal(count(text, "error: rank 1 (host "), 1);
    assert_int_equal(count(text, "; this rank: denoise step 3 window 2) is gone\n"), 1);
    hr_free(text);
}

/* Rank 0 waits for rank 1, which waits for rank 2, which has stopped: rank 2 is named. */
static void a_rank_that_does_not_answer_is_named(void **state)
{
    const loss what = {2, SIGSTOP, "2", "gather"};
    char *text;

    (void)state;
    text = run_ranks(&what);
    assert_int_equal(count(text, "error: rank 2 (host "), 1);
    assert_int_equal(count(text, ") has not answered for 2 s\n"), 1);
    hr_free(text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_rank_is_named),
        cmocka_unit_test(the_loss_of_rank_0_is_told_by_rank_1),
        cmocka_unit_test(a_rank_that_does_not_answer_is_named),
    };

    program = argv[0];
    if (argc == 5)
        return be_a_rank(argv);
    return cmocka_run_group_tests_name("comm/lost_rank", tests, NULL, NULL);
}
