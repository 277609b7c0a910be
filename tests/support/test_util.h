/* What every test program needs: CMocka with its includes, temporary folders, the log
 * caught. */
#ifndef HR_TESTS_TEST_UTIL_H
#define HR_TESTS_TEST_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/status.h"

/* A new empty folder below $TMPDIR, removed with all it holds when the program ends. The
 * name is valid until then. */
const char *hr_test_folder(void);

/* FOLDER/name, valid until 16 more were asked for. */
const char *hr_test_path(const char *folder, const char *name);

/* The whole file, hr_free it; and the other way. The test fails when that does not work.
 */
char *hr_test_read(const char *path, size_t *n_bytes);
void hr_test_write(const char *path, const void *data, size_t n_bytes);
/* Asserts that two files hold the same bytes. */
void hr_test_same_files(const char *a, const char *b);

/* From now on writes behind so many bytes of a file fail ("File too large"), like those
 * to a full disk; UINT64_MAX: none. */
void hr_test_limit_files(uint64_t most_bytes);

/* How many entries a folder has, without "." and "..". */
size_t hr_test_count_entries(const char *folder);

/* Catches the log lines at WARN or above from now on (and forgets those caught before),
 * so that they do not reach standard error. release writes them there again. */
void hr_test_catch_log(void);
void hr_test_release_log(void);
size_t hr_test_log_lines(void);
const char *hr_test_log_line(size_t i); /* of the first 16 */

/* Asserts that `call` gives `status` and logs exactly one line, which holds `part`. */
#define hr_test_fails(status, part, call)                                                \
    do {                                                                                 \
        hr_test_catch_log();                                                             \
        hr_test_check_failure(status, part, call, #call, __FILE__, __LINE__);            \
    } while (0)
void hr_test_check_failure(hr_status expected, const char *part, hr_status got,
                           const char *call, const char *file, int line);

/* Asserts HR_OK; shows the status's name otherwise. */
#define hr_test_ok(call)                                                                 \
    do {                                                                                 \
        hr_status hr_test_status = (call);                                               \
        if (hr_test_status != HR_OK) {                                                   \
            print_error("%s: %s\n", #call, hr_status_name(hr_test_status));              \
            _fail(__FILE__, __LINE__);                                                   \
        }                                                                                \
    } while (0)

/* Asserts that nothing of base/memory.h is alive. */
#define hr_test_no_leaks() hr_test_check_leaks(__FILE__, __LINE__)
void hr_test_check_leaks(const char *file, int line);
/* The same as a teardown, for the blocks of that test. */
int hr_test_leak_teardown(void **state);

#endif
