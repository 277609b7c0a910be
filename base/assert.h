/* For bugs of haloreel only, never for input: prints place and condition, then aborts.
 * Active in all builds but release ones (NDEBUG). */
#ifndef HR_BASE_ASSERT_H
#define HR_BASE_ASSERT_H

#ifdef NDEBUG
#    define HR_ASSERT(condition) ((void)sizeof(condition))
#else
#    define HR_ASSERT(condition)                                                         \
        ((condition) ? (void)0 : hr_assert_failed(#condition, __FILE__, __LINE__))
#endif

_Noreturn void hr_assert_failed(const char *condition, const char *file, int line);

#endif
