/* Slurm jobs by their number: what is noted, and where it is found again. */
#include "support/test_util.h"

#include "io/disk.h"
#include "io/job_folder.h"

#include <string.h>

static void test_numbers(void **state)
{
    static const char *const bad[] = {"",
                                      "a",
                                      "12a",
                                      "_1",
                                      "12_",
                                      "12_0",
                                      "12_1_2",
                                      "-1",
                                      " 1",
                                      "1 ",
                                      "99999999999999999999"};
    hr_job_id id = {7, 7};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hr_job_id_scan(bad[i], &id));
    assert_int_equal(id.job, 7);
    assert_true(hr_job_id_scan("12", &id));
    assert_int_equal(id.job, 12);
    assert_int_equal(id.task, 0);
    assert_true(hr_job_id_scan("12_3", &id));
    assert_int_equal(id.job, 12);
    assert_int_equal(id.task, 3);
}

static void test_noted_and_found(void **state)
{
    static const char *const runs[] = {"/a b", "/\xc3\xbc", "/c"};
    const char *base = hr_test_folder();
    const char *slurm = hr_test_path(base, "runs/x/slurm");
    hr_job_runs found;

    (void)state;
    hr_test_ok(hr_folder_create(slurm));
    hr_test_ok(hr_folder_create(hr_test_path(base, "runs/.hidden")));
    hr_test_ok(hr_job_folder_note(slurm, 12, runs, 3));
    hr_test_ok(hr_job_folder_find(base, &(hr_job_id){.job = 12}, &found));
    assert_int_equal(found.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(found.paths[i], runs[i]);
    hr_job_runs_free(&found);
    hr_test_ok(hr_job_folder_read(slurm, &(hr_job_id){12, 2}, &found));
    assert_int_equal(found.n, 1);
    assert_string_equal(found.paths[0], runs[1]);
    hr_job_runs_free(&found);
    hr_test_ok(hr_job_folder_read(slurm, &(hr_job_id){12, 4}, &found));
    assert_int_equal(found.n, 0);
    hr_test_ok(hr_job_folder_find(base, &(hr_job_id){.job = 1}, &found));
    assert_int_equal(found.n, 0);
}

static void test_how_deep(void **state)
{
    static const char *const places[] = {"slurm", "1/slurm", "1/2/slurm", "1/2/3/slurm"};
    const char *base = hr_test_folder();
    hr_job_runs found;

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        const char *slurm = hr_test_path(base, places[i]);

        hr_test_ok(hr_folder_create(slurm));
        hr_test_ok(hr_job_folder_note(slurm, i + 1, &base, 1));
        hr_test_ok(hr_job_folder_find(base, &(hr_job_id){.job = i + 1}, &found));
        assert_int_equal(found.n, i < 3);
        hr_job_runs_free(&found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_numbers, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_noted_and_found, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_how_deep, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("io/job_folder", tests, NULL, NULL);
}
